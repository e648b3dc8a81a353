require "include";

include "once_b";

require "include";

include "itself";

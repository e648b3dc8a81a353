require ["include", "fileinto"];

include "once_a";
include :once "including_once.sieve";
fileinto "at the end";

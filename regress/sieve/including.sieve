require ["include", "variables", "fileinto"];

global "where";
include "sets";
fileinto "${where}";

require ["include", "fileinto"];

include :once "once_a";
fileinto "within";

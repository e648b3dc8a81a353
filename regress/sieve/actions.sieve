require ["fileinto", "copy", "editheader", "vacation"];

addheader "X-Sorted" "yes";
fileinto "Folder";
redirect :copy "other@example.net";
vacation "Away.";
keep;

require "ihave";

if ihave "no-such-extension" {
    nonsense :of "all" ["kinds"];
} else {
    keep;
}
if allof (ihave "no-such-extension", nonsense 3) {
    more_nonsense;
}
if ihave "fileinto" {
    fileinto "Folder";
} else {
    nonsense;
}

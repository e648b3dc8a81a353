require ["fileinto", "no-such-extension"];

nonsense;
fileinto;
fileinto ["a", "b"];
if header "subject" { keep; }
if size 100 { keep; }
stop { keep; }
else { keep; }
redirect "nowhere";

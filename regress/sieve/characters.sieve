require ["encoded-character", "fileinto", "editheader", "enotify", "mailbox"];

fileinto "${unicode:110000";
fileinto "${unicode:20ac";
fileinto "${unicode:110000}";
fileinto "${unicode:20ac 1000000000000000041}";
addheader "X-Field" "with a ${hex:00} in it";
addheader "X-Field" "with a ${hex:07} in it";
notify :options "-name=value" "mailto:a@example.org";
notify :options "name=val
ue" "mailto:a@example.org";
notify :options "a.name=" "mailto:a@example.org";
if mailboxexists "${hex:fe}" { keep; }
fileinto :create "${hex:fe}";

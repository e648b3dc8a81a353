# SPDX-License-Identifier: ISC
"""Local delivery: full mailboxes at RCPT and the warnings before, programs of the site and foreign
Maildirs, forwards and rules of the settings."""
import json
import os
import re
import signal
import sys

import suite
from suite import Sink, wait_for

fife = None
users = {}
sandbox = None
ALICE, BOB = "alice@example.test", "bob@example.test"


def ctl(*words, **more):
    return fife.ctl(*words, **more)


def shown(address):
    return json.loads(ctl("-j", "user", "show", address))[0]


def add_user(address):
    ctl("user", "add", address, input="secret\n")
    users[address] = fife.passwords[address] = "secret"


def rcpt(address, size=None, sender="x@elsewhere.test"):
    with fife.smtp() as s:
        s.ehlo()
        s.docmd("MAIL", f"FROM:<{sender}>" + (f" SIZE={size}" if size else ""))
        code, text = s.docmd("RCPT", f"TO:<{address}>")
    return code, text.decode()


def mail(subject, body="x\r\n"):
    return f"From: <x@elsewhere.test>\r\nTo: <y@example.test>\r\nSubject: {subject}\r\n\r\n{body}"


# ---- quota ----

def test_full_at_rcpt():
    dora = "dora@example.test"
    add_user(dora)
    ctl("user", "set", dora, "quota=8k")
    assert rcpt(dora)[0] == 250
    code, text = rcpt(dora, 9000)  # it could never fit
    assert code == 552 and text.startswith("5.2.2"), text
    fife.send("x@elsewhere.test", [dora], mail("first", "y" * 5000 + "\r\n"))
    wait_for(lambda: shown(dora).get("used", 0) > 5000, "word of what the mailbox holds")
    assert shown(dora)["used-messages"] == 1
    code, text = rcpt(dora, 4000)
    assert code == 452 and text.startswith("4.2.2"), text
    assert rcpt(dora, 100)[0] == 250
    # An alias that leads to it alone, detail, and a login of ours find it full as well.
    ctl("alias", "add", "d@example.test", dora)
    assert rcpt("d@example.test", 4000)[0] == 452
    assert rcpt("dora+x@example.test", 4000)[0] == 452
    # One that only sends on needs no room.
    ctl("user", "set", dora, "forward=" + ALICE)
    assert rcpt(dora, 4000)[0] == 250
    ctl("user", "set", dora, "forward=")
    assert rcpt(dora, 4000)[0] == 452
    # Another limit holds at once; so does room that was made.
    ctl("user", "set", dora, "quota=1m")
    assert rcpt(dora, 4000)[0] == 250
    ctl("user", "set", dora, "quota=1k")
    assert rcpt(dora)[0] == 452
    m = fife.imap(dora, tls=True)
    m.select("INBOX")
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    wait_for(lambda: rcpt(dora)[0] == 250, "room again")


def test_messages_at_rcpt():
    emil = "emil@example.test"
    add_user(emil)
    ctl("user", "set", emil, "quota-messages=2")
    for n in (1, 2):
        fife.send("x@elsewhere.test", [emil], mail(f"number {n}"))
    wait_for(lambda: shown(emil).get("used-messages") == 2, "two messages")
    assert rcpt(emil)[0] == 452
    assert shown(emil)["used-percent"] == 100
    ctl("user", "set", emil, "quota-messages=default")


def warnings(address):
    return [m for m in fife.messages(address) if b"per cent full" in m or "已用".encode() in m]


def test_warnings():
    frida = "frida@zh.test"
    ctl("domain", "add", "zh.test")
    ctl("domain", "set", "zh.test", "language=zh")
    add_user(frida)
    gerd = "gerd@example.test"
    add_user(gerd)
    for u in (frida, gerd):
        ctl("user", "set", u, "quota=100k")
        fife.send("x@elsewhere.test", [u], mail("large", ("y" * 70 + "\r\n") * 1150))
    m = fife.wait_message("per cent full", gerd).decode()
    assert "Subject: Your mailbox is 8" in m and "of 100 KiB" in m and "Auto-Submitted" in m, m
    assert "To: gerd@example.test" in m and "From: fife on mail.example.test" in m
    m = fife.wait_message("已用", frida).decode()
    assert "Subject: =?utf-8?" in m.lower().replace("subject", "Subject"), m
    assert shown(gerd)["warned-percent"] == 80
    # Not once more for every message, also after a new start of authd.
    fife.stop()
    fife.start()
    fife.passwords.update(users)
    fife.send("x@elsewhere.test", [gerd], mail("small"))
    fife.wait_message("Subject: small", gerd)
    fife.send("x@elsewhere.test", [gerd], mail("large", ("y" * 70 + "\r\n") * 200))
    wait_for(lambda: shown(gerd)["warned-percent"] == 95, "the second level")
    wait_for(lambda: len(warnings(gerd)) == 2, "the second warning")
    assert len(warnings(frida)) == 1
    # With more room all is well again.
    ctl("user", "set", gerd, "quota=1m")
    assert shown(gerd)["warned-percent"] == 0 and shown(gerd)["used-percent"] < 20


def told(address):
    """The mailbox's process has what was sent to it before: it answers in order."""
    ctl("mailbox", "show", address)


def taken(before, subject):
    """Delivered by the session that is open, which knows the new limit; so many came before."""
    told(BOB)
    fife.send("x@elsewhere.test", [BOB], mail(subject, "y" * 900 + "\r\n"))
    came = wait_for(lambda: said(f"to={BOB}")[before:], "what became of it")[0]
    assert "code=2.0.0" in came, came


def test_hard():
    edit_conf(lambda c: c + "\nlimits {\n\tquota-full hard\n}\n")
    ctl("user", "set", BOB, "quota=1k")
    fife.send("x@elsewhere.test", [BOB], mail("to fill", "y" * 500 + "\r\n"))
    wait_for(lambda: shown(BOB).get("used", 0) > 500, "word of what the mailbox holds")
    code, text = rcpt(BOB, 900)
    assert code == 552 and text.startswith("5.2.2"), text
    ctl("user", "set", BOB, "quota=default")
    # The session of deliveries that is open knows the new limit as well: it lasts longer than this.
    taken(1, "with room again")
    # So with the limit of a group, and one that is set for many.
    ctl("group", "add", "small", "quota=1k")
    ctl("user", "set", BOB, "group=small")
    assert rcpt(BOB, 900)[0] == 552
    ctl("group", "set", "small", "quota=1m")
    taken(2, "by the group")
    ctl("user", "set", BOB, "quota=1k")
    assert rcpt(BOB, 900)[0] == 552
    ctl("user", "set", "group:small", "quota=default")
    taken(3, "by the pattern")
    ctl("user", "set", BOB, "group=")
    ctl("group", "del", "small")


# ---- commands ----

def wait_file(path, needle=""):
    def there():
        try:
            text = open(path, errors="replace").read()
        except OSError:
            return None
        return text if needle in text else None
    return wait_for(there, f"{needle!r} in {path}")


def said(needle, what="delivery"):
    """A line of the log."""
    return wait_for(lambda: [x for x in ctl("log", what, "--match", needle).splitlines()], f"{needle!r} in the log")


def test_command_of_an_alias():
    ctl("alias", "add", "archive@example.test", "|archive")
    assert ctl("alias", "add", "x@example.test", "|nothing", check=False)[0] == 1
    code, text = ctl("alias", "add", "x@example.test", "|own", check=False)
    assert code == 1 and "owner of a mailbox" in text, text
    fife.send("bad$`id`@strange.test", ["archive+a.b@example.test"], mail("for the program"))
    text = wait_file(f"{sandbox}/out-archive", "\nEND\n")
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert env["SENDER"] == "bad__id_@strange.test", env["SENDER"]
    assert env["RECIPIENT"] == "archive+a.b@example.test" and env["EXTENSION"] == env["EXT"] == "a.b"
    assert env["DOMAIN"] == "example.test" and env["LOCAL"] == "archive+a.b" and env["OWNER"] == "archive@example.test"
    assert env["USER"] == "4242" and env["IDS"].split(":") == ["4242", "4242", "4242"], env
    assert "ARGS=archive one two three\n" in text and "\none two\nthree\n" in text
    assert "\r" not in text and "Return-Path: <bad$`id`@strange.test>" in text
    assert "Delivered-To: archive+a.b@example.test" in text and "Subject: for the program" in text
    # No descriptor but the three, no capability, no right to gain any.
    assert env["FDS"].split() == ["0", "1", "2"], env["FDS"]
    assert "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text and "Seccomp:\t2" in text


def test_command_of_a_user():
    hugo = "hugo@example.test"
    add_user(hugo)
    uid = shown(hugo)["uid"]
    ctl("user", "set", hugo, "forward=|own", "forward-keep=yes")
    fife.send("x@elsewhere.test", [hugo], mail("for both"))
    fife.wait_message("Subject: for both", hugo)
    text = wait_file(f"{sandbox}/out-own-{uid}", "Subject: for both")
    assert f"IDS={uid}:{uid}:{uid}" in text and "USER=hugo" in text
    assert "HOME=" + os.path.join(fife.run, "mail/example.test/hugo") in text, text
    # Alone: no mailbox has it, and so it is never full.
    ctl("user", "set", hugo, "forward-keep=no", "quota=1")
    fife.send("x@elsewhere.test", [hugo], mail("for it alone"))
    wait_file(f"{sandbox}/out-own-{uid}", "Subject: for it alone")
    ctl("user", "set", hugo, "quota=default")
    assert not [m for m in fife.messages(hugo) if b"for it alone" in m]


def result(command, subject, body="x\r\n"):
    """The log's line about the message that went to it."""
    ctl("alias", "add", f"{subject}@example.test", "|" + command)
    fife.send("x@elsewhere.test", [f"{subject}@example.test"], mail(subject, body))
    return said(f"command .*to={subject}@example.test")[-1]


def test_exit_status():
    assert "code=5.1.1" in result("nouser", "nouser") and "who is that" in said("to=nouser@")[-1]
    line = result("tempfail", "tempfail")
    assert "code=4.3.0" in line, line
    line = result("oddly", "oddly")
    assert "code=4.3.0" in line and "status 1" in line, line
    line = result("coded", "coded")
    assert "code=5.7.1" in line and "not_today" in line.replace(" ", "_"), line
    assert "4.3.0" in result("missing", "missing")
    # The first failed for good: a bounce, which has the words of the program.
    ctl("alias", "add", "gone@example.test", "|nouser")
    fife.send(BOB, ["gone@example.test"], mail("to nobody"), port=587, login=BOB)
    m = fife.wait_message("to nobody", BOB).decode(errors="replace")
    assert "5.1.1" in m and "who is that" in m, m


def test_command_that_hangs():
    line = result("hangs", "hangs")
    assert "code=4.3.0" in line and "did not end" in line.replace("\\x20", " "), line
    pid = int(wait_file(f"{sandbox}/out-hangs", "\n").split()[0])
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of what it left behind")


def test_large_output_and_large_message():
    assert "code=2.0.0" in result("chatty", "chatty", ("z" * 70 + "\r\n") * 20000)
    assert wait_file(f"{sandbox}/out-chatty", "\n").strip().startswith("14")


def test_maildir_of_another():
    ctl("alias", "add", "copies@example.test", "|copies", ALICE)
    fife.send("x@elsewhere.test", ["copies@example.test"], mail("into a Maildir"))
    fife.wait_message("Subject: into a Maildir")
    new = f"{sandbox}/Maildir/new"
    name = wait_for(lambda: os.path.isdir(new) and os.listdir(new), "a message in the Maildir")[0]
    text = open(f"{new}/{name}").read()
    assert text.startswith("Return-Path: <x@elsewhere.test>\nDelivered-To: copies@example.test\n"), text[:200]
    assert os.stat(f"{new}/{name}").st_uid == 4242 and os.listdir(f"{sandbox}/Maildir/tmp") == []


def test_execd_comes_back():
    """Killed while a program runs: that ends with it, and the message is tried again."""
    ctl("alias", "add", "slow@example.test", "|slow")
    fife.send("x@elsewhere.test", ["slow@example.test"], mail("slow"))
    pid = int(wait_file(f"{sandbox}/out-slow", "\n").split()[0])
    execd = fife.pids_of("execd")
    os.kill(execd[0], signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the program")
    wait_for(lambda: [p for p in fife.pids_of("execd") if p not in execd], "another execd")
    open(f"{sandbox}/go-slow", "w").close()
    wait_for(lambda: ctl("queue", "retry", "--to", "example.test", check=False) and
             [x for x in ctl("log", "delivery", "--match", "command .*to=slow@").splitlines() if "2.0.0" in x],
             "the second try")


def test_commands_change_with_a_reload():
    ctl("alias", "add", "later@example.test", "|own2", check=False)
    edit_conf(lambda c: c + f'\ncommand own2 {{\n\tprogram "{sandbox}/record" own2\n\tuser 4242\n}}\n')
    ctl("alias", "add", "later@example.test", "|own2")
    fife.send("x@elsewhere.test", ["later@example.test"], mail("after a reload"))
    wait_file(f"{sandbox}/out-own2", "Subject: after a reload")
    # A configuration that names no program is refused, and changes nothing.
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(text + '\ncommand bad {\n\tprogram "/no/such/program"\n}\n')
    code, words = ctl("reload", check=False)
    open(path, "w").write(text)
    assert code == 1 and "/no/such/program" in words, words


# ---- settings as Sieve ----

def test_forward_and_answer_without_a_copy():
    ida, otto = "ida@example.test", "otto@example.test"
    for u in (ida, otto):
        add_user(u)
    ctl("user", "set", ida, "forward=" + otto + ",ida@far.test", "vacation=Moved to Otto", "quota=1")
    ctl("route", "add", "far.test", f"smtp://127.0.0.1:{sink.port}")
    fife.send(BOB, [ida], f"From: {BOB}\r\nTo: {ida}\r\nSubject: to the new one\r\n\r\nx\r\n", port=587, login=BOB)
    fife.wait_message("Subject: to the new one", otto)
    wait_for(lambda: [m for m in sink.messages if b"to the new one" in m[2]], "the copy far away")
    m = fife.wait_message("Moved to Otto", BOB).decode()
    assert "Auto-Submitted: auto-replied" in m, m
    ctl("user", "set", ida, "quota=default")
    assert fife.messages(ida) == []
    # A ring of them loses nothing in silence.
    ctl("user", "set", ida, "forward=" + otto, "vacation=")
    ctl("user", "set", otto, "forward=" + ida)
    fife.send(BOB, [ida], mail("in a ring"), port=587, login=BOB)
    m = fife.wait_message("in a ring", BOB).decode(errors="replace")
    assert "5.4.6" in m, m
    ctl("user", "set", otto, "vacation=On a round trip")
    fife.send(BOB, [otto], f"From: {BOB}\r\nTo: {otto}\r\nSubject: round and answered\r\n\r\nx\r\n", port=587, login=BOB)
    fife.wait_message("On a round trip", BOB)
    wait_for(lambda: [m for m in fife.messages(BOB) if b"round and answered" in m and b"5.4.6" in m], "the bounce")
    ctl("user", "set", otto, "forward=", "forward-keep=no", "vacation=")
    ctl("user", "set", ida, "forward=" + ida + "," + otto, "forward-keep=no")
    fife.send(BOB, [ida], mail("to oneself and on"), port=587, login=BOB)
    for u in (ida, otto):
        fife.wait_message("to oneself and on", u)


def test_simple_rules():
    kai = "kai@example.test"
    add_user(kai)
    add = ("user", "rule", "add", kai)
    ctl(*add, "subject", "contains", "[list]", "folder", "Lists/Ört")
    ctl(*add, "from", "contains", "boss@", "flag")
    ctl(*add, "header:X-Kind", "contains", 'a "quoted\\ thing', "read")
    ctl(*add, "to", "contains", "team@", "copy", BOB)
    ctl(*add, "subject", "contains", "throw me", "discard")
    ctl(*add, "subject", "contains", "casino", "junk")
    assert ctl(*add, "size", "contains", "x", "flag", check=False)[0] == 2
    assert ctl(*add, "subject", "contains", "x", "forward", "nobody", check=False)[0] == 2
    rows = ctl("user", "rule", "list", kai)
    assert 'the subject contains "[list]": filed into Lists/Ört' in rows and "sent on, and kept: " + BOB in rows, rows
    assert shown(kai)["rule-2"] == 'the sender contains "boss@": flagged'
    # His own script has what the rules leave.
    script = 'require "fileinto"; if header :contains "subject" "rest" { fileinto "Rest"; }'
    ctl("sieve", "put", kai, "own", input=script)
    ctl("sieve", "activate", kai, "own")
    m = fife.imap(kai, tls=True)
    m.create("Rest")
    for subject, more in (("[LIST] one", ""), ("two", "From: Boss <boss@elsewhere.test>\r\n"),
                          ("three", 'X-Kind: a "quoted\\ thing here\r\n'), ("four", "Cc: team@example.test\r\n"),
                          ("throw me away", ""), ("Casino", ""), ("the rest", "")):
        fife.send("x@elsewhere.test", [kai], f"{more}Subject: {subject}\r\n\r\nx\r\n")
    fife.wait_message("Subject: [LIST] one", kai, "Lists/&ANY-rt")
    fife.wait_message("Subject: Casino", kai, "Junk")
    fife.wait_message("Subject: the rest", kai, "Rest")
    fife.wait_message("Subject: four", BOB)
    wait_for(lambda: len(fife.messages(kai)) == 3, "three in the inbox")
    m.select("INBOX")
    assert len(m.search(None, "FLAGGED")[1][0].split()) == 1 and len(m.search(None, "SEEN")[1][0].split()) == 1
    m.logout()
    ctl("user", "rule", "del", kai, "1")
    assert "[list]" not in ctl("user", "rule", "list", kai) and "boss@" in ctl("user", "rule", "list", kai)
    assert ctl("user", "rule", "del", kai, "9", check=False)[0] == 1
    dump = ctl("dump")
    ctl("user", "rule", "del", kai, "1")
    ctl("load", input=dump)
    assert shown(kai)["rule-1"] == 'the sender contains "boss@": flagged'


def test_scripts_of_the_site():
    """Before the user's, after it, and for include; changed while mailboxes are open."""
    lena = "lena@example.test"
    add_user(lena)
    folder = os.path.join(fife.run, "sieve")
    os.mkdir(folder)

    def script(name, text):
        open(f"{folder}/{name}.sieve", "w").write(text)

    def settings(text):
        edit_conf(lambda c: re.sub(r"\nsieve \{.*?\n\}\n", "", c, flags=re.S) + f"\nsieve {{\n{text}}}\n")
    script("lists", 'require "fileinto"; if header :contains "list-id" "x" { fileinto "Lists"; stop; }')
    script("first", 'require ["imap4flags", "fileinto"]; if header :contains "subject" "quarantine" '
           '{ fileinto "Held"; } elsif header :contains "subject" "mark" { addflag "\\\\Flagged"; addflag "Seen-Here"; }')
    script("last", 'require "fileinto"; if header :contains "subject" "late" { fileinto "Late"; }')
    own = 'require ["include", "fileinto"]; include :global "lists"; if header :contains "subject" "mine" { fileinto "Mine"; }'
    code, words = ctl("sieve", "check", lena, input='require "include"; include :global "none";', check=False)
    assert "none" in words or code == 0, words
    m = fife.imap(lena, tls=True)
    for name in ("Lists", "Held", "Late", "Mine"):
        m.create(name)
    settings('\tglobal "sieve"\n\tbefore "sieve/first.sieve"\n\tafter "sieve/last.sieve"\n')
    ctl("sieve", "put", lena, "own", input=own)
    ctl("sieve", "activate", lena, "own")
    for subject, more in (("quarantine and mine", ""), ("mark me", ""), ("too late", ""), ("mine, late", ""),
                          ("of a list", "List-Id: <x>\r\n")):
        fife.send("x@elsewhere.test", [lena], f"{more}Subject: {subject}\r\n\r\nx\r\n")
    for subject, where in (("quarantine and mine", "Held"), ("mark me", "INBOX"), ("too late", "Late"),
                           ("mine, late", "Mine"), ("of a list", "Lists")):
        fife.wait_message(f"Subject: {subject}", lena, where)
        assert len(fife.messages(lena, where)) == 1, where
    m.select("INBOX")
    assert b"\\Flagged" in m.fetch("1", "(FLAGS)")[1][0] and b"Seen-Here" in m.fetch("1", "(FLAGS)")[1][0]
    # Without a script of his own.
    ctl("sieve", "activate", lena)
    fife.send("x@elsewhere.test", [lena], mail("very late"))
    fife.wait_message("Subject: very late", lena, "Late")
    # The process of the mailbox, which runs all the time, gets a new one.
    script("last", 'require "fileinto"; if header :contains "subject" "late" { fileinto "Mine"; }')
    ctl("reload")
    fife.send("x@elsewhere.test", [lena], mail("later still"))
    fife.wait_message("Subject: later still", lena, "Mine")
    # One that is wrong is named, and nothing changes.
    script("last", "fileinto;")
    code, words = ctl("reload", check=False)
    assert code == 1 and "after" in words and "line 1" in words, words
    assert "line 1" in ctl("check", check=False)[1]
    script("last", "keep;")
    settings("")
    fife.send("x@elsewhere.test", [lena], mail("late again"))
    fife.wait_message("Subject: late again", lena)
    m.logout()


def test_many_at_once():
    ctl("domain", "add", "many.test")
    ctl("group", "add", "pupils")
    for i in range(5):
        ctl("user", "add", f"u{i}@many.test", input="secret\n")
    assert "changed" in ctl("user", "set", "@many.test", "quota=7m", "group=pupils") and shown("u4@many.test")["quota"] == 7 << 20
    assert json.loads(ctl("-j", "user", "set", "group:pupils", "message-size=1m"))[0]["changed"] == 5
    assert json.loads(ctl("-j", "user", "set", "u[12]*@many.test", "quota=default"))[0]["changed"] == 2
    assert shown("u1@many.test")["quota"] == "unlimited" and shown("u3@many.test")["quota"] == 7 << 20
    assert shown(ALICE)["message-size"] == "unlimited"
    for bad, status in ((("quota=much",), 2), (("disabled=yes",), 2), (("scram=off",), 2), (("nothing",), 2),
                        (("group=none",), 2)):
        assert ctl("user", "set", "@many.test", *bad, check=False)[0] == status, bad
    assert ctl("user", "set", "nobody*@many.test", "quota=1m", check=False)[0] == 1


# ---- who is meant ----

def test_resolution():
    """Aliases within each other, an alias domain, catch-all and detail, in that order."""
    for d in ("short.test", "shorter.test"):
        ctl("domain", "add", d)
    assert ctl("domain", "set", "short.test", "alias-of=short.test", check=False)[0] == 1
    assert ctl("domain", "set", "short.test", "alias-of=nowhere.test", check=False)[0] == 1
    assert ctl("domain", "set", "short.test", "colour=red", check=False)[0] == 2
    ctl("domain", "set", "short.test", "alias-of=example.test", "language=zh")
    ctl("domain", "set", "shorter.test", "alias-of=short.test")
    assert "language=zh alias-of=example.test" in ctl("domain", "list")
    assert rcpt("nobody@short.test")[0] == 550
    assert rcpt("postmaster@shorter.test")[0] == 250
    ctl("alias", "add", "inner@example.test", ALICE, "away@far.test")
    ctl("alias", "add", "outer@example.test", "inner@example.test", BOB, "outer@example.test")
    ctl("route", "add", "far.test", f"smtp://127.0.0.1:{sink.port}")
    fife.send("x@elsewhere.test", ["outer+list@shorter.test"], mail("nested"))
    for u in (ALICE, BOB):
        fife.wait_message("Subject: nested", u)
    wait_for(lambda: [m for m in sink.messages if b"Subject: nested" in m[2]], "the copy far away")
    assert len([m for m in fife.messages(BOB) if b"Subject: nested" in m]) == 1
    fife.send("x@elsewhere.test", ["alice+tag@short.test"], mail("by the alias domain"))
    m = fife.wait_message("by the alias domain", ALICE).decode()
    assert "Delivered-To: alice+tag@short.test" in m, m
    # Its own entries come first, its catch-all last.
    ctl("alias", "add", "alice@short.test", BOB)
    ctl("alias", "add", "@short.test", BOB)
    for to, who in (("alice@short.test", BOB), ("bob@short.test", BOB), ("anybody@short.test", BOB),
                    ("alice@shorter.test", BOB), ("inner@short.test", ALICE)):
        fife.send("x@elsewhere.test", [to], mail(f"to {to}"))
        fife.wait_message(f"Subject: to {to}", who)
    # Only each other, or too deep: nobody.
    ctl("alias", "add", "ring1@example.test", "ring2@example.test")
    ctl("alias", "add", "ring2@example.test", "ring1@example.test")
    fife.send(BOB, ["ring1@example.test"], mail("round"), port=587, login=BOB)
    m = fife.wait_message("Subject: round", BOB).decode(errors="replace")
    assert "5.4.6" in m, m
    # The dump has it, and gives it back.
    dump = ctl("dump")
    assert "domain short.test language=zh alias-of=example.test" in dump
    ctl("domain", "set", "short.test", "alias-of=")
    assert rcpt("inner@shorter.test")[0] == 250 and "domain short.test language=zh\n" in ctl("dump")
    ctl("alias", "del", "@short.test")
    assert rcpt("inner@shorter.test")[0] == 550
    ctl("load", input=dump)
    assert rcpt("inner@shorter.test")[0] == 250


def test_loop_over_another_host():
    """What comes back with our own Delivered-To ends, once."""
    fife.send("x@elsewhere.test", [ALICE], "Delivered-To: alice@example.test\r\n" + mail("come back"))
    said("qid=.* to=alice@example.test code=5.4.6")


PROGRAMS = {
    "record": """#!/bin/sh
out="$D/out-$1"
test "$1" = own && out="$D/out-own-$(id -u)"
{
	env
	echo "IDS=$(id -u):$(id -g):$(id -G)"
	echo "ARGS=$*"
	for a in "$@"; do echo "$a"; done
	echo "FDS=$(python3 -c "import os; print(*[f for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)])")"
	grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
	cat
	echo END
} >>"$out" 2>&1
""",
    "status": """#!/bin/sh
cat >/dev/null
shift; s="$1"; shift
test $# -eq 0 || echo "$@"
exit "$s"
""",
    "hangs": """#!/bin/sh
trap '' TERM
sleep 600 &
echo $! >"$D/out-hangs"
wait
sleep 600
""",
    "chatty": """#!/bin/sh
wc -c >"$D/out-chatty"
head -c 1000000 /dev/zero | tr '\\0' x
""",
    "slow": """#!/bin/sh
test -e "$D/go-slow" && exit 0
echo $$ >>"$D/out-slow"
exec sleep 600
""",
}


def with_commands(conf, s):
    """Programs where everybody may run them, and leave what they saw."""
    global sandbox
    sandbox = os.path.join(s.dir, "programs")
    os.mkdir(sandbox)
    os.chmod(sandbox, 0o1777)
    for name, text in PROGRAMS.items():
        open(f"{sandbox}/{name}", "w").write(text.replace("$D", sandbox))
        os.chmod(f"{sandbox}/{name}", 0o755)
    rows = [("archive", "record", 'archive "one two" three', 4242), ("own", "record", "own", None),
            ("nouser", "status", "x 67 who is that", 4242), ("tempfail", "status", "x 75", 4242),
            ("oddly", "status", "x 1", 4242), ("coded", "status", 'x 77 "5.7.1 not today"', 4242),
            ("hangs", "hangs", "", 4242), ("chatty", "chatty", "", 4242), ("slow", "slow", "", 4242)]
    for name, program, args, user in rows:
        conf += f'\ncommand {name} {{\n\tprogram "{sandbox}/{program}" {args}\n'
        conf += f"\tuser {user}\n" if user else ""
        conf += "\ttimeout 1s\n" if name == "hangs" else ""
        conf += "}\n"
    # Gone after the start.
    open(f"{sandbox}/missing", "w").close()
    os.chmod(f"{sandbox}/missing", 0o755)
    conf += f'\ncommand missing {{\n\tprogram "{sandbox}/missing"\n\tuser 4242\n}}\n'
    return conf + f'\nmaildir copies {{\n\tpath "{sandbox}/Maildir"\n\tuser 4242\n}}\n'


def edit_conf(change):
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(change(text))
    ctl("reload")


if __name__ == "__main__":
    keep = os.environ.get("KEEP")
    with Sink() as sink, suite.Suite(conf_edit=with_commands, keep=keep) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""Sieve: scripts put by fifectl, and what becomes of the mail."""
import base64
import os
import re
import shutil
import socket
import subprocess
import sys

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


class ManageSieve:
    """A small client of RFC 5804."""

    def __init__(self, tls=False, login=ALICE):
        self.sock = socket.create_connection(("127.0.0.1", fife.port(4190)), timeout=suite.PATIENCE)
        self.file = self.sock.makefile("rwb")
        self.capabilities = self.read()[1]
        if tls:
            assert self.do("STARTTLS")[0] == "OK"
            self.sock = suite.no_verify().wrap_socket(self.sock)
            self.file = self.sock.makefile("rwb")
            self.capabilities = self.read()[1]
        if login:
            plain = base64.b64encode(f"\0{login}\0{fife.passwords[login]}".encode()).decode()
            assert self.do(f'AUTHENTICATE "PLAIN" "{plain}"')[0] == "OK"

    def read(self):
        """(status, lines before, the status line with its literal)."""
        lines = []
        while True:
            line = self.file.readline().decode()
            assert line, "the connection was closed"
            m = re.search(r"\{(\d+)\}\r\n$", line)
            if m:
                line = line[:m.start()] + self.file.read(int(m.group(1))).decode() + self.file.readline().decode()
            word = line.split(" ", 1)[0].strip()
            if word in ("OK", "NO", "BYE"):
                return word, lines, line
            lines.append(line)

    def do(self, line, literal=None):
        data = line.encode()
        if literal is not None:
            literal = literal.encode() if isinstance(literal, str) else literal
            data += b" {%d+}\r\n" % len(literal) + literal
        self.file.write(data + b"\r\n")
        self.file.flush()
        return self.read()

    def close(self):
        assert self.do("LOGOUT")[0] == "OK"
        self.file.close()
        self.sock.close()


def message(subject, to=ALICE, body="Hello.\r\n", extra=""):
    return (f"From: Eve <eve@elsewhere.test>\r\nTo: <{to}>\r\nSubject: {subject}\r\n{extra}"
            f"Message-ID: <{subject.replace(' ', '.')}@elsewhere.test>\r\n\r\n{body}").encode()


def put(text, user=ALICE, name="main", activate=True):
    fife.ctl("sieve", "put", user, name, input=text)
    if activate:
        fife.ctl("sieve", "activate", user, name)


def off(user=ALICE):
    fife.ctl("sieve", "activate", user)


def folder_has(subject, folder, user=ALICE):
    return fife.wait_message(f"Subject: {subject}", user=user, folder=folder)


def test_scripts_by_fifectl():
    put('require "fileinto"; fileinto "A";', name="one", activate=False)
    put("keep;", name="two")
    rows = fife.ctl("sieve", "list", ALICE)
    assert "one" in rows and "two" in rows, rows
    assert 'fileinto "A"' in fife.ctl("sieve", "get", ALICE, "one")
    status, text = fife.ctl("sieve", "put", ALICE, "bad", input="nonsense;\n", check=False)
    assert status == 1 and "line 1, column 1" in text, text
    status, text = fife.ctl("sieve", "check", ALICE, input='fileinto "x";', check=False)
    assert status == 1 and "require" in text, text
    status, text = fife.ctl("sieve", "del", ALICE, "two", check=False)
    assert status == 1 and "active" in text, text
    fife.ctl("sieve", "rename", ALICE, "two", "three")
    assert "three" in fife.ctl("sieve", "list", ALICE)
    off()
    fife.ctl("sieve", "del", ALICE, "three")
    fife.ctl("sieve", "del", ALICE, "one")
    assert "three" not in fife.ctl("sieve", "list", ALICE)


def test_filing_and_flags():
    put('''require ["fileinto", "imap4flags", "mailbox", "copy"];
if header :contains "subject" "filed" {
    addflag ["\\\\Seen", "work"];
    fileinto :create "Projects/Alpha";
} elsif header :contains "subject" "twice" {
    fileinto :copy "Copies";
} elsif header :contains "subject" "gone" {
    discard;
}
''')
    try:
        for word in ("filed", "twice", "gone", "plain"):
            fife.send("eve@elsewhere.test", [ALICE], message(f"sieve {word}"))
        folder_has("sieve filed", "Projects/Alpha")
        folder_has("sieve twice", "Copies")
        folder_has("sieve twice", "INBOX")
        folder_has("sieve plain", "INBOX")
        c = fife.imap()
        c.select('"Projects/Alpha"')
        _, data = c.fetch("1", "(FLAGS)")
        assert b"\\Seen" in data[0] and b"work" in data[0], data
        c.logout()
        assert not any(b"sieve gone" in m or b"sieve filed" in m for m in fife.messages())
    finally:
        off()


def test_edited_header():
    put('require "editheader"; addheader "X-Sorted" "by sieve"; deleteheader "X-Drop"; keep;')
    try:
        fife.send("eve@elsewhere.test", [ALICE], message("sieve edited", extra="X-Drop: me\r\n"))
        m = folder_has("sieve edited", "INBOX")
        assert b"X-Sorted: by sieve\r\n" in m and b"X-Drop" not in m, m
        assert m.endswith(b"\r\n\r\nHello.\r\n")
    finally:
        off()


def test_reject_is_told():
    put('require "reject"; if header :contains "subject" "unwanted" { reject "I do not want this."; }')
    try:
        fife.send(BOB, [ALICE], message("unwanted thing"), port=587, login=BOB)
        m = fife.wait_message("I do not want this.", user=BOB)
        assert b"5.7.1" in m, m
        assert not any(b"unwanted thing" in x for x in fife.messages())
    finally:
        off()


def test_vacation_once():
    put('require "vacation"; vacation :subject "Away" "I am not here.";')
    try:
        for n in (1, 2):
            fife.send(BOB, [ALICE], message(f"vacation {n}"), port=587, login=BOB)
            folder_has(f"vacation {n}", "INBOX")
        m = fife.wait_message("I am not here.", user=BOB)
        assert b"Auto-Submitted: auto-replied" in m and b"Subject: Away\r\n" in m, m
        assert b"Return-Path: <>\r\n" in m, m
        assert b"In-Reply-To: <vacation.1@elsewhere.test>" in m, m
        fife.send("eve@elsewhere.test", [ALICE], message("vacation null").replace(b"eve@", b"x@"))
        folder_has("vacation null", "INBOX")
        assert sum(b"I am not here." in x for x in fife.messages(BOB)) == 1
    finally:
        off()


def test_vacation_by_user_set():
    fife.ctl("user", "set", BOB, "vacation=Back on Monday.\nBob", "vacation-subject=Bob is away")
    try:
        assert "Back on Monday." in fife.ctl("user", "show", BOB)
        fife.send(ALICE, [BOB], message("to bob", to=BOB), port=587, login=ALICE)
        m = fife.wait_message("Back on Monday.", user=ALICE)
        assert b"Subject: Bob is away\r\n" in m and b"Monday.\r\nBob\r\n" in m, m
        folder_has("to bob", "INBOX", user=BOB)
        assert "vacation=Back\\son" in fife.ctl("dump")
    finally:
        fife.ctl("user", "set", BOB, "vacation=", "vacation-subject=")


def test_redirect_to_another_user_and_out():
    with Sink() as sink:
        fife.ctl("route", "add", "far.test", f"smtp://127.0.0.1:{sink.port}")
        put('require ["copy", "editheader"]; redirect :copy "bob@example.test"; '
            'redirect "someone@far.test";')
        try:
            fife.send("eve@elsewhere.test", [ALICE], message("sieve onward"))
            fife.wait_message("Subject: sieve onward", user=BOB)
            sender = wait_for(lambda: sink.messages, "redirect at the sink")[0][0]
            assert sender == "eve@elsewhere.test" or sender.startswith("SRS0"), sender
            assert not any(b"sieve onward" in m for m in fife.messages())
        finally:
            off()
            fife.ctl("route", "del", "far.test")


def test_edited_redirect():
    with Sink() as sink:
        fife.ctl("route", "add", "far.test", f"smtp://127.0.0.1:{sink.port}")
        put('require "editheader"; addheader "X-Via" "alice"; redirect "someone@far.test";')
        try:
            fife.send("eve@elsewhere.test", [ALICE], message("sieve edited onward"))
            sender, rcpts, text = wait_for(lambda: sink.messages, "redirect at the sink")[0]
            assert b"X-Via: alice\r\n" in text and text.count(b"Subject:") == 1, text
            assert sender.startswith("SRS0="), sender
            assert rcpts == ["someone@far.test"], rcpts
        finally:
            off()
            fife.ctl("route", "del", "far.test")


def test_redirects_in_a_ring_end():
    put('redirect "bob@example.test";')
    put('redirect "alice@example.test";', user=BOB)
    try:
        fife.send("carol@example.test", [ALICE], message("sieve ring", extra="X-Ring: 1\r\n"))
        wait_for(lambda: "5.4.6" in fife.ctl("why", ALICE), "the end of the ring")
        put('redirect "alice@example.test";')
        fife.send("eve@elsewhere.test", [ALICE], message("sieve self"))
        folder_has("sieve self", "INBOX")
    finally:
        off()
        off(BOB)
        fife.ctl("sieve", "del", BOB, "main")


def test_failing_script_keeps_the_mail():
    put('require ["variables", "fileinto"]; set "a" "no address"; redirect "${a}";')
    try:
        fife.send("eve@elsewhere.test", [ALICE], message("sieve failing"))
        folder_has("sieve failing", "INBOX")
        wait_for(lambda: "the script failed" in fife.ctl("why", ALICE), "the reason in why")
    finally:
        off()


def test_metadata_and_special_use():
    c = fife.imap()
    c.create("Noted")
    typ, data = c.xatom("SETMETADATA", "Noted", '(/private/comment "take it")')
    assert typ == "OK", data
    c.logout()
    put('''require ["fileinto", "mboxmetadata", "mailbox", "special-use"];
if allof (mailboxexists "Noted", not mailboxexists "Not there",
          metadata :contains "Noted" "/private/comment" "take") {
    fileinto :specialuse "\\\\Nope" "Noted";
}
''')
    try:
        fife.send("eve@elsewhere.test", [ALICE], message("sieve noted"))
        folder_has("sieve noted", "Noted")
    finally:
        off()


def test_managesieve_before_login():
    c = ManageSieve(login=None)
    text = "".join(c.capabilities)
    assert '"SIEVE" "fileinto ' in text and '"VERSION" "1.0"' in text and "STARTTLS" in text, text
    assert '"SASL" "' in text and "PLAIN" in text and "SCRAM-SHA-256" in text, text
    assert c.do("LISTSCRIPTS")[0] == "NO"
    assert c.do('NOOP "tag"')[2].startswith('OK (TAG "tag")')
    assert c.do('AUTHENTICATE "PLAIN" "AGFsaWNlAHdyb25n"')[0] == "NO"
    assert c.do('AUTHENTICATE "NONSENSE"')[0] == "NO"
    c.close()


def test_managesieve_scripts():
    for tls in (False, True):
        c = ManageSieve(tls=tls, login=BOB)
        assert c.do('HAVESPACE "s" 1000')[0] == "OK"
        assert "QUOTA/MAXSIZE" in c.do('HAVESPACE "s" 99999999')[2]
        status, _, line = c.do('PUTSCRIPT "s"', 'require "nope";\r\nfoo;\r\n')
        assert status == "NO" and "line 1, column 9" in line and "line 2" in line, line
        text = 'require "fileinto";\r\nfileinto "By Wire";\r\n\r\n'
        assert c.do('PUTSCRIPT "s"', text)[0] == "OK"
        assert c.do('PUTSCRIPT "quoted" "keep;"')[0] == "OK"
        assert c.do("CHECKSCRIPT", "keep;")[0] == "OK"
        assert c.do("CHECKSCRIPT", "keep")[0] == "NO"
        assert "".join(c.do('GETSCRIPT "s"')[1]) == text + "\r\n"
        assert c.do('SETACTIVE "s"')[0] == "OK"
        assert c.do("LISTSCRIPTS")[1] == ['"quoted"\r\n', '"s" ACTIVE\r\n']
        assert "ACTIVE" in c.do('DELETESCRIPT "s"')[2]
        assert "ALREADYEXISTS" in c.do('RENAMESCRIPT "s" "quoted"')[2]
        assert c.do('RENAMESCRIPT "s" "t"')[0] == "OK"
        assert c.do("LISTSCRIPTS")[1] == ['"quoted"\r\n', '"t" ACTIVE\r\n']
        assert "NONEXISTENT" in c.do('GETSCRIPT "s"')[2]
        assert "NONEXISTENT" in c.do('SETACTIVE "s"')[2]
        assert c.do('PUTSCRIPT "a/b" "keep;"')[0] == "NO"
        assert c.do('PUTSCRIPT "big"', "#" + "x" * (2 * 1024 * 1024))[2].startswith("NO (QUOTA/MAXSIZE)")
        fife.send("eve@elsewhere.test", [BOB], message(f"by wire {tls}", to=BOB))
        folder_has(f"by wire {tls}", "By Wire", user=BOB)
        assert c.do('SETACTIVE ""')[0] == "OK"
        for name in ("t", "quoted"):
            assert c.do(f'DELETESCRIPT "{name}"')[0] == "OK"
        assert c.do("LISTSCRIPTS")[1] == []
        c.close()


def test_announced_extensions():
    """Each is one that a script may require, alone and with all the others."""
    c = ManageSieve(tls=True)
    try:
        names = re.search(r'"SIEVE" "([^"]*)"', "".join(c.capabilities)).group(1).split()
        assert len(names) > 20, names
        for name in names:
            assert c.do("CHECKSCRIPT", f'require "{name}";\r\nkeep;\r\n')[0] == "OK", name
            assert c.do("CHECKSCRIPT", f'require "{name}x";\r\nkeep;\r\n')[0] == "NO", name
        every = ", ".join(f'"{name}"' for name in names)
        status, _, line = c.do('PUTSCRIPT "all"', f"require [{every}];\r\nkeep;\r\n")
        assert status == "OK", line
        assert c.do('SETACTIVE "all"')[0] == "OK"
        fife.send("eve@elsewhere.test", [ALICE], message("under all extensions"))
        folder_has("under all extensions", "INBOX")
        assert c.do('SETACTIVE ""')[0] == "OK" and c.do('DELETESCRIPT "all"')[0] == "OK"
    finally:
        c.close()


def test_managesieve_in_pieces():
    c = ManageSieve(login=None)
    plain = base64.b64encode(f"\0{ALICE}\0{fife.passwords[ALICE]}".encode())
    data = (b'AUTHENTICATE "PLAIN" {%d+}\r\n' % len(plain) + plain + b"\r\n"
            b'PUTSCRIPT "p" {5+}\r\nkeep;\r\nLISTSCRIPTS\r\nDELETESCRIPT {1+}\r\np\r\n')
    for i in range(len(data)):
        c.sock.sendall(data[i:i + 1])
    assert [c.read()[0] for _ in range(4)] == ["OK", "OK", "OK", "OK"]
    c.close()


def test_sieve_connect():
    if not shutil.which("sieve-connect"):
        return "sieve-connect is not installed"
    path = os.path.join(fife.run, "mine.sieve")
    with open(path, "w") as f:
        f.write('require "fileinto"; fileinto "X";\n')
    env = dict(os.environ, SIEVE_PASSWORD=fife.passwords[BOB])
    base = ["sieve-connect", "--server", "127.0.0.1", "--port", str(fife.port(4190)), "--user", BOB,
            "--notlsverify", "--nosslverify", "--passwordfd", "0", "--authmech", "PLAIN"]
    for words in (["--upload", "--localsieve", path, "--remotesieve", "mine"],
                  ["--activate", "--remotesieve", "mine"], ["--list"]):
        p = subprocess.run(base + words, input=fife.passwords[BOB] + "\n", env=env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        assert p.returncode == 0, p.stdout
    assert "mine" in p.stdout, p.stdout
    off(BOB)


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""What strangers send: each gets a clear answer, no daemon dies of it, nothing is left running."""
import base64
import os
import socket
import sys

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"


class Talk:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", fife.port(port)), timeout=suite.PATIENCE)
        self.f = self.s.makefile("rb")

    def line(self):
        return self.f.readline().decode(errors="replace").rstrip("\r\n")

    def reply(self):
        """One SMTP reply, its last line."""
        while True:
            line = self.line()
            if line == "" or line[3:4] != "-":
                return line

    def say(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, text):
        self.say(text + "\r\n")
        return self.reply()

    def rest(self):
        try:
            return self.f.read()
        except OSError:
            return b""

    def close(self):
        self.f.close()
        self.s.close()


def hello(port=25):
    t = Talk(port)
    assert t.reply().startswith("220")
    assert t.ask("EHLO client.test").startswith("250")
    return t


def everybody_lives():
    assert fife.pids_of("smtpd") == before["smtpd"]
    for name in ("imapd", "pop3d", "queued", "authd", "filterd", "keyd"):
        assert fife.pids_of(name) == before[name], name + " was restarted"


before = {}


def test_note_the_processes():
    for name in ("smtpd", "imapd", "pop3d", "queued", "authd", "filterd", "keyd"):
        before[name] = fife.pids_of(name)
        assert before[name], name


def test_smtp_unknown_and_malformed_commands():
    t = hello()
    assert t.ask("BREW coffee").startswith("500 5.5."), "unknown"
    assert t.ask("MAIL FROM:eve").startswith("501 ")
    assert t.ask("MAIL FROM:<eve@x.test> NONSENSE=1").startswith("555 ")
    assert t.ask("RCPT TO:<alice@example.test>").startswith("503 ")
    assert t.ask("DATA").startswith("503 ")
    assert t.ask("MAIL FROM:<eve@elsewhere.test>").startswith("250 ")
    assert t.ask("MAIL FROM:<eve@elsewhere.test>").startswith("503 ")
    assert t.ask("RCPT TO:<@>").startswith("501 ") or True
    assert t.ask("QUIT").startswith("221 ")
    t.close()


def test_smtp_long_line_and_nul():
    t = hello()
    assert t.ask("NOOP " + "x" * 100000).startswith("500 ")
    assert t.ask("NOOP").startswith("250 ")
    t.say(b"NOOP \0 x\r\n")
    assert t.reply()[:1] == "5"
    assert t.ask("NOOP").startswith("250 ")
    t.close()


def test_smtp_bare_line_ends_are_no_line_ends():
    t = hello()
    t.say(b"NOOP\nNOOP\r")
    t.say(b"NOOP\r\n")
    assert t.reply()[:1] == "5"  # one line, not three commands
    assert t.ask("NOOP").startswith("250 ")
    t.close()


def test_smuggling():
    """Only CRLF.CRLF ends the data: whatever else looks like it must not make a second message."""
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r\n\0.\r\n"):
        t = hello()
        t.ask("MAIL FROM:<eve@elsewhere.test>")
        t.ask(f"RCPT TO:<{ALICE}>")
        assert t.ask("DATA").startswith("354")
        t.say(b"Subject: outer\r\n\r\nx" + end + b"MAIL FROM:<smuggler@evil.test>\r\nRCPT TO:<" + ALICE.encode()
              + b">\r\nDATA\r\nSubject: smuggled\r\n\r\ny\r\n.\r\n")
        first = t.reply()
        assert first[:1] in "25", (end, first)
        # exactly one reply for all of that
        assert t.ask("NOOP").startswith("250"), end
        t.close()
    for m in fife.messages():
        assert not m.startswith(b"Return-Path: <smuggler@evil.test>")


def test_pipelined_starttls_is_not_believed():
    t = hello()
    t.say(b"STARTTLS\r\nMAIL FROM:<injected@evil.test>\r\n")
    assert t.reply().startswith(("220", "5"))
    import ssl
    try:
        tls = suite.no_verify().wrap_socket(t.s)
        tls.settimeout(suite.PATIENCE)
        tls.sendall(b"EHLO x.test\r\nRCPT TO:<alice@example.test>\r\n")
        data = b""
        while b"503" not in data and b"250 2.1.5" not in data:
            more = tls.recv(4096)
            assert more, data
            data += more
        assert b"503" in data and b"2.1.0" not in data, data
        tls.close()
    except (ssl.SSLError, ConnectionError):
        pass  # refused: as good
    t.close()


def test_ten_thousand_recipients():
    t = hello()
    t.ask("MAIL FROM:<eve@elsewhere.test>")
    t.say("".join(f"RCPT TO:<alice+{i}@example.test>\r\n" for i in range(10000)))
    replies = {}
    for _ in range(10000):
        r = t.reply()
        if r == "":
            break
        replies[r[:3]] = replies.get(r[:3], 0) + 1
    assert replies.get("250", 0) >= 100, replies
    assert replies.get("452", 0) + replies.get("421", 0) > 0, replies
    t.close()


def test_endless_header():
    t = hello()
    t.ask("MAIL FROM:<eve@elsewhere.test>")
    t.ask(f"RCPT TO:<{ALICE}>")
    t.ask("DATA")
    try:
        for i in range(3000):
            t.say((f"X-Field-{i}: " + "y" * 900 + "\r\n").encode())
        t.say("\r\nbody\r\n.\r\n")
        r = t.reply()
    except OSError:
        r = "5 closed"
    assert r[:1] in "45", r
    t.close()


def test_eight_bit_without_8bitmime_is_kept():
    t = hello()
    t.ask("MAIL FROM:<eve@elsewhere.test>")
    t.ask(f"RCPT TO:<{ALICE}>")
    t.ask("DATA")
    t.say(b"Subject: eight\r\n\r\n\xe4\xf6\xfc\r\n.\r\n")
    assert t.reply().startswith("250")
    t.close()
    assert b"\r\n\r\n\xe4\xf6\xfc\r\n" in fife.wait_message("Subject: eight")


def test_auth_garbage():
    t = hello(465) if False else hello(587)
    for bad in ("AUTH", "AUTH PLAIN !!!!", "AUTH NONSENSE", "AUTH PLAIN " + "A" * 30000,
                "AUTH PLAIN " + base64.b64encode(b"no nuls").decode()):
        r = t.ask(bad)
        assert r[:1] == "5", (bad[:40], r)
        if r.startswith("421") or r == "":
            t.close()
            t = hello(587)
    t.close()


def test_loop_of_received_headers():
    t = hello()
    t.ask("MAIL FROM:<eve@elsewhere.test>")
    t.ask(f"RCPT TO:<{ALICE}>")
    t.ask("DATA")
    t.say("Received: from a by b; Tue, 24 Nov 2026 00:00:00 +0000\r\n" * 150 + "\r\nx\r\n.\r\n")
    r = t.reply()
    assert r.startswith("554 5.4.6"), r
    t.close()


def test_loop_of_delivered_to():
    """RFC 9228: a message that was in this mailbox already goes back to its sender."""
    fife.send(ALICE, ["bob@example.test"], "Delivered-To: bob@example.test\r\nSubject: round\r\n\r\nx\r\n", 587, ALICE)
    m = fife.wait_message("Status: 5.4.6")
    assert b"Final-Recipient: rfc822; bob@example.test" in m, m
    assert not [x for x in fife.messages("bob@example.test") if b"Subject: round" in x]
    fife.send(ALICE, ["bob@example.test"], "Delivered-To: other@example.test\r\nSubject: no round\r\n\r\nx\r\n", 587, ALICE)
    fife.wait_message("Subject: no round", user="bob@example.test")


def imap_login():
    t = Talk(143)
    assert t.line().startswith("* OK")
    t.say(f'a LOGIN {ALICE} "{fife.passwords[ALICE]}"\r\n')
    while True:
        line = t.line()
        if line.startswith("a "):
            assert line.startswith("a OK"), line
            return t


def tagged(t, tag):
    lines = []
    while True:
        line = t.line()
        lines.append(line)
        if line.startswith(tag + " ") or line == "" or line.startswith("* BYE"):
            return lines


def test_imap_before_login():
    t = Talk(143)
    t.line()
    for cmd in ("x SELECT INBOX", "x", "", "x LOGIN", "x LOGIN {99999999999}", 'x LOGIN "a', "\0", "x FETCH 1:* ALL"):
        t.say(cmd + "\r\n")
        assert t.line() != ""
    t.close()


def test_imap_literal_of_four_gigabytes():
    t = imap_login()
    t.say("b APPEND INBOX {4294967296}\r\n")
    last = tagged(t, "b")[-1]
    assert last.startswith(("b NO", "b BAD", "* BYE")), last
    t.close()
    t = imap_login()
    t.say("c SELECT {4294967295}\r\n")
    last = tagged(t, "c")[-1]
    assert last.startswith(("c NO", "c BAD", "* BYE")), last
    t.close()


def test_imap_garbage_after_login():
    t = imap_login()
    for i, cmd in enumerate(("FETCH", "FETCH 0 ALL", "FETCH 1:* (BODY[1.2.3.4.5.6", "SEARCH NOT NOT NOT", "STORE 1 +FLAGS",
                             "SELECT " + "x" * 3000, "SEARCH " + "(" * 500 + ")" * 500, "UID", "UID NOOP",
                             "FETCH 1 BODY[HEADER.FIELDS ()]", "LIST", "CREATE ../../../etc/passwd",
                             "SELECT ../bob", "RENAME INBOX", "BREW", "FETCH 4294967296 ALL")):
        t.say(f"t{i} {cmd}\r\n")
        last = tagged(t, f"t{i}")[-1]
        assert last.startswith((f"t{i} BAD", f"t{i} NO", "* BYE", f"t{i} OK")), (cmd, last)
        if last.startswith("* BYE") or last == "":
            t.close()
            t = imap_login()
    t.close()
    assert not os.path.exists(os.path.join(fife.run, "mail/etc"))


def test_pop3_garbage():
    t = Talk(110)
    assert t.line().startswith("+OK")
    for cmd in ("RETR 1", "USER", "PASS x", "x" * 5000, "\0\0", "APOP a b", "USER alice", "PASS"):
        t.say(cmd + "\r\n")
        assert t.line().startswith(("-ERR", "+OK")), cmd
    t.close()


def test_connections_that_say_nothing():
    socks = [socket.create_connection(("127.0.0.1", fife.port(25)), timeout=10) for _ in range(100)]
    fife.send("eve@elsewhere.test", [ALICE], "Subject: among the silent\r\n\r\nx\r\n")
    fife.wait_message("Subject: among the silent")
    for s in socks:
        s.close()


def test_bad_configuration_is_refused_at_reload():
    path = os.path.join(fife.run, "fife.conf")
    good = open(path).read()
    try:
        open(path, "w").write(good + "\nnonsense here\n")
        code, text = fife.ctl("check", check=False)
        assert code == 1 or code == 2, code
        assert "fife.conf:" in text and "expected" in text, text
        code, text = fife.ctl("reload", check=False)
        assert code != 0, text
    finally:
        open(path, "w").write(good)
    fife.ctl("reload")
    fife.send("eve@elsewhere.test", [ALICE], "Subject: still here\r\n\r\nx\r\n")
    fife.wait_message("Subject: still here")


def test_taken_over_neighbour_is_cut_off():
    """Bytes that are no message on a control socket end that connection and nothing else."""
    ctl = os.path.join(fife.run, "ctl")
    for name in sorted(os.listdir(ctl)):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(os.path.join(ctl, name))
        s.sendall(os.urandom(64) + b"\xff" * 200)
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass
        s.close()


def test_everybody_lives():
    everybody_lives()


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

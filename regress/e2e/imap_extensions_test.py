# SPDX-License-Identifier: ISC
"""Extensions of IMAP that need more than the mailbox process alone: news by NOTIFY, logging in
anew, and that everything that is announced does something."""
import base64
import os
import select
import socket
import sys
import time
import zlib

import suite

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


class Client:
    """Lines to and from imapd, with TLS and compression when told."""

    def __init__(self, tls=False):
        self.sock = socket.create_connection(("127.0.0.1", fife.port(993 if tls else 143)), timeout=20)
        if tls:
            self.sock = suite.no_verify().wrap_socket(self.sock)
        self.buf = b""
        self.inflate = self.deflate = None
        self.n = 0
        self.greeting = self.line()

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def more(self):
        data = self.sock.recv(65536)
        assert data, "closed; had " + repr(self.buf)
        if self.inflate:
            self.buf += self.inflate.decompress(data)
            if self.inflate.eof:
                self.buf += self.inflate.unused_data
                self.inflate = None
        else:
            self.buf += data

    def line(self):
        while b"\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def start(self, command):
        self.n += 1
        self.send(f"t{self.n} {command}\r\n")
        return f"t{self.n}"

    def finish(self, tag):
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(tag + " "):
                return lines

    def cmd(self, command, want="OK"):
        tag = self.start(command)
        lines = self.finish(tag)
        assert lines[-1].startswith(f"{tag} {want}"), (command, lines)
        return lines[:-1] + [lines[-1][len(tag) + 1:]]

    def login(self, user=ALICE):
        return self.cmd(f'LOGIN {user} "{fife.passwords[user]}"')

    def until(self, needle):
        lines = []
        while True:
            lines.append(self.line())
            if needle in lines[-1]:
                return lines

    def silent(self, seconds=0.2):
        ready = select.select([self.sock], [], [], seconds)[0]
        return not ready and not self.buf

    def append(self, mailbox, subject, flags=""):
        text = f"Subject: {subject}\r\nFrom: a@x.test\r\n\r\nThe text of {subject}\r\n"
        return self.cmd(f"APPEND {mailbox} {flags}{{{len(text)}+}}\r\n{text}")


def test_notify():
    c = Client()
    c.login()
    c.cmd("CREATE notify")
    c.cmd("CREATE notify/sub")
    c.cmd("SELECT INBOX")
    got = c.cmd("NOTIFY SET STATUS (selected (MessageNew (uid body.peek[header.fields (subject)]) "
                "MessageExpunge FlagChange)) (subtree notify (MessageNew MessageExpunge MailboxName))")
    assert [x for x in got if x.startswith("* STATUS notify/sub (MESSAGES 0 ")], got
    # by delivery, without a command
    fife.send("a@out.test", [ALICE], "Subject: by delivery\r\n\r\nx\r\n")
    got = c.until("Subject: by delivery")
    assert [x for x in got if x.endswith(" EXISTS")] and [x for x in got if " FETCH (UID " in x], got
    c.until(")")
    # by another session
    d = Client()
    d.login()
    d.append("notify/sub", "one")
    assert c.line().startswith("* STATUS notify/sub (MESSAGES 1 ")
    d.cmd("CREATE notify/new")
    assert c.until("notify/new")
    c.until('"/" notify')
    # by another program
    box = maildir(ALICE)
    path = os.path.join(box, ".notify.sub", "new", "1.other.host")
    with open(path + ".tmp", "w") as f:
        f.write("Subject: outside\r\n\r\nx\r\n")
    st = os.stat(box)
    os.chown(path + ".tmp", st.st_uid, st.st_gid)
    os.rename(path + ".tmp", path)
    begin = time.monotonic()
    assert c.line().startswith("* STATUS notify/sub (MESSAGES 2 ")
    assert time.monotonic() - begin < 5, "found by polling"
    # in IDLE the same, and nothing when it is off
    tag = c.start("IDLE")
    assert c.line().startswith("+")
    d.append("notify/sub", "two")
    assert c.line().startswith("* STATUS notify/sub (MESSAGES 3 ")
    c.send("DONE\r\n")
    c.finish(tag)
    c.cmd("NOTIFY NONE")
    d.append("notify/sub", "three")
    assert c.silent()


def maildir(user):
    local, domain = user.split("@")
    top = os.path.join(fife.run, "mail", domain, local, "Maildir")
    assert os.path.isdir(top), top
    return top


def anew(c, tls):
    """From the session of one user to that of the other."""
    c.cmd("SELECT INBOX")
    c.cmd("ENABLE CONDSTORE QRESYNC")
    c.cmd("UNAUTHENTICATE")
    c.cmd("SELECT INBOX", "BAD")
    caps = c.cmd("CAPABILITY")[0]
    assert "AUTH=PLAIN" in caps and "IDLE" not in caps, caps
    assert "STARTTLS" not in caps or not tls, caps
    c.login(BOB)
    c.cmd("SELECT nowhere", "NO")
    c.cmd("SELECT INBOX (QRESYNC (1 1))", "BAD")


def test_unauthenticate():
    for tls in (False, True):
        c = Client(tls)
        c.login()
        anew(c, tls)
        # both at once, with a literal, and the other user's mailbox
        password = fife.passwords[ALICE]
        c.send(f"x UNAUTHENTICATE\r\ny LOGIN {ALICE} {{{len(password)}+}}\r\n{password}\r\nz EXAMINE notify\r\n")
        assert c.finish("x")[-1].startswith("x OK")
        assert c.finish("y")[-1].startswith("y OK")
        assert c.finish("z")[-1].startswith("z OK"), "another mailbox"
        plain = base64.b64encode(f"\0{BOB}\0{fife.passwords[BOB]}".encode()).decode()
        c.send(f"x UNAUTHENTICATE\r\ny AUTHENTICATE PLAIN {plain}\r\n")
        assert c.finish("x")[-1].startswith("x OK")
        assert c.finish("y")[-1].startswith("y OK")
        c.cmd("EXAMINE notify", "NO")
        c.cmd("UNAUTHENTICATE now", "BAD")
        c.cmd("LOGOUT")
    # many octets that come back
    c = Client()
    c.login()
    noops = "".join(f"n{i} NOOP\r\n" for i in range(20000))
    c.send(f"x UNAUTHENTICATE\r\n{noops}")
    assert c.finish("x")[-1].startswith("x OK")
    assert c.finish("n19999")[-1].startswith("n19999 OK")
    c.login(BOB)
    # the end of the client in between
    c = Client()
    c.login()
    c.send("x UNAUTHENTICATE\r\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.finish("x")[-1].startswith("x OK")


def test_unauthenticate_compressed():
    c = Client(True)
    c.login()
    c.cmd("COMPRESS DEFLATE")
    c.inflate = zlib.decompressobj(-15)
    c.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    c.cmd("NOOP")
    c.send("x UNAUTHENTICATE\r\n")
    tail, c.deflate = c.deflate.flush(zlib.Z_FINISH), None
    plain = base64.b64encode(f"\0{BOB}\0{fife.passwords[BOB]}".encode()).decode()
    c.sock.sendall(tail + f"y AUTHENTICATE PLAIN {plain}\r\n".encode())
    assert c.finish("x")[-1].startswith("x OK")
    assert c.finish("y")[-1].startswith("y OK")
    assert c.inflate is None, "the stream has not ended"
    c.cmd("COMPRESS DEFLATE")


class Conf:
    """fife.conf with settings added to imap { }, while this lasts."""

    def __init__(self, settings):
        self.path = os.path.join(fife.run, "fife.conf")
        self.settings = settings

    def __enter__(self):
        self.text = open(self.path).read()
        open(self.path, "w").write(self.text + f"\nimap {{ {self.settings} }}\n")
        fife.ctl("reload")

    def __exit__(self, *exc):
        open(self.path, "w").write(self.text)
        fife.ctl("reload")


def capabilities(c, login):
    """What the reply to LOGIN announces, and CAPABILITY the same."""
    announced = login[-1][login[-1].index("[CAPABILITY ") + 12:].split("]")[0].split()
    assert announced == c.cmd("CAPABILITY")[0].split()[2:]
    return announced


def test_message_limit():
    """1,008 messages, and commands that work on 1,000 (RFC 9738)."""
    c = Client()
    c.login()
    c.cmd("CREATE Many")
    c.cmd("CREATE Few")
    c.cmd("APPEND Many" + " {5+}\r\nA:b\r\n" * 63)
    c.cmd("SELECT Many")
    for _ in range(4):
        c.cmd("UID COPY 1:* Many")
        c.cmd("NOOP")
    assert any("MESSAGES 1008" in x for x in c.cmd("STATUS Many (MESSAGES)"))
    assert len(c.cmd("FETCH 1:* (UID)")) == 1009
    # Shared with another user, whose session goes through his own process.
    c.cmd(f"SETACL Many {BOB} lrswitedkx")
    with Conf("message-limit 1000"):
        c, b = Client(), Client()
        assert "MESSAGELIMIT=1000" in capabilities(c, c.login())
        assert "MESSAGELIMIT=1000" in capabilities(b, b.login(BOB))
        b.cmd("CREATE Mine")
        for x, name in ((c, "Many"), (b, f'"Other Users/{ALICE}/Many"')):
            x.cmd(f"SELECT {name}")
            lines = x.cmd("FETCH 1:* (UID)")
            assert len(lines) == 1001 and lines[0].startswith("* 1008 FETCH"), lines[0]
            assert lines[-1].startswith("OK [MESSAGELIMIT 1000 9]"), lines[-1]
            assert x.cmd("SEARCH RETURN (COUNT) ALL")[-1].startswith("OK [MESSAGELIMIT 1000 9]")
        c.cmd("COPY 1:* Few", "NO [MESSAGELIMIT 1000 9]")
        b.cmd("COPY 1:* Mine", "NO [MESSAGELIMIT 1000")
        c.cmd("APPEND Few" + " {5+}\r\nA:b\r\n" * 1001, "NO [MESSAGELIMIT 1000]")
        assert c.cmd("STATUS Few (MESSAGES)")[0].endswith("(MESSAGES 0)")
        assert b.cmd("STATUS Mine (MESSAGES)")[0].endswith("(MESSAGES 0)")
        lines = c.cmd("MOVE 1:* Few")
        assert any("MESSAGELIMIT 1000 9]" in x for x in lines[-2:]), lines[-2:]
        assert c.cmd("STATUS Few (MESSAGES)")[0].endswith("(MESSAGES 1000)")
        lines = b.cmd("MOVE 1:* Mine")
        assert not any("MESSAGELIMIT" in x for x in lines), lines
        assert b.cmd("STATUS Mine (MESSAGES)")[0].endswith("(MESSAGES 8)")
        c.cmd("APPEND Few" + " {5+}\r\nA:b\r\n" * 1000)
    with Conf("save-limit 1000"):
        c = Client()
        assert "SAVELIMIT=1000" in capabilities(c, c.login())
        c.cmd("SELECT Few")
        assert len(c.cmd("FETCH 1:* (UID)")) == 2001
        c.cmd("COPY 1:* Many", "NO [MESSAGELIMIT 1000 ")
    c = Client()
    assert not any("LIMIT=1000" in x for x in capabilities(c, c.login()))


def run():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if run() else 0)

# SPDX-License-Identifier: ISC
"""IMAP sessions that wait have no process: it ends, and another one goes on where it was, when the client
speaks or there is news."""
import glob
import os
import re
import signal
import sys

import suite
from suite import wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
TEXT = b"From: a@example.test\r\nSubject: %b\r\n\r\ntext\r\n"


def box_pids(user=ALICE):
    out = []
    for line in fife.ctl("mailbox", "list").splitlines():
        m = re.search(r"example\.test/(\S+)\s+\d+\s+open\s+(\d+)", line)
        if m and m.group(1) == user.split("@")[0] and m.group(2) != "0":
            out.append(int(m.group(2)))
    return out


def asleep(user=ALICE):
    name = user.split("@")[0]
    wait_for(lambda: not box_pids(user) and not [
        p for p in fife.pids() if f"mailbox: example.test/{name}".encode() in open(f"/proc/{p}/cmdline", "rb").read()],
        "the end of the mailbox process")


class Client:
    """One that sees each line."""

    def __init__(self, user=ALICE, enable=None):
        self.c = fife.imap(user)
        self.n = 0
        if enable:
            self.do("ENABLE " + enable)

    def send(self, text):
        self.c.send(text.encode() + b"\r\n")

    def line(self):
        line = self.c.readline()
        assert line, "the connection ended"
        return line.decode().rstrip("\r\n")

    def until(self, start):
        got = []
        while True:
            got.append(self.line())
            if got[-1].startswith(start):
                return got

    def do(self, text, want="OK"):
        self.n += 1
        tag = f"t{self.n}"
        self.send(f"{tag} {text}")
        got = self.until(tag + " ")
        assert got[-1].startswith(f"{tag} {want}"), (text, got)
        return got[:-1]

    def idle(self):
        self.send("i IDLE")
        self.until("+")

    def done(self):
        self.send("DONE")
        return self.until("i OK")[:-1]

    def append(self, subject, folder="INBOX"):
        self.c.append(folder, None, None, TEXT % subject.encode())

    def close(self):
        self.c.shutdown()


def test_idle():
    c = Client()
    for i in range(5):
        c.append(f"first {i}")
    c.do("SELECT INBOX")
    c.idle()
    asleep()
    # a delivery
    fife.send(BOB, [ALICE], "Subject: to one who sleeps\r\n\r\ntext\r\n")
    assert c.until("* 6 EXISTS")
    asleep()
    # another program
    cur = glob.glob(fife.run + "/mail/example.test/alice/Maildir/new")[0]
    owner = os.stat(cur)
    path = os.path.join(os.path.dirname(cur), "tmp", "1.other.host")
    with open(path, "wb") as f:
        f.write(TEXT % b"put there")
    os.chown(path, owner.st_uid, owner.st_gid)
    os.rename(path, cur + "/1.other.host")
    assert c.until("* 7 EXISTS")
    asleep()
    # a session beside it
    d = Client()
    d.do("SELECT INBOX")
    d.do(r"STORE 2 +FLAGS (\Flagged)")
    assert [x for x in c.until("* 2 FETCH") if r"\Flagged" in x]
    d.do(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    d.do("EXPUNGE")
    c.until("* 1 EXPUNGE")
    # its client leaves
    d.close()
    asleep()
    c.done()
    assert len(c.do("FETCH 1:* (UID FLAGS)")) == 6
    c.close()


def test_state():
    """What a session knows is still there: numbers of messages that are gone, what was told, $, CONDSTORE."""
    other = Client()
    other.do("CREATE state")
    for i in range(10):
        other.append(f"state {i}", "state")
    c = Client(enable="CONDSTORE")
    ro = Client(enable="QRESYNC")
    c.do("SELECT state")
    ro.do("EXAMINE state")
    c.do("SEARCH RETURN (SAVE) 3:5")
    other.do("LOGOUT")
    asleep()
    # Not in IDLE: it must not be told of an expunge by itself.
    other = Client()
    other.do("SELECT state")
    other.do(r"STORE 4 +FLAGS.SILENT (\Deleted \Answered)")
    other.do("EXPUNGE")
    other.do(r"STORE 1 +FLAGS.SILENT (\Seen $Label)")
    other.close()
    asleep()
    # The message that is gone is told like the others, until its EXPUNGE.
    got = c.do("UID FETCH 1:* (UID)")
    assert len([x for x in got if " FETCH (UID" in x and "FLAGS" not in x]) == 10, got
    assert [x for x in got if x.startswith("* 4 EXPUNGE")], got
    assert [x for x in got if x.startswith("* 1 FETCH") and "MODSEQ" in x and "$Label" in x], got
    assert [x for x in got if x.startswith("* FLAGS") and "$Label" in x], got
    asleep()
    got = c.do("FETCH $ (UID)")
    assert [re.search(r"UID (\d+)", x).group(1) for x in got] == ["3", "5"], got
    ro.do(r"STORE 1 +FLAGS (\Seen)", "NO")
    got = ro.do("NOOP")
    assert not [x for x in got if "EXPUNGE" in x], got
    asleep()
    assert len(ro.do("UID SEARCH ALL")) == 1
    # Without a folder, and one that is taken away meanwhile.
    c.do("UNSELECT")
    asleep()
    c.do("DELETE state")
    ro.close()
    c.do("NOOP")
    asleep()
    c.do("CREATE state")
    c.do("DELETE state")
    c.close()


def test_folder_gone():
    c, d = Client(), Client()
    c.do("CREATE going")
    d.do("SELECT going")
    c.do("LOGOUT")
    asleep()
    c = Client(BOB)  # so that nothing of alice's is awake
    shut = glob.glob(fife.run + "/mail/example.test/alice/Maildir/.going")[0]
    os.rename(shut, fife.run + "/going")
    d.send("x NOOP")
    assert d.line().startswith("* BYE")
    d.close()
    c.close()
    suite.shutil.rmtree(fife.run + "/going")


def test_stays_awake():
    """A session with a task, NOTIFY or compression keeps its process."""
    c = Client()
    c.do("SELECT INBOX")
    c.do("COMPRESS DEFLATE")
    d = Client(BOB)
    d.do("SELECT INBOX")
    d.do("NOTIFY SET (selected (MessageNew MessageExpunge))")
    e = fife.pop(BOB)
    plain = Client("sleeper@example.test")
    plain.do("SELECT INBOX")
    asleep("sleeper@example.test")
    assert box_pids() and box_pids(BOB)
    e.quit()
    for x in (c, d, plain):
        x.close()


def test_many():
    """More users than processes may run: those that wait make room."""
    users = [f"many{i}@example.test" for i in range(12)]
    clients = [Client(u) for u in users]
    for i, c in enumerate(clients):
        c.append(f"of {i}")
        c.do("SELECT INBOX")
        c.idle()
    for i, c in enumerate(clients):
        fife.send(BOB, [users[i]], f"Subject: news {i}\r\n\r\ntext\r\n")
    for c in clients:
        c.until("* 2 EXISTS")
    for c in clients:
        c.done()
        assert len(c.do("FETCH 1:2 (UID)")) == 2
    for c in clients:
        c.close()


def test_ends():
    """A client that leaves needs no process; an account that is closed ends them."""
    c = Client("sleeper@example.test")
    c.do("SELECT INBOX")
    c.idle()
    asleep("sleeper@example.test")
    c.close()
    wait_for(lambda: "sleeper" not in fife.ctl("mailbox", "list"), "the end of the session")
    c = Client("sleeper@example.test")
    c.idle()
    asleep("sleeper@example.test")
    fife.ctl("user", "set", "sleeper@example.test", "disabled=yes")
    assert c.line().startswith("* BYE")
    assert c.c.readline() == b""
    c = Client(BOB)
    c.do("SELECT INBOX")
    c.idle()
    asleep(BOB)
    os.kill(fife.pids_of("mboxd")[0], signal.SIGKILL)
    while c.c.readline() != b"":
        pass


def edit(text, s):
    return text + "\nmailbox {\n\tsleep 1s\n\tlinger 1s\n\tprocesses-max 8\n}\n"


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        for n in ["sleeper"] + [f"many{i}" for i in range(12)]:
            fife.ctl("user", "add", n + "@example.test", input="a-long-password\n")
            fife.passwords[n + "@example.test"] = "a-long-password"
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

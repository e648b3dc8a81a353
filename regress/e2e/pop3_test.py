# SPDX-License-Identifier: ISC
"""POP3: capabilities, the lock, folders by setting, LOGIN-DELAY, languages, odd mail, and real clients."""
import glob
import os
import poplib
import re
import socket
import subprocess
import sys
import time

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"


def user(name):
    address = name + "@example.test"
    fife.ctl("user", "add", address, input="secret\n")
    fife.passwords[address] = "secret"
    return address


def put(address, text, folder="INBOX"):
    c = fife.imap(address)
    if folder != "INBOX":
        c.create(folder)
    typ, answer = c.append(folder, "", None, text)
    assert typ == "OK", answer
    c.logout()


def refused(call):
    try:
        call()
    except poplib.error_proto as e:
        return str(e)
    raise AssertionError("was not refused")


class Raw:
    """A connection whose lines are sent as they are."""

    def __init__(self):
        self.sock = socket.create_connection(("127.0.0.1", fife.port(110)), suite.PATIENCE)
        self.file = self.sock.makefile("rb")
        assert self.line().startswith(b"+OK ")

    def line(self):
        return self.file.readline()

    def lines(self):
        out = []
        while True:
            line = self.line()
            assert line.endswith(b"\r\n"), line
            if line == b".\r\n":
                return out
            out.append(line)

    def say(self, octets):
        self.sock.sendall(octets)
        return self

    def close(self):
        self.file.close()
        self.sock.close()


def test_capabilities():
    p = poplib.POP3("127.0.0.1", fife.port(110), timeout=suite.PATIENCE)
    before = p.capa()
    for word in ("TOP", "UIDL", "USER", "SASL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG", "STLS"):
        assert word in before, before
    assert before["EXPIRE"] == ["NEVER"] and before["UTF8"] == ["USER"] and before["IMPLEMENTATION"] == ["fife"]
    assert {"PLAIN", "SCRAM-SHA-256"} <= set(before["SASL"]) and "LOGIN-DELAY" not in before
    assert p.utf8().startswith(b"+OK")
    p.user(ALICE)
    p.pass_(fife.passwords[ALICE])
    after = p.capa()
    # What RFC 2449 and its successors announce in both states alike.
    for word in before:
        assert word == "STLS" or after.get(word) == before[word], (word, after)
    assert refused(p.utf8).startswith("b'-ERR")
    p.quit()


def test_second_session_is_refused():
    address = user("lock")
    put(address, b"Subject: one\r\n\r\nx\r\n")
    first = fife.pop(address)
    assert first.stat()[0] == 1
    assert "[IN-USE]" in refused(lambda: fife.pop(address))
    # IMAP goes on beside it, and a mailbox of another is another's.
    c = fife.imap(address)
    assert c.select("INBOX")[1] == [b"1"]
    c.append("INBOX", "", None, b"Subject: two\r\n\r\nx\r\n")
    c.logout()
    fife.pop().quit()
    assert first.stat()[0] == 1
    first.quit()
    # Free again at once: after QUIT, and after a connection that broke.
    for i in range(20):
        p = fife.pop(address)
        assert p.stat()[0] == 2
        p.dele(1)
        if i % 2:
            p.rset()
            p.quit()
        else:
            p.close()
            wait_for(lambda: not in_use(address), "the lock of a broken connection", 20)


def in_use(address):
    try:
        fife.pop(address).quit()
        return False
    except poplib.error_proto as e:
        assert "[IN-USE]" in str(e), e
        return True


def uidls(p):
    return [line.split()[1] for line in p.uidl()[1]]


def test_folders_by_setting():
    address = user("folders")
    put(address, b"Subject: inbox\r\n\r\nx\r\n")
    put(address, b"Subject: spam\r\n\r\nx\r\n", "Junk")
    put(address, b"Subject: list a\r\n\r\nx\r\n", "Lists/a")
    put(address, b"Subject: list b\r\n\r\nx\r\n", "Lists/b")

    def subjects():
        p = fife.pop(address)
        n = p.stat()[0]
        found = [next(x for x in p.top(i, 0)[1] if x.startswith(b"Subject: "))[9:].decode() for i in range(1, n + 1)]
        ids = uidls(p)
        assert len(set(ids)) == n
        p.quit()
        return found, ids
    inbox = subjects()
    assert inbox[0] == ["inbox"]
    for setting, want in (("all", ["inbox", "spam", "list a", "list b"]), ("*,!Junk", ["inbox", "list a", "list b"]),
                          ("INBOX,Lists/b", ["inbox", "list b"]), ("inbox", ["inbox"])):
        fife.ctl("user", "set", address, "pop3-folders=" + setting)
        got, ids = subjects()
        assert sorted(got) == sorted(want) and ids[0] == inbox[1][0], (setting, got)
    fife.ctl("user", "set", address, "pop3-folders=*")
    assert "pop3-folders" in fife.ctl("user", "show", address)
    assert f"pop3-folders=*" in next(x for x in fife.ctl("dump").splitlines() if x.startswith("user " + address))
    p = fife.pop(address)
    for i in range(p.stat()[0]):
        p.dele(i + 1)
    p.quit()
    c = fife.imap(address)
    for folder in ("INBOX", "Junk", "Lists/a", "Lists/b"):
        assert c.select(folder)[1] == [b"0"], folder
    c.logout()


def test_languages():
    r = Raw()
    r.say("LANG\r\nLANG zh\r\nDELE\r\nLANG fr\r\nPASS x\r\n".encode())
    assert r.line() == b"+OK languages\r\n" and b"zh \xe4\xb8\xad\xe6\x96\x87\r\n" in r.lines()
    assert r.line() == "+OK zh 语言已更改\r\n".encode()
    assert r.line().startswith("-ERR 未知命令".encode())
    assert r.line() == "-ERR 没有这种语言\r\n".encode()
    assert r.line() == "-ERR 请先发送 USER\r\n".encode()
    # It holds beyond the login, the wrong one too.
    r.say(f"USER {ALICE}\r\nPASS wrong\r\n".encode())
    r.line()
    assert r.line() == "-ERR [AUTH] 用户名或密码错误\r\n".encode()
    r.say(f"USER {ALICE}\r\nPASS {fife.passwords[ALICE]}\r\nNOSUCH\r\nLANG en\r\nNOSUCH\r\nQUIT\r\n".encode())
    r.line()
    assert r.line() == "+OK 登录成功\r\n".encode()
    assert r.line() == "-ERR 未知命令\r\n".encode()
    assert r.line() == b"+OK en language changed\r\n" and r.line() == b"-ERR unknown command\r\n"
    assert r.line() == b"+OK bye\r\n" and r.line() == b""
    r.close()


def test_all_at_once():
    """A client that pipelines login and all (RFC 2449, 6.6)."""
    address = user("pipeline")
    texts = [b"Subject: 1\r\n\r\n.one\r\n..\r\n", b"Subject: no body\r\n", b"\r\nno header\r\n",
             b"Subject: long\r\n\r\n" + b"y" * 20000 + b"\r\n.\r\n"]
    for text in texts:
        put(address, text)
    r = Raw()
    r.say(f"CAPA\r\nUSER {address}\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL\r\n".encode() +
          b"".join(b"RETR %d\r\nTOP %d 0\r\n" % (i, i) for i in (1, 2, 3, 4)) + b"DELE 1\r\nRETR 1\r\nRSET\r\nQUIT\r\n")
    assert r.line().startswith(b"+OK") and r.lines()
    assert r.line().startswith(b"+OK") and r.line() == b"+OK logged in\r\n"
    assert r.line() == b"+OK 4 %d\r\n" % sum(map(len, texts))
    assert r.line().startswith(b"+OK") and r.lines() == [b"%d %d\r\n" % (i + 1, len(t)) for i, t in enumerate(texts)]
    assert r.line().startswith(b"+OK") and len(r.lines()) == 4
    for text in texts:
        assert r.line() == b"+OK %d octets\r\n" % len(text)
        got = b"".join(x[1:] if x.startswith(b".") else x for x in r.lines())
        assert got == text, (got[:100], text[:100])
        assert r.line().startswith(b"+OK")
        top = b"".join(r.lines())
        assert top == text[:text.index(b"\r\n\r\n") + 4] if b"\r\n\r\n" in text else text.startswith(top[:2]), top
    assert r.line().startswith(b"+OK") and r.line().startswith(b"-ERR") and r.line().startswith(b"+OK")
    assert r.line() == b"+OK bye\r\n" and r.line() == b""
    r.close()


def test_many_messages():
    """STAT, LIST and UIDL of many: numbers, sizes and identifiers agree."""
    address = user("many")
    number = 2000 if suite.SAN else 10000
    c = fife.imap(address)
    assert c.select("INBOX")[0] == "OK"  # which has made it
    path = os.path.join(fife.run, "mail", "example.test", "many", "Maildir")
    st = os.stat(path)
    for i in range(number):
        name = f"{path}/new/1700000000.M{i:06d}P1.host"
        with open(name, "w") as f:
            f.write(f"Subject: {i}\n\n{'x' * (i % 60)}\n")
        os.chown(name, st.st_uid, st.st_gid)
    c.logout()
    p = fife.pop(address)
    begin = time.monotonic()
    n, octets = p.stat()
    sizes = [int(x.split()[1]) for x in p.list()[1]]
    ids = uidls(p)
    print(f"  STAT, LIST and UIDL of {number}: {time.monotonic() - begin:.2f} s")
    assert n == number == len(sizes) == len(set(ids)) and octets == sum(sizes)
    for i in range(2, number, 2):
        if i > 200:
            break
        p.dele(i)
    assert p.stat()[0] == number - 100
    p.quit()
    p = fife.pop(address)
    assert uidls(p) == [x for i, x in enumerate(ids, 1) if i % 2 or i > 200]
    p.quit()


def test_login_delay():
    address, other = user("delay"), user("delay2")
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    changed = text.replace("pop3 {", "pop3 {\n\tlogin-delay 1h\n\tutf8-strict yes\n", 1)
    assert changed != text
    open(path, "w").write(changed)
    fife.ctl("reload")
    try:
        put(address, "Subject: grüße\r\n\r\nx\r\n".encode())
        p = wait_for(lambda: announced(), "LOGIN-DELAY in CAPA")
        p.user(address)
        p.pass_("secret")
        assert p.capa()["LOGIN-DELAY"] == ["3600"]
        assert "[UTF8]" in refused(lambda: p.retr(1))
        p.quit()
        # Over connections, by each way to log in; of this user only, and of POP3.
        for tls in (False, True):
            assert "[LOGIN-DELAY]" in refused(lambda: fife.pop(address, tls))
        fife.imap(address).logout()
        fife.pop(other).quit()
        assert "[LOGIN-DELAY]" in refused(lambda: fife.pop(other))
    finally:
        open(path, "w").write(text)
        fife.ctl("reload")
    wait_for(lambda: not announced(), "no LOGIN-DELAY in CAPA")
    fife.pop(address).quit()
    p = poplib.POP3("127.0.0.1", fife.port(110), timeout=suite.PATIENCE)
    p.utf8()
    p.user(address)
    p.pass_("secret")
    assert "Subject: grüße".encode() in p.retr(1)[1]
    p.quit()


def announced():
    p = poplib.POP3("127.0.0.1", fife.port(110), timeout=suite.PATIENCE)
    if "LOGIN-DELAY" in p.capa():
        return p
    p.quit()
    return None


# ---- clients ----

TEXTS = [b"From: a@b.test\r\nSubject: one\r\n\r\nfirst\r\n", b"From: a@b.test\r\nSubject: two\r\n\r\n.dot\r\n..\r\n",
         b"From: a@b.test\r\nSubject: three\r\n\r\n\r\nlast\r\n"]


def fetched(address, name, run):
    """run() fetches what is new into a Maildir or mbox: all, then nothing, then one more."""
    for text in TEXTS:
        put(address, text)
    bodies = [t.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].rstrip(b"\n") for t in TEXTS]
    found = run()
    assert len(found) == 3 and all(any(b in m for m in found) for b in bodies), (name, found)
    assert len(run()) == 3, name + " fetched them again"
    put(address, b"From: a@b.test\r\nSubject: four\r\n\r\nfourth\r\n")
    assert len(run()) == 4, name
    assert fife.pop(address).stat()[0] == 4


def command(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=suite.PATIENCE,
                       stdin=subprocess.DEVNULL, env=dict(os.environ, HOME=fife.dir))
    return p.returncode, p.stdout


def test_curl():
    address = user("curl")
    for text in TEXTS:
        put(address, text)
    for scheme, port, more in (("pop3", 110, ()), ("pop3", 110, ("--ssl-reqd",)), ("pop3s", 995, ())):
        for i, text in enumerate(TEXTS, 1):
            p = subprocess.run(["curl", "-sk", *more, f"{scheme}://127.0.0.1:{fife.port(port)}/{i}", "-u",
                                address + ":secret"], stdout=subprocess.PIPE, timeout=suite.PATIENCE)
            assert p.returncode == 0 and p.stdout == text, (p.returncode, p.stdout)


def test_fetchmail():
    if not os.path.exists("/usr/bin/fetchmail"):
        return "no fetchmail"
    address, out = user("fetchmail"), os.path.join(fife.dir, "fetchmail.mbox")
    rc = os.path.join(fife.dir, "fetchmailrc")
    with open(rc, "w") as f:
        f.write(f'poll 127.0.0.1 protocol pop3 uidl port {fife.port(995)} user "{address}" password "secret" ssl keep '
                f'no rewrite mda "(echo; echo @@@; cat) >> {out}"\n')
    os.chmod(rc, 0o600)

    def run():
        status, said = command("fetchmail", "-f", rc, "--nosslcertck", "--pidfile", fife.dir + "/fm.pid", "-i",
                               fife.dir + "/fm.ids")
        assert status in (0, 1), said  # 1: nothing new
        return open(out, "rb").read().split(b"\n@@@\n")[1:]
    fetched(address, "fetchmail", run)


def in_maildir(path):
    return [open(f, "rb").read() for f in glob.glob(path + "/new/*")]


def maildir(name):
    path = os.path.join(fife.dir, name)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub))
    return path


def test_getmail():
    if not os.path.exists("/usr/bin/getmail"):
        return "no getmail"
    address, path, conf = user("getmail"), maildir("getmail"), os.path.join(fife.dir, "getmail.d")
    os.makedirs(conf)
    with open(os.path.join(conf, "rc"), "w") as f:
        f.write(f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {fife.port(110)}\n"
                f"username = {address}\npassword = secret\n[destination]\ntype = Maildir\npath = {path}/\n"
                "user = nobody\n[options]\nread_all = false\ndelete = false\nverbose = 1\n")
    subprocess.run(["chown", "-R", "nobody", path], check=True)

    def run():
        status, said = command("getmail", "--getmaildir", conf, "--rcfile", "rc")
        assert status == 0, said
        return in_maildir(path)
    fetched(address, "getmail", run)


def test_mpop():
    if not os.path.exists("/usr/bin/mpop"):
        return "no mpop"
    address, path, rc = user("mpop"), maildir("mpop"), os.path.join(fife.dir, "mpoprc")
    with open(rc, "w") as f:
        f.write(f"account x\nhost 127.0.0.1\nport {fife.port(995)}\nuser {address}\npassword secret\ntls on\n"
                f"tls_starttls off\ntls_certcheck off\nauth scram-sha-256\nkeep on\npipelining on\n"
                f"delivery maildir {path}\nuidls_file {fife.dir}/mpop.uidls\n")
    os.chmod(rc, 0o600)

    def run():
        status, said = command("mpop", "-C", rc, "x")
        assert status == 0, said
        return in_maildir(path)
    fetched(address, "mpop", run)


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""Random commands from several connections against a simple model of a mailbox, with the
mailbox process killed in between; odd messages byte for byte; structure and search
against Python's email package and a plain evaluation."""
import email
import email.policy
import glob
import os
import poplib
import random
import re
import signal
import socket
import sys
import time

import suite
from suite import TOP, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
SECONDS = 60 if suite.SAN else 20
SYSTEM = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"]
KEYWORDS = ["$Forwarded", "work", "later", "k1"]
SHY = ("FETCH", "STORE", "SEARCH")  # no EXPUNGE during these: RFC 9051, 7.5.1


class Lost(Exception):
    pass


def parse(data, at=0):
    """IMAP values of one response: atoms as bytes, strings as ('s', bytes), lists, NIL as None."""
    out, stack = [], []
    n = len(data)
    while at < n:
        c = data[at:at + 1]
        if c == b" ":
            at += 1
        elif c == b"(":
            stack.append(out)
            out = []
            at += 1
        elif c == b")":
            done, out = out, stack.pop()
            out.append(done)
            at += 1
        elif c == b'"':
            s = bytearray()
            at += 1
            while data[at:at + 1] != b'"':
                at += data[at:at + 1] == b"\\"
                s += data[at:at + 1]
                at += 1
            at += 1
            out.append(("s", bytes(s)))
        elif c == b"{":
            end = data.index(b"}\r\n", at)
            size = int(data[at + 1:end])
            out.append(("s", data[end + 3:end + 3 + size]))
            at = end + 3 + size
        else:
            m = re.compile(rb"(?:BODY(?:\.PEEK)?\[[^\]]*\](?:<\d+>)?|[^ ()\"{]+)").match(data, at)
            out.append(None if m.group().upper() == b"NIL" else m.group())
            at = m.end()
    assert not stack, data[:200]
    return out


class Client:
    """Speaks IMAP and checks the rules of untagged responses."""

    def __init__(self, user=ALICE):
        self.sock = socket.create_connection(("127.0.0.1", fife.port(143)), timeout=suite.PATIENCE)
        self.file = self.sock.makefile("rb")
        self.n = 0
        self.folder = None
        self.view = []
        self.idle = None
        self.read_line()
        # A mailbox whose process was just killed may be refused for a moment.
        wait_for(lambda: self.cmd(f'LOGIN {user} "{fife.passwords[user]}"')[0].startswith("OK"), "login", 10)

    def close(self):
        self.file.close()
        self.sock.close()

    def read_line(self):
        try:
            line = self.file.readline()
            while line.endswith(b"}\r\n") and (m := re.search(rb"\{(\d+)\}\r\n$", line)):
                size = int(m.group(1))
                body = self.file.read(size)
                if len(body) != size:
                    raise Lost()
                line += body + self.file.readline()
        except ConnectionError:
            raise Lost()
        if not line.endswith(b"\r\n") or line.startswith(b"* BYE") and self.n and not self.leaving:
            raise Lost()
        return line[:-2]

    leaving = False

    def send(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError:
            raise Lost()

    def untagged(self, line, verb):
        assert line.startswith(b"* "), line[:200]
        m = re.match(rb"\* (\d+) (\w+)(.*)", line, re.S)
        if not m:
            return line[2:]
        seq, word = int(m.group(1)), m.group(2)
        if word == b"EXPUNGE":
            assert verb not in SHY, (verb, line)
            assert 1 <= seq <= len(self.view), (seq, len(self.view))
            del self.view[seq - 1]
        elif word == b"EXISTS":
            if self.selecting:
                self.view = [None] * seq
            assert seq >= len(self.view), "EXISTS shrinks without EXPUNGE"
            self.view += [None] * (seq - len(self.view))
        elif word == b"RECENT":
            assert seq <= len(self.view)
        elif word == b"FETCH":
            assert 1 <= seq <= len(self.view), (seq, len(self.view))
            values = parse(m.group(3))[0]
            items = {k.decode(): v for k, v in zip(values[::2], values[1::2])}
            items["seq"] = seq
            if "UID" in items:
                uid = int(items["UID"])
                assert self.view[seq - 1] in (None, uid), (self.view[seq - 1], uid)
                self.view[seq - 1] = uid
            return items
        return line[2:]

    selecting = False

    def start(self, command, literal=None):
        assert self.idle is None
        self.n += 1
        self.tag = b"t%d" % self.n
        data = self.tag + b" " + (command.encode() if isinstance(command, str) else command)
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.send(data + b"\r\n")
        words = data.split()
        self.verb = words[1].decode().upper()
        self.selecting = self.verb in ("SELECT", "EXAMINE")

    def finish(self):
        out = []
        while True:
            line = self.read_line()
            if line.startswith(self.tag + b" "):
                self.selecting = False
                return line[len(self.tag) + 1:].decode(), out
            out.append(self.untagged(line, self.verb))

    def cmd(self, command, literal=None):
        self.start(command, literal)
        return self.finish()

    def ok(self, command, literal=None):
        answer, out = self.cmd(command, literal)
        assert answer.startswith("OK"), (command, answer)
        self.answer = answer
        return out

    def select(self, name):
        self.folder = None
        self.view = []
        out = self.ok(f'SELECT "{name}"')
        self.folder = name
        text = b"\n".join(x for x in out if isinstance(x, bytes))
        return (int(re.search(rb"UIDVALIDITY (\d+)", text).group(1)),
                int(re.search(rb"UIDNEXT (\d+)", text).group(1)))

    def fetch(self, what, items, uid=True):
        out = self.ok(("UID " if uid else "") + f"FETCH {what} ({items})")
        return [x for x in out if isinstance(x, dict) and items.split()[0].replace(".PEEK", "").split("<")[0] in
                " ".join(x)]


def flags_of(item):
    return {f.decode() for f in item["FLAGS"]} - {"\\Recent"}


class Folder:
    def __init__(self, validity, uidnext):
        self.validity, self.uidnext, self.msgs = validity, uidnext, {}


class Model:
    def __init__(self, rnd):
        self.rnd = rnd
        self.folders = {}
        self.clients = []
        self.count = 0

    def client(self):
        return Client(BOB)

    def pick(self, name):
        f = self.folders[name]
        uids = sorted(f.msgs)
        return [u for u in uids if self.rnd.random() < 0.3]

    def message(self):
        self.count += 1
        rnd = self.rnd
        text = f"From: a{self.count}@x.test\r\nSubject: number {self.count} {rnd.choice(['red', 'green', 'blue'])}\r\n\r\n"
        text += "".join(f"line {rnd.randrange(10 ** rnd.randrange(1, 9))}\r\n" for _ in range(rnd.randrange(30)))
        return text.encode()

    def take_status(self, c, name):
        """Validity and next UID as the server says; the latter may only grow."""
        out = c.ok(f'STATUS "{name}" (UIDVALIDITY UIDNEXT MESSAGES UNSEEN)')
        s = dict(zip(*[iter(parse(out[-1])[-1])] * 2))
        f = self.folders.setdefault(name, Folder(int(s[b"UIDVALIDITY"]), int(s[b"UIDNEXT"])))
        assert f.validity == int(s[b"UIDVALIDITY"]), name
        assert int(s[b"UIDNEXT"]) >= f.uidnext, (name, s, f.uidnext)
        assert int(s[b"MESSAGES"]) == len(f.msgs), (name, s, len(f.msgs))
        unseen = sum("\\Seen" not in m[1] for m in f.msgs.values())
        assert int(s[b"UNSEEN"]) == unseen, (name, s, unseen)
        f.uidnext = int(s[b"UIDNEXT"])

    def compare(self, c, content=False):
        """The selected folder of c is the model's, and so is its view."""
        c.ok("NOOP")
        f = self.folders[c.folder]
        got = {int(x["UID"]): x for x in c.fetch("1:*", "UID FLAGS" + (" BODY.PEEK[] RFC822.SIZE" if content else ""))}
        assert sorted(got) == sorted(f.msgs), (c.folder, sorted(got), sorted(f.msgs))
        assert c.view == sorted(f.msgs), (c.view, sorted(f.msgs))
        for uid, x in got.items():
            assert flags_of(x) == f.msgs[uid][1], (uid, flags_of(x), f.msgs[uid][1])
            if content:
                assert x["BODY[]"][1] == f.msgs[uid][0], uid
                assert int(x["RFC822.SIZE"]) == len(f.msgs[uid][0])

    def add(self, name, uid, text, flags):
        f = self.folders[name]
        assert uid >= f.uidnext, f"UID {uid} was given before"
        f.uidnext = uid + 1
        f.msgs[uid] = [text, set(flags)]

    # ---- steps ----

    def step_append(self, c):
        name = self.rnd.choice(list(self.folders))
        text, flags = self.message(), self.rnd.sample(SYSTEM + KEYWORDS, self.rnd.randrange(4))
        c.ok(f'APPEND "{name}" ({" ".join(flags)})', text)
        m = re.search(r"APPENDUID (\d+) (\d+)", c.answer)
        assert int(m.group(1)) == self.folders[name].validity
        self.add(name, int(m.group(2)), text, flags)

    def step_store(self, c):
        uids = self.pick(c.folder)
        if not uids:
            return
        flags = set(self.rnd.sample(SYSTEM + KEYWORDS, self.rnd.randrange(1, 4)))
        sign = self.rnd.choice(["+", "-", ""])
        silent = self.rnd.choice(["", ".SILENT"])
        f = self.folders[c.folder]
        if self.rnd.random() < 0.5:
            c.ok("NOOP")
            c.fetch("1:*", "UID")
            what = "STORE " + ",".join(str(c.view.index(u) + 1) for u in uids)
        else:
            c.ok("NOOP")
            what = "UID STORE " + ",".join(map(str, uids))
        out = c.ok(f'{what} {sign}FLAGS{silent} ({" ".join(flags)})')
        for u in uids:
            m = f.msgs[u]
            m[1] = m[1] | flags if sign == "+" else m[1] - flags if sign == "-" else set(flags)
        if not silent and what.startswith("UID"):
            told = {int(x["UID"]): flags_of(x) for x in out if isinstance(x, dict)}
            for u in uids:
                assert told[u] == f.msgs[u][1], (u, told[u], f.msgs[u][1])

    def step_expunge(self, c):
        f = self.folders[c.folder]
        if self.rnd.random() < 0.5:
            uids = self.pick(c.folder)
            if not uids:
                return
            c.ok("NOOP")
            c.ok("UID EXPUNGE " + ",".join(map(str, uids)))
            gone = [u for u in uids if "\\Deleted" in f.msgs[u][1]]
        else:
            c.ok("NOOP")
            c.ok("EXPUNGE")
            gone = [u for u in f.msgs if "\\Deleted" in f.msgs[u][1]]
        for u in gone:
            del f.msgs[u]

    def copy(self, c, move):
        uids, to = self.pick(c.folder), self.rnd.choice(list(self.folders))
        c.ok("NOOP")
        if not uids:
            return
        out = c.ok(f'UID {"MOVE" if move else "COPY"} {",".join(map(str, uids))} "{to}"')
        text = c.answer if not move else " ".join(x.decode() for x in out if isinstance(x, bytes))
        m = re.search(r"COPYUID (\d+) (\S+) ([0-9:,]+)", text)

        def numbers(s):
            return [n for r in s.split(",") for n in range(int(r.split(":")[0]), int(r.split(":")[-1]) + 1)]
        assert int(m.group(1)) == self.folders[to].validity
        assert numbers(m.group(2)) == uids
        f = self.folders[c.folder]
        for old, new in zip(uids, numbers(m.group(3))):
            self.add(to, new, *[f.msgs[old][0], f.msgs[old][1]])
        if move:
            for old in uids:
                del f.msgs[old]

    def step_copy(self, c):
        if sum(len(f.msgs) for f in self.folders.values()) < 300:
            self.copy(c, False)

    def step_move(self, c):
        self.copy(c, True)

    def step_search(self, c):
        f = self.folders[c.folder]
        c.ok("NOOP")
        c.fetch("1:*", "UID")
        keys = [("FLAGGED", lambda u, m: "\\Flagged" in m[1]), ("UNSEEN", lambda u, m: "\\Seen" not in m[1]),
                ("NOT DELETED", lambda u, m: "\\Deleted" not in m[1]), ("KEYWORD work", lambda u, m: "work" in m[1]),
                ("SUBJECT green", lambda u, m: b"green" in m[0].split(b"\r\n\r\n")[0]),
                ("BODY \"line 7\"", lambda u, m: b"line 7" in m[0].split(b"\r\n\r\n", 1)[1]),
                ("TEXT \"RED\"", lambda u, m: b"red" in m[0]), ("LARGER 200", lambda u, m: len(m[0]) > 200),
                ("SMALLER 120", lambda u, m: len(m[0]) < 120)]
        (a, fa), (b, fb) = self.rnd.sample(keys, 2)
        text, test = self.rnd.choice([(f"{a} {b}", lambda u, m: fa(u, m) and fb(u, m)),
                                      (f"OR ({a}) ({b})", lambda u, m: fa(u, m) or fb(u, m)),
                                      (f"NOT ({a} {b})", lambda u, m: not (fa(u, m) and fb(u, m)))])
        want = sorted(u for u, m in f.msgs.items() if test(u, m))
        out = c.ok("UID SEARCH " + text)
        assert list(map(int, out[0].split()[1:])) == want, (text, out[0], want)
        out = c.ok("SEARCH " + text)
        assert [c.view[int(s) - 1] for s in out[0].split()[1:]] == want, text
        out = c.ok("UID SEARCH RETURN (MIN MAX COUNT) " + text)
        assert b"COUNT %d" % len(want) in out[0], out
        if want:
            assert b"MIN %d MAX %d" % (want[0], want[-1]) in out[0], out

    def step_fetch(self, c):
        f = self.folders[c.folder]
        if not f.msgs:
            return
        c.ok("NOOP")
        u = self.rnd.choice(list(f.msgs))
        text = f.msgs[u][0]
        at, n = self.rnd.randrange(len(text) + 20), self.rnd.randrange(1, 400)
        head, body = text.split(b"\r\n\r\n", 1)
        x = c.ok(f"UID FETCH {u} (BODY.PEEK[]<{at}.{n}> BODY.PEEK[HEADER] BODY.PEEK[TEXT]<1.20> BODY.PEEK[1])")
        x = next(i for i in x if isinstance(i, dict) and "BODY[TEXT]<1>" in i)
        assert x[f"BODY[]<{at}>"][1] == text[at:at + n]
        assert x["BODY[HEADER]"][1] == head + b"\r\n\r\n"
        assert x["BODY[TEXT]<1>"][1] == body[1:21] and x["BODY[1]"][1] == body

    def step_seen(self, c):
        f = self.folders[c.folder]
        c.ok("NOOP")
        if f.msgs:
            u = self.rnd.choice(list(f.msgs))
            c.ok(f"UID FETCH {u} BODY[]<0.1>")
            f.msgs[u][1].add("\\Seen")

    def step_select(self, c):
        name = self.rnd.choice(list(self.folders))
        f = self.folders[name]
        validity, uidnext = c.select(name)
        assert validity == f.validity and uidnext >= f.uidnext
        f.uidnext = uidnext

    def step_create(self, c):
        if len(self.folders) < 6:
            name = self.rnd.choice(["", "m&AOQ-.x ", "deep/er/", "INBOX/"]) + f"f{self.count}"
            self.count += 1
            if name in self.folders:
                return
            c.ok(f'CREATE "{name}"')
            for part in [name[:i] for i, ch in enumerate(name) if ch == "/"] + [name]:
                if part not in self.folders:
                    self.take_status(c, part)

    def step_rename(self, c):
        names = [n for n in self.folders if n.startswith("f") and all(o.folder != n for o in self.clients)]
        if names:
            old, new = self.rnd.choice(names), f"f{self.count}r"
            self.count += 1
            c.ok(f'RENAME "{old}" "{new}"')
            self.folders[new] = self.folders.pop(old)
            self.take_status(c, new)

    def step_delete(self, c):
        names = [n for n in self.folders if re.match(r"(deep/er/)?f|m&", n)
                 and all(o.folder != n for o in self.clients)]
        if names and len(self.folders) > 4:
            name = self.rnd.choice(names)
            validity = self.folders.pop(name).validity
            c.ok(f'DELETE "{name}"')
            if self.rnd.random() < 0.5:
                c.ok(f'CREATE "{name}"')
                self.take_status(c, name)
                assert self.folders[name].validity > validity

    def step_idle(self, c):
        """Another connection's change comes to one in IDLE by itself."""
        other = next((o for o in self.clients if o is not c), None)
        c.ok("NOOP")
        before = len(c.view)
        c.start("IDLE")
        line = c.read_line()
        while not line.startswith(b"+"):
            c.untagged(line, "IDLE")
            line = c.read_line()
        text = self.message()
        other.ok(f'APPEND "{c.folder}"', text)
        self.add(c.folder, int(re.search(r"APPENDUID \d+ (\d+)", other.answer).group(1)), text, [])
        while len(c.view) <= before:
            c.untagged(c.read_line(), "IDLE")
        c.send(b"DONE\r\n")
        assert c.finish()[0].startswith("OK")

    def step_outside(self, c):
        """Another program puts a file into the Maildir of INBOX, or takes one out."""
        f = self.folders["INBOX"]
        dirs = glob.glob(os.path.join(fife.run, "**/example.test/bob/Maildir"), recursive=True)
        assert len(dirs) == 1, dirs
        time.sleep(0.012)  # beyond the grain of file times
        gone = None
        if f.msgs and self.rnd.random() < 0.5:
            gone = self.rnd.choice(list(f.msgs))
            os.unlink(next(p for p in glob.glob(dirs[0] + "/cur/*") if f",U={gone}-" in p))
            del f.msgs[gone]
        else:
            text, path = self.message(), dirs[0] + f"/tmp/{self.count}.outside"
            with open(path, "wb") as out:
                out.write(text)
            os.chown(path, os.stat(dirs[0]).st_uid, -1)
            os.rename(path, dirs[0] + f"/new/{self.count}.outside")
        if c.folder == "INBOX":
            c.ok("NOOP")
        else:
            c.select("INBOX")
        got = [int(x["UID"]) for x in c.fetch("1:*", "UID")]
        new = [u for u in got if u not in f.msgs]
        assert len(new) == (gone is None), (gone, new)
        for u in new:
            self.add("INBOX", u, text, [])
        assert got == sorted(f.msgs)

    def step_compare(self, c):
        self.compare(c)

    def step_close(self, c):
        f = self.folders[c.folder]
        c.ok("NOOP")
        c.ok("CLOSE")
        for u in [u for u in f.msgs if "\\Deleted" in f.msgs[u][1]]:
            del f.msgs[u]
        self.step_select(c)

    # ---- kill ----

    def reconnect(self, n):
        for c in self.clients:
            c.close()
        self.clients = []
        for _ in range(n):
            c = self.client()
            self.clients.append(c)
            self.step_select(c)

    def killed(self):
        """Kill while a command runs: it is found done or not done."""
        c = self.clients[0]
        f = self.folders[c.folder]
        c.ok("NOOP")
        text = self.message()
        uids = self.pick(c.folder)
        what = self.rnd.choice(["append", "store", "expunge", "none"])
        if what in ("store", "expunge") and not uids:
            what = "none"
        uidset = ",".join(map(str, uids))
        if what == "append":
            c.start(f'APPEND "{c.folder}" (k1)', text)
        elif what == "store":
            c.start(f"UID STORE {uidset} FLAGS.SILENT (later)")
        elif what == "expunge":
            c.start(f"UID EXPUNGE {uidset}")
        time.sleep(self.rnd.random() * 0.01)
        kill_mailboxes()
        answered = False
        if what != "none":
            try:
                answered = c.finish()[0].startswith("OK")
            except Lost:
                pass
        folder = c.folder
        c.close()
        n = len(self.clients)
        c = self.client()
        c.select(folder)
        got = {int(x["UID"]): x for x in c.fetch("1:*", "UID FLAGS BODY.PEEK[]")}
        new = sorted(set(got) - set(f.msgs))
        if what == "append" and (answered or new):
            assert len(new) == 1 and got[new[0]]["BODY[]"][1] == text, (answered, new)
            self.add(folder, new[0], text, ["k1"])
        elif what == "store" and uids and (answered or flags_of(got[uids[0]]) == {"later"}):
            for u in uids:
                f.msgs[u][1] = {"later"}
        elif what == "expunge":
            gone = [u for u in uids if "\\Deleted" in f.msgs[u][1]]
            if answered or gone and gone[0] not in got:
                for u in gone:
                    del f.msgs[u]
        c.close()
        self.reconnect(n)
        for name in self.folders:
            self.take_status(self.clients[0], name)
        self.compare(self.clients[0], content=True)


def mailbox_pids():
    boxes = []
    for boss in fife.pids_of("mboxd"):
        for pid in fife.pids():
            try:
                ppid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
                root = os.stat(f"/proc/{pid}").st_uid == 0  # the process that they are forked from
            except OSError:
                continue
            if ppid == boss and not root:
                boxes.append(pid)
    return boxes


def kill_mailboxes():
    pids = mailbox_pids()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    # Until mboxd knows, a session may still go to a dead process.
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "the end of mailbox processes")


def test_model():
    seed = int(os.environ.get("FIFE_SEED", random.randrange(10 ** 6)))
    print(f"# FIFE_SEED={seed}", flush=True)
    m = Model(random.Random(seed))
    c = Client(BOB)
    c.ok("CREATE f0")
    for name in ("INBOX", "f0"):
        m.take_status(c, name)
    c.close()
    m.reconnect(3)
    steps = [getattr(m, n) for n in dir(m) if n.startswith("step_")]
    weights = [6 if s.__name__ in ("step_append", "step_store") else 1
               if re.search("create|rename|delete|idle|close|outside", s.__name__) else 2 for s in steps]
    done = kills = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for _ in range(m.rnd.randrange(20, 80)):
            step = m.rnd.choices(steps, weights)[0]
            client = m.rnd.choice(m.clients)
            try:
                step(client)
            except (AssertionError, KeyError, AttributeError, ValueError):
                print(f"# in {step.__name__} on {client.folder}, step {done}")
                raise
            done += 1
            if time.monotonic() > end:
                break
        m.killed()
        kills += 1
    for c in m.clients:
        m.compare(c, content=True)
        c.close()
    print(f"# {done} commands, {kills} kills", flush=True)


poplib._MAXLINE = 1 << 20
ODD = [b"Subject: no end\r\n\r\nlast line without end", b"a: b", b"a: b\r\n", b"\r\n", b"\r\nbody only\r\n",
       b"Subject: bare lf\n\nbody\nmore\n", b"Subject: mixed\r\n\r\none\ntwo\rthree\r\n", b"\r", b"\n", b"x",
       b"Subject: nul\r\n\r\na\0b\r\n", b"Subject: \xe4\xff\r\n\r\n\x80\xfe\r\n", b".\r\n", b"..\r\n.\r\n\r\n.x\r\n.\r\n",
       b"Subject: end\r\n\r\nends in CR\r", b"Subject: long\r\n\r\n" + b"y" * 300000 + b"\r\n",
       b"\r\n" + b"\r" * 16384 + b"." * 16384 + b"\r\r\n." + b"z" * 16382 + b"\r\nq" + b"." * 32768, b"." * 49152,
       b"no header at all, just text\r\nand more", b" folded first\r\n\r\nx", b":\r\n\r\n:", b"\r\n\r\n\r\n"]


def test_odd_messages():
    c = Client(ALICE)
    c.ok("CREATE odd")
    for i, text in enumerate(ODD):
        c.ok("APPEND odd", text)
    c.select("odd")
    got = c.fetch("1:*", "BODY.PEEK[] RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[TEXT] ENVELOPE BODYSTRUCTURE")
    assert len(got) == len(ODD)
    for text, x in zip(ODD, got):
        assert x["BODY[]"][1] == text, (text[:80], x["BODY[]"][1][:80])
        assert int(x["RFC822.SIZE"]) == len(text)
        assert x["BODY[HEADER]"][1] + x["BODY[TEXT]"][1] == text, (text[:80], x)
    kill_mailboxes()
    c.close()
    c = Client(ALICE)
    c.select("odd")
    for text, x in zip(ODD, c.fetch("1:*", "BODY.PEEK[]")):
        assert x["BODY[]"][1] == text
    # By POP3: lines end in CRLF there, the last one too.
    n = len(c.ok("STATUS INBOX (MESSAGES)")) and int(re.search(rb"MESSAGES (\d+)", c.ok("STATUS INBOX (MESSAGES)")[-1])
                                                       .group(1))
    for text in ODD:
        c.ok("APPEND INBOX", text)
    p = fife.pop(ALICE)
    uidl = p.uidl()[1]
    for i, text in enumerate(ODD):
        lines = p.retr(n + i + 1)[1]
        want = re.sub(rb"(?<!\r)\n", b"\r\n", text)
        if not want.endswith(b"\r\n"):
            want = want[:-1] + b"\r\n" if want.endswith(b"\r") else want + b"\r\n"
        assert b"".join(line + b"\r\n" for line in lines) == want, (text[:80], lines[:5])
        header = want.split(b"\r\n\r\n", 1)[0] if not want.startswith(b"\r\n") else b""
        top = p.top(n + i + 1, 1)[1]
        assert b"\r\n".join(top).startswith(header.rstrip(b"\r\n")), (text[:50], top)
    # DELE and a lost connection: nothing is gone, and the names stay.
    p.dele(n + 1)
    p.file.close()
    p.sock.close()
    p = fife.pop(ALICE)
    assert p.uidl()[1] == uidl
    for i in range(len(ODD)):
        p.dele(n + i + 1)
    p.quit()
    c.ok("NOOP")
    assert int(re.search(rb"MESSAGES (\d+)", c.ok("STATUS INBOX (MESSAGES)")[-1]).group(1)) == n
    c.close()


def test_names():
    """Modified UTF-7 and quoting there and back; what is no name is refused."""
    c = Client(ALICE)
    names = ["a.b", "..", ".", "with space", 'quo"te\\', "&AOQ-&-x", "deep/" * 20 + "end", "&U,BTFw-", "%25", "~", "{3}x",
             "(", "]", "INBOX/sub", "x" * 200]
    for name in names:
        c.ok(b"CREATE", name.encode())
        c.start(b"SELECT", name.encode())
        answer, _ = c.finish()
        assert answer.startswith("OK"), (name, answer)
    c.ok("CLOSE")
    listed = [parse(x)[-1] for x in c.ok('LIST "" "*"') if isinstance(x, bytes) and x.startswith(b"LIST")]
    listed = {(x[1] if isinstance(x, tuple) else x).decode() for x in listed}
    assert set(names) <= listed, set(names) - listed
    for bad in ["", "/x", "x//y", "&", "&AGE-", "x" * 600, "a\x01b", "b\xff", "a\0b", "INBOX", "inbox"]:
        answer, _ = c.cmd(b"CREATE", bad.encode("latin-1"))
        assert answer.startswith(("NO", "BAD")), (bad, answer)
    for name in names:
        c.ok(b"DELETE", name.encode())
    c.close()


def shape(part, depth=0):
    if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
        return [part.get_content_subtype(), [shape(p) for p in part.get_payload()]]
    if part.get_content_type() == "message/rfc822" and isinstance(part.get_payload(), list):
        return ["message/rfc822", shape(part.get_payload()[0])]
    return part.get_content_type()


def told_shape(b):
    if isinstance(b[0], list):
        kids = [x for x in b if isinstance(x, list)]
        n = next(i for i, x in enumerate(b) if not isinstance(x, list))
        return [b[n][1].decode().lower(), [told_shape(k) for k in b[:n]]]
    kind = f"{b[0][1].decode()}/{b[1][1].decode()}".lower()
    return [kind, told_shape(b[8])] if kind == "message/rfc822" else kind


def test_structure_of_real_mail():
    files = sorted(glob.glob(os.path.join(TOP, "../shared/data/mail/**/*"), recursive=True))
    files = [f for f in files if os.path.isfile(f) and os.path.getsize(f) < 300000 and not f.endswith((".md", ".txt"))]
    if not files:
        return "(no mail to look at)"
    c = Client(ALICE)
    c.ok("CREATE real")
    texts = []
    for f in files:
        text = re.sub(rb"\r?\n", b"\r\n", open(f, "rb").read())
        if text:
            texts.append((f, text))
            c.ok("APPEND real", text)
    c.select("real")
    got = c.fetch("1:*", "BODY.PEEK[] ENVELOPE BODYSTRUCTURE BODY")
    assert len(got) == len(texts), (len(got), len(texts))
    differ = []
    for (f, text), x in zip(texts, got):
        name = os.path.basename(f)
        assert x["BODY[]"][1] == text, name
        m = email.message_from_bytes(text)
        assert len(x["ENVELOPE"]) == 10, name
        if m.defects:
            continue
        if told_shape(x["BODYSTRUCTURE"]) != shape(m):
            differ.append((name, told_shape(x["BODYSTRUCTURE"]), shape(m)))
        for at, field in ((1, "Subject"), (9, "Message-ID")):
            raw = re.search(rb"(?im)^" + field.encode() + rb"[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)",
                            text.split(b"\r\n\r\n", 1)[0] + b"\r\n")
            want = None if raw is None else re.sub(rb"\r\n", b"", raw.group(1)).strip()
            told = x["ENVELOPE"][at] and x["ENVELOPE"][at][1].strip()
            if re.sub(rb"\s+", b" ", want or b"") != re.sub(rb"\s+", b" ", told or b""):
                differ.append((name, field, told, want))
        # Parts are the bytes that the structure counts.
        if x["BODYSTRUCTURE"] and not isinstance(x["BODYSTRUCTURE"][0], list):
            assert int(x["BODYSTRUCTURE"][6]) == len(text.split(b"\r\n\r\n", 1)[-1]) or b"\r\n\r\n" not in text, name
    print(f"# {len(texts)} messages, {len(differ)} differ")
    for d in differ[:20]:
        print("#", *(str(v)[:300] for v in d))
    assert len(differ) <= len(texts) // 50, differ
    c.close()


def run():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if run() else 0)

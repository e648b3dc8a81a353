# SPDX-License-Identifier: ISC
"""Many IMAP connections on one mailbox at once, each with random commands, some of them
pipelined, some with extensions enabled and compressed, some of another user with whom it is shared. Every connection checks what it is told:
no EXPUNGE where none may be, numbers within bounds, UIDs that stay with their numbers, modification
sequences that grow, and at the end that it was told of every change of flags."""
import glob
import os
import random
import re
import socket
import sys
import threading
import time
import zlib

import suite

fife = None
BOB, ALICE = "bob@example.test", "alice@example.test"
SECONDS = 45 if suite.SAN else 15
CONNECTIONS = 12
FLAGS = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "$Forwarded", "work"]
SHY = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")
WORD = re.compile(rb'\(|\)|"(?:\\.|[^"\\])*"|[^ ()"]+')


def expand(text):
    out = []
    for part in text.split(","):
        lo, _, hi = part.partition(":")
        out += range(int(lo), int(hi or lo) + 1)
    return out


class Compressed:
    """A socket's file with COMPRESS=DEFLATE."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""
        self.inflate = zlib.decompressobj(-15)
        self.deflate = zlib.compressobj(wbits=-15)

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buf += self.inflate.decompress(data)

    def readline(self):
        while b"\n" not in self.buf:
            self.fill()
        line, _, self.buf = self.buf.partition(b"\n")
        return line + b"\n"

    def read(self, n):
        while len(self.buf) < n:
            self.fill()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def send(self, data):
        self.sock.sendall(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH))


class Client:
    """A connection of bob's, or of alice's to folders that he shares with her."""

    def __init__(self, rnd, number, guest=False):
        self.rnd, self.number = rnd, number
        user, prefix = (ALICE, f"Other Users/{BOB}/") if guest else (BOB, "")
        self.storm, self.other = f'"{prefix}storm"', f'"{prefix}other"'
        self.targets = [self.storm, self.other] + (["own"] if guest else [])
        self.sock = socket.create_connection(("127.0.0.1", fife.port(143)), timeout=suite.PATIENCE)
        self.file = self.sock.makefile("rb")
        self.z = None
        self.n = self.done = 0
        self.view, self.flags = [], {}
        self.modseq = 0
        self.selecting = False
        self.qresync = self.rev2 = False
        self.log = []
        self.line()
        self.ok(f'LOGIN {user} "{fife.passwords[user]}"')
        if number % 3 == 1:
            self.ok("ENABLE QRESYNC")
            self.qresync = True
        if number % 4 == 2:
            self.ok("ENABLE CONDSTORE IMAP4rev2 UTF8=ACCEPT")
            self.rev2 = True
        if number % 2:
            self.ok("COMPRESS DEFLATE")
            self.z = Compressed(self.sock)

    def line(self):
        f = self.z or self.file
        line = f.readline()
        while m := re.search(rb"\{(\d+)\}\r\n$", line):
            line += f.read(int(m.group(1))) + f.readline()
        self.log = self.log[-60:] + [b"S: " + line[:300]]
        assert line.endswith(b"\r\n"), "the connection was closed"
        return line[:-2]

    def send(self, data):
        self.log = self.log[-60:] + [b"C: " + data[:300]]
        (self.z.send if self.z else self.sock.sendall)(data)

    # ---- what is told ----

    def gone(self, uid):
        self.flags.pop(uid, None)
        if uid in self.view:
            self.view.remove(uid)
        else:
            # It went before its UID was known: one of those between its neighbours.
            at = sum(1 for v in self.view if v is not None and v < uid)
            at = next((i for i, v in enumerate(self.view)
                       if v is None and sum(1 for w in self.view[:i] if w is not None) == at), None)
            assert at is not None, (uid, self.view)
            del self.view[at]

    def untagged(self, line, verb):
        assert line.startswith(b"* "), line[:200]
        if m := re.match(rb"\* VANISHED ([\d:,]+)", line):
            assert self.qresync and verb not in SHY, (verb, line)
            for uid in expand(m.group(1).decode()):
                self.gone(uid)
            return
        m = re.match(rb"\* (\d+) (\w+)(.*)", line, re.S)
        if not m:
            assert not line.startswith((b"* BAD", b"* BYE")), line
            return
        seq, word = int(m.group(1)), m.group(2)
        if word == b"EXPUNGE":
            assert not self.qresync and verb not in SHY, (verb, line)
            assert 1 <= seq <= len(self.view), (line, len(self.view))
            self.flags.pop(self.view.pop(seq - 1), None)
        elif word == b"EXISTS":
            if self.selecting:
                self.view, self.flags = [], {}
            assert seq >= len(self.view), "EXISTS shrinks without EXPUNGE"
            self.view += [None] * (seq - len(self.view))
        elif word == b"RECENT":
            assert not self.rev2 and seq <= len(self.view)
        elif word == b"FETCH":
            self.fetched(seq, m.group(3), line)

    def fetched(self, seq, text, line):
        assert 1 <= seq <= len(self.view), (line, len(self.view))
        if m := re.search(rb"[ (]UID (\d+)", text):
            uid = int(m.group(1))
            assert self.view[seq - 1] in (None, uid), (self.view[seq - 1], line)
            assert all(v is None or v < uid for v in self.view[:seq - 1]), (line, self.view)
            self.view[seq - 1] = uid
        uid = self.view[seq - 1]
        if m := re.search(rb"[ (]FLAGS \(([^)]*)\)", text):
            flags = set(m.group(1).split())
            assert not (self.rev2 and b"\\Recent" in flags), line
            if uid is not None:
                self.flags[uid] = flags - {b"\\Recent"}
        if m := re.search(rb"MODSEQ \((\d+)\)", text):
            assert int(m.group(1)) > 0

    # ---- commands ----

    def start(self, command, literal=None):
        self.n += 1
        tag = b"%d.%d" % (self.number, self.n)
        data = tag + b" " + command.encode()
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        words = command.split()
        self.selecting = words[0] in ("SELECT", "EXAMINE")
        return tag, words[0], data + b"\r\n"

    def finish(self, tag, verb, allowed=("OK",)):
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                answer = line[len(tag) + 1:].decode()
                assert answer.startswith(allowed), (verb, answer)
                self.done += 1
                self.selecting = False
                if m := re.search(r"HIGHESTMODSEQ (\d+)", answer):
                    assert int(m.group(1)) >= self.modseq
                    self.modseq = int(m.group(1))
                return answer
            self.untagged(line, verb)

    def run(self, commands, allowed=("OK", "NO [EXPUNGEISSUED]")):
        """Commands as one write; all of them by number and shy of EXPUNGE, or all by UID."""
        started = [self.start(c) if isinstance(c, str) else self.start(*c) for c in commands]
        self.send(b"".join(data for _, _, data in started))
        return [self.finish(tag, verb, allowed) for tag, verb, _ in started]

    def ok(self, command, literal=None):
        return self.run([(command, literal)], ("OK",))[0]

    def select(self):
        self.ok("SELECT " + self.storm)
        self.know()

    def know(self):
        """The UIDs of all that is in view."""
        if self.view:
            self.ok("FETCH 1:* (UID FLAGS)")
        while None in self.view:
            self.ok("NOOP")
            if None in self.view:
                self.ok(f"FETCH {self.view.index(None) + 1}:* (UID FLAGS)")

    # ---- steps ----

    def set(self, uid):
        values = self.view if uid else list(range(1, len(self.view) + 1))
        chosen = [v for v in values if v and self.rnd.random() < 0.3] or values[:1]
        return ",".join(map(str, chosen)), chosen

    def by_set(self, uid):
        what, chosen = self.set(uid)
        pre = "UID " if uid else ""
        flags = " ".join(self.rnd.sample(FLAGS, self.rnd.randrange(1, 4)))
        kind = self.rnd.randrange(8)
        if kind == 0:
            return f"{pre}FETCH {what} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
        if kind == 1:
            return f"{pre}FETCH {what} (UID BODY[HEADER.FIELDS (SUBJECT)] BODY.PEEK[]<2.30> PREVIEW EMAILID)"
        if kind == 2:
            # what is not told is not known any more
            for v in chosen:
                self.flags.pop(v if uid else self.view[v - 1], None)
            return f"{pre}STORE {what} {self.rnd.choice('+-')}FLAGS.SILENT ({flags})"
        if kind in (3, 4):
            return f"{pre}STORE {what} {self.rnd.choice(['+', '-', ''])}FLAGS ({flags})"
        if kind == 5:
            return f"{pre}SEARCH " + self.rnd.choice([
                what if not uid else "UID " + what, "DELETED", "RETURN (MIN MAX COUNT) UNSEEN", "SUBJECT red", "BODY line",
                "RETURN (PARTIAL -1:-3) ALL", "OR LARGER 400 FLAGGED", "RETURN (SAVE COUNT) SEEN"])
        if kind == 6:
            return f"{pre}SORT ({self.rnd.choice(['SUBJECT', 'REVERSE DATE', 'SIZE ARRIVAL'])}) UTF-8 ALL"
        return f"{pre}THREAD {self.rnd.choice(['REFERENCES', 'ORDEREDSUBJECT'])} US-ASCII ALL"

    def message(self):
        n = self.rnd.randrange(10 ** 6)
        return (f"Message-ID: <{n}@x>\r\nFrom: a{n}@x.test\r\nSubject: number {n} "
                f"{self.rnd.choice(['red', 'green'])}\r\n\r\n" +
                "".join(f"line {self.rnd.randrange(10 ** 6)}\r\n" for _ in range(self.rnd.randrange(30)))).encode()

    def step(self):
        r = self.rnd.random()
        if r < 0.2 or not self.view:
            self.ok(f"APPEND {self.storm} (" + " ".join(self.rnd.sample(FLAGS, self.rnd.randrange(3))) + ")", self.message())
        elif r < 0.3:
            self.ok("EXPUNGE")
        elif r < 0.35:
            self.run(["UID EXPUNGE " + self.set(True)[0]] if None not in self.view else ["NOOP"])
        elif r < 0.4:
            if None not in self.view:
                self.run([f"UID {self.rnd.choice(['COPY', 'MOVE'])} {self.set(True)[0]} " +
                          self.rnd.choice(self.targets)])
        elif r < 0.45:
            self.ok(self.rnd.choice(["NOOP", "CHECK", f"STATUS {self.storm} (MESSAGES UNSEEN)", 'LIST "" *']))
        elif r < 0.48:
            self.ok("UNSELECT" if self.rnd.random() < 0.5 else "CLOSE")
            self.select()
        elif r < 0.52:
            tag, verb, data = self.start("IDLE")
            self.send(data)
            while not (line := self.line()).startswith(b"+"):
                self.untagged(line, verb)
            time.sleep(self.rnd.random() * 0.05)
            self.send(b"DONE\r\n")
            self.finish(tag, verb)
        elif r < 0.75 and None not in self.view:
            self.run([self.by_set(True)])
        else:
            self.run([self.by_set(False) for _ in range(self.rnd.randrange(1, 4))])
        if len(self.view) > 60:
            self.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.flags.clear()
            self.ok("EXPUNGE")
        if None in self.view:
            self.know()

    def settle(self):
        """Everything was told: what is known is what is there."""
        self.ok("NOOP")
        self.know()
        known, view = dict(self.flags), list(self.view)
        self.flags = {}
        self.know()
        for uid, flags in known.items():
            assert self.flags[uid] == flags, (uid, flags, self.flags[uid])
        assert self.view == view
        return view, self.flags

    def close(self):
        self.file.close()
        self.sock.close()


def storm(c, end, failures):
    try:
        while time.monotonic() < end and not failures:
            c.step()
    except Exception as e:  # pylint: disable=broad-except
        failures.append((c.number, repr(e)))
        print(f"# connection {c.number}: {e!r}", *(x.decode(errors="replace").rstrip() for x in c.log), sep="\n#   ",
              flush=True)


def test_storm():
    seed = int(os.environ.get("FIFE_SEED", random.randrange(10 ** 6)))
    print(f"# FIFE_SEED={seed}", flush=True)
    first = Client(random.Random(seed), 0)
    first.ok("CREATE storm")
    first.ok("CREATE other")
    for folder in ("storm", "other"):
        first.ok(f"SETACL {folder} {ALICE} lrswipkxte")
    clients = [first] + [Client(random.Random(seed + i), i, i % 4 == 3 or i == 2) for i in range(1, CONNECTIONS)]
    clients[3].ok("CREATE own")
    for c in clients:
        c.select()
    failures = []
    threads = [threading.Thread(target=storm, args=(c, time.monotonic() + SECONDS, failures)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join(SECONDS + suite.PATIENCE)
    assert not failures, failures
    told = [c.settle() for c in clients]
    for view, flags in told:
        assert view == told[0][0] and flags == told[0][1], "two connections see different mailboxes"
    print(f"# {sum(c.done for c in clients)} commands on {len(clients)} connections", flush=True)
    for c in clients:
        c.close()


def test_idle_at_once():
    """What another connection does is told in IDLE without polling; so is a file that another
    program puts into the Maildir, a while later."""
    a, b = Client(random.Random(1), 1), Client(random.Random(2), 2)
    a.ok("CREATE quick")
    a.ok("SELECT quick")
    tag, verb, data = a.start("IDLE")
    a.send(data)
    while not a.line().startswith(b"+"):
        pass
    times = []
    for _ in range(20):
        t = time.monotonic()
        b.ok("APPEND quick", b.message())
        n = len(a.view)
        while len(a.view) == n:
            a.untagged(a.line(), verb)
        times.append(time.monotonic() - t)
    a.send(b"DONE\r\n")
    a.finish(tag, verb)
    print(f"# APPEND to EXISTS in IDLE: median {sorted(times)[10] * 1000:.1f} ms", flush=True)
    assert sorted(times)[10] < 1
    # another program, in less time than a poll would take
    a.ok("SELECT INBOX")
    n = len(a.view)
    tag, verb, data = a.start("IDLE")
    a.send(data)
    while not (line := a.line()).startswith(b"+"):
        a.untagged(line, verb)
    top = glob.glob(os.path.join(fife.run, "**/example.test/bob/Maildir"), recursive=True)[0]
    with open(top + "/tmp/outside", "wb") as f:
        f.write(b.message())
    os.chown(top + "/tmp/outside", os.stat(top).st_uid, -1)
    t = time.monotonic()
    os.rename(top + "/tmp/outside", top + "/new/1.outside")
    while len(a.view) == n:
        a.untagged(a.line(), verb)
    t = time.monotonic() - t
    print(f"# a file in new/ to EXISTS in IDLE: {t * 1000:.0f} ms", flush=True)
    assert t < 8
    a.send(b"DONE\r\n")
    a.finish(tag, verb)
    a.close()
    b.close()


def run():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if run() else 0)

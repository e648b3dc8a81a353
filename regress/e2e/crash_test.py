# SPDX-License-Identifier: ISC
"""queued is killed at each of its own system calls in turn: writes (before, and after half of one), syncs, renames,
unlinks, allocations and sends, of the journal, the checkpoint, contents and drop files, at its start and in its work.
What was acknowledged is delivered exactly once or still queued, and the spool is whole each time.

A first life counts the calls by site; then each life dies at one of them. killat.c does it.
CRASH_KILLS bounds the lives (all sites; some in the sanitizer build)."""
import collections
import glob
import os
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time

import suite
from suite import Sink, wait_for

fife = killer = refuser = None
ALICE, BOB = "alice@example.test", "bob@example.test"
KILLS = int(os.environ.get("CRASH_KILLS", "14" if suite.SAN else "100"))
SETTLED = 1.1  # seconds of life after which fifed starts it again at once
FILL = 70  # messages of 250 KB: more than a segment


class Killer:
    """killat, attached to fifed."""

    def __init__(self):
        program = os.path.join(fife.dir, "killat")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "killat.c")
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o",
                        program, source], check=True)
        self.process = subprocess.Popen([program, str(fife.process.pid), "queued"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines, self.born, self.counted = [], 0.0, []
        self.lives = self.deaths = 0
        threading.Thread(target=self.read, daemon=True).start()
        wait_for(lambda: "attached" in self.lines, "killat is attached")

    def read(self):
        for line in self.process.stdout:
            word = line.split()[0]
            if word == "exec":
                self.born = time.monotonic()
                self.lives += 1
            elif word == "gone":
                self.deaths += 1
            self.lines.append(line.strip())

    def tell(self, line):
        self.process.stdin.write(line + "\n")

    def count(self):
        """Calls by site since the last count, or since the start of queued."""
        mark = len(self.lines)
        self.tell("count")
        wait_for(lambda: "end" in self.lines[mark:], "killat's count")
        sites = collections.OrderedDict()
        for line in self.lines[mark:]:
            m = re.match(r"site (\d+) (.*)", line)
            if m:
                sites[m.group(2)] = int(m.group(1))
        return sites

    def killed(self):
        return [line.split(" ", 2)[2] for line in self.lines if line.startswith("killed ")]

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


class Mail:
    """What was sent, by token; acked: answered 250, or a drop file in its place."""

    def __init__(self):
        self.serial = 0
        self.deaths = {}  # of which life a token is
        self.acked = {"pair": [], "large": [], "dead": [], "drop": [], "bounce": []}

    def token(self, kind):
        self.serial += 1
        token = f"{kind}-{self.serial}"
        self.deaths[token] = killer.deaths
        return token

    def smtp(self, kind, rcpts, size, deaths):
        """Tries until it is acknowledged, or queued has died since."""
        token = self.token(kind)
        lines = f"line of {token} ".ljust(70, "y") + "\r\n"
        text = f"From: eve@elsewhere.test\r\nX-Test: {token}.\r\n\r\n" + lines * (size // 72 + 1)
        try:
            s = smtplib.SMTP("127.0.0.1", fife.port(25), "client.test", timeout=suite.PATIENCE)
            try:
                s.sendmail("eve@elsewhere.test", rcpts, text)
                self.acked[kind].append(token)
            finally:
                s.close()
        except (OSError, smtplib.SMTPException):
            return False
        return killer.deaths == deaths

    def drop(self, kind, sender, rcpt):
        token = self.token(kind)
        path = os.path.join(fife.run, "spool/drop/")
        with open(path + "t." + token, "w") as f:
            f.write(f"F {sender}\nR {rcpt}\n\nSubject: dropped\nX-Test: {token}.\n\nx\n")
        os.rename(path + "t." + token, path + "m." + token)
        self.acked[kind].append(token)


def drop_waits():
    return any(n[:2] in ("m.", "q.") for n in os.listdir(os.path.join(fife.run, "spool/drop")))


def idle():
    """Nothing is on its way: 1; queued does not answer: None."""
    code, text = fife.ctl("queue", "stats", check=False)
    if code != 0:
        return None
    n = {k: int(v) for k, v in re.findall(r"^([\w-]+): (\d+)$", text, re.M)}
    # While the route to the dead host waits, so does what is ready for it.
    return n["jobs"] == 0 and (n["ready"] == 0 or n["routes-waiting"] > 0)


def work(mail, fill):
    """What a life does. Ends early when queued dies."""
    deaths = killer.deaths
    kinds = [("pair", [ALICE, BOB], 300), ("large", [ALICE], 300000), ("dead", ["dead@example.test"], 4000)]
    if fill:
        kinds = []
        try:
            s = fife.smtp()
            for _ in range(FILL):
                s.sendmail("eve@elsewhere.test", ["fill@example.test"], "Subject: fill\r\n\r\n" + ("z" * 70 + "\r\n") * 3500)
            s.close()
        except (OSError, smtplib.SMTPException):
            pass
        fife.ctl("queue", "remove", "--to", "fill.test", check=False)
        end = time.monotonic() + 1  # the housekeeping that follows has no mark: it takes 100 ms
        wait_for(lambda: killer.deaths != deaths or time.monotonic() > end, "housekeeping")
        return
    for kind, rcpts, size in kinds:
        if not mail.smtp(kind, rcpts, size, deaths):
            return
    wait_for(lambda: killer.deaths != deaths or idle() and not glob.glob(os.path.join(fife.run, "spool/body/*/*")),
             "the deliveries of a life")


def picks(sites, first):
    """The calls of a site to die at: (k, how, site)."""
    out = []
    for k in (1, 2, 3, 5, 8):
        for site, n in sites.items():
            if k > n or (k > 3 and not site.startswith("sendmsg")):
                continue
            out.append((k, "before", site))
            if k == 1 and site.startswith("write "):
                out.append((k, "torn", site))
    return out[:first]


def plan():
    """Two lives of rest are counted: (at the start), (at work), (at work with a segment's change)."""
    at_start = killer.count()
    mail = Mail()
    work(mail, False)
    at_work = killer.count()
    work(mail, True)
    filling = killer.count()
    print("# calls at the start:", dict(at_start))
    print("# at work:", dict(at_work))
    print("# when a segment is full:", dict(filling), flush=True)
    changes = collections.OrderedDict((s, n) for s, n in filling.items() if s not in at_work)
    assert any(s.startswith("rename journal") for s in changes), filling
    for sites, must in ((at_start, ("write index", "fdatasync index", "rename drop", "unlink drop", "fsync drop")),
                        (at_work, ("write journal", "fdatasync journal", "fdatasync body", "unlink body"))):
        for s in must:
            assert sites.get(s), (s, sites)
    return mail, picks(at_start, KILLS), picks(at_work, KILLS), picks(changes, KILLS)


def kill_queued():
    for pid in fife.pids_of("queued"):
        os.kill(pid, signal.SIGKILL)


def back():
    wait_for(lambda: fife.ctl("queue", "stats", check=False)[0] == 0, "queued again")


def verify():
    text = fife.ctl("queue", "verify")
    assert re.search(r"are whole, 0 repaired, 0 damaged; 0 damaged places in the journal, 0 contents", text), text


def one_round(mail, start, at_work, fill):
    """A life that dies at work, and one that dies at its start."""
    back()
    wait_for(lambda: time.monotonic() - killer.born > SETTLED, "a settled life")
    deaths, lives = killer.deaths, killer.lives
    if start:
        killer.tell("next %d %s %s" % start)
    if at_work:
        killer.tell("arm %d %s %s" % at_work)
        work(mail, fill)
    if killer.deaths == deaths:
        killer.tell("off")
        kill_queued()  # unless it is dying already
    wait_for(lambda: killer.lives > lives, "the next life")
    mail.drop("drop", "eve@elsewhere.test", BOB)
    mail.drop("bounce", ALICE, "x@refuse.test")
    wait_for(lambda: not drop_waits(), "the drop files are taken")
    back()
    verify()


def test_die_at_each_call():
    kill_queued()
    wait_for(lambda: killer.lives == 1, "a life under watch")
    before = Mail()
    before.drop("drop", "eve@elsewhere.test", BOB)
    before.drop("bounce", ALICE, "x@refuse.test")
    wait_for(lambda: not drop_waits() and idle(), "the drop files are taken")
    mail, starts, works, changes = plan()
    began = time.monotonic()
    todo = [(w, False) for w in works] + [(c, True) for c in changes]
    if len(todo) > KILLS:
        todo = todo[:KILLS - len(changes)] + todo[-len(changes):]
    while todo or starts:
        at_work, fill = todo.pop(0) if todo else (None, False)
        one_round(mail, starts.pop(0) if starts else None, at_work, fill)
    done = collections.Counter(killer.killed())
    print(f"# {sum(done.values())} deaths at {len(done)} places in {time.monotonic() - began:.0f} s:",
          ", ".join(f"{n} {s}" for s, n in sorted(done.items())), flush=True)
    assert len(done) >= min(KILLS // 2, 15), done
    test_die_at_each_call.mail = mail


def tokens(messages):
    return collections.Counter(t.decode() for m in messages for t in set(re.findall(rb"X-Test: (\w+-\d+)\.", m)))


def test_nothing_lost_nothing_twice():
    mail = test_die_at_each_call.mail
    killer.tell("off")

    def arrived():
        """Tokens by mailbox when all that is expected is there."""
        alice, bob = tokens(fife.messages(ALICE)), tokens(fife.messages(BOB))
        lack = [t for t in mail.acked["pair"] + mail.acked["large"] + mail.acked["bounce"] if t not in alice]
        lack += [t for t in mail.acked["pair"] + mail.acked["drop"] if t not in bob]
        arrived.lack = lack
        return None if lack else (alice, bob)
    try:
        boxes = wait_for(arrived, "all acknowledged messages")
    except AssertionError as e:
        raise AssertionError(f"lost: {arrived.lack[:20]}") from e
    wait_for(idle, "rest")
    for box in (tokens(fife.messages(ALICE)), tokens(fife.messages(BOB))) + boxes:
        double = {t: n for t, n in box.items() if n > 1}
        assert not double, "delivered twice: " + ", ".join(
            f"{t} beside {[x for x in killer.lines if x.startswith(('killed', 'gone'))][2 * mail.deaths[t] - 4:][:6]}"
            for t in double)
    # Those to the dead host are queued, and each of them goes out once when it lives.
    with Sink() as sink:
        fife.ctl("route", "add", "dead.test", f"smtp://127.0.0.1:{sink.port}")
        fife.ctl("queue", "retry", "--to", "dead.test")
        want = set(mail.acked["dead"])
        wait_for(lambda: want <= set(tokens(m[2] for m in sink.messages)) and idle(), "the deferred ones")
        double = {t: n for t, n in tokens(m[2] for m in sink.messages).items() if n > 1}
        assert not double, f"sent twice: {double}"
        fife.ctl("queue", "remove", "--to", "fill.test", check=False)
        wait_for(lambda: not fife.ctl("queue", "list").strip(), "an empty queue")
    verify()


def test_the_whole_journal_says_the_same():
    """Without the checkpoint, and offline."""
    fife.ctl("route", "add", "dead.test", "smtp://127.0.0.1:9")
    for n in range(5):
        fife.send("eve@elsewhere.test", ["dead@example.test"], f"Subject: late\r\nX-Test: late-{n}.\r\n\r\nx\r\n")
    wait_for(lambda: fife.ctl("queue", "list").count("x@dead.test") == 5 and idle(), "five are queued")
    fife.stop()
    verify_offline = fife.ctl("queue", "verify", "--offline")
    assert "5 messages are whole, 0 repaired, 0 damaged" in verify_offline, verify_offline
    for name in os.listdir(os.path.join(fife.run, "spool/index")):
        os.unlink(os.path.join(fife.run, "spool/index", name))
    fife.start()
    listed = fife.ctl("queue", "list")
    assert listed.count("x@dead.test") == 5 and len(listed.splitlines()) == 6, listed
    verify()


def edit(text, s):
    return re.sub(r"queue \{[^}]*\}\n", "", text) + "\nqueue {\n\tretry 6h\n}\n"


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife, Sink(lambda v, a: "550 5.1.1 nobody" if v == "RCPT" else None) as refuser:
        fife.ctl("route", "add", "refuse.test", f"smtp://127.0.0.1:{refuser.port}")
        for dead in ("dead", "fill"):
            fife.ctl("route", "add", dead + ".test", "smtp://127.0.0.1:9")
            fife.ctl("alias", "add", dead + "@example.test", f"x@{dead}.test")
        killer = Killer()
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""make bench-imap: fife beside Debian's Dovecot with Maildir, in one run on this machine: FETCH, SEARCH,
SELECT, STORE, EXPUNGE, APPEND, log-ins of IMAP and POP3, RETR, connections in IDLE and how soon they are told.

    imap.py [--quick] [ROW...]      rows: fetch select store append login pop idle notice

Both have the same passwords by the same scheme (SCRAM-SHA-256, BENCH_ITERATIONS of it), the same messages, and
their mail on the same real disk; the load driver shares the processors. Figures are medians of BENCH_ROUNDS.
CPU is what all processes of a server took, in seconds, or in milliseconds each where there is a rate.

    BENCH_DIR           where to work (/var/tmp): a real disk
    BENCH_ROUNDS        3
    BENCH_ITERATIONS    4096
"""
import base64
import hashlib
import hmac
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mails  # noqa: E402
import suite  # noqa: E402
from imap_peer import Dovecot  # noqa: E402
from peers import Missing  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = "--quick" in sys.argv
ROWS = [a for a in sys.argv[1:] if not a.startswith("-")]
ROUNDS = 1 if QUICK else int(os.environ.get("BENCH_ROUNDS", "3"))
ITERATIONS = int(os.environ.get("BENCH_ITERATIONS", "4096"))
MANY, HUGE = (2000, 6000) if QUICK else (50000, 500000)
USERS = 60 if QUICK else 1000
LOGINS, SLOW_LOGINS = (60, 20) if QUICK else (400, 100)
APPENDS = 100 if QUICK else 1000
RETR = 200 if QUICK else 2000
NOTICES = 10 if QUICK else 100
PASSWORD = "bench-secret"
TICK = os.sysconf("SC_CLK_TCK")
FETCH = "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)"
failures = []


def wanted(row):
    return not ROWS or row in ROWS


# ---- what is measured of a server ----

def tree(root):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(name)] = (int(fields[1]), sum(int(x) for x in fields[11:15]))
    inside, grew = {root}, True
    while grew:
        more = {p for p, (parent, _) in parents.items() if parent in inside and p not in inside}
        inside |= more
        grew = bool(more)
    return {p: parents[p][1] for p in inside if p in parents}


def cpu(server):
    return sum(tree(server.pid()).values()) / TICK


def pss_kb(server):
    total = 0
    for p in tree(server.pid()):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += int(next(x for x in f if x.startswith("Pss:")).split()[1])
        except (OSError, StopIteration):
            pass
    return total


def driver(server, what, *args, tls=False, pop=False, user="u%d", stdin=None):
    """Runs mail_load; a list of what its lines say."""
    port = server.ports[("pop" if pop else "imap") + ("s" if tls else "")]
    command = [LOAD, what, "-p", str(port), "-F", server.user(user), "-w", PASSWORD] + (["-t"] if tls else [])
    command += [str(a) for a in args]
    if stdin:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900)
    said = [dict(word.split("=", 1) for word in line.split()) for line in p.stdout.splitlines()]
    if p.returncode != 0 or not said or any(int(s.get("errors", 0)) for s in said):
        failures.append(f"{server.name}: {what} {' '.join(command[4:])[-80:]}: {p.stderr.strip()[-300:]}")
    return [{k: float(v) for k, v in s.items()} for s in said]


def commands(server, user, *lines):
    """Each command's seconds, and the CPU of all."""
    before = cpu(server)
    x = [a for line in lines for a in ("-x", line)]
    out = driver(server, "cmd", *x, user=user)
    return out, cpu(server) - before


# ---- the table ----

def head():
    print(f"\n{'work':<58} {'Dovecot':>10} {'fife':>10} {'ratio':>8} {'CPU Dovecot':>12} {'CPU fife':>10}", flush=True)


def number(v, unit):
    return "-" if v is None else f"{v:.0f}{unit}" if abs(v) >= 100 else f"{v:.3g}{unit}"


def row(name, dovecot, fife, unit, cpus=(None, None), higher=False, cpu_unit="s"):
    """higher: a rate, of which more is better. The ratio is how many times as good fife is."""
    ratio = "-"
    if dovecot and fife:
        ratio = f"{fife / dovecot if higher else dovecot / fife:.1f}"
    print(f"{name:<58} {number(dovecot, unit):>10} {number(fife, unit):>10} {ratio:>8} "
          f"{number(cpus[0], cpu_unit):>12} {number(cpus[1], cpu_unit):>10}", flush=True)


def both(servers, measure):
    """measure(server) gives (value, cpu): a pair of pairs, of medians over the rounds, taken in turns."""
    got = {"Dovecot": [], "fife": []}
    for _ in range(ROUNDS):
        for s in servers:
            got[s.name].append(measure(s))
    out = []
    for name in ("Dovecot", "fife"):
        values = [v for v in got[name] if v is not None]
        out.append((statistics.median(v[0] for v in values), statistics.median(v[1] for v in values))
                   if values else (None, None))
    return (out[0][0], out[1][0]), (out[0][1], out[1][1])


# ---- fife ----

class Fife:
    name = "fife"

    def __init__(self, work, passwords):
        def edit(text, s):
            text = text.replace("antivirus yes", "antivirus no")
            text = text.replace("connections-per-address 1000", "connections-per-address 5000\n\tconnections-max 5000")
            return text + f"\nmailbox {{\n\tprocesses-max 3000\n}}\ndirectory {{\n\titerations {ITERATIONS}\n}}\n"
        directory = os.path.join(work, "fife")
        os.mkdir(directory)
        self.suite = suite.Suite(conf_edit=edit, keep=directory)
        try:
            self.suite.start()
            self.load(passwords)
        except BaseException:
            self.suite.kill()
            raise
        s = self.suite
        self.ports = {"imap": s.port(143), "imaps": s.port(993), "pop": s.port(110), "pops": s.port(995), "smtp": s.port(25)}

    def load(self, passwords):
        self.suite.ctl("load", input="domain example.test\n" + "".join(
            f"user {u} uid=1 scram-sha-256={'$'.join(map(str, p))}\n" for u, p in passwords.items()))

    def start(self, mode="default"):
        pass

    def stop(self):
        self.suite.stop()

    def again(self):
        self.suite.stop()
        self.suite.start()

    def kill(self):
        self.suite.kill()

    def pid(self):
        return self.suite.process.pid

    def user(self, pattern):
        return pattern + "@example.test"

    def top(self, user):
        return os.path.join(self.suite.run, "mail/example.test", user)

    def maildir(self, user):
        if not os.path.isdir(self.top(user) + "/Maildir/cur"):
            driver(self, "cmd", "-x", "SELECT INBOX", user=user)
        return self.top(user) + "/Maildir"

    def own(self, user):
        st = os.stat(self.top(user))
        subprocess.run(["chown", "-R", f"{st.st_uid}:{st.st_gid}", self.top(user) + "/Maildir/cur"], check=True)


# ---- rows ----

def fetch(servers):
    for s in servers:
        for user in ("big", "huge"):
            s.maildir(user)
    # The process of before has gone, or sees them as another program's.
    first = servers[0].maildir("big") + "/cur"
    octets = mails.fill(first, MANY, multipart=4)
    servers[0].own("big")
    for s in servers[1:]:
        subprocess.run(["cp", "-a", first + "/.", s.maildir("big") + "/cur"], check=True)
        s.own("big")
    os.sync()
    print(f"{MANY} messages, {octets / 1e6:.0f} MB, one in four of several parts")
    head()
    cold = {}
    for s in servers:
        got, used = commands(s, "big", "SELECT INBOX", FETCH)
        cold[s.name] = [g["seconds"] for g in got] + [used]
    d, f = (cold.get(n, [None] * 3) for n in ("Dovecot", "fife"))
    row("SELECT of files put there by another program, first", d[0], f[0], "s")
    row(FETCH + ", first", d[1], f[1], "s", (d[2], f[2]))
    delivered(servers)

    def warm(s):
        got, used = commands(s, "big", "SELECT INBOX", FETCH)
        return got[1]["seconds"], used
    (d, f), used = both(servers, warm)
    row("the same, warm", d, f, "s", used)

    def search(s):
        got, used = commands(s, "big", "SELECT INBOX", f"SEARCH TEXT {mails.RARE}")
        return got[1]["seconds"], used
    for s in servers:
        search(s)
    (d, f), used = both(servers, search)
    row("SEARCH TEXT of a rare word", d, f, "s", used)


def delivered(servers):
    """What fife knows of a message when it has been delivered: the same FETCH as the first that anybody asks."""
    fife = servers[-1]
    fife.maildir("taken")
    tar = subprocess.Popen(["tar", "-C", fife.maildir("big"), "-cf", "-", "cur"], stdout=subprocess.PIPE)
    began = time.monotonic()
    p = subprocess.run([fife.suite.run + "/bin/fifectl", "mailbox", "import", fife.user("taken")], stdin=tar.stdout,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tar.wait()
    if p.returncode != 0:
        failures.append("fife: mailbox import: " + p.stdout[-300:])
        return
    seconds = time.monotonic() - began
    got, used = commands(fife, "taken", "SELECT INBOX", FETCH)
    row("the same of messages that were imported, first", None, got[1]["seconds"], "s", (None, used))
    row("   (the import of them)", None, seconds, "s")


def select(servers):
    head()
    for user, many in (("some", MANY), ("huge", HUGE)):
        for s in servers:
            mails.fill_links(s.maildir(user) + "/cur", many)
            s.own(user)
            got, _ = commands(s, user, "SELECT INBOX")
            print(f"   ({s.name}: first SELECT of {many}: {got[0]['seconds']:.2f} s)", flush=True)

        def again(s):
            got, used = commands(s, user, "SELECT INBOX")
            return got[0]["seconds"] * 1000, used * 1000
        (d, f), used = both(servers, again)
        row(f"SELECT of {many} unchanged messages", d, f, "ms", used, cpu_unit="ms")
    # A process that has been there before is not what makes it fast.
    servers[-1].again()
    for user, many in (("some", MANY), ("huge", HUGE)):
        got, used = commands(servers[-1], user, "SELECT INBOX")
        row(f"   the same of {many} by a new process", None, got[0]["seconds"] * 1000, "ms", (None, used * 1000), cpu_unit="ms")


def store(servers):
    for s in servers:
        mails.fill_links(s.maildir("marks") + "/cur", MANY)
        s.own("marks")
        commands(s, "marks", "SELECT INBOX")
    head()
    n = MANY // 5

    def change(s):
        got, used = commands(s, "marks", "SELECT INBOX", f"STORE 1:{n} +FLAGS.SILENT (\\Flagged)",
                             f"STORE 1:{n} -FLAGS.SILENT (\\Flagged)")
        return got[1]["seconds"], used
    (d, f), used = both(servers, change)
    row(f"STORE 1:{n} +FLAGS.SILENT (CPU: and back)", d, f, "s", used)
    gone = {}
    for s in servers:
        got, used = commands(s, "marks", "SELECT INBOX", f"STORE 1:{MANY // 2} +FLAGS.SILENT (\\Deleted)", "EXPUNGE")
        before = cpu(s)
        suite.wait_for(lambda: len(os.listdir(s.maildir("marks") + "/cur")) <= MANY - MANY // 2, "unlinked files", 120)
        gone[s.name] = (got[2]["seconds"], used + cpu(s) - before)
    d, f = (gone.get(k, (None, None)) for k in ("Dovecot", "fife"))
    row(f"EXPUNGE of {MANY // 2} (CPU: with STORE before, files gone)", d[0], f[0], "s", (d[1], f[1]))


def rate(name, servers, what, n, *args, slow=None, **more):
    """n: times for fife and Dovecot's fast mode; slow: for its default mode."""
    def run(s):
        times = slow if slow is not None and s.name == "Dovecot" and s.mode == "default" else n
        before = cpu(s)
        got = driver(s, what, "-n", times, *args, **more)
        if not got:
            return None
        return got[0]["rate"], (cpu(s) - before) * 1000 / times
    (d, f), used = both(servers, run)
    row(name, d, f, "/s", used, higher=True, cpu_unit="ms")


def append(servers):
    head()
    for s in servers:
        driver(s, "append", "-n", 20, "-c", 10)
    rate("APPEND of 4 KB, durable, 1 session", servers, "append", APPENDS // 2, "-c", 1)
    rate("APPEND of 4 KB, durable, 10 sessions of different users", servers, "append", APPENDS, "-c", 10)


def first_and_again(name, servers, what, first, modes=("default", "fast"), **more):
    """Log-ins 10 at a time, of users that nobody has seen yet, and of the same again."""
    fife = servers[-1]
    results_fife = {}
    for s in servers:  # mailboxes are there; nobody remembers who they are
        s.start("fast")
        driver(s, what, "-c", 4, "-n", LOGINS, "-u", LOGINS, "-f", first, **more)
    fife.again()
    for mode in modes if len(servers) > 1 else ("default",):
        for s in servers:
            s.start(mode)
        n = SLOW_LOGINS if mode == "default" else LOGINS
        results = {}
        for s in servers:
            for again in (False, True):
                if s is fife and mode != modes[0]:
                    results[s.name, again] = results_fife[again]
                    continue
                times = LOGINS if s is fife else n
                before = cpu(s)
                got = driver(s, what, "-c", 10, "-n", times, "-u", times, "-f", first, **more)[0]
                results[s.name, again] = (got["rate"], (cpu(s) - before) * 1000 / times)
        results_fife = {a: results["fife", a] for a in (False, True)}
        for again in (False, True):
            d, f = (results.get((k, again), (None, None)) for k in ("Dovecot", "fife"))
            row(f"{name}, {'the same users' if again else 'different users'} (Dovecot {mode})", d[0], f[0], "/s", (d[1], f[1]),
                higher=True, cpu_unit="ms")
    for s in servers:
        s.start("default")


def login(servers):
    head()
    first_and_again("IMAP log in and out, 10 at a time", servers, "login", 0)
    first_and_again("the same with TLS", servers, "login", LOGINS, tls=True)


def pop(servers):
    head()
    first_and_again("POP3 log in and out, 10 at a time", servers, "pop", 0, pop=True)
    for s in servers:
        driver(s, "append", "-n", RETR, "-c", 1, user="reader")
        driver(s, "retr", "-n", RETR, user="reader", pop=True)
    rate(f"POP3 RETR of {RETR}", servers, "retr", RETR, pop=True, user="reader")


def idle(servers):
    """Connections in IDLE: how much more memory the server has, each."""
    head()
    for name, users, each in ((f"{USERS} IDLE connections of as many users: KB each", USERS, 1),
                              (f"{USERS // 10} users with 10 IDLE connections each: KB each", USERS // 10, 10)):
        figures = {}
        for s in servers:
            s.start("fast")  # nothing of before
            s.start("default")
            if s.name == "fife":
                s.again()
            driver(s, "login", "-n", 10, "-u", 10)
            n = users * each if s.name == "fife" else users * each // 5
            rest, before = settled(s, pss_kb), cpu(s)
            p = driver(s, "idle", "-c", n, "-u", min(users, n), stdin=True)
            said = p.stdout.readline()
            took = cpu(s) - before
            figures[s.name] = ((settled(s, pss_kb) - rest) / n, took * 1000 / n)
            began = cpu(s)
            time.sleep(1 if QUICK else 5)
            calm = (cpu(s) - began) / (1 if QUICK else 5) / n * 1e6
            print(f"   ({s.name}: {said.strip()}; {len(tree(s.pid()))} processes; waiting takes {calm:.1f} us a second each)")
            _, err = p.communicate("")
            if p.returncode != 0:
                failures.append(f"{s.name}: idle: {err.strip()[-300:]}")
        d, f = (figures.get(k, (None, None)) for k in ("Dovecot", "fife"))
        row(name + " (CPU: to begin)", d[0], f[0], "KB", (d[1], f[1]), cpu_unit="ms")


def settled(server, value, seconds=20):
    """Until it does not fall any more."""
    end = time.monotonic() + (3 if QUICK else seconds)
    least, since = value(server), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 6:
        time.sleep(0.5)
        v = value(server)
        if v < least * 0.99:
            least, since = v, time.monotonic()
    return least


def notice(servers):
    head()

    def run(s):
        extra = ["-P", s.ports["smtp"]] if s.name == "fife" else ["-L", "-P", s.ports["lmtp"]]
        before = cpu(s)
        got = driver(s, "notice", "-n", NOTICES, *extra, user="watcher")
        if not got:
            return None
        got = got[0]
        after_250.setdefault(s.name, []).append(got["after_250_p50_ms"])
        return got["p50_ms"], (cpu(s) - before) * 1000 / NOTICES
    after_250 = {}
    (d, f), used = both(servers, run)
    row("from the end of a message's data to the notice, median", d, f, "ms", used, cpu_unit="ms")
    d, f = (statistics.median(after_250[k]) if k in after_250 else None for k in ("Dovecot", "fife"))
    row("   of it after the 250", d, f, "ms")


def main():
    global LOAD
    work = tempfile.mkdtemp(prefix="fife-bench-imap.", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
    os.chmod(work, 0o755)
    LOAD = os.path.join(work, "mail_load")
    servers = []
    began = time.monotonic()
    try:
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o", LOAD,
                        os.path.join(HERE, "mail_load.c"), "-lssl", "-lcrypto", "-lpthread"], check=True)
        names = [f"u{i}" for i in range(max(USERS, 2 * LOGINS))] + ["big", "taken", "some", "huge", "marks", "reader", "watcher"]
        salt = b"salt of a bench."
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, ITERATIONS)
        key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        keys = (ITERATIONS, *(base64.b64encode(x).decode() for x in (salt, key, hmac.digest(salted, b"Server Key", "sha256"))))
        passwords = {n + "@example.test": keys for n in names}
        fife = Fife(work, passwords)
        try:
            dovecot = Dovecot(work, os.path.join(fife.suite.run, "tls"), passwords)
            servers.append(dovecot)
            dovecot.start()
        except Missing as e:
            servers.clear()
            print(f"without Dovecot: {e}")
        servers.append(fife)
        for name, measure in (("fetch", fetch), ("select", select), ("store", store), ("append", append), ("login", login),
                              ("pop", pop), ("idle", idle), ("notice", notice)):
            if wanted(name):
                measure(servers)
        print(f"\nwhole run: {time.monotonic() - began:.0f} seconds")
    finally:
        for s in servers or []:
            try:
                s.stop()
            except Exception:
                if s.name == "fife":
                    s.kill()
        shutil.rmtree(work, ignore_errors=True)
    for f in failures:
        print("bench-imap: " + f, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

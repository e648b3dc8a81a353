# SPDX-License-Identifier: ISC
"""make bench-queue: what a long queue costs new mail, on a real disk.

Two suites on one machine: one empty, one with QUEUE_MESSAGES messages that a sink on loopback has deferred (451 to
each RCPT). New mail is measured in turns at the empty one, at the long one at rest, and at the long one while all of
its messages are tried again; several rounds, of which the table shows medians. Also: the disk and the memory that the
deferred take, the wait of a single local message, the growth by one of 25 MB, and the opening of a million messages.

QUEUE_MESSAGES (100000); QUEUE_ROUNDS (3); QUEUE_SECONDS of each measurement (5); QUEUE_OPEN: messages to open (a
million; 0: none). With these it takes about 5 minutes on two quiet cores.
"""
import os
import re
import statistics
import subprocess
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "regress/e2e"))
import suite  # noqa: E402

MANY = int(os.environ.get("QUEUE_MESSAGES", "100000"))
ROUNDS = int(os.environ.get("QUEUE_ROUNDS", "3"))
SECONDS = os.environ.get("QUEUE_SECONDS", "5")
OPEN = int(os.environ.get("QUEUE_OPEN", "1000000"))
PATIENCE = 1800
ALICE, BOB = "alice@example.test", "bob@example.test"
TICK = 1000 / os.sysconf("SC_CLK_TCK")
STATES = ("empty", "deferred", "retried")
LIBS = "-levent -levent_openssl -lssl -lcrypto -llmdb -lidn2 -lpcre2-8 -lz -lcrypt -lpthread -lseccomp -lbsd".split()


def edit(text, s):
    text = re.sub(r"queue \{[^}]*\}\n", "", text)
    return text.replace("antivirus yes", "antivirus no") + "\nqueue {\n\tretry 6h\n}\n"


def build(name, *more):
    program = os.path.join(long_queue.dir, name)
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-I" + TOP, "-O2", "-o", program,
                    os.path.join(TOP, "regress/bench", name + ".c"), *more], check=True)
    return program


def load(fife, *words):
    """smtp_load's figures, by name."""
    p = subprocess.run([LOAD, "-p", str(fife.port(25)), "-s", "4000", "-f", "s@elsewhere.test", *words],
                       capture_output=True, text=True, check=False)
    if p.returncode != 0:
        print("smtp_load: " + (p.stderr or p.stdout).strip(), flush=True)
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", p.stdout)}


def stats(fife, name):
    return int(re.search(rf"^{name}: (\d+)", fife.ctl("queue", "stats"), re.M).group(1))


def cpu_ms(fife, names):
    total = 0
    for name in names:
        for pid in fife.pids_of(name):
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total * TICK


def memory(fife, name):
    """Private memory of all processes of that name, in octets."""
    total = 0
    for pid in fife.pids_of(name):
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Private"):
                total += int(line.split()[1]) * 1024
    return total


def disk(fife):
    """What the spool takes, without the segments that stand ready empty at any time."""
    total = 0
    for folder, _, files in os.walk(os.path.join(fife.run, "spool")):
        total += sum(os.stat(os.path.join(folder, f)).st_blocks * 512 for f in files)
    return total


def at_rest(fife):
    return stats(fife, "jobs") == 0 and stats(fife, "ready") == 0


def single(fife):
    """From the first octet to the mailbox, of one local message, in ms."""
    name = f"single-{time.monotonic_ns()}"
    new = os.path.join(fife.run, "mail/example.test/bob")
    began = time.monotonic()
    before = count(new)
    fife.send("s@elsewhere.test", [BOB], f"Subject: {name}\r\n\r\nx\r\n")
    suite.wait_for(lambda: count(new) > before, "the single message", 120)
    return (time.monotonic() - began) * 1000


def count(folder):
    return sum(len(files) for path, _, files in os.walk(folder) if os.path.basename(path) in ("new", "cur"))


def measure(fife, seen):
    """New mail for a local mailbox: 50 clients, a message a connection; then one client; then a single one."""
    daemons = ("smtpd", "queued")
    before = cpu_ms(fife, daemons)
    many = load(fife, "-c", "50", "-d", SECONDS, "-n", "1000000", "-t", ALICE)
    seen.setdefault("messages/s", []).append(many["rate"])
    seen.setdefault("p99 ms", []).append(many["p99_ms"])
    seen.setdefault("CPU ms", []).append((cpu_ms(fife, daemons) - before) / max(many["messages"], 1))
    one = load(fife, "-c", "1", "-n", "200", "-t", ALICE)
    seen.setdefault("one client, p50 ms", []).append(one["p50_ms"])
    seen.setdefault("one to mailbox, ms", []).append(single(fife))


def defer_many():
    """MANY messages, each tried once; what they take."""
    fife, began = long_queue, time.monotonic()
    disk_before, memory_before = disk(fife), memory(fife, "queued")
    load(fife, "-c", "50", "-m", "100", "-n", str(MANY), "-l", "600", "-t", "busy@example.test")
    n = stats(fife, "messages")
    print(f"{n} messages taken in {time.monotonic() - began:.0f} s", flush=True)
    suite.wait_for(lambda: at_rest(fife) and stats(fife, "deferred") >= n, "all are deferred", PATIENCE)
    octets = stats(fife, "octets")
    print(f"all deferred by the sink after {time.monotonic() - began:.0f} s; each of {octets / n:.0f} octets takes "
          f"{(disk(fife) - disk_before) / n:.0f} octets of disk and {(memory(fife, 'queued') - memory_before) / n:.0f} "
          "of memory", flush=True)


def main():
    seen = {s: {} for s in STATES}
    defer_many()
    for r in range(ROUNDS):
        measure(empty, seen["empty"])
        suite.wait_for(lambda: at_rest(empty), "rest", PATIENCE)
        measure(long_queue, seen["deferred"])
        suite.wait_for(lambda: at_rest(long_queue), "rest", PATIENCE)
        began = time.monotonic()
        long_queue.ctl("queue", "retry", "--to", "busy.test")
        measure(long_queue, seen["retried"])
        if at_rest(long_queue):
            print(f"round {r + 1}: the retries ended before the measurement: too few messages", flush=True)
        suite.wait_for(lambda: at_rest(long_queue), "all are deferred again", PATIENCE)
        print(f"round {r + 1}: retried within {time.monotonic() - began:.0f} s", flush=True)
    names = list(seen["empty"])
    print(f"{'new mail, medians of ' + str(ROUNDS):28}" + "".join(f"{n:>20}" for n in names))
    for state in STATES:
        print(f"{state:28}" + "".join(f"{statistics.median(seen[state][n]):20.2f}" for n in names))
    for state in STATES[1:]:
        ratios = [statistics.median(a / b for a, b in zip(seen[state][n], seen["empty"][n])) for n in names]
        print(f"{state + ' / empty':28}" + "".join(f"{x:20.2f}" for x in ratios), flush=True)
    was = memory(empty, "smtpd"), memory(empty, "queued")
    load(empty, "-c", "1", "-n", "1", "-s", "25000000", "-t", ALICE)
    print(f"25 MB: smtpd grew by {(memory(empty, 'smtpd') - was[0]) // 1024} KB, queued by "
          f"{(memory(empty, 'queued') - was[1]) // 1024} KB", flush=True)
    if OPEN:
        libs = [os.path.join(TOP, "build/prod", f"lib{x}.a") for x in ("queued", "common")]
        spool = os.path.join(long_queue.dir, "many")
        os.mkdir(spool)
        subprocess.run([build("spool_open", *libs, *LIBS), spool, str(OPEN)], check=True)


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as empty, suite.Suite(conf_edit=edit) as long_queue:
        LOAD = build("smtp_load")
        sink = subprocess.Popen([build("defer_sink")], stdout=subprocess.PIPE, text=True)
        try:
            port = sink.stdout.readline().strip()
            long_queue.ctl("route", "add", "busy.test", f"smtp://127.0.0.1:{port}")
            # Strangers may not relay: an alias stands for somebody there.
            long_queue.ctl("alias", "add", "busy@example.test", "x@busy.test")
            main()
        finally:
            sink.terminate()
            print("sink: " + sink.stdout.read().strip())
            sink.wait()

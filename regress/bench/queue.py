# SPDX-License-Identifier: ISC
"""make bench-queue: what a long queue costs new mail, on a real disk.

Messages for a dead destination are deferred; then the rate and the latency of accepting is measured with an empty
queue, with that many deferred, and while they are all retried. Also: the wait of a single message to another
destination meanwhile, the disk that they take, and the growth of smtpd and queued by a message of 25 MB.

BENCH_QUEUE: messages (100000); BENCH_SECONDS: of each measurement (5).
"""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import suite  # noqa: E402

MANY = int(os.environ.get("BENCH_QUEUE", "100000"))
SECONDS = os.environ.get("BENCH_SECONDS", "5")
HERE = os.path.dirname(os.path.abspath(__file__))
ALICE = "alice@example.test"


def edit(text, s):
    text = re.sub(r"queue \{[^}]*\}\n", "", text)
    text = re.sub(r"(smtp \{)", r"\1\n\tmessage-size-max 50m", text, count=1) if "message-size-max" not in text else text
    return text + "\nqueue {\n\tretry 6h\n}\n"


def load(*words):
    """smtp_load's figures."""
    out = subprocess.run([LOAD, "-p", str(fife.port(25)), *words], capture_output=True, text=True, check=False).stdout
    return out.strip()


def figure(text, name):
    m = re.search(name + r"[ =:]*([0-9.]+)", text)
    return float(m.group(1)) if m else float("nan")


def stats(name):
    return int(re.search(rf"^{name}: (\d+)", fife.ctl("queue", "stats"), re.M).group(1))


def rss(name):
    """Private and shared memory of all processes of that name, in KB."""
    total = 0
    for pid in fife.pids_of(name):
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Private"):
                total += int(line.split()[1])
    return total


def accept(what):
    text = load("-c", "50", "-s", "4000", "-d", SECONDS, "-f", "s@elsewhere.test", "-t", ALICE)
    one = load("-c", "1", "-s", "4000", "-n", "200", "-f", "s@elsewhere.test", "-t", ALICE)
    print(f"{what}: 50 clients: {text}; one client: {one}", flush=True)


def single():
    """From the 250 to the mailbox, of one message."""
    name = f"single-{time.monotonic_ns()}"
    began = time.monotonic()
    fife.send("s@elsewhere.test", ["bob@example.test"], f"Subject: {name}\r\n\r\nx\r\n")
    while not any(name.encode() in m for m in fife.messages("bob@example.test")):
        time.sleep(0.002)
    return (time.monotonic() - began) * 1000


def main():
    accept("queue empty")
    print(f"one local message alone: {single():.0f} ms")
    before = stats("journal-octets")
    fife.ctl("route", "add", "dead.test", "smtp://127.0.0.1:9")
    fife.ctl("queue", "hold", "--all")
    # An alias, since strangers may not relay: it stands for somebody there.
    fife.ctl("alias", "add", "dead@example.test", "x@dead.test")
    began = time.monotonic()
    print(load("-p", str(fife.port(25)), "-c", "50", "-m", "100", "-s", "4000", "-n", str(MANY), "-l", "600", "-f",
               "s@elsewhere.test", "-t", "dead@example.test"))
    n = stats("messages")
    print(f"{n} messages for a dead destination taken in {time.monotonic() - began:.0f} s; "
          f"disk {(stats('journal-octets') - before) / max(n, 1):.0f} octets each of {stats('octets') / max(n, 1):.0f}")
    fife.ctl("queue", "release", "--all")
    suite.wait_for(lambda: stats("routes-waiting") > 0 and stats("jobs") == 0, "the back-off", 300)
    accept(f"{n} deferred")
    print(f"one local message beside them: {single():.0f} ms")
    fife.ctl("queue", "retry", "--to", "dead.test")
    accept(f"{n} retried")
    print(f"one local message beside them: {single():.0f} ms")
    was = rss("smtpd"), rss("queued")
    print("25 MB:", load("-c", "1", "-n", "1", "-s", str(25 * 1000 * 1000), "-f", "s@elsewhere.test", "-t", ALICE))
    print(f"25 MB: smtpd grew by {rss('smtpd') - was[0]} KB, queued by {rss('queued') - was[1]} KB")


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        LOAD = os.path.join(fife.dir, "smtp_load")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", LOAD, os.path.join(HERE, "smtp_load.c")], check=True)
        main()

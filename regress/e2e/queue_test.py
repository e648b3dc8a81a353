# SPDX-License-Identifier: ISC
"""The queue in the hands of its administrator: freeze rules, verify and repair, space."""
import glob
import os
import re
import smtplib
import socket
import sys
import threading
import time

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def send(to, subject, sender="eve@elsewhere.test", size=300):
    body = ("y" * 70 + "\r\n") * (size // 72 + 1)
    fife.send(sender, [to], f"Subject: {subject}\r\n\r\n{body}")


def has(subject):
    return any(subject.encode() in m for u in (ALICE, BOB) for m in fife.messages(u))


def queued_pid():
    return fife.pids_of("queued")[0]


def test_freeze_holds_and_survives():
    text = fife.ctl("queue", "freeze", "add", "--to", ALICE, "--reason", "moves house",
                    "--owner", "carol", "--until", "2d")
    rule = re.search(r"rule (\d+)", text).group(1)
    send(ALICE, "frozen one")
    send(BOB, "free one")
    wait_for(lambda: has("free one"), "the other recipient gets mail")
    wait_for(lambda: "frozen" in fife.ctl("queue", "list"), "it is shown as frozen")
    line = fife.ctl("queue", "list")
    assert "moves house" in line and "carol" in line, line
    qid = re.search(r"^(\S+)\s+frozen", line, re.M).group(1)
    assert "moves house" in fife.ctl("queue", "show", qid)
    wait_for(lambda: "moves house" in fife.ctl("why", qid), "why tells it")
    # A restart by force, and one in order.
    os.kill(queued_pid(), 9)
    wait_for(lambda: fife.ctl("queue", "freeze", "list", check=False)[0] == 0, "queued again")
    fife.stop()
    fife.start()
    wait_for(lambda: "carol" in fife.ctl("queue", "freeze", "list"), "the rule is there")
    send(ALICE, "frozen two", sender="mallory@elsewhere.test")
    fife.ctl("queue", "retry", "--all")
    wait_for(lambda: fife.ctl("queue", "list").count("frozen") >= 2, "both are frozen")
    assert not has("frozen one") and not has("frozen two")
    fife.ctl("queue", "freeze", "del", rule)
    wait_for(lambda: has("frozen one") and has("frozen two"), "both are delivered")
    assert rule not in fife.ctl("queue", "freeze", "list")


def test_freeze_words():
    for words in ([], ["--to", "x"], ["--reason", "y"], ["--to", "x", "--reason", "y", "--until", "1999-01-01"],
                  ["--nonsense", "x"]):
        code, _ = fife.ctl("queue", "freeze", "add", *words, check=False)
        assert code == 2, (words, code)
    code, _ = fife.ctl("queue", "freeze", "del", "4711", check=False)
    assert code == 1, code


def test_freeze_by_sender_pattern():
    text = fife.ctl("queue", "freeze", "add", "--from", "news-*@*", "--reason", "too many")
    rule = re.search(r"rule (\d+)", text).group(1)
    send(BOB, "pattern held", sender="news-7@list.test")
    send(BOB, "pattern free", sender="new@list.test")
    wait_for(lambda: has("pattern free"), "another sender")
    assert not has("pattern held")
    fife.ctl("queue", "freeze", "del", rule)
    wait_for(lambda: has("pattern held"), "released")


def flood(rcpts, sender, total, login=None):
    """Bulk from one sender, over a few connections."""
    taken = []

    def run(part):
        s = fife.smtp(587 if login else 25, login)
        for i in range(part, total, 4):
            s.sendmail(sender, [rcpts(i)], "Subject: bulk\r\n\r\nbulk\r\n")
            taken.append(i)
        s.quit()
    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(taken) == total, f"{len(taken)} of {total} were taken"


def test_bulk_delays_nobody():
    """A dead destination, one sender to many dead ones, and one bulk sender to a mailbox."""
    total = int(os.environ.get("FIFE_BULK", "1000"))
    hang = socket.socket()
    hang.bind(("0.0.0.0", 0))
    hang.listen(1000)  # accepts in the kernel and never says a word
    port = hang.getsockname()[1]

    def local(n):
        start = time.monotonic()
        send(BOB, f"single {n}.", sender="single@elsewhere.test")
        wait_for(lambda: has(f"single {n}."), "a single message")
        return time.monotonic() - start

    def remote(n):
        start = time.monotonic()
        fife.send(BOB, ["z@live.test"], f"Subject: remote {n}.\r\n\r\nx\r\n", 587, BOB)
        wait_for(lambda: any(f"remote {n}.".encode() in m[2] for m in sink.messages), "a remote message")
        return time.monotonic() - start

    with suite.Sink() as sink:
        fife.ctl("route", "add", "live.test", f"smtp://127.0.0.1:{sink.port}")
        for n in range(20):
            fife.ctl("route", "add", f"hang{n}.test", f"smtp://127.0.0.{n + 2}:{port}")
        quiet = sorted(local(n) for n in range(9))[4]
        quiet_remote = sorted(remote(n) for n in range(9))[4]
        flood(lambda i: "x@hang0.test", ALICE, total, ALICE)
        dead = sorted(remote(n) for n in range(10, 19))[4]
        flood(lambda i: f"x@hang{i % 20}.test", ALICE, total, ALICE)
        many = sorted(remote(n) for n in range(20, 29))[4]
        fife.ctl("queue", "hold", "--all")
        flood(lambda i: ALICE, "bulk@elsewhere.test", total)
        fife.ctl("queue", "release", "--all")
        busy = local(100)
        left = total - sum(b"Subject: bulk" in m for m in fife.messages())
        print(f"# remote: alone {quiet_remote * 1000:.0f} ms, beside {total} to a dead host {dead * 1000:.0f} ms, "
              f"and {total} of one sender to 20 more {many * 1000:.0f} ms; local: alone {quiet * 1000:.0f} ms, "
              f"beside {total} of one sender {busy * 1000:.0f} ms ({left} of them still to come)")
        assert dead < quiet_remote + 1 and many < quiet_remote + 1
        assert busy < quiet + 5
        hang.close()
        for n in range(20):
            fife.ctl("queue", "remove", "--to", f"hang{n}.test", check=False)
            fife.ctl("route", "del", f"hang{n}.test")
        wait_for(lambda: not fife.ctl("queue", "list").strip(), "an empty queue")


def test_low_disk():
    """Below disk-reserve strangers wait; what is queued is delivered, and bounces are written."""
    conf = os.path.join(fife.run, "fife.conf")
    before = open(conf).read()
    free = os.statvfs(fife.run).f_bavail * os.statvfs(fife.run).f_frsize

    def reserve(octets):
        with open(conf, "w") as f:
            f.write(re.sub(r"^queue \{[^}]*\}", "", before, flags=re.M) + f"\nqueue {{\n\tdisk-reserve {octets}\n}}\n")
        fife.ctl("reload")

    def stranger():
        try:
            send(BOB, "from a stranger")
            return 250, b""
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error
        except smtplib.SMTPRecipientsRefused as e:
            return list(e.recipients.values())[0]

    with suite.Sink(lambda verb, arg: "550 5.1.1 nobody" if verb == "RCPT" else None) as sink:
        fife.ctl("route", "add", "live.test", f"smtp://127.0.0.1:{sink.port}")
        fife.ctl("queue", "hold", "--all")
        send(BOB, "before the flood")
        fife.send(ALICE, ["z@live.test"], "Subject: to be bounced\r\n\r\nx\r\n", 587, ALICE)
        reserve(free * 2 // 1048576 * 1048576)  # the users' quarter is still there
        code, text = wait_for(lambda: stranger() if stranger()[0] != 250 else None, "452")
        assert code == 452 and text.startswith(b"4.3.1"), (code, text)
        fife.send(ALICE, [BOB], "Subject: of a user\r\n\r\nx\r\n", 587, ALICE)
        assert "disk" in fife.ctl("status").lower()
        fife.ctl("queue", "release", "--all")
        wait_for(lambda: has("before the flood") and has("of a user"), "local delivery goes on")
        wait_for(lambda: any(b"to be bounced" in m and b"5.1.1" in m for m in fife.messages()), "the bounce")
        reserve(free * 10 // 1048576 * 1048576)
        try:
            fife.send(ALICE, [BOB], "Subject: too late\r\n\r\nx\r\n", 587, ALICE)
            raise AssertionError("taken below a quarter of the reserve")
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
            pass
    with open(conf, "w") as f:
        f.write(before)
    fife.ctl("reload")
    wait_for(lambda: stranger()[0] == 250, "mail is taken again")
    wait_for(lambda: not fife.ctl("queue", "list").strip(), "an empty queue")


def test_verify():
    fife.ctl("queue", "hold", "--all")
    for i in range(5):
        send(BOB, f"verify {i}.", size=400000 if i == 4 else 500)
    text = fife.ctl("queue", "verify")
    assert "5 messages are whole" in text, text
    code, text = fife.ctl("queue", "verify", "--offline", check=False)
    assert code == 75, (code, text)
    # The content of one rots.
    spool = os.path.join(fife.run, "spool")
    body = glob.glob(os.path.join(spool, "body", "*", "*"))
    assert len(body) == 1, body
    fife.stop()
    with open(body[0], "r+b") as f:
        f.seek(1000)
        f.write(b"\xff")
    code, text = fife.ctl("queue", "verify", "--offline", check=False)
    assert code == 1 and "1 damaged" in text, (code, text)
    with open(body[0], "r+b") as f:
        f.seek(1000)
        f.write(b"y")
    owner = os.stat(spool).st_uid
    for top, _, names in os.walk(spool):
        for name in names:
            assert os.stat(os.path.join(top, name)).st_uid == owner, name
    with open(body[0], "r+b") as f:
        f.seek(1000)
        f.write(b"\xff")
    fife.start()
    code, text = fife.ctl("queue", "verify", "--repair", check=False)
    assert code == 1 and "and held" in text, (code, text)
    fife.ctl("queue", "release", "--all")
    wait_for(lambda: all(has(f"verify {i}.") for i in range(4)), "the whole ones are delivered")
    assert fife.ctl("queue", "list").strip()
    fife.ctl("queue", "remove", "--all")


if __name__ == "__main__":
    fife = suite.Suite()
    failed = 1
    try:
        fife.start()
        failed = suite.main(sys.modules[__name__])
    finally:
        fife.__exit__()
    sys.exit(1 if failed else 0)

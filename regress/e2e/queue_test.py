# SPDX-License-Identifier: ISC
"""The queue in the hands of its administrator: freeze rules, verify and repair, space."""
import glob
import json
import os
import re
import subprocess
import sys

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def send(to, subject, sender="eve@elsewhere.test", size=300):
    body = ("y" * 70 + "\r\n") * (size // 72 + 1)
    fife.send(sender, [to], f"Subject: {subject}\r\n\r\n{body}")


def rows(*words):
    text = fife.ctl("-j", *words)
    return [json.loads(line) for line in text.splitlines() if line.strip().startswith("{")]


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
    assert len(rows("queue", "list")) >= 1
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

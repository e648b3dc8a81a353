# SPDX-License-Identifier: ISC
"""The queue by hand: which messages a command means, counting without doing, taking out some recipients,
bounces by hand, priorities; and times by class."""
import email
import email.policy
import json
import os
import re
import signal
import sys

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def edit(text, s):
    text = re.sub(r"queue \{[^}]*\}\n", "", text)
    return text + """
queue {
	retry 1h
	class hasty { from bob@example.test; to "*@asleep.test"; retry 1s; expire 3s; delay-warning 0s }
	class watched { to watched.test; retry 1s; expire 1h; delay-warning 1s }
}
"""


def rows(*words):
    return json.loads(fife.ctl("-j", "queue", "list", *words) or "[]")


def facts(qid):
    return json.loads(fife.ctl("-j", "queue", "show", qid))


def submit(sender, rcpts, subject):
    fife.send(sender, rcpts, f"From: {sender}\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n",
              port=587, login=sender)


def restart():
    """queued by kill -9; fifed starts another."""
    old = fife.pids_of("queued")[0]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: fife.pids_of("queued") not in ([], [old]), "another queued")
    wait_for(lambda: fife.ctl("queue", "stats", check=False)[0] == 0, "its answer")


def count(text):
    return int(re.search(r"\d+", text).group())


def test_patterns_and_dry_run():
    fife.ctl("queue", "hold", "--all")
    for n in range(4):
        submit(ALICE, [f"user-{n}@far.test"], f"pattern {n}")
    submit(BOB, ["other@far.test", "user-9@near.test"], "pattern two")
    # Each word alone and several together.
    assert len(rows("--to", "user-*@far.test")) == 4
    assert len(rows("--to", "USER-[12]@*")) == 2
    assert len(rows("--to", "far.test")) == 5
    assert len(rows("--from", "b?b@*", "--to", "*@near.test")) == 1
    assert len(rows("--newer", "1h", "--from", ALICE)) == 4 and not rows("--older", "1h")
    # Counting changes nothing.
    out = fife.ctl("queue", "remove", "--dry-run", "--to", "*@far.test")
    assert "5 messages with 5 recipients" in out and "nothing is changed" in out, out
    out = fife.ctl("queue", "bounce", "--dry-run", "--to", "user-9@near.test")
    assert "1 message with 1 recipient " in out, out
    assert "4 messages" in fife.ctl("queue", "hold", "--dry-run", "--from", ALICE)
    assert len(rows()) == 5
    # Done: and those recipients only.
    assert count(fife.ctl("queue", "remove", "--to", "user-*@far.test", "--from", ALICE)) == 4
    assert count(fife.ctl("queue", "remove", "--to", "other@far.test")) == 1
    left = rows()
    assert len(left) == 1 and left[0]["to"] == "user-9@near.test", left
    assert "removed by the administrator" in fife.ctl("queue", "show", left[0]["qid"])
    # A restart knows it too.
    restart()
    assert rows()[0]["to"] == "user-9@near.test"
    assert count(fife.ctl("queue", "remove", left[0]["qid"])) == 1 and not rows()
    fife.ctl("queue", "release", "--all")


def test_bounce_by_hand():
    with Sink(lambda verb, arg: "451 4.2.0 not now" if verb == "RCPT" else None) as sink:
        for d in ("dead.test", "slow.test"):
            fife.ctl("route", "add", d, f"smtp://127.0.0.1:{sink.port}")
        submit(ALICE, ["x@dead.test", "y@slow.test"], "given up by hand")
        wait_for(lambda: rows("--state", "deferred", "--to", "dead.test"), "the first try")
        out = fife.ctl("queue", "bounce", "--to", "dead.test", "--reason", "That company is closed")
        assert count(out) == 1, out
        bounce = fife.wait_message("That company is closed")
        assert b"x@dead.test" in bounce and b"y@slow.test" not in bounce.split(b"\r\n--")[1], bounce
        assert b"Status: 5.3.0" in bounce
        assert not rows("--to", "dead.test") and len(rows("--to", "slow.test")) == 1
        fife.ctl("queue", "remove", "--to", "slow.test")
        wait_for(lambda: not rows(), "an empty queue")


def test_bounce_in_chinese():
    """By a setting of the sender's domain: Chinese, then English, for any mail program."""
    with Sink(lambda verb, arg: "550 5.1.1 no such user" if verb == "RCPT" else None) as sink:
        fife.ctl("route", "add", "far-east.test", f"smtp://127.0.0.1:{sink.port}")
        code, _ = fife.ctl("domain", "set", "example.test", "language=tlh", check=False)
        assert code == 2
        fife.ctl("domain", "set", "example.test", "language=zh")
        assert "language=zh" in fife.ctl("domain", "list") and "example.test language=zh" in fife.ctl("dump")
        submit(ALICE, ["nobody@far-east.test"], "to the far east")
        raw = fife.wait_message("nobody@far-east.test")
        m = email.message_from_bytes(raw, policy=email.policy.default)
        assert m["Subject"] == "您的邮件未能送达", m["Subject"]
        parts = list(m.iter_parts())
        assert [p.get_content_type() for p in parts][:2] == ["text/plain", "message/delivery-status"]
        human = parts[0].get_content()
        assert "没有这个名称的邮箱" in human and "There is no mailbox of that name" in human, human
        assert human.index("未能送达") < human.index("could not be delivered")
        assert "550 5.1.1 no such user" in human and not m.defects and not parts[0].defects
        fife.ctl("domain", "set", "example.test", "language=en")
        submit(ALICE, ["nobody2@far-east.test"], "to the far east again")
        assert b"Subject: Your message could not be delivered" in fife.wait_message("nobody2@far-east.test")


def test_priority_by_hand():
    wait_for(lambda: not rows(), "an empty queue")
    fife.ctl("queue", "hold", "--all")
    submit(ALICE, ["p@far.test"], "not so urgent")
    qid = rows()[0]["qid"]
    assert count(fife.ctl("queue", "set", "--priority", "-4", qid)) == 1
    restart()
    assert '"-4"' in fife.ctl("-j", "queue", "show", qid), fife.ctl("queue", "show", qid)
    fife.ctl("queue", "set", "--priority", "0", qid)
    restart()
    assert '"-4"' not in fife.ctl("-j", "queue", "show", qid)
    # It chooses no messages: what would all be meant stays.
    for verb in ("remove", "bounce", "hold", "release", "retry"):
        status, words = fife.ctl("queue", verb, "--all", "--priority", "-4", check=False)
        assert status == 2 and "--priority belongs to queue set" in words, (status, words)
    assert len(rows()) == 1
    fife.ctl("queue", "remove", qid)
    fife.ctl("queue", "release", "--all")


def test_times_by_class():
    with Sink(lambda verb, arg: "451 4.2.0 asleep" if verb == "RCPT" else None) as sink:
        for d in ("asleep.test", "watched.test"):
            fife.ctl("route", "add", d, f"smtp://127.0.0.1:{sink.port}")
        submit(ALICE, ["x@asleep.test"], "slow by default")
        submit(BOB, ["y@asleep.test"], "hasty one")
        submit(ALICE, ["z@watched.test"], "watched one")
        # Of two senders to one place the hasty one's is given up.
        fife.wait_message("hasty one", user=BOB)
        wait_for(lambda: not rows("--from", BOB), "the end of the hasty one")
        first = rows("--to", "x@asleep.test")[0]
        assert first["attempts"] == 1, first
        assert "hasty" not in fife.ctl("queue", "show", first["qid"])
        # Its own delay warning, while the message goes on.
        warning = fife.wait_message("It will be tried until")
        assert b"Action: delayed" in warning and b"z@watched.test" in warning
        assert "watched" in fife.ctl("queue", "show", rows("--to", "watched.test")[0]["qid"])
        fife.ctl("queue", "remove", "--all")


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

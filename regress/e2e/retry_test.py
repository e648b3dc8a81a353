# SPDX-License-Identifier: ISC
"""The queue by the clock and by hand: retries, expiry, hold and release, what a bounce says, and
where a message is at any moment."""
import json
import re
import sys

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def edit(text, s):
    # What make run gives, but with a short patience for mail that goes out.
    text = re.sub(r"queue \{[^}]*\}\n", "", text)
    return text + "\nqueue {\n\tretry 1s\n\texpire 6s\n\tbounce-expire 6s\n}\n"


def rows(*words):
    return json.loads(fife.ctl("-j", "queue", "list", *words) or "[]")


def submit(rcpt, subject):
    fife.send(ALICE, [rcpt], f"From: {ALICE}\r\nTo: {rcpt}\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n",
              port=587, login=ALICE)


def test_expired_recipient_comes_back_with_the_last_words():
    with Sink(lambda verb, arg: "451 4.2.0 the mailbox is asleep" if verb == "RCPT" else None) as sink:
        fife.ctl("route", "add", "asleep.test", f"smtp://127.0.0.1:{sink.port}")
        submit("x@asleep.test", "too late")
        bounce = fife.wait_message("the mailbox is asleep")
        assert b"multipart/report" in bounce and b"4.4.7" in bounce, bounce
        assert b"x@asleep.test" in bounce and bounce.startswith(b"Return-Path: <>\r\n")
        # The human part comes first, and in words.
        parts = bounce.split(b"\r\n--")
        assert b"text/plain" in parts[1] and b"x@asleep.test" in parts[1], parts[1]
        assert b"message/delivery-status" in parts[2]
        assert b"Action: failed" in parts[2] and b"Status: 4.4.7" in parts[2], parts[2]
        assert sum(c.startswith("RCPT") for c in sink.commands) >= 3, "it was tried too seldom"
        wait_for(lambda: not rows("--to", "asleep.test"), "an empty queue")


def test_bounce_that_cannot_be_delivered_ends():
    """A null reverse-path never gets a bounce: no loop."""
    with Sink(lambda verb, arg: "550 5.1.1 never heard of" if verb == "RCPT" else None) as sink:
        fife.ctl("route", "add", "refuses.test", f"smtp://127.0.0.1:{sink.port}")
        before = len(fife.messages())
        s = fife.smtp(587, ALICE)
        s.sendmail("", ["x@refuses.test"], "Subject: from nobody\r\n\r\nx\r\n")
        s.quit()
        wait_for(lambda: any(c.startswith("RCPT") for c in sink.commands), "the try")
        wait_for(lambda: not rows("--to", "refuses.test"), "an empty queue")
        assert len(fife.messages()) == before or \
            not any(b"never heard of" in m and m.startswith(b"Return-Path: <>") and b"To: <>" in m
                    for m in fife.messages())


def test_hold_release_remove():
    with Sink() as sink:
        fife.ctl("route", "add", "later.test", f"smtp://127.0.0.1:{sink.port}")
        fife.ctl("queue", "hold", "--all")
        try:
            submit("x@later.test", "held")
            submit("y@later.test", "removed")
            wait_for(lambda: len(rows("--to", "later.test")) == 2, "two in the queue")
            assert not sink.messages
            ids = [r["qid"] for r in rows("--to", "y@later.test")] or \
                [r["qid"] for r in rows("--to", "later.test") if r["to"].startswith("y@")]
            assert len(ids) == 1
            shown = fife.ctl("queue", "show", ids[0])
            assert "y@later.test" in shown and ALICE in shown
            fife.ctl("queue", "remove", ids[0])
        finally:
            fife.ctl("queue", "release", "--all")
        wait_for(lambda: sink.messages, "the held one")
        wait_for(lambda: not rows("--to", "later.test"), "an empty queue")
        assert [m[1] for m in sink.messages] == [["x@later.test"]]


def test_why_tells_the_story():
    code, text = fife.ctl("why", "x@asleep.test", check=False)
    assert code == 0 and "asleep" in text, text
    assert re.search(r"the mailbox is asleep", text), text
    # The sender's own story holds the bounce.
    text = fife.ctl("why", ALICE)
    assert "x@asleep.test" in text
    facts = json.loads(fife.ctl("-j", "why", "x@asleep.test"))
    assert isinstance(facts, list) and facts


def test_why_knows_what_was_refused_at_the_door():
    s = fife.smtp()
    s.ehlo()
    s.mail("eve@elsewhere.test")
    assert s.rcpt("nobody-here@example.test")[0] == 550
    s.quit()
    text = wait_for(lambda: [t for t in [fife.ctl("why", "nobody-here@example.test", check=False)[1]] if "5.1.1" in t],
                    "the refusal in why")[0]
    assert "eve@elsewhere.test" in text


def test_several_recipients_fare_differently():
    def answer(verb, arg):
        if verb != "RCPT":
            return None
        if "gone@" in arg:
            return "550 5.1.1 gone for good"
        if "full@" in arg:
            return "452 4.2.2 full up"
        return None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "mixed.test", f"smtp://127.0.0.1:{sink.port}")
        fife.send(ALICE, ["ok@mixed.test", "gone@mixed.test", "full@mixed.test", BOB],
                  "Subject: mixed\r\n\r\nx\r\n", port=587, login=ALICE)
        fife.wait_message("Subject: mixed", user=BOB)
        wait_for(lambda: sink.messages, "the good one")
        fife.wait_message("gone for good")
        fife.wait_message("full up")
        wait_for(lambda: not rows("--to", "mixed.test"), "an empty queue")
        assert [m[1] for m in sink.messages] == [["ok@mixed.test"]], "delivered again"
        bounces = [m for m in fife.messages() if b"gone@mixed.test" in m and m.startswith(b"Return-Path: <>")]
        assert len(bounces) == 1, len(bounces)


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

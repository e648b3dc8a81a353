# SPDX-License-Identifier: ISC
"""Mail of others that leaves again: the sender is rewritten (SRS), and a bounce to that address
goes back to whom it belongs."""
import re
import sys

import suite
from suite import Sink, wait_for

fife = None
sink = None
ALICE, BOB = "alice@example.test", "bob@example.test"


def text(subject, sender):
    return f"From: <{sender}>\r\nTo: <{ALICE}>\r\nSubject: {subject}\r\n\r\nHello.\r\n"


def arrived(subject):
    return wait_for(lambda: [m for m in sink.messages if f"Subject: {subject}\r\n".encode() in m[2]],
                    f"{subject!r} at the sink")[0]


def test_forward_of_a_stranger():
    fife.ctl("alias", "add", "away@example.test", "somebody@far.test")
    fife.send("Writer+x@strange.test", ["away@example.test"], text("forwarded", "writer@strange.test"))
    sender, rcpts, body = arrived("forwarded")
    assert rcpts == ["somebody@far.test"], rcpts
    assert re.fullmatch(r"SRS0=[a-z2-7]{8}=[a-z2-7]{2}=strange\.test=Writer\+x@mail\.example\.test", sender), sender
    # The bounce of the far host finds the writer.
    fife.send("", [sender], "From: <>\r\nSubject: it failed\r\n\r\nx\r\n")
    back = arrived("it failed")
    assert back[0] == "" and back[1] == ["Writer+x@strange.test"], back[:2]


def test_forged_address_is_unknown():
    s = fife.smtp()
    s.ehlo()
    s.docmd("MAIL", "FROM:<>")
    code, reply = s.docmd("RCPT", "TO:<SRS0=aaaaaaaa=aa=strange.test=writer@mail.example.test>")
    assert 550 <= code <= 554, (code, reply)
    s.quit()


def test_our_own_sender_stays():
    fife.send(BOB, ["away@example.test"], text("of our own", BOB), port=587, login=BOB)
    assert arrived("of our own")[0] == BOB


def test_not_forwarded_stays():
    fife.send(BOB, ["direct@far.test"], text("direct", BOB), port=587, login=BOB)
    assert arrived("direct")[0] == BOB


def test_mixed_mailbox_and_forward():
    fife.ctl("alias", "add", "both@example.test", ALICE, "somebody@far.test")
    fife.send("writer@strange.test", ["both@example.test"], text("both ways", "writer@strange.test"))
    assert arrived("both ways")[0].startswith("SRS0=")
    m = fife.wait_message("Subject: both ways").decode()
    assert "Return-Path: <writer@strange.test>" in m, m


def edit(conf, s):
    return conf + "\nfilter {\n}\n" if "filter" not in conf else conf


if __name__ == "__main__":
    with Sink() as sink, suite.Suite() as fife:
        fife.ctl("route", "add", "*", f"smtp://127.0.0.1:{sink.port}")
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

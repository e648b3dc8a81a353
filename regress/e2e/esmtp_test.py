# SPDX-License-Identifier: ISC
"""The extensions of SMTP through the whole suite, in and out."""
import re
import smtplib
import socket
import sys

import suite
from suite import Sink, SinkSession, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


class DsnSession(SinkSession):
    def say(self, text):
        if text == "250-PIPELINING":
            text = "250-DSN\r\n250-PIPELINING"
        super().say(text)


class DsnSink(Sink):
    def finish_request(self, request, address):
        DsnSession(request, address, self)


def report(user, needle):
    """The status part of a report, and all of it."""
    m = fife.wait_message(needle, user=user)
    return re.search(rb"delivery-status\r\n.*?\r\n\r\n(.*?)\r\n--", m, re.S).group(1).decode(), m.decode()


def submit(rcpts, text, mail=(), sender=ALICE, port=587):
    """rcpts: pairs of address and list of parameters."""
    s = fife.smtp(port, sender if port == 587 else None)
    s.ehlo_or_helo_if_needed()
    assert s.has_extn("dsn")
    code, words = s.mail(sender, list(mail))
    assert code == 250, words
    for address, options in rcpts:
        code, words = s.rcpt(address, list(options))
        assert code == 250, words
    code, words = s.data(text)
    assert code == 250, words
    s.quit()


def test_dsn_delivered():
    submit([(BOB, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Bobby+2Bx@example.test"])],
           "Subject: tell me\r\nX-Mark: dsn1\r\n\r\nthe body of it\r\n", ["RET=HDRS", "ENVID=E+2B1"])
    fife.wait_message("Subject: tell me", user=BOB)
    status, whole = report(ALICE, "Original-Envelope-Id: E+1")
    assert "Action: delivered\r\n" in status, status
    assert "Original-Recipient: rfc822; Bobby+x@example.test\r\n" in status, status
    assert f"Final-Recipient: rfc822; {BOB}\r\n" in status and "Status: 2." in status, status
    assert "X-Mark: dsn1" in whole and "the body of it" not in whole
    assert "Return-Path: <>" in whole


def test_dsn_relayed_and_handed_on():
    with Sink() as plain, DsnSink() as knows:
        fife.ctl("route", "add", "plain.test", f"smtp://127.0.0.1:{plain.port}")
        fife.ctl("route", "add", "knows.test", f"smtp://127.0.0.1:{knows.port}")
        submit([("x@plain.test", ["NOTIFY=SUCCESS"]), ("y@knows.test", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;y+2B@k.test"]),
                ("z@knows.test", ["NOTIFY=NEVER"])],
               "Subject: outward\r\n\r\nx\r\n", ["RET=FULL", "ENVID=outward"])
        status, _ = report(ALICE, "Original-Envelope-Id: outward")
        assert "Action: relayed\r\n" in status and "x@plain.test" in status and "knows" not in status, status
        wait_for(lambda: knows.messages, "mail at the sink that knows of it")
        mail = [c for c in knows.commands if c.startswith("MAIL")][0]
        assert " RET=FULL" in mail and " ENVID=outward" in mail, mail
        rcpts = [c for c in knows.commands if c.startswith("RCPT")]
        assert f"RCPT TO:<y@knows.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;y+2B@k.test" in rcpts, rcpts
        assert "RCPT TO:<z@knows.test> NOTIFY=NEVER" in rcpts, rcpts
        assert not any("NOTIFY" in c or "ENVID" in c or "ORCPT" in c for c in plain.commands), plain.commands


def test_dsn_failed():
    """RET decides what of the message comes back, NEVER is obeyed."""
    def answer(verb, arg):
        return "550 5.1.1 nobody by that name" if verb == "RCPT" else None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "refuses.test", f"smtp://127.0.0.1:{sink.port}")
        for ret in ("FULL", "HDRS"):
            submit([(f"{ret}@refuses.test", ["NOTIFY=FAILURE"]), (f"never{ret}@refuses.test", ["NOTIFY=NEVER"])],
                   f"Subject: refused\r\n\r\nbody of {ret}\r\n", [f"RET={ret}", f"ENVID=refused-{ret}"])
            status, whole = report(ALICE, f"Original-Envelope-Id: refused-{ret}")
            assert "Action: failed\r\n" in status and "Status: 5.1.1" in status, status
            assert "never" not in status, status
            assert (f"body of {ret}" in whole) == (ret == "FULL")
        submit([("never@refuses.test", ["NOTIFY=NEVER"]), ("success@refuses.test", ["NOTIFY=SUCCESS"])],
               "Subject: silence\r\n\r\nx\r\n", ["ENVID=silence"])
        wait_for(lambda: any("<success@" in c for c in sink.commands), "the refusal")
        wait_for(lambda: "silence" not in fife.ctl("queue", "list"), "an empty queue")
    assert not any(b"Envelope-Id: silence" in m for m in fife.messages(ALICE))


def test_dsn_alias():
    fife.ctl("alias", "add", "both@example.test", ALICE, BOB)
    with DsnSink() as sink:
        fife.ctl("route", "add", "knows.test", f"smtp://127.0.0.1:{sink.port}")
        fife.ctl("alias", "add", "two@example.test", "u@knows.test", "v@knows.test")
        submit([("both@example.test", ["NOTIFY=SUCCESS"]), ("two@example.test", ["NOTIFY=SUCCESS,FAILURE"])],
               "Subject: to aliases\r\n\r\nx\r\n", ["ENVID=aliases"])
        wait_for(lambda: sink.messages, "mail at the sink")
        seen = wait_for(lambda: [m for m in fife.messages(ALICE) if b"Envelope-Id: aliases" in m and
                                 b"Action: expanded" in m], "the report on the alias")
        assert b"two@example.test" in seen[0]
        rcpts = [c for c in sink.commands if c.startswith("RCPT")]
        assert len(rcpts) == 2 and all(" NOTIFY=FAILURE" in c for c in rcpts), rcpts


def main():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)

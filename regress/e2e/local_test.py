# SPDX-License-Identifier: ISC
"""Local delivery: full mailboxes at RCPT, and the warnings before."""
import json
import os
import sys

import suite
from suite import Sink, wait_for

fife = None
users = {}
ALICE, BOB = "alice@example.test", "bob@example.test"


def ctl(*words, **more):
    return fife.ctl(*words, **more)


def shown(address):
    return json.loads(ctl("-j", "user", "show", address))[0]


def add_user(address):
    ctl("user", "add", address, input="secret\n")
    users[address] = fife.passwords[address] = "secret"


def rcpt(address, size=None, sender="x@elsewhere.test"):
    with fife.smtp() as s:
        s.ehlo()
        s.docmd("MAIL", f"FROM:<{sender}>" + (f" SIZE={size}" if size else ""))
        code, text = s.docmd("RCPT", f"TO:<{address}>")
    return code, text.decode()


def mail(subject, body="x\r\n"):
    return f"From: <x@elsewhere.test>\r\nTo: <y@example.test>\r\nSubject: {subject}\r\n\r\n{body}"


# ---- quota ----

def test_full_at_rcpt():
    dora = "dora@example.test"
    add_user(dora)
    ctl("user", "set", dora, "quota=8k")
    assert rcpt(dora)[0] == 250
    code, text = rcpt(dora, 9000)  # it could never fit
    assert code == 552 and text.startswith("5.2.2"), text
    fife.send("x@elsewhere.test", [dora], mail("first", "y" * 5000 + "\r\n"))
    wait_for(lambda: shown(dora).get("used", 0) > 5000, "word of what the mailbox holds")
    assert shown(dora)["used-messages"] == 1
    code, text = rcpt(dora, 4000)
    assert code == 452 and text.startswith("4.2.2"), text
    assert rcpt(dora, 100)[0] == 250
    # An alias that leads to it alone, detail, and a login of ours find it full as well.
    ctl("alias", "add", "d@example.test", dora)
    assert rcpt("d@example.test", 4000)[0] == 452
    assert rcpt("dora+x@example.test", 4000)[0] == 452
    # One that only sends on needs no room.
    ctl("user", "set", dora, "forward=" + ALICE)
    assert rcpt(dora, 4000)[0] == 250
    ctl("user", "set", dora, "forward=")
    assert rcpt(dora, 4000)[0] == 452
    # Another limit holds at once; so does room that was made.
    ctl("user", "set", dora, "quota=1m")
    assert rcpt(dora, 4000)[0] == 250
    ctl("user", "set", dora, "quota=1k")
    assert rcpt(dora)[0] == 452
    m = fife.imap(dora, tls=True)
    m.select("INBOX")
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    wait_for(lambda: rcpt(dora)[0] == 250, "room again")


def test_messages_at_rcpt():
    emil = "emil@example.test"
    add_user(emil)
    ctl("user", "set", emil, "quota-messages=2")
    for n in (1, 2):
        fife.send("x@elsewhere.test", [emil], mail(f"number {n}"))
    wait_for(lambda: shown(emil).get("used-messages") == 2, "two messages")
    assert rcpt(emil)[0] == 452
    assert shown(emil)["used-percent"] == 100
    ctl("user", "set", emil, "quota-messages=default")


def warnings(address):
    return [m for m in fife.messages(address) if b"per cent full" in m or "已用".encode() in m]


def test_warnings():
    frida = "frida@zh.test"
    ctl("domain", "add", "zh.test")
    ctl("domain", "set", "zh.test", "language=zh")
    add_user(frida)
    gerd = "gerd@example.test"
    add_user(gerd)
    for u in (frida, gerd):
        ctl("user", "set", u, "quota=100k")
        fife.send("x@elsewhere.test", [u], mail("large", ("y" * 70 + "\r\n") * 1150))
    m = fife.wait_message("per cent full", gerd).decode()
    assert "Subject: Your mailbox is 8" in m and "of 100 KiB" in m and "Auto-Submitted" in m, m
    assert "To: gerd@example.test" in m and "From: fife on mail.example.test" in m
    m = fife.wait_message("已用", frida).decode()
    assert "Subject: =?utf-8?" in m.lower().replace("subject", "Subject"), m
    assert shown(gerd)["warned-percent"] == 80
    # Not once more for every message, also after a new start of authd.
    fife.stop()
    fife.start()
    fife.passwords.update(users)
    fife.send("x@elsewhere.test", [gerd], mail("small"))
    fife.wait_message("Subject: small", gerd)
    fife.send("x@elsewhere.test", [gerd], mail("large", ("y" * 70 + "\r\n") * 200))
    wait_for(lambda: shown(gerd)["warned-percent"] == 95, "the second level")
    wait_for(lambda: len(warnings(gerd)) == 2, "the second warning")
    assert len(warnings(frida)) == 1
    # With more room all is well again.
    ctl("user", "set", gerd, "quota=1m")
    assert shown(gerd)["warned-percent"] == 0 and shown(gerd)["used-percent"] < 20


def test_hard():
    edit_conf(lambda c: c + "\nlimits {\n\tquota-full hard\n}\n")
    ctl("user", "set", BOB, "quota=1k")
    fife.send("x@elsewhere.test", [BOB], mail("to fill", "y" * 500 + "\r\n"))
    wait_for(lambda: shown(BOB).get("used", 0) > 500, "word of what the mailbox holds")
    code, text = rcpt(BOB, 900)
    assert code == 552 and text.startswith("5.2.2"), text
    ctl("user", "set", BOB, "quota=default")


def edit_conf(change):
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(change(text))
    ctl("reload")


if __name__ == "__main__":
    with Sink() as sink, suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""SETQUOTA (RFC 9208) by administrators: off unless it is configured, whose session may, what it changes at
once, and what is logged."""
import imaplib
import json
import os
import re
import sys

import suite
from suite import wait_for

ADMIN, BOB = "adm@example.test", "bob@example.test"  # the first of all users is not the postmaster
TEXT = b"From: a@example.test\r\nSubject: x\r\n\r\n" + b"y" * 70 + b"\r\n"


def shown(address):
    return json.loads(fife.ctl("-j", "user", "show", address))[0]


def edit_conf(change):
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(change(text))
    fife.ctl("reload")


def imap(user=ADMIN, password=None):
    c = fife.imap(user, tls=True, login=False)
    answer = c.login(user, password or fife.passwords[user])
    c.at_login = answer[1][0]
    return c


def say(c, command):
    """(status and text, untagged lines)"""
    c.send(b"x1 " + command.encode() + b"\r\n")
    out = []
    while True:
        line = c.readline().decode()
        assert line, "the connection ended"
        if line.startswith("x1 "):
            return line[3:].rstrip(), out
        out.append(line.rstrip())


def capabilities(c):
    return next(x for x in say(c, "CAPABILITY")[1] if x.startswith("* CAPABILITY ")).split()


def no(c, command, code):
    text, out = say(c, command)
    assert text.startswith("NO " + code) and not [x for x in out if x.startswith("* QUOTA")], (command, text, out)


def ok(c, command, *lines):
    text, out = say(c, command)
    assert text.startswith("OK") and out == list(lines), (command, text, out)


def soon(c, command, *lines):
    """A limit that fifectl has set reaches the mailbox's process after its answer."""
    wait_for(lambda: say(c, command)[1] == list(lines), f"{lines} to {command}")


def rcpt(address, size):
    with fife.smtp() as s:
        s.ehlo()
        s.docmd("MAIL", f"FROM:<x@elsewhere.test> SIZE={size}")
        code, text = s.docmd("RCPT", f"TO:<{address}>")
    return code, text.decode()


def logged(event):
    return [x for x in fife.ctl("log").splitlines() if event in x]


def test_off_by_default():
    fife.ctl("user", "add", ADMIN, input="secret\n")
    fife.passwords[ADMIN] = "secret"
    # His mailbox is closed to others.
    status, text = fife.ctl("user", "set", ADMIN, "administrator=yes", check=False)
    assert status == 1 and "closed=yes" in text and shown(ADMIN)["administrator"] is False, text
    c = imap()
    fife.ctl("user", "set", ADMIN, "administrator=yes", "closed=yes")
    assert c.readline().startswith(b"* BYE")
    assert fife.ctl("user", "set", ADMIN, "closed=no", check=False)[0] == 1
    assert shown(ADMIN)["administrator"] is True and shown(ADMIN)["closed"] is True
    assert shown(BOB)["administrator"] is False and shown(BOB)["closed"] is False
    code, text = rcpt(ADMIN, 100)
    assert code == 550 and text.startswith("5.2.1"), text
    assert rcpt("postmaster@example.test", 100)[0] == 250
    assert "administrator=1" in next(x for x in fife.ctl("dump").splitlines() if x.startswith("user " + ADMIN))
    c = imap()
    assert "QUOTASET" not in capabilities(c) and b"QUOTASET" not in c.at_login and "QUOTA" in capabilities(c)
    no(c, f"SETQUOTA user/{BOB} (STORAGE 1)", "[NOPERM]")
    no(c, f"GETQUOTA user/{BOB}", "[NONEXISTENT]")
    edit_conf(lambda t: t + "\nimap {\n\tquotaset yes\n}\nmailbox {\n\tsleep 1s\n}\n")
    # It goes with the login.
    no(c, f"SETQUOTA user/{BOB} (STORAGE 1)", "[NOPERM]")
    c.logout()
    c = imap()
    assert "QUOTASET" in capabilities(c) and b"QUOTASET" in c.at_login
    c.logout()


def test_sets():
    bob, c = imap(BOB), imap()
    assert "QUOTASET" not in capabilities(bob) and b"QUOTASET" not in bob.at_login
    no(bob, f"SETQUOTA \"\" (STORAGE 1000)", "[NOPERM]")
    no(bob, f"SETQUOTA user/{BOB} (STORAGE 1000)", "[NOPERM]")
    no(bob, f"GETQUOTA user/{ADMIN}", "[NONEXISTENT]")
    assert bob.append("INBOX", None, None, TEXT)[0] == "OK"
    no(c, f"GETQUOTA user/{BOB}", "[NONEXISTENT]")
    assert c.setquota(f"user/{BOB}", "(STORAGE 500 MESSAGE 2)")[0] == "OK"
    wait_for(lambda: shown(BOB).get("used-messages") == 1, "word of what the mailbox holds")
    typ, data = c.getquota(f"user/{BOB}")
    assert typ == "OK" and data == [f'"user/{BOB}" (STORAGE 1 500 MESSAGE 1 2)'.encode()], data
    assert shown(BOB)["quota"] == 512000 and shown(BOB)["quota-messages"] == 2 and shown(BOB)["quota-from"] == "user"
    # The session that is open has it at once.
    soon(bob, 'GETQUOTA ""', '* QUOTA "" (STORAGE 1 500 MESSAGE 1 2)')
    assert bob.append("INBOX", None, None, TEXT)[0] == "OK"
    typ, text = bob.append("INBOX", None, None, TEXT)
    assert typ == "NO" and b"OVERQUOTA" in text[0], text
    # So have others: STORAGE alone takes away the limit of messages.
    ok(c, f'SETQUOTA "user/{BOB}" (STORAGE 1)', f'* QUOTA "user/{BOB}" (STORAGE 1 1)')
    assert shown(BOB)["quota-messages"] == "unlimited"
    code, text = rcpt(BOB, 5000)
    assert code == 552 and text.startswith("5.2.2"), text
    ok(c, f"SETQUOTA user/bob (STORAGE 100)", '* QUOTA "user/bob" (STORAGE 1 100)')
    assert rcpt(BOB, 5000)[0] == 250
    soon(bob, 'GETQUOTA ""', '* QUOTA "" (STORAGE 1 100)')
    assert bob.append("INBOX", None, None, TEXT)[0] == "OK"
    # What is left of the account's own is the default.
    text, out = say(c, f"SETQUOTA user/{BOB} ()")
    assert text.startswith("OK") and out == [] and shown(BOB)["quota"] == "unlimited", (text, out)
    fife.ctl("group", "add", "small", "quota=50k")
    fife.ctl("user", "set", BOB, "group=small")
    wait_for(lambda: shown(BOB).get("used-messages") == 3, "word of what the mailbox holds")
    ok(c, f"SETQUOTA user/{BOB} (MESSAGE 100)", f'* QUOTA "user/{BOB}" (STORAGE 1 50 MESSAGE 3 100)')
    fife.ctl("user", "set", BOB, "group=", "quota-messages=default")
    soon(bob, 'GETQUOTAROOT INBOX', "* QUOTAROOT INBOX")
    # His own, and what there is not.
    ok(c, 'SETQUOTA "" (MESSAGE 1000)', '* QUOTA "" (MESSAGE 0 1000)')
    ok(c, 'GETQUOTAROOT INBOX', '* QUOTAROOT INBOX ""', '* QUOTA "" (MESSAGE 0 1000)')
    assert say(c, 'SETQUOTA "" ()')[0].startswith("OK")
    no(c, "SETQUOTA user/nobody@example.test (STORAGE 1)", "[NONEXISTENT]")
    no(c, f"SETQUOTA user/{BOB} (MAILBOX 1)", "[CANNOT]")
    no(c, f"SETQUOTA user/{BOB} (STORAGE 0)", "[CANNOT]")
    assert say(c, f"SETQUOTA user/{BOB} (STORAGE x)")[0].startswith("BAD")
    # Nothing is shared with him, nor by him.
    assert say(bob, f"SETACL INBOX {ADMIN} lr")[0].startswith("OK") and say(c, f"SETACL INBOX {BOB} lr")[0].startswith("OK")
    for box, other in ((c, BOB), (bob, ADMIN)):
        assert not any("INBOX" in x and "Other" in x for x in say(box, 'LIST "" *')[1])
        no(box, f'SELECT "Other Users/{other}/INBOX"', "[NONEXISTENT]")
    bob.logout()
    c.logout()
    # Who, whose, from where, in which session.
    lines = logged("quota-set")
    assert re.search(rf"quota-set user={BOB} by={ADMIN} client=127\.0\.0\.1 login=\S+Z method=PLAIN opened=password "
                     r"tls=TLSv1\.3 quota=512000 was=default quota-messages=2 messages-was=default$", lines[0]), lines
    assert "quota=default was=102400" in lines[3], lines
    assert not logged("quota-refused"), logged("quota-refused")


def asleep(address):
    def states():
        return [x["state"] for x in json.loads(fife.ctl("-j", "mailbox", "list")) if x["mailbox"] == address]
    local, domain = address.split("@")
    address = f"{domain}/{local}"
    wait_for(lambda: states() == ["asleep"], "the end of the mailbox process")


def test_sleeping_sessions():
    """Of the administrator, who keeps the right; of others, who have the new limit when they wake."""
    bob, c = imap(BOB), imap()
    assert "QUOTASET" in capabilities(c)
    asleep(ADMIN)
    asleep(BOB)
    ok(c, f"SETQUOTA user/{BOB} (STORAGE 2)", f'* QUOTA "user/{BOB}" (STORAGE 1 2)')
    assert "QUOTASET" in capabilities(c)
    soon(bob, 'GETQUOTA ""', '* QUOTA "" (STORAGE 1 2)')
    typ, text = bob.append("INBOX", None, None, TEXT * 30)
    assert typ == "NO" and b"OVERQUOTA" in text[0], text
    assert say(c, f"SETQUOTA user/{BOB} ()")[0].startswith("OK")
    soon(bob, "GETQUOTAROOT INBOX", "* QUOTAROOT INBOX")
    assert bob.append("INBOX", None, None, TEXT * 30)[0] == "OK"
    bob.logout()
    c.logout()


def test_whose_right_it_is():
    # Not of programs that read mail, nor of one who is none any more.
    word = json.loads(fife.ctl("-j", "user", "apppass", "add", ADMIN, "phone"))[0]["password"]
    phone = imap(ADMIN, word)
    assert "QUOTASET" not in capabilities(phone)
    no(phone, f"SETQUOTA user/{BOB} (STORAGE 1)", "[NOPERM]")
    phone.logout()
    c, d = imap(), imap()
    assert [x["quotaset"] for x in json.loads(fife.ctl("-j", "user", "sessions", ADMIN))] == [True, True]
    fife.ctl("user", "set", ADMIN, "administrator=no")
    no(c, f"SETQUOTA user/{BOB} (STORAGE 1)", "[NOPERM]")
    assert "QUOTASET" not in capabilities(c)
    no(d, f"GETQUOTA user/{BOB}", "[NOPERM]")
    assert logged("quota-refused") and "no administrator any more" in logged("quota-refused")[0]
    assert logged("administrator-unmade") and shown(BOB)["quota"] == "unlimited"
    fife.ctl("user", "set", ADMIN, "administrator=yes")
    assert "QUOTASET" not in capabilities(d)
    d.logout()
    d = imap()
    assert "QUOTASET" in capabilities(d)
    assert say(d, f"SETQUOTA user/{BOB} ()")[0].startswith("OK")
    # The same connection as another user.
    text, _ = say(d, "UNAUTHENTICATE")
    assert text.startswith("OK"), text
    text, _ = say(d, f"LOGIN {BOB} {fife.passwords[BOB]}")
    assert text.startswith("OK") and "QUOTASET" not in text, text
    no(d, f"SETQUOTA user/{BOB} (STORAGE 1)", "[NOPERM]")
    # Not for many at once.
    assert fife.ctl("user", "set", "@example.test", "administrator=yes", check=False)[0] == 2
    edit_conf(lambda t: t.replace("quotaset yes", "quotaset no"))
    e = imap()
    assert "QUOTASET" not in capabilities(e)
    for x in (c, d, e):
        x.logout()
    assert shown(BOB)["quota"] == "unlimited"


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""Sieve: scripts put by fifectl, and what becomes of the mail."""
import sys

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def message(subject, to=ALICE, body="Hello.\r\n", extra=""):
    return (f"From: Eve <eve@elsewhere.test>\r\nTo: <{to}>\r\nSubject: {subject}\r\n{extra}"
            f"Message-ID: <{subject.replace(' ', '.')}@elsewhere.test>\r\n\r\n{body}").encode()


def put(text, user=ALICE, name="main", activate=True):
    fife.ctl("sieve", "put", user, name, input=text)
    if activate:
        fife.ctl("sieve", "activate", user, name)


def off(user=ALICE):
    fife.ctl("sieve", "activate", user)


def folder_has(subject, folder, user=ALICE):
    return fife.wait_message(f"Subject: {subject}", user=user, folder=folder)


def test_scripts_by_fifectl():
    put('require "fileinto"; fileinto "A";', name="one", activate=False)
    put("keep;", name="two")
    rows = fife.ctl("sieve", "list", ALICE)
    assert "one" in rows and "two" in rows, rows
    assert 'fileinto "A"' in fife.ctl("sieve", "get", ALICE, "one")
    status, text = fife.ctl("sieve", "put", ALICE, "bad", input="nonsense;\n", check=False)
    assert status == 1 and "line 1, column 1" in text, text
    status, text = fife.ctl("sieve", "check", ALICE, input='fileinto "x";', check=False)
    assert status == 1 and "require" in text, text
    status, text = fife.ctl("sieve", "del", ALICE, "two", check=False)
    assert status == 1 and "active" in text, text
    fife.ctl("sieve", "rename", ALICE, "two", "three")
    assert "three" in fife.ctl("sieve", "list", ALICE)
    off()
    fife.ctl("sieve", "del", ALICE, "three")
    fife.ctl("sieve", "del", ALICE, "one")
    assert "three" not in fife.ctl("sieve", "list", ALICE)


def test_filing_and_flags():
    put('''require ["fileinto", "imap4flags", "mailbox", "copy"];
if header :contains "subject" "filed" {
    addflag ["\\\\Seen", "work"];
    fileinto :create "Projects/Alpha";
} elsif header :contains "subject" "twice" {
    fileinto :copy "Copies";
} elsif header :contains "subject" "gone" {
    discard;
}
''')
    try:
        for word in ("filed", "twice", "gone", "plain"):
            fife.send("eve@elsewhere.test", [ALICE], message(f"sieve {word}"))
        folder_has("sieve filed", "Projects/Alpha")
        folder_has("sieve twice", "Copies")
        folder_has("sieve twice", "INBOX")
        folder_has("sieve plain", "INBOX")
        c = fife.imap()
        c.select('"Projects/Alpha"')
        _, data = c.fetch("1", "(FLAGS)")
        assert b"\\Seen" in data[0] and b"work" in data[0], data
        c.logout()
        assert not any(b"sieve gone" in m or b"sieve filed" in m for m in fife.messages())
    finally:
        off()


def test_edited_header():
    put('require "editheader"; addheader "X-Sorted" "by sieve"; deleteheader "X-Drop"; keep;')
    try:
        fife.send("eve@elsewhere.test", [ALICE], message("sieve edited", extra="X-Drop: me\r\n"))
        m = folder_has("sieve edited", "INBOX")
        assert b"X-Sorted: by sieve\r\n" in m and b"X-Drop" not in m, m
        assert m.endswith(b"\r\n\r\nHello.\r\n")
    finally:
        off()


def test_reject_is_told():
    put('require "reject"; if header :contains "subject" "unwanted" { reject "I do not want this."; }')
    try:
        fife.send(BOB, [ALICE], message("unwanted thing"), port=587, login=BOB)
        m = fife.wait_message("I do not want this.", user=BOB)
        assert b"5.7.1" in m, m
        assert not any(b"unwanted thing" in x for x in fife.messages())
    finally:
        off()


def test_vacation_once():
    put('require "vacation"; vacation :subject "Away" "I am not here.";')
    try:
        for n in (1, 2):
            fife.send(BOB, [ALICE], message(f"vacation {n}"), port=587, login=BOB)
            folder_has(f"vacation {n}", "INBOX")
        m = fife.wait_message("I am not here.", user=BOB)
        assert b"Auto-Submitted: auto-replied" in m and b"Subject: Away\r\n" in m, m
        assert b"Return-Path: <>\r\n" in m, m
        assert b"In-Reply-To: <vacation.1@elsewhere.test>" in m, m
        fife.send("eve@elsewhere.test", [ALICE], message("vacation null").replace(b"eve@", b"x@"))
        folder_has("vacation null", "INBOX")
        assert sum(b"I am not here." in x for x in fife.messages(BOB)) == 1
    finally:
        off()


def test_vacation_by_user_set():
    fife.ctl("user", "set", BOB, "vacation=Back on Monday.\nBob", "vacation-subject=Bob is away")
    try:
        assert "Back on Monday." in fife.ctl("user", "show", BOB)
        fife.send(ALICE, [BOB], message("to bob", to=BOB), port=587, login=ALICE)
        m = fife.wait_message("Back on Monday.", user=ALICE)
        assert b"Subject: Bob is away\r\n" in m and b"Monday.\r\nBob\r\n" in m, m
        folder_has("to bob", "INBOX", user=BOB)
        assert "vacation=Back\\son" in fife.ctl("dump")
    finally:
        fife.ctl("user", "set", BOB, "vacation=", "vacation-subject=")


def test_redirect_to_another_user_and_out():
    with Sink() as sink:
        fife.ctl("route", "add", "far.test", f"smtp://127.0.0.1:{sink.port}")
        put('require ["copy", "editheader"]; redirect :copy "bob@example.test"; '
            'redirect "someone@far.test";')
        try:
            fife.send("eve@elsewhere.test", [ALICE], message("sieve onward"))
            fife.wait_message("Subject: sieve onward", user=BOB)
            wait_for(lambda: sink.messages, "redirect at the sink")
            assert not any(b"sieve onward" in m for m in fife.messages())
        finally:
            off()
            fife.ctl("route", "del", "far.test")


def test_failing_script_keeps_the_mail():
    put('require ["variables", "fileinto"]; set "a" "no address"; redirect "${a}";')
    try:
        fife.send("eve@elsewhere.test", [ALICE], message("sieve failing"))
        folder_has("sieve failing", "INBOX")
        wait_for(lambda: "the script failed" in fife.ctl("why", ALICE), "the reason in why")
    finally:
        off()


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""Logins: every mechanism at every door, guessing, access lists, what a login may send."""
import glob
import os
import re
import smtplib
import subprocess
import sys
import threading
import time

import suite
from scram import Line, Refused, certificate_hash, exporter

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
DOORS = (("smtp", 465, True), ("imap", 993, True), ("pop3", 995, True),
         ("smtp", 25, False), ("imap", 143, False), ("pop3", 110, False))


def door(protocol, port, tls):
    return Line(protocol, fife.port(port), tls, patience=suite.PATIENCE)


def refused(call):
    try:
        call()
    except Refused as e:
        return str(e)
    raise AssertionError("was let in")


def offered(line):
    return "SCRAM-SHA-256" in line.capabilities


def test_scram_everywhere():
    for d in DOORS:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            for ir in (True, False):
                line = door(*d)
                if not offered(line):
                    assert d[2] is False, line.capabilities
                    continue
                line.scram(mechanism, ALICE, fife.passwords[ALICE], ir=ir)
                line.close()


def test_login_mechanism():
    for d in DOORS[:3]:
        line = door(*d)
        assert line.authenticate("LOGIN") == b"Username:"
        assert line.respond(ALICE.encode()) == b"Password:"
        assert line.respond(fife.passwords[ALICE].encode()) is None
        line.close()


def test_wrong_password_by_scram():
    for d in DOORS[:3]:
        line = door(*d)
        text = refused(lambda: line.scram("SCRAM-SHA-256", ALICE, "wrong"))
        assert "535" in text or "AUTHENTICATIONFAILED" in text or "[AUTH]" in text, text
        line.scram("SCRAM-SHA-256", ALICE, fife.passwords[ALICE])
        line.close()


def test_channel_binding():
    for d in DOORS[:3]:
        line = door(*d)
        assert "SCRAM-SHA-256-PLUS" in line.capabilities, line.capabilities
        line.scram("SCRAM-SHA-256-PLUS", ALICE, fife.passwords[ALICE], "p=tls-server-end-point",
                   certificate_hash(line.sock))
        line.close()
        line = door(*d)
        binding = exporter(line.sock)
        if binding is not None:
            line.scram("SCRAM-SHA-1-PLUS", ALICE, fife.passwords[ALICE], "p=tls-exporter", binding)
        line.close()
        # Somebody in between has another connection, so another binding.
        for kind in ("tls-exporter", "tls-server-end-point"):
            line = door(*d)
            refused(lambda: line.scram("SCRAM-SHA-256-PLUS", ALICE, fife.passwords[ALICE], "p=" + kind, b"x" * 32))
            line.close()


def test_downgrade_is_noticed():
    for d in DOORS[:3]:
        line = door(*d)
        refused(lambda: line.scram("SCRAM-SHA-256", ALICE, fife.passwords[ALICE], "y"))
        line.close()
        line = door(*d)
        refused(lambda: line.scram("SCRAM-SHA-256-PLUS", ALICE, fife.passwords[ALICE], "n"))
        line.close()
    line = door("imap", 143, False)
    if offered(line):
        assert "-PLUS" not in line.capabilities
        refused(lambda: line.authenticate("SCRAM-SHA-256-PLUS", b"n,,n=x,r=y"))
        line.scram("SCRAM-SHA-256", ALICE, fife.passwords[ALICE], "y")
    line.close()


def salt_of(user):
    line = door("imap", 993, True)
    refused(lambda: line.scram("SCRAM-SHA-256", user, "wrong"))
    line.close()
    return line.last.salt, line.last.iterations


def test_unknown_user_looks_like_one():
    first = salt_of("nobody@example.test")
    assert first == salt_of("nobody@example.test")
    assert first[0] != salt_of("nobody2@example.test")[0]
    known = salt_of(ALICE)
    assert known == salt_of(ALICE)
    assert first[1] == known[1] and len(first[0]) == len(known[0])
    fife.stop()
    fife.start()
    assert first == salt_of("nobody@example.test"), "another salt after a restart"


def test_yescrypt_only():
    fife.ctl("user", "add", "yes@example.test", "scram=off", input="secret\n")
    line = door("imap", 993, True)
    refused(lambda: line.scram("SCRAM-SHA-256", "yes@example.test", "secret"))
    line.close()
    fife.passwords["yes@example.test"] = "secret"
    fife.imap("yes@example.test", tls=True).logout()


def test_curl_with_scram():
    version = subprocess.run(["curl", "--version"], stdout=subprocess.PIPE, text=True).stdout
    if "gsasl" not in version:
        return "curl without gsasl"
    p = subprocess.run(["curl", "-sk", f"imaps://127.0.0.1:{fife.port(993)}/INBOX", "--login-options",
                        "AUTH=SCRAM-SHA-256", "-u", f"{ALICE}:{fife.passwords[ALICE]}"], timeout=60)
    assert p.returncode == 0


def test_saslprep():
    """One password, however its characters are put together (RFC 4013)."""
    user = "prep@example.test"
    fife.ctl("user", "add", user, input="caf\u00e9\u00a0\uff21\n")
    line = door("imap", 993, True)
    line.scram("SCRAM-SHA-256", user, "caf\u00e9 A")
    line.close()
    for word in ("cafe\u0301 A", "caf\u00e9\u00a0\uff21"):
        line = door("smtp", 465, True)
        assert line.authenticate("PLAIN", b"\0" + user.encode() + b"\0" + word.encode()) is None
        line.close()
    line = door("imap", 993, True)
    refused(lambda: line.authenticate("PLAIN", b"\0" + user.encode() + b"\0cafe A"))
    line.close()
    assert fife.ctl("user", "passwd", user, input="bell\u0007\n", check=False)[0] == 1
    fife.ctl("user", "passwd", user, input="\U0001f434\u5bc6\u7801\n")
    line = door("imap", 993, True)
    line.scram("SCRAM-SHA-256", user, "\U0001f434\u5bc6\u7801")
    line.close()
    fife.ctl("user", "del", user)


def test_failures_are_logged_for_fail2ban():
    """The expression of authd(8), against a name that pretends to be another client."""
    rule = re.compile(r"^\S+ \S+ login-failed proto=.* client=(\S+) method=")
    lie = "me client=192.0.2.66 method=LOGIN"
    for protocol, port, tls in DOORS[:3]:
        line = door(protocol, port, tls)
        refused(lambda: line.authenticate("PLAIN", b"\0" + lie.encode() + b"\0wrong"))
        line.close()
    path = os.path.join(fife.run, "log")

    def hosts():
        lines = [x for f in glob.glob(path + "/login-*.log") for x in open(f) if "192.0.2.66" in x]
        return [m.group(1) for m in map(rule.match, lines) if m]
    suite.wait_for(lambda: len(hosts()) == 3, "three lines")
    assert set(hosts()) == {"127.0.0.1"}, hosts()


def refusal(sender, rcpt=ALICE, port=25, login=None):
    s = fife.smtp(port, login)
    s.ehlo()
    assert s.mail(sender)[0] == 250
    code, text = s.rcpt(rcpt)
    s.close()
    return code, text.decode()


def test_access_lists():
    assert refusal("eve@spam.test")[0] == 250
    fife.ctl("access", "deny", "add", "spam.test", "sends", "spam")
    assert "spam.test" in fife.ctl("access", "list") and "sends spam" in fife.ctl("access", "deny", "list")
    code, text = refusal("eve@mail.spam.test")
    assert code == 550 and "5.7.1" in text and "spam.test" in text, (code, text)
    fife.ctl("access", "allow", "add", "eve@spam.test")
    assert refusal("eve@spam.test")[0] == 250
    assert fife.ctl("access", "deny", "add", "no such thing", check=False)[0] == 2
    fife.ctl("access", "deny", "add", "127.0.0.0/8")
    code, text = refusal("bob@elsewhere.test")
    assert code == 550 and "127.0.0.0/8" in text, (code, text)
    assert "access deny 127.0.0.0/8" in fife.ctl("dump")
    line = door("imap", 993, True)
    refused(lambda: line.scram("SCRAM-SHA-256", ALICE, fife.passwords[ALICE]))
    line.close()
    fife.stop()
    fife.start()
    assert refusal("bob@elsewhere.test")[0] == 550
    for words in (("deny", "del", "127.0.0.0/8"), ("deny", "del", "spam.test"), ("allow", "del", "eve@spam.test")):
        fife.ctl("access", *words)
    assert fife.ctl("access", "deny", "del", "spam.test", check=False)[0] == 1
    assert refusal("eve@spam.test")[0] == 250


def test_sender_belongs_to_the_login():
    fife.ctl("alias", "add", "sales@example.test", ALICE)
    fife.ctl("alias", "add", "both@example.test", ALICE, BOB)
    for port in (587, 465):
        for sender in (ALICE, "alice+x@example.test", "sales@example.test", ""):
            assert refusal(sender, BOB, port, ALICE)[0] == 250, sender
        for sender in (BOB, "both@example.test", "eve@elsewhere.test", "nobody@example.test"):
            code, text = refusal(sender, BOB, port, ALICE)
            assert code == 553 and "5.7.1" in text and sender in text, (sender, code, text)
    assert fife.ctl("user", "set", ALICE, "send-as=not an address", check=False)[0] == 2
    fife.ctl("user", "set", ALICE, "send-as=both@example.test,@elsewhere.test")
    for sender in ("both@example.test", "eve@elsewhere.test"):
        assert refusal(sender, BOB, 587, ALICE)[0] == 250, sender
    assert "send-as=both@example.test,@elsewhere.test" in fife.ctl("dump")
    assert refusal(BOB, BOB, 587, ALICE)[0] == 553
    fife.ctl("user", "set", ALICE, "send-as=")
    fife.ctl("alias", "del", "sales@example.test")
    fife.ctl("alias", "del", "both@example.test")


def test_sending_limits():
    fife.ctl("user", "set", BOB, "messages-hour=2", "recipients-hour=5")
    assert fife.ctl("user", "set", BOB, "messages-hour=many", check=False)[0] == 2
    s = fife.smtp(587, BOB)
    s.ehlo()

    def send(*rcpts):
        assert s.mail(BOB)[0] == 250
        codes = [s.rcpt(r) for r in rcpts]
        if any(c[0] == 250 for c in codes):
            assert s.data("Subject: counted\r\n\r\nx\r\n")[0] == 250
        else:
            s.rset()
        return codes
    assert [c[0] for c in send(ALICE, BOB, "postmaster@example.test")] == [250, 250, 250]
    assert [c[0] for c in send(ALICE, BOB, "postmaster@example.test")] == [250, 250, 450]
    code, text = send(ALICE)[0]
    assert code == 450 and b"4.7.1" in text and b"2 messages an hour" in text, (code, text)
    suite.wait_for(lambda: "sending-limit" in fife.ctl("log", "login"), "the log line")
    fife.ctl("user", "set", BOB, "messages-hour=unlimited", "recipients-hour=unlimited")
    assert send(ALICE)[0][0] == 250
    s.quit()
    fife.ctl("user", "set", BOB, "messages-hour=default", "recipients-hour=default")


def test_app_passwords():
    import json

    def tries(protocol, port, password):
        line = door(protocol, port, True)
        try:
            return line.authenticate("PLAIN", b"\0" + ALICE.encode() + b"\0" + password.encode()) is None
        except Refused:
            return False
        finally:
            line.close()

    def made(*words):
        facts = json.loads(fife.ctl("-j", "user", "apppass", "add", ALICE, *words))
        return (facts[0] if isinstance(facts, list) else facts)["password"]
    phone, backup = made("phone", "imap"), made("backup")
    assert phone != backup and len(phone) == 20
    assert tries("imap", 993, phone)
    assert not tries("smtp", 465, phone) and not tries("pop3", 995, phone)
    for protocol, port, _ in DOORS[:3]:
        assert tries(protocol, port, backup)
        assert tries(protocol, port, fife.passwords[ALICE])
    listing = fife.ctl("user", "apppass", "list", ALICE)
    assert "phone" in listing and "imap" in listing and phone not in listing
    assert phone not in fife.ctl("dump", "--secrets")
    assert fife.ctl("user", "apppass", "add", ALICE, "phone", check=False)[0] == 1
    assert fife.ctl("user", "apppass", "add", ALICE, "x", "ftp", check=False)[0] == 2
    text = fife.ctl("dump", "--secrets")
    fife.ctl("user", "apppass", "del", ALICE, "phone")
    assert not tries("imap", 993, phone)
    fife.ctl("load", input=text)
    assert tries("imap", 993, phone)
    fife.ctl("user", "apppass", "del", ALICE, "phone")
    fife.ctl("user", "apppass", "del", ALICE, "backup")
    assert fife.ctl("user", "apppass", "del", ALICE, "backup", check=False)[0] == 1
    assert not tries("imap", 993, backup)


def guess(other, results, i):
    s = other.smtp(465)
    s.ehlo()
    begin = time.monotonic()
    try:
        s.login(ALICE, f"guess {i}")
    except smtplib.SMTPAuthenticationError as e:
        results.append((time.monotonic() - begin, e.smtp_code))
    s.close()


def test_guessing_is_slowed_and_ends_in_a_ban():
    edit = lambda text, s: text.replace("trust-loopback yes", "trust-loopback no")
    with suite.Suite(conf_edit=edit) as other:
        results = []
        # A program with an old password is no guesser.
        for _ in range(3):
            guess(other, results, 0)
        assert other.ctl("access", "ban", "list").count("127.0.0.1") == 0
        threads = [threading.Thread(target=guess, args=(other, results, i)) for i in range(1, 22)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert max(r[0] for r in results) > 3, results
        assert all(r[1] == 535 for r in results)
        listing = other.ctl("access", "list")
        assert "ban" in listing and "127.0.0.1" in listing and "20 failed logins" in listing, listing

        def login():
            s = other.smtp(465)
            s.login(ALICE, other.passwords[ALICE])
            s.close()
        try:
            login()
            raise AssertionError("let in from a banned address")
        except smtplib.SMTPAuthenticationError:
            pass
        log = other.ctl("log", "login")
        assert "address-banned" in log and "client=127.0.0.1" in log, log[-2000:]
        assert "login-failed" in log
        # Mail comes in all the same, and the ban outlives a restart.
        other.send("eve@elsewhere.test", [ALICE], "Subject: still here\r\n\r\nx\r\n")
        other.stop()
        other.start()
        assert "127.0.0.1" in other.ctl("access", "ban", "list")
        other.ctl("access", "ban", "del", "127.0.0.1")
        login()


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

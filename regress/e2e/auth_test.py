# SPDX-License-Identifier: ISC
"""Logins: every mechanism at every door, guessing, access lists, what a login may send."""
import subprocess
import sys

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


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

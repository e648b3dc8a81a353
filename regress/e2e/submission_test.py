# SPDX-License-Identifier: ISC
"""Accounts that send: limits that inherit and survive, stolen ones, certificates, the end
of a login."""
import json
import os
import re
import smtplib
import subprocess
import sys

import suite
from scram import Line, Refused

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
WATCH = "watch { volume 5 volume-factor 2 refused 4 networks 0 throttled-recipients 1 action %s }\n"


def edit(text, s):
    """Certificates at the doors with TLS; loopback is nobody's friend; a CA."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
        "-subj", "/CN=our CA", "-keyout", os.path.join(s.dir, "ca.key"), "-out", os.path.join(s.run, "ca.pem"))
    text = re.sub(r"(?m)^(listen (?:submission|imap|pop3) .*)$", r"\1 client-certificates", text)
    text = re.sub(r"trust-loopback yes", "trust-loopback no hide-login-client yes", text)
    text = text.replace("directory {", "directory { client-ca \"ca.pem\"", 1) if "directory {" in text else \
        text + "\ndirectory { client-ca \"ca.pem\" }\n"
    return text + "\nlimits { recipients-message 6 }\n" + WATCH % "throttle"


def run(*words):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert p.returncode == 0, p.stdout


def ctl(*words, **more):
    return fife.ctl(*words, **more)


def shown(user):
    facts = json.loads(ctl("-j", "user", "show", user))
    return facts[0] if isinstance(facts, list) else facts


def make_certificate(name, address=None, ca=False):
    base = os.path.join(fife.dir, name)
    words = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", base + ".key"]
    if address:
        words += ["-addext", f"subjectAltName=email:{address}"]
    if not ca:
        run(*words, "-x509", "-days", "30", "-out", base + ".pem")
    else:
        run(*words, "-out", base + ".csr")
        run("openssl", "x509", "-req", "-in", base + ".csr", "-days", "30", "-copy_extensions", "copyall",
            "-CA", os.path.join(fife.run, "ca.pem"), "-CAkey", os.path.join(fife.dir, "ca.key"), "-CAcreateserial",
            "-out", base + ".pem")
    return base + ".pem", base + ".key"


DOORS = (("smtp", 465), ("imap", 993), ("pop3", 995))


def external(protocol, port, certificate, authzid="", ir=True):
    line = Line(protocol, fife.port(port), certificate=certificate, patience=suite.PATIENCE)
    try:
        assert "EXTERNAL" in line.capabilities, line.capabilities
        if ir:
            return line.authenticate("EXTERNAL", authzid.encode()) is None
        line.authenticate("EXTERNAL")
        return line.respond(authzid.encode()) is None
    except Refused:
        return False
    finally:
        line.close()


def test_external_by_fingerprint():
    # Loopback guesses a lot here, and is not to be banned for it.
    ctl("access", "allow", "add", "127.0.0.1")
    laptop = make_certificate("laptop")
    for d in DOORS:
        assert not external(*d, laptop) and not external(*d, laptop, ALICE)
        line = Line(*[d[0], fife.port(d[1])], patience=suite.PATIENCE)
        assert "EXTERNAL" not in line.capabilities
        try:
            line.authenticate("EXTERNAL", b"")
            raise AssertionError("let in without a certificate")
        except Refused:
            pass
        line.close()
    ctl("user", "cert", "add", ALICE, "laptop", input=open(laptop[0]).read())
    for d in DOORS:
        for ir in (True, False):
            assert external(*d, laptop, ir=ir)
            assert external(*d, laptop, ALICE, ir)
            assert external(*d, laptop, "alice", ir)
            assert not external(*d, laptop, BOB, ir)
    listing = json.loads(ctl("-j", "user", "cert", "list", ALICE))
    entry = listing[0] if isinstance(listing, list) else listing
    print_ = entry["fingerprint"]
    p = subprocess.run("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum" % laptop[0],
                       shell=True, stdout=subprocess.PIPE, text=True)
    assert p.stdout.split()[0] == print_ and entry["name"] == "laptop"
    assert ctl("user", "cert", "add", BOB, "stolen", print_, check=False)[0] == 1
    assert ctl("user", "cert", "add", BOB, "x", "12:34", check=False)[0] == 2
    dump = ctl("dump")
    assert f"certificate {print_} {ALICE} laptop" in dump
    # A login by it ends with it.
    line = Line("imap", fife.port(993), certificate=laptop, patience=suite.PATIENCE)
    assert line.authenticate("EXTERNAL", b"") is None
    assert "EXTERNAL" in ctl("user", "sessions", ALICE) and "certificate laptop" in ctl("user", "sessions")
    ctl("user", "cert", "del", ALICE, "laptop")
    assert line.line().startswith("* BYE")
    line.close()
    assert not external("imap", 993, laptop)
    ctl("load", input=dump)
    assert external("imap", 993, laptop)
    ctl("user", "cert", "del", ALICE, print_)
    assert not external("imap", 993, laptop)
    assert ctl("user", "cert", "del", ALICE, "laptop", check=False)[0] == 1


def test_external_by_authority():
    bob = make_certificate("bob", BOB, ca=True)
    nobody = make_certificate("nobody", "nobody@example.test", ca=True)
    liar = make_certificate("liar", BOB)
    for d in DOORS:
        assert external(*d, bob) and external(*d, bob, BOB)
        assert not external(*d, bob, ALICE)
        assert not external(*d, nobody) and not external(*d, liar) and not external(*d, liar, BOB)
    ctl("user", "set", BOB, "disabled=yes")
    assert not external("imap", 993, bob)
    ctl("user", "set", BOB, "disabled=no")
    # STARTTLS, with a client that everybody has.
    p = subprocess.run(["curl", "-sk", "--ssl-reqd", f"imap://127.0.0.1:{fife.port(143)}/INBOX", "-E", bob[0],
                        "--key", bob[1], "--login-options", "AUTH=EXTERNAL", "-u", BOB + ":"], timeout=60)
    assert p.returncode == 0


def rcpts(sender, *to, port=465, size=None):
    """The codes of RCPT and, when one was taken, of the message."""
    s = fife.smtp(port, sender)
    s.ehlo()
    codes = [s.mail(sender, [f"SIZE={size}"] if size else [])]
    if codes[0][0] == 250:
        codes = [s.rcpt(r) for r in to]
    if any(c[0] == 250 for c in codes) and not size:
        codes.append(s.data("Subject: counted\r\n\r\nx\r\n"))
    s.close()
    return codes


def test_limits_inherit():
    ctl("user", "add", "carol@example.test", input="secret\n")
    fife.passwords["carol@example.test"] = "secret"
    carol = "carol@example.test"
    f = shown(carol)
    assert f["messages-hour"] == 1000 and f["messages-hour-from"] == "built-in"
    assert f["recipients-message"] == 6 and f["recipients-message-from"] == "fife.conf"
    assert f["message-size"] == "unlimited" and f["sessions"] == 100
    assert ctl("user", "set", carol, "group=staff", check=False)[0] == 1
    ctl("group", "add", "staff", "recipients-message=2", "message-size=10k", "sessions=2", "send-as=team@example.test")
    assert ctl("group", "add", "staff", check=False)[0] == 1
    assert ctl("group", "add", "No Name", check=False)[0] == 2
    assert ctl("group", "set", "staff", "quota=much", check=False)[0] == 2
    ctl("user", "set", carol, "group=staff", "messages-hour=50")
    f = shown(carol)
    assert f["recipients-message"] == 2 and f["recipients-message-from"] == "group staff"
    assert f["messages-hour"] == 50 and f["messages-hour-from"] == "user"
    assert "staff" in ctl("group", "list") and "recipients-message=2" in ctl("group", "list")
    assert json.loads(ctl("-j", "group", "show", "staff"))
    assert ctl("group", "del", "staff", check=False)[0] == 1
    codes = rcpts(carol, ALICE, BOB, "postmaster@example.test")
    assert [c[0] for c in codes] == [250, 250, 452, 250] and b"4.5.3" in codes[2][1], codes
    # SIZE at MAIL, and the content itself.
    codes = rcpts(carol, ALICE, size=11000)
    assert codes[0][0] == 552 and b"5.3.4" in codes[0][1], codes
    try:
        fife.send(carol, [ALICE], "Subject: long\r\n\r\n" + "x" * 70 * 1 + ("\r\n" + "y" * 70) * 200, 465, carol)
        raise AssertionError("a large message was taken")
    except smtplib.SMTPException as e:
        assert "552" in str(e), e
    # The group's addresses are its members' senders.
    ctl("alias", "add", "team@example.test", ALICE, BOB)
    s = fife.smtp(465, carol)
    s.ehlo()
    assert s.mail("team@example.test")[0] == 250 and s.rcpt(ALICE)[0] == 250
    # Sessions at once.
    other = fife.imap(carol, tls=True)
    try:
        fife.imap(carol, tls=True)
        raise AssertionError("a third session")
    except Exception as e:
        assert "UNAVAILABLE" in str(e) or "not possible" in str(e), e
    other.logout()
    s.close()
    dump = ctl("dump")
    assert "group staff" in dump and re.search(r"user carol@example.test .*group=staff", dump)
    ctl("user", "set", carol, "group=", "messages-hour=default")
    ctl("group", "del", "staff")
    ctl("load", input=dump)
    assert shown(carol)["recipients-message-from"] == "group staff"
    ctl("user", "set", carol, "group=")
    ctl("group", "del", "staff")
    ctl("user", "set", carol, "suspect=no")
    assert [c[0] for c in rcpts(carol, *[f"alice+{i}@example.test" for i in range(5)])] == [250] * 6


def test_quota_changes_at_once():
    """Mail beyond the quota waits; a group's larger one lets it in with the next session."""
    ctl("user", "add", "gina@example.test", input="secret\n")
    gina = "gina@example.test"
    fife.passwords[gina] = "secret"
    body = "Subject: quota %d\r\n\r\n" + "x" * 70 + "\r\n"
    fife.send("x@elsewhere.test", [gina], body % 1)
    fife.wait_message("Subject: quota 1", gina)
    c = fife.imap(gina, tls=True)
    ctl("user", "set", gina, "quota=100")
    again = fife.imap(gina, tls=True)
    typ, text = again.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 200)
    assert typ == "NO" and b"OVERQUOTA" in text[0], text
    ctl("group", "add", "large", "quota=1m")
    ctl("user", "set", gina, "group=large", "quota=default")
    assert shown(gina)["quota"] == 1 << 20 and shown(gina)["quota-from"] == "group large"
    third = fife.imap(gina, tls=True)
    assert third.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 200)[0] == "OK"
    for x in (c, again, third):
        x.logout()
    ctl("user", "del", gina)
    ctl("group", "del", "large")


def test_limits_outlive_authd():
    ctl("user", "set", BOB, "messages-day=1")
    assert rcpts(BOB, ALICE)[0][0] == 250
    assert rcpts(BOB, ALICE)[0][0] == 450
    fife.stop()
    fife.start()
    code, text = rcpts(BOB, ALICE)[0]
    assert code == 450 and b"1 messages a day" in text, (code, text)
    ctl("user", "set", BOB, "messages-day=default")


def test_stolen_account_is_throttled():
    ctl("user", "add", "dave@example.test", input="secret\n")
    fife.passwords["dave@example.test"] = "secret"
    dave = "dave@example.test"
    codes = rcpts(dave, *[f"alice+{i}@example.test" for i in range(6)])
    assert [c[0] for c in codes] == [250] * 7, codes
    code, text = rcpts(dave, ALICE)[0]
    assert code == 450 and b"4.7.1" in text and b"throttled" in text, (code, text)
    f = shown(dave)
    assert "6 recipients" in f["suspect"], f
    code, status = ctl("status", "--check", check=False)
    assert code == 1 and "degraded: authd: " + dave + " looks stolen" in status, status
    assert "suspect" in ctl("user", "list")
    fife.wait_message("Subject: Is dave@example.test stolen?", ALICE)
    suite.wait_for(lambda: "account-suspect" in ctl("log", "login"), "the log line")
    line = [x for x in ctl("log", "login").splitlines() if "account-suspect" in x][-1]
    assert dave in line and "throttle" in line, line
    # Once per event, and it outlives a restart.
    fife.stop()
    fife.start()
    fife.passwords[dave] = "secret"
    assert rcpts(dave, ALICE)[0][0] == 450
    assert len([m for m in fife.messages(ALICE) if b"Is dave@example.test stolen?" in m]) == 1
    ctl("user", "set", dave, "suspect=no")
    assert shown(dave)["suspect"] == "" and dave not in ctl("status")
    assert rcpts(dave, ALICE)[0][0] == 250
    # Recipients that do not exist; a new password clears it.
    codes = rcpts(dave, *[f"nobody{i}@example.test" for i in range(4)])
    assert [c[0] for c in codes] == [550] * 4
    assert "4 recipients" in shown(dave)["suspect"]
    ctl("user", "passwd", dave, input="another\n")
    fife.passwords[dave] = "another"
    assert shown(dave)["suspect"] == ""
    assert rcpts(dave, ALICE)[0][0] == 250


def test_stolen_account_is_held():
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(text.replace("action throttle", "action hold"))
    ctl("reload")
    try:
        ctl("user", "add", "erin@example.test", input="secret\n")
        fife.passwords["erin@example.test"] = "secret"
        erin = "erin@example.test"
        ctl("user", "set", erin, "suspect=yes")
        s = fife.smtp(465, erin)
        s.sendmail(erin, [ALICE], "Subject: held spam\r\n\r\nx\r\n")
        s.quit()
        found = suite.wait_for(lambda: [q for q in json.loads(ctl("-j", "queue", "list", "--from", erin) or "[]")],
                               "the held message")
        shown_ = ctl("queue", "show", found[0].get("id") or found[0].get("qid"))
        assert "looks stolen" in shown_ and "quarantined" in shown_, shown_
        assert "looks stolen" in ctl("queue", "list", "--from", erin, "--state", "quarantined")
        why = ctl("why", erin)
        assert "aside" in why and "looks stolen" in why, why
        assert not [m for m in fife.messages(ALICE) if b"held spam" in m]
        ctl("user", "set", erin, "suspect=no")
        ctl("queue", "release", "--from", erin, "--state", "quarantined")
        fife.wait_message("Subject: held spam", ALICE)
        # The notice says what to do with what is held.
        frank = "fritz@example.test"
        ctl("user", "add", frank, input="secret\n")
        fife.passwords[frank] = "secret"
        rcpts(frank, *[f"alice+{i}@example.test" for i in range(7)])
        notice = fife.wait_message(f"Subject: Is {frank} stolen?", ALICE).decode()
        assert f"fifectl queue release --from {frank} --state quarantined" in notice, notice
    finally:
        open(path, "w").write(text)
        ctl("reload")


def test_received_hides_the_client():
    fife.send(ALICE, [BOB], "Subject: where from\r\n\r\nx\r\n", 465, ALICE)
    m = fife.wait_message("Subject: where from", BOB).decode()
    head = m.split("\r\n\r\n")[0]
    received = re.findall(r"(?ms)^Received:.*?(?=^\S)", head + "\nX:")[-1]
    assert "127.0.0.1" not in head and "client.test" not in head and "ESMTPSA" in received, head
    assert re.search(r"(?m)^Date: ", head) and re.search(r"(?m)^Message-ID: <", head), head
    fife.send("x@elsewhere.test", [BOB], "Subject: from outside\r\n\r\nx\r\n")
    assert b"127.0.0.1" in fife.wait_message("Subject: from outside", BOB)


def closed(c):
    """What an idle session is told at its end."""
    try:
        return c.readline()
    except Exception as e:
        return str(e).encode()


def test_logins_end():
    frank = "frank@example.test"
    ctl("user", "add", frank, input="secret\n")

    def all_in(password="secret"):
        fife.passwords[frank] = password
        i, p, s = fife.imap(frank, tls=True), fife.pop(frank, tls=True), fife.smtp(465, frank)
        rows = json.loads(ctl("-j", "user", "sessions", frank))
        assert sorted(r["service"] for r in rows) == ["imap", "pop3", "smtp"], rows
        for r in rows:
            assert r["client"] == "127.0.0.1" and r["tls"].startswith("TLSv1.") and r["by"] == "password", r
        return i, p, s

    def all_out(i, p, s):
        assert b"BYE" in closed(i), "imap"
        assert closed(p.file) == b"", "pop3"
        assert s.getreply()[0] == 421, "smtp"
        suite.wait_for(lambda: frank not in ctl("user", "sessions"), "the end of the sessions")

    doors = all_in()
    ctl("user", "passwd", frank, input="another\n")
    all_out(*doors)
    doors = all_in("another")
    ctl("user", "set", frank, "disabled=yes")
    all_out(*doors)
    ctl("user", "set", frank, "disabled=no")
    doors = all_in("another")
    assert json.loads(ctl("-j", "user", "kick", frank))
    all_out(*doors)
    # A revoked app password ends its own sessions only.
    facts = json.loads(ctl("-j", "user", "apppass", "add", frank, "phone"))
    app = (facts[0] if isinstance(facts, list) else facts)["password"]
    stays = fife.imap(frank, tls=True)
    fife.passwords[frank] = app
    goes = fife.imap(frank, tls=True)
    ctl("user", "apppass", "del", frank, "phone")
    assert b"BYE" in closed(goes)
    assert stays.noop()[0] == "OK"
    fife.passwords[frank] = "another"
    doors = fife.pop(frank, tls=True)
    ctl("user", "del", frank)
    assert closed(doors.file) == b"" and b"BYE" in closed(stays)


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

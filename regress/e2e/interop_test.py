# SPDX-License-Identifier: ISC
"""Together with real servers, in both directions, and with real clients."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import peers
import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
# Whatever a line of mail may be: dots, eight bits, long, empty, "From ".
BODY = (b"first\n.\n..\n. dot\n...\nFrom here\n\xc3\xa4\xc3\xb6\xc3\xbc \xe6\x96\x87\n" + b"l" * 900 + b"\n\n\n.last\n")


def message(subject, body=BODY, sender=ALICE, to="box@peer.test"):
    head = (f"From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: <{subject.replace(' ', '.')}@x.test>\n"
            "Date: Tue, 1 Jan 2030 00:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n\n").encode()
    return (head + body).replace(b"\n", b"\r\n")


def body_of(m):
    return m.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].rstrip(b"\n")


def send(s, sender, rcpts, text, mail=()):
    """rcpts: pairs of address and parameters."""
    code, words = s.mail(sender, list(mail))
    assert code == 250, words
    for address, options in rcpts:
        code, words = s.rcpt(address, list(options))
        assert code in (250, 251), words
    code, words = s.data(text)
    assert code == 250, words
    s.quit()


def with_peer(cls):
    """For both directions, what each kind of server can."""
    try:
        with cls(fife.port(25)) as p:
            fife.ctl("route", "add", peers.DOMAIN, f"smtp://127.0.0.1:{p.port}")
            try:
                to_peer(p)
                from_peer(p)
                large(p)
                too_large(p)
                if p.utf8:
                    utf8(p)
            finally:
                fife.ctl("route", "del", peers.DOMAIN)
    except peers.Missing as e:
        return str(e)
    return None


def to_peer(p):
    send(fife.smtp(587, ALICE), ALICE,
         [("box@peer.test", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Boxer+2B@peer.test"]), ("second@peer.test", ["NOTIFY=NEVER"])],
         message(f"to {p.name}"), ["BODY=8BITMIME", "RET=HDRS", f"ENVID=E+2Bto{p.name}"])
    m = p.wait_message(f"Subject: to {p.name}")
    wait_for(lambda: len([x for x in p.messages() if f"Subject: to {p.name}".encode() in x]) >= p.copies, "all copies")
    assert body_of(m) == BODY.rstrip(b"\n"), body_of(m)
    assert p.tls is None or p.tls in m.split(b"\n\n")[0], m[:1500].decode(errors="replace")
    assert b"Return-Path: <alice@example.test>" in m or b"alice@example.test" in m
    if p.dsn:
        try:
            report = fife.wait_message(f"{p.plus}to{p.name}\r\n").decode(errors="replace")
        except AssertionError as e:
            raise AssertionError(f"{e}: {p.said()}") from None
        assert f"original-envelope-id: {p.plus}to{p.name}".lower() in report.lower(), report
        assert re.search(r"Original-Recipient: *rfc822; *Boxer\+(2B)?@peer\.test", report), report
        assert "second@peer.test" not in report, report
        assert re.search(r"Action: *(delivered|relayed)", report), report


def from_peer(p):
    s = p.smtp()
    mail = ["BODY=8BITMIME"] if s.has_extn("8bitmime") else []
    rcpt = []
    if p.dsn:
        assert s.has_extn("dsn")
        mail += ["RET=HDRS", f"ENVID=E+2Bfrom{p.name}"]
        rcpt = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Allie+2B@example.test"]
    send(s, "box@peer.test", [(ALICE, rcpt), (BOB, ["NOTIFY=NEVER"] if p.dsn else [])],
         message(f"from {p.name}", sender="box@peer.test", to=ALICE), mail)
    m = fife.wait_message(f"Subject: from {p.name}")
    fife.wait_message(f"Subject: from {p.name}", user=BOB)
    assert body_of(m) == BODY.rstrip(b"\n"), body_of(m)
    # The peer came with TLS.
    assert b"with ESMTPS" in m.split(b"\r\n\r\n")[0], m[:1500].decode(errors="replace")
    if p.dsn:
        report = p.wait_message(f"Original-Envelope-Id: E+from{p.name}").decode(errors="replace")
        assert re.search(r"Original-Recipient: *rfc822; *Allie\+@example\.test", report), report
        assert re.search(r"Action: *(delivered|relayed)", report), report
        assert BOB not in report, report
    # A recipient that is not there: the peer's bounce.
    send(p.smtp(), "box@peer.test", [("nobody@example.test", [])],
         message("to nobody", sender="box@peer.test", to="nobody@example.test"))
    report = wait_for(lambda: [x for x in p.messages() if b"nobody@example.test" in x and b"5.1.1" in x], "the peer's bounce")
    assert report


def large(p):
    body = b"".join(hashlib.sha256(b"%d" % i).hexdigest().encode() + b"\n" for i in range(80000))
    for direction, s, sender, to in (("out", fife.smtp(587, ALICE), ALICE, "box@peer.test"),
                                     ("in", p.smtp(), "box@peer.test", ALICE)):
        send(s, sender, [(to, [])], message(f"large {direction} {p.name}", body, sender, to))
        m = p.wait_message(f"Subject: large out {p.name}") if direction == "out" else fife.wait_message(f"Subject: large in {p.name}")
        assert hashlib.sha256(body_of(m)).digest() == hashlib.sha256(body.rstrip(b"\n")).digest()
    if p.chunks:
        wait_for(lambda: re.search(p.chunks, p.log()), "a message by BDAT at the peer")


def too_large(p):
    """Beyond the SIZE of the peer: known before a line of it is sent."""
    send(fife.smtp(587, ALICE), ALICE, [("box@peer.test", [])], message(f"too large {p.name}", b"x" * 70 + b"\n" + (b"y" * 70 + b"\n") * 130000))
    report = fife.wait_message(f"Subject: too large {p.name}")
    assert b"Status: 5.3.4" in report and b"box@peer.test" in report, report


def utf8(p):
    s = fife.smtp(587, ALICE)
    text = message(f"ohne \u00fcmlaut {p.name}", to="k\u00e4sten@peer.test")
    send(s, ALICE, [("k\u00e4sten@peer.test", [])], text, ["SMTPUTF8", "BODY=8BITMIME"])
    p.wait_message(f"Subject: ohne \u00fcmlaut {p.name}")
    s = p.smtp()
    assert s.has_extn("smtputf8")
    text = message(f"mit \u00fcmlaut {p.name}", sender="k\u00e4sten@peer.test", to=ALICE)
    send(s, "k\u00e4sten@peer.test", [(ALICE, [])], text, ["SMTPUTF8", "BODY=8BITMIME"])
    m = fife.wait_message(f"Subject: mit \u00fcmlaut {p.name}")
    assert "Return-Path: <k\u00e4sten@peer.test>".encode() in m, m


def test_postfix():
    return with_peer(peers.Postfix)


def test_opensmtpd():
    return with_peer(peers.OpenSmtpd)


def test_exim():
    return with_peer(peers.Exim)


# ---- clients that submit ----

def run(argv, input=None, env=None):
    p = subprocess.run(argv, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=suite.PATIENCE,
                       env={**os.environ, **(env or {})})
    assert p.returncode == 0, p.stdout.decode(errors="replace")
    return p.stdout.decode(errors="replace")


def arrived(subject, with_=b"ESMTPSA"):
    m = fife.wait_message("Subject: " + subject, user=BOB)
    assert b"with " + with_ in m.split(b"\r\n\r\n")[0], m
    return m


def test_smtplib():
    for port in (587, 465):
        s = fife.smtp(port, ALICE)
        assert s.sendmail(ALICE, [BOB], message(f"smtplib {port}", to=BOB)) == {}
        s.quit()
        assert body_of(arrived(f"smtplib {port}")) == BODY.rstrip(b"\n")


def test_msmtp():
    if not shutil.which("msmtp"):
        return "(no msmtp)"
    can = run(["msmtp", "--version"])
    methods = ["plain", "login"] + [m for m in ("scram-sha-1", "scram-sha-256") if m in can]
    for n, method in enumerate(methods):
        for port in (587, 465):
            with tempfile.NamedTemporaryFile("w", suffix=".msmtprc") as f:
                f.write(f"account default\nhost 127.0.0.1\nport {fife.port(port)}\nauth {method}\nuser {ALICE}\n"
                        f"password {fife.passwords[ALICE]}\nfrom {ALICE}\ntls on\ntls_starttls {'on' if port == 587 else 'off'}\n"
                        "tls_certcheck off\ndsn_notify failure\ndsn_return headers\n")
                f.flush()
                os.chmod(f.name, 0o600)
                run(["msmtp", "-C", f.name, BOB], message(f"msmtp {n} {port}", to=BOB).replace(b"\r\n", b"\n"))
            assert body_of(arrived(f"msmtp {n} {port}")) == BODY.rstrip(b"\n")
    return None


def test_swaks():
    if not shutil.which("swaks"):
        return "(no swaks)"
    for n, extra in enumerate((["--tls", "--auth", "PLAIN"], ["--tls", "--auth", "LOGIN"], ["--tls-on-connect", "--auth", "PLAIN"])):
        port = fife.port(465 if "--tls-on-connect" in extra else 587)
        run(["swaks", "--server", f"127.0.0.1:{port}", "--from", ALICE, "--to", BOB, "--auth-user", ALICE, "--auth-password",
             fife.passwords[ALICE], "--header", f"Subject: swaks {n}", "--pipeline", "--silent", "2", *extra])
        arrived(f"swaks {n}")
    return None


def test_curl():
    if not shutil.which("curl"):
        return "(no curl)"
    for n, (scheme, port, method) in enumerate((("smtp", 587, "PLAIN"), ("smtps", 465, "PLAIN"), ("smtp", 587, "LOGIN"))):
        with tempfile.NamedTemporaryFile() as f:
            f.write(message(f"curl {n}", to=BOB))
            f.flush()
            run(["curl", "-sS", "-k", "--ssl-reqd", f"{scheme}://127.0.0.1:{fife.port(port)}/client.test", "--mail-from", ALICE,
                 "--mail-rcpt", BOB, "--user", f"{ALICE}:{fife.passwords[ALICE]}", "--login-options", f"AUTH={method}",
                 "--upload-file", f.name])
        assert body_of(arrived(f"curl {n}")) == BODY.rstrip(b"\n")
    return None


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

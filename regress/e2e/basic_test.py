# SPDX-License-Identifier: ISC
"""The main job: mail comes in, is read back byte for byte, goes out, is refused."""
import os
import smtplib
import subprocess
import sys

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def message(subject, body="Hello.\r\n", extra=""):
    return (f"From: Eve <eve@elsewhere.test>\r\nTo: <{ALICE}>\r\nSubject: {subject}\r\n{extra}"
            f"Message-ID: <{subject.replace(' ', '.')}@elsewhere.test>\r\n\r\n{body}")


def refusal(call):
    """The (code, text) with which smtplib says that something was refused."""
    try:
        call()
    except smtplib.SMTPRecipientsRefused as e:
        return list(e.recipients.values())[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code, e.smtp_error
    raise AssertionError("was accepted")


def test_swaks_to_alice():
    p = subprocess.run(["swaks", "--server", f"127.0.0.1:{fife.port(25)}", "--to", ALICE,
                        "--from", "eve@elsewhere.test", "--header", "Subject: by swaks", "--helo", "client.test"],
                       stdout=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 0, p.stdout
    m = fife.wait_message("Subject: by swaks")
    assert m.startswith(b"Return-Path: <eve@elsewhere.test>\r\n"), m[:200]
    assert b"\r\nDelivered-To: alice@example.test\r\n" in m
    assert b"Received: from client.test" in m


def test_swaks_starttls():
    p = subprocess.run(["swaks", "--server", f"127.0.0.1:{fife.port(25)}", "--to", ALICE, "-tls",
                        "--from", "eve@elsewhere.test", "--header", "Subject: by swaks tls"],
                       stdout=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 0, p.stdout
    m = fife.wait_message("Subject: by swaks tls")
    assert b"ESMTPS" in m, m[:500]


def test_same_bytes_by_imap_and_pop():
    body = "line one\r\n.\r\n..dots\r\n8-bit: \xe4\xf6\xfc\r\nno end \r\n\r\nlong " + "x" * 900 + "\r\n"
    text = message("bytes", body).encode("latin-1")
    fife.send("eve@elsewhere.test", [ALICE], text)
    by_imap = fife.wait_message("Subject: bytes")
    assert by_imap.endswith(text), by_imap[-1500:]
    c = fife.imap(tls=True)
    c.select("INBOX")
    _, hits = c.search(None, "SUBJECT", '"bytes"')
    n = hits[0].split()[0].decode()
    _, data = c.fetch(n, "(BODY.PEEK[])")
    assert data[0][1] == by_imap
    _, data = c.fetch(n, "(RFC822.SIZE)")
    assert str(len(by_imap)) in data[0].decode()
    c.logout()
    for tls in (False, True):
        p = fife.pop(tls=tls)
        found = False
        for i in range(1, p.stat()[0] + 1):
            lines = p.retr(i)[1]
            found = found or b"\r\n".join(lines) + b"\r\n" == by_imap
        p.quit()
        assert found, "not the same bytes by POP3"


def test_curl_reads_imap():
    for scheme, port in (("imap", 143), ("imaps", 993)):
        p = subprocess.run(["curl", "-sk", f"{scheme}://127.0.0.1:{fife.port(port)}/INBOX;MAILINDEX=1",
                            "-u", f"{ALICE}:{fife.passwords[ALICE]}"], stdout=subprocess.PIPE, timeout=60)
        assert p.returncode == 0, p.returncode
        assert p.stdout == fife.messages()[0]


def test_mbsync():
    for tls, port in (("None", 143), ("IMAPS", 993)):
        target = os.path.join(fife.dir, "mbsync" + tls)
        os.makedirs(target)
        rc = os.path.join(fife.dir, "mbsyncrc" + tls)
        with open(rc, "w") as f:
            f.write(f"IMAPStore far\nHost 127.0.0.1\nPort {fife.port(port)}\nUser {ALICE}\n"
                    f"Pass {fife.passwords[ALICE]}\nSSLType {tls}\nAuthMechs *\n"
                    + (f"CertificateFile {fife.run}/tls/cert.pem\n" if tls != "None" and
                       os.path.exists(f"{fife.run}/tls/cert.pem") else "") +
                    f"\nMaildirStore near\nPath {target}/\nInbox {target}/INBOX\nSubFolders Verbatim\n"
                    f"\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSyncState *\n")
        p = subprocess.run(["mbsync", "-c", rc, "all"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=120)
        assert p.returncode == 0, p.stdout
        got = []
        for sub in ("new", "cur"):
            d = os.path.join(target, "INBOX", sub)
            got += [open(os.path.join(d, n), "rb").read() for n in os.listdir(d)]
        want = fife.messages()
        assert len(got) == len(want) > 0

        def plain(m):
            lines = m.replace(b"\r\n", b"\n").split(b"\n")
            return b"\n".join(x for x in lines if not x.startswith(b"X-TUID:"))
        assert sorted(map(plain, got)) == sorted(map(plain, want))


def test_fetchmail():
    if not os.path.exists("/usr/bin/fetchmail"):
        return "no fetchmail"
    for ssl, port in ((False, 110), (True, 995)):
        out = os.path.join(fife.dir, f"fetched{port}")
        rc = os.path.join(fife.dir, f"fetchmailrc{port}")
        with open(rc, "w") as f:
            f.write(f'poll 127.0.0.1 protocol pop3 port {fife.port(port)} user "{ALICE}" password '
                    f'"{fife.passwords[ALICE]}" {"ssl" if ssl else "sslproto none"} keep fetchall no rewrite '
                    f'mda "cat >> {out}"\n')
        os.chmod(rc, 0o600)
        p = subprocess.run(["fetchmail", "-f", rc, "--nosslcertck", "--pidfile", os.path.join(fife.dir, "fm.pid"),
                            "-i", os.path.join(fife.dir, f"fetchids{port}")],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert p.returncode == 0, p.stdout
        assert "Subject: by swaks" in open(out, encoding="latin-1").read()


def test_submission():
    for port in (587, 465):
        fife.send(ALICE, [BOB], f"Subject: submitted {port}\r\n\r\nHi Bob.\r\n", port=port, login=ALICE)
        m = fife.wait_message(f"Subject: submitted {port}", user=BOB)
        assert b"ESMTPSA" in m, m[:400]
        assert b"\r\nMessage-ID: <" in m or b"\r\nMessage-Id: <" in m
        assert b"\r\nDate: " in m


def test_submission_needs_login():
    code, text = refusal(lambda: fife.send(ALICE, [BOB], "Subject: x\r\n\r\nx\r\n", port=587))
    assert code == 530, (code, text)


def test_wrong_password():
    s = fife.smtp(587)
    s.starttls(context=suite.no_verify())
    code, text = refusal(lambda: s.login(ALICE, "wrong"))
    assert code == 535 and b"5.7.8" in text
    s.close()
    c = fife.imap(login=False)
    try:
        c.login(ALICE, "wrong")
        raise AssertionError("logged in")
    except c.error as e:
        assert "AUTHENTICATIONFAILED" in str(e) or "user name or password" in str(e), e


def test_no_relay():
    code, text = refusal(lambda: fife.send("eve@elsewhere.test", ["x@foreign.test"], message("relay")))
    assert code == 550 and b"5.7.1" in text, (code, text)


def test_unknown_user():
    code, text = refusal(lambda: fife.send("eve@elsewhere.test", ["nobody@example.test"], message("x")))
    assert code == 550 and b"5.1.1" in text, (code, text)


def test_postmaster():
    s = fife.smtp()
    s.ehlo()
    assert s.mail("")[0] == 250
    assert s.rcpt("postmaster")[0] == 250
    assert s.data(message("to postmaster"))[0] == 250
    s.quit()
    fife.wait_message("Subject: to postmaster")


def test_route_to_a_sink():
    with Sink() as sink:
        fife.ctl("route", "add", "remote.test", f"smtp://127.0.0.1:{sink.port}")
        assert "remote.test" in fife.ctl("route", "list")
        fife.send(ALICE, ["x@remote.test", "y@remote.test"], "Subject: outward\r\n\r\nbody\r\n", port=587, login=ALICE)
        wait_for(lambda: sink.messages, "mail at the sink")
        sender, rcpts, data = sink.messages[0]
        assert sender == ALICE and sorted(rcpts) == ["x@remote.test", "y@remote.test"], (sender, rcpts)
        assert data.endswith(b"Subject: outward\r\n\r\nbody\r\n") or b"\r\nbody\r\n" in data
        assert len(sink.messages) == 1


def test_refused_recipient_bounces():
    def answer(verb, arg):
        if verb == "RCPT" and "nobody" in arg:
            return "550 5.1.1 no such person in this house"
        return None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "remote.test", f"smtp://127.0.0.1:{sink.port}")
        fife.send(ALICE, ["nobody@remote.test", "somebody@remote.test"], "Subject: half\r\n\r\nx\r\n", port=587,
                  login=ALICE)
        m = fife.wait_message("no such person in this house")
        assert m.startswith(b"Return-Path: <>\r\n"), m[:100]
        assert b"multipart/report" in m and b"message/delivery-status" in m
        assert b"nobody@remote.test" in m and b"5.1.1" in m
        wait_for(lambda: sink.messages, "the other recipient")
        assert sink.messages[0][1] == ["somebody@remote.test"]


def test_temporary_failure_is_retried():
    state = {"busy": True}

    def answer(verb, arg):
        if verb == "RCPT" and state["busy"]:
            return "451 4.3.2 busy now"
        return None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "busy.test", f"smtp://127.0.0.1:{sink.port}")
        fife.send(ALICE, ["x@busy.test"], "Subject: patience\r\n\r\nx\r\n", port=587, login=ALICE)
        listing = wait_for(lambda: "busy now" in fife.ctl("queue", "show", *queue_ids("busy.test")) if
                           queue_ids("busy.test") else None, "the deferral in queue show")
        assert listing
        state["busy"] = False
        fife.ctl("queue", "retry", "--all")
        wait_for(lambda: sink.messages, "the retry")
        wait_for(lambda: not queue_ids("busy.test"), "an empty queue")


def queue_ids(domain):
    import json
    return [row["qid"] if "qid" in row else row["id"]
            for row in json.loads(fife.ctl("-j", "queue", "list", "--to", domain) or "[]")]


def test_eicar_is_refused():
    eicar = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n"
    code, text = refusal(lambda: fife.send("eve@elsewhere.test", [ALICE], message("virus", eicar)))
    assert code == 554 and b"5.7.1" in text and b"Eicar-Test-Signature" in text, (code, text)


def test_25_megabytes_pass():
    line = "0123456789" * 7 + "\r\n"
    body = line * (25 * 1024 * 1024 // len(line))
    fife.send("eve@elsewhere.test", [BOB], message("large", body))
    c = fife.imap(BOB)

    def there():
        c.select("INBOX")
        _, hits = c.search(None, "SUBJECT", "large")
        return hits[0].split()
    n = wait_for(there, "the large message")[0].decode()
    _, data = c.fetch(n, "(BODY.PEEK[])")
    assert data[0][1].endswith(message("large", body).encode())
    c.store(n, "+FLAGS", "\\Deleted")
    c.expunge()
    c.logout()


def test_message_over_size():
    s = fife.smtp()
    s.ehlo()
    limit = int(s.esmtp_features["size"])
    code, text = s.docmd("MAIL", f"FROM:<eve@elsewhere.test> SIZE={limit + 1}")
    assert code == 552 and b"5.3.4" in text, (code, text)
    s.quit()


def test_sendmail_program():
    prog = os.path.join(fife.run, "bin/sendmail")
    text = f"From: alice\nTo: {ALICE}\nBcc: {BOB}\nSubject: from a script\n\nbody\n.\nmore\n"
    p = subprocess.run([prog, "-t", "-i"], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       user=65534, group=65534, extra_groups=[], timeout=60)
    assert p.returncode == 0, p.stdout
    m = fife.wait_message("Subject: from a script")
    assert b"Bcc" not in m and m.endswith(b"\r\nbody\r\n.\r\nmore\r\n"), m
    fife.wait_message("Subject: from a script", user=BOB)
    p = subprocess.run([prog, "-bp"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert p.returncode == 0, p.stdout


def test_alias():
    fife.ctl("alias", "add", "team@example.test", ALICE, BOB)
    fife.send("eve@elsewhere.test", ["team@example.test"], message("for the team"))
    fife.wait_message("Subject: for the team")
    fife.wait_message("Subject: for the team", user=BOB)
    fife.ctl("alias", "del", "team@example.test")


def test_user_life():
    fife.ctl("user", "add", "carol@example.test", input="first password\n")
    fife.passwords["carol@example.test"] = "first password"
    fife.send("eve@elsewhere.test", ["carol@example.test"], message("for carol"))
    fife.wait_message("Subject: for carol", user="carol@example.test")
    fife.ctl("user", "passwd", "carol@example.test", input="second\n")
    c = fife.imap(login=False)
    try:
        c.login("carol@example.test", "first password")
        raise AssertionError("the old password works")
    except c.error:
        pass
    c.shutdown()
    fife.passwords["carol@example.test"] = "second"
    fife.ctl("user", "rename", "carol@example.test", "caroline@example.test")
    fife.passwords["caroline@example.test"] = "second"
    fife.wait_message("Subject: for carol", user="caroline@example.test")
    fife.ctl("user", "del", "caroline@example.test")
    assert fife.ctl("user", "show", "caroline@example.test", check=False)[0] == 1


def test_status_and_why():
    import json
    assert json.loads(fife.ctl("-j", "status"))
    assert "alice" in fife.ctl("user", "list")
    text = fife.ctl("why", "bytes@elsewhere.test") if False else fife.ctl("why", ALICE)
    assert "eve@elsewhere.test" in text, text[:500]
    assert fife.ctl("queue", "list", check=False)[0] == 0
    assert fife.ctl("nonsense", check=False)[0] == 2
    assert fife.ctl("user", "show", "nobody@example.test", check=False)[0] == 1


def test_reload_keeps_connections():
    s = fife.smtp()
    s.ehlo()
    c = fife.imap()
    fife.ctl("reload")
    assert s.noop()[0] == 250
    assert c.noop()[0] == "OK"
    fife.send("eve@elsewhere.test", [ALICE], message("after reload"))
    fife.wait_message("Subject: after reload")
    s.quit()
    c.logout()


def test_stop_is_clean_and_state_is_kept():
    before = len(fife.messages())
    pids = fife.pids()
    fife.stop()
    for pid in pids:
        wait_for(lambda: not os.path.exists(f"/proc/{pid}") or
                 open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z", f"end of {pid}")
    assert fife.ctl("status", check=False)[0] == 75
    fife.start()
    assert len(fife.messages()) == before


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

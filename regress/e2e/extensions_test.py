# SPDX-License-Identifier: ISC
"""Extensions by which a sender asks for something, through the whole suite: REQUIRETLS and
TLS-Required, FUTURERELEASE, DELIVERBY, MT-PRIORITY, RRVS, and the replies 521 and 556."""
import datetime
import os
import re
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

import suite
from suite import Sink, SinkSession, wait_for
from zones import Zones

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def certificate():
    """A certificate for localhost, which is its own authority."""
    where = tempfile.mkdtemp(prefix="fife-e2e-cert.", dir="/var/tmp")
    os.chmod(where, 0o755)
    cert, key = where + "/cert.pem", where + "/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "10", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    return where, cert, key


class WordySession(SinkSession):
    """The sink, which offers more; with a certificate STARTTLS comes first."""

    def say(self, text):
        if text == "250-PIPELINING":
            text = "\r\n".join("250-" + w for w in self.server.words + ["PIPELINING"])
        super().say(text)

    def handle(self):
        if self.server.context is None:
            super().handle()
            return
        super().say("220 tls.test ESMTP")
        for raw in self.rfile:
            verb = raw.split()[0].upper()
            if verb == b"STARTTLS":
                break
            super().say("250-tls.test\r\n250 STARTTLS" if verb == b"EHLO" else "221 2.0.0 bye")
        else:
            return
        super().say("220 go on")
        try:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", buffering=0)
        # No second greeting: the client says EHLO again.
        self.say = lambda text: delattr(self, "say")
        SinkSession.handle(self)


class Wordy(Sink):
    def __init__(self, *words, answer=None, context=None):
        self.words = list(words)
        self.context = context
        super().__init__(answer)

    def finish_request(self, request, address):
        WordySession(request, address, self)

    def mail(self):
        return [c for c in self.commands if c.startswith("MAIL")]


def submit(rcpts, text, mail=(), sender=ALICE, port=587):
    s = fife.smtp(port, sender if port == 587 else None)
    s.ehlo()
    code, words = s.mail(sender, list(mail))
    assert code == 250, words
    for address, options in rcpts:
        code, said = s.rcpt(address, list(options))
        assert code == 250, said
    code, said = s.data(text)
    assert code == 250, said
    s.quit()
    return said.decode().split()[-1], words.decode()


def report(needle, user=ALICE):
    m = fife.wait_message(needle, user=user).decode()
    return re.search(r"delivery-status\r\n.*?\r\n\r\n(.*?)\r\n--", m, re.S).group(1), m


def route(domain, sink):
    fife.ctl("route", "add", domain, f"smtp://127.0.0.1:{sink.port}")


def test_announced():
    s = fife.smtp(25)
    words = s.ehlo("x")[1].decode()
    assert "RRVS" in words and "DELIVERBY" in words, words
    assert "REQUIRETLS" not in words and "FUTURERELEASE" not in words and "MT-PRIORITY" not in words, words
    s.starttls(context=suite.no_verify())
    assert "REQUIRETLS" in s.ehlo("x")[1].decode()
    s.quit()
    s = fife.smtp(587, ALICE)
    words = s.ehlo("x")[1].decode()
    assert re.search(r"FUTURERELEASE 3600 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", words), words
    assert "MT-PRIORITY MIXER" in words, words
    s.quit()


def test_requiretls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with Wordy("REQUIRETLS", context=context) as good, Wordy(context=context) as without, Wordy() as bare:
        route("good.test", good)
        route("without.test", without)
        route("bare.test", bare)
        submit([("x@good.test", [])], "Subject: secret\r\n\r\nx\r\n", ["REQUIRETLS"])
        wait_for(lambda: good.messages, "the message over TLS")
        assert " REQUIRETLS" in good.mail()[0], good.mail()
        for domain, code in (("without.test", "5.7.30"), ("bare.test", "5.7.10")):
            submit([("x@" + domain, [])], f"Subject: for {domain}\r\n\r\nthe body\r\n",
                   ["REQUIRETLS", "RET=FULL", "ENVID=" + domain])
            status, whole = report("Original-Envelope-Id: " + domain)
            assert f"Status: {code}\r\n" in status, status
            assert "Subject: for" in whole and "the body" not in whole, whole
        assert not without.messages and not bare.messages
        assert "QUIT" in without.commands, without.commands
        # Not asked for: as always.
        submit([("x@without.test", [])], "Subject: open\r\n\r\nx\r\n")
        wait_for(lambda: without.messages, "the other message")
        # Forwarding keeps it, also where it leads to nothing.
        fife.ctl("alias", "add", "away@example.test", "x@bare.test")
        submit([("away@example.test", [])], "Subject: away\r\n\r\nx\r\n", ["REQUIRETLS", "ENVID=away"])
        assert "Status: 5.7.10\r\n" in report("Original-Envelope-Id: away")[0]
    s = fife.smtp(25)
    s.ehlo("x")
    code, words = s.mail(BOB, ["REQUIRETLS"])
    assert code == 530 and b"5.7.10" in words, (code, words)
    s.quit()


def test_tls_required_no():
    def answer(verb, arg):
        return "451 4.3.0 later" if verb == "MAIL" else None
    with Sink(answer) as sink:
        route("later.test", sink)
        for header, want in (("TLS-Required: No\r\n", "optional"), ("", None)):
            qid, _ = submit([("x@later.test", [])], f"Subject: x\r\n{header}\r\nx\r\n")
            shown = fife.ctl("queue", "show", qid)
            assert (re.search(r"^tls\W+optional", shown, re.M) is not None) == (want is not None), shown
            fife.ctl("queue", "remove", qid)


def test_futurerelease():
    with Sink() as sink:
        route("later.test", sink)
        until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        qid, _ = submit([("x@later.test", [])], "Subject: at last\r\n\r\nx\r\n", ["HOLDUNTIL=" + until])
        far, _ = submit([("x@later.test", [])], "Subject: far\r\n\r\nx\r\n", ["HOLDFOR=3000"])
        assert "scheduled" in fife.ctl("queue", "list", far), fife.ctl("queue", "list")
        assert far in fife.ctl("queue", "list", "--state", "scheduled")
        assert far not in fife.ctl("queue", "list", "--state", "ready")
        assert "release" in fife.ctl("queue", "show", far)
        wait_for(lambda: sink.messages, "the released message", 30)
        assert b"at last" in sink.messages[0][2] and len(sink.messages) == 1
        assert datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") >= until
        # The administrator may let it go before.
        fife.ctl("queue", "retry", far)
        wait_for(lambda: len(sink.messages) == 2, "the other")
    # One that has been let go and failed is a deferred one like all others.
    fife.ctl("route", "add", "gone.test", "smtp://127.0.0.1:1")
    far, _ = submit([("x@gone.test", [])], "Subject: far\r\n\r\nx\r\n", ["HOLDFOR=3000"])
    fife.ctl("queue", "retry", far)
    wait_for(lambda: far in fife.ctl("queue", "list", "--state", "deferred"), "a deferred message")
    assert far not in fife.ctl("queue", "list", "--state", "scheduled")
    fife.ctl("queue", "remove", far)
    s = fife.smtp(587, ALICE)
    s.ehlo()
    for options in (["HOLDFOR=3601"], ["HOLDFOR=0"], ["HOLDUNTIL=2000-01-01T00:00:00Z"], ["HOLDFOR=9", "BY=8;R"]):
        code, words = s.mail(ALICE, options)
        assert code == 501 and b"5.5.4" in words, (options, code, words)
    s.quit()


def test_futurerelease_report():
    def answer(verb, arg):
        return "550 5.1.1 nobody" if verb == "RCPT" else None
    with Sink(answer) as sink:
        route("refuses.test", sink)
        submit([("x@refuses.test", [])], "Subject: x\r\n\r\nx\r\n", ["HOLDFOR=1", "ENVID=held"])
        status, _ = report("Original-Envelope-Id: held")
        assert "Future-Release-Request: for;1\r\n" in status and "Arrival-Date: " in status, status


def test_deliverby():
    def answer(verb, arg):
        return "451 4.3.0 not now" if verb == "MAIL" and "late" in arg else None
    with Wordy("DELIVERBY 30") as knows, Sink() as plain, Sink(answer) as late:
        route("knows.test", knows)
        route("plain.test", plain)
        route("late.test", late)
        submit([("x@knows.test", [])], "Subject: quick\r\n\r\nx\r\n", ["BY=120;R"])
        wait_for(lambda: knows.messages, "the message")
        left = int(re.search(r" BY=(\d+);R$", knows.mail()[0]).group(1))
        assert 30 < left <= 120, left
        # Who promises nothing gets no message that has to be in time.
        submit([("x@plain.test", [])], "Subject: quick\r\n\r\nx\r\n", ["BY=120;R", "ENVID=byr"])
        assert "Status: 5.3.3\r\n" in report("Original-Envelope-Id: byr")[0]
        # Of the other kind he gets it, and the sender hears that.
        submit([("y@plain.test", [])], "Subject: soon\r\n\r\nx\r\n", ["BY=120;N", "ENVID=byn"])
        status, _ = report("Original-Envelope-Id: byn")
        assert "Action: relayed\r\n" in status and "Deliver-By-Date: " in status, status
        wait_for(lambda: plain.messages, "the message")
        # A trace is told in any case.
        submit([("z@knows.test", [])], "Subject: traced\r\n\r\nx\r\n", ["BY=120;NT", "ENVID=byt"])
        assert "Action: relayed\r\n" in report("Original-Envelope-Id: byt")[0]


def test_deliverby_is_over():
    with Wordy("DELIVERBY", answer=lambda verb, arg: "451 4.3.0 not now" if verb == "MAIL" else None) as late:
        route("late.test", late)
        qid, _ = submit([("x@late.test", [])], "Subject: late\r\n\r\nx\r\n", ["BY=4;R", "ENVID=over"])
        assert "return" in fife.ctl("queue", "show", qid)
        status, whole = report("Original-Envelope-Id: over")
        assert "Action: failed\r\n" in status and "Status: 5.4.7\r\n" in status, status
        assert "Deliver-By-Date: " in status, status
        wait_for(lambda: qid not in fife.ctl("queue", "list"), "its end")
        qid, _ = submit([("x@late.test", [])], "Subject: late\r\n\r\nx\r\n", ["BY=2;N", "ENVID=told"])
        status, whole = report("Original-Envelope-Id: told")
        assert "Action: delayed\r\n" in status and "Status: 4.4.7\r\n" in status, status
        assert qid in fife.ctl("queue", "list")
        fife.ctl("queue", "remove", qid)


def test_mt_priority():
    with Wordy("MT-PRIORITY") as knows:
        route("knows.test", knows)
        for asked, got, lowered in ((-4, -4, False), (2, 2, False), (7, 2, True)):
            _, words = submit([("x@knows.test", [])], f"Subject: p{asked}\r\n\r\nx\r\n", [f"MT-PRIORITY={asked}"])
            assert words.startswith(f"2.3.6 {got} is the new priority") == lowered, words
            wait_for(lambda: knows.messages, "the message")
            assert knows.mail()[-1].endswith(f" MT-PRIORITY={got}"), knows.mail()
            assert f"PRIORITY {got};".encode() in knows.messages[-1][2].replace(b"\r\n\t", b" "), knows.messages[-1]
            knows.messages.clear()
    # Of hosts that may.
    s = fife.smtp(26)
    assert b"MT-PRIORITY" in s.ehlo("x")[1]
    assert s.mail("eve@elsewhere.test", ["MT-PRIORITY=9"])[1].startswith(b"2.1.0")
    s.quit()
    s = fife.smtp(25)
    s.ehlo("x")
    assert s.mail("eve@elsewhere.test", ["MT-PRIORITY=-1"])[0] == 555
    s.quit()


def test_rrvs():
    now = datetime.datetime.now(datetime.timezone.utc)
    after = (now + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    s = fife.smtp(25)
    s.ehlo("x")
    assert s.mail("eve@elsewhere.test")[0] == 250
    for address, value, want in ((ALICE, after, b"2.1.5"), (ALICE, "2014-04-03T23:01:00Z", b"5.7.17"),
                                 ("alice+box@example.test", "2014-04-03T23:01:00Z;C", b"5.7.17"),
                                 ("postmaster@example.test", "2014-04-03T23:01:00Z", b"2.1.5")):
        code, words = s.rcpt(address, ["RRVS=" + value])
        assert want in words, (address, value, code, words)
    s.quit()
    fife.ctl("alias", "add", "other@example.test", ALICE)
    s = fife.smtp(25)
    s.ehlo("x")
    s.mail("eve@elsewhere.test")
    code, words = s.rcpt("other@example.test", ["RRVS=" + after])
    assert code == 550 and b"5.7.19" in words, (code, words)
    s.quit()
    # As a field of the header.
    for when, want in (("Thu, 3 Apr 2014 23:01:00 +0000", b"5.7.17"), (None, b"2.0.0")):
        s = fife.smtp(25)
        s.ehlo("x")
        s.mail("eve@elsewhere.test")
        s.rcpt(ALICE)
        when = when or (now + datetime.timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S +0000")
        code, words = s.data(f"Subject: to the same\r\nRequire-Recipient-Valid-Since: {ALICE};\r\n {when}\r\n"
                             "Require-Recipient-Valid-Since: other@elsewhere.test; Thu, 3 Apr 2014 23:01:00 +0000\r\n\r\nx\r\n")
        assert want in words, (when, code, words)
        s.quit()
    fife.wait_message("Subject: to the same")
    # The date is kept through a dump and its load, and a new name counts from today.
    line = [x for x in fife.ctl("dump").splitlines() if x.startswith("user " + ALICE)][0]
    assert re.search(r" created=\d+ since=\d+", line), line


def test_rrvs_relayed():
    with Wordy("RRVS") as knows, Sink() as plain:
        route("knows.test", knows)
        route("plain.test", plain)
        submit([("x@knows.test", ["RRVS=2014-04-03T23:01:00Z;C"])], "Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: knows.messages, "the message")
        assert "RCPT TO:<x@knows.test> RRVS=2014-04-03T23:01:00Z;C" in knows.commands, knows.commands
        submit([("r@plain.test", ["RRVS=2014-04-03T23:01:00Z"]), ("c@plain.test", ["RRVS=2014-04-03T23:01:00Z;C"])],
               "Subject: y\r\n\r\nx\r\n", ["ENVID=rrvs"])
        wait_for(lambda: plain.messages, "the message for one of them")
        assert plain.messages[0][1] == ["c@plain.test"], plain.messages
        status, _ = report("Original-Envelope-Id: rrvs")
        assert "Status: 5.7.19\r\n" in status and "r@plain.test" in status and "c@plain.test" not in status, status


def test_no_mail():
    s = smtplib.SMTP(timeout=suite.PATIENCE)
    code, words = s.connect("127.0.0.1", fife.port(28))
    assert code == 521 and b"5.3.2" in words, (code, words)
    s.close()
    # And from the other side.
    with Sink(lambda verb, arg: "521 no mail here" if verb == "CONNECT" else None) as dummy:
        route("dummy.test", dummy)
        submit([("x@dummy.test", [])], "Subject: x\r\n\r\nx\r\n", ["ENVID=dummy"])
        assert "Status: 5.3.2\r\n" in report("Original-Envelope-Id: dummy")[0]


def test_null_mx_of_a_recipient():
    with Zones() as dns:
        dns.add("null.test", "MX", "0 .")
        dns.add("fine.test", "MX", "10 somewhere.test")

        def strict(conf, run):
            return conf.replace("trust-loopback yes", "trust-loopback no") + f"\nresolver {{\n{dns.stub()}\ntimeout 3s\n}}\n"

        with suite.Suite(strict) as other:
            s = other.smtp(587, ALICE)
            s.ehlo()
            s.mail(ALICE)
            code, words = s.rcpt("x@null.test")
            assert code == 556 and b"5.1.10" in words, (code, words)
            for domain in ("fine.test", "missing.test"):
                assert s.rcpt("x@" + domain)[0] == 250
            dns.refuse = True
            assert s.rcpt("x@later.test")[0] == 250
            s.rset()
            # A route of the administrator's counts before the MX.
            dns.refuse = False
            other.ctl("route", "add", "null.test", "smtp://127.0.0.1:9")
            s.mail(ALICE)
            code, words = s.rcpt("x@null.test")
            assert code == 250, (code, words)
            s.quit()
            s = other.smtp(25)
            s.ehlo("x")
            s.mail("eve@elsewhere.test")
            assert s.rcpt("x@null.test")[0] == 550
            s.quit()


def test_utf8_header():
    """A header in UTF-8 goes only to who offers SMTPUTF8 (RFC 6531, 3.2)."""
    with Wordy("SMTPUTF8") as knows, Sink() as plain:
        route("knows.test", knows)
        route("plain.test", plain)
        for text, to, want in (("Subject: gr\u00fcn", "knows", True), ("Subject: gr\u00fcn", "plain", False),
                               ("Subject: green", "plain", True)):
            submit([(f"x@{to}.test", [])], f"{text}\r\n\r\nx\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME", f"ENVID={to}-{want}"])
            if want:
                wait_for(lambda: {"knows": knows, "plain": plain}[to].messages, "the message")
            else:
                assert "Status: 5.6.7\r\n" in report(f"Original-Envelope-Id: {to}-{want}")[0]
        assert len(plain.messages) == 1 and knows.mail()[0].endswith(" SMTPUTF8"), knows.mail()


def edit(conf, run):
    return re.sub(r"(\nsmtp \{)", r"\1\n\tfuture-release-max 1h\n\tmt-priority mixer\n\tpriority-login-max 2", conf) + f"""
listen smtp on 127.0.0.1 port {run.port(26)} priority-from 127.0.0.1
listen smtp on 127.0.0.1 port {run.port(28)} no-mail
delivery {{
	ca-file "{cert}"
}}
"""


def main():
    global fife
    with suite.Suite(edit) as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    import shutil
    where, cert, key = certificate()
    try:
        status = 1 if main() else 0
    finally:
        shutil.rmtree(where)
    sys.exit(status)

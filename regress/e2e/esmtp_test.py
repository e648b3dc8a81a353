# SPDX-License-Identifier: ISC
"""The extensions of SMTP through the whole suite, in and out."""
import email
import re
import smtplib
import socket
import sys
import time

import suite
from suite import Sink, SinkSession, wait_for
from zones import Zones

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


class ChunkSession(SinkSession):
    """Knows CHUNKING and BINARYMIME; DATA is refused."""

    def say(self, text):
        if text == "250-PIPELINING":
            text = "250-CHUNKING\r\n250-BINARYMIME\r\n250-PIPELINING"
        super().say(text)

    def handle(self):
        real = self.rfile
        session = self

        class Lines:
            def __iter__(self):
                for raw in real:
                    words = raw.decode(errors="replace").split()
                    if words[:1] == ["BDAT"]:
                        session.server.commands.append(" ".join(words))
                        session.server.chunks.append(real.read(int(words[1])))
                        session.say("250 2.0.0 chunk")
                        continue
                    yield raw

            def close(self):
                real.close()
        self.rfile = Lines()
        super().handle()


class ChunkSink(Sink):
    def __init__(self):
        self.chunks = []
        super().__init__(lambda verb, arg: "502 5.5.1 no DATA here" if verb == "DATA" else None)

    def finish_request(self, request, address):
        ChunkSession(request, address, self)


BINARY = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
          b"Content-Transfer-Encoding: binary\r\n\r\n" + bytes(range(1, 256)) + b"\n.\n\r.\r\n.\r\n..x\r\n")


def bdat(s, text, last=True):
    s.send(b"BDAT %d%s\r\n" % (len(text), b" LAST" if last else b"") + text)
    return s.getreply()


def envelope(s, rcpts, mail=(), sender="eve@elsewhere.test"):
    s.ehlo_or_helo_if_needed()
    code, words = s.mail(sender, list(mail))
    assert code == 250, words
    for address in rcpts:
        assert s.rcpt(address)[0] == 250


def test_bdat():
    s = fife.smtp()
    s.ehlo()
    assert s.has_extn("chunking") and s.has_extn("binarymime")
    body = ".\r\n..\r\nQUIT\r\n.\r\n" + "long " * 200 + "\r\n"
    text = f"Subject: in chunks\r\n\r\n{body}".encode()
    envelope(s, [ALICE])
    assert bdat(s, text[:7], False)[0] == 250
    assert bdat(s, text[7:40], False)[0] == 250
    assert s.docmd("DATA")[0] == 503
    assert bdat(s, text[40:])[0] == 250
    # All in one piece (RFC 2920), a refused chunk in the middle.
    s.send(b"MAIL FROM:<>\r\nRCPT TO:<" + ALICE.encode() + b">\r\nBDAT 3\r\na\nbBDAT 6 LAST\r\nQUIT\r\n"
           b"MAIL FROM:<>\r\nRCPT TO:<" + ALICE.encode() + b">\r\nBDAT 23 LAST\r\nSubject: behind it\r\n\r\nx")
    codes = [s.getreply()[0] for _ in range(7)]
    assert codes == [250, 250, 550, 503, 250, 250, 250], codes
    s.quit()
    assert fife.wait_message("Subject: in chunks").endswith(text)
    assert fife.wait_message("Subject: behind it").endswith(b"Subject: behind it\r\n\r\nx")


def test_bdat_large():
    """Larger than what is kept in memory, with chunks of many sizes; nothing is lost between them."""
    text = b"Subject: large chunks\r\n\r\n" + b"".join(b"%07d\r\n" % i for i in range(300000))
    s = fife.smtp()
    envelope(s, [ALICE])
    at, size = 0, 1
    while len(text) - at > size:
        assert bdat(s, text[at:at + size], False)[0] == 250
        at, size = at + size, size * 3 if size < 900000 else size
    assert bdat(s, text[at:])[0] == 250
    s.quit()
    assert fife.wait_message("Subject: large chunks").endswith(text)


def test_binary_to_a_mailbox():
    s = fife.smtp()
    envelope(s, [ALICE], ["BODY=BINARYMIME"])
    assert s.docmd("DATA")[0] == 503
    assert bdat(s, BINARY)[0] == 250
    s.quit()
    assert fife.wait_message("Subject: binary").endswith(BINARY)


def test_binary_to_another_host():
    with ChunkSink() as knows, Sink() as plain:
        fife.ctl("route", "add", "chunk.test", f"smtp://127.0.0.1:{knows.port}")
        fife.ctl("route", "add", "nochunk.test", f"smtp://127.0.0.1:{plain.port}")
        s = fife.smtp(587, ALICE)
        envelope(s, ["x@chunk.test", "y@nochunk.test"], ["BODY=BINARYMIME"], ALICE)
        code, words = bdat(s, BINARY.replace(b"Subject: binary", b"Subject: outward binary"))
        assert code == 250, words
        s.quit()
        wait_for(lambda: knows.chunks, "a chunk at the sink")
        got = knows.chunks[0]
        assert got.endswith(BINARY.split(b"\r\n", 1)[1]) and b"Subject: outward binary\r\n" in got, got
        assert any(" BODY=BINARYMIME" in c for c in knows.commands), knows.commands
        wait_for(lambda: plain.messages, "it at the sink that knows neither")
        m = email.message_from_bytes(plain.messages[0][2])
        assert m["Content-Transfer-Encoding"] == "base64", m
        assert m.get_payload(decode=True) == BINARY.split(b"\r\n\r\n", 1)[1], m
        assert not any("BINARYMIME" in c or c.startswith("BDAT") for c in plain.commands), plain.commands


def test_lmtp():
    for host in ("127.0.0.1", "::1"):
        s = smtplib.LMTP(host, fife.port(24), timeout=suite.PATIENCE)
        assert s.docmd("EHLO x")[0] == 502
        code, words = s.docmd("LHLO lmtp.test")
        assert code == 250 and b"PIPELINING" in words and b"AUTH" not in words, words
        assert s.docmd("MAIL FROM:<eve@elsewhere.test>")[0] == 250
        for rcpt, want in ((ALICE, 250), ("nobody@example.test", 550), (BOB, 250), ("x@foreign.test", 550)):
            assert s.docmd(f"RCPT TO:<{rcpt}>")[0] == want, rcpt
        assert s.docmd("DATA")[0] == 354
        s.send(f"Subject: by lmtp to {host}\r\n\r\nx\r\n.\r\n".encode())
        replies = [s.getreply() for _ in range(2)]
        assert [r[0] for r in replies] == [250, 250] and replies[0] == replies[1], replies
        assert s.docmd("NOOP")[0] == 250
        s.quit()
        for user in (ALICE, BOB):
            assert b" with LMTP id " in fife.wait_message(f"Subject: by lmtp to {host}", user=user)


def test_lmtp_from_deliverd():
    """fife's own deliverd is a client of its LMTP server."""
    fife.ctl("route", "add", "inner.test", f"lmtp://127.0.0.1:{fife.port(24)}")
    try:
        submit([("nobody@inner.test", ["NOTIFY=FAILURE"])], "Subject: round\r\n\r\nx\r\n", ["ENVID=round"])
        status, whole = report(ALICE, "Original-Envelope-Id: round")
        assert "Action: failed" in status, status
    finally:
        fife.ctl("route", "del", "inner.test")


def test_limits():
    s = fife.smtp()
    code, words = s.ehlo("client.test")
    limit = int(re.search(rb"LIMITS RCPTMAX=(\d+)", words).group(1))
    assert s.mail("eve@elsewhere.test")[0] == 250
    for _ in range(limit):
        assert s.rcpt(ALICE)[0] == 250
    code, words = s.rcpt(ALICE)
    assert code == 452 and b"4.5.3" in words, (code, words)
    s.close()


def test_sender_domain():
    with Zones() as dns:
        dns.add("null.test", "MX", "0 .")
        dns.add("mx.test", "MX", "10 somewhere.test")
        dns.add("a.test", "A", "192.0.2.1")
        dns.add("text.test", "TXT", "no host")

        def strict(conf, run):
            return conf.replace("trust-loopback yes", "trust-loopback no\nsender-domain-check yes") + \
                f"\nresolver {{\n{dns.stub()}\ntimeout 3s\n}}\n"

        with suite.Suite(strict) as other:
            s = other.smtp()
            s.ehlo("client.test")
            for domain, want, enhanced in (("mx.test", 250, b"2.1.0"), ("a.test", 250, b"2.1.0"), ("null.test", 550, b"5.7.27"),
                                           ("text.test", 550, b"5.1.8"), ("missing.test", 550, b"5.1.8"),
                                           ("[192.0.2.1]", 250, b"2.1.0")):
                code, words = s.mail("eve@" + domain)
                assert code == want and enhanced in words, (domain, code, words)
                s.rset()
            assert s.mail("")[0] == 250
            s.rset()
            dns.refuse = True
            code, words = s.mail("eve@later.test")
            assert code == 450 and b"4.1.8" in words, (code, words)
            s.quit()
            s = other.smtp(587, ALICE)
            assert s.mail(ALICE)[0] == 250
            s.quit()


V2 = b"\r\n\r\n\0\r\nQUIT\n"


def proxied(header, port=26, rest=b"", cut=0):
    """A connection of a proxy: the header (in two pieces), then as usual."""
    sock = socket.create_connection(("127.0.0.1", fife.port(port)), timeout=suite.PATIENCE)
    if cut:
        sock.sendall(header[:cut])
        time.sleep(0.1)
    sock.sendall(header[cut:] + rest)
    return sock


def through_proxy(header, subject, cut=0):
    sock = proxied(header, rest=b"EHLO x.test\r\n" + f"MAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nBDAT {len(subject) + 13} LAST\r\n"
                   f"Subject: {subject}\r\n\r\n".encode() + b"QUIT\r\n", cut=cut)
    said = b"".join(iter(lambda: sock.recv(4096), b""))
    assert b"queued as" in said, said
    sock.close()
    return fife.wait_message(f"Subject: {subject}")


def test_proxy():
    m = through_proxy(b"PROXY TCP4 192.0.2.77 192.0.2.1 4000 25\r\n", "by proxy 1")
    assert b"[192.0.2.77]" in m, m
    m = through_proxy(b"PROXY TCP6 2001:db8::77 2001:db8::1 4000 25\r\n", "by proxy 1 in six", cut=20)
    assert b"[IPv6:2001:db8::77]" in m, m
    v2 = V2 + b"\x21\x11\0\x0c" + socket.inet_aton("192.0.2.78") + socket.inet_aton("192.0.2.1") + b"\x10\0\0\x19"
    m = through_proxy(v2, "by proxy 2", cut=14)
    assert b"[192.0.2.78]" in m, m
    m = through_proxy(V2 + b"\x20\0\0\0", "by proxy itself")
    assert b"[127.0.0.1]" in m, m
    # Implicit TLS begins right behind the header.
    sock = proxied(v2, port=27)
    s = smtplib.SMTP(timeout=suite.PATIENCE)
    s.sock = suite.no_verify().wrap_socket(sock)
    s.file = None
    assert s.getreply()[0] == 220
    assert s.docmd("QUIT")[0] == 221
    # No header, a wrong one: nothing is said.
    for junk in (b"EHLO x\r\n", b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", V2 + b"\x41\0\0\0"):
        sock = proxied(junk)
        try:
            said = sock.recv(100)
        except ConnectionResetError:
            said = b""
        assert said == b"", said
        sock.close()


def test_proxy_of_strangers():
    """Who is not listed cannot say where he comes from."""
    for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
        port = fife.port(26 if host == "::1" else 25)
        sock = socket.create_connection((host, port), timeout=suite.PATIENCE)
        sock.sendall(b"PROXY TCP4 192.0.2.77 192.0.2.1 4000 25\r\nQUIT\r\n")
        said = b"".join(iter(lambda: sock.recv(4096), b""))
        assert said.startswith(b"220 ") and b"\r\n500 " in said, said
        sock.close()


def test_xclient():
    s = fife.smtp(28)
    code, words = s.ehlo("proxy.test")
    assert b"XCLIENT NAME ADDR PORT PROTO HELO" in words and b"XFORWARD" in words, words
    code, words = s.docmd("XCLIENT NAME=mail.remote.test ADDR=192.0.2.99 HELO=they.test PROTO=ESMTP")
    assert code == 220, (code, words)
    assert s.mail("eve@elsewhere.test")[0] == 503
    assert s.ehlo("they.test")[0] == 250
    assert s.docmd("XFORWARD ADDR=192.0.2.123 IDENT=there+201 SOURCE=REMOTE")[0] == 250
    assert s.mail("eve@elsewhere.test")[0] == 250
    assert s.docmd("XCLIENT ADDR=192.0.2.100")[0] == 503
    assert s.rcpt(ALICE)[0] == 250
    code, words = s.data("Subject: by xclient\r\n\r\nx\r\n")
    assert code == 250, words
    m = fife.wait_message("Subject: by xclient")
    assert b"from they.test (mail.remote.test [192.0.2.99])" in m, m
    assert s.docmd("XCLIENT ADDR=IPV6:2001:db8::9 NAME=[UNAVAILABLE]")[0] == 220
    s.ehlo("six.test")
    s.sendmail("eve@elsewhere.test", [ALICE], "Subject: by xclient in six\r\n\r\nx\r\n")
    m = fife.wait_message("Subject: by xclient in six")
    assert b"from six.test ([IPv6:2001:db8::9])" in m, m
    s.quit()
    qid = words.decode().split()[-1]
    wait_for(lambda: [x for x in fife.ctl("log", "smtp").splitlines()
                      if qid in x and "192.0.2.123" in x and "there 1" in x], "the origin in the log")


def test_xclient_of_strangers():
    for s in (fife.smtp(25), smtplib.SMTP("::1", fife.port(28), timeout=suite.PATIENCE)):
        code, words = s.ehlo("proxy.test")
        assert b"XCLIENT" not in words and b"XFORWARD" not in words, words
        for verb in ("XCLIENT", "XFORWARD"):
            code, words = s.docmd(verb, "ADDR=192.0.2.99")
            assert code == 550 and b"5.7.0" in words, (code, words)
        s.quit()


def test_etrn():
    state = {"up": False}

    def answer(verb, arg):
        return "451 4.3.2 not now" if verb == "MAIL" and not state["up"] else None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "dialup.test", f"smtp://127.0.0.1:{sink.port}")
        fife.ctl("route", "add", "other.test", f"smtp://127.0.0.1:{sink.port}")
        for domain in ("dialup.test", "other.test"):
            fife.send(ALICE, ["x@" + domain], f"Subject: for {domain}\r\n\r\nx\r\n", port=587, login=ALICE)
        wait_for(lambda: sum(c.startswith("MAIL") for c in sink.commands) >= 2, "two tries")
        wait_for(lambda: fife.ctl("queue", "list").count("deferred") >= 2, "both deferred")
        state["up"] = True
        s = fife.smtp(25)
        assert s.docmd("EHLO x")[1].find(b"ETRN") == -1
        assert s.docmd("ETRN", "dialup.test")[0] == 502
        s.quit()
        s = fife.smtp(28)
        assert b"\nETRN" in s.ehlo("dialup.test")[1]
        assert s.docmd("ETRN", "DialUp.test")[0] == 250
        wait_for(lambda: sink.messages, "the mail of the domain", 20)
        assert b"for dialup.test" in sink.messages[0][2] and len(sink.messages) == 1, sink.messages
        s.quit()
        fife.ctl("queue", "retry", "--to", "other.test")
        wait_for(lambda: len(sink.messages) == 2, "the other")


def edit(conf, run):
    return conf + f"""
listen lmtp port {run.port(24)}
listen smtp on 127.0.0.1, ::1 port {run.port(26)} proxy-from 127.0.0.1
listen smtp on 127.0.0.1, ::1 port {run.port(28)} xclient-from 127.0.0.1 etrn-from 127.0.0.0/8
listen submission on 127.0.0.1 port {run.port(27)} tls implicit proxy-from 127.0.0.0/8
"""


def main():
    global fife
    with suite.Suite(edit) as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)

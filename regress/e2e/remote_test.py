# SPDX-License-Identifier: ISC
"""Mail to other hosts: by MX and by route, with hosts that are slow, dead, or say no."""
import os
import re
import socket
import ssl
import sys

import suite
from suite import Sink, SinkSession, wait_for
from zones import Zones

fife = None
dns = None
sink = None
ALICE = "alice@example.test"


def message(subject, to="someone@far.test"):
    return f"From: Alice <{ALICE}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\n.dot\r\n..two\r\nHello.\r\n"


def send(subject, *rcpts):
    fife.send(ALICE, list(rcpts), message(subject, rcpts[0]), port=587, login=ALICE)


def arrived(subject, where=None):
    where = where or sink
    return wait_for(lambda: [m for m in where.messages if f"Subject: {subject}\r\n".encode() in m[2]],
                    f"{subject!r} at the sink")[0]


def bounce(needle):
    return fife.wait_message(needle).decode(errors="replace")


def delivery_log(needle):
    def there():
        for line in fife.ctl("log", "delivery", check=False)[1].splitlines():
            if re.search(needle, line):
                return line
        return None
    return wait_for(there, f"{needle!r} in the delivery log")


def test_by_mx():
    dns.add("far.test", "MX", "10 mx.far.test").add("mx.far.test", "A", "127.0.0.1")
    send("by mx", "someone@far.test")
    sender, rcpts, body = arrived("by mx")
    assert sender == ALICE and rcpts == ["someone@far.test"], (sender, rcpts)
    assert body.endswith(b"\r\n\r\n.dot\r\n..two\r\nHello.\r\n"), body[-200:]


def test_by_route():
    with Sink() as other:
        fife.ctl("route", "add", "routed.test", f"smtp://127.0.0.1:{other.port}")
        send("by route", "x@routed.test", "y@routed.test")
        assert arrived("by route", other)[1] == ["x@routed.test", "y@routed.test"]
        fife.ctl("route", "del", "routed.test")


def test_second_host():
    # The better one is not there: 127.0.0.9 has nobody who listens.
    dns.add("second.test", "MX", "10 dead.second.test").add("second.test", "MX", "20 mx.far.test")
    dns.add("dead.second.test", "A", "127.0.0.9").add("mx.far.test", "A", "127.0.0.1")
    send("second host", "x@second.test")
    arrived("second host")


def test_implicit_mx_and_cname():
    dns.add("plain.test", "A", "127.0.0.1").add("alias.test", "CNAME", "plain.test")
    send("implicit mx", "x@plain.test")
    arrived("implicit mx")
    send("by cname", "x@alias.test")
    arrived("by cname")


def test_no_such_domain():
    send("no domain", "x@nowhere.gone")
    b = bounce("Status: 5.1.2")
    assert "x@nowhere.gone" in b, b


def test_null_mx():
    dns.add("null.test", "MX", "0 .")
    send("null mx", "x@null.test")
    assert "x@null.test" in bounce("Status: 5.1.10")


def test_no_host():
    dns.add("nohost.test", "TXT", "nothing here")
    send("no host", "x@nohost.test")
    assert "x@nohost.test" in bounce("Status: 5.4.4")


def test_loop():
    dns.add("loop.test", "MX", "10 mail.example.test")
    send("mail loop", "x@loop.test")
    assert "x@loop.test" in bounce("Status: 5.4.6")


def test_refused_recipient():
    def answer(verb, arg):
        if verb == "RCPT" and "nobody" in arg:
            return "550 5.1.1 we know nobody of that name"
    with Sink(answer) as other:
        fife.ctl("route", "add", "picky.test", f"smtp://127.0.0.1:{other.port}")
        send("picky", "ok@picky.test", "nobody@picky.test")
        assert arrived("picky", other)[1] == ["ok@picky.test"]
        b = bounce("we know nobody of that name")
        assert "Status: 5.1.1" in b and "nobody@picky.test" in b, b
        fife.ctl("route", "del", "picky.test")


def test_connection_is_used_again():
    sink.commands.clear()
    for i in range(3):
        send(f"again {i}", "someone@far.test")
        arrived(f"again {i}")
    hellos = [c for c in sink.commands if c.startswith("EHLO")]
    assert len(hellos) <= 1, hellos
    assert len([c for c in sink.commands if c.startswith("MAIL")]) == 3, sink.commands


class TlsSession(SinkSession):
    """The sink with STARTTLS."""

    def handle(self):
        self.server.calls += 1
        if self.server.context is None and self.server.calls > 1:
            super().handle()
            return
        self.say("220 tls.test ESMTP")
        for raw in self.rfile:
            verb = raw.split()[0].upper()
            if verb == b"EHLO":
                self.say("250-tls.test")
                self.say("250 STARTTLS")
            elif verb == b"STARTTLS":
                break
            else:
                self.say("530 5.7.0 TLS first")
        else:
            return
        self.say("220 go on")
        if self.server.context is None:
            self.wfile.write(b"this is no TLS at all, sorry\r\n" * 10)
            self.rfile.read(1)
            return
        try:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:
            return
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", 0)
        self.server.ciphers.append(self.request.cipher())
        self.server.commands.append("TLS")
        # No second greeting: the client says EHLO again.
        say = self.say
        self.say = lambda text: setattr(self, "say", say)
        super().handle()


def tls_sink():
    cert, key = (os.path.join(fife.run, "tls", n) for n in ("cert.pem", "key.pem"))
    s = Sink()
    s.RequestHandlerClass = TlsSession
    s.ciphers = []
    s.calls = 0
    s.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    s.context.load_cert_chain(cert, key)
    return s


def test_tls_when_offered():
    with tls_sink() as other:
        fife.ctl("route", "add", "tls.test", f"smtp://127.0.0.1:{other.port}")
        send("with tls", "x@tls.test")
        arrived("with tls", other)
        assert other.ciphers
        # Required, but nobody known has signed the certificate.
        fife.ctl("route", "add", "strict.test", f"smtp+tls://localhost:{other.port}")
        send("strict tls", "x@strict.test")
        line = delivery_log(r"deferred.*x@strict\.test|x@strict\.test.*deferred")
        assert "4.7.5" in line, line
        fife.ctl("route", "del", "strict.test")
        fife.ctl("route", "del", "tls.test")


def test_broken_tls_goes_in_plain():
    with tls_sink() as other:
        other.context = None
        fife.ctl("route", "add", "broken.test", f"smtp://127.0.0.1:{other.port}")
        send("broken tls", "x@broken.test")
        arrived("broken tls", other)
        assert other.calls == 2
        fife.ctl("route", "del", "broken.test")


def test_no_second_delivery_after_a_lost_reply():
    def answer(verb, arg):
        return "HANG UP" if verb == "END" else None
    with Sink(answer) as other:
        dns.add("lost.test", "MX", "10 mx.far.test").add("lost.test", "MX", "20 mx.far.test")
        fife.ctl("route", "add", "lost.test", f"smtp://127.0.0.1:{other.port}")
        send("lost reply", "x@lost.test")
        assert "4.4.2" in delivery_log(r"deferred.*x@lost\.test|x@lost\.test.*deferred")
        assert len([c for c in other.commands if c == "DATA"]) == 1
        fife.ctl("route", "del", "lost.test")


def test_tls_required_and_not_offered():
    with Sink() as other:
        fife.ctl("route", "add", "bare.test", f"smtp+tls://127.0.0.1:{other.port}")
        send("bare", "x@bare.test")
        assert "x@bare.test" in bounce("Status: 5.7.4")
        assert not other.messages
        fife.ctl("route", "del", "bare.test")


def test_busy_host():
    def answer(verb, arg):
        return "421 4.3.2 too busy" if verb == "CONNECT" else None
    with Sink(answer) as other:
        fife.ctl("route", "add", "busy.test", f"smtp://127.0.0.1:{other.port}")
        send("busy", "x@busy.test")
        assert "4.3.2" in delivery_log(r"x@busy\.test.*too busy")
        fife.ctl("route", "del", "busy.test")


def test_resolver_command():
    dns.add("cmd.test", "MX", "5 mx.far.test").add("cmd.test", "TXT", "v=spf1 -all")
    assert "5 mx.far.test" in fife.ctl("resolver", "lookup", "cmd.test", "MX")
    assert "v=spf1 -all" in fife.ctl("resolver", "lookup", "cmd.test", "TXT")
    status, text = fife.ctl("resolver", "lookup", "nowhere.gone", "A", check=False)
    assert status == 1 and "no such domain" in text, (status, text)
    assert "lookups" in fife.ctl("resolver", "stats")
    dns.clear("cmd.test").add("cmd.test", "MX", "7 other.test")
    fife.ctl("resolver", "flush", "all")
    assert "7 other.test" in fife.ctl("resolver", "lookup", "cmd.test", "MX")
    # A name server that is silent, then is not.
    dns.silent = True
    try:
        status, text = fife.ctl("resolver", "lookup", "silent.test", "A", check=False)
        assert status == 75, (status, text)
    finally:
        dns.silent = False
    dns.add("later.test", "A", "192.0.2.7")
    assert "192.0.2.7" in fife.ctl("resolver", "lookup", "later.test", "A")


def test_reload_of_stubs():
    path = os.path.join(fife.run, "fife.conf")
    before = open(path).read()
    dns.add("moved.test", "A", "192.0.2.1")
    assert "192.0.2.1" in fife.ctl("resolver", "lookup", "moved.test")
    pids = fife.pids_of("dnsd")
    with Zones() as other:
        other.add("moved.test", "A", "192.0.2.2")
        open(path, "w").write(before.replace(dns.stub(), other.stub()))
        fife.ctl("reload")
        wait_for(lambda: "192.0.2.2" in fife.ctl("resolver", "lookup", "moved.test", check=False)[1], "the other server")
        open(path, "w").write(before)
        fife.ctl("reload")
        wait_for(lambda: "192.0.2.1" in fife.ctl("resolver", "lookup", "moved.test", check=False)[1], "the first server")
    assert fife.pids_of("dnsd") == pids


def test_silent_hosts_hold_nobody_up():
    # More of them than there are places: hosts that take the connection and never greet.
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.8", sink.port))
        silent.listen(1000)
        dns.add("mx.silent.test", "A", "127.0.0.8")
        names = [f"s{i}.silent.test" for i in range(250)]
        for name in names:
            dns.add(name, "MX", "10 mx.silent.test")
        for i in range(0, len(names), 50):
            send("nobody greets", *(f"x@{n}" for n in names[i:i + 50]))
        wait_for(lambda: int(re.search(r"^jobs: (\d+)", fife.ctl("queue", "stats"), re.M).group(1)) >= 250,
                 "all of them are being tried")
        send("past the silent", "someone@far.test")
        arrived("past the silent")
        fife.ctl("queue", "remove", "--to", "*silent.test")


def test_large_message():
    send_size = len(message("large")) + 320000 * 76
    text = message("large") + ("y" * 70 + "\r\n.z\r\n") * 320000
    fife.send(ALICE, ["someone@far.test"], text, port=587, login=ALICE)
    assert len(arrived("large")[2]) > send_size


def test_large_answer_by_tcp():
    for i in range(60):
        dns.add("large.test", "TXT", f"{i} " + "x" * 100)
    assert fife.ctl("resolver", "lookup", "large.test", "TXT").count("xxxx") >= 60


def edit(text, s):
    return text + f"""
resolver {{
	{dns.stub()}
	timeout 3s
}}
delivery {{
	smtp-port {sink.port}
	timeout-connect 5s
}}
"""


if __name__ == "__main__":
    with Zones() as dns, Sink() as sink, suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

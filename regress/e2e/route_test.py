# SPDX-License-Identifier: ISC
"""Routes with settings: logins at relays with secrets that keyd keeps, routes by sender,
fallbacks, limits; and what is done for hosts that lack extensions."""
import atexit
import base64
import hashlib
import hmac
import os
import re
import shutil
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import suite
from suite import Sink, SinkSession, wait_for
from zones import Zones

fife = None
dns = None
pki = None
ALICE, BOB = "alice@example.test", "bob@example.test"


class Pki:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fife-pki-")
        atexit.register(shutil.rmtree, self.dir, True)
        self.ca = os.path.join(self.dir, "relay.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "9", "-subj", "/CN=relay.test", "-addext", "subjectAltName=DNS:relay.test", "-keyout",
                        os.path.join(self.dir, "relay.key"), "-out", self.ca], check=True, stderr=subprocess.DEVNULL)

    def context(self):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.ca, os.path.join(self.dir, "relay.key"))
        return c


class RelaySession(SinkSession):
    """A relay that wants a login; extensions and mechanisms are the server's."""

    def line(self):
        raw = self.rfile.readline()
        return raw.decode(errors="replace").rstrip("\r\n") if raw else None

    def challenge(self, data):
        self.say("334 " + base64.b64encode(data).decode())
        answer = self.line()
        return None if answer is None or answer == "*" else base64.b64decode(answer)

    def login(self, mechanism, initial):
        first = base64.b64decode(initial) if initial not in ("", "=") else b""
        s = self.server
        if mechanism == "PLAIN":
            if not initial:
                first = self.challenge(b"")
            return first == b"\0" + s.user + b"\0" + s.password
        if mechanism == "LOGIN":
            return self.challenge(b"Username:") == s.user and self.challenge(b"Password:") == s.password
        if mechanism == "XOAUTH2":
            if not initial:
                first = self.challenge(b"")
            if first == b"user=" + s.user + b"\x01auth=Bearer " + s.password + b"\x01\x01":
                return True
            self.challenge(b'{"status":"401"}')
            return False
        if mechanism == "SCRAM-SHA-256":
            return self.scram(first)
        return False

    def scram(self, first):
        bare = first.split(b",", 2)[2]
        nonce = re.search(rb"r=([^,]+)", bare).group(1) + b"server"
        salt, rounds = b"saltsalt", 4096
        challenge = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=%d" % rounds
        final = self.challenge(challenge)
        without, proof = final.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self.server.password, salt, rounds)
        key = hmac.new(salted, b"Client Key", "sha256").digest()
        text = bare + b"," + challenge + b"," + without
        sign = hmac.new(hashlib.sha256(key).digest(), text, "sha256").digest()
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, sign)):
            return False
        server = hmac.new(salted, b"Server Key", "sha256").digest()
        proof = hmac.new(server, text, "sha256").digest()
        if self.server.liar:
            proof = bytes(32)
        return self.challenge(b"v=" + base64.b64encode(proof)) == b""

    def handle(self):
        tls = logged_in = False
        sender, rcpts = None, []
        self.say("220 relay.test ESMTP")
        while (line := self.line()) is not None:
            verb, _, arg = line.partition(" ")
            verb = verb.upper()
            self.server.commands.append(line)
            special = self.server.answer(verb, arg)
            if special:
                self.say(special)
            elif verb == "EHLO":
                self.say("250-relay.test")
                if not tls and self.server.context:
                    self.say("250-STARTTLS")
                if self.server.mechanisms:
                    self.say("250-AUTH " + self.server.mechanisms)
                for e in self.server.extensions:
                    self.say("250-" + e)
                self.say("250 HELP")
            elif verb == "STARTTLS":
                self.say("220 go on")
                try:
                    self.request = self.server.context.wrap_socket(self.request, server_side=True)
                except (ssl.SSLError, OSError):
                    return
                self.rfile, self.wfile, tls = self.request.makefile("rb"), self.request.makefile("wb", 0), True
            elif verb == "AUTH":
                mechanism, _, initial = arg.partition(" ")
                self.server.used.append((mechanism, tls))
                logged_in = self.login(mechanism, initial)
                self.say("235 2.7.0 welcome" if logged_in else "535 5.7.8 who are you")
            elif verb == "MAIL" and self.server.mechanisms and not logged_in:
                self.say("530 5.7.0 log in")
            elif verb == "MAIL":
                sender, rcpts = arg, []
                self.say("250 ok")
            elif verb == "RCPT":
                rcpts.append(arg)
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                body = b""
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                    body += data[1:] if data.startswith(b".") else data
                self.server.messages.append((sender, rcpts, body))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Relay(Sink):
    def __init__(self, mechanisms="", extensions=("PIPELINING", "8BITMIME"), tls=True, answer=None, liar=False):
        self.mechanisms, self.extensions, self.liar = mechanisms, extensions, liar
        self.user, self.password = b"site@relay.test", b"pencil, = and \xc3\xbc"
        self.used = []
        self.context = pki.context() if tls else None
        super().__init__(answer)
        self.RequestHandlerClass = RelaySession

    def url(self, scheme="smtp", user="site%40relay.test:relay@"):
        return f"{scheme}://{user}relay.test:{self.port}"


def message(subject, to):
    return f"From: <{ALICE}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nHello.\r\n"


def send(subject, rcpt, sender=ALICE, text=None):
    fife.send(sender, [rcpt], text or message(subject, rcpt), port=587, login=sender)


def arrived(subject, where):
    return wait_for(lambda: [m for m in where.messages if f"Subject: {subject}\r\n".encode() in m[2]],
                    f"{subject!r} at the relay")[0]


def logged(needle):
    def there():
        for line in fife.ctl("log", "delivery", check=False)[1].splitlines():
            if re.search(needle, line):
                return line
        return None
    return wait_for(there, f"{needle!r} in the delivery log")


def secret(name, value, *options):
    fife.ctl("secret", "add", name, *options, input=value + "\n")


def test_logins():
    secret("relay", "pencil, = and ü")
    for mechanisms, want in (("PLAIN LOGIN", "PLAIN"), ("LOGIN", "LOGIN"), ("PLAIN SCRAM-SHA-256", "SCRAM-SHA-256")):
        with Relay(mechanisms) as relay:
            domain = f"by-{want.lower()}.test"
            fife.ctl("route", "add", domain, relay.url())
            send("login " + want, f"x@{domain}")
            arrived("login " + want, relay)
            assert relay.used == [(want, True)], relay.used
            fife.ctl("route", "del", domain)
    listing = fife.ctl("secret", "list")
    assert "relay" in listing and "pencil" not in listing, listing


def test_secret_is_not_shown_to_strangers():
    # Its TLS cannot be verified: the name is another.
    with Relay("PLAIN SCRAM-SHA-256") as relay:
        fife.ctl("route", "add", "stranger.test", f"smtp://site%40relay.test:relay@127.0.0.1:{relay.port}",
                 "tls=required", "auth=PLAIN")
        send("stranger", "x@stranger.test")
        assert "no mechanism" in logged(r"deferred.*x@stranger\.test")
        assert not relay.used and not relay.messages
        # SCRAM shows nothing.
        fife.ctl("route", "add", "stranger2.test", f"smtp://site%40relay.test:relay@127.0.0.1:{relay.port}",
                 "tls=required")
        send("stranger two", "x@stranger2.test")
        arrived("stranger two", relay)
        for d in ("stranger.test", "stranger2.test"):
            fife.ctl("route", "del", d)
    with Relay("PLAIN", tls=False) as relay:
        fife.ctl("route", "add", "bare.test", relay.url())
        send("bare", "x@bare.test")
        logged(r"failed.*x@bare\.test.*5\.7\.4")
        assert not relay.used
        fife.ctl("route", "del", "bare.test")


def test_scram_only():
    secret("careful", "pencil, = and ü", "scram-only")
    with Relay("PLAIN") as relay:
        fife.ctl("route", "add", "careful.test", relay.url(user="site%40relay.test:careful@"))
        send("careful", "x@careful.test")
        assert "no mechanism" in logged(r"deferred.*x@careful\.test")
        assert not relay.used
        fife.ctl("route", "del", "careful.test")


def test_wrong_secret_waits():
    secret("wrong", "nonsense")
    with Relay("PLAIN") as relay:
        fife.ctl("route", "add", "wrong.test", relay.url(user="site%40relay.test:wrong@"))
        send("wrong", "x@wrong.test")
        line = logged(r"deferred.*x@wrong\.test")
        assert "4.7.8" in line and "who are you" in line, line
        secret("wrong", "pencil, = and ü")
        fife.ctl("queue", "retry", "--all", check=False)
        fife.ctl("queue", "retry", "--to", "wrong.test", check=False)
        arrived("wrong", relay)
        fife.ctl("route", "del", "wrong.test")
    fife.ctl("secret", "del", "wrong")
    status, text = fife.ctl("secret", "del", "wrong", check=False)
    assert status == 1 and "no such secret" in text


def test_relay_that_proves_nothing():
    with Relay("SCRAM-SHA-256", liar=True) as relay:
        fife.ctl("route", "add", "liar.test", relay.url())
        send("liar", "x@liar.test")
        assert "prove" in logged(r"deferred.*x@liar\.test")
        assert not relay.messages
        fife.ctl("route", "del", "liar.test")


def test_token_file():
    path = os.path.join(fife.run, "state", "key", "token", "oauth")
    if not os.path.isdir(os.path.dirname(path)):
        path = subprocess.run(["find", fife.run, "-type", "d", "-path", "*key/token"], capture_output=True,
                              text=True, check=True).stdout.split()[0] + "/oauth"
    fife.ctl("secret", "add", "oauth", "token-file")
    with Relay("XOAUTH2 PLAIN") as relay:
        fife.ctl("route", "add", "oauth.test", relay.url(user="site%40relay.test:oauth@"))
        # Those of large providers do not fit into the command (RFC 4954, 4).
        for n, token in enumerate((b"first-token", b"second-token", b"ya29." + b"long" * 200)):
            relay.password = token
            with open(path, "wb") as f:
                f.write(token + b"\n")
            os.chmod(path, 0o644)
            send(f"token {n}", "x@oauth.test")
            arrived(f"token {n}", relay)
            wait_for(lambda: relay.commands.count("QUIT") > n, "the end of the connection")
        assert relay.used == [("XOAUTH2", True)] * 3, relay.used
        fife.ctl("route", "del", "oauth.test")


def test_secrets_outlive_keyd():
    pid = fife.pids_of("keyd")[0]
    os.kill(pid, 9)
    wait_for(lambda: fife.pids_of("keyd") not in ([], [pid]), "another keyd")
    wait_for(lambda: "relay" in fife.ctl("secret", "list", check=False)[1], "the secrets after the restart")


def test_by_sender():
    with Sink() as ours, Sink() as default, Sink() as exact:
        fife.ctl("route", "add", "*", f"smtp://127.0.0.1:{default.port}")
        fife.ctl("route", "add", f"from:{BOB}", f"smtp://127.0.0.1:{ours.port}")
        fife.ctl("route", "add", "exact.test", f"smtp://127.0.0.1:{exact.port}")
        send("of alice", "x@sender.test")
        arrived("of alice", default)
        send("of bob", "x@sender.test", BOB)
        arrived("of bob", ours)
        send("of bob too", "x@exact.test", BOB)
        arrived("of bob too", exact)
        said = fife.ctl("route", "explain", "x@sender.test", BOB)
        assert f"from:{BOB}" in said and str(ours.port) in said, said
        fife.ctl("route", "del", f"from:{BOB}")
        send("of bob again", "x@sender.test", BOB)
        arrived("of bob again", default)
        for d in ("*", "exact.test"):
            fife.ctl("route", "del", d)


def test_fallback_on_reply():
    def refuse(verb, arg):
        return "550 5.7.1 you are on a list" if verb == "MAIL" else None
    with Sink(refuse) as first, Sink() as second:
        fife.ctl("route", "add", "fall.test", f"smtp://127.0.0.1:{first.port}", "on=5.7.1,45x",
                 f"fallback=smtp://127.0.0.1:{second.port}")
        send("fall", "x@fall.test")
        arrived("fall", second)
        assert [c for c in first.commands if c.startswith("MAIL")]
        fife.ctl("route", "del", "fall.test")


def test_fallback_of_a_list():
    """Its members are transactions of their own, more than a connection may have: those that want the fallback do
    not go round at the first host."""
    def refuse(verb, arg):
        return "550 5.7.1 you are on a list" if verb == "RCPT" else None
    members = [f"m{i}@members.test" for i in range(5)]
    with Sink(refuse) as first, Sink() as second:
        fife.ctl("route", "add", "members.test", f"smtp://127.0.0.1:{first.port}", "on=5.7.1", "messages=2",
                 f"fallback=smtp://127.0.0.1:{second.port}")
        fife.ctl("list", "add", "many@example.test", "owner=" + BOB, "post=anyone")
        fife.ctl("list", "member", "add", "many@example.test", *members)
        send("to all of them", "many@example.test")
        wait_for(lambda: sorted(r for m in list(second.messages) for r in m[1]) == members, "all at the fallback")
        assert not first.messages
        fife.ctl("list", "del", "many@example.test")
        fife.ctl("route", "del", "members.test")


def test_fallback_after_tries():
    with Sink() as second:
        fife.ctl("route", "add", "after.test", "smtp://127.0.0.9:1", "after=1",
                 f"fallback=smtp://127.0.0.1:{second.port}")
        send("after", "x@after.test")
        logged(r"deferred.*x@after\.test")
        fife.ctl("queue", "retry", "--to", "after.test", check=False)
        arrived("after", second)
        fife.ctl("route", "del", "after.test")


def test_settings_of_a_route():
    with Sink() as other:
        fife.ctl("route", "add", ".set.test", f"smtp://127.0.0.1:{other.port}", "helo=other.example.test",
                 "source=127.0.0.7", "messages=1", "concurrency=1")
        for i in range(3):
            send(f"set {i}", "x@a.set.test")
        for i in range(3):
            arrived(f"set {i}", other)
        hellos = [c for c in other.commands if c.startswith("EHLO")]
        assert hellos == ["EHLO other.example.test"] * 3, hellos
        said = fife.ctl("route", "explain", "x@a.set.test")
        assert ".set.test" in said and "other.example.test (the route)" in said and "127.0.0.7" in said, said
        fife.ctl("route", "del", ".set.test")
    status, text = fife.ctl("route", "add", "bad.test", "smtp://a.test", "speed=9", check=False)
    assert status == 2 and "expected tls" in text, text


def test_rate_of_a_route():
    with Sink() as other:
        fife.ctl("route", "add", "slow.test", f"smtp://127.0.0.1:{other.port}", "rate=2")
        for i in range(4):
            send(f"slow {i}", "x@slow.test")
        wait_for(lambda: len(other.messages) >= 2, "two messages")
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert len(other.messages) == 2, "more than two in a minute"
            time.sleep(0.2)
        fife.ctl("route", "add", "slow.test", f"smtp://127.0.0.1:{other.port}")
        fife.ctl("queue", "retry", "--to", "slow.test", check=False)
        wait_for(lambda: len(other.messages) == 4, "the rest without a rate")
        fife.ctl("route", "del", "slow.test")


EIGHT = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" \
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--b\r\n" \
        "Content-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÿ\r\n--b--\r\n"


def test_conversion():
    def eight(rcpt, subject, relay):
        s = fife.smtp(587, ALICE)
        text = f"From: <{ALICE}>\r\nTo: <{rcpt}>\r\nSubject: {subject}\r\n" + EIGHT
        s.sendmail(ALICE, [rcpt], text.encode(), mail_options=["BODY=8BITMIME"])
        s.quit()
        return arrived(subject, relay)
    with Relay(tls=False, extensions=("SIZE 100000",)) as relay:
        fife.ctl("route", "add", "seven.test", relay.url(user=""))
        sender, rcpts, body = eight("x@seven.test", "seven", relay)
        assert "8BITMIME" not in sender
        assert max(body) < 128, body
        assert b"Gr=C3=BC=C3=9Fe\r\n--b\r\n" in body and b"w78=\r\n--b--" in body, body
        assert body.count(b"Content-Transfer-Encoding: 7bit") == 1, body
        logged("converted qid=")
        fife.ctl("route", "del", "seven.test")
    with Relay(tls=False) as relay:
        fife.ctl("route", "add", "eight.test", relay.url(user=""))
        sender, rcpts, body = eight("x@eight.test", "eight", relay)
        assert "BODY=8BITMIME" in sender and "Grüße".encode() in body
        fife.ctl("route", "del", "eight.test")


def test_lmtp():
    def answer(verb, arg):
        if verb == "LHLO":
            return "250 lmtp.test"
        return None
    with Relay(tls=False, extensions=(), answer=answer) as relay:
        fife.ctl("route", "add", "lmtp.test", f"lmtp://127.0.0.1:{relay.port}")
        send("by lmtp", "x@lmtp.test")
        arrived("by lmtp", relay)
        assert relay.commands[0].startswith("LHLO"), relay.commands
        fife.ctl("route", "del", "lmtp.test")


class LocalSession(RelaySession):
    disable_nagle_algorithm = False  # no TCP


class Local(socketserver.ThreadingUnixStreamServer):
    """The relay at a socket of this host."""
    daemon_threads = True

    def __init__(self, name):
        self.path = os.path.join(pki.dir, name)
        self.commands, self.messages = [], []
        self.context, self.mechanisms, self.extensions, self.liar = None, "", ("PIPELINING",), False
        self.answer = lambda verb, arg: "250-lmtp.test\r\n250-PIPELINING\r\n250 8BITMIME" if verb == "LHLO" else None
        super().__init__(self.path, LocalSession)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()
        if os.path.exists(self.path):
            os.unlink(self.path)


def test_socket_of_this_host():
    with Local("lmtp.sock") as relay:
        fife.ctl("route", "add", "sock.test", f"lmtp+unix:{relay.path}")
        assert f"lmtp+unix:{relay.path}" in fife.ctl("route", "explain", "x@sock.test")
        for n in (1, 2):
            send(f"by socket {n}", "x@sock.test")
            arrived(f"by socket {n}", relay)
        assert relay.commands[0].startswith("LHLO"), relay.commands
        fife.ctl("route", "del", "sock.test")
        # What fife.conf does not name is not connected to, though it is there.
        with Local("other.sock") as other:
            fife.ctl("route", "add", "other.test", f"lmtp+unix:{other.path}")
            send("by another socket", "x@other.test")
            logged(r"deferred.*x@other\.test.*code=4\.3\.5")
            assert "does not name it" in fife.ctl("why", "x@other.test")
            assert not other.commands
            fife.ctl("queue", "remove", "--to", "x@other.test")
            fife.ctl("route", "del", "other.test")
        fife.ctl("route", "add", "smtp.test", f"smtp+unix:{relay.path}")
        send("by socket and SMTP", "x@smtp.test")
        arrived("by socket and SMTP", relay)
        assert any(c.startswith("EHLO") for c in relay.commands)
        wait_for(lambda: relay.commands.count("QUIT") == 2, "the end of both connections")
    # Nobody is there any more: it waits, and goes once somebody is.
    send("by socket, late", "x@smtp.test")
    logged(r"deferred.*x@smtp\.test.*code=4\.4\.1")
    with Local("lmtp.sock") as relay:
        fife.ctl("queue", "retry", "--to", "x@smtp.test")
        arrived("by socket, late", relay)
    fife.ctl("route", "del", "smtp.test")
    for wrong in ("lmtp+unix:/a tls=verified", "lmtp+unix:relative", "smtp+unix:/a source=127.0.0.1"):
        assert fife.ctl("route", "add", "wrong.test", *wrong.split(), check=False)[0] != 0, wrong


def test_flush_of_one_name():
    dns.ttl = 3600
    dns.add("one.test", "A", "192.0.2.1").add("two.test", "A", "192.0.2.1")
    for n in ("one.test", "two.test"):
        assert "192.0.2.1" in fife.ctl("resolver", "lookup", n)
        dns.clear(n).add(n, "A", "192.0.2.2")
    fife.ctl("resolver", "flush", "one.test")
    assert "192.0.2.2" in fife.ctl("resolver", "lookup", "one.test")
    assert "192.0.2.1" in fife.ctl("resolver", "lookup", "two.test")
    dns.ttl = 5


def edit(text, s):
    return text + f"""
resolver {{
	{dns.stub()}
	timeout 3s
}}
delivery {{
	smtp-port 9
	timeout-connect 5s
	idle 1s
	ca-file "{pki.ca}"
	unix-socket "{pki.dir}/lmtp.sock"
}}
"""


if __name__ == "__main__":
    pki = Pki()
    with Zones() as dns:
        dns.add("relay.test", "A", "127.0.0.1")
        with suite.Suite(conf_edit=edit) as fife:
            failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

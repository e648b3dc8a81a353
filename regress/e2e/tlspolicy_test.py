# SPDX-License-Identifier: ISC
"""Which TLS mail goes out with: each policy (of the route, by DANE, by MTA-STS, of the sender)
against peers whose TLS is good, wrong, expired, absent, broken; the outcome of each pair."""
import atexit
import contextlib
import datetime
import email
import glob
import gzip
import hashlib
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

import suite
from signedzones import SignedZones
from suite import Sink, SinkSession, wait_for

fife = None
dns = None
web = None
pki = None
ALICE = "alice@example.test"


class Pki:
    """Two authorities, of which fife knows one, and certificates by name."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fife-pki-")
        atexit.register(shutil.rmtree, self.dir, True)
        self.made = {}
        for ca in ("ca", "otherca"):
            self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", f"/CN=fife test {ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
                     "-addext", "basicConstraints=critical,CA:TRUE")
        self.ca_file = os.path.join(self.dir, "ca.pem")

    def run(self, *args):
        subprocess.run(("openssl",) + args, cwd=self.dir, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def cert(self, name, ca="ca", expired=False):
        """Path of a file with key, certificate and its authority's certificate."""
        key = f"{name}-{ca}-{expired}"
        if key in self.made:
            return self.made[key]
        base = f"c{len(self.made)}"
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", base + ".key", "-out", base + ".csr")
        with open(os.path.join(self.dir, base + ".ext"), "w") as f:
            f.write(f"subjectAltName=DNS:{name}\n")
        if expired:
            self.expired_cert(base, ca)
        else:
            self.run("x509", "-req", "-in", base + ".csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-set_serial",
                     str(len(self.made) + 10), "-extfile", base + ".ext", "-out", base + ".crt", "-days", "10")
        path = os.path.join(self.dir, base + ".pem")
        with open(path, "w") as out:
            for part in (base + ".key", base + ".crt", f"{ca}.pem"):
                out.write(open(os.path.join(self.dir, part)).read())
        self.made[key] = path
        return path

    def selfsigned(self, name):
        path = os.path.join(self.dir, "self-" + name + ".pem")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                 f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", path + ".key", "-out", path)
        with open(path, "a") as out:
            out.write(open(path + ".key").read())
        return path

    def expired_cert(self, base, ca):
        """ca(1) sets any dates."""
        for name, text in (("index.txt", ""), ("serial", "%04X\n" % (len(self.made) + 4096))):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text)
        with open(os.path.join(self.dir, "ca.cnf"), "w") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
                    "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=9)
        dates = [(past + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in (0, 2)]
        self.run("ca", "-config", "ca.cnf", "-batch", "-notext", "-in", base + ".csr", "-cert", f"{ca}.pem", "-keyfile",
                 f"{ca}.key", "-startdate", dates[0], "-enddate", dates[1], "-extfile", base + ".ext", "-out",
                 base + ".crt")

    def spki(self, path):
        der = subprocess.run(f"openssl x509 -in {path} -pubkey -noout | openssl pkey -pubin -outform DER", shell=True,
                             check=True, stdout=subprocess.PIPE).stdout
        return hashlib.sha256(der).digest()

    def ca_digest(self, ca):
        der = subprocess.run(["openssl", "x509", "-in", os.path.join(self.dir, ca + ".pem"), "-outform", "DER"],
                             check=True, stdout=subprocess.PIPE).stdout
        return hashlib.sha256(der).digest()


class PeerSession(SinkSession):
    """kind: good TLS with server.context; plain; refuse (454 to STARTTLS); garbage, hang and
    reset instead of a handshake."""

    def hello(self, tls):
        self.say("250-peer.test")
        self.say("250-PIPELINING")
        if tls and self.server.requiretls:
            self.say("250-REQUIRETLS")
        if not tls and self.server.kind != "plain":
            self.say("250-STARTTLS")
        self.say("250 8BITMIME")

    def handle(self):
        self.server.calls += 1
        tls = False
        self.say("220 peer.test ESMTP")
        mail = None
        # By hand: the handshake puts another file in its place.
        while raw := self.rfile.readline():
            line = raw.decode(errors="replace").rstrip("\r\n")
            verb, _, arg = line.partition(" ")
            verb = verb.upper()
            self.server.commands.append(line)
            if verb == "EHLO":
                self.hello(tls)
            elif verb == "STARTTLS":
                if self.server.kind == "refuse":
                    self.say("454 4.7.0 not now")
                    continue
                self.say("220 go on")
                if not self.handshake():
                    return
                tls = True
            elif verb == "MAIL":
                mail = (line, [])
                self.say("250 ok")
            elif verb == "RCPT":
                mail[1].append(arg)
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                body = b""
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                    body += data
                self.server.messages.append((tls, mail[0], body))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def handshake(self):
        kind = self.server.kind
        if kind == "garbage":
            self.wfile.write(b"this is no TLS at all, sorry\r\n" * 10)
            self.rfile.read(1)
            return False
        if kind == "reset":
            return False
        if kind == "hang":
            self.server.release.wait(suite.PATIENCE)
            return False
        try:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            return False
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", 0)
        return True


class Peer(Sink):
    def __init__(self, cert=None, kind="tls", requiretls=False, address="127.0.0.1", port=0):
        self.kind = kind
        self.calls = 0
        self.requiretls = requiretls
        self.release = threading.Event()
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert)
        super().__init__()
        self.RequestHandlerClass = PeerSession

    def __exit__(self, *exc):
        self.release.set()
        super().__exit__(*exc)


class Web(http.server.ThreadingHTTPServer):
    """The policies of MTA-STS, by HTTPS, for any domain in policies."""
    daemon_threads = True

    def __init__(self):
        self.policies = {}
        self.asked = []
        self.posted = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                outer.asked.append((host, self.path))
                text = outer.policies.get(host[len("mta-sts."):])
                if text is None or self.path != "/.well-known/mta-sts.txt":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posted.append((self.headers["Host"] + self.path, self.headers["Content-Type"], body))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        default = pki.cert("mta-sts.none.test")
        context.load_cert_chain(default)

        def by_name(sock, name, ctx):
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(pki.cert(name or "mta-sts.none.test", "otherca" if "badweb" in (name or "") else "ca"))
            sock.context = c
        context.sni_callback = by_name
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            super().finish_request(request, client_address)
        except (ssl.SSLError, OSError):
            pass

    def handle_error(self, request, client_address):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()


serial = 0


def send(rcpt, *header, params=()):
    """Queue id of a message sent by alice."""
    global serial
    serial += 1
    s = fife.smtp(587, ALICE)
    s.ehlo()
    assert s.docmd("MAIL", f"FROM:<{ALICE}> {' '.join(params)}".rstrip())[0] == 250
    assert s.docmd("RCPT", f"TO:<{rcpt}>")[0] == 250
    assert s.docmd("DATA")[0] == 354
    text = "\r\n".join([f"From: <{ALICE}>", f"To: <{rcpt}>", f"Subject: policy {serial}", *header, "", "hello", "."])
    s.send((text + "\r\n").encode())
    code, reply = s.getreply()
    assert code == 250, (code, reply)
    s.quit()
    return re.search(rb"(?:as|id)\s+(\w+)", reply).group(1).decode()


def outcome(qid, rcpt):
    """(event, code, all lines of why) once there is one."""
    def there():
        text = fife.ctl("log", "delivery", check=False)[1]
        for line in text.splitlines():
            m = re.search(rf" (delivered|deferred|failed) qid={qid} to={re.escape(rcpt)} code=(\S+)", line)
            if m:
                return m.group(1), m.group(2), fife.ctl("why", qid)
        return None
    return wait_for(there, f"the result of {qid} to {rcpt}")


def expect(qid, rcpt, want, sentence=""):
    event, code, why = outcome(qid, rcpt)
    got = event if event == "delivered" else f"{event} {code}"
    assert got == want, f"{rcpt}: {got}, expected {want}\n{why}"
    assert re.search(sentence, why), f"{sentence!r} is not in\n{why}"
    if event == "deferred":
        fife.ctl("queue", "remove", qid)


# ---- by route ----

ROUTES = [  # (route's tls, peer's kind, certificate, outcome, words)
    ("none", "tls", "good", "delivered", "in plain"),
    ("opportunistic", "tls", "good", "delivered", "TLSv1.*trusted"),
    ("opportunistic", "tls", "self", "delivered", "TLSv1.*not checked"),
    ("opportunistic", "plain", None, "delivered", "in plain"),
    ("opportunistic", "refuse", None, "delivered", "in plain"),
    ("opportunistic", "garbage", None, "delivered", "in plain"),
    ("opportunistic", "reset", None, "delivered", "in plain"),
    ("required", "tls", "self", "delivered", "as the route requires"),
    ("required", "plain", None, "failed 5.7.4", "it offers none"),
    ("required", "refuse", None, "deferred 4.7.5", "cannot make one now"),
    ("required", "garbage", None, "deferred 4.7.5", "could not be made"),
    ("required", "reset", None, "deferred 4.7.5", "could not be made"),
    ("required", "hang", None, "deferred 4.7.5", "does not answer"),
    ("verified", "tls", "good", "delivered", "certificate verified"),
    ("verified", "tls", "self", "deferred 4.7.5", "certificate is not the right one"),
    ("verified", "tls", "name", "deferred 4.7.5", "[Hh]ostname mismatch"),
    ("verified", "tls", "expired", "deferred 4.7.5", "expired"),
    ("verified", "plain", None, "failed 5.7.4", "it offers none"),
    ("dane", "tls", "good", "deferred 4.7.5", "no TLSA records"),
    ("pin:right", "tls", "self", "delivered", "the key that the route names"),
    ("pin:wrong", "tls", "self", "deferred 4.7.5", "not the one that the route names"),
]


def certificate(what, host):
    if what is None:
        return None
    return {"good": lambda: pki.cert(host), "self": lambda: pki.cert(host, "otherca"),
            "name": lambda: pki.cert("another.test"), "expired": lambda: pki.cert(host, expired=True)}[what]()


def test_by_route():
    for i, (tls, kind, cert, want, words) in enumerate(ROUTES):
        domain, host = f"route{i}.test", "peer.test"
        path = certificate(cert, host)
        with Peer(path, kind) as peer:
            if tls == "pin:right":
                tls = "pin:" + pki.spki(path).hex()
            elif tls == "pin:wrong":
                tls = "pin:" + "0" * 64
            fife.ctl("route", "add", domain, f"smtp://{host}:{peer.port}", "tls=" + tls)
            rcpt = f"x@{domain}"
            try:
                expect(send(rcpt), rcpt, want, words)
            except AssertionError as e:
                raise AssertionError(f"row {i} {ROUTES[i]}: {e}") from e
            if want == "delivered":
                assert peer.messages[0][0] == words.startswith(("TLS", "cert", "as the", "the key")), peer.messages
            else:
                assert not peer.messages
            fife.ctl("route", "del", domain)


def test_schemes():
    with Peer(pki.cert("peer.test")) as peer:
        fife.ctl("route", "add", "strict.test", f"smtp+tls://peer.test:{peer.port}")
        expect(send("x@strict.test"), "x@strict.test", "delivered", "certificate verified")
        fife.ctl("route", "del", "strict.test")
    # TLS from the start.
    with Peer(pki.cert("peer.test"), "plain") as peer:
        peer.socket = peer.context.wrap_socket(peer.socket, server_side=True)
        fife.ctl("route", "add", "implicit.test", f"smtps://peer.test:{peer.port}")
        expect(send("x@implicit.test"), "x@implicit.test", "delivered", "certificate verified")
        fife.ctl("route", "del", "implicit.test")


# ---- by DANE ----

def tlsa(usage, selector, matching, data):
    return bytes((usage, selector, matching)) + data


DANE = [  # (TLSA records, signed zone, peer's kind, certificate, outcome, words)
    ("3 1 1", True, "tls", "self", "delivered", "verified by DANE"),
    ("3 1 1", True, "tls", "expired", "delivered", "verified by DANE"),
    ("3 1 1", True, "tls", "name", "delivered", "verified by DANE"),
    ("2 0 1", True, "tls", "self", "delivered", "verified by DANE"),
    ("2 0 1", True, "tls", "name", "deferred 4.7.5", "certificate is not the right one"),
    ("3 1 1 wrong", True, "tls", "good", "deferred 4.7.5", "certificate is not the right one"),
    ("3 1 1 wrong, 3 1 1", True, "tls", "self", "delivered", "verified by DANE"),
    ("3 1 1", True, "plain", None, "deferred 4.7.5", "DANE.*it offers none"),
    ("3 1 1", True, "refuse", None, "deferred 4.7.5", "DANE.*cannot make one now"),
    ("3 1 1", True, "reset", None, "deferred 4.7.5", "DANE.*could not be made"),
    ("1 1 1", True, "tls", "self", "delivered", "DANE records require, certificate not checked"),
    ("1 1 1", True, "plain", None, "deferred 4.7.5", "it offers none"),
    ("3 1 1 wrong", False, "tls", "self", "delivered", "not checked"),
    ("none", True, "plain", None, "delivered", "in plain"),
    ("bogus", True, "tls", "self", "deferred 4.7.5", "cannot be looked up safely"),
]


def dane_domain(i, records, signed, path, port):
    zone = ("s%d.signed.test" if signed else "u%d.unsigned.test") % i
    host = "mx." + zone
    dns.add(zone, "MX", "10 " + host).add(host, "A", "127.0.0.1")
    name = f"_{port}._tcp.{host}"
    for r in records.split(", "):
        key = pki.spki(path) if path else bytes(32)
        if r == "none":
            continue
        if r == "bogus":
            dns.add(name, "TLSA", tlsa(3, 1, 1, key)).spoil(name, "TLSA")
            continue
        usage, selector, matching = map(int, r.split()[:3])
        data = pki.ca_digest("otherca") if usage == 2 else key
        dns.add(name, "TLSA", tlsa(usage, selector, matching, bytes(32) if "wrong" in r else data))
    return zone, host


def test_by_dane():
    for i, (records, signed, kind, cert, want, words) in enumerate(DANE):
        zone = ("s%d.signed.test" if signed else "u%d.unsigned.test") % i
        host = "mx." + zone
        path = certificate(cert, host)
        if cert == "name" and records.startswith("2"):
            path = pki.cert("another.test", "otherca")
        with Peer(path, kind) as peer:
            # The port is fixed by the configuration: the peer is behind a forward of it.
            with Forward(peer.port):
                dane_domain(i, records, signed, path, FORWARD_PORT)
                rcpt = f"x@{zone}"
                try:
                    expect(send(rcpt), rcpt, want, words)
                except AssertionError as e:
                    raise AssertionError(f"row {i} {DANE[i]}: {e}") from e
                assert bool(peer.messages) == (want == "delivered")


FORWARD_PORT = None


class Forward:
    """Mail by MX goes to one port; whoever is meant to get it is behind that."""
    listener = None
    target = None

    def __init__(self, port):
        Forward.target = port

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        Forward.target = None

    @classmethod
    def start(cls):
        import socket
        cls.listener = socket.create_server(("127.0.0.1", 0))

        def pump(a, b):
            try:
                while data := a.recv(65536):
                    b.sendall(data)
            except OSError:
                pass
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def serve():
            while True:
                try:
                    c, _ = cls.listener.accept()
                except OSError:
                    return
                try:
                    o = socket.create_connection(("127.0.0.1", cls.target))
                except (OSError, TypeError):
                    c.close()
                    continue
                for pair in ((c, o), (o, c)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        return cls.listener.getsockname()[1]


# ---- by MTA-STS ----

STS = [  # (mode, policy's mx, peer's kind, certificate, outcome, words)
    ("enforce", "mx.@", "tls", "good", "delivered", "certificate verified.*MTA-STS"),
    ("enforce", "*.@", "tls", "good", "delivered", "certificate verified.*MTA-STS"),
    ("enforce", "other.@", "tls", "good", "deferred 4.7.5", "not one that the domain's MTA-STS"),
    ("enforce", "mx.@", "tls", "self", "deferred 4.7.5", "MTA-STS.*certificate is not the right one"),
    ("enforce", "mx.@", "tls", "expired", "deferred 4.7.5", "expired"),
    ("enforce", "mx.@", "plain", None, "deferred 4.7.5", "MTA-STS.*it offers none"),
    ("testing", "other.@", "plain", None, "delivered", "in plain"),
    ("none", "", "plain", None, "delivered", "in plain"),
]


def policy(mode, mx, age=86400):
    return f"version: STSv1\r\nmode: {mode}\r\n" + (f"mx: {mx}\r\n" if mx else "") + f"max_age: {age}\r\n"


def sts_domain(domain, ident="1"):
    dns.add(domain, "MX", f"10 mx.{domain}").add(f"mx.{domain}", "A", "127.0.0.1")
    dns.add(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={ident};").add(f"mta-sts.{domain}", "A", "127.0.0.1")


def test_by_mtasts():
    for i, (mode, mx, kind, cert, want, words) in enumerate(STS):
        domain = f"sts{i}.unsigned.test"
        sts_domain(domain)
        web.policies[domain] = policy(mode, mx.replace("@", domain))
        with Peer(certificate(cert, "mx." + domain), kind) as peer, Forward(peer.port):
            rcpt = f"x@{domain}"
            try:
                expect(send(rcpt), rcpt, want, words)
            except AssertionError as e:
                raise AssertionError(f"row {i} {STS[i]}: {e}") from e
        assert web.asked.count((f"mta-sts.{domain}", "/.well-known/mta-sts.txt")) == 1, web.asked


def test_mtasts_is_kept_and_refreshed():
    domain = "kept.unsigned.test"
    rcpt = f"x@{domain}"
    sts_domain(domain)
    web.policies[domain] = policy("enforce", "mx." + domain)
    with Peer(None, "plain") as peer, Forward(peer.port):
        expect(send(rcpt), rcpt, "deferred 4.7.5", "MTA-STS")
        # A kill of the process does not make it forget, nor does the record's absence.
        dns.clear(f"_mta-sts.{domain}")
        fife.ctl("resolver", "flush", "all")
        pid = fife.pids_of("policyd")[0]
        os.kill(pid, 9)
        wait_for(lambda: fife.pids_of("policyd") not in ([], [pid]), "another policyd")
        wait_for(lambda: "enforce" in fife.ctl("policy", "list", check=False)[1], "the policy after the restart")
        expect(send(rcpt), rcpt, "deferred 4.7.5", "MTA-STS")
        assert len([h for h, p in web.asked if h == "mta-sts." + domain]) == 1
        # Another id: fetched anew.
        web.policies[domain] = policy("none", "")
        dns.add(f"_mta-sts.{domain}", "TXT", "v=STSv1; id=2;")
        fife.ctl("resolver", "flush", "all")
        expect(send(rcpt), rcpt, "delivered", "in plain")


def test_mtasts_from_a_web_server_that_is_not_the_right_one():
    domain = "badweb.unsigned.test"
    sts_domain(domain)
    web.policies[domain] = policy("enforce", "mx." + domain)
    with Peer(None, "plain") as peer, Forward(peer.port):
        expect(send(f"x@{domain}"), f"x@{domain}", "delivered", "in plain")


# ---- of the sender ----

def requiretls_is_offered():
    with fife.smtp(587, ALICE) as s:
        s.ehlo()
        return s.has_extn("requiretls")


def test_tls_required_no():
    if not requiretls_is_offered():
        return "smtpd does not read TLS-Required"
    i = 900
    zone, host = dane_domain(i, "3 1 1 wrong", True, None, FORWARD_PORT)
    with Peer(pki.cert(host)) as peer, Forward(peer.port):
        expect(send(f"x@{zone}"), f"x@{zone}", "deferred 4.7.5")
        expect(send(f"y@{zone}", "TLS-Required: No"), f"y@{zone}", "delivered", "TLSv1")


def test_requiretls():
    # Each in a zone of its own: no connection is used again.
    for i, (offers, ca, want, words) in enumerate(((True, "ca", "delivered", "certificate verified"),
                                                   (False, "ca", "failed 5.7.30", "REQUIRETLS"),
                                                   (True, "otherca", "failed 5.7.10", "not the right one"))):
        zone, host = dane_domain(901 + i, "none", True, None, FORWARD_PORT)
        rcpt = f"x@{zone}"
        with Peer(pki.cert(host, ca), requiretls=offers) as peer, Forward(peer.port):
            expect(send(rcpt, params=["REQUIRETLS"]), rcpt, want, words)
            if want == "delivered":
                assert "REQUIRETLS" in peer.messages[0][1], peer.messages
    dns.add("plainmx.unsigned.test", "MX", "10 mx.plainmx.unsigned.test").add("mx.plainmx.unsigned.test", "A", "127.0.0.1")
    with Peer(pki.cert("mx.plainmx.unsigned.test"), requiretls=True) as peer, Forward(peer.port):
        expect(send("x@plainmx.unsigned.test", params=["REQUIRETLS"]), "x@plainmx.unsigned.test", "failed 5.7.10",
               "vouches")


# ---- each policy with each peer ----

# What becomes of a message: P in plain, T over TLS, D deferred 4.7.5, B bounced 5.7.4, R bounced 5.7.10.
PEERS = ("plain", "valid", "expired", "name", "self", "unknown", "daneok", "danebad", "stripped", "reset")
TABLE = {
    # plain: no TLS; stripped: it had TLS; name, self, unknown: certificates of another name, of itself, of an
    # unknown authority; daneok, danebad: with TLSA records that fit, or do not
    #                plain valid expired name self unknown daneok danebad stripped reset
    "none":          "P     P     P       P    P    P       P      P       P        P",
    "opportunistic": "P     T     T       T    T    T       T      D       P        P",
    "required":      "B     T     T       T    T    T       T      D       B        D",
    "verified":      "B     T     D       D    D    D       D      T       B        D",
    "dane":          "D     D     D       D    D    D       T      D       D        D",
    "sts":           "D     T     D       D    D    D       T      D       D        D",
    "pinned":        "B     T     D       D    D    D       D      D       B        D",
    "requiretls":    "R     T     R       R    R    R       T      R       R        R",
    "tls-optional":  "P     T     T       T    T    T       T      T       P        P",
}
OUTCOMES = {"P": "delivered", "T": "delivered", "D": "deferred 4.7.5", "B": "failed 5.7.4", "R": "failed 5.7.10"}


class MxPeer(Peer):
    """One at the port that MX hosts have, at an address of its own."""

    def __init__(self, address, cert, kind):
        self.at = (address, FORWARD_PORT)
        super().__init__(cert, kind, requiretls=True)

    def server_bind(self):
        self.server_address = self.at
        super().server_bind()


def table_peers():
    peers = {}
    for n, kind in enumerate(PEERS):
        host, address = f"mx-{kind}.tbl.signed.test", f"127.1.0.{n + 1}"
        dns.add(host, "A", address)
        cert = {"plain": lambda: None, "expired": lambda: pki.cert(host, expired=True), "self": lambda: pki.selfsigned(host),
                "name": lambda: pki.cert("another.test"), "unknown": lambda: pki.cert(host, "otherca"),
                "daneok": lambda: pki.cert(host, "otherca")}.get(kind, lambda: pki.cert(host))()
        if kind.startswith("dane"):
            dns.add(f"_{FORWARD_PORT}._tcp.{host}", "TLSA",
                    tlsa(3, 1, 1, pki.spki(cert) if kind == "daneok" else bytes(32)))
        peers[kind] = MxPeer(address, cert, kind if kind in ("plain", "reset") else "tls")
        peers[kind].cert = cert
    return peers


def test_every_policy_with_every_peer():
    want, sent = {}, {}
    with contextlib.ExitStack() as stack:
        peers = {k: stack.enter_context(p) for k, p in table_peers().items()}
        # It is known with TLS before that is taken away.
        dns.add("before.tbl.signed.test", "MX", "10 mx-stripped.tbl.signed.test")
        expect(send("x@before.tbl.signed.test"), "x@before.tbl.signed.test", "delivered", "TLSv1")
        peers["stripped"].kind = "plain"
        for policy_name, row in TABLE.items():
            for kind, outcome in zip(PEERS, row.split()):
                domain = f"{policy_name}-{kind}.tbl.signed.test"
                dns.add(domain, "MX", f"10 mx-{kind}.tbl.signed.test")
                want[f"x@{domain}"] = (outcome, kind)
                if policy_name == "sts":
                    web.policies[domain] = policy("enforce", f"mx-{kind}.tbl.signed.test")
                    pki.cert("mta-sts." + domain)  # one after another
                    dns.add("_mta-sts." + domain, "TXT", "v=STSv1; id=1;").add("mta-sts." + domain, "A", "127.0.0.1")
        for floor in ("none", "required", "verified", "dane", "pinned"):
            value = "pin:" + pki.spki(peers["valid"].cert).hex() if floor == "pinned" else floor
            for kind in PEERS:
                fife.ctl("route", "add", f"{floor}-{kind}.tbl.signed.test", "mx", "tls=" + value)
        s = fife.smtp(587, ALICE)
        s.ehlo()
        got = {}
        for policy_name in TABLE:
            row = [r for r in want if r.startswith(f"x@{policy_name}-")]
            for rcpt in row:
                header = "TLS-Required: No\r\n" if policy_name == "tls-optional" else ""
                s.docmd("MAIL", f"FROM:<{ALICE}>" + (" REQUIRETLS" if policy_name == "requiretls" else ""))
                code, words = s.docmd("RCPT", f"TO:<{rcpt}>")
                assert code == 250, (rcpt, code, words)
                code, words = s.data(f"From: <{ALICE}>\r\nSubject: {rcpt}\r\n{header}\r\nx\r\n")
                assert code == 250, (rcpt, code, words)
                sent[rcpt] = re.search(rb"(?:as|id)\s+(\w+)", words).group(1).decode()

            def results():
                found = re.findall(rf" (delivered|deferred|failed) qid=\w+ to=(x@{policy_name}-\S+) code=(\S+)",
                                   fife.ctl("log", "delivery", check=False)[1])
                got.update({r: event if event == "delivered" else f"{event} {code}" for event, r, code in found})
                return all(r in got for r in row)
            wait_for(results, f"the results of {policy_name}")
        s.quit()
        wrong = [f"{rcpt}: {got[rcpt]}, expected {OUTCOMES[o]}" for rcpt, (o, _) in want.items() if got[rcpt] != OUTCOMES[o]]
        for rcpt, (outcome, kind) in want.items():
            seen = [tls for tls, _, body in peers[kind].messages if f"Subject: {rcpt}\r\n".encode() in body]
            if seen != {"P": [False], "T": [True]}.get(outcome, []):
                wrong.append(f"{rcpt}: {outcome}, and the peer saw {seen}")
        assert not wrong, "\n".join(wrong)
        log = fife.ctl("log", "delivery", check=False)[1]
        for name in ("opportunistic", "tls-optional"):
            qid = sent[f"x@{name}-stripped.tbl.signed.test"]
            assert re.search(f"tls-downgrade qid={qid}", log), name
        fife.ctl("queue", "remove", *(sent[r] for r, (outcome, _) in want.items() if outcome == "D"))


# ---- memory ----

def test_downgrade():
    dns.add("down.unsigned.test", "MX", "10 mx.down.unsigned.test").add("mx.down.unsigned.test", "A", "127.0.0.1")
    with Peer(pki.cert("mx.down.unsigned.test")) as peer, Forward(peer.port):
        expect(send("x@down.unsigned.test"), "x@down.unsigned.test", "delivered", "TLSv1")
        peer.kind = "plain"
        wait_for(lambda: "QUIT" in peer.commands, "the end of the first connection")
        qid = send("y@down.unsigned.test")
        expect(qid, "y@down.unsigned.test", "delivered", "in plain")
        assert re.search(f"tls-downgrade qid={qid}", fife.ctl("log", "delivery", check=False)[1])
        path = os.path.join(fife.run, "fife.conf")
        before = open(path).read()
        open(path, "w").write(before.replace("tls-downgrade log", "tls-downgrade defer"))
        fife.ctl("reload")
        try:
            wait_for(lambda: peer.commands.count("QUIT") > 1, "the end of the second connection")
            expect(send("z@down.unsigned.test"), "z@down.unsigned.test", "deferred 4.7.5", "any more")
        finally:
            open(path, "w").write(before)
            fife.ctl("reload")


# ---- reports ----

def report_of(body):
    """The JSON of a report, and the mail that brought it."""
    mail = email.message_from_bytes(body)
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt", mail
    text, report = mail.get_payload()
    assert text.get_content_type() == "text/plain" and report.get_content_type() == "application/tlsrpt+gzip"
    return json.loads(gzip.decompress(report.get_payload(decode=True))), mail, report


def test_reports():
    # The peer of one domain has the wrong key: its mail waits, and the report comes all the same.
    zone, host = dane_domain(950, "3 1 1 wrong", True, None, FORWARD_PORT)
    sts = "rpt.unsigned.test"
    sts_domain(sts)
    web.policies[sts] = policy("testing", "mx." + sts)
    dns.add("web.unsigned.test", "A", "127.0.0.1")
    dns.add(f"_smtp._tls.{zone}", "TXT", f"v=TLSRPTv1; rua=mailto:tls@{zone}")
    dns.add(f"_smtp._tls.{sts}", "TXT", "v=TLSRPTv1;rua=https://web.unsigned.test/v1/tlsrpt")
    with Peer(pki.cert(host)) as peer:
        with Forward(peer.port):
            expect(send(f"x@{zone}"), f"x@{zone}", "deferred 4.7.5", "not the right one")
        rows = json.loads(fife.ctl("-j", "tlsrpt", "show", zone))
        assert [(r["policy"], r["result"], r["sessions"]) for r in rows] == [("tlsa", "validation-failure", 1)], rows
        # Counts outlive the process.
        with Peer(pki.cert("mx." + sts, "otherca")) as other, Forward(other.port):
            expect(send(f"x@{sts}"), f"x@{sts}", "delivered", "TLSv1.*not checked")
        with Peer(kind="plain") as other, Forward(other.port):
            # No connection is used again, since TLS-Required: No is another way.
            expect(send(f"y@{sts}", "TLS-Required: No"), f"y@{sts}", "delivered")
        wait_for(lambda: "certificate-not-trusted" in fife.ctl("tlsrpt", "show", sts, check=False)[1], "the count")
        wait_for(lambda: any(sts in open(f).read() for f in glob.glob(os.path.join(fife.run, "policy/.tls/2*"))),
                 "the counts on the disk")
        pid = fife.pids_of("policyd")[0]
        os.kill(pid, 9)
        wait_for(lambda: fife.pids_of("policyd") not in ([], [pid]), "another policyd")
        wait_for(lambda: "certificate-not-trusted" in fife.ctl("tlsrpt", "show", sts, check=False)[1], "the counts")
        with Forward(peer.port):
            sent = wait_for(lambda: "sent" in (out := fife.ctl("tlsrpt", "send", "--now", zone, check=False)[1]) and out,
                            "the report")
            assert zone in sent
            body = wait_for(lambda: [m for m in peer.messages if b"tlsrpt" in m[2]], "the report at the peer")[0][2]
    report, mail, part = report_of(body)
    fife_host = mail["TLS-Report-Submitter"]
    assert mail["TLS-Report-Domain"] == zone and mail["TLS-Required"] == "No", mail
    assert " ".join(mail["Subject"].split()) == \
        f"Report Domain: {zone} Submitter: {fife_host} Report-ID: <{report['report-id']}>", mail["Subject"]
    assert report["contact-info"].endswith("@" + fife_host), report
    assert part.get_filename().startswith(f"{fife_host}!{zone}!") and part.get_filename().endswith(".json.gz")
    day = report["date-range"]["start-datetime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", day), day
    one = report["policies"][0]
    assert one["policy"]["policy-type"] == "tlsa" and one["policy"]["policy-domain"] == host, one
    assert one["policy"]["policy-string"] == ["3 1 1 " + "00" * 32], one
    assert one["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}, one
    detail = one["failure-details"][0]
    assert (detail["result-type"], detail["failed-session-count"]) == ("validation-failure", 1), detail
    assert detail["receiving-mx-hostname"] == host and detail["receiving-ip"] == "127.0.0.1", detail
    assert detail["sending-mta-ip"] == "127.0.0.1" and detail["receiving-mx-helo"] == "peer.test", detail
    # The report itself is not counted, and what was reported is forgotten.
    assert fife.ctl("tlsrpt", "show", zone, check=False)[0] == 1
    # By HTTPS.
    assert "sent" in fife.ctl("tlsrpt", "send", "--now", sts)
    where, kind, packed = web.posted[-1]
    assert (where, kind) == ("web.unsigned.test/v1/tlsrpt", "application/tlsrpt+gzip"), where
    one = json.loads(gzip.decompress(packed))["policies"][0]
    assert one["policy"]["policy-type"] == "sts" and one["policy"]["mx-host"] == ["mx." + sts], one
    assert one["policy"]["policy-string"] == ["version: STSv1", "mode: testing", "mx: mx." + sts, "max_age: 86400"]
    assert [(d["result-type"], d["failed-session-count"]) for d in one["failure-details"]] == \
        [("certificate-not-trusted", 1)], one


def test_nobody_wants_a_report():
    dns.add("silent.unsigned.test", "MX", "10 mx.silent.unsigned.test").add("mx.silent.unsigned.test", "A", "127.0.0.1")
    with Peer(kind="plain") as peer, Forward(peer.port):
        expect(send("x@silent.unsigned.test"), "x@silent.unsigned.test", "delivered", "in plain")
    rows = json.loads(fife.ctl("-j", "tlsrpt", "show", "silent.unsigned.test"))
    assert [(r["policy"], r["result"]) for r in rows] == [("no-policy-found", "starttls-not-supported")], rows
    assert "not wanted" in fife.ctl("tlsrpt", "send", "--now", "silent.unsigned.test")
    assert fife.ctl("tlsrpt", "send", "silent.unsigned.test", check=False)[0] == 1
    # Switched off nothing is counted.
    path = os.path.join(fife.run, "fife.conf")
    before = open(path).read()
    open(path, "w").write(before.replace("tls-downgrade log", "tls-downgrade log\n\ttls-reports no"))
    fife.ctl("reload")
    try:
        dns.add("off.unsigned.test", "MX", "10 mx.silent.unsigned.test")
        with Peer(kind="plain") as peer, Forward(peer.port):
            expect(send("x@off.unsigned.test"), "x@off.unsigned.test", "delivered", "in plain")
        assert fife.ctl("tlsrpt", "show", "off.unsigned.test", check=False)[0] == 1
    finally:
        open(path, "w").write(before)
        fife.ctl("reload")


def edit(text, s):
    return text + f"""
resolver {{
	{dns.stub()}
	timeout 5s
	anchors "{dns.anchor_file}"
}}
delivery {{
	smtp-port {FORWARD_PORT}
	timeout-connect 5s
	timeout-command 3s
	ca-file "{pki.ca_file}"
	mta-sts-port {web.port}
	tls-downgrade log
}}
"""


if __name__ == "__main__":
    FORWARD_PORT = Forward.start()
    pki = Pki()
    with SignedZones({"signed.test": True, "unsigned.test": False}) as dns, Web() as web:
        dns.add("peer.test", "A", "127.0.0.1")
        with suite.Suite(conf_edit=edit) as fife:
            failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""A small SCRAM client (RFC 5802, RFC 7677) for the three protocols, with and without a
binding to the TLS connection. imaplib, smtplib and poplib have none."""
import base64
import ctypes
import hashlib
import hmac
import os
import socket
import ssl


class Refused(Exception):
    pass


class Scram:
    def __init__(self, mechanism, user, password, flag="n", binding=b""):
        self.hash = "sha256" if "256" in mechanism else "sha1"
        self.user, self.password = user.replace("=", "=3D").replace(",", "=2C"), password
        self.gs2, self.binding = flag + ",,", binding
        self.nonce = base64.b64encode(os.urandom(18)).decode()

    def mac(self, key, data):
        return hmac.new(key, data, self.hash).digest()

    def first(self):
        self.bare = f"n={self.user},r={self.nonce}"
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        self.challenge = challenge.decode()
        f = dict(x.split("=", 1) for x in self.challenge.split(","))
        if not f["r"].startswith(self.nonce) or f["r"] == self.nonce:
            raise AssertionError("not our nonce")
        self.salt, self.iterations = f["s"], int(f["i"])
        bare = "c=" + base64.b64encode(self.gs2.encode() + self.binding).decode() + ",r=" + f["r"]
        auth = f"{self.bare},{self.challenge},{bare}".encode()
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), base64.b64decode(self.salt), self.iterations)
        key = self.mac(salted, b"Client Key")
        stored = hashlib.new(self.hash, key).digest()
        proof = bytes(a ^ b for a, b in zip(key, self.mac(stored, auth)))
        self.server = self.mac(self.mac(salted, b"Server Key"), auth)
        return (bare + ",p=" + base64.b64encode(proof).decode()).encode()

    def check(self, last):
        if last != b"v=" + base64.b64encode(self.server):
            raise AssertionError(f"the server proves nothing: {last}")


def certificate_hash(sock):
    """tls-server-end-point (RFC 5929, 4), for a certificate signed with SHA-256."""
    return hashlib.sha256(sock.getpeercert(True)).digest()


def exporter(sock):
    """tls-exporter (RFC 9266) by the libssl that Python itself uses; None where that cannot be."""
    try:
        lib = ctypes.CDLL(None)
        lib = lib if hasattr(lib, "SSL_export_keying_material") else ctypes.CDLL("libssl.so.3")
        # The layout of a PySSLSocket: object head, the Python socket, then the SSL *.
        ssl_ptr = ctypes.cast(id(sock._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p),
                              ctypes.POINTER(ctypes.c_void_p))[0]
        out = ctypes.create_string_buffer(32)
        f = lib.SSL_export_keying_material
        f.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
                      ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        label = b"EXPORTER-Channel-Binding"
        return out.raw if f(ssl_ptr, out, 32, label, len(label), b"", 0, 1) == 1 else None
    except (OSError, AttributeError):
        return None


class Line:
    """One of the three protocols, up to the login."""

    def __init__(self, protocol, port, tls=True, certificate=None, patience=60):
        self.protocol = protocol
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=patience)
        if tls:
            ctx = ssl.create_default_context()
            ctx.check_hostname = False
            ctx.verify_mode = ssl.CERT_NONE
            if certificate:
                ctx.load_cert_chain(*certificate)
            self.sock = ctx.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.greeting = self.line()
        if protocol == "smtp":
            self.say("EHLO client.test")
            self.capabilities = self.lines()
        elif protocol == "imap":
            self.capabilities = self.greeting
        else:
            self.say("CAPA")
            self.capabilities = ""
            while not self.capabilities.endswith("\n."):
                self.capabilities += "\n" + self.line()

    def line(self):
        data = self.file.readline()
        if not data:
            raise Refused("closed")
        return data.decode().rstrip("\r\n")

    def lines(self):
        text = self.line()
        while text.rsplit("\n", 1)[-1][3:4] == "-":
            text += "\n" + self.line()
        return text

    def say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def authenticate(self, mechanism, initial=None):
        """Returns the challenge; Refused when there is none."""
        first = "" if initial is None else " " + (base64.b64encode(initial).decode() or "=")
        self.say({"smtp": "AUTH ", "imap": "a AUTHENTICATE ", "pop3": "AUTH "}[self.protocol] + mechanism + first)
        return self.answer()

    def answer(self):
        line = self.lines() if self.protocol == "smtp" else self.line()
        if line.startswith("+ ") or line.startswith("334 "):
            return base64.b64decode(line.split(" ", 1)[1])
        if line.startswith(("235 ", "a OK", "+OK")):
            return None
        raise Refused(line)

    def respond(self, data):
        self.say(base64.b64encode(data).decode())
        return self.answer()

    def scram(self, mechanism, user, password, flag="n", binding=b"", ir=True):
        s = Scram(mechanism, user, password, flag, binding)
        self.last = s
        if ir:
            challenge = self.authenticate(mechanism, s.first())
        else:
            if self.authenticate(mechanism) != b"":
                raise AssertionError("the client speaks first")
            challenge = self.respond(s.first())
        s.check(self.respond(s.final(challenge)))
        if self.respond(b"") is not None:
            raise AssertionError("a challenge behind the proof")

    def close(self):
        self.file.close()
        self.sock.close()

# SPDX-License-Identifier: ISC
"""A small authoritative name server for tests, on UDP and TCP of 127.0.0.1.

    with Zones() as dns:
        dns.add("remote.test", "MX", "10 mx.remote.test")
        dns.add("mx.remote.test", "A", "127.0.0.1")
        conf = dns.stub()          # a line for resolver { } of fife.conf

A name without any record is NXDOMAIN, unless something lies below it; another type is
NODATA. silent makes it deaf, refuse makes it answer SERVFAIL.
"""
import ipaddress
import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "TLSA": 52,
         "CAA": 257}


def wire_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode()
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def rdata(rrtype, value):
    if isinstance(value, bytes):
        return value
    if rrtype in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if rrtype in ("CNAME", "PTR", "NS"):
        return wire_name(value)
    if rrtype == "MX":
        pref, name = value.split()
        return struct.pack(">H", int(pref)) + wire_name(name)
    if rrtype == "SRV":
        *nums, name = value.split()
        return struct.pack(">HHH", *map(int, nums)) + wire_name(name)
    if rrtype == "TXT":
        raw = value.encode()
        parts = [raw[i:i + 255] for i in range(0, len(raw), 255)] or [b""]
        return b"".join(bytes([len(p)]) + p for p in parts)
    if rrtype == "SOA":
        return wire_name("ns." + value) + wire_name("root." + value) + struct.pack(">IIIII", 1, 60, 60, 60, 1)
    raise ValueError(rrtype)


class Zones:
    def __init__(self, ttl=5):
        self.records = {}
        self.ttl = ttl
        self.silent = False
        self.refuse = False
        self.asked = []
        zones = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                out = zones.answer(data, 1232)
                if out:
                    sock.sendto(out, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(head := self.rfile.read(2)) == 2:
                    out = zones.answer(self.rfile.read(struct.unpack(">H", head)[0]), 65535)
                    if not out:
                        return
                    self.wfile.write(struct.pack(">H", len(out)) + out)

        class UdpServer(socketserver.UDPServer):
            max_packet_size = 4096

        class TcpServer(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        # One port that is free for both.
        for _ in range(50):
            self.udp = UdpServer(("127.0.0.1", 0), Udp)
            self.port = self.udp.server_address[1]
            try:
                self.tcp = TcpServer(("127.0.0.1", self.port), Tcp)
                break
            except OSError:
                self.udp.server_close()
        else:
            raise OSError("no port for the name server")
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stub(self, zone="."):
        return f"stub {zone} at 127.0.0.1 port {self.port}"

    def add(self, name, rrtype, value):
        self.records.setdefault(name.lower().rstrip("."), []).append((rrtype, value))
        return self

    def clear(self, name):
        self.records.pop(name.lower().rstrip("."), None)
        return self

    def close(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- the protocol ----

    def find(self, name, qtype):
        """(answers, exists)"""
        answers = []
        for _ in range(10):
            here = self.records.get(name, [])
            answers += [(name, t, v) for t, v in here if TYPES[t] == qtype]
            cname = [v for t, v in here if t == "CNAME"]
            if not cname or qtype == TYPES["CNAME"]:
                exists = bool(here) or any(n.endswith("." + name) for n in self.records) or name == ""
                return answers, exists
            answers.append((name, "CNAME", cname[0]))
            name = cname[0].lower().rstrip(".")
        return answers, True

    def answer(self, query, room):
        if self.silent or len(query) < 17:
            return None
        ident, flags, questions, _, _, _ = struct.unpack(">HHHHHH", query[:12])
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode(errors="replace"))
            at += 1 + query[at]
        qtype, _ = struct.unpack(">HH", query[at + 1:at + 5])
        question = query[12:at + 5]
        name = ".".join(labels).lower()
        self.asked.append((name, qtype))
        if self.refuse:
            return struct.pack(">HHHHHH", ident, 0x8002 | flags & 0x0100, 1, 0, 0, 0) + question
        answers, exists = self.find(name, qtype)
        sections, n_answers, n_authority = b"", 0, 0
        for owner, rrtype, value in answers:
            data = rdata(rrtype, value)
            sections += wire_name(owner) + struct.pack(">HHIH", TYPES[rrtype], 1, self.ttl, len(data)) + data
            n_answers += 1
        rcode = 0 if exists else 3
        if not any(TYPES[t] == qtype for _, t, _ in answers):
            zone = ".".join(name.split(".")[-1:])
            data = rdata("SOA", zone)
            sections += wire_name(zone) + struct.pack(">HHIH", TYPES["SOA"], 1, 1, len(data)) + data
            n_authority = 1
        head = 0x8400 | flags & 0x0100 | rcode
        if 12 + len(question) + len(sections) > room:
            head, sections, n_answers, n_authority = head | 0x0200, b"", 0, 0
        return struct.pack(">HHHHHH", ident, head, 1, n_answers, n_authority, 0) + question + sections


if __name__ == "__main__":
    with Zones() as dns:
        dns.add("x.test", "A", "192.0.2.1")
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(2)
        s.sendto(struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + wire_name("x.test") + struct.pack(">HH", 1, 1),
                 ("127.0.0.1", dns.port))
        print("ok" if s.recv(2000).endswith(b"\xc0\0\2\1") else "not ok")

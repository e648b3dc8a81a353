# SPDX-License-Identifier: ISC
"""zones.py with DNSSEC: names below a signed zone are answered with signatures made on the fly
(ECDSAP256SHA256), and with NSEC records of compact denial where there is nothing.

    with SignedZones({"signed.test": True, "unsigned.test": False}) as dns:
        dns.add(...); dns.spoil(name, "A")     # its signature is wrong from now on
        dns.anchor_file                        # for anchors of resolver { }
"""
import atexit
import base64
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time

from zones import TYPES, Zones, rdata, wire_name

TYPES.update({"DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48})
ALGORITHM = 13


def der_to_raw(der):
    """An ECDSA signature as r and s of 32 octets."""
    at, out = 2, b""
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + n
    return out


class Key:
    def __init__(self, path):
        self.path = path
        self.flags = 257
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path],
                       check=True, stderr=subprocess.DEVNULL)
        self.public = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                                     stdout=subprocess.PIPE).stdout[-64:]

    @property
    def record(self):
        return struct.pack(">HBB", self.flags, 3, ALGORITHM) + self.public

    @property
    def tag(self):
        total = sum(b << 8 if i % 2 == 0 else b for i, b in enumerate(self.record))
        return (total + (total >> 16)) & 0xffff


class SignedZones(Zones):
    def __init__(self, zones, ttl=5):
        self.dir = tempfile.mkdtemp(prefix="fife-zones-")
        atexit.register(shutil.rmtree, self.dir, True)
        self.signed = [z for z, s in zones.items() if s]
        self.lock = threading.Lock()
        self.signatures = {}
        self.spoiled = set()
        self.key = self.new_key("zone.key")
        # What is published, and who signs the keys; the present key signs everything else.
        self.keys = [self.key]
        self.key_signers = [self.key]
        self.anchor_file = os.path.join(self.dir, "anchors")
        with open(self.anchor_file, "w") as f:
            f.write(self.anchors())
        super().__init__(ttl)

    def new_key(self, name):
        return Key(os.path.join(self.dir, name))

    def anchors(self):
        return "".join(f"{z}. 3600 IN DNSKEY 257 3 {ALGORITHM} {base64.b64encode(self.key.public).decode()}\n"
                       for z in self.signed)

    def spoil(self, name, rrtype):
        self.spoiled.add((name.lower(), rrtype))
        return self

    def zone_of(self, name):
        zones = [z for z in self.signed if name == z or name.endswith("." + z)]
        return max(zones, key=len) if zones else None

    def sign(self, owner, rrtype, ttl, datas, zone, key=None):
        """rdata of the RRSIG over a set of records."""
        key = key or self.key
        labels = len(owner.split("."))
        now = int(time.time())
        inception = now - now % 86400 - 86400
        head = struct.pack(">HBBIIIH", TYPES[rrtype], ALGORITHM, labels, ttl, inception + 30 * 86400, inception,
                           key.tag) + wire_name(zone)
        text = head + b"".join(wire_name(owner) + struct.pack(">HHIH", TYPES[rrtype], 1, ttl, len(d)) + d
                               for d in sorted(set(datas)))
        with self.lock:
            if text not in self.signatures:
                der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key.path], input=text, check=True,
                                     stdout=subprocess.PIPE).stdout
                self.signatures[text] = der_to_raw(der)
            signature = self.signatures[text]
        if (owner, rrtype) in self.spoiled:
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        return head + signature

    def bitmap(self, types):
        out, window = b"", {}
        for t in types:
            window.setdefault(t >> 8, bytearray(32))[(t & 255) >> 3] |= 0x80 >> (t & 7)
        for w in sorted(window):
            bits = bytes(window[w]).rstrip(b"\0")
            out += bytes([w, len(bits)]) + bits
        return out

    def answer(self, query, room):
        if self.silent or self.refuse or len(query) < 17:
            return super().answer(query, room)
        ident, flags, _, _, _, _ = struct.unpack(">HHHHHH", query[:12])
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode(errors="replace"))
            at += 1 + query[at]
        qtype, _ = struct.unpack(">HH", query[at + 1:at + 5])
        question, rest = query[12:at + 5], query[at + 5:]
        name = ".".join(labels).lower()
        zone = self.zone_of(name)
        edns = len(rest) >= 11 and rest[:3] == b"\0\0\x29"
        if zone is None or not edns:
            return super().answer(query, room)
        self.asked.append((name, qtype))
        if name == zone and qtype == TYPES["DNSKEY"]:
            answers = [(zone, "DNSKEY", k.record) for k in self.keys]
        elif name == zone and qtype == TYPES["SOA"]:
            answers = [(zone, "SOA", zone)]
        else:
            answers, _ = self.find(name, qtype)
        sections, counts = b"", [0, 0]
        sets = {}
        for owner, rrtype, value in answers:
            sets.setdefault((owner, rrtype), []).append(rdata(rrtype, value) if not isinstance(value, bytes) else value)
        end = answers[-1][2].lower().rstrip(".") if answers and answers[-1][1] == "CNAME" else name
        if not any(TYPES[t] == qtype for _, t, _ in answers) and self.zone_of(end):
            denied = self.zone_of(end)
            here = {TYPES[t] for t, _ in self.records.get(end, [])} | {TYPES["RRSIG"], TYPES["NSEC"]}
            if end == denied:
                here |= {TYPES["SOA"], TYPES["DNSKEY"]}
            sets[(end, "NSEC")] = [b"\1\0" + wire_name(end) + self.bitmap(here - {qtype})]
            sets[(denied, "SOA")] = [rdata("SOA", denied)]
        for (owner, rrtype), datas in sets.items():
            part = rrtype in ("NSEC", "SOA") and qtype not in (TYPES["SOA"], TYPES["NSEC"])
            signer = self.zone_of(owner)
            out = [(rrtype, d) for d in datas]
            if signer:
                for key in self.key_signers if rrtype == "DNSKEY" else [self.key]:
                    out.append(("RRSIG", self.sign(owner, rrtype, self.ttl, datas, signer, key)))
            for t, d in out:
                record = wire_name(owner) + struct.pack(">HHIH", TYPES[t], 1, self.ttl, len(d)) + d
                sections = sections + record
                counts[1 if part else 0] += 1
        opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
        head = 0x8400 | flags & 0x0100
        if 12 + len(question) + len(sections) + len(opt) > room:
            head, sections, counts = head | 0x0200, b"", [0, 0]
        return struct.pack(">HHHHHH", ident, head, 1, counts[0], counts[1], 1) + question + sections + opt

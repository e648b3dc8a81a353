# SPDX-License-Identifier: ISC
"""make bench-lookup: lookups through a channel of dnsd's beside the library (libunbound) alone, of a signed zone that
NSD serves on loopback: each name once, validated; then what is in the cache. Both ask the same names with as many at a
time, and share the two processors with NSD.

LOOKUP_NAMES (10000), LOOKUP_CACHED (500000), LOOKUP_ROUNDS (3)
"""
import os
import shutil
import subprocess

import bench
from bench import suite

NAMES = bench.number("LOOKUP_NAMES", 10000)
CACHED = bench.number("LOOKUP_CACHED", 500000)
ROUNDS = bench.number("LOOKUP_ROUNDS", 3)
ZONE = "signed.test"


class Nsd(bench.Nsd):
    """NSD with one signed zone; its key is in the file anchors."""

    def zones(self):
        with open(self.path(ZONE), "w") as f:
            f.write(f"$TTL 3600\n$ORIGIN {ZONE}.\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
            for i in range(NAMES):
                f.write(f"n{i} A 192.0.2.{i % 250 + 1}\n")
        run = {"cwd": self.dir, "check": True, "stdout": subprocess.PIPE, "text": True}
        key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", ZONE], **run).stdout.strip()
        subprocess.run(["ldns-signzone", ZONE, key], **run)
        shutil.copy(self.path(key + ".key"), self.path("anchors"))
        yield ZONE, ZONE + ".signed"


def main():
    where = bench.directory("lookup")
    empty = os.path.join(where, "empty")
    os.mkdir(empty)
    libs = ["-lunbound", *bench.LIBS]
    seen = {}
    try:
        load = bench.build(where, "dns_load", os.path.join(suite.BUILD, "libcommon.a"), *libs)
        with Nsd("nsd") as nsd:
            for _ in range(ROUNDS):
                for who, words in (("library", ["-l"]), ("dnsd", [])):
                    out = subprocess.run([load, *words, "-n", str(NAMES), "-c", str(CACHED), "-k", nsd.path("anchors"),
                                          os.path.join(suite.BUILD, "libexec/dnsd"), empty, ZONE, str(nsd.port)],
                                         stdout=subprocess.PIPE, text=True, check=True).stdout
                    for line in out.splitlines():
                        print(f"{who}: {line}", flush=True)
                        what = line.split()[0]
                        figures = bench.figures(line)
                        if figures["failed"] or figures["insecure"]:
                            print(f"{who}: not all of the {what} ones were answered and secure", flush=True)
                        seen.setdefault((who, what), []).append((figures["rate"], figures["cpu_us"]))
        rows = []
        for what in ("uncached", "cached"):
            alone, ours = ([bench.median([x[i] for x in seen[who, what]]) for i in (0, 1)]
                           for who in ("library", "dnsd"))
            rows.append((what + ", a second", alone[0], ours[0], f"{ours[0] / alone[0]:.2f}"))
            rows.append((what + ", CPU us each", alone[1], ours[1], ""))
        bench.table("lookups, signed zone", ("library", "dnsd", "ratio"), rows)
    finally:
        shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    main()

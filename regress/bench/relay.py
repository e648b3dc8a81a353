# SPDX-License-Identifier: ISC
"""make bench-relay: mail that passes through: in by SMTP from 50 clients, a message a connection, out to a sink on
loopback, 4 KB each, fife beside Debian's Postfix; then many destinations at once, each with an MX of its own in a
zone on loopback, half of them dead (nobody listens) or silent (a host that never greets).

fife relays for nobody without a login, so its way is one longer: an alias of a domain of its own leads out.

RELAY_MESSAGES of one measurement (10000), RELAY_ROUNDS (3), RELAY_DESTINATIONS, the dead ones among them (10000).
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import bench
from bench import suite

MESSAGES = bench.number("RELAY_MESSAGES", 10000)
ROUNDS = bench.number("RELAY_ROUNDS", 3)
DESTINATIONS = bench.number("RELAY_DESTINATIONS", 10000)
USERS = 100


def start_sink(where, host, port, n, seconds=300):
    return subprocess.Popen([os.path.join(where, "smtp_sink"), "-h", host, "-p", str(port), "-n", str(n), "-l",
                             str(seconds)], stdout=subprocess.PIPE, text=True)


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait()


def relay(where, name, root, port, sink_port, to):
    sink = start_sink(where, "127.0.0.1", sink_port, MESSAGES)
    try:
        before = bench.cpu_ms(root)
        bench.run_load(os.path.join(where, "smtp_load"), "-p", port, "-c", 50, "-n", MESSAGES, "-s", 4096, "-l", 300,
                       "-f", "sender@example.test", "-t", to, "-u", USERS)
        seen = bench.figures(sink.communicate()[0])
        cpu = (bench.cpu_ms(root) - before) / MESSAGES
    finally:
        end(sink)
    if seen.get("messages") != MESSAGES:
        print(f"relay: {seen.get('messages', 0):.0f} of {MESSAGES} came through {name}", flush=True)
    print(f"relay {name}: {seen.get('rate', 0):.0f}/s, {cpu:.2f} ms CPU a message, "
          f"{seen.get('connections', 0):.0f} connections out", flush=True)
    return seen.get("rate", 0), cpu


def through(where, fife):
    sink_port = bench.free_port()
    results = {"fife": [], "postfix": []}
    fife.ctl("route", "add", "sink.test", f"smtp://127.0.0.1:{sink_port}", "concurrency=20")
    fife.ctl("load", input="domain fwd.test\n" + "".join(
        f"alias x{i}@fwd.test x{i}@sink.test\n" for i in range(USERS)))

    def rounds(postfix):
        for _ in range(ROUNDS):
            if postfix:
                results["postfix"].append(relay(where, "postfix", postfix.root(), postfix.port, sink_port,
                                                "x%d@sink.test"))
            results["fife"].append(relay(where, "fife", fife.process.pid, fife.port(25), sink_port,
                                         "x%d@fwd.test"))
    if os.path.exists(bench.POSTFIX):
        with bench.Postfix(f"relayhost = [127.0.0.1]:{sink_port}") as postfix:
            rounds(postfix)
    else:
        rounds(None)
    rate = {k: bench.median([r for r, _ in v]) for k, v in results.items()}
    cpu = {k: bench.median([c for _, c in v]) for k, v in results.items()}
    bench.table("relay through, 4 KB, 50 clients", ("postfix", "fife", "ratio"), [
        ("messages/s", rate["postfix"], rate["fife"], bench.ratio(rate["fife"], rate["postfix"])),
        ("CPU ms a message", cpu["postfix"], cpu["fife"], bench.ratio(cpu["postfix"], cpu["fife"]))])


ZONE = """$TTL 600
@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A 127.0.0.1
mx A {address}
* MX 10 mx.{zone}.
"""
ADDRESSES = {"live": "127.0.0.2", "dead": "127.0.0.3", "silent": "127.0.0.4"}


class Nsd(bench.Nsd):
    """NSD with a zone for each kind of destination."""

    def zones(self):
        for kind, address in ADDRESSES.items():
            zone = kind + ".test"
            self.write(zone, ZONE.format(zone=zone, address=address))
            yield zone, zone

    def stubs(self):
        return "".join(f"\tstub {kind}.test at 127.0.0.1 port {self.port}\n" for kind in ADDRESSES)


class Silent:
    """A host that takes connections and never says a word: nobody calls accept(2)."""

    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.4", port))
        self.socket.listen(4096)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()


def spread(where, fife, sink_port, kinds):
    """A message to each of many destinations, all at once: they are taken while their domains are frozen. Seconds
    until the live ones are served; kinds: the first is live."""
    live = DESTINATIONS // 2
    fife.ctl("queue", "freeze", "add", "--to", "x@*", "--reason", "until all are there")
    loads = []
    try:
        for kind in kinds:
            n = live if kind == kinds[0] else live // (len(kinds) - 1)
            loads.append(subprocess.Popen(
                [os.path.join(where, "smtp_load"), "-p", str(fife.port(25)), "-c", "10", "-m", "0", "-n", str(n), "-s",
                 "1024", "-l", "300", "-f", "sender@example.test", "-t", kind + "%d@fwd.test", "-u", str(n)],
                stdout=subprocess.DEVNULL))
        for load in loads:
            load.wait()
    finally:
        for load in loads:
            end(load)
    frozen = live if len(kinds) == 1 else 2 * live
    suite.wait_for(lambda: stats(fife)["jobs"] == 0 and stats(fife)["ready"] == 0, "all are frozen", 120)
    sink = start_sink(where, "127.0.0.2", sink_port, live)
    try:
        rule = json.loads(fife.ctl("-j", "queue", "freeze", "list"))[0]["rule"]
        fife.ctl("queue", "freeze", "del", str(rule))
        seen = bench.figures(sink.communicate()[0])
    finally:
        end(sink)
    if seen.get("messages") != live:
        print(f"relay: {seen.get('messages', 0):.0f} of {live} came ({' '.join(kinds)})", flush=True)
    print(f"{' '.join(kinds)}: {frozen} at once, the live ones after {seen.get('seconds', 0):.2f} s", flush=True)
    return seen.get("seconds", 0)


def stats(fife):
    return {k: int(v) for k, v in re.findall(r"^([a-z-]+): (\d+)", fife.ctl("queue", "stats"), re.M)}


def destinations(where):
    sink_port = bench.free_port()

    def edit(text, s):
        return bench.no_antivirus(text, s) + f"""
resolver {{
	dnssec no
{nsd.stubs()}}}
delivery {{
	smtp-port {sink_port}
}}
"""
    live = DESTINATIONS // 2
    seconds = {}
    mixes = (("live",), ("live", "dead"), ("live", "silent"), ("live", "dead", "silent"))
    with Nsd("nsd") as nsd, Silent(sink_port), suite.Suite(conf_edit=edit) as fife:
        aliases = [f"alias {kind}{i}@fwd.test x@{kind[0]}{i}.{kind}.test\n" for kind in ADDRESSES for i in range(live)]
        fife.ctl("domain", "add", "fwd.test")
        for i in range(0, len(aliases), 1000):
            fife.ctl("load", input="".join(aliases[i:i + 1000]))
        for mix in mixes:
            fife.ctl("resolver", "flush", "all")  # names are new to each mix
            seconds[mix] = spread(where, fife, sink_port, mix)
            fife.ctl("queue", "remove", "--all")
            suite.wait_for(lambda: stats(fife)["jobs"] == 0, "the rest is removed", 120)
    alone = seconds[mixes[0]]
    bench.table(f"{DESTINATIONS} destinations, half of them live", ("seconds", "to alone"),
                [(" and ".join(m[1:]) or "alone", seconds[m], seconds[m] / alone) for m in mixes])


def main():
    only = sys.argv[1:]
    where = bench.directory("relay")
    try:
        bench.build(where, "smtp_load")
        bench.build(where, "smtp_sink")
        if not only or "through" in only:
            with suite.Suite(conf_edit=bench.no_antivirus) as fife:
                through(where, fife)
        if only and "destinations" not in only:
            return
        if os.path.exists("/usr/sbin/nsd"):
            destinations(where)
        else:
            print("destinations: not measured, since nsd is not there")
    finally:
        shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: ISC
"""dnsd against signed and broken zones, forwarders, stubs, dead servers, and old answers."""
import json
import os
import re
import sys
import time

import suite
from signedzones import SignedZones
from suite import wait_for
from zones import Zones

fife = None
dns = None
other = None
rolling = None


def lookup(name, *rrtype):
    return fife.ctl("resolver", "lookup", name, *rrtype, check=False)


def test_secure_insecure_bogus():
    dns.add("good.signed.test", "A", "192.0.2.1").add("alias.signed.test", "CNAME", "good.signed.test")
    dns.add("bad.signed.test", "A", "192.0.2.2").spoil("bad.signed.test", "A")
    dns.add("plain.unsigned.test", "A", "192.0.2.3")
    dns.add("out.signed.test", "CNAME", "plain.unsigned.test")
    for name, secure in (("good.signed.test", "yes"), ("alias.signed.test", "yes"), ("plain.unsigned.test", "no"),
                         ("out.signed.test", "no")):
        status, text = lookup(name)
        assert status == 0 and re.search(rf"\b{secure}\b", text.splitlines()[-1]), (name, status, text)
    status, text = lookup("bad.signed.test")
    assert status == 1 and "bogus" in text and "192.0.2.2" not in text, (status, text)
    wait_for(lambda: "dns-bogus" in fife.ctl("log", "host", check=False)[1], "the line about the bogus name")


def test_denials_are_proved():
    status, text = lookup("nothing.signed.test", "MX")
    assert status == 1 and "no such" in text, (status, text)
    dns.add("some.signed.test", "A", "192.0.2.1")
    status, text = lookup("some.signed.test", "TXT")
    assert status == 1 and "no such record" in text, (status, text)
    dns.spoil("none.signed.test", "NSEC")
    status, text = lookup("none.signed.test", "A")
    assert status == 1 and "bogus" in text, (status, text)


def test_mail_to_a_bogus_domain_waits():
    dns.add("bogusmx.signed.test", "MX", "10 mx.bogusmx.signed.test").spoil("bogusmx.signed.test", "MX")
    fife.send("alice@example.test", ["x@bogusmx.signed.test"],
              "From: alice@example.test\r\nSubject: bogus\r\n\r\nx\r\n", port=587, login="alice@example.test")

    def there():
        for line in fife.ctl("log", "delivery", check=False)[1].splitlines():
            if "deferred" in line and "x@bogusmx.signed.test" in line:
                return line
    assert "4.4.3" in wait_for(there, "the deferral")


def test_all_types():
    for rrtype, value, shown in (("A", "192.0.2.9", "192.0.2.9"), ("AAAA", "2001:db8::9", "2001:db8::9"),
                                 ("MX", "5 mx.x.test", "5 mx.x.test"), ("TXT", "hello", "hello"),
                                 ("SRV", "1 2 3 a.x.test", "1 2 3 a.x.test"), ("PTR", "p.x.test", "p.x.test"),
                                 ("TLSA", bytes((3, 1, 1)) + bytes(32), "3 1 1"),
                                 ("CAA", b"\0\5issueca.test", "issue")):
        dns.add("types.signed.test", rrtype, value)
        status, text = lookup("types.signed.test", rrtype)
        assert status == 0 and shown in text, (rrtype, status, text)
    dns.add("1.2.0.192.in-addr.arpa", "PTR", "host.unsigned.test")
    status, text = lookup("192.0.2.1")
    assert status == 0 and "host.unsigned.test" in text, (status, text)


def reconfigure(old, new):
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    assert old in text, old
    open(path, "w").write(text.replace(old, new))
    fife.ctl("reload")


def test_stub_beside_servers():
    # Everything is asked of one server, a zone of another.
    other.add("in.stub.test", "A", "192.0.2.77")
    before = dns.stub() + "\n"
    after = f"server 127.0.0.1 port {dns.port}\n\t{other.stub('stub.test')}\n"
    reconfigure(before, after)
    try:
        wait_for(lambda: "192.0.2.77" in lookup("in.stub.test")[1], "the name of the stub zone")
        dns.add("by.server.zone", "A", "192.0.2.78")
        status, text = lookup("by.server.zone")
        assert status == 0 and "192.0.2.78" in text, (status, text)
        assert not [n for n, t in dns.asked if n.endswith("stub.test")]
        said = wait_for(lambda: (t := fife.ctl("resolver", "servers")).count(" up ") == 3 and t, "all servers up")
        assert "stub.test" in said
    finally:
        reconfigure(after, before)


def test_dead_server_is_named():
    before = dns.stub() + "\n"
    after = f"server 127.0.0.1 port {dns.port}\n\tserver 127.0.0.1 port 1\n"
    reconfigure(before, after)
    try:
        # The probes are half a minute apart: both must fail.
        status = wait_for(lambda: "127.0.0.1 port 1 does not answer" in (t := fife.ctl("status")) and t,
                          "the dead server in status", 90)
        assert "dnsd" in status
        dns.add("still.server.zone", "A", "192.0.2.79")
        assert "192.0.2.79" in lookup("still.server.zone")[1]
    finally:
        reconfigure(after, before)


def test_old_answers():
    before = "timeout 5s\n"
    after = "timeout 5s\n\tserve-stale 1h\n"
    reconfigure(before, after)
    try:
        dns.ttl = 1
        dns.add("stale.unsigned.test", "A", "192.0.2.80")
        wait_for(lambda: "192.0.2.80" in lookup("stale.unsigned.test")[1], "the fresh answer")
        dns.silent = True
        until = time.monotonic() + 2
        wait_for(lambda: time.monotonic() > until, "the end of its time")
        status, text = lookup("stale.unsigned.test")
        assert status == 0 and "192.0.2.80" in text, (status, text)
    finally:
        dns.silent = False
        dns.ttl = 5
        reconfigure(after, before)


def test_many_at_once():
    import threading
    for i in range(200):
        dns.add(f"n{i}.many.unsigned.test", "A", "192.0.2.1")
    bad = []

    def ask(i):
        for k in range(i, 200, 8):
            status, text = lookup(f"n{k}.many.unsigned.test")
            if status != 0:
                bad.append((k, text))
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad


# ---- new keys (RFC 5011) ----

def anchor_states():
    return {r["key"]: r["state"] for r in json.loads(fife.ctl("-j", "resolver", "anchors"))
            if r["zone"] == "roll.test"}


def look(n=[0]):
    """An answer of the zone that is in no cache: (secure, text)."""
    n[0] += 1
    rolling.add(f"n{n[0]}.roll.test", "A", "192.0.2.1")
    status, text = lookup(f"n{n[0]}.roll.test")
    return status == 0 and re.search(r"\byes\b", text.splitlines()[-1]) is not None, text


def seen(tag, state):
    """The keys are fetched anew once their time is over, which is a second."""
    def there():
        secure, text = look()
        assert secure, text
        return anchor_states().get(tag) == state
    return wait_for(there, f"key {tag} {state}")


def test_new_keys_are_followed():
    old = rolling.key
    seen(old.tag, "valid")
    new = rolling.new_key("new.key")
    rolling.keys = [old, new]
    seen(new.tag, "pending")
    # Known, but not believed yet: it is not enough by itself.
    rolling.key_signers, rolling.key = [new], new
    wait_for(lambda: not look()[0], "the end of the old keys' time")
    rolling.key_signers, rolling.key = [old], old
    # The library remembers for a while what was bogus.
    fife.ctl("resolver", "flush")
    assert anchor_states()[new.tag] in ("pending", "valid")
    seen(new.tag, "valid")
    # The old one is revoked, which it says itself.
    tag = old.tag
    old.flags |= 128
    rolling.key_signers, rolling.key = [old, new], new
    wait_for(lambda: look()[0] and anchor_states().get(tag) != "valid" and "revoked" in anchor_states().values(),
             "the old key's end")
    rolling.keys, rolling.key_signers = [new], [new]
    pid = fife.pids_of("dnsd")[0]
    os.kill(pid, 9)
    wait_for(lambda: fife.pids_of("dnsd") not in ([], [pid]), "another dnsd")
    # The file of anchors has the old one only, and it is nothing any more.
    wait_for(lambda: look()[0], "a secure answer by the new key alone")
    assert anchor_states()[new.tag] == "valid"
    assert re.search(rf"dns-anchor zone=roll\.test key={new.tag} state=valid", fife.ctl("log", "host", check=False)[1])


def edit(text, s):
    with open(dns.anchor_file, "a") as f:
        f.write(rolling.anchors())
    return text + f"""
resolver {{
	{dns.stub()}
	timeout 5s
	anchors "{dns.anchor_file}"
	anchors-hold 2s
	{rolling.stub("roll.test")}
}}
delivery {{
	mta-sts no
}}
"""


if __name__ == "__main__":
    with SignedZones({"signed.test": True}) as dns, Zones() as other, \
            SignedZones({"roll.test": True}, ttl=1) as rolling, suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

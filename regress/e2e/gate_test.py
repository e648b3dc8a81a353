# SPDX-License-Identifier: ISC
"""The gate for strangers: rates, the wait before the greeting, lists in the DNS, checks of names,
greylisting, the tarpit. Clients come from several addresses of 127/8, which are not trusted here."""
import os
import re
import smtplib
import socket
import sys
import time

import suite
from suite import wait_for
from zones import Zones

fife = None
dns = None
ALICE = "alice@example.test"
generation = 0


def edit(text, s):
    global base
    base = text.replace("trust-loopback yes", "trust-loopback no") + f"""
smtpd-workers 3
resolver {{
	{dns.stub()}
	timeout 3s
}}
"""
    return base


def gate(text, trust=False, smtp=""):
    """Another gate { } comes into force. What is new in it is seen in the banner."""
    global generation
    generation += 1
    conf = base.replace("trust-loopback no", "trust-loopback yes") if trust else base
    if smtp.startswith("connections-per-address"):
        conf = re.sub(r"\n\s*connections-per-address .*", "", conf, count=1)
    conf = conf.replace("smtp {", f"smtp {{\n\tbanner gate-{generation}\n\t{smtp}\n", 1)
    with open(os.path.join(fife.run, "fife.conf"), "w") as f:
        f.write(conf + "gate {\n" + text + "\n}\n")
    fife.ctl("reload")

    def is_there():
        # By submission and from another network, so that no count is touched.
        with socket.create_connection(("127.0.0.1", fife.port(587)), source_address=("127.0.0.250", 0)) as c:
            return f"gate-{generation}".encode() in c.recv(1000)
    wait_for(is_there, "the new gate")


def client(last, helo="client.remote.test"):
    s = smtplib.SMTP("127.0.0.1", fife.port(25), local_hostname=helo, timeout=suite.PATIENCE,
                     source_address=(f"127.0.0.{last}", 0))
    s.ehlo()
    return s


def rcpt(last, sender="bob@remote.test", to=ALICE, helo="client.remote.test"):
    """The reply to RCPT as text."""
    s = client(last, helo)
    assert s.mail(sender)[0] == 250
    code, text = s.rcpt(to)
    s.quit()
    return f"{code} {text.decode()}"


def why(word, needle):
    return wait_for(lambda: [x for x in fife.ctl("why", word, check=False)[1].splitlines() if needle in x], f"{needle!r} by why {word}")


def list_entry(zone, last, answer="127.0.0.2", text=None):
    name = f"{last}.0.0.127.{zone}"
    dns.add(name, "A", answer)
    if text:
        dns.add(name, "TXT", text)


def test_off():
    gate("")
    assert rcpt(2).startswith("250 ")


def test_dnsbl():
    list_entry("bl.test", 2, text="see http://bl.test/2")
    list_entry("bl.test", 4, answer="127.0.0.9")
    list_entry("bl.test", 5, answer="192.0.2.1")
    list_entry("wl.test", 2)
    gate("dnsbl bl.test answer 127.0.0.2\n check own-name score 1")
    reply = rcpt(2, "listed@remote.test")
    assert reply.startswith("554 5.7.1 127.0.0.2 is refused: listed by bl.test, which says \"see http://bl.test/2\""), reply
    line = why("listed@remote.test", "listed by bl.test")[0]
    assert "554" in line and ALICE in line, line
    for other in (3, 4, 5):
        assert rcpt(other).startswith("250 "), other
    # Who runs this host can be told of the error.
    assert rcpt(2, to="postmaster@example.test").startswith("250 ")
    # A whitelist outweighs; so does a login.
    gate("dnsbl bl.test weight 5\n dnswl wl.test weight 1")
    assert rcpt(2).startswith("250 ")
    assert rcpt(4).startswith("554 ")
    s = smtplib.SMTP("127.0.0.1", fife.port(587), timeout=suite.PATIENCE, source_address=("127.0.0.4", 0))
    s.login(ALICE, fife.passwords[ALICE])
    assert s.mail(ALICE)[0] == 250 and s.rcpt(ALICE)[0] == 250
    s.quit()


def test_allowed():
    """An access list of the system is stronger than the gate, in both directions."""
    list_entry("bl.test", 8)
    gate("dnsbl bl.test\n greylist yes")
    assert rcpt(8, "allowed@remote.test").startswith("554 ")
    fife.ctl("access", "allow", "add", "127.0.0.8")
    assert rcpt(8, "allowed@remote.test").startswith("250 ")
    fife.ctl("access", "allow", "del", "127.0.0.8")
    fife.ctl("access", "allow", "add", "friend@remote.test")
    assert rcpt(8, "friend@remote.test").startswith("250 ")
    assert rcpt(8, "allowed@remote.test").startswith("554 ")


def test_personal():
    """A user's own list holds for that user alone: between the system's denials and what it allows."""
    bob = "bob@example.test"
    list_entry("bl.test", 12)
    list_entry("bl.test", 13)

    def own(kind, subject, verb="add", user=ALICE):
        fife.ctl("access", kind, verb, subject, "--user", user)
    gate("dnsbl bl.test\n greylist yes\n check no-name score 1\n junk-score 1\n refuse-score 5")
    own("allow", "friend@pal.test")
    own("deny", "pest.test")
    own("junk", "shop.test")
    own("allow", "127.0.0.13")
    try:
        assert "friend@pal.test" in fife.ctl("access", "list", "--user", ALICE)
        assert "pest.test" not in fife.ctl("access", "allow", "list", "--user", ALICE)
        assert fife.ctl("access", "deny", "list") == "" and fife.ctl("access", "list", "--user", bob) == ""
        assert f"personal {ALICE} deny pest.test" in fife.ctl("dump")
        assert fife.ctl("access", "junk", "add", "x.test", check=False)[0] == 2
        assert fife.ctl("access", "deny", "add", "x.test", "--user", "nobody@example.test", check=False)[0] == 1
        # Allowed for alice: neither the list in the DNS nor greylisting counts; bob's share is refused.
        s = client(12)
        s.mail("friend@pal.test")
        assert s.rcpt(ALICE)[0] == 250
        assert s.rcpt("alice+x@example.test")[0] == 250
        assert s.rcpt(bob)[0] == 554
        s.quit()
        assert rcpt(13, "any@body.test").startswith("250 ")
        assert rcpt(13, "any@body.test", to=bob).startswith("554 ")
        # Denied.
        reply = rcpt(14, "eve@sub.pest.test")
        assert reply == f"550 5.7.1 {ALICE} does not take mail from pest.test", reply
        line = why("eve@sub.pest.test", "does not take mail from")[0]
        assert "550" in line and ALICE in line, line
        assert rcpt(14, "eve@sub.pest.test", to=bob).startswith("451 ")
        assert rcpt(14, "eve@sub.pest.test", to="postmaster@example.test").startswith("250 ")
        # Even when the system allows; but what that denies nobody can allow.
        fife.ctl("access", "allow", "add", "pest.test")
        assert rcpt(14, "eve@pest.test").startswith("550 5.7.1 ")
        assert rcpt(14, "eve@pest.test", to=bob).startswith("250 ")
        fife.ctl("access", "deny", "add", "friend@pal.test")
        assert rcpt(12, "friend@pal.test").startswith("550 5.7.1 Mail from friend@pal.test")
        fife.ctl("access", "deny", "del", "friend@pal.test")
        # A local sender too.
        own("deny", ALICE, user=bob)
        s = fife.smtp(587, ALICE)
        s.mail(ALICE)
        code, text = s.rcpt(bob)
        assert (code, text) == (550, f"5.7.1 {bob} does not take mail from {ALICE}".encode()), (code, text)
        s.quit()
        own("deny", ALICE, "del", user=bob)
        # Into the junk folder of one only; and out of it for one only.
        gate("check no-name score 1\n junk-score 1\n refuse-score 5")
        s = client(14)
        s.sendmail("news@shop.test", [ALICE, bob], "Subject: offers\r\n\r\nx\r\n")
        s.quit()
        fife.wait_message("Subject: offers", folder="Junk")
        fife.wait_message("Subject: offers", user=bob)
        s = client(14, helo="odd")
        s.sendmail("friend@pal.test", [ALICE, bob], "Subject: odd\r\n\r\nx\r\n")
        s.quit()
        fife.wait_message("Subject: odd")
        fife.wait_message("Subject: odd", user=bob, folder="Junk")
        # A text of the directory has the lists.
        text = fife.ctl("dump")
        own("deny", "pest.test", "del")
        assert rcpt(14, "eve@pest.test").startswith("250 ")
        fife.ctl("load", input=text)
        assert rcpt(14, "eve@pest.test").startswith("550 ")
    finally:
        fife.ctl("access", "allow", "del", "pest.test", check=False)


def test_client_goes_while_the_dns_is_asked():
    gate("dnsbl slow.test\n dnsbl-timeout 3s")
    dns.silent = True
    try:
        before = fife.pids_of("smtpd")
        for last in range(90, 100):
            with socket.create_connection(("127.0.0.1", fife.port(25)), source_address=(f"127.0.0.{last}", 0)) as c:
                c.sendall(f"EHLO x.test\r\nMAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\n".encode())
                c.recv(1000)
        time.sleep(3.5)
        assert fife.pids_of("smtpd") == before
    finally:
        dns.silent = False


def test_dns_fails_open():
    gate("dnsbl dead.test\n dnsbl-timeout 1s\n check no-reverse refuse")
    dns.silent = True
    try:
        start = time.monotonic()
        assert rcpt(1).startswith("250 ")
        assert time.monotonic() - start < 10
    finally:
        dns.silent = False
    dns.refuse = True
    gate("dnsbl dead2.test")
    try:
        assert rcpt(7).startswith("250 ")
    finally:
        dns.refuse = False


def test_checks():
    dns.add("81.0.0.127.in-addr.arpa", "PTR", "good.remote.test").add("good.remote.test", "A", "127.0.0.81")
    dns.add("82.0.0.127.in-addr.arpa", "PTR", "good.remote.test")
    gate("check own-name refuse\n check wrong-literal refuse\n check no-name score 3\n check no-reverse score 2\n"
         " check unconfirmed-reverse score 4\n"
         " refuse-score 5 junk-score 3")
    assert "554 5.7.1" in rcpt(81, helo="mail.example.test")
    assert "554 5.7.1" in rcpt(81, helo="[127.0.0.9]")
    assert rcpt(81, helo="[127.0.0.81]").startswith("250 ")
    assert rcpt(2).startswith("250 ")
    reply = rcpt(2, helo="localhost")
    assert reply.startswith("554 5.7.1 ") and "the DNS has no name for it" in reply, reply
    # Suspicious only: to the junk folder, with the reason.
    reply = rcpt(82, helo="localhost")
    assert reply.startswith("554 5.7.1 ") and "does not lead back to it" in reply, reply
    s = client(81, "localhost")
    s.sendmail("bob@remote.test", [ALICE], "Subject: half bad\r\n\r\nx\r\n")
    s.quit()
    text = fife.wait_message("Subject: half bad", folder="Junk").decode()
    assert "X-Fife-Gate: score=3;\r\n\tit greets without a full host name (3)\r\n" in text, text


def test_greylist():
    gate("greylist yes\n greylist-delay 2s\n greylist-hosts 2")
    start = time.monotonic()
    reply = rcpt(20, "grey@remote.test")
    assert reply.startswith("451 4.7.1 Not seen before, so greylisted: try again in 2 seconds"), reply
    assert rcpt(20, "grey@remote.test").startswith("451 ") or time.monotonic() - start > 1.9
    why("grey@remote.test", "greylisted")
    assert rcpt(20, "grey@remote.test", to="postmaster@example.test").startswith("250 ")
    assert rcpt(20, "grey@remote.test", to="nobody@example.test").startswith("550 5.1.1")
    wait_for(lambda: rcpt(20, "grey@remote.test").startswith("250 "), "the end of greylisting", 20)
    assert rcpt(21, "grey@remote.test").startswith("451 ")
    # The table outlives a restart.
    fife.stop()
    fife.start()
    assert rcpt(20, "grey@remote.test").startswith("250 ")
    assert rcpt(20, "grey2@other.test").startswith("451 ")
    wait_for(lambda: rcpt(20, "grey2@other.test").startswith("250 "), "the end of greylisting", 20)
    # Two have passed: now the host is good.
    assert rcpt(20, "never-seen@third.test").startswith("250 ")


def test_connection_rate():
    gate("connection-rate 3\n rate-period 1h")
    for _ in range(3):
        rcpt(30)
    with socket.create_connection(("127.0.0.1", fife.port(25)), source_address=("127.0.0.30", 0)) as c:
        said = c.makefile("rb").read()
    assert said.startswith(b"421 4.7.0 ") and b"too many connections from your network" in said, said
    why("127.0.0.30", "too many connections in a short time")
    rcpt(31)
    gate("connection-rate 3\n rate-period 1h\n ipv4-prefix 24")
    said = b""
    for last in (41, 42, 43, 44):
        with socket.create_connection(("127.0.0.1", fife.port(25)), source_address=(f"127.0.0.{last}", 0)) as c:
            said = c.recv(1000)
    assert said.startswith(b"421 "), said


def test_shared_by_all_workers():
    """Bounds hold for all processes of smtpd together; what one that dies had is given back."""
    def knock(last):
        c = socket.create_connection(("127.0.0.1", fife.port(25)), source_address=(f"127.0.0.{last}", 0))
        c.settimeout(suite.PATIENCE)
        said = c.recv(1000)
        if said.startswith(b"220 "):
            return c
        assert said.startswith(b"421 4.7.0 "), said
        c.close()
        return None
    gate("", smtp="connections-per-address 10")
    workers = fife.pids_of("smtpd")
    assert len(workers) == 3, workers
    mine = [c for c in (knock(35) for _ in range(30)) if c]
    assert len(mine) == 10, len(mine)
    # A connection that ends makes room for one.
    mine.pop().close()
    mine.append(wait_for(lambda: knock(35), "room after a close"))
    assert knock(35) is None
    for pid in workers[:2]:
        os.kill(pid, 9)
    wait_for(lambda: len(set(fife.pids_of("smtpd")) - set(workers)) == 2, "new workers")

    def is_dead(c):
        c.settimeout(0.01)
        try:
            return c.recv(100) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
    living = [c for c in mine if not is_dead(c)]

    def fill():
        """Until it is as full as before."""
        c = knock(35)
        if c:
            living.append(c)
        return len(living) == 10
    wait_for(fill, "the counts of the dead")
    assert knock(35) is None and knock(36) is not None
    for c in living:
        c.close()
    gate("", smtp="connections-per-network 7")
    wait_for(lambda: knock(35), "room after all have gone")
    mine = [c for c in (knock(200 + i) for i in range(15)) if c]
    assert 5 <= len(mine) <= 7, len(mine)
    for c in mine:
        c.close()


def test_offender_comes_again():
    """A new connection, perhaps to another process, does not make an offender a good one."""
    gate("tarpit 1s\n tarpit-errors 3\n rate-period 1h")
    slow = 0
    for i in range(8):
        s = client(75)
        s.mail("again@remote.test")
        assert s.rcpt(f"nobody{i}@example.test")[0] == 550
        start = time.monotonic()
        s.noop()
        slow += time.monotonic() - start > 0.9
        s.close()
    assert slow == 4, slow


def test_message_rate():
    gate("message-rate 2\n rate-period 1h")
    s = client(50)
    for i in range(2):
        s.sendmail("often@remote.test", [ALICE], f"Subject: rate {i}\r\n\r\nx\r\n")
    s.mail("often@remote.test")
    code, text = s.rcpt(ALICE)
    assert code == 450 and text.startswith(b"4.7.1 Too many messages"), (code, text)
    s.quit()
    why("often@remote.test", "Too many messages")
    assert rcpt(51).startswith("250 ")


def test_greet_wait():
    gate("greet-wait 2s")
    start = time.monotonic()
    assert rcpt(60).startswith("250 ")
    assert time.monotonic() - start >= 1.9
    with socket.create_connection(("127.0.0.1", fife.port(25)), source_address=("127.0.0.61", 0)) as c:
        c.sendall(b"EHLO hasty.test\r\n")
        start = time.monotonic()
        said = c.makefile("rb").read()
    assert said.startswith(b"554 5.5.1 ") and said.count(b"\r\n") == 1, said
    assert time.monotonic() - start < 1.5
    why("127.0.0.61", "talked before the greeting")


def test_tarpit():
    gate("tarpit 1s\n tarpit-errors 2\n refused-recipients-max 6")
    s = client(70)
    s.mail("pit@remote.test")
    times = []
    for i in range(5):
        start = time.monotonic()
        assert s.rcpt(f"nobody{i}@example.test")[0] == 550
        times.append(time.monotonic() - start)
    assert max(times[:3]) < 0.9 and min(times[3:]) > 0.9, times
    assert s.rcpt("nobody6@example.test")[0] == 550
    code, text = s.getreply()
    assert code == 421 and b"too many refused recipients" in text, (code, text)
    why("127.0.0.70", "too many refused recipients")
    s.close()


def test_trusted():
    gate("dnsbl bl.test\n greylist yes\n greet-wait 30s\n connection-rate 1\n tarpit 30s\n tarpit-errors 0", trust=True)
    start = time.monotonic()
    for _ in range(3):
        assert rcpt(2, "unseen@remote.test").startswith("250 ")
    assert time.monotonic() - start < 20


if __name__ == "__main__":
    with Zones() as dns, suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

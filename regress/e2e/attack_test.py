# SPDX-License-Identifier: ISC
"""What a client can do to hold on to resources: nothing of it may keep others out for long, cost memory
without a bound, or end a process."""
import re
import selectors
import socket
import struct
import sys
import time

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
MAIL = f"MAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<{ALICE}>\r\n".encode()
HELLO = b"EHLO client.test\r\n"


def edit(text, s):
    return (text.replace("trust-loopback yes", "trust-loopback yes\n\ttimeout-data 3s\n\tconnections-max 700")
            + "\nsmtpd-workers 2\n")


def talk(port=25):
    s = socket.create_connection(("127.0.0.1", fife.port(port)), timeout=suite.PATIENCE)
    return s


def until(s, pattern, data=b""):
    while not re.search(pattern, data):
        more = s.recv(65536)
        assert more, data[-500:]
        data += more
    return data


def rest(s):
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionError:
        return data


def sessions():
    out = fife.ctl("-j", "status")
    return sum(int(n) for n in re.findall(r'"sessions": *(\d+)', out))


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def everybody_lives():
    assert fife.pids_of("smtpd") == before, "smtpd was restarted"
    assert fife.send("x@elsewhere.test", [ALICE], "Subject: still there\r\n\r\nx\r\n") == {}


def test_note_the_processes():
    global before
    before = fife.pids_of("smtpd")
    assert len(before) == 2


def test_five_hundred_at_once():
    """Nobody is refused: all of them connect before any is served, and each has its message taken."""
    n = 500
    sel = selectors.DefaultSelector()
    steps = [HELLO, MAIL, b"DATA\r\n", b"Subject: one of many\r\n\r\nx\r\n.\r\n", b"QUIT\r\n"]
    ends = [rb"^220 .*\r\n", rb"\r\n250 .*\r\n$|^250 .*\r\n$", rb"^250 .*\r\n250 .*\r\n", rb"^354 .*\r\n", rb"^250 .*\r\n", rb"^221 .*\r\n"]
    todo = {}
    for _ in range(n):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", fife.port(25)))
        sel.register(s, selectors.EVENT_READ)
        todo[s] = [0, b""]
    done = 0
    deadline = time.monotonic() + suite.PATIENCE
    while todo:
        assert time.monotonic() < deadline, f"{len(todo)} are left: {list(todo.values())[:3]}"
        for key, _ in sel.select(1):
            s = key.fileobj
            state = todo[s]
            data = s.recv(65536)
            assert data, f"closed in step {state}"
            state[1] += data
            if not re.search(ends[state[0]], state[1], re.S):
                assert state[1][:1] in b"23", state
                continue
            state[1] = b""
            if state[0] == len(steps):
                done += 1
                sel.unregister(s)
                s.close()
                del todo[s]
                continue
            s.sendall(steps[state[0]])
            state[0] += 1
    assert done == n
    everybody_lives()


def test_dripped_message():
    """An octet now and then is no progress for ever."""
    for start in (b"DATA\r\n", b"BDAT 100000\r\n"):
        s = talk()
        s.sendall(HELLO)
        until(s, rb"250 SMTPUTF8\r\n|250 .*\r\n$")
        s.sendall(MAIL + start)
        until(s, rb"2\.1\.5.*\r\n(354.*\r\n)?")
        begin = time.monotonic()
        s.settimeout(0.2)
        said = b""
        while time.monotonic() - begin < suite.PATIENCE:
            try:
                s.sendall(b"x")
                more = s.recv(1000)
                said += more
                if not more or b"421" in said:
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert b"421 4.4.2" in said, said
        assert 2 < time.monotonic() - begin < 30
        s.close()
    everybody_lives()


def test_idle_commands():
    """NOOP and its like for ever."""
    for command in (b"NOOP\r\n", b"RSET\r\n", b"HELO x.test\r\n", b"VRFY x\r\n", HELLO):
        s = talk()
        s.sendall(HELLO)
        s.sendall(command * 400)
        said = rest(s)
        assert said.endswith(b"too many errors, closing connection\r\n"), (command, said[-300:])
        s.close()
    wait_for(lambda: "too many errors" in fife.ctl("why", "127.0.0.1", check=False)[1], "the reason by why")
    # Who sends mail in between may say a few more.
    s = fife.smtp()
    for i in range(4):
        for _ in range(60):
            assert s.noop()[0] == 250
        s.sendmail("x@elsewhere.test", [ALICE], f"Subject: between {i}\r\n\r\nx\r\n")
    s.quit()
    # Chunks of nothing.
    s = talk()
    s.sendall(HELLO + MAIL + b"BDAT 0\r\n" * 300)
    assert b"421 " in rest(s)
    s.close()
    everybody_lives()


def test_header_of_many_fields():
    s = talk()
    s.sendall(HELLO + MAIL + b"DATA\r\n")
    until(s, rb"354 ")
    s.sendall(b"a:\r\n" * 10001 + b"\r\nx\r\n.\r\n")
    assert b"552 5.3.4 Header" in until(s, rb"5\d\d \d.*\r\n")
    s.sendall(MAIL + b"DATA\r\n")
    until(s, rb"354 ")
    s.sendall(b"a:\r\n" * 9000 + b"Subject: nine thousand\r\n\r\nx\r\n.\r\n")
    until(s, rb"250 2\.0\.0 Ok: queued")
    s.close()
    fife.wait_message("Subject: nine thousand")


def test_unread_replies():
    """Commands without end, whose replies nobody reads: neither memory nor the others' time."""
    size = [rss(pid) for pid in before]
    crowd = []
    for _ in range(20):
        s = talk()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(0.05)
        try:
            s.sendall(HELLO + MAIL + b"RCPT TO:<postmaster@example.test>\r\n" * 50000)
        except (TimeoutError, ConnectionError):
            pass
        crowd.append(s)
    begin = time.monotonic()
    everybody_lives()
    assert time.monotonic() - begin < 20
    grown = sum(rss(pid) for pid in before) - sum(size)
    assert grown < (120 if suite.SAN else 30) * 1024, f"{grown} KB for 20 clients"
    for s in crowd:
        s.close()


def test_long_recipients():
    """As many octets of recipients as one likes are not kept."""
    s = talk()
    s.sendall(HELLO)
    until(s, rb"250 .*\r\n$")
    s.sendall(b"MAIL FROM:<x@elsewhere.test>\r\n")
    until(s, rb"2\.1\.0.*\r\n")
    got = b""
    sent = 0
    for i in range(900):
        detail = "x" * 50 + str(i)
        s.sendall(f"RCPT TO:<alice+{detail}@example.test> ORCPT=rfc822;{'y' * 400}@z.test\r\n".encode())
        sent += 1
        while got.count(b"\r\n") < sent:
            more = s.recv(65536)
            assert more, got[-200:]
            got += more
        if b"452 4.5.3" in got:
            break
    assert b"452 4.5.3" in got and 100 < sent < 500, (sent, got[-200:])
    s.close()


def test_reset_in_every_state():
    states = [b"", HELLO[:7], HELLO, HELLO + MAIL[:9], HELLO + b"MAIL FROM:<x@e.test>\r\n", HELLO + MAIL, HELLO + MAIL + b"DATA\r\n",
              HELLO + MAIL + b"DATA\r\nSubject: cut", HELLO + MAIL + b"DATA\r\nSubject: cut\r\n\r\nx\r\n.\r\n", HELLO + MAIL + b"BDAT 1000\r\nabc",
              HELLO + MAIL + b"BDAT 3\r\nabc", HELLO + MAIL + b"BDAT 3 LAST\r\nabc", HELLO + b"STARTTLS\r\n",
              HELLO + b"STARTTLS\r\n\x16\x03\x01\x02\x00\x01", HELLO + b"AUTH PLAIN\r\n", HELLO + b"AUTH SCRAM-SHA-256\r\n",
              HELLO + MAIL + b"RSET\r\n" + MAIL, HELLO + MAIL + b"DATA\r\n" + b"y" * 200000]
    for port in (25, 587, 465):
        for state in states:
            for how in ("reset", "half", "close"):
                s = talk(port)
                try:
                    s.sendall(state)
                    if how == "reset":
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    elif how == "half":
                        s.shutdown(socket.SHUT_WR)
                        s.settimeout(20)
                        rest(s)
                except OSError:
                    pass
                s.close()
    everybody_lives()
    wait_for(lambda: sessions() == 0, "the end of all sessions")


def test_crowded():
    """While most connections are taken, those who say nothing do not stay: others come in again."""
    crowd = []
    try:
        for _ in range(690):
            crowd.append(talk())
        for s in crowd[:20] + crowd[-20:]:
            until(s, rb"220 ")
        # The last of them were told to hurry: 10 seconds, not 5 minutes.
        begin = time.monotonic()
        said = rest(crowd[-1])
        assert b"421 4.4.2" in said and time.monotonic() - begin < 40, said
        everybody_lives()
    finally:
        for s in crowd:
            s.close()
    wait_for(lambda: sessions() == 0, "the end of all sessions")


def test_starttls_injection():
    """What lies behind the command for TLS in the same segment is not taken as protected."""
    import ssl

    def switch(s, port):
        try:
            t = suite.no_verify().wrap_socket(s)
            t.settimeout(suite.PATIENCE)
            return t
        except (ssl.SSLError, ConnectionError, OSError):
            return None
    s = talk(110)
    until(s, rb"\+OK")
    s.sendall(b"STLS\r\nUSER alice@example.test\r\n")
    said = until(s, rb"\r\n")
    if said.startswith(b"+OK"):
        t = switch(s, 110)
        if t is not None:
            t.sendall(b"PASS " + fife.passwords[ALICE].encode() + b"\r\n")
            said = until(t, rb"\r\n")
            assert said.startswith(b"-ERR"), said
            t.close()
    s.close()
    s = talk(143)
    until(s, rb"\* OK")
    s.sendall(b"a STARTTLS\r\nb LOGIN alice@example.test " + fife.passwords[ALICE].encode() + b"\r\n")
    said = until(s, rb"\r\n")
    if b"a OK" in said:
        assert b"b OK" not in said, said
        t = switch(s, 143)
        if t is not None:
            t.sendall(b"c SELECT INBOX\r\n")
            said = until(t, rb"c (OK|NO|BAD)")
            assert b"c OK" not in said and b"b OK" not in said, said
            t.close()
    s.close()


def test_renegotiation_and_early_data():
    """TLS 1.2 renegotiates nothing; TLS 1.3 offers no early data, which could be replayed."""
    import subprocess
    base = ["openssl", "s_client", "-connect", f"127.0.0.1:{fife.port(465)}", "-crlf"]
    p = subprocess.run([*base, "-tls1_2"], input=b"EHLO x.test\nR\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=suite.PATIENCE)
    text = p.stdout.decode(errors="replace")
    assert "no renegotiation" in text or "RENEGOTIATING" not in text or "error" in text, text[-600:]
    p = subprocess.run([*base, "-tls1_3"], input=b"QUIT\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=suite.PATIENCE)
    assert "Max Early Data: 0" in p.stdout.decode(errors="replace") or "Early data was not sent" in p.stdout.decode(errors="replace")
    everybody_lives()


if __name__ == "__main__":
    with suite.Suite(conf_edit=edit) as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""URLs that authorise whoever has them: GENURLAUTH, RESETKEY, URLFETCH by the owner and by others, and BURL."""
import datetime
import os
import re
import smtplib
import sys
import urllib.parse

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
HEADER = b"From: <alice@example.test>\r\nSubject: by url\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
MESSAGE = HEADER + b"first line\r\n.dot\r\nlast\r\n"


def say(c, command):
    """(status, untagged lines and literals) of a command that imaplib has no name for."""
    c.send(b"x1 " + command.encode() + b"\r\n")
    out = []
    while True:
        line = c.readline()
        m = re.search(rb"\{(\d+)\}\r\n$", line)
        if m:
            out.append((line, c.read(int(m.group(1)))))
        elif line.startswith(b"x1 "):
            return line.split()[1].decode(), line.decode().rstrip(), out
        else:
            out.append(line)


def rump(uid, access, box="INBOX", owner=ALICE, more="", section=""):
    return (f"imap://{urllib.parse.quote(owner, safe='')}@{fife_host()}/{box}/;UID={uid}"
            f"{'/;SECTION=' + section if section else ''}{more};URLAUTH={access}")


def fife_host():
    return "mail.example.test"


def generate(c, *rumps):
    status, text, lines = say(c, "GENURLAUTH " + " ".join(f'"{r}" INTERNAL' for r in rumps))
    assert status == "OK", (text, lines)
    line = next(x for x in lines if x.startswith(b"* GENURLAUTH ")).decode()
    urls = re.findall(r'"([^"]*)"', line)
    for url, r in zip(urls, rumps):
        assert re.fullmatch(re.escape(r) + ":INTERNAL:01[0-9a-f]{64}", url), (url, r)
    assert len(urls) == len(rumps)
    return urls if len(urls) > 1 else urls[0]


def fetch(c, url):
    status, text, lines = say(c, f'URLFETCH "{url}"')
    assert status == "OK", text
    for line in lines:
        if isinstance(line, tuple) and line[0].startswith(b"* URLFETCH "):
            return line[1]
        if not isinstance(line, tuple) and line.startswith(b"* URLFETCH "):
            assert line.endswith(b" NIL\r\n"), line
            return None
    raise AssertionError(lines)


def put(c, text=MESSAGE, box="INBOX"):
    typ, answer = c.append(box, "", None, text)
    assert typ == "OK", answer
    return int(re.search(rb"APPENDUID \d+ (\d+)", answer[0]).group(1))


def test_own_urls():
    c = fife.imap(ALICE)
    assert b"URLAUTH" in c.capability()[1][0].split()
    uid = put(c)
    whole, body, mine, later, past = generate(
        c, rump(uid, "anonymous"), rump(uid, "authuser", section="TEXT"), rump(uid, f"user+{ALICE}"),
        rump(uid, "anonymous", more=";EXPIRE=" + stamp(3600)), rump(uid, "anonymous", more=";EXPIRE=" + stamp(-60)))
    assert fetch(c, whole) == MESSAGE and fetch(c, mine) == MESSAGE and fetch(c, later) == MESSAGE
    assert fetch(c, body) == MESSAGE[len(HEADER):]
    assert fetch(c, past) is None
    # Any change of it, and it opens nothing.
    for bad in (whole[:-1] + ("0" if whole[-1] != "0" else "1"), whole.replace(f"UID={uid}", f"UID={uid + 1}"),
                whole.replace("anonymous", "authuser"), whole.replace(fife_host(), "other.test"), whole + "00",
                whole.replace("INBOX", "Nowhere"), whole.replace(":INTERNAL:", ":XSAMPLE:"), later.replace(";EXPIRE=2", ";EXPIRE=3"),
                whole.split(":INTERNAL")[0], "imap://x/", "http://x@y/z;URLAUTH=anonymous:INTERNAL:" + "0" * 64):
        assert fetch(c, bad) is None, bad
    # To submit+ belongs one who submits.
    assert fetch(c, generate(c, rump(uid, "submit+alice"))) is None
    # Wrong arguments.
    for bad in (rump(uid, "anonymous", box="Nowhere"), rump(uid, "anonymous", owner=BOB), rump(uid, "nobody"), whole,
                f"imap://{ALICE}@h/INBOX;URLAUTH=anonymous", "/INBOX/;UID=1;URLAUTH=anonymous", rump(uid, "user+")):
        status, text, _ = say(c, f'GENURLAUTH "{bad}" INTERNAL')
        assert status == "BAD", (bad, text)
    assert say(c, f'GENURLAUTH "{rump(uid, "anonymous")}" XSAMPLE')[0] == "BAD"
    assert say(c, "GENURLAUTH")[0] == "BAD" and say(c, "URLFETCH")[0] == "BAD"
    # Many at once, some of which are nothing.
    status, _, lines = say(c, f'URLFETCH "{whole}" "{past}" "{body}"')
    assert status == "OK" and [isinstance(x, tuple) for x in lines if b"URLFETCH" in (x[0] if isinstance(x, tuple) else x)
                               ] == [True, False, True], lines
    c.logout()


def test_catenate():
    """CATENATE takes whole URLs too, if they authorise."""
    c = fife.imap(ALICE)
    uid = put(c)
    url = generate(c, rump(uid, "authuser", section="TEXT"))
    head = "Subject: catenated\r\n\r\n"
    for u, want in ((url, "OK"), (url[:-1] + ("0" if url[-1] != "0" else "1"), "NO")):
        status, text, _ = say(c, f'APPEND INBOX CATENATE (TEXT {{{len(head)}+}}\r\n{head} URL "{u}")')
        assert status == want and ("BADURL" in text) == (want == "NO"), text
    assert head.encode() + MESSAGE[len(HEADER):] in fife.messages(ALICE)
    c.logout()


def stamp(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_keys_are_revoked():
    c, d = fife.imap(ALICE), fife.imap(ALICE)
    c.create("One")
    c.create("Two")
    one, two = put(c, box="One"), put(c, box="Two")
    one, two = generate(c, rump(one, "anonymous", box="One"), rump(two, "anonymous", box="Two"))
    assert fetch(c, one) == fetch(c, two) == MESSAGE
    status, text, lines = say(d, "SELECT One")
    assert any(b"[URLMECH INTERNAL]" in x for x in lines), lines
    status, text, _ = say(c, "RESETKEY One")
    assert status == "OK" and "[URLMECH INTERNAL]" in text, text
    # Another session that has it selected is told.
    assert any(b"[URLMECH INTERNAL]" in x for x in say(d, "NOOP")[2])
    assert fetch(c, one) is None and fetch(c, two) == MESSAGE
    again = generate(c, one.split(":INTERNAL")[0])
    assert again != one and fetch(c, again) == MESSAGE
    assert say(c, "RESETKEY Nowhere")[0] == "NO" and say(c, "RESETKEY One XSAMPLE")[0] == "NO"
    assert say(c, "RESETKEY One INTERNAL")[0] == "OK" and fetch(c, again) is None
    assert say(c, "RESETKEY")[0] == "OK" and fetch(c, two) is None
    # A folder of the same name is another one.
    two = generate(c, two.split(":INTERNAL")[0])
    assert fetch(c, two) == MESSAGE
    c.delete("Two")
    c.create("Two")
    put(c, box="Two")
    assert fetch(c, two) is None
    c.logout()
    d.logout()


def test_keys_last():
    """Beyond the mailbox process and the whole suite; no other user reads them."""
    c = fife.imap(ALICE)
    uid = put(c)
    url = generate(c, rump(uid, "anonymous"))
    c.logout()
    path = os.path.join(fife.run, "mail/example.test/alice/fife-urlauth")
    st = os.stat(path)
    assert st.st_mode & 0o777 == 0o600 and st.st_uid == os.stat(os.path.dirname(path)).st_uid
    fife.stop()
    fife.start()
    c = fife.imap(ALICE)
    assert fetch(c, url) == MESSAGE
    c.logout()


def test_urls_of_others():
    a, b = fife.imap(ALICE), fife.imap(BOB)
    large = HEADER + b"0123456789abcdef\r\n" * 40000
    uid, big = put(a), put(a, large)
    anonymous, authuser, bobs, alices, large_url = generate(
        a, rump(uid, "anonymous"), rump(uid, "authuser", section="TEXT"), rump(uid, f"user+{BOB.replace('@', '%40')}"),
        rump(uid, f"user+{ALICE}"), rump(big, "authuser"))
    a.logout()
    assert fetch(b, anonymous) == MESSAGE and fetch(b, bobs) == MESSAGE
    assert fetch(b, authuser) == MESSAGE[len(HEADER):]
    assert fetch(b, large_url) == large
    assert fetch(b, alices) is None
    assert fetch(b, anonymous.replace("INTERNAL:01", "INTERNAL:02")) is None
    assert fetch(b, anonymous.replace("alice%40", "carol%40")) is None
    a = fife.imap(ALICE)
    a.select("INBOX")
    a.uid("STORE", str(uid), "+FLAGS", r"\Deleted")
    a.expunge()
    assert fetch(b, anonymous) is None
    a.logout()
    b.logout()


PARTS = (b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         b"--b\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n\r\n"
         b"--b\r\nContent-Type: image/png; name=secret.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAD/\r\n"
         b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\n?\r\n--b--\r\n")


def test_metadata_and_binary():
    """RFC 5524, of one's own mailbox and of another's."""
    a, b = fife.imap(ALICE), fife.imap(BOB)
    assert b"URLAUTH=BINARY" in a.capability()[1][0].split()
    uid, big = put(a, PARTS), put(a, HEADER.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
                                  + b"AAECAwQFBgcICQoLDA0ODw==\r\n")
    urls = [generate(a, rump(uid, "authuser", section=s)) for s in ("1", "2", "3", "9")]
    text = b'(BODYPARTSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "%s NIL NIL NIL NIL))'
    odd = b'(BODYPARTSTRUCTURE ("text" "plain" NIL NIL NIL "x-odd" 1 0 NIL NIL NIL NIL))'
    image = b'(BODYPARTSTRUCTURE ("image" "png" ("name" "secret.png") NIL NIL "binary" 3 NIL NIL NIL NIL))'
    for c in (a, b):
        for n, items, want in (
                (0, "BODY", b"(BODY {12}\r\naGVs\r\nbG8=\r\n)"), (0, "BINARY", b"(BINARY {5}\r\nhello)"),
                (0, "BODYPARTSTRUCTURE", text % b'base64" 12 2'),
                (0, "BINARY BODYPARTSTRUCTURE", text % b'7bit" 5 0' + b" (BINARY {5}\r\nhello)"),
                (1, "BODYPARTSTRUCTURE BINARY", image + b" (BINARY ~{3}\r\n\0\0\xff)"),
                (2, "BODYPARTSTRUCTURE BINARY", odd + b" (BINARY NIL)"), (2, "BINARY", b"(BINARY NIL)"),
                (3, "BODYPARTSTRUCTURE BODY", b"NIL")):
            status, _, lines = say(c, f'URLFETCH ("{urls[n]}" {items})')
            got = b"".join(b"".join(x) if isinstance(x, tuple) else x for x in lines)
            assert status == "OK" and got == f'* URLFETCH "{urls[n]}" '.encode() + want + b"\r\n", (c is b, items, got)
        for bad in ("BODY BINARY", "BINARY BINARY", "NOTHING"):
            assert say(c, f'URLFETCH ("{urls[0]}" {bad})')[0] == "BAD"
    # A part of what is decoded, of a message that has no parts.
    url = generate(a, rump(big, "authuser", section="1/;PARTIAL=4.3"))
    lines = say(b, f'URLFETCH ("{url}" BINARY) ("{url}")')[2]
    assert [x[1] for x in lines if isinstance(x, tuple)] == [b"\4\5\6", b"AwQ"], lines
    a.logout()
    b.logout()


# ---- BURL ----

def submit(user=ALICE, port=587):
    s = fife.smtp(port, user)
    s.ehlo()
    return s


def burl(s, url, last=True):
    return s.docmd(f"BURL {url}{' LAST' if last else ''}")


def begin(s, sender=ALICE, to=BOB):
    s.docmd(f"MAIL FROM:<{sender}>")
    assert s.docmd(f"RCPT TO:<{to}>")[0] == 250


def test_burl_is_announced_after_the_login():
    for port in (25, 587):
        s = fife.smtp(port)
        s.ehlo()
        assert "burl" not in s.esmtp_features
        assert s.docmd("BURL imap://a@b/c LAST")[0] == 530
        s.close()
    s = submit()
    assert s.esmtp_features["burl"].strip() == "imap"
    s.quit()


def test_burl():
    c = fife.imap(ALICE)
    uid = put(c)
    url, user, none, past = generate(c, rump(uid, f"submit+{ALICE}"), rump(uid, "user+alice"), rump(uid + 1000, "submit+alice"),
                                     rump(uid, "submit+alice", more=";EXPIRE=" + stamp(-60)))
    bobs = generate(c, rump(uid, f"submit+{BOB}"))
    s = submit()
    begin(s)
    assert burl(s, url) [0] == 250
    m = fife.wait_message("Subject: by url", BOB)
    assert m.endswith(b"first line\r\n.dot\r\nlast\r\n"), m
    # What fails fails the transaction, each with its code; the session goes on.
    for bad, code in ((none, (554, b"5.6.6")), (past, (554, b"5.7.0")), (bobs, (554, b"5.7.0")),
                      (url[:-1] + ("0" if url[-1] != "0" else "1"), (554, b"5.7.0")),
                      (url.replace("alice%40example.test@", "carol%40foreign.test@"), (554, b"5.7.8")),
                      (f"imap://{ALICE}@h/INBOX/;UID={uid}", (554, b"5.7.0"))):
        begin(s)
        reply = burl(s, bad)
        assert reply[0] == code[0] and reply[1].startswith(code[1]), (bad, reply)
        assert s.docmd("DATA")[0] == 503
    assert burl(s, url)[0] == 503 and s.docmd("BURL")[0] == 501 and s.docmd("BURL http://x/ LAST")[0] == 501
    begin(s)
    assert burl(s, user)[0] == 250  # alice's own login will do for it as well
    s.quit()
    # By another's login it opens nothing.
    s = submit(BOB)
    begin(s, BOB, ALICE)
    assert burl(s, url)[1].startswith(b"5.7.0")
    s.quit()
    c.logout()


def test_burl_and_bdat():
    """Forward without download: a header by BDAT, a part by BURL, an end by BDAT."""
    c = fife.imap(ALICE)
    uid = put(c, HEADER + b"the part\r\n" * 2000)
    url = generate(c, rump(uid, "submit+alice", section="TEXT"))
    s = submit()
    head = b"From: <alice@example.test>\r\nSubject: put together\r\n\r\n>>>\r\n"
    for pipelined in (False, True):
        words = [b"MAIL FROM:<%s> BODY=8BITMIME\r\n" % ALICE.encode(), b"RCPT TO:<%s>\r\n" % BOB.encode(),
                 b"BDAT %d\r\n" % len(head) + head, f"BURL {url}\r\n".encode(), f"BURL {url}\r\n".encode(),
                 b"BDAT 5 LAST\r\nend\r\n"]
        replies = []
        if pipelined:
            s.send(b"".join(words))
        for w in words:
            if not pipelined:
                s.send(w)
            replies.append(s.getreply())
        assert [r[0] for r in replies] == [250] * 6, replies
        assert replies[3][1].startswith(b"2.5.0"), replies
    whole = b">>>\r\n" + b"the part\r\n" * 4000 + b"end\r\n"
    wait_for(lambda: sum(m.endswith(whole) for m in fife.messages(BOB)) == 2, "both messages, whole")
    # RSET and a failure amid chunks leave nothing behind.
    begin(s)
    assert burl(s, url, last=False)[0] == 250 and s.docmd("DATA")[0] == 503 and s.docmd("RSET")[0] == 250
    s.send(b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\n" % (ALICE.encode(), BOB.encode()) +
           f"BURL {url}\r\nBURL {url}00\r\nBDAT 5 LAST\r\nend\r\nNOOP\r\n".encode())
    codes = [s.getreply()[0] for _ in range(6)]
    assert codes == [250, 250, 250, 554, 503, 250], codes
    s.quit()
    c.logout()
    assert len([m for m in fife.messages(BOB) if b"the part" in m]) == 2


def test_burl_size():
    c = fife.imap(ALICE)
    uid = put(c, HEADER + b"x" * 70 + b"\r\n")
    url = generate(c, rump(uid, "submit+alice"))
    large = generate(c, rump(put(c, HEADER + b"0123456789\r\n" * 200000), "submit+alice"))
    c.logout()
    fife.ctl("user", "set", ALICE, "message-size=1m")
    try:
        s = submit()
        begin(s)
        assert burl(s, large)[1].startswith(b"5.3.4")
        begin(s)
        assert burl(s, url)[0] == 250
        # Together too large.
        begin(s)
        s.send(b"BDAT 1048500\r\n" + b"Subject: x\r\n\r\n" + b"y" * (1048500 - 14))
        assert s.getreply()[0] == 250
        assert burl(s, url)[1].startswith(b"5.3.4")
        s.quit()
    finally:
        fife.ctl("user", "set", ALICE, "message-size=default")
    s = submit()
    begin(s)
    assert burl(s, large)[0] == 250  # beyond what is kept in memory
    s.quit()
    wait_for(lambda: any(len(m) > 2000000 for m in fife.messages(BOB)), "the large one")


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

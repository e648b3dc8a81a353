# SPDX-License-Identifier: ISC
"""Every line of "bounces that are explained" (MISSION.md, S34): its cause is made for real on
loopback; the reply or the bounce has the right code, the other host's own words, and one plain
sentence that says what the sender can do. All that leaves is sent first, so that they wait together."""
import email
import re
import socket
import sys
import threading

import suite
from suite import Sink, wait_for
from zones import Zones

fife = None
dns = None
sender = None  # a connection logged in to send
reader = None  # another that reads what comes back
seen = set()
found = {}
ALICE = "alice@example.test"
BOB = "bob@example.test"

# Domain, code of the bounce, what the other host says at which command, words of the sentence.
REFUSALS = (
    ("unknown", "5.1.1", "RCPT", "550 5.1.1 no mailbox called x", "check the spelling of the part before the @"),
    ("old", "5.1.1", "RCPT", "550 user unknown, without a code", "check the spelling of the part before the @"),
    ("moved", "5.1.6", "RCPT", "551 5.1.6 gone to y@elsewhere.test", "ask the person for the new address"),
    ("closed", "5.2.1", "RCPT", "550 5.2.1 this account is disabled", "reach the person by other means"),
    ("big", "5.3.4", "END", "552 5.3.4 ten octets are enough", "send it in parts or share the file by a link"),
    ("bigbox", "5.2.3", "END", "552 5.2.3 over the limit of this user", "too large for that mailbox"),
    ("full", "5.2.2", "RCPT", "552 5.2.2 the box is full to the brim", "The mailbox is full"),
    ("policy", "5.7.1", "RCPT", "550 5.7.1 relaying denied to you", "You are not allowed to send to that address"),
    ("listed", "5.7.1", "MAIL", "554 5.7.1 refused, blocked using zen.spamhaus.org; see their site",
     "block list (zen.spamhaus.org)"),
    ("greeting", "5.7.1", "CONNECT", "554 5.7.1 your address is in bl.spamcop.net", "block list (bl.spamcop.net)"),
    ("sender", "5.1.7", "MAIL", "553 5.1.7 that is no address of a sender", "Your own sender address"),
    ("senderdomain", "5.1.8", "MAIL", "550 5.1.8 example.test is not to be found", "The domain of your own sender address"),
    ("spf", "5.7.23", "MAIL", "550 5.7.23 SPF says fail", "sender policy (SPF)"),
    ("dmarc", "5.7.26", "END", "550 5.7.26 no pass by DMARC", "authentication that its domain demands"),
    ("reverse", "5.7.25", "CONNECT", "554 5.7.25 no PTR for you", "no proper name in reverse DNS"),
    ("content", "5.6.0", "END", "554 5.6.0 that content will not do", "could not take the form of the message"),
    ("afterdata", "5.3.0", "END", "554 5.3.0 something broke while storing", "given up by a mail system on its way"),
    ("crowd", "5.5.3", "RCPT", "550 5.5.3 too many in one go", "too many recipients"),
    ("loopthere", "5.4.6", "END", "554 5.4.6 too many hops", "went round in a circle"),
)
# The same for what lasts too long: 4.4.7 ends it, the code of each try is in the log and in the words.
TEMPORARY = (
    ("busy", "4.3.2", "CONNECT", "421 4.3.2 come back later", "The other system is busy"),
    ("fullnow", "4.2.2", "RCPT", "452 4.2.2 no room for a while", "The mailbox is full"),
    ("grey", "4.7.1", "RCPT", "451 4.7.1 greylisted", "could not be delivered for too long"),
    ("disk", "4.3.1", "END", "452 4.3.1 the disk is full", "has no space left"),
)


def edit(text, s):
    text = re.sub(r"queue \{[^}]*\}\n", "", text)
    text = text.replace("smtp {", "smtp {\n\tmessage-size-max 1m\n\thops-max 20\n", 1)
    return text + f"""
queue {{
	retry 1s
	expire 8s
	bounce-expire 8s
}}
resolver {{
	{dns.stub()}
	timeout 2s
}}
delivery {{
	timeout-connect 2s
	timeout-greeting 2s
	timeout-command 2s
}}
"""


def message(subject, to, size=0):
    return f"From: <{ALICE}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nHello.\r\n" + ("x" * 70 + "\r\n") * (size // 72)


def send(rcpt, *options, size=0):
    sender.sendmail(ALICE, [rcpt], message("to " + rcpt, rcpt, size), mail_options=list(options))


def bounces():
    """What came back until now, by its recipient: (fields of the recipient, plain text)."""
    reader.noop()
    _, data = reader.uid("fetch", f"{1 + max(seen, default=0)}:*", "(BODY.PEEK[])")
    for item in data:
        if not isinstance(item, tuple):
            continue
        uid = int(re.search(rb"UID (\d+)", item[0]).group(1))
        if uid in seen:
            continue
        seen.add(uid)
        m = email.message_from_bytes(item[1])
        if m.get_content_type() != "multipart/report":
            continue
        parts = m.get_payload()
        fields = parts[1].get_payload()[1]
        rcpt = fields["Final-Recipient"].split(";")[1].strip()
        found[rcpt] = (fields, re.sub(r"\s+", " ", parts[0].get_payload(decode=True).decode()))
    return found


def wait_bounces(rcpts):
    return wait_for(lambda: (lambda b: b if all(r in b for r in rcpts) else None)(bounces()),
                    "bounces of " + " ".join(rcpts))


def judge(found, rcpt, code, said, sentence):
    fields, text = found[rcpt]
    assert fields["Action"] == "failed" and fields["Status"].startswith(code), (rcpt, fields["Status"])
    diagnostic = re.sub(r"\s+", " ", fields["Diagnostic-Code"] or "")
    if said:
        assert diagnostic.startswith("smtp;") and said in diagnostic, (rcpt, diagnostic)
        assert said in text, (rcpt, text)
    assert rcpt in text and sentence in text, (rcpt, sentence, text)


def log_codes(rcpt):
    return re.findall(rf" to={re.escape(rcpt)} code=(\S+)", fife.ctl("log", "delivery", check=False)[1])


def test_refused_by_the_other_host():
    sinks = []
    try:
        for name, _, step, reply, _ in REFUSALS + TEMPORARY:
            sink = Sink(lambda verb, arg, step=step, reply=reply: reply if verb == step else None)
            sinks.append(sink)
            fife.ctl("route", "add", name + ".test", f"smtp://127.0.0.1:{sink.port}")
            send(f"x@{name}.test")
        found = wait_bounces([f"x@{row[0]}.test" for row in REFUSALS])
        for name, code, _, reply, sentence in REFUSALS:
            judge(found, f"x@{name}.test", code, reply, sentence)
        found = wait_bounces([f"x@{row[0]}.test" for row in TEMPORARY])
        for name, code, _, reply, sentence in TEMPORARY:
            judge(found, f"x@{name}.test", "4.4.7", reply, sentence)
            assert code in log_codes(f"x@{name}.test"), (name, log_codes(f"x@{name}.test"))
    finally:
        for sink in sinks:
            sink.__exit__()


def test_no_host_to_be_had():
    """Names that lead nowhere, hosts that do not answer or stop answering."""
    quiet = socket.create_server(("127.0.0.1", 0))
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    held = [socket.create_connection(deaf.getsockname())]
    # The queue of connections to this port is full now: another one is never answered.
    threading.Thread(target=lambda: held.append(quiet.accept()), daemon=True).start()
    more = socket.socket()
    more.setblocking(False)
    more.connect_ex(deaf.getsockname())
    held.append(more)
    try:
        dns.add("null.test", "MX", "0 .").add("nohost.test", "TXT", "no host")
        dns.add("ownname.test", "MX", "10 mail.example.test")
        fife.ctl("route", "add", "quiet.test", f"smtp://127.0.0.1:{quiet.getsockname()[1]}")
        fife.ctl("route", "add", "deaf.test", f"smtp://127.0.0.1:{deaf.getsockname()[1]}")
        fife.ctl("route", "add", "nobody.test", "smtp://127.0.0.9:9")
        rows = (("x@missing.gone", "5.1.2", "", "check the spelling of the part after the @"),
                ("x@null.test", "5.1.10", "", "takes no mail at all"),
                ("x@nohost.test", "5.4.4", "", "That domain has no mail server"),
                ("x@ownname.test", "5.4.6", "", "went round in a circle"),
                ("x@quiet.test", "4.4.7", "", "The connection to the other system broke off"),
                ("x@deaf.test", "4.4.7", "", "The other system did not answer"),
                ("x@nobody.test", "4.4.7", "", "The other system did not answer"))
        for row in rows:
            send(row[0])
        found = wait_bounces([row[0] for row in rows])
        for row in rows:
            judge(found, *row)
        assert "4.4.2" in log_codes("x@quiet.test"), log_codes("x@quiet.test")
        assert "4.4.1" in log_codes("x@deaf.test") + log_codes("x@nobody.test"), log_codes("x@deaf.test")
        assert "4.4.1" in log_codes("x@nobody.test"), log_codes("x@nobody.test")
    finally:
        for s in [quiet, deaf] + [h[0] if isinstance(h, tuple) else h for h in held]:
            s.close()


def test_tls_required_and_not_had():
    with Sink() as plain:
        fife.ctl("route", "add", "plain.test", f"smtp+tls://127.0.0.1:{plain.port}")
        send("x@plain.test")
        fife.ctl("route", "add", "mustbe.test", f"smtp://127.0.0.1:{plain.port}")
        send("x@mustbe.test", "REQUIRETLS")
        found = wait_bounces(["x@plain.test", "x@mustbe.test"])
        assert not plain.messages
    fields, text = found["x@plain.test"]
    codes = log_codes("x@plain.test") + [fields["Status"]]
    assert any(c.startswith(("5.7.4", "4.7.4", "4.7.5")) for c in codes), codes
    fields, text = found["x@mustbe.test"]
    assert fields["Status"].startswith(("5.7.30", "5.7.10")), fields["Status"]


def test_larger_than_the_other_host_says():
    """Known before DATA (RFC 1870): not a byte of it is sent."""
    with Sink(lambda verb, arg: "250-small.test\r\n250 SIZE 20000" if verb == "EHLO" else None) as small:
        fife.ctl("route", "add", "small.test", f"smtp://127.0.0.1:{small.port}")
        send("x@small.test", size=50000)
        judge(wait_bounces(["x@small.test"]), "x@small.test", "5.3.4", "", "send it in parts or share the file by a link")
        assert not any(c.startswith("DATA") for c in small.commands), small.commands


def test_full_mailbox_here():
    fife.ctl("user", "set", BOB, "quota=20k")
    try:
        s = fife.smtp(587, ALICE)

        def refused():
            try:
                s.sendmail(ALICE, [BOB], message("filling", BOB, 6000))
            except suite.smtplib.SMTPRecipientsRefused as e:
                return e.recipients[BOB]
        code, words = wait_for(refused, "a full mailbox")
        assert code in (452, 552) and re.match(rb"[45]\.2\.2 ", words), (code, words)
        s.quit()
    finally:
        fife.ctl("user", "set", BOB, "quota=default")


def test_refused_at_the_door():
    """What this host says itself; each also stands in `why`."""
    rows = (("eve@far.test", "nobody@example.test", "550 5.1.1"),
            ("eve@far.test", "x@elsewhere.test", "550 5.7.1"),
            ("eve@far.test", "two@@example.test", "501 5.1.3"))
    for sender, rcpt, want in rows:
        s = fife.smtp()
        s.ehlo("client.test")
        assert s.mail(sender)[0] == 250
        code, words = s.docmd("RCPT", f"TO:<{rcpt}>")
        assert f"{code} {words.decode()}".startswith(want), (rcpt, code, words)
        assert len(words.decode().split()) > 4, words
        s.quit()
    s = fife.smtp()
    s.ehlo("client.test")
    code, words = s.docmd("MAIL", "FROM:<not an address>")
    assert code in (501, 553) and words.startswith((b"5.1.7", b"5.5.4")), (code, words)
    code, words = s.docmd("MAIL", "FROM:<eve@far.test> SIZE=2000000")
    assert code == 552 and words.startswith(b"5.3.4"), (code, words)
    s.quit()
    s = fife.smtp(587, ALICE)
    s.mail("somebody.else@far.test")
    code, words = s.rcpt(BOB)
    assert code in (550, 553) and re.match(rb"5\.7\.1|5\.1\.7", words), (code, words)
    s.quit()
    s = fife.smtp()
    try:
        s.sendmail("eve@far.test", [ALICE], "Received: by x; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 25 + message("round", ALICE))
        raise AssertionError("a loop was taken")
    except suite.smtplib.SMTPDataError as e:
        assert e.smtp_code == 554 and e.smtp_error.startswith(b"5.4.6"), e
    wait_for(lambda: "5.1.1" in fife.ctl("why", "nobody@example.test", check=False)[1], "why of a refusal")


if __name__ == "__main__":
    with Zones() as dns, suite.Suite(conf_edit=edit) as fife:
        sender, reader = fife.smtp(587, ALICE), fife.imap()
        reader.select()
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

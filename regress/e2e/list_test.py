# SPDX-License-Identifier: ISC
"""Mailing lists: posts, moderation, joining and leaving by mail, one-click tokens, bounces by VERP,
loops, and hand-overs that are killed in the middle."""
import base64
import imaplib
import json
import os
import re
import signal
import sys
import time

import suite
from suite import Sink, wait_for

fife = None
sink = None
ALICE, BOB = "alice@example.test", "bob@example.test"
LIST, FAR = "talk@example.test", "far@far.test"
DEAD, CAROL = "dead@far.test", "carol@far.test"


def refuse(verb, arg):
    if verb == "RCPT" and "dead@" in arg:
        return "550 5.1.1 no such user"
    return None


def text(subject, sender=ALICE, to=LIST, more="", body="Hello.\r\n"):
    return f"From: Somebody <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n{more}\r\n{body}"


def at_sink(needle, rcpt=None):
    needle = needle.encode()
    return [m for m in sink.messages if needle in m[2] and (rcpt is None or m[1] == [rcpt])]


def arrived(needle, rcpt=None):
    return wait_for(lambda: at_sink(needle, rcpt), f"{needle!r} at the sink")[0]


def facts(*words):
    return json.loads(fife.ctl("-j", *words))


def row(list_address, member):
    for r in facts("list", "member", "list", list_address):
        if r["address"] == member:
            return r
    return None


def empty():
    wait_for(lambda: facts("queue", "stats")[0]["messages"] == 0, "an empty queue")


def field(message, name):
    message = message if isinstance(message, str) else message.decode()
    head = message.replace("\r\n", "\n").split("\n\n", 1)[0]
    found = re.findall(rf"^{name}:[ \t]*((?:.*\n)(?:[ \t].*\n)*)", head + "\n", re.M | re.I)
    return [" ".join(f.split()) for f in found]


def test_made_shown_and_dumped():
    fife.ctl("list", "add", LIST, "owner=" + BOB, "title=Talk of the town", "subject-tag=[talk]",
             "unsubscribe-uri=https://lists.example.test/u?t={token}")
    fife.ctl("list", "member", "add", LIST, ALICE, FAR)
    assert fife.ctl("list", "add", LIST, check=False)[0] == 1
    assert fife.ctl("list", "add", ALICE, check=False)[0] == 1
    assert fife.ctl("list", "add", "x@nowhere.test", check=False)[0] == 1
    assert fife.ctl("alias", "add", LIST, BOB, check=False)[0] == 1
    assert fife.ctl("list", "set", LIST, "post=nobody", check=False)[0] == 2
    shown = facts("list", "show", LIST)[0]
    assert shown["members"] == 2 and shown["owner"] == BOB and shown["title"] == "Talk of the town", shown
    dump = fife.ctl("dump")
    assert f"list {LIST} title=Talk%20of%20the%20town" in dump and f"list-member {LIST} {FAR} roles=m" in dump, dump
    fife.ctl("list", "del", LIST)
    assert fife.ctl("list", "show", LIST, check=False)[0] == 1
    fife.ctl("load", input="\n".join(line for line in dump.splitlines() if line.startswith("list")) + "\n")
    assert facts("list", "show", LIST)[0] == shown
    assert fife.ctl("dump") == dump


def test_post_by_a_member():
    """Header, reverse-path and one-click token of each member, in a mailbox and outside."""
    fife.send(ALICE, [LIST], text("one", more="Message-ID: <one@x>\r\nDelivered-To: old@x.test\r\n"), port=587, login=ALICE)
    far = arrived("[talk] one", FAR)
    own = fife.wait_message("[talk] one")
    for m in (far[2], own):
        assert field(m, "List-Id") == ['"Talk of the town" <talk.example.test>'], m
        assert field(m, "List-Post") == ["<mailto:talk@example.test>"], m
        assert field(m, "List-Owner") == ["<mailto:talk-owner@example.test>"]
        assert field(m, "List-Help") == ["<mailto:talk-request@example.test?subject=help>"]
        assert field(m, "List-Subscribe") == ["<mailto:talk-join@example.test>"]
        assert field(m, "List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
        assert field(m, "From") == [f"Somebody <{ALICE}>"], "a member of the list's own domain stays"
        assert field(m, "Message-ID") == ["<one@x>"]
        assert "old@x.test" not in m.decode()
    assert re.fullmatch(r"talk-bounces\+far=far\.test=[a-z2-7]{13}@example\.test", far[0]), far[0]
    assert re.match(r"<talk-bounces\+alice=example\.test=[a-z2-7]{13}@example\.test>", field(own, "Return-Path")[0])
    empty()


def test_one_click():
    fife.ctl("list", "member", "add", LIST, CAROL)
    fife.send(ALICE, [LIST], text("click"), port=587, login=ALICE)
    unsub = field(arrived("[talk] click", CAROL)[2], "List-Unsubscribe")[0]
    token = re.search(r"<https://lists\.example\.test/u\?t=([A-Za-z0-9_-]+)>", unsub).group(1)
    assert CAROL.encode() in base64.urlsafe_b64decode(token + "==")
    other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token + "==").replace(b"carol@", b"alice@")).decode()
    assert fife.ctl("list", "unsubscribe", "--token", other.rstrip("="), check=False)[0] == 1
    assert row(LIST, ALICE)
    fife.ctl("list", "unsubscribe", "--token", token)
    assert row(LIST, CAROL) is None
    fife.ctl("list", "unsubscribe", "--token", token)  # once more does no harm
    # The same by mail, as a program of the reader sends it.
    fife.ctl("list", "member", "add", LIST, CAROL)
    leave = re.search(r"<mailto:([^>]+)>", unsub).group(1).replace("%2B", "+").replace("%3D", "=")
    fife.send(CAROL, [leave], text("x", CAROL, leave))
    wait_for(lambda: row(LIST, CAROL) is None, "carol has left")
    assert arrived("is no member any more", CAROL)


def held():
    return facts("list", "held", LIST)


def test_stranger_is_held_then_approved():
    fife.send("stranger@strange.test", [LIST], text("from outside", "stranger@strange.test",
                                                    more="DKIM-Signature: v=1; d=strange.test; b=xyz\r\n"))
    one = wait_for(held, "a held post")[0]
    assert one["from"] == "stranger@strange.test" and one["subject"] == "from outside", one
    letter = fife.wait_message("A post to talk@example.test waits", user=BOB).decode()
    assert one["id"] in letter and "only its members" in letter and "Hello." in letter
    assert not at_sink("[talk] from outside")
    assert "holds" in fife.ctl("why", "stranger@strange.test")
    # fifectl approves.
    fife.ctl("list", "approve", one["id"])
    post = arrived("[talk] from outside", FAR)[2].decode()
    assert field(post, "From") == ['"Somebody via Talk of the town" <talk@example.test>'], post
    assert field(post, "Reply-To") == ["Somebody <stranger@strange.test>"], post
    assert not field(post, "DKIM-Signature")
    wait_for(lambda: not held(), "nothing held")
    assert fife.ctl("list", "approve", one["id"], check=False)[0] == 1
    # An owner approves by mail, and once more, which posts nothing.
    fife.send("stranger@strange.test", [LIST], text("second", "stranger@strange.test"))
    one = wait_for(held, "a held post")[0]
    to = re.search(r"talk-approve\+[a-z2-7]{16}@example\.test",
                   fife.wait_message("waits: second", user=BOB).decode()).group(0)
    assert one["id"] in to
    fife.send(BOB, [to], text("auto", BOB, to, "Auto-Submitted: auto-replied\r\n"), port=587, login=BOB)
    empty()
    assert held(), "a vacation message approves nothing"
    fife.send(BOB, [to], text("yes", BOB, to), port=587, login=BOB)
    arrived("[talk] second", FAR)
    fife.send(BOB, [to], text("yes", BOB, to), port=587, login=BOB)
    assert fife.wait_message("There is no such post", user=BOB)
    empty()
    assert len(at_sink("[talk] second", FAR)) == 1


def test_reject_and_discard():
    for subject in ("third", "fourth"):
        fife.send("stranger@strange.test", [LIST], text(subject, "stranger@strange.test"))
    posts = wait_for(lambda: len(held()) == 2 and held(), "two held posts")
    third = [p["id"] for p in posts if p["subject"] == "third"][0]
    fourth = [p["id"] for p in posts if p["subject"] == "fourth"][0]
    fife.ctl("list", "reject", third, "not", "here")
    assert b"not here" in arrived("Not posted to talk@example.test: third", "stranger@strange.test")[2]
    fife.ctl("list", "discard", fourth)
    wait_for(lambda: not held(), "nothing held")
    empty()
    assert not at_sink("[talk] third") and not at_sink("[talk] fourth")


def test_who_may_post():
    fife.ctl("list", "set", LIST, "others=reject")
    fife.send("stranger@strange.test", [LIST], text("fifth", "stranger@strange.test"))
    assert b"5.7.2" in arrived("only its members may post", "stranger@strange.test")[2]
    fife.ctl("list", "set", LIST, "post=listed")
    fife.ctl("list", "poster", "add", LIST, "news@strange.test")
    fife.send(ALICE, [LIST], text("sixth"), port=587, login=ALICE)
    assert fife.wait_message("only certain addresses may post")
    fife.send("news@strange.test", [LIST], text("seventh", "news@strange.test"))
    one = wait_for(held, "a poster whom nothing proves is held")[0]
    assert "no login" in one["why"], one
    fife.ctl("list", "approve", one["id"])
    assert field(arrived("[talk] seventh", FAR)[2], "List-Post") == ["NO (posting is restricted)"]
    fife.ctl("list", "set", LIST, "post=members", "others=hold", "max-size=2k")
    fife.send(ALICE, [LIST], text("large", body="0123456789abcde\r\n" * 200), port=587, login=ALICE)
    assert fife.wait_message("at most 2048 octets")
    fife.ctl("list", "set", LIST, "max-size=10m")
    empty()


def test_join_and_leave_by_mail():
    fife.send(CAROL, ["talk-join@example.test"], text("please", CAROL))
    ask = arrived("Confirm that you want to join", CAROL)
    assert ask[0] == "" and row(LIST, CAROL) is None
    to = field(ask[2], "Reply-To")[0].strip("<>")
    # Not by a program, nor for somebody else.
    fife.send("", [to], text("Out of office", CAROL, to, "Auto-Submitted: auto-replied\r\n"))
    fife.send(CAROL, [to.replace("carol", "mallory")], text("Re: Confirm", CAROL, to))
    assert arrived("is not valid, or too old", CAROL)
    assert row(LIST, CAROL) is None
    fife.send(CAROL, [to], text("Re: Confirm", CAROL, to))
    wait_for(lambda: row(LIST, CAROL), "carol has joined")
    assert arrived("This address is a member now", CAROL)
    # By words to LIST-request.
    fife.send(CAROL, ["talk-request@example.test"], text("", CAROL, body="\r\nunsubscribe\r\n-- \r\nCarol\r\n"))
    tag = re.search(rb"talk-confirm\+(\S+)@", arrived("Confirm that you want to leave", CAROL)[2]).group(1).decode()
    fife.send(CAROL, ["talk-request@example.test"], text("confirm " + tag, CAROL))
    wait_for(lambda: row(LIST, CAROL) is None, "carol has left")
    fife.send(CAROL, ["talk-request@example.test"], text("help", CAROL))
    assert arrived("About talk@example.test", CAROL)
    fife.ctl("list", "set", LIST, "join=closed")
    fife.send("dave@far.test", ["talk-join@example.test"], text("please", "dave@far.test"))
    assert arrived("enter its members themselves", "dave@far.test")
    fife.ctl("list", "set", LIST, "join=confirm")


def test_owner_address():
    fife.send(CAROL, ["talk-owner@example.test"], text("to the owner", CAROL))
    assert fife.wait_message("Subject: to the owner", user=BOB)


def test_bounces_suspend():
    """A host that refuses a member at once; and one that sends a report later."""
    fife.ctl("list", "set", LIST, "bounce-limit=1")
    fife.ctl("list", "member", "add", LIST, DEAD)
    fife.send(ALICE, [LIST], text("to the dead"), port=587, login=ALICE)
    r = wait_for(lambda: row(LIST, DEAD)["state"] == "suspended" and row(LIST, DEAD), "the dead is suspended")
    assert "5.1.1" in r["why"], r
    letter = fife.wait_message("Subject: dead@far.test of talk@example.test gets no more mail", user=BOB).decode()
    assert "5.1.1" in letter
    empty()
    assert not [m for m in fife.messages() if b"multipart/report" in m and b"to the dead" in m], "the author hears nothing"
    n = len([c for c in sink.commands if "dead@far.test" in c])
    fife.send(ALICE, [LIST], text("after death"), port=587, login=ALICE)
    back = arrived("[talk] after death", FAR)[0]
    empty()
    assert len([c for c in sink.commands if "dead@far.test" in c]) == n, "a suspended member gets nothing"
    assert [r["address"] for r in facts("list", "member", "list", LIST, "--suspended")] == [DEAD]
    fife.ctl("list", "resume", LIST, DEAD)
    assert row(LIST, DEAD)["state"] == "active"
    fife.ctl("list", "member", "del", LIST, DEAD)

    def report(to, action, status):
        fife.send("", [to], "From: <mailer@far.test>\r\nTo: <%s>\r\nSubject: failed\r\nMIME-Version: 1.0\r\n"
                  "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n"
                  "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.test\r\n\r\n"
                  "Final-Recipient: rfc822; far@far.test\r\nAction: %s\r\nStatus: %s\r\n\r\n--x--\r\n" % (to, action, status))
        empty()
    report(back, "delayed", "4.4.1")
    report(back.replace("far=", "alice="), "failed", "5.1.1")  # forged
    report("talk-bounces@example.test", "failed", "5.1.1")
    assert row(LIST, FAR)["score"] == 0 and row(LIST, ALICE)["score"] == 0
    report(back, "failed", "4.4.1")
    assert row(LIST, FAR)["state"] == "bouncing", row(LIST, FAR)
    report(back, "failed", "5.1.1 (no more)")
    assert row(LIST, FAR)["state"] == "suspended", row(LIST, FAR)
    fife.ctl("list", "resume", LIST, FAR)
    fife.ctl("list", "set", LIST, "bounce-limit=4")


def test_loops_and_automatic_answers():
    n = len(sink.messages)
    fife.send(ALICE, [LIST], text("again", more="List-Id: Talk <talk.example.test>\r\n"), port=587, login=ALICE)
    assert fife.wait_message("this list has sent the message before")
    fife.send("", [LIST], text("Undelivered", ALICE))
    fife.send(ALICE, [LIST], text("On leave", more="Auto-Submitted: auto-replied (vacation)\r\n"), port=587, login=ALICE)
    empty()
    assert len(sink.messages) == n and not held()


def test_from_alone_gives_no_right():
    """An owner, and a member of a domain of this host, are who they say only with a login."""
    fife.ctl("list", "set", LIST, "post=owners", "others=reject")
    for who, subject in ((BOB, "forged owner"), (ALICE, "forged member")):
        fife.send("spammer@strange.test", [LIST], text(subject, who))
        one = wait_for(held, f"{subject} is held")[0]
        assert one["from"] == who and "no login" in one["why"], one
        fife.ctl("list", "discard", one["id"])
        fife.ctl("list", "set", LIST, "post=members")
    # A login is believed about itself only.
    fife.send(ALICE, [LIST], text("forged by a user", BOB), port=587, login=ALICE)
    fife.ctl("list", "discard", wait_for(held, "it is held")[0]["id"])
    fife.ctl("list", "set", LIST, "post=owners")
    fife.send(BOB, [LIST], text("true owner", BOB), port=587, login=BOB)
    arrived("[talk] true owner", FAR)
    fife.ctl("list", "set", LIST, "post=members", "others=hold")
    empty()
    assert not at_sink("forged")


def test_nested_lists():
    """The upper list's posts are the lower one's too, whoever wrote them; a ring of lists ends."""
    fife.ctl("list", "add", "upper@example.test", "owner=" + BOB, "post=anyone")
    fife.ctl("list", "member", "add", "upper@example.test", LIST)
    fife.ctl("list", "member", "add", LIST, "upper@example.test")
    fife.send("stranger@strange.test", ["upper@example.test"], text("from above", "stranger@strange.test", "upper@example.test"))
    post = arrived("[talk] from above", FAR)[2]
    assert field(post, "X-BeenThere") == ["upper@example.test", LIST], post
    empty()
    assert len(at_sink("from above", FAR)) == 1 and not held()
    fife.ctl("list", "member", "del", LIST, "upper@example.test")
    # Nobody can say so but the upper list itself.
    fife.send("upper-bounces+talk=example.test=aaaaaaaaaaaaa@example.test", [LIST], text("forged", "stranger@strange.test"))
    one = wait_for(held, "it is held")[0]
    fife.ctl("list", "discard", one["id"])
    fife.ctl("list", "del", "upper@example.test")


def test_junk_is_held():
    fife.send("alice@example.test", [LIST], text("rule says junk"), port=587, login=ALICE)
    one = wait_for(held, "junk is held")[0]
    assert "junk" in one["why"], one
    fife.ctl("list", "discard", one["id"])


def test_large_post():
    """Of a size that has a file of its own in the queue."""
    body = "".join(f"line {i} of a long post to a list\r\n" for i in range(20000))
    fife.send(ALICE, [LIST], text("very long", body=body), port=587, login=ALICE)
    m = arrived("[talk] very long", FAR)[2].decode()
    assert m.replace("\r\n", "\n").split("\n\n", 1)[1].rstrip("\n") == body.replace("\r\n", "\n").rstrip("\n")
    empty()


def test_binary_post():
    """With NULs it goes back to its author, and holds up nobody."""
    post = text("binary", body="a\0b\r\n").encode()
    with fife.smtp(587, ALICE) as c:
        assert c.docmd("MAIL", f"FROM:<{ALICE}> BODY=BINARYMIME")[0] == 250
        assert c.docmd("RCPT", f"TO:<{LIST}>")[0] == 250
        c.send(b"BDAT %d LAST\r\n" % len(post) + post)
        assert c.getreply()[0] == 250
    assert fife.wait_message("lists take no binary messages")
    empty()


def waited(condition, what):
    """While daemons are killed: what was deferred is tried at once, who is away is waited for."""
    def there():
        fife.ctl("queue", "retry", "--all", check=False)
        try:
            return condition()
        except (AssertionError, OSError, imaplib.IMAP4.error):
            return None
    return wait_for(there, what, 2 * suite.PATIENCE)


def test_kill_at_the_hand_over():
    """listd, deliverd-local and queued are killed while posts and approvals go through them:
    each arrives once."""
    fife.ctl("list", "set", LIST, "post=members")
    names = ["listd", "deliverd-local", "queued", "authd"]
    subjects = [f"killed {i:03}" for i in range(40)]
    for i, s in enumerate(subjects):
        who = ALICE if i % 2 == 0 else "stranger@strange.test"
        while True:
            try:
                login = {"port": 587, "login": who} if who == ALICE else {}
                fife.send(who, [LIST], text(s, who), **login)
                break
            except Exception:
                time.sleep(0.05)
        if i % 5 == 4:
            for pid in fife.pids_of(names[i // 5 % len(names)]):
                os.kill(pid, signal.SIGKILL)
    waited(lambda: len(held()) == 20, "the strangers' posts are held")
    for i, h in enumerate(held()):
        while fife.ctl("list", "approve", h["id"], check=False)[0] == 75:
            time.sleep(0.05)
        if i % 5 == 4:
            for pid in fife.pids_of(names[i // 5 % len(names)]):
                os.kill(pid, signal.SIGKILL)
    for s in subjects:
        waited(lambda: at_sink(s, FAR), s)
    waited(lambda: facts("queue", "stats")[0]["messages"] == 0, "an empty queue")
    own = waited(fife.messages, "the mailbox of alice")
    for s in subjects:
        # A remote host may get a copy twice when queued dies before it knows; it is one post.
        assert len({re.search(rb"\(fife, list\)\r?\n?\s+id (\w+)", m[2]).group(1) for m in at_sink(s, FAR)}) == 1, s
        assert len([m for m in own if s.encode() in m and b"List-Id" in m]) == 1, s
    assert not held()


def test_many_members():
    fife.ctl("list", "add", "crowd@example.test", "owner=" + BOB, "post=anyone")
    crowd = [f"member{i}@crowd{i % 40}.test" for i in range(4000)]
    out = fife.ctl("list", "import", "crowd@example.test", input="# all of them\n" + "\n".join(crowd) + "\n")
    assert "4000 entered" in out, out
    assert fife.ctl("list", "import", "crowd@example.test", input="one@x.test\nnot an address\n", check=False)[0] == 1
    assert facts("list", "show", "crowd@example.test")[0]["members"] == 4000
    fife.send(ALICE, ["crowd@example.test"], text("to all of you", to="crowd@example.test"), port=587, login=ALICE)
    wait_for(lambda: len(at_sink("to all of you")) >= 4000, "all members have it", 3 * suite.PATIENCE)
    empty()
    got = [m for m in sink.messages if b"to all of you" in m[2]]
    assert sorted(m[1][0] for m in got) == sorted(crowd) and len({m[0] for m in got}) == 4000


def edit(conf, s):
    return conf + '\nfilter {\n\trule junky when header Subject matches "rule says junk" then junk\n}\n'


if __name__ == "__main__":
    with Sink(refuse) as sink, suite.Suite(edit) as fife:
        fife.ctl("route", "add", "*", f"smtp://127.0.0.1:{sink.port}")
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""Thunderbird as alice's mail program: what is done in it is found on the server, and the other way
round. One start serves all tests; each begins with an empty INBOX."""
import email
import email.header
import email.policy
import imaplib
import os
import re
import subprocess
import sys

import suite
import thunderbird
from suite import wait_for

fife = None
tb = None
ALICE, BOB = "alice@example.test", "bob@example.test"
TLS, STARTTLS, PASSWORD = 3, 2, 3
TREE = "Bäume/Fünf & Ж"
ATTACHED = ('MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n')
PARTS = ("--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         "Gr=FC=DFe\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--x--\r\n")


class Trusted(suite.Suite):
    """With a certificate by an authority of our own."""

    def start(self, wait=True):
        tls = os.path.join(self.run, "tls")
        if not os.path.isdir(tls):
            os.makedirs(tls)
            self.certify("/CN=our CA", self.dir + "/ca.key", self.dir + "/ca.pem")
            self.certify("/CN=localhost", tls + "/key.pem", tls + "/cert.pem", "-CA", self.dir + "/ca.pem", "-CAkey",
                         self.dir + "/ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
                         "-addext", "subjectAltName=DNS:localhost")
        return super().start(wait)

    def certify(self, subject, key, certificate, *more):
        p = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                            "30", "-subj", subject, "-keyout", key, "-out", certificate, *more],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert p.returncode == 0, p.stdout


def account():
    """Preferences as the set-up of an account leaves them."""
    def group(prefix, **values):
        return {f"{prefix}.{name}": value for name, value in values.items()}
    return {
        **group("mail", smtpservers="smtp1"), **group("mail.smtp", defaultserver="smtp1"),
        **group("mail.accountmanager", accounts="account1,account2", defaultaccount="account1", localfoldersserver="server2"),
        **group("mail.account.account1", server="server1", identities="id1"),
        **group("mail.account.account2", server="server2"),
        **group("mail.server.server1", type="imap", hostname="localhost", port=fife.port(993), socketType=TLS, userName=ALICE,
                name=ALICE, authMethod=PASSWORD, login_at_startup=False, check_new_mail=False, use_idle=True, valid=True),
        **group("mail.server.server2", type="none", hostname="Local Folders", userName="nobody", name="Local Folders"),
        **group("mail.identity.id1", useremail=ALICE, fullName="Alice Ünüsual", smtpServer="smtp1", valid=True,
                compose_html=False, fcc=True, fcc_folder=f"imap://{ALICE.replace('@', '%40')}@localhost/Sent",
                draft_folder=f"imap://{ALICE.replace('@', '%40')}@localhost/Drafts"),
        **group("mail.smtpserver.smtp1", hostname="localhost", port=fife.port(465), try_ssl=TLS, authMethod=PASSWORD,
                username=ALICE),
    }


# ---- the other side ----

class Server:
    """What the server has, asked without Thunderbird."""

    def __enter__(self):
        self.imap = fife.imap(ALICE)
        self.imap.enable("UTF8=ACCEPT")
        self.imap.utf8_enabled = False  # or append() would write "UTF8 (" into the message
        return self.imap

    def __exit__(self, *exc):
        self.imap.logout()


def subject_of(item):
    parsed = email.message_from_bytes(item, policy=email.policy.default)
    return parsed["subject"]


def held(folder):
    """Subject: flags; None if there is no such folder."""
    with Server() as c:
        typ, data = c.select(f'"{folder}"', readonly=True)
        if typ != "OK":
            return None
        found = {}
        for item in c.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if int(data[0]) else []:
            if isinstance(item, tuple):
                subject = subject_of(item[1])
                assert subject not in found, "twice: " + subject
                found[subject] = {x.decode() for x in imaplib.ParseFlags(item[0])} - {"\\Recent"}
        return found


def await_held(folder, wanted):
    seen = [None]

    def same():
        seen[0] = held(folder)
        return seen[0] == wanted
    try:
        wait_for(same, f"{wanted} in {folder}")
    except AssertionError as e:
        raise AssertionError(f"{e}; there is {seen[0]}\n{tb.talk()}") from None


def folders(command="list"):
    """Name: attributes."""
    with Server() as c:
        lines = [re.match(r'\((.*?)\) "/" (?:"(.*)"|(\S+))$', x.decode()) for x in getattr(c, command)()[1] if x]
        return {m[2] or m[3]: set(m[1].split()) - {"\\HasNoChildren", "\\HasChildren"} for m in lines}


def message(subject, body="body\r\n", more=""):
    return (f"From: Bob <{BOB}>\r\nTo: {ALICE}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n"
            f"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n{more}\r\n{body}").encode()


def arrive(**bodies):
    """INBOX has these messages only, and Thunderbird shows them."""
    with Server() as c:
        c.select("INBOX")
        c.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
        c.expunge()
        for subject, body in bodies.items():
            c.append("INBOX", None, None, message(subject, *body))
    tb.showsMessages("INBOX", list(bodies))


# ---- the tests ----

def test_folders_are_found():
    tb.open("INBOX")
    for folder in (TREE, "Sent", "Drafts", "Trash"):
        tb.awaitFolder(folder)
    found = tb.folders()
    assert found == {"INBOX": [], "Sent": ["SentMail"], "Drafts": ["Drafts"], "Trash": ["Trash"], "Bäume": [], TREE: []}, found
    # Made by Thunderbird, which does not say what it is for.
    assert folders()["Trash"] == {"\\Trash"}, folders()
    assert "Trash" in folders("lsub"), folders("lsub")
    tb.subscribe("Quiet")
    assert "Quiet" in folders("lsub"), folders("lsub")
    tb.showsMessages(TREE, ["old"])


def test_new_mail_is_read():
    arrive()
    tb.await_idle("INBOX")
    fife.send(BOB, [ALICE], message("one"))
    tb.awaitMessages("INBOX", ["one"])
    fife.send(BOB, [ALICE], message("two", PARTS, ATTACHED))
    tb.showsMessages("INBOX", ["one", "two"])
    shown = tb.read("INBOX", "two")
    assert shown == {"text": "Grüße", "attachments": [["plan.pdf", "application/pdf"]]}, shown
    await_held("INBOX", {"one": set(), "two": {"\\Seen"}})
    assert tb.read("INBOX", "one")["text"] == "body"
    await_held("INBOX", {"one": {"\\Seen"}, "two": {"\\Seen"}})


def test_flags_both_ways():
    arrive(one=(), two=())
    tb.mark("INBOX", "one", {"read": True, "flagged": True, "tags": "$label1 eigen"})
    await_held("INBOX", {"one": {"\\Seen", "\\Flagged", "$label1", "eigen"}, "two": set()})
    tb.await_idle("INBOX")
    with Server() as c:
        c.select("INBOX")
        c.store("1:2", "FLAGS.SILENT", "(\\Seen \\Answered $label4 $Forwarded)")
    for subject in ("one", "two"):
        tb.awaitFlags("INBOX", subject, {"read": True, "flagged": False, "answered": True, "forwarded": True,
                                         "keywords": ["$label4"]})
    tb.mark("INBOX", "one", {"read": False, "untag": "$label4"})
    await_held("INBOX", {"one": {"\\Answered", "$Forwarded"}, "two": {"\\Seen", "\\Answered", "$label4", "$Forwarded"}})


def test_messages_move():
    arrive(one=(), two=(), three=(), four=())
    tb.makeFolder("Moved")
    tb.mark("INBOX", "one", {"read": True, "tags": "$label2"})
    await_held("INBOX", {"one": {"\\Seen", "$label2"}, "two": set(), "three": set(), "four": set()})
    tb.transfer("INBOX", "one", "Moved", False)
    tb.transfer("INBOX", "two", "Moved", True)
    assert held("Moved") == {"one": {"\\Seen", "$label2"}, "two": set()}, held("Moved")
    tb.awaitFlags("Moved", "one", {"read": True, "keywords": ["$label2"]})
    tb.remove("INBOX", "three", False)
    await_held("Trash", {"three": set()})
    tb.remove("INBOX", "four", True)
    tb.compact("INBOX")
    await_held("INBOX", {"one": {"\\Seen", "$label2"}})
    # Another program takes one away.
    with Server() as c:
        c.select("Moved")
        c.store("2", "+FLAGS", "(\\Deleted)")
        c.expunge()
    tb.showsMessages("Moved", ["one"])
    tb.moveFolder("Moved", "Trash")
    assert held("Moved") is None and held("Trash/Moved") == {"one": {"\\Seen", "$label2"}}
    tb.showsMessages("Trash", ["three"])
    tb.emptyTrash()
    await_held("Trash", {})
    wait_for(lambda: held("Trash/Moved") is None, "an end of Trash/Moved")


def test_search_on_the_server():
    arrive(one=("a needle here\r\n",), two=(PARTS, ATTACHED),
           three=("Grüße und needle\r\n", "Content-Type: text/plain; charset=utf-8\r\n"))
    for terms, hits in (([["Body", "needle"]], ["one", "three"]), ([["Body", "grüße"]], ["three", "two"]),
                        ([["Body", "NEEDLE"], ["Body", "Grüße"]], ["three"]), ([["Subject", "two"], ["Sender", "Bob"]], ["two"]),
                        ([["Sender", "bob@"], ["Body", "haystack"]], [])):
        found = tb.search("INBOX", terms)
        assert found == hits, (terms, found, tb.talk())


def test_folders_change():
    tb.open("INBOX")
    tb.makeFolder("New")
    tb.makeFolder("New/Grün & Ж")
    with Server() as c:
        c.append('"New/Grün & Ж"', None, None, message("kept"))
    tb.renameFolder("New", "Newer")
    assert {"Newer", "Newer/Grün & Ж"} <= set(folders("lsub")) and "New" not in folders("lsub"), folders("lsub")
    assert "New" not in folders() and held("Newer/Grün & Ж") == {"kept": set()}
    tb.showsMessages("Newer/Grün & Ж", ["kept"])
    # by another program
    with Server() as c:
        c.create("Theirs")
        c.subscribe("Theirs")
        for name in ('"Newer/Grün & Ж"', "Newer"):
            c.delete(name)
            c.unsubscribe(name)
    tb.discover()
    tb.awaitFolder("Theirs")
    tb.awaitNoFolder("Newer")


def test_mail_is_sent():
    arrive(question=("What is it?\r\n",))
    tb.compose({"to": f'{BOB}, "Älice" <{ALICE}>', "subject": "Grüße vom Donnervogel", "body": "Hallo Böb,\n.\n日本\n",
                "shows": "日本"})
    tb.saveDraft()
    await_held("Drafts", {"Grüße vom Donnervogel": {"\\Draft"}})
    tb.send(fife.port(465), TLS)
    text = fife.wait_message("Donnervogel", BOB)
    parsed = email.message_from_bytes(text, policy=email.policy.default)
    assert parsed["subject"] == "Grüße vom Donnervogel", text
    assert parsed["from"].addresses[0].display_name == "Alice Ünüsual", text
    assert parsed.get_content().splitlines() == ["Hallo Böb,", ".", "日本"], text
    await_held("Drafts", {})
    await_held("Sent", {"Grüße vom Donnervogel": {"\\Seen"}})
    tb.showsMessages("INBOX", ["question", "Grüße vom Donnervogel"])
    tb.compose({"answering": ["INBOX", "question"], "shows": "What is it?"})
    tb.send(fife.port(587), STARTTLS)
    tb.awaitFlags("INBOX", "question", {"answered": True})
    wait_for(lambda: "\\Answered" in held("INBOX")["question"], "the question answered")
    await_held("Sent", {"Grüße vom Donnervogel": {"\\Seen"}, "Re: question": {"\\Seen"}})
    assert b"> What is it?" in fife.wait_message("Subject: Re: question", BOB)


def test_without_the_server():
    arrive(one=("far and near\r\n",), two=(), three=())
    tb.download("INBOX")
    tb.goOffline()
    assert tb.read("INBOX", "one")["text"] == "far and near"
    tb.mark("INBOX", "two", {"flagged": True})
    with Server() as c:
        c.append("INBOX", None, None, message("four"))
    assert held("INBOX") == {"one": set(), "two": set(), "three": set(), "four": set()}, held("INBOX")
    tb.goOnline()
    # It sets $MDNSent as well, of its own accord.
    flags = {"one": {"\\Seen", "$MDNSent"}, "two": {"\\Flagged", "$MDNSent"}}
    await_held("INBOX", {**flags, "three": set(), "four": set()})
    tb.showsMessages("INBOX", ["one", "two", "three", "four"])
    tb.goOffline()
    tb.transfer("INBOX", "three", TREE, True)
    tb.goOnline()
    await_held("INBOX", {**flags, "four": set()})
    await_held(TREE, {"old": set(), "three": set()})


def test_server_returns():
    arrive(one=())
    fife.stop()
    fife.start()
    fife.send(BOB, [ALICE], message("two"))
    fife.wait_message("Subject: two", ALICE)
    tb.showsMessages("INBOX", ["one", "two"])


def run():
    global fife, tb
    with Trusted() as fife:
        # Another program was here before.
        with Server() as c:
            c._simple_command("CREATE", "Sent", "(USE (\\Sent))")
            for folder in ("Drafts", f'"{TREE}"', "Quiet"):
                c.create(folder)
            for folder in ("Sent", "Drafts", '"Bäume"', f'"{TREE}"'):
                c.subscribe(folder)
            c.append(f'"{TREE}"', None, None, message("old"))
        home = os.path.join(fife.dir, "thunderbird")
        with thunderbird.Thunderbird(home, account()) as tb:
            with open(fife.dir + "/ca.pem") as f:
                tb.trustAndRemember("".join(f.read().split("-----")[2].split()), ALICE, fife.passwords[ALICE])
            return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    if thunderbird.missing():
        print("skipped - all (" + thunderbird.missing() + ")")
        sys.exit(0)
    thunderbird.leave_the_network()
    sys.exit(1 if run() else 0)

# SPDX-License-Identifier: ISC
"""Mailboxes that are shared (RFC 4314): alice's process says what bob may do with her folders,
and bob's session reaches them beside his own."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zlib

import suite
from suite import wait_for

fife = None
ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
OF_ALICE = f"Other Users/{ALICE}"


def message(subject, body="text\r\n"):
    return f"From: a@x.test\r\nMessage-ID: <{subject}@x.test>\r\nSubject: {subject}\r\n\r\n{body}".encode()


class Session:
    """One that shows every octet."""

    def __init__(self, user, enable=None):
        self.sock = socket.create_connection(("127.0.0.1", fife.port(143)), timeout=suite.PATIENCE)
        self.buf = b""
        self.n = 0
        self.inflate = self.deflate = None
        self.line()
        self.ok(f'LOGIN "{user}" "{fife.passwords[user]}"')
        if enable:
            self.ok("ENABLE " + enable)

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self.buf)
        self.buf += self.inflate.decompress(data) if self.inflate else data

    def send(self, data):
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def line(self):
        """One response, its literals in it."""
        out = b""
        while True:
            while b"\n" not in self.buf:
                self.read()
            line, _, self.buf = self.buf.partition(b"\n")
            out += line + b"\n"
            m = re.search(rb"\{(\d+)\}\r\n$", line + b"\n")
            if not m:
                return out
            while len(self.buf) < int(m.group(1)):
                self.read()
            out += self.buf[:int(m.group(1))]
            self.buf = self.buf[int(m.group(1)):]

    def start(self, command, *literals):
        self.n += 1
        self.tag = f"t{self.n}".encode()
        parts = command.encode() if isinstance(command, str) else command
        self.send(self.tag + b" " + parts + (b"" if literals else b"\r\n"))
        self.literals = list(literals)
        if literals:
            self.send(b" {%d}\r\n" % len(literals[0]))

    def finish(self):
        """(status, text, untagged)"""
        untagged = []
        while True:
            line = self.line()
            if line.startswith(b"+") and self.literals:
                data = self.literals.pop(0)
                self.send(data + (b" {%d}\r\n" % len(self.literals[0]) if self.literals else b"\r\n"))
            elif line.startswith(self.tag + b" "):
                word, _, text = line[len(self.tag) + 1:].decode().rstrip("\r\n").partition(" ")
                return word, text, untagged
            elif line.startswith(b"* "):
                untagged.append(line.rstrip(b"\r\n"))
            else:
                raise AssertionError(line)

    def run(self, command, *literals):
        self.start(command, *literals)
        return self.finish()

    def ok(self, command, *literals):
        word, text, untagged = self.run(command, *literals)
        assert word == "OK", (command, word, text, untagged)
        self.text = text
        return [u.decode(errors="replace") for u in untagged]

    def no(self, command, code, *literals):
        word, text, untagged = self.run(command, *literals)
        assert word == "NO" and text.startswith(code), (command, word, text, untagged)
        return untagged

    def bad(self, command):
        word, text, untagged = self.run(command)
        assert word == "BAD", (command, word, text, untagged)

    def close(self):
        self.sock.close()

    def logout(self):
        self.ok("LOGOUT")
        self.close()


def listed(lines):
    """Names of LIST or LSUB with their attributes."""
    out = {}
    for line in lines:
        m = re.match(r'\* (?:LIST|LSUB) \(([^)]*)\) "/" (?:"([^"]*)"|(\S+))', line)
        if m:
            out[m.group(2) or m.group(3)] = m.group(1).split()
    return out


def fetched(lines):
    """UID: (flags, date, octets)."""
    out = {}
    for line in lines:
        if " FETCH (" not in line:
            continue
        uid = int(re.search(r"UID (\d+)", line).group(1))
        flags = sorted(f for f in re.search(r"FLAGS \(([^)]*)\)", line).group(1).split() if f != "\\Recent")
        date = re.search(r'INTERNALDATE "([^"]*)"', line).group(1)
        body = line[line.index("BODY[]"):].split("\r\n", 1)[1]
        out[uid] = (flags, date, body[:body.rindex(")")].encode())
    return out


ALL = "(UID FLAGS INTERNALDATE BODY.PEEK[])"


def folder(a, name, n=0, acl=None):
    """One of alice's, anew, with n messages and a list."""
    a.run(f'DELETE "{name}"')
    a.ok(f'CREATE "{name}"')
    for i in range(n):
        a.ok(f'APPEND "{name}"', message(f"{name}-{i}"))
    for who, rights in (acl or {}).items():
        a.ok(f'SETACL "{name}" "{who}" {rights}')


def test_lists_of_rights():
    a = Session(ALICE)
    folder(a, "acl")
    assert a.ok("MYRIGHTS acl") == ['* MYRIGHTS acl "lrswipkxtecda"']
    assert a.ok("GETACL acl") == [f'* ACL acl "{ALICE}" "lrswipkxtecda"']
    # names without a domain are the owner's; case is none; c and d are what RFC 4314 says
    a.ok("SETACL acl BOB lrd")
    a.ok("SETACL acl $staff lrsc")
    a.ok("SETACL acl ANYONE l")
    a.ok(f"SETACL acl -{CAROL} rw")
    got = a.ok("GETACL acl")[0]
    for who, rights in ((BOB, "lrted"), ("$staff", "lrskxc"), ("anyone", "l"), ("-" + CAROL, "rw")):
        assert f'"{who}" "{rights}"' in got, got
    a.ok("SETACL acl bob +sk")
    assert f'"{BOB}" "lrskte' in a.ok("GETACL acl")[0]
    a.ok("SETACL acl bob -rt")
    assert f'"{BOB}" "lskecd"' in a.ok("GETACL acl")[0], a.ok("GETACL acl")
    a.ok('SETACL acl bob ""')
    assert BOB not in a.ok("GETACL acl")[0]
    a.ok(f"DELETEACL acl -{CAROL}")
    assert CAROL not in a.ok("GETACL acl")[0]
    a.ok("DELETEACL acl nobody")
    assert a.ok("LISTRIGHTS acl smith") == ['* LISTRIGHTS acl "smith" "" l r s w i p k x t e c d a']
    a.bad("SETACL acl bob lrQ")
    a.bad("SETACL acl bob lrq")
    a.bad('SETACL acl "" lr')
    a.no("SETACL acl alice lr", "[CANNOT]")
    a.no("DELETEACL acl alice", "[CANNOT]")
    a.no("SETACL nowhere bob lr", "[NONEXISTENT]")
    a.no("MYRIGHTS nowhere", "[NONEXISTENT]")
    # it goes with the folder, its children inherit it, and it ends with the folder
    a.ok("RENAME acl acl2")
    a.ok("CREATE acl2/child")
    assert '"$staff" "lrskxc"' in a.ok("GETACL acl2")[0] and '"$staff" "lrskxc"' in a.ok("GETACL acl2/child")[0]
    a.ok("DELETE acl2/child")
    a.ok("DELETE acl2")
    a.ok("CREATE acl2")
    assert a.ok("GETACL acl2") == [f'* ACL acl2 "{ALICE}" "lrswipkxtecda"']
    a.ok("DELETE acl2")
    caps = a.ok("CAPABILITY")[0].split()
    assert {"ACL", "RIGHTS=kxte", "LIST-MYRIGHTS", "NAMESPACE"} <= set(caps), caps
    a.logout()


def test_listing():
    a, b = Session(ALICE), Session(BOB)
    assert b.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
    folder(a, "list", 2, {"bob": "lr"})
    folder(a, "listhidden", 0, {"bob": "r"})
    folder(a, "parent")
    folder(a, "parent/child", 1, {"bob": "lrs"})
    names = listed(b.ok('LIST "" *'))
    assert names["Other Users"] == ["\\Noselect", "\\HasChildren"], names
    assert names[OF_ALICE] == ["\\Noselect", "\\HasChildren"]
    assert names[OF_ALICE + "/list"] == ["\\HasNoChildren"]
    assert names[OF_ALICE + "/parent"] == ["\\Noselect", "\\HasChildren"]
    assert OF_ALICE + "/listhidden" not in names and OF_ALICE + "/INBOX" not in names
    assert "INBOX" in names
    assert set(listed(b.ok('LIST "" %'))) & {"Other Users", "INBOX", OF_ALICE} == {"Other Users", "INBOX"}
    assert set(listed(b.ok('LIST "" "Other Users/%"'))) == {OF_ALICE}
    assert set(listed(b.ok(f'LIST "{OF_ALICE}/" %'))) == {OF_ALICE + "/list", OF_ALICE + "/parent"}
    assert listed(b.ok('LIST "" INBOX')) == {"INBOX": ["\\HasNoChildren"]}
    got = b.ok('LIST "" "*list" RETURN (MYRIGHTS STATUS (MESSAGES UNSEEN) CHILDREN)')
    assert f'* MYRIGHTS "{OF_ALICE}/list" "lr"' in got, got
    assert f'* STATUS "{OF_ALICE}/list" (MESSAGES 2 UNSEEN 2)' in got, got
    assert b.ok('LIST "" INBOX RETURN (MYRIGHTS)')[1] == '* MYRIGHTS INBOX "lrswipkxtecda"'
    # subscriptions are bob's own
    b.ok(f'SUBSCRIBE "{OF_ALICE}/list"')
    b.ok("SUBSCRIBE INBOX")
    assert listed(b.ok('LSUB "" *')) == {"INBOX": ["\\HasNoChildren"], OF_ALICE + "/list": ["\\HasNoChildren"]}
    subscribed = listed(b.ok('LIST (SUBSCRIBED) "" *'))
    assert "\\Subscribed" in subscribed[OF_ALICE + "/list"] and len(subscribed) == 2, subscribed
    assert any("CHILDINFO" in x for x in b.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "Other Users/%"'))
    a.ok("DELETEACL list bob")
    assert "\\NonExistent" in listed(b.ok('LIST (SUBSCRIBED) "" *'))[OF_ALICE + "/list"]
    b.ok(f'UNSUBSCRIBE "{OF_ALICE}/list"')
    # what is special is alice's alone
    a.run("CREATE Mine (USE (\\Archive))")
    a.ok("SETACL Mine bob lr")
    assert listed(b.ok(f'LIST "" "{OF_ALICE}/Mine"')) == {OF_ALICE + "/Mine": ["\\HasNoChildren"]}
    assert OF_ALICE + "/Mine" not in listed(b.ok('LIST (SPECIAL-USE) "" *'))
    # of the tree of others nothing can be made
    b.no('CREATE "Other Users"', "[NONEXISTENT]")
    b.no(f'CREATE "{OF_ALICE}"', "[NONEXISTENT]")
    b.no(f'SELECT "{OF_ALICE}"', "[NONEXISTENT]")
    b.no('SELECT "Other Users/nobody@example.test/INBOX"', "[NONEXISTENT]")
    b.no(f'SELECT "Other Users/{BOB}/INBOX"', "[NONEXISTENT]")
    b.no(f'SELECT "Other Users/{CAROL}/INBOX"', "[NONEXISTENT]")
    for s in (a, b):
        s.logout()


def test_names_in_other_scripts():
    a, b = Session(ALICE), Session(BOB, "UTF8=ACCEPT")
    a.run('DELETE "&Un+LIg-"')
    a.ok('CREATE "&Un+LIg-"')
    a.ok('SETACL "&Un+LIg-" bob lr')
    utf8 = [n for n in listed(b.ok('LIST "" *')) if n.startswith(OF_ALICE) and not n.isascii()]
    assert len(utf8) == 1, utf8
    b.ok(f'SELECT "{utf8[0]}"'.encode())
    c = Session(BOB)
    assert f"{OF_ALICE}/&Un+LIg-" in listed(c.ok('LIST "" *'))
    c.ok(f'SELECT "{OF_ALICE}/&Un+LIg-"')
    for s in (a, b, c):
        s.logout()


# What is done with a folder that has messages 1 and 2, and what it needs; the rest of the rights
# is no help. What is refused is refused with NOPERM, or hidden.
NEEDS = [
    ("lr", "SELECT", lambda b, f: b.run(f'SELECT "{f}"')),
    ("r", "EXAMINE", lambda b, f: b.run(f'EXAMINE "{f}"')),
    ("r", "STATUS", lambda b, f: b.run(f'STATUS "{f}" (MESSAGES)')),
    ("r", "GETQUOTAROOT", lambda b, f: b.run(f'GETQUOTAROOT "{f}"')),
    ("i", "APPEND", lambda b, f: b.run(f'APPEND "{f}"', message("new"))),
    ("k", "CREATE", lambda b, f: b.run(f'CREATE "{f}/below"')),
    ("a", "GETACL", lambda b, f: b.run(f'GETACL "{f}"')),
    ("a", "LISTRIGHTS", lambda b, f: b.run(f'LISTRIGHTS "{f}" carol')),
    ("a", "SETACL", lambda b, f: b.run(f'SETACL "{f}" carol l')),
    ("a", "DELETEACL", lambda b, f: b.run(f'DELETEACL "{f}" carol')),
    ("lr", "GETMETADATA", lambda b, f: b.run(f'GETMETADATA "{f}" /shared/comment')),
    ("lw", "SETMETADATA", lambda b, f: b.run(f'SETMETADATA "{f}" (/shared/comment "x")')),
    ("x", "DELETE", lambda b, f: b.run(f'DELETE "{f}"')),
]


def test_each_right():
    a, b = Session(ALICE), Session(BOB)
    everything = "lrswipkxtea"
    f = OF_ALICE + "/each"
    for need, name, command in NEEDS:
        folder(a, "each", 2, {"bob": need})
        word, text, _ = command(b, f)
        assert word == "OK", (name, need, text)
        b.run("UNSELECT")
        a.run("DELETE each/below")
        for missing in need:
            if (name, missing) in (("SELECT", "l"), ("GETMETADATA", "r")):
                continue
            rest = everything.replace(missing, "")
            folder(a, "each", 2, {"bob": rest})
            word, text, _ = command(b, f)
            assert word == "NO" and text.startswith("[NOPERM]"), (name, rest, word, text)
        folder(a, "each", 2)
        word, text, _ = command(b, f)
        hidden = "[NOPERM]" if name == "CREATE" else ("[NONEXISTENT]", "[TRYCREATE]")
        assert word == "NO" and text.startswith(hidden), (name, text)
    a.run("DELETE each/below")
    # renaming: x of the folder, k of the new parent
    folder(a, "each/in", 0, {"bob": "lx"})
    a.ok("SETACL each bob lk")
    b.ok(f'RENAME "{f}/in" "{f}/out"')
    a.ok("SETACL each bob l")
    b.no(f'RENAME "{f}/out" "{f}/in"', "[NOPERM]")
    a.ok("SETACL each bob lk")
    a.ok("SETACL each/out bob l")
    b.no(f'RENAME "{f}/out" "{f}/in"', "[NOPERM]")
    a.ok("DELETE each/out")
    # and folders stay whose they are
    b.no(f'RENAME "{f}" mine', "[CANNOT]")
    b.no(f'RENAME INBOX "{f}/inbox"', "[CANNOT]")
    # MYRIGHTS is for all who may know of the folder
    for rights, known in (("l", True), ("k", True), ("s", False), ("pt", False)):
        a.ok(f"SETACL each bob {rights}")
        assert (b.run(f'MYRIGHTS "{f}"')[0] == "OK") == known, rights
    for s in (a, b):
        s.logout()


def test_rights_on_messages():
    a, b = Session(ALICE), Session(BOB)
    f = OF_ALICE + "/msgs"

    def rights(r):
        a.ok(f"SETACL msgs bob {r}")

    def flags(n=1):
        a.ok("EXAMINE msgs")
        got = re.search(r"FLAGS \(([^)]*)\)", a.ok(f"FETCH {n} (FLAGS)")[0]).group(1).split()
        return sorted(x for x in got if x != "\\Recent")

    folder(a, "msgs", 3, {"bob": "lr"})
    got = b.ok(f'SELECT "{f}"')
    assert "[READ-ONLY]" in b.text and "* OK [PERMANENTFLAGS ()] Read-only mailbox" in got, got
    b.ok("FETCH 1 (BODY[])")
    assert flags() == []
    b.no("STORE 1 +FLAGS (\\Seen)", "[READ-ONLY]")
    b.no("EXPUNGE", "[READ-ONLY]")
    # s: \Seen alone, also what FETCH sets
    rights("lrs")
    got = b.ok(f'SELECT "{f}"')
    assert "[READ-WRITE]" in b.text and any("PERMANENTFLAGS (\\Seen)" in x for x in got), got
    b.ok("FETCH 1 (BODY[])")
    assert flags() == ["\\Seen"]
    b.no("STORE 1 +FLAGS (\\Flagged)", "[NOPERM]")
    b.no("STORE 1 +FLAGS ($Word)", "[NOPERM]")
    b.ok("STORE 1 +FLAGS (\\Seen \\Flagged \\Deleted)")
    assert flags() == ["\\Seen"]
    b.ok("STORE 1 FLAGS ()")
    assert flags() == []
    # w: all but \Seen and \Deleted
    rights("lrw")
    b.ok(f'SELECT "{f}"')
    b.ok("FETCH 1 (BODY[])")
    b.no("STORE 1 +FLAGS (\\Seen)", "[NOPERM]")
    b.ok("STORE 1 +FLAGS (\\Seen \\Deleted \\Flagged $Word)")
    assert flags() == ["$Word", "\\Flagged"]
    a.ok("SELECT msgs")
    a.ok("STORE 1 FLAGS (\\Seen \\Deleted)")
    b.ok("STORE 1 FLAGS (\\Answered)")
    assert flags() == ["\\Answered", "\\Deleted", "\\Seen"]
    # t marks, e removes; CLOSE without e does not
    rights("lrt")
    b.ok(f'SELECT "{f}"')
    b.ok("STORE 2 +FLAGS (\\Deleted)")
    b.no("EXPUNGE", "[NOPERM]")
    b.no("UID EXPUNGE 1:*", "[NOPERM]")
    b.no("MOVE 2 INBOX", "[NOPERM]")
    b.ok("CLOSE")
    assert b.ok(f'STATUS "{f}" (MESSAGES)')[0].endswith("(MESSAGES 3)")
    rights("lre")
    b.ok(f'SELECT "{f}"')
    b.no("MOVE 3 INBOX", "[NOPERM]")
    b.no("STORE 3 +FLAGS (\\Deleted)", "[NOPERM]")
    assert b.ok("EXPUNGE") == ["* 1 EXPUNGE", "* 1 EXPUNGE"]
    # i: flags of what comes are kept as far as they may be set (RFC 4314, 4)
    rights("lri")
    b.ok(f'APPEND "{f}" (\\Seen \\Deleted \\Flagged $Word)', message("flags"))
    assert flags(2) == []
    rights("lris")
    b.ok(f'APPEND "{f}" (\\Seen \\Deleted \\Flagged $Word)', message("flags"))
    assert flags(3) == ["\\Seen"]
    b.ok(f'SELECT "{f}"')
    b.ok(f'COPY 3 "{f}"')
    b.no("REPLACE 1 " + f'"{f}"', "[NOPERM]", message("replaced"))
    # the least of all for the whole: nothing of the server's is asked of others
    for command in ("GETQUOTA x", "SETQUOTA x (STORAGE 5)"):
        assert b.run(command)[0] == "NO"
    assert b.ok(f'GETMETADATA "{f}" /private/comment')[0].endswith("(/private/comment NIL)")
    rights("lrw")
    b.no(f'SETMETADATA "{f}" (/private/comment "x")', "[NOPERM]")
    for s in (a, b):
        s.logout()


def test_identifiers():
    a, b, c = Session(ALICE), Session(BOB), Session(CAROL)
    fife.ctl("group", "add", "staff")
    folder(a, "ids", 1, {"$staff": "lrs", "anyone": "l", f"-{CAROL}": "r"})
    f = OF_ALICE + "/ids"

    def rights(s):
        word, text, untagged = s.run(f'MYRIGHTS "{f}"')
        return untagged[0].split()[-1].decode().strip('"') if word == "OK" else None
    assert rights(b) == "l" and rights(c) == "l"
    for s in (b, c):
        s.logout()
    fife.ctl("user", "set", BOB, "group=staff")
    fife.ctl("user", "set", CAROL, "group=staff")
    b, c = Session(BOB), Session(CAROL)
    assert rights(b) == "lrs", rights(b)
    assert rights(c) == "ls", rights(c)
    a.ok("SETACL ids -$staff s")
    assert rights(b) == "lr" and rights(c) == "l"
    a.ok("DELETEACL ids $staff")
    a.ok("DELETEACL ids anyone")
    assert rights(b) is None and OF_ALICE + "/ids" not in listed(b.ok('LIST "" *'))
    # an alias that leads to him alone is he
    fife.ctl("alias", "add", "robert@example.test", BOB)
    a.ok("SETACL ids robert lr")
    b.logout()
    b = Session(BOB)
    assert rights(b) == "lr"
    assert OF_ALICE + "/ids" in wait_for(lambda: listed(b.ok('LIST "" "Other Users/*"')), "the alias' folder")
    a.ok("DELETE ids")
    fife.ctl("alias", "del", "robert@example.test")
    for u in (BOB, CAROL):
        fife.ctl("user", "set", u, "group=")
    for s in (a, b, c):
        s.close()



def test_post_by_mail():
    """p for anyone: the folder has an address. A script may still say otherwise."""
    a = Session(ALICE)
    folder(a, "Shop", acl={"anyone": "p"})
    folder(a, "closed", acl={BOB: "lrp"})
    for detail, where in (("shop", "Shop"), ("closed", "INBOX"), ("nowhere", "INBOX")):
        to = f"alice+{detail}@example.test"
        fife.send("a@x.test", [to], message(f"post {detail}").decode())
        fife.wait_message(f"post {detail}", folder=where)
    assert a.ok("MYRIGHTS Shop") and '"p"' in a.ok("GETACL Shop")[0]
    fife.ctl("sieve", "put", ALICE, "post", input='require "fileinto"; if header "subject" "post kept" { keep; stop; }\n'
             'if header "subject" "post moved" { fileinto "closed"; }\n')
    fife.ctl("sieve", "activate", ALICE, "post")
    for what, where in (("kept", "Shop"), ("moved", "closed"), ("neither", "Shop")):
        fife.send("a@x.test", ["alice+Shop@example.test"], message(f"post {what}").decode())
        fife.wait_message(f"post {what}", folder=where)
    fife.ctl("sieve", "activate", ALICE)
    a.close()


def test_the_administrators_word():
    a, b = Session(ALICE), Session(BOB)
    folder(a, "adm", 1)
    assert fife.ctl("mailbox", "acl", ALICE, "list", "adm") == ""
    fife.ctl("mailbox", "acl", ALICE, "set", "adm", "bob", "lr")
    fife.ctl("mailbox", "acl", ALICE, "set", "adm", "$staff", "lrw")
    fife.ctl("mailbox", "acl", ALICE, "set", "adm", "bob", "+s")
    rows = json.loads(fife.ctl("-j", "mailbox", "acl", ALICE, "list", "adm"))
    assert rows == [{"folder": "adm", "identifier": "$staff", "rights": "lrw"},
                    {"folder": "adm", "identifier": BOB, "rights": "lrs"}], rows
    assert f'"{BOB}" "lrs"' in a.ok("GETACL adm")[0]
    wait_for(lambda: OF_ALICE + "/adm" in listed(b.ok('LIST "" *')), "the grant")
    fife.ctl("mailbox", "acl", ALICE, "delete", "adm", "bob")
    b.no(f'SELECT "{OF_ALICE}/adm"', "[NONEXISTENT]")
    for words, status in ((("set", "adm", "bob", "q"), 1), (("set", "nowhere", "bob", "l"), 1), (("set", "adm", "a b", "l"), 1),
                          (("delete", "adm", "bob"), 1), (("remove", "adm", "bob"), 2), (("set", "adm", "bob"), 2)):
        assert fife.ctl("mailbox", "acl", ALICE, *words, check=False)[0] == status, words
    assert fife.ctl("mailbox", "acl", "nobody@example.test", check=False)[0] == 1
    # the lists are in an archive of the mailbox, but replace none
    command = os.path.join(fife.run, "bin/fifectl")
    tar = subprocess.run([command, "mailbox", "export", ALICE, "--folder", "adm"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         check=True, timeout=suite.PATIENCE).stdout
    for rights in ("lrw", "l"):
        subprocess.run([command, "mailbox", "import", CAROL], input=tar, stdout=subprocess.PIPE, check=True, timeout=suite.PATIENCE)
        rows = json.loads(fife.ctl("-j", "mailbox", "acl", CAROL, "list", "adm"))
        assert rows == [{"folder": "adm", "identifier": "$staff", "rights": rights}], rows
        fife.ctl("mailbox", "acl", CAROL, "set", "adm", "$staff", "l")
    for s in (a, b):
        s.logout()


def test_copies_between_mailboxes():
    a, b, c = Session(ALICE), Session(BOB), Session(CAROL)
    folder(a, "out", 0, {"bob": "lrstweix", "carol": "lrstwei"})
    folder(c, "carols", 0, {"bob": "lrswitea"})
    f, g = OF_ALICE + "/out", f"Other Users/{CAROL}/carols"
    sent = [message("one", "x\r\n" * 40000), message("two", "and {5}\r\n) OK\r\nt1 OK\r\n* BYE\r\n"), message("three")]
    a.ok('APPEND out (\\Flagged $Word) "01-Feb-2003 04:05:06 +0730"', sent[0])
    a.ok("APPEND out (\\Seen)", sent[1])
    a.ok("APPEND out", sent[2])
    # from another's to one's own
    b.ok("CREATE mine")
    b.ok(f'SELECT "{f}"')
    there = fetched(b.ok(f"UID FETCH 1:* {ALL}"))
    assert [x[2] for x in there.values()] == sent
    b.ok("COPY 1:3 mine")
    assert re.match(r"\[COPYUID \d+ 1:3 1:3\]", b.text), b.text
    b.ok("SELECT mine")
    mine = fetched(b.ok(f"UID FETCH 1:* {ALL}"))
    assert mine == there, (mine, there)
    # back again, moved
    b.ok("UID STORE 2 +FLAGS (\\Answered)")
    got = b.ok(f'UID MOVE 2:3 "{f}"')
    assert re.match(r"\* OK \[COPYUID \d+ 2:3 4:5\]", got[0]), got
    assert [x for x in got[1:] if not x.endswith("RECENT")] == ["* 2 EXPUNGE"] * 2, got
    a.ok("SELECT out")
    theirs = fetched(a.ok(f"UID FETCH 4:5 {ALL}"))
    assert theirs[4] == (sorted(mine[2][0] + ["\\Answered"]), *mine[2][1:]) and theirs[5] == mine[3], theirs
    # from one to another, and with message numbers
    b.ok(f'SELECT "{f}"')
    got = b.ok(f'MOVE 1,5 "{g}"')
    assert re.match(r"\* OK \[COPYUID \d+ 1,5 1:2\]", got[0]) and len([x for x in got if "EXPUNGE" in x]) == 2, got
    assert len(b.ok(f'STATUS "{g}" (MESSAGES)')) == 1
    c.ok("SELECT carols")
    assert [x[2] for x in fetched(c.ok(f"UID FETCH 1:* {ALL}")).values()] == [sent[0], sent[2]]
    # within one
    b.ok(f'COPY 1 "{f}"')
    assert b.text.startswith("[COPYUID"), b.text
    # more than a batch; a set of what is not there; no such target; nothing to do
    folder(a, "many", 120, {"bob": "lr"})
    b.ok(f'SELECT "{OF_ALICE}/many"')
    b.ok("UID COPY 5:1000 mine")
    assert re.match(r"\[COPYUID \d+ 5:120 \d+:\d+\]", b.text), b.text
    b.ok("UID COPY 5000 mine")
    b.no("COPY 1 nowhere", "[TRYCREATE]")
    b.no("MOVE 1 mine", "[NOPERM]")
    b.ok("UID SEARCH RETURN (SAVE) UID 7:8")
    b.ok("COPY $ mine")
    assert b.ok("STATUS mine (MESSAGES)") == ["* STATUS mine (MESSAGES 119)"]
    # rights where it goes
    a.ok("SETACL out bob lr")
    b.ok("SELECT mine")
    b.no(f'COPY 1 "{f}"', "[NOPERM]")
    b.no(f'MOVE 1 "{f}"', "[NOPERM]")
    b.no(f'COPY 1 "{OF_ALICE}/nowhere"', "[TRYCREATE]")
    a.ok("SETACL out bob lri")
    b.ok("STORE 1 +FLAGS (\\Seen)")
    b.ok(f'COPY 1 "{f}"')
    new = b.text.split("]")[0].split()[-1]
    b.ok(f'EXAMINE "{f}"')
    assert "FLAGS ()" in b.ok(f"UID FETCH {new} (FLAGS)")[0].replace("\\Recent", "")
    for s in (a, b, c):
        s.logout()


def test_appending():
    a, b = Session(ALICE), Session(BOB)
    folder(a, "app", 0, {"bob": "lri"})
    f = OF_ALICE + "/app"
    big = message("big", "0123456789abcdef\r\n" * 100000)
    b.ok(f'APPEND "{f}" (\\Seen) "01-Feb-2003 04:05:06 +0730"', big)
    assert b.text.startswith("[APPENDUID"), b.text
    # several in one, without waiting, the name as a literal
    b.n += 1
    b.tag, b.literals = f"t{b.n}".encode(), []
    m = message("unasked")
    b.send(b.tag + b" APPEND {%d+}\r\n%s {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(f), f.encode(), len(m), m, len(m), m))
    word, text, _ = b.finish()
    assert word == "OK" and re.match(r"\[APPENDUID \d+ 2:3\]", text), (word, text)
    a.ok("SELECT app")
    assert [x[2] for x in fetched(a.ok(f"UID FETCH 1:* {ALL}")).values()] == [big, m, m]
    # refused before it is sent, or after
    a.ok("SETACL app bob lr")
    b.start(f'APPEND "{f}"', m)
    b.literals = []
    word, text, _ = b.finish()
    assert word == "NO" and text.startswith("[NOPERM]"), (word, text)
    b.n += 1
    b.tag = f"t{b.n}".encode()
    b.send(b.tag + b" APPEND \"%s\" {%d+}\r\n%s\r\n" % (f.encode(), len(big), big))
    word, text, _ = b.finish()
    assert word == "NO" and text.startswith("[NOPERM]"), (word, text)
    b.no(f'APPEND "{OF_ALICE}/nowhere"', "[TRYCREATE]", m)
    b.ok("NOOP")
    # CATENATE of what is there, by names as bob knows them
    a.ok("SETACL app bob lriw")
    b.ok(f'SELECT "{f}"')
    uv = re.search(r"UIDVALIDITY (\d+)", " ".join(b.ok(f'STATUS "{f}" (UIDVALIDITY)'))).group(1)
    url = f"/{OF_ALICE.replace(' ', '%20')}/app;UIDVALIDITY={uv}/;UID=2"
    b.ok(f'APPEND "{f}" CATENATE (URL "{url}")')
    b.no(f'APPEND "{f}" CATENATE (URL "/app/;UID=2")', "[BADURL")
    b.no(f'APPEND "{f}" CATENATE (URL "/INBOX/;UID=1")', "[BADURL")
    # a message is replaced where it is
    a.ok("SETACL app bob lrite")
    b.ok(f'SELECT "{f}"')
    got = b.ok(f'REPLACE 1 "{f}"', message("replaced"))
    assert any("APPENDUID" in x for x in got) and "* 1 EXPUNGE" in got, got
    b.no("REPLACE 1 INBOX", "[CANNOT]", m)
    b.ok("SELECT INBOX")
    # the owner's quota
    b.ok("CLOSE")
    fife.ctl("user", "set", ALICE, "quota=3M")
    b2 = Session(BOB)
    b2.no(f'APPEND "{f}"', "[OVERQUOTA]", message("quota", "x" * 5000000 + "\r\n"))
    b2.ok(f'GETQUOTAROOT "{f}"')
    got = b2.ok(f'GETQUOTA "{OF_ALICE}"')
    assert got[0].startswith(f'* QUOTA "{OF_ALICE}" (STORAGE '), got
    fife.ctl("user", "set", ALICE, "quota=default")
    for s in (a, b, b2):
        s.close()


def test_idle_and_revoking():
    a, b, c = Session(ALICE), Session(BOB), Session(CAROL)
    folder(a, "idle", 1, {"bob": "lrs", "carol": "lrsi"})
    f = OF_ALICE + "/idle"
    for s in (b, c):
        s.ok(f'SELECT "{f}"')
        s.start("IDLE")
        assert s.line().startswith(b"+ ")
    a.ok("SELECT idle")
    a.ok("APPEND idle", message("news"))
    for s in (b, c):
        assert s.line() == b"* 2 EXISTS\r\n"
        s.line()
    a.ok("STORE 1 +FLAGS (\\Flagged)")
    for s in (b, c):
        assert b"1 FETCH" in s.line()
    # carol ends it, adds one and is told by bob of what he did
    c.send(b"DONE\r\n")
    assert c.finish()[0] == "OK"
    c.ok(f'APPEND "{f}"', message("carols"))
    assert b.line() == b"* 3 EXISTS\r\n"
    b.line()
    # bob may not read any more
    a.ok("SETACL idle bob l")
    assert b.line().startswith(b"* BYE [UNAVAILABLE]")
    a.ok("DELETEACL idle carol")
    c.no("FETCH 1 (FLAGS)", "[NOPERM]")
    c.no(f'SELECT "{f}"', "[NONEXISTENT]")
    c.ok("SELECT INBOX")
    # an idle that ends badly leaves the session as it was
    a.ok("SETACL idle carol lr")
    c.ok(f'SELECT "{f}"')
    c.start("IDLE")
    c.line()
    c.send(b"NONSENSE\r\n")
    assert c.finish()[0] == "BAD"
    c.ok("FETCH 1 (FLAGS)")
    a.ok("DELETE idle")
    for s in (a, c):
        s.logout()
    b.close()


def test_states_of_the_session():
    a = Session(ALICE)
    folder(a, "state", 5, {"bob": "lrswite"})
    f = OF_ALICE + "/state"
    b = Session(BOB, "QRESYNC")
    got = b.ok(f'SELECT "{f}"')
    uv, modseq = (re.search(w + r" (\d+)", " ".join(got)).group(1) for w in ("UIDVALIDITY", "HIGHESTMODSEQ"))
    b.ok("UNSELECT")
    a.ok("SELECT state")
    a.ok("STORE 2 +FLAGS (\\Seen)")
    a.ok("STORE 4 +FLAGS (\\Deleted)")
    a.ok("EXPUNGE")
    got = b.ok(f'SELECT "{f}" (QRESYNC ({uv} {modseq}))')
    assert "* VANISHED (EARLIER) 4" in got and any("UID 2 FLAGS (\\Seen" in x for x in got), got
    a.ok("STORE 1 +FLAGS (\\Deleted)")
    a.ok("EXPUNGE")
    assert "* VANISHED 1" in b.ok("NOOP")
    b.ok("COMPRESS DEFLATE")
    b.deflate, b.inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    assert len(b.ok("UID FETCH 1:* (BODY.PEEK[])")) == 3
    got = b.ok("UID MOVE 5 INBOX")
    assert got[-1] == "* VANISHED 5", got
    # what is selected is closed by selecting another, of either kind
    got = b.ok("SELECT INBOX")
    assert "* OK [CLOSED] Previous mailbox is closed" in got, got
    got = b.ok(f'SELECT "{f}"')
    assert got[0] == "* OK [CLOSED] Previous mailbox is closed", got
    assert [x for x in b.ok(f'SELECT "{f}"') if "CLOSED" in x] == ["* OK [CLOSED] Previous mailbox is closed"]
    b.no(f'SELECT "{OF_ALICE}/nowhere"', "[NONEXISTENT]")
    b.bad("FETCH 1 (FLAGS)")
    b.ok(f'SELECT "{f}"')
    b.no("SELECT nowhere", "[NONEXISTENT]")
    b.bad("FETCH 1 (FLAGS)")
    # while one's own is selected, nothing is told of another's
    b.ok("SELECT INBOX")
    a.ok("APPEND state", message("more"))
    got = b.ok(f'STATUS "{f}" (MESSAGES)')
    assert got == [f'* STATUS "{f}" (MESSAGES 3)'], got
    # the folder goes while it is selected
    b.ok(f'SELECT "{f}"')
    a.ok("SETACL state bob lrx")
    b.ok(f'DELETE "{f}"')
    b.bad("FETCH 1 (FLAGS)")
    folder(a, "state", 2, {"bob": "lr"})
    b.ok(f'SELECT "{f}"')
    a.ok("DELETE state")
    b.run("NOOP")
    b.ok("SELECT INBOX")
    b.logout()
    # literals, searches, sorting, threads, UIDONLY
    folder(a, "state", 3, {"bob": "lr"})
    b = Session(BOB, "IMAP4rev2 UIDONLY")
    b.ok(f'SELECT "{f}"')
    b.bad("FETCH 1 (FLAGS)")
    assert "UIDFETCH" in b.ok("UID FETCH 1 (FLAGS)")[0]
    assert "ALL 2" in b.ok("UID SEARCH SUBJECT", b"state-1")[0]
    b.ok("UID COPY 1:2 INBOX")
    assert b.text.startswith("[COPYUID"), b.text
    b.logout()
    b = Session(BOB)
    b.ok(f'SELECT "{f}"')
    assert b.ok("SORT (REVERSE SUBJECT) UTF-8 ALL") == ["* SORT 3 2 1"]
    assert b.ok("THREAD REFERENCES UTF-8 ALL")[0].count("(") == 3
    b.no("SEARCH FILTER mine", "[UNDEFINED-FILTER")
    b.ok("CHECK")
    b.ok("CLOSE")
    a.logout()
    b.logout()


def test_the_owners_process_dies():
    a, b, c = Session(ALICE), Session(BOB), Session(CAROL)
    folder(a, "dies", 3, {"bob": "lrswite", "carol": "lr"})
    f = OF_ALICE + "/dies"

    def kill():
        pid = json.loads(fife.ctl("-j", "mailbox", "show", ALICE))[0]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: pid not in fife.pids(), "the end of alice's process")
    b.ok(f'SELECT "{f}"')
    c.ok(f'SELECT "{f}"')
    c.start("IDLE")
    c.line()
    kill()
    assert c.line().startswith(b"* BYE [UNAVAILABLE]")
    wait_for(lambda: b.run("NOOP")[0] == "NO", "the loss")
    b.no("FETCH 1 (FLAGS)", "[UNAVAILABLE]")
    b.no("COPY 1 INBOX", "[UNAVAILABLE]")
    b.no("IDLE", "[UNAVAILABLE]")
    # all else goes on, and so does that after another SELECT
    b.ok("STATUS INBOX (MESSAGES)")
    assert f in listed(b.ok('LIST "" *'))
    b.ok(f'SELECT "{f}"')
    assert len(b.ok("FETCH 1:* (FLAGS)")) == 3
    kill()
    wait_for(lambda: b.run("NOOP")[0] == "NO", "the loss")
    b.ok("CLOSE")
    b.bad("FETCH 1 (FLAGS)")
    # in the middle of things
    b.ok("SELECT INBOX")
    b.start(f'APPEND "{f}" {{1000000}}')
    assert b.line().startswith(b"+ ")
    kill()
    b.send(b"x" * 1000000 + b"\r\n")
    word, text, _ = b.finish()
    assert word == "NO" and text.startswith("[UNAVAILABLE]"), (word, text)
    b.ok(f'APPEND "{f}"', message("again"))
    for s in (a, b, c):
        s.close()


def test_accounts_change():
    a, b = Session(ALICE), Session(BOB)
    folder(a, "acc", 2, {"bob": "lr"})
    a.logout()
    f = OF_ALICE + "/acc"
    b.ok(f'SELECT "{f}"')
    fife.ctl("user", "set", ALICE, "disabled=yes")
    wait_for(lambda: b.run("NOOP")[0] == "NO", "the end of the link")
    b.no(f'SELECT "{f}"', "[NONEXISTENT]")
    assert OF_ALICE not in listed(b.ok('LIST "" *'))
    fife.ctl("user", "set", ALICE, "disabled=no")
    b.ok(f'SELECT "{f}"')
    # the owner has another name
    fife.ctl("user", "rename", ALICE, "alicia@example.test")
    wait_for(lambda: b.run("NOOP")[0] == "NO", "the end of the link")
    g = "Other Users/alicia@example.test/acc"
    assert g in listed(b.ok('LIST "" *'))
    b.ok(f'SELECT "{g}"')
    b.no(f'SELECT "{f}"', "[NONEXISTENT]")
    fife.ctl("user", "rename", "alicia@example.test", ALICE)
    # and so has the other one
    b.close()
    fife.ctl("user", "rename", BOB, "rob@example.test")
    fife.passwords["rob@example.test"] = fife.passwords[BOB]
    b = Session("rob@example.test")
    b.ok(f'SELECT "{f}"')
    assert f in listed(b.ok('LIST "" *'))
    b.close()
    fife.ctl("user", "rename", "rob@example.test", BOB)
    # one who is gone, and came again, is somebody else
    dave = "dave@example.test"
    fife.ctl("user", "add", dave, input="daves password\n")
    fife.passwords[dave] = "daves password"
    d, b = Session(dave), Session(BOB)
    folder(d, "gone", 1, {"bob": "lr"})
    d.close()
    b.ok(f'SELECT "Other Users/{dave}/gone"')
    fife.ctl("user", "del", dave)
    wait_for(lambda: b.run("NOOP")[0] == "NO", "the end of the link")
    assert f"Other Users/{dave}" not in listed(b.ok('LIST "" *'))
    fife.ctl("user", "add", dave, input="daves password\n")
    assert f"Other Users/{dave}" not in listed(b.ok('LIST "" *'))
    b.no(f'SELECT "Other Users/{dave}/gone"', "[NONEXISTENT]")
    b.logout()
    fife.ctl("user", "del", dave)


def test_mbsync_and_curl():
    if not shutil.which("mbsync") or not shutil.which("curl"):
        return "no mbsync or no curl"
    a = Session(ALICE)
    folder(a, "sync", 3, {"bob": "lrswite"})
    f = OF_ALICE + "/sync"
    top, rc = os.path.join(fife.dir, "mb"), os.path.join(fife.dir, "mbrc")
    os.makedirs(top)
    with open(rc, "w") as out:
        out.write(f"IMAPStore far\nHost 127.0.0.1\nPort {fife.port(143)}\nUser {BOB}\nPass {fife.passwords[BOB]}\nSSLType None\n"
                  f"AuthMechs *\nPath \"{OF_ALICE}/\"\n\nMaildirStore near\nPath {top}/\nInbox {top}/INBOX\n"
                  f"SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns sync\nCreate Both\nExpunge Both\n"
                  f"Sync All\nSyncState *\n")

    def sync():
        p = subprocess.run(["mbsync", "-c", rc, "all"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=120, env=dict(os.environ, HOME=fife.dir))
        assert p.returncode == 0, p.stdout[-3000:]
    sync()
    near = os.path.join(top, "sync", "new")
    assert len(os.listdir(near)) == 3
    with open(os.path.join(near, "1.x.y"), "wb") as out:
        out.write(message("from here").replace(b"\r\n", b"\n"))
    a.ok("SELECT sync")
    a.ok("STORE 1 +FLAGS (\\Deleted)")
    a.ok("EXPUNGE")
    sync()
    a.ok("NOOP")
    subjects = [x for x in a.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")]
    assert len(subjects) == 3 and "from here" in subjects[-1], subjects
    p = subprocess.run(["curl", "-s", "-u", f"{BOB}:{fife.passwords[BOB]}",
                        f"imap://127.0.0.1:{fife.port(143)}/{f.replace(' ', '%20').replace('@', '%40')}/;UID=2"],
                       stdout=subprocess.PIPE, timeout=60)
    assert b"Subject: sync-1" in p.stdout, p
    a.logout()


def test_lasts():
    """Lists and grants outlive a restart; a grant that authd has lost comes back with its owner."""
    a = Session(ALICE)
    folder(a, "lasts", 1, {"bob": "lr"})
    a.logout()
    f = OF_ALICE + "/lasts"
    fife.stop()
    fife.start()
    b = Session(BOB)
    assert f in listed(b.ok('LIST "" *'))
    b.ok(f'SELECT "{f}"')
    b.logout()
    fife.stop()
    grants = [os.path.join(d, x) for d, _, files in os.walk(fife.run) for x in files if x == "grants"]
    assert len(grants) == 1, grants
    os.unlink(grants[0])
    fife.start()
    b = Session(BOB)
    assert OF_ALICE not in listed(b.ok('LIST "" *'))
    b.no(f'SELECT "{f}"', "[NONEXISTENT]")
    a = Session(ALICE)
    a.ok("SELECT INBOX")
    wait_for(lambda: f in listed(b.ok('LIST "" *')), "the grant")
    b.ok(f'SELECT "{f}"')
    a.logout()
    b.logout()


def run():
    global fife
    with suite.Suite() as fife:
        fife.ctl("user", "add", CAROL, input="carols password\n")
        fife.passwords[CAROL] = "carols password"
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(run() != 0)

# SPDX-License-Identifier: ISC
"""Mailboxes that are shared (RFC 4314): alice's process says what bob may do with her folders,
and bob's session reaches them beside his own."""
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


def run():
    global fife
    with suite.Suite() as fife:
        fife.ctl("user", "add", CAROL, input="carols password\n")
        fife.passwords[CAROL] = "carols password"
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(run() != 0)

# SPDX-License-Identifier: ISC
"""fifectl mailbox import --dovecot: a mailbox that a real Dovecot has served is served by fife with the same
UIDVALIDITY, UIDs, flags, dates and POP3 identifiers."""
import imaplib
import json
import os
import poplib
import re
import subprocess
import sys
import time

import peers
import suite

fife = None
JAPANESE = "&ZeVnLIqe-"


def imports(address, path, status=0):
    p = subprocess.run([os.path.join(fife.run, "bin/fifectl"), "-j", "mailbox", "import", address, "--dovecot", path],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=suite.PATIENCE)
    assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
    return json.loads(p.stdout)[0] if p.stdout else None, p.stderr.decode()


def user(name):
    address = name + "@example.test"
    fife.ctl("user", "add", address, input="secret\n")
    fife.passwords[address] = "secret"
    return address


def mail(i, size=20):
    return f"From: eve@elsewhere.test\r\nSubject: number {i}\r\n\r\n{('x' * 70 + chr(13) + chr(10)) * (size // 70)}.dot {i}\r\n".encode()


def served(c, separator):
    """Per folder: UIDVALIDITY, UIDNEXT, and of each UID flags, date and octets."""
    out = {}
    for line in c.list()[1]:
        name = re.search(rb'\) "(.)" "?([^"]*)"?$', line)
        if b"\\Noselect" in line:
            continue
        folder = name.group(2).decode()
        assert c.select(f'"{folder}"', readonly=True)[0] == "OK", folder
        validity, uidnext = int(c.response("UIDVALIDITY")[1][0]), int(c.response("UIDNEXT")[1][0])
        messages = {}
        for uid in c.uid("SEARCH", "ALL")[1][0].split():
            data = c.uid("FETCH", uid, "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
            words = b"".join(x if isinstance(x, bytes) else x[0] for x in data).decode()
            flags = set(re.search(r"FLAGS \(([^)]*)\)", words).group(1).split()) - {"\\Recent"}
            date = imaplib.Internaldate2tuple(words.encode())
            messages[int(uid)] = (flags, time.mktime(date), next(x[1] for x in data if isinstance(x, tuple)))
        out[folder.replace(separator, "/")] = (validity, uidnext, messages)
    return out


def subscribed(c, separator):
    found = (re.search(rb'"?([^" ]+)"?$', x).group(1).decode() for x in c.lsub()[1] if x is not None)
    return {x.replace(separator, "/") for x in found}


def identifiers(p):
    ids = {int(x.split()[0]): x.split()[1].decode() for x in p.uidl()[1]}
    out = {}
    for n in ids:
        out.setdefault(b"\r\n".join(p.retr(n)[1]), []).append(ids[n])
    p.quit()
    return out


def flat(ids):
    return sorted(x for v in ids.values() for x in v)


def fill(peer):
    c = imaplib.IMAP4("127.0.0.1", peer.port, timeout=suite.PATIENCE)
    c.login("alice", "secret")
    for i in range(12):
        flags = ("", r"\Seen", r"(\Seen \Answered)", r"(\Flagged work)", r"(\Draft $Forwarded work)", r"\Deleted")[i % 6]
        date = imaplib.Time2Internaldate(1600000000 + i * 86400)
        assert c.append("INBOX", flags, date, mail(i, i * 300))[0] == "OK"
    for folder in ("Sent", "Lists", "Lists.a", "Lists." + JAPANESE, "Empty"):
        assert c.create(folder)[0] == "OK", folder
    for folder in ("Sent", "Lists." + JAPANESE):
        c.subscribe(folder)
    c.select("INBOX")
    c.copy("2:5", "Sent")
    c.copy("1:3", "Lists." + JAPANESE)
    # Gaps, and an order of UIDs that is not that of the files' names.
    c.store("4,7,12", "+FLAGS", r"\Deleted")
    c.expunge()
    c.select("Sent")
    c.store("1", "+FLAGS", r"\Deleted")
    c.expunge()
    c.select("Sent")
    c.copy("1", "INBOX")
    c.logout()


def test_same_as_before():
    try:
        with peers.Dovecot() as peer:
            fill(peer)
            top = peer.path("/mail/alice/Maildir")
            # Identifiers that Dovecot itself was given by an earlier import.
            path = os.path.join(top, "dovecot-uidlist")
            lines = open(path).read().split("\n")
            lines[2] = lines[2].replace(" ", " Pold.1 ", 1)
            lines[3] = lines[3].replace(" ", " P\"old,2\" ", 1)
            open(path, "w").write("\n".join(lines))
            p = poplib.POP3("127.0.0.1", peer.pop_port, timeout=suite.PATIENCE)
            p.user("alice")
            p.pass_("secret")
            ids = identifiers(p)
            assert {"old.1", '"old,2"'} <= set(flat(ids)) and len(ids) > 5, flat(ids)
            c = imaplib.IMAP4("127.0.0.1", peer.port, timeout=suite.PATIENCE)
            c.login("alice", "secret")
            before = served(c, ".")
            marks = subscribed(c, ".")
            c.logout()
            # What Dovecot has not seen yet.
            with open(os.path.join(top, "new/1700000001.M1P1.host"), "wb") as f:
                f.write(mail("new").replace(b"\r\n", b"\n"))
            os.chown(f.name, *map(os.stat(top).__getattribute__, ("st_uid", "st_gid")))
            check(top, before, marks, ids)
    except peers.Missing as e:
        return str(e)
    return None


def check(top, before, marks, ids):
    address = user("alice2")
    result, said = imports(address, os.path.dirname(top))
    number = sum(len(x[2]) for x in before.values())
    assert result["messages"] == number + 1 and result["renumbered"] == 0 and result["skipped"] == 0, (result, said)
    c = fife.imap(address)
    after = served(c, "/")
    assert after.keys() == before.keys(), (after.keys(), before.keys())
    for folder, (validity, uidnext, messages) in before.items():
        v, n, got = after[folder]
        assert v == validity and n >= uidnext, (folder, v, validity, n, uidnext)
        if folder == "INBOX":
            new = got.pop(max(got))
            assert b"number new" in new[2] and new[1] and n == uidnext + 1
        assert got.keys() == messages.keys(), (folder, got.keys(), messages.keys())
        for uid, message in messages.items():
            assert got[uid] == message, (folder, uid, got[uid][:2], message[:2])
    assert marks <= subscribed(c, "/"), (marks, subscribed(c, "/"))
    c.logout()
    now = identifiers(fife.pop(address))
    assert {m: now[m] for m in ids} == ids and len(now) == len(ids) + 1, (flat(now), flat(ids))
    assert len(set(flat(now))) == len(flat(now))
    # Once more: nothing is doubled, and what has come since is taken in.
    with open(os.path.join(top, "new/1700000002.M1P1.host"), "wb") as f:
        f.write(mail("newer").replace(b"\r\n", b"\n"))
    os.chown(f.name, *map(os.stat(top).__getattribute__, ("st_uid", "st_gid")))
    again, said = imports(address, top)
    assert again["skipped"] == number and again["renumbered"] == 0, again
    # Two that no list names: the one of before is not known by anything.
    assert again["messages"] == 2, again
    # Into a mailbox that has mail already: all of it comes, with other UIDs and the same identifiers.
    other = user("alice3")
    c = fife.imap(other)
    c.append("INBOX", "", None, mail("already"))
    result, said = imports(other, top)
    assert result["messages"] == number + 2 and result["renumbered"] > 0, result
    now = identifiers(fife.pop(other))
    assert {m: now[m] for m in ids} == ids
    c.logout()


def test_files_of_a_user():
    """What a user may have put into the Maildir leads nowhere else."""
    address = user("hostile")
    top = os.path.join(fife.dir, "hostile")
    for name in ("cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Bad/cur"):
        os.makedirs(os.path.join(top, name))
    secret = os.path.join(fife.dir, "secret")
    open(secret, "w").write("root's own\n")
    os.chmod(secret, 0o600)
    os.symlink(secret, os.path.join(top, "cur/1.M1P1.host:2,S"))
    os.link(secret, os.path.join(top, "cur/2.M1P1.host:2,S"))
    os.mkfifo(os.path.join(top, "cur/3.M1P1.host:2,S"))
    os.symlink("/etc", os.path.join(top, ".Etc"))
    os.symlink("/etc/passwd", os.path.join(top, "subscriptions"))
    open(os.path.join(top, "cur/4.M1P1.host:2,S"), "wb").write(b"Subject: mine\n\nx\n")
    open(os.path.join(top, "dovecot-uidlist"), "wb").write(
        b"3 V77 N4294967295\n4294967290 :4.M1P1.host\n7 :../../x\n8 \0\0:y\n" + b"9" * 100000 + b"\n")
    open(os.path.join(top, ".Junk/dovecot-uidlist"), "wb").write(os.urandom(5000))
    open(os.path.join(top, ".Junk/cur/5.M1P1.host:2,a"), "wb").write(b"Subject: junk\n\nx\n")
    open(os.path.join(top, "dovecot-keywords"), "wb").write(b"0 a b\n1\n\xff\n99 x\n" * 10)
    subprocess.run(["chown", "-hR", "nobody:nogroup", top], check=True)
    os.chown(secret, 0, 0)  # the link to it was one of the files
    result, said = imports(address, top, status=1)
    assert "Permission denied" in said and "3 files cannot be read" in said, said
    assert result["messages"] == 2, result
    c = fife.imap(address)
    found = served(c, "/")
    assert {f: [m[2] for m in x[2].values()] for f, x in found.items()} == {
        "INBOX": [b"Subject: mine\r\n\r\nx\r\n"] * len(found["INBOX"][2]), "Bad": [],
        "Junk": [b"Subject: junk\r\n\r\nx\r\n"] * len(found["Junk"][2])}, found
    assert found["INBOX"][0] == 77 and max(found["INBOX"][2]) < 10
    assert c.append("INBOX", "", None, mail("after"))[0] == "OK"
    c.logout()
    assert "no Maildir" in imports(address, "/etc", status=1)[1]
    assert "No such file" in imports(address, top + "/nowhere", status=1)[1]


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: ISC
"""fifectl mailbox: purge, reindex, export and import while sessions are open, and renaming."""
import io
import json
import mailbox
import os
import subprocess
import sys
import tarfile
import tempfile
import time

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"


def ctl(*words, status=0, input=None):
    """Standard output of fifectl, and standard error; the status must be that one."""
    p = subprocess.run([os.path.join(fife.run, "bin/fifectl"), *words], input=input, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, stdin=None if input is not None else subprocess.DEVNULL,
                       timeout=suite.PATIENCE)
    assert p.returncode == status, f"fifectl {words}: {p.returncode}, expected {status}: {p.stderr}"
    return p.stdout, p.stderr.decode()


def facts(*words, **how):
    return json.loads(ctl("-j", "mailbox", *words, **how)[0])[0]


def user(name):
    address = name + "@example.test"
    ctl("user", "add", address, input=b"secret\n")
    fife.passwords[address] = "secret"
    return address


def put(c, folder, text, flags="", date=None):
    typ, answer = c.append(folder, flags, date, text if isinstance(text, bytes) else text.encode())
    assert typ == "OK", answer


def mail(subject, sender="eve@elsewhere.test", body="text"):
    return f"From: Someone <{sender}>\r\nSubject: {subject}\r\n\r\n{body}\r\n"


def uids(c, folder):
    assert c.select(folder)[0] == "OK"
    return [int(u) for u in c.uid("SEARCH", "ALL")[1][0].split()]


def contents(c, folder):
    """(flags, octets) of all messages in order."""
    assert c.select(folder)[0] == "OK"
    out = []
    for u in c.uid("SEARCH", "ALL")[1][0].split():
        data = c.uid("FETCH", u, "(FLAGS BODY.PEEK[])")[1]
        words = data[0][0] + (data[1] if isinstance(data[1], bytes) else b"")
        flags = words[words.index(b"FLAGS (") + 7:].split(b")")[0].split()
        out.append((sorted(f for f in flags if f != rb"\Recent"), data[0][1]))
    return out


# ---- purge ----

def test_purge_by_criteria():
    address = user("purge")
    c = fife.imap(address)
    old = '"01-Jan-2020 00:00:00 +0000"'
    put(c, "INBOX", mail("old"), "", old)
    put(c, "INBOX", mail("seen", "news@shop.test"), r"\Seen")
    put(c, "INBOX", mail("large", body="x" * 5000), "$Label1")
    put(c, "INBOX", mail("plain", "Bob@Shop.TEST"))
    c.create("Other")
    put(c, "Other", mail("old too"), r"\Flagged", old)
    count = lambda *w: facts("purge", address, "--dry-run", *w)["messages"]
    assert count() == 5 and count("--folder", "INBOX") == 4 and count("--folder", "*") == 5
    assert count("--older", "30d") == 2 and count("--older", "30d", "--folder", "Oth*") == 1
    assert count("--larger", "4k") == 1 and count("--from", "shop.test") == 2 and count("--from", "*@SHOP.*") == 2
    assert count("--from", "bob@shop.test") == 1 and count("--from", "@elsewhere.test") == 3
    assert count("--flag", "seen") == 1 and count("--unflag", "seen") == 4
    assert count("--flag", "$label1") == 1 and count("--unflag", "$Label1") == 4 and count("--flag", "$none") == 0
    for words in (("--older", "x"), ("--older",), ("--larger", "1z"), ("--nonsense", "1"), ("--flag", r"\nothing"), ("--mbox",)):
        ctl("mailbox", "purge", address, *words, status=2)
    assert address in ctl("mailbox", "purge", address, "--folder", "Nowhere", status=1)[1]
    assert "nobody@example.test" in ctl("mailbox", "purge", "nobody@example.test", status=1)[1]
    assert len(uids(c, "INBOX")) == 4
    # An open session is told, and nobody else's mail is touched.
    assert c.select("INBOX")[0] == "OK"
    done = facts("purge", address, "--older", "30d", "--unflag", "flagged")
    assert done["messages"] == 1 and done["folders"] == 1 and done["octets"] == len(mail("old"))
    c.noop()
    assert c.response("EXPUNGE")[1] == [b"1"]
    assert uids(c, "INBOX") == [2, 3, 4] and uids(c, "Other") == [1]
    assert facts("purge", address)["messages"] == 4
    assert uids(c, "INBOX") == [] and uids(c, "Other") == []
    put(c, "INBOX", mail("new"))
    assert uids(c, "INBOX") == [5]
    c.logout()


def mail_dir(address):
    local, domain = address.split("@")
    for base in ("mail", "state/mail"):
        path = os.path.join(fife.run, base, domain, local, "Maildir")
        if os.path.isdir(path):
            return path
    raise AssertionError("no Maildir of " + address)


def test_purge_of_many():
    address = user("many")
    c = fife.imap(address)
    assert c.select("INBOX")[0] == "OK"  # which has made it
    path = mail_dir(address)
    st = os.stat(path)
    number = 5000 if suite.SAN else 50000
    for i in range(number):
        name = f"{path}/new/1700000000.M{i}P1.host"
        with open(name, "w") as f:
            f.write(f"From: {'a' if i % 2 else 'b'}@bulk.test\nSubject: {i}\n\nx\n")
        os.chown(name, st.st_uid, st.st_gid)
    assert int(c.select("INBOX")[1][0]) == number
    begin = time.monotonic()
    assert facts("purge", address, "--from", "a@bulk.test")["messages"] == number // 2
    middle = time.monotonic()
    assert facts("purge", address, "--folder", "INBOX")["messages"] == number // 2
    print(f"  {number // 2} by sender: {middle - begin:.2f} s; the rest: {time.monotonic() - middle:.2f} s")
    assert c.noop()[0] == "OK" and uids(c, "INBOX") == []
    # (one entry only: a whole listing each time would hold up whoever unlinks)
    wait_for(lambda: not any(os.scandir(path + "/cur")), "the files are gone", 3 * suite.PATIENCE)
    c.logout()


# ---- reindex ----

def test_reindex():
    address = user("again")
    c = fife.imap(address)
    for i in range(5):
        put(c, "INBOX", mail(str(i)), r"\Seen $Mark" if i % 2 else "")
    c.select("INBOX")
    c.store("2", "+FLAGS", r"\Deleted")
    c.expunge()
    before = (uids(c, "INBOX"), contents(c, "INBOX"), c.response("UIDVALIDITY"))
    done = facts("reindex", address)
    assert done["messages"] == 4 and done["folders"] >= 1
    assert (uids(c, "INBOX"), contents(c, "INBOX"), c.response("UIDVALIDITY")) == before
    put(c, "INBOX", mail("after"))
    assert uids(c, "INBOX") == [1, 3, 4, 5, 6]
    d = fife.imap(address)
    assert uids(d, "INBOX") == [1, 3, 4, 5, 6] and contents(d, "INBOX")[:4] == before[1]
    for s in (c, d):
        s.logout()
    ctl("mailbox", "reindex", address, "--folder", "INBOX", status=2)
    ctl("mailbox", "reindex", "nobody@example.test", status=1)


# ---- export and import ----

ODD = [(r"\Seen \Flagged", b"Subject: a\r\n\r\nFrom here\r\n>From there\r\n>>From\r\n\r\nFrom x\r\n\r\n\r\n"),
       (r"\Answered $Work", "Subject: ü\r\n\r\n".encode() + b"y" * 5000 + b"\r\n"),
       ("", b"no header at all\r\n"),
       (r"\Draft \Deleted", b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 60000),
       (r"$Work $Other", b"Status: not ours\r\nSubject: header only\r\n\r\n"),
       ("", b"\r\nStatus: RO is text here\r\n")]


def test_without_the_index():
    """UIDs, flags and keywords, also more than the letters of file names, outlive it."""
    nina = user("nina")
    top = os.path.join(fife.run, "mail/example.test/nina")
    words = " ".join(f"word{n}" for n in range(40))
    c = fife.imap(nina)
    c.select("INBOX")
    for n in range(3):
        put(c, "INBOX", mail(f"number {n}"))
    assert c.store("2", "+FLAGS", f"(\\Flagged {words})")[0] == "OK"
    c.expunge()
    before = [c.uid("FETCH", "1:*", "(FLAGS)")[1], c.response("UIDVALIDITY")[1]]
    path = os.path.join(top, "Maildir/fife-keywords")
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 40, "the file of keywords")
    fife.stop()
    for name in ("data.mdb", "lock.mdb", "log"):
        if os.path.exists(os.path.join(top, "index", name)):
            os.unlink(os.path.join(top, "index", name))
    fife.start()
    fife.passwords[nina] = "secret"
    c = fife.imap(nina)
    c.select("INBOX")
    after = c.uid("FETCH", "1:*", "(FLAGS)")[1]

    def plain(rows):
        return [sorted(set(row.replace(b"(", b" ").replace(b")", b" ").split()) - {b"\\Recent"}) for row in rows]
    assert plain(after) == plain(before[0]), (after, before)
    assert b"word39" in after[1] and b"word39" not in after[0]
    c.logout()


def test_export_and_import_as_tar():
    one, two = user("tarfrom"), user("tarto")
    c = fife.imap(one)
    folders = ("INBOX", '"a/b"', '"B&APw-cher"')
    c.create('"a/b"')
    c.create('"B&APw-cher"')
    for folder in folders:
        for flags, text in ODD:
            put(c, folder, text, flags)
        put(c, folder, b"Subject: bare\n\nlf\rcr\r\n")
    data, summary = ctl("mailbox", "export", one)
    assert f"{len(folders) * (len(ODD) + 1)}" in summary
    names = tarfile.open(fileobj=io.BytesIO(data)).getnames()
    assert any(n.startswith("Maildir/.a.b/cur/") for n in names), names[:5]
    before = [contents(c, f) for f in folders]
    # Python's tarfile, in another form, makes it again with the keywords' file at its end.
    again = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=again, mode="w", format=tarfile.GNU_FORMAT) as new:
        for m in sorted(old.getmembers(), key=lambda m: "keywords" in m.name):
            new.addfile(m, old.extractfile(m) if m.isreg() else None)
    d = fife.imap(two)
    got, _ = ctl("-j", "mailbox", "import", two, input=data)
    assert json.loads(got)[0]["messages"] == len(folders) * (len(ODD) + 1)
    bare = b"Subject: bare\n\nlf\rcr\r\n"
    fixed = bare.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")
    expected = [[(f, fixed if t == bare else t) for f, t in b] for b in before]
    assert [contents(d, f) for f in folders] == expected
    ctl("mailbox", "import", two, "--folder", "copy", input=again.getvalue())
    assert [contents(d, f) for f in ("copy", '"copy/a/b"', '"copy/B&APw-cher"')] == expected
    # Cut short: what was whole stays, and it is said.
    assert two in ctl("mailbox", "import", two, "--folder", "cut", input=data[:len(data) // 2], status=1)[1]
    assert len(uids(d, "cut")) > 0
    c.logout()
    d.logout()


def test_export_and_import_as_mbox():
    one, two = user("mboxfrom"), user("mboxto")
    c, d = fife.imap(one), fife.imap(two)
    for flags, text in ODD:
        put(c, "INBOX", text, flags, '"02-Mar-2021 04:05:06 +0000"')
    data, _ = ctl("mailbox", "export", one, "--mbox", "--folder", "inbox")
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as f:
        f.write(data)
        f.flush()
        box = mailbox.mbox(f.name)
        assert len(box) == len(ODD) and box[0]["Subject"] == "a" and "F" in box[0].get_flags()
        box.close()
    ctl("mailbox", "import", two, "--folder", "in/mbox", input=data)
    assert contents(d, '"in/mbox"') == contents(c, "INBOX")
    d.select('"in/mbox"')
    assert b"02-Mar-2021 04:05:06 +0000" in d.fetch("1", "INTERNALDATE")[1][0]
    for bad in (b"nonsense, and more of it", b"\x1f\x8b\x08\0\0\0\0\0", b"x"):
        assert two in ctl("mailbox", "import", two, input=bad, status=1)[1]
    assert json.loads(ctl("-j", "mailbox", "import", two, input=b"")[0])[0]["messages"] == 0
    ctl("mailbox", "import", two, "--folder", "a//b", input=data, status=1)
    ctl("mailbox", "import", "nobody@example.test", input=data, status=1)
    ctl("mailbox", "export", one, "--folder", "none", status=1)
    ctl("mailbox", "export", one, "--older", "1d", status=2)
    c.logout()
    d.logout()


def test_import_beyond_the_quota():
    address = user("small")
    ctl("user", "set", address, "quota=1k")
    c = fife.imap(address)
    assert c.append("INBOX", "", None, b"Subject: x\r\n\r\n" + b"y" * 2000)[0] == "NO"
    ctl("mailbox", "import", address, input=b"From x Mon Jan  2 15:04:05 2006\nSubject: x\n\n" + b"y" * 2000 + b"\n")
    assert len(uids(c, "INBOX")) == 1
    assert c.append("INBOX", "", None, b"Subject: x\r\n\r\n" + b"y" * 2000)[0] == "NO"
    c.logout()


def test_export_to_nobody():
    """Who reads the output goes away; the mailbox serves on."""
    address = user("pipe")
    c = fife.imap(address)
    for _ in range(4):
        put(c, "INBOX", b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 100000)
    p = subprocess.Popen([os.path.join(fife.run, "bin/fifectl"), "mailbox", "export", address], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    p.stdout.read(1000)
    p.stdout.close()
    assert p.wait(suite.PATIENCE) == 1, p.stderr.read()
    p.stderr.close()
    # fifectl itself is killed in the midst of an import.
    p = subprocess.Popen([os.path.join(fife.run, "bin/fifectl"), "mailbox", "import", address], stdin=subprocess.PIPE)
    p.stdin.write(b"From x Mon Jan  2 15:04:05 2006\nSubject: half\n\nx\n\nFrom x Mon Jan  2 15:04:05 2006\nSubject: y\n")
    p.stdin.flush()
    wait_for(lambda: len(uids(c, "INBOX")) == 5, "the first message")
    p.kill()
    p.wait()
    assert facts("purge", address, "--dry-run")["messages"] == 5
    p.stdin.close()
    assert len(uids(c, "INBOX")) == 5
    c.logout()


# ---- rename ----

def test_rename_keeps_all():
    old, new = user("before"), "after@example.test"
    c = fife.imap(old)
    c.create("Kept")
    for i in range(3):
        put(c, "Kept", mail(str(i)), r"\Seen")
    c.select("Kept")
    validity = c.response("UIDVALIDITY")[1]
    c.store("2", "+FLAGS", r"\Deleted")
    c.expunge()
    kept = contents(c, "Kept")
    c.logout()
    ctl("sieve", "put", old, "main", input=b'require "fileinto"; fileinto "Kept";')
    ctl("sieve", "activate", old, "main")
    ctl("user", "rename", old, new)
    fife.passwords[new] = "secret"
    c = fife.imap(new)
    assert uids(c, "Kept") == [1, 3] and contents(c, "Kept") == kept
    c.select("Kept")
    assert c.response("UIDVALIDITY")[1] == validity
    # The old address is an alias, and the rules go on for both.
    for rcpt in (old, new):
        fife.send("eve@elsewhere.test", [rcpt], mail("to " + rcpt))
    wait_for(lambda: len(uids(c, "Kept")) == 4, "both came")
    assert uids(c, "Kept")[:2] == [1, 3] and uids(c, "INBOX") == []
    assert "main" in ctl("sieve", "list", new)[0].decode()
    assert facts("purge", new, "--dry-run", "--folder", "Kept")["messages"] == 4
    c.logout()


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

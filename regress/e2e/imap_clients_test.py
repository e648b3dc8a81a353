# SPDX-License-Identifier: ISC
"""Programs that people synchronise their mail with, both ways: what is changed on either side is
found on the other."""
import imaplib
import os
import shutil
import subprocess
import sys

import suite

fife = None
BOB = "bob@example.test"


def login():
    m = imaplib.IMAP4("127.0.0.1", fife.port(143))
    m.login(BOB, fife.passwords[BOB])
    return m


def message(subject, body="body\r\n"):
    return f"From: a@x.test\r\nMessage-ID: <{subject}@x.test>\r\nSubject: {subject}\r\n\r\n{body}".encode()


def local(path):
    """Subject: (file, flags) of a Maildir."""
    out = {}
    for sub in ("new", "cur"):
        d = os.path.join(path, sub)
        for name in os.listdir(d):
            text = open(os.path.join(d, name), "rb").read()
            subject = next(x[9:] for x in text.splitlines() if x.startswith(b"Subject: ")).decode()
            assert subject not in out, "twice: " + subject
            out[subject] = (os.path.join(d, name), name.rpartition(":2,")[2] if ":2," in name else "")
    return out


def remote(m, folder):
    m.select(folder)
    out = {}
    for uid in m.uid("SEARCH", "ALL")[1][0].split():
        _, data = m.uid("FETCH", uid, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        text = b" ".join(x if isinstance(x, bytes) else b" ".join(x) for x in data)
        subject = text.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode()
        assert subject not in out, "twice: " + subject
        out[subject] = (uid, imaplib.ParseFlags(text))
    return out


def both_ways(folder, path, sync):
    m = login()
    m.create(folder)
    for subject in ("one", "two", "three"):
        m.append(folder, None, None, message(subject))
    sync()
    assert sorted(local(path)) == ["one", "three", "two"]
    # here: a flag, one less, one more
    here = local(path)
    os.rename(here["one"][0], os.path.join(path, "cur", os.path.basename(here["one"][0]).partition(":2,")[0] + ":2,FS"))
    os.unlink(here["two"][0])
    with open(os.path.join(path, "new", "1.here.x"), "wb") as f:
        f.write(message("four").replace(b"\r\n", b"\n"))
    sync()
    there = remote(m, folder)
    assert sorted(there) == ["four", "one", "three"], there
    assert b"\\Seen" in there["one"][1] and b"\\Flagged" in there["one"][1], there
    assert b"\\Seen" not in there["three"][1], there
    # there: the same
    m.uid("STORE", there["three"][0], "+FLAGS", "(\\Answered)")
    m.uid("STORE", there["one"][0], "-FLAGS", "(\\Flagged)")
    m.uid("STORE", there["four"][0], "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.append(folder, "(\\Seen)", None, message("five"))
    sync()
    here = local(path)
    assert sorted(here) == ["five", "one", "three"], here
    assert "R" in here["three"][1] and "F" not in here["one"][1] and "S" in here["five"][1], here
    # nothing more to do
    before = remote(m, folder)
    sync()
    assert remote(m, folder) == before and local(path) == here
    m.logout()


def run_program(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=120,
                       env=dict(os.environ, HOME=fife.dir), stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p.stdout[-3000:]


def test_mbsync_both_ways():
    if not shutil.which("mbsync"):
        return "no mbsync"
    top, rc = os.path.join(fife.dir, "mb"), os.path.join(fife.dir, "mbrc")
    os.makedirs(top)
    with open(rc, "w") as f:
        f.write(f"IMAPStore far\nHost 127.0.0.1\nPort {fife.port(143)}\nUser {BOB}\nPass {fife.passwords[BOB]}\nSSLType None\n"
                f"AuthMechs *\n\nMaildirStore near\nPath {top}/\nInbox {top}/INBOX\nSubFolders Verbatim\n\nChannel all\n"
                f"Far :far:\nNear :near:\nPatterns mb*\nCreate Both\nExpunge Both\nSync All\nSyncState *\n")
    both_ways("mb", os.path.join(top, "mb"),
              lambda: run_program("mbsync", "-c", rc, "all"))


def test_offlineimap_both_ways():
    if not shutil.which("offlineimap"):
        return "no offlineimap"
    top, rc = os.path.join(fife.dir, "off"), os.path.join(fife.dir, "offrc")
    with open(rc, "w") as f:
        f.write(f"[general]\naccounts = a\nui = quiet\nmetadata = {fife.dir}/offmeta\n[Account a]\nlocalrepository = near\n"
                f"remoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = {top}\n[Repository far]\n"
                f"type = IMAP\nremotehost = 127.0.0.1\nremoteport = {fife.port(143)}\nremoteuser = {BOB}\n"
                f"remotepass = {fife.passwords[BOB]}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN, LOGIN\n"
                f"folderfilter = lambda name: name == 'off'\n")
    both_ways("off", os.path.join(top, "off"), lambda: run_program("offlineimap", "-c", rc, "-o"))


def run():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if run() else 0)

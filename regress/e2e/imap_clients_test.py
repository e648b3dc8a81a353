# SPDX-License-Identifier: ISC
"""Programs that people synchronise their mail with, both ways: what is changed on either side is
found on the other."""
import imaplib
import json
import os
import pty
import re
import shutil
import select
import subprocess
import sys
import time

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


IMAPFLOW = os.path.join(suite.TOP, "build/peers/imapflow")


def test_imapflow():
    if not shutil.which("node"):
        return "no node"
    if not os.path.isdir(os.path.join(IMAPFLOW, "node_modules/imapflow")):
        return "(imapflow is not in build/peers)"
    what = {"module": IMAPFLOW, "user": BOB, "password": fife.passwords[BOB], "plain": fife.port(143), "tls": fife.port(993),
            "ca": os.path.join(fife.run, "tls/cert.pem"), "patience": suite.PATIENCE}
    p = subprocess.Popen(["node", os.path.join(suite.TOP, "regress/e2e/imapflow_client.js")], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        p.stdin.write(json.dumps(what))
        p.stdin.close()
        said = ""
        for line in p.stdout:
            said += line
            if line == "idle\n":
                fife.send("a@x.test", [BOB], message("for imapflow"))
        assert p.wait(suite.PATIENCE) == 0 and re.search(r"^all \d+ checks$", said, re.M), said
    finally:
        p.kill()
        p.wait()


def in_terminal(argv):
    """Runs a program that wants a terminal; what it drew."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", HOME=fife.dir, TMPDIR=fife.dir, LANG="C.UTF-8", COLUMNS="100", LINES="40")
        os.execvp(argv[0], argv)
    drawn, end = b"", time.monotonic() + suite.PATIENCE
    try:
        while time.monotonic() < end:
            if not select.select([fd], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(fd, 65536)
            except OSError:  # it has closed its terminal
                piece = b""
            if not piece:
                break
            drawn += piece
        else:
            os.kill(pid, 9)
            raise AssertionError(f"{argv[0]} does not end: {drawn[-1500:]!r}")
    finally:
        os.close(fd)
        status = os.waitpid(pid, 0)[1]
    assert status == 0, f"{argv[0]}: {status}: {drawn[-1500:]!r}"
    return drawn


def reader(program, tls):
    """A session of mutt's as somebody types it; then one after changes were made elsewhere."""
    if not shutil.which(program):
        return "no " + program
    folder, away, cache = program, program + "-away", os.path.join(fife.dir, program)
    rc, out = cache + ".rc", cache + ".out"
    os.mkdir(cache + ".cache")
    url = f"imap{'s' if tls else ''}://127.0.0.1:{fife.port(993 if tls else 143)}/"
    with open(rc, "w") as f:
        f.write(f"set imap_user={BOB}\nset imap_pass={fife.passwords[BOB]}\nset folder={url}\nset spoolfile=+INBOX\n"
                f"set ssl_force_tls=no\nset ssl_starttls=no\nset certificate_file={fife.run}/tls/cert.pem\n"
                f"set header_cache={cache}.cache\nset imap_qresync=yes\nset imap_condstore=yes\nset confirmappend=no\n"
                f"set confirmcreate=yes\nset quit=yes\nset delete=yes\nset wait_key=no\nset pipe_split=yes\n"
                f"set pipe_decode=no\nset sort=mailbox-order\nset pager_stop=yes\nset mark_old=no\nset postpone=no\n"
                f"set record=\nset move=no\nset sleep_time=0\nset auto_tag=no\nset resolve=no\n")

    def go(*keys):
        in_terminal([program, "-n", "-F", rc, "-f", url + folder, "-e", "push '" + "".join(keys) + "<sync-mailbox><quit>'"])

    def at(subject):
        return f"<first-entry><search>~s {subject}<enter>"

    m = login()
    m.create(folder)
    for subject in ("zero", "one", "two", "three", "four", "five"):
        m.append(folder, None, None, message(subject, f"needle {subject}\r\n" if subject in ("two", "five") else "body\r\n"))
    go(at("one"), "<display-message><exit>",
       at("two"), "<flag-message>", f"<pipe-message>cat>>{out}<enter>",
       at("three"), f"<copy-message>={away}<enter>y",
       at("four"), "<delete-message>",
       "<tag-pattern>=b needle<enter><tag-prefix><set-flag>r<untag-pattern>~A<enter>",
       at("five"), f"<save-message>={away}<enter>")
    there = remote(m, folder)
    assert sorted(there) == ["one", "three", "two", "zero"], there
    assert b"\\Seen" in there["one"][1] and b"\\Flagged" in there["two"][1] and b"\\Answered" in there["two"][1], there
    assert not set(there["zero"][1]) & {b"\\Seen", b"\\Flagged", b"\\Answered"}, there
    gone = remote(m, away)
    assert sorted(gone) == ["five", "three"] and b"\\Answered" in gone["five"][1], gone
    with open(out) as f:
        text = f.read()
    assert "Subject: two\n" in text and "needle two\n" in text and text.count("Subject:") == 1, text
    os.unlink(out)

    # Changed elsewhere while it was away; what it knows is what it kept and what it is told.
    m.select(folder)
    m.uid("STORE", there["zero"][0], "+FLAGS", "(\\Flagged)")
    m.uid("STORE", there["two"][0], "-FLAGS", "(\\Flagged)")
    m.uid("STORE", there["one"][0], "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.append(folder, None, None, message("six"))
    go("<tag-pattern>~F<enter><tag-prefix><set-flag>r<untag-pattern>~A<enter>",
       f"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat>>{out}<enter>")
    after = remote(m, folder)
    assert sorted(after) == ["six", "three", "two", "zero"], after
    assert b"\\Answered" in after["zero"][1] and b"\\Answered" not in after["six"][1], after
    with open(out) as f:
        subjects = [x[9:-1] for x in f if x.startswith("Subject: ")]
    assert subjects == ["zero", "two", "three", "six"], subjects
    m.logout()
    return None


def test_mutt():
    return reader("mutt", True)


def test_neomutt():
    return reader("neomutt", False)


def run():
    global fife
    with suite.Suite() as fife:
        return suite.main(sys.modules[__name__])


if __name__ == "__main__":
    sys.exit(1 if run() else 0)

# SPDX-License-Identifier: ISC
"""The measurement of search.sh: messages out of a vocabulary are put into a Maildir, the rare words into some."""
import glob
import imaplib
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mails  # noqa: E402
import suite  # noqa: E402
from mails import RARE  # noqa: E402

MANY = int(os.environ.get("BENCH_SEARCH", "50000"))
ALICE = "alice@example.test"
QUERIES = [("TEXT", RARE), ("BODY", RARE), ("TEXT", "zzyzx"), ("SUBJECT", RARE), ("TEXT", "wordandnowhere")]
imaplib._MAXLINE = 10_000_000


def measure(c, what):
    figures = []
    c.select("INBOX", readonly=True)
    for key, word in QUERIES:
        times = []
        for _ in range(4):
            began = time.perf_counter()
            hits = c.uid("SEARCH", key, word)[1][0].split()
            times.append(time.perf_counter() - began)
        figures.append(times)
        print(f"{what}: SEARCH {key} {word}: {len(hits)} found; first {times[0] * 1000:.1f} ms, "
              f"then {min(times[1:]) * 1000:.1f} ms", flush=True)
    return figures


def dovecot(source):
    """Its plain search: imap on its standard streams, without any daemon."""
    top = tempfile.mkdtemp(prefix="fife-bench-dovecot.", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
    try:
        subprocess.run(["cp", "-a", source, top + "/Maildir"], check=True)
        for f in glob.glob(top + "/Maildir/fife-*"):
            os.unlink(f)
        conf = top + "/dovecot.conf"
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"base_dir = {top}/base\nstate_dir = {top}/state\nmail_location = maildir:{top}/Maildir\n"
                    f"log_path = {top}/log\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nssl = no\n"
                    "protocols = imap\nlisten = 127.0.0.1\n")
        shutil.chown(top, "nobody", "nogroup")
        subprocess.run(["chown", "-R", "nobody:nogroup", top], check=True)
        with imaplib.IMAP4_stream(f"HOME={top} USER=bench setpriv --reuid nobody --regid nogroup --clear-groups "
                                  f"/usr/lib/dovecot/imap -c {conf} 2>/dev/null") as c:
            return measure(c, "dovecot")
    finally:
        shutil.rmtree(top, ignore_errors=True)


with suite.Suite() as fife:
    c = fife.imap(ALICE)
    c.select("INBOX")
    c.logout()
    root = glob.glob(fife.run + "/**/example.test/alice", recursive=True)[0]
    owner = os.stat(root + "/Maildir/cur")
    total = mails.fill(root + "/Maildir/cur", MANY)
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", root + "/Maildir/cur"], check=True)
    print(f"{MANY} messages, {total / 1e6:.0f} MB", flush=True)
    c = fife.imap(ALICE)
    began = time.perf_counter()
    c.select("INBOX", readonly=True)
    print(f"fife: taken in in {time.perf_counter() - began:.1f} s", flush=True)
    own = measure(c, "fife")
    c.logout()
    size = sum(os.path.getsize(f) for f in glob.glob(root + "/index/search-*"))
    print(f"fife: the search index has {size / 1e6:.1f} MB: {100 * size / total:.1f} % of the messages")
    if os.path.exists("/usr/lib/dovecot/imap"):
        other = dovecot(root + "/Maildir")
        for (key, word), a, b in zip(QUERIES, own, other):
            print(f"SEARCH {key} {word}: {min(b[1:]) / min(a[1:]):.0f} times as fast as dovecot")

# SPDX-License-Identifier: ISC
"""The measurement of search.sh: messages out of a vocabulary are put into a Maildir, the rare words into some."""
import glob
import imaplib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import suite  # noqa: E402

MANY = int(os.environ.get("BENCH_SEARCH", "50000"))
ALICE = "alice@example.test"
RARE = "xylographer"
QUERIES = [("TEXT", RARE), ("BODY", RARE), ("TEXT", "zzyzx"), ("SUBJECT", RARE), ("TEXT", "wordandnowhere")]
imaplib._MAXLINE = 10_000_000


def vocabulary(rng):
    """Words as a language has them: few are frequent, most are rare."""
    parts = "a e i o u an er in on re th st ch sh pl gr br tion ment ing ed ly s t n r l m d k p b g f v w".split()
    words = {"".join(rng.choice(parts) for _ in range(rng.randint(1, 4))) for _ in range(30000)}
    words = sorted(words)
    rng.shuffle(words)
    return words, [1 / (i + 3) for i in range(len(words))]


def generate(folder):
    rng = random.Random(7)
    words, weights = vocabulary(rng)
    pool = rng.choices(words, weights, k=2_000_000)
    octets = 0
    for i in range(MANY):
        at = rng.randrange(len(pool) - 2000)
        body, line, size = [], [], rng.randint(1500, 5500)
        n = 0
        while n < size:
            line.append(pool[at])
            n += len(pool[at]) + 1
            at += 1
            if len(line) == 12:
                body.append(" ".join(line))
                line = []
        if i % (MANY // 5) == 7:
            body.append("here is the " + RARE + " of the house")
        name = pool[at]
        text = (f"Return-Path: <{name}@list.example>\r\nReceived: from mx{i % 97}.example.test (mx.example.test "
                f"[192.0.2.{i % 250}])\r\n\tby mail.example.test with ESMTPS id {rng.getrandbits(64):x}\r\n"
                f"From: {name.title()} <{name}@list.example>\r\nTo: alice@example.test\r\n"
                f"Subject: {' '.join(pool[at:at + 5])}\r\nDate: Mon, 6 Oct 2025 10:{i % 60:02}:00 +0000\r\n"
                f"Message-ID: <{rng.getrandbits(80):x}@list.example>\r\nMIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n".join(body) + "\r\n").encode()
        octets += len(text)
        with open(os.path.join(folder, f"{1700000000 + i}.M{i}P1.bench,S={len(text)}:2,"), "wb") as f:
            f.write(text)
    return octets


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
    total = generate(root + "/Maildir/cur")
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

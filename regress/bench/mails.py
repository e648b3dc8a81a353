# SPDX-License-Identifier: ISC
"""Messages for the benches of mailboxes: text out of a vocabulary in which, as in a language, few words
are frequent and most are rare; a word that no other text has in RARE_HITS of them."""
import os
import random

RARE = "xylographer"
RARE_HITS = 5


def vocabulary(rng):
    parts = "a e i o u an er in on re th st ch sh pl gr br tion ment ing ed ly s t n r l m d k p b g f v w".split()
    words = {"".join(rng.choice(parts) for _ in range(rng.randint(1, 4))) for _ in range(30000)}
    words = sorted(words)
    rng.shuffle(words)
    return words, [1 / (i + 3) for i in range(len(words))]


def fill(folder, many, multipart=0):
    """Maildir files in a directory; every multipart-th has two parts. Returns their octets."""
    rng = random.Random(7)
    words, weights = vocabulary(rng)
    pool = rng.choices(words, weights, k=2_000_000)
    octets = 0
    for i in range(many):
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
        if i % max(many // RARE_HITS, 1) == 7:
            body.append("here is the " + RARE + " of the house")
        name = pool[at]
        head = (f"Return-Path: <{name}@list.example>\r\nReceived: from mx{i % 97}.example.test (mx.example.test "
                f"[192.0.2.{i % 250}])\r\n\tby mail.example.test with ESMTPS id {rng.getrandbits(64):x}\r\n"
                f"From: {name.title()} <{name}@list.example>\r\nTo: alice@example.test\r\n"
                f"Subject: {' '.join(pool[at:at + 5])}\r\nDate: Mon, 6 Oct 2025 10:{i % 60:02}:00 +0000\r\n"
                f"Message-ID: <{rng.getrandbits(80):x}@list.example>\r\nMIME-Version: 1.0\r\n")
        plain = "Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n".join(body) + "\r\n"
        if multipart and i % multipart == 0:
            text = (head + "Content-Type: multipart/alternative; boundary=\"=_bench\"\r\n\r\n--=_bench\r\n" + plain +
                    "--=_bench\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>" + body[0] +
                    "</p>\r\n--=_bench--\r\n").encode()
        else:
            text = (head + plain).encode()
        octets += len(text)
        with open(os.path.join(folder, f"{1700000000 + i}.M{i}P1.bench,S={len(text)}:2,"), "wb") as f:
            f.write(text)
    return octets


def fill_links(folder, many):
    """The same small message very often: hard links, which a file system has some ten thousands of a file."""
    text = b"From: a@list.example\r\nSubject: the same\r\nDate: Mon, 6 Oct 2025 10:00:00 +0000\r\n\r\nA line.\r\n"
    source = None
    for i in range(many):
        path = os.path.join(folder, f"{1700000000 + i}.M{i}P1.bench,S={len(text)}:2,")
        if i % 50000 == 0:
            source = path
            with open(path, "wb") as f:
                f.write(text)
        else:
            os.link(source, path)

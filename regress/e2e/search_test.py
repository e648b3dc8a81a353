# SPDX-License-Identifier: ISC
"""Full text search: mail in several charsets, HTML, names of attachments; that the answers are the same without the
search index, with it, when it is damaged or lost, and after the mailbox process was killed."""
import base64
import glob
import os
import random
import signal
import sys

import suite
from suite import wait_for

fife = None
ALICE = "alice@example.test"

# charset, subject, text, words that it must be found by
MAILS = [
    ("gbk", "会议通知", "请大家明天上午十点在三楼会议室开会。", ["会议", "三楼会议室", "十", "会议通知"]),
    ("gb18030", "報告", "項目報告已經完成，請查收附件。㐀", ["項目報告", "查收", "㐀"]),
    ("big5", "生日快樂", "祝你生日快樂，身體健康！", ["身體健康", "生日快樂"]),
    ("iso-2022-jp", "お知らせ", "明日の会議は東京タワーで行います。", ["東京タワー", "お知らせ", "行います"]),
    ("euc-kr", "안녕하세요", "내일 서울에서 만나요.", ["서울에서", "안녕", "만나"]),
    ("koi8-r", "Привет", "Съешь же ещё этих мягких французских булок.", ["французских", "ПРИВЕТ", "мягк"]),
    ("windows-1251", "Отчёт", "Годовой отчёт готов.", ["годовой", "ОТЧЁТ"]),
    ("iso-8859-1", "Grüße", "Die Straße führt über die Brücke.", ["straße", "BRÜCKE", "grüße", "ührt ü"]),
    ("utf-8", "Ελληνικά", "Καλημέρα κόσμε 😀", ["ΚΑΛΗΜΈΡΑ", "κόσμε", "😀"]),
]


def word(charset, text):
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


def in_charset(charset, subject, text):
    body = base64.encodebytes(text.encode(charset)).decode()
    return (f"From: {word('utf-8', 'Ünal')} <sender@elsewhere.test>\r\n"
            f"To: {ALICE}\r\nSubject: {word(charset, subject)}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}").encode()


HTML = (b"From: w@elsewhere.test\r\nSubject: page\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<html><style>p { color: chartreuse }</style><body class=3D\"wrapper\"><p>Won<b>der</b>ful caf=C3=\r\n=A9 &amp; "
        b"cr&egrave;me</p><!-- hidden --><td>left</td><td>right</td></body></html>\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''Jahres%C3%BCbersicht%202026.pdf\r\n\r\nAAAA\r\n"
        b"--b\r\nContent-Type: image/png; name=\"=?utf-8?Q?Sch=C3=B6nes_Bild.png?=\"\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n")


def client(folder):
    c = fife.imap()
    c.create(folder)
    assert c.select(folder)[0] == "OK"
    return c


def search(c, key, text):
    # As a literal, which needs no quoting.
    c.literal = text.encode()
    typ, data = c.uid("SEARCH", "CHARSET", "UTF-8", *key.split())
    assert typ == "OK", data
    return [int(n) for n in data[0].split()]


def add(c, folder, message):
    typ, data = c.append(folder, None, None, message)
    assert typ == "OK", data
    return int(data[0].split(b"]")[0].split()[-1])


def root():
    return glob.glob(fife.run + "/**/example.test/alice", recursive=True)[0]


def index_files():
    return glob.glob(root() + "/index/search-*")


def mailbox_pids():
    """The process whose root is alice's mailbox."""
    return [p for p in fife.pids() if link(p) == os.path.realpath(root())]


def link(pid):
    try:
        return os.readlink(f"/proc/{pid}/root")
    except OSError:
        return None


def restart():
    for pid in mailbox_pids():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not mailbox_pids(), "the end of the mailbox process")


def test_charsets_html_and_names():
    c = client("charsets")
    wanted = []
    for charset, subject, text, words in MAILS:
        uid = add(c, "charsets", in_charset(charset, subject, text))
        wanted += [("TEXT", w, uid) for w in words]
        wanted += [("BODY", w, uid) for w in words if w.lower() in text.lower()]
        wanted.append(("SUBJECT", subject, uid))
    page = add(c, "charsets", HTML)
    wanted += [("BODY", w, page) for w in ("wonderful", "café & crème", "left right", "jahresübersicht 2026", "schönes bild")]
    c.select("charsets")
    for turn in range(3):
        for key, text, uid in wanted:
            found = search(c, key, text)
            assert uid in found, (turn, key, text, uid, found)
        for text in ("chartreuse", "wrapper", "hidden", "<p>", "会开", "nothing of it"):
            assert search(c, "BODY", text) == [], (turn, text)
        assert page not in search(c, "FROM", "sender@elsewhere.test")
        assert len(search(c, "FROM", "ünal")) == len(MAILS)
        assert search(c, "NOT BODY", "wonderful") == [u for u in range(1, page + 1) if u != page]
        if turn == 0:
            assert index_files(), "a search made no index"
        if turn == 1:
            c.logout()
            restart()
            c = client("charsets")
    c.logout()


def random_mail(rng, n):
    # None that comparing takes apart, as it does with accents.
    words = ["".join(rng.choice("abcdeщюж漢字かな한국") for _ in range(rng.randint(1, 7))) for _ in range(150)]
    return (f"From: a{n}@elsewhere.test\r\nSubject: {n} plain\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + "\r\n".join(" ".join(words[i:i + 10]) for i in range(0, 150, 10)) + "\r\n"), " ".join(words)


def check_random(c, texts, rng, rounds=60):
    for _ in range(rounds):
        text = rng.choice(list(texts.values()))
        at = rng.randrange(len(text) - 10)
        piece = text[at:at + rng.randint(1, 8)]
        if piece.strip() != piece or not piece:
            continue
        found = search(c, "BODY", piece)
        want = [u for u, t in sorted(texts.items()) if piece in t]
        assert found == want, (piece, found, want)


def test_same_answers_whatever_becomes_of_the_index():
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    c = client("random")
    texts = {}

    def more(n):
        for i in range(n):
            mail, text = random_mail(rng, i)
            texts[add(c, "random", mail.encode())] = text
        c.noop()

    before = set(index_files())
    more(40)
    check_random(c, texts, rng)
    path = (set(index_files()) - before).pop()
    more(20)
    check_random(c, texts, rng)
    for uid in rng.sample(sorted(texts), 15):
        c.uid("STORE", str(uid), "+FLAGS.SILENT", "\\Deleted")
        del texts[uid]
    c.expunge()
    check_random(c, texts, rng)
    for damage in ("flip", "cut", "lost", "other"):
        c.logout()
        restart()
        data = bytearray(open(path, "rb").read())
        if damage == "flip":
            for _ in range(3):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif damage == "cut":
            del data[rng.randrange(len(data)):]
        elif damage == "other":
            data = rng.randbytes(5000)
        if damage == "lost":
            os.unlink(path)
        else:
            with open(path, "r+b") as f:
                f.truncate(0)
                f.write(data)
        c = client("random")
        check_random(c, texts, rng)
        more(5)
        check_random(c, texts, rng, 20)
    c.close()
    assert c.delete("random")[0] == "OK"
    wait_for(lambda: not os.path.exists(path), "the end of the deleted folder's index")
    c.logout()


def test_new_mail_is_learnt_while_idle():
    c = client("INBOX")
    add(c, "INBOX", b"Subject: the first\r\n\r\nA folder that is searched has an index.\r\n")
    search(c, "TEXT", "anything at all")
    wait_for(lambda: search(c, "TEXT", "the first"), "the first message")
    size = sum(os.path.getsize(f) for f in index_files())
    fife.send("eve@elsewhere.test", [ALICE],
              f"From: eve@elsewhere.test\r\nTo: {ALICE}\r\nSubject: learnt\r\n\r\nquetzalcoatl was here\r\n")
    fife.wait_message("quetzalcoatl")
    # Without any search.
    wait_for(lambda: sum(os.path.getsize(f) for f in index_files()) > size, "the new message in the index")
    c.noop()
    assert len(search(c, "BODY", "quetzalcoatl")) == 1
    c.logout()


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

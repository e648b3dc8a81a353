# SPDX-License-Identifier: ISC
"""What an administrator types: fifectl, sendmail and make install."""
import json
import os
import pty
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time

import suite
from suite import TOP, Suite, no_verify, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
NOBODY = 65534


def ctl(*words, status=0, input=None):
    """The output of fifectl, which must end with that status."""
    got, text = fife.ctl(*words, input=input, check=False)
    assert got == status, f"fifectl {' '.join(words)}: status {got}, expected {status}: {text}"
    return text


def facts(*words):
    return json.loads(fife.ctl("-j", *words))


def sendmail(*words, input="", status=0, program=None, env=None):
    """sendmail as a user without rights."""
    p = subprocess.run([program or os.path.join(fife.run, "bin/sendmail"), *words], input=input, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=suite.PATIENCE, cwd="/",
                       user=NOBODY, group=NOBODY, extra_groups=[], env={"PATH": os.environ["PATH"], **(env or {})})
    assert p.returncode == status, f"sendmail {words}: status {p.returncode}, expected {status}: {p.stdout}"
    return p.stdout


def send(subject, rcpt=BOB, body="x", sender="eve@elsewhere.test", **login):
    fife.send(sender, [rcpt], f"Subject: {subject}\r\nMessage-ID: <{subject}@elsewhere.test>\r\n\r\n{body}\r\n", **login)


def queue_ids(*words):
    return [row["qid"] for row in facts("queue", "list", *words)]


# ---- fifectl ----

def test_statuses_and_words():
    for words in ((), ("nonsense",), ("--nonsense",), ("queue",), ("queue", "nonsense"), ("user", "show"), ("setup",),
                  ("status", "--nonsense"), ("log", "nonsense"), ("queue", "list", "--state", "x"),
                  ("route", "add", "a.test", "http://b/"), ("domain", "add", "a..b")):
        ctl(*words, status=2)
    for words in (("user", "show", "nobody@example.test"), ("domain", "del", "nothing.test"), ("queue", "show", "zz"),
                  ("why", "nobody@nowhere.test"), ("user", "list", "nowhere.test"),
                  ("mailbox", "show", "nobody@example.test")):
        ctl(*words, status=1)
    assert "add, del" in ctl("domain", "nonsense", status=2)
    assert "commands:" in ctl("help") and "commands:" in ctl("-h")


def test_commands_that_are_still_to_come():
    for words in (("backup",), ("restore",), ("filter", "learn"),
                  ("-j", "filter", "test")):
        assert "not have it yet" in ctl(*words, status=1)


def test_json_has_the_same_facts():
    for words in (("status",), ("domain", "list"), ("user", "list"), ("user", "show", ALICE), ("alias", "list"), ("list", "list"), ("list", "held"),
                  ("route", "list"), ("queue", "list"), ("queue", "stats"), ("resolver", "stats"), ("filter", "stats"),
                  ("mailbox", "list"), ("mailbox", "show", ALICE), ("log",), ("dns", "example.test"), ("check",),
                  ("setup", "mail.example.org")):
        assert isinstance(facts(*words), list), words
    assert facts("user", "show", ALICE)[0]["address"] == ALICE
    assert "all is well" in ctl("status", "--check")


def test_check_prints_a_configuration():
    """What `check` prints is a configuration of the same content."""
    path = os.path.join(fife.run, "again.conf")
    first = ctl("check")
    open(path, "w").write(first)
    again = subprocess.run([os.path.join(suite.BUILD, "bin/fifectl"), "-f", path, "check"], text=True,
                           stdout=subprocess.PIPE)
    assert again.returncode == 0 and again.stdout == first
    open(path, "w").write("hostname a.test\nlisten smtp\nqueue {\n\tretry soon\n}\n")
    for command in ("check", "reload"):
        bad = subprocess.run([os.path.join(suite.BUILD, "bin/fifectl"), "-f", path, "check"], text=True,
                             stderr=subprocess.PIPE)
        assert bad.returncode == 1 and bad.stderr.startswith(path + ":4: "), bad.stderr
    os.unlink(path)


def test_reload_names_the_mistake():
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()
    open(path, "w").write(text + "nonsense yes\n")
    try:
        line = text.count("\n") + 1
        assert f"fife.conf:{line}: " in ctl("reload", status=1)
        assert "all is well" in ctl("status", "--check")
    finally:
        open(path, "w").write(text)
    ctl("reload")


def test_scanner_runs_where_mail_is_scanned():
    path = os.path.join(fife.run, "fife.conf")
    text = open(path).read()

    def state():
        return [r["state"] for r in json.loads(ctl("-j", "status")) if r.get("process") == "scand"]
    assert state() == ["ready"]
    try:
        open(path, "w").write(text.replace("antivirus yes", "antivirus no"))
        ctl("reload")
        wait_for(lambda: state() == ["off"], "scand has ended")
        assert not fife.pids_of("scand")
        assert "all is well" in ctl("status", "--check")
    finally:
        open(path, "w").write(text)
    ctl("reload")
    assert state() == ["ready"]


def test_users():
    ctl("user", "add", "carol@example.test", input="", status=2)
    ctl("user", "add", "carol@nowhere.test", input="one\n", status=1)
    ctl("user", "add", "carol@example.test", input="one\n")
    ctl("user", "add", "carol@example.test", input="one\n", status=1)
    assert facts("user", "show", "carol")[0]["password"] == "scram"
    ctl("user", "set", "carol@example.test", "scram=off", status=2)
    ctl("user", "set", "carol@example.test", "scram=off", input="two\n")
    assert facts("user", "show", "carol@example.test")[0]["password"] == "yescrypt"
    fife.passwords["carol@example.test"] = "two"
    fife.imap("carol@example.test").logout()
    ctl("user", "set", "carol@example.test", "nonsense=1", status=2)
    ctl("user", "set", "carol@example.test", "quota=10m", "forward=" + ALICE, "forward-keep=yes")
    shown = facts("user", "show", "carol@example.test")[0]
    assert shown["quota"] == 10 << 20 and shown["forward"] == ALICE and shown["forward-keep"] is True
    ctl("domain", "del", "example.test", status=1)
    ctl("user", "del", "carol@example.test")
    ctl("user", "show", "carol@example.test", status=1)


def terminal(words, answers):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(words[0], words)
    out = b""
    for answer in answers:
        while not out.endswith(b": "):
            out += os.read(fd, 1000)
        time.sleep(0.05)  # the echo is switched off after the prompt was written
        os.write(fd, answer + b"\n")
        out += b"|"
    try:
        while True:
            data = os.read(fd, 1000)
            if not data:
                break
            out += data
    except OSError:
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out


def test_password_at_a_terminal():
    fifectl = os.path.join(fife.run, "bin/fifectl")
    status, out = terminal([fifectl, "user", "add", "tina@example.test"], [b"a pass word", b"a pass word"])
    assert status == 0 and b"word" not in out.replace(b"password", b""), (status, out)
    status, out = terminal([fifectl, "user", "passwd", "tina@example.test"], [b"one", b"two"])
    assert status == 2, (status, out)
    fife.passwords["tina@example.test"] = "a pass word"
    fife.imap("tina@example.test").logout()
    ctl("user", "del", "tina@example.test")


def test_aliases():
    ctl("alias", "add", "info@example.test", ALICE, BOB)
    ctl("alias", "add", "info@example.test", BOB)
    rows = {r["alias"]: r["targets"] for r in facts("alias", "list")}
    assert rows["info@example.test"] == f"{ALICE} {BOB}"
    ctl("alias", "add", "x@nowhere.test", ALICE, status=1)
    ctl("alias", "add", ALICE, BOB, status=1)
    send("to-info", "info@example.test")
    fife.wait_message("Subject: to-info", ALICE)
    fife.wait_message("Subject: to-info", BOB)
    ctl("alias", "del", "info@example.test")
    ctl("alias", "del", "info@example.test", status=1)


def test_routes():
    ctl("route", "add", "far.test", "smtp://127.0.0.1:1")
    assert facts("route", "list") == [{"domain": "far.test", "route": "smtp://127.0.0.1:1"}]
    assert facts("route", "explain", "a@far.test")[0]["because"] == "far.test"
    for url in ("nonsense", "smtp://127.0.0.1:99999", "smtp://"):
        ctl("route", "add", "far.test", url, status=2)
    ctl("route", "del", "far.test")
    ctl("route", "del", "far.test", status=1)
    assert facts("route", "list") == []


def test_dump_and_load():
    ctl("alias", "add", "kept@example.test", ALICE)
    text = ctl("dump")
    assert "scram" not in text and "$" not in text
    secrets = ctl("dump", "--secrets")
    assert "scram-sha-256=" in secrets
    ctl("alias", "del", "kept@example.test")
    ctl("load", input=secrets)
    assert ctl("dump", "--secrets") == secrets
    ctl("load", input="nonsense\n", status=1)
    ctl("alias", "del", "kept@example.test")


def test_queue():
    assert ctl("route", "add", "far.test", "smtp://127.0.0.1:1") == ""
    assert "no effect" in ctl("route", "add", "example.test", "smtp://127.0.0.1:1")
    ctl("route", "del", "example.test")
    ctl("queue", "hold", "--all")
    try:
        for n in range(3):
            fife.send(ALICE, [f"u{n}@far.test"], f"Subject: q{n}\r\n\r\nx\r\n", port=587, login=ALICE)
        ids = queue_ids()
        assert len(ids) == 3, ids
        assert queue_ids("--state", "held") == ids and queue_ids("--to", "far.test") == ids
        assert queue_ids("--to", "u1@far.test") == ids[1:2]
        assert queue_ids("--from", ALICE) == ids and queue_ids("--older", "1h") == []
        assert facts("queue", "show", ids[0])[0]["state"] == "held"
        assert "--all" in ctl("queue", "release", ids[0], status=1)
        assert "the whole queue is held" in ctl("status")
    finally:
        ctl("queue", "release", "--all")
    wait_for(lambda: len(queue_ids("--state", "deferred")) == 3, "three deferred messages")
    ctl("queue", "hold", ids[0])
    assert queue_ids("--state", "held") == ids[:1]
    # A rule of freezing: told apart from what somebody has held, and from the quarantine.
    ctl("queue", "freeze", "add", "--to", "u1@far.test", "--reason", "a test")
    assert queue_ids("--state", "frozen") == ids[1:2] and queue_ids("--state", "quarantined") == []
    ctl("queue", "freeze", "del", str(facts("queue", "freeze", "list")[0]["rule"]))
    assert queue_ids("--state", "frozen") == []
    assert "scheduled, held, quarantined or frozen" in ctl("queue", "list", "--state", "nonsense", status=2)
    why = ctl("why", ids[1])
    assert "next try 1m" in why and re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \w+ ", why), why
    ctl("queue", "retry", "--to", "far.test")
    ctl("queue", "release", ids[0])
    ctl("queue", "remove", ids[0])
    ctl("queue", "remove", ids[0], status=1)
    ctl("queue", "remove", status=2)
    ctl("queue", "remove", "--to", "far.test")
    assert queue_ids() == []
    wait_for(lambda: facts("queue", "stats")[0]["messages"] == 0, "an empty queue")
    text = ctl("why", ids[0])
    assert "accepted" in text and "u0@far.test" in text and "removed" in text, text
    ctl("route", "del", "far.test")


def test_why():
    """By address, Message-ID and queue id, and for what was refused."""
    send("find-me")
    fife.wait_message("Subject: find-me", BOB)
    for word in ("<find-me@elsewhere.test>", "find-me@elsewhere.test"):
        wait_for(lambda: "delivered" in fife.ctl("why", word, check=False)[1], f"why {word}")
    qid = [r["qid"] for r in facts("why", "find-me@elsewhere.test") if r["event"] == "received"][0]
    assert "find-me@elsewhere.test" in ctl("why", qid)
    try:
        send("a-virus", body=EICAR)
        raise AssertionError("a virus was accepted")
    except smtplib.SMTPDataError as e:
        assert e.smtp_code == 554
    text = wait_for(lambda: fife.ctl("why", "<a-virus@elsewhere.test>", check=False)[1], "why a-virus")
    assert "Eicar-Test-Signature" in text and "rejected" in text, text
    for rcpt, words in (("nobody@example.test", "No such mailbox"), ("who@faraway.test", "Relaying denied")):
        try:
            send("refused", rcpt)
            raise AssertionError("was accepted")
        except smtplib.SMTPRecipientsRefused:
            pass
        wait_for(lambda: words in fife.ctl("why", rcpt, check=False)[1], f"why {rcpt}")


def test_log():
    assert "received" in ctl("log", "smtp", "--match", "from=eve@elsewhere")
    ctl("log", "--match", "(", status=2)
    ctl("log", "--day", "nonsense", status=2)
    assert ctl("log", "--day", "2020-01-01") == ""
    p = subprocess.Popen([os.path.join(fife.run, "bin/fifectl"), "log", "smtp", "-f"], stdout=subprocess.PIPE,
                         text=True)
    try:
        send("followed")
        for line in p.stdout:
            if "followed@elsewhere.test" in line:
                break
        else:
            raise AssertionError("log -f ended")
    finally:
        p.terminate()
        p.wait()


# ---- sendmail ----

def test_sendmail():
    # Like cron: a name alone, which goes to the postmaster.
    sendmail("root", input="Subject: from-cron\n\nx\n")
    m = fife.wait_message("Subject: from-cron", ALICE)
    assert b"\r\nFrom: " in m and b"\r\nDate: " in m and b"\r\nMessage-ID: " in m, m
    sendmail("-i", BOB, input="Subject: a-dot\n\none\n.\ntwo\n")
    assert fife.wait_message("Subject: a-dot", BOB).endswith(b"one\r\n.\r\ntwo\r\n")
    sendmail("-t", "-oi", "-f", "bounces@example.test",
             input=f"To: Bob <{BOB}>\nBcc: {ALICE}\nSubject: by-header\n\nx\n")
    for user in (ALICE, BOB):
        m = fife.wait_message("Subject: by-header", user)
        assert m.startswith(b"Return-Path: <bounces@example.test>\r\n") and b"\r\nBcc" not in m
    sendmail("nobody@example.test", input="x\n", status=67)
    sendmail("-t", input="Subject: x\n\nx\n", status=64)
    sendmail("-Z", status=64)
    sendmail("-bi")
    assert "only root" in sendmail("-bp", status=1)
    out = sendmail("-bs", input=f"EHLO x\r\nMAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n"
                   "Subject: by-bs\r\n\r\nx\r\n.\r\nQUIT\r\n")
    assert "queued as" in out, out
    fife.wait_message("Subject: by-bs", BOB)


def test_sendmail_while_the_suite_is_down():
    fife.stop()
    ctl("status", status=75)
    ctl("queue", "list", status=75)
    ctl("check")
    for rcpt, subject in ((BOB, "down-1"), ("bob", "down-2"), ("root", "down-3")):
        out = sendmail(rcpt, input=f"Subject: {subject}\n\nx\n", status=75)
        assert "will be sent later" in out, out
    assert sendmail("-bs", input="QUIT\r\n", status=75).startswith("421 ")
    fife.start()
    fife.wait_message("Subject: down-1", BOB)
    fife.wait_message("Subject: down-2", BOB)
    fife.wait_message("Subject: down-3", ALICE)


# ---- make install ----

def not_source(folder, names):
    """What other builds and hosts left in the tree."""
    return [n for n in names if n in (".git", "san", "fuzz", "clang") or
            os.path.exists(os.path.join(folder, n, "fife.conf.made"))]


def test_install():
    if suite.SAN:
        return "(for the production build)"
    top = tempfile.mkdtemp(prefix="fife-inst.", dir="/var/tmp")
    try:
        # In a copy: another prefix builds some programs again.
        source = os.path.join(top, "source")
        shutil.copytree(TOP, source, symlinks=True, ignore=not_source)
        prefix = os.path.join(top, "opt")
        make = ["make", "-s", "-C", source, "PREFIX=" + prefix, "DESTDIR="]
        subprocess.run(make + ["install"], check=True, stdout=subprocess.DEVNULL, timeout=600)
        for name in ("sbin/fifed", "sbin/fifectl", "sbin/sendmail", "bin/mailq", "bin/newaliases", "libexec/fife/smtpd",
                     "share/man/man8/fifed.8", "etc/fife.conf.sample", "share/fife/fife.service"):
            assert os.path.exists(os.path.join(prefix, name)), name
        for name in ("share/fife/fife.service", "share/man/man8/fifed.8"):
            text = open(os.path.join(prefix, name)).read()
            assert prefix in text and "/usr/local" not in text, name
        installed(top, prefix)
        subprocess.run(make + ["uninstall"], check=True, stdout=subprocess.DEVNULL, timeout=60)
        left = [os.path.join(d, f) for d, _, files in os.walk(prefix) for f in files]
        assert left == [os.path.join(prefix, "etc/fife.conf")], left
    finally:
        shutil.rmtree(top, ignore_errors=True)


def installed(top, prefix):
    """The installed tree by hand, with the sample configuration edited as a person would."""
    os.chmod(top, 0o755)
    for name in ("cert.pem", "key.pem"):
        shutil.copy(os.path.join(fife.run, "tls", name), top)
    ports = suite.free_ports()
    conf = open(os.path.join(prefix, "etc/fife.conf.sample")).read()
    conf = conf.replace('#state "/var/lib/fife"', f'state "{top}/state"')
    conf = conf.replace("#uids 52000-60999", "uids 58000-58999")
    live = "/etc/letsencrypt/live/mail.example.org/"
    conf = conf.replace(live + "fullchain.pem", f"{top}/cert.pem").replace(live + "privkey.pem", f"{top}/key.pem")
    lines = []
    for line in conf.split("\n"):
        w = line.split()
        if w[:1] == ["listen"] and w[1] != "local":
            base = {("smtp", False): 25, ("submission", False): 587, ("submission", True): 465, ("imap", False): 143,
                    ("imap", True): 993, ("pop3", False): 110, ("pop3", True): 995, ("managesieve", False): 4190}[w[1], "implicit" in w]
            line = f"listen {w[1]} on 127.0.0.1 port {ports + base}" + (" tls implicit" if "implicit" in w else "")
        lines.append(line)
    open(os.path.join(prefix, "etc/fife.conf"), "w").write("\n".join(lines))

    def run(name, *words, input="", **how):
        p = subprocess.run([os.path.join(prefix, name), *words], input=input, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=suite.PATIENCE, **how)
        assert p.returncode == 0, (name, words, p.returncode, p.stdout)
        return p.stdout

    run("sbin/fifed", "-n")
    # In the background, without a terminal; the descriptors are the daemon's.
    with open(os.path.join(top, "out"), "w+") as out:
        p = subprocess.run([os.path.join(prefix, "sbin/fifed")], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                           timeout=suite.PATIENCE)
        out.seek(0)
        assert p.returncode == 0, out.read()
    try:
        run("sbin/fifectl", "domain", "add", "example.org")
        run("sbin/fifectl", "user", "add", "alice@example.org", input="secret\n")
        run("sbin/fifectl", "alias", "add", "postmaster@example.org", "alice@example.org")
        run("sbin/sendmail", "-i", "alice@example.org", input="Subject: installed\n\nx\n", user=NOBODY, group=NOBODY,
            extra_groups=[])
        run("bin/newaliases")
        run("bin/mailq")
        import poplib

        def there():
            c = poplib.POP3_SSL("127.0.0.1", ports + 995, context=no_verify(), timeout=suite.PATIENCE)
            c.user("alice@example.org")
            c.pass_("secret")
            n = c.stat()[0]
            c.quit()
            return n == 1
        wait_for(there, "mail by POP3 from the installed host")
        run("sbin/fifed", "-n")
        run("sbin/fifectl", "reload")
    finally:
        run("sbin/fifectl", "stop")
        lock = os.path.join(top, "state/lock")
        pid = open(lock).read().strip()
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the installed fifed")


if __name__ == "__main__":
    with Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

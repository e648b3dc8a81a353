# SPDX-License-Identifier: ISC
"""kill -9 of every daemon in turn under load, of the whole suite at once, dead peers, a full disk:
what was answered 250 is in the mailbox exactly once."""
import os
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time

import suite
from suite import Sink, wait_for

fife = None
ALICE = "alice@example.test"
BOB = "bob@example.test"
DAEMONS = ("logd", "authd", "keyd", "dnsd", "smtpd", "queued", "deliverd-remote", "deliverd-local",
           "filterd", "scand", "imapd", "pop3d", "sieved", "mboxd", "policyd", "listd", "mailbox")


class Load:
    """Senders that note which messages were answered 250."""

    def __init__(self, tag, total, senders=4):
        self.tag, self.total = tag, total
        self.next = 0
        self.acked, self.lock = [], threading.Lock()
        self.stopped = False
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(senders)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.stopped:
            with self.lock:
                if self.next >= self.total:
                    return
                n = self.next
                self.next += 1
            name = f"{self.tag}-{n}"
            text = f"From: eve@elsewhere.test\r\nSubject: {name}\r\nX-Test: {name}.\r\n\r\n" + f"line of {name}\r\n" * 60
            # Keep trying this message until it is answered 250: a sender that got no answer
            # may send it again, and only what was acknowledged is counted.
            for attempt in range(400):
                if self.stopped:
                    return
                tagged = text.replace(f"X-Test: {name}.", f"X-Test: {name}/{attempt}.")
                try:
                    s = smtplib.SMTP("127.0.0.1", fife.port(25), "client.test", timeout=30)
                    try:
                        s.sendmail("eve@elsewhere.test", [ALICE if n % 2 else BOB], tagged)
                        with self.lock:
                            self.acked.append((name, f"{name}/{attempt}"))
                    finally:
                        s.close()
                    break
                except (OSError, smtplib.SMTPException):
                    time.sleep(0.02)

    def done(self):
        return not any(t.is_alive() for t in self.threads)

    def stop(self):
        self.stopped = True
        for t in self.threads:
            t.join(60)


def delivered(tag):
    found = []
    for user in (ALICE, BOB):
        for m in fife.messages(user):
            f = re.search(rb"X-Test: (" + tag.encode() + rb"-\d+/\d+)\.", m)
            if f:
                found.append(f.group(1).decode())
    return found


def messages_patiently():
    try:
        return fife.messages()
    except Exception:
        return None


def settle_and_compare(load):
    wait_for(lambda: messages_patiently() is not None, "IMAP after the faults")
    acked = {a for _, a in load.acked}

    def all_there():
        try:
            have = delivered(load.tag)
        except Exception:
            return None
        return acked <= set(have) and have
    have = wait_for(all_there, "all acknowledged messages", suite.PATIENCE * 3)
    double = {x for x in have if have.count(x) > 1}
    assert not double, f"delivered twice: {sorted(double)[:10]}"
    assert len(load.acked) == load.total or load.stopped, (len(load.acked), load.total)


def test_kill_each_daemon_under_load():
    total = 400 if suite.SAN else 2000
    load = Load("kill", total)
    kills = {d: 0 for d in DAEMONS}
    turn = 0
    while not load.done() or min(kills[d] for d in DAEMONS if d != "mailbox") == 0:
        name = DAEMONS[turn % len(DAEMONS)]
        turn += 1
        if turn > 600:
            break
        for pid in fife.pids_of(name):
            try:
                if name == "mboxd" and os.stat(f"/proc/{pid}").st_uid != 0:
                    continue
                os.kill(pid, signal.SIGKILL)
                kills[name] += 1
            except OSError:
                pass
        # one a second, as long as the load lasts
        end = time.monotonic() + 1.0
        while time.monotonic() < end and not load.done():
            time.sleep(0.05)
    for t in load.threads:
        t.join(suite.PATIENCE)
    assert load.done(), "the senders hang"
    assert min(kills[d] for d in DAEMONS if d != "mailbox") >= 1, kills
    settle_and_compare(load)


def test_kill_the_whole_suite_under_load():
    for round_ in range(3):
        load = Load(f"all{round_}", 100000)
        wait_for(lambda: len(load.acked) > 150, "some acknowledged messages")
        fife.kill()
        load.stop()
        fife.start()
        settle_and_compare(load)


def test_restart_is_not_noticed_by_idle_front():
    c = fife.imap()
    c.select()
    for pid in fife.pids_of("smtpd") + fife.pids_of("queued"):
        os.kill(pid, signal.SIGKILL)
    assert c.noop()[0] == "OK"
    c.logout()
    wait_for(lambda: smtp_works(), "smtpd again")


def smtp_works():
    try:
        s = fife.smtp()
        ok = s.noop()[0] == 250
        s.quit()
        return ok
    except (OSError, smtplib.SMTPException):
        return False


def test_dead_filter_defers():
    """While filterd cannot judge, strangers get 4xx and nothing is let through unjudged."""
    for pid in fife.pids_of("filterd"):
        os.kill(pid, signal.SIGSTOP)
    try:
        s = fife.smtp()
        s.sock.settimeout(suite.PATIENCE * 4)
        t = threading.Timer(3, lambda: [os.kill(p, signal.SIGKILL) for p in fife.pids_of("filterd")])
        t.start()
        try:
            s.sendmail("eve@elsewhere.test", [ALICE], "Subject: unjudged\r\n\r\nx\r\n")
            raise AssertionError("was accepted")
        except smtplib.SMTPDataError as e:
            assert 400 <= e.smtp_code < 500, e
        finally:
            t.join()
            s.close()
    finally:
        for pid in fife.pids_of("filterd"):
            os.kill(pid, signal.SIGCONT)

    def again():
        try:
            fife.send("eve@elsewhere.test", [ALICE], "Subject: judged again\r\n\r\nx\r\n")
            return True
        except smtplib.SMTPException:
            return False
    wait_for(again, "mail again")
    fife.wait_message("Subject: judged again")


def test_peer_hangs_up_after_data():
    state = {"bad": True}

    def answer(verb, arg):
        return "HANG UP" if verb == "END" and state["bad"] else None
    with Sink(answer) as sink:
        fife.ctl("route", "add", "dead.test", f"smtp://127.0.0.1:{sink.port}")
        fife.send(ALICE, ["x@dead.test"], "Subject: hang\r\n\r\nx\r\n", port=587, login=ALICE)
        wait_for(lambda: "DATA" in sink.commands, "the first try")
        wait_for(lambda: "defer" in fife.ctl("queue", "list", "--to", "dead.test"), "deferral")
        state["bad"] = False
        fife.ctl("queue", "retry", "--all")
        wait_for(lambda: len(sink.messages) == 1, "delivery after the retry")


def test_dead_route_defers_and_remove_works():
    fife.ctl("route", "add", "nowhere.test", "smtp://127.0.0.1:1")
    fife.send(ALICE, ["x@nowhere.test"], "Subject: nowhere\r\n\r\nx\r\n", port=587, login=ALICE)
    wait_for(lambda: "4.4.1" in fife.ctl("queue", "list", "--to", "nowhere.test") or
             "4.4.1" in fife.ctl("queue", "show", *[w.split()[0] for w in
                                 fife.ctl("queue", "list", "--to", "nowhere.test").splitlines()[1:2]]), "4.4.1")
    fife.ctl("queue", "remove", "--to", "nowhere.test")
    wait_for(lambda: "nowhere.test" not in fife.ctl("queue", "list"), "an empty queue")


def test_vanished_mailbox_directory():
    fife.ctl("user", "add", "ghost@example.test", input="ghost\n")
    path = os.path.join(fife.run, "mail/example.test/ghost")
    os.rename(path, path + ".away")
    fife.send("eve@elsewhere.test", ["ghost@example.test"], "Subject: for a ghost\r\n\r\nx\r\n")
    wait_for(lambda: "ghost" in fife.ctl("queue", "list"), "it waits in the queue")
    os.rename(path + ".away", path)
    fife.passwords["ghost@example.test"] = "ghost"

    def there():
        fife.ctl("queue", "retry", "--all")
        try:
            return [m for m in fife.messages("ghost@example.test") if b"for a ghost" in m]
        except Exception:
            return None
    wait_for(there, "delivery once the directory is back")


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

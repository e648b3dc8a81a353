# SPDX-License-Identifier: ISC
"""Starts the real suite in a directory of its own, under its real chroots and filters.

    with Suite() as fife:
        fife.smtp().sendmail(...)

Nothing here sleeps for a fixed time to hope: wait_for() polls a condition with a bound.
Everything that is started is ended, by pid.
"""
import glob
import imaplib
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FIFE_BUILD", os.path.join(TOP, "build/prod"))
SAN = BUILD.endswith("san")
PATIENCE = 120 if SAN else 60
PORTS = (25, 110, 143, 465, 587, 993, 995)


def wait_for(condition, what, seconds=None):
    end = time.monotonic() + (seconds or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.02)


def free_ports():
    """A base for PORTS= whose ports are all free now."""
    for base in range(3000 + os.getpid() % 200 * 10, 50000, 1070):
        socks = []
        try:
            for p in PORTS:
                for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                    s = socket.socket(family)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    socks.append(s)
                    s.bind((host, base + p))
            return base
        except OSError:
            continue
        finally:
            for s in socks:
                s.close()
    raise AssertionError("no free ports")


def no_verify():
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    return ctx


def _terminated(signum, frame):
    """Told to end: end what was started too."""
    sys.exit(143)


signal.signal(signal.SIGTERM, _terminated)


class Suite:
    def __init__(self, conf_edit=None, keep=None):
        self.dir = keep or tempfile.mkdtemp(prefix="fife-e2e.", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.run = os.path.join(self.dir, "run")
        self.ports = free_ports()
        self.conf_edit = conf_edit
        self.process = None
        self.output = os.path.join(self.dir, "output")

    # ---- life ----

    def env(self):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        # fifed gives the sanitizers' options to the daemons.
        env.update(RUN=self.run, PORTS=str(self.ports), CONF="", UIDS="", BUILD=BUILD)
        return env

    def start(self, wait=True):
        log = open(self.output, "ab")
        first = not os.path.exists(os.path.join(self.run, "fife.conf"))
        if first and self.conf_edit:
            # First round to make the directory, then the edited configuration.
            self._spawn(log)
            self.wait_ready()
            self.stop()
            path = os.path.join(self.run, "fife.conf")
            text = open(path).read()
            open(path, "w").write(self.conf_edit(text, self))
        self._spawn(log)
        log.close()
        if wait:
            self.wait_ready()
        return self

    def _spawn(self, log):
        self.mark = os.path.getsize(self.output)
        self.process = subprocess.Popen(["sh", os.path.join(TOP, "etc/setup-run.sh")], cwd=TOP, env=self.env(),
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    def said(self):
        with open(self.output, "rb") as f:
            f.seek(self.mark)
            return f.read().decode(errors="replace")

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("the suite ended: " + self.said()[-3000:])
            return "fife: ready" in self.said()
        wait_for(ready, "fife: ready")
        self.passwords = dict(line.split() for line in open(os.path.join(self.run, "accounts")))

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.process.pid, sig)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the suite does not stop")
        self.process = None

    def kill(self):
        """SIGKILL for all of the suite at once."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait()
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc):
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()
            if exc and exc[0] is not None or os.environ.get("FIFE_KEEP"):
                print("kept: " + self.dir)
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    # ---- processes ----

    def pids(self):
        """All of the suite's processes, fifed first."""
        if self.process is None:
            return []
        children = {}
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                fields = open(stat).read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(stat.split("/")[2]))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop(0)
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def pids_of(self, name):
        out = []
        for pid in self.pids():
            try:
                argv0 = open(f"/proc/{pid}/cmdline").read().split("\0")[0]
            except OSError:
                continue
            if os.path.basename(argv0).split(":")[0] == name:
                out.append(pid)
        return out

    # ---- clients ----

    def port(self, standard):
        return self.ports + standard

    def ctl(self, *words, input=None, check=True):
        # A process that changed its uid cannot be looked at by the leak checker.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if SAN and "--offline" in words else None
        p = subprocess.run([os.path.join(self.run, "bin/fifectl"), *words], input=input or "", text=True, env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        if check and p.returncode != 0:
            raise AssertionError(f"fifectl {' '.join(words)}: status {p.returncode}: {p.stdout}{p.stderr}")
        return p.stdout if check else (p.returncode, p.stdout + p.stderr)

    def smtp(self, port=25, login=None):
        if port == 465:
            s = smtplib.SMTP_SSL("127.0.0.1", self.port(465), "client.test", timeout=PATIENCE, context=no_verify())
        else:
            s = smtplib.SMTP("127.0.0.1", self.port(port), "client.test", timeout=PATIENCE)
        if login:
            s.ehlo()
            if port == 587:
                s.starttls(context=no_verify())
                s.ehlo()
            s.login(login, self.passwords[login])
        return s

    def imap(self, user="alice@example.test", tls=False, login=True):
        if tls:
            c = imaplib.IMAP4_SSL("127.0.0.1", self.port(993), ssl_context=no_verify(), timeout=PATIENCE)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.port(143), timeout=PATIENCE)
        if login:
            c.login(user, self.passwords[user])
        return c

    def pop(self, user="alice@example.test", tls=False):
        if tls:
            c = poplib.POP3_SSL("127.0.0.1", self.port(995), context=no_verify(), timeout=PATIENCE)
        else:
            c = poplib.POP3("127.0.0.1", self.port(110), timeout=PATIENCE)
        c.user(user)
        c.pass_(self.passwords[user])
        return c

    def messages(self, user="alice@example.test", folder="INBOX"):
        """Every message of a folder, as bytes."""
        c = self.imap(user)
        try:
            typ, data = c.select(f'"{folder}"', readonly=True)
            if typ != "OK":
                return []
            typ, data = c.fetch("1:*", "(BODY.PEEK[])") if int(data[0]) else ("OK", [])
            return [item[1] for item in data if isinstance(item, tuple)]
        finally:
            c.logout()

    def wait_message(self, needle, user="alice@example.test", folder="INBOX"):
        needle = needle.encode() if isinstance(needle, str) else needle

        def there():
            hits = [m for m in self.messages(user, folder) if needle in m]
            return hits[0] if hits else None
        return wait_for(there, f"{needle!r} in {folder} of {user}")

    def send(self, sender, rcpts, text, port=25, login=None):
        """Returns smtplib's dict of refused recipients."""
        s = self.smtp(port, login)
        try:
            return s.sendmail(sender, rcpts, text)
        finally:
            try:
                s.quit()
            except smtplib.SMTPException:
                pass


class Sink(socketserver.ThreadingTCPServer):
    """A small SMTP server for mail that goes out. answer(verb, argument) may return a reply
    for a command; messages holds (sender, recipients, octets)."""
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer=None):
        self.messages = []
        self.commands = []
        self.answer = answer or (lambda verb, arg: None)
        super().__init__(("127.0.0.1", 0), SinkSession)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()


class SinkSession(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        sender, rcpts = None, []
        self.say(self.server.answer("CONNECT", "") or "220 sink.test ESMTP")
        for raw in self.rfile:
            line = raw.decode(errors="replace").rstrip("\r\n")
            verb, _, arg = line.partition(" ")
            verb = verb.upper()
            self.server.commands.append(line)
            special = self.server.answer(verb, arg)
            if special == "HANG UP":
                return
            if special and verb != "DATA":
                self.say(special)
                continue
            if verb in ("EHLO",):
                self.say("250-sink.test")
                self.say("250-PIPELINING")
                self.say("250-8BITMIME")
                self.say("250-ENHANCEDSTATUSCODES")
                self.say("250 SIZE 100000000")
            elif verb == "MAIL":
                sender, rcpts = re.search(r"<(.*?)>", arg).group(1), []
                self.say("250 2.1.0 ok")
            elif verb == "RCPT":
                rcpts.append(re.search(r"<(.*?)>", arg).group(1))
                self.say("250 2.1.5 ok")
            elif verb == "DATA":
                if special and special[0] in "45":
                    self.say(special)
                    continue
                self.say("354 go on")
                body = []
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                    body.append(data[1:] if data.startswith(b".") else data)
                else:
                    return
                after = self.server.answer("END", "")
                if after == "HANG UP":
                    return
                if not after or after.startswith("2"):
                    self.server.messages.append((sender, rcpts, b"".join(body)))
                self.say(after or "250 2.0.0 taken by the sink")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            elif verb in ("RSET", "NOOP", "HELO"):
                self.say("250 2.0.0 ok")
            else:
                self.say("502 5.5.1 not here")


def main(module):
    """Runs the functions test_* of a module in order; each gets the module's suite."""
    import types
    tests = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and isinstance(f, types.FunctionType)]
    wanted = sys.argv[1:]
    failed = 0
    for name, f in tests:
        if wanted and name not in wanted and name[5:] not in wanted:
            continue
        try:
            skip = f()
            print(f"{'skipped' if skip else 'ok'} - {name[5:]}{' ' + skip if skip else ''}", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print_log(getattr(module, "fife", None))
            print(f"not ok - {name[5:]}", flush=True)
    return failed


def print_log(fife):
    """What the suite wrote last, beside a test that failed: it is gone with the suite."""
    try:
        for words in (("queue", "list"), ("log",)):
            print("\n".join(fife.ctl(*words, check=False)[1].splitlines()[-60:]), flush=True)
    except Exception as e:
        print(f"no log: {e!r}", flush=True)

# SPDX-License-Identifier: ISC
"""What the benches in Python share: drivers in C, processor time of a suite, and the peers, each from a
configuration of its own in a directory of its own. Nothing of the system's is touched; what is started is ended."""
import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "regress/e2e"))
import suite  # noqa: E402

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
POSTFIX = "/usr/sbin/postfix"
DOVECOT = "/usr/sbin/dovecot"
DOVECOT_LMTP = "/usr/lib/dovecot/lmtp"
LIBS = "-levent -levent_openssl -lssl -lcrypto -llmdb -lidn2 -lpcre2-8 -lz -lcrypt -lpthread -lseccomp -lbsd".split()


def number(name, default):
    return int(os.environ.get(name, default))


def directory(what):
    path = tempfile.mkdtemp(prefix=f"fife-bench-{what}.", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
    os.chmod(path, 0o755)
    return path


def build(where, name, *more):
    program = os.path.join(where, name)
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-I" + TOP, "-O2", "-o", program,
                    os.path.join(TOP, "regress/bench", name + ".c"), *more], check=True)
    return program


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def no_antivirus(text, s):
    """The peers scan for no viruses either."""
    return text.replace("antivirus yes", "antivirus no")


def figures(text):
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", text)}


def run_load(program, *words):
    p = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    if p.returncode != 0:
        print(f"{os.path.basename(program)}: {(p.stderr or p.stdout).strip()[:500]}", flush=True)
    return figures(p.stdout)


def tree(root):
    """Process ids of a process and all below it."""
    parents = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = open(stat).read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.split("/")[2]))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def cpu_ms(root):
    """Of a process and all below it, with those that have ended and were waited for."""
    total = 0
    for pid in tree(root):
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total * TICK_MS


def median(values):
    return statistics.median(values) if values else 0


def ratio(a, b):
    return f"{a / b:.1f}" if a and b else "-"


def table(title, columns, rows):
    print("\n" + f"{title:44}" + "".join(f"{c:>14}" for c in columns))
    for name, *values in rows:
        print(f"{name:44}" + "".join(f"{v if isinstance(v, str) else f'{v:.2f}':>14}" for v in values), flush=True)


class Server:
    """A peer: prepare() writes its configuration, command() is what is run in the foreground."""

    def __init__(self, what):
        self.what = what
        self.dir = None
        self.port = free_port()
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def __enter__(self):
        self.dir = directory(self.what)
        try:
            self.prepare()
            self.log = open(self.path("output"), "ab")
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log,
                                            stderr=subprocess.STDOUT, start_new_session=True)
            suite.wait_for(self.ready, f"{self.dir} to listen")
            return self
        except BaseException:
            self.__exit__()
            raise

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(open(self.path("output"), errors="replace").read()[-3000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def root(self):
        return self.process.pid

    def __exit__(self, *exc):
        if self.process is not None:
            pids = tree(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
            # Children of a master that is gone; their numbers are checked, since others may have them by now.
            for pid in pids:
                try:
                    if self.dir in open(f"/proc/{pid}/cmdline").read() or \
                            self.dir in os.readlink(f"/proc/{pid}/cwd"):
                        os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.dir, ignore_errors=True)


SERVICES = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Server):
    """Debian's defaults but for what the work asks: no limit of connections, no lookups, no chroot."""

    def __init__(self, settings):
        super().__init__("postfix")
        self.settings = settings

    def prepare(self):
        for name in ("conf", "queue", "data"):
            os.mkdir(self.path(name))
        shutil.chown(self.path("data"), "postfix")
        for name in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, self.path("conf"))
        self.write("conf/main.cf", f"""compatibility_level = 3.6
queue_directory = {self.path("queue")}
data_directory = {self.path("data")}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = {self.path("conf")}
maillog_file = {self.path("log")}
maillog_file_prefixes = {self.dir}
myhostname = mail.example.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
disable_dns_lookups = yes
biff = no
{self.settings}
""")
        self.write("conf/master.cf", f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + SERVICES)

    def command(self):
        return [POSTFIX, "-c", self.path("conf"), "start-fg"]


class Dovecot(Server):
    """LMTP alone, to Maildir, one uid for all mail; users are whoever is named."""

    def prepare(self):
        os.mkdir(self.path("mail"))
        shutil.chown(self.path("mail"), "mail", "mail")
        os.mkdir(self.path("base"))
        self.write("dovecot.conf", f"""protocols = lmtp
listen = 127.0.0.1
base_dir = {self.path("base")}
log_path = {self.path("log")}
mail_location = maildir:~/Maildir
ssl = no
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={self.path("mail")}/%n
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.test
  auth_username_format = %Ln
}}
""")

    def command(self):
        return [DOVECOT, "-F", "-c", self.path("dovecot.conf")]


class Nsd(Server):
    """Authoritative for the zones of zones(): a name, and the file that has it."""

    def zones(self):
        raise NotImplementedError

    def prepare(self):
        zones = "".join(f'zone:\n  name: "{name}"\n  zonefile: "{self.path(file)}"\n' for name, file in self.zones())
        self.write("nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.dir}"
  database: ""
  pidfile: "{self.path("pid")}"
  xfrdfile: "{self.path("xfrd")}"
  xfrdir: "{self.dir}"
  zonelistfile: "{self.path("zones")}"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
{zones}""")

    def command(self):
        return ["/usr/sbin/nsd", "-d", "-c", self.path("nsd.conf")]


@contextlib.contextmanager
def several(*servers):
    """Those of them that are there."""
    with contextlib.ExitStack() as stack:
        for s in servers:
            if s is not None:
                stack.enter_context(s)
        yield

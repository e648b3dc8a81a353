# SPDX-License-Identifier: ISC
"""Real mail servers of Debian as peers: unpacked into a file system of their own above the
system's, in name spaces of mounts and processes. Nothing is installed, the system's own mail server
is not touched, and with the first process all of them end.

etc/install-packages.sh fetches the packages into build/peers; what is not there is skipped.
"""
import glob
import os
import shutil
import signal
import smtplib
import socket
import subprocess

import suite
from suite import wait_for

DEBS = os.path.join(suite.TOP, "build/peers")
DOMAIN = "peer.test"

START = r"""
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$ROOT/upper,workdir=$ROOT/work" "$ROOT/all" || exit 77
mount --rbind /dev "$ROOT/all/dev"
mount -t proc proc "$ROOT/all/proc"
exec chroot "$ROOT/all" "$@"
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Missing(Exception):
    pass


class Peer:
    """A server that takes mail for peer.test into one Maildir, and sends all for example.test to fife."""
    packages = ()
    users = ()   # (name, uid)
    groups = ()  # (name, gid)
    command = ()
    config = {}  # path: text
    size_max = 8000000
    plus = "E+"  # E+2B of ENVID in a report
    copies = 2   # of a message for two addresses
    chunks = None  # in the log when a message came by BDAT
    greeting = b"220"

    def __init__(self, fife_port):
        self.port = free_port()
        self.name = type(self).__name__
        self.fife_port = fife_port
        self.process = None

    def path(self, name):
        return os.path.join(self.root, "upper", name.lstrip("/"))

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def fill(self, text):
        return text.replace("@PORT@", str(self.port)).replace("@FIFE@", str(self.fife_port)) \
                   .replace("@SIZE@", str(self.size_max))

    def own(self, path, user, group):
        """By names, which the system may have with other numbers."""
        ids = []
        for name, file in ((user, "/etc/passwd"), (group, "/etc/group")):
            ids.append(int(next(x for x in open(self.path(file)) if x.startswith(name + ":")).split(":")[2]))
        os.chown(self.path(path), *ids)

    def prepare(self):
        pass

    def start(self):
        files = []
        for name in self.packages:
            found = glob.glob(os.path.join(DEBS, name + "_*.deb"))
            if not found:
                raise Missing(f"({name} is not in build/peers)")
            files.append(sorted(found)[-1])
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
            raise Missing("(no name space of mounts here)")
        self.root = suite.tempfile.mkdtemp(prefix="fife-peer.", dir="/var/tmp")
        os.chmod(self.root, 0o755)
        for name in ("upper", "work", "all"):
            os.mkdir(os.path.join(self.root, name))
        for name in files:
            subprocess.run(["dpkg", "-x", name, os.path.join(self.root, "upper")], check=True)
        # The system's directories are links on a merged system; packages still have both forms.
        for name in ("lib", "bin", "sbin"):
            if os.path.islink("/" + name) and os.path.isdir(self.path(name)):
                shutil.copytree(self.path(name), self.path("usr/" + name), dirs_exist_ok=True, symlinks=True)
                shutil.rmtree(self.path(name))
        known = open("/etc/passwd").read()
        self.write("/etc/passwd", known + "".join(
            f"{u}:x:{i}:{i}::/nonexistent:/usr/sbin/nologin\n" for u, i in self.users if f"\n{u}:" not in known))
        known = open("/etc/group").read()
        self.write("/etc/group", known + "".join(f"{g}:x:{i}:\n" for g, i in self.groups if f"\n{g}:" not in known))
        for name in ("mail", "tmp", "var/tmp"):
            os.makedirs(self.path(name), exist_ok=True)
            os.chmod(self.path(name), 0o1777)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=mail.peer.test",
                        "-keyout", self.path("/etc/peer.key"), "-out", self.path("/etc/peer.crt")],
                       check=True, stderr=subprocess.DEVNULL)
        os.chmod(self.path("/etc/peer.key"), 0o600)
        for name, text in self.config.items():
            self.write(name, self.fill(text))
        self.prepare()
        self.output = open(os.path.join(self.root, "output"), "ab")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh", *self.command],
            env={"PATH": os.environ["PATH"], "ROOT": self.root}, cwd="/", stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

        def greets():
            if self.process.poll() == 77:
                raise Missing("(no file system can be laid above this one)")
            if self.process.poll() is not None:
                raise AssertionError("the peer ended: " + self.said())
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as c:
                    return c.recv(len(self.greeting)) == self.greeting
            except OSError:
                return False
        try:
            wait_for(greets, "the greeting of the peer")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.said()}") from None
        return self

    def said(self):
        text = open(os.path.join(self.root, "output"), errors="replace").read()
        for log in glob.glob(self.path("/var/log/*.log")) + glob.glob(self.path("/var/log/exim4/*")):
            if os.path.isfile(log):
                text += open(log, errors="replace").read()[-6000:]
        return text[-9000:]

    def log(self):
        return "".join(open(f, errors="replace").read() for f in
                       glob.glob(self.path("/var/log/*.log")) + glob.glob(self.path("/var/log/exim4/mainlog")))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc):
        if self.process is not None and self.process.poll() is None:
            # The first process of the name space, and with it all in there; by --kill-child alone one
            # that changed its uid, as Postfix's master does, would go on.
            pid = self.process.pid
            for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
                os.kill(int(child), signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        if hasattr(self, "root") and not os.environ.get("FIFE_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    def smtp(self):
        s = smtplib.SMTP("127.0.0.1", self.port, "client.test", timeout=suite.PATIENCE)
        s.ehlo()
        if self.tls:
            s.starttls(context=suite.no_verify())
            s.ehlo()
        return s

    def messages(self):
        out = []
        for name in glob.glob(self.path("/mail/box/new/*")):
            try:
                with open(name, "rb") as f:
                    out.append(f.read().replace(b"\r\n", b"\n"))
            except OSError:
                continue
        return out

    def wait_message(self, needle):
        needle = needle.encode() if isinstance(needle, str) else needle

        def there():
            hits = [m for m in self.messages() if needle in m]
            return hits[0] if hits else None
        try:
            return wait_for(there, f"{needle!r} at the peer")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.said()}") from None


class Dovecot(Peer):
    """IMAP at port, POP3 at pop_port, for any name with the password "secret"; mail below /mail."""
    packages = ("dovecot-core", "dovecot-imapd", "dovecot-pop3d")
    users = (("dovecot", 64111), ("dovenull", 64112), ("vmail", 64113))
    groups = users
    command = ("/usr/sbin/dovecot", "-F", "-c", "/etc/dovecot-peer.conf")
    greeting = b"* OK"
    config = {"/etc/dovecot-peer.conf": """
protocols = imap pop3
listen = 127.0.0.1
base_dir = /run/dovecot-peer
mail_location = maildir:~/Maildir
log_path = /var/log/dovecot.log
disable_plaintext_auth = no
ssl = no
first_valid_uid = 100
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/mail/%n
}
namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = @PORT@
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP@
  }
}
"""}

    def __init__(self):
        super().__init__(0)
        self.pop_port = free_port()

    def fill(self, text):
        return super().fill(text).replace("@POP@", str(self.pop_port))

    def prepare(self):
        self.own("/mail", "vmail", "vmail")


class Postfix(Peer):
    packages = ("postfix",)
    users = (("postfix", 64101),)
    groups = (("postfix", 64101), ("postdrop", 64102))
    command = ("/usr/sbin/postfix", "start-fg")
    tls = b"using TLSv1."
    dsn = utf8 = chunking = True
    chunks = r"< .*: BDAT \d+ LAST"
    config = {"/etc/postfix/main.cf": """
compatibility_level = 3.6
myhostname = mail.peer.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
disable_dns_lookups = yes
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = peer.test
virtual_mailbox_base = /mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = @SIZE@
transport_maps = inline:{example.test=smtp:[127.0.0.1]:@FIFE@}
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/peer.crt
smtpd_tls_key_file = /etc/peer.key
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtputf8_enable = yes
minimal_backoff_time = 2s
maillog_file = /var/log/postfix.log
debug_peer_list = 127.0.0.1
debug_peer_level = 1
""", "/etc/postfix/dynamicmaps.cf": ""}

    def prepare(self):
        lines = []
        for line in open(self.path("/usr/share/postfix/master.cf.dist")):
            f = line.split()
            if line[:1] not in "# \t\n" and len(f) >= 8:
                if f[1] == "inet" and f[0] == "smtp":
                    f[0] = f"127.0.0.1:{self.port}"
                elif f[1] == "inet":
                    continue
                f[4] = "n"
                line = " ".join(f) + "\n"
            lines.append(line)
        self.write("/etc/postfix/master.cf", "".join(lines))
        os.makedirs(self.path("/var/spool/postfix"), exist_ok=True)
        os.makedirs(self.path("/var/lib/postfix"), exist_ok=True)
        self.own("/var/lib/postfix", "postfix", "postfix")
        for name in ("postqueue", "postdrop"):
            self.own("/usr/sbin/" + name, "root", "postdrop")
            os.chmod(self.path("/usr/sbin/" + name), 0o2755)


class OpenSmtpd(Peer):
    packages = ("opensmtpd",)
    users = (("opensmtpd", 64103), ("opensmtpq", 64104))
    groups = (("opensmtpd", 64103), ("opensmtpq", 64104))
    command = ("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
    # Debian's offers STARTTLS, but cannot sign with its key: fife has to go on in plain text.
    tls = None
    # Its reports lack the envelope id, and NOTIFY of one recipient lasts for the next.
    dsn, utf8, chunking = False, False, False
    copies = 1
    config = {"/etc/smtpd.conf": """
pki peer cert "/etc/peer.crt"
pki peer key "/etc/peer.key"
smtp max-message-size @SIZE@
table boxes { "@peer.test" = "nobody" }
listen on 127.0.0.1 port @PORT@ tls pki peer hostname mail.peer.test
action "box" maildir "/mail/box" virtual <boxes>
action "fife" relay host "smtp://127.0.0.1:@FIFE@" helo "mail.peer.test"
match from any for domain "peer.test" action "box"
match from any for domain "example.test" action "fife"
"""}

    def prepare(self):
        os.makedirs(self.path("/var/lib/opensmtpd/empty"), exist_ok=True)
        os.makedirs(self.path("/var/spool/smtpd"), mode=0o711, exist_ok=True)
        os.makedirs(self.path("/run"), exist_ok=True)
        self.write("/etc/mailname", "mail.peer.test\n")


class Exim(Peer):
    packages = ("exim4-base", "exim4-daemon-light")
    users = (("Debian-exim", 64105),)
    groups = (("Debian-exim", 64105),)
    command = ("/usr/sbin/exim4", "-bdf", "-q5s")
    tls = b"with esmtps"
    plus = "E+2B"  # as it came, which RFC 3461, 6.3, would decode
    dsn, utf8, chunking = True, True, True
    chunks = r" <= alice@example\.test .* K "
    config = {"/etc/exim4/exim4.conf": """
primary_hostname = mail.peer.test
acl_smtp_rcpt = acl_take
acl_smtp_data = acl_take
local_interfaces = 127.0.0.1
daemon_smtp_ports = @PORT@
tls_advertise_hosts = *
tls_certificate = /etc/peer.crt
tls_privatekey = /etc/peer.key
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
never_users = root
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = @SIZE@
trusted_users = Debian-exim
begin acl
acl_take:
  accept
begin routers
fife:
  driver = manualroute
  domains = example.test
  transport = fife
  route_list = * 127.0.0.1
  self = send
box:
  driver = accept
  domains = peer.test
  transport = box
begin transports
fife:
  driver = smtp
  port = @FIFE@
  allow_localhost
  message_size_limit = 0
box:
  driver = appendfile
  directory = /mail/box
  maildir_format
  user = nobody
  group = nogroup
begin retry
*  *  F,2h,5s
"""}

    def prepare(self):
        for name in ("/var/spool/exim4", "/var/log/exim4"):
            os.makedirs(self.path(name), exist_ok=True)
            self.own(name, "Debian-exim", "Debian-exim")
        self.own("/etc/peer.key", "root", "Debian-exim")
        os.chmod(self.path("/etc/peer.key"), 0o640)

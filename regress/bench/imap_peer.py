# SPDX-License-Identifier: ISC
"""Debian's Dovecot for imap.py: unpacked into a file system of its own above the system's, as the peers of
regress/e2e/peers.py are; its mail lies beside it on the real disk."""
import glob
import os
import signal
import socket
import subprocess

import suite
from peers import DEBS, Missing, free_port

PACKAGES = ("dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd")
USERS = (("dovecot", 64111), ("dovenull", 64112), ("vmail", 64113))
MODES = {
    "default": "",
    # The documented way for many log-ins, "high performance": processes are used again.
    "fast": """
service imap-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
}
service pop3-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
}
service imap {
  service_count = 100
  process_min_avail = 2
}
service pop3 {
  service_count = 100
  process_min_avail = 2
}
"""}
START = r"""
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$ROOT/upper,workdir=$ROOT/work" "$ROOT/all" || exit 77
mount --rbind /dev "$ROOT/all/dev"
mount --bind "$ROOT/mail" "$ROOT/all/mail"
mount -t proc proc "$ROOT/all/proc"
exec chroot "$ROOT/all" /usr/sbin/dovecot -F -c /etc/bench/dovecot.conf
"""
CONF = """
protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = /run/bench-dovecot
mail_location = maildir:~/Maildir
log_path = /var/log/dovecot.log
auth_mechanisms = plain login
disable_plaintext_auth = no
ssl = yes
ssl_cert = </etc/bench/cert.pem
ssl_key = </etc/bench/key.pem
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 100
default_process_limit = 4000
default_client_limit = 10000
default_vsz_limit = 0
passdb {
  driver = passwd-file
  args = scheme=SCRAM-SHA-256 username_format=%u /etc/bench/users
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
    port = @IMAP@
  }
  inet_listener imaps {
    port = @IMAPS@
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP@
  }
  inet_listener pop3s {
    port = @POPS@
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = @LMTP@
  }
}
mail_max_userip_connections = 10000
protocol lmtp {
  postmaster_address = postmaster@example.test
}
"""


class Dovecot:
    name = "Dovecot"

    def __init__(self, work, tls, passwords):
        """tls: a directory with cert.pem and key.pem; passwords: user to (iterations, salt, stored, server)."""
        self.root, self.process = os.path.join(work, "dovecot"), None
        debs = [sorted(glob.glob(os.path.join(DEBS, p + "_*.deb"))) for p in PACKAGES]
        if not all(debs):
            raise Missing("Dovecot is not in build/peers: sh etc/install-packages.sh --peers")
        for name in ("upper/etc/bench", "upper/var/log", "upper/mail", "work", "all", "mail"):
            os.makedirs(os.path.join(self.root, name))
        os.chmod(self.root, 0o755)
        for names in debs:
            subprocess.run(["dpkg", "-x", names[-1], os.path.join(self.root, "upper")], check=True)
        # Directories of packages must not hide the system's, which are links on a merged system.
        for name in ("lib", "bin", "sbin"):
            path = os.path.join(self.root, "upper", name)
            if os.path.isdir(path) and os.path.islink("/" + name):
                subprocess.run(["cp", "-a", path + "/.", os.path.join(self.root, "upper/usr", name)], check=True)
                subprocess.run(["rm", "-r", path], check=True)
        for file, form in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
            known = open("/etc/" + file).read()
            self.write(file, known + "".join(form.format(*u) for u in USERS if f"\n{u[0]}:" not in known))
        self.uid = int(next(x for x in open(self.etc("passwd")) if x.startswith("vmail:")).split(":")[2])
        self.write("bench/users", "".join(f"{u}:{{SCRAM-SHA-256}}{','.join(map(str, p))}\n" for u, p in passwords.items()))
        for file in ("cert.pem", "key.pem"):
            self.write("bench/" + file, open(os.path.join(tls, file)).read())
        os.chown(os.path.join(self.root, "mail"), self.uid, self.uid)
        self.mode = "default"

    def etc(self, name):
        return os.path.join(self.root, "upper/etc", name)

    def write(self, name, text):
        with open(self.etc(name), "w") as f:
            f.write(text)

    def start(self, mode="default"):
        if self.process is not None and mode == self.mode:
            return
        self.stop()
        self.mode = mode
        self.ports = {p: free_port() for p in ("imap", "imaps", "pop", "pops", "lmtp")}
        text = CONF
        for name, port in self.ports.items():
            text = text.replace(f"@{name.upper()}@", str(port))
        self.write("bench/dovecot.conf", text + MODES[mode])
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START],
            env={"PATH": os.environ["PATH"], "ROOT": self.root}, cwd="/", stdin=subprocess.DEVNULL,
            stdout=open(os.path.join(self.root, "output"), "ab"), stderr=subprocess.STDOUT, start_new_session=True)

        def greets():
            if self.process.poll() == 77:
                raise Missing("no file system can be laid above this one")
            if self.process.poll() is not None:
                raise AssertionError("Dovecot ended: " + open(os.path.join(self.root, "output")).read()[-2000:])
            try:
                with socket.create_connection(("127.0.0.1", self.ports["imap"]), timeout=5) as c:
                    return c.recv(4) == b"* OK"
            except OSError:
                return False
        suite.wait_for(greets, "the greeting of Dovecot")

    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        # The first process of the name space: with it all in there end.
        pid = self.process.pid
        for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
            os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None

    def user(self, pattern):
        return pattern + "@example.test"

    def maildir(self, user):
        """Its INBOX, made when it is not there."""
        top = os.path.join(self.root, "mail", user)
        for name in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(top, "Maildir", name), mode=0o700, exist_ok=True)
        self.own(user)
        return os.path.join(top, "Maildir")

    def own(self, user):
        subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", os.path.join(self.root, "mail", user)], check=True)

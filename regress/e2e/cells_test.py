# SPDX-License-Identifier: ISC
"""Each daemon under its own uid, in its chroot, under its filter, without capabilities, with just
the descriptors that the graph gives it; keys are nowhere but in keyd; a mailbox is closed to others."""
import base64
import os
import re
import subprocess
import sys

import suite
from suite import wait_for

fife = None
DAEMONS = ("logd", "authd", "keyd", "dnsd", "smtpd", "queued", "deliverd-remote", "deliverd-local",
           "filterd", "scand", "imapd", "pop3d", "sieved", "mboxd", "policyd", "execd", "listd")
ROOTS = {"logd": "log", "keyd": "key", "authd": "auth", "queued": "spool", "filterd": "filter", "scand": "scan", "mboxd": "mail",
         "policyd": "policy", "dnsd": "dns", "listd": "list"}
# Offsets in the uid range: common/role.def.
ROLES = {m.group(3): int(m.group(1)) for m in
         re.finditer(r'^ROLE\((\d+), (\w+), "([a-z0-9-]+)"', open(suite.TOP + "/common/role.def").read(), re.M)}
# common/graph.def, both ways.
EDGES = set()
_enum = {m.group(2): m.group(3) for m in
         re.finditer(r'^ROLE\((\d+), (\w+), "([a-z0-9-]+)"', open(suite.TOP + "/common/role.def").read(), re.M)}
for _m in re.finditer(r"^CHANNEL\((\w+), (\w+)\)", open(suite.TOP + "/common/graph.def").read(), re.M):
    EDGES.add(frozenset((_enum[_m.group(1)], _enum[_m.group(2)])))


def status_of(pid):
    return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)


def uid_base():
    text = open(os.path.join(fife.run, "fife.conf")).read()
    return int(re.search(r"uids\s+(\d+)-", text).group(1))


def all_processes():
    """(name, pid) of every daemon and mailbox process; authd's workers as authd-worker."""
    out = []
    for pid in fife.pids():
        name = os.path.basename(open(f"/proc/{pid}/cmdline").read().split("\0")[0]).split(":")[0]
        out.append((name, pid))
    return out


def test_every_daemon_runs():
    names = [n for n, _ in all_processes()]
    for d in DAEMONS:
        assert d in names, f"{d} does not run: {names}"
    assert names.count("fifed") == 1


def test_only_fife_below_fifed():
    for name, pid in all_processes():
        exe = os.readlink(f"/proc/{pid}/exe")
        assert exe.startswith(suite.BUILD), (name, exe)


def test_uids():
    base = uid_base()
    seen = {}
    for name, pid in all_processes():
        uids = set(status_of(pid)["Uid"].split()) | set(status_of(pid)["Gid"].split())
        if name in ("fifed",):
            assert uids == {"0"}
            continue
        if name in ("mboxd", "execd") and uids == {"0"}:
            continue
        assert len(uids) == 1, (name, uids)
        uid = int(uids.pop())
        assert base <= uid < base + 2000, (name, uid)
        seen.setdefault(uid, set()).add(name)
        if name in ROLES and name not in ("authd", "mboxd"):
            assert uid == base + ROLES[name], (name, uid)
        assert status_of(pid)["Groups"].strip() in ("", str(uid)), (name, status_of(pid)["Groups"])
    for uid, names in seen.items():
        assert len(names) == 1, (uid, names)


def test_chroots():
    for name, pid in all_processes():
        if name == "fifed":
            continue
        root = os.readlink(f"/proc/{pid}/root")
        if name == "execd":  # its programs need the tree of the system
            continue
        if name in ROOTS:
            want = [os.path.join(fife.run, ROOTS[name])]
            if name == "authd":
                want.append(os.path.join(fife.run, "empty"))
            if name == "mboxd":
                assert root == want[0] or root.startswith(want[0] + "/example.test/"), (name, root)
                continue
        elif name == "mailbox":
            assert root.startswith(os.path.join(fife.run, "mail") + "/"), root
            continue
        else:
            want = [os.path.join(fife.run, "empty")]
        assert root in [os.path.realpath(w) for w in want], (name, root)


def test_filters_and_capabilities():
    for name, pid in all_processes():
        if name == "fifed":
            continue
        s = status_of(pid)
        assert s["Seccomp"].strip() == "2", (name, s["Seccomp"])
        assert s["NoNewPrivs"].strip() == "1", name
        caps = int(s["CapEff"], 16) | int(s["CapPrm"], 16) | int(s["CapAmb"], 16)
        if name == "mboxd" and s["Uid"].split()[0] == "0":
            allowed = sum(1 << c for c in (0, 1, 3, 5, 6, 7, 18))  # CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID CHROOT
            assert caps & ~allowed == 0, hex(caps)
        elif name == "execd":
            assert caps & ~sum(1 << c for c in (5, 6, 7)) == 0, hex(caps)  # KILL SETGID SETUID
        else:
            assert caps == 0, (name, hex(caps))


def socket_pairs():
    """Unix sockets joined with each other: inode -> inode of its peer, asked from the kernel by ss."""
    out = subprocess.run(["ss", "-xnpH"], stdout=subprocess.PIPE, text=True).stdout
    peers = {}
    for line in out.splitlines():
        m = re.match(r"u_\w+\s+\S+\s+\d+\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", line)
        if m:
            peers[m.group(1)] = m.group(2)
    return peers


def test_descriptors_follow_the_graph():
    if not os.path.exists("/usr/bin/ss") and not os.path.exists("/bin/ss"):
        return "no ss"
    peers, owner = socket_pairs(), {}
    procs = all_processes()
    for name, pid in procs:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            m = re.match(r"socket:\[(\d+)\]", link)
            if m:
                owner.setdefault(m.group(1), set()).add((name, pid))
    checked = 0
    for inode, peer in peers.items():
        for a, apid in owner.get(inode, ()):
            for b, bpid in owner.get(peer, ()):
                if apid == bpid or "fifed" in (a, b) or "logd" in (a, b):
                    continue
                pair = frozenset((a, b))
                # authd with its own workers, mboxd with its own mailbox processes and
                # theirs with those they serve
                if len(pair) == 1 and a in ("authd", "mboxd"):
                    continue
                if pair & {"mailbox"} or (pair & {"mboxd"} and pair & {"imapd", "pop3d", "sieved", "deliverd-local"}):
                    continue
                assert pair in EDGES, f"a channel that the graph has not: {a} - {b}"
                checked += 1
    assert checked > 20, checked


def test_no_files_but_their_own():
    """Daemons in the empty root hold sockets, memory and stderr, no file."""
    for name, pid in all_processes():
        if name in ROOTS or name in ("fifed", "mailbox"):
            continue
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            ok = link.startswith(("socket:", "anon_inode:", "pipe:", "/memfd:", "/dev/null")) or link == fife.output
            ok = ok or link.endswith(".so") or link.startswith("/run/") and "spool" in link
            assert ok, (name, fd, link)


def memory_contains(pid, needle):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not m or "[vvar" in line or "[vsyscall]" in line:
                continue
            start, end = int(m.group(1), 16), int(m.group(2), 16)
            if end - start > 1 << 30:
                continue  # reserved address space of sanitizers and lmdb maps
            try:
                mem.seek(start)
                if needle in mem.read(end - start):
                    return True
            except (OSError, OverflowError, ValueError):
                continue
    return False


def private_key_bytes():
    tls = os.path.join(fife.run, "tls")
    for name in sorted(os.listdir(tls)):
        text = open(os.path.join(tls, name), errors="replace").read()
        if "PRIVATE KEY" in text:
            p = subprocess.run(["openssl", "pkey", "-in", os.path.join(tls, name), "-text", "-noout"],
                               stdout=subprocess.PIPE, text=True)
            m = re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", p.stdout)
            return bytes.fromhex(re.sub(r"[\s:]", "", m.group(1)))[-32:]
    raise AssertionError("no key found")


def test_private_key_is_in_keyd_alone():
    if suite.SAN:
        return "too slow under the sanitizers"
    key = private_key_bytes()
    # Use it everywhere first.
    fife.imap(tls=True).logout()
    fife.pop(tls=True).quit()
    fife.smtp(465).quit()
    s = fife.smtp(587)
    s.starttls(context=suite.no_verify())
    s.quit()
    # OpenSSL keeps a P-256 key as little-endian words, or as it stands.
    forms = (key, key[::-1])
    found = {}
    for name, pid in all_processes():
        if name == "fifed":
            continue
        found[name] = any(memory_contains(pid, f) for f in forms)
    assert found["keyd"], "the test looks for the wrong bytes: not even keyd has them"
    assert not any(v for k, v in found.items() if k != "keyd"), found


def as_uid(uid, root, path):
    """What a process with that uid and root gets when it lists path."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "opened"
        try:
            if root:
                os.chroot(root)
                os.chdir("/")
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.listdir(path)
        except OSError as e:
            said = type(e).__name__
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    said = os.read(r, 100).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return said


def test_mailbox_cannot_open_anothers():
    fife.imap().logout()
    fife.imap("bob@example.test").logout()
    mail = os.path.join(fife.run, "mail/example.test")
    uids = {u: os.stat(os.path.join(mail, u)).st_uid for u in ("alice", "bob")}
    assert uids["alice"] != uids["bob"]
    for who, other in (("alice", "bob"), ("bob", "alice")):
        own, others = os.path.join(mail, who), os.path.join(mail, other)
        assert as_uid(uids[who], own, "/Maildir") == "opened"  # the test can tell
        assert as_uid(uids[who], None, others) == "PermissionError"
        assert as_uid(uids[who], None, os.path.join(others, "Maildir/new")) == "PermissionError"
        assert as_uid(uids[who], own, "/../" + other) == "FileNotFoundError"
        assert as_uid(uids[who], own, others) == "FileNotFoundError"
    # and a mailbox process of alice runs as alice, in alice's directory
    c = fife.imap()
    try:
        c.select()
        roots = {os.readlink(f"/proc/{pid}/root"): int(status_of(pid)["Uid"].split()[0]) for n, pid in all_processes()
                 if os.readlink(f"/proc/{pid}/root").startswith(os.path.realpath(mail) + "/")}
        assert roots[os.path.join(os.path.realpath(mail), "alice")] == uids["alice"], roots
    finally:
        c.logout()


def test_nothing_outside_run():
    accounts = open("/etc/passwd").read()
    assert "_fife" not in accounts
    p = subprocess.run(["find", "/etc", "/var/lib", "/var/spool", "/var/mail", "/root", "-xdev", "-newer",
                        os.path.join(fife.run, "accounts"), "-name", "*fife*"], stdout=subprocess.PIPE, text=True)
    assert p.stdout == "", p.stdout


def test_control_socket_is_roots():
    p = subprocess.run([os.path.join(fife.run, "bin/fifectl"), "status"], user=65534, group=65534, extra_groups=[],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode != 0


if __name__ == "__main__":
    with suite.Suite() as fife:
        failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

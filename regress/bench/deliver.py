# SPDX-License-Identifier: ISC
"""make bench-deliver: 20,000 messages of 4 KB to 1,000 mailboxes, until the last is in its Maildir, durable as each
product does it by default: fife and Postfix (virtual(8), which spares it looking for a .forward) by SMTP, Dovecot by
LMTP, connections reused; in one run, by turns. Once more with all mail for one mailbox in a row, as a list's is.
Then: how long the first message to a mailbox that is new waits behind many to another.

DELIVER_MESSAGES (20000), DELIVER_MAILBOXES (1000), DELIVER_ROUNDS (3), DELIVER_CLIENTS (50)
"""
import os
import shutil
import subprocess
import time

import bench
from bench import suite

MESSAGES = bench.number("DELIVER_MESSAGES", 20000)
MAILBOXES = bench.number("DELIVER_MAILBOXES", 1000)
ROUNDS = bench.number("DELIVER_ROUNDS", 3)
CLIENTS = bench.number("DELIVER_CLIENTS", 50)
USERS = [f"u{i}" for i in range(MAILBOXES)]


def deliver(name, load, root, port, folders, options):
    os.sync()
    before = bench.cpu_ms(root)
    seen = bench.run_load(load, "-p", port, "-c", CLIENTS, "-m", 0, "-s", 4096, "-l", 300, "-n", MESSAGES, "-u",
                          MAILBOXES, "-t", "u%d@example.test", *options, "-w", *folders)
    time.sleep(0.2)  # what is left to do for these belongs to them
    cpu = (bench.cpu_ms(root) - before) / MESSAGES
    print(f"{name}: {seen.get('delivered_rate', 0):.0f}/s delivered, {seen.get('rate', 0):.0f}/s accepted, "
          f"{cpu:.2f} ms CPU a message", flush=True)
    return seen.get("delivered_rate", 0), cpu


def folders_of(base, home):
    return [os.path.join(base, u, home, d) for u in USERS for d in ("new", "cur")]


def new_mailbox(fife, load):
    """Seconds from the 250 to the mailbox, of the first, second and third message to a new mailbox while 12,000 for
    another are on their way."""
    waits = []
    fife.ctl("user", "add", "fresh@example.test", input="password\n")
    new = os.path.join(fife.run, "mail/example.test/fresh")
    flood = subprocess.Popen([load, "-p", str(fife.port(25)), "-c", "50", "-m", "0", "-n", "12000", "-s", "4096", "-t",
                              "alice@example.test", "-l", "120"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        for i in range(3):
            fife.send("s@elsewhere.test", ["fresh@example.test"], f"Subject: {i}\r\n\r\nx\r\n")
            began = time.monotonic()
            suite.wait_for(lambda: sum(len(f) for p, _, f in os.walk(new) if os.path.basename(p) in ("new", "cur")) > i,
                           "the message", 60)
            waits.append(time.monotonic() - began)
    finally:
        flood.wait()
    print("a new mailbox beside 12,000 for another: " + ", ".join(f"{w * 1000:.0f} ms" for w in waits), flush=True)


class VirtualPostfix(bench.Postfix):
    def prepare(self):
        os.mkdir(self.path("mail"))
        shutil.chown(self.path("mail"), "mail", "mail")
        self.settings = f"""virtual_mailbox_domains = example.test
virtual_mailbox_base = {self.path("mail")}
virtual_mailbox_maps = texthash:{self.path("users")}
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8"""
        self.write("users", "".join(f"{u}@example.test {u}/Maildir/\n" for u in USERS))
        super().prepare()


def fill(fife):
    fife.ctl("load", input="".join(f"user {u}@example.test uid=1\n" for u in USERS))


def main():
    where = bench.directory("deliver")
    results = {}
    try:
        load = bench.build(where, "smtp_load")
        postfix = VirtualPostfix("") if os.path.exists(bench.POSTFIX) else None
        dovecot = bench.Dovecot("dovecot") if os.path.exists(bench.DOVECOT_LMTP) else None
        with suite.Suite(conf_edit=bench.no_antivirus) as fife:
            fill(fife)
            suites = [("fife", fife.process.pid, fife.port(25),
                       folders_of(os.path.join(fife.run, "mail/example.test"), "Maildir"), ())]
            with bench.several(postfix, dovecot):
                if postfix:
                    suites.append(("postfix", postfix.root(), postfix.port, folders_of(postfix.path("mail"), "Maildir"),
                                   ()))
                if dovecot:
                    suites.append(("dovecot", dovecot.root(), dovecot.port, folders_of(dovecot.path("mail"), "Maildir"),
                                   ("-L",)))
                for _ in range(ROUNDS):
                    for s in reversed(suites):
                        results.setdefault(s[0], []).append(deliver(s[0], load, *s[1:]))
            new_mailbox(fife, load)
        rate = {k: bench.median([r for r, _ in v]) for k, v in results.items()}
        cpu = {k: bench.median([c for _, c in v]) for k, v in results.items()}
        bench.table(f"{MESSAGES} messages to {MAILBOXES} mailboxes", ("messages/s", "CPU ms", "fife to it"),
                    [(k, rate[k], cpu[k], bench.ratio(rate["fife"], rate[k])) for k in rate])
    finally:
        shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    main()

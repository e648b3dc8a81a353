# SPDX-License-Identifier: ISC
"""A full disk: strangers are told to come back, nothing acknowledged is lost, reading goes on, and
all of it recovers by itself when there is room again."""
import os
import shutil
import smtplib
import subprocess
import sys
import tempfile

import suite
from suite import wait_for

fife = None
mount = None
ALICE = "alice@example.test"


def send(subject, size=2000):
    body = ("y" * 70 + "\r\n") * (size // 72 + 1)
    fife.send("eve@elsewhere.test", [ALICE], f"Subject: {subject}\r\n\r\n{body}")


def fill():
    """Take all the room there is."""
    with open(os.path.join(mount, "ballast"), "ab", 0) as f:
        for block in (1 << 20, 1 << 12):
            try:
                while True:
                    f.write(b"\0" * block)
            except OSError:
                pass


def test_full_disk_is_a_temporary_failure():
    send("before")
    fife.wait_message("Subject: before")
    fill()
    codes, acked = set(), []
    for i in range(40):
        try:
            send(f"full {i}.")
            acked.append(i)
        except smtplib.SMTPResponseException as e:
            codes.add(e.smtp_code)
        except smtplib.SMTPRecipientsRefused as e:
            codes.add(list(e.recipients.values())[0][0])
        except (OSError, smtplib.SMTPException):
            codes.add(0)
        fill()
    assert codes, "40 messages were taken on a full disk"
    assert codes <= {421, 451, 452}, codes
    # What was there can be read.
    assert any(b"Subject: before" in m for m in fife.messages())
    test_full_disk_is_a_temporary_failure.acked = acked


def test_status_names_it():
    text = fife.ctl("status")
    assert "disk" in text.lower() and ("degraded" in text.lower() or "room" in text.lower()), text
    code, _ = fife.ctl("status", "--check", check=False)
    assert code == 1, code


def test_it_recovers():
    os.unlink(os.path.join(mount, "ballast"))

    def works():
        try:
            send("room again")
            return True
        except (OSError, smtplib.SMTPException):
            return False
    wait_for(works, "mail is taken again")
    fife.ctl("queue", "retry", "--all", check=False)
    fife.wait_message("Subject: room again")


def test_nothing_acknowledged_was_lost():
    want = test_full_disk_is_a_temporary_failure.acked

    def all_there():
        fife.ctl("queue", "retry", "--all", check=False)
        have = fife.messages()
        return all(any(f"Subject: full {i}.".encode() in m for m in have) for i in want)
    wait_for(all_there, "the acknowledged ones")
    have = [m for m in fife.messages() if b"Subject: full " in m]
    subjects = [m.split(b"Subject: full ", 1)[1].split(b".", 1)[0] for m in have]
    assert len(subjects) == len(set(subjects)), "delivered twice"


if __name__ == "__main__":
    parent = tempfile.mkdtemp(prefix="fife-disk.", dir="/var/tmp")
    mount = os.path.join(parent, "small")
    os.mkdir(mount)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", mount],
                             stderr=subprocess.DEVNULL).returncode == 0
    failed = 0
    try:
        if not mounted:
            print("skipped - full disk: cannot mount a small file system here")
        else:
            fife = suite.Suite(keep=mount)
            try:
                fife.start()
                failed = suite.main(sys.modules[__name__])
            finally:
                fife.stop()
    finally:
        if mounted:
            subprocess.run(["umount", "-l", mount])
        shutil.rmtree(parent, ignore_errors=True)
    sys.exit(1 if failed else 0)

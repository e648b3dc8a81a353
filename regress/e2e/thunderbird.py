# SPDX-License-Identifier: ISC
"""Thunderbird without a screen, driven by its Marionette protocol: what a person would click is
done by the same parts of it, and the talk with the server is its own."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import suite
from suite import wait_for

PREFERENCES = {
    # Nothing of its own goes out: what would is sent to a proxy that is not there.
    "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 1,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 1, "network.trr.mode": 5,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True, "network.prefetch-next": False, "network.manage-offline-status": False,
    "app.update.disabledForTesting": True, "app.update.auto": False, "app.normandy.enabled": False,
    "app.donation.eoy.version.viewed": 999, "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False, "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "", "services.settings.server": "data:,#remote-settings-dummy/v1",
    "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False, "browser.safebrowsing.update.enabled": False,
    "browser.region.network.url": "", "browser.region.update.enabled": False, "geo.provider.network.url": "",
    "extensions.update.enabled": False, "extensions.systemAddon.update.enabled": False, "extensions.getAddons.cache.enabled": False,
    "extensions.blocklist.enabled": False, "media.gmp-manager.updateEnabled": False, "security.OCSP.enabled": 0,
    "security.remote_settings.crlite_filters.enabled": False, "security.remote_settings.intermediates.enabled": False,
    "mailnews.start_page.enabled": False, "mailnews.start_page_override.mstone": "ignore",
    "mail.inappnotifications.enabled": False, "mail.chat.enabled": False, "mail.provider.enabled": False,
    "mail.spotlight.firstRunDone": True, "mail.winsearch.firstRunDone": True, "mail.shell.checkDefaultClient": False,
    "mail.rights.version": 1, "mailnews.auto_config_url": "", "mailnews.mx_service_url": "",
    "calendar.timezone.local": "UTC", "browser.policies.applied": False, "browser.dom.window.dump.enabled": False,
    "mailnews.database.global.indexer.enabled": False,
    # As somebody who wants to know at once.
    "mail.biff.play_sound": False, "mail.biff.show_alert": False, "marionette.port": 0, "mailnews.tags.version": 2,
    "intl.locale.requested": "en-US", "mail.identity.default.compose_html": False,
    # Without a question.
    "offline.download.download_messages": 2, "offline.send.unsent_messages": 2, "offline.startup_state": 0,
    "offline.autoDetect": False,
}
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thunderbird_client.js")


def missing():
    return None if shutil.which("thunderbird") else "thunderbird is not installed"


def leave_the_network():
    """Runs this program anew where there is no network but loopback, if that is allowed."""
    up = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
    if "FIFE_NO_NETWORK" not in os.environ and \
            subprocess.run([*up, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["FIFE_NO_NETWORK"] = "yes"
        os.execvp(up[0], [*up, sys.executable, *sys.argv])


class Thunderbird:
    """One process with a new profile in DIRECTORY; `with` ends it. It talks with Marionette's
    protocol: a length, a colon, and an array in JSON."""

    def __init__(self, directory, preferences):
        self.id, self.socket, self.file = 0, None, None
        self.log = os.path.join(directory, "talk")
        profile = os.path.join(directory, "profile")
        os.makedirs(profile, 0o700)
        with open(os.path.join(profile, "user.js"), "w") as f:
            for name, value in {**PREFERENCES, **preferences}.items():
                f.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        with open(CLIENT) as f:
            self.client = f"const patience = {suite.PATIENCE};\n" + f.read()
        env = {"PATH": os.environ["PATH"], "HOME": directory, "TMPDIR": directory, "LANG": "C.UTF-8", "TZ": "UTC",
               "MOZ_HEADLESS": "1", "MOZ_CRASHREPORTER_DISABLE": "1", "DBUS_SESSION_BUS_ADDRESS": "disabled:",
               "MOZ_LOG": "IMAP:5,SMTP:4,timestamp,sync", "MOZ_LOG_FILE": self.log}
        self.output = open(os.path.join(directory, "output"), "wb")
        self.process = subprocess.Popen(
            ["thunderbird", "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
             "--profile", profile],
            env=env, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            port = wait_for(lambda: self._port(os.path.join(profile, "MarionetteActivePort")), "thunderbird's port")
            # A script has its own bound, and says what it waits for.
            self.socket = socket.create_connection(("127.0.0.1", port), 3 * suite.PATIENCE)
            self.file = self.socket.makefile("rwb")
            self._receive()
            self.command("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
            self.command("Marionette:SetContext", {"value": "chrome"})
            self.command("WebDriver:SetTimeouts", {"script": 2000 * suite.PATIENCE})
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    def _port(self, path):
        assert self.process.poll() is None, "thunderbird ended: " + self.said()
        try:
            with open(path) as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def said(self):
        with open(self.output.name, errors="replace") as f:
            return f.read()[-3000:]

    def _lines(self):
        if not os.path.exists(self.log + ".moz_log"):
            return []
        with open(self.log + ".moz_log", errors="replace") as f:
            return [x for x in f if ":SendData: " in x or ":CreateNewLineFromSocket: " in x or "/SMTP" in x]

    def talk(self):
        """The end of what it and the server have said."""
        return "".join(x[11:26] + x.split("/", 1)[-1][:200].rstrip() + "\n" for x in self._lines()[-60:])

    def await_idle(self, path):
        """Until it waits for news of the folder. (What comes just while it begins to, it may see late.)"""
        def idle():
            last = [x for x in self._lines() if f":S-{path}:" in x][-1:]
            return last and ": + idling" in last[0]
        wait_for(idle, "IDLE in " + path)

    def _receive(self):
        length = b""
        while not length.endswith(b":"):
            octet = self.file.read(1)
            assert octet, "thunderbird hung up: " + self.said()
            length += octet
        return json.loads(self.file.read(int(length[:-1])))

    def command(self, name, parameters):
        self.id += 1
        text = json.dumps([0, self.id, name, parameters]).encode()
        self.file.write(b"%d:%s" % (len(text), text))
        self.file.flush()
        _, _, error, result = self._receive()
        assert not error, f"{error['error']}: {error['message']} {error.get('data')}\n{self.talk()}"
        return result

    def __getattr__(self, name):
        """A function of the client, to be called with its arguments: tb.open("INBOX")."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.run(f"return {name}(...args);", *args)

    def run(self, script, *args):
        """The value that an async function with the body SCRIPT returns; args is its array."""
        value = self.command("WebDriver:ExecuteAsyncScript", {
            "args": list(args), "newSandbox": False, "sandbox": "system",
            "script": "const args = [...arguments]; const done = args.pop();\n(async () => {\n" + self.client + script +
                      "\n})().then(v => done([v === undefined ? null : v]), e => done(String(e) + '\\n' + (e && e.stack)));",
        })["value"]
        if value is None:  # a dialogue was opened; the next command tells which
            self.command("WebDriver:ExecuteScript", {"script": "", "args": []})
        assert isinstance(value, list), f"{value}\n{self.talk()}"
        return value[0]

    def end(self):
        """As by its menu; then by force, with all that it started."""
        try:
            if self.process.poll() is None and self.file:
                self.socket.settimeout(20)
                self.command("Marionette:Quit", {"flags": ["eForceQuit"]})
                self.process.wait(20)
        except (OSError, ValueError, AssertionError, subprocess.TimeoutExpired):
            pass
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            if self.socket:
                self.socket.close()
            self.output.close()

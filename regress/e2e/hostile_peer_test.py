# SPDX-License-Identifier: ISC
"""Receiving hosts that fail at every step in every way: each message arrives once, or waits with
a reason; nothing is lost, nothing comes twice."""
import json
import re
import sys
import threading

import suite
from suite import Sink, SinkSession, wait_for
from zones import Zones

fife = None
dns = None
bad = None
good = None
ALICE = "alice@example.test"
STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END")
# What a host does at a step, and whether another host of the domain may be tried then: after
# the end of the content nobody knows whether it was taken.
WAYS = ("421", "451", "reset", "hang", "garbage", "endless")


class BadSession(SinkSession):
    def misbehave(self):
        way = self.server.way
        if way == "421":
            self.say("421 4.3.2 going down")
            raise ConnectionError
        if way == "451":
            self.say("451 4.3.0 not now")
            return
        if way == "garbage":
            self.wfile.write(b"\x16\x03\x01 what\r\n" * 3)
            raise ConnectionError
        if way == "endless":
            try:
                for _ in range(3000):
                    self.wfile.write(b"250-" + b"x" * 60 + b"\r\n")
            except OSError:
                pass
            raise ConnectionError
        if way == "hang":
            self.server.release.wait(suite.PATIENCE)
        raise ConnectionError

    def at(self, step):
        if self.server.step == step:
            self.server.hits += 1
            self.misbehave()
            return True
        return False

    def handle(self):
        try:
            self.talk()
        except (ConnectionError, OSError):
            pass

    def talk(self):
        if self.at("CONNECT"):
            return
        self.say("220 bad.test ESMTP")
        rcpts = []
        for raw in self.rfile:
            verb = raw.decode(errors="replace").split(" ")[0].strip().upper()
            if verb in STEPS and verb != "DATA" and self.at(verb):
                continue
            if verb == "EHLO":
                self.say("250-bad.test")
                if self.server.pipelining:
                    self.say("250-PIPELINING")
                if self.server.chunking:
                    self.say("250-CHUNKING")
                self.say("250 8BITMIME")
            elif verb == "RCPT":
                rcpts.append(raw)
                self.say("250 ok")
            elif verb == "DATA":
                if self.at("DATA"):
                    continue
                self.say("354 go on")
                body = b""
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                    body += data
                self.server.complete += 1
                if not self.at("END"):
                    self.server.messages.append((None, rcpts, body))
                    self.say("250 taken")
            elif verb == "BDAT":
                size = int(raw.split()[1])
                # A refusal is in its place once the chunk has come.
                body = self.rfile.read(size) if self.server.way == "451" or self.server.step != "DATA" else b""
                if self.at("DATA"):
                    continue
                self.server.complete += 1
                if not self.at("END"):
                    self.server.messages.append((None, rcpts, body))
                    self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Bad(Sink):
    def __init__(self):
        self.step = self.way = None
        self.pipelining, self.chunking = True, False
        self.hits = self.complete = 0
        self.release = threading.Event()
        super().__init__()
        self.RequestHandlerClass = BadSession

    def handle_error(self, request, client_address):
        pass


def send(subject, rcpt):
    fife.send(ALICE, [rcpt], f"From: <{ALICE}>\r\nTo: <{rcpt}>\r\nSubject: {subject}\r\n\r\nHello.\r\n", port=587,
              login=ALICE)


def result(rcpt):
    def there():
        for line in fife.ctl("log", "delivery", check=False)[1].splitlines():
            m = re.search(rf" (delivered|deferred|failed|expired) qid=(\w+) to={re.escape(rcpt)} code=(\S+)", line)
            if m:
                return m.groups()
    return wait_for(there, f"the result of {rcpt}")


def test_every_way_at_every_step():
    for mode in ("sequential", "pipelining", "chunking"):
        for step in STEPS if mode != "chunking" else ("DATA", "END"):
            for way in WAYS:
                name = f"{step}-{way}-{mode}".lower()
                # Each in a domain of its own: no connection is used again.
                rcpt = f"x@{name}.test"
                dns.add(f"{name}.test", "MX", "10 mx1.bad.test")
                bad.step, bad.way, bad.hits, bad.complete = step, way, 0, 0
                bad.pipelining, bad.chunking = mode != "sequential", mode == "chunking"
                bad.release.clear()
                send(name, rcpt)
                event, qid, code = result(rcpt)
                bad.release.set()
                assert event == "deferred", (name, event, code)
                assert code.startswith("4."), (name, code)
                assert bad.hits == 1, (name, bad.hits)
                # Once it is well again the message comes, and once.
                bad.step = None
                before = bad.complete
                fife.ctl("queue", "retry", qid)
                wait_for(lambda: [m for m in bad.messages if f"Subject: {name}\r\n".encode() in m[2]], f"{name} at last")
                assert bad.complete == before + 1, name
    bad.chunking = False


def test_the_second_host_takes_it():
    for step in STEPS:
        for way in ("421", "reset", "garbage"):
            name = f"two-{step}-{way}".lower()
            rcpt = f"x@{name}.test"
            dns.add(f"{name}.test", "MX", "10 mx1.bad.test").add(f"{name}.test", "MX", "20 mx2.bad.test")
            bad.step, bad.way, bad.complete, bad.pipelining = step, way, 0, True
            send(name, rcpt)
            event, qid, code = result(rcpt)
            if step == "END":
                # It may have been taken: not to another host.
                assert event == "deferred" and code in ("4.4.2", "4.3.2", "4.5.0"), (name, event, code)
                assert not [m for m in good.messages if name.encode() in m[2]], name
                fife.ctl("queue", "remove", qid)
            else:
                assert event == "delivered", (name, event, code)
                assert len([m for m in good.messages if f"Subject: {name}\r\n".encode() in m[2]]) == 1, name
    bad.step = None


def test_a_recipient_of_two():
    def answer(verb, arg):
        if verb == "RCPT" and "later" in arg:
            return "450 4.2.1 later"
        if verb == "RCPT" and "never" in arg:
            return "550 5.1.1 never"
    with Sink(answer) as other:
        fife.ctl("route", "add", "mixed.test", f"smtp://127.0.0.1:{other.port}")
        rcpts = ["ok@mixed.test", "later@mixed.test", "never@mixed.test"]
        fife.send(ALICE, rcpts, f"From: <{ALICE}>\r\nSubject: mixed\r\n\r\nx\r\n", port=587, login=ALICE)
        assert [result(r)[0] for r in rcpts] == ["delivered", "deferred", "failed"]
        other.answer = lambda verb, arg: None
        fife.ctl("queue", "retry", result("later@mixed.test")[1])
        wait_for(lambda: len(other.messages) == 2, "the late one")
        assert [m[1] for m in other.messages] == [["ok@mixed.test"], ["later@mixed.test"]]
        fife.ctl("route", "del", "mixed.test")


class FewSession(SinkSession):
    """Three connections at a time, the others are told to go."""

    def handle(self):
        s = self.server
        with s.lock:
            s.active += 1
            few = s.active <= 3
            s.refused += not few
        try:
            if few:
                # Not before somebody had to be refused.
                wait_for(lambda: s.refused, "one connection too many")
                super().handle()
            else:
                self.say("421 4.7.0 too many connections")
        finally:
            with s.lock:
                s.active -= 1


def test_host_that_takes_few_at_a_time():
    with Sink() as few:
        few.RequestHandlerClass = FewSession
        few.lock, few.active, few.refused = threading.Lock(), 0, 0
        fife.ctl("queue", "hold", "--all")
        fife.ctl("route", "add", "few.test", f"smtp://127.0.0.1:{few.port}", "concurrency=15")
        rcpts = [f"x{i}@few.test" for i in range(30)]
        for r in rcpts:
            fife.send(ALICE, [r], f"From: <{ALICE}>\r\nSubject: few\r\n\r\nx\r\n", port=587, login=ALICE)
        fife.ctl("queue", "release", "--all")

        def pressed():
            rows = json.loads(fife.ctl("-j", "queue", "destinations", f":{few.port}"))
            return rows and rows[0]["limit"] < rows[0]["ceiling"] and rows[0]
        row = wait_for(pressed, "fewer jobs at a time")
        assert row["ceiling"] == 15, row
        assert re.search(r"routes-pressed:? +1", fife.ctl("queue", "stats"))

        def all_there():
            if not few.active:
                fife.ctl("queue", "retry", "--to", "few.test", check=False)
            return len(few.messages) >= len(rcpts)
        wait_for(all_there, "all messages")
        assert sorted(m[1][0] for m in few.messages) == sorted(rcpts)
        # All fifteen at once would have had twelve refused in each round.
        assert few.refused <= 20, few.refused
        fife.ctl("route", "del", "few.test")


def edit(text, s):
    return text + f"""
resolver {{
	{dns.stub()}
	timeout 3s
}}
delivery {{
	smtp-port {PORT}
	timeout-connect 2s
	timeout-greeting 1s
	timeout-command 1s
	timeout-data 1s
	timeout-final 1s
	idle 1s
	mta-sts no
}}
queue {{
	retry 1h
}}
"""


PORT = None


if __name__ == "__main__":
    import socketserver
    with Zones() as dns, Bad() as bad:
        # Both hosts have the port of delivery: the second one another address.
        class Good(Sink):
            def server_bind(self):
                self.server_address = ("127.0.0.2", bad.port)
                socketserver.TCPServer.server_bind(self)
        PORT = bad.port
        with Good() as good:
            dns.add("mx1.bad.test", "A", "127.0.0.1").add("mx2.bad.test", "A", "127.0.0.2")
            with suite.Suite(conf_edit=edit) as fife:
                failed = suite.main(sys.modules[__name__])
    sys.exit(1 if failed else 0)

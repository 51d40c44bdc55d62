"""A backend that misbehaves on request: slow, silent, rude or dead at any stage of the dialogue."""

import collections
import socket
import threading
import time

from . import zones

DROP = "drop"  # close the connection without a word
SILENT = "silent"  # say nothing, keep the connection


class Slow:
    """Answers after `delay_s` seconds."""

    def __init__(self, delay_s, reply=None):
        self.delay_s = delay_s
        self.reply = reply


NORMAL = {
    "connect": "220 fake.example.lab ESMTP",
    "ehlo": "250-fake.example.lab\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 go on",
    "dot": "250 2.0.0 Ok: stored",
    "rset": "250 2.0.0 Ok",
    "noop": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
}


class FakeBackend:
    """`behave(stage=…)` changes what happens at a stage: a reply text (any bytes), DROP, SILENT or Slow.
    `stored` lists the messages whose final dot was seen; `accepted` those that also got a 250.
    With body=DROP the connection ends in the middle of a message's data; with liar=True it agrees to
    anything in any order."""

    def __init__(self, address=zones.FAKE_BACKEND, port=2525):
        self.address = f"{address}:{port}"
        self.listener = socket.create_server((address, port), backlog=64)
        self.behaviour = dict(NORMAL)
        self.stored = []
        self.accepted = []
        self.verbs = collections.Counter()
        self.bodies = []  # raw bytes between 354 and the dot, also of messages cut short
        self.connections = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def behave(self, **stages):
        self.behaviour = {**NORMAL, **stages}
        self.drop_everyone()

    def forget(self):
        for memory in (self.stored, self.accepted, self.bodies, self.verbs):
            memory.clear()

    def drop_everyone(self):
        for s in list(self.connections):
            shut(s)

    def close(self):
        shut(self.listener)
        self.drop_everyone()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            self._dialogue(s, s.makefile("rb"))
        except (OSError, ValueError):
            pass
        finally:
            self.connections.discard(s)
            shut(s)

    def _dialogue(self, s, lines):
        self._answer(s, "connect")
        last = {}  # stage -> the reply it got in this transaction
        for line in iter(lines.readline, b""):
            stage = line[:4].decode(errors="replace").strip().lower()
            self.verbs[stage] += 1
            if stage in ("mail", "rset", "ehlo"):
                last.clear()
            if self._out_of_order(stage, last):
                s.sendall(b"503 5.5.1 bad sequence of commands\r\n")
                continue
            reply = self._answer(s, stage if stage in self.behaviour else "noop")
            if last.get(stage, "")[:1] != "2":
                last[stage] = reply
            if stage == "data" and reply.startswith("354"):
                body = self._read_body(s, lines)
                self.stored.append(body)
                self._answer(s, "dot", body)
            if stage == "quit":
                return

    def _out_of_order(self, stage, last):
        needs = {"rcpt": "mail", "data": "rcpt"}.get(stage)
        return needs and not self.behaviour.get("liar") and last.get(needs, "")[:1] != "2"

    def _read_body(self, s, lines):
        body = b""
        for line in iter(lines.readline, b""):
            if line == b".\r\n":
                self.bodies.append(body)
                return body
            body += line
            if self.behaviour.get("body") == DROP:
                break
        self.bodies.append(body)
        raise OSError("cut short")

    def _answer(self, s, stage, body=None):
        action = self.behaviour[stage]
        reply = action
        if isinstance(action, Slow):
            time.sleep(action.delay_s)
            reply = action.reply or NORMAL[stage]
        if reply == DROP:
            raise OSError("dropped as told")
        if reply == SILENT:
            while s.recv(4096):  # until the other side gives up
                pass
            raise OSError("silent as told")
        wire = reply if isinstance(reply, bytes) else reply.encode() + b"\r\n"
        if body is not None and wire.startswith(b"250 "):
            self.accepted.append(body)  # before the client can know
        s.sendall(wire)
        return wire.decode(errors="replace").strip()


def shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()

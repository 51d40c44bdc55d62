"""One worker process on its own: this is its supervisor, its backend and its clients.

The worker is the real program (`danegate --worker 1`); the wire, the counter page and the
listening socket come from here. Nothing needs root, a name server or a fixed port."""

import json
import os
import re
import resource
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

OFFERS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING")


class Backend:
    """A scripted SMTP server. `rules` maps a verb, "greeting" or "dot" to a reply, to "CLOSE" or
    "MUTE", or to None for the usual; "proxy": a PROXY v2 header comes first; "line_delay": seconds
    of sleep for each line of a message; "group": MAIL and RCPT are answered when DATA has come; "tls": an SSLContext:
    STARTTLS is offered, and `secure` counts the handshakes."""

    def __init__(self, offers=OFFERS, path=None, **rules):
        self.offers, self.rules = offers, rules
        self.messages, self.commands, self.headers = [], [], []
        self.connections = self.quits = self.aborted = self.secure = 0
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = "unix:" + path
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.start()

    def start(self):
        self.listener.listen(1024)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def start_again(self):
        host, port = self.address.split(":")
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, int(port)))
        self.start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(60)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Dialogue(self, sock).run()
        except (OSError, EOFError):
            pass
        finally:
            sock.close()


class Dialogue:
    def __init__(self, backend, sock):
        self.backend, self.sock, self.file, self.secure = backend, sock, sock.makefile("rb"), False
        self.chunks = []
        self.owed = b""

    def say(self, text, later=False):
        self.owed += text.encode() + b"\r\n"
        if not later:
            self.sock.sendall(self.owed)
            self.owed = b""

    def rule(self, name, usual):
        """Says what the rule or else `usual` says; returns that."""
        text = self.backend.rules.get(name) or usual
        if text == "MUTE":
            time.sleep(60)
        if text in ("MUTE", "CLOSE"):
            raise EOFError
        self.say(text, later="group" in self.backend.rules and name in ("MAIL", "RCPT"))
        return text

    def run(self):
        backend = self.backend
        if "proxy" in backend.rules:
            start = self.file.read(16)
            if len(start) < 16:
                return
            backend.headers.append(start + self.file.read(struct.unpack(">H", start[14:16])[0]))
        self.rule("greeting", "220 backend ESMTP")
        while line := self.file.readline():
            backend.commands.append(line)
            verb = line.split()[0].decode("latin1").upper() if line.split() else ""
            if verb in ("MAIL", "RSET"):
                self.chunks = []
            if verb in ("EHLO", "LHLO"):
                offers = [*backend.offers, *(["STARTTLS"] if "tls" in backend.rules and not self.secure else [])]
                self.rule(verb, "\r\n".join(["250-backend"] + ["250-" + o for o in offers] + ["250 HELP"]))
            elif verb == "STARTTLS" and "tls" in backend.rules:
                if self.rule(verb, "220 2.0.0 go on").startswith("220"):
                    self.shake()
            elif verb == "QUIT":
                backend.quits += 1
                self.rule(verb, "221 2.0.0 bye")
                return
            elif verb == "DATA":
                if self.rule(verb, "354 go on").startswith("354"):
                    self.message()
            elif verb == "BDAT":
                self.chunk(int(line.split()[1]), line.upper().endswith(b" LAST\r\n"))
            else:
                self.rule(verb, "220 2.0.0 again" if verb == "XCLIENT" else "250 2.0.0 ok")

    def shake(self):
        self.sock = self.backend.rules["tls"].wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.secure = True
        self.backend.secure += 1

    def chunk(self, size, last):
        """Rules: "BDAT" for the reply to a chunk, "dot" for the one to the last."""
        octets = self.file.read(size)
        if len(octets) < size:
            self.backend.aborted += 1
            raise EOFError
        self.chunks.append(octets)
        if not last:
            self.rule("BDAT", "250 2.0.0 %d octets" % size)
            return
        if self.backend.rules.get("dot", "250").startswith("250"):
            self.backend.messages.append(b"".join(self.chunks))
        self.chunks = []
        self.rule("dot", "250 2.0.0 queued")

    def message(self):
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                self.backend.aborted += 1
                raise EOFError
            time.sleep(self.backend.rules.get("line_delay", 0))
            lines.append(line.removeprefix(b"."))
        if self.backend.rules.get("dot", "250").startswith("250"):
            self.backend.messages.append(b"".join(lines))
        self.rule("dot", "250 2.0.0 queued")


_keys = {}


def identity(name, generation=1):
    """An identity message member with an ECDSA and an RSA key, made once per run by openssl."""
    if (name, generation) not in _keys:
        _keys[name, generation] = [
            _key("ecdsa-p256", name, "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            _key("rsa-3072", name, "rsa:3072"),
        ]
    return {"name": name, "generation": generation, "keys": _keys[name, generation]}


def _key(algorithm, name, *kind):
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", d + "/key", "-out", d + "/cert",
                        "-days", "30", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name],
                       check=True, stderr=subprocess.DEVNULL)
        with open(d + "/key") as key, open(d + "/cert") as cert:
            return {"algorithm": algorithm, "key_pem": key.read(), "chain_pem": cert.read()}


CENSUS_SLOT = 1 << 20


def census(slots=1):
    """The memory in which workers count clients together, as a supervisor makes it."""
    fd = os.memfd_create("census")
    os.ftruncate(fd, 4096 + slots * CENSUS_SLOT)
    os.pwrite(fd, struct.pack("II16s", 0x63656E73, slots, os.urandom(16)), 0)
    return fd


# Longer than any stall of a busy machine: a test that is about one of them makes that one short.
PATIENCE = {"drain_timeout": "60s", "connect_timeout": "30s", "reply_timeout": "60s", "data_timeout": "60s", "idle_timeout": "60s"}


class Worker:
    """`smtp`, `limits` and `proxy` are lines of YAML for those sections; `times` replaces some of PATIENCE. `shared`: a
    census and this worker's slot in it. `connectors`: the list of that name, with `backend` None or besides it; `files`: the
    CA files in it, by path."""

    def __init__(self, program, backend, smtp="", limits="", client_info="none", proxy="", family=socket.AF_INET,
                 shared=None, times=(), connectors=(), files=()):
        self.smtp, self.limits, self.client_info, self.proxy = smtp, limits, client_info, proxy
        self.times = {**PATIENCE, **dict(times)}
        self.connectors, self.files = connectors, dict(files)
        self.news, self.crashed = [], False
        self.wire, theirs = socket.socketpair()
        self.wire.settimeout(60)  # for hear: what never comes is a failure
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.address = self.listener.getsockname()[:2]
        self.page = page = os.memfd_create("counters")
        os.ftruncate(page, 16384)
        counted, slot = shared or (census(), 0)
        self.log_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([program, "--worker", "1", "--slot", str(slot)], stdin=subprocess.DEVNULL, stderr=self.log_file,
                                        close_fds=False, preexec_fn=_hand_over(theirs.fileno(), page, counted, self.listener.fileno()))
        theirs.close()
        if not shared:
            os.close(counted)
        self.file = self.wire.makefile("rwb")
        self.configure(backend)
        self.present(identity("mx1.example.org"), identity("mx2.example.org"))
        self.tell(do="listen")
        self.sessions()

    def tell(self, **message):
        self.file.write(json.dumps(message).encode() + b"\n")
        self.file.flush()

    def hear(self, *wanted):
        for line in self.file:
            message = json.loads(line)
            if any(key in message for key in wanted):
                return message
            self.news.append(message)
        raise EOFError(self.log())

    def configure(self, backend):
        address = f'address: "{backend.address}", client_info: {self.client_info},' if backend else ""
        self.tell(do="config", number=1, name="test.yaml", files=self.files, drained=[], text=f"""
proxy: {{ hostname: mx1.example.org, listen: ["127.0.0.1:25"], drain_timeout: {self.times["drain_timeout"]}, {self.proxy} }}
identities: [ {{ name: mx1.example.org }} ]
connectors: {json.dumps(list(self.connectors))}
backend: {{ {address}
            {", ".join(f"{k}: {v}" for k, v in self.times.items() if k != "drain_timeout")} }}
smtp: {{ {self.smtp} }}
limits: {{ {self.limits} }}
""")
        taken = self.hear("configured")
        assert taken == {"configured": 1}, taken

    def answer_route(self, **answer):
        """Hears one question for a route and answers it; returns the question."""
        question = self.hear("route")
        self.tell(do="route", route=question["route"], **answer)
        return question

    def ledger(self, connector, domain, want):
        """Adds up what the worker tells of one connector and domain until it is `want`: trusts and refusals in one."""
        seen = {}
        pending, self.news = self.news, []
        while seen != want:
            message = pending.pop(0) if pending else self.hear("ledger")
            for row in message.get("ledger", ()):
                if (row["connector"], row["domain"]) == (connector, domain):
                    for name, number in {**row["trust"], **row["refused"]}.items():
                        seen[name] = seen.get(name, 0) + number
        return seen

    def present(self, *identities, epoch=1):
        self.tell(do="identities", epoch=epoch, default=identities[0]["name"], seed="5a" * 32, identities=list(identities))
        return self.hear("ack", "nack")

    def sessions(self):
        self.tell(do="sessions", id=1)
        return self.hear("sessions")["list"]

    def counter(self, name):
        """A number from the shared page, by its name in COUNTER_LIST; "REFUSAL x" and "ENDED x": by the reason x."""
        with open(os.path.join(os.path.dirname(__file__), "../../../../proxy/counters.h")) as f:
            names = re.findall(r"^\s+X\((\w+), \"", f.read(), re.MULTILINE)
        with open(os.path.join(os.path.dirname(__file__), "../../../../proxy/smtp/reply.h")) as f:
            reasons = re.findall(r'^\tX\(\w+, "(\w+)"\)', f.read(), re.MULTILINE)
        names += [kind + reason for kind in ("REFUSAL ", "ENDED ") for reason in reasons]
        return struct.unpack("Q", os.pread(self.page, 8, 8 + 8 * names.index(name)))[0]

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read()

    def limit_descriptors(self, more):
        """Lets it open `more` descriptors beyond those it has now, when it has closed what it is closing."""
        seen = []

        def still():
            seen.append([int(fd) for fd in os.listdir(f"/proc/{self.process.pid}/fd")])
            return len(seen) > 25 and all(now == seen[-1] for now in seen[-25:]) and len(seen[-1]) == max(seen[-1]) + 1

        until(still)
        now = seen[-1]
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (len(now) + more,) * 2)

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4

    def wait(self):
        status, log = self.process.wait(90), self.log()
        if self.page >= 0:
            os.close(self.page)
            self.page = -1
        assert status == 0, (status, log)
        assert "Sanitizer" not in log and "runtime error" not in log, log
        return log

    def crash(self):
        self.process.kill()
        self.process.wait()
        self.crashed = True

    def stop(self):
        """Closes the wire, as a supervisor that dies does; returns the log."""
        if self.crashed:
            return self.log()
        if self.process.poll() is None:
            self.wire.shutdown(socket.SHUT_RDWR)
        return self.wait()


def _hand_over(*fds):
    def run():
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
        os.closerange(3 + len(fds), 4096)
    return run


class Client:
    def __init__(self, worker, hello=True, timeout=60, first=b""):
        self.rest = b""
        self.sock = socket.create_connection(worker.address, timeout=timeout)
        self.raw(first)
        if hello:
            self.expect(220)
            self.say("EHLO client.example", 250)

    def raw(self, octets):
        self.sock.sendall(octets)

    def reply(self):
        """The next reply as (code, text), or (0, "") at the end of the connection."""
        lines = []
        while not lines or lines[-1][3:4] == "-":
            while b"\n" not in self.rest:
                more = self.sock.recv(65536)
                if not more:
                    assert not lines and not self.rest, (lines, self.rest)
                    return 0, ""
                self.rest += more
            line, self.rest = self.rest.split(b"\n", 1)
            lines.append(line.decode("latin1").rstrip("\r"))
        return int(lines[-1][:3]), "\n".join(lines)

    def expect(self, *codes):
        got = self.reply()
        assert got[0] in codes, (codes, got)
        return got[1]

    def say(self, line, *codes):
        self.raw(line.encode() + b"\r\n")
        return self.expect(*codes)

    def secure(self, sni="mx1.example.org", version=None, session=None, context=None):
        self.say("STARTTLS", 220)
        assert self.rest == b""
        self.sock = (context or any_context(version)).wrap_socket(self.sock, server_hostname=sni, session=session)
        self.say("EHLO client.example", 250)
        return self

    def open_message(self):
        self.say("MAIL FROM:<a@example.com>", 250)
        self.say("RCPT TO:<b@example.org>", 250)
        self.say("DATA", 354)
        return self

    def deliver(self, message=b"Subject: x\r\n\r\nhello\r\n"):
        self.open_message()
        self.raw(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
        return self.reply()

    def reset(self):
        """Ends with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def cut(self):
        """Ends with FIN and, under TLS, without close_notify."""
        os.close(self.sock.detach())

    def ended(self):
        return self.sock.recv(1) == b""


def any_context(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)  # an end without close_notify is an error
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)

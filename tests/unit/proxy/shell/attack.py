"""The attack matrix: tables of rows, each played against the real worker in every way of WAYS.

A row's script is a list. Bytes are sent. A code (250), or a code and an enhanced one
("250 2.1.0"), is the reply that must come next; a compiled pattern matches its whole text.
END: the connection must end now, in order. EARLY, at the start: the greeting is
not waited for. A function of the Play: waited
for until it is true. HALF, NOTIFY, RESET and DAMAGE break the
connection as their comments say. The greeting, and STARTTLS in the ways that have it, are
played before the script; behind one that has not ended the connection comes QUIT.

Whatever a row says, every run is also held to these rules: replies are well-formed and none
is left over; what the backend got of DATA has no bare CR, LF or NUL in it; a connection of
ours ends with close_notify; no word of a smuggler becomes a command."""

import concurrent.futures
import copy
import os
import random
import re
import socket
import ssl
import struct
import threading
import unittest

from rig import OFFERS, Worker, any_context, until

# How a script's octets travel. "octets": one TCP write for each. "records": one TLS record
# for each. "wire": one TCP write for each octet of ciphertext, the handshake's too. "cuts":
# at random places, of the plain and of the cipher text; the seed is the row's name.
CLEAR = ("clear whole", "clear octets", "clear cuts")
TLS = ("tls whole", "tls records", "tls wire", "tls cuts", "tls1.2 whole", "tls1.2 cuts")
WAYS = CLEAR + TLS
DEADLINE = 90
# More octets than this in one go, and only those at its ends travel alone.
ALONE = 600

EARLY = "EARLY"
END = "END"        # the other side ends the connection
HALF = "HALF"      # we send FIN and, in TLS, no close_notify; we still listen
NOTIFY = "NOTIFY"  # in TLS close_notify, and then FIN
RESET = "RESET"    # RST; nothing can be heard any more
DAMAGE = "DAMAGE"  # in TLS a record whose MAC is wrong
ALERT = "ALERT"    # in TLS the connection must end with an alert that says why


class Row:
    """`stored`: the messages that the backend took in, without our trace header; None: not looked at.
    `seen`: the commands it got, as patterns, in this order; EHLO, RSET and QUIT are ours. `backend`: what it says other than the usual, see
    Stage. `ways`: the only ways that make sense."""

    def __init__(self, name, reference, script, stored=None, seen=None, backend=None, ways=WAYS):
        self.name, self.reference, self.script = name, reference, script
        self.stored, self.seen, self.backend, self.ways = stored, seen, backend or {}, ways


class Play:
    """What one session made the backend see."""

    def __init__(self, rules, how, rng):
        self.rules, self.how, self.rng = copy.deepcopy(rules), how, rng
        self.commands, self.messages, self.raw = [], [], []
        self.links = self.open = self.unfinished = 0


class Stage:
    """A backend for many sessions at once: the PROXY header of each link says whose it is.

    Rules map a verb, "greeting" or "dot" to what is said instead of the usual: bytes, CLOSE, RST
    or MUTE; a list holds one for each time. OFFERS: the lines of the EHLO reply. "dies": closes
    behind DATA; "speaks": says this behind the first line of a message."""

    CLOSE, RST, MUTE = "CLOSE", "RST", "MUTE"

    def __init__(self, offers=tuple(o for o in OFFERS if o != "CHUNKING")):
        self.offers, self.plays = offers, {}
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.quits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(DEADLINE)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        file = sock.makefile("rb")
        play = None
        try:
            head = file.read(16)
            rest = file.read(struct.unpack(">H", head[14:16])[0]) if len(head) == 16 else b""
            port = struct.unpack(">H", rest[8:10])[0] if len(rest) >= 12 else 0
            play = self.plays.get(port) or Play({}, "clear whole", random.Random(0))
            with self.lock:
                play.links += 1
                play.open += 1
            Link(self, play, sock, file).run()
        except (OSError, EOFError):
            pass
        finally:
            file.close()
            sock.close()
            if play:
                with self.lock:
                    play.open -= 1


class Link:
    def __init__(self, stage, play, sock, file):
        self.stage, self.play, self.sock, self.file = stage, play, sock, file

    def say(self, name, usual):
        """Says what the rule for `name`, or else `usual`, says; returns that."""
        rule = self.play.rules.get(name, usual)
        if isinstance(rule, list):
            rule = rule.pop(0) if rule else usual
        if rule == Stage.RST:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if rule == Stage.MUTE:
            while self.file.read(1):
                pass
        if isinstance(rule, str):
            raise EOFError
        if "octets" in self.play.how or "wire" in self.play.how:
            pieces = singly(rule)
        else:
            pieces = at_random(rule, self.play.rng) if "cuts" in self.play.how else [rule]
        for piece in pieces:
            self.sock.sendall(piece)
        return rule

    def run(self):
        play = self.play
        self.say("greeting", b"220 backend ESMTP\r\n")
        while line := self.file.readline():
            play.commands.append(line)
            words = line.split()
            verb = words[0].decode("latin1").upper() if words else ""
            if verb == "EHLO":
                offers = play.rules.get("OFFERS", self.stage.offers)
                self.say(verb, "".join(["250-backend\r\n"] + ["250-%s\r\n" % o for o in offers] + ["250 HELP\r\n"]).encode())
            elif verb == "QUIT":
                self.stage.quits += 1
                self.say(verb, b"221 2.0.0 bye\r\n")
                return
            elif verb == "DATA":
                if self.say(verb, b"354 go on\r\n").startswith(b"354"):
                    self.message()
            elif verb == "BDAT":
                self.chunk(int(words[1]), words[2:] == [b"LAST"])
            else:
                self.say(verb, b"250 2.0.0 ok\r\n")

    def message(self):
        """Reads up to CRLF . CRLF, and nothing else ends it."""
        lines, whole = [], True
        if "speaks" in self.play.rules:
            lines.append(self.file.readline())
            self.sock.sendall(self.play.rules["speaks"])
        if "dies" in self.play.rules:
            raise EOFError
        try:
            while (line := self.file.readline()) != b".\r\n" or not whole:
                if not line:
                    self.play.unfinished += 1
                    raise EOFError
                lines.append(line)
                whole = line.endswith(b"\r\n")
        finally:
            self.play.raw.append(b"".join(lines))
        if self.say("dot", b"250 2.0.0 queued\r\n").startswith(b"250"):
            self.play.messages.append(b"".join(line.removeprefix(b".") for line in lines))

    def chunk(self, size, last):
        octets = self.file.read(size)
        if len(octets) < size:
            self.play.unfinished += 1
            raise EOFError
        self.chunks = getattr(self, "chunks", b"") + octets
        if self.say("dot" if last else "BDAT", b"250 2.0.0 octets\r\n").startswith(b"250") and last:
            self.play.messages.append(self.chunks)
        if last:
            self.chunks = b""


def singly(octets):
    if len(octets) <= ALONE:
        return [bytes([o]) for o in octets]
    return singly(octets[:ALONE // 2]) + [octets[ALONE // 2:-ALONE // 2]] + singly(octets[-ALONE // 2:])


def at_random(octets, rng):
    pieces = []
    while octets:
        n = min(len(octets), rng.choice((1, 1, 2, 3, 7, 40, 300, 4096)))
        pieces.append(octets[:n])
        octets = octets[n:]
    return pieces


class Wrong(Exception):
    pass


class Line:
    """The client's connection in one way; TLS is spoken over memory, so that each octet is ours to send."""

    def __init__(self, sock, how, rng, context=None):
        self.sock, self.how, self.rng, self.context = sock, how, rng, context
        self.tls = None
        self.plain = b""
        self.ended = self.reset = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(DEADLINE)

    def wire(self, octets):
        pieces = [octets]
        if "octets" in self.how or "wire" in self.how:
            pieces = singly(octets)
        elif "cuts" in self.how:
            pieces = at_random(octets, self.rng)
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            self.reset = True  # what it said before that can still be read

    def flush(self):
        if self.outgoing.pending:
            self.wire(self.outgoing.read())

    def send(self, octets):
        if self.tls is None:
            self.wire(octets)
            return
        pieces = [octets]
        if "records" in self.how:
            pieces = singly(octets)
        elif "cuts" in self.how:
            pieces = at_random(octets, self.rng)
        for piece in pieces:
            self.tls.write(piece)
            self.flush()

    def handshake(self, version, sni="mx1.example.org"):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (self.context or any_context(version)).wrap_bio(self.incoming, self.outgoing, server_hostname=sni)
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                return
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.some() or self.eof())

    def eof(self):
        raise Wrong("the connection ended in the handshake")

    def some(self):
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            self.reset = True
            return b""
        except TimeoutError:
            raise Wrong("nothing came") from None

    def more(self):
        """Reads more of what is said to us; b"" at the end, which in TLS must be an honest one."""
        while self.tls is not None:
            try:
                octets = self.tls.read(65536)
                self.flush()
                return octets
            except ssl.SSLWantReadError:
                self.flush()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError:
                raise Wrong("ended without close_notify") from None
            octets = self.some()
            self.incoming.write(octets) if octets else self.incoming.write_eof()
        return self.some()

    def reply(self):
        """The next reply, checked for its form, as text; "" at the end of the connection."""
        lines = []
        while not lines or lines[-1][3:4] == b"-":
            while b"\n" not in self.plain:
                octets = self.more()
                if not octets:
                    if lines or self.plain:
                        raise Wrong("the end in the middle of a reply: %r %r" % (lines, self.plain))
                    return ""
                self.plain += octets
            line, self.plain = self.plain.split(b"\n", 1)
            if not re.fullmatch(rb"[2-5][0-5][0-9][ -][ -~]*\r", line) or len(line) > 511 or \
               (lines and line[:3] != lines[0][:3]):
                raise Wrong("not a reply: %r" % line)
            lines.append(line[:-1])
        return b"\n".join(lines).decode()

    def close(self):
        self.sock.close()


# Replies that RFC 2034 section 4 exempts, by what they answer or by their code.
BARE = re.compile(r"(220[ -]\S+ ESMTP|250-mx1|250 mx1|354 )")


def check_form(text):
    if not BARE.match(text) and not re.match(r"(\d)\d\d (\1)\.\d{1,3}\.\d{1,3}( |$)", text):
        raise Wrong("no enhanced code: %r" % text)


class World:
    """A worker, its backend, and what both were told at the start."""

    def __init__(self, program, offers=None, smtp="", limits="", times=()):
        self.stage = Stage(offers) if offers is not None else Stage()
        many = "max_errors: 100000, max_commands: 100000, "
        self.worker = Worker(program, self.stage, smtp=(many if "max_errors" not in smtp else "") + smtp,
                             limits=limits or "sessions_per_address: 10000, sessions_per_prefix: 10000", client_info="proxy-v2",
                             times=times)
        until(lambda: self.stage.quits >= 1)  # the look at what the backend offers

    def connect(self, row, how):
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        rng = random.Random("%s, %s" % (row.name, how))
        play = self.stage.plays[sock.getsockname()[1]] = Play(row.backend, how, rng)
        sock.connect(self.worker.address)
        return Line(sock, how, rng), play

    def run(self, row, how):
        """Returns what went wrong, or None."""
        line, play = self.connect(row, how)
        done = []
        try:
            self.open(line, how, row)
            self.script(line, row.script, done, play)
            line.close()
            until(lambda: play.open == 0, DEADLINE)
            self.judge(row, play)
        except (Wrong, AssertionError, OSError, ssl.SSLError) as e:
            line.close()
            told = ["%s: %s" % (type(e).__name__, e), "behind %r" % done[-3:], "the backend saw %r" % play.commands, "and took %r" % play.messages]
            return "\n  ".join(["%s [%s]" % (row.name[:80], how)] + [t if len(t) < 500 else t[:400] + " … " + t[-90:] for t in told])
        return None

    def open(self, line, how, row):
        if row.script[:1] == [EARLY]:
            return
        self.expect(line, 220)
        if how.startswith("tls"):
            line.wire(b"EHLO before.example\r\n")
            self.expect(line, 250)
            line.wire(b"STARTTLS\r\n")
            self.expect(line, 220)
            if line.plain:
                raise Wrong("clear text behind the 220 to STARTTLS")
            line.handshake(ssl.TLSVersion.TLSv1_2 if "1.2" in how else ssl.TLSVersion.TLSv1_3)

    def expect(self, line, want):
        if want == ALERT:
            try:
                raise Wrong("ALERT was due, %r came" % line.reply())
            except ssl.SSLError as e:
                if "_ALERT_" not in str(e):
                    raise
            return
        text = line.reply()
        if want == END:
            if text or (line.reset and line.tls is not None):
                raise Wrong("END was due, %r came" % (text or "RST"))
            return
        check_form(text)
        if isinstance(want, re.Pattern):
            good = want.search(text)
        else:
            good = text.startswith(str(want)) or (text.startswith("%s-" % want))
        if not good:
            raise Wrong("%r was due, %r came" % (want, text))

    def script(self, line, script, done, play, over=False):
        """`over`: no QUIT at the end."""
        for step in script:
            done.append(step)
            if isinstance(step, bytes):
                line.send(step)
            elif callable(step):
                until(lambda: step(play), DEADLINE)
            elif step == HALF or step == NOTIFY:
                if step == NOTIFY and line.tls is not None:
                    try:
                        line.tls.unwrap()
                    except ssl.SSLError:
                        pass
                    line.flush()
                line.sock.shutdown(socket.SHUT_WR)
                over = True
            elif step in (RESET, DAMAGE):
                if step == DAMAGE:
                    line.tls.write(b"QUIT\r\n")
                    record = bytearray(line.outgoing.read())
                    record[-1] ^= 1
                    line.wire(bytes(record))
                    continue
                line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            elif step != EARLY:
                self.expect(line, step)
                over = over or step in (END, ALERT)
        if not over:
            line.send(b"QUIT\r\n")
            done.append("QUIT")
            self.expect(line, 221)
            self.expect(line, END)

    def judge(self, row, play):
        for raw in play.raw:
            # Its own end is not looked at: a CR may be the last octet that came.
            if raw.count(b"\n") != raw.count(b"\r\n") or raw.count(b"\r") - raw.endswith(b"\r") > raw.count(b"\n") or b"\0" in raw:
                raise Wrong("bare line ends or NUL reached the backend: %r" % raw)
        for command in play.commands:
            if not re.fullmatch(rb"[ -~\x80-\xff]*\r\n", command) or b"evil" in command.lower():
                raise Wrong("the backend was told %r" % command)
        stored = [without_trace(m) for m in play.messages]
        if row.stored is not None and stored != row.stored:
            raise Wrong("stored %r, not %r" % ([m[-300:] for m in stored], [m[-300:] for m in row.stored]))
        if row.seen is not None:
            commands = [c for c in play.commands if c[:4] not in (b"EHLO", b"RSET", b"QUIT")]
            if len(commands) != len(row.seen) or not all(re.fullmatch(w + rb"\r\n", c) for w, c in zip(row.seen, commands)):
                raise Wrong("the backend saw %r, not %r" % (commands, row.seen))


TRACE = re.compile(rb"Received: from [^;]*;\r\n\t\w{3}, [^\r]*\r\n")


def without_trace(message):
    head = TRACE.match(message)
    if not head or head.group().count(b"\r\n") > 4:
        raise Wrong("no trace header: %r" % message[:300])
    return message[head.end():]


class Matrix(unittest.TestCase):
    """Base of the tables' test cases: play(ROWS, …) runs all of them in all ways, many at a time."""

    program = None
    played = 0

    def world(self, **options):
        world = World(self.program, **options)
        self.addCleanup(world.worker.stop)
        return world

    def play(self, rows, world=None, ways=None, **options):
        world = world or self.world(**options)
        assert len({row.name for row in rows}) == len(rows), "two rows have one name"
        only = os.environ.get("ROWS")
        runs = [(row, how) for row in rows for how in row.ways if (not ways or how in ways) and (not only or only in row.name)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            wrong = [w for w in pool.map(lambda run: world.run(*run), runs) if w]
        Matrix.played += len(runs)
        if wrong:
            self.fail("%d of %d runs went wrong\n%s" % (len(wrong), len(runs), "\n".join(wrong[:12])))


def main():
    """Runs the tests of the calling file: test_….py PROGRAM [unittest options]."""
    import sys
    Matrix.program = sys.argv.pop(1)
    result = unittest.main(module="__main__", warnings="ignore", exit=False).result
    print("%d runs of table rows" % Matrix.played)
    sys.exit(not result.wasSuccessful())

"""Random SMTP sessions, made from a seed and then played: the same seed gives the same session."""

import dataclasses
import random
import re
import socket
import ssl
import time

from . import zones

MAX_SIZE = 150_000  # smtp.max_message_size of the edge under test


@dataclasses.dataclass
class Recipient:
    """`path` as RCPT says it; `good` ones get a mailbox copy whose address starts with `ident`."""

    ident: str
    path: str
    good: bool


@dataclasses.dataclass
class Message:
    """One transaction. `fate` is what has to come of it:
    accept  the final reply is 250           refuse  it is 5xx, or an earlier one was
    reset   RSET instead of DATA             abort   the connection ends inside the body"""

    mail: bytes
    recipients: list
    body: bytes
    chunks: list  # sizes of BDAT chunks; empty: DATA
    fate: str
    cut: int = 0  # abort: octets of the wire form that are still sent
    rude: bool = False  # abort with RST, or without close_notify
    pipeline: bool = True
    # What happened:
    code: int = 0  # the reply to the end of the message, 0: none
    whole: bool = False  # the end of the message was sent
    told: str = ""
    accepted: list = dataclasses.field(default_factory=list)  # idents whose RCPT got 250
    began: float = 0.0
    ended: float = 0.0

    def expected(self):
        """What is stored: what was sent, except that DATA can't say a last line without CRLF."""
        return self.body if not self.body or self.body.endswith(b"\r\n") else self.body + b"\r\n"


@dataclasses.dataclass
class Session:
    name: str
    tls: str  # "", "1.2" or "1.3"
    messages: list
    cuts: random.Random
    granularity: int  # 0: no cuts, else about that many octets per piece
    fault: bool = False  # the backend's processes are killed somewhere in it


# --- making ---------------------------------------------------------------------------------

WORDS = (b"alpha", b"beta.", b".", b"..", b"...gamma", b"MAIL FROM:<a@b>", b"QUIT", b"From me", b"-", b"=20", b" \t", b"")
STRAYS = (b"\n", b"\r", b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n", b"\n\r.\r\n", b"\0",
          b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n..\r\n", b"\r\n.\r\r\n")


def text_line(r):
    kind = r.random()
    if kind < 0.5:
        return b" ".join(r.choice(WORDS) for _ in range(r.randrange(8)))
    if kind < 0.7:
        return bytes(r.choice(OCTETS) for _ in range(r.randrange(80)))
    if kind < 0.8:
        return b"." * r.randrange(1, 5) + r.choice(WORDS)
    if kind < 0.9:
        return b""
    return bytes([r.choice(OCTETS)]) * r.choice((997, 998, 999, 2047, 2048, 2049, 4096, 16384, r.randrange(1, 30000)))


OCTETS = [o for o in range(1, 256) if o not in (10, 13)]


def make_body(r, name):
    """A message that no MTA has a reason to repair: a header section in order, then anything."""
    if r.random() < 0.03:
        return b""
    header = b"" if r.random() < 0.05 else b"Subject: " + name.encode() + b"\r\nFrom: <lab@sender.example.lab>\r\n"
    if header and r.random() < 0.5:
        header += b"X-Folded: one\r\n two\r\n\tthree " + b"x" * r.randrange(200) + b"\r\n"
    if header and r.random() < 0.05:
        return header  # no body at all
    lines = [text_line(r) for _ in range(r.choice((0, 1, 3, 10, 60)))]
    text = header + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
    return text[:MAX_SIZE // 2].rstrip(b"\r\n") + b"\r\n" if len(text) > MAX_SIZE // 2 else text


def spoil(r, body, name):
    """Puts an end-of-data look-alike, and behind it what a smuggler would say, into a body."""
    stray = r.choice(STRAYS)
    smuggled = (b"MAIL FROM:<evil@sender.example.lab>\r\nRCPT TO:<smuggled-%s@example.lab>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
                % name.encode())
    # Below the header section: an MTA may repair a torn one, and if the stray line end was, it is torn.
    start = 2 if body.startswith(b"\r\n") else (body + b"\r\n\r\n").index(b"\r\n\r\n") + 4
    if start > len(body):
        return body
    at = r.choice((start, len(body), r.randrange(start, len(body) + 1)))
    spoilt = body[:at] + stray + r.choice((b"", smuggled)) + body[at:]
    return spoilt if spoilt.endswith(b"\r\n") else spoilt + b"\r\n"


def stuffed(body):
    """RFC 5321 4.5.2, with CRLF and nothing else for an end of line."""
    text = body.replace(b"\r\n.", b"\r\n..")
    return (b"." + text if text.startswith(b".") else text) + b".\r\n"


def is_spoilt(body):
    return re.search(rb"(?<!\r)\n|\r(?!\n)|\0", body) is not None


def make_recipients(r, name, only_bad):
    made = []
    for n in range(r.choice((1, 1, 1, 2, 3))):
        ident = f"{name}.{n}"
        bad = only_bad or (r.random() < 0.15)
        path = r.choice((f"{ident}@elsewhere.lab", f"{ident} @{zones.DOMAIN}", f"{ident}@@{zones.DOMAIN}")) if bad else \
            r.choice((f"{ident}@{zones.DOMAIN}", f'"{ident}"@{zones.DOMAIN}', f"{ident}@{zones.DOMAIN.upper()}"))
        made.append(Recipient(ident, path, not bad))
    if not only_bad and not any(x.good for x in made):
        made.append(Recipient(f"{name}.g", f"{name}.g@{zones.DOMAIN}", True))
    return made


def make_message(r, name, last):
    kind = r.choices(("plain", "spoilt", "too big", "declared", "nobody", "reset", "abort"),
                     (70, 10, 3, 2, 3, 5, 20 if last else 0))[0]
    fate = {"plain": "accept", "reset": "reset", "abort": "abort"}.get(kind, "refuse")
    body = make_body(r, name)
    if kind == "spoilt":
        body = spoil(r, body, name)
        fate = "refuse" if is_spoilt(body) else "accept"
    elif kind == "too big":
        body += b"0123456789abcdef\r\n" * (MAX_SIZE // 18 + r.randrange(1, 40))
    chunks = []
    # A chunk over the limit may end the session, so there is nothing behind it.
    if r.random() < 0.4 and (kind != "too big" or last):
        left = len(body)
        while left > 0 and r.random() < 0.8:
            chunks.append(r.randrange(0, left + 1))
            left -= chunks[-1]
        chunks.append(left)
        if body.endswith(b"\r\n") and r.random() < 0.2 and kind == "plain" and b"\r\n\r\n" in body[:-2]:
            body = body[:-2]  # only BDAT can say this
            chunks = [len(body)]
    size = len(body) if kind != "declared" else MAX_SIZE + r.randrange(1, 10**6)
    parameters = b" SIZE=%d" % size if kind == "declared" or (kind != "too big" and r.random() < 0.3) else b""
    parameters += r.choice((b"", b"", b" BODY=8BITMIME", b" BODY=7BIT"))
    mail = b"MAIL FROM:" + r.choice((b"<lab@sender.example.lab>", b"<>", b"<lab@sender.example.lab>")) + parameters
    message = Message(mail, make_recipients(r, name, kind == "nobody"), body, chunks, fate, pipeline=r.random() < 0.7)
    if fate == "abort":
        # At most all but the last octet of the end; of BDAT, all but the last octet.
        length = len(body) if chunks else len(stuffed(body))
        message.cut = r.choice((0, max(0, length - 1), r.randrange(length) if length else 0))
        message.rude = r.random() < 0.5
        if chunks and length == 0:
            message.fate = "reset"
    return message


def make_session(seed, number, faults=True):
    r = random.Random(f"{seed}/{number}")
    name = f"s{number}"
    count = r.choice((1, 2, 3, 5))
    messages = [make_message(r, f"{name}.m{n}", n == count - 1) for n in range(count)]
    return Session(name, r.choice(("", "1.2", "1.3", "1.3")), messages, random.Random(f"{seed}/{number}/cuts"),
                   r.choice((0, 0, 3, 40, 700, 9000)), faults and r.random() < 0.03)


# --- playing --------------------------------------------------------------------------------

class Ended(EOFError):
    """The server has closed, or said 421."""


class Wire:
    """A connection that cuts what it sends, in clear or below TLS, and reads replies."""

    def __init__(self, session):
        self.cuts = session.cuts
        self.granularity = session.granularity
        self.tls = None
        self.text = b""
        self.sock = socket.create_connection((zones.EDGE, 25), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _put(self, data):
        """To the socket, in pieces; at most a few hundred, so that large bodies stay quick."""
        piece = max(self.granularity, len(data) // 150)
        at = 0
        while at < len(data):
            end = at + self.cuts.randint(1, 2 * piece) if self.granularity else len(data)
            try:
                self.sock.sendall(data[at:end])
            except (ConnectionError, TimeoutError) as e:
                raise Ended(str(e)) from None
            at = end
            if self.granularity and self.cuts.random() < 0.05:
                time.sleep(0.001)  # so that the pieces don't meet in the server's buffer

    def _get(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError as e:
            raise Ended(str(e)) from None
        except TimeoutError:
            raise AssertionError("no reply within 30 s") from None
        if not data:
            raise Ended("closed")
        return data

    def start_tls(self, version):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=zones.MX)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._put(self.outgoing.read())
                self.incoming.write(self._get())
        self._put(self.outgoing.read())
        self.tls = tls

    def send(self, data):
        if not self.tls:
            self._put(data)
            return
        at = 0
        while at < len(data):  # records of random sizes
            at += self.tls.write(data[at:at + (self.cuts.randint(1, 4000) if self.granularity else 16384)])
        self._put(self.outgoing.read())

    def _line(self):
        while b"\n" not in self.text:
            if not self.tls:
                self.text += self._get()
                continue
            try:
                data = self.tls.read(65536)
                if not data:
                    raise Ended("close_notify")
                self.text += data
            except ssl.SSLWantReadError:
                self.incoming.write(self._get())
            except ssl.SSLZeroReturnError:
                raise Ended("close_notify") from None
        line, self.text = self.text.split(b"\n", 1)
        assert line.endswith(b"\r") and re.fullmatch(rb"\d{3}[ -][\x20-\x7e]*\r", line), f"not a reply line: {line!r}"
        return line[:-1]

    def reply(self):
        line = self._line()
        first = line
        while line[3:4] == b"-":
            line = self._line()
            assert line[:3] == first[:3], (first, line)
        if first[:3] == b"421":
            raise Ended(line.decode())
        return int(line[:3]), line[4:].decode()

    def ask(self, line):
        self.send(line + b"\r\n")
        return self.reply()

    def close(self, rude=False):
        if self.sock.fileno() < 0:
            return
        if rude:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif self.tls:
            try:
                self.tls.unwrap()
            except (ssl.SSLError, Ended):
                pass
            try:
                self._put(self.outgoing.read())
            except Ended:
                pass
        self.sock.close()


def play(session, fault=None):
    """Plays the whole session; what happened is in its messages. `fault()` is called in the middle of a
    body when the session has one."""
    wire = Wire(session)
    try:
        assert wire.reply()[0] == 220
        assert wire.ask(b"EHLO client.lab")[0] == 250
        if session.tls:
            assert wire.ask(b"STARTTLS")[0] == 220
            wire.start_tls(session.tls)
            assert wire.ask(b"EHLO client.lab")[0] == 250
        for number, message in enumerate(session.messages):
            message.began = time.monotonic()
            strike = fault if session.fault and number == len(session.messages) - 1 else None
            try:
                if not play_message(wire, message, strike):
                    return session
            finally:
                message.ended = time.monotonic()
        assert wire.ask(b"QUIT")[0] == 221
    except Ended as e:
        session.messages[-1].told = session.messages[-1].told or f"connection: {e}"
    finally:
        wire.close()
    return session


def play_message(wire, message, strike):
    """One transaction. False: the connection is over."""
    lines = [message.mail] + [b"RCPT TO:<" + r.path.encode() + b">" for r in message.recipients]
    if message.fate == "reset":
        lines.append(b"RSET")
    elif not message.chunks:
        lines.append(b"DATA")
    # With BDAT the envelope and the chunks go out together: RFC 3030 4.2.
    behind = bdat(message) if message.chunks and message.pipeline and message.fate == "accept" else b""
    if message.pipeline:
        if behind and message.fate != "abort":
            message.whole = True
        wire.send(b"".join(x + b"\r\n" for x in lines) + behind)
        replies = [wire.reply() for _ in lines]
    else:
        replies = [wire.ask(x) for x in lines]
    note_envelope(message, replies)
    if message.fate == "reset":
        return True
    if strike:
        strike()
    if message.chunks:
        return play_bdat(wire, message, bool(behind))
    code, text = replies[-1]
    if code != 354:
        message.told = message.told or text
        wire.ask(b"RSET")
        return True
    data = stuffed(message.body)
    if message.fate == "abort":
        wire.send(data[:message.cut])
        wire.close(message.rude)
        return False
    message.whole = True
    wire.send(data)
    message.code, message.told = wire.reply()
    return True


def note_envelope(message, replies):
    if replies[0][0] != 250:
        message.told = replies[0][1]
    for recipient, (code, text) in zip(message.recipients, replies[1:]):
        if code == 250:
            message.accepted.append(recipient.ident)
        elif recipient.good:
            message.told = message.told or text


def bdat(message):
    out, at = b"", 0
    for n, size in enumerate(message.chunks):
        last = b" LAST" if n == len(message.chunks) - 1 else b""
        out += b"BDAT %d" % size + last + b"\r\n" + message.body[at:at + size]
        at += size
    return out


def play_bdat(wire, message, already):
    if message.fate == "abort":
        message.chunks = [len(message.body)]
        whole = bdat(message)
        wire.send(whole[:whole.index(b"\n") + 1 + message.cut])
        wire.close(message.rude)
        return False
    if not already:
        message.whole = True
        wire.send(bdat(message))
    for _ in message.chunks:
        code, message.told = wire.reply()
    message.code = code
    if code >= 400:
        wire.ask(b"RSET")
    return True

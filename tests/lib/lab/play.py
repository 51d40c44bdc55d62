"""Plays a session of sessions.py: a connection cut at random places, in clear or in TLS."""

import re
import socket
import ssl
import time

from . import zones
from .proc import slowness
from .sessions import bdat, stuffed


class Ended(EOFError):
    """The server has closed, or said 421."""


class Wire:
    """A connection that cuts what it sends, in clear or below TLS, and reads replies."""

    def __init__(self, session):
        self.cuts = session.cuts
        self.granularity = session.granularity
        self.tls = None
        self.text = b""
        self.sock = socket.create_connection((zones.EDGE, 25), timeout=30 * slowness())
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
            raise AssertionError("no reply in time") from None
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
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
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

    def half_close(self, rude):
        """Says no more; a rude one without close_notify."""
        if self.tls and not rude:
            try:
                self.tls.unwrap()
            except ssl.SSLError:  # the peer's close_notify has not come
                pass
            self._put(self.outgoing.read())
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            raise Ended(str(e)) from None

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
        for message, upcoming in zip(session.messages, [*session.messages[1:], None]):
            message.began = message.began or time.monotonic()
            strike = fault if session.fault and not upcoming else None
            try:
                if not play_message(wire, message, upcoming, strike):
                    return session
            finally:
                message.ended = time.monotonic()
        assert wire.ask(b"QUIT")[0] == 221
    except Ended as e:
        session.messages[-1].told = session.messages[-1].told or f"connection: {e}"
    finally:
        wire.close()
    return session


def envelope(message):
    """The commands of a transaction up to DATA or RSET, and the chunks, if they go out with them (RFC 3030 4.2)."""
    lines = [message.mail] + [b"RCPT TO:<" + r.path.encode() + b">" + r.parameters for r in message.recipients]
    if message.fate == "reset":
        lines.append(b"RSET")
    elif not message.chunks:
        lines.append(b"DATA")
    return [x + b"\r\n" for x in lines], bdat(message) if message.chunks_follow else b""


def play_message(wire, message, upcoming, strike):
    """One transaction. False: the connection is over. `upcoming`'s envelope may go out with the end of this body."""
    lines, behind = envelope(message)
    message.whole = bool(behind)
    if message.sent:
        replies = [wire.reply() for _ in lines]
    elif message.pipeline:
        wire.send(b"".join(lines) + behind)
        replies = [wire.reply() for _ in lines]
    else:
        replies = [wire.ask(x.removesuffix(b"\r\n")) for x in lines]
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
    if upcoming and upcoming.pipeline and message.pipeline:
        upcoming.sent, upcoming.began = True, time.monotonic()
        following, chunks = envelope(upcoming)
        data += b"".join(following) + chunks
    wire.send(data)
    if message.fate == "leave":
        wire.close(message.rude)
        return False
    if message.fate == "half":
        wire.half_close(message.rude)
    message.code, message.told = wire.reply()
    return message.fate != "half"


def note_envelope(message, replies):
    if replies[0][0] != 250:
        message.told = replies[0][1]
    for recipient, (code, text) in zip(message.recipients, replies[1:]):
        if code == 250:
            message.accepted.append(recipient.ident)
        elif recipient.good:
            message.told = message.told or text


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
    if message.fate == "leave":
        wire.close(message.rude)
        return False
    if message.fate == "half":
        wire.half_close(message.rude)
    for left in reversed(range(len(message.chunks))):
        code, message.told = wire.reply()
        # The first refusal counts, and may be the last answer there is; but never a 250 behind it.
        if (code >= 400 and not message.code) or (left == 0 and code < 400):
            message.code = code
    if code >= 400 and message.fate != "half":
        wire.ask(b"RSET")
    return message.fate != "half"

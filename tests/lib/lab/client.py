"""A blunt SMTP client: says exactly what it is told, in clear or under TLS, and reads replies."""

import socket
import ssl

from . import zones
from .proc import slowness


class Closed(EOFError):
    """The server closed the connection."""


class Client:
    """`Client()` connects and reads the greeting; secure() does EHLO, STARTTLS and the second EHLO."""

    def __init__(self, address=zones.EDGE, port=25, timeout_s=30, greeting=True, source=None):
        self.sock = socket.create_connection((address, port), timeout=timeout_s * slowness(), source_address=source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.capabilities = []
        self.greeting = self.reply() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buffer:
            try:
                part = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as e:
                raise Closed(str(e)) from None
            if not part:
                raise Closed("connection closed")
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode(errors="replace")

    def reply(self):
        """One whole reply: (code, [text lines])."""
        texts = []
        while True:
            line = self.line()
            texts.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), texts

    def command(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def ehlo(self, name="client.lab"):
        code, lines = self.command(f"EHLO {name}")
        self.capabilities = lines[1:]
        return code

    def start_tls(self, sni=zones.MX, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version:
            context.minimum_version = context.maximum_version = version
        self.sock = context.wrap_socket(self.sock, server_hostname=sni)
        return self

    def secure(self, sni=zones.MX, version=None):
        self.ehlo()
        code, text = self.command("STARTTLS")
        assert code == 220, (code, text)
        self.start_tls(sni, version)
        self.ehlo()
        return self

    def envelope(self, recipient=f"user@{zones.DOMAIN}", sender=f"lab@sender.{zones.ZONE}"):
        """MAIL and RCPT; the code of the one that failed, or 250."""
        code, _ = self.command(f"MAIL FROM:<{sender}>")
        return code if code != 250 else self.command(f"RCPT TO:<{recipient}>")[0]

    def deliver(self, text, recipient=f"user@{zones.DOMAIN}"):
        """A whole transaction. Returns the code of the step that ended it."""
        code = self.envelope(recipient)
        if code not in (250, 251):
            return code
        code, _ = self.command("DATA")
        if code != 354:
            return code
        end = "" if text.endswith("\r\n") else "\r\n"
        self.send(text.replace("\r\n.", "\r\n..") + end + ".\r\n")
        return self.reply()[0]

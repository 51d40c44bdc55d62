#!/usr/bin/env python3
"""usage: test_attacks_tls.py PROGRAM [unittest options]

What is offered and refused in handshakes, and what a client may do to TLS that it should not."""

import os
import random
import re
import socket
import ssl
import sys
import tempfile
import time
import unittest

import tls_peer
from attack import at_random, singly
from rig import Backend, Client, Worker, any_context, until
from tls_peer import (ECDSA_P256_SHA256, ECDSA_SHA1, FFDHE2048, P256, P384, P521, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RSA_SHA1, TLS12, TLS13, X25519, Failed, Peer,
                      Records, answer, hello, record, records)

PROGRAM = sys.argv.pop(1)
# Alerts, RFC 8446 6.
UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE, ILLEGAL, DECODE, VERSION, FALLBACK, NO_ALPN = 10, 20, 22, 40, 47, 50, 70, 86, 120
OLD = "RFC 8996"
WEAK = "RFC 9325 4.2"


class Case(unittest.TestCase):
    def begin(self, **options):
        self.backend = Backend()
        self.worker = Worker(PROGRAM, self.backend, **options)
        self.addCleanup(self.worker.stop)

    def ready(self):
        """A connection on which the 220 to STARTTLS was said."""
        client = Client(self.worker)
        client.say("STARTTLS", 220)
        self.assertEqual(client.rest, b"")
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def heard(self, client, enough=lambda octets: False):
        """All that comes until the end, or until it is enough."""
        octets = b""
        try:
            while more := client.sock.recv(65536):
                octets += more
                if enough(octets):
                    break
        except ConnectionResetError:
            pass
        return octets


class Handshakes(Case):
    def rows(self):
        """name, reference, what is sent, what is answered (one of, if there are several)."""
        v13 = dict(versions=[0x0304], suites=TLS13)
        both = dict(versions=[0x0304, 0x0303], suites=TLS13 + TLS12)

        def old(name, reference, want, **options):
            return name, reference, records(hello(**options)), want
        good12, good13 = "1.2 c02b ems", ("1.3 1301", "1.3 1302", "1.3 1303")
        rows = [
            old("TLS 1.2", "RFC 5246", good12),
            old("TLS 1.3", "RFC 8446", good13, share=X25519, **v13),
            old("both: 1.3 it is", "RFC 8446 4.2.1", good13, share=X25519, **both),
            old("SSL 3.0", "RFC 7568", VERSION, legacy=0x0300),
            old("TLS 1.0", OLD, VERSION, legacy=0x0301),
            old("TLS 1.1", OLD, VERSION, legacy=0x0302),
            old("TLS 1.0 and 1.1 by extension", OLD, VERSION, versions=[0x0302, 0x0301]),
            old("only unknown versions", "RFC 8446 4.2.1", VERSION, versions=[0x0305, 0x7F17]),
            old("TLS 1.2 by extension", "RFC 8446 4.2.1", good12, versions=[0x0303]),
            old("unknown versions and suites beside good ones (GREASE)", "RFC 8701", good13, share=X25519, versions=[0x1A1A, 0x0304], suites=(0x2A2A,) + TLS13),
            old("a needless fallback to 1.2", "RFC 7507", FALLBACK, suites=TLS12 + (0x5600,)),
            # It is refused when it goes on: see test_extended_master_secret.
            old("without extended master secret", "RFC 7627 5.1", "1.2 c02b", ems=False),
            old("no extensions at all", "RFC 9155", FAILURE, extensions=False),
        ]
        for name, suites in (("RSA key exchange", (0x009C, 0x009D)), ("RSA and CBC", (0x002F, 0x0035)), ("ECDHE and CBC", (0xC009, 0xC013, 0xC023, 0xC027, 0xC00A, 0xC014)),
                             ("RC4", (0x0005, 0xC007, 0xC011)), ("3DES", (0x000A, 0xC008, 0xC012)), ("NULL", (0x0002, 0x003B, 0xC006)), ("EXPORT", (0x0003, 0x0008, 0x0014)),
                             ("anonymous", (0x00A6, 0xC018, 0x0034)), ("DHE", (0x009E, 0x0033)), ("PSK", (0x00A8, 0x008C)), ("CCM", (0xC0AC, 0xC0AE)), ("none that exist", (0x1A1A, 0xFFFE))):
            rows.append(old("suites: " + name, WEAK, FAILURE, suites=suites))
        rows += [
            old("suites: one good among bad ones", WEAK, "1.2 c02f ems", suites=(0x0005, 0xC013, 0xC02F), signatures=(RSA_PSS_SHA256,)),
            old("suites: none of TLS 1.3 in TLS 1.3", WEAK, FAILURE, versions=[0x0304], suites=TLS12, share=X25519),
            old("no suites", "RFC 5246 7.4.1.2", (DECODE, ILLEGAL, FAILURE), suites=()),
            old("compression and none", "RFC 9325 3.3", good12, compression=b"\1\0"),
            old("compression only", "RFC 9325 3.3", (ILLEGAL, DECODE), compression=b"\1"),
            old("compression in TLS 1.3", "RFC 8446 4.1.2", (ILLEGAL, DECODE, *good13), compression=b"\1\0", share=X25519, **v13),
            old("signatures: SHA-1 only", "RFC 9155", FAILURE, signatures=(RSA_SHA1, ECDSA_SHA1)),
            # The refusal comes behind the ServerHello, sealed.
            old("signatures: SHA-1 only, TLS 1.3", "RFC 9155", (FAILURE, *good13), signatures=(RSA_SHA1, ECDSA_SHA1), share=X25519, **v13),
            old("signatures: none named", "RFC 9155", FAILURE, signatures=None),
            old("signatures: MD5", "RFC 9155", FAILURE, signatures=(0x0101, 0x0103)),
            old("signatures: RSA only", "RFC 8446 4.2.3", "1.2 c02f ems", signatures=(RSA_PSS_SHA256, RSA_PKCS1_SHA256)),
            old("signatures: ECDSA only", "RFC 8446 4.2.3", good12, signatures=(ECDSA_P256_SHA256,)),
            old("groups: P-521 only", WEAK, FAILURE, groups=(P521,)),
            old("groups: finite field only", WEAK, FAILURE, groups=(FFDHE2048,)),
            old("groups: P-521 only, TLS 1.3", WEAK, FAILURE, groups=(P521,), share=0, **v13),
            old("groups: X25519", "RFC 8446 4.2.7", "retry 29", groups=(X25519,), share=0, **v13),
            old("groups: P-256", "RFC 8446 4.2.7", "retry 23", groups=(P256,), share=0, **v13),
            old("groups: P-384", "RFC 8446 4.2.7", "retry 24", groups=(P384,), share=0, **v13),
            old("groups: a share that was not asked for", "RFC 8446 4.2.8", ("retry 23", ILLEGAL), groups=(P256,), share=X25519, **v13),
            old("ALPN: smtp", "RFC 7301", "1.2 c02b ems alpn smtp", alpn=[b"smtp"]),
            old("ALPN: others and smtp", "RFC 7301", "1.2 c02b ems alpn smtp", alpn=[b"h2", b"smtp"]),
            old("ALPN: http/1.1", "ALPACA 2021", NO_ALPN, alpn=[b"http/1.1"]),
            old("ALPN: h2, imap, pop3, ftp", "ALPACA 2021", NO_ALPN, alpn=[b"h2", b"imap", b"pop3", b"ftp"]),
            old("ALPN: http/1.1, TLS 1.3", "ALPACA 2021", NO_ALPN, alpn=[b"http/1.1"], share=X25519, **v13),
            old("ALPN: SMTP", "RFC 7301 6", NO_ALPN, alpn=[b"SMTP"]),
            old("ALPN: smtps", "RFC 7301 6", NO_ALPN, alpn=[b"smtps", b"smt"]),
            old("ALPN: nothing named", "RFC 7301 3.1", (DECODE, ILLEGAL), alpn=[]),
            old("ALPN: an empty name", "RFC 7301 3.1", (DECODE, ILLEGAL), alpn=[b""]),
            old("SNI: unknown", "RFC 7672 8.1", good12, sni=b"other.example"),
            old("SNI: none", "RFC 7672 8.1", good12, sni=None),
            old("SNI: large letters", "RFC 6066 3", good12, sni=b"MX1.Example.ORG"),
            old("SNI: a NUL in it", "RFC 6066 3", (DECODE, ILLEGAL, 112, good12), sni=b"mx1\0.example.org"),
            old("SNI: empty", "RFC 6066 3", (DECODE, ILLEGAL, 112), sni=b""),
            old("SNI: line ends in it", "RFC 6066 3", (DECODE, ILLEGAL, 112, good12), sni=b"mx1\r\nRCPT TO:<evil@x.example>\r\n"),
            old("SNI: 300 octets", "RFC 6066 3", (DECODE, ILLEGAL, 112), sni=b"x" * 300),
            old("an extension twice", "RFC 8446 4.2", (DECODE, ILLEGAL), more=[(23, b"")]),
            old("an extension that nobody knows", "RFC 8446 4.2", good12, more=[(0x1A1A, b"x" * 100)]),
            old("early data without a ticket", "RFC 8446 4.2.10", ("1.3 1301", "1.3 1302", "1.3 1303", ILLEGAL, 109, DECODE), more=[(42, b"")], share=X25519, **v13),
            old("a session id of 33 octets", "RFC 8446 4.1.2", DECODE, session_id=bytes(33)),
            old("a hello of 15 KB", "CVE-2026-45445", good12, more=[(21, bytes(14000))]),
            old("a hello of 20 KB", "CVE-2026-45445", (ILLEGAL, DECODE, OVERFLOW, good12), more=[(21, bytes(20000))]),
            old("a hello of 60 KB", "CVE-2026-45445", (ILLEGAL, DECODE, OVERFLOW), more=[(21, bytes(30000)), (0x1A1B, bytes(30000))]),
            ("a hello that says it has 16 MB", "CVE-2026-45445", record(22, b"\1\xff\xff\xff" + bytes(100)), (ILLEGAL, DECODE, OVERFLOW)),
            ("a hello in records of one octet", "RFC 8446 5.1", records(hello(), 1), (good12, UNEXPECTED)),
            ("a hello in records of 50 octets", "RFC 8446 5.1", records(hello(), 50), good12),
            ("another message behind the hello", "RFC 8446 5.1", record(22, hello() + b"\x10\0\0\1x"), (UNEXPECTED, DECODE, good12)),
            ("another hello behind the hello", "RFC 8446 5.1", record(22, hello(share=X25519, **v13) + hello()), (UNEXPECTED, DECODE)),
            ("cut in an extension", "RFC 8446 4.2", record(22, b"\1" + tls_peer.vec(3, hello()[4:-3])), (DECODE, ILLEGAL)),
            ("octets behind the extensions", "RFC 8446 4.2", record(22, b"\1" + tls_peer.vec(3, hello()[4:] + b"xyz")), (DECODE, ILLEGAL)),
            ("Finished first", "RFC 8446 4", record(22, b"\x14\0\0\x20" + bytes(32)), UNEXPECTED),
            ("ClientKeyExchange first", "RFC 5246 7.3", record(22, b"\x10\0\0\x04" + bytes(4)), UNEXPECTED),
            ("HelloRequest first", "RFC 5246 7.4.1.1", record(22, b"\0\0\0\0"), UNEXPECTED),
            ("ChangeCipherSpec first", "CVE-2014-0224", record(20, b"\1") + records(hello()), UNEXPECTED),
            ("application data first", "RFC 8446 5", record(23, b"EHLO evil.example\r\n"), UNEXPECTED),
            ("a heartbeat first", "CVE-2014-0160", record(24, b"\1\x40\0"), UNEXPECTED),
            ("a record of unknown type", "RFC 8446 5", record(99, b"x"), UNEXPECTED),
            ("an empty handshake record", "RFC 8446 5.1", record(22, b"") + records(hello()), (UNEXPECTED, good12)),
            ("a hundred empty handshake records", "RFC 8446 5.1", record(22, b"") * 100, (UNEXPECTED, DECODE)),
            ("a record of 18 KB and more", "RFC 8446 5.1", record(22, bytes(0x4801)), OVERFLOW),
            ("warning alerts without end", "CVE-2016-8610", record(21, b"\1\x5a") * 50, (UNEXPECTED, DECODE, ILLEGAL)),
            ("a fatal alert", "RFC 8446 6", record(21, b"\2\x28"), ""),
            ("close_notify in the place of a hello", "RFC 8446 6.1", record(21, b"\1\0"), ("", UNEXPECTED)),
            ("an alert of three octets", "RFC 8446 6", record(21, b"\1\0\0"), (DECODE, UNEXPECTED, ILLEGAL)),
            ("SSLv2", "RFC 6176", b"\x80\x2e\1\0\2\0\x15\0\0\0\x10\1\0\x80\2\0\x80\3\0\x80\4\0\x80\5\0\x80\6\0\x40\7\0\xc0" + bytes(16), (VERSION, FAILURE, "")),
            ("a hello of TLS 1.2 in SSLv2's clothes", "RFC 6176", b"\x80\x1f\1\3\3\0\6\0\0\0\x10\0\xc0\x2b\0\xc0\x2f" + bytes(16), (VERSION, FAILURE, "")),
            ("SMTP in clear", "RFC 3207 4.1", b"EHLO evil.example\r\nMAIL FROM:<evil@x.example>\r\n", (VERSION, UNEXPECTED, "")),
            ("HTTP in clear", "RFC 3207 4.1", b"GET / HTTP/1.1\r\n\r\n", (VERSION, UNEXPECTED, "")),
            ("zeros", "RFC 8446 5.1", bytes(200), (VERSION, UNEXPECTED, OVERFLOW)),
        ]
        return rows

    def test_rows(self):
        self.begin(limits="sessions_per_address: 1000, sessions_per_prefix: 1000")
        wrong = []
        for name, reference, octets, want in self.rows():
            wants = want if isinstance(want, tuple) else (want,)
            wants = ["alert %d" % w if isinstance(w, int) else w for w in wants]
            ways = {"whole": [octets], "octets": singly(octets), "cuts": at_random(octets, random.Random(name))}
            for way, pieces in ways.items():
                client = self.ready()
                try:
                    for piece in pieces:
                        client.raw(piece)
                except OSError:
                    pass  # refused before all was said
                got = answer(self.heard(client, lambda o: answer(o) != ""))
                client.sock.close()
                if got not in wants:
                    wrong.append("%s [%s]: %r, not %s" % (name, way, got, wants))
        self.assertEqual(wrong, [])
        until(lambda: not self.worker.sessions())
        self.assertEqual(self.backend.messages, [])
        log = self.worker.log()
        self.assertEqual(log.count("helo=evil"), 0)
        for counter in ("TLS_VERSION", "TLS_NOTHING_SHARED", "TLS_ALPN", "TLS_ALERT", "TLS_CLEAR_TEXT"):
            self.assertGreaterEqual(self.worker.counter(counter), 3, counter)

    def test_change_cipher_spec_too_early(self):
        """CVE-2014-0224: behind the ServerHello and before the key exchange."""
        self.begin()
        client = self.ready()
        client.raw(records(hello()))
        done = b"\x0e\0\0\0"
        self.assertIn(done, self.heard(client, lambda o: done in o))
        client.raw(record(20, b"\1", 0x0303) + record(22, bytes(40), 0x0303))
        self.assertEqual(answer(self.heard(client)), "alert %d" % UNEXPECTED)

    def test_change_cipher_spec_without_end(self):
        """RFC 8446 5: one is there for old boxes on the path, and is passed over."""
        self.begin()
        for num, ends in ((1, False), (200, True)):
            client = self.ready()
            client.raw(records(hello(versions=[0x0304], suites=tls_peer.TLS13, share=X25519)))
            self.heard(client, lambda o: answer(o).startswith("1.3"))
            client.raw(record(20, b"\1", 0x0303) * num)
            client.sock.settimeout(60 if ends else 0.3)
            if ends:
                self.heard(client)
                until(lambda: self.worker.counter("TLS_FLOOD") == 1)
            else:
                with self.assertRaises(TimeoutError):
                    self.heard(client)

    def test_fin_in_the_handshake(self):
        self.begin()
        octets = records(hello())
        for n in (1, 4, 5, 9, 100, len(octets) - 1, len(octets)):
            client = self.ready()
            client.raw(octets[:n])
            client.sock.shutdown(socket.SHUT_WR)
            self.heard(client)
        until(lambda: not self.worker.sessions())
        self.assertGreaterEqual(self.worker.counter("TLS_CLOSED"), 7)

    def test_never_finished(self):
        self.begin(smtp="tls_timeout: 1s")
        octets = records(hello())
        stalled = [self.ready() for _ in range(3)]
        stalled[0].raw(octets[:50])
        stalled[1].raw(octets)
        stalled[2].sock.settimeout(0.2)
        for i in range(300):  # an octet now and then buys no time
            stalled[2].raw(octets[i:i + 1])
            try:
                self.assertEqual(stalled[2].sock.recv(1), b"")
                break
            except TimeoutError:
                self.assertLess(i, 250)
        stalled[2].sock.settimeout(60)
        for client in stalled:
            self.assertNotIn(b"421", self.heard(client))
        until(lambda: self.worker.counter("TIMEOUT_TLS") == 3)


class Settled(Case):
    """What a real client and we agree on."""

    def peer(self, **options):
        return Peer(self.ready().sock, **options)

    def test_groups(self):
        self.begin()
        for version in ((0x0303, 0x0303), (0x0304, 0x0304)):
            for name, number in ((b"X25519", X25519), (b"P-256", P256), (b"P-384", P384)):
                peer = self.peer(versions=version, groups=name)
                self.assertEqual({1034: X25519, 415: P256, 715: P384}[peer.group()], number)
            with self.assertRaises(Failed):
                self.peer(versions=version, groups=b"P-521")
            # Ours goes before theirs.
            self.assertEqual(self.peer(versions=version, groups=b"P-384:P-256:X25519").group(), 1034)

    def test_key_by_what_the_client_can_verify(self):
        self.begin()
        for version in ((0x0303, 0x0303), (0x0304, 0x0304)):
            for signatures, key in ((b"ECDSA+SHA256", "ecdsa"), (b"RSA-PSS+SHA256", "rsa"), (b"RSA-PSS+SHA256:ECDSA+SHA256", "ecdsa"), (b"ECDSA+SHA384:RSA-PSS+SHA512", "rsa")):
                self.assertEqual(self.peer(versions=version, signatures=signatures).key(), key)
            with self.assertRaises(Failed):
                self.peer(versions=version, signatures=b"ECDSA+SHA512")
        with self.assertRaises(Failed):
            self.peer(versions=(0x0303, 0x0303), signatures=b"RSA+SHA1:ECDSA+SHA1")
        self.assertEqual(self.peer(versions=(0x0303, 0x0303), ciphers=b"ECDHE-RSA-AES128-GCM-SHA256").key(), "rsa")
        self.assertGreater(self.worker.counter("TLS_KEY_RSA"), 3)

    def test_extended_master_secret(self):
        self.begin()
        self.assertTrue(self.peer(versions=(0x0303, 0x0303)).has_ems())
        with self.assertRaises(Failed):
            self.peer(versions=(0x0303, 0x0303), ems=False)
        self.assertEqual(self.peer(ems=False).version(), "TLSv1.3")
        self.assertEqual(self.worker.counter("TLS_NO_EMS"), 1)
        done = b"\x0e\0\0\0"  # ServerHelloDone
        for size in (1, 100):
            client = self.ready()
            client.raw(records(hello(ems=False)))
            self.assertIn(done, self.heard(client, lambda o: done in o))
            client.raw(record(22, b"\x10\0\0\x21\x20" + bytes(32), 0x0303)[:size])
            self.assertEqual(answer(self.heard(client)), "alert %d" % FAILURE)
        self.assertEqual(self.worker.counter("TLS_NO_EMS"), 3)

    def test_versions(self):
        self.begin()
        for old in (0x0301, 0x0302):
            with self.assertRaises(Failed):
                self.peer(versions=(old, old))
        self.assertEqual(self.peer(versions=(0x0301, 0x0303)).version(), "TLSv1.2")
        self.assertEqual(self.peer().version(), "TLSv1.3")

    def test_suites(self):
        self.begin()
        for bad in (b"AES128-GCM-SHA256", b"AES128-SHA", b"ECDHE-ECDSA-AES128-SHA256", b"ECDHE-RSA-AES256-SHA384", b"DHE-RSA-AES128-GCM-SHA256", b"AECDH-AES128-SHA",
                    b"ECDHE-ECDSA-AES128-CCM", b"eNULL"):
            with self.assertRaises(Failed, msg=bad):
                self.peer(versions=(0x0303, 0x0303), ciphers=bad + b":@SECLEVEL=0")
        for good in (b"ECDHE-ECDSA-AES128-GCM-SHA256", b"ECDHE-RSA-AES256-GCM-SHA384", b"ECDHE-ECDSA-CHACHA20-POLY1305"):
            self.peer(versions=(0x0303, 0x0303), ciphers=good)

    def test_alpn(self):
        self.begin()
        for version in ((0x0303, 0x0303), (0x0304, 0x0304)):
            self.assertEqual(self.peer(versions=version, alpn=[b"h2", b"smtp"]).alpn(), "smtp")
            self.assertIsNone(self.peer(versions=version).alpn())
            with self.assertRaises(Failed):
                self.peer(versions=version, alpn=[b"http/1.1"])
        self.assertEqual(self.worker.counter("TLS_ALPN"), 2)

    def test_tickets(self):
        """One, and none that lets data go before the handshake. RFC 8446 4.6.1, 8."""
        self.begin()
        tickets = []
        context = any_context(ssl.TLSVersion.TLSv1_3)
        context._msg_callback = lambda conn, direction, version, content, message, data: tickets.append(data) if message == 4 and content == 22 else None
        client = Client(self.worker).secure(context=context)
        self.assertEqual(client.deliver()[0], 250)
        self.assertEqual(len(tickets), 1)
        peer = self.peer(versions=(0x0304, 0x0304))
        peer.write(b"EHLO x.example\r\n")
        self.assertIn(b"250", peer.read())
        self.assertEqual(peer.early_data(), 0)

    def test_name_with_line_ends(self):
        """What the client names reaches a header and a log."""
        self.begin()
        for sni in (b"a\r\nX-Evil: 1", b"a\nb", b"<script>", b"\xff\xfe", b"a b;c"):
            try:
                peer = self.peer(sni=sni)
            except Failed:
                continue
            for line in (b"EHLO x.example\r\n", b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<b@x.example>\r\n", b"DATA\r\n", b"x\r\n.\r\n"):
                peer.write(line)
                self.assertRegex(peer.read(), rb"^(250|354)")
        for message in self.backend.messages:
            self.assertRegex(message, rb"^Received: [ -~\t\r\n]*\r\nx\r\n$")
            self.assertNotIn(b"X-Evil", message.replace(b"sni a??X-Evil", b""))
        self.assertNotIn("\nX-Evil", self.worker.log())


class Abuse(Case):
    """In the middle of a message, so that what follows must not complete it."""

    def settled(self):
        """A session in DATA under TLS 1.3, and what seals its next records."""
        with tempfile.NamedTemporaryFile("w+") as log:
            context = any_context(ssl.TLSVersion.TLSv1_3)
            context.keylog_filename = log.name
            client = self.ready()
            client.sock = context.wrap_socket(client.sock, server_hostname="mx1.example.org")
            secret = re.search(r"CLIENT_TRAFFIC_SECRET_0 \w+ (\w+)", open(log.name).read()).group(1)
        sealer = Records(client.sock.cipher()[0], bytes.fromhex(secret))
        fd = socket.socket(fileno=os.dup(client.sock.fileno()))
        for line, code in ((b"EHLO x.example\r\n", 250), (b"MAIL FROM:<a@x.example>\r\n", 250), (b"RCPT TO:<b@x.example>\r\n", 250), (b"DATA\r\n", 354)):
            fd.sendall(sealer.seal(23, line))
            client.expect(code)
        fd.sendall(sealer.seal(23, b"Subject: x\r\n\r\n"))
        return client, sealer, fd

    def alert(self, client):
        """The alert that ends the connection, or "" for close_notify."""
        try:
            while client.sock.recv(1000):
                pass
            return ""
        except ssl.SSLError as e:
            return e.reason or str(e)

    def test_rows(self):
        """Each on its own connection: what is sent; the alert, and the count that goes up."""
        self.begin(limits="sessions_per_address: 1000, tiny_tls_records: 300")
        update = b"\x18\0\0\1\0"
        rows = [
            ("empty records in a row", lambda s: b"".join(s.seal(23, b"") for _ in range(100)), "", "TLS_FLOOD"),
            ("empty records, padded", lambda s: b"".join(s.seal(23, b"", 500) for _ in range(100)), "", "TLS_FLOOD"),
            ("empty records and an octet by turns", lambda s: b"".join(s.seal(23, b"x") + s.seal(23, b"") for _ in range(400)), "", "TLS_FLOOD"),
            ("an octet each", lambda s: b"".join(s.seal(23, b"x") for _ in range(700)), "", "TLS_FLOOD"),
            ("KeyUpdate twice in a record", lambda s: s.seal(22, update * 2), "UNEXPECTED|EXCESS|DECODE", "TLS_RECORD"),
            ("KeyUpdate of an unknown kind", lambda s: s.seal(22, update[:-1] + b"\2"), "ILLEGAL|DECODE|PARAMETER", "TLS_RECORD"),
            ("KeyUpdate too long", lambda s: s.seal(22, b"\x18\0\0\2\0\0"), "DECODE", "TLS_RECORD"),
            ("half a KeyUpdate, then text", lambda s: s.seal(22, update[:3]) + s.seal(23, b"x"), "UNEXPECTED", "TLS_RECORD"),
            ("ClientHello", lambda s: s.seal(22, hello()), "UNEXPECTED", "TLS_RECORD"),
            ("Finished", lambda s: s.seal(22, b"\x14\0\0\x20" + bytes(32)), "UNEXPECTED", "TLS_RECORD"),
            ("NewSessionTicket", lambda s: s.seal(22, b"\4\0\0\x10" + bytes(16)), "UNEXPECTED", "TLS_RECORD"),
            ("ChangeCipherSpec, sealed", lambda s: s.seal(20, b"\1"), "UNEXPECTED", "TLS_RECORD"),
            ("ChangeCipherSpec, in clear", lambda s: record(20, b"\1", 0x0303), "UNEXPECTED|BAD_RECORD|DECRYPT", "TLS_RECORD"),
            ("warning alerts without end", lambda s: b"".join(s.seal(21, b"\1\x5a") for _ in range(100)), "", ("TLS_FLOOD", "TLS_RECORD")),
            ("a fatal alert", lambda s: s.seal(21, b"\2\x28"), "", "TLS_ALERT"),
            ("close_notify in clear", lambda s: record(21, b"\1\0", 0x0303), "BAD_RECORD|UNEXPECTED", "TLS_RECORD"),
            ("no type, only padding", lambda s: s.seal(0, b"", 40), "UNEXPECTED|DECRYPT", "TLS_RECORD"),
            ("text in clear", lambda s: b"evil\r\n.\r\nQUIT\r\n", "", ("TLS_RECORD", "TLS_CLEAR_TEXT")),
            ("a record in clear", lambda s: record(23, b"evil\r\n.\r\n", 0x0303), "BAD_RECORD|DECRYPT", "TLS_RECORD"),
            ("a record twice", lambda s: s.seal(23, b"one\r\n") * 2, "BAD_RECORD", "TLS_RECORD"),
            ("records in the wrong order", lambda s: b"".join(reversed([s.seal(23, b"one\r\n"), s.seal(23, b".\r\n")])), "BAD_RECORD", "TLS_RECORD"),
            ("a record left out", lambda s: (s.seal(23, b"one\r\n"), s.seal(23, b".\r\n"))[1], "BAD_RECORD", "TLS_RECORD"),
            ("a record too long", lambda s: record(23, bytes(0x4801), 0x0303), "OVERFLOW", "TLS_RECORD"),
            ("one octet too many inside", lambda s: s.seal(23, bytes(16385)), "OVERFLOW|DATA_LENGTH", "TLS_RECORD"),
            ("an unknown type inside", lambda s: s.seal(99, b"x"), "UNEXPECTED", "TLS_RECORD"),
        ]
        for name, build, reason, counters in rows:
            for way in ("whole", "cuts"):
                with self.subTest(name, way=way):
                    counters = counters if isinstance(counters, tuple) else (counters,)
                    before = sum(self.worker.counter(c) for c in counters)
                    client, sealer, fd = self.settled()
                    octets = build(sealer)
                    try:
                        for piece in [octets] if way == "whole" else at_random(octets, random.Random(name)):
                            fd.sendall(piece)
                    except OSError:
                        pass
                    self.assertRegex(self.alert(client), reason or "^")
                    until(lambda: sum(self.worker.counter(c) for c in counters) == before + 1)
                    fd.close()
                    client.sock.close()
        until(lambda: not self.worker.sessions())
        until(lambda: self.backend.aborted == 2 * len(rows))
        self.assertEqual(self.backend.messages, [])

    def test_what_is_still_fine(self):
        """Some empty and padded records, a few KeyUpdates: RFC 8446 4.6.3, 5.4."""
        self.begin()
        client, sealer, fd = self.settled()
        fd.sendall(b"".join(sealer.seal(23, b"", i) for i in range(20)))
        fd.sendall(b"".join(sealer.seal(23, b"line\r\n", 1000) for _ in range(100)))
        fd.sendall(sealer.seal(23, b".\r\n"))
        client.expect(250)
        self.assertTrue(self.backend.messages[0].endswith(b"\r\n\r\n" + b"line\r\n" * 100))
        fd.close()

    def test_key_updates(self):
        self.begin(limits="sessions_per_address: 1000")
        for ask in (False, True):
            peer = Peer(self.ready().sock, versions=(0x0304, 0x0304))
            peer.write(b"EHLO x.example\r\n")
            self.assertIn(b"250", peer.read())
            for _ in range(5):
                peer.update_key(ask)
                peer.write(b"NOOP\r\n")
                self.assertIn(b"250", peer.read())
            peer.write(b"QUIT\r\n")
            self.assertIn(b"221", peer.read())
        until(lambda: self.worker.counter("KEY_UPDATES") == 10)
        for ask in (False, True):
            peer = Peer(self.ready().sock, versions=(0x0304, 0x0304))
            with self.assertRaises(Failed):
                for _ in range(1000):
                    peer.update_key(ask)
                    peer.write(b"NOOP\r\n")
                    if not peer.read():
                        raise Failed("cut off")
        until(lambda: self.worker.counter("TLS_FLOOD") == 2)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

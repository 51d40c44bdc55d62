#!/usr/bin/env python3
"""usage: test_worker.py PROGRAM [unittest options]

The worker's data path over real sockets: what the pump, the deadlines and the two sides' ends do."""

import hashlib
import os
import random
import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from rig import CENSUS_SLOT, Backend, Client, Worker, any_context, census, identity, until

PROGRAM = sys.argv.pop(1)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def sanitized():
    """AddressSanitizer keeps what was freed, so memory says nothing there."""
    with open(PROGRAM, "rb") as f:
        return b"__asan_init" in f.read()


class Case(unittest.TestCase):
    def begin(self, backend=None, **options):
        self.backend = backend or Backend()
        self.worker = Worker(PROGRAM, self.backend, **options)
        self.addCleanup(self.worker.stop)
        return Client

    def client(self, **options):
        return Client(self.worker, **options)


class Delivery(Case):
    def test_whole_session_in_two_packets(self):
        self.begin()
        client = self.client(hello=False)
        client.expect(220)
        client.raw(b"EHLO x.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        for code in (250, 250, 250, 354):
            client.expect(code)
        client.raw(b"S: 1\r\n\r\nbody\r\n.\r\nQUIT\r\n")
        client.expect(250)
        client.expect(221)
        self.assertTrue(client.ended())
        self.assertTrue(self.backend.messages[0].endswith(b"\r\nS: 1\r\n\r\nbody\r\n"))

    def test_group_goes_on_in_one(self):
        """RFC 2920 3.1: a backend that answers nothing before DATA is enough."""
        self.begin(Backend(group=True))
        client = self.client()
        client.raw(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n")
        for code in (250, 250, 250, 354):
            client.expect(code)
        client.raw(b"x\r\n.\r\nQUIT\r\n")
        client.expect(250)
        client.expect(221)
        self.assertTrue(client.ended())
        until(lambda: re.search(r"event=message .*recipients=2 ", self.worker.log()))

    def test_octet_by_octet(self):
        self.begin()
        for secure in (False, True):
            client = self.client()
            if secure:
                client.secure()
            for octet in b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n":
                client.raw(bytes([octet]))
            for code in (250, 250, 354):
                client.expect(code)
            for octet in b"S: 1\r\n\r\n..x\r\n.\r\nQUIT\r\n":
                client.raw(bytes([octet]))
            client.expect(250)
            client.expect(221)
            self.assertEqual(self.backend.messages[-1].split(b"\r\n\r\n")[1], b".x\r\n")

    def test_big_message_unchanged(self):
        rng = random.Random(1)
        message = b"Subject: big\r\n\r\n" + b"".join(rng.randbytes(rng.randint(0, 400)).hex().encode() + b"\r\n" for _ in range(12000))
        self.begin()
        for secure in (False, True):
            client = self.client(timeout=60)
            if secure:
                client.secure()
            self.assertEqual(client.deliver(message)[0], 250)
            self.assertTrue(self.backend.messages[-1].endswith(b"\r\n" + message))

    def test_chunks_are_passed_on(self):
        """RFC 3030: as BDAT if the backend takes it, whole or octet by octet, else as DATA."""
        for offers in (("PIPELINING", "CHUNKING"), ("CHUNKING",), ("PIPELINING",)):
            self.begin(Backend(offers))
            for secure in (False, True):
                client = self.client(timeout=60)
                if secure:
                    client.secure()
                big = b"".join(b"%0400d\r\n.\r\n" % n for n in range(2000))
                for chunks in ((b"S: 1\r\n\r\n.x\r", b"", b"\n"), (big, big[:7], b"\r\n")):
                    client.say("MAIL FROM:<a@example.com>", 250)
                    client.say("RCPT TO:<b@example.org>", 250)
                    said = b"".join(b"BDAT %d%s\r\n" % (len(c), b" LAST" if c is chunks[-1] else b"") + c for c in chunks)
                    for piece in (said,) if len(said) > 1000 else (bytes([octet]) for octet in said):
                        client.raw(piece)
                    self.assertEqual([client.reply()[0] for _ in chunks], [250] * 3)
                    self.assertTrue(self.backend.messages[-1].endswith(b"\r\n" + b"".join(chunks)))
            verbs = {c.split()[0] for c in self.backend.commands}
            self.assertEqual(b"BDAT" in verbs, "CHUNKING" in offers)
            self.assertEqual(b"DATA" in verbs, "CHUNKING" not in offers)

    def test_chunk_is_cut_off(self):
        """What ends in the middle of a chunk is not completed behind us."""
        self.begin(Backend(("CHUNKING",)))
        for last in (b"", b" LAST"):
            client = self.client()
            client.say("MAIL FROM:<a@example.com>", 250)
            client.say("RCPT TO:<b@example.org>", 250)
            client.raw(b"BDAT 5%s\r\nhell" % last)
            aborted = self.backend.aborted
            client.reset()
            until(lambda: self.backend.aborted == aborted + 1)
        self.assertEqual(self.backend.messages, [])

    def test_chunk_beyond_the_limit(self):
        """The sender writes all of it before it reads: the answer must still be there."""
        self.begin(Backend(("CHUNKING",)), smtp="max_message_size: 64K")
        for secure in (False, True):
            client = self.client(timeout=60)
            if secure:
                client.secure()
            client.say("MAIL FROM:<a@example.com>", 250)
            client.say("RCPT TO:<b@example.org>", 250)
            client.raw(b"BDAT %d LAST\r\n" % (8 << 20))
            for _ in range(128):
                client.raw(b"x" * 65536)
            self.assertIn("5.3.4", client.expect(552))
            self.assertTrue(client.ended())

    def test_over_ipv6(self):
        self.begin(family=socket.AF_INET6)
        self.assertEqual(self.client().deliver()[0], 250)
        self.assertIn(b"[IPv6:::1]", self.backend.messages[0])

    def test_link_is_reused_and_given_back(self):
        self.begin()
        client = self.client()
        until(lambda: self.worker.sessions() and self.backend.quits == 1)  # the look at what it offers
        for _ in range(5):
            self.assertEqual(client.deliver()[0], 250)
        self.assertEqual(self.backend.connections, 2)
        self.assertEqual(self.backend.quits, 1)

    def test_link_is_given_back_when_idle(self):
        self.begin(times={"idle_timeout": "1s"})
        client = self.client()
        until(lambda: self.worker.sessions() and self.backend.quits == 1)
        for quits in (2, 3):
            self.assertEqual(client.deliver()[0], 250)
            until(lambda: not self.worker.sessions()[0]["backend"] and self.backend.quits == quits)
            self.assertEqual(self.backend.connections, quits)

    def test_client_shown_by_xclient(self):
        with tempfile.TemporaryDirectory() as d:
            offers = ("PIPELINING", "XCLIENT NAME ADDR PORT PROTO HELO", "8BITMIME")
            self.begin(Backend(offers, path=d + "/s"), client_info="xclient")
            self.assertEqual(self.client().deliver()[0], 250)
            line = [c for c in self.backend.commands if c.startswith(b"XCLIENT")][0]
            self.assertIn(b"ADDR=127.0.0.1", line)
            self.assertIn(b"HELO=client.example", line)
            # Behind XCLIENT we speak as the client: the backend's HELO rules look at that name.
            # (A probe's link may say something in between.)
            behind = [c.rstrip() for c in self.backend.commands[self.backend.commands.index(line):]]
            self.assertIn(b"EHLO client.example", behind)

    def test_backend_without_xclient_gets_nothing(self):
        self.begin(client_info="xclient")
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.say("RCPT TO:<b@example.org>", 451)

    def test_client_shown_by_xforward(self):
        self.begin(Backend(("PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT")), client_info="xforward")
        client = self.client()
        self.assertEqual([client.deliver()[0] for _ in range(2)], [250, 250])
        lines = [c for c in self.backend.commands if c.startswith((b"XFORWARD", b"MAIL"))]
        self.assertEqual([c.split()[0] for c in lines], [b"XFORWARD", b"XFORWARD", b"MAIL"] * 2)
        where = b"XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT=%d PROTO=ESMTP\r\n" % client.sock.getsockname()[1]
        who = b"XFORWARD HELO=client.example IDENT=%s\r\n" % self.worker.sessions()[0]["id"].encode()
        self.assertEqual(lines[:2] + lines[3:5], [where, who] * 2)

    def test_backend_without_xforward_gets_nothing(self):
        self.begin(client_info="xforward")
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        self.assertIn("4.3.5", client.say("RCPT TO:<b@example.org>", 451))

    def test_limits_are_said(self):
        self.begin(Backend(("PIPELINING", "LIMITS RCPTMAX=70")), smtp="max_recipients: 200, max_transactions: 3")
        until(lambda: self.backend.quits == 1)
        client = self.client()
        self.assertIn("250-LIMITS MAILMAX=3 RCPTMAX=70\n", client.say("EHLO x", 250))
        self.assertEqual([client.deliver()[0] for _ in range(3)], [250] * 3)
        client.say("MAIL FROM:<a@example.com>", 421)

    def test_requiretls(self):
        """RFC 8689 4.2.1: it promises TLS with a verified certificate on each hop, which a backend
        in clear can't keep, whatever it offers."""
        self.begin(Backend(("PIPELINING", "REQUIRETLS")))
        until(lambda: self.backend.quits == 1)
        client = self.client()
        client.say("EHLO x", 250)
        client.say("MAIL FROM:<a@example.com> REQUIRETLS", 555)
        client.secure()
        self.assertNotIn("REQUIRETLS", client.say("EHLO x", 250))
        client.say("MAIL FROM:<a@example.com> REQUIRETLS", 555)

    def test_exempt_from_bare_newlines(self):
        self.begin(smtp="bare_newline_exempt: [127.0.0.1]")
        self.assertEqual(self.client().deliver(b"S: 1\n\nx\r\n")[0], 250)
        self.assertTrue(self.backend.messages[0].endswith(b"\r\nS: 1\r\n\r\nx\r\n"))
        self.begin(smtp="bare_newline_exempt: [127.0.0.2]")
        self.assertEqual(self.client().deliver(b"S: 1\n\nx\r\n")[0], 554)

    def test_client_shown_by_proxy_v2(self):
        self.begin(Backend(proxy=True), client_info="proxy-v2")
        until(lambda: self.backend.headers)  # the probe sends one too, or it would wait for ever
        client = self.client()
        self.assertEqual(client.deliver()[0], 250)
        want = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([127, 0, 0, 1] * 2) +
                client.sock.getsockname()[1].to_bytes(2, "big") + self.worker.address[1].to_bytes(2, "big"))
        self.assertIn(want, self.backend.headers)
        self.assertIn(b"EHLO client.example", [c.rstrip() for c in self.backend.commands])


class BackendTrouble(Case):
    def refused(self, client, code=451):
        client.say("MAIL FROM:<a@example.com>", 250)
        begin = time.monotonic()
        text = client.say("RCPT TO:<b@example.org>", code)
        return text, time.monotonic() - begin

    def test_down_and_up_again(self):
        self.begin()
        self.backend.stop()
        client = self.client()
        text, seconds = self.refused(client)
        self.assertIn("4.4.1", text)
        self.assertLess(seconds, 20, "it was not refused, but waited for")
        client.say("RSET", 250)
        self.backend.start_again()
        self.assertEqual(client.deliver()[0], 250)

    def test_silent_at_connect(self):
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            held = [socket.socket() for _ in range(4)]
            for s in held:
                s.setblocking(False)
                s.connect_ex(full.getsockname())
            target = Backend()
            target.address = "127.0.0.1:%d" % full.getsockname()[1]
            self.begin(target, times={"connect_timeout": "1s"})
            text, seconds = self.refused(self.client())
            self.assertIn("4.4.1", text)
            self.assertGreater(seconds, 0.9)
            for s in held:
                s.close()

    def test_silent_later(self):
        self.begin(Backend(greeting="MUTE"), times={"reply_timeout": "2s"})
        text, seconds = self.refused(self.client())
        self.assertIn("4.4.2", text)
        self.assertGreater(seconds, 1.9)

    def test_verdict_on_the_dot(self):
        for rule, code in (("CLOSE", 451), ("MUTE", 451), ("451 4.7.1 later", 451), ("550 5.7.1 no", 550),
                           ("354 what", 451), ("250-a\r\n250 b", 250), ("25", 451)):
            with self.subTest(rule):
                self.begin(Backend(dot=rule), times={"data_timeout": "2s"} if rule == "MUTE" else {})
                client = self.client().secure()
                self.assertEqual(client.deliver()[0], code)
                client.say("QUIT", 221)

    def test_stops_reading(self):
        self.begin(Backend(line_delay=60), times={"reply_timeout": "2s"})
        client = self.client(timeout=60).open_message()
        client.raw((b"x" * 900 + b"\r\n") * 20000 + b".\r\n")
        self.assertIn("4.4.2", client.expect(451))
        until(lambda: "does not read" in self.worker.log())

    def test_slow_backend_holds_the_client_back(self):
        message = b"Subject: big\r\n\r\n" + (b"x" * 900 + b"\r\n") * 10000
        self.begin(Backend(line_delay=0.00002))
        client = self.client(timeout=60)
        before = self.worker.resident_kb()
        self.assertEqual(client.deliver(message)[0], 250)
        self.assertTrue(self.backend.messages[0].endswith(message))
        if not sanitized():
            self.assertLess(self.worker.resident_kb() - before, 2000)

    def test_reload_changes_the_backend_of_new_sessions(self):
        self.begin()
        old = self.client()
        other = Backend()
        self.worker.configure(other)
        self.worker.sessions()
        self.assertEqual(old.deliver()[0], 250)
        self.assertEqual(self.client().deliver()[0], 250)
        self.assertEqual((len(self.backend.messages), len(other.messages)), (1, 1))


class ClientTrouble(Case):
    def test_bytes_behind_starttls(self):
        self.begin()
        client = self.client()
        client.raw(b"STARTTLS\r\nEHLO evil.example\r\n")
        got = b""
        while octets := client.sock.recv(1000):
            got += octets
        self.assertNotIn(b"250", got)
        client.sock.close()
        self.assertIn("reason=starttls_injection", self.worker.stop())

    def test_early_talker(self):
        self.begin(smtp="greeting_delay: 500ms")
        begin = time.monotonic()
        self.client()
        self.assertGreater(time.monotonic() - begin, 0.45)
        self.begin(smtp="greeting_delay: 5s")
        client = self.client(hello=False)
        client.raw(b"EHLO x\r\n")
        client.expect(554)
        self.assertTrue(client.ended())

    def test_gone_in_the_middle_of_a_message(self):
        for secure in (False, True):
            for end in ("cut", "reset", "close_notify"):
                with self.subTest(secure=secure, end=end):
                    self.begin()
                    client = self.client()
                    if secure:
                        client.secure()
                    client.open_message().raw(b"S: x\r\n\r\nabc\r\n")
                    until(lambda: self.worker.sessions()[0]["state"] == "body")
                    if end == "close_notify" and secure:
                        client.sock.settimeout(0.2)
                        try:
                            client.sock.unwrap()
                        except (OSError, ssl.SSLError):
                            pass
                    client.reset() if end == "reset" else client.cut()
                    until(lambda: self.backend.aborted == 1)
                    self.assertIn("result=aborted", self.worker.stop())
                    self.assertEqual(self.backend.messages, [])

    def test_deadlines(self):
        self.begin(smtp="command_timeout: 2s, tls_timeout: 1s, data_timeout: 3s")
        client = self.client(hello=False)
        client.expect(220)
        for _ in range(300):  # an octet now and then buys no time
            client.raw(b"N")
            if select.select([client.sock], [], [], 0.2)[0]:
                break
        self.assertIn("4.4.2", client.expect(421))
        self.assertTrue(client.ended())
        client = self.client()
        client.say("STARTTLS", 220)
        self.assertEqual(client.reply(), (0, ""))
        client = self.client().open_message()
        begin = time.monotonic()
        while time.monotonic() - begin < 4:  # but a message's octets do
            client.raw(b"x\r\n")
            self.assertFalse(select.select([client.sock], [], [], 0.3)[0])
        client.expect(421)
        until(lambda: self.backend.aborted == 1)

    def test_whole_session_deadline(self):
        self.begin(smtp="session_timeout: 2s")
        client = self.client()
        begin = time.monotonic()
        while (got := client.say("NOOP", 250, 421)).startswith("250"):
            self.assertLess(time.monotonic() - begin, 60)
            time.sleep(0.1)
        self.assertGreater(time.monotonic() - begin, 1.8)
        self.assertIn("4.4.2", got)

    def test_replies_that_nobody_reads(self):
        self.begin(smtp="max_commands: 1000000, command_timeout: 2s", limits="queue_bytes: 16K")
        client = self.client(timeout=1.5)
        before, sent = self.worker.resident_kb(), 0
        with self.assertRaises((TimeoutError, ConnectionError)):
            while sent < 50_000_000:
                sent += client.sock.send(b"NOOP\r\n" * 5000)
        self.assertGreater(self.worker.counter("PAUSED"), 0)
        if not sanitized():
            self.assertLess(self.worker.resident_kb() - before, 2000)

    def test_many_commands_at_once(self):
        self.begin(smtp="max_commands: 1000000")
        client = self.client(timeout=60)
        sender = threading.Thread(target=lambda: client.raw(b"NOOP\r\n" * 20000))
        sender.start()
        for _ in range(20000):
            client.expect(250)
        sender.join()
        # Python's TLS sockets can't be written and read by two threads at a time,
        # so here a burst is as large as the kernel's buffers hold the answers of.
        client = self.client(timeout=60)
        client.secure()
        for _ in range(5):
            client.raw(b"NOOP\r\n" * 4000)
            for _ in range(4000):
                client.expect(250)

    def test_too_many(self):
        self.begin(limits="sessions_per_address: 3")
        clients = [self.client() for _ in range(3)]
        extra = self.client(hello=False)
        self.assertIn("4.7.0", extra.expect(421))
        self.assertTrue(extra.ended())
        clients[0].say("QUIT", 221)
        until(lambda: len(self.worker.sessions()) == 2)
        self.client()

    def test_no_descriptor_left(self):
        self.begin()
        until(lambda: self.backend.quits == 1)
        self.worker.sessions()
        self.worker.limit_descriptors(3)
        clients = [self.client() for _ in range(3)]
        late = self.client(hello=False, timeout=0.3)
        with self.assertRaises(TimeoutError):
            late.reply()
        clients[0].say("QUIT", 221)
        late.sock.settimeout(60)
        late.expect(220)


class Together(unittest.TestCase):
    """Two workers count clients in one census."""

    def setUp(self):
        self.census = census(2)
        self.addCleanup(os.close, self.census)
        self.backend = Backend()
        self.workers = [self.worker(slot) for slot in range(2)]

    def worker(self, slot):
        worker = Worker(PROGRAM, self.backend, limits="sessions_per_address: 5", shared=(self.census, slot))
        self.addCleanup(worker.stop)
        return worker

    def refused(self, worker):
        extra = Client(worker, hello=False)
        self.assertIn("4.7.0", extra.expect(421))
        extra.sock.close()

    def test_limit_over_both(self):
        first, second = self.workers
        clients = [Client(worker) for worker in (first, second, first, second, first)]
        self.refused(first)
        self.refused(second)
        clients[1].say("QUIT", 221)
        until(lambda: len(second.sessions()) == 1)
        clients.append(Client(first))
        self.refused(second)

    def test_limit_after_a_crash(self):
        """The dead one's slot is cleared by who started it; until then its clients still count."""
        first, second = self.workers
        clients = [Client(worker) for worker in (first, first, first, second)]
        first.crash()
        clients.append(Client(second))
        self.refused(second)
        os.pwrite(self.census, bytes(CENSUS_SLOT), 4096)
        third = self.worker(0)
        clients += [Client(worker) for worker in (third, second, third)]
        self.refused(second)
        self.refused(third)

    def test_each_writes_its_own_slot(self):
        """A worker's mapping lets it write nowhere else."""
        for slot, worker in enumerate(self.workers):
            with open("/proc/%d/maps" % worker.process.pid) as f:
                maps = [line.split() for line in f if "memfd:census" in line]
            writable = [int(m[2], 16) for m in maps if "w" in m[1]]
            self.assertEqual(writable, [4096 + slot * CENSUS_SLOT])
            self.assertEqual(sum(m[1].startswith("r--s") for m in maps), len(maps) - 1)


V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 25\r\n"
V2_ADDRESSES = bytes([203, 0, 113, 9, 198, 51, 100, 1]) + struct.pack(">HH", 4711, 25)
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = V2_SIGNATURE + b"\x21\x11\0\x14" + V2_ADDRESSES + b"\x04\0\x05noise"


class Balancer(Case):
    def begin(self, *args, proxy="", **options):
        return super().begin(*args, proxy="proxy_protocol_from: [127.0.0.0/8], " + proxy, **options)

    def unwelcome(self, client):
        """Closed, and not a word was said."""
        try:
            self.assertEqual(client.sock.recv(1000), b"")
        except ConnectionResetError:
            pass

    def test_header_names_the_client(self):
        self.begin(Backend(("PIPELINING", "XCLIENT ADDR PORT")), client_info="xclient")
        for header in (V1, V2):
            for secure in (False, True):
                client = self.client(first=header)
                if secure:
                    client.secure()
                self.assertEqual(client.deliver()[0], 250)
                self.assertIn(b"[203.0.113.9]", self.backend.messages[-1])
                self.assertEqual([c for c in self.backend.commands if c.startswith(b"XCLIENT")][-1],
                                 b"XCLIENT ADDR=203.0.113.9 PORT=4711\r\n")
                self.assertEqual(self.worker.sessions()[0]["client"], "203.0.113.9:4711")
                here = client.sock.getsockname()[1]
                client.say("QUIT", 221)
                until(lambda: "client=203.0.113.9:4711 proxy=127.0.0.1:%d" % here in self.worker.log())
        self.assertEqual(self.worker.counter("PROXY_NAMED"), 4)

    def test_no_word_before_the_header_is_whole(self):
        self.begin()
        for header in (V1, V2):
            client = self.client(hello=False)
            for i in range(len(header)):
                if i % 7 == 0:
                    time.sleep(0.01)
                    client.sock.setblocking(False)
                    self.assertRaises(BlockingIOError, client.sock.recv, 1)
                    client.sock.settimeout(60)
                client.raw(header[i:i + 1])
            client.expect(220)

    def test_nobody_named(self):
        self.begin()
        for header in (b"PROXY UNKNOWN\r\n", V2_SIGNATURE + b"\x20\0\0\0", V2_SIGNATURE + b"\x21\x31\0\xd8" + bytes(216)):
            client = self.client(first=header)
            self.assertEqual(self.worker.sessions()[0]["client"], "127.0.0.1:%d" % client.sock.getsockname()[1])
        self.assertEqual(self.worker.counter("PROXY_LOCAL"), 3)

    def test_missing_or_malformed(self):
        self.begin()
        bad = (b"EHLO x\r\n", b"\x16\x03\x01", V1.lower(), V1.replace(b"\r", b""), V1.replace(b"4711", b"70000"),
               V2.replace(b"\x21\x11", b"\x11\x11"), V2_SIGNATURE + b"\x21\x11\0\4abcd", V2_SIGNATURE + b"\x21\x11\xff\xff")
        for octets in bad:
            self.unwelcome(self.client(hello=False, first=octets))
        self.assertEqual(self.worker.counter("PROXY_MALFORMED"), len(bad))
        for octets in (V1[:-1], V2[:-1], V1[:3]):  # its end is cut off
            client = self.client(hello=False, first=octets)
            client.sock.shutdown(socket.SHUT_WR)
            self.unwelcome(client)
        self.assertEqual(self.worker.counter("PROXY_MALFORMED"), len(bad) + 3)
        until(lambda: self.worker.log().count("reason=proxy_header") == len(bad) + 3)
        self.assertEqual(self.worker.counter("ADDRESSES"), 0)
        self.client(first=V1)

    def test_balancer_looks_whether_we_live(self):
        self.begin()
        self.client(hello=False).sock.close()
        until(lambda: self.worker.counter("PROXY_CLOSED") == 1)
        self.assertNotIn("proxy_header", self.worker.log())

    def test_late(self):
        self.begin(proxy="proxy_protocol_timeout: 500ms")
        begin = time.monotonic()
        client = self.client(hello=False, first=V1[:-2])
        self.unwelcome(client)
        self.assertGreater(time.monotonic() - begin, 0.4)
        until(lambda: self.worker.counter("PROXY_LATE") == 1)

    def test_early_talk_behind_the_header(self):
        self.begin()
        client = self.client(hello=False, first=V1 + b"EHLO x\r\n")
        client.expect(554)
        self.assertTrue(client.ended())

    def test_greeting_delay_begins_behind_the_header(self):
        self.begin(smtp="greeting_delay: 500ms")
        client = self.client(hello=False)
        time.sleep(0.6)
        begin = time.monotonic()
        client.raw(V1)
        client.expect(220)
        self.assertGreater(time.monotonic() - begin, 0.45)

    def test_limits_are_the_clients(self):
        self.begin(limits="sessions_per_address: 2")
        others = [self.client(first=V1.replace(b".9", b".%d" % i)) for i in range(20, 30)]
        same = [self.client(first=V1) for _ in range(2)]
        extra = self.client(hello=False, first=V1)
        self.assertIn("4.7.0", extra.expect(421))
        self.assertTrue(extra.ended())
        self.assertEqual(self.worker.counter("REFUSED_ADDRESS"), 1)
        self.assertEqual(self.worker.counter("ADDRESSES"), 11)
        extra.sock.close()
        same[0].say("QUIT", 221)
        until(lambda: len(self.worker.sessions()) == 11)
        self.client(first=V2)
        del others

    def test_exempt_by_the_header(self):
        self.begin(smtp="bare_newline_exempt: [203.0.113.9]")
        self.assertEqual(self.client(first=V1).deliver(b"S: 1\n\nx\r\n")[0], 250)
        self.assertEqual(self.client(first=V1.replace(b".9", b".8")).deliver(b"S: 1\n\nx\r\n")[0], 554)

    def test_handed_on_to_the_backend(self):
        self.begin(Backend(proxy=True), client_info="proxy-v2")
        self.assertEqual(self.client(first=V1).deliver()[0], 250)
        # The look at what it offers has sent one of its own, before or after.
        self.assertIn(V2_SIGNATURE + b"\x21\x11\0\x0c" + V2_ADDRESSES, self.backend.headers)

    def test_drain(self):
        self.begin()
        late = self.client(hello=False)
        until(lambda: len(self.worker.sessions()) == 1)
        self.worker.tell(do="drain")
        time.sleep(0.2)
        late.raw(V1)
        late.expect(421)
        late.sock.close()
        self.worker.wait()


class Stranger(Case):
    def test_header_is_a_foreign_protocol(self):
        self.begin(proxy="proxy_protocol_from: [192.0.2.0/24]")
        for header in (V1, V2):
            client = self.client(hello=False)
            client.expect(220)
            client.raw(header)
            text = client.sock.recv(1000)
            self.assertTrue(text.startswith(b"50"), text)
            self.assertNotIn(b"250", text)
            client.sock.close()
        until(lambda: not self.worker.sessions())
        self.assertNotIn("203.0.113.9", self.worker.log())
        self.assertEqual(self.worker.counter("PROXY_NAMED"), 0)


class Tls(Case):
    def test_tiny_records(self):
        self.begin(limits="tiny_tls_records: 300")
        for version in VERSIONS:
            client = self.client().secure(version=version).open_message()
            with self.assertRaises((OSError, EOFError)):
                for _ in range(2000):
                    client.raw(b"x")
                    time.sleep(0)
                self.assertNotEqual(client.sock.recv(100), b"")
                raise AssertionError("still there")
        until(lambda: self.worker.counter("TLS_FLOOD") == 2)
        self.assertEqual(self.backend.messages, [])
        client = self.client().secure().open_message()
        for _ in range(2000):
            client.raw(b"a line of text\r\n")
        client.raw(b".\r\n")
        client.expect(250)

    def shown(self, client):
        return hashlib.sha256(client.sock.getpeercert(True)).hexdigest()

    def test_names(self):
        self.begin()
        for version in VERSIONS:
            shown = {sni: self.shown(self.client().secure(sni, version))
                     for sni in ("mx1.example.org", "MX2.example.org", "other.example", None)}
            self.assertEqual(shown["mx1.example.org"], shown["other.example"])
            self.assertEqual(shown["mx1.example.org"], shown[None])
            self.assertNotEqual(shown["mx1.example.org"], shown["MX2.example.org"])

    def test_swap_under_live_sessions(self):
        self.begin()
        live, waiting = self.client().secure(), self.client()
        before = self.shown(live)
        self.assertEqual(self.worker.present(identity("mx1.example.org", 2), epoch=2), {"ack": 2})
        self.assertEqual(live.deliver()[0], 250)
        self.assertNotEqual(self.shown(waiting.secure()), before)
        self.assertEqual(waiting.deliver()[0], 250)

    def test_refused_identities_change_nothing(self):
        self.begin()
        before = self.shown(self.client().secure())
        mixed = identity("mx1.example.org", 2)["keys"][0] | {"key_pem": identity("mx1.example.org")["keys"][0]["key_pem"]}
        for bad in ({"name": "mx1.example.org", "generation": 2, "keys": [mixed]},
                    {"name": "mx1.example.org", "generation": 2, "keys": []}, {"name": "mx1.example.org"}):
            self.assertEqual(self.worker.present(bad, epoch=5)["nack"], 5)
        self.assertEqual(self.shown(self.client().secure()), before)

    def tell_part(self, epoch, *identities, **more):
        self.worker.tell(do="identities", epoch=epoch, default="mx1.example.org", seed="5a" * 32, identities=list(identities), **more)

    def test_identities_in_parts(self):
        self.begin()
        before = {sni: self.shown(self.client().secure(sni)) for sni in ("mx1.example.org", "mx2.example.org")}
        self.tell_part(2, identity("mx2.example.org", 2), base=[7, 1], more=True)
        self.tell_part(2, identity("mx3.example.org"), part=1, more=True)
        self.worker.sessions()  # it has taken both, and serves neither
        self.assertEqual({sni: self.shown(self.client().secure(sni)) for sni in before}, before)
        self.tell_part(2, part=2, gone=["mx9.example.org"])
        self.assertEqual(self.worker.hear("ack", "nack"), {"ack": 2})
        self.assertEqual(self.shown(self.client().secure("mx1.example.org")), before["mx1.example.org"])
        self.assertNotEqual(self.shown(self.client().secure("mx2.example.org")), before["mx2.example.org"])
        self.assertNotIn(self.shown(self.client().secure("mx3.example.org")), before.values())
        self.tell_part(3, base=[2], gone=["MX2.example.org"])
        self.assertEqual(self.worker.hear("ack", "nack"), {"ack": 3})
        self.assertEqual(self.shown(self.client().secure("mx2.example.org")), before["mx1.example.org"])

    def test_refused_parts_change_nothing(self):
        self.begin()
        before = self.shown(self.client().secure("mx2.example.org"))
        bad = {"name": "mx4.example.org", "generation": 1, "keys": []}
        self.tell_part(2, identity("mx2.example.org", 2), base=[1], more=True)
        self.tell_part(2, bad, part=1, more=True)
        self.assertEqual(self.worker.hear("ack", "nack")["nack"], 2)
        self.tell_part(2, identity("mx3.example.org"), part=2)  # passed over: no second answer
        self.tell_part(3, base=[2])  # nobody serves 2
        self.assertEqual(self.worker.hear("ack", "nack")["nack"], 3)
        self.tell_part(4, base=[1], more=True)
        self.tell_part(4, part=2)  # one is missing
        self.assertEqual(self.worker.hear("ack", "nack")["nack"], 4)
        self.tell_part(5, base=[1], gone=["mx1.example.org"])  # the default identity
        self.assertEqual(self.worker.hear("ack", "nack")["nack"], 5)
        self.assertEqual(self.shown(self.client().secure("mx2.example.org")), before)
        self.tell_part(6, base=[1], more=True)
        self.tell_part(7, identity("mx1.example.org", 2))  # begins anew: 6 is given up
        self.assertEqual(self.worker.hear("ack", "nack"), {"ack": 7})
        self.assertNotEqual(self.shown(self.client().secure("mx2.example.org")), before)

    def test_tickets_end_with_their_key(self):
        self.begin()
        for epoch, version in enumerate(VERSIONS):
            context = any_context(version)
            first = self.client().secure(context=context)
            ticket = first.sock.session
            self.assertTrue(self.client().secure(context=context, session=ticket).sock.session_reused)
            self.worker.present(identity("mx1.example.org", 2), epoch=10 + epoch)
            self.assertFalse(self.client().secure(context=context, session=ticket).sock.session_reused)
            self.worker.present(identity("mx1.example.org"), identity("mx2.example.org"), epoch=20 + epoch)

    def test_clear_text_inside(self):
        self.begin()
        client = self.client().secure()
        fd = os.dup(client.sock.fileno())
        os.write(fd, b"MAIL FROM:<evil@example.com>\r\n")
        os.close(fd)
        until(lambda: not self.worker.sessions() and "reason=tls_failed" in self.worker.log())

    def test_renegotiation(self):
        self.begin()
        s_client = subprocess.Popen(["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect",
                                     "127.0.0.1:%d" % self.worker.address[1]],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until(lambda: any(s["tls"] != "-" for s in self.worker.sessions()))
        output = s_client.communicate(b"R\n", timeout=60)[0]
        self.assertIn(b"RENEGOTIATING", output)
        until(lambda: not self.worker.sessions() and "NO_RENEGOTIATION" in self.worker.log())


class Life(Case):
    def test_drain(self):
        self.begin()
        idle, busy = self.client(), self.client().open_message()
        self.worker.tell(do="drain")
        self.assertIn("4.3.2", idle.expect(421))
        busy.raw(b"x: y\r\n\r\n.\r\n")
        busy.expect(250)
        busy.expect(421)
        busy.sock.close()
        idle.sock.close()
        self.worker.wait()
        self.assertEqual(len(self.backend.messages), 1)

    def test_drain_has_an_end(self):
        self.begin(times={"drain_timeout": "2s"})
        client = self.client().open_message()
        begin = time.monotonic()
        self.worker.tell(do="drain")
        self.assertIn("drain-cut", self.worker.wait())
        self.assertGreater(time.monotonic() - begin, 1.9)
        self.assertEqual(client.reply(), (0, ""))
        self.assertEqual(self.backend.messages, [])

    def test_supervisor_dies(self):
        self.begin()
        client = self.client()
        self.worker.stop()
        self.assertTrue(client.ended())

    def test_messages_it_does_not_understand(self):
        self.begin()
        self.worker.tell(do="nonsense")
        self.worker.tell(do="config", number=7, text="proxy: [")
        refused = self.worker.hear("configured")
        self.assertEqual(refused["configured"], 7)
        self.assertIn("danegate.yaml:1:", refused["why"])
        self.worker.tell(do=7)
        self.worker.tell()
        self.assertEqual(self.client().deliver()[0], 250)


if __name__ == "__main__":
    unittest.main(warnings="ignore")

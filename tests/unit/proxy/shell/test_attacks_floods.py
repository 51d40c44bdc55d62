#!/usr/bin/env python3
"""usage: test_attacks_floods.py PROGRAM [unittest options]

Many clients, slow ones, and ones that never read: what each may cost, and that others are
served meanwhile. Newcomers should be served within 100 ms; a loaded machine with a
sanitized worker gets more here, but far less than any of the deadlines that the stalled run into."""

import socket
import ssl
import sys
import threading
import time
import unittest

from rig import Backend, Client, Worker, until
from tls_peer import hello, records

PROGRAM = sys.argv.pop(1)
SOON = 40


class Case(unittest.TestCase):
    def begin(self, backend=None, limits="sessions_per_address: 5000, sessions_per_prefix: 5000", **options):
        self.backend = backend or Backend()
        self.worker = Worker(PROGRAM, self.backend, limits=limits, **options)
        self.addCleanup(self.worker.stop)

    def client(self, **options):
        return Client(self.worker, **options)

    def newcomers(self, num=3):
        for secure in (False, True) * num:
            begin = time.monotonic()
            client = self.client(timeout=SOON)
            if secure:
                client.secure()
            self.assertEqual(client.deliver()[0], 250)
            client.say("QUIT", 221)
            client.sock.close()
            self.assertLess(time.monotonic() - begin, SOON)

    def crowd(self, num, stall):
        crowd = []
        for _ in range(num):
            client = self.client(hello=False)
            stall(client)
            crowd.append(client)
        return crowd


class Crowds(Case):
    """Hundreds at a time stand still in one place; newcomers don't notice. RFC 5321 4.5.3.2."""

    def check(self, stall, num=250, state=None):
        self.begin()
        crowd = self.crowd(num, stall)
        if state:
            until(lambda: sum(s["state"] == state for s in self.worker.sessions()) >= num, 90)
        self.newcomers()
        until(lambda: len(self.worker.sessions()) == num)
        return crowd

    def test_silent(self):
        self.check(lambda c: None)

    def test_half_a_command(self):
        def stall(c):
            c.expect(220)
            c.raw(b"EHLO x.exam")
        self.check(stall)

    def test_handshakes_not_begun(self):
        def stall(c):
            c.expect(220)
            c.say("EHLO x.example", 250)
            c.say("STARTTLS", 220)
        self.check(stall, state="tls")

    def test_half_handshakes(self):
        octets = records(hello())

        def stall(c):
            c.expect(220)
            c.say("EHLO x.example", 250)
            c.say("STARTTLS", 220)
            c.raw(octets[:len(octets) // 2] if id(c) % 2 else octets)
        self.check(stall, state="tls")

    def test_half_messages(self):
        def stall(c):
            c.expect(220)
            c.say("EHLO x.example", 250)
            c.open_message().raw(b"Subject: x\r\n\r\nhalf a li")
        crowd = self.check(stall, num=150, state="body")
        until(lambda: self.worker.counter("BACKEND_OPEN") == 150)
        del crowd

    def test_half_chunks(self):
        def stall(c):
            c.expect(220)
            c.say("EHLO x.example", 250)
            c.say("MAIL FROM:<a@x.example>", 250)
            c.say("RCPT TO:<b@x.example>", 250)
            c.raw(b"BDAT 1000000 LAST\r\nabc")
        self.check(stall, num=150)

    def test_replies_that_nobody_reads(self):
        def stall(c):
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.expect(220)
            c.sock.setblocking(False)
            try:
                for _ in range(2000):
                    c.raw(b"HELP\r\n" * 20)
            except BlockingIOError:
                pass
        self.begin(smtp="max_commands: 1000000")
        crowd = self.crowd(60, stall)
        self.newcomers()
        del crowd

    def test_bodies_for_a_backend_that_reads_nothing(self):
        slow = Backend(line_delay=60)
        self.begin(slow)
        crowd = []
        for _ in range(40):
            client = self.client().open_message()
            client.sock.setblocking(False)
            try:
                while True:
                    client.raw(b"x" * 60000)
            except BlockingIOError:
                pass
            crowd.append(client)
        fresh = Backend()
        self.worker.configure(fresh)
        begin = time.monotonic()
        self.newcomers()
        self.assertLess(time.monotonic() - begin, 6 * SOON)
        del crowd

    def test_idle_crowd_costs_no_backend(self):
        """An idle or hostile client never costs a backend connection."""
        def stall(c):
            c.expect(220)
            c.say("EHLO x.example", 250)
            c.say("MAIL FROM:<a@x.example>", 250)
        self.check(stall)
        self.assertEqual(self.worker.counter("BACKEND_OPEN"), 0)

    def test_connects_and_resets(self):
        self.begin()
        for _ in range(400):
            client = self.client(hello=False)
            client.reset()
        self.newcomers()
        until(lambda: not self.worker.sessions())


class Slow(Case):
    """Slowloris: an octet now and then buys time in a message only, and there not without end."""

    def trickle(self, client, octets, pause, seconds):
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                client.raw(octets)
                time.sleep(pause)
        except OSError:
            return True
        return False

    def test_command(self):
        for secure in (False, True):
            self.begin(smtp="command_timeout: 2s")
            client = self.client()
            if secure:
                client.secure()
            threading.Thread(target=self.trickle, args=(client, b"N", 0.1, 60), daemon=True).start() if not secure else client.raw(b"NOO")
            self.assertIn("4.4.2", client.expect(421))
            until(lambda: self.worker.counter("TIMEOUT_COMMAND") == 1)

    def test_message(self):
        """smtp.message_timeout is for the whole of it."""
        self.begin(smtp="data_timeout: 60s, message_timeout: 1500ms")
        for secure in (False, True):
            client = self.client()
            if secure:
                client.secure()
            client.open_message()
            begin = time.monotonic()
            client.sock.settimeout(0.05)
            got = None
            while got is None and time.monotonic() - begin < 50:
                client.raw(b"x\r\n")
                try:
                    got = client.reply()
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
            self.assertIsNotNone(got)
            self.assertIn("421 4.4.2", got[1])
        until(lambda: self.backend.aborted == 2)
        self.assertEqual(self.backend.messages, [])
        self.assertEqual(self.worker.counter("TIMEOUT_MESSAGE"), 2)

    def test_chunks(self):
        """An endless row of small chunks is one message."""
        self.begin(smtp="message_timeout: 1500ms")
        client = self.client()
        client.say("MAIL FROM:<a@x.example>", 250)
        client.say("RCPT TO:<b@x.example>", 250)
        begin = time.monotonic()
        while client.say("BDAT 3\r\nx", 250, 421).startswith("250"):
            self.assertLess(time.monotonic() - begin, 60)
            time.sleep(0.05)
        until(lambda: self.worker.counter("TIMEOUT_MESSAGE") == 1)

    def test_handshake_octet_by_octet(self):
        self.begin(smtp="tls_timeout: 1s")
        client = self.client()
        client.say("STARTTLS", 220)
        self.assertTrue(self.trickle(client, records(hello())[:1], 0.2, 60) or client.ended())
        until(lambda: self.worker.counter("TIMEOUT_TLS") + self.worker.counter("TLS_CLEAR_TEXT") + self.worker.counter("TLS_FAILED") == 1)

    def test_many_small_messages_have_an_end(self):
        self.begin(smtp="max_transactions: 5")
        client = self.client()
        for _ in range(5):
            self.assertEqual(client.deliver()[0], 250)
        self.assertIn("4.7.0", client.say("MAIL FROM:<a@x.example>", 421))


class Bounds(Case):
    def test_endless_line(self):
        """Neither memory nor time: 500 and the end of the connection. In TLS too."""
        self.begin()
        for secure in (False, True):
            client = self.client(timeout=30)
            if secure:
                client.secure()
            client.sock.settimeout(30)
            sent = 0
            try:
                while sent < 64 << 20:
                    client.raw(b"x" * 65536)
                    sent += 65536
                self.fail("64 MB of one line were read")
            except (OSError, ssl.SSLError):
                pass
        self.newcomers(1)

    def test_recipients(self):
        self.begin(smtp="max_recipients: 5")
        client = self.client()
        client.say("MAIL FROM:<a@x.example>", 250)
        for _ in range(5):
            client.say("RCPT TO:<b@x.example>", 250)
        self.assertIn("4.5.3", client.say("RCPT TO:<b@x.example>", 452))
        client.say("DATA", 354)
        client.raw(b"x\r\n.\r\n")
        client.expect(250)

    def test_one_network(self):
        """Over the limit of an address: 421 at once; who comes from elsewhere is served. STARTTLS is withheld from nobody."""
        self.begin(limits="sessions_per_address: 20, sessions_per_prefix: 5000")
        crowd = [self.client() for _ in range(20)]
        for _ in range(50):
            extra = self.client(hello=False)
            self.assertIn("4.7.0", extra.expect(421))
            extra.sock.close()
        sock = socket.create_connection(self.worker.address, timeout=SOON, source_address=("127.0.0.2", 0))
        other = Client.__new__(Client)
        other.sock, other.rest = sock, b""
        other.expect(220)
        self.assertIn("STARTTLS", other.say("EHLO x.example", 250))
        self.assertIn("STARTTLS", crowd[-1].say("EHLO x.example", 250))
        self.assertEqual(self.worker.counter("REFUSED_ADDRESS"), 50)

    def test_memory_of_a_stalled_crowd(self):
        """A session that holds half of something holds little memory. (A sanitized worker says nothing here.)"""
        self.begin()
        before = self.worker.resident_kb()
        crowd = [self.client() for _ in range(300)]
        for client in crowd:
            client.raw(b"x" * 1500)
        self.worker.sessions()
        with open(PROGRAM, "rb") as f:
            if b"__asan_init" not in f.read():
                self.assertLess((self.worker.resident_kb() - before) / 300, 16)

    def test_half_open_and_linger(self):
        """A client that reads no end does not stay: the linger has one."""
        self.begin(smtp="max_errors: 1")
        client = self.client()
        client.say("NONSENSE", 421)
        sent = 0
        with self.assertRaises(OSError):
            while sent < 1 << 30:
                sent += client.sock.send(b"x" * 65536)
        until(lambda: not self.worker.sessions())


class NoQueue(Case):
    def test_outage_under_load(self):
        """RFC 5321 6.1: the backend goes and comes back; each 250 is one message there, nothing else is."""
        self.begin()
        stop, accepted, deferred = threading.Event(), [], []

        def sender(n):
            i = 0
            while not stop.is_set():
                i += 1
                try:
                    client = self.client()
                    if n % 2:
                        client.secure()
                    text = "id: %d-%d" % (n, i)
                    client.say("MAIL FROM:<a@x.example>", 250)
                    if client.say("RCPT TO:<b@x.example>", 250, 451).startswith("250") and client.say("DATA", 354, 451).startswith("354"):
                        client.raw(text.encode() + b"\r\n.\r\n")
                        (accepted if client.reply()[0] == 250 else deferred).append(text)
                    else:
                        deferred.append(text)
                    client.say("QUIT", 221)
                    client.sock.close()
                except OSError as e:
                    deferred.append(repr(e))
        senders = [threading.Thread(target=sender, args=(n,)) for n in range(6)]
        for s in senders:
            s.start()
        for _ in range(3):
            until(lambda n=len(accepted): len(accepted) > n + 10, 90)
            self.backend.stop()
            until(lambda n=len(deferred): len(deferred) > n + 5, 90)
            self.backend.start_again()
        until(lambda n=len(accepted): len(accepted) > n + 10, 90)
        stop.set()
        for s in senders:
            s.join()
        stored = [m.decode().split("\r\n")[-2] for m in self.backend.messages]
        self.assertEqual(sorted(stored), sorted(accepted))
        self.assertEqual([d for d in deferred if not d.startswith("id:")], [])


if __name__ == "__main__":
    unittest.main(warnings="ignore")

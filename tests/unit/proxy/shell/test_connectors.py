#!/usr/bin/env python3
"""usage: test_connectors.py PROGRAM [unittest options]

Where a worker takes mail: connectors, hops in order, STARTTLS to the next hop and what it must prove. Routes that
need DNS come from the test, as they come from the router else."""

import hashlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

from rig import OFFERS, Backend, Client, Worker, until

PROGRAM = sys.argv.pop(1)
WORK = tempfile.TemporaryDirectory()


def openssl(*argv, **options):
    return subprocess.run(["openssl", *argv], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, **options).stdout


class Certificate:
    """A self-signed certificate with its key."""

    def __init__(self, name):
        self.path = os.path.join(WORK.name, name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path + ".key",
                "-out", self.path + ".pem", "-days", "30", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.path + ".pem", self.path + ".key")
        with open(self.path + ".pem") as f:
            self.pem = f.read()
        spki = openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", self.path + ".pem", "-pubkey", "-noout"))
        self.pin = hashlib.sha256(spki).hexdigest()


HOST, OTHER = Certificate("hop.example"), Certificate("other.example")


def connector(name="store", to=(), domains=("*",), **more):
    """`to`: backends or addresses, in the order in which they are to be tried."""
    hops = [{"to": getattr(hop, "address", hop), "priority": i + 1} for i, hop in enumerate(to)]
    return {"name": name, "domains": list(domains), "next_hops": hops, **more}


def hop(backend, **more):
    host, port = backend.address.split(":")
    return {"name": "mx1.example.org", "port": int(port), "priority": 10, "preference": 0, "weight": 1, "addresses": [host], "path": "",
            "tls": "none", "verify": "any", "names": [], "records": [], "mx": True, "sts": False, "sts_listed": False, **more}


class Case(unittest.TestCase):
    def begin(self, *connectors, backend=None, **options):
        self.worker = Worker(PROGRAM, backend, connectors=connectors, **options)
        self.addCleanup(self.worker.stop)

    def client(self):
        return Client(self.worker)

    def refused(self, code, enhanced, to="b@example.org", **more):
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        text = client.say(f"RCPT TO:<{to}>", code)
        self.assertIn(f"{code} {enhanced} ", text)
        return client


class Choosing(Case):
    def test_one_transaction_one_connector(self):
        one, two = Backend(), Backend()
        self.begin(connector("one", [one], ["one.example"]), connector("two", [two], ["two.example", "*.two.example"]))
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        self.assertIn("5.7.1", client.say("RCPT TO:<x@three.example>", 550))
        client.say("RCPT TO:<x@ONE.example>", 250)
        self.assertIn("4.5.3", client.say("RCPT TO:<y@two.example>", 452))
        client.say("RCPT TO:<z@one.example>", 250)
        client.say("DATA", 354)
        client.say("S: 1\r\n\r\nfirst\r\n.", 250)
        client.say("MAIL FROM:<a@example.com>", 250)
        client.say("RCPT TO:<y@mail.two.example>", 250)
        client.say("DATA", 354)
        client.say("S: 1\r\n\r\nsecond\r\n.", 250)
        self.assertEqual([len(one.messages), len(two.messages)], [1, 1])
        self.assertIn(b"first", one.messages[0])
        self.assertIn(b"second", two.messages[0])
        self.assertEqual([c for c in one.commands if c.startswith(b"RCPT")], [b"RCPT TO:<x@ONE.example>\r\n", b"RCPT TO:<z@one.example>\r\n"])

    def test_link_is_kept_for_the_same_way_only(self):
        one, two = Backend(), Backend()
        self.begin(connector("one", [one], ["one.example"]), connector("two", [two], ["two.example"]))
        until(lambda: one.quits == 1 and two.quits == 1)  # those are the probes
        client = self.client()
        for domain in ("one", "one", "two", "one"):
            client.say("MAIL FROM:<a@example.com>", 250)
            client.say(f"RCPT TO:<x@{domain}.example>", 250)
            client.say("DATA", 354)
            client.say(".", 250)
        self.assertEqual((one.connections, two.connections), (3, 2))
        self.worker.ledger("one", "", {"local": 3})  # one of them on a link that was there
        until(lambda: one.quits == 2 and two.quits == 2)

    def test_a_refused_recipient_does_not_bind(self):
        dead = socket.socket()
        dead.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        two = Backend()
        self.begin(connector("one", ["127.0.0.1:%d" % dead.getsockname()[1]], ["one.example"]), connector("two", [two], ["two.example"]))
        client = self.refused(451, "4.4.1", "x@one.example")
        client.say("RCPT TO:<x@two.example>", 250)
        client.say("DATA", 354)
        client.say(".", 250)
        self.assertEqual(len(two.messages), 1)

    def test_offers_what_all_of_them_offer(self):
        """RFC 5321 4.1.1.1: what is offered must hold for whoever the recipient will be."""
        one, two = Backend(), Backend(("PIPELINING", "SIZE 1000", "8BITMIME"))
        self.begin(connector("one", [one], ["one.example"]), connector("two", [two], ["two.example"]))
        until(lambda: one.quits == 1 and two.quits == 1)
        offers = self.client().say("EHLO x", 250)
        self.assertIn("8BITMIME", offers)
        self.assertIn("SIZE 1000", offers)
        self.assertNotIn("SMTPUTF8", offers)

    def test_offers_nothing_for_one_not_seen_yet(self):
        one, silent = Backend(), Backend(greeting="MUTE")
        self.begin(connector("one", [one], ["one.example"]), connector("two", [silent], ["two.example"]))
        until(lambda: one.quits == 1)
        self.assertNotIn("SMTPUTF8", self.client().say("EHLO x", 250))

    def test_limit_of_connections(self):
        one = Backend()
        self.begin(connector("one", [one], max_connections=1))
        until(lambda: one.quits == 1)
        holder = self.client()
        holder.say("MAIL FROM:<a@example.com>", 250)
        holder.say("RCPT TO:<b@example.org>", 250)
        self.refused(451, "4.3.2")
        holder.say("QUIT", 221)
        until(lambda: one.quits == 2)
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.say("RCPT TO:<b@example.org>", 250)

    def test_lmtp(self):
        """RFC 2033: LHLO; and one recipient, as there is one reply for each and the client hears one."""
        store = Backend()
        self.begin(connector("store", [store], protocol="lmtp"))
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.say("RCPT TO:<b@example.org>", 250)
        self.assertIn("4.5.3", client.say("RCPT TO:<c@example.org>", 452))
        client.say("DATA", 354)
        client.say("S: x\r\n\r\nx\r\n.", 250)
        self.assertEqual(len(store.messages), 1)
        self.assertTrue([c for c in store.commands if c.startswith(b"LHLO ")])
        self.assertFalse([c for c in store.commands if c.startswith((b"EHLO", b"HELO"))])


class Hops(Case):
    def setUp(self):
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        self.addCleanup(closed.close)
        self.dead = "127.0.0.1:%d" % closed.getsockname()[1]

    def test_the_next_one_is_tried(self):
        good = Backend()
        for bad in (self.dead, Backend(greeting="554 no"), Backend(greeting="CLOSE"), Backend(EHLO="502 no"), Backend(greeting="garbage")):
            self.begin(connector(to=[bad, good]))
            before = len(good.messages)
            self.assertEqual(self.client().deliver()[0], 250)
            self.assertEqual(len(good.messages), before + 1)

    def test_a_silent_one_costs_its_time_once(self):
        silent, good = Backend(greeting="MUTE"), Backend()
        self.begin(connector(to=[silent, good]), times={"reply_timeout": "1s"})
        for _ in range(4):
            self.assertEqual(self.client().deliver()[0], 250)
        self.assertEqual(len(good.messages), 4)
        self.assertLess(silent.connections, 4)  # backed off meanwhile: good comes first

    def test_by_priority(self):
        one, two = Backend(), Backend()
        self.begin(connector(to=[one, two]))
        for _ in range(3):
            self.assertEqual(self.client().deliver()[0], 250)
        self.assertEqual((len(one.messages), len(two.messages)), (3, 0))

    def test_drained(self):
        one, two = Backend(), Backend()
        self.begin(connector(to=[one, two]))
        until(lambda: one.quits == 1)
        first = self.client().open_message()
        self.worker.tell(do="hop", name=one.address, drained=True)
        self.worker.sessions()
        self.assertEqual(self.client().deliver()[0], 250)
        self.assertEqual((len(one.messages), len(two.messages)), (0, 1))
        first.raw(b".\r\n")
        first.expect(250)  # what was under way goes on
        self.worker.tell(do="hop", name=two.address, drained=True)
        self.worker.sessions()
        self.refused(451, "4.3.2")
        self.worker.tell(do="hop", name=one.address, drained=False)
        self.worker.sessions()
        self.assertEqual(self.client().deliver()[0], 250)
        self.assertEqual((len(one.messages), len(two.messages)), (2, 1))

    def test_none_left(self):
        self.begin(connector(to=[self.dead, Backend(greeting="CLOSE")]))
        if not any("backend" in message for message in self.worker.news):
            self.worker.hear("backend")  # the probe has failed with both: neither comes last
        self.refused(451, "4.4.1")
        self.worker.ledger("store", "", {"backend_connect": 1})

    def test_client_leaves_meanwhile(self):
        silent = Backend(greeting="MUTE")
        self.begin(connector(to=[silent]))
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.raw(b"RCPT TO:<b@example.org>\r\n")
        until(lambda: silent.connections >= 2)
        client.reset()
        until(lambda: not self.worker.sessions())
        self.assertEqual(self.worker.counter("BACKEND_OPEN"), 0)


class Tls(Case):
    def deliver(self, trust, **more):
        self.assertEqual(self.client().deliver()[0], 250)
        self.worker.ledger("store", "", {trust: 1})

    def test_opportunistic(self):
        """RFC 7435: encrypted if it can be, whoever the other side is."""
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store]))
        until(lambda: store.secure == 1)
        self.deliver("encrypted")
        self.assertEqual(store.secure, 2)
        self.assertEqual([c.split()[0] for c in store.commands if c != b"QUIT\r\n"][-5:], [b"STARTTLS", b"EHLO", b"MAIL", b"RCPT", b"DATA"])

    def test_without_a_proof_no_requiretls(self):
        """RFC 8689 4.2.1: the next hop's certificate must have been verified; being encrypted is not enough."""
        store = Backend(OFFERS + ("REQUIRETLS",), tls=HOST.context)
        self.begin(connector(to=[store]))
        until(lambda: store.quits == 1)
        client = self.client().secure()
        self.assertNotIn("REQUIRETLS", client.say("EHLO x", 250))
        client.say("MAIL FROM:<a@example.com> REQUIRETLS", 555)

    def test_opportunistic_where_there_is_none(self):
        for store in (Backend(), Backend(tls=HOST.context, STARTTLS="454 4.7.0 not now")):
            self.begin(connector(to=[store]))
            self.deliver("local")

    def test_opportunistic_where_it_is_broken(self):
        """A handshake that fails is tried without TLS: nothing better was asked for."""
        broken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate
        store = Backend(tls=broken)
        self.begin(connector(to=[store]))
        self.deliver("local")
        self.assertEqual(len(store.messages), 1)

    def test_none(self):
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store], tls="none"))
        self.deliver("local")
        self.assertEqual(store.secure, 0)

    def test_required_by_pin(self):
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store], tls="require", tls_pins=[OTHER.pin, HOST.pin]))
        self.deliver("required")

    def test_required_by_another_pin(self):
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store], tls="require", tls_pins=[OTHER.pin]))
        self.refused(451, "4.7.5")
        self.worker.ledger("store", "", {"hop_certificate_not_trusted": 1})
        self.assertFalse([c for c in store.commands if c.startswith((b"MAIL", b"RCPT"))])

    def test_required_by_ca_and_name(self):
        files = {"/ca.pem": HOST.pem}
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store], tls="require", tls_ca="/ca.pem", tls_name="hop.example"), files=files)
        self.deliver("required")
        self.begin(connector(to=[store], tls="require", tls_ca="/ca.pem", tls_name="mx.example"), files=files)
        self.refused(451, "4.7.325")
        self.begin(connector(to=[Backend(tls=OTHER.context)], tls="require", tls_ca="/ca.pem", tls_name="other.example"), files=files)
        self.refused(451, "4.7.5")

    def test_required_where_there_is_none(self):
        """Neither a server without it nor one that takes it back gets a command of the transaction."""
        for store in (Backend(), Backend(tls=HOST.context, STARTTLS="454 4.7.0 not now")):
            self.begin(connector(to=[store], tls="require", tls_pins=[HOST.pin]))
            self.refused(451, "4.7.321")
            self.assertFalse([c for c in store.commands if c.startswith((b"MAIL", b"RCPT"))])

    def test_words_behind_the_220(self):
        """CVE-2011-0411 the other way round: what came in clear is not heard inside TLS."""
        store = Backend(tls=HOST.context, STARTTLS="220 go on\r\n250 2.0.0 injected")
        self.begin(connector(to=[store], tls="require", tls_pins=[HOST.pin]))
        self.refused(451, "4.3.0")

    def test_a_hop_without_proof_is_passed_by(self):
        good, bad = Backend(tls=HOST.context), Backend(tls=OTHER.context)
        self.begin(connector(to=[bad, good], tls="require", tls_pins=[HOST.pin]))
        self.deliver("required")
        self.assertEqual((len(bad.messages), len(good.messages)), (0, 1))

    def test_the_gravest_reason_is_told(self):
        dead = socket.socket()
        dead.bind(("127.0.0.1", 0))
        bad = Backend(tls=OTHER.context)
        self.begin(connector(to=[bad, "127.0.0.1:%d" % dead.getsockname()[1]], tls="require", tls_pins=[HOST.pin]))
        self.refused(451, "4.7.5")

    def test_big_message(self):
        """Many records, with a hop that reads slowly; and answers that come while we write."""
        store = Backend(tls=HOST.context)
        self.begin(connector(to=[store]), limits="queue_bytes: 64K")
        body = b"".join(b"%07d %s\r\n" % (i, b"x" * 70) for i in range(60000))
        client = self.client().open_message()
        client.raw(body + b".\r\n")
        client.expect(250)
        self.assertEqual(hashlib.sha256(store.messages[0][-len(body):]).digest(), hashlib.sha256(body).digest())

    def test_cut_in_the_middle(self):
        store = Backend(tls=HOST.context, dot="CLOSE")
        self.begin(connector(to=[store]))
        self.assertEqual(self.client().deliver()[0], 451)

    def test_tls_1_2(self):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.load_cert_chain(HOST.path + ".pem", HOST.path + ".key")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        self.begin(connector(to=[Backend(tls=old)], tls="require", tls_pins=[HOST.pin]))
        self.deliver("required")


class Routes(Case):
    """Connectors by MX: the route comes from the router."""

    def begin_mx(self):
        self.begin(connector("out", ["mx"]), files={"/etc/ssl/certs/ca-certificates.crt": HOST.pem})

    def recipient(self, to="b@Example.org", **answer):
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.raw(b"RCPT TO:<%s>\r\n" % to.encode())
        question = self.worker.answer_route(**{"ttl_ms": 60000, "sts_mode": "none", "hops": [], **answer})
        self.assertEqual((question["connector"], question["domain"]), ("out", to.partition("@")[2].lower()))
        return client

    def test_dane(self):
        store = Backend(OFFERS + ("REQUIRETLS",), tls=HOST.context)
        self.begin_mx()
        good = hop(store, tls="must", verify="dane", names=["mx1.example.org"], records=["030101" + OTHER.pin, "030101" + HOST.pin])
        client = self.recipient(hops=[good])
        client.expect(250)
        client.say("DATA", 354)
        client.say(".", 250)
        self.worker.ledger("out", "example.org", {"dane": 1})
        # Known for its time: nobody is asked. What the hop offers holds with that proof.
        again = self.client().secure()
        self.assertIn("REQUIRETLS", again.say("EHLO x", 250))
        again.say("MAIL FROM:<a@example.com> REQUIRETLS", 250)
        again.say("RCPT TO:<b@example.org>", 250)
        self.assertIn(b"MAIL FROM:<a@example.com> REQUIRETLS\r\n", store.commands)
        again.say("DATA", 354)
        again.say(".", 250)
        self.assertEqual(store.secure, 2)

    def test_no_record_matches(self):
        store = Backend(tls=HOST.context)
        self.begin_mx()
        client = self.recipient(hops=[hop(store, tls="must", verify="dane", names=["mx1.example.org"], records=["030101" + OTHER.pin])])
        self.assertIn("4.7.323", client.expect(451))
        self.worker.ledger("out", "example.org", {"hop_tlsa_invalid": 1})
        self.assertFalse([c for c in store.commands if c.startswith((b"MAIL", b"RCPT"))])

    def test_mta_sts(self):
        store = Backend(tls=HOST.context)
        self.begin_mx()
        good = hop(store, name="hop.example", tls="must", verify="names", names=["hop.example"], sts=True, sts_listed=True)
        client = self.recipient(hops=[good], sts_mode="enforce")
        client.expect(250)
        self.worker.ledger("out", "example.org", {"mta-sts": 1})
        client = self.recipient("b@second.example", hops=[hop(Backend(), tls="must", verify="names", names=["hop.example"], sts=True,
                                                             sts_listed=True)], sts_mode="enforce")
        self.assertIn("4.7.5", client.expect(451))
        client = self.recipient("b@third.example", hops=[hop(Backend(tls=OTHER.context), tls="must", verify="names", names=["other.example"],
                                                            sts=True, sts_listed=True)], sts_mode="enforce")
        self.assertIn("4.7.5", client.expect(451))

    def test_refused_routes(self):
        self.begin_mx()
        for i, (word, code, enhanced) in enumerate((("HOP_DNSSEC", 451, "4.7.324"), ("HOP_DNS", 451, "4.4.3"), ("HOP_NULL_MX", 556, "5.1.10"),
                                                    ("HOP_NO_HOST", 550, "5.1.2"))):
            client = self.recipient(f"b@d{i}.example", refused=word, why="so it is")
            self.assertIn(enhanced, client.expect(code))

    def test_refused_hops(self):
        good = Backend()
        bad = hop(good, refused="HOP_DNSSEC", why="bogus", addresses=[])
        self.begin_mx()
        self.assertIn("4.7.324", self.recipient("b@d1.example", hops=[bad]).expect(451))
        self.recipient("b@d2.example", hops=[bad, hop(good, preference=20)]).expect(250)

    def test_a_host_that_is_ourselves(self):
        ourselves, good = Backend(greeting="220 MX1.example.org. ESMTP"), Backend()
        self.begin_mx()
        client = self.recipient("b@d1.example", hops=[hop(ourselves)])
        self.assertIn("4.4.6", client.expect(451))
        self.worker.ledger("out", "d1.example", {"hop_loop": 1})
        self.assertFalse(ourselves.commands)
        # The next one may be somebody else.
        self.recipient("b@d2.example", hops=[hop(ourselves), hop(good, preference=20)]).expect(250)
        # A hop that the operator named may greet as it likes.
        self.recipient("b@d3.example", hops=[hop(ourselves, mx=False)]).expect(250)

    def test_two_domains_of_one_connector(self):
        store = Backend()
        self.begin_mx()
        client = self.recipient("b@one.example", hops=[hop(store)])
        client.expect(250)
        self.assertIn("4.5.3", client.say("RCPT TO:<b@two.example>", 452))

    def test_next_transaction_to_another_domain(self):
        one, two = Backend(), Backend()
        self.begin_mx()
        client = self.recipient("b@one.example", hops=[hop(one)])
        client.expect(250)
        client.say("DATA", 354)
        client.say(".", 250)
        client.say("MAIL FROM:<a@example.com>", 250)
        client.raw(b"RCPT TO:<b@two.example>\r\n")
        self.assertEqual(self.worker.answer_route(ttl_ms=60000, sts_mode="none", hops=[hop(two)])["domain"], "two.example")
        client.expect(250)
        client.say("DATA", 354)
        client.say(".", 250)
        self.assertEqual((len(one.messages), len(two.messages)), (1, 1))

    def test_an_answer_that_makes_no_sense(self):
        self.begin_mx()
        client = self.recipient(hops=[{"name": 5}])
        self.assertIn("4.4.3", client.expect(451))

    def test_client_leaves_meanwhile(self):
        self.begin_mx()
        client = self.client()
        client.say("MAIL FROM:<a@example.com>", 250)
        client.raw(b"RCPT TO:<b@example.org>\r\n")
        question = self.worker.hear("route")
        client.reset()
        until(lambda: not self.worker.sessions())
        self.worker.tell(do="route", route=question["route"], ttl_ms=1000, why="", hops=[hop(Backend())])
        self.worker.sessions()


if __name__ == "__main__":
    unittest.main()

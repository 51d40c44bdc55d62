#!/usr/bin/env python3
"""usage: test_attacks_backend.py PROGRAM [unittest options]     ROWS=TEXT: only rows whose name has TEXT

What a hostile or broken backend may say, and what a client must make of it: one well-formed reply
with an enhanced code, and 250 only for the backend's own 250 to this dot. Its replies are cut
as the row's way cuts the client's octets. See attack.py for how to read a row."""

import re

from attack import CLEAR, END, HALF, Matrix, Row, Stage, World, main

HELLO = [b"EHLO client.example\r\n", 250]
MAIL = [b"MAIL FROM:<a@example.com>\r\n", 250]
ENVELOPE = [b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n", 250, 250]
BODY = [b"DATA\r\n", 354, b"Subject: x\r\n\r\none\r\n.\r\n"]
MESSAGE = b"Subject: x\r\n\r\none\r\n"
WAYS = ("clear whole", "clear octets", "clear cuts", "tls whole", "tls wire", "tls1.2 cuts")
CLOSE, RST, MUTE = Stage.CLOSE, Stage.RST, Stage.MUTE

# Not an SMTP reply, whatever was asked: RFC 5321 4.2, CVE-2020-8794.
GARBAGE = {
    "binary": b"\x16\x03\x01\0\x05hello\r\n", "no code": b"ok\r\n", "two digits": b"25 ok\r\n", "letters in the code": b"2x0 ok\r\n", "a code of 999": b"999 ok\r\n",
    "a code of 150": b"150 ok\r\n", "a code of 280": b"280 ok\r\n", "no blank behind the code": b"250ok\r\n", "an empty line": b"\r\n", "a bare LF": b"250 ok\n250 ok\r\n",
    "only bare LF": b"250 ok\n", "a bare CR": b"250 o\rk\r\n", "CR CR LF": b"250 ok\r\r\n", "a NUL": b"250 o\0k\r\n", "a line of 100 KB": b"250 " + b"x" * 100000 + b"\r\n",
    "a line without an end": b"250 " + b"x" * 100000, "ten thousand lines": b"250-x\r\n" * 10000 + b"250 x\r\n", "two codes in a reply": b"250-x\r\n550 x\r\n",
    "three codes in a reply": b"250-x\r\n251-x\r\n250 x\r\n", "HTTP": b"HTTP/1.1 200 OK\r\n\r\n", "a blank first": b" 250 ok\r\n", "a reply and half of another": b"250 ok\r\n250-x",
    "a reply and one nobody asked for": b"250 ok\r\n250 ok\r\n", "a refusal and a 250": b"550 no\r\n250 ok\r\n",
}


class Hostile(Matrix):
    def test_garbage(self):
        """Wherever it stands: 451 4.3.0, that link is dropped, the next transaction gets a new one."""
        rows = []
        for name, octets in GARBAGE.items():
            # A reply behind another may come too late to be seen where it stands: the next question finds it.
            later = octets.endswith(b"\r\n") and octets[:6] == b"250 ok" and octets[6:8] == b"\r\n" or name == "a reply and half of another"
            # A refusal stands, whatever comes behind it.
            refused = re.compile(r"^(451 4\.[34]|550 5\.0)\." if name == "a refusal and a 250" else r"^451 4\.[34]\.")
            if not later:
                for where in ("greeting", "EHLO", "RCPT"):
                    text = octets.replace(b"250", b"220") if where == "greeting" else octets
                    if where == "EHLO" and name in ("ten thousand lines",):
                        continue
                    rows.append(Row("%s to %s" % (name, where), "RFC 5321 4.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", refused, b"NOOP\r\n", 250], stored=[],
                                    backend={where: text}))
                rows.append(Row("%s to DATA" % name, "RFC 5321 4.2", HELLO + ENVELOPE + [b"DATA\r\n", refused, b"NOOP\r\n", 250], stored=[],
                                backend={"DATA": octets.replace(b"250", b"354")}))
                rows.append(Row("%s to the dot" % name, "RFC 5321 4.2.5", HELLO + ENVELOPE + BODY + [refused, b"NOOP\r\n", 250], backend={"dot": octets}))
            rows.append(Row("%s to RSET" % name, "RFC 5321 4.2", HELLO + ENVELOPE + [b"RSET\r\n", 250, b"NOOP\r\n", 250], stored=[], backend={"RSET": octets}))
        self.play(rows, ways=("clear whole", "clear cuts", "tls whole", "tls1.2 cuts"))
        # A line of 100 KB one octet at a time is another matter.
        self.play([r for r in rows if "100 KB" not in r.name and "without" not in r.name and "ten thousand" not in r.name], ways=("clear octets", "tls wire"))

    def test_new_link(self):
        """What was not understood is not asked again; the next message finds a good link."""
        again = [b"RSET\r\n", 250] + ENVELOPE + BODY + [250]
        self.play([
            Row("behind garbage to RCPT", "RFC 5321 4.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", 451] + again, stored=[MESSAGE], backend={"RCPT": [b"what\r\n"]}),
            Row("behind a close at the greeting", "RFC 5321 3.8", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", 451] + again, stored=[MESSAGE], backend={"greeting": [CLOSE]}),
            Row("behind 421", "RFC 5321 3.8", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", "451 4.3.2"] + again, stored=[MESSAGE], backend={"RCPT": [b"421 4.3.2 bye\r\n"]}),
            Row("behind garbage to the dot", "RFC 5321 4.2.5", HELLO + ENVELOPE + BODY + [451] + again, stored=[MESSAGE], backend={"dot": [b"what\r\n"]}),
            Row("behind a close before the dot's answer", "RFC 1047", HELLO + ENVELOPE + BODY + [451] + again, stored=[MESSAGE], backend={"dot": [CLOSE]}),
            Row("the second RCPT on the same link", "RFC 5321 3.3", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", "550 5.1.1", b"RCPT TO:<c@example.org>\r\n", 250] + BODY + [250],
                stored=[MESSAGE], backend={"RCPT": [b"550 5.1.1 no\r\n"]}),
        ], ways=WAYS)

    def test_early(self):
        """CVE-2021-38371: what stands behind an answer before the next question can't be that one's answer."""
        refused = re.compile(r"^451 4\.3\.")
        self.play([
            Row("answers with the greeting", "CVE-2021-38371", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", refused], stored=[],
                backend={"greeting": b"220 hi\r\n250 ok\r\n250 ok\r\n250 ok\r\n"}),
            Row("an answer with the EHLO reply", "CVE-2021-38371", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", refused], stored=[],
                backend={"EHLO": b"250-hi\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n"}),
            Row("354 before DATA", "RFC 5321 4.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", re.compile("^(250|451)"), b"DATA\r\n", re.compile(r"^(451|503)")], stored=[],
                backend={"RCPT": b"250 ok\r\n354 go on\r\n"}),
            Row("the verdict with the 354", "CVE-2021-38371", HELLO + ENVELOPE + BODY + [re.compile("^451 4")],
                backend={"DATA": b"354 go on\r\n250 queued\r\n", "dot": MUTE}),
        ], ways=("clear whole", "tls whole"))

    def test_yes_and_no(self):
        """The backend's own words reach the client, as one reply, with an enhanced code; the wrong class never does."""
        rows = []
        for said, heard in ((b"250 ok\r\n", "250 2.0.0"), (b"250 2.6.0 <id> queued\r\n", "250 2.6.0 <id> queued"), (b"250-2.6.0 a\r\n250 2.6.0 b\r\n", "250 2.6.0 a"),
                            (b"250\r\n", "250 2.0.0"), (b"250 \r\n", "250 2.0.0"), (b"250 5.0.0 odd\r\n", "250 2.0.0"),
                            (b"550 no\r\n", "550 5.0.0 no"), (b"550 5.7.1 no\r\n", "550 5.7.1 no"), (b"550 2.0.0 odd\r\n", "550 5.0.0"),
                            (b"451 4.7.1 later\r\n", "451 4.7.1 later"), (b"452 full\r\n", "452 4.0.0 full"), (b"554-5.7.1 a\r\n554-5.7.1 b\r\n554 5.7.1 c\r\n", "554 5.7.1 a"),
                            (b"550 5.7.1 \xc3\xbc\x1b[2J\t\r\n", re.compile(r"^550 5\.7\.1 [ -~]*$")), (b"550 " + b"x" * 480 + b"\r\n", re.compile(r"^550 5\.0\.0 x{100,480}$")),
                            (b"251 2.0.0 odd\r\n", re.compile("^451 4.3.0")), (b"354 go on\r\n", re.compile("^451 4.3.0")), (b"220 hi\r\n", re.compile("^451 4.3.0")),
                            (b"221 bye\r\n", re.compile("^451 4.3.0")), (b"252 hm\r\n", re.compile("^451 4.3.0")), (b"334 go\r\n", re.compile("^451 4.3.0")),
                            (b"200 ok\r\n", re.compile("^451 4.3.0")), (b"421 4.3.2 bye\r\n", "451 4.3.2"), (CLOSE, re.compile(r"^451 4\.4\.2")), (RST, re.compile(r"^451 4\.4\.2")),
                            (b"530 5.7.0 STARTTLS first\r\n", re.compile("^451 4.3.5")), (b"535 5.7.8 no\r\n", re.compile("^451 4.3.5"))):
            rows.append(Row("%r to the dot" % said[:40], "RFC 5321 4.2.5", HELLO + ENVELOPE + BODY + [heard], backend={"dot": said}))
        for said, heard in ((b"250 ok\r\n", "250 2.1.5"), (b"251 2.1.5 elsewhere\r\n", "251 2.1.5"), (b"252 2.1.5 perhaps\r\n", re.compile("^25[02] 2.1.5")), (b"550 5.1.1 no\r\n", "550 5.1.1 no"),
                            (b"450 4.2.0 busy\r\n", "450 4.2.0 busy"), (b"354 go on\r\n", re.compile("^451 4.3.0")), (b"220 hi\r\n", re.compile("^451 4.3.0")),
                            (b"421 bye\r\n", re.compile("^451 4.3.2")), (CLOSE, re.compile("^451 4.4.2")), (RST, re.compile("^451 4.4.2")), (b"530 5.7.0 login\r\n", re.compile("^451 4.3.5"))):
            rows.append(Row("%r to RCPT" % said[:40], "RFC 5321 4.2.5", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", heard], stored=[], backend={"RCPT": said}))
            if isinstance(said, bytes) and said[:1] in b"45" and said[:3] not in (b"421", b"530"):
                rows.append(Row("%r to MAIL" % said[:40], "RFC 5321 3.3", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", heard], stored=[],
                                backend={"MAIL": said, "RCPT": b"503 5.5.1 need MAIL\r\n"}))
        for said, heard in ((b"250 ok\r\n", re.compile("^451 4.3.0")), (b"452 4.3.1 full\r\n", "452 4.3.1 full"), (b"554 5.5.1 no\r\n", "554 5.5.1 no"), (b"421 bye\r\n", re.compile("^451 4.3.2")),
                            (CLOSE, re.compile("^451 4.4.2")), (RST, re.compile("^451 4.4.2"))):
            rows.append(Row("%r to DATA" % said[:40], "RFC 5321 4.2.5", HELLO + ENVELOPE + [b"DATA\r\n", heard], stored=[], backend={"DATA": said}))
        for where in ("greeting", "EHLO"):
            for said, heard in ((b"554 5.3.2 no\r\n", re.compile("^451 4.3.5")), (b"421 4.3.2 busy\r\n", re.compile("^451 4.3.2")), (CLOSE, re.compile(r"^451 4\.4\.")), (RST, re.compile(r"^451 4\.4\.")),
                                (b"354 go\r\n", re.compile("^451 4.3.0")), (b"450 later\r\n", re.compile("^451 4.3."))):
                rows.append(Row("%r to %s" % (said[:40], where), "RFC 5321 4.2.5", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", heard], stored=[], backend={where: said}))
        self.play(rows, ways=WAYS)

    def test_slow(self):
        """Mute at any point: 4.4.2 in time, never 250."""
        late = re.compile(r"^451 4\.4\.[12]")
        self.play([
            Row("mute at the greeting", "RFC 5321 4.5.3.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", late], stored=[], backend={"greeting": MUTE}),
            Row("mute at EHLO", "RFC 5321 4.5.3.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", late], stored=[], backend={"EHLO": MUTE}),
            Row("mute at MAIL", "RFC 5321 4.5.3.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", late], stored=[], backend={"MAIL": MUTE}),
            Row("mute at RCPT", "RFC 5321 4.5.3.2", HELLO + MAIL + [b"RCPT TO:<b@example.org>\r\n", late], stored=[], backend={"RCPT": MUTE}),
            Row("mute at DATA", "RFC 5321 4.5.3.2", HELLO + ENVELOPE + [b"DATA\r\n", late], stored=[], backend={"DATA": MUTE}),
            Row("mute at the dot", "RFC 5321 4.5.3.2.6", HELLO + ENVELOPE + BODY + [late], backend={"dot": MUTE}),
            Row("half a reply to the dot, then mute", "RFC 1047", HELLO + ENVELOPE + BODY + [late], backend={"dot": [b"250 quie"]}),
            Row("half a reply of many lines, then mute", "RFC 1047", HELLO + ENVELOPE + BODY + [late], backend={"dot": [b"250-ok\r\n"]}),
        ], ways=("clear whole", "clear octets", "tls whole", "tls1.2 cuts"), times={"reply_timeout": "3s", "data_timeout": "3s"})

    def test_dies_in_the_body(self):
        """The rest of the message is read to its end; then 451, once."""
        dropped = lambda play: play.open == 0
        body = [b"DATA\r\n", 354, b"Subject: x\r\n\r\n", dropped, b"y\r\n" * 200000 + b".\r\n", re.compile(r"^451 4\.4\.2"), b"NOOP\r\n", 250]
        self.play([Row("closes behind its 354", "RFC 1047", HELLO + ENVELOPE + body, stored=[], backend={"DATA": b"354 go on\r\n", "dies": True}),
                   Row("speaks in the body", "RFC 5321 4.2", HELLO + ENVELOPE + body[:-3] + [re.compile("^451 4"), b"NOOP\r\n", 250], stored=[],
                       backend={"DATA": b"354 go on\r\n", "speaks": b"250 queued\r\n"}),
                   Row("refuses in the body", "RFC 5321 4.2", HELLO + ENVELOPE + body[:-3] + [re.compile("^(451 4|552 5)"), b"NOOP\r\n", 250], stored=[],
                       backend={"DATA": b"354 go on\r\n", "speaks": b"552 too much\r\n"})],
                  ways=("clear whole", "tls whole", "tls1.2 whole"))


class Offers(Matrix):
    """RFC 5321 4.1.1.1: the backend offers other extensions than last time."""

    def test_fewer_than_last_time(self):
        def row(name, mail, offers, heard, seen=None, rcpt=b"RCPT TO:<b@example.org>\r\n"):
            return Row(name, "RFC 5321 4.1.1.1", HELLO + [mail, 250, rcpt, heard], stored=[], seen=seen, backend={"OFFERS": offers})
        rows = [
            row("8BITMIME is gone", b"MAIL FROM:<a@x.example> BODY=8BITMIME\r\n", ("SIZE", "DSN", "SMTPUTF8"), "451 4.6.3", []),
            row("SMTPUTF8 is gone", "MAIL FROM:<ü@x.example> SMTPUTF8\r\n".encode(), ("8BITMIME", "DSN"), "451 4.6.7", []),
            row("DSN is gone", b"MAIL FROM:<a@x.example> RET=HDRS ENVID=x\r\n", ("8BITMIME",), 250, [rb"MAIL FROM:<a@x\.example>", rb"RCPT TO:<b@example\.org>"],
                b"RCPT TO:<b@example.org> NOTIFY=NEVER\r\n"),
            row("SIZE is gone", b"MAIL FROM:<a@x.example> SIZE=100\r\n", ("8BITMIME",), 250, [rb"MAIL FROM:<a@x\.example>", rb"RCPT TO:<b@example\.org>"]),
            row("all is gone", b"MAIL FROM:<a@x.example> BODY=7BIT SIZE=9\r\n", (), 250, [rb"MAIL FROM:<a@x\.example>", rb"RCPT TO:<b@example\.org>"]),
        ]
        for r in rows:  # each has a world of its own: what one backend offers is remembered for all
            world = World(self.program)
            self.addCleanup(world.worker.stop)
            for how in ("clear whole", "tls whole"):
                world.run(Row("as before", "", HELLO + ENVELOPE), how)
                self.assertIsNone(world.run(r, how))

    def test_what_is_said_is_true(self):
        """EHLO is cut to what the backend offers."""
        for offers, there in ((("8BITMIME", "SMTPUTF8", "DSN", "SIZE 1000000"), ("8BITMIME", "SMTPUTF8", "DSN")), (("8BITMIME",), ("8BITMIME",)), ((), ())):
            world = self.world(offers=offers)
            words = [re.compile(r"(?ms)^(?=.*^250[- ]%s)" % w) if w in there else re.compile(r"(?s)^(?!.*%s)" % w) for w in ("8BITMIME", "SMTPUTF8", "DSN")]
            script = sum(([b"EHLO x.example\r\n", w] for w in words + [re.compile(r"(?s)^(?!.*(AUTH|VRFY|ETRN|XCLIENT|XFORWARD))")]), [])
            self.play([Row("EHLO", "RFC 5321 4.1.1.1", script)], world=world, ways=("clear whole", "tls whole", "tls records"))

    def test_size(self):
        """The smaller limit is announced, and held before the backend is asked."""
        world = self.world(offers=("SIZE 20000",))
        size = re.compile(r"(?m)^250[- ]SIZE 1[0-9]{4}$")
        self.play([Row("too big", "RFC 1870 6", [b"EHLO x.example\r\n", size, b"MAIL FROM:<a@x.example> SIZE=30000\r\n", "552 5.3.4"], stored=[], seen=[])], world=world,
                  ways=("clear whole", "tls whole"))


class NoQueue(Matrix):
    def test_never_twice(self):
        """A link that breaks behind the dot is not asked again by us: the sender decides. RFC 1047."""
        self.play([Row("closes instead of an answer", "RFC 1047", HELLO + ENVELOPE + BODY + [451], backend={"dot": CLOSE}, seen=[rb"MAIL FROM:.*", rb"RCPT TO:.*", rb"DATA"]),
                   Row("client gone behind the dot", "RFC 5321 4.1.1.10", HELLO + ENVELOPE + BODY + [HALF, 250, END], stored=[MESSAGE]),
                   Row("six messages, one bad", "RFC 1047", HELLO + (ENVELOPE + BODY + [250]) * 2 + ENVELOPE + BODY + [451] + (ENVELOPE + BODY + [250]) * 3, stored=[MESSAGE] * 5,
                       backend={"dot": [b"250 ok\r\n", b"250 ok\r\n", b"451 4.3.0 no\r\n"]})], ways=CLEAR + ("tls whole", "tls cuts"))


if __name__ == "__main__":
    main()

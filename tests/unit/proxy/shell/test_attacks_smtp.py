#!/usr/bin/env python3
"""usage: test_attacks_smtp.py PROGRAM [unittest options]     ROWS=TEXT: only rows whose name has TEXT

What a client may say to fool the engine. See attack.py for how to read a row."""

import random
import re

from attack import ALERT, CLEAR, DAMAGE, EARLY, END, HALF, NOTIFY, RESET, TLS, Matrix, Row, main, until

HELLO = [b"EHLO client.example\r\n", 250]
ENVELOPE = [b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n", 250, 250]
DATA = HELLO + ENVELOPE + [b"DATA\r\n", 354]
# What a smuggler hopes is taken for a second message; its last line ends the first.
EVIL = b"MAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\nFrom: evil\r\n\r\nevil\r\n"
SMUGGLING = "CVE-2023-51764, -51765, -51766, CVE-2024-27305, VU#302671"

# An end-of-data that is none: its octets, and what `normalize` makes of them.
FORMS = {
    "LF . LF": (b"\n.\n", b"\r\n.\r\n"),
    "LF . CRLF": (b"\n.\r\n", b"\r\n.\r\n"),
    "CRLF . LF": (b"\r\n.\n", b"\r\n.\r\n"),
    "LF . CR": (b"\n.\r", b"\r\n.\r\n"),
    "CR . CR": (b"\r.\r", b"\r\n.\r\n"),
    "CR . LF": (b"\r.\n", b"\r\n.\r\n"),
    "CR . CRLF": (b"\r.\r\n", b"\r\n.\r\n"),
    "CRLF . CR": (b"\r\n.\r", b"\r\n.\r\n"),
    "CRLF . CR CR LF": (b"\r\n.\r\r\n", b"\r\n.\r\n\r\n"),
    "CR CR LF . CR CR LF": (b"\r\r\n.\r\r\n", b"\r\n\r\n.\r\n\r\n"),
    "CR CR LF . CRLF": (b"\r\r\n.\r\n", None),  # an honest end behind a stray CR
    "LF LF . LF LF": (b"\n\n.\n\n", b"\r\n\r\n.\r\n\r\n"),
    "LF CR . LF CR": (b"\n\r.\n\r", b"\r\n\r\n.\r\n\r\n"),
    "CR LF LF . LF": (b"\r\n\n.\n", b"\r\n\r\n.\r\n"),
    "LF . . LF": (b"\n..\n", b"\r\n..\r\n"),
    "CR . . CRLF": (b"\r..\r\n", b"\r\n..\r\n"),
}
# With NUL it is refused in both modes.
NULS = {"NUL CRLF . CRLF": b"\0\r\n.\0\r\n", "CRLF NUL . CRLF": b"\r\n\0.\r\n", "CRLF . NUL CRLF": b"\r\n.\0\r\n",
        "CR NUL LF . CRLF": b"\r\0\n.\r\n", "CRLF . CR NUL LF": b"\r\n.\r\0\n", "LF . NUL LF": b"\n.\0\n"}


class Smuggling(Matrix):
    def refused(self, name, body, word="554 5.6.0"):
        return Row(name, SMUGGLING, DATA + [body, word], stored=[])

    def test_reject(self):
        rows = []
        for name, (form, normal) in FORMS.items():
            if normal is None:
                rows.append(Row("honest end behind a stray CR", SMUGGLING, DATA + [b"one\r\r\n.\r\n", "554 5.6.0"], stored=[]))
                continue
            rows.append(self.refused(name, b"S: x\r\n\r\none" + form + EVIL + b".\r\n"))
            if re.search(rb"(?<!\r)\n|\r(?!\n)", form.lstrip(b"\r\n")):  # else it is honest there
                rows.append(self.refused("at body start, " + name, form.lstrip(b"\r\n") + EVIL + b".\r\n"))
            rows.append(self.refused("line end first, " + name, form + EVIL + b".\r\n"))
        rows += [self.refused(name, b"one" + form + EVIL + b".\r\n") for name, form in NULS.items()]
        rows += [
            self.refused("NUL alone", b"\0\r\n.\r\n"),
            self.refused("bare LF in the last line", b"one\r\ntwo\n\r\n.\r\n"),
            self.refused("bare CR in the first line", b"o\rne\r\n.\r\n"),
            self.refused("bare LF in the header", b"A: 1\nB: 2\r\n\r\nx\r\n.\r\n"),
            Row("the refused message ends where it ends", SMUGGLING,
                DATA + [b"a\nb\r\n.\r\n", "554 5.6.0"] + ENVELOPE + [b"DATA\r\n", 354, b"good\r\n.\r\n", "250 2.0.0"], stored=[b"good\r\n"]),
            Row("a refused message and its successor in one go", SMUGGLING,
                DATA + [b"a\nb\r\n.\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n", "554 5.6.0", 250, 250,
                        b"DATA\r\n", 354, b"good\r\n.\r\n", 250], stored=[b"good\r\n"]),
        ]
        self.play(rows)

    def test_normalize(self):
        rows = []
        for name, (form, normal) in FORMS.items():
            if normal is None:
                rows.append(Row("honest end behind a stray CR", SMUGGLING, DATA + [b"one\r\r\n.\r\n", 250], stored=[b"one\r\n\r\n"]))
                continue
            rows.append(Row(name, SMUGGLING, DATA + [b"one" + form + EVIL + b".\r\n", "250 2.0.0"], stored=[b"one" + normal + EVIL]))
            rows.append(Row("line end first, " + name, SMUGGLING, DATA + [form + EVIL + b".\r\n", 250], stored=[normal + EVIL]))
        rows += [self.refused(name, b"one" + form + EVIL + b".\r\n") for name, form in NULS.items()]
        rows += [
            Row("every line end is bare LF", SMUGGLING, DATA + [b"A: 1\nB: 2\n\ntext\n.\nmore\n.\n\r\n.\r\n", 250],
                stored=[b"A: 1\r\nB: 2\r\n\r\ntext\r\n.\r\nmore\r\n.\r\n\r\n"]),
            Row("every line end is bare CR", SMUGGLING, DATA + [b"A: 1\rB: 2\r\rx\r.\ry\r\n.\r\n", 250],
                stored=[b"A: 1\r\nB: 2\r\n\r\nx\r\n.\r\ny\r\n"]),
            Row("a bare LF before a dotted line", SMUGGLING, DATA + [b"a\n.b\r\n..c\r\n.\r\n", 250], stored=[b"a\r\n.b\r\n.c\r\n"]),
        ]
        self.play(rows, smtp="bare_newline: normalize")

    def test_at_the_borders_of_buffers(self):
        """The form lies across a border of what is read at once, wherever that begins."""
        refuse, repair, honest = [], [], []
        for border in (512, 1024, 4096, 8192, 16384, 32768, 65536):
            for back in range(5):
                pad = (b"x" * 61 + b"\r\n") * (border // 63 + 1)
                pad = b"y" * ((border - back) - (border - back) // 63 * 63) + pad[:(border - back) // 63 * 63]
                pad = pad if len(pad) == border - back else pad[:border - back]
                for form in (b"\n.\r\n", b"\r\n.\n", b"\r.\r"):
                    name = "%r, %d before %d" % (form, back, border)
                    refuse.append(self.refused(name, pad + form + EVIL + b".\r\n"))
                    if border <= 16384:
                        repair.append(Row(name, SMUGGLING, DATA + [pad + form + EVIL + b".\r\n", 250],
                                          stored=[pad.removesuffix(b"\r") + self.line_end(pad, form) + b".\r\n" + EVIL]))
                honest.append(Row("the end, %d before %d" % (back, border), "RFC 5321 4.5.2",
                                  DATA + [pad + b"z\r\n..\r\n...\r\n.\r\n", 250], stored=[pad + b"z\r\n.\r\n..\r\n"]))
        some = ("clear whole", "tls whole", "tls cuts")
        self.play(refuse, ways=some)
        self.play(honest, ways=("clear whole", "clear cuts", "tls whole"))
        self.play(repair, ways=("clear whole", "tls1.2 cuts"), smtp="bare_newline: normalize")

    @staticmethod
    def line_end(pad, form):
        """What stands before the dot once it is repaired. A pad that ends in CR makes CRLF of a LF."""
        first = form[:form.index(b".")]
        if pad.endswith(b"\r"):
            return {b"\n": b"\r\n", b"\r\n": b"\r\n\r\n", b"\r": b"\r\n\r\n"}[first]
        return b"\r\n"


def bdat(octets, last=True):
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets


class Bdat(Matrix):
    ENV = HELLO + ENVELOPE

    def test_chunks(self):
        env, raw = self.ENV, b"QUIT\r\n.\r\n" + EVIL
        nothing = dict(stored=[])
        rows = [
            Row("commands in a chunk", "RFC 3030 2", env + [bdat(raw), 250], stored=[raw]),
            Row("commands in a refused chunk before EHLO", "RFC 3030 2", [bdat(raw), "503 5.5.1"], **nothing),
            Row("commands in a refused chunk before MAIL", "RFC 3030 2", HELLO + [bdat(raw), "503 5.5.1", b"NOOP\r\n", 250], **nothing),
            Row("commands in a refused chunk, not the last", "RFC 3030 2", HELLO + [bdat(raw, False), "503 5.5.1", b"NOOP\r\n", 250], **nothing),
            Row("commands in a refused chunk before RCPT", "RFC 3030 2",
                HELLO + [b"MAIL FROM:<a@x.example>\r\n", 250, bdat(raw), "503 5.5.1", b"NOOP\r\n", 250], **nothing),
            Row("commands in a refused chunk behind a refused RCPT", "RFC 3030 2",
                HELLO + [b"MAIL FROM:<a@x.example>\r\nRCPT TO:<no@x.example>\r\n", 250, "550 5.1.1", bdat(raw), "503 5.5.1"],
                backend={"RCPT": b"550 5.1.1 no\r\n"}, **nothing),
            Row("a refused chunk and its successor in one go", "RFC 3030 2",
                env + [bdat(b"a\nb\r\n", False) + bdat(raw, False) + bdat(raw), "554 5.6.0", re.compile("^5"), re.compile("^5"), b"NOOP\r\n", 250], **nothing),
            Row("a chunk refused by the backend is read to its end", "RFC 3030 2", env + [bdat(raw), "452 4.3.1", b"NOOP\r\n", 250],
                backend={"DATA": b"452 4.3.1 full\r\n"}, **nothing),
            Row("the link breaks, and the chunk is read to its end", "RFC 3030 2", env + [bdat(raw), 451, b"NOOP\r\n", 250],
                backend={"DATA": "CLOSE"}, **nothing),
            Row("bare LF in a chunk", SMUGGLING, env + [bdat(b"a\n.\n" + EVIL), "554 5.6.0"], **nothing),
            Row("bare CR in a chunk", SMUGGLING, env + [bdat(b"a\r.\r" + EVIL), "554 5.6.0"], **nothing),
            Row("NUL in a chunk", SMUGGLING, env + [bdat(b"a\0b\r\n"), "554 5.6.0"], **nothing),
            Row("CR as the last octet", SMUGGLING, env + [bdat(b"a\r"), "554 5.6.0"], **nothing),
            Row("LF as the only octet", SMUGGLING, env + [bdat(b"\n"), "554 5.6.0"], **nothing),
            Row("CR and LF in two chunks", "RFC 3030 2", env + [bdat(b"a\r", False), 250, bdat(b"\n.\r\nb\r\n"), 250], stored=[b"a\r\n.\r\nb\r\n"]),
            Row("CR ends a chunk and no LF begins the next", SMUGGLING, env + [bdat(b"a\r", False), 250, bdat(b"b\r\n"), "554 5.6.0"], **nothing),
            Row("dots at the start of lines, cut between chunks", "RFC 5321 4.5.2",
                env + [bdat(b".\r\n", False), 250, bdat(b".", False), 250, bdat(b".a\r\n.\r", False), 250, bdat(b"\n.\r\n"), 250],
                stored=[b".\r\n..a\r\n.\r\n.\r\n"]),
            Row("no line end at the end", "RFC 3030 2", env + [bdat(b"a"), 250], stored=[b"a\r\n"]),
            Row("a lone dot at the end", "RFC 3030 2", env + [bdat(b"a\r\n."), 250], stored=[b"a\r\n.\r\n"]),
            Row("an empty message", "RFC 3030 2", env + [b"BDAT 0 LAST\r\n", 250], stored=[b""]),
            Row("an empty chunk first", "RFC 3030 2", env + [b"BDAT 0\r\n", 250, bdat(b"a\r\n"), 250], stored=[b"a\r\n"]),
            Row("an empty chunk last", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"BDAT 0 LAST\r\n", 250], stored=[b"a\r\n"]),
            Row("zeros before the number", "RFC 3030 2", env + [b"BDAT 0000000000000000000000003 LAST\r\na\r\n", (re.compile("^(250|501)"))]),
            Row("last in small letters", "RFC 5321 2.4", env + [b"bdat 3 last\r\na\r\n", 250], stored=[b"a\r\n"]),
            Row("all in one go", "RFC 2920", env + [bdat(b"a\r\n", False) + bdat(b"b\r\n", False) + bdat(b"c\r\n") + b"NOOP\r\nRSET\r\n",
                                                   250, 250, 250, 250, 250], stored=[b"a\r\nb\r\nc\r\n"]),
            Row("two messages in one go", "RFC 2920", env + [bdat(b"a\r\n") + b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n" + bdat(b"b\r\n"),
                                                            250, 250, 250, 250], stored=[b"a\r\n", b"b\r\n"]),
            Row("DATA behind a chunk", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"DATA\r\n", "503 5.5.1", bdat(b"b\r\n"), 250], stored=[b"a\r\nb\r\n"]),
            Row("MAIL and RCPT behind a chunk", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"MAIL FROM:<c@x.example>\r\nRCPT TO:<d@x.example>\r\n",
                                                                    503, 503, bdat(b"b\r\n"), 250], stored=[b"a\r\nb\r\n"]),
            Row("STARTTLS behind a chunk", "RFC 3207 4", env + [bdat(b"a\r\n", False), 250, b"STARTTLS\r\n", 503], **nothing),
            Row("RSET behind a chunk", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"RSET\r\n", 250] + ENVELOPE + [bdat(b"b\r\n"), 250], stored=[b"b\r\n"]),
            Row("EHLO behind a chunk", "RFC 5321 4.1.4", env + [bdat(b"a\r\n", False), 250, b"EHLO again.example\r\n", 250, bdat(b"b\r\n"), 503], **nothing),
            Row("QUIT behind a chunk", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"QUIT\r\n", 221, END], **nothing),
            Row("NOOP behind a chunk", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, b"NOOP\r\n", 250, bdat(b"b\r\n"), 250], stored=[b"a\r\nb\r\n"]),
            Row("BDAT is content in DATA", "RFC 3030 2", DATA + [b"BDAT 9999\r\n.\r\n", 250], stored=[b"BDAT 9999\r\n"]),
            Row("BDAT behind HELO", "RFC 3030", [b"HELO c.example\r\n", 250] + ENVELOPE + [bdat(raw), 503, b"NOOP\r\n", 250], **nothing),
            Row("BINARYMIME is not offered", "RFC 3030 3", HELLO + [b"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\n", re.compile("^5")], **nothing),
            Row("a large chunk", "RFC 3030 2", env + [bdat(b"0123456789.\r\n.5\r\n" * 9000), 250], stored=[b"0123456789.\r\n.5\r\n" * 9000]),
            Row("FIN in a chunk", "RFC 3030 2", env + [b"BDAT 100 LAST\r\nabc", HALF, END], ways=CLEAR, **nothing),
            Row("FIN in TLS in a chunk", "RFC 3030 2", env + [b"BDAT 100 LAST\r\nabc", HALF, END], ways=TLS, **nothing),
            Row("FIN between chunks", "RFC 3030 2", env + [bdat(b"a\r\n", False), 250, HALF, END], **nothing),
            Row("FIN behind the last chunk", "RFC 3030 2", env + [bdat(b"a\r\n"), HALF, 250, END], stored=[b"a\r\n"]),
            Row("half a BDAT", "RFC 3030 2", env + [b"BDAT 3 LA", HALF, END], **nothing),
        ]
        self.play(rows)

    def test_normalize(self):
        env = self.ENV
        self.play([
            Row("bare LF in a chunk", SMUGGLING, env + [bdat(b"a\n.\n" + EVIL), 250], stored=[b"a\r\n.\r\n" + EVIL]),
            Row("bare CR in a chunk", SMUGGLING, env + [bdat(b"a\r.\r" + EVIL), 250], stored=[b"a\r\n.\r\n" + EVIL]),
            Row("CR as the last octet", SMUGGLING, env + [bdat(b"a\r"), 250], stored=[b"a\r\n"]),
            Row("CR ends a chunk and no LF begins the next", SMUGGLING, env + [bdat(b"a\r", False), 250, bdat(b".\r\n"), 250], stored=[b"a\r\n.\r\n"]),
            Row("NUL in a chunk", SMUGGLING, env + [bdat(b"a\0b\r\n"), "554 5.6.0"], stored=[]),
        ], smtp="bare_newline: normalize")

    def test_numbers(self):
        """What follows a number that is not understood is content of unknown length: nothing of it may be read."""
        bad = ("", " ", " -1", " +5", "  5", " 5 ", " 5x", " 0x5", " 5.0", " 5,0", " 5e3", " \t5", " 5\tLAST", " 5 LAS", " 5 LASTX", " 5 LAST LAST",
               " 5 5", " LAST", " LAST 5", " -0", " 18446744073709551616", " 18446744073709551615", " 9223372036854775808", " 99999999999999999999999999",
               " 4294967296000", " 1_000", " ٣", " 5 LAST\v", " 5\0", " 5\r", " 5\nNOOP", "\n", "\0", " 5" + " " * 600, " " + "0" * 2040 + "5", " 52428801", " 4294967301")
        rows = [Row("BDAT%s" % number, "CVE-2017-16943, -16944, CVE-2020-28019",
                    self.ENV + [b"BDAT%s\r\n" % number.encode() + EVIL, re.compile("^5(01 5.5.[24]|52 5.3.4)"), END], stored=[]) for number in bad]
        rows += [Row("before MAIL, BDAT%s" % number, "CVE-2017-16943", HELLO + [b"BDAT%s\r\n" % number.encode() + EVIL, re.compile("^5"), END], stored=[])
                 for number in (" -1", " x", " 18446744073709551616", " 99999999999")]
        self.play(rows)

    def test_sizes(self):
        env = self.ENV
        self.play([
            Row("one chunk too big", "RFC 1870 6", env + [bdat(b"x" * 1021 + b"\r\n" + b"y" * 1026), 552, END], stored=[]),
            Row("the sum is too big", "RFC 1870 6", env + [bdat(b"x" * 1022 + b"\r\n", False), 250, bdat(b"x" * 1023 + b"\r\n"), re.compile("^552 5.3.4"),
                                                          b"NOOP\r\n", 250], stored=[]),
            Row("just fits", "RFC 1870 6", env + [bdat(b"x" * 1022 + b"\r\n", False), 250, bdat(b"x" * 1000 + b"\r\n"), 250],
                stored=[b"x" * 1022 + b"\r\n" + b"x" * 1000 + b"\r\n"]),
            Row("DATA too big", "RFC 1870 6", DATA + [b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n" + b"z" * 998 + b"\r\n.\r\n", "552 5.3.4", b"NOOP\r\n", 250],
                stored=[]),
            Row("SIZE= too big", "RFC 1870 6", HELLO + [b"MAIL FROM:<a@x.example> SIZE=999999\r\n", "552 5.3.4"], stored=[]),
        ], smtp="max_message_size: 2K")


class Injection(Matrix):
    """CVE-2020-28021, -28026, CVE-2026-28753, CVE-2020-7247: 501, and nothing reaches the backend."""

    def test_commands(self):
        mail = ("MAIL FROM:<a@x.example>\rRCPT TO:<evil@x.example>", "MAIL FROM:<a@x.example>\nRCPT TO:<evil@x.example>", "MAIL FROM:<a\0@x.example>",
                "MAIL\tFROM:<a@x.example>", "MAIL FROM:<a@x.example>\tSIZE=1", "MAIL FROM:<a\x7f@x.example>", "MAIL FROM:<\"a\x1b\"@x.example>", "MAIL FROM:<\"a\\\rb\"@x.example>",
                "MAIL FROM:<\"a\\\nb\"@x.example>", "MAIL FROM:<\"a\rb\"@x.example>", "MAIL FROM:<a@x.example> ENVID=x+0D+0ARCPT",
                "MAIL FROM:<a@x.example> ENVID=x+00", "MAIL FROM:<a@x.example> ENVID=x+4", "MAIL FROM:<a@x.example> ENVID=+", "MAIL FROM:<a@x.example> ENVID=",
                "MAIL FROM:<a@x.example> ENVID=" + "x" * 101, "MAIL FROM:<a@x.example> RET=EVIL", "MAIL FROM:<a@x.example> BODY=EVIL", "MAIL FROM:<a@x.example> SIZE=",
                "MAIL FROM:<a@x.example> SIZE=-1", "MAIL FROM:<a@x.example> SIZE=1x", "MAIL FROM:<a@x.example> SIZE=99999999999999999999999",
                "MAIL FROM:<a@x.example> SIZE=1 SIZE=2", "MAIL FROM:<a@x.example> EVIL=1", "MAIL FROM:<a@x.example> AUTH=<>", "MAIL FROM:<a@x.example> XCLIENT=1",
                "MAIL FROM:<a@x.example> NOTIFY=NEVER", "MAIL FROM:<a@x.example>EVIL", "MAIL FROM:<a@x.example", "MAIL FROM:a@x.example>", "MAIL FROM:<a@x.example>>",
                "MAIL FROM:<<a@x.example>>", "MAIL FROM:<a b@x.example>", "MAIL FROM:<a@x example>", "MAIL FROM:<@x.example>", "MAIL FROM:<a@>", "MAIL FROM:<a@@x.example>",
                "MAIL FROM:<a@-x.example>", "MAIL FROM:<a@x..example>", "MAIL FROM:<.a@x.example>", "MAIL FROM:<a@[1.2.3]>", "MAIL FROM:<a@[IPv6:zz]>",
                "MAIL FROM:<a@[evil>", "MAIL FROM:<\"a@x.example>", "MAIL FROM:<" + "a" * 300 + "@x.example>", "MAIL FROM:<a@" + "x." * 130 + "example>",
                "MAIL FROM", "MAIL", "MAIL FROM:", "MAIL TO:<a@x.example>", "MAIL FROM:<a@x.example>;RCPT TO:<evil@x.example>", "MAIL FROM:<|evil@x.example> SIZE",
                "MAIL FROM:<a@x.example>(evil)", "MAIL FROM:<a@x.example> SMTPUTF8=1", "MAIL FROM:<a@x.example> REQUIRETLS", "MAIL FROM:<ü@x.example>")
        rcpt = ("RCPT TO:<b@x.example>\rDATA", "RCPT TO:<b@x.example>\nDATA", "RCPT TO:<b\0@x.example>", "RCPT TO:<>", "RCPT TO:<b@x.example", "RCPT TO:b@x.example x",
                "RCPT TO:<\"b\\\x01\"@x.example>", "RCPT TO:<b@x.example> NOTIFY=", "RCPT TO:<b@x.example> NOTIFY=EVIL", "RCPT TO:<b@x.example> NOTIFY=NEVER,DELAY",
                "RCPT TO:<b@x.example> NOTIFY=DELAY NOTIFY=DELAY", "RCPT TO:<b@x.example> ORCPT=rfc822;b+0D+0Aevil", "RCPT TO:<b@x.example> ORCPT=rfc822;b+0a",
                "RCPT TO:<b@x.example> ORCPT=b@x.example", "RCPT TO:<b@x.example> ORCPT=rfc822;", "RCPT TO:<b@x.example> ORCPT=;b", "RCPT TO:<b@x.example> SIZE=1",
                "RCPT TO:<b@x.example> BODY=7BIT", "RCPT TO:<b@x.example> EVIL", "RCPT TO:<b>", "RCPT FROM:<b@x.example>", "RCPT TO:<b@[300.1.2.3]>",
                "RCPT TO:<b@x.example> ORCPT=rfc822;" + "b" * 501, "RCPT TO:<" + "b" * 300 + "@x.example>", "RCPT TO:<ü@x.example>")
        hello = ("EHLO", "EHLO ", "EHLO a b", "EHLO a\rb", "EHLO a\nb", "EHLO a\0b", "EHLO a\x1bb", "EHLO <evil>", "EHLO a;b", "EHLO a\"b", "EHLO $(evil)", "HELO", "HELO a\tb",
                 "EHLO " + "x" * 300, "EHLO ü.example")
        rows = [Row(repr(line[:60]), "RFC 5321 4.1.2", HELLO + [line.encode() + b"\r\n", re.compile("^5[05][0-9] 5\\.[156]\\."), b"NOOP\r\n", 250], stored=[], seen=[])
                for line in mail]
        rows += [Row(repr(line[:60]), "RFC 5321 4.1.2", HELLO + [b"MAIL FROM:<a@x.example>\r\n", 250, line.encode() + b"\r\n", re.compile("^5[05][0-9] 5\\.[156]\\."),
                                                               b"NOOP\r\n", 250], stored=[], seen=[]) for line in rcpt]
        rows += [Row(repr(line[:60]), "RFC 5321 4.1.1.1", [line.encode() + b"\r\n", re.compile("^50[01] 5\\.5\\."), b"MAIL FROM:<a@x.example>\r\n", 503], stored=[], seen=[])
                 for line in hello]
        self.play(rows, ways=("clear whole", "clear octets", "clear cuts", "tls whole", "tls records", "tls1.2 cuts"))

    def test_what_is_passed_on(self):
        """It is made anew from the values: one way of writing for each."""
        def passed(name, lines, seen):
            return Row(name, "RFC 5321 4.1.1", HELLO + [l.encode() + b"\r\n" for l in lines[:1]] + [250, lines[1].encode() + b"\r\n", 250], seen=seen, stored=[])
        plain = ["MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>"]
        seen = [rb"MAIL FROM:<a@x\.example>", rb"RCPT TO:<b@x\.example>"]
        self.play([
            passed("plain", plain, seen),
            passed("small letters, blanks", ["mail  from: <a@x.example>   ", "rcpt\tto:<b@x.example> ".replace("\t", " ")], seen),
            passed("the null sender", ["MAIL FROM:<>", plain[1]], [rb"MAIL FROM:<>", seen[1]]),
            passed("a source route", ["MAIL FROM:<@evil.test,@c.example:a@x.example>".replace("evil.test", "d.example"), plain[1]], seen),
            passed("postmaster", [plain[0], "RCPT TO:<PostMaster>"], [seen[0], rb"(?i)RCPT TO:<postmaster>"]),
            passed("quotes that need none", ["MAIL FROM:<\"a\"@x.example>", plain[1]], [rb'MAIL FROM:<"?a"?@x\.example>', seen[1]]),
            passed("quotes that are needed", ["MAIL FROM:<\"a b\\\"c\\\\d\"@x.example>", plain[1]], [rb'MAIL FROM:<"a b\\"c\\\\d"@x\.example>', seen[1]]),
            passed("a command as local part", ["MAIL FROM:<\"x> SIZE=1\"@x.example>", plain[1]], [rb'MAIL FROM:<"x> SIZE=1"@x\.example>', seen[1]]),
            passed("literals", ["MAIL FROM:<a@[192.0.2.1]>", "RCPT TO:<b@[IPv6:2001:db8::1]>"], [rb"MAIL FROM:<a@\[192\.0\.2\.1\]>", rb"RCPT TO:<b@\[IPv6:2001:db8::1\]>"]),
            passed("all parameters", ["MAIL FROM:<a@x.example> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+3D1",
                                      "RCPT TO:<b@x.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@x.example"],
                   [rb"MAIL FROM:<a@x\.example> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e\+3D1",
                    rb"RCPT TO:<b@x\.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b\+2Bc@x\.example"]),
            passed("UTF-8", ["MAIL FROM:<ü@ü.example> SMTPUTF8", "RCPT TO:<ö@x.example>"],
                   ["MAIL FROM:<ü@ü.example> SMTPUTF8".encode(), "RCPT TO:<ö@x.example>".encode()]),
        ])


class Stranger(Matrix):
    def test_trust_protocols(self):
        """XCLIENT and friends from anybody, at any stage: refused, and never passed on."""
        words = ("XCLIENT ADDR=10.0.0.1", "XFORWARD ADDR=10.0.0.1 NAME=evil", "AUTH PLAIN AGV2aWwAZXZpbA==", "AUTH LOGIN", "XEXCH50 9 2", "ETRN evil.example", "TURN", "ATRN evil",
                 "XCLIENT", "LHLO evil.example", "BURL imap://evil LAST", "EXPN evil", "SEND FROM:<evil@x.example>", "SOML FROM:<evil@x.example>", "SAML FROM:<evil@x.example>",
                 "XADR evil", "XSTA evil", "X-EVIL", "DEBUG", "WIZ")
        stages = {"before EHLO": [], "behind EHLO": HELLO, "behind MAIL": HELLO + [b"MAIL FROM:<a@x.example>\r\n", 250], "behind RCPT": HELLO + ENVELOPE}
        rows = [Row("%s %s" % (word.split()[0] + str(len(word)), stage), "CVE-2020-28021",
                    before + [word.encode() + b"\r\n", re.compile("^50[0-4] 5\\.")] + ([b"DATA\r\n", 354, b"ok\r\n.\r\n", 250] if stage == "behind RCPT" else []),
                    stored=[b"ok\r\n"] if stage == "behind RCPT" else [])
                for word in words for stage, before in stages.items()]
        self.play(rows, ways=("clear whole", "clear octets", "tls whole", "tls records", "tls1.2 cuts"))

    def test_proxy_header(self):
        v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)
        rows = [Row("PROXY v1 " + stage, "proxy-protocol.txt 2", before + [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n" + EVIL, re.compile("^5"), END], stored=[], seen=seen)
                for stage, before, seen in (("first", [], []), ("behind EHLO", HELLO, []))]
        rows += [Row("PROXY v2 first", "proxy-protocol.txt 2", [v2 + b"\r\nNOOP\r\n", 500, 500, 500, END], stored=[], seen=[])]
        self.play(rows)

    def test_other_protocols(self):
        http = b" / HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nEHLO evil.example\r\n" + EVIL
        rows = [Row("HTTP " + verb.decode(), "ALPACA 2021", [verb + http, re.compile("^5"), END], stored=[], seen=[])
                for verb in (b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"get", b"PROPFIND")]
        rows += [Row("HTTP " + name, "ALPACA 2021", [octets + EVIL, re.compile("^5"), END], stored=[], seen=[])
                 for name, octets in (("CONNECT", b"CONNECT x:25 HTTP/1.1\r\n\r\n"), ("2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))]
        rows += [Row("POST behind EHLO", "ALPACA 2021", HELLO + [b"POST" + http, re.compile("^5"), END], stored=[], seen=[])]
        rows += [Row(name, "ALPACA 2021", [octets + b"\r\n" + EVIL, re.compile("^5"), END], stored=[], seen=[])
                 for name, octets in (("a TLS record", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(32)), ("SSLv2", b"\x80\x2e\x01\x03\x01"), ("NUL", b"\0\0\0\x55\xffSMB"),
                                      ("DNS", b"\0\x1d\x12\x34\x01\0"), ("MQTT", b"\x10\x0c\0\4MQTT"), ("RDP", b"\x03\0\0\x13"), ("ESC", b"\x1b[2J"), ("UTF-8", "ü".encode()))]
        self.play(rows, ways=CLEAR + ("tls whole", "tls records"))

    def test_few_errors_close(self):
        rows = [Row("SSH", "max_errors", [b"SSH-2.0-evil\r\n" * 3, re.compile("^500"), re.compile("^500"), re.compile("^421 4.7.0"), END], stored=[]),
                Row("any nonsense", "max_errors", HELLO + [b"a1 LOGIN x y\r\n\r\n*1\r\n", re.compile("^500"), re.compile("^500"), re.compile("^421 4.7.0"), END], stored=[])]
        self.play(rows, smtp="max_errors: 3")


class Lines(Matrix):
    def test_lines(self):
        self.play([
            Row("512 octets", "RFC 5321 4.5.3.1.4", HELLO + [b"NOOP " + b"x" * 505 + b"\r\n", 250]),
            Row("513 octets", "RFC 5321 4.5.3.1.4", HELLO + [b"NOOP " + b"x" * 506 + b"\r\n", "500 5.5.2"]),
            Row("3000 octets", "RFC 5321 4.5.3.1.4", HELLO + [b"NOOP " + b"x" * 3000 + b"\r\nRSET\r\n", "500 5.5.2", 250]),
            Row("a long line with commands in it", "RFC 5321 4.5.3.1.4", HELLO + [b"x" * 2046 + b"\r" + b"RSET\r\r\nNOOP\r\n", "500 5.5.2", 250]),
            Row("CR at the border of what a line may be", "RFC 5321 4.5.3.1.4", HELLO + [b"x" * 2047 + b"\r\nNOOP\r\n", "500 5.5.2", 250]),
            Row("an endless line", "RFC 5321 4.5.3.1.4", HELLO + [b"x" * (3 << 20), "500 5.5.2", END], ways=("clear whole", "tls whole")),
            Row("bare LF ends no command", "RFC 5321 2.3.8", HELLO + [b"NOOP\nRSET\nRSET\r\nNOOP\r\n", "501 5.5.2", 250]),
            Row("bare CR ends no command", "RFC 5321 2.3.8", HELLO + [b"NOOP\rRSET\r\nNOOP\r\n", "501 5.5.2", 250]),
            Row("CR CR LF ends no command", "RFC 5321 2.3.8", HELLO + [b"NOOP\r\r\nNOOP\r\n", "501 5.5.2", 250]),
            Row("LF first", "RFC 5321 2.3.8", [b"\nEHLO evil.example\r\nNOOP\r\n", "501 5.5.2", 250], stored=[]),
            Row("empty lines", "RFC 5321 4.1.1", HELLO + [b"\r\n\r\n", "500 5.5.1", "500 5.5.1"]),
            Row("blank first", "RFC 5321 4.1.1", HELLO + [b" NOOP\r\n", "500 5.5.1"]),
            Row("small letters, blanks behind", "RFC 5321 4.1.1", [b"ehlo x.example  \r\n", 250, b"nOOp\r\nrset \r\nquit \r\n", 250, 250, 221, END]),
            Row("arguments where none belong", "RFC 5321 4.1.1", HELLO + [b"RSET x\r\nQUIT x\r\n", "501 5.5.4", "501 5.5.4"] + ENVELOPE + [b"DATA x\r\n", "501 5.5.4"], stored=[]),
            Row("order", "RFC 5321 4.1.4", [b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nBDAT 0 LAST\r\n", 503, 503, 503, 503] + HELLO +
                [b"RCPT TO:<b@x.example>\r\nDATA\r\n", 503, 503, b"MAIL FROM:<a@x.example>\r\nMAIL FROM:<a@x.example>\r\nDATA\r\n", 250, 503, 503], stored=[], seen=[]),
            Row("EHLO ends a transaction", "RFC 5321 4.1.4", HELLO + ENVELOPE + HELLO + [b"DATA\r\n", 503], stored=[]),
            Row("RSET ends a transaction", "RFC 5321 4.1.1.5", HELLO + ENVELOPE + [b"RSET\r\nDATA\r\n", 250, 503], stored=[]),
            Row("no mail is promised by VRFY", "RFC 5321 3.5.3", HELLO + [b"VRFY evil\r\nEXPN evil\r\nHELP\r\nVRFY\r\n", 252, 502, 214, 501], seen=[]),
            Row("HELO offers nothing", "RFC 5321 4.1.1.1", [b"HELO x.example\r\n", re.compile("^250 [^\n]*$"), b"MAIL FROM:<a@x.example> SIZE=1\r\n", re.compile("^55[05]|^501")]),
        ])


class Pipelining(Matrix):
    def test_order(self):
        whole = (b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nS: 1\r\n\r\none\r\n.\r\n"
                 b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\ntwo\r\n.\r\nQUIT\r\n")
        self.play([
            Row("a whole session in one go", "RFC 2920 3.1", [whole, 250, 250, 250, 354, 250, 250, 250, 354, 250, 221, END], stored=[b"S: 1\r\n\r\none\r\n", b"two\r\n"]),
            Row("commands behind QUIT", "RFC 2920 3.1", HELLO + [b"QUIT\r\nMAIL FROM:<evil@x.example>\r\n", 221, END], stored=[], ways=("clear whole", "tls whole", "tls1.2 whole")),
            Row("a transaction behind RSET", "RFC 2920 3.1", HELLO + [b"MAIL FROM:<z@x.example>\r\nRSET\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRSET\r\nNOOP\r\n",
                                                                    250, 250, 250, 250, 250, 250], stored=[]),
            Row("DATA behind nothing but refused RCPT", "RFC 2920 3.1", HELLO + [b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nRSET\r\nNOOP\r\n",
                                                                               250, "550 5.1.1", "503 5.5.1", 250, 250], backend={"RCPT": b"550 5.1.1 no\r\n"}, stored=[]),
            Row("some RCPT refused, answers in order", "RFC 2920 3.1",
                HELLO + [b"MAIL FROM:<a@x.example>\r\n" + b"RCPT TO:<b@x.example>\r\n" * 3 + b"RCPT TO:<bad>\r\nNOOP\r\nRCPT TO:<b@x.example>\r\nDATA\r\n",
                         250, 250, "550 5.1.1", 250, "501 5.1.3", 250, 250, 354, b"x\r\n.\r\n", 250],
                backend={"RCPT": [b"250 ok\r\n", b"550 5.1.1 no\r\n", b"250 ok\r\n"]}, stored=[b"x\r\n"]),
            Row("many RCPT", "RFC 5321 4.5.3.1.8", HELLO + [b"MAIL FROM:<a@x.example>\r\n" + b"RCPT TO:<b@x.example>\r\n" * 200 + b"DATA\r\n", 250] + [250] * 200 +
                [354, b"x\r\n.\r\n", 250], stored=[b"x\r\n"], ways=("clear whole", "clear cuts", "tls whole", "tls cuts", "tls1.2 whole")),
            Row("what looks like commands is the body", "RFC 2920 3.1", HELLO + ENVELOPE + [b"DATA\r\nQUIT\r\nMAIL FROM:<evil@x.example>\r\n.\r\nNOOP\r\n", 354, 250, 250],
                stored=[b"QUIT\r\nMAIL FROM:<evil@x.example>\r\n"]),
            Row("the backend refuses DATA, and the body comes all the same", "RFC 2920 3.1",
                HELLO + ENVELOPE + [b"DATA\r\n", "452 4.3.1", b"RSET\r\n", 250], backend={"DATA": b"452 4.3.1 full\r\n"}, stored=[]),
            Row("two EHLO at once", "RFC 2920 3.1", [b"EHLO a.example\r\nEHLO b.example\r\nNOOP\r\n", 250, 250, 250]),
        ])


class Early(Matrix):
    def test_talk_before_the_greeting(self):
        rows = [Row(name, "RFC 5321 4.3.1", [EARLY, octets, "554 5.5.0", END], stored=[], seen=[])
                for name, octets in (("EHLO", b"EHLO evil.example\r\n"), ("one octet", b"E"), ("a line end", b"\r\n"), ("a whole session", HELLO[0] + EVIL + b".\r\nQUIT\r\n"),
                                     ("a TLS record", b"\x16\x03\x01\0\x05hello"), ("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("QUIT", b"QUIT\r\n"))]
        world = self.world(smtp="greeting_delay: 2s")
        self.play(rows, world=world, ways=CLEAR)
        self.assertEqual(world.worker.counter("REFUSAL early_talk"), 3 * len(rows))
        until(lambda: world.worker.counter("ENDED early_talk") == 3 * len(rows))


class StartTls(Matrix):
    """CVE-2011-0411, CVE-2014-3556, CVE-2024-34083, RFC 3207 4. Played in clear: what is inside is the other tables'."""

    def test_rows(self):
        ready = HELLO + [b"STARTTLS\r\n", "220 2.0.0"]
        clear = b"EHLO evil.example\r\n" + EVIL
        self.play([
            Row("before EHLO", "RFC 3207 4", [b"STARTTLS\r\n", 503]),
            Row("behind HELO", "RFC 3207 4", [b"HELO x.example\r\n", 250, b"STARTTLS\r\n", 503]),
            Row("arguments", "RFC 3207 4", HELLO + [b"STARTTLS now\r\n", "501 5.5.4", b"STARTTLS \r\n", 220, HALF, END]),
            Row("in a transaction", "RFC 3207 4", HELLO + [b"MAIL FROM:<a@x.example>\r\nSTARTTLS\r\n", 250, "503 5.5.1"], seen=[]),
            Row("behind RCPT", "RFC 3207 4", HELLO + ENVELOPE + [b"STARTTLS\r\n", "503 5.5.1", b"DATA\r\n", 354, b"x\r\n.\r\n", 250], stored=[b"x\r\n"]),
            Row("FIN in the place of a handshake", "RFC 3207 4.1", ready + [HALF, END]),
            Row("RST in the place of a handshake", "RFC 3207 4.1", ready + [RESET]),
            Row("commands in the same packet", "CVE-2011-0411", HELLO + [b"STARTTLS\r\n" + clear, END], ways=("clear whole",), seen=[], stored=[]),
            Row("half a command in the same packet", "CVE-2011-0411", HELLO + [b"STARTTLS\r\nEHL", END], ways=("clear whole",), seen=[], stored=[]),
            Row("one octet in the same packet", "CVE-2011-0411", HELLO + [b"STARTTLS\r\n\n", END], ways=("clear whole",), seen=[], stored=[]),
            Row("a ClientHello in the same packet", "CVE-2011-0411", HELLO + [b"STARTTLS\r\n\x16\x03\x01\x02\0\x01", END], ways=("clear whole",), seen=[], stored=[]),
            Row("pipelined with EHLO, more behind", "CVE-2011-0411", [b"EHLO x.example\r\nSTARTTLS\r\nNOOP\r\n", 250, END], ways=("clear whole",), seen=[], stored=[]),
        ], ways=CLEAR)

    def test_twice(self):
        self.play([Row("inside TLS", "RFC 3207 4.2", HELLO + [b"STARTTLS\r\n", "503 5.5.1", b"NOOP\r\n", 250]),
                   Row("inside TLS, before EHLO", "RFC 3207 4.2", [b"STARTTLS\r\n", 503, b"MAIL FROM:<a@x.example>\r\n", 503]),
                   Row("inside TLS it is not offered", "RFC 3207 4.2", [b"EHLO x.example\r\n", re.compile(r"^(?!.*STARTTLS).*$", re.DOTALL)]),
                   Row("what was said before is forgotten", "RFC 3207 4.2", [b"MAIL FROM:<a@x.example>\r\n", "503 5.5.1"] + HELLO + ENVELOPE +
                       [b"DATA\r\n", 354, b"x\r\n.\r\n", 250], stored=[b"x\r\n"])],
                  ways=TLS)


    def test_forgotten(self):
        """RFC 3207 4.2: also the errors, and that something was said at all."""
        world = self.world(smtp="max_errors: 3")
        for how in TLS:
            line, play = world.connect(Row("x", "", []), how)
            before = [220, b"EHLO evil.example\r\n", 250, b"FOO\r\n", 500, b"BAR\r\n", 500, b"STARTTLS\r\n", 220]
            world.script(line, before, [], play, over=True)
            line.handshake(None)
            world.script(line, [b"FOO\r\n", 500, b"NOOP\r\n", 250, b"BAR\r\n", 500, b"FOO\r\n", 421, END], [], play, over=True)
            line.close()
            line, play = world.connect(Row("x", "", []), how)
            world.script(line, before[:3] + before[-2:], [], play, over=True)
            line.handshake(None)
            world.script(line, [b"\x16\x03\x01\0\x05hello\r\n", "500 5.5.2", END], [], play, over=True)
            line.close()


class Truncation(Matrix):
    def test_ends(self):
        body = b"Subject: x\r\n\r\nhalf a mess"
        rows = []
        for name, how in (("FIN", HALF), ("close_notify", NOTIFY)):
            rows += [
                Row(name + " in the body", "RFC 5321 4.1.1.4", DATA + [body, how, END], stored=[]),
                Row(name + " at the body's start", "RFC 5321 4.1.1.4", DATA + [how, END], stored=[]),
                Row(name + " behind CRLF .", "RFC 5321 4.1.1.4", DATA + [body + b"\r\n.", how, END], stored=[]),
                Row(name + " behind CRLF . CR", "RFC 5321 4.1.1.4", DATA + [body + b"\r\n.\r", how, END], stored=[]),
                Row(name + " in a command", "RFC 5321 4.1.1", HELLO + [b"MAIL FROM:<a@x.example>", how, END], stored=[], seen=[]),
                Row(name + " behind RCPT", "RFC 5321 4.1.1", HELLO + ENVELOPE + [how, END], stored=[]),
                Row(name + " behind DATA", "RFC 5321 4.1.1", HELLO + ENVELOPE + [b"DATA\r\n", how, 354, END], stored=[]),
                Row(name + " behind the dot", "RFC 5321 4.1.1.4", DATA + [body + b"\r\n.\r\n", how, 250, END], stored=[body + b"\r\n"]),
                Row(name + " behind a pipelined NOOP", "RFC 5321 4.1.1.4", HELLO + [b"NOOP\r\n", how, 250, END]),
                Row(name + " behind a refused body", "RFC 5321 2.3.8", DATA + [b"a\nb\r\n.\r\n", how, 554, END], stored=[]),
            ]
        rows += [
            Row("RST in the body", "RFC 9293", DATA + [body, RESET], stored=[]),
            Row("RST in a chunk", "RFC 9293", HELLO + ENVELOPE + [b"BDAT 99 LAST\r\nabc", RESET], stored=[]),
            Row("RST behind RCPT", "RFC 9293", HELLO + ENVELOPE + [RESET], stored=[]),
            Row("a bad MAC in the body", "RFC 8446 5.2", DATA + [body, DAMAGE, ALERT], stored=[], ways=TLS),
            Row("a bad MAC in a chunk", "RFC 8446 5.2", HELLO + ENVELOPE + [b"BDAT 99 LAST\r\nabc", DAMAGE, ALERT], stored=[], ways=TLS),
            Row("a bad MAC behind the end of the text", "RFC 8446 5.2", DATA + [body + b"\r\n", DAMAGE, ALERT], stored=[], ways=TLS),
        ]
        self.play(rows)


class Content(Matrix):
    """RFC 5321 4.5.2, 4.5.3.1: what is stored is what was sent."""

    def test_exact(self):
        rng = random.Random(3)
        eight = bytes(o for o in range(1, 256) if o not in (10, 13))
        bodies = {
            "empty": b"", "one line": b"x\r\n", "only line ends": b"\r\n\r\n\r\n", "dots": b".\r\n..\r\n...\r\n.x\r\n x.\r\n.\r\n", "all octets": eight + b"\r\n",
            "998 octets in a line": b"x" * 998 + b"\r\n", "a line of 100 KB": b"y" * 100000 + b"\r\n", "dots in long lines": (b"." * 3000 + b"\r\n") * 5,
            "a header that is folded": b"Subject: a\r\n b\r\n\tc\r\n\r\nd\r\n", "a blank first": b" x\r\n", "a trace header of its own": b"Received: from evil\r\n\tby evil;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n\r\nx\r\n",
            "From and To": b"From x\r\n>From y\r\n", "blanks at line ends": b"a \r\nb\t\r\n", "UTF-8": "ü€😀\r\n".encode(), "its own end is content": b"a\r\n. \r\n.\t\r\n",
            "many short lines": b"\r\n".join(b"%d" % i for i in range(3000)) + b"\r\n",
        }
        for i in range(12):
            parts = [rng.choice((b".", b"..", b"a", b" ", b"\r\n", b"\r\n", b"\r\n.", b"0123456789" * 50, eight)) for _ in range(rng.randint(1, 120))]
            bodies["random %d" % i] = b"".join(parts) + b"\r\n"
        rows = [Row("DATA, " + name, "RFC 5321 4.5.2", DATA + [re.sub(rb"(^|\r\n)\.", rb"\1..", body) + b".\r\n", 250], stored=[body]) for name, body in bodies.items()]
        rows += [Row("BDAT, " + name, "RFC 3030", HELLO + ENVELOPE + [bdat(body), 250], stored=[body]) for name, body in bodies.items()]
        rows += [Row("three messages in one session", "RFC 5321 3.3", HELLO + sum((ENVELOPE + [b"DATA\r\n", 354, b"%d\r\n.\r\n" % i, 250] for i in range(3)), []),
                     stored=[b"%d\r\n" % i for i in range(3)])]
        self.play(rows)

    def test_chunking_behind(self):
        """The same where the backend takes chunks itself."""
        rows = [Row(name, "RFC 3030", HELLO + ENVELOPE + [b"".join(bdat(c, False) for c in chunks[:-1]) + bdat(chunks[-1])] + [250] * len(chunks), stored=[b"".join(chunks)])
                for name, chunks in (("one", [b"a\r\n"]), ("three", [b"a\r", b"\n.\r\n.", b".b\r\n"]), ("empty last", [b"a\r\n", b""]), ("large", [b"." * 70000 + b"\r\n", b"b\r\n" * 30000]))]
        rows += [Row("DATA", "RFC 5321", DATA + [b"..a\r\n.\r\n", 250], stored=[b".a\r\n"]),
                 Row("a bare LF in DATA", SMUGGLING, DATA + [b"a\nb\r\n.\r\n", 554], stored=[]),
                 Row("half a chunk", "RFC 3030", HELLO + ENVELOPE + [b"BDAT 9 LAST\r\nabc", HALF, END], stored=[]),
                 Row("half a message", "RFC 3030", HELLO + ENVELOPE + [bdat(b"a\r\n", False), 250, HALF, END], stored=[])]
        self.play(rows, offers=("PIPELINING", "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "SIZE 52428800"))

    def test_100_MB(self):
        rng = random.Random(7)
        block = b"".join(rng.choice((b".", b"..", b"")) + rng.randbytes(rng.randint(1, 400)).hex().encode() + b"\r\n" for _ in range(2500))
        body = (block * (100 * 1024 * 1024 // len(block) + 1))
        stuffed = re.sub(rb"(?m)^\.", b"..", body)
        self.assertGreater(len(body), 100 << 20)
        row = Row("100 MB", "RFC 5321 4.5.3.1.7", DATA + [stuffed + b".\r\n", 250], stored=[body])
        self.play([row], ways=("clear whole", "tls whole"), smtp="max_message_size: 200M", offers=("PIPELINING", "8BITMIME"))


if __name__ == "__main__":
    main()

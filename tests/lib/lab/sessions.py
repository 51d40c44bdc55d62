"""Random SMTP sessions as values, made from a seed: the same seed gives the same session. play.py plays them."""

import dataclasses
import random
import re

from . import zones

MAX_SIZE = 150_000  # smtp.max_message_size of the edge under test


@dataclasses.dataclass
class Recipient:
    """`path` as RCPT says it; `good` ones get a mailbox copy whose address starts with `ident`."""

    ident: str
    path: str
    good: bool
    parameters: bytes = b""


@dataclasses.dataclass
class Message:
    """One transaction. `fate` is what has to come of it:
    accept  the final reply is 250           refuse  it is 5xx, or an earlier one was
    reset   RSET instead of DATA             abort   the connection ends inside the body
    leave   it ends behind the body, before the answer is read
    half    the client says no more behind the body, but listens: an answer may come, and is true then"""

    mail: bytes
    recipients: list
    body: bytes
    chunks: list  # sizes of BDAT chunks; empty: DATA
    fate: str
    cut: int = 0  # abort: octets of the wire form that are still sent
    rude: bool = False  # abort with RST, or half without close_notify
    pipeline: bool = True
    # What happened:
    code: int = 0  # the reply to the end of the message, 0: none
    sent: bool = False  # the envelope, with the end of the message before
    whole: bool = False  # the end of the message was sent
    told: str = ""
    accepted: list = dataclasses.field(default_factory=list)  # idents whose RCPT got 250
    began: float = 0.0
    ended: float = 0.0

    @property
    def chunks_follow(self):
        """Do the chunks go out together with the envelope?"""
        return bool(self.chunks) and self.pipeline and self.fate == "accept"

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


def bdat(message):
    out, at = b"", 0
    for n, size in enumerate(message.chunks):
        last = b" LAST" if n == len(message.chunks) - 1 else b""
        out += b"BDAT %d" % size + last + b"\r\n" + message.body[at:at + size]
        at += size
    return out


def is_spoilt(body):
    return re.search(rb"(?<!\r)\n|\r(?!\n)|\0", body) is not None


# RFC 3461 4: what a client may ask of notifications. Success is only asked for when there is nobody to tell.
NOTIFY = (b"NEVER", b"FAILURE", b"DELAY", b"FAILURE,DELAY", b"delay,failure")
ORCPT = (b"rfc822;someone@elsewhere.lab", b"RFC822;a+2Bb+3Dc@elsewhere.lab", b"x-other;+41+42")
ENVID = (b"QQ314159", b"a+2Bb+3Dc", b"x" * 100)


def add_notifications(x, message, plain):
    """DSN parameters for the sender and for some recipients."""
    sender = [p for p in (x.choice((b"", b" RET=HDRS", b" RET=FULL", b" ret=hdrs")), x.choice((b"", b" ENVID=" + x.choice(ENVID)))) if p]
    x.shuffle(sender)
    message.mail += b"".join(sender)
    nobody = message.mail.startswith(b"MAIL FROM:<>")
    for recipient in message.recipients:
        # OpenSMTPD adds up what is asked for several recipients, and NEVER goes with nothing else.
        wanted = NOTIFY[1:] if plain else NOTIFY
        notify = x.choice((*wanted, b"SUCCESS", b"SUCCESS,FAILURE,DELAY") if nobody else wanted)
        wishes = [p for p in (x.choice((b"", b" NOTIFY=" + notify)), x.choice((b"", b" ORCPT=" + x.choice(ORCPT[:1] if plain else ORCPT)))) if p]
        x.shuffle(wishes)
        recipient.parameters = b"".join(wishes)


UMLAUT = ".\u00fc"  # behind the ident, in an internationalized local part


def internationalize(x, message):
    """RFC 6531 3.4: with the parameter, paths may be UTF-8."""
    message.mail += x.choice((b" SMTPUTF8", b" smtputf8"))
    message.mail = message.mail.replace(b"<lab@", x.choice((b"<lab@", "<l\u00e4b@".encode(), "<\u65e5\u672c@".encode())))
    for recipient in message.recipients:
        if recipient.good and "\"" not in recipient.path and x.random() < 0.5:
            recipient.path = recipient.path.replace("@", UMLAUT + "@", 1)


def forget_to_say_so(x, message):
    """UTF-8 in a path without the parameter: RFC 6531 3.3 has no such address."""
    if x.random() < 0.5 and b"<lab@" in message.mail:
        message.mail = message.mail.replace(b"<lab@", "<l\u00e4b@".encode())
        message.fate = message.fate if message.fate in ("reset", "abort") else "refuse"
        for recipient in message.recipients:
            recipient.good = False
        message.chunks = []  # chunks behind a refused envelope may end the session
    else:
        recipient = x.choice(message.recipients)
        if any(o.good for o in message.recipients if o is not recipient):
            recipient.path = recipient.path.replace("@", UMLAUT + "@", 1)
            recipient.good = False


def vary(x, message, last, offers, plain):
    """What the edge offers beyond the common: the same messages are sent to every backend, but for this."""
    if "DSN" in offers and x.random() < 0.3:
        add_notifications(x, message, plain)
    if "SMTPUTF8" in offers and x.random() < 0.15:
        internationalize(x, message)
    elif x.random() < 0.02:
        forget_to_say_so(x, message)
    if last and message.fate == "accept" and x.random() < 0.2:
        message.fate = "half"


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
    kind = r.choices(("plain", "spoilt", "too big", "declared", "nobody", "reset", "abort", "leave"),
                     (70, 10, 3, 2, 3, 5, 20 if last else 0, 5 if last else 0))[0]
    fate = {"plain": "accept", "reset": "reset", "abort": "abort", "leave": "leave"}.get(kind, "refuse")
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
    message.rude = r.random() < 0.5
    if fate == "abort":
        # At most all but the last octet of the end; of BDAT, all but the last octet.
        length = len(body) if chunks else len(stuffed(body))
        message.cut = r.choice((0, max(0, length - 1), r.randrange(length) if length else 0))
        if chunks and length == 0:
            message.fate = "reset"
    return message


def make_session(seed, number, faults=True, offers=frozenset(), plain=False):
    """`offers`: the keywords of the edge's EHLO reply; `plain`: the backend refuses addresses that are unusual."""
    r = random.Random(f"{seed}/{number}")
    x = random.Random(f"{seed}/{number}/extensions")
    name = f"s{number}"
    count = r.choice((1, 2, 3, 5))
    messages = [make_message(r, f"{name}.m{n}", n == count - 1) for n in range(count)]
    for n, message in enumerate(messages):
        for recipient in message.recipients:
            recipient.path = recipient.path.replace('"', "") if plain else recipient.path
        vary(x, message, n == count - 1, offers, plain)
    return Session(name, r.choice(("", "1.2", "1.3", "1.3")), messages, random.Random(f"{seed}/{number}/cuts"),
                   r.choice((0, 0, 3, 40, 700, 9000)), faults and r.random() < 0.03)

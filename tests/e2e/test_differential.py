"""Random sessions through danegate into real MTAs: what is stored is exactly what was acknowledged.

Each session is made from a seed: several messages, by DATA or BDAT, pipelined or not, in clear or in TLS,
cut at random places; bodies with dots, long lines, 8-bit octets or nothing at all; end-of-data look-alikes,
messages and declarations over the limit, refused recipients, RSET, connections that end inside a body, or are closed
by one half behind it; in some, the backend's processes are killed. The oracle knows nothing of danegate:

- for each recipient accepted in a transaction whose end was answered 250 there is one copy, which is what was
  sent, byte for byte, below trace header fields of danegate and of the MTA;
- there is nothing else;
- what is well-formed is accepted, and what isn't is refused, unless the backend was killed meanwhile; and even
  then the sender isn't told to give up.

Where the backend offers them, envelopes have DSN parameters, and UTF-8 in their addresses.

    tests/lib/labroot exec env DIFF_SESSIONS=10000 DANEGATE_BIN=$PWD/build/asan/bin \\
        /usr/bin/python3 -m pytest -p no:cacheprovider -s --timeout=0 tests/e2e/test_differential.py

runs 10,000 for Postfix and Exim and 5,000 for OpenSMTPD (five to ten minutes each) instead of the few of
`tests/run`. The seed is printed; DIFF_SEED=… DIFF_ONLY=17 plays session 17 of that seed again.
"""

import collections
import concurrent.futures
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from conftest import Stage
from lab import sessions, zones
from lab.client import Client
from lab.exim import EximBackend
from lab.opensmtpd import OpenSmtpdBackend
from lab.play import play
from lab.postfix import MaildirBackend
from lab.proc import children_of, send_signal, wait_until

SESSIONS = int(os.environ.get("DIFF_SESSIONS") or "250")
SEED = os.environ.get("DIFF_SEED") or str(time.time_ns() % 10**9)
ONLY = os.environ.get("DIFF_ONLY")
BATCH = 100  # sessions between two looks at the mailbox
AT_ONCE = 6

TRACE = re.compile(
    rb"(?:(?P<name>Received|Return-Path|X-Original-To|Delivered-To|Envelope-to|Delivery-date):[^\n]*\n(?:[ \t][^\n]*\n)*)", re.I)
OWNER = re.compile(rb"^(?:Delivered-To|Envelope-to): \"?([^@\">]+)\"?@", re.M | re.I)


class DiffPostfix(MaildirBackend):
    """Postfix without patience limits."""

    plain = False

    def __init__(self):
        super().__init__("diffpostfix", f"{zones.FAKE_BACKEND}:2527", settings={
            "smtpd_hard_error_limit": "1000",
            "smtpd_soft_error_limit": "1000",
            "smtpd_junk_command_limit": "1000",
            "service_throttle_time": "1s",
        })
        self.address, self.port = zones.FAKE_BACKEND, 2527

    def got_chunks(self):
        return re.search(r" bdat=\d", self.log_text()) is not None

    def kill_sessions(self):
        master = int((self.queue / "pid" / "master.pid").read_text())
        for pid in children_of(master):
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:  # has ended by itself
                continue
            if name in ("smtpd", "cleanup"):
                send_signal([pid], signal.SIGKILL)


class Faults:
    """Kills the backend's processes now and then, and knows when."""

    def __init__(self, backend):
        self.backend = backend
        self.times = []
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            began = time.monotonic()
            self.times.append([began, float("inf")])
            self.backend.kill_sessions()
            self.times[-1][1] = time.monotonic()

    def near(self, message):
        return any(began <= message.ended and message.began <= ended for began, ended in self.times)


class Ledger:
    """What may and what must be in the mailbox."""

    def __init__(self, backend, normalize):
        self.backend = backend
        self.normalize = normalize
        self.must = {}  # ident -> octets as a Maildir has them
        self.may = {}
        self.findings = []
        self.outcomes = collections.Counter()

    def enter(self, session, faults):
        for number, m in enumerate(session.messages):
            where = f"session {session.name} message {number} ({m.fate}, {'BDAT' if m.chunks else 'DATA'}, TLS {session.tls or '-'})"
            faulty = faults.near(m)
            text = self.stored_form(m.expected())
            good = {r.ident for r in m.recipients if r.good}
            self.outcomes[f"{m.fate} {m.code or '-'}{' fault' if faulty else ''}"] += 1
            if set(m.accepted) - good:
                self.findings.append(f"{where}: bad recipients accepted: {set(m.accepted) - good}")
            if m.code == 250:
                self.must.update({i: text for i in m.accepted})
            elif m.whole and (faulty or m.fate in ("leave", "half")):
                self.may.update({i: text for i in good})  # perhaps later, hence for good
            if m.fate == "accept" and not faulty and not (m.code == 250 and set(m.accepted) == good):
                self.findings.append(f"{where}: not accepted: {m.code} {m.told!r}")
            if m.fate in ("accept", "half") and m.accepted and m.code >= 500:
                self.findings.append(f"{where}: would bounce: {m.code} {m.told!r}")
            if m.fate == "refuse" and m.code == 250 and not (self.normalize and b"\0" not in m.body):
                self.findings.append(f"{where}: accepted: {m.told!r}")
            if m.fate == "refuse" and m.whole and not m.code and not faulty:
                self.findings.append(f"{where}: ended without an answer: {m.told!r}")
            if m.fate == "refuse" and m.code and not 500 <= m.code < 600 and m.code != 250 and not faulty:
                self.findings.append(f"{where}: deferred: {m.code} {m.told!r}")

    def stored_form(self, body):
        return re.sub(rb"\r\n|\r|\n", b"\n", body) if self.normalize else body.replace(b"\r\n", b"\n")

    def settle(self):
        """Waits until everything acknowledged is there, and nothing is left that could still come."""
        self.seen = {}

        self.backend.flush()  # what a killed process had queued, but not handed on

        def complete():
            for path in self.backend.messages():
                if path.name not in self.seen:
                    self.seen[path.name] = path.read_bytes()
            self.owners = collections.Counter(owner_of(t) for t in self.seen.values())
            return all(self.owners[i] for i in self.must) and not self.backend.queued()

        try:
            wait_until(complete, 30, "the backend's queue to empty", every_s=0.2)
        except Exception:  # what is missing is found below
            pass
        complete()

    def compare(self):
        for ident in self.must:
            if self.owners[ident] != 1:
                self.findings.append(f"{ident}: acknowledged, stored {self.owners[ident]} times")
        for name, text in self.seen.items():
            ident = owner_of(text)
            wanted = self.must.get(ident, self.may.get(ident))
            if wanted is None:
                self.findings.append(f"{ident}: stored, but never acknowledged:\n{text[:600]!r}")
            elif why := difference(text, wanted):
                self.findings.append(f"{ident}: {why}")
            if ident not in self.must and self.owners[ident] > 1:
                self.findings.append(f"{ident}: stored {self.owners[ident]} times")
        for path in self.backend.messages():
            path.unlink()
        count = len(self.seen)
        self.must = {}
        return count


def owner_of(text):
    found = OWNER.search(text[:4000])
    return found[1].decode(errors="replace").removesuffix(sessions.UMLAUT) if found else "nobody"


def difference(stored, wanted):
    """Why `stored` is not trace fields and then `wanted`; "" if it is. An MTA writes the empty line that a
    message without one lacks."""
    at, names = 0, collections.Counter()
    received = []
    while m := TRACE.match(stored, at):
        if stored[at:] in (wanted, wanted + b"\n"):
            break
        names[m["name"].lower()] += 1
        if m["name"].lower() == b"received":
            received.append(m[0])
        at = m.end()
    rest = stored[at:]
    if rest != wanted and not (rest == wanted + b"\n" and b"\n\n" not in b"\n" + wanted):
        n = next((i for i, (a, b) in enumerate(zip(rest, wanted)) if a != b), min(len(rest), len(wanted)))
        return (f"differs at octet {n} of {len(wanted)} (stored {len(rest)}): {rest[max(0, n - 30):n + 60]!r}, "
                f"sent {wanted[max(0, n - 30):n + 60]!r}")
    ours = [x for x in received if f"by {zones.MX}".encode() in x]
    return "" if len(received) == 2 and len(ours) == 1 and received[1] is ours[0] else f"Received fields: {received}"


def play_all(numbers, seed, ledger, faults, offers):
    backend = ledger.backend

    def one(number):
        return play(sessions.make_session(seed, number, backend.kill_sessions is not None, offers, backend.plain), faults)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        of = {pool.submit(one, n): n for n in numbers}
        done = []
        for future in concurrent.futures.as_completed(of):
            try:
                done.append(future.result())
            except Exception as e:
                ledger.findings.append(f"session s{of[future]}: {type(e).__name__}: {e}")
    for session in done:
        ledger.enter(session, faults)


def keywords(address, port):
    with Client(address, port) as client:
        client.ehlo()
        return {line.split()[0].upper() for line in client.capabilities}


def what_is_offered(backend):
    """The keywords of the edge's EHLO, once it has asked the backend: what that one lacks is not among them."""
    theirs = keywords(backend.address, backend.port)
    depend = {"SMTPUTF8", "DSN", "8BITMIME"}
    wait_until(lambda: keywords(zones.EDGE, 25) & depend == theirs & depend, 20, f"the edge to offer what the backend does: {theirs}")
    return frozenset(keywords(zones.EDGE, 25))


class Mailbox:
    """A backend for the oracle's own test: files that the test writes."""

    def __init__(self, directory):
        self.directory = directory

    def messages(self):
        return sorted(self.directory.iterdir())

    def queued(self):
        return 0

    def flush(self):
        pass


TRACES = (b"Return-Path: <>\nDelivered-To: a@example.lab\nReceived: from mx1\n\tby backend\nReceived: from client\n"
          b"\tby " + zones.MX.encode() + b" (danegate)\n")
SENT = b"Received: by another\n\nx\n.\n"


@pytest.mark.parametrize("stored,finding", [
    ([TRACES + SENT], None),
    ([], "stored 0 times"),
    ([TRACES + SENT, TRACES + SENT], "stored 2 times"),
    ([TRACES + SENT, TRACES.replace(b"a@", b"b@") + SENT], "never acknowledged"),
    ([TRACES + SENT.replace(b"x", b"y")], "differs at octet"),
    ([TRACES + SENT + b"\n"], "differs at octet"),
    ([TRACES + SENT[:-2]], "differs at octet"),
    ([TRACES + b"X-Added: 1\n" + SENT], "differs at octet"),
    ([TRACES.replace(zones.MX.encode(), b"other") + SENT], "Received fields"),
])
def test_oracle(tmp_path, monkeypatch, stored, finding):
    monkeypatch.setenv("LAB_SLOW", "0.01")
    for n, text in enumerate(stored):
        (tmp_path / str(n)).write_bytes(text)
    ledger = Ledger(Mailbox(tmp_path), False)
    ledger.must["a"] = SENT
    ledger.settle()
    ledger.compare()
    assert len(ledger.findings) == (1 if finding else 0), ledger.findings
    assert not finding or finding in ledger.findings[0], ledger.findings


BACKENDS = {"postfix": DiffPostfix, "exim": EximBackend, "opensmtpd": OpenSmtpdBackend}


@pytest.mark.parametrize("name,bare_newline,share", [
    ("postfix", "reject", 1), ("exim", "reject", 1), ("opensmtpd", "reject", 0.5), ("postfix", "normalize", 0.2)])
def test_stored_is_what_was_acknowledged(world, name, bare_newline, share):
    backend = BACKENDS[name]()
    backend.start()
    print(f"\nDIFF_SEED={SEED} {name} {bare_newline}", flush=True)
    try:
        with Stage(world, f"differential-{name}-{bare_newline}") as stage:
            stage.edge(backend=f"{backend.address}:{backend.port}", changes={
                "log": {"level": "info"},
                "smtp": {"max_message_size": str(sessions.MAX_SIZE), "max_errors": 1000, "bare_newline": bare_newline},
            })
            faults = Faults(backend)
            ledger = Ledger(backend, bare_newline == "normalize")
            offers = what_is_offered(backend)
            numbers = [int(ONLY)] if ONLY else list(range(int(SESSIONS * share)))
            stored = 0
            for at in range(0, len(numbers), BATCH):
                play_all(numbers[at:at + BATCH], SEED, ledger, faults, offers)
                ledger.settle()
                stored += ledger.compare()
                assert not ledger.findings, f"DIFF_SEED={SEED}\n" + "\n".join(ledger.findings[:20])
            # What one takes in chunks, an edge that repairs nothing hands on in chunks.
            assert ONLY or backend.got_chunks() == ("CHUNKING" in keywords(backend.address, backend.port) and bare_newline == "reject")
            print(f"offered: {sorted(offers)}\n{len(numbers)} sessions, {stored} copies stored, {len(faults.times)} kills; "
                  f"{dict(sorted(ledger.outcomes.items()))}")
    finally:
        backend.stop()

"""Mail with ids: send one, send many without pause, and settle the account afterwards."""

import dataclasses
import itertools
import smtplib
import threading
import time

from . import zones
from .proc import slowness, wait_until

_numbers = itertools.count(1)


def new_id(prefix="m"):
    return f"{prefix}{next(_numbers)}-{time.monotonic_ns() % 10**9}"


def message(message_id, body="A message of the laboratory.\r\n", recipient=f"user@{zones.DOMAIN}"):
    return (f"From: <lab@sender.{zones.ZONE}>\r\nTo: <{recipient}>\r\nSubject: {message_id}\r\n"
            f"Message-ID: <{message_id}@id.lab>\r\n\r\n{body}")


def submit(sender, recipient=f"user@{zones.DOMAIN}", message_id=None, body="A message of the laboratory.\r\n"):
    """Hands one message to the sender's queue and returns its id."""
    message_id = message_id or new_id()
    with smtplib.SMTP(sender.address, 25, local_hostname="client.lab", timeout=30 * slowness()) as smtp:
        smtp.sendmail(f"lab@sender.{zones.ZONE}", [recipient], message(message_id, body, recipient))
    return message_id


@dataclasses.dataclass
class Account:
    """What became of the messages of one Traffic."""

    submitted: int
    delivered: int
    deferred: int
    bounced: int
    lost: list
    duplicated: list
    tls: dict
    reasons: dict
    unsure: set  # ids whose sender said itself that it may send twice

    def __str__(self):
        return (f"submitted {self.submitted}, delivered {self.delivered}, deferred {self.deferred}, bounced {self.bounced}, "
                f"lost {len(self.lost)}, duplicated {len(self.duplicated)}, TLS {dict(self.tls)}, reasons {dict(self.reasons)}")

    def twice_without_need(self):
        """Stored twice, although the sender had heard each time what became of it. One whose connection ended between
        the last dot and the answer has to send again (RFC 5321 4.5.3.2.6, RFC 1047): nobody can keep it from that."""
        return [i for i in self.duplicated if i not in self.unsure]

    def is_perfect(self):
        """Everything arrived once, at the first try, over connections that were all Verified."""
        return (self.submitted > 0 and self.delivered == self.submitted and not self.deferred and not self.bounced
                and not self.lost and not self.duplicated and set(self.tls) == {"Verified"})


class Traffic:
    """Submits messages steadily from a thread of its own until finish()."""

    def __init__(self, sender, backend, per_second=6, recipient=f"user@{zones.DOMAIN}"):
        self.sender = sender
        self.backend = backend
        self.interval_s = 1 / per_second
        self.recipient = recipient
        self.ids = []
        sender.read_log()
        self._tls_before = dict(sender.tls)
        self._reasons_before = dict(sender.reasons)
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _work(self):
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                self.ids.append(submit(self.sender, self.recipient, new_id("t")))
            except Exception as e:  # shown by account(); a thread's traceback would be lost
                self._failure = e
                return
            due = max(due + self.interval_s, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def more(self, number, deadline_s=30):
        """Waits until `number` further messages have been delivered."""
        target = self.count_delivered() + number
        wait_until(lambda: self.count_delivered() >= target, deadline_s, f"{number} more messages to arrive")

    def count_delivered(self):
        if self._failure:
            raise AssertionError(f"handing mail to the sender failed: {self._failure!r}")
        have = self.backend.delivered()
        return sum(1 for i in list(self.ids) if i in have)

    def finish(self, deadline_s=60):
        """Stops sending, waits until the queue is empty (or the deadline), returns the Account."""
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure
        end = time.monotonic() + deadline_s * slowness()
        while self.count_delivered() < len(self.ids) and time.monotonic() < end:
            self.sender.flush()
            time.sleep(0.3)
        wait_until(lambda: self.settled() or time.monotonic() > end, deadline_s + 5, "the sender's log to settle")
        return self.account()

    def settled(self):
        self.sender.read_log()
        return all(set(self.sender.outcomes[i]) & {"sent", "bounced"} for i in self.ids)

    def account(self):
        self.sender.read_log()
        stored = self.backend.delivered()
        of = {i: self.sender.outcomes[i] for i in self.ids}
        return Account(
            submitted=len(self.ids),
            delivered=sum(1 for i in self.ids if stored[i]),
            deferred=sum(1 for o in of.values() if "deferred" in o),
            bounced=sum(1 for o in of.values() if "bounced" in o),
            lost=[i for i in self.ids if not stored[i]],
            duplicated=[i for i in self.ids if stored[i] > 1],
            tls=since(self._tls_before, self.sender.tls),
            reasons=since(self._reasons_before, self.sender.reasons),
            unsure=self.sender.unsure & set(self.ids),
        )


def roll_under_traffic(world, edge, sync):
    """A whole roll while mail flows: no message notices, and the edge presents a newer key."""
    first = edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.command("rotate", "--wait")
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    assert edge.identity()["presented"] > first, edge.identity()


def since(before, now):
    """What was counted after `before` was taken."""
    return {k: n - before.get(k, 0) for k, n in now.items() if n > before.get(k, 0)}

"""The story that ./quickstart tells: mail through a pinned edge while its key rolls.

Runs inside the lab (tests/lib/labroot exec). Ends with status 1 and the place of the logs when
anything is not as it should be."""

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import pin, zones  # noqa: E402
from lab.proc import PROJECT, RUN, LabError, wait_until  # noqa: E402
from lab.programs import Danegate, TlsaSync  # noqa: E402
from lab.query import tlsa_at  # noqa: E402
from lab.traffic import Traffic, submit  # noqa: E402
from lab.world import World  # noqa: E402

STEPS = 6
OUTSIDE = PROJECT / "build" / "quickstart"  # where /run/lab is, seen from the machine
WIDTH = max(int(os.environ.get("COLUMNS") or 100), 60)


def say(text=""):
    print(text, flush=True)


class Step:
    """A numbered step; `done` ends its line with what came of it."""

    number = 0

    def __init__(self, title):
        Step.number += 1
        self.began = time.monotonic()
        say(f"[{Step.number}/{STEPS}] {title}")

    def note(self, text):
        say(f"      {text}")

    def done(self, text):
        self.note(f"{text}  ({time.monotonic() - self.began:.1f} s)")
        say()


class Table:
    """The live table of a roll: a row for each state with the reason for waiting. On a terminal the last
    row is rewritten, countdown and all, until its state is over; elsewhere each state is told once."""

    WHY_AT = 26  # column of the reason

    def __init__(self):
        self.began = time.monotonic()
        self.live = sys.stdout.isatty()
        self.state = self.why = None
        self.entered = 0.0  # when the state began
        self.height = 0  # lines of the row on the screen
        say(f"      {'at':>6}  {'state':<11} why")

    def show(self, status):
        state, why = status["state"], status["why"]
        same_state = state == self.state
        if same_state and (why == self.why or not self.live):
            return
        if not same_state:
            self.entered = time.monotonic() - self.began
        row = f"      {self.entered:5.1f}s  {state:<11} {why}"
        if self.live:
            if same_state:  # back to the row's first line, and clear to the end of the screen
                print(f"\x1b[{self.height}A\r\x1b[J", end="")
            lines = textwrap.wrap(row, WIDTH - 1, subsequent_indent=" " * self.WHY_AT)
            self.height = len(lines)
            row = "\n".join(lines)
        say(row)
        self.state, self.why = state, why


def watch(sync, finished, deadline_s):
    """Shows the table until finished(status), or fails."""
    table = Table()

    def look():
        status = sync.status()
        table.show(status)
        return finished(status)

    wait_until(look, deadline_s, "tlsa-sync to reach the steady state", every_s=0.15)


def check(truth, what):
    if not truth:
        raise LabError(what)


def tell(keep):
    world = World()

    step = Step("Name servers and mail servers, all from Debian")
    world.start()
    step.note("Knot signs a private root, lab. and example.lab; NSD and a second Knot are secondaries; Unbound validates")
    step.note("Postfix as sender: dane-only, so it delivers to nobody whose key DNSSEC does not vouch for")
    step.note("Postfix as backend behind the edge: writes a Maildir")
    step.done("running")

    step = Step("danegate, the edge, at mx1.example.lab")
    edge = Danegate()
    edge.start_serving()
    first = edge.digest(edge.identity()["presented"])
    step.note(f"presents key {first[:16]}…; the private key never leaves danegate")
    early = submit(world.sender)
    wait_until(lambda: world.sender.deferred(early), 20, "the sender to refuse the unpinned edge")
    step.done("nothing is pinned yet, so the sender keeps its first message: deferred, as it should be")

    step = Step("tlsa-sync publishes the current and the next key")
    sync = TlsaSync(world.dns, [edge]).start()
    watch(sync, lambda s: s["state"] == "STEADY", 90)
    served = {a: tlsa_at(a, zones.MX) for a in zones.SERVERS.values()}
    check(all("3 1 1 " + first in s for s in served.values()), f"a server does not pin the key: {served}")
    wait_until(lambda: world.sender.flush() or world.sender.sent(early), 30, "the first message to go", every_s=0.5)
    step.done("every server pins it; the first message has gone through")

    step = Step("A check by a tool that is not ours: openssl s_client -dane_tlsa_rrdata")
    accepted, output = pin.openssl_accepts(served[zones.PRIMARY])
    check(accepted, f"openssl does not accept the published pins:\n{output}")
    refused, _ = pin.openssl_accepts({"3 1 1 " + "00" * 32})
    check(not refused, "openssl accepted a wrong pin")
    step.done("accepts the edge with the published records, refuses it with a wrong one")

    step = Step("The key rolls while mail keeps flowing")
    with Traffic(world.sender, world.backend, per_second=5) as traffic:
        traffic.more(5)
        before = edge.identity()["presented"]
        sync.rotate()
        watch(sync, lambda s: s["state"] == "STEADY" and edge.identity()["presented"] > before, 120)
        traffic.more(5)
        account = traffic.finish()
    second = edge.digest(edge.identity()["presented"])
    accepted, output = pin.openssl_accepts(tlsa_at(zones.PRIMARY, zones.MX))
    check(accepted, f"openssl does not accept the edge after the roll:\n{output}")
    step.done(f"the edge presents {second[:16]}… now; {account.submitted} messages went through meanwhile")

    step = Step("Summary")
    step.note(f"during roll  sent {account.submitted}   delivered {account.delivered}   deferred {account.deferred}   "
              f"lost {len(account.lost)}   duplicated {len(account.duplicated)}")
    step.note("TLS          " + ", ".join(f"{n} × {word}" for word, n in account.tls.items()) + "   (Postfix's own word for a pin that holds)")
    step.note(f"key before   3 1 1 {first}")
    step.note(f"key now      3 1 1 {second}")
    for name, address in zones.SERVERS.items():
        pins = sorted(tlsa_at(address, zones.MX), key=lambda pin: second not in pin)
        step.note(f"{name} serves   " + "  ".join(p[6:22] + "…" for p in pins) + "   (now, next)")
    check(account.is_perfect(), f"not every message went through at once: {account}")
    check(second != first, "the key did not change")
    step.done("the key changed, and no sender noticed")
    look_next()
    if keep:
        Path(RUN / "kept").touch()
        signal.pause()


def look_next():
    say("Where to look next")
    say("  README.md                      deployment in front of your own Postfix")
    say(f"  {os.path.relpath(OUTSIDE, PROJECT)}/edge/danegate.yaml, sync/danegate.yaml   the two configurations used here")
    say(f"  {os.path.relpath(OUTSIDE, PROJECT)}/*/log                 what each program said")
    say("  ./quickstart --keep            the same, left running, with commands to try")
    say("  tests/run                      all tests, with the same real peers")
    say()


def main():
    try:
        tell("--keep" in sys.argv[1:])
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 1
    except (LabError, OSError, LookupError, ValueError) as e:
        say(f"\nquickstart failed: {e}")
        say(f"Logs: {OUTSIDE}/edge/log, sync/log, sender/mail.log, backend/mail.log, primary/log, ns1/log, ns2/log, resolver/log")
        return 1
    return 0  # everything else in the lab ends with this process


if __name__ == "__main__":
    sys.exit(main())

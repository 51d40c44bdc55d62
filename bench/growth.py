"""How the cost per unit grows with the number of units: sessions, recipients, octets, workers, identities, and those
that tlsa-sync keeps. Called by compare.py (bench/run --growth); draws bench/growth.svg, or build/bench/growth.svg of a part."""

import contextlib
import math
import re
import tempfile
import time

from compare import Load, cpu_s, pss_kb, with_cpu
from lab import many, zones
from lab.proc import LabError, wait_until

EACH = 18000  # sessions of one load process: it has 20,000 descriptors


def sessions(ours, quick):
    """kB for each idle TLS session."""
    for n in (10, 100, 1000, 10_000, *([] if quick else [30_000, 50_000])):
        restart(ours, workers=4 if n > 30000 else 2)
        before = pss_kb(ours.pids())
        with contextlib.ExitStack() as held:
            for first in range(0, n, EACH):
                held.enter_context(Load(ours, mode="idle", clients=64, sessions=min(EACH, n - first), messages=1))
            time.sleep(1)
            yield n, (pss_kb(ours.pids()) - before) / n


def recipients(ours, quick):
    """CPU ms for each recipient."""
    restart(ours)
    for n in (1, 10, 100, 1000):
        rounds = max(2000 // n, 5 if quick else 20)
        yield n, with_cpu(ours, clients=4, sessions=rounds, recipients=n)["cpu_s"] * 1000 / rounds / n


def octets(ours, quick):
    """CPU ms for each MB; the first ones also pay for their session."""
    restart(ours)
    for n in (1000, 10_000, 100_000, 1_000_000, 10_000_000, *([] if quick else [100_000_000])):
        messages = max(min(2000, 200_000_000 // n), 4)
        r = with_cpu(ours, clients=2, sessions=2, messages=messages // 2, size=n)
        yield n, r["cpu_s"] * 1000 / (r["messages"] * r["text_octets"] / 1e6)


def workers(ours, quick):
    """CPU ms for each message."""
    for n in (1, 2):
        restart(ours, workers=n)
        rounds = 500 if quick else 2000
        yield n, with_cpu(ours, clients=16, sessions=rounds, messages=1)["cpu_s"] * 1000 / rounds


def identities(ours, quick):
    return beyond_the_first(ours, some_identities, (1, 100, 1000, *([] if quick else [10_000, 100_000])))


def kept(ours, quick):
    return beyond_the_first(ours, some_kept, (1, 10, 100, *([] if quick else [1000])))


def beyond_the_first(ours, some, numbers):
    """What many identities cost: for each one beyond the first; and what is not said per identity."""
    alone = None
    for n in numbers:
        with tempfile.TemporaryDirectory(prefix="growth-", dir="/tmp") as state:  # the lab's /tmp is in memory
            totals, others = some(ours, n, state)
        alone = alone or totals
        yield n, others | {name: (totals[name] - alone[name]) / (n - 1) for name in totals if n > 1}


SWAPS, HANDSHAKES = 20, 2000


def some_identities(ours, n, state):
    """({what grows: its total}, {what does not: its value})"""
    listed = [{"name": zones.MX}] + [{"name": f"mx{i}.insecure.lab"} for i in range(2, n + 1)]
    totals, others = {}, {}
    start(ours, n, listed, state)  # makes the keys
    totals["CPU ms per identity, first start"] = cpu_s(ours.pids()) * 1000
    ours.stop()
    start(ours, n, listed, state)
    totals["CPU ms per identity, next start"] = cpu_s(ours.pids()) * 1000
    totals["kB per identity, all processes"] = pss_kb(ours.pids())
    edge, mx = ours.danegate, listed[-1]["name"]
    totals["CPU ms per identity, show identities"] = cpu_of(ours, lambda: edge.show("show identities"))
    totals["CPU ms per identity, reload"] = cpu_of(ours, lambda: expect_ok(edge.control(do="reload")))
    wait_until(lambda: presented(edge) == n, 60 + n / 100, "the reload to be over")
    numbers = 1, expect_ok(edge.control(do="prepare", identity=mx))["generation"]["number"]
    others["CPU ms of a swap"] = cpu_of(ours, lambda: [
        expect_ok(edge.control(do="swap", identity=mx, generation=numbers[(i + 1) % 2])) for i in range(SWAPS)]) / SWAPS
    # Once without counting: what an identity's first handshake makes is made by then, where it is kept.
    Load(ours, clients=8, sessions=min(n, 2000), messages=0, names=n).run()
    load = with_cpu(ours, clients=8, sessions=HANDSHAKES, messages=0, names=n)
    others["CPU ms of a handshake"] = load["cpu_s"] * 1000 / HANDSHAKES
    return totals, others


WATCH_S = 20  # how often the round of each identity comes: the zone's servers are listed anew, and each is asked


def some_kept(ours, n, state):
    """The same for tlsa-sync: it brings them all to STEADY, in one zone, with real name servers and this danegate."""
    with many.in_zone(ours.dns, n):
        start(ours, n, many.identities(n), state)
        sync = many.ManySync(ours.dns, ours.danegate, n, changes={
            "log": {"level": "warning"}, "tlsa_sync": {"journal": f"{state}/journal.db", "poll": "5s", "watch": f"{WATCH_S}s"}})
        try:
            return until_steady_and_after(sync, n)
        finally:
            sync.stop()


def until_steady_and_after(sync, n):
    totals, others = {}, {}
    begun = time.monotonic()
    pids = [sync.launch().proc.pid]
    sync.wait_all_steady(60 + n)
    others["seconds until all are STEADY"] = time.monotonic() - begun
    totals["CPU ms of tlsa-sync per identity, until STEADY"] = cpu_s(pids) * 1000
    rounds, used = rounds_of(sync), cpu_s(pids)
    time.sleep(WATCH_S * 1.5)
    used = cpu_s(pids) - used
    others["CPU ms of tlsa-sync per identity, each round"] = used * 1000 / (rounds_of(sync) - rounds)
    totals["kB of tlsa-sync per identity"] = pss_kb(pids)
    asked = time.monotonic()
    sync.command("status")
    others["seconds of tlsa-sync status"] = time.monotonic() - asked
    return totals, others


def rounds_of(sync):
    """How many there were so far, of all identities: each is one answer of each server."""
    answers = re.findall(r"^tlsa_sync_answers_total{.*} (\d+)$", sync.show("show metrics"), re.MULTILINE)
    return sum(map(int, answers)) / len(zones.SERVERS)


def start(ours, n, listed, state):
    """Starts it and waits until each identity is presented; prints when mail was first taken."""
    begun = time.monotonic()
    if ours.danegate.proc:
        ours.stop()
    ours.workers, ours.identities, ours.state_dir, ours.deadline_s = 2, listed, state, 60 + n / 100
    ours.begin()
    serving = time.monotonic() - begun
    wait_until(lambda: presented(ours.danegate) == n, 60 + n / 100, f"{n} identities to be presented", every_s=0.5)
    print(f"  {n:>11,} identities: port 25 answers after {serving:.1f} s, all are presented after {time.monotonic() - begun:.1f} s",
          flush=True)


def presented(edge):
    """How many are, 0 while some are on their way; few octets are asked for, so that asking costs next to nothing."""
    info = edge.show("show info")
    return int(re.search(r"^identities +\d+, (\d+) allowed", info, re.MULTILINE)[1]) if "none under way" in info else 0


def cpu_of(ours, what):
    before = cpu_s(ours.pids())
    what()
    return (cpu_s(ours.pids()) - before) * 1000


def expect_ok(answer):
    if not answer["ok"]:
        raise LabError(str(answer))
    return answer


CURVES = [
    ("sessions", sessions, "kB per idle TLS session"),
    ("recipients", recipients, "CPU ms per recipient"),
    ("octets of a message", octets, "CPU ms per MB"),
    ("workers", workers, "CPU ms per message"),
    ("identities", identities, None),
    ("kept identities", kept, None),
]


def restart(ours, workers=2):
    ours.stop()
    ours.workers, ours.identities, ours.state_dir, ours.deadline_s = workers, None, None, 20
    ours.start()


def points_of(function, unit, ours, quick):
    """{unit: [(n, value), …]} of one axis, printed as they come."""
    curves = {}
    for n, figures in function(ours, quick):
        for name, value in (figures if isinstance(figures, dict) else {unit: figures}).items():
            curves.setdefault(name, []).append((n, value))
            print(f"  {n:>11,}: {value:.4g} {name}", flush=True)
    return curves


def measure(ours, dns, only, quick, path):
    ours.dns = dns
    curves = []
    for name, function, unit in CURVES:
        if only and name.split()[0] not in only:
            continue
        print(f"\n{name}:", flush=True)
        curves += [(name, unit, points) for unit, points in points_of(function, unit, ours, quick).items()]
    path.write_text(draw([c for c in curves if len(c[2]) > 1]))
    print(f"\n{table(curves)}\n\n{path}")
    return {f"{unit}, by {name}": points for name, unit, points in curves}


def table(curves):
    """What bench/README.md shows: the same points as the plot."""
    rows = ["| what | by | values |", "|---|---|---|"]
    for name, unit, points in curves:
        rows.append(f"| {unit} | {name}, {points[0][0]:,} → {points[-1][0]:,} | " + " · ".join(f"{v:.3g}" for _, v in points) + " |")
    return "\n".join(rows)


WIDTH, HEIGHT, LEFT, TOP = 420, 220, 60, 40


def draw(curves):
    """One small chart each, both axes logarithmic: what grows in proportion is a level line."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(curves)}" '
             'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>']
    for i, (name, unit, measured) in enumerate(curves):
        points = [(n, v) for n, v in measured if v > 0]  # of a few units there may be less than the noise
        right, bottom = WIDTH - LEFT - 20, HEIGHT - TOP - 40
        top_x = max(math.log10(n) for n, _ in points) or 1
        low = math.floor(math.log10(min(v for _, v in points)))
        high = max(math.ceil(math.log10(max(v for _, v in points))), low + 1)
        x = lambda n: LEFT + right * math.log10(n) / top_x
        y = lambda v: i * HEIGHT + TOP + bottom * (high - math.log10(v)) / (high - low)
        parts.append(f'<text x="{LEFT}" y="{i * HEIGHT + 22}" font-weight="bold">{unit}, by {name}</text>')
        for e in range(low, high + 1):
            parts.append(f'<path d="M{LEFT} {y(10 ** e):.1f}h{right}" stroke="#ddd"/>'
                         f'<text x="{LEFT - 6}" y="{y(10 ** e) + 4:.1f}" text-anchor="end">{10.0 ** e:g}</text>')
        line = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>')
        for n, v in points:
            parts.append(f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="#06c"><title>{n:,}: {v:.3f}</title></circle>'
                         f'<text x="{x(n):.1f}" y="{i * HEIGHT + HEIGHT - 22}" text-anchor="middle">{n:,}</text>')
    return "\n".join(parts) + "\n</svg>\n"

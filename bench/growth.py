"""How the cost per unit grows with the number of units: sessions, recipients, octets, workers, identities.
Called by compare.py (bench/run --growth); draws build/bench/growth.svg."""

import contextlib
import time

import peers
from compare import Load, pss_kb, with_cpu
from lab import zones
from lab.proc import wait_until

EACH = 18000  # sessions of one load process: it has 20,000 descriptors


def sessions(ours):
    """kB for each idle TLS session."""
    for n in (10, 100, 1000, 10000, 30000, 50000):
        restart(ours, workers=4 if n > 30000 else 2)
        before = pss_kb(ours.pids())
        with contextlib.ExitStack() as held:
            for first in range(0, n, EACH):
                held.enter_context(Load(ours, mode="idle", clients=64, sessions=min(EACH, n - first), messages=1))
            time.sleep(1)
            yield n, (pss_kb(ours.pids()) - before) / n


def recipients(ours):
    """CPU ms for each recipient."""
    restart(ours)
    for n in (1, 10, 100, 1000):
        rounds = max(2000 // n, 20)
        yield n, with_cpu(ours, clients=4, sessions=rounds, recipients=n)["cpu_s"] * 1000 / rounds / n


def octets(ours):
    """CPU ms for each MB; the first ones also pay for their session."""
    restart(ours)
    for n in (1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000):
        messages = max(min(2000, 200_000_000 // n), 4)
        r = with_cpu(ours, clients=2, sessions=2, messages=messages // 2, size=n)
        yield n, r["cpu_s"] * 1000 / (r["messages"] * r["text_octets"] / 1e6)


def workers(ours):
    """CPU ms for each message."""
    for n in (1, 2):
        restart(ours, workers=n)
        yield n, with_cpu(ours, clients=16, sessions=2000, messages=1)["cpu_s"] * 1000 / 2000


def identities(ours):
    """kB of memory in all processes for each identity."""
    for n in (1, 10, 100, 1000, 2000):
        restart(ours, identities=[{"name": zones.MX}] + [{"name": f"mx{i}.insecure.lab"} for i in range(2, n + 1)])
        wait_until(lambda: all(i["presented"] for i in ours.danegate.control(do="report")["identities"]), 300,
                   f"{n} identities to be presented")
        yield n, pss_kb(ours.pids()) / n


CURVES = [
    ("sessions", sessions, "kB per idle TLS session"),
    ("recipients", recipients, "CPU ms per recipient"),
    ("octets of a message", octets, "CPU ms per MB"),
    ("workers", workers, "CPU ms per message"),
    ("identities", identities, "kB per identity, all processes"),
]


def restart(ours, workers=2, identities=None):
    ours.stop()
    ours.workers, ours.identities = workers, identities
    ours.deadline_s = 20 + len(identities or []) / 5  # at the first start each one's key is made
    ours.start()


def measure(ours, only, path):
    curves = []
    for name, function, unit in CURVES:
        if only and name.split()[0] not in only:
            continue
        points = []
        print(f"\n{unit}:", flush=True)
        for n, value in function(ours):
            points.append((n, value))
            print(f"  {n:>11,} {name}: {value:.3f}", flush=True)
        curves.append((name, unit, points))
    path.write_text(draw(curves))
    return {name: points for name, _, points in curves}


WIDTH, HEIGHT, LEFT, TOP = 420, 220, 60, 40


def draw(curves):
    """One small chart each, both axes logarithmic: what grows in proportion is a level line."""
    import math

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(curves)}" '
             'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>']
    for i, (name, unit, points) in enumerate(curves):
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

"""The measurements of bench/run. Everything of a row is measured round by round, one peer after the other, so that
whatever else the machine does hits all of them; the table shows medians and how far the rounds were apart."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import peers
from lab.programs import bin_dir
from lab.proc import PROJECT, LabError
from lab.world import Dns


class Load:
    """bench-load against one peer."""

    def __init__(self, peer, **options):
        self.argv = [str(bin_dir() / "bench-load"), "--to", f"{peer.address}:25"]
        for name, value in options.items():
            self.argv += [f"--{name}", str(value)]
        if peer.clear:
            self.argv.append("--clear")

    def run(self):
        done = subprocess.run(self.argv, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise LabError(f"{' '.join(self.argv)}: {done.stderr}")
        result = json.loads(done.stdout)
        if result["failed"]:
            raise LabError(f"{' '.join(self.argv)}: {result['failed']} failed: {done.stderr}")
        return result

    def __enter__(self):
        """Opens what is to be held, and waits until it stands."""
        self.proc = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.proc.stdout.readline():
            raise LabError(f"{' '.join(self.argv)}: ended with {self.proc.wait()}")
        return self

    def __exit__(self, *_):
        self.proc.stdin.close()
        self.proc.wait(60)


def cpu_s(pids):
    """CPU seconds that processes have used, threads that have ended included: their CPU-time clocks (what
    clock_getcpuclockid(3) returns)."""
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            pass  # it has ended
    return total


def pss_kb(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def with_cpu(peer, **options):
    load = Load(peer, **options)
    before = cpu_s(peer.pids())
    result = load.run()
    result["cpu_s"] = cpu_s(peer.pids()) - before
    return result


class Plan:
    """How much of each: medians of five rounds say more than one long round, in which slow peers take minutes."""

    def __init__(self, quick):
        self.n = lambda x: x // 2 if quick else x
        self.rounds = 3 if quick else 5
        self.idle = 4000 if quick else 9500
        self.crowd = 8000 if quick else 19000
        self.slow = 300 if quick else 1000


# Each row: what it measures -> {name of a number: value} of one round for one peer.

def handshake(peer, plan):
    n = plan.n(600)
    return {"cpu": with_cpu(peer, clients=8, sessions=n, messages=0)["cpu_s"] / n * 1000}


def one_per_session(peer, plan):
    n = plan.n(600)
    return {"cpu": with_cpu(peer, clients=8, sessions=n, messages=1)["cpu_s"] / n * 1000}


def ten_per_session(peer, plan):
    n = plan.n(200)
    return {"cpu": with_cpu(peer, clients=8, sessions=n, messages=10)["cpu_s"] / n * 100}


def rate_one(peer, plan):
    r = Load(peer, clients=64, sessions=plan.n(600), messages=1).run()
    return {"rate": r["messages"] / r["seconds"]}


def rate_ten(peer, plan):
    r = Load(peer, clients=64, sessions=plan.n(300), messages=10).run()
    return {"rate": r["messages"] / r["seconds"]}


def bulk(peer, plan):
    r = with_cpu(peer, clients=4, sessions=4, messages=4, size=10_000_000)
    octets = r["messages"] * r["text_octets"]
    return {"MB/s": octets / r["seconds"] / 1e6, "cpu/GB": r["cpu_s"] / octets * 1e9}


def unloaded(peer, plan):
    return {"p50": Load(peer, clients=1, sessions=plan.n(100), messages=1).run()["session_ms"]["p50"]}


def beside_idle(peer, plan):
    with Load(peer, mode="idle", clients=64, sessions=plan.idle, messages=1):
        return {"p99": Load(peer, clients=1, sessions=plan.n(100), messages=1).run()["session_ms"]["p99"]}


def beside_slow(peer, plan):
    with Load(peer, mode="slow", clients=64, sessions=plan.slow, messages=1):
        return {"p99": Load(peer, clients=1, sessions=plan.n(100), messages=1).run()["session_ms"]["p99"]}


def memory(peer, plan):
    peer.stop()
    peer.start()  # what earlier loads left behind would be taken for its own
    Load(peer, clients=8, sessions=64, messages=1).run()
    before = pss_kb(peer.pids())
    with Load(peer, mode="idle", clients=64, sessions=plan.crowd, messages=1):
        time.sleep(1)  # what a session frees when it falls idle
        return {"kB": (pss_kb(peer.pids()) - before) / plan.crowd}


# (name, measure, which of its numbers, title, peers that can't take part and why)
THREADED = {"stunnel": "a thread each", "postfix": "a process each", "haproxy": "no TLS"}
ROWS = [
    ("handshake", handshake, "cpu", "CPU-s per 1000 sessions of one full handshake", {"haproxy": "no TLS"}),
    ("message-1", one_per_session, "cpu", "CPU-s per 1000 messages, 1 per session", {}),
    ("message-10", ten_per_session, "cpu", "CPU-s per 1000 messages, 10 per session", {}),
    ("rate-1", rate_one, "rate", "messages/s, 64 clients, 1 per session", {}),
    ("rate-10", rate_ten, "rate", "messages/s, 64 clients, 10 per session", {}),
    ("bulk", bulk, "MB/s", "MB/s, 10 MB messages", {}),
    ("bulk", bulk, "cpu/GB", "CPU-s per GB, 10 MB messages", {}),
    ("latency", unloaded, "p50", "session p50, unloaded, ms", {}),
    ("latency-idle", beside_idle, "p99", "session p99 beside {idle} idle TLS sessions, ms", THREADED),
    ("latency-slow", beside_slow, "p99", "session p99 beside {slow} slow ones, ms", {"postfix": "a process each"}),
    ("memory", memory, "kB", "PSS per idle TLS session at {crowd}, kB", THREADED),
]


def measure(row, running, plan):
    """{number: {peer: [a value per round]}} of one measurement."""
    _, function, *_, excused = row
    values = {}
    for _ in range(plan.rounds if function not in (memory, beside_idle) else min(plan.rounds, 3)):
        for peer in running:
            if peer.name in excused:
                continue
            try:
                numbers = function(peer, plan)
            except (LabError, subprocess.TimeoutExpired) as e:
                print(f"  {row[0]}: {peer.name}: {str(e)[:300]}", file=sys.stderr)
                continue
            for name, value in numbers.items():
                values.setdefault(name, {}).setdefault(peer.name, []).append(value)
    return values


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.3f}"


def cell(values, ours):
    """Median, spread of the rounds, and ours as a multiple of it."""
    if not values:
        return "–"
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / middle if middle else 0
    text = f"{number(middle)} ±{spread / 2:.0%}"
    return text if values is ours or not ours else f"{text} ({statistics.median(ours) / middle:.2f})"


def print_row(row, values, names, plan):
    _, _, key, title, excused = row
    by_peer = values.get(key, {})
    ours = by_peer.get("danegate")
    cells = [f"– ({excused[n]})" if n in excused else cell(by_peer.get(n), ours) for n in names]
    print(f"| {title.format(**vars(plan))} | " + " | ".join(cells) + " |", flush=True)


def compare(running, plan, only):
    names = [p.name for p in running]
    print("Medians, ± half the spread of the rounds; in brackets: danegate as a multiple of that peer.\n")
    print("| what | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names), flush=True)
    results, measured = {}, {}
    for row in ROWS:
        if only and row[0] not in only:
            continue
        if row[0] not in measured:
            measured[row[0]] = measure(row, running, plan)
        results[row[3]] = measured[row[0]].get(row[2], {})
        print_row(row, measured[row[0]], names, plan)
    return results


def roll(dns, ours, plan):
    """Keys are swapped as fast as danegate answers, under full load: nobody may notice."""
    edge = ours.danegate
    first = edge.control(do="report")["identities"][0]["active"]
    second = edge.control(do="prepare", identity="mx1.example.lab")["generation"]["number"]
    dns.write_tlsa("mx1.example.lab", edge.records())
    quiet = Load(ours, clients=16, sessions=plan.n(4000), messages=1).run()
    load = subprocess.Popen(Load(ours, clients=16, sessions=plan.n(4000), messages=1).argv, stdout=subprocess.PIPE, text=True)
    swaps, want = 0, second
    while load.poll() is None:
        answer = edge.control(do="swap", identity="mx1.example.lab", generation=want)
        if not answer["ok"]:
            raise LabError(f"swap: {answer}")
        swaps, want = swaps + 1, first if want == second else second
    busy = json.loads(load.stdout.read())
    print("| | sessions | swaps | failed handshakes | other failures | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|---|")
    for name, r, n in (("no swap", quiet, 0), ("swap after swap", busy, swaps)):
        t = r["session_ms"]
        print(f"| {name} | {r['sessions']} | {n} | {r['failed_handshakes']} | {r['failed'] - r['failed_handshakes']} | "
              f"{t['p50']:.1f} | {t['p99']:.1f} | {t['max']:.1f} |")
    return {"quiet": quiet, "busy": busy, "swaps": swaps}


def main():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=lambda s: s.split(","))
    parser.add_argument("--peers", type=lambda s: s.split(","))
    parser.add_argument("--workers", type=int, default=peers.Peer.workers)
    parser.add_argument("--roll", action="store_true")
    parser.add_argument("--growth", action="store_true")
    args = parser.parse_args()
    plan = Plan(args.quick)
    peers.Peer.workers = args.workers
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535", "net.core.somaxconn=8192"], check=False)
    chosen = [p for p in peers.ALL if not args.peers or p.name in args.peers or p is peers.Ours]
    if args.roll or args.growth:
        chosen = [peers.Ours]
    dns = Dns().start()
    sink = peers.Sink(*peers.certificate()).start()
    running = []
    try:
        for kind in chosen:
            running.append(kind(sink.certificate, sink.key).start())
        if args.growth:
            import growth

            whole = not args.only and not args.quick  # only then it replaces the plot that bench/README.md shows
            plot = PROJECT / ("bench" if whole else "build/bench") / "growth.svg"
            results = growth.measure(running[0], dns, args.only, args.quick, plot)
        else:
            results = roll(dns, running[0], plan) if args.roll else compare(running, plan, args.only)
        (PROJECT / "build" / "bench" / "results.json").write_text(json.dumps(results, indent=1))
    finally:
        for peer in reversed(running):
            peer.stop()
        dns.stop()
    took = sink.report()
    print(f"\nThe sink took {took['messages']} messages, {took['octets'] / 1e9:.2f} GB; wrong sums: {took['wrong']}.")
    return 1 if took["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""The key rolls while mail flows, and nobody notices. test_control.py has the same with the order reversed."""

import pytest

from conftest import Stage
from lab import pin, zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


@pytest.fixture(scope="module")
def pair(world):
    """One pair of programs for this file."""
    with Stage(world, "roll") as stage:
        edge = stage.edge()
        yield edge, stage.sync(edge)


@pytest.fixture
def pinned(pair):
    pair[1].wait_steady(120)
    return pair


def roll_done(edge, sync, old_generation):
    identity = edge.identity()
    return identity["presented"] > old_generation and sync.state() == "STEADY"


def test_roll_under_continuous_sending(world, pinned):
    edge, sync = pinned
    before = edge.identity()
    old = pin.presented_digest()
    with Traffic(world.sender, world.backend) as traffic:
        traffic.more(5)
        sync.rotate()
        wait_until(lambda: roll_done(edge, sync, before["presented"]), 90, "the roll to end", every_s=0.3)
        traffic.more(10)
        account = traffic.finish()
    new = pin.presented_digest()
    assert new != old
    assert account.is_perfect(), account
    for address in zones.SERVERS.values():
        served = tlsa_at(address, zones.MX)
        assert "3 1 1 " + new in served
        assert "3 1 1 " + old not in served
    accepted, output = pin.openssl_accepts(tlsa_at(zones.PRIMARY, zones.MX))
    assert accepted, output


def test_two_rolls_in_a_row(world, pinned):
    edge, sync = pinned
    seen = [pin.presented_digest()]
    with Traffic(world.sender, world.backend, per_second=3) as traffic:
        for _ in range(2):
            sync.command("rotate", "--wait", timeout=120)
            seen.append(pin.presented_digest())
        traffic.more(3)
        account = traffic.finish()
    assert len(set(seen)) == 3, seen
    assert account.is_perfect(), account


def test_old_key_stays_published_while_holding(pinned):
    """RFC 7671 8.1 and 8.4: at every moment each server pins what is presented; sampled as fast as we can."""
    edge, sync = pinned
    first = edge.identity()["presented"]
    sync.rotate()
    samples = {}

    def sample():
        identity = edge.identity()
        before = identity["presented"]
        digest = next(g["keys"][0]["spki_sha256"] for g in identity["generations"] if g["number"] == before)
        sets = [tlsa_at(a, zones.MX) for a in zones.SERVERS.values()]
        # Swapped while we looked: the old record may be gone since, if the look took longer than HOLDING.
        if edge.identity()["presented"] == before:
            samples.setdefault(before, []).append(all("3 1 1 " + digest in s for s in sets))
        return before > first and sync.state_now() == "STEADY"

    wait_until(sample, 90, "the roll to end", every_s=0.05)
    assert {first, first + 1} <= set(samples) and all(all(s) for s in samples.values()), samples


def test_plan_changes_nothing(pinned):
    edge, sync = pinned
    before = edge.identity()["presented"]
    assert sync.command("plan").stdout.strip()
    assert edge.identity()["presented"] == before
    assert sync.state() == "STEADY"


def test_history_tells_the_roll(pinned):
    edge, sync = pinned
    sync.command("rotate", "--wait")
    history = sync.history()
    for word in ("SWAPPING", "HOLDING", "RETIRING"):
        assert word in history, history

"""abort and rollback: what an operator may ask for in the middle of a roll."""

from lab import pin, zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


def test_abort_before_the_swap(world, stage):
    """While a server lacks its key, a roll can be called off: the presented key does not change."""
    world.dns.knot.freeze(zones.ZONE)
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_state("SPREADING")
    before = edge.identity()["presented"]
    sync.rotate()
    sync.command("abort")
    world.dns.heal()
    sync.wait_steady()
    assert edge.identity()["presented"] == before
    refused = sync.command("abort", check=False)
    assert refused.returncode != 0, "there is nothing to abort any more"


def test_rollback_while_holding(world, stage):
    """One command presents the former key again, at once and without a deferral."""
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"hold": "60s"}})
    sync.wait_steady()
    old, before = pin.presented_digest(), edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.rotate()
        sync.wait_state("HOLDING")
        assert pin.presented_digest() != old
        sync.command("rollback")
        wait_until(lambda: edge.identity()["presented"] == before, 40, "the former key to be presented")
        assert pin.presented_digest() == old
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    assert "3 1 1 " + old in tlsa_at(zones.PRIMARY, zones.MX)

"""Servers that lag, fall silent or go back: the roll waits, says for whom, and goes on by itself."""

import time

from lab import zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


NOT_YET = {"PUBLISHING", "SPREADING"}  # back to the former while it asks what became of an update


def names(status):
    """What the operator reads: state, reason and culprit in one text."""
    return f"{status['state']} {status['why']} {status.get('waiting_for', '')}"


def named(sync, *texts):
    status = sync.status()
    return status if all(t in names(status) for t in texts) else None


def begin_publishing(stage):
    """danegate and a tlsa-sync whose first update is on its way."""
    edge = stage.edge()
    return edge, stage.sync(edge)


def stays(sync, states, seconds):
    """The state does not leave `states` for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = sync.state()
        assert state in states, f"went on to {state}"
        time.sleep(0.3)


def test_frozen_secondary_holds_the_roll_and_is_named(world, stage):
    world.dns.knot.freeze(zones.ZONE)
    edge, sync = begin_publishing(stage)
    sync.wait_says("ns2.example.lab", zones.KNOT_SECONDARY, states=["SPREADING"])
    stays(sync, NOT_YET, 9)  # longer than the whole wait would be
    sync.wait_says("ns2.example.lab", states=["SPREADING"])
    world.dns.heal()
    sync.wait_steady()


def test_silent_secondary_holds_the_roll_and_is_named(world, stage):
    world.dns.nsd.pause()
    edge, sync = begin_publishing(stage)
    wait_until(lambda: named(sync, "SPREADING", "ns1.example.lab", zones.NSD_SECONDARY), 40, "status to name ns1")
    stays(sync, NOT_YET, 8)
    world.dns.nsd.resume()
    sync.wait_steady()


def test_silent_primary_then_update_settled_by_asking(world, stage):
    """The update's outcome is unknown while the primary is stopped; it is asked about, not assumed."""
    world.dns.primary.pause()
    edge, sync = begin_publishing(stage)
    time.sleep(4)
    assert sync.state() in ("PREPARING", "PUBLISHING", "SPREADING")
    world.dns.primary.resume()
    sync.wait_steady()
    served = world.dns.served()
    assert all(len(s) == 2 for s in served.values()), served


def test_regression_resets_the_clock(world, stage):
    """A secondary that goes back to an old zone during AGEING starts the wait again."""
    edge = stage.edge()
    before = world.dns.copy_of_zone()
    sync = stage.sync(edge, changes={"tlsa_sync": {"floor": "1h"}})
    sync.wait_state("AGEING")
    undo = world.dns.serve_old(world.dns.nsd, before)
    fell = wait_until(lambda: named(sync, "SPREADING", "ns1.example.lab"), 20, "to fall back to SPREADING")
    undo()
    world.dns.heal()
    again = sync.wait_state("AGEING")
    assert again["at"] >= fell["now"] + 3600, "the wait must start again after a regression"


def test_freeze_during_a_roll_never_stops_mail(world, pinned):
    """Frozen in the middle of a roll: the old record must stay wherever a cache may find it."""
    edge, sync = pinned
    first = edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.rotate()
        wait_until(lambda: edge.identity()["presented"] > first, 30, "the swap")
        world.dns.knot.freeze(zones.ZONE)
        sync.wait_state("RETIRING", "PREPARING", "PUBLISHING", "SPREADING")
        stays(sync, {"RETIRING", "PREPARING", *NOT_YET}, 8)  # not steady while ns2 still serves the old set
        world.dns.heal()
        sync.wait_steady()
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account


def test_foreign_record_is_reported_and_kept(world, pinned):
    """A record somebody else made is an alarm, never a deletion."""
    edge, sync = pinned
    foreign = "3 1 1 " + "f0" * 32
    ours = tlsa_at(zones.PRIMARY, zones.MX)
    world.dns.write_tlsa(zones.MX, ours | {foreign})
    wait_until(lambda: "f0f0f0" in str(sync.status()["alarms"]), 20, "an alarm about the foreign record")
    sync.wait_says("f0f0f0")
    sync.command("rotate", "--wait")
    assert foreign in tlsa_at(zones.PRIMARY, zones.MX)


def test_removed_record_is_put_back(world, pinned):
    """Drift: one of our records was deleted by hand."""
    edge, sync = pinned
    ours = tlsa_at(zones.PRIMARY, zones.MX)
    standby = "3 1 1 " + edge.digest(max(g["number"] for g in edge.identity()["generations"]))
    world.dns.send_tlsa(zones.MX, ours - {standby})  # and not waited for: it may be mended before every server has heard
    wait_until(lambda: tlsa_at(zones.PRIMARY, zones.MX) == ours, 30, "the record to be put back")
    sync.wait_steady()

"""What a person should look at, and on_event, the command that is told."""

import json

import pytest

from conftest import Stage
from lab import zones
from lab.proc import RUN, wait_until
from lab.query import tlsa_at


@pytest.fixture(scope="module")
def pair(world):
    """One pair of programs for the tests that leave it in the steady state."""
    with Stage(world, "alarms") as stage:
        edge = stage.edge()
        sync = stage.sync(edge)
        yield edge, sync


@pytest.fixture
def pinned(pair):
    pair[1].wait_steady()
    return pair


def alarmed(sync, words):
    return next((a for a in sync.status()["alarms"] if words in a), None)


@pytest.fixture
def listener():
    """A command that appends what it is told to a file; returns the command and a reader of the events."""
    heard = RUN / "heard"
    heard.unlink(missing_ok=True)
    script = RUN / "listener"
    script.write_text(f"#!/bin/sh\ncat >> {heard}\necho >> {heard}\n")
    script.chmod(0o755)
    return str(script), lambda: [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []


def test_on_event_is_told_of_states_and_alarms(world, stage, listener):
    command, events = listener
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"on_event": [command]}})
    sync.wait_steady()
    wait_until(lambda: [e for e in events() if e["state"] == "STEADY"], 10, "STEADY to be told")
    # In this order; a server that is slow to answer may take it back a step in between.
    states = list(dict.fromkeys(e["state"] for e in events() if e["event"] == "state"))
    assert states == ["PREPARING", "PUBLISHING", "SPREADING", "AGEING", "STEADY"]
    assert all(e["identity"] == zones.MX and e["at"] > 1_600_000_000 and e["words"] for e in events())
    assert not [e for e in events() if "f0f0f0" in e["words"]], "nothing is wrong yet"
    ours = tlsa_at(zones.PRIMARY, zones.MX)
    world.dns.write_tlsa(zones.MX, ours | {"3 1 1 " + "f0" * 32})
    wait_until(lambda: [e for e in events() if e["event"] == "alarm" and "f0f0f0" in e["words"]], 20, "the alarm to be told")
    world.dns.write_tlsa(zones.MX, ours)
    wait_until(lambda: [e for e in events() if e["event"] == "alarm-over" and "f0f0f0" in e["words"]], 20, "its end to be told")
    log = sync.log_text()
    assert len([line for line in log.splitlines() if "event=alarm " in line and "f0f0f0" in line]) == 1, "logged once"
    wait_until(lambda: sync.show("show alarms") == "no alarms\n" and sync.json("show alarms") == {zones.MX: []}, 30, "no alarms")


def test_on_event_that_hangs_or_fails_delays_nothing(stage):
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"on_event": ["/bin/sleep", "600"]}})
    sync.wait_steady()
    sync.command("rotate", "--wait")
    assert edge.identity()["presented"] == 2
    sync.stop()
    sync.change_config({"tlsa_sync": {"on_event": ["/bin/false"]}})
    sync.start()
    sync.rotate()
    wait_until(lambda: edge.identity()["presented"] == 3, 30, "the next swap")
    wait_until(lambda: "/bin/false" in sync.show("show errors"), 10, "the failure among the errors")
    wait_until(lambda: 'tlsa_sync_events_total{outcome="failed"} 0' not in sync.show("show metrics"), 10, "it to be counted")


def test_a_secondary_may_lag_for_longer_than_the_wait(stage):
    """The zone's SOA says refresh 5s; with this TTL and no margin the wait is 4s."""
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"cache_margin": "0s"}})
    sync.wait_says("! the SOA's refresh of 5s is longer than the wait of 4s")


def test_a_lost_ds_is_an_alarm(world, pinned):
    """The commonest way in which DANE is silently off: the parent does not vouch for the zone any more."""
    edge, sync = pinned
    top = world.dns.top
    whole = (top.dir / "lab.zone").read_text()
    top.write("lab.zone", "".join(line + "\n" for line in whole.splitlines()
                                  if not (line.startswith(f"{zones.ZONE}.") and " DS " in line)))
    try:
        top.control("-b", "zone-reload", "lab.")
        told = wait_until(lambda: alarmed(sync, "has no DS at its parent"), 30, "the alarm")
        assert zones.ZONE in told
        secure = 'tlsa_sync_zone_secure{identity="mx1.example.lab",zone="example.lab"} '
        wait_until(lambda: secure + "0" in sync.show("show metrics"), 20, "the metric to say so")
    finally:
        top.write("lab.zone", whole)
        top.control("-b", "zone-reload", "lab.")
    wait_until(lambda: not sync.status()["alarms"], 30, "the alarms to end")
    sync.wait_steady()


def test_drift_is_an_alarm_and_mended(world, pinned):
    edge, sync = pinned
    ours = tlsa_at(zones.PRIMARY, zones.MX)
    presented = "3 1 1 " + edge.digest(edge.identity()["presented"])
    world.dns.send_tlsa(zones.MX, ours - {presented})
    # A sender would defer its mail: that is worth a line, however quickly it is mended.
    wait_until(lambda: "serves no record of the ecdsa-p256 key" in sync.log_text(), 20, "the alarm")
    wait_until(lambda: tlsa_at(zones.PRIMARY, zones.MX) == ours, 30, "the record to be put back")
    sync.wait_steady()
    wait_until(lambda: not sync.status()["alarms"], 20, "the alarms to end")

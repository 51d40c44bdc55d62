"""What the primary may answer to an update, or not: right state, right words, and on again once it is mended."""

import re

import pytest

from lab import zones
from lab.nameservers import Knot, wait_answering
from lab.proc import Proc, wait_until
from lab.query import tlsa_at

KINDS = ["bind", "pdns", "knot"]  # the last stays for the tests that need no other
WRONG_SECRET = "d3Jvbmcgc2VjcmV0IHdyb25nIHNlY3JldCB3cm9uZyE="

# What each says of a wrong secret, and of a key that is known and may not do this.
WORDS = {
    "knot": {"secret": ["BADSIG", "the secret of key tlsa-sync-key differs there"],
             "rights": ["BADKEY", "the key may not change this name or type"]},
    "bind": {"secret": ["BADSIG", "the secret of key tlsa-sync-key differs there"],
             "rights": ["REFUSED", "the key may not change this name or type"]},
    "pdns": {"secret": ["REFUSED", "(PowerDNS) the TSIG key, secret or time is wrong"],
             "rights": None},  # it says NOERROR and leaves out what is not allowed
}


@pytest.fixture(scope="module", params=KINDS)
def kind(world, request):
    world.dns.use_primary(request.param)
    return request.param


@pytest.fixture
def knot_primary(world):
    if not isinstance(world.dns.primary, Knot):
        world.dns.use_primary("knot")
    return world.dns.primary


def wait_published(world, edge):
    """Every server serves what the edge has: the update has got through."""
    wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")


def reload_with(sync, changes):
    sync.change_config(changes)
    before = sync.log_text().count("event=start")
    sync.proc.popen.send_signal(1)  # SIGHUP
    wait_until(lambda: sync.log_text().count("event=start") > before and sync.ready(), 20, "tlsa-sync to reload")


def test_wrong_secret_then_no_rights(kind, world, stage):
    """Both are found at the first publication; nothing is served, and each cure is enough."""
    edge = stage.edge()
    sync = stage.sync(edge, start=False)
    sync.secret.write_text(WRONG_SECRET + "\n")
    sync.start()
    sync.wait_says(zones.PRIMARY, "DNS could not be changed now", *WORDS[kind]["secret"], states=["PUBLISHING"])

    # The key that may only transfer: known there, without the right to update.
    transfer_only = world.dns.transfer_key
    sync.secret.write_text(transfer_only.secret + "\n")
    reload_with(sync, {"tlsa_sync": {"rfc2136": {"tsig_name": transfer_only.name}}})
    if WORDS[kind]["rights"]:
        sync.wait_says(zones.PRIMARY, transfer_only.name if kind == "knot" else "REFUSED", *WORDS[kind]["rights"],
                    states=["PUBLISHING", "SPREADING"])
    else:
        sync.wait_says(f"ns0.example.lab ({zones.PRIMARY}) still serves serial", states=["PUBLISHING", "SPREADING"])
    assert tlsa_at(zones.PRIMARY, zones.MX) == set()

    sync.secret.write_text(world.dns.key.secret + "\n")
    reload_with(sync, {"tlsa_sync": {"rfc2136": {"tsig_name": world.dns.key.name}}})
    wait_published(world, edge)
    wait_until(lambda: not any("could not be changed" in a for a in sync.status()["alarms"]), 20, "the alarm to end")


def test_timeout_then_applied(kind, world, stage):
    """The primary stops before it answers: the update is in its queue. What became of it is not assumed; once it
    runs on, the servers tell."""
    edge = stage.edge()
    world.dns.primary.pause()
    sync = stage.sync(edge, changes={"tlsa_sync": {"rfc2136": {"timeout": "2s"}}})
    try:
        sync.wait_says("may have been applied", states=["PUBLISHING", "SPREADING"], deadline_s=40)
    finally:
        world.dns.primary.resume()
    wait_published(world, edge)
    wait_until(lambda: sync.state() in ("SPREADING", "AGEING", "STEADY"), 30, "the roll to go on")
    assert "not known to have taken effect" in sync.history()


def test_wrong_server(knot_primary, world, stage):
    """Servers that are not the primary, each in its own words; then the right one."""
    edge = stage.edge()
    sync = None
    for server, words in (
        (zones.ROOT_SERVER, ["NOTAUTH", "does not serve this zone"]),
        (zones.NSD_SECONDARY, ["NOTIMP", "it is not the primary"]),
        (zones.KNOT_SECONDARY, ["BADKEY", "this is not the primary"]),
        ("127.25.0.99", ["connection refused", "the update was not sent"]),
    ):
        changes = {"tlsa_sync": {"rfc2136": {"server": server}}}
        if sync:
            reload_with(sync, changes)
        else:
            sync = stage.sync(edge, changes=changes)
        sync.wait_says(f"{server}:53", *words, states=["PUBLISHING"])
    reload_with(sync, {"tlsa_sync": {"rfc2136": {"server": zones.PRIMARY}}})
    wait_published(world, edge)


@pytest.mark.parametrize("skew,direction", [("+10m", "ahead of"), ("-10m", "behind")])
def test_clock_skew(knot_primary, world, stage, skew, direction):
    """The primary's clock is off by more than the 300 s that TSIG allows (RFC 8945 10): which one, and by how much."""
    primary = knot_primary
    edge = stage.edge()
    right = primary.proc
    primary.stop()
    primary.proc = Proc(["faketime", "-f", skew, *right.argv], right.log).start()
    try:
        wait_answering([primary], zones.ZONE)
        sync = stage.sync(edge)
        sync.wait_says(f"{zones.PRIMARY}:53 says that the clocks differ too much (BADTIME)", "Set the time on both", states=["PUBLISHING"])
        told = wait_until(lambda: re.search(r"its clock is (\d+) s (ahead of|behind) ours", sync.command("status").stdout), 30, "by how much")
        assert 590 <= int(told[1]) <= 610 and told[2] == direction, told[0]  # an answer may take a while
        assert tlsa_at(zones.PRIMARY, zones.MX) == set()
    finally:
        primary.stop()
        primary.start()
    wait_answering([primary], zones.ZONE)
    wait_published(world, edge)


def test_a_wrong_key_is_found_before_it_matters(knot_primary, world, stage):
    """In the steady state nothing is to be changed; yet that it could not be is an alarm, which goes by itself."""
    primary = knot_primary
    sample = primary.dir / "sample.conf"
    good = sample.read_text()
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_steady()
    assert not sync.status()["alarms"]
    sync.stop()
    sample.write_text(good.replace(world.dns.key.secret, WRONG_SECRET))
    try:
        primary.control("reload")
        sync.start()
        # It looks at the servers anew after a start.
        sync.wait_says("DNS could not be changed now", "BADSIG", states=["STEADY", "SPREADING", "AGEING"])
    finally:
        sample.write_text(good)
        primary.control("reload")
    wait_until(lambda: not sync.status()["alarms"], 20, "the alarm to end")

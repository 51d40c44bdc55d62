"""Other primaries than Knot, signing with NSEC and with NSEC3, each with NSD and Knot as secondaries: whole
rolls while mail flows, and all that an operator may ask for. tlsa-sync has the rights that the samples in
config/examples give it, and no others."""

import dns.rdatatype
import pytest

from lab import pin, zones
from lab.proc import wait_until
from lab.query import must_answer
from lab.traffic import Traffic, roll_under_traffic

# Each primary with both kinds of denial: it rolls with one of them, and does the rest with the other.
ASKED = [("bind", False), ("pdns", True)]
ROLLED = [("bind", True), ("pdns", False), ("knot", True)]


@pytest.fixture(scope="module")
def primary(world, request):
    kind, nsec3 = request.param
    world.dns.use_primary(kind, nsec3)
    wait_until(lambda: ("NSEC3" if nsec3 else "NSEC") in denial_types(), 30, "the kind of denial")  # BIND adds NSEC3 later
    yield request.param
    if request.param == ROLLED[-1]:
        world.dns.use_primary("knot")


def name_of(param):
    return param[0] + ("-nsec3" if param[1] else "-nsec")


def denial_types():
    """Of which types is the proof that mx1's neighbour has no TLSA records?"""
    reply = must_answer(zones.RESOLVER, f"_25._tcp.nobody.{zones.ZONE}.", "TLSA")
    return {dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.authority}


@pytest.mark.parametrize("primary", ASKED, indirect=True, ids=name_of)
def test_what_an_operator_asks_for(primary, world, stage):
    """A record made by hand is taken over; a roll goes back; an emergency; a roll is given up; DANE is switched off."""
    edge = stage.edge()
    world.dns.write_tlsa(zones.MX, ["3 0 1 " + pin.certificate_digest_of_pem(pin.presented_certificate()[0])])
    sync = stage.sync(edge, changes={"tlsa_sync": {"own_rrset": True, "hold": "1h"}})

    def served_is(records, what):
        wait_until(lambda: all(served == records for served in world.dns.served().values()), 60, what)

    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.wait_steady()
        served_is(edge.records(), "only records of the keys, on every server")
        old, first = "3 1 1 " + pin.presented_digest(), edge.identity()["presented"]

        sync.rotate()
        sync.wait_state("HOLDING")
        assert edge.identity()["presented"] > first
        sync.command("rollback", "--wait")
        assert edge.identity()["presented"] == first
        served_is(edge.records(), "the records of before and of a new next key")

        sync.command("rotate", "--emergency")
        wait_until(lambda: edge.identity()["presented"] > first, 40, "the next key to be presented")
        wait_until(lambda: not any(old in served for served in world.dns.served().values()), 60, "the old record to be gone")

        wait_until(lambda: sync.status()["roll"]["end"] == "done", 60, "the emergency's roll to end")

        now = edge.identity()["presented"]
        world.dns.knot.pause()  # no swap is asked for while a server is silent
        sync.rotate()
        assert "the rotation is cancelled" in sync.command("abort").stdout
        world.dns.knot.resume()
        assert sync.status()["roll"]["end"] == "aborted"
        account = traffic.finish()
    assert account.is_perfect(), account

    sync.command("disable")
    served_is(set(), "all records to be gone")
    sync.wait_state("WITHDRAWING", "DISABLED")
    assert edge.identity()["presented"] == now


@pytest.mark.parametrize("primary", ROLLED, indirect=True, ids=name_of)
def test_whole_roll(primary, world, stage):
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_steady()
    before = edge.records()
    assert all(served == before for served in world.dns.served().values())
    roll_under_traffic(world, edge, sync)
    after = edge.records()
    assert len(after) == 2 and len(after & before) == 1
    assert all(served == after for served in world.dns.served().values())

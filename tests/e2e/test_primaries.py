"""Other primaries than Knot, signing with NSEC and with NSEC3, each with NSD and Knot as secondaries: whole
rolls while mail flows. tlsa-sync has the rights that the samples in config/examples give it, and no others."""

import dns.rdatatype
import pytest

from lab import zones
from lab.proc import wait_until
from lab.query import must_answer
from lab.traffic import roll_under_traffic

PRIMARIES = [("bind", False), ("bind", True), ("pdns", False), ("pdns", True), ("knot", True)]
ROLLED = [("bind", True), ("pdns", False), ("knot", True)]


@pytest.fixture(scope="module", params=PRIMARIES, ids=lambda p: p[0] + ("-nsec3" if p[1] else "-nsec"))
def primary(world, request):
    kind, nsec3 = request.param
    world.dns.use_primary(kind, nsec3)
    yield request.param
    if request.param == PRIMARIES[-1]:
        world.dns.use_primary("knot")


def denial_types():
    """Of which types is the proof that mx1's neighbour has no TLSA records?"""
    reply = must_answer(zones.RESOLVER, f"_25._tcp.nobody.{zones.ZONE}.", "TLSA")
    return {dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.authority}


def test_whole_roll(primary, world, stage):
    """For some of them only the first publication, which takes less time: the rolls differ in the primary, not in
    the kind of denial."""
    kind, nsec3 = primary
    wait_until(lambda: ("NSEC3" if nsec3 else "NSEC") in denial_types(), 30, "the kind of denial")  # BIND adds NSEC3 later
    edge = stage.edge()
    sync = stage.sync(edge)
    if primary not in ROLLED:
        wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")
        sync.wait_state("AGEING", "STEADY")
        return
    sync.wait_steady()
    before = edge.records()
    assert all(served == before for served in world.dns.served().values())
    roll_under_traffic(world, edge, sync)
    after = edge.records()
    assert len(after) == 2 and len(after & before) == 1
    assert all(served == after for served in world.dns.served().values())

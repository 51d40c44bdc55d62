"""Zones of other shapes: the records behind an alias into another zone, and a name server that has only an
IPv6 address."""

import pytest

from lab import zones
from lab.proc import wait_until
from lab.query import answers, must_answer, tlsa_of
from lab.traffic import roll_under_traffic


@pytest.fixture(scope="module")
def shaped(world):
    world.dns.use_primary("knot", six=True, alias=True)
    yield world
    world.dns.use_primary("knot")


def at_alias():
    """The TLSA set behind the alias."""
    return tlsa_of(zones.ROOT_SERVER, zones.ALIAS_OWNER + ".")


def test_roll_behind_an_alias(shaped, stage):
    """The records are written where the alias ends, and only there; the servers of both zones are watched, one of
    them over IPv6, and each of them holds the roll."""
    world = shaped
    edge = stage.edge()
    world.dns.six.pause()
    sync = stage.sync(edge)

    def waits_for_six():
        status = sync.status()
        return status["state"] == "SPREADING" and f"ns3.example.lab ({zones.SIX_SECONDARY})" in status["waiting_for"]

    wait_until(waits_for_six, 40, "the IPv6 server to be waited for", every_s=0.3)
    world.dns.six.resume()
    sync.wait_steady()
    assert at_alias() == edge.records()
    sync.wait_says(zones.ROOT_SERVER, zones.SIX_SECONDARY, "has the alias")
    roll_under_traffic(world, edge, sync)
    assert at_alias() == edge.records()
    for server in world.dns.servers:
        found = answers(must_answer(server.address, f"_25._tcp.{zones.MX}.", "CNAME"), "CNAME")
        assert found == [zones.ALIAS_OWNER + "."], (server.name, found)

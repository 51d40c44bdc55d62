"""Two danegate instances behind one MX name: they roll together, under mail, one of them down for part of it."""

import pytest

from lab import pin, zones
from lab.proc import wait_until
from lab.query import ask, answers, tlsa_at, update_set
from lab.traffic import Traffic


@pytest.fixture
def two_addresses(world):
    """mx1 has an address for each instance."""
    def publish(addresses):
        update_set(zones.PRIMARY, zones.ZONE, world.dns.hand_key, zones.MX + ".", "A", addresses, zones.TTL_S)
        wait_until(lambda: all(set(answers(ask(a, zones.MX + ".", "A"), "A")) == set(addresses) for a in zones.SERVERS.values()),
                   30, "the addresses of mx1 on every server")
        world.dns.resolver.flush()

    publish([zones.EDGE, zones.EDGE_TWO])
    yield
    publish([zones.EDGE])


def presented(edges):
    return [edge.identity()["presented"] for edge in edges]


def test_two_instances_roll_together_one_of_them_down_for_a_while(world, stage, two_addresses):
    edges = [stage.edge(), stage.edge(name="edge2", address=zones.EDGE_TWO)]
    sync = stage.sync(*edges)
    sync.wait_steady()
    assert tlsa_at(zones.PRIMARY, zones.MX) == edges[0].records() | edges[1].records(), "the union of what both report"
    assert len(tlsa_at(zones.PRIMARY, zones.MX)) == 4
    before = presented(edges)
    old = {pin.presented_digest(zones.EDGE), pin.presented_digest(zones.EDGE_TWO)}
    with Traffic(world.sender, world.backend, per_second=6) as traffic:
        traffic.more(6)
        edges[1].stop()
        sync.rotate()
        wait_until(lambda: "edge2/control.sock" in sync.status()["waiting_for"], 30, "status to name the instance that is down")
        traffic.more(10)
        assert edges[0].identity()["presented"] == before[0], "nobody swaps while one can't be asked"
        wait_until(lambda: "does not answer" in sync.command("explain").stdout, 20, "explain to say so")
        edges[1].start_serving()
        wait_until(lambda: presented(edges) == [n + 1 for n in before], 40, "both to present their next key")
        edges[1].stop()  # and once more, while the old records are still there
        traffic.more(6)
        edges[1].start_serving()
        sync.wait_steady(90)
        traffic.more(6)
        account = traffic.finish()
    assert account.is_perfect(), account
    new = {pin.presented_digest(zones.EDGE), pin.presented_digest(zones.EDGE_TWO)}
    served = tlsa_at(zones.PRIMARY, zones.MX)
    assert not old & new
    assert {"3 1 1 " + d for d in new} <= served and not {"3 1 1 " + d for d in old} & served
    assert served == edges[0].records() | edges[1].records()

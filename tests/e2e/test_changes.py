"""What is published changes under mail: another list of algorithms, another digest (RFC 7671 8.3)."""

import sqlite3

from lab import zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


def everywhere():
    """The TLSA sets of all servers, which have to be equal."""
    sets = [tlsa_at(a, zones.MX) for a in zones.SERVERS.values()]
    return sets[0] if all(s == sets[0] for s in sets) else set()


def test_an_algorithm_is_added(world, stage):
    """The standby is made anew with both keys, and what is presented changes with the next roll."""
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_steady()
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        traffic.more(2)
        edge.change_config({"identities": [{"name": zones.MX, "algorithms": ["ecdsa-p256", "rsa-3072"]}]})
        assert edge.reload()["ok"]
        wait_until(lambda: len(everywhere()) == 3, 60, "one key now and two to come")
        sync.wait_steady()
        assert everywhere() == edge.records()
        sync.command("rotate", "--wait")
        sync.wait_steady()
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    identity = edge.identity()
    presented = next(g for g in identity["generations"] if g["number"] == identity["presented"])
    assert [k["algorithm"] for k in presented["keys"]] == ["ecdsa-p256", "rsa-3072"]
    assert everywhere() == edge.records() and len(everywhere()) == 4


def test_another_digest(world, stage):
    """3 1 2 is published for every key, and when no cache can lack it 3 1 1 goes: never one without the other key."""
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_steady()
    before = everywhere()
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        traffic.more(2)
        sync.stop()
        with sqlite3.connect(sync.config["tlsa_sync"]["journal"]) as journal:
            # The updates of a moment ago are old: none of them can be late any more.
            journal.execute("UPDATE identity SET count_ms = count_ms + 700000")
        journal.close()
        sync.change_config({"tlsa_sync": {"digests": ["sha2-512"]}})
        sync.start()
        both = wait_until(lambda: len(everywhere()) == 4 and everywhere(), 60, "both kinds of record")
        assert before < both
        wait_until(lambda: len(everywhere()) == 2, 60, "the former records to be gone")
        sync.wait_steady()
        assert all(r.startswith("3 1 2 ") for r in everywhere()), everywhere()
        sync.command("rotate", "--wait")
        sync.wait_steady()
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    assert all(r.startswith("3 1 2 ") for r in everywhere()) and len(everywhere()) == 2

"""The key rolls while mail flows: nobody notices. And the same with the order reversed: senders must notice."""

from lab import pin, zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


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


def test_three_rolls_in_a_row(world, pinned):
    edge, sync = pinned
    seen = [pin.presented_digest()]
    with Traffic(world.sender, world.backend, per_second=3) as traffic:
        for _ in range(3):
            sync.command("rotate", "--wait", timeout=120)
            seen.append(pin.presented_digest())
        traffic.more(3)
        account = traffic.finish()
    assert len(set(seen)) == 4, seen
    assert account.is_perfect(), account


def test_old_key_stays_published_while_holding(pinned):
    """RFC 7671 8.1 and 8.4: at every moment each server pins what is presented; sampled as fast as we can."""
    edge, sync = pinned
    first = edge.identity()["presented"]
    sync.rotate()
    samples = []

    def sample():
        before = edge.identity()["presented"]
        sets = [tlsa_at(a, zones.MX) for a in zones.SERVERS.values()]
        after = edge.identity()["presented"]
        for generation in {before, after}:
            digest = next((g["keys"][0]["spki_sha256"] for g in edge.identity()["generations"] if g["number"] == generation), None)
            samples.append(digest is None or all("3 1 1 " + digest in s for s in sets))
        return after > first and sync.state() == "STEADY"

    wait_until(sample, 90, "the roll to end", every_s=0.1)
    assert len(samples) > 20 and all(samples)


def test_reversed_order_is_noticed_by_senders(world, stage):
    """The control: swap first, publish afterwards. DNS pins a key that the edge does not present, because
    danegate started before the record appeared. If this does not defer, the tests above can't fail."""
    edge = stage.edge()
    right = "3 1 1 " + pin.presented_digest()
    world.dns.write_tlsa(zones.MX, [right])
    with Traffic(world.sender, world.backend) as traffic:
        traffic.more(5)
        world.dns.write_tlsa(zones.MX, ["3 1 1 " + "ee" * 32])  # what DNS says before the late update
        wait_until(lambda: traffic.account().deferred, 30, "a deferral", every_s=0.3)
        world.dns.write_tlsa(zones.MX, [right])  # the late update
        account = traffic.finish()
    assert account.deferred > 0, account
    assert not account.lost and not account.duplicated, account
    assert edge.running()


def test_plan_changes_nothing(pinned):
    edge, sync = pinned
    before = edge.identity()["presented"]
    assert sync.command("plan").stdout.strip()
    assert edge.identity()["presented"] == before
    assert sync.state() == "STEADY"


def test_abort_before_the_swap(stage):
    """While its key still ages, a roll can be called off: the presented key does not change."""
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_state("SPREADING", "AGEING")
    before = edge.identity()["presented"]
    sync.rotate()
    sync.command("abort")
    sync.wait_steady()
    assert edge.identity()["presented"] == before
    refused = sync.command("abort", check=False)
    assert refused.returncode != 0, "there is nothing to abort any more"


def test_history_tells_the_roll(pinned):
    edge, sync = pinned
    sync.command("rotate", "--wait")
    history = sync.history()
    for word in ("SWAPPING", "HOLDING", "RETIRING"):
        assert word in history, history

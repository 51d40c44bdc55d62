"""The controls: what must go wrong goes wrong. If these pass mail, the other tests prove nothing."""

from lab import pin, zones
from lab.proc import wait_until
from lab.traffic import Traffic, submit


def test_unpinned_edge_gets_nothing_from_a_dane_only_sender(world, edge):
    """The control: without a record the sender must defer, or the tests above prove nothing."""
    sent = submit(world.sender)
    wait_until(lambda: world.sender.deferred(sent), 20, "the message to be deferred")
    assert world.backend.delivered()[sent] == 0


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

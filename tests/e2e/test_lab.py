"""The laboratory checks itself: without any program of ours, a right pin delivers and a wrong one defers.
If these fail, no other e2e result means anything."""

import dns.flags
import pytest

from lab import pin, zones
from lab.client import Client, Closed
from lab.fakebackend import DROP
from lab.proc import wait_until
from lab.query import is_secure, must_answer
from lab.traffic import Traffic, submit

TO_MX2 = f"user@{zones.DOMAIN_HAND}"


@pytest.fixture(scope="module")
def right_record(world):
    return world.start_mx2()


def test_chain_validates_from_the_private_root(world):
    for name, rrtype in ((zones.MX, "A"), (zones.DOMAIN, "MX")):
        wait_until(lambda: is_secure(zones.RESOLVER, name, rrtype), 20, f"{name} {rrtype} to validate")


def test_unsigned_and_broken_children_are_told_apart(world):
    assert not must_answer(zones.RESOLVER, "mx1.insecure.lab.", "A").flags & dns.flags.AD
    assert must_answer(zones.RESOLVER, "mx1.insecure.lab.", "A").answer
    assert must_answer(zones.RESOLVER, "mx1.broken.lab.", "A").rcode() == 2  # SERVFAIL


def test_every_server_serves_an_update(world):
    record = "3 1 1 " + "ab" * 32
    world.dns.write_tlsa(zones.MX_HAND, [record])
    assert world.dns.served(zones.MX_HAND) == {"primary": {record}, "ns1": {record}, "ns2": {record}}


def test_right_pin_delivers_verified(world, right_record):
    world.dns.write_tlsa(zones.MX_HAND, [right_record])
    message = submit(world.sender, TO_MX2)
    wait_until(lambda: world.sender.sent(message), 20, "the message to be sent")
    wait_until(lambda: world.mx2.delivered()[message] == 1, 10, "the message in the Maildir")
    assert world.sender.tls["Verified"] >= 1
    accepted, output = pin.openssl_accepts([right_record], zones.HAND_MX, 25, zones.MX_HAND)
    assert accepted, output


def test_wrong_pin_defers_until_it_is_right_again(world, right_record):
    wrong = "3 1 1 " + "cd" * 32
    world.dns.write_tlsa(zones.MX_HAND, [wrong])
    accepted, output = pin.openssl_accepts([wrong], zones.HAND_MX, 25, zones.MX_HAND)
    assert not accepted, output

    def deferred():  # Postfix remembers the old record for TTL + 1 s, so the first may still go through
        message = submit(world.sender, TO_MX2)
        wait_until(lambda: world.sender.read_log().outcomes[message], 20, "an outcome")
        return message if world.sender.deferred(message) else None

    message = wait_until(deferred, 20, "a message to be deferred", every_s=1)
    assert any("not verified" in reason for reason in world.sender.reasons), world.sender.reasons
    world.dns.write_tlsa(zones.MX_HAND, [right_record])
    wait_until(lambda: world.sender.flush() or world.sender.sent(message), 30, "the deferred message to go", every_s=0.5)
    wait_until(lambda: world.mx2.delivered()[message] == 1, 10, "the message in the Maildir")


def test_frozen_secondary_keeps_the_old_set(world):
    old, new = "3 1 1 " + "01" * 32, "3 1 1 " + "02" * 32
    world.dns.write_tlsa(zones.MX_HAND, [old])
    world.dns.knot.freeze(zones.ZONE)
    world.dns.send_tlsa(zones.MX_HAND, [new])
    wait_until(lambda: world.dns.served(zones.MX_HAND)["ns1"] == {new}, 10, "ns1 to follow")
    assert world.dns.served(zones.MX_HAND)["ns2"] == {old}
    world.dns.heal()
    assert world.dns.served(zones.MX_HAND)["ns2"] == {new}


def test_regressing_secondary(world):
    old, new = "3 1 1 " + "03" * 32, "3 1 1 " + "04" * 32
    world.dns.write_tlsa(zones.MX_HAND, [old])
    copy = world.dns.copy_of_zone()
    world.dns.write_tlsa(zones.MX_HAND, [new])
    undo = world.dns.serve_old(world.dns.nsd, copy)
    assert world.dns.served(zones.MX_HAND)["ns1"] == {old}
    undo()
    world.dns.heal()
    assert world.dns.served(zones.MX_HAND)["ns1"] == {new}


def test_account_of_steady_traffic(world, right_record):
    world.dns.write_tlsa(zones.MX_HAND, [right_record])
    world.sender.forget()
    with Traffic(world.sender, world.mx2, per_second=10, recipient=TO_MX2) as traffic:
        traffic.more(20)
        account = traffic.finish()
    assert account.is_perfect() and account.submitted >= 20, account


def test_account_notices_deferrals(world, right_record):
    """Traffic's account must be able to say no."""
    world.dns.write_tlsa(zones.MX_HAND, ["3 1 1 " + "dd" * 32])
    world.sender.forget()
    with Traffic(world.sender, world.mx2, recipient=TO_MX2) as traffic:
        wait_until(lambda: traffic.account().deferred >= 2, 20, "deferrals")
        world.dns.write_tlsa(zones.MX_HAND, [right_record])
        account = traffic.finish()
    assert account.deferred >= 2 and not account.is_perfect()
    assert not account.lost and not account.duplicated, account


def test_fake_backend_does_as_told(fake):
    host, port = fake.address.split(":")
    with Client(host, int(port)) as client:
        client.ehlo()
        assert client.deliver("one\r\n.\r\ntwo") == 250
    assert fake.accepted == [b"one\r\n..\r\ntwo\r\n"]
    fake.behave(dot="452 4.3.1 full")
    with Client(host, int(port)) as client:
        client.ehlo()
        assert client.deliver("three") == 452
    fake.behave(dot=DROP)
    with Client(host, int(port)) as client, pytest.raises(Closed):
        client.ehlo()
        client.deliver("four")
    assert len(fake.stored) == 3 and len(fake.accepted) == 1

"""Mail through the pinned edge, from a sender that delivers only if the pin holds."""

import pytest

from conftest import Stage
from lab import pin, zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic, submit


@pytest.fixture(scope="module")
def pinned(world):
    """One pair of programs in the steady state for this file: no test here disturbs it."""
    with Stage(world) as stage:
        edge = stage.edge()
        sync = stage.sync(edge)
        sync.wait_steady()
        yield edge, sync


def test_dane_only_sender_delivers_verified(world, pinned):
    before = world.sender.read_log().tls["Verified"]
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent], 20, "the message in the Maildir")
    wait_until(lambda: world.sender.sent(sent), 20, "the sender to have noted it")
    assert world.sender.tls["Verified"] == before + 1


def test_published_set_is_current_and_next(pinned):
    edge, _ = pinned
    generations = edge.identity()["generations"]
    assert {g["role"] for g in generations} == {"active", "standby"}
    expected = {"3 1 1 " + g["keys"][0]["spki_sha256"] for g in generations}
    assert len(expected) == 2
    for address in zones.SERVERS.values():
        assert tlsa_at(address, zones.MX) == expected


def test_openssl_accepts_the_published_pin_and_no_other(pinned):
    accepted, output = pin.openssl_accepts(tlsa_at(zones.PRIMARY, zones.MX))
    assert accepted, output
    accepted, output = pin.openssl_accepts({"3 1 1 " + "ab" * 32})
    assert not accepted, output


def test_continuous_mail_in_the_steady_state(world, pinned):
    with Traffic(world.sender, world.backend) as traffic:
        traffic.more(30)
        account = traffic.finish()
    assert account.is_perfect(), account

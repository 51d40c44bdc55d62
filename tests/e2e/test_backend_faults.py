"""P1: the client gets 250 for a message exactly when the backend gave it, whatever the backend does."""

import time

import pytest

from conftest import Stage
from lab.client import Client, Closed
from lab.fakebackend import DROP, SILENT, FakeBackend, Slow
from lab.proc import wait_until
from lab.traffic import message, new_id


@pytest.fixture(scope="module")
def shared(world):
    """One edge and one backend for the whole file: the edge must survive every fault."""
    fake = FakeBackend(port=2526)
    with Stage(world, "backend_faults") as stage:
        yield stage.edge(backend=fake.address), fake
    fake.close()


@pytest.fixture
def faulty(shared):
    """The same two, with the backend's memory empty and its manners good."""
    edge, fake = shared
    fake.behave()
    wait_until(lambda: attempt() == 250, 30, "the edge to be well before the test")
    fake.forget()
    return edge, fake


def attempt(text=None):
    """One delivery. The code that ended it, or 'closed'."""
    try:
        with Client(timeout_s=30).secure() as client:
            return client.deliver(text or message(new_id()))
    except (Closed, OSError):
        return "closed"


# What the backend does, and which first digit the client may see. "stored" says whether the backend
# took the message although nobody was told: then the sender tries again, which is right.
FAULTS = {
    "all well": ({}, "2"),
    "connection refused by banner": ({"connect": "554 5.3.2 go away"}, "45"),
    "closes at connect": ({"connect": DROP}, "4"),
    "silent at connect": ({"connect": SILENT}, "4"),
    "421 at banner": ({"connect": "421 4.3.2 later"}, "4"),
    "421 at ehlo": ({"ehlo": "421 4.3.2 later"}, "4"),
    "closes at ehlo": ({"ehlo": DROP}, "4"),
    "450 at mail": ({"mail": "450 4.1.0 later"}, "4"),
    "550 at mail": ({"mail": "550 5.1.0 never"}, "5"),
    "550 at mail, yet 250 at rcpt": ({"mail": "550 5.1.0 never", "liar": True}, "45"),
    "550 at rcpt, yet 354 at data": ({"rcpt": "550 5.1.1 no such user", "liar": True}, "5"),
    "closes at mail": ({"mail": DROP}, "4"),
    "450 at rcpt": ({"rcpt": "450 4.2.0 later"}, "4"),
    "550 at rcpt": ({"rcpt": "550 5.1.1 no such user"}, "5"),
    "closes at rcpt": ({"rcpt": DROP}, "4"),
    "451 at data": ({"data": "451 4.3.0 later"}, "4"),
    "554 at data": ({"data": "554 5.5.1 no"}, "5"),
    "closes at data": ({"data": DROP}, "4"),
    "250 at data": ({"data": "250 2.0.0 what?"}, "4"),
    "dies in the body": ({"body": DROP}, "4"),
    "452 to the dot": ({"dot": "452 4.3.1 disk full"}, "4"),
    "554 to the dot": ({"dot": "554 5.7.1 spam"}, "5"),
    "closes after the dot": ({"dot": DROP}, "4"),
    "silent after the dot": ({"dot": SILENT}, "4"),
    "354 to the dot": ({"dot": "354 again?"}, "4"),
    "421 to the dot": ({"dot": "421 4.3.2 shutting down"}, "4"),
    "garbage at mail": ({"mail": b"\x00\xff\x01 nonsense\r\n"}, "4"),
    "garbage to the dot": ({"dot": b"hello there\r\n"}, "4"),
    "half a reply to the dot": ({"dot": b"250-2.0.0 still\r\n"}, "4"),
    "mixed codes to the dot": ({"dot": b"250-2.0.0 yes\r\n451 4.0.0 no\r\n"}, "4"),
    "endless line at rcpt": ({"rcpt": b"2" * 100_000}, "4"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(faulty, name):
    _, fake = faulty
    behaviour, digits = FAULTS[name]
    fake.behave(**behaviour)
    accepted = len(fake.accepted)
    result = attempt()
    if result == "closed":
        assert digits != "2" and len(fake.accepted) == accepted
    else:
        assert str(result)[0] in digits, result
        assert (result == 250) == (len(fake.accepted) == accepted + 1)
    fake.behave()
    wait_until(lambda: attempt() == 250, 30, "mail to flow again after the fault", every_s=0.2)


def test_slow_backend_is_waited_for(faulty):
    edge, fake = faulty
    fake.behave(dot=Slow(2), rcpt=Slow(1))  # the edge has a patience of 5 s
    started = time.monotonic()
    assert attempt() == 250
    assert time.monotonic() - started > 2.5
    assert len(fake.accepted) == 1


def test_client_that_leaves_before_the_dot_commits_nothing(faulty):
    """A cut in the body must never look like an end of data to the backend."""
    edge, fake = faulty
    client = Client().secure()
    assert client.envelope() == 250
    assert client.command("DATA")[0] == 354
    client.send("Subject: half\r\n\r\nhalf a mess")
    client.close()
    wait_until(lambda: not edge_sessions(edge), 15, "the session to end")
    assert not fake.stored and not fake.accepted


def edge_sessions(edge):
    return edge.json("show sessions").get("sessions")


def test_idle_clients_cost_no_backend_connection(faulty):
    """Lazily opened: a client that never names a recipient reaches nobody."""
    edge, fake = faulty
    clients = [Client().secure() for _ in range(5)]
    for client in clients:
        assert client.command("NOOP")[0] == 250
    assert fake.verbs["mail"] == 0 and fake.verbs["rcpt"] == 0
    for client in clients:
        client.close()


def test_many_faults_under_load(faulty):
    """Random-looking order of faults; at the end every 250 the clients saw is one the backend gave."""
    edge, fake = faulty
    told = 0
    for round_number in range(20):
        behaviour, _ = list(FAULTS.values())[(round_number * 7) % len(FAULTS)]
        if SILENT in behaviour.values():
            continue
        fake.behave(**behaviour)
        told += attempt() == 250
        fake.behave()

        def well():
            nonlocal told
            result = attempt()
            told += result == 250
            return result == 250

        wait_until(well, 30, "mail to flow again")
    assert told == len(fake.accepted)

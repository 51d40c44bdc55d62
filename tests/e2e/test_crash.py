"""kill -9 of anything at any time: the roll completes, no message is lost or doubled."""

from lab.client import Client
from lab.proc import wait_until
from lab.programs import sanitizer_reports
from lab.traffic import Traffic

FIRST_STATES = ["PREPARING", "PUBLISHING", "SPREADING", "AGEING"]
ROLL_STATES = ["CERTIFYING", "SWAPPING", "HOLDING", "RETIRING", *FIRST_STATES]


def crash_in_each(sync, states):
    """Kills tlsa-sync in every state on the way to the last of `states`, the first time that the state is seen, and
    starts it again each time. Some pass too quickly to be seen. Returns those in which it was killed."""
    hit = set()

    def new_state():
        state = sync.state_now()
        return state if state in states and state not in hit else None

    while states[-1] not in hit:
        hit.add(wait_until(new_state, 60, f"one of {set(states) - hit}", every_s=0.01))
        sync.crash()
        sync.start()
    return hit


def test_tlsa_sync_killed_in_every_state_of_the_first_publication(stage):
    edge = stage.edge()
    sync = stage.sync(edge)
    assert len(crash_in_each(sync, FIRST_STATES)) >= 2
    sync.wait_steady()
    assert edge.identity()["presented"] == 1


def test_tlsa_sync_killed_in_every_state_of_a_roll(world, pinned):
    edge, sync = pinned
    first = edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.rotate()
        assert len(crash_in_each(sync, ROLL_STATES)) >= 3
        wait_until(lambda: edge.identity()["presented"] > first and sync.state() == "STEADY", 90, "the roll to complete")
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account


def test_worker_killed_under_load(world, hand_pinned):
    """Its sessions are lost, so a sender may have to try again; no message is lost, or doubled without need."""
    edge = hand_pinned
    with Traffic(world.sender, world.backend, per_second=10) as traffic:
        for _ in range(3):
            traffic.more(5)
            before = edge.workers()
            dead = edge.crash_worker()
            wait_until(lambda: len(edge.workers()) == len(before) and dead not in edge.workers(), 30, "a new worker")
        traffic.more(10)
        account = traffic.finish(deadline_s=60)
    assert not account.lost and not account.twice_without_need() and not account.bounced, account
    assert set(account.tls) == {"Verified"}, account


def test_supervisor_killed_under_load(world, hand_pinned):
    edge = hand_pinned
    presented = edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=10) as traffic:
        traffic.more(10)
        edge.crash()
        edge.start_serving()
        traffic.more(10)
        account = traffic.finish(deadline_s=60)
    assert edge.identity()["presented"] == presented
    assert not account.lost and not account.twice_without_need() and not account.bounced, account
    assert set(account.tls) == {"Verified"}, account


def test_supervisor_killed_during_a_roll(world, pinned):
    edge, sync = pinned
    first = edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        sync.rotate()
        wait_until(lambda: edge.identity()["presented"] > first, 30, "the swap")
        edge.crash()
        edge.start_serving()
        wait_until(lambda: sync.state() == "STEADY", 90, "the roll to complete")
        traffic.more(3)
        account = traffic.finish(deadline_s=60)
    assert edge.identity()["presented"] > first
    assert not account.lost and not account.twice_without_need(), account
    assert set(account.tls) == {"Verified"}, account


def test_sigterm_drains(world, edge):
    """A transaction under way may finish; the program then ends with status 0."""
    client = Client().secure()
    assert client.envelope() == 250
    assert client.command("DATA")[0] == 354
    edge.proc.popen.terminate()
    client.send("Subject: drained\r\nMessage-ID: <drained@id.lab>\r\n\r\nlate\r\n.\r\n")
    assert client.reply()[0] == 250
    assert edge.proc.wait(15) == 0
    wait_until(lambda: world.backend.delivered()["drained"] == 1, 20, "the drained message")


def test_clean_end(pinned):
    """SIGTERM ends each program with status 0 and (under sanitizers) without a leak."""
    edge, sync = pinned
    assert sync.stop() == 0
    assert edge.stop() == 0
    assert not sanitizer_reports()

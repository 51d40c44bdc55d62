"""limits.sessions_per_address holds over all workers, also behind the crash of one."""

import socket

import pytest

from lab import zones
from lab.proc import wait_until

LIMIT = 7


@pytest.fixture
def limited(stage):
    return stage.edge(changes={"proxy": {"workers": 3}, "limits": {"sessions_per_address": LIMIT}})


def greeted(sessions):
    """Opens one more connection; True if it was welcome, and then it stays open in `sessions`."""
    s = socket.create_connection((zones.EDGE, 25), timeout=30)
    greeting = s.recv(200)
    if greeting.startswith(b"220"):
        sessions.append(s)
        return True
    assert greeting.startswith(b"421 4.7.0"), greeting
    s.close()
    return False


def spread(edge, sessions):
    """As fill, until more than one worker has some: where the kernel puts a connection is chance."""
    for _ in range(20):
        fill(edge, sessions, LIMIT)
        if len(sessions_of(edge)) > 1:
            return
        while sessions:
            sessions.pop().close()
        wait_until(lambda: not sessions_of(edge), 20, "the sessions to end")
    raise AssertionError("all connections went to one worker")


def sessions_of(edge):
    """Open sessions of each worker."""
    held = {}
    for s in edge.json("show sessions")["sessions"]:
        held[s["worker"]] = held.get(s["worker"], 0) + 1
    return held


def ended(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def fill(edge, sessions, expected):
    """The kernel spreads connections over the workers: some tries go to each."""
    for _ in range(60):
        greeted(sessions)
    assert len(sessions) == expected
    wait_until(lambda: sum(sessions_of(edge).values()) == expected, 20, f"{expected} sessions")


def test_one_address_over_three_workers(limited):
    sessions = []
    spread(limited, sessions)
    sessions.pop().close()
    wait_until(lambda: greeted(sessions), 20, "the place of the one who left")
    fill(limited, sessions, LIMIT)


def test_clients_of_a_worker_that_died_are_not_counted(limited):
    sessions = []
    spread(limited, sessions)
    before = limited.workers()
    dead = limited.crash_worker()
    wait_until(lambda: len(limited.workers()) == len(before) and dead not in limited.workers(), 30, "a new worker")
    alive = [s for s in sessions if not ended(s)]
    fill(limited, alive, LIMIT)

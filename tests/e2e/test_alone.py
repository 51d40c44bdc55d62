"""The command without the daemon: it looks for itself, and drives a roll in the foreground."""

import os
import re
import signal
import subprocess

import pytest

from conftest import Stage
from lab import pin, zones
from lab.proc import slowness
from lab.programs import sanitizer_env
from lab.traffic import Traffic


@pytest.fixture(scope="module")
def pair(world):
    """One pair of programs for the last tests."""
    with Stage(world, "alone") as stage:
        edge = stage.edge()
        yield edge, stage.sync(edge, start=False, changes={"tlsa_sync": {"hold": "6s"}})


@pytest.fixture
def pinned(pair):
    """Steady and with its daemon, whatever the test before has left."""
    edge, sync = pair
    if not edge.running():
        edge.start_serving()
    if not sync.running():
        sync.start()
    sync.wait_steady(120)
    return edge, sync


def foreground(sync, *words):
    """A subcommand that goes on for a while; its output is a pipe."""
    return subprocess.Popen([str(sync.path()), "-c", str(sync.config_file), *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, **sanitizer_env()})


def test_looking_without_a_journal(stage):
    """On a machine where nothing ever ran there is still something to say, and nothing is left behind."""
    edge = stage.edge()
    sync = stage.sync(edge, start=False)
    done = sync.command("status")
    assert "PREPARING" in done.stdout and "presents generation 1" in done.stdout, done.stdout
    assert not os.path.exists(sync.config["tlsa_sync"]["journal"])


def test_rollback_without_the_daemon(stage):
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"hold": "60s"}})
    sync.wait_steady()
    first = edge.identity()["presented"]
    sync.rotate()
    sync.wait_state("HOLDING")
    sync.stop()
    gone = {"control_socket": "/run/lab/gone/control.sock", "stats_socket": "/run/lab/gone/stats.sock"}
    sync.change_config({"tlsa_sync": gone})  # systemd removes the directory when the daemon stops
    done = sync.command("rollback", "--wait")
    assert "STEADY" in done.stdout, done.stdout
    assert edge.identity()["presented"] == first


def test_a_roll_without_the_daemon(world, pinned):
    """rotate --wait does the whole roll by itself, under mail; the daemon then finds nothing to do."""
    edge, sync = pinned
    old, first = pin.presented_digest(), edge.identity()["presented"]
    sync.stop()
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        traffic.more(2)
        status, shown = sync.on_terminal("", "rotate", "--wait")
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    assert status == 0, shown
    for state in ("HOLDING", "RETIRING", "AGEING", "STEADY"):
        assert state in shown, shown
    for state in ("HOLDING", "AGEING"):  # a machine that is busy may leave out a second
        counted = [int(s) for s in re.findall(rf"\x1b\[K{state}: (\d+)s to go", shown)]
        assert counted and counted[0] > counted[-1], (counted, shown)
    assert pin.presented_digest() != old
    sync.start()
    sync.wait_steady()  # once it has looked at the servers itself
    assert edge.identity()["presented"] == first + 1


def test_interrupted_and_gone_on_with(pinned):
    """Ctrl-C in the middle; the same command goes on, with the same roll; never two that act."""
    edge, sync = pinned
    first = edge.identity()["presented"]
    sync.stop()
    driver = foreground(sync, "rotate", "--wait")
    told = next(line for line in driver.stdout if "HOLDING" in line)
    second = sync.command("run", check=False)
    assert second.returncode != 0, "two must not act at the same time"
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30 * slowness())
    assert driver.returncode == 1 and "interrupted" in errors, (told, errors)
    done = sync.command("rotate", "--wait", timeout=180)
    assert "waiting for that" in done.stderr and "STEADY" in done.stdout, (done.stdout, done.stderr)
    assert edge.identity()["presented"] == first + 1, "it was one roll, not two"


def test_looking_without_the_daemon(pinned):
    edge, sync = pinned
    sync.stop()
    for command in ("status", "explain", "plan"):
        done = sync.command(command)
        assert "no daemon runs" in done.stderr
        assert "STEADY" in done.stdout, (command, done.stdout)
    assert f"asking ns1.{zones.ZONE} ({zones.NSD_SECONDARY}): verifies" in sync.command("explain").stdout
    assert "-> STEADY" in sync.command("history").stdout
    for command in ("rotate", "rollback", "disable", "enable", "abort"):
        refused = sync.command(command, check=False)
        assert refused.returncode == 3 and "does not run" in refused.stderr, (command, refused.stderr)
    edge.stop()
    assert "does not answer" in sync.command("status").stdout, "it is the present that is shown, not the journal's past"

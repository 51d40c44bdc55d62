"""The journal's disk fills up, is read-only, the file is damaged or of a newer version: nothing is changed in DNS or
keys, `status` says why and what to do, and it goes on by itself once the cause is gone."""

import re
import shutil
import sqlite3

import pytest

from lab import pin, zones
from lab.proc import RUN, run, wait_until

ROOM = "12m"  # SQLite keeps up to 4 MiB of WAL


@pytest.fixture
def small_disk():
    """A small file system of its own for the journal."""
    place = RUN / "journal-disk"
    place.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", place)
    yield place
    run("umount", "-l", place)


def fill(place):
    """Leaves no octet free. The log of writes may have room inside still, for SQLite uses it again after each 1000
    pages: see begin_new_log."""
    with open(place / "filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    return place / "filler"


def begin_new_log(sync):
    """Starts it anew, and with it the log of writes: the next write needs room on the disk."""
    sync.stop()
    sync.start()
    sync.wait_steady()


def settled(world, edge):
    """The state of the world when nothing is under way any more: an action that was journaled may still be."""
    seen = []

    def unchanged():
        seen.append(state_of_the_world(world, edge))
        return len(seen) > 3 and seen[-1] == seen[-2] == seen[-3] == seen[-4]

    wait_until(unchanged, 30, "nothing to change any more", every_s=1)
    return seen[-1]


def on_disk(stage, place, start=True):
    edge = stage.edge()
    return edge, stage.sync(edge, start=start, changes={"tlsa_sync": {"journal": str(place / "journal.db")}})


def state_of_the_world(world, edge):
    """What must not change: the records on every server, the keys on disk, the key presented."""
    identity = edge.identity()
    return world.dns.served(), [(g["number"], g["role"]) for g in identity["generations"]], pin.presented_digest()


def refusal(sync):
    """What `status` prints while there is no journal."""
    done = sync.command("status", check=False)
    assert done.returncode == 1, done
    return done.stderr + done.stdout


def sync_that_waits(sync):
    """Started, with its sockets, and without a journal."""
    sync.launch()
    wait_until(lambda: sync.show("show info"), 20, "tlsa-sync's sockets")
    return sync


def test_disk_full_in_the_middle_of_a_roll(stage, world, small_disk):
    edge, sync = on_disk(stage, small_disk)
    sync.wait_steady()
    begin_new_log(sync)
    filler = fill(small_disk)
    before = state_of_the_world(world, edge)
    # A request that is not on the disk is not made: it says so.
    done = sync.command("rotate", check=False)
    assert done.returncode == 1 and "disk is full" in done.stderr, done
    wait_until(lambda: re.match("nothing is changed.*disk is full", sync.status()["trouble"]), 20, "the reason in status")
    assert "disk is full" in sync.command("status").stdout
    assert "disk is full" in sync.show("show alarms")
    assert state_of_the_world(world, edge) == before
    filler.unlink()
    wait_until(lambda: sync.status()["trouble"] == "", 20, "tlsa-sync to go on by itself")
    sync.command("rotate", "--wait")
    assert edge.identity()["presented"] == 2

    # Now after the request, in the middle: the roll stands still wherever it is, and ends later.
    sync.rotate()
    filler = fill(small_disk)
    wait_until(lambda: "disk is full" in sync.status()["trouble"], 60, "the reason in status")
    before = settled(world, edge)
    for _ in range(10):
        assert "disk is full" in sync.status()["trouble"]
        assert state_of_the_world(world, edge) == before
    filler.unlink()
    wait_until(lambda: edge.identity()["presented"] == 3 and sync.state() == "STEADY", 60, "the roll to end")


def test_disk_full_at_the_start(stage, world, small_disk):
    filler = fill(small_disk)
    edge, sync = on_disk(stage, small_disk, start=False)
    sync_that_waits(sync)
    text = wait_until(lambda: refusal(sync), 10, "the reason")
    assert "disk is full" in text or "No space left" in text, text
    assert not world.dns.served()["primary"]
    filler.unlink()
    sync.wait_steady()


def test_read_only_disk(stage, world, small_disk):
    edge, sync = on_disk(stage, small_disk)
    sync.wait_steady()
    before = state_of_the_world(world, edge)
    sync.stop()
    run("mount", "-o", "remount,ro", small_disk)
    sync_that_waits(sync)
    assert "must be writable by tlsa-sync" in refusal(sync) or "Read-only" in refusal(sync)
    assert sync.command("rotate", check=False).returncode == 1
    assert state_of_the_world(world, edge) == before
    run("mount", "-o", "remount,rw", small_disk)
    sync.wait_steady()
    sync.command("rotate", "--wait")
    assert edge.identity()["presented"] == 2


DAMAGES = {
    "noise": lambda path: path.write_bytes(b"x" * path.stat().st_size),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a page": lambda path: path.write_bytes(b"".join((path.read_bytes()[:4096], b"\xff" * 4096, path.read_bytes()[8192:]))),
    "a row": lambda path: sql(path, "UPDATE key SET algorithm = 77"),
}


def sql(path, statement):
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


def test_damaged_journal(stage, world, small_disk):
    """Refused, whatever the damage, and never repaired: what it knew of age can't be made up. Moved away, it begins
    anew while it runs: from what danegate and the servers say, and it waits in full."""
    edge, sync = on_disk(stage, small_disk)
    sync.wait_steady()
    before = state_of_the_world(world, edge)
    sync.stop()
    journal = small_disk / "journal.db"
    good = journal.read_bytes()
    for name, damage in DAMAGES.items():
        journal.write_bytes(good)
        damage(journal)
        damaged = journal.read_bytes()
        sync_that_waits(sync)
        text = refusal(sync)
        assert str(journal) in text and "Nothing is changed. Move the file away" in text, (name, text)
        assert "Move the file away" in sync.show("show rollover")
        assert sync.command("rotate", check=False).returncode == 1
        assert state_of_the_world(world, edge) == before
        assert journal.read_bytes() == damaged, f"{name}: the file was written to"
        sync.stop()
        alone = sync.command("status", check=False)  # a command that does without the daemon
        assert alone.returncode == 3 and "Move the file away" in alone.stderr, (name, alone)
    sync_that_waits(sync)
    assert "Move the file away" in refusal(sync)
    shutil.move(journal, small_disk / "journal.db.damaged")
    sync.wait_state("AGEING", "SPREADING", deadline_s=30)
    wait_until(lambda: sync.status()["instances"][0]["presented"] == 1, 20, "what danegate presents to be known")
    assert world.dns.served() == before[0]
    sync.wait_steady()
    assert state_of_the_world(world, edge) == before
    sync.command("rotate", "--wait")
    assert edge.identity()["presented"] == 2


def test_journal_of_the_future(stage, world, small_disk):
    edge, sync = on_disk(stage, small_disk)
    sync.wait_steady()
    before = state_of_the_world(world, edge)
    sync.stop()
    journal = small_disk / "journal.db"
    with sqlite3.connect(journal) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    sql(journal, "PRAGMA user_version = 99")
    sync_that_waits(sync)
    assert "made by a newer tlsa-sync (format 99" in refusal(sync)
    assert state_of_the_world(world, edge) == before
    sql(journal, f"PRAGMA user_version = {version}")  # the newer version comes back
    sync.wait_steady()


def test_moved_away_while_in_use(stage, world, small_disk):
    edge, sync = on_disk(stage, small_disk)
    sync.wait_steady()
    before = state_of_the_world(world, edge)
    aside = small_disk / "aside"
    (small_disk / "journal.db").rename(aside)
    done = sync.command("rotate", check=False)
    assert done.returncode == 1 and "while in use" in done.stderr, done
    assert state_of_the_world(world, edge) == before
    aside.rename(small_disk / "journal.db")
    wait_until(lambda: sync.status()["trouble"] == "", 20, "tlsa-sync to go on by itself")


def test_a_second_tlsa_sync_is_refused(stage, world, small_disk):
    """Two of them would undo each other's work."""
    edge, first = on_disk(stage, small_disk)
    first.wait_steady()
    second = stage.sync(edge, start=False, name="second", changes={"tlsa_sync": {"journal": str(small_disk / "journal.db")}})
    second.launch()
    assert second.proc.wait(20) == 1
    assert "another tlsa-sync, or another program, holds it open" in second.log_text()
    first.wait_steady()

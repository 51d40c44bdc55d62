"""What an operator asks for, under mail: emergencies, disable and enable, taking over records made by hand;
and what status, plan and explain say."""

import json
import os
import sqlite3

import pytest

from conftest import Stage
from lab import pin, zones
from lab.proc import wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic, submit


@pytest.fixture(scope="module")
def pair(world):
    """One pair of programs for the last two tests."""
    with Stage(world, "operator") as stage:
        edge = stage.edge()
        yield edge, stage.sync(edge)


@pytest.fixture
def pinned(pair):
    pair[1].wait_steady()
    return pair


def a_while_passes(sync, seconds):
    """As if tlsa-sync had not run for some time: its own clock is moved on."""
    sync.stop()
    with sqlite3.connect(sync.config["tlsa_sync"]["journal"]) as journal:
        journal.execute("UPDATE identity SET count_ms = count_ms + ?", (seconds * 1000,))
    journal.close()
    sync.start()


def everywhere():
    """The TLSA sets of all servers, which have to be equal."""
    sets = [tlsa_at(a, zones.MX) for a in zones.SERVERS.values()]
    return sets[0] if all(s == sets[0] for s in sets) else None


def test_emergency_with_an_aged_standby(world, stage):
    """At once, without HOLDING, and without a deferral: the standby's record is in every cache."""
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"hold": "1h"}})  # longer than this test: it has to be left out
    sync.wait_steady()
    old, first = pin.presented_digest(), edge.identity()["presented"]
    with Traffic(world.sender, world.backend, per_second=5) as traffic:
        traffic.more(3)
        done = sync.command("rotate", "--emergency")
        assert "until" in done.stdout, f"it has to say what stays exposed: {done.stdout}"
        wait_until(lambda: edge.identity()["presented"] > first, 40, "the standby to be presented")
        wait_until(lambda: "3 1 1 " + old not in (everywhere() or {"3 1 1 " + old}), 30, "the old record to be gone")
        sync.wait_steady()
        traffic.more(5)
        account = traffic.finish()
    assert account.is_perfect(), account
    assert "-> HOLDING" not in sync.history()
    assert all(g["keys"][0]["spki_sha256"] != old for g in edge.identity()["generations"]), "the old key is to be destroyed"


def test_emergency_without_an_aged_standby_asks(world, stage):
    edge = stage.edge()
    sync = stage.sync(edge, changes={"tlsa_sync": {"floor": "1h"}})
    sync.wait_state("AGEING")
    first = edge.identity()["presented"]
    exposed = sync.command("plan", "--emergency").stdout
    refused = sync.command("rotate", "--emergency", check=False)
    assert refused.returncode == 1
    assert exposed.split()[:6] == refused.stderr.removeprefix("tlsa-sync: ").split()[:6], (exposed, refused.stderr)
    assert "--force" in refused.stderr
    status, shown = sync.on_terminal("n\n", "rotate", "--emergency")
    assert status == 1 and "[y/N]" in shown and "nothing is changed" in shown, shown
    sync.stop()
    for command in (["rotate", "--emergency", "--wait"], ["rotate", "--emergency"]):  # without the daemon and with it
        status, shown = sync.on_terminal("\x03", *command, behind="[y/N]")  # Ctrl-C, and no Enter
        assert status == 1 and "interrupted; nothing is changed" in shown, shown
        if not sync.running():
            sync.start()
    sync.wait_state("AGEING")
    assert edge.identity()["presented"] == first and not sync.status()["roll"]
    status, shown = sync.on_terminal("y\n", "rotate", "--emergency")
    assert status == 0, shown
    wait_until(lambda: edge.identity()["presented"] > first, 30, "the standby to be presented")


def by_hand(kind):
    """Records of what is presented, as people make them: of the key, of the certificate, of the CA."""
    pem = pin.presented_certificate()[0]
    key = "3 1 1 " + pin.spki_digest_of_pem(pem)
    if kind == "3 1 1":
        return [key]
    if kind == "3 0 1":
        return ["3 0 1 " + pin.certificate_digest_of_pem(pem)]
    return ["2 1 1 " + "ca" * 32, key]  # senders want one match


@pytest.mark.parametrize("kind", ["3 1 1", "3 0 1", "2 1 1"])
def test_records_made_by_hand_are_taken_over(world, stage, kind):
    """They stay until ours are in every cache; then those that will not match the next key go, and it rolls."""
    edge = stage.edge()
    records = by_hand(kind)
    world.dns.write_tlsa(zones.MX, records)
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        traffic.more(2)
        sync = stage.sync(edge, changes={"tlsa_sync": {"own_rrset": True}})
        sync.wait_steady()
        assert all(r.startswith("3 1 1 ") for r in everywhere()), everywhere()
        assert everywhere() == edge.records()
        if kind == "3 1 1":  # ours by now, so it goes with its key
            sync.command("rotate", "--wait")
            assert not everywhere() & set(records) and len(everywhere()) == 2
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account


def test_status_explain_and_plan_say_who_is_waited_for(world, stage):
    world.dns.knot.freeze(zones.ZONE)
    edge = stage.edge()
    sync = stage.sync(edge)
    server = f"ns2.{zones.ZONE} ({zones.KNOT_SECONDARY})"
    ours = "3 1 1 " + edge.digest(1)[:8]
    wait_until(lambda: sync.status()["waiting_for"] == server, 30, "status to name ns2 alone")
    sync.wait_says(server, states=["SPREADING"])

    def explained_well():
        explained = sync.command("explain").stdout
        held_up = [line for line in explained.splitlines() if line.startswith("  ! ")]
        wanted = (f"lacks    {ours}", f"asking {server}: finds no secure record",
                  f"asking ns1.{zones.ZONE} ({zones.NSD_SECONDARY}): verifies the key")
        return len(held_up) == 1 and server in held_up[0] and all(w in explained for w in wanted)

    wait_until(explained_well, 30, "explain to tell of ns2, and of it alone")
    told = json.loads(sync.command("explain", "--json").stdout)
    assert {s["server"]: s["sender"] for s in told["presented"][0]["servers"]}[server] == "no-dane"
    assert not told["presented"][0]["in_every_cache"]
    assert [s["server"] for s in told["servers"] if s["holds_up"]] == [server]
    states = [step["state"] for step in json.loads(sync.command("plan", "--json").stdout)]
    assert states[0] == "SPREADING" and states[-1] == "STEADY"
    world.dns.heal()
    sync.wait_steady()
    explained = sync.command("explain").stdout
    assert "every set in any cache has its record" in explained
    assert "  ! " not in explained
    planned = sync.command("plan", "--rotate").stdout
    order = [planned.index(state) for state in ("SWAPPING", "HOLDING", "RETIRING", "PUBLISHING", "SPREADING", "AGEING")]
    assert order == sorted(order), planned


def test_what_people_type(pinned):
    """Colours on a terminal only, help for each command, errors that say what would be right."""
    edge, sync = pinned
    assert "\033[" not in sync.command("status").stdout
    assert "\033[32mSTEADY" in sync.on_terminal("", "status")[1]
    os.environ["NO_COLOR"] = "1"
    try:
        assert "\033[" not in sync.on_terminal("", "status")[1]
    finally:
        del os.environ["NO_COLOR"]
    unknown = sync.command("status", "mx9.example.lab", check=False)
    assert unknown.returncode == 1 and zones.MX in unknown.stderr
    wrong = sync.command("rotate", "--forc", check=False)
    assert wrong.returncode == 2 and "--forc" in wrong.stderr and "usage: tlsa-sync rotate" in wrong.stderr
    for command in ("status", "explain", "plan", "history", "rotate", "rollback", "abort", "disable", "enable", "renew", "run"):
        assert "Exit status: 0" in sync.command(command, "--help").stdout


def test_disable_and_enable(world, pinned):
    """All records go, in time order; the key goes on being presented; then DANE comes back as if for the first time."""
    edge, sync = pinned
    first = edge.identity()["presented"]
    sync.command("disable")
    wait_until(lambda: everywhere() == set(), 40, "the records to be gone")
    status = wait_until(lambda: "keep the present keys" in sync.status()["why"] and sync.status(), 20, "only caches to be waited for")
    assert status["state"] == "WITHDRAWING" and status["at"] > status["now"], status
    a_while_passes(sync, 610)  # so long a copy of the update that added them may be under way
    done = sync.command("disable", "--wait")  # was asked for: so it waits for that
    assert "DISABLED" in done.stdout, done.stdout
    assert everywhere() == set()
    assert edge.identity()["presented"] == first
    assert sync.command("disable", check=False).returncode == 1, "it is disabled already"
    assert sync.command("rotate", check=False).returncode == 1, "nothing rolls while DANE is off"
    assert "DISABLED" in sync.command("status").stdout
    sync.crash()
    sync.start()
    sync.wait_state("DISABLED")  # a restart does not switch it on again
    done = sync.command("enable", "--wait")
    assert "STEADY" in done.stdout
    assert len(everywhere()) == 2
    assert sync.command("enable", check=False).returncode == 1, "it is not disabled"
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent] == 1, 30, "a message after enable")

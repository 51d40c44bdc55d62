"""A connector's next hops die, hang and vanish under load: no message is lost, none is stored twice that nobody was told
to send again, senders hear 4xx and nothing worse, and mail flows again as soon as a hop does."""

import collections
import re

import pytest
from conftest import Stage

from lab import zones
from lab.client import Client
from lab.postfix import MaildirBackend
from lab.proc import run, wait_until
from lab.programs import sanitizer_env
from lab.road import Road
from lab.traffic import Traffic

ROADS = "127.25.0.93"
CONNECT_S, REPLY_S = 1, 2
PER_SECOND = 12


class Scene:
    """One edge for the file; two roads to the same backend, the second for when the first is no good."""

    def __init__(self, world):
        self.world = world
        self.stage = Stage(world, "test_connectors_faults")
        self.roads = [Road(ROADS, 2501 + i, (zones.BACKEND, 2525)) for i in range(2)]

    def start(self):
        self.stage.__enter__()
        self.edge = self.stage.edge(changes={
            "backend": {"address": None, "connect_timeout": f"{CONNECT_S}s", "reply_timeout": f"{REPLY_S}s", "data_timeout": "3s"},
            "connectors": [{"name": "pair", "domains": [zones.DOMAIN], "client_info": "xclient",
                            "next_hops": [{"to": r.name, "priority": i + 1} for i, r in enumerate(self.roads)]}]})
        assert self.edge.control(do="prepare", identity=zones.MX)["ok"]
        self.world.dns.write_tlsa(zones.MX, self.edge.records())
        return self

    def stop(self):
        for road in self.roads:
            road.close()
        self.stage.__exit__()

    def command(self, *words):
        """danegate as an operator types it."""
        return run(self.edge.path(), "-c", self.edge.config_file, *words, env=sanitizer_env()).stdout


@pytest.fixture(scope="module")
def shared(world):
    made = Scene(world)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def scene(shared):
    """Both roads open and known to be good."""
    for road in shared.roads:
        road.open()
    wait_until(lambda: rcpt() == "250", 20, "a good hop before the test")
    return shared


def rcpt():
    """What a recipient of a new session is answered: `250`, or `451 4.4.1`."""
    with Client(timeout_s=2 * (CONNECT_S + REPLY_S) + 5).secure() as client:
        assert client.command("MAIL FROM:<lab@sender.example.lab>")[0] == 250
        code, text = client.command(f"RCPT TO:<user@{zones.DOMAIN}>")
        client.command("QUIT")
    return "250" if code == 250 else f"{code} {text[-1].split()[0]}"


def told_to_wait(sender):
    """How often messages could not be sent."""
    return sum(sender.read_log().reasons.values())


def told_after_the_dot(sender):
    """The ids of messages that were refused for now at their end: the hop may have stored them all the same."""
    lines = [x for x in sender.log_text().splitlines() if "status=deferred" in x and "end of DATA" in x]
    return {sender.id_of.get(m[1]) for m in (re.search(r"postfix/smtp\[\d+\]: (\w+):", x) for x in lines) if m}


def must_be_whole(account, sender):
    """P1, and that whoever had to wait was told so."""
    assert account.submitted > 0 and not account.lost and not account.bounced, account
    assert set(account.twice_without_need()) <= told_after_the_dot(sender), account
    assert set(account.tls) == {"Verified"}, account
    wrong = [r for r in account.reasons if not re.search(r"said: (451 4\.4\.[12]|451 4\.3\.0|421) ", r)]
    assert not wrong, wrong


@pytest.mark.parametrize("fault", ["cut", "silent", "nowhere"])
def test_the_other_hop_takes_over(scene, world, fault):
    first, second = scene.roads
    with Traffic(world.sender, world.backend, PER_SECOND) as traffic:
        traffic.more(8)
        used = second.opened
        getattr(first, fault)()
        traffic.more(20)
        assert second.opened > used
        first.open()
        back = first.opened
        wait_until(lambda: first.opened > back + 1, 40, "the first hop to be used again")
        account = traffic.finish()
    must_be_whole(account, world.sender)


class Stores:
    """What several backends have stored."""

    def __init__(self, *backends):
        self.backends = backends

    def delivered(self):
        return sum((b.delivered() for b in self.backends), collections.Counter())


def test_a_mail_server_is_killed(scene, world):
    """Not the way to it this time: kill -9 of a Postfix in the midst of its sessions. What it had taken it still has."""
    first, second = scene.roads
    victim = MaildirBackend("victim", f"{ROADS}:2530").start()
    try:
        first.target = (ROADS, 2530)
        first.cut()
        first.open()
        with Traffic(world.sender, Stores(world.backend, victim), PER_SECOND) as traffic:
            wait_until(lambda: len(victim.messages()) >= 8, 20, "mail at the victim")
            used = second.opened
            victim.crash()
            traffic.more(10)
            assert second.opened > used
            victim.start()
            stored = len(victim.messages())
            wait_until(lambda: len(victim.messages()) > stored + 3, 40, "it to be used again")
            account = traffic.finish()
        must_be_whole(account, world.sender)
    finally:
        first.target = (zones.BACKEND, 2525)
        first.cut()
        victim.stop()


def test_a_slow_hop_is_waited_for(scene, world):
    scene.roads[0].slow(0.2)
    with Traffic(world.sender, world.backend, PER_SECOND) as traffic:
        traffic.more(10)
        account = traffic.finish()
    assert account.is_perfect(), account


@pytest.mark.parametrize("fault", ["cut", "silent", "nowhere"])
def test_no_hop_left(scene, world, fault):
    """Senders are told to come back, in a time that they can wait; and all is well a second after a hop is."""
    before = told_to_wait(world.sender)
    with Traffic(world.sender, world.backend, PER_SECOND) as traffic:
        traffic.more(8)
        for road in scene.roads:
            getattr(road, fault)()
        said = wait_until(lambda: next((a for a in [rcpt()] if a != "250"), None), 20, "a refusal")
        assert said in ("451 4.4.1", "451 4.4.2"), said
        wait_until(lambda: told_to_wait(world.sender) > before, 20, "mail that has to wait")
        scene.roads[1].open()
        wait_until(lambda: rcpt() == "250", 1, "a recipient to be taken once the hop is back")
        account = traffic.finish()
    must_be_whole(account, world.sender)
    assert account.deferred > 0, account


def test_a_drained_hop(scene, world):
    """Nothing new goes to it, what is under way goes on, and nobody notices."""
    first, second = scene.roads
    with Traffic(world.sender, world.backend, PER_SECOND) as traffic:
        traffic.more(3)
        with Client().secure() as under_way:
            assert under_way.envelope() == 250
            assert first.name in scene.command("drain", first.name)
            assert f"drained: {first.name}" in scene.command("connectors")
            traffic.more(3)
            used = first.opened
            traffic.more(8)
            assert first.opened == used
            assert under_way.command("DATA")[0] == 354
            under_way.send("Subject: under way\r\n\r\nstill\r\n.\r\n")
            assert under_way.reply()[0] == 250
        scene.command("undrain", first.name)
        wait_until(lambda: first.opened > used, 20, "the hop to be used again")
        account = traffic.finish()
    assert account.is_perfect(), account
    for road in scene.roads:
        scene.command("drain", road.name)
    wait_until(lambda: rcpt() == "451 4.3.2", 10, "no hop to be left")
    for road in scene.roads:
        scene.command("undrain", road.name)
    wait_until(lambda: rcpt() == "250", 10, "a hop")
    assert "drained" not in scene.command("connectors")

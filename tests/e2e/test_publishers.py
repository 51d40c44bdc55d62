"""The publishers that run an operator's command or write files, with the examples of config/examples and real
name servers behind them."""

import pytest

from lab import zones
from lab.primaries import EXAMPLES
from lab.proc import run, wait_until
from lab.query import tlsa_at
from lab.traffic import roll_under_traffic


def check_publisher(sync):
    """`tlsa-sync check-publisher`: (exit status, output)."""
    done = sync.command("check-publisher", check=False)
    return done.returncode, done.stdout + done.stderr


def roll(world, edge, sync):
    """A whole roll while mail flows; afterwards every server serves exactly what the edge has."""
    roll_under_traffic(world, edge, sync)
    assert all(served == edge.records() for served in world.dns.served().values())


# --- exec, with the HTTP API of PowerDNS ---

@pytest.fixture(scope="module")
def pdns(world):
    world.dns.use_primary("pdns")
    return world.dns.primary


def exec_changes(pdns, key_file=None):
    command = [str(EXAMPLES / "publish-powerdns"), pdns.api, str(key_file or pdns.api_key)]
    return {"tlsa_sync": {"publisher": "exec", "rfc2136": None, "exec": {"command": command, "timeout": "8s"}}}


def test_exec_rolls_by_the_api_of_powerdns(pdns, world, stage):
    foreign = "3 1 1 " + "f0" * 32
    edge = stage.edge()
    world.dns.write_tlsa(zones.MX, [foreign])
    sync = stage.sync(edge, start=False, changes=exec_changes(pdns))
    status, output = check_publisher(sync)
    assert status == 0 and "1 TLSA records" in output, output
    sync.start()
    sync.wait_steady()
    assert tlsa_at(zones.PRIMARY, zones.MX) == edge.records() | {foreign}  # whole sets are written, others' records stay
    world.dns.write_tlsa(zones.MX, edge.records())
    sync.wait_steady()
    roll(world, edge, sync)


def test_exec_says_what_the_api_says(pdns, world, stage):
    """A wrong key is found before the first change; an API that does not answer, when it happens."""
    wrong = pdns.write("wrong.key", "not the key\n")
    edge = stage.edge()
    sync = stage.sync(edge, start=False, changes=exec_changes(pdns, wrong))
    status, output = check_publisher(sync)
    assert status == 1 and "401 Unauthorized" in output, output
    sync.start()
    sync.wait_says("publish-powerdns", "401 Unauthorized", states=["PUBLISHING"])
    pdns.pause()
    try:
        wrong.write_text(pdns.api_key.read_text())
        sync.wait_says("the change may have been made", "had not finished after 8000 ms",
                       states=["PUBLISHING", "SPREADING"], deadline_s=60)
    finally:
        pdns.resume()
    wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")


# --- zonefile ---

def zonefile_changes(directory, reload):
    return {"tlsa_sync": {"publisher": "zonefile", "rfc2136": None,
                          "zonefile": {"directory": str(directory), "reload": [str(word) for word in reload]}}}


@pytest.fixture(scope="module")
def knot_with_file(world):
    """Knot with a zone file that includes ours; it raises the serial by itself."""
    world.dns.use_primary("knot", include=True)
    return world.dns.primary


def knot_changes(primary):
    return zonefile_changes(primary.include.parent, ["/usr/sbin/knotc", "-b", "-s", primary.dir / "knot.sock", "zone-reload", zones.ZONE])


def test_zonefile_rolls_with_knot(knot_with_file, world, stage):
    edge = stage.edge()
    sync = stage.sync(edge, start=False, changes=knot_changes(knot_with_file))
    status, output = check_publisher(sync)
    # danegate has no next key yet, so one record would be added.
    assert status == 0 and output.count("\n+ _25._tcp.mx1.example.lab. 2 IN TLSA 3 1 1") == 1, output
    sync.start()
    sync.wait_steady()
    assert all(served == edge.records() for served in world.dns.served().values())
    status, output = check_publisher(sync)
    assert status == 0 and "all records" in output, output
    roll(world, edge, sync)


def test_zonefile_leaves_what_a_hand_changed(knot_with_file, world, stage):
    edge = stage.edge()
    file = knot_with_file.include
    file.write_text("")  # the former test's keys are no business of this one's
    sync = stage.sync(edge, changes=knot_changes(knot_with_file))
    wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")
    # A note of the operator's, in the wrong place.
    changed = file.read_text() + "; ask Anna before the next roll\n"
    file.write_text(changed)
    sync.stop()
    sync.start()
    sync.wait_says("DNS could not be changed now", "changed by hand", file.name)
    status, output = check_publisher(sync)
    assert status == 1 and "changed by hand" in output, output
    assert file.read_text() == changed
    # As the words say: move it away. The records are served all the time, and the next change writes the file anew.
    file.unlink()
    wait_until(lambda: not sync.status()["alarms"], 20, "the alarm to end")


@pytest.fixture
def bind_with_file(world):
    """BIND, which signs a copy of the zone and reads a zone file again only if its serial has grown."""
    world.dns.use_primary("bind", include=True)
    yield world.dns.primary
    world.dns.use_primary("knot")


def test_zonefile_with_bind_and_a_serial(bind_with_file, world, stage):
    """With config/examples/reload-zone. SIGHUP stands for rndc, which would need a key of its own."""
    zone_file = bind_with_file.dir / "example.zone"
    edge = stage.edge()
    sync = stage.sync(edge, changes=zonefile_changes(
        bind_with_file.include.parent, [EXAMPLES / "reload-zone", zone_file, "/bin/kill", "-HUP", bind_with_file.proc.pid]))
    before = zone_file.read_text()
    wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")
    wait_until(lambda: sync.state() in ("AGEING", "STEADY"), 30, "the roll to go on")
    after = zone_file.read_text()
    assert before != after and before.split("; serial")[1] == after.split("; serial")[1]


def test_reload_zone_raises_the_serial(world, tmp_path):
    """What the example does to a zone file, and that it does nothing where it does not understand it."""
    script = EXAMPLES / "reload-zone"
    file = tmp_path / "zone"
    head, tail = "$TTL 60\n@ SOA a. b. (\n\t", " ; serial\n\t3600 600 9 9 )\n@ NS a.\n77 ; serial\n"
    today = int(run("date", "-u", "+%Y%m%d00").stdout)
    for old, new in ((1, today), (today, today + 1), (today + 57, today + 58), (4000000000, 4000000001)):
        file.write_text(head + str(old) + tail)
        assert run(script, file, "/bin/echo", "reloaded it").stdout == "reloaded it\n"
        assert file.read_text() == head + str(new) + tail
    file.write_text("@ SOA a. b. 1 2 3 4 5\n")
    done = run(script, file, "/bin/echo", "reloaded it", check=False)
    assert done.returncode != 0 and not done.stdout and "serial" in done.stderr
    assert file.read_text() == "@ SOA a. b. 1 2 3 4 5\n" and list(tmp_path.iterdir()) == [file]


# --- before there is a daemon ---

def test_check_publisher_without_a_daemon(world, stage):
    edge = stage.edge()
    sync = stage.sync(edge, start=False)
    status, output = check_publisher(sync)
    assert status == 0 and f"{zones.PRIMARY}:53 accepts our key and clock" in output, output
    sync.secret.write_text("d3Jvbmcgc2VjcmV0IHdyb25nIHNlY3JldCB3cm9uZyE=\n")
    status, output = check_publisher(sync)
    assert status == 1 and "BADSIG" in output, output
    assert tlsa_at(zones.PRIMARY, zones.MX) == set()
    edge.stop()  # nobody to say what is wanted: the primary can be asked all the same
    sync.secret.write_text(world.dns.key.secret + "\n")
    status, output = check_publisher(sync)
    assert status == 0 and "accepts our key" in output, output

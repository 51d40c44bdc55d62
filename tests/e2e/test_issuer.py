"""Issuer `command`: certificates from a real CA (pebble, by lego and certbot), renewed on the same key, fresh
for each roll; and a CA that fails in every way, which never holds up mail and is never silent."""

import signal

import pytest

from lab import pin, zones
from lab.acme import Acme
from lab.proc import RUN, children_of, run, wait_until
from lab.query import tlsa_at
from lab.traffic import Traffic


@pytest.fixture(scope="module")
def ca(world):
    made = Acme(world.dns.root_ds)
    try:
        yield made.start()
    finally:
        made.stop()


def with_issuer(command, **more):
    """An identity that gets its certificates by `command`: for both programs."""
    return {"identities": [{"name": zones.MX, "issuer": "command", "command": command, "command_retry": "1s", **more}]}


def start(stage, command, **more):
    changes = with_issuer(command, **more)
    edge = stage.edge(changes=changes)
    return edge, stage.sync(edge, changes=changes)


def reload(sync, command=None, **more):
    """SIGHUP, perhaps with another command: also ends the pause after a failure."""
    if command:
        sync.change_config(with_issuer(command, **more))
    starts = sync.log_text().count("event=start")
    sync.proc.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: sync.log_text().count("event=start") > starts and sync.ready(), 20, "tlsa-sync to reload")


def key_of(edge, generation=None):
    """The report's entry of the first key of a generation (the presented one)."""
    identity = edge.identity()
    wanted = generation or identity["presented"]
    return next(g for g in identity["generations"] if g["number"] == wanted)["keys"][0]


def presented():
    """Issuer, serial number and names of what is shown after STARTTLS, as openssl(1) reads them."""
    pem = pin.presented_certificate()[0]
    text = run("openssl", "x509", "-noout", "-issuer", "-serial", "-ext", "subjectAltName", input=pem).stdout
    return {"issuer": text.splitlines()[0], "serial": text.splitlines()[1], "names": text}


def wait_ca(edge, deadline_s=40):
    return wait_until(lambda: key_of(edge)["issuer"] == "ca" and "Pebble" in presented()["issuer"], deadline_s,
                      "a certificate of the CA's to be presented")


def wait_alarm(sync, words, deadline_s=30):
    wait_until(lambda: any(words in a for a in sync.status()["alarms"]), deadline_s, f"the alarm \"{words}\"", every_s=0.2)


def again_if_failed(sync):
    """What failed on a busy machine is tried again at once, not in an hour."""
    if any("exited with status" in a for a in sync.status()["alarms"]):
        reload(sync)


def test_renew_now_self_signed(stage, world):
    """Another certificate of the same key, at once: with the daemon, and without. DNS is not touched."""
    edge = stage.edge()
    sync = stage.sync(edge)
    wait_until(lambda: all(s == edge.records() for s in world.dns.served().values()), 40, "the records on every server")
    digest, served, serials = pin.presented_digest(), world.dns.served(), [presented()["serial"]]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        for daemon in (True, False):
            if not daemon:
                sync.stop()
            done = sync.command("renew", "--wait")
            assert "danegate signs the certificate anew" in done.stdout and "RENEWED" in done.stdout, done.stdout
            wait_until(lambda: presented()["serial"] not in serials, 20, "another certificate")
            serials.append(presented()["serial"])
            assert pin.presented_digest() == digest and world.dns.served() == served
        traffic.more(2)
        account = traffic.finish()
    assert account.is_perfect(), account
    refused = sync.command("renew", check=False)
    assert refused.returncode == 3 and "give --wait" in refused.stderr, refused.stderr


def test_lego_certifies_renews_and_rolls(stage, world, ca):
    command = ca.lego(world.dns.hand_key)
    edge, sync = start(stage, command)
    sync.wait_steady()
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        wait_ca(edge)
        first_pin, first = pin.presented_digest(), presented()
        assert f"DNS:{zones.MX}" in first["names"]
        assert "3 1 1 " + first_pin in tlsa_at(zones.PRIMARY, zones.MX)
        assert edge.identity()["presented"] == 1
        assert key_of(edge, 2)["issuer"] == "self-signed", "the next key is certified when its turn comes"

        # Renewal: another certificate, the same key, the same DNS.
        before = world.dns.served()
        reload(sync, command, renew_before="3650d", command_retry="1h")
        wait_until(lambda: presented()["serial"] != first["serial"] or again_if_failed(sync), 60, "a renewed certificate", every_s=0.3)
        renewed = presented()
        assert "Pebble" in renewed["issuer"]
        assert pin.presented_digest() == first_pin
        assert edge.identity()["presented"] == 1
        assert world.dns.served() == before
        # pebble's certificates live five years, so this one is due again: that is said, and not tried at once
        wait_alarm(sync, "renew_before is longer than its life")

        # Renewal at the operator's word, although nothing is due.
        reload(sync, command)
        done = sync.command("renew", "--wait")
        assert "the issuer's command gets a new certificate" in done.stdout and "RENEWED" in done.stdout, done.stdout
        asked = presented()
        assert "Pebble" in asked["issuer"] and asked["serial"] != renewed["serial"]
        assert pin.presented_digest() == first_pin and world.dns.served() == before

        # A roll: a fresh certificate for the next key, before it is presented.
        sync.command("rotate", "--wait", timeout=150)
        assert edge.identity()["presented"] == 2
        rolled = presented()
        assert pin.presented_digest() != first_pin
        assert pin.presented_digest() == key_of(edge, 2)["spki_sha256"]
        assert "Pebble" in rolled["issuer"]
        assert len({c["serial"] for c in (first, renewed, asked, rolled)}) == 4
        traffic.more(3)
        account = traffic.finish()
    assert account.is_perfect(), account
    history = sync.history()
    assert "CERTIFYING" in history and "a certificate was installed" in history


def test_certbot_certifies(stage, world, ca):
    edge, sync = start(stage, ca.certbot(world.dns.hand_key))
    wait_ca(edge, 60)
    assert pin.presented_digest() == key_of(edge, 1)["spki_sha256"]
    sync.wait_steady()
    wait_until(lambda: not [a for a in sync.status()["alarms"] if "certificate" in a], 20, "no alarm")


# What the script does after it has read the request, and what status then says of it.
FAULTS = {
    "refuses": ("echo 'the CA says: too many certificates' >&2; exit 1", "exited with status 1: the CA says: too many certificates"),
    "dies": ("kill -9 $$", "was ended by signal 9"),
    "hangs": ("echo 'waiting for the CA' >&2; sleep 600", "was killed: waiting for the CA"),
    "prints nothing": ("exit 0", "it printed no certificate"),
    "prints garbage": ("head -c 3000 /dev/urandom", "it printed no certificate"),
    "prints too much": ("yes 'not a certificate'", "printed more than"),
    "is cut off": ("head -3 {other}", "certificate 1 in what it printed is cut off"),
    "is of another key": ("cat {other}", "danegate refuses what the command printed"),
    "is expired": ("openssl x509 -req -days -1 -in $work/csr -signkey {key} -force_pubkey $work/pub", "danegate refuses what the command printed"),
}


MARKS = RUN / "issuer.marks"  # a line for each run


def runs():
    return MARKS.read_text().split() if MARKS.exists() else []


def make_script(body):
    """An issuer's command that has not run yet."""
    script = RUN / "issuer.sh"
    MARKS.unlink(missing_ok=True)
    script.write_text(script_of(body))
    script.chmod(0o755)
    return script


def script_of(body):
    return f"""#!/bin/sh
echo $$ >> {MARKS}
work=$(mktemp -d)
cat > $work/csr
openssl req -in $work/csr -noout -pubkey > $work/pub
{body}
"""


def test_a_failing_ca_is_never_silent_and_never_in_the_way(stage, world):
    """Each fault in turn, in the steady state: mail flows, DNS and keys stay, status says why."""
    other, key, _ = pin.make_certificate("not-ours", zones.MX)
    script = make_script("exit 1")
    edge, sync = start(stage, [str(script)], command_timeout="60s", command_retry="1h")
    sync.wait_steady()
    served, generations = world.dns.served(), [g["number"] for g in edge.identity()["generations"]]
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        for name, (body, words) in FAULTS.items():
            script.write_text(script_of(body.format(other=other, key=key)))
            before = len(runs())
            reload(sync, [str(script)], command_timeout="2s" if name == "hangs" else "60s", command_retry="1h")
            wait_until(lambda: len(runs()) > before, 30, f"the command that {name} to be run")
            wait_alarm(sync, words)
            sync.wait_steady()
        script.write_text("#!/no/such/shell\n")
        reload(sync)
        wait_alarm(sync, "no such file")
        assert world.dns.served() == served
        assert [g["number"] for g in edge.identity()["generations"]] == generations
        assert presented()["issuer"].endswith(zones.MX), "self-signed still"
        account = traffic.finish()
    assert account.is_perfect(), account
    assert "too many certificates" in sync.history()
    wait_until(lambda: "certify mx1.example.lab: /run/lab/issuer.sh" in sync.show("show errors"), 20, "it among the errors")
    assert 'tlsa_sync_certificates_total{identity="mx1.example.lab",outcome="failed"}' in sync.show("show metrics")


def test_a_roll_waits_for_its_certificate_and_goes_on(stage, world, ca):
    """The CA is down when a roll begins: CERTIFYING says so, mail flows; the CA comes back, the roll completes."""
    edge, sync = start(stage, ca.lego(world.dns.hand_key, "down"))
    wait_ca(edge)
    sync.wait_steady()
    digest = pin.presented_digest()
    with Traffic(world.sender, world.backend, per_second=4) as traffic:
        ca.stop(resolver=False)
        sync.rotate()

        def told():  # while the command runs again it is that which is told
            status = sync.status()
            return status["state"] == "CERTIFYING" and "connection refused" in status["why"] and status["waiting_for"] == "the issuer"

        wait_until(told, 60, "the reason in CERTIFYING")
        assert pin.presented_digest() == digest
        sync.wait_says("connection refused", states=["CERTIFYING"])
        traffic.more(3)
        ca.start()  # its accounts are gone with it
        reload(sync, ca.lego(world.dns.hand_key, "back"))
        wait_until(lambda: edge.identity()["presented"] == 2 and sync.state() == "STEADY", 90, "the roll to complete")
        account = traffic.finish()
    assert account.is_perfect(), account
    assert "Pebble" in presented()["issuer"]


def test_an_emergency_does_not_wait_for_a_ca(stage, world):
    """DANE-EE needs no CA (RFC 7671 5.1): the self-signed certificate of the next key is presented."""
    edge, sync = start(stage, [str(make_script("exit 1"))], command_retry="1h")
    sync.wait_steady()
    wait_alarm(sync, "exited with status 1")
    sync.command("rotate", "--emergency")
    wait_until(lambda: edge.identity()["presented"] == 2, 60, "the next key to be presented")


def test_killed_while_the_command_runs(stage, world):
    """kill -9 in the middle: after the start it is known that the outcome is not, mail went on, and the command
    is run again after a pause. A stop in good order takes the command with it."""
    _, sync = start(stage, [str(make_script("exec sleep 600"))])
    wait_until(lambda: len(runs()) == 1, 30, "the first run")
    sync.crash()
    sync.start()
    wait_alarm(sync, "tlsa-sync ended while the issuer's command was running")
    wait_until(lambda: len(runs()) == 2, 30, "the second run")
    second = int(runs()[1])
    assert second in children_of(sync.proc.pid)
    sync.stop()
    wait_until(lambda: not (RUN.parents[1] / "proc" / str(second)).exists(), 20, "the command to end with tlsa-sync")

"""An operator's mistake gets file, line, column, the key, and what would be right; and changes nothing."""

import re
import signal
from pathlib import Path

import pytest

from lab import zones
from lab.programs import Danegate
from lab.traffic import submit
from lab.proc import send_signal, wait_until

GOOD = """state_dir: /run/lab/typo/state
dns:
  trust_anchor: /usr/share/dns/root.key
proxy:
  hostname: mx1.example.lab
  listen: ["127.25.0.77:25"]
  control_socket: /run/lab/typo/control.sock
  stats_socket: /run/lab/typo/stats.sock
identities:
  - name: mx1.example.lab
backend:
  address: 127.25.0.30:2525
  connect_timeout: 10s
limits:
  queue_bytes: 64K
"""

# name: (what is replaced, by what, line of the complaint, words it must hold)
TYPOS = {
    "unknown key": ("  hostname:", "  hostnam:", 5, ["hostnam"]),
    "unknown section": ("limits:", "limit:", 14, ["limit"]),
    "unit": ("10s", "10x", 13, ["connect_timeout", "10x"]),
    "size": ("64K", "64Q", 15, ["queue_bytes", "64Q"]),
    "word": ("limits:\n", "smtp:\n  bare_newline: ignore\nlimits:\n", 15, ["bare_newline", "reject", "normalize"]),
    "address": ("127.25.0.77:25", "127.25.0.777:25", 6, ["listen"]),
    "port": ("127.25.0.30:2525", "127.25.0.30:99999", 12, ["address"]),
    "duplicate key": ("  connect_timeout: 10s\n", "  connect_timeout: 10s\n  connect_timeout: 11s\n", 14, ["connect_timeout"]),
    "duplicate identity": ("  - name: mx1.example.lab\n", "  - name: mx1.example.lab\n  - name: MX1.example.lab\n", 11,
                           ["MX1.example.lab"]),
    "bad algorithm": ("  - name: mx1.example.lab\n", "  - name: mx1.example.lab\n    algorithms: [ecdsa]\n", 11, ["ecdsa-p256"]),
    "tab": ("  hostname:", "\thostname:", 5, []),
    "unfinished": ('["127.25.0.77:25"]', '["127.25.0.77:25"', None, []),
    "files that are not there": ("  - name: mx1.example.lab\n",
                                 "  - name: mx1.example.lab\n    issuer: files\n    files:\n"
                                 "      - chain: /nonexistent/c.pem\n        key: /nonexistent/k.pem\n", None, ["/nonexistent/"]),
}


def check(text):
    """danegate --check of a text: (status, output)."""
    program = Danegate(name="typo")
    program.config_file.write_text(text)
    return program.check()


def test_good_file_passes():
    status, output = check(GOOD)
    assert status == 0 and output.strip().endswith("ok"), output


@pytest.mark.parametrize("name", TYPOS)
def test_typo(name):
    old, new, line, words = TYPOS[name]
    assert old in GOOD
    status, output = check(GOOD.replace(old, new, 1))
    assert status == 2, output
    found = re.search(r"danegate\.yaml:(\d+):(\d+): ", output)
    assert found, output
    if line:
        assert int(found[1]) == line, output
    for word in words:
        assert word in output, output


@pytest.mark.parametrize("text", ["", "\n", "#only a comment\n", "- a\n- b\n", "just words\n", "\x00\x01", GOOD[:60]])
def test_broken_files(text):
    status, output = check(text)
    assert status == 2, output
    assert "danegate.yaml" in output


def test_all_errors_at_once():
    status, output = check(GOOD.replace("10s", "10x").replace("64K", "64Q"))
    assert "10x" in output and "64Q" in output, output


def test_exception_that_is_over_is_a_warning():
    exceptions = "connectors:\n" + "".join(
        f'  - name: {name}\n    domains: [{name}.lab]\n    next_hops: [{{to: "127.25.0.31:25"}}, {{to: "192.0.2.7:25"}}]\n'
        f"    tls: none\n    until: {until}\n    reason: their mail host is being replaced\n"
        for name, until in [("old", "2026-01-31"), ("new", "9999-12-31")])
    status, output = check(GOOD + exceptions)
    assert status == 0 and "danegate.yaml: ok\n" in output, output
    [warning] = [line for line in output.splitlines() if "warning" in line]
    line = (GOOD + exceptions).splitlines().index("    until: 2026-01-31") + 1
    assert f"danegate.yaml:{line}:12: connectors.until: warning: connector old: " in warning
    assert "2026-01-31" in warning and "their mail host is being replaced" in warning


def test_missing_file_is_named():
    program = Danegate(name="typo")
    program.config_file.unlink()
    status, output = program.check()
    assert status != 0 and "danegate.yaml" in output


def test_program_does_not_start_with_a_typo():
    program = Danegate(name="typo", changes={"backend": {"connect_timeout": "10x"}})
    program.launch()
    assert program.proc.wait(30) != 0
    assert "danegate.yaml" in program.log_text() and "10x" in program.log_text()


def test_dump_is_accepted_by_check(edge):
    from lab.proc import run
    from lab.programs import sanitizer_env

    dump = run(edge.path(), "-c", edge.config_file, "--dump", env=sanitizer_env()).stdout
    status, output = check(dump)
    assert status == 0, output
    assert "connect_timeout: 2s" in dump


def test_world_readable_secret_is_refused(stage, edge):
    sync = stage.sync(edge, start=False)
    sync.secret.chmod(0o644)
    sync.launch()
    assert sync.proc.wait(30) != 0
    assert sync.secret.name in sync.log_text(), sync.log_text()


def test_large_configuration_reaches_the_workers(world, hand_pinned):
    """Longer than a line of any other socket may be."""
    edge = hand_pinned
    edge.change_config({"connectors": [{
        "name": "large", "domains": [f"customer-number-{i:06}.of-a-large-provider.example" for i in range(90000)],
        "next_hops": [{"to": f"{zones.BACKEND}:2525"}], "tls": "none"}]})
    assert edge.config_file.stat().st_size > 4 << 20
    answer = edge.reload()
    assert answer["ok"] is True, answer
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent], 20, "mail to go on")


def test_failed_reload_leaves_the_running_configuration(world, hand_pinned):
    edge = hand_pinned
    good = edge.config_file.read_text()
    edge.config_file.write_text(good.replace("connect_timeout: 2s", "connect_timeout: 2y"))
    answer = edge.reload()
    assert answer["ok"] is False, answer
    assert re.search(r"danegate\.yaml:\d+:\d+:", answer["why"]), answer
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent], 20, "mail to go on")
    edge.config_file.write_text(good)
    assert edge.reload()["ok"] is True


def test_damaged_certificates_in_a_bundle_leave_the_running_configuration(world, hand_pinned):
    """A worker that stopped reading there would not trust the CAs behind it, and nobody would know."""
    edge = hand_pinned
    good = edge.config_file.read_text()
    block = Path("/etc/ssl/certs/ca-certificates.crt").read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    bundle = edge.dir / "bundle.pem"
    bundle.write_text(block + block.replace("BEGIN CERT", "BEGIN X509 CERT") + block)
    edge.change_config({"connectors": [{"name": "far", "domains": ["far.example"], "next_hops": [{"to": "far.example:25"}],
                                        "tls": "require", "tls_ca": str(bundle)}]})
    answer = edge.reload()
    assert answer["ok"] is False and f"certificate 2 in {bundle} is cut off or damaged" in answer["why"], answer
    assert f"certificate 2 in {bundle}" in edge.show("show errors")
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent], 20, "mail to go on")
    bundle.write_text(block * 3)
    assert edge.reload()["ok"] is True
    edge.config_file.write_text(good)
    assert edge.reload()["ok"] is True


def test_reload_takes_a_new_backend(world, fake, edge):
    from lab.client import Client
    from lab.traffic import message, new_id

    edge.change_config({"backend": {"address": fake.address, "client_info": "none"}})
    assert edge.reload()["ok"] is True
    with Client().secure() as client:
        assert client.deliver(message(new_id())) == 250
    assert len(fake.accepted) == 1
    wait_until(edge.serving, 20, "the edge to greet")
    assert edge.identity(zones.MX)["guard"] == "allowed"


def test_reload_answers_only_when_every_worker_goes_by_it(fake, edge):
    stopped = edge.workers()[:1]
    edge.change_config({"backend": {"address": fake.address, "client_info": "none"}})
    send_signal(stopped, signal.SIGSTOP)
    try:
        answer = edge.reload()
    finally:
        send_signal(stopped, signal.SIGCONT)
    assert answer["ok"] is False and "1 of " in answer["why"] and "reload again" in answer["why"], answer
    assert edge.reload()["ok"] is True

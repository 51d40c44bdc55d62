"""Connectors against real DNS and real mail hosts: every state of a zone and of a certificate in every mode of DANE, and
what Postfix' own client does with the same hosts. One message each way for each cell; the tests look at what came of it."""

import collections
import os
import re
import resource
import signal
import smtplib
import time
from pathlib import Path

import pytest
from conftest import Stage

from lab.both_ways import judge, send_all, transaction
from lab.client import Client
from lab.hops import EDGE, MODES, Authority, FreeSender, Host, HopDns, Hops
from lab.proc import run, wait_until
from lab.programs import merged, sanitizer_env, to_yaml
from lab.traffic import message, new_id, submit

OTHER_KEY = "3 1 1 " + "0123456789abcdef" * 4
UNUSABLE = "1 1 1 " + "0123456789abcdef" * 4
DAMAGED = "3 0 0 3082012f30820115"  # of a certificate, its first octets only
FAR = {"until": "2099-12-31", "reason": "a test"}

# What becomes of a message in the modes none, opportunistic and mandatory: the trust with which it goes, as reports call it,
# or the enhanced code behind the 451 at RCPT. RFC 7672 2.1, 2.2.
CELLS = {
    "plain": ("encrypted", "encrypted", "4.7.323"),  # a signed zone without TLSA
    "match": ("encrypted", "dane", "dane"),
    "mismatch": ("encrypted", "4.7.323", "4.7.323"),
    "unusable": ("encrypted", "encrypted", "4.7.323"),
    "damaged": ("encrypted", "encrypted", "4.7.323"),  # that is as unusable: RFC 6698 4.1
    "bogus": ("encrypted", "4.7.324", "4.7.324"),  # the TLSA records are
    "broken": ("4.7.324", "4.7.324", "4.7.324"),  # the mail host's addresses are bogus, and that has no mode
    "insecure": ("encrypted", "encrypted", "4.7.324"),  # the mail host's zone is not signed, its TLSA record has no worth
    "unsigned": ("encrypted", "encrypted", "4.7.324"),  # the domain's own zone
    "servfail": ("encrypted", "4.7.324", "4.7.324"),  # to TLSA
    "anchor": ("encrypted", "dane", "dane"),  # DANE-TA
    "expired": ("encrypted", "4.7.322", "4.7.322"),  # DANE-TA
    "wrongname": ("encrypted", "4.7.325", "4.7.325"),  # DANE-TA
    "alias": ("encrypted", "dane", "dane"),  # the domain is one, and DANE-TA finds where it leads in the certificate
    "oldkey": ("encrypted", "dane", "dane"),  # both, with DANE-EE, to which neither matters
    "nostarttls": ("clear", "4.7.321", "4.7.321"),
    "cleartext": ("clear", "clear", "4.7.323"),  # neither STARTTLS nor TLSA
}
REASONS = {
    "4.7.321": "hop_starttls_not_supported", "4.7.322": "hop_certificate_expired", "4.7.323": "hop_tlsa_invalid",
    "4.7.324": "hop_dnssec_invalid", "4.7.325": "hop_certificate_host_mismatch",
}


def wanted_of(row, mode):
    """(trust, None) or (None, enhanced code)."""
    cell = CELLS[row][MODES.index(mode)]
    return (None, cell) if cell.startswith("4.") else (cell, None)


def domain_of(row, mode):
    return f"{mode}.insecure.lab" if row == "unsigned" else f"{row}.{mode}.mail.lab"


def make_hosts():
    """(the mail hosts by name, that of the unsigned zone)."""
    ca = Authority("hop-ca")
    hosts = {name: f"{name}.mail.lab" for name in CELLS}
    good, good_record = ca.leaf("good", [*hosts.values(), "mx.insecure.lab"])
    expired, _ = ca.leaf("expired", hosts.values(), expired=True)
    other, _ = ca.leaf("other", ["other.mail.lab"])
    old, old_record = ca.leaf("old", ["other.mail.lab"], expired=True)
    bogus = ("_tcp.bogustlsa NS a.root-servers.lab.\n_tcp.bogustlsa DS 12345 13 2 " + "00" * 32 +
             "\n_25._tcp.bogus CNAME _25._tcp.bogustlsa\n")
    servfail = "_tcp.servfail NS a.root-servers.lab.\n"
    far, _ = ca.leaf("far", [f"far.{m}.mail.lab" for m in MODES])
    # Domains whose mail host is the edge, by a name that is not its own.
    loops = f"itself A {EDGE}\nround.past MX 10 itself\nnext.past MX 10 itself\nnext.past MX 20 match\n"
    aliases = f"_25._tcp.far TLSA {ca.trust_record}\n" + "".join(f"alias.{m} CNAME far.{m}\n" for m in MODES)
    of = {
        "plain": Host(1, good),
        "match": Host(2, good, [good_record]),
        "mismatch": Host(3, good, [OTHER_KEY]),
        "unusable": Host(4, good, [UNUSABLE]),
        "bogus": Host(5, good, lines=bogus),
        "servfail": Host(6, good, lines=servfail),
        "anchor": Host(7, good, [ca.trust_record]),
        "expired": Host(8, expired, [ca.trust_record]),
        "wrongname": Host(9, other, [ca.trust_record]),
        "oldkey": Host(10, old, [old_record]),
        "nostarttls": Host(11, None, [good_record]),
        "cleartext": Host(12, None),
        "damaged": Host(14, good, [DAMAGED]),
        "far": Host(15, far, lines=aliases + loops),
    }
    return of, Host(13, good, [good_record])


class Scene:
    """Everything there is, started."""

    def __init__(self):
        hosts, unsigned = make_hosts()
        domains = {f"insecure.{m}": "mx.insecure.lab." for m in MODES}
        domains.update({f"broken.{m}": "mx.broken.lab." for m in MODES})
        others = {"mismatch.past": "mismatch", "known.mandatory": "match", "unknown.mandatory": "match"}
        domains.update(others)
        self.dns = HopDns(hosts, domains, unsigned)
        taken = [domain_of(row, mode) for row in CELLS for mode in MODES] + [f"{name}.mail.lab" for name in (*others, "round.past", "next.past")]
        self.hops = Hops([*hosts.values(), unsigned], taken)
        self.sender = FreeSender()
        self.stage = Stage(self, "test_connectors")

    def fresh(self):
        """For Stage: there is nothing to be undone."""

    def start(self):
        self.dns.start()
        self.hops.start()
        self.sender.start()
        connectors = [{"name": mode, "domains": [f"*.{mode}.mail.lab", f"{mode}.insecure.lab"], "next_hops": [{"to": "mx"}],
                       "dane": mode, "mta_sts": "none", **FAR} for mode in MODES]
        connectors.append({"name": "past", "domains": ["*.past.mail.lab"], "next_hops": [{"to": "mx"}], "dane": "none",
                           "until": "2020-01-01", "reason": "the hop had no records"})
        self.stage.__enter__()
        self.edge = self.stage.edge(name="hop-edge", address=EDGE, changes={
            "dns": self.dns.config(), "backend": {"address": None}, "connectors": connectors})
        return self

    def stop(self):
        try:
            self.stage.__exit__()
        finally:
            for part in (self.sender, self.hops, self.dns):
                part.stop()


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def outcomes(scene):
    """(row, mode) -> Outcome: all messages are sent both ways, and waited for, once."""
    return send_all(scene, {(row, mode): "user@" + domain_of(row, mode) for row in CELLS for mode in MODES})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", CELLS)
def test_matrix(scene, outcomes, row, mode):
    judge(scene, outcomes[row, mode], wanted_of(row, mode)[1])


def test_report(scene, outcomes):
    """`danegate report`: per connector and domain with which trust mail went or why it did not, the weakest first."""
    edge = scene.edge
    order = ["nothing", "clear", "local", "encrypted", "required", "mta-sts", "dane"]

    def rows():
        found = {(r["connector"], r["domain"]): r for r in edge.json("show report")["rows"]}
        return len([k for k in found if k[0] in MODES]) == len(outcomes) and found

    found = wait_until(rows, 10, "every cell in the report")
    for (row, mode) in outcomes:
        told, (trust, code) = found[mode, domain_of(row, mode)], wanted_of(row, mode)
        assert told.get("refused", {}) == ({REASONS[code]: 1} if code else {}), told
        assert told["weakest"] == (trust or "nothing") and told["trust"] == ({trust: 1} if trust else {}), told
    listed = [order.index(r["weakest"]) for r in edge.json("show report")["rows"]]
    assert listed == sorted(listed)
    text = run(edge.path(), "-c", edge.config_file, "report", env=sanitizer_env()).stdout.splitlines()
    (line,) = [x for x in text if " match.mandatory.mail.lab " in x]
    assert line.split() == ["mandatory", "match.mandatory.mail.lab", "dane", "dane", "1"]
    (line,) = [x for x in text if " expired.opportunistic.mail.lab " in x]
    assert line.split() == ["opportunistic", "expired.opportunistic.mail.lab", "nothing", "refused:hop_certificate_expired", "1"]
    metrics = edge.show("show metrics")
    for word, number in (("dane", 4), ("encrypted", 5), ("clear", 1)):
        assert f'danegate_connector_transactions_total{{connector="opportunistic",trust="{word}"}} {number}\n' in metrics


def test_an_exception_that_has_ended(scene):
    """Once its day has passed `none` counts as `opportunistic`, and an alarm says so."""
    edge = scene.edge
    _, heard, _ = transaction("user@mismatch.past.mail.lab")
    assert heard == "451 4.7.323"
    (row,) = [r for r in edge.json("show connectors")["connectors"] if r["name"] == "past"]
    assert (row["dane"], row["expired"], row["until"]) == ("opportunistic", True, "2020-01-01")
    (row,) = [r for r in edge.json("show connectors")["connectors"] if r["name"] == "none"]
    assert (row["dane"], row["expired"], row["until"]) == ("none", False, "2099-12-31")
    text = run(edge.path(), "-c", edge.config_file, "connectors", env=sanitizer_env()).stdout
    (line,) = [x for x in text.splitlines() if x.startswith("past ")]
    assert "opportunistic" in line and "the exception ended with 2020-01-01" in line
    alarms = [x for x in edge.show("show errors").splitlines() if "past" in x and "exception" in x]
    assert alarms and all("the hop had no records" in x and "2020-01-01" in x for x in alarms), edge.show("show errors")
    assert not [x for x in edge.show("show errors").splitlines() if "a test" in x]


def test_a_mail_host_that_is_the_edge_itself(scene):
    """It would take the message and pass it on to itself without end. The next host is tried, as far as there is one."""
    edge = scene.edge
    _, heard, _ = transaction("user@round.past.mail.lab")
    assert heard == "451 4.4.6"
    wait_until(lambda: [r["refused"] for r in edge.json("show report")["rows"] if r["domain"] == "round.past.mail.lab"] ==
               [{"hop_loop": 1}], 10, "the report to say why")
    message_id, heard, _ = transaction("user@next.past.mail.lab")
    assert heard.startswith("250"), heard
    wait_until(lambda: scene.hops.copies(message_id) == {"user@next.past.mail.lab": 1}, 20, "the message at the next host")


def test_dry_run(scene, outcomes):
    """`danegate --check --probe` says the same before a connector is put to use."""
    edge = scene.edge
    probe = edge.dir / "probe.yaml"
    domains = [domain_of(row, "opportunistic") for row in CELLS]
    probe.write_text(to_yaml(merged(edge.config, {"connectors": [
        {"name": "planned", "domains": domains, "next_hops": [{"to": "mx"}], "dane": "mandatory"}]})) + "\n")
    done = run(edge.path(), "-c", probe, "--check", "--probe", check=False, env=sanitizer_env(), timeout=120)
    assert done.returncode == 1, done.stderr  # most of them would not do
    lines = [re.split(r"  +", x.strip()) for x in done.stdout.splitlines()]
    (head,) = [x for x in lines if "as configured" in x]
    table = {x[1]: dict(zip(head, x)) for x in lines if len(x) == len(head)}
    for row, cells in CELLS.items():
        told = table[domain_of(row, "opportunistic")]
        assert tuple(told[c].removeprefix("451 ") for c in ("dane none", "dane opp.", "dane mandatory")) == cells, (row, told)
        assert told["as configured"] == told["dane mandatory"]


def rcpt(client, recipient):
    """What the recipient of a new transaction is answered; the session goes on."""
    assert client.command("MAIL FROM:<lab@sender.example.lab>")[0] == 250
    code, text = client.command(f"RCPT TO:<{recipient}>")
    assert client.command("RSET")[0] == 250
    return f"{code} {text[-1].split()[0]}"


def router_of(edge):
    (pid,) = [p for p in edge.workers() if b"--router" in Path(f"/proc/{p}/cmdline").read_bytes()]
    return pid


def test_without_the_router(scene):
    """The process that looks up routes is killed and can't be started: what the workers know goes on being used, the
    rest is deferred, and goes on by itself when the router is back."""
    edge, sender, pid = scene.edge, scene.sender, scene.edge.proc.pid
    old = router_of(edge)
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)

    def known_goes_on():
        """A route is known for five seconds at least: on a machine that was slower than that, once more."""
        with Client(EDGE).secure() as client:
            before = time.monotonic()
            assert rcpt(client, "user@known.mandatory.mail.lab").startswith("250 ")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, limits[1]))  # it gets no further descriptor
            try:
                os.kill(router_of(edge), signal.SIGKILL)
                wait_until(lambda: rcpt(client, f"user@{new_id()}.mandatory.mail.lab") == "451 4.4.3", 10,
                           "the router to be missed")
                still = rcpt(client, "user@known.mandatory.mail.lab")
                assert rcpt(client, "user@unknown.mandatory.mail.lab") == "451 4.4.3"
                if time.monotonic() - before < 4:
                    assert still.startswith("250 "), still
                    waiting.append(submit(sender, "edge@unknown.mandatory.mail.lab"))
                    wait_until(lambda: sender.deferred(waiting[0]), 20, "Postfix to be told to wait")
                    return True
                return False
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
                wait_until(lambda: router_of(edge) != old, 40, "another router")

    waiting = []
    wait_until(known_goes_on, 60, "a try that was quick enough")
    assert "said: 451 4.4.3 " in "".join(r for r in sender.reasons)

    def arrived():
        sender.flush()
        return scene.hops.delivered()[waiting[0]]

    wait_until(arrived, 30, "the message that had to wait", every_s=0.3)
    wait_until(lambda: sender.sent(waiting[0]), 10, "Postfix to know")
    assert scene.hops.delivered()[waiting[0]] == 1
    assert [x for x in edge.show("show errors").splitlines() if "router" in x and "signal 9" in x], edge.show("show errors")


def test_one_transaction_and_many_ways_on(scene):
    """Postfix hands one message for six domains of three connectors to danegate: it is told 452 for all that can't go
    with the first, comes back with them, and everyone gets one copy; also the one whose hop was not good at first."""
    sender, hops = scene.sender, scene.hops
    recipients = [f"edge{i}@{d}" for i, d in enumerate((
        "match.mandatory.mail.lab", "match.mandatory.mail.lab", "match.opportunistic.mail.lab", "plain.none.mail.lab",
        "cleartext.opportunistic.mail.lab", "mismatch.mandatory.mail.lab", "anchor.mandatory.mail.lab"))]
    late = recipients[5]
    sent = new_id()
    with smtplib.SMTP(sender.address, 25, local_hostname="client.lab", timeout=30) as smtp:
        smtp.sendmail("lab@sender.example.lab", recipients, message(sent, recipient=recipients[0]))

    def arrived(all_of):
        sender.flush()
        return set(hops.copies(sent)) >= set(all_of)

    wait_until(lambda: arrived(set(recipients) - {late}), 40, "all but one", every_s=0.5)
    said = [x for x in sender.log_text().splitlines() if "to=<edge" in x and "status=deferred" in x]
    # Those that went with the first accepted one were never told to come back, all others were.
    went_first = {r.split("@")[1] for r in recipients if r != late and not any(f"to=<{r}>" in x for x in said)}
    assert len(went_first) == 1, said
    for r in recipients:
        codes = {c for x in said if f"to=<{r}>" in x for c in re.findall(r" said: (\d{3} \S+) ", x)}
        assert codes <= {"452 4.5.3", "451 4.7.323"} and ("451 4.7.323" in codes) == (r == late), said
    host = scene.dns.hosts["mismatch"]
    host.records.append(scene.dns.hosts["match"].records[0])
    scene.dns.reload_mail()
    wait_until(lambda: arrived(recipients), 40, "the last one", every_s=0.5)
    (queue_id,) = [q for q, i in sender.read_log().id_of.items() if i == sent]
    wait_until(lambda: f"{queue_id}: removed" in sender.log_text(), 20, "the message to leave the queue")
    assert hops.copies(sent) == collections.Counter(recipients)

"""The router process against a real Knot and a real HTTPS server: what it answers for each thing that DNS and MTA-STS
can say. Who asks is the test, over the wire on which the supervisor asks otherwise."""

import json
import shutil
import signal
import smtplib
import socket
from pathlib import Path

import pytest

from lab.pin import make_certificate
from lab.postfix import HandMx
from lab.proc import RUN, children_of, run, send_signal, wait_until
from lab.programs import Danegate, sanitizer_env, sanitizer_reports, to_yaml
from lab.routing import MX, POLICY, SELF_SIGNED, SILENT, PolicyHost, Router, RouterDns, make_ca, policy, summary
from lab.zones import BACKEND

STS_NAMES = ["enforce", "testing", "off", "other", "selfsigned", "missing", "redirect", "html", "huge", "junk", "cut", "slow",
             "norecord", "kept", "dying", "renewed"]
CONNECTORS = [
    {"name": mode, "domains": [f"{mode}.example"], "next_hops": [{"to": "mx"}], "dane": mode, "mta_sts": "none",
     "until": "2099-12-31", "reason": "a test"}
    for mode in ("none", "opportunistic", "mandatory")
] + [
    {"name": "sts", "domains": ["sts.example"], "next_hops": [{"to": "mx"}]},
    {"name": "host", "domains": ["host.example"], "next_hops": [{"to": "dane.mail.lab:2525"}]},
    {"name": "several", "domains": ["several.example"],
     "next_hops": [{"to": "192.0.2.1:25", "priority": 30}, {"to": "dane.mail.lab:2525", "priority": 20}, {"to": "mx", "priority": 10}]},
]


@pytest.fixture(scope="module")
def certificate():
    """Certificate, key and '3 1 1 …' of the Postfix that the hosts lead to."""
    return make_certificate("router-mx", "pinned.mail.lab")


@pytest.fixture(scope="module")
def dns(certificate):
    made = RouterDns(pinned=certificate[2]).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def trust():
    names = [f"mta-sts.{n}.sts.lab" for n in STS_NAMES]
    return make_ca(RUN / "policy-ca", names)


@pytest.fixture(scope="module")
def hosts(trust):
    made = [PolicyHost(POLICY, trust.parent / "good.pem", trust.parent / "good.key"),
            PolicyHost(SELF_SIGNED, trust.parent / "self.pem", trust.parent / "self.key")]
    yield made
    for host in made:
        host.stop()


@pytest.fixture
def router(dns, trust):
    made = Router(dns, CONNECTORS, mta_sts={"ca": str(trust), "timeout": "5s"}).start()
    yield made
    status = made.stop()
    reports = {r: r.read_text(errors="replace") for r in sanitizer_reports()}
    for report in reports:
        report.unlink()
    assert not reports, "\n".join(reports.values())
    assert status == 0, made.log_text()


# domain -> what each mode gets: none, opportunistic, mandatory
DANE = {
    "d-plain": ("plain.mail.lab may any", "plain.mail.lab may any", "plain.mail.lab HOP_TLSA"),
    "d-dane": ("dane.mail.lab may any", "dane.mail.lab must dane", "dane.mail.lab must dane"),
    "d-unusable": ("unusable.mail.lab may any", "unusable.mail.lab must any", "unusable.mail.lab HOP_TLSA"),
    "d-six": ("six.mail.lab may any", "six.mail.lab may any", "six.mail.lab HOP_TLSA"),
    "d-far": ("far.mail.lab may any", "far.mail.lab must dane", "far.mail.lab must dane"),
    "d-near": ("near.mail.lab may any", "near.mail.lab must dane", "near.mail.lab must dane"),
    "d-out": ("out.mail.lab may any", "out.mail.lab must dane", "out.mail.lab must dane"),
    "d-outplain": ("outplain.mail.lab may any", "outplain.mail.lab may any", "outplain.mail.lab HOP_TLSA"),
    "d-bogustlsa": ("bogustlsa.mail.lab may any", "bogustlsa.mail.lab HOP_DNSSEC", "bogustlsa.mail.lab HOP_DNSSEC"),
    "d-deadtlsa": ("deadtlsa.mail.lab may any", "deadtlsa.mail.lab HOP_DNSSEC", "deadtlsa.mail.lab HOP_DNSSEC"),
    "d-empty": ("HOP_NO_HOST",) * 3,
    "d-gone": ("HOP_NO_HOST",) * 3,
    "no-such": ("HOP_NO_HOST",) * 3,
    "null": ("HOP_NULL_MX",) * 3,
    "implicit": ("implicit.mail.lab may any", "implicit.mail.lab may any", "implicit.mail.lab HOP_TLSA"),
    "alias": ("dane.mail.lab may any", "dane.mail.lab must dane", "dane.mail.lab must dane"),
    "broken": ("mx.broken.lab HOP_DNSSEC",) * 3,
    "dead": ("mx.dead.lab HOP_DNS",) * 3,
    "insecure-mx": ("mx.insecure.lab may any", "mx.insecure.lab may any", "mx.insecure.lab HOP_DNSSEC"),
}


@pytest.mark.parametrize("mode", ["none", "opportunistic", "mandatory"])
def test_every_state_of_a_zone_is_told_from_the_others(router, mode):
    which = ["none", "opportunistic", "mandatory"].index(mode)
    found = {d: summary(router.ask(mode, f"{d}.mail.lab")) for d in DANE}
    assert found == {d: wanted[which] for d, wanted in DANE.items()}


def test_domains_outside_the_signed_tree(router):
    assert summary(router.ask("opportunistic", "insecure.lab")) == "mx.insecure.lab may any"
    assert summary(router.ask("mandatory", "insecure.lab")) == "HOP_DNSSEC"
    assert summary(router.ask("opportunistic", "broken.lab")) == "HOP_DNSSEC"
    assert summary(router.ask("opportunistic", "dead.lab")) == "HOP_DNS"


def test_what_a_route_holds(router):
    hop = router.ask("opportunistic", "alias.mail.lab")["hops"][0]
    assert (hop["port"], hop["preference"], hop["addresses"]) == (25, 10, [MX])
    assert hop["names"] == ["dane.mail.lab", "alias.mail.lab", "d-dane.mail.lab"]  # an alias of the last: RFC 7672 3.2.2
    assert hop["records"] == ["030101" + "0123456789abcdef" * 4]
    assert router.ask("opportunistic", "d-far.mail.lab")["hops"][0]["names"] == ["dane.mail.lab", "d-far.mail.lab"]
    assert router.ask("opportunistic", "d-six.mail.lab")["hops"][0]["addresses"] == ["fd25::25"]
    two = [h["name"] for h in router.ask("opportunistic", "two.mail.lab")["hops"]]
    assert sorted(two[:2]) == ["bogustlsa.mail.lab", "plain.mail.lab"] and two[2] == "dane.mail.lab"
    assert 1000 <= router.ask("opportunistic", "d-dane.mail.lab")["ttl_ms"] <= 5000  # a TTL of one second, raised to the least


def test_hosts_of_the_configuration(router):
    assert summary(router.ask("host")) == "dane.mail.lab must dane"
    several = router.ask("several", "d-plain.mail.lab")
    assert summary(several) == "plain.mail.lab may any; dane.mail.lab must dane; 192.0.2.1 may any"
    assert summary(router.ask("several", "dead.lab")) == "dead.lab HOP_DNS; dane.mail.lab must dane; 192.0.2.1 may any"


def test_many_questions_at_once_are_all_answered(router):
    wanted = {}
    for number in range(1000, 1400):
        domain, modes = list(DANE.items())[number % len(DANE)]
        wanted[number] = modes[1]
        router.send({"route": number, "connector": "opportunistic", "domain": f"{domain}.mail.lab"})
    found = {}
    while len(found) < len(wanted):
        answer = router.read()
        found[answer["route"]] = summary(answer)
    assert found == wanted


def test_nonsense_is_survived(router):
    for line in (b"\n", b"{}\n", b"[1]\n", b'{"route":"x"}\n', b'{"route":1}\n', b'{"do":"dance"}\n', b"\xff\xfe\n"):
        router.wire.sendall(line)
    assert summary(router.ask("nobody", "d-dane.mail.lab")) == "HOP_DNS"
    assert summary(router.ask("opportunistic", "a b")) == "HOP_NO_HOST"
    assert summary(router.ask("opportunistic", "d-dane.mail.lab")) == "dane.mail.lab must dane"


def test_new_settings_are_taken_at_once(router):
    assert summary(router.ask("host")) == "dane.mail.lab must dane"
    changed = [dict(c) for c in CONNECTORS]
    changed[4]["next_hops"] = [{"to": "plain.mail.lab:2525"}]
    router.configure(connectors=changed)
    assert summary(router.ask("host")) == "plain.mail.lab may any"


# --- MTA-STS


def test_policies(dns, hosts, router):
    good, bad = hosts
    dns.set_sts(enforce=("1", POLICY), testing=("1", POLICY), off=("1", POLICY), other=("1", POLICY), selfsigned=("1", SELF_SIGNED),
                missing=("1", POLICY), redirect=("1", POLICY), html=("1", POLICY), huge=("1", POLICY), junk=("1", POLICY),
                cut=("1", POLICY), norecord=(None, POLICY))
    match = policy("enforce", "mx1.sts.lab")
    for name in ("enforce", "norecord"):
        good.serve(f"{name}.sts.lab", match)
    good.serve("testing.sts.lab", policy("testing", "mx1.sts.lab"))
    good.serve("off.sts.lab", policy("none"))
    good.serve("other.sts.lab", policy("enforce", "mx2.sts.lab", "*.mx1.sts.lab"))
    bad.serve("selfsigned.sts.lab", match)
    good.serve("redirect.sts.lab", match, status=301,
               headers={"Location": "https://mta-sts.enforce.sts.lab/.well-known/mta-sts.txt"})
    good.serve("cut.sts.lab", match, headers={"Content-Length": 1000})
    good.serve("html.sts.lab", match, kind="text/html")
    good.serve("huge.sts.lab", match + "x-padding: " + "y" * 70000 + "\r\n")
    good.serve("junk.sts.lab", match.replace("STSv1", "STSv2"))
    router.ask_until("sts", "enforce.sts.lab", "mx1.sts.lab must names sts")  # DNS has the new zone, then
    found = {n: summary(router.ask("sts", f"{n}.sts.lab")) for n in dns.sts}
    plain = "mx1.sts.lab may any"
    assert found == {
        "enforce": "mx1.sts.lab must names sts", "testing": plain, "off": plain, "other": "mx1.sts.lab HOP_STS", "selfsigned": plain,
        "missing": plain, "redirect": plain, "html": plain, "huge": plain, "junk": plain, "cut": plain, "norecord": plain,
    }
    testing = router.ask("sts", "testing.sts.lab")
    assert testing["sts_mode"] == "testing" and testing["hops"][0]["sts_listed"]
    assert good.count("norecord.sts.lab") == 0  # without a record nobody asks
    assert router.ask("sts", "enforce.sts.lab")["hops"][0]["names"] == ["mx1.sts.lab"]
    log = router.log_text()
    for why in ("status 301", "not text/plain but text/html", "longer than 65536", "version: not STSv1", "status 404"):
        assert why in log, f"{why}: {log}"
    assert log.count("mta-sts-fetch") == 7, log  # those five, the file that was cut short, the certificate that nobody vouches for


def test_what_is_known_holds_when_the_policy_host_is_gone(dns, hosts, trust, router):
    good, _ = hosts
    enforced, plain = "mx1.sts.lab must names sts", "mx1.sts.lab may any"
    dns.set_sts(kept=("1", POLICY))
    good.serve("kept.sts.lab", policy("enforce", "mx1.sts.lab"))
    router.ask_until("sts", "kept.sts.lab", enforced)
    asked = good.count("kept.sts.lab")
    # The same id is not fetched again, a new one is; what can't be fetched changes nothing.
    router.ask("sts", "kept.sts.lab")
    assert good.count("kept.sts.lab") == asked
    good.serve("kept.sts.lab", "", status=503)
    dns.set_sts(kept=("2", POLICY))
    wait_until(lambda: router.ask("sts", "kept.sts.lab") and good.count("kept.sts.lab") > asked, 20, "a fetch for the new id")
    assert summary(router.ask("sts", "kept.sts.lab")) == enforced
    # It failed just now: that id waits, the next one does not.
    asked = good.count("kept.sts.lab")
    assert summary(router.ask("sts", "kept.sts.lab")) == enforced and good.count("kept.sts.lab") == asked
    good.serve("kept.sts.lab", policy("enforce", "mx2.sts.lab"))
    dns.set_sts(kept=("3", POLICY))
    router.ask_until("sts", "kept.sts.lab", "mx1.sts.lab HOP_STS")
    # Neither the record nor the process needs to live on for a policy to hold.
    dns.set_sts(kept=(None, POLICY))
    router.stop()
    router.start()
    wait_until(lambda: not dns.knot.proc.must_run() or summary(router.ask("sts", "kept.sts.lab")) == "mx1.sts.lab HOP_STS", 20,
               "the policy on disk to hold")
    # A damaged file is passed over, and said.
    router.stop()
    file = router.dir / "mta-sts" / "kept.sts.lab.json"
    assert json.loads(file.read_text())["id"] == "3"
    file.write_text(file.read_text()[:-20])
    router.start()
    assert summary(router.ask("sts", "kept.sts.lab")) == plain
    assert "mta-sts-cache" in router.log_text() and "kept.sts.lab.json" in router.log_text()


def test_a_policy_ends_with_its_max_age(dns, hosts, router):
    good, _ = hosts
    dns.set_sts(dying=("1", POLICY))
    good.serve("dying.sts.lab", policy("enforce", "mx2.sts.lab", max_age=8))
    router.ask_until("sts", "dying.sts.lab", "mx1.sts.lab HOP_STS")
    good.serve("dying.sts.lab", "", status=500)
    router.ask_until("sts", "dying.sts.lab", "mx1.sts.lab may any", deadline_s=40)


def test_in_use_a_policy_is_fetched_anew_before_it_ends(dns, hosts, router):
    good, _ = hosts
    dns.set_sts(renewed=("1", POLICY))
    good.serve("renewed.sts.lab", policy("enforce", "mx1.sts.lab", max_age=6))
    router.ask_until("sts", "renewed.sts.lab", "mx1.sts.lab must names sts")
    before = good.count("renewed.sts.lab")
    wait_until(lambda: summary(router.ask("sts", "renewed.sts.lab")) == "mx1.sts.lab must names sts" and
               good.count("renewed.sts.lab") > before, 30, "another fetch at half its life", every_s=0.2)


def test_a_silent_policy_host_holds_mail_up_for_a_bounded_time(dns, hosts, router):
    hosts[0].serve("enforce.sts.lab", policy("enforce", "mx1.sts.lab"))
    dns.set_sts(slow=("1", SILENT), enforce=("1", POLICY))
    router.ask_until("sts", "enforce.sts.lab", "mx1.sts.lab must names sts")
    with socket.create_server((SILENT, 443)):  # takes connections and says nothing
        assert summary(router.ask("sts", "slow.sts.lab")) == "mx1.sts.lab may any"
    assert 'where=slow.sts.lab why="the policy host did not answer in time; mail goes on without"' in router.log_text()


def test_dane_does_not_wait_for_a_policy(router):
    """DANE outranks MTA-STS: where it speaks, nobody waits for a policy host, here one that takes connections and says
    nothing. That its fetch fails is said later."""
    with socket.create_server((SILENT, 443)):
        assert summary(router.ask("sts", "d-dane.mail.lab")) == "dane.mail.lab must dane"
        assert "mta-sts-fetch" not in router.log_text()
        wait_until(lambda: "did not answer in time; mail goes on without" in router.log_text(), 20, "the fetch to be given up")


# --- danegate --check --probe


def probe(dns, connectors):
    """Its exit status, and hop -> title -> cell."""
    where = RUN / "probe"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir()
    config = {"state_dir": str(where), "proxy": {"hostname": "edge.lab.test", "control_socket": str(where / "c"), "stats_socket": str(where / "s")},
              "identities": [{"name": "edge.lab.test"}], "dns": dns.config(), "connectors": connectors}
    (where / "danegate.yaml").write_text(to_yaml(config) + "\n")
    done = run(Danegate.path(), "-c", where / "danegate.yaml", "--check", "--probe", check=False, env=sanitizer_env(), timeout=120)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    titles = ["as configured", "tls none", "tls opp.", "tls require", "dane none", "dane opp.", "dane mandatory", "sts none", "sts opp."]
    starts = [lines[0].index(t) for t in titles] + [None]
    rows = {}
    for line in lines[1:]:
        if len(line.split()) > len(titles) and ": " not in line:
            rows[line.split()[2]] = {t: line[a:b].strip() for t, a, b in zip(titles, starts, starts[1:])}
    return done.returncode, rows, done.stdout


def test_a_dry_run_says_what_each_mode_would_do(dns, certificate):
    mx = HandMx(*certificate[:2], name="routed-mx", address=MX).start()
    try:
        good = {"name": "good", "domains": ["d-pinned.mail.lab", "d-plain.mail.lab", "d-dane.mail.lab", "d-bogustlsa.mail.lab", "d-unusable.mail.lab"],
                "next_hops": [{"to": "mx"}]}
        status, rows, text = probe(dns, [good])
        same = {"tls none": "local", "tls opp.": "encrypted", "tls require": "451 4.7.5", "dane none": "encrypted", "sts none": "encrypted", "sts opp.": "encrypted"}
        assert rows["pinned.mail.lab:25"] == {**same, "as configured": "dane", "dane opp.": "dane", "dane mandatory": "dane"}, text
        assert rows["plain.mail.lab:25"] == {**same, "as configured": "encrypted", "dane opp.": "encrypted", "dane mandatory": "451 4.7.323"}, text
        assert rows["dane.mail.lab:25"] == {**same, "as configured": "451 4.7.323", "dane opp.": "451 4.7.323", "dane mandatory": "451 4.7.323"}, text
        assert rows["bogustlsa.mail.lab:25"] == {**same, "as configured": "451 4.7.324", "dane opp.": "451 4.7.324", "dane mandatory": "451 4.7.324"}, text
        assert rows["unusable.mail.lab:25"] == {**same, "as configured": "encrypted", "dane opp.": "encrypted", "dane mandatory": "451 4.7.323"}, text
        assert status == 1  # one of its domains has no way
        assert probe(dns, [{**good, "domains": good["domains"][:2]}])[0] == 0
        assert "dane.mail.lab:25: 451 4.7.323: " in text
    finally:
        mx.stop()
    status, rows, text = probe(dns, [{"name": "gone", "domains": ["*"], "next_hops": [{"to": "pinned.mail.lab:25"}]}])
    assert status == 1 and set(rows["pinned.mail.lab:25"].values()) == {"451 4.4.1"}, text
    assert not sanitizer_reports()


# --- the process, as danegate keeps it


@pytest.fixture
def edge(dns, certificate):
    mx = HandMx(*certificate[:2], name="routed-mx", address=MX).start()
    made = Danegate(backend=f"{BACKEND}:2525", changes={
        "dns": dns.config(), "backend": {"address": None},
        "connectors": [{"name": "mail", "domains": ["d-pinned.mail.lab"], "next_hops": [{"to": "mx"}]}],
    })
    yield made.start_serving()
    status = made.stop()
    mx.stop()
    assert not sanitizer_reports() and status == 0


def routers(edge):
    return [p for p in children_of(edge.proc.pid) if Path(f"/proc/{p}/comm").read_text().strip() == "danegate-router"]


def rcpt(edge, domain="d-pinned.mail.lab"):
    """(code, text) of RCPT."""
    with smtplib.SMTP(edge.address, 25, local_hostname="client.lab", timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail("a@client.lab")
        return smtp.rcpt(f"b@{domain}")


# What the Postfix behind says to a recipient that is not its own: the route led there.
THERE = (554, b"5.7.1 <b@d-pinned.mail.lab>: Relay access denied")


def test_a_router_that_dies_is_replaced(edge):
    wait_until(lambda: rcpt(edge) == THERE, 20, "a recipient to be carried on")
    old = routers(edge)
    assert len(old) == 1
    send_signal(old, signal.SIGKILL)
    wait_until(lambda: len(routers(edge)) == 1 and routers(edge) != old, 20, "another router")
    assert "signal 9" in edge.proc.log_text()
    # Workers know their routes for a while; another domain needs the router, at once.
    assert rcpt(edge, "null.mail.lab")[0] == 550  # no connector
    wait_until(lambda: rcpt(edge) == THERE, 20, "a recipient to be carried on again")


def test_the_router_runs_only_while_it_is_needed(edge):
    assert len(routers(edge)) == 1
    edge.change_config({"connectors": [{"name": "mail", "domains": ["d-pinned.mail.lab"], "next_hops": [{"to": f"{MX}:25"}]}]})
    assert edge.control(do="reload")["ok"]
    wait_until(lambda: routers(edge) == [], 20, "the router to end")
    assert rcpt(edge) == THERE
    edge.change_config({"connectors": [{"name": "mail", "domains": ["d-pinned.mail.lab"], "next_hops": [{"to": "pinned.mail.lab:25"}]}]})
    assert edge.control(do="reload")["ok"]
    wait_until(lambda: len(routers(edge)) == 1, 20, "the router to run again")
    assert rcpt(edge) == THERE

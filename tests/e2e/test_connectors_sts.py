"""MTA-STS for connectors: what a policy that a real HTTPS server serves makes of real mail hosts, and what Postfix does
with the same policies, by way of postfix-mta-sts-resolver."""

import pytest
from conftest import Stage

from lab.both_ways import judge, send_all, transaction
from lab.hops import EDGE, Authority, FreeSender, Host, HopDns, Hops, inside
from lab.postfix import listens
from lab.proc import RUN, Proc, wait_until
from lab.routing import POLICY, PolicyHost, policy
from lab.traffic import submit

MODES = ("none", "testing", "enforce")
NOBODY = "127.25.1.82"  # refuses connections
DAEMON = "127.25.1.41", 8461
ELSEWHERE = "elsewhere.sts.lab"

# What a recipient hears when the policy is in mode none, testing and enforce: "" is 250, else the enhanced code behind 451.
# A domain is called by its MX host, its row and the mode.
CELLS = {
    "good-match": ("", "", ""),
    "good-other": ("", "", "4.7.5"),  # the policy names another MX
    "selfsigned-match": ("", "", "4.7.5"),
    "clear-match": ("", "", "4.7.5"),  # no STARTTLS
    "good-unreachable": ("", "", ""),  # the policy host, and nothing is known of the domain
    "good-stale": ("", "", "4.7.5"),  # it names another MX, is known, and there is a new one that can't be had
}
STALE = [f"good-stale-{mode}" for mode in MODES]
MORE = ("pinned-other-enforce", "good-blind-enforce")  # DANE outranks a policy; and a connector with mta_sts: none


class Scene:
    def __init__(self):
        ca = Authority("sts-ca")
        ca.vouch_for_all()
        good, record = ca.leaf("good", ["good.sts.lab", "pinned.sts.lab"])
        own, _ = ca.self_signed("self", ["selfsigned.sts.lab"])
        hosts = {"good": Host(21, good), "selfsigned": Host(22, own), "clear": Host(23, None), "pinned": Host(24, good, [record])}
        self.domains = [f"{row}-{mode}" for row in CELLS for mode in MODES] + list(MORE)
        self.dns = HopDns({}, sts_hosts=hosts)
        self.hops = Hops(list(hosts.values()), [f"{d}.sts.lab" for d in self.domains], "sts-hops")
        web, _ = ca.leaf("web", [f"mta-sts.{d}.sts.lab" for d in self.domains])
        self.web = PolicyHost(POLICY, web, web)
        self.sender = FreeSender(routes_first="/[.]sts[.]lab$/ sts:\n", services=f"""sts unix - - n - - smtp
  -o smtp_tls_security_level=dane
  -o smtp_tls_CAfile={ca.ca}
  -o smtp_tls_policy_maps=socketmap:inet:{DAEMON[0]}:{DAEMON[1]}:postfix
""")
        conf = RUN / "mta-sts-daemon.yml"
        conf.write_text(f"host: {DAEMON[0]}\nport: {DAEMON[1]}\ncache:\n  type: internal\n"
                        "default_zone:\n  strict_testing: false\n  timeout: 4\n")
        self.daemon = Proc(inside(self.sender.resolv_conf, "mta-sts-daemon", "-c", str(conf)), RUN / "mta-sts-daemon.log",
                           env={"SSL_CERT_FILE": str(ca.ca)})
        self.ca = ca.ca
        self.stage = Stage(self, "test_connectors_sts")

    def fresh(self):
        """For Stage: there is nothing to be undone."""

    def publish(self):
        records = {}
        for d in self.domains:
            host, row, mode = d.split("-")
            records[d] = ("1", NOBODY if row == "unreachable" else POLICY)
            self.web.serve(f"{d}.sts.lab", policy(mode, ELSEWHERE if row in ("other", "stale", "blind") else f"{host}.sts.lab"))
        self.dns.set_sts(**records)

    def start(self):
        self.dns.start()
        self.publish()
        self.hops.start()
        self.sender.start()
        self.daemon.start()
        self.stage.__enter__()
        self.edge = self.stage.edge(name="sts-edge", address=EDGE, changes={
            "dns": self.dns.config(), "backend": {"address": None}, "mta_sts": {"ca": str(self.ca), "timeout": "5s"},
            "connectors": [
                {"name": "out", "domains": ["*.sts.lab"], "next_hops": [{"to": "mx"}]},
                {"name": "blind", "domains": ["good-blind-enforce.sts.lab"], "next_hops": [{"to": "mx"}], "mta_sts": "none",
                 "until": "2099-12-31", "reason": "a test"}]})
        wait_until(lambda: self.daemon.must_run() and listens(*DAEMON), 20, "mta-sts-daemon to listen")
        self.dns.resolver.flush()
        return self

    def stop(self):
        try:
            self.stage.__exit__()
        finally:
            for part in (self.sender, self.daemon, self.hops, self.web, self.dns):
                part.stop()


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    try:
        yield made.start()
    finally:
        made.stop()


def make_stale(scene):
    """Both sides know the policies; then there are new ones that can't be had, and danegate has tried."""
    known = [submit(scene.sender, f"user@{d}.sts.lab") for d in STALE]
    for d in STALE:
        transaction(f"user@{d}.sts.lab", deliver=False)
    wait_until(lambda: all(scene.sender.read_log().outcomes[i] for i in known), 30, "Postfix to know the policies")
    before = {d: scene.web.count(f"{d}.sts.lab") for d in STALE}
    assert all(n >= 2 for n in before.values()), before
    for d in STALE:
        scene.web.serve(f"{d}.sts.lab", "", status=503)
    scene.dns.set_sts(**{d: ("2", POLICY) for d in STALE})

    def tried():
        for d in STALE:
            if scene.web.count(f"{d}.sts.lab") == before[d]:
                transaction(f"user@{d}.sts.lab", deliver=False)
        return all(scene.web.count(f"{d}.sts.lab") > before[d] for d in STALE)

    wait_until(tried, 30, "danegate to ask for the new policies", every_s=0.3)


@pytest.fixture(scope="module")
def outcomes(scene):
    """Domain -> Outcome: all messages are sent both ways, and waited for, once."""
    make_stale(scene)
    return send_all(scene, {d: f"user@{d}.sts.lab" for d in scene.domains}, only_by_edge=MORE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", CELLS)
def test_matrix(scene, outcomes, row, mode):
    judge(scene, outcomes[f"{row}-{mode}"], CELLS[row][MODES.index(mode)])


def test_who_outranks_a_policy(scene, outcomes):
    """DANE (RFC 8461 2), and whoever switched MTA-STS off for a while."""
    for d in MORE:
        assert outcomes[d].answer == 250 and scene.hops.delivered()[outcomes[d].by_edge] == 1, outcomes[d]


def test_report(scene, outcomes):
    def rows():
        found = {r["domain"]: r for r in scene.edge.json("show report")["rows"]}
        return len(found) == len(outcomes) and found

    found = wait_until(rows, 10, "every domain in the report")
    weakest = {d.removesuffix(".sts.lab"): r["weakest"] for d, r in found.items()}
    assert {d for d, w in weakest.items() if w == "mta-sts"} == {"good-match-enforce"}
    assert {d for d, w in weakest.items() if w == "dane"} == {"pinned-other-enforce"}
    assert {d for d, w in weakest.items() if w == "clear"} == {"clear-match-none", "clear-match-testing"}
    assert weakest["good-match-testing"] == weakest["good-blind-enforce"] == "encrypted"
    assert found["good-other-enforce.sts.lab"]["refused"] == {"hop_mta_sts": 1}
    assert found["selfsigned-match-enforce.sts.lab"]["refused"] == {"hop_mta_sts": 1}

"""The pin guard: a key that a validated TLSA set does not pin is never presented, and the reason is shown."""

from lab import pin, zones
from lab.proc import wait_until
from lab.traffic import submit

WRONG = "3 1 1 " + "aa" * 32


def refusal(edge):
    """The identity's entry once the guard has refused or still waits."""
    identity = edge.identity()
    return identity if identity["guard"] in ("refused", "waiting") and identity["why"] else None


def test_refuses_at_start(world, stage):
    """DNS pins some other key: nothing is presented, nothing is served, and both sockets say why."""
    world.dns.write_tlsa(zones.MX, [WRONG])
    edge = stage.edge(start=False).start()
    identity = wait_until(lambda: refusal(edge), 30, "the guard's refusal")
    assert identity["presented"] == 0
    shown = edge.show("show identities")
    assert "refused" in shown or "waiting" in shown, shown
    assert identity["why"][:30] in shown or zones.MX in shown
    # It serves by itself as soon as DNS pins the key it has.
    world.dns.write_tlsa(zones.MX, edge.records())
    wait_until(edge.serving, 90, "the edge to serve once DNS pins its key")
    accepted, output = pin.openssl_accepts(edge.records())
    assert accepted, output


def test_unpinned_domain_is_served(edge):
    """A proven absence of TLSA records pins nobody: allowed."""
    assert edge.identity()["guard"] == "allowed"


def test_refuses_a_swap_to_an_unpublished_key(world, hand_pinned):
    edge = hand_pinned
    before = edge.identity()
    standby = edge.standby()
    active = "3 1 1 " + edge.digest(before["presented"])
    world.dns.write_tlsa(zones.MX, [active])
    answer = edge.swap(standby)
    assert answer["ok"] is False and answer["ec"] == "EC_PIN_MISMATCH", answer
    assert answer["why"]
    assert edge.identity()["presented"] == before["presented"]
    assert "3 1 1 " + pin.presented_digest() == active
    sent = submit(world.sender)
    wait_until(lambda: world.backend.delivered()[sent], 20, "mail to go on")


def test_swap_is_allowed_once_published(world, hand_pinned):
    """The control of the test above: the same swap with the record in place."""
    edge = hand_pinned
    standby = edge.standby()
    answer = edge.swap(standby)
    assert answer["ok"] is True, answer
    assert edge.identity()["presented"] == standby
    assert pin.presented_digest() == edge.digest(standby)
    again = edge.swap(standby)
    assert again["ok"] is True, "idempotent"


def test_restart_picks_the_generation_that_dns_pins(world, hand_pinned):
    """At start the guard chooses, among the generations on disk, one that DNS pins."""
    edge = hand_pinned
    standby = edge.standby()
    digest = edge.digest(standby)
    edge.stop()
    world.dns.write_tlsa(zones.MX, ["3 1 1 " + digest])
    edge.start_serving(40)
    assert edge.identity()["presented"] == standby
    assert pin.presented_digest() == digest


def test_refuses_a_new_identity_at_reload(world, hand_pinned):
    """A name added by reload whose records pin another key: the reload does not present it, the rest serves on."""
    edge = hand_pinned
    world.dns.write_tlsa(zones.MX_HAND, [WRONG])
    edge.change_config({"identities": [{"name": zones.MX}, {"name": zones.MX_HAND}]})
    edge.reload()

    def refused():
        entry = next((i for i in edge.control(do="report")["identities"] if i["name"] == zones.MX_HAND), None)
        return entry if entry and entry["guard"] in ("refused", "waiting") and entry["why"] else None

    try:
        entry = wait_until(refused, 30, "the new identity to be refused")
        assert entry["presented"] == 0
        assert zones.MX_HAND in edge.show("show identities")
        assert edge.serving()
        sent = submit(world.sender)
        wait_until(lambda: world.backend.delivered()[sent], 30, "mail to go on")
    finally:
        world.dns.write_tlsa(zones.MX_HAND, [])


def test_bogus_dns_at_start_keeps_the_last_good_key(world, hand_pinned):
    """Unproven is not refused for a key that was presented before: the last good state goes on serving."""
    edge = hand_pinned
    presented = edge.identity()["presented"]
    edge.stop()
    for server in world.dns.servers:
        server.pause()
    try:
        edge.start_serving(60)
        assert edge.identity()["presented"] == presented
    finally:
        for server in world.dns.servers:
            server.resume()


def test_unproven_swap_is_refused(world, hand_pinned):
    edge = hand_pinned
    before = edge.identity()
    standby = edge.standby()
    for server in world.dns.servers:
        server.pause()
    try:
        answer = edge.swap(standby)
    finally:
        for server in world.dns.servers:
            server.resume()
    assert answer["ok"] is False and answer["ec"] == "EC_PIN_UNPROVEN", answer
    assert edge.identity()["presented"] == before["presented"]

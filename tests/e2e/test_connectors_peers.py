"""Connectors to real mail stores and servers: Dovecot by LMTP, Postfix and OpenSMTPD by SMTP. Each has the message, and
knows who the client was by the way it understands."""

import re
import smtplib

import pytest

from lab import zones
from lab.client import Client
from lab.dovecot import Dovecot
from lab.opensmtpd import OpenSmtpdBackend
from lab.postfix import MaildirBackend, listens
from lab.proc import wait_until
from lab.traffic import message, new_id

CLIENT = "127.25.0.77"
PEERS = "127.25.0.92"
ANN, BOB = "ann@store.lab", "bob@socket.lab"
MANY = [f"user{i}@store.lab" for i in range(3)]


@pytest.fixture(scope="module")
def store():
    made = Dovecot(PEERS, [ANN, BOB, *MANY]).start()
    yield made
    made.stop()


def connector(name, to, domains, **more):
    return {"name": name, "domains": domains, "next_hops": [{"to": to}], **more}


def begin(stage, *connectors):
    return stage.edge(changes={"backend": {"address": None}, "connectors": list(connectors)})


def deliver(recipient, source=CLIENT):
    sent = new_id()
    with Client(source=source).secure() as client:
        assert client.deliver(message(sent, recipient=recipient), recipient) == 250
        assert client.command("QUIT")[0] == 221
    return sent


def received(backend, message_id):
    """The fields of the message, the newest first: the backend's own, then ours."""
    return re.findall(r"^Received: (.*\n(?:\s.*\n)*)", backend.text_of(message_id).decode(), re.M)


def test_dovecot_by_lmtp(stage, store):
    """By TCP with XCLIENT, which Dovecot believes of trusted networks; and by its unix socket."""
    edge = begin(stage, connector("store", f"{PEERS}:{store.port}", ["store.lab"], protocol="lmtp", client_info="xclient"),
                 connector("socket", f"unix:{store.socket}", ["socket.lab"], protocol="lmtp"))
    sent, local = deliver(ANN), deliver(BOB)
    wait_until(lambda: store.copies(sent) == {ANN: 1} and store.copies(local) == {BOB: 1}, 10, "the messages")
    field = store.received(sent)
    assert f"[{CLIENT}]" in field and "from client.lab" in field and "LMTP" in field, field
    assert "with LMTP" in store.received(local)
    rows = {r["name"]: r for r in edge.json("show connectors")["connectors"]}
    assert (rows["store"]["state"], rows["socket"]["state"]) == ("up", "up"), rows


def test_every_recipient_at_the_store_gets_its_copy(stage, store, world):
    """RFC 2033 answers for each recipient and RFC 5321 once, so each goes in a transaction of its own; a sender that
    queues sees to it. One that the store does not know is refused at RCPT, and the others go on."""
    begin(stage, connector("store", f"{PEERS}:{store.port}", ["store.lab"], protocol="lmtp"))
    sent = new_id()
    due, refused, rounds = ["nobody@store.lab", *MANY], {}, 0
    while due:
        rounds += 1
        with smtplib.SMTP(zones.EDGE, 25, local_hostname="client.lab", timeout=30) as smtp:
            said = smtp.sendmail("lab@sender.example.lab", due, message(sent))
        refused.update({to: code for to, (code, _) in said.items() if code != 452})
        due = [to for to, (code, text) in said.items() if code == 452 and text.startswith(b"4.5.3 ")]
    assert rounds == 3 and refused == {"nobody@store.lab": 550}
    wait_until(lambda: store.copies(sent) == {to: 1 for to in MANY}, 10, "a copy for each")


def test_postfix_and_opensmtpd(stage, world):
    """XCLIENT, XFORWARD and PROXY as each understands them, at once from one danegate."""
    proxied = MaildirBackend("peer", f"{PEERS}:2528", ["proxy.lab"], ["smtpd_upstream_proxy_protocol=haproxy"])
    proxied.listeners = []  # it greets nobody without a header
    direct = MaildirBackend("direct", f"{PEERS}:2530", ["xclient.lab", "xforward.lab"])
    opensmtpd = OpenSmtpdBackend(address=PEERS, options="proxy-v2")
    try:
        for peer in (proxied, direct, opensmtpd):
            peer.start()
        wait_until(lambda: listens(PEERS, 2528), 15, "Postfix to listen")
        begin(stage, connector("proxied", f"{PEERS}:2528", ["proxy.lab"], client_info="proxy-v2"),
              connector("xclient", f"{PEERS}:2530", ["xclient.lab"], client_info="xclient"),
              connector("xforward", f"{PEERS}:2530", ["xforward.lab"], client_info="xforward"),
              connector("opensmtpd", f"{PEERS}:2529", [zones.DOMAIN], client_info="proxy-v2"))
        by = {d: deliver(f"user@{d}") for d in ("proxy.lab", "xclient.lab", "xforward.lab", zones.DOMAIN)}
        wait_until(lambda: proxied.delivered()[by["proxy.lab"]] == 1, 10, "the message behind a PROXY header")
        wait_until(lambda: all(direct.delivered()[by[d]] == 1 for d in ("xclient.lab", "xforward.lab")), 10, "the two others")
        for peer, domain in ((proxied, "proxy.lab"), (direct, "xclient.lab")):
            fields = received(peer, by[domain])
            assert len(fields) == 2 and all(f"[{CLIENT}]" in f for f in fields), fields
            assert f"client=unknown[{CLIENT}]" in peer.log_text()
        fields = received(direct, by["xforward.lab"])
        assert f"[{CLIENT}]" in fields[1] and f"[{CLIENT}]" not in fields[0], fields  # believed in its log only
        assert f"orig_client=unknown[{CLIENT}]" in direct.log_text()

        def stored():
            return next((t for t in (p.read_text(errors="replace") for p in opensmtpd.messages()) if by[zones.DOMAIN] in t), None)

        fields = re.findall(r"^Received: (.*\n(?:\s.*\n)*)", wait_until(stored, 10, "the message at OpenSMTPD"), re.M)
        assert len(fields) == 2 and all(f"[{CLIENT}]" in f for f in fields), fields
    finally:
        for peer in (proxied, direct, opensmtpd):
            peer.stop()

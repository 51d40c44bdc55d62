"""What a client says reaches the backend, and the backend's word reaches the client."""

import re
import smtplib
import socket
import ssl

import pytest

from lab import zones
from lab.balancer import Balancer
from lab.client import Client, Closed
from lab.postfix import MaildirBackend
from lab.proc import wait_until
from lab.traffic import message, new_id


def test_message_arrives_unchanged(world, edge):
    body = "".join(f"line {n} .\r\n.\r\n..dots\r\n" for n in range(200)) + "last\r\n"
    sent = new_id()
    with Client().secure() as client:
        assert client.deliver(message(sent, body)) == 250
        assert client.command("QUIT")[0] == 221
    wait_until(lambda: world.backend.delivered()[sent], 10, "the message")
    stored = world.backend.text_of(sent).decode()
    assert stored.endswith(body.replace("\r\n", "\n"))
    assert f"by {zones.MX}" in stored and "TLSv1.3" in stored  # our Received: line


def test_many_messages_in_one_session(world, edge):
    ids = [new_id() for _ in range(20)]
    with Client().secure() as client:
        for i in ids:
            assert client.deliver(message(i)) == 250
    wait_until(lambda: all(world.backend.delivered()[i] == 1 for i in ids), 10, "all messages, once each")


def test_clients_reset_between_messages(world, edge):
    kept, dropped = new_id(), new_id()
    with Client().secure() as client:
        assert client.envelope("nobody@" + zones.DOMAIN) == 250
        assert client.command("RSET")[0] == 250
        assert client.deliver(message(kept)) == 250
    wait_until(lambda: world.backend.delivered()[kept] == 1, 10, "the message")
    assert world.backend.delivered()[dropped] == 0


def test_backend_refuses_a_recipient_and_the_client_hears_it(edge):
    with Client().secure() as client:
        assert client.command(f"MAIL FROM:<lab@{zones.DOMAIN}>")[0] == 250
        assert client.command("RCPT TO:<user@elsewhere.lab>")[0] in range(450, 560)
        assert client.command(f"RCPT TO:<user@{zones.DOMAIN}>")[0] == 250


def test_large_message_by_smtplib(world, edge):
    sent = new_id()
    line = "x" * 76 + "\r\n"
    context = ssl._create_unverified_context()
    with smtplib.SMTP(zones.EDGE, 25, local_hostname="client.lab", timeout=60) as smtp:
        smtp.starttls(context=context)
        assert not smtp.sendmail("lab@sender.example.lab", [f"user@{zones.DOMAIN}"], message(sent, line * 100_000))
    wait_until(lambda: world.backend.delivered()[sent] == 1, 20, "the large message")
    assert len(world.backend.text_of(sent)) > 77 * 100_000


def test_backend_absent_from_the_start(stage):
    """Nothing listens there: the edge still greets, and defers."""
    stage.edge(backend="127.25.0.99:2525")
    with Client().secure() as client:
        assert 400 <= client.deliver(message(new_id())) < 500


CLIENT = "127.25.0.77"


def metric(edge, name):
    line = next(x for x in edge.show("show metrics").splitlines() if x.startswith(name + " "))
    return int(line.split()[-1])


@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
def test_behind_a_balancer(stage, world, header):
    """HAProxy's PROXY header names the client: in our log, our Received field, and to the backend by XCLIENT.
    Its health checks pass, and who comes without it needs no header."""
    edge = stage.edge(changes={"proxy": {"proxy_protocol_from": ["127.25.0.24"]}})
    sent, direct = new_id(), new_id()
    with Balancer(header) as balancer:
        with Client(balancer.address, source=CLIENT).secure() as client:
            assert client.deliver(message(sent)) == 250
            assert client.command("QUIT")[0] == 221
        with Client(source=CLIENT).secure() as client:
            assert client.deliver(message(direct)) == 250
        with Client(source=balancer.address, greeting=False) as client:  # a header is due, and this is none
            client.send("EHLO client.lab\r\n")
            with pytest.raises(Closed):
                client.line()
        wait_until(lambda: balancer.state() == ("UP", "L7OK"), 20, "its checks to pass still")
    for one in (sent, direct):
        wait_until(lambda: world.backend.delivered()[one] == 1, 10, "the message")
        received = received_fields(world.backend, one)
        assert len(received) == 2 and all(f"[{CLIENT}]" in field for field in received), received

    def logged():
        sessions = [x for x in edge.log_text().splitlines() if " event=session " in x]
        return any(f"client={CLIENT}:" in x and f"proxy={balancer.address}:" in x and "accepted=1" in x for x in sessions)

    def counted():
        # A health check has no client: version 2 can say so, version 1 names the balancer.
        headers = {x: metric(edge, f'danegate_proxy_headers_total{{result="{x}"}}') for x in ("named", "local", "malformed")}
        fine = headers["local"] >= 1 and headers["named"] == 1 if header == "send-proxy-v2" else headers["named"] >= 2
        return fine and headers["malformed"] == 1

    wait_until(logged, 20, "the session in the log")
    wait_until(counted, 20, "the headers to be counted")


class ProxiedPostfix(MaildirBackend):
    """A Postfix that takes nobody's word but a PROXY header's."""

    def __init__(self):
        super().__init__("proxied", f"{zones.FAKE_BACKEND}:2528", options=["smtpd_upstream_proxy_protocol=haproxy"])
        self.listeners = []  # without a header it would greet nobody

    def start(self):
        super().start()
        wait_until(self.greets, 15, "the backend to greet")
        return self

    @staticmethod
    def greets():
        with socket.create_connection((zones.FAKE_BACKEND, 2528), timeout=2) as s:
            s.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
            return s.recv(512).startswith(b"220")


def named_in_log(backend, field):
    """How many messages Postfix says came from CLIENT; `field` is client or, behind XFORWARD, orig_client."""
    return len(re.findall(rf"postfix/smtpd\[\d+\]: \w+: (?:client=.*, )?{field}=unknown\[{CLIENT}\]", backend.log_text()))


def received_fields(backend, message_id):
    """The newest first: the backend's own, then ours."""
    return re.findall(r"^Received: (.*\n(?:\s.*\n)*)", backend.text_of(message_id).decode(), re.M)


def send_two(backend):
    """Two messages in one session, the second over the reused connection."""
    sent = [new_id(), new_id()]
    with Client(source=CLIENT).secure() as client:
        assert [client.deliver(message(i)) for i in sent] == [250, 250]
        assert client.command("QUIT")[0] == 221
    wait_until(lambda: all(backend.delivered()[i] == 1 for i in sent), 10, "the messages")
    return sent


def test_xforward_tells_postfix_of_the_client(stage, world):
    """Postfix logs who the client was, for each message, and goes on trusting danegate's own address only."""
    edge = stage.edge(changes={"backend": {"client_info": "xforward"}})
    before = named_in_log(world.backend, "orig_client")
    sent = send_two(world.backend)
    wait_until(lambda: named_in_log(world.backend, "orig_client") == before + 2, 20, "both in Postfix' log")
    # Our session's id, so that both logs can be joined.
    ids = set(re.findall(rf"orig_queue_id=(\w+), orig_client=unknown\[{CLIENT}\]", world.backend.log_text()))
    wait_until(lambda: any(f"id={i} " in edge.log_text() for i in ids), 20, f"one of {ids} in our log")
    for one in sent:
        received = received_fields(world.backend, one)
        assert f"[{CLIENT}]" in received[1] and "[127.0.0.1]" in received[0], received


@pytest.mark.parametrize("how", ["proxy-v2", "xclient"])
def test_postfix_takes_danegate_for_the_client(stage, world, how):
    backend = ProxiedPostfix().start() if how == "proxy-v2" else world.backend
    try:
        stage.edge(backend=f"{zones.FAKE_BACKEND}:2528" if how == "proxy-v2" else f"{zones.BACKEND}:2525",
                   changes={"backend": {"client_info": how}})
        before = named_in_log(backend, "client")
        for one in send_two(backend):
            received = received_fields(backend, one)
            assert len(received) == 2 and all(f"[{CLIENT}]" in field for field in received), received
        wait_until(lambda: named_in_log(backend, "client") == before + 2, 20, "both in Postfix' log")
    finally:
        if how == "proxy-v2":
            backend.stop()


def test_notifications_are_asked_for_as_the_client_asked(world, edge):
    """Postfix's own report of success shows what it heard of the client's DSN parameters (RFC 3461)."""
    sent, mark = new_id(), new_id("env")
    with Client().secure() as client:
        assert "DSN" in client.capabilities
        assert client.command(f"MAIL FROM:<asker@{zones.DOMAIN}> RET=HDRS ENVID={mark}+2B1")[0] == 250
        assert client.command(f"RCPT TO:<user@{zones.DOMAIN}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@elsewhere.lab")[0] == 250
        assert client.command(f"RCPT TO:<other@{zones.DOMAIN}> NOTIFY=NEVER")[0] == 250
        assert client.command("DATA")[0] == 354
        client.send(message(sent, "not to be returned\r\n") + ".\r\n")
        assert client.reply()[0] == 250

    def report():
        texts = (p.read_text(errors="replace") for p in world.backend.messages())
        return next((t for t in texts if "multipart/report" in t and mark in t), None)

    text = wait_until(report, 20, "the report of success")
    assert f"Original-Envelope-Id: {mark}+1" in text
    assert "Original-Recipient: rfc822;a+b@elsewhere.lab" in text
    assert f"Final-Recipient: rfc822; user@{zones.DOMAIN}" in text and f"other@{zones.DOMAIN}" not in text
    assert f"<{sent}@id.lab>" in text and "not to be returned" not in text

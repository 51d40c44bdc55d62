"""What a client says reaches the backend, and the backend's word reaches the client."""

import smtplib
import ssl

from lab import zones
from lab.client import Client
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

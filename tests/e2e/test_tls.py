"""STARTTLS: versions, server names, hot swap with sessions open, and plaintext that must not survive."""

import ssl

import pytest

from lab import pin, zones
from lab.client import Client, Closed
from lab.proc import wait_until
from lab.traffic import message, new_id

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("version,name", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
def test_versions(edge, version, name):
    assert pin.presented_certificate(version=version)[1] == name


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(edge, option):
    digest = pin.presented_digest()
    accepted, _ = pin.openssl_accepts(["3 1 1 " + digest], zones.EDGE, 25, zones.MX, option, "-cipher", "ALL:@SECLEVEL=0")
    assert not accepted


@pytest.mark.parametrize("sni", [zones.MX, zones.MX.upper(), "other.example.lab", "x" * 60 + ".lab", None])
def test_every_server_name_gets_the_default_identity(edge, sni):
    """RFC 7672 8.1: an unknown name must not fail the handshake."""
    assert pin.presented_digest(sni=sni) == edge.digest(edge.identity()["presented"])


def test_server_name_picks_the_identity(stage):
    edge = stage.edge(changes={"identities": [{"name": zones.MX}, {"name": "mx3.example.lab"}]})
    wait_until(lambda: edge.identity("mx3.example.lab")["presented"], 15, "the second identity")
    first = edge.digest(edge.identity()["presented"])
    second = edge.digest(edge.identity("mx3.example.lab")["presented"], "mx3.example.lab")
    assert first != second
    assert pin.presented_digest(sni="mx3.example.lab") == second
    assert pin.presented_digest(sni=zones.MX) == first
    assert pin.presented_digest(sni=None) == first


def test_rsa_and_ecdsa_side_by_side(stage):
    edge = stage.edge(changes={"identities": [{"name": zones.MX, "algorithms": ["ecdsa-p256", "rsa-3072"]}]})
    generation = edge.identity()["generations"][0]
    digests = {k["algorithm"]: k["spki_sha256"] for k in generation["keys"]}
    assert set(digests) == {"ecdsa-p256", "rsa-3072"}
    for algorithm, sigalgs in (("ecdsa-p256", "ECDSA+SHA256"), ("rsa-3072", "RSA-PSS+SHA256")):
        accepted, output = pin.openssl_accepts(["3 1 1 " + digests[algorithm]], zones.EDGE, 25, zones.MX, "-sigalgs", sigalgs)
        assert accepted, (algorithm, output)


def test_capabilities_before_and_after(edge):
    with Client() as client:
        client.ehlo()
        assert "STARTTLS" in client.capabilities
        assert client.command("STARTTLS")[0] == 220
        client.start_tls()
        client.ehlo()
        assert "STARTTLS" not in client.capabilities
        assert "PIPELINING" in client.capabilities
        for forbidden in ("AUTH", "VRFY", "ETRN", "XCLIENT"):
            assert not any(c.startswith(forbidden) for c in client.capabilities)


def test_bytes_behind_starttls_drop_the_connection(edge):
    """CVE-2011-0411: a command injected before TLS must not be answered inside it."""
    with Client() as client:
        client.ehlo()
        client.send("STARTTLS\r\nRSET\r\n")
        with pytest.raises((Closed, OSError, ssl.SSLError)):
            client.reply()
            client.start_tls()
            client.ehlo()
            client.reply()


def test_what_was_said_before_tls_is_forgotten(world, edge):
    with Client() as client:
        client.ehlo()
        client.command(f"MAIL FROM:<before@{zones.DOMAIN}>")
        client.command("RSET")  # inside a transaction STARTTLS may be refused
        assert client.command("STARTTLS")[0] == 220
        client.start_tls()
        assert client.command(f"RCPT TO:<user@{zones.DOMAIN}>")[0] == 503
        client.ehlo()
        assert client.command(f"RCPT TO:<user@{zones.DOMAIN}>")[0] == 503
        sent = new_id()
        assert client.deliver(message(sent)) == 250
    wait_until(lambda: world.backend.delivered()[sent] == 1, 10, "the message")
    assert b"before@" not in world.backend.text_of(sent)


def test_swap_keeps_open_sessions(world, hand_pinned):
    """A session that was open before the swap goes on with its key; a new one gets the new key."""
    edge = hand_pinned
    old = pin.presented_digest()
    client = Client().secure()
    assert client.envelope() == 250
    assert edge.swap(edge.standby())["ok"]
    assert pin.presented_digest() != old
    assert client.command("DATA")[0] == 354
    client.send(message("over-the-swap") + "\r\n.\r\n")
    assert client.reply()[0] == 250
    sent = new_id()
    assert client.deliver(message(sent)) == 250
    client.close()
    wait_until(lambda: world.backend.delivered()[sent] == 1, 10, "the message")


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\n.\nb", "a\r\n.\nb", "a\n.\r\nb"])
def test_bare_newlines_are_refused(world, edge, bad):
    """SMTP smuggling: a line end that two servers could read differently never reaches the backend."""
    sent = new_id()
    with Client().secure() as client:
        assert client.envelope() == 250
        assert client.command("DATA")[0] == 354
        client.send(message(sent) + bad + "\r\n.\r\n")
        try:
            code = client.reply()[0]
            assert 500 <= code < 600 or code == 421, code
        except Closed:
            pass
    assert world.backend.delivered()[sent] == 0

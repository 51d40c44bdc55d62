"""Real clients, as they come: each delivers one message through danegate, over TLS that it has verified where
it can, and the backend has it unchanged."""

import json
import shutil
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import Stage
from lab import pin, zones
from lab.client import Client
from lab.exim import EximSender
from lab.proc import RUN, run, wait_until
from lab.traffic import new_id, submit

FROM, TO = f"lab@sender.{zones.ZONE}", f"user@{zones.DOMAIN}"
NODEMAILER = Path("/opt/npm/node_modules/nodemailer")
TEXT = """From: <{sender}>
To: <{to}>
Subject: {id}
Message-ID: <{id}@id.lab>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

.one dot
..two dots
.
grüße from a client, {long}
From here on nothing.

"""


class Letter:
    """A message that is the same for every client, and its place in the backend."""

    def __init__(self):
        self.id = new_id("client")
        self.text = TEXT.format(sender=FROM, to=TO, id=self.id, long="x" * 900)
        self.wire = self.text.encode().replace(b"\n", b"\r\n")
        self.file = RUN / f"{self.id}.eml"
        self.file.write_text(self.text.removesuffix("\n"))  # swaks adds one

    def check(self, world):
        wait_until(lambda: world.backend.delivered()[self.id], 15, f"{self.id} in the Maildir")
        stored = world.backend.text_of(self.id)
        assert world.backend.delivered()[self.id] == 1
        assert stored.endswith(b"\n" + self.text.encode()), stored
        assert b"\ttls TLS_" in stored.split(b"\nFrom:")[0]  # our Received: line


@pytest.fixture(scope="module")
def served(world):
    """danegate with its keys pinned by hand, and its certificate in a file."""
    with Stage(world, "clients") as stage:
        edge = stage.edge()
        assert edge.control(do="prepare", identity=zones.MX)["ok"]
        world.dns.write_tlsa(zones.MX, edge.records())
        edge.pem = RUN / "served.pem"
        edge.pem.write_text(pin.presented_certificate()[0])
        yield edge


@pytest.fixture
def letter():
    return Letter()


def test_exim_with_dane(world, served):
    sender = EximSender().start()
    try:
        sent = submit(sender)
        delivered = wait_until(lambda: sender.outcomes()[sent], 30, f"Exim's message ({sender.log})")
        wait_until(lambda: world.backend.delivered()[sent], 20, "it in the Maildir")
        assert len(delivered) == 1 and " => " in delivered[0] and "CV=dane" in delivered[0], delivered
    finally:
        sender.stop()


def test_exim_defers_when_the_pin_is_wrong(world, served):
    records = served.records()
    world.dns.write_tlsa(zones.MX, {"3 1 1 " + "ab" * 32})
    sender = EximSender("eximwrong", "127.25.0.42").start()
    try:
        sent = submit(sender)
        wait_until(lambda: sender.outcomes()[sent], 20, f"Exim to try ({sender.log})")
        assert not any(" => " in line for line in sender.outcomes()[sent])
        assert world.backend.delivered()[sent] == 0
    finally:
        sender.stop()
        world.dns.write_tlsa(zones.MX, records)


def swaks(letter, *options, check=True):
    return run("swaks", "--server", zones.EDGE, "--helo", "client.lab", "--from", FROM, "--to", TO, "--data", f"@{letter.file}",
               "--timeout", "60", *options, check=check)


def test_swaks_with_tls(world, served, letter):
    swaks(letter, "--tls", "--tls-verify", "--tls-ca-path", served.pem, "--tls-sni", zones.MX)
    letter.check(world)


def test_swaks_pipelining(world, served, letter):
    swaks(letter, "--tls", "--pipeline")
    letter.check(world)


def test_xclient_is_neither_offered_nor_taken(world, served, letter):
    done = swaks(letter, "--tls", "--xclient", "ADDR=192.0.2.1", "--xclient-no-verify", check=False)
    assert done.returncode != 0 and "Host did not advertise XCLIENT" in done.stderr, done
    assert world.backend.delivered()[letter.id] == 0
    with Client().secure() as client:  # swaks won't say it unasked
        assert 500 <= client.command("XCLIENT ADDR=192.0.2.1")[0] < 600
        assert client.envelope() == 250
        assert 500 <= client.command("XCLIENT ADDR=192.0.2.1")[0] < 600


def test_msmtp_by_fingerprint_and_by_trust_file(world, served):
    fingerprint = run("openssl", "x509", "-in", served.pem, "-noout", "-fingerprint", "-sha256").stdout.split("=")[1].strip()
    base = ("msmtp", "-C", "/dev/null", f"--host={zones.MX}", "--port=25", "--tls=on", "--tls-starttls=on", f"--from={FROM}")
    for trust in ([f"--tls-fingerprint={fingerprint}", "--tls-trust-file="], [f"--tls-trust-file={served.pem}"]):
        letter = Letter()
        run(*base, *trust, TO, input=letter.text)
        letter.check(world)
    wrong = run(*base, f"--tls-fingerprint={'00:' * 31}00", "--tls-trust-file=", TO, input=letter.text, check=False)
    assert wrong.returncode != 0


def test_python_smtplib(world, served, letter):
    context = ssl.create_default_context(cafile=str(served.pem))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with smtplib.SMTP(zones.MX, 25, local_hostname="client.lab", timeout=60) as smtp:
        smtp.starttls(context=context)
        assert smtp.sendmail(FROM, [TO], letter.wire, ["BODY=8BITMIME"]) == {}
    letter.check(world)


@pytest.mark.skipif(not (NODEMAILER.exists() and shutil.which("node")), reason="no node, or no npm when the lab was made")
def test_nodemailer(world, served, letter):
    wanted = {"host": zones.MX, "port": 25, "secure": False, "requireTLS": True, "name": "client.lab",
              "tls": {"ca": served.pem.read_text(), "servername": zones.MX}}
    message = {"envelope": {"from": FROM, "to": [TO]}, "raw": letter.wire.decode()}
    script = (f"require('{NODEMAILER}').createTransport({json.dumps(wanted)}).sendMail({json.dumps(message)})"
              ".then(i => console.log(i.response), e => { console.error(e); process.exit(1) })")
    assert run("node", "-e", script).stdout.startswith("250 ")
    letter.check(world)


def talk(argv, letter):
    """SMTP through a program that is only a pipe with TLS. Returns what it said besides."""
    with open(RUN / f"{letter.id}.stderr", "w+") as err:
        pipe = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
        try:
            for line, code in (("EHLO client.lab", "250"), (f"MAIL FROM:<{FROM}> BODY=8BITMIME", "250"), (f"RCPT TO:<{TO}>", "250"),
                               ("DATA", "354"), (letter.wire.replace(b"\r\n.", b"\r\n..").decode() + ".", "250"), ("QUIT", "221")):
                pipe.stdin.write(line.encode() + b"\r\n")
                pipe.stdin.flush()
                while True:
                    answer = pipe.stdout.readline().decode()
                    assert answer, (line, err.seek(0), err.read())
                    if answer.startswith(code + " "):
                        break
            assert pipe.wait(60) == 0
        finally:
            pipe.kill()
            pipe.wait()
        err.seek(0)
        return err.read()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client(world, served, letter, version):
    records = [x for record in sorted(served.records()) for x in ("-dane_tlsa_rrdata", record)]
    said = talk(["openssl", "s_client", "-quiet", "-starttls", "smtp", "-connect", f"{zones.EDGE}:25", version,
                 "-verify_return_error", "-dane_tlsa_domain", zones.MX, *records], letter)
    letter.check(world)
    assert "verify error" not in said


@pytest.mark.parametrize("priority", ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"])
def test_gnutls_cli(world, served, letter, priority):
    talk(["gnutls-cli", "--starttls-proto=smtp", "--port=25", f"--x509cafile={served.pem}", f"--priority={priority}",
          f"--logfile={RUN / 'gnutls.log'}", zones.MX], letter)
    letter.check(world)

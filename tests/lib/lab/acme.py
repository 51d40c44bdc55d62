"""A certificate authority: pebble, with a resolver of its own that remembers nothing, and the ways to
get a certificate from it."""

import json
import shutil
import socket

from . import nameservers as ns
from . import zones
from .proc import PROJECT, RUN, Proc, run, wait_until

EXAMPLES = PROJECT / "config" / "examples"
PORT = 14000


class Acme:
    """pebble behind https://127.25.0.60:14000/dir. Accounts and orders live in its memory: a restart
    forgets them, which is one of the ways in which a CA can fail."""

    def __init__(self, root_ds):
        self.dir = RUN / "acme"
        shutil.rmtree(self.dir, ignore_errors=True)  # old accounts, which a new pebble does not know
        self.dir.mkdir(parents=True)
        # Clients ask for the challenge's name before the CA does: a cache would hand it their answer.
        self.resolver = ns.Unbound("acme-resolver", zones.CA_RESOLVER, root_ds, "  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n")
        self.certificate = self.dir / "https.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=pebble", "-addext", f"subjectAltName=IP:{zones.CA}", "-keyout", self.dir / "https.key",
            "-out", self.certificate)
        self.config = self.dir / "pebble.json"
        self.config.write_text(json.dumps({"pebble": {
            "listenAddress": f"{zones.CA}:{PORT}", "managementListenAddress": f"{zones.CA}:{PORT + 1}",
            "certificate": str(self.certificate), "privateKey": str(self.dir / "https.key"),
            "httpPort": 5002, "tlsPort": 5001, "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.pebble = None

    @property
    def url(self):
        return f"https://{zones.CA}:{PORT}/dir"

    def listening(self):
        with socket.create_connection((zones.CA, PORT), timeout=1):
            return True

    def start(self):
        if not self.resolver.proc:
            self.resolver.start()
            ns.wait_answering([self.resolver], zones.ZONE)
        self.pebble = Proc(["pebble", "-config", self.config, "-dnsserver", f"{zones.CA_RESOLVER}:53"], self.dir / "pebble.log",
                           env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}).start()
        wait_until(lambda: self.pebble.must_run() and self.listening(), 15, "pebble to listen")
        return self

    def stop(self, resolver=True):
        for part in (self.pebble, self.resolver if resolver else None):
            if part:
                part.stop()

    def lego(self, key, name="lego"):
        """The command of an identity that gets its certificates from here, by config/examples/issuer-lego."""
        env = self.dir / f"{name}.env"
        env.write_text(f"""ACME_EMAIL=postmaster@{zones.ZONE}
ACME_SERVER={self.url}
ACME_DIR={self.dir / name}
LEGO_CA_CERTIFICATES={self.certificate}
RFC2136_NAMESERVER={zones.PRIMARY}:53
RFC2136_TSIG_KEY={key.name}.
RFC2136_TSIG_SECRET={key.secret}
RFC2136_TSIG_ALGORITHM={key.algorithm}.
RFC2136_POLLING_INTERVAL=1
RFC2136_TTL=1
""")
        return [str(EXAMPLES / "issuer-lego"), str(env)]

    def certbot(self, key, name="certbot"):
        """The same by config/examples/issuer-certbot."""
        credentials = self.dir / f"{name}.ini"
        credentials.write_text(f"""dns_rfc2136_server = {zones.PRIMARY}
dns_rfc2136_name = {key.name}.
dns_rfc2136_secret = {key.secret}
dns_rfc2136_algorithm = {key.algorithm.upper()}
""")
        credentials.chmod(0o600)
        env = self.dir / f"{name}.env"
        env.write_text(f"""ACME_EMAIL=postmaster@{zones.ZONE}
ACME_SERVER={self.url}
ACME_DIR={self.dir / name}
CERTBOT_CREDENTIALS={credentials}
CERTBOT_OPTIONS='--dns-rfc2136-propagation-seconds 3'
REQUESTS_CA_BUNDLE={self.certificate}
""")
        return [str(EXAMPLES / "issuer-certbot"), str(env)]

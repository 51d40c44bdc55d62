"""Next hops for connectors: mail hosts with every state of DNS and of certificates that there is, all of them one
Postfix with a listener each; and a Postfix that sends to the same hosts by its own lights, to compare with.

The hosts are not on loopback, so that mail in clear counts as such: their addresses are given to `lo`."""

import collections
import re

from . import nameservers as ns
from .pin import spki_digest_of_pem
from .postfix import MaildirBackend, Sender, greets
from .proc import RUN, LabError, run, wait_until
from .routing import RouterDns, zone

RESOLVER = "127.25.1.53"
SENDER = "127.25.1.40"
EDGE = "127.25.1.30"  # danegate, in the tests that have this DNS
MODES = ("none", "opportunistic", "mandatory")
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def local_address(number):
    """One of the hosts' addresses, ready to be bound."""
    address = f"10.25.2.{number}"
    run("ip", "addr", "replace", f"{address}/32", "dev", "lo")
    return address


class Authority:
    """A CA and the certificates that it signs; each is a file of key, certificate and CA certificate."""

    def __init__(self, name):
        self.dir = RUN / name
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca, self.key = self.dir / "ca.pem", self.dir / "ca.key"
        run("openssl", "req", "-x509", *NEW_KEY, "-days", "30", "-subj", "/CN=lab hop CA", "-keyout", self.key, "-out", self.ca)
        self.trust_record = "2 1 1 " + spki_digest_of_pem(self.ca.read_text())

    def leaf(self, name, hosts, expired=False):
        """Returns (the file, its record '3 1 1 …')."""
        key, request, made = (self.dir / f"{name}.{x}" for x in ("key", "csr", "crt"))
        san = "subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts)
        run("openssl", "req", *NEW_KEY, "-subj", "/CN=hop", "-addext", san, "-keyout", key, "-out", request)
        back = ["faketime", "-f", "-60d"] if expired else []
        run(*back, "openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-days", "30",
            "-copy_extensions", "copy", "-out", made)
        whole = self.dir / f"{name}.pem"
        whole.write_text(key.read_text() + made.read_text() + self.ca.read_text())
        return whole, "3 1 1 " + spki_digest_of_pem(made.read_text())

    def self_signed(self, name, hosts):
        key, made, whole = (self.dir / f"{name}.{x}" for x in ("key", "crt", "pem"))
        san = "subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts)
        run("openssl", "req", "-x509", *NEW_KEY, "-days", "30", "-subj", "/CN=hop", "-addext", san, "-keyout", key, "-out", made)
        whole.write_text(key.read_text() + made.read_text())
        return whole, "3 1 1 " + spki_digest_of_pem(made.read_text())

    def vouch_for_all(self):
        """Puts the CA among those of the system, inside the lab."""
        with open("/etc/ssl/certs/ca-certificates.crt", "a", encoding="ascii") as store:
            store.write(self.ca.read_text())


class Host:
    """A mail host: its listener's certificate (None: no STARTTLS), and what DNS says of it. `lines` overrides the
    TLSA records, for what is not simply a record in the zone."""

    def __init__(self, number, certificate, records=(), lines=""):
        self.address = local_address(number)
        self.certificate = certificate
        self.records = list(records)
        self.lines = lines

    def options(self):
        if self.certificate is None:
            return ["smtpd_tls_security_level=none"]
        return ["smtpd_tls_security_level=may", f"smtpd_tls_chain_files={self.certificate}"]

    def zone_lines(self, name):
        tlsa = "".join(f"_25._tcp.{name} TLSA {r}\n" for r in self.records)
        return f"{name} A {self.address}\n" + (self.lines or tlsa)


class HopDns(RouterDns):
    """The router's DNS tree with other zones: mail.lab has the hosts, and for each of them a domain in each mode,
    such as match.mandatory.mail.lab. `domains` adds others: name -> MX host. `insecure` is the host of insecure.lab, and
    `sts_hosts` are those of sts.lab. A resolver goes with it."""

    def __init__(self, hosts, domains=None, insecure=None, sts_hosts=None):
        self.hosts, self.domains, self.sts_hosts = hosts, domains or {}, sts_hosts or {}
        super().__init__()
        # A zone that is not there: that is what Knot says SERVFAIL to.
        self.knot.conf.write_text(self.knot.conf.read_text() + "  - domain: _tcp.servfail.mail.lab.\n    file: absent.zone\n")
        self.write_mail()
        if insecure:
            modes = "".join(f"{mode} MX 10 match.mail.lab.\n" for mode in MODES)
            self.write("insecure.lab", zone("insecure.lab", insecure.zone_lines("mx") + modes))
        self.resolver = ns.Unbound("hop-resolver", RESOLVER, self.anchor.read_text().strip())
        self.resolver.write("root.hints", self.hints.read_text())

    def write_mail(self):
        lines = "".join(host.zone_lines(name) for name, host in self.hosts.items())
        lines += "".join(f"{name}.{mode} MX 10 {name}\n" for name in self.hosts for mode in MODES)
        lines += "".join(f"{name} MX 10 {host}\n" for name, host in self.domains.items())
        self.write("mail.lab", zone("mail.lab", lines))

    def reload_mail(self):
        self.write_mail()
        self.knot.control("-b", "zone-reload", "mail.lab.")
        self.resolver.flush()

    def sts_zone(self):
        """As for the router's own tests, but with real hosts: a domain's label begins with the name of its MX host."""
        lines = "".join(host.zone_lines(name) for name, host in self.sts_hosts.items())
        for label, (text, address) in self.sts.items():
            lines += f"{label} MX 10 {label.split('-')[0]}\nmta-sts.{label} A {address}\n"
            lines += f'_mta-sts.{label} TXT "v=STSv1; id={text};"\n' if text else ""
        return zone("sts.lab", lines)

    def start(self):
        super().start()
        self.resolver.start()
        ns.wait_answering([self.resolver], "mail.lab")
        return self

    def stop(self):
        self.resolver.stop()
        super().stop()


class Hops(MaildirBackend):
    """The Postfix behind all hosts."""

    def __init__(self, hosts, domains, name="hops"):
        super().__init__(name, {f"{h.address}:25": h.options() for h in hosts}, domains)

    def copies(self, message_id):
        """Recipient -> how many copies of the message it has."""
        found = collections.Counter()
        self.delivered()
        for name, of in list(self._ids.items()):
            if of == message_id:
                text = (self.mailbox / name).read_text(errors="replace")
                found.update(re.findall(r"^X-Original-To: (\S+)", text, re.M))
        return found


class FreeSender(Sender):
    """Sends as the recipient's domain says: by its own client at the level that is the same as the connector's mode, or,
    with a local part that begins with `edge`, to danegate. Its resolver is the one of this DNS tree."""

    LEVELS = {"none": "may", "opportunistic": "dane", "mandatory": "dane-only"}

    def __init__(self, settings=None, services="", routes_first=""):
        routes = RUN / "free-sender" / "routes"
        super().__init__("free-sender", SENDER, {"transport_maps": f"regexp:{routes}", **(settings or {})})
        routes.write_text(routes_first + f"/^edge.*@/ edge:[{EDGE}]\n" + "".join(f"/[@.]{m}\\./ {m}:\n" for m in self.LEVELS))
        with open(self.dir / "master.cf", "a", encoding="ascii") as master:
            master.write("edge unix - - n - - smtp\n  -o smtp_tls_security_level=may\n" + services)
            for mode, level in self.LEVELS.items():
                master.write(f"{mode} unix - - n - - smtp\n  -o smtp_tls_security_level={level}\n")
        self.resolv_conf = self.dir / "resolv.conf"
        self.resolv_conf.write_text(f"nameserver {RESOLVER}\noptions edns0 trust-ad\n")

    def start(self):
        """In a mount namespace of its own, where /etc/resolv.conf is another."""
        command = f"postfix -c {self.dir} start"
        done = run(*inside(self.resolv_conf, "script", "-qec", command, "/dev/null"), check=False)
        if done.returncode != 0:
            raise LabError(f"the sender did not start: {done.stdout}{self.log_tail()}")
        wait_until(lambda: greets(self.address, 25), 15, "the sender to greet")
        return self


def inside(resolv_conf, *argv):
    """The command line that runs `argv` with another /etc/resolv.conf."""
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
            resolv_conf, *argv]

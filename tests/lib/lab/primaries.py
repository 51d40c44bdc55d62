"""BIND and PowerDNS as signing primaries of example.lab, set up with the samples of config/examples."""

import re

from . import zones
from .nameservers import Server
from .proc import PROJECT, LabError, Proc, run

EXAMPLES = PROJECT / "config" / "examples"
SAMPLE_SECRET = "REPLACE+THIS+BY+A+SECRET+IN+BASE64+OF+32+OC="
API_PORT = 8081


def sample(name, key):
    """A sample of least privilege as an operator would fill it in: names and the secret replaced."""
    text = (EXAMPLES / name).read_text()
    assert "tlsa-sync.example.org" in text
    text = text.replace("tlsa-sync.example.org", key.name).replace("example.org", zones.ZONE)
    return text.replace(SAMPLE_SECRET, key.secret)


class Bind(Server):
    """named signs by its own policy; its key is made before the first start, for the parent's DS."""

    def __init__(self, keys, nsec3):
        super().__init__("bind", zones.PRIMARY)
        self.include = None
        self.update_key, self.hand_key, self.transfer_key = keys
        self.nsec3 = nsec3
        # It listens on addresses of an interface only, although any of 127/8 can be bound.
        run("ip", "addr", "replace", f"{self.address}/32", "dev", "lo")

    def make_key(self, zone):
        policy = self.write("policy.conf", self._policy())
        run("dnssec-keygen", "-q", "-K", self.dir, "-k", "lab", "-l", policy, zone.rstrip("."))
        (key,) = self.dir.glob("K*.key")
        self.conf = self.write("named.conf", self._config())
        return run("dnssec-dsfromkey", "-2", key).stdout.strip()

    def _policy(self):
        nsec3 = "\tnsec3param iterations 0 optout no salt-length 0;\n" if self.nsec3 else ""
        return f"""dnssec-policy "lab" {{
	keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }};
{nsec3}}};
"""

    def _config(self):
        others = "".join(f'key "{k.name}" {{ algorithm {k.algorithm}; secret "{k.secret}"; }};\n'
                         for k in (self.hand_key, self.transfer_key))
        text = sample("named-update.conf", self.update_key)
        for old, new in (
            ("/var/lib/bind/example.lab.zone", str(self.dir / "example.zone")),
            ("dnssec-policy default;", "dnssec-policy lab;\n" + f"""	notify explicit;
	also-notify {{ {zones.NSD_SECONDARY} key {self.transfer_key.name}; {zones.KNOT_SECONDARY} key {self.transfer_key.name}; }};
	notify-delay 0;
	allow-transfer {{ key {self.transfer_key.name}; key {self.hand_key.name}; }};"""),
            ("update-policy {", f"update-policy {{\n\t\tgrant {self.hand_key.name} zonesub ANY;"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        if self.include: # from files: no updates then, and a signed copy beside the zone's file
            text = re.sub(r"\tinline-signing no;\n\tupdate-policy {.*?};\n", "\tinline-signing yes;\n", text, flags=re.DOTALL)
            assert "inline-signing yes" in text
        return f"""options {{
	directory "{self.dir}";
	pid-file "{self.dir}/named.pid";
	session-keyfile "{self.dir}/session.key";
	listen-on {{ {self.address}; }};
	listen-on-v6 {{ none; }};
	notify-source {self.address};
	recursion no;
	dnssec-validation no;
	minimal-responses yes;
	startup-notify-rate 1000;
	serial-query-rate 1000;
	notify-rate 1000;
}};
controls {{ }};
{self._policy()}{others}{text}"""

    def start(self):
        self.proc = Proc(["named", "-g", "-n", "1", "-c", self.conf], self.dir / "log").start()
        return self


class PowerDns(Server):
    """PowerDNS with SQLite. Takes RFC 2136 updates within the sample's policy, and its HTTP API listens."""

    def __init__(self, keys, nsec3):
        super().__init__("pdns", zones.PRIMARY)
        self.update_key, self.hand_key, self.transfer_key = keys
        self.nsec3 = nsec3
        self.api_key = self.write("api.key", "secret-of-the-api\n")
        self.api = f"http://{self.address}:{API_PORT}"
        self.write("policy.lua", self._policy())
        self.conf = self.write("pdns.conf", f"""launch=gsqlite3
gsqlite3-database={self.dir}/pdns.sqlite
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address={self.address}
local-port=53
query-local-address={self.address}
socket-dir={self.dir}
primary=yes
secondary=no
only-notify=
xfr-cycle-interval=1
dnsupdate=yes
lua-dnsupdate-policy-script={self.dir}/policy.lua
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
dnssec-key-cache-ttl=0
api=yes
api-key={self.api_key.read_text().strip()}
webserver=yes
webserver-address={self.address}
webserver-port={API_PORT}
webserver-allow-from=127.0.0.0/8
loglevel=6
guardian=no
daemon=no
write-pid=no
security-poll-suffix=
""")

    def _policy(self):
        """The sample, and beside it the tests' own key, which may do anything."""
        text = sample("pdns-update.lua", self.update_key)
        start = "function updatepolicy(request)\n"
        assert start in text
        return text.replace(start, f'{start}\tif request:getTsigName():equal("{self.hand_key.name}") then return true end\n')

    def util(self, *words):
        return run("pdnsutil", f"--config-dir={self.dir}", *words).stdout

    def make_key(self, zone):
        zone = zone.rstrip(".")
        run("sqlite3", self.dir / "pdns.sqlite", input=self._schema())
        self.util("load-zone", zone, self.dir / "example.zone")
        for key in (self.update_key, self.hand_key, self.transfer_key):
            self.util("import-tsig-key", key.name, key.algorithm, key.secret)
        self.util("set-kind", zone, "primary")
        self.util("set-meta", zone, "TSIG-ALLOW-AXFR", self.transfer_key.name, self.hand_key.name)
        self.util("set-meta", zone, "ALLOW-AXFR-FROM", "127.0.0.0/8")
        self.util("set-meta", zone, "SOA-EDIT-DNSUPDATE", "INCREASE")
        self.util("set-meta", zone, "SOA-EDIT-API", "INCREASE")
        self.util("set-meta", zone, "NOTIFY-DNSUPDATE", "1")
        self.util("set-meta", zone, "ALSO-NOTIFY", f"{zones.NSD_SECONDARY}:53", f"{zones.KNOT_SECONDARY}:53")
        self.util("secure-zone", zone)
        if self.nsec3:
            self.util("set-nsec3", zone, "1 0 0 -")
        self.util("rectify-zone", zone)
        for line in self.util("export-zone-ds", zone).splitlines():
            fields = line.split()
            if fields[2:3] == ["DS"] and fields[5] == "2":
                return line.split(";")[0].strip()
        raise LabError(f"pdnsutil printed no SHA-256 DS for {zone}")

    @staticmethod
    def _schema():
        with open("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql", encoding="ascii") as f:
            return f.read()

    def start(self):
        self.proc = Proc(["pdns_server", f"--config-dir={self.dir}"], self.dir / "log").start()
        return self

"""The lab's DNS as data: names, addresses, zone files, keys. No process is started here."""

import base64
import secrets

# One address per role; any 127/8 address can be bound without configuring it.
ROOT_SERVER = "127.25.0.1"
PRIMARY = "127.25.0.10"
NSD_SECONDARY = "127.25.0.11"
KNOT_SECONDARY = "127.25.0.12"
RESOLVER = "127.25.0.53"
EDGE = "127.25.0.25"  # danegate: mx1
HAND_MX = "127.25.0.26"  # mx2: a Postfix whose TLSA records the tests write by hand
BACKEND = "127.25.0.30"
FAKE_BACKEND = "127.25.0.31"
SENDER = "127.25.0.40"

ZONE = "example.lab"
MX = "mx1.example.lab"
MX_HAND = "mx2.example.lab"
DOMAIN = "example.lab"  # its mail goes to mx1
DOMAIN_HAND = "hand.example.lab"  # its mail goes to mx2
TTL_S = 2

SERVERS = {"ns0": PRIMARY, "ns1": NSD_SECONDARY, "ns2": KNOT_SECONDARY}


class TsigKey:
    def __init__(self, name, algorithm="hmac-sha256"):
        self.name = name
        self.algorithm = algorithm
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()

    def knot(self):
        return f"  - id: {self.name}\n    algorithm: {self.algorithm}\n    secret: {self.secret}\n"

    def nsd(self):
        return f'key:\n  name: "{self.name}"\n  algorithm: {self.algorithm}\n  secret: "{self.secret}"\n'


def soa(primary, negative_ttl=2):
    return f"{primary} hostmaster.lab. 1 3600 600 1209600 {negative_ttl}"


def root_zone(ds_of_lab):
    return f"""$ORIGIN .
$TTL 3600
@ SOA {soa("a.root-servers.lab.")}
@ NS a.root-servers.lab.
lab. NS a.root-servers.lab.
a.root-servers.lab. A {ROOT_SERVER}
{ds_of_lab}
"""


def lab_zone(ds_of_example):
    """`insecure.lab` is a child without DS; `broken.lab`'s DS matches nothing."""
    glue = "".join(f"{n}.example.lab. A {a}\n" for n, a in SERVERS.items())
    ns = "".join(f"example.lab. NS {n}.example.lab.\n" for n in SERVERS)
    return f"""$ORIGIN lab.
$TTL 3600
@ SOA {soa("a.root-servers.lab.")}
@ NS a.root-servers.lab.
a.root-servers.lab. A {ROOT_SERVER}
{ns}{glue}{ds_of_example}
insecure.lab. NS a.root-servers.lab.
broken.lab. NS a.root-servers.lab.
broken.lab. DS 12345 13 2 {"00" * 32}
"""


def child_zone(name, mx_address=EDGE):
    """A small zone for the insecure and the broken child."""
    return f"""$ORIGIN {name}.
$TTL {TTL_S}
@ SOA {soa("a.root-servers.lab.")}
@ NS a.root-servers.lab.
@ MX 10 mx1
mx1 A {mx_address}
"""


def example_zone():
    ns = "".join(f"@ NS {n}\n{n} A {a}\n" for n, a in SERVERS.items())
    return f"""$ORIGIN {ZONE}.
$TTL {TTL_S}
@ SOA {soa(f"ns0.{ZONE}.")}
{ns}@ MX 10 mx1
mx1 A {EDGE}
hand MX 10 mx2
mx2 A {HAND_MX}
sender A {SENDER}
"""

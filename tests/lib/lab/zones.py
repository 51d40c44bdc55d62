"""The lab's DNS as data: names, addresses, zone files, keys. No process is started here."""

import base64
import secrets

# One address per role; any 127/8 address can be bound without configuring it.
ROOT_SERVER = "127.25.0.1"
PRIMARY = "127.25.0.10"
NSD_SECONDARY = "127.25.0.11"
KNOT_SECONDARY = "127.25.0.12"
RESOLVER = "127.25.0.53"
CA_RESOLVER = "127.25.0.54"
CA = "127.25.0.60"  # pebble
EDGE = "127.25.0.25"  # danegate: mx1
EDGE_TWO = "127.25.0.27"  # a second danegate behind the same name, in the tests that have one
ROUTED_MX = "127.25.0.28"  # a Postfix that the router's tests start
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

# In worlds that ask for them: a further secondary that has only an IPv6 address, and a zone of its own, on
# the root's server, to which _25._tcp.mx1 is an alias.
SIX_SECONDARY = "fd25::13"
ALIAS_ZONE = "pins.lab"
ALIAS_OWNER = "mx1.pins.lab"

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


def soa(primary, negative_ttl=2, serial=1, refresh=3600, retry=600):
    return f"{primary} hostmaster.lab. {serial} {refresh} {retry} 1209600 {negative_ttl}"


def root_zone(ds_of_lab):
    return f"""$ORIGIN .
$TTL 3600
@ SOA {soa("a.root-servers.lab.")}
@ NS a.root-servers.lab.
lab. NS a.root-servers.lab.
a.root-servers.lab. A {ROOT_SERVER}
{ds_of_lab}
"""


def lab_zone(ds_of_children, six=False):
    """`insecure.lab` is a child without DS; `broken.lab`'s DS matches nothing."""
    glue = "".join(f"{n}.example.lab. A {a}\n" for n, a in SERVERS.items())
    ns = "".join(f"example.lab. NS {n}.example.lab.\n" for n in SERVERS)
    if six:
        ns += f"example.lab. NS ns3.example.lab.\nns3.example.lab. AAAA {SIX_SECONDARY}\n"
    return f"""$ORIGIN lab.
$TTL 3600
@ SOA {soa("a.root-servers.lab.")}
@ NS a.root-servers.lab.
a.root-servers.lab. A {ROOT_SERVER}
{ns}{glue}{ds_of_children}
{ALIAS_ZONE}. NS a.root-servers.lab.
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


def alias_zone():
    return f"""$ORIGIN {ALIAS_ZONE}.
$TTL {TTL_S}
@ SOA {soa("a.root-servers.lab.", refresh=5, retry=2)}
@ NS a.root-servers.lab.
"""


def example_zone(include=None, six=False, alias=False):
    """`include`: a file with TLSA records; then the serial stands as config/examples/reload-zone wants it."""
    serial = "(\n1 ; serial\n)" if include else 1
    more = f"@ NS ns3\nns3 AAAA {SIX_SECONDARY}\n" if six else ""
    more += f"_25._tcp.mx1 CNAME {ALIAS_OWNER}.\n" if alias else ""
    more += f"$INCLUDE {include}\n" if include else ""
    ns = "".join(f"@ NS {n}\n{n} A {a}\n" for n, a in SERVERS.items())
    return f"""$ORIGIN {ZONE}.
$TTL {TTL_S}
@ SOA {soa(f"ns0.{ZONE}.", serial=serial, refresh=5, retry=2)}
{ns}@ MX 10 mx1
mx1 A {EDGE}
hand MX 10 mx2
mx2 A {HAND_MX}
sender A {SENDER}
{more}"""

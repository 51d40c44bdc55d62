"""The whole laboratory: DNS tree, sender and backend, brought up once and shared by the tests."""

from . import nameservers as ns
from . import zones
from .primaries import Bind, PowerDns, sample
from .postfix import HandMx, MaildirBackend, Sender
from .proc import require_labroot, wait_until
from .pin import make_certificate
from .query import is_secure, serial_at, tlsa_at, transfer, update_tlsa


def via(own, other):
    """The source address, so that servers can be told apart; not where one of the two has IPv6 only."""
    return "" if ":" in own + other else f"    via: {own}\n"


class Dns:
    """Private root -> lab. -> example.lab, the last on a primary and two secondaries, and a resolver
    that validates from the private root."""

    def __init__(self):
        self.key = zones.TsigKey("tlsa-sync-key")  # may write TLSA at _25._tcp.mx1, nothing else
        self.hand_key = zones.TsigKey("hand-key")  # the tests' own
        self.transfer_key = zones.TsigKey("transfer-key")
        self.top = self._make_top()
        example_ds = self._make_servers("knot", nsec3=False)
        self._sign(example_ds)
        self.resolver = ns.Unbound("resolver", zones.RESOLVER, self.root_ds)
        self.extra = []

    def _make_top(self):
        child = "  - domain: {0}\n    file: {0}.zone\n"
        return ns.Knot("root", zones.ROOT_SERVER, (
            "  - domain: .\n    file: root.zone\n    template: signed\n"
            "  - domain: lab.\n    file: lab.zone\n    template: signed\n"
            "  - domain: broken.lab.\n    file: broken.lab.zone\n    template: signed\n"
            f"  - domain: {zones.ALIAS_ZONE}.\n    file: alias.zone\n    template: signed\n    acl: [tlsa-sync, hand]\n"
            + child.format("insecure.lab")),
            keys=(self.key, self.hand_key), sections=f"""acl:
  - id: tlsa-sync
    key: {self.key.name}
    action: update
    update-type: [TLSA]
    update-owner: name
    update-owner-match: equal
    update-owner-name: [mx1]
  - id: hand
    key: {self.hand_key.name}
    action: update
""")

    def _make_servers(self, kind, nsec3, include=False, six=False, alias=False):
        """The zone's servers, new and empty, with a primary of this kind. Returns the zone's DS."""
        keys = (self.key, self.hand_key, self.transfer_key)
        if kind == "knot":
            self.primary = self._make_knot_primary(nsec3, six)
        else:
            self.primary = {"bind": Bind, "pdns": PowerDns}[kind](keys, nsec3)
        self.primary.include = self._make_include() if include else None
        self.primary.write("example.zone", zones.example_zone(self.primary.include, six, alias))
        self.nsd = ns.Nsd("ns1", zones.NSD_SECONDARY, key=self.transfer_key, primary=zones.PRIMARY)
        self.knot = self._make_knot_secondary("ns2", zones.KNOT_SECONDARY)
        self.six = self._make_knot_secondary("ns3", zones.SIX_SECONDARY) if six else None
        return self.primary.make_key(zones.ZONE + ".")

    def _make_include(self):
        """A file for tlsa-sync to write, empty at first, so that the zone loads."""
        include = self.primary.dir / "tlsa" / f"{zones.MX}.tlsa"
        include.parent.mkdir()
        include.touch()
        return include

    def use_primary(self, kind, nsec3=False, include=False, six=False, alias=False):
        """Another primary in the place of the one there is. Its secondaries start anew, its key is in the parent.
        `include`: its zone file includes one that tlsa-sync writes. `six`: a further secondary has only an IPv6
        address. `alias`: _25._tcp.mx1 is an alias into pins.lab, which the root's server serves."""
        for server in self.servers:
            server.stop()
        ds = self._make_servers(kind, nsec3, include, six, alias)
        self.top.write("lab.zone", zones.lab_zone(ds + "\n" + self.top.ds(zones.ALIAS_ZONE + "."), six))
        self.top.control("-b", "zone-reload", "lab.")
        self._start_servers()
        return self

    def _make_knot_primary(self, nsec3, six):
        secondaries = {"ns1": zones.NSD_SECONDARY, "ns2": zones.KNOT_SECONDARY}
        if six:
            secondaries["ns3"] = zones.SIX_SECONDARY
        remotes = "".join(f"  - id: {n}\n    address: {a}@53\n{via(zones.PRIMARY, a)}    key: transfer-key\n"
                          for n, a in secondaries.items())
        primary = ns.Knot("primary", zones.PRIMARY, f"""  - domain: {zones.ZONE}.
    file: example.zone
    template: signed
    acl: [tlsa-sync, hand, xfr]
    notify: [{', '.join(secondaries)}]
""", keys=(self.hand_key, self.transfer_key), nsec3=nsec3, sections=f"""include: sample.conf
acl:
  - id: hand
    key: {self.hand_key.name}
    action: [update, transfer]
  - id: xfr
    key: {self.transfer_key.name}
    action: transfer
remote:
{remotes}""")
        primary.write("sample.conf", sample("knot-update.conf", self.key))
        return primary

    def _make_knot_secondary(self, name, address):
        return ns.Knot(name, address, f"""  - domain: {zones.ZONE}.
    master: primary
    acl: [notify, notify-unsigned]
    zonefile-sync: -1
    zonefile-load: none
    journal-content: all
""", keys=(self.transfer_key,), sections=f"""acl:
  - id: notify
    key: transfer-key
    action: notify
  - id: notify-unsigned
    address: {zones.PRIMARY}
    action: notify
remote:
  - id: primary
    address: {zones.PRIMARY}@53
{via(address, zones.PRIMARY)}    key: transfer-key
""")

    def _sign(self, example_ds):
        """Keys before the first start, bottom up, so that each parent is written with its child's DS."""
        self.top.make_key("broken.lab.")
        self.top.write("alias.zone", zones.alias_zone())
        self.top.write("lab.zone", zones.lab_zone(example_ds + "\n" + self.top.make_key(zones.ALIAS_ZONE + ".")))
        lab_ds = self.top.make_key("lab.")
        self.top.write("root.zone", zones.root_zone(lab_ds))
        self.root_ds = self.top.make_key(".")
        self.top.write("insecure.lab.zone", zones.child_zone("insecure.lab"))
        self.top.write("broken.lab.zone", zones.child_zone("broken.lab"))

    @property
    def servers(self):
        """The authoritative servers of the zone."""
        return [self.primary, self.nsd, self.knot, *([self.six] if self.six else [])]

    def start(self):
        self.top.start()
        self.resolver.start()
        ns.wait_answering([self.top], "lab")
        ns.install_for_everyone(self.resolver)
        self._start_servers()
        return self

    def _start_servers(self):
        # Secondaries first: a NOTIFY to a server that isn't up yet is lost.
        for server in reversed(self.servers):
            server.start()
        ns.wait_answering(self.servers, zones.ZONE)
        self._wait_validated()

    def _wait_validated(self):
        def validates():
            self.resolver.flush()
            return is_secure(zones.RESOLVER, zones.MX, "A")

        wait_until(validates, 20, "the resolver to validate mx1.example.lab")

    def stop(self):
        for server in [self.resolver, *self.servers, self.top, *self.extra]:
            server.stop()

    def send_tlsa(self, host, records, ttl_s=zones.TTL_S):
        """Replaces host's TLSA set at the primary; the secondaries follow when they can."""
        update_tlsa(zones.PRIMARY, zones.ZONE, self.hand_key, host, records, ttl_s)

    def write_tlsa(self, host, records, ttl_s=zones.TTL_S):
        """Replaces host's TLSA set by hand and waits until every server has it."""
        self.send_tlsa(host, records, ttl_s)
        wait_until(lambda: all(tlsa_at(s.address, host) == set(records) for s in self.servers), 30,
                   f"the TLSA set of {host} on every server")
        self.resolver.flush()

    def served(self, host=zones.MX):
        """Server name -> its TLSA set now."""
        return {s.name: tlsa_at(s.address, host) for s in self.servers}

    def copy_of_zone(self):
        """The signed zone as it is now, for serve_old()."""
        return transfer(zones.PRIMARY, zones.ZONE, self.hand_key)

    def serve_old(self, server, zone_text):
        """Replaces a secondary by a server of an old copy at the same address. Returns an undo."""
        server.stop()
        stale = ns.stale_server(server.name + "-old", server.address, zones.ZONE, zone_text)
        self.extra.append(stale)
        ns.wait_answering([stale], zones.ZONE)

        def undo():
            stale.stop()
            server.start()
            ns.wait_answering([server], zones.ZONE)

        return undo

    def heal(self):
        """Undoes every fault a test may have left: the state each test starts from."""
        for server in self.servers:
            if server.proc and server.proc.running():
                server.resume()
            else:
                server.start()
        ns.wait_answering(self.servers, zones.ZONE)
        self.knot.thaw(zones.ZONE)

        def in_step():
            serials = {serial_at(s.address, zones.ZONE) for s in self.servers}
            return len(serials) == 1 and None not in serials

        wait_until(in_step, 30, "equal serials everywhere")
        self._wait_validated()  # the resolver may have noted that a server was silent


class World:
    """DNS, the DANE-only sender and the Maildir backend."""

    def __init__(self):
        require_labroot()
        self.dns = Dns()
        self.sender = Sender()
        self.backend = MaildirBackend()
        self.mx2 = None

    def start(self):
        self.dns.start()
        self.backend.start()
        self.sender.start()
        return self

    def fresh(self):
        """As after a new installation: no TLSA record of mx1 anywhere, no fault left, an empty queue and
        no sender that remembers an old record."""
        self.dns.heal()
        if any(self.dns.served().values()):
            self.dns.write_tlsa(zones.MX, [])
        self.sender.forget()
        return self

    def start_mx2(self):
        """The receiver without danegate, for the laboratory's own controls. Returns its true record."""
        certificate, key, record = make_certificate("mx2-cert", zones.MX_HAND)
        self.mx2 = HandMx(certificate, key).start()
        return record

    def stop(self):
        for part in (self.sender, self.backend, self.mx2, self.dns):
            if part:
                part.stop()

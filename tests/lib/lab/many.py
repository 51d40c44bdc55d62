"""Many MX hosts in the signed zone, all of them the one danegate, and a tlsa-sync that keeps their records."""

from contextlib import contextmanager

from . import zones
from .proc import LabError, wait_until
from .programs import TlsaSync, merged
from .query import answers, must_answer, update_sets


def hosts(num):
    """Their names; the first is the lab's own."""
    return [zones.MX, *(f"host{i}.{zones.ZONE}" for i in range(2, num + 1))]


def identities(num):
    return [{"name": name} for name in hosts(num)]


@contextmanager
def in_zone(dns, num):
    """They have addresses in the zone, on every server; afterwards neither those nor TLSA records, so what writes
    these must have stopped."""
    added = hosts(num)[1:]
    _write(dns, {f"{name}.": [zones.EDGE] for name in added}, "A")
    try:
        yield hosts(num)
    finally:
        _write(dns, {f"_25._tcp.{name}.": [] for name in hosts(num)}, "TLSA")
        _write(dns, {f"{name}.": [] for name in added}, "A")


def _write(dns, sets, rrtype):
    """At the primary; waits until every server has followed. What the resolver knows of it is forgotten."""
    if not sets:
        return
    update_sets(zones.PRIMARY, zones.ZONE, dns.hand_key, sets, rrtype, zones.TTL_S)
    *_, (last, records) = sets.items()
    for server in dns.servers:
        wait_until(lambda s=server: answers(must_answer(s.address, last, rrtype), rrtype) == records, 60,
                   f"{server.name} to have {len(sets)} sets of {rrtype}")
    dns.resolver.flush()


class ManySync(TlsaSync):
    """tlsa-sync for so many of them: its key may write all their records, and it looks the less often the more they are."""

    def __init__(self, dns, edge, num, name="sync", changes=None):
        super().__init__(dns, [edge], name=name, key=dns.hand_key, changes=merged({
            "identities": identities(num),
            "tlsa_sync": {"poll": f"{500 + 20 * num}ms", "watch": f"{1000 + 50 * num}ms"},
        }, changes))
        self.num = num

    def wait_all_steady(self, deadline_s):
        waiting = hosts(self.num)

        def all_steady():
            while waiting and self.state_now(waiting[0]) == "STEADY":
                waiting.pop(0)
            return not waiting

        try:
            wait_until(lambda: self.proc.must_run() and all_steady(), deadline_s, f"{self.num} identities to be STEADY", every_s=0.2)
        except LabError as e:
            raise LabError(f"{e}; {len(waiting)} are not seen so, the first is {waiting[0]}") from None

"""Questions, transfers and updates with dnspython: the lab's own eyes, independent of the programs."""

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.zone

from .proc import LabError, slowness, wait_until


def ask(address, name, rrtype, timeout_s=1.0):
    """One non-recursive question over UDP (TCP when cut short); the reply message, or None on silence."""
    question = dns.message.make_query(name, rrtype, want_dnssec=True)
    question.flags |= dns.flags.RD | dns.flags.AD
    try:
        reply, _ = dns.query.udp_with_fallback(question, address, timeout=timeout_s)
        return reply
    except (OSError, dns.exception.DNSException):
        return None


def answers(reply, rrtype):
    """The answer section's records of one type, as text without class and TTL."""
    if reply is None:
        return []
    wanted = dns.rdatatype.from_text(rrtype)
    return [r.to_text() for rrset in reply.answer if rrset.rdtype == wanted for r in rrset]


def must_answer(address, name, rrtype, patience_s=20):
    """As ask, of a server that is to answer: asks again for so long, and then fails. Silence is no answer."""
    found = []

    def answered():
        found.append(ask(address, name, rrtype))
        return found[-1] is not None

    wait_until(answered, patience_s, f"{address} to answer a question for {name} {rrtype}")
    return found[-1]


def serial_at(address, zone):
    reply = ask(address, zone + ".", "SOA", timeout_s=0.5)
    found = answers(reply, "SOA")
    return int(found[0].split()[2]) if found else None


def tlsa_at(address, host):
    """The TLSA set of host's port 25 as one server serves it now: a set of '3 1 1 hex'."""
    return tlsa_of(address, f"_25._tcp.{host}.")


def tlsa_of(address, owner):
    texts = (t.split() for t in answers(must_answer(address, owner, "TLSA"), "TLSA"))
    return {" ".join(t[:3]) + " " + "".join(t[3:]) for t in texts}


def is_secure(address, name, rrtype):
    """Does the resolver at address say that the answer validated?"""
    reply = ask(address, name + ".", rrtype, timeout_s=3)
    return reply is not None and reply.rcode() == dns.rcode.NOERROR and bool(reply.flags & dns.flags.AD)


def _keyring(key):
    return dns.tsigkeyring.from_text({key.name: (key.algorithm, key.secret)})


def transfer(address, zone, key):
    """The whole zone as master file text, signatures included."""
    messages = dns.query.xfr(address, zone, keyring=_keyring(key), keyname=key.name, relativize=False, timeout=20 * slowness())
    return dns.zone.from_xfr(messages, relativize=False).to_text()


def update_tlsa(address, zone, key, host, records, ttl_s):
    """Replaces host's TLSA set at port 25 by `records` (texts '3 1 1 hex'), in one UPDATE."""
    update_set(address, zone, key, f"_25._tcp.{host}.", "TLSA", records, ttl_s)


def update_set(address, zone, key, owner, rrtype, records, ttl_s):
    """Replaces a record set, in one UPDATE."""
    update_sets(address, zone, key, {owner: records}, rrtype, ttl_s)


def update_sets(address, zone, key, sets, rrtype, ttl_s):
    """Replaces record sets, {owner: [record, …]}, in one UPDATE."""
    change = dns.update.UpdateMessage(zone, keyring=_keyring(key), keyname=key.name)
    for owner, records in sets.items():
        change.delete(owner, rrtype)
        for record in records:
            change.add(owner, ttl_s, rrtype, record)
    reply = dns.query.tcp(change, address, timeout=20 * slowness())
    if reply.rcode() != dns.rcode.NOERROR:
        raise LabError(f"update of {', '.join(sets)[:200]} at {address}: {dns.rcode.to_text(reply.rcode())}")

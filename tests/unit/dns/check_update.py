#!/usr/bin/env python3
"""Reads what print_update prints with dnspython: the records, class and TTL by
class and TTL (RFC 2136 2.5), and the TSIG (RFC 8945), whose MAC it recomputes."""
import subprocess
import sys

try:
    import dns.message
    import dns.name
    import dns.rdataclass
    import dns.rdatatype
    import dns.tsig
    import dns.update
except ImportError:
    print("skipped: python3-dnspython is not installed")
    sys.exit(77)

KEY = "upd.example."
SECRET = bytes(range(100, 132))
OWNER = dns.name.from_text("_25._tcp.mx1.example.org.")
ADD = {("IN", 3600, "3 1 1 " + "aa" * 32), ("IN", 3600, "3 1 1 " + "bb" * 32)}
EXACT = ADD | {("NONE", 0, "3 1 1 " + "cc" * 32)}
REPLACE = ADD | {("ANY", 0, None)}
WANT = {"exact-unsigned": (EXACT, None), "exact-sha256": (EXACT, "hmac-sha256."), "exact-sha512": (EXACT, "hmac-sha512."),
        "replace-sha256": (REPLACE, "hmac-sha256."),
        "rehearsal-sha256": ({("NONE", 0, "3 1 1 " + "00" * 32)}, "hmac-sha256.")}
# "Name is in use" and "name is not in use" (RFC 2136 2.4.4, 2.4.5), which can't both be.
CONTRADICTION = {("ANY", "ANY"), ("NONE", "ANY")}


def records(m):
    for rrset in m.update:
        assert rrset.name == OWNER, rrset.name
        rclass = dns.rdataclass.to_text(rrset.deleting if rrset.deleting is not None else rrset.rdclass)
        if not rrset:
            yield rclass, rrset.ttl, None
        for rd in rrset:
            yield rclass, rrset.ttl, rd.to_text()


def check(name, wire, mac):
    want, algorithm = WANT.pop(name)
    keyring = None
    if algorithm:
        key = dns.tsig.Key(KEY, SECRET, algorithm)
        keyring = {key.name: key}
    m = dns.message.from_wire(wire, keyring=keyring)  # checks MAC and time
    assert isinstance(m, dns.update.UpdateMessage), m
    assert m.id == 0x1234
    assert [z.name.to_text() for z in m.zone] == ["example.org."]
    asked = {(dns.rdataclass.to_text(r.deleting if r.deleting is not None else r.rdclass), dns.rdatatype.to_text(r.rdtype))
             for r in m.prerequisite}
    assert asked == (CONTRADICTION if name.startswith("rehearsal") else set()), asked
    assert all(r.name == OWNER and r.ttl == 0 and len(r) == 0 for r in m.prerequisite)
    got = list(records(m))
    assert len(got) == len(want) and set(got) == want, got
    if name.startswith("replace"):
        assert got[0][0] == "ANY", "the RRset is deleted first, or the new records go with it"
    assert m.had_tsig == bool(algorithm)
    if algorithm:
        assert m.mac == mac and m.tsig[0].fudge == 300 and m.tsig.name.to_text() == KEY
        bad = dns.tsig.Key(KEY, SECRET[:-1] + b"x", algorithm)
        try:
            dns.message.from_wire(wire, keyring={bad.name: bad})
        except dns.tsig.BadSignature:
            pass
        else:
            raise AssertionError("another secret verifies too")


for line in subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines():
    name, wire, mac = line.split()
    check(name, bytes.fromhex(wire), None if mac == "-" else bytes.fromhex(mac))
assert not WANT, WANT
print("ok")

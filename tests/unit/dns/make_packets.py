#!/usr/bin/env python3
"""Writes packets.h: DNS messages made by dnspython, an implementation that is
not ours. Run it from another directory than the repository's (its dns/ would
hide the module):  cd / && python3 .../make_packets.py > .../packets.h"""
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rrset
import dns.tsig
import dns.update

dns.rdataset.random.shuffle = lambda records: None  # the same file every time

ID = 0x1234
NOW = 1800000000  # what the replies are signed at
SECRET = bytes(range(100, 132))
REQUEST_MAC = bytes(range(32))


def emit(name, wire):
    print(f"static const uint8_t {name}[] = {{")
    for i in range(0, len(wire), 16):
        print("\t" + " ".join(f"0x{b:02x}," for b in wire[i:i + 16]))
    print("};\n")


def answer(qname, qtype, answer=(), authority=(), additional=(), rcode="NOERROR", flags="QR AA", edns=True):
    q = dns.message.make_query(qname, qtype, want_dnssec=edns)
    q.id = ID
    m = dns.message.make_response(q)
    m.flags = dns.flags.from_text(flags)
    m.set_rcode(dns.rcode.from_text(rcode))
    for section, records in ((m.answer, answer), (m.authority, authority), (m.additional, additional)):
        for owner, ttl, rtype, *rdata in records:
            rclass = "IN"
            if rtype.startswith("CH/"):
                rclass, rtype = "CH", rtype[3:]
            section.append(dns.rrset.from_text(owner, ttl, rclass, rtype, *rdata))
    return m.to_wire(max_size=65535)


A64, B64 = "aa" * 32, "bb" * 32
TLSA = "_25._tcp.mx1.example.org."


def rrsig(covered, ttl, signer, labels=5):
    return f"{covered} 13 {labels} {ttl} 20270201000000 20270101000000 4711 {signer} c2lnbmF0dXJl"


SOA = "ns0.example.org. host.example.org. 41 7200 900 1209600 300"
print("/* Made by make_packets.py with dnspython: don't edit. */")
print("#ifndef TESTS_UNIT_DNS_PACKETS_H\n#define TESTS_UNIT_DNS_PACKETS_H\n\n#include <stdint.h>\n")
print(f"enum {{ PACKET_ID = {ID:#x}, PACKET_NOW = {NOW} }};\n")

emit("packet_tlsa", answer(TLSA, "TLSA", [
    (TLSA, 3600, "TLSA", f"3 1 1 {A64}", f"3 1 1 {B64}"),
    (TLSA, 3600, "RRSIG", rrsig("TLSA", 7200, "example.org."))]))
emit("packet_case", answer("_25._TCP.MX1.Example.ORG.", "TLSA", [
    ("_25._tcp.mx1.EXAMPLE.org.", 60, "TLSA", f"3 1 1 {A64}")]))
emit("packet_alias", answer(TLSA, "TLSA", [
    (TLSA, 900, "CNAME", "a.example.org."),
    (TLSA, 900, "RRSIG", rrsig("CNAME", 901, "example.org.")),
    ("a.example.org.", 800, "CNAME", "dane.provider.example."),
    ("dane.provider.example.", 700, "TLSA", f"3 1 1 {A64}"),
    ("dane.provider.example.", 700, "RRSIG", rrsig("TLSA", 701, "provider.example.", 3))]))
emit("packet_alias_out", answer(TLSA, "TLSA", [(TLSA, 900, "CNAME", "dane.provider.example.")]))
emit("packet_alias_loop", answer("a.example.", "TLSA", [
    ("a.example.", 900, "CNAME", "b.example."), ("b.example.", 900, "CNAME", "a.example.")]))
emit("packet_cname_question", answer(TLSA, "CNAME", [(TLSA, 900, "CNAME", "a.example.org.")]))
emit("packet_nxdomain", answer(TLSA, "TLSA", authority=[
    ("example.org.", 600, "SOA", SOA), ("example.org.", 600, "RRSIG", rrsig("SOA", 600, "example.org.", 2))],
    rcode="NXDOMAIN"))
emit("packet_nodata", answer(TLSA, "TLSA", authority=[("example.org.", 200, "SOA", SOA)]))
emit("packet_foreign_soa", answer(TLSA, "TLSA", authority=[("example.net.", 200, "SOA", SOA)]))
emit("packet_referral", answer(TLSA, "TLSA", authority=[("example.org.", 200, "NS", "ns0.example.org.")], flags="QR"))
emit("packet_ns", answer("example.org.", "NS", [
    ("example.org.", 300, "NS", "ns0.example.org.", "ns1.example.net.")],
    additional=[("ns0.example.org.", 300, "A", "192.0.2.1")]))
emit("packet_a", answer("mx1.example.org.", "A", [("mx1.example.org.", 300, "A", "192.0.2.1", "192.0.2.2")]))
emit("packet_aaaa", answer("mx1.example.org.", "AAAA", [("mx1.example.org.", 300, "AAAA", "2001:db8::1")]))
emit("packet_soa", answer("example.org.", "SOA", [("example.org.", 3600, "SOA", SOA)]))
emit("packet_truncated", answer(TLSA, "TLSA", flags="QR AA TC"))
emit("packet_servfail", answer(TLSA, "TLSA", rcode="SERVFAIL", flags="QR"))
emit("packet_badvers", answer(TLSA, "TLSA", rcode="BADVERS", flags="QR"))
emit("packet_two_ttls", answer(TLSA, "TLSA", [
    (TLSA, 60, "TLSA", f"3 1 1 {A64}"), (TLSA, 30, "TLSA", f"3 1 1 {B64}"), (TLSA, 90, "TLSA", f"3 1 1 {'cc' * 32}")]))
emit("packet_many", answer(TLSA, "TLSA", [(TLSA, 60, "TLSA", *[f"3 1 1 {i:064x}" for i in range(20)])]))
odd = bytearray(answer(TLSA, "TLSA", [(TLSA, 60, "TLSA", "2 0 0 " + "5a" * 300, f"3 1 1 {A64}")], edns=False))
for rdata in (b"\3\1", b"\3\1\1"):  # dnspython makes no such thing
    odd[6:8] = struct.pack("!H", struct.unpack("!H", odd[6:8])[0] + 1)
    odd += b"\xc0\x0c" + struct.pack("!HHIH", 52, 1, 60, len(rdata)) + rdata
emit("packet_odd_tlsa", bytes(odd))
emit("packet_elsewhere", answer(TLSA, "TLSA", [
    ("_25._tcp.mx2.example.org.", 60, "TLSA", f"3 1 1 {B64}"),
    (TLSA, 60, "CH/TLSA", r"\# 35 030101" + B64),
    (TLSA, 60, "TLSA", f"3 1 1 {A64}"),
], additional=[(TLSA, 60, "TLSA", f"3 1 1 {'cc' * 32}")]))
emit("packet_no_edns", answer(TLSA, "TLSA", [(TLSA, 60, "TLSA", f"3 1 1 {A64}")], edns=False))


def unsigned(rcode, opcode=5, qr=True, mid=ID):
    u = dns.update.Update("example.org.")
    u.id = mid
    m = dns.message.make_response(u)
    m.flags = (m.flags & ~0x7800) | opcode << 11
    if not qr:
        m.flags &= ~dns.flags.QR
    m.set_rcode(dns.rcode.from_text(rcode))
    return m


def signed(m, key="upd.", secret=SECRET, algorithm="hmac-sha256.", when=NOW, error=0, other=b"", mac=REQUEST_MAC):
    dns.message.time.time = lambda: when
    k = dns.tsig.Key(key, secret, algorithm)
    m.use_tsig({k.name: k}, k.name, tsig_error=error, other_data=other, algorithm=k.algorithm)
    m.request_mac = mac
    return m.to_wire()


def with_tsig(m, error, key="upd.", mac=b"", original_id=ID):
    """TSIG rdata by hand: RFC 8945 4.2."""
    wire = bytearray(m.to_wire())
    rdata = dns.name.from_text("hmac-sha256.").to_wire() + struct.pack("!HIHH", 0, NOW, 300, len(mac)) + mac
    rdata += struct.pack("!HHH", original_id, error, 0)
    wire[10:12] = struct.pack("!H", struct.unpack("!H", wire[10:12])[0] + 1)
    return bytes(wire) + dns.name.from_text(key).to_wire() + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata


emit("reply_secret", SECRET)
emit("reply_request_mac", REQUEST_MAC)
emit("reply_ok", signed(unsigned("NOERROR")))
emit("reply_ok_unsigned", unsigned("NOERROR").to_wire())
emit("reply_ok_sha512", signed(unsigned("NOERROR"), algorithm="hmac-sha512.", mac=bytes(range(64))))
emit("reply_ok_other_secret", signed(unsigned("NOERROR"), secret=bytes(32)))
emit("reply_ok_other_key", signed(unsigned("NOERROR"), key="other."))
emit("reply_ok_other_request", signed(unsigned("NOERROR"), mac=bytes(32)))
emit("reply_ok_other_id", signed(unsigned("NOERROR", mid=0x4321)))
emit("reply_ok_late", signed(unsigned("NOERROR"), when=NOW - 301))
emit("reply_ok_empty_mac", with_tsig(unsigned("NOERROR"), 0))
emit("reply_query", unsigned("NOERROR", opcode=0).to_wire())
emit("reply_no_reply", unsigned("NOERROR", qr=False).to_wire())
emit("reply_refused", signed(unsigned("REFUSED")))
emit("reply_refused_unsigned", unsigned("REFUSED").to_wire())
emit("reply_yxdomain", signed(unsigned("YXDOMAIN")))
emit("reply_nxdomain", signed(unsigned("NXDOMAIN")))
emit("reply_yxdomain_unsigned", unsigned("YXDOMAIN").to_wire())
emit("reply_yxrrset", signed(unsigned("YXRRSET")))
emit("reply_servfail", signed(unsigned("SERVFAIL")))
emit("reply_notimp_unsigned", unsigned("NOTIMP").to_wire())
emit("reply_notzone", signed(unsigned("NOTZONE")))
emit("reply_notauth_unsigned", unsigned("NOTAUTH").to_wire())
emit("reply_badkey", with_tsig(unsigned("NOTAUTH"), 17))
emit("reply_badsig", with_tsig(unsigned("NOTAUTH"), 16))
emit("reply_badtime", signed(unsigned("NOTAUTH"), error=18, other=struct.pack("!HI", 0, NOW + 900)))
emit("reply_two_tsig", with_tsig(unsigned("NOERROR"), 0)[:10] + b"\0\2" +
     with_tsig(unsigned("NOERROR"), 0)[12:] + with_tsig(unsigned("NOERROR"), 0)[len(unsigned("NOERROR").to_wire()):])
print("#endif")

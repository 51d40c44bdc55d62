/* Owns:  the plain values that DNS answers are turned into, and the numbers of
 *        the record types and response codes we use.
 * Never: points into a packet or owns memory.
 * Spec:  RFC 1035 3.2.2, 3.3.13; RFC 4034 3.1; RFC 2136 2.2; RFC 8945 3.
 * Start at: struct dns_answer. */
#ifndef DNS_RECORD_H
#define DNS_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dns/name.h"
#include "dns/tlsa.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_DS = 43,
	DNS_RRSIG = 46,
	DNS_DNSKEY = 48,
	DNS_TLSA = 52,
	DNS_TSIG = 250,
	DNS_ANY = 255
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_RCODE_REFUSED = 5,
	DNS_YXDOMAIN = 6,
	DNS_YXRRSET = 7,
	DNS_NXRRSET = 8,
	DNS_NOTAUTH = 9,
	DNS_NOTZONE = 10,
	DNS_BADSIG = 16,
	DNS_BADKEY = 17,
	DNS_BADTIME = 18,
	DNS_BADTRUNC = 22
};

/* dns_rcode_name returns "NXDOMAIN"; codes without a row give "RCODE".
 * dns_type_name returns "TLSA"; types without a row give "TYPE". Static. */
const char *dns_rcode_name(int rcode);
const char *dns_type_name(int type);

struct dns_soa {
	struct dns_name owner; /* the zone's apex */
	struct dns_name mname;
	uint32_t serial;
	uint32_t refresh_s;
	uint32_t retry_s;
	uint32_t expire_s;
	uint32_t minimum_s;
	uint32_t ttl_s;
};

/* dns_soa_from_rdata reads uncompressed rdata. Returns EC_SYNTAX. RFC 1035 3.3.13. */
enum ec dns_soa_from_rdata(const struct dns_name *owner, uint32_t ttl_s, struct slice rdata, struct dns_soa *out)
	MUST_CHECK;

/* dns_soa_negative_ttl returns how long a denial may be cached: the smaller of
 * the SOA's own TTL and its minimum field. RFC 2308 5. */
uint32_t dns_soa_negative_ttl(const struct dns_soa *soa);

struct dns_rrsig {
	struct dns_name owner;
	struct dns_name signer;
	uint16_t covered;
	uint8_t algorithm;
	uint8_t labels;
	uint16_t key_tag;
	uint32_t ttl_s;          /* as served */
	uint32_t original_ttl_s; /* as signed: the longest a cache may keep it */
	uint32_t inception;      /* seconds since 1970, modulo 2^32: dns_time */
	uint32_t expiration;
};

/* dns_time turns the 32-bit time of an RRSIG into seconds since 1970, taking
 * the value nearest to `now_s`. RFC 4034 3.1.5 (serial arithmetic). */
int64_t dns_time(uint32_t t, int64_t now_s);

struct dns_alias {
	struct dns_name owner;
	struct dns_name target;
	uint32_t ttl_s;
};

enum {
	DNS_RRSIG_MAX = 16,
	DNS_ALIAS_MAX = 8,
	DNS_NS_MAX = 16,
	DNS_ADDRESS_MAX = 32
};

/* struct dns_answer is what one server said, in plain values. Only records that
 * belong to the question are in it: those at the name asked for or at the end of
 * the alias chain from it. */
struct dns_answer {
	uint16_t id;
	int rcode; /* with the upper bits of EDNS */
	bool qr, aa, tc, ra, ad;
	struct dns_name question;
	uint16_t type;
	struct dns_name canonical; /* where the alias chain ends */

	unsigned num_aliases;
	struct dns_alias aliases[DNS_ALIAS_MAX];

	bool found;     /* the type asked for is there, at `canonical` */
	uint32_t ttl_s; /* the least TTL of the records found, as served */
	struct tlsa_set tlsa;
	unsigned num_tlsa_malformed;

	unsigned num_ns;
	struct dns_name ns[DNS_NS_MAX];

	unsigned num_addresses; /* A and AAAA at `canonical`; ports are 53 */
	struct sockaddr_storage addresses[DNS_ADDRESS_MAX];

	bool has_soa; /* in the answer, or in the authority section of a denial */
	struct dns_soa soa;

	unsigned num_rrsigs; /* over the records of the answer section */
	struct dns_rrsig rrsigs[DNS_RRSIG_MAX];

	bool cut; /* there was more than one of the bounds above allows */
};

/* dns_answer_denied: an authoritative server says that the name (NXDOMAIN) or
 * the type at `canonical` is not there. */
bool dns_answer_denied(const struct dns_answer *a);

/* dns_answer_signature returns the signature over (owner, type) that expires
 * last, or NULL. Borrowed from `a`. */
const struct dns_rrsig *dns_answer_signature(const struct dns_answer *a, const struct dns_name *owner, uint16_t type);

#endif

/* Owns:  the outcome of a DNSSEC-validated look-up as a value, and its reading.
 * Never: validates (secure_ub does) or keeps what it was lent.
 * Spec:  RFC 4035 4.3 (the four states); RFC 7672 2.1.1.
 * Start at: enum secure_status. */
#ifndef DNS_SECURE_H
#define DNS_SECURE_H

#include "config/config.h"
#include "dns/record.h"

/* FAILED covers SERVFAIL without proof of tampering, timeouts and our own
 * errors: nothing is known. Its value is 0, so a forgotten status is no proof. */
enum secure_status {
	SECURE_FAILED,   /* RFC 4035 "indeterminate", or no answer */
	SECURE_BOGUS,    /* should validate and does not */
	SECURE_INSECURE, /* proven to be outside the signed tree */
	SECURE_VALID     /* validated from the root; holds for denials too */
};

/* secure_status_name returns "failed", "bogus", "insecure", "secure". */
const char *secure_status_name(enum secure_status status);

/* struct secure_options says how look-ups are made; secure_new copies what it
 * needs. Zeroed but for the trust anchor it iterates from the built-in root hints. */
struct secure_options {
	const char *trust_anchor_file; /* DS or DNSKEY of the root in zone-file form; required */
	const char *root_hints_file;   /* NULL or "" = those built into libunbound */
	const char *const *forwarders; /* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::1]:53" */
	size_t num_forwarders;         /* 0 = iterate from the root */
	int timeout_ms;                /* per question, when secure_ask gets 0; 0 = 5000 */
	bool keep_test_tld;            /* look .test up instead of answering NXDOMAIN (RFC 6761 6.2) */
};

/* secure_options_of takes them from the settings, which they borrow. */
struct secure_options secure_options_of(const struct config_dns *dns);

enum { SECURE_RDATA_MAX = 64 };

/* struct secure_answer is lent to a callback; nothing in it outlives the call.
 * With SECURE_FAILED and SECURE_BOGUS it holds no records, so none can be used
 * by mistake. */
struct secure_answer {
	enum secure_status status;
	enum ec ec; /* EC_OK for VALID and INSECURE; EC_DNS_BOGUS; EC_TIMEOUT, EC_DNS_FAILED, EC_NO_MEMORY */
	int rcode;
	bool nxdomain; /* no such name */
	bool nodata;   /* the name is there, the type is not */
	uint32_t ttl_s;
	struct dns_name question;
	uint16_t type;
	struct dns_name canonical; /* where the alias chain ends; the question itself without one */
	unsigned num;              /* records of the type asked for */
	struct slice rdata[SECURE_RDATA_MAX];
	struct slice packet; /* the whole answer, for packet_parse; may be empty */
	struct why why;      /* words, when the status is FAILED or BOGUS */
};

/* secure_tlsa turns rdata of type TLSA into a set. Returns EC_SYNTAX when a
 * record is malformed, EC_NO_SPACE when there are more than TLSA_SET_MAX:
 * the set then holds those that could be read. */
enum ec secure_tlsa(const struct secure_answer *a, struct tlsa_set *out) MUST_CHECK;

/* secure_addresses appends rdata of type A or AAAA, with `port`, to `out` that
 * holds `*num` of at most `max`; duplicates are left out. Returns EC_NO_SPACE when
 * some did not fit, EC_SYNTAX for rdata of a wrong length. */
enum ec secure_addresses(const struct secure_answer *a, uint16_t port, struct sockaddr_storage *out, unsigned max,
			 unsigned *num) MUST_CHECK;

#endif

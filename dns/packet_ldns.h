/* Owns:  questions as wire bytes, and answers as plain values, through ldns.
 * Never: lets an ldns object out; validates signatures (secure_ub does); hands
 *        ldns a packet that a walk of our own has not checked first.
 * Spec:  RFC 1035 4.1, RFC 6891 (EDNS), RFC 4034 3 (RRSIG), RFC 6698 2.1.
 * Start at: packet_parse. No I/O and no clock in here, despite the suffix. */
#ifndef DNS_PACKET_LDNS_H
#define DNS_PACKET_LDNS_H

#include "dns/record.h"

enum {
	PACKET_UDP_SIZE = 1232, /* DNS flag day 2020: no fragments */
	PACKET_QUESTION_MAX = 512
};

struct packet_flags {
	bool rd;   /* recursion desired */
	bool dnssec; /* EDNS with the DO bit: signatures are sent along */
};

/* packet_question writes a query with EDNS (PACKET_UDP_SIZE) to `out`, its length
 * to `*out_len`. Returns EC_NO_MEMORY. */
enum ec packet_question(const struct dns_name *name, uint16_t type, uint16_t id, struct packet_flags flags,
			uint8_t out[PACKET_QUESTION_MAX], size_t *out_len, struct why *why) MUST_CHECK;

/* packet_check walks the whole packet: header, counts, names (compression only
 * backwards), record lengths, at most one OPT and one TSIG, TSIG last. Every byte
 * belongs to something. Returns EC_SYNTAX. See walk.h. */
enum ec packet_check(struct slice wire, struct why *why) MUST_CHECK;

/* packet_parse reads an answer. The caller compares id, question and type with
 * what it asked (packet_answers does). Returns EC_SYNTAX (malformed, or not
 * exactly one question); `*out` is zeroed then. A record whose rdata is malformed is
 * left out. A response code other than NOERROR
 * is no error here: see `rcode`. */
enum ec packet_parse(struct slice wire, struct dns_answer *out, struct why *why) MUST_CHECK;

/* packet_answers tells whether `a` is a response with this id and question. */
bool packet_answers(const struct dns_answer *a, uint16_t id, const struct dns_name *name, uint16_t type);

#endif

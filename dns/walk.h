/* Owns:  the walk over a DNS message: where each record stands, its owner, and
 *        that every length and name in it is sound.
 * Never: reads rdata, but for the pseudo-records OPT and TSIG.
 * Spec:  RFC 1035 4.1; RFC 6891 6.1; RFC 8945 4.2.
 * Start at: walk_begin. */
#ifndef DNS_WALK_H
#define DNS_WALK_H

#include "dns/record.h"

enum { WALK_RECORDS_MAX = 512 };

enum walk_section { WALK_QUESTION, WALK_ANSWER, WALK_AUTHORITY, WALK_ADDITIONAL };

struct walk {
	struct slice wire;
	size_t at;
	uint16_t id;
	uint16_t flags;
	uint16_t left[4]; /* records not yet visited, by section */
	bool bad;
};

struct walk_record {
	enum walk_section section;
	size_t at; /* where it starts in the message */
	struct dns_name owner;
	uint16_t type;
	uint16_t class;
	uint32_t ttl_s; /* a value with the top bit set counts as 0: RFC 2181 8 */
	uint32_t ttl_raw;
	struct slice rdata;
};

/* walk_begin borrows `wire` and reads the header. Returns EC_SYNTAX when it is too short, or has
 * more records than fit or than WALK_RECORDS_MAX. */
enum ec walk_begin(struct walk *w, struct slice wire) MUST_CHECK;

/* walk_next sets `*out` to the next record; questions have neither TTL nor rdata.
 * Returns false at the end, and on anything malformed: then `bad` is set. At a
 * good end every byte has been visited. */
bool walk_next(struct walk *w, struct walk_record *out);

/* walk_check walks to the end. Beside soundness it demands at most one OPT and one TSIG,
 * both in the additional section, TSIG last (RFC 8945 5.1). Returns EC_SYNTAX. */
enum ec walk_check(struct slice wire, struct why *why) MUST_CHECK;

/* struct walk_tsig is the rdata of a TSIG record; slices are borrowed. */
struct walk_tsig {
	struct dns_name algorithm;
	uint64_t time_s;
	uint16_t fudge_s;
	struct slice mac;
	uint16_t original_id;
	uint16_t error;
	struct slice other;
};

/* walk_tsig_parse reads it. Returns EC_SYNTAX. RFC 8945 4.2. */
enum ec walk_tsig_parse(struct slice rdata, struct walk_tsig *out) MUST_CHECK;

#endif

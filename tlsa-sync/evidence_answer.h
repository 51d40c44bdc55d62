/* Owns:  what one server's raw answer and the validated look-up of that same
 *        server together prove: the pure half of evidence_uv.
 * Never: makes more of two answers than both of them say.
 * Spec:  RFC 4035 5.3.3 (original TTL), RFC 2308 5 (denials), RFC 7671 6 (aliases).
 * Start at: evidence_judge. */
#ifndef TLSA_SYNC_EVIDENCE_ANSWER_H
#define TLSA_SYNC_EVIDENCE_ANSWER_H

#include "dns/record.h"
#include "dns/secure.h"
#include "tlsa-sync/facts.h"

/* struct evidence_seen is what came of asking one server of one zone about one
 * hop of the alias chain. */
struct evidence_seen {
	/* The raw answer to TLSA at the hop's owner; `raw_ec` other than EC_OK: none came. */
	enum ec raw_ec;
	struct why raw_why;
	struct dns_answer raw;
	/* Its SOA, a hint for people. */
	uint32_t denial_until; /* of a denial: evidence_denial_until, modulo 2^32 */
	bool has_serial;
	uint32_t serial;
	struct fact_upkeep upkeep; /* of its zone, at this server */
	/* The same question validated, through this server. */
	enum secure_status status;
	struct tlsa_set secure_set;
	struct why secure_why;
};

/* struct evidence_hop is what the zone map says: the owner asked for, and, unless
 * it is the last hop, where its alias leads. `chain_ttl_s` is the largest TTL of all aliases. */
struct evidence_hop {
	struct dns_name owner;
	bool alias;
	struct dns_name target;
	uint32_t chain_ttl_s;
};

/* evidence_judge fills `*out` and returns EC_OK, or returns another code with
 * words when this server gave no usable answer: no answer, REFUSED and other
 * codes, not authoritative, signatures that could not be checked. out->words
 * points into `*seen` or is NULL.
 *  - The set is what both answers have: they were asked at different moments.
 *  - The TTL is the largest of original TTLs of TLSA and CNAMEs; of a denial the
 *    negative TTL.
 *  - At an alias hop a server is judged by its alias: when it is the one the zone
 *    map has, out->alias is set and the set is empty; when it leads elsewhere, or is
 *    gone, the set is what it leads to. */
enum ec evidence_judge(const struct evidence_seen *seen, const struct evidence_hop *hop, int64_t now_s,
                       struct answer *out, struct why *why) MUST_CHECK;

/* evidence_denial_until finds the last expiry of the signatures in the authority
 * section of a raw answer (over SOA, NSEC, NSEC3): until then the denial can be
 * replayed. 0 when there is none. `now_s` resolves the 32-bit times. */
uint32_t evidence_denial_until(struct slice packet, int64_t now_s);

/* evidence_upkeep takes what an answer to SOA or to DNSKEY says about how the zone is
 * kept; any other answer, or none, changes nothing. */
void evidence_upkeep(struct fact_upkeep *u, const struct dns_answer *raw, int64_t now_s);

/* evidence_merge makes one answer of two that the same address gave about two hops
 * of the chain: the worse of each part. An expected alias says nothing about the set. */
void evidence_merge(struct answer *into, const struct answer *other);

#endif

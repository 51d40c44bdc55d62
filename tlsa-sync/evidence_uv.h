/* Owns:  asking DNS about one identity: who serves it, and what each address of
 *        each of those servers answers, with proof.
 * Never: believes a resolver or a single server; decides what an answer means.
 * Spec:  RFC 7671 8.1, RFC 4035; design: "every address of every authoritative server".
 * Start at: evidence_find, then evidence_look. */
#ifndef TLSA_SYNC_EVIDENCE_UV_H
#define TLSA_SYNC_EVIDENCE_UV_H

#include "config/config.h"
#include "dns/zone_uv.h"
#include "tlsa-sync/askers_uv.h"
#include "tlsa-sync/facts.h"

struct evidence;

/* evidence_new makes one for the MX host `identity`: its owner name is
 * _25._tcp.<identity>. `cfg` and `askers` are borrowed and have to outlive it. Returns EC_NO_MEMORY,
 * EC_SYNTAX (the name), EC_IO. */
enum ec evidence_new(uv_loop_t *loop, const struct config *cfg, struct askers *askers, const char *identity,
                     struct evidence **out, struct why *why) MUST_CHECK;

/* What evidence_find and evidence_look report. Never called from inside them; all is lent. */
struct evidence_events {
	/* The DS of each zone of the alias chain, before `found`, which may be a failure: a zone that
	 * was known and is not secure any more. Not called while no zone is known. */
	void (*zones)(void *arg, const struct fact_zone *zones, size_t num);
	/* The search ended. EC_OK: `servers` is every address of every server of every
	 * zone of the alias chain, `addresses` where the identity takes mail
	 * ("192.0.2.9:25"); when those could not be found, `num_addresses` is 0 and
	 * `addresses_why` says why. Otherwise as zone_find, with words. */
	void (*found)(void *arg, enum ec ec, const struct server_id *servers, size_t num_servers,
	              const char *const *addresses, size_t num_addresses, const struct why *addresses_why,
	              const struct why *why);
	/* One server of the last evidence_find was asked: `answer`, or NULL and why not. */
	void (*server)(void *arg, const struct server_id *id, const struct answer *answer, const struct why *why);
	/* Every server has been reported. */
	void (*looked)(void *arg);
};

/* evidence_find starts the search anew; evidence_look asks every server found. One at a time, and when it is
 * this identity's turn. evidence_look returns EC_MISSING when nothing was found yet; then nothing is reported. */
void evidence_find(struct evidence *e, struct evidence_events events, void *arg);
enum ec evidence_look(struct evidence *e, struct evidence_events events, void *arg, struct why *why) MUST_CHECK;

/* evidence_map is what the last successful search found, or NULL; borrowed
 * until the next one. */
const struct zone_map *evidence_map(const struct evidence *e);

/* evidence_free cancels what is under way. The loop must run on. NULL is allowed. */
void evidence_free(struct evidence *e);

#endif

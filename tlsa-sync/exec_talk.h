/* Owns:  the words between tlsa-sync and an operator's publishing command: the
 *        change as JSON, and what its answer means.
 * Never: runs it; takes silence or rubbish for success.
 * Spec:  tlsa-sync(1), PUBLISHERS.
 * Start at: struct exec_request. */
#ifndef TLSA_SYNC_EXEC_TALK_H
#define TLSA_SYNC_EXEC_TALK_H

#include "base/slice.h"
#include "dns/name.h"
#include "dns/tlsa.h"
#include "tlsa-sync/facts.h"

enum { EXEC_PROTOCOL = 1, EXEC_ANSWER_MAX = 65536 };

/* All borrowed. */
struct exec_request {
	const char *identity;
	const struct dns_name *zone;
	const struct dns_name *owner;
	uint32_t ttl_s;
	const struct tlsa_set *adds;
	const struct tlsa_set *deletes;
	const struct tlsa_set *wanted;
	bool dry_run;
};

/* exec_request_print appends one line of JSON: protocol, dry_run, identity, zone, owner
 * (names with the last dot), ttl (seconds), add, delete, wanted (lists of "3 1 1 hex").
 * Returns EC_NO_MEMORY. */
enum ec exec_request_print(const struct exec_request *r, struct bytes *out) MUST_CHECK;

/* exec_answer_read judges what the command printed, {"ok": bool, "applied": bool, "why":
 * text}; of these only ok is needed. `succeeded`: its exit status was 0. Returns
 *   OUTCOME_OK       ok is true and the exit status 0
 *   OUTCOME_FAILED   ok is false and applied is false; or a dry run was not ok
 *   OUTCOME_UNKNOWN  everything else: rubbish, no answer, a success that exits with an
 *                    error, a refusal that does not rule out that something was done
 * `why` gets the command's own words, printable and cut to fit, or what is wrong with its answer. */
enum outcome exec_answer_read(struct slice out, bool succeeded, bool dry_run, struct why *why);

#endif

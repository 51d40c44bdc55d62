/* Owns:  one round of probes: every address x key algorithm x {right, other, no}
 *        server name (or the right one alone), a bounded number at a time.
 * Never: says if what was seen is right (rollover.c does).
 * Spec:  RFC 7671 10.2, RFC 7672 8.1: senders use the MX host name as SNI, others
 *        any or none, and all must see a pinned key.
 * Start at: probes_start. */
#ifndef TLSA_SYNC_PROBES_UV_H
#define TLSA_SYNC_PROBES_UV_H

#include <uv.h>

#include "tlsa-sync/facts.h"

enum { PROBES_AT_ONCE = 16 };

/* What to probe; borrowed until the round is over. `addresses` are "ADDR:PORT". */
struct probes_plan {
	const char *identity;
	const char (*addresses)[FACT_ADDRESS];
	size_t num_addresses;
	unsigned algorithms; /* OR of 1u << enum key_algorithm */
	bool only_by_name;   /* who asks for another name, or none, is shown another identity */
	int timeout_ms;      /* of each */
};

struct probes_events {
	/* One result: `spki_sha256`, or NULL and the reason. */
	void (*result)(void *arg, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
	               const uint8_t *spki_sha256, const char *words);
	void (*done)(void *arg);
};

struct probes;

/* probes_start begins a round; nothing is reported from inside it. `*out` is valid
 * until `done` has been called. Returns EC_NO_MEMORY; then nothing is reported. */
enum ec probes_start(uv_loop_t *loop, const struct probes_plan *plan, struct probes_events events, void *arg,
                     struct probes **out) MUST_CHECK;

/* probes_cancel ends the round without another report. NULL is allowed. */
void probes_cancel(struct probes *p);

#endif

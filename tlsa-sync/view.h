/* Owns:  a look at one identity: what is known, decided and under way, as status,
 *        metrics and the sockets show it.
 * Never: changes anything.
 * Spec:  –
 * Start at: struct view. */
#ifndef TLSA_SYNC_VIEW_H
#define TLSA_SYNC_VIEW_H

#include "tlsa-sync/rollover.h"

/* struct view_counts counts since the daemon started. */
struct view_counts {
	uint64_t updates[OUTCOME_NUM];
	uint64_t issues[OUTCOME_NUM];
	uint64_t probes_seen;
	uint64_t probes_failed;
	uint64_t answers;
	uint64_t silences;
	uint64_t reports;
	uint64_t reports_failed;
	uint64_t guard_refusals;
	uint64_t journal_failures;
	uint64_t state_changes;
};

/* struct events_counts counts what the operator's command was told (tlsa_sync.on_event). */
struct events_counts {
	uint64_t told;    /* it ended with status 0 */
	uint64_t failed;  /* another status, a signal, the deadline, or it could not be started */
	uint64_t dropped; /* too many were waiting */
};

/* struct view borrows `facts`, `policy` and `trouble`; it is valid until the loop
 * runs on. */
struct view {
	const struct facts *facts;
	const struct policy *policy;
	struct view_counts counts;
	struct decision decision;
	struct stamp now;
	enum rollover_action activity; /* what is under way; RA_NONE: nothing */
	const char *trouble;           /* why nothing can be done at present, or "" */
	int64_t next_update_s;         /* an update is held back for this long; 0: it is not */
};

#endif

/* Owns:  finding out, before it matters, whether the publisher could make a change:
 *        a rehearsal at the start, and again from time to time.
 * Never: changes anything; holds back a change.
 * Spec:  tlsa-sync(1), PUBLISHERS.
 * Start at: rehearsal_step. */
#ifndef TLSA_SYNC_REHEARSAL_UV_H
#define TLSA_SYNC_REHEARSAL_UV_H

#include "tlsa-sync/publish_uv.h"
#include "tlsa-sync/rollover.h"

struct controller;

/* struct rehearsal is one identity's; zeroed it has not been tried. */
struct rehearsal {
	struct publisher_call *call; /* under way */
	uint64_t next_ms;            /* loop time; 0: at once */
	char trouble[WHY_SIZE];      /* why a change would fail, or "" */
};

/* rehearsal_step begins one when it is due and the zone is known. */
void rehearsal_step(struct controller *c);

/* rehearsal_proven: a real change was accepted, so nothing is wrong. */
void rehearsal_proven(struct rehearsal *r);

/* rehearsal_alarm adds what is wrong, if anything is, to the alarms of `d`. */
void rehearsal_alarm(const struct rehearsal *r, struct decision *d);

void rehearsal_cancel(struct rehearsal *r);

#endif

/* Owns:  what the files of the controller share: its one object.
 * Never: is included by anything but controller_uv.c and actions_uv.c.
 * Spec:  –
 * Start at: struct controller. */
#ifndef TLSA_SYNC_CONTROLLER_IN_UV_H
#define TLSA_SYNC_CONTROLLER_IN_UV_H

#include "tlsa-sync/controller_uv.h"
#include "tlsa-sync/evidence_uv.h"
#include "tlsa-sync/issuer_uv.h"
#include "tlsa-sync/probes_uv.h"
#include "tlsa-sync/rehearsal_uv.h"

/* One request to one danegate that is under way. */
struct controller_ask {
	struct controller *c;
	unsigned instance;
	struct agent_call *call;
};

struct controller {
	struct controller_world *world;
	size_t index;
	struct facts *facts;
	struct policy policy;
	char blocked[FACT_NAME + 64];
	struct evidence *evidence;
	uv_timer_t timer;
	bool stopping;
	bool unsaved; /* facts have changed since the journal was written */

	enum rollover_action activity; /* RA_NONE: deciding or waiting */
	unsigned pending;              /* parts of the activity under way */
	struct controller_ask asks[FACT_INSTANCES];
	struct probes *probes;
	struct publisher_call *update;
	struct rehearsal rehearsal;    /* likewise beside it */
	struct issuer_run *issuing;    /* goes on beside the activity */
	struct decision decision; /* what is being acted on */

	/* When an action failed at once, it is not tried again before this (loop time, ms). */
	uint64_t not_before_ms[RA_NUM_ACTIONS];
	unsigned update_failures; /* in a row */
	char trouble[WHY_SIZE];
	char last_event[WHY_SIZE + FACT_NAME]; /* the last line that an action gave the history */
	char alarms[ROLLOVER_ALARMS][FACT_WORDS + FACT_NAME]; /* those logged already */
	size_t num_alarms;
	struct view_counts counts;
};

/* controller_now advances the journal's clock. */
struct stamp controller_now(struct controller *c);

/* controller_save writes the facts, with a line for the history unless `event` is
 * NULL. On failure `trouble` says why, and nothing may be done. */
bool controller_save(struct controller *c, const char *event, const char *words);

/* controller_complain logs and remembers what went wrong; `about` narrows it down
 * (a server, an instance), or is NULL. */
void controller_complain(struct controller *c, const char *what, const char *about, const char *words);

/* controller_step decides and acts, until something is under way or there is
 * nothing to do. The only place that decides. */
void controller_step(struct controller *c);

/* action_start begins what c->decision asks for. Returns false when it could not
 * even be begun: then it was complained about and is tried again later. */
bool action_start(struct controller *c);
/* action_done is called by the parts of an activity as they end. */
void action_done(struct controller *c);
/* action_certify begins to get a certificate; it goes on beside what comes next. Returns
 * false when it could not be noted: then nothing was done. */
bool action_certify(struct controller *c);
/* action_cancel gives up what is under way. */
void action_cancel(struct controller *c);

#endif

/* Owns:  the loop of one identity: gather facts, rollover_decide, journal, act,
 *        observe, and wake up again.
 * Never: acts on what is not in the journal; decides anything itself; holds a key.
 * Spec:  design: "journal, act, observe".
 * Start at: struct controller_world, controller_start. */
#ifndef TLSA_SYNC_CONTROLLER_UV_H
#define TLSA_SYNC_CONTROLLER_UV_H

#include <uv.h>

#include "config/config.h"
#include "tlsa-sync/agent_uv.h"
#include "tlsa-sync/askers_uv.h"
#include "tlsa-sync/events_uv.h"
#include "tlsa-sync/journal_db.h"
#include "base/mishaps.h"
#include "tlsa-sync/publish_uv.h"
#include "tlsa-sync/view.h"

struct controller;

/* What the controllers of all identities share. Everything is borrowed and has to
 * outlive them. `agents` are in the order of tlsa_sync.instances. */
struct controller_world {
	uv_loop_t *loop;
	const struct config *cfg;
	struct journal *journal;
	struct publisher *publisher;
	struct askers *askers;
	struct agent **agents;
	size_t num_agents;
	struct controller **controllers; /* one per identity, filled in by the owner */
	size_t num_controllers;
	struct mishaps *mishaps;
	struct events *events; /* NULL: nobody is told */
	bool again;            /* after a reload: what was wrong may have been mended, so pauses are over */
	/* Only look: a controller that is started asks every server and instance once and calls
	 * this, and decides on nothing. NULL: go on by itself. `journal` may be NULL then. */
	void (*looked)(void *arg);
	void *looked_arg;
};

/* controller_new loads what the journal knows of identity number `index`. Returns
 * EC_NO_MEMORY, the errors of journal_load and evidence_new, EC_LIMIT for too many instances. */
enum ec controller_new(struct controller_world *world, size_t index, struct controller **out,
                       struct why *why) MUST_CHECK;

/* controller_start decides for the first time; from then on it goes by itself. */
void controller_start(struct controller *c);

/* controller_request carries out what the operator asks: facts, journal, decide.
 * Errors as rollover_request and journal_store. `why` has words also on EC_OK. */
enum ec controller_request(struct controller *c, enum rollover_request request, struct why *why) MUST_CHECK;

/* controller_view fills `*out` with what is known now and what is decided on it. */
void controller_view(struct controller *c, struct view *out);

const char *controller_identity(const struct controller *c);

/* controller_rolling tells whether a roll has begun and not ended. */
bool controller_rolling(const struct controller *c);

/* controller_free stops; what is under way is given up, which the journal
 * already allows for. The loop must run on. NULL is allowed. */
void controller_free(struct controller *c);

#endif

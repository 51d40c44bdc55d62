/* Owns:  what the files of the decision share: the facts, policy and moment it is
 *        made for, and the ways a step can end it.
 * Never: is included by the guard or by a shell.
 * Spec:  –
 * Start at: rollover.c. */
#ifndef TLSA_SYNC_DECIDE_H
#define TLSA_SYNC_DECIDE_H

#include "tlsa-sync/rollover.h"
#include "tlsa-sync/words.h"

/* A step looks at `f` and either ends the decision (returns true, having filled in
 * `d`) or leaves it to the next. */
struct decide {
	const struct facts *f;
	const struct policy *p;
	struct stamp now;
	struct tlsa_set unwanted; /* records on any server that are to go */
	struct decision *d;
};

/* The ways a step ends. decide_wait says what for; decide_act and decide_ask do
 * the next thing (decide_ask paces what is asked of one instance, and looks at
 * its report in between); decide_mark records. All return true. */
bool decide_wait(struct decide *c, enum rollover_state state, const char *waiting_for, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool decide_act(struct decide *c, enum rollover_state state, enum rollover_action action, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool decide_ask(struct decide *c, enum rollover_state state, enum ask_kind kind, unsigned instance,
                uint64_t generation);
bool decide_mark(struct decide *c, enum rollover_state state, enum rollover_mark mark);

/* decide_fresh ends the decision unless servers (when asked for) and instances
 * have answered lately. */
bool decide_fresh(struct decide *c, enum rollover_state state, bool servers);

bool decide_due(const struct decide *c, struct stamp last, int64_t interval_ms);
int64_t decide_poll_ms(const struct decide *c);

/* decide_strangers: are there records of others that are to go (own_rrset)? */
bool decide_strangers(const struct decide *c);

bool roll_running(const struct facts *f);
bool roll_moving(const struct facts *f); /* begun, and the old records not yet given up */

/* generation_wanted: are its records to be in DNS? */
bool generation_wanted(const struct facts *f, unsigned instance, uint64_t generation);

/* The steps, by file. dns: */
bool step_zone(struct decide *c);
bool step_publish(struct decide *c);
bool step_remove(struct decide *c);
bool step_retire(struct decide *c);
/* roll: */
bool step_rollback(struct decide *c);
bool step_roll(struct decide *c);
bool step_probe(struct decide *c, enum rollover_state state);

/* decide_alarms lists what a person should look at. */
void decide_alarms(struct decide *c);

#endif

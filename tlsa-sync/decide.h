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
	struct tlsa_set unwanted; /* records on any server that are to go; `more`: and others */
	bool more;
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
/* roll_past: has an instance gone beyond what it rolls to, or lost it, or what it is to go back to? */
bool roll_past(const struct facts *f);
bool roll_moving(const struct facts *f); /* begun, and the old records not yet given up */

/* may_be_presented: asked for, and not known to have been refused: it may be presented by now. */
bool may_be_presented(const struct fact_instance *in, uint64_t generation);

/* generation_wanted: are its records to be in DNS? forms_wanted: in which forms? */
bool generation_wanted(const struct facts *f, unsigned instance, uint64_t generation);
unsigned forms_wanted(const struct facts *f, const struct policy *p);

/* The steps, by file. dns: */
bool step_zone(struct decide *c, enum rollover_state state);
bool step_publish(struct decide *c);
bool step_remove(struct decide *c);
bool step_remove_keys(struct decide *c); /* only the records of keys that are given up */
bool step_forms(struct decide *c);
bool step_retire(struct decide *c);
/* words_still_there names a server (else `name` stays) with a record that is to go. removal_due
 * tells whether an update that removes them may go out now; if not, `why` may say more. */
void words_still_there(const struct decide *c, char name[WORDS_SERVER], struct why *why);
bool removal_due(const struct decide *c, struct why *why);
/* removal_fill sets what is to be deleted: what is on any server, and what we ordered in and
 * nobody has yet seen there, so that a part can't stay behind alone. Off: and of every key there is.
 * False when there are more than fit. spare_used: but for those of keys that may be presented. */
bool removal_fill(struct decide *c, bool spare_used);
/* off: */
bool step_off(struct decide *c);
/* roll: */
bool step_rollback(struct decide *c);
bool step_emergency(struct decide *c);
bool step_roll(struct decide *c);
bool step_probe(struct decide *c, enum rollover_state state);

/* decide_alarms lists what a person should look at, decide_alarms_dns the part of it
 * that is about DNS; decide_alarm adds one, unless it is there. */
void decide_alarms(struct decide *c);
void decide_alarms_dns(struct decide *c);
void decide_alarm(struct decide *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

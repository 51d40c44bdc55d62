/* The controller's shell in a small world: each action goes any way it can. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "small_room.h"

static const char *const addresses[S_INSTANCES] = { "203.0.113.1", "203.0.113.2" };
static const struct server_id servers[S_SERVERS] = {
	{ "ns0.example.org", "192.0.2.1" },
	{ "ns1.example.org", "192.0.2.2" },
};

/* Down, and up again with what the journal holds: that is what is in memory, since each
 * outcome is journalled with the step that learned it. */
static void crash(struct small_run *r)
{
	if (happens(r, r->rules->boots)) {
		say(r, "; the machine crashes and boots");
		boot(r);
	} else {
		say(r, "; tlsa-sync crashes and is started again");
		tick(r, 1);
	}
}

static void report(struct small_run *r, unsigned i)
{
	const struct small_instance *in = &r->w.instances[i];
	struct generation gens[S_GENERATIONS] = { 0 };
	for (unsigned g = 0; g < in->num; g++) {
		gens[g].number = in->generations[g];
		gens[g].num_keys = r->rules->algorithms;
		for (unsigned a = 0; a < r->rules->algorithms; a++) {
			struct key_info *k = &gens[g].keys[a];
			k->algorithm = a;
			k->certified = true;
			k->not_before.s = 1;
			k->not_after.s = INT64_C(99999999999);
			memcpy(k->chain[0].spki_sha256, record_tlsa(record_make(FORM_311, a, i, in->generations[g])).data, 32);
			memcpy(k->chain[0].spki_sha512, record_tlsa(record_make(FORM_312, a, i, in->generations[g])).data, 64);
			memcpy(k->chain[0].cert_sha256, record_tlsa(record_make(HAND_301, a, i, in->generations[g])).data, 32);
		}
	}
	struct report rep = { .algorithms = (1U << r->rules->algorithms) - 1, .active = in->active, .presented = in->active,
		              .num_generations = in->num, .generations = gens };
	struct why why = { 0 };
	if (facts_report(r->facts, i, &rep, now(r), &why) != EC_OK)
		fail(r, "facts_report", why.text);
}

static void look(struct small_run *r)
{
	/* Looking takes no time, unless it is done again: nothing is done twice in a moment. */
	if (r->facts->looked.count_ms == now(r).count_ms)
		tick(r, 1);
	for (unsigned i = 0; i < r->rules->servers; i++) {
		int row = facts_server(r->facts, servers[i].name, servers[i].address);
		if (row < 0)
			continue;
		if (happens(r, r->rules->silence)) {
			facts_silence(r->facts, (unsigned)row, "no answer", now(r));
			say(r, ", %s silent", servers[i].name);
			continue;
		}
		struct answer a = { .set = set_tlsa(&r->w.at[i]), .ttl_s = r->w.at[i].ttl * TICK_S, .validity = VALIDITY_SECURE };
		facts_answer(r->facts, (unsigned)row, &a, r->policy.confirmations, rollover_gap_ms(&r->policy), now(r));
		if (i == 1 && r->w.turned == 1)
			r->w.turned = 2;
	}
	for (unsigned i = 0; i < r->rules->instances; i++) {
		if (happens(r, r->rules->silence)) {
			facts_instance_failed(r->facts, i, "connection refused", now(r));
			say(r, ", %s down", small_names[i]);
		} else {
			report(r, i);
		}
	}
	facts_looked(r->facts, now(r));
}

static void find(struct small_run *r)
{
	if (happens(r, r->rules->silence)) {
		facts_zone_failed(r->facts, "SERVFAIL", now(r));
		say(r, ", in vain");
	} else if (facts_set_servers(r->facts, servers, r->rules->servers, now(r)) != EC_OK ||
	           facts_set_addresses(r->facts, addresses, r->rules->instances) != EC_OK) {
		fail(r, "facts_set_servers", "");
	}
}

static void probe(struct small_run *r)
{
	for (unsigned i = 0; i < r->rules->instances; i++) {
		bool down = happens(r, r->rules->silence);
		for (unsigned a = 0; a < r->rules->algorithms; a++) {
			struct tlsa t = record_tlsa(record_make(FORM_311, a, i, r->w.instances[i].active));
			facts_probe(r->facts, addresses[i], a, SNI_RIGHT, down ? NULL : t.data, down ? "no answer" : NULL, now(r));
		}
		if (down)
			say(r, ", %s does not answer", addresses[i]);
	}
	facts_probed(r->facts, now(r));
}

/* What may become of a message. Crashes and late ones last: not every world has them. */
enum fate { DONE, REFUSED, LOST, DONE_UNHEARD, DONE_CRASH, LOST_CRASH, COMES_LATE, COMES_TWICE, FATES };
static const char *const fates[FATES] = { "done", "refused", "lost", "done, and the answer lost", "done", "lost",
	                                  "not answered, and on its way", "done, and a copy is on its way" };

static enum fate fate_of(struct small_run *r, bool may_be_late)
{
	static const enum fate all[] = { DONE, REFUSED, LOST, DONE_UNHEARD, COMES_LATE, COMES_TWICE, DONE_CRASH, LOST_CRASH };
	enum fate may[FATES];
	unsigned n = 0;
	bool late = may_be_late && r->rules->late > 0 && r->w.late.kind == ON_ITS_WAY_NONE;
	for (unsigned i = 0; i < FATES; i++) {
		bool is_late = all[i] == COMES_LATE || all[i] == COMES_TWICE;
		bool is_crash = all[i] == DONE_CRASH || all[i] == LOST_CRASH;
		if (i == 0 || (is_late ? late : is_crash ? r->rules->crashes : r->rules->silence))
			may[n++] = all[i];
	}
	enum fate f = may[choose(r, n)];
	say(r, ": %s", fates[f]);
	return f;
}

static bool happened(enum fate f)
{
	return f == DONE || f == DONE_UNHEARD || f == DONE_CRASH || f == COMES_TWICE;
}

static enum outcome outcome_of(enum fate f)
{
	return f == DONE || f == COMES_TWICE ? OUTCOME_OK : f == REFUSED ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
}

static void step_update(struct small_run *r)
{
	const struct decision *d = r->decision;
	struct why why = { 0 };
	if (r->guard && rollover_check_write(r->facts, &r->policy, &d->adds, &d->deletes, now(r), &why) != EC_OK) {
		fail(r, "the guard refuses the write", why.text);
		return;
	}
	facts_update_sent(r->facts, &d->adds, &d->deletes, r->policy.ttl_s, now(r));
	struct small_set adds = set_read(&d->adds), deletes = set_read(&d->deletes);
	enum fate f = fate_of(r, true);
	if (happened(f))
		update(r, &adds, &deletes);
	if (f == COMES_LATE || f == COMES_TWICE)
		r->w.late = (struct small_late){ ON_ITS_WAY_UPDATE, r->rules->late, 0, 0, adds, deletes };
	if (f == DONE_CRASH || f == LOST_CRASH) {
		crash(r);
		return;
	}
	tick(r, 1);
	facts_update_done(r->facts, outcome_of(f), NULL, now(r));
}

static void step_ask(struct small_run *r, enum ask_kind kind)
{
	const struct decision *d = r->decision;
	struct why why = { 0 };
	if (kind == ASK_SWAP && r->guard &&
	    rollover_check_swap(r->facts, &r->policy, d->instance, d->generation, now(r), &why) != EC_OK) {
		fail(r, "the guard refuses the swap", why.text);
		return;
	}
	facts_asked(r->facts, d->instance, kind, d->generation, now(r));
	enum fate f = fate_of(r, kind == ASK_SWAP);
	if (happened(f) && kind == ASK_PREPARE)
		prepare(r, d->instance);
	else if (happened(f) && kind == ASK_SWAP && r->w.late.kind == ON_ITS_WAY_SWAP && r->w.late.instance == d->instance)
		arrive(r); /* what was sent before is read before */
	if (happened(f) && kind == ASK_SWAP)
		present(r, d->instance, (unsigned)d->generation);
	else if (happened(f) && kind == ASK_RETIRE)
		retire(r, d->instance, (unsigned)d->generation);
	if (f == COMES_LATE)
		r->w.late = (struct small_late){ .kind = ON_ITS_WAY_SWAP, .left = 1, .instance = (uint8_t)d->instance,
			                         .generation = (uint8_t)d->generation };
	if (f == DONE_CRASH || f == LOST_CRASH) {
		crash(r);
		return;
	}
	tick(r, 1);
	facts_ask_done(r->facts, d->instance, outcome_of(f), NULL);
}

/* A clock that is set back, or ahead, while the controller waits. */
static void step_wait(struct small_run *r)
{
	static const int64_t ways[] = { 1, -5, 1000 };
	int64_t way = ways[r->rules->jumps ? choose(r, 3) : 0];
	if (way != 1)
		say(r, ", and the wall clock jumps by %lld ticks", (long long)way);
	tick(r, way);
	if (way != 1)
		tick(r, 1); /* as after a boot: what comes next is after it */
}

static void step_record(struct small_run *r)
{
	struct why event = { 0 };
	rollover_record(r->facts, &r->policy, r->decision, now(r), &event);
	say(r, ": %s", event.text);
	const struct fact_roll *roll = &r->facts->roll;
	for (size_t i = 0; r->decision->mark == RM_ENDED && roll->end == ROLL_DONE && i < roll->num_moves; i++) {
		const struct fact_move *m = &roll->moves[i];
		const struct small_instance *in = &r->w.instances[m->instance];
		if (in->active < m->to)
			fail(r, "a roll is done", "and an instance presents the old key");
		for (unsigned g = 0; g < in->num; g++)
			if (in->generations[g] == m->from)
				fail(r, "a roll is done", "and the old key is still there");
	}
}

static void show(struct small_run *r)
{
	const struct decision *d = r->decision;
	bool known = r->facts->shown_since.s != 0;
	unsigned before = r->facts->shown_state;
	if (rollover_show(r->facts, d, now(r)) && known && !step_allowed(rollover_states, RO_NUM_STATES, before, d->state))
		fail(r, "a state that may not follow", rollover_states[before].name);
	say(r, "%s, %s", rollover_states[d->state].name, rollover_action_name(d->action));
	if (d->action == RA_NONE || d->action == RA_UPDATE)
		say(r, " [%.200s]", d->why);
}

void step_daemon(struct small_run *r)
{
	show(r);
	switch (r->decision->action) {
	case RA_NONE: step_wait(r); break;
	case RA_RECORD: step_record(r); break;
	case RA_FIND: find(r); break;
	case RA_LOOK: look(r); break;
	case RA_PROBE: probe(r); break;
	case RA_UPDATE: step_update(r); break;
	case RA_PREPARE: step_ask(r, ASK_PREPARE); break;
	case RA_SWAP: step_ask(r, ASK_SWAP); break;
	case RA_RETIRE: step_ask(r, ASK_RETIRE); break;
	default: fail(r, "an action this world has no use for", rollover_action_name(r->decision->action));
	}
}

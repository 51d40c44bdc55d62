/* The steps about DNS: find the zone, publish what is wanted, take away what is
 * not, and delete the generations whose records are gone. */
#include <stdio.h>

#include "tlsa-sync/decide.h"

enum { RESEND_POLLS = 12, REFUSED_POLLS = 6 };

bool step_zone(struct decide *c)
{
	const struct facts *f = c->f;
	if (f->zone_found.count_ms != 0 && f->num_servers > 0)
		return false;
	(void)decide_wait(c, RO_PUBLISHING, "the zone", "the servers of the zone of _25._tcp.%s are not known%s%s", f->identity,
	                  f->zone_words[0] ? ": " : "", f->zone_words);
	struct stamp last = f->zone_failed.count_ms > f->zone_found.count_ms ? f->zone_failed : f->zone_found;
	if (decide_due(c, last, decide_poll_ms(c)))
		c->d->action = RA_FIND;
	else
		c->d->wake_ms = decide_poll_ms(c) - (c->now.count_ms - last.count_ms);
	return true;
}

/* Has the server proven every wanted record? */
static bool server_agrees(const struct decide *c, unsigned server)
{
	for (size_t i = 0; i < c->d->wanted.num; i++) {
		int digest = facts_digest(c->f, c->d->wanted.items[i].data);
		const struct fact_agree *row = digest < 0 ? NULL : facts_agree(c->f, server, (unsigned)digest);
		if (row == NULL || row->proof_ms == 0)
			return false;
	}
	return true;
}

struct spread {
	int lacking;      /* the first server without proof, or -1 */
	bool answered;    /* somebody answered at all */
	bool missing;     /* somebody answered without one of the wanted records */
	bool seen;        /* somebody answered with all of them: the update took effect */
	bool obstructed;  /* all serve all of it; records of strangers keep them from agreeing, and may be deleted */
};

static struct spread spread_of(const struct decide *c)
{
	struct spread r = { .lacking = -1, .obstructed = decide_strangers(c) };
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		bool agrees = server_agrees(c, s);
		if (r.lacking < 0 && !agrees)
			r.lacking = (int)s;
		if (!agrees && (row->same < c->p->confirmations || !tlsa_set_covers(&row->set, &c->d->wanted)))
			r.obstructed = false;
		if (row->answered.count_ms == 0 || row->alias)
			continue;
		r.answered = true;
		if (tlsa_set_covers(&row->set, &c->d->wanted))
			r.seen = true;
		else
			r.missing = true;
	}
	return r;
}

/* May an update like the last one go out again? One without a known outcome only
 * after the servers were asked; a refused one after a pause; an accepted one when
 * its effect was lost. All are exact adds and deletes: a resend does no harm. */
static bool resend_due(const struct decide *c)
{
	const struct fact_update *u = &c->f->update;
	int64_t poll = decide_poll_ms(c);
	switch (u->outcome) {
	case OUTCOME_OK:
		return decide_due(c, u->sent, RESEND_POLLS * poll);
	case OUTCOME_FAILED:
		return decide_due(c, u->sent, REFUSED_POLLS * poll);
	default:
		return c->f->looked.count_ms > u->sent.count_ms && decide_due(c, u->sent, 2 * poll);
	}
}

static bool update_words(const struct decide *c, bool this_one, struct why *why)
{
	const struct fact_update *u = &c->f->update;
	char at[WALL_TEXT_SIZE];
	wall_print(at, u->sent.wall);
	if (!this_one)
		return false;
	if (u->outcome == OUTCOME_FAILED)
		(void)why_set(why, EC_OK, "the primary refused the update of %s: %s", at, u->words);
	else if (u->outcome != OUTCOME_OK)
		(void)why_set(why, EC_OK, "the update of %s was not answered%s%s: asking the servers whether it took effect", at,
		              u->words[0] ? ": " : "", u->words);
	else
		return false;
	return true;
}

bool step_publish(struct decide *c)
{
	struct spread r = spread_of(c);
	if (r.lacking < 0 || r.obstructed)
		return false; /* strange records: step_remove is next */
	const struct fact_update *u = &c->f->update;
	bool this_one = u->sent.count_ms != 0 && u->deletes.num == 0 && tlsa_set_eq(&u->adds, &c->d->wanted);
	bool accepted = r.seen || (this_one && u->outcome == OUTCOME_OK);
	enum rollover_state state = accepted ? RO_SPREADING : RO_PUBLISHING;
	char name[WORDS_SERVER];
	struct why why = { 0 };
	words_server(name, &c->f->servers[r.lacking]);
	if (accepted || !update_words(c, this_one, &why))
		words_lacking(c->f, c->p, (unsigned)r.lacking, &c->d->wanted, c->now, &why);
	/* Look before writing: the TTL of what is there now is part of the wait. */
	if (decide_due(c, c->f->looked, decide_poll_ms(c)))
		return decide_act(c, state, RA_LOOK, "%s", why.text);
	if (r.answered && (r.missing || !r.seen) && (!this_one || resend_due(c))) {
		c->d->adds = c->d->wanted;
		return decide_act(c, state, RA_UPDATE, "%s", why.text);
	}
	return decide_wait(c, state, accepted ? name : "the primary", "%s", why.text);
}

bool step_remove(struct decide *c)
{
	if (c->unwanted.num == 0)
		return false;
	struct why why = { 0 };
	char name[WORDS_SERVER] = "", record[WORDS_RECORD];
	words_record(record, &c->unwanted.items[0]);
	for (size_t s = 0; s < c->f->num_servers && name[0] == '\0'; s++) {
		if (tlsa_set_has(&c->f->servers[s].set, &c->unwanted.items[0])) {
			words_server(name, &c->f->servers[s]);
			(void)why_set(&why, EC_OK, "%s still serves serial %u with %s, which is to go", name,
			              c->f->servers[s].serial, record);
		}
	}
	const struct fact_update *u = &c->f->update;
	bool this_one = u->sent.count_ms != 0 && u->adds.num == 0 && tlsa_set_covers(&u->deletes, &c->unwanted);
	if (this_one && !resend_due(c)) {
		(void)update_words(c, this_one, &why);
		return decide_wait(c, RO_RETIRING, u->outcome == OUTCOME_OK ? name : "the primary", "%s", why.text);
	}
	/* Nothing is taken away on old news: every instance has just said what it
	 * presents, and every address was seen to present it. */
	if (decide_fresh(c, RO_RETIRING, false) || step_probe(c, RO_RETIRING))
		return true;
	c->d->deletes = c->unwanted;
	return decide_act(c, RO_RETIRING, RA_UPDATE, "%s", why.text);
}

bool step_retire(struct decide *c)
{
	if (roll_moving(c->f))
		return false;
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		if (row->silent.count_ms == 0 && (row->alias || row->same >= c->p->confirmations))
			continue;
		char name[WORDS_SERVER];
		words_server(name, row);
		if (row->silent.count_ms != 0)
			return decide_wait(c, RO_RETIRING, name, "%s gives no answer: %s", name, row->words);
		return decide_wait(c, RO_RETIRING, name, "%s has served the set without it %u of %u times in a row", name,
		                   row->same, c->p->confirmations);
	}
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		if (!generation_wanted(c->f, k->instance, k->generation))
			return decide_ask(c, RO_RETIRING, ASK_RETIRE, k->instance, k->generation);
	}
	return false;
}

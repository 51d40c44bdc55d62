/* The steps about DNS: find the zone, publish what is wanted, take away what is
 * not, and delete the generations whose records are gone. */
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/decide.h"

enum { RESEND_POLLS = 12, REFUSED_POLLS = 6 };

bool step_zone(struct decide *c, enum rollover_state state)
{
	const struct facts *f = c->f;
	if (f->zone_found.count_ms != 0 && f->num_servers > 0)
		return false;
	(void)decide_wait(c, state, "the zone", "the servers of the zone of _25._tcp.%s are not known%s%s", f->identity,
	                  f->zone_words[0] ? ": " : "", f->zone_words);
	struct stamp last = f->zone_failed.count_ms > f->zone_found.count_ms ? f->zone_failed : f->zone_found;
	if (decide_due(c, last, decide_poll_ms(c)))
		c->d->action = RA_FIND;
	else
		c->d->wake_ms = decide_poll_ms(c) - (c->now.count_ms - last.count_ms);
	return true;
}

/* Has the server proven to serve every wanted key, and did it last answer with all records? */
static bool server_agrees(const struct decide *c, unsigned server)
{
	const struct fact_server *s = &c->f->servers[server];
	enum record_form form;
	for (size_t i = 0; i < c->d->wanted.num; i++) {
		int digest = facts_digest_of(c->f, &c->d->wanted.items[i], &form);
		const struct fact_agree *row = digest < 0 ? NULL : facts_agree(c->f, server, (unsigned)digest);
		if (row == NULL || row->proof_ms == 0)
			return false;
	}
	return s->alias || tlsa_set_covers(&s->set, &c->d->wanted);
}

/* Is it a record of a key that is wanted, in a form that is not? */
static bool dropped_form(const struct decide *c, const struct tlsa *t)
{
	enum record_form form;
	int d = facts_digest_of(c->f, t, &form);
	for (size_t i = 0; d >= 0 && i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		if (memcmp(k->spki_sha256, c->f->digests[d].spki_sha256, 32) == 0 && generation_wanted(c->f, k->instance, k->generation))
			return true;
	}
	return false;
}

static bool any_dropped(const struct decide *c, struct tlsa *out)
{
	for (size_t i = 0; i < c->unwanted.num; i++) {
		*out = c->unwanted.items[i];
		if (dropped_form(c, out))
			return true;
	}
	return false;
}

struct spread {
	int lacking;      /* the first server without proof, or -1 */
	bool answered;    /* somebody answered at all */
	bool missing;     /* somebody answered without one of the wanted records */
	bool seen;        /* somebody answered with all of them: the update took effect */
	bool obstructed;  /* all serve all of it; what keeps them from agreeing is to be deleted: strangers, a former form */
};

static struct spread spread_of(const struct decide *c)
{
	struct tlsa first;
	struct spread r = { .lacking = -1, .obstructed = decide_strangers(c) || any_dropped(c, &first) };
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

/* A removal that was ordered a moment ago may still take effect (after `disable` and
 * `enable`, or forms of record changed back and forth), and then leave a part of what is
 * added now: another key's record, without that of the key presented. How long that can
 * be, in ms; 0: nothing that is wanted was ordered away lately. */
static int64_t removal_late_ms(const struct decide *c)
{
	int64_t left = 0;
	enum record_form form;
	for (size_t i = 0; i < c->d->wanted.num; i++) {
		int d = facts_digest_of(c->f, &c->d->wanted.items[i], &form);
		int64_t deleted = d < 0 ? 0 : c->f->digests[d].deleted[form].count_ms;
		if (deleted != 0 && deleted + ROLLOVER_LATE_MS - c->now.count_ms > left)
			left = deleted + ROLLOVER_LATE_MS - c->now.count_ms;
	}
	return left;
}

/* Would some server's set become larger than can be followed? */
static bool too_large(const struct decide *c)
{
	for (size_t s = 0; s < c->f->num_servers; s++) {
		struct tlsa_set all = c->f->servers[s].set;
		if (tlsa_set_union(&all, &c->d->wanted) != EC_OK)
			return true;
	}
	return false;
}

/* Is there a server without any record of ours? One that turns back to an old zone may have some
 * though the others were given none yet. */
static bool first_anywhere(const struct facts *f)
{
	for (size_t s = 0; s < f->num_servers; s++) {
		const struct fact_server *row = &f->servers[s];
		bool has = row->alias || row->answered.count_ms == 0;
		for (size_t i = 0; !has && i < row->set.num; i++)
			has = facts_ours(f, &row->set.items[i]);
		if (!has)
			return true;
	}
	return false;
}

/* Everything but `why` is as it should be to send the wanted set? From the first
 * record on senders look for a match at every address: so before it each is seen to
 * present a key that is in the set. */
static bool publish_held_back(struct decide *c, enum rollover_state state)
{
	char until[WORDS_COUNTDOWN];
	int64_t late = removal_late_ms(c);
	/* What is left of former keys may be what takes the room. */
	if (too_large(c))
		return step_remove_keys(c) ||
		       decide_wait(c, state, "", "the set would have more than %d records: too many instances, algorithms and forms",
		                   TLSA_SET_MAX);
	if (late > 0) {
		words_until(until, c->now, late);
		c->d->wake_ms = late;
		return decide_wait(c, state, "the clock", "the removal asked for a while ago may still take effect until %s: nothing is "
		                   "added before", until);
	}
	if (!first_anywhere(c->f))
		return false;
	return decide_fresh(c, state, false) || step_probe(c, state);
}

bool step_publish(struct decide *c)
{
	struct spread r = spread_of(c);
	if (r.lacking < 0 || r.obstructed)
		return false; /* step_remove is next */
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
		if (publish_held_back(c, state))
			return true;
		c->d->adds = c->d->wanted;
		return decide_act(c, state, RA_UPDATE, "%s", why.text);
	}
	return decide_wait(c, state, accepted ? name : "the primary", "%s", why.text);
}

void words_still_there(const struct decide *c, char name[WORDS_SERVER], struct why *why)
{
	char record[WORDS_RECORD];
	words_record(record, &c->unwanted.items[0]);
	for (size_t s = 0; s < c->f->num_servers; s++) {
		if (tlsa_set_has(&c->f->servers[s].set, &c->unwanted.items[0])) {
			words_server(name, &c->f->servers[s]);
			(void)why_set(why, EC_OK, "%s still serves serial %u with %s, which is to go", name, c->f->servers[s].serial,
			              record);
			return;
		}
	}
}

/* Ordered into the zone, and not known to be gone: no later removal was accepted, and some server
 * has not answered since it must have been there, if it ever was. */
static bool may_be_there(const struct facts *f, const struct fact_digest *d, enum record_form form)
{
	int64_t settled = d->added[form].count_ms + ROLLOVER_LATE_MS;
	if (d->added[form].count_ms == 0 || d->cleared[form].count_ms > settled)
		return false;
	for (size_t s = 0; s < f->num_servers; s++)
		if (!f->servers[s].alias && f->servers[s].answered.count_ms <= settled)
			return true;
	return false;
}

/* Is the key presented, or may it be? */
static bool in_use(const struct facts *f, const struct tlsa *t)
{
	enum record_form form;
	int d = facts_digest_of(f, t, &form);
	for (size_t i = 0; d >= 0 && i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		const struct fact_instance *in = &f->instances[k->instance];
		bool used = k->generation == in->active || k->generation == in->presented || may_be_presented(in, k->generation);
		if (used && memcmp(k->spki_sha256, f->digests[d].spki_sha256, 32) == 0)
			return true;
	}
	return false;
}

/* Off: all that could be there, though nobody has seen or ordered it that we know of: an old journal was
 * restored, a server lags. */
static bool could_be_there(const struct facts *f, const struct fact_digest *d, enum record_form form)
{
	bool reported = false;
	for (size_t i = 0; i < f->num_keys; i++)
		reported = reported || memcmp(f->keys[i].spki_sha256, d->spki_sha256, 32) == 0;
	return f->off.asked.count_ms != 0 && reported && d->cleared[form].count_ms < f->off.asked.count_ms;
}

bool removal_fill(struct decide *c, bool spare_used)
{
	struct tlsa t;
	bool dropping = any_dropped(c, &t);
	c->d->deletes = (struct tlsa_set){ 0 };
	for (size_t i = 0; i < c->unwanted.num; i++)
		if (!spare_used || !in_use(c->f, &c->unwanted.items[i]))
			(void)!tlsa_set_add(&c->d->deletes, &c->unwanted.items[i]);
	for (size_t i = 0; i < c->f->num_digests; i++) {
		const struct fact_digest *d = &c->f->digests[i];
		for (enum record_form form = 0; form < FORM_NUM; form++) {
			if (!(may_be_there(c->f, d, form) || could_be_there(c->f, d, form)) ||
			    !facts_record(d->spki_sha256, d->spki_sha512, form, &t) || !facts_ours(c->f, &t) ||
			    tlsa_set_has(&c->d->wanted, &t) || (spare_used && in_use(c->f, &t)))
				continue;
			/* a form goes of all keys, when its time has come */
			if (c->f->off.asked.count_ms == 0 && !dropping && dropped_form(c, &t))
				continue;
			if (tlsa_set_add(&c->d->deletes, &t) != EC_OK)
				return false;
		}
	}
	return !c->more;
}

bool removal_due(const struct decide *c, struct why *why)
{
	const struct fact_update *u = &c->f->update;
	bool removal = u->sent.count_ms != 0 && u->adds.num == 0;
	bool this_one = removal && tlsa_set_covers(&u->deletes, &c->unwanted);
	if (removal && !this_one && c->f->looked.count_ms <= u->sent.count_ms)
		return false; /* a part of them went, or others: what is left is known from a look */
	if (!this_one || resend_due(c))
		return true;
	(void)update_words(c, this_one, why);
	return false;
}

/* ---- forms of record ---- */

/* RFC 7671 8.3: another form is first published for every key, and seen everywhere… */
bool step_forms(struct decide *c)
{
	struct tlsa first;
	if (c->f->forms.forms == forms_wanted(c->f, c->p) || (c->f->forms.forms == 0 && !any_dropped(c, &first)))
		return false;
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		char name[WORDS_SERVER];
		if (row->alias || (row->same >= c->p->confirmations && row->silent.count_ms == 0))
			continue;
		words_server(name, row);
		if (decide_due(c, c->f->looked, decide_poll_ms(c)))
			return decide_act(c, RO_SPREADING, RA_LOOK, "looking once more at every server");
		return decide_wait(c, RO_SPREADING, name, "%s has served the same set %u of %u times in a row%s%s", name, row->same,
		                   c->p->confirmations, row->words[0] ? ": " : "", row->words);
	}
	return decide_mark(c, RO_SPREADING, RM_FORMS);
}

/* …and the former one goes, of all keys at once, when no cache can hold a set without
 * the new one. A record of somebody else's in the former form would be left alone. */
static bool forms_wait(struct decide *c)
{
	struct tlsa first;
	if (!any_dropped(c, &first))
		return false;
	char until[WORDS_COUNTDOWN], record[WORDS_RECORD], name[WORDS_SERVER];
	for (size_t s = 0; s < c->f->num_servers; s++) {
		const struct tlsa_set *set = &c->f->servers[s].set;
		for (size_t i = 0; i < set->num; i++) {
			const struct tlsa *t = &set->items[i];
			if (tlsa_set_has(&c->unwanted, t) || t->usage != first.usage || t->selector != first.selector ||
			    t->matching != first.matching || facts_ours(c->f, t))
				continue;
			words_server(name, &c->f->servers[s]);
			words_record(record, t);
			return decide_wait(c, RO_RETIRING, name,
			                   "%s serves %s, which is not ours: our records of that kind can't go before it does; remove it, or "
			                   "set own_rrset", name, record);
		}
	}
	int64_t end = c->f->forms.since.count_ms + (2 * (int64_t)age_ttl_s(c->f, c->p) + c->p->cache_margin_s) * 1000;
	int64_t unaware = age_unaware_ms(c->f);
	if (unaware > end)
		end = unaware;
	if (end <= c->now.count_ms)
		return false;
	words_until(until, c->now, end - c->now.count_ms);
	c->d->at.s = c->now.wall.s + (end - c->now.count_ms + 999) / 1000;
	c->d->wake_ms = end - c->now.count_ms;
	return decide_wait(c, RO_AGEING, "the clock",
	                   "every key has its record in the new form; caches may hold a set without it until %s, then the %u %u %u "
	                   "records go", until, first.usage, first.selector, first.matching);
}

bool step_remove_keys(struct decide *c)
{
	struct tlsa_set all = c->unwanted;
	for (size_t i = 0; i < all.num; i++)
		if (!facts_ours(c->f, &all.items[i]) || dropped_form(c, &all.items[i]))
			(void)tlsa_set_remove(&c->unwanted, &all.items[i]);
	bool ended = step_remove(c);
	c->unwanted = all;
	return ended;
}

bool step_remove(struct decide *c)
{
	if (c->unwanted.num == 0)
		return false;
	if (forms_wait(c))
		return true;
	struct why why = { 0 };
	char name[WORDS_SERVER] = "";
	words_still_there(c, name, &why);
	if (!removal_due(c, &why))
		return decide_wait(c, RO_RETIRING, c->f->update.outcome == OUTCOME_OK ? name : "the primary", "%s", why.text);
	/* Nothing is taken away on old news: every instance has just said what it presents, every address
	 * was seen to present it, and every server has shown what it has, unless it is an emergency. */
	bool emergency = roll_running(c->f) && c->f->roll.emergency;
	if (decide_fresh(c, RO_RETIRING, !emergency) || step_probe(c, RO_RETIRING))
		return true;
	(void)removal_fill(c, false);
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

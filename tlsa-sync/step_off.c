/* DANE is switched off: all records of ours go at once, and then every cache is
 * waited for. The keys go on being presented meanwhile, so neither reports nor probes
 * are needed: a set that is empty asks nothing of a key. */
#include <stdio.h>

#include "tlsa-sync/decide.h"

static bool off_wait(struct decide *c, const char *waiting_for, const struct why *why)
{
	return decide_wait(c, RO_WITHDRAWING, waiting_for, "%s", why->text);
}

/* Somebody's record that would be left alone in the set: senders would look for a match
 * of it, and find none. */
static bool off_stranger(struct decide *c)
{
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		for (size_t i = 0; i < row->set.num; i++) {
			const struct tlsa *t = &row->set.items[i];
			char name[WORDS_SERVER], record[WORDS_RECORD];
			if (tlsa_set_has(&c->unwanted, t) || !tlsa_usable(t, NULL))
				continue;
			words_server(name, row);
			words_record(record, t);
			return decide_wait(c, RO_WITHDRAWING, name,
			                   "%s serves %s, which is not ours: without our records senders would find no match; remove it, "
			                   "or set own_rrset", name, record);
		}
	}
	return false;
}

/* What is in the zone, and which keys there are, must not be known from old news alone: an old journal may be
 * all that there is. All servers have just answered, or one and all instances. */
static bool off_old_news(struct decide *c)
{
	char name[WORDS_SERVER] = "";
	bool any = false;
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		if (row->silent.count_ms != 0 || decide_due(c, row->answered, rollover_fresh_ms(c->p)))
			words_server(name, row);
		else
			any = any || !row->alias;
	}
	for (size_t i = 0; any && name[0] != '\0' && i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->failed.count_ms != 0 || decide_due(c, in->heard, rollover_fresh_ms(c->p)))
			return decide_wait(c, RO_WITHDRAWING, in->name, "%s gives no answer, and neither does %s: which records may be "
			                   "there is known from one of them", name, in->name);
	}
	return !any && decide_wait(c, RO_WITHDRAWING, name, "no server answers: %s: %s", name,
	                           c->f->num_servers > 0 ? c->f->servers[0].words : "");
}

/* The record of a key that was swapped to as soon as it was made, in an emergency: an update older than the key may still
 * put those of former keys into the zone, and must not find it empty. */
static bool off_unaware(struct decide *c)
{
	int64_t left = age_unaware_ms(c->f) - c->now.count_ms;
	char until[WORDS_COUNTDOWN];
	if (left <= 0)
		return false;
	words_until(until, c->now, left);
	c->d->at.s = c->now.wall.s + (left + 999) / 1000;
	c->d->wake_ms = left;
	return decide_wait(c, RO_WITHDRAWING, "the clock", "an update sent before the present key was made may still take effect until %s: "
	                   "its record stays that long", until);
}

static bool off_remove(struct decide *c)
{
	struct why why = { 0 };
	char name[WORDS_SERVER] = "the primary";
	if (c->unwanted.num == 0)
		return false;
	if (c->f->off.gone.count_ms != 0)
		return decide_mark(c, RO_WITHDRAWING, RM_BACK);
	words_still_there(c, name, &why);
	if (decide_due(c, c->f->looked, decide_poll_ms(c)))
		return decide_act(c, RO_WITHDRAWING, RA_LOOK, "%s", why.text);
	if (off_old_news(c) || off_stranger(c) || off_unaware(c))
		return true;
	if (!removal_due(c, &why))
		return off_wait(c, name, &why);
	/* More than one update can remove: then those of the keys in use go last, with all that is left. */
	if (!removal_fill(c, false))
		(void)removal_fill(c, true);
	return decide_act(c, RO_WITHDRAWING, RA_UPDATE, "%s", why.text);
}

/* Every server has answered without them, often enough in a row. */
static bool off_seen(struct decide *c)
{
	for (unsigned s = 0; s < c->f->num_servers; s++) {
		const struct fact_server *row = &c->f->servers[s];
		struct why why = { 0 };
		char name[WORDS_SERVER], since[WALL_TEXT_SIZE];
		bool often = row->alias || row->same >= c->p->confirmations || row->validity == VALIDITY_INSECURE;
		if (row->answered.count_ms > c->f->off.asked.count_ms && row->silent.count_ms == 0 && often)
			continue;
		words_server(name, row);
		wall_print(since, row->silent.wall);
		if (row->silent.count_ms != 0)
			(void)why_set(&why, EC_OK, "%s gives no answer since %s: %s", name, since, row->words);
		else
			(void)why_set(&why, EC_OK, "%s has answered without our records %u of %u times in a row%s%s", name, row->same,
			              c->p->confirmations, row->words[0] ? ": " : "", row->words);
		if (decide_due(c, c->f->looked, decide_poll_ms(c)))
			return decide_act(c, RO_WITHDRAWING, RA_LOOK, "%s", why.text);
		return off_wait(c, name, &why);
	}
	return false;
}

/* When the last cache has forgotten them, on the counted clock. The same rule as for
 * age (age.h): two TTLs from the moment the last server had dropped them, and one for
 * a time in which nobody watched. */
static int64_t off_until_ms(const struct decide *c)
{
	const struct fact_off *off = &c->f->off;
	int64_t ttl_ms = (int64_t)age_ttl_s(c->f, c->p) * 1000, margin_ms = c->p->cache_margin_s * 1000;
	int64_t until = off->gone.count_ms + 2 * ttl_ms + margin_ms;
	if (off->gone.count_ms + c->p->floor_s * 1000 > until)
		until = off->gone.count_ms + c->p->floor_s * 1000;
	if (off->watched.count_ms + ttl_ms + margin_ms > until)
		until = off->watched.count_ms + ttl_ms + margin_ms;
	for (size_t i = 0; i < c->f->num_digests; i++) {
		const struct fact_digest *d = &c->f->digests[i];
		int64_t by_wall = c->now.count_ms + (d->signed_until.s - c->now.wall.s) * 1000;
		for (size_t form = 0; form < FORM_NUM; form++) /* an update that is late would bring it back */
			if (d->added[form].count_ms != 0 && d->added[form].count_ms + ROLLOVER_LATE_MS > until)
				until = d->added[form].count_ms + ROLLOVER_LATE_MS;
		if (c->p->wait != WAIT_SIGNATURES || d->signed_until.s == 0)
			continue;
		if (by_wall > until)
			until = by_wall;
		if (d->signed_count_ms > until)
			until = d->signed_count_ms;
	}
	return until;
}

static bool off_caches(struct decide *c)
{
	const struct facts *f = c->f;
	if (f->off.gone.count_ms == 0)
		return decide_mark(c, RO_WITHDRAWING, RM_GONE);
	struct stamp last = f->looked.count_ms > f->off.watched.count_ms ? f->looked : f->off.watched;
	if (decide_due(c, last, rollover_gap_ms(c->p)))
		return decide_mark(c, RO_WITHDRAWING, RM_WATCHED);
	int64_t left = off_until_ms(c) - c->now.count_ms;
	char until[WORDS_COUNTDOWN];
	if (left > 0) {
		words_until(until, c->now, left);
		c->d->at.s = c->now.wall.s + (left + 999) / 1000;
		c->d->wake_ms = left;
		return decide_wait(c, RO_WITHDRAWING, "the clock",
		                   "no server has our records any more; caches may hold them until %s: keep the present keys until then",
		                   until);
	}
	/* A server that joined meanwhile must have been met, and all asked once more. */
	if (f->zone_found.count_ms <= f->off.gone.count_ms) {
		(void)decide_wait(c, RO_WITHDRAWING, "the zone", "finding the servers of the zone once more%s%s",
		                  f->zone_words[0] ? ": " : "", f->zone_words);
		if (decide_due(c, f->zone_failed, decide_poll_ms(c)))
			c->d->action = RA_FIND;
		return true;
	}
	if (f->looked.count_ms <= f->zone_found.count_ms || decide_due(c, f->looked, rollover_gap_ms(c->p)))
		return decide_act(c, RO_WITHDRAWING, RA_LOOK, "looking once more at every server");
	return decide_mark(c, RO_WITHDRAWING, RM_OFF);
}

bool step_off(struct decide *c)
{
	if (c->f->off.asked.count_ms == 0)
		return false;
	if (step_zone(c, RO_WITHDRAWING) || off_remove(c))
		return true;
	if (c->f->off.done.count_ms == 0)
		return off_seen(c) || off_caches(c);
	char since[WALL_TEXT_SIZE];
	wall_print(since, c->f->off.done.wall);
	return decide_wait(c, RO_DISABLED, "", "DANE is off since %s: no cache holds a record of ours, so keys may be changed; "
	                   "`enable` publishes them again", since);
}

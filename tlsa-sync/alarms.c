/* What a person should look at, whatever the state. Nothing is decided here. */
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/decide.h"

enum { LIFE_PART = 6 }; /* of a certificate: what is left when it should have been renewed long ago */

void decide_alarm(struct decide *c, const char *format, ...)
{
	if (c->d->num_alarms == ROLLOVER_ALARMS)
		return;
	char text[WHY_SIZE];
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	words_keep(c->d->alarms[c->d->num_alarms], sizeof c->d->alarms[0], text);
	for (size_t i = 0; i < c->d->num_alarms; i++)
		if (strcmp(c->d->alarms[i], c->d->alarms[c->d->num_alarms]) == 0)
			return; /* said already */
	c->d->num_alarms++;
}

static void alarms_of_set(struct decide *c, const struct fact_server *s)
{
	char record[WORDS_RECORD];
	for (size_t i = 0; i < s->set.num; i++) {
		const struct tlsa *t = &s->set.items[i];
		if (facts_ours(c->f, t))
			continue;
		struct why why = { 0 };
		words_record(record, t);
		if (tlsa_usable(t, &why))
			decide_alarm(c, "a record we did not make is published: %s%s%s", record,
			             words_in_the_way(c->f, &c->d->wanted, t) ? "; " : "",
			             words_in_the_way(c->f, &c->d->wanted, t) ? words_foreign(c->f, t) : "");
		else
			decide_alarm(c, "a record we did not make is published: %s; and no client can use it: %s", record,
			          why.text);
	}
}

static void alarms_of_server(struct decide *c, const struct fact_server *s)
{
	char name[WORDS_SERVER], until[WALL_TEXT_SIZE];
	words_server(name, s);
	if (s->silent.count_ms != 0) {
		wall_print(until, s->silent.wall);
		decide_alarm(c, "%s gives no answer since %s: %s", name, until, s->words);
	}
	if (s->answered.count_ms == 0)
		return;
	if (s->validity == VALIDITY_INSECURE)
		decide_alarm(c, "%s: the zone is not securely signed: senders do not see these records", name);
	if (s->validity == VALIDITY_BOGUS)
		decide_alarm(c, "%s: the answer does not validate, senders defer mail: %s", name, s->words);
	alarms_of_set(c, s);
}

/* The certificates presented. DANE-EE ignores dates, yet some large senders do not (RFC 7671
 * 5.1). Whoever renews them begins when a third of the life is left. */
static void alarms_of_keys(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		const struct fact_instance *in = &c->f->instances[k->instance];
		char until[WALL_TEXT_SIZE];
		if (k->generation != in->presented || !k->certified)
			continue;
		wall_print(until, k->not_before.s > c->now.wall.s ? k->not_before : k->not_after);
		const char *name = key_algorithm_name(k->algorithm);
		if (k->not_before.s > c->now.wall.s)
			decide_alarm(c, "%s presents an %s certificate that is not valid before %s", in->name, name, until);
		else if (k->not_after.s <= c->now.wall.s)
			decide_alarm(c, "%s presents an %s certificate that expired at %s", in->name, name, until);
		else if (k->not_after.s - c->now.wall.s < (k->not_after.s - k->not_before.s) / LIFE_PART)
			decide_alarm(c, "%s presents an %s certificate that expires at %s and has not been renewed", in->name, name,
			             until);
	}
}

static void alarms_of_issuer(struct decide *c)
{
	struct why why = { 0 };
	const struct fact_issue *i = &c->f->issue;
	if (certify_trouble(c->f, c->p, c->now, &why))
		decide_alarm(c, "no new certificate for generation %llu of %s, %s: %s", (unsigned long long)i->generation,
		             c->f->instances[i->instance].name, key_algorithm_name(i->algorithm), why.text);
}

/* What an emergency could not undo at once. */
static void alarms_of_emergency(struct decide *c)
{
	const struct fact_roll *r = &c->f->roll;
	int64_t trusted_s = (int64_t)age_ttl_s(c->f, c->p) + c->p->cache_margin_s;
	char until[WALL_TEXT_SIZE];
	if (!r->emergency || r->ended.count_ms == 0 || r->end != ROLL_DONE ||
	    c->now.count_ms >= r->ended.count_ms + trusted_s * 1000)
		return;
	wall_print(until, (struct wall){ r->ended.wall.s + trusted_s });
	decide_alarm(c, "caches may go on trusting the key given up in the emergency until %s", until);
}

void decide_alarms(struct decide *c)
{
	alarms_of_emergency(c);
	for (size_t i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->failed.count_ms != 0)
			decide_alarm(c, "%s does not answer: %s", in->name, in->words);
		else if (in->heard.count_ms != 0 && in->presented != in->active)
			decide_alarm(c, "%s presents generation %llu, not its active one, %llu%s%s", in->name,
			          (unsigned long long)in->presented, (unsigned long long)in->active,
			          in->words[0] ? ": " : "", in->words);
	}
	alarms_of_keys(c);
	alarms_of_issuer(c);
	if (c->f->zone_failed.count_ms != 0)
		decide_alarm(c, "the list of servers can't be refreshed: %s", c->f->zone_words);
	decide_alarms_dns(c);
	for (size_t i = 0; i < c->f->num_servers; i++)
		alarms_of_server(c, &c->f->servers[i]);
}

/* What a person should look at, whatever the state. Nothing is decided here. */
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/decide.h"

static void alarm_add(struct decide *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void alarm_add(struct decide *c, const char *format, ...)
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
		struct why why = { 0 };
		const struct tlsa *t = &s->set.items[i];
		if (facts_ours(c->f, t))
			continue;
		words_record(record, t);
		if (tlsa_usable(t, &why))
			alarm_add(c, "a record we did not make is published: %s", record);
		else
			alarm_add(c, "a record we did not make is published: %s; and no client can use it: %s", record,
			          why.text);
	}
}

static void alarms_of_server(struct decide *c, const struct fact_server *s)
{
	char name[WORDS_SERVER], until[WALL_TEXT_SIZE];
	words_server(name, s);
	if (s->silent.count_ms != 0) {
		wall_print(until, s->silent.wall);
		alarm_add(c, "%s gives no answer since %s: %s", name, until, s->words);
	}
	if (s->answered.count_ms == 0)
		return;
	if (s->validity == VALIDITY_INSECURE)
		alarm_add(c, "%s: the zone is not securely signed: senders do not see these records", name);
	if (s->validity == VALIDITY_BOGUS)
		alarm_add(c, "%s: the answer does not validate, senders defer mail: %s", name, s->words);
	if (s->signature_expires.s != 0 && s->signature_expires.s - c->now.wall.s < 2 * (int64_t)s->ttl_s) {
		wall_print(until, s->signature_expires);
		alarm_add(c, "%s: the signature runs out at %s, less than two TTLs ahead", name, until);
	}
	alarms_of_set(c, s);
}

static void alarms_of_keys(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		const struct fact_instance *in = &c->f->instances[k->instance];
		char until[WALL_TEXT_SIZE];
		wall_print(until, k->not_after);
		/* DANE-EE ignores dates, yet some large senders do not (RFC 7671 5.1). */
		if (k->generation == in->presented && k->certified && k->not_after.s <= c->now.wall.s)
			alarm_add(c, "%s presents a certificate that expired at %s", in->name, until);
	}
}

void decide_alarms(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->failed.count_ms != 0)
			alarm_add(c, "%s does not answer: %s", in->name, in->words);
		else if (in->heard.count_ms != 0 && in->presented != in->active)
			alarm_add(c, "%s presents generation %llu, not its active one, %llu%s%s", in->name,
			          (unsigned long long)in->presented, (unsigned long long)in->active,
			          in->words[0] ? ": " : "", in->words);
	}
	alarms_of_keys(c);
	if (c->f->zone_failed.count_ms != 0)
		alarm_add(c, "the list of servers can't be refreshed: %s", c->f->zone_words);
	for (size_t i = 0; i < c->f->num_servers; i++)
		alarms_of_server(c, &c->f->servers[i]);
}

/* What in DNS a person should look at: chain of trust, signatures, how far secondaries may
 * lag, records that are not where they should be. Nothing is decided here. */
#include <string.h>

#include "tlsa-sync/decide.h"
#include "tlsa-sync/sender.h"

/* Signers renew with a good part of a signature's life to go; one that has let it come
 * to this has stopped. */
enum { LIFE_PART = 20 };

static void alarms_of_zones(struct decide *c)
{
	for (size_t i = 0; i < c->f->num_zones; i++) {
		const struct fact_zone *z = &c->f->zones[i];
		if (z->ds == DS_MISSING)
			decide_alarm(c, "%.200s has no DS at its parent: DNSSEC is off for it, and DANE with it; senders see no records",
			             z->apex);
		else if (z->ds == DS_ABOVE)
			decide_alarm(c, "a zone above %.200s is not securely signed: DANE is off, senders see no records", z->apex);
		else if (z->ds == DS_BOGUS)
			decide_alarm(c, "the DS of %.200s does not validate: senders defer mail", z->apex);
	}
}

static void alarm_of_end(struct decide *c, const struct fact_server *s, const char *over, struct wall end)
{
	char name[WORDS_SERVER], until[WALL_TEXT_SIZE];
	int64_t least = 2 * (int64_t)s->ttl_s, part = s->upkeep.signed_s / LIFE_PART;
	if (end.s == 0 || end.s - c->now.wall.s >= (least > part ? least : part))
		return;
	words_server(name, s);
	wall_print(until, end);
	decide_alarm(c, "%s: the signature over %s runs out at %s, and nobody has renewed it", name, over, until);
}

static void alarms_of_signatures(struct decide *c, const struct fact_server *s)
{
	const struct fact_upkeep *u = &s->upkeep;
	char name[WORDS_SERVER], expire[DURATION_TEXT_SIZE], life[DURATION_TEXT_SIZE];
	alarm_of_end(c, s, s->set.num > 0 ? "TLSA" : s->alias ? "CNAME" : "the denial", s->signature_expires);
	alarm_of_end(c, s, "DNSKEY", u->keys_signed_until);
	if (u->keys_asked && !u->keys_there) {
		words_server(name, s);
		decide_alarm(c, "%s serves no DNSKEY: the zone is not signed there", name);
	}
	if (u->signed_s != 0 && u->expire_s > u->signed_s) {
		duration_print(expire, u->expire_s);
		duration_print(life, u->signed_s);
		decide_alarm(c, "the SOA's expire of %s is longer than signatures last, %s: a secondary that is cut off goes on with"
		             " expired ones, and senders defer mail (RFC 6781 4.4.1)", expire, life);
	}
}

/* Every address is asked, yet more than one server may stand behind it. One of those that
 * missed a NOTIFY catches up after `refresh`. RFC 7671 11. */
static void alarm_of_refresh(struct decide *c, const struct fact_server *s)
{
	char refresh[DURATION_TEXT_SIZE], waits[DURATION_TEXT_SIZE];
	int64_t wait_s = 2 * (int64_t)age_ttl_s(c->f, c->p) + c->p->cache_margin_s;
	if (c->p->floor_s > wait_s)
		wait_s = c->p->floor_s;
	if (facts_ttl_max(c->f) == 0 || s->upkeep.refresh_s <= wait_s)
		return;
	duration_print(refresh, s->upkeep.refresh_s);
	duration_print(waits, wait_s);
	decide_alarm(c, "the SOA's refresh of %s is longer than the wait of %s: a secondary that misses a NOTIFY, behind an address that"
	             " others answer at, would lag further; lower it, or set floor", refresh, waits);
}

/* Would a sender that asks this server trust each key that is presented? */
static void alarms_of_senders(struct decide *c, const struct fact_server *s)
{
	char name[WORDS_SERVER];
	for (size_t i = 0; i < c->f->num_keys; i++) {
		const struct fact_key *k = &c->f->keys[i];
		const struct fact_instance *in = &c->f->instances[k->instance];
		if (k->generation != in->presented || sender_sees(&s->set, s->validity, k, NULL) != SENDER_MISMATCH)
			continue;
		words_server(name, s);
		decide_alarm(c, "%s serves no record of the %s key that %s presents: senders that ask it defer mail", name,
		             key_algorithm_name(k->algorithm), in->name);
	}
}

/* A record of ours that was ordered long ago and is not there: taken out by somebody, or
 * the server lags behind. While records are being published that is no news. */
static void alarms_of_drift(struct decide *c, const struct fact_server *s)
{
	for (size_t i = 0; i < c->d->wanted.num; i++) {
		const struct tlsa *t = &c->d->wanted.items[i];
		char name[WORDS_SERVER], record[WORDS_RECORD], since[WALL_TEXT_SIZE];
		enum record_form form = FORM_311;
		int d = facts_digest_of(c->f, t, &form);
		struct stamp added = d < 0 ? (struct stamp){ 0 } : c->f->digests[d].added[form];
		if (tlsa_set_has(&s->set, t) || added.count_ms == 0 || !decide_due(c, added, rollover_gap_ms(c->p)))
			continue;
		words_server(name, s);
		words_record(record, t);
		wall_print(since, added.wall);
		decide_alarm(c, "%s does not serve %s, which was published at %s", name, record, since);
	}
}

void decide_alarms_dns(struct decide *c)
{
	alarms_of_zones(c);
	for (size_t i = 0; i < c->f->num_servers; i++) {
		const struct fact_server *s = &c->f->servers[i];
		if (s->answered.count_ms == 0 || s->silent.count_ms != 0)
			continue;
		if (!s->alias && s->validity == VALIDITY_SECURE) {
			alarms_of_senders(c, s);
			alarms_of_drift(c, s);
		}
		alarms_of_signatures(c, s);
		alarm_of_refresh(c, s);
	}
}

#include "tlsa-sync/words.h"

#include <stdio.h>
#include <string.h>

void words_keep(char *out, size_t size, const char *in)
{
	(void)snprintf(out, size, "%s", in);
}

void words_server(char out[WORDS_SERVER], const struct fact_server *s)
{
	(void)snprintf(out, WORDS_SERVER, "%s (%s)", s->name, s->address);
}

void words_record(char out[WORDS_RECORD], const struct tlsa *t)
{
	char hex[9];
	hex_encode(hex, slice_of(t->data, 4));
	(void)snprintf(out, WORDS_RECORD, "%u %u %u %s...", t->usage, t->selector, t->matching, hex);
}

void words_until(char out[WORDS_COUNTDOWN], struct stamp now, int64_t left_ms)
{
	int64_t left_s = (left_ms + 999) / 1000;
	char at[WALL_TEXT_SIZE], today[WALL_TEXT_SIZE], left[DURATION_TEXT_SIZE];
	wall_print(at, (struct wall){ now.wall.s + left_s });
	wall_print(today, now.wall);
	duration_print(left, left_s);
	/* "2026-11-21T14:05:00Z": the date is told only when it is another one */
	const char *t = strlen(at) == 20 && strncmp(at, today, 10) == 0 ? at + 11 : at;
	(void)snprintf(out, WORDS_COUNTDOWN, "%s (in %s)", t, left);
}

void words_age(const struct facts *f, const struct policy *p, const struct age *age, struct stamp now,
               struct why *out)
{
	char until[WORDS_COUNTDOWN], server[WORDS_SERVER] = "a server";
	words_until(until, now, age->left_ms);
	if (age->server >= 0)
		words_server(server, &f->servers[age->server]);
	char margin[DURATION_TEXT_SIZE], floor[DURATION_TEXT_SIZE];
	duration_print(margin, p->cache_margin_s);
	duration_print(floor, p->floor_s);
	switch (age->reason) {
	case AGE_OLD:
		(void)why_set(out, EC_OK, "no cache can hold a set without it");
		break;
	case AGE_NO_PROOF:
		(void)why_set(out, EC_OK, "%s has not served it %u times in a row", server, p->confirmations);
		break;
	case AGE_TTL:
		(void)why_set(out, EC_OK, "caches may hold the old set until %s: 2 x %u s%s%s", until, age->ttl_s,
		              p->cache_margin_s > 0 ? " + " : "", p->cache_margin_s > 0 ? margin : "");
		break;
	case AGE_FLOOR:
		(void)why_set(out, EC_OK, "the configured floor of %s ends at %s", floor, until);
		break;
	case AGE_SIGNATURES:
		(void)why_set(out, EC_OK, "a signature over the old set is valid until %s", until);
		break;
	case AGE_UNWATCHED:
		(void)why_set(out, EC_OK, "nobody watched %s for a while: one TTL more, until %s", server, until);
		break;
	}
}

static bool foreign_in_the_way(const struct facts *f, const struct tlsa_set *set, struct tlsa *out)
{
	for (size_t i = 0; i < set->num; i++) {
		const struct tlsa *t = &set->items[i];
		bool our_kind = t->usage == TLSA_DANE_EE && t->selector == TLSA_SPKI && t->matching == TLSA_SHA256;
		if (!our_kind && !facts_ours(f, t) && tlsa_usable(t, NULL)) {
			*out = *t;
			return true;
		}
	}
	return false;
}

static const char *silence_since(char out[WALL_TEXT_SIZE], const struct fact_server *s)
{
	wall_print(out, s->silent.wall);
	return out;
}

static unsigned least_count(const struct facts *f, unsigned server, const struct tlsa_set *wanted)
{
	unsigned least = UINT32_MAX;
	for (size_t i = 0; i < wanted->num; i++) {
		int d = facts_digest(f, wanted->items[i].data);
		const struct fact_agree *row = d < 0 ? NULL : facts_agree(f, server, (unsigned)d);
		unsigned count = row == NULL ? 0 : row->count;
		if (count < least)
			least = count;
	}
	return least == UINT32_MAX ? 0 : least;
}

void words_lacking(const struct facts *f, const struct policy *p, unsigned server, const struct tlsa_set *wanted,
                   struct stamp now, struct why *out)
{
	(void)now;
	const struct fact_server *s = &f->servers[server];
	char name[WORDS_SERVER], record[WORDS_RECORD], since[WALL_TEXT_SIZE];
	words_server(name, s);
	struct tlsa foreign;
	if (s->silent.count_ms != 0) {
		(void)why_set(out, EC_OK, "%s gives no answer since %s: %s", name, silence_since(since, s), s->words);
		return;
	}
	if (s->answered.count_ms == 0) {
		(void)why_set(out, EC_OK, "%s has not been asked yet", name);
		return;
	}
	for (size_t i = 0; i < wanted->num; i++) {
		if (!s->alias && !tlsa_set_has(&s->set, &wanted->items[i])) {
			words_record(record, &wanted->items[i]);
			(void)why_set(out, EC_OK, "%s still serves serial %u without %s", name, s->serial, record);
			return;
		}
	}
	if (s->validity != VALIDITY_SECURE) {
		(void)why_set(out, EC_OK, "%s serves serial %u, but %s%s%s", name, s->serial,
		              s->validity == VALIDITY_INSECURE ? "the zone is not securely signed"
		              : s->validity == VALIDITY_BOGUS  ? "the signature does not validate"
		                                               : "it is not known whether it is validly signed",
		              s->words[0] ? ": " : "", s->words);
	} else if (foreign_in_the_way(f, &s->set, &foreign)) {
		words_record(record, &foreign);
		(void)why_set(out, EC_OK,
		              "%s serves %s, which is not ours and may not match the next key: remove it, or set own_rrset",
		              name, record);
	} else {
		(void)why_set(out, EC_OK, "%s has served all of it %u of %u times in a row", name,
		              least_count(f, server, wanted), p->confirmations);
	}
}

#include "tlsa-sync/words.h"

#include <stdio.h>
#include <string.h>

void words_keep(char *out, size_t size, const char *in)
{
	size_t len = strnlen(in, size - 1);
	memcpy(out, in, len);
	out[len] = '\0';
}

void words_server(char out[WORDS_SERVER], const struct fact_server *s)
{
	size_t name = strnlen(s->name, sizeof s->name - 1), address = strnlen(s->address, sizeof s->address - 1);
	memcpy(out, s->name, name);
	memcpy(out + name, " (", 2);
	memcpy(out + name + 2, s->address, address);
	memcpy(out + name + 2 + address, ")", 2);
}

void words_record(char out[WORDS_RECORD], const struct tlsa *t)
{
	char hex[9];
	hex_encode(hex, slice_of(t->data, 4));
	(void)snprintf(out, WORDS_RECORD, "%u %u %u %s...", t->usage, t->selector, t->matching, hex);
}

void words_left(char out[WORDS_LEFT], int64_t seconds)
{
	static const struct {
		int64_t from, unit;
		const char *words;
	} units[] = { { 2 * 86400, 86400, " days" }, { 2 * 3600, 3600, " hours" }, { 120, 60, " minutes" }, { INT64_MIN, 1, " s" } };
	size_t i = 0;
	while (seconds < units[i].from)
		i++;
	(void)snprintf(out, WORDS_LEFT, "%lld%s", (long long)((seconds + units[i].unit - 1) / units[i].unit), units[i].words);
}

void words_until(char out[WORDS_COUNTDOWN], struct stamp now, int64_t left_ms)
{
	int64_t left_s = (left_ms + 999) / 1000;
	char at[WALL_TEXT_SIZE], today[WALL_TEXT_SIZE], left[WORDS_LEFT];
	wall_print(at, (struct wall){ now.wall.s + left_s });
	wall_print(today, now.wall);
	words_left(left, left_s);
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
	case AGE_LATE:
		(void)why_set(out, EC_OK, "an update sent a while ago may still take effect until %s", until);
		break;
	case AGE_UNWATCHED:
		(void)why_set(out, EC_OK, "nobody watched %s for a while: one TTL more, until %s", server, until);
		break;
	}
}

bool words_in_the_way(const struct facts *f, const struct tlsa_set *wanted, const struct tlsa *t)
{
	if (facts_ours(f, t) || !tlsa_usable(t, NULL))
		return false;
	for (size_t i = 0; i < wanted->num; i++) {
		const struct tlsa *w = &wanted->items[i];
		if (w->usage == t->usage && w->selector == t->selector && w->matching == t->matching)
			return false; /* of a kind of which every key of ours has its own */
	}
	return true;
}

static const struct tlsa *first_in_the_way(const struct facts *f, const struct tlsa_set *wanted, const struct tlsa_set *set)
{
	for (size_t i = 0; i < set->num; i++)
		if (words_in_the_way(f, wanted, &set->items[i]))
			return &set->items[i];
	return NULL;
}

/* The digest of what a key presents that a record of this kind would hold; empty when it
 * was not reported. Of the chain only the first issuer is known here. */
static struct slice digest_for(const struct fact_key *k, const struct tlsa *t)
{
	switch (t->usage << 16 | t->selector << 8 | t->matching) {
	case TLSA_DANE_EE << 16 | TLSA_SPKI << 8 | TLSA_SHA256:
		return slice_of(k->spki_sha256, 32);
	case TLSA_DANE_EE << 16 | TLSA_SPKI << 8 | TLSA_SHA512:
		return slice_of(k->spki_sha512, 64);
	case TLSA_DANE_EE << 16 | TLSA_CERT << 8 | TLSA_SHA256:
		return slice_of(k->cert_sha256, 32);
	case TLSA_DANE_EE << 16 | TLSA_CERT << 8 | TLSA_SHA512:
		return slice_of(k->cert_sha512, 64);
	case TLSA_DANE_TA << 16 | TLSA_SPKI << 8 | TLSA_SHA256:
		return slice_of(k->issuer_spki_sha256, 32);
	case TLSA_DANE_TA << 16 | TLSA_CERT << 8 | TLSA_SHA256:
		return slice_of(k->issuer_cert_sha256, 32);
	default:
		return (struct slice){ 0 };
	}
}

const char *words_foreign(const struct facts *f, const struct tlsa *t)
{
	bool some = false, all = true;
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (k->generation != f->instances[k->instance].presented)
			continue;
		bool fits = slice_eq(digest_for(k, t), slice_of(t->data, t->len < TLSA_DATA_MAX ? t->len : TLSA_DATA_MAX));
		some = some || fits;
		all = all && fits;
	}
	if (!some)
		return t->usage == TLSA_DANE_TA ? "it is not known to match what is presented: senders that go by it may defer mail"
		                                : "it matches nothing that is presented: senders that go by it defer mail";
	if (!all)
		return "it matches one of the keys presented and not the others";
	if (t->selector == TLSA_SPKI && t->usage == TLSA_DANE_EE)
		return "it matches the key presented now, and will not match the next";
	return t->usage == TLSA_DANE_TA ? "it matches the issuer of the certificate presented now; nothing ties the next key to it"
	                                : "it matches the certificate presented now, and will match neither its renewal nor the next key";
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
		enum record_form form;
		int d = facts_digest_of(f, &wanted->items[i], &form);
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
	const struct tlsa *foreign = first_in_the_way(f, wanted, &s->set);
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
	} else if (foreign != NULL) {
		words_record(record, foreign);
		(void)why_set(out, EC_OK,
		              "%s serves %s, which is not ours: %s. No key is changed before it is gone: remove it, or set own_rrset",
		              name, record, words_foreign(f, foreign));
	} else {
		(void)why_set(out, EC_OK, "%s has served all of it %u of %u times in a row", name,
		              least_count(f, server, wanted), p->confirmations);
	}
}

void words_exposed(const struct facts *f, const struct policy *p, struct stamp now, struct why *out)
{
	struct wall signed_until = { 0 };
	for (size_t i = 0; i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		int d = facts_digest(f, k->spki_sha256);
		bool former = k->generation == f->instances[k->instance].presented;
		for (size_t m = 0; rollover_rolling(f) && m < f->roll.num_moves; m++)
			if (f->roll.moves[m].instance == k->instance)
				former = k->generation == f->roll.moves[m].from;
		if (former && d >= 0 && f->digests[d].signed_until.s > signed_until.s)
			signed_until = f->digests[d].signed_until;
	}
	char ttl[WORDS_LEFT], until[WALL_TEXT_SIZE];
	words_left(ttl, age_ttl_s(f, p));
	wall_print(until, signed_until);
	(void)why_set(out, EC_OK, "caches may go on trusting the former key for %s after every server has dropped its record%s%s%s", ttl,
	              signed_until.s > now.wall.s ? "; whoever can forge answers may replay the signed set until " : "",
	              signed_until.s > now.wall.s ? until : "", signed_until.s > now.wall.s ? ", when its signature expires" : "");
}

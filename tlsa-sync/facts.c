#include "tlsa-sync/facts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/facts_room.h"

void facts_text(char *out, size_t size, const char *text)
{
	size_t len = text == NULL ? 0 : strnlen(text, size - 1);
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

struct facts *facts_new(const char *identity)
{
	struct facts *f = calloc(1, sizeof *f);
	if (f != NULL)
		facts_text(f->identity, sizeof f->identity, identity);
	return f;
}

struct stamp facts_tick(struct facts *f, const struct reading *r)
{
	struct fact_clock *c = &f->clock;
	if (c->count_ms == 0) {
		c->count_ms = 1;
	} else if (strcmp(c->last.boot, r->boot) == 0) {
		int64_t wall = r->wall_ms - c->last.wall_ms;
		int64_t mono = r->mono.ms - c->last.mono.ms;
		int64_t passed = wall < mono ? wall : mono;
		if (passed > 0)
			c->count_ms += passed;
		/* Asleep, or a clock was set: what was known before may be older than it looks. */
		if ((wall > mono ? wall : mono) - (passed > 0 ? passed : 0) > FACT_HIDDEN_MS)
			c->booted_ms = c->count_ms;
	} else {
		c->booted_ms = c->count_ms;
	}
	c->last = *r;
	return (struct stamp){ { r->wall_ms / 1000 }, c->count_ms };
}

static int instance_index(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->num_instances; i++)
		if (strcmp(f->instances[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The rows that name instances by index follow the rows; those of instances
 * that are gone (to[i] < 0) are dropped. */
static void instances_renumber(struct facts *f, const int to[FACT_INSTANCES])
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_keys; i++) {
		if (to[f->keys[i].instance] < 0)
			continue;
		f->keys[n] = f->keys[i];
		f->keys[n].instance = (unsigned)to[f->keys[n].instance];
		n++;
	}
	f->num_keys = n;
	n = 0;
	for (size_t i = 0; i < f->roll.num_moves; i++) {
		if (to[f->roll.moves[i].instance] < 0)
			continue;
		f->roll.moves[n] = f->roll.moves[i];
		f->roll.moves[n].instance = (unsigned)to[f->roll.moves[n].instance];
		n++;
	}
	f->roll.num_moves = n;
	n = 0;
	for (size_t i = 0; i < f->num_withdrawn; i++) {
		if (to[f->withdrawn[i].instance] < 0)
			continue;
		f->withdrawn[n] = f->withdrawn[i];
		f->withdrawn[n].instance = (unsigned)to[f->withdrawn[n].instance];
		n++;
	}
	f->num_withdrawn = n;
	if (to[f->issue.instance] < 0)
		f->issue = (struct fact_issue){ 0 };
	else
		f->issue.instance = (unsigned)to[f->issue.instance];
}

enum ec facts_set_instances(struct facts *f, const char *const *names, size_t num)
{
	if (num > FACT_INSTANCES)
		return EC_NO_SPACE;
	for (size_t i = 0; i < num; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return EC_DUPLICATE;
	int to[FACT_INSTANCES];
	for (size_t i = 0; i < FACT_INSTANCES; i++)
		to[i] = -1;
	struct fact_instance rows[FACT_INSTANCES] = { 0 };
	for (size_t i = 0; i < num; i++) {
		int old = instance_index(f, names[i]);
		if (old >= 0) {
			rows[i] = f->instances[old];
			to[old] = (int)i;
		} else {
			facts_text(rows[i].name, sizeof rows[i].name, names[i]);
		}
	}
	memcpy(f->instances, rows, sizeof rows);
	f->num_instances = num;
	instances_renumber(f, to);
	return EC_OK;
}

static bool digest_in_use(const struct facts *f, unsigned digest)
{
	const struct fact_digest *d = &f->digests[digest];
	for (size_t i = 0; i < f->num_keys; i++)
		if (memcmp(f->keys[i].spki_sha256, d->spki_sha256, 32) == 0)
			return true;
	for (size_t i = 0; i < f->num_servers; i++)
		if (facts_digest_named(d, &f->servers[i].set))
			return true;
	return false;
}

static void digest_drop(struct facts *f, unsigned digest)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_agrees; i++) {
		if (f->agrees[i].digest == digest)
			continue;
		f->agrees[n] = f->agrees[i];
		if (f->agrees[n].digest > digest)
			f->agrees[n].digest--;
		n++;
	}
	f->num_agrees = n;
	f->num_digests--;
	memmove(&f->digests[digest], &f->digests[digest + 1], (f->num_digests - digest) * sizeof f->digests[0]);
}

/* Adds the row of a digest first reported now. Until it is seen, every set that a
 * server holds is a set without it: their signatures count. And when it is there already
 * (the journal is new, or an old one), so they do: those before it expire no later. */
static enum ec digest_add(struct facts *f, const struct fact_key *key, struct stamp now)
{
	int old = facts_digest(f, key->spki_sha256);
	if (old >= 0) {
		memcpy(f->digests[old].spki_sha512, key->spki_sha512, 64);
		return EC_OK;
	}
	for (unsigned i = 0; i < f->num_digests && f->num_digests == FACT_DIGESTS; i++)
		if (!digest_in_use(f, i))
			digest_drop(f, i);
	if (f->num_digests == FACT_DIGESTS)
		return EC_NO_SPACE;
	struct fact_digest *d = &f->digests[f->num_digests];
	*d = (struct fact_digest){ .algorithm = key->algorithm, .known = now };
	memcpy(d->spki_sha256, key->spki_sha256, 32);
	memcpy(d->spki_sha512, key->spki_sha512, 64);
	for (size_t i = 0; i < f->num_servers; i++)
		if (f->servers[i].answered.count_ms != 0 && !f->servers[i].alias)
			facts_old_signature(d, f->servers[i].signature_expires, now);
	f->num_digests++;
	return EC_OK;
}

static enum ec report_check(const struct facts *f, unsigned instance, const struct report *report, struct why *why)
{
	size_t num = 0, fresh = 0, free_rows = FACT_DIGESTS - f->num_digests;
	for (size_t i = 0; i < f->num_keys; i++)
		num += f->keys[i].instance != instance;
	for (unsigned i = 0; i < f->num_digests; i++)
		free_rows += !digest_in_use(f, i);
	for (size_t g = 0; g < report->num_generations; g++) {
		for (size_t k = 0; k < report->generations[g].num_keys; k++) {
			const uint8_t *spki = report->generations[g].keys[k].chain[0].spki_sha256;
			struct tlsa t = tlsa_311(spki);
			if (tlsa_empty_digest(&t))
				return why_set(why, EC_INVARIANT, "%s reports the digest of the empty string for generation %llu",
				               f->instances[instance].name, (unsigned long long)report->generations[g].number);
			num++;
			fresh += facts_digest(f, spki) < 0;
		}
	}
	if (num > FACT_KEYS || fresh > free_rows)
		return why_set(why, EC_NO_SPACE, "%s reports more keys than can be followed", f->instances[instance].name);
	return EC_OK;
}

static void keys_of_instance_drop(struct facts *f, unsigned instance)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].instance != instance)
			f->keys[n++] = f->keys[i];
	f->num_keys = n;
}

static bool cert_reported(const struct facts *f, const uint8_t cert_sha256[32])
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (memcmp(f->keys[i].cert_sha256, cert_sha256, 32) == 0)
			return true;
	return false;
}

/* Drops the requests for certificates that nobody has any more, and for `installed`, unless it is NULL. */
static void renewals_done_drop(struct facts *f, const uint8_t *installed)
{
	size_t n = 0;
	for (size_t i = 0; i < f->num_renewals; i++) {
		const uint8_t *cert = f->renewals[i].cert_sha256;
		if (cert_reported(f, cert) && (installed == NULL || memcmp(cert, installed, 32) != 0))
			f->renewals[n++] = f->renewals[i];
	}
	memset(&f->renewals[n], 0, (f->num_renewals - n) * sizeof f->renewals[0]);
	f->num_renewals = n;
}

enum ec facts_report(struct facts *f, unsigned instance, const struct report *report, struct stamp now,
                     struct why *why)
{
	assert(instance < f->num_instances);
	enum ec ec = report_check(f, instance, report, why);
	if (ec != EC_OK)
		return ec;
	struct fact_instance *in = &f->instances[instance];
	in->heard = now;
	in->failed = (struct stamp){ 0 };
	in->active = report->active;
	in->presented = report->presented;
	in->algorithms = report->algorithms;
	facts_text(in->words, sizeof in->words, report->words);
	keys_of_instance_drop(f, instance);
	for (size_t g = 0; g < report->num_generations; g++) {
		const struct generation *gen = &report->generations[g];
		for (size_t k = 0; k < gen->num_keys; k++) {
			const struct key_info *key = &gen->keys[k];
			struct fact_key *row = &f->keys[f->num_keys++];
			*row = (struct fact_key){ .instance = instance, .generation = gen->number, .algorithm = key->algorithm,
			                          .certified = key->certified,
			                          .self_signed = key->certified && key->issuer == CERT_SELF_SIGNED,
			                          .not_before = key->not_before, .not_after = key->not_after };
			memcpy(row->spki_sha256, key->chain[0].spki_sha256, 32);
			memcpy(row->spki_sha512, key->chain[0].spki_sha512, 64);
			memcpy(row->cert_sha256, key->chain[0].cert_sha256, 32);
			memcpy(row->cert_sha512, key->chain[0].cert_sha512, 64);
			memcpy(row->issuer_spki_sha256, key->chain[1].spki_sha256, 32);
			memcpy(row->issuer_cert_sha256, key->chain[1].cert_sha256, 32);
		}
	}
	for (size_t i = 0; i < f->num_keys; i++) {
		ec = digest_add(f, &f->keys[i], now);
		assert(ec == EC_OK); /* report_check counted */
	}
	renewals_done_drop(f, NULL);
	return EC_OK;
}

void facts_instance_failed(struct facts *f, unsigned instance, const char *words, struct stamp now)
{
	assert(instance < f->num_instances);
	struct fact_instance *in = &f->instances[instance];
	if (in->failed.count_ms == 0)
		in->failed = now;
	facts_text(in->words, sizeof in->words, words);
}

void facts_asked(struct facts *f, unsigned instance, enum ask_kind kind, uint64_t generation, struct stamp now)
{
	assert(instance < f->num_instances);
	struct fact_instance *in = &f->instances[instance];
	in->asked = kind;
	in->asked_generation = generation;
	in->asked_at = now;
	in->asked_outcome = OUTCOME_SENT;
	in->asked_words[0] = '\0';
	for (size_t i = 0; i < f->roll.num_moves; i++) {
		struct fact_move *m = &f->roll.moves[i];
		if (kind == ASK_SWAP && m->instance == instance && m->to == generation && m->swap_asked.count_ms == 0)
			m->swap_asked = now;
	}
}

void facts_ask_done(struct facts *f, unsigned instance, enum outcome outcome, const char *words)
{
	assert(instance < f->num_instances);
	f->instances[instance].asked_outcome = outcome;
	facts_text(f->instances[instance].asked_words, sizeof f->instances[instance].asked_words, words);
}


bool facts_withdrawn(const struct facts *f, unsigned instance, uint64_t generation)
{
	for (size_t i = 0; i < f->num_withdrawn; i++)
		if (f->withdrawn[i].instance == instance && f->withdrawn[i].generation == generation)
			return true;
	return false;
}

bool facts_has_generation(const struct facts *f, unsigned instance, uint64_t generation)
{
	for (size_t i = 0; i < f->num_keys; i++)
		if (f->keys[i].instance == instance && f->keys[i].generation == generation)
			return true;
	return false;
}

uint64_t facts_standby(const struct facts *f, unsigned instance)
{
	uint64_t best = 0;
	for (size_t i = 0; i < f->num_keys; i++) {
		uint64_t g = f->keys[i].generation;
		if (f->keys[i].instance == instance && g > f->instances[instance].active &&
		    !facts_withdrawn(f, instance, g) && (best == 0 || g < best))
			best = g;
	}
	return best;
}

void facts_issue_sent(struct facts *f, unsigned instance, uint64_t generation, enum key_algorithm algorithm,
                      unsigned tries, struct stamp now)
{
	f->issue = (struct fact_issue){ instance, generation, algorithm, tries, now, { { 0 }, 0 }, OUTCOME_SENT, "" };
}

void facts_issue_done(struct facts *f, enum outcome outcome, const char *words, struct stamp now)
{
	f->issue.outcome = outcome;
	f->issue.done = now;
	facts_text(f->issue.words, sizeof f->issue.words, words);
	/* what was asked for is done, even if the issuer gave the same certificate again */
	for (size_t i = 0; outcome == OUTCOME_OK && i < f->num_keys; i++) {
		const struct fact_key *k = &f->keys[i];
		if (k->instance == f->issue.instance && k->generation == f->issue.generation && k->algorithm == f->issue.algorithm)
			renewals_done_drop(f, k->cert_sha256);
	}
}

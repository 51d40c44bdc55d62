#include "proxy/super/keeper_fs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "certs/import_fs.h"
#include "proxy/super/renewal.h"

enum ec keeper_open(struct keeper *k, const char *state_dir, struct why *why)
{
	*k = (struct keeper){ 0 };
	return store_open(state_dir, &k->store, why);
}

void keeper_close(struct keeper *k)
{
	for (size_t i = 0; i < k->num; i++)
		identity_free(k->items[i]);
	free(k->items);
	if (k->store != NULL)
		store_close(k->store);
	*k = (struct keeper){ 0 };
}

static struct slice without_dot(const char *name)
{
	struct slice s = slice_str(name);
	return s.len > 0 && s.p[s.len - 1] == '.' ? slice_first(s, s.len - 1) : s;
}

struct identity *keeper_find(const struct keeper *k, const char *name)
{
	for (size_t i = 0; i < k->num; i++)
		if (slice_eq_nocase(slice_str(k->items[i]->name), without_dot(name)))
			return k->items[i];
	return NULL;
}

const struct generation *identity_find(const struct identity *id, uint64_t number)
{
	for (size_t i = 0; i < id->num_generations; i++)
		if (id->generations[i].number == number)
			return &id->generations[i];
	return NULL;
}

const struct key_info *identity_key(const struct identity *id, uint64_t number, enum key_algorithm algorithm)
{
	const struct generation *g = identity_find(id, number);
	return g == NULL ? NULL : generation_key(g, algorithm);
}

enum ec identity_refresh(struct keeper *k, struct identity *id, struct why *why)
{
	struct store_view *v = NULL;
	struct why view_why = { 0 };
	enum ec ec = store_view_new(k->store, id->name, &v, &view_why);
	if (v == NULL)
		return why_set(why, ec, "%s", view_why.text);
	/* A view has room for the most there can be; we keep what there is. */
	struct generation *generations = calloc(v->num + 1, sizeof *generations);
	struct why *damaged = calloc(v->num_damaged + 1, sizeof *damaged);
	if (generations == NULL || damaged == NULL) {
		free(generations);
		free(damaged);
		store_view_free(v);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	memcpy(generations, v->generations, v->num * sizeof *generations);
	memcpy(damaged, v->damaged_why, v->num_damaged * sizeof *damaged);
	/* A damaged state.json: what is active is not known, but a generation that
	 * DNS pins can go on being served. Changes are refused by the store. */
	if (ec == EC_CORRUPT)
		damaged[v->num_damaged] = view_why;
	free(id->generations);
	free(id->damaged);
	id->generations = generations;
	id->damaged = damaged;
	id->num_generations = v->num;
	id->num_damaged = v->num_damaged + (ec == EC_CORRUPT ? 1 : 0);
	id->active = v->active;
	id->last = v->last;
	store_view_free(v);
	return EC_OK;
}

static int64_t life_s(const struct identity *id)
{
	return id->settings->certificate_life_ms / 1000;
}

static enum ec read_files(const struct identity *id, struct store_keys *out, struct why *why)
{
	struct import_pair pairs[KEY_NUM_ALGORITHMS];
	size_t num = id->settings->num_files;
	if (num == 0 || num > KEY_NUM_ALGORITHMS)
		return why_set(why, EC_MISSING, "%s: issuer files needs one pair of chain and key per algorithm", id->name);
	for (size_t i = 0; i < num; i++)
		pairs[i] = (struct import_pair){ id->settings->files[i].chain, id->settings->files[i].key };
	return import_read(pairs, num, out, why);
}

/* take_in makes the disk hold what the files hold: nothing to do, a renewed
 * certificate for a key we know, or a new generation. */
static enum ec take_in(struct keeper *k, struct identity *id, struct wall now, uint64_t *out_number, struct why *why)
{
	struct store_keys keys = { 0 };
	*out_number = 0;
	enum ec ec = read_files(id, &keys, why);
	if (ec != EC_OK)
		return ec;
	const struct generation *known = NULL;
	for (size_t i = id->num_generations; i-- > 0 && known == NULL;)
		if (import_same_keys(&keys, &id->generations[i]))
			known = &id->generations[i];
	if (known == NULL) {
		ec = store_import(k->store, id->name, &keys, now, out_number, why);
	} else if (!import_same_chains(&keys, known)) {
		*out_number = known->number;
		for (size_t i = 0; ec == EC_OK && i < keys.num; i++)
			ec = store_install(k->store, id->name, known->number, keys.keys[i].algorithm, bytes_slice(&keys.keys[i].chain_pem),
			                   now, why);
	}
	store_keys_fini(&keys);
	return ec;
}

/* make_generation makes a new one by the identity's issuer. */
static enum ec make_generation(struct keeper *k, struct identity *id, struct wall now, uint64_t *out_number,
                               struct why *why)
{
	enum ec ec;
	if (id->settings->issuer == CONFIG_FILES)
		ec = take_in(k, id, now, out_number, why);
	else
		ec = store_create(k->store, id->name, id->settings->algorithms, life_s(id), now, out_number, why);
	return ec == EC_OK ? identity_refresh(k, id, why) : ec;
}

enum ec identity_new(struct keeper *k, const struct config_identity *settings, struct wall now, struct identity **out,
                     struct why *why)
{
	struct identity *id = calloc(1, sizeof *id);
	struct slice name = without_dot(settings->name);
	if (id == NULL || (id->name = calloc(1, name.len + 1)) == NULL) {
		free(id);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < name.len; i++)
		id->name[i] = (char)tolower(name.p[i]);
	id->settings = settings;
	id->retry = (struct backoff){ .first_ms = 1000, .max_ms = 60000 };
	(void)why_set(&id->verdict.why, EC_OK, "DNS has not been asked yet");
	enum ec ec = identity_refresh(k, id, why);
	/* Damaged generations are not replaced by a fresh key: DNS may pin them, and
	 * the operator may have a copy. */
	uint64_t number = 0;
	if (ec == EC_OK && id->num_generations == 0 && id->num_damaged == 0)
		ec = make_generation(k, id, now, &number, why);
	if (ec != EC_OK) {
		why_prefix(why, "%s", id->name);
		identity_free(id);
		return ec;
	}
	*out = id;
	return EC_OK;
}

void identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	free(id->name);
	free(id->generations);
	free(id->damaged);
	free(id);
}

/* What stands above both what is presented and what is recorded is a standby. */
static uint64_t newest_standby(const struct identity *id)
{
	if (id->num_generations == 0)
		return 0;
	uint64_t newest = id->generations[id->num_generations - 1].number;
	return newest > id->active && newest > id->presented ? newest : 0;
}

enum ec identity_prepare(struct keeper *k, struct identity *id, struct wall now, uint64_t *out_number, struct why *why)
{
	*out_number = newest_standby(id);
	if (*out_number != 0)
		return EC_OK;
	if (id->settings->issuer == CONFIG_FILES)
		return why_set(why, EC_MISSING, "%s: issuer files: there is no next key; put a new key and chain into %s and %s", id->name,
		               id->settings->files[0].key, id->settings->files[0].chain);
	return make_generation(k, id, now, out_number, why);
}

enum ec identity_retire(struct keeper *k, struct identity *id, uint64_t number, struct why *why)
{
	if (number == id->active || number == id->presented || number == id->candidate)
		return why_set(why, EC_INVARIANT, "%s: generation %llu is presented, or about to be; swap to another one first", id->name,
		               (unsigned long long)number);
	enum ec ec = store_delete(k->store, id->name, number, why);
	struct why again;
	enum ec seen = identity_refresh(k, id, &again);
	if (ec == EC_OK && seen != EC_OK)
		return why_set(why, seen, "%s", again.text);
	return ec;
}

/* renew signs anew what is due of one generation; DNS is not concerned. */
static enum ec renew(struct keeper *k, const struct identity *id, const struct generation *g, struct wall now,
                     bool *out_changed, struct why *why)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < g->num_keys; i++) {
		if (!renewal_due(&g->keys[i], id->settings->issuer, now))
			continue;
		ec = store_renew(k->store, id->name, g->number, g->keys[i].algorithm, life_s(id), now, why);
		*out_changed = *out_changed || ec == EC_OK;
	}
	return ec;
}

enum ec identity_upkeep(struct keeper *k, struct identity *id, struct wall now, bool *out_changed, bool *out_presented,
                        struct why *why)
{
	enum ec ec = EC_OK;
	*out_changed = *out_presented = false;
	if (id->settings->issuer == CONFIG_FILES) {
		uint64_t number = 0;
		ec = take_in(k, id, now, &number, why);
		*out_changed = number != 0;
		*out_presented = number != 0 && number == id->presented;
	} else {
		for (size_t i = 0; ec == EC_OK && i < id->num_generations; i++) {
			bool renewed = false;
			ec = renew(k, id, &id->generations[i], now, &renewed, why);
			*out_changed = *out_changed || renewed;
			*out_presented = *out_presented || (renewed && id->generations[i].number == id->presented);
		}
	}
	struct why again;
	enum ec seen = *out_changed ? identity_refresh(k, id, &again) : EC_OK;
	if (ec == EC_OK && seen != EC_OK)
		return why_set(why, seen, "%s", again.text);
	return ec;
}

uint64_t identity_newest_import(const struct identity *id)
{
	return id->settings->issuer == CONFIG_FILES ? newest_standby(id) : 0;
}

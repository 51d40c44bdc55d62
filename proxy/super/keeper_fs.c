#include "proxy/super/keeper_fs.h"

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
	names_fini(&k->index);
	for (size_t i = 0; i < k->num; i++)
		identity_free(k->items[i]);
	free(k->items);
	if (k->store != NULL)
		store_close(k->store);
	*k = (struct keeper){ 0 };
}

struct identity *keeper_find(const struct keeper *k, const char *name)
{
	return (struct identity *)names_find(&k->index, slice_str(name));
}

enum ec keeper_index(struct identity *const *items, size_t num, struct names *out)
{
	enum ec ec = EC_OK;
	*out = (struct names){ 0 };
	for (size_t i = 0; ec == EC_OK && i < num; i++)
		ec = names_put(out, &items[i]->item);
	if (ec != EC_OK)
		names_fini(out);
	return ec;
}

/* --- generations ------------------------------------------------------------ */

struct generation *identity_generations(const struct identity *id)
{
	struct slice in = bytes_slice(&id->packed);
	struct generation *all = id->num_generations == 0 ? NULL : calloc(id->num_generations, sizeof *all);
	for (size_t i = 0; all != NULL && i < id->num_generations; i++)
		generation_unpack(&in, &all[i]);
	return all;
}

bool identity_find(const struct identity *id, uint64_t number, struct generation *out)
{
	struct slice in = bytes_slice(&id->packed);
	for (size_t i = 0; i < id->num_generations; i++) {
		generation_unpack(&in, out);
		if (out->number == number)
			return true;
	}
	return false;
}

/* pack keeps `num` generations, with their roles by what is active. */
static enum ec pack(struct generation *all, size_t num, uint64_t active, struct bytes *out)
{
	struct bytes packed = { 0 };
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		all[i].role = generation_role_of(all[i].number, active);
		ec = generation_pack(&all[i], &packed);
	}
	size_t len = bytes_len(&packed);
	/* A queue of bytes has room to grow; this does not grow. */
	uint8_t *exact = len == 0 || ec != EC_OK ? NULL : malloc(len);
	if (exact != NULL) {
		memcpy(exact, packed.p + packed.start, len);
		bytes_fini(out);
		*out = (struct bytes){ .p = exact, .end = len, .cap = len };
	} else if (ec == EC_OK && len == 0) {
		bytes_fini(out);
	} else {
		ec = EC_NO_MEMORY;
	}
	bytes_fini(&packed);
	return ec;
}

void identity_note_active(struct identity *id, uint64_t number)
{
	struct generation *all = identity_generations(id);
	id->active = number;
	/* Without memory the roles are shown as they were until the next look at the disk. */
	enum ec ec = all == NULL ? EC_OK : pack(all, id->num_generations, number, &id->packed);
	(void)ec;
	free(all);
}

enum ec identity_refresh(struct keeper *k, struct identity *id, struct why *why)
{
	struct store_view *v = NULL;
	struct why view_why = { 0 };
	enum ec ec = store_view_new(k->store, id->name, &v, &view_why);
	if (v == NULL)
		return why_set(why, ec, "%s", view_why.text);
	struct why *damaged = v->num_damaged == 0 && ec != EC_CORRUPT ? NULL : calloc(v->num_damaged + 1, sizeof *damaged);
	bool no_memory = damaged == NULL && (v->num_damaged > 0 || ec == EC_CORRUPT);
	if (no_memory || pack(v->generations, v->num, v->active, &id->packed) != EC_OK) {
		free(damaged);
		store_view_free(v);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	if (damaged != NULL)
		memcpy(damaged, v->damaged_why, v->num_damaged * sizeof *damaged);
	/* A damaged state.json: what is active is not known, but a generation that
	 * DNS pins can go on being served. Changes are refused by the store. */
	if (damaged != NULL && ec == EC_CORRUPT)
		damaged[v->num_damaged] = view_why;
	free(id->damaged);
	id->damaged = damaged;
	id->num_generations = v->num;
	id->num_damaged = v->num_damaged + (ec == EC_CORRUPT ? 1 : 0);
	id->active = v->active;
	id->last = v->last;
	id->read = true;
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
	struct generation *all = identity_generations(id);
	const struct generation *known = NULL;
	for (size_t i = all == NULL ? 0 : id->num_generations; i-- > 0 && known == NULL;)
		if (import_same_keys(&keys, &all[i]))
			known = &all[i];
	if (all == NULL && id->num_generations > 0) {
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	} else if (known == NULL) {
		ec = store_import(k->store, id->name, &keys, now, out_number, why);
	} else if (!import_same_chains(&keys, known)) {
		*out_number = known->number;
		for (size_t i = 0; ec == EC_OK && i < keys.num; i++)
			ec = store_install(k->store, id->name, known->number, keys.keys[i].algorithm, bytes_slice(&keys.keys[i].chain_pem),
			                   now, why);
	}
	free(all);
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

/* The index holds a reference of its own; identity_free is the keeper's to call. */
static void index_end(struct names_item *item)
{
	(void)item;
}

enum ec identity_new(const struct config_identity *settings, struct identity **out, struct why *why)
{
	struct identity *id = calloc(1, sizeof *id);
	size_t size = strlen(settings->name) + 1;
	if (id == NULL || (id->name = malloc(size)) == NULL || names_canonical(slice_str(settings->name), id->name, size) != EC_OK) {
		identity_free(id);
		return why_set(why, EC_NO_MEMORY, "out of memory");
	}
	id->item = (struct names_item){ .refs = 1, .name = id->name, .end = index_end };
	id->settings = settings;
	id->retry = (struct backoff){ .first_ms = 1000, .max_ms = 60000 };
	(void)why_set(&id->verdict.why, EC_OK, "DNS has not been asked yet");
	*out = id;
	return EC_OK;
}

enum ec identity_read(struct keeper *k, struct identity *id, struct wall now, struct why *why)
{
	uint64_t number = 0;
	enum ec ec = id->read ? EC_OK : identity_refresh(k, id, why);
	/* Damaged generations are not replaced by a fresh key: DNS may pin them, and
	 * the operator may have a copy. */
	if (ec == EC_OK && id->num_generations == 0 && id->num_damaged == 0)
		ec = make_generation(k, id, now, &number, why);
	if (ec != EC_OK)
		why_prefix(why, "%s", id->name);
	return ec;
}

void identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	free(id->name);
	bytes_fini(&id->packed);
	free(id->damaged);
	free(id);
}

static uint64_t newest_number(const struct identity *id)
{
	struct slice in = bytes_slice(&id->packed);
	struct generation g = { 0 };
	for (size_t i = 0; i < id->num_generations; i++)
		generation_unpack(&in, &g);
	return g.number;
}

/* What stands above both what is presented and what is recorded is a standby. */
static uint64_t newest_standby(const struct identity *id)
{
	uint64_t newest = newest_number(id);
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
	if (!id->read)
		return EC_OK;
	if (id->settings->issuer == CONFIG_FILES) {
		uint64_t number = 0;
		ec = take_in(k, id, now, &number, why);
		*out_changed = number != 0;
		*out_presented = number != 0 && number == id->presented;
	} else {
		struct slice in = bytes_slice(&id->packed);
		for (size_t i = 0; ec == EC_OK && i < id->num_generations; i++) {
			struct generation g;
			bool renewed = false;
			generation_unpack(&in, &g);
			ec = renew(k, id, &g, now, &renewed, why);
			*out_changed = *out_changed || renewed;
			*out_presented = *out_presented || (renewed && g.number == id->presented);
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

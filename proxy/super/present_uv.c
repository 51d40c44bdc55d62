#include "proxy/super/present_uv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"

struct presentation {
	struct supervisor *s;
	struct present_set set;
	bool strict;
	present_done *done;
	void *arg;
};

enum ec present_set_new(struct identity *standard, size_t num, size_t num_gone, struct present_set *out)
{
	*out = (struct present_set){ .standard = standard };
	out->ids = calloc(num + 1, sizeof *out->ids);
	out->numbers = calloc(num + 1, sizeof *out->numbers);
	out->gone = calloc(num_gone + 1, sizeof *out->gone);
	if (out->ids != NULL && out->numbers != NULL && out->gone != NULL)
		return EC_OK;
	present_fini(out);
	return EC_NO_MEMORY;
}

void present_put(struct present_set *set, struct identity *id, uint64_t number)
{
	set->ids[set->num] = id;
	set->numbers[set->num++] = number;
}

void present_fini(struct present_set *set)
{
	free(set->ids);
	free(set->numbers);
	free(set->gone);
	*set = (struct present_set){ 0 };
}

static json_t *keys_json(const struct store_keys *keys)
{
	json_t *list = json_array();
	for (size_t i = 0; i < keys->num; i++) {
		struct slice chain = bytes_slice(&keys->keys[i].chain_pem);
		json_array_append_new(list, json_pack("{s:s,s:s%,s:s%}", "algorithm", key_algorithm_name(keys->keys[i].algorithm),
		                                      "key_pem", (const char *)keys->keys[i].key_pem.p, keys->keys[i].key_pem.len,
		                                      "chain_pem", (const char *)chain.p, chain.len));
	}
	return list;
}

static enum ec make_parcel(struct supervisor *s, const struct identity *id, uint64_t number, struct parcel **out,
                           struct why *why)
{
	struct store_keys keys = { 0 };
	enum ec ec = store_read(s->keeper.store, id->name, number, &keys, why);
	if (ec != EC_OK) {
		why_prefix(why, "%s generation %llu", id->name, (unsigned long long)number);
		return ec;
	}
	json_t *one = json_pack("{s:s,s:I,s:o}", "name", id->name, "generation", (json_int_t)number, "keys", keys_json(&keys));
	store_keys_fini(&keys);
	char *text = one == NULL ? NULL : json_dumps(one, JSON_COMPACT);
	json_decref(one);
	*out = text == NULL ? NULL : parcel_new(id->name, slice_str(text));
	json_malloc_t allocate;
	json_free_t release;
	json_get_alloc_funcs(&allocate, &release);
	release(text); /* wipes: wire_secrets */
	return *out == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : EC_OK;
}

/* read_parcels reads the keys of all in the set. Unless `strict`, what can't be read is left out
 * of the set, and only if nothing remains that is an error. */
static enum ec read_parcels(struct supervisor *s, struct present_set *set, bool strict, struct parcel **out,
                            struct why *why)
{
	size_t num = 0;
	enum ec ec = EC_OK;
	for (size_t i = 0; i < set->num; i++) {
		struct identity *id = set->ids[i];
		ec = make_parcel(s, id, set->numbers[i], &out[num], why);
		if (ec == EC_OK) {
			set->ids[num] = id;
			set->numbers[num++] = set->numbers[i];
		} else if (strict) {
			break;
		} else {
			supervisor_mishap(s, "present", id->name, why->text);
			watch_again(s, id);
		}
	}
	if (ec != EC_OK && (strict || num == 0)) {
		for (size_t i = 0; i < num; i++)
			names_item_unref(&out[i]->item);
		return ec;
	}
	set->num = num;
	return EC_OK;
}

/* At a start very many may have to be recorded, and each waits for the disk. */
enum { RECORD_NOW = 32 };

static enum ec on_commit(void *arg, struct why *why)
{
	struct presentation *p = arg;
	unsigned num = 0;
	for (size_t i = 0; i < p->set.num; i++) {
		struct identity *id = p->set.ids[i];
		uint64_t number = p->set.numbers[i];
		if (number == id->active)
			continue;
		struct why own = { 0 };
		if (!p->strict && num++ >= RECORD_NOW)
			break;
		enum ec ec = store_set_active(p->s->keeper.store, id->name, number, &own);
		if (ec == EC_OK) {
			identity_note_active(id, number);
			continue;
		}
		if (p->strict)
			return why_set(why, ec, "%s: generation %llu could not be recorded as active: %s", id->name,
			               (unsigned long long)number, own.text);
		supervisor_mishap(p->s, "store", id->name, own.text);
	}
	return EC_OK;
}

static void note_presented(struct supervisor *s, struct identity *id, uint64_t number)
{
	if (id->presented != number) {
		struct log_line l;
		log_begin(&l, LOG_NOTICE, "presented");
		log_str(&l, "identity", id->name);
		log_int(&l, "generation", (int64_t)number);
		log_int(&l, "before", (int64_t)id->presented);
		log_int(&l, "epoch", (int64_t)crew_epoch(s->crew));
		log_end(&l);
	}
	id->presented = number;
	id->candidate = 0;
	id->renewed = false;
	if (id->active != number)
		watch_record_soon(s);
}

static void on_presented(void *arg, enum ec ec, const struct why *why)
{
	struct presentation *p = arg;
	for (size_t i = 0; i < p->set.num; i++) {
		if (ec == EC_OK)
			note_presented(p->s, p->set.ids[i], p->set.numbers[i]);
		else if (!p->strict && ec != EC_CANCELLED)
			watch_again(p->s, p->set.ids[i]);
	}
	present_done *done = p->done;
	void *done_arg = p->arg;
	present_fini(&p->set);
	free(p);
	done(done_arg, ec, why);
}

static bool has_standard(const struct present_set *set)
{
	bool has = set->standard->presented != 0;
	for (size_t i = 0; i < set->num && !has; i++)
		has = set->ids[i] == set->standard;
	return has;
}

/* hand_over gives the workers the change, with a presentation that waits for the outcome. */
static enum ec hand_over(struct presentation *p, struct parcel *const *parcels)
{
	const struct crew_change change = {
		.seed = p->s->seed,
		.standard = p->set.standard->name,
		.parcels = parcels,
		.num_parcels = p->set.num,
		.gone = p->set.gone,
		.num_gone = p->set.num_gone,
	};
	return crew_present(p->s->crew, &change, on_commit, on_presented, p);
}

enum ec present_run(struct supervisor *s, struct present_set *set, bool strict, present_done *done, void *arg,
                    struct why *why)
{
	struct presentation *p = calloc(1, sizeof *p);
	struct parcel **parcels = calloc(set->num + 1, sizeof *parcels);
	size_t num = 0;
	enum ec ec = p == NULL || parcels == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : EC_OK;
	if (ec == EC_OK)
		ec = read_parcels(s, set, strict, parcels, why);
	if (ec == EC_OK) {
		num = set->num;
		if (!has_standard(set))
			ec = why_set(why, EC_MISSING, "the default identity has nothing to present yet");
	}
	if (ec == EC_OK) {
		*p = (struct presentation){ .s = s, .set = *set, .strict = strict, .done = done, .arg = arg };
		*set = (struct present_set){ 0 };
		ec = hand_over(p, parcels);
		if (ec != EC_OK) {
			*set = p->set;
			(void)why_set(why, ec, "out of memory");
		}
	}
	for (size_t i = 0; i < num; i++)
		names_item_unref(&parcels[i]->item);
	free(parcels);
	if (ec != EC_OK) {
		for (size_t i = 0; i < set->num && !strict; i++)
			watch_again(s, set->ids[i]);
		present_fini(set);
		free(p);
	}
	return ec;
}

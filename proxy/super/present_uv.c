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

enum ec present_of(struct identity *const *ids, size_t num, struct present_set *out)
{
	*out = (struct present_set){ .num = num };
	out->ids = calloc(num, sizeof *out->ids);
	out->numbers = calloc(num, sizeof *out->numbers);
	if (out->ids == NULL || out->numbers == NULL) {
		present_fini(out);
		return EC_NO_MEMORY;
	}
	for (size_t i = 0; i < num; i++) {
		out->ids[i] = ids[i];
		out->numbers[i] = ids[i]->candidate != 0 ? ids[i]->candidate : ids[i]->presented;
	}
	return EC_OK;
}

enum ec present_current(struct supervisor *s, struct present_set *out)
{
	return present_of(s->keeper.items, s->keeper.num, out);
}

void present_put(struct present_set *set, const struct identity *id, uint64_t number)
{
	for (size_t i = 0; i < set->num; i++)
		if (set->ids[i] == id)
			set->numbers[i] = number;
}

void present_fini(struct present_set *set)
{
	free(set->ids);
	free(set->numbers);
	*set = (struct present_set){ 0 };
}

static enum ec identity_json(struct supervisor *s, const struct identity *id, uint64_t number, json_t **out,
                             struct why *why)
{
	struct store_keys keys = { 0 };
	enum ec ec = store_read(s->keeper.store, id->name, number, &keys, why);
	if (ec != EC_OK) {
		why_prefix(why, "%s generation %llu", id->name, (unsigned long long)number);
		return ec;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < keys.num; i++) {
		struct slice chain = bytes_slice(&keys.keys[i].chain_pem);
		json_array_append_new(list, json_pack("{s:s,s:s%,s:s%}", "algorithm", key_algorithm_name(keys.keys[i].algorithm),
		                                      "key_pem", (const char *)keys.keys[i].key_pem.p, keys.keys[i].key_pem.len,
		                                      "chain_pem", (const char *)chain.p, chain.len));
	}
	store_keys_fini(&keys);
	*out = json_pack("{s:s,s:I,s:o}", "name", id->name, "generation", (json_int_t)number, "keys", list);
	return *out == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : EC_OK;
}

/* message_rest makes the identities message without its first brace: crew puts
 * the epoch there. */
static enum ec message_rest(struct supervisor *s, const struct present_set *set, struct bytes *out, struct why *why)
{
	json_t *list = json_array();
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < set->num; i++) {
		json_t *one = NULL;
		if (set->numbers[i] != 0)
			ec = identity_json(s, set->ids[i], set->numbers[i], &one, why);
		if (one != NULL)
			json_array_append_new(list, one);
	}
	char seed[2 * SNAPSHOT_SEED_SIZE + 1];
	hex_encode(seed, slice_of(s->seed, sizeof s->seed));
	json_t *message = json_pack("{s:s,s:s,s:o}", "seed", seed, "default", set->ids[0]->name, "identities", list);
	wipe(seed, sizeof seed);
	char *text = ec == EC_OK && message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	if (ec != EC_OK)
		return ec;
	if (text == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	size_t len = strlen(text);
	out->secret = true;
	if (len + 64 > WIRE_LINE_MAX)
		ec = why_set(why, EC_LIMIT, "%zu identities with their keys make a message of %zu bytes; at most %d fit", set->num, len,
		             WIRE_LINE_MAX);
	else if (bytes_append(out, slice_of(text + 1, len - 1)) != EC_OK)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	json_malloc_t allocate;
	json_free_t release;
	json_get_alloc_funcs(&allocate, &release);
	release(text); /* wipes: wire_secrets */
	return ec;
}

static enum ec on_commit(void *arg, struct why *why)
{
	struct presentation *p = arg;
	for (size_t i = 0; i < p->set.num; i++) {
		struct identity *id = p->set.ids[i];
		uint64_t number = p->set.numbers[i];
		if (number == 0 || number == id->active)
			continue;
		struct why own = { 0 };
		enum ec ec = store_set_active(p->s->keeper.store, id->name, number, &own);
		if (ec == EC_OK) {
			id->active = number;
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
	struct why why = { 0 };
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
	if (identity_refresh(&s->keeper, id, &why) != EC_OK)
		supervisor_mishap(s, "store", id->name, why.text);
}

static void on_presented(void *arg, enum ec ec, const struct why *why)
{
	struct presentation *p = arg;
	for (size_t i = 0; ec == EC_OK && i < p->set.num; i++)
		if (p->set.numbers[i] != 0)
			note_presented(p->s, p->set.ids[i], p->set.numbers[i]);
	present_done *done = p->done;
	void *done_arg = p->arg;
	present_fini(&p->set);
	free(p);
	done(done_arg, ec, why);
}

enum ec present_run(struct supervisor *s, struct present_set *set, bool strict, present_done *done, void *arg,
                    struct why *why)
{
	struct bytes rest = { 0 };
	struct presentation *p = calloc(1, sizeof *p);
	enum ec ec = EC_OK;
	if (p == NULL)
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	else if (set->num == 0 || set->numbers[0] == 0)
		ec = why_set(why, EC_MISSING, "the default identity has nothing to present yet");
	else
		ec = message_rest(s, set, &rest, why);
	if (ec != EC_OK) {
		free(p);
		present_fini(set);
		bytes_fini(&rest);
		return ec;
	}
	*p = (struct presentation){ .s = s, .set = *set, .strict = strict, .done = done, .arg = arg };
	*set = (struct present_set){ 0 };
	crew_present(s->crew, &rest, on_commit, on_presented, p);
	return EC_OK;
}

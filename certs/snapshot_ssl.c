#include "certs/snapshot_ssl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/hkdf.h>
#include <openssl/pool.h>

#include "certs/load_ssl.h"

struct snapshot {
	size_t refs;
	uint64_t epoch;
	struct names identities;
	struct snapshot_identity *fallback; /* NULL until it is finished */
	uint8_t seed[SNAPSHOT_SEED_SIZE];
};

/* --- one identity ------------------------------------------------------------ */

static void key_fini(struct presented_key *k)
{
	EVP_PKEY_free(k->key);
	for (size_t i = 0; i < k->num_chain; i++)
		CRYPTO_BUFFER_free(k->chain[i]);
	free(k->chain);
}

static void identity_end(struct names_item *item)
{
	struct snapshot_identity *id = (struct snapshot_identity *)item;
	if (id->attached_free != NULL)
		id->attached_free(id->attached);
	for (size_t i = 0; i < id->num_keys; i++)
		key_fini(&id->keys[i]);
	free(id->name);
	free(id);
}

static struct snapshot_identity *identity_new(struct slice name, uint64_t generation)
{
	struct snapshot_identity *id = calloc(1, sizeof *id);
	if (id == NULL)
		return NULL;
	id->name = malloc(name.len + 1);
	if (id->name == NULL || names_canonical(name, id->name, name.len + 1) != EC_OK) {
		free(id->name);
		free(id);
		return NULL;
	}
	id->item = (struct names_item){ .refs = 1, .name = id->name, .end = identity_end };
	id->generation = generation;
	return id;
}

/* take_key moves what is presented out of `l`: the rest of what was read, names
 * and digests, is not needed here. */
static enum ec take_key(struct presented_key *out, struct loaded *l)
{
	CRYPTO_BUFFER **chain = calloc(l->num_chain, sizeof *chain);
	if (chain == NULL)
		return EC_NO_MEMORY;
	*out = (struct presented_key){ .algorithm = l->info.algorithm, .key = l->key, .chain = chain, .num_chain = l->num_chain };
	memcpy(out->spki_sha256, l->info.chain[0].spki_sha256, sizeof out->spki_sha256);
	for (size_t i = 0; i < l->num_chain; i++) {
		chain[i] = l->chain[i];
		l->chain[i] = NULL;
	}
	l->key = NULL;
	return EC_OK;
}

/* Keeps the keys in rising order of algorithm. */
static enum ec add_key(struct snapshot_identity *id, struct loaded *l, struct why *why)
{
	struct presented_key key;
	if (snapshot_key(id, l->info.algorithm) != NULL)
		return why_set(why, EC_DUPLICATE, "two %s keys", key_algorithm_name(l->info.algorithm));
	if (take_key(&key, l) != EC_OK)
		return EC_NO_MEMORY;
	size_t at = id->num_keys++;
	for (; at > 0 && id->keys[at - 1].algorithm > key.algorithm; at--)
		id->keys[at] = id->keys[at - 1];
	id->keys[at] = key;
	return EC_OK;
}

static enum ec add_source(struct snapshot_identity *id, const struct snapshot_source *source, struct why *why)
{
	struct loaded l = { 0 };
	enum ec ec = load_pair(source->key_pem, source->chain_pem, &l, why);
	if (ec == EC_OK && l.info.algorithm != source->algorithm)
		ec = why_set(why, EC_KEY_MISMATCH, "the key is not %s", key_algorithm_name(source->algorithm));
	else if (ec == EC_OK && id->generation != source->generation)
		ec = why_set(why, EC_DUPLICATE, "keys of two generations");
	if (ec == EC_OK)
		ec = add_key(id, &l, why);
	loaded_fini(&l);
	return ec;
}

/* --- making a snapshot ---------------------------------------------------------- */

enum ec snapshot_begin(const struct snapshot *base, const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch,
                       struct snapshot **out)
{
	struct snapshot *s = calloc(1, sizeof *s);
	*out = s;
	if (s == NULL)
		return EC_NO_MEMORY;
	s->refs = 1;
	s->epoch = epoch;
	memcpy(s->seed, seed, sizeof s->seed);
	if (base != NULL)
		s->identities = names_copy(&base->identities);
	return EC_OK;
}

enum ec snapshot_put(struct snapshot *s, const struct snapshot_source *sources, size_t num, struct why *why)
{
	assert(s->fallback == NULL && num > 0);
	const char *name = sources[0].identity;
	struct snapshot_identity *id = NULL;
	enum ec ec = EC_OK;
	if (*name == '\0')
		ec = why_set(why, EC_SYNTAX, "an identity without a name");
	else if ((id = identity_new(slice_str(name), sources[0].generation)) == NULL)
		ec = EC_NO_MEMORY;
	for (size_t i = 0; ec == EC_OK && i < num; i++)
		ec = add_source(id, &sources[i], why);
	if (ec == EC_OK)
		ec = names_put(&s->identities, &id->item);
	if (id != NULL)
		names_item_unref(&id->item);
	if (ec != EC_OK)
		why_prefix(why, "identity %.100s", name);
	return ec;
}

enum ec snapshot_drop(struct snapshot *s, const char *identity)
{
	assert(s->fallback == NULL);
	return names_remove(&s->identities, slice_str(identity));
}

enum ec snapshot_finish(struct snapshot *s, const char *default_identity, struct why *why)
{
	s->fallback = (struct snapshot_identity *)names_find(&s->identities, slice_str(default_identity));
	return s->fallback != NULL ? EC_OK :
	                             why_set(why, EC_MISSING, "the default identity %.100s has no keys", default_identity);
}

static bool same_name(const char *a, const char *b)
{
	struct slice x = slice_str(a), y = slice_str(b);
	x.len -= x.len > 0 && x.p[x.len - 1] == '.';
	y.len -= y.len > 0 && y.p[y.len - 1] == '.';
	return slice_eq_nocase(x, y);
}

enum ec snapshot_new(const struct snapshot_source *sources, size_t num_sources, const char *default_identity,
                     const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch, struct snapshot **out, struct why *why)
{
	struct snapshot *s = NULL;
	*out = NULL;
	enum ec ec = snapshot_begin(NULL, seed, epoch, &s);
	for (size_t i = 0, num; ec == EC_OK && i < num_sources; i += num) {
		const char *name = sources[i].identity;
		for (num = 1; i + num < num_sources && same_name(sources[i + num].identity, name); num++)
			;
		if (names_find(&s->identities, slice_str(name)) != NULL)
			ec = why_set(why, EC_DUPLICATE, "identity %.100s is there twice", name);
		else
			ec = snapshot_put(s, &sources[i], num, why);
	}
	if (ec == EC_OK)
		ec = snapshot_finish(s, default_identity, why);
	if (ec == EC_OK)
		*out = s;
	else
		snapshot_unref(s);
	return ec;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	assert(s->refs > 0);
	s->refs++;
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	names_fini(&s->identities);
	wipe(s->seed, sizeof s->seed);
	free(s);
}

uint64_t snapshot_epoch(const struct snapshot *s)
{
	return s->epoch;
}

size_t snapshot_num(const struct snapshot *s)
{
	return names_num(&s->identities);
}

struct snapshot_identity *snapshot_at(struct snapshot *s, size_t i)
{
	return (struct snapshot_identity *)names_at(&s->identities, i);
}

struct snapshot_identity *snapshot_default(struct snapshot *s)
{
	return s->fallback;
}

struct snapshot_identity *snapshot_find(struct snapshot *s, struct slice sni, bool *out_known)
{
	struct snapshot_identity *id = (struct snapshot_identity *)names_find(&s->identities, sni);
	if (out_known != NULL)
		*out_known = id != NULL;
	return id != NULL ? id : s->fallback;
}

struct presented_key *snapshot_key(struct snapshot_identity *id, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < id->num_keys; i++)
		if (id->keys[i].algorithm == algorithm)
			return &id->keys[i];
	return NULL;
}

void snapshot_attach(struct snapshot_identity *id, void *p, void (*free_p)(void *p))
{
	assert(id->attached_free == NULL);
	id->attached = p;
	id->attached_free = free_p;
}

void snapshot_ticket_key(const struct snapshot *s, const struct snapshot_identity *id,
                         uint8_t out[SNAPSHOT_TICKET_KEY_SIZE])
{
	uint8_t info[8 + 32 * KEY_NUM_ALGORITHMS + 256];
	struct writer w = writer_of(info, sizeof info);
	uint8_t number[8];
	for (size_t i = 0; i < sizeof number; i++)
		number[i] = (uint8_t)(id->generation >> (56 - 8 * i));
	writer_bytes(&w, slice_of(number, sizeof number));
	for (size_t i = 0; i < id->num_keys; i++)
		writer_bytes(&w, slice_of(id->keys[i].spki_sha256, 32));
	/* Last, for its length is not fixed. A name is at most 253 octets. */
	writer_bytes(&w, slice_first(slice_str(id->name), 255));
	assert(!w.bad);
	static const uint8_t salt[] = "danegate session ticket";
	int ok = HKDF(out, SNAPSHOT_TICKET_KEY_SIZE, EVP_sha256(), s->seed, sizeof s->seed, salt, sizeof salt - 1, info,
	              w.len);
	assert(ok == 1);
	(void)ok;
}

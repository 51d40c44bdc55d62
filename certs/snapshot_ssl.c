#include "certs/snapshot_ssl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/digest.h>
#include <openssl/hkdf.h>

struct snapshot {
	size_t refs;
	uint64_t epoch;
	size_t num;
	struct snapshot_identity **sorted; /* by name */
	struct snapshot_identity *fallback;
	uint8_t seed[SNAPSHOT_SEED_SIZE];
};

static struct slice without_dot(struct slice name)
{
	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	return name;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Order of names without case, a shorter one first. */
static int compare(struct slice a, struct slice b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		int d = (int)lower(a.p[i]) - (int)lower(b.p[i]);
		if (d != 0)
			return d;
	}
	return (a.len > b.len) - (a.len < b.len);
}

/* Sets `*out` to the place of `name`, or to where it belongs. */
static bool locate(const struct snapshot *s, struct slice name, size_t *out)
{
	size_t low = 0, high = s->num;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = compare(slice_str(s->sorted[mid]->name), name);
		if (d == 0) {
			*out = mid;
			return true;
		}
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*out = low;
	return false;
}

static struct snapshot_identity *identity_new(struct slice name, uint64_t generation)
{
	struct snapshot_identity *id = calloc(1, sizeof *id);
	if (id == NULL)
		return NULL;
	id->name = malloc(name.len + 1);
	if (id->name == NULL) {
		free(id);
		return NULL;
	}
	for (size_t i = 0; i < name.len; i++)
		id->name[i] = (char)lower(name.p[i]);
	id->name[name.len] = '\0';
	id->generation = generation;
	return id;
}

static void identity_free(struct snapshot_identity *id)
{
	if (id->attached_free != NULL)
		id->attached_free(id->attached);
	for (size_t i = 0; i < id->num_keys; i++)
		loaded_fini(&id->keys[i]);
	free(id->name);
	free(id);
}

/* Keeps the keys in rising order of algorithm. */
static enum ec add_key(struct snapshot_identity *id, struct loaded *key, struct why *why)
{
	enum key_algorithm algorithm = key->info.algorithm;
	if (snapshot_key(id, algorithm) != NULL)
		return why_set(why, EC_DUPLICATE, "two %s keys", key_algorithm_name(algorithm));
	size_t at = id->num_keys;
	while (at > 0 && id->keys[at - 1].info.algorithm > algorithm) {
		id->keys[at] = id->keys[at - 1];
		at--;
	}
	id->keys[at] = *key;
	*key = (struct loaded){ 0 };
	id->num_keys++;
	return EC_OK;
}

static enum ec add_source(struct snapshot *s, const struct snapshot_source *source, struct why *why)
{
	struct slice name = without_dot(slice_str(source->identity));
	struct loaded key = { 0 };
	size_t at = 0;
	if (name.len == 0)
		return why_set(why, EC_SYNTAX, "an identity without a name");
	enum ec ec = load_pair(source->key_pem, source->chain_pem, &key, why);
	if (ec != EC_OK)
		return ec;
	if (key.info.algorithm != source->algorithm) {
		ec = why_set(why, EC_KEY_MISMATCH, "the key is not %s", key_algorithm_name(source->algorithm));
		goto out;
	}
	if (!locate(s, name, &at)) {
		struct snapshot_identity *id = identity_new(name, source->generation);
		if (id == NULL) {
			ec = EC_NO_MEMORY;
			goto out;
		}
		memmove(s->sorted + at + 1, s->sorted + at, (s->num - at) * sizeof *s->sorted);
		s->sorted[at] = id;
		s->num++;
	}
	if (s->sorted[at]->generation != source->generation)
		ec = why_set(why, EC_DUPLICATE, "keys of two generations");
	else
		ec = add_key(s->sorted[at], &key, why);
out:
	loaded_fini(&key);
	return ec;
}

enum ec snapshot_new(const struct snapshot_source *sources, size_t num_sources, const char *default_identity,
                     const uint8_t seed[SNAPSHOT_SEED_SIZE], uint64_t epoch, struct snapshot **out, struct why *why)
{
	*out = NULL;
	struct snapshot *s = calloc(1, sizeof *s);
	if (s == NULL)
		return EC_NO_MEMORY;
	s->refs = 1;
	s->epoch = epoch;
	memcpy(s->seed, seed, sizeof s->seed);
	s->sorted = calloc(num_sources + 1, sizeof(struct snapshot_identity *));
	enum ec ec = s->sorted == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t i = 0; ec == EC_OK && i < num_sources; i++) {
		ec = add_source(s, &sources[i], why);
		if (ec != EC_OK)
			why_prefix(why, "identity %.100s", sources[i].identity);
	}
	size_t at = 0;
	if (ec == EC_OK && !locate(s, without_dot(slice_str(default_identity)), &at))
		ec = why_set(why, EC_MISSING, "the default identity %.100s has no keys", default_identity);
	if (ec != EC_OK) {
		snapshot_unref(s);
		return ec;
	}
	s->fallback = s->sorted[at];
	*out = s;
	return EC_OK;
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
	for (size_t i = 0; i < s->num; i++)
		identity_free(s->sorted[i]);
	free(s->sorted);
	wipe(s->seed, sizeof s->seed);
	free(s);
}

uint64_t snapshot_epoch(const struct snapshot *s)
{
	return s->epoch;
}

size_t snapshot_num(const struct snapshot *s)
{
	return s->num;
}

struct snapshot_identity *snapshot_at(struct snapshot *s, size_t i)
{
	assert(i < s->num);
	return s->sorted[i];
}

struct snapshot_identity *snapshot_default(struct snapshot *s)
{
	return s->fallback;
}

struct snapshot_identity *snapshot_find(struct snapshot *s, struct slice sni, bool *out_known)
{
	size_t at = 0;
	bool known = sni.len > 0 && locate(s, without_dot(sni), &at);
	if (out_known != NULL)
		*out_known = known;
	return known ? s->sorted[at] : s->fallback;
}

struct loaded *snapshot_key(struct snapshot_identity *id, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < id->num_keys; i++)
		if (id->keys[i].info.algorithm == algorithm)
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
		writer_bytes(&w, slice_of(id->keys[i].info.chain[0].spki_sha256, 32));
	/* Last, for its length is not fixed. A name is at most 253 octets. */
	writer_bytes(&w, slice_first(slice_str(id->name), 255));
	assert(!w.bad);
	static const uint8_t salt[] = "danegate session ticket";
	int ok = HKDF(out, SNAPSHOT_TICKET_KEY_SIZE, EVP_sha256(), s->seed, sizeof s->seed, salt, sizeof salt - 1, info,
	              w.len);
	assert(ok == 1);
	(void)ok;
}

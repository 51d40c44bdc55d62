#include "certs/import_fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/load_ssl.h"

enum { IMPORT_TRIES = 5 };

struct version {
	struct stat chain;
	struct stat key;
};

static bool take_version(const struct import_pair *pair, struct version *out)
{
	return stat(pair->chain, &out->chain) == 0 && stat(pair->key, &out->key) == 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The usual layout is a symbolic link to the newest version, so links are
 * followed here; the store itself never does. */
static enum ec read_at(const char *path, bool secret, struct bytes *out, struct why *why)
{
	char real[4096];
	if (realpath(path, real) == NULL)
		return why_set(why, EC_NOT_FOUND, "%s is not there, or its directory is closed to us", path);
	return disk_read(AT_FDCWD, real, LOAD_PEM_MAX, secret, out, why);
}

static enum ec read_once(const struct import_pair *pair, struct store_key *out, struct why *why)
{
	struct bytes key = { 0 };
	struct loaded l = { 0 };
	enum ec ec = read_at(pair->key, true, &key, why);
	if (ec == EC_OK)
		ec = read_at(pair->chain, false, &out->chain_pem, why);
	if (ec == EC_OK) {
		ec = load_pair(bytes_slice(&key), bytes_slice(&out->chain_pem), &l, why);
		if (ec != EC_OK)
			why_prefix(why, "%s and %s", pair->chain, pair->key);
	}
	out->algorithm = l.info.algorithm;
	loaded_fini(&l);
	if (ec == EC_OK)
		ec = secret_copy(&out->key_pem, bytes_slice(&key));
	if (key.p != NULL)
		wipe(key.p, key.cap);
	bytes_fini(&key);
	return ec;
}

static void forget(struct store_key *k)
{
	secret_fini(&k->key_pem);
	bytes_fini(&k->chain_pem);
}

static enum ec read_pair(const struct import_pair *pair, struct store_key *out, struct why *why)
{
	enum ec ec = EC_AGAIN;
	for (int i = 0; i < IMPORT_TRIES; i++) {
		struct version before, after;
		bool there = take_version(pair, &before);
		ec = read_once(pair, out, why);
		bool same = there && take_version(pair, &after) && same_file(&before.chain, &after.chain) &&
		            same_file(&before.key, &after.key);
		if (same || !there)
			return ec;
		forget(out);
		ec = why_set(why, EC_AGAIN, "%s or %s changes while it is being read", pair->chain, pair->key);
	}
	return ec;
}

enum ec import_read(const struct import_pair *pairs, size_t num, struct store_keys *out, struct why *why)
{
	*out = (struct store_keys){ 0 };
	enum ec ec = EC_OK;
	if (num == 0 || num > KEY_NUM_ALGORITHMS)
		return why_set(why, EC_RANGE, "1 to %d pairs of chain and key can be imported, not %zu", KEY_NUM_ALGORITHMS,
		               num);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		struct store_key k = { 0 };
		ec = read_pair(&pairs[i], &k, why);
		size_t at = out->num;
		for (size_t j = 0; ec == EC_OK && j < out->num; j++)
			if (out->keys[j].algorithm == k.algorithm)
				ec = why_set(why, EC_DUPLICATE, "%s is a second %s key", pairs[i].key,
				             key_algorithm_name(k.algorithm));
		if (ec != EC_OK) {
			forget(&k);
			break;
		}
		/* In rising order of algorithm, as everywhere. */
		while (at > 0 && out->keys[at - 1].algorithm > k.algorithm) {
			out->keys[at] = out->keys[at - 1];
			at--;
		}
		out->keys[at] = k;
		out->num++;
	}
	if (ec != EC_OK)
		store_keys_fini(out);
	return ec;
}

static bool same(const struct store_keys *keys, const struct generation *g, bool chains)
{
	bool eq = keys->num == g->num_keys;
	for (size_t i = 0; eq && i < keys->num; i++) {
		const struct store_key *k = &keys->keys[i];
		struct loaded l = { 0 };
		eq = load_pair(slice_of(k->key_pem.p, k->key_pem.len), bytes_slice(&k->chain_pem), &l, NULL) == EC_OK;
		const struct key_info *a = &l.info, *b = eq ? generation_key(g, k->algorithm) : NULL;
		eq = b != NULL && memcmp(a->chain[0].spki_sha256, b->chain[0].spki_sha256, 32) == 0;
		if (eq && chains) {
			eq = a->num_chain == b->num_chain;
			for (size_t j = 0; eq && j < a->num_chain; j++)
				eq = memcmp(a->chain[j].cert_sha256, b->chain[j].cert_sha256, 32) == 0;
		}
		loaded_fini(&l);
	}
	return eq;
}

bool import_same_keys(const struct store_keys *keys, const struct generation *g)
{
	return same(keys, g, false);
}

bool import_same_chains(const struct store_keys *keys, const struct generation *g)
{
	return same(keys, g, true);
}

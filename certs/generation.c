#include "certs/generation.h"

#include <assert.h>
#include <string.h>

#include "config/config.h"

static const char *const algorithm_names[] = { [KEY_ECDSA_P256] = "ecdsa-p256", [KEY_RSA_3072] = "rsa-3072" };
static_assert(sizeof algorithm_names / sizeof algorithm_names[0] == KEY_NUM_ALGORITHMS, "a name for each algorithm");
static_assert((int)KEY_ECDSA_P256 == (int)CONFIG_ECDSA_P256 && (int)KEY_RSA_3072 == (int)CONFIG_RSA_3072 &&
                      (int)KEY_NUM_ALGORITHMS == (int)CONFIG_NUM_ALGORITHMS,
              "the configuration counts algorithms in the same order");

const char *key_algorithm_name(enum key_algorithm algorithm)
{
	assert((unsigned)algorithm < KEY_NUM_ALGORITHMS);
	return algorithm_names[algorithm];
}

bool key_algorithm_parse(struct slice text, enum key_algorithm *out)
{
	for (unsigned i = 0; i < KEY_NUM_ALGORITHMS; i++) {
		if (slice_eq(slice_str(algorithm_names[i]), text)) {
			*out = (enum key_algorithm)i;
			return true;
		}
	}
	return false;
}

enum generation_role generation_role_of(uint64_t number, uint64_t active)
{
	return number == active ? GENERATION_ACTIVE : number > active ? GENERATION_STANDBY : GENERATION_RETIRED;
}

const char *generation_role_name(enum generation_role role)
{
	static const char *const names[] = { [GENERATION_STANDBY] = "standby",
		                             [GENERATION_ACTIVE] = "active",
		                             [GENERATION_RETIRED] = "retired" };
	assert((unsigned)role < sizeof names / sizeof names[0]);
	return names[role];
}

const struct key_info *generation_key(const struct generation *g, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < g->num_keys; i++)
		if (g->keys[i].algorithm == algorithm)
			return &g->keys[i];
	return NULL;
}

/* Of arrays only what is in use is kept: the first digest always is. */
static size_t digests_of(const struct key_info *k)
{
	return k->num_chain == 0 ? 1 : k->num_chain;
}

enum ec generation_pack(const struct generation *g, struct bytes *out)
{
	enum ec ec = bytes_append(out, slice_of(g, offsetof(struct generation, keys)));
	for (size_t i = 0; ec == EC_OK && i < g->num_keys; i++) {
		const struct key_info *k = &g->keys[i];
		size_t used = offsetof(struct key_info, chain) + digests_of(k) * sizeof k->chain[0];
		ec = bytes_append(out, slice_of(k, used));
	}
	return ec;
}

static void take(struct slice *in, void *out, size_t len)
{
	assert(in->len >= len);
	memcpy(out, in->p, len);
	*in = slice_from(*in, len);
}

void generation_unpack(struct slice *in, struct generation *out)
{
	memset(out, 0, sizeof *out);
	take(in, out, offsetof(struct generation, keys));
	for (size_t i = 0; i < out->num_keys; i++) {
		struct key_info *k = &out->keys[i];
		take(in, k, offsetof(struct key_info, chain));
		take(in, k->chain, digests_of(k) * sizeof k->chain[0]);
	}
}

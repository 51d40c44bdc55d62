#include "certs/generation.h"

#include <assert.h>

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

#include "tlsa-sync/agent_report.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum ec read_number(const json_t *object, const char *key, int64_t *out, struct why *why)
{
	const json_t *v = json_object_get(object, key);
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return why_set(why, EC_SYNTAX, "the report's \"%s\" is not a number", key);
	*out = json_integer_value(v);
	return EC_OK;
}

/* An older danegate does not say it: then it stays zero. */
static bool read_digest(const json_t *value, const char *key, uint8_t *out, size_t len)
{
	const char *digest = json_string_value(json_object_get(value, key));
	if (digest != NULL && hex_decode(out, len, slice_str(digest)))
		return true;
	memset(out, 0, len);
	return false;
}

/* Nothing is known of a list with a word that is not known here. */
static unsigned read_algorithms(const json_t *one)
{
	const json_t *list = json_object_get(one, "algorithms");
	unsigned set = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		enum key_algorithm algorithm;
		if (name == NULL || !key_algorithm_parse(slice_str(name), &algorithm))
			return 0;
		set |= 1u << algorithm;
	}
	return set;
}

static enum ec read_key(const json_t *value, struct key_info *out, struct why *why)
{
	const char *algorithm = json_string_value(json_object_get(value, "algorithm"));
	const char *digest = json_string_value(json_object_get(value, "spki_sha256"));
	*out = (struct key_info){ 0 };
	if (algorithm == NULL || !key_algorithm_parse(slice_str(algorithm), &out->algorithm))
		return why_set(why, EC_SYNTAX, "the report names a key algorithm that is not known here");
	if (digest == NULL || !hex_decode(out->chain[0].spki_sha256, 32, slice_str(digest)))
		return why_set(why, EC_SYNTAX, "the report's \"spki_sha256\" is not 64 hex digits");
	out->num_chain = 1;
	out->certified = json_is_true(json_object_get(value, "certified"));
	const char *issuer = json_string_value(json_object_get(value, "issuer"));
	out->issuer = issuer != NULL && strcmp(issuer, "ca") == 0 ? CERT_CA : CERT_SELF_SIGNED;
	(void)read_digest(value, "spki_sha512", out->chain[0].spki_sha512, 64);
	if (!out->certified)
		return EC_OK;
	(void)read_digest(value, "cert_sha256", out->chain[0].cert_sha256, 32);
	(void)read_digest(value, "cert_sha512", out->chain[0].cert_sha512, 64);
	if (read_digest(value, "issuer_spki_sha256", out->chain[1].spki_sha256, 32) &&
	    read_digest(value, "issuer_cert_sha256", out->chain[1].cert_sha256, 32))
		out->num_chain = 2;
	enum ec ec = read_number(value, "not_before", &out->not_before.s, why);
	return ec == EC_OK ? read_number(value, "not_after", &out->not_after.s, why) : ec;
}

static enum ec read_generation(const json_t *value, uint64_t active, struct generation *out, struct why *why)
{
	int64_t number = 0;
	int64_t created = 0;
	enum ec ec = read_number(value, "number", &number, why);
	if (ec == EC_OK)
		ec = read_number(value, "created", &created, why);
	if (ec != EC_OK)
		return ec;
	if (number == 0)
		return why_set(why, EC_SYNTAX, "the report has a generation number 0");
	*out = (struct generation){
		.number = (uint64_t)number,
		.role = generation_role_of((uint64_t)number, active),
		.created = { created },
	};
	const json_t *keys = json_object_get(value, "keys");
	size_t num = json_array_size(keys);
	if (num == 0 || num > KEY_NUM_ALGORITHMS)
		return why_set(why, EC_SYNTAX, "generation %lld has %zu keys", (long long)number, num);
	for (size_t i = 0; i < num; i++) {
		struct key_info key;
		ec = read_key(json_array_get(keys, i), &key, why);
		if (ec != EC_OK)
			return ec;
		if (generation_key(out, key.algorithm) != NULL)
			return why_set(why, EC_SYNTAX, "generation %lld has two %s keys", (long long)number,
			               key_algorithm_name(key.algorithm));
		out->keys[out->num_keys++] = key;
	}
	return EC_OK;
}

static const json_t *find_identity(const json_t *answer, const char *identity)
{
	const json_t *all = json_object_get(answer, "identities");
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		const char *name = json_string_value(json_object_get(one, "name"));
		if (name != NULL && strcasecmp(name, identity) == 0)
			return one;
	}
	return NULL;
}

/* The pin guard's words are worth showing only when it stands in the way. */
static void read_guard(const json_t *one, struct agent_report *out)
{
	const char *guard = json_string_value(json_object_get(one, "guard"));
	const char *why = json_string_value(json_object_get(one, "why"));
	if (guard == NULL || strcmp(guard, "allowed") == 0)
		return;
	(void)snprintf(out->words, sizeof out->words, "its pin guard %s: %s",
	               strcmp(guard, "refused") == 0 ? "refuses" : "is waiting", why == NULL ? "" : why);
	out->report.words = out->words;
}

enum ec agent_report_read(const json_t *answer, const char *identity, struct agent_report *out, struct why *why)
{
	*out = (struct agent_report){ 0 };
	const json_t *one = find_identity(answer, identity);
	if (one == NULL)
		return why_set(why, EC_NOT_FOUND, "this danegate does not serve %s; add it to its identities: and reload",
		               identity);
	int64_t active = 0;
	int64_t presented = 0;
	enum ec ec = read_number(one, "active", &active, why);
	if (ec == EC_OK)
		ec = read_number(one, "presented", &presented, why);
	if (ec != EC_OK)
		return ec;
	const json_t *generations = json_object_get(one, "generations");
	size_t num = json_array_size(generations);
	if (num > AGENT_GENERATIONS_MAX)
		return why_set(why, EC_LIMIT, "%zu generations; at most %d are expected", num, AGENT_GENERATIONS_MAX);
	for (size_t i = 0; i < num; i++) {
		ec = read_generation(json_array_get(generations, i), (uint64_t)active, &out->generations[i], why);
		if (ec != EC_OK)
			return ec;
		for (size_t k = 0; k < i; k++)
			if (out->generations[k].number == out->generations[i].number)
				return why_set(why, EC_SYNTAX, "generation %llu is reported twice",
				               (unsigned long long)out->generations[i].number);
	}
	out->report = (struct report){
		.active = (uint64_t)active,
		.presented = (uint64_t)presented,
		.algorithms = read_algorithms(one),
		.num_generations = num,
		.generations = out->generations,
	};
	read_guard(one, out);
	return EC_OK;
}

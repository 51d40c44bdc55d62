#include "proxy/super/control.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "proxy/relay/health.h"

enum { IDENTITY_MAX = 253 }; /* RFC 1035 2.3.4, as text and without the last dot */

/* What a command takes, all of it mandatory but MAYBE_. */
enum { IDENTITY = 1, GENERATION = 2, ALGORITHM = 4, CHAIN = 8, MAYBE_IDENTITY = 16, MAYBE_FROM = 32, HOP = 64 };

static const struct {
	const char *word;
	unsigned takes;
} commands[CONTROL_NUM] = {
	[CONTROL_HELLO] = { "hello", 0 },
	[CONTROL_REPORT] = { "report", MAYBE_IDENTITY | MAYBE_FROM },
	[CONTROL_PREPARE] = { "prepare", IDENTITY },
	[CONTROL_CSR] = { "csr", IDENTITY | GENERATION | ALGORITHM },
	[CONTROL_INSTALL] = { "install", IDENTITY | GENERATION | ALGORITHM | CHAIN },
	[CONTROL_RENEW] = { "renew", IDENTITY | GENERATION | ALGORITHM },
	[CONTROL_SWAP] = { "swap", IDENTITY | GENERATION },
	[CONTROL_RETIRE] = { "retire", IDENTITY | GENERATION },
	[CONTROL_RELOAD] = { "reload", 0 },
	[CONTROL_DRAIN] = { "drain", HOP },
	[CONTROL_UNDRAIN] = { "undrain", HOP },
};

const char *control_word(enum control_command command)
{
	return commands[command].word;
}

static enum ec unknown(struct why *why)
{
	char list[128];
	struct writer w = writer_of(list, sizeof list);
	for (size_t i = 0; i < CONTROL_NUM; i++)
		writer_format(&w, "%s%s", i == 0 ? "" : ", ", commands[i].word);
	return why_set(why, EC_UNKNOWN_KEY, "unknown \"do\"; there are %s", list);
}

/* The member must be there, and a text. */
static enum ec text_of(const json_t *json, const char *key, const char **out, struct why *why)
{
	const json_t *value = json_object_get(json, key);
	*out = json_string_value(value);
	if (value == NULL)
		return why_set(why, EC_MISSING, "\"%s\" is missing", key);
	if (*out == NULL || (*out)[0] == '\0')
		return why_set(why, EC_SYNTAX, "\"%s\" is not a text, or an empty one", key);
	return EC_OK;
}

static enum ec take_command(struct control_request *r, struct why *why)
{
	const char *word;
	if (!json_is_object(r->json) || json_object_get(r->json, "do") == NULL)
		return why_set(why, EC_SYNTAX, "a request is a JSON object with \"do\", e.g. {\"do\":\"report\"}");
	enum ec ec = text_of(r->json, "do", &word, why);
	if (ec != EC_OK)
		return ec;
	for (size_t i = 0; i < CONTROL_NUM; i++) {
		if (strcmp(word, commands[i].word) == 0) {
			r->command = (enum control_command)i;
			return EC_OK;
		}
	}
	return unknown(why);
}

/* A name is of visible ASCII; `what` it is. */
static enum ec name_of(const json_t *json, const char *key, size_t max, const char *what, const char *example, const char **out,
                       struct why *why)
{
	enum ec ec = text_of(json, key, out, why);
	if (ec != EC_OK)
		return ec;
	size_t len = 0;
	while ((*out)[len] > 0x20 && (*out)[len] < 0x7f)
		len++;
	if ((*out)[len] != '\0')
		return why_set(why, EC_SYNTAX, "\"%s\" is not a %s; e.g. %s", key, what, example);
	if (len > max)
		return why_set(why, EC_RANGE, "\"%s\" is longer than a %s can be", key, what);
	return EC_OK;
}

static enum ec take_identity(struct control_request *r, struct why *why)
{
	return name_of(r->json, "identity", IDENTITY_MAX, "host name", "mx1.example.org", &r->identity, why);
}

static enum ec take_hop(struct control_request *r, struct why *why)
{
	return name_of(r->json, "hop", HEALTH_NAME_SIZE - 1, "next hop", "mx1.example.org:25, 192.0.2.1:25, unix:/path", &r->hop, why);
}

static enum ec take_generation(struct control_request *r, struct why *why)
{
	const json_t *n = json_object_get(r->json, "generation");
	if (n == NULL)
		return why_set(why, EC_MISSING, "\"generation\" is missing");
	if (!json_is_integer(n))
		return why_set(why, EC_SYNTAX, "\"generation\" is not a whole number");
	if (json_integer_value(n) < 1)
		return why_set(why, EC_RANGE, "\"generation\" is not positive");
	r->generation = (uint64_t)json_integer_value(n);
	return EC_OK;
}

static enum ec take_from(struct control_request *r, struct why *why)
{
	const json_t *n = json_object_get(r->json, "from");
	if (n == NULL)
		return EC_OK;
	if (!json_is_integer(n))
		return why_set(why, EC_SYNTAX, "\"from\" is not a whole number");
	if (json_integer_value(n) < 0)
		return why_set(why, EC_RANGE, "\"from\" is negative");
	r->from = (uint64_t)json_integer_value(n);
	return EC_OK;
}

static enum ec take_algorithm(struct control_request *r, struct why *why)
{
	const char *word;
	enum ec ec = text_of(r->json, "algorithm", &word, why);
	if (ec == EC_OK && !key_algorithm_parse(slice_str(word), &r->algorithm))
		ec = why_set(why, EC_SYNTAX, "unknown \"algorithm\"; there are ecdsa-p256 and rsa-3072");
	return ec;
}

static enum ec take_all(struct control_request *r, struct why *why)
{
	enum ec ec = take_command(r, why);
	unsigned takes = ec == EC_OK ? commands[r->command].takes : 0;
	bool identity = (takes & IDENTITY) != 0 ||
	                ((takes & MAYBE_IDENTITY) != 0 && json_object_get(r->json, "identity") != NULL);
	if (ec == EC_OK && identity)
		ec = take_identity(r, why);
	if (ec == EC_OK && (takes & MAYBE_FROM) != 0)
		ec = take_from(r, why);
	if (ec == EC_OK && (takes & GENERATION) != 0)
		ec = take_generation(r, why);
	if (ec == EC_OK && (takes & ALGORITHM) != 0)
		ec = take_algorithm(r, why);
	if (ec == EC_OK && (takes & HOP) != 0)
		ec = take_hop(r, why);
	if (ec == EC_OK && (takes & CHAIN) != 0)
		ec = text_of(r->json, "chain", &r->chain, why);
	return ec;
}

/* The parser's words quote the line: what can't stand in an answer becomes '?'. */
static enum ec no_json(const json_error_t *error, struct why *why)
{
	if (error->text[0] == '\0')
		return why_set(why, EC_NO_MEMORY, "out of memory");
	char words[JSON_ERROR_TEXT_LENGTH];
	(void)snprintf(words, sizeof words, "%s", error->text);
	printable(words, strlen(words));
	return why_set(why, EC_SYNTAX, "not JSON: %s; a request is an object like {\"do\":\"report\"}", words);
}

enum ec control_parse(struct slice line, struct control_request *out, struct why *why)
{
	json_error_t error = { .text = "" };
	*out = (struct control_request){ .json = json_loadb((const char *)line.p, line.len, JSON_REJECT_DUPLICATES, &error) };
	enum ec ec = out->json == NULL ? no_json(&error, why) : take_all(out, why);
	if (ec != EC_OK)
		control_fini(out);
	return ec;
}

void control_fini(struct control_request *r)
{
	json_decref(r->json);
	*r = (struct control_request){ 0 };
}

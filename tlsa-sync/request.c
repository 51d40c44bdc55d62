/* One table of verbs with the options each may have, one of options with their type. */
#include "tlsa-sync/request.h"

#include <stddef.h>
#include <string.h>

enum option {
	OPTION_IDENTITY = 1 << 0,
	OPTION_COLOUR = 1 << 1,
	OPTION_ROTATE = 1 << 2,
	OPTION_EMERGENCY = 1 << 3,
	OPTION_FORCE = 1 << 4,
	OPTION_NUM = 1 << 5
};

static const struct verb_row {
	const char *name;
	unsigned options;
	bool changes;
} verbs[REQUEST_NUM_VERBS] = {
	[REQUEST_HELLO] = { "hello", 0, false },
	[REQUEST_STATUS] = { "status", OPTION_IDENTITY | OPTION_COLOUR, false },
	[REQUEST_ROLL] = { "roll", OPTION_IDENTITY, false },
	[REQUEST_PLAN] = { "plan", OPTION_IDENTITY | OPTION_ROTATE | OPTION_EMERGENCY, false },
	[REQUEST_EXPLAIN] = { "explain", OPTION_IDENTITY | OPTION_COLOUR, false },
	[REQUEST_HISTORY] = { "history", OPTION_IDENTITY | OPTION_NUM, false },
	[REQUEST_ROTATE] = { "rotate", OPTION_IDENTITY | OPTION_EMERGENCY | OPTION_FORCE, true },
	[REQUEST_ROLLBACK] = { "rollback", OPTION_IDENTITY, true },
	[REQUEST_ABORT] = { "abort", OPTION_IDENTITY, true },
	[REQUEST_DISABLE] = { "disable", OPTION_IDENTITY, true },
	[REQUEST_ENABLE] = { "enable", OPTION_IDENTITY, true },
	[REQUEST_RENEW] = { "renew", OPTION_IDENTITY, true },
};

/* The flags; "identity" and "num" are read by hand. */
static const struct flag_row {
	const char *name;
	enum option option;
	size_t offset;
} flags[] = {
	{ "colour", OPTION_COLOUR, offsetof(struct request, colour) },
	{ "rotate", OPTION_ROTATE, offsetof(struct request, rotate) },
	{ "emergency", OPTION_EMERGENCY, offsetof(struct request, emergency) },
	{ "force", OPTION_FORCE, offsetof(struct request, force) },
};
enum { NUM_FLAGS = sizeof flags / sizeof flags[0] };

const char *request_name(enum request_verb verb)
{
	return verbs[verb].name;
}

bool request_changes(enum request_verb verb)
{
	return verbs[verb].changes;
}

enum { SHOWN_SIZE = 81 };

/* shown makes a peer's text fit to be repeated: printable ASCII, and not much of it. */
static const char *shown(char out[SHOWN_SIZE], const char *text)
{
	size_t n = 0;
	for (; text[n] != '\0' && n < SHOWN_SIZE - 1; n++)
		out[n] = text[n] >= ' ' && text[n] < 127 ? text[n] : '?';
	out[n] = '\0';
	return out;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/* The name is looked up in a list, so its form needs no more than to be harmless. */
static enum ec read_identity(const json_t *value, struct request *out, struct why *why)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	if (text == NULL)
		return why_set(why, EC_SYNTAX, "\"identity\" must be a string, an MX host name");
	bool fine = len < sizeof out->identity;
	for (size_t i = 0; fine && i < len; i++)
		fine = is_host_byte(text[i]);
	if (!fine)
		return why_set(why, EC_SYNTAX, "\"identity\" is not a host name");
	memcpy(out->identity, text, len + 1);
	return EC_OK;
}

static enum ec read_num(const json_t *value, struct request *out, struct why *why)
{
	json_int_t n = json_integer_value(value);
	if (!json_is_integer(value))
		return why_set(why, EC_SYNTAX, "\"num\" must be a number");
	if (n < 1 || n > REQUEST_LINES_MAX)
		return why_set(why, EC_RANGE, "\"num\" must be from 1 to %d", REQUEST_LINES_MAX);
	out->num = (unsigned)n;
	return EC_OK;
}

static bool *flag_at(struct request *r, const struct flag_row *row)
{
	return (bool *)(void *)((char *)r + row->offset);
}

static enum ec read_option(const char *key, const json_t *value, struct request *out, struct why *why)
{
	unsigned allowed = verbs[out->verb].options;
	char word[SHOWN_SIZE];
	if (strcmp(key, "identity") == 0 && (allowed & OPTION_IDENTITY) != 0)
		return read_identity(value, out, why);
	if (strcmp(key, "num") == 0 && (allowed & OPTION_NUM) != 0)
		return read_num(value, out, why);
	for (size_t i = 0; i < NUM_FLAGS; i++) {
		if (strcmp(key, flags[i].name) != 0 || (allowed & flags[i].option) == 0)
			continue;
		if (!json_is_boolean(value))
			return why_set(why, EC_SYNTAX, "\"%s\" must be true or false", flags[i].name);
		*flag_at(out, &flags[i]) = json_is_true(value);
		return EC_OK;
	}
	return why_set(why, EC_UNKNOWN_KEY, "\"%s\" takes no option \"%s\"", verbs[out->verb].name, shown(word, key));
}

static enum ec read_verb(const json_t *object, struct request *out, struct why *why)
{
	const json_t *value = json_object_get(object, "do");
	const char *verb = json_string_value(value);
	char word[SHOWN_SIZE];
	if (value == NULL)
		return why_set(why, EC_MISSING, "not a request: it has no \"do\"");
	if (verb == NULL)
		return why_set(why, EC_SYNTAX, "\"do\" must be a string");
	for (int i = 0; i < REQUEST_NUM_VERBS; i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		out->verb = (enum request_verb)i;
		return EC_OK;
	}
	return why_set(why, EC_UNSUPPORTED, "unknown request \"%s\"", shown(word, verb));
}

static enum ec read_object(json_t *object, struct request *out, struct why *why)
{
	if (!json_is_object(object))
		return why_set(why, EC_SYNTAX, "not a request: a JSON object with \"do\" is expected");
	enum ec ec = read_verb(object, out, why);
	const char *key;
	json_t *value;
	if (ec == EC_OK) {
		json_object_foreach(object, key, value) {
			if (ec == EC_OK && strcmp(key, "do") != 0)
				ec = read_option(key, value, out, why);
		}
	}
	if (ec == EC_OK && out->force && !out->emergency)
		return why_set(why, EC_MISSING, "\"force\" goes with \"emergency\"");
	if (ec == EC_OK && out->verb == REQUEST_PLAN && out->rotate && out->emergency)
		return why_set(why, EC_DUPLICATE, "\"rotate\" and \"emergency\": one of them");
	if (ec == EC_OK && out->verb == REQUEST_HISTORY && out->num == 0)
		out->num = REQUEST_LINES;
	return ec;
}

enum ec request_parse(struct slice line, struct request *out, struct why *why)
{
	*out = (struct request){ 0 };
	json_error_t error = { 0 };
	char words[SHOWN_SIZE];
	json_t *object = json_loadb((const char *)line.p, line.len, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		return why_set(why, EC_SYNTAX, "not a request: at byte %d: %s", error.position, shown(words, error.text));
	enum ec ec = read_object(object, out, why);
	json_decref(object);
	if (ec != EC_OK)
		*out = (struct request){ 0 };
	return ec;
}

json_t *request_json(const struct request *r)
{
	json_t *object = json_pack("{s:s}", "do", verbs[r->verb].name);
	int failed = object == NULL;
	if (!failed && r->identity[0] != '\0')
		failed |= json_object_set_new(object, "identity", json_string(r->identity));
	for (size_t i = 0; !failed && i < NUM_FLAGS; i++)
		if (*(const bool *)(const void *)((const char *)r + flags[i].offset))
			failed |= json_object_set_new(object, flags[i].name, json_true());
	if (!failed && r->num != 0)
		failed |= json_object_set_new(object, "num", json_integer(r->num));
	if (failed != 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

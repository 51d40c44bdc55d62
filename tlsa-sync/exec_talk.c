#include "tlsa-sync/exec_talk.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

static json_t *set_json(const struct tlsa_set *set)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < set->num; i++) {
		char text[TLSA_TEXT_SIZE];
		tlsa_print(text, &set->items[i]);
		(void)json_array_append_new(list, json_string(text));
	}
	return list;
}

/* With the last dot: what reads zone files takes it for a whole name. */
static json_t *name_json(const struct dns_name *name)
{
	char text[DNS_NAME_TEXT_SIZE + 1];
	dns_name_print(text, name);
	return json_sprintf("%s%s", text, dns_name_is_root(name) ? "" : ".");
}

enum ec exec_request_print(const struct exec_request *r, struct bytes *out)
{
	json_t *j = json_pack("{s:i, s:b, s:s, s:o, s:o, s:I, s:o, s:o, s:o}", "protocol", EXEC_PROTOCOL, "dry_run", r->dry_run,
	                      "identity", r->identity, "zone", name_json(r->zone), "owner", name_json(r->owner), "ttl",
	                      (json_int_t)r->ttl_s, "add", set_json(r->adds), "delete", set_json(r->deletes), "wanted",
	                      set_json(r->wanted));
	char *text = j == NULL ? NULL : json_dumps(j, JSON_COMPACT);
	enum ec ec = text == NULL ? EC_NO_MEMORY : bytes_append(out, slice_str(text));
	if (ec == EC_OK)
		ec = bytes_append(out, SLICE_LIT("\n"));
	free(text);
	json_decref(j);
	return ec;
}

static void take_words(const json_t *answer, struct why *why)
{
	const char *text = json_string_value(json_object_get(answer, "why"));
	(void)why_set(why, EC_OK, "%s", text == NULL ? "" : text);
	printable(why->text, strlen(why->text));
}

static enum outcome judge(const json_t *answer, bool succeeded, bool dry_run, struct why *why)
{
	const json_t *ok = json_object_get(answer, "ok"), *applied = json_object_get(answer, "applied");
	if (!json_is_boolean(ok) || (applied != NULL && !json_is_boolean(applied))) {
		(void)why_set(why, EC_SYNTAX, "its answer lacks \"ok\": true or false, or has an \"applied\" that is neither");
		return OUTCOME_UNKNOWN;
	}
	if (json_is_true(ok) && !succeeded) {
		(void)why_set(why, EC_SYNTAX, "it says ok and exits with an error");
		return OUTCOME_UNKNOWN;
	}
	if (json_is_true(ok) && !dry_run && json_is_false(applied)) {
		(void)why_set(why, EC_SYNTAX, "it says ok, and that it applied nothing");
		return OUTCOME_UNKNOWN;
	}
	if (json_is_true(ok) && dry_run && json_is_true(applied)) {
		(void)why_set(why, EC_SYNTAX, "it says that it applied the change, but this was a dry run");
		return OUTCOME_UNKNOWN;
	}
	take_words(answer, why);
	if (json_is_true(ok))
		return OUTCOME_OK;
	if (why->text[0] == '\0')
		(void)why_set(why, EC_SYNTAX, "it refused, without a reason");
	if (dry_run || json_is_false(applied))
		return OUTCOME_FAILED;
	return OUTCOME_UNKNOWN;
}

enum outcome exec_answer_read(struct slice out, bool succeeded, bool dry_run, struct why *why)
{
	json_error_t error;
	json_t *answer = NULL;
	if (out.len > 0)
		answer = json_loadb((const char *)out.p, out.len, JSON_REJECT_DUPLICATES, &error);
	enum outcome outcome = dry_run ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
	if (out.len == 0)
		(void)why_set(why, EC_SYNTAX, "it printed no answer");
	else if (!json_is_object(answer))
		(void)why_set(why, EC_SYNTAX, "its answer is no JSON object");
	else
		outcome = judge(answer, succeeded, dry_run, why);
	json_decref(answer);
	return outcome;
}

#include "tlsa-sync/serve_uv.h"

#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/details.h"
#include "tlsa-sync/plan.h"
#include "tlsa-sync/status_text.h"

static json_t *refusal(enum ec ec, const struct why *why)
{
	const char *words = why->text[0] != '\0' ? why->text : ec_text(ec);
	return json_pack("{s:b, s:s, s:s}", "ok", 0, "ec", ec_name(ec), "why", words);
}

static json_t *out_of_memory(void)
{
	struct why why = { 0 };
	return refusal(EC_NO_MEMORY, &why);
}

/* json_text makes a string of bytes that may not be UTF-8 (a peer's words). */
static json_t *json_text(struct slice s)
{
	json_t *t = json_stringn((const char *)s.p, s.len);
	if (t != NULL || s.len == 0)
		return t == NULL ? json_string("") : t;
	char *copy = malloc(s.len);
	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < s.len; i++)
		copy[i] = s.p[i] < 128 ? (char)s.p[i] : '?';
	t = json_stringn(copy, s.len);
	free(copy);
	return t;
}

static const char *identity_of(const json_t *request)
{
	return json_string_value(json_object_get(request, "identity"));
}

static struct controller *find(struct daemon *d, const json_t *request, enum ec *out_ec, struct why *why)
{
	size_t i = 0;
	*out_ec = daemon_find(d, identity_of(request), &i, why);
	return *out_ec == EC_OK ? daemon_world(d)->controllers[i] : NULL;
}

/* --- status --- */

static enum ec text_of(struct view *views, size_t num, bool colour, struct bytes *out)
{
	const struct facts **facts = calloc(num + 1, sizeof *facts);
	struct decision *decisions = calloc(num + 1, sizeof *decisions);
	enum ec ec = facts == NULL || decisions == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		facts[i] = views[i].facts;
		decisions[i] = views[i].decision;
	}
	if (ec == EC_OK)
		ec = status_text(facts, decisions, num, views[0].now, colour, out);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		ec = bytes_append(out, SLICE_LIT("\n"));
		if (ec == EC_OK)
			ec = details_text(&views[i], out);
	}
	free(facts);
	free(decisions);
	return ec;
}

static json_t *view_json(const struct view *v)
{
	json_t *one = rollover_json(v->facts, v->policy, &v->decision, v->now);
	if (one == NULL)
		return NULL;
	(void)json_object_set_new(one, "activity", json_string(rollover_action_name(v->activity)));
	(void)json_object_set_new(one, "trouble", json_text(slice_str(v->trouble)));
	(void)json_object_set_new(one, "next_update_s", json_integer(v->next_update_s));
	return one;
}

static json_t *answer_status(struct daemon *d, const json_t *request)
{
	struct controller_world *w = daemon_world(d);
	size_t first = 0;
	size_t num = w->num_controllers;
	struct why why = { 0 };
	if (identity_of(request) != NULL) {
		enum ec ec = daemon_find(d, identity_of(request), &first, &why);
		if (ec != EC_OK)
			return refusal(ec, &why);
		num = 1;
	}
	struct view *views = calloc(num + 1, sizeof *views);
	json_t *identities = json_array();
	struct bytes text = { 0 };
	enum ec ec = views == NULL || identities == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		controller_view(w->controllers[first + i], &views[i]);
		if (json_array_append_new(identities, view_json(&views[i])) != 0)
			ec = EC_NO_MEMORY;
	}
	if (ec == EC_OK)
		ec = text_of(views, num, json_is_true(json_object_get(request, "colour")), &text);
	json_t *answer = ec != EC_OK ? out_of_memory()
	                             : json_pack("{s:b, s:O, s:o}", "ok", 1, "identities", identities, "text",
	                                         json_text(bytes_slice(&text)));
	json_decref(identities);
	bytes_fini(&text);
	free(views);
	return answer;
}

/* --- how the roll stands, for rotate --wait --- */

static json_t *answer_roll(struct daemon *d, const json_t *request)
{
	static const char *const ends[ROLL_END_NUM] = {
		[ROLL_RUNNING] = "running",
		[ROLL_DONE] = "done",
		[ROLL_BACK] = "back",
		[ROLL_ABORTED] = "aborted",
	};
	enum ec ec;
	struct why why = { 0 };
	struct controller *c = find(d, request, &ec, &why);
	if (c == NULL)
		return refusal(ec, &why);
	struct view *v = calloc(1, sizeof *v);
	if (v == NULL)
		return out_of_memory();
	controller_view(c, v);
	const struct fact_roll *r = &v->facts->roll;
	const char *end = r->asked.count_ms == 0 ? "none" : r->ended.count_ms == 0 ? "running" : ends[r->end];
	json_t *answer = json_pack("{s:b, s:s, s:s, s:o, s:o, s:I, s:I, s:s, s:I, s:o}", "ok", 1, "identity",
	                           v->facts->identity, "state", rollover_states[v->decision.state].name, "why",
	                           json_text(slice_str(v->decision.why)), "waiting_for",
	                           json_text(slice_str(v->decision.waiting_for)), "at", (json_int_t)v->decision.at.s, "now",
	                           (json_int_t)v->now.wall.s, "roll", end, "asked", (json_int_t)r->asked.count_ms, "trouble",
	                           json_text(slice_str(v->trouble)));
	free(v);
	return answer == NULL ? out_of_memory() : answer;
}

static json_t *answer_request(struct daemon *d, const json_t *request, enum rollover_request what)
{
	enum ec ec;
	struct why why = { 0 };
	struct controller *c = find(d, request, &ec, &why);
	if (c != NULL)
		ec = controller_request(c, what, &why);
	if (ec != EC_OK)
		return refusal(ec, &why);
	return json_pack("{s:b, s:s, s:o}", "ok", 1, "identity", controller_identity(c), "text", json_text(slice_str(why.text)));
}

static json_t *answer_rotate(struct daemon *d, const json_t *request)
{
	return answer_request(d, request, RQ_ROTATE);
}

static json_t *answer_abort(struct daemon *d, const json_t *request)
{
	return answer_request(d, request, RQ_ABORT);
}

static json_t *answer_rollback(struct daemon *d, const json_t *request)
{
	return answer_request(d, request, RQ_ROLLBACK);
}

static json_t *answer_plan(struct daemon *d, const json_t *request)
{
	enum ec ec;
	struct why why = { 0 };
	struct controller *c = find(d, request, &ec, &why);
	if (c == NULL)
		return refusal(ec, &why);
	struct view *v = calloc(1, sizeof *v);
	struct plan *plan = calloc(1, sizeof *plan);
	struct bytes text = { 0 };
	ec = v == NULL || plan == NULL ? EC_NO_MEMORY : EC_OK;
	if (ec == EC_OK) {
		controller_view(c, v);
		ec = rollover_plan(v->facts, v->policy, v->now, json_is_true(json_object_get(request, "rotate")), plan);
	}
	if (ec == EC_OK)
		ec = plan_text(plan, &text);
	json_t *answer = ec != EC_OK ? refusal(ec, &why)
	                             : json_pack("{s:b, s:s, s:o, s:o}", "ok", 1, "identity", controller_identity(c), "plan",
	                                         plan_json(plan), "text", json_text(bytes_slice(&text)));
	bytes_fini(&text);
	free(plan);
	free(v);
	return answer;
}

static json_t *answer_history(struct daemon *d, const json_t *request)
{
	struct controller_world *w = daemon_world(d);
	const char *identity = identity_of(request);
	struct why why = { 0 };
	size_t i = 0;
	enum ec ec = identity == NULL ? EC_OK : daemon_find(d, identity, &i, &why);
	json_int_t num = json_integer_value(json_object_get(request, "num"));
	json_t *lines = NULL;
	if (ec == EC_OK)
		ec = journal_history(w->journal, identity == NULL ? NULL : controller_identity(w->controllers[i]),
		                     num > 0 && num < 100000 ? (unsigned)num : 20, &lines, &why);
	return ec != EC_OK ? refusal(ec, &why) : json_pack("{s:b, s:o}", "ok", 1, "history", lines);
}

static json_t *answer_hello(struct daemon *d, const json_t *request)
{
	(void)request;
	return json_pack("{s:b, s:s, s:s, s:i, s:I}", "ok", 1, "program", "tlsa-sync", "version", DANEGATE_VERSION, "protocol",
	                 1, "started", (json_int_t)daemon_started(d).s);
}

static const struct {
	const char *verb;
	json_t *(*answer)(struct daemon *d, const json_t *request);
} verbs[] = {
	{ "hello", answer_hello },       { "status", answer_status }, { "roll", answer_roll },
	{ "rotate", answer_rotate },     { "abort", answer_abort },   { "rollback", answer_rollback },
	{ "plan", answer_plan },         { "history", answer_history },
};

json_t *serve_line(struct daemon *d, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *verb = json_string_value(json_object_get(request, "do"));
	struct why why = { 0 };
	json_t *answer = NULL;
	for (size_t i = 0; verb != NULL && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			answer = verbs[i].answer(d, request);
	if (answer == NULL && verb == NULL)
		answer = refusal(why_set(&why, EC_SYNTAX, "not a request: a JSON object with \"do\" is expected"), &why);
	else if (answer == NULL)
		answer = refusal(why_set(&why, EC_UNSUPPORTED, "unknown request \"%.40s\"", verb), &why);
	json_decref(request);
	return answer;
}

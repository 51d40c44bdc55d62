#include "tlsa-sync/serve_uv.h"

#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/certify.h"
#include "tlsa-sync/details.h"
#include "tlsa-sync/explain.h"
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

static struct controller *find(struct daemon *d, const struct request *r, enum ec *out_ec, struct why *why)
{
	size_t i = 0;
	*out_ec = daemon_find(d, r->identity, &i, why);
	return *out_ec == EC_OK ? daemon_world(d)->controllers[i] : NULL;
}

/* The view of the identity that is asked about, the caller's to free; NULL: `*refused` is
 * the answer. */
static struct view *view_of(struct daemon *d, const struct request *r, json_t **refused)
{
	enum ec ec;
	struct why why = { 0 };
	struct controller *c = find(d, r, &ec, &why);
	struct view *v = c == NULL ? NULL : calloc(1, sizeof *v);
	if (v != NULL)
		controller_view(c, v);
	else
		*refused = c == NULL ? refusal(ec, &why) : out_of_memory();
	return v;
}

/* The same told twice: as `value`, which is taken over, under its name, and in words. */
static json_t *told(const struct view *v, const char *name, json_t *value, const struct bytes *text)
{
	return json_pack("{s:b, s:s, s:o, s:o}", "ok", 1, "identity", v->facts->identity, name, value, "text",
	                 json_text(bytes_slice(text)));
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

static json_t *answer_status(struct daemon *d, const struct request *r)
{
	struct controller_world *w = daemon_world(d);
	size_t first = 0;
	size_t num = w->num_controllers;
	struct why why = { 0 };
	if (r->identity[0] != '\0') {
		enum ec ec = daemon_find(d, r->identity, &first, &why);
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
		ec = text_of(views, num, r->colour, &text);
	json_t *answer = ec != EC_OK ? out_of_memory()
	                             : json_pack("{s:b, s:O, s:o}", "ok", 1, "identities", identities, "text",
	                                         json_text(bytes_slice(&text)));
	json_decref(identities);
	bytes_fini(&text);
	free(views);
	return answer;
}

/* --- how the roll stands, for rotate --wait --- */

static json_t *answer_roll(struct daemon *d, const struct request *r)
{
	static const char *const ends[ROLL_END_NUM] = {
		[ROLL_RUNNING] = "running",
		[ROLL_DONE] = "done",
		[ROLL_BACK] = "back",
		[ROLL_ABORTED] = "aborted",
	};
	json_t *answer = NULL;
	struct view *v = view_of(d, r, &answer);
	if (v == NULL)
		return answer;
	const struct fact_roll *roll = &v->facts->roll;
	const char *end = roll->asked.count_ms == 0 ? "none" : roll->ended.count_ms == 0 ? "running" : ends[roll->end];
	struct why renewing = { 0 };
	bool renews = certify_renewing(v->facts, v->policy, v->now, &renewing);
	answer = json_pack("{s:b, s:s, s:s, s:o, s:o, s:I, s:I, s:s, s:I, s:b, s:o, s:b, s:o}", "ok", 1, "identity",
	                   v->facts->identity, "state", rollover_states[v->decision.state].name, "why",
	                   json_text(slice_str(v->decision.why)), "waiting_for",
	                   json_text(slice_str(v->decision.waiting_for)), "at", (json_int_t)v->decision.at.s, "now",
	                   (json_int_t)v->now.wall.s, "roll", end, "asked", (json_int_t)roll->asked.count_ms, "disabled",
	                   (int)(v->facts->off.asked.count_ms != 0), "trouble", json_text(slice_str(v->trouble)), "renews",
	                   (int)renews, "renewing", json_text(slice_str(renewing.text)));
	free(v);
	return answer == NULL ? out_of_memory() : answer;
}

/* --- changes --- */

static enum rollover_request change_of(const struct request *r)
{
	switch (r->verb) {
	case REQUEST_ROLLBACK:
		return RQ_ROLLBACK;
	case REQUEST_ABORT:
		return RQ_ABORT;
	case REQUEST_DISABLE:
		return RQ_DISABLE;
	case REQUEST_ENABLE:
		return RQ_ENABLE;
	case REQUEST_RENEW:
		return RQ_RENEW;
	default:
		return r->force ? RQ_EMERGENCY_FORCED : r->emergency ? RQ_EMERGENCY : RQ_ROTATE;
	}
}

static json_t *answer_change(struct daemon *d, const struct request *r)
{
	enum ec ec;
	struct why why = { 0 };
	struct controller *c = find(d, r, &ec, &why);
	if (c != NULL)
		ec = controller_request(c, change_of(r), &why);
	if (ec != EC_OK)
		return refusal(ec, &why);
	return json_pack("{s:b, s:s, s:o}", "ok", 1, "identity", controller_identity(c), "text", json_text(slice_str(why.text)));
}

/* --- plan --- */

static enum ec plan_of(const struct view *v, const struct request *r, struct plan *plan, struct bytes *text)
{
	struct why why = { 0 };
	if (r->emergency) {
		/* whether it would go ahead or ask first: either way the words say what it means */
		(void)!rollover_exposure(v->facts, v->policy, v->now, &why);
		return bytes_append(text, slice_str(why.text));
	}
	enum ec ec = rollover_plan(v->facts, v->policy, v->now, r->rotate, plan);
	return ec == EC_OK ? plan_text(plan, text) : ec;
}

static json_t *answer_plan(struct daemon *d, const struct request *r)
{
	struct why why = { 0 };
	struct bytes text = { 0 };
	json_t *answer = NULL;
	struct view *v = view_of(d, r, &answer);
	struct plan *plan = calloc(1, sizeof *plan);
	if (v != NULL) {
		enum ec ec = plan == NULL ? EC_NO_MEMORY : plan_of(v, r, plan, &text);
		answer = ec == EC_OK ? told(v, "plan", plan_json(plan), &text) : refusal(ec, &why);
	}
	bytes_fini(&text);
	free(plan);
	free(v);
	return answer;
}

/* --- explain --- */

static json_t *answer_explain(struct daemon *d, const struct request *r)
{
	struct why why = { 0 };
	struct bytes text = { 0 };
	json_t *answer = NULL;
	struct view *v = view_of(d, r, &answer);
	if (v != NULL) {
		enum ec ec = explain_text(v, r->colour, &text);
		answer = ec == EC_OK ? told(v, "explain", explain_json(v), &text) : refusal(ec, &why);
	}
	bytes_fini(&text);
	free(v);
	return answer;
}

/* --- history --- */

static json_t *answer_history(struct daemon *d, const struct request *r)
{
	struct controller_world *w = daemon_world(d);
	struct why why = { 0 };
	size_t i = 0;
	bool named = r->identity[0] != '\0';
	enum ec ec = named ? daemon_find(d, r->identity, &i, &why) : EC_OK;
	json_t *lines = NULL;
	if (ec == EC_OK && w->journal == NULL)
		ec = why_set(&why, EC_NOT_FOUND, "there is no journal yet");
	if (ec == EC_OK)
		ec = journal_history(w->journal, named ? controller_identity(w->controllers[i]) : NULL, r->num, &lines, &why);
	return ec != EC_OK ? refusal(ec, &why) : json_pack("{s:b, s:o}", "ok", 1, "history", lines);
}

static json_t *answer_hello(struct daemon *d, const struct request *r)
{
	(void)r;
	return json_pack("{s:b, s:s, s:s, s:i, s:I}", "ok", 1, "program", "tlsa-sync", "version", DANEGATE_VERSION, "protocol",
	                 1, "started", (json_int_t)daemon_started(d).s);
}

static json_t *(*const answers[REQUEST_NUM_VERBS])(struct daemon *d, const struct request *r) = {
	[REQUEST_HELLO] = answer_hello,       [REQUEST_STATUS] = answer_status,   [REQUEST_ROLL] = answer_roll,
	[REQUEST_PLAN] = answer_plan,         [REQUEST_EXPLAIN] = answer_explain, [REQUEST_HISTORY] = answer_history,
	[REQUEST_ROTATE] = answer_change,     [REQUEST_ROLLBACK] = answer_change, [REQUEST_ABORT] = answer_change,
	[REQUEST_DISABLE] = answer_change,    [REQUEST_ENABLE] = answer_change,
	[REQUEST_RENEW] = answer_change,
};

json_t *serve_request(struct daemon *d, const struct request *r)
{
	struct why why;
	enum ec ec = r->verb == REQUEST_HELLO ? EC_OK : daemon_no_journal(d, &why);
	if (ec != EC_OK)
		return refusal(ec, &why);
	json_t *answer = answers[r->verb](d, r);
	return answer != NULL ? answer : out_of_memory();
}

json_t *serve_line(struct daemon *d, const char *line, size_t len)
{
	struct request r;
	struct why why = { 0 };
	enum ec ec = request_parse(slice_of(line, len), &r, &why);
	return ec == EC_OK ? serve_request(d, &r) : refusal(ec, &why);
}

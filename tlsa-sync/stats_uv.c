#include "tlsa-sync/stats_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/metrics.h"
#include "tlsa-sync/serve_uv.h"

/* ask_control answers by way of the control protocol, so that both sockets say the
 * same. A new reference, or NULL. */
static json_t *ask_control(struct daemon *d, const char *line)
{
	json_t *answer = serve_line(d, line, strlen(line));
	if (!json_is_true(json_object_get(answer, "ok"))) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static enum ec add_json(struct bytes *out, json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, JSON_INDENT(2));
	json_decref(value);
	if (text == NULL)
		return EC_NO_MEMORY;
	enum ec ec = bytes_append(out, slice_str(text));
	if (ec == EC_OK)
		ec = bytes_append(out, SLICE_LIT("\n"));
	free(text);
	return ec;
}

static json_t *info_json(struct daemon *d)
{
	const struct controller_world *w = daemon_world(d);
	return json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:s}", "program", "tlsa-sync", "version", DANEGATE_VERSION, "started",
	                 (json_int_t)daemon_started(d).s, "now", (json_int_t)clock_wall().s, "identities",
	                 (int)w->num_controllers, "instances", (int)w->num_agents, "journal", w->cfg->tlsa_sync.journal);
}

static enum ec show_info(struct daemon *d, bool json, struct bytes *out)
{
	if (json)
		return add_json(out, info_json(d));
	const struct controller_world *w = daemon_world(d);
	char since[WALL_TEXT_SIZE];
	char line[1024];
	wall_print(since, daemon_started(d));
	(void)snprintf(line, sizeof line,
	               "program     tlsa-sync %s\nrunning     since %s\nidentities  %zu\ninstances   %zu\njournal     %.500s\n",
	               DANEGATE_VERSION, since, w->num_controllers, w->num_agents, w->cfg->tlsa_sync.journal);
	return bytes_append(out, slice_str(line));
}

static enum ec show_rollover(struct daemon *d, bool json, struct bytes *out)
{
	json_t *answer = ask_control(d, "{\"do\":\"status\"}");
	if (answer == NULL)
		return EC_NO_MEMORY;
	enum ec ec = json ? add_json(out, json_incref(json_object_get(answer, "identities")))
	                  : bytes_append(out, slice_str(json_string_value(json_object_get(answer, "text"))));
	json_decref(answer);
	return ec;
}

static enum ec history_line(const json_t *one, struct bytes *out)
{
	char at[WALL_TEXT_SIZE];
	char line[1600];
	const char *identity = json_string_value(json_object_get(one, "identity"));
	const char *event = json_string_value(json_object_get(one, "event"));
	const char *words = json_string_value(json_object_get(one, "words"));
	wall_print(at, (struct wall){ json_integer_value(json_object_get(one, "at")) });
	(void)snprintf(line, sizeof line, "%s  %.255s  %.60s  %.1000s\n", at, identity == NULL ? "-" : identity,
	               event == NULL ? "-" : event, words == NULL ? "" : words);
	return bytes_append(out, slice_str(line));
}

static enum ec show_history(struct daemon *d, bool json, struct bytes *out)
{
	json_t *answer = ask_control(d, "{\"do\":\"history\",\"num\":50}");
	const json_t *lines = json_object_get(answer, "history");
	enum ec ec = answer == NULL ? EC_NO_MEMORY : EC_OK;
	if (ec == EC_OK && json)
		ec = add_json(out, json_incref(json_object_get(answer, "history")));
	for (size_t i = 0; ec == EC_OK && !json && i < json_array_size(lines); i++)
		ec = history_line(json_array_get(lines, i), out);
	json_decref(answer);
	return ec;
}

static enum ec show_errors(struct daemon *d, bool json, struct bytes *out)
{
	const struct mishaps *m = daemon_world(d)->mishaps;
	json_t *all = json ? json_array() : NULL;
	enum ec ec = EC_OK;
	for (size_t i = m->num; ec == EC_OK && i-- > 0;) {
		const struct mishap *one = mishaps_at(m, i);
		char at[WALL_TEXT_SIZE];
		char line[sizeof *one + 64];
		wall_print(at, one->last);
		(void)snprintf(line, sizeof line, "%s  %llux  %s %s: %s\n", at, (unsigned long long)one->times, one->what, one->where,
		               one->why.text);
		if (!json)
			ec = bytes_append(out, slice_str(line));
		else if (json_array_append_new(all, json_pack("{s:I, s:I, s:I, s:s, s:s, s:s}", "first", (json_int_t)one->first.s,
		                                              "last", (json_int_t)one->last.s, "times", (json_int_t)one->times,
		                                              "what", one->what, "where", one->where, "why", one->why.text)) != 0)
			ec = EC_NO_MEMORY;
	}
	if (!json && m->num == 0)
		ec = bytes_append(out, SLICE_LIT("none since the start\n"));
	if (json && ec == EC_OK)
		return add_json(out, all);
	json_decref(all);
	return ec;
}

/* By identity; `trouble`, which keeps everything from going on, is one of them. */
static enum ec alarms_of(const struct view *v, json_t *all, struct bytes *out)
{
	json_t *list = json_array();
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i <= v->decision.num_alarms; i++) {
		const char *words = i < v->decision.num_alarms ? v->decision.alarms[i] : v->trouble;
		char line[WHY_SIZE + FACT_NAME + 8];
		if (words[0] == '\0')
			continue;
		(void)snprintf(line, sizeof line, "%.255s  %s\n", v->facts->identity, words);
		for (char *p = line; p[1] != '\0'; p++)
			if ((unsigned char)*p < ' ' || *p == 127)
				*p = '?';
		if (all == NULL)
			ec = bytes_append(out, slice_str(line));
		else if (json_array_append_new(list, json_string(words)) != 0)
			(void)json_array_append_new(list, json_string("(not text)"));
	}
	if (all != NULL)
		(void)json_object_set(all, v->facts->identity, list);
	json_decref(list);
	return ec;
}

static enum ec show_alarms(struct daemon *d, bool json, struct bytes *out)
{
	const struct controller_world *w = daemon_world(d);
	struct view *v = calloc(1, sizeof *v);
	json_t *all = json ? json_object() : NULL;
	size_t before = bytes_len(out);
	enum ec ec = v == NULL ? EC_NO_MEMORY : EC_OK;
	for (size_t i = 0; ec == EC_OK && i < w->num_controllers; i++) {
		controller_view(w->controllers[i], v);
		ec = alarms_of(v, all, out);
	}
	free(v);
	if (json && ec == EC_OK)
		return add_json(out, all);
	json_decref(all);
	return ec == EC_OK && bytes_len(out) == before ? bytes_append(out, SLICE_LIT("no alarms\n")) : ec;
}

static enum ec show_metrics(struct daemon *d, bool json, struct bytes *out)
{
	(void)json;
	const struct controller_world *w = daemon_world(d);
	struct view *views = calloc(w->num_controllers + 1, sizeof *views);
	if (views == NULL)
		return EC_NO_MEMORY;
	for (size_t i = 0; i < w->num_controllers; i++)
		controller_view(w->controllers[i], &views[i]);
	struct events_counts events = events_count(w->events);
	enum ec ec = metrics_text(views, w->num_controllers, daemon_started(d), &events, out);
	free(views);
	return ec;
}

static enum ec show_help(struct daemon *d, bool json, struct bytes *out);

static const struct command {
	const char *words;
	const char *help;
	enum ec (*show)(struct daemon *d, bool json, struct bytes *out);
} commands[] = {
	{ "help", "this list", show_help },
	{ "show info", "version, start, identities", show_info },
	{ "show rollover", "state of each identity: what it waits for, and why", show_rollover },
	{ "show alarms", "what a person should look at", show_alarms },
	{ "show history", "the last 50 events", show_history },
	{ "show errors", "what went wrong lately", show_errors },
	{ "show metrics", "OpenMetrics text", show_metrics },
};
enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static enum ec show_help(struct daemon *d, bool json, struct bytes *out)
{
	(void)d;
	enum ec ec = EC_OK;
	json_t *all = json ? json_object() : NULL;
	for (size_t i = 0; ec == EC_OK && i < NUM_COMMANDS; i++) {
		char line[128];
		(void)snprintf(line, sizeof line, "%-14s %s\n", commands[i].words, commands[i].help);
		if (json)
			(void)json_object_set_new(all, commands[i].words, json_string(commands[i].help));
		else
			ec = bytes_append(out, slice_str(line));
	}
	if (json)
		return add_json(out, all);
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("json COMMAND   the same for programs\n")) : ec;
}

/* Without a journal there is no roll to tell of, only why. */
static bool show_no_journal(struct daemon *d, const char *words, bool json, struct bytes *out, enum ec *out_ec)
{
	struct why why;
	bool needed = strcmp(words, "show rollover") == 0 || strcmp(words, "show history") == 0 || strcmp(words, "show alarms") == 0;
	if (!needed || daemon_no_journal(d, &why) == EC_OK)
		return false;
	*out_ec = json ? add_json(out, json_pack("{s:s}", "trouble", why.text)) : bytes_append(out, slice_str(why.text));
	if (*out_ec == EC_OK && !json)
		*out_ec = bytes_append(out, SLICE_LIT("\n"));
	return true;
}

enum ec stats_line(struct daemon *d, const char *line, struct bytes *out)
{
	bool json = strncmp(line, "json ", 5) == 0;
	const char *words = json ? line + 5 : line;
	enum ec trouble = EC_OK;
	if (show_no_journal(d, words, json, out, &trouble))
		return trouble;
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		if (strcmp(commands[i].words, words) == 0)
			return commands[i].show(d, json, out);
	enum ec ec = bytes_append(out, SLICE_LIT("unknown command; there is:\n"));
	return ec == EC_OK ? show_help(d, false, out) : ec;
}

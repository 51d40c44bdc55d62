#include "tlsa-sync/events_uv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/command_uv.h"
#include "base/log_fs.h"
#include "tlsa-sync/clock_uv.h"

struct events {
	uv_loop_t *loop;
	struct mishaps *mishaps;
	const char **argv; /* NULL-ended, borrowed strings */
	struct command_run *running;
	char *queue[EVENTS_QUEUE]; /* a ring of JSON texts, owned */
	unsigned first;
	unsigned num;
	struct events_counts counts;
};

static void failed(struct events *e, const char *words)
{
	e->counts.failed++;
	if (mishaps_add(e->mishaps, clock_wall(), "on_event", e->argv[0], words))
		log_why(LOG_WARNING, "on_event", e->argv[0], words);
}

static void next(struct events *e);

static void on_done(void *arg, const struct command_result *result, const struct why *why)
{
	struct events *e = arg;
	e->running = NULL;
	if (result->ec == EC_OK)
		e->counts.told++;
	else
		failed(e, why->text);
	next(e);
}

/* What can't even be started is given up, and the one after it tried. */
static void next(struct events *e)
{
	while (e->running == NULL && e->num > 0) {
		char *text = e->queue[e->first];
		struct why why = { 0 };
		struct command_plan plan = { .argv = e->argv, .input = slice_str(text), .timeout_ms = EVENTS_TIMEOUT_MS };
		e->first = (e->first + 1) % EVENTS_QUEUE;
		e->num--;
		if (command_start(e->loop, &plan, on_done, e, &e->running, &why) != EC_OK) {
			e->running = NULL;
			failed(e, why.text);
		}
		free(text);
	}
}

/* Words may hold bytes of a peer that are not UTF-8. */
static json_t *text_of(const char *words)
{
	json_t *t = json_string(words);
	return t != NULL ? t : json_string("(not text)");
}

void events_tell(struct events *e, const char *event, const char *identity, const char *state, const char *words,
                 struct wall at)
{
	if (e == NULL)
		return;
	json_t *object = json_pack("{s:s, s:o, s:s, s:o, s:I}", "event", event, "identity", text_of(identity), "state", state,
	                           "words", text_of(words), "at", (json_int_t)at.s);
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (text == NULL) {
		e->counts.dropped++;
		return;
	}
	if (e->num == EVENTS_QUEUE) {
		free(e->queue[e->first]);
		e->first = (e->first + 1) % EVENTS_QUEUE;
		e->num--;
		e->counts.dropped++;
		if (mishaps_add(e->mishaps, clock_wall(), "on_event", e->argv[0], "too slow: an event was not told"))
			log_why(LOG_WARNING, "on_event", e->argv[0], "too slow: an event was not told");
	}
	e->queue[(e->first + e->num++) % EVENTS_QUEUE] = text;
	next(e);
}

struct events_counts events_count(const struct events *e)
{
	return e == NULL ? (struct events_counts){ 0 } : e->counts;
}

enum ec events_new(uv_loop_t *loop, const struct config_list *command, struct mishaps *mishaps, struct events **out)
{
	*out = NULL;
	if (command->num == 0)
		return EC_OK;
	struct events *e = calloc(1, sizeof *e);
	const char **argv = calloc(command->num + 1, sizeof *argv);
	if (e == NULL || argv == NULL) {
		free(e);
		free(argv);
		return EC_NO_MEMORY;
	}
	for (size_t i = 0; i < command->num; i++)
		argv[i] = command->items[i];
	*e = (struct events){ .loop = loop, .mishaps = mishaps, .argv = argv };
	*out = e;
	return EC_OK;
}

void events_free(struct events *e)
{
	if (e == NULL)
		return;
	command_cancel(e->running);
	for (unsigned i = 0; i < e->num; i++)
		free(e->queue[(e->first + i) % EVENTS_QUEUE]);
	free(e->argv);
	free(e);
}

/* The ways a step ends the decision: wait, act, ask, mark. */
#include "tlsa-sync/decide.h"

#include <stdio.h>
#include <string.h>

int64_t decide_poll_ms(const struct decide *c)
{
	return (c->p->poll_s > 0 ? c->p->poll_s : 1) * 1000;
}

bool decide_due(const struct decide *c, struct stamp last, int64_t interval_ms)
{
	/* what was before a boot is older than the counted clock can tell */
	return last.count_ms <= c->f->clock.booted_ms || c->now.count_ms - last.count_ms >= interval_ms;
}

bool decide_wait(struct decide *c, enum rollover_state state, const char *waiting_for, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(c->d->why, sizeof c->d->why, format, ap);
	va_end(ap);
	c->d->state = state;
	words_keep(c->d->waiting_for, sizeof c->d->waiting_for, waiting_for == NULL ? "" : waiting_for);
	return true;
}

bool decide_act(struct decide *c, enum rollover_state state, enum rollover_action action, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(c->d->why, sizeof c->d->why, format, ap);
	va_end(ap);
	c->d->state = state;
	c->d->action = action;
	return true;
}

bool decide_mark(struct decide *c, enum rollover_state state, enum rollover_mark mark)
{
	c->d->mark = mark;
	return decide_act(c, state, RA_RECORD, "noting that it is so");
}

static const struct {
	enum rollover_action action;
	const char *words;
} asks[ASK_NUM] = {
	[ASK_NONE] = { RA_NONE, "" },
	[ASK_PREPARE] = { RA_PREPARE, "prepare its next key" },
	[ASK_SWAP] = { RA_SWAP, "present" },
	[ASK_RETIRE] = { RA_RETIRE, "delete" },
};

static void ask_words(const struct fact_instance *in, enum ask_kind kind, uint64_t generation, char out[FACT_WORDS * 4])
{
	char what[64] = "";
	if (kind != ASK_PREPARE)
		(void)snprintf(what, sizeof what, " generation %llu", (unsigned long long)generation);
	(void)snprintf(out, FACT_WORDS * 4, "waiting for %s to %s%s", in->name, asks[kind].words, what);
}

bool decide_ask(struct decide *c, enum rollover_state state, enum ask_kind kind, unsigned instance,
                uint64_t generation)
{
	const struct fact_instance *in = &c->f->instances[instance];
	char words[FACT_WORDS * 4];
	ask_words(in, kind, generation, words);
	bool again = in->asked == kind && in->asked_generation == generation;
	if (in->failed.count_ms != 0)
		return decide_wait(c, state, in->name, "%s: it does not answer: %s", words, in->words);
	/* After asking, its report tells what came of it, whatever the answer was. */
	if (again && (in->heard.count_ms <= in->asked_at.count_ms || decide_due(c, c->f->looked, decide_poll_ms(c))))
		return decide_act(c, state, RA_LOOK, "%s", words);
	if (again && !decide_due(c, in->asked_at, 2 * decide_poll_ms(c)))
		return decide_wait(c, state, in->name, "%s%s%s", words, in->asked_words[0] ? ": " : "",
		                   in->asked_words);
	c->d->instance = instance;
	c->d->generation = generation;
	words_keep(c->d->waiting_for, sizeof c->d->waiting_for, in->name);
	return decide_act(c, state, asks[kind].action, "%s%s%s", words, again && in->asked_words[0] ? ": " : "",
	                  again ? in->asked_words : "");
}

static bool fresh_instances(struct decide *c, enum rollover_state state)
{
	for (size_t i = 0; i < c->f->num_instances; i++) {
		const struct fact_instance *in = &c->f->instances[i];
		if (in->failed.count_ms != 0 || decide_due(c, in->heard, rollover_fresh_ms(c->p)))
			return decide_wait(c, state, in->name, "%s does not answer: %s", in->name,
			                   in->words[0] ? in->words : "no report");
	}
	return false;
}

bool decide_fresh(struct decide *c, enum rollover_state state, bool servers)
{
	if (decide_due(c, c->f->looked, decide_poll_ms(c)))
		return decide_act(c, state, RA_LOOK, "looking once more at every server and instance");
	if (fresh_instances(c, state))
		return true;
	for (unsigned i = 0; servers && i < c->f->num_servers; i++) {
		const struct fact_server *s = &c->f->servers[i];
		if (s->silent.count_ms != 0 || decide_due(c, s->answered, rollover_fresh_ms(c->p))) {
			char name[WORDS_SERVER];
			struct why why = { 0 };
			words_server(name, s);
			words_lacking(c->f, c->p, i, &c->d->wanted, c->now, &why);
			return decide_wait(c, state, name, "%s", why.text);
		}
	}
	return false;
}

/* A command for each change: the change goes to its standard input, its answer is
 * read from its standard output. What it did when it was killed, or said nothing
 * sensible, nobody knows: the servers are asked. */
#include <stdlib.h>

#include "tlsa-sync/exec_talk.h"
#include "tlsa-sync/publish_in_uv.h"

static void on_done(void *arg, const struct command_result *r, const struct why *why)
{
	struct publisher_call *c = arg;
	const char *program = c->publisher->cfg->tlsa_sync.exec.command.items[0];
	c->command = NULL;
	bool killed = r->ec == EC_TIMEOUT || r->ec == EC_LIMIT || r->signal != 0;
	struct why words = { 0 };
	enum outcome outcome = killed ? OUTCOME_UNKNOWN : exec_answer_read(r->out, r->ec == EC_OK, c->rehearsal, &words);
	if (outcome == OUTCOME_UNKNOWN && c->rehearsal)
		outcome = OUTCOME_FAILED;
	if (killed || (outcome != OUTCOME_OK && r->ec != EC_OK && r->out.len == 0)) {
		words = *why; /* how it ended says more */
	} else if (outcome == OUTCOME_OK && words.text[0] == '\0') {
		(void)why_set(&words, EC_OK, "%.200s has no objection", program);
	} else {
		why_prefix(&words, "%.200s", program);
	}
	if (outcome == OUTCOME_UNKNOWN)
		why_prefix(&words, "the change may have been made");
	publisher_end(c, outcome, words.text);
}

static enum ec exec_start(struct publisher_call *c, struct why *why)
{
	const struct config_exec *x = &c->publisher->cfg->tlsa_sync.exec;
	struct bytes request = { 0 };
	const char **argv = calloc(x->command.num + 1, sizeof *argv);
	struct exec_request r = {
		.identity = c->identity,
		.zone = &c->zone.apex,
		.owner = &c->owner,
		.ttl_s = c->ttl_s,
		.adds = &c->adds,
		.deletes = &c->deletes,
		.wanted = &c->wanted,
		.dry_run = c->rehearsal,
	};
	for (size_t i = 0; argv != NULL && i < x->command.num; i++)
		argv[i] = x->command.items[i];
	enum ec ec = argv == NULL ? EC_NO_MEMORY : exec_request_print(&r, &request);
	struct command_plan plan = {
		.argv = argv,
		.input = bytes_slice(&request),
		.out_max = EXEC_ANSWER_MAX,
		.timeout_ms = (int)x->timeout_ms,
	};
	if (ec == EC_OK)
		ec = command_start(c->publisher->loop, &plan, on_done, c, &c->command, why);
	else
		(void)why_set(why, ec, "out of memory");
	bytes_fini(&request);
	free(argv);
	return ec;
}

const struct publisher_kind publisher_exec = { .start = exec_start };

/* issuer_start -> on_csr -> on_command -> on_installed -> done; self-signed only the last two. At each step one thing is
 * under way: a call of the agent, or the command. What fails ends it with words that
 * name who failed. Nothing is written anywhere before danegate has checked the chain. */
#include "tlsa-sync/issuer_uv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/command_uv.h"
#include "tlsa-sync/certify.h"

enum { CSR_TIMEOUT_MS = 30000, INSTALL_TIMEOUT_MS = 30000, ENV_SIZE = FACT_NAME + 32, NUM_ENV = 3 };

struct issuer_run {
	uv_loop_t *loop;
	struct agent *agent;
	char identity[FACT_NAME];
	uint64_t generation;
	enum key_algorithm algorithm;
	const struct config_list *command;
	int timeout_ms;
	struct agent_call *call;
	struct command_run *running;
	issuer_done *done;
	void *arg;
};

static void finish(struct issuer_run *r, enum outcome outcome, const struct why *why)
{
	issuer_done *done = r->done;
	void *arg = r->arg;
	free(r);
	done(arg, outcome, why);
}

static void fail(struct issuer_run *r, const char *who, const char *words)
{
	struct why why = { 0 };
	(void)why_set(&why, EC_IO, "%s%s%s", who, who[0] != '\0' ? ": " : "", words);
	finish(r, OUTCOME_FAILED, &why);
}

static json_t *request(const struct issuer_run *r, const char *verb)
{
	return json_pack("{s:s, s:s, s:I, s:s}", "do", verb, "identity", r->identity, "generation", (json_int_t)r->generation,
	                 "algorithm", key_algorithm_name(r->algorithm));
}

/* --- back at the danegate --- */

static void on_installed(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct issuer_run *r = arg;
	struct why words = { 0 };
	if (ec == EC_OK) {
		finish(r, OUTCOME_OK, &words);
		return;
	}
	/* Without an answer it may have been done. */
	bool refused = agent_answered(answer);
	(void)why_set(&words, ec, "%s: %s",
	              !refused             ? "installing it"
	              : r->command == NULL ? "danegate does not sign it anew"
	                                   : "danegate refuses what the command printed",
	              why->text);
	finish(r, refused ? OUTCOME_FAILED : OUTCOME_UNKNOWN, &words);
}

static void install(struct issuer_run *r, struct slice chain)
{
	json_t *q = request(r, "install");
	if (q != NULL)
		(void)json_object_set_new(q, "chain", json_stringn((const char *)chain.p, chain.len));
	if (agent_ask(r->agent, q, INSTALL_TIMEOUT_MS, on_installed, r, &r->call) != EC_OK)
		fail(r, "", "out of memory");
}

/* --- the command --- */

static void on_command(void *arg, const struct command_result *result, const struct why *why)
{
	struct issuer_run *r = arg;
	r->running = NULL;
	struct bytes chain = { 0 };
	struct why words = { 0 };
	if (result->ec != EC_OK)
		fail(r, "", why->text);
	else if (certify_chain(result->out, &chain, &words) != EC_OK)
		fail(r, r->command->items[0], words.text);
	else
		install(r, bytes_slice(&chain));
	bytes_fini(&chain);
}

static void run_command(struct issuer_run *r, struct slice csr)
{
	char text[NUM_ENV][ENV_SIZE];
	const char *env[NUM_ENV + 1] = { text[0], text[1], text[2], NULL };
	const char **argv = calloc(r->command->num + 1, sizeof *argv);
	struct why why = { 0 };
	if (argv == NULL) {
		fail(r, "", "out of memory");
		return;
	}
	for (size_t i = 0; i < r->command->num; i++)
		argv[i] = r->command->items[i];
	(void)snprintf(text[0], ENV_SIZE, "TLSA_SYNC_IDENTITY=%s", r->identity);
	(void)snprintf(text[1], ENV_SIZE, "TLSA_SYNC_ALGORITHM=%s", key_algorithm_name(r->algorithm));
	(void)snprintf(text[2], ENV_SIZE, "TLSA_SYNC_GENERATION=%" PRIu64, r->generation);
	const struct command_plan plan = {
		.argv = argv,
		.env = env,
		.input = csr,
		.out_max = ISSUER_OUT_MAX,
		.timeout_ms = r->timeout_ms,
	};
	enum ec ec = command_start(r->loop, &plan, on_command, r, &r->running, &why);
	free(argv);
	if (ec != EC_OK)
		fail(r, "", why.text);
}

/* --- the signing request --- */

static void on_csr(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct issuer_run *r = arg;
	r->call = NULL;
	const json_t *csr = ec == EC_OK ? json_object_get(answer, "csr") : NULL;
	if (ec != EC_OK)
		fail(r, "danegate gave no signing request", why->text);
	else if (!json_is_string(csr))
		fail(r, "danegate gave no signing request", "its answer lacks \"csr\"");
	else
		run_command(r, slice_of(json_string_value(csr), json_string_length(csr)));
}

enum ec issuer_start(uv_loop_t *loop, struct agent *agent, const struct issuer_job *job, issuer_done *done, void *arg,
                     struct issuer_run **out)
{
	struct issuer_run *r = calloc(1, sizeof *r);
	if (r == NULL)
		return EC_NO_MEMORY;
	*r = (struct issuer_run){ .loop = loop, .agent = agent, .generation = job->generation, .algorithm = job->algorithm,
		                  .command = job->command, .timeout_ms = job->timeout_ms, .done = done, .arg = arg };
	(void)snprintf(r->identity, sizeof r->identity, "%s", job->identity);
	bool own = job->command == NULL;
	if (agent_ask(agent, request(r, own ? "renew" : "csr"), own ? INSTALL_TIMEOUT_MS : CSR_TIMEOUT_MS, own ? on_installed : on_csr,
	              r, &r->call) != EC_OK) {
		free(r);
		return EC_NO_MEMORY;
	}
	*out = r;
	return EC_OK;
}

void issuer_cancel(struct issuer_run *r)
{
	if (r == NULL)
		return;
	agent_cancel(r->call);
	command_cancel(r->running);
	free(r);
}

/* One activity at a time for each identity. What changes something outside is
 * first noted in the facts and journalled ("asked, outcome not known"), then
 * done; its outcome is noted when it is known. A crash in between leaves a
 * question for the servers or the instance, which the next look settles. */
#include "tlsa-sync/controller_in_uv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log_fs.h"
#include "tlsa-sync/agent_report.h"

enum {
	REPORT_TIMEOUT_MS = 10000,
	PREPARE_TIMEOUT_MS = 60000, /* an RSA key takes seconds on a slow machine */
	SWAP_TIMEOUT_MS = 60000,    /* the pin guard looks DNS up first */
	RETIRE_TIMEOUT_MS = 30000,
	BACKOFF_MAX_MS = 300 * 1000
};

void action_done(struct controller *c)
{
	assert(c->pending > 0);
	if (--c->pending > 0)
		return;
	c->activity = RA_NONE;
	c->unsaved = true;
	controller_step(c);
}

/* --- RA_FIND, and the part of RA_LOOK that asks servers --- */

static void take_servers(struct controller *c, const struct server_id *servers, size_t num,
                         const char *const *addresses, size_t num_addresses, const struct why *addresses_why)
{
	struct stamp now = controller_now(c);
	if (facts_set_servers(c->facts, servers, num, now) != EC_OK) {
		facts_zone_failed(c->facts, "the zone has more servers than can be watched", now);
		return;
	}
	if (num_addresses == 0) {
		/* What was known stays known: a look-up that fails proves nothing. */
		controller_complain(c, "addresses", NULL, addresses_why->text);
		return;
	}
	if (facts_set_addresses(c->facts, addresses, num_addresses) != EC_OK)
		controller_complain(c, "addresses", NULL, "more addresses than can be probed");
}

static void zone_failed(struct controller *c, const struct why *why)
{
	facts_zone_failed(c->facts, why->text, controller_now(c));
	controller_complain(c, "zone", NULL, why->text);
	c->not_before_ms[RA_FIND] = uv_now(c->world->loop) + (uint64_t)c->policy.poll_s * 1000;
}

static void silence_all(struct controller *c, const char *words)
{
	struct stamp now = controller_now(c);
	for (unsigned i = 0; i < c->facts->num_servers; i++)
		facts_silence(c->facts, i, words, now);
}

static void on_server(void *arg, const struct server_id *id, const struct answer *answer, const struct why *why)
{
	struct controller *c = arg;
	int row = facts_server(c->facts, id->name, id->address);
	if (row < 0)
		return;
	struct stamp now = controller_now(c);
	if (answer != NULL) {
		c->counts.answers++;
		facts_answer(c->facts, (unsigned)row, answer, c->policy.confirmations, rollover_gap_ms(&c->policy), now);
		return;
	}
	c->counts.silences++;
	facts_silence(c->facts, (unsigned)row, why->text, now);
	controller_complain(c, "server", id->address, why->text);
}

static void look_done(struct controller *c)
{
	if (c->activity == RA_LOOK && c->pending == 1)
		facts_looked(c->facts, controller_now(c));
	action_done(c);
}

static void on_looked(void *arg)
{
	look_done(arg);
}

static void on_zones(void *arg, const struct fact_zone *zones, size_t num)
{
	struct controller *c = arg;
	facts_set_zones(c->facts, zones, num);
}

static void on_found(void *arg, enum ec ec, const struct server_id *servers, size_t num_servers,
                     const char *const *addresses, size_t num_addresses, const struct why *addresses_why,
                     const struct why *why);
static const struct evidence_events evidence_events = {
	.zones = on_zones,
	.found = on_found,
	.server = on_server,
	.looked = on_looked,
};

static void on_found(void *arg, enum ec ec, const struct server_id *servers, size_t num_servers,
                     const char *const *addresses, size_t num_addresses, const struct why *addresses_why,
                     const struct why *why)
{
	struct controller *c = arg;
	struct why words = *why;
	if (ec == EC_OK)
		take_servers(c, servers, num_servers, addresses, num_addresses, addresses_why);
	else
		zone_failed(c, why);
	if (c->activity != RA_LOOK) {
		action_done(c);
		return;
	}
	if (ec == EC_OK)
		ec = evidence_look(c->evidence, evidence_events, c, &words);
	if (ec != EC_OK) {
		silence_all(c, words.text);
		look_done(c);
	}
}

static bool start_find(struct controller *c)
{
	c->pending = 1;
	evidence_find(c->evidence, evidence_events, c);
	return true;
}

/* --- RA_LOOK: servers and instances at once --- */

static void on_report(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct controller_ask *a = arg;
	struct controller *c = a->c;
	a->call = NULL;
	struct why words = *why;
	static struct agent_report report; /* large, and one at a time */
	if (ec == EC_OK)
		ec = agent_report_read(answer, c->facts->identity, &report, &words);
	struct stamp now = controller_now(c);
	if (ec == EC_OK)
		ec = facts_report(c->facts, a->instance, &report.report, now, &words);
	if (ec == EC_OK) {
		c->counts.reports++;
	} else {
		c->counts.reports_failed++;
		facts_instance_failed(c->facts, a->instance, words.text, now);
		controller_complain(c, "instance", c->facts->instances[a->instance].name, words.text);
	}
	look_done(c);
}

static bool ask_instance(struct controller *c, unsigned instance, json_t *request, int timeout_ms, agent_done *done)
{
	struct controller_ask *a = &c->asks[instance];
	*a = (struct controller_ask){ .c = c, .instance = instance };
	return agent_ask(c->world->agents[instance], request, timeout_ms, done, a, &a->call) == EC_OK;
}

static bool start_look(struct controller *c)
{
	struct why why = { 0 };
	c->pending = 1;
	for (unsigned i = 0; i < c->world->num_agents; i++)
		c->pending += ask_instance(c, i, json_pack("{s:s,s:s}", "do", "report", "identity", c->facts->identity),
		                           REPORT_TIMEOUT_MS, on_report);
	if (evidence_look(c->evidence, evidence_events, c, &why) != EC_OK)
		evidence_find(c->evidence, evidence_events, c);
	return true;
}

/* --- RA_UPDATE --- */

/* After n failures in a row the next try waits poll x 2^n. */
static void update_backoff(struct controller *c)
{
	int64_t ms = c->policy.poll_s * 1000;
	for (unsigned i = 0; i < c->update_failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	c->update_failures++;
	c->not_before_ms[RA_UPDATE] = uv_now(c->world->loop) + (uint64_t)(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS);
}

/* note_event journals a line for the history; the same line said again is left
 * out, so that a refusal that lasts for days does not fill the disk. */
static void note_event(struct controller *c, const char *event, const char *line)
{
	bool again = strcmp(c->last_event, line) == 0;
	(void)snprintf(c->last_event, sizeof c->last_event, "%s", line);
	(void)controller_save(c, again ? NULL : event, again ? NULL : line);
}

static void update_noted(struct controller *c, enum outcome outcome, const char *words)
{
	c->counts.updates[outcome]++;
	facts_update_done(c->facts, outcome, words, controller_now(c));
	char at[WALL_TEXT_SIZE];
	wall_print(at, c->facts->update.sent.wall);
	struct log_line l;
	log_begin(&l, outcome == OUTCOME_OK ? LOG_NOTICE : LOG_WARNING, "update");
	log_str(&l, "identity", c->facts->identity);
	log_int(&l, "adds", c->decision.adds.num);
	log_int(&l, "deletes", c->decision.deletes.num);
	log_str(&l, "outcome", outcome == OUTCOME_OK ? "accepted" : outcome == OUTCOME_FAILED ? "refused" : "unknown");
	log_str(&l, "why", words);
	log_end(&l);
	char line[WHY_SIZE + 96];
	if (outcome == OUTCOME_OK)
		(void)snprintf(line, sizeof line, "the primary accepted the update of %s: %u added, %u deleted", at,
		               c->decision.adds.num, c->decision.deletes.num);
	else
		(void)snprintf(line, sizeof line, "%s: %s", outcome == OUTCOME_FAILED ? "refused" : "not known to have taken effect",
		               words);
	note_event(c, "update", line);
	if (outcome == OUTCOME_OK) {
		c->update_failures = 0;
		c->not_before_ms[RA_UPDATE] = 0;
		return;
	}
	controller_complain(c, "update", NULL, words);
	update_backoff(c);
}

static void on_update(void *arg, const struct publish_result *result)
{
	struct controller *c = arg;
	c->update = NULL;
	if (result->outcome == OUTCOME_OK)
		rehearsal_proven(&c->rehearsal);
	update_noted(c, result->outcome, result->outcome == OUTCOME_OK ? "" : result->words);
	action_done(c);
}

static bool guard_refused(struct controller *c, const char *what, const struct why *why)
{
	c->counts.guard_refusals++;
	controller_complain(c, what, NULL, why->text);
	note_event(c, what, why->text);
	return false;
}

static bool start_update(struct controller *c)
{
	const struct decision *d = &c->decision;
	struct why why = { 0 };
	const struct zone_map *map = evidence_map(c->evidence);
	if (map == NULL) {
		c->activity = RA_FIND; /* after a start the servers are not known yet */
		return start_find(c);
	}
	struct stamp now = controller_now(c);
	if (rollover_check_write(c->facts, &c->policy, &d->adds, &d->deletes, now, &why) != EC_OK)
		return guard_refused(c, "guard: write refused", &why);
	facts_update_sent(c->facts, &d->adds, &d->deletes, c->policy.ttl_s, now);
	if (!controller_save(c, NULL, NULL))
		return false;
	c->pending = 1;
	const struct publish_change change = { c->facts->identity, map, c->policy.ttl_s, d->adds, d->deletes, d->wanted };
	if (publisher_send(c->world->publisher, &change, on_update, c, &c->update, &why) == EC_OK)
		return true;
	update_noted(c, OUTCOME_FAILED, why.text);
	return false;
}

/* --- what is asked of one instance: RA_PREPARE, RA_SWAP, RA_RETIRE --- */

static const struct instance_action {
	const char *verb;
	enum ask_kind kind;
	int timeout_ms;
} instance_actions[RA_NUM_ACTIONS] = {
	[RA_PREPARE] = { "prepare", ASK_PREPARE, PREPARE_TIMEOUT_MS },
	[RA_SWAP] = { "swap", ASK_SWAP, SWAP_TIMEOUT_MS },
	[RA_RETIRE] = { "retire", ASK_RETIRE, RETIRE_TIMEOUT_MS },
};

static void ask_noted(struct controller *c, unsigned instance, enum outcome outcome, const char *words)
{
	const struct instance_action *ia = &instance_actions[c->activity];
	facts_ask_done(c->facts, instance, outcome, words);
	struct log_line l;
	log_begin(&l, outcome == OUTCOME_OK ? LOG_NOTICE : LOG_WARNING, ia->verb);
	log_str(&l, "identity", c->facts->identity);
	log_str(&l, "instance", c->facts->instances[instance].name);
	log_int(&l, "generation", (int64_t)c->decision.generation);
	log_str(&l, "outcome", outcome == OUTCOME_OK ? "done" : outcome == OUTCOME_FAILED ? "refused" : "unknown");
	log_str(&l, "why", words);
	log_end(&l);
	char line[WHY_SIZE + FACT_NAME];
	(void)snprintf(line, sizeof line, "%s: generation %llu: %s", c->facts->instances[instance].name,
	               (unsigned long long)c->decision.generation, outcome == OUTCOME_OK ? "done" : words);
	note_event(c, ia->verb, line);
	if (outcome != OUTCOME_OK)
		controller_complain(c, ia->verb, NULL, words);
}

static void on_asked(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct controller_ask *a = arg;
	struct controller *c = a->c;
	a->call = NULL;
	/* Without an answer it may have been done: the next report tells. */
	enum outcome outcome = ec == EC_OK ? OUTCOME_OK : agent_answered(answer) ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
	if (ec == EC_OK && c->activity == RA_PREPARE)
		c->decision.generation = (uint64_t)json_integer_value(
			json_object_get(json_object_get(answer, "generation"), "number"));
	ask_noted(c, a->instance, outcome, ec == EC_OK ? "" : why->text);
	action_done(c);
}

static bool start_ask(struct controller *c)
{
	const struct decision *d = &c->decision;
	const struct instance_action *ia = &instance_actions[d->action];
	struct stamp now = controller_now(c);
	struct why why = { 0 };
	if (d->instance >= c->world->num_agents)
		return false;
	if (d->action == RA_SWAP &&
	    rollover_check_swap(c->facts, &c->policy, d->instance, d->generation, now, &why) != EC_OK)
		return guard_refused(c, "guard: swap refused", &why);
	facts_asked(c->facts, d->instance, ia->kind, d->generation, now);
	if (!controller_save(c, NULL, NULL))
		return false;
	c->pending = 1;
	json_t *request = json_pack("{s:s, s:s}", "do", ia->verb, "identity", c->facts->identity);
	if (d->action != RA_PREPARE && request != NULL)
		(void)json_object_set_new(request, "generation", json_integer((json_int_t)d->generation));
	if (ask_instance(c, d->instance, request, ia->timeout_ms, on_asked))
		return true;
	ask_noted(c, d->instance, OUTCOME_FAILED, "out of memory");
	return false;
}

/* --- RA_PROBE --- */

static void on_probe(void *arg, const char *address, enum key_algorithm algorithm, enum sni_kind sni,
                     const uint8_t *spki_sha256, const char *words)
{
	struct controller *c = arg;
	if (spki_sha256 != NULL)
		c->counts.probes_seen++;
	else
		c->counts.probes_failed++;
	facts_probe(c->facts, address, algorithm, sni, spki_sha256, words, controller_now(c));
}

static void on_probed(void *arg)
{
	struct controller *c = arg;
	c->probes = NULL;
	facts_probed(c->facts, controller_now(c));
	action_done(c);
}

static bool start_probe(struct controller *c)
{
	struct probes_plan plan = {
		.identity = c->facts->identity,
		.addresses = (const char (*)[FACT_ADDRESS])c->facts->addresses,
		.num_addresses = c->facts->num_addresses,
		.only_by_name = !c->policy.default_identity,
		.timeout_ms = (int)c->world->cfg->tlsa_sync.probe.timeout_ms,
	};
	for (size_t i = 0; i < c->facts->num_keys; i++)
		plan.algorithms |= 1u << c->facts->keys[i].algorithm;
	struct probes_events events = { .result = on_probe, .done = on_probed };
	c->pending = 1;
	return probes_start(c->world->loop, &plan, events, c, &c->probes) == EC_OK;
}

/* --- RA_CERTIFY: beside everything else, for a CA may take its time --- */

static void issue_noted(struct controller *c, enum outcome outcome, const char *words)
{
	struct fact_issue *i = &c->facts->issue;
	c->counts.issues[outcome]++;
	facts_issue_done(c->facts, outcome, words, controller_now(c));
	struct log_line l;
	log_begin(&l, outcome == OUTCOME_OK ? LOG_NOTICE : LOG_WARNING, "certify");
	log_str(&l, "identity", c->facts->identity);
	log_str(&l, "instance", c->facts->instances[i->instance].name);
	log_int(&l, "generation", (int64_t)i->generation);
	log_str(&l, "algorithm", key_algorithm_name(i->algorithm));
	log_str(&l, "outcome", outcome == OUTCOME_OK ? "installed" : outcome == OUTCOME_FAILED ? "failed" : "unknown");
	log_str(&l, "why", words);
	log_end(&l);
	char line[WHY_SIZE + FACT_NAME];
	(void)snprintf(line, sizeof line, "%s: generation %llu, %s: %s", c->facts->instances[i->instance].name,
	               (unsigned long long)i->generation, key_algorithm_name(i->algorithm),
	               outcome == OUTCOME_OK ? "a certificate was installed" : words);
	note_event(c, "certify", line);
	if (outcome != OUTCOME_OK)
		controller_complain(c, "certify", NULL, words);
}

static void on_issued(void *arg, enum outcome outcome, const struct why *why)
{
	struct controller *c = arg;
	c->issuing = NULL;
	issue_noted(c, outcome, outcome == OUTCOME_OK ? "" : why->text);
	controller_step(c);
}

bool action_certify(struct controller *c)
{
	const struct decision *d = &c->decision;
	const struct config_identity *id = &c->world->cfg->identities[c->index];
	const struct issuer_job job = {
		.identity = c->facts->identity,
		.generation = d->generation,
		.algorithm = d->algorithm,
		.command = c->policy.issuer == ISSUER_COMMAND ? &id->command : NULL,
		.timeout_ms = (int)id->command_timeout_ms,
	};
	struct fact_issue before = c->facts->issue;
	assert(c->issuing == NULL && d->instance < c->world->num_agents);
	facts_issue_sent(c->facts, d->instance, d->generation, d->algorithm, d->tries, controller_now(c));
	if (!controller_save(c, NULL, NULL)) {
		c->facts->issue = before; /* what is not on the disk has not been begun */
		return false;
	}
	if (issuer_start(c->world->loop, c->world->agents[d->instance], &job, on_issued, c, &c->issuing) != EC_OK)
		issue_noted(c, OUTCOME_FAILED, "out of memory");
	return true;
}

/* --- dispatch --- */

static bool (*const starts[RA_NUM_ACTIONS])(struct controller *c) = {
	[RA_FIND] = start_find,      [RA_LOOK] = start_look, [RA_PREPARE] = start_ask, [RA_UPDATE] = start_update,
	[RA_SWAP] = start_ask,       [RA_PROBE] = start_probe, [RA_RETIRE] = start_ask,
};

bool action_start(struct controller *c)
{
	assert(starts[c->activity] != NULL);
	return starts[c->activity](c);
}

void action_cancel(struct controller *c)
{
	for (size_t i = 0; i < FACT_INSTANCES; i++)
		agent_cancel(c->asks[i].call);
	probes_cancel(c->probes);
	publisher_cancel(c->update);
	rehearsal_cancel(&c->rehearsal);
	issuer_cancel(c->issuing);
	c->issuing = NULL;
	c->probes = NULL;
	c->update = NULL;
}

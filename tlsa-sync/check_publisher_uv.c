/* start -> on_found and on_report of each instance, in any order -> rehearse ->
 * on_rehearsed -> the loop is stopped, everything freed, and run until it is empty. */
#include "tlsa-sync/check_publisher_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "tlsa-sync/agent_report.h"
#include "tlsa-sync/agent_uv.h"
#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/evidence_uv.h"
#include "tlsa-sync/policy.h"
#include "tlsa-sync/publish_uv.h"
#include "tlsa-sync/rollover.h"

enum { REPORT_TIMEOUT_MS = 10000 };

struct check;

struct check_ask {
	struct check *c;
	unsigned instance;
};

struct check {
	uv_loop_t loop;
	const struct config *cfg;
	struct policy policy;
	struct facts *facts;
	struct evidence *evidence;
	struct askers *askers;
	struct publisher *publisher;
	struct agent *agents[FACT_INSTANCES];
	struct check_ask asks[FACT_INSTANCES];
	unsigned pending;
	enum ec ec;
	struct bytes *out;
};

static void say(struct check *c, const char *start, const char *words)
{
	char line[WHY_SIZE + FACT_NAME + 16];
	int n = snprintf(line, sizeof line, "%s: %s%s%s\n", c->facts->identity, start, start[0] != '\0' ? ": " : "", words);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
	if (bytes_append(c->out, slice_of(line, len)) != EC_OK)
		c->ec = EC_NO_MEMORY;
}

static void over(struct check *c, enum ec ec, const char *words)
{
	c->ec = ec;
	say(c, "", words);
	uv_stop(&c->loop);
}

static void on_rehearsed(void *arg, const struct publish_result *result)
{
	struct check *c = arg;
	over(c, result->outcome == OUTCOME_OK ? EC_OK : EC_DNS_REFUSED, result->words);
	if (bytes_append(c->out, result->more) != EC_OK)
		c->ec = EC_NO_MEMORY;
}

static void rehearse(struct check *c)
{
	struct publisher_call *call = NULL;
	struct why why = { 0 };
	struct publish_change change = {
		.identity = c->facts->identity,
		.map = evidence_map(c->evidence),
		.ttl_s = c->policy.ttl_s,
	};
	if (change.map == NULL)
		return; /* told already */
	enum ec ec = rollover_wanted(c->facts, &c->policy, &change.wanted);
	if (ec != EC_OK)
		say(c, "", "more records are wanted than one set may have");
	if (publisher_rehearse(c->publisher, &change, on_rehearsed, c, &call, &why) != EC_OK)
		over(c, EC_DNS_REFUSED, why.text);
}

static void part_done(struct check *c)
{
	if (--c->pending == 0)
		rehearse(c);
}

static void on_found(void *arg, enum ec ec, const struct server_id *servers, size_t num_servers,
                     const char *const *addresses, size_t num_addresses, const struct why *addresses_why,
                     const struct why *why)
{
	struct check *c = arg;
	(void)servers;
	(void)num_servers;
	(void)addresses;
	(void)num_addresses;
	(void)addresses_why;
	if (ec != EC_OK)
		over(c, EC_DNS_REFUSED, why->text);
	part_done(c);
}

static void on_zones(void *arg, const struct fact_zone *zones, size_t num)
{
	(void)arg; /* how they are signed is no matter for the publisher */
	(void)zones;
	(void)num;
}

static void on_report(void *arg, enum ec ec, const json_t *answer, const struct why *why)
{
	struct check_ask *a = arg;
	struct check *c = a->c;
	struct why words = *why;
	struct agent_report *report = calloc(1, sizeof *report);
	struct reading now;
	clock_read(&now);
	if (report == NULL)
		ec = EC_NO_MEMORY;
	if (ec == EC_OK)
		ec = agent_report_read(answer, c->facts->identity, report, &words);
	if (ec == EC_OK)
		ec = facts_report(c->facts, a->instance, &report->report, facts_tick(c->facts, &now), &words);
	free(report);
	if (ec != EC_OK)
		say(c, c->facts->instances[a->instance].name, words.text[0] != '\0' ? words.text : ec_text(ec));
	part_done(c);
}

static enum ec open_agents(struct check *c, struct why *why)
{
	const struct config_list *instances = &c->cfg->tlsa_sync.instances;
	enum ec ec = facts_set_instances(c->facts, (const char *const *)instances->items, instances->num);
	if (ec != EC_OK)
		return why_set(why, ec, "tlsa_sync.instances: %s", ec_text(ec));
	for (unsigned i = 0; i < instances->num; i++) {
		ec = agent_new(&c->loop, instances->items[i], &c->agents[i]);
		if (ec != EC_OK)
			return why_set(why, ec, "out of memory");
		c->asks[i] = (struct check_ask){ c, i };
		ec = agent_ask(c->agents[i], json_pack("{s:s,s:s}", "do", "report", "identity", c->facts->identity), REPORT_TIMEOUT_MS,
		               on_report, &c->asks[i], NULL);
		if (ec != EC_OK)
			return why_set(why, ec, "out of memory");
		c->pending++;
	}
	return EC_OK;
}

static enum ec start(struct check *c, const char *identity, struct why *why)
{
	static const struct evidence_events events = { .zones = on_zones, .found = on_found };
	enum ec ec = publisher_new(&c->loop, c->cfg, &c->publisher, why);
	if (ec == EC_OK)
		ec = askers_new(&c->loop, c->cfg, &c->askers, why);
	if (ec == EC_OK)
		ec = evidence_new(&c->loop, c->cfg, c->askers, identity, &c->evidence, why);
	if (ec == EC_OK)
		ec = open_agents(c, why);
	if (ec != EC_OK)
		return ec;
	evidence_find(c->evidence, events, c);
	c->pending++;
	return EC_OK;
}

enum ec check_publisher(const struct config *cfg, size_t index, struct bytes *out)
{
	struct why why = { 0 };
	struct check *c = calloc(1, sizeof *c);
	if (c == NULL || uv_loop_init(&c->loop) < 0) {
		free(c);
		return EC_NO_MEMORY;
	}
	c->cfg = cfg;
	c->out = out;
	c->policy = policy_of(cfg, index);
	c->facts = facts_new(cfg->identities[index].name);
	c->ec = c->facts == NULL ? EC_NO_MEMORY : EC_OK;
	if (c->facts != NULL && start(c, cfg->identities[index].name, &why) == EC_OK)
		uv_run(&c->loop, UV_RUN_DEFAULT);
	else if (c->facts != NULL)
		over(c, EC_DNS_REFUSED, why.text);
	for (size_t i = 0; i < FACT_INSTANCES; i++)
		agent_free(c->agents[i]);
	evidence_free(c->evidence);
	askers_free(c->askers);
	while (uv_run(&c->loop, UV_RUN_DEFAULT) != 0)
		; /* until every handle has closed: it may have been stopped before it ran */
	publisher_free(c->publisher);
	(void)uv_loop_close(&c->loop);
	enum ec ec = c->ec;
	free(c->facts);
	free(c);
	return ec;
}

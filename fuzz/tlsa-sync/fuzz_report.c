/* What a danegate says to {"do":"report"}: any JSON is refused with words or gives
 * values inside their bounds, and facts that take them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tlsa-sync/agent_report.h"
#include "tlsa-sync/rollover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct agent_report *r)
{
	assert(r->report.num_generations <= AGENT_GENERATIONS_MAX);
	for (size_t i = 0; i < r->report.num_generations; i++) {
		const struct generation *g = &r->report.generations[i];
		assert(g->num_keys <= KEY_NUM_ALGORITHMS);
		for (size_t k = 0; k < g->num_keys; k++)
			assert((unsigned)g->keys[k].algorithm < KEY_NUM_ALGORITHMS);
		for (size_t j = 0; j < i; j++)
			assert(r->report.generations[j].number != g->number);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "a" };
	static struct agent_report r;
	struct why why = { 0 };
	json_t *answer = json_loadb((const char *)data, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	if (answer == NULL)
		return 0;
	if (agent_report_read(answer, "mx1.example.org", &r, &why) == EC_OK) {
		check(&r);
		struct facts *f = facts_new("mx1.example.org");
		assert(f != NULL);
		struct reading clock = { .wall_ms = INT64_C(1795269600000), .mono = { 77000 }, .boot = "b1" };
		struct policy p = { .ttl_s = 3600, .confirmations = 3, .poll_s = 5, .watch_s = 300, .hold_s = 3600 };
		struct decision d;
		struct stamp now = facts_tick(f, &clock);
		assert(facts_set_instances(f, names, 1) == EC_OK);
		(void)!facts_report(f, 0, &r.report, now, &why);
		rollover_decide(f, &p, now, &d);
		free(f);
	} else {
		assert(why.text[0] != '\0');
	}
	json_decref(answer);
	return 0;
}

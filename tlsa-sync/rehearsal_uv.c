#include "tlsa-sync/rehearsal_uv.h"

#include <stdio.h>

#include "base/log_fs.h"
#include "tlsa-sync/controller_in_uv.h"

/* A key can be changed at the primary on any day; while something is wrong, the operator
 * who mends it wants to see that soon. */
enum { AGAIN_MS = 3600 * 1000 };

static void note(struct controller *c, const char *trouble)
{
	struct rehearsal *r = &c->rehearsal;
	uint64_t soon = (uint64_t)c->policy.watch_s * 1000;
	r->next_ms = uv_now(c->world->loop) + (trouble[0] != '\0' && soon < AGAIN_MS ? soon : AGAIN_MS);
	bool was = r->trouble[0] != '\0';
	(void)snprintf(r->trouble, sizeof r->trouble, "%s", trouble);
	if (was && trouble[0] == '\0')
		log_why(LOG_NOTICE, "publisher", c->facts->identity, "a change would be accepted again");
	if (trouble[0] != '\0')
		controller_complain(c, "publisher", NULL, trouble);
}

static void on_rehearsed(void *arg, const struct publish_result *result)
{
	struct controller *c = arg;
	c->rehearsal.call = NULL;
	note(c, result->outcome == OUTCOME_OK ? "" : result->words);
	if (c->activity == RA_NONE)
		controller_step(c);
}

void rehearsal_step(struct controller *c)
{
	struct rehearsal *r = &c->rehearsal;
	const struct zone_map *map = evidence_map(c->evidence);
	if (r->call != NULL || map == NULL || uv_now(c->world->loop) < r->next_ms)
		return;
	const struct publish_change change = {
		.identity = c->facts->identity,
		.map = map,
		.ttl_s = c->policy.ttl_s,
		.wanted = c->decision.wanted,
	};
	struct why why = { 0 };
	if (publisher_rehearse(c->world->publisher, &change, on_rehearsed, c, &r->call, &why) != EC_OK)
		note(c, why.text);
}

void rehearsal_proven(struct rehearsal *r)
{
	r->trouble[0] = '\0';
}

void rehearsal_alarm(const struct rehearsal *r, struct decision *d)
{
	if (r->trouble[0] == '\0')
		return;
	size_t i = d->num_alarms < ROLLOVER_ALARMS ? d->num_alarms++ : ROLLOVER_ALARMS - 1;
	(void)snprintf(d->alarms[i], sizeof d->alarms[i], "DNS could not be changed now: %.380s", r->trouble);
}

void rehearsal_cancel(struct rehearsal *r)
{
	publisher_cancel(r->call);
	r->call = NULL;
}

/* controller_step -> rollover_decide -> [RA_RECORD: mark, journal, decide again]
 * -> journal -> action_start -> ... -> action_done -> journal -> controller_step.
 * With nothing to do the timer is set; an operator's request steps at once. */
#include "tlsa-sync/controller_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_fs.h"
#include "tlsa-sync/clock_uv.h"
#include "tlsa-sync/controller_in_uv.h"
#include "tlsa-sync/policy.h"

/* A chain of marks is short; a longer one would be a fault of ours. */
enum { MARKS_MAX = 64, WAKE_MAX_MS = 3600 * 1000, START_APART_MS = 10 };

struct stamp controller_now(struct controller *c)
{
	struct reading r;
	clock_read(&r);
	return facts_tick(c->facts, &r);
}

void controller_complain(struct controller *c, const char *what, const char *about, const char *words)
{
	char where[FACT_NAME + FACT_ADDRESS + FACT_NAME];
	struct writer w = writer_of(where, sizeof where);
	writer_str(&w, c->facts->identity);
	if (about != NULL)
		writer_format(&w, " %s", about);
	if (mishaps_add(c->world->mishaps, clock_wall(), what, where, words))
		log_why(LOG_WARNING, what, where, words);
}

static void tell(struct controller *c, const char *event, const char *words)
{
	events_tell(c->world->events, event, c->facts->identity, rollover_states[c->facts->shown_state].name, words,
	            controller_now(c).wall);
}

bool controller_save(struct controller *c, const char *event, const char *words)
{
	struct why why = { 0 };
	struct stamp now = controller_now(c);
	if (c->world->journal == NULL)
		return true; /* only looking */
	enum ec ec = journal_store(c->world->journal, c->facts, event, words, now, &why);
	c->unsaved = ec != EC_OK;
	if (ec == EC_OK) {
		if (c->trouble[0] != '\0')
			tell(c, "alarm-over", c->trouble);
		c->trouble[0] = '\0';
		return true;
	}
	c->counts.journal_failures++;
	bool known = c->trouble[0] != '\0';
	(void)snprintf(c->trouble, sizeof c->trouble, "nothing is changed, for the journal can't be written: %.400s", why.text);
	if (!known)
		tell(c, "alarm", c->trouble);
	controller_complain(c, "journal", NULL, why.text);
	return false;
}

static void on_timer(uv_timer_t *t)
{
	controller_step(t->data);
}

static void wake_after(struct controller *c, int64_t ms)
{
	if (ms < 1)
		ms = 1;
	if (ms > WAKE_MAX_MS)
		ms = WAKE_MAX_MS;
	uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
}

/* Two MX hosts of one domain never roll in the same window. */
static void refresh_policy(struct controller *c)
{
	c->policy.blocked = NULL;
	for (size_t i = 0; i < c->world->num_controllers; i++) {
		const struct controller *other = c->world->controllers[i];
		if (other == NULL || other == c || !controller_rolling(other))
			continue;
		(void)snprintf(c->blocked, sizeof c->blocked, "%.200s is rolling, and one rolls at a time", other->facts->identity);
		c->policy.blocked = c->blocked;
	}
}

/* When a roll ends here, another identity may have waited for that. */
static void wake_others(struct controller *c)
{
	for (size_t i = 0; i < c->world->num_controllers; i++) {
		struct controller *other = c->world->controllers[i];
		if (other != NULL && other != c && !other->stopping && other->activity == RA_NONE && other->policy.blocked != NULL)
			wake_after(other, 1);
	}
}

/* note_state logs and journals a change of the shown state. */
static bool note_state(struct controller *c, struct stamp now)
{
	const struct decision *d = &c->decision;
	bool first = c->facts->shown_since.s == 0;
	const char *from = first ? "-" : rollover_states[c->facts->shown_state].name;
	if (!rollover_show(c->facts, d, now))
		return true;
	const char *to = rollover_states[d->state].name;
	struct log_line l;
	log_begin(&l, LOG_NOTICE, "state");
	log_str(&l, "identity", c->facts->identity);
	log_str(&l, "from", from);
	log_str(&l, "to", to);
	log_str(&l, "why", d->why);
	log_end(&l);
	c->counts.state_changes++;
	c->last_event[0] = '\0';
	char words[WHY_SIZE + 64];
	(void)snprintf(words, sizeof words, "%s -> %s: %s", from, to, d->why);
	bool saved = controller_save(c, "state", words);
	tell(c, "state", words);
	return saved;
}

/* Each alarm is logged and told once when it is there and once when it is over. */
static void alarms_not_in(struct controller *c, const char (*these)[FACT_WORDS + FACT_NAME], size_t num,
                          const char (*those)[FACT_WORDS + FACT_NAME], size_t num_those, bool over)
{
	for (size_t i = 0; i < num; i++) {
		bool known = false;
		for (size_t k = 0; k < num_those; k++)
			known = known || strcmp(those[k], these[i]) == 0;
		if (known)
			continue;
		log_why(over ? LOG_NOTICE : LOG_WARNING, over ? "alarm-over" : "alarm", c->facts->identity, these[i]);
		tell(c, over ? "alarm-over" : "alarm", these[i]);
	}
}

static void note_alarms(struct controller *c)
{
	const struct decision *d = &c->decision;
	alarms_not_in(c, d->alarms, d->num_alarms, c->alarms, c->num_alarms, false);
	alarms_not_in(c, c->alarms, c->num_alarms, d->alarms, d->num_alarms, true);
	memcpy(c->alarms, d->alarms, sizeof c->alarms);
	c->num_alarms = d->num_alarms;
}

/* decide_all decides, and sets marks, until there is something to do or to wait
 * for. Returns false when the journal stands in the way. */
static bool decide_all(struct controller *c)
{
	for (unsigned i = 0; i < MARKS_MAX; i++) {
		struct stamp now = controller_now(c);
		refresh_policy(c);
		rollover_decide(c->facts, &c->policy, now, &c->decision);
		rehearsal_alarm(&c->rehearsal, &c->decision);
		if (c->decision.action != RA_RECORD) {
			note_alarms(c);
			return note_state(c, now);
		}
		struct why event = { 0 };
		rollover_record(c->facts, &c->policy, &c->decision, now, &event);
		log_why(LOG_NOTICE, "mark", c->facts->identity, event.text);
		if (!controller_save(c, "mark", event.text))
			return false;
		wake_others(c);
	}
	controller_complain(c, "decide", NULL, "marks without an end: a fault in tlsa-sync");
	return false;
}

static int64_t poll_ms(const struct controller *c)
{
	return c->policy.poll_s * 1000;
}

/* held_back tells for how long the action chosen has to wait because it failed a
 * moment ago. While an update waits, the servers are looked at all the same. */
static int64_t held_back(struct controller *c)
{
	struct decision *d = &c->decision;
	uint64_t now = uv_now(c->world->loop);
	uint64_t until = c->not_before_ms[d->action];
	if (until <= now)
		return 0;
	struct stamp looked = c->facts->looked;
	int64_t since = c->facts->clock.count_ms - looked.count_ms;
	if (d->action == RA_UPDATE && (looked.count_ms == 0 || since >= poll_ms(c))) {
		d->action = RA_LOOK;
		return held_back(c);
	}
	int64_t left = (int64_t)(until - now);
	return left < poll_ms(c) ? left : poll_ms(c);
}

void controller_step(struct controller *c)
{
	if (c->stopping || c->activity != RA_NONE)
		return;
	uv_timer_stop(&c->timer);
	if (c->world->looked != NULL) {
		c->world->looked(c->world->looked_arg);
		return;
	}
	if (!decide_all(c) || (c->unsaved && !controller_save(c, NULL, NULL))) {
		wake_after(c, poll_ms(c));
		return;
	}
	rehearsal_step(c);
	if (c->decision.action == RA_NONE) {
		wake_after(c, c->decision.wake_ms > 0 ? c->decision.wake_ms : poll_ms(c));
		return;
	}
	int64_t wait_ms = held_back(c);
	if (wait_ms > 0) {
		wake_after(c, wait_ms);
		return;
	}
	if (c->decision.action == RA_CERTIFY) {
		wake_after(c, action_certify(c) ? 1 : poll_ms(c));
		return;
	}
	c->activity = c->decision.action;
	if (action_start(c))
		return;
	c->not_before_ms[c->activity] = uv_now(c->world->loop) + (uint64_t)poll_ms(c);
	c->activity = RA_NONE;
	wake_after(c, poll_ms(c));
}

void controller_start(struct controller *c)
{
	if (c->world->looked != NULL) {
		c->activity = RA_LOOK;
		if (action_start(c))
			return;
		c->activity = RA_NONE;
	}
	/* Of many identities each begins a moment after the one before: not all of them ask all
	 * servers at once, now and at every later look. */
	wake_after(c, 1 + (int64_t)c->index * START_APART_MS);
}

enum ec controller_request(struct controller *c, enum rollover_request request, struct why *why)
{
	const char *name = rollover_request_name(request);
	struct stamp now = controller_now(c);
	struct facts *before = malloc(sizeof *before);
	if (before == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*before = *c->facts;
	refresh_policy(c);
	enum ec ec = rollover_request(c->facts, &c->policy, request, now, why);
	if (ec == EC_OK && !controller_save(c, name, why->text)) {
		*c->facts = *before; /* what is not on the disk was not asked for */
		ec = why_set(why, EC_IO, "%s", c->trouble);
	}
	free(before);
	struct log_line l;
	log_begin(&l, LOG_NOTICE, "request");
	log_str(&l, "identity", c->facts->identity);
	log_str(&l, "what", name);
	log_str(&l, "result", ec_name(ec));
	log_str(&l, "why", why->text);
	log_end(&l);
	if (ec == EC_OK && c->activity == RA_NONE)
		wake_after(c, 1);
	if (ec == EC_OK)
		wake_others(c);
	return ec;
}

void controller_view(struct controller *c, struct view *out)
{
	uint64_t now = uv_now(c->world->loop);
	uint64_t until = c->not_before_ms[RA_UPDATE];
	*out = (struct view){
		.facts = c->facts,
		.policy = &c->policy,
		.counts = c->counts,
		.now = controller_now(c),
		.activity = c->activity,
		.trouble = c->trouble,
		.next_update_s = c->update_failures > 0 && until > now ? (int64_t)(until - now + 999) / 1000 : 0,
	};
	/* While something is being changed, that is what is going on: a decision made
	 * in the middle of it would call the outcome unknown. */
	if (c->activity != RA_NONE && c->activity != RA_LOOK && c->activity != RA_FIND) {
		out->decision = c->decision;
		return;
	}
	refresh_policy(c);
	rollover_decide(c->facts, &c->policy, out->now, &out->decision);
	rehearsal_alarm(&c->rehearsal, &out->decision);
}

const char *controller_identity(const struct controller *c)
{
	return c->facts->identity;
}

bool controller_rolling(const struct controller *c)
{
	const struct fact_roll *r = &c->facts->roll;
	return r->asked.count_ms != 0 && r->begun.count_ms != 0 && r->ended.count_ms == 0;
}

/* --- life --- */

static void on_timer_closed(uv_handle_t *h)
{
	struct controller *c = h->data;
	free(c->facts);
	free(c);
}

static enum ec load_facts(struct controller *c, struct why *why)
{
	const struct config_list *instances = &c->world->cfg->tlsa_sync.instances;
	c->facts = facts_new(c->world->cfg->identities[c->index].name);
	if (c->facts == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = c->world->journal == NULL ? EC_OK : journal_load(c->world->journal, c->facts, why);
	if (ec != EC_OK)
		return ec;
	struct stamp now = controller_now(c);
	if (c->facts->issue.outcome == OUTCOME_SENT) /* it ended with the program that had started it */
		facts_issue_done(c->facts, OUTCOME_UNKNOWN, "tlsa-sync ended while the issuer's command was running", now);
	if (c->world->again)
		c->facts->issue.tries = 0;
	ec = facts_set_instances(c->facts, (const char *const *)instances->items, instances->num);
	if (ec == EC_NO_SPACE)
		return why_set(why, EC_LIMIT, "tlsa_sync.instances: at most %d", FACT_INSTANCES);
	return ec == EC_OK ? EC_OK : why_set(why, ec, "tlsa_sync.instances: %s", ec_text(ec));
}

enum ec controller_new(struct controller_world *world, size_t index, struct controller **out, struct why *why)
{
	struct controller *c = calloc(1, sizeof *c);
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	c->world = world;
	c->index = index;
	c->policy = policy_of(world->cfg, index);
	uv_timer_init(world->loop, &c->timer);
	c->timer.data = c;
	enum ec ec = load_facts(c, why);
	if (ec == EC_OK)
		ec = evidence_new(world->loop, world->cfg, world->askers, world->cfg->identities[index].name, &c->evidence, why);
	if (ec != EC_OK) {
		controller_free(c);
		c = NULL;
	}
	*out = c;
	return ec;
}

void controller_free(struct controller *c)
{
	if (c == NULL || c->stopping)
		return;
	c->stopping = true;
	action_cancel(c);
	evidence_free(c->evidence);
	c->evidence = NULL;
	if (c->facts != NULL && c->unsaved)
		(void)controller_save(c, NULL, NULL);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

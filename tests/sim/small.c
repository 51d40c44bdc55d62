#include "small.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "small_room.h"

const struct reading small_clock = { .wall_ms = INT64_C(1800000000000), .mono = { 5000 }, .boot = "boot" };

const char *const small_names[S_INSTANCES] = { "edge-1", "edge-2" };

bool choices_next(struct choices *c)
{
	while (c->num > 0 && c->taken[c->num - 1] + 1 == c->of[c->num - 1])
		c->num--;
	if (c->num == 0)
		return false;
	c->taken[c->num - 1]++;
	return true;
}

unsigned choose(struct small_run *r, unsigned n)
{
	struct choices *c = r->choices;
	assert(n > 0);
	if (c->at == c->num) {
		assert(c->num < S_CHOICES);
		c->taken[c->num] = (uint8_t)(c->random == NULL ? 0 : rng_upto(c->random, n));
		c->of[c->num++] = (uint8_t)n;
	}
	assert(c->of[c->at] == n && "a step depends on its state and its choices alone");
	return c->taken[c->at++];
}

bool happens(struct small_run *r, bool possible)
{
	return possible && choose(r, 2) == 1;
}

void say(struct small_run *r, const char *format, ...)
{
	size_t len = strlen(r->log);
	va_list ap;
	va_start(ap, format);
	if (r->trace)
		(void)vsnprintf(r->log + len, sizeof r->log - len, format, ap);
	va_end(ap);
}

void fail(struct small_run *r, const char *what, const char *words)
{
	if (r->broken[0] == '\0')
		(void)snprintf(r->broken, sizeof r->broken, "%s: %s", what, words);
}

struct stamp now(struct small_run *r)
{
	return facts_tick(r->facts, &r->reading);
}

/* ---- sets ---- */

static bool set_has(const struct small_set *s, record r)
{
	for (unsigned i = 0; i < s->num; i++)
		if (s->records[i] == r)
			return true;
	return false;
}

static void set_add(struct small_set *s, record r)
{
	unsigned i = s->num;
	if (set_has(s, r))
		return;
	assert(s->num < S_RECORDS);
	for (; i > 0 && s->records[i - 1] > r; i--)
		s->records[i] = s->records[i - 1];
	s->records[i] = r;
	s->num++;
}

static void set_remove(struct small_set *s, record r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < s->num; i++)
		if (s->records[i] != r)
			s->records[n++] = s->records[i];
	memset(&s->records[n], 0, (s->num - n) * sizeof s->records[0]);
	s->num = (uint8_t)n;
}

static bool set_same(const struct small_set *a, const struct small_set *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

struct small_set set_read(const struct tlsa_set *in)
{
	struct small_set s = { 0 };
	for (unsigned i = 0; i < in->num; i++) {
		record rec;
		if (record_read(&in->items[i], &rec))
			set_add(&s, rec);
	}
	return s;
}

struct tlsa_set set_tlsa(const struct small_set *in)
{
	struct tlsa_set s = { .num = in->num };
	for (unsigned i = 0; i < in->num; i++)
		s.items[i] = record_tlsa(in->records[i]);
	return s;
}

/* ---- the check ---- */

/* Does a sender who holds the set accept what the instance presents: for each kind of record in
 * it, and each algorithm the sender may ask for? RFC 7671 8, 8.1. */
static bool accepts(const struct small_run *r, const struct small_set *s, unsigned instance)
{
	unsigned presented = r->w.instances[instance].active, kinds = 0;
	if (s->excused)
		return true;
	if (s->num == 0)
		return s->told[instance] == presented || r->facts->off.asked.count_ms != 0;
	for (unsigned i = 0; i < s->num; i++)
		kinds |= 1U << record_form_of(s->records[i]);
	for (unsigned kind = 0; kind < HAND_NUM; kind++)
		for (unsigned a = 0; (kinds >> kind & 1) && a < r->rules->algorithms; a++)
			if (!set_has(s, record_make(kind, a, instance, presented)))
				return false;
	return true;
}

static bool all_accept(const struct small_run *r, const struct small_set *s)
{
	for (unsigned i = 0; i < r->rules->instances; i++)
		if (!accepts(r, s, i))
			return false;
	return true;
}

static void check_set(struct small_run *r, const struct small_set *s, int left)
{
	char words[400];
	int n = snprintf(words, sizeof words, left < 0 ? "a server serves" : "for %d ticks more a cache may hold", left);
	for (unsigned i = 0; i < s->num; i++)
		n += snprintf(words + n, sizeof words - (size_t)n, " %x/%u/%u:%u", record_form_of(s->records[i]),
		              s->records[i] >> 8 & 3, record_instance(s->records[i]), record_generation(s->records[i]));
	for (unsigned i = 0; i < r->rules->instances; i++) {
		if (accepts(r, s, i))
			continue;
		(void)snprintf(words + n, sizeof words - (size_t)n, "%s, and instance %u presents generation %u",
		               s->num == 0 ? " a denial" : "", i, r->w.instances[i].active);
		fail(r, "broken promise", words);
	}
}

void small_check(struct small_run *r)
{
	for (unsigned i = 0; i < r->rules->servers; i++)
		if (!all_accept(r, &r->w.at[i]))
			check_set(r, &r->w.at[i], -1);
	for (unsigned i = 0; i < r->w.num_held; i++)
		if (!all_accept(r, &r->w.held[i].set))
			check_set(r, &r->w.held[i].set, r->w.held[i].left);
}

/* ---- the world ---- */

void tick(struct small_run *r, int64_t wall_ticks)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->w.num_held; i++)
		if (--r->w.held[i].left > 0)
			r->w.held[n++] = r->w.held[i];
	memset(&r->w.held[n], 0, (r->w.num_held - n) * sizeof r->w.held[0]);
	r->w.num_held = (uint8_t)n;
	if (r->w.late.kind != ON_ITS_WAY_NONE && --r->w.late.left == 0)
		r->w.late = (struct small_late){ 0 };
	r->reading.mono.ms += TICK_MS;
	r->reading.wall_ms += wall_ticks * TICK_MS;
	(void)now(r);
}

static void hold(struct small_run *r, const struct small_set *s)
{
	uint8_t left = (uint8_t)(2 * s->ttl + r->rules->margin);
	for (unsigned i = 0; i < r->w.num_held; i++) {
		if (!set_same(&r->w.held[i].set, s))
			continue;
		if (r->w.held[i].left < left)
			r->w.held[i].left = left;
		return;
	}
	assert(r->w.num_held < S_HELD);
	if (left > 0)
		r->w.held[r->w.num_held++] = (struct small_held){ *s, left, 0 };
}

static void serve(struct small_run *r, unsigned server, const struct small_set *s)
{
	if (set_same(&r->w.at[server], s))
		return;
	hold(r, &r->w.at[server]);
	r->w.at[server] = *s;
}

static bool lagging(const struct small_run *r)
{
	return r->rules->servers > 1 && !set_same(&r->w.at[0], &r->w.at[1]) && r->w.turned != 1;
}

static void transfer(struct small_run *r)
{
	if (r->rules->turns)
		r->w.former = r->w.at[1];
	serve(r, 1, &r->w.at[0]);
	r->w.turned = 0;
	say(r, "ns1 catches up");
}

void update(struct small_run *r, const struct small_set *adds, const struct small_set *deletes)
{
	struct small_set s = r->w.at[0];
	for (unsigned i = 0; i < adds->num; i++)
		set_add(&s, adds->records[i]);
	for (unsigned i = 0; i < deletes->num; i++)
		set_remove(&s, deletes->records[i]);
	/* Some servers give an RRset the TTL of what is added, others keep it. */
	bool was = r->w.at[0].num > 0;
	if (s.num == 0)
		s.ttl = r->rules->negative_ttl;
	else if (!was || (adds->num > 0 && s.ttl != r->rules->ttl && choose(r, 2) == 0))
		s.ttl = r->rules->ttl;
	s.excused = s.excused && s.num == 0; /* what is new has no excuse */
	for (unsigned i = 0; i < S_INSTANCES; i++)
		s.told[i] = s.num == 0 ? (was ? r->w.instances[i].active : s.told[i]) : 0;
	serve(r, 0, &s);
}

/* The operator chose that what is out there does not match; or, with DANE switched off
 * and on again, that senders were told nothing. */
static void each_set(struct small_run *r, void (*what)(struct small_run *, struct small_set *))
{
	for (unsigned i = 0; i < r->rules->servers; i++)
		what(r, &r->w.at[i]);
	for (unsigned i = 0; i < r->w.num_held; i++)
		what(r, &r->w.held[i].set);
}

static void excuse(struct small_run *r, struct small_set *s)
{
	s->excused = s->excused || !all_accept(r, s);
}

static void tell(struct small_run *r, struct small_set *s)
{
	for (unsigned i = 0; s->num == 0 && i < S_INSTANCES; i++)
		s->told[i] = r->w.instances[i].active;
}

void present(struct small_run *r, unsigned instance, unsigned generation)
{
	struct small_instance *in = &r->w.instances[instance];
	const struct fact_roll *roll = &r->facts->roll;
	for (unsigned i = 0; i < in->num; i++)
		if (in->generations[i] == generation)
			in->active = (uint8_t)generation;
	if (roll->forced && roll->ended.count_ms == 0 && roll->rollback.count_ms == 0)
		each_set(r, excuse);
}

void prepare(struct small_run *r, unsigned instance)
{
	struct small_instance *in = &r->w.instances[instance];
	if (in->num > 0 && in->generations[in->num - 1] > in->active)
		return;
	assert(in->num < S_GENERATIONS);
	in->generations[in->num++] = ++in->last;
}

void retire(struct small_run *r, unsigned instance, unsigned generation)
{
	struct small_instance *in = &r->w.instances[instance];
	unsigned n = 0;
	for (unsigned i = 0; i < in->num; i++)
		if (in->generations[i] != generation || generation == in->active)
			in->generations[n++] = in->generations[i];
	memset(&in->generations[n], 0, in->num - n);
	in->num = (uint8_t)n;
}

void arrive(struct small_run *r)
{
	struct small_late l = r->w.late;
	r->w.late = (struct small_late){ 0 };
	if (l.kind == ON_ITS_WAY_UPDATE)
		update(r, &l.adds, &l.deletes);
	else
		present(r, l.instance, l.generation);
	say(r, "the %s arrives", l.kind == ON_ITS_WAY_UPDATE ? "late update" : "late swap");
}

void boot(struct small_run *r)
{
	tick(r, 1);
	r->reading.mono.ms = 1000;
	const char *id = strcmp(r->reading.boot, small_clock.boot) == 0 ? "next boot" : small_clock.boot;
	(void)snprintf(r->reading.boot, sizeof r->reading.boot, "%s", id);
	(void)now(r);
	tick(r, 1);
}

/* ---- what else may happen ---- */

/* Servers turn back, and people edit, only where a controller that looks can see it before
 * it matters: nobody can promise anything about what is never seen. */
static bool quiet(const struct small_run *r)
{
	bool rolling = r->facts->roll.asked.count_ms != 0 && r->facts->roll.ended.count_ms == 0;
	bool off = r->facts->off.asked.count_ms != 0;
	return !rolling && !off && r->w.late.kind == ON_ITS_WAY_NONE;
}

static bool may_turn(const struct small_run *r)
{
	return r->rules->turns && r->w.turned == 0 && r->w.former.ttl != 0 && !set_same(&r->w.former, &r->w.at[1]) &&
	       quiet(r) && all_accept(r, &r->w.former);
}

static bool may_edit(const struct small_run *r)
{
	return r->w.edits < r->rules->edits && r->w.at[0].num > 1 && quiet(r);
}

static void edit(struct small_run *r)
{
	struct small_set s = r->w.at[0];
	record rec = s.records[choose(r, s.num)];
	set_remove(&s, rec);
	r->same = !all_accept(r, &s); /* that alone would break the promise */
	if (r->same)
		return;
	r->w.edits++;
	serve(r, 0, &s);
	say(r, "somebody takes record %x out of the zone", rec);
}

static void request(struct small_run *r, unsigned rq)
{
	struct why why = { 0 };
	r->same = rollover_request(r->facts, &r->policy, rq, now(r), &why) != EC_OK;
	if (rq == RQ_ENABLE && !r->same)
		each_set(r, tell);
	say(r, "the operator asks to %s: %s", rollover_request_name(rq), why.text);
}

/* DANE is off, and the state said that keys may be changed. */
static void by_hand(struct small_run *r)
{
	unsigned i = choose(r, r->rules->instances);
	struct small_instance *in = &r->w.instances[i];
	if (in->num < S_GENERATIONS - 2)
		prepare(r, i);
	in->active = in->generations[in->num - 1];
	say(r, "somebody gives instance %u another key by hand", i);
}

static void restart(struct small_run *r)
{
	say(r, "nothing runs for three ticks");
	for (unsigned i = 0; i < 3; i++)
		tick(r, 1);
}

/* The first way of all is calm weather: what is on its way arrives, then the
 * controller does what it decided. */
void small_step(struct small_run *r)
{
	enum { TRANSFER, ARRIVE, DAEMON, RESTART, BOOT, TURN, EDIT, HANDS, FORMS, REQUEST };
	unsigned may[REQUEST + RQ_NUM], n = 0;
	if (lagging(r))
		may[n++] = TRANSFER;
	if (r->w.late.kind != ON_ITS_WAY_NONE)
		may[n++] = ARRIVE;
	may[n++] = DAEMON;
	if (r->rules->crashes)
		may[n++] = RESTART;
	if (r->rules->boots)
		may[n++] = BOOT;
	if (may_turn(r))
		may[n++] = TURN;
	if (may_edit(r))
		may[n++] = EDIT;
	if (r->rules->hands && r->facts->off.done.count_ms != 0)
		may[n++] = HANDS;
	if (r->rules->forms_next != 0)
		may[n++] = FORMS;
	for (unsigned q = 0; q < RQ_NUM; q++)
		if (r->rules->requests >> q & 1)
			may[n++] = REQUEST + q;
	unsigned what = may[choose(r, n)];
	switch (what) {
	case TRANSFER: transfer(r); break;
	case ARRIVE: arrive(r); break;
	case DAEMON: step_daemon(r); break;
	case RESTART: restart(r); break;
	case BOOT:
		say(r, "the machine boots");
		boot(r);
		break;
	case TURN:
		serve(r, 1, &r->w.former);
		r->w.turned = 1;
		say(r, "ns1 turns back to what it had before");
		break;
	case EDIT: edit(r); break;
	case HANDS: by_hand(r); break;
	case FORMS:
		r->w.other_forms = !r->w.other_forms;
		say(r, "the forms of record are configured otherwise");
		break;
	default: request(r, what - REQUEST);
	}
	small_check(r);
}

struct policy small_policy(const struct small_rules *rules, const struct small *w)
{
	return (struct policy){
		.ttl_s = rules->ttl * TICK_S,
		.wait = WAIT_TWO_TTL,
		.confirmations = rules->confirmations,
		.poll_s = SMALL_POLL_S,
		.watch_s = SMALL_WATCH_S,
		.cache_margin_s = rules->margin * TICK_S,
		.hold_s = rules->hold * TICK_S,
		.forms = w->other_forms ? rules->forms_next : rules->forms,
		.own_rrset = rules->own_rrset,
	};
}

void small_begin(struct small_run *r)
{
	r->reading = small_clock;
	r->policy = small_policy(r->rules, &r->w);
	struct small_set s = { .ttl = r->rules->zone_ttl != 0 ? r->rules->zone_ttl : r->rules->negative_ttl };
	for (unsigned i = 0; i < r->rules->instances; i++) {
		struct small_instance *in = &r->w.instances[i];
		in->active = in->last = in->generations[0] = 1;
		in->num = 1;
		for (unsigned a = 0; r->rules->zone_ttl != 0 && a < r->rules->algorithms; a++) {
			set_add(&s, record_make(FORM_311, a, i, 1));
			if (r->rules->stranger != 0)
				set_add(&s, record_make(r->rules->stranger, a, i, 1));
		}
		s.told[i] = s.num == 0 ? in->active : 0;
	}
	if (s.num > 0)
		memset(s.told, 0, sizeof s.told);
	for (unsigned i = 0; i < r->rules->servers; i++)
		r->w.at[i] = s;
	const char *names[S_INSTANCES] = { small_names[0], small_names[1] };
	if (facts_set_instances(r->facts, names, r->rules->instances) != EC_OK)
		fail(r, "facts_set_instances", "");
	(void)now(r);
}

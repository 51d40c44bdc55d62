/* advance is the only place that decides: it asks all that the plan wants, and when the plan is done
 * starts the timer at 0, from which the route is told. The same timer is the deadline, and before
 * that the end of patience for the policy. */
#include "proxy/router/find_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	struct find *f;
	unsigned id;
	struct secure_call *dns;
	struct sts_call *sts;
	bool open;
};

struct find {
	struct find_with with;
	struct plan *plan;
	uv_timer_t timer;
	uint64_t started_ms;
	bool policy_over; /* its time has passed */
	bool done_soon;
	bool failed;
	char policy_domain[ROUTE_NAME_SIZE];
	struct slot slots[PLAN_ASKS_MAX];
	find_done *done;
	void *arg;
};

static void advance(struct find *f);

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void close_slots(struct find *f)
{
	for (unsigned i = 0; i < PLAN_ASKS_MAX; i++) {
		struct slot *s = &f->slots[i];
		if (!s->open)
			continue;
		secure_cancel(s->dns);
		sts_cancel(s->sts);
		s->open = false;
	}
}

void find_cancel(struct find *f)
{
	if (f == NULL)
		return;
	close_slots(f);
	plan_free(f->plan);
	uv_close((uv_handle_t *)&f->timer, on_closed);
}

static void finish(struct find *f)
{
	struct route *r = NULL;
	if (plan_route(f->plan, &r) != EC_OK)
		r = NULL;
	find_done *done = f->done;
	void *arg = f->arg;
	bool failed = f->failed;
	find_cancel(f);
	done(arg, r, failed);
}

/* The policy takes too long. If one is known it holds, else mail goes on without; soon it is looked at
 * again, and the fetch goes on meanwhile. */
static void give_policy_up(struct find *f)
{
	struct sts_policy policy;
	f->policy_over = true;
	for (unsigned i = 0; i < PLAN_ASKS_MAX; i++) {
		if (!f->slots[i].open || f->slots[i].sts == NULL)
			continue;
		bool known = sts_known(f->with.sts, f->policy_domain, &policy);
		sts_cancel(f->slots[i].sts);
		f->slots[i].open = false;
		plan_policy(f->plan, i, known ? &policy : NULL, PLAN_TTL_LEAST_MS);
	}
}

static void on_timer(uv_timer_t *t)
{
	struct find *f = t->data;
	if (f->done_soon) {
		finish(f);
		return;
	}
	give_policy_up(f);
	if (uv_now(f->with.loop) - f->started_ms >= FIND_MS) {
		f->failed = true;
		close_slots(f);
		plan_give_up(f->plan);
	}
	advance(f);
}

static void on_answer(void *arg, const struct secure_answer *a)
{
	struct slot *s = arg;
	s->open = false;
	s->f->failed = s->f->failed || a->status == SECURE_FAILED;
	plan_answer(s->f->plan, s->id, a);
	advance(s->f);
}

static void on_policy(void *arg, const struct sts_policy *policy, int64_t ttl_ms)
{
	struct slot *s = arg;
	s->open = false;
	plan_policy(s->f->plan, s->id, policy, ttl_ms);
	advance(s->f);
}

static void ask(struct find *f, const struct plan_question *q)
{
	struct slot *s = &f->slots[q->id];
	struct why why = { 0 };
	*s = (struct slot){ .f = f, .id = q->id };
	enum ec ec;
	if (q->policy) {
		char text[DNS_NAME_TEXT_SIZE];
		dns_name_print(text, &q->name);
		(void)snprintf(f->policy_domain, sizeof f->policy_domain, "%.*s", ROUTE_NAME_SIZE - 1, text);
		ec = sts_look(f->with.sts, f->policy_domain, on_policy, s, &s->sts);
		if (ec != EC_OK)
			plan_policy(f->plan, q->id, NULL, PLAN_TTL_LEAST_MS);
	} else {
		ec = secure_ask(f->with.secure, &q->name, q->type, 0, on_answer, s, &s->dns, &why);
		if (ec != EC_OK) {
			const struct secure_answer none = {
				.status = SECURE_FAILED, .ec = ec, .type = q->type, .question = q->name, .canonical = q->name, .why = why,
			};
			plan_answer(f->plan, q->id, &none);
		}
	}
	s->open = ec == EC_OK;
}

static void advance(struct find *f)
{
	struct plan_question q;
	while (plan_next(f->plan, &q))
		ask(f, &q);
	uint64_t now = uv_now(f->with.loop);
	uint64_t end = f->started_ms + (f->policy_over ? FIND_MS : FIND_POLICY_MS);
	f->done_soon = plan_is_done(f->plan);
	uv_timer_start(&f->timer, on_timer, f->done_soon || now >= end ? 0 : end - now, 0);
}

enum ec find_start(const struct find_with *with, const struct plan_for *who, find_done *done, void *arg, struct find **out,
                   struct why *why)
{
	*out = NULL;
	struct find *f = calloc(1, sizeof *f);
	if (f == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = plan_new(who, &f->plan, why);
	if (ec != EC_OK) {
		free(f);
		return ec;
	}
	f->with = *with;
	f->done = done;
	f->arg = arg;
	uv_timer_init(with->loop, &f->timer);
	f->timer.data = f;
	uv_update_time(with->loop);
	f->started_ms = uv_now(with->loop);
	*out = f;
	advance(f);
	return EC_OK;
}

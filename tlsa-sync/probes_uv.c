/* A timer of 0 ms starts the first probes from the loop; each result starts the
 * next. When all have been reported the timer is closed, which frees. */
#include "tlsa-sync/probes_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "tlsa-sync/probe_uv.h"

/* A name that can't be anybody's: RFC 6761 6.4. */
static const char other_name[] = "other.invalid";

struct one {
	struct probes *round;
	struct probe *probe; /* NULL: not under way */
	const char *address;
	enum key_algorithm algorithm;
	enum sni_kind sni;
};

struct probes {
	uv_loop_t *loop;
	uv_timer_t timer;
	struct probes_plan plan;
	struct probes_events events;
	void *arg;
	size_t num;
	size_t next;
	size_t running;
	bool cancelled;
	char helo[256];
	struct one ones[FACT_PROBES];
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void round_end(struct probes *r)
{
	uv_close((uv_handle_t *)&r->timer, on_closed);
	r->events.done(r->arg);
}

static void start_more(struct probes *r);

static void on_probe(void *arg, enum ec ec, const uint8_t *spki, const struct why *why)
{
	struct one *o = arg;
	struct probes *r = o->round;
	o->probe = NULL;
	r->running--;
	r->events.result(r->arg, o->address, o->algorithm, o->sni, ec == EC_OK ? spki : NULL, why->text);
	if (!r->cancelled)
		start_more(r);
}

static void start_one(struct probes *r, struct one *o)
{
	struct why why = { 0 };
	struct sockaddr_storage address;
	enum ec ec = address_parse(slice_str(o->address), 25, &address, &why);
	const char *sni = o->sni == SNI_RIGHT ? r->plan.identity : o->sni == SNI_OTHER ? other_name : NULL;
	if (ec == EC_OK)
		ec = probe_start(r->loop, &address, o->algorithm, sni, r->helo, r->plan.timeout_ms, on_probe, o, &o->probe,
		                 &why);
	if (ec == EC_OK)
		r->running++;
	else
		r->events.result(r->arg, o->address, o->algorithm, o->sni, NULL, why.text);
}

static void start_more(struct probes *r)
{
	while (!r->cancelled && r->next < r->num && r->running < PROBES_AT_ONCE)
		start_one(r, &r->ones[r->next++]);
	if (!r->cancelled && r->running == 0)
		round_end(r);
}

static void on_timer(uv_timer_t *t)
{
	start_more(t->data);
}

static void fill(struct probes *r)
{
	for (size_t a = 0; a < r->plan.num_addresses && a < FACT_ADDRESSES; a++)
		for (unsigned k = 0; k < KEY_NUM_ALGORITHMS; k++)
			for (unsigned s = 0; s < SNI_NUM; s++)
				if ((r->plan.algorithms & 1u << k) != 0 && (s == SNI_RIGHT || !r->plan.only_by_name))
					r->ones[r->num++] = (struct one){
						.round = r,
						.address = r->plan.addresses[a],
						.algorithm = (enum key_algorithm)k,
						.sni = (enum sni_kind)s,
					};
}

enum ec probes_start(uv_loop_t *loop, const struct probes_plan *plan, struct probes_events events, void *arg,
                     struct probes **out)
{
	struct probes *r = calloc(1, sizeof *r);
	if (r == NULL)
		return EC_NO_MEMORY;
	*r = (struct probes){ .loop = loop, .plan = *plan, .events = events, .arg = arg };
	size_t len = sizeof r->helo;
	if (uv_os_gethostname(r->helo, &len) != 0)
		(void)snprintf(r->helo, sizeof r->helo, "localhost");
	fill(r);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	uv_timer_start(&r->timer, on_timer, 0, 0);
	*out = r;
	return EC_OK;
}

void probes_cancel(struct probes *r)
{
	if (r == NULL || r->cancelled)
		return;
	r->cancelled = true;
	for (size_t i = 0; i < r->num; i++)
		probe_cancel(r->ones[i].probe);
	uv_close((uv_handle_t *)&r->timer, on_closed);
}

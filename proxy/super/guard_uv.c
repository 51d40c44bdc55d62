#include "proxy/super/guard_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/secure_ub.h"

struct guard {
	uv_loop_t *loop;
	struct secure *secure;
	struct guard_call *calls; /* all under way, so that guard_free can cancel them */
};

/* struct guard_call: its timer reports what failed before a question was sent, so
 * that callbacks never run inside guard_ask. */
struct guard_call {
	struct guard *guard;
	struct guard_call *next;
	struct secure_call *secure;
	uv_timer_t timer;
	guard_answered *done;
	void *arg;
	struct guard_facts facts;
};

enum ec guard_new(uv_loop_t *loop, const struct config_dns *dns, struct guard **out, struct why *why)
{
	struct guard *g = calloc(1, sizeof *g);
	if (g == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	const struct secure_options options = secure_options_of(dns);
	g->loop = loop;
	enum ec ec = secure_new(loop, &options, &g->secure, why);
	if (ec == EC_OK)
		*out = g;
	else
		free(g);
	return ec;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void guard_cancel(struct guard_call *call)
{
	if (call == NULL)
		return;
	for (struct guard_call **p = &call->guard->calls; *p != NULL; p = &(*p)->next) {
		if (*p == call) {
			*p = call->next;
			break;
		}
	}
	secure_cancel(call->secure);
	uv_close((uv_handle_t *)&call->timer, on_closed);
}

/* finish unlinks first: the callback may free the whole guard. */
static void finish(struct guard_call *call)
{
	struct guard_facts facts = call->facts;
	guard_answered *done = call->done;
	void *arg = call->arg;
	call->secure = NULL;
	guard_cancel(call);
	done(arg, &facts);
}

void guard_free(struct guard *g)
{
	if (g == NULL)
		return;
	while (g->calls != NULL) {
		struct guard_call *call = g->calls;
		secure_cancel(call->secure);
		call->facts = (struct guard_facts){ .dns = PIN_DNS_FAILED };
		(void)why_set(&call->facts.why, EC_CANCELLED, "the look-up was given up");
		finish(call);
	}
	secure_free(g->secure);
	free(g);
}

static void on_timer(uv_timer_t *t)
{
	finish(t->data);
}

/* A secure answer may hold more than is understood: a malformed record is
 * nobody's pin and is left out; more records than fit are no whole set, so
 * nothing can be decided from them. */
static void read_records(const struct secure_answer *a, struct guard_facts *f)
{
	enum ec ec = secure_tlsa(a, &f->records);
	if (ec == EC_NO_SPACE) {
		f->dns = PIN_DNS_FAILED;
		(void)why_set(&f->why, ec, "there are more than %d TLSA records; take out those that are not in use", TLSA_SET_MAX);
	} else {
		f->dns = f->records.num > 0 || ec != EC_OK ? PIN_DNS_SECURE : PIN_DNS_ABSENT;
	}
}

static void on_answer(void *arg, const struct secure_answer *a)
{
	struct guard_call *call = arg;
	struct guard_facts *f = &call->facts;
	f->ttl_s = a->ttl_s;
	f->why = a->why;
	switch (a->status) {
	case SECURE_VALID:
		if (a->num > 0) {
			read_records(a, f);
		} else if (a->nxdomain || a->nodata) {
			f->dns = PIN_DNS_ABSENT;
		} else {
			f->dns = PIN_DNS_FAILED;
			(void)why_set(&f->why, EC_DNS_FAILED, "the answer (%s) has no records and denies none", dns_rcode_name(a->rcode));
		}
		break;
	case SECURE_INSECURE:
		f->dns = PIN_DNS_INSECURE;
		break;
	case SECURE_BOGUS:
		f->dns = PIN_DNS_BOGUS;
		break;
	case SECURE_FAILED:
		f->dns = PIN_DNS_FAILED;
		break;
	}
	finish(call);
}

enum ec guard_ask(struct guard *g, const char *identity, guard_answered *done, void *arg, struct guard_call **out_call)
{
	struct guard_call *call = calloc(1, sizeof *call);
	if (call == NULL)
		return EC_NO_MEMORY;
	*call = (struct guard_call){ .guard = g, .next = g->calls, .done = done, .arg = arg };
	call->facts.dns = PIN_DNS_FAILED;
	g->calls = call;
	uv_timer_init(g->loop, &call->timer);
	call->timer.data = call;
	struct dns_name name;
	enum ec ec = dns_name_parse(slice_str(identity), &name, &call->facts.why);
	if (ec == EC_OK)
		ec = dns_name_prepend("_25._tcp", &name, &name, &call->facts.why);
	if (ec == EC_OK)
		ec = secure_ask(g->secure, &name, DNS_TLSA, 0, on_answer, call, &call->secure, &call->facts.why);
	if (ec != EC_OK) {
		if (call->facts.why.text[0] == '\0')
			(void)why_set(&call->facts.why, ec, "%s", ec_text(ec));
		uv_timer_start(&call->timer, on_timer, 0, 0);
	}
	*out_call = call;
	return EC_OK;
}

/* Which address of a route is tried when, what is remembered of hops and routes, and how
 * transactions are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "proxy/relay/ledger.h"
#include "proxy/relay/routes.h"
#include "proxy/relay/tries.h"

/* --- routes by hand --------------------------------------------------------------- */

struct hop {
	const char *name;
	unsigned priority, preference, weight, addresses;
	enum smtp_reply_id refused;
};

static struct route *make_route(const struct hop *hops, unsigned num)
{
	struct route *r = NULL;
	assert_int_equal(route_make(num, 0, &r), EC_OK);
	r->ttl_ms = 60000;
	for (unsigned i = 0; i < num; i++) {
		struct route_hop *h = &r->hops[i];
		(void)snprintf(h->name, sizeof h->name, "%s", hops[i].name);
		h->port = 25;
		h->priority = hops[i].priority;
		h->preference = hops[i].preference;
		h->weight = hops[i].weight;
		h->refused = hops[i].refused;
		h->num_addresses = hops[i].addresses;
		for (unsigned k = 0; k < hops[i].addresses; k++) {
			char text[32];
			struct why why;
			(void)snprintf(text, sizeof text, "192.0.%u.%u:25", 2 + i / 20, 10 * (i % 20) + k + 1);
			assert_int_equal(address_parse(slice_str(text), 0, &h->addresses[k], &why), EC_OK);
		}
	}
	return r;
}

/* order writes what is tried as "hop.address hop.address". */
static const char *order(const struct route *r, const struct health *h, int64_t now_ms, uint64_t chance)
{
	static char text[128];
	struct tries t;
	struct writer w = writer_of(text, sizeof text);
	tries_plan(r, h, (struct mono){ now_ms }, chance, &t);
	for (unsigned i = 0; i < t.num; i++)
		writer_format(&w, "%s%u.%u", i > 0 ? " " : "", t.items[i].hop, t.items[i].address);
	if (t.num == 0)
		text[0] = '\0';
	return text;
}

/* RFC 5321 5.1: hosts by preference, each with all its addresses. */
static void by_preference(void **state)
{
	(void)state;
	const struct hop hops[] = { { "a", 10, 5, 1, 2, 0 }, { "b", 10, 20, 1, 1, 0 }, { "c", 20, 0, 1, 1, 0 } };
	struct route *r = make_route(hops, 3);
	struct health h = { 0 };
	for (uint64_t chance = 0; chance < 50; chance++)
		assert_string_equal(order(r, &h, 1, chance), "0.0 0.1 1.0 2.0");
	route_free(r);
}

/* Among equals by chance, in proportion to their weight. */
static void by_weight(void **state)
{
	(void)state;
	const struct hop hops[] = { { "a", 10, 0, 1, 1, 0 }, { "b", 10, 0, 3, 1, 0 }, { "c", 30, 0, 100, 1, 0 } };
	struct route *r = make_route(hops, 3);
	struct health h = { 0 };
	unsigned first_b = 0;
	for (uint64_t chance = 1; chance <= 4000; chance++) {
		const char *text = order(r, &h, 1, chance * UINT64_C(0x123456789));
		assert_true(strcmp(text, "0.0 1.0 2.0") == 0 || strcmp(text, "1.0 0.0 2.0") == 0);
		first_b += text[0] == '1';
	}
	assert_in_range(first_b, 2800, 3200); /* 3000, and 7 standard deviations to each side */
	route_free(r);
}

static void failed_come_last(void **state)
{
	(void)state;
	const struct hop hops[] = { { "a", 10, 0, 1, 2, 0 }, { "b", 20, 0, 1, 1, 0 } };
	struct route *r = make_route(hops, 2);
	struct health h = { 0 };
	health_failed(&h, "192.0.2.1:25", (struct mono){ 1000 });
	assert_string_equal(order(r, &h, 1000, 0), "0.1 1.0 0.0");
	assert_string_equal(order(r, &h, 1000 + HEALTH_FIRST_MS, 0), "0.0 0.1 1.0");
	/* With nothing better it is tried all the same: a hop that is back is used at once. */
	health_failed(&h, "192.0.2.2:25", (struct mono){ 1000 });
	health_failed(&h, "192.0.2.11:25", (struct mono){ 1000 });
	assert_string_equal(order(r, &h, 1000, 0), "0.0 0.1 1.0");
	health_fini(&h);
	route_free(r);
}

static void back_off_doubles(void **state)
{
	(void)state;
	struct health h = { 0 };
	int64_t now = 1000, wait = HEALTH_FIRST_MS;
	for (unsigned i = 0; i < 12; i++) {
		health_failed(&h, "mx.example:25", (struct mono){ now });
		/* Others that were under way meanwhile don't make it longer. */
		health_failed(&h, "MX.example:25", (struct mono){ now + 1 });
		assert_int_equal(health_rank(&h, "mx.example:25", (struct mono){ now + wait - 1 }), HEALTH_FAILED);
		assert_int_equal(health_rank(&h, "mx.example:25", (struct mono){ now + wait }), HEALTH_GOOD);
		now += wait;
		wait = 2 * wait < HEALTH_LONGEST_MS ? 2 * wait : HEALTH_LONGEST_MS;
	}
	assert_int_equal(wait, HEALTH_LONGEST_MS);
	health_worked(&h, "mx.example:25");
	assert_int_equal(h.num, 0);
	health_failed(&h, "mx.example:25", (struct mono){ now });
	assert_int_equal(health_rank(&h, "mx.example:25", (struct mono){ now + HEALTH_FIRST_MS }), HEALTH_GOOD);
	health_fini(&h);
}

static void drained_are_left_out(void **state)
{
	(void)state;
	const struct hop hops[] = { { "mx1.example", 10, 0, 1, 2, 0 }, { "mx2.example", 20, 0, 1, 1, 0 } };
	struct route *r = make_route(hops, 2);
	struct health h = { 0 };
	struct tries t;
	assert_int_equal(health_drain(&h, "mx1.EXAMPLE:25", true), EC_OK);
	assert_string_equal(order(r, &h, 1, 0), "1.0");
	assert_int_equal(health_drain(&h, "192.0.2.11:25", true), EC_OK);
	assert_string_equal(order(r, &h, 1, 0), "");
	tries_plan(r, &h, (struct mono){ 1 }, 0, &t);
	assert_true(t.drained);
	/* Working does not lift it, nor does failing. */
	health_failed(&h, "192.0.2.11:25", (struct mono){ 1 });
	health_worked(&h, "192.0.2.11:25");
	assert_string_equal(order(r, &h, 1, 0), "");
	assert_int_equal(health_drain(&h, "192.0.2.11:25", false), EC_OK);
	assert_string_equal(order(r, &h, 1, 0), "1.0");
	assert_int_equal(health_drain(&h, "mx1.example:25", false), EC_OK);
	assert_string_equal(order(r, &h, 1, 0), "0.0 0.1 1.0");
	assert_int_equal(health_drain(&h, "never.example:25", false), EC_OK);
	assert_int_equal(h.num, 0);
	health_fini(&h);
	route_free(r);
}

static void health_is_bounded(void **state)
{
	(void)state;
	struct health h = { 0 };
	char name[32];
	assert_int_equal(health_drain(&h, "kept:25", true), EC_OK);
	for (int i = 0; i < 3 * HEALTH_MAX; i++) {
		(void)snprintf(name, sizeof name, "h%d:25", i);
		health_failed(&h, name, (struct mono){ i + 1 });
	}
	assert_int_equal(h.num, HEALTH_MAX);
	assert_int_equal(health_rank(&h, "kept:25", (struct mono){ 1 }), HEALTH_DRAINED);
	assert_int_equal(health_rank(&h, name, (struct mono){ 1 }), HEALTH_FAILED);
	for (int i = 0; i < HEALTH_MAX - 1; i++) {
		(void)snprintf(name, sizeof name, "d%d:25", i);
		assert_int_equal(health_drain(&h, name, true), EC_OK);
	}
	assert_int_equal(health_drain(&h, "more:25", true), EC_LIMIT);
	health_fini(&h);
}

static void refused_hops_are_told(void **state)
{
	(void)state;
	const struct hop hops[] = { { "a", 10, 0, 1, 0, SMTP_R_HOP_DNSSEC }, { "b", 20, 0, 1, 1, 0 }, { "c", 30, 0, 1, 0, SMTP_R_HOP_STS } };
	struct route *r = make_route(hops, 3);
	struct health h = { 0 };
	struct tries t;
	tries_plan(r, &h, (struct mono){ 1 }, 0, &t);
	assert_int_equal(t.num, 1);
	assert_int_equal(t.items[0].hop, 1);
	assert_int_equal(t.refused, SMTP_R_HOP_DNSSEC);
	assert_int_equal(t.refused_hop, 0);
	route_free(r);
}

static void tries_are_bounded(void **state)
{
	(void)state;
	struct hop hops[ROUTE_HOPS_MAX];
	for (unsigned i = 0; i < ROUTE_HOPS_MAX; i++)
		hops[i] = (struct hop){ "h", 10, 0, 1, 1, 0 };
	struct route *r = make_route(hops, ROUTE_HOPS_MAX);
	struct health h = { 0 };
	struct tries t;
	tries_plan(r, &h, (struct mono){ 1 }, 7, &t);
	assert_int_equal(t.num, TRIES_MAX);
	route_free(r);
}

/* --- the cache ------------------------------------------------------------------------ */

struct asked {
	unsigned num;
	struct route_question last;
	bool closed;
};

static bool note_question(void *arg, const struct route_question *q)
{
	struct asked *a = arg;
	if (a->closed)
		return false;
	a->num++;
	a->last = *q;
	return true;
}

struct got {
	unsigned num;
	enum smtp_reply_id refused;
	unsigned hops;
	struct routes_wait **cancel; /* inside, another one */
};

static void note_route(void *arg, struct route *r)
{
	struct got *g = arg;
	g->num++;
	g->refused = r->refused;
	g->hops = r->num_hops;
	if (g->cancel != NULL)
		routes_cancel(*g->cancel);
}

static void answer_hops(struct routes *t, uint64_t id, int64_t now_ms, enum ec want, unsigned num)
{
	struct hop hops[ROUTE_HOPS_MAX];
	for (unsigned i = 0; i < num; i++)
		hops[i] = (struct hop){ "mx.example", 10, 0, 1, 1, 0 };
	struct route *r = make_route(hops, num);
	struct why why = { 0 };
	json_t *json = route_json(r, id);
	assert_int_equal(routes_answer(t, json, (struct mono){ now_ms }, &why), want);
	json_decref(json);
	route_free(r);
}

static void answer(struct routes *t, uint64_t id, int64_t now_ms, enum ec want)
{
	answer_hops(t, id, now_ms, want, 1);
}

static struct routes_wait *want(struct routes *t, const char *domain, struct got *g)
{
	struct routes_wait *w = NULL;
	assert_int_equal(routes_want(t, "c", domain, note_route, g, &w), EC_OK);
	return w;
}

static void asked_once_for_many(void **state)
{
	(void)state;
	struct asked a = { 0 };
	struct got one = { 0 }, two = { 0 }, three = { 0 };
	struct routes *t = routes_new(note_question, &a);
	assert_null(routes_get(t, "c", "example.org", (struct mono){ 1 }));
	struct routes_wait *w1 = want(t, "example.org", &one);
	struct routes_wait *w2 = want(t, "example.org", &two);
	(void)want(t, "example.org", &three);
	assert_int_equal(a.num, 1);
	assert_string_equal(a.last.connector, "c");
	assert_string_equal(a.last.domain, "example.org");
	routes_cancel(w2);
	three.cancel = &w1; /* the newest is told first */
	answer(t, a.last.id, 1000, EC_OK);
	assert_int_equal(three.num, 1);
	assert_int_equal(three.hops, 1);
	assert_int_equal(one.num + two.num, 0);
	assert_non_null(routes_get(t, "c", "example.org", (struct mono){ 60999 }));
	assert_null(routes_get(t, "c", "example.org", (struct mono){ 61000 }));
	assert_null(routes_get(t, "d", "example.org", (struct mono){ 1000 }));
	/* The same answer again is nobody's. */
	answer(t, a.last.id, 90000, EC_OK);
	assert_null(routes_get(t, "c", "example.org", (struct mono){ 90000 }));
	routes_free(t);
}

static void bad_answer_refuses(void **state)
{
	(void)state;
	struct asked a = { 0 };
	struct got g = { 0 };
	struct routes_wait *w;
	struct why why = { 0 };
	struct routes *t = routes_new(note_question, &a);
	(void)want(t, "", &g);
	json_t *bad = json_pack("{s:I, s:s}", "route", (json_int_t)a.last.id, "hops", "none");
	assert_int_not_equal(routes_answer(t, bad, (struct mono){ 1 }, &why), EC_OK);
	assert_int_equal(g.num, 1);
	assert_int_equal(g.refused, SMTP_R_HOP_DNS);
	json_decref(bad);
	a.closed = true;
	assert_int_equal(routes_want(t, "d", "", note_route, &g, &w), EC_CLOSED);
	routes_free(t);
}

/* After a reload an answer to an old question goes to those who wait and no further. */
static void forgotten_with_the_configuration(void **state)
{
	(void)state;
	struct asked a = { 0 };
	struct got g = { 0 }, h = { 0 };
	struct routes *t = routes_new(note_question, &a);
	(void)want(t, "", &g);
	uint64_t old = a.last.id;
	routes_forget(t);
	(void)want(t, "", &h);
	assert_int_equal(a.num, 2);
	answer(t, old, 1, EC_OK);
	assert_int_equal(g.num, 1);
	assert_int_equal(h.num, 0);
	assert_null(routes_get(t, "c", "", (struct mono){ 1 }));
	answer(t, a.last.id, 1, EC_OK);
	assert_int_equal(h.num, 1);
	assert_non_null(routes_get(t, "c", "", (struct mono){ 1 }));
	routes_free(t);
}

static void cache_is_bounded(void **state)
{
	(void)state;
	struct asked a = { 0 };
	struct got g = { 0 };
	struct routes *t = routes_new(note_question, &a);
	char domain[32];
	for (int i = 0; i < ROUTES_MAX + 1000; i++) {
		(void)snprintf(domain, sizeof domain, "d%d.example", i);
		(void)want(t, domain, &g);
		answer(t, a.last.id, 1, EC_OK);
		assert_true(routes_num(t) <= ROUTES_MAX);
	}
	assert_int_equal(g.num, ROUTES_MAX + 1000);
	assert_non_null(routes_get(t, "c", domain, (struct mono){ 1 }));
	/* Freed with somebody waiting: nobody is told. */
	(void)want(t, "last.example", &g);
	routes_free(t);
	assert_int_equal(g.num, ROUTES_MAX + 1000);
}

/* Someone who owns domains with many hosts each can't fill our memory with them. */
static void cache_is_bounded_by_hops(void **state)
{
	(void)state;
	struct asked a = { 0 };
	struct got g = { 0 };
	struct routes *t = routes_new(note_question, &a);
	char domain[32];
	for (int i = 0; i < ROUTES_MAX / 8; i++) {
		(void)snprintf(domain, sizeof domain, "d%d.example", i);
		(void)want(t, domain, &g);
		answer_hops(t, a.last.id, 1, EC_OK, ROUTE_HOPS_MAX);
	}
	assert_true(routes_num(t) <= ROUTES_MAX / ROUTE_HOPS_MAX + 64);
	assert_non_null(routes_get(t, "c", domain, (struct mono){ 1 }));
	routes_free(t);
}

/* --- the ledger -------------------------------------------------------------------------- */

static const struct ledger_row *row(const struct ledger *l, const char *key)
{
	return (const struct ledger_row *)names_find(&l->rows, slice_str(key));
}

static void counts_go_through_json(void **state)
{
	(void)state;
	struct ledger a = { 0 }, b = { 0 };
	assert_true(ledger_empty(&a));
	ledger_note(&a, "c", SLICE_LIT("example.org"), TRUST_DANE, SMTP_WHY_NONE);
	ledger_note(&a, "c", SLICE_LIT("example.org"), TRUST_DANE, SMTP_WHY_NONE);
	ledger_note(&a, "c", SLICE_LIT("example.org"), TRUST_CLEAR, SMTP_WHY_HOP_TLSA);
	ledger_note(&a, "backend", SLICE_LIT(""), TRUST_LOCAL, SMTP_WHY_NONE);
	json_t *json = ledger_json(&a);
	assert_int_equal(ledger_merge(&b, json), EC_OK);
	assert_int_equal(ledger_merge(&b, json), EC_OK);
	json_decref(json);
	assert_int_equal(row(&b, "c:example.org")->trusts[TRUST_DANE], 4);
	assert_int_equal(row(&b, "c:example.org")->trusts[TRUST_CLEAR], 0);
	assert_int_equal(row(&b, "c:example.org")->refusals[SMTP_WHY_HOP_TLSA], 2);
	assert_int_equal(row(&b, "backend:")->trusts[TRUST_LOCAL], 2);
	ledger_fini(&a);
	assert_true(ledger_empty(&a));
	ledger_fini(&b);
}

static void bad_counts_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"{}", "[1]", "[{\"connector\":\"c\"}]", "[{\"connector\":\"c\",\"domain\":\"d\",\"trust\":{},\"refused\":[]}]",
		"[{\"connector\":\"c\",\"domain\":\"d\",\"trust\":{\"dane\":-1},\"refused\":{}}]",
		"[{\"connector\":\"c:d\",\"domain\":\"\",\"trust\":{},\"refused\":{}}]",
		"[{\"connector\":\"c\",\"domain\":\"d\",\"trust\":{\"dane\":\"1\"},\"refused\":{}}]",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ledger l = { 0 };
		json_t *json = json_loads(bad[i], 0, NULL);
		assert_non_null(json);
		assert_int_equal(ledger_merge(&l, json), EC_SYNTAX);
		json_decref(json);
		ledger_fini(&l);
	}
}

static void ledger_is_bounded(void **state)
{
	(void)state;
	struct ledger l = { 0 };
	char domain[32];
	for (int i = 0; i < LEDGER_MAX + 500; i++) {
		(void)snprintf(domain, sizeof domain, "d%d.example", i);
		ledger_note(&l, "c", slice_str(domain), TRUST_CLEAR, SMTP_WHY_NONE);
	}
	assert_true(names_num(&l.rows) <= LEDGER_MAX + 1);
	assert_int_equal(row(&l, "c:*")->trusts[TRUST_CLEAR], 500);
	for (int i = 0; i < LEDGER_MAX + 500; i++) {
		(void)snprintf(domain, sizeof domain, "c%d", i);
		ledger_note(&l, domain, SLICE_LIT("d.example"), TRUST_CLEAR, SMTP_WHY_NONE);
	}
	assert_true(names_num(&l.rows) <= 2 * LEDGER_MAX);
	assert_non_null(row(&l, "c0:*"));
	ledger_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_preference),
		cmocka_unit_test(by_weight),
		cmocka_unit_test(failed_come_last),
		cmocka_unit_test(back_off_doubles),
		cmocka_unit_test(drained_are_left_out),
		cmocka_unit_test(health_is_bounded),
		cmocka_unit_test(refused_hops_are_told),
		cmocka_unit_test(tries_are_bounded),
		cmocka_unit_test(asked_once_for_many),
		cmocka_unit_test(bad_answer_refuses),
		cmocka_unit_test(forgotten_with_the_configuration),
		cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test(cache_is_bounded_by_hops),
		cmocka_unit_test(counts_go_through_json),
		cmocka_unit_test(bad_counts_are_refused),
		cmocka_unit_test(ledger_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

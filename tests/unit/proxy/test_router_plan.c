/* The table of RFC 7672 section 2, with MX of RFC 5321 5.1 in front and MTA-STS of RFC 8461 behind. Each
 * case says what DNS holds and what the route must be; each runs with the answers in either order. */
#include "proxy/router/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/proxy/small_dns.h"
#include "tests/unit/unit.h"

#define HEX32 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EE "3 1 1 " HEX32
#define TA "2 0 1 " HEX32
#define PKIX_EE "1 1 1 " HEX32
#define MX1 "example.test MX secure 10 mx1.example.test"
#define MX1_A "mx1.example.test A secure 192.0.2.1"
#define MX1_ALIAS(status) "mx1.example.test A " status " >host.test 192.0.2.1"
#define MX1_TLSA "_25._tcp.mx1.example.test TLSA "

enum { NONE = CONFIG_DANE_NONE, OPPORTUNISTIC = CONFIG_DANE_OPPORTUNISTIC, MANDATORY = CONFIG_DANE_MANDATORY };

static char empty[] = "";

struct world {
	struct config_connector c;
	struct config_next_hop hops[20];
};

static struct config_connector *connector(struct world *w, const char *const *to, size_t num)
{
	w->c = (struct config_connector){
		.name = (char[]){ "c" }, .next_hops = w->hops, .tls_ca = empty, .tls_name = empty, .until = empty, .reason = empty,
		.tls = CONFIG_TLS_OPPORTUNISTIC, .dane = CONFIG_DANE_OPPORTUNISTIC, .mta_sts = CONFIG_MTA_STS_OPPORTUNISTIC,
		.num_next_hops = num,
	};
	w->c.name = empty;
	for (size_t i = 0; i < num; i++)
		w->hops[i] = (struct config_next_hop){ .to = (char *)(uintptr_t)to[i], .priority = 10 * (i + 1), .weight = 1 };
	return &w->c;
}

static struct route *route_for(const struct config_connector *c, struct small_dns *dns, const char *domain)
{
	static const char *const own[] = { "edge.example.test" };
	const struct plan_for who = { .connector = c, .domain = domain, .own_names = own, .num_own_names = 1, .now = { 1800000000 } };
	struct plan *p = NULL;
	struct route *r = NULL;
	assert_int_equal(plan_new(&who, &p, NULL), EC_OK);
	assert_true(plan_through(p, dns));
	assert_int_equal(plan_route(p, &r), EC_OK);
	plan_free(p);
	/* Whatever it is, it can be sent. */
	json_t *json = route_json(r, 7);
	struct route *again = NULL;
	struct why why = { 0 };
	if (route_parse(json, &again, &why) != EC_OK)
		fail_msg("%s", why.text);
	route_free(again);
	json_decref(json);
	return r;
}

static void expect(const char *what, const struct config_connector *c, struct small_dns *dns, const char *want)
{
	char text[8192];
	for (int i = 0; i < 2; i++) {
		dns->reversed = i == 1;
		dns->asked[0] = '\0';
		dns->num_asked = 0;
		struct route *r = route_for(c, dns, "example.test");
		route_text(r, text, sizeof text);
		if (strcmp(text, want) != 0)
			fail_msg("%s:\n got  %s want %s", what, text, want);
		route_free(r);
	}
}

/* --- DANE ------------------------------------------------------------------------------- */

#define PLAIN "mx1.example.test:25 10/10 may any 192.0.2.1\n"
#define TLS_ANY "mx1.example.test:25 10/10 must any 192.0.2.1\n"
#define DANE "mx1.example.test:25 10/10 must dane mx1.example.test,example.test records=1 192.0.2.1\n"
#define DNSSEC "mx1.example.test:25 10/10 refused HOP_DNSSEC\n"
#define TLSA "mx1.example.test:25 10/10 refused HOP_TLSA\n"
#define DNS_TROUBLE "mx1.example.test:25 10/10 refused HOP_DNS\n"

static const struct {
	const char *name;
	const char *lines[6];
	const char *want[3]; /* dane: none, opportunistic, mandatory; NULL = as opportunistic */
} dane_table[] = {
	{ "no TLSA", { MX1, MX1_A, NULL }, { PLAIN, PLAIN, TLSA } },
	{ "no such name as the TLSA's", { MX1, MX1_A, MX1_TLSA "secure nxdomain", NULL }, { PLAIN, PLAIN, TLSA } },
	{ "TLSA", { MX1, MX1_A, MX1_TLSA "secure " EE, NULL }, { PLAIN, DANE, NULL } },
	{ "TLSA of a trust anchor", { MX1, MX1_A, MX1_TLSA "secure " TA, NULL }, { PLAIN, DANE, NULL } },
	{ "TLSA beside one that can't be used", { MX1, MX1_A, MX1_TLSA "secure " PKIX_EE ", " EE, NULL }, { PLAIN, DANE, NULL } },
	{ "only PKIX usages", { MX1, MX1_A, MX1_TLSA "secure " PKIX_EE, NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "only an unknown matching type", { MX1, MX1_A, MX1_TLSA "secure 3 1 9 " HEX32, NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "only a digest of a wrong length", { MX1, MX1_A, MX1_TLSA "secure 3 1 1 0123", NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "only a record without data", { MX1, MX1_A, MX1_TLSA "secure #030101", NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "only a record of enormous length", { MX1, MX1_A, MX1_TLSA "secure 3 1 0 x9000", NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "only the beginning of a certificate", { MX1, MX1_A, MX1_TLSA "secure 3 0 0 3082012f30820115", NULL }, { PLAIN, TLS_ANY, TLSA } },
	{ "bogus TLSA", { MX1, MX1_A, MX1_TLSA "bogus", NULL }, { PLAIN, DNSSEC, NULL } },
	{ "TLSA: SERVFAIL", { MX1, MX1_A, MX1_TLSA "failed", NULL }, { PLAIN, DNSSEC, NULL } },
	{ "TLSA: neither records nor a denial", { MX1, MX1_A, MX1_TLSA "secure", NULL }, { PLAIN, DNSSEC, NULL } },
	{ "insecure TLSA", { MX1, MX1_A, MX1_TLSA "insecure " EE, NULL }, { PLAIN, PLAIN, DNSSEC } },
	{ "insecure address", { MX1, "mx1.example.test A insecure 192.0.2.1", MX1_TLSA "secure " EE, NULL }, { PLAIN, PLAIN, DNSSEC } },
	{ "insecure MX",
	  { "example.test MX insecure 10 mx1.example.test", MX1_A, MX1_TLSA "secure " EE, NULL },
	  { PLAIN, PLAIN, "refused HOP_DNSSEC\n" } },
	{ "bogus address", { MX1, "mx1.example.test A bogus", MX1_TLSA "secure " EE, NULL }, { DNSSEC, DNSSEC, NULL } },
	{ "one bogus address is enough", { MX1, MX1_A, "mx1.example.test AAAA bogus", MX1_TLSA "secure " EE, NULL }, { DNSSEC, DNSSEC, NULL } },
	{ "no address could be looked up", { MX1, "mx1.example.test A failed", MX1_TLSA "secure " EE, NULL }, { DNS_TROUBLE, DNS_TROUBLE, NULL } },
	{ "one kind of address could not",
	  { MX1, MX1_A, "mx1.example.test AAAA failed", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, DANE, NULL } },
	{ "an address without records or denial", { MX1, "mx1.example.test A secure", NULL }, { DNS_TROUBLE, DNS_TROUBLE, NULL } },
	{ "bogus MX", { "example.test MX bogus", MX1_A, NULL }, { "refused HOP_DNSSEC\n", "refused HOP_DNSSEC\n", NULL } },
	{ "MX: SERVFAIL", { "example.test MX failed", MX1_A, NULL }, { "refused HOP_DNS\n", "refused HOP_DNS\n", NULL } },
	/* RFC 7672 2.2.2, 2.2.3; RFC 7671 7 */
	{ "alias, TLSA at its end",
	  { MX1, MX1_ALIAS("secure"), "_25._tcp.host.test TLSA secure " EE, MX1_TLSA "secure " TA, NULL },
	  { PLAIN, "mx1.example.test:25 10/10 must dane host.test,example.test records=1 192.0.2.1\n", NULL } },
	{ "alias, TLSA at its beginning", { MX1, MX1_ALIAS("secure"), MX1_TLSA "secure " EE, NULL }, { PLAIN, DANE, NULL } },
	{ "alias, TLSA at neither", { MX1, MX1_ALIAS("secure"), NULL }, { PLAIN, PLAIN, TLSA } },
	{ "alias, bogus TLSA at its end: the other does not count",
	  { MX1, MX1_ALIAS("secure"), "_25._tcp.host.test TLSA bogus", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, DNSSEC, NULL } },
	{ "alias, unusable TLSA at its end: the other does not count",
	  { MX1, MX1_ALIAS("secure"), "_25._tcp.host.test TLSA secure " PKIX_EE, MX1_TLSA "secure " EE, NULL },
	  { PLAIN, TLS_ANY, TLSA } },
	{ "alias out of a signed zone",
	  { MX1, MX1_ALIAS("insecure"), "mx1.example.test CNAME secure host.test", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, DANE, NULL } },
	{ "alias in an unsigned zone",
	  { MX1, MX1_ALIAS("insecure"), "mx1.example.test CNAME insecure host.test", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, PLAIN, DNSSEC } },
	{ "alias, and whether it is signed can't be learnt",
	  { MX1, MX1_ALIAS("insecure"), "mx1.example.test CNAME failed", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, DNSSEC, NULL } },
	{ "alias of bogus signature",
	  { MX1, MX1_ALIAS("insecure"), "mx1.example.test CNAME bogus", MX1_TLSA "secure " EE, NULL },
	  { PLAIN, DNSSEC, NULL } },
};

static void dane_modes(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	for (size_t i = 0; i < NUM(dane_table); i++) {
		for (int mode = NONE; mode <= MANDATORY; mode++) {
			struct world w;
			struct small_dns dns = { .lines = dane_table[i].lines };
			struct config_connector *c = connector(&w, to, 1);
			const char *want = dane_table[i].want[mode] != NULL ? dane_table[i].want[mode] : dane_table[i].want[OPPORTUNISTIC];
			c->dane = (enum config_dane)mode;
			c->mta_sts = CONFIG_MTA_STS_NONE;
			expect(dane_table[i].name, c, &dns, want);
			/* Without DANE nobody is asked for TLSA; what is insecure never is. RFC 7672 2.2.2 */
			if (mode == NONE)
				assert_null(strstr(dns.asked, "TLSA"));
			assert_true(dns.num_asked <= 6);
		}
	}
	struct world w;
	struct config_connector *c = connector(&w, to, 1);
	static const char *const insecure[] = { MX1, "mx1.example.test A insecure 192.0.2.1", MX1_TLSA "secure " EE, NULL };
	struct small_dns dns = { .lines = insecure };
	expect("an insecure address", c, &dns, PLAIN);
	assert_null(strstr(dns.asked, "TLSA"));
}

/* A host in the configuration is the base domain itself, and no MX is asked for: RFC 7672 2.2.1. */
static void named_hosts(void **state)
{
	(void)state;
	static const char *const to[] = { "Store.Example.Test:2525" };
	static const struct {
		const char *lines[4];
		const char *want[3];
	} cases[] = {
		{ { "store.example.test AAAA secure 2001:db8::1", "_2525._tcp.store.example.test TLSA secure " EE, NULL },
		  { "store.example.test:2525 10/0 may any 2001:db8::1\n",
		    "store.example.test:2525 10/0 must dane store.example.test records=1 2001:db8::1\n",
		    "store.example.test:2525 10/0 must dane store.example.test records=1 2001:db8::1\n" } },
		{ { "store.example.test A insecure 192.0.2.9", "_2525._tcp.store.example.test TLSA secure " EE, NULL },
		  { "store.example.test:2525 10/0 may any 192.0.2.9\n", "store.example.test:2525 10/0 may any 192.0.2.9\n",
		    "store.example.test:2525 10/0 refused HOP_DNSSEC\n" } },
		{ { NULL }, { "refused HOP_NO_HOST\n", "refused HOP_NO_HOST\n", "refused HOP_NO_HOST\n" } },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		for (int mode = NONE; mode <= MANDATORY; mode++) {
			struct world w;
			struct small_dns dns = { .lines = cases[i].lines, .policy = "version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 1" };
			struct config_connector *c = connector(&w, to, 1);
			c->dane = (enum config_dane)mode;
			expect("a host", c, &dns, cases[i].want[mode]);
			assert_null(strstr(dns.asked, "MX"));
			assert_null(strstr(dns.asked, "POLICY")); /* MTA-STS is about MX */
		}
	}
}

/* --- MX ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *lines[5];
	const char *want;
} mx_table[] = {
	{ "null MX", { "example.test MX secure 0 .", NULL }, "refused HOP_NULL_MX\n" },
	{ "null MX, unsigned", { "example.test MX insecure 0 .", NULL }, "refused HOP_NULL_MX\n" },
	{ "a root beside a host is nobody", { "example.test MX secure 0 ., 10 mx1.example.test", MX1_A, NULL }, PLAIN },
	{ "no such domain", { "example.test MX secure nxdomain", NULL }, "refused HOP_NO_HOST\n" },
	{ "no MX: the domain itself", { "example.test A secure 192.0.2.7", NULL }, "example.test:25 10/0 may any 192.0.2.7\n" },
	{ "no MX: the domain itself, with TLSA",
	  { "example.test A secure 192.0.2.7", "_25._tcp.example.test TLSA secure " EE, NULL },
	  "example.test:25 10/0 must dane example.test records=1 192.0.2.7\n" },
	{ "no MX, unsigned: no DANE",
	  { "example.test MX insecure nodata", "example.test A secure 192.0.2.7", "_25._tcp.example.test TLSA secure " EE, NULL },
	  "example.test:25 10/0 may any 192.0.2.7\n" },
	{ "the domain is an alias: either name will do",
	  { "example.test MX secure >far.test 10 mx1.example.test", MX1_A, MX1_TLSA "secure " TA, NULL },
	  "mx1.example.test:25 10/10 must dane mx1.example.test,example.test,far.test records=1 192.0.2.1\n" },
	{ "no MX and no address", { NULL }, "refused HOP_NO_HOST\n" },
	{ "neither MX nor a denial", { "example.test MX secure", NULL }, "refused HOP_DNS\n" },
	{ "the MX host has no address", { MX1, NULL }, "refused HOP_NO_HOST\n" },
	{ "the MX host does not exist", { MX1, "mx1.example.test A secure nxdomain", "mx1.example.test AAAA secure nxdomain", NULL }, "refused HOP_NO_HOST\n" },
	{ "only one of two exists", { "example.test MX secure 5 gone.test, 10 mx1.example.test", MX1_A, NULL },
	  "gone.test:25 10/5 refused HOP_NO_HOST\n" PLAIN },
	{ "by preference, whatever the order",
	  { "example.test MX secure 20 b.test, 10 a.test, 10 c.test", "a.test A secure 192.0.2.1", "b.test A secure 192.0.2.2", "c.test A secure 192.0.2.3", NULL },
	  "a.test:25 10/10 may any 192.0.2.1\nc.test:25 10/10 may any 192.0.2.3\nb.test:25 10/20 may any 192.0.2.2\n" },
	{ "we are the second best: only the best", { "example.test MX secure 5 a.test, 10 EDGE.example.test, 10 b.test, 20 c.test", "a.test A secure 192.0.2.1", NULL },
	  "a.test:25 10/5 may any 192.0.2.1\n" },
	{ "we are as good as the best", { "example.test MX secure 5 a.test, 5 edge.example.test", "a.test A secure 192.0.2.1", NULL }, "refused HOP_LOOP\n" },
	{ "a damaged MX is nobody", { "example.test MX secure #00, 10 mx1.example.test", MX1_A, NULL }, PLAIN },
	{ "an MX that can be no host", { "example.test MX secure 10 a\\032b.test", NULL }, "refused HOP_NO_HOST\n" },
	{ "addresses by turns",
	  { MX1, "mx1.example.test A secure 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8, 192.0.2.9",
	    "mx1.example.test AAAA secure 2001:db8::1, 2001:db8::2", NULL },
	  "mx1.example.test:25 10/10 may any 2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6\n" },
	{ "addresses that nobody has", { MX1, "mx1.example.test A secure 0.0.0.0, 224.0.0.1, 255.255.255.255", "mx1.example.test AAAA secure ::, ff02::1, ::ffff:192.0.2.1", NULL },
	  "refused HOP_NO_HOST\n" },
	{ "one host's trouble is not another's",
	  { "example.test MX secure 5 bad.test, 10 mx1.example.test", "bad.test A bogus", MX1_A, MX1_TLSA "secure " EE, NULL },
	  "bad.test:25 10/5 refused HOP_DNSSEC\n" DANE },
};

static void mail_hosts(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	for (size_t i = 0; i < NUM(mx_table); i++) {
		struct world w;
		struct small_dns dns = { .lines = mx_table[i].lines };
		expect(mx_table[i].name, connector(&w, to, 1), &dns, mx_table[i].want);
	}
}

/* A hostile domain: as many hosts as an answer can hold, each with all that can be asked for. */
static void bounded(void **state)
{
	(void)state;
	static const char *const to[] = { "mx", "a.test:25", "b.test:25", "192.0.2.77:25" };
	char mx[4096] = "example.test MX secure ";
	static char lines[200][400];
	const char *all[201] = { mx };
	unsigned num = 1;
	for (unsigned i = 0; i < SECURE_RDATA_MAX; i++) {
		size_t len = strlen(mx);
		(void)snprintf(mx + len, sizeof mx - len, "%s%u h%u.test", i == 0 ? "" : ", ", 100 + i, i);
		(void)snprintf(lines[num], sizeof lines[num], "h%u.test A secure >x%u.test 192.0.2.1", i, i);
		all[num] = lines[num];
		num++;
		int at = snprintf(lines[num], sizeof lines[num], "_25._tcp.h%u.test TLSA secure 3 1 0 x8000", i);
		for (unsigned k = 1; k < 20; k++)
			at += snprintf(lines[num] + at, sizeof lines[num] - (size_t)at, ", 3 1 0 x8000");
		all[num] = lines[num];
		num++;
	}
	all[num] = NULL;
	struct world w;
	struct small_dns dns = { .lines = all };
	struct route *r = route_for(connector(&w, to, NUM(to)), &dns, "example.test");
	assert_true(dns.num_asked <= PLAN_ASKS_MAX);
	assert_int_equal(r->num_hops, PLAN_HOSTS_MAX + 1);
	/* The records of two hosts fill a route; the hosts behind are refused, not trusted. */
	unsigned dane = 0, refused = 0;
	for (unsigned i = 0; i < r->num_hops; i++) {
		dane += r->hops[i].verify == ROUTE_VERIFY_DANE;
		refused += r->hops[i].refused == SMTP_R_HOP_TLSA;
	}
	assert_int_equal(dane, 2);
	assert_int_equal(refused, 12);
	route_free(r);
}

/* --- MTA-STS ------------------------------------------------------------------------------ */

#define POLICY(mode, mx) "version: STSv1\nmode: " mode "\nmx: " mx "\nmax_age: 86400\n"
#define STS "mx1.example.test:25 10/10 must names mx1.example.test sts listed 192.0.2.1\n"

static const struct {
	const char *name;
	const char *lines[4];
	const char *policy;
	const char *want;
	enum route_sts mode;
} sts_table[] = {
	{ "enforce", { MX1, MX1_A, NULL }, POLICY("enforce", "mx1.example.test"), STS, ROUTE_STS_ENFORCE },
	{ "enforce, one label", { MX1, MX1_A, NULL }, POLICY("enforce", "*.example.test"), STS, ROUTE_STS_ENFORCE },
	{ "enforce, not two labels", { MX1, MX1_A, NULL }, POLICY("enforce", "*.test"), "mx1.example.test:25 10/10 refused HOP_STS\n", ROUTE_STS_ENFORCE },
	{ "enforce, another host", { MX1, MX1_A, NULL }, POLICY("enforce", "mx2.example.test"), "mx1.example.test:25 10/10 refused HOP_STS\n", ROUTE_STS_ENFORCE },
	{ "enforce, unsigned zones", { "example.test MX insecure 10 mx1.example.test", "mx1.example.test A insecure 192.0.2.1", NULL }, POLICY("enforce", "mx1.example.test"), STS, ROUTE_STS_ENFORCE },
	{ "testing", { MX1, MX1_A, NULL }, POLICY("testing", "mx1.example.test"), "mx1.example.test:25 10/10 may any listed 192.0.2.1\n", ROUTE_STS_TESTING },
	{ "testing, another host", { MX1, MX1_A, NULL }, POLICY("testing", "mx2.example.test"), PLAIN, ROUTE_STS_TESTING },
	{ "none", { MX1, MX1_A, NULL }, POLICY("none", "mx2.example.test"), PLAIN, ROUTE_STS_NONE },
	{ "no policy", { MX1, MX1_A, NULL }, NULL, PLAIN, ROUTE_STS_NONE },
	/* RFC 8461 2: never instead of DANE, whichever way it goes. */
	{ "DANE outranks it", { MX1, MX1_A, MX1_TLSA "secure " EE, NULL }, POLICY("enforce", "mx2.example.test"), DANE, ROUTE_STS_ENFORCE },
	{ "a DANE failure is not mended by it", { MX1, MX1_A, MX1_TLSA "bogus", NULL }, POLICY("enforce", "mx1.example.test"), DNSSEC, ROUTE_STS_ENFORCE },
	{ "it authenticates what unusable TLSA does not", { MX1, MX1_A, MX1_TLSA "secure " PKIX_EE, NULL }, POLICY("enforce", "mx1.example.test"), STS, ROUTE_STS_ENFORCE },
	{ "the domain itself", { "example.test A secure 192.0.2.1", NULL }, POLICY("enforce", "example.test"), "example.test:25 10/0 must names example.test sts listed 192.0.2.1\n", ROUTE_STS_ENFORCE },
};

static void sts_modes(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	for (size_t i = 0; i < NUM(sts_table); i++) {
		struct world w;
		struct small_dns dns = { .lines = sts_table[i].lines, .policy = sts_table[i].policy };
		struct config_connector *c = connector(&w, to, 1);
		expect(sts_table[i].name, c, &dns, sts_table[i].want);
		struct route *r = route_for(c, &dns, "Example.TEST");
		assert_int_equal(r->sts_mode, sts_table[i].mode);
		route_free(r);
		c->mta_sts = CONFIG_MTA_STS_NONE;
		dns.asked[0] = '\0';
		route_free(route_for(c, &dns, "example.test"));
		assert_null(strstr(dns.asked, "POLICY"));
	}
}

/* A policy that is late holds up only what depends on it. */
static void late_policy(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	static const char *const dane[] = { MX1, MX1_A, MX1_TLSA "secure " EE, NULL };
	static const char *const plain[] = { MX1, MX1_A, NULL };
	struct world w;
	struct small_dns dns = { .lines = dane, .policy = POLICY("enforce", "*.example.test"), .policy_is_late = true };
	expect("DANE", connector(&w, to, 1), &dns, DANE);
	dns.lines = plain;
	const struct plan_for who = { .connector = &w.c, .domain = "example.test" };
	struct plan *p = NULL;
	assert_int_equal(plan_new(&who, &p, NULL), EC_OK);
	assert_false(plan_through(p, &dns));
	plan_give_up(p);
	struct route *r = NULL;
	assert_int_equal(plan_route(p, &r), EC_OK);
	assert_int_equal(r->ttl_ms, PLAN_TTL_LEAST_MS); /* soon it is known */
	route_free(r);
	plan_free(p);
}

/* --- what the connector says ---------------------------------------------------------------- */

static void own_demands(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	static const char *const plain[] = { MX1, MX1_A, NULL };
	static const char *const dane[] = { MX1, MX1_A, MX1_TLSA "secure " EE, NULL };
	static const char *const unusable[] = { MX1, MX1_A, MX1_TLSA "secure " PKIX_EE, NULL };
	static const char *const bogus[] = { MX1, MX1_A, MX1_TLSA "bogus", NULL };
	static char pin[] = HEX32, name[] = "mail.example.test", ca[] = "/ca.pem", *pins[] = { pin };
	struct world w;
	struct small_dns dns = { .lines = plain };
	struct config_connector *c = connector(&w, to, 1);
	c->tls = CONFIG_TLS_REQUIRE;
	expect("a name by the system's store", c, &dns, "mx1.example.test:25 10/10 must names mx1.example.test 192.0.2.1\n");
	c->tls_name = name;
	expect("a name of its own", c, &dns, "mx1.example.test:25 10/10 must names mail.example.test 192.0.2.1\n");
	dns.lines = dane;
	expect("DANE proves enough", c, &dns, DANE);
	dns.lines = unusable;
	expect("unusable TLSA proves nothing", c, &dns, "mx1.example.test:25 10/10 must names mail.example.test 192.0.2.1\n");
	dns.lines = plain;
	dns.policy = POLICY("enforce", "mx1.example.test");
	expect("a policy wants the host's name", c, &dns, STS);
	c->tls_ca = ca;
	expect("a CA of its own stands above it", c, &dns, "mx1.example.test:25 10/10 must names mail.example.test listed 192.0.2.1\n");
	c->tls_pins = (struct config_list){ .items = pins, .num = 1 };
	dns.lines = bogus;
	dns.policy = NULL;
	expect("pins say all", c, &dns, "mx1.example.test:25 10/10 must pins mail.example.test 192.0.2.1\n");
	assert_null(strstr(dns.asked, "TLSA"));
	c->dane = CONFIG_DANE_MANDATORY;
	expect("unless DANE is mandatory", c, &dns, DNSSEC);
	c = connector(&w, to, 1);
	c->tls = CONFIG_TLS_NONE;
	dns.lines = dane;
	dns.policy = POLICY("enforce", "mx2.example.test");
	expect("no TLS, so no proof", c, &dns, "mx1.example.test:25 10/10 none any 192.0.2.1\n");
	assert_null(strstr(dns.asked, "TLSA"));
	assert_null(strstr(dns.asked, "POLICY"));
}

/* `none` ends with its day: 2027-01-15T08:00Z is 1800000000. */
static void exceptions_end(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	static const char *const dane[] = { MX1, MX1_A, MX1_TLSA "secure " EE, NULL };
	static char yesterday[] = "2027-01-14", today[] = "2027-01-15";
	struct world w;
	struct small_dns dns = { .lines = dane };
	struct config_connector *c = connector(&w, to, 1);
	c->dane = CONFIG_DANE_NONE;
	c->tls = CONFIG_TLS_NONE;
	c->until = today;
	expect("in force", c, &dns, "mx1.example.test:25 10/10 none any 192.0.2.1\n");
	c->until = yesterday;
	expect("over", c, &dns, DANE);
}

static void several_next_hops(void **state)
{
	(void)state;
	static const char *const to[] = { "mx", "b.test:2525", "[2001:db8::9]:25", "unix:/run/mail" };
	static const char *const lines[] = { MX1, MX1_A, "b.test A secure 192.0.2.2", NULL };
	static const char *const failing[] = { "example.test MX failed", "b.test A secure 192.0.2.2", NULL };
	static const char *const null_mx[] = { "example.test MX secure 0 .", "b.test A secure 192.0.2.2", NULL };
	struct world w;
	struct small_dns dns = { .lines = lines };
	struct config_connector *c = connector(&w, to, NUM(to));
	expect("all", c, &dns, PLAIN "b.test:2525 20/0 may any 192.0.2.2\n2001:db8::9:25 30/0 may any 2001:db8::9\n/run/mail 40/0 may any\n");
	dns.lines = failing;
	expect("the others may do", c, &dns,
	       "example.test:25 10/0 refused HOP_DNS\nb.test:2525 20/0 may any 192.0.2.2\n2001:db8::9:25 30/0 may any 2001:db8::9\n/run/mail 40/0 may any\n");
	dns.lines = null_mx;
	expect("who takes no mail takes none by another way", c, &dns, "refused HOP_NULL_MX\n");
	w.hops[0].priority = 50;
	dns.lines = lines;
	expect("by priority", c, &dns,
	       "b.test:2525 20/0 may any 192.0.2.2\n2001:db8::9:25 30/0 may any 2001:db8::9\n/run/mail 40/0 may any\nmx1.example.test:25 50/10 may any 192.0.2.1\n");
	/* Which of them DNS found is kept: those may be ourselves. */
	struct route *r = route_for(c, &dns, "example.test");
	assert_int_equal(r->num_hops, 4);
	for (unsigned i = 0; i < r->num_hops; i++)
		assert_int_equal(r->hops[i].mx, strcmp(r->hops[i].name, "mx1.example.test") == 0);
	route_free(r);
}

static void times(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	static const struct {
		const char *lines[4];
		int64_t ttl_ms;
	} cases[] = {
		{ { MX1, MX1_A, NULL }, 3600000 },
		{ { "example.test MX secure ttl=600 10 mx1.example.test", MX1_A, NULL }, 600000 },
		{ { MX1, "mx1.example.test A secure ttl=60 192.0.2.1", NULL }, 60000 },
		{ { MX1, MX1_A, MX1_TLSA "secure ttl=30 " EE, NULL }, 30000 },
		{ { MX1, MX1_A, MX1_TLSA "secure ttl=40 nodata", NULL }, 40000 },
		{ { MX1, MX1_A, MX1_TLSA "secure ttl=0 " EE, NULL }, 5000 },
		{ { MX1, MX1_A, MX1_TLSA "bogus", NULL }, 5000 },
		{ { MX1, MX1_A, "mx1.example.test AAAA failed", NULL }, 5000 },
		{ { "example.test MX failed", NULL }, 5000 },
		{ { "example.test MX secure ttl=900 nxdomain", NULL }, 900000 },
		{ { "example.test MX secure ttl=90000 10 mx1.example.test", MX1_A, NULL }, 3600000 },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct world w;
		struct small_dns dns = { .lines = cases[i].lines };
		struct route *r = route_for(connector(&w, to, 1), &dns, "example.test");
		assert_int_equal(r->ttl_ms, cases[i].ttl_ms);
		route_free(r);
	}
}

static void no_answer(void **state)
{
	(void)state;
	static const char *const to[] = { "mx", "b.test:2525" };
	struct world w;
	const struct plan_for who = { .connector = connector(&w, to, 2), .domain = "example.test" };
	struct plan *p = NULL;
	struct route *r = NULL;
	char text[512];
	assert_int_equal(plan_new(&who, &p, NULL), EC_OK);
	plan_give_up(p);
	assert_true(plan_is_done(p));
	assert_int_equal(plan_route(p, &r), EC_OK);
	route_text(r, text, sizeof text);
	assert_string_equal(text, "example.test:25 10/0 refused HOP_DNS\nb.test:2525 20/0 refused HOP_DNS\n");
	assert_int_equal(route_refused(r, NULL), SMTP_R_HOP_DNS);
	route_free(r);
	plan_free(p);
}

static void domains(void **state)
{
	(void)state;
	static const char *const to[] = { "mx" };
	static const char *const lines[] = { "xn--bcher-kva.test MX secure 10 mx1.example.test", MX1_A, NULL };
	static const char *const bad[] = { "", "[192.0.2.1]", "a..b", "a b.test" };
	struct world w;
	struct small_dns dns = { .lines = lines };
	char text[512];
	struct route *r = route_for(connector(&w, to, 1), &dns, "b\xc3\xbc" "cher.test");
	route_text(r, text, sizeof text);
	assert_string_equal(text, PLAIN);
	route_free(r);
	for (size_t i = 0; i < NUM(bad); i++) {
		r = route_for(&w.c, &dns, bad[i]);
		assert_int_equal(r->refused, SMTP_R_HOP_NO_HOST);
		route_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dane_modes), cmocka_unit_test(named_hosts),       cmocka_unit_test(mail_hosts),
		cmocka_unit_test(bounded),    cmocka_unit_test(sts_modes),         cmocka_unit_test(late_policy),
		cmocka_unit_test(own_demands), cmocka_unit_test(exceptions_end),   cmocka_unit_test(several_next_hops),
		cmocka_unit_test(times),      cmocka_unit_test(no_answer),         cmocka_unit_test(domains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

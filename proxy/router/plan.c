/* A plan is a list of questions, some of them about one of its hosts. An answer marks what it found
 * at its host and may add further questions, so the list only grows; PLAN_ASKS_MAX is what it
 * can grow to, whatever DNS says. */
#include "proxy/router/plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/domain.h"
#include "config/connector.h"
#include "proxy/router/plan_int.h"

enum { SMTP_PORT = 25, MX_ALL = SECURE_RDATA_MAX };

static_assert((int)CONFIG_NEXT_HOPS_MAX + (int)PLAN_HOSTS_MAX <= (int)ROUTE_HOPS_MAX, "a route has room for all");

static void note_ttl(struct plan *p, int64_t ttl_ms)
{
	if (ttl_ms < p->ttl_ms)
		p->ttl_ms = ttl_ms;
}

void plan_failed(struct plan *p)
{
	note_ttl(p, PLAN_TTL_LEAST_MS);
}

void plan_ask(struct plan *p, enum ask_kind kind, uint16_t host, const struct dns_name *name, uint16_t type)
{
	assert(p->num_asks < PLAN_ASKS_MAX);
	p->asks[p->num_asks++] = (struct ask){ .kind = kind, .host = host, .name = *name, .type = type };
}

/* --- MX ---------------------------------------------------------------------------- */

static void refuse_mx(struct plan *p, enum smtp_reply_id id, const char *why)
{
	p->mx_refused = id;
	(void)snprintf(p->mx_why, sizeof p->mx_why, "%.*s", (int)sizeof p->mx_why - 1, why);
}

static bool is_own_name(const struct plan *p, const char *text)
{
	for (size_t i = 0; i < p->who.num_own_names; i++)
		if (slice_eq_nocase(slice_str(p->who.own_names[i]), slice_str(text)))
			return true;
	return false;
}

struct mx {
	uint16_t preference;
	struct dns_name host;
};

const struct config_next_hop *plan_mx_hop(const struct plan *p)
{
	const struct config_connector *c = p->who.connector;
	for (size_t i = 0; i < c->num_next_hops; i++)
		if (strcmp(c->next_hops[i].to, "mx") == 0)
			return &c->next_hops[i];
	return NULL;
}

/* Reads what can be read, in the order of preference; returns how many. */
static unsigned read_mx(const struct secure_answer *a, struct mx out[MX_ALL])
{
	unsigned num = 0;
	for (unsigned i = 0; i < a->num; i++) {
		struct reader r = reader_of(a->rdata[i]);
		struct mx mx = { .preference = reader_u16be(&r) };
		if (r.bad || dns_name_from_wire(r.rest, &mx.host) != EC_OK)
			continue;
		unsigned at = num++;
		for (; at > 0 && out[at - 1].preference > mx.preference; at--)
			out[at] = out[at - 1];
		out[at] = mx;
	}
	return num;
}

/* RFC 5321 5.1: a host that finds itself among them goes to none that is not better. */
static unsigned cut_own(const struct plan *p, const struct mx *mx, unsigned num)
{
	char text[ROUTE_NAME_SIZE];
	for (unsigned i = 0; i < num; i++) {
		if (!host_text(&mx[i].host, text) || !is_own_name(p, text))
			continue;
		unsigned better = i;
		while (better > 0 && mx[better - 1].preference == mx[i].preference)
			better--;
		return better;
	}
	return num;
}

static void take_mx(struct plan *p, const struct secure_answer *a)
{
	struct mx mx[MX_ALL];
	unsigned all = read_mx(a, mx), nulls = 0;
	for (unsigned i = 0; i < all; i++)
		nulls += dns_name_is_root(&mx[i].host);
	if (all > 0 && nulls == all) {
		refuse_mx(p, SMTP_R_HOP_NULL_MX, "the domain's MX record is null: it takes no mail");
		return;
	}
	unsigned num = cut_own(p, mx, all);
	if (num == 0 && all > 0) {
		refuse_mx(p, SMTP_R_HOP_LOOP, "this machine is the domain's best mail host: its mail would come back");
		plan_failed(p);
		return;
	}
	for (unsigned i = 0; i < num; i++)
		host_add(p, plan_mx_hop(p), &mx[i].host, true, mx[i].preference, SMTP_PORT);
}

static void on_mx(struct plan *p, const struct secure_answer *a)
{
	unsigned before = p->num_hosts;
	if (a->status == SECURE_BOGUS || a->status == SECURE_FAILED || (a->num == 0 && !a->nxdomain && !a->nodata)) {
		plan_failed(p);
		refuse_mx(p, a->status == SECURE_BOGUS ? SMTP_R_HOP_DNSSEC : SMTP_R_HOP_DNS,
		          a->why.text[0] != '\0' ? a->why.text : "the answer has no MX records and denies none");
		return;
	}
	p->mx_secure = a->status == SECURE_VALID;
	if (!dns_name_eq(&a->canonical, &p->domain))
		(void)host_text(&a->canonical, p->alias_text); /* what is no host's name is in no certificate either */
	if (a->nxdomain) {
		refuse_mx(p, SMTP_R_HOP_NO_HOST, "there is no such domain");
	} else if (!p->mx_secure && p->modes.dane == CONFIG_DANE_MANDATORY && p->modes.tls != CONFIG_TLS_NONE) {
		refuse_mx(p, SMTP_R_HOP_DNSSEC, "dane is mandatory, and the domain's MX records are not signed");
	} else if (a->num > 0) {
		take_mx(p, a);
	} else {
		/* RFC 5321 5.1: without MX records the domain is its own mail host. */
		host_add(p, plan_mx_hop(p), &p->domain, true, 0, SMTP_PORT);
	}
	if (p->mx_refused == SMTP_R_NONE && p->num_hosts == before)
		refuse_mx(p, SMTP_R_HOP_NO_HOST, "none of the domain's MX records names a host");
}

/* --- questions and answers ------------------------------------------------------------ */

static void start_mx(struct plan *p)
{
	char text[DOMAIN_MAX + 1];
	size_t len = 0;
	bool good = domain_fold(slice_str(p->who.domain), text, &len) == EC_OK &&
	            dns_name_parse(slice_of(text, len), &p->domain, NULL) == EC_OK && host_text(&p->domain, p->domain_text);
	if (!good) {
		refuse_mx(p, SMTP_R_HOP_NO_HOST, "the recipient has no domain that DNS could have");
		return;
	}
	plan_ask(p, ASK_MX, NO_HOST, &p->domain, DNS_MX);
	if (p->modes.mta_sts != CONFIG_MTA_STS_NONE && p->modes.tls != CONFIG_TLS_NONE)
		plan_ask(p, ASK_POLICY, NO_HOST, &p->domain, 0);
}

/* Hosts that are named in the configuration. */
static void start_hosts(struct plan *p)
{
	const struct config_connector *c = p->who.connector;
	for (size_t i = 0; i < c->num_next_hops; i++) {
		struct config_hop hop;
		struct dns_name name;
		if (config_hop_parse(slice_str(c->next_hops[i].to), &hop, NULL) == EC_OK && hop.kind == CONFIG_HOP_HOST &&
		    dns_name_parse(hop.name, &name, NULL) == EC_OK)
			host_add(p, &c->next_hops[i], &name, false, 0, hop.port);
	}
}

enum ec plan_new(const struct plan_for *who, struct plan **out, struct why *why)
{
	const struct config_connector *c = who->connector;
	*out = NULL;
	struct plan *p = calloc(1, sizeof *p);
	if (p == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	p->who = *who;
	p->modes = route_modes_at(c, who->now);
	p->ttl_ms = ROUTE_TTL_MAX_MS;
	bool require = p->modes.tls == CONFIG_TLS_REQUIRE;
	p->own_proof = require && (c->tls_pins.num > 0 || c->tls_ca[0] != '\0');
	p->pins_decide = require && c->tls_pins.num > 0 && p->modes.dane != CONFIG_DANE_MANDATORY;
	start_hosts(p);
	if (plan_mx_hop(p) != NULL)
		start_mx(p);
	*out = p;
	return EC_OK;
}

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < p->num_hosts; i++)
		bytes_fini(&p->hosts[i].rdata);
	free(p);
}

bool plan_next(struct plan *p, struct plan_question *out)
{
	for (unsigned i = 0; i < p->num_asks; i++) {
		struct ask *a = &p->asks[i];
		if (a->given)
			continue;
		a->given = true;
		*out = (struct plan_question){ .id = i, .policy = a->kind == ASK_POLICY, .name = a->name, .type = a->type };
		return true;
	}
	return false;
}

void plan_answer(struct plan *p, unsigned id, const struct secure_answer *a)
{
	assert(id < p->num_asks && p->asks[id].given && !p->asks[id].answered);
	struct ask *ask = &p->asks[id];
	struct host *h = ask->host == NO_HOST ? NULL : &p->hosts[ask->host];
	ask->answered = true;
	if (a->status == SECURE_VALID || a->status == SECURE_INSECURE)
		note_ttl(p, (int64_t)a->ttl_s * 1000);
	assert(ask->kind != ASK_POLICY);
	if (h == NULL)
		on_mx(p, a);
	else
		host_heard(p, h, ask->kind, a);
}

void plan_policy(struct plan *p, unsigned id, const struct sts_policy *policy, int64_t ttl_ms)
{
	assert(id < p->num_asks && p->asks[id].kind == ASK_POLICY && !p->asks[id].answered);
	p->asks[id].answered = true;
	note_ttl(p, ttl_ms);
	p->has_policy = policy != NULL && policy->mode != ROUTE_STS_NONE;
	if (p->has_policy)
		p->policy = *policy;
}

void plan_give_up(struct plan *p)
{
	struct plan_question q;
	struct secure_answer a = { .status = SECURE_FAILED, .ec = EC_TIMEOUT };
	(void)why_set(&a.why, EC_TIMEOUT, "no answer in time");
	plan_failed(p);
	/* An answer may add questions: these fail as well. */
	for (unsigned i = 0; i < p->num_asks; i++) {
		while (plan_next(p, &q))
			;
		a.type = p->asks[i].type;
		a.question = a.canonical = p->asks[i].name;
		if (p->asks[i].answered)
			continue;
		if (p->asks[i].kind == ASK_POLICY)
			plan_policy(p, i, NULL, PLAN_TTL_LEAST_MS);
		else
			plan_answer(p, i, &a);
	}
}

/* A host that TLSA records speak for, or that is not tried, goes its way whatever the policy says. */
static bool policy_matters(const struct plan *p)
{
	for (unsigned i = 0; i < p->num_hosts; i++) {
		const struct host *h = &p->hosts[i];
		if (h->from_mx && h->refused == SMTP_R_NONE && h->dane != HOST_RECORDS)
			return true;
	}
	return false;
}

bool plan_is_done(const struct plan *p)
{
	bool policy_open = false;
	for (unsigned i = 0; i < p->num_asks; i++) {
		if (p->asks[i].answered)
			continue;
		if (p->asks[i].kind != ASK_POLICY)
			return false;
		policy_open = true;
	}
	return !policy_open || !policy_matters(p);
}

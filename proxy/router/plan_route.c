/* The route, once all that matters is known. */
#include "proxy/router/plan_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proxy/smtp/reply.h"

static void copy_addresses(const struct host *h, struct route_hop *hop)
{
	/* By turns, so that the bound takes neither family away. RFC 5321 5.1 wants all tried. */
	for (unsigned i = 0; i < ROUTE_ADDRESSES_MAX; i++) {
		if (i < h->num_v6 && hop->num_addresses < ROUTE_ADDRESSES_MAX)
			hop->addresses[hop->num_addresses++] = h->v6[i];
		if (i < h->num_v4 && hop->num_addresses < ROUTE_ADDRESSES_MAX)
			hop->addresses[hop->num_addresses++] = h->v4[i];
	}
}

static void add_name(struct route_hop *hop, const char *name)
{
	bool there = name[0] == '\0';
	for (unsigned i = 0; i < hop->num_names; i++)
		there = there || strcmp(hop->names[i], name) == 0;
	if (!there && hop->num_names < ROUTE_NAMES_MAX)
		(void)snprintf(hop->names[hop->num_names++], ROUTE_NAME_SIZE, "%s", name);
}

/* RFC 7672 3.2.2: with DANE-TA the certificate may bear the TLSA base domain or the domain of
 * the recipient, as written or, as DANE is asked only where all of that is signed, as an alias leads on. */
static void demand_dane(const struct plan *p, const struct host *h, struct route_hop *hop, struct route *r, size_t *used)
{
	hop->tls = ROUTE_TLS_MUST;
	hop->verify = ROUTE_VERIFY_DANE;
	hop->num_names = 0;
	add_name(hop, h->base);
	if (h->from_mx) {
		add_name(hop, p->domain_text);
		add_name(hop, p->alias_text);
	}
	struct slice all = bytes_slice(&h->rdata);
	memcpy(r->rdata + *used, all.p, all.len);
	for (unsigned i = 0; i < h->num_records; i++)
		hop->records[hop->num_records++] = slice_of(r->rdata + *used + h->records[i].at, h->records[i].len);
	*used += all.len;
}

/* RFC 8461 4.1, 5: the host must be named by the policy, and prove it by a certificate that the
 * world trusts. A connector with pins or a CA of its own keeps to these. */
static void demand_sts(const struct plan *p, const struct host *h, struct route_hop *hop)
{
	hop->sts_listed = sts_policy_lists(&p->policy, h->text);
	if (p->policy.mode != ROUTE_STS_ENFORCE)
		return;
	if (!hop->sts_listed) {
		route_hop_refuse(hop, SMTP_R_HOP_STS, "the domain's MTA-STS policy does not name this mail host");
	} else if (!p->own_proof) {
		hop->tls = ROUTE_TLS_MUST;
		hop->verify = ROUTE_VERIFY_NAMES;
		hop->num_names = 0;
		hop->sts = true;
		add_name(hop, h->text);
	}
}

static void write_host(const struct plan *p, const struct host *h, struct route_hop *hop, struct route *r, size_t *used)
{
	route_hop_order(h->next, hop);
	hop->preference = h->preference;
	hop->mx = h->from_mx;
	hop->port = h->port;
	memcpy(hop->name, h->text, sizeof hop->name);
	route_hop_demand(p->who.connector, &p->modes, hop);
	if (h->refused != SMTP_R_NONE) {
		route_hop_refuse(hop, h->refused, h->why);
		return;
	}
	copy_addresses(h, hop);
	if (h->dane == HOST_RECORDS && bytes_len(&h->rdata) > ROUTE_RDATA_TOTAL - *used) {
		route_hop_refuse(hop, SMTP_R_HOP_TLSA, "the TLSA records of the mail hosts are too long");
		return;
	}
	if (h->dane == HOST_RECORDS)
		demand_dane(p, h, hop, r, used);
	else if (h->dane == HOST_UNUSABLE)
		hop->tls = ROUTE_TLS_MUST; /* RFC 7672 2.2: records that can't be used still demand TLS */
	if (h->dane != HOST_RECORDS && h->from_mx && p->has_policy)
		demand_sts(p, h, hop);
}

/* A domain that could not be looked up, beside other next hops that may do. */
static void write_mx_refusal(const struct plan *p, struct route_hop *hop)
{
	route_hop_order(plan_mx_hop(p), hop);
	hop->port = 25;
	(void)snprintf(hop->name, sizeof hop->name, "%s", p->domain_text[0] != '\0' ? p->domain_text : "-");
	route_hop_demand(p->who.connector, &p->modes, hop);
	route_hop_refuse(hop, p->mx_refused, p->mx_why);
}

static enum ec write_hops(const struct plan *p, struct route *r)
{
	const struct config_connector *c = p->who.connector;
	size_t used = 0;
	unsigned at = 0;
	for (size_t i = 0; i < c->num_next_hops; i++) {
		/* What is static was checked when the configuration was read. */
		if (route_next_is_static(&c->next_hops[i]) &&
		    route_hop_static(c, &p->modes, &c->next_hops[i], &r->hops[at++], NULL) != EC_OK)
			return EC_SYNTAX;
	}
	for (unsigned i = 0; i < p->num_hosts; i++)
		write_host(p, &p->hosts[i], &r->hops[at++], r, &used);
	if (p->mx_refused != SMTP_R_NONE)
		write_mx_refusal(p, &r->hops[at++]);
	assert(at == r->num_hops);
	return EC_OK;
}

static unsigned count_hops(const struct plan *p)
{
	const struct config_connector *c = p->who.connector;
	unsigned num = p->num_hosts + (p->mx_refused != SMTP_R_NONE);
	for (size_t i = 0; i < c->num_next_hops; i++)
		num += route_next_is_static(&c->next_hops[i]);
	return num;
}

static size_t count_rdata(const struct plan *p)
{
	size_t num = 0;
	for (unsigned i = 0; i < p->num_hosts; i++)
		num += bytes_len(&p->hosts[i].rdata);
	return num < ROUTE_RDATA_TOTAL ? num : ROUTE_RDATA_TOTAL;
}

static bool nobody_there(const struct route *r)
{
	for (unsigned i = 0; i < r->num_hops; i++)
		if (r->hops[i].refused != SMTP_R_HOP_NO_HOST)
			return false;
	return true;
}

enum ec plan_route(const struct plan *p, struct route **out)
{
	assert(plan_is_done(p));
	int64_t ttl_ms = route_ttl(&p->modes, p->who.now, p->ttl_ms < PLAN_TTL_LEAST_MS ? PLAN_TTL_LEAST_MS : p->ttl_ms);
	*out = NULL;
	/* What says no for the whole domain, or leaves no other way, is an answer at once. */
	bool final = p->mx_refused != SMTP_R_NONE && smtp_reply_row(p->mx_refused)->code >= 500;
	if (final || (p->mx_refused != SMTP_R_NONE && count_hops(p) == 1))
		return route_refusal(p->mx_refused, p->mx_why, ttl_ms, out);
	struct route *r = NULL;
	enum ec ec = route_make(count_hops(p), count_rdata(p), &r);
	if (ec == EC_OK)
		ec = write_hops(p, r);
	if (ec == EC_OK && nobody_there(r)) {
		ec = route_refusal(SMTP_R_HOP_NO_HOST, r->num_hops > 0 ? r->hops[0].why : "no next hop names a host", ttl_ms, out);
		route_free(r);
		return ec;
	}
	if (ec != EC_OK) {
		route_free(r);
		return ec;
	}
	route_sort(r);
	r->ttl_ms = ttl_ms;
	r->sts_mode = p->has_policy ? p->policy.mode : ROUTE_STS_NONE;
	*out = r;
	return EC_OK;
}

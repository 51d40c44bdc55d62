#include "proxy/relay/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "config/connector.h"

enum ec route_make(size_t num_hops, size_t rdata_len, struct route **out)
{
	*out = NULL;
	if (num_hops > ROUTE_HOPS_MAX || rdata_len > ROUTE_RDATA_TOTAL)
		return EC_LIMIT;
	struct route *r = calloc(1, sizeof *r);
	if (r == NULL)
		return EC_NO_MEMORY;
	r->shares = 1;
	r->num_hops = (unsigned)num_hops;
	r->hops = calloc(num_hops + 1, sizeof *r->hops);
	r->rdata = malloc(rdata_len + 1);
	if (r->hops == NULL || r->rdata == NULL) {
		route_free(r);
		return EC_NO_MEMORY;
	}
	for (size_t i = 0; i < num_hops; i++)
		r->hops[i].weight = 1;
	*out = r;
	return EC_OK;
}

struct route *route_share(struct route *r)
{
	r->shares++;
	return r;
}

void route_free(struct route *r)
{
	if (r == NULL || --r->shares > 0)
		return;
	free(r->hops);
	free(r->rdata);
	free(r);
}

enum ec route_refusal(enum smtp_reply_id refused, const char *why, int64_t ttl_ms, struct route **out)
{
	enum ec ec = route_make(0, 0, out);
	if (ec != EC_OK)
		return ec;
	(*out)->refused = refused;
	(*out)->ttl_ms = ttl_ms < 1 ? 1 : ttl_ms > ROUTE_TTL_MAX_MS ? ROUTE_TTL_MAX_MS : ttl_ms;
	(void)snprintf((*out)->why, sizeof (*out)->why, "%s", why);
	return EC_OK;
}

enum smtp_reply_id route_refused(const struct route *r, const char **out_why)
{
	const struct route_hop *worst = NULL;
	enum smtp_reply_id id = r->refused;
	const char *why = r->why;
	for (unsigned i = 0; id == SMTP_R_NONE && i < r->num_hops; i++) {
		const struct route_hop *h = &r->hops[i];
		if (h->refused == SMTP_R_NONE)
			return SMTP_R_NONE;
		bool later = smtp_reply_row(h->refused)->code < 500;
		if (worst == NULL || (later && smtp_reply_row(worst->refused)->code >= 500))
			worst = h;
	}
	if (worst != NULL) {
		id = worst->refused;
		why = worst->why;
	}
	if (out_why != NULL)
		*out_why = why;
	return id;
}

/* --- what a connector demands ------------------------------------------------ */

struct route_modes route_modes_at(const struct config_connector *c, struct wall now)
{
	struct route_modes m = {
		.tls = config_connector_tls(c, now),
		.dane = config_connector_dane(c, now),
		.mta_sts = config_connector_mta_sts(c, now),
	};
	if (!config_connector_expired(c, now))
		m.until = config_connector_end(c);
	return m;
}

static bool hop_of(const struct config_next_hop *next, struct config_hop *out)
{
	return config_hop_parse(slice_str(next->to), out, NULL) == EC_OK;
}

bool route_next_is_static(const struct config_next_hop *next)
{
	struct config_hop hop;
	return hop_of(next, &hop) && !config_hop_is_named(&hop);
}

bool route_is_static(const struct config_connector *c)
{
	for (size_t i = 0; i < c->num_next_hops; i++)
		if (!route_next_is_static(&c->next_hops[i]))
			return false;
	return true;
}

bool route_is_per_domain(const struct config_connector *c)
{
	struct config_hop hop;
	for (size_t i = 0; i < c->num_next_hops; i++)
		if (hop_of(&c->next_hops[i], &hop) && hop.kind == CONFIG_HOP_MX)
			return true;
	return false;
}

/* --- routes without look-ups ---------------------------------------------------- */

void route_hop_demand(const struct config_connector *c, const struct route_modes *modes, struct route_hop *hop)
{
	hop->tls = modes->tls == CONFIG_TLS_NONE ? ROUTE_TLS_NONE : modes->tls == CONFIG_TLS_REQUIRE ? ROUTE_TLS_MUST : ROUTE_TLS_MAY;
	hop->verify = ROUTE_VERIFY_ANY;
	if (modes->tls == CONFIG_TLS_REQUIRE)
		hop->verify = c->tls_pins.num > 0 ? ROUTE_VERIFY_PINS : ROUTE_VERIFY_NAMES;
	const char *name = c->tls_name[0] != '\0' ? c->tls_name : hop->name;
	hop->num_names = 0;
	if (name[0] != '\0')
		(void)snprintf(hop->names[hop->num_names++], ROUTE_NAME_SIZE, "%s", name);
}

void route_hop_refuse(struct route_hop *hop, enum smtp_reply_id refused, const char *why)
{
	hop->refused = refused;
	hop->num_addresses = 0;
	(void)snprintf(hop->why, sizeof hop->why, "%s", why);
}

void route_hop_order(const struct config_next_hop *next, struct route_hop *hop)
{
	hop->priority = next->priority > UINT32_MAX ? UINT32_MAX : (uint32_t)next->priority;
	hop->weight = next->weight < 1 ? 1 : next->weight > UINT32_MAX ? UINT32_MAX : (uint32_t)next->weight;
}

enum ec route_hop_static(const struct config_connector *c, const struct route_modes *modes,
                         const struct config_next_hop *next, struct route_hop *hop, struct why *why)
{
	struct config_hop parsed;
	route_hop_order(next, hop);
	if (!hop_of(next, &parsed) || config_hop_is_named(&parsed))
		return why_set(why, EC_SYNTAX, "%s: neither an address with a port nor a socket", next->to);
	if (parsed.kind == CONFIG_HOP_UNIX) {
		if (parsed.name.len >= sizeof hop->path)
			return why_set(why, EC_SYNTAX, "%s: a path that no socket may have", next->to);
		memcpy(hop->path, parsed.name.p, parsed.name.len);
	} else {
		hop->addresses[0] = parsed.address;
		hop->num_addresses = 1;
		hop->port = parsed.port;
		address_print_ip(hop->name, &parsed.address);
	}
	route_hop_demand(c, modes, hop);
	/* TLSA records belong to names, RFC 7672 2.2. */
	if (modes->dane == CONFIG_DANE_MANDATORY)
		route_hop_refuse(hop, SMTP_R_HOP_TLSA, "dane is mandatory, and an address or a socket has no TLSA records");
	else if (hop->verify == ROUTE_VERIFY_NAMES && hop->num_names == 0)
		route_hop_refuse(hop, SMTP_R_HOP_TRUST, "a socket has no name that a certificate could be checked against: set tls_name");
	return EC_OK;
}

static int compare_hops(const void *a, const void *b)
{
	const struct route_hop *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return (x->preference > y->preference) - (x->preference < y->preference);
}

void route_sort(struct route *r)
{
	/* An insertion sort: few hops, and equal ones keep their order. */
	for (unsigned i = 1; i < r->num_hops; i++) {
		struct route_hop hop = r->hops[i];
		unsigned at = i;
		for (; at > 0 && compare_hops(&r->hops[at - 1], &hop) > 0; at--)
			r->hops[at] = r->hops[at - 1];
		r->hops[at] = hop;
	}
}

int64_t route_ttl(const struct route_modes *modes, struct wall now, int64_t ttl_ms)
{
	if (modes->until.s != 0 && modes->until.s - now.s <= ROUTE_TTL_MAX_MS / 1000 && ttl_ms > (modes->until.s - now.s) * 1000)
		ttl_ms = (modes->until.s - now.s) * 1000;
	return ttl_ms < 1 ? 1 : ttl_ms > ROUTE_TTL_MAX_MS ? ROUTE_TTL_MAX_MS : ttl_ms;
}

enum ec route_static(const struct config_connector *c, struct wall now, struct route **out, struct why *why)
{
	*out = NULL;
	if (!route_is_static(c) || c->num_next_hops == 0)
		return why_set(why, EC_UNSUPPORTED, "the next hops of %s must be looked up", c->name);
	struct route *r;
	enum ec ec = route_make(c->num_next_hops, 0, &r);
	if (ec != EC_OK)
		return why_set(why, ec, "%s: %zu next hops: %s", c->name, c->num_next_hops, ec_text(ec));
	struct route_modes modes = route_modes_at(c, now);
	for (unsigned i = 0; ec == EC_OK && i < r->num_hops; i++)
		ec = route_hop_static(c, &modes, &c->next_hops[i], &r->hops[i], why);
	if (ec != EC_OK) {
		route_free(r);
		return ec;
	}
	route_sort(r);
	r->ttl_ms = route_ttl(&modes, now, ROUTE_TTL_MAX_MS);
	*out = r;
	return EC_OK;
}

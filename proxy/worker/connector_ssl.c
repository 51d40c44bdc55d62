#include "proxy/worker/connector_ssl.h"

#include <stdlib.h>
#include <string.h>

/* Where Debian's ca-certificates keeps the system's store. */
static const char system_store[] = "/etc/ssl/certs/ca-certificates.crt";

/* --- CA certificates --------------------------------------------------------------- */

static const char *store_path(const struct config *cfg)
{
	return cfg->sts.ca[0] != '\0' ? cfg->sts.ca : system_store;
}

/* needs_system: MTA-STS validates against the system's store, and so does a required
 * certificate that nothing else is said about. */
static bool needs_system(const struct config_connector *c)
{
	bool bare = c->tls == CONFIG_TLS_REQUIRE && c->tls_ca[0] == '\0' && c->tls_pins.num == 0;
	return bare || route_is_per_domain(c);
}

enum ec exits_files(const struct config *cfg, json_t *list)
{
	bool system = false, ok = true;
	for (size_t i = 0; i < cfg->num_connectors; i++) {
		const struct config_connector *c = &cfg->connectors[i];
		system |= needs_system(c);
		if (c->tls_ca[0] != '\0')
			ok &= json_array_append_new(list, json_string(c->tls_ca)) == 0;
	}
	if (system)
		ok &= json_array_append_new(list, json_string(store_path(cfg))) == 0;
	return ok ? EC_OK : EC_NO_MEMORY;
}

static enum ec read_store(const json_t *files, const char *path, struct tls_store **out, struct why *why)
{
	const json_t *text = json_object_get(files, path);
	if (!json_is_string(text))
		return why_set(why, EC_MISSING, "%s: not read", path);
	struct why more = { 0 };
	enum ec ec = tls_store_new(slice_of(json_string_value(text), json_string_length(text)), out, &more);
	return ec == EC_OK ? ec : why_set(why, ec, "%s: %s", path, more.text);
}

/* --- making -------------------------------------------------------------------------- */

/* The section `backend` is a connector like others; in clear, as it always was. */
static void backend_connector(const struct config *cfg, struct exits *e)
{
	e->backend_hop = (struct config_next_hop){ .to = cfg->backend.address, .weight = 1 };
	e->backend = (struct config_connector){
		.name = (char *)"backend",
		.next_hops = &e->backend_hop,
		.num_next_hops = 1,
		.protocol = CONFIG_SMTP,
		.tls = CONFIG_TLS_NONE,
		.dane = CONFIG_DANE_NONE,
		.mta_sts = CONFIG_MTA_STS_NONE,
		.tls_ca = (char *)"",
		.tls_name = (char *)"",
		.until = (char *)"",
		.reason = (char *)"",
		.client_info = cfg->backend.client_info,
		.max_connections = UINT64_MAX,
	};
}

static enum ec read_pins(struct exit_way *w, struct why *why)
{
	const struct config_list *pins = &w->config->tls_pins;
	if (pins->num == 0)
		return EC_OK;
	w->pins = calloc(pins->num, sizeof *w->pins);
	if (w->pins == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	for (; w->num_pins < pins->num; w->num_pins++)
		if (!hex_decode(w->pins[w->num_pins], TLS_CLIENT_PIN_SIZE, slice_str(pins->items[w->num_pins])))
			return why_set(why, EC_SYNTAX, "connector %s: a pin that is none", w->name);
	return EC_OK;
}

static enum ec make_way(struct exits *e, const struct config_connector *c, const json_t *files, struct exit_way *w,
                        struct why *why)
{
	w->config = c;
	w->name = c->name;
	w->fixed_way = route_is_static(c);
	w->per_domain = route_is_per_domain(c);
	enum ec ec = read_pins(w, why);
	if (ec == EC_OK && c->tls_ca[0] != '\0')
		ec = read_store(files, c->tls_ca, &w->ca, why);
	else if (ec == EC_OK && e->system != NULL)
		w->ca = tls_store_ref(e->system);
	return ec;
}

enum ec exits_new(const struct config *cfg, const json_t *files, struct exits *out, struct why *why)
{
	*out = (struct exits){ 0 };
	enum ec ec = connectors_new(cfg, &out->table);
	if (ec == EC_OK)
		out->ways = calloc(connectors_num(out->table), sizeof *out->ways);
	if (out->ways == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	backend_connector(cfg, out);
	for (size_t i = 0; i < cfg->num_connectors && ec == EC_OK; i++)
		if (needs_system(&cfg->connectors[i]) && out->system == NULL)
			ec = read_store(files, store_path(cfg), &out->system, why);
	for (; ec == EC_OK && out->num < connectors_num(out->table); out->num++) {
		const struct config_connector *c = out->num < cfg->num_connectors ? &cfg->connectors[out->num] : &out->backend;
		ec = make_way(out, c, files, &out->ways[out->num], why);
	}
	return ec;
}

void exits_fini(struct exits *e)
{
	for (size_t i = 0; i < e->num; i++) {
		tls_store_free(e->ways[i].ca);
		free(e->ways[i].pins);
		route_free(e->ways[i].fixed);
	}
	free(e->ways);
	tls_store_free(e->system);
	connectors_free(e->table);
	*e = (struct exits){ 0 };
}

enum ec exit_fixed_route(struct exit_way *w, struct mono now, struct wall today, struct route **out, struct why *why)
{
	enum ec ec = EC_OK;
	if (w->fixed == NULL || now.ms >= w->fixed_until_ms) {
		struct route *fresh = NULL;
		ec = route_static(w->config, today, &fresh, why);
		if (ec == EC_OK) {
			route_free(w->fixed);
			w->fixed = fresh;
			w->fixed_until_ms = now.ms + fresh->ttl_ms;
		}
	}
	*out = w->fixed;
	return ec;
}

/* --- what is offered ------------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	/* 0 is "not said", which is no bound. */
	return a == 0 || (b != 0 && b < a) ? b : a;
}

void exits_saw(struct exits *e, size_t i, const struct smtp_caps *caps, struct mono now)
{
	struct smtp_caps all = { .flags = UINT32_MAX };
	e->ways[i].caps = *caps;
	e->ways[i].caps_ms = now.ms;
	for (size_t k = 0; k < e->num; k++) {
		const struct exit_way *w = &e->ways[k];
		/* One that depends on the domain is many, and none of them is looked at beforehand. Of others
		 * that were not seen yet nothing is known: no flag. */
		if (w->caps_ms == 0 && w->per_domain)
			continue;
		all.flags &= w->caps.flags;
		all.size_max = smaller(all.size_max, w->caps.size_max);
		all.rcpt_max = smaller(all.rcpt_max, w->caps.rcpt_max);
		all.mail_max = smaller(all.mail_max, w->caps.mail_max);
	}
	e->offer = all;
}

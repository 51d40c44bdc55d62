#include "tlsa-sync/publish_uv.h"

#include <stdlib.h>

#include "base/address.h"
#include "config/load_fs.h"
#include "dns/update_uv.h"

enum { DNS_PORT = 53, UPDATE_TIMEOUT_MS = 10000 };

struct publisher {
	uv_loop_t *loop;
	const struct config *cfg;
	bool has_key;
	struct tsig_key key;
};

struct publisher_call {
	struct publisher *publisher;
	struct update update;
	unsigned num_servers;
	unsigned next;
	struct sockaddr_storage servers[ZONE_PRIMARY_MAX];
	struct update_call *sending;
	publisher_done *done;
	void *arg;
};

static enum ec read_key(struct publisher *p, struct why *why)
{
	const struct config_rfc2136 *c = &p->cfg->tlsa_sync.rfc2136;
	if (c->tsig_name[0] == '\0')
		return EC_OK;
	struct secret base64 = { 0 };
	enum ec ec = config_load_tsig(p->cfg, &base64, why);
	if (ec != EC_OK)
		return ec;
	ec = tsig_key_init(&p->key, slice_str(c->tsig_name), slice_str(config_tsig_algorithm_name(c->tsig_algorithm)),
	                   slice_str((const char *)base64.p), why);
	secret_fini(&base64);
	p->has_key = ec == EC_OK;
	if (ec != EC_OK)
		why_prefix(why, "tlsa_sync.rfc2136");
	return ec;
}

enum ec publisher_new(uv_loop_t *loop, const struct config *cfg, struct publisher **out, struct why *why)
{
	struct publisher *p = calloc(1, sizeof *p);
	if (p == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	p->loop = loop;
	p->cfg = cfg;
	enum ec ec = read_key(p, why);
	if (ec != EC_OK) {
		publisher_free(p);
		p = NULL;
	}
	*out = p;
	return ec;
}

/* Where to send: the configured server, or the primary named in the SOA. */
static enum ec find_servers(struct publisher_call *c, const struct zone_info *zone, struct why *why)
{
	const char *server = c->publisher->cfg->tlsa_sync.rfc2136.server;
	if (server[0] != '\0') {
		c->num_servers = 1;
		return address_parse(slice_str(server), DNS_PORT, &c->servers[0], why);
	}
	for (unsigned i = 0; i < zone->num_primary && i < ZONE_PRIMARY_MAX; i++)
		c->servers[c->num_servers++] = zone->primary[i];
	if (c->num_servers > 0)
		return EC_OK;
	char apex[DNS_NAME_TEXT_SIZE];
	char mname[DNS_NAME_TEXT_SIZE];
	dns_name_print(apex, &zone->apex);
	dns_name_print(mname, &zone->soa.mname);
	return why_set(why, EC_MISSING,
	               "the primary that %s names in its SOA, %s, has no address; set tlsa_sync.rfc2136.server", apex, mname);
}

static void call_end(struct publisher_call *c, enum outcome outcome, const struct why *why)
{
	publisher_done *done = c->done;
	void *arg = c->arg;
	free(c);
	done(arg, outcome, why);
}

static enum ec send_next(struct publisher_call *c, struct why *why);

/* A refusal that is not signed may be forged. It is shown as what it says it is
 * all the same: what the servers answer decides, and a resend does no harm. */
static enum outcome outcome_of(enum ec ec)
{
	if (ec == EC_OK)
		return OUTCOME_OK;
	return ec == EC_OUTCOME_UNKNOWN ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
}

static void on_update(void *arg, enum ec ec, const struct update_outcome *outcome, const struct why *why)
{
	struct publisher_call *c = arg;
	(void)outcome;
	c->sending = NULL;
	struct why words = *why;
	if ((ec == EC_IO || ec == EC_TIMEOUT) && c->next < c->num_servers) {
		ec = send_next(c, &words);
		if (ec == EC_OK)
			return;
		call_end(c, OUTCOME_FAILED, &words);
		return;
	}
	call_end(c, outcome_of(ec), &words);
}

static enum ec send_next(struct publisher_call *c, struct why *why)
{
	struct publisher *p = c->publisher;
	const struct sockaddr_storage *server = &c->servers[c->next++];
	return update_send(p->loop, server, &c->update, p->has_key ? &p->key : NULL, UPDATE_TIMEOUT_MS, on_update, c,
	                   &c->sending, why);
}

enum ec publisher_send(struct publisher *p, const struct zone_map *map, uint32_t ttl_s, const struct tlsa_set *adds,
                       const struct tlsa_set *deletes, publisher_done *done, void *arg, struct publisher_call **out,
                       struct why *why)
{
	const struct zone_hop *last = &map->hops[map->num_hops - 1];
	struct publisher_call *c = calloc(1, sizeof *c);
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*c = (struct publisher_call){ .publisher = p, .done = done, .arg = arg };
	c->update = (struct update){
		.zone = map->zones[last->zone].apex,
		.owner = last->owner,
		.ttl_s = ttl_s,
		.adds = *adds,
		.deletes = *deletes,
	};
	enum ec ec = find_servers(c, &map->zones[last->zone], why);
	if (ec == EC_OK)
		ec = send_next(c, why);
	if (ec != EC_OK) {
		free(c);
		return ec;
	}
	*out = c;
	return EC_OK;
}

void publisher_cancel(struct publisher_call *c)
{
	if (c == NULL)
		return;
	update_cancel(c->sending);
	free(c);
}

void publisher_free(struct publisher *p)
{
	if (p == NULL)
		return;
	tsig_key_fini(&p->key);
	free(p);
}

/* RFC 2136: one UPDATE to the primary, signed (RFC 8945). Where no server is
 * configured, the addresses of the SOA's MNAME are tried in turn until one can be
 * reached; once an update went out, no other is tried. */
#include <stdlib.h>

#include "base/address.h"
#include "config/load_fs.h"
#include "tlsa-sync/publish_in_uv.h"

enum { DNS_PORT = 53 };

static enum ec rfc2136_open(struct publisher *p, struct why *why)
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

static enum ec find_servers(struct publisher_call *c, struct why *why)
{
	const char *server = c->publisher->cfg->tlsa_sync.rfc2136.server;
	const struct zone_info *zone = &c->zone;
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
		publisher_end(c, OUTCOME_FAILED, words.text);
		return;
	}
	if (ec == EC_OK && c->rehearsal) {
		char server[ADDRESS_TEXT_SIZE], owner[DNS_NAME_TEXT_SIZE];
		address_print(server, &c->servers[c->next - 1]);
		dns_name_print(owner, &c->owner);
		(void)why_set(&words, ec, "%s accepts %s, and updates of TLSA records at %.250s", server,
		              c->publisher->has_key ? "our key and clock" : "unsigned updates", owner);
	}
	publisher_end(c, outcome_of(ec), words.text);
}

static enum ec send_next(struct publisher_call *c, struct why *why)
{
	struct publisher *p = c->publisher;
	struct update u = {
		.zone = c->zone.apex,
		.owner = c->owner,
		.ttl_s = c->ttl_s,
		.rehearsal = c->rehearsal,
		.adds = c->adds,
		.deletes = c->deletes,
	};
	const struct sockaddr_storage *server = &c->servers[c->next++];
	return update_send(p->loop, server, &u, p->has_key ? &p->key : NULL, (int)p->cfg->tlsa_sync.rfc2136.timeout_ms, on_update,
	                   c, &c->sending, why);
}

static enum ec rfc2136_start(struct publisher_call *c, struct why *why)
{
	enum ec ec = find_servers(c, why);
	return ec == EC_OK ? send_next(c, why) : ec;
}

const struct publisher_kind publisher_rfc2136 = { .open = rfc2136_open, .start = rfc2136_start };

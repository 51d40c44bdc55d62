#include "config/connector.h"

#include <assert.h>
#include <string.h>

#include "base/address.h"
#include "config/name.h"

/* sun_path has 108 octets, the NUL included (unix(7)). */
enum { UNIX_PATH_MAX = 107 };

/* A bounded copy of what was written, for messages. */
#define SHOWN(text) (int)((text).len < 80 ? (text).len : 80), (const char *)(text).p

static const char cure[] = "write a host or an IP address with its port, such as mail.example.org:25, 192.0.2.1:25 or "
			   "\"[2001:db8::1]:25\", or mx, or unix:/path";

static enum ec parse_path(struct slice path, struct config_hop *out, struct why *why)
{
	out->kind = CONFIG_HOP_UNIX;
	out->name = path;
	if (path.len == 0 || path.p[0] != '/')
		return why_set(why, EC_SYNTAX, "\"%.*s\" is not an absolute path; start it with /", SHOWN(path));
	if (path.len > UNIX_PATH_MAX)
		return why_set(why, EC_RANGE, "the path has %zu characters; at most %d are possible", path.len,
		               UNIX_PATH_MAX);
	return EC_OK;
}

/* What begins like a number or a bracket, or has two colons, is meant as an address. */
static bool looks_numeric(struct slice to)
{
	size_t colons = 0, others = 0;
	for (size_t i = 0; i < to.len; i++) {
		colons += to.p[i] == ':';
		others += to.p[i] != ':' && to.p[i] != '.' && !(to.p[i] >= '0' && to.p[i] <= '9');
	}
	return to.p[0] == '[' || colons > 1 || others == 0;
}

static enum ec parse_address(struct slice to, struct config_hop *out, struct why *why)
{
	out->kind = CONFIG_HOP_ADDRESS;
	enum ec ec = address_parse(to, 0, &out->address, NULL);
	if (ec == EC_OK)
		out->port = address_port(&out->address);
	if (ec == EC_MISSING)
		return why_set(why, ec, "\"%.*s\" has no port; %s", SHOWN(to), cure);
	if (ec == EC_RANGE)
		return why_set(why, ec, "\"%.*s\" has a port out of range; write one from 1 to 65535", SHOWN(to));
	if (ec != EC_OK)
		return why_set(why, ec, "\"%.*s\" is not an IP address; %s", SHOWN(to), cure);
	return EC_OK;
}

static enum ec parse_host(struct slice to, struct config_hop *out, struct why *why)
{
	const uint8_t *colon = memchr(to.p, ':', to.len);
	out->kind = CONFIG_HOP_HOST;
	out->name = slice_first(to, colon == NULL ? to.len : (size_t)(colon - to.p));
	const char *fault = name_fault(out->name, NAME_HOST);
	if (fault != NULL)
		return why_set(why, EC_SYNTAX, "\"%.*s\" %s; %s", SHOWN(out->name), fault, cure);
	if (colon == NULL)
		return why_set(why, EC_MISSING, "\"%.*s\" has no port; %s", SHOWN(to), cure);
	uint64_t port = 0;
	enum ec ec = parse_u64(slice_from(to, out->name.len + 1), UINT16_MAX, &port);
	if (ec == EC_SYNTAX)
		return why_set(why, ec, "the port of \"%.*s\" is not a number; %s", SHOWN(to), cure);
	if (ec != EC_OK || port == 0)
		return why_set(why, EC_RANGE, "\"%.*s\" has a port out of range; write one from 1 to 65535", SHOWN(to));
	out->port = (uint16_t)port;
	return EC_OK;
}

enum ec config_hop_parse(struct slice to, struct config_hop *out, struct why *why)
{
	struct slice scheme = SLICE_LIT("unix:");
	*out = (struct config_hop){ .kind = CONFIG_HOP_MX };
	if (slice_eq(to, SLICE_LIT("mx")))
		return EC_OK;
	if (slice_eq(slice_first(to, scheme.len), scheme))
		return parse_path(slice_from(to, scheme.len), out, why);
	if (to.len == 0)
		return why_set(why, EC_SYNTAX, "has no value; %s", cure);
	return looks_numeric(to) ? parse_address(to, out, why) : parse_host(to, out, why);
}

bool config_hop_is_named(const struct config_hop *hop)
{
	return hop->kind == CONFIG_HOP_MX || hop->kind == CONFIG_HOP_HOST;
}

bool config_hop_is_local(const struct config_hop *hop)
{
	static const uint8_t loopback4[4] = { 127 }, loopback6[16] = { [15] = 1 };
	const struct sockaddr_storage net4 = address_from_ip4(loopback4, 0), net6 = address_from_ip6(loopback6, 0);
	struct sockaddr_storage address = hop->address;
	if (hop->kind != CONFIG_HOP_ADDRESS)
		return hop->kind == CONFIG_HOP_UNIX;
	address_unmap(&address);
	return address_in_prefix(&address, &net4, 8) || address_in_prefix(&address, &net6, 128);
}

struct wall config_connector_end(const struct config_connector *c)
{
	struct wall day = { 0 };
	if (*c->until == '\0')
		return day;
	enum ec ec = date_parse(slice_str(c->until), &day);
	assert(ec == EC_OK); /* the configuration's own check */
	return (struct wall){ day.s + 86400 };
}

bool config_connector_expired(const struct config_connector *c, struct wall now)
{
	struct wall end = config_connector_end(c);
	return end.s != 0 && now.s >= end.s;
}

enum config_hop_tls config_connector_tls(const struct config_connector *c, struct wall now)
{
	return c->tls == CONFIG_TLS_NONE && config_connector_expired(c, now) ? CONFIG_TLS_OPPORTUNISTIC : c->tls;
}

enum config_dane config_connector_dane(const struct config_connector *c, struct wall now)
{
	return c->dane == CONFIG_DANE_NONE && config_connector_expired(c, now) ? CONFIG_DANE_OPPORTUNISTIC : c->dane;
}

enum config_mta_sts config_connector_mta_sts(const struct config_connector *c, struct wall now)
{
	return c->mta_sts == CONFIG_MTA_STS_NONE && config_connector_expired(c, now) ? CONFIG_MTA_STS_OPPORTUNISTIC :
	                                                                               c->mta_sts;
}

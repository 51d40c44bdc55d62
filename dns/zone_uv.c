/* The search goes hop by hop, one question at a time, but for the addresses:
 *   STEP_ALIAS      is there a CNAME at the hop's owner?
 *   STEP_APEX       is there a SOA at this name? at its parent? ... -> the apex
 *   STEP_SERVERS    the NS of the apex
 *   STEP_ADDRESSES  A and AAAA of each of them and of the primary, all at once
 * then the next hop, if the owner was an alias, or the end. Each step is a
 * question and a function that reads its answer and names the next step. */
#include "dns/zone_uv.h"

#include "base/address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	TIMEOUT_MS = 20000,
	PORT = 53,
	LOOKUPS_MAX = 2 * (DNS_NS_MAX + 1) /* A and AAAA of the servers and the primary */
};

/* One address question. */
struct lookup {
	struct zone_call *z;
	struct secure_call *call;
	struct dns_name name;
	uint16_t type;
	bool is_ns;      /* in the NS RRset */
	bool is_primary; /* the SOA's MNAME */
};

struct zone_call {
	struct secure *s;
	uv_timer_t timer;
	struct zone_options options;
	uint64_t deadline_ms;
	struct secure_call *call; /* the one question under way, but for addresses */
	struct lookup lookups[LOOKUPS_MAX];
	unsigned num_lookups;
	unsigned num_pending;
	struct dns_name at; /* STEP_APEX: where we are */
	struct dns_name next; /* the alias target of this hop */
	bool closing;
	zone_done *done;
	void *arg;
	struct zone_map map;
};

/* --- the end --- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void zone_close(struct zone_call *z)
{
	if (z->closing)
		return;
	z->closing = true;
	secure_cancel(z->call);
	z->call = NULL;
	for (unsigned i = 0; i < z->num_lookups; i++) {
		secure_cancel(z->lookups[i].call);
		z->lookups[i].call = NULL;
	}
	secure_release(z->s);
	uv_close((uv_handle_t *)&z->timer, on_timer_closed);
}

static void finish(struct zone_call *z, enum ec ec, const struct why *why)
{
	zone_close(z); /* frees later: the map lives until then */
	z->done(z->arg, ec, ec == EC_OK ? &z->map : NULL, why);
}

static void fail(struct zone_call *z, enum ec ec, const char *words, const struct dns_name *name)
{
	struct why why = { 0 };
	char text[DNS_NAME_TEXT_SIZE];
	dns_name_print(text, name);
	(void)why_set(&why, ec, "%.250s %s", text, words);
	finish(z, ec, &why);
}

static void on_timer(uv_timer_t *t)
{
	struct zone_call *z = t->data;
	fail(z, EC_TIMEOUT, "has zones and servers that could not all be found in time", &z->map.hops[0].owner);
}

/* --- questions --- */

static int left_ms(const struct zone_call *z)
{
	uint64_t now = uv_now(z->timer.loop);
	return z->deadline_ms > now ? (int)(z->deadline_ms - now) : 1;
}

static void ask(struct zone_call *z, const struct dns_name *name, uint16_t type, secure_done *step)
{
	struct why why = { 0 };
	enum ec ec = secure_ask(z->s, name, type, left_ms(z), step, z, &z->call, &why);
	if (ec != EC_OK)
		finish(z, ec, &why);
}

/* Begins each step: false if the answer is not proven; then the search is over. */
static bool proven(struct zone_call *z, const struct secure_answer *a)
{
	z->call = NULL;
	if (a->status == SECURE_VALID)
		return true;
	if (a->status == SECURE_INSECURE)
		fail(z, EC_DNS_INSECURE, "is not in a signed zone, or there is no DS for it above", &a->question);
	else
		finish(z, a->ec, &a->why);
	return false;
}

static struct zone_hop *hop(struct zone_call *z)
{
	return &z->map.hops[z->map.num_hops - 1];
}

static void start_hop(struct zone_call *z, const struct dns_name *owner);

static void hop_done(struct zone_call *z)
{
	static const struct why none;
	if (hop(z)->alias)
		start_hop(z, &z->next);
	else
		finish(z, EC_OK, &none);
}

/* --- STEP_ADDRESSES --- */

static struct zone_info *zone(struct zone_call *z)
{
	return &z->map.zones[z->map.num_zones - 1];
}

static void add_server(struct zone_info *info, const struct dns_name *name, const struct sockaddr_storage *address)
{
	for (unsigned i = 0; i < info->num_servers; i++) {
		if (address_eq(&info->servers[i].address, address) && dns_name_eq(&info->servers[i].name, name))
			return;
	}
	if (info->num_servers == ZONE_SERVERS_MAX)
		info->cut = true;
	else
		info->servers[info->num_servers++] = (struct zone_server){ .name = *name, .address = *address };
}

static void note_addresses(struct zone_call *z, const struct lookup *l, const struct secure_answer *a)
{
	struct zone_info *info = zone(z);
	struct sockaddr_storage found[ZONE_SERVERS_MAX];
	unsigned num = 0;
	uint16_t port = z->options.port != 0 ? z->options.port : PORT;
	if (secure_addresses(a, port, found, ZONE_SERVERS_MAX, &num) != EC_OK)
		info->cut = true;
	for (unsigned i = 0; i < num; i++) {
		if (l->is_ns)
			add_server(info, &l->name, &found[i]);
		if (l->is_primary && info->num_primary < ZONE_PRIMARY_MAX)
			info->primary[info->num_primary++] = found[i];
	}
}

static bool has_server(const struct zone_info *info, const struct dns_name *name)
{
	for (unsigned i = 0; i < info->num_servers; i++) {
		if (dns_name_eq(&info->servers[i].name, name))
			return true;
	}
	return false;
}

static void addresses_done(struct zone_call *z)
{
	struct zone_info *info = zone(z);
	for (unsigned i = 0; i < z->num_lookups; i++) {
		const struct lookup *l = &z->lookups[i];
		if (l->is_ns && info->lame.len == 0 && !has_server(info, &l->name))
			info->lame = l->name;
	}
	z->num_lookups = 0;
	if (info->num_servers == 0)
		fail(z, EC_NOT_FOUND, "has no name server with an address", &info->apex);
	else
		hop_done(z);
}

static void on_address(void *arg, const struct secure_answer *a)
{
	struct lookup *l = arg;
	struct zone_call *z = l->z;
	l->call = NULL;
	z->num_pending--;
	bool usable = a->status == SECURE_VALID || (a->status == SECURE_INSECURE && !z->options.strict_addresses);
	if (usable) {
		note_addresses(z, l, a);
	} else if (l->is_ns) { /* a hidden primary need not have an address */
		if (a->status == SECURE_INSECURE)
			fail(z, EC_DNS_INSECURE, "has an address, but it is not signed", &l->name);
		else
			finish(z, a->ec, &a->why);
		return;
	}
	if (z->num_pending == 0)
		addresses_done(z);
}

static void plan_lookup(struct zone_call *z, const struct dns_name *name, bool is_ns, bool is_primary)
{
	static const uint16_t types[2] = { DNS_A, DNS_AAAA };
	bool planned = false;
	for (unsigned i = 0; i < z->num_lookups; i++) {
		struct lookup *l = &z->lookups[i];
		if (!dns_name_eq(&l->name, name))
			continue;
		planned = true;
		l->is_ns |= is_ns;
		l->is_primary |= is_primary;
	}
	for (unsigned i = 0; i < 2 && !planned; i++) {
		assert(z->num_lookups < LOOKUPS_MAX);
		z->lookups[z->num_lookups++] =
			(struct lookup){ .z = z, .name = *name, .type = types[i], .is_ns = is_ns, .is_primary = is_primary };
	}
}

static void start_addresses(struct zone_call *z)
{
	struct why why = { 0 };
	if (!dns_name_is_root(&zone(z)->soa.mname)) /* "." = there is none */
		plan_lookup(z, &zone(z)->soa.mname, false, true);
	z->num_pending = z->num_lookups;
	for (unsigned i = 0; i < z->num_lookups; i++) {
		struct lookup *l = &z->lookups[i];
		enum ec ec = secure_ask(z->s, &l->name, l->type, left_ms(z), on_address, l, &l->call, &why);
		if (ec != EC_OK) {
			finish(z, ec, &why);
			return;
		}
	}
}

/* --- STEP_SERVERS --- */

static void on_servers(void *arg, const struct secure_answer *a)
{
	struct zone_call *z = arg;
	struct dns_name name;
	if (!proven(z, a))
		return;
	for (unsigned i = 0; i < a->num; i++) {
		if (dns_name_from_wire(a->rdata[i], &name) != EC_OK)
			continue;
		if (zone(z)->num_ns == DNS_NS_MAX) {
			zone(z)->cut = true;
			break;
		}
		zone(z)->num_ns++;
		plan_lookup(z, &name, true, false);
	}
	if (zone(z)->num_ns == 0)
		fail(z, EC_NOT_FOUND, "has no name servers", &zone(z)->apex);
	else
		start_addresses(z);
}

/* --- STEP_APEX --- */

static void zone_found(struct zone_call *z, const struct dns_soa *soa)
{
	for (unsigned i = 0; i < z->map.num_zones; i++) {
		if (dns_name_eq(&z->map.zones[i].apex, &soa->owner)) {
			hop(z)->zone = i;
			hop_done(z);
			return;
		}
	}
	hop(z)->zone = z->map.num_zones;
	z->map.num_zones++; /* never more zones than hops */
	*zone(z) = (struct zone_info){ .apex = soa->owner, .soa = *soa, .negative_ttl_s = dns_soa_negative_ttl(soa) };
	ask(z, &soa->owner, DNS_NS, on_servers);
}

static void on_apex(void *arg, const struct secure_answer *a)
{
	struct zone_call *z = arg;
	struct dns_soa soa;
	if (!proven(z, a))
		return;
	/* An alias on the way up: its target's SOA is not that of this name. */
	if (a->num == 1 && dns_name_eq(&a->canonical, &a->question) &&
	    dns_soa_from_rdata(&a->question, a->ttl_s, a->rdata[0], &soa) == EC_OK)
		zone_found(z, &soa);
	else if (dns_name_parent(&z->at, &z->at))
		ask(z, &z->at, DNS_SOA, on_apex);
	else
		fail(z, EC_NOT_FOUND, "is in no zone", &hop(z)->owner);
}

/* --- STEP_ALIAS --- */

static bool seen(const struct zone_call *z, const struct dns_name *owner)
{
	for (unsigned i = 0; i < z->map.num_hops; i++) {
		if (dns_name_eq(&z->map.hops[i].owner, owner))
			return true;
	}
	return false;
}

static void on_alias(void *arg, const struct secure_answer *a)
{
	struct zone_call *z = arg;
	if (!proven(z, a))
		return;
	z->at = hop(z)->owner;
	if (a->num > 0) {
		if (dns_name_from_wire(a->rdata[0], &z->next) != EC_OK) {
			fail(z, EC_DNS_FAILED, "has a malformed CNAME", &a->question);
			return;
		}
		hop(z)->alias = true;
		hop(z)->ttl_s = a->ttl_s;
		/* No zone begins at an alias: RFC 1034 3.6.2. */
		(void)dns_name_parent(&z->at, &z->at);
	}
	ask(z, &z->at, DNS_SOA, on_apex);
}

static void start_hop(struct zone_call *z, const struct dns_name *owner)
{
	struct dns_name name = *owner;
	if (seen(z, &name)) {
		fail(z, EC_LIMIT, "is part of a loop of CNAMEs", &name);
		return;
	}
	if (z->map.num_hops == ZONE_HOPS_MAX) {
		fail(z, EC_LIMIT, "is at the end of too many CNAMEs", &name);
		return;
	}
	z->map.num_hops++;
	*hop(z) = (struct zone_hop){ .owner = name };
	ask(z, &name, DNS_CNAME, on_alias);
}

enum ec zone_find(struct secure *s, uv_loop_t *loop, const struct dns_name *owner, struct zone_options options,
		  zone_done *done, void *arg, struct zone_call **out_call, struct why *why)
{
	if (out_call != NULL)
		*out_call = NULL;
	assert(owner->len > 0);
	struct zone_call *z = calloc(1, sizeof *z);
	if (z == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory to look for a zone");
	z->s = s;
	z->options = options;
	z->done = done;
	z->arg = arg;
	int ms = options.timeout_ms > 0 ? options.timeout_ms : TIMEOUT_MS;
	uv_update_time(loop);
	z->deadline_ms = uv_now(loop) + (uint64_t)ms;
	z->map.num_hops = 1;
	z->map.hops[0].owner = *owner;
	secure_hold(s);
	enum ec ec = secure_ask(s, owner, DNS_CNAME, ms, on_alias, z, &z->call, why);
	if (ec != EC_OK) {
		secure_release(s);
		free(z);
		return ec;
	}
	int rc = uv_timer_init(loop, &z->timer);
	assert(rc == 0); /* can't fail in libuv 1.x */
	(void)rc;
	z->timer.data = z;
	(void)uv_timer_start(&z->timer, on_timer, (uint64_t)ms, 0);
	if (out_call != NULL)
		*out_call = z;
	return EC_OK;
}

void zone_cancel(struct zone_call *call)
{
	if (call != NULL)
		zone_close(call);
}

#include "proxy/worker/clients.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

struct clients {
	struct census *census;
	census_hash *hash;
	unsigned slot;
	size_t num_sessions;
	size_t num_addresses;
};

struct key {
	uint8_t addr[CENSUS_KEY]; /* IPv4 as ::ffff:a.b.c.d, so that both families compare alike */
};

static struct key key_of(const struct sockaddr_storage *who, enum census_kind kind)
{
	struct sockaddr_storage a = *who;
	struct key k = { { 0 } };
	bool prefix = kind == CENSUS_PREFIX;
	address_unmap(&a);
	if (a.ss_family == AF_INET) {
		address_mask(&a, prefix ? CLIENTS_PREFIX_IP4 : CLIENTS_ADDRESS_IP4);
		k.addr[10] = k.addr[11] = 0xff;
		memcpy(k.addr + 12, &((struct sockaddr_in *)&a)->sin_addr, 4);
	} else if (a.ss_family == AF_INET6) {
		address_mask(&a, prefix ? CLIENTS_PREFIX_IP6 : CLIENTS_ADDRESS_IP6);
		memcpy(k.addr, &((struct sockaddr_in6 *)&a)->sin6_addr, 16);
	}
	return k;
}

struct clients *clients_new(struct census *census, unsigned slot, census_hash *hash)
{
	struct clients *c = calloc(1, sizeof *c);
	if (c != NULL)
		*c = (struct clients){ .census = census, .hash = hash, .slot = slot };
	return c;
}

void clients_free(struct clients *c)
{
	free(c);
}

static uint64_t add(struct clients *c, enum census_kind kind, const struct sockaddr_storage *who)
{
	struct key key = key_of(who, kind);
	bool fresh;
	uint64_t count = census_add(c->census, c->hash, c->slot, kind, key.addr, &fresh);
	if (kind == CENSUS_ADDRESS && fresh)
		c->num_addresses++;
	return count;
}

static void drop(struct clients *c, enum census_kind kind, const struct sockaddr_storage *who)
{
	struct key key = key_of(who, kind);
	bool gone;
	census_drop(c->census, c->hash, c->slot, kind, key.addr, &gone);
	/* Cells that two addresses share may say "gone" when they did not say "fresh". */
	if (kind == CENSUS_ADDRESS && gone && c->num_addresses > 0)
		c->num_addresses--;
}

enum clients_verdict clients_enter_unnamed(struct clients *c, const struct clients_limits *limits)
{
	if (c->num_sessions >= limits->sessions)
		return CLIENTS_OVER_SESSIONS;
	c->num_sessions++;
	return CLIENTS_WELCOME;
}

enum clients_verdict clients_name(struct clients *c, const struct clients_limits *limits,
                                  const struct sockaddr_storage *who)
{
	/* Counted first and looked at then, so that two workers can't both find the last place free. */
	if (add(c, CENSUS_ADDRESS, who) > limits->per_address) {
		drop(c, CENSUS_ADDRESS, who);
		return CLIENTS_OVER_ADDRESS;
	}
	if (add(c, CENSUS_PREFIX, who) > limits->per_prefix) {
		drop(c, CENSUS_PREFIX, who);
		drop(c, CENSUS_ADDRESS, who);
		return CLIENTS_OVER_PREFIX;
	}
	return CLIENTS_WELCOME;
}

enum clients_verdict clients_enter(struct clients *c, const struct clients_limits *limits,
                                   const struct sockaddr_storage *who)
{
	enum clients_verdict verdict = clients_enter_unnamed(c, limits);
	if (verdict != CLIENTS_WELCOME)
		return verdict;
	verdict = clients_name(c, limits, who);
	if (verdict != CLIENTS_WELCOME)
		clients_leave(c, NULL);
	return verdict;
}

void clients_leave(struct clients *c, const struct sockaddr_storage *who)
{
	assert(c->num_sessions > 0);
	c->num_sessions--;
	if (who == NULL)
		return;
	drop(c, CENSUS_ADDRESS, who);
	drop(c, CENSUS_PREFIX, who);
}

size_t clients_num_sessions(const struct clients *c)
{
	return c->num_sessions;
}

size_t clients_num_addresses(const struct clients *c)
{
	return c->num_addresses;
}

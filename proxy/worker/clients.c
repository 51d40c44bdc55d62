/* Two balanced trees (tsearch), one by address and one by network: no hash for
 * an attacker to aim at, no table to size. An entry lives while its count is
 * above zero. */
#include "proxy/worker/clients.h"

#include <assert.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

struct counted {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d, so both families compare alike */
	uint64_t count;
};

struct clients {
	void *addresses;
	void *prefixes;
	size_t num_sessions;
	size_t num_addresses;
};

static int by_addr(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	return memcmp(x->addr, y->addr, sizeof x->addr);
}

static struct counted counted_of(const struct sockaddr_storage *who, bool prefix)
{
	struct sockaddr_storage a = *who;
	address_unmap(&a);
	if (a.ss_family == AF_INET)
		address_mask(&a, prefix ? CLIENTS_PREFIX_IP4 : CLIENTS_ADDRESS_IP4);
	else if (a.ss_family == AF_INET6)
		address_mask(&a, prefix ? CLIENTS_PREFIX_IP6 : CLIENTS_ADDRESS_IP6);
	struct counted e = { .count = 1 };
	if (a.ss_family == AF_INET) {
		e.addr[10] = e.addr[11] = 0xff;
		memcpy(e.addr + 12, &((struct sockaddr_in *)&a)->sin_addr, 4);
	} else if (a.ss_family == AF_INET6) {
		memcpy(e.addr, &((struct sockaddr_in6 *)&a)->sin6_addr, 16);
	}
	return e;
}

struct clients *clients_new(void)
{
	return calloc(1, sizeof(struct clients));
}

void clients_free(struct clients *c)
{
	if (c == NULL)
		return;
	tdestroy(c->addresses, free);
	tdestroy(c->prefixes, free);
	free(c);
}

static struct counted *find(void *const *root, const struct counted *key)
{
	void *node = tfind(key, root, by_addr);
	return node == NULL ? NULL : *(struct counted **)node;
}

static uint64_t count_of(void *const *root, const struct counted *key)
{
	const struct counted *e = find(root, key);
	return e == NULL ? 0 : e->count;
}

/* add counts one more; false when a new entry finds no memory. */
static bool add(void **root, const struct counted *key, bool *out_fresh)
{
	struct counted *e = find(root, key);
	*out_fresh = e == NULL;
	if (e != NULL) {
		e->count++;
		return true;
	}
	e = malloc(sizeof *e);
	if (e == NULL)
		return false;
	*e = *key;
	if (tsearch(e, root, by_addr) != NULL)
		return true;
	free(e);
	return false;
}

/* drop counts one less; true when the entry is gone with it. */
static bool drop(void **root, const struct counted *key)
{
	struct counted *e = find(root, key);
	assert(e != NULL && e->count > 0);
	if (--e->count > 0)
		return false;
	tdelete(e, root, by_addr);
	free(e);
	return true;
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
	struct counted address = counted_of(who, false), prefix = counted_of(who, true);
	bool fresh_address, fresh_prefix;
	if (count_of(&c->addresses, &address) >= limits->per_address)
		return CLIENTS_OVER_ADDRESS;
	if (count_of(&c->prefixes, &prefix) >= limits->per_prefix)
		return CLIENTS_OVER_PREFIX;
	if (!add(&c->addresses, &address, &fresh_address))
		return CLIENTS_NO_MEMORY;
	if (!add(&c->prefixes, &prefix, &fresh_prefix)) {
		(void)drop(&c->addresses, &address);
		return CLIENTS_NO_MEMORY;
	}
	c->num_addresses += fresh_address ? 1 : 0;
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
	struct counted address = counted_of(who, false), prefix = counted_of(who, true);
	if (drop(&c->addresses, &address))
		c->num_addresses--;
	(void)drop(&c->prefixes, &prefix);
}

size_t clients_num_sessions(const struct clients *c)
{
	return c->num_sessions;
}

size_t clients_num_addresses(const struct clients *c)
{
	return c->num_addresses;
}

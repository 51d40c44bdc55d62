#include "proxy/relay/tries.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"

void tries_host(char out[HEALTH_NAME_SIZE], const struct route_hop *hop)
{
	if (hop->path[0] != '\0')
		(void)snprintf(out, HEALTH_NAME_SIZE, "unix:%s", hop->path);
	else
		(void)snprintf(out, HEALTH_NAME_SIZE, strchr(hop->name, ':') == NULL ? "%s:%u" : "[%s]:%u", hop->name, hop->port);
}

void tries_name(char out[HEALTH_NAME_SIZE], const struct route_hop *hop, unsigned address)
{
	if (hop->path[0] != '\0')
		tries_host(out, hop);
	else
		address_print(out, &hop->addresses[address]);
}

/* splitmix64: the next random number. */
static uint64_t draw(uint64_t *chance)
{
	uint64_t z = *chance += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool equals(const struct route_hop *a, const struct route_hop *b)
{
	return a->priority == b->priority && a->preference == b->preference;
}

/* shuffle draws the order of order[from] to order[to - 1], heavier ones sooner. */
static void shuffle(const struct route *r, uint8_t *order, unsigned from, unsigned to, uint64_t *chance)
{
	for (; to - from > 1; from++) {
		uint64_t sum = 0, pick;
		for (unsigned i = from; i < to; i++)
			sum += r->hops[order[i]].weight;
		pick = draw(chance) % (sum > 0 ? sum : 1);
		unsigned i = from;
		for (; i + 1 < to && pick >= r->hops[order[i]].weight; i++)
			pick -= r->hops[order[i]].weight;
		uint8_t chosen = order[i];
		memmove(&order[from + 1], &order[from], i - from);
		order[from] = chosen;
	}
}

static void put_in_order(const struct route *r, uint64_t chance, uint8_t order[ROUTE_HOPS_MAX])
{
	for (unsigned i = 0; i < r->num_hops; i++)
		order[i] = (uint8_t)i;
	for (unsigned from = 0, to; from < r->num_hops; from = to) {
		for (to = from + 1; to < r->num_hops && equals(&r->hops[from], &r->hops[to]);)
			to++;
		shuffle(r, order, from, to, &chance);
	}
}

static void add_hop(struct tries *t, const struct route *r, unsigned hop, const struct health *h, struct mono now,
                    enum health_rank wanted)
{
	const struct route_hop *p = &r->hops[hop];
	unsigned num = p->path[0] != '\0' ? 1 : p->num_addresses;
	char name[HEALTH_NAME_SIZE];
	bool all_drained = false;
	if (h->num > 0) {
		tries_host(name, p);
		all_drained = health_rank(h, name, now) == HEALTH_DRAINED;
	}
	for (unsigned i = 0; i < num && t->num < TRIES_MAX; i++) {
		enum health_rank rank = HEALTH_GOOD;
		if (h->num > 0) {
			tries_name(name, p, i);
			rank = all_drained ? HEALTH_DRAINED : health_rank(h, name, now);
		}
		t->drained |= rank == HEALTH_DRAINED;
		if (rank != wanted)
			continue;
		t->items[t->num].hop = (uint8_t)hop;
		t->items[t->num++].address = (uint8_t)i;
	}
}

void tries_plan(const struct route *r, const struct health *h, struct mono now, uint64_t chance, struct tries *out)
{
	uint8_t order[ROUTE_HOPS_MAX] = { 0 };
	*out = (struct tries){ 0 };
	put_in_order(r, chance, order);
	for (unsigned i = 0; i < r->num_hops; i++) {
		unsigned hop = order[i];
		if (r->hops[hop].refused == SMTP_R_NONE) {
			add_hop(out, r, hop, h, now, HEALTH_GOOD);
		} else if (out->refused == SMTP_R_NONE) {
			out->refused = r->hops[hop].refused;
			out->refused_hop = hop;
		}
	}
	for (unsigned i = 0; i < r->num_hops && h->num > 0; i++)
		if (r->hops[order[i]].refused == SMTP_R_NONE)
			add_hop(out, r, order[i], h, now, HEALTH_FAILED);
}

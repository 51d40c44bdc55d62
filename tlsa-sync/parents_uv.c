#include "tlsa-sync/parents_uv.h"

#include <stdio.h>

static enum fact_ds ds_of(const struct secure_answer *answer)
{
	switch (answer->status) {
	case SECURE_VALID:
		return answer->num > 0 ? DS_THERE : DS_MISSING;
	case SECURE_INSECURE:
		return DS_ABOVE;
	case SECURE_BOGUS:
		return DS_BOGUS;
	case SECURE_FAILED:
		break;
	}
	return DS_UNKNOWN;
}

static void on_ds(void *arg, const struct secure_answer *answer)
{
	struct parent *one = arg;
	struct parents *p = one->all;
	one->call = NULL;
	p->zones[one - p->parents].ds = ds_of(answer);
	if (--p->pending == 0)
		p->done(p->arg);
}

void parents_find(struct parents *p, struct secure *s, const struct zone_map *map, void (*done)(void *arg), void *arg)
{
	*p = (struct parents){ .num = map == NULL ? 0 : map->num_zones, .pending = 1, .done = done, .arg = arg };
	for (size_t i = 0; i < p->num; i++) {
		struct parent *one = &p->parents[i];
		char apex[DNS_NAME_TEXT_SIZE];
		struct why ignored = { 0 };
		dns_name_print(apex, &map->zones[i].apex);
		(void)snprintf(p->zones[i].apex, sizeof p->zones[i].apex, "%.255s", apex);
		one->all = p;
		p->pending += secure_ask(s, &map->zones[i].apex, DNS_DS, 0, on_ds, one, &one->call, &ignored) == EC_OK;
	}
	if (--p->pending == 0)
		done(arg);
}

void parents_cancel(struct parents *p)
{
	for (size_t i = 0; i < ZONE_HOPS_MAX; i++) {
		secure_cancel(p->parents[i].call);
		p->parents[i].call = NULL;
	}
}

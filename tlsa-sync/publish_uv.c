/* publisher_send -> kind->start -> ... -> publisher_end -> the caller's callback. */
#include "tlsa-sync/publish_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "tlsa-sync/publish_in_uv.h"

static const struct publisher_kind *const kinds[CONFIG_NUM_PUBLISHERS] = {
	[CONFIG_RFC2136] = &publisher_rfc2136,
	[CONFIG_EXEC] = &publisher_exec,
	[CONFIG_ZONEFILE] = &publisher_zonefile,
};

enum ec publisher_new(uv_loop_t *loop, const struct config *cfg, struct publisher **out, struct why *why)
{
	struct publisher *p = calloc(1, sizeof *p);
	*out = NULL;
	if (p == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	p->loop = loop;
	p->cfg = cfg;
	p->kind = kinds[cfg->tlsa_sync.publisher];
	enum ec ec = p->kind->open != NULL ? p->kind->open(p, why) : EC_OK;
	if (ec != EC_OK)
		publisher_free(p);
	else
		*out = p;
	return ec;
}

/* --- the end of a call --- */

static void on_later_closed(uv_handle_t *h)
{
	free(h);
}

static void call_free(struct publisher_call *c)
{
	if (c->later != NULL)
		uv_close((uv_handle_t *)c->later, on_later_closed);
	bytes_fini(&c->more);
	free(c);
}

void publisher_end(struct publisher_call *c, enum outcome outcome, const char *words)
{
	(void)why_set(&c->words, EC_OK, "%s", words);
	struct publish_result result = { .outcome = outcome, .words = c->words.text, .more = bytes_slice(&c->more) };
	c->done(c->arg, &result);
	call_free(c);
}

static void on_later(uv_timer_t *t)
{
	struct publisher_call *c = t->data;
	publisher_end(c, c->result.outcome, c->words.text);
}

enum ec publisher_will_end_later(struct publisher_call *c, struct why *why)
{
	if (c->later != NULL)
		return EC_OK;
	c->later = calloc(1, sizeof *c->later);
	if (c->later == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	(void)uv_timer_init(c->publisher->loop, c->later);
	c->later->data = c;
	return EC_OK;
}

void publisher_end_later(struct publisher_call *c, enum outcome outcome, const char *words)
{
	c->result.outcome = outcome;
	(void)why_set(&c->words, EC_OK, "%s", words);
	(void)uv_timer_start(c->later, on_later, 0, 0);
}

/* --- the start --- */

static enum ec begin(struct publisher *p, const struct publish_change *change, bool rehearsal, publisher_done *done,
                     void *arg, struct publisher_call **out, struct why *why)
{
	const struct zone_map *map = change->map;
	const struct zone_hop *last = &map->hops[map->num_hops - 1];
	struct publisher_call *c = calloc(1, sizeof *c);
	*out = NULL;
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*c = (struct publisher_call){
		.publisher = p,
		.rehearsal = rehearsal,
		.owner = last->owner,
		.zone = map->zones[last->zone],
		.ttl_s = change->ttl_s,
		.adds = change->adds,
		.deletes = change->deletes,
		.wanted = change->wanted,
		.done = done,
		.arg = arg,
	};
	(void)snprintf(c->identity, sizeof c->identity, "%s", change->identity);
	enum ec ec = p->kind->start(c, why);
	if (ec != EC_OK)
		call_free(c);
	else
		*out = c;
	return ec;
}

enum ec publisher_send(struct publisher *p, const struct publish_change *change, publisher_done *done, void *arg,
                       struct publisher_call **out, struct why *why)
{
	return begin(p, change, false, done, arg, out, why);
}

enum ec publisher_rehearse(struct publisher *p, const struct publish_change *change, publisher_done *done, void *arg,
                           struct publisher_call **out, struct why *why)
{
	return begin(p, change, true, done, arg, out, why);
}

void publisher_cancel(struct publisher_call *c)
{
	if (c == NULL)
		return;
	update_cancel(c->sending);
	command_cancel(c->command);
	call_free(c);
}

void publisher_free(struct publisher *p)
{
	if (p == NULL)
		return;
	tsig_key_fini(&p->key);
	free(p);
}

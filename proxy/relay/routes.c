#include "proxy/relay/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"

/* An entry is found by "connector:domain" as long as it is known or asked for. */
struct entry {
	struct names_item item; /* first: the set's values are these */
	char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE];
	struct routes *home; /* where it is kept, and counted */
	struct route *route; /* NULL: not yet, or not any more */
	int64_t until_ms;
	uint64_t question; /* under way; 0: none */
	struct entry *next; /* of those with a question under way */
	struct routes_wait *waiting;
};

struct routes_wait {
	struct routes_wait *next, **link;
	routes_found *found;
	void *arg;
};

struct routes {
	struct names names;
	struct entry *asked;
	uint64_t last_question;
	size_t num_hops; /* kept */
	routes_ask *ask;
	void *arg;
};

struct routes *routes_new(routes_ask *ask, void *arg)
{
	struct routes *t = calloc(1, sizeof *t);
	if (t == NULL)
		return NULL;
	t->ask = ask;
	t->arg = arg;
	return t;
}

static void unlink_wait(struct routes_wait *w)
{
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
}

static size_t weight(const struct route *r)
{
	return r == NULL ? 0 : r->num_hops == 0 ? 1 : r->num_hops;
}

/* set_route keeps a route, which it takes, in place of the one before. */
static void set_route(struct entry *e, struct route *r)
{
	e->home->num_hops += weight(r) - weight(e->route);
	route_free(e->route);
	e->route = r;
}

static void entry_end(struct names_item *item)
{
	struct entry *e = (struct entry *)item;
	set_route(e, NULL);
	free(e);
}

static void not_asked(struct routes *t, struct entry *e)
{
	for (struct entry **p = &t->asked; *p != NULL; p = &(*p)->next) {
		if (*p != e)
			continue;
		*p = e->next;
		e->question = 0;
		names_item_unref(&e->item);
		return;
	}
}

void routes_free(struct routes *t)
{
	if (t == NULL)
		return;
	while (t->asked != NULL) {
		struct entry *e = t->asked;
		while (e->waiting != NULL) {
			struct routes_wait *w = e->waiting;
			unlink_wait(w);
			free(w);
		}
		not_asked(t, e);
	}
	names_fini(&t->names);
	free(t);
}

static bool key_of(char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE], const char *connector, const char *domain)
{
	if (strlen(connector) >= ROUTE_CONNECTOR_SIZE || strlen(domain) >= ROUTE_NAME_SIZE)
		return false;
	(void)snprintf(key, ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE, "%s:%s", connector, domain);
	return true;
}

static struct entry *entry_of(struct routes *t, const char *key)
{
	return (struct entry *)names_find(&t->names, slice_str(key));
}

struct route *routes_get(struct routes *t, const char *connector, const char *domain, struct mono now)
{
	char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE];
	struct entry *e = key_of(key, connector, domain) ? entry_of(t, key) : NULL;
	return e != NULL && e->route != NULL && now.ms < e->until_ms ? e->route : NULL;
}

/* make_room drops some until `more` hops fit: which ones does not matter much, since a route that
 * is missed is asked for again. */
static void make_room(struct routes *t, size_t more)
{
	size_t at = (size_t)t->last_question * 7919;
	while (names_num(&t->names) > 0 && (t->num_hops + more > ROUTES_MAX || names_num(&t->names) >= ROUTES_MAX)) {
		struct names_item *item = names_at(&t->names, at++ % names_num(&t->names));
		if (names_remove(&t->names, slice_str(item->name)) != EC_OK)
			return;
	}
}

static enum ec add_entry(struct routes *t, const char *key, struct entry **out)
{
	struct entry *e = calloc(1, sizeof *e);
	if (e == NULL)
		return EC_NO_MEMORY;
	memcpy(e->key, key, strlen(key) + 1);
	e->item = (struct names_item){ .refs = 1, .name = e->key, .end = entry_end };
	e->home = t;
	make_room(t, 1);
	enum ec ec = names_put(&t->names, &e->item);
	*out = e;
	names_item_unref(&e->item); /* the set has it, or nobody */
	return ec;
}

static bool ask(struct routes *t, struct entry *e, const char *connector, const char *domain)
{
	struct route_question q = { .id = ++t->last_question };
	(void)snprintf(q.connector, sizeof q.connector, "%s", connector);
	(void)snprintf(q.domain, sizeof q.domain, "%s", domain);
	if (!t->ask(t->arg, &q))
		return false;
	e->question = q.id;
	e->next = t->asked;
	t->asked = e;
	names_item_ref(&e->item);
	return true;
}

enum ec routes_want(struct routes *t, const char *connector, const char *domain, routes_found *found, void *arg,
                    struct routes_wait **out)
{
	char key[ROUTE_CONNECTOR_SIZE + ROUTE_NAME_SIZE];
	if (!key_of(key, connector, domain))
		return EC_RANGE;
	struct entry *e = entry_of(t, key);
	enum ec ec = e == NULL ? add_entry(t, key, &e) : EC_OK;
	if (ec != EC_OK)
		return ec;
	struct routes_wait *w = calloc(1, sizeof *w);
	if (w == NULL)
		return EC_NO_MEMORY;
	if (e->question == 0 && !ask(t, e, connector, domain)) {
		free(w);
		return EC_CLOSED;
	}
	*w = (struct routes_wait){ .next = e->waiting, .link = &e->waiting, .found = found, .arg = arg };
	if (w->next != NULL)
		w->next->link = &w->next;
	e->waiting = w;
	*out = w;
	return EC_OK;
}

void routes_cancel(struct routes_wait *w)
{
	if (w == NULL)
		return;
	unlink_wait(w);
	free(w);
}

/* tell gives the route to all who wait; each may cancel others meanwhile. */
static void tell(struct entry *e, struct route *r)
{
	while (e->waiting != NULL) {
		struct routes_wait w = *e->waiting;
		routes_cancel(e->waiting);
		w.found(w.arg, r);
	}
}

enum ec routes_answer(struct routes *t, const json_t *answer, struct mono now, struct why *why)
{
	uint64_t id = 0;
	struct route *r = NULL;
	enum ec ec = route_answer_id(answer, &id);
	if (ec != EC_OK)
		return why_set(why, ec, "an answer to no question");
	struct entry *e = t->asked;
	while (e != NULL && e->question != id)
		e = e->next;
	if (e == NULL)
		return EC_OK; /* nobody waits any more, and the configuration may be another */
	ec = route_parse(answer, &r, why);
	if (ec != EC_OK && route_refusal(SMTP_R_HOP_DNS, "the router's answer was not understood", 1000, &r) != EC_OK)
		return EC_NO_MEMORY; /* those who wait give up in time */
	names_item_ref(&e->item);
	not_asked(t, e);
	make_room(t, weight(r));
	set_route(e, route_share(r));
	e->until_ms = now.ms + r->ttl_ms;
	tell(e, r);
	names_item_unref(&e->item);
	route_free(r);
	return ec;
}

void routes_forget(struct routes *t)
{
	/* Those that are asked for just now live on until their answer, and nobody finds them. */
	names_fini(&t->names);
	t->names = (struct names){ 0 };
}

size_t routes_num(const struct routes *t)
{
	return names_num(&t->names);
}

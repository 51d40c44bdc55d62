/* The resolvers of servers stand in a list, the one asked last at its head. One that is warm may have a
 * context; when there are too many of these, the one that was not asked for the longest forgets its own. */
#include "tlsa-sync/askers_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/address.h"

struct asker {
	struct askers *all;
	struct dns_name zone;
	struct sockaddr_storage at;
	struct secure *secure;
	unsigned users;
	bool warm;
	struct asker *next;
};

struct askers {
	uv_loop_t *loop;
	const struct config *cfg;
	struct asker *list;
	unsigned num_warm;
	uv_timer_t kick; /* lets go of those whose turn it is, from the loop */
	struct turn *first, **last;
	struct secure *roots[ASKERS_TURNS]; /* those that are not lent: the first num_free */
	unsigned num_free;
	unsigned num_roots;
};

/* --- resolvers --- */

static void unlink_asker(struct asker *x)
{
	struct asker **at = &x->all->list;
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
}

static void to_head(struct asker *x)
{
	unlink_asker(x);
	x->next = x->all->list;
	x->all->list = x;
}

static void cool_one(struct askers *all)
{
	struct asker *oldest = NULL;
	for (struct asker *x = all->list; x != NULL; x = x->next)
		if (x->warm)
			oldest = x;
	assert(oldest != NULL);
	secure_forget(oldest->secure);
	oldest->warm = false;
	all->num_warm--;
}

static void warm(struct asker *x)
{
	to_head(x);
	if (x->warm)
		return;
	x->warm = true;
	if (++x->all->num_warm > ASKERS_WARM)
		cool_one(x->all);
}

enum ec askers_at(struct askers *all, const struct dns_name *zone, const struct sockaddr_storage *at, struct asker **out,
                  struct why *why)
{
	*out = NULL;
	for (struct asker *x = all->list; x != NULL; x = x->next) {
		if (address_eq(&x->at, at) && dns_name_eq(&x->zone, zone)) {
			x->users++;
			*out = x;
			return EC_OK;
		}
	}
	struct asker *x = calloc(1, sizeof *x);
	if (x == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*x = (struct asker){ .all = all, .zone = *zone, .at = *at, .users = 1, .next = all->list };
	struct secure_options options = secure_options_of(&all->cfg->dns);
	enum ec ec = secure_new_at(all->loop, &options, zone, at, &x->secure, why);
	if (ec != EC_OK) {
		free(x);
		return ec;
	}
	all->list = x;
	warm(x); /* it was born with a context */
	*out = x;
	return EC_OK;
}

void asker_back(struct asker *x)
{
	if (x == NULL || --x->users > 0)
		return;
	unlink_asker(x);
	x->all->num_warm -= x->warm;
	secure_free(x->secure);
	free(x);
}

enum ec asker_ask(struct asker *x, const struct dns_name *name, uint16_t type, int timeout_ms, secure_done *done, void *arg,
                  struct secure_call **out_call, struct why *why)
{
	warm(x);
	return secure_ask(x->secure, name, type, timeout_ms, done, arg, out_call, why);
}

/* --- turns --- */

static enum ec root_make(struct askers *all, struct why *why)
{
	struct secure_options options = secure_options_of(&all->cfg->dns);
	enum ec ec = secure_new(all->loop, &options, &all->roots[all->num_free], why);
	if (ec != EC_OK)
		return ec;
	all->num_free++;
	all->num_roots++;
	return EC_OK;
}

/* Those that can't be made are done without: there is one. */
static bool root_free(struct askers *all)
{
	struct why ignored = { 0 };
	return all->num_free > 0 || (all->num_roots < ASKERS_TURNS && root_make(all, &ignored) == EC_OK);
}

static void on_kick(uv_timer_t *timer)
{
	struct askers *all = timer->data;
	while (all->first != NULL && root_free(all)) {
		struct turn *t = all->first;
		all->first = t->next;
		if (all->first == NULL)
			all->last = &all->first;
		t->root = all->roots[--all->num_free];
		t->go(t->arg);
	}
}

void turn_ask(struct askers *all, struct turn *t, void (*go)(void *arg), void *arg)
{
	assert(t->all == NULL);
	*t = (struct turn){ .all = all, .go = go, .arg = arg };
	*all->last = t;
	all->last = &t->next;
	uv_timer_start(&all->kick, on_kick, 0, 0);
}

void turn_end(struct turn *t)
{
	struct askers *all = t->all;
	if (all == NULL)
		return;
	t->all = NULL;
	if (t->root != NULL) {
		all->roots[all->num_free++] = t->root;
		t->root = NULL;
		if (all->first != NULL)
			uv_timer_start(&all->kick, on_kick, 0, 0);
		return;
	}
	struct turn **at = &all->first;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (all->last == &t->next)
		all->last = at;
}

/* --- life --- */

enum ec askers_new(uv_loop_t *loop, const struct config *cfg, struct askers **out, struct why *why)
{
	*out = NULL;
	struct askers *all = calloc(1, sizeof *all);
	if (all == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	all->loop = loop;
	all->cfg = cfg;
	all->last = &all->first;
	enum ec ec = root_make(all, why);
	if (ec != EC_OK) {
		free(all);
		return ec;
	}
	uv_timer_init(loop, &all->kick);
	all->kick.data = all;
	*out = all;
	return EC_OK;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void askers_free(struct askers *all)
{
	if (all == NULL)
		return;
	assert(all->list == NULL && all->first == NULL && all->num_free == all->num_roots);
	for (unsigned i = 0; i < all->num_free; i++)
		secure_free(all->roots[i]);
	uv_close((uv_handle_t *)&all->kick, on_closed);
}

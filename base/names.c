/* A treap: a search tree by name that is at the same time a heap by a hash of the
 * name, which keeps it flat. Nodes are counted: a change copies those on its way
 * that somebody else holds too (`own`), and all others stay shared. A node that
 * is reached through owned ones only, and has one reference, is ours alone. */
#include "base/names.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/domain.h"

struct names_node {
	size_t refs;
	size_t num; /* of names in and below this node */
	struct names_item *item;
	struct names_node *side[2]; /* lesser names, greater names */
	uint32_t rank;
};

void names_item_ref(struct names_item *item)
{
	assert(item->refs > 0);
	item->refs++;
}

void names_item_unref(struct names_item *item)
{
	if (item != NULL && --item->refs == 0)
		item->end(item);
}

/* --- names --------------------------------------------------------------------- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int compare(struct slice name, const char *own)
{
	for (size_t i = 0; i < name.len; i++) {
		int d = (int)lower(name.p[i]) - (int)(uint8_t)own[i];
		if (d != 0 || own[i] == '\0')
			return d != 0 ? d : 1; /* a NUL in `name` is no end of it */
	}
	return own[name.len] == '\0' ? 0 : -1;
}

/* FNV-1a, and a last stir so that near names get far ranks. */
static uint32_t rank_of(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	h ^= h >> 16;
	h *= 0x85ebca6bu;
	return h ^ h >> 13;
}

enum ec names_canonical(struct slice name, char *out, size_t size)
{
	name = domain_without_dot(name);
	if (name.len >= size)
		return EC_NO_SPACE;
	for (size_t i = 0; i < name.len; i++)
		out[i] = (char)lower(name.p[i]);
	out[name.len] = '\0';
	return EC_OK;
}

/* --- nodes ---------------------------------------------------------------------- */

static size_t num_of(const struct names_node *n)
{
	return n == NULL ? 0 : n->num;
}

static void count(struct names_node *n)
{
	n->num = 1 + num_of(n->side[0]) + num_of(n->side[1]);
}

static void unref(struct names_node *n)
{
	if (n == NULL || --n->refs > 0)
		return;
	unref(n->side[0]);
	unref(n->side[1]);
	names_item_unref(n->item);
	free(n);
}

/* own makes `*at` ours alone. */
static bool own(struct names_node **at)
{
	struct names_node *n = *at;
	if (n->refs == 1)
		return true;
	struct names_node *copy = malloc(sizeof *copy);
	if (copy == NULL)
		return false;
	*copy = *n;
	copy->refs = 1;
	names_item_ref(copy->item);
	for (unsigned i = 0; i < 2; i++)
		if (copy->side[i] != NULL)
			copy->side[i]->refs++;
	n->refs--;
	*at = copy;
	return true;
}

/* raise_side puts the owned node on `side` of `*at`, owned too, above it. */
static void raise_side(struct names_node **at, unsigned side)
{
	struct names_node *n = *at, *up = n->side[side];
	n->side[side] = up->side[!side];
	up->side[!side] = n;
	count(n);
	count(up);
	*at = up;
}

static enum ec put(struct names_node **at, struct names_item *item)
{
	struct names_node *n = *at;
	if (n == NULL) {
		n = malloc(sizeof *n);
		if (n == NULL)
			return EC_NO_MEMORY;
		*n = (struct names_node){ .refs = 1, .num = 1, .item = item, .rank = rank_of(item->name) };
		names_item_ref(item);
		*at = n;
		return EC_OK;
	}
	if (!own(at))
		return EC_NO_MEMORY;
	n = *at;
	int d = compare(slice_str(item->name), n->item->name);
	if (d == 0) {
		names_item_ref(item);
		names_item_unref(n->item);
		n->item = item;
		return EC_OK;
	}
	unsigned side = d > 0;
	enum ec ec = put(&n->side[side], item);
	if (ec != EC_OK)
		return ec;
	count(n);
	if (n->side[side]->rank > n->rank)
		raise_side(at, side);
	return EC_OK;
}

/* take removes `name`, which is there: its node sinks until it has one side only.
 * Without memory it stops where it is, and the set is still the same set. */
static enum ec take(struct names_node **at, struct slice name)
{
	if (!own(at))
		return EC_NO_MEMORY;
	struct names_node *n = *at;
	int d = compare(name, n->item->name);
	if (d != 0) {
		enum ec ec = take(&n->side[d > 0], name);
		count(n);
		return ec;
	}
	if (n->side[0] == NULL || n->side[1] == NULL) {
		*at = n->side[n->side[0] == NULL];
		n->side[0] = n->side[1] = NULL; /* its one side is now `*at`'s */
		unref(n);
		return EC_OK;
	}
	unsigned side = n->side[1]->rank > n->side[0]->rank;
	if (!own(&n->side[side]))
		return EC_NO_MEMORY;
	raise_side(at, side);
	enum ec ec = take(&(*at)->side[!side], name);
	count(*at);
	return ec;
}

/* --- the set ---------------------------------------------------------------------- */

size_t names_num(const struct names *n)
{
	return num_of(n->root);
}

struct names_item *names_find(const struct names *n, struct slice name)
{
	name = domain_without_dot(name);
	const struct names_node *at = n->root;
	while (at != NULL) {
		int d = compare(name, at->item->name);
		if (d == 0)
			return at->item;
		at = at->side[d > 0];
	}
	return NULL;
}

struct names_item *names_at(const struct names *n, size_t i)
{
	const struct names_node *at = n->root;
	assert(i < num_of(at));
	for (;;) {
		size_t lesser = num_of(at->side[0]);
		if (i == lesser)
			return at->item;
		bool greater = i > lesser;
		if (greater)
			i -= lesser + 1;
		at = at->side[greater];
	}
}

static size_t depth(const struct names_node *n)
{
	if (n == NULL)
		return 0;
	size_t a = depth(n->side[0]), b = depth(n->side[1]);
	return 1 + (a > b ? a : b);
}

size_t names_depth(const struct names *n)
{
	return depth(n->root);
}

enum ec names_put(struct names *n, struct names_item *item)
{
	return put(&n->root, item);
}

enum ec names_remove(struct names *n, struct slice name)
{
	return names_find(n, name) == NULL ? EC_OK : take(&n->root, domain_without_dot(name));
}

struct names names_copy(const struct names *n)
{
	if (n->root != NULL)
		n->root->refs++;
	return *n;
}

void names_fini(struct names *n)
{
	unref(n->root);
	n->root = NULL;
}

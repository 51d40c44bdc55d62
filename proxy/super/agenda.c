/* A heap: each item comes no later than the two below it, at 2p and 2p + 1. */
#include "proxy/super/agenda.h"

#include <assert.h>
#include <stdlib.h>

enum ec agenda_room(struct agenda *a, size_t num)
{
	if (num <= a->room)
		return EC_OK;
	struct agenda_item **items = realloc(a->items, num * sizeof *items);
	if (items == NULL)
		return EC_NO_MEMORY;
	a->items = items;
	a->room = num;
	return EC_OK;
}

static struct agenda_item *at(const struct agenda *a, size_t place)
{
	return a->items[place - 1];
}

static void put(struct agenda *a, size_t place, struct agenda_item *item)
{
	a->items[place - 1] = item;
	item->place = place;
}

static bool before(const struct agenda_item *x, const struct agenda_item *y)
{
	return x->due != y->due ? x->due < y->due : x->turn < y->turn;
}

/* settle moves an item to where it belongs, from where it is. */
static void settle(struct agenda *a, struct agenda_item *item)
{
	size_t place = item->place;
	for (; place > 1 && before(item, at(a, place / 2)); place /= 2)
		put(a, place, at(a, place / 2));
	for (size_t below = 2 * place; below <= a->num; place = below, below = 2 * place) {
		if (below < a->num && before(at(a, below + 1), at(a, below)))
			below++;
		if (!before(at(a, below), item))
			break;
		put(a, place, at(a, below));
	}
	put(a, place, item);
}

void agenda_set(struct agenda *a, struct agenda_item *item, int64_t due)
{
	item->due = due;
	item->turn = a->turns++;
	if (item->place == 0) {
		assert(a->num < a->room);
		put(a, ++a->num, item);
	}
	settle(a, item);
}

void agenda_drop(struct agenda *a, struct agenda_item *item)
{
	if (item->place == 0)
		return;
	size_t place = item->place;
	struct agenda_item *last = at(a, a->num--);
	item->place = 0;
	if (last == item)
		return;
	put(a, place, last);
	settle(a, last);
}

struct agenda_item *agenda_first(const struct agenda *a)
{
	return a->num == 0 ? NULL : a->items[0];
}

void agenda_fini(struct agenda *a)
{
	free(a->items);
	*a = (struct agenda){ 0 };
}

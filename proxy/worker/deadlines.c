/* A deadline hangs in the slot of the tick after its moment. One that was moved
 * later stays where it hangs and is hung again when its old slot comes up; one
 * further away than a turn of the wheel is met once per turn. */
#include "proxy/worker/deadlines.h"

#include <assert.h>

static int64_t tick_of(int64_t ms)
{
	return ms / DEADLINES_TICK_MS + 1;
}

static struct deadline *slot_of(struct deadlines *all, int64_t tick)
{
	return &all->slots[tick % DEADLINES_SLOTS];
}

void deadlines_init(struct deadlines *all, struct mono now)
{
	*all = (struct deadlines){ .done_tick = now.ms / DEADLINES_TICK_MS };
	for (size_t i = 0; i < DEADLINES_SLOTS; i++)
		all->slots[i].prev = all->slots[i].next = &all->slots[i];
}

void deadlines_skip(struct deadlines *all, struct mono now)
{
	assert(all->num == 0);
	all->done_tick = now.ms / DEADLINES_TICK_MS;
}

static void unlink_it(struct deadline *d)
{
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->prev = d->next = NULL;
}

static void hang(struct deadlines *all, struct deadline *d)
{
	/* Not in a slot that was already passed. */
	int64_t tick = tick_of(d->at_ms);
	struct deadline *head = slot_of(all, tick > all->done_tick ? tick : all->done_tick + 1);
	d->seen_ms = d->at_ms;
	d->prev = head->prev;
	d->next = head;
	head->prev->next = d;
	head->prev = d;
}

void deadline_set(struct deadlines *all, struct deadline *d, struct mono at)
{
	assert(at.ms > 0);
	bool hangs = d->next != NULL;
	d->at_ms = at.ms;
	if (hangs && at.ms >= d->seen_ms)
		return;
	if (hangs)
		unlink_it(d);
	else
		all->num++;
	hang(all, d);
}

void deadline_clear(struct deadlines *all, struct deadline *d)
{
	d->at_ms = 0;
	if (d->next == NULL)
		return;
	unlink_it(d);
	all->num--;
}

/* due looks through one slot; those not due yet are hung where they belong. */
static struct deadline *due(struct deadlines *all, struct deadline *head, int64_t tick)
{
	struct deadline *d = head->next;
	while (d != head) {
		struct deadline *next = d->next;
		if (tick_of(d->at_ms) <= tick) {
			deadline_clear(all, d);
			return d;
		}
		if (d->seen_ms != d->at_ms) {
			/* Behind this slot's own turn: never hung back into the list being walked before `next`. */
			unlink_it(d);
			hang(all, d);
		}
		d = next;
	}
	return NULL;
}

struct deadline *deadlines_next(struct deadlines *all, struct mono now)
{
	int64_t last = now.ms / DEADLINES_TICK_MS;
	/* After a long sleep one turn of the wheel meets every slot. */
	if (last - all->done_tick > DEADLINES_SLOTS)
		all->done_tick = last - DEADLINES_SLOTS;
	while (all->done_tick < last) {
		int64_t tick = all->done_tick + 1;
		struct deadline *d = due(all, slot_of(all, tick), last);
		if (d != NULL)
			return d;
		all->done_tick = tick;
	}
	return NULL;
}

/* Owns:  who is due next, among very many.
 * Never: reads a clock; knows what is due.
 * Spec:  –
 * Start at: struct agenda. */
#ifndef PROXY_AGENDA_H
#define PROXY_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"

/* struct agenda_item is a part of whatever is to be due; zeroed it is in no agenda. */
struct agenda_item {
	int64_t due;
	uint64_t turn; /* of two that are due at the same time, who asked first comes first */
	size_t place; /* from 1; 0 = not in it */
};

/* struct agenda borrows its items; zeroed it is empty. Each change takes a time that
 * grows with the logarithm of their number. */
struct agenda {
	struct agenda_item **items;
	size_t num;
	size_t room;
	uint64_t turns;
};

/* agenda_room makes room for `num` items in all. Returns EC_NO_MEMORY. */
enum ec agenda_room(struct agenda *a, size_t num) MUST_CHECK;

/* agenda_set makes `item` due at `due`; one that is not in it needs room. */
void agenda_set(struct agenda *a, struct agenda_item *item, int64_t due);
/* agenda_drop takes it out; not in it is fine. */
void agenda_drop(struct agenda *a, struct agenda_item *item);

/* agenda_first is the next one to be due, or NULL. */
struct agenda_item *agenda_first(const struct agenda *a);
void agenda_fini(struct agenda *a);

#endif

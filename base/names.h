/* Owns:  a set of host names, each with a value of its owner's, that is copied in
 *        no time: copies share all that they have in common.
 * Never: changes a copy when the original changes; knows what a value is.
 * Spec:  RFC 4343 (names compare without case).
 * Start at: struct names. */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ec.h"
#include "base/slice.h"

/* struct names_item is the first member of a value. Whoever makes one sets `refs`
 * to 1, for himself; `name` is in lower case, without a dot at its end, and stays
 * as it is. The last reference calls `end`. */
struct names_item {
	size_t refs;
	const char *name;
	void (*end)(struct names_item *item);
};

void names_item_ref(struct names_item *item);
/* names_item_unref accepts NULL. */
void names_item_unref(struct names_item *item);

/* struct names is the set; zeroed it is empty. Looking up, adding and removing
 * take a time that grows with the logarithm of the number of names. */
struct names_node;
struct names {
	struct names_node *root;
};

size_t names_num(const struct names *n);

/* names_find returns the value of `name` (without case, a dot at its end
 * ignored), borrowed, or NULL. */
struct names_item *names_find(const struct names *n, struct slice name);

/* names_at counts in the order of names; `i` is less than names_num. */
struct names_item *names_at(const struct names *n, size_t i);

/* names_put adds a value, with a reference of its own, in place of the one of
 * that name. names_remove removes one; none there is EC_OK. Both return
 * EC_NO_MEMORY with the set as it was. */
enum ec names_put(struct names *n, struct names_item *item) MUST_CHECK;
enum ec names_remove(struct names *n, struct slice name) MUST_CHECK;

/* names_copy makes a copy, which the caller ends with names_fini. Can't fail. */
struct names names_copy(const struct names *n);
void names_fini(struct names *n);

/* names_depth is the number of steps to the name that takes most. */
size_t names_depth(const struct names *n);

/* names_canonical writes `name` as names_item wants it. Returns EC_NO_SPACE. */
enum ec names_canonical(struct slice name, char *out, size_t size) MUST_CHECK;

#endif

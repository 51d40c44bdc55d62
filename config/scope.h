/* Owns:  the structs that rows point into: filling with defaults, freeing, and
 *        the growing lists of mappings inside them.
 * Never: reads text.
 * Spec:  –
 * Start at: scope_init. */
#ifndef CONFIG_SCOPE_H
#define CONFIG_SCOPE_H

#include "config/schema.h"

/* scope_init gives each member of a zeroed struct its default; scope_fini frees
 * all that it owns. `base` is a struct config, or the item of a list in it,
 * according to `scope`. Returns EC_NO_MEMORY; scope_fini is then still due. */
enum ec scope_init(enum schema_scope scope, void *base) MUST_CHECK;
void scope_fini(enum schema_scope scope, void *base);

/* The lists of mappings: `row` has type SCHEMA_MAPPINGS, `base` its struct.
 * scope_items_add appends one item with defaults and returns it, or NULL when
 * there is no memory. scope_of_items says what `scope` the items have;
 * scope_depth how many lists such a struct is inside. */
enum schema_scope scope_of_items(const struct schema_row *row);
unsigned scope_depth(enum schema_scope scope);
size_t scope_items_num(const struct schema_row *row, const void *base);
void *scope_items_at(const struct schema_row *row, const void *base, size_t i);
void *scope_items_add(const struct schema_row *row, void *base);

/* scope_eq compares two structs member by member. scope_row_eq compares one
 * member, a list of mappings item by item. */
bool scope_eq(enum schema_scope scope, const void *a, const void *b);
bool scope_row_eq(const struct schema_row *row, const void *a, const void *b);

#endif

/* Owns:  one setting's value: from text, to text, comparison, freeing.
 * Never: knows where in the file it stood.
 * Spec:  danegate.yaml(5), "Values".
 * Start at: value_set. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/schema.h"

/* `base` is the struct that row->offset counts from. */

/* value_check tells whether one scalar is right for `row` (for lists and sets:
 * for one item of it). On failure `why` says "what is wrong; what would be
 * right". Returns EC_SYNTAX, EC_RANGE, EC_MISSING (no port), EC_UNKNOWN_KEY
 * (not one of the words). */
enum ec value_check(const struct schema_row *row, struct slice text, struct why *why) MUST_CHECK;

/* value_set checks `text` and stores it in the member, or, for lists and sets,
 * adds it as an item; `mark` is remembered for a list's item. Also returns
 * EC_DUPLICATE for an item that is already there, and EC_NO_MEMORY. The member
 * is left as it was on failure. */
enum ec value_set(const struct schema_row *row, void *base, struct slice text, struct config_mark mark,
                  struct why *why) MUST_CHECK;

/* value_default stores row->fallback, after freeing what was there. */
enum ec value_default(const struct schema_row *row, void *base) MUST_CHECK;

/* value_print appends the value as YAML: a scalar, or a flow sequence. */
enum ec value_print(const struct schema_row *row, const void *base, struct bytes *out) MUST_CHECK;

/* value_eq compares two values; not for sections and lists of mappings. */
bool value_eq(const struct schema_row *row, const void *base_a, const void *base_b);

/* value_clear frees what the member owns and zeroes it. */
void value_clear(const struct schema_row *row, void *base);

/* value_kind says in words what a setting holds: "a duration such as \"30s\"". */
const char *value_kind(enum schema_type type);

/* value_print_duration and value_print_size write the shortest exact form. */
enum { VALUE_TEXT_SIZE = 48 };
void value_print_duration(char out[VALUE_TEXT_SIZE], int64_t ms);
void value_print_size(char out[VALUE_TEXT_SIZE], uint64_t bytes);

#endif

/* Owns:  THE table of settings: one row per key. Parser, dump, diff, defaults,
 *        checks and the man page come from it, so a new setting is a new row.
 * Never: holds a value.
 * Spec:  danegate.yaml(5).
 * Start at: struct schema_row; the table is in schema.c. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

enum schema_type {
	SCHEMA_SECTION, /* a mapping of further keys */
	SCHEMA_TEXT, /* char *: printable text */
	SCHEMA_PATH, /* char *: absolute path */
	SCHEMA_SOCKET, /* char *: absolute path that fits in sun_path */
	SCHEMA_HOST, /* char *: host name of at least two labels */
	SCHEMA_NAME, /* char *: domain name in ASCII, the last dot allowed */
	SCHEMA_ADDRESS, /* char *: numeric IP address and port */
	SCHEMA_LABEL, /* char *: small letters, digits and hyphens */
	SCHEMA_HOP, /* char *: "mx", host or address with a port, or unix:/path */
	SCHEMA_DATE, /* char *: year-month-day */
	SCHEMA_NEXT_HOP, /* char *: address and port, or unix:/path */
	SCHEMA_DURATION, /* int64_t: milliseconds */
	SCHEMA_SIZE, /* uint64_t: bytes */
	SCHEMA_COUNT, /* uint64_t */
	SCHEMA_BOOL, /* bool */
	SCHEMA_WORD, /* enum, stored as unsigned: index into `words` */
	SCHEMA_SET, /* unsigned: list of words, a bit for each */
	SCHEMA_ADDRESSES, /* struct config_list */
	SCHEMA_SOCKETS, /* struct config_list */
	SCHEMA_NETWORKS, /* struct config_list: ADDRESS/BITS or ADDRESS */
	SCHEMA_PATTERNS, /* struct config_list: domains, "*.suffix", "*" */
	SCHEMA_PINS, /* struct config_list: SHA-256 in hex */
	SCHEMA_COMMAND, /* struct config_list: absolute path of a program, then its arguments */
	SCHEMA_MAPPINGS, /* list of mappings; members are rows of the next scope */
	SCHEMA_NUM_TYPES
};

/* What `offset` counts from. */
enum schema_scope { SCHEMA_IN_CONFIG, SCHEMA_IN_IDENTITY, SCHEMA_IN_FILES, SCHEMA_IN_CONNECTOR, SCHEMA_IN_HOP };

enum { SCHEMA_NEEDED_DANEGATE = 1 << CONFIG_FOR_DANEGATE, SCHEMA_NEEDED_TLSA_SYNC = 1 << CONFIG_FOR_TLSA_SYNC };

struct schema_row {
	const char *key; /* dotted: "proxy.listen" */
	enum schema_type type;
	enum schema_scope scope;
	const char *fallback; /* default as text; for lists and sets blank-separated; NULL: none, must be given where needed */
	int64_t min, max; /* DURATION (ms), SIZE, COUNT: inclusive. Lists: number of items */
	int64_t step; /* DURATION: must be a multiple of it */
	const char *const *words; /* WORD, SET: NULL-ended */
	uint16_t port; /* addresses: default port; 0 = must be given */
	bool empty; /* text: "" is allowed */
	bool needs_restart; /* a reload refuses a change of it */
	unsigned needed_by; /* OR of SCHEMA_NEEDED_… */
	size_t offset;
	size_t mark_offset; /* in the other scopes: where the value's mark is kept; 0 = nowhere */
	const char *doc; /* one or more sentences, for the man page */
};

extern const struct schema_row schema_rows[];
extern const size_t schema_num_rows;

/* schema_find returns the row of `key`, or NULL. */
const struct schema_row *schema_find(struct slice key);

/* schema_leaf returns the part of a row's key after its last dot. */
const char *schema_leaf(const struct schema_row *row);

/* schema_parent_is tells whether `row` stands directly under section `prefix`
 * ("" = top level). */
bool schema_parent_is(const struct schema_row *row, const char *prefix);

/* schema_nearest returns the row that `key`, an unknown key under section
 * `prefix`, was probably meant to be, or NULL. */
const struct schema_row *schema_nearest(const char *prefix, struct slice key);

/* schema_section_chosen tells whether the setting matters with what `cfg` chooses in
 * another place: the section of a publisher that is not used may stay empty, and so
 * may backend.address where there are connectors. */
bool schema_section_chosen(const struct schema_row *row, const struct config *cfg);

/* schema_used_by returns the programs that read the setting, as bits 1u << enum
 * config_program. */
unsigned schema_used_by(const struct schema_row *row);

/* schema_is_text: the member is an owned `char *`. schema_is_list: it is a
 * struct config_list. */
bool schema_is_text(enum schema_type type);
bool schema_is_list(enum schema_type type);

/* schema_print_mdoc appends the man page's list of settings. EC_NO_MEMORY. */
enum ec schema_print_mdoc(struct bytes *out) MUST_CHECK;

#endif

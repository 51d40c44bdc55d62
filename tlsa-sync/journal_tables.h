/* Owns:  which fact is stored where: the table of the journal's tables and columns.
 * Never: touches a file; a new fact is one line here (and SCHEMA_VERSION + 1: then
 *        older journals are given the column, as zero).
 * Spec:  –
 * Start at: journal_tables. */
#ifndef TLSA_SYNC_JOURNAL_TABLES_H
#define TLSA_SYNC_JOURNAL_TABLES_H

#include <stddef.h>

#include "tlsa-sync/facts.h"

enum { SCHEMA_VERSION = 3, ONE_ROW = -1, NUM_TABLES = 15 };

enum column_type { COL_I64, COL_U32, COL_BOOL, COL_TEXT, COL_DIGEST, COL_SET };

struct column {
	const char *name;
	enum column_type type;
	size_t offset;
	size_t size;  /* COL_TEXT, COL_DIGEST */
	uint32_t max; /* COL_U32: the greatest value that makes sense */
};

struct table {
	const char *name;
	const struct column *columns;
	size_t num_columns;
	size_t offset;     /* of the array, or the one struct, in struct facts */
	size_t stride;
	size_t max;        /* rows */
	ptrdiff_t num;     /* offset of the size_t that counts them, or ONE_ROW */
};

extern const struct table journal_tables[NUM_TABLES];

/* journal_check tells whether rows that point into other tables do so within
 * them: asked of what was loaded. */
bool journal_check(const struct facts *f);

#endif

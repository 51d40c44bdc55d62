#include "config/scope.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"

enum ec scope_init(enum schema_scope scope, void *base)
{
	enum ec first = EC_OK;
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope != scope || row->type == SCHEMA_SECTION || row->type == SCHEMA_MAPPINGS)
			continue;
		enum ec ec = value_default(row, base);
		if (first == EC_OK)
			first = ec;
	}
	return first;
}

void scope_fini(enum schema_scope scope, void *base)
{
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope != scope || row->type == SCHEMA_SECTION)
			continue;
		if (row->type != SCHEMA_MAPPINGS) {
			value_clear(row, base);
			continue;
		}
		size_t num = scope_items_num(row, base);
		for (size_t j = 0; j < num; j++)
			scope_fini(scope_of_items(row), scope_items_at(row, base, j));
		if (num > 0)
			free(scope_items_at(row, base, 0));
	}
}

enum schema_scope scope_of_items(const struct schema_row *row)
{
	assert(row->type == SCHEMA_MAPPINGS);
	return row->scope == SCHEMA_IN_CONFIG ? SCHEMA_IN_IDENTITY : SCHEMA_IN_FILES;
}

size_t scope_items_num(const struct schema_row *row, const void *base)
{
	return scope_of_items(row) == SCHEMA_IN_IDENTITY ? ((const struct config *)base)->num_identities :
	                                                   ((const struct config_identity *)base)->num_files;
}

void *scope_items_at(const struct schema_row *row, const void *base, size_t i)
{
	assert(i < scope_items_num(row, base));
	if (scope_of_items(row) == SCHEMA_IN_IDENTITY)
		return &((const struct config *)base)->identities[i];
	return &((const struct config_identity *)base)->files[i];
}

/* Room for one more of `num` items, doubling: there may be 100,000 of them. */
static void *grow(void *items, size_t num, size_t size)
{
	if (num > 0 && (num & (num - 1)) != 0)
		return items;
	return reallocarray(items, num == 0 ? 1 : 2 * num, size);
}

void *scope_items_add(const struct schema_row *row, void *base)
{
	void *item = NULL;
	if (scope_of_items(row) == SCHEMA_IN_IDENTITY) {
		struct config *cfg = base;
		struct config_identity *items = grow(cfg->identities, cfg->num_identities, sizeof *items);
		if (items == NULL)
			return NULL;
		cfg->identities = items;
		item = memset(&items[cfg->num_identities++], 0, sizeof *items);
	} else {
		struct config_identity *id = base;
		struct config_files *items = grow(id->files, id->num_files, sizeof *items);
		if (items == NULL)
			return NULL;
		id->files = items;
		item = memset(&items[id->num_files++], 0, sizeof *items);
	}
	return scope_init(scope_of_items(row), item) == EC_OK ? item : NULL;
}

bool scope_row_eq(const struct schema_row *row, const void *a, const void *b)
{
	if (row->type != SCHEMA_MAPPINGS)
		return value_eq(row, a, b);
	size_t num = scope_items_num(row, a);
	if (num != scope_items_num(row, b))
		return false;
	for (size_t i = 0; i < num; i++)
		if (!scope_eq(scope_of_items(row), scope_items_at(row, a, i), scope_items_at(row, b, i)))
			return false;
	return true;
}

bool scope_eq(enum schema_scope scope, const void *a, const void *b)
{
	for (size_t i = 0; i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope == scope && row->type != SCHEMA_SECTION && !scope_row_eq(row, a, b))
			return false;
	}
	return true;
}

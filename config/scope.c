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
		void *items = NULL;
		memcpy(&items, (const char *)base + row->offset, sizeof items);
		free(items);
	}
}

/* Where the struct that holds a list of mappings has its pointer and its number. */
static const struct list {
	enum schema_scope inside;
	unsigned depth;
	size_t items, num, size;
} lists[] = {
	[SCHEMA_IN_IDENTITY] = { SCHEMA_IN_CONFIG, 1, offsetof(struct config, identities),
	                         offsetof(struct config, num_identities), sizeof(struct config_identity) },
	[SCHEMA_IN_FILES] = { SCHEMA_IN_IDENTITY, 2, offsetof(struct config_identity, files),
	                      offsetof(struct config_identity, num_files), sizeof(struct config_files) },
	[SCHEMA_IN_CONNECTOR] = { SCHEMA_IN_CONFIG, 1, offsetof(struct config, connectors),
	                          offsetof(struct config, num_connectors), sizeof(struct config_connector) },
	[SCHEMA_IN_HOP] = { SCHEMA_IN_CONNECTOR, 2, offsetof(struct config_connector, next_hops),
	                    offsetof(struct config_connector, num_next_hops), sizeof(struct config_next_hop) },
};

enum schema_scope scope_of_items(const struct schema_row *row)
{
	assert(row->type == SCHEMA_MAPPINGS);
	unsigned scope = SCHEMA_IN_IDENTITY;
	while (lists[scope].inside != row->scope || lists[scope].items != row->offset) {
		scope++;
		assert(scope < sizeof lists / sizeof lists[0]);
	}
	return (enum schema_scope)scope;
}

unsigned scope_depth(enum schema_scope scope)
{
	return lists[scope].depth;
}

size_t scope_items_num(const struct schema_row *row, const void *base)
{
	size_t num = 0;
	memcpy(&num, (const char *)base + lists[scope_of_items(row)].num, sizeof num);
	return num;
}

void *scope_items_at(const struct schema_row *row, const void *base, size_t i)
{
	char *items = NULL;
	assert(i < scope_items_num(row, base));
	memcpy(&items, (const char *)base + row->offset, sizeof items);
	return items + i * lists[scope_of_items(row)].size;
}

void *scope_items_add(const struct schema_row *row, void *base)
{
	const struct list *list = &lists[scope_of_items(row)];
	char *items = NULL;
	size_t num = scope_items_num(row, base);
	memcpy(&items, (char *)base + list->items, sizeof items);
	/* Room for one more, doubling: there may be 100,000 of them. */
	if ((num & (num - 1)) == 0)
		items = reallocarray(items, num == 0 ? 1 : 2 * num, list->size);
	if (items == NULL)
		return NULL;
	void *item = memset(items + num++ * list->size, 0, list->size);
	memcpy((char *)base + list->items, &items, sizeof items);
	memcpy((char *)base + list->num, &num, sizeof num);
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

#include <string.h>

#include "config/config.h"
#include "config/schema.h"
#include "config/scope.h"
#include "config/value.h"

static unsigned depth_of(const struct schema_row *row)
{
	unsigned depth = 0;
	for (const char *p = row->key; *p != '\0'; p++)
		depth += *p == '.';
	return depth;
}

static enum ec append_indent(struct bytes *out, unsigned spaces)
{
	enum ec ec = EC_OK;
	while (ec == EC_OK && spaces-- > 0)
		ec = bytes_append(out, SLICE_LIT(" "));
	return ec;
}

static enum ec append_all(struct bytes *out, const char *a, const char *b)
{
	enum ec ec = bytes_append(out, slice_str(a));
	return ec == EC_OK ? bytes_append(out, slice_str(b)) : ec;
}

static enum ec dump_scope(enum schema_scope scope, const void *base, unsigned indent, struct bytes *out);

static enum ec dump_items(const struct schema_row *row, const void *base, unsigned indent, struct bytes *out)
{
	size_t num = scope_items_num(row, base);
	enum ec ec = append_all(out, schema_leaf(row), num == 0 ? ": []\n" : ":\n");
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		ec = append_indent(out, indent + 2);
		if (ec == EC_OK)
			ec = bytes_append(out, SLICE_LIT("- "));
		if (ec == EC_OK)
			ec = dump_scope(scope_of_items(row), scope_items_at(row, base, i), indent + 4, out);
	}
	return ec;
}

static enum ec dump_row(const struct schema_row *row, const void *base, unsigned indent, struct bytes *out)
{
	if (row->type == SCHEMA_SECTION)
		return append_all(out, schema_leaf(row), ":\n");
	if (row->type == SCHEMA_MAPPINGS)
		return dump_items(row, base, indent, out);
	enum ec ec = append_all(out, schema_leaf(row), ": ");
	if (ec == EC_OK)
		ec = value_print(row, base, out);
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("\n")) : ec;
}

/* A setting that must be given and was not has no value to write. */
static bool unset(const struct schema_row *row, const void *base)
{
	if (row->type == SCHEMA_MAPPINGS)
		return row->min > 0 && scope_items_num(row, base) == 0;
	const void *at = (const char *)base + row->offset;
	if (schema_is_list(row->type))
		return row->min > 0 && ((const struct config_list *)at)->num == 0;
	const char *const *text = at;
	return schema_is_text(row->type) && !row->empty && **text == '\0';
}

static enum ec dump_scope(enum schema_scope scope, const void *base, unsigned indent, struct bytes *out)
{
	enum ec ec = EC_OK;
	/* In a list's item the first line follows its "- ". */
	bool first = scope != SCHEMA_IN_CONFIG;
	unsigned base_depth = scope_depth(scope);
	for (size_t i = 0; ec == EC_OK && i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		if (row->scope != scope)
			continue;
		if (row->type != SCHEMA_SECTION && unset(row, base))
			continue;
		unsigned spaces = indent + 2 * (depth_of(row) - base_depth);
		if (!first)
			ec = append_indent(out, spaces);
		if (ec == EC_OK)
			ec = dump_row(row, base, spaces, out);
		first = false;
	}
	return ec;
}

enum ec config_dump(const struct config *cfg, struct bytes *out)
{
	return dump_scope(SCHEMA_IN_CONFIG, cfg, 0, out);
}

#include <string.h>

#include "config/schema.h"
#include "config/value.h"

/* One input line for each sentence, as mdoc wants it, and a capital first. */
static enum ec line(struct bytes *out, const char *head, const char *text, bool sentence)
{
	enum ec ec = bytes_append(out, slice_str(head));
	for (const char *p = text; ec == EC_OK && *p != '\0'; p++) {
		char c = *p;
		if (p == text && sentence && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c == ' ' && p > text && p[-1] == '.' && p[1] >= 'A' && p[1] <= 'Z')
			c = '\n';
		ec = c == '\\' ? bytes_append(out, SLICE_LIT("\\e")) : bytes_append(out, slice_of(&c, 1));
	}
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("\n")) : ec;
}

static void describe_type(const struct schema_row *row, struct writer *w)
{
	char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
	switch (row->type) {
	case SCHEMA_DURATION:
		value_print_duration(least, row->min);
		value_print_duration(most, row->max);
		writer_format(w, "Duration, %s to %s.", least, most);
		break;
	case SCHEMA_SIZE:
		value_print_size(least, (uint64_t)row->min);
		value_print_size(most, (uint64_t)row->max);
		writer_format(w, "Size, %s to %s.", least, most);
		break;
	case SCHEMA_COUNT:
		writer_format(w, "Number, %lld to %lld.", (long long)row->min, (long long)row->max);
		break;
	case SCHEMA_WORD:
	case SCHEMA_SET:
		writer_str(w, row->type == SCHEMA_SET ? "List of:" : "One of:");
		for (size_t i = 0; row->words[i] != NULL; i++)
			writer_format(w, "%s %s", i == 0 ? "" : ",", row->words[i]);
		writer_str(w, ".");
		break;
	default:
		writer_format(w, "%s.", value_kind(row->type));
		break;
	}
}

static void describe_rest(const struct schema_row *row, struct writer *w)
{
	static const char *const needed[] = { "", "Needed by danegate.", "Needed by tlsa-sync.", "Needed." };
	struct config of_no_publisher = { .tlsa_sync.publisher = CONFIG_NUM_PUBLISHERS };
	struct config with_connectors = { .num_connectors = 1 };
	if (row->needed_by != 0 && !schema_section_chosen(row, &of_no_publisher))
		writer_str(w, "Needed by tlsa-sync with this publisher.");
	else if (row->needed_by != 0 && !schema_section_chosen(row, &with_connectors))
		writer_str(w, "Needed by danegate without connectors.");
	else if (row->needed_by != 0)
		writer_str(w, needed[row->needed_by & 3]);
	else if (row->fallback != NULL && *row->fallback != '\0')
		writer_format(w, "Default: %s.", row->fallback);
	else if (row->type != SCHEMA_MAPPINGS)
		writer_str(w, "Default: empty.");
	if (row->needs_restart)
		writer_format(w, "%sA change needs a restart.", w->len == 0 ? "" : " ");
}

enum ec schema_print_mdoc(struct bytes *out)
{
	enum ec ec = bytes_append(out, SLICE_LIT(".Bl -tag -width Ds\n"));
	for (size_t i = 0; ec == EC_OK && i < schema_num_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		char type[512], rest[256];
		struct writer w = writer_of(type, sizeof type), r = writer_of(rest, sizeof rest);
		ec = line(out, ".It Ic ", row->key, false);
		if (ec == EC_OK)
			ec = line(out, "", row->doc, false);
		if (ec != EC_OK || row->type == SCHEMA_SECTION)
			continue;
		describe_type(row, &w);
		describe_rest(row, &r);
		ec = line(out, "", type, true);
		if (ec == EC_OK && *rest != '\0')
			ec = line(out, "", rest, true);
	}
	return ec == EC_OK ? bytes_append(out, SLICE_LIT(".El\n")) : ec;
}

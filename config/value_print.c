#include "base/instant.h"
#include "config/value.h"

const char *value_kind(enum schema_type type)
{
	static const char *const kinds[SCHEMA_NUM_TYPES] = {
		[SCHEMA_SECTION] = "a section of further keys",
		[SCHEMA_TEXT] = "text",
		[SCHEMA_PATH] = "an absolute path",
		[SCHEMA_SOCKET] = "the absolute path of a unix socket",
		[SCHEMA_HOST] = "a host name such as mx1.example.org",
		[SCHEMA_NAME] = "a domain name",
		[SCHEMA_ADDRESS] = "an IP address with a port, such as 192.0.2.1:25 or \"[2001:db8::1]:25\"",
		[SCHEMA_NEXT_HOP] = "an IP address with a port, such as 127.0.0.1:2525, or unix:/path",
		[SCHEMA_LABEL] = "a name of small letters, digits and hyphens",
		[SCHEMA_HOP] = "a host or an IP address with its port, such as mail.example.org:25, or mx, or unix:/path",
		[SCHEMA_DATE] = "a date such as 2027-01-31",
		[SCHEMA_PATTERNS] = "a list of domains such as [example.org, \"*.example.net\"]",
		[SCHEMA_PINS] = "a list of SHA-256 digests, each of 64 hex digits",
		[SCHEMA_DURATION] = "a duration such as 30s, 5m, 2h, 90d",
		[SCHEMA_SIZE] = "a size such as 64K, 50M or a number of bytes",
		[SCHEMA_COUNT] = "a whole number",
		[SCHEMA_BOOL] = "true or false",
		[SCHEMA_WORD] = "one of the listed words",
		[SCHEMA_SET] = "a list of words such as [ecdsa-p256]",
		[SCHEMA_ADDRESSES] = "a list of IP addresses such as [\"192.0.2.1:25\", \"[2001:db8::1]:25\"]",
		[SCHEMA_SOCKETS] = "a list of socket paths such as [/run/danegate/control.sock]",
		[SCHEMA_NETWORKS] = "a list of networks such as [192.0.2.0/24, \"2001:db8::/32\"]",
		[SCHEMA_COMMAND] = "a program by its absolute path and its arguments, such as [/usr/sbin/rndc, reload]",
		[SCHEMA_MAPPINGS] = "a list, each item starting with \"- \"",
	};
	return kinds[type];
}

void value_print_duration(char out[VALUE_TEXT_SIZE], int64_t ms)
{
	struct writer w = writer_of(out, VALUE_TEXT_SIZE);
	if (ms % 86400000 == 0 && ms > 0) {
		writer_format(&w, "%lldd", (long long)(ms / 86400000));
		return;
	}
	char seconds[DURATION_TEXT_SIZE] = "";
	if (ms >= 1000 || ms == 0)
		duration_print(seconds, ms / 1000);
	writer_str(&w, seconds);
	if (ms % 1000 != 0)
		writer_format(&w, "%lldms", (long long)(ms % 1000));
}

void value_print_size(char out[VALUE_TEXT_SIZE], uint64_t bytes)
{
	struct writer w = writer_of(out, VALUE_TEXT_SIZE);
	static const struct {
		unsigned shift;
		const char *unit;
	} units[] = { { 30, "G" }, { 20, "M" }, { 10, "K" } };
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (bytes > 0 && bytes % (UINT64_C(1) << units[i].shift) == 0) {
			writer_format(&w, "%llu%s", (unsigned long long)(bytes >> units[i].shift), units[i].unit);
			return;
		}
	}
	writer_format(&w, "%llu", (unsigned long long)bytes);
}

static enum ec quoted(struct bytes *out, const char *text)
{
	/* Always quoted: no value can then be read as something else. Checked
	 * values hold no control characters. */
	enum ec ec = bytes_append(out, SLICE_LIT("\""));
	for (const char *p = text; ec == EC_OK && *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			ec = bytes_append(out, SLICE_LIT("\\"));
		if (ec == EC_OK)
			ec = bytes_append(out, slice_of(p, 1));
	}
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("\"")) : ec;
}

static enum ec print_list(const struct config_list *list, struct bytes *out)
{
	enum ec ec = bytes_append(out, SLICE_LIT("["));
	for (size_t i = 0; ec == EC_OK && i < list->num; i++) {
		if (i > 0)
			ec = bytes_append(out, SLICE_LIT(", "));
		if (ec == EC_OK)
			ec = quoted(out, list->items[i]);
	}
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("]")) : ec;
}

static enum ec print_set(const struct schema_row *row, unsigned set, struct bytes *out)
{
	enum ec ec = bytes_append(out, SLICE_LIT("["));
	bool first = true;
	for (unsigned i = 0; ec == EC_OK && row->words[i] != NULL; i++) {
		if ((set & 1u << i) == 0)
			continue;
		if (!first)
			ec = bytes_append(out, SLICE_LIT(", "));
		if (ec == EC_OK)
			ec = bytes_append(out, slice_str(row->words[i]));
		first = false;
	}
	return ec == EC_OK ? bytes_append(out, SLICE_LIT("]")) : ec;
}

enum ec value_print(const struct schema_row *row, const void *base, struct bytes *out)
{
	const void *at = (const char *)base + row->offset;
	char text[VALUE_TEXT_SIZE] = "";
	struct writer w = writer_of(text, sizeof text);
	if (schema_is_text(row->type))
		return quoted(out, *(char *const *)at);
	if (schema_is_list(row->type))
		return print_list(at, out);
	switch (row->type) {
	case SCHEMA_DURATION:
		value_print_duration(text, *(const int64_t *)at);
		break;
	case SCHEMA_SIZE:
		value_print_size(text, *(const uint64_t *)at);
		break;
	case SCHEMA_COUNT:
		writer_format(&w, "%llu", (unsigned long long)*(const uint64_t *)at);
		break;
	case SCHEMA_BOOL:
		writer_str(&w, *(const bool *)at ? "true" : "false");
		break;
	case SCHEMA_WORD:
		writer_str(&w, row->words[*(const unsigned *)at]);
		break;
	case SCHEMA_SET:
		return print_set(row, *(const unsigned *)at, out);
	default:
		break;
	}
	return bytes_append(out, slice_str(text));
}

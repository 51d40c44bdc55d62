#include "tlsa-sync/zone_include.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST "; tlsa-sync wrote this file; a change by hand stops it from writing again, see tlsa-sync(1). Identity: "
#define SECOND "; checksum of the rest: "

enum { CHECKSUM_LEN = 16, RECORD_SIZE = DNS_NAME_TEXT_SIZE + TLSA_TEXT_SIZE + 32 };

/* FNV-1a. It is to show what a hand has changed, not to keep out one that knows it. */
static uint64_t checksum(struct slice s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void print_record(char out[RECORD_SIZE], const char *owner, uint32_t ttl_s, const struct tlsa *t)
{
	char text[TLSA_TEXT_SIZE];
	tlsa_print(text, t);
	(void)snprintf(out, RECORD_SIZE, "%s. %u IN TLSA %s\n", owner, ttl_s, text);
}

static int by_text(const void *a, const void *b)
{
	char x[TLSA_TEXT_SIZE], y[TLSA_TEXT_SIZE];
	tlsa_print(x, a);
	tlsa_print(y, b);
	return strcmp(x, y);
}

enum ec zone_include_print(const char *identity, const struct dns_name *owner, uint32_t ttl_s, const struct tlsa_set *set,
                           struct bytes *out)
{
	char head[sizeof FIRST + sizeof SECOND + 300], name[DNS_NAME_TEXT_SIZE];
	struct tlsa_set sorted = *set;
	struct bytes rest = { 0 };
	enum ec ec = EC_OK;
	dns_name_print(name, owner);
	qsort(sorted.items, sorted.num, sizeof sorted.items[0], by_text);
	for (unsigned i = 0; ec == EC_OK && i < sorted.num; i++) {
		char line[RECORD_SIZE];
		print_record(line, name, ttl_s, &sorted.items[i]);
		ec = bytes_append(&rest, slice_str(line));
	}
	(void)snprintf(head, sizeof head, FIRST "%.255s\n" SECOND "%016llx\n", identity,
	               (unsigned long long)checksum(bytes_slice(&rest)));
	if (ec == EC_OK)
		ec = bytes_append(out, slice_str(head));
	if (ec == EC_OK)
		ec = bytes_append(out, bytes_slice(&rest));
	bytes_fini(&rest);
	return ec;
}

/* The first line of `*text`, without its newline, which is taken off; a last line
 * that lacks one counts too. */
static struct slice take_line(struct slice *text)
{
	const uint8_t *end = text->len == 0 ? NULL : memchr(text->p, '\n', text->len);
	size_t len = end == NULL ? text->len : (size_t)(end - text->p);
	struct slice line = slice_first(*text, len);
	*text = slice_from(*text, end == NULL ? len : len + 1);
	return line;
}

static bool starts_with(struct slice line, struct slice start)
{
	return line.len >= start.len && slice_eq(slice_first(line, start.len), start);
}

/* "OWNER TTL IN TLSA 3 1 1 HEX" -> the last part. */
static bool read_record(struct slice line, struct tlsa *out)
{
	for (unsigned blanks = 0; blanks < 4; blanks++) {
		const uint8_t *blank = line.len == 0 ? NULL : memchr(line.p, ' ', line.len);
		if (blank == NULL)
			return false;
		line = slice_from(line, (size_t)(blank - line.p) + 1);
	}
	return tlsa_parse(line, out, NULL) == EC_OK;
}

enum ec zone_include_read(struct slice text, struct tlsa_set *out, struct why *why)
{
	*out = (struct tlsa_set){ 0 };
	if (text.len == 0)
		return EC_OK;
	struct slice first = take_line(&text), second = take_line(&text);
	if (!starts_with(first, slice_first(SLICE_LIT(FIRST), sizeof "; tlsa-sync wrote this file" - 1)))
		return why_set(why, EC_EXISTS, "it was not written by tlsa-sync, so it is left as it is; move it away, or set "
		                               "tlsa_sync.zonefile.directory to another directory");
	char want[CHECKSUM_LEN + 1];
	(void)snprintf(want, sizeof want, "%016llx", (unsigned long long)checksum(text));
	if (!starts_with(second, SLICE_LIT(SECOND)) ||
	    !slice_eq(slice_from(second, sizeof SECOND - 1), slice_str(want)))
		return why_set(why, EC_CORRUPT, "it was changed by hand, so it is left as it is; move what you wrote into the zone's "
		                                "own file, then delete this one: it is written anew");
	struct tlsa_set set = { 0 };
	while (text.len > 0) {
		struct tlsa t;
		if (!read_record(take_line(&text), &t) || tlsa_set_add(&set, &t) != EC_OK)
			return why_set(why, EC_UNSUPPORTED, "it holds something that this version of tlsa-sync can't have written; "
			                                    "delete it: it is written anew");
	}
	*out = set;
	return EC_OK;
}

static enum ec diff_part(char sign, const char *owner, uint32_t ttl_s, const struct tlsa_set *set,
                         const struct tlsa_set *other, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (unsigned i = 0; ec == EC_OK && i < set->num; i++) {
		char line[RECORD_SIZE + 2] = { sign, ' ' };
		if (tlsa_set_has(other, &set->items[i]))
			continue;
		print_record(line + 2, owner, ttl_s, &set->items[i]);
		ec = bytes_append(out, slice_str(line));
	}
	return ec;
}

enum ec zone_include_diff(const struct dns_name *owner, uint32_t ttl_s, const struct tlsa_set *before,
                          const struct tlsa_set *after, struct bytes *out)
{
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, owner);
	enum ec ec = diff_part('-', name, ttl_s, before, after, out);
	return ec == EC_OK ? diff_part('+', name, ttl_s, after, before, out) : ec;
}

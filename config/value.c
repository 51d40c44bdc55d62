#include "config/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/domain.h"
#include "base/instant.h"
#include "base/network.h"
#include "config/connector.h"
#include "config/name.h"

/* sun_path has 108 octets, the NUL included (unix(7)). */
enum { SOCKET_PATH_MAX = 107, PATH_TEXT_MAX = 1024, TEXT_MAX = 255, ARGUMENT_MAX = 4096, LABEL_MAX = 63 };

static void *member(const struct schema_row *row, void *base)
{
	return (char *)base + row->offset;
}

static const void *member_const(const struct schema_row *row, const void *base)
{
	return (const char *)base + row->offset;
}

static enum ec parse_size(struct slice text, uint64_t *out)
{
	unsigned shift = 0;
	if (text.len > 0) {
		switch (text.p[text.len - 1]) {
		case 'K':
			shift = 10;
			break;
		case 'M':
			shift = 20;
			break;
		case 'G':
			shift = 30;
			break;
		default:
			break;
		}
	}
	if (shift > 0)
		text.len--;
	uint64_t n = 0;
	enum ec ec = parse_u64(text, (uint64_t)INT64_MAX >> shift, &n);
	*out = n << shift;
	return ec;
}

/* A bounded copy of what was written, for messages. */
#define SHOWN(text) (int)((text).len < 80 ? (text).len : 80), (const char *)(text).p

static enum ec check_printable(struct slice text, struct why *why)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return why_set(why, EC_SYNTAX,
			               "holds a line break or a control character; write it on one line");
	return EC_OK;
}

static enum ec check_name(struct slice text, bool host, struct why *why)
{
	const char *fault = name_fault(text, host ? NAME_HOST : NAME_DNS);
	if (fault == NULL)
		return EC_OK;
	return why_set(why, EC_SYNTAX, "\"%.*s\" %s; write %s", SHOWN(text), fault,
	               host ? "a whole host name such as mx1.example.org" : "a domain name such as key.example.org");
}

static enum ec check_path(struct slice text, size_t max, struct why *why)
{
	if (text.len == 0 || text.p[0] != '/')
		return why_set(why, EC_SYNTAX, "\"%.*s\" is not an absolute path; start it with /", SHOWN(text));
	if (text.len > max)
		return why_set(why, EC_RANGE, "the path has %zu characters; at most %zu are possible", text.len, max);
	return EC_OK;
}

static enum ec check_address(const struct schema_row *row, struct slice text, struct why *why)
{
	struct sockaddr_storage address;
	enum ec ec = address_parse(text, row->port, &address, NULL);
	const char *cure = "write an IP address, with a port as in 192.0.2.1:25 or \"[2001:db8::1]:25\"";
	if (ec == EC_MISSING)
		return why_set(why, ec, "\"%.*s\" has no port; write it as 192.0.2.1:25 or \"[2001:db8::1]:25\"",
		               SHOWN(text));
	if (ec == EC_RANGE)
		return why_set(why, ec, "\"%.*s\" has a port out of range; write one from 1 to 65535", SHOWN(text));
	if (ec != EC_OK)
		return why_set(why, ec, "\"%.*s\" is not a numeric address; %s", SHOWN(text), cure);
	return EC_OK;
}

static enum ec check_network(struct slice text, struct why *why)
{
	struct network n;
	struct why fault = { 0 };
	enum ec ec = network_parse(text, &n, &fault);
	if (ec == EC_OK)
		return ec;
	return why_set(why, ec, "\"%.*s\": %s; write a network such as 192.0.2.0/24 or \"2001:db8::/32\"", SHOWN(text),
	               fault.text);
}

static enum ec check_label(struct slice text, struct why *why)
{
	bool good = text.len <= LABEL_MAX;
	for (size_t i = 0; good && i < text.len; i++) {
		uint8_t c = text.p[i];
		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	}
	return good ? EC_OK :
	              why_set(why, EC_SYNTAX,
	                      "\"%.*s\" is no name here; write at most 63 small letters, digits and hyphens", SHOWN(text));
}

/* What RCPT may have behind its @ (RFC 5321 4.1.2), with U-labels (RFC 6531 3.3). */
static enum ec check_pattern(struct slice text, struct why *why)
{
	static const char pattern_cure[] = "write a domain such as example.org, \"*.example.org\" for all below it, or "
					   "\"*\" for all others";
	char folded[DOMAIN_MAX + 1];
	size_t len = 0;
	if (slice_eq(text, SLICE_LIT("*")))
		return EC_OK;
	struct slice domain = slice_eq(slice_first(text, 2), SLICE_LIT("*.")) ? slice_from(text, 2) : text;
	enum ec ec = domain_fold(domain, folded, &len);
	const char *fault = ec == EC_RANGE  ? "is too long for DNS" :
	                    ec == EC_SYNTAX ? "has an empty label" :
	                                      name_fault(slice_of(folded, len), NAME_MAIL);
	if (fault == NULL)
		return EC_OK;
	return why_set(why, ec == EC_OK ? EC_SYNTAX : ec, "\"%.*s\" %s; %s", SHOWN(text), fault, pattern_cure);
}

static enum ec check_pin(struct slice text, struct why *why)
{
	uint8_t digest[32];
	if (hex_decode(digest, sizeof digest, text))
		return EC_OK;
	return why_set(why, EC_SYNTAX,
	               "\"%.*s\" has %zu characters and is no SHA-256 in hex; write 64 digits, 0 to 9 and a to f", SHOWN(text),
	               text.len);
}

static enum ec check_date(struct slice text, struct why *why)
{
	struct wall day;
	enum ec ec = date_parse(text, &day);
	if (ec == EC_OK)
		return ec;
	return why_set(why, ec, "\"%.*s\" is no %s; write year-month-day, such as 2027-01-31", SHOWN(text),
	               ec == EC_RANGE ? "day of the calendar" : "date");
}

static enum ec check_next_hop(const struct schema_row *row, struct slice text, struct why *why)
{
	struct slice scheme = SLICE_LIT("unix:");
	if (slice_eq(slice_first(text, scheme.len), scheme))
		return check_path(slice_from(text, scheme.len), SOCKET_PATH_MAX, why);
	return check_address(row, text, why);
}

static void list_words(const struct schema_row *row, struct writer *w)
{
	for (size_t i = 0; row->words[i] != NULL; i++)
		writer_format(w, "%s%s", i == 0 ? "" : row->words[i + 1] == NULL ? " or " : ", ", row->words[i]);
}

static enum ec find_word(const struct schema_row *row, struct slice text, unsigned *out, struct why *why)
{
	for (unsigned i = 0; row->words[i] != NULL; i++) {
		if (slice_eq(slice_str(row->words[i]), text)) {
			*out = i;
			return EC_OK;
		}
	}
	char words[256];
	struct writer w = writer_of(words, sizeof words);
	list_words(row, &w);
	return why_set(why, EC_UNKNOWN_KEY, "\"%.*s\" is not known; write %s", SHOWN(text), words);
}

static enum ec parse_bool(struct slice text, bool *out)
{
	bool yes = slice_eq(text, SLICE_LIT("true")) || slice_eq(text, SLICE_LIT("yes"));
	bool no = slice_eq(text, SLICE_LIT("false")) || slice_eq(text, SLICE_LIT("no"));
	*out = yes;
	return yes || no ? EC_OK : EC_SYNTAX;
}

static enum ec out_of_range(const struct schema_row *row, struct slice text, struct why *why)
{
	char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
	if (row->type == SCHEMA_DURATION) {
		value_print_duration(least, row->min);
		value_print_duration(most, row->max);
	} else if (row->type == SCHEMA_SIZE) {
		value_print_size(least, (uint64_t)row->min);
		value_print_size(most, (uint64_t)row->max);
	} else {
		struct writer w = writer_of(least, sizeof least);
		writer_format(&w, "%lld", (long long)row->min);
		w = writer_of(most, sizeof most);
		writer_format(&w, "%lld", (long long)row->max);
	}
	return why_set(why, EC_RANGE, "%.*s is out of range; write %s to %s", SHOWN(text), least, most);
}

/* Numbers of all three kinds, as int64_t. */
static enum ec parse_number(const struct schema_row *row, struct slice text, int64_t *out, struct why *why)
{
	uint64_t n = 0;
	enum ec ec = EC_OK;
	if (row->type == SCHEMA_DURATION) {
		ec = duration_parse(text, out);
		uint64_t bare = 0;
		if (ec == EC_SYNTAX && parse_u64(text, UINT64_MAX, &bare) == EC_OK)
			return why_set(why, ec, "%.*s has no unit; write %.*ss for seconds, or m, h, d, ms", SHOWN(text),
			               SHOWN(text));
	} else {
		ec = row->type == SCHEMA_SIZE ? parse_size(text, &n) : parse_u64(text, (uint64_t)INT64_MAX, &n);
		*out = (int64_t)n;
	}
	if (ec == EC_SYNTAX)
		return why_set(why, ec, "\"%.*s\" is not %s; write %s", SHOWN(text),
		               row->type == SCHEMA_COUNT ? "a number" :
		               row->type == SCHEMA_SIZE  ? "a size" :
		                                           "a duration",
		               value_kind(row->type));
	if (ec != EC_OK || *out < row->min || *out > row->max)
		return out_of_range(row, text, why);
	if (row->type == SCHEMA_DURATION && *out % row->step != 0)
		return why_set(why, EC_RANGE, "%.*s is not a whole number of seconds; leave the ms away", SHOWN(text));
	return EC_OK;
}

enum ec value_check(const struct schema_row *row, struct slice text, struct why *why)
{
	unsigned word = 0;
	int64_t number = 0;
	bool truth = false;
	enum ec ec = check_printable(text, why);
	if (ec != EC_OK)
		return ec;
	if (text.len == 0 && (row->empty || row->type == SCHEMA_COMMAND))
		return EC_OK;
	if (text.len == 0)
		return why_set(why, EC_SYNTAX, "has no value; write %s", value_kind(row->type));
	switch (row->type) {
	case SCHEMA_TEXT:
		return text.len <= TEXT_MAX ? EC_OK : why_set(why, EC_RANGE, "is too long; write at most 255 characters");
	case SCHEMA_PATH:
		return check_path(text, PATH_TEXT_MAX, why);
	case SCHEMA_SOCKET:
	case SCHEMA_SOCKETS:
		return check_path(text, SOCKET_PATH_MAX, why);
	case SCHEMA_HOST:
	case SCHEMA_NAME:
		return check_name(text, row->type == SCHEMA_HOST, why);
	case SCHEMA_ADDRESS:
	case SCHEMA_ADDRESSES:
		return check_address(row, text, why);
	case SCHEMA_NETWORKS:
		return check_network(text, why);
	case SCHEMA_LABEL:
		return check_label(text, why);
	case SCHEMA_HOP: {
		struct config_hop hop;
		return config_hop_parse(text, &hop, why);
	}
	case SCHEMA_DATE:
		return check_date(text, why);
	case SCHEMA_PATTERNS:
		return check_pattern(text, why);
	case SCHEMA_PINS:
		return check_pin(text, why);
	case SCHEMA_COMMAND:
		return text.len <= ARGUMENT_MAX ? EC_OK : why_set(why, EC_RANGE, "is too long; write at most 4096 characters");
	case SCHEMA_NEXT_HOP:
		return check_next_hop(row, text, why);
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
	case SCHEMA_COUNT:
		return parse_number(row, text, &number, why);
	case SCHEMA_BOOL:
		return parse_bool(text, &truth) == EC_OK ?
		               EC_OK :
		               why_set(why, EC_SYNTAX, "\"%.*s\" is neither true nor false; write true or false",
		                       SHOWN(text));
	case SCHEMA_WORD:
	case SCHEMA_SET:
		return find_word(row, text, &word, why);
	case SCHEMA_SECTION:
	case SCHEMA_MAPPINGS:
	case SCHEMA_NUM_TYPES:
		break;
	}
	return why_set(why, EC_SYNTAX, "is a single value; write %s", value_kind(row->type));
}

static char *copy(struct slice text)
{
	char *p = malloc(text.len + 1);
	if (p != NULL) {
		if (text.len > 0)
			memcpy(p, text.p, text.len);
		p[text.len] = '\0';
	}
	return p;
}

static enum ec list_add(const struct schema_row *row, struct config_list *list, struct slice text,
                        struct config_mark mark, struct why *why)
{
	if (row->type == SCHEMA_COMMAND && list->num == 0) {
		enum ec ec = check_path(text, PATH_TEXT_MAX, why);
		if (ec != EC_OK)
			return ec;
	}
	/* Patterns are compared in the whole file, by check_connectors. */
	bool may_repeat = row->type == SCHEMA_COMMAND || row->type == SCHEMA_PATTERNS;
	for (size_t i = 0; i < list->num && !may_repeat; i++)
		if (slice_eq(slice_str(list->items[i]), text))
			return why_set(why, EC_DUPLICATE, "%.*s is in the list twice; leave one away", SHOWN(text));
	if ((int64_t)list->num >= row->max)
		return why_set(why, EC_RANGE, "the list is too long; at most %lld items are possible",
		               (long long)row->max);
	/* Room for one more, doubling: there may be 100,000 of them. */
	if ((list->num & (list->num - 1)) == 0) {
		size_t room = list->num == 0 ? 1 : 2 * list->num;
		char **items = reallocarray(list->items, room, sizeof *items);
		if (items == NULL)
			return EC_NO_MEMORY;
		list->items = items;
		struct config_mark *marks = reallocarray(list->marks, room, sizeof *marks);
		if (marks == NULL)
			return EC_NO_MEMORY;
		list->marks = marks;
	}
	char *item = copy(text);
	if (item == NULL)
		return EC_NO_MEMORY;
	list->items[list->num] = item;
	list->marks[list->num++] = mark;
	return EC_OK;
}

enum ec value_set(const struct schema_row *row, void *base, struct slice text, struct config_mark mark, struct why *why)
{
	enum ec ec = value_check(row, text, why);
	if (ec != EC_OK)
		return ec;
	void *at = member(row, base);
	unsigned word = 0;
	int64_t number = 0;
	if (schema_is_list(row->type))
		return list_add(row, at, text, mark, why);
	if (schema_is_text(row->type)) {
		char *p = copy(text);
		if (p == NULL)
			return EC_NO_MEMORY;
		free(*(char **)at);
		*(char **)at = p;
		return EC_OK;
	}
	switch (row->type) {
	case SCHEMA_DURATION:
		ec = parse_number(row, text, &number, why);
		*(int64_t *)at = number;
		return ec;
	case SCHEMA_SIZE:
	case SCHEMA_COUNT:
		ec = parse_number(row, text, &number, why);
		*(uint64_t *)at = (uint64_t)number;
		return ec;
	case SCHEMA_BOOL:
		return parse_bool(text, at);
	case SCHEMA_WORD:
		ec = find_word(row, text, &word, why);
		*(unsigned *)at = word;
		return ec;
	case SCHEMA_SET:
		ec = find_word(row, text, &word, why);
		if (ec == EC_OK && (*(unsigned *)at & 1u << word) != 0)
			return why_set(why, EC_DUPLICATE, "%.*s is in the list twice; leave one away", SHOWN(text));
		*(unsigned *)at |= 1u << word;
		return ec;
	default:
		assert(false); /* value_check lets no section through */
		return EC_SYNTAX;
	}
}

void value_clear(const struct schema_row *row, void *base)
{
	void *at = member(row, base);
	if (schema_is_text(row->type)) {
		free(*(char **)at);
		*(char **)at = NULL;
	} else if (schema_is_list(row->type)) {
		struct config_list *list = at;
		for (size_t i = 0; i < list->num; i++)
			free(list->items[i]);
		free(list->items);
		free(list->marks);
		*list = (struct config_list){ 0 };
	} else if (row->type == SCHEMA_SET) {
		*(unsigned *)at = 0;
	}
}

enum ec value_default(const struct schema_row *row, void *base)
{
	value_clear(row, base);
	struct slice text = slice_str(row->fallback == NULL ? "" : row->fallback);
	if (schema_is_text(row->type)) {
		/* Also without a default: a string is never NULL. */
		char *p = copy(text);
		*(char **)member(row, base) = p;
		return p == NULL ? EC_NO_MEMORY : EC_OK;
	}
	if (row->fallback == NULL)
		return EC_OK;
	if (!schema_is_list(row->type) && row->type != SCHEMA_SET)
		return value_set(row, base, text, (struct config_mark){ 0 }, NULL);
	while (text.len > 0) {
		const uint8_t *blank = memchr(text.p, ' ', text.len);
		size_t len = blank == NULL ? text.len : (size_t)(blank - text.p);
		enum ec ec = value_set(row, base, slice_first(text, len), (struct config_mark){ 0 }, NULL);
		if (ec != EC_OK)
			return ec;
		text = slice_from(text, len + 1);
	}
	return EC_OK;
}

bool value_eq(const struct schema_row *row, const void *base_a, const void *base_b)
{
	const void *a = member_const(row, base_a), *b = member_const(row, base_b);
	if (schema_is_text(row->type))
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	if (schema_is_list(row->type)) {
		const struct config_list *x = a, *y = b;
		bool eq = x->num == y->num;
		for (size_t i = 0; eq && i < x->num; i++)
			eq = strcmp(x->items[i], y->items[i]) == 0;
		return eq;
	}
	switch (row->type) {
	case SCHEMA_DURATION:
		return *(const int64_t *)a == *(const int64_t *)b;
	case SCHEMA_SIZE:
	case SCHEMA_COUNT:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case SCHEMA_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case SCHEMA_WORD:
	case SCHEMA_SET:
		return *(const unsigned *)a == *(const unsigned *)b;
	default:
		return true;
	}
}

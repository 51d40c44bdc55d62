#include "dns/tlsa.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const usage_names[] = { "PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE" };
static const char *const selector_names[] = { "Cert", "SPKI" };
static const char *const matching_names[] = { "Full", "SHA2-256", "SHA2-512" };

enum { NUM_USAGES = 4, NUM_SELECTORS = 2, NUM_MATCHINGS = 3 };
static_assert(sizeof usage_names / sizeof usage_names[0] == NUM_USAGES, "RFC 7218 2.1");
static_assert(sizeof selector_names / sizeof selector_names[0] == NUM_SELECTORS, "RFC 7218 2.2");
static_assert(sizeof matching_names / sizeof matching_names[0] == NUM_MATCHINGS, "RFC 7218 2.3");

struct tlsa tlsa_311(const uint8_t spki_sha256[32])
{
	struct tlsa t = { .usage = TLSA_DANE_EE, .selector = TLSA_SPKI, .matching = TLSA_SHA256, .len = 32 };
	memcpy(t.data, spki_sha256, 32);
	return t;
}

/* FNV-1a, 64 bits: tells long records apart, no more. */
static uint64_t checksum(struct slice s)
{
	if (s.len == 0)
		return 0;
	uint64_t h = 0xcbf29ce484222325U;
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * 0x100000001b3U;
	return h;
}

enum ec tlsa_from_rdata(struct slice rdata, struct tlsa *out)
{
	memset(out, 0, sizeof *out);
	if (rdata.len < 4 || rdata.len > UINT16_MAX)
		return EC_SYNTAX;
	struct slice data = slice_from(rdata, 3);
	*out = (struct tlsa){
		.usage = rdata.p[0],
		.selector = rdata.p[1],
		.matching = rdata.p[2],
		.len = (uint16_t)data.len,
	};
	struct slice kept = slice_first(data, data.len < TLSA_DATA_MAX ? data.len : TLSA_DATA_MAX);
	memcpy(out->data, kept.p, kept.len);
	out->rest = checksum(slice_from(data, kept.len));
	return EC_OK;
}

enum ec tlsa_to_rdata(const struct tlsa *t, uint8_t out[3 + TLSA_DATA_MAX], size_t *out_len)
{
	*out_len = 0;
	if (t->len > TLSA_DATA_MAX)
		return EC_UNSUPPORTED;
	out[0] = t->usage;
	out[1] = t->selector;
	out[2] = t->matching;
	memcpy(out + 3, t->data, t->len);
	*out_len = 3U + t->len;
	return EC_OK;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct slice next_word(struct slice *rest)
{
	while (rest->len > 0 && is_blank(rest->p[0]))
		*rest = slice_from(*rest, 1);
	size_t len = 0;
	while (len < rest->len && !is_blank(rest->p[len]))
		len++;
	struct slice word = slice_first(*rest, len);
	*rest = slice_from(*rest, len);
	return word;
}

static enum ec parse_field(struct slice word, const char *const *names, uint8_t num, const char *what, uint8_t *out,
			   struct why *why)
{
	for (uint8_t i = 0; i < num; i++) {
		if (slice_eq_nocase(word, slice_str(names[i]))) {
			*out = i;
			return EC_OK;
		}
	}
	uint64_t value = 0;
	enum ec ec = word.len > 0 ? parse_u64(word, 255, &value) : EC_SYNTAX;
	if (ec == EC_RANGE)
		return why_set(why, ec, "the %s is a number from 0 to 255", what);
	if (ec != EC_OK)
		return why_set(why, ec, "the %s is missing or not a number: a TLSA record is \"3 1 1 <hex>\"", what);
	*out = (uint8_t)value;
	return EC_OK;
}

static enum ec parse_hex(struct slice rest, struct tlsa *t, struct why *why)
{
	uint8_t pair[2];
	size_t have = 0;
	for (size_t i = 0; i < rest.len; i++) {
		if (is_blank(rest.p[i]))
			continue;
		if (have == 0 && t->len == TLSA_DATA_MAX)
			return why_set(why, EC_RANGE, "the data of a TLSA record given here has at most %d octets",
				       TLSA_DATA_MAX);
		pair[have++] = rest.p[i];
		if (have < 2)
			continue;
		have = 0;
		if (!hex_decode(&t->data[t->len], 1, slice_of(pair, 2)))
			return why_set(why, EC_SYNTAX, "the data of a TLSA record is written in hex digits");
		t->len++;
	}
	if (have != 0 || t->len == 0)
		return why_set(why, EC_SYNTAX, "the data of a TLSA record is an even number of hex digits");
	return EC_OK;
}

enum ec tlsa_parse(struct slice text, struct tlsa *out, struct why *why)
{
	struct tlsa t = { 0 };
	memset(out, 0, sizeof *out);
	enum ec ec = parse_field(next_word(&text), usage_names, NUM_USAGES, "certificate usage", &t.usage, why);
	if (ec == EC_OK)
		ec = parse_field(next_word(&text), selector_names, NUM_SELECTORS, "selector", &t.selector, why);
	if (ec == EC_OK)
		ec = parse_field(next_word(&text), matching_names, NUM_MATCHINGS, "matching type", &t.matching, why);
	if (ec == EC_OK)
		ec = parse_hex(text, &t, why);
	if (ec == EC_OK)
		*out = t;
	return ec;
}

void tlsa_print(char out[TLSA_TEXT_SIZE], const struct tlsa *t)
{
	char hex[2 * TLSA_DATA_MAX + 1];
	bool cut = t->len > TLSA_DATA_MAX;
	hex_encode(hex, slice_of(t->data, cut ? TLSA_DATA_MAX : t->len));
	if (cut)
		(void)snprintf(out, TLSA_TEXT_SIZE, "%u %u %u %s... (%u octets)", t->usage, t->selector, t->matching, hex,
			       t->len);
	else
		(void)snprintf(out, TLSA_TEXT_SIZE, "%u %u %u %s", t->usage, t->selector, t->matching, hex);
}

static const char *name_of(const char *const *names, unsigned num, uint8_t value)
{
	/* RFC 7218 2: 255 is PrivUse/PrivSel/PrivMatch; the rest is unassigned. */
	return value < num ? names[value] : value == 255 ? "private" : "unassigned";
}

void tlsa_print_kind(char out[TLSA_KIND_SIZE], const struct tlsa *t)
{
	(void)snprintf(out, TLSA_KIND_SIZE, "%s(%u) %s(%u) %s(%u)", name_of(usage_names, NUM_USAGES, t->usage), t->usage,
		       name_of(selector_names, NUM_SELECTORS, t->selector), t->selector,
		       name_of(matching_names, NUM_MATCHINGS, t->matching), t->matching);
}

bool tlsa_eq(const struct tlsa *a, const struct tlsa *b)
{
	return a->data[0] == b->data[0] && a->usage == b->usage && a->selector == b->selector && a->matching == b->matching && a->len == b->len &&
	       a->rest == b->rest && memcmp(a->data, b->data, sizeof a->data) == 0;
}

bool tlsa_usable(const struct tlsa *t, struct why *why)
{
	const char *wrong = NULL;
	if (t->usage == TLSA_PKIX_TA || t->usage == TLSA_PKIX_EE)
		wrong = "SMTP clients treat usages 0 and 1 as unusable (RFC 7672 3.1.3)";
	else if (t->usage >= NUM_USAGES)
		wrong = "unknown certificate usage";
	else if (t->selector >= NUM_SELECTORS)
		wrong = "unknown selector";
	else if (t->matching >= NUM_MATCHINGS)
		wrong = "unknown matching type";
	else if (t->matching == TLSA_SHA256 && t->len != 32)
		wrong = "a SHA2-256 digest has 32 octets";
	else if (t->matching == TLSA_SHA512 && t->len != 64)
		wrong = "a SHA2-512 digest has 64 octets";
	else if (t->len == 0)
		wrong = "it has no data";
	if (wrong != NULL && why != NULL) {
		char kind[TLSA_KIND_SIZE];
		tlsa_print_kind(kind, t);
		(void)why_set(why, EC_UNSUPPORTED, "%s: %s", kind, wrong);
	}
	return wrong == NULL;
}

bool tlsa_empty_digest(const struct tlsa *t)
{
	/* FIPS 180-4: the digests of the empty message. */
	static const uint8_t sha256[32] = {
		0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
		0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
	};
	static const uint8_t sha512[64] = {
		0xcf, 0x83, 0xe1, 0x35, 0x7e, 0xef, 0xb8, 0xbd, 0xf1, 0x54, 0x28, 0x50, 0xd6, 0x6d, 0x80, 0x07,
		0xd6, 0x20, 0xe4, 0x05, 0x0b, 0x57, 0x15, 0xdc, 0x83, 0xf4, 0xa9, 0x21, 0xd3, 0x6c, 0xe9, 0xce,
		0x47, 0xd0, 0xd1, 0x3c, 0x5d, 0x85, 0xf2, 0xb0, 0xff, 0x83, 0x18, 0xd2, 0x87, 0x7e, 0xec, 0x2f,
		0x63, 0xb9, 0x31, 0xbd, 0x47, 0x41, 0x7a, 0x81, 0xa5, 0x38, 0x32, 0x7a, 0xf9, 0x27, 0xda, 0x3e,
	};
	if (t->matching == TLSA_SHA256 && t->len == sizeof sha256)
		return memcmp(t->data, sha256, sizeof sha256) == 0;
	if (t->matching == TLSA_SHA512 && t->len == sizeof sha512)
		return memcmp(t->data, sha512, sizeof sha512) == 0;
	return false;
}

/* Where `t` is in the set, or s->num. */
static unsigned find(const struct tlsa_set *s, const struct tlsa *t)
{
	unsigned i = 0;
	while (i < s->num && !tlsa_eq(&s->items[i], t))
		i++;
	return i;
}

bool tlsa_set_has(const struct tlsa_set *s, const struct tlsa *t)
{
	return find(s, t) < s->num;
}

enum ec tlsa_set_add(struct tlsa_set *s, const struct tlsa *t)
{
	if (tlsa_set_has(s, t))
		return EC_OK;
	if (s->num == TLSA_SET_MAX)
		return EC_NO_SPACE;
	s->items[s->num++] = *t;
	return EC_OK;
}

bool tlsa_set_remove(struct tlsa_set *s, const struct tlsa *t)
{
	unsigned i = find(s, t);
	if (i == s->num)
		return false;
	s->items[i] = s->items[--s->num];
	return true;
}

bool tlsa_set_covers(const struct tlsa_set *s, const struct tlsa_set *part)
{
	for (unsigned i = 0; i < part->num; i++) {
		if (!tlsa_set_has(s, &part->items[i]))
			return false;
	}
	return true;
}

bool tlsa_set_eq(const struct tlsa_set *a, const struct tlsa_set *b)
{
	return a->num == b->num && tlsa_set_covers(a, b);
}

enum ec tlsa_set_union(struct tlsa_set *s, const struct tlsa_set *more)
{
	struct tlsa_set sum = *s;
	for (unsigned i = 0; i < more->num; i++) {
		enum ec ec = tlsa_set_add(&sum, &more->items[i]);
		if (ec != EC_OK)
			return ec;
	}
	*s = sum;
	return EC_OK;
}

void tlsa_set_subtract(struct tlsa_set *s, const struct tlsa_set *less)
{
	struct tlsa_set copy = *less; /* `less` may be `s` */
	for (unsigned i = 0; i < copy.num; i++)
		(void)tlsa_set_remove(s, &copy.items[i]);
}

#include "tlsa-sync/zone_include.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static struct tlsa filled(uint8_t octet)
{
	uint8_t digest[32];
	memset(digest, octet, sizeof digest);
	return tlsa_311(digest);
}

static struct tlsa_set set_of(const char *octets)
{
	struct tlsa_set set = { 0 };
	for (; *octets != '\0'; octets++) {
		struct tlsa t = filled((uint8_t)*octets);
		assert_int_equal(tlsa_set_add(&set, &t), EC_OK);
	}
	return set;
}

static struct dns_name owner_name(void)
{
	struct dns_name owner;
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &owner, NULL), EC_OK);
	return owner;
}

/* The text is the caller's to free. */
static char *printed(const struct tlsa_set *set)
{
	struct dns_name owner = owner_name();
	struct bytes out = { 0 };
	assert_int_equal(zone_include_print("mx1.example.org", &owner, 60, set, &out), EC_OK);
	struct slice s = bytes_slice(&out);
	char *text = malloc(s.len + 1);
	assert_non_null(text);
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	bytes_fini(&out);
	return text;
}

#define FOUR(x) x x x x
#define HEX(octet) FOUR(FOUR(octet octet))

static void the_text_is_a_zone_file(void **state)
{
	(void)state;
	struct tlsa_set set = set_of("ba"); /* 0x62, 0x61 */
	char *text = printed(&set);
	const char *line = strstr(text, "\n_25");
	assert_non_null(line);
	assert_string_equal(line, "\n_25._tcp.mx1.example.org. 60 IN TLSA 3 1 1 " HEX("61") "\n"
	                          "_25._tcp.mx1.example.org. 60 IN TLSA 3 1 1 " HEX("62") "\n");
	assert_int_equal(text[0], ';');
	/* The order in which they came does not show. */
	struct tlsa_set other = set_of("ab");
	char *again = printed(&other);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

/* FNV-1a of nothing, and of one record, computed elsewhere (Python). */
static void the_checksum_is_what_it_is(void **state)
{
	(void)state;
	struct tlsa_set none = { 0 }, one = set_of("a");
	char *text = printed(&none);
	assert_non_null(strstr(text, "; checksum of the rest: cbf29ce484222325\n"));
	free(text);
	text = printed(&one);
	assert_non_null(strstr(text, "; checksum of the rest: 88664cafd63e898f\n"));
	free(text);
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	static const char *const sets[] = { "", "a", "ab", "abcdefghijklmnop" };
	for (size_t i = 0; i < NUM(sets); i++) {
		struct tlsa_set set = set_of(sets[i]), back;
		char *text = printed(&set);
		assert_int_equal(zone_include_read(slice_str(text), &back, NULL), EC_OK);
		assert_true(tlsa_set_eq(&set, &back));
		free(text);
	}
	struct tlsa_set back = set_of("a");
	assert_int_equal(zone_include_read(SLICE_LIT(""), &back, NULL), EC_OK);
	assert_int_equal(back.num, 0);
}

/* No change by hand goes unnoticed: an octet more, less or other, anywhere. */
static void every_change_is_noticed(void **state)
{
	(void)state;
	struct tlsa_set set = set_of("ab"), back;
	char *text = printed(&set);
	size_t len = strlen(text);
	size_t identity = (size_t)(strstr(text, "mx1") - text); /* is not checked: it is a comment */
	size_t end_of_first = (size_t)(strchr(text, '\n') - text);
	char *changed = malloc(len + 2);
	assert_non_null(changed);
	for (size_t at = 0; at < len; at++) {
		bool comment = at >= strlen("; tlsa-sync wrote this file") && at < end_of_first;
		memcpy(changed, text, len);
		changed[at] ^= 1;
		enum ec ec = zone_include_read(slice_of(changed, len), &back, NULL);
		if (!comment && ec == EC_OK)
			fail_msg("octet %zu changed", at);
		assert_true(ec == EC_OK || back.num == 0);
		if (at > 0 && zone_include_read(slice_of(text, at), &back, NULL) == EC_OK)
			fail_msg("cut at %zu", at);
	}
	memcpy(changed, text, len);
	changed[len] = '\n';
	struct why why = { 0 };
	assert_int_equal(zone_include_read(slice_of(changed, len + 1), &back, &why), EC_CORRUPT);
	assert_non_null(strstr(why.text, "by hand"));
	assert_true(identity < end_of_first);
	free(changed);
	free(text);
}

static void others_files_are_not_taken(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"$ORIGIN example.org.\n@ SOA a b 1 2 3 4 5\n",
		"\n",
		"; a comment\n",
		"_25._tcp.mx1 TLSA 3 1 1 " HEX("61") "\n",
		"; tlsa-sync",
	};
	for (size_t i = 0; i < NUM(texts); i++) {
		struct tlsa_set back = set_of("a");
		struct why why = { 0 };
		assert_int_equal(zone_include_read(slice_str(texts[i]), &back, &why), EC_EXISTS);
		assert_int_equal(back.num, 0);
		assert_non_null(strstr(why.text, "not written by tlsa-sync"));
	}
}

static void a_diff_has_what_differs(void **state)
{
	(void)state;
	struct dns_name owner = owner_name();
	struct tlsa_set before = set_of("ab"), after = set_of("bc");
	struct bytes out = { 0 };
	assert_int_equal(zone_include_diff(&owner, 60, &before, &after, &out), EC_OK);
	assert_true(slice_eq(bytes_slice(&out), slice_str("- _25._tcp.mx1.example.org. 60 IN TLSA 3 1 1 " HEX("61") "\n"
	                                                  "+ _25._tcp.mx1.example.org. 60 IN TLSA 3 1 1 " HEX("63") "\n")));
	bytes_consume(&out, bytes_len(&out));
	assert_int_equal(zone_include_diff(&owner, 60, &before, &before, &out), EC_OK);
	assert_int_equal(bytes_len(&out), 0);
	bytes_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_a_zone_file),
		cmocka_unit_test(the_checksum_is_what_it_is),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(every_change_is_noticed),
		cmocka_unit_test(others_files_are_not_taken),
		cmocka_unit_test(a_diff_has_what_differs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

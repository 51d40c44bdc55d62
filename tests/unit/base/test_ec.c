#include "base/ec.h"

#include "tests/unit/unit.h"

static void every_code_has_a_name_that_parses_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EC_COUNT; i++) {
		enum ec ec = EC_COUNT;
		assert_int_equal(strncmp(ec_name((enum ec)i), "EC_", 3), 0);
		assert_true(ec_parse(ec_name((enum ec)i), &ec));
		assert_int_equal(ec, i);
		assert_true(ec_text((enum ec)i)[0] != '\0');
	}
	enum ec ec;
	assert_false(ec_parse("EC_NO_SUCH_CODE", &ec));
}

static void why_is_set_cut_and_prefixed(void **state)
{
	(void)state;
	struct why why = { 0 };
	assert_int_equal(why_set(&why, EC_RANGE, "ttl %d is too large", 90000), EC_RANGE);
	assert_string_equal(why.text, "ttl 90000 is too large");
	why_prefix(&why, "zone %s", "example.org");
	assert_string_equal(why.text, "zone example.org: ttl 90000 is too large");
	/* An argument may be the text itself. */
	(void)why_set(&why, EC_RANGE, "again: %s", why.text);
	assert_string_equal(why.text, "again: zone example.org: ttl 90000 is too large");

	char big[2 * WHY_SIZE];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	(void)why_set(&why, EC_IO, "%s", big);
	assert_int_equal(strlen(why.text), WHY_SIZE - 1);
	why_prefix(&why, "%s", big);
	assert_int_equal(strlen(why.text), WHY_SIZE - 1);
	why_prefix(&why, "head");
	assert_int_equal(strncmp(why.text, "head: xxx", 9), 0);
	assert_int_equal(strlen(why.text), WHY_SIZE - 1);
	/* Nobody has to want the words. */
	assert_int_equal(why_set(NULL, EC_IO, "unheard"), EC_IO);
	why_prefix(NULL, "unheard");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_name_that_parses_back),
		cmocka_unit_test(why_is_set_cut_and_prefixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

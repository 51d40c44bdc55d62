#include "base/printable.h"

#include "tests/unit/unit.h"

/* Every octet there is: RFC 20 has 0x20 to 0x7e as characters that can be seen, or are a blank. */
static void every_octet(void **state)
{
	(void)state;
	char text[256];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)i;
	printable(text, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		assert_int_equal(text[i], i >= 0x20 && i <= 0x7e ? (char)i : '?');
}

static void no_further(void **state)
{
	(void)state;
	char text[] = "\x1b\x1b";
	printable(text, 1);
	assert_string_equal(text, "?\x1b");
	printable(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_octet), cmocka_unit_test(no_further) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

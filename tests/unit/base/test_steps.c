#include "base/steps.h"

#include "tests/unit/unit.h"

enum { OFF, ON, BROKEN };

static const struct step_row rows[] = {
	[OFF] = { "off", STEP(ON) | STEP(BROKEN) },
	[ON] = { "on", STEP(OFF) | STEP(BROKEN) },
	[BROKEN] = { "broken", 0 },
};

static void only_listed_steps_are_allowed(void **state)
{
	(void)state;
	assert_true(step_allowed(rows, NUM(rows), OFF, ON));
	assert_true(step_allowed(rows, NUM(rows), ON, BROKEN));
	assert_false(step_allowed(rows, NUM(rows), BROKEN, OFF));
	assert_false(step_allowed(rows, NUM(rows), OFF, OFF));
	assert_false(step_allowed(rows, NUM(rows), 3, OFF));
	assert_false(step_allowed(rows, NUM(rows), OFF, 70));
}

static void a_bad_table_is_told(void **state)
{
	(void)state;
	static const struct step_row hole[] = { { "a", 0 }, { NULL, 0 } };
	static const struct step_row beyond[] = { { "a", STEP(1) } };
	assert_true(step_table_ok(rows, NUM(rows)));
	assert_false(step_table_ok(hole, NUM(hole)));
	assert_false(step_table_ok(beyond, NUM(beyond)));
	assert_false(step_table_ok(rows, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_listed_steps_are_allowed),
		cmocka_unit_test(a_bad_table_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

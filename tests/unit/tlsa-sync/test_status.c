/* What people and programs are shown: the table, the plan, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"
#include "tlsa-sync/plan.h"
#include "tlsa-sync/status_text.h"

#define HAS(text, part) assert_non_null(strstr((text), (part)))

static char *status(struct fix *x, bool colour)
{
	struct bytes out = { 0 };
	const struct facts *f = x->f;
	fix_decide(x);
	(void)rollover_show(x->f, &x->d, fix_now(x));
	assert_int_equal(status_text(&f, &x->d, 1, fix_now(x), colour, &out), EC_OK);
	assert_int_equal(bytes_append(&out, slice_of("", 1)), EC_OK);
	return (char *)out.p;
}

static void table(void **state)
{
	(void)state;
	struct fix x;
	fix_make(&x);
	assert_true(fix_until(&x, RO_AGEING, RA_NONE, 100));
	char *text = status(&x, false);
	HAS(text, "IDENTITY");
	HAS(text, "WAITING FOR");
	HAS(text, "mx1.example.org  AGEING");
	HAS(text, "the clock");
	HAS(text, "(in ");
	HAS(text, "caches may hold the old set until");
	assert_null(strchr(text, '\033'));
	free(text);
	text = status(&x, true);
	HAS(text, "\033[36mAGEING");
	free(text);
	free(x.f);
}

static void peers_words_stay_words(void **state)
{
	(void)state;
	struct fix x;
	fix_make(&x);
	facts_instance_failed(x.f, 0, "\033[2Jgone\r\nSTEADY", fix_now(&x));
	char *text = status(&x, false);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\r'));
	assert_null(strstr(text, "\nSTEADY"));
	free(text);
	free(x.f);
}

static void json(void **state)
{
	(void)state;
	struct fix x;
	assert_true(fix_steady(&x));
	json_t *j = rollover_json(x.f, &x.p, &x.d, fix_now(&x));
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "state")), "STEADY");
	assert_int_equal(json_array_size(json_object_get(j, "wanted")), 4);
	assert_int_equal(json_array_size(json_object_get(j, "servers")), 3);
	json_t *instance = json_array_get(json_object_get(j, "instances"), 1);
	assert_int_equal(json_integer_value(json_object_get(instance, "standby")), 8);
	assert_true(json_is_true(json_object_get(json_array_get(json_object_get(instance, "keys"), 1), "aged")));
	json_decref(j);
	free(x.f);
}

/* From an empty zone: the first set ages for two TTLs. */
static void plan_from_nothing(void **state)
{
	(void)state;
	struct fix x;
	struct plan plan;
	fix_make(&x);
	assert_true(fix_until(&x, RO_PUBLISHING, RA_UPDATE, 100));
	assert_int_equal(rollover_plan(x.f, &x.p, fix_now(&x), false, &plan), EC_OK);
	static const enum rollover_state want[] = { RO_PUBLISHING, RO_SPREADING, RO_AGEING, RO_STEADY };
	assert_int_equal(plan.num, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(plan.steps[i].state, want[i]);
	assert_in_range(plan.steps[3].at.s - plan.steps[2].at.s, 7198, 7210);
	free(x.f);
}

static void plan_of_a_rotation(void **state)
{
	(void)state;
	struct fix x;
	struct plan plan;
	assert_true(fix_steady(&x));
	struct facts *copy = malloc(sizeof *copy);
	memcpy(copy, x.f, sizeof *copy);
	assert_int_equal(rollover_plan(x.f, &x.p, fix_now(&x), true, &plan), EC_OK);
	assert_memory_equal(copy, x.f, sizeof *copy); /* it only dreams */
	free(copy);
	static const enum rollover_state want[] = { RO_STEADY,    RO_CERTIFYING, RO_SWAPPING,  RO_HOLDING, RO_RETIRING,
		                                    RO_PREPARING, RO_PUBLISHING, RO_SPREADING, RO_AGEING,  RO_STEADY };
	size_t n = 0;
	for (size_t i = 0; i < plan.num && n < 10; i++)
		n += plan.steps[i].state == want[n];
	assert_int_equal(n, 10);
	struct bytes text = { 0 };
	assert_int_equal(plan_text(&plan, &text), EC_OK);
	assert_true(bytes_len(&text) > 200);
	bytes_fini(&text);
	json_t *j = plan_json(&plan);
	assert_int_equal(json_array_size(j), plan.num);
	json_decref(j);
	free(x.f);
}

static void plan_without_reports(void **state)
{
	(void)state;
	struct fix x;
	struct plan plan;
	fix_make(&x);
	assert_int_equal(rollover_plan(x.f, &x.p, fix_now(&x), false, &plan), EC_OK);
	assert_int_equal(plan.num, 1);
	HAS(plan.steps[0].words, "waiting for edge-1");
	free(x.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table), cmocka_unit_test(peers_words_stay_words), cmocka_unit_test(json),
		cmocka_unit_test(plan_from_nothing), cmocka_unit_test(plan_of_a_rotation), cmocka_unit_test(plan_without_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/unit.h"

#include <regex.h>
#include <stdlib.h>

#include "proxy/counters.h"

static struct counters *page(void)
{
	struct counters *c = calloc(1, counters_size());
	assert_non_null(c);
	return c;
}

static void test_size(void **state)
{
	(void)state;
	assert_true(counters_size() >= sizeof(struct counters));
	assert_int_equal(counters_size() % 4096, 0);
}

/* A worker that crashed leaves its page to the next: totals stay, states do not. */
static void test_successor(void **state)
{
	struct counters *c = page();
	(void)state;
	assert_int_equal(counters_begin(c), EC_OK);
	counters_add(c, COUNT_ACCEPTED, 3);
	counters_add(c, COUNT_SESSIONS_OPEN, 3);
	counters_add(c, COUNT_SESSIONS_OPEN, -1);
	counters_add(c, counter_refusal(SMTP_WHY_BARE_LF), 1);
	assert_int_equal(counters_get(c, COUNT_SESSIONS_OPEN), 2);
	assert_int_equal(counters_begin(c), EC_OK);
	assert_int_equal(counters_get(c, COUNT_ACCEPTED), 3);
	assert_int_equal(counters_get(c, counter_refusal(SMTP_WHY_BARE_LF)), 1);
	assert_int_equal(counters_get(c, COUNT_SESSIONS_OPEN), 0);
	free(c);
}

static void test_page_of_another_build(void **state)
{
	struct counters *c = page();
	(void)state;
	c->magic = 1;
	c->values[COUNT_ACCEPTED] = 7;
	assert_int_equal(counters_begin(c), EC_CORRUPT);
	assert_int_equal(c->magic, 1);
	memset(c, 0, sizeof *c);
	assert_int_equal(counters_begin(c), EC_OK);
	c->num--;
	assert_int_equal(counters_begin(c), EC_CORRUPT);
	free(c);
}

static void test_sum(void **state)
{
	struct counters *a = page(), *b = page();
	const struct counters *pages[] = { a, NULL, b };
	(void)state;
	assert_int_equal(counters_sum(pages, 0, COUNT_EPOCH), 0);
	counters_set(a, COUNT_EPOCH, 9);
	counters_set(b, COUNT_EPOCH, 8);
	counters_add(a, COUNT_STARTTLS, 2);
	counters_add(b, COUNT_STARTTLS, 5);
	assert_int_equal(counters_sum(pages, 3, COUNT_STARTTLS), 7);
	/* What all workers present is what the last of them presents. */
	assert_int_equal(counters_sum(pages, 3, COUNT_EPOCH), 8);
	free(a);
	free(b);
}

/* OpenMetrics: names and labels well formed, a family in one piece with one type
 * and help, no series twice. */
static void test_rows(void **state)
{
	regex_t name, labels;
	(void)state;
	assert_int_equal(regcomp(&name, "^[a-z][a-z_]*[a-z]$", REG_EXTENDED | REG_NOSUB), 0);
	assert_int_equal(regcomp(&labels, "^([a-z]+=\"[A-Za-z0-9._-]+\")?$", REG_EXTENDED | REG_NOSUB), 0);
	for (unsigned i = 0; i < COUNT_NUM; i++) {
		const struct counter_row *r = counters_row((enum counter)i);
		assert_non_null(r->family);
		if (regexec(&name, r->family, 0, NULL, 0) != 0 || regexec(&labels, r->labels, 0, NULL, 0) != 0)
			fail_msg("%s{%s}", r->family, r->labels);
		assert_true(strlen(r->help) > 0);
		size_t len = strlen(r->family);
		assert_true(len < 6 || strcmp(r->family + len - 6, "_total") != 0);
		for (unsigned j = 0; j < i; j++) {
			const struct counter_row *other = counters_row((enum counter)j);
			if (strcmp(r->family, other->family) != 0)
				continue;
			assert_string_not_equal(r->labels, other->labels);
			assert_int_equal(r->kind, other->kind);
			assert_string_equal(r->help, other->help);
			if (strcmp(counters_row((enum counter)(i - 1))->family, r->family) != 0)
				fail_msg("%s is in two pieces", r->family);
		}
	}
	regfree(&name);
	regfree(&labels);
}

static void test_reasons(void **state)
{
	(void)state;
	for (unsigned r = 0; r < SMTP_REASON_COUNT; r++) {
		const char *label = smtp_reason_name((enum smtp_reason)r);
		assert_non_null(strstr(counters_row(counter_refusal((enum smtp_reason)r))->labels, label));
		assert_non_null(strstr(counters_row(counter_ended((enum smtp_reason)r))->labels, label));
	}
	assert_string_equal(counters_row(counter_refusal(SMTP_WHY_QUIT))->family, "refusals");
	assert_string_equal(counters_row(counter_ended(SMTP_WHY_QUIT))->family, "sessions_ended");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),  cmocka_unit_test(test_successor), cmocka_unit_test(test_page_of_another_build),
		cmocka_unit_test(test_sum),   cmocka_unit_test(test_rows),      cmocka_unit_test(test_reasons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

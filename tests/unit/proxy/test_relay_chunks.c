#include "backend_rig.h"

static struct backend *at_chunks(void)
{
	struct backend *b = ready();
	envelope(b);
	backend_sent(b);
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	return b;
}

static void test_chunks(void **state)
{
	(void)state;
	struct backend *b = at_chunks();
	backend_chunk_end(b); /* of none */
	backend_chunk(b, UINT64_MAX, false);
	assert_output(b, "BDAT 18446744073709551615\r\n");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_NONE);
	assert_string_equal(backend_state(b), "body");
	backend_chunk(b, 1, true); /* not while octets are due */
	assert_output(b, "");
	backend_reset(b);
	assert_output(b, "");
	backend_chunk_end(b);
	assert_output(b, "");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_REPLY);
	feed(b, "250 2.0.0 taken\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
	assert_false(backend_free_for_use(b));
	backend_data(b);
	assert_output(b, "");
	backend_chunk(b, 0, true);
	assert_output(b, "BDAT 0 LAST\r\n");
	backend_commit(b);
	assert_output(b, "");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_FINAL);
	feed(b, "250 2.0.0 queued\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
	assert_true(backend_free_for_use(b));
	/* The next message may come by DATA. */
	envelope(b);
	backend_sent(b);
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_data(b);
	feed(b, "354 go\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_chunk_end(b);
	backend_sent(b);
	backend_commit(b);
	assert_output(b, ".\r\n");
	backend_free(b);
}

/* Refused, the last one too: then RSET makes the link good again. */
static void test_chunks_refused(void **state)
{
	(void)state;
	for (int last = 0; last < 2; last++) {
		struct backend *b = at_chunks();
		backend_chunk(b, 5, last == 1);
		backend_sent(b);
		if (last == 1)
			backend_commit(b);
		else
			backend_chunk_end(b);
		feed(b, "452 4.3.1 full\r\n");
		assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 452);
		assert_false(backend_free_for_use(b));
		backend_reset(b);
		assert_output(b, "RSET\r\n");
		assert_true(backend_free_for_use(b));
		feed(b, "250 ok\r\n");
		assert_quiet(b);
		backend_free(b);
	}
}

/* RFC 3030 2: the answer comes when the chunk was received whole. */
static void test_chunks_answered_early(void **state)
{
	static const struct {
		const char *reply;
		enum smtp_reason reason;
	} cases[] = {
		{ "250 ok\r\n", SMTP_WHY_BACKEND_GARBAGE },
		{ "552 big\r\n", SMTP_WHY_BACKEND_GARBAGE },
		{ "421 bye\r\n", SMTP_WHY_BACKEND_CLOSING },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backend *b = at_chunks();
		backend_chunk(b, 5, true);
		backend_sent(b);
		feed(b, cases[i].reply);
		assert_int_equal(pull(b, BACKEND_EV_LOST).reason, cases[i].reason);
		backend_commit(b);
		assert_output(b, "");
		backend_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks), cmocka_unit_test(test_chunks_refused), cmocka_unit_test(test_chunks_answered_early),
	};
	return cmocka_run_group_tests_name("relay/backend, chunks", tests, NULL, NULL);
}

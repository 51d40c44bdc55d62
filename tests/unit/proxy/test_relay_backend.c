#include "backend_rig.h"

static void test_dialogue_and_timers(void **state)
{
	(void)state;
	struct backend *b = started(NULL);
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_REPLY);
	backend_free(b);
	b = ready();
	assert_true(backend_free_for_use(b));
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_IDLE);
	for (int round = 0; round < 2; round++) {
		envelope(b);
		assert_false(backend_free_for_use(b));
		assert_output(b, "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n");
		feed(b, "250 ok\r\n250 2.1.5 ok\r\n");
		assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
		assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_NONE);
		backend_data(b);
		assert_output(b, "DATA\r\n");
		assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_REPLY);
		feed(b, "354 go\r\n");
		assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 354);
		assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_NONE);
		backend_commit(b);
		assert_output(b, ".\r\n");
		assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_FINAL);
		feed(b, "250-2.0.0 Ok:\r\n250 2.0.0 queued\r\n");
		struct backend_event ev = pull(b, BACKEND_EV_ANSWER);
		assert_string_equal(ev.answer->enhanced, "2.0.0");
		assert_true(slice_eq(ev.answer->text, slice_str("Ok: queued")));
		assert_true(backend_free_for_use(b));
	}
	backend_quit(b);
	assert_output(b, "QUIT\r\n");
	feed(b, "221 bye\r\n");
	(void)pull(b, BACKEND_EV_QUIT);
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_NONE);
	backend_free(b);
}

/* RSET's answer may still be under way when the next transaction starts. */
static void test_reset_and_on(void **state)
{
	(void)state;
	struct backend *b = ready();
	envelope(b);
	backend_sent(b);
	feed(b, "250 ok\r\n550 no\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_reset(b);
	assert_true(backend_free_for_use(b));
	envelope(b);
	assert_output(b, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n");
	feed(b, "250 ok\r\n250 ok\r\n250 ok\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
	assert_quiet(b);
	backend_free(b);
}

static void test_mail_refused(void **state)
{
	(void)state;
	struct backend *b = ready();
	envelope(b);
	backend_sent(b);
	feed(b, "451 4.7.1 greylisted\r\n503 5.5.1 no mail\r\n");
	struct backend_event ev = pull(b, BACKEND_EV_ANSWER);
	assert_int_equal(ev.answer->code, 451);
	assert_string_equal(ev.answer->enhanced, "4.7.1");
	/* In the next transaction it is forgotten. */
	backend_reset(b);
	envelope(b);
	backend_sent(b);
	feed(b, "250 ok\r\n250 ok\r\n550 5.1.1 who\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 550);
	backend_free(b);
	/* That it takes a recipient all the same makes no difference. */
	b = ready();
	envelope(b);
	backend_sent(b);
	feed(b, "550 5.7.1 no\r\n250 yes\r\n");
	ev = pull(b, BACKEND_EV_ANSWER);
	assert_int_equal(ev.answer->code, 550);
	assert_string_equal(ev.answer->enhanced, "5.7.1");
	backend_reset(b);
	assert_output(b, "RSET\r\n");
	assert_true(backend_free_for_use(b));
	backend_free(b);
}

/* Replies nobody asked for, wherever they come. */
static void test_stray(void **state)
{
	(void)state;
	struct backend *b = started(NULL);
	feed(b, "220 mta\r\n250 mta\r\n"); /* the answer to an EHLO not yet sent */
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	assert_output(b, "");
	backend_free(b);

	b = ready();
	feed(b, "250 ok\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	assert_false(backend_free_for_use(b));
	backend_free(b);

	b = ready();
	feed(b, "421 4.4.2 idle too long\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_CLOSING);
	backend_free(b);

	/* 354, and at once the 250 for a message that is not sent yet. */
	b = ready();
	envelope(b);
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_data(b);
	feed(b, "354 go\r\n250 queued\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	(void)pull(b, BACKEND_EV_LOST);
	backend_commit(b);
	assert_output(b, "");
	backend_free(b);

	/* The last word counts, and the link is not used again. */
	b = ready();
	envelope(b);
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_data(b);
	feed(b, "354 go\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_commit(b);
	feed(b, "250 queued\r\n25");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
	(void)pull(b, BACKEND_EV_LOST);
	backend_free(b);
}

/* A message is delivered by 250 and by nothing that resembles it. */
static void test_only_250_answers_the_dot(void **state)
{
	static const char *const replies[] = { "251 ok\r\n", "252 ok\r\n", "220 ok\r\n", "354 go on\r\n", "299 ok\r\n" };
	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct backend *b = ready();
		envelope(b);
		feed(b, "250 ok\r\n250 ok\r\n");
		(void)pull(b, BACKEND_EV_ANSWER);
		backend_data(b);
		feed(b, "354 go\r\n");
		(void)pull(b, BACKEND_EV_ANSWER);
		backend_commit(b);
		feed(b, replies[i]);
		assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
		backend_free(b);
	}
}

static void test_bounds(void **state)
{
	static char text[BACKEND_LINES_MAX * 20 + 40000];
	(void)state;
	struct backend *b = ready();
	envelope(b);
	text[0] = '\0';
	for (int i = 0; i < BACKEND_LINES_MAX - 1; i++)
		strcat(text, "250-x\r\n");
	strcat(text, "250 x\r\n550 no\r\n");
	feed(b, text); /* as many lines as are allowed */
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 550);
	backend_free(b);

	b = ready();
	envelope(b);
	text[0] = '\0';
	for (int i = 0; i <= BACKEND_LINES_MAX; i++)
		strcat(text, "250-x\r\n");
	feed(b, text);
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	backend_free(b);

	b = ready();
	envelope(b);
	char *p = text;
	for (int i = 0; i < 10; i++)
		p += sprintf(p, "250-%01990d\r\n", 0);
	feed(b, text);
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	backend_free(b);

	/* No end within the bound, without waiting for more. */
	b = ready();
	envelope(b);
	memset(text, '2', BACKEND_LINE_MAX);
	text[BACKEND_LINE_MAX] = '\0';
	feed(b, text);
	(void)pull(b, BACKEND_EV_LOST);
	backend_free(b);
}

static void test_ends(void **state)
{
	(void)state;
	struct backend *b = started(NULL);
	backend_eof(b);
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_CONNECT);
	backend_eof(b);
	backend_timeout(b);
	assert_quiet(b);
	backend_free(b);
	b = ready();
	backend_quit(b);
	backend_eof(b);
	(void)pull(b, BACKEND_EV_QUIT);
	backend_free(b);
	b = ready();
	envelope(b);
	backend_timeout(b);
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_TIMEOUT);
	assert_output(b, "");
	backend_free(b);
}

/* Only what is offered is said, and it is encoded. */
static void test_xclient(void **state)
{
	struct backend_client client = { .addr = SLICE_LIT("192.0.2.7"), .helo = SLICE_LIT("a b\r\nEVIL=+") };
	(void)state;
	struct backend *b = started(&client);
	feed(b, "220 mta\r\n");
	backend_sent(b);
	feed(b, "250-mta\r\n250-PIPELINING\r\n250 XCLIENT ADDR HELO PORT LOGIN\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.7 PORT=[UNAVAILABLE] HELO=a+20b+0D+0AEVIL+3D+2B\r\n");
	feed(b, "220 again\r\n");
	assert_output(b, "EHLO edge.test\r\n"); /* the client's name would be a second command */
	feed(b, "250 mta\r\n");
	assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags, 0); /* of the second EHLO, not the first */
	backend_free(b);
	/* Offered without ADDR it is of no use. */
	b = started(&client);
	feed(b, "220 mta\r\n");
	feed(b, "250-mta\r\n250 XCLIENT NAME HELO\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_CONFIG);
	backend_free(b);
}

static struct backend *with_xforward(const struct backend_client *client, const char *ehlo)
{
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .xforward = client };
	struct backend *b = backend_new(&setup);
	assert_non_null(b);
	feed(b, "220 mta\r\n");
	assert_output(b, "EHLO edge.test\r\n");
	feed(b, ehlo);
	return b;
}

#define XF_WHO "XFORWARD HELO=a+20b+0D+0AEVIL+3D+2B IDENT=5ac1\r\n"
#define XF_WHERE "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=4711 PROTO=ESMTP\r\n"
#define XF_ENVELOPE "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n"

/* The backend forgets it with each transaction: it goes before each MAIL. */
static void test_xforward(void **state)
{
	struct backend_client client = { SLICE_LIT("2001:db8::7"), 4711, SLICE_LIT("a b\r\nEVIL=+"), SLICE_LIT("5ac1"), true };
	(void)state;
	struct backend *b = with_xforward(&client, "250-mta\r\n250-PIPELINING\r\n250 xforward NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n");
	assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags, SMTP_CAP_PIPELINING | SMTP_CAP_XFORWARD);
	for (int round = 0; round < 2; round++) {
		envelope(b);
		assert_output(b, XF_WHERE XF_WHO XF_ENVELOPE);
		feed(b, "250 ok\r\n250 ok\r\n250 ok\r\n550 5.1.1 who\r\n");
		assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 550);
		backend_reset(b);
		assert_output(b, "RSET\r\n");
		feed(b, "250 ok\r\n");
		assert_quiet(b);
	}
	/* The backend withdraws it: the mail must not go on as if it were ours. */
	envelope(b);
	feed(b, "250 ok\r\n550 5.7.0 no\r\n250 ok\r\n250 ok\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_CONFIG);
	assert_quiet(b);
	backend_free(b);
}

static void test_xforward_one_by_one(void **state)
{
	struct backend_client client = { .addr = SLICE_LIT("192.0.2.7") };
	(void)state;
	/* No pipelining: one command at a time. Nothing known of HELO, IDENT not taken. */
	struct backend *b = with_xforward(&client, "250-mta\r\n250 XFORWARD ADDR HELO PORT\r\n");
	(void)pull(b, BACKEND_EV_READY);
	envelope(b);
	assert_output(b, "XFORWARD ADDR=192.0.2.7 PORT=[UNAVAILABLE]\r\n");
	feed(b, "250 ok\r\n");
	assert_output(b, "XFORWARD HELO=[UNAVAILABLE]\r\n");
	feed(b, "250 ok\r\n");
	assert_output(b, "MAIL FROM:<>\r\n");
	backend_free(b);
	/* What takes no HELO and no IDENT gets one command. */
	b = with_xforward(&client, "250-mta\r\n250-PIPELINING\r\n250 XFORWARD ADDR\r\n");
	(void)pull(b, BACKEND_EV_READY);
	envelope(b);
	assert_output(b, "XFORWARD ADDR=192.0.2.7\r\n" XF_ENVELOPE);
	backend_free(b);
	/* Not offered, or of no use. */
	static const char *const useless[] = { "250 mta\r\n", "250-mta\r\n250 XFORWARD\r\n", "250-mta\r\n250 XFORWARD NAME HELO\r\n",
		                               "250-mta\r\n250 XCLIENT ADDR\r\n" };
	for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
		b = with_xforward(&client, useless[i]);
		assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_CONFIG);
		backend_free(b);
	}
}

/* XFORWARD_README: a value has at most 255 characters, a command 512. */
static void test_xforward_bounds(void **state)
{
	static char helo[SMTP_HELO_MAX + 1];
	struct backend_client client = { .addr = SLICE_LIT("192.0.2.7"), .id = SLICE_LIT("5ac1"), .esmtp = true };
	(void)state;
	for (int encoded = 0; encoded < 2; encoded++) {
		memset(helo, encoded ? '+' : 'x', SMTP_HELO_MAX);
		client.helo = slice_str(helo);
		struct backend *b = with_xforward(&client, "250-mta\r\n250-PIPELINING\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT\r\n");
		(void)pull(b, BACKEND_EV_READY);
		envelope(b);
		struct slice out = backend_output(b);
		size_t longest = 0;
		for (size_t i = 0, start = 0; i < out.len; i++) {
			if (out.p[i] != '\n')
				continue;
			longest = i + 1 - start > longest ? i + 1 - start : longest;
			start = i + 1;
		}
		assert_in_range(longest, 30, 512);
		static char text[4096];
		assert_true(out.len < sizeof text);
		memcpy(text, out.p, out.len);
		text[out.len] = '\0';
		assert_non_null(strstr(text, encoded ? "HELO=[UNAVAILABLE] IDENT=5ac1" : "HELO=xxx"));
		backend_free(b);
	}
}

/* RFC 9422: numbers that are numbers. */
static void test_limits_of_the_backend(void **state)
{
	static const struct {
		const char *ehlo;
		uint64_t rcpt, mail;
	} cases[] = {
		{ "250-mta\r\n250 LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1\r\n", 20, 5 },
		{ "250-mta\r\n250 limits mailmax=5\r\n", 0, 5 },
		{ "250-mta\r\n250 LIMITS RCPTMAX= MAILMAX=-1 RCPTMAX=7x MAILMAX\r\n", 0, 0 },
		{ "250-mta\r\n250 LIMITS\r\n", 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backend *b = started(NULL);
		feed(b, "220 mta\r\n");
		feed(b, cases[i].ehlo);
		const struct smtp_caps *caps = pull(b, BACKEND_EV_READY).caps;
		assert_int_equal(caps->flags, SMTP_CAP_LIMITS);
		assert_int_equal(caps->rcpt_max, cases[i].rcpt);
		assert_int_equal(caps->mail_max, cases[i].mail);
		backend_free(b);
	}
}

/* What comes after the end, or out of turn, is nothing. */
static void test_calls_out_of_turn(void **state)
{
	static const struct smtp_mail mail;
	static const struct smtp_rcpt rcpt;
	(void)state;
	struct backend *b = ready();
	uint64_t before = backend_progress(b);
	backend_rcpt(b, &rcpt);
	backend_data(b);
	backend_commit(b);
	backend_reset(b);
	backend_chunk(b, 1, false);
	assert_output(b, "");
	assert_true(backend_progress(b) == before);
	envelope(b);
	backend_sent(b);
	assert_true(backend_progress(b) != before);
	backend_quit(b);
	assert_output(b, "");
	backend_eof(b);
	(void)pull(b, BACKEND_EV_LOST);
	backend_mail(b, &mail);
	backend_quit(b);
	assert_output(b, "");
	assert_quiet(b);
	backend_free(b);
	backend_free(NULL);
}

/* A backend that refuses RSET is in a state that nobody knows. */
static void test_reset_refused(void **state)
{
	(void)state;
	struct backend *b = ready();
	envelope(b);
	backend_sent(b);
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_reset(b);
	feed(b, "502 no\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	backend_free(b);
}

/* RFC 3463 2: what looks like an enhanced code and is none is text. */
static void test_enhanced_codes(void **state)
{
	static const struct {
		const char *reply, *enhanced, *text;
	} cases[] = {
		{ "550 5.1.1 who\r\n", "5.1.1", "who" },     { "550 5.123.456 who\r\n", "5.123.456", "who" },
		{ "550 5.1.1\r\n", "5.1.1", "" },            { "550 5.1234.1 who\r\n", "", "5.1234.1 who" },
		{ "550 5.1.1who\r\n", "", "5.1.1who" },      { "550 5.1 who\r\n", "", "5.1 who" },
		{ "550 5..1 who\r\n", "", "5..1 who" },      { "550 5.1. who\r\n", "", "5.1. who" },
		{ "550 5.1.1234\r\n", "", "5.1.1234" },      { "550 5.123\r\n", "", "5.123" },
		{ "550 4.1.1 who\r\n", "", "4.1.1 who" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backend *b = ready();
		envelope(b);
		backend_sent(b);
		feed(b, "250 ok\r\n");
		feed(b, cases[i].reply);
		struct backend_event ev = pull(b, BACKEND_EV_ANSWER);
		assert_string_equal(ev.answer->enhanced, cases[i].enhanced);
		assert_true(slice_eq(ev.answer->text, slice_str(cases[i].text)));
		backend_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogue_and_timers), cmocka_unit_test(test_reset_and_on), cmocka_unit_test(test_mail_refused),
		cmocka_unit_test(test_stray),               cmocka_unit_test(test_bounds),       cmocka_unit_test(test_ends),
		cmocka_unit_test(test_xclient),             cmocka_unit_test(test_xforward),     cmocka_unit_test(test_xforward_one_by_one),
		cmocka_unit_test(test_xforward_bounds),     cmocka_unit_test(test_limits_of_the_backend),
		cmocka_unit_test(test_only_250_answers_the_dot),
		cmocka_unit_test(test_calls_out_of_turn),
		cmocka_unit_test(test_reset_refused),       cmocka_unit_test(test_enhanced_codes),
	};
	return cmocka_run_group_tests_name("relay/backend", tests, NULL, NULL);
}

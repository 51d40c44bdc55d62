/* The backend dialogue up to READY when TLS may or must come between, and LMTP: what a hostile
 * next hop, or somebody on the way to it, can say there. */
#include "backend_rig.h"

#include <stdlib.h>

#define OFFERS "250-mta\r\n250-DSN\r\n250-XCLIENT ADDR\r\n250-XFORWARD ADDR\r\n250 STARTTLS\r\n"

#define MAY BACKEND_TLS_MAY
#define MUST BACKEND_TLS_MUST

static const struct backend_client client = { .addr = SLICE_LIT("192.0.2.9"), .helo = SLICE_LIT("me.test") };

static struct backend *begun(struct backend_setup setup)
{
	setup.hostname = SLICE_LIT("edge.test");
	struct backend *b = backend_new(&setup);
	assert_non_null(b);
	assert_output(b, "");
	feed(b, "220 mta\r\n");
	assert_output(b, setup.lmtp ? "LHLO edge.test\r\n" : "EHLO edge.test\r\n");
	return b;
}

/* STARTTLS is sent. */
static struct backend *asked(struct backend_setup setup)
{
	struct backend *b = begun(setup);
	feed(b, OFFERS);
	assert_output(b, "STARTTLS\r\n");
	assert_string_equal(backend_state(b), "starttls");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_REPLY);
	assert_false(backend_free_for_use(b));
	assert_quiet(b);
	return b;
}

/* The shell shakes hands. */
static struct backend *shaking(struct backend_setup setup)
{
	struct backend *b = asked(setup);
	feed(b, "220 go\r\n");
	(void)pull(b, BACKEND_EV_START_TLS);
	assert_quiet(b);
	assert_output(b, "");
	assert_string_equal(backend_state(b), "tls");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_REPLY);
	assert_false(backend_free_for_use(b));
	return b;
}

/* TLS stands, and EHLO is sent again. */
static struct backend *inside(struct backend_setup setup)
{
	struct backend *b = shaking(setup);
	uint64_t before = backend_progress(b);
	backend_tls_done(b);
	assert_true(backend_progress(b) != before);
	assert_output(b, setup.lmtp ? "LHLO edge.test\r\n" : "EHLO edge.test\r\n");
	assert_string_equal(backend_state(b), "greeting");
	assert_int_equal(backend_caps(b)->flags, 0);
	return b;
}

static void lost(struct backend *b, enum smtp_reason reason)
{
	struct backend_event ev = pull(b, BACKEND_EV_LOST);
	assert_int_equal(ev.reason, reason);
	assert_non_null(ev.words);
	assert_quiet(b);
	assert_output(b, "");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_NONE);
	backend_tls_done(b); /* too late */
	assert_quiet(b);
	assert_output(b, "");
	backend_free(b);
}

static void test_modes(void **state)
{
	(void)state;
	/* Not asked for: as if it were not offered. */
	struct backend *b = begun((struct backend_setup){ 0 });
	feed(b, OFFERS);
	(void)pull(b, BACKEND_EV_READY);
	assert_output(b, "");
	backend_free(b);
	for (enum backend_tls mode = BACKEND_TLS_MAY; mode <= BACKEND_TLS_MUST; mode++) {
		b = inside((struct backend_setup){ .tls = mode });
		feed(b, "250-mta\r\n250-CHUNKING\r\n250 STARTTLS\r\n"); /* offered again: RFC 3207 4.2 forbids it, we pass over it */
		assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags, SMTP_CAP_CHUNKING | SMTP_CAP_STARTTLS);
		assert_output(b, "");
		assert_true(backend_free_for_use(b));
		envelope(b);
		assert_output(b, "MAIL FROM:<>\r\n");
		backend_free(b);
	}
	b = begun((struct backend_setup){ .tls = MAY });
	feed(b, "250-mta\r\n250 DSN\r\n");
	assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags, SMTP_CAP_DSN);
	backend_free(b);
	b = begun((struct backend_setup){ .tls = MUST });
	feed(b, "250-mta\r\n250-XSTARTTLS\r\n250 STARTTLSX\r\n");
	lost(b, SMTP_WHY_HOP_NO_STARTTLS);
}

/* Who greets with our own name is ourselves, and a message would go round and round: RFC 5321 5.1. */
static void test_ourselves(void **state)
{
	static const struct {
		const char *own, *greeting;
		bool loop;
	} rows[] = {
		{ "edge.test", "220 edge.test ESMTP\r\n", true },
		{ "edge.test", "220 edge.test\r\n", true },
		{ "edge.test", "220 EDGE.Test. hello\r\n", true },
		{ "Edge.test.", "220 edge.test ESMTP\r\n", true },
		{ "edge.test", "220-edge.test ESMTP\r\n220 go on\r\n", true },
		{ "edge.test", "220-hello\r\n220 edge.test\r\n", false },
		{ "edge.test", "220 edge.test.example ESMTP\r\n", false },
		{ "edge.test", "220 my.edge.test ESMTP\r\n", false },
		{ "edge.test", "220 mta edge.test\r\n", false },
		{ "edge.test", "220 \r\n", false },
		{ "edge.test", "220\r\n", false },
		{ "", "220 edge.test ESMTP\r\n", false }, /* the operator named it */
		{ "", "220 . ESMTP\r\n", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .own_name = slice_str(rows[i].own) };
		struct backend *b = backend_new(&setup);
		assert_non_null(b);
		feed(b, rows[i].greeting);
		if (rows[i].loop) {
			lost(b, SMTP_WHY_HOP_LOOP);
			continue;
		}
		assert_output(b, "EHLO edge.test\r\n");
		assert_quiet(b);
		backend_free(b);
	}
	assert_int_equal(smtp_reply_lost(SMTP_WHY_HOP_LOOP), SMTP_R_HOP_LOOP);
}

static void test_refused(void **state)
{
	static const struct {
		const char *reply;
		enum smtp_reason may, must; /* NONE: goes on in clear */
	} rows[] = {
		{ "454 4.7.0 TLS not available\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "400 x\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "500 x\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "502-x\r\n502 x\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "530 5.7.0 Must issue a STARTTLS command first\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "538 x\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "559 x\r\n", SMTP_WHY_NONE, SMTP_WHY_HOP_NO_STARTTLS },
		{ "421 4.3.2 closing\r\n", SMTP_WHY_BACKEND_CLOSING, SMTP_WHY_BACKEND_CLOSING },
		/* It may have begun TLS, or not: nothing can be said to it any more. */
		{ "250 ok\r\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
		{ "221 ok\r\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
		{ "354 go on\r\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
		{ "620 x\r\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
		{ "220-x\r\n250 x\r\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
		{ "220 x\n", SMTP_WHY_BACKEND_GARBAGE, SMTP_WHY_BACKEND_GARBAGE },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct backend *b = asked((struct backend_setup){ .tls = MUST });
		feed(b, rows[i].reply);
		lost(b, rows[i].must);
		b = asked((struct backend_setup){ .tls = MAY });
		feed(b, rows[i].reply);
		if (rows[i].may != SMTP_WHY_NONE) {
			lost(b, rows[i].may);
			continue;
		}
		/* The EHLO reply still holds. */
		assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags & SMTP_CAP_DSN, SMTP_CAP_DSN);
		assert_output(b, "");
		backend_tls_done(b); /* there is no TLS */
		assert_output(b, "");
		assert_true(backend_free_for_use(b));
		backend_free(b);
	}
}

/* RFC 3207 4.2, and CVE-2011-0411 from the other side: what comes in clear with the 220 is
 * never taken for what comes inside TLS. No handshake begins then. */
static void test_injection(void **state)
{
	static const char *const tails[] = { "250-mta\r\n250 PIPELINING\r\n", "250 mta\r\n", "2", "\r\n", "\n", "\x16\x03\x01", "421 x\r\n" };
	(void)state;
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		char text[256];
		for (enum backend_tls mode = BACKEND_TLS_MAY; mode <= BACKEND_TLS_MUST; mode++) {
			struct backend *b = asked((struct backend_setup){ .tls = mode });
			snprintf(text, sizeof text, "220 go\r\n%s", tails[i]);
			feed(b, text);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
			/* In a second read, while hands should be shaken. */
			b = shaking((struct backend_setup){ .tls = mode });
			feed(b, tails[i]);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
			/* Before it was told of the 220. */
			b = asked((struct backend_setup){ .tls = mode });
			feed(b, "220 go\r\n");
			feed(b, tails[i]);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
			/* With the EHLO reply: the answer to a STARTTLS that is not sent yet. */
			b = begun((struct backend_setup){ .tls = mode });
			snprintf(text, sizeof text, OFFERS "220 go\r\n%s", tails[i]);
			feed(b, text);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
		}
	}
	/* Nothing in hand is nothing. */
	struct backend *b = shaking((struct backend_setup){ .tls = MUST });
	feed(b, "");
	assert_quiet(b);
	backend_tls_done(b);
	assert_output(b, "EHLO edge.test\r\n");
	backend_free(b);
}

/* Inside TLS the dialogue begins anew. */
static void test_inside(void **state)
{
	static const struct {
		const char *reply;
		enum smtp_reason reason;
	} rows[] = {
		{ "502 5.5.1 What?\r\n", SMTP_WHY_BACKEND_CONFIG },      { "530 5.7.0 Log in\r\n", SMTP_WHY_BACKEND_CONFIG },
		{ "454 4.7.0 Later\r\n", SMTP_WHY_BACKEND_CLOSING },     { "421 4.3.2 Bye\r\n", SMTP_WHY_BACKEND_CLOSING },
		{ "220 mta\r\n", SMTP_WHY_BACKEND_GARBAGE },             { "250-mta\r\n220 DSN\r\n", SMTP_WHY_BACKEND_GARBAGE },
		{ "250 mta\r\n250 mta\r\n", SMTP_WHY_BACKEND_GARBAGE },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct backend *b = inside((struct backend_setup){ .tls = MUST });
		feed(b, rows[i].reply);
		if (i == sizeof rows / sizeof *rows - 1)
			(void)pull(b, BACKEND_EV_READY);
		lost(b, rows[i].reason);
	}
	/* A second word that TLS stands changes nothing, and swallows no event. */
	struct backend *b = inside((struct backend_setup){ .tls = MUST });
	backend_tls_done(b);
	assert_output(b, "");
	feed(b, "250 mta\r\n");
	backend_tls_done(b);
	(void)pull(b, BACKEND_EV_READY);
	assert_output(b, "");
	backend_free(b);
	/* Commands that do not fit are nothing. */
	b = shaking((struct backend_setup){ .tls = MUST });
	backend_quit(b);
	backend_reset(b);
	backend_data(b);
	backend_commit(b);
	assert_output(b, "");
	assert_string_equal(backend_state(b), "tls");
	backend_free(b);
}

/* Nobody hears of the client in clear if TLS is to come. */
static void test_client_info(void **state)
{
	(void)state;
	struct backend *b = inside((struct backend_setup){ .tls = MUST, .xclient = &client });
	feed(b, "250-mta\r\n250-STARTTLS\r\n250 XCLIENT ADDR\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.9\r\n");
	feed(b, "220 mta\r\n");
	assert_output(b, "EHLO me.test\r\n");
	feed(b, "250-mta\r\n250 STARTTLS\r\n");
	assert_int_equal(pull(b, BACKEND_EV_READY).caps->flags, SMTP_CAP_STARTTLS);
	assert_output(b, "");
	backend_free(b);
	/* It was offered in clear only. */
	b = inside((struct backend_setup){ .tls = MAY, .xclient = &client });
	feed(b, "250 mta\r\n");
	lost(b, SMTP_WHY_BACKEND_CONFIG);
	b = inside((struct backend_setup){ .tls = MAY, .xforward = &client });
	feed(b, "250 mta\r\n");
	lost(b, SMTP_WHY_BACKEND_CONFIG);
	/* No TLS to be had: in clear, once that is settled, and it stays settled. */
	b = asked((struct backend_setup){ .tls = MAY, .xclient = &client });
	feed(b, "454 later\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.9\r\n");
	feed(b, "220 mta\r\n");
	assert_output(b, "EHLO me.test\r\n");
	feed(b, OFFERS);
	(void)pull(b, BACKEND_EV_READY);
	assert_output(b, "");
	backend_free(b);
	/* As when it is offered behind XCLIENT only: a second STARTTLS would lose who the client is. */
	b = begun((struct backend_setup){ .tls = MAY, .xclient = &client });
	feed(b, "250-mta\r\n250 XCLIENT ADDR\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.9\r\n");
	feed(b, "220 mta\r\n");
	assert_output(b, "EHLO me.test\r\n");
	feed(b, OFFERS);
	(void)pull(b, BACKEND_EV_READY);
	backend_free(b);
	b = inside((struct backend_setup){ .tls = MUST, .xclient = &client });
	feed(b, "250-mta\r\n250 XCLIENT ADDR\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.9\r\n");
	feed(b, "550 no\r\n");
	lost(b, SMTP_WHY_BACKEND_CONFIG);
}

/* Replies without an end, lines without one, in each state where one is waited for. */
static void test_endless(void **state)
{
	static char lines[(BACKEND_LINES_MAX + 1) * 8 + 1], line[BACKEND_LINE_MAX + 1];
	(void)state;
	memset(line, '2', BACKEND_LINE_MAX);
	for (int i = 0; i <= BACKEND_LINES_MAX; i++)
		strcat(lines, "220-x\r\n");
	for (int kind = 0; kind < 2; kind++) {
		for (enum backend_tls mode = BACKEND_TLS_MAY; mode <= BACKEND_TLS_MUST; mode++) {
			struct backend *b = asked((struct backend_setup){ .tls = mode });
			feed(b, kind == 0 ? lines : line);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
			b = inside((struct backend_setup){ .tls = mode });
			feed(b, kind == 0 ? lines : line);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
			b = shaking((struct backend_setup){ .tls = mode });
			feed(b, kind == 0 ? lines : line);
			lost(b, SMTP_WHY_BACKEND_GARBAGE);
		}
	}
}

static void test_ends(void **state)
{
	(void)state;
	for (enum backend_tls mode = BACKEND_TLS_MAY; mode <= BACKEND_TLS_MUST; mode++) {
		struct backend_setup setup = { .tls = mode };
		struct backend *(*const states[])(struct backend_setup) = { begun, asked, shaking, inside };
		for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
			struct backend *b = states[i](setup);
			backend_eof(b);
			lost(b, SMTP_WHY_BACKEND_CONNECT);
			b = states[i](setup);
			backend_timeout(b);
			lost(b, SMTP_WHY_BACKEND_TIMEOUT);
		}
		/* A 220 that nobody has heard of yet, and then the end. */
		struct backend *b = asked(setup);
		feed(b, "220 go\r\n");
		backend_eof(b);
		lost(b, SMTP_WHY_BACKEND_CONNECT);
	}
}

static struct backend *lmtp_ready(void)
{
	struct backend *b = begun((struct backend_setup){ .lmtp = true });
	feed(b, "250-box\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
	(void)pull(b, BACKEND_EV_READY);
	envelope(b);
	assert_output(b, "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n");
	feed(b, "250 ok\r\n250 ok\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	return b;
}

/* RFC 2033 */
static void test_lmtp(void **state)
{
	static const char *const refusals[] = { "500 what?\r\n", "502 what?\r\n", "504 what?\r\n" };
	(void)state;
	/* 4.2: one reply for the one recipient; the link goes on. */
	struct backend *b = lmtp_ready();
	backend_data(b);
	assert_output(b, "DATA\r\n");
	feed(b, "354 go\r\n");
	(void)pull(b, BACKEND_EV_ANSWER);
	backend_commit(b);
	assert_output(b, ".\r\n");
	assert_int_equal(backend_deadline(b), BACKEND_DEADLINE_FINAL);
	feed(b, "250-2.0.0 <postmaster>\r\n250 2.0.0 Saved\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 250);
	assert_true(backend_free_for_use(b));
	/* One for somebody else is one too many. */
	feed(b, "250 2.0.0 <another> Saved\r\n");
	assert_int_equal(pull(b, BACKEND_EV_LOST).reason, SMTP_WHY_BACKEND_GARBAGE);
	backend_free(b);
	/* 4.3: likewise of the last chunk. */
	b = lmtp_ready();
	backend_chunk(b, 3, true);
	assert_output(b, "BDAT 3 LAST\r\n");
	backend_commit(b);
	feed(b, "552 5.2.2 full\r\n");
	assert_int_equal(pull(b, BACKEND_EV_ANSWER).answer->code, 552);
	backend_reset(b);
	assert_output(b, "RSET\r\n");
	backend_free(b);
	/* 4.1: there is no other greeting to try. */
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		b = begun((struct backend_setup){ .lmtp = true });
		feed(b, refusals[i]);
		lost(b, SMTP_WHY_BACKEND_CONFIG);
	}
	b = inside((struct backend_setup){ .lmtp = true, .tls = MUST, .xclient = &client });
	feed(b, "250-box\r\n250 XCLIENT ADDR\r\n");
	assert_output(b, "XCLIENT ADDR=192.0.2.9\r\n");
	feed(b, "220 box\r\n");
	assert_output(b, "LHLO me.test\r\n");
	feed(b, "250 box\r\n");
	(void)pull(b, BACKEND_EV_READY);
	backend_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),       cmocka_unit_test(test_refused), cmocka_unit_test(test_injection),
		cmocka_unit_test(test_inside),      cmocka_unit_test(test_client_info), cmocka_unit_test(test_endless),
		cmocka_unit_test(test_ends),        cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_ourselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

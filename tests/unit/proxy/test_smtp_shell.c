#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/smtp/session.h"

/* The session by itself: what a shell may do to it. */
static struct smtp_session *session(void)
{
	static const struct smtp_limits limits = { "edge.test", 0, 10, 100, 10, 10, SMTP_BARE_REJECT, NULL };
	struct smtp_setup setup = { .limits = &limits, .tls_offered = true, .id = SLICE_LIT("x") };
	struct smtp_session *s = smtp_session_new(&setup);
	assert_non_null(s);
	return s;
}

static bool next_is(struct smtp_session *s, enum smtp_event_kind kind, enum smtp_reason reason)
{
	struct smtp_event ev;
	return smtp_session_next(s, &ev) && ev.kind == kind && ev.reason == reason;
}

/* CVE-2011-0411: what is in hand behind STARTTLS, in the same bytes. */
static void test_injection(void **state)
{
	static const char *const tails[] = { "EHLO x\r\n", "\r\n", "N", "\x16\x03\x01" };
	(void)state;
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		struct smtp_session *s = session();
		struct smtp_event ev;
		char text[64] = "STARTTLS\r\n";
		size_t used;
		smtp_session_greet(s);
		while (smtp_session_next(s, &ev)) {
		}
		smtp_session_feed(s, slice_str("EHLO me\r\n"), &used);
		while (smtp_session_next(s, &ev)) {
		}
		smtp_session_feed(s, slice_str(strcat(text, tails[i])), &used);
		assert_true(next_is(s, SMTP_EV_CLOSE, SMTP_WHY_STARTTLS_INJECTION)); /* no 220, no other word */
		assert_false(smtp_session_next(s, &ev));
		smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
		assert_false(smtp_session_next(s, &ev));
		smtp_session_free(s);
	}
}

static void test_session_ends(void **state)
{
	struct smtp_event ev;
	size_t used;
	(void)state;
	/* A handshake that fails never falls back to clear, and says nothing. */
	struct smtp_session *s = session();
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_GREETING);
	smtp_session_greet(s);
	assert_true(next_is(s, SMTP_EV_REPLY, SMTP_WHY_NONE));
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_COMMAND);
	smtp_session_feed(s, slice_str("EHLO me\r\n"), &used);
	(void)smtp_session_next(s, &ev);
	smtp_session_feed(s, slice_str("STARTTLS\r\n"), &used);
	assert_true(next_is(s, SMTP_EV_REPLY, SMTP_WHY_NONE));
	assert_true(next_is(s, SMTP_EV_START_TLS, SMTP_WHY_NONE));
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_TLS);
	assert_false(smtp_session_wants(s));
	smtp_session_feed(s, slice_str("NOOP\r\n"), &used);
	assert_int_equal(used, 0);
	smtp_session_tls_failed(s);
	assert_true(next_is(s, SMTP_EV_CLOSE, SMTP_WHY_TLS_FAILED));
	smtp_session_free(s);

	s = session();
	smtp_session_greet(s);
	(void)smtp_session_next(s, &ev);
	smtp_session_end(s, SMTP_R_TIMEOUT);
	assert_true(next_is(s, SMTP_EV_REPLY, SMTP_WHY_TIMEOUT));
	assert_true(next_is(s, SMTP_EV_CLOSE, SMTP_WHY_TIMEOUT));
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_NONE);
	smtp_session_end(s, SMTP_R_TIMEOUT);
	assert_false(smtp_session_next(s, &ev));
	smtp_session_free(s);

	/* The line that never ends. */
	s = session();
	smtp_session_greet(s);
	(void)smtp_session_next(s, &ev);
	static char flood[65536];
	memset(flood, 'x', sizeof flood);
	unsigned rounds = 0;
	do {
		smtp_session_feed(s, slice_of(flood, sizeof flood), &used);
		assert_true(used > 0);
	} while (!smtp_session_next(s, &ev) && ++rounds < 1000);
	assert_int_equal(ev.code, 500);
	assert_true(next_is(s, SMTP_EV_CLOSE, SMTP_WHY_LINE_LONG));
	smtp_session_free(s);
}

/* Backpressure: while answers are owed, at most a fixed number of RCPTs goes on. */
static void test_backpressure(void **state)
{
	static char text[20000];
	struct smtp_event ev;
	(void)state;
	struct smtp_session *s = session();
	size_t len = (size_t)sprintf(text, "EHLO me\r\nMAIL FROM:<a@b>\r\n"), at = 0, used, opened = 0, rcpts = 0;
	for (int i = 0; i < 300; i++)
		len += (size_t)sprintf(text + len, "RCPT TO:<c%d@d>\r\n", i);
	smtp_session_greet(s);
	for (bool moved = true; moved;) {
		moved = false;
		while (smtp_session_next(s, &ev)) {
			moved = true;
			opened += ev.kind == SMTP_EV_OPEN_BACKEND;
			rcpts += ev.kind == SMTP_EV_RCPT;
			if (ev.kind == SMTP_EV_OPEN_BACKEND)
				smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
		}
		smtp_session_feed(s, slice_of(text + at, len - at), &used);
		at += used;
		moved |= used > 0;
	}
	assert_int_equal(opened, 1);
	assert_int_equal(rcpts, 10); /* max_recipients: the 11th must wait for its 452 */
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	smtp_session_backend_lost(s, SMTP_WHY_BACKEND_TIMEOUT);
	for (rcpts = 0; smtp_session_next(s, &ev); rcpts++)
		assert_int_equal(ev.code, 451);
	assert_int_equal(rcpts, 10);
	smtp_session_free(s);
}

/* Says `text` and returns the last reply's code; other events are passed over. */
static uint16_t say(struct smtp_session *s, const char *text)
{
	struct smtp_event ev;
	size_t used, at = 0;
	uint16_t code = 0;
	do {
		while (smtp_session_next(s, &ev))
			code = ev.kind == SMTP_EV_REPLY ? ev.code : code;
		smtp_session_feed(s, slice_str(text + at), &used);
		at += used;
	} while (used > 0);
	while (smtp_session_next(s, &ev))
		code = ev.kind == SMTP_EV_REPLY ? ev.code : code;
	return code;
}

static uint16_t answer(struct smtp_session *s, uint16_t code)
{
	smtp_session_backend_answer(s, &(struct smtp_answer){ .code = code, .text = SLICE_LIT("x") });
	return say(s, "");
}

static void test_what_logs_see(void **state)
{
	struct smtp_session *s = session();
	(void)state;
	assert_string_equal(smtp_session_state(s), "wait");
	smtp_session_greet(s);
	smtp_session_greet(s); /* twice is once */
	assert_int_equal(say(s, ""), 220);
	uint64_t before = smtp_session_progress(s);
	assert_int_equal(say(s, "EHL"), 0);
	assert_true(smtp_session_progress(s) == before); /* single octets don't keep a slow client alive */
	assert_int_equal(say(s, "EHLO me.test\r\n"), 250);
	assert_true(smtp_session_progress(s) != before);
	assert_true(slice_eq(smtp_session_helo(s), slice_str("me.test")));
	assert_true(smtp_session_esmtp(s));
	assert_null(smtp_session_mail(s));
	assert_int_equal(smtp_session_num_recipients(s), 0);
	assert_int_equal(smtp_session_message_size(s), 0);
	assert_int_equal(say(s, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), 250);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
	assert_int_equal(say(s, ""), 0);
	assert_int_equal(answer(s, 250), 250);
	assert_int_equal(smtp_session_num_recipients(s), 1);
	assert_non_null(smtp_session_mail(s));
	assert_int_equal(say(s, "DATA\r\n"), 0);
	assert_int_equal(answer(s, 354), 354);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BODY);
	assert_int_equal(say(s, "12345\r\n"), 0);
	assert_int_equal(smtp_session_message_size(s), 7);
	assert_int_equal(say(s, ".\r\n"), 0);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	assert_int_equal(answer(s, 250), 250);
	assert_int_equal(smtp_session_num_delivered(s), 1);
	/* Answers that nobody waits for change nothing. */
	assert_int_equal(answer(s, 250), 0);
	smtp_session_backend_lost(s, SMTP_WHY_BACKEND_LOST);
	smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
	smtp_session_tls_failed(s);
	smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
	assert_int_equal(say(s, "NOOP\r\n"), 250);
	assert_int_equal(smtp_session_num_delivered(s), 1);
	smtp_session_free(s);
}

/* The second lock on P1: a class that relay/backend.h would not let through. */
static void test_wrong_class_straight(void **state)
{
	static const uint16_t codes[] = { 200, 220, 251, 354, 199, 600, 0 };
	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		struct smtp_session *s = session();
		smtp_session_greet(s);
		(void)say(s, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
		smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
		assert_int_equal(answer(s, 250), 250);
		(void)say(s, "DATA\r\n");
		assert_int_equal(answer(s, 354), 354);
		(void)say(s, "x\r\n.\r\n");
		assert_int_equal(answer(s, codes[i]), 451);
		assert_int_equal(smtp_session_num_delivered(s), 0);
		smtp_session_free(s);
	}
}

static void test_offer(void **state)
{
	struct smtp_session *s = session();
	struct smtp_event ev;
	size_t used;
	(void)state;
	smtp_session_greet(s);
	(void)say(s, "");
	smtp_session_set_offer(s, &(struct smtp_caps){ .flags = SMTP_CAP_SIZE | SMTP_CAP_DSN | SMTP_CAP_REQUIRETLS | SMTP_CAP_BINARYMIME, .size_max = 5000 }, false);
	smtp_session_feed(s, slice_str("EHLO me\r\n"), &used);
	assert_true(smtp_session_next(s, &ev));
	/* Less than the backend's 5000: our header comes on top. */
	assert_true(slice_eq(ev.bytes, slice_str("250-edge.test\r\n250-PIPELINING\r\n250-DSN\r\n250-CHUNKING\r\n250-SIZE 3976\r\n"
	                                         "250-LIMITS MAILMAX=10 RCPTMAX=10\r\n"
	                                         "250 ENHANCEDSTATUSCODES\r\n")));
	assert_int_equal(say(s, "MAIL FROM:<a@b> SIZE=3977\r\n"), 552);
	assert_int_equal(say(s, "MAIL FROM:<a@b> REQUIRETLS\r\n"), 555);
	smtp_session_set_offer(s, &(struct smtp_caps){ .flags = SMTP_CAP_REQUIRETLS }, true);
	assert_int_equal(say(s, "EHLO me\r\nSTARTTLS\r\n"), 220);
	smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
	assert_int_equal(say(s, "EHLO me\r\nMAIL FROM:<a@b> REQUIRETLS\r\n"), 250);
	assert_int_equal(say(s, "RCPT TO:<c@d>\r\n"), 0);
	smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
	assert_int_equal(say(s, ""), 451); /* it is not offered behind any more */
	smtp_session_free(s);
}

/* RFC 3207 4.2: STARTTLS is offered, and inside TLS it is not. */
static void test_starttls_is_not_offered_inside(void **state)
{
	static const char *const commands[] = { "EHLO me\r\n", "STARTTLS\r\n", "EHLO me\r\n" };
	struct smtp_session *s = session();
	struct smtp_event ev;
	(void)state;
	smtp_session_greet(s);
	(void)say(s, "");
	for (int i = 0; i < 3; i++) {
		size_t used;
		smtp_session_feed(s, slice_str(commands[i]), &used);
		assert_true(smtp_session_next(s, &ev));
		bool offered = memmem(ev.bytes.p, ev.bytes.len, "STARTTLS", 8) != NULL;
		assert_int_equal(offered, i == 0);
		(void)say(s, "");
		if (i == 1)
			smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
	}
	smtp_session_free(s);
}

/* A PROXY header says who the client is: in Received:, and for bare newlines. */
static void test_set_client(void **state)
{
	struct smtp_event ev = { 0 };
	size_t used;
	(void)state;
	for (int late = 0; late < 2; late++) {
		struct smtp_session *s = session();
		if (late)
			smtp_session_greet(s);
		smtp_session_set_client(s, SLICE_LIT("2001:db8::9"), true);
		smtp_session_greet(s);
		(void)say(s, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
		smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
		assert_int_equal(answer(s, 250), 250);
		(void)say(s, "DATA\r\n");
		smtp_session_backend_answer(s, &(struct smtp_answer){ .code = 354, .text = SLICE_LIT("x") });
		while (smtp_session_next(s, &ev) && ev.kind != SMTP_EV_BODY) {
		}
		assert_int_equal(ev.kind, SMTP_EV_BODY);
		assert_int_equal(memmem(ev.ranges[0].p, ev.ranges[0].len, "[IPv6:2001:db8::9]", 18) != NULL, !late);
		(void)say(s, "");
		smtp_session_feed(s, slice_str("x\n"), &used);
		assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_BODY);
		assert_int_equal(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_ABORT, late);
		smtp_session_free(s);
	}
}

/* The events of a chunk that is passed on, and the numbers in them. */
static void test_chunk_events(void **state)
{
	struct smtp_session *s = session();
	struct smtp_event ev;
	uint64_t sum = 0;
	size_t used;
	(void)state;
	smtp_session_greet(s);
	(void)say(s, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
	smtp_session_backend_ready(s, &(struct smtp_caps){ .flags = SMTP_CAP_CHUNKING }, false);
	assert_int_equal(answer(s, 250), 250);
	smtp_session_feed(s, slice_str("BDAT 5\r\n"), &used);
	assert_true(smtp_session_next(s, &ev));
	assert_int_equal(ev.kind, SMTP_EV_CHUNK);
	assert_true(ev.chunk_first && !ev.chunk_last);
	uint64_t size = ev.chunk_size;
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BODY);
	while (smtp_session_next(s, &ev)) {
		assert_int_equal(ev.kind, SMTP_EV_BODY);
		sum += ev.ranges[0].len;
	}
	assert_int_equal(size, sum + 5);
	smtp_session_feed(s, slice_str("hello"), &used);
	assert_int_equal(used, 5);
	assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_BODY);
	assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_CHUNK_END);
	assert_false(smtp_session_next(s, &ev));
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	assert_false(smtp_session_wants(s));
	assert_int_equal(smtp_session_message_size(s), 5);
	assert_int_equal(answer(s, 250), 250);
	smtp_session_feed(s, slice_str("BDAT 1 LAST\r\n"), &used);
	assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_CHUNK);
	assert_true(!ev.chunk_first && ev.chunk_last && ev.chunk_size == 1);
	assert_false(smtp_session_next(s, &ev));
	smtp_session_feed(s, slice_str("xQUIT\r\n"), &used);
	assert_int_equal(used, 1);
	assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_BODY);
	assert_true(smtp_session_next(s, &ev) && ev.kind == SMTP_EV_COMMIT);
	assert_int_equal(answer(s, 250), 250);
	assert_int_equal(smtp_session_num_delivered(s), 1);
	smtp_session_free(s);
}

/* While RCPTs wait for answers only RCPTs go on: a line that can't overtake them
 * stops the reading behind it. */
static void test_held_line(void **state)
{
	(void)state;
	struct smtp_session *s = session();
	size_t used;
	smtp_session_greet(s);
	(void)say(s, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
	assert_false(smtp_session_wants(s)); /* no link yet */
	smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
	(void)say(s, "");
	assert_true(smtp_session_wants(s));
	smtp_session_feed(s, slice_str("NOO"), &used);
	assert_int_equal(used, 0);
	assert_true(smtp_session_wants(s)); /* for the rest of the line */
	smtp_session_feed(s, slice_str("NOOP\r\n"), &used);
	assert_int_equal(used, 0);
	assert_false(smtp_session_wants(s));
	assert_int_equal(answer(s, 250), 250);
	assert_true(smtp_session_wants(s));
	assert_int_equal(say(s, "NOOP\r\n"), 250);
	smtp_session_free(s);
}

/* Out of memory at the shell, while a link is opened or a chunk waits for DATA. */
static void test_lost_while_waiting(void **state)
{
	size_t used;
	(void)state;
	struct smtp_session *s = session();
	smtp_session_greet(s);
	(void)say(s, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
	smtp_session_backend_lost(s, SMTP_WHY_NO_MEMORY);
	assert_int_equal(say(s, ""), 452);
	assert_int_equal(say(s, "RCPT TO:<c@d>\r\n"), 0);
	smtp_session_backend_ready(s, &(struct smtp_caps){ 0 }, false);
	assert_int_equal(answer(s, 250), 250);
	smtp_session_feed(s, slice_str("BDAT 2 LAST\r\n"), &used);
	(void)say(s, "");
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	smtp_session_backend_lost(s, SMTP_WHY_BACKEND_TIMEOUT);
	assert_int_equal(say(s, ""), 0); /* its octets come first */
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BODY);
	assert_int_equal(say(s, "xx"), 451);
	assert_int_equal(say(s, "RCPT TO:<c@d>\r\n"), 503);
	smtp_session_free(s);
}

static void test_drain(void **state)
{
	(void)state;
	struct smtp_session *s = session();
	smtp_session_drain(s);
	smtp_session_greet(s); /* instead of the greeting */
	assert_int_equal(say(s, ""), 421);
	smtp_session_free(s);
	s = session();
	smtp_session_greet(s);
	assert_int_equal(say(s, "EHLO me\r\nSTARTTLS\r\n"), 220);
	smtp_session_drain(s); /* nothing in clear between 220 and TLS */
	assert_int_equal(say(s, ""), 0);
	smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
	assert_int_equal(say(s, ""), 421);
	smtp_session_free(s);
	s = session();
	smtp_session_greet(s);
	assert_int_equal(say(s, "EHLO me\r\nSTARTTLS\r\n"), 220);
	smtp_session_end(s, SMTP_R_TIMEOUT);
	assert_int_equal(say(s, ""), 0);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_NONE);
	smtp_session_free(s);
	s = session();
	smtp_session_eof(s);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_NONE);
	smtp_session_free(s);
	smtp_session_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_injection),     cmocka_unit_test(test_session_ends),         cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_what_logs_see), cmocka_unit_test(test_wrong_class_straight), cmocka_unit_test(test_offer),
		cmocka_unit_test(test_drain),         cmocka_unit_test(test_starttls_is_not_offered_inside),
		cmocka_unit_test(test_set_client),    cmocka_unit_test(test_chunk_events),       cmocka_unit_test(test_lost_while_waiting),
		cmocka_unit_test(test_held_line),
	};
	return cmocka_run_group_tests_name("smtp/session, its shell", tests, NULL, NULL);
}

/* How OPEN_BACKEND is answered, one call at a time: what a shell may say, when, and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "proxy/smtp/connectors.h"
#include "proxy/smtp/session.h"

static struct connectors *ways; /* 0: a.test; 1: the rest, by mx */

static int make_ways(void **state)
{
	char a[] = "a", b[] = "b", domain[] = "a.test", rest[] = "*", addr[] = "192.0.2.1:25", mx[] = "mx", empty[] = "";
	char *first[] = { domain }, *second[] = { rest };
	struct config_next_hop hop = { .to = addr }, hop_mx = { .to = mx };
	struct config_connector all[] = {
		{ .name = a, .domains = { .items = first, .num = 1 }, .next_hops = &hop, .num_next_hops = 1 },
		{ .name = b, .domains = { .items = second, .num = 1 }, .next_hops = &hop_mx, .num_next_hops = 1 },
	};
	struct config cfg = { .connectors = all, .num_connectors = 2, .backend.address = empty };
	(void)state;
	return connectors_new(&cfg, &ways) == EC_OK ? 0 : -1;
}

static int free_ways(void **state)
{
	(void)state;
	connectors_free(ways);
	return 0;
}

static void say(struct smtp_session *s, const char *text)
{
	size_t used;
	smtp_session_feed(s, slice_str(text), &used);
	assert_int_equal(used, strlen(text));
}

static struct smtp_event next(struct smtp_session *s, enum smtp_event_kind kind)
{
	struct smtp_event ev;
	if (!smtp_session_next(s, &ev))
		fail_msg("no event, wanted %d", kind);
	assert_int_equal(ev.kind, kind);
	return ev;
}

static void quiet(struct smtp_session *s)
{
	struct smtp_event ev;
	assert_false(smtp_session_next(s, &ev));
}

/* next_reply wants a reply that begins with `text`. */
static void next_reply(struct smtp_session *s, const char *text)
{
	struct smtp_event ev = next(s, SMTP_EV_REPLY);
	if (ev.bytes.len < strlen(text) || memcmp(ev.bytes.p, text, strlen(text)) != 0)
		fail_msg("said '%.*s', wanted '%s'", (int)ev.bytes.len, (const char *)ev.bytes.p, text);
}

/* A session behind MAIL. */
static struct smtp_session *session(const char *mail)
{
	static struct smtp_limits limits = { .hostname = "edge.test", .max_recipients = 10, .max_commands = 6, .max_errors = 3,
		                             .max_transactions = 10 };
	struct smtp_setup setup = { .limits = &limits, .caps.flags = SMTP_CAP_REQUIRETLS | SMTP_CAP_8BITMIME, .tls_offered = true };
	limits.connectors = ways;
	struct smtp_session *s = smtp_session_new(&setup);
	assert_non_null(s);
	smtp_session_greet(s);
	next_reply(s, "220 ");
	say(s, "EHLO x\r\n");
	next_reply(s, "250-");
	say(s, "STARTTLS\r\n");
	next_reply(s, "220 ");
	(void)next(s, SMTP_EV_START_TLS);
	smtp_session_tls_done(s, &(struct smtp_tls_info){ 0 });
	say(s, "EHLO x\r\n");
	next_reply(s, "250-");
	say(s, mail);
	next_reply(s, "250 2.1.0");
	return s;
}

static void wants_link(struct smtp_session *s, const char *line, size_t connector)
{
	say(s, line);
	struct smtp_event ev = next(s, SMTP_EV_OPEN_BACKEND);
	assert_int_equal(ev.connector, connector);
	assert_non_null(ev.mail);
	assert_non_null(ev.rcpt);
	assert_int_equal(smtp_session_deadline(s), SMTP_DEADLINE_BACKEND);
	quiet(s);
}

static void ready(struct smtp_session *s, uint32_t caps, bool reused)
{
	smtp_session_backend_ready(s, &(struct smtp_caps){ .flags = caps }, reused);
	(void)next(s, SMTP_EV_MAIL);
	(void)next(s, SMTP_EV_RCPT);
}

static void answer(struct smtp_session *s, uint16_t code)
{
	smtp_session_backend_answer(s, &(struct smtp_answer){ .code = code, .text = SLICE_LIT("words") });
}

/* Every row about next hops, as a sender reads it: RFC 5321 4.5.3.1.5, RFC 2034 4. */
static void test_rows(void **state)
{
	static const struct {
		enum smtp_reply_id id;
		const char *begins, *names; /* the check that failed */
	} rows[] = {
		{ SMTP_R_HOP_NO_STARTTLS, "451 4.7.321 ", "starttls-not-supported" },
		{ SMTP_R_HOP_EXPIRED, "451 4.7.322 ", "certificate-expired" },
		{ SMTP_R_HOP_TLSA, "451 4.7.323 ", "tlsa-invalid" },
		{ SMTP_R_HOP_DNSSEC, "451 4.7.324 ", "dnssec-invalid" },
		{ SMTP_R_HOP_NAME, "451 4.7.325 ", "certificate-host-mismatch" },
		{ SMTP_R_HOP_TRUST, "451 4.7.5 ", "trusted" },
		{ SMTP_R_HOP_STS, "451 4.7.5 ", "MTA-STS" },
		{ SMTP_R_HOP_DNS, "451 4.4.3 ", "DNS" },
		{ SMTP_R_HOP_NO_HOST, "550 5.1.2 ", "mail host" },
		{ SMTP_R_HOP_NULL_MX, "556 5.1.10 ", "RFC 7505" },
		{ SMTP_R_HOP_BUSY, "451 4.3.2 ", "try again" },
		{ SMTP_R_HOP_LOOP, "451 4.4.6 ", "come back" }, /* RFC 3463 3.5: routing loop detected */
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_session *s = session("MAIL FROM:<>\r\n");
		wants_link(s, "RCPT TO:<x@A.test>\r\n", 0);
		smtp_session_backend_refused(s, rows[i].id);
		struct smtp_event ev = next(s, SMTP_EV_REPLY);
		assert_true(ev.bytes.len <= 512);
		assert_memory_equal(ev.bytes.p, rows[i].begins, strlen(rows[i].begins));
		assert_non_null(memmem(ev.bytes.p, ev.bytes.len, rows[i].names, strlen(rows[i].names)));
		assert_memory_equal(ev.bytes.p + ev.bytes.len - 2, "\r\n", 2);
		assert_true(ev.reason != SMTP_WHY_NONE && !ev.message);
		quiet(s);
		assert_string_equal(smtp_session_state(s), "mail");
		assert_true(smtp_session_wants(s));
		assert_int_equal(smtp_session_num_recipients(s), 0);
		wants_link(s, "RCPT TO:<x@b.test>\r\n", 1);
		smtp_session_free(s);
	}
}

/* Only OPEN_BACKEND is answered so; anything later is a link's affair. */
static void test_out_of_turn(void **state)
{
	(void)state;
	struct smtp_session *s = session("MAIL FROM:<>\r\n");
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	quiet(s);
	wants_link(s, "RCPT TO:<x@a.test>\r\n", 0);
	ready(s, SMTP_CAP_PIPELINING, false);
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	quiet(s);
	answer(s, 250);
	next_reply(s, "250 2.1.5");
	say(s, "DATA\r\n");
	(void)next(s, SMTP_EV_DATA);
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	answer(s, 354);
	(void)next(s, SMTP_EV_BODY);
	next_reply(s, "354 ");
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	say(s, "x\r\n.\r\n");
	(void)next(s, SMTP_EV_BODY);
	(void)next(s, SMTP_EV_COMMIT);
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	quiet(s);
	answer(s, 250);
	next_reply(s, "250 2.0.0");
	smtp_session_end(s, SMTP_R_NONE);
	(void)next(s, SMTP_EV_CLOSE);
	smtp_session_backend_refused(s, SMTP_R_HOP_DNS);
	quiet(s);
	smtp_session_free(s);
}

/* A link of the last message turns out dead. The second try goes the same way, and may find
 * it refused; DATA that came with the recipient has its answer behind that. */
static void test_second_try(void **state)
{
	size_t used;
	(void)state;
	for (int early = 0; early < 2; early++) {
		struct smtp_session *s = session("MAIL FROM:<>\r\n");
		wants_link(s, "RCPT TO:<x@b.test>\r\n", 1);
		ready(s, SMTP_CAP_PIPELINING, true);
		/* Not before it has answered: neither the same domain nor another. */
		smtp_session_feed(s, SLICE_LIT("RCPT TO:<y@b.test>\r\n"), &used);
		assert_int_equal(used, 0);
		if (early) {
			say(s, "DATA\r\n");
			(void)next(s, SMTP_EV_DATA);
		}
		smtp_session_backend_lost(s, SMTP_WHY_BACKEND_LOST);
		struct smtp_event ev = next(s, SMTP_EV_OPEN_BACKEND);
		assert_int_equal(ev.connector, 1);
		assert_memory_equal(ev.rcpt->path.domain, "b.test", 6);
		quiet(s);
		smtp_session_backend_refused(s, SMTP_R_HOP_BUSY);
		next_reply(s, "451 4.3.2");
		if (early)
			next_reply(s, "503 5.5.1");
		quiet(s);
		wants_link(s, "RCPT TO:<x@a.test>\r\n", 0);
		smtp_session_free(s);
	}
}

/* A reply of the group in hand waits for those before it, whatever it is. */
static void test_order(void **state)
{
	static const struct {
		const char *line, *reply;
	} rows[] = {
		{ "RCPT TO:<x@a.test>\r\n", "452 4.5.3" }, /* another connector */
		{ "RCPT TO:<x@c.test>\r\n", "452 4.5.3" }, /* another domain */
	};
	size_t used;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_session *s = session("MAIL FROM:<>\r\n");
		wants_link(s, "RCPT TO:<x@b.test>\r\n", 1);
		ready(s, SMTP_CAP_PIPELINING, false);
		say(s, "RCPT TO:<y@b.test>\r\n");
		(void)next(s, SMTP_EV_RCPT);
		smtp_session_feed(s, slice_str(rows[i].line), &used);
		assert_int_equal(used, 0);
		assert_false(smtp_session_wants(s));
		quiet(s);
		answer(s, 550);
		next_reply(s, "550 ");
		smtp_session_feed(s, slice_str(rows[i].line), &used);
		assert_int_equal(used, 0);
		answer(s, 250);
		next_reply(s, "250 ");
		say(s, rows[i].line);
		next_reply(s, rows[i].reply);
		quiet(s);
		assert_int_equal(smtp_session_num_recipients(s), 1);
		smtp_session_free(s);
	}
}

/* RFC 8689 4.2.1: the shell says what may carry it. */
static void test_requiretls(void **state)
{
	(void)state;
	struct smtp_session *s = session("MAIL FROM:<> REQUIRETLS\r\n");
	wants_link(s, "RCPT TO:<x@a.test>\r\n", 0);
	smtp_session_backend_ready(s, &(struct smtp_caps){ .flags = UINT32_MAX & ~(uint32_t)SMTP_CAP_REQUIRETLS }, false);
	next_reply(s, "451 4.7.30");
	quiet(s);
	wants_link(s, "RCPT TO:<x@b.test>\r\n", 1); /* another way may */
	ready(s, SMTP_CAP_REQUIRETLS, false);
	quiet(s);
	smtp_session_free(s);
}

/* What the engine behind says of a next hop comes through by itself too. */
static void test_lost_reasons(void **state)
{
	static const struct {
		enum smtp_reason reason;
		const char *reply;
	} rows[] = {
		{ SMTP_WHY_HOP_NO_STARTTLS, "451 4.7.321" }, { SMTP_WHY_BACKEND_GARBAGE, "451 4.3.0" },
		{ SMTP_WHY_BACKEND_CONNECT, "451 4.4.1" },   { SMTP_WHY_NO_MEMORY, "452 4.3.1" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_session *s = session("MAIL FROM:<>\r\n");
		wants_link(s, "RCPT TO:<x@a.test>\r\n", 0);
		smtp_session_backend_lost(s, rows[i].reason);
		next_reply(s, rows[i].reply);
		quiet(s);
		smtp_session_free(s);
	}
}

/* Attempts that lead to nothing end: each may have cost a look into DNS and a connection. */
static void test_attempts_end(void **state)
{
	(void)state;
	struct smtp_session *s = session("MAIL FROM:<>\r\n"); /* two commands of six */
	for (int i = 0; i < 2; i++) {
		wants_link(s, "RCPT TO:<x@a.test>\r\n", 0);
		smtp_session_backend_refused(s, SMTP_R_HOP_TRUST);
		next_reply(s, "451 4.7.5");
		wants_link(s, "RCPT TO:<x@b.test>\r\n", 1);
		smtp_session_backend_lost(s, SMTP_WHY_BACKEND_TIMEOUT);
		next_reply(s, "451 4.4.2");
	}
	say(s, "RSET\r\n");
	next_reply(s, "421 4.7.0");
	assert_int_equal(next(s, SMTP_EV_CLOSE).reason, SMTP_WHY_TOO_MANY_COMMANDS);
	smtp_session_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),       cmocka_unit_test(test_out_of_turn),   cmocka_unit_test(test_second_try),
		cmocka_unit_test(test_order),      cmocka_unit_test(test_requiretls),    cmocka_unit_test(test_lost_reasons),
		cmocka_unit_test(test_attempts_end),
	};
	return cmocka_run_group_tests(tests, make_ways, free_ways);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/relay/proxy_header.h"
#include "proxy/smtp/received.h"
#include "proxy/smtp/reply.h"
#include "proxy/smtp/session.h"
#include "proxy/smtp/session_int.h"

/* RFC 2034 4, RFC 5321 4.5.3.1.5: every row is a legal reply line. */
static void test_table(void **state)
{
	(void)state;
	for (unsigned i = SMTP_R_NONE + 1; i < SMTP_REPLY_COUNT; i++) {
		const struct smtp_reply_row *row = smtp_reply_row(i);
		char text[600];
		struct writer w = writer_of(text, sizeof text);
		smtp_reply_print(&w, i);
		assert_false(w.bad);
		assert_in_range(w.len, 10, SMTP_REPLY_LINE_MAX);
		assert_string_equal(text + w.len - 2, "\r\n");
		for (size_t k = 0; k < w.len - 2; k++)
			assert_in_range(text[k], 0x20, 0x7e);
		unsigned a, b, c;
		if (row->code == 354) {
			assert_string_equal(row->enhanced, "");
			continue;
		}
		assert_int_equal(sscanf(row->enhanced, "%1u.%3u.%3u", &a, &b, &c), 3);
		assert_int_equal(a, row->code / 100);
		/* Only refusals have a reason; QUIT has one because it ends the session. */
		assert_int_equal(row->reason != SMTP_WHY_NONE, row->code >= 400 || i == SMTP_R_BYE);
	}
}

static void test_reasons(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SMTP_REASON_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(smtp_reason_name(i), smtp_reason_name(k));
}

static void test_states(void **state)
{
	(void)state;
	assert_true(step_table_ok(session_steps(), ST_COUNT));
}

static void test_answer_is_cut(void **state)
{
	char long_text[1000], text[600];
	(void)state;
	memset(long_text, 'x', sizeof long_text);
	struct smtp_answer a = { .code = 550, .enhanced = "5.999.999", .text = slice_of(long_text, sizeof long_text) };
	struct writer w = writer_of(text, sizeof text);
	smtp_answer_print(&w, 550, "5.0.0", &a);
	assert_false(w.bad);
	assert_true(w.len <= SMTP_REPLY_LINE_MAX);
	assert_memory_equal(text, "550 5.999.999 xxx", 17);
	/* RFC 2034 4: the class is the code's, whatever the backend says. */
	struct smtp_answer wrong = { .code = 550, .enhanced = "2.1.5", .text = SLICE_LIT("no") };
	w = writer_of(text, sizeof text);
	smtp_answer_print(&w, 550, "5.0.0", &wrong);
	assert_string_equal(text, "550 5.0.0 no\r\n");
}

/* Moments and their names from `date -u -R -d @N`. */
static void test_date(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000" },        { 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 1795303571, "Sat, 21 Nov 2026 23:26:11 +0000" }, { 1709251199, "Thu, 29 Feb 2024 23:59:59 +0000" },
		{ 4107542400, "Mon, 1 Mar 2100 00:00:00 +0000" }, { 1798761599, "Thu, 31 Dec 2026 23:59:59 +0000" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[64];
		struct writer w = writer_of(text, sizeof text);
		smtp_date_print(&w, (struct wall){ rows[i].s });
		assert_string_equal(text, rows[i].text);
	}
}

static void test_received(void **state)
{
	char text[SMTP_RECEIVED_MAX];
	struct writer w = writer_of(text, sizeof text);
	struct smtp_received r = {
		.helo = SLICE_LIT("me.test"), .addr = SLICE_LIT("192.0.2.1"), .by = SLICE_LIT("edge.test"), .id = SLICE_LIT("s1"),
		.esmtp = true, .now = { 0 },
	};
	(void)state;
	smtp_received_print(&w, &r);
	assert_string_equal(text, "Received: from me.test ([192.0.2.1])\r\n\tby edge.test (danegate) with ESMTP id s1;\r\n"
	                          "\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
	r.tls_version = SLICE_LIT("TLSv1.3");
	r.tls_cipher = SLICE_LIT("TLS_AES_128_GCM_SHA256");
	r.tls_sni = SLICE_LIT("mx1)\r\nEvil: (x\0");
	r.addr = SLICE_LIT("2001:db8::1");
	w = writer_of(text, sizeof text);
	smtp_received_print(&w, &r);
	assert_string_equal(text, "Received: from me.test ([IPv6:2001:db8::1])\r\n\tby edge.test (danegate) with ESMTPS id s1\r\n"
	                          "\ttls TLS_AES_128_GCM_SHA256 (TLSv1.3, sni mx1???Evil:??x?);\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
	r.smtputf8 = true;
	w = writer_of(text, sizeof text);
	smtp_received_print(&w, &r);
	assert_non_null(strstr(text, " with UTF8SMTPS id "));
	r.smtputf8 = r.esmtp = false;
	r.tls_version.len = 0;
	w = writer_of(text, sizeof text);
	smtp_received_print(&w, &r);
	assert_non_null(strstr(text, " with SMTP id "));
	/* The longest values fit. */
	char x[255];
	memset(x, 'x', sizeof x);
	r = (struct smtp_received){ slice_of(x, 255), slice_of("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 45), slice_of(x, 255),
		                    slice_of(x, SMTP_SESSION_ID_MAX), slice_of(x, SMTP_TLS_TEXT_MAX), slice_of(x, SMTP_TLS_TEXT_MAX),
		                    slice_of(x, SMTP_TLS_TEXT_MAX), true, true, { INT64_C(253402300799) } };
	w = writer_of(text, sizeof text);
	smtp_received_print(&w, &r);
	assert_false(w.bad);
}

/* Octets by hand from proxy-protocol.txt 2.2. */
static void test_proxy_header(void **state)
{
	char text[PROXY_V2_MAX];
	struct writer w = writer_of(text, sizeof text);
	struct proxy_end client = { false, { 192, 0, 2, 1 }, 0x1234 }, local = { false, { 10, 0, 0, 5 }, 25 };
	(void)state;
	assert_int_equal(proxy_v2_encode(&w, &client, &local), EC_OK);
	assert_int_equal(w.len, 28);
	assert_memory_equal(text, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x0a\0\0\x05\x12\x34\0\x19", 28);
	local = (struct proxy_end){ true, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 25 };
	w = writer_of(text, sizeof text);
	assert_int_equal(proxy_v2_encode(&w, &client, &local), EC_OK);
	assert_int_equal(w.len, 52);
	assert_memory_equal(text + 12, "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01\x20\x01\x0d\xb8", 24);
	w = writer_of(text, 51);
	assert_int_equal(proxy_v2_encode(&w, &client, &local), EC_NO_SPACE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),    cmocka_unit_test(test_reasons), cmocka_unit_test(test_states),
		cmocka_unit_test(test_answer_is_cut), cmocka_unit_test(test_date), cmocka_unit_test(test_received),
		cmocka_unit_test(test_proxy_header),
	};
	return cmocka_run_group_tests_name("smtp/reply", tests, NULL, NULL);
}

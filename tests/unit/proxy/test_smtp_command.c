#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/smtp/caps.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/xtext.h"

#define ALL (SMTP_CAP_SIZE | SMTP_CAP_8BITMIME | SMTP_CAP_DSN | SMTP_CAP_SMTPUTF8 | SMTP_CAP_CHUNKING | SMTP_CAP_REQUIRETLS)
#define X16 "0123456789abcdef"
#define X64 X16 X16 X16 X16
#define LABEL63 "a123456789b123456789c123456789d123456789e123456789f123456789123"

/* What MAIL FROM:… becomes; `out` NULL: refused with `bad`. Legal and illegal
 * forms from RFC 5321 4.1.2, 4.1.3, 4.5.3.1 and RFC 6531 3.3. */
struct row {
	const char *in;
	const char *out;
	enum smtp_reply_id bad;
};

static const struct row mails[] = {
	{ "FROM:<>", "FROM:<>", 0 },
	{ "from:<a@b>", "FROM:<a@b>", 0 },
	{ "FROM: <a@b>", "FROM:<a@b>", 0 },
	{ "FROM:<a.b+c!#$%&'*-/=?^_`{|}~@b.c>", "FROM:<a.b+c!#$%&'*-/=?^_`{|}~@b.c>", 0 },
	{ "FROM:<\"a b\"@c>", "FROM:<\"a b\"@c>", 0 },
	{ "FROM:<\"a\\\"\\\\b\"@c>", "FROM:<\"a\\\"\\\\b\"@c>", 0 },
	{ "FROM:<\"\\a\\b\"@c>", "FROM:<\"ab\"@c>", 0 },
	{ "FROM:<\"a>b@c\"@d>", "FROM:<\"a>b@c\"@d>", 0 },
	{ "FROM:<\"..\"@c>", "FROM:<\"..\"@c>", 0 },
	{ "FROM:<\"\"@c>", "FROM:<\"\"@c>", 0 },
	{ "FROM:<a@[192.0.2.1]>", "FROM:<a@[192.0.2.1]>", 0 },
	{ "FROM:<a@[IPv6:2001:db8::1]>", "FROM:<a@[IPv6:2001:db8::1]>", 0 },
	{ "FROM:<a@[IPv6:::ffff:192.0.2.1]>", "FROM:<a@[IPv6:::ffff:192.0.2.1]>", 0 },
	{ "FROM:<@x,@y.z:a@b>", "FROM:<a@b>", 0 },
	{ "FROM:<@[192.0.2.1],@[IPv6:::1]:a@b>", "FROM:<a@b>", 0 },
	{ "FROM:<" X64 "@b>", "FROM:<" X64 "@b>", 0 },
	{ "FROM:<a@" LABEL63 "." LABEL63 "." LABEL63 ".abc>", "FROM:<a@" LABEL63 "." LABEL63 "." LABEL63 ".abc>", 0 },
	{ "FROM:<\xc3\xa4@\xc3\xb6.test> SMTPUTF8", "FROM:<\xc3\xa4@\xc3\xb6.test> SMTPUTF8", 0 },
	{ "FROM:<\"\xe2\x82\xac \xf0\x9f\x98\x80\"@b> SMTPUTF8", "FROM:<\"\xe2\x82\xac \xf0\x9f\x98\x80\"@b> SMTPUTF8", 0 },
	{ "FROM:<a@b> SMTPUTF8", "FROM:<a@b> SMTPUTF8", 0 },
	{ "FROM:<> SIZE=0", "FROM:<> SIZE=0", 0 },
	{ "FROM:<>  SIZE=12   BODY=7bit", "FROM:<> SIZE=12 BODY=7BIT", 0 },
	{ "FROM:<> SIZE=18446744073709551615", "FROM:<> SIZE=18446744073709551615", 0 },
	{ "FROM:<> BODY=8BITMIME RET=hdrs", "FROM:<> BODY=8BITMIME RET=HDRS", 0 },
	{ "FROM:<> ENVID=a+2Bb+3D+20c", "FROM:<> ENVID=a+2Bb+3D+20c", 0 },
	{ "FROM:<> ENVID=+61+62", "FROM:<> ENVID=ab", 0 },
	{ "FROM:<> REQUIRETLS", "FROM:<> REQUIRETLS", 0 },
	{ "", NULL, SMTP_R_SYNTAX },
	{ "FROM", NULL, SMTP_R_SYNTAX },
	{ "TO:<a@b>", NULL, SMTP_R_SYNTAX },
	{ "FROM:", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:a@b", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<postmaster>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<.a@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a.@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a..b@c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a b@c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b@c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<<a@b>>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"\">", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"\\", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a\\", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"" X64 X64 "x\"@b>", NULL, SMTP_R_SENDER_LONG },
	{ "FROM:<@x", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@x:", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@x,", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a\"b@c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a\\\">", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b.>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@.b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b..c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@-b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b->", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@b!c>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[1.2.3]>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[1.2.3.256]>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[2001:db8::1]>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[IPv6:1.2.3.4]>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[]>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<a@[1.2.3.4>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@x a@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a\x01z\"@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\"a\\\x7fz\"@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@x:>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<@x,a@b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<" X64 X64 "x@b>", NULL, SMTP_R_SENDER_LONG },
	{ "FROM:<a@" LABEL63 "x.b>", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<" X64 "@" LABEL63 "." LABEL63 "." LABEL63 ">", NULL, SMTP_R_SENDER_LONG },
	{ "FROM:<a@" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".a>", NULL, SMTP_R_SENDER_LONG },
	{ "FROM:<\xc3\xa4@b>", NULL, SMTP_R_NEEDS_UTF8 },
	{ "FROM:<a@\xc3\xa4>", NULL, SMTP_R_NEEDS_UTF8 },
	{ "FROM:<\xed\xa0\x80@b> SMTPUTF8", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<\xf4\x90\x80\x80@b> SMTPUTF8", NULL, SMTP_R_SENDER_BAD },
	{ "FROM:<> SIZE", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SIZE=", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SIZE=-1", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SIZE=1x", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SIZE=1=2", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SIZE=000000000000000000001", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> BODY=9BIT", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> BODY=BINARYMIME", NULL, SMTP_R_PARAM_UNKNOWN },
	{ "FROM:<> RET=ALL", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> SMTPUTF8=1", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> ENVID", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> ENVID=+2b", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> ENVID=+7F", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> ENVID=" X64 X16 X16 "01234", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> =x", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> -X=y", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> X_Y=z", NULL, SMTP_R_PARAM_BAD },
	{ "FROM:<> X-Y=z", NULL, SMTP_R_PARAM_UNKNOWN },
	{ "FROM:<> size=1 SIZE=1", NULL, SMTP_R_PARAM_TWICE },
};

static const struct row rcpts[] = {
	{ "TO:<a@b>", "TO:<a@b>", 0 },
	{ "TO:<postmaster>", "TO:<postmaster>", 0 },
	{ "TO:<PostMaster>", "TO:<PostMaster>", 0 },
	{ "TO:<@x:a@b>", "TO:<a@b>", 0 },
	{ "TO:<a@b> NOTIFY=never", "TO:<a@b> NOTIFY=NEVER", 0 },
	{ "TO:<a@b> NOTIFY=DELAY,FAILURE,SUCCESS", "TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY", 0 },
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb@c", "TO:<a@b> ORCPT=rfc822;a+2Bb@c", 0 },
	{ "TO:<a@b> ORCPT=utf-8;\\x{E4}@b", "TO:<a@b> ORCPT=utf-8;\\x{E4}@b", 0 },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@b", "TO:<a@b> ORCPT=utf-8;\\x{E4}@b", 0 },
	{ "TO:<a@b> ORCPT=utf-8;\\x{1F600}\\x{20AC}", "TO:<a@b> ORCPT=utf-8;\\x{1F600}\\x{20AC}", 0 },
	{ "TO:<\xc3\xa4@b>", "TO:<\xc3\xa4@b>", 0 },
	{ "TO:<>", NULL, SMTP_R_RCPT_BAD },
	{ "TO:<a>", NULL, SMTP_R_RCPT_BAD },
	{ "TO:<\"postmaster\">", NULL, SMTP_R_RCPT_BAD },
	{ "FROM:<a@b>", NULL, SMTP_R_SYNTAX },
	{ "TO:<" X64 X64 "x@b>", NULL, SMTP_R_RCPT_LONG },
	{ "TO:<" X64 X64 "@b>", "TO:<" X64 X64 "@b>", 0 },
	{ "TO:<a@b> SIZE=1", NULL, SMTP_R_PARAM_UNKNOWN },
	{ "TO:<a@b> NOTIFY=", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> NOTIFY=,", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> NOTIFY=DELAY,", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> NOTIFY=DELAY,DELAY", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> NOTIFY=NEVER,SUCCESS", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> NOTIFY=OFTEN", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=rfc822", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=;a", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=rfc822;", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=rfc 822;a", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=rfc822;a+0Ab", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=rfc822;\xc3\xa4", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\x{85}", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\x{D800}", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\x{110000}", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\x{E4", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\x", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\\yyyy}", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;a+b", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;\xff", NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=utf-8;a\\x{2B}b\\x{20}c", "TO:<a@b> ORCPT=utf-8;a\\x{2B}b\\x{20}c", 0 },
	{ "TO:<a@b> ORCPT=rfc822;" X64 X64 X64 X64 X64 X64 X64 X64, NULL, SMTP_R_PARAM_BAD },
	{ "TO:<a@b> ORCPT=x_y;a", NULL, SMTP_R_PARAM_BAD },
};

static void check(const struct row *row, enum smtp_reply_id bad, const struct writer *w, const char *verb)
{
	if (bad != row->bad)
		fail_msg("%s%s: reply %d %s, wanted %d", verb, row->in, bad, smtp_reply_row(bad)->text, row->bad);
	if (row->out == NULL)
		return;
	char want[1024] = { 0 };
	strcat(strcat(strcat(want, verb), row->out), "\r\n");
	assert_string_equal(w->p, want);
}

static void test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof mails / sizeof *mails; i++) {
		struct smtp_mail mail;
		char text[SMTP_LINE_MAX] = { 0 };
		struct writer w = writer_of(text, sizeof text);
		enum smtp_reply_id bad = smtp_parse_mail(slice_str(mails[i].in), ALL, &mail);
		if (bad == SMTP_R_NONE)
			smtp_print_mail(&w, &mail, ALL);
		check(&mails[i], bad, &w, "MAIL ");
	}
}

static void test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rcpts / sizeof *rcpts; i++) {
		struct smtp_rcpt rcpt;
		char text[SMTP_LINE_MAX] = { 0 };
		struct writer w = writer_of(text, sizeof text);
		enum smtp_reply_id bad = smtp_parse_rcpt(slice_str(rcpts[i].in), ALL, true, &rcpt);
		if (bad == SMTP_R_NONE)
			smtp_print_rcpt(&w, &rcpt, ALL);
		check(&rcpts[i], bad, &w, "RCPT ");
	}
}

static void test_not_offered(void **state)
{
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	(void)state;
	static const char *const ones[] = { "SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=x", "REQUIRETLS" };
	for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
		char text[64] = "FROM:<> ";
		strcat(text, ones[i]);
		assert_int_equal(smtp_parse_mail(slice_str(text), 0, &mail), SMTP_R_PARAM_UNKNOWN);
	}
	assert_int_equal(smtp_parse_rcpt(slice_str("TO:<a@b> NOTIFY=NEVER"), 0, false, &rcpt), SMTP_R_PARAM_UNKNOWN);
	assert_int_equal(smtp_parse_rcpt(slice_str("TO:<\xc3\xa4@b>"), ALL, false, &rcpt), SMTP_R_NEEDS_UTF8);
	assert_int_equal(smtp_parse_rcpt(slice_str("TO:<a@\xc3\xa4>"), ALL, false, &rcpt), SMTP_R_NEEDS_UTF8);
	assert_int_equal(smtp_parse_rcpt(slice_str("TO:<\"\xc3\xa4\"@b>"), ALL, false, &rcpt), SMTP_R_NEEDS_UTF8);
	assert_int_equal(smtp_parse_rcpt(slice_str("TO:<a@b> ORCPT=utf-8;\xc3\xa4"), ALL, false, &rcpt), SMTP_R_PARAM_BAD);
}

static void test_verbs(void **state)
{
	struct slice arg;
	(void)state;
	for (unsigned v = 0; v < SMTP_REFUSED; v++)
		assert_int_equal(smtp_verb_find(slice_str(smtp_verb_name(v)), &arg), v);
	assert_int_equal(smtp_verb_find(slice_str("mail  x"), &arg), SMTP_MAIL);
	assert_true(slice_eq(arg, slice_str(" x")));
	assert_int_equal(smtp_verb_find(slice_str("MAILX"), &arg), SMTP_UNKNOWN);
	assert_int_equal(smtp_verb_find(slice_str(" MAIL"), &arg), SMTP_UNKNOWN);
	assert_int_equal(smtp_verb_find(slice_str(""), &arg), SMTP_UNKNOWN);
	assert_int_equal(smtp_verb_find(slice_str("XCLIENT"), &arg), SMTP_REFUSED);
	assert_int_equal(smtp_verb_find(slice_str("get /"), &arg), SMTP_FOREIGN);
	assert_string_equal(smtp_verb_name(SMTP_REFUSED), "refused");
	assert_string_equal(smtp_verb_name(SMTP_UNKNOWN), "unknown");
}

/* decode(encode(x)) is x for every printable string; encode gives no control. */
static void test_xtext_round_trip(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t in[3] = { 'a', (uint8_t)c, 'z' };
		char text[32], back[32];
		struct writer w = writer_of(text, sizeof text), b = writer_of(back, sizeof back);
		xtext_encode(&w, slice_of(in, 3));
		for (size_t i = 0; i < w.len; i++)
			assert_in_range(text[i], 0x21, 0x7e);
		bool printable = c >= 0x20 && c <= 0x7e;
		assert_int_equal(xtext_decode(writer_slice(&w), &b), printable ? EC_OK : EC_SYNTAX);
		if (printable)
			assert_memory_equal(back, in, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),  cmocka_unit_test(test_rcpt),           cmocka_unit_test(test_not_offered),
		cmocka_unit_test(test_verbs), cmocka_unit_test(test_xtext_round_trip),
	};
	return cmocka_run_group_tests_name("smtp/command", tests, NULL, NULL);
}

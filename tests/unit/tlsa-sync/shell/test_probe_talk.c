#include "tlsa-sync/probe_talk.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

/* What the server says, all of it at once or in pieces, and what comes of it. */
static const struct talk_case {
	const char *name;
	const char *server;
	enum ec ec;
	const char *sent;
	const char *words; /* part of the why */
} cases[] = {
	{ "plain", "220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n", EC_OK, "EHLO me\r\nSTARTTLS\r\n", "" },
	{ "long greeting", "220-mx\r\n220 hello\r\n250-mx\r\n250-SIZE 10\r\n250-starttls\r\n250 DSN\r\n220 go\r\n", EC_OK,
	  "EHLO me\r\nSTARTTLS\r\n", "" },
	{ "bare newlines", "220 mx\n250-mx\n250 STARTTLS\n220 go\n", EC_OK, "EHLO me\r\nSTARTTLS\r\n", "" },
	{ "code alone", "220\r\n250-mx\r\n250 STARTTLS\r\n220\r\n", EC_OK, "EHLO me\r\nSTARTTLS\r\n", "" },
	{ "not yet", "220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go", EC_AGAIN, "EHLO me\r\nSTARTTLS\r\n", "" },
	{ "nothing", "", EC_AGAIN, "", "" },
	{ "greylisted", "421 4.7.0 later\r\n", EC_CLOSED, "", "421 4.7.0 later" },
	{ "EHLO refused", "220 mx\r\n502 what\r\n", EC_CLOSED, "EHLO me\r\n", "502 what" },
	{ "no STARTTLS", "220 mx\r\n250-mx\r\n250 SIZE\r\n", EC_UNSUPPORTED, "EHLO me\r\n", "not offered" },
	{ "STARTTLS is a host name, not an offer", "220 mx\r\n250-STARTTLS\r\n250 SIZE\r\n", EC_UNSUPPORTED, "EHLO me\r\n",
	  "not offered" },
	{ "STARTTLS alone on the first line", "220 mx\r\n250 STARTTLS\r\n", EC_UNSUPPORTED, "EHLO me\r\n", "not offered" },
	{ "STARTTLSX", "220 mx\r\n250-mx\r\n250 STARTTLSX\r\n", EC_UNSUPPORTED, "EHLO me\r\n", "not offered" },
	{ "STARTTLS refused", "220 mx\r\n250-mx\r\n250 STARTTLS\r\n454 no\r\n", EC_UNSUPPORTED, "EHLO me\r\nSTARTTLS\r\n",
	  "454 no" },
	{ "bytes after the 220", "220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n", EC_SYNTAX,
	  "EHLO me\r\nSTARTTLS\r\n", "bytes follow" },
	{ "not SMTP", "SSH-2.0-x\r\n", EC_SYNTAX, "", "SSH-2.0-x" },
	{ "two digits", "22 mx\r\n", EC_SYNTAX, "", "not an SMTP reply" },
	{ "code glued to text", "220mx\r\n", EC_SYNTAX, "", "not an SMTP reply" },
	{ "code changes", "220-mx\r\n250 mx\r\n", EC_SYNTAX, "", "changes" },
	{ "empty line", "\r\n", EC_SYNTAX, "", "not an SMTP reply" },
	{ "control bytes are not shown raw", "421 \x1b[31m\r\n", EC_CLOSED, "", "421 ?[31m" },
};

struct result {
	enum ec ec;
	char sent[256];
	struct why why;
};

static struct result run(const char *server, size_t len, size_t cut)
{
	struct result r = { .ec = EC_AGAIN };
	struct probe_talk *t = calloc(1, sizeof *t);
	assert_non_null(t);
	struct writer w = writer_of(r.sent, sizeof r.sent);
	for (size_t at = 0; at < len && r.ec == EC_AGAIN; at += cut)
		r.ec = probe_talk_feed(t, slice_of(server + at, at + cut < len ? cut : len - at), "me", &w, &r.why);
	assert_false(w.bad);
	free(t);
	return r;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		const struct talk_case *c = &cases[i];
		struct result r = run(c->server, strlen(c->server), strlen(c->server) + 1);
		if (r.ec != c->ec || strcmp(r.sent, c->sent) != 0 || strstr(r.why.text, c->words) == NULL)
			fail_msg("%s: %s, sent \"%s\", why \"%s\"", c->name, ec_name(r.ec), r.sent, r.why.text);
	}
}

/* In pieces the outcome is the same, but for bytes after the last 220: those in
 * a later piece are TLS's business, and are seen there. */
static void test_split_invariance(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		const struct talk_case *c = &cases[i];
		for (size_t cut = 1; cut < 40; cut++) {
			struct result whole = run(c->server, strlen(c->server), strlen(c->server) + 1);
			struct result r = run(c->server, strlen(c->server), cut);
			bool later = strcmp(c->name, "bytes after the 220") == 0 && r.ec == EC_OK;
			if (!later && (r.ec != whole.ec || strcmp(r.sent, whole.sent) != 0 || strcmp(r.why.text, whole.why.text) != 0))
				fail_msg("%s, cut at %zu: %s, not %s", c->name, cut, ec_name(r.ec), ec_name(whole.ec));
		}
	}
}

static void test_bounds(void **state)
{
	(void)state;
	static char flood[PROBE_TALK_MAX + 4096];
	memset(flood, 'x', sizeof flood);
	assert_int_equal(run(flood, sizeof flood, 1000).ec, EC_LIMIT); /* one endless line */
	for (size_t i = 0; i + 8 <= sizeof flood; i += 8)
		memcpy(flood + i, "220-xx\r\n", 8);
	assert_int_equal(run(flood, sizeof flood, 1000).ec, EC_LIMIT); /* an endless greeting */
	assert_int_equal(run("220 m\0x\r\n", 9, 100).ec, EC_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_split_invariance),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

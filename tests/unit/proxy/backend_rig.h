/* Owns:  a backend dialogue by itself, and what tests ask of it.
 * Never: –
 * Spec:  proxy/relay/backend.h, "The contract".
 * Start at: ready. */
#ifndef TESTS_BACKEND_RIG_H
#define TESTS_BACKEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/relay/backend.h"

static inline struct backend *started(const struct backend_client *xclient)
{
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .xclient = xclient };
	struct backend *b = backend_new(&setup);
	assert_non_null(b);
	return b;
}

static inline void assert_output(struct backend *b, const char *want)
{
	struct slice out = backend_output(b);
	if (!slice_eq(out, slice_str(want)))
		fail_msg("sent '%.*s', wanted '%s'", (int)out.len, (const char *)out.p, want);
	backend_sent(b);
}

static inline void feed(struct backend *b, const char *text)
{
	size_t used;
	backend_feed(b, slice_str(text), &used);
	assert_int_equal(used, strlen(text));
}

static inline struct backend_event pull(struct backend *b, enum backend_event_kind kind)
{
	struct backend_event ev;
	if (!backend_next(b, &ev))
		fail_msg("no event, wanted %d", kind);
	assert_int_equal(ev.kind, kind);
	return ev;
}

static inline void assert_quiet(struct backend *b)
{
	struct backend_event ev;
	assert_false(backend_next(b, &ev));
}

static inline struct backend *ready(void)
{
	struct backend *b = started(NULL);
	assert_output(b, "");
	feed(b, "220 mta\r\n");
	assert_output(b, "EHLO edge.test\r\n");
	feed(b, "250-mta\r\n250-PIPELINING\r\n250-DSN\r\n250-size 1000\r\n250 XCLIENT NAME ADDR\r\n");
	struct backend_event ev = pull(b, BACKEND_EV_READY);
	assert_int_equal(ev.caps->flags, SMTP_CAP_PIPELINING | SMTP_CAP_DSN | SMTP_CAP_SIZE | SMTP_CAP_XCLIENT);
	assert_int_equal(ev.caps->size_max, 1000);
	assert_quiet(b);
	return b;
}

static inline void envelope(struct backend *b)
{
	static const struct smtp_mail mail;
	static const struct smtp_rcpt rcpt = { .path = { .local_len = 10, .local = "postmaster" } };
	backend_mail(b, &mail);
	backend_rcpt(b, &rcpt);
}

#endif

/* Out of memory at every place in turn: the dialogue ends or says 4yz, and nothing
 * else happens; a message is never acknowledged on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/relay/backend.h"
#include "proxy/smtp/session.h"

/* The allocation that fails, counted from 1; 0: none does. */
static unsigned fail_at;
static unsigned num_failed;

void *__real_calloc(size_t num, size_t size);
void *__wrap_calloc(size_t num, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool fails(void)
{
	if (fail_at == 0 || --fail_at > 0)
		return false;
	num_failed++;
	return true;
}

void *__wrap_calloc(size_t num, size_t size)
{
	return fails() ? NULL : __real_calloc(num, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

struct run {
	struct smtp_session *s;
	struct backend *b;
	bool closed, lost, yes;
	bool said; /* that something is wrong */
	unsigned accepted;
	const char *mta; /* what the backend's server says, a reply per question */
};

static void drop(struct run *r)
{
	backend_free(r->b);
	r->b = NULL;
	r->lost = true;
}

static void act(struct run *r, const struct smtp_event *ev)
{
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .tls = BACKEND_TLS_MAY };
	switch (ev->kind) {
	case SMTP_EV_REPLY:
		assert_true(!ev->message || ev->code != 250 || r->yes);
		r->accepted += ev->message && ev->code == 250;
		r->said = r->said || ev->code / 100 == 4;
		break;
	case SMTP_EV_START_TLS:
		smtp_session_tls_done(r->s, &(struct smtp_tls_info){ 0 });
		break;
	case SMTP_EV_OPEN_BACKEND:
		r->b = backend_new(&setup);
		if (r->b == NULL)
			smtp_session_backend_lost(r->s, SMTP_WHY_NO_MEMORY);
		break;
	case SMTP_EV_MAIL:
		backend_mail(r->b, ev->mail);
		break;
	case SMTP_EV_RCPT:
		backend_rcpt(r->b, ev->rcpt);
		break;
	case SMTP_EV_DATA:
		backend_data(r->b);
		break;
	case SMTP_EV_CHUNK:
		backend_chunk(r->b, ev->chunk_size, ev->chunk_last);
		break;
	case SMTP_EV_CHUNK_END:
		backend_chunk_end(r->b);
		break;
	case SMTP_EV_COMMIT:
		backend_commit(r->b);
		break;
	case SMTP_EV_RESET:
		backend_reset(r->b);
		break;
	case SMTP_EV_ABORT:
		drop(r);
		break;
	case SMTP_EV_CLOSE:
		r->closed = true;
		r->said = r->said || ev->reason == SMTP_WHY_NO_MEMORY;
		break;
	default:
		break;
	}
}

static bool step_backend(struct run *r)
{
	struct backend_event ev;
	size_t used;
	if (r->b == NULL)
		return false;
	if (backend_next(r->b, &ev)) {
		if (ev.kind == BACKEND_EV_START_TLS) {
			backend_tls_done(r->b);
		} else if (ev.kind == BACKEND_EV_READY) {
			smtp_session_backend_ready(r->s, ev.caps, false);
		} else if (ev.kind == BACKEND_EV_ANSWER) {
			smtp_session_backend_answer(r->s, ev.answer);
		} else {
			drop(r);
			smtp_session_backend_lost(r->s, ev.reason);
		}
		return true;
	}
	backend_sent(r->b);
	const char *end = strstr(r->mta, "\r\n\r\n");
	if (*r->mta == '\0' || backend_deadline(r->b) == BACKEND_DEADLINE_NONE || backend_deadline(r->b) == BACKEND_DEADLINE_IDLE)
		return false;
	size_t len = end != NULL ? (size_t)(end - r->mta) + 2 : strlen(r->mta);
	r->yes = len > 7 && memmem(r->mta, len, "stored", 6) != NULL;
	backend_feed(r->b, slice_of(r->mta, len), &used);
	r->mta += len + (end != NULL ? 2 : 0);
	return true;
}

/* Plays `client` with the n-th allocation failing; false when it has fewer. */
static bool play(const char *client, const char *mta, unsigned n, unsigned *out_accepted)
{
	static const struct smtp_limits limits = { "edge.test", 0, 10, 100, 10, 10, SMTP_BARE_REJECT, NULL };
	struct smtp_setup setup = { .limits = &limits, .caps = { .flags = UINT32_MAX }, .tls_offered = true, .id = SLICE_LIT("x") };
	struct run r = { .mta = mta };
	struct slice in = slice_str(client);
	fail_at = n;
	num_failed = 0;
	r.s = smtp_session_new(&setup);
	if (r.s != NULL)
		smtp_session_greet(r.s);
	for (bool moved = r.s != NULL; moved && !r.closed;) {
		struct smtp_event ev;
		size_t used = 0;
		moved = false;
		while (!r.closed && smtp_session_next(r.s, &ev)) {
			act(&r, &ev);
			moved = true;
		}
		if (step_backend(&r) || moved) {
			moved = true;
			continue;
		}
		/* STARTTLS must be the last in hand: one line at a time. */
		const uint8_t *lf = in.len > 0 ? memchr(in.p, '\n', in.len) : NULL;
		smtp_session_feed(r.s, slice_first(in, lf != NULL ? (size_t)(lf - in.p) + 1 : in.len), &used);
		in = slice_from(in, used);
		moved = used > 0;
		while (!r.closed && smtp_session_next(r.s, &ev)) {
			act(&r, &ev);
			moved = true;
		}
	}
	fail_at = 0;
	assert_true(num_failed == 0 || r.s == NULL || r.lost || r.said); /* never in silence */
	assert_true(r.s == NULL || r.closed || r.lost);
	backend_free(r.b);
	smtp_session_free(r.s);
	*out_accepted = r.accepted;
	return num_failed > 0;
}

static void sweep(const char *client, const char *mta, unsigned messages)
{
	unsigned accepted, n = 0;
	while (play(client, mta, ++n, &accepted))
		assert_in_range(accepted, 0, messages);
	assert_int_equal(accepted, messages); /* and with enough memory it is a good dialogue */
	assert_in_range(n, 10, 1000);
}

#define HELLO "220 mta\r\n\r\n250-mta\r\n250-PIPELINING\r\n250 CHUNKING\r\n\r\n"
#define HELLO_TLS "220 mta\r\n\r\n250-mta\r\n250 STARTTLS\r\n\r\n220 go\r\n\r\n250-mta\r\n250 PIPELINING\r\n\r\n"
#define ENVELOPE_OK "250 ok\r\n\r\n250 ok\r\n\r\n"

static void test_sweep(void **state)
{
	(void)state;
	sweep("EHLO me\r\nSTARTTLS\r\nEHLO me\r\nFOO\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\nNOOP\r\nQUIT\r\n",
	      HELLO ENVELOPE_OK "354 go\r\n\r\n250 stored\r\n", 1);
	sweep("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n", HELLO_TLS ENVELOPE_OK "354 go\r\n\r\n250 stored\r\n", 1);
	sweep("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nx\nBDAT 2 LAST\r\nx\nMAIL FROM:<a@b>\r\nRSET\r\nQUIT\r\n",
	      HELLO ENVELOPE_OK, 0);
	sweep("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nx\r\nBDAT 1 LAST\r\nyVRFY x\r\nQUIT\r\n",
	      HELLO ENVELOPE_OK "250 taken\r\n\r\n250 stored\r\n", 1);
	sweep("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nxMAIL FROM:<a@b>\r\nQUIT\r\n",
	      HELLO ENVELOPE_OK "452 full\r\n\r\n250 ok\r\n", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sweep) };
	return cmocka_run_group_tests_name("smtp, out of memory", tests, NULL, NULL);
}

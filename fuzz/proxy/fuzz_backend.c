/* The dialogue with a hostile backend, SMTP or LMTP, with or without TLS. The first octet
 * chooses; then come the backend's bytes, where 0xff and the octet behind it are something
 * that our side does: when it is time for a handshake, that the handshake is done.
 * Oracles: bounded, silent after LOST, answers only to what was asked, each printable as one
 * good line; STARTTLS once at most, nothing but it before TLS if TLS must be, and no octet
 * between its 220 and the handshake, either way. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/relay/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { XCLIENT = 1, XFORWARD = 4, LMTP = 32, TLS_SHIFT = 6 };

struct run {
	struct backend *b;
	struct backend_setup setup;
	bool shaking, in_tls, asked_tls;
	struct bytes in;
	bool ready, lost, mail, data, body, dot;
	bool chunk, chunk_due, chunks; /* octets under way; unanswered; behind one */
	unsigned rcpts, accepted;
};

static void on_answer(struct run *r, const struct smtp_answer *a)
{
	char text[SMTP_REPLY_LINE_MAX + 1];
	struct writer w = writer_of(text, sizeof text);
	smtp_answer_print(&w, a->code, "5.0.0", a);
	assert(!w.bad && w.len >= 6 && memcmp(text + w.len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < w.len - 2; i++)
		assert(text[i] >= 0x20 && text[i] < 0x7f);
	if (r->rcpts > 0) {
		r->rcpts--;
		assert(a->code / 100 != 3);
		r->accepted += a->code / 100 == 2;
	} else if (r->data) {
		r->data = false;
		r->body = a->code == 354;
		assert(r->body || a->code >= 400);
	} else if (r->chunk_due) {
		r->chunk_due = false;
		assert(a->code == 250 || a->code >= 400);
	} else {
		assert(r->dot);
		r->dot = false;
		/* A last chunk that was refused wants RSET. */
		r->mail = r->chunks && a->code != 250;
		assert(a->code == 250 || a->code >= 400);
	}
}

static bool begins(struct slice s, const char *word)
{
	return s.len >= strlen(word) && memcmp(s.p, word, strlen(word)) == 0;
}

/* Every line that goes out while the dialogue gets ready. */
static void check_output(struct run *r)
{
	struct slice out = backend_output(r->b);
	assert(out.len == 0 || (!r->lost && !r->shaking));
	while (out.len > 0 && !r->ready) {
		const uint8_t *lf = memchr(out.p, '\n', out.len);
		assert(lf != NULL && lf > out.p && lf[-1] == '\r');
		assert(begins(out, r->setup.lmtp ? "LHLO " : "EHLO ") || begins(out, "STARTTLS\r\n") || begins(out, "XCLIENT "));
		if (begins(out, "STARTTLS")) {
			assert(r->setup.tls != BACKEND_TLS_NONE && !r->asked_tls);
			r->asked_tls = true;
		}
		assert(r->setup.tls != BACKEND_TLS_MUST || r->in_tls || !begins(out, "XCLIENT"));
		out = slice_from(out, (size_t)(lf - out.p) + 1);
	}
	assert(!r->in_tls || r->asked_tls);
}

static void on_lost(struct run *r, const struct backend_event *ev)
{
	assert(ev->words != NULL);
	assert(ev->reason != SMTP_WHY_HOP_NO_STARTTLS || (r->setup.tls == BACKEND_TLS_MUST && !r->in_tls && !r->shaking));
	r->lost = true;
	r->shaking = false;
}

static void pull(struct run *r)
{
	struct backend_event ev;
	while (backend_next(r->b, &ev)) {
		assert(!r->lost);
		switch (ev.kind) {
		case BACKEND_EV_START_TLS:
			assert(r->asked_tls && !r->in_tls && !r->shaking && !r->ready && bytes_len(&r->in) == 0);
			assert(!backend_free_for_use(r->b) && backend_deadline(r->b) == BACKEND_DEADLINE_REPLY);
			r->shaking = true;
			break;
		case BACKEND_EV_READY:
			assert(!r->ready && !r->shaking && (r->setup.tls != BACKEND_TLS_MUST || r->in_tls));
			r->ready = true;
			break;
		case BACKEND_EV_ANSWER:
			on_answer(r, ev.answer);
			break;
		case BACKEND_EV_LOST:
			on_lost(r, &ev);
			break;
		case BACKEND_EV_QUIT:
			r->lost = true;
			break;
		}
	}
	check_output(r);
	backend_sent(r->b);
}

static void feed(struct run *r)
{
	size_t used = 1;
	bool clear = r->shaking && bytes_len(&r->in) > 0;
	while (used > 0 && bytes_len(&r->in) > 0) {
		backend_feed(r->b, bytes_slice(&r->in), &used);
		assert(used <= bytes_len(&r->in));
		bytes_consume(&r->in, used);
		pull(r);
	}
	assert(bytes_len(&r->in) < BACKEND_LINE_MAX);
	assert(!clear || r->lost);
}

/* Announces a chunk, or says that it is all out. */
static void act_chunk(struct run *r, uint8_t what, bool calm)
{
	if (r->chunk && (what & 1) != 0) {
		backend_commit(r->b);
		r->chunk = false;
		r->dot = true;
	} else if (r->chunk) {
		backend_chunk_end(r->b);
		r->chunk = false;
		r->chunk_due = true;
	} else if (r->mail && calm && r->accepted > 0) {
		backend_chunk(r->b, what, (what & 2) != 0);
		r->chunk = r->chunks = true;
	}
}

/* Does what a session might do now. */
static void act(struct run *r, uint8_t what)
{
	static const struct smtp_mail mail;
	static const struct smtp_rcpt rcpt = { .path = { .local_len = 10, .local = "postmaster" } };
	if (r->shaking && what % 8 < 6) {
		r->shaking = false;
		r->in_tls = true;
		backend_tls_done(r->b);
		pull(r);
		return;
	}
	bool calm = r->rcpts == 0 && !r->data && !r->body && !r->dot && !r->chunk && !r->chunk_due;
	if (what >= 128) {
		act_chunk(r, what, calm);
		pull(r);
		return;
	}
	switch (what % 8) {
	case 0:
		if (backend_free_for_use(r->b) && calm && !r->mail) {
			backend_mail(r->b, &mail);
			r->mail = true;
			r->chunks = false;
			r->accepted = 0;
		}
		break;
	case 1:
		if (r->mail && !r->data && !r->body && !r->dot && !r->chunks && r->rcpts < (r->setup.lmtp ? 1 : 32) &&
		    (!r->setup.lmtp || r->accepted == 0)) {
			backend_rcpt(r->b, &rcpt);
			r->rcpts++;
		}
		break;
	case 2:
		if (r->mail && calm && !r->chunks) {
			backend_data(r->b);
			r->data = true;
		}
		break;
	case 3:
		if (r->body) {
			backend_commit(r->b);
			r->body = false;
			r->dot = true;
		}
		break;
	case 4:
		if (r->mail && calm) {
			backend_reset(r->b);
			r->mail = false;
		}
		break;
	case 5:
		if (backend_free_for_use(r->b))
			backend_quit(r->b);
		break;
	case 6:
		backend_eof(r->b);
		break;
	default:
		backend_timeout(r->b);
		break;
	}
	pull(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct backend_client client = { .addr = SLICE_LIT("2001:db8::1"), .port = 1, .helo = SLICE_LIT("x\r\ny"), .esmtp = true };
	struct run r = { .setup.hostname = SLICE_LIT("edge.test") };
	if (len < 1)
		return 0;
	if ((data[0] & XCLIENT) != 0)
		r.setup.xclient = &client;
	else if ((data[0] & XFORWARD) != 0)
		r.setup.xforward = &client;
	r.setup.lmtp = (data[0] & LMTP) != 0;
	r.setup.tls = data[0] >> TLS_SHIFT >= 2 ? BACKEND_TLS_MUST : data[0] >> TLS_SHIFT == 1 ? BACKEND_TLS_MAY : BACKEND_TLS_NONE;
	r.b = backend_new(&r.setup);
	assert(r.b != NULL);
	for (size_t i = 1; i < len && !r.lost;) {
		const uint8_t *mark = memchr(data + i, 0xff, len - i);
		size_t n = mark != NULL ? (size_t)(mark - data) - i : len - i;
		if (n > 0 && bytes_append(&r.in, slice_of(data + i, n)) != EC_OK)
			abort();
		feed(&r);
		i += n + 1;
		if (mark != NULL && i < len && !r.lost)
			act(&r, data[i++]);
	}
	backend_free(r.b);
	bytes_fini(&r.in);
	return 0;
}

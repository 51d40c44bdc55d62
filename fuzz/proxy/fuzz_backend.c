/* The dialogue with a hostile backend. The input is its bytes; 0xff and the
 * octet behind it are something that our side does. Oracles: bounded, silent
 * after LOST, answers only to what was asked, each printable as one good line. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/relay/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	struct backend *b;
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

static void pull(struct run *r)
{
	struct backend_event ev;
	while (backend_next(r->b, &ev)) {
		assert(!r->lost);
		switch (ev.kind) {
		case BACKEND_EV_READY:
			assert(!r->ready);
			r->ready = true;
			break;
		case BACKEND_EV_ANSWER:
			on_answer(r, ev.answer);
			break;
		case BACKEND_EV_LOST:
			assert(ev.words != NULL);
			r->lost = true;
			break;
		case BACKEND_EV_QUIT:
			r->lost = true;
			break;
		}
	}
	assert(!r->lost || backend_output(r->b).len == 0);
	backend_sent(r->b);
}

static void feed(struct run *r)
{
	size_t used = 1;
	while (used > 0 && bytes_len(&r->in) > 0) {
		backend_feed(r->b, bytes_slice(&r->in), &used);
		assert(used <= bytes_len(&r->in));
		bytes_consume(&r->in, used);
		pull(r);
	}
	assert(bytes_len(&r->in) < BACKEND_LINE_MAX);
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
		if (r->mail && !r->data && !r->body && !r->dot && !r->chunks && r->rcpts < 32) {
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
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test") };
	struct run r = { 0 };
	if (len < 1)
		return 0;
	if ((data[0] & 1) != 0)
		setup.xclient = &client;
	r.b = backend_new(&setup);
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

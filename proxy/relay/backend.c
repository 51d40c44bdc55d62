#include "proxy/relay/backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/relay/backend_int.h"

static const struct step_row steps[] = {
	[BE_GREETING] = { "greeting", STEP(BE_STARTTLS) | STEP(BE_IDLE) | STEP(BE_DEAD) },
	[BE_STARTTLS] = { "starttls", STEP(BE_TLS) | STEP(BE_GREETING) | STEP(BE_DEAD) },
	[BE_TLS] = { "tls", STEP(BE_GREETING) | STEP(BE_DEAD) },
	[BE_IDLE] = { "idle", STEP(BE_MAIL) | STEP(BE_QUIT) | STEP(BE_DEAD) },
	[BE_MAIL] = { "mail", STEP(BE_BODY) | STEP(BE_IDLE) | STEP(BE_DEAD) },
	[BE_BODY] = { "body", STEP(BE_CHUNKS) | STEP(BE_FINAL) | STEP(BE_DEAD) },
	[BE_CHUNKS] = { "chunks", STEP(BE_BODY) | STEP(BE_IDLE) | STEP(BE_DEAD) },
	[BE_FINAL] = { "final", STEP(BE_IDLE) | STEP(BE_CHUNKS) | STEP(BE_DEAD) },
	[BE_QUIT] = { "quit", STEP(BE_DEAD) },
	[BE_DEAD] = { "dead", 0 },
};
_Static_assert(sizeof steps / sizeof *steps == BE_COUNT, "one row per state");

void backend_enter(struct backend *b, enum state to)
{
	assert(step_allowed(steps, BE_COUNT, b->state, to));
	b->state = to;
	b->progress++;
}

void backend_emit(struct backend *b, struct backend_event ev)
{
	assert(b->num_events < EVENTS_MAX);
	b->events[b->num_events++] = ev;
}

void backend_fail(struct backend *b, enum smtp_reason reason, const char *words)
{
	if (b->state == BE_DEAD)
		return;
	if (b->state == BE_TLS)
		b->num_events = b->next_event = 0; /* no handshake is to begin any more */
	backend_enter(b, BE_DEAD);
	bytes_fini(&b->out);
	bytes_fini(&b->held);
	b->num_asked = b->num_sent = 0;
	backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_LOST, .reason = reason, .words = words });
}

static void tidy(struct backend *b)
{
	if (b->next_event == b->num_events)
		b->next_event = b->num_events = 0;
}

/* Moves lines from `held` to `out`: all that a pipelining backend may get, one
 * by one for others (RFC 2920). */
static void release(struct backend *b)
{
	bool pipelining = (b->offer.caps.flags & SMTP_CAP_PIPELINING) != 0;
	while (b->num_sent < b->num_asked && (pipelining || b->num_sent == 0) && bytes_len(&b->held) > 0) {
		struct slice held = bytes_slice(&b->held);
		const uint8_t *lf = memchr(held.p, '\n', held.len);
		assert(lf != NULL);
		size_t len = (size_t)(lf - held.p) + 1;
		if (bytes_append(&b->out, slice_first(held, len)) != EC_OK) {
			backend_fail(b, SMTP_WHY_NO_MEMORY, "out of memory");
			return;
		}
		bytes_consume(&b->held, len);
		b->num_sent++;
	}
}

void backend_ask(struct backend *b, enum asked what, struct slice line)
{
	if (b->num_asked == ASKED_MAX || bytes_append(&b->held, line) != EC_OK) {
		backend_fail(b, SMTP_WHY_NO_MEMORY, "too many commands at once");
		return;
	}
	b->asked[b->num_asked++] = (uint8_t)what;
	release(b);
}

/* Before each MAIL: the backend forgets it at the end of the transaction. */
static void ask_xforward(struct backend *b)
{
	char where[XFORWARD_LINE_MAX], who[XFORWARD_LINE_MAX];
	struct writer w = writer_of(where, sizeof where), v = writer_of(who, sizeof who);
	client_info_xforward_where(&w, &b->client, b->offer.xforward);
	client_info_xforward_who(&v, &b->client, b->offer.xforward);
	assert(!w.bad && !v.bad);
	backend_ask(b, ASK_XFORWARD, writer_slice(&w)); /* without ADDR we would not be here */
	if (b->state != BE_DEAD && v.len > 0)
		backend_ask(b, ASK_XFORWARD, writer_slice(&v));
}

static void copy_text(char *to, size_t cap, struct slice from)
{
	from = slice_first(from, cap - 1);
	if (from.len > 0)
		memcpy(to, from.p, from.len);
	to[from.len] = '\0';
}

struct backend *backend_new(const struct backend_setup *setup)
{
	struct backend *b = calloc(1, sizeof *b);
	if (b == NULL)
		return NULL;
	copy_text(b->hostname, sizeof b->hostname, setup->hostname);
	copy_text(b->own_name, sizeof b->own_name, setup->own_name);
	b->use_xclient = setup->xclient != NULL;
	b->use_xforward = setup->xforward != NULL;
	b->lmtp = setup->lmtp;
	b->tls = setup->tls;
	const struct backend_client *client = b->use_xclient ? setup->xclient : setup->xforward;
	if (client != NULL) {
		copy_text(b->client.addr, sizeof b->client.addr, client->addr);
		copy_text(b->client.helo, sizeof b->client.helo, client->helo);
		copy_text(b->client.id, sizeof b->client.id, client->id);
		b->client.port = client->port;
		b->client.esmtp = client->esmtp;
	}
	b->asked[0] = ASK_GREETING;
	b->num_asked = b->num_sent = 1;
	return b;
}

void backend_free(struct backend *b)
{
	if (b == NULL)
		return;
	bytes_fini(&b->out);
	bytes_fini(&b->held);
	free(b);
}

struct slice backend_output(const struct backend *b)
{
	return bytes_slice(&b->out);
}

void backend_sent(struct backend *b)
{
	bytes_fini(&b->out);
}

bool backend_next(struct backend *b, struct backend_event *out)
{
	if (b->next_event == b->num_events)
		return false;
	*out = b->events[b->next_event++];
	return true;
}

static void give_answer(struct backend *b, const struct answer_reader *from)
{
	b->answer = answer_get(from);
	backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_ANSWER, .answer = &b->answer });
}

/* Which reply codes are a yes to what; refusals are looked at before. */
static bool is_yes(enum asked what, uint16_t code)
{
	switch (what) {
	case ASK_GREETING:
	case ASK_STARTTLS:
	case ASK_XCLIENT:
		return code == 220;
	case ASK_DATA:
		return code == 354;
	case ASK_RCPT:
		return code == 250 || code == 251 || code == 252;
	default:
		return code == 250;
	}
}

static void on_yes(struct backend *b, enum asked what)
{
	switch (what) {
	case ASK_GREETING:
	case ASK_EHLO:
	case ASK_STARTTLS:
	case ASK_XCLIENT:
		backend_greet_yes(b, what);
		break;
	case ASK_RCPT:
		/* A recipient for a sender it has refused is worth nothing: no message follows. */
		give_answer(b, b->mail_refused ? &b->refusal : &b->reader);
		break;
	case ASK_DATA:
		backend_enter(b, BE_BODY);
		give_answer(b, &b->reader);
		break;
	case ASK_CHUNK:
		give_answer(b, &b->reader);
		break;
	case ASK_LAST:
	case ASK_DOT:
		backend_enter(b, BE_IDLE);
		give_answer(b, &b->reader);
		break;
	default:
		break; /* XFORWARD, MAIL and RSET: as hoped */
	}
}

static void on_no(struct backend *b, enum asked what)
{
	switch (what) {
	case ASK_GREETING:
	case ASK_EHLO:
	case ASK_STARTTLS:
	case ASK_XCLIENT:
		backend_greet_no(b, what);
		break;
	case ASK_XFORWARD:
		backend_fail(b, SMTP_WHY_BACKEND_CONFIG, "the backend refused XFORWARD");
		break;
	case ASK_MAIL:
		b->mail_refused = true;
		b->refusal = b->reader;
		break;
	case ASK_RCPT:
		give_answer(b, b->mail_refused ? &b->refusal : &b->reader);
		break;
	case ASK_DATA:
	case ASK_CHUNK:
		give_answer(b, &b->reader);
		break;
	case ASK_LAST:
		backend_enter(b, BE_CHUNKS);
		give_answer(b, &b->reader);
		break;
	case ASK_DOT:
		backend_enter(b, BE_IDLE);
		give_answer(b, &b->reader);
		break;
	default:
		backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, "the backend refused RSET");
		break;
	}
}

/* The backend wants a login or TLS: that is between it and us, and no reason to
 * bounce a stranger's mail. RFC 4954 6, RFC 3207 4. */
static bool is_about_us(uint16_t code)
{
	return code == 530 || code == 534 || code == 535 || code == 538;
}

static void on_reply(struct backend *b)
{
	uint16_t code = b->reader.code;
	b->progress++;
	if (b->num_sent == 0) {
		backend_fail(b, code == 421 ? SMTP_WHY_BACKEND_CLOSING : SMTP_WHY_BACKEND_GARBAGE, "a reply that nobody asked for");
		return;
	}
	enum asked what = b->asked[0];
	b->num_asked--;
	b->num_sent--;
	memmove(b->asked, b->asked + 1, b->num_asked);
	if (what == ASK_QUIT) {
		backend_enter(b, BE_DEAD);
		backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_QUIT });
	} else if (is_yes(what, code)) {
		on_yes(b, what);
	} else if (code == 421) {
		backend_fail(b, SMTP_WHY_BACKEND_CLOSING, "the backend is closing (421)");
	} else if (code < 400) {
		backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, "a reply of the wrong class");
	} else if (is_about_us(code) && what != ASK_STARTTLS) {
		backend_fail(b, SMTP_WHY_BACKEND_CONFIG, "the backend wants us to log in or to use TLS");
	} else {
		on_no(b, what);
	}
	if (b->state != BE_DEAD)
		release(b);
}

/* One line of a reply. Returns false when the reply is complete or lost. */
static bool one_line(struct backend *b, struct slice line)
{
	struct slice text;
	bool first = !b->in_reply;
	if (first)
		answer_init(&b->reader); /* not earlier: an ANSWER borrowed from it */
	b->in_reply = true;
	enum ec ec = answer_line(&b->reader, line, &text);
	if (ec != EC_OK && ec != EC_AGAIN) {
		backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, ec == EC_LIMIT ? "an endless reply" : "not an SMTP reply");
		return false;
	}
	if (!first && b->num_sent > 0 && b->asked[0] == ASK_EHLO && b->reader.code == 250)
		ehlo_offer_read(&b->offer, text);
	if (ec == EC_AGAIN)
		return true;
	b->in_reply = false;
	on_reply(b);
	return false;
}

/* A line must be here whole, within bounds, and clean. */
static enum ec next_line(struct slice in, struct slice *out_line, size_t *out_used)
{
	const uint8_t *lf = in.len > 0 ? memchr(in.p, '\n', in.len < BACKEND_LINE_MAX ? in.len : BACKEND_LINE_MAX) : NULL;
	if (lf == NULL)
		return in.len < BACKEND_LINE_MAX ? EC_AGAIN : EC_LINE_LONG;
	size_t len = (size_t)(lf - in.p);
	if (len == 0 || in.p[len - 1] != '\r')
		return EC_BARE_LF;
	*out_line = slice_first(in, len - 1);
	*out_used = len + 1;
	if (memchr(in.p, '\r', len - 1) != NULL)
		return EC_BARE_CR;
	return memchr(in.p, '\0', len - 1) != NULL ? EC_NUL : EC_OK;
}

void backend_feed(struct backend *b, struct slice in, size_t *out_used)
{
	*out_used = 0;
	tidy(b);
	if (b->state == BE_TLS && in.len > 0)
		backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, "octets in clear behind the 220 to STARTTLS");
	bool more = b->num_events == 0;
	while (more && b->state != BE_DEAD) {
		struct slice line = { 0 };
		size_t used = 0;
		enum ec ec = next_line(slice_from(in, *out_used), &line, &used);
		if (ec == EC_AGAIN)
			return;
		if (ec != EC_OK) {
			backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, ec_text(ec));
			break;
		}
		*out_used += used;
		unsigned sent = b->num_sent;
		more = one_line(b, line);
		/* The last question is answered, and more is in hand: whatever we ask
		 * next, this can't be the answer to it (compare CVE-2021-38371). */
		if (!more && b->state != BE_DEAD && sent <= 1 && *out_used < in.len)
			backend_fail(b, SMTP_WHY_BACKEND_GARBAGE, "a reply before the question");
		more = more || b->num_events == 0;
	}
	if (b->state == BE_DEAD)
		*out_used = in.len;
}

void backend_mail(struct backend *b, const struct smtp_mail *mail)
{
	char text[SMTP_LINE_MAX];
	struct writer w = writer_of(text, sizeof text);
	tidy(b);
	if (b->state == BE_DEAD)
		return;
	b->mail_refused = b->chunked = false;
	backend_enter(b, BE_MAIL);
	if (b->use_xforward) {
		ask_xforward(b);
		if (b->state == BE_DEAD)
			return;
	}
	smtp_print_mail(&w, mail, b->offer.caps.flags);
	assert(!w.bad);
	backend_ask(b, ASK_MAIL, writer_slice(&w));
}

void backend_rcpt(struct backend *b, const struct smtp_rcpt *rcpt)
{
	char text[SMTP_LINE_MAX + 3 * SMTP_ORCPT_MAX];
	struct writer w = writer_of(text, sizeof text);
	tidy(b);
	if (b->state != BE_MAIL)
		return;
	smtp_print_rcpt(&w, rcpt, b->offer.caps.flags);
	assert(!w.bad);
	backend_ask(b, ASK_RCPT, writer_slice(&w));
}

void backend_data(struct backend *b)
{
	tidy(b);
	if (b->state == BE_MAIL)
		backend_ask(b, ASK_DATA, SLICE_LIT("DATA\r\n"));
}

/* Waits for a reply to what is sent already. */
static void expect(struct backend *b, enum asked what)
{
	assert(b->num_asked == 0);
	b->asked[0] = (uint8_t)what;
	b->num_asked = b->num_sent = 1;
}

void backend_chunk(struct backend *b, uint64_t size, bool last)
{
	char text[48];
	struct writer w = writer_of(text, sizeof text);
	tidy(b);
	if (b->state != BE_MAIL && b->state != BE_CHUNKS)
		return;
	assert(b->num_asked == 0); /* the session has all answers before */
	b->chunked = true;
	backend_enter(b, BE_BODY);
	writer_format(&w, "BDAT %llu%s\r\n", (unsigned long long)size, last ? " LAST" : "");
	if (bytes_append(&b->out, writer_slice(&w)) != EC_OK)
		backend_fail(b, SMTP_WHY_NO_MEMORY, "out of memory");
}

/* RFC 3030 2: a chunk, good or bad, is answered when it was received whole. A reply
 * that comes earlier is one that nobody asked for. */
void backend_chunk_end(struct backend *b)
{
	tidy(b);
	if (b->state != BE_BODY || !b->chunked)
		return;
	backend_enter(b, BE_CHUNKS);
	expect(b, ASK_CHUNK);
}

void backend_commit(struct backend *b)
{
	tidy(b);
	if (b->state != BE_BODY)
		return;
	backend_enter(b, BE_FINAL);
	if (b->chunked)
		expect(b, ASK_LAST);
	else
		backend_ask(b, ASK_DOT, SLICE_LIT(".\r\n"));
}

void backend_reset(struct backend *b)
{
	tidy(b);
	if (b->state != BE_MAIL && b->state != BE_CHUNKS)
		return;
	backend_enter(b, BE_IDLE);
	backend_ask(b, ASK_RSET, SLICE_LIT("RSET\r\n"));
}

void backend_quit(struct backend *b)
{
	tidy(b);
	if (b->state != BE_IDLE)
		return;
	backend_enter(b, BE_QUIT);
	b->quit_sent = true;
	backend_ask(b, ASK_QUIT, SLICE_LIT("QUIT\r\n"));
}

void backend_eof(struct backend *b)
{
	tidy(b);
	if (b->state == BE_DEAD)
		return;
	if (!b->quit_sent) {
		backend_fail(b, b->state < BE_IDLE ? SMTP_WHY_BACKEND_CONNECT : SMTP_WHY_BACKEND_LOST, "the backend closed");
		return;
	}
	backend_enter(b, BE_DEAD);
	backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_QUIT });
}

void backend_timeout(struct backend *b)
{
	tidy(b);
	backend_fail(b, SMTP_WHY_BACKEND_TIMEOUT, "no reply in time");
}

enum backend_deadline backend_deadline(const struct backend *b)
{
	if (b->state == BE_DEAD)
		return BACKEND_DEADLINE_NONE;
	if (b->num_asked > 0)
		return b->state == BE_FINAL ? BACKEND_DEADLINE_FINAL : BACKEND_DEADLINE_REPLY;
	if (b->state == BE_TLS)
		return BACKEND_DEADLINE_REPLY;
	return b->state == BE_IDLE ? BACKEND_DEADLINE_IDLE : BACKEND_DEADLINE_NONE;
}

uint64_t backend_progress(const struct backend *b)
{
	return b->progress;
}

bool backend_free_for_use(const struct backend *b)
{
	return b->state == BE_IDLE;
}

const struct smtp_caps *backend_caps(const struct backend *b)
{
	return &b->offer.caps;
}

const char *backend_state(const struct backend *b)
{
	return steps[b->state].name;
}

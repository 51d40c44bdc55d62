/* The whole server over a fake descriptor: session, backend dialogue and a mail
 * server (mta.h) whose replies are fuzzed too, joined as the worker joins them.
 *
 * Input: three octets (options, cuts of the client's bytes, cuts of the mail
 * server's and, in two bits, TLS and LMTP behind), the script of replies up to a 0xff, then the client's bytes. There
 * 0xff and the octet behind it are an event: all before it has been dealt with.
 *
 * Oracles: a message is answered 250 only if the mail server said 250 to its dot,
 * and, while that one speaks clearly, always then; the mail server gets no bare CR or
 * LF, no command of the client's making, no end of data but ours and no octet of a message
 * for nobody (mta.c); what
 * it stores is what the client sent, octet for octet, and chunk for chunk; a message ends at the first
 * <CRLF>.<CRLF> and nowhere else; replies are well-formed and
 * no more than commands; cuts change nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz/proxy/mta.h"
#include "proxy/relay/backend.h"
#include "proxy/smtp/connectors.h"
#include "proxy/smtp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { NORMALIZE = 1, SMALL = 2, XCLIENT = 4, NO_TLS = 8, LACKS = 16, NO_LIMITS = 32, XFORWARD = 64, CHUNKING = 128 };
enum { CLEAR, MAY_TLS, MUST_TLS, LMTP_IN_TLS }; /* to the mail server */

struct edge {
	uint8_t options;
	unsigned behind;
	struct connectors *ways;
	size_t client_step, mta_step;
	struct smtp_session *s;
	struct backend *b;
	struct mta mta;
	struct bytes client, at_backend, replies;
	struct bytes sent; /* all the client said */
	size_t taken, data_at; /* of it: what the session has taken, where a message began */
	uint64_t chunk_size;   /* announced to the mail server; of that, ours */
	size_t chunk_head;
	bool in_chunk, chunk_begins;
	size_t feeding; /* of `sent`: what the session has looked at */
	struct bytes want;     /* what the client said in the chunks of this message */
	bool in_data;
	enum smtp_reason end;
	unsigned num_lines, num_replies, num_yes;
	bool closed, lost, tls;
};

static void must(enum ec ec)
{
	if (ec != EC_OK)
		abort();
}

static size_t count(struct slice s, uint8_t c)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == c;
	return n;
}

/* RFC 5321 4.2: every line a code, '-' or blank, printable text. RFC 2034: the class. */
static void check_reply(struct edge *e, struct slice s, uint16_t code)
{
	bool last = false;
	while (s.len > 0) {
		const uint8_t *lf = memchr(s.p, '\n', s.len);
		assert(!last && lf != NULL);
		size_t len = (size_t)(lf - s.p) + 1;
		assert(len >= 6 && len <= 512 && s.p[len - 2] == '\r');
		assert((s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + s.p[2] - '0' == code && code >= 200 && code < 560);
		assert(s.p[3] == ' ' || s.p[3] == '-');
		for (size_t i = 4; i < len - 2; i++)
			assert(s.p[i] >= 0x20 && s.p[i] < 0x7f);
		if (len > 10 && s.p[4] >= '2' && s.p[4] <= '5' && s.p[5] == '.' && s.p[7] == '.')
			assert(s.p[4] == s.p[0]);
		/* RFC 3207 4.2: not offered twice; RFC 8689 2: this one only then. */
		assert(!e->tls || len != 14 || memcmp(s.p, "250-STARTTLS", 12) != 0);
		assert(e->tls || len != 16 || memcmp(s.p, "250-REQUIRETLS", 14) != 0);
		last = s.p[3] == ' ';
		s = slice_from(s, len);
	}
	assert(last);
	e->num_replies++;
}

/* RFC 3030 2: chunk by chunk, octet by octet. */
static void check_chunks(struct edge *e)
{
	struct slice got = bytes_slice(&e->mta.latest);
	if (got.len == 0 || e->mta.odd)
		return;
	const uint8_t *body = memmem(got.p, got.len, " +0000\r\n", 8); /* the end of our Received: */
	assert(body != NULL);
	assert(slice_eq(slice_from(got, (size_t)(body - got.p) + 8), bytes_slice(&e->want)));
	bytes_fini(&e->mta.latest);
}

/* The octets of a chunk have gone: they are the last that the session has looked at. */
static void chunk_ended(struct edge *e)
{
	struct slice sent = slice_first(bytes_slice(&e->sent), e->feeding);
	size_t size = (size_t)e->chunk_size - e->chunk_head;
	assert(size <= sent.len);
	must(bytes_append(&e->want, slice_from(sent, sent.len - size)));
	e->in_chunk = false;
}

static void on_reply(struct edge *e, const struct smtp_event *ev)
{
	check_reply(e, ev->bytes, ev->code);
	must(bytes_append(&e->replies, ev->bytes));
	if (ev->code == 354) {
		e->in_data = true;
		e->data_at = e->taken;
	}
	if (!ev->message)
		return;
	assert(ev->code == 250 || ev->code >= 400);
	if (ev->code == 250) {
		check_chunks(e);
		/* One that talks out of turn can say the 250 before it got the dot. */
		assert(e->mta.kept > e->num_yes || e->mta.odd);
		e->num_yes++;
	}
}

static void link_close(struct edge *e)
{
	if (e->b == NULL)
		return;
	backend_free(e->b);
	e->b = NULL;
	mta_drop(&e->mta);
	bytes_fini(&e->at_backend);
}

static void link_open(struct edge *e)
{
	struct backend_client client = { .addr = SLICE_LIT("2001:db8::7"), .port = 4711, .helo = smtp_session_helo(e->s),
		                         .id = SLICE_LIT("f"), .esmtp = smtp_session_esmtp(e->s) };
	unsigned told = e->options & (XCLIENT | XFORWARD);
	struct backend_setup setup = { .hostname = SLICE_LIT("edge.test"), .xclient = told == XCLIENT ? &client : NULL,
		                       .xforward = told == XFORWARD ? &client : NULL,
		                       .lmtp = e->behind == LMTP_IN_TLS,
		                       .tls = e->behind == CLEAR ? BACKEND_TLS_NONE : e->behind == MAY_TLS ? BACKEND_TLS_MAY : BACKEND_TLS_MUST };
	link_close(e);
	e->b = backend_new(&setup);
	assert(e->b != NULL);
	mta_connect(&e->mta);
}

static bool take_output(struct edge *e)
{
	struct slice out = e->b != NULL ? backend_output(e->b) : (struct slice){ 0 };
	if (out.len == 0)
		return false;
	must(bytes_append(&e->mta.in, out));
	backend_sent(e->b);
	return true;
}

static void act(struct edge *e, const struct smtp_event *ev)
{
	assert(!e->closed);
	switch (ev->kind) {
	case SMTP_EV_REPLY:
		on_reply(e, ev);
		break;
	case SMTP_EV_START_TLS:
		e->tls = true;
		e->num_lines++; /* the server may speak first again: a 421 */
		smtp_session_tls_done(e->s, &(struct smtp_tls_info){ SLICE_LIT("TLSv1.3"), SLICE_LIT("X"), SLICE_LIT("a\r\n.\r\n") });
		break;
	case SMTP_EV_OPEN_BACKEND:
		if (e->b != NULL && backend_free_for_use(e->b))
			smtp_session_backend_ready(e->s, backend_caps(e->b), true);
		else
			link_open(e);
		break;
	case SMTP_EV_MAIL:
		backend_mail(e->b, ev->mail);
		break;
	case SMTP_EV_RCPT:
		backend_rcpt(e->b, ev->rcpt);
		break;
	case SMTP_EV_DATA:
		backend_data(e->b);
		break;
	case SMTP_EV_CHUNK:
		e->in_chunk = true;
		e->chunk_size = ev->chunk_size;
		e->chunk_head = 0;
		e->chunk_begins = ev->chunk_first;
		if (ev->chunk_first)
			bytes_fini(&e->want);
		if (e->b != NULL)
			backend_chunk(e->b, ev->chunk_size, ev->chunk_last);
		(void)take_output(e);
		break;
	case SMTP_EV_CHUNK_END:
		chunk_ended(e);
		if (e->b != NULL)
			backend_chunk_end(e->b);
		break;
	case SMTP_EV_BODY:
		if (e->chunk_begins)
			e->chunk_head = ev->ranges[0].len;
		e->chunk_begins = false;
		if (e->b == NULL)
			break;
		assert(backend_output(e->b).len == 0);
		for (size_t i = 0; i < ev->num_ranges; i++)
			must(bytes_append(&e->mta.in, ev->ranges[i]));
		break;
	case SMTP_EV_COMMIT:
		if (e->in_chunk)
			chunk_ended(e);
		if (e->b != NULL)
			backend_commit(e->b);
		break;
	case SMTP_EV_RESET:
		backend_reset(e->b);
		break;
	case SMTP_EV_ABORT:
		link_close(e);
		break;
	case SMTP_EV_CLOSE:
		e->closed = true;
		e->end = ev->reason;
		break;
	default:
		abort();
	}
}

/* What was said in clear behind the 220 breaks the handshake. */
static void start_tls(struct edge *e)
{
	assert(e->behind != CLEAR && backend_output(e->b).len == 0 && bytes_len(&e->at_backend) == 0 && !e->mta.in_tls);
	if (bytes_len(&e->mta.out) > 0 || e->mta.closed) {
		e->lost = true;
		link_close(e);
		smtp_session_backend_lost(e->s, SMTP_WHY_BACKEND_GARBAGE);
		return;
	}
	e->mta.in_tls = true;
	backend_tls_done(e->b);
}

static struct connectors *lmtp_for_all(void)
{
	char name[] = "box", all[] = "*", hop[] = "unix:/box", none[] = "";
	char *domains[] = { all };
	struct config_next_hop to = { .to = hop };
	struct config_connector box = { .name = name, .domains = { .items = domains, .num = 1 }, .next_hops = &to,
		                        .num_next_hops = 1, .protocol = CONFIG_LMTP };
	struct config cfg = { .connectors = &box, .num_connectors = 1, .backend.address = none };
	struct connectors *ways;
	must(connectors_new(&cfg, &ways));
	return ways;
}

static bool pump_link(struct edge *e)
{
	struct backend_event ev;
	if (e->b == NULL)
		return false;
	bool moved = take_output(e);
	if (!backend_next(e->b, &ev))
		return moved;
	switch (ev.kind) {
	case BACKEND_EV_START_TLS:
		start_tls(e);
		break;
	case BACKEND_EV_READY:
		smtp_session_backend_ready(e->s, ev.caps, false);
		break;
	case BACKEND_EV_ANSWER:
		smtp_session_backend_answer(e->s, ev.answer);
		break;
	case BACKEND_EV_LOST:
		e->lost = true;
		link_close(e);
		smtp_session_backend_lost(e->s, ev.reason);
		break;
	case BACKEND_EV_QUIT:
		link_close(e);
		break;
	}
	return true;
}

static bool pump_mta(struct edge *e)
{
	if (e->b == NULL)
		return false;
	mta_take(&e->mta);
	struct slice said = slice_first(bytes_slice(&e->mta.out), e->mta_step);
	must(bytes_append(&e->at_backend, said));
	bytes_consume(&e->mta.out, said.len);
	size_t used = 0;
	backend_feed(e->b, bytes_slice(&e->at_backend), &used);
	bytes_consume(&e->at_backend, used);
	assert(bytes_len(&e->at_backend) < BACKEND_LINE_MAX + e->mta_step);
	if (said.len == 0 && used == 0 && e->mta.closed) {
		e->lost = true;
		e->mta.closed = false;
		backend_eof(e->b);
		return true;
	}
	return said.len > 0 || used > 0;
}

/* RFC 5321 4.1.1.4: a message ends at the first <CRLF>.<CRLF>, and nowhere else. */
static void check_end(struct edge *e, size_t used)
{
	e->taken += used;
	if (!e->in_data || e->closed || smtp_session_deadline(e->s) == SMTP_DEADLINE_BODY)
		return;
	e->in_data = false;
	struct slice body = slice_from(slice_first(bytes_slice(&e->sent), e->taken), e->data_at);
	if (body.len == 3 && memcmp(body.p, ".\r\n", 3) == 0)
		return;
	assert(body.len >= 5 && memcmp(body.p, ".\r\n", 3) != 0);
	assert((const uint8_t *)memmem(body.p, body.len, "\r\n.\r\n", 5) == body.p + body.len - 5);
}

static void pump(struct edge *e)
{
	struct smtp_event ev;
	for (bool moved = true; moved;) {
		moved = false;
		while (smtp_session_next(e->s, &ev)) {
			act(e, &ev);
			moved = true;
		}
		if (pump_link(e) || moved) {
			moved = true;
			continue;
		}
		struct slice in = bytes_slice(&e->client);
		size_t used;
		smtp_session_set_time(e->s, (struct wall){ 1795303571 });
		smtp_session_feed(e->s, in, &used);
		e->feeding = e->taken + used;
		while (smtp_session_next(e->s, &ev)) {
			act(e, &ev);
			moved = true;
		}
		bytes_consume(&e->client, used);
		check_end(e, used);
		moved |= used > 0 || pump_mta(e);
	}
	assert(bytes_len(&e->client) <= SMTP_LINE_MAX || !smtp_session_wants(e->s));
}

/* What a client or a clock may do besides talking. */
static void happens(struct edge *e, uint8_t what)
{
	switch (what % 8) {
	case 1:
		smtp_session_drain(e->s);
		e->num_lines++;
		break;
	case 2:
		smtp_session_end(e->s, SMTP_R_TIMEOUT);
		e->num_lines++;
		break;
	case 3:
		if (e->b != NULL)
			backend_timeout(e->b);
		break;
	case 4:
		if (e->b != NULL)
			backend_eof(e->b);
		break;
	case 5:
		smtp_session_set_offer(e->s, &(struct smtp_caps){ .flags = what >= 128 ? UINT32_MAX : 0 }, what < 192);
		break;
	case 6:
		if (e->b != NULL && backend_free_for_use(e->b))
			backend_quit(e->b);
		break;
	default:
		break; /* only a pause */
	}
	pump(e);
}

static void talk(struct edge *e, struct slice in)
{
	while (in.len > 0) {
		struct slice piece = slice_first(in, e->client_step);
		must(bytes_append(&e->client, piece));
		must(bytes_append(&e->sent, piece));
		pump(e);
		in = slice_from(in, piece.len);
	}
}

/* In reject mode a message that came by DATA goes through as it is, dots and all. */
static void check_stored(const struct edge *e, struct slice client)
{
	struct slice all = bytes_slice(&e->mta.stored);
	if ((e->options & NORMALIZE) != 0 || memmem(client.p, client.len, "\xff", 1) != NULL)
		return;
	for (size_t i = 0; i + 4 < client.len; i++)
		if (slice_eq_nocase(slice_of(client.p + i, 4), SLICE_LIT("BDAT")))
			return;
	while (all.len > 0) {
		const uint8_t *body = memmem(all.p, all.len, " +0000\r\n", 8); /* the end of our Received: */
		assert(body != NULL);
		all = slice_from(all, (size_t)(body - all.p) + 8);
		const uint8_t *end = all.len >= 3 && memcmp(all.p, ".\r\n", 3) == 0 ? all.p - 2 : memmem(all.p, all.len, "\r\n.\r\n", 5);
		assert(end != NULL);
		size_t len = (size_t)(end + 5 - all.p);
		assert(memmem(client.p, client.len, all.p, len) != NULL);
		all = slice_from(all, len);
	}
}

static void play(struct edge *e, struct slice client)
{
	e->ways = e->behind == LMTP_IN_TLS ? lmtp_for_all() : NULL;
	bool small = (e->options & SMALL) != 0, limits = (e->options & NO_LIMITS) == 0;
	struct smtp_limits l = { "edge.test", small ? 300 : 0, limits ? 3 : 100, limits ? 30 : 10000, limits ? 8 : 1000,
		                 limits ? 3 : 1000, (e->options & NORMALIZE) != 0 ? SMTP_BARE_NORMALIZE : SMTP_BARE_REJECT, e->ways };
	struct smtp_setup setup = { .limits = &l, .caps = { .flags = UINT32_MAX }, .tls_offered = (e->options & NO_TLS) == 0,
		                    .client_addr = SLICE_LIT("192.0.2.1"), .id = SLICE_LIT("f") };
	struct slice rest = client;
	e->mta.lacks = (e->options & LACKS) != 0;
	e->mta.starttls = e->behind != CLEAR;
	e->mta.must_tls = e->behind >= MUST_TLS;
	e->mta.lmtp = e->behind == LMTP_IN_TLS;
	e->mta.chunking = (e->options & CHUNKING) != 0;
	e->mta.eager = (e->options & XCLIENT) != 0 && (e->options & XFORWARD) != 0;
	e->s = smtp_session_new(&setup);
	assert(e->s != NULL);
	smtp_session_greet(e->s);
	while (rest.len > 0) {
		const uint8_t *mark = memchr(rest.p, 0xff, rest.len);
		struct slice words = slice_first(rest, mark != NULL ? (size_t)(mark - rest.p) : rest.len);
		talk(e, words);
		rest = slice_from(rest, words.len + 1);
		if (mark != NULL && rest.len > 0) {
			happens(e, rest.p[0]);
			rest = slice_from(rest, 1);
		}
	}
	smtp_session_eof(e->s);
	pump(e);
	/* A mail server that stopped in the middle of a reply, and for each recipient again. */
	for (size_t i = 0; i < count(client, '\n') + 3 && !e->closed && e->b != NULL; i++) {
		backend_timeout(e->b);
		pump(e);
	}
	assert(e->closed && smtp_session_deadline(e->s) == SMTP_DEADLINE_NONE);
	/* The greeting, one per line, and one more that says why we close. */
	assert(e->num_replies <= 2 + e->num_lines + count(client, '\n') + (client.len > 0));
	assert(e->lost || e->mta.odd || e->num_yes == e->mta.kept || e->end == SMTP_WHY_TIMEOUT);
	assert(e->num_yes <= e->mta.kept || e->mta.odd);
	check_stored(e, client);
	smtp_session_free(e->s);
	connectors_free(e->ways);
	link_close(e);
}

static void fini(struct edge *e)
{
	mta_fini(&e->mta);
	bytes_fini(&e->client);
	bytes_fini(&e->sent);
	bytes_fini(&e->replies);
	bytes_fini(&e->want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 4)
		return 0;
	struct slice in = slice_of(data + 3, len - 3);
	const uint8_t *mark = memchr(in.p, 0xff, in.len);
	struct slice script = mark != NULL ? slice_first(in, (size_t)(mark - in.p)) : (struct slice){ 0 };
	struct slice client = mark != NULL ? slice_from(in, script.len + 1) : in;
	struct edge a = { .options = data[0], .behind = data[2] / 64, .client_step = SIZE_MAX, .mta_step = 1 << 20, .mta.script = script };
	struct edge b = { .options = data[0], .behind = data[2] / 64, .client_step = 1 + data[1] % 64, .mta_step = 1 + data[2] % 64, .mta.script = script };
	play(&a, client);
	play(&b, client);
	/* One that closes, or talks out of turn, makes it a race, as does one that wants a message for
	 * nobody and is hung up on; and STARTTLS tells one read from two. */
	bool race = a.lost || b.lost || a.mta.odd || b.mta.odd || a.end == SMTP_WHY_STARTTLS_INJECTION ||
	            a.mta.been_eager || b.mta.been_eager;
	if (!race) {
		assert(slice_eq(bytes_slice(&a.replies), bytes_slice(&b.replies)));
		assert(slice_eq(bytes_slice(&a.mta.stored), bytes_slice(&b.mta.stored)));
		assert(slice_eq(bytes_slice(&a.mta.heard), bytes_slice(&b.mta.heard)));
		assert(a.end == b.end);
	}
	fini(&a);
	fini(&b);
	return 0;
}

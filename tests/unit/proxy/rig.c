#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "proxy/relay/backend.h"
#include "proxy/smtp/connectors.h"

#define HEALTHY_EHLO "250-mta.test\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250-8BITMIME\r\n" \
                     "250-DSN\r\n250-SMTPUTF8\r\n250-XCLIENT NAME ADDR PORT PROTO HELO\r\n250 ENHANCEDSTATUSCODES\r\n"
#define HEALTHY_CAPS (SMTP_CAP_PIPELINING | SMTP_CAP_SIZE | SMTP_CAP_8BITMIME | SMTP_CAP_DSN | SMTP_CAP_SMTPUTF8)

struct rig {
	const struct rig_setup *setup;
	struct rig_result *out;
	enum rig_cut cut;
	uint32_t seed;
	struct smtp_session *s;
	struct connectors *ways;
	struct bytes client;      /* sent by the client, not taken by the session */
	/* The link and the MTA at its end. */
	struct backend *b;
	const struct rig_mta *mta;
	size_t way;               /* of the link; */
	char domain[SMTP_DOMAIN_MAX + 1]; /* and of whom it was opened for */
	char rcpt_domain[SMTP_DOMAIN_MAX + 1]; /* of the last RCPT in this transaction */
	bool in_tls;
	bool in_data, mta_closed, blurted, said_yes;
	bool mail_refused;
	unsigned accepted; /* recipients of this transaction */
	bool in_chunk, chunk_last, binary; /* BODY=BINARYMIME */
	int chunks_to_go;
	uint64_t chunk_size, chunk_left;
	struct bytes to_mta, from_mta, at_backend; /* under way; arrived but not taken */
	struct bytes body;
};

static uint32_t next_random(struct rig *r)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 17;
	r->seed ^= r->seed << 5;
	return r->seed;
}

static size_t piece(struct rig *r, size_t left)
{
	size_t n = r->cut == RIG_WHOLE ? left : r->cut == RIG_BYTES ? 1 : 1 + next_random(r) % 40;
	return n < left ? n : left;
}

static void note(char *to, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(char *to, size_t cap, const char *format, ...)
{
	size_t len = strlen(to);
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(to + len, cap - len, format, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < cap - len);
}

static void say(struct rig *r, const char *healthy, const char *scripted)
{
	const char *text = scripted != NULL ? scripted : healthy;
	if (text[0] == '\0') {
		r->mta_closed = true;
		return;
	}
	assert_int_equal(bytes_append(&r->from_mta, slice_str(text)), EC_OK);
}

/* A link has recipients of one way only, and one at a time by LMTP. */
static void check_way(struct rig *r, const char *local)
{
	const char *at = strrchr(local, '@'), *end = strrchr(local, '>');
	char domain[SMTP_DOMAIN_MAX + 1] = "";
	if (at != NULL)
		snprintf(domain, sizeof domain, "%.*s", (int)(end - at - 1), at + 1);
	assert_true(!r->setup->lmtp || r->accepted == 0);
	if (r->ways == NULL)
		return;
	assert_int_equal(connectors_find(r->ways, slice_str(domain)), r->way);
	assert_true(!connectors_per_domain(r->ways, r->way) ||
	            slice_eq_nocase(slice_str(domain), slice_str(r->rcpt_domain[0] != '\0' ? r->rcpt_domain : r->domain)));
	assert_true(!connectors_lmtp(r->ways, r->way) || r->accepted == 0);
	memcpy(r->rcpt_domain, domain, sizeof domain);
}

static void mta_rcpt(struct rig *r, const char *line)
{
	const char *local = strchr(line, '<');
	assert_non_null(local);
	local++;
	check_way(r, local);
	if (strncmp(local, "no", 2) == 0)
		say(r, "550 5.1.1 No such user\r\n", NULL);
	else if (strncmp(local, "later", 5) == 0)
		say(r, "450 4.2.1 Later\r\n", NULL);
	else if (strncmp(local, "many", 4) == 0)
		say(r, "452 Too many\r\n", NULL);
	else if (strncmp(local, "die", 3) == 0)
		r->mta_closed = true;
	else if (strncmp(local, "multi", 5) == 0)
		say(r, "550-5.7.1 One\r\n550 5.7.1 Two\r\n", NULL);
	else {
		const char *reply = r->mta->rcpt != NULL ? r->mta->rcpt : "250 2.1.5 Ok\r\n";
		r->accepted += !r->mail_refused && strncmp(reply, "25", 2) == 0;
		say(r, reply, NULL);
	}
}

/* What a lax MTA further on would stumble over, in a message that came in chunks. */
static void check_chunks(struct rig *r, bool whole)
{
	struct slice s = bytes_slice(&r->body);
	if (r->binary)
		return;
	for (size_t i = 0; i < s.len; i++) {
		bool cr_before = i > 0 && s.p[i - 1] == '\r';
		bool lf_behind = i + 1 < s.len ? s.p[i + 1] == '\n' : !whole;
		if ((s.p[i] == '\n' && !cr_before) || (s.p[i] == '\r' && !lf_behind) || s.p[i] == '\0')
			r->out->saw_bad_bytes = true;
	}
}

/* Stores a message: the first header, ours, apart; the rest, of DATA, unstuffed. */
static void mta_store(struct rig *r, bool stuffed)
{
	struct slice body = bytes_slice(&r->body);
	struct rig_result *o = r->out;
	size_t at = 0;
	const uint8_t *end = memmem(body.p, body.len, " +0000\r\n", 8); /* of the date, which ends it */
	assert_non_null(end);
	at = (size_t)(end - body.p) + 8;
	assert_true(at < sizeof o->received);
	memcpy(o->received, body.p, at);
	o->received[at] = '\0';
	for (bool start = true; at < body.len; at++) {
		assert_true(o->stored_len + 8 < sizeof o->stored);
		if (!(stuffed && start && body.p[at] == '.'))
			o->stored[o->stored_len++] = (char)body.p[at];
		start = body.p[at] == '\n';
	}
	memcpy(o->stored + o->stored_len, "\n--\n", 5);
	o->stored_len += 4;
	o->num_stored++;
	bytes_fini(&r->body);
}

/* The end of a message: the dot, or the last octet of the last chunk. */
static void mta_final(struct rig *r)
{
	const char *reply = r->mta->final != NULL ? r->mta->final : "250 2.6.0 Stored\r\n";
	if (strncmp(reply, "250", 3) == 0) {
		mta_store(r, !r->chunk_last);
		r->said_yes = true;
	}
	bytes_fini(&r->body);
	say(r, reply, NULL);
	if (r->mta->close_after_final)
		r->mta_closed = true;
}

static void mta_chunk_end(struct rig *r)
{
	r->in_chunk = false;
	struct slice body = bytes_slice(&r->body);
	if (r->chunk_size == body.len) {
		/* The first one: ours is in front of the client's. */
		const uint8_t *end = memmem(body.p, body.len, " +0000\r\n", 8);
		assert_non_null(end);
		r->chunk_size -= (size_t)(end - body.p) + 8;
	}
	note(r->out->backend, sizeof r->out->backend, "%llu%s|", (unsigned long long)r->chunk_size, r->chunk_last ? " LAST" : "");
	if (r->chunk_last) {
		check_chunks(r, true);
		mta_final(r);
		r->chunk_last = false;
		return;
	}
	const char *reply = r->mta->bdat != NULL ? r->mta->bdat : "250 2.3.0 Chunk\r\n";
	if (r->mta->good_chunks > 0 && --r->chunks_to_go >= 0)
		reply = "250 2.3.0 Chunk\r\n";
	say(r, reply, NULL);
	if (r->mta->close_after_final)
		r->mta_closed = true;
}

static void mta_bdat(struct rig *r, const char *line)
{
	char *end;
	note(r->out->backend, sizeof r->out->backend, "BDAT ");
	r->chunk_size = r->chunk_left = strtoull(line + 5, &end, 10);
	r->chunk_last = strcmp(end, " LAST") == 0;
	assert_true(r->chunk_last || (*end == '\0' && r->chunk_size > 0)); /* real ones refuse a chunk of nothing */
	r->in_chunk = true;
	if (r->chunk_size == 0)
		mta_chunk_end(r);
}

/* Octets of a chunk. Returns how many it took. */
static size_t mta_chunk(struct rig *r, struct slice in)
{
	size_t n = in.len < r->chunk_left ? in.len : (size_t)r->chunk_left;
	n = r->mta->blurt != NULL && n > 100 ? 100 : n;
	assert_int_equal(bytes_append(&r->body, slice_first(in, n)), EC_OK);
	r->chunk_left -= n;
	if (r->mta->blurt != NULL && !r->blurted && bytes_len(&r->body) > 400) {
		r->blurted = true;
		say(r, r->mta->blurt, NULL);
	}
	if (r->chunk_left == 0 && !r->mta_closed)
		mta_chunk_end(r);
	return n;
}

/* As real ones do, it refuses a message for nobody. */
static void mta_data(struct rig *r)
{
	const char *reply = r->mta->data != NULL ? r->mta->data : "354 Go on\r\n";
	if (r->accepted == 0 && !r->mta->data_for_nobody) {
		say(r, "554 5.5.1 No valid recipients\r\n", NULL);
		return;
	}
	note(r->out->backend, sizeof r->out->backend, "DATA|");
	r->in_data = strncmp(reply, "354", 3) == 0;
	say(r, reply, NULL);
}

static void mta_line(struct rig *r, char *line)
{
	const struct rig_mta *m = r->mta;
	if (strcmp(line, "DATA") == 0) {
		mta_data(r);
		return;
	}
	if (strncmp(line, "BDAT ", 5) == 0) {
		mta_bdat(r, line);
		return;
	}
	note(r->out->backend, sizeof r->out->backend, "%s|", line);
	bool lmtp = r->ways != NULL ? connectors_lmtp(r->ways, r->way) : r->setup->lmtp;
	if (strncmp(line, lmtp ? "LHLO " : "EHLO ", 5) == 0)
		say(r, HEALTHY_EHLO, r->in_tls ? m->ehlo_in_tls : m->ehlo);
	else if (strcmp(line, "STARTTLS") == 0 && !r->in_tls && r->setup->tls != BACKEND_TLS_NONE)
		say(r, "220 2.0.0 Go on\r\n", m->starttls);
	else if (strncmp(line, "XCLIENT ", 8) == 0)
		say(r, "220 mta.test again\r\n", m->xclient);
	else if (strncmp(line, "XFORWARD ", 9) == 0)
		say(r, "250 2.0.0 Ok\r\n", m->xforward);
	else if (strncmp(line, "MAIL FROM:", 10) == 0) {
		r->binary = strstr(line, " BODY=BINARYMIME") != NULL;
		r->accepted = 0;
		r->rcpt_domain[0] = '\0';
		r->mail_refused = m->mail != NULL && m->mail[0] != '2';
		say(r, "250 2.1.0 Ok\r\n", m->mail);
	} else if (strncmp(line, "RCPT TO:", 8) == 0)
		mta_rcpt(r, line);
	else if (strcmp(line, "RSET") == 0) {
		bytes_fini(&r->body);
		say(r, "250 2.0.0 Ok\r\n", m->rset);
	} else if (strcmp(line, "QUIT") == 0)
		say(r, "221 2.0.0 Bye\r\n", NULL);
	else
		fail_msg("the MTA got a command it does not know: %s", line);
}

/* The MTA reads the strict way, and notes what a lax one would stumble over. */
static void mta_read(struct rig *r)
{
	struct slice in;
	if (!r->mta_closed && bytes_len(&r->to_mta) > 0 && bytes_len(&r->from_mta) == 0)
		r->out->num_turns++;
	while (!r->mta_closed && (in = bytes_slice(&r->to_mta)).len > 0) {
		/* P1: a message is for somebody. */
		assert_true(!r->in_data || r->accepted > 0);
		if (r->in_chunk) {
			bytes_consume(&r->to_mta, mta_chunk(r, in));
			continue;
		}
		const uint8_t *lf = memchr(in.p, '\n', in.len);
		if (lf == NULL)
			return;
		size_t len = (size_t)(lf - in.p);
		if (len == 0 || in.p[len - 1] != '\r' || memchr(in.p, '\r', len - 1) != NULL || memchr(in.p, '\0', len) != NULL)
			r->out->saw_bad_bytes = true;
		if (r->in_data && len == 2 && in.p[0] == '.') {
			r->in_data = false;
			note(r->out->backend, sizeof r->out->backend, ".|");
			mta_final(r);
		} else if (r->in_data) {
			assert_int_equal(bytes_append(&r->body, slice_first(in, len + 1)), EC_OK);
			if (r->mta->blurt != NULL && !r->blurted && bytes_len(&r->body) > 400) {
				r->blurted = true;
				say(r, r->mta->blurt, NULL);
			}
		} else {
			char line[8192];
			assert_true(len < sizeof line);
			memcpy(line, in.p, len - 1);
			line[len - 1] = '\0';
			bytes_consume(&r->to_mta, len + 1);
			mta_line(r, line);
			continue;
		}
		bytes_consume(&r->to_mta, len + 1);
	}
}

static void link_close(struct rig *r)
{
	if (r->b == NULL)
		return;
	backend_free(r->b);
	r->b = NULL;
	mta_read(r); /* what was sent before */
	note(r->out->backend, sizeof r->out->backend, ")");
	if (!r->in_data)
		check_chunks(r, false);
	r->in_data = r->in_chunk = false;
	bytes_fini(&r->to_mta);
	bytes_fini(&r->from_mta);
	bytes_fini(&r->at_backend);
	bytes_fini(&r->body);
}

static void link_open(struct rig *r)
{
	bool lmtp = r->ways != NULL ? connectors_lmtp(r->ways, r->way) : r->setup->lmtp;
	r->mta = r->setup->two && r->out->num_links > 0 ? &r->setup->mta_later : &r->setup->mta;
	r->out->num_links++;
	if (r->mta->refuse_connect) {
		smtp_session_backend_lost(r->s, SMTP_WHY_BACKEND_CONNECT);
		return;
	}
	struct backend_client client = { .addr = SLICE_LIT("2001:db8::7"), .port = 4711, .helo = smtp_session_helo(r->s),
	                                 .id = SLICE_LIT("id1"), .esmtp = true };
	struct backend_setup setup = { SLICE_LIT("edge.test"), r->setup->xclient ? &client : NULL,
	                               r->setup->xforward ? &client : NULL, lmtp, r->setup->tls, { 0 } };
	r->b = backend_new(&setup);
	assert_non_null(r->b);
	note(r->out->backend, sizeof r->out->backend, "(");
	if (r->ways != NULL)
		note(r->out->backend, sizeof r->out->backend, "%s ", connectors_name(r->ways, r->way));
	r->mta_closed = r->blurted = r->chunk_last = r->in_tls = false;
	r->chunks_to_go = (int)r->mta->good_chunks;
	say(r, "220 mta.test ESMTP\r\n", r->mta->greeting);
}

/* Every reply line: code, enhanced code of the same class where it must be, text. */
static void check_reply(struct rig *r, struct slice line)
{
	char token[32];
	assert_in_range(line.len, 6, 512);
	assert_memory_equal(line.p + line.len - 2, "\r\n", 2);
	for (size_t i = 0; i < line.len - 2; i++)
		assert_in_range(line.p[i], 0x20, 0x7e);
	unsigned class, subject, detail;
	char text[520] = { 0 };
	memcpy(text, line.p, line.len - 2);
	note(r->out->text, sizeof r->out->text, "%s\n", text);
	if (text[3] == '-')
		return;
	assert_int_equal(text[3], ' ');
	if (sscanf(text + 4, "%1u.%3u.%3u", &class, &subject, &detail) == 3) {
		assert_int_equal(class, text[0] - '0');
		snprintf(token, sizeof token, "%.3s:%u.%u.%u ", text, class, subject, detail);
	} else {
		/* RFC 2034 4: all but the greeting, EHLO, HELO; 354 has none. */
		assert_true(strncmp(text, "220 edge.test", 13) == 0 || strncmp(text, "354 ", 4) == 0 ||
		            strcmp(text, "250 edge.test") == 0);
		snprintf(token, sizeof token, "%.3s ", text);
	}
	note(r->out->client, sizeof r->out->client, "%s", token);
}

static void on_reply(struct rig *r, const struct smtp_event *ev)
{
	struct slice rest = ev->bytes;
	if (ev->message && ev->code == 250) {
		assert_true(r->said_yes); /* P1 */
		r->said_yes = false;
	}
	while (rest.len > 0) {
		const uint8_t *lf = memchr(rest.p, '\n', rest.len);
		assert_non_null(lf);
		size_t len = (size_t)(lf - rest.p) + 1;
		/* EHLO's last line has a keyword where others have an enhanced code. */
		if (slice_eq(slice_first(rest, len), SLICE_LIT("250 ENHANCEDSTATUSCODES\r\n"))) {
			note(r->out->client, sizeof r->out->client, "250 ");
			note(r->out->text, sizeof r->out->text, "250 ENHANCEDSTATUSCODES\n");
		} else {
			check_reply(r, slice_first(rest, len));
		}
		rest = slice_from(rest, len);
	}
}

static bool take_output(struct rig *r)
{
	struct slice out = r->b != NULL ? backend_output(r->b) : (struct slice){ 0 };
	if (out.len == 0)
		return false;
	assert_int_equal(bytes_append(&r->to_mta, out), EC_OK);
	backend_sent(r->b);
	return true;
}

/* The link that is there will do if it is free, and goes the same way. */
static void open_backend(struct rig *r, const struct smtp_event *ev)
{
	char domain[SMTP_DOMAIN_MAX + 1];
	assert_non_null(ev->mail);
	assert_non_null(ev->rcpt);
	snprintf(domain, sizeof domain, "%.*s", (int)ev->rcpt->path.domain_len, ev->rcpt->path.domain);
	bool same = r->ways == NULL || (r->way == ev->connector && (!connectors_per_domain(r->ways, r->way) ||
	                                                            slice_eq_nocase(slice_str(domain), slice_str(r->domain))));
	if (r->ways == NULL)
		assert_int_equal(ev->connector, 0);
	else
		assert_int_equal(ev->connector, connectors_find(r->ways, slice_str(domain)));
	if (r->ways != NULL && r->setup->ways[ev->connector].refused != SMTP_R_NONE) {
		smtp_session_backend_refused(r->s, r->setup->ways[ev->connector].refused);
		return;
	}
	if (r->b != NULL && backend_free_for_use(r->b) && same) {
		smtp_session_backend_ready(r->s, backend_caps(r->b), true);
		return;
	}
	link_close(r);
	r->way = ev->connector;
	memcpy(r->domain, domain, sizeof domain);
	link_open(r);
}

static void act(struct rig *r, const struct smtp_event *ev)
{
	assert_false(r->out->closed);
	switch (ev->kind) {
	case SMTP_EV_REPLY:
		on_reply(r, ev);
		break;
	case SMTP_EV_START_TLS:
		note(r->out->client, sizeof r->out->client, "TLS ");
		smtp_session_tls_done(r->s, &(struct smtp_tls_info){ SLICE_LIT("TLSv1.3"), SLICE_LIT("TLS_AES_128_GCM_SHA256"),
		                                                     SLICE_LIT("mx1(.)test\r\n") });
		break;
	case SMTP_EV_OPEN_BACKEND:
		open_backend(r, ev);
		break;
	case SMTP_EV_MAIL:
		backend_mail(r->b, ev->mail);
		break;
	case SMTP_EV_RCPT:
		backend_rcpt(r->b, ev->rcpt);
		break;
	case SMTP_EV_DATA:
		r->said_yes = false;
		backend_data(r->b);
		break;
	case SMTP_EV_CHUNK:
		r->said_yes = false;
		backend_chunk(r->b, ev->chunk_size, ev->chunk_last);
		take_output(r);
		break;
	case SMTP_EV_CHUNK_END:
		if (r->b != NULL)
			backend_chunk_end(r->b);
		break;
	case SMTP_EV_BODY:
		if (r->b == NULL)
			break;
		assert_int_equal(backend_output(r->b).len, 0);
		for (size_t i = 0; i < ev->num_ranges; i++)
			assert_int_equal(bytes_append(&r->to_mta, ev->ranges[i]), EC_OK);
		break;
	case SMTP_EV_COMMIT:
		if (r->b != NULL)
			backend_commit(r->b);
		break;
	case SMTP_EV_RESET:
		backend_reset(r->b);
		take_output(r);
		break;
	case SMTP_EV_ABORT:
		link_close(r);
		break;
	case SMTP_EV_CLOSE:
		note(r->out->client, sizeof r->out->client, "[%s]", smtp_reason_name(ev->reason));
		r->out->closed = true;
		break;
	default:
		fail();
	}
}

/* The handshake; the first octet that is none of TLS ends it. */
static void start_tls(struct rig *r)
{
	assert_int_equal(backend_output(r->b).len, 0);
	assert_int_equal(bytes_len(&r->at_backend), 0);
	if (bytes_len(&r->from_mta) > 0) {
		link_close(r);
		smtp_session_backend_lost(r->s, SMTP_WHY_BACKEND_GARBAGE);
		return;
	}
	r->in_tls = true;
	note(r->out->backend, sizeof r->out->backend, "+");
	backend_tls_done(r->b);
}

/* Moves what the backend object has to say. Returns whether something moved. */
static bool pump_link(struct rig *r)
{
	struct backend_event ev;
	bool moved = false;
	if (r->b == NULL)
		return false;
	moved = take_output(r);
	while (r->b != NULL && backend_next(r->b, &ev)) {
		moved = true;
		switch (ev.kind) {
		case BACKEND_EV_START_TLS:
			start_tls(r);
			break;
		case BACKEND_EV_READY:
			smtp_session_backend_ready(r->s, ev.caps, false);
			break;
		case BACKEND_EV_ANSWER:
			smtp_session_backend_answer(r->s, ev.answer);
			break;
		case BACKEND_EV_LOST:
			assert_non_null(ev.words);
			link_close(r);
			smtp_session_backend_lost(r->s, ev.reason);
			break;
		case BACKEND_EV_QUIT:
			link_close(r);
			break;
		}
		return true; /* the session's events come first */
	}
	return moved;
}

static bool pump_mta(struct rig *r)
{
	if (r->b == NULL)
		return false;
	mta_read(r);
	size_t left = bytes_len(&r->from_mta);
	if (left > 0) {
		size_t n = piece(r, left);
		assert_int_equal(bytes_append(&r->at_backend, slice_first(bytes_slice(&r->from_mta), n)), EC_OK);
		bytes_consume(&r->from_mta, n);
	}
	size_t used = 0;
	struct slice in = bytes_slice(&r->at_backend);
	backend_feed(r->b, in, &used);
	assert_true(used <= in.len);
	bytes_consume(&r->at_backend, used);
	if (left == 0 && used == 0 && r->mta_closed && backend_deadline(r->b) != BACKEND_DEADLINE_NONE) {
		r->mta_closed = false;
		bytes_fini(&r->to_mta);
		backend_eof(r->b);
		return true;
	}
	return left > 0 || used > 0;
}

static void pump(struct rig *r)
{
	for (bool moved = true; moved;) {
		struct smtp_event ev;
		moved = false;
		while (smtp_session_next(r->s, &ev)) {
			act(r, &ev);
			moved = true;
		}
		moved |= pump_link(r);
		if (moved)
			continue;
		struct slice in = bytes_slice(&r->client);
		size_t used;
		smtp_session_set_time(r->s, (struct wall){ 1795303571 });
		smtp_session_feed(r->s, in, &used);
		assert_true(used <= in.len);
		while (smtp_session_next(r->s, &ev)) {
			act(r, &ev);
			moved = true;
			if (ev.kind == SMTP_EV_START_TLS)
				assert_int_equal(used, in.len);
		}
		bytes_consume(&r->client, used);
		moved |= used > 0 || pump_mta(r);
	}
}

static void deliver(struct rig *r, struct slice in)
{
	while (in.len > 0) {
		size_t n = piece(r, in.len);
		/* A copy of exactly this size, so that a sanitizer sees one octet too far. */
		uint8_t *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, in.p, n);
		assert_int_equal(bytes_append(&r->client, slice_of(copy, n)), EC_OK);
		free(copy);
		pump(r);
		in = slice_from(in, n);
	}
}

static struct connectors *make_ways(const struct rig_setup *setup)
{
	struct config_connector all[RIG_WAYS_MAX] = { 0 };
	struct config_next_hop hops[RIG_WAYS_MAX] = { 0 };
	char *domains[RIG_WAYS_MAX][3], names[RIG_WAYS_MAX][16], empty[] = "", mx[] = "mx", addr[] = "192.0.2.1:25";
	struct config cfg = { .connectors = all, .backend.address = empty };
	struct connectors *ways = NULL;
	for (size_t i = 0; i < RIG_WAYS_MAX && setup->ways[i].name != NULL; i++) {
		const struct rig_way *w = &setup->ways[i];
		snprintf(names[i], sizeof names[i], "%s", w->name);
		hops[i].to = w->mx ? mx : addr;
		all[i] = (struct config_connector){ .name = names[i], .domains.items = domains[i], .next_hops = &hops[i],
			                            .num_next_hops = 1, .protocol = w->lmtp ? CONFIG_LMTP : CONFIG_SMTP,
			                            .max_recipients = w->max_recipients };
		for (size_t n = 0; n < 3 && w->domains[n] != NULL; n++) {
			domains[i][n] = strdup(w->domains[n]);
			assert_non_null(domains[i][n]);
			all[i].domains.num = n + 1;
		}
		cfg.num_connectors++;
	}
	if (cfg.num_connectors > 0)
		assert_int_equal(connectors_new(&cfg, &ways), EC_OK);
	for (size_t i = 0; i < cfg.num_connectors; i++)
		for (size_t n = 0; n < all[i].domains.num; n++)
			free(domains[i][n]);
	return ways;
}

static uint32_t or_default(uint32_t v, uint32_t normal)
{
	return v != 0 ? v : normal;
}

void rig_run(const struct rig_setup *setup, struct slice in, enum rig_cut cut, uint32_t seed, struct rig_result *out)
{
	struct rig r = { .setup = setup, .out = out, .cut = cut, .seed = seed != 0 ? seed : 1, .ways = make_ways(setup) };
	struct smtp_limits limits = {
		.hostname = "edge.test",
		.max_message_size = setup->max_size,
		.max_recipients = or_default(setup->max_recipients, 1000),
		.max_commands = or_default(setup->max_commands, 1000),
		.max_errors = or_default(setup->max_errors, 20),
		.max_transactions = or_default(setup->max_transactions, 100),
		.bare_newline = setup->normalize ? SMTP_BARE_NORMALIZE : SMTP_BARE_REJECT,
		.connectors = r.ways,
	};
	struct smtp_setup s = { .limits = &limits, .caps = { .flags = or_default(setup->caps, HEALTHY_CAPS) },
		                .tls_offered = !setup->no_tls, .client_addr = SLICE_LIT("192.0.2.1"), .id = SLICE_LIT("s1"),
		                .normalize = setup->exempt };
	memset(out, 0, sizeof *out);
	r.s = smtp_session_new(&s);
	assert_non_null(r.s);
	if (!setup->talk_early)
		smtp_session_greet(r.s);
	pump(&r);
	while (in.len > 0) {
		const uint8_t *wait = memchr(in.p, 0xff, in.len);
		size_t len = wait != NULL ? (size_t)(wait - in.p) : in.len;
		deliver(&r, slice_first(in, len));
		in = slice_from(in, len + 1);
		if (setup->draining && wait != NULL)
			smtp_session_drain(r.s);
		pump(&r);
	}
	if (setup->eof) {
		smtp_session_eof(r.s);
		pump(&r);
	}
	link_close(&r);
	smtp_session_free(r.s);
	connectors_free(r.ways);
	bytes_fini(&r.client);
}

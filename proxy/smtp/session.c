#include "proxy/smtp/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/smtp/session_int.h"

static const struct step_row steps[] = {
	[ST_WAIT] = { "wait", STEP(ST_START) | STEP(ST_CLOSED) },
	[ST_START] = { "start", STEP(ST_READY) | STEP(ST_CHUNK) | STEP(ST_CLOSED) },
	[ST_READY] = { "ready", STEP(ST_READY) | STEP(ST_MAIL) | STEP(ST_TLS) | STEP(ST_CHUNK) | STEP(ST_CLOSED) },
	[ST_MAIL] = { "mail", STEP(ST_OPENING) | STEP(ST_READY) | STEP(ST_CHUNK) | STEP(ST_CLOSED) },
	[ST_OPENING] = { "opening", STEP(ST_RCPT) | STEP(ST_MAIL) | STEP(ST_CLOSED) },
	[ST_RCPT] = { "rcpt", STEP(ST_OPENING) | STEP(ST_MAIL) | STEP(ST_DATA_WAIT) | STEP(ST_CHUNK_WAIT) |
	                              STEP(ST_CHUNK) | STEP(ST_READY) | STEP(ST_CLOSED) },
	[ST_DATA_WAIT] = { "data_wait", STEP(ST_BODY) | STEP(ST_RCPT) | STEP(ST_MAIL) | STEP(ST_READY) | STEP(ST_CLOSED) },
	[ST_BODY] = { "body", STEP(ST_FINAL) | STEP(ST_READY) | STEP(ST_CLOSED) },
	[ST_CHUNK_WAIT] = { "chunk_wait", STEP(ST_CHUNK) | STEP(ST_CLOSED) },
	[ST_CHUNK] = { "chunk", STEP(ST_START) | STEP(ST_READY) | STEP(ST_MAIL) | STEP(ST_RCPT) |
	                                STEP(ST_CHUNK_SENT) | STEP(ST_CHUNKS) | STEP(ST_FINAL) | STEP(ST_CLOSED) },
	[ST_CHUNK_SENT] = { "chunk_sent", STEP(ST_CHUNKS) | STEP(ST_CLOSED) },
	[ST_CHUNKS] = { "chunks", STEP(ST_CHUNK) | STEP(ST_READY) | STEP(ST_CLOSED) },
	[ST_FINAL] = { "final", STEP(ST_READY) | STEP(ST_CLOSED) },
	[ST_TLS] = { "tls", STEP(ST_START) | STEP(ST_CLOSED) },
	[ST_CLOSED] = { "closed", 0 },
};
_Static_assert(sizeof steps / sizeof *steps == ST_COUNT, "one row per state");

const struct step_row *session_steps(void)
{
	return steps;
}

void session_enter(struct smtp_session *s, enum state to)
{
	assert(step_allowed(steps, ST_COUNT, s->state, to));
	s->state = to;
	s->progress++;
}

static uint8_t copy_text(char *to, size_t cap, struct slice from)
{
	from = slice_first(from, cap < 255 ? cap : 255);
	if (from.len > 0)
		memcpy(to, from.p, from.len);
	return (uint8_t)from.len;
}

struct smtp_session *smtp_session_new(const struct smtp_setup *setup)
{
	struct smtp_session *s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->limits = setup->limits;
	s->caps = setup->caps;
	s->tls_offered = setup->tls_offered;
	s->first_line = true;
	s->addr_len = copy_text(s->addr, sizeof s->addr, setup->client_addr);
	s->normalize = setup->normalize || s->limits->bare_newline == SMTP_BARE_NORMALIZE;
	s->id_len = copy_text(s->id, sizeof s->id, setup->id);
	return s;
}

void smtp_session_free(struct smtp_session *s)
{
	if (s == NULL)
		return;
	bytes_fini(&s->out);
	free(s->txn);
	free(s->helo);
	free(s);
}

void session_emit(struct smtp_session *s, enum smtp_event_kind kind, enum smtp_reason reason)
{
	assert(s->num_queued < QUEUE_MAX);
	s->queue[s->num_queued++] = (struct queued){ .kind = (uint8_t)kind, .reason = (uint8_t)reason };
}

void session_close(struct smtp_session *s, enum smtp_reason reason)
{
	if (s->state == ST_CLOSED)
		return;
	session_enter(s, ST_CLOSED);
	if (s->txn != NULL) {
		if (s->txn->link != LINK_NONE)
			session_emit(s, SMTP_EV_ABORT, reason);
		s->txn->link = LINK_NONE;
	}
	session_emit(s, SMTP_EV_CLOSE, reason);
}

void session_reply_bytes(struct smtp_session *s, struct slice bytes, enum smtp_reason reason, bool message)
{
	enum { LEN_MAX = (1 << 15) - 1 };
	assert(bytes.len >= 3 && bytes.len <= LEN_MAX);
	if (bytes_append(&s->out, bytes) != EC_OK) {
		session_close(s, SMTP_WHY_NO_MEMORY);
		return;
	}
	session_emit(s, SMTP_EV_REPLY, reason);
	struct queued *q = &s->queue[s->num_queued - 1];
	q->message = message;
	q->len = bytes.len & LEN_MAX;
}

void session_reply(struct smtp_session *s, enum smtp_reply_id id)
{
	const struct smtp_reply_row *row = smtp_reply_row(id);
	char text[SMTP_REPLY_LINE_MAX];
	struct writer w = writer_of(text, sizeof text);
	smtp_reply_print(&w, id);
	session_reply_bytes(s, writer_slice(&w), row->reason, false);
}

void session_refuse(struct smtp_session *s, enum smtp_reply_id id)
{
	if (smtp_reply_row(id)->code >= 500 && ++s->num_errors >= s->limits->max_errors) {
		session_reply(s, SMTP_R_MANY_ERRORS);
		session_close(s, SMTP_WHY_TOO_MANY_ERRORS);
		return;
	}
	session_reply(s, id);
}

uint64_t session_size_limit(const struct smtp_session *s)
{
	uint64_t ours = s->limits->max_message_size;
	uint64_t behind = (s->caps.flags & SMTP_CAP_SIZE) != 0 ? s->caps.size_max : 0;
	if (behind > SMTP_RECEIVED_MAX)
		behind -= SMTP_RECEIVED_MAX; /* our header comes on top of what we are sent */
	return ours == 0 || (behind != 0 && behind < ours) ? behind : ours;
}

static bool of_transaction(uint8_t kind)
{
	return kind >= SMTP_EV_OPEN_BACKEND && kind <= SMTP_EV_BODY;
}

static uint16_t code_of(struct slice reply)
{
	return (uint16_t)((reply.p[0] - '0') * 100 + (reply.p[1] - '0') * 10 + (reply.p[2] - '0'));
}

bool smtp_session_next(struct smtp_session *s, struct smtp_event *out)
{
	/* A transaction may have ended while its events waited: they are void. */
	while (s->next_queued < s->num_queued && s->txn == NULL && of_transaction(s->queue[s->next_queued].kind))
		s->next_queued++;
	if (s->next_queued == s->num_queued)
		return false;
	const struct queued *q = &s->queue[s->next_queued++];
	*out = (struct smtp_event){ .kind = q->kind, .reason = q->reason, .message = q->message };
	switch (q->kind) {
	case SMTP_EV_REPLY:
		out->bytes = slice_first(slice_from(bytes_slice(&s->out), s->out_pulled), q->len);
		s->out_pulled += q->len;
		out->code = code_of(out->bytes);
		break;
	case SMTP_EV_OPEN_BACKEND:
	case SMTP_EV_MAIL:
	case SMTP_EV_RCPT:
		out->mail = &s->txn->mail;
		out->rcpt = &s->txn->rcpt;
		out->connector = s->txn->connector;
		break;
	case SMTP_EV_CHUNK:
		out->chunk_size = s->txn->chunk_size;
		out->chunk_first = s->txn->chunk_first;
		out->chunk_last = s->chunk_last;
		break;
	case SMTP_EV_BODY:
		out->ranges = s->txn->ranges;
		out->num_ranges = s->txn->num_ranges;
		break;
	default:
		break;
	}
	return true;
}

/* Before each input: what was pulled is done with. Events that wait stay. */
void session_tidy(struct smtp_session *s)
{
	s->held = false;
	if (s->next_queued < s->num_queued) {
		memmove(s->queue, s->queue + s->next_queued, (s->num_queued - s->next_queued) * sizeof *s->queue);
		s->num_queued -= s->next_queued;
		s->next_queued = 0;
		return;
	}
	smtp_session_rest(s);
}

void smtp_session_rest(struct smtp_session *s)
{
	if (s->next_queued < s->num_queued)
		return;
	s->num_queued = s->next_queued = 0;
	s->out_pulled = 0;
	bytes_fini(&s->out);
}

bool session_waits(const struct smtp_session *s)
{
	switch (s->state) {
	case ST_OPENING:
	case ST_DATA_WAIT:
	case ST_CHUNK_WAIT:
	case ST_CHUNK_SENT:
	case ST_FINAL:
		return true;
	default:
		return s->txn != NULL && s->txn->pending > 0;
	}
}

bool smtp_session_wants(const struct smtp_session *s)
{
	if (s->state == ST_CLOSED || s->state == ST_TLS)
		return false;
	if (!session_waits(s))
		return true;
	return s->state == ST_RCPT && s->txn->early == EARLY_NONE && s->txn->pending < PENDING_MAX && !s->held;
}

static void early_talk(struct smtp_session *s)
{
	session_reply(s, SMTP_R_EARLY);
	session_close(s, SMTP_WHY_EARLY_TALK);
}

void smtp_session_feed(struct smtp_session *s, struct slice in, size_t *out_used)
{
	*out_used = 0;
	if (s->next_queued < s->num_queued)
		return;
	session_tidy(s);
	if (s->state == ST_CLOSED) {
		*out_used = in.len;
		return;
	}
	if (in.len > 0) {
		if (s->state == ST_WAIT)
			early_talk(s);
		else if (s->state == ST_BODY)
			*out_used = session_take_body(s, in);
		else if (s->state == ST_CHUNK)
			*out_used = session_take_chunk(s, in);
		else if (smtp_session_wants(s))
			*out_used = session_take_line(s, in);
	}
	session_settle(s);
	if (s->eof && *out_used == 0 && s->num_queued == 0 && !session_waits(s))
		session_close(s, SMTP_WHY_EOF);
}

void smtp_session_set_client(struct smtp_session *s, struct slice addr, bool normalize)
{
	if (s->state != ST_WAIT)
		return;
	s->addr_len = copy_text(s->addr, sizeof s->addr, addr);
	s->normalize = normalize || s->limits->bare_newline == SMTP_BARE_NORMALIZE;
}

void smtp_session_greet(struct smtp_session *s)
{
	char text[SMTP_REPLY_LINE_MAX];
	struct writer w = writer_of(text, sizeof text);
	session_tidy(s);
	if (s->state != ST_WAIT)
		return;
	if (s->draining) {
		smtp_session_end(s, SMTP_R_SHUTDOWN);
		return;
	}
	writer_str(&w, "220 ");
	writer_bytes(&w, session_hostname(s));
	writer_str(&w, " ESMTP\r\n");
	session_enter(s, ST_START);
	session_reply_bytes(s, writer_slice(&w), SMTP_WHY_NONE, false);
}

/* RFC 3207 4.2: the server must discard any knowledge obtained from the client. */
static void forget(struct smtp_session *s)
{
	free(s->helo);
	s->helo = NULL;
	s->helo_len = 0;
	s->esmtp = false;
	s->offered = 0;
	s->num_commands = s->num_errors = 0;
	s->first_line = true;
}

void smtp_session_tls_done(struct smtp_session *s, const struct smtp_tls_info *info)
{
	session_tidy(s);
	if (s->state != ST_TLS)
		return;
	forget(s);
	s->tls_active = true;
	s->version_len = copy_text(s->version, sizeof s->version, info->version);
	s->cipher_len = copy_text(s->cipher, sizeof s->cipher, info->cipher);
	s->sni_len = copy_text(s->sni, sizeof s->sni, info->sni);
	session_enter(s, ST_START);
	session_settle(s);
}

void smtp_session_tls_failed(struct smtp_session *s)
{
	session_tidy(s);
	if (s->state == ST_TLS)
		session_close(s, SMTP_WHY_TLS_FAILED);
}

void smtp_session_set_time(struct smtp_session *s, struct wall now)
{
	s->now = now;
}

void smtp_session_set_offer(struct smtp_session *s, const struct smtp_caps *caps, bool tls_offered)
{
	s->caps = *caps;
	s->tls_offered = tls_offered;
}

void smtp_session_eof(struct smtp_session *s)
{
	session_tidy(s);
	s->eof = true;
	if (s->state == ST_TLS || s->state == ST_WAIT)
		session_close(s, SMTP_WHY_EOF);
}

void smtp_session_end(struct smtp_session *s, enum smtp_reply_id id)
{
	session_tidy(s);
	if (s->state == ST_CLOSED)
		return;
	/* Between the 220 to STARTTLS and TLS nothing may be said in clear. */
	if (id != SMTP_R_NONE && s->state != ST_TLS)
		session_reply(s, id);
	session_close(s, id == SMTP_R_NONE ? SMTP_WHY_EOF : smtp_reply_row(id)->reason);
}

void session_settle(struct smtp_session *s)
{
	if (s->draining && (s->state == ST_START || s->state == ST_READY)) {
		session_reply(s, SMTP_R_SHUTDOWN);
		session_close(s, SMTP_WHY_SHUTDOWN);
	}
}

void smtp_session_drain(struct smtp_session *s)
{
	s->draining = true;
	if (s->state <= ST_MAIL && s->state != ST_WAIT)
		smtp_session_end(s, SMTP_R_SHUTDOWN);
}

enum smtp_deadline smtp_session_deadline(const struct smtp_session *s)
{
	if (session_waits(s))
		return s->state == ST_CLOSED ? SMTP_DEADLINE_NONE : SMTP_DEADLINE_BACKEND;
	switch (s->state) {
	case ST_WAIT:
		return SMTP_DEADLINE_GREETING;
	case ST_BODY:
	case ST_CHUNK:
		return SMTP_DEADLINE_BODY;
	case ST_TLS:
		return SMTP_DEADLINE_TLS;
	case ST_CLOSED:
		return SMTP_DEADLINE_NONE;
	default:
		return SMTP_DEADLINE_COMMAND;
	}
}

uint64_t smtp_session_progress(const struct smtp_session *s)
{
	return s->progress;
}

const char *smtp_session_state(const struct smtp_session *s)
{
	return steps[s->state].name;
}

struct slice smtp_session_helo(const struct smtp_session *s)
{
	return slice_of(s->helo, s->helo_len);
}

bool smtp_session_esmtp(const struct smtp_session *s)
{
	return s->esmtp;
}

const struct smtp_mail *smtp_session_mail(const struct smtp_session *s)
{
	return s->txn != NULL ? &s->txn->mail : NULL;
}

uint32_t smtp_session_num_recipients(const struct smtp_session *s)
{
	return s->txn != NULL ? s->txn->accepted : 0;
}

uint64_t smtp_session_message_size(const struct smtp_session *s)
{
	return s->txn != NULL ? s->txn->data.size : 0;
}

uint32_t smtp_session_num_delivered(const struct smtp_session *s)
{
	return s->num_delivered;
}

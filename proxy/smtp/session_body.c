#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/smtp/session_int.h"

enum smtp_reply_id session_txn_begin(struct smtp_session *s, const struct smtp_mail *mail)
{
	assert(s->txn == NULL);
	s->txn = calloc(1, sizeof *s->txn);
	if (s->txn == NULL)
		return SMTP_R_NO_MEMORY;
	s->txn->mail = *mail;
	s->num_transactions++;
	session_enter(s, ST_MAIL);
	return SMTP_R_NONE;
}

void session_txn_end(struct smtp_session *s)
{
	if (s->txn == NULL)
		return;
	if (s->txn->link == LINK_OPEN)
		session_emit(s, SMTP_EV_RESET, SMTP_WHY_NONE);
	else if (s->txn->link == LINK_DATA)
		session_emit(s, SMTP_EV_ABORT, SMTP_WHY_NONE);
	free(s->txn);
	s->txn = NULL;
	if (s->state != ST_CLOSED) /* a reply before may have found no memory */
		session_enter(s, ST_READY);
}

void session_spoil(struct smtp_session *s, enum smtp_reply_id why)
{
	struct txn *t = s->txn;
	if (t->link != LINK_NONE)
		session_emit(s, SMTP_EV_ABORT, smtp_reply_row(why)->reason);
	t->link = LINK_NONE;
	if (t->spoiled == SMTP_R_NONE)
		t->spoiled = why;
}

/* The answer to a whole message: it is no command's fault, so it never closes. */
static void reply_message(struct smtp_session *s, enum smtp_reply_id id)
{
	session_reply(s, id);
	if (s->num_queued > 0)
		s->queue[s->num_queued - 1].message = s->queue[s->num_queued - 1].kind == SMTP_EV_REPLY;
}

void session_reply_spoiled(struct smtp_session *s)
{
	struct txn *t = s->txn;
	bool message = t->begun && !t->told;
	t->told = true;
	if (t->refusal_len > 0) {
		session_reply_bytes(s, slice_of(t->refusal, t->refusal_len), SMTP_WHY_BACKEND_REFUSED, message);
	} else if (message) {
		reply_message(s, t->spoiled);
	} else {
		session_reply(s, t->spoiled);
	}
}

static enum smtp_reply_id fault_reply(enum smtp_data_fault fault)
{
	switch (fault) {
	case SMTP_DATA_BARE_LF:
		return SMTP_R_MSG_BARE_LF;
	case SMTP_DATA_BARE_CR:
		return SMTP_R_MSG_BARE_CR;
	case SMTP_DATA_TOO_BIG:
		return SMTP_R_TOO_BIG;
	default:
		return SMTP_R_MSG_NUL;
	}
}

void session_pass_on(struct smtp_session *s, const struct smtp_data_out *out)
{
	struct txn *t = s->txn;
	if (t->spoiled != SMTP_R_NONE)
		return;
	if (out->num > 0) {
		t->num_ranges = out->num;
		session_emit(s, SMTP_EV_BODY, SMTP_WHY_NONE);
	}
	if (t->data.fault != SMTP_DATA_FINE)
		session_spoil(s, fault_reply(t->data.fault));
}

void session_commit(struct smtp_session *s)
{
	session_emit(s, SMTP_EV_COMMIT, SMTP_WHY_NONE);
	session_enter(s, ST_FINAL);
}

size_t session_take_body(struct smtp_session *s, struct slice in)
{
	struct txn *t = s->txn;
	struct smtp_data_out out = { t->ranges, SMTP_RANGES_MAX, 0 };
	size_t used = smtp_data_scan(&t->data, in, &out);
	s->progress++;
	session_pass_on(s, &out);
	if (t->data.state != SMTP_DATA_END)
		return used;
	if (t->spoiled == SMTP_R_NONE) {
		session_commit(s);
	} else {
		session_reply_spoiled(s);
		session_txn_end(s);
	}
	return used;
}

size_t session_message_begin(struct smtp_session *s, enum smtp_data_form form)
{
	struct txn *t = s->txn;
	struct smtp_received r = {
		.helo = slice_of(s->helo, s->helo_len),
		.addr = slice_of(s->addr, s->addr_len),
		.by = slice_str(s->limits->hostname),
		.id = slice_of(s->id, s->id_len),
		.tls_version = slice_of(s->version, s->version_len),
		.tls_cipher = slice_of(s->cipher, s->cipher_len),
		.tls_sni = slice_of(s->sni, s->sni_len),
		.esmtp = s->esmtp,
		.smtputf8 = t->mail.smtputf8,
		.now = s->now,
	};
	struct writer w = writer_of(t->head, sizeof t->head);
	smtp_received_print(&w, &r);
	assert(!w.bad);
	smtp_data_init(&t->data, s->normalize && form != SMTP_FORM_BINARY, form, session_size_limit(s));
	t->link = LINK_DATA;
	t->ranges[0] = writer_slice(&w);
	t->num_ranges = 1;
	session_emit(s, SMTP_EV_BODY, SMTP_WHY_NONE);
	return w.len;
}

void session_data(struct smtp_session *s)
{
	struct txn *t = s->txn;
	if (t->pending > 0) { /* the line has been looked at: it may overtake */
		t->early = EARLY_SENT;
		session_emit(s, SMTP_EV_DATA, SMTP_WHY_NONE);
		return;
	}
	if (t->spoiled != SMTP_R_NONE) {
		session_reply_spoiled(s);
		session_txn_end(s);
		return;
	}
	if (t->accepted == 0) {
		session_refuse(s, SMTP_R_NEED_RCPT);
		return;
	}
	/* RFC 3030 3: "cannot be used with the DATA command". */
	if (t->mail.body == SMTP_BODY_BINARYMIME) {
		session_refuse(s, SMTP_R_NEED_BDAT);
		return;
	}
	session_enter(s, ST_DATA_WAIT);
	session_emit(s, SMTP_EV_DATA, SMTP_WHY_NONE);
}

/* Behind the answer to the last RCPT it is the turn of a DATA that came early. */
static void early_due(struct smtp_session *s)
{
	struct txn *t = s->txn;
	if (s->state == ST_CLOSED || t->early == EARLY_NONE || t->pending > 0)
		return;
	bool asked = t->early == EARLY_SENT && t->link != LINK_NONE;
	t->early = EARLY_NONE;
	if (asked)
		session_enter(s, ST_DATA_WAIT);
	else
		session_data(s);
}

/* OPEN_BACKEND led to nothing: the transaction is as before this recipient. */
static void not_opened(struct smtp_session *s, enum smtp_reply_id id)
{
	s->txn->pending = 0;
	s->num_commands++; /* an attempt that led to nothing: the limit is looked at by the next command */
	session_enter(s, ST_MAIL);
	session_reply(s, id);
	early_due(s);
}

void smtp_session_backend_refused(struct smtp_session *s, enum smtp_reply_id id)
{
	assert(smtp_reply_row(id)->code >= 400);
	session_tidy(s);
	if (s->state == ST_OPENING)
		not_opened(s, id);
	session_settle(s);
}

void smtp_session_backend_ready(struct smtp_session *s, const struct smtp_caps *caps, bool reused)
{
	const uint32_t needs_binary = SMTP_CAP_BINARYMIME | SMTP_CAP_CHUNKING;
	struct txn *t = s->txn;
	enum smtp_reply_id lacks = SMTP_R_NONE;
	session_tidy(s);
	if (s->state != ST_OPENING)
		return;
	/* What the envelope asks for was offered when EHLO was answered. DSN and
	 * SIZE can be left out (RFC 3461 5.2.2); these can't. */
	if (t->mail.body == SMTP_BODY_8BITMIME && (caps->flags & SMTP_CAP_8BITMIME) == 0)
		lacks = SMTP_R_LACKS_8BITMIME;
	else if (t->mail.body == SMTP_BODY_BINARYMIME && (caps->flags & needs_binary) != needs_binary)
		lacks = SMTP_R_LACKS_BINARYMIME;
	else if (t->mail.smtputf8 && (caps->flags & SMTP_CAP_SMTPUTF8) == 0)
		lacks = SMTP_R_LACKS_SMTPUTF8;
	else if (t->mail.requiretls && (caps->flags & SMTP_CAP_REQUIRETLS) == 0)
		lacks = SMTP_R_LACKS_REQUIRETLS;
	if (lacks != SMTP_R_NONE) {
		not_opened(s, lacks);
		return;
	}
	t->link = LINK_OPEN;
	t->link_caps = caps->flags;
	t->reused = reused;
	t->answered = false;
	session_enter(s, ST_RCPT);
	session_emit(s, SMTP_EV_MAIL, SMTP_WHY_NONE);
	session_emit(s, SMTP_EV_RCPT, SMTP_WHY_NONE);
	if (t->early == EARLY_HELD && (t->link_caps & SMTP_CAP_PIPELINING) != 0) {
		t->early = EARLY_SENT;
		session_emit(s, SMTP_EV_DATA, SMTP_WHY_NONE);
	}
}

/* Prints the backend's refusal (4yz, 5yz) or its consent as `code`. */
static struct slice print_answer(char *text, size_t size, const struct smtp_answer *a, uint16_t code, const char *good)
{
	struct writer w = writer_of(text, size);
	smtp_answer_print(&w, code, code < 300 ? good : code < 500 ? "4.0.0" : "5.0.0", a);
	return writer_slice(&w);
}

void session_pass_answer(struct smtp_session *s, const struct smtp_answer *a, uint16_t code, const char *good, bool message)
{
	char text[REFUSAL_MAX];
	struct slice bytes = print_answer(text, sizeof text, a, code, good);
	session_reply_bytes(s, bytes, code < 300 ? SMTP_WHY_NONE : SMTP_WHY_BACKEND_REFUSED, message);
}

void session_spoil_words(struct smtp_session *s, const struct smtp_answer *a)
{
	struct txn *t = s->txn;
	t->spoiled = SMTP_R_BACKEND_LOST;
	t->refusal_len = print_answer(t->refusal, sizeof t->refusal, a, a->code, "").len;
}

static bool is_refusal(const struct smtp_answer *a)
{
	return a->code >= 400 && a->code <= 599;
}

static void answer_rcpt(struct smtp_session *s, const struct smtp_answer *a)
{
	struct txn *t = s->txn;
	t->pending--;
	t->answered = true;
	if (a->code / 100 == 2) {
		t->accepted++;
		session_pass_answer(s, a, a->code == 251 ? 251 : 250, "2.1.5", false);
		return;
	}
	s->num_commands++; /* an attempt that led to nothing: the limit is looked at by the next command */
	session_pass_answer(s, a, a->code, "", false);
}

/* DATA went early, and no recipient was accepted: the answer is ours. A backend that
 * wants a message for nobody gets none (RFC 2920 3.1 would send it a lone dot). */
static void refuse_data_for_nobody(struct smtp_session *s, bool go_on)
{
	if (go_on) {
		session_emit(s, SMTP_EV_ABORT, smtp_reply_row(SMTP_R_NEED_RCPT)->reason);
		s->txn->link = LINK_NONE;
	}
	session_enter(s, s->txn->link == LINK_NONE ? ST_MAIL : ST_RCPT);
	session_refuse(s, SMTP_R_NEED_RCPT);
}

static void answer_data(struct smtp_session *s, const struct smtp_answer *a)
{
	struct txn *t = s->txn;
	bool chunk = s->state == ST_CHUNK_WAIT;
	if (t->accepted == 0) {
		refuse_data_for_nobody(s, a->code == 354);
		return;
	}
	if (a->code == 354) {
		t->begun = true;
		(void)session_message_begin(s, t->data.form);
		if (chunk) {
			session_chunk_enter(s);
		} else {
			session_enter(s, ST_BODY);
			session_reply(s, SMTP_R_GO_ON);
		}
		return;
	}
	if (!chunk) {
		session_enter(s, ST_RCPT);
		session_pass_answer(s, a, a->code, "", false);
		return;
	}
	/* The octets of the chunk come all the same; the answer comes behind them. */
	session_spoil_words(s, a);
	session_chunk_enter(s);
}

static void answer_final(struct smtp_session *s, const struct smtp_answer *a)
{
	/* After the dot the backend has forgotten the transaction; whether it has after a
	 * last chunk that it refused, RFC 3030 does not say: RSET. */
	s->txn->link = txn_passes(s->txn) && a->code != 250 ? LINK_OPEN : LINK_NONE;
	if (a->code == 250) {
		s->num_delivered++;
		s->num_commands = 0;
	}
	session_pass_answer(s, a, a->code, "2.0.0", true);
	session_txn_end(s);
}

void smtp_session_backend_answer(struct smtp_session *s, const struct smtp_answer *a)
{
	session_tidy(s);
	bool data = s->state == ST_DATA_WAIT || s->state == ST_CHUNK_WAIT;
	bool rcpt = s->state == ST_RCPT && s->txn->pending > 0;
	bool chunk = s->state == ST_CHUNK_SENT;
	if (!data && !rcpt && !chunk && s->state != ST_FINAL)
		return;
	/* P1: only a 250 to this dot, or to this last chunk, is a yes. relay/backend.c has looked at the
	 * class already; this is the second lock on the same door. */
	bool yes = data ? a->code == 354 : rcpt ? a->code / 100 == 2 : a->code == 250;
	if (!yes && !is_refusal(a)) {
		session_emit(s, SMTP_EV_ABORT, SMTP_WHY_BACKEND_GARBAGE);
		smtp_session_backend_lost(s, SMTP_WHY_BACKEND_GARBAGE);
	} else if (data) {
		answer_data(s, a);
	} else if (rcpt) {
		answer_rcpt(s, a);
		early_due(s);
	} else if (chunk) {
		session_chunk_answered(s, a);
	} else {
		answer_final(s, a);
	}
	session_settle(s);
}

static void lost_rcpt(struct smtp_session *s, enum smtp_reply_id id)
{
	struct txn *t = s->txn;
	if (t->reused && !t->answered && t->pending == 1 && !t->retried) {
		t->retried = true;
		t->early = t->early == EARLY_NONE ? EARLY_NONE : EARLY_HELD;
		session_enter(s, ST_OPENING);
		session_emit(s, SMTP_EV_OPEN_BACKEND, SMTP_WHY_NONE);
		return;
	}
	if (t->accepted > 0)
		t->spoiled = id; /* the accepted ones are lost with the link */
	else
		session_enter(s, ST_MAIL); /* the next RCPT may find a link again */
	for (; t->pending > 0; t->pending--)
		session_reply(s, id);
	early_due(s);
}

void smtp_session_backend_lost(struct smtp_session *s, enum smtp_reason reason)
{
	struct txn *t = s->txn;
	enum smtp_reply_id id = smtp_reply_lost(reason);
	session_tidy(s);
	if (t == NULL || s->state == ST_CLOSED || (t->link == LINK_NONE && s->state != ST_OPENING))
		return;
	t->link = LINK_NONE;
	switch (s->state) {
	case ST_OPENING:
		not_opened(s, id);
		break;
	case ST_RCPT:
		lost_rcpt(s, id);
		break;
	case ST_DATA_WAIT:
		if (t->accepted == 0) {
			refuse_data_for_nobody(s, false);
			break;
		}
		session_reply(s, id);
		session_txn_end(s);
		break;
	case ST_CHUNK_SENT:
		t->spoiled = id;
		session_enter(s, ST_CHUNKS);
		session_reply_spoiled(s);
		break;
	case ST_FINAL:
		reply_message(s, id);
		session_txn_end(s);
		break;
	default:
		/* Octets of a message are on their way: the answer waits for their end. */
		if (t->spoiled == SMTP_R_NONE)
			t->spoiled = id;
		if (s->state == ST_CHUNK_WAIT)
			session_chunk_enter(s);
		break;
	}
	session_settle(s);
}

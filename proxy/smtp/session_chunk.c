/* BDAT.
 *
 * A chunk goes on as a chunk of the same size when the link offers CHUNKING, the
 * first one with our Received: in front, and is answered when the backend has answered
 * it. Otherwise all chunks become one DATA, and we answer all but the last (RFC 3030 2).
 *
 * The policy about line ends is the same both ways: RFC 3030 lets a chunk hold any
 * octets, but the backend may pass the message on by DATA, and there a bare CR or LF
 * is what another MTA can split differently (CVE-2023-51764). So in `reject` a stray
 * line end or a NUL refuses the message; the chunk stays incomplete behind us, so
 * nothing of it can be stored. In `normalize` repairs would change the sizes that
 * were announced: such a message becomes DATA. Only BODY=BINARYMIME has no line ends
 * to be strict about: those octets go on as they are, by BDAT or not at all. */
#include "proxy/smtp/session_int.h"

/* The form of a message that comes in chunks, from what this link offers. */
static enum smtp_data_form form_of(const struct smtp_session *s)
{
	const struct txn *t = s->txn;
	if (t->mail.body == SMTP_BODY_BINARYMIME)
		return SMTP_FORM_BINARY;
	return (t->link_caps & SMTP_CAP_CHUNKING) != 0 && !s->normalize ? SMTP_FORM_PASSED : SMTP_FORM_CHUNKS;
}

/* What can't succeed any more ends with its last chunk, as the sender thinks too. */
static void failed_done(struct smtp_session *s, enum state back)
{
	session_enter(s, back);
	session_reply_spoiled(s);
	if (s->chunk_last)
		session_txn_end(s);
}

/* The octets of a chunk that was thrown away are all read. */
static void discard_done(struct smtp_session *s)
{
	if (s->chunk_reply != SMTP_R_NONE) {
		session_enter(s, s->chunk_back);
		session_refuse(s, s->chunk_reply);
		return;
	}
	/* The message failed before; chunks that were under way get the same answer, as
	 * a sender may look at the last one only. */
	s->num_commands++;
	failed_done(s, s->chunk_back);
}

/* The octets of a good chunk are all read, and passed on. */
static void good_done(struct smtp_session *s)
{
	struct txn *t = s->txn;
	if (t->spoiled != SMTP_R_NONE) {
		failed_done(s, ST_CHUNKS);
	} else if (s->chunk_last) {
		session_commit(s);
	} else if (txn_passes(t)) {
		session_enter(s, ST_CHUNK_SENT);
		session_emit(s, SMTP_EV_CHUNK_END, SMTP_WHY_NONE);
	} else {
		session_enter(s, ST_CHUNKS);
		session_reply(s, SMTP_R_CHUNK_OK);
	}
}

/* Passes octets of a good chunk on, and at its end what was held back, or the end
 * of line that may be missing. Returns the octets taken. */
static size_t chunk_octets(struct smtp_session *s, struct slice in)
{
	struct txn *t = s->txn;
	struct smtp_data_out out = { t->ranges, SMTP_RANGES_MAX - 1, 0 };
	size_t used = smtp_data_scan(&t->data, in, &out);
	s->chunk_left -= used;
	out.cap = SMTP_RANGES_MAX;
	if (s->chunk_left == 0 && s->chunk_last)
		smtp_data_last(&t->data, &out);
	else if (s->chunk_left == 0)
		smtp_data_pause(&t->data, &out);
	session_pass_on(s, &out);
	return used;
}

static void chunk_done(struct smtp_session *s)
{
	if (s->chunk_discard)
		discard_done(s);
	else
		good_done(s);
}

size_t session_take_chunk(struct smtp_session *s, struct slice in)
{
	size_t used = in.len < s->chunk_left ? in.len : (size_t)s->chunk_left;
	s->progress++;
	if (s->chunk_discard || s->txn->spoiled != SMTP_R_NONE)
		s->chunk_left -= used;
	else
		used = chunk_octets(s, slice_first(in, used));
	if (s->chunk_left == 0)
		chunk_done(s);
	return used;
}

void session_chunk_enter(struct smtp_session *s)
{
	session_enter(s, ST_CHUNK);
	if (s->chunk_left > 0)
		return;
	if (!s->chunk_discard && s->txn->spoiled == SMTP_R_NONE)
		(void)chunk_octets(s, slice_of("", 0));
	chunk_done(s);
}

void session_chunk_discard(struct smtp_session *s, const struct smtp_bdat *bdat, enum smtp_reply_id id)
{
	s->chunk_left = bdat->size;
	s->chunk_last = bdat->last;
	s->chunk_discard = true;
	s->chunk_back = s->state;
	s->chunk_reply = id;
	session_chunk_enter(s);
}

/* Announces the chunk to the backend: from here on only its last octet, or closing
 * the link, ends it. */
static void announce(struct smtp_session *s, bool first)
{
	struct txn *t = s->txn;
	t->link = LINK_DATA;
	t->chunk_first = first;
	t->chunk_size = s->chunk_left;
	session_emit(s, SMTP_EV_CHUNK, SMTP_WHY_NONE);
	if (first)
		t->chunk_size += session_message_begin(s, t->data.form);
}

void session_chunk_begin(struct smtp_session *s, const struct smtp_bdat *bdat)
{
	struct txn *t = s->txn;
	bool first = s->state == ST_RCPT;
	/* Postfix and Exim refuse a chunk of nothing that is not the last, and with it the
	 * message. There is nothing in it to pass on, nor to be lost. */
	if (!first && bdat->size == 0 && !bdat->last) {
		session_reply(s, SMTP_R_CHUNK_OK);
		return;
	}
	s->chunk_left = bdat->size;
	s->chunk_last = bdat->last;
	s->chunk_discard = false;
	if (first) {
		t->begun = true;
		t->data.form = form_of(s);
	}
	/* An empty last chunk may end the message with a stray CR. It ends the transaction
	 * then, in this very call, and so the event that would announce it is void. */
	if (txn_passes(t)) {
		announce(s, first);
	} else if (first) {
		session_enter(s, ST_CHUNK_WAIT);
		session_emit(s, SMTP_EV_DATA, SMTP_WHY_NONE);
		return;
	}
	session_chunk_enter(s);
}

void session_chunk_answered(struct smtp_session *s, const struct smtp_answer *a)
{
	struct txn *t = s->txn;
	t->link = LINK_OPEN; /* between chunks RSET is in order */
	session_enter(s, ST_CHUNKS);
	if (a->code == 250) {
		session_reply(s, SMTP_R_CHUNK_OK); /* its own words may count our octets too */
		return;
	}
	session_spoil_words(s, a);
	session_reply_spoiled(s);
}

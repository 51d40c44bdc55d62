/* Owns:  what the five files of the session share: its state and its queue.
 * Never: included by anything but session*.c.
 * Spec:  –
 * Start at: enum state, struct smtp_session. */
#ifndef PROXY_SMTP_SESSION_INT_H
#define PROXY_SMTP_SESSION_INT_H

#include "base/steps.h"
#include "proxy/smtp/data.h"
#include "proxy/smtp/received.h"
#include "proxy/smtp/session.h"

enum state {
	ST_WAIT,       /* not greeted yet */
	ST_START,      /* greeted; no EHLO */
	ST_READY,      /* EHLO or HELO; no transaction */
	ST_MAIL,       /* MAIL; nothing said to a backend */
	ST_OPENING,    /* first RCPT: waiting for a backend */
	ST_RCPT,       /* backend has MAIL; `pending` RCPTs unanswered */
	ST_DATA_WAIT,  /* DATA: waiting for the backend's 354 */
	ST_BODY,       /* octets of DATA */
	ST_CHUNK_WAIT, /* first BDAT: waiting for the backend's 354 */
	ST_CHUNK,      /* octets of a chunk, passed on or thrown away */
	ST_CHUNK_SENT, /* a chunk is passed on: waiting for the backend's word */
	ST_CHUNKS,     /* between chunks */
	ST_FINAL,      /* the dot or the last chunk is sent: waiting for the backend's word */
	ST_TLS,        /* 220 to STARTTLS is said */
	ST_CLOSED,
	ST_COUNT
};

/* What stands at the backend for this transaction. */
enum link {
	LINK_NONE, /* nothing, or nothing any more */
	LINK_OPEN, /* MAIL, perhaps RCPT, perhaps whole chunks: RSET ends it */
	LINK_DATA, /* DATA, or half a chunk: only closing the link ends it */
};

/* A client's DATA that came in one group with RCPTs which the backend has not answered
 * yet (RFC 2920 3.1). While there is one, no line of the client is taken, `pending` is
 * not 0, and the state is ST_RCPT or, for a second try, ST_OPENING.
 *
 *  - The client gets its answer behind those of the RCPTs, as if it had come then.
 *  - With no recipient accepted that answer is ours, NEED_RCPT, whatever the backend says
 *    to its DATA and whatever becomes of the link. A 354 then costs the link: neither an
 *    octet nor a dot goes out, so nothing is ever a message.
 *  - A second try is safe: it is for a link that has answered nothing in this transaction,
 *    and octets of a message go out only behind a 354 of the same link, which comes
 *    behind a recipient it has accepted (`answered` is set then). What the lost link may
 *    have read is commands; no message can be there twice. DATA goes with the RCPT
 *    to the new link, in the same group if that one pipelines. */
enum early {
	EARLY_NONE,
	EARLY_HELD, /* not with this link: it goes when the last RCPT is answered */
	EARLY_SENT, /* the link has it, behind the RCPTs: then comes ST_DATA_WAIT */
};

enum { PENDING_MAX = 32, QUEUE_MAX = PENDING_MAX + 12, REFUSAL_MAX = 640 };

/* One transaction; lives from MAIL to its end. */
struct txn {
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;     /* the one being passed on, or passed on last */
	size_t connector;          /* its way: of all recipients of this link */
	enum link link;
	uint32_t pending;          /* RCPTs the backend owes an answer */
	uint32_t accepted;
	enum early early;
	bool answered;             /* this link has answered something in this transaction */
	bool reused, retried;
	bool begun;                /* the client has begun to send it */
	bool told;                 /* the client knows that it is spoiled */
	uint32_t link_caps;        /* what the link offers now */
	bool chunk_first;          /* the chunk announced last: it begins the message; */
	uint64_t chunk_size;       /* its octets, our header included */
	enum smtp_reply_id spoiled; /* the message can't be passed on any more, and why */
	char refusal[REFUSAL_MAX];  /* the backend's own words for that, if it had any */
	size_t refusal_len;
	struct smtp_data data;
	struct slice ranges[SMTP_RANGES_MAX];
	size_t num_ranges;
	char head[SMTP_RECEIVED_MAX];
};

/* txn_passes: chunks go on as chunks. */
static inline bool txn_passes(const struct txn *t)
{
	return t->data.form == SMTP_FORM_PASSED || t->data.form == SMTP_FORM_BINARY;
}

struct queued {
	uint8_t kind;
	uint8_t reason;
	uint16_t message : 1;
	uint16_t len : 15; /* REPLY: bytes in `out` */
};

struct smtp_session {
	const struct smtp_limits *limits;
	struct smtp_caps caps;
	bool tls_offered, tls_active;
	bool normalize; /* bare newlines of this client */
	bool esmtp, skipping, first_line, eof, draining;
	bool held; /* the next line is here, and waits for the backend's answers */
	enum state state;
	enum smtp_reply_id skip_reply; /* given when the line being skipped ends; NONE: given already */
	uint64_t skipped;
	uint32_t offered;              /* extensions in the last EHLO reply */
	uint32_t num_commands, num_errors, num_transactions, num_delivered;
	uint64_t progress;
	/* A chunk: octets to come; where it leads if it is thrown away, and what is said then. */
	uint64_t chunk_left;
	bool chunk_last, chunk_discard;
	enum state chunk_back;
	enum smtp_reply_id chunk_reply;
	struct txn *txn;
	struct wall now;
	/* Replies not pulled yet are bytes of `out`; they are pulled in order. */
	struct bytes out;
	size_t out_pulled;
	unsigned num_queued, next_queued;
	struct queued queue[QUEUE_MAX];
	uint8_t helo_len, addr_len, id_len, version_len, cipher_len, sni_len;
	char *helo;
	char addr[SMTP_ADDR_TEXT_MAX];
	char id[SMTP_SESSION_ID_MAX];
	char version[SMTP_TLS_TEXT_MAX], cipher[SMTP_TLS_TEXT_MAX], sni[SMTP_TLS_TEXT_MAX];
};

/* session_enter is the only place that changes the state. */
void session_enter(struct smtp_session *s, enum state to);
const struct step_row *session_steps(void);

/* The queue of events. A reply that does not fit in memory closes the session. */
void session_emit(struct smtp_session *s, enum smtp_event_kind kind, enum smtp_reason reason);
void session_reply(struct smtp_session *s, enum smtp_reply_id id);
void session_reply_bytes(struct smtp_session *s, struct slice bytes, enum smtp_reason reason, bool message);
void session_close(struct smtp_session *s, enum smtp_reason reason);
/* session_refuse is session_reply for what the client did wrong: it counts, and too many close. */
void session_refuse(struct smtp_session *s, enum smtp_reply_id id);

/* session_tidy forgets the events that were pulled; the first thing every input does. */
void session_tidy(struct smtp_session *s);
/* session_settle closes a draining session that has nothing open. */
void session_settle(struct smtp_session *s);

/* session_waits tells whether the backend owes something that must be told
 * to the client before anything else is. */
bool session_waits(const struct smtp_session *s);

/* Transactions (session_body.c). */
enum smtp_reply_id session_txn_begin(struct smtp_session *s, const struct smtp_mail *mail);
void session_txn_end(struct smtp_session *s);
/* session_spoil drops the link and remembers why; session_spoil_words keeps the
 * link, and the backend's own words. The reply is given when it is due, by
 * session_reply_spoiled: each time the same one. */
void session_spoil(struct smtp_session *s, enum smtp_reply_id why);
void session_spoil_words(struct smtp_session *s, const struct smtp_answer *a);
void session_reply_spoiled(struct smtp_session *s);

/* session_data does what a DATA that is in order demands: refuses it, or passes it on. */
void session_data(struct smtp_session *s);

/* Which way a recipient goes (session_way.c). session_way_find says which connector's, or why
 * nobody can be asked about it now: those that are accepted, or may be yet, have chosen.
 * session_way_same tells whether that is where the link of this transaction goes, to which the
 * recipient passed on last went too. */
enum smtp_reply_id session_way_find(const struct smtp_session *s, const struct smtp_rcpt *rcpt, size_t *out_way);
bool session_way_same(const struct smtp_session *s, const struct smtp_rcpt *rcpt, size_t way);

/* Octets of messages (session_body.c). session_message_begin puts our Received:
 * before the first one and returns its length. session_pass_on passes on what the
 * scanner gave, unless the message is lost already or is now. session_commit comes
 * behind the last octet. session_pass_answer passes the backend's reply on as
 * `code`, with the enhanced code `good` if it is a yes without one. */
size_t session_take_body(struct smtp_session *s, struct slice in);
size_t session_message_begin(struct smtp_session *s, enum smtp_data_form form);
void session_pass_on(struct smtp_session *s, const struct smtp_data_out *out);
void session_commit(struct smtp_session *s);
void session_pass_answer(struct smtp_session *s, const struct smtp_answer *a, uint16_t code, const char *good, bool message);

/* Chunks (session_chunk.c). */
size_t session_take_chunk(struct smtp_session *s, struct slice in);
void session_chunk_begin(struct smtp_session *s, const struct smtp_bdat *bdat);
/* session_chunk_discard reads a chunk and throws it away, then says `id`, or if that
 * is NONE why the message is spoiled, and returns to the state it came from. */
void session_chunk_discard(struct smtp_session *s, const struct smtp_bdat *bdat, enum smtp_reply_id id);
/* session_chunk_enter takes the octets of a chunk from here on; it leaves again at
 * once if there are none. */
void session_chunk_enter(struct smtp_session *s);
/* session_chunk_answered: the backend's word about a chunk that is not the last. */
void session_chunk_answered(struct smtp_session *s, const struct smtp_answer *a);

/* session_take_line takes a command line, or part of one that is being skipped
 * (session_command.c). Returns the octets taken. */
size_t session_take_line(struct smtp_session *s, struct slice in);

uint64_t session_size_limit(const struct smtp_session *s);
/* session_hostname is our name, cut to what a reply line has room for. */
static inline struct slice session_hostname(const struct smtp_session *s)
{
	return slice_first(slice_str(s->limits->hostname), 255);
}

#endif

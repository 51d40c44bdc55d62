/* Owns:  what the three files of the session share: its state and its queue.
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
	ST_CHUNKS,     /* between chunks */
	ST_FINAL,      /* the dot is sent: waiting for the backend's word */
	ST_TLS,        /* 220 to STARTTLS is said */
	ST_CLOSED,
	ST_COUNT
};

/* What stands at the backend for this transaction. */
enum link {
	LINK_NONE, /* nothing, or nothing any more */
	LINK_OPEN, /* MAIL, perhaps RCPT: RSET ends it */
	LINK_DATA, /* DATA: only closing the link ends it */
};

enum { PENDING_MAX = 32, QUEUE_MAX = PENDING_MAX + 12, REFUSAL_MAX = 640 };

/* One transaction; lives from MAIL to its end. */
struct txn {
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;     /* the one being passed on */
	enum link link;
	uint32_t pending;          /* RCPTs the backend owes an answer */
	uint32_t accepted;
	bool answered;             /* this link has answered something in this transaction */
	bool reused, retried;
	bool chunked;
	enum smtp_reply_id spoiled; /* the message can't be passed on any more, and why */
	char refusal[REFUSAL_MAX];  /* the backend's own words for that, if it had any */
	size_t refusal_len;
	struct smtp_data data;
	struct slice ranges[SMTP_RANGES_MAX];
	size_t num_ranges;
	char head[SMTP_RECEIVED_MAX];
};

struct queued {
	uint8_t kind;
	uint8_t reason;
	uint16_t code;
	uint16_t len; /* REPLY: bytes in `out` */
	bool message;
};

struct smtp_session {
	const struct smtp_limits *limits;
	struct smtp_caps caps;
	bool tls_offered, tls_active;
	bool normalize; /* bare newlines of this client */
	bool esmtp, skipping, first_line, eof, draining;
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
	char helo[SMTP_HELO_MAX];
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
void session_reply_bytes(struct smtp_session *s, struct slice bytes, uint16_t code, enum smtp_reason reason, bool message);
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
/* session_spoil drops the link and remembers why; the reply is given when it is due. */
void session_spoil(struct smtp_session *s, enum smtp_reply_id why);

/* Octets of messages (session_body.c). */
size_t session_take_body(struct smtp_session *s, struct slice in);
size_t session_take_chunk(struct smtp_session *s, struct slice in);
void session_chunk_begin(struct smtp_session *s, const struct smtp_bdat *bdat);
/* session_chunk_discard reads a chunk and throws it away, then says `id` and
 * returns to the state it came from. */
void session_chunk_discard(struct smtp_session *s, const struct smtp_bdat *bdat, enum smtp_reply_id id);

/* session_take_line takes a command line, or part of one that is being skipped
 * (session_command.c). Returns the octets taken. */
size_t session_take_line(struct smtp_session *s, struct slice in);

uint64_t session_size_limit(const struct smtp_session *s);

#endif

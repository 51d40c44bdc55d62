/* Owns:  the server's side of one SMTP dialogue: bytes in, events out.
 * Never: calls back, reads a clock, touches a socket; never says 250 to a
 *        message that the backend has not said 250 to.
 * Spec:  RFC 5321 3, 4; RFC 2920 (pipelining), 3030 (BDAT), 3207 (STARTTLS),
 *        8689 (REQUIRETLS), 2033 (what LMTP behind us means).
 * Start at: "The contract" below, enum smtp_event_kind. */
#ifndef PROXY_SMTP_SESSION_H
#define PROXY_SMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/instant.h"
#include "base/slice.h"
#include "proxy/smtp/caps.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/reply.h"

/* The contract
 *
 * The shell keeps what it received (after TLS: what TLS decrypted) in a buffer
 * of at least SMTP_SESSION_INPUT bytes and repeats, after every input of
 * whatever kind, until nothing moves:
 *
 *     while (smtp_session_next(s, &ev))
 *             act on ev;
 *     smtp_session_feed(s, everything in the buffer, &used);
 *     drop `used` bytes from the front of the buffer
 *         -- but only after pulling the events: BODY borrows those bytes.
 *     stop when used == 0 and there was no event
 *
 * feed takes a whole command line or a run of body octets at a time. It takes
 * nothing while an event waits, while the dialogue waits for the backend or for
 * TLS, and while a line is not complete. smtp_session_wants tells the shell
 * whether reading from the client makes sense now: that is the backpressure.
 *
 * Everything the shell has in hand must be offered to feed at once: bytes behind
 * STARTTLS end the session (CVE-2011-0411), and feed can only see what it is given.
 *
 * Which input answers which event:
 *
 *  event         the shell does                             then calls
 *  REPLY         queues ev.bytes for the client             –
 *  START_TLS     flushes the 220 in clear, handshakes       tls_done or tls_failed
 *  OPEN_BACKEND  finds or dials a link of ev.connector for  backend_ready, backend_refused or
 *                ev.mail/ev.rcpt                            backend_lost
 *  MAIL          backend_mail(link, ev.mail)                –  (its refusal comes as the answer to RCPT)
 *  RCPT          backend_rcpt(link, ev.rcpt)                backend_answer, one per RCPT, in order, or backend_lost
 *  DATA          backend_data(link)                         backend_answer, or backend_lost: behind those of RCPTs
 *  CHUNK         backend_chunk(link, ev.chunk_…): BDAT      –  (BODY follows, ev.chunk_size octets in all)
 *  CHUNK_END     backend_chunk_end(link): they are all out  backend_answer, or backend_lost
 *  BODY          queues ev.ranges for the backend           – (backend_lost at any time)
 *  COMMIT        backend_commit(link): the dot, or that     backend_answer, or backend_lost
 *                the octets of the last chunk are all out
 *  RESET         backend_reset(link): RSET, keep the link   – (OPEN_BACKEND may follow at once)
 *  ABORT         closes the link NOW, sending nothing more  – (the message must not be completed)
 *  CLOSE         flushes replies, then closes the client;   –
 *                ev.reason says why. Last event.
 *
 * MAIL and the first RCPT come straight after backend_ready, so they share a
 * packet, and so do further RCPTs and DATA if the client has sent them in one group
 * and the backend offers PIPELINING (RFC 2920 3.1): DATA may come while RCPTs are
 * unanswered. A link that is reused for the next message gets MAIL without RSET.
 * An answer that relay/backend.h reports as not understood is backend_lost with
 * its reason. Calls that do not fit the state (a late answer) are ignored.
 *
 * Connectors: the way of a transaction is that of its recipients that are accepted, or
 * that the backend hasn't answered yet; while there are none, the next one chooses, and
 * OPEN_BACKEND asks for its connector. A link that others were refused on is given up for
 * it: RESET, then OPEN_BACKEND. One domain's trouble is not another's. What holds:
 *  - RCPT comes only for recipients of the connector that the link was opened for, and of the
 *    same domain if the way depends on the domain: no link has recipients of two.
 *    Others get OTHER_CONNECTOR, which is no error of the client's, and nothing of
 *    them goes out.
 *  - A second try after a lost reused link asks for the same connector and recipient.
 *  - On a way by LMTP at most one recipient is accepted, and no second one is asked for
 *    before the first is answered: then one reply speaks for all of the message.
 *  - A domain that no connector takes gets NO_ROUTE, and no event comes of it.
 *  - A recipient whose turn isn't clear yet waits for the answers before it, so
 *    replies keep their order however commands are grouped (RFC 2920 3.2).
 *
 * The client will send no more (FIN, close_notify): smtp_session_eof, once, and
 * the loop goes on, also with an empty buffer, until CLOSE comes. The connection
 * broke (RST, bad TLS record): smtp_session_end(SMTP_R_NONE). A timer fired:
 * smtp_session_end(SMTP_R_TIMEOUT).
 */
enum { SMTP_SESSION_INPUT = 4096 };

enum smtp_event_kind {
	SMTP_EV_REPLY,
	SMTP_EV_START_TLS,
	SMTP_EV_OPEN_BACKEND,
	SMTP_EV_MAIL,
	SMTP_EV_RCPT,
	SMTP_EV_DATA,
	SMTP_EV_CHUNK,
	SMTP_EV_CHUNK_END,
	SMTP_EV_BODY,
	SMTP_EV_COMMIT,
	SMTP_EV_RESET,
	SMTP_EV_ABORT,
	SMTP_EV_CLOSE,
	SMTP_EVENT_KINDS
};

enum { SMTP_RANGES_MAX = 32 };

struct smtp_event {
	enum smtp_event_kind kind;
	enum smtp_reason reason; /* REPLY: why it refuses (NONE if it does not); ABORT, CLOSE: why */
	uint16_t code;           /* REPLY: the reply's code */
	bool message;            /* REPLY: this is the answer to a whole message */
	struct slice bytes;      /* REPLY */
	const struct smtp_mail *mail; /* OPEN_BACKEND, MAIL */
	const struct smtp_rcpt *rcpt; /* OPEN_BACKEND, RCPT */
	size_t connector;             /* OPEN_BACKEND: its index in limits.connectors; 0 without such */
	const struct slice *ranges;   /* BODY: in this order; they borrow from the fed bytes and from the session */
	size_t num_ranges;
	uint64_t chunk_size;          /* CHUNK: octets that will come as BODY */
	bool chunk_first, chunk_last; /* CHUNK: it begins, it ends the message */
};

/* Pointers and slices of an event live until the next feed, or until the next
 * other input to this session. */

struct connectors; /* proxy/smtp/connectors.h */

enum smtp_bare_newline { SMTP_BARE_REJECT, SMTP_BARE_NORMALIZE };

/* struct smtp_limits is shared by all sessions and must outlive them. */
struct smtp_limits {
	const char *hostname;       /* in the greeting, the EHLO reply and Received: */
	uint64_t max_message_size;  /* octets; 0 = no limit of our own */
	uint32_t max_recipients;    /* accepted ones, per transaction */
	uint32_t max_commands;      /* without a delivered message */
	uint32_t max_errors;        /* refused commands of the client's making */
	uint32_t max_transactions;  /* per session */
	enum smtp_bare_newline bare_newline;
	const struct connectors *connectors; /* borrowed; NULL: one way for everything. It must not change while
	                                      * a session lives, as indexes point into it */
};

enum { SMTP_ADDR_TEXT_MAX = 45, SMTP_SESSION_ID_MAX = 32, SMTP_TLS_TEXT_MAX = 48 };

/* struct smtp_setup is what a session starts with; all of it is copied, except
 * `limits`. */
struct smtp_setup {
	const struct smtp_limits *limits;
	struct smtp_caps caps;      /* what the backend offers as far as is known: EHLO is cut to it */
	bool tls_offered;           /* STARTTLS is offered */
	struct slice client_addr;   /* numeric text, no brackets: "192.0.2.1", "2001:db8::1" */
	struct slice id;            /* of this session, letters and digits */
	bool normalize;             /* bare newlines are normalized, whatever `limits` says */
};

/* struct smtp_tls_info is what tls_done reports; copied. */
struct smtp_tls_info {
	struct slice version; /* "TLSv1.3" */
	struct slice cipher;  /* "TLS_AES_128_GCM_SHA256" */
	struct slice sni;     /* as the client sent it, "" if none; any octets: it is encoded */
};

struct smtp_session;

/* smtp_session_new makes a session that has not greeted yet. NULL: no memory. */
struct smtp_session *smtp_session_new(const struct smtp_setup *setup);
void smtp_session_free(struct smtp_session *s);

/* smtp_session_set_client says who the client is after all, from a PROXY header:
 * `addr` and `normalize` as in struct smtp_setup. Before the greeting only. */
void smtp_session_set_client(struct smtp_session *s, struct slice addr, bool normalize);

/* smtp_session_greet sends the 220. Octets fed before it are early talk: 554
 * and close. */
void smtp_session_greet(struct smtp_session *s);

/* smtp_session_feed offers everything that was received and not yet taken, and
 * sets `*out_used`; see the contract. Borrows `in` until the events are pulled. */
void smtp_session_feed(struct smtp_session *s, struct slice in, size_t *out_used);

/* smtp_session_next pulls one event; false when there is none. */
bool smtp_session_next(struct smtp_session *s, struct smtp_event *out);

/* smtp_session_rest says that the events pulled so far are done with, before the next
 * input does: a session that waits for its client then holds no replies. */
void smtp_session_rest(struct smtp_session *s);

/* smtp_session_wants tells whether feed would take octets now. */
bool smtp_session_wants(const struct smtp_session *s);

/* smtp_session_tls_done and _failed answer START_TLS. After success all that
 * was said in clear is forgotten (RFC 3207 4.2); after failure the session
 * closes, silently. */
void smtp_session_tls_done(struct smtp_session *s, const struct smtp_tls_info *info);
void smtp_session_tls_failed(struct smtp_session *s);

/* smtp_session_backend_ready answers OPEN_BACKEND: the link is of that connector,
 * through its EHLO, and free. `caps` is what it offers now; what the envelope needs
 * and it lacks is refused or left out. REQUIRETLS goes on only if it is among them:
 * the shell takes it out unless the link is inside TLS and its certificate was
 * verified (RFC 8689 4.2.1). `reused`: it has carried a message before, so
 * losing it before its first answer is retried once on another link. */
void smtp_session_backend_ready(struct smtp_session *s, const struct smtp_caps *caps, bool reused);

/* smtp_session_backend_refused answers OPEN_BACKEND: there is no way now, or none at
 * all, and `id` (4yz or 5yz) says why. The recipient gets that reply, and the
 * transaction stays open as after any refused one; each counts towards
 * max_commands. Ignored when OPEN_BACKEND is not waited for. */
void smtp_session_backend_refused(struct smtp_session *s, enum smtp_reply_id id);

/* smtp_session_set_time says what time it is, for Received:. Call it before feed. */
void smtp_session_set_time(struct smtp_session *s, struct wall now);

/* smtp_session_backend_answer gives the backend's reply to the oldest
 * unanswered RCPT, to DATA, to a chunk, or to the dot. Copies what it needs. */
void smtp_session_backend_answer(struct smtp_session *s, const struct smtp_answer *answer);

/* smtp_session_backend_lost says that the link is gone or must not be trusted
 * (the shell has closed it), with the reason that LOST gave. What
 * waits is answered 451; a message being received is read to its end first.
 * Ignored when no transaction uses the link. */
void smtp_session_backend_lost(struct smtp_session *s, enum smtp_reason reason);

/* smtp_session_eof: nothing more will come than what feed was not given yet.
 * When feed can take no more of that, the session closes: a message that is not
 * complete is aborted, answers that a backend owes are given first. */
void smtp_session_eof(struct smtp_session *s);

/* smtp_session_end gives one of the 421 replies and closes: a timer fired, the
 * service is stopping, there are too many sessions. A message not committed is
 * aborted. SMTP_R_NONE closes without a reply: the connection broke. */
void smtp_session_end(struct smtp_session *s, enum smtp_reply_id id);

/* smtp_session_drain asks it to end with 421 as soon as no transaction is open. */
void smtp_session_drain(struct smtp_session *s);

/* smtp_session_set_offer changes what the next EHLO reply says. */
void smtp_session_set_offer(struct smtp_session *s, const struct smtp_caps *caps, bool tls_offered);

/* Which timer the shell must run now; it restarts with every octet taken in
 * the same state (BODY) or with every change of smtp_session_progress. */
enum smtp_deadline {
	SMTP_DEADLINE_NONE,     /* closed */
	SMTP_DEADLINE_GREETING, /* greeting_delay is running: greet when it is over */
	SMTP_DEADLINE_COMMAND,  /* a whole command line is due: not restarted by single octets */
	SMTP_DEADLINE_BODY,     /* more octets of a message are due */
	SMTP_DEADLINE_TLS,      /* the handshake */
	SMTP_DEADLINE_BACKEND,  /* we wait for the backend: its own timers run, none of the client's */
};
enum smtp_deadline smtp_session_deadline(const struct smtp_session *s);

/* smtp_session_progress is a number that changes with every command line and
 * every run of body octets taken: the shell restarts its timer when it differs. */
uint64_t smtp_session_progress(const struct smtp_session *s);

/* What logs and `show sessions` want; borrowed until the next input. */
const char *smtp_session_state(const struct smtp_session *s);
struct slice smtp_session_helo(const struct smtp_session *s);
bool smtp_session_esmtp(const struct smtp_session *s);
/* smtp_session_mail is NULL outside a transaction. */
const struct smtp_mail *smtp_session_mail(const struct smtp_session *s);
uint32_t smtp_session_num_recipients(const struct smtp_session *s);
uint64_t smtp_session_message_size(const struct smtp_session *s);
uint32_t smtp_session_num_delivered(const struct smtp_session *s);

#endif

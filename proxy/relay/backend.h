/* Owns:  the client's side of one SMTP or LMTP dialogue with a backend MTA: commands
 *        out, replies in, events to the shell.
 * Never: passes on a reply it has not understood; sends a parameter the backend
 *        does not offer; completes a message by itself; touches a socket.
 * Spec:  RFC 5321 4.2, 4.5.3.2; RFC 2033, 2920, 3030, 3207; Postfix XCLIENT_README, XFORWARD_README.
 * Start at: "The contract" below. */
#ifndef PROXY_RELAY_BACKEND_H
#define PROXY_RELAY_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ec.h"
#include "base/slice.h"
#include "proxy/smtp/caps.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/reply.h"

/* The contract
 *
 * Once the connection stands (after a PROXY v2 header, if one is sent: see
 * proxy_header.h) the shell makes a backend and repeats, after every input:
 *
 *     backend_output(b): queue these bytes for the socket, then backend_sent(b)
 *     while (backend_next(b, &ev)) act on ev
 *     backend_feed(b, everything received and not taken, &used); drop `used`
 *     stop when used == 0 and there was no event and no output
 *
 *  event      meaning                                   the shell does
 *  START_TLS  the 220 to STARTTLS is here               shakes hands, then backend_tls_done; or closes it
 *  READY      greeting, EHLO (TLS, XCLIENT) are done    smtp_session_backend_ready(s, ev.caps, false)
 *  ANSWER     the reply to RCPT, DATA, a chunk, the dot smtp_session_backend_answer(s, ev.answer)
 *  LOST       the link must not be used any more        closes it; smtp_session_backend_lost(s, ev.reason)
 *  QUIT       QUIT was answered                         closes it
 *
 * After LOST or QUIT there are no further events and no output.
 * The bytes of a message (SMTP_EV_BODY) go from the session to the socket
 * directly, behind all output taken so far; backend_commit then outputs the dot.
 * With BDAT backend_chunk outputs the command; when its octets are with the socket,
 * backend_chunk_end, or of the last chunk backend_commit, waits for the reply.
 * Take the output after each call, so that the order stays.
 *
 * TLS: between START_TLS and backend_tls_done there is no output, and octets must not
 * be fed: those on the socket belong to the handshake. Octets that came together with
 * the 220 were put there by someone who wants them to be taken for what is said
 * inside TLS: LOST (BACKEND_GARBAGE), so everything in hand must be fed at once
 * (CVE-2011-0411 the other way round; RFC 3207 4.2). After backend_tls_done what was fed
 * is what TLS decrypted; all that was learnt in clear is forgotten, EHLO is sent again,
 * and STARTTLS is not, whatever is offered. XCLIENT and XFORWARD come behind TLS.
 *
 * LMTP (RFC 2033): LHLO instead of EHLO. A transaction has one recipient, which the
 * session takes care of, so a message has one reply as with SMTP; a second one is a
 * reply nobody asked for.
 *
 * A greeting with `own_name`: we have reached ourselves, and a message would go round and round:
 * LOST (HOP_LOOP), before anything is said.
 *
 * The reply to MAIL makes no event: if MAIL is refused, that reply becomes the
 * answer to each RCPT of the transaction. Without PIPELINING at the backend,
 * commands wait here for the reply to the one before.
 *
 * backend_free_for_use says whether a new transaction may start (READY was seen,
 * none is open; an unanswered RSET is fine). For a reused link the shell calls
 * smtp_session_backend_ready(s, backend_caps(b), true).
 * The connection closed: backend_eof. A timer fired: backend_timeout.
 */

enum backend_event_kind { BACKEND_EV_START_TLS, BACKEND_EV_READY, BACKEND_EV_ANSWER, BACKEND_EV_LOST, BACKEND_EV_QUIT };

struct backend_event {
	enum backend_event_kind kind;
	enum smtp_reason reason;          /* LOST: one of SMTP_WHY_BACKEND_*, or HOP_LOOP, HOP_NO_STARTTLS, NO_MEMORY */
	const struct smtp_caps *caps;     /* READY */
	const struct smtp_answer *answer; /* ANSWER; lives until the next call other than backend_next */
	const char *words;                /* LOST: for the log, static */
};

/* struct backend_client is the real client, for XCLIENT and XFORWARD; every value
 * is xtext-encoded. Empty = [UNAVAILABLE]. */
struct backend_client {
	struct slice addr; /* numeric text; "IPV6:" is put before one with a colon */
	uint16_t port;
	struct slice helo;
	struct slice id; /* of the session, for XFORWARD's IDENT */
	bool esmtp;
};

/* Whether STARTTLS is used. MAY goes on in clear when it is not offered, or is refused with
 * 4yz or 5yz; MUST is LOST then (HOP_NO_STARTTLS). The third does not happen: once the 220
 * is here there is only TLS. */
enum backend_tls { BACKEND_TLS_NONE, BACKEND_TLS_MAY, BACKEND_TLS_MUST };

struct backend_setup {
	struct slice hostname;                /* ours, for EHLO */
	const struct backend_client *xclient; /* NULL: XCLIENT is not used. Else it is needed: a backend
	                                       * that does not offer it is LOST (BACKEND_CONFIG), because
	                                       * it would take us for the client, and trust us */
	const struct backend_client *xforward; /* the same of XFORWARD, which goes before each MAIL: the backend
	                                        * forgets it with the transaction. Not both */
	bool lmtp;
	enum backend_tls tls;
	struct slice own_name; /* a peer that greets with it is ourselves; empty: it may */
};

struct backend;

/* backend_new copies all of `setup`. NULL: no memory. */
struct backend *backend_new(const struct backend_setup *setup);
void backend_free(struct backend *b);

/* backend_output gives the bytes to send now; backend_sent tells that they were
 * all taken. Borrowed until the next call. */
struct slice backend_output(const struct backend *b);
void backend_sent(struct backend *b);

/* backend_feed offers received bytes; it takes whole reply lines, at most one
 * reply per call. The shell's buffer needs BACKEND_LINE_MAX bytes; a longer line
 * is garbage. A bare LF or CR, a NUL, a malformed line, too many lines, a reply
 * nobody asked for, a code of the wrong class: LOST. RFC 5321 4.2.1, 4.5.3.1.5. */
enum { BACKEND_LINE_MAX = 2048, BACKEND_LINES_MAX = 100, BACKEND_REPLY_MAX = 16384 };
void backend_feed(struct backend *b, struct slice in, size_t *out_used);
bool backend_next(struct backend *b, struct backend_event *out);

/* backend_tls_done: TLS stands, as demanded. EHLO or LHLO goes out again. Ignored unless
 * START_TLS waits for it. When the handshake fails the shell closes the link and
 * frees the backend: in clear nothing may follow any more. */
void backend_tls_done(struct backend *b);

/* The commands. Call them only as the session's events say. */
void backend_mail(struct backend *b, const struct smtp_mail *mail);
void backend_rcpt(struct backend *b, const struct smtp_rcpt *rcpt);
void backend_data(struct backend *b);
/* backend_chunk announces `size` octets by BDAT; RFC 3030 2. */
void backend_chunk(struct backend *b, uint64_t size, bool last);
void backend_chunk_end(struct backend *b);
void backend_commit(struct backend *b);
/* backend_reset ends a transaction that has not reached DATA, or stands behind a
 * whole chunk. */
void backend_reset(struct backend *b);
/* backend_quit: only when backend_free_for_use. */
void backend_quit(struct backend *b);

/* backend_eof: the peer closed. LOST, unless QUIT was sent. */
void backend_eof(struct backend *b);
/* backend_timeout: the timer of backend_deadline fired. LOST (BACKEND_TIMEOUT). */
void backend_timeout(struct backend *b);

/* Which of the backend section's timers applies now; it restarts whenever the
 * value or backend_progress changes. */
enum backend_deadline {
	BACKEND_DEADLINE_NONE,  /* lost, or the client is sending a body */
	BACKEND_DEADLINE_REPLY, /* reply_timeout; of the handshake too */
	BACKEND_DEADLINE_FINAL, /* data_timeout: the dot was sent */
	BACKEND_DEADLINE_IDLE,  /* idle_timeout: then backend_quit, or just close */
};
enum backend_deadline backend_deadline(const struct backend *b);
uint64_t backend_progress(const struct backend *b);

bool backend_free_for_use(const struct backend *b);
const struct smtp_caps *backend_caps(const struct backend *b);
const char *backend_state(const struct backend *b);

#endif

/* Owns:  what the two files of the backend dialogue share: its state and its questions.
 * Never: included by anything but backend*.c.
 * Spec:  –
 * Start at: enum state, struct backend. */
#ifndef PROXY_RELAY_BACKEND_INT_H
#define PROXY_RELAY_BACKEND_INT_H

#include "base/steps.h"
#include "proxy/relay/answer.h"
#include "proxy/relay/backend.h"
#include "proxy/relay/client_info.h"
#include "proxy/relay/ehlo_offer.h"

enum state {
	/* Before READY (backend_greet.c). */
	BE_GREETING, /* waiting for the 220, the EHLO reply, XCLIENT's 220 */
	BE_STARTTLS, /* STARTTLS is sent */
	BE_TLS,      /* its 220 is here: the shell shakes hands */
	/* From READY on. */
	BE_IDLE,     /* ready, no transaction */
	BE_MAIL,     /* MAIL is sent */
	BE_BODY,     /* 354 was given and the dot is not sent; or a chunk is announced and not all out */
	BE_CHUNKS,   /* a chunk is all out, and it was not the last or was refused */
	BE_FINAL,    /* the dot, or all of the last chunk, is sent */
	BE_QUIT,
	BE_DEAD,
	BE_COUNT
};

/* What a reply answers. */
enum asked { ASK_GREETING, ASK_EHLO, ASK_STARTTLS, ASK_XCLIENT, ASK_XFORWARD, ASK_MAIL, ASK_RCPT, ASK_DATA,
             ASK_CHUNK, ASK_LAST, ASK_DOT, ASK_RSET, ASK_QUIT };

enum { ASKED_MAX = 64, EVENTS_MAX = 4, HOSTNAME_MAX = 255 };

struct backend {
	enum state state;
	bool in_reply, mail_refused, chunked, quit_sent, use_xclient, xclient_done, use_xforward;
	bool lmtp, tls_settled; /* whether there is TLS is decided: STARTTLS is not sent any more */
	enum backend_tls tls;
	struct ehlo_offer offer;
	uint64_t progress;
	/* Questions not answered yet, oldest first. The first `num_sent` are sent (or
	 * in `out`); the lines of the others wait in `held`. */
	unsigned num_asked, num_sent;
	uint8_t asked[ASKED_MAX];
	struct bytes out, held;
	struct answer_reader reader;   /* the reply being read */
	struct answer_reader refusal;  /* the reply to MAIL, if it was refused */
	struct smtp_answer answer;     /* of the ANSWER event */
	unsigned num_events, next_event;
	struct backend_event events[EVENTS_MAX];
	char hostname[HOSTNAME_MAX + 1];
	char own_name[HOSTNAME_MAX + 1]; /* "": not looked for */
	struct client_info client;
};

/* backend_enter is the only place that changes the state. */
void backend_enter(struct backend *b, enum state to);
void backend_emit(struct backend *b, struct backend_event ev);

/* backend_fail ends the dialogue with LOST, once. */
void backend_fail(struct backend *b, enum smtp_reason reason, const char *words);

/* backend_ask sends a command, or keeps it until its turn comes. */
void backend_ask(struct backend *b, enum asked what, struct slice line);

/* backend_greet_yes and _no: the reply to the greeting's questions, up to ASK_XCLIENT
 * (backend_greet.c). What the reply says is in `reader` and `offer`. */
void backend_greet_yes(struct backend *b, enum asked what);
void backend_greet_no(struct backend *b, enum asked what);

#endif

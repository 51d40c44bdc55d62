/* Owns:  struct conn, for the files conn_*.c only.
 * Never: included from anywhere else.
 * Spec:  –
 * Start at: struct conn. */
#ifndef PROXY_CONN_PARTS_UV_H
#define PROXY_CONN_PARTS_UV_H

#include "proxy/worker/conn_uv.h"
#include "proxy/relay/outbox_uv.h"
#include "proxy/relay/backend.h"
#include "proxy/relay/opening_uv.h"
#include "proxy/tls/channel_ssl.h"

/* What a PROXY header leaves behind it: our peer, and where the client connected to. */
struct conn_behind {
	struct sockaddr_storage peer, local;
};

struct conn {
	struct work *work;
	struct conn *next, *prev;
	struct settings *settings;
	struct smtp_session *session;

	/* The client's side. */
	uv_tcp_t tcp;
	struct outbox box;
	struct bytes kept;   /* plain bytes the session has not taken */
	struct slice view;   /* in a pump: plain bytes on offer, in `kept` or in work->plain */
	struct channel *tls; /* from STARTTLS on */

	/* The backend's side: first a route is waited for, perhaps; then a link is being
	 * opened; then there are link and backend. */
	struct routes_wait *route_wait;
	struct opening *opening;
	struct link *link;
	struct backend *backend;
	enum trust trust;           /* in the link */
	struct smtp_caps link_caps; /* what it offers */
	size_t exit;  /* of these: connector of the settings */
	char *domain; /* of these, as domain_fold writes it; "" where the way does not depend on it. NULL: none of these */

	/* Deadlines in milliseconds of work_now; 0: none. One node for all. */
	struct deadline deadline;
	int64_t started_ms;
	int64_t session_ms, message_ms, client_ms, backend_ms;
	enum smtp_deadline client_phase;
	enum backend_deadline backend_phase;
	uint64_t client_progress, backend_progress;
	size_t link_backlog; /* link_waiting when last looked at */

	/* For logs and lists. */
	struct sockaddr_storage client;
	struct conn_behind *behind; /* NULL: no balancer told us who the client is */
	char id[WORK_ID_SIZE];
	char *mail_from; /* of the message under way; NULL: none */
	uint32_t mail_recipients;
	uint32_t num_transactions, num_accepted, num_deferred, num_rejected;
	uint64_t mail_size;
	uint64_t bytes_in, bytes_backend;
	size_t num_discarded; /* bytes, while lingering */
	enum smtp_reason reason; /* why it ends */
	char *words;             /* more about that; NULL: nothing */

	bool header_due; /* a PROXY header must come first */
	bool named;      /* `client` is counted in work->clients */
	bool reading;
	bool secure;    /* the handshake is complete */
	bool ack_due;   /* it became so in this pump: what we write now also acknowledges it */
	bool link_eof_told; /* the backend engine knows that the link ended */
	bool eof;       /* the client sends no more */
	bool eof_told;  /* the session knows */
	bool broken;    /* the client's side can't be used any more */
	bool starved;   /* in a pump: the session takes nothing of `view` */
	bool clients_turn; /* this pump was begun by octets of the client */
	bool blocked;   /* in a pump: input stopped because one side takes no more */
	bool dry;       /* the channel has no more plain bytes */
	bool shut;      /* close_notify is sent */
	bool ending;    /* CLOSE was seen: flush, then close */
	bool lingering; /* our side is shut; waiting for the client's */
	bool linger_timed;
	bool closed;    /* handles are being closed; nothing else may happen */
};

/* conn_pump moves everything that can move; the only place that decides. */
void conn_pump(struct conn *c);
/* conn_break: the client's side is unusable; the session ends without a reply. */
void conn_break(struct conn *c, enum smtp_reason reason, const char *words);

/* conn_tls_uv.c. _begin answers START_TLS. _step does the handshake, _refill
 * decrypts more into the view; both tell whether anything moved. _acknowledge
 * makes the kernel confirm at once what was received. */
void conn_tls_begin(struct conn *c);
bool conn_tls_step(struct conn *c);
bool conn_tls_refill(struct conn *c);
void conn_tls_acknowledge(struct conn *c);

/* conn_proxy_uv.c. _step reads the PROXY header while header_due; _late ends the
 * connection without a greeting. */
bool conn_proxy_step(struct conn *c);
void conn_proxy_late(struct conn *c);

/* conn_backend_uv.c. _event acts on the session's events for the backend. _step
 * moves what the link has. _drop closes the link. _lost does, and tells the
 * session. _late: the deadline of a link that is being opened passed. _quit (conn_end_uv.c)
 * closes it with QUIT, if that is in order. */
void conn_backend_event(struct conn *c, const struct smtp_event *ev);
void conn_backend_late(struct conn *c);
bool conn_backend_step(struct conn *c);
void conn_backend_drop(struct conn *c);
void conn_backend_quit(struct conn *c);
void conn_backend_lost(struct conn *c, enum smtp_reason reason, const char *words);

/* conn_time_uv.c: sets the deadline from the state after a pump. */
void conn_time(struct conn *c);

/* conn_end_uv.c. conn_message logs and counts the answer to a message. conn_say keeps
 * `words` for the log, the first ones only. conn_finish goes on with an ending session.
 * conn_close is idempotent; the last close callback frees. */
void conn_message_begin(struct conn *c);
void conn_message(struct conn *c, const struct smtp_event *reply);
void conn_say(struct conn *c, const char *words);
void conn_finish(struct conn *c);
void conn_close(struct conn *c);

#endif

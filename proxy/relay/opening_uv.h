/* Owns:  the way from a route to a link whose dialogue is READY: which hop and which of
 *        its addresses, connecting, EHLO, STARTTLS, the proof that the route asks for.
 * Never: sends a command of a transaction; goes on in clear where the route demands
 *        TLS, or without the proof it demands; looks anything up.
 * Spec:  RFC 5321 5.1 (order of hosts), 3207; RFC 7672 2.2, 3; RFC 8461 5.
 * Start at: opening_start. */
#ifndef PROXY_RELAY_OPENING_UV_H
#define PROXY_RELAY_OPENING_UV_H

#include <stdbool.h>
#include <uv.h>

#include "config/config.h"
#include "proxy/relay/backend.h"
#include "proxy/relay/dial_uv.h"
#include "proxy/relay/health.h"
#include "proxy/relay/proxy_header.h"
#include "proxy/relay/route.h"
#include "proxy/relay/trust.h"
#include "proxy/tls/client_ssl.h"

/* struct opening_setup: what is pointed to must outlive the opening, except the text of
 * `client` and `header`, which are copied. */
struct opening_setup {
	uv_loop_t *loop;
	uint8_t *scratch;             /* LINK_SCRATCH octets, see dial_uv.h */
	struct route *route;          /* not refused; shared by opening_start */
	struct health *health;
	struct slice hostname;        /* for EHLO; a host found by MX that greets with it is left out (HOP_LOOP) */
	const struct backend_client *client; /* the real one */
	enum config_client_info client_info;
	struct slice header;          /* PROXY v2, or empty */
	bool lmtp;
	int64_t connect_timeout_ms;   /* of one address */
	int64_t reply_timeout_ms;     /* of one reply, and of the TLS handshake */
	struct tls_store *ca;     /* for ROUTE_VERIFY_NAMES of the connector */
	struct tls_store *system; /* for MTA-STS */
	const uint8_t (*pins)[TLS_CLIENT_PIN_SIZE];
	size_t num_pins;
	uint64_t chance;              /* random, for the order among equals */
	link_event *on_event;         /* something happened: look at opening_state and _deadline */
	void *arg;
};

struct opening;

/* opening_start begins with the first of at most TRIES_MAX addresses (tries.h), and never calls
 * back by itself. NULL: no memory. */
struct opening *opening_start(const struct opening_setup *setup);

enum opening_state { OPENING_BUSY, OPENING_READY, OPENING_FAILED };
enum opening_state opening_state(const struct opening *o);

/* opening_deadline is when opening_late is to be called, by uv_now of the loop; 0 when it
 * is not busy. opening_late gives up the address that is being tried. */
int64_t opening_deadline(const struct opening *o);
void opening_late(struct opening *o);
/* opening_dialling tells whether the deadline is that of a connection. */
bool opening_dialling(const struct opening *o);

/* struct opened is what came of it. `hop` names the address. */
struct opened {
	struct link *link;
	struct backend *backend;
	const struct smtp_caps *caps; /* without REQUIRETLS unless `trust` is a proof: RFC 8689 4.2.1 */
	enum trust trust;
	char hop[HEALTH_NAME_SIZE];
};

/* opening_take: when READY, gives link and backend to the caller, with `on_event` and
 * `arg` as the link's owner from now on. `o` is left empty, for opening_free. */
void opening_take(struct opening *o, link_event *on_event, void *arg, struct opened *out);

/* opened_quit ends what was opened only to see that it can be: QUIT in courtesy, for whose answer
 * nobody waits. */
void opened_quit(struct opened *o);

/* opening_refusal: when FAILED, the reply that says what went wrong, the gravest if there
 * was more than one thing, and words for the log that name the address. */
enum smtp_reply_id opening_refusal(const struct opening *o, const char **out_words);

/* opening_free ends it at once. NULL is accepted. */
void opening_free(struct opening *o);

#endif

/* Owns:  client sessions: from the accepted socket to the last close callback.
 * Never: decides what SMTP means (smtp/session.c) or what a backend said
 *        (relay/backend.c); never outlives its deadlines.
 * Spec:  RFC 5321 4.5.3.2 (timeouts), 3207 (STARTTLS), 2920 (one write per wake-up).
 * Start at: conn_uv.c, conn_pump. */
#ifndef PROXY_CONN_UV_H
#define PROXY_CONN_UV_H

#include <jansson.h>

#include "proxy/worker/work_uv.h"

/* conn_open makes a session of the accepted socket `fd`, which it takes, and which
 * clients_enter has welcomed; with `header_due` it was clients_enter_unnamed, and a
 * PROXY header must come first. Returns EC_NO_MEMORY or EC_IO; then everything,
 * the count in `clients` included, is undone. */
enum ec conn_open(struct work *w, int fd, const struct sockaddr_storage *client, bool header_due) MUST_CHECK;

/* conn_drain_all asks every session to end once no transaction is open. */
void conn_drain_all(struct work *w);
/* conn_end_all closes what is still there, without a reply. */
void conn_end_all(struct work *w);

/* conn_list describes the newest `max` sessions as an array; a new reference. */
json_t *conn_list(const struct work *w, size_t max);

/* conn_on_deadline is called by the wheel with a deadline that was set by us. */
void conn_on_deadline(struct deadline *d);

#endif

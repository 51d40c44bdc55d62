/* Owns:  the control socket, which tlsa-sync drives: requests as JSON lines, one
 *        answer each, in order.
 * Never: lets a private key out; only digests, certificates and signing requests.
 * Spec:  danegate(8), CONTROL SOCKET.
 * Start at: control_open. */
#ifndef PROXY_CONTROL_UV_H
#define PROXY_CONTROL_UV_H

#include "base/ec.h"

struct supervisor;

/* control_open makes the socket (mode 0660: user and group) of the configuration. Errors as
 * wire_listen. */
enum ec control_open(struct supervisor *s, struct why *why) MUST_CHECK;

/* control_close removes the socket and ends its connections, once what was
 * answered has been written. */
void control_close(struct supervisor *s);

#endif

/* Owns:  one question to one of our sockets, for commands: blocking, one answer.
 * Never: used by a daemon's loop.
 * Spec:  –
 * Start at: ask_socket. */
#ifndef BASE_ASK_FS_H
#define BASE_ASK_FS_H

#include "base/ec.h"
#include "base/slice.h"

/* ask_socket connects to the unix socket at `path`, sends `line` and a newline,
 * and appends the answer to `*out`: up to the first newline with `one_line`
 * (the newline left out), else until the peer closes. Blocks for at most
 * `timeout_ms`. Returns EC_NOT_FOUND when nobody listens there, EC_PERMISSION,
 * EC_TIMEOUT, EC_CLOSED (closed before an answer), EC_NO_MEMORY, EC_IO; `why`
 * names the socket and the cure. */
enum ec ask_socket(const char *path, struct slice line, bool one_line, int timeout_ms, struct bytes *out,
                   struct why *why) MUST_CHECK;

#endif

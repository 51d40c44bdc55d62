/* Owns:  the line protocol of every socket between our processes and with the
 *        operator: newline-ended lines on a unix stream socket, under libuv.
 * Never: knows what a line means; never lets a peer make it hold more than the
 *        longest line and `WIRE_QUEUE_MAX` of unread answers (adopted: `WIRE_ADOPTED_MAX` of each).
 * Spec:  –
 * Start at: wire_listen, wire_connect. */
#ifndef BASE_WIRE_UV_H
#define BASE_WIRE_UV_H

#include <jansson.h>
#include <sys/types.h>
#include <uv.h>

#include "base/ec.h"
#include "base/slice.h"

enum { WIRE_LINE_MAX = 4 << 20, WIRE_QUEUE_MAX = 16 << 20, WIRE_ADOPTED_MAX = 128 << 20 };

struct wire;
struct wire_listener;

/* on_line gets each line without its end, NUL-ended for convenience, writable,
 * borrowed for the call. A NUL inside a line closes the wire.
 * on_close is called exactly once, after which the wire is gone; `why` says
 * what ended it and is borrowed. on_drained (may be NULL) is called each time all
 * that was queued has been written: whoever has much to say sends a part, and the
 * next one then. Inside each of them, wire_send and wire_close are allowed. */
struct wire_events {
	void (*on_line)(void *arg, struct wire *w, char *line, size_t len);
	void (*on_close)(void *arg, struct wire *w, const char *why);
	void (*on_drained)(void *arg, struct wire *w);
};

/* wire_listen makes a unix socket at `path` with `mode`, replacing a stale one
 * that nobody listens on; EC_EXISTS if somebody does. Each connection becomes
 * a wire with `events`; `on_open` (may be NULL) gives it its `arg`, which else
 * is `arg` itself. `line_max` bounds a line in bytes. */
enum ec wire_listen(uv_loop_t *loop, const char *path, mode_t mode, size_t line_max, struct wire_events events,
                    void *(*on_open)(void *arg, struct wire *w), void *arg, struct wire_listener **out,
                    struct why *why) MUST_CHECK;
/* wire_listener_close stops accepting and removes the socket file. Accepted
 * wires live on. NULL is accepted. */
void wire_listener_close(struct wire_listener *l);

/* wire_connect connects to the socket at `path` and returns a wire at once;
 * lines may be sent before it is connected. A failure to connect is reported
 * through on_close. */
enum ec wire_connect(uv_loop_t *loop, const char *path, struct wire_events events, void *arg,
                     struct wire **out) MUST_CHECK;

/* wire_adopt makes a wire of an open stream socket; it takes `fd`. The other end is a process of our
 * own, and a configuration goes there in one line with all its CA files: it may have WIRE_ADOPTED_MAX. */
enum ec wire_adopt(uv_loop_t *loop, int fd, struct wire_events events, void *arg, struct wire **out) MUST_CHECK;

/* wire_send queues one line and its newline; `line` holds none. When the peer
 * does not read, and the queue is full, the wire closes. */
void wire_send(struct wire *w, struct slice line);
/* wire_send_text is wire_send for text that may hold several lines. */
void wire_send_text(struct wire *w, struct slice text);
/* wire_send_json prints `value` on one line; it takes the reference. */
void wire_send_json(struct wire *w, json_t *value);

/* A peer may close its writing side and still wait: that ends the wire, unless
 * an answer is owed. wire_owe says that one will be sent later, wire_paid that it
 * was; with the last one paid the wire then closes. */
void wire_owe(struct wire *w);
void wire_paid(struct wire *w);

/* wire_close ends the wire once what is queued has been written (at the most
 * two seconds later). Idempotent; NULL is accepted. */
void wire_close(struct wire *w);
void wire_set_arg(struct wire *w, void *arg);

/* wire_secrets makes jansson wipe every block it frees in this process; called
 * once at start by a program whose lines carry private keys. */
void wire_secrets(void);

#endif

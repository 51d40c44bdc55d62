/* Owns:  what waits to be written to one stream: many appends, one write.
 * Never: closes the stream; calls back while the owner is in one of its calls.
 * Spec:  –
 * Start at: outbox_flush. */
#ifndef PROXY_OUTBOX_UV_H
#define PROXY_OUTBOX_UV_H

#include <stdbool.h>
#include <uv.h>

#include "base/ec.h"
#include "base/slice.h"

/* struct outbox is embedded in the stream's owner. Append to `out` freely. */
struct outbox {
	uv_stream_t *stream;
	struct bytes out;     /* not offered to the kernel yet */
	struct bytes sending; /* libuv has these */
	uv_write_t *req;      /* with this request; NULL: it has none, as nearly always */
	int error; /* 0, or the negative libuv code that ended it */
	/* Called when libuv has finished a write, or failed; look at `error`. Not
	 * called for what outbox_flush could write at once. */
	void (*on_written)(struct outbox *o);
};

/* outbox_flush writes `out` at once as far as the kernel takes it, and hands the
 * rest to libuv. An empty outbox holds no memory. Failures are in `error`. */
void outbox_flush(struct outbox *o);

/* outbox_ranges writes `out` and then `ranges` in one call straight from their
 * memory, and copies only what the kernel does not take; worth it from
 * OUTBOX_THROUGH bytes on, and merely an append below that. At most
 * OUTBOX_RANGES_MAX ranges. Returns EC_NO_MEMORY. */
enum { OUTBOX_THROUGH = 8 << 10, OUTBOX_RANGES_MAX = 63 };
enum ec outbox_ranges(struct outbox *o, const struct slice *ranges, size_t num) MUST_CHECK;

/* outbox_waiting is how many bytes the kernel has not taken. */
size_t outbox_waiting(const struct outbox *o);

/* outbox_fini frees what waits; only in the stream's close callback. */
void outbox_fini(struct outbox *o);

#endif

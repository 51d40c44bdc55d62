/* Owns:  the keys that every worker must hold, one parcel per identity, and the
 *        messages that bring a worker from what it holds to what it must.
 * Never: sends one; makes a message that grows with the number of identities.
 * Spec:  worker_uv.h ("identities").
 * Start at: struct parcel, feed_next. */
#ifndef PROXY_FEED_H
#define PROXY_FEED_H

#include <stdint.h>

#include "base/names.h"
#include "base/slice.h"

/* struct parcel is one identity with its keys as the message says it: a JSON
 * object. It holds private keys: its memory is wiped when the last reference goes. */
struct parcel {
	struct names_item item;
	size_t len;
	char *json;
};

/* parcel_new copies both and has one reference, the caller's. NULL: no memory. */
struct parcel *parcel_new(const char *name, struct slice json);

/* struct holding is what a worker must hold: parcels by name, and which is the
 * default. Zeroed it is nothing; holding_fini ends it. */
struct holding {
	struct names parcels;
	char *standard;
};
/* holding_copy copies without looking at each. Returns EC_NO_MEMORY. */
enum ec holding_copy(const struct holding *from, struct holding *out) MUST_CHECK;
void holding_fini(struct holding *h);

/* struct feed is a way to `to`: all of it (`changed` NULL), or from one of the
 * epochs in `base` by what became of the names in `changed`. All but `at` and `part`,
 * which count what was given, is the caller's to set, and borrowed. */
struct feed {
	const struct holding *to;
	uint64_t epoch;
	const char *seed; /* in hex */
	const char *const *changed;
	size_t num_changed;
	uint64_t base[2];
	size_t num_base;
	size_t at;
	uint64_t part;
};

/* A message is ended with the identity that makes it this long. */
enum { FEED_PART = 64 << 10 };

/* feed_next appends the next message, one line without its end; `*out_more` says that
 * another one follows. `out` is marked secret. Returns EC_NO_MEMORY. */
enum ec feed_next(struct feed *f, struct bytes *out, bool *out_more) MUST_CHECK;

#endif

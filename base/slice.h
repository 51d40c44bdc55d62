/* Owns:  borrowed bytes, a bounded reader over them, a bounded writer into
 *        caller's memory, a growable queue of bytes, a secret that wipes.
 * Never: reads or writes past the end; a short read or write is an error flag.
 * Spec:  –
 * Start at: struct slice. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ec.h"

/* struct slice borrows `len` bytes at `p`; it owns nothing. */
struct slice {
	const uint8_t *p;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){ (const uint8_t *)(s), sizeof(s) - 1 })

struct slice slice_of(const void *p, size_t len);
struct slice slice_str(const char *s);
struct slice slice_from(struct slice s, size_t start);
struct slice slice_first(struct slice s, size_t len);
bool slice_eq(struct slice a, struct slice b);
/* slice_eq_nocase compares with ASCII letters folded; no locale. */
bool slice_eq_nocase(struct slice a, struct slice b);

/* struct reader takes bytes off the front of a slice. Once a read asks for
 * more than there is, `bad` is set, stays set, and every read gives zero. */
struct reader {
	struct slice rest;
	bool bad;
};

struct reader reader_of(struct slice s);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16be(struct reader *r);
uint32_t reader_u32be(struct reader *r);
struct slice reader_bytes(struct reader *r, size_t len);

/* struct writer fills caller's memory. Once something does not fit, `bad` is
 * set and nothing more is written. With room for it the text is NUL-ended, the
 * NUL not counted in `len`. */
struct writer {
	char *p;
	size_t cap;
	size_t len;
	bool bad;
};

struct writer writer_of(void *p, size_t cap);
void writer_bytes(struct writer *w, struct slice s);
void writer_str(struct writer *w, const char *s);
/* writer_u64 writes `n` in decimal; what every session prints needs no format. */
void writer_u64(struct writer *w, uint64_t n);
void writer_format(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct slice writer_slice(const struct writer *w);

/* struct bytes is a growable queue: append at the end, consume at the front.
 * Zero-initialised is empty; bytes_fini frees and leaves it empty. With `secret`
 * set, memory is wiped before it is given up. */
struct bytes {
	uint8_t *p;
	size_t start;
	size_t end;
	size_t cap;
	bool secret;
};

/* bytes_append copies `s` to the end. Returns EC_NO_MEMORY, with nothing
 * changed, when it can't grow. */
enum ec bytes_append(struct bytes *b, struct slice s) MUST_CHECK;
/* bytes_reserve makes room for `len` more bytes and points `*out` at it;
 * bytes_commit then adds the first `len` of them. */
enum ec bytes_reserve(struct bytes *b, size_t len, uint8_t **out) MUST_CHECK;
void bytes_commit(struct bytes *b, size_t len);
/* bytes_format appends formatted text, without a NUL. EC_NO_MEMORY. */
enum ec bytes_format(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3))) MUST_CHECK;
void bytes_consume(struct bytes *b, size_t len);
struct slice bytes_slice(const struct bytes *b);
size_t bytes_len(const struct bytes *b);
void bytes_fini(struct bytes *b);

/* wipe overwrites `len` bytes in a way the compiler keeps. */
void wipe(void *p, size_t len);

/* struct secret owns bytes that are wiped when freed. */
struct secret {
	uint8_t *p;
	size_t len;
};
enum ec secret_copy(struct secret *out, struct slice s) MUST_CHECK;
void secret_fini(struct secret *s);

/* hex_encode writes 2*len lower-case digits and a NUL to `out` (at least
 * 2*len+1 bytes). hex_decode fills exactly `len` bytes from 2*len digits and
 * returns false on anything else. */
void hex_encode(char *out, struct slice s);
bool hex_decode(uint8_t *out, size_t len, struct slice text);

/* parse_u64 reads a whole decimal number: no sign, blank or suffix. Returns
 * EC_SYNTAX, or EC_RANGE when it is greater than `max`. */
enum ec parse_u64(struct slice text, uint64_t max, uint64_t *out) MUST_CHECK;

#endif

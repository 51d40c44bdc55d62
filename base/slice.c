#include "base/slice.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice slice_of(const void *p, size_t len)
{
	return (struct slice){ p, len };
}

struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

struct slice slice_from(struct slice s, size_t start)
{
	if (start > s.len)
		start = s.len;
	/* `p` may be NULL when empty; adding zero to NULL is not defined in C17. */
	return start == 0 ? s : (struct slice){ s.p + start, s.len - start };
}

struct slice slice_first(struct slice s, size_t len)
{
	return (struct slice){ s.p, len < s.len ? len : s.len };
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

struct reader reader_of(struct slice s)
{
	return (struct reader){ .rest = s };
}

struct slice reader_bytes(struct reader *r, size_t len)
{
	if (r->bad || r->rest.len < len) {
		r->bad = true;
		return (struct slice){ 0 };
	}
	struct slice s = slice_first(r->rest, len);
	r->rest = slice_from(r->rest, len);
	return s;
}

uint8_t reader_u8(struct reader *r)
{
	struct slice s = reader_bytes(r, 1);
	return s.len == 1 ? s.p[0] : 0;
}

uint16_t reader_u16be(struct reader *r)
{
	struct slice s = reader_bytes(r, 2);
	return s.len == 2 ? (uint16_t)((unsigned)s.p[0] << 8 | s.p[1]) : 0;
}

uint32_t reader_u32be(struct reader *r)
{
	struct slice s = reader_bytes(r, 4);
	return s.len == 4 ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3] : 0;
}

struct writer writer_of(void *p, size_t cap)
{
	struct writer w = { .p = p, .cap = cap };
	if (cap > 0)
		w.p[0] = '\0';
	return w;
}

void writer_bytes(struct writer *w, struct slice s)
{
	if (w->bad || s.len > w->cap - w->len) {
		w->bad = true;
		return;
	}
	if (s.len > 0)
		memcpy(w->p + w->len, s.p, s.len);
	w->len += s.len;
	if (w->len < w->cap)
		w->p[w->len] = '\0';
}

void writer_str(struct writer *w, const char *s)
{
	writer_bytes(w, slice_str(s));
}

void writer_u64(struct writer *w, uint64_t n)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	writer_bytes(w, slice_of(digits + at, sizeof digits - at));
}

void writer_format(struct writer *w, const char *format, ...)
{
	if (w->bad)
		return;
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(w->p + w->len, w->cap - w->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= w->cap - w->len) {
		w->bad = true;
		if (w->len < w->cap)
			w->p[w->len] = '\0';
		return;
	}
	w->len += (size_t)n;
}

struct slice writer_slice(const struct writer *w)
{
	return slice_of(w->p, w->len);
}

enum ec bytes_reserve(struct bytes *b, size_t len, uint8_t **out)
{
	if (b->start > 0 && b->cap - b->end < len) {
		memmove(b->p, b->p + b->start, b->end - b->start);
		b->end -= b->start;
		b->start = 0;
	}
	if (b->cap - b->end < len) {
		if (len > SIZE_MAX / 2 - b->end)
			return EC_NO_MEMORY;
		size_t cap = b->cap == 0 ? 256 : b->cap;
		while (cap < b->end + len)
			cap *= 2;
		/* realloc would leave an unwiped copy of a secret behind. */
		uint8_t *p = b->secret ? malloc(cap) : realloc(b->p, cap);
		if (p == NULL)
			return EC_NO_MEMORY;
		if (b->secret && b->p != NULL) {
			memcpy(p, b->p, b->end);
			wipe(b->p, b->cap);
			free(b->p);
		}
		b->p = p;
		b->cap = cap;
	}
	*out = b->p == NULL ? NULL : b->p + b->end;
	return EC_OK;
}

enum ec bytes_format(struct bytes *b, const char *format, ...)
{
	va_list ap;
	uint8_t *room = NULL;
	va_start(ap, format);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	enum ec ec = n < 0 ? EC_NO_MEMORY : bytes_reserve(b, (size_t)n + 1, &room);
	if (ec != EC_OK)
		return ec;
	va_start(ap, format);
	(void)vsnprintf((char *)room, (size_t)n + 1, format, ap);
	va_end(ap);
	bytes_commit(b, (size_t)n);
	return EC_OK;
}

void bytes_commit(struct bytes *b, size_t len)
{
	assert(len <= b->cap - b->end);
	b->end += len;
}

enum ec bytes_append(struct bytes *b, struct slice s)
{
	if (s.len == 0)
		return EC_OK;
	uint8_t *p = NULL;
	enum ec ec = bytes_reserve(b, s.len, &p);
	if (ec != EC_OK)
		return ec;
	memcpy(p, s.p, s.len);
	bytes_commit(b, s.len);
	return EC_OK;
}

void bytes_consume(struct bytes *b, size_t len)
{
	assert(len <= bytes_len(b));
	if (b->secret)
		wipe(b->p + b->start, len);
	b->start += len;
	if (b->start == b->end)
		b->start = b->end = 0;
}

struct slice bytes_slice(const struct bytes *b)
{
	return b->p == NULL ? (struct slice){ 0 } : slice_of(b->p + b->start, b->end - b->start);
}

size_t bytes_len(const struct bytes *b)
{
	return b->end - b->start;
}

void bytes_fini(struct bytes *b)
{
	if (b->secret && b->p != NULL)
		wipe(b->p, b->cap);
	free(b->p);
	*b = (struct bytes){ .secret = b->secret };
}

void wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

enum ec secret_copy(struct secret *out, struct slice s)
{
	uint8_t *p = malloc(s.len + 1);
	if (p == NULL)
		return EC_NO_MEMORY;
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = 0; /* text may be handed to C string functions */
	*out = (struct secret){ p, s.len };
	return EC_OK;
}

void secret_fini(struct secret *s)
{
	if (s->p != NULL)
		wipe(s->p, s->len);
	free(s->p);
	*s = (struct secret){ 0 };
}

void hex_encode(char *out, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < s.len; i++) {
		out[2 * i] = digits[s.p[i] >> 4];
		out[2 * i + 1] = digits[s.p[i] & 15];
	}
	out[2 * s.len] = '\0';
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(uint8_t *out, size_t len, struct slice text)
{
	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

enum ec parse_u64(struct slice text, uint64_t max, uint64_t *out)
{
	if (text.len == 0)
		return EC_SYNTAX;
	uint64_t n = 0;
	bool over = false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];
		if (c < '0' || c > '9')
			return EC_SYNTAX;
		if (n > (UINT64_MAX - (uint64_t)(c - '0')) / 10)
			over = true;
		else
			n = n * 10 + (uint64_t)(c - '0');
	}
	if (over || n > max)
		return EC_RANGE;
	*out = n;
	return EC_OK;
}

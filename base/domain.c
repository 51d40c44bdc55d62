#include "base/domain.h"

#include <string.h>

#include "base/utf8.h"

/* RFC 3492 5. */
enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, INITIAL_BIAS = 72, INITIAL_N = 0x80 };

static uint8_t small(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static void write_octet(struct writer *w, uint8_t c)
{
	writer_bytes(w, slice_of(&c, 1));
}

static void write_digit(struct writer *w, uint32_t digit)
{
	write_octet(w, (uint8_t)(digit < 26 ? 'a' + digit : '0' + digit - 26));
}

/* RFC 3492 6.1. */
static uint32_t adapt(uint32_t delta, uint32_t num, bool first)
{
	uint32_t k = 0;
	delta = first ? delta / DAMP : delta / 2;
	delta += delta / num;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static void write_delta(struct writer *w, uint32_t delta, uint32_t bias)
{
	for (uint32_t k = BASE;; k += BASE) {
		uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
		if (delta < t)
			break;
		write_digit(w, t + (delta - t) % (BASE - t));
		delta = (delta - t) / (BASE - t);
	}
	write_digit(w, delta);
}

static uint32_t least_from(const uint32_t *points, size_t num, uint32_t n)
{
	uint32_t least = UINT32_MAX;
	for (size_t i = 0; i < num; i++)
		if (points[i] >= n && points[i] < least)
			least = points[i];
	return least;
}

/* RFC 3492 6.3. With at most 63 characters below U+110000, `delta` stays below 2^27. */
static void write_punycode(struct writer *w, const uint32_t *points, size_t num)
{
	uint32_t done = 0;
	for (size_t i = 0; i < num; i++) {
		if (points[i] >= INITIAL_N)
			continue;
		write_octet(w, (uint8_t)points[i]);
		done++;
	}
	uint32_t basic = done, delta = 0, bias = INITIAL_BIAS;
	if (basic > 0)
		write_octet(w, '-');
	for (uint32_t n = INITIAL_N; done < num; n++, delta++) {
		uint32_t next = least_from(points, num, n);
		delta += (next - n) * (done + 1);
		n = next;
		for (size_t i = 0; i < num; i++) {
			delta += points[i] < n;
			if (points[i] != n)
				continue;
			write_delta(w, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

/* A label with characters beyond ASCII. Each character becomes an octet or more, so
 * one that has too many won't fit. */
static enum ec fold_u_label(struct slice label, struct writer *w)
{
	uint32_t points[DOMAIN_LABEL_MAX];
	size_t num = 0, start = w->len;
	while (label.len > 0) {
		if (num == DOMAIN_LABEL_MAX)
			return EC_RANGE;
		size_t len = utf8_next(label, &points[num]);
		if (len == 0)
			return EC_SYNTAX;
		if (len == 1)
			points[num] = small(label.p[0]);
		num++;
		label = slice_from(label, len);
	}
	writer_str(w, "xn--");
	write_punycode(w, points, num);
	return w->len - start > DOMAIN_LABEL_MAX ? EC_RANGE : EC_OK;
}

static enum ec fold_label(struct slice label, struct writer *w)
{
	uint8_t folded[DOMAIN_LABEL_MAX];
	size_t num = 0;
	for (; num < label.len && label.p[num] < 0x80; num++) {
		if (num == DOMAIN_LABEL_MAX)
			return EC_RANGE;
		folded[num] = small(label.p[num]);
	}
	if (num < label.len)
		return fold_u_label(label, w);
	writer_bytes(w, slice_of(folded, num));
	return num == 0 ? EC_SYNTAX : EC_OK;
}

enum ec domain_fold(struct slice domain, char out[DOMAIN_MAX + 1], size_t *out_len)
{
	struct writer w = writer_of(out, DOMAIN_MAX);
	enum ec ec = EC_OK;
	*out_len = 0;
	for (bool last = false; ec == EC_OK && !last;) {
		const uint8_t *dot = domain.len == 0 ? NULL : memchr(domain.p, '.', domain.len);
		last = dot == NULL;
		size_t len = last ? domain.len : (size_t)(dot - domain.p);
		ec = fold_label(slice_first(domain, len), &w);
		if (ec == EC_OK && !last) {
			domain = slice_from(domain, len + 1);
			writer_str(&w, ".");
		}
	}
	if (ec == EC_OK && w.bad)
		ec = EC_RANGE;
	if (ec == EC_OK)
		*out_len = w.len;
	out[*out_len] = '\0';
	return ec;
}

struct slice domain_without_dot(struct slice name)
{
	return name.len > 0 && name.p[name.len - 1] == '.' ? slice_first(name, name.len - 1) : name;
}

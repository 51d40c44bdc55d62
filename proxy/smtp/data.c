#include "proxy/smtp/data.h"

#include <assert.h>
#include <string.h>

void smtp_data_init(struct smtp_data *d, bool normalize, enum smtp_data_form form, uint64_t max)
{
	assert(form != SMTP_FORM_PASSED || !normalize);
	*d = (struct smtp_data){ .state = SMTP_DATA_LINE, .normalize = normalize, .form = form, .max = max };
}

static void fault(struct smtp_data *d, enum smtp_data_fault what)
{
	if (d->fault == SMTP_DATA_FINE)
		d->fault = what;
}

static void push(struct smtp_data *d, struct smtp_data_out *out, struct slice s)
{
	if (d->fault != SMTP_DATA_FINE || s.len == 0)
		return;
	struct slice *last = out->num > 0 ? &out->ranges[out->num - 1] : NULL;
	if (last != NULL && last->p + last->len == s.p) {
		last->len += s.len;
		return;
	}
	assert(out->num < out->cap);
	out->ranges[out->num++] = s;
}

/* Counts content. The octet that is one too many is a fault in its own place,
 * so that the first fault does not depend on how the octets came in. */
static void count(struct smtp_data *d, size_t len)
{
	d->size += len;
	if (d->max > 0 && d->size > d->max)
		fault(d, SMTP_DATA_TOO_BIG);
}

/* Emits content, up to the first NUL. */
static void push_text(struct smtp_data *d, struct smtp_data_out *out, struct slice s)
{
	const uint8_t *nul = s.len > 0 ? memchr(s.p, '\0', s.len) : NULL;
	size_t len = nul != NULL ? (size_t)(nul - s.p) : s.len;
	count(d, len);
	push(d, out, slice_first(s, len));
	if (nul != NULL)
		fault(d, SMTP_DATA_NUL);
}

/* Emits a line that the sender left as a lone dot before a stray line end. */
static void push_dot(struct smtp_data *d, struct smtp_data_out *out)
{
	count(d, 1);
	push(d, out, SLICE_LIT(".."));
}

/* A stray line end: repaired, or the end of this message's hopes. What follows
 * it is in no case the start of a line that a dot could end the message on. */
static void stray(struct smtp_data *d, struct smtp_data_out *out, enum smtp_data_fault what)
{
	if (!d->normalize) {
		fault(d, what);
		d->state = SMTP_DATA_MID;
		return;
	}
	push_text(d, out, SLICE_LIT("\r\n"));
	d->state = SMTP_DATA_STRAY;
}

/* Behind a CR. Returns the octets taken. */
static size_t after_cr(struct smtp_data *d, uint8_t c, struct smtp_data_out *out)
{
	if (c != '\n') {
		stray(d, out, SMTP_DATA_BARE_CR);
		return 0;
	}
	push_text(d, out, d->state == SMTP_DATA_CR ? SLICE_LIT("\r\n") : SLICE_LIT("\n"));
	d->state = SMTP_DATA_LINE;
	return 1;
}

/* Behind a held dot at the start of a line. If a stray line end follows, the
 * dot would stand alone on its line behind us: it is stuffed again. Before anything
 * else a dot is due as well: `dot`, the sender's own where it is still in hand, so
 * that it is one range with what stands around it. */
static size_t after_dot(struct smtp_data *d, struct slice dot, uint8_t c, struct smtp_data_out *out)
{
	switch (c) {
	case '\r':
		d->state = SMTP_DATA_DOT_CR;
		return 1;
	case '\n':
		push_dot(d, out);
		stray(d, out, SMTP_DATA_BARE_LF);
		return 1;
	default:
		push(d, out, dot);
		d->state = SMTP_DATA_MID;
		return 0;
	}
}

static size_t after_dot_cr(struct smtp_data *d, uint8_t c, struct smtp_data_out *out)
{
	if (c == '\n') {
		d->state = SMTP_DATA_END;
		return 1;
	}
	push_dot(d, out);
	stray(d, out, SMTP_DATA_BARE_CR);
	return 0;
}

/* Takes the dot at the start of a line, or puts another before it. */
static size_t first_dot(struct smtp_data *d, struct smtp_data_out *out)
{
	if (d->state == SMTP_DATA_LINE && d->form == SMTP_FORM_DATA) {
		d->state = SMTP_DATA_DOT;
		return 1;
	}
	push(d, out, SLICE_LIT("."));
	d->state = SMTP_DATA_MID;
	return 0;
}

/* Emits a run of good lines as one range, up to something that needs thought.
 * Returns the octets taken. */
static size_t run(struct smtp_data *d, struct slice in, struct smtp_data_out *out)
{
	size_t pos = 0;
	while (pos < in.len) {
		if (d->state != SMTP_DATA_MID && in.p[pos] == '.' && d->form != SMTP_FORM_PASSED) {
			push_text(d, out, slice_first(in, pos));
			return pos + first_dot(d, out);
		}
		const uint8_t *lf = memchr(in.p + pos, '\n', in.len - pos);
		size_t end = lf != NULL ? (size_t)(lf - in.p) : in.len;
		const uint8_t *cr = end > pos ? memchr(in.p + pos, '\r', end - pos) : NULL;
		if (cr == NULL && lf == NULL) {
			d->state = SMTP_DATA_MID;
			pos = in.len;
			break;
		}
		if (cr == NULL) {
			push_text(d, out, slice_first(in, end));
			stray(d, out, SMTP_DATA_BARE_LF);
			return end + 1;
		}
		if (lf == NULL || cr + 1 != lf) {
			size_t at = (size_t)(cr - in.p);
			push_text(d, out, slice_first(in, at));
			d->state = SMTP_DATA_CR;
			return at + 1;
		}
		d->state = SMTP_DATA_LINE;
		pos = end + 1;
	}
	push_text(d, out, slice_first(in, pos));
	return pos;
}

size_t smtp_data_scan(struct smtp_data *d, struct slice in, struct smtp_data_out *out)
{
	size_t used = 0;
	if (d->form == SMTP_FORM_BINARY) {
		count(d, in.len);
		push(d, out, in);
		return in.len;
	}
	while (used < in.len && d->state != SMTP_DATA_END && out->num + SMTP_DATA_RANGES_ROOM <= out->cap) {
		struct slice rest = slice_from(in, used);
		switch (d->state) {
		case SMTP_DATA_CR:
		case SMTP_DATA_CR_OUT:
			used += after_cr(d, rest.p[0], out);
			break;
		case SMTP_DATA_DOT:
			used += after_dot(d, used > 0 ? slice_of(rest.p - 1, 1) : SLICE_LIT("."), rest.p[0], out);
			break;
		case SMTP_DATA_DOT_CR:
			used += after_dot_cr(d, rest.p[0], out);
			break;
		default:
			used += run(d, rest, out);
			break;
		}
	}
	return used;
}

void smtp_data_pause(struct smtp_data *d, struct smtp_data_out *out)
{
	if (d->form != SMTP_FORM_PASSED || d->state != SMTP_DATA_CR)
		return;
	push_text(d, out, SLICE_LIT("\r"));
	d->state = SMTP_DATA_CR_OUT;
}

void smtp_data_last(struct smtp_data *d, struct smtp_data_out *out)
{
	assert(d->form != SMTP_FORM_DATA);
	if (d->state == SMTP_DATA_CR || d->state == SMTP_DATA_CR_OUT)
		stray(d, out, SMTP_DATA_BARE_CR);
	else if (d->state == SMTP_DATA_MID && d->form == SMTP_FORM_CHUNKS)
		push(d, out, SLICE_LIT("\r\n"));
	d->state = SMTP_DATA_END;
}

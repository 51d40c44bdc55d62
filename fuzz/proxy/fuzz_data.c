/* The body scanner: cuts change nothing, only CRLF . CRLF ends, and nothing
 * comes out that another MTA could split differently. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/smtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	struct smtp_data d;
	size_t used, len;
	uint8_t *out;
};

static void collect(struct run *r, const struct smtp_data_out *out)
{
	for (size_t i = 0; i < out->num; i++) {
		memcpy(r->out + r->len, out->ranges[i].p, out->ranges[i].len);
		r->len += out->ranges[i].len;
	}
}

static void scan(struct run *r, uint8_t options, uint64_t max, const uint8_t *in, size_t len, size_t step)
{
	struct slice ranges[32];
	enum smtp_data_form form = (options >> 1 & 1) + (options >> 2 & 2);
	smtp_data_init(&r->d, (options & 1) != 0 && form != SMTP_FORM_PASSED, form, max);
	r->used = r->len = 0;
	while (r->used < len && r->d.state != SMTP_DATA_END) {
		size_t n = len - r->used < step ? len - r->used : step;
		struct smtp_data_out out = { ranges, 32, 0 };
		size_t used = smtp_data_scan(&r->d, slice_of(in + r->used, n), &out);
		assert(used > 0 && used <= n);
		collect(r, &out);
		r->used += used;
	}
	if (form != SMTP_FORM_DATA) {
		struct smtp_data_out out = { ranges, 32, 0 };
		smtp_data_last(&r->d, &out);
		collect(r, &out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 3)
		return 0;
	uint8_t options = data[0];
	uint64_t max = (options & 4) != 0 ? data[2] : 0;
	size_t step = 1 + data[1] % 64;
	data += 3;
	len -= 3;
	struct run a = { .out = malloc(4 * len + 8) }, b = { .out = malloc(4 * len + 8) };
	assert(a.out != NULL && b.out != NULL);
	scan(&a, options, max, data, len, SIZE_MAX);
	scan(&b, options, max, data, len, step);
	assert(a.used == b.used && a.d.state == b.d.state && a.d.fault == b.d.fault);
	bool exact = a.d.form == SMTP_FORM_PASSED || a.d.form == SMTP_FORM_BINARY;
	assert(!exact || memcmp(a.out, data, a.len) == 0);
	/* The octets of a chunk are all passed on, or there is a fault and one is missing. */
	assert(!exact || (a.d.fault == SMTP_DATA_FINE ? a.len == len : a.len < len));
	if (a.d.fault == SMTP_DATA_FINE)
		assert(a.d.size == b.d.size && a.len == b.len && memcmp(a.out, b.out, a.len) == 0);
	if (a.d.fault == SMTP_DATA_FINE && a.d.form != SMTP_FORM_BINARY)
		for (size_t i = 0; i < a.len; i++) {
			assert(a.out[i] != '\0');
			assert(a.out[i] != '\n' || (i > 0 && a.out[i - 1] == '\r'));
			assert(a.out[i] != '\r' || (i + 1 < a.len && a.out[i + 1] == '\n'));
		}
	if (a.d.fault == SMTP_DATA_FINE && !exact) {
		assert(a.len < 3 || memcmp(a.out, ".\r\n", 3) != 0);
		assert(memmem(a.out, a.len, "\r\n.\r\n", 5) == NULL);
	}
	if (a.d.form == SMTP_FORM_DATA) {
		const uint8_t *end = len >= 3 && memcmp(data, ".\r\n", 3) == 0 ? data : memmem(data, len, "\r\n.\r\n", 5);
		size_t want = end == NULL ? len : end == data && data[0] == '.' ? 3 : (size_t)(end - data) + 5;
		assert(a.used == want && (a.d.state == SMTP_DATA_END) == (end != NULL));
	}
	free(a.out);
	free(b.out);
	return 0;
}

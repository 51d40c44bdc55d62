#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/smtp/data.h"

enum { BIG = 1 << 16 };

struct result {
	size_t used, len;
	struct smtp_data d;
	char out[4 * BIG];
};

static void collect(struct result *r, const struct smtp_data_out *out)
{
	for (size_t i = 0; i < out->num; i++) {
		assert_true(r->len + out->ranges[i].len <= sizeof r->out);
		memcpy(r->out + r->len, out->ranges[i].p, out->ranges[i].len);
		r->len += out->ranges[i].len;
	}
}

/* Scans `in` in pieces of `step` octets (0: whole), with few ranges at a time. */
static void scan(struct result *r, bool normalize, enum smtp_data_form form, const char *in, size_t len, size_t step, size_t cap)
{
	struct slice ranges[32];
	r->used = r->len = 0;
	smtp_data_init(&r->d, normalize, form, 0);
	while (r->used < len && r->d.state != SMTP_DATA_END) {
		size_t n = step == 0 || step > len - r->used ? len - r->used : step;
		struct smtp_data_out out = { ranges, cap, 0 };
		size_t used = smtp_data_scan(&r->d, slice_of(in + r->used, n), &out);
		assert_in_range(used, 1, n);
		collect(r, &out);
		r->used += used;
	}
	if (form != SMTP_FORM_DATA) {
		struct smtp_data_out out = { ranges, cap, 0 };
		smtp_data_last(&r->d, &out);
		collect(r, &out);
	}
}

/* Where RFC 5321 4.1.1.4 says that the data ends: behind the first CRLF . CRLF,
 * the CRLF of the DATA line counting. SIZE_MAX: it does not. Written from the
 * RFC, with no state, to judge the scanner by. */
static size_t true_end(const char *in, size_t len)
{
	if (len >= 3 && memcmp(in, ".\r\n", 3) == 0)
		return 3;
	for (size_t i = 0; i + 5 <= len; i++)
		if (memcmp(in + i, "\r\n.\r\n", 5) == 0)
			return i + 5;
	return SIZE_MAX;
}

static enum smtp_data_fault first_fault(const char *in, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\0')
			return SMTP_DATA_NUL;
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			return SMTP_DATA_BARE_LF;
		if (in[i] == '\r' && i + 1 < len && in[i + 1] != '\n')
			return SMTP_DATA_BARE_CR;
	}
	return SMTP_DATA_FINE;
}

static void assert_clean(const char *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		assert_int_not_equal(out[i], '\0');
		if (out[i] == '\n')
			assert_true(i > 0 && out[i - 1] == '\r');
		if (out[i] == '\r')
			assert_true(i + 1 < len && out[i + 1] == '\n');
	}
	assert_int_equal(true_end(out, len), SIZE_MAX);
}

/* Every string of up to 8 octets over the five that matter, both modes. */
static void test_every_short_stream(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', '\0' };
	static struct result whole, bytes;
	(void)state;
	size_t num = 1;
	for (size_t len = 1; len <= 8; len++) {
		num *= 5;
		for (size_t n = 0; n < num; n++) {
			char in[8];
			size_t v = n;
			for (size_t i = 0; i < len; i++, v /= 5)
				in[i] = alphabet[v % 5];
			size_t end = true_end(in, len);
			for (int normalize = 0; normalize <= 1; normalize++) {
				scan(&whole, normalize, SMTP_FORM_DATA, in, len, 0, 32);
				scan(&bytes, normalize, SMTP_FORM_DATA, in, len, 1, 8);
				assert_int_equal(whole.d.state == SMTP_DATA_END, end != SIZE_MAX);
				assert_int_equal(whole.used, end != SIZE_MAX ? end : len);
				assert_int_equal(whole.used, bytes.used);
				assert_int_equal(whole.len, bytes.len);
				assert_memory_equal(whole.out, bytes.out, whole.len);
				assert_int_equal(whole.d.fault, bytes.d.fault);
				assert_int_equal(whole.d.state, bytes.d.state);
				if (!normalize)
					assert_int_equal(whole.d.fault, first_fault(in, whole.used));
				else if (whole.d.fault != SMTP_DATA_FINE)
					assert_int_equal(whole.d.fault, SMTP_DATA_NUL);
				else
					assert_clean(whole.out, whole.len);
				/* What is passed on before a fault is clean as well. */
				if (whole.len > 0 && whole.d.fault != SMTP_DATA_FINE && whole.out[whole.len - 1] != '\r')
					assert_int_equal(true_end(whole.out, whole.len), SIZE_MAX);
			}
		}
	}
}

/* The same for BDAT: any octets are content; what comes out, unstuffed, is what
 * went in, with the last line ended. */
static void test_every_short_chunk(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a' };
	static struct result whole, bytes;
	(void)state;
	size_t num = 1;
	for (size_t len = 0; len <= 8; len++, num *= 4) {
		for (size_t n = 0; n < num; n++) {
			char in[8], want[24], plain[64];
			size_t v = n, num_want = 0, num_plain = 0;
			for (size_t i = 0; i < len; i++, v /= 4)
				in[i] = alphabet[v % 4];
			scan(&whole, true, SMTP_FORM_CHUNKS, in, len, 0, 32);
			scan(&bytes, true, SMTP_FORM_CHUNKS, in, len, 1, 8);
			assert_int_equal(whole.len, bytes.len);
			assert_memory_equal(whole.out, bytes.out, whole.len);
			assert_clean(whole.out, whole.len);
			for (size_t i = 0; i < len; i++) {
				bool crlf = in[i] == '\r' && i + 1 < len && in[i + 1] == '\n';
				if (in[i] == '\r' || in[i] == '\n') {
					memcpy(want + num_want, "\r\n", 2);
					num_want += 2;
					i += crlf ? 1 : 0;
				} else {
					want[num_want++] = in[i];
				}
			}
			if (num_want > 0 && want[num_want - 1] != '\n') {
				memcpy(want + num_want, "\r\n", 2);
				num_want += 2;
			}
			for (size_t i = 0; i < whole.len; i++)
				if (whole.out[i] != '.' || (i > 0 && whole.out[i - 1] != '\n'))
					plain[num_plain++] = whole.out[i];
			assert_int_equal(num_plain, num_want);
			assert_memory_equal(plain, want, num_want);
			scan(&whole, false, SMTP_FORM_CHUNKS, in, len, 0, 32);
			enum smtp_data_fault fault = first_fault(in, len);
			if (fault == SMTP_DATA_FINE && len > 0 && in[len - 1] == '\r')
				fault = SMTP_DATA_BARE_CR;
			assert_int_equal(whole.d.fault, fault);
		}
	}
}

/* Two chunks that are passed on: what comes out of each is what went in, in size too,
 * or there is a fault, and then at least one octet is missing. */
static void test_every_short_pair_of_chunks(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', '\0' };
	static struct result r;
	(void)state;
	size_t num = 1;
	for (size_t len = 0; len <= 6; len++, num *= 5) {
		for (size_t n = 0; n < num * (len + 1) * 2; n++) {
			char in[8];
			size_t v = n / 2 / (len + 1), cut = n / 2 % (len + 1), step = n % 2 == 0 ? 8 : 1;
			for (size_t i = 0; i < len; i++, v /= 5)
				in[i] = alphabet[v % 5];
			enum smtp_data_fault fault = first_fault(in, len);
			if (fault == SMTP_DATA_FINE && len > 0 && in[len - 1] == '\r')
				fault = SMTP_DATA_BARE_CR;
			struct slice ranges[32];
			r.len = 0;
			smtp_data_init(&r.d, false, SMTP_FORM_PASSED, 0);
			for (size_t at = 0; at < len || at < cut;) {
				size_t end = at < cut ? cut : len, take = end - at < step ? end - at : step;
				struct smtp_data_out out = { ranges, 32, 0 };
				at += smtp_data_scan(&r.d, slice_of(in + at, take), &out);
				if (at == cut)
					smtp_data_pause(&r.d, &out);
				collect(&r, &out);
				if (at == cut && r.d.fault == SMTP_DATA_FINE)
					assert_int_equal(r.len, cut);
			}
			struct smtp_data_out out = { ranges, 32, 0 };
			smtp_data_last(&r.d, &out);
			collect(&r, &out);
			assert_int_equal(r.d.fault, fault);
			assert_memory_equal(r.out, in, r.len);
			/* A CR that ended the first chunk may be out already; then the chunk
			 * behind it must be empty, and session_chunk.c looks first. */
			bool cr_out = fault == SMTP_DATA_BARE_CR && cut == len && len > 0 && in[len - 1] == '\r' &&
			              first_fault(in, len) == SMTP_DATA_FINE;
			assert_true(fault == SMTP_DATA_FINE || cr_out ? r.len == len : r.len < len);
			if (fault == SMTP_DATA_FINE)
				assert_int_equal(r.d.size, len);
		}
	}
}

static void test_binary(void **state)
{
	static struct result r;
	static const char in[] = "\n.\n\r\r\0\r\n.\r\nx\r";
	(void)state;
	scan(&r, true, SMTP_FORM_BINARY, in, sizeof in - 1, 1, 32);
	assert_int_equal(r.d.fault, SMTP_DATA_FINE);
	assert_int_equal(r.d.size, sizeof in - 1);
	assert_int_equal(r.len, sizeof in - 1);
	assert_memory_equal(r.out, in, r.len);
	/* A limit is a limit: nothing of the octets that go beyond it. */
	struct slice range;
	struct smtp_data_out out = { &range, 1, 0 };
	smtp_data_init(&r.d, false, SMTP_FORM_BINARY, 3);
	assert_int_equal(smtp_data_scan(&r.d, SLICE_LIT("abcd"), &out), 4);
	assert_int_equal(r.d.fault, SMTP_DATA_TOO_BIG);
	assert_int_equal(out.num, 0);
}

/* Well-formed messages pass unchanged, and in few ranges. */
static void test_exact(void **state)
{
	static struct result r;
	static char in[BIG];
	(void)state;
	uint32_t seed = 12345;
	for (int round = 0; round < 300; round++) {
		size_t len = 0;
		while (len < 3000) {
			seed = seed * 1664525 + 1013904223;
			size_t line = (seed >> 8) % 1500; /* beyond 998 too */
			if ((seed >> 28) == 0)
				in[len++] = '.', in[len++] = '.';
			for (size_t i = 0; i < line; i++) {
				seed = seed * 1664525 + 1013904223;
				char c = (char)(seed >> 24);
				in[len++] = c == '\0' || c == '\r' || c == '\n' || (i == 0 && c == '.') ? 'x' : c;
			}
			in[len++] = '\r', in[len++] = '\n';
		}
		memcpy(in + len, ".\r\nQUIT\r\n", 9);
		scan(&r, round % 2 == 0, SMTP_FORM_DATA, in, len + 9, round % 3 == 0 ? 0 : 1 + seed % 100, 32);
		assert_int_equal(r.d.state, SMTP_DATA_END);
		assert_int_equal(r.d.fault, SMTP_DATA_FINE);
		assert_int_equal(r.used, len + 3);
		assert_int_equal(r.len, len);
		assert_memory_equal(r.out, in, len);
	}
}

static void test_size(void **state)
{
	static struct result r;
	(void)state;
	/* RFC 1870 5: CRLF counts, stuffed dots and the final one do not. */
	scan(&r, false, SMTP_FORM_DATA, "..a\r\n\r\n...\r\n.\r\n", 15, 1, 32);
	assert_int_equal(r.d.size, 4 + 2 + 4);
	scan(&r, false, SMTP_FORM_DATA, ".\r\n", 3, 0, 32);
	assert_int_equal(r.d.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_short_stream),
		cmocka_unit_test(test_every_short_chunk),
		cmocka_unit_test(test_every_short_pair_of_chunks),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_size),
	};
	return cmocka_run_group_tests_name("smtp/data", tests, NULL, NULL);
}

/* Random sessions: each is played whole, octet by octet and cut at random, and
 * must come out the same; messages that are accepted are stored as sent. */
#include <stdint.h>

#include "dialogue.h"

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static const char *const pieces[] = {
	HI, "HELO me\r\n", "MAIL FROM:<a@b.test>\r\n", "MAIL FROM:<> SIZE=10 BODY=8BITMIME\r\n", "RCPT TO:<c@d.test>\r\n",
	"RCPT TO:<no@d>\r\n", "RCPT TO:<later@d>\r\n", "RCPT TO:<die@d>\r\n" WAIT, "RCPT TO:<c@d", ">\r\n", "DATA\r\n", ".\r\n", "\r\n.\r\n",
	"\n.\n", "\r.\r", "..\r\n", "BDAT 5\r\n", "BDAT 5 LAST\r\n", "BDAT 0 LAST\r\n", "hello", "RSET\r\n", "NOOP\r\n", "QUIT", "\r\n",
	"\n", "\r", ENVELOPE, ENVELOPE "DATA\r\n", ENVELOPE "DATA\r\ntext\r\n.\r\n", ENVELOPE "BDAT 5 LAST\r\nhello", "FOO\r\n", "XCLIENT A=B\r\n",
	HI ENVELOPE, "AUTH PLAIN\r\n", "Subject: x\r\n", "\x80\xc3\xa4",
};

static struct slice make(char *text, size_t cap)
{
	size_t len = 0;
	for (uint32_t n = 1 + rnd(25); n > 0; n--) {
		const char *piece = pieces[rnd(sizeof pieces / sizeof *pieces)];
		if (len + strlen(piece) > cap)
			break;
		memcpy(text + len, piece, strlen(piece));
		len += strlen(piece);
	}
	return slice_of(text, len);
}

/* A link that dies refuses the RCPTs that happen to be under way: hence the
 * WAIT behind "die" above. */
static void test_split_invariance(void **state)
{
	static struct rig_result whole, cut;
	static char text[8192];
	(void)state;
	unsigned delivered = 0;
	for (uint32_t round = 1; round <= 3000; round++) {
		seed = round * 2654435761U;
		struct rig_setup setup = { .normalize = rnd(2) == 0, .eof = rnd(2) == 0, .max_size = rnd(4) == 0 ? 20 : 0 };
		if (rnd(4) == 0)
			setup.mta.ehlo = "250 mta\r\n";
		struct slice in = make(text, sizeof text);
		rig_run(&setup, in, RIG_WHOLE, 0, &whole);
		assert_false(whole.saw_bad_bytes);
		delivered += whole.num_stored;
		for (int how = 0; how < 3; how++) {
			rig_run(&setup, in, how == 0 ? RIG_BYTES : RIG_RANDOM, round * 3 + (uint32_t)how, &cut);
			if (strcmp(whole.client, cut.client) != 0 || whole.stored_len != cut.stored_len ||
			    memcmp(whole.stored, cut.stored, cut.stored_len) != 0 || cut.saw_bad_bytes)
				fail_msg("round %u, how %d\n%.*s\n whole %s\n cut   %s\n behind %s\n behind %s", round, how, (int)in.len,
				         (const char *)in.p, whole.client, cut.client, whole.backend, cut.backend);
		}
	}
	assert_true(delivered > 300); /* else this proves little */
}

/* A long message of any octets that are allowed arrives as it was sent. */
static void test_content(void **state)
{
	static struct rig_result r;
	static char text[40000];
	(void)state;
	for (uint32_t round = 1; round <= 200; round++) {
		seed = round * 40503U + 1;
		struct rig_setup setup = { 0 };
		size_t len = (size_t)sprintf(text, HI ENVELOPE "DATA\r\n"), begin = len, num_want = 0;
		static char want[40000];
		for (uint32_t lines = rnd(12); lines > 0; lines--) {
			uint32_t n = rnd(rnd(3) == 0 ? 2000 : 80);
			for (uint32_t i = 0; i < n; i++) {
				char c = (char)rnd(255); /* 255 is WAIT */
				if (c == '\0' || c == '\r' || c == '\n')
					c = '.';
				if (i == 0 && c == '.')
					text[len++] = '.';
				text[len++] = want[num_want++] = c;
			}
			memcpy(text + len, "\r\n", 2);
			memcpy(want + num_want, "\r\n", 2);
			len += 2;
			num_want += 2;
		}
		assert_true(begin <= len);
		memcpy(text + len, ".\r\nQUIT\r\n", 9);
		rig_run(&setup, slice_of(text, len + 9), round % 3, round, &r);
		assert_int_equal(r.num_stored, 1);
		assert_int_equal(r.stored_len, num_want + 4);
		assert_memory_equal(r.stored, want, num_want);
		assert_non_null(strstr(r.received, "Received: from me.test ([192.0.2.1])\r\n\tby edge.test (danegate) with ESMTP id s1;"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_split_invariance), cmocka_unit_test(test_content) };
	return cmocka_run_group_tests_name("smtp/random", tests, NULL, NULL);
}

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
	"\n", "\r", ENVELOPE, ENVELOPE "DATA\r\n", ENVELOPE "DATA\r\ntext\r\n.\r\n", ENVELOPE "BDAT 5 LAST\r\nhello", ENVELOPE "BDAT 3\r\nx\r\nBDAT 3\r\n.\r\nBDAT 1 LAST\r\ny", "BDAT 2\r\nx\r", "BDAT 0\r\n", "FOO\r\n", "XCLIENT A=B\r\n",
	HI ENVELOPE, "AUTH PLAIN\r\n", "Subject: x\r\n", "\x80\xc3\xa4",
};

/* Recipients of all kinds of ways, in groups. */
static const char *const pieces_of_ways[] = {
	"MAIL FROM:<a@b.test>\r\n", "MAIL FROM:<a@b.test>\r\nRCPT TO:<x@a.test>\r\n", "MAIL FROM:<>\r\nRCPT TO:<x@one.m.test>\r\n",
	"MAIL FROM:<>\r\nRCPT TO:<x@l.test>\r\n", "RCPT TO:<x@a.test>\r\n", "RCPT TO:<y@A.test>\r\n", "RCPT TO:<no@a.test>\r\n",
	"RCPT TO:<die@a.test>\r\n" WAIT, "RCPT TO:<x@one.m.test>\r\n", "RCPT TO:<y@ONE.m.test>\r\n", "RCPT TO:<x@two.m.test>\r\n",
	"RCPT TO:<no@two.m.test>\r\n", "RCPT TO:<x@l.test>\r\n", "RCPT TO:<y@l.test>\r\n", "RCPT TO:<later@l.test>\r\n", "RCPT TO:<x@none.test>\r\n",
	"RCPT TO:<x@r.test>\r\n", "RCPT TO:<x@[192.0.2.1]>\r\n", "RCPT TO:<postmaster>\r\n", "RCPT TO:<x>\r\n", "DATA\r\n", "DATA\r\ntext\r\n.\r\n",
	"DATA\r\ntext\r\n.\r\n", "BDAT 5 LAST\r\nhello", "BDAT 3\r\nx\r\n", "BDAT 0 LAST\r\n", "RSET\r\n", "NOOP\r\n",
};

static struct slice make(char *text, size_t cap, const char *start, const char *const *from, uint32_t num)
{
	size_t len = (size_t)snprintf(text, cap, "%s", start);
	for (uint32_t n = 1 + rnd(25); n > 0; n--) {
		const char *piece = from[rnd(num)];
		if (len + strlen(piece) > cap)
			break;
		memcpy(text + len, piece, strlen(piece));
		len += strlen(piece);
	}
	return slice_of(text, len);
}

/* A link that dies refuses the RCPTs that happen to be under way: hence the
 * WAIT behind "die" above. */
static void split_invariance(bool ways)
{
	static const struct rig_way all[] = { { "store", { "a.test" } }, { "mail", { "*.m.test" }, .mx = true },
		                              { "box", { "l.test" }, .lmtp = true },
		                              { "gone", { "r.test" }, .refused = SMTP_R_HOP_DNSSEC } };
	static struct rig_result whole, cut;
	static char text[8192];
	unsigned delivered = 0;
	for (uint32_t round = 1; round <= 3000; round++) {
		seed = round * 2654435761U;
		struct rig_setup setup = { .normalize = rnd(2) == 0, .eof = rnd(2) == 0, .max_size = rnd(4) == 0 ? 20 : 0 };
		static const char *const ehlos[] = { "250 mta\r\n", "250-mta\r\n250 CHUNKING\r\n",
		                                     "250-mta\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n" };
		if (rnd(2) == 0)
			setup.mta.ehlo = ehlos[rnd(3)];
		if (rnd(8) == 0)
			setup.mta.bdat = "452 4.3.1 Full\r\n";
		if (ways)
			memcpy(setup.ways, all, sizeof all);
		struct slice in = ways ? make(text, sizeof text, HI, pieces_of_ways, sizeof pieces_of_ways / sizeof *pieces_of_ways)
		                       : make(text, sizeof text, "", pieces, sizeof pieces / sizeof *pieces);
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

static void test_split_invariance(void **state)
{
	(void)state;
	split_invariance(false);
}

static void test_ways(void **state)
{
	(void)state;
	split_invariance(true);
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

/* In chunks of any sizes, to a backend that takes them: any octets with BINARYMIME,
 * any lines without. */
static void test_chunk_content(void **state)
{
	static struct rig_result r;
	static char text[60000], want[20000];
	(void)state;
	for (uint32_t round = 1; round <= 300; round++) {
		seed = round * 2246822519U;
		bool binary = rnd(2) == 0;
		struct rig_setup setup = { .mta.ehlo = "250-mta\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 CHUNKING\r\n",
		                           .caps = SMTP_CAP_8BITMIME | SMTP_CAP_BINARYMIME | SMTP_CAP_CHUNKING };
		size_t len = (size_t)sprintf(text, HI "MAIL FROM:<a@b.test>%s\r\nRCPT TO:<c@d.test>\r\n", binary ? " BODY=BINARYMIME" : "");
		size_t num = rnd(rnd(3) == 0 ? 20000 : 60);
		for (size_t i = 0; i < num; i++) {
			static const char some[] = "\r\n.\0x";
			want[i] = rnd(3) == 0 ? some[rnd(5)] : (char)rnd(255); /* 255 is WAIT */
			bool odd = want[i] == '\0' || want[i] == '\r' || want[i] == '\n';
			if (!binary && odd && i + 1 < num) {
				memcpy(want + i, "\r\n", 2);
				i++;
			} else if (!binary && odd) {
				want[i] = '.';
			}
		}
		bool last = false;
		for (size_t at = 0; !last;) {
			size_t n = rnd(4) == 0 ? num - at : rnd((uint32_t)(num - at) + 1);
			last = at + n == num && rnd(2) == 0;
			len += (size_t)sprintf(text + len, "BDAT %zu%s\r\n", n, last ? " LAST" : "");
			memcpy(text + len, want + at, n);
			len += n;
			at += n;
		}
		memcpy(text + len, "QUIT\r\n", 6);
		rig_run(&setup, slice_of(text, len + 6), round % 3, round, &r);
		assert_int_equal(r.num_stored, 1);
		assert_int_equal(r.stored_len, num + 4);
		assert_memory_equal(r.stored, want, num);
		assert_false(r.saw_bad_bytes);
		assert_non_null(strstr(r.client, "250:2.6.0 221:2.0.0 [quit]"));
		assert_null(strstr(r.backend, "DATA"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_split_invariance), cmocka_unit_test(test_ways), cmocka_unit_test(test_content),
		                            cmocka_unit_test(test_chunk_content) };
	return cmocka_run_group_tests_name("smtp/random", tests, NULL, NULL);
}

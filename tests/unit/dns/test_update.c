/* The replies in packets.h were made and signed by dnspython (make_packets.py);
 * the requests are read by it in check_update.py. */
#include "dns/update_ldns.h"

#include "dns/walk.h"
#include "tests/unit/dns/packets.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

/* base64 of reply_secret, by `base64` */
#define SECRET "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="

static void keys_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *name, *algorithm, *secret;
		enum ec ec;
	} cases[] = {
		{ "upd", "hmac-sha256", SECRET, EC_OK },
		{ "upd.example.", "HMAC-SHA512", SECRET "\n", EC_OK },
		{ "upd", "hmac-sha256", "  " SECRET "\r\n", EC_OK },
		{ "upd", "hmac-sha384", SECRET, EC_UNSUPPORTED },
		{ "upd", "hmac-sha1", SECRET, EC_UNSUPPORTED },
		{ "upd", "hmac-md5.sig-alg.reg.int", SECRET, EC_UNSUPPORTED },
		{ "upd", "", SECRET, EC_UNSUPPORTED },
		{ "", "hmac-sha256", SECRET, EC_SYNTAX },
		{ "a..b", "hmac-sha256", SECRET, EC_SYNTAX },
		{ "upd", "hmac-sha256", "", EC_SYNTAX },
		{ "upd", "hmac-sha256", "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM", EC_SYNTAX },
		{ "upd", "hmac-sha256", "!GVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=", EC_SYNTAX },
		{ "upd", "hmac-sha256", "hmac-sha256:upd:" SECRET, EC_SYNTAX },
		{ "upd", "hmac-sha256", "ZGVmZ2hpamtsbW5vcA==", EC_RANGE }, /* 13 octets */
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct tsig_key key;
		struct why why = { 0 };
		enum ec ec = tsig_key_init(&key, slice_str(cases[i].name), slice_str(cases[i].algorithm),
					   slice_str(cases[i].secret), &why);
		if (ec != cases[i].ec)
			fail_msg("case %zu: %s (%s)", i, ec_name(ec), why.text);
		assert_null(strstr(why.text, "ZGVm")); /* no secret in words for people */
		if (ec == EC_OK) {
			assert_int_equal(key.secret.len, sizeof reply_secret);
			assert_memory_equal(key.secret.p, reply_secret, sizeof reply_secret);
		}
		tsig_key_fini(&key);
		assert_null(key.secret.p);
	}
	char big[400];
	struct tsig_key key;
	memset(big, 'A', sizeof big);
	assert_int_equal(tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha256"), slice_of(big, 400), NULL), EC_RANGE);
	tsig_key_fini(&key);
	/* 256 octets of zeros: 341 digits and one of padding. */
	big[341] = '=';
	big[342] = big[343] = '=';
	assert_int_equal(tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha256"), slice_of(big, 344), NULL), EC_SYNTAX);
	big[341] = 'A';
	assert_int_equal(tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha256"), slice_of(big, 344), NULL), EC_OK);
	assert_int_equal(key.secret.len, 256);
	tsig_key_fini(&key);
}

static struct tlsa filled(uint8_t octet)
{
	uint8_t digest[32];
	memset(digest, octet, sizeof digest);
	return tlsa_311(digest);
}

static struct update example(void)
{
	struct update u = { .ttl_s = 3600 };
	struct tlsa t = filled(0xaa);
	assert_int_equal(dns_name_parse(SLICE_LIT("example.org"), &u.zone, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &u.owner, NULL), EC_OK);
	assert_int_equal(tlsa_set_add(&u.adds, &t), EC_OK);
	return u;
}

static void wrong_updates_are_not_made(void **state)
{
	(void)state;
	static struct update_request r;
	struct why why = { 0 };
	struct update u = example();
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_OK);
	u.ttl_s = 0x80000000U;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_RANGE);
	u = example();
	assert_int_equal(dns_name_parse(SLICE_LIT("xample.org"), &u.zone, NULL), EC_OK);
	assert_int_equal(update_build(&u, NULL, 1, &r, &why), EC_INVARIANT);
	assert_string_equal(why.text, "_25._tcp.mx1.example.org is not in the zone xample.org");
	u = example();
	u.deletes = u.adds;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_INVARIANT);
	u.adds.num = 0;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_OK);
	u.deletes.num = 0;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_INVARIANT);
	u.replace = true; /* withdrawing the whole set */
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_OK);
	u = example();
	u.adds.items[0].len = 300;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_UNSUPPORTED);
	/* The largest: full sets of the longest records, signed. */
	u = example();
	u.adds.num = u.deletes.num = 0;
	for (uint8_t i = 0; i < TLSA_SET_MAX; i++) {
		struct tlsa t = { .usage = 3, .selector = 1, .matching = 2, .len = 64, .data = { i } };
		assert_int_equal(tlsa_set_add(&u.adds, &t), EC_OK);
		t.data[1] = 1;
		assert_int_equal(tlsa_set_add(&u.deletes, &t), EC_OK);
	}
	struct tsig_key key;
	assert_int_equal(tsig_key_init(&key, SLICE_LIT("upd"), SLICE_LIT("hmac-sha512"), SLICE_LIT(SECRET), NULL), EC_OK);
	assert_int_equal(update_build(&u, &key, 1, &r, NULL), EC_OK);
	assert_int_equal(r.mac_len, 64);
	assert_int_equal(walk_check(slice_of(r.wire, r.len), NULL), EC_OK);
	tsig_key_fini(&key);
}

/* Everything a judgement needs, as dnspython's replies expect it. */
struct scene {
	struct tsig_key key;
	struct update_request request;
};

static struct scene scene_new(const char *algorithm)
{
	struct scene s = { .request = { .id = PACKET_ID, .has_mac = true } };
	assert_int_equal(tsig_key_init(&s.key, SLICE_LIT("upd"), slice_str(algorithm), SLICE_LIT(SECRET), NULL), EC_OK);
	s.request.mac_len = s.key.algorithm == TSIG_HMAC_SHA512 ? 64 : 32;
	for (uint8_t i = 0; i < s.request.mac_len; i++)
		s.request.mac[i] = i;
	return s;
}

#define REPLY(name) #name, name, sizeof name

static void replies_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const uint8_t *wire;
		size_t len;
		enum ec ec;
		int rcode;
		int tsig_error;
		bool proven;
		const char *words;
	} cases[] = {
		{ REPLY(reply_ok), EC_OK, 0, 0, true, "" },
		{ REPLY(reply_ok_unsigned), EC_OUTCOME_UNKNOWN, 0, 0, false, "without a signature" },
		{ REPLY(reply_ok_empty_mac), EC_TSIG, 0, 0, false, "forged" },
		{ REPLY(reply_ok_other_secret), EC_TSIG, 0, 0, false, "forged" },
		{ REPLY(reply_ok_other_key), EC_TSIG, 0, 0, false, "another key" },
		{ REPLY(reply_ok_other_request), EC_TSIG, 0, 0, false, "forged" },
		{ REPLY(reply_ok_other_id), EC_AGAIN, 0, 0, false, "not the reply" },
		{ REPLY(reply_no_reply), EC_AGAIN, 0, 0, false, "not the reply" },
		{ REPLY(reply_query), EC_SYNTAX, 0, 0, false, "opcode 0" },
		{ REPLY(reply_ok_late), EC_TSIG, 0, 0, false, "replay" },
		{ REPLY(reply_refused), EC_DNS_REFUSED, 5, 0, true, "REFUSED: it refused" },
		{ REPLY(reply_refused_unsigned), EC_DNS_REFUSED, 5, 0, false, "may be forged" },
		{ REPLY(reply_servfail), EC_DNS_FAILED, 2, 0, true, "SERVFAIL" },
		{ REPLY(reply_notimp_unsigned), EC_DNS_REFUSED, 4, 0, false, "not the primary" },
		{ REPLY(reply_notzone), EC_DNS_REFUSED, 10, 0, true, "not in this zone" },
		{ REPLY(reply_notauth_unsigned), EC_DNS_REFUSED, 9, 0, false, "NOTAUTH" },
		{ REPLY(reply_badkey), EC_TSIG, 9, 17, false, "may not change this name" },
		{ REPLY(reply_badsig), EC_TSIG, 9, 16, false, "secret of key upd differs" },
		{ REPLY(reply_badtime), EC_TSIG, 9, 18, true, "900 s ahead of ours" },
		{ REPLY(reply_two_tsig), EC_SYNTAX, 0, 0, false, "doubled" },
		{ REPLY(reply_ok_sha512), EC_TSIG, 0, 0, false, "another key or algorithm" },
		{ REPLY(packet_tlsa), EC_SYNTAX, 0, 0, false, "opcode 0" },
	};
	struct scene s = scene_new("hmac-sha256");
	for (size_t i = 0; i < NUM(cases); i++) {
		struct update_outcome out;
		struct why why = { 0 };
		enum ec ec = update_check(slice_of(cases[i].wire, cases[i].len), &s.request, &s.key, PACKET_NOW, "ns0", &out,
					  &why);
		if (ec != cases[i].ec || out.rcode != cases[i].rcode || out.tsig_error != cases[i].tsig_error ||
		    out.proven != cases[i].proven || strstr(why.text, cases[i].words) == NULL)
			fail_msg("%s: %s, rcode %d, TSIG error %d, %s: %s", cases[i].name, ec_name(ec), out.rcode, out.tsig_error,
				 out.proven ? "proven" : "not proven", why.text);
	}
	tsig_key_fini(&s.key);

	struct update_outcome out;
	s = scene_new("hmac-sha512");
	assert_int_equal(update_check(slice_of(reply_ok_sha512, sizeof reply_ok_sha512), &s.request, &s.key, PACKET_NOW, "ns0",
				      &out, NULL),
			 EC_OK);
	tsig_key_fini(&s.key);
	/* Unsigned requests: nothing to prove. */
	struct update_request plain = { .id = PACKET_ID };
	assert_int_equal(update_check(slice_of(reply_ok_unsigned, sizeof reply_ok_unsigned), &plain, NULL, PACKET_NOW, "ns0",
				      &out, NULL),
			 EC_OK);
	assert_false(out.proven);
	assert_int_equal(update_check(slice_of(reply_refused, sizeof reply_refused), &plain, NULL, PACKET_NOW, "ns0", &out,
				      NULL),
			 EC_DNS_REFUSED);
}

/* Of a rehearsal it is success that a condition about the name fails: nothing but that kept
 * the server from doing it. */
static void rehearsals_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const uint8_t *wire;
		size_t len;
		enum ec ec, for_real;
	} cases[] = {
		{ REPLY(reply_yxdomain), EC_OK, EC_DNS_REFUSED },
		{ REPLY(reply_nxdomain), EC_OK, EC_DNS_REFUSED },
		{ REPLY(reply_ok), EC_OK, EC_OK },
		{ REPLY(reply_yxdomain_unsigned), EC_OUTCOME_UNKNOWN, EC_DNS_REFUSED },
		{ REPLY(reply_yxrrset), EC_DNS_REFUSED, EC_DNS_REFUSED },
		{ REPLY(reply_refused), EC_DNS_REFUSED, EC_DNS_REFUSED },
		{ REPLY(reply_badsig), EC_TSIG, EC_TSIG },
		{ REPLY(reply_badtime), EC_TSIG, EC_TSIG },
	};
	struct scene s = scene_new("hmac-sha256");
	for (size_t i = 0; i < NUM(cases); i++) {
		for (int rehearsal = 0; rehearsal < 2; rehearsal++) {
			struct update_outcome out;
			s.request.rehearsal = rehearsal == 1;
			enum ec want = rehearsal ? cases[i].ec : cases[i].for_real;
			enum ec ec = update_check(slice_of(cases[i].wire, cases[i].len), &s.request, &s.key, PACKET_NOW, "ns0",
						  &out, NULL);
			if (ec != want)
				fail_msg("%s, rehearsal %d: %s", cases[i].name, rehearsal, ec_name(ec));
		}
	}
	tsig_key_fini(&s.key);

	static struct update_request r;
	struct update u = example();
	u.adds.num = 0;
	u.rehearsal = true;
	assert_int_equal(update_build(&u, NULL, 1, &r, NULL), EC_OK);
	assert_true(r.rehearsal);
	/* Two conditions, one change: check_update.py reads which. RFC 2136 2. */
	static const uint8_t counts[8] = { 0, 1, 0, 2, 0, 1, 0, 0 };
	assert_memory_equal(r.wire + 4, counts, sizeof counts);
}

static void the_clock_may_be_off_by_300_seconds(void **state)
{
	(void)state;
	struct scene s = scene_new("hmac-sha256");
	struct update_outcome out;
	static const struct {
		int off;
		enum ec ec;
	} cases[] = { { 0, EC_OK }, { 300, EC_OK }, { -300, EC_OK }, { 301, EC_TSIG }, { -301, EC_TSIG } };
	for (size_t i = 0; i < NUM(cases); i++)
		assert_int_equal(update_check(slice_of(reply_ok, sizeof reply_ok), &s.request, &s.key, PACKET_NOW + cases[i].off,
					      "ns0", &out, NULL),
				 cases[i].ec);
	struct why why = { 0 };
	assert_int_equal(update_check(slice_of(reply_badtime, sizeof reply_badtime), &s.request, &s.key, PACKET_NOW + 2000,
				      "ns0", &out, &why),
			 EC_TSIG);
	assert_int_equal(out.clock_ahead_s, -1100);
	assert_non_null(strstr(why.text, "1100 s behind ours"));
	tsig_key_fini(&s.key);
}

/* One changed bit anywhere: never taken for a proven success, unless it changes nothing that is signed. */
static void no_changed_bit_passes(void **state)
{
	(void)state;
	struct scene s = scene_new("hmac-sha256");
	for (size_t at = 0; at < sizeof reply_ok; at++) {
		for (int bit = 0; bit < 8; bit++) {
			uint8_t wire[sizeof reply_ok];
			struct update_outcome out;
			memcpy(wire, reply_ok, sizeof wire);
			wire[at] ^= (uint8_t)(1 << bit);
			enum ec ec = update_check(slice_of(wire, sizeof wire), &s.request, &s.key, PACKET_NOW, "ns0", &out, NULL);
			if (ec == EC_OK || out.proven) {
				struct dns_name name, same;
				/* Letter case of names is not signed (RFC 8945 4.3.3: canonical form). */
				if (bit != 5)
					fail_msg("bit %d of octet %zu", bit, at);
				assert_int_equal(dns_name_from_wire(slice_of((uint8_t[]){ 1, wire[at], 0 }, 3), &name), EC_OK);
				assert_int_equal(dns_name_from_wire(slice_of((uint8_t[]){ 1, reply_ok[at], 0 }, 3), &same), EC_OK);
				assert_true(dns_name_eq(&name, &same));
			}
		}
	}
	tsig_key_fini(&s.key);
}

static void check_copy(const struct scene *s, const uint8_t *wire, size_t len)
{
	struct update_outcome out;
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, wire, len);
	enum ec ec = update_check(slice_of(copy, len), &s->request, &s->key, PACKET_NOW, "ns0", &out, NULL);
	assert_true(ec != EC_OK || out.proven);
	free(copy);
}

static void cut_and_broken_replies_do_no_harm(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const uint8_t *wire;
		size_t len;
	} replies[] = { { REPLY(reply_ok) },     { REPLY(reply_badtime) },   { REPLY(reply_badkey) },
			{ REPLY(reply_refused) }, { REPLY(reply_two_tsig) }, { REPLY(reply_ok_empty_mac) } };
	struct scene s = scene_new("hmac-sha256");
	srand(4);
	for (size_t r = 0; r < NUM(replies); r++) {
		struct update_outcome out;
		for (size_t cut = 0; cut < replies[r].len; cut++) {
			check_copy(&s, replies[r].wire, cut);
			assert_int_equal(update_check(slice_of(replies[r].wire, cut), &s.request, &s.key, PACKET_NOW, "ns0", &out,
						      NULL),
					 EC_SYNTAX);
		}
		for (int round = 0; round < 1000; round++) {
			uint8_t wire[512];
			memcpy(wire, replies[r].wire, replies[r].len);
			for (int flips = rand() % 3; flips >= 0; flips--)
				wire[2 + (size_t)rand() % (replies[r].len - 2)] = (uint8_t)rand();
			check_copy(&s, wire, replies[r].len);
		}
	}
	tsig_key_fini(&s.key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_read),
		cmocka_unit_test(wrong_updates_are_not_made),
		cmocka_unit_test(replies_are_judged),
		cmocka_unit_test(rehearsals_are_judged),
		cmocka_unit_test(the_clock_may_be_off_by_300_seconds),
		cmocka_unit_test(no_changed_bit_passes),
		cmocka_unit_test(cut_and_broken_replies_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

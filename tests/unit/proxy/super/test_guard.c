/* The choice at start, as a table. Generation N has one key, whose SPKI's SHA2-256
 * is the octet N repeated; a record "N" is 3 1 1 of that digest. What one key's
 * verdict is, is test_pin.c's matter. */
#include "proxy/super/guard.h"

#include "tests/unit/unit.h"

enum { UNUSABLE = 200 }; /* stands for a record that no sender can use: usage PKIX-EE(1) */

static struct generation generation_of(uint8_t number)
{
	struct generation g = { .number = number, .num_keys = 1 };
	g.keys[0] = (struct key_info){ .algorithm = KEY_ECDSA_P256, .certified = true, .num_chain = 1 };
	memset(g.keys[0].chain[0].spki_sha256, number, 32);
	return g;
}

static struct guard_facts facts_of(enum pin_dns dns, const uint8_t *records)
{
	struct guard_facts f = { .dns = dns };
	for (size_t i = 0; i < 4 && records[i] != 0; i++) {
		uint8_t digest[32];
		memset(digest, records[i], sizeof digest);
		struct tlsa t = tlsa_311(digest);
		if (records[i] == UNUSABLE)
			t.usage = TLSA_PKIX_EE;
		assert_int_equal(tlsa_set_add(&f.records, &t), EC_OK);
	}
	if (dns == PIN_DNS_BOGUS || dns == PIN_DNS_FAILED)
		(void)why_set(&f.why, EC_DNS_FAILED, "the cable is cut");
	return f;
}

static const struct {
	const char *name;
	enum pin_dns dns;
	uint8_t records[4];
	uint8_t on_disk[4];
	uint8_t active;
	enum ec ec;
	uint8_t choice;
	enum guard_state state;
	bool pinned;
	bool warning;
	const char *words; /* a part of the why */
} cases[] = {
	{ "first start, nobody pins", PIN_DNS_ABSENT, { 0 }, { 1 }, 0, EC_OK, 1, GUARD_ALLOWED, false, false, "" },
	{ "first start, unsigned zone", PIN_DNS_INSECURE, { 0 }, { 1 }, 0, EC_OK, 1, GUARD_ALLOWED, false, true, "" },
	{ "first start, pinned already", PIN_DNS_SECURE, { 1 }, { 1 }, 0, EC_OK, 1, GUARD_ALLOWED, true, false, "" },
	{ "first start, DNS pins another", PIN_DNS_SECURE, { 9 }, { 1 }, 0, EC_PIN_MISMATCH, 0, GUARD_REFUSED, false, false,
	  "3 1 1 0909090909090909" },
	{ "the refusal names ours too", PIN_DNS_SECURE, { 9 }, { 1, 2 }, 1, EC_PIN_MISMATCH, 0, GUARD_REFUSED, false, false,
	  "generation 2: 3 1 1 0202" },
	{ "first start, no answer", PIN_DNS_FAILED, { 0 }, { 1 }, 0, EC_PIN_UNPROVEN, 0, GUARD_WAITING, false, true, "cable" },
	{ "first start, bogus", PIN_DNS_BOGUS, { 0 }, { 1 }, 0, EC_PIN_UNPROVEN, 0, GUARD_WAITING, false, true, "cable" },
	{ "active pinned with the next", PIN_DNS_SECURE, { 1, 2 }, { 1, 2 }, 1, EC_OK, 1, GUARD_ALLOWED, true, false, "" },
	{ "only the next is pinned", PIN_DNS_SECURE, { 2 }, { 1, 2 }, 1, EC_OK, 2, GUARD_ALLOWED, true, false, "" },
	{ "only a retired one is pinned", PIN_DNS_SECURE, { 1 }, { 1, 2, 3 }, 2, EC_OK, 1, GUARD_ALLOWED, true, false, "" },
	{ "the newest of several pinned", PIN_DNS_SECURE, { 1, 3 }, { 1, 2, 3 }, 2, EC_OK, 3, GUARD_ALLOWED, true, false, "" },
	{ "no answer: the last good one", PIN_DNS_FAILED, { 0 }, { 1, 2 }, 1, EC_OK, 1, GUARD_ALLOWED, false, true, "cable" },
	{ "bogus: the last good one", PIN_DNS_BOGUS, { 0 }, { 1, 2 }, 1, EC_OK, 1, GUARD_ALLOWED, false, true, "cable" },
	{ "absent: the active one stays", PIN_DNS_ABSENT, { 0 }, { 1, 2 }, 1, EC_OK, 1, GUARD_ALLOWED, false, false, "" },
	{ "active damaged, another is pinned", PIN_DNS_SECURE, { 1, 2 }, { 1, 3 }, 2, EC_OK, 1, GUARD_ALLOWED, true, false, "" },
	{ "active damaged, nobody pins", PIN_DNS_ABSENT, { 0 }, { 1, 3 }, 2, EC_OK, 3, GUARD_ALLOWED, false, false, "" },
	{ "active damaged, no answer", PIN_DNS_FAILED, { 0 }, { 1, 3 }, 2, EC_PIN_UNPROVEN, 0, GUARD_WAITING, false, true, "cable" },
	{ "only unusable records: the active one", PIN_DNS_SECURE, { UNUSABLE }, { 1, 2 }, 1, EC_OK, 1, GUARD_ALLOWED, false, true, "" },
	{ "only unusable records, first start", PIN_DNS_SECURE, { UNUSABLE }, { 1, 2 }, 0, EC_OK, 2, GUARD_ALLOWED, false, true, "" },
	{ "unusable beside a pin", PIN_DNS_SECURE, { UNUSABLE, 1 }, { 1, 2 }, 2, EC_OK, 1, GUARD_ALLOWED, true, false, "" },
	{ "nothing on disk", PIN_DNS_ABSENT, { 0 }, { 0 }, 0, EC_MISSING, 0, GUARD_WAITING, false, false, "no key" },
};

static void choices(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		print_message("  %s\n", cases[i].name);
		struct guard_facts facts = facts_of(cases[i].dns, cases[i].records);
		struct generation on_disk[4];
		size_t num = 0;
		while (num < 4 && cases[i].on_disk[num] != 0) {
			on_disk[num] = generation_of(cases[i].on_disk[num]);
			num++;
		}
		struct guard_verdict v;
		assert_int_equal(guard_choose(&facts, on_disk, num, cases[i].active, &v), cases[i].ec);
		assert_int_equal(v.number, cases[i].choice);
		assert_int_equal(v.state, cases[i].state);
		if (cases[i].ec == EC_OK) {
			assert_int_equal(v.pinned, cases[i].pinned);
			assert_int_equal(v.warning, cases[i].warning);
		}
		assert_non_null(strstr(v.why.text, cases[i].words));
		assert_true(v.why.text[0] != '\0');
	}
}

/* For every small world: whatever is chosen under a secure, usable set is pinned
 * by it, and if any generation on disk is pinned, one is chosen. */
static void never_unpinned(void **state)
{
	(void)state;
	for (unsigned disk = 1; disk < 16; disk++)
		for (unsigned dns = 1; dns < 16; dns++)
			for (uint8_t active = 0; active <= 4; active++) {
				uint8_t records[4] = { 0 };
				struct generation on_disk[4];
				size_t num = 0, num_records = 0;
				for (uint8_t n = 1; n <= 4; n++) {
					if (disk & 1u << (n - 1))
						on_disk[num++] = generation_of(n);
					if (dns & 1u << (n - 1))
						records[num_records++] = n;
				}
				struct guard_facts facts = facts_of(PIN_DNS_SECURE, records);
				struct guard_verdict v;
				enum ec ec = guard_choose(&facts, on_disk, num, active, &v);
				assert_int_equal(ec == EC_OK, (disk & dns) != 0);
				if (ec != EC_OK)
					continue;
				assert_true(disk & dns & 1u << (v.number - 1));
				if (active != 0 && (disk & dns & 1u << (active - 1)))
					assert_int_equal(v.number, active);
			}
}

static void judging_one(void **state)
{
	(void)state;
	struct generation g = generation_of(7);
	struct guard_verdict v;
	struct guard_facts facts = facts_of(PIN_DNS_FAILED, (const uint8_t[4]){ 0 });
	assert_int_equal(guard_judge(&facts, &g, false, &v), EC_PIN_UNPROVEN);
	assert_int_equal(v.state, GUARD_WAITING);
	assert_int_equal(guard_judge(&facts, &g, true, &v), EC_OK);
	assert_int_equal(v.state, GUARD_ALLOWED);
	facts = facts_of(PIN_DNS_SECURE, (const uint8_t[4]){ 8 });
	assert_int_equal(guard_judge(&facts, &g, true, &v), EC_PIN_MISMATCH);
	assert_int_equal(v.state, GUARD_REFUSED);
	assert_int_equal(v.number, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choices),
		cmocka_unit_test(never_unpinned),
		cmocka_unit_test(judging_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

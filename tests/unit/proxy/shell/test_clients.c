#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/address.h"
#include "proxy/worker/clients.h"

/* Good enough for addresses that nobody chose to meet. */
static uint64_t hash(const uint64_t seed[2], const uint8_t *p, size_t len)
{
	uint64_t h = seed[0];
	for (size_t i = 0; i < len; i++) {
		h = (h ^ p[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

static struct census *census_new(unsigned num)
{
	const uint64_t seed[2] = { 7, 8 };
	struct census *c = calloc(1, census_size(num));
	assert_non_null(c);
	census_begin(c, num, seed);
	return c;
}

/* Clients of one worker alone. */
static struct clients *fresh(struct census **census)
{
	*census = census_new(1);
	return clients_new(*census, 0, hash);
}

static struct sockaddr_storage addr(const char *text)
{
	struct sockaddr_storage a;
	assert_int_equal(address_parse(slice_str(text), 25, &a, NULL), EC_OK);
	return a;
}

static enum clients_verdict enter(struct clients *c, struct clients_limits limits, const char *text)
{
	struct sockaddr_storage a = addr(text);
	return clients_enter(c, &limits, &a);
}

static void leave(struct clients *c, const char *text)
{
	struct sockaddr_storage a = addr(text);
	clients_leave(c, &a);
}

static void test_limits(void **state)
{
	static const struct {
		const char *name;
		struct clients_limits limits;
		const char *before[4];
		const char *who;
		enum clients_verdict verdict;
	} cases[] = {
		{ "first", { 9, 9, 9 }, { NULL }, "192.0.2.1", CLIENTS_WELCOME },
		{ "second of the same", { 9, 1, 9 }, { "192.0.2.1" }, "192.0.2.1", CLIENTS_OVER_ADDRESS },
		{ "a neighbour is not the same", { 9, 1, 9 }, { "192.0.2.1" }, "192.0.2.2", CLIENTS_WELCOME },
		{ "other port, same client", { 9, 1, 9 }, { "192.0.2.1:5" }, "192.0.2.1:6", CLIENTS_OVER_ADDRESS },
		{ "third in the /24", { 9, 9, 2 }, { "192.0.2.1", "192.0.2.254" }, "192.0.2.9", CLIENTS_OVER_PREFIX },
		{ "next /24", { 9, 9, 2 }, { "192.0.2.1", "192.0.2.2" }, "192.0.3.1", CLIENTS_WELCOME },
		{ "the /64 is one client", { 9, 2, 9 }, { "2001:db8::1", "2001:db8::ffff:1" }, "2001:db8::2", CLIENTS_OVER_ADDRESS },
		{ "the next /64 is another", { 9, 2, 9 }, { "2001:db8::1", "2001:db8::2" }, "2001:db8:0:1::1", CLIENTS_WELCOME },
		{ "third in the /56", { 9, 9, 2 }, { "2001:db8::1", "2001:db8:0:ff::1" }, "2001:db8:0:80::2", CLIENTS_OVER_PREFIX },
		{ "next /56", { 9, 9, 2 }, { "2001:db8::1", "2001:db8:0:ff::1" }, "2001:db8:0:100::1", CLIENTS_WELCOME },
		{ "mapped is IPv4", { 9, 1, 9 }, { "192.0.2.1" }, "::ffff:192.0.2.1", CLIENTS_OVER_ADDRESS },
		{ "mapped ones have a /24, not one /64", { 9, 9, 1 }, { "::ffff:192.0.2.1" }, "::ffff:198.51.100.1",
		  CLIENTS_WELCOME },
		{ "full house", { 2, 9, 9 }, { "192.0.2.1", "198.51.100.1" }, "203.0.113.1", CLIENTS_OVER_SESSIONS },
		{ "nobody at all", { 9, 0, 9 }, { NULL }, "192.0.2.1", CLIENTS_OVER_ADDRESS },
	};
	(void)state;
	for (size_t i = 0; i < NUM(cases); i++) {
		struct census *all;
		struct clients *c = fresh(&all);
		size_t n = 0;
		for (; n < NUM(cases[i].before) && cases[i].before[n] != NULL; n++)
			assert_int_equal(enter(c, cases[i].limits, cases[i].before[n]), CLIENTS_WELCOME);
		if (enter(c, cases[i].limits, cases[i].who) != cases[i].verdict)
			fail_msg("%s", cases[i].name);
		/* A refusal counts nothing. */
		assert_int_equal(clients_num_sessions(c), n + (cases[i].verdict == CLIENTS_WELCOME ? 1 : 0));
		clients_free(c);
		free(all);
	}
}

static void test_leaving_makes_room(void **state)
{
	struct clients_limits one = { 5, 1, 1 };
	struct census *all;
	struct clients *c = fresh(&all);
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(enter(c, one, "192.0.2.1"), CLIENTS_WELCOME);
		assert_int_equal(enter(c, one, "192.0.2.1"), CLIENTS_OVER_ADDRESS);
		assert_int_equal(enter(c, one, "192.0.2.2"), CLIENTS_OVER_PREFIX);
		leave(c, "192.0.2.1");
	}
	assert_int_equal(clients_num_sessions(c), 0);
	assert_int_equal(clients_num_addresses(c), 0);
	clients_free(c);
	free(all);
}

/* Behind a load balancer a client gets its name later. */
static void test_named_later(void **state)
{
	struct clients_limits limits = { 3, 1, 9 };
	struct census *all;
	struct clients *c = fresh(&all);
	struct sockaddr_storage a = addr("192.0.2.1"), b = addr("192.0.2.2");
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(clients_enter_unnamed(c, &limits), CLIENTS_WELCOME);
	assert_int_equal(clients_enter_unnamed(c, &limits), CLIENTS_OVER_SESSIONS);
	assert_int_equal(enter(c, limits, "192.0.2.3"), CLIENTS_OVER_SESSIONS);
	assert_int_equal(clients_num_addresses(c), 0);
	assert_int_equal(clients_name(c, &limits, &a), CLIENTS_WELCOME);
	assert_int_equal(clients_name(c, &limits, &a), CLIENTS_OVER_ADDRESS);
	assert_int_equal(clients_name(c, &limits, &b), CLIENTS_WELCOME);
	assert_int_equal(clients_num_addresses(c), 2);
	assert_int_equal(clients_num_sessions(c), 3);
	clients_leave(c, NULL);
	clients_leave(c, &a);
	clients_leave(c, &b);
	assert_int_equal(clients_num_sessions(c), 0);
	assert_int_equal(clients_num_addresses(c), 0);
	clients_free(c);
	free(all);
}

/* Against a model that just keeps a list. */
static void test_random_against_a_list(void **state)
{
	enum { MAX = 200, STEPS = 20000 };
	struct clients_limits limits = { MAX, 7, 40 };
	struct census *all;
	struct clients *c = fresh(&all);
	uint8_t in[MAX][2]; /* third and fourth octet */
	size_t n = 0;
	unsigned seed = 12345;
	(void)state;
	for (int step = 0; step < STEPS; step++) {
		uint8_t net = (uint8_t)(rand_r(&seed) % 6), host = (uint8_t)(rand_r(&seed) % 10);
		const uint8_t octets[4] = { 198, 51, net, host };
		struct sockaddr_storage a = address_from_ip4(octets, 25);
		if (rand_r(&seed) % 100 < 45 && n > 0) {
			size_t i = (size_t)rand_r(&seed) % n;
			const uint8_t gone[4] = { 198, 51, in[i][0], in[i][1] };
			a = address_from_ip4(gone, 1);
			clients_leave(c, &a);
			memmove(in[i], in[n - 1], 2);
			n--;
			continue;
		}
		size_t same = 0, near = 0;
		for (size_t i = 0; i < n; i++) {
			near += in[i][0] == net;
			same += in[i][0] == net && in[i][1] == host;
		}
		enum clients_verdict want = n >= limits.sessions        ? CLIENTS_OVER_SESSIONS
		                            : same >= limits.per_address ? CLIENTS_OVER_ADDRESS
		                            : near >= limits.per_prefix  ? CLIENTS_OVER_PREFIX
		                                                         : CLIENTS_WELCOME;
		assert_int_equal(clients_enter(c, &limits, &a), want);
		if (want == CLIENTS_WELCOME) {
			in[n][0] = net;
			in[n++][1] = host;
		}
		assert_int_equal(clients_num_sessions(c), n);
	}
	clients_free(c);
	free(all);
}

/* The limits are for all workers together, and a worker that dies takes its clients with it. */
static void test_over_all_workers(void **state)
{
	struct clients_limits limits = { 9, 3, 5 };
	struct census *all = census_new(3);
	struct clients *c[3];
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c[i] = clients_new(all, i, hash);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(enter(c[i], limits, "192.0.2.1"), CLIENTS_WELCOME);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(enter(c[i], limits, "192.0.2.1"), CLIENTS_OVER_ADDRESS);
	assert_int_equal(enter(c[0], limits, "192.0.2.2"), CLIENTS_WELCOME);
	assert_int_equal(enter(c[2], limits, "192.0.2.3"), CLIENTS_WELCOME);
	assert_int_equal(enter(c[1], limits, "192.0.2.4"), CLIENTS_OVER_PREFIX);
	assert_int_equal(enter(c[1], limits, "198.51.100.1"), CLIENTS_WELCOME);
	leave(c[1], "192.0.2.1");
	assert_int_equal(enter(c[0], limits, "192.0.2.1"), CLIENTS_WELCOME);
	assert_int_equal(enter(c[1], limits, "192.0.2.1"), CLIENTS_OVER_ADDRESS);
	/* Worker 0 had two of 192.0.2.1 and one of 192.0.2.2. */
	clients_free(c[0]);
	census_clear(all, 0);
	c[0] = clients_new(all, 0, hash);
	assert_int_equal(enter(c[1], limits, "192.0.2.1"), CLIENTS_WELCOME);
	assert_int_equal(enter(c[0], limits, "192.0.2.1"), CLIENTS_WELCOME);
	assert_int_equal(enter(c[2], limits, "192.0.2.1"), CLIENTS_OVER_ADDRESS);
	for (unsigned i = 0; i < 3; i++)
		clients_free(c[i]);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_leaving_makes_room),
		cmocka_unit_test(test_named_later),
		cmocka_unit_test(test_random_against_a_list),
		cmocka_unit_test(test_over_all_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

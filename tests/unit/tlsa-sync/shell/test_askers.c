/* What identities share when they ask DNS: one resolver for each server and zone, few of them warm, and turns. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/address.h"
#include "tests/unit/self.h"
#include "tlsa-sync/askers_uv.h"

static char anchor[64];
static struct config cfg;
static uv_loop_t loop;

static int setup(void **state)
{
	(void)state;
	static const char root[] = ". 172800 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	strcpy(anchor, "/tmp/danegate-anchor-XXXXXX");
	int fd = mkstemp(anchor);
	if (fd < 0 || write(fd, root, sizeof root - 1) != (ssize_t)sizeof root - 1 || close(fd) != 0)
		return -1;
	cfg = (struct config){ .dns = { .trust_anchor = anchor, .timeout_ms = 1000 } };
	return uv_loop_init(&loop);
}

static int teardown(void **state)
{
	(void)state;
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	return unlink(anchor) | uv_loop_close(&loop);
}

static struct askers *make(void)
{
	struct askers *all;
	assert_int_equal(askers_new(&loop, &cfg, &all, NULL), EC_OK);
	return all;
}

static struct asker *at(struct askers *all, const char *zone, const char *server)
{
	struct dns_name name;
	struct sockaddr_storage address;
	struct asker *x;
	assert_int_equal(dns_name_parse(slice_str(zone), &name, NULL), EC_OK);
	assert_int_equal(address_parse(slice_str(server), 53, &address, NULL), EC_OK);
	assert_int_equal(askers_at(all, &name, &address, &x, NULL), EC_OK);
	return x;
}

static void one_for_each_server_and_zone(void **state)
{
	(void)state;
	struct askers *all = make();
	struct asker *x = at(all, "example.org", "192.0.2.1");
	assert_ptr_equal(at(all, "example.org", "192.0.2.1"), x);
	struct asker *others[] = { at(all, "example.org", "192.0.2.2"), at(all, "example.net", "192.0.2.1") };
	assert_ptr_not_equal(others[0], x);
	assert_ptr_not_equal(others[1], x);
	asker_back(x);
	assert_ptr_equal(at(all, "example.org", "192.0.2.1"), x); /* somebody had it still */
	asker_back(x);
	asker_back(x);
	asker_back(others[0]);
	asker_back(others[1]);
	asker_back(NULL);
	askers_free(all);
}

/* What a resolver that is not asked costs must not grow with the number of zones. */
static void few_are_warm(void **state)
{
	(void)state;
	enum { NUM = 3 * ASKERS_WARM };
	unsigned before = self_count("/proc/self/fd"), at_limit = 0;
	struct askers *all = make();
	struct asker *made[NUM];
	for (unsigned i = 0; i < NUM; i++) {
		char zone[32];
		(void)snprintf(zone, sizeof zone, "z%u.example", i);
		made[i] = at(all, zone, "192.0.2.1");
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		if (i + 1 == ASKERS_WARM)
			at_limit = self_count("/proc/self/fd");
	}
	assert_true(at_limit > before);
	assert_true(self_count("/proc/self/fd") <= at_limit);
	for (unsigned i = 0; i < NUM; i++)
		asker_back(made[i]);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	askers_free(all);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(self_count("/proc/self/fd"), before);
}

/* --- turns --- */

enum { WAITING = ASKERS_TURNS + 4 };

struct line {
	struct askers *all;
	struct turn turns[WAITING];
	unsigned went[WAITING];
	unsigned num;
};

static struct line line;

static void on_turn(void *arg)
{
	const struct turn *t = arg;
	line.went[line.num++] = (unsigned)(t - line.turns);
	for (unsigned i = 0; i < WAITING; i++) /* nobody else has this one */
		assert_true(t->root != NULL && (&line.turns[i] == t || line.turns[i].root != t->root));
}

static void turns_go_in_line(void **state)
{
	(void)state;
	line = (struct line){ .all = make() };
	turn_end(&line.turns[0]); /* nothing to end */
	for (unsigned i = 0; i < WAITING; i++)
		turn_ask(line.all, &line.turns[i], on_turn, &line.turns[i]);
	assert_int_equal(line.num, 0); /* never from inside */
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(line.num, ASKERS_TURNS);
	turn_end(&line.turns[ASKERS_TURNS + 1]); /* two of those that wait go away: one amidst, the last */
	turn_end(&line.turns[ASKERS_TURNS + 3]);
	turn_end(&line.turns[7]);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(line.num, ASKERS_TURNS + 1);
	turn_ask(line.all, &line.turns[7], on_turn, &line.turns[7]); /* again, at the end */
	for (unsigned i = 0; i < 3; i++)
		turn_end(&line.turns[i]);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	static const unsigned last[] = { ASKERS_TURNS, ASKERS_TURNS + 2, 7 };
	assert_int_equal(line.num, ASKERS_TURNS + 3);
	for (unsigned i = 0; i < ASKERS_TURNS; i++)
		assert_int_equal(line.went[i], i);
	assert_memory_equal(&line.went[ASKERS_TURNS], last, sizeof last);
	for (unsigned i = 0; i < WAITING; i++)
		turn_end(&line.turns[i]);
	askers_free(line.all);
}

/* The trust anchor is gone, or damaged, since the start: then there are as many turns as there are resolvers. */
static void one_resolver_is_enough(void **state)
{
	(void)state;
	line = (struct line){ .all = make() };
	static char nowhere[] = "/nonexistent";
	cfg.dns.trust_anchor = nowhere;
	for (unsigned i = 0; i < 3; i++)
		turn_ask(line.all, &line.turns[i], on_turn, &line.turns[i]);
	for (unsigned i = 0; i < 3; i++) {
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(line.num, i + 1);
		turn_end(&line.turns[i]);
	}
	askers_free(line.all);
	struct why why;
	struct askers *none;
	assert_int_equal(askers_new(&loop, &cfg, &none, &why), EC_IO);
	assert_non_null(strstr(why.text, "/nonexistent"));
}

/* A turn that ends as soon as it has begun, as when nothing could be asked. */
static void on_short_turn(void *arg)
{
	on_turn(arg);
	turn_end(arg);
}

static void short_turns_let_all_through(void **state)
{
	(void)state;
	line = (struct line){ .all = make() };
	for (unsigned i = 0; i < WAITING; i++)
		turn_ask(line.all, &line.turns[i], on_short_turn, &line.turns[i]);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(line.num, WAITING);
	askers_free(line.all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_for_each_server_and_zone, setup, teardown),
		cmocka_unit_test_setup_teardown(few_are_warm, setup, teardown),
		cmocka_unit_test_setup_teardown(turns_go_in_line, setup, teardown),
		cmocka_unit_test_setup_teardown(one_resolver_is_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(short_turns_let_all_through, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

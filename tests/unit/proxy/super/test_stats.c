#include "proxy/super/stats.h"

#include "tests/unit/proxy/super/shown.h"

/* --- a small world to show ------------------------------------------------- */

static struct counters pages[3];
static struct guard_verdict verdict;
static struct generation generations[2];
static struct stats_worker workers[3];
static struct stats_identity identity;
static struct stats_info info;

static void world(void)
{
	memset(pages, 0, sizeof pages);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(counters_begin(&pages[i]), EC_OK);
		workers[i] = (struct stats_worker){ .number = (unsigned)i, .pid = 100 + (int64_t)i, .since = { 900 }, .begun = true,
			                                .acknowledged = true, .page = &pages[i], .why = "" };
		counters_set(&pages[i], COUNT_ACCEPTED, 10);
		counters_set(&pages[i], COUNT_SESSIONS_OPEN, 2);
		counters_set(&pages[i], COUNT_EPOCH, 5 + i);
		counters_set(&pages[i], COUNT_LISTENING, 1);
	}
	verdict = (struct guard_verdict){ .state = GUARD_ALLOWED, .pinned = true, .number = 7, .at = { 990 } };
	(void)why_set(&verdict.why, EC_OK, "DNS pins it");
	for (uint8_t i = 0; i < 2; i++) {
		generations[i] = (struct generation){ .number = 7u + i, .role = i == 0 ? GENERATION_ACTIVE : GENERATION_STANDBY, .num_keys = 1 };
		generations[i].keys[0] = (struct key_info){ .algorithm = KEY_ECDSA_P256, .certified = true, .num_chain = 1, .not_after = { 87400 } };
		memset(generations[i].keys[0].chain[0].spki_sha256, 0xa0 + i, 32);
	}
	identity = (struct stats_identity){ .name = "mx1.example.org", .is_default = true, .active = 7, .presented = 7,
		                                .verdict = &verdict, .next_look = { 1050 }, .generations = generations,
		                                .num_generations = 2 };
	static const char *const listen[] = { "0.0.0.0:25" };
	info = (struct stats_info){ .version = "1.2.3", .instance = "edge", .pid = 99, .now = { 1000 }, .since = { 880 },
		                        .config_file = "/etc/x", .state = "serving", .state_why = "", .change = "", .listen = listen,
		                        .num_listen = 1, .backend = "127.0.0.1:2525", .backend_state = "up", .workers = workers,
		                        .num_workers = 3, .epoch = 7, .num_identities = 1, .num_allowed = 1 };
}

/* The exposition as stats_uv puts it together. */
static enum ec metrics(struct bytes *b)
{
	enum ec ec = stats_metrics_head(&info, b);
	for (unsigned f = 0; ec == EC_OK && f < STATS_FAMILIES; f++) {
		ec = stats_metrics_family(f, b);
		if (ec == EC_OK)
			ec = stats_metrics_identity(f, &identity, b);
	}
	return ec == EC_OK ? stats_metrics_end(b) : ec;
}

/* --- the line ------------------------------------------------------------------ */

static const struct {
	const char *line;
	bool ok;
	enum stats_command command;
	bool json;
} lines[] = {
	{ "help", true, STATS_HELP, false },
	{ "show info", true, STATS_INFO, false },
	{ "  SHOW \t identities ", true, STATS_IDENTITIES, false },
	{ "json show sessions", true, STATS_SESSIONS, true },
	{ "JSON help", true, STATS_HELP, true },
	{ "show errors", true, STATS_ERRORS, false },
	{ "show connectors", true, STATS_CONNECTORS, false },
	{ "json show report", true, STATS_REPORT, true },
	{ "show metrics", true, STATS_METRICS, false },
	{ "", false, 0, false },
	{ "json", false, 0, true },
	{ "show", false, 0, false },
	{ "show info now", false, 0, false },
	{ "showinfo", false, 0, false },
	{ "json json help", false, 0, true },
	{ "helpful", false, 0, false },
	{ "show infos", false, 0, false },
	{ "report", false, 0, false },
	{ "show connectors store", false, 0, false },
};

static void command_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM(lines); i++) {
		print_message("  \"%s\"\n", lines[i].line);
		enum stats_command command = STATS_NUM;
		bool json = !lines[i].json;
		struct why why = { 0 };
		enum ec ec = stats_parse(slice_str(lines[i].line), &command, &json, &why);
		assert_int_equal(ec, lines[i].ok ? EC_OK : EC_UNKNOWN_KEY);
		assert_int_equal(json, lines[i].json);
		if (lines[i].ok)
			assert_int_equal(command, lines[i].command);
		else
			assert_non_null(strstr(why.text, "show identities, show sessions, show errors, show connectors, show report, show metrics;"));
	}
}

static void ages(void **state)
{
	(void)state;
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = { { -5, "0s" }, { 0, "0s" }, { 59, "59s" }, { 60, "1m00s" }, { 3599, "59m59s" }, { 3600, "1h00m" },
		         { 86399, "23h59m" }, { 86400, "1d00h" }, { 90 * 86400 + 7200, "90d02h" } };
	for (size_t i = 0; i < NUM(rows); i++) {
		char out[STATS_AGE_SIZE];
		stats_age(out, rows[i].s);
		assert_string_equal(out, rows[i].text);
	}
}

/* --- people's text -------------------------------------------------------------- */

static void identities_show_what_to_publish(void **state)
{
	(void)state;
	world();
	struct bytes b = { 0 };
	const char *text = text_of(stats_identity_text(&identity, info.now, &b), &b);
	assert_non_null(strstr(text, "3 1 1 a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0\n"));
	assert_non_null(strstr(text, "allowed: DNS pins it"));
	assert_non_null(strstr(text, "10s ago, again in 50s"));
	assert_non_null(strstr(text, "1970-01-02T00:16:40Z (1d00h left)"));
	bytes_fini(&b);
	verdict.state = GUARD_REFUSED;
	generations[0].keys[0].not_after.s = 999;
	text = text_of(stats_identity_text(&identity, info.now, &b), &b);
	assert_non_null(strstr(text, "refused"));
	assert_non_null(strstr(text, "(EXPIRED)"));
	bytes_fini(&b);
}

static void info_tells_of_workers_that_are_down(void **state)
{
	(void)state;
	world();
	workers[1].pid = 0;
	workers[1].why = "process 5 was ended by signal 11";
	workers[2].begun = workers[2].acknowledged = false;
	struct bytes b = { 0 };
	const char *text = text_of(stats_info_text(&info, &b), &b);
	assert_non_null(strstr(text, "serving"));
	assert_non_null(strstr(text, "2 sessions (0 under TLS), listening"));
	assert_non_null(strstr(text, "0 sessions (0 under TLS), not listening, has not taken the newest keys yet"));
	assert_non_null(strstr(text, "down for 1m40s: process 5 was ended by signal 11"));
	assert_non_null(strstr(text, "started          1970-01-01T00:14:40Z (2m00s ago)"));
	assert_null(strstr(text, "router")); /* which nobody needs */
	bytes_fini(&b);
	info.router = (struct stats_router){ .wanted = true, .pid = 12, .restarts = 3, .since = { 880 }, .open = 4 };
	assert_non_null(strstr(text_of(stats_info_text(&info, &b), &b), "router           pid 12, up 2m00s, 4 questions, restarted 3 times\n"));
	json_t *json = stats_info_json(&info);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "router"), "questions")), 4);
	json_decref(json);
	bytes_fini(&b);
	info.router.pid = 0;
	assert_non_null(strstr(text_of(stats_info_text(&info, &b), &b), "router           down for 2m00s\n"));
	bytes_fini(&b);
}

/* What a client said must not reach a terminal as a command. */
static void sessions_are_harmless(void **state)
{
	(void)state;
	json_t *list = json_pack("[{s:s,s:s,s:i,s:b,s:s%},[],s]", "id", "x1", "helo", "a\x1b[2Jb\x7f\n", "age_s", 7, "backend", 1, "sni",
	                         "\xc3\xa9", (size_t)2, "no object");
	assert_non_null(list);
	struct bytes b = { 0 };
	const char *text = text_of(stats_sessions_text(list, 4, 1, &b), &b);
	assert_non_null(strstr(text, "a?[2Jb??"));
	assert_non_null(strstr(text, "and 4 more\n1 workers did not answer in time\n"));
	assert_harmless(text);
	bytes_fini(&b);
	json_decref(list);
}

static void errors_show_repetition(void **state)
{
	(void)state;
	struct mishaps m = { 0 };
	struct bytes b = { 0 };
	assert_string_equal(text_of(stats_errors_text(&m, &b), &b), "no errors\n");
	bytes_fini(&b);
	for (int i = 0; i < 3; i++)
		(void)mishaps_add(&m, (struct wall){ 60 * i }, "guard", "mx1", "bogus");
	assert_string_equal(text_of(stats_errors_text(&m, &b), &b),
	                    "1970-01-01T00:02:00Z  guard mx1: bogus (3 times since -)\n");
	bytes_fini(&b);
	json_t *j = stats_errors_json(&m);
	assert_int_equal(json_array_size(j), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(j, 0), "times")), 3);
	json_decref(j);
}

/* --- the control protocol's report ------------------------------------------------- */

static void generation_json(void **state)
{
	(void)state;
	world();
	json_t *j = stats_generation_json(&generations[1]);
	const char *role = NULL, *algorithm = NULL, *digest = NULL, *issuer = NULL;
	json_int_t number = 0, created = -1, before = -1, after = 0;
	int certified = 0;
	assert_int_equal(json_unpack(j, "{s:I,s:s,s:I,s:[{s:s,s:s,s:I,s:I,s:s,s:b}]}", "number", &number, "role", &role, "created",
	                             &created, "keys", "algorithm", &algorithm, "spki_sha256", &digest, "not_before", &before,
	                             "not_after", &after, "issuer", &issuer, "certified", &certified),
	                 0);
	assert_int_equal(number, 8);
	assert_string_equal(role, "standby");
	assert_string_equal(algorithm, "ecdsa-p256");
	assert_string_equal(digest, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");
	assert_string_equal(issuer, "self-signed");
	assert_true(certified && after == 87400);
	json_decref(j);
}

static void json_is_complete(void **state)
{
	(void)state;
	world();
	json_t *all[] = { stats_info_json(&info), stats_identity_json(&identity), stats_metrics_json(&info) };
	for (size_t i = 0; i < NUM(all); i++)
		assert_non_null(all[i]); /* json_pack gives NULL for a format that does not fit */
	assert_int_equal(json_array_size(json_object_get(all[0], "workers")), 3);
	assert_int_equal(json_array_size(json_object_get(all[1], "generations")), 2);
	for (size_t i = 0; i < NUM(all); i++)
		json_decref(all[i]);
}

/* --- metrics ------------------------------------------------------------------------- */

static void metrics_add_up(void **state)
{
	(void)state;
	world();
	workers[0].pid = 0; /* down: its totals count, its gauges are of the past */
	workers[1].begun = false; /* just started on the page of one that crashed */
	struct bytes b = { 0 };
	const char *text = text_of(metrics(&b), &b);
	assert_true(value_of(text, "danegate_sessions_total") == 30);
	assert_true(value_of(text, "danegate_sessions_open") == 2);
	assert_true(value_of(text, "danegate_listening") == 1);
	assert_true(value_of(text, "danegate_identities_epoch") == 7);
	assert_true(value_of(text, "danegate_workers{state=\"up\"}") == 2);
	assert_true(value_of(text, "danegate_guard{identity=\"mx1.example.org\",danegate_guard=\"allowed\"}") == 1);
	assert_true(value_of(text, "danegate_guard{identity=\"mx1.example.org\",danegate_guard=\"refused\"}") == 0);
	assert_true(value_of(text, "danegate_presented_generation{identity=\"mx1.example.org\"}") == 7);
	bytes_fini(&b);
}

static void metrics_are_open_metrics(void **state)
{
	(void)state;
	world();
	struct bytes b = { 0 };
	check_open_metrics(text_of(metrics(&b), &b));
	bytes_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines),
		cmocka_unit_test(ages),
		cmocka_unit_test(identities_show_what_to_publish),
		cmocka_unit_test(info_tells_of_workers_that_are_down),
		cmocka_unit_test(sessions_are_harmless),
		cmocka_unit_test(errors_show_repetition),
		cmocka_unit_test(generation_json),
		cmocka_unit_test(json_is_complete),
		cmocka_unit_test(metrics_add_up),
		cmocka_unit_test(metrics_are_open_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

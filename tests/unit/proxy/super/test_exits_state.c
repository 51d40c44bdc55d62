#include "proxy/super/exits_state.h"

#include "config/config.h"
#include "proxy/super/stats.h"
#include "tests/unit/proxy/super/shown.h"

/* 2027-01-31 ends here, UTC. */
#define JANUARY_OVER INT64_C(1801440000)

static const char three[] =
	"identities: [{name: mx1.example.org}]\n"
	"connectors:\n"
	"  - {name: store, domains: [example.org], protocol: lmtp, next_hops: [{to: \"unix:/run/lmtp\"}]}\n"
	"  - name: out\n"
	"    domains: [\"*\"]\n"
	"    next_hops: [{to: mx}]\n"
	"    dane: none\n"
	"    until: 2027-01-31\n"
	"    reason: their zone is being mended\n"
	"  - {name: store-2, domains: [example.net], tls: require, next_hops: [{to: \"a.example:25\"}, {to: \"b.example:25\"}]}\n";
static const char two[] =
	"identities: [{name: mx1.example.org}]\n"
	"connectors:\n"
	"  - {name: new, domains: [example.com], next_hops: [{to: \"192.0.2.1:25\"}]}\n"
	"  - {name: store, domains: [example.org], protocol: lmtp, next_hops: [{to: \"unix:/run/lmtp\"}]}\n";
static const char only_backend[] =
	"identities: [{name: mx1.example.org}]\n"
	"backend: {address: \"127.0.0.1:2525\"}\n";

static struct config *read_config(const char *text)
{
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	if (config_parse(slice_str(text), "test", &cfg, &errs) != EC_OK)
		fail_msg("%s", errs.items[0]);
	return cfg;
}

/* struct world is a supervisor's knowledge with its configuration. */
struct world {
	struct exits_state s;
	struct config *cfg;
};

static void begin(struct world *w, const char *text)
{
	*w = (struct world){ .cfg = read_config(text) };
	assert_int_equal(exits_state_set(&w->s, w->cfg), EC_OK);
}

static void end(struct world *w)
{
	exits_state_fini(&w->s);
	config_free(w->cfg);
}

static const struct exit_said *note(struct world *w, const char *json)
{
	json_t *j = json_loads(json, 0, NULL);
	assert_non_null(j);
	const struct exit_said *said = exits_state_note(&w->s, j);
	json_decref(j);
	return said;
}

static const char *summary(const struct world *w)
{
	static char text[WHY_SIZE + 16]; /* as stats_uv.c has */
	struct writer out = writer_of(text, sizeof text);
	text[0] = '\0';
	exits_summary(&w->s, &out);
	return text;
}

/* shown is the answer to show connectors, up to bytes_fini. */
static const char *shown(const struct world *w, int64_t now, const char *drained, struct bytes *b)
{
	json_t *list = json_loads(drained, 0, NULL);
	bytes_fini(b);
	const char *text = text_of(exits_text(&w->s, w->cfg, list, (struct wall){ now }, b), b);
	json_decref(list);
	return text;
}

/* --- show connectors ----------------------------------------------------------------- */

static void connectors_are_shown(void **state)
{
	(void)state;
	struct world w;
	struct bytes b = { 0 };
	begin(&w, three);
	const char *text = shown(&w, JANUARY_OVER - 1, "[]", &b);
	assert_non_null(strstr(text, "\nstore            unknown opportunistic opportunistic opportunistic unix:/run/lmtp\n"));
	assert_non_null(strstr(text, "\nout              unknown opportunistic none          opportunistic mx; an exception until 2027-01-31\n"));
	assert_non_null(strstr(text, "\nstore-2          unknown require       opportunistic opportunistic a.example:25 b.example:25\n"));
	assert_null(strstr(text, "drained"));
	assert_non_null(note(&w, "{\"connector\":\"store\",\"up\":true,\"offers\":[\"8BITMIME\",\"DSN\"]}"));
	assert_non_null(note(&w, "{\"connector\":\"store-2\",\"up\":false,\"why\":\"a.example:25: refused\"}"));
	text = shown(&w, JANUARY_OVER, "[\"a.example:25\", \"unix:/run/lmtp\"]", &b);
	assert_non_null(strstr(text, "\nstore            up      "));
	assert_non_null(strstr(text, "\nstore-2          down    "));
	assert_non_null(strstr(text, " b.example:25; a.example:25: refused\n"));
	/* The day is over: what counts is shown, and why it is not what was written. */
	assert_non_null(strstr(text, "\nout              unknown opportunistic opportunistic opportunistic mx; the exception ended with 2027-01-31\n"));
	assert_non_null(strstr(text, "\ndrained: a.example:25\ndrained: unix:/run/lmtp\n"));
	bytes_fini(&b);
	end(&w);
	begin(&w, only_backend);
	assert_non_null(strstr(shown(&w, 0, "[]", &b), "\nbackend          unknown none          none          none          127.0.0.1:2525\n"));
	bytes_fini(&b);
	end(&w);
}

static void connectors_as_json(void **state)
{
	(void)state;
	struct world w;
	begin(&w, three);
	assert_non_null(note(&w, "{\"connector\":\"store\",\"up\":true,\"offers\":[\"8BITMIME\",7,\"DSN\"]}"));
	assert_non_null(note(&w, "{\"connector\":\"out\",\"up\":false,\"why\":\"silent\"}"));
	json_t *drained = json_pack("[s]", "a.example:25");
	json_t *j = exits_json(&w.s, w.cfg, drained, (struct wall){ JANUARY_OVER });
	const char *name, *up, *offers, *dane, *until, *why, *hop, *first, *second, *tls;
	int expired;
	assert_int_equal(json_unpack(j, "{s:[{s:s,s:s,s:s},{s:s,s:s,s:b,s:s,s:[s]},{s:s,s:[s,s]}],s:[s]}", "connectors", "name", &name,
	                             "state", &up, "offers", &offers, "dane", &dane, "until", &until, "expired", &expired, "why", &why,
	                             "next_hops", &hop, "tls", &tls, "next_hops", &first, &second, "drained", &name),
	                 0);
	assert_string_equal(up, "up");
	assert_string_equal(offers, "8BITMIME DSN");
	assert_string_equal(dane, "opportunistic");
	assert_string_equal(until, "2027-01-31");
	assert_true(expired);
	assert_string_equal(why, "silent");
	assert_string_equal(hop, "mx");
	assert_string_equal(tls, "require");
	assert_string_equal(second, "b.example:25");
	assert_string_equal(name, "a.example:25");
	json_decref(j);
	json_decref(drained);
	end(&w);
}

/* A worker faces the internet: what it says is not believed to be harmless. */
static void words_of_workers_are_harmless(void **state)
{
	(void)state;
	struct world w;
	struct bytes b = { 0 };
	begin(&w, three);
	assert_null(note(&w, "{\"connector\":\"other\",\"up\":true,\"offers\":[]}"));
	assert_null(note(&w, "{\"connector\":7,\"up\":true}"));
	assert_null(note(&w, "{\"up\":true}"));
	assert_null(note(&w, "[]"));
	const struct exit_said *said = note(&w, "{\"connector\":\"store\",\"up\":false,\"why\":\"a\\u001b[2J\\u009b\\nb\",\"offers\":[\"\\u001b\"]}");
	assert_string_equal(said->why.text, "a?[2J???b");
	assert_string_equal(said->offers, "?");
	assert_harmless(shown(&w, 0, "[]", &b));
	bytes_fini(&b);
	/* More than fits is cut between two words. */
	json_t *many = json_pack("{s:s,s:b,s:[]}", "connector", "store", "up", 1, "offers");
	for (int i = 0; i < 100; i++)
		json_array_append_new(json_object_get(many, "offers"), json_string("SEVENLY"));
	said = exits_state_note(&w.s, many);
	assert_int_equal(strlen(said->offers) % 8, 7);
	assert_true(strlen(said->offers) > sizeof said->offers - 16);
	assert_string_equal(said->why.text, ""); /* it is up again */
	json_decref(many);
	end(&w);
}

static void in_one_line(void **state)
{
	(void)state;
	struct world w;
	begin(&w, only_backend);
	assert_string_equal(summary(&w), "not asked yet");
	assert_non_null(note(&w, "{\"connector\":\"backend\",\"up\":false,\"why\":\"refused\"}"));
	assert_string_equal(summary(&w), "down: refused");
	assert_non_null(note(&w, "{\"connector\":\"backend\",\"up\":true}"));
	assert_string_equal(summary(&w), "up");
	end(&w);
	begin(&w, three);
	assert_string_equal(summary(&w), "0 up, 3 not asked yet");
	assert_non_null(note(&w, "{\"connector\":\"store\",\"up\":true}"));
	assert_non_null(note(&w, "{\"connector\":\"store-2\",\"up\":false,\"why\":\"refused\"}"));
	assert_string_equal(summary(&w), "1 up, 1 not asked yet, store-2 down: refused");
	char *why = malloc(2000), line[2100];
	memset(why, 'y', 2000);
	why[1999] = '\0';
	(void)snprintf(line, sizeof line, "{\"connector\":\"store-2\",\"up\":false,\"why\":\"%s\"}", why);
	assert_non_null(note(&w, line));
	assert_non_null(strstr(summary(&w), "store-2 down: yyyyyyyyyyyyyyyy"));
	free(why);
	end(&w);
}

static void known_through_a_reload(void **state)
{
	(void)state;
	struct world w;
	begin(&w, three);
	assert_non_null(note(&w, "{\"connector\":\"store\",\"up\":false,\"why\":\"refused\"}"));
	assert_non_null(note(&w, "{\"connector\":\"out\",\"up\":true}"));
	ledger_note(&w.s.ledger, "store", SLICE_LIT(""), TRUST_DANE, SMTP_WHY_NONE);
	config_free(w.cfg);
	w.cfg = read_config(two);
	assert_int_equal(exits_state_set(&w.s, w.cfg), EC_OK);
	assert_string_equal(summary(&w), "0 up, 1 not asked yet, store down: refused");
	assert_null(note(&w, "{\"connector\":\"out\",\"up\":true}"));
	assert_int_equal(names_num(&w.s.ledger.rows), 1);
	end(&w);
}

/* --- exceptions ------------------------------------------------------------------------- */

static void remember(void *arg, const struct config_connector *c, const char *words)
{
	(void)snprintf(arg, 400, "%s: %s", c->name, words);
}

static void exceptions_end(void **state)
{
	(void)state;
	struct world w;
	char told[400] = "";
	begin(&w, three);
	exits_expired(w.cfg, (struct wall){ JANUARY_OVER - 1 }, remember, told);
	assert_string_equal(told, "");
	exits_expired(w.cfg, (struct wall){ JANUARY_OVER }, remember, told);
	assert_non_null(strstr(told, "out: "));
	assert_non_null(strstr(told, "their zone is being mended"));
	assert_non_null(strstr(told, "2027-01-31"));
	end(&w);
}

/* --- the report ------------------------------------------------------------------------------ */

/* The order that is wanted, whatever the order of the names. */
static const struct {
	const char *connector, *domain;
	enum trust trust;
	unsigned transactions, refusals;
} rows[] = {
	{ "store", "nothing-2.example", TRUST_DANE, 0, 3 },  /* nothing goes through, and most is refused */
	{ "store", "nothing-1.example", TRUST_DANE, 0, 1 },
	{ "out", "clear.example", TRUST_CLEAR, 1, 0 },
	{ "store", "b.example", TRUST_ENCRYPTED, 1, 2 },
	{ "out", "z.example", TRUST_ENCRYPTED, 5, 1 },
	{ "store", "a.example", TRUST_ENCRYPTED, 1, 1 },
	{ "backend", "", TRUST_LOCAL, 1, 0 },
	{ "store", "pinned.example", TRUST_REQUIRED, 1, 0 },
	{ "store", "a-policy.example", TRUST_MTA_STS, 1, 0 },
	{ "out", "a-dane.example", TRUST_DANE, 9, 9 },
};

static void fill(struct ledger *l)
{
	for (size_t i = NUM(rows); i-- > 0;) {
		for (unsigned k = 0; k < rows[i].transactions; k++)
			ledger_note(l, rows[i].connector, slice_str(rows[i].domain), rows[i].trust, SMTP_WHY_NONE);
		for (unsigned k = 0; k < rows[i].refusals; k++)
			ledger_note(l, rows[i].connector, slice_str(rows[i].domain), TRUST_CLEAR, SMTP_WHY_HOP_TLSA);
	}
	/* One transaction in clear is what matters, among many that were better. */
	ledger_note(l, "out", SLICE_LIT("clear.example"), TRUST_DANE, SMTP_WHY_NONE);
}

static void weakest_first(void **state)
{
	(void)state;
	struct world w;
	struct bytes b = { 0 };
	begin(&w, three);
	fill(&w.s.ledger);
	const char *text = text_of(exits_report_text(&w.s, (struct wall){ 0 }, &b), &b), *at = text;
	json_t *j = exits_report_json(&w.s, (struct wall){ 77 });
	assert_int_equal(json_integer_value(json_object_get(j, "since")), 77);
	json_t *list = json_object_get(j, "rows");
	assert_int_equal(json_array_size(list), NUM(rows));
	for (size_t i = 0; i < NUM(rows); i++) {
		char line[100];
		const char *weakest = rows[i].transactions > 0 ? trust_name(rows[i].trust) : "nothing", *domain = rows[i].domain;
		(void)snprintf(line, sizeof line, "\n%-16s %-30s %-10s", rows[i].connector, *domain == '\0' ? "-" : domain, weakest);
		at = strstr(at, line);
		if (at == NULL)
			fail_msg("not here:%s", line);
		const json_t *row = json_array_get(list, i);
		assert_string_equal(json_string_value(json_object_get(row, "connector")), rows[i].connector);
		assert_string_equal(json_string_value(json_object_get(row, "domain")), domain);
		assert_string_equal(json_string_value(json_object_get(row, "weakest")), weakest);
	}
	assert_non_null(strstr(text, " clear      dane 1 clear 1\n"));
	assert_non_null(strstr(text, " dane       dane 9 refused:hop_tlsa_invalid 9\n"));
	assert_non_null(strstr(text, " nothing    refused:hop_tlsa_invalid 3\n"));
	json_decref(j);
	bytes_fini(&b);
	end(&w);
}

/* What no domain in a command can be is not counted: RFC 1035 2.3.4, and no control octets. */
static void hostile_domains_are_not_counted(void **state)
{
	(void)state;
	struct world w;
	struct bytes b = { 0 };
	char longest[ROUTE_NAME_SIZE + 1], connector[ROUTE_CONNECTOR_SIZE + 1];
	memset(longest, 'd', sizeof longest - 1);
	memset(connector, 'c', sizeof connector - 1);
	longest[sizeof longest - 1] = connector[sizeof connector - 1] = '\0';
	const char *const bad[][2] = { { "store", "\x1b[2J" },        { "store", "a\nb" },   { "store", "a b" }, { "store", "a\x7f" },
		                           { "store", "b\xc3\xbc.example" }, { "st\x1bore", "a" }, { "st ore", "a" },   { "store", longest },
		                           { connector, "" } };
	begin(&w, three);
	for (size_t i = 0; i < NUM(bad); i++) {
		json_t *j = json_pack("[{s:s,s:s,s:{s:i},s:{}}]", "connector", bad[i][0], "domain", bad[i][1], "trust", "dane", 1, "refused");
		assert_non_null(j);
		assert_int_equal(ledger_merge(&w.s.ledger, j), EC_SYNTAX);
		json_decref(j);
		ledger_note(&w.s.ledger, bad[i][0], slice_str(bad[i][1]), TRUST_DANE, SMTP_WHY_NONE);
	}
	assert_true(ledger_empty(&w.s.ledger));
	longest[sizeof longest - 2] = connector[sizeof connector - 2] = '\0';
	ledger_note(&w.s.ledger, connector, slice_str(longest), TRUST_DANE, SMTP_WHY_NONE);
	const char *text = text_of(exits_report_text(&w.s, (struct wall){ 0 }, &b), &b);
	assert_non_null(strstr(text, longest));
	assert_harmless(text);
	bytes_fini(&b);
	end(&w);
}

/* --- metrics ------------------------------------------------------------------------------------ */

static void metrics(void **state)
{
	(void)state;
	struct world w;
	struct bytes b = { 0 };
	begin(&w, three);
	fill(&w.s.ledger);
	ledger_note(&w.s.ledger, "store-2", SLICE_LIT("a.example"), TRUST_DANE, SMTP_WHY_NONE);
	enum ec ec = exits_metrics(&w.s, &b);
	char *text = text_of(ec == EC_OK ? stats_metrics_end(&b) : ec, &b);
	assert_true(value_of(text, "danegate_connector_transactions_total{connector=\"store\",trust=\"encrypted\"}") == 2);
	assert_true(value_of(text, "danegate_connector_transactions_total{connector=\"store\",trust=\"dane\"}") == 0);
	assert_true(value_of(text, "danegate_connector_transactions_total{connector=\"store-2\",trust=\"dane\"}") == 1);
	assert_true(value_of(text, "danegate_connector_transactions_total{connector=\"out\",trust=\"dane\"}") == 10);
	assert_true(value_of(text, "danegate_connector_refusals_total{connector=\"store\",reason=\"hop_tlsa_invalid\"}") == 7);
	assert_null(strstr(text, "backend")); /* which this configuration does not have */
	check_open_metrics(text);
	bytes_fini(&b);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connectors_are_shown),
		cmocka_unit_test(connectors_as_json),
		cmocka_unit_test(words_of_workers_are_harmless),
		cmocka_unit_test(in_one_line),
		cmocka_unit_test(known_through_a_reload),
		cmocka_unit_test(exceptions_end),
		cmocka_unit_test(weakest_first),
		cmocka_unit_test(hostile_domains_are_not_counted),
		cmocka_unit_test(metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

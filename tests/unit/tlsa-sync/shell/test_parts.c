#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tlsa-sync/details.h"
#include "tlsa-sync/explain.h"
#include "tlsa-sync/metrics.h"
#include "tlsa-sync/policy.h"

/* --- policy --- */

static void test_policy_rounds_up(void **state)
{
	(void)state;
	struct config *cfg = NULL;
	assert_int_equal(config_defaults(&cfg), EC_OK);
	cfg->num_identities = 2;
	cfg->identities = calloc(2, sizeof cfg->identities[0]);
	cfg->tlsa_sync.ttl_ms = 1500;
	cfg->tlsa_sync.poll_ms = 1;
	cfg->tlsa_sync.watch_ms = 999;
	cfg->tlsa_sync.hold_ms = 2000;
	cfg->tlsa_sync.cache_margin_ms = 0;
	cfg->tlsa_sync.wait = CONFIG_WAIT_SIGNATURES;
	struct policy p = policy_of(cfg, 0);
	assert_int_equal(p.ttl_s, 2);
	assert_int_equal(p.poll_s, 1);
	assert_int_equal(p.watch_s, 1);
	assert_int_equal(p.hold_s, 2);
	assert_int_equal(p.cache_margin_s, 0);
	assert_int_equal(p.wait, WAIT_SIGNATURES);
	assert_true(p.default_identity);
	assert_null(p.blocked);
	assert_false(policy_of(cfg, 1).default_identity);
	config_free(cfg);
}

/* --- details and metrics --- */

static struct view *view_new(const char *identity)
{
	struct view *v = calloc(1, sizeof *v);
	struct policy *p = calloc(1, sizeof *p);
	struct facts *f = facts_new(identity);
	assert_non_null(v);
	assert_non_null(p);
	assert_non_null(f);
	*p = (struct policy){ .poll_s = 5, .watch_s = 300, .confirmations = 3 };
	*v = (struct view){ .facts = f, .policy = p, .trouble = "", .now = { { 1000000 }, 5000 } };
	struct server_id ids[2] = { { "ns0.test", "192.0.2.1" }, { "ns1.test", "192.0.2.2" } };
	static const char *const instances[] = { "/run/a.sock" };
	assert_int_equal(facts_set_instances(f, instances, 1), EC_OK);
	assert_int_equal(facts_set_servers(f, ids, 2, v->now), EC_OK);
	uint8_t digest[32];
	memset(digest, 0xab, sizeof digest);
	struct tlsa t = tlsa_311(digest);
	assert_int_equal(tlsa_set_add(&v->decision.wanted, &t), EC_OK);
	struct answer a = { .set = v->decision.wanted, .ttl_s = 60, .validity = VALIDITY_SECURE, .serial = 7 };
	facts_answer(f, 0, &a, 3, 1000, v->now);
	facts_silence(f, 1, "no answer in 5s \x1b[2J", v->now);
	v->decision.state = RO_SPREADING;
	return v;
}

static void view_free(struct view *v)
{
	free((void *)(uintptr_t)v->facts);
	free((void *)(uintptr_t)v->policy);
	free(v);
}

static char *text_of(struct bytes *b)
{
	assert_int_equal(bytes_append(b, slice_of("", 1)), EC_OK);
	return (char *)(uintptr_t)bytes_slice(b).p;
}

static void test_details(void **state)
{
	(void)state;
	struct view *v = view_new("mx.test");
	struct bytes out = { 0 };
	v->next_update_s = 20;
	v->decision.at.s = 1000000 + 90;
	v->trouble = "the disk is full";
	assert_int_equal(details_text(v, &out), EC_OK);
	const char *t = text_of(&out);
	static const char *const parts[] = {
		"3 1 1 ab", "on 1 of 2 servers", "ns0.test (192.0.2.1)", "serves all 1 records", "ns1.test (192.0.2.2)",
		"no answer in 5s", "/run/a.sock", "1m30s to go", "tried again in 20s", "the disk is full",
	};
	for (size_t i = 0; i < NUM(parts); i++)
		if (strstr(t, parts[i]) == NULL)
			fail_msg("\"%s\" is missing in:\n%s", parts[i], t);
	assert_null(strchr(t, '\x1b'));
	bytes_fini(&out);
	view_free(v);
}

/* One key presented, its record on one server, the other server silent. */
static void test_explain(void **state)
{
	(void)state;
	struct view *v = view_new("mx.test");
	struct facts *f = (struct facts *)(uintptr_t)v->facts;
	struct generation g = { .number = 7, .num_keys = 1, .keys = { { .certified = true } } };
	struct report report = { .active = 7, .presented = 7, .num_generations = 1, .generations = &g };
	struct bytes out = { 0 };
	struct why why = { 0 };
	memset(g.keys[0].chain[0].spki_sha256, 0xab, 32);
	assert_int_equal(facts_report(f, 0, &report, v->now, &why), EC_OK);
	(void)snprintf(v->decision.why, sizeof v->decision.why, "ns1.test gives no answer \x1b[31m");
	(void)snprintf(v->decision.waiting_for, sizeof v->decision.waiting_for, "ns1.test (192.0.2.2)");
	assert_int_equal(explain_text(v, false, &out), EC_OK);
	const char *t = text_of(&out);
	static const char *const parts[] = {
		"mx.test is SPREADING", "because   ns1.test gives no answer ?[31m", "once ns1.test (192.0.2.2) is as it should be",
		"    ns0.test (192.0.2.1)  serves all 1 records", "has      3 1 1 abababab...  (ecdsa-p256 generation 7, presented)",
		"  ! ns1.test (192.0.2.2)  gives no answer", "    /run/a.sock  answers", "that meets generation 7 of /run/a.sock",
		"asking ns0.test (192.0.2.1): verifies the key", "asking ns1.test (192.0.2.2): no answer",
		"from a cache: some may hold a set without its record",
	};
	for (size_t i = 0; i < NUM(parts); i++)
		if (strstr(t, parts[i]) == NULL)
			fail_msg("\"%s\" is missing in:\n%s", parts[i], t);
	assert_null(strchr(t, '\x1b'));
	json_t *j = explain_json(v);
	json_t *presented = json_array_get(json_object_get(j, "presented"), 0);
	assert_false(json_is_true(json_object_get(presented, "in_every_cache")));
	json_t *asked = json_object_get(presented, "servers");
	assert_string_equal(json_string_value(json_object_get(json_array_get(asked, 0), "sender")), "verifies");
	assert_string_equal(json_string_value(json_object_get(json_array_get(asked, 1), "sender")), "silent");
	json_decref(j);
	bytes_fini(&out);
	assert_int_equal(explain_text(v, true, &out), EC_OK);
	assert_non_null(strstr(text_of(&out), "\033[1mthe servers"));
	bytes_fini(&out);
	view_free(v);
}

/* Every sample's family has been announced, families stand together, labels are
 * escaped, the text ends with # EOF: OpenMetrics 1.0, "Overall Structure". */
static void test_metrics(void **state)
{
	(void)state;
	struct view *v = view_new("mx\"1\\.test");
	v->counts.updates[OUTCOME_FAILED] = 3;
	struct fact_zone zones[] = { { "a.test", DS_MISSING }, { "b.test", DS_THERE }, { "c.test", DS_UNKNOWN } };
	struct facts *f = (struct facts *)(uintptr_t)v->facts;
	facts_set_zones(f, zones, 3);
	f->servers[0].signature_expires.s = 1000900;
	f->servers[1].signature_expires.s = 1000500;
	struct bytes out = { 0 };
	struct events_counts events = { .told = 3, .failed = 2, .dropped = 1 };
	assert_int_equal(metrics_text(v, 1, (struct wall){ 12345 }, &events, &out), EC_OK);
	char *t = text_of(&out);
	size_t len = strlen(t);
	assert_true(len > 6 && strcmp(t + len - 6, "# EOF\n") == 0);
	assert_non_null(strstr(t, "tlsa_sync_state{identity=\"mx\\\"1\\\\.test\",tlsa_sync_state=\"SPREADING\"} 1\n"));
	assert_non_null(strstr(t, "tlsa_sync_state{identity=\"mx\\\"1\\\\.test\",tlsa_sync_state=\"STEADY\"} 0\n"));
	assert_non_null(strstr(t, "tlsa_sync_updates_total{identity=\"mx\\\"1\\\\.test\",outcome=\"refused\"} 3\n"));
	assert_non_null(strstr(t, "tlsa_sync_events_total{outcome=\"told\"} 3\n"));
	assert_non_null(strstr(t, "tlsa_sync_events_total{outcome=\"dropped\"} 1\n"));
	assert_non_null(strstr(t, "tlsa_sync_zone_secure{identity=\"mx\\\"1\\\\.test\",zone=\"a.test\"} 0\n"));
	assert_non_null(strstr(t, "tlsa_sync_zone_secure{identity=\"mx\\\"1\\\\.test\",zone=\"b.test\"} 1\n"));
	assert_null(strstr(t, "c.test")); /* not known is not said */
	assert_non_null(strstr(t, "tlsa_sync_signature_seconds{identity=\"mx\\\"1\\\\.test\"} 500\n"));
	assert_non_null(strstr(t, "verdict=\"agree\"} 1\n"));
	assert_non_null(strstr(t, "verdict=\"silent\"} 1\n"));
	char family[128] = "";
	char type[32] = "";
	char *rest = NULL;
	for (char *line = strtok_r(t, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "# TYPE ", 7) == 0)
			assert_int_equal(sscanf(line, "# TYPE %127s %31s", family, type), 2);
		if (line[0] == '#')
			continue;
		char name[160];
		(void)snprintf(name, sizeof name, "%s%s", family, strcmp(type, "counter") == 0 ? "_total" : "");
		size_t n = strcspn(line, "{ ");
		if (n != strlen(name) || strncmp(line, name, n) != 0)
			fail_msg("a sample outside its family %s: %s", name, line);
	}
	bytes_fini(&out);
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_rounds_up),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

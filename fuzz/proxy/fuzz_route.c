/* A route as the router, or whoever took it over, might answer it, and a question as a worker might ask it.
 *
 * Oracles: what is believed hangs together (an address for whoever is tried, records for DANE, TLS for any
 * proof), and written again it is the same. */
#include "proxy/relay/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_hop(const struct route_hop *h)
{
	assert(h->num_addresses <= ROUTE_ADDRESSES_MAX && h->num_names <= ROUTE_NAMES_MAX && h->num_records <= ROUTE_RECORDS_MAX);
	assert(h->refused != SMTP_R_NONE || h->num_addresses > 0 || h->path[0] == '/');
	assert(h->verify == ROUTE_VERIFY_ANY || h->tls == ROUTE_TLS_MUST);
	assert((h->verify == ROUTE_VERIFY_DANE) == (h->num_records > 0));
	assert(h->verify != ROUTE_VERIFY_DANE || h->num_names > 0);
	assert(!h->sts || h->verify == ROUTE_VERIFY_NAMES);
	for (unsigned i = 0; i < h->num_records; i++)
		assert(h->records[i].len >= 4 && h->records[i].len <= ROUTE_RDATA_MAX);
}

static void check_route(const struct route *r, const struct why *why, enum ec ec)
{
	if (r == NULL) {
		assert((ec == EC_SYNTAX || ec == EC_LIMIT) && why->text[0] != '\0');
		return;
	}
	assert(ec == EC_OK && r->ttl_ms >= 1 && r->ttl_ms <= ROUTE_TTL_MAX_MS && (r->refused != SMTP_R_NONE) == (r->num_hops == 0));
	for (unsigned i = 0; i < r->num_hops; i++)
		check_hop(&r->hops[i]);
	json_t *once = route_json(r, 1);
	struct route *again = NULL;
	assert(route_parse(once, &again, NULL) == EC_OK);
	json_t *twice = route_json(again, 1);
	assert(json_equal(once, twice));
	route_free(again);
	json_decref(twice);
	json_decref(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct why why = { 0 };
	struct route *r = NULL;
	struct route_question q, same;
	json_t *json = json_loadb((const char *)data, len, JSON_ALLOW_NUL, NULL);
	if (json == NULL)
		return 0;
	enum ec ec = route_parse(json, &r, &why);
	check_route(r, &why, ec);
	route_free(r);
	if (route_question_parse(json, &q, NULL) == EC_OK) {
		json_t *out = route_question_json(&q);
		assert(route_question_parse(out, &same, NULL) == EC_OK && memcmp(&q, &same, sizeof q) == 0);
		json_decref(out);
	}
	json_decref(json);
	return 0;
}

/* Routes as JSON. What comes from the router has been looked up in the outside world, so it is
 * read as if a stranger had written it: each member is bounded and checked, and a route that says
 * two things that can't both be is no route. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "proxy/relay/route.h"

enum { WORD_MAX = 16, ADDRESS_TEXT_MAX = ADDRESS_TEXT_SIZE - 1 };

static const char *const tls_names[] = { [ROUTE_TLS_NONE] = "none", [ROUTE_TLS_MAY] = "may", [ROUTE_TLS_MUST] = "must", NULL };
static const char *const verify_names[] = {
	[ROUTE_VERIFY_ANY] = "any", [ROUTE_VERIFY_DANE] = "dane", [ROUTE_VERIFY_NAMES] = "names", [ROUTE_VERIFY_PINS] = "pins", NULL,
};
static const char *const sts_names[] = {
	[ROUTE_STS_NONE] = "none", [ROUTE_STS_TESTING] = "testing", [ROUTE_STS_ENFORCE] = "enforce", NULL,
};

/* The replies that a route may stand for. */
static const struct {
	enum smtp_reply_id id;
	const char *name;
} refusals[] = {
	{ SMTP_R_HOP_NO_STARTTLS, "HOP_NO_STARTTLS" }, { SMTP_R_HOP_EXPIRED, "HOP_EXPIRED" },
	{ SMTP_R_HOP_TLSA, "HOP_TLSA" },               { SMTP_R_HOP_DNSSEC, "HOP_DNSSEC" },
	{ SMTP_R_HOP_NAME, "HOP_NAME" },               { SMTP_R_HOP_TRUST, "HOP_TRUST" },
	{ SMTP_R_HOP_STS, "HOP_STS" },                 { SMTP_R_HOP_DNS, "HOP_DNS" },
	{ SMTP_R_HOP_BUSY, "HOP_BUSY" },               { SMTP_R_HOP_NO_HOST, "HOP_NO_HOST" },
	{ SMTP_R_HOP_NULL_MX, "HOP_NULL_MX" },         { SMTP_R_NO_ROUTE, "NO_ROUTE" },
	{ SMTP_R_HOP_LOOP, "HOP_LOOP" },
};

const char *route_tls_name(enum route_tls tls)
{
	return tls_names[tls];
}

const char *route_verify_name(enum route_verify verify)
{
	return verify_names[verify];
}

const char *route_sts_name(enum route_sts sts)
{
	return sts_names[sts];
}

const char *route_refused_name(enum smtp_reply_id id)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (refusals[i].id == id)
			return refusals[i].name;
	return "";
}

/* --- writing -------------------------------------------------------------------- */

/* Words may quote what DNS said: what is not printable ASCII becomes '?'. */
static json_t *words(const char *text)
{
	char out[ROUTE_WHY_SIZE];
	(void)snprintf(out, sizeof out, "%s", text);
	for (char *p = out; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return json_string(out);
}

static json_t *addresses_json(const struct route_hop *h)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < h->num_addresses; i++) {
		char text[ADDRESS_TEXT_SIZE];
		address_print_ip(text, &h->addresses[i]);
		if (json_array_append_new(list, json_string(text)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *names_json(const struct route_hop *h)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < h->num_names; i++) {
		if (json_array_append_new(list, json_string(h->names[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *records_json(const struct route_hop *h)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < h->num_records; i++) {
		char *hex = malloc(2 * h->records[i].len + 1);
		if (hex != NULL)
			hex_encode(hex, h->records[i]);
		int failed = hex == NULL || json_array_append_new(list, json_string(hex)) != 0;
		free(hex);
		if (failed) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *hop_json(const struct route_hop *h)
{
	json_t *json = json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:b, s:s, s:s, s:b, s:b, s:o, s:o, s:o}", "name", h->name, "port",
	                         (int)h->port, "path", h->path, "priority", (json_int_t)h->priority, "preference",
	                         (json_int_t)h->preference, "weight", (json_int_t)h->weight, "mx", (int)h->mx, "tls", route_tls_name(h->tls),
	                         "verify", route_verify_name(h->verify), "sts", (int)h->sts, "sts_listed", (int)h->sts_listed, "addresses",
	                         addresses_json(h), "names", names_json(h), "records", records_json(h));
	if (json == NULL || h->refused == SMTP_R_NONE)
		return json;
	if (json_object_set_new(json, "refused", json_string(route_refused_name(h->refused))) != 0 ||
	    json_object_set_new(json, "why", words(h->why)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *route_json(const struct route *r, uint64_t id)
{
	json_t *hops = json_array();
	bool ok = hops != NULL;
	for (unsigned i = 0; ok && i < r->num_hops; i++)
		ok = json_array_append_new(hops, hop_json(&r->hops[i])) == 0;
	json_t *json = !ok ? NULL : json_pack("{s:I, s:I, s:s, s:O}", "route", (json_int_t)id, "ttl_ms", (json_int_t)r->ttl_ms,
	                                      "sts_mode", route_sts_name(r->sts_mode), "hops", hops);
	json_decref(hops);
	if (json == NULL || r->refused == SMTP_R_NONE)
		return json;
	if (json_object_set_new(json, "refused", json_string(route_refused_name(r->refused))) != 0 ||
	    json_object_set_new(json, "why", words(r->why)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *route_question_json(const struct route_question *q)
{
	return json_pack("{s:I, s:s, s:s}", "route", (json_int_t)q->id, "connector", q->connector, "domain", q->domain);
}

/* --- reading -------------------------------------------------------------------- */

static enum ec text_check(const json_t *value, const char *key, size_t size, const char **out, struct why *why)
{
	const char *text = json_string_value(value);
	if (text == NULL)
		return why_set(why, EC_SYNTAX, "\"%s\" is missing or no text", key);
	if (json_string_length(value) >= size)
		return why_set(why, EC_LIMIT, "\"%s\" is longer than %zu octets", key, size - 1);
	for (size_t i = 0; i < json_string_length(value); i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return why_set(why, EC_SYNTAX, "\"%s\" has an octet that is not printable ASCII", key);
	*out = text;
	return EC_OK;
}

static enum ec take_text(const json_t *json, const char *key, char *out, size_t size, struct why *why)
{
	const char *text = NULL;
	enum ec ec = text_check(json_object_get(json, key), key, size, &text, why);
	if (ec == EC_OK)
		(void)snprintf(out, size, "%s", text);
	return ec;
}

static enum ec take_number(const json_t *json, const char *key, json_int_t max, json_int_t *out, struct why *why)
{
	const json_t *n = json_object_get(json, key);
	if (!json_is_integer(n) || json_integer_value(n) < 0)
		return why_set(why, EC_SYNTAX, "\"%s\" is missing or no whole number", key);
	if (json_integer_value(n) > max)
		return why_set(why, EC_LIMIT, "\"%s\" is over %lld", key, (long long)max);
	*out = json_integer_value(n);
	return EC_OK;
}

static enum ec take_bool(const json_t *json, const char *key, bool *out, struct why *why)
{
	const json_t *b = json_object_get(json, key);
	if (!json_is_boolean(b))
		return why_set(why, EC_SYNTAX, "\"%s\" is missing or neither true nor false", key);
	*out = json_is_true(b);
	return EC_OK;
}

static enum ec take_word(const json_t *json, const char *key, const char *const *table, int *out, struct why *why)
{
	char word[WORD_MAX];
	enum ec ec = take_text(json, key, word, sizeof word, why);
	for (int i = 0; ec == EC_OK && table[i] != NULL; i++) {
		if (strcmp(table[i], word) == 0) {
			*out = i;
			return EC_OK;
		}
	}
	return ec != EC_OK ? ec : why_set(why, EC_SYNTAX, "\"%s\": unknown word", key);
}

/* "refused" and "why" go together or are both left out. */
static enum ec take_refusal(const json_t *json, enum smtp_reply_id *out, char words_out[ROUTE_WHY_SIZE], struct why *why)
{
	char word[WORD_MAX];
	*out = SMTP_R_NONE;
	if (json_object_get(json, "refused") == NULL)
		return json_object_get(json, "why") == NULL ? EC_OK : why_set(why, EC_SYNTAX, "\"why\" without \"refused\"");
	enum ec ec = take_text(json, "refused", word, sizeof word, why);
	if (ec == EC_OK)
		ec = take_text(json, "why", words_out, ROUTE_WHY_SIZE, why);
	for (size_t i = 0; ec == EC_OK && i < sizeof refusals / sizeof *refusals; i++) {
		if (strcmp(refusals[i].name, word) == 0)
			*out = refusals[i].id;
	}
	return ec == EC_OK && *out == SMTP_R_NONE ? why_set(why, EC_SYNTAX, "\"refused\": unknown reply") : ec;
}

static enum ec list_of(const json_t *json, const char *key, size_t max, size_t *out_num, struct why *why)
{
	const json_t *list = json_object_get(json, key);
	if (!json_is_array(list))
		return why_set(why, EC_SYNTAX, "\"%s\" is missing or no list", key);
	if (json_array_size(list) > max)
		return why_set(why, EC_LIMIT, "\"%s\" has over %zu items", key, max);
	*out_num = json_array_size(list);
	return EC_OK;
}

static enum ec take_addresses(const json_t *json, struct route_hop *h, struct why *why)
{
	size_t num = 0;
	enum ec ec = list_of(json, "addresses", ROUTE_ADDRESSES_MAX, &num, why);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		const char *text = NULL;
		struct sockaddr_storage a;
		ec = text_check(json_array_get(json_object_get(json, "addresses"), i), "addresses", ADDRESS_TEXT_MAX + 1, &text, why);
		/* Port 1 stands for "none in the text": the text must have none. */
		if (ec == EC_OK && (strchr(text, '[') != NULL || address_parse(slice_str(text), 1, &a, NULL) != EC_OK || address_port(&a) != 1))
			ec = why_set(why, EC_SYNTAX, "\"addresses\": not an address");
		if (ec != EC_OK)
			return ec;
		if (h->port != 0)
			address_set_port(&a, h->port);
		h->addresses[h->num_addresses++] = a;
	}
	return ec;
}

static enum ec take_names(const json_t *json, struct route_hop *h, struct why *why)
{
	size_t num = 0;
	enum ec ec = list_of(json, "names", ROUTE_NAMES_MAX, &num, why);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		const char *text = NULL;
		ec = text_check(json_array_get(json_object_get(json, "names"), i), "names", ROUTE_NAME_SIZE, &text, why);
		if (ec == EC_OK && text[0] == '\0')
			ec = why_set(why, EC_SYNTAX, "\"names\": an empty name");
		if (ec == EC_OK)
			(void)snprintf(h->names[h->num_names++], ROUTE_NAME_SIZE, "%s", text);
	}
	return ec;
}

/* struct pool hands out the memory for records. */
struct pool {
	uint8_t *p;
	size_t left;
};

static enum ec take_records(const json_t *json, struct route_hop *h, struct pool *pool, struct why *why)
{
	size_t num = 0;
	enum ec ec = list_of(json, "records", ROUTE_RECORDS_MAX, &num, why);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		const char *text = NULL;
		ec = text_check(json_array_get(json_object_get(json, "records"), i), "records", 2 * ROUTE_RDATA_MAX + 1, &text, why);
		size_t len = ec == EC_OK ? strlen(text) / 2 : 0;
		if (ec == EC_OK && len > pool->left)
			return why_set(why, EC_LIMIT, "\"records\" have over %d octets", ROUTE_RDATA_TOTAL);
		/* Usage, selector, matching type and at least one octet: RFC 6698 2.1. */
		if (ec == EC_OK && (len < 4 || !hex_decode(pool->p, len, slice_str(text))))
			ec = why_set(why, EC_SYNTAX, "\"records\": not a TLSA record in hex");
		if (ec != EC_OK)
			return ec;
		h->records[h->num_records++] = slice_of(pool->p, len);
		pool->p += len;
		pool->left -= len;
	}
	return ec;
}

/* What one hop says must hang together. */
static enum ec hop_check(const struct route_hop *h, struct why *why)
{
	const char *wrong = NULL;
	bool is_unix = h->path[0] != '\0';
	if (is_unix ? h->path[0] != '/' || h->port != 0 : h->name[0] == '\0' || h->port == 0)
		wrong = "neither a socket nor a host with a port";
	else if (h->refused != SMTP_R_NONE ? h->num_addresses > 0 : is_unix == (h->num_addresses > 0))
		wrong = "addresses where none belong, or none where they do";
	else if (h->verify != ROUTE_VERIFY_ANY && h->tls != ROUTE_TLS_MUST)
		wrong = "a certificate to verify, but TLS is not demanded";
	else if ((h->verify == ROUTE_VERIFY_DANE) != (h->num_records > 0))
		wrong = "DANE without records, or records without DANE";
	else if ((h->verify == ROUTE_VERIFY_DANE || (h->verify == ROUTE_VERIFY_NAMES && h->refused == SMTP_R_NONE)) && h->num_names == 0)
		wrong = "no name to verify";
	else if (h->sts && h->verify != ROUTE_VERIFY_NAMES)
		wrong = "MTA-STS without a name to verify";
	else if (h->weight == 0)
		wrong = "no weight";
	return wrong == NULL ? EC_OK : why_set(why, EC_SYNTAX, "hop: %s", wrong);
}

static enum ec take_hop(const json_t *json, struct route_hop *h, struct pool *pool, struct why *why)
{
	json_int_t port = 0, priority = 0, preference = 0, weight = 0;
	int tls = 0, verify = 0;
	if (!json_is_object(json))
		return why_set(why, EC_SYNTAX, "a hop is no object");
	enum ec ec = take_text(json, "name", h->name, sizeof h->name, why);
	if (ec == EC_OK)
		ec = take_text(json, "path", h->path, sizeof h->path, why);
	if (ec == EC_OK)
		ec = take_number(json, "port", UINT16_MAX, &port, why);
	if (ec == EC_OK)
		ec = take_number(json, "priority", UINT32_MAX, &priority, why);
	if (ec == EC_OK)
		ec = take_number(json, "preference", UINT16_MAX, &preference, why);
	if (ec == EC_OK)
		ec = take_number(json, "weight", UINT32_MAX, &weight, why);
	if (ec == EC_OK)
		ec = take_word(json, "tls", tls_names, &tls, why);
	if (ec == EC_OK)
		ec = take_word(json, "verify", verify_names, &verify, why);
	if (ec == EC_OK)
		ec = take_bool(json, "mx", &h->mx, why);
	if (ec == EC_OK)
		ec = take_bool(json, "sts", &h->sts, why);
	if (ec == EC_OK)
		ec = take_bool(json, "sts_listed", &h->sts_listed, why);
	if (ec == EC_OK)
		ec = take_refusal(json, &h->refused, h->why, why);
	h->port = (uint16_t)port;
	h->priority = (uint32_t)priority;
	h->preference = (uint32_t)preference;
	h->weight = (uint32_t)weight;
	h->tls = (enum route_tls)tls;
	h->verify = (enum route_verify)verify;
	if (ec == EC_OK)
		ec = take_addresses(json, h, why);
	if (ec == EC_OK)
		ec = take_names(json, h, why);
	if (ec == EC_OK)
		ec = take_records(json, h, pool, why);
	return ec == EC_OK ? hop_check(h, why) : ec;
}

static enum ec route_check(const struct route *r, struct why *why)
{
	if (r->ttl_ms < 1)
		return why_set(why, EC_SYNTAX, "\"ttl_ms\" is 0");
	if ((r->refused != SMTP_R_NONE) != (r->num_hops == 0))
		return why_set(why, EC_SYNTAX, "hops of a route that is refused, or none of one that is not");
	for (unsigned i = 1; i < r->num_hops; i++) {
		const struct route_hop *a = &r->hops[i - 1], *b = &r->hops[i];
		if (a->priority > b->priority || (a->priority == b->priority && a->preference > b->preference))
			return why_set(why, EC_SYNTAX, "hops out of order");
	}
	return EC_OK;
}

static enum ec take_route(const json_t *json, struct route *r, struct pool *pool, struct why *why)
{
	json_int_t ttl = 0;
	int sts = 0;
	enum ec ec = take_number(json, "ttl_ms", ROUTE_TTL_MAX_MS, &ttl, why);
	if (ec == EC_OK)
		ec = take_word(json, "sts_mode", sts_names, &sts, why);
	if (ec == EC_OK)
		ec = take_refusal(json, &r->refused, r->why, why);
	r->ttl_ms = ttl;
	r->sts_mode = (enum route_sts)sts;
	for (unsigned i = 0; ec == EC_OK && i < r->num_hops; i++)
		ec = take_hop(json_array_get(json_object_get(json, "hops"), i), &r->hops[i], pool, why);
	return ec == EC_OK ? route_check(r, why) : ec;
}

/* The octets that the records of all hops need; more than is allowed is refused later, where the
 * record that is too much can be named. */
static size_t records_size(const json_t *hops)
{
	size_t total = 0;
	for (size_t i = 0; i < json_array_size(hops); i++) {
		const json_t *records = json_object_get(json_array_get(hops, i), "records");
		for (size_t j = 0; j < json_array_size(records) && total < ROUTE_RDATA_TOTAL; j++)
			total += json_string_length(json_array_get(records, j)) / 2;
	}
	return total < ROUTE_RDATA_TOTAL ? total : ROUTE_RDATA_TOTAL;
}

enum ec route_parse(const json_t *json, struct route **out, struct why *why)
{
	size_t num = 0;
	struct route *r = NULL;
	*out = NULL;
	if (!json_is_object(json))
		return why_set(why, EC_SYNTAX, "a route is a JSON object");
	enum ec ec = list_of(json, "hops", ROUTE_HOPS_MAX, &num, why);
	if (ec != EC_OK)
		return ec;
	size_t size = records_size(json_object_get(json, "hops"));
	ec = route_make(num, size, &r);
	if (ec != EC_OK)
		return why_set(why, ec, "%s", ec_text(ec));
	struct pool pool = { .p = r->rdata, .left = size };
	ec = take_route(json, r, &pool, why);
	if (ec == EC_OK)
		*out = r;
	else
		route_free(r);
	return ec;
}

enum ec route_answer_id(const json_t *json, uint64_t *out_id)
{
	const json_t *id = json_object_get(json, "route");
	if (!json_is_integer(id) || json_integer_value(id) < 0)
		return EC_SYNTAX;
	*out_id = (uint64_t)json_integer_value(id);
	return EC_OK;
}

enum ec route_question_parse(const json_t *json, struct route_question *out, struct why *why)
{
	memset(out, 0, sizeof *out);
	if (!json_is_object(json))
		return why_set(why, EC_SYNTAX, "a question is a JSON object");
	if (route_answer_id(json, &out->id) != EC_OK)
		return why_set(why, EC_SYNTAX, "\"route\" is missing or no number");
	enum ec ec = take_text(json, "connector", out->connector, sizeof out->connector, why);
	return ec == EC_OK ? take_text(json, "domain", out->domain, sizeof out->domain, why) : ec;
}

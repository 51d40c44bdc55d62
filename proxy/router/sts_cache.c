#include "proxy/router/sts_cache.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/domain.h"

enum { BUCKETS = 1024 };

/* A policy is kept as text: a parsed one is a hundred times as large. */
struct entry {
	struct entry *next;
	char domain[DOMAIN_MAX + 1];
	char *text; /* NULL: none was ever fetched */
	char id[STS_ID_MAX + 1];
	struct wall fetched;
	struct wall expires;
	struct wall used;
	struct wall refreshed; /* the last time that sts_cache_decide said USE_AND_FETCH */
	struct wall looked; /* the last time that sts_cache_due gave it out */
	char failed_id[STS_ID_MAX + 1];
	unsigned failures; /* in a row, of failed_id */
	struct wall retry;
};

struct sts_cache {
	size_t num;
	struct entry *buckets[BUCKETS];
};

struct sts_cache *sts_cache_new(void)
{
	return calloc(1, sizeof(struct sts_cache));
}

static void entry_free(struct entry *e)
{
	free(e->text);
	free(e);
}

void sts_cache_free(struct sts_cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (c->buckets[i] != NULL) {
			struct entry *e = c->buckets[i];
			c->buckets[i] = e->next;
			entry_free(e);
		}
	}
	free(c);
}

size_t sts_cache_num(const struct sts_cache *c)
{
	return c->num;
}

/* FNV-1a. Whoever fills one bucket on purpose makes STS_CACHE_MAX comparisons of a look-up that
 * costs a round trip anyway. */
static size_t bucket_of(const char *domain)
{
	uint32_t h = 2166136261U;
	for (const char *p = domain; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	return h % BUCKETS;
}

static struct entry *find(const struct sts_cache *c, const char *domain)
{
	struct entry *e = c->buckets[bucket_of(domain)];
	while (e != NULL && strcmp(e->domain, domain) != 0)
		e = e->next;
	return e;
}

static void remove_oldest(struct sts_cache *c)
{
	struct entry **oldest = NULL;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry **at = &c->buckets[i]; *at != NULL; at = &(*at)->next)
			if (oldest == NULL || (*at)->used.s < (*oldest)->used.s)
				oldest = at;
	if (oldest == NULL)
		return;
	struct entry *e = *oldest;
	*oldest = e->next;
	entry_free(e);
	c->num--;
}

static struct entry *find_or_add(struct sts_cache *c, const char *domain, struct wall now)
{
	struct entry *e = find(c, domain);
	if (e != NULL || strlen(domain) > DOMAIN_MAX)
		return e;
	e = calloc(1, sizeof *e);
	if (e == NULL)
		return NULL;
	if (c->num == STS_CACHE_MAX)
		remove_oldest(c);
	(void)snprintf(e->domain, sizeof e->domain, "%s", domain);
	e->used = now;
	struct entry **bucket = &c->buckets[bucket_of(domain)];
	e->next = *bucket;
	*bucket = e;
	c->num++;
	return e;
}

static bool holds(const struct entry *e, struct wall now)
{
	/* A clock that was set back must not make a policy hold for longer than it says. */
	return e != NULL && e->text != NULL && now.s < e->expires.s && now.s >= e->fetched.s - STS_REFRESH_MAX_S;
}

static bool is_stale(const struct entry *e, struct wall now)
{
	int64_t half = (e->expires.s - e->fetched.s) / 2;
	return now.s >= e->fetched.s + (half < STS_REFRESH_MAX_S ? half : STS_REFRESH_MAX_S);
}

static bool may_fetch(const struct entry *e, const char *id, struct wall now)
{
	return e == NULL || e->failures == 0 || strcmp(e->failed_id, id) != 0 || now.s >= e->retry.s;
}

bool sts_cache_get(const struct sts_cache *c, const char *domain, struct wall now, struct sts_policy *out)
{
	const struct entry *e = find(c, domain);
	return holds(e, now) && sts_policy_parse(slice_str(e->text), out, NULL) == EC_OK;
}

enum sts_step sts_cache_decide(struct sts_cache *c, const char *domain, enum sts_txt txt, const char *id, struct wall now,
                               bool in_use, struct sts_policy *out)
{
	struct entry *e = find(c, domain);
	bool have = sts_cache_get(c, domain, now, out);
	if (e != NULL && in_use)
		e->used = now;
	if (txt != STS_TXT_FOUND)
		return have ? STS_STEP_USE : STS_STEP_NONE;
	bool may = may_fetch(e, id, now);
	if (!have)
		return may ? STS_STEP_FETCH : STS_STEP_NONE;
	if (strcmp(e->id, id) != 0)
		return may ? STS_STEP_FETCH : STS_STEP_USE;
	if (!may || !is_stale(e, now) || now.s < e->refreshed.s + STS_REFRESH_PAUSE_S)
		return STS_STEP_USE;
	e->refreshed = now;
	return STS_STEP_USE_AND_FETCH;
}

enum ec sts_cache_store(struct sts_cache *c, const char *domain, const char *id, const struct sts_policy *policy,
                        struct wall now)
{
	char text[STS_PRINT_MAX];
	struct writer w = writer_of(text, sizeof text);
	if (domain[0] == '\0' || strlen(domain) > DOMAIN_MAX || sts_policy_print(policy, &w) != EC_OK)
		return EC_RANGE;
	char *copy = strdup(text);
	struct entry *e = copy == NULL ? NULL : find_or_add(c, domain, now);
	if (e == NULL) {
		free(copy);
		return EC_NO_MEMORY;
	}
	free(e->text);
	e->text = copy;
	(void)snprintf(e->id, sizeof e->id, "%s", id);
	e->fetched = now;
	e->expires = (struct wall){ now.s + policy->max_age_s };
	e->failures = 0;
	return EC_OK;
}

void sts_cache_failed(struct sts_cache *c, const char *domain, const char *id, struct wall now)
{
	struct entry *e = find_or_add(c, domain, now);
	if (e == NULL)
		return; /* then it is tried again sooner */
	if (strcmp(e->failed_id, id) != 0)
		e->failures = 0;
	(void)snprintf(e->failed_id, sizeof e->failed_id, "%s", id);
	int64_t wait = STS_RETRY_FIRST_S;
	for (unsigned i = 0; i < e->failures && wait < STS_RETRY_MAX_S; i++)
		wait *= 2;
	e->failures++;
	e->retry = (struct wall){ now.s + (wait < STS_RETRY_MAX_S ? wait : STS_RETRY_MAX_S) };
}

const char *sts_cache_due(struct sts_cache *c, struct wall now)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct entry *e = c->buckets[i]; e != NULL; e = e->next) {
			if (!holds(e, now) || !is_stale(e, now) || e->used.s < e->fetched.s || now.s < e->looked.s + STS_RETRY_FIRST_S)
				continue;
			e->looked = now;
			return e->domain;
		}
	}
	return NULL;
}

/* --- files ---------------------------------------------------------------------- */

enum ec sts_cache_print(const struct sts_cache *c, const char *domain, struct bytes *out)
{
	const struct entry *e = find(c, domain);
	if (e == NULL || e->text == NULL)
		return EC_NOT_FOUND;
	json_t *json = json_pack("{s:s, s:s, s:I, s:s}", "domain", e->domain, "id", e->id, "fetched", (json_int_t)e->fetched.s, "policy",
	                         e->text);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1));
	json_decref(json);
	if (text == NULL)
		return EC_NO_MEMORY;
	enum ec ec = bytes_append(out, slice_str(text));
	if (ec == EC_OK)
		ec = bytes_append(out, slice_str("\n"));
	free(text);
	return ec;
}

static bool is_id(const char *id)
{
	size_t len = id == NULL ? 0 : strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return len > 0 && len <= STS_ID_MAX && id[len] == '\0';
}

static enum ec load_json(struct sts_cache *c, const char *domain, const json_t *json, struct wall now, struct why *why)
{
	struct sts_policy policy;
	const char *whose = json_string_value(json_object_get(json, "domain"));
	const char *id = json_string_value(json_object_get(json, "id"));
	const char *text = json_string_value(json_object_get(json, "policy"));
	const json_t *fetched = json_object_get(json, "fetched");
	if (whose == NULL || strcmp(whose, domain) != 0)
		return why_set(why, EC_CORRUPT, "it is not about %s", domain);
	const int64_t since_s = json_integer_value(fetched);
	if (!is_id(id) || text == NULL || !json_is_integer(fetched) || since_s < 0 || since_s > INT64_MAX - STS_MAX_AGE_MAX_S)
		return why_set(why, EC_CORRUPT, "id, fetched or policy are missing or damaged");
	enum ec ec = sts_policy_parse(slice_str(text), &policy, why);
	if (ec != EC_OK)
		return EC_CORRUPT;
	/* One of the future is kept as well: it is the clock that is wrong, perhaps not for long, and until
	 * then `holds` looks after it. */
	if (now.s - since_s >= policy.max_age_s)
		return why_set(why, EC_EXPIRED, "it holds no longer");
	ec = sts_cache_store(c, domain, id, &policy, (struct wall){ since_s });
	return ec == EC_RANGE ? why_set(why, EC_CORRUPT, "%s is no domain", domain) : ec;
}

enum ec sts_cache_load(struct sts_cache *c, const char *domain, struct slice text, struct wall now, struct why *why)
{
	json_error_t error;
	if (text.len > STS_FILE_MAX)
		return why_set(why, EC_CORRUPT, "it is longer than %d octets", STS_FILE_MAX);
	json_t *json = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(json)) {
		json_decref(json);
		return why_set(why, EC_CORRUPT, "it is no JSON object");
	}
	enum ec ec = load_json(c, domain, json, now, why);
	json_decref(json);
	return ec;
}

/* A look is about one domain and may have several who wait for it. Its steps are the states below; what
 * each waits for is in `asks` (DNS) and `fetch` (HTTPS). It answers those who wait as soon as it knows,
 * goes on with a fetch if there is one, and ends by itself: nobody needs to wait for it. Everything is
 * told from its timer, so never from inside sts_look. */
#include "proxy/router/sts_look_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/log_fs.h"
#include "proxy/router/sts_cache_fs.h"
#include "proxy/router/sts_fetch_curl.h"

enum {
	ADDRESSES_MAX = 8,
	HTTPS_PORT = 443,
	UPKEEP_MS = 60000,   /* from one look for policies that are due to the next */
	UPKEEP_LOOKS = 8,    /* at most, each time */
	ABSENT_TTL_MS = STS_RETRY_FIRST_S * 1000,
};

enum { ASK_TXT, ASK_A, ASK_AAAA, ASKS };

struct look {
	struct sts *s;
	struct look *next;
	char domain[DOMAIN_MAX + 1];
	char id[STS_ID_MAX + 1];
	uv_timer_t timer; /* tells */
	struct {
		struct look *look;
		struct secure_call *call;
	} asks[ASKS];
	unsigned open_asks;
	unsigned num_addresses;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	struct fetch *fetch;
	struct sts_call *waiting;
	bool known; /* `policy` and `ttl_ms` are what to tell */
	bool working; /* a fetch is under way or about to be */
	bool closing;
	bool has_policy;
	struct sts_policy policy;
	int64_t ttl_ms;
};

struct sts_call {
	struct look *look;
	struct sts_call *next;
	sts_found *found;
	void *arg;
};

struct sts {
	uv_loop_t *loop;
	struct secure *secure;
	struct fetcher *fetcher;
	struct sts_cache *cache;
	int dir; /* -1: there is none */
	uv_timer_t upkeep;
	struct look *looks;
};

static struct wall wall_now(void)
{
	return (struct wall){ (int64_t)time(NULL) };
}

/* --- a look and those who wait for it ------------------------------------------------ */

static void on_look_closed(uv_handle_t *h)
{
	free(h->data);
}

static void look_end(struct look *l)
{
	if (l->closing)
		return;
	l->closing = true;
	struct look **at = &l->s->looks;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	for (unsigned i = 0; i < ASKS; i++)
		secure_cancel(l->asks[i].call);
	fetch_cancel(l->fetch);
	while (l->waiting != NULL) {
		struct sts_call *c = l->waiting;
		l->waiting = c->next;
		free(c);
	}
	uv_close((uv_handle_t *)&l->timer, on_look_closed);
}

static void on_tell(uv_timer_t *t)
{
	struct look *l = t->data;
	while (!l->closing && l->waiting != NULL) {
		struct sts_call *c = l->waiting;
		sts_found *found = c->found;
		void *arg = c->arg;
		l->waiting = c->next;
		free(c);
		found(arg, l->has_policy ? &l->policy : NULL, l->ttl_ms);
	}
	if (!l->closing && !l->working)
		look_end(l);
}

/* settle notes what to tell; `working` says whether the look has more to do. */
static void settle(struct look *l, bool has_policy, int64_t ttl_ms)
{
	l->known = true;
	l->has_policy = has_policy;
	if (l->ttl_ms == 0 || ttl_ms < l->ttl_ms)
		l->ttl_ms = ttl_ms;
	uv_timer_start(&l->timer, on_tell, 0, 0);
}

/* --- the fetch ------------------------------------------------------------------------- */

static void failed(struct look *l, const char *why)
{
	struct wall now = wall_now();
	l->working = false;
	sts_cache_failed(l->s->cache, l->domain, l->id, now);
	bool has = sts_cache_get(l->s->cache, l->domain, now, &l->policy);
	char words[WHY_SIZE];
	(void)snprintf(words, sizeof words, "%.400s; %s", why, has ? "the policy that is known holds on" : "mail goes on without");
	log_why(LOG_WARNING, "mta-sts-fetch", l->domain, words);
	settle(l, has, ABSENT_TTL_MS);
}

static void store(struct look *l)
{
	struct why why = { 0 };
	enum ec ec = sts_cache_store(l->s->cache, l->domain, l->id, &l->policy, wall_now());
	if (ec == EC_OK && l->s->dir >= 0)
		ec = sts_cache_save(l->s->cache, l->s->dir, l->domain, &why);
	if (ec != EC_OK)
		log_why(LOG_WARNING, "mta-sts-cache", l->domain, why.text[0] != '\0' ? why.text : ec_text(ec));
}

static void on_fetched(void *arg, enum ec ec, struct slice text, const struct why *why)
{
	struct look *l = arg;
	struct why own = *why;
	struct sts_policy policy;
	l->fetch = NULL;
	if (ec == EC_OK)
		ec = sts_policy_parse(text, &policy, &own);
	if (ec != EC_OK) {
		failed(l, own.text);
		return;
	}
	l->policy = policy;
	l->working = false;
	store(l);
	struct log_line line;
	log_begin(&line, LOG_INFO, "mta-sts-policy");
	log_str(&line, "domain", l->domain);
	log_str(&line, "id", l->id);
	log_str(&line, "mode", route_sts_name(policy.mode));
	log_int(&line, "max_age", policy.max_age_s);
	log_end(&line);
	settle(l, true, ROUTE_TTL_MAX_MS);
}

static void fetch_now(struct look *l)
{
	struct why why = { 0 };
	enum ec ec = fetch_start(l->s->fetcher, l->domain, l->addresses, l->num_addresses, on_fetched, l, &l->fetch, &why);
	if (ec != EC_OK)
		failed(l, why.text);
}

static void on_address(void *arg, const struct secure_answer *a)
{
	struct look *l = *(struct look **)arg;
	l->asks[a->type == DNS_A ? ASK_A : ASK_AAAA].call = NULL;
	bool good = a->status == SECURE_VALID || a->status == SECURE_INSECURE;
	if (good && secure_addresses(a, HTTPS_PORT, l->addresses, ADDRESSES_MAX, &l->num_addresses) == EC_SYNTAX)
		log_why(LOG_INFO, "mta-sts-record", l->domain, "an address of the policy host has a wrong length");
	if (--l->open_asks > 0)
		return;
	if (l->num_addresses > 0)
		fetch_now(l);
	else
		failed(l, a->why.text[0] != '\0' ? a->why.text : "the policy host has no address");
}

static bool ask(struct look *l, unsigned which, const char *label, uint16_t type, secure_done *done)
{
	struct dns_name name;
	struct why why;
	if (dns_name_parse(slice_str(l->domain), &name, &why) != EC_OK || dns_name_prepend(label, &name, &name, &why) != EC_OK)
		return false;
	l->asks[which].look = l;
	if (secure_ask(l->s->secure, &name, type, 0, done, &l->asks[which].look, &l->asks[which].call, &why) != EC_OK)
		return false;
	l->open_asks++;
	return true;
}

static void resolve(struct look *l)
{
	l->working = true;
	bool asked = ask(l, ASK_A, "mta-sts", DNS_A, on_address);
	asked = ask(l, ASK_AAAA, "mta-sts", DNS_AAAA, on_address) || asked;
	if (!asked)
		failed(l, "the policy host can't be looked up");
}

/* --- the record ---------------------------------------------------------------------------- */

static enum sts_txt read_txt(struct look *l, const struct secure_answer *a)
{
	struct why why = { 0 };
	if (a->status == SECURE_BOGUS || a->status == SECURE_FAILED || (a->num == 0 && !a->nodata && !a->nxdomain))
		return STS_TXT_FAILED;
	l->ttl_ms = (int64_t)a->ttl_s * 1000;
	l->ttl_ms = l->ttl_ms < 1000 ? 1000 : l->ttl_ms > ROUTE_TTL_MAX_MS ? ROUTE_TTL_MAX_MS : l->ttl_ms;
	enum ec ec = sts_txt_parse(a->rdata, a->num, l->id, &why);
	if (ec == EC_SYNTAX || ec == EC_DUPLICATE)
		log_why(LOG_INFO, "mta-sts-record", l->domain, why.text);
	return ec == EC_OK ? STS_TXT_FOUND : STS_TXT_NONE;
}

static void on_txt(void *arg, const struct secure_answer *a)
{
	struct look *l = *(struct look **)arg;
	l->asks[ASK_TXT].call = NULL;
	l->open_asks--;
	enum sts_txt txt = read_txt(l, a);
	switch (sts_cache_decide(l->s->cache, l->domain, txt, l->id, wall_now(), l->waiting != NULL, &l->policy)) {
	case STS_STEP_NONE:
		settle(l, false, txt == STS_TXT_NONE ? ROUTE_TTL_MAX_MS : ABSENT_TTL_MS);
		break;
	case STS_STEP_USE:
		settle(l, true, ROUTE_TTL_MAX_MS);
		break;
	case STS_STEP_USE_AND_FETCH:
		settle(l, true, ROUTE_TTL_MAX_MS);
		resolve(l);
		break;
	case STS_STEP_FETCH:
		resolve(l);
		break;
	}
}

static struct look *look_new(struct sts *s, const char *domain)
{
	struct look *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	l->s = s;
	(void)snprintf(l->domain, sizeof l->domain, "%s", domain);
	uv_timer_init(s->loop, &l->timer);
	l->timer.data = l;
	l->next = s->looks;
	s->looks = l;
	if (!ask(l, ASK_TXT, "_mta-sts", DNS_TXT, on_txt))
		settle(l, sts_cache_get(s->cache, domain, wall_now(), &l->policy), ABSENT_TTL_MS);
	return l;
}

/* A look that has told is no use to who comes later: its record may be another by now. */
static struct look *look_of(struct sts *s, const char *domain)
{
	for (struct look *l = s->looks; l != NULL; l = l->next)
		if (!l->known && strcmp(l->domain, domain) == 0)
			return l;
	return look_new(s, domain);
}

enum ec sts_look(struct sts *s, const char *domain, sts_found *found, void *arg, struct sts_call **out)
{
	struct sts_call *c = calloc(1, sizeof *c);
	struct look *l = c == NULL || strlen(domain) > DOMAIN_MAX ? NULL : look_of(s, domain);
	*out = NULL;
	if (l == NULL) {
		free(c);
		return EC_NO_MEMORY;
	}
	*c = (struct sts_call){ .look = l, .next = l->waiting, .found = found, .arg = arg };
	l->waiting = c;
	*out = c;
	return EC_OK;
}

void sts_cancel(struct sts_call *call)
{
	if (call == NULL)
		return;
	struct sts_call **at = &call->look->waiting;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	free(call);
}

bool sts_known(const struct sts *s, const char *domain, struct sts_policy *out)
{
	return sts_cache_get(s->cache, domain, wall_now(), out);
}

/* --- upkeep, birth and death -------------------------------------------------------------------- */

/* Policies that are in use are fetched anew before they end, whether or not a mail comes just then. */
static void on_upkeep(uv_timer_t *t)
{
	struct sts *s = t->data;
	for (unsigned i = 0; i < UPKEEP_LOOKS; i++) {
		const char *domain = sts_cache_due(s->cache, wall_now());
		if (domain == NULL || look_of(s, domain) == NULL)
			return;
	}
}

enum ec sts_new(uv_loop_t *loop, struct secure *secure, const struct config *cfg, struct sts **out, struct why *why)
{
	char path[4096];
	struct why own = { 0 };
	*out = NULL;
	struct sts *s = calloc(1, sizeof *s);
	if (s == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	*s = (struct sts){ .loop = loop, .secure = secure, .dir = -1, .cache = sts_cache_new() };
	enum ec ec = s->cache == NULL ? why_set(why, EC_NO_MEMORY, "out of memory") : EC_OK;
	if (ec == EC_OK)
		ec = fetcher_new(loop, cfg->sts.ca, cfg->sts.timeout_ms, &s->fetcher, why);
	if (ec != EC_OK) {
		sts_cache_free(s->cache);
		free(s);
		return ec;
	}
	(void)snprintf(path, sizeof path, "%s%s", cfg->sts.cache_dir[0] != '\0' ? cfg->sts.cache_dir : cfg->state_dir,
	               cfg->sts.cache_dir[0] != '\0' ? "" : "/mta-sts");
	if (sts_cache_open(s->cache, path, wall_now(), &s->dir, &own) != EC_OK)
		log_why(LOG_WARNING, "mta-sts-cache", path, own.text);
	uv_timer_init(loop, &s->upkeep);
	s->upkeep.data = s;
	uv_timer_start(&s->upkeep, on_upkeep, UPKEEP_MS, UPKEEP_MS);
	*out = s;
	return EC_OK;
}

static void on_upkeep_closed(uv_handle_t *h)
{
	free(h->data);
}

void sts_free(struct sts *s)
{
	if (s == NULL)
		return;
	while (s->looks != NULL)
		look_end(s->looks);
	fetcher_free(s->fetcher);
	sts_cache_free(s->cache);
	if (s->dir >= 0)
		close(s->dir);
	uv_close((uv_handle_t *)&s->upkeep, on_upkeep_closed);
}

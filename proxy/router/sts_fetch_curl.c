/* libcurl's multi interface under libuv: curl says which sockets it watches (on_socket) and when it
 * wants to be called (on_timer_wish); we call it when one of them is ready or the time has come
 * (act), and then look which transfers have ended. Those are noted first and told afterwards, so
 * that a callback may start or cancel others. */
#include "proxy/router/sts_fetch_curl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "proxy/router/sts.h"

enum { URL_SIZE = 320, RESOLVE_SIZE = 1024, HTTPS_PORT = 443 };

struct watch {
	uv_poll_t poll;
	struct fetcher *f;
	curl_socket_t fd;
};

struct fetch {
	struct fetcher *f;
	struct fetch *next;
	CURL *easy;
	struct curl_slist *resolve;
	struct bytes text;
	bool too_long;
	bool ended;
	CURLcode code;
	char error[CURL_ERROR_SIZE];
	fetch_done *done;
	void *arg;
};

struct fetcher {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	char *ca;
	long timeout_ms;
	unsigned num;
	struct fetch *fetches;
	bool closing;
};

/* --- one transfer ------------------------------------------------------------------ */

static void fetch_free(struct fetch *c)
{
	struct fetch **at = &c->f->fetches;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->f->num--;
	if (c->easy != NULL) {
		(void)curl_multi_remove_handle(c->f->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->resolve);
	bytes_fini(&c->text);
	free(c);
}

void fetch_cancel(struct fetch *c)
{
	if (c != NULL)
		fetch_free(c);
}

static bool is_plain_text(const char *type)
{
	static const char plain[] = "text/plain";
	size_t len = sizeof plain - 1;
	return type != NULL && strncasecmp(type, plain, len) == 0 && (type[len] == '\0' || strchr("; \t", type[len]) != NULL);
}

static enum ec judge_code(const struct fetch *c, struct why *why)
{
	const char *words = c->error[0] != '\0' ? c->error : curl_easy_strerror(c->code);
	switch (c->code) {
	case CURLE_OPERATION_TIMEDOUT:
		return why_set(why, EC_TIMEOUT, "the policy host did not answer in time");
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return why_set(why, EC_TLS, "policy host: %s", words);
	case CURLE_SSL_CACERT_BADFILE:
		return why_set(why, EC_TLS, "mta_sts.ca: %s", words);
	default:
		return why_set(why, EC_IO, "policy host: %s", words);
	}
}

static enum ec judge(const struct fetch *c, struct why *why)
{
	long status = 0;
	const char *type = NULL;
	if (c->too_long)
		return why_set(why, EC_LIMIT, "the policy is longer than %d octets", STS_POLICY_MAX);
	if (c->code != CURLE_OK)
		return judge_code(c, why);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
	if (status != 200)
		return why_set(why, EC_UNSUPPORTED, "the policy host answered with status %ld", status);
	if (!is_plain_text(type))
		return why_set(why, EC_UNSUPPORTED, "the policy is not text/plain but %.60s", type == NULL ? "nothing" : type);
	return EC_OK;
}

static void tell(struct fetch *c)
{
	struct why why = { 0 };
	enum ec ec = judge(c, &why);
	/* Off the list before the callback, which may start or cancel others. */
	struct bytes text = c->text;
	c->text = (struct bytes){ 0 };
	fetch_done *done = c->done;
	void *arg = c->arg;
	fetch_free(c);
	done(arg, ec, bytes_slice(&text), &why);
	bytes_fini(&text);
}

static size_t on_data(char *p, size_t size, size_t num, void *arg)
{
	struct fetch *c = arg;
	size_t len = size * num;
	c->too_long = c->too_long || bytes_len(&c->text) + len > STS_POLICY_MAX;
	if (c->too_long || bytes_append(&c->text, slice_of(p, len)) != EC_OK)
		return CURL_WRITEFUNC_ERROR;
	return len;
}

/* --- curl under libuv ----------------------------------------------------------------- */

static void look_for_ends(struct fetcher *f)
{
	int left;
	CURLMsg *m;
	while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct fetch *c = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		c->ended = true;
		c->code = m->data.result;
	}
	for (struct fetch *c = f->fetches; c != NULL && !f->closing;) {
		bool due = c->ended;
		if (due)
			tell(c);
		c = due ? f->fetches : c->next;
	}
}

static void act(struct fetcher *f, curl_socket_t fd, int events)
{
	int running;
	(void)curl_multi_socket_action(f->multi, fd, events, &running);
	look_for_ends(f);
}

static void on_timer(uv_timer_t *t)
{
	act(t->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *multi, long ms, void *arg)
{
	struct fetcher *f = arg;
	(void)multi;
	if (f->closing)
		return 0;
	if (ms < 0)
		(void)uv_timer_stop(&f->timer);
	else
		(void)uv_timer_start(&f->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void on_ready(uv_poll_t *p, int status, int events)
{
	struct watch *w = p->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;
	flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
	flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
	act(w->f, w->fd, flags);
}

static void on_watch_closed(uv_handle_t *h)
{
	free(h->data);
}

/* curl is about to close the descriptor: libuv must have let go of it by then, which
 * uv_poll_stop sees to at once. */
static void unwatch(struct fetcher *f, curl_socket_t fd, struct watch *w)
{
	if (w == NULL)
		return;
	(void)uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
	(void)curl_multi_assign(f->multi, fd, NULL);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct fetcher *f = arg;
	struct watch *w = socket_arg;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(f, fd, w);
		return 0;
	}
	if (w == NULL) {
		w = calloc(1, sizeof *w);
		if (w == NULL || uv_poll_init(f->loop, &w->poll, fd) != 0) {
			free(w);
			return -1;
		}
		w->f = f;
		w->fd = fd;
		w->poll.data = w;
		(void)curl_multi_assign(f->multi, fd, w);
	}
	int events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
	events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
	return uv_poll_start(&w->poll, events, on_ready) == 0 ? 0 : -1;
}

/* --- birth and death -------------------------------------------------------------------- */

enum ec fetcher_new(uv_loop_t *loop, const char *ca, int64_t timeout_ms, struct fetcher **out, struct why *why)
{
	*out = NULL;
	struct fetcher *f = calloc(1, sizeof *f);
	if (f == NULL || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
		free(f);
		return why_set(why, EC_NO_MEMORY, "no memory for HTTPS");
	}
	f->loop = loop;
	f->timeout_ms = (long)timeout_ms;
	f->ca = strdup(ca);
	f->multi = curl_multi_init();
	if (f->ca == NULL || f->multi == NULL) {
		if (f->multi != NULL)
			(void)curl_multi_cleanup(f->multi);
		free(f->ca);
		free(f);
		return why_set(why, EC_NO_MEMORY, "no memory for HTTPS");
	}
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	(void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	(void)curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	(void)curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	*out = f;
	return EC_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct fetcher *f = h->data;
	free(f->ca);
	free(f);
}

void fetcher_free(struct fetcher *f)
{
	if (f == NULL || f->closing)
		return;
	f->closing = true;
	while (f->fetches != NULL)
		fetch_free(f->fetches);
	(void)curl_multi_cleanup(f->multi);
	uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

/* "host:443:addr,addr": the names that curl would look up itself. An address is in brackets if it has colons. */
static bool write_resolve(const char *domain, const struct sockaddr_storage *addresses, unsigned num, char out[RESOLVE_SIZE])
{
	struct writer w = writer_of(out, RESOLVE_SIZE);
	writer_format(&w, "mta-sts.%s:%d:", domain, HTTPS_PORT);
	for (unsigned i = 0; i < num; i++) {
		char text[ADDRESS_TEXT_SIZE];
		address_print_ip(text, &addresses[i]);
		bool v6 = addresses[i].ss_family == AF_INET6;
		writer_format(&w, "%s%s%s%s", i > 0 ? "," : "", v6 ? "[" : "", text, v6 ? "]" : "");
	}
	return !w.bad;
}

static bool set_options(struct fetch *c, const char *url)
{
	CURL *e = c->easy;
	bool ok = curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_RESOLVE, c->resolve) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK; /* RFC 8461 3.3 */
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
	ok = ok && (c->f->ca[0] == '\0' || curl_easy_setopt(e, CURLOPT_CAINFO, c->f->ca) == CURLE_OK);
	ok = ok && curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, c->f->timeout_ms) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PRIVATE, c) == CURLE_OK;
	return ok && curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK;
}

enum ec fetch_start(struct fetcher *f, const char *domain, const struct sockaddr_storage *addresses, unsigned num,
                    fetch_done *done, void *arg, struct fetch **out, struct why *why)
{
	char url[URL_SIZE], resolve[RESOLVE_SIZE];
	*out = NULL;
	if (f->num == FETCHES_MAX)
		return why_set(why, EC_BUSY, "%d policies are being fetched already", FETCHES_MAX);
	int len = snprintf(url, sizeof url, "https://mta-sts.%s/.well-known/mta-sts.txt", domain);
	if (num == 0 || len < 0 || (size_t)len >= sizeof url || !write_resolve(domain, addresses, num, resolve))
		return why_set(why, EC_RANGE, "no address, or too long a name, for the policy host of %s", domain);
	struct fetch *c = calloc(1, sizeof *c);
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory to fetch a policy");
	*c = (struct fetch){ .f = f, .next = f->fetches, .done = done, .arg = arg };
	f->fetches = c;
	f->num++;
	c->resolve = curl_slist_append(NULL, resolve);
	c->easy = curl_easy_init();
	if (c->easy == NULL || c->resolve == NULL || !set_options(c, url) || curl_multi_add_handle(f->multi, c->easy) != CURLM_OK) {
		fetch_free(c);
		return why_set(why, EC_NO_MEMORY, "no memory to fetch a policy");
	}
	*out = c;
	return EC_OK;
}

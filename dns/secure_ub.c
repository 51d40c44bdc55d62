/* A question: secure_ask -> ub_resolve_async -> (libunbound's thread works) ->
 * on_readable -> ub_process -> on_result, which only notes the result -> deliver,
 * outside of libunbound, runs the callbacks.
 *
 * A context is used for a short time (secure_ub.h says why), then it is retired: no
 * new questions. When its last question has ended its poll handle is closed, and the close
 * callback deletes it: ub_ctx_delete closes the descriptor that was polled, and
 * must not run inside ub_process. `struct secure` itself goes when it is closing,
 * its timer is closed and no context is left. */
#include "dns/secure_ub.h"

#include "dns/secure_config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unbound.h>
#include <unistd.h>

enum { TIMEOUT_MS = 5000, FILE_MAX = 65536, HOLD_MS = 600000 };

/* libunbound reads the hints only when its thread starts: they stay open. */
enum memory_file { FILE_CONFIG, FILE_ANCHOR, FILE_HINTS, FILE_COUNT };

struct context {
	struct secure *s;
	struct ub_ctx *ub;
	int files[FILE_COUNT]; /* -1 = none */
	uv_poll_t poll;
	uint64_t born_ms;
	unsigned num_calls;
	bool used; /* it was asked something */
	bool retired;
	bool closing;
	struct context *next;
};

struct secure_call {
	struct secure *s;
	struct context *context;
	int id; /* libunbound's */
	struct dns_name name;
	uint16_t type;
	uint64_t deadline_ms;
	bool ended; /* `err` and `result` are valid */
	int err;
	struct ub_result *result;
	secure_done *done;
	void *arg;
	struct secure_call *next;
};

struct secure {
	uv_loop_t *loop;
	uv_timer_t timer;
	char *config; /* text for ub_ctx_config */
	char *anchor; /* text of the trust anchor file */
	char *hints;  /* text of the root hints file, or NULL */
	int timeout_ms;
	uint64_t life_ms;
	bool keep_test_tld;
	bool at_one_server; /* secure_new_at */
	unsigned holds;
	struct context *current;
	struct context *contexts;
	struct secure_call *calls;
	unsigned delivering;
	bool closing;
	bool timer_closed;
};

/* --- contexts --- */

/* The text in as much room as it needs: it is kept as long as the resolver. */
static char *shrunk(char *text, size_t size)
{
	char *less = realloc(text, size);
	return less != NULL ? less : text;
}

static enum ec make_config(struct secure *s, const struct secure_options *o, const struct dns_name *zone,
			   const struct sockaddr_storage *at, struct why *why)
{
	s->config = malloc(SECURE_CONFIG_MAX);
	if (s->config == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	struct writer w = writer_of(s->config, SECURE_CONFIG_MAX);
	enum ec ec = secure_config_write(o, zone, at, &w, why);
	if (ec == EC_OK)
		s->config = shrunk(s->config, strlen(s->config) + 1);
	return ec;
}

static enum ec read_file(const char *path, const char *what, char **out, struct why *why)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return why_set(why, EC_IO, "%s %s: %m", what, path);
	char *text = calloc(1, FILE_MAX);
	size_t len = text != NULL ? fread(text, 1, FILE_MAX, f) : 0;
	bool bad = ferror(f) != 0;
	(void)fclose(f);
	*out = text != NULL && len < FILE_MAX ? shrunk(text, len + 1) : text; /* the caller frees it, come what may */
	if (text == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	if (bad)
		return why_set(why, EC_IO, "%s %s: can't be read", what, path);
	if (len == FILE_MAX)
		return why_set(why, EC_SYNTAX, "%s %s: longer than %d octets", what, path, FILE_MAX - 1);
	return EC_OK;
}

static enum ec read_files(struct secure *s, const struct secure_options *o, struct why *why)
{
	const char *anchor = o->trust_anchor_file, *hints = o->root_hints_file;
	if (anchor == NULL || anchor[0] == '\0')
		return why_set(why, EC_MISSING, "no trust anchor file is named");
	enum ec ec = read_file(anchor, "trust anchor", &s->anchor, why);
	if (ec == EC_OK && !secure_config_anchors_root(slice_str(s->anchor)))
		ec = why_set(why, EC_MISSING, "trust anchor %s: there is no DS or DNSKEY for \".\" in it", anchor);
	if (ec == EC_OK && hints != NULL && hints[0] != '\0')
		ec = read_file(hints, "root hints", &s->hints, why);
	return ec;
}

/* Gives libunbound, which takes names of files only, this text as a file that only
 * this process has. */
static bool memory_file(struct context *c, enum memory_file which, const char *text, char path[32])
{
	size_t len = strlen(text);
	int fd = memfd_create("danegate-dns", MFD_CLOEXEC);
	c->files[which] = fd;
	(void)snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd >= 0 && write(fd, text, len) == (ssize_t)len;
}

static int context_load(const struct secure *s, struct context *c)
{
	char config[32], anchor[32], hints[32];
	if (!memory_file(c, FILE_CONFIG, s->config, config) || !memory_file(c, FILE_ANCHOR, s->anchor, anchor) ||
	    !memory_file(c, FILE_HINTS, s->hints != NULL ? s->hints : "", hints))
		return UB_READFILE;
	(void)ub_ctx_debugout(c->ub, NULL); /* it would print to our standard error */
	int rc = ub_ctx_async(c->ub, 1);
	if (rc == 0)
		rc = ub_ctx_config(c->ub, config);
	if (rc == 0 && s->hints != NULL)
		rc = ub_ctx_set_option(c->ub, "root-hints:", hints);
	if (rc == 0)
		rc = ub_ctx_add_ta_file(c->ub, anchor);
	/* Also makes libunbound read the anchor now. Nothing lives under "invalid". */
	if (rc == 0)
		rc = ub_ctx_zone_remove(c->ub, s->keep_test_tld ? "test." : "nothing.invalid.");
	return rc;
}

static void context_delete(struct context *c)
{
	ub_ctx_delete(c->ub); /* stops and joins the thread; NULL is allowed */
	for (size_t i = 0; i < FILE_COUNT; i++) {
		if (c->files[i] >= 0)
			(void)close(c->files[i]);
	}
	free(c);
}

static void secure_delete(struct secure *s)
{
	free(s->config);
	free(s->anchor);
	free(s->hints);
	free(s);
}

static void secure_finish(struct secure *s)
{
	if (s->closing && s->timer_closed && s->contexts == NULL && s->delivering == 0)
		secure_delete(s);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct context *c = h->data;
	struct secure *s = c->s;
	struct context **at = &s->contexts;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	context_delete(c);
	secure_finish(s);
}

/* Deletes a retired context once nobody waits for it. */
static void context_reap(struct context *c)
{
	if (!c->retired || c->num_calls > 0 || c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

static void context_retire(struct secure *s)
{
	struct context *c = s->current;
	s->current = NULL;
	if (c == NULL)
		return;
	c->retired = true;
	context_reap(c);
}

static void on_readable(uv_poll_t *p, int status, int events);

static enum ec context_new(struct secure *s, struct why *why)
{
	struct context *c = calloc(1, sizeof *c);
	if (c == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	for (size_t i = 0; i < FILE_COUNT; i++)
		c->files[i] = -1;
	c->s = s;
	c->ub = ub_ctx_create();
	int rc = c->ub != NULL ? context_load(s, c) : UB_NOMEM;
	if (rc == 0 && uv_poll_init(s->loop, &c->poll, ub_fd(c->ub)) != 0)
		rc = UB_SOCKET;
	if (rc != 0) {
		context_delete(c);
		return why_set(why, rc == UB_NOMEM ? EC_NO_MEMORY : EC_SYNTAX,
			       "libunbound: %s: is the trust anchor or root hints file damaged?", ub_strerror(rc));
	}
	c->poll.data = c;
	c->born_ms = uv_now(s->loop);
	c->next = s->contexts;
	s->contexts = s->current = c;
	return EC_OK;
}

/* Is it too old for another question? Between two questions it may have become stale, beside a question under way
 * (A beside AAAA) it can't have. */
static bool is_over(const struct secure *s, const struct context *c)
{
	uint64_t life = s->holds > 0 ? HOLD_MS : s->life_ms;
	bool idle = c->used && c->num_calls == 0 && s->holds == 0 && !s->at_one_server;
	return idle || uv_now(s->loop) - c->born_ms > life;
}

static enum ec context_get(struct secure *s, struct why *why)
{
	uv_update_time(s->loop);
	if (s->current != NULL && is_over(s, s->current))
		context_retire(s);
	return s->current != NULL ? EC_OK : context_new(s, why);
}

/* --- questions --- */

/* Takes the call off the list and out of its context, and frees it. */
static void call_free(struct secure_call *call)
{
	struct secure *s = call->s;
	struct secure_call **at = &s->calls;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	struct context *c = call->context;
	if (!call->ended) {
		/* From here on_result is not called for it. */
		int rc = ub_cancel(c->ub, call->id);
		assert(rc == 0 || rc == UB_NOID);
	}
	if (--c->num_calls == 0)
		(void)uv_poll_stop(&c->poll);
	if (c == s->current && is_over(s, c))
		context_retire(s);
	context_reap(c);
	ub_resolve_free(call->result);
	free(call);
}

static void read_records(const struct ub_result *r, struct secure_answer *a)
{
	for (size_t i = 0; r->data != NULL && r->data[i] != NULL; i++) {
		if (a->num == SECURE_RDATA_MAX) {
			/* Never seen in good faith; half a set must not be judged. */
			a->num = 0;
			a->status = SECURE_FAILED;
			a->ec = why_set(&a->why, EC_DNS_FAILED, "more than %d records", SECURE_RDATA_MAX);
			return;
		}
		a->rdata[a->num++] = slice_of(r->data[i], (size_t)r->len[i]);
	}
	a->nxdomain = r->nxdomain != 0;
	a->nodata = a->num == 0 && !a->nxdomain;
	a->ttl_s = r->ttl > 0 ? (uint32_t)r->ttl : 0;
	if (r->canonname != NULL && dns_name_parse(slice_str(r->canonname), &a->canonical, NULL) != EC_OK)
		a->canonical = a->question;
	if (r->answer_packet != NULL && r->answer_len > 0)
		a->packet = slice_of(r->answer_packet, (size_t)r->answer_len);
}

static void make_answer(const struct secure_call *call, struct secure_answer *a)
{
	const struct ub_result *r = call->result;
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, &call->name);
	memset(a, 0, sizeof *a);
	a->question = a->canonical = call->name;
	a->type = call->type;
	a->rcode = r != NULL ? r->rcode : DNS_SERVFAIL;
	if (!call->ended) {
		a->ec = why_set(&a->why, EC_TIMEOUT, "%.200s %s: no answer in time", name, dns_type_name(call->type));
	} else if (call->err != 0 || r == NULL) {
		a->ec = why_set(&a->why, call->err == UB_NOMEM ? EC_NO_MEMORY : EC_DNS_FAILED, "%.200s %s: %s", name,
				dns_type_name(call->type), ub_strerror(call->err));
	} else if (r->bogus) {
		a->status = SECURE_BOGUS;
		a->ec = why_set(&a->why, EC_DNS_BOGUS, "%.100s %s: %s", name, dns_type_name(call->type),
				r->why_bogus != NULL ? r->why_bogus : "validation failed");
	} else if (r->rcode != DNS_NOERROR && r->rcode != DNS_NXDOMAIN) {
		a->ec = why_set(&a->why, EC_DNS_FAILED, "%.200s %s: %s: no usable answer from the zone's servers", name,
				dns_type_name(call->type), dns_rcode_name(r->rcode));
	} else {
		a->status = r->secure ? SECURE_VALID : SECURE_INSECURE;
		read_records(r, a);
	}
}

static void deliver(struct secure_call *call)
{
	struct secure *s = call->s;
	struct secure_answer answer;
	make_answer(call, &answer);
	secure_done *done = call->done;
	void *arg = call->arg;
	/* The call leaves the list first, so that neither secure_cancel nor secure_free
	 * in the callback can touch it; its result lives until the callback is over. */
	struct ub_result *result = call->result;
	call->result = NULL;
	s->delivering++;
	call_free(call);
	done(arg, &answer);
	ub_resolve_free(result);
	s->delivering--;
}

static void arm_timer(struct secure *s);

static void on_timer(uv_timer_t *t)
{
	struct secure *s = t->data;
	s->delivering++;
	if (s->current != NULL && is_over(s, s->current))
		context_retire(s);
	/* One at a time: a callback may change the list. */
	for (struct secure_call *c = s->calls; c != NULL;) {
		bool due = c->ended || c->deadline_ms <= uv_now(s->loop);
		if (due)
			deliver(c);
		c = due ? s->calls : c->next;
	}
	s->delivering--;
	arm_timer(s);
	secure_finish(s);
}

static void arm_timer(struct secure *s)
{
	if (s->closing)
		return;
	uint64_t first = UINT64_MAX;
	for (const struct secure_call *c = s->calls; c != NULL; c = c->next)
		first = c->deadline_ms < first ? c->deadline_ms : first;
	/* A thread and its memory are not kept for a question that may come in an hour. */
	if (s->current != NULL && s->holds == 0 && s->current->born_ms + s->life_ms + 1 < first)
		first = s->current->born_ms + s->life_ms + 1;
	uint64_t now = uv_now(s->loop);
	if (first == UINT64_MAX)
		(void)uv_timer_stop(&s->timer);
	else
		(void)uv_timer_start(&s->timer, on_timer, first > now ? first - now : 0, 0);
}

/* libunbound's callback, inside ub_process: note, no more. */
static void on_result(void *arg, int err, struct ub_result *result)
{
	struct secure_call *call = arg;
	call->ended = true;
	call->err = err;
	call->result = result;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct context *c = p->data;
	struct secure *s = c->s;
	(void)events;
	int rc = status < 0 ? UB_PIPE : ub_process(c->ub);
	s->delivering++;
	for (struct secure_call *call = s->calls; call != NULL;) {
		/* With the pipe broken no answer can come: fail all it carried. */
		bool lost = rc != 0 && call->context == c && !call->ended;
		if (lost) {
			(void)ub_cancel(c->ub, call->id);
			on_result(call, UB_PIPE, NULL);
		}
		bool due = call->ended;
		if (due)
			deliver(call);
		call = due ? s->calls : call->next;
	}
	if (rc != 0 && s->current == c)
		context_retire(s);
	s->delivering--;
	arm_timer(s);
	secure_finish(s);
}

enum ec secure_ask(struct secure *s, const struct dns_name *name, uint16_t type, int timeout_ms, secure_done *done,
		   void *arg, struct secure_call **out_call, struct why *why)
{
	char text[DNS_NAME_TEXT_SIZE + 1];
	if (out_call != NULL)
		*out_call = NULL;
	assert(!s->closing && name->len > 0);
	enum ec ec = context_get(s, why);
	if (ec != EC_OK)
		return ec == EC_NO_MEMORY ? ec : EC_DNS_FAILED;
	struct secure_call *call = calloc(1, sizeof *call);
	if (call == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for a DNS question");
	struct context *c = s->current;
	*call = (struct secure_call){ .s = s, .context = c, .name = *name, .type = type, .done = done, .arg = arg };
	int ms = timeout_ms > 0 ? timeout_ms : s->timeout_ms;
	call->deadline_ms = uv_now(s->loop) + (uint64_t)ms;
	dns_name_print(text, name);
	if (!dns_name_is_root(name))
		strcat(text, ".");
	int rc = ub_resolve_async(c->ub, text, type, 1, call, on_result, &call->id);
	if (rc == 0 && uv_poll_start(&c->poll, UV_READABLE, on_readable) != 0) {
		(void)ub_cancel(c->ub, call->id);
		rc = UB_SOCKET;
	}
	if (rc != 0) {
		free(call);
		return why_set(why, rc == UB_NOMEM ? EC_NO_MEMORY : EC_DNS_FAILED, "libunbound: %s", ub_strerror(rc));
	}
	c->num_calls++;
	c->used = true;
	call->next = s->calls;
	s->calls = call;
	arm_timer(s);
	if (out_call != NULL)
		*out_call = call;
	return EC_OK;
}

void secure_cancel(struct secure_call *call)
{
	if (call == NULL)
		return;
	struct secure *s = call->s;
	call_free(call);
	arm_timer(s);
}

void secure_forget(struct secure *s)
{
	context_retire(s);
}

void secure_hold(struct secure *s)
{
	if (s->holds++ == 0)
		context_retire(s);
}

void secure_release(struct secure *s)
{
	assert(s->holds > 0);
	if (--s->holds == 0)
		context_retire(s);
}

/* --- birth and death --- */

static void on_timer_closed(uv_handle_t *h)
{
	struct secure *s = h->data;
	s->timer_closed = true;
	secure_finish(s);
}

void secure_free(struct secure *s)
{
	if (s == NULL || s->closing)
		return;
	s->closing = true;
	while (s->calls != NULL)
		call_free(s->calls);
	context_retire(s);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static enum ec make(uv_loop_t *loop, const struct secure_options *options, const struct dns_name *zone,
		    const struct sockaddr_storage *at, struct secure **out, struct why *why)
{
	*out = NULL;
	struct secure *s = calloc(1, sizeof *s);
	if (s == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	s->loop = loop;
	s->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
	s->keep_test_tld = options->keep_test_tld;
	s->at_one_server = zone != NULL;
	s->life_ms = zone != NULL ? SECURE_PARENTS_MS : SECURE_FRESH_MS;
	enum ec ec = read_files(s, options, why);
	if (ec == EC_OK)
		ec = make_config(s, options, zone, at, why);
	if (ec == EC_OK) {
		uv_update_time(loop);
		ec = context_new(s, why);
	}
	if (ec != EC_OK) {
		secure_delete(s);
		return ec;
	}
	int rc = uv_timer_init(loop, &s->timer);
	assert(rc == 0); /* can't fail in libuv 1.x */
	(void)rc;
	s->timer.data = s;
	uv_unref((uv_handle_t *)&s->timer); /* what is asked keeps the loop running by its descriptor */
	arm_timer(s);
	*out = s;
	return EC_OK;
}

enum ec secure_new(uv_loop_t *loop, const struct secure_options *options, struct secure **out, struct why *why)
{
	return make(loop, options, NULL, NULL, out, why);
}

enum ec secure_new_at(uv_loop_t *loop, const struct secure_options *options, const struct dns_name *zone,
		      const struct sockaddr_storage *at, struct secure **out, struct why *why)
{
	return make(loop, options, zone, at, out, why);
}

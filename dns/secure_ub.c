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

#include "base/address.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unbound.h>
#include <unistd.h>

enum { TIMEOUT_MS = 5000, CONFIG_MAX = 16384, ANCHOR_MAX = 65536, HOLD_MS = 600000 };

struct context {
	struct secure *s;
	struct ub_ctx *ub;
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
	char *anchor_file;
	char *hints_file;
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

/* --- settings --- */

/* Why each: see unbound.conf(5). Nothing may outlive its truth (serve-expired,
 * aggressive-nsec, val-bogus-ttl, neg-cache), and a server that was dead a moment ago is tried again. */
static const char fixed_config[] = "server:\n"
				   " verbosity: 0\n"
				   " use-syslog: no\n"
				   " module-config: \"validator iterator\"\n"
				   " do-not-query-localhost: no\n"
				   " qname-minimisation: yes\n"
				   " harden-glue: yes\n"
				   " harden-dnssec-stripped: yes\n"
				   " harden-below-nxdomain: yes\n"
				   " edns-buffer-size: 1232\n"
				   " minimal-responses: no\n"
				   " trust-anchor-signaling: no\n"
				   " aggressive-nsec: no\n"
				   " serve-expired: no\n"
				   " prefetch: no\n"
				   " val-bogus-ttl: 0\n"
				   " neg-cache-size: 0\n"
				   " infra-host-ttl: 1\n"
				   " infra-keep-probing: yes\n"
				   " msg-cache-slabs: 1\n"
				   " rrset-cache-slabs: 1\n"
				   " infra-cache-slabs: 1\n"
				   " key-cache-slabs: 1\n";

/* "192.0.2.1@53", as unbound.conf wants it. */
static void write_address(struct writer *w, const struct sockaddr_storage *a)
{
	char ip[ADDRESS_TEXT_SIZE];
	address_print_ip(ip, a);
	writer_format(w, "%s@%u", ip, address_port(a));
}

static enum ec write_forwarders(struct writer *w, const struct secure_options *o, struct why *why)
{
	if (o->num_forwarders == 0)
		return EC_OK;
	writer_str(w, "forward-zone:\n name: \".\"\n");
	for (size_t i = 0; i < o->num_forwarders; i++) {
		struct sockaddr_storage a;
		enum ec ec = address_parse(slice_str(o->forwarders[i]), 53, &a, why);
		if (ec != EC_OK) {
			why_prefix(why, "resolver \"%.100s\"", o->forwarders[i]);
			return EC_SYNTAX;
		}
		writer_str(w, " forward-addr: ");
		write_address(w, &a);
		writer_str(w, "\n");
	}
	return EC_OK;
}

/* One server for one zone. Without the key cache its DNSKEY is fetched from it
 * too, each time. */
static void write_stub(struct writer *w, const struct dns_name *zone, const struct sockaddr_storage *at)
{
	char name[DNS_NAME_TEXT_SIZE];
	dns_name_print(name, zone);
	writer_format(w, " key-cache-size: 0\nstub-zone:\n name: \"%s\"\n stub-no-cache: yes\n stub-addr: ", name);
	write_address(w, at);
	writer_str(w, "\n");
}

static enum ec make_config(struct secure *s, const struct secure_options *o, const struct dns_name *zone,
			   const struct sockaddr_storage *at, struct why *why)
{
	s->config = malloc(CONFIG_MAX);
	if (s->config == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	struct writer w = writer_of(s->config, CONFIG_MAX);
	writer_str(&w, fixed_config);
	if (zone != NULL)
		write_stub(&w, zone, at);
	enum ec ec = write_forwarders(&w, o, why);
	if (ec == EC_OK && w.bad)
		return why_set(why, EC_SYNTAX, "too many resolvers");
	return ec;
}

/* --- contexts --- */

/* A file without a root anchor would make the whole tree "insecure", and the pin
 * guard would let everything pass. */
static bool names_root_anchor(char *text)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, ";")] = '\0';
		char *words = NULL;
		char *word = strtok_r(line, " \t\r", &words);
		if (word == NULL || strcmp(word, ".") != 0)
			continue;
		while ((word = strtok_r(NULL, " \t\r", &words)) != NULL) {
			if (strcasecmp(word, "DS") == 0 || strcasecmp(word, "DNSKEY") == 0)
				return true;
		}
	}
	return false;
}

static enum ec read_file(const char *path, const char *what, char *out, size_t size, struct why *why)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return why_set(why, EC_IO, "%s %s: %m", what, path);
	size_t len = fread(out, 1, size - 1, f);
	bool bad = ferror(f) != 0;
	(void)fclose(f);
	out[len] = '\0';
	return bad ? why_set(why, EC_IO, "%s %s: can't be read", what, path) : EC_OK;
}

static enum ec check_files(const struct secure *s, struct why *why)
{
	char *text = malloc(ANCHOR_MAX);
	if (text == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	enum ec ec = read_file(s->anchor_file, "trust anchor", text, ANCHOR_MAX, why);
	if (ec == EC_OK && !names_root_anchor(text))
		ec = why_set(why, EC_MISSING, "trust anchor %s: there is no DS or DNSKEY for \".\" in it", s->anchor_file);
	if (ec == EC_OK && s->hints_file != NULL)
		ec = read_file(s->hints_file, "root hints", text, ANCHOR_MAX, why);
	free(text);
	return ec;
}

/* ub_ctx_config takes a file name only: an anonymous file has one. */
static int config_load(struct ub_ctx *ub, const char *text)
{
	char path[64];
	int fd = memfd_create("danegate-dns", MFD_CLOEXEC);
	if (fd < 0)
		return UB_READFILE;
	size_t len = strlen(text);
	int rc = UB_READFILE;
	if (write(fd, text, len) == (ssize_t)len) {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		rc = ub_ctx_config(ub, path);
	}
	(void)close(fd);
	return rc;
}

static enum ec context_setup(struct secure *s, struct ub_ctx *ub, struct why *why)
{
	(void)ub_ctx_debugout(ub, NULL); /* it would print to our standard error */
	int rc = ub_ctx_async(ub, 1);
	if (rc == 0)
		rc = config_load(ub, s->config);
	if (rc == 0 && s->hints_file != NULL)
		rc = ub_ctx_set_option(ub, "root-hints:", s->hints_file);
	if (rc == 0)
		rc = ub_ctx_add_ta_file(ub, s->anchor_file);
	/* Also makes libunbound read its files now. Nothing lives under "invalid". */
	if (rc == 0)
		rc = ub_ctx_zone_remove(ub, s->keep_test_tld ? "test." : "nothing.invalid.");
	if (rc == 0)
		return EC_OK;
	return why_set(why, rc == UB_NOMEM ? EC_NO_MEMORY : EC_SYNTAX, "libunbound: %s; trust anchor %s%s%s", ub_strerror(rc),
		       s->anchor_file, s->hints_file != NULL ? ", root hints " : "", s->hints_file != NULL ? s->hints_file : "");
}

static void secure_finish(struct secure *s)
{
	if (!s->closing || !s->timer_closed || s->contexts != NULL || s->delivering > 0)
		return;
	free(s->config);
	free(s->anchor_file);
	free(s->hints_file);
	free(s);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct context *c = h->data;
	struct secure *s = c->s;
	struct context **at = &s->contexts;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ub_ctx_delete(c->ub); /* stops and joins the thread */
	free(c);
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
	struct ub_ctx *ub = c != NULL ? ub_ctx_create() : NULL;
	if (ub == NULL) {
		free(c);
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	}
	enum ec ec = context_setup(s, ub, why);
	int rc = 0;
	if (ec == EC_OK) {
		rc = uv_poll_init(s->loop, &c->poll, ub_fd(ub));
		if (rc != 0)
			ec = why_set(why, EC_IO, "libunbound: %s", uv_strerror(rc));
	}
	if (ec != EC_OK) {
		ub_ctx_delete(ub);
		free(c);
		return ec;
	}
	c->s = s;
	c->ub = ub;
	c->poll.data = c;
	c->born_ms = uv_now(s->loop);
	c->next = s->contexts;
	s->contexts = s->current = c;
	return EC_OK;
}

/* Makes sure that s->current is fresh enough: between two questions it may have
 * become stale, beside a question under way (A beside AAAA) it can't have. */
static enum ec context_get(struct secure *s, struct why *why)
{
	uv_update_time(s->loop);
	const struct context *c = s->current;
	uint64_t life = s->holds > 0 ? HOLD_MS : s->life_ms;
	bool idle = c != NULL && c->used && c->num_calls == 0 && s->holds == 0 && !s->at_one_server;
	if (c != NULL && (idle || uv_now(s->loop) - c->born_ms > life))
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

static enum ec copy_options(struct secure *s, const struct secure_options *o, struct why *why)
{
	if (o->trust_anchor_file == NULL || o->trust_anchor_file[0] == '\0')
		return why_set(why, EC_MISSING, "no trust anchor file is named");
	s->anchor_file = strdup(o->trust_anchor_file);
	if (o->root_hints_file != NULL && o->root_hints_file[0] != '\0') {
		s->hints_file = strdup(o->root_hints_file);
		if (s->hints_file == NULL)
			return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	}
	s->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
	s->keep_test_tld = o->keep_test_tld;
	return s->anchor_file != NULL ? EC_OK : why_set(why, EC_NO_MEMORY, "no memory for the resolver");
}

static enum ec make(uv_loop_t *loop, const struct secure_options *options, const struct dns_name *zone,
		    const struct sockaddr_storage *at, struct secure **out, struct why *why)
{
	*out = NULL;
	struct secure *s = calloc(1, sizeof *s);
	if (s == NULL)
		return why_set(why, EC_NO_MEMORY, "no memory for the resolver");
	s->loop = loop;
	s->at_one_server = zone != NULL;
	s->life_ms = zone != NULL ? SECURE_PARENTS_MS : SECURE_FRESH_MS;
	enum ec ec = copy_options(s, options, why);
	if (ec == EC_OK)
		ec = make_config(s, options, zone, at, why);
	if (ec == EC_OK)
		ec = check_files(s, why);
	if (ec == EC_OK) {
		uv_update_time(loop);
		ec = context_new(s, why);
	}
	if (ec != EC_OK) {
		free(s->config);
		free(s->anchor_file);
		free(s->hints_file);
		free(s);
		return ec;
	}
	int rc = uv_timer_init(loop, &s->timer);
	assert(rc == 0); /* can't fail in libuv 1.x */
	(void)rc;
	s->timer.data = s;
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

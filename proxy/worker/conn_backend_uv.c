/* The backend's side of one connection: OPEN_BACKEND -> a route, known or asked for ->
 * opening (relay/opening_uv.h) -> link and backend. A link is kept for the session's next
 * transactions that go the same way, and dropped when it says anything we do not
 * understand. It is never shared by two sessions, so the backend sees one client
 * per connection. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/domain.h"
#include "base/log_fs.h"
#include "proxy/worker/conn_parts_uv.h"
#include "proxy/relay/proxy_header.h"

/* How long a route may take: the supervisor answers sooner, whatever happens to the router. */
enum { ROUTE_MS = 30000 };

static struct exit_way *way_of(const struct conn *c)
{
	return &c->settings->exits.ways[c->exit];
}

static void link_open_changed(struct conn *c, int by)
{
	work_count_by(c->work, COUNT_BACKEND_OPEN, by);
	way_of(c)->num_links += (unsigned)by;
}

void conn_backend_drop(struct conn *c)
{
	routes_cancel(c->route_wait);
	c->route_wait = NULL;
	if (c->opening != NULL || c->link != NULL)
		link_open_changed(c, -1);
	opening_free(c->opening);
	link_close(c->link);
	backend_free(c->backend);
	free(c->domain);
	c->opening = NULL;
	c->link = NULL;
	c->backend = NULL;
	c->domain = NULL;
	c->backend_ms = 0;
	c->link_eof_told = false;
}

static void log_lost(const struct conn *c, enum smtp_reason reason, const char *words)
{
	struct log_line l;
	log_begin(&l, LOG_WARNING, "backend-lost");
	log_str(&l, "id", c->id);
	if (c->settings->config->num_connectors > 0)
		log_str(&l, "connector", way_of(c)->name);
	if (c->domain != NULL && c->domain[0] != '\0')
		log_str(&l, "domain", c->domain);
	log_str(&l, "reason", smtp_reason_name(reason));
	log_str(&l, "why", words);
	log_end(&l);
}

void conn_backend_lost(struct conn *c, enum smtp_reason reason, const char *words)
{
	/* An idle link may end: that is no fault and needs no line in the log. */
	bool idle = c->backend != NULL && backend_deadline(c->backend) == BACKEND_DEADLINE_IDLE;
	if (!idle) {
		work_count(c->work, reason == SMTP_WHY_BACKEND_GARBAGE ? COUNT_BACKEND_GARBAGE : COUNT_BACKEND_LOST);
		log_lost(c, reason, words);
	}
	conn_backend_drop(c);
	smtp_session_backend_lost(c->session, reason);
}

/* refuse: there is no link for this transaction. */
static void refuse(struct conn *c, enum smtp_reply_id id, const char *words)
{
	enum smtp_reason reason = smtp_reply_row(id)->reason;
	if (reason == SMTP_WHY_BACKEND_GARBAGE)
		work_count(c->work, COUNT_BACKEND_GARBAGE);
	else
		work_count(c->work, reason == SMTP_WHY_BACKEND_CONNECT ? COUNT_BACKEND_REFUSED : COUNT_BACKEND_LOST);
	log_lost(c, reason, words);
	work_trust(c->work, way_of(c), slice_str(c->domain), TRUST_CLEAR, id);
	if (reason != SMTP_WHY_HOP_BUSY && !way_of(c)->per_domain)
		work_missed_exit(c->work, c->settings, c->exit, words);
	conn_backend_drop(c);
	smtp_session_backend_refused(c->session, id);
}

static void link_event_of(void *arg)
{
	conn_pump(arg);
}

/* --- opening a link -------------------------------------------------------------- */

static struct proxy_end end_of(struct sockaddr_storage a)
{
	struct proxy_end e = { .port = address_port(&a) };
	address_unmap(&a);
	if (a.ss_family == AF_INET6) {
		e.v6 = true;
		memcpy(e.addr, &((struct sockaddr_in6 *)&a)->sin6_addr, 16);
	} else {
		memcpy(e.addr, &((struct sockaddr_in *)&a)->sin_addr, 4);
	}
	return e;
}

static enum ec write_proxy_header(struct conn *c, struct writer *w)
{
	struct sockaddr_storage local = { 0 };
	int len = sizeof local;
	if (c->behind != NULL && c->behind->local.ss_family != AF_UNSPEC)
		local = c->behind->local;
	else
		(void)uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&local, &len);
	struct proxy_end from = end_of(c->client), to = end_of(local);
	return proxy_v2_encode(w, &from, &to);
}

static void open_link(struct conn *c, struct route *route)
{
	const struct config *cfg = c->settings->config;
	const struct exit_way *way = way_of(c);
	char addr[ADDRESS_TEXT_SIZE], header[PROXY_V2_MAX];
	struct writer w = writer_of(header, sizeof header);
	if (route->refused != SMTP_R_NONE) {
		refuse(c, route->refused, route->why);
		return;
	}
	address_print_ip(addr, &c->client);
	struct backend_client client = {
		.addr = slice_str(addr),
		.port = address_port(&c->client),
		.helo = smtp_session_helo(c->session),
		.id = slice_str(c->id),
		.esmtp = smtp_session_esmtp(c->session),
	};
	if (way->config->client_info == CONFIG_CLIENT_PROXY_V2 && write_proxy_header(c, &w) != EC_OK) {
		refuse(c, SMTP_R_BACKEND_CONFIG, "no PROXY header for this connection");
		return;
	}
	struct opening_setup setup = work_opening(c->work, c->settings, c->exit, route);
	setup.client = &client;
	setup.client_info = way->config->client_info;
	setup.header = writer_slice(&w);
	setup.connect_timeout_ms = cfg->backend.connect_timeout_ms;
	setup.reply_timeout_ms = cfg->backend.reply_timeout_ms;
	setup.on_event = link_event_of;
	setup.arg = c;
	c->opening = opening_start(&setup);
	if (c->opening == NULL)
		refuse(c, SMTP_R_NO_MEMORY, "out of memory");
	else
		link_open_changed(c, 1);
}

static void on_route(void *arg, struct route *route)
{
	struct conn *c = arg;
	c->route_wait = NULL;
	c->backend_ms = 0;
	open_link(c, route);
	conn_pump(c);
}

static void find_route(struct conn *c)
{
	struct exit_way *way = way_of(c);
	struct why why = { 0 };
	struct route *route = NULL;
	switch (work_route(c->work, way, c->domain, &route, on_route, c, &c->route_wait, &why)) {
	case EC_OK:
		open_link(c, route);
		break;
	case EC_AGAIN:
		c->backend_ms = work_now(c->work).ms + ROUTE_MS;
		break;
	case EC_NO_MEMORY:
		refuse(c, SMTP_R_NO_MEMORY, why.text);
		break;
	default:
		refuse(c, way->fixed_way ? SMTP_R_BACKEND_CONFIG : SMTP_R_HOP_DNS, why.text);
		break;
	}
}

/* name_domain makes the text of what the way depends on: the recipient's domain, or nothing. Returns
 * EC_NO_MEMORY, or what domain_fold says of a domain that DNS can't have. */
static enum ec name_domain(const struct exit_way *way, const struct smtp_rcpt *rcpt, char **out)
{
	char text[DOMAIN_MAX + 1] = "";
	size_t len = 0;
	*out = NULL;
	enum ec ec = way->per_domain ? domain_fold(slice_of(rcpt->path.domain, rcpt->path.domain_len), text, &len) : EC_OK;
	if (ec == EC_OK)
		*out = strdup(text);
	return ec == EC_OK && *out == NULL ? EC_NO_MEMORY : ec;
}

static bool reusable(const struct conn *c, size_t exit, const char *domain)
{
	return c->backend != NULL && c->exit == exit && strcmp(c->domain, domain) == 0 && link_state(c->link) == LINK_OPEN &&
	       backend_free_for_use(c->backend);
}

static void open_backend(struct conn *c, const struct smtp_event *ev)
{
	struct exit_way *way = &c->settings->exits.ways[ev->connector];
	char *domain;
	enum ec ec = name_domain(way, ev->rcpt, &domain);
	c->num_transactions++;
	work_count(c->work, COUNT_TRANSACTIONS);
	if (domain != NULL && reusable(c, ev->connector, domain)) {
		free(domain);
		work_count(c->work, COUNT_BACKEND_REUSED);
		work_trust(c->work, way, slice_str(c->domain), c->trust, SMTP_R_NONE);
		smtp_session_backend_ready(c->session, &c->link_caps, true);
		return;
	}
	conn_backend_quit(c);
	c->exit = ev->connector;
	if (ec != EC_OK) {
		smtp_session_backend_refused(c->session, ec == EC_NO_MEMORY ? SMTP_R_NO_MEMORY : SMTP_R_HOP_NO_HOST);
		return;
	}
	c->domain = domain;
	if (way->num_links >= way->config->max_connections)
		refuse(c, SMTP_R_HOP_BUSY, "max_connections are open");
	else
		find_route(c);
}

void conn_backend_late(struct conn *c)
{
	if (c->opening == NULL) {
		refuse(c, SMTP_R_HOP_DNS, "no route in time");
		return;
	}
	work_count(c->work, opening_dialling(c->opening) ? COUNT_TIMEOUT_CONNECT : COUNT_TIMEOUT_REPLY);
	opening_late(c->opening);
}

/* opened takes over what the opening has reached. */
static bool opened(struct conn *c)
{
	struct opened got;
	const char *words = "";
	enum smtp_reply_id refusal;
	switch (opening_state(c->opening)) {
	case OPENING_BUSY:
		return false;
	case OPENING_FAILED:
		refusal = opening_refusal(c->opening, &words);
		char copy[512];
		(void)snprintf(copy, sizeof copy, "%s", words); /* it goes with the opening */
		refuse(c, refusal, copy);
		return true;
	case OPENING_READY:
		break;
	}
	opening_take(c->opening, link_event_of, c, &got);
	c->link = got.link;
	c->backend = got.backend;
	c->trust = got.trust;
	c->link_caps = *got.caps;
	opening_free(c->opening);
	c->opening = NULL;
	c->backend_ms = 0;
	work_count(c->work, COUNT_BACKEND_CONNECTS);
	work_saw_exit(c->work, c->settings, c->exit, &c->link_caps);
	work_trust(c->work, way_of(c), slice_str(c->domain), c->trust, SMTP_R_NONE);
	smtp_session_backend_ready(c->session, &c->link_caps, false);
	return true;
}

/* --- a link in use ----------------------------------------------------------------- */

/* take_output queues what the engine wants sent. */
static bool take_output(struct conn *c)
{
	if (c->backend == NULL)
		return false;
	struct slice out = backend_output(c->backend);
	if (out.len == 0)
		return false;
	enum ec ec = link_queue(c->link, out);
	backend_sent(c->backend);
	if (ec != EC_OK)
		conn_backend_lost(c, SMTP_WHY_BACKEND_LOST, "out of memory");
	return true;
}

static void body(struct conn *c, const struct smtp_event *ev)
{
	c->mail_recipients = smtp_session_num_recipients(c->session); /* DATA may have gone before they were known */
	if (link_queue_ranges(c->link, ev->ranges, ev->num_ranges) != EC_OK)
		conn_backend_lost(c, SMTP_WHY_BACKEND_LOST, "out of memory");
}

void conn_backend_event(struct conn *c, const struct smtp_event *ev)
{
	if (ev->kind == SMTP_EV_OPEN_BACKEND) {
		open_backend(c, ev);
		return;
	}
	/* The link may have gone in this very pump; the session was told. */
	if (c->backend == NULL) {
		if (ev->kind == SMTP_EV_ABORT)
			conn_backend_drop(c);
		return;
	}
	switch (ev->kind) {
	case SMTP_EV_MAIL:
		backend_mail(c->backend, ev->mail);
		break;
	case SMTP_EV_RCPT:
		backend_rcpt(c->backend, ev->rcpt);
		break;
	case SMTP_EV_DATA:
		conn_message_begin(c);
		backend_data(c->backend);
		break;
	case SMTP_EV_CHUNK:
		if (ev->chunk_first)
			conn_message_begin(c);
		backend_chunk(c->backend, ev->chunk_size, ev->chunk_last);
		break;
	case SMTP_EV_CHUNK_END:
		backend_chunk_end(c->backend);
		break;
	case SMTP_EV_BODY:
		body(c, ev);
		return;
	case SMTP_EV_COMMIT:
		c->mail_size = smtp_session_message_size(c->session);
		c->message_ms = 0; /* from here on it is the backend's time */
		backend_commit(c->backend);
		break;
	case SMTP_EV_RESET:
		backend_reset(c->backend);
		break;
	case SMTP_EV_ABORT:
		/* Now, and without another byte: the message must not be completed. */
		conn_backend_drop(c);
		return;
	default:
		return;
	}
	(void)take_output(c);
}

static void act(struct conn *c, const struct backend_event *ev)
{
	switch (ev->kind) {
	case BACKEND_EV_START_TLS:
	case BACKEND_EV_READY:
		break; /* behind us: the opening had them */
	case BACKEND_EV_ANSWER:
		smtp_session_backend_answer(c->session, ev->answer);
		break;
	case BACKEND_EV_LOST:
		conn_backend_lost(c, ev->reason, ev->words == NULL ? "" : ev->words);
		break;
	case BACKEND_EV_QUIT:
		conn_backend_drop(c);
		break;
	}
}

static bool step_engine(struct conn *c)
{
	struct backend_event ev;
	bool moved = take_output(c);
	/* One event at a time: an answer's text lives until the engine's next input,
	 * and the session's reaction to it may be one. */
	if (c->backend != NULL && backend_next(c->backend, &ev)) {
		act(c, &ev);
		return true;
	}
	if (c->backend == NULL)
		return moved;
	size_t used = 0;
	struct slice in = link_in(c->link);
	if (in.len == 0)
		return moved;
	backend_feed(c->backend, in, &used);
	link_take(c->link, used);
	c->bytes_backend += used;
	work_count_by(c->work, COUNT_BYTES_BACKEND, (int64_t)used);
	return moved || used > 0;
}

bool conn_backend_step(struct conn *c)
{
	if (c->ending)
		return false;
	if (c->opening != NULL)
		return opened(c);
	if (c->link == NULL)
		return false;
	if (step_engine(c))
		return true;
	/* All that came before the end has been heard. */
	if (c->link != NULL && link_state(c->link) == LINK_ENDED && !c->link_eof_told) {
		c->link_eof_told = true;
		backend_eof(c->backend);
		return true;
	}
	return false;
}

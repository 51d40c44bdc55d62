/* The backend's side of one connection. A link is dialled at the session's first
 * OPEN_BACKEND, kept for its next transactions, and dropped when it says anything
 * we do not understand. It is never shared by two sessions, so the backend sees
 * one client per connection. */
#include <netinet/in.h>
#include <string.h>

#include "base/address.h"
#include "base/log_fs.h"
#include "proxy/worker/conn_parts_uv.h"
#include "proxy/relay/proxy_header.h"

static void link_open_changed(struct conn *c, int64_t by)
{
	work_count_by(c->work, COUNT_BACKEND_OPEN, by);
}

void conn_backend_drop(struct conn *c)
{
	if (c->link == NULL)
		return;
	link_close(c->link);
	backend_free(c->backend);
	c->link = NULL;
	c->backend = NULL;
	c->backend_ms = 0;
	c->link_eof_told = false;
	link_open_changed(c, -1);
}

static void log_lost(const struct conn *c, enum smtp_reason reason, const char *words)
{
	struct log_line l;
	log_begin(&l, LOG_WARNING, "backend-lost");
	log_str(&l, "id", c->id);
	log_str(&l, "reason", smtp_reason_name(reason));
	log_str(&l, "why", words);
	log_end(&l);
}

void conn_backend_lost(struct conn *c, enum smtp_reason reason, const char *words)
{
	/* An idle link may end: that is no fault and needs no line in the log. */
	bool idle = c->backend != NULL && backend_deadline(c->backend) == BACKEND_DEADLINE_IDLE;
	if (reason == SMTP_WHY_BACKEND_CONNECT) {
		work_count(c->work, COUNT_BACKEND_REFUSED);
		work_missed_backend(c->work, words);
	} else if (!idle) {
		work_count(c->work, reason == SMTP_WHY_BACKEND_GARBAGE ? COUNT_BACKEND_GARBAGE : COUNT_BACKEND_LOST);
	}
	if (!idle)
		log_lost(c, reason, words);
	conn_backend_drop(c);
	smtp_session_backend_lost(c->session, reason);
}

static void link_event_of(void *arg)
{
	conn_pump(arg);
}

static void dial(struct conn *c)
{
	struct why why = { 0 };
	enum ec ec = link_dial(&c->work->loop, &c->settings->backend, c->work->from_backend, link_event_of, c, &c->link, &why);
	if (ec != EC_OK) {
		c->link = NULL;
		conn_backend_lost(c, SMTP_WHY_BACKEND_CONNECT, why.text);
		return;
	}
	link_open_changed(c, 1);
	c->backend_phase = BACKEND_DEADLINE_NONE;
	c->backend_ms = work_now(c->work).ms + c->settings->config->backend.connect_timeout_ms;
}

static void open_backend(struct conn *c)
{
	c->num_transactions++;
	work_count(c->work, COUNT_TRANSACTIONS);
	if (c->backend != NULL && link_state(c->link) == LINK_OPEN && backend_free_for_use(c->backend)) {
		work_count(c->work, COUNT_BACKEND_REUSED);
		smtp_session_backend_ready(c->session, backend_caps(c->backend), true);
		return;
	}
	conn_backend_drop(c);
	dial(c);
}

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
		open_backend(c);
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

static enum ec queue_proxy_header(struct conn *c)
{
	char text[PROXY_V2_MAX];
	struct writer w = writer_of(text, sizeof text);
	struct sockaddr_storage local = { 0 };
	int len = sizeof local;
	if (c->local.ss_family != AF_UNSPEC)
		local = c->local;
	else
		(void)uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&local, &len);
	struct proxy_end from = end_of(c->client), to = end_of(local);
	enum ec ec = proxy_v2_encode(&w, &from, &to);
	return ec == EC_OK ? link_queue(c->link, writer_slice(&w)) : ec;
}

/* greet starts the dialogue on a link that has just been connected. */
static enum ec greet(struct conn *c)
{
	const struct config *cfg = c->settings->config;
	char addr[ADDRESS_TEXT_SIZE];
	address_print_ip(addr, &c->client);
	struct backend_client client = {
		.addr = slice_str(addr),
		.port = address_port(&c->client),
		.helo = smtp_session_helo(c->session),
		.id = slice_str(c->id),
		.esmtp = smtp_session_esmtp(c->session),
	};
	struct backend_setup setup = {
		.hostname = slice_str(cfg->proxy.hostname),
		.xclient = cfg->backend.client_info == CONFIG_CLIENT_XCLIENT ? &client : NULL,
		.xforward = cfg->backend.client_info == CONFIG_CLIENT_XFORWARD ? &client : NULL,
	};
	enum ec ec = EC_OK;
	if (cfg->backend.client_info == CONFIG_CLIENT_PROXY_V2) {
		/* The backend takes this for the client's own connection. */
		if (client.helo.len > 0)
			setup.hostname = client.helo;
		ec = queue_proxy_header(c);
	}
	c->backend = backend_new(&setup);
	return c->backend == NULL ? EC_NO_MEMORY : ec;
}

static void act(struct conn *c, const struct backend_event *ev)
{
	switch (ev->kind) {
	case BACKEND_EV_READY:
		work_count(c->work, COUNT_BACKEND_CONNECTS);
		work_saw_backend(c->work, ev->caps);
		smtp_session_backend_ready(c->session, ev->caps, false);
		break;
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
	if (c->link == NULL || c->ending)
		return false;
	if (link_state(c->link) == LINK_DIALLING)
		return false;
	if (!link_was_open(c->link)) {
		conn_backend_lost(c, SMTP_WHY_BACKEND_CONNECT, link_why(c->link));
		return true;
	}
	if (c->backend == NULL) {
		if (greet(c) != EC_OK)
			conn_backend_lost(c, SMTP_WHY_BACKEND_LOST, "out of memory");
		return true;
	}
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

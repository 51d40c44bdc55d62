/* The deadlines of one connection. Four may run at once: of the whole session, of
 * the message under way, of the client in its present phase, of the backend in its. One node of the
 * wheel stands for the nearest. conn_time derives all of them from the state
 * after each pump, so nothing else ever starts or stops a timer. */
#include "proxy/worker/conn_parts_uv.h"

/* How long the last replies may take to leave, and then the client to hang up. */
enum { FLUSH_MS = 10000, LINGER_MS = 2000, LINGER_CHUNK_MS = 10000 };

static int64_t client_timeout(const struct conn *c, enum smtp_deadline phase)
{
	const struct config_smtp *smtp = &c->settings->config->smtp;
	switch (phase) {
	case SMTP_DEADLINE_GREETING:
		return c->header_due ? c->settings->config->proxy.proxy_protocol_timeout_ms : smtp->greeting_delay_ms;
	case SMTP_DEADLINE_COMMAND:
		return smtp->command_timeout_ms;
	case SMTP_DEADLINE_BODY:
		return smtp->data_timeout_ms;
	case SMTP_DEADLINE_TLS:
		return smtp->tls_timeout_ms;
	case SMTP_DEADLINE_NONE:
	case SMTP_DEADLINE_BACKEND:
		break;
	}
	return 0;
}

/* link_stuck: a body waits for the backend to read, not for the client to send. */
static bool link_stuck(const struct conn *c)
{
	return c->backend != NULL && c->blocked && link_waiting(c->link) > 0;
}

static void client_deadline(struct conn *c, int64_t now)
{
	enum smtp_deadline phase = smtp_session_deadline(c->session);
	uint64_t progress = smtp_session_progress(c->session);
	if (link_stuck(c))
		phase = SMTP_DEADLINE_BACKEND;
	if (phase == c->client_phase && progress == c->client_progress && c->client_ms != 0)
		return;
	c->client_phase = phase;
	c->client_progress = progress;
	int64_t timeout = client_timeout(c, phase);
	c->client_ms = timeout > 0 ? now + timeout : 0;
}

static int64_t backend_timeout_ms(const struct conn *c, enum backend_deadline phase)
{
	const struct config_backend *backend = &c->settings->config->backend;
	switch (phase) {
	case BACKEND_DEADLINE_REPLY:
		return backend->reply_timeout_ms;
	case BACKEND_DEADLINE_FINAL:
		return backend->data_timeout_ms;
	case BACKEND_DEADLINE_IDLE:
		return backend->idle_timeout_ms;
	case BACKEND_DEADLINE_NONE:
		break;
	}
	/* The client sends a body; the backend owes us nothing but to read it. */
	return link_stuck(c) ? backend->reply_timeout_ms : 0;
}

static void backend_deadline_of(struct conn *c, int64_t now)
{
	if (c->backend == NULL) {
		if (c->opening != NULL)
			c->backend_ms = opening_deadline(c->opening);
		return; /* a route: set when it was asked for */
	}
	enum backend_deadline phase = backend_deadline(c->backend);
	uint64_t progress = backend_progress(c->backend);
	size_t backlog = link_waiting(c->link);
	int64_t timeout = backend_timeout_ms(c, phase);
	bool same = phase == c->backend_phase && progress == c->backend_progress && backlog == c->link_backlog &&
	            (c->backend_ms != 0) == (timeout > 0);
	c->backend_phase = phase;
	c->backend_progress = progress;
	c->link_backlog = backlog;
	if (!same)
		c->backend_ms = timeout > 0 ? now + timeout : 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

void conn_time(struct conn *c)
{
	int64_t now = work_now(c->work).ms;
	if (c->ending) {
		/* The session is over: only the way out is still timed. */
		int64_t linger = c->reason == SMTP_WHY_TOO_BIG ? LINGER_CHUNK_MS : LINGER_MS;
		int64_t wait = c->lingering ? linger : FLUSH_MS;
		if (c->client_phase != SMTP_DEADLINE_NONE || c->session_ms != 0 || c->lingering != c->linger_timed) {
			c->client_phase = SMTP_DEADLINE_NONE;
			c->session_ms = c->message_ms = c->backend_ms = 0;
			c->linger_timed = c->lingering;
			c->client_ms = now + wait;
		}
	} else {
		client_deadline(c, now);
		backend_deadline_of(c, now);
		/* No message is under way, nor can one be, if a command is due and there is no recipient. */
		bool nobody = smtp_session_deadline(c->session) == SMTP_DEADLINE_COMMAND && smtp_session_num_recipients(c->session) == 0;
		if (nobody || smtp_session_mail(c->session) == NULL)
			c->message_ms = 0;
	}
	int64_t at = sooner(sooner(c->client_ms, c->backend_ms), sooner(c->message_ms, c->session_ms));
	if (at == 0)
		work_unwatch(c->work, &c->deadline);
	else
		work_watch(c->work, &c->deadline, (struct mono){ at });
}

static void client_late(struct conn *c)
{
	static const enum counter counts[] = {
		[SMTP_DEADLINE_NONE] = COUNT_TIMEOUT_WRITE,   [SMTP_DEADLINE_GREETING] = COUNT_TIMEOUT_COMMAND,
		[SMTP_DEADLINE_COMMAND] = COUNT_TIMEOUT_COMMAND, [SMTP_DEADLINE_BODY] = COUNT_TIMEOUT_DATA,
		[SMTP_DEADLINE_TLS] = COUNT_TIMEOUT_TLS,      [SMTP_DEADLINE_BACKEND] = COUNT_TIMEOUT_REPLY,
	};
	c->client_ms = 0;
	if (c->ending) {
		if (!c->lingering)
			work_count(c->work, COUNT_TIMEOUT_WRITE);
		conn_close(c);
		return;
	}
	if (c->header_due) {
		conn_proxy_late(c);
		return;
	}
	if (c->client_phase == SMTP_DEADLINE_GREETING) {
		smtp_session_greet(c->session);
		return;
	}
	work_count(c->work, counts[c->client_phase]);
	smtp_session_end(c->session, SMTP_R_TIMEOUT);
}

static void backend_late(struct conn *c)
{
	c->backend_ms = 0;
	if (c->backend == NULL) {
		conn_backend_late(c);
	} else if (c->backend_phase == BACKEND_DEADLINE_IDLE) {
		conn_backend_quit(c);
	} else {
		work_count(c->work, c->backend_phase == BACKEND_DEADLINE_FINAL ? COUNT_TIMEOUT_COMMIT : COUNT_TIMEOUT_REPLY);
		if (c->backend_phase == BACKEND_DEADLINE_NONE)
			conn_backend_lost(c, SMTP_WHY_BACKEND_TIMEOUT, "does not read the message");
		else
			backend_timeout(c->backend);
	}
}

void conn_on_deadline(struct deadline *d)
{
	struct conn *c = (struct conn *)(void *)((char *)d - offsetof(struct conn, deadline));
	int64_t now = work_now(c->work).ms;
	if (c->closed)
		return;
	if (c->backend_ms != 0 && c->backend_ms <= now)
		backend_late(c);
	if (c->client_ms != 0 && c->client_ms <= now)
		client_late(c);
	if (!c->closed && c->message_ms != 0 && c->message_ms <= now) {
		c->message_ms = 0;
		work_count(c->work, COUNT_TIMEOUT_MESSAGE);
		smtp_session_end(c->session, SMTP_R_TIMEOUT);
	}
	if (!c->closed && c->session_ms != 0 && c->session_ms <= now) {
		c->session_ms = 0;
		work_count(c->work, COUNT_TIMEOUT_SESSION);
		smtp_session_end(c->session, SMTP_R_TIMEOUT);
	}
	conn_pump(c);
}

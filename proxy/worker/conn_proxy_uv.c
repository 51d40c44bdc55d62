/* The PROXY header of a connection from proxy.proxy_protocol_from: until it is
 * whole nothing is said and nobody is counted but a session. Then the client has
 * its address, and the session begins as if it had come from there. */
#include <stdlib.h>

#include "base/address.h"
#include "base/network.h"
#include "proxy/smtp/proxy_in.h"
#include "proxy/worker/conn_parts_uv.h"

static void refuse(struct conn *c, enum counter result, enum smtp_reason reason, const char *words)
{
	work_count(c->work, result);
	conn_break(c, reason, words);
}

void conn_proxy_late(struct conn *c)
{
	refuse(c, COUNT_PROXY_LATE, SMTP_WHY_PROXY_HEADER, "no PROXY header in time");
}

static bool rename_client(struct conn *c, const struct proxy_in *said)
{
	c->behind = malloc(sizeof *c->behind);
	if (c->behind == NULL)
		return false;
	*c->behind = (struct conn_behind){ .peer = c->client, .local = said->local };
	c->client = said->client;
	return true;
}

static void know(struct conn *c, const struct proxy_in *said)
{
	work_count(c->work, said->named ? COUNT_PROXY_NAMED : COUNT_PROXY_LOCAL);
	if (said->named && !rename_client(c, said)) {
		conn_break(c, SMTP_WHY_NO_MEMORY, "out of memory");
		return;
	}
	enum clients_verdict verdict = clients_name(c->work->clients, &c->settings->clients, &c->client);
	if (verdict != CLIENTS_WELCOME) {
		work_count_refused(c->work, verdict);
		smtp_session_end(c->session, SMTP_R_BUSY);
		return;
	}
	c->named = true;
	counters_set(c->work->counters, COUNT_ADDRESSES, clients_num_addresses(c->work->clients));
	char addr[ADDRESS_TEXT_SIZE];
	address_print_ip(addr, &c->client);
	smtp_session_set_client(c->session, slice_str(addr), settings_exempt(c->settings, &c->client));
	/* What is in hand behind the header was sent before our greeting: the session
	 * must see it as early talk. */
	if (c->view.len == 0 && c->settings->config->smtp.greeting_delay_ms == 0)
		smtp_session_greet(c->session);
}

bool conn_proxy_step(struct conn *c)
{
	struct proxy_in said;
	size_t used;
	if (c->broken)
		return false;
	enum ec ec = proxy_in_parse(c->view, &said, &used);
	if (ec == EC_AGAIN && !c->eof)
		return false;
	c->header_due = false;
	c->client_ms = 0; /* from here on the timer is the session's */
	if (ec == EC_OK) {
		c->view = slice_from(c->view, used);
		know(c, &said);
	} else if (ec == EC_AGAIN && c->view.len == 0) {
		/* A balancer looking whether we are there. */
		refuse(c, COUNT_PROXY_CLOSED, SMTP_WHY_EOF, NULL);
	} else {
		refuse(c, COUNT_PROXY_MALFORMED, SMTP_WHY_PROXY_HEADER, "no PROXY header, or a malformed one");
	}
	return true;
}

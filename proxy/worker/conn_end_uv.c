/* The end of one connection, and what is said about it: one line per message, one
 * per session, and the list for `show sessions`.
 *
 * After CLOSE: replies and close_notify leave; then our side is shut and the
 * client's bytes are thrown away until it hangs up, for a moment, because closing
 * with unread bytes makes the kernel send RST, which can overtake the last reply.
 * A client that said QUIT, and nothing behind it, has nothing to send: there we
 * close at once. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/log_fs.h"
#include "base/printable.h"
#include "proxy/worker/conn_parts_uv.h"

/* More than a client may well have had under way; and after a chunk beyond the limit,
 * which it may send to the end before it looks for an answer (RFC 3030 2). */
enum { LINGER_BYTES = 256 << 10, LINGER_CHUNK_BYTES = 128 << 20 };

void conn_message_begin(struct conn *c)
{
	char text[SMTP_PATH_TEXT_SIZE];
	struct writer w = writer_of(text, sizeof text);
	const struct smtp_mail *mail = smtp_session_mail(c->session);
	if (mail != NULL)
		smtp_path_print(&w, &mail->path);
	free(c->mail_from);
	c->mail_from = strdup(text);
	c->mail_recipients = smtp_session_num_recipients(c->session);
	c->mail_size = 0;
	c->message_ms = work_now(c->work).ms + c->settings->config->smtp.message_timeout_ms;
}

static void log_message(struct conn *c, const char *result, const struct smtp_event *reply)
{
	struct log_line l;
	log_begin(&l, LOG_INFO, "message");
	log_str(&l, "id", c->id);
	log_str(&l, "result", result);
	log_str(&l, "from", c->mail_from == NULL ? "-" : c->mail_from);
	log_int(&l, "recipients", c->mail_recipients);
	log_int(&l, "size", (int64_t)c->mail_size);
	if (reply != NULL) {
		struct slice text = reply->bytes;
		while (text.len > 0 && (text.p[text.len - 1] == '\r' || text.p[text.len - 1] == '\n'))
			text.len--;
		if (reply->reason != SMTP_WHY_NONE)
			log_str(&l, "reason", smtp_reason_name(reply->reason));
		log_bytes(&l, "reply", text);
	}
	log_end(&l);
	free(c->mail_from);
	c->mail_from = NULL;
}

void conn_message(struct conn *c, const struct smtp_event *reply)
{
	if (reply->code < 400) {
		c->num_accepted++;
		work_count(c->work, COUNT_ACCEPTED_MESSAGES);
		log_message(c, "accepted", reply);
	} else if (reply->code < 500) {
		c->num_deferred++;
		work_count(c->work, COUNT_DEFERRED_MESSAGES);
		log_message(c, "deferred", reply);
	} else {
		c->num_rejected++;
		work_count(c->work, COUNT_REJECTED_MESSAGES);
		log_message(c, "rejected", reply);
	}
}

void conn_backend_quit(struct conn *c)
{
	if (c->backend != NULL && link_state(c->link) == LINK_OPEN && backend_free_for_use(c->backend)) {
		/* In courtesy: nobody waits for the 221. */
		backend_quit(c->backend);
		if (link_queue(c->link, backend_output(c->backend)) == EC_OK)
			link_bye(c->link);
	}
	conn_backend_drop(c);
}

static bool worth_lingering(const struct conn *c)
{
	bool more = bytes_len(&c->kept) > 0 || (c->tls != NULL && channel_waiting(c->tls) > 0);
	return !c->eof && !c->broken && (more || c->reason != SMTP_WHY_QUIT);
}

void conn_say(struct conn *c, const char *words)
{
	enum { WORDS_MAX = 95 };
	if (c->words == NULL && words[0] != '\0')
		c->words = strndup(words, WORDS_MAX); /* without memory the log says less */
}

void conn_finish(struct conn *c)
{
	c->ending = true;
	conn_backend_quit(c);
	size_t max = c->reason == SMTP_WHY_TOO_BIG ? LINGER_CHUNK_BYTES : LINGER_BYTES;
	if (c->box.error != 0 || (c->lingering && (c->eof || c->num_discarded > max))) {
		conn_close(c);
		return;
	}
	if (outbox_waiting(&c->box) > 0 || c->lingering)
		return;
	if (!worth_lingering(c)) {
		conn_close(c);
		return;
	}
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
		conn_close(c);
		return;
	}
	c->lingering = true;
}

static const char *tls_text(const struct conn *c, struct channel_info *info)
{
	*info = (struct channel_info){ .version = "-", .cipher = "-", .group = "-", .sni = "" };
	if (c->secure)
		channel_info(c->tls, info);
	return info->version;
}

static void log_session(struct conn *c)
{
	struct log_line l;
	struct channel_info info;
	char addr[ADDRESS_TEXT_SIZE];
	log_begin(&l, LOG_INFO, "session");
	if (l.off)
		return;
	address_print(addr, &c->client);
	log_str(&l, "id", c->id);
	log_str(&l, "client", addr);
	if (c->behind != NULL && !address_eq(&c->client, &c->behind->peer)) {
		address_print(addr, &c->behind->peer);
		log_str(&l, "proxy", addr);
	}
	log_str(&l, "reason", smtp_reason_name(c->reason));
	if (c->words != NULL)
		log_str(&l, "why", c->words);
	log_str(&l, "tls", tls_text(c, &info));
	if (c->secure) {
		log_str(&l, "cipher", info.cipher);
		log_str(&l, "group", info.group);
		log_str(&l, "sni", info.sni);
		log_str(&l, "identity", info.identity);
		log_int(&l, "generation", (int64_t)info.generation);
		log_str(&l, "resumed", info.resumed ? "yes" : "no");
	}
	log_bytes(&l, "helo", smtp_session_helo(c->session));
	log_int(&l, "transactions", c->num_transactions);
	log_int(&l, "accepted", c->num_accepted);
	log_int(&l, "deferred", c->num_deferred);
	log_int(&l, "rejected", c->num_rejected);
	log_int(&l, "bytes", (int64_t)c->bytes_in);
	log_int(&l, "ms", work_now(c->work).ms - c->started_ms);
	log_end(&l);
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	outbox_fini(&c->box);
	bytes_fini(&c->kept);
	channel_free(c->tls);
	smtp_session_free(c->session);
	settings_unref(c->settings);
	free(c->mail_from);
	free(c->words);
	free(c->behind);
	free(c);
}

static void leave(struct conn *c)
{
	struct work *w = c->work;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	w->num_conns--;
	clients_leave(w->clients, c->named ? &c->client : NULL);
	counters_set(w->counters, COUNT_SESSIONS_OPEN, w->num_conns);
	counters_set(w->counters, COUNT_ADDRESSES, clients_num_addresses(w->clients));
	if (c->secure)
		work_count_by(w, COUNT_SESSIONS_TLS, -1);
	if (c->tls != NULL)
		work_count_by(w, COUNT_KEY_UPDATES, channel_key_updates(c->tls));
	work_count(w, counter_ended(c->reason));
}

void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	conn_backend_drop(c);
	work_unwatch(c->work, &c->deadline);
	if (c->mail_from != NULL) {
		work_count(c->work, COUNT_ABORTED_MESSAGES);
		log_message(c, "aborted", NULL);
	}
	log_session(c);
	leave(c);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	if (c->work->on_session_end != NULL)
		c->work->on_session_end(c->work);
}

static json_t *text_of(struct slice s)
{
	/* What a peer sent may be no UTF-8: such octets are shown as '?'. */
	char text[256];
	struct writer w = writer_of(text, sizeof text);
	writer_bytes(&w, slice_first(s, sizeof text));
	printable(text, w.len);
	return json_stringn(text, w.len);
}

static json_t *describe(const struct conn *c)
{
	struct channel_info info;
	char addr[ADDRESS_TEXT_SIZE];
	address_print(addr, &c->client);
	(void)tls_text(c, &info);
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:i, s:b}", "id", c->id, "client", addr, "age_s",
	                 (json_int_t)((work_now(c->work).ms - c->started_ms) / 1000), "state",
	                 c->ending ? "closing" : smtp_session_state(c->session), "tls", info.version, "cipher",
	                 info.cipher, "sni", text_of(slice_str(info.sni)), "helo",
	                 text_of(smtp_session_helo(c->session)), "messages", (int)c->num_accepted, "backend",
	                 c->link != NULL || c->opening != NULL);
}

json_t *conn_list(const struct work *w, size_t max)
{
	json_t *list = json_array();
	size_t n = 0;
	for (const struct conn *c = w->conns; c != NULL && n < max; c = c->next, n++)
		json_array_append_new(list, describe(c));
	return list;
}

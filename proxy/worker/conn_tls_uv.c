/* TLS of one connection: START_TLS makes a channel from the keys of this moment;
 * bytes that come after go to it. conn_tls_step drives the handshake; after that
 * conn_tls_refill adds to the view, the plain bytes on offer to the session. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker/conn_parts_uv.h"

void conn_tls_begin(struct conn *c)
{
	work_count(c->work, COUNT_STARTTLS);
	/* Not before now: a session that was opened before a swap gets the new key,
	 * the one that DNS pins for longest. It keeps this snapshot for life. */
	c->tls = c->work->snapshot == NULL ? NULL : channel_new(c->work->snapshot);
	if (c->tls == NULL)
		smtp_session_tls_failed(c->session);
	else
		channel_allow_tiny(c->tls, c->settings->config->limits.tiny_tls_records);
}

static void count_failure(struct conn *c, bool handshake)
{
	static const enum counter counts[] = {
		[CHANNEL_FAULT_OTHER] = COUNT_TLS_FAILED,      [CHANNEL_FAULT_VERSION] = COUNT_TLS_VERSION,
		[CHANNEL_FAULT_NOTHING_SHARED] = COUNT_TLS_NOTHING_SHARED, [CHANNEL_FAULT_ALPN] = COUNT_TLS_ALPN,
		[CHANNEL_FAULT_NO_EMS] = COUNT_TLS_NO_EMS,     [CHANNEL_FAULT_ALERT] = COUNT_TLS_ALERT,
		[CHANNEL_FAULT_CLEAR_TEXT] = COUNT_TLS_CLEAR_TEXT, [CHANNEL_FAULT_FLOOD] = COUNT_TLS_FLOOD,
	};
	enum channel_fault fault = channel_fault(c->tls);
	work_count(c->work, fault == CHANNEL_FAULT_OTHER && !handshake ? COUNT_TLS_RECORD : counts[fault]);
}

static void note_done(struct conn *c)
{
	static const enum counter sni[] = {
		[CHANNEL_SNI_ABSENT] = COUNT_SNI_ABSENT,
		[CHANNEL_SNI_KNOWN] = COUNT_SNI_KNOWN,
		[CHANNEL_SNI_UNKNOWN] = COUNT_SNI_UNKNOWN,
	};
	struct channel_info info;
	channel_info(c->tls, &info);
	struct work *w = c->work;
	work_count(w, strcmp(info.version, "TLSv1.3") == 0 ? COUNT_TLS_13 : COUNT_TLS_12);
	work_count(w, sni[info.match]);
	if (info.resumed)
		work_count(w, COUNT_TLS_RESUMED);
	else
		work_count(w, info.algorithm == KEY_RSA_3072 ? COUNT_TLS_KEY_RSA : COUNT_TLS_KEY_ECDSA);
	work_count_by(w, COUNT_SESSIONS_TLS, 1);
	struct smtp_tls_info told = {
		.version = slice_str(info.version),
		.cipher = slice_str(info.cipher),
		.sni = slice_str(info.sni),
	};
	c->secure = true;
	/* What the backend offers may have become known, or changed, since. */
	smtp_session_set_offer(c->session, &c->settings->exits.offer, true);
	smtp_session_tls_done(c->session, &told);
}

/* In TLS 1.3 the client's Finished gets no answer from us, so the kernel would
 * wait some 40 ms with the ACK, and a client that leaves Nagle's algorithm on
 * would hold its EHLO back that long. */
void conn_tls_acknowledge(struct conn *c)
{
	uv_os_fd_t fd;
	int one = 1;
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

static bool handshake(struct conn *c)
{
	struct why why = { 0 };
	enum ec ec = channel_handshake(c->tls, &c->box.out, &why);
	if (ec == EC_AGAIN)
		return false;
	if (ec == EC_OK) {
		note_done(c);
		c->ack_due = true;
		return true;
	}
	count_failure(c, true);
	conn_say(c, why.text);
	c->eof_told = true;
	smtp_session_tls_failed(c->session);
	return true;
}

bool conn_tls_step(struct conn *c)
{
	return c->tls != NULL && !c->secure && !c->ending && !c->eof_told && handshake(c);
}

/* _refill joins what the session has left with what can be decrypted, in the
 * worker's plain buffer. */
bool conn_tls_refill(struct conn *c)
{
	struct why why = { 0 };
	size_t got = 0;
	uint8_t *plain = c->work->plain;
	if (c->view.len > WORK_PLAIN - WORK_READ)
		return false;
	if (c->view.len > 0 && c->view.p != plain)
		memmove(plain, c->view.p, c->view.len);
	c->view.p = plain;
	bytes_fini(&c->kept);
	enum ec ec = channel_read(c->tls, plain + c->view.len, WORK_READ, &got, &c->box.out, &why);
	c->view.len += got;
	if (ec == EC_OK)
		return true;
	if (ec != EC_AGAIN && ec != EC_CLOSED) {
		count_failure(c, false);
		conn_break(c, SMTP_WHY_TLS_FAILED, why.text);
		return true;
	}
	c->dry = true;
	if (ec == EC_CLOSED)
		c->eof = true; /* close_notify; what it did not send is not missing */
	else if (c->eof && !c->eof_told)
		/* A FIN alone: anybody on the path could have made it. */
		conn_say(c, "closed without close_notify");
	return false;
}

/* From the greeting to READY: EHLO, perhaps STARTTLS and EHLO again, perhaps XCLIENT and
 * EHLO again. A backend that refuses EHLO is not asked by HELO: all that we need of a
 * next hop, from STARTTLS to SIZE, is an extension. */
#include <assert.h>
#include <string.h>

#include "base/domain.h"
#include "proxy/relay/backend_int.h"

/* Behind XCLIENT we speak as the client, and the backend's rules about HELO
 * names and SPF look at this name. It came from a stranger: nothing that could
 * end the line or split it goes out. */
static const char *ehlo_name(const struct backend *b)
{
	if (!b->xclient_done || b->client.helo[0] == '\0')
		return b->hostname;
	for (const char *p = b->client.helo; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return b->hostname;
	return b->client.helo;
}

static void ask_ehlo(struct backend *b)
{
	char text[HOSTNAME_MAX + 16];
	struct writer w = writer_of(text, sizeof text);
	b->offer = (struct ehlo_offer){ 0 };
	writer_format(&w, "%s %s\r\n", b->lmtp ? "LHLO" : "EHLO", ehlo_name(b));
	backend_ask(b, ASK_EHLO, writer_slice(&w));
}

static void ask_xclient(struct backend *b)
{
	char text[XCLIENT_LINE_MAX];
	struct writer w = writer_of(text, sizeof text);
	client_info_xclient(&w, &b->client, b->offer.xclient);
	assert(!w.bad);
	backend_ask(b, ASK_XCLIENT, writer_slice(&w));
}

/* TLS is settled: tells the backend who the client is, or is through. */
static void go_on(struct backend *b)
{
	bool need = b->use_xclient && !b->xclient_done;
	if (need && ((b->offer.caps.flags & SMTP_CAP_XCLIENT) == 0 || (b->offer.xclient & CLIENT_INFO_ADDR) == 0)) {
		backend_fail(b, SMTP_WHY_BACKEND_CONFIG, "the backend does not offer us XCLIENT");
	} else if (need) {
		ask_xclient(b);
	} else if (b->use_xforward && (b->offer.xforward & CLIENT_INFO_ADDR) == 0) {
		backend_fail(b, SMTP_WHY_BACKEND_CONFIG, "the backend does not offer us XFORWARD");
	} else {
		backend_enter(b, BE_IDLE);
		backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_READY, .caps = &b->offer.caps });
	}
}

/* STARTTLS is sent at most once: behind the first EHLO reply. What later ones offer, inside
 * TLS or behind XCLIENT, changes nothing any more. */
static void on_ehlo(struct backend *b)
{
	if (b->tls == BACKEND_TLS_NONE || b->tls_settled) {
		go_on(b);
	} else if ((b->offer.caps.flags & SMTP_CAP_STARTTLS) != 0) {
		b->tls_settled = true;
		backend_enter(b, BE_STARTTLS);
		backend_ask(b, ASK_STARTTLS, SLICE_LIT("STARTTLS\r\n"));
	} else if (b->tls == BACKEND_TLS_MUST) {
		backend_fail(b, SMTP_WHY_HOP_NO_STARTTLS, "the backend does not offer STARTTLS");
	} else {
		b->tls_settled = true;
		go_on(b);
	}
}

/* RFC 5321 4.2: what comes first in a greeting is the name of who greets. */
static bool is_ourselves(const struct backend *b)
{
	struct slice name = slice_of(b->reader.text, b->reader.text_len);
	const uint8_t *blank = name.len > 0 ? memchr(name.p, ' ', name.len) : NULL;
	if (blank != NULL)
		name = slice_first(name, (size_t)(blank - name.p));
	return b->own_name[0] != '\0' && slice_eq_nocase(domain_without_dot(name), domain_without_dot(slice_str(b->own_name)));
}

static void on_greeting(struct backend *b)
{
	if (is_ourselves(b))
		backend_fail(b, SMTP_WHY_HOP_LOOP, "greets with our own name (proxy.hostname), so mail would come back: correct the "
		                                   "domain's MX records, or name the next hop in the connector instead of mx");
	else
		ask_ehlo(b);
}

void backend_greet_yes(struct backend *b, enum asked what)
{
	switch (what) {
	case ASK_GREETING:
		on_greeting(b);
		break;
	case ASK_EHLO:
		on_ehlo(b);
		break;
	case ASK_STARTTLS:
		backend_enter(b, BE_TLS);
		backend_emit(b, (struct backend_event){ .kind = BACKEND_EV_START_TLS });
		break;
	default:
		b->xclient_done = what == ASK_XCLIENT;
		ask_ehlo(b);
		break;
	}
}

void backend_greet_no(struct backend *b, enum asked what)
{
	bool later = b->reader.code < 500;
	if (what == ASK_XCLIENT) {
		backend_fail(b, SMTP_WHY_BACKEND_CONFIG, "the backend refused XCLIENT");
	} else if (what != ASK_STARTTLS) {
		backend_fail(b, later ? SMTP_WHY_BACKEND_CLOSING : SMTP_WHY_BACKEND_CONFIG, "the backend refused the session");
	} else if (b->tls == BACKEND_TLS_MUST) {
		backend_fail(b, SMTP_WHY_HOP_NO_STARTTLS, "the backend refused STARTTLS");
	} else {
		backend_enter(b, BE_GREETING);
		go_on(b);
	}
}

/* RFC 3207 4.2: the client must discard any knowledge obtained from the server. That is
 * the offer, which each EHLO makes anew. */
void backend_tls_done(struct backend *b)
{
	if (b->state != BE_TLS)
		return;
	b->num_events = b->next_event = 0;
	backend_enter(b, BE_GREETING);
	ask_ehlo(b);
}

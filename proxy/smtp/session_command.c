#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/smtp/line.h"
#include "proxy/smtp/session_int.h"

/* A line without an end is read and thrown away up to here; then we hang up. */
enum { SKIP_MAX = 1 << 20 };

/* Nobody sends a larger chunk, and with our header it still has a size. */
#define CHUNK_MAX ((uint64_t)INT64_MAX)

enum {
	NO_ARGS = 1 << 0,     /* an argument is refused with 501 */
	LONG_LINE = 1 << 1,   /* may be longer than SMTP_LINE_BASE */
	NOT_COUNTED = 1 << 2, /* not against max_commands: bounded otherwise */
	OUTSIDE = 1 << 3,     /* the effect looks at the state itself */
};

/* What an effect gets: the argument, how much was in hand behind the line, and
 * whether a control octet is in it. */
struct call {
	struct slice arg;
	size_t behind;
	bool control;
};

static uint32_t offer(const struct smtp_session *s)
{
	uint32_t kept = SMTP_CAP_8BITMIME | SMTP_CAP_DSN;
	/* RFC 6531 3.1: SMTPUTF8 needs 8BITMIME beside it. RFC 3030 3: so does BODY, and
	 * what comes as BINARYMIME can only go on by BDAT. */
	if ((s->caps.flags & SMTP_CAP_8BITMIME) != 0)
		kept |= SMTP_CAP_SMTPUTF8 | ((s->caps.flags & SMTP_CAP_CHUNKING) != 0 ? SMTP_CAP_BINARYMIME : 0);
	uint32_t ours = SMTP_CAP_PIPELINING | SMTP_CAP_SIZE | SMTP_CAP_ENHANCED | SMTP_CAP_CHUNKING;
	/* RFC 8689 2: REQUIRETLS is offered inside TLS only. */
	if (s->tls_active)
		kept |= SMTP_CAP_REQUIRETLS;
	else if (s->tls_offered)
		ours |= SMTP_CAP_STARTTLS;
	return ours | (s->caps.flags & kept);
}

/* What the backend said of itself binds us too, where it is less. */
static uint64_t lesser(uint32_t ours, uint64_t behind)
{
	return behind != 0 && behind < ours ? behind : ours;
}

static void reply_ehlo(struct smtp_session *s)
{
	static const struct {
		uint32_t cap;
		const char *word;
	} words[] = {
		{ SMTP_CAP_PIPELINING, "PIPELINING" }, { SMTP_CAP_STARTTLS, "STARTTLS" },
		{ SMTP_CAP_8BITMIME, "8BITMIME" },     { SMTP_CAP_DSN, "DSN" },
		{ SMTP_CAP_SMTPUTF8, "SMTPUTF8" },     { SMTP_CAP_CHUNKING, "CHUNKING" },
		{ SMTP_CAP_BINARYMIME, "BINARYMIME" }, { SMTP_CAP_REQUIRETLS, "REQUIRETLS" },
	};
	char text[1024];
	struct writer w = writer_of(text, sizeof text);
	writer_str(&w, "250-");
	writer_bytes(&w, session_hostname(s));
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if ((s->offered & words[i].cap) != 0) {
			writer_str(&w, "\r\n250-");
			writer_str(&w, words[i].word);
		}
	}
	writer_str(&w, "\r\n250-SIZE");
	if (session_size_limit(s) > 0) {
		writer_str(&w, " ");
		writer_u64(&w, session_size_limit(s));
	}
	/* RFC 9422: what a client would otherwise find out by being refused. */
	writer_str(&w, "\r\n250-LIMITS MAILMAX=");
	writer_u64(&w, lesser(s->limits->max_transactions, s->caps.mail_max));
	writer_str(&w, " RCPTMAX=");
	writer_u64(&w, lesser(s->limits->max_recipients, s->caps.rcpt_max));
	writer_str(&w, "\r\n250 ENHANCEDSTATUSCODES\r\n");
	session_reply_bytes(s, writer_slice(&w), SMTP_WHY_NONE, false);
}

/* EHLO and HELO end a transaction like RSET: RFC 5321 4.1.4. */
static void greet(struct smtp_session *s, struct slice arg, bool esmtp)
{
	struct slice name;
	enum smtp_reply_id bad = smtp_parse_helo(arg, esmtp, &name);
	if (bad != SMTP_R_NONE) {
		session_refuse(s, bad);
		return;
	}
	/* Sessions may idle in thousands: no more than it takes. */
	char *helo = calloc(1, name.len);
	if (helo == NULL) {
		session_close(s, SMTP_WHY_NO_MEMORY);
		return;
	}
	memcpy(helo, name.p, name.len);
	session_txn_end(s);
	free(s->helo);
	s->helo = helo;
	s->helo_len = (uint8_t)name.len;
	s->esmtp = esmtp;
	s->offered = esmtp ? offer(s) : 0;
	session_enter(s, ST_READY);
	if (esmtp) {
		reply_ehlo(s);
		return;
	}
	char text[SMTP_REPLY_LINE_MAX];
	struct writer w = writer_of(text, sizeof text);
	writer_str(&w, "250 ");
	writer_bytes(&w, session_hostname(s));
	writer_str(&w, "\r\n");
	session_reply_bytes(s, writer_slice(&w), SMTP_WHY_NONE, false);
}

static void do_ehlo(struct smtp_session *s, const struct call *c)
{
	greet(s, c->arg, true);
}

static void do_helo(struct smtp_session *s, const struct call *c)
{
	greet(s, c->arg, false);
}

static void do_starttls(struct smtp_session *s, const struct call *c)
{
	if (s->tls_active) {
		session_refuse(s, SMTP_R_TLS_TWICE);
		return;
	}
	if (s->state != ST_READY || !s->esmtp) {
		session_refuse(s, SMTP_R_TLS_ORDER);
		return;
	}
	if (smtp_trim(c->arg).len > 0) {
		session_refuse(s, SMTP_R_NO_ARGS);
		return;
	}
	if (!s->tls_offered) {
		session_reply(s, SMTP_R_NO_TLS);
		return;
	}
	/* What a client sends before it has our 220 was put there by someone who
	 * hopes that it is taken for the first words inside TLS (CVE-2011-0411). */
	if (c->behind > 0) {
		session_close(s, SMTP_WHY_STARTTLS_INJECTION);
		return;
	}
	session_enter(s, ST_TLS);
	session_reply(s, SMTP_R_TLS_READY);
	session_emit(s, SMTP_EV_START_TLS, SMTP_WHY_NONE);
}

static void do_mail(struct smtp_session *s, const struct call *c)
{
	struct smtp_mail mail;
	if (s->num_transactions >= s->limits->max_transactions) {
		session_reply(s, SMTP_R_MANY_MESSAGES);
		session_close(s, SMTP_WHY_TOO_MANY_MESSAGES);
		return;
	}
	enum smtp_reply_id bad = smtp_parse_mail(c->arg, s->offered, &mail);
	if (bad != SMTP_R_NONE) {
		session_refuse(s, bad);
		return;
	}
	if (session_size_limit(s) > 0 && mail.size > session_size_limit(s)) {
		session_reply(s, SMTP_R_TOO_BIG);
		return;
	}
	bad = session_txn_begin(s, &mail);
	session_reply(s, bad == SMTP_R_NONE ? SMTP_R_MAIL_OK : bad);
}

static void do_rcpt(struct smtp_session *s, const struct call *c)
{
	struct txn *t = s->txn;
	struct smtp_rcpt rcpt;
	size_t way;
	enum smtp_reply_id bad = smtp_parse_rcpt(c->arg, s->offered, t->mail.smtputf8, &rcpt);
	if (bad != SMTP_R_NONE) {
		session_refuse(s, bad);
		return;
	}
	if (t->spoiled != SMTP_R_NONE) {
		session_reply(s, t->spoiled);
		return;
	}
	bad = session_way_find(s, &rcpt, &way);
	if (bad == SMTP_R_NO_ROUTE) {
		session_refuse(s, bad);
		return;
	}
	if (bad != SMTP_R_NONE) {
		s->num_commands++; /* no error, but there has to be an end to them */
		session_reply(s, bad);
		return;
	}
	bool same = session_way_same(s, &rcpt, way);
	t->rcpt = rcpt;
	t->connector = way;
	t->pending++;
	if (s->state == ST_RCPT && same) {
		session_emit(s, SMTP_EV_RCPT, SMTP_WHY_NONE);
		return;
	}
	if (s->state == ST_RCPT) { /* the link is for those that were refused */
		session_emit(s, SMTP_EV_RESET, SMTP_WHY_NONE);
		t->link = LINK_NONE;
	}
	session_enter(s, ST_OPENING);
	session_emit(s, SMTP_EV_OPEN_BACKEND, SMTP_WHY_NONE);
}

static void do_data(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_data(s);
}

/* Whatever is wrong with BDAT, its octets follow: they are counted off before
 * the reply. If the count itself can't be trusted, nothing after it can be. */
static void do_bdat(struct smtp_session *s, const struct call *c)
{
	struct smtp_bdat bdat;
	enum smtp_reply_id bad = smtp_parse_bdat(c->arg, &bdat);
	if (c->control || c->arg.len + sizeof "BDAT \r\n" - 1 > SMTP_LINE_BASE)
		bad = SMTP_R_BDAT_BAD;
	uint64_t max = session_size_limit(s) > 0 ? session_size_limit(s) : CHUNK_MAX;
	if (bad == SMTP_R_NONE && bdat.size > max)
		bad = SMTP_R_BDAT_BIG;
	if (bad != SMTP_R_NONE) {
		session_reply(s, bad);
		session_close(s, smtp_reply_row(bad)->reason);
		return;
	}
	if (bdat.size == 0)
		s->num_commands++;
	const struct txn *t = s->txn;
	if (s->state == ST_START || !s->esmtp)
		session_chunk_discard(s, &bdat, SMTP_R_NEED_HELO);
	else if (s->state == ST_READY)
		session_chunk_discard(s, &bdat, SMTP_R_NEED_MAIL);
	else if (t->spoiled != SMTP_R_NONE)
		session_chunk_discard(s, &bdat, SMTP_R_NONE);
	else if (t->accepted == 0)
		session_chunk_discard(s, &bdat, SMTP_R_NEED_RCPT);
	else
		session_chunk_begin(s, &bdat);
}

static void do_rset(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_txn_end(s);
	session_reply(s, SMTP_R_OK);
}

static void do_noop(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_reply(s, SMTP_R_OK);
}

static void do_vrfy(struct smtp_session *s, const struct call *c)
{
	if (smtp_trim(c->arg).len == 0)
		session_refuse(s, SMTP_R_SYNTAX);
	else
		session_reply(s, SMTP_R_VRFY);
}

static void do_help(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_reply(s, SMTP_R_HELP);
}

static void do_quit(struct smtp_session *s, const struct call *c)
{
	(void)c;
	if (s->txn != NULL)
		session_txn_end(s);
	session_reply(s, SMTP_R_BYE);
	session_close(s, SMTP_WHY_QUIT);
}

static void do_refused(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_refuse(s, SMTP_R_REFUSED);
}

static void do_foreign(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_reply(s, SMTP_R_FOREIGN);
	session_close(s, SMTP_WHY_FOREIGN);
}

static void do_unknown(struct smtp_session *s, const struct call *c)
{
	(void)c;
	session_refuse(s, SMTP_R_UNKNOWN);
}

#define GREETED (STEP(ST_READY) | STEP(ST_MAIL) | STEP(ST_RCPT) | STEP(ST_CHUNKS))
#define ANY (STEP(ST_START) | GREETED)

/* A verb: where it is legal, what it does, and what is said elsewhere (before
 * EHLO it is NEED_HELO, between chunks MIXED). RFC 5321 4.1.4. */
struct verb_rule {
	uint64_t states;
	void (*effect)(struct smtp_session *s, const struct call *c);
	unsigned flags;
	enum smtp_reply_id out_of_order;
};

static const struct verb_rule rules[] = {
	[SMTP_EHLO] = { ANY, do_ehlo, 0, SMTP_R_NONE },
	[SMTP_HELO] = { ANY, do_helo, 0, SMTP_R_NONE },
	[SMTP_STARTTLS] = { ANY, do_starttls, 0, SMTP_R_NONE },
	[SMTP_MAIL] = { STEP(ST_READY), do_mail, LONG_LINE, SMTP_R_NESTED_MAIL },
	[SMTP_RCPT] = { STEP(ST_MAIL) | STEP(ST_RCPT), do_rcpt, LONG_LINE | NOT_COUNTED, SMTP_R_NEED_MAIL },
	[SMTP_DATA] = { STEP(ST_MAIL) | STEP(ST_RCPT), do_data, NO_ARGS | NOT_COUNTED, SMTP_R_NEED_MAIL },
	[SMTP_BDAT] = { ANY, do_bdat, LONG_LINE | NOT_COUNTED, SMTP_R_NONE }, /* too long is a bad number, see do_bdat */
	[SMTP_RSET] = { ANY, do_rset, NO_ARGS, SMTP_R_NONE },
	[SMTP_NOOP] = { ANY, do_noop, 0, SMTP_R_NONE },
	[SMTP_VRFY] = { ANY, do_vrfy, 0, SMTP_R_NONE },
	[SMTP_HELP] = { ANY, do_help, 0, SMTP_R_NONE },
	[SMTP_QUIT] = { ANY, do_quit, NO_ARGS, SMTP_R_NONE },
	[SMTP_REFUSED] = { ANY, do_refused, 0, SMTP_R_NONE },
	[SMTP_FOREIGN] = { ANY, do_foreign, 0, SMTP_R_NONE },
	[SMTP_UNKNOWN] = { ANY, do_unknown, LONG_LINE, SMTP_R_NONE },
};
_Static_assert(sizeof rules / sizeof *rules == SMTP_VERB_COUNT, "one rule per verb");

static bool has_control(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] < 0x20 || line.p[i] == 0x7f)
			return true;
	return false;
}

static enum smtp_reply_id out_of_order(const struct smtp_session *s, const struct verb_rule *rule)
{
	if (s->state == ST_START)
		return SMTP_R_NEED_HELO;
	return s->state == ST_CHUNKS ? SMTP_R_MIXED : rule->out_of_order;
}

static void run(struct smtp_session *s, struct slice line, size_t behind)
{
	struct call c = { .behind = behind, .control = has_control(line) };
	enum smtp_verb verb = smtp_verb_find(line, &c.arg);
	const struct verb_rule *rule = &rules[verb];
	bool legal = (rule->states & STEP(s->state)) != 0;
	bool counted = (rule->flags & NOT_COUNTED) == 0 || !legal;
	if (counted && ++s->num_commands > s->limits->max_commands) {
		session_reply(s, SMTP_R_MANY_COMMANDS);
		session_close(s, SMTP_WHY_TOO_MANY_COMMANDS);
		return;
	}
	if ((rule->flags & LONG_LINE) == 0 && line.len + 2 > SMTP_LINE_BASE)
		session_refuse(s, SMTP_R_LINE_LONG);
	else if (verb < SMTP_REFUSED && verb != SMTP_BDAT && has_control(smtp_trim(line)))
		session_refuse(s, SMTP_R_CONTROL);
	else if (!legal)
		session_refuse(s, out_of_order(s, rule));
	else if ((rule->flags & NO_ARGS) != 0 && smtp_trim(c.arg).len > 0)
		session_refuse(s, SMTP_R_NO_ARGS);
	else
		rule->effect(s, &c);
}

/* data_may_overtake: the link pipelines, and nothing is wrong with this DATA but
 * perhaps that no recipient will be accepted. */
static bool data_may_overtake(const struct txn *t, struct slice line, struct slice arg)
{
	return (t->link_caps & SMTP_CAP_PIPELINING) != 0 && t->mail.body != SMTP_BODY_BINARYMIME &&
	       !has_control(line) && smtp_trim(arg).len == 0 && line.len + 2 <= SMTP_LINE_BASE;
}

/* While RCPTs wait for their answers, only another good RCPT of the same way, or the DATA
 * that ends their group, may overtake them to the backend: everything else is answered by us, and
 * answers keep their order (RFC 2920 3.2). A line that stays is offered to us again. */
static bool may_overtake(const struct smtp_session *s, enum ec ec, struct slice line)
{
	const struct txn *t = s->txn;
	struct slice arg;
	struct smtp_rcpt rcpt;
	size_t way;
	if (ec != EC_OK || t->spoiled != SMTP_R_NONE)
		return false;
	enum smtp_verb verb = smtp_verb_find(line, &arg);
	if (verb != SMTP_RCPT)
		return verb == SMTP_DATA && data_may_overtake(t, line, arg);
	/* A link used before may turn out dead: with one RCPT we can start over. */
	if (t->reused && !t->answered)
		return false;
	if (t->pending >= PENDING_MAX || has_control(line) ||
	    smtp_parse_rcpt(arg, s->offered, t->mail.smtputf8, &rcpt) != SMTP_R_NONE)
		return false;
	return session_way_find(s, &rcpt, &way) == SMTP_R_NONE;
}

static size_t skip(struct smtp_session *s, struct slice in)
{
	size_t used;
	enum ec ec = smtp_line_skip(in, &used);
	s->skipped += used;
	if (ec == EC_OK) {
		s->skipping = false;
		s->progress++;
		if (s->skip_reply != SMTP_R_NONE)
			session_refuse(s, s->skip_reply);
	} else if (s->skipped > SKIP_MAX) {
		session_reply(s, SMTP_R_LINE_ENDLESS);
		session_close(s, SMTP_WHY_LINE_LONG);
	}
	return used;
}

/* The first octet of another protocol, such as TLS (0x16), tells itself; that of
 * PROXY v2 behind two empty lines. */
static bool binary(uint8_t c)
{
	return (c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c >= 0x7f;
}

size_t session_take_line(struct smtp_session *s, struct slice in)
{
	struct slice line = { 0 };
	size_t used;
	if (s->skipping)
		return skip(s, in);
	if (s->first_line && binary(in.p[0])) {
		session_reply(s, SMTP_R_BINARY);
		session_close(s, SMTP_WHY_BINARY);
		return in.len;
	}
	enum ec ec = smtp_line_take(in, SMTP_LINE_MAX, &line, &used);
	if (ec == EC_AGAIN)
		return 0;
	s->held = s->txn != NULL && s->txn->pending > 0 && !may_overtake(s, ec, line);
	if (s->held)
		return 0;
	s->first_line = s->first_line && ec == EC_OK && line.len == 0;
	s->progress++;
	if (ec != EC_OK && slice_eq_nocase(slice_first(in, 4), SLICE_LIT("BDAT"))) {
		/* As in do_bdat: how much raw content follows can't be known. */
		session_reply(s, SMTP_R_BDAT_BAD);
		session_close(s, SMTP_WHY_BDAT_SIZE);
		return used;
	}
	switch (ec) {
	case EC_OK:
		run(s, line, in.len - used);
		break;
	case EC_LINE_LONG:
	case EC_BARE_LF:
		s->skipping = true;
		s->skipped = used;
		s->skip_reply = ec == EC_LINE_LONG ? SMTP_R_LINE_LONG : SMTP_R_NONE;
		if (ec == EC_BARE_LF)
			session_refuse(s, SMTP_R_BARE_LF);
		break;
	default:
		session_refuse(s, ec == EC_NUL ? SMTP_R_NUL : SMTP_R_BARE_CR);
		break;
	}
	return used;
}

#include "proxy/smtp/command.h"

#include <assert.h>
#include <string.h>

#include "proxy/smtp/caps.h"
#include "proxy/smtp/params.h"
#include "proxy/smtp/xtext.h"

struct verb_row {
	const char *name;
	enum smtp_verb verb;
};

static const struct verb_row verbs[] = {
	{ "EHLO", SMTP_EHLO },         { "HELO", SMTP_HELO },         { "STARTTLS", SMTP_STARTTLS },
	{ "MAIL", SMTP_MAIL },         { "RCPT", SMTP_RCPT },         { "DATA", SMTP_DATA },
	{ "BDAT", SMTP_BDAT },         { "RSET", SMTP_RSET },         { "NOOP", SMTP_NOOP },
	{ "VRFY", SMTP_VRFY },         { "HELP", SMTP_HELP },         { "QUIT", SMTP_QUIT },
	{ "EXPN", SMTP_REFUSED },      { "ETRN", SMTP_REFUSED },      { "TURN", SMTP_REFUSED },
	{ "ATRN", SMTP_REFUSED },      { "AUTH", SMTP_REFUSED },      { "XCLIENT", SMTP_REFUSED },
	{ "XFORWARD", SMTP_REFUSED },  { "SEND", SMTP_REFUSED },      { "SOML", SMTP_REFUSED },
	{ "SAML", SMTP_REFUSED },      { "BURL", SMTP_REFUSED },      { "LHLO", SMTP_REFUSED },
	{ "XEXCH50", SMTP_REFUSED },   { "GET", SMTP_FOREIGN },       { "POST", SMTP_FOREIGN },
	{ "PUT", SMTP_FOREIGN },       { "HEAD", SMTP_FOREIGN },      { "DELETE", SMTP_FOREIGN },
	{ "OPTIONS", SMTP_FOREIGN },   { "CONNECT", SMTP_FOREIGN },   { "PATCH", SMTP_FOREIGN },
	{ "TRACE", SMTP_FOREIGN },     { "PRI", SMTP_FOREIGN },       { "PROXY", SMTP_FOREIGN },
	{ "PROPFIND", SMTP_FOREIGN },  { "INVITE", SMTP_FOREIGN },    { "REGISTER", SMTP_FOREIGN },
};

const char *smtp_verb_name(enum smtp_verb verb)
{
	if (verb >= SMTP_REFUSED)
		return verb == SMTP_REFUSED ? "refused" : verb == SMTP_FOREIGN ? "foreign" : "unknown";
	assert(verbs[verb].verb == verb); /* the first rows stand in the order of the enum */
	return verbs[verb].name;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct slice smtp_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

enum smtp_verb smtp_verb_find(struct slice line, struct slice *out_arg)
{
	size_t len = 0;
	while (len < line.len && !is_blank(line.p[len]))
		len++;
	*out_arg = slice_from(line, len + 1);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (slice_eq_nocase(slice_first(line, len), slice_str(verbs[i].name)))
			return verbs[i].verb;
	return SMTP_UNKNOWN;
}

/* RFC 5321 4.1.1.1 asks for a domain or a literal, 4.1.4 for tolerance: any
 * word of the characters that names and literals are made of will do. */
enum smtp_reply_id smtp_parse_helo(struct slice arg, bool ehlo, struct slice *out_name)
{
	(void)ehlo;
	arg = smtp_trim(arg);
	if (arg.len == 0 || arg.len > SMTP_HELO_MAX)
		return SMTP_R_HELO_BAD;
	for (size_t i = 0; i < arg.len; i++) {
		uint8_t c = arg.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (c == '\0' || strchr("-._:[]", c) == NULL))
			return SMTP_R_HELO_BAD;
	}
	*out_name = arg;
	return SMTP_R_NONE;
}

/* Takes "FROM:" or "TO:", and blanks behind it, which some senders put there. */
static bool take_prefix(struct slice *arg, const char *prefix)
{
	struct slice p = slice_str(prefix);
	*arg = smtp_trim(*arg);
	if (!slice_eq_nocase(slice_first(*arg, p.len), p))
		return false;
	*arg = slice_from(*arg, p.len);
	while (arg->len > 0 && arg->p[0] == ' ')
		*arg = slice_from(*arg, 1);
	return true;
}

enum smtp_reply_id smtp_parse_mail(struct slice arg, uint32_t caps, struct smtp_mail *out)
{
	memset(out, 0, sizeof *out);
	if (!take_prefix(&arg, "FROM:"))
		return SMTP_R_SYNTAX;
	/* SMTPUTF8 stands behind the address that needs it. */
	enum ec ec = smtp_path_parse(&arg, SMTP_PATH_NULL | SMTP_PATH_UTF8, &out->path);
	if (ec != EC_OK)
		return ec == EC_RANGE ? SMTP_R_SENDER_LONG : SMTP_R_SENDER_BAD;
	enum smtp_reply_id bad = smtp_params_mail(arg, caps, out);
	if (bad != SMTP_R_NONE)
		return bad;
	return out->path.utf8 && !out->smtputf8 ? SMTP_R_NEEDS_UTF8 : SMTP_R_NONE;
}

enum smtp_reply_id smtp_parse_rcpt(struct slice arg, uint32_t caps, bool smtputf8, struct smtp_rcpt *out)
{
	memset(out, 0, sizeof *out);
	if (!take_prefix(&arg, "TO:"))
		return SMTP_R_SYNTAX;
	unsigned allow = SMTP_PATH_POSTMASTER | (smtputf8 ? SMTP_PATH_UTF8 : 0U);
	enum ec ec = smtp_path_parse(&arg, allow, &out->path);
	if (ec != EC_OK)
		return ec == EC_RANGE         ? SMTP_R_RCPT_LONG
		       : ec == EC_UNSUPPORTED ? SMTP_R_NEEDS_UTF8
		                              : SMTP_R_RCPT_BAD;
	return smtp_params_rcpt(arg, caps, smtputf8, out);
}

/* bdat-cmd = "BDAT" SP chunk-size [ SP "LAST" ], to the letter: what follows a
 * number that was read wrongly would be taken for commands. RFC 3030 2. */
enum smtp_reply_id smtp_parse_bdat(struct slice arg, struct smtp_bdat *out)
{
	const uint8_t *blank = arg.len > 0 ? memchr(arg.p, ' ', arg.len) : NULL;
	struct slice number = slice_first(arg, blank != NULL ? (size_t)(blank - arg.p) : arg.len);
	out->last = blank != NULL;
	if (blank != NULL && !slice_eq_nocase(slice_from(arg, number.len + 1), SLICE_LIT("LAST")))
		return SMTP_R_BDAT_BAD;
	return parse_u64(number, UINT64_MAX, &out->size) == EC_OK ? SMTP_R_NONE : SMTP_R_BDAT_BAD;
}

void smtp_print_mail(struct writer *w, const struct smtp_mail *mail, uint32_t caps)
{
	static const char *const bodies[] = {
		[SMTP_BODY_NONE] = "",
		[SMTP_BODY_7BIT] = " BODY=7BIT",
		[SMTP_BODY_8BITMIME] = " BODY=8BITMIME",
		[SMTP_BODY_BINARYMIME] = " BODY=BINARYMIME",
	};
	writer_str(w, "MAIL FROM:");
	smtp_path_print(w, &mail->path);
	if (mail->has_size && (caps & SMTP_CAP_SIZE) != 0) {
		writer_str(w, " SIZE=");
		writer_u64(w, mail->size);
	}
	uint32_t needs = mail->body == SMTP_BODY_BINARYMIME ? SMTP_CAP_BINARYMIME : SMTP_CAP_8BITMIME;
	if ((caps & needs) != 0)
		writer_str(w, bodies[mail->body]);
	if (mail->smtputf8 && (caps & SMTP_CAP_SMTPUTF8) != 0)
		writer_str(w, " SMTPUTF8");
	if (mail->requiretls && (caps & SMTP_CAP_REQUIRETLS) != 0)
		writer_str(w, " REQUIRETLS");
	if ((caps & SMTP_CAP_DSN) != 0) {
		if (mail->ret != SMTP_RET_NONE)
			writer_str(w, mail->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
		if (mail->envid_len > 0) {
			writer_str(w, " ENVID=");
			xtext_encode(w, slice_of(mail->envid, mail->envid_len));
		}
	}
	writer_str(w, "\r\n");
}

static void print_notify(struct writer *w, uint8_t notify)
{
	static const char *const names[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	const char *before = " NOTIFY=";
	for (unsigned i = 0; i < 4; i++) {
		if ((notify & 1U << i) == 0)
			continue;
		writer_str(w, before);
		writer_str(w, names[i]);
		before = ",";
	}
}

void smtp_print_rcpt(struct writer *w, const struct smtp_rcpt *rcpt, uint32_t caps)
{
	writer_str(w, "RCPT TO:");
	smtp_path_print(w, &rcpt->path);
	if ((caps & SMTP_CAP_DSN) != 0) {
		print_notify(w, rcpt->notify);
		if (rcpt->orcpt_len > 0) {
			struct slice type = slice_of(rcpt->orcpt_type, rcpt->orcpt_type_len);
			struct slice address = slice_of(rcpt->orcpt, rcpt->orcpt_len);
			writer_str(w, " ORCPT=");
			writer_bytes(w, type);
			writer_str(w, ";");
			if (slice_eq_nocase(type, SLICE_LIT("utf-8")))
				utf8_addr_encode(w, address);
			else
				xtext_encode(w, address);
		}
	}
	writer_str(w, "\r\n");
}

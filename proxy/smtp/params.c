#include "proxy/smtp/params.h"

#include <string.h>

#include "proxy/smtp/caps.h"
#include "proxy/smtp/xtext.h"

/* What a parameter is read into; exactly one of mail and rcpt is set. */
struct target {
	struct smtp_mail *mail;
	struct smtp_rcpt *rcpt;
	bool smtputf8;
};

static struct slice take_until(struct slice *s, uint8_t end)
{
	const uint8_t *p = s->len > 0 ? memchr(s->p, end, s->len) : NULL;
	struct slice head = slice_first(*s, p != NULL ? (size_t)(p - s->p) : s->len);
	*s = slice_from(*s, head.len + 1);
	return head;
}

static bool put_size(struct target *t, struct slice value)
{
	/* size-value = 1*20DIGIT (RFC 1870 4); what 64 bits don't hold is too big anyway. */
	enum ec ec = parse_u64(value, UINT64_MAX, &t->mail->size);
	if (ec == EC_RANGE && value.len <= 20) {
		t->mail->size = UINT64_MAX;
		ec = EC_OK;
	}
	t->mail->has_size = true;
	return ec == EC_OK && value.len <= 20;
}

static bool put_body(struct target *t, struct slice value)
{
	if (slice_eq_nocase(value, SLICE_LIT("7BIT")))
		t->mail->body = SMTP_BODY_7BIT;
	else if (slice_eq_nocase(value, SLICE_LIT("8BITMIME")))
		t->mail->body = SMTP_BODY_8BITMIME;
	else if (slice_eq_nocase(value, SLICE_LIT("BINARYMIME")))
		t->mail->body = SMTP_BODY_BINARYMIME;
	return t->mail->body != SMTP_BODY_NONE;
}

static bool put_smtputf8(struct target *t, struct slice value)
{
	(void)value;
	t->mail->smtputf8 = true;
	return true;
}

static bool put_requiretls(struct target *t, struct slice value)
{
	(void)value;
	t->mail->requiretls = true;
	return true;
}

static bool put_ret(struct target *t, struct slice value)
{
	if (slice_eq_nocase(value, SLICE_LIT("FULL")))
		t->mail->ret = SMTP_RET_FULL;
	else if (slice_eq_nocase(value, SLICE_LIT("HDRS")))
		t->mail->ret = SMTP_RET_HDRS;
	return t->mail->ret != SMTP_RET_NONE;
}

static bool put_envid(struct target *t, struct slice value)
{
	/* RFC 3461 4.4: at most 100 characters, encoded. */
	struct writer w = writer_of(t->mail->envid, sizeof t->mail->envid);
	if (value.len > SMTP_ENVID_MAX || xtext_decode(value, &w) != EC_OK)
		return false;
	t->mail->envid_len = (uint8_t)w.len;
	return true;
}

static bool put_notify(struct target *t, struct slice value)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} words[] = {
		{ "NEVER", SMTP_NOTIFY_NEVER },
		{ "SUCCESS", SMTP_NOTIFY_SUCCESS },
		{ "FAILURE", SMTP_NOTIFY_FAILURE },
		{ "DELAY", SMTP_NOTIFY_DELAY },
	};
	if (value.p[value.len - 1] == ',')
		return false;
	uint8_t bits = 0;
	while (value.len > 0) {
		struct slice word = take_until(&value, ',');
		uint8_t bit = 0;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (slice_eq_nocase(word, slice_str(words[i].name)))
				bit = words[i].bit;
		if (bit == 0 || (bits & bit) != 0)
			return false;
		bits |= bit;
	}
	t->rcpt->notify = bits;
	/* NEVER stands alone: RFC 3461 4.1. */
	return (bits & SMTP_NOTIFY_NEVER) == 0 || bits == SMTP_NOTIFY_NEVER;
}

static bool put_orcpt(struct target *t, struct slice value)
{
	struct smtp_rcpt *rcpt = t->rcpt;
	if (value.len > SMTP_ORCPT_MAX)
		return false;
	struct slice type = take_until(&value, ';');
	if (type.len == 0 || type.len > sizeof rcpt->orcpt_type || value.len == 0)
		return false;
	for (size_t i = 0; i < type.len; i++) {
		uint8_t c = type.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'))
			return false;
	}
	struct writer w = writer_of(rcpt->orcpt, sizeof rcpt->orcpt);
	enum ec ec = slice_eq_nocase(type, SLICE_LIT("utf-8")) ? utf8_addr_decode(value, t->smtputf8, &w)
	                                                       : xtext_decode(value, &w);
	if (ec != EC_OK)
		return false;
	memcpy(rcpt->orcpt_type, type.p, type.len);
	rcpt->orcpt_type_len = (uint8_t)type.len;
	rcpt->orcpt_len = (uint16_t)w.len;
	return true;
}

struct param {
	const char *name;
	uint32_t cap; /* offered by this extension */
	bool mail;    /* of MAIL; else of RCPT */
	bool value;   /* must have one; else must have none */
	bool (*put)(struct target *t, struct slice value);
};

static const struct param params[] = {
	{ "SIZE", SMTP_CAP_SIZE, true, true, put_size },
	{ "BODY", SMTP_CAP_8BITMIME, true, true, put_body },
	{ "SMTPUTF8", SMTP_CAP_SMTPUTF8, true, false, put_smtputf8 },
	{ "RET", SMTP_CAP_DSN, true, true, put_ret },
	{ "ENVID", SMTP_CAP_DSN, true, true, put_envid },
	{ "REQUIRETLS", SMTP_CAP_REQUIRETLS, true, false, put_requiretls },
	{ "NOTIFY", SMTP_CAP_DSN, false, true, put_notify },
	{ "ORCPT", SMTP_CAP_DSN, false, true, put_orcpt },
};
enum { NUM_PARAMS = sizeof params / sizeof *params };

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-"): RFC 5321 4.1.2. */
static bool keyword_ok(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (c != '-' || i == 0))
			return false;
	}
	return s.len > 0;
}

/* esmtp-value: visible characters but "="; the parsers of values are stricter. */
static bool value_ok(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] == '=' || s.p[i] == 0x7f)
			return false;
	return s.len > 0;
}

static enum smtp_reply_id one_param(struct slice text, uint32_t caps, struct target *t, uint32_t *seen)
{
	bool has_value = memchr(text.p, '=', text.len) != NULL;
	struct slice value = text;
	struct slice keyword = take_until(&value, '=');
	if (!keyword_ok(keyword) || (has_value && !value_ok(value)))
		return SMTP_R_PARAM_BAD;
	for (unsigned i = 0; i < NUM_PARAMS; i++) {
		const struct param *row = &params[i];
		if (row->mail != (t->mail != NULL) || !slice_eq_nocase(keyword, slice_str(row->name)))
			continue;
		if ((caps & row->cap) == 0)
			return SMTP_R_PARAM_UNKNOWN;
		if ((*seen & 1U << i) != 0)
			return SMTP_R_PARAM_TWICE;
		*seen |= 1U << i;
		return has_value == row->value && row->put(t, value) ? SMTP_R_NONE : SMTP_R_PARAM_BAD;
	}
	return SMTP_R_PARAM_UNKNOWN;
}

static enum smtp_reply_id all_params(struct slice rest, uint32_t caps, struct target *t)
{
	uint32_t seen = 0;
	if (rest.len > 0 && rest.p[0] != ' ')
		return SMTP_R_SYNTAX;
	while (rest.len > 0) {
		struct slice text = take_until(&rest, ' ');
		if (text.len == 0)
			continue;
		enum smtp_reply_id bad = one_param(text, caps, t, &seen);
		if (bad != SMTP_R_NONE)
			return bad;
	}
	return SMTP_R_NONE;
}

enum smtp_reply_id smtp_params_mail(struct slice rest, uint32_t caps, struct smtp_mail *out)
{
	struct target t = { .mail = out };
	enum smtp_reply_id bad = all_params(rest, caps, &t);
	/* BINARYMIME is a value of BODY with an extension of its own: RFC 3030 3. */
	if (bad == SMTP_R_NONE && out->body == SMTP_BODY_BINARYMIME && (caps & SMTP_CAP_BINARYMIME) == 0)
		return SMTP_R_PARAM_UNKNOWN;
	return bad;
}

enum smtp_reply_id smtp_params_rcpt(struct slice rest, uint32_t caps, bool smtputf8, struct smtp_rcpt *out)
{
	struct target t = { .rcpt = out, .smtputf8 = smtputf8 };
	return all_params(rest, caps, &t);
}

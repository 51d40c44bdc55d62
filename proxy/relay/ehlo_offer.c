#include "proxy/relay/ehlo_offer.h"

#include <string.h>

#include "proxy/relay/client_info.h"

static struct slice take_word(struct slice *s)
{
	const uint8_t *p = s->len > 0 ? memchr(s->p, ' ', s->len) : NULL;
	struct slice head = slice_first(*s, p != NULL ? (size_t)(p - s->p) : s->len);
	*s = slice_from(*s, head.len + 1);
	return head;
}

/* RFC 9422 3: name=value; a limit that is no number is ignored. */
static void read_limits(struct smtp_caps *caps, struct slice rest)
{
	while (rest.len > 0) {
		struct slice word = take_word(&rest), name = slice_first(word, sizeof "RCPTMAX=" - 1);
		uint64_t n = 0;
		if (parse_u64(slice_from(word, name.len), UINT64_MAX, &n) != EC_OK)
			continue;
		if (slice_eq_nocase(name, SLICE_LIT("RCPTMAX=")))
			caps->rcpt_max = n;
		else if (slice_eq_nocase(name, SLICE_LIT("MAILMAX=")))
			caps->mail_max = n;
	}
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param ) */
void ehlo_offer_read(struct ehlo_offer *o, struct slice text)
{
	static const struct {
		const char *word;
		uint32_t cap;
	} words[] = {
		{ "PIPELINING", SMTP_CAP_PIPELINING }, { "SIZE", SMTP_CAP_SIZE },
		{ "STARTTLS", SMTP_CAP_STARTTLS },     { "8BITMIME", SMTP_CAP_8BITMIME },
		{ "ENHANCEDSTATUSCODES", SMTP_CAP_ENHANCED }, { "DSN", SMTP_CAP_DSN },
		{ "SMTPUTF8", SMTP_CAP_SMTPUTF8 },     { "CHUNKING", SMTP_CAP_CHUNKING },
		{ "BINARYMIME", SMTP_CAP_BINARYMIME }, { "REQUIRETLS", SMTP_CAP_REQUIRETLS },
		{ "XCLIENT", SMTP_CAP_XCLIENT },       { "XFORWARD", SMTP_CAP_XFORWARD },
		{ "LIMITS", SMTP_CAP_LIMITS },
	};
	struct slice word = take_word(&text);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (slice_eq_nocase(word, slice_str(words[i].word)))
			o->caps.flags |= words[i].cap;
	if (slice_eq_nocase(word, SLICE_LIT("SIZE")) && parse_u64(text, UINT64_MAX, &o->caps.size_max) != EC_OK)
		o->caps.size_max = 0;
	if (slice_eq_nocase(word, SLICE_LIT("XCLIENT")))
		o->xclient = client_info_attributes(text);
	else if (slice_eq_nocase(word, SLICE_LIT("XFORWARD")))
		o->xforward = client_info_attributes(text);
	else if (slice_eq_nocase(word, SLICE_LIT("LIMITS")))
		read_limits(&o->caps, text);
}

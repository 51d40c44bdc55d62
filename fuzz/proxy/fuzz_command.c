/* Verbs, paths and parameters: what parses prints as one clean line, and that
 * line parses to the same line again. */
#include <assert.h>
#include <string.h>

#include "proxy/smtp/caps.h"
#include "proxy/smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_line(const struct writer *w)
{
	assert(!w->bad && w->len >= 2 && memcmp(w->p + w->len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < w->len - 2; i++)
		assert((uint8_t)w->p[i] >= 0x20 && w->p[i] != 0x7f);
}

static struct slice argument(const struct writer *w)
{
	return slice_of(w->p + 5, w->len - 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char first[SMTP_LINE_MAX * 3], second[SMTP_LINE_MAX * 3];
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	struct smtp_bdat bdat;
	struct slice arg, name;
	if (len < 1)
		return 0;
	uint32_t caps = (data[0] & 1) != 0 ? UINT32_MAX : 0;
	bool smtputf8 = (data[0] & 2) != 0;
	(void)smtp_verb_find(slice_of(data + 1, len - 1), &arg);
	struct writer a = writer_of(first, sizeof first), b = writer_of(second, sizeof second);
	if (smtp_parse_mail(arg, caps, &mail) == SMTP_R_NONE) {
		smtp_print_mail(&a, &mail, UINT32_MAX);
		check_line(&a);
		assert(a.len <= SMTP_LINE_MAX);
		assert(smtp_parse_mail(argument(&a), UINT32_MAX, &mail) == SMTP_R_NONE);
		smtp_print_mail(&b, &mail, UINT32_MAX);
		assert(slice_eq(writer_slice(&a), writer_slice(&b)));
	} else if (smtp_parse_rcpt(arg, caps, smtputf8, &rcpt) == SMTP_R_NONE) {
		smtp_print_rcpt(&a, &rcpt, UINT32_MAX);
		check_line(&a);
		assert(a.len <= SMTP_LINE_MAX + 3 * SMTP_ORCPT_MAX);
		/* utf-8-addr-xtext can be longer than what came as plain UTF-8. */
		if (smtp_parse_rcpt(argument(&a), UINT32_MAX, smtputf8, &rcpt) == SMTP_R_NONE) {
			smtp_print_rcpt(&b, &rcpt, UINT32_MAX);
			assert(slice_eq(writer_slice(&a), writer_slice(&b)));
		} else {
			assert(rcpt.orcpt_type_len == 0 && memmem(a.p, a.len, "\\x{", 3) != NULL);
		}
	}
	if (smtp_parse_helo(arg, true, &name) == SMTP_R_NONE)
		assert(name.len > 0 && name.len <= SMTP_HELO_MAX);
	(void)smtp_parse_bdat(arg, &bdat);
	return 0;
}

#include "proxy/smtp/reply.h"

#include <assert.h>
#include <string.h>

#include "base/printable.h"

const char *smtp_reason_name(enum smtp_reason reason)
{
	static const char *const names[] = {
#define ROW(name, text) [SMTP_WHY_##name] = (text),
		SMTP_REASON_LIST(ROW)
#undef ROW
	};
	_Static_assert(sizeof names / sizeof *names == SMTP_REASON_COUNT, "one label per reason");
	assert(reason < SMTP_REASON_COUNT);
	return names[reason];
}

const struct smtp_reply_row *smtp_reply_row(enum smtp_reply_id id)
{
	static const struct smtp_reply_row rows[] = {
#define ROW(name, code, enhanced, text, reason) [SMTP_R_##name] = { code, SMTP_WHY_##reason, enhanced, text },
		SMTP_REPLY_LIST(ROW)
#undef ROW
	};
	_Static_assert(sizeof rows / sizeof *rows == SMTP_REPLY_COUNT, "one row per reply");
	assert(id < SMTP_REPLY_COUNT);
	return &rows[id];
}

void smtp_reply_print(struct writer *w, enum smtp_reply_id id)
{
	const struct smtp_reply_row *row = smtp_reply_row(id);
	writer_u64(w, row->code);
	writer_str(w, " ");
	writer_str(w, row->enhanced);
	writer_str(w, row->enhanced[0] != '\0' ? " " : "");
	writer_str(w, row->text);
	writer_str(w, "\r\n");
}

/* The class of an enhanced code must be that of the reply: RFC 2034 section 4. */
static bool enhanced_fits(uint16_t code, const char *enhanced)
{
	return enhanced[0] != '\0' && enhanced[0] - '0' == code / 100;
}

void smtp_answer_print(struct writer *w, uint16_t code, const char *enhanced, const struct smtp_answer *answer)
{
	if (enhanced_fits(code, answer->enhanced))
		enhanced = answer->enhanced;
	writer_u64(w, code);
	writer_str(w, " ");
	writer_str(w, enhanced);
	char text[SMTP_REPLY_TEXT_MAX];
	size_t len = answer->text.len < sizeof text ? answer->text.len : sizeof text;
	if (len > 0) {
		memcpy(text, answer->text.p, len);
		printable(text, len);
		writer_str(w, " ");
		writer_bytes(w, slice_of(text, len));
	}
	writer_str(w, "\r\n");
}

enum smtp_reply_id smtp_reply_lost(enum smtp_reason reason)
{
	switch (reason) {
	case SMTP_WHY_BACKEND_CONNECT:
		return SMTP_R_BACKEND_CONNECT;
	case SMTP_WHY_BACKEND_TIMEOUT:
		return SMTP_R_BACKEND_TIMEOUT;
	case SMTP_WHY_BACKEND_GARBAGE:
		return SMTP_R_BACKEND_GARBAGE;
	case SMTP_WHY_BACKEND_CLOSING:
		return SMTP_R_BACKEND_CLOSING;
	case SMTP_WHY_BACKEND_CONFIG:
		return SMTP_R_BACKEND_CONFIG;
	case SMTP_WHY_HOP_LOOP:
		return SMTP_R_HOP_LOOP;
	case SMTP_WHY_HOP_NO_STARTTLS:
		return SMTP_R_HOP_NO_STARTTLS;
	case SMTP_WHY_NO_MEMORY:
		return SMTP_R_NO_MEMORY;
	default:
		return SMTP_R_BACKEND_LOST;
	}
}

#include "proxy/relay/answer.h"

#include <string.h>

#include "proxy/relay/backend.h"

void answer_init(struct answer_reader *r)
{
	*r = (struct answer_reader){ 0 };
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Takes "D.D{1,3}.D{1,3}" from the front of `text`, with the blank behind it, if
 * its class is that of the code. Returns its length, 0 if there is none. */
static size_t enhanced_len(struct slice text, uint16_t code)
{
	size_t i = 2;
	if (text.len < 5 || text.p[0] - '0' != code / 100 || text.p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		for (; i < text.len && is_digit(text.p[i]); i++)
			digits++;
		if (digits < 1 || digits > 3)
			return 0;
		if (part == 0 && (i >= text.len || text.p[i++] != '.'))
			return 0;
	}
	return i == text.len || text.p[i] == ' ' ? i : 0;
}

static void add_text(struct answer_reader *r, struct slice text)
{
	size_t skip = enhanced_len(text, r->code);
	if (skip > 0 && r->num_lines == 1) {
		memcpy(r->enhanced, text.p, skip);
		r->enhanced[skip] = '\0';
	}
	text = slice_from(text, skip + (skip > 0 && skip < text.len ? 1 : 0));
	if (r->text_len > 0 && text.len > 0 && r->text_len < sizeof r->text)
		r->text[r->text_len++] = ' ';
	text = slice_first(text, sizeof r->text - r->text_len);
	if (text.len > 0)
		memcpy(r->text + r->text_len, text.p, text.len);
	r->text_len += text.len;
}

/* Reply-line = code [ SP / "-" text ]; code = %x32-35 %x30-35 %x30-39. */
enum ec answer_line(struct answer_reader *r, struct slice line, struct slice *out_text)
{
	if (line.len < 3 || line.p[0] < '2' || line.p[0] > '5' || line.p[1] < '0' || line.p[1] > '5' ||
	    !is_digit(line.p[2]))
		return EC_SYNTAX;
	uint16_t code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0');
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return EC_SYNTAX;
	if (r->num_lines > 0 && code != r->code)
		return EC_SYNTAX;
	r->code = code;
	r->num_lines++;
	r->num_octets += (uint32_t)line.len + 2;
	if (r->num_lines > BACKEND_LINES_MAX || r->num_octets > BACKEND_REPLY_MAX)
		return EC_LIMIT;
	*out_text = slice_from(line, 4);
	add_text(r, *out_text);
	return line.len > 3 && line.p[3] == '-' ? EC_AGAIN : EC_OK;
}

struct smtp_answer answer_get(const struct answer_reader *r)
{
	struct smtp_answer a = { .code = r->code, .text = slice_of(r->text, r->text_len) };
	memcpy(a.enhanced, r->enhanced, sizeof a.enhanced);
	return a;
}

/* Owns:  one reply of a backend: lines in, one struct smtp_answer out.
 * Never: guesses; what is not a well-formed reply is an error.
 * Spec:  RFC 5321 4.2, 4.2.1; RFC 2034 4.
 * Start at: answer_line. */
#ifndef PROXY_RELAY_ANSWER_H
#define PROXY_RELAY_ANSWER_H

#include <stdbool.h>

#include "base/ec.h"
#include "proxy/smtp/reply.h"

/* struct answer_reader joins the lines of one reply. The text is cut at
 * SMTP_REPLY_TEXT_MAX; lines and octets beyond the bounds of backend.h are an
 * error, so that an endless reply ends. */
struct answer_reader {
	uint16_t code;
	uint16_t num_lines;
	uint32_t num_octets;
	char enhanced[12];
	size_t text_len;
	char text[SMTP_REPLY_TEXT_MAX];
};

void answer_init(struct answer_reader *r);

/* answer_line adds one line, without its CRLF. `*out_text` is what
 * stands behind the code (EHLO's keywords). Returns EC_OK when the reply is
 * complete, EC_AGAIN when more lines follow, EC_SYNTAX or EC_LIMIT. */
enum ec answer_line(struct answer_reader *r, struct slice line, struct slice *out_text) MUST_CHECK;

/* answer_get gives the complete reply; it borrows from `r`. */
struct smtp_answer answer_get(const struct answer_reader *r);

#endif

/* Owns:  verbs and their arguments: one line of text -> one value.
 * Never: knows the state of the dialogue (session.c) or allocates.
 * Spec:  RFC 5321 4.1; RFC 1870, 3030, 3461, 6152, 6531, 8689 for parameters.
 * Start at: smtp_verb_find, struct smtp_mail. */
#ifndef PROXY_SMTP_COMMAND_H
#define PROXY_SMTP_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "proxy/smtp/path.h"
#include "proxy/smtp/reply.h"

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_REFUSED, /* known, never offered: EXPN ETRN TURN ATRN AUTH XCLIENT XFORWARD SEND SOML SAML BURL */
	SMTP_FOREIGN, /* another protocol's: GET POST … PROXY */
	SMTP_UNKNOWN,
	SMTP_VERB_COUNT
};

/* A command line, CRLF included: 512 octets (RFC 5321 4.5.3.1.4). MAIL and
 * RCPT are longer by their extensions: SIZE 26, BODY 17, RET and ENVID 125,
 * SMTPUTF8 10, REQUIRETLS 11; NOTIFY 28 and ORCPT 500 (with a UTF-8 address up
 * to three times that). 2048 covers every legal sum. */
enum { SMTP_LINE_MAX = 2048, SMTP_LINE_BASE = 512 };
enum { SMTP_HELO_MAX = 255, SMTP_ENVID_MAX = 100, SMTP_ORCPT_TYPE_MAX = 32, SMTP_ORCPT_MAX = 500 };

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

/* struct smtp_mail is MAIL FROM. `envid` is decoded (printable ASCII). */
struct smtp_mail {
	struct smtp_path path;
	bool has_size, smtputf8, requiretls;
	uint8_t envid_len; /* 0: none */
	enum smtp_body body;
	enum smtp_ret ret;
	uint64_t size;
	char envid[SMTP_ENVID_MAX];
};

/* struct smtp_rcpt is RCPT TO. `orcpt` is decoded: printable ASCII, or UTF-8
 * when the type is utf-8. */
struct smtp_rcpt {
	struct smtp_path path;
	uint8_t notify; /* 0: none given */
	uint8_t orcpt_type_len;
	uint16_t orcpt_len; /* 0: none */
	char orcpt_type[SMTP_ORCPT_TYPE_MAX];
	char orcpt[SMTP_ORCPT_MAX];
};

/* struct smtp_bdat is BDAT: the octets that follow, and whether they are the last. */
struct smtp_bdat {
	uint64_t size;
	bool last;
};

/* smtp_verb_find splits `line` (without CRLF) into its verb and `*out_arg`, the
 * text behind the first blank. smtp_trim cuts blanks off both ends: trailing
 * ones are to be tolerated (RFC 5321 4.1.1), except in BDAT. */
enum smtp_verb smtp_verb_find(struct slice line, struct slice *out_arg);
struct slice smtp_trim(struct slice s);
const char *smtp_verb_name(enum smtp_verb verb);

/* The parsers of arguments. Each returns SMTP_R_NONE, or the reply that refuses
 * the argument; then `*out` is not to be used. `caps` (enum smtp_cap flags) says
 * which parameters were offered: others are refused with 555 5.5.4. */
enum smtp_reply_id smtp_parse_helo(struct slice arg, bool ehlo, struct slice *out_name);
enum smtp_reply_id smtp_parse_mail(struct slice arg, uint32_t caps, struct smtp_mail *out);
enum smtp_reply_id smtp_parse_rcpt(struct slice arg, uint32_t caps, bool smtputf8, struct smtp_rcpt *out);
enum smtp_reply_id smtp_parse_bdat(struct slice arg, struct smtp_bdat *out);

/* smtp_print_mail and smtp_print_rcpt write the whole command line with CRLF,
 * made from the values, with only those parameters that `caps` offers. */
void smtp_print_mail(struct writer *w, const struct smtp_mail *mail, uint32_t caps);
void smtp_print_rcpt(struct writer *w, const struct smtp_rcpt *rcpt, uint32_t caps);

#endif

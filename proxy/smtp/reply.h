/* Owns:  the one table of replies we give, the reasons they are counted by, and
 *        the cleaning of a backend's reply before a client may see it.
 * Never: decides when a reply is given.
 * Spec:  RFC 5321 4.2, 4.5.3.1.5; RFC 2034, 3463, 5248 (enhanced codes).
 * Start at: SMTP_REPLY_LIST. */
#ifndef PROXY_SMTP_REPLY_H
#define PROXY_SMTP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* X(name, text): why a command, a message or a session was refused or ended.
 * The shell keeps one counter per reason; `text` is its label. */
#define SMTP_REASON_LIST(X)                             \
	X(NONE, "none")                                 \
	X(QUIT, "quit")                                 \
	X(EOF, "client_closed")                         \
	X(EARLY_TALK, "early_talk")                     \
	X(PROXY_HEADER, "proxy_header")                 \
	X(BARE_LF, "bare_lf")                           \
	X(BARE_CR, "bare_cr")                           \
	X(NUL, "nul")                                   \
	X(LINE_LONG, "line_long")                       \
	X(BINARY, "binary_first_bytes")                 \
	X(FOREIGN, "foreign_protocol")                  \
	X(COMMAND_UNKNOWN, "command_unknown")           \
	X(COMMAND_REFUSED, "command_refused")           \
	X(COMMAND_ORDER, "command_order")               \
	X(SYNTAX, "syntax")                             \
	X(PARAMETER, "parameter")                       \
	X(ADDRESS, "address")                           \
	X(BDAT_SIZE, "bdat_size")                       \
	X(STARTTLS_INJECTION, "starttls_injection")     \
	X(TLS_FAILED, "tls_failed")                     \
	X(TLS_UNAVAILABLE, "tls_unavailable")           \
	X(TOO_BIG, "message_too_big")                   \
	X(TOO_MANY_RECIPIENTS, "too_many_recipients")   \
	X(TOO_MANY_COMMANDS, "too_many_commands")       \
	X(TOO_MANY_ERRORS, "too_many_errors")           \
	X(TOO_MANY_MESSAGES, "too_many_messages")       \
	X(NO_MEMORY, "no_memory")                       \
	X(TIMEOUT, "timeout")                           \
	X(SHUTDOWN, "shutdown")                         \
	X(BUSY, "busy")                                 \
	X(BACKEND_CONNECT, "backend_connect")           \
	X(BACKEND_TIMEOUT, "backend_timeout")           \
	X(BACKEND_LOST, "backend_lost")                 \
	X(BACKEND_GARBAGE, "backend_garbage")           \
	X(BACKEND_CLOSING, "backend_closing")           \
	X(BACKEND_CONFIG, "backend_config")             \
	X(BACKEND_LACKS, "backend_lacks_extension")     \
	X(NO_ROUTE, "no_route")                         \
	X(OTHER_CONNECTOR, "other_connector")           \
	X(HOP_NO_STARTTLS, "hop_starttls_not_supported") \
	X(HOP_EXPIRED, "hop_certificate_expired")       \
	X(HOP_TLSA, "hop_tlsa_invalid")                 \
	X(HOP_DNSSEC, "hop_dnssec_invalid")             \
	X(HOP_NAME, "hop_certificate_host_mismatch")    \
	X(HOP_TRUST, "hop_certificate_not_trusted")     \
	X(HOP_STS, "hop_mta_sts")                       \
	X(HOP_DNS, "hop_dns")                           \
	X(HOP_NO_HOST, "hop_no_host")                   \
	X(HOP_BUSY, "hop_busy")                         \
	X(HOP_LOOP, "hop_loop")                         \
	X(BACKEND_REFUSED, "backend_refused")

enum smtp_reason {
#define SMTP_REASON_ENUM(name, text) SMTP_WHY_##name,
	SMTP_REASON_LIST(SMTP_REASON_ENUM)
#undef SMTP_REASON_ENUM
	SMTP_REASON_COUNT
};

/* smtp_reason_name gives the counter's label, static. */
const char *smtp_reason_name(enum smtp_reason reason);

/* X(name, code, enhanced, text, reason): every reply that we make up ourselves.
 * `enhanced` is "" for the replies RFC 2034 section 4 exempts. */
#define SMTP_REPLY_LIST(X)                                                                                        \
	X(NONE, 0, "", "", NONE)                                                                                  \
	X(OK, 250, "2.0.0", "OK", NONE)                                                                           \
	X(MAIL_OK, 250, "2.1.0", "Sender OK", NONE)                                                               \
	X(RCPT_OK, 250, "2.1.5", "Recipient OK", NONE)                                                            \
	X(CHUNK_OK, 250, "2.0.0", "Octets received", NONE)                                                        \
	X(MESSAGE_OK, 250, "2.0.0", "Message accepted", NONE)                                                     \
	X(BYE, 221, "2.0.0", "Bye", QUIT)                                                                         \
	X(HELP, 214, "2.0.0", "See RFC 5321", NONE)                                                               \
	X(VRFY, 252, "2.5.0", "Not verified; try RCPT", NONE)                                                     \
	X(TLS_READY, 220, "2.0.0", "Ready to start TLS", NONE)                                                    \
	X(GO_ON, 354, "", "End data with <CR><LF>.<CR><LF>", NONE)                                                \
	X(TIMEOUT, 421, "4.4.2", "Timeout, closing", TIMEOUT)                                                     \
	X(SHUTDOWN, 421, "4.3.2", "Service is stopping, try again later", SHUTDOWN)                               \
	X(BUSY, 421, "4.7.0", "Too many connections, try again later", BUSY)                                      \
	X(MANY_ERRORS, 421, "4.7.0", "Too many errors, closing", TOO_MANY_ERRORS)                                 \
	X(MANY_COMMANDS, 421, "4.7.0", "Too many commands without a message, closing", TOO_MANY_COMMANDS)         \
	X(MANY_MESSAGES, 421, "4.7.0", "Too many messages on one connection, closing", TOO_MANY_MESSAGES)         \
	X(BACKEND_CONNECT, 451, "4.4.1", "No connection to the mail server behind, try again later", BACKEND_CONNECT) \
	X(BACKEND_TIMEOUT, 451, "4.4.2", "No answer from the mail server behind, try again later", BACKEND_TIMEOUT) \
	X(BACKEND_LOST, 451, "4.4.2", "Lost the mail server behind, try again later", BACKEND_LOST)               \
	X(BACKEND_GARBAGE, 451, "4.3.0", "Mail server behind not understood, try again later", BACKEND_GARBAGE)   \
	X(BACKEND_CLOSING, 451, "4.3.2", "Mail server behind is closing, try again later", BACKEND_CLOSING)       \
	X(BACKEND_CONFIG, 451, "4.3.5", "Mail server behind does not accept this proxy, try again later", BACKEND_CONFIG) \
	X(LACKS_8BITMIME, 451, "4.6.3", "8BITMIME is not offered behind any more, try again later", BACKEND_LACKS) \
	X(LACKS_BINARYMIME, 451, "4.6.3", "BINARYMIME is not offered behind any more, try again later", BACKEND_LACKS) \
	X(LACKS_SMTPUTF8, 451, "4.6.7", "SMTPUTF8 is not offered behind any more, try again later", BACKEND_LACKS) \
	X(LACKS_REQUIRETLS, 451, "4.7.30", "REQUIRETLS is not offered behind any more, try again later", BACKEND_LACKS) \
	X(HOP_NO_STARTTLS, 451, "4.7.321", "Next hop does not offer STARTTLS, which is required (starttls-not-supported)", HOP_NO_STARTTLS) \
	X(HOP_EXPIRED, 451, "4.7.322", "Certificate of the next hop has expired (certificate-expired)", HOP_EXPIRED) \
	X(HOP_TLSA, 451, "4.7.323", "DANE failed: no TLSA record matches the next hop (tlsa-invalid)", HOP_TLSA)  \
	X(HOP_DNSSEC, 451, "4.7.324", "DNS of the next hop could not be validated by DNSSEC (dnssec-invalid)", HOP_DNSSEC) \
	X(HOP_NAME, 451, "4.7.325", "Certificate of the next hop is for another name (certificate-host-mismatch)", HOP_NAME) \
	X(HOP_TRUST, 451, "4.7.5", "TLS with the next hop failed, or its certificate is not trusted (certificate-not-trusted)", HOP_TRUST) \
	X(HOP_STS, 451, "4.7.5", "Next hop does not meet the domain's MTA-STS policy (RFC 8461)", HOP_STS)        \
	X(HOP_DNS, 451, "4.4.3", "Mail hosts of the domain not found: no answer from DNS, try again later", HOP_DNS) \
	X(HOP_BUSY, 451, "4.3.2", "No next hop is free, try again later", HOP_BUSY)                               \
	X(HOP_LOOP, 451, "4.4.6", "Mail for the domain would come back to this host (its MX leads here), try again later", HOP_LOOP) \
	X(NO_MEMORY, 452, "4.3.1", "Out of memory, try again later", NO_MEMORY)                                   \
	X(OTHER_CONNECTOR, 452, "4.5.3", "Goes another way than those before: send it in a transaction of its own", OTHER_CONNECTOR) \
	X(MANY_RECIPIENTS, 452, "4.5.3", "Too many recipients in one transaction", TOO_MANY_RECIPIENTS)           \
	X(NO_TLS, 454, "4.7.0", "TLS not available", TLS_UNAVAILABLE)                                             \
	X(UNKNOWN, 500, "5.5.1", "Command not recognised", COMMAND_UNKNOWN)                                       \
	X(FOREIGN, 500, "5.5.1", "This is SMTP, closing", FOREIGN)                                                \
	X(BINARY, 500, "5.5.2", "This is SMTP, closing", BINARY)                                                  \
	X(LINE_LONG, 500, "5.5.2", "Line too long", LINE_LONG)                                                    \
	X(LINE_ENDLESS, 500, "5.5.2", "Line too long, closing", LINE_LONG)                                        \
	X(BARE_LF, 501, "5.5.2", "Bare <LF> in a command, lines end with <CR><LF>", BARE_LF)                      \
	X(BARE_CR, 501, "5.5.2", "Bare <CR> in a command, lines end with <CR><LF>", BARE_CR)                      \
	X(NUL, 501, "5.5.2", "NUL octet in a command", NUL)                                                       \
	X(CONTROL, 501, "5.5.2", "Control octet in a command", SYNTAX)                                            \
	X(SYNTAX, 501, "5.5.4", "Syntax error in arguments", SYNTAX)                                              \
	X(NO_ARGS, 501, "5.5.4", "No arguments allowed", SYNTAX)                                                  \
	X(HELO_BAD, 501, "5.5.4", "A domain name or address literal is needed", SYNTAX)                           \
	X(SENDER_BAD, 501, "5.1.7", "Bad sender address syntax", ADDRESS)                                         \
	X(RCPT_BAD, 501, "5.1.3", "Bad recipient address syntax", ADDRESS)                                        \
	X(SENDER_LONG, 501, "5.1.7", "Sender address too long", ADDRESS)                                          \
	X(RCPT_LONG, 501, "5.1.3", "Recipient address too long", ADDRESS)                                         \
	X(NEEDS_UTF8, 553, "5.6.7", "Address needs SMTPUTF8", ADDRESS)                                            \
	X(PARAM_BAD, 501, "5.5.4", "Bad parameter value", PARAMETER)                                              \
	X(PARAM_TWICE, 501, "5.5.4", "Parameter given twice", PARAMETER)                                          \
	X(PARAM_UNKNOWN, 555, "5.5.4", "Parameter not recognised or not offered", PARAMETER)                      \
	X(BDAT_BAD, 501, "5.5.4", "Bad chunk size, closing", BDAT_SIZE)                                           \
	X(BDAT_BIG, 552, "5.3.4", "Chunk exceeds the size limit, closing", TOO_BIG)                               \
	X(REFUSED, 502, "5.5.1", "Command not offered", COMMAND_REFUSED)                                          \
	X(NEED_HELO, 503, "5.5.1", "Send EHLO first", COMMAND_ORDER)                                              \
	X(NEED_MAIL, 503, "5.5.1", "Send MAIL first", COMMAND_ORDER)                                              \
	X(NEED_RCPT, 503, "5.5.1", "No valid recipients", COMMAND_ORDER)                                          \
	X(NESTED_MAIL, 503, "5.5.1", "A transaction is open already", COMMAND_ORDER)                              \
	X(TLS_TWICE, 503, "5.5.1", "TLS is active already", COMMAND_ORDER)                                        \
	X(TLS_ORDER, 503, "5.5.1", "STARTTLS belongs behind EHLO, outside a transaction", COMMAND_ORDER)          \
	X(MIXED, 503, "5.5.1", "BDAT is under way: only BDAT or RSET may follow", COMMAND_ORDER)                  \
	X(NEED_BDAT, 503, "5.5.1", "BODY=BINARYMIME goes by BDAT", COMMAND_ORDER)                                 \
	X(NO_ROUTE, 550, "5.7.1", "No mail is taken here for that domain", NO_ROUTE)                              \
	X(HOP_NO_HOST, 550, "5.1.2", "The domain does not exist or has no mail host", HOP_NO_HOST)                \
	X(HOP_NULL_MX, 556, "5.1.10", "The domain takes no mail (RFC 7505)", HOP_NO_HOST)                         \
	X(MSG_BARE_LF, 554, "5.6.0", "Message refused: bare <LF> in it (RFC 5321 2.3.8)", BARE_LF)                \
	X(MSG_BARE_CR, 554, "5.6.0", "Message refused: bare <CR> in it (RFC 5321 2.3.8)", BARE_CR)                \
	X(MSG_NUL, 554, "5.6.0", "Message refused: NUL octet in it", NUL)                                         \
	X(TOO_BIG, 552, "5.3.4", "Message exceeds the size limit", TOO_BIG)                                       \
	X(EARLY, 554, "5.5.0", "You talked before the greeting", EARLY_TALK)

enum smtp_reply_id {
#define SMTP_REPLY_ENUM(name, code, enhanced, text, reason) SMTP_R_##name,
	SMTP_REPLY_LIST(SMTP_REPLY_ENUM)
#undef SMTP_REPLY_ENUM
	SMTP_REPLY_COUNT
};

struct smtp_reply_row {
	uint16_t code;
	enum smtp_reason reason;
	const char *enhanced;
	const char *text;
};

/* smtp_reply_row gives the row of the table, static. */
const struct smtp_reply_row *smtp_reply_row(enum smtp_reply_id id);

/* smtp_reply_lost gives the row for a link that was lost for that reason. */
enum smtp_reply_id smtp_reply_lost(enum smtp_reason reason);

/* RFC 5321 4.5.3.1.5: a reply line has at most 512 octets with CRLF. */
enum { SMTP_REPLY_LINE_MAX = 512, SMTP_REPLY_TEXT_MAX = 400 };

/* struct smtp_answer is one reply of a backend as relay/answer.c read it: the
 * code, the enhanced code if the first line had a plausible one ("" if not),
 * and the text of all lines joined. `text` borrows from the backend object. */
struct smtp_answer {
	uint16_t code;
	char enhanced[12];
	struct slice text;
};

/* smtp_reply_print writes "CODE ENHANCED TEXT CRLF" of a row. */
void smtp_reply_print(struct writer *w, enum smtp_reply_id id);

/* smtp_answer_print writes a backend's answer as one well-formed reply line:
 * `code` as the caller decided, the answer's enhanced code if its class fits and
 * else `enhanced`, and the text with everything but printable ASCII replaced by
 * '?', cut to SMTP_REPLY_TEXT_MAX. */
void smtp_answer_print(struct writer *w, uint16_t code, const char *enhanced, const struct smtp_answer *answer);

#endif

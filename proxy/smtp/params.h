/* Owns:  the table of ESMTP parameters of MAIL and RCPT.
 * Never: accepts one that was not offered, or twice.
 * Spec:  RFC 5321 4.1.1.11, 4.1.2; RFC 1870, 3030, 3461, 6152, 6531, 8689.
 * Start at: the table in params.c. */
#ifndef PROXY_SMTP_PARAMS_H
#define PROXY_SMTP_PARAMS_H

#include "proxy/smtp/command.h"

/* smtp_params_mail and _rcpt read " KEYWORD[=VALUE]" zero or more times from
 * `rest` (what stands behind the path) into the fields of `*out`. */
enum smtp_reply_id smtp_params_mail(struct slice rest, uint32_t caps, struct smtp_mail *out);
enum smtp_reply_id smtp_params_rcpt(struct slice rest, uint32_t caps, bool smtputf8, struct smtp_rcpt *out);

#endif

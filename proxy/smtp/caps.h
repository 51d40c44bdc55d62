/* Owns:  which SMTP extensions one side offers.
 * Never: says whether they are used; session.c and backend.c decide that.
 * Spec:  RFC 1870, 2920, 3030, 3207, 3461, 6152, 6531, 8689, 9422.
 * Start at: struct smtp_caps. */
#ifndef PROXY_SMTP_CAPS_H
#define PROXY_SMTP_CAPS_H

#include <stdint.h>

enum smtp_cap {
	SMTP_CAP_PIPELINING = 1 << 0,
	SMTP_CAP_SIZE = 1 << 1,
	SMTP_CAP_STARTTLS = 1 << 2,
	SMTP_CAP_8BITMIME = 1 << 3,
	SMTP_CAP_ENHANCED = 1 << 4,
	SMTP_CAP_DSN = 1 << 5,
	SMTP_CAP_SMTPUTF8 = 1 << 6,
	SMTP_CAP_CHUNKING = 1 << 7,
	SMTP_CAP_BINARYMIME = 1 << 8,
	SMTP_CAP_REQUIRETLS = 1 << 9,
	SMTP_CAP_XCLIENT = 1 << 10,
	SMTP_CAP_XFORWARD = 1 << 11,
	SMTP_CAP_LIMITS = 1 << 12,
};

/* struct smtp_caps is what a peer said in its EHLO reply: an OR of enum
 * smtp_cap, the number behind SIZE (0: SIZE without a number, or no SIZE), and
 * those behind LIMITS (0: not said). */
struct smtp_caps {
	uint32_t flags;
	uint64_t size_max;
	uint64_t rcpt_max; /* recipients of one message */
	uint64_t mail_max; /* messages in one session */
};

#endif

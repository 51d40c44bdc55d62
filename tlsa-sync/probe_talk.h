/* Owns:  the client's half of an SMTP dialogue up to STARTTLS: replies in,
 *        commands out.
 * Never: touches a socket or TLS; never sends mail.
 * Spec:  RFC 5321 3.1, 4.2 (replies), 4.1.1.1 (EHLO); RFC 3207 4.
 * Start at: probe_talk_feed. */
#ifndef TLSA_SYNC_PROBE_TALK_H
#define TLSA_SYNC_PROBE_TALK_H

#include "base/ec.h"
#include "base/slice.h"

enum {
	/* RFC 5321 4.5.3.1.5 gives 512 octets; servers are known to send more. */
	PROBE_LINE_MAX = 2048,
	/* All replies together: a greeting can't be endless. */
	PROBE_TALK_MAX = 64 << 10
};

enum probe_stage { PROBE_GREETING, PROBE_EHLO, PROBE_STARTTLS, PROBE_TLS };

/* struct probe_talk is one dialogue; zero-initialised it waits for the greeting. */
struct probe_talk {
	enum probe_stage stage;
	bool has_starttls;
	bool in_reply; /* a line with '-' was seen: more lines belong to this reply */
	int code;      /* of the reply being read */
	size_t total;
	size_t len;
	char line[PROBE_LINE_MAX];
};

/* probe_talk_feed takes bytes the server sent and writes the next command, if
 * it is our turn, to `send`. `helo` is the name we give ourselves. Returns
 *   EC_AGAIN        more has to arrive (after `send` was sent, if it holds any)
 *   EC_OK           the server said 220 to STARTTLS: TLS starts with the next byte
 *   EC_UNSUPPORTED  STARTTLS is not offered, or was refused
 *   EC_CLOSED       the greeting or EHLO was answered with 4yz or 5yz
 *   EC_SYNTAX       not an SMTP reply; or bytes after the 220, which anybody on
 *                   the path could have put there (RFC 3207 6)
 *   EC_LIMIT        line or dialogue too long
 * with words that quote the server. Borrows `in`. After anything but EC_AGAIN
 * the dialogue is over. */
enum ec probe_talk_feed(struct probe_talk *t, struct slice in, const char *helo, struct writer *send,
                        struct why *why) MUST_CHECK;

#endif

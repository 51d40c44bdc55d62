/* Owns:  a whole edge in memory: a client's bytes, the session, the backend
 *        dialogue and a scripted MTA behind it, joined as the daemon joins them.
 * Never: decides anything itself; it checks what must hold in every run.
 * Spec:  proxy/smtp/session.h and proxy/relay/backend.h, "The contract".
 * Start at: rig_run. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "proxy/relay/backend.h"
#include "proxy/smtp/session.h"

/* In a client's bytes this octet is no data: all before it has been answered
 * before what follows is sent. */
#define WAIT "\xff"

/* What the MTA says; NULL: what a healthy one says. "" is: closes the
 * connection instead. Texts are raw. RCPT is answered by its local part: no…
 * 550, later… 450, many… 452, multi… two lines, die… closes; else by `rcpt`. */
struct rig_mta {
	const char *greeting, *ehlo, *starttls, *ehlo_in_tls, *mail, *rcpt, *data, *bdat, *final, *rset, *xclient, *xforward;
	const char *blurt;       /* said in the middle of the body */
	unsigned good_chunks;    /* this many are answered 250, whatever `bdat` says */
	bool close_after_final;  /* after the reply to the dot, or to a chunk */
	bool refuse_connect;
	bool data_for_nobody;    /* takes DATA, as `data` says, without a recipient; else that is refused */
};

/* A connector. */
struct rig_way {
	const char *name;
	const char *domains[3];
	bool mx;                    /* the way depends on the recipient's domain */
	bool lmtp;
	unsigned max_recipients;
	enum smtp_reply_id refused; /* what OPEN_BACKEND is answered with */
};

enum { RIG_WAYS_MAX = 4 };

struct rig_setup {
	struct rig_mta mta;
	struct rig_mta mta_later; /* from the second connection on, if `two` is set */
	bool two;
	bool normalize, no_tls, draining, xclient, xforward, talk_early;
	bool exempt; /* the client is in smtp.bare_newline_exempt */
	uint64_t max_size;
	uint32_t max_recipients, max_commands, max_errors, max_transactions;
	uint32_t caps; /* told to the session at its start; 0: what a healthy MTA offers */
	bool eof;      /* the client closes behind its last octet */
	enum backend_tls tls;
	bool lmtp;
	struct rig_way ways[RIG_WAYS_MAX]; /* of all that have a name; none: one way for everything */
};

enum rig_cut { RIG_WHOLE, RIG_BYTES, RIG_RANDOM };

struct rig_result {
	char client[8192];  /* "220 250 250:2.1.0 …" and, at the end, "[quit]": the reason of CLOSE */
	char text[65536];   /* the replies themselves */
	char backend[8192]; /* what the MTA got, lines joined by '|'; '(' connected (by "way "), ')' closed, '+'
	                     * TLS began, "." the dot. Of a
	                     * BDAT the size, without our own octets, stands there when the chunk is whole. A DATA that
	                     * is refused for want of a recipient is left out: it hangs on the cut whether it goes */
	char stored[65536]; /* the messages it took, without our Received:, dots unstuffed; each ends in "\n--\n" */
	size_t stored_len;
	char received[4096]; /* the last Received: header */
	unsigned num_stored;
	unsigned num_links;
	unsigned num_turns; /* how often the MTA's answers had to be waited for */
	bool closed;
	bool saw_bad_bytes; /* the backend got a bare CR or LF */
};

/* rig_run plays `in`. With RIG_RANDOM, `seed` chooses the cuts, of the client's
 * bytes and of the MTA's. Fails the test when something that must always hold does not. */
void rig_run(const struct rig_setup *setup, struct slice in, enum rig_cut cut, uint32_t seed, struct rig_result *out);

#endif

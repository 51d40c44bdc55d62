/* Owns:  issuer `command`, the thinking part: which certificate is due, when the command
 *        is run, and run again; whether a certificate is fit to be presented.
 * Never: runs anything, reads a clock; touches DNS: a renewal keeps the key.
 * Spec:  RFC 7671 5.1 (a DANE-EE client ignores dates; some large senders don't);
 *        RFC 7468 (PEM).
 * Start at: certify_next. */
#ifndef TLSA_SYNC_CERTIFY_H
#define TLSA_SYNC_CERTIFY_H

#include "base/slice.h"
#include "tlsa-sync/rollover.h"

enum certify_step {
	CERTIFY_IDLE,    /* nothing is due */
	CERTIFY_RUN,     /* run the command now */
	CERTIFY_RUNNING, /* it runs */
	CERTIFY_LOOK,    /* it has run, or is about to: look at what instances and servers have */
	CERTIFY_LATER,   /* the last try did not help */
	CERTIFY_NUM
};

struct certify {
	enum certify_step step;
	unsigned instance; /* the key it is about; not of CERTIFY_IDLE */
	uint64_t generation;
	enum key_algorithm algorithm;
	unsigned tries;   /* CERTIFY_RUN: for facts_issue_sent */
	int64_t wait_ms;  /* IDLE: until the next one is due, LATER: until the next try; 0: not known */
};

/* The longest pause between two tries, and what `tries` is forgotten after. */
enum { CERTIFY_RETRY_MAX_S = 6 * 3600 };

/* certify_next decides. The keys that need a certificate of the issuer's are those
 * presented or recorded as active, and those a roll goes to; a standby gets its own when
 * its roll begins. One at a time; among several that are due the turn goes round, so
 * that one that never succeeds does not keep the others waiting. After n tries that did
 * not help the next waits policy's retry x 2^(n-1), at most CERTIFY_RETRY_MAX_S; also
 * after one that succeeded and is due again at once. Where the zone pins certificates, or did
 * lately (3 0 1, 2 1 1: one that is taken over), a key's own record has to have aged first; and
 * before the first steady state, and where there was such a record, nothing is run while any
 * server gives no answer: it might have one. The last look is one made a moment ago. */
void certify_next(const struct facts *f, const struct policy *p, struct stamp now, struct certify *out);

/* certify_fit tells whether a roll may go to this key as its certificate is: valid now,
 * and of issuer `command` if that is the policy, unless `hurry`: in an emergency a
 * self-signed one will do, for DANE-EE needs no CA. If not, `why` says what it lacks and
 * what is being done about it. */
bool certify_fit(const struct facts *f, const struct policy *p, const struct fact_key *k, bool hurry,
                 struct stamp now, struct why *why);

/* certify_due_s is the moment, in wall clock seconds, from which the certificate of a key
 * is to be renewed by the command; 0: at once, INT64_MAX: never (another issuer). */
int64_t certify_due_s(const struct policy *p, const struct fact_key *k);

/* certify_renew notes that the certificates of the keys in use are to be replaced now: by the
 * issuer's command, or self-signed by danegate. The keys stay, and so does DNS. Asked again
 * meanwhile it is the same request. EC_UNSUPPORTED for issuer files, EC_BUSY before
 * danegate has reported a certificate. */
enum ec certify_renew(struct facts *f, const struct policy *p, struct stamp now, struct why *why) MUST_CHECK;

/* certify_renewing tells whether such a request is not complete, and in `why` what is done about it. */
bool certify_renewing(const struct facts *f, const struct policy *p, struct stamp now, struct why *why);

/* certify_trouble says why the last try did not help and when the next is; false when
 * there is nothing to say. */
bool certify_trouble(const struct facts *f, const struct policy *p, struct stamp now, struct why *why);

/* certify_chain appends the certificates in what a command printed, as PEM, and
 * nothing else of it. Returns EC_MISSING when there is none, EC_SYNTAX when one is cut
 * off or has other characters than base64, EC_NO_MEMORY. RFC 7468 3. */
enum ec certify_chain(struct slice printed, struct bytes *out, struct why *why) MUST_CHECK;

#endif

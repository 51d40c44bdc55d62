/* Owns:  the way of one certificate: signing request from a danegate, through the
 *        operator's command, back to the danegate that installs it.
 * Never: sees a private key; decides when (certify.h does); changes DNS. The danegate
 *        checks that the certificate is of its key, and valid.
 * Spec:  tlsa-sync(1), ISSUERS.
 * Start at: issuer_start. */
#ifndef TLSA_SYNC_ISSUER_UV_H
#define TLSA_SYNC_ISSUER_UV_H

#include <uv.h>

#include "config/config.h"
#include "tlsa-sync/agent_uv.h"
#include "tlsa-sync/facts.h"

struct issuer_run;

/* More than any chain; what a command prints beyond is an error. */
enum { ISSUER_OUT_MAX = 256 << 10 };

struct issuer_job {
	const char *identity;
	uint64_t generation;
	enum key_algorithm algorithm;
	const struct config_list *command; /* program and arguments; NULL: danegate signs it itself */
	int timeout_ms;
};

/* issuer_done gets the outcome, once, never from inside issuer_start: OK (installed),
 * FAILED (nothing was changed), UNKNOWN (danegate did not answer `install`: its next
 * report tells); with words unless it is OK. */
typedef void issuer_done(void *arg, enum outcome outcome, const struct why *why);

/* issuer_start asks `agent` (borrowed until the end) for the signing request and goes on
 * from there. The command gets the request on its standard input and TLSA_SYNC_IDENTITY,
 * TLSA_SYNC_ALGORITHM and TLSA_SYNC_GENERATION in its environment; certificates in its
 * output are installed. Everything in `job` is copied but `command`, which is to live as
 * long. Returns EC_NO_MEMORY; then nothing happens. `*out` is for issuer_cancel, and
 * valid until the callback has run. */
enum ec issuer_start(uv_loop_t *loop, struct agent *agent, const struct issuer_job *job, issuer_done *done, void *arg,
                     struct issuer_run **out) MUST_CHECK;

/* issuer_cancel kills the command with all it has started; the callback does not run.
 * NULL is allowed. */
void issuer_cancel(struct issuer_run *run);

#endif

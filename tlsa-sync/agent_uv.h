/* Owns:  the connection to one danegate's control socket: requests in, answers
 *        out, in order; connects when there is something to ask.
 * Never: repeats a request: what is repeatable is for the caller to know.
 * Spec:  danegate(8), CONTROL SOCKET.
 * Start at: agent_ask. */
#ifndef TLSA_SYNC_AGENT_UV_H
#define TLSA_SYNC_AGENT_UV_H

#include <jansson.h>
#include <uv.h>

#include "base/ec.h"

struct agent;
struct agent_call;

/* agent_done gets the outcome, once, never from inside agent_ask.
 *   EC_OK      `answer` is {"ok":true,...}, borrowed
 *   another code that danegate gave, with its words: it refused
 *   EC_CLOSED, EC_TIMEOUT, EC_SYNTAX   no (readable) answer: `answer` is NULL, and
 *              whether the request took effect is not known */
typedef void agent_done(void *arg, enum ec ec, const json_t *answer, const struct why *why);

/* agent_new makes an agent for the socket at `path` (copied). EC_NO_MEMORY. */
enum ec agent_new(uv_loop_t *loop, const char *path, struct agent **out) MUST_CHECK;

/* agent_ask sends `request` (takes the reference). `*out` (may be NULL) is for
 * agent_cancel, valid until the callback has run. Returns EC_NO_MEMORY; then
 * the callback never runs. A timeout closes the connection, for answers come in
 * order: other requests under way end with EC_CLOSED. */
enum ec agent_ask(struct agent *a, json_t *request, int timeout_ms, agent_done *done, void *arg,
                  struct agent_call **out) MUST_CHECK;

/* agent_cancel: the callback does not run; the request may still take effect.
 * NULL is allowed. */
void agent_cancel(struct agent_call *call);

/* agent_answered tells whether `ec` and `answer` of a callback are danegate's own
 * words (true), or stand for the lack of them. */
bool agent_answered(const json_t *answer);

const char *agent_path(const struct agent *a);

/* agent_free cancels all. The loop must run on to free it. NULL is allowed. */
void agent_free(struct agent *a);

#endif

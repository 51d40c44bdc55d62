/* Owns:  what commands do where no daemon answers: look for themselves, or do the work
 *        in the foreground.
 * Never: interferes with a daemon: the journal can be held by one only.
 * Spec:  tlsa-sync(1).
 * Start at: alone_look, alone_drive. */
#ifndef TLSA_SYNC_ALONE_UV_H
#define TLSA_SYNC_ALONE_UV_H

#include <jansson.h>

#include "tlsa-sync/cmd_ask_fs.h"
#include "tlsa-sync/daemon_uv.h"

/* alone_look answers `r` from the journal and one look. CMD_OK with the answer, whatever
 * it says; CMD_CONFIG, or CMD_UNREACHABLE, with words on standard error. */
enum cmd_exit alone_look(struct cmd *cmd, const struct request *r, json_t **out) MUST_CHECK;

/* alone_drive does the job in the foreground. `*out_interrupted`: SIGINT or SIGTERM
 * ended it. Exits as alone_look. */
enum cmd_exit alone_drive(struct cmd *cmd, const struct daemon_job *job, bool *out_interrupted) MUST_CHECK;

#endif

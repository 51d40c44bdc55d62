/* Owns:  the commands that ask for a change: sent to the daemon, or with --wait and
 *        without one carried out here; questions on the terminal; the countdown.
 * Never: decides what may be changed.
 * Spec:  tlsa-sync(1).
 * Start at: change_run. */
#ifndef TLSA_SYNC_CMD_CHANGE_H
#define TLSA_SYNC_CMD_CHANGE_H

#include "tlsa-sync/cmd_ask_fs.h"

/* change_run sends the request of `verb` with the command's options, says what was
 * answered, and with --wait stays until it is done. Returns the exit status. */
int change_run(struct cmd *cmd, enum request_verb verb);

#endif

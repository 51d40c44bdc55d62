/* Owns:  the commands of danegate(8) that ask the running daemon: report, connectors,
 *        drain, undrain.
 * Never: starts or changes anything by itself.
 * Spec:  danegate(8).
 * Start at: command_run. */
#ifndef PROXY_COMMAND_FS_H
#define PROXY_COMMAND_FS_H

#include <stdbool.h>

#include "config/config.h"

/* command_known tells whether `word` is one of them; command_usage lists them, static. */
bool command_known(const char *word);
const char *command_usage(void);

/* command_run runs `argv` (its first word is the command) against the sockets that `cfg` names
 * and returns the exit status: 0; 1 when the daemon refused or did not answer; 2 for words that
 * make no command, with the right ones on standard error. */
int command_run(const struct config *cfg, int argc, char **argv, bool json);

#endif

/* Owns:  what the subcommands share: their options, and asking the daemon.
 * Never: used by the daemon itself: it blocks.
 * Spec:  tlsa-sync(1), EXIT STATUS.
 * Start at: cmd_ask. */
#ifndef TLSA_SYNC_CMD_ASK_FS_H
#define TLSA_SYNC_CMD_ASK_FS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/ec.h"

/* CMD_CONFIG ends the program with status 2 too, but without a word on usage. */
enum cmd_exit { CMD_OK = 0, CMD_REFUSED = 1, CMD_USAGE = 2, CMD_UNREACHABLE = 3, CMD_CONFIG };

/* struct cmd is one invocation. `argv[0]` is the subcommand's name. */
struct cmd {
	const char *config_path;
	const char *socket; /* -s: then the configuration is not read; NULL else */
	char *socket_found; /* from the configuration; owned */
	int argc;
	char **argv;
};

/* cmd_ask sends `request` (takes the reference) to the daemon. On CMD_OK `*out` is
 * the answer, a new reference. Otherwise it has printed why on standard error, unless
 * `quiet`, and returns the exit status to end with. */
enum cmd_exit cmd_ask(struct cmd *cmd, json_t *request, bool quiet, json_t **out) MUST_CHECK;

/* cmd_request makes {"do": verb} and, unless it is NULL, "identity". */
json_t *cmd_request(const char *verb, const char *identity);

/* cmd_print_text prints the answer's "text". */
void cmd_print_text(const json_t *answer);

/* cmd_print_json prints a value indented. */
void cmd_print_json(const json_t *value);

/* cmd_identity takes the one optional operand left after the options. Returns
 * false, with words on standard error, when there are more. */
bool cmd_identity(const struct cmd *cmd, int optind_now, const char **out);

/* cmd_simple sends a verb for an identity and prints the answer's text: all of
 * `abort` and `rollback`. */
int cmd_simple(struct cmd *cmd, const char *verb);

/* The subcommands; each returns the exit status. */
int cmd_run(struct cmd *cmd);
int cmd_status(struct cmd *cmd);
int cmd_rotate(struct cmd *cmd);
int cmd_plan(struct cmd *cmd);
int cmd_history(struct cmd *cmd);
int cmd_abort(struct cmd *cmd);
int cmd_rollback(struct cmd *cmd);

#endif

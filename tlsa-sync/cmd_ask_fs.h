/* Owns:  what the subcommands share: their options, asking the daemon, and saying
 *        what it answered.
 * Never: used by the daemon itself: it blocks.
 * Spec:  tlsa-sync(1), EXIT STATUS.
 * Start at: struct cmd, cmd_ask. */
#ifndef TLSA_SYNC_CMD_ASK_FS_H
#define TLSA_SYNC_CMD_ASK_FS_H

#include "tlsa-sync/commands.h"
#include "tlsa-sync/request.h"

struct config;

/* CMD_CONFIG ends the program with status 2 too, but without a word on usage. */
enum cmd_exit { CMD_OK = 0, CMD_REFUSED = 1, CMD_USAGE = 2, CMD_UNREACHABLE = 3, CMD_CONFIG };

/* struct cmd is one invocation. */
struct cmd {
	const char *config_path;
	const char *socket; /* -s: then the configuration is not read; NULL else */
	char *socket_found; /* from the configuration; owned */
	enum command_id id;
	struct options options;
	bool alone; /* the last cmd_ask found that nobody listens, so a command may do without the daemon */
	struct why unreachable; /* why the last cmd_ask had no answer */
};

/* cmd_request makes the request of a verb about the identity that was named, if
 * any. A name too long for any identity is cut: the daemon does not know it. */
struct request cmd_request(const struct cmd *cmd, enum request_verb verb);

/* cmd_ask sends `r` to the daemon. CMD_OK: an answer came, `*out` is it, a new reference,
 * whatever it says; otherwise CMD_UNREACHABLE (nothing is printed: cmd_complain), or
 * CMD_CONFIG or CMD_REFUSED with words on standard error. */
enum cmd_exit cmd_ask(struct cmd *cmd, const struct request *r, json_t **out) MUST_CHECK;

/* cmd_load reads the configuration, and looks at the files that it names, for a command that is
 * to act on it. Returns it, the caller's; or NULL, with what is wrong on standard error. */
struct config *cmd_load(const struct cmd *cmd);

/* cmd_complain says on standard error why the daemon can't be asked. */
void cmd_complain(const struct cmd *cmd);

/* cmd_refused tells whether the answer is a refusal, having said so on standard
 * error. NULL is one. */
bool cmd_refused(const json_t *answer);

/* cmd_look is cmd_ask for what changes nothing: where no daemon runs it is
 * answered from the journal and one look. On CMD_OK the answer is no refusal; otherwise why
 * was printed. */
enum cmd_exit cmd_look(struct cmd *cmd, const struct request *r, json_t **out) MUST_CHECK;

/* cmd_print_text prints the answer's "text", cmd_print_json a value, indented. */
void cmd_print_text(const json_t *answer);
void cmd_print_json(const json_t *value);

/* cmd_colour: standard output is a terminal, and NO_COLOR is not set. */
bool cmd_colour(void);

/* The subcommands; each returns the exit status. */
int cmd_run(struct cmd *cmd);
int cmd_status(struct cmd *cmd);
int cmd_explain(struct cmd *cmd);
int cmd_plan(struct cmd *cmd);
int cmd_history(struct cmd *cmd);
int cmd_rotate(struct cmd *cmd);
int cmd_rollback(struct cmd *cmd);
int cmd_abort(struct cmd *cmd);
int cmd_disable(struct cmd *cmd);
int cmd_enable(struct cmd *cmd);
int cmd_renew(struct cmd *cmd);
int cmd_check_publisher(struct cmd *cmd);

#endif

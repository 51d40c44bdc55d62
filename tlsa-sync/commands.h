/* Owns:  THE table of subcommands and their options: usage, help and shell
 *        completion come from it, so none of them can differ from what is parsed.
 * Never: runs a command; prints.
 * Spec:  tlsa-sync(1).
 * Start at: command_rows; then command_parse. */
#ifndef TLSA_SYNC_COMMANDS_H
#define TLSA_SYNC_COMMANDS_H

#include <stdbool.h>

#include "base/ec.h"
#include "base/slice.h"

enum command_id {
	COMMAND_RUN,
	COMMAND_STATUS,
	COMMAND_EXPLAIN,
	COMMAND_PLAN,
	COMMAND_HISTORY,
	COMMAND_ROTATE,
	COMMAND_ROLLBACK,
	COMMAND_ABORT,
	COMMAND_DISABLE,
	COMMAND_ENABLE,
	COMMAND_RENEW,
	COMMAND_CHECK_PUBLISHER,
	COMMAND_NUM
};

/* struct options is what stood behind the subcommand's name. */
struct options {
	bool json;
	bool watch;
	bool wait;
	bool rotate;
	bool emergency;
	bool force;
	bool help;
	unsigned lines; /* history: 1 to REQUEST_LINES_MAX */
	const char *identity; /* borrowed from argv; NULL: none was named */
};

/* struct globals is what stood before it. */
struct globals {
	const char *config; /* borrowed from argv; NULL: not given */
	const char *socket;
	const char *completion; /* the shell */
	bool check;
	bool dump;
	bool version;
	bool help;
};

struct command_option {
	const char *name;     /* "--wait" */
	const char *letter;   /* "-n", or NULL */
	const char *argument; /* "NUMBER", or NULL */
	const char *help;
	unsigned commands;    /* OR of 1u << enum command_id */
};

struct command_row {
	const char *name;
	const char *help;   /* one line */
	const char *more;   /* what `--help` adds: what happens, and the exit status */
	bool identity;      /* takes one operand, IDENTITY */
};

extern const struct command_row command_rows[COMMAND_NUM];
extern const struct command_option command_options[];
extern const unsigned command_num_options;
/* The options before the subcommand. */
extern const struct command_option command_globals[];
extern const unsigned command_num_globals;

/* command_find returns false when there is no such command. */
bool command_find(const char *name, enum command_id *out);

/* command_parse reads what stands behind the subcommand's name. "--name=value",
 * "--name value" and "-n5" are read, "--" ends the options. Returns EC_UNKNOWN_KEY, EC_MISSING (an argument),
 * EC_SYNTAX, EC_RANGE, EC_DUPLICATE (two identities), with words. */
enum ec command_parse(enum command_id id, int argc, char *const *argv, struct options *out, struct why *why) MUST_CHECK;

/* command_parse_globals reads the options before the subcommand and sets `*out_used` to
 * how many words they are. Errors as command_parse. */
enum ec command_parse_globals(int argc, char *const *argv, struct globals *out, int *out_used, struct why *why) MUST_CHECK;

/* command_usage appends the list of commands, command_help the page of one,
 * command_synopsis "status [--json] [--watch] [IDENTITY]". EC_NO_MEMORY. */
enum ec command_usage(struct bytes *out) MUST_CHECK;
enum ec command_help(enum command_id id, struct bytes *out) MUST_CHECK;
enum ec command_synopsis(enum command_id id, struct bytes *out) MUST_CHECK;

/* command_completion appends the completion script for "bash" or "zsh".
 * EC_UNSUPPORTED for another shell, EC_NO_MEMORY. */
enum ec command_completion(const char *shell, struct bytes *out) MUST_CHECK;

#endif

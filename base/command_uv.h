/* Owns:  one run of an operator's command: its input, its bounded output, its
 *        deadline, and the end of everything it started in time.
 * Never: uses a shell; leaves one of our descriptors open in the command; runs
 *        anything that a peer could choose.
 * Spec:  –
 * Start at: struct command_plan, command_start. */
#ifndef BASE_COMMAND_UV_H
#define BASE_COMMAND_UV_H

#include <uv.h>

#include "base/ec.h"
#include "base/slice.h"

struct command_run;

enum {
	COMMAND_OUT_MAX = 1 << 20,    /* octets of output, unless the plan says otherwise */
	COMMAND_ERRORS_MAX = 8192,    /* the last octets of the error output are kept */
	COMMAND_TIMEOUT_MS = 60000,   /* unless the plan says otherwise */
	COMMAND_GRACE_MS = 2000       /* from SIGTERM to SIGKILL */
};

struct command_plan {
	const char *const *argv; /* NULL-ended; argv[0] is a path, or a name that is looked up in PATH */
	const char *const *env;  /* NULL-ended "NAME=value", put in the place of ours of that name; may be NULL */
	struct slice input;      /* its standard input, which then ends */
	size_t out_max;          /* 0: COMMAND_OUT_MAX */
	int timeout_ms;          /* 0: COMMAND_TIMEOUT_MS */
};

/* struct command_result says how it ended:
 *   EC_OK       exit status 0, `out` is all it printed
 *   EC_IO       another exit status, or a signal ended it
 *   EC_TIMEOUT  the deadline passed; it was killed, with all it had started
 *   EC_LIMIT    it printed more than out_max; killed likewise
 * What it had done before the end is not known here. */
struct command_result {
	enum ec ec;
	int status;       /* exit status; 0 if a signal ended it */
	int signal;       /* or 0 */
	struct slice out; /* lent for the callback; never more than out_max */
	struct slice errors; /* the last COMMAND_ERRORS_MAX octets of its error output; lent */
};

/* command_done gets the result, once, never from inside command_start. Unless
 * result->ec is EC_OK, `why` has words: the program, how it ended, and the last
 * line of its error output, with nothing but printable characters. */
typedef void command_done(void *arg, const struct command_result *result, const struct why *why);

/* command_start runs a program in a process group and session of its own, with our
 * environment and directory. Everything in the plan is copied. At the deadline the whole
 * group gets SIGTERM and, COMMAND_GRACE_MS later, SIGKILL. Once the program itself has
 * exited it is over: what it left running is neither waited for nor killed. The
 * process has to ignore SIGPIPE. Returns EC_NOT_FOUND, EC_PERMISSION, EC_IO, EC_NO_MEMORY,
 * with words; then nothing ran and the callback never does. `*out` (may be
 * NULL) is for command_cancel, and valid until the callback has run. */
enum ec command_start(uv_loop_t *loop, const struct command_plan *plan, command_done *done, void *arg,
                      struct command_run **out, struct why *why) MUST_CHECK;

/* command_cancel kills the group at once; the callback does not run. NULL is
 * allowed. The loop must run on to free it. */
void command_cancel(struct command_run *run);

/* command_last_line makes one line of what a program printed: the last one that is not
 * blank, cut to fit, each character that is not printable ASCII shown as "?". */
void command_last_line(char *out, size_t size, struct slice text);

#endif

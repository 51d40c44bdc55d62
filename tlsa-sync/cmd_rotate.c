/* tlsa-sync rotate [--wait] [IDENTITY]: roll to the next key as soon as it has aged.
 * With --wait each change is printed until the identity is steady again. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "tlsa-sync/cmd_ask_fs.h"

enum { LOOK_US = 250 * 1000, GONE_MAX = 60 * 4 };

/* What was printed last, so that only changes are. */
struct shown {
	char state[32];
	char waiting_for[512];
};

static const char *text_of(const json_t *answer, const char *key)
{
	const char *s = json_string_value(json_object_get(answer, key));
	return s == NULL ? "" : s;
}

static void print_change(struct shown *shown, const json_t *answer)
{
	const char *state = text_of(answer, "state");
	const char *waiting_for = text_of(answer, "waiting_for");
	if (strcmp(shown->state, state) == 0 && strcmp(shown->waiting_for, waiting_for) == 0)
		return;
	char now[WALL_TEXT_SIZE];
	wall_print(now, (struct wall){ json_integer_value(json_object_get(answer, "now")) });
	(void)printf("%s  %-10s  %s\n", now, state, text_of(answer, "why"));
	(void)fflush(stdout);
	(void)snprintf(shown->state, sizeof shown->state, "%s", state);
	(void)snprintf(shown->waiting_for, sizeof shown->waiting_for, "%s", waiting_for);
}

/* The roll is over when it was done and everything is steady again, or when it
 * went another way. Returns true with the exit status. */
static bool is_over(const json_t *answer, int *out_status)
{
	const char *roll = text_of(answer, "roll");
	*out_status = CMD_OK;
	if (strcmp(roll, "running") == 0)
		return false;
	if (strcmp(roll, "done") == 0)
		return strcmp(text_of(answer, "state"), "STEADY") == 0;
	*out_status = CMD_REFUSED;
	(void)fprintf(stderr, "tlsa-sync: the roll did not complete: it was %s\n",
	              strcmp(roll, "back") == 0 ? "rolled back" : "aborted");
	return true;
}

static int wait_for_roll(struct cmd *cmd, const char *identity)
{
	struct shown shown = { 0 };
	int status = CMD_OK;
	for (unsigned gone = 0;;) {
		json_t *answer = NULL;
		/* The daemon may be restarted meanwhile: the roll goes on. */
		enum cmd_exit asked = cmd_ask(cmd, cmd_request("roll", identity), gone < GONE_MAX, &answer);
		bool over = false;
		if (asked == CMD_OK) {
			gone = 0;
			print_change(&shown, answer);
			over = is_over(answer, &status);
		} else if (asked != CMD_UNREACHABLE || gone++ >= GONE_MAX) {
			over = true;
			status = (int)asked;
		} else if (gone == 8) {
			(void)fprintf(stderr, "tlsa-sync: the daemon does not answer; waiting for it\n");
		}
		json_decref(answer);
		if (over)
			return status;
		(void)usleep(LOOK_US);
	}
}

int cmd_rotate(struct cmd *cmd)
{
	static const struct option options[] = { { "wait", no_argument, NULL, 'w' }, { 0 } };
	bool wait = false;
	for (int o; (o = getopt_long(cmd->argc, cmd->argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return CMD_USAGE;
		wait = wait || o == 'w';
	}
	const char *identity;
	if (!cmd_identity(cmd, optind, &identity))
		return CMD_USAGE;
	json_t *answer = NULL;
	enum cmd_exit status = cmd_ask(cmd, cmd_request("rotate", identity), false, &answer);
	if (status == CMD_OK) {
		(void)printf("%s: ", text_of(answer, "identity"));
		cmd_print_text(answer);
		(void)fflush(stdout);
	}
	json_decref(answer);
	return status == CMD_OK && wait ? wait_for_roll(cmd, identity) : (int)status;
}

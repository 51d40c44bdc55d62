/* tlsa-sync rotate | rollback | abort | disable | enable | renew. change_answered and change_tick
 * get the same answers from a daemon and, where none runs, from this process: alone_uv. */
#include "tlsa-sync/cmd_change.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "tlsa-sync/alone_uv.h"
#include "tlsa-sync/confirm_fs.h"

enum { LOOK_US = 250 * 1000, GONE_MAX = 60 * 4, GONE_TOLD = 8 };

struct change {
	struct request request;
	bool wait;
	bool terminal; /* show a countdown */
	int status;
	/* What was printed last, so that only changes are. */
	char state[32];
	char waiting_for[512];
};

static const char *text_of(const json_t *answer, const char *key)
{
	const char *s = json_string_value(json_object_get(answer, key));
	return s == NULL ? "" : s;
}

/* ---- what came of the request ---- */

/* ask_person: an emergency that senders will notice is gone ahead with only when somebody
 * says yes. */
static bool ask_person(void)
{
	static const char *const refusals[] = {
		[CONFIRMED_NO] = "nothing is changed",
		[CONFIRMED_NOBODY] = "nothing is changed; --force goes ahead all the same",
		[CONFIRMED_INTERRUPTED] = "interrupted; nothing is changed",
	};
	enum confirmed said = confirm_person("Go ahead all the same?");
	if (said == CONFIRMED_YES)
		return true;
	(void)fprintf(stderr, "%stlsa-sync: %s\n", said == CONFIRMED_INTERRUPTED ? "\n" : "", refusals[said]);
	return false;
}

/* Asked for before, by another command or before an interruption: then wait for that. */
static bool is_under_way(const struct change *c, const json_t *answer)
{
	const char *ec = text_of(answer, "ec");
	bool again = (c->request.verb == REQUEST_ROTATE && !c->request.emergency) || c->request.verb == REQUEST_ROLLBACK;
	return c->wait && ((again && strcmp(ec, "EC_BUSY") == 0) || (c->request.verb == REQUEST_DISABLE && strcmp(ec, "EC_EXISTS") == 0));
}

static enum daemon_next change_answered(void *arg, const json_t *answer)
{
	struct change *c = arg;
	if (json_is_true(json_object_get(answer, "ok"))) {
		(void)printf("%s: ", text_of(answer, "identity"));
		cmd_print_text(answer);
		(void)fflush(stdout);
		return c->wait ? DAEMON_GO_ON : DAEMON_STOP;
	}
	if (is_under_way(c, answer)) {
		(void)fprintf(stderr, "tlsa-sync: %s; waiting for that\n", text_of(answer, "why"));
		return DAEMON_GO_ON;
	}
	(void)cmd_refused(answer);
	c->status = CMD_REFUSED;
	if (!c->request.emergency || c->request.force || strcmp(text_of(answer, "ec"), "EC_PIN_UNPROVEN") != 0 || !ask_person())
		return DAEMON_STOP;
	c->request.force = true;
	c->status = CMD_OK;
	return DAEMON_AGAIN;
}

/* ---- waiting for the end ---- */

/* On a terminal the last line counts down; a change is printed above it, and stays. */
static void show_countdown(const struct change *c, const json_t *answer)
{
	int64_t now = json_integer_value(json_object_get(answer, "now"));
	int64_t at = json_integer_value(json_object_get(answer, "at"));
	char left[DURATION_TEXT_SIZE];
	if (!c->terminal)
		return;
	duration_print(left, at > now ? at - now : 0);
	(void)printf("\r\033[K%s%s%s", c->state, at > now ? ": " : "", at > now ? left : "");
	if (at > now)
		(void)printf(" to go");
	(void)fflush(stdout);
}

static void show_change(struct change *c, const json_t *answer)
{
	/* a renewal goes on beside the states */
	bool renewal = c->request.verb == REQUEST_RENEW, renews = json_is_true(json_object_get(answer, "renews"));
	const char *state = !renewal ? text_of(answer, "state") : renews ? "RENEWING" : "RENEWED";
	const char *why = !renewal ? text_of(answer, "why")
	                  : renews ? text_of(answer, "renewing") : "the certificate is installed; the key is the same";
	const char *waiting_for = renewal ? why : text_of(answer, "waiting_for");
	const char *trouble = text_of(answer, "trouble");
	/* while it is looking there is nobody to wait for; that is no news */
	if (strcmp(c->state, state) == 0 && (waiting_for[0] == '\0' || strcmp(c->waiting_for, waiting_for) == 0))
		return;
	char now[WALL_TEXT_SIZE];
	wall_print(now, (struct wall){ json_integer_value(json_object_get(answer, "now")) });
	(void)printf("%s%s  %-11s  %s%s%s\n", c->terminal ? "\r\033[K" : "", now, state, why,
	             trouble[0] != '\0' ? "; " : "", trouble);
	(void)fflush(stdout);
	(void)snprintf(c->state, sizeof c->state, "%s", state);
	(void)snprintf(c->waiting_for, sizeof c->waiting_for, "%s", waiting_for);
}

static bool went_otherwise(struct change *c, const char *words)
{
	(void)fprintf(stderr, "%stlsa-sync: %s\n", c->terminal ? "\r\033[K" : "", words);
	c->status = CMD_REFUSED;
	return true;
}

/* is_over: what was asked for is done, or something else was asked for since. */
static bool is_over(struct change *c, const json_t *answer)
{
	const char *roll = text_of(answer, "roll");
	bool disabled = json_is_true(json_object_get(answer, "disabled"));
	bool steady = strcmp(text_of(answer, "state"), "STEADY") == 0;
	switch (c->request.verb) {
	case REQUEST_RENEW:
		return !json_is_true(json_object_get(answer, "renews"));
	case REQUEST_DISABLE:
		return disabled ? strcmp(text_of(answer, "state"), "DISABLED") == 0 : went_otherwise(c, "it was enabled again");
	case REQUEST_ENABLE:
		return disabled ? went_otherwise(c, "it was disabled again") : steady;
	case REQUEST_ROLLBACK:
		if (strcmp(roll, "done") == 0 || disabled)
			return went_otherwise(c, "the former key could not be kept: the roll had gone on");
		return strcmp(roll, "back") == 0 && steady;
	default:
		if (disabled)
			return went_otherwise(c, "the roll did not complete: DANE was disabled");
		if (strcmp(roll, "running") == 0)
			return false;
		if (strcmp(roll, "done") == 0)
			return steady;
		return went_otherwise(c, strcmp(roll, "back") == 0 ? "the roll did not complete: it was rolled back"
		                                                  : "the roll did not complete: it was aborted");
	}
}

static bool change_tick(void *arg, const json_t *answer)
{
	struct change *c = arg;
	if (!json_is_true(json_object_get(answer, "ok")))
		return went_otherwise(c, text_of(answer, "why"));
	show_change(c, answer);
	bool over = is_over(c, answer);
	if (!over && c->request.verb != REQUEST_RENEW)
		show_countdown(c, answer);
	else if (c->terminal && c->status == CMD_OK)
		(void)printf("\r\033[K");
	return over;
}

/* ---- with the daemon ---- */

static int wait_for_daemon(struct cmd *cmd, struct change *c)
{
	struct request roll = cmd_request(cmd, REQUEST_ROLL);
	for (unsigned gone = 0;;) {
		json_t *answer = NULL;
		/* The daemon may be restarted meanwhile: it goes on where it was. */
		enum cmd_exit asked = cmd_ask(cmd, &roll, &answer);
		bool over = false;
		if (asked == CMD_OK) {
			gone = 0;
			over = change_tick(c, answer);
		} else if (asked != CMD_UNREACHABLE || gone++ >= GONE_MAX) {
			over = true;
			c->status = (int)asked;
			if (asked == CMD_UNREACHABLE)
				cmd_complain(cmd);
		} else if (gone == GONE_TOLD) {
			(void)fprintf(stderr, "tlsa-sync: the daemon does not answer; waiting for it\n");
		}
		json_decref(answer);
		if (over)
			return c->status;
		(void)usleep(LOOK_US);
	}
}

/* ---- without ---- */

static int drive(struct cmd *cmd, struct change *c)
{
	struct daemon_job job = { .request = &c->request, .answered = change_answered, .tick = change_tick, .arg = c };
	bool interrupted = false;
	enum cmd_exit status = alone_drive(cmd, &job, &interrupted);
	if (status != CMD_OK)
		return (int)status;
	if (interrupted) {
		(void)fprintf(stderr, "\ntlsa-sync: interrupted; nothing is lost: the same command, or the daemon, goes on from here\n");
		return CMD_REFUSED;
	}
	return c->status;
}

int change_run(struct cmd *cmd, enum request_verb verb)
{
	struct change c = { .request = cmd_request(cmd, verb), .wait = cmd->options.wait, .terminal = isatty(STDOUT_FILENO) == 1 };
	c.request.emergency = cmd->options.emergency;
	c.request.force = cmd->options.force;
	for (;;) {
		json_t *answer = NULL;
		enum cmd_exit asked = cmd_ask(cmd, &c.request, &answer);
		if (asked == CMD_UNREACHABLE && cmd->alone && c.wait)
			return drive(cmd, &c);
		if (asked == CMD_UNREACHABLE) {
			cmd_complain(cmd);
			if (cmd->alone)
				(void)fprintf(stderr, "tlsa-sync: the daemon does not run; start it with `tlsa-sync run`%s\n",
				              verb == REQUEST_ABORT ? "" : ", or give --wait to have it done here");
			return CMD_UNREACHABLE;
		}
		if (asked != CMD_OK)
			return (int)asked;
		enum daemon_next next = change_answered(&c, answer);
		json_decref(answer);
		if (next == DAEMON_GO_ON)
			return wait_for_daemon(cmd, &c);
		if (next == DAEMON_STOP)
			return c.status;
	}
}

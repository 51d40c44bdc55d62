/* tlsa-sync status [--json] [--watch] [IDENTITY]: where each roll stands, and why. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tlsa-sync/cmd_ask_fs.h"

static enum cmd_exit show(struct cmd *cmd, const char *identity, bool json, bool terminal, bool clear)
{
	json_t *request = cmd_request("status", identity);
	(void)json_object_set_new(request, "colour", json_boolean(terminal && getenv("NO_COLOR") == NULL));
	json_t *answer = NULL;
	enum cmd_exit status = cmd_ask(cmd, request, false, &answer);
	if (clear)
		(void)printf("\033[H\033[J");
	if (status == CMD_OK && json) {
		(void)json_object_del(answer, "ok");
		(void)json_object_del(answer, "text");
		cmd_print_json(answer);
	} else if (status == CMD_OK)
		cmd_print_text(answer);
	(void)fflush(stdout);
	json_decref(answer);
	return status;
}

int cmd_status(struct cmd *cmd)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { "watch", no_argument, NULL, 'w' }, { 0 } };
	bool json = false;
	bool watch = false;
	for (int o; (o = getopt_long(cmd->argc, cmd->argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return CMD_USAGE;
		json = json || o == 'j';
		watch = watch || o == 'w';
	}
	const char *identity;
	if (!cmd_identity(cmd, optind, &identity))
		return CMD_USAGE;
	bool terminal = isatty(STDOUT_FILENO) == 1;
	enum cmd_exit status = show(cmd, identity, json, terminal, watch && terminal && !json);
	/* A daemon that is restarted meanwhile comes back by itself. */
	while (watch && status != CMD_CONFIG && status != CMD_REFUSED && !ferror(stdout)) {
		(void)sleep(1);
		status = show(cmd, identity, json, terminal, terminal && !json);
	}
	return (int)status;
}

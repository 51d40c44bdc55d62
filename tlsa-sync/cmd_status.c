/* tlsa-sync status [--json] [--watch] [IDENTITY]: where each roll stands, and why. */
#include <stdio.h>
#include <unistd.h>

#include "tlsa-sync/cmd_ask_fs.h"

static enum cmd_exit show(struct cmd *cmd, bool clear)
{
	struct request r = cmd_request(cmd, REQUEST_STATUS);
	r.colour = cmd_colour();
	json_t *answer = NULL;
	enum cmd_exit status = cmd_look(cmd, &r, &answer);
	if (clear)
		(void)printf("\033[H\033[J");
	if (status == CMD_OK && cmd->options.json) {
		(void)json_object_del(answer, "ok");
		(void)json_object_del(answer, "text");
		cmd_print_json(answer);
	} else if (status == CMD_OK) {
		cmd_print_text(answer);
	}
	(void)fflush(stdout);
	json_decref(answer);
	return status;
}

int cmd_status(struct cmd *cmd)
{
	bool clear = cmd->options.watch && isatty(STDOUT_FILENO) == 1 && !cmd->options.json;
	enum cmd_exit status = show(cmd, clear);
	/* A daemon that is restarted meanwhile comes back by itself. */
	while (cmd->options.watch && status != CMD_CONFIG && status != CMD_REFUSED && !ferror(stdout)) {
		(void)sleep(1);
		status = show(cmd, clear);
	}
	return (int)status;
}

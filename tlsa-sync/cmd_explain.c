/* tlsa-sync explain [--json] [IDENTITY]: why it waits, and what a sender would see now. */
#include "tlsa-sync/cmd_ask_fs.h"

int cmd_explain(struct cmd *cmd)
{
	struct request r = cmd_request(cmd, REQUEST_EXPLAIN);
	r.colour = cmd_colour();
	json_t *answer = NULL;
	enum cmd_exit status = cmd_look(cmd, &r, &answer);
	if (status == CMD_OK && cmd->options.json)
		cmd_print_json(json_object_get(answer, "explain"));
	else if (status == CMD_OK)
		cmd_print_text(answer);
	json_decref(answer);
	return (int)status;
}

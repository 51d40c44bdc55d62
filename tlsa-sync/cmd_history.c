/* tlsa-sync history [-n N] [--json] [IDENTITY]: the journal's last lines. */
#include <stdio.h>

#include "base/instant.h"
#include "tlsa-sync/cmd_ask_fs.h"

static const char *text_of(const json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));
	return s == NULL ? "-" : s;
}

static void print_lines(const json_t *lines)
{
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		char at[WALL_TEXT_SIZE];
		wall_print(at, (struct wall){ json_integer_value(json_object_get(line, "at")) });
		(void)printf("%s  %s  %-8s  %s\n", at, text_of(line, "identity"), text_of(line, "event"), text_of(line, "words"));
	}
	if (json_array_size(lines) == 0)
		(void)printf("nothing has happened yet\n");
}

int cmd_history(struct cmd *cmd)
{
	struct request r = cmd_request(cmd, REQUEST_HISTORY);
	r.num = cmd->options.lines;
	json_t *answer = NULL;
	enum cmd_exit status = cmd_look(cmd, &r, &answer);
	if (status == CMD_OK && cmd->options.json)
		cmd_print_json(json_object_get(answer, "history"));
	else if (status == CMD_OK)
		print_lines(json_object_get(answer, "history"));
	json_decref(answer);
	return (int)status;
}

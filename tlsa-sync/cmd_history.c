/* tlsa-sync history [-n N] [--json] [IDENTITY]: the journal's last lines. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/instant.h"
#include "tlsa-sync/cmd_ask_fs.h"

enum { LINES_MAX = 99999 };

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
	static const struct option options[] = { { "num", required_argument, NULL, 'n' }, { "json", no_argument, NULL, 'j' }, { 0 } };
	uint64_t num = 20;
	bool json = false;
	for (int o; (o = getopt_long(cmd->argc, cmd->argv, "n:", options, NULL)) != -1;) {
		if (o == '?')
			return CMD_USAGE;
		json = json || o == 'j';
		if (o == 'n' && (parse_u64(slice_str(optarg), LINES_MAX, &num) != EC_OK || num == 0)) {
			(void)fprintf(stderr, "tlsa-sync history: -n takes a number from 1 to %d, not \"%s\"\n", LINES_MAX, optarg);
			return CMD_USAGE;
		}
	}
	const char *identity;
	if (!cmd_identity(cmd, optind, &identity))
		return CMD_USAGE;
	json_t *request = cmd_request("history", identity);
	(void)json_object_set_new(request, "num", json_integer((json_int_t)num));
	json_t *answer = NULL;
	enum cmd_exit status = cmd_ask(cmd, request, false, &answer);
	if (status == CMD_OK && json)
		cmd_print_json(json_object_get(answer, "history"));
	else if (status == CMD_OK)
		print_lines(json_object_get(answer, "history"));
	json_decref(answer);
	return (int)status;
}

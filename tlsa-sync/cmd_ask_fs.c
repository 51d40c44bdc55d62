#include "tlsa-sync/cmd_ask_fs.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ask_fs.h"
#include "config/config.h"

enum { ANSWER_TIMEOUT_MS = 15000 };

static enum ec read_file(const char *path, struct bytes *out)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return EC_IO;
	enum ec ec = EC_OK;
	for (;;) {
		uint8_t *p = NULL;
		ec = bytes_reserve(out, 65536, &p);
		size_t n = ec == EC_OK ? fread(p, 1, 65536, f) : 0;
		bytes_commit(out, n);
		if (n == 0 || bytes_len(out) > CONFIG_TEXT_MAX)
			break;
	}
	if (ec == EC_OK && ferror(f))
		ec = EC_IO;
	fclose(f);
	return ec;
}

/* A command needs only the socket's path, so the files that the configuration
 * names are not looked at: who may use the socket may not be allowed to read those. */
static bool find_socket(struct cmd *cmd)
{
	if (cmd->socket != NULL || cmd->socket_found != NULL)
		return true;
	struct bytes text = { 0 };
	struct config_errors *errs = calloc(1, sizeof *errs);
	struct config *cfg = NULL;
	errno = 0;
	if (errs == NULL || read_file(cmd->config_path, &text) != EC_OK)
		(void)fprintf(stderr, "tlsa-sync: %s: %s; name the configuration with -c FILE, or the daemon's socket with -s SOCKET\n",
		              cmd->config_path, strerror(errno != 0 ? errno : ENOMEM));
	else if (config_parse(bytes_slice(&text), cmd->config_path, &cfg, errs) != EC_OK) {
		for (size_t i = 0; i < errs->num; i++)
			(void)fprintf(stderr, "%s\n", errs->items[i]);
		(void)fprintf(stderr, "tlsa-sync: a daemon that still runs with an older configuration is reached with -s SOCKET\n");
	} else
		cmd->socket_found = strdup(cfg->tlsa_sync.control_socket);
	config_free(cfg);
	free(errs);
	bytes_fini(&text);
	return cmd->socket_found != NULL;
}

static enum cmd_exit read_answer(const struct bytes *line, bool quiet, json_t **out)
{
	struct slice s = bytes_slice(line);
	json_t *answer = json_loadb((const char *)s.p, s.len, 0, NULL);
	if (json_is_true(json_object_get(answer, "ok"))) {
		*out = answer;
		return CMD_OK;
	}
	const char *why = json_string_value(json_object_get(answer, "why"));
	if (!quiet)
		(void)fprintf(stderr, "tlsa-sync: %s\n", why != NULL ? why : "the daemon's answer makes no sense");
	json_decref(answer);
	return CMD_REFUSED;
}

enum cmd_exit cmd_ask(struct cmd *cmd, json_t *request, bool quiet, json_t **out)
{
	*out = NULL;
	char *line = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (line == NULL) {
		(void)fprintf(stderr, "tlsa-sync: out of memory\n");
		return CMD_REFUSED;
	}
	if (!find_socket(cmd)) {
		free(line);
		return CMD_CONFIG;
	}
	const char *path = cmd->socket != NULL ? cmd->socket : cmd->socket_found;
	struct bytes answer = { 0 };
	struct why why = { 0 };
	enum ec ec = ask_socket(path, slice_str(line), true, ANSWER_TIMEOUT_MS, &answer, &why);
	enum cmd_exit status = CMD_UNREACHABLE;
	if (ec == EC_OK)
		status = read_answer(&answer, quiet, out);
	else if (!quiet && (ec == EC_NOT_FOUND || ec == EC_CLOSED))
		(void)fprintf(stderr, "tlsa-sync: the daemon does not run (%s); start it with `tlsa-sync run`\n", why.text);
	else if (!quiet)
		(void)fprintf(stderr, "tlsa-sync: %s\n", why.text);
	bytes_fini(&answer);
	free(line);
	return status;
}

json_t *cmd_request(const char *verb, const char *identity)
{
	return identity == NULL ? json_pack("{s:s}", "do", verb) : json_pack("{s:s, s:s}", "do", verb, "identity", identity);
}

void cmd_print_text(const json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "text"));
	size_t len = text == NULL ? 0 : strlen(text);
	if (len > 0)
		(void)printf("%s%s", text, text[len - 1] == '\n' ? "" : "\n");
}

void cmd_print_json(const json_t *value)
{
	(void)json_dumpf(value, stdout, JSON_INDENT(2));
	(void)putchar('\n');
}

bool cmd_identity(const struct cmd *cmd, int optind_now, const char **out)
{
	*out = optind_now < cmd->argc ? cmd->argv[optind_now] : NULL;
	if (optind_now + 1 < cmd->argc) {
		(void)fprintf(stderr, "tlsa-sync %s: one identity at a time; what is \"%s\"?\n", cmd->argv[0],
		              cmd->argv[optind_now + 1]);
		return false;
	}
	return true;
}

int cmd_simple(struct cmd *cmd, const char *verb)
{
	static const struct option none[] = { { 0 } };
	const char *identity;
	if (getopt_long(cmd->argc, cmd->argv, "", none, NULL) != -1 || !cmd_identity(cmd, optind, &identity))
		return CMD_USAGE;
	json_t *answer = NULL;
	enum cmd_exit status = cmd_ask(cmd, cmd_request(verb, identity), false, &answer);
	if (status == CMD_OK)
		cmd_print_text(answer);
	json_decref(answer);
	return (int)status;
}

#include "tlsa-sync/cmd_ask_fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ask_fs.h"
#include "config/load_fs.h"
#include "tlsa-sync/alone_uv.h"

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

struct config *cmd_load(const struct cmd *cmd)
{
	struct config *cfg = NULL;
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs != NULL && config_load(cmd->config_path, CONFIG_FOR_TLSA_SYNC, &cfg, errs) != EC_OK)
		for (size_t i = 0; i < errs->num; i++)
			(void)fprintf(stderr, "%s\n", errs->items[i]);
	free(errs);
	return cfg;
}

struct request cmd_request(const struct cmd *cmd, enum request_verb verb)
{
	struct request r = { .verb = verb };
	if (cmd->options.identity != NULL)
		(void)snprintf(r.identity, sizeof r.identity, "%s", cmd->options.identity);
	return r;
}

static json_t *read_answer(const struct bytes *line)
{
	struct slice s = bytes_slice(line);
	json_t *answer = json_loadb((const char *)s.p, s.len, 0, NULL);
	return answer != NULL ? answer : json_pack("{s:b, s:s}", "ok", 0, "why", "the daemon's answer makes no sense");
}

enum cmd_exit cmd_ask(struct cmd *cmd, const struct request *r, json_t **out)
{
	*out = NULL;
	cmd->alone = false;
	if (!find_socket(cmd))
		return CMD_CONFIG;
	json_t *request = request_json(r);
	char *line = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
	json_decref(request);
	struct bytes answer = { 0 };
	enum ec ec = EC_NO_MEMORY;
	if (line != NULL)
		ec = ask_socket(cmd->socket != NULL ? cmd->socket : cmd->socket_found, slice_str(line), true, ANSWER_TIMEOUT_MS, &answer,
		                &cmd->unreachable);
	free(line);
	if (ec == EC_OK)
		*out = read_answer(&answer);
	bytes_fini(&answer);
	if (ec == EC_NO_MEMORY || (ec == EC_OK && *out == NULL)) {
		(void)fprintf(stderr, "tlsa-sync: out of memory\n");
		return CMD_REFUSED;
	}
	/* a daemon that is there and does not answer is not to be interfered with */
	cmd->alone = ec == EC_NOT_FOUND && cmd->socket == NULL;
	return ec == EC_OK ? CMD_OK : CMD_UNREACHABLE;
}

void cmd_complain(const struct cmd *cmd)
{
	(void)fprintf(stderr, "tlsa-sync: %s\n", cmd->unreachable.text);
}

bool cmd_refused(const json_t *answer)
{
	if (json_is_true(json_object_get(answer, "ok")))
		return false;
	const char *why = json_string_value(json_object_get(answer, "why"));
	(void)fprintf(stderr, "tlsa-sync: %s\n", why != NULL ? why : "refused, without a reason");
	return true;
}

enum cmd_exit cmd_look(struct cmd *cmd, const struct request *r, json_t **out)
{
	enum cmd_exit status = cmd_ask(cmd, r, out);
	if (status == CMD_UNREACHABLE && cmd->alone)
		status = alone_look(cmd, r, out);
	else if (status == CMD_UNREACHABLE)
		cmd_complain(cmd);
	if (status == CMD_OK && cmd_refused(*out)) {
		json_decref(*out);
		*out = NULL;
		return CMD_REFUSED;
	}
	return status;
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

bool cmd_colour(void)
{
	const char *no = getenv("NO_COLOR"); /* no-color.org: set and not empty */
	return isatty(STDOUT_FILENO) == 1 && (no == NULL || no[0] == '\0');
}

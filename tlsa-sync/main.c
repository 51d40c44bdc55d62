/* tlsa-sync: rolls the keys of danegate, DNS first. The table of subcommands is in commands.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "config/load_fs.h"
#include "tlsa-sync/cmd_ask_fs.h"

static int (*const runs[COMMAND_NUM])(struct cmd *cmd) = {
	[COMMAND_RUN] = cmd_run,           [COMMAND_STATUS] = cmd_status,   [COMMAND_EXPLAIN] = cmd_explain,
	[COMMAND_PLAN] = cmd_plan,         [COMMAND_HISTORY] = cmd_history, [COMMAND_ROTATE] = cmd_rotate,
	[COMMAND_ROLLBACK] = cmd_rollback, [COMMAND_ABORT] = cmd_abort,     [COMMAND_DISABLE] = cmd_disable,
	[COMMAND_ENABLE] = cmd_enable,     [COMMAND_RENEW] = cmd_renew,     [COMMAND_CHECK_PUBLISHER] = cmd_check_publisher,
};

/* print writes what was put together, and frees it. */
static int print(FILE *to, enum ec ec, struct bytes *text)
{
	if (ec == EC_OK)
		(void)fwrite(bytes_slice(text).p, 1, bytes_len(text), to);
	else
		(void)fprintf(stderr, "tlsa-sync: %s\n", ec_text(ec));
	bytes_fini(text);
	return ec == EC_OK ? CMD_OK : CMD_REFUSED;
}

static int usage(FILE *to)
{
	struct bytes text = { 0 };
	return print(to, command_usage(&text), &text);
}

/* --check and --dump: parse, check, look at the files; never start anything. */
static int check(const char *path, bool dump)
{
	struct config *cfg = NULL;
	struct config_errors *errs = calloc(1, sizeof *errs);
	if (errs == NULL)
		return CMD_REFUSED;
	enum ec ec = dump ? config_read(path, CONFIG_FOR_TLSA_SYNC, &cfg, errs) : config_load(path, CONFIG_FOR_TLSA_SYNC, &cfg, errs);
	int status = ec == EC_OK ? CMD_OK : CMD_USAGE;
	struct bytes out = { 0 };
	if (status != CMD_OK) {
		if (config_errors_text(errs, &out) == EC_OK)
			(void)fwrite(bytes_slice(&out).p, 1, bytes_len(&out), stderr);
	} else if (!dump) {
		(void)printf("%s: ok\n", path);
	} else if (config_dump(cfg, &out) == EC_OK) {
		(void)fwrite(bytes_slice(&out).p, 1, bytes_len(&out), stdout);
	}
	bytes_fini(&out);
	config_free(cfg);
	free(errs);
	return status;
}

static int completion(const char *shell)
{
	struct bytes text = { 0 };
	enum ec ec = command_completion(shell, &text);
	if (ec != EC_UNSUPPORTED)
		return print(stdout, ec, &text);
	(void)fprintf(stderr, "tlsa-sync: --completion knows bash and zsh, not \"%s\"\n", shell);
	return CMD_USAGE;
}

static int run_command(struct cmd *cmd, int argc, char **argv)
{
	struct bytes text = { 0 };
	struct why why = { 0 };
	if (!command_find(argv[0], &cmd->id)) {
		(void)fprintf(stderr, "tlsa-sync: there is no command \"%s\"\n", argv[0]);
		(void)usage(stderr);
		return CMD_USAGE;
	}
	if (command_parse(cmd->id, argc - 1, argv + 1, &cmd->options, &why) != EC_OK) {
		(void)fprintf(stderr, "tlsa-sync %s: %s\nusage: tlsa-sync ", argv[0], why.text);
		(void)print(stderr, command_synopsis(cmd->id, &text), &text);
		(void)fputc('\n', stderr);
		return CMD_USAGE;
	}
	if (cmd->options.help)
		return print(stdout, command_help(cmd->id, &text), &text);
	int status = runs[cmd->id](cmd);
	free(cmd->socket_found);
	return status == CMD_CONFIG ? CMD_USAGE : status;
}

int main(int argc, char **argv)
{
	struct globals g;
	struct why why = { 0 };
	int used = 0;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
	if (argc > 0) {
		argc--;
		argv++;
	}
	if (command_parse_globals(argc, argv, &g, &used, &why) != EC_OK) {
		(void)fprintf(stderr, "tlsa-sync: %s; `tlsa-sync --help` lists what there is\n", why.text);
		return CMD_USAGE;
	}
	struct cmd cmd = { .config_path = g.config != NULL ? g.config : "/etc/danegate/danegate.yaml", .socket = g.socket };
	if (g.version) {
		(void)printf("tlsa-sync %s\n", DANEGATE_VERSION);
		return CMD_OK;
	}
	if (g.completion != NULL)
		return completion(g.completion);
	if (g.help || (used < argc && strcmp(argv[used], "help") == 0))
		return usage(stdout);
	if (g.check || g.dump)
		return check(cmd.config_path, g.dump);
	if (used == argc) {
		(void)usage(stderr);
		return CMD_USAGE;
	}
	return run_command(&cmd, argc - used, argv + used);
}

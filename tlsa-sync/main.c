/* tlsa-sync: rolls the keys of danegate, DNS first. One table of subcommands. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "config/load_fs.h"
#include "tlsa-sync/cmd_ask_fs.h"

static const struct command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(struct cmd *cmd);
} commands[] = {
	{ "run", "", "the daemon, in the foreground", cmd_run },
	{ "status", "[--json] [--watch] [IDENTITY]", "where each roll stands, and what it waits for", cmd_status },
	{ "rotate", "[--wait] [IDENTITY]", "roll to the next key as soon as it has aged", cmd_rotate },
	{ "plan", "[--rotate] [--json] [IDENTITY]", "what will happen, and when", cmd_plan },
	{ "history", "[-n N] [--json] [IDENTITY]", "what has happened", cmd_history },
	{ "abort", "[IDENTITY]", "give the rotation up, before the swap", cmd_abort },
	{ "rollback", "[IDENTITY]", "present the former key again, until HOLDING ends", cmd_rollback },
};
enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *to)
{
	(void)fprintf(to, "usage: tlsa-sync [-c FILE] [-s SOCKET] COMMAND ...\n"
	                  "       tlsa-sync [-c FILE] --check | --dump\n"
	                  "       tlsa-sync --version | --help\n\ncommands:\n");
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		(void)fprintf(to, "  %-8s %-31s %s\n", commands[i].name, commands[i].usage, commands[i].help);
	(void)fprintf(to, "\nOne configured identity need not be named. FILE is /etc/danegate/danegate.yaml unless\n"
	                  "given. Exit status: 0 done, 1 refused or failed, 2 usage or configuration, 3 no daemon.\n");
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

static int run_command(struct cmd *cmd)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++) {
		if (strcmp(commands[i].name, cmd->argv[0]) != 0)
			continue;
		optind = 0; /* a new scan, of the subcommand's own words */
		int status = commands[i].run(cmd);
		if (status == CMD_USAGE)
			(void)fprintf(stderr, "usage: tlsa-sync %s %s\n", commands[i].name, commands[i].usage);
		free(cmd->socket_found);
		return status == CMD_CONFIG ? CMD_USAGE : status;
	}
	(void)fprintf(stderr, "tlsa-sync: there is no command \"%s\"\n", cmd->argv[0]);
	usage(stderr);
	return CMD_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "socket", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'k' },        { "dump", no_argument, NULL, 'd' },
		{ "version", no_argument, NULL, 'v' },      { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct cmd cmd = { .config_path = "/etc/danegate/danegate.yaml" };
	int what = 0;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
	for (int o; (o = getopt_long(argc, argv, "+c:s:h", options, NULL)) != -1;) {
		if (o == 'c')
			cmd.config_path = optarg;
		else if (o == 's')
			cmd.socket = optarg;
		else if (o == '?')
			return CMD_USAGE;
		else
			what = o;
	}
	if (what == 'v') {
		(void)printf("tlsa-sync %s\n", DANEGATE_VERSION);
		return CMD_OK;
	}
	if (what == 'h' || (what == 0 && optind < argc && strcmp(argv[optind], "help") == 0)) {
		usage(stdout);
		return CMD_OK;
	}
	if (what != 0)
		return check(cmd.config_path, what == 'd');
	if (optind == argc) {
		usage(stderr);
		return CMD_USAGE;
	}
	cmd.argc = argc - optind;
	cmd.argv = argv + optind;
	return run_command(&cmd);
}

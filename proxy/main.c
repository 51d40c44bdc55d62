/* The command line of danegate(8). A worker is this same program, started by the
 * supervisor with --worker and its descriptors. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/load_fs.h"
#include "proxy/command_fs.h"
#include "proxy/dry_run_uv.h"
#include "proxy/router/router_uv.h"
#include "proxy/super/exits_state.h"
#include "proxy/super/supervisor_uv.h"
#include "proxy/worker/worker_uv.h"

static const char default_config[] = "/etc/danegate/danegate.yaml";

static const char usage[] =
	"usage: danegate [-c FILE] [--check | --dump | --version | --help]\n"
	"       danegate [-c FILE] [--json] COMMAND\n"
	"\n"
	"  -c, --config FILE   configuration (default /etc/danegate/danegate.yaml)\n"
	"      --check         check it and the files it names, print every error, and exit: 0 or 2\n"
	"      --probe         with --check: also open every next hop, and say what each mode would do now;\n"
	"                      exits with 1 if a connector has none that can be used\n"
	"      --dump          print the settings in force, defaults filled in\n"
	"      --version\n"
	"      --help\n"
	"      --json          with a command: for programs\n"
	"\n"
	"Without these it runs in the foreground, logs on standard error, reloads on SIGHUP\n"
	"and stops on SIGTERM. See danegate(8) and danegate.yaml(5).\n";

static struct config *load(const char *path, bool look)
{
	struct config *cfg = NULL;
	struct config_errors *errs = calloc(1, sizeof *errs);
	struct bytes text = { 0 };
	if (errs == NULL)
		return NULL;
	enum ec ec = look ? config_load(path, CONFIG_FOR_DANEGATE, &cfg, errs) : config_read(path, CONFIG_FOR_DANEGATE, &cfg, errs);
	if (ec != EC_OK && config_errors_text(errs, &text) == EC_OK)
		(void)fprintf(stderr, "%.*s", (int)bytes_len(&text), (const char *)bytes_slice(&text).p);
	bytes_fini(&text);
	free(errs);
	return cfg;
}

/* No error: the daemon goes on with it, and raises an alarm. */
static void warn_expired(void *arg, const struct config_connector *c, const char *words)
{
	const struct config *cfg = arg;
	(void)fprintf(stderr, "%s:%u:%u: connectors.until: warning: connector %s: %s; take the exception out, or put the day off\n",
	              cfg->file_name, c->until_mark.line, c->until_mark.col, c->name, words);
}

static int check(const char *path, bool dump, bool probe)
{
	struct config *cfg = load(path, !dump);
	if (cfg == NULL)
		return 2;
	if (!dump)
		exits_expired(cfg, (struct wall){ (int64_t)time(NULL) }, warn_expired, cfg);
	struct bytes text = { 0 };
	int status = 0;
	if (!dump && probe)
		status = dry_run(cfg, stdout);
	else if (!dump)
		(void)printf("%s: ok\n", path);
	else if (config_dump(cfg, &text) == EC_OK)
		(void)fwrite(bytes_slice(&text).p, 1, bytes_len(&text), stdout);
	else
		status = 1;
	bytes_fini(&text);
	config_free(cfg);
	return fflush(stdout) == 0 ? status : 1;
}

/* A worker keeps its own descriptors and nothing that a library of the supervisor
 * left open across exec. */
static int worker(const char *count, const char *slot)
{
	uint64_t num = 0, own = 0;
	if (parse_u64(slice_str(count), 64, &num) != EC_OK || parse_u64(slice_str(slot), UINT16_MAX, &own) != EC_OK) {
		(void)fputs("danegate: --worker is for the supervisor's use\n", stderr);
		return 2;
	}
	(void)close_range(WORKER_FD_LISTEN + (unsigned)num, ~0U, 0);
	return worker_run((int)num, (unsigned)own);
}

static int router(void)
{
	(void)close_range(ROUTER_FD_WIRE + 1, ~0U, 0);
	return router_run();
}

static int command(const char *path, int argc, char **argv, bool json)
{
	struct config *cfg = load(path, false);
	int status = cfg == NULL ? 2 : command_run(cfg, argc, argv, json);
	config_free(cfg);
	return status;
}

int main(int argc, char **argv)
{
	enum { OPT_CHECK = 256, OPT_DUMP, OPT_VERSION, OPT_WORKER, OPT_SLOT, OPT_ROUTER, OPT_PROBE };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, OPT_CHECK },
		{ "dump", no_argument, NULL, OPT_DUMP },    { "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },         { "worker", required_argument, NULL, OPT_WORKER },
		{ "foreground", no_argument, NULL, 'f' },   { "slot", required_argument, NULL, OPT_SLOT },
		{ "router", no_argument, NULL, OPT_ROUTER }, { "json", no_argument, NULL, 'j' },
		{ "probe", no_argument, NULL, OPT_PROBE },
		{ 0 },
	};
	const char *path = default_config, *worker_count = NULL, *slot = "0";
	int what = 0, option;
	bool json = false, probe = false;
	while ((option = getopt_long(argc, argv, "c:hf", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'f':
			break; /* it always runs in the foreground */
		case 'j':
			json = true;
			break;
		case OPT_PROBE:
			probe = true;
			break;
		case OPT_WORKER:
			worker_count = optarg;
			break;
		case OPT_SLOT:
			slot = optarg;
			break;
		case '?':
			(void)fputs(usage, stderr);
			return 2;
		default:
			what = option;
			break;
		}
	}
	if (worker_count != NULL)
		return worker(worker_count, slot);
	if (what == 0 && optind < argc && command_known(argv[optind]))
		return command(path, argc - optind, argv + optind, json);
	if (optind < argc) {
		(void)fprintf(stderr, "danegate: unexpected argument \"%s\"\n%s", argv[optind], usage);
		return 2;
	}
	switch (what) {
	case OPT_VERSION:
		return puts("danegate " DANEGATE_VERSION) >= 0 ? 0 : 1;
	case 'h':
		return printf("%s\nCommands to the daemon that runs:\n%s", usage, command_usage()) >= 0 ? 0 : 1;
	case OPT_ROUTER:
		return router();
	case OPT_CHECK:
	case OPT_DUMP:
		return check(path, what == OPT_DUMP, probe);
	default:
		return supervisor_run(path);
	}
}

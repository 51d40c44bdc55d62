#include "tlsa-sync/commands.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/request.h"

#define FOR(id) (1u << COMMAND_##id)
#define ALL (FOR(NUM) - 1)

#define EXITS "Exit status: 0 done, 1 refused or failed, 2 usage or configuration, 3 no daemon.\n"
#define EXITS_LOOK \
	"Without a daemon the journal is read, and every server and instance is asked once.\n" \
	"Exit status: 0 done, 1 failed, 2 usage or configuration, 3 neither daemon nor journal.\n"
#define WAITS \
	"With --wait each change is printed, with its reason, until all is done. Without a\n" \
	"daemon --wait does the work itself, in the foreground, holding the journal so that no\n" \
	"daemon can start meanwhile; it may be interrupted at any moment, and the next run, or\n" \
	"the daemon, goes on from there.\n"

const struct command_row command_rows[COMMAND_NUM] = {
	[COMMAND_RUN] = { "run", "the daemon, in the foreground",
	                  "Runs until SIGTERM or SIGINT; SIGHUP has the configuration read again.\n"
	                  "Exit status: 0 ended, 1 could not start, 2 usage or configuration.\n", false },
	[COMMAND_STATUS] = { "status", "where each roll stands, and what it waits for",
	                     "For each identity its state, since when, what it waits for, what comes next and when;\n"
	                     "alarms; each record, instance and name server. Colours on a terminal, unless NO_COLOR is set.\n"
	                     EXITS_LOOK, true },
	[COMMAND_EXPLAIN] = { "explain", "why it waits, on which facts, and what senders see now",
	                      "For each server and each instance what is known of it and what it holds up; and for each\n"
	                      "key that is presented whether a sender finds its record, on each server and in any cache.\n"
	                      EXITS_LOOK, true },
	[COMMAND_PLAN] = { "plan", "what will happen, and when",
	                   "Dates are estimates: everything is taken to answer at once. Nothing is changed.\n"
	                   "With --emergency: what `rotate --emergency` would leave exposed, or what senders would see.\n"
	                   EXITS_LOOK, true },
	[COMMAND_HISTORY] = { "history", "what has happened",
	                      "Lines of the journal, the oldest first.\n"
	                      "Exit status: 0 done, 1 failed, 2 usage or configuration, 3 neither daemon nor journal.\n", true },
	[COMMAND_ROTATE] = { "rotate", "roll to the next key as soon as it has aged",
	                     WAITS
	                     "With --emergency the key in use may be known to others: the next key is presented at once\n"
	                     "if it has aged, and the old record is withdrawn without HOLDING. If it has not aged, some\n"
	                     "senders will defer mail for a while: then it says who and how long, and asks; where there\n"
	                     "is no terminal to ask on, it is refused unless --force is given.\n"
	                     EXITS "With --wait, 1 also when the roll was aborted or rolled back.\n", true },
	[COMMAND_ROLLBACK] = { "rollback", "present the former key again, until HOLDING ends",
	                       "Works at once, for the former record is still in every cache.\n" WAITS EXITS, true },
	[COMMAND_ABORT] = { "abort", "give the rotation up, before the swap",
	                    "A next key that has not aged is withdrawn, and a fresh one made.\n" EXITS, true },
	[COMMAND_DISABLE] = { "disable", "withdraw all records, in time order",
	                      "The records are taken out of DNS; once no cache can hold them, status says DISABLED, and\n"
	                      "keys and certificates may be changed by hand. Until then the pinned key must be presented.\n"
	                      WAITS EXITS, true },
	[COMMAND_ENABLE] = { "enable", "publish again after disable",
	                     "As a first publication: records first, and the wait before anything is rolled.\n" WAITS EXITS, true },
	[COMMAND_RENEW] = { "renew", "another certificate for the same key, now",
	                    "The issuer's command is run, or danegate signs anew; no key changes, and DNS is not touched. Not\n"
	                    "for issuer files. Asked again meanwhile it is the same renewal.\n" WAITS EXITS, true },
	[COMMAND_CHECK_PUBLISHER] = { "check-publisher", "could DNS be changed? Tries all but the change",
	                              "Finds the zone, asks each danegate what is to be published, and has the publisher go through\n"
	                              "the motions: key, clock and rights at the primary, the command's dry run, or what the file\n"
	                              "would gain and lose. Needs no daemon, and does not disturb one.\n"
	                              "Exit status: 0 a change would be accepted, 1 not, 2 usage or configuration.\n", true },
};

/* --help stands last, so that it ends each list. */
const struct command_option command_options[] = {
	{ "--json", NULL, NULL, "for programs", FOR(STATUS) | FOR(EXPLAIN) | FOR(PLAN) | FOR(HISTORY) },
	{ "--watch", NULL, NULL, "show it anew every second", FOR(STATUS) },
	{ "--rotate", NULL, NULL, "what a rotation asked for now would do", FOR(PLAN) },
	{ "--lines", "-n", "NUMBER", "how many lines, 20 unless told", FOR(HISTORY) },
	{ "--wait", NULL, NULL, "print each change until it is done", FOR(ROTATE) | FOR(ROLLBACK) | FOR(DISABLE) | FOR(ENABLE) | FOR(RENEW) },
	{ "--emergency", NULL, NULL, "the key in use may be known to others", FOR(ROTATE) | FOR(PLAN) },
	{ "--force", NULL, NULL, "though senders will notice, and without being asked", FOR(ROTATE) },
	{ "--help", "-h", NULL, "this page", ALL },
};
const unsigned command_num_options = sizeof command_options / sizeof command_options[0];

const struct command_option command_globals[] = {
	{ "--config", "-c", "FILE", "the configuration", 0 },
	{ "--socket", "-s", "SOCKET", "the daemon's control socket; no configuration is read then", 0 },
	{ "--check", NULL, NULL, "check the configuration and the files it names", 0 },
	{ "--dump", NULL, NULL, "print every setting with its value", 0 },
	{ "--completion", NULL, "SHELL", "print the completion script for bash or zsh", 0 },
	{ "--version", NULL, NULL, "print the version", 0 },
	{ "--help", "-h", NULL, "the list of commands", 0 },
};
const unsigned command_num_globals = sizeof command_globals / sizeof command_globals[0];

bool command_find(const char *name, enum command_id *out)
{
	for (int i = 0; i < COMMAND_NUM; i++) {
		if (strcmp(command_rows[i].name, name) != 0)
			continue;
		*out = (enum command_id)i;
		return true;
	}
	return false;
}

/* ---- parsing ---- */

/* Which member an option sets: a flag, or for one with an argument the text. */
struct target {
	const char *name;
	bool *flag;
	const char **text;
};

/* match finds the option that `word` is, among those of `commands` (0: all); `*value` is
 * what hangs on it ("=5", "-n5"). */
static const struct command_option *match(const struct command_option *options, unsigned num, unsigned commands,
                                          const char *word, const char **value)
{
	*value = NULL;
	for (unsigned i = 0; i < num; i++) {
		const struct command_option *o = &options[i];
		if (commands != 0 && (o->commands & commands) == 0)
			continue;
		size_t len = strlen(o->name);
		if (strncmp(word, o->name, len) == 0 && (word[len] == '\0' || word[len] == '=')) {
			*value = word[len] == '=' ? word + len + 1 : NULL;
			return o;
		}
		if (o->letter != NULL && strncmp(word, o->letter, 2) == 0 && (word[2] == '\0' || o->argument != NULL)) {
			*value = word[2] != '\0' ? word + 2 : NULL;
			return o;
		}
	}
	return NULL;
}

/* take sets what option `o`, at argv[*at], is for. */
static enum ec take(const struct command_option *o, const char *value, int argc, char *const *argv, int *at,
                    const struct target *targets, size_t num, struct why *why)
{
	for (size_t i = 0; i < num; i++) {
		if (strcmp(targets[i].name, o->name) != 0)
			continue;
		if (o->argument == NULL && value != NULL)
			return why_set(why, EC_SYNTAX, "%s takes no argument", o->name);
		if (o->argument != NULL && value == NULL && ++*at < argc)
			value = argv[*at];
		if (o->argument != NULL && value == NULL)
			return why_set(why, EC_MISSING, "%s needs a %s", o->name, o->argument);
		if (o->argument == NULL)
			*targets[i].flag = true;
		else
			*targets[i].text = value;
		return EC_OK;
	}
	return why_set(why, EC_UNSUPPORTED, "%s is in the table and nobody reads it", o->name);
}

/* The one option with an argument is a number of lines. */
static enum ec take_lines(const char *text, struct options *out, struct why *why)
{
	uint64_t n = 0;
	enum ec ec = parse_u64(slice_str(text), REQUEST_LINES_MAX, &n);
	if (ec != EC_OK || n == 0)
		return why_set(why, ec == EC_SYNTAX ? ec : EC_RANGE, "--lines takes a number from 1 to %d, not \"%.40s\"",
		               REQUEST_LINES_MAX, text);
	out->lines = (unsigned)n;
	return EC_OK;
}

static enum ec take_option(enum command_id id, int argc, char *const *argv, int *at, struct options *out, struct why *why)
{
	const char *value;
	const char *lines = NULL;
	const struct target targets[] = {
		{ "--json", &out->json, NULL },           { "--watch", &out->watch, NULL }, { "--rotate", &out->rotate, NULL },
		{ "--wait", &out->wait, NULL },           { "--force", &out->force, NULL }, { "--help", &out->help, NULL },
		{ "--emergency", &out->emergency, NULL }, { "--lines", NULL, &lines },
	};
	const struct command_option *o = match(command_options, command_num_options, 1u << id, argv[*at], &value);
	if (o == NULL)
		return why_set(why, EC_UNKNOWN_KEY, "%s has no option \"%.60s\"", command_rows[id].name, argv[*at]);
	enum ec ec = take(o, value, argc, argv, at, targets, sizeof targets / sizeof targets[0], why);
	return ec == EC_OK && lines != NULL ? take_lines(lines, out, why) : ec;
}

enum ec command_parse_globals(int argc, char *const *argv, struct globals *out, int *out_used, struct why *why)
{
	*out = (struct globals){ 0 };
	const struct target targets[] = {
		{ "--config", NULL, &out->config }, { "--socket", NULL, &out->socket }, { "--completion", NULL, &out->completion },
		{ "--check", &out->check, NULL },   { "--dump", &out->dump, NULL },     { "--version", &out->version, NULL },
		{ "--help", &out->help, NULL },
	};
	int i = 0;
	for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		const char *value;
		const struct command_option *o = match(command_globals, command_num_globals, 0, argv[i], &value);
		if (o == NULL)
			return why_set(why, EC_UNKNOWN_KEY, "there is no option \"%.60s\"", argv[i]);
		enum ec ec = take(o, value, argc, argv, &i, targets, sizeof targets / sizeof targets[0], why);
		if (ec != EC_OK)
			return ec;
	}
	*out_used = i;
	return EC_OK;
}

enum ec command_parse(enum command_id id, int argc, char *const *argv, struct options *out, struct why *why)
{
	*out = (struct options){ .lines = REQUEST_LINES };
	bool operands = false;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (!operands && strcmp(word, "--") == 0) {
			operands = true;
			continue;
		}
		if (!operands && word[0] == '-' && word[1] != '\0') {
			enum ec ec = take_option(id, argc, argv, &i, out, why);
			if (ec != EC_OK)
				return ec;
			continue;
		}
		if (!command_rows[id].identity)
			return why_set(why, EC_UNKNOWN_KEY, "%s takes no \"%.60s\"", command_rows[id].name, word);
		if (out->identity != NULL)
			return why_set(why, EC_DUPLICATE, "one identity at a time; what is \"%.60s\"?", word);
		out->identity = word;
	}
	if (out->force && !out->emergency && !out->help)
		return why_set(why, EC_MISSING, "--force goes with --emergency");
	if (out->rotate && out->emergency)
		return why_set(why, EC_DUPLICATE, "--rotate and --emergency: one of them");
	return EC_OK;
}

/* ---- help ---- */

static enum ec add(struct bytes *out, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result));
static enum ec add(struct bytes *out, const char *format, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= sizeof text ? EC_NO_SPACE : bytes_append(out, slice_of(text, (size_t)n));
}

enum ec command_synopsis(enum command_id id, struct bytes *out)
{
	enum ec ec = add(out, "%s", command_rows[id].name);
	for (unsigned i = 0; ec == EC_OK && i < command_num_options; i++) {
		const struct command_option *o = &command_options[i];
		if ((o->commands & (1u << id)) == 0 || strcmp(o->name, "--help") == 0)
			continue;
		ec = o->argument != NULL ? add(out, " [%s %s]", o->letter, o->argument) : add(out, " [%s]", o->name);
	}
	return ec == EC_OK && command_rows[id].identity ? add(out, " [IDENTITY]") : ec;
}

static enum ec add_option(const struct command_option *o, struct bytes *out)
{
	char left[64];
	(void)snprintf(left, sizeof left, "%s%s%s%s%s", o->letter != NULL ? o->letter : "", o->letter != NULL ? ", " : "", o->name,
	               o->argument != NULL ? " " : "", o->argument != NULL ? o->argument : "");
	return add(out, "  %-20s %s\n", left, o->help);
}

enum ec command_help(enum command_id id, struct bytes *out)
{
	enum ec ec = add(out, "usage: tlsa-sync ");
	if (ec == EC_OK)
		ec = command_synopsis(id, out);
	if (ec == EC_OK)
		ec = add(out, "\n\n%s: %s.\n%s\n", command_rows[id].name, command_rows[id].help, command_rows[id].more);
	for (unsigned i = 0; ec == EC_OK && i < command_num_options; i++)
		if ((command_options[i].commands & (1u << id)) != 0)
			ec = add_option(&command_options[i], out);
	if (ec == EC_OK && command_rows[id].identity)
		ec = add(out, "\nIDENTITY is an MX host name of the configuration; where there is one it need not be named.\n");
	return ec;
}

enum ec command_usage(struct bytes *out)
{
	enum ec ec = add(out, "usage: tlsa-sync [-c FILE] [-s SOCKET] COMMAND ...\n"
	                      "       tlsa-sync COMMAND --help\n"
	                      "       tlsa-sync [-c FILE] --check | --dump\n"
	                      "       tlsa-sync --version | --help | --completion bash|zsh\n\ncommands:\n");
	for (int i = 0; ec == EC_OK && i < COMMAND_NUM; i++)
		ec = add(out, "  %-15s  %s\n", command_rows[i].name, command_rows[i].help);
	return ec != EC_OK ? ec
	                   : add(out, "\nFILE is /etc/danegate/danegate.yaml unless given. Exit status: 0 done, 1 refused or\n"
	                              "failed, 2 usage or configuration, 3 no daemon.\n");
}

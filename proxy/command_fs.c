#include "proxy/command_fs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ask_fs.h"

enum { PATIENCE_MS = 15000 };

static const char usage[] =
	"  report              transactions by connector and domain, the weakest link first\n"
	"  connectors          where mail goes on, and whether it is up\n"
	"  drain HOP           open no more connections to a next hop; those open go on\n"
	"  undrain HOP         use it again\n";

/* The stats socket answers with text, the control socket with one line of JSON. */
static const struct {
	const char *word;
	const char *question; /* of the stats socket; NULL: a control command with the word and a hop */
} commands[] = {
	{ "report", "show report" },
	{ "connectors", "show connectors" },
	{ "drain", NULL },
	{ "undrain", NULL },
};

static size_t find(const char *word)
{
	size_t i = 0;
	while (i < sizeof commands / sizeof *commands && strcmp(commands[i].word, word) != 0)
		i++;
	return i;
}

bool command_known(const char *word)
{
	return find(word) < sizeof commands / sizeof *commands;
}

const char *command_usage(void)
{
	return usage;
}

static int failed(const struct why *why)
{
	(void)fprintf(stderr, "danegate: %s\n", why->text);
	return 1;
}

static int show(const struct config *cfg, const char *question, bool json)
{
	char line[64];
	struct bytes answer = { 0 };
	struct why why = { 0 };
	(void)snprintf(line, sizeof line, "%s%s", json ? "json " : "", question);
	enum ec ec = ask_socket(cfg->proxy.stats_socket, slice_str(line), false, PATIENCE_MS, &answer, &why);
	int status = ec == EC_OK ? 0 : failed(&why);
	struct slice text = bytes_slice(&answer);
	if (status == 0 && fwrite(text.p, 1, text.len, stdout) != text.len)
		status = 1;
	bytes_fini(&answer);
	return fflush(stdout) == 0 ? status : 1;
}

static int print_drained(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "drained");
	const char *why = json_string_value(json_object_get(answer, "why"));
	if (!json_is_true(json_object_get(answer, "ok"))) {
		(void)fprintf(stderr, "danegate: %s\n", why == NULL ? "not understood" : why);
		return 1;
	}
	for (size_t i = 0; i < json_array_size(list); i++)
		(void)printf("drained: %s\n", json_string_value(json_array_get(list, i)));
	if (json_array_size(list) == 0)
		(void)puts("no next hop is drained");
	return fflush(stdout) == 0 ? 0 : 1;
}

static int set_hop(const struct config *cfg, const char *word, const char *hop)
{
	json_t *question = json_pack("{s:s, s:s}", "do", word, "hop", hop);
	char *line = question == NULL ? NULL : json_dumps(question, JSON_COMPACT);
	struct bytes answer = { 0 };
	struct why why = { 0 };
	json_decref(question);
	if (line == NULL) {
		(void)fprintf(stderr, "danegate: \"%s\" is not a next hop\n", hop);
		return 2;
	}
	enum ec ec = ask_socket(cfg->proxy.control_socket, slice_str(line), true, PATIENCE_MS, &answer, &why);
	free(line);
	int status = 1;
	if (ec == EC_OK) {
		json_t *said = json_loadb((const char *)bytes_slice(&answer).p, bytes_len(&answer), 0, NULL);
		status = print_drained(said);
		json_decref(said);
	} else {
		status = failed(&why);
	}
	bytes_fini(&answer);
	return status;
}

int command_run(const struct config *cfg, int argc, char **argv, bool json)
{
	size_t i = find(argv[0]);
	int wanted = commands[i].question != NULL ? 1 : 2;
	if (argc != wanted) {
		(void)fprintf(stderr, "danegate: %s takes %s\n%s", argv[0], wanted == 1 ? "no argument" : "one argument, a next hop", usage);
		return 2;
	}
	return wanted == 1 ? show(cfg, commands[i].question, json) : set_hop(cfg, argv[0], argv[1]);
}

/* The publishers that run commands and write files, with real ones; rfc2136 has its
 * tests in tests/unit/dns and tests/e2e. */
#include "tlsa-sync/publish_uv.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[] = "/tmp/danegate-publish-XXXXXX";

struct seen {
	int calls;
	enum outcome outcome;
	char words[WHY_SIZE];
	char more[4096];
};

static void on_done(void *arg, const struct publish_result *r)
{
	struct seen *s = arg;
	s->calls++;
	s->outcome = r->outcome;
	(void)snprintf(s->words, sizeof s->words, "%s", r->words);
	(void)snprintf(s->more, sizeof s->more, "%.*s", (int)r->more.len, r->more.p == NULL ? "" : (const char *)r->more.p);
}

static struct tlsa_set set_of(const char *octets)
{
	struct tlsa_set set = { 0 };
	for (; *octets != '\0'; octets++) {
		uint8_t digest[32];
		memset(digest, *octets, sizeof digest);
		struct tlsa t = tlsa_311(digest);
		assert_int_equal(tlsa_set_add(&set, &t), EC_OK);
	}
	return set;
}

/* mx1.example.org is an alias into another zone: the records are there. */
static const struct zone_map *map(void)
{
	static struct zone_map m = { .num_hops = 2, .num_zones = 2 };
	m.hops[1].zone = 1;
	assert_int_equal(dns_name_parse(SLICE_LIT("_25._tcp.mx1.example.org"), &m.hops[0].owner, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("pins.example.net"), &m.hops[1].owner, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("example.org"), &m.zones[0].apex, NULL), EC_OK);
	assert_int_equal(dns_name_parse(SLICE_LIT("example.net"), &m.zones[1].apex, NULL), EC_OK);
	return &m;
}

static struct config *parse(const char *text)
{
	struct config *cfg = NULL;
	static struct config_errors errs;
	errs = (struct config_errors){ 0 };
	if (config_parse(slice_str(text), "test", &cfg, &errs) != EC_OK)
		fail_msg("%s", errs.items[0]);
	return cfg;
}

/* One change with a publisher of its own. `ec`: what the call itself returned. */
static struct seen change(struct config *cfg, bool rehearse, const char *adds, const char *deletes, const char *wanted,
                          enum ec *ec)
{
	struct seen s = { 0 };
	struct why why = { 0 };
	struct publisher *p = NULL;
	struct publisher_call *call = NULL;
	struct publish_change c = { "MX1.example.org", map(), 60, set_of(adds), set_of(deletes), set_of(wanted) };
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(publisher_new(&loop, cfg, &p, &why), EC_OK);
	*ec = rehearse ? publisher_rehearse(p, &c, on_done, &s, &call, &why) : publisher_send(p, &c, on_done, &s, &call, &why);
	assert_int_equal(s.calls, 0);
	assert_true((*ec == EC_OK) == (call != NULL));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(s.calls, *ec == EC_OK ? 1 : 0);
	if (*ec != EC_OK)
		(void)snprintf(s.words, sizeof s.words, "%s", why.text);
	publisher_free(p);
	assert_int_equal(uv_loop_close(&loop), 0);
	return s;
}

/* --- exec --- */

static struct config *exec_config(const char *script, const char *timeout)
{
	char text[1000]; /* in single quotes, so that the shell gets what the table says */
	(void)snprintf(text, sizeof text,
	               "tlsa_sync: {publisher: exec, exec: {command: [/bin/sh, -c, '%s'], timeout: %s}}\n", script, timeout);
	return parse(text);
}

static void a_command_is_asked(void **state)
{
	(void)state;
	static const struct {
		const char *name, *script;
		bool rehearse;
		enum outcome outcome;
		const char *words; /* part of them */
	} cases[] = {
		{ "ok", "cat >/dev/null; echo {\\\"ok\\\":true}", false, OUTCOME_OK, "" },
		{ "gets the change", "grep -q \\\"owner\\\":\\\"pins.example.net.\\\" && echo {\\\"ok\\\":true}", false, OUTCOME_OK, "" },
		{ "knows a dry run", "grep -q \\\"dry_run\\\":true && echo {\\\"ok\\\":true}", true, OUTCOME_OK, "/bin/sh has no objection" },
		{ "no dry run", "grep -q \\\"dry_run\\\":false && echo {\\\"ok\\\":true}", false, OUTCOME_OK, "" },
		{ "refuses", "echo {\\\"ok\\\":false,\\\"applied\\\":false,\\\"why\\\":\\\"no zone\\\"}; exit 1", false, OUTCOME_FAILED,
		  "/bin/sh: no zone" },
		{ "refuses, maybe done", "echo {\\\"ok\\\":false,\\\"why\\\":\\\"half\\\"}; exit 1", false, OUTCOME_UNKNOWN,
		  "may have been made: /bin/sh: half" },
		{ "refuses a dry run", "echo {\\\"ok\\\":false,\\\"why\\\":\\\"wrong key\\\"}; exit 1", true, OUTCOME_FAILED, "/bin/sh: wrong key" },
		{ "fails", "echo broken >&2; exit 3", false, OUTCOME_UNKNOWN, "may have been made: /bin/sh exited with status 3: broken" },
		{ "fails dry", "echo broken >&2; exit 3", true, OUTCOME_FAILED, "/bin/sh exited with status 3: broken" },
		{ "says nothing", "exit 0", false, OUTCOME_UNKNOWN, "no answer" },
		{ "rubbish", "echo done", false, OUTCOME_UNKNOWN, "no JSON" },
		{ "ok, then dies", "echo {\\\"ok\\\":true}; kill -9 $$", false, OUTCOME_UNKNOWN, "signal 9" },
		{ "ok, then hangs", "echo {\\\"ok\\\":true}; sleep 60", false, OUTCOME_UNKNOWN, "had not finished after 500 ms" },
		{ "talks for ever", "while :; do echo {\\\"ok\\\":true}; done", false, OUTCOME_UNKNOWN, "more than 65536 octets" },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct config *cfg = exec_config(cases[i].script, strstr(cases[i].words, "500 ms") != NULL ? "500ms" : "60s");
		enum ec ec;
		struct seen s = change(cfg, cases[i].rehearse, "a", "b", "a", &ec);
		assert_int_equal(ec, EC_OK);
		if (s.outcome != cases[i].outcome || strstr(s.words, cases[i].words) == NULL)
			fail_msg("%s: %d: %s", cases[i].name, s.outcome, s.words);
		config_free(cfg);
	}
}

static void a_command_that_is_not_there_changes_nothing(void **state)
{
	(void)state;
	struct config *cfg = parse("tlsa_sync: {publisher: exec, exec: {command: [/no/such/program]}}\n");
	enum ec ec;
	struct seen s = change(cfg, false, "a", "", "a", &ec);
	assert_int_equal(ec, EC_NOT_FOUND);
	assert_non_null(strstr(s.words, "/no/such/program"));
	config_free(cfg);
}

/* --- zonefile --- */

static const char *path_of(const char *name)
{
	static char path[200];
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void write_text(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static char *read_text(const char *name)
{
	static char text[8192];
	FILE *f = fopen(path_of(name), "r");
	size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

/* Which of the records a, b, c are in the file. */
static const char *held(void)
{
	static char letters[8];
	size_t n = 0;
	for (char c = 'a'; c <= 'c'; c++) {
		char line[200];
		size_t len = (size_t)snprintf(line, sizeof line, "pins.example.net. 60 IN TLSA 3 1 1 ");
		for (int i = 0; i < 32; i++)
			len += (size_t)snprintf(line + len, sizeof line - len, "%02x", c);
		if (strstr(read_text("mx1.example.org.tlsa"), line) != NULL)
			letters[n++] = c;
	}
	letters[n] = '\0';
	return letters;
}

static struct config *zonefile_config(const char *reload)
{
	char text[1000];
	(void)snprintf(text, sizeof text, "tlsa_sync: {publisher: zonefile, zonefile: {directory: %s, %s}}\n", dir, reload);
	return parse(text);
}

#define FILE_NAME "mx1.example.org.tlsa"

static void a_file_is_written_and_the_command_run(void **state)
{
	(void)state;
	char reload[600];
	(void)snprintf(reload, sizeof reload,
	               "reload: [/bin/sh, -c, 'echo \"$TLSA_SYNC_ZONE $TLSA_SYNC_OWNER $TLSA_SYNC_FILE\" >>%s/reloads']", dir);
	struct config *cfg = zonefile_config(reload);
	static const struct {
		const char *name, *adds, *deletes, *wanted, *held;
	} steps[] = {
		{ "first", "ab", "", "ab", "ab" },
		{ "again: the same", "ab", "", "ab", "ab" },
		{ "one more", "abc", "", "abc", "abc" },
		{ "nothing goes unless told", "a", "", "a", "abc" },
		{ "one less", "", "a", "bc", "bc" },
		{ "it is not wanted back in the same change", "", "c", "bc", "b" },
		{ "all go", "", "ab", "", "" },
	};
	unlink(path_of(FILE_NAME));
	for (size_t i = 0; i < NUM(steps); i++) {
		enum ec ec;
		struct seen s = change(cfg, false, steps[i].adds, steps[i].deletes, steps[i].wanted, &ec);
		assert_int_equal(ec, EC_OK);
		if (s.outcome != OUTCOME_OK || strcmp(held(), steps[i].held) != 0)
			fail_msg("%s: %d %s: %s", steps[i].name, s.outcome, s.words, held());
	}
	struct stat st;
	assert_int_equal(stat(path_of(FILE_NAME), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644); /* the name server reads it */
	/* The command ran every time, also where the file stayed as it was. */
	char want[400];
	(void)snprintf(want, sizeof want, "example.net pins.example.net %s/" FILE_NAME "\n", dir);
	size_t runs = 0;
	for (const char *p = read_text("reloads"); strncmp(p, want, strlen(want)) == 0; p += strlen(want))
		runs++;
	assert_int_equal(runs, NUM(steps));
	config_free(cfg);
}

static void a_lost_file_comes_back_whole(void **state)
{
	(void)state;
	struct config *cfg = zonefile_config("reload: []");
	enum ec ec;
	unlink(path_of(FILE_NAME));
	struct seen s = change(cfg, false, "", "a", "bc", &ec);
	assert_int_equal(s.outcome, OUTCOME_OK);
	assert_string_equal(held(), "bc");
	/* An empty one may be taken too, and keeps its mode. */
	write_text(FILE_NAME, "");
	assert_int_equal(chmod(path_of(FILE_NAME), 0640), 0);
	(void)change(cfg, false, "a", "", "a", &ec);
	assert_string_equal(held(), "a");
	struct stat st;
	assert_int_equal(stat(path_of(FILE_NAME), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	config_free(cfg);
}

static void what_others_wrote_stays(void **state)
{
	(void)state;
	struct config *cfg = zonefile_config("reload: []");
	static const char *const others[] = { "mx2 A 192.0.2.1\n", "ours, and a line more", "\n" };
	for (size_t i = 0; i < NUM(others); i++) {
		enum ec ec;
		char before[8192];
		unlink(path_of(FILE_NAME));
		if (i == 1) {
			(void)change(cfg, false, "a", "", "a", &ec);
			(void)snprintf(before, sizeof before, "%smx3 A 192.0.2.3\n", read_text(FILE_NAME));
		} else {
			(void)snprintf(before, sizeof before, "%s", others[i]);
		}
		write_text(FILE_NAME, before);
		for (int rehearse = 0; rehearse < 2; rehearse++) {
			struct seen s = change(cfg, rehearse == 1, "b", "", "ab", &ec);
			assert_int_equal(ec, i == 1 ? EC_CORRUPT : EC_EXISTS);
			assert_non_null(strstr(s.words, path_of(FILE_NAME)));
			assert_string_equal(read_text(FILE_NAME), before);
		}
	}
	/* A symbolic link is not followed, whatever it leads to. */
	enum ec ec;
	unlink(path_of(FILE_NAME));
	write_text("target", "");
	char target[200];
	(void)snprintf(target, sizeof target, "%s", path_of("target"));
	assert_int_equal(symlink(target, path_of(FILE_NAME)), 0);
	(void)change(cfg, false, "a", "", "a", &ec);
	assert_int_not_equal(ec, EC_OK);
	assert_string_equal(read_text("target"), "");
	unlink(path_of(FILE_NAME));
	config_free(cfg);
}

static void a_rehearsal_shows_the_difference(void **state)
{
	(void)state;
	char reload[300];
	(void)snprintf(reload, sizeof reload, "reload: [/bin/sh, -c, 'touch %s/touched']", dir);
	struct config *cfg = zonefile_config("reload: []"), *touching = zonefile_config(reload);
	enum ec ec;
	unlink(path_of(FILE_NAME));
	(void)change(cfg, false, "ab", "", "ab", &ec);
	struct seen s = change(touching, true, "", "a", "bc", &ec);
	assert_int_equal(s.outcome, OUTCOME_OK);
	assert_non_null(strstr(s.words, "hold 2 records, 2 now"));
	assert_int_equal(s.more[0], '-');
	assert_non_null(strstr(s.more, "TLSA 3 1 1 6161"));
	assert_non_null(strstr(s.more, "\n+ pins.example.net. 60 IN TLSA 3 1 1 6363"));
	assert_string_equal(held(), "ab");
	s = change(touching, true, "", "", "ab", &ec);
	assert_non_null(strstr(s.words, "all records"));
	assert_string_equal(s.more, "");
	assert_int_not_equal(access(path_of("touched"), F_OK), 0);
	config_free(cfg);
	config_free(touching);
}

/* The file is written, so what becomes of it is for the servers to say. */
static void a_failed_reload_leaves_it_open(void **state)
{
	(void)state;
	struct config *cfg = zonefile_config("reload: [/bin/sh, -c, 'echo zone is frozen >&2; exit 1']");
	enum ec ec;
	unlink(path_of(FILE_NAME));
	struct seen s = change(cfg, false, "a", "", "a", &ec);
	assert_int_equal(s.outcome, OUTCOME_UNKNOWN);
	assert_non_null(strstr(s.words, "status 1: zone is frozen"));
	assert_string_equal(held(), "a");
	config_free(cfg);
	cfg = zonefile_config("reload: [/no/such/program]");
	s = change(cfg, false, "b", "", "ab", &ec);
	assert_int_equal(s.outcome, OUTCOME_UNKNOWN);
	assert_non_null(strstr(s.words, "/no/such/program"));
	assert_string_equal(held(), "ab");
	config_free(cfg);
}

static void without_room_nothing_is_changed(void **state)
{
	(void)state;
	struct config *cfg = zonefile_config("reload: []");
	enum ec ec;
	unlink(path_of(FILE_NAME));
	(void)change(cfg, false, "a", "", "a", &ec);
	/* A directory in the place of the temporary file stands for a full disk. */
	assert_int_equal(mkdir(path_of(".tlsa-sync-new"), 0700), 0);
	struct seen s = change(cfg, false, "b", "", "ab", &ec);
	assert_int_not_equal(ec, EC_OK);
	assert_non_null(strstr(s.words, FILE_NAME));
	assert_string_equal(held(), "a");
	assert_int_equal(rmdir(path_of(".tlsa-sync-new")), 0);
	config_free(cfg);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
	(void)state;
	static const char *const names[] = { FILE_NAME, "reloads", "target" };
	for (size_t i = 0; i < NUM(names); i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_asked),
		cmocka_unit_test(a_command_that_is_not_there_changes_nothing),
		cmocka_unit_test(a_file_is_written_and_the_command_run),
		cmocka_unit_test(a_lost_file_comes_back_whole),
		cmocka_unit_test(what_others_wrote_stays),
		cmocka_unit_test(a_rehearsal_shows_the_difference),
		cmocka_unit_test(a_failed_reload_leaves_it_open),
		cmocka_unit_test(without_room_nothing_is_changed),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

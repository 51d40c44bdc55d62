/* The journal: what goes in comes out; what can't be stored changes nothing; what
 * was acknowledged survives kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "tlsa-sync/journal_db.h"
#include "tlsa-sync/journal_tables.h"

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/danegate-journal-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/journal.db", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* A journal in the midst of a roll, with a bit of everything in it. */
static void busy(struct fix *x)
{
	struct why why;
	assert_true(fix_steady(x));
	assert_int_equal(rollover_request(x->f, &x->p, RQ_ROTATE, fix_now(x), &why), EC_OK);
	assert_true(fix_until(x, RO_RETIRING, RA_UPDATE, 200));
	facts_update_sent(x->f, &x->d.adds, &x->d.deletes, 3600, fix_now(x));
	facts_update_done(x->f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(x));
	facts_silence(x->f, 1, "SERVFAIL", fix_now(x));
	facts_instance_failed(x->f, 1, "it's \"down\"; DROP TABLE key", fix_now(x));
	struct tlsa odd = { .usage = 2, .selector = 0, .matching = 0, .len = 900, .rest = UINT64_MAX, .data = { 1, 2 } };
	assert_int_equal(tlsa_set_add(&x->served[2], &odd), EC_OK);
	fix_answer(x, 2);
	x->f->withdrawn[x->f->num_withdrawn++] = (struct fact_withdrawn){ 1, 12, fix_now(x) };
	x->f->renewals[x->f->num_renewals++] = (struct fact_renewal){ { 1, 2, 3 }, fix_now(x) };
	(void)rollover_show(x->f, &x->d, fix_now(x));
}

static void what_goes_in_comes_out(void **state)
{
	(void)state;
	struct fix x;
	struct why why = { 0 };
	busy(&x);
	struct journal *j = NULL;
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(journal_store(j, x.f, "noted", "words", fix_now(&x), &why), EC_OK);
	struct facts *back = facts_new(x.f->identity);
	assert_int_equal(journal_load(j, back, &why), EC_OK);
	/* all of it: the whole struct, text buffers zeroed behind their ends */
	struct decision a, b;
	rollover_decide(x.f, &x.p, fix_now(&x), &a);
	rollover_decide(back, &x.p, fix_now(&x), &b);
	assert_memory_equal(&a, &b, sizeof a);
	json_t *ja = rollover_json(x.f, &x.p, &a, fix_now(&x)), *jb = rollover_json(back, &x.p, &b, fix_now(&x));
	assert_int_equal(json_equal(ja, jb), 1);
	json_decref(ja);
	json_decref(jb);
	assert_int_equal(back->num_agrees, x.f->num_agrees);
	assert_memory_equal(back->agrees, x.f->agrees, sizeof x.f->agrees[0] * x.f->num_agrees);
	assert_int_equal(back->num_withdrawn, 1);
	assert_int_equal(back->num_renewals, 1);
	assert_true(tlsa_set_eq(&back->update.deletes, &x.f->update.deletes));
	assert_true(tlsa_set_eq(&back->servers[2].set, &x.f->servers[2].set));
	/* every column of every table, by the table of tables itself */
	for (size_t t = 0; t < NUM_TABLES; t++)
		for (size_t c = 0; c < journal_tables[t].num_columns; c++) {
			const struct column *col = &journal_tables[t].columns[c];
			const char *p = (const char *)x.f + journal_tables[t].offset + col->offset;
			const char *q = (const char *)back + journal_tables[t].offset + col->offset;
			size_t len = col->type == COL_TEXT ? strlen(p) + 1 : col->type == COL_DIGEST ? 32 : col->type == COL_I64 ? 8 : 1;
			if (col->type != COL_SET && memcmp(p, q, len) != 0)
				fail_msg("%s.%s", journal_tables[t].name, col->name);
		}
	/* and it replaces, not adds */
	assert_int_equal(journal_store(j, x.f, NULL, NULL, fix_now(&x), &why), EC_OK);
	assert_int_equal(journal_load(j, back, &why), EC_OK);
	assert_int_equal(back->num_keys, x.f->num_keys);
	/* another identity is not touched */
	struct facts *other = facts_new("mx2.example.org");
	assert_int_equal(journal_load(j, other, &why), EC_OK);
	assert_int_equal(other->num_keys, 0);
	journal_close(j);
	free(other);
	free(back);
	free(x.f);
}

static void history(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct why why = { 0 };
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	for (int i = 0; i < 5; i++) {
		char words[16];
		(void)snprintf(words, sizeof words, "n%d", i);
		struct stamp now = { { 1000 + i }, 1 };
		assert_int_equal(journal_event(j, i == 2 ? "b" : "a", "event", words, now, &why), EC_OK);
	}
	json_t *list = NULL;
	assert_int_equal(journal_history(j, "a", 3, &list, &why), EC_OK);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "words")), "n1");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "at")), 1004);
	json_decref(list);
	assert_int_equal(journal_history(j, NULL, 100, &list, &why), EC_OK);
	assert_int_equal(json_array_size(list), 5);
	json_decref(list);
	journal_close(j);
}

static void file_is_private_and_ours_alone(void **state)
{
	(void)state;
	struct journal *j = NULL, *k = NULL;
	struct why why = { 0 };
	struct stat st;
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	pid_t child = fork();
	if (child == 0)
		_exit(journal_open(path, &k, &why) == EC_BUSY ? 0 : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	journal_close(j);
}

static void damage(const char *how)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, how, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void damaged_rows_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"UPDATE key SET algorithm = 77",         "UPDATE key SET instance = 5",
		"UPDATE agree SET server = 31",          "UPDATE server SET answer = '3 1 1 32 0 zz'",
		"UPDATE digest SET spki_sha256 = x'00'", "UPDATE key SET n = n + 5",
		"UPDATE server SET name = hex(zeroblob(400))", "UPDATE probe SET saw = 2",
		/* Times whose sums would overflow, and so turn a wait into none. */
		"UPDATE agree SET proof_ms = 9223372036854775807", "UPDATE server SET same_since_wall = -9223372036854775808",
	};
	struct fix x;
	busy(&x);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct journal *j = NULL;
		struct why why = { 0 };
		assert_int_equal(journal_open(path, &j, &why), EC_OK);
		assert_int_equal(journal_store(j, x.f, NULL, NULL, fix_now(&x), &why), EC_OK);
		journal_close(j);
		damage(cases[i]);
		assert_int_equal(journal_open(path, &j, &why), EC_OK);
		struct facts *f = facts_new(x.f->identity);
		if (journal_load(j, f, &why) != EC_CORRUPT || strstr(why.text, path) == NULL)
			fail_msg("%s: %s", cases[i], why.text);
		free(f);
		journal_close(j);
	}
	free(x.f);
}

/* What version 1 did not have. */
static const char *const since_2[][2] = {
	{ "identity", "off_asked_wall" },    { "identity", "off_asked_count_ms" },   { "identity", "off_gone_wall" },
	{ "identity", "off_gone_count_ms" }, { "identity", "off_watched_wall" },     { "identity", "off_watched_count_ms" },
	{ "identity", "off_done_wall" },     { "identity", "off_done_count_ms" },    { "identity", "forms" },
	{ "identity", "forms_wall" },        { "identity", "forms_count_ms" },       { "instance", "algorithms" },
	{ "key", "self_signed" },            { "key", "spki_sha512" },               { "key", "cert_sha256" },
	{ "key", "cert_sha512" },            { "key", "issuer_spki_sha256" },        { "key", "issuer_cert_sha256" },
	{ "digest", "spki_sha512" },         { "digest", "deleted_312_wall" },       { "digest", "deleted_312_count_ms" },
	{ "digest", "added_wall" },          { "digest", "added_count_ms" },         { "digest", "added_312_wall" },
	{ "digest", "added_312_count_ms" },  { "digest", "signed_until" },           { "digest", "signed_count_ms" },
	{ "digest", "cleared_wall" },        { "digest", "cleared_count_ms" },       { "digest", "cleared_312_wall" },
	{ "digest", "cleared_312_count_ms" }, { "roll", "emergency" },            { "roll", "forced" },
};

static void older_journals_are_brought_up_to_date(void **state)
{
	(void)state;
	struct fix x;
	struct why why = { 0 };
	struct journal *j = NULL;
	busy(&x);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(journal_store(j, x.f, "noted", "before", fix_now(&x), &why), EC_OK);
	journal_close(j);
	for (size_t i = 0; i < sizeof since_2 / sizeof since_2[0]; i++) {
		char sql[160];
		(void)snprintf(sql, sizeof sql, "ALTER TABLE \"%s\" DROP COLUMN \"%s\";", since_2[i][0], since_2[i][1]);
		damage(sql);
	}
	damage("DROP TABLE issue; DROP TABLE renewal; PRAGMA user_version = 1;");
	if (journal_open(path, &j, &why) != EC_OK)
		fail_msg("%s", why.text);
	struct facts *back = facts_new(x.f->identity);
	assert_int_equal(journal_load(j, back, &why), EC_OK);
	assert_int_equal(back->num_keys, x.f->num_keys);
	assert_memory_equal(back->keys[0].spki_sha256, x.f->keys[0].spki_sha256, 32);
	assert_int_equal(back->num_agrees, x.f->num_agrees);
	assert_memory_equal(back->agrees, x.f->agrees, sizeof x.f->agrees[0] * x.f->num_agrees);
	assert_int_equal(back->off.asked.count_ms, 0);
	assert_int_equal(back->forms.forms, 0);
	/* and it is an ordinary one from now on */
	x.f->off.asked = x.f->off.gone = fix_now(&x);
	assert_int_equal(journal_store(j, x.f, "noted", "after", fix_now(&x), &why), EC_OK);
	journal_close(j);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(journal_load(j, back, &why), EC_OK);
	assert_int_equal(back->off.gone.count_ms, x.f->off.gone.count_ms);
	json_t *list = NULL;
	assert_int_equal(journal_history(j, x.f->identity, 10, &list, &why), EC_OK);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	journal_close(j);
	free(back);
	free(x.f);
}

static void write_file(const void *data, size_t len, off_t at)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
	(void)close(fd);
}

static void files_that_are_no_journal(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct why why = { 0 };
	char noise[8192];
	memset(noise, 'x', sizeof noise);
	write_file(noise, sizeof noise, 0);
	assert_int_equal(journal_open(path, &j, &why), EC_CORRUPT);
	assert_non_null(strstr(why.text, "Move the file away"));
	assert_int_equal(unlink(path), 0);
	damage("CREATE TABLE mine (a); PRAGMA user_version = 1;");
	assert_int_equal(journal_open(path, &j, &why), EC_CORRUPT);
	assert_non_null(strstr(why.text, "not a journal"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	journal_close(j);
	damage("PRAGMA user_version = 99;");
	assert_int_equal(journal_open(path, &j, &why), EC_UNSUPPORTED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	journal_close(j);
	write_file(noise, 512, 4096); /* the head of a page */
	assert_int_equal(journal_open(path, &j, &why), EC_CORRUPT);
	assert_int_equal(journal_open("/nonexistent/journal.db", &j, &why), EC_IO);
}

/* A file that can't grow any more is the same to SQLite as a full disk. */
static void full_disk_changes_nothing(void **state)
{
	(void)state;
	struct fix x;
	struct journal *j = NULL;
	struct why why = { 0 };
	fix_make(&x);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(journal_store(j, x.f, "first", "", fix_now(&x), &why), EC_OK);
	struct fix y;
	busy(&y);
	/* the size limit of this process, for a moment */
	(void)signal(SIGXFSZ, SIG_IGN);
	pid_t child = fork();
	if (child == 0) {
		char command[64];
		(void)snprintf(command, sizeof command, "prlimit --fsize=4096 --pid %d", (int)getpid());
		int ok = system(command);
		enum ec ec = journal_store(j, y.f, "second", "", fix_now(&y), &why);
		_exit(ok == 0 && (ec == EC_LIMIT || ec == EC_IO) && why.text[0] != '\0' ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	struct facts *f = facts_new(x.f->identity);
	assert_int_equal(journal_load(j, f, &why), EC_OK);
	assert_int_equal(f->num_keys, x.f->num_keys);
	assert_int_equal(f->roll.asked.count_ms, 0);
	free(f);
	journal_close(j);
	free(x.f);
	free(y.f);
}

/* A store to a file that is gone would be lost with the process. */
static void moved_away_while_in_use(void **state)
{
	(void)state;
	struct fix x;
	struct journal *j = NULL;
	struct why why = { 0 };
	char aside[sizeof path + 8];
	(void)snprintf(aside, sizeof aside, "%s.aside", path);
	fix_make(&x);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	assert_int_equal(journal_store(j, x.f, NULL, NULL, fix_now(&x), &why), EC_OK);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(journal_store(j, x.f, NULL, NULL, fix_now(&x), &why), EC_CORRUPT);
	assert_non_null(strstr(why.text, "while in use"));
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(journal_store(j, x.f, NULL, NULL, fix_now(&x), &why), EC_OK);
	journal_close(j);
	free(x.f);
}

/* A child stores generation after generation and says which are done; it is
 * killed at any moment. What it said is there, whole, and at the most one more. */
static void survives_kill(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		(void)unlink(path);
		int pipefd[2];
		assert_int_equal(pipe(pipefd), 0);
		pid_t child = fork();
		if (child == 0) {
			struct fix x;
			struct journal *j = NULL;
			struct why why;
			fix_make(&x);
			if (journal_open(path, &j, &why) != EC_OK)
				_exit(1);
			for (unsigned n = 1;; n++) {
				x.active[0] = x.active[1] = n;
				if (fix_report(&x, 0) != EC_OK || fix_report(&x, 1) != EC_OK ||
				    journal_store(j, x.f, "n", "", fix_now(&x), &why) != EC_OK || write(pipefd[1], &n, sizeof n) < 0)
					_exit(1);
			}
		}
		(void)close(pipefd[1]);
		unsigned n, last = 0;
		while (last < 3 + round * 2 && read(pipefd[0], &n, sizeof n) == (ssize_t)sizeof n)
			last = n;
		(void)usleep(round * 137 % 900);
		(void)kill(child, SIGKILL);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		while (read(pipefd[0], &n, sizeof n) == (ssize_t)sizeof n)
			last = n;
		(void)close(pipefd[0]);
		struct journal *j = NULL;
		struct why why = { 0 };
		struct facts *f = facts_new("mx1.example.org");
		assert_int_equal(journal_open(path, &j, &why), EC_OK);
		assert_int_equal(journal_load(j, f, &why), EC_OK);
		assert_true(f->instances[0].active == last || f->instances[0].active == last + 1);
		assert_true(f->instances[1].active == f->instances[0].active);
		assert_int_equal(f->num_keys, 2);
		assert_int_equal(f->keys[0].generation, f->instances[0].active);
		json_t *list = NULL;
		assert_int_equal(journal_history(j, NULL, 100000, &list, &why), EC_OK);
		assert_int_equal(json_array_size(list), f->instances[0].active);
		json_decref(list);
		journal_close(j);
		free(f);
	}
}

/* A journal that root makes for a command belongs to whom its directory belongs to. */
static void what_root_makes_is_the_daemons(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct why why = { 0 };
	struct stat st;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, 12345, 23456), 0);
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	journal_close(j);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_uid == 12345 && st.st_gid == 23456 && (st.st_mode & 0777) == 0600);
	assert_int_equal(chown(path, 0, 0), 0); /* once it holds something it stays whose it is */
	assert_int_equal(journal_open(path, &j, &why), EC_OK);
	journal_close(j);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_goes_in_comes_out, setup, teardown),
		cmocka_unit_test_setup_teardown(what_root_makes_is_the_daemons, setup, teardown),
		cmocka_unit_test_setup_teardown(history, setup, teardown),
		cmocka_unit_test_setup_teardown(file_is_private_and_ours_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_rows_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(older_journals_are_brought_up_to_date, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_are_no_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_away_while_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_kill, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

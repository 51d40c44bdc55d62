/* A journal that something has damaged. It is refused with words, or loads as facts
 * that every part of the program can work with and that are stored again the same.
 *
 * Input: 0 and a whole file; or 1 and patches (place: 3 octets, one octet) of a good
 * journal; or else, in a good journal, values: table, column, row, a kind and the value. */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tlsa-sync/fixture.h"
#include "tlsa-sync/journal_db.h"
#include "tlsa-sync/journal_tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[64], path[96];
static struct bytes good;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void forget(void)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char file[128];
		(void)snprintf(file, sizeof file, "%s%s", path, ends[i]);
		(void)unlink(file);
	}
}

static void bye(void)
{
	forget();
	(void)rmdir(dir);
	bytes_fini(&good);
}

static void write_file(struct slice s)
{
	forget();
	FILE *f = fopen(path, "wb");
	must(f != NULL && fwrite(s.p, 1, s.len, f) == s.len && fclose(f) == 0);
}

/* A journal in the midst of a roll. */
static void make_good(void)
{
	struct fix x;
	struct why why = { 0 };
	struct journal *j = NULL;
	(void)snprintf(dir, sizeof dir, "%s/danegate-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof path, "%s/journal.db", dir);
	(void)atexit(bye);
	must(fix_steady(&x) && rollover_request(x.f, &x.p, RQ_ROTATE, fix_now(&x), &why) == EC_OK);
	must(fix_until(&x, RO_RETIRING, RA_UPDATE, 200));
	facts_update_sent(x.f, &x.d.adds, &x.d.deletes, 3600, fix_now(&x));
	facts_update_done(x.f, OUTCOME_UNKNOWN, "no answer in 5s", fix_now(&x));
	must(journal_open(path, &j, &why) == EC_OK);
	must(journal_store(j, x.f, "noted", "words", fix_now(&x), &why) == EC_OK);
	journal_close(j);
	free(x.f);
	FILE *f = fopen(path, "rb");
	uint8_t part[4096];
	must(f != NULL);
	for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
		must(bytes_append(&good, slice_of(part, n)) == EC_OK);
	(void)fclose(f);
	must(bytes_len(&good) > 4096);
}

static void write_patched(struct slice in)
{
	struct slice s = bytes_slice(&good);
	uint8_t *copy = malloc(s.len);
	must(copy != NULL);
	memcpy(copy, s.p, s.len);
	for (size_t i = 0; i + 4 <= in.len; i += 4)
		copy[((size_t)in.p[i] << 16 | (size_t)in.p[i + 1] << 8 | in.p[i + 2]) % s.len] = in.p[i + 3];
	write_file(slice_of(copy, s.len));
	free(copy);
}

/* Puts one value where SQLite, which knows only types, lets it be put. */
static void set_value(sqlite3 *db, struct reader *r)
{
	char sql[256];
	const struct table *t = &journal_tables[reader_u8(r) % NUM_TABLES];
	size_t column = reader_u8(r) % (t->num_columns + 1);
	uint8_t row = reader_u8(r), kind = reader_u8(r);
	struct slice text = reader_bytes(r, reader_u8(r));
	sqlite3_stmt *st = NULL;
	int64_t number = 0;
	if (r->bad)
		return;
	for (size_t i = 0; i < text.len && i < 8; i++)
		number = (int64_t)((uint64_t)number << 8 | text.p[i]);
	const char *name = column == t->num_columns ? "n" : t->columns[column].name;
	if (kind % 5 == 4)
		(void)snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE n >= %u;", t->name, row);
	else
		(void)snprintf(sql, sizeof sql, "UPDATE OR IGNORE \"%s\" SET \"%s\" = ? WHERE n = %u;", t->name, name, row % 8);
	must(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);
	switch (kind % 5) {
	case 0:
		(void)sqlite3_bind_int64(st, 1, number);
		break;
	case 1:
		(void)sqlite3_bind_int64(st, 1, (int8_t)number);
		break;
	case 2:
		(void)sqlite3_bind_text(st, 1, (const char *)text.p, (int)text.len, SQLITE_STATIC);
		break;
	case 3:
		(void)sqlite3_bind_blob(st, 1, text.p, (int)text.len, SQLITE_STATIC);
		break;
	default:
		break;
	}
	(void)sqlite3_step(st);
	(void)sqlite3_finalize(st);
}

static void write_values(struct slice in)
{
	sqlite3 *db = NULL;
	struct reader r = reader_of(in);
	write_file(bytes_slice(&good));
	must(sqlite3_open(path, &db) == SQLITE_OK);
	must(sqlite3_exec(db, "PRAGMA synchronous = OFF; BEGIN;", NULL, NULL, NULL) == SQLITE_OK);
	for (int n = 0; n < 8 && !r.bad; n++)
		set_value(db, &r);
	must(sqlite3_exec(db, "COMMIT;", NULL, NULL, NULL) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK);
}

/* Facts are facts: they can be decided on, shown, and stored. */
static void use(struct journal *j, struct facts *f)
{
	struct reading clock = { .wall_ms = INT64_C(1795969600000), .mono = { 99000 }, .boot = "b2" };
	struct policy p = { .ttl_s = 3600, .confirmations = 3, .poll_s = 5, .watch_s = 300, .hold_s = 3600,
		            .default_identity = true };
	struct why why = { 0 };
	struct decision d;
	struct facts *back = facts_new(f->identity);
	must(back != NULL);
	if (journal_store(j, f, "again", NULL, (struct stamp){ { 1 }, 1 }, &why) == EC_OK) {
		assert(journal_load(j, back, &why) == EC_OK);
		assert(back->num_keys == f->num_keys && back->num_agrees == f->num_agrees && back->num_servers == f->num_servers);
		for (size_t i = 0; i < f->num_servers; i++)
			assert(tlsa_set_eq(&back->servers[i].set, &f->servers[i].set));
	} else {
		assert(why.text[0] != '\0');
	}
	free(back);
	struct stamp now = facts_tick(f, &clock);
	rollover_decide(f, &p, now, &d);
	json_t *shown = rollover_json(f, &p, &d, now);
	json_decref(shown);
}

static void load(void)
{
	struct journal *j = NULL;
	struct why why = { 0 };
	json_t *history = NULL;
	if (journal_open(path, &j, &why) != EC_OK) {
		assert(j == NULL && why.text[0] != '\0');
		return;
	}
	struct facts *f = facts_new("mx1.example.org");
	must(f != NULL);
	if (journal_load(j, f, &why) == EC_OK)
		use(j, f);
	else
		assert(why.text[0] != '\0');
	if (journal_history(j, NULL, 10, &history, &why) == EC_OK)
		json_decref(history);
	free(f);
	journal_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	if (good.p == NULL)
		make_good();
	struct slice in = slice_of(data + 1, len - 1);
	if (data[0] == 0)
		write_file(in);
	else if (data[0] == 1)
		write_patched(in);
	else
		write_values(in);
	load();
	return 0;
}

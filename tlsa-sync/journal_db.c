/* journal_tables drives everything: which array of struct facts goes to which SQL
 * table, and which field to which column. */
#include "tlsa-sync/journal_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tlsa-sync/journal_tables.h"

/* Not done by itself: what the operator had asked for would be forgotten, and which TTLs
 * were served before. */
#define BEGIN_ANEW "Move the file away: tlsa-sync then begins anew by asking the instances and servers, waits in full, and " \
	"knows no more of a roll under way or of a \"disable\""

enum { APPLICATION_ID = 0x444e4754 /* "DNGT" */, SQL_MAX = 4096 };

struct journal {
	sqlite3 *db;
	char path[256];
	sqlite3_stmt *insert[NUM_TABLES], *clear[NUM_TABLES], *select[NUM_TABLES], *event;
};

/* ---- errors ---- */

static enum ec failed(struct journal *j, int rc, const char *doing, struct why *why)
{
	const char *text = j->db != NULL ? sqlite3_errmsg(j->db) : sqlite3_errstr(rc);
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_MISMATCH:
		return why_set(why, EC_CORRUPT, "%s: %s: %s. Nothing is changed. " BEGIN_ANEW, j->path, doing, text);
	case SQLITE_FULL:
		return why_set(why, EC_LIMIT, "%s: %s: the disk is full (%s). Nothing is changed until there is room", j->path,
		               doing, text);
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return why_set(why, EC_PERMISSION, "%s: %s: %s. The file and its directory must be writable by tlsa-sync", j->path,
		               doing, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return why_set(why, EC_BUSY, "%s: %s: another tlsa-sync, or another program, holds it open", j->path, doing);
	case SQLITE_NOMEM:
		return why_set(why, EC_NO_MEMORY, "%s: %s: out of memory", j->path, doing);
	default:
		return why_set(why, EC_IO, "%s: %s: %s", j->path, doing, text);
	}
}

static enum ec run(struct journal *j, const char *sql, const char *doing, struct why *why)
{
	int rc = sqlite3_exec(j->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? EC_OK : failed(j, rc, doing, why);
}

static enum ec number(struct journal *j, const char *sql, const char *doing, int64_t *out, struct why *why)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(j->db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_ROW ? EC_OK : failed(j, rc, doing, why);
}

/* ---- opening ---- */

static const char *const type_words[] = { [COL_I64] = "INTEGER", [COL_U32] = "INTEGER", [COL_BOOL] = "INTEGER",
	                                  [COL_TEXT] = "TEXT",   [COL_DIGEST] = "BLOB", [COL_SET] = "TEXT" };

static void table_sql(const struct table *t, struct writer *create, struct writer *insert, struct writer *select)
{
	writer_format(create, "CREATE TABLE IF NOT EXISTS \"%s\" (identity_name TEXT NOT NULL, n INTEGER NOT NULL", t->name);
	writer_format(insert, "INSERT INTO \"%s\" (identity_name, n", t->name);
	writer_str(select, "SELECT n");
	for (size_t i = 0; i < t->num_columns; i++) {
		writer_format(create, ", \"%s\" %s NOT NULL", t->columns[i].name, type_words[t->columns[i].type]);
		writer_format(insert, ", \"%s\"", t->columns[i].name);
		writer_format(select, ", \"%s\"", t->columns[i].name);
	}
	writer_str(create, ", PRIMARY KEY (identity_name, n)) STRICT;");
	writer_str(insert, ") VALUES (?, ?");
	for (size_t i = 0; i < t->num_columns; i++)
		writer_str(insert, ", ?");
	writer_str(insert, ");");
	writer_format(select, " FROM \"%s\" WHERE identity_name = ? ORDER BY n;", t->name);
}

static bool has_column(struct journal *j, const char *table, const char *column)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(j->db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2;", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 2, column, -1, SQLITE_STATIC);
	bool has = rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
	(void)sqlite3_finalize(st);
	return has;
}

/* A journal made by an older version lacks the facts it did not know: they are zero. */
static enum ec add_columns(struct journal *j, const struct table *t, struct why *why)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < t->num_columns; i++) {
		const struct column *c = &t->columns[i];
		char sql[384], zero[2 * 64 + 4] = "0";
		if (has_column(j, t->name, c->name))
			continue;
		if (c->type == COL_TEXT || c->type == COL_SET)
			(void)snprintf(zero, sizeof zero, "''");
		else if (c->type == COL_DIGEST)
			(void)snprintf(zero, sizeof zero, "x'%0*d'", 2 * (int)c->size, 0);
		(void)snprintf(sql, sizeof sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s NOT NULL DEFAULT %s;", t->name, c->name,
		               type_words[c->type], zero);
		ec = run(j, sql, "bringing it up to date", why);
	}
	return ec;
}

/* Makes what is not there yet: all of a new journal, new facts in an old one. */
static enum ec create_tables(struct journal *j, struct why *why)
{
	enum ec ec = run(j, "BEGIN IMMEDIATE;", "making the tables", why);
	for (size_t i = 0; ec == EC_OK && i < NUM_TABLES; i++) {
		char create[SQL_MAX], insert[SQL_MAX], select[SQL_MAX];
		struct writer c = writer_of(create, sizeof create), n = writer_of(insert, sizeof insert),
		              s = writer_of(select, sizeof select);
		table_sql(&journal_tables[i], &c, &n, &s);
		assert(!c.bad && !n.bad && !s.bad);
		ec = run(j, create, "making the tables", why);
		if (ec == EC_OK)
			ec = add_columns(j, &journal_tables[i], why);
	}
	if (ec == EC_OK)
		ec = run(j, "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, count_ms INTEGER NOT NULL, "
		            "identity_name TEXT NOT NULL, event TEXT NOT NULL, words TEXT NOT NULL) STRICT;"
		            "CREATE INDEX IF NOT EXISTS event_identity ON event (identity_name, id);", "making the tables", why);
	char sql[128];
	(void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID, SCHEMA_VERSION);
	if (ec == EC_OK)
		ec = run(j, sql, "making the tables", why);
	if (ec == EC_OK)
		ec = run(j, "COMMIT;", "making the tables", why);
	if (ec != EC_OK)
		(void)sqlite3_exec(j->db, "ROLLBACK;", NULL, NULL, NULL);
	return ec;
}

static enum ec check_schema(struct journal *j, struct why *why)
{
	int64_t id = 0, version = 0, objects = 0;
	enum ec ec = number(j, "PRAGMA application_id;", "opening", &id, why);
	if (ec == EC_OK)
		ec = number(j, "PRAGMA user_version;", "opening", &version, why);
	if (ec == EC_OK)
		ec = number(j, "SELECT count(*) FROM sqlite_schema;", "opening", &objects, why);
	if (ec != EC_OK)
		return ec;
	if (objects == 0)
		return create_tables(j, why);
	if (id != APPLICATION_ID)
		return why_set(why, EC_CORRUPT, "%s: a database, but not a journal of tlsa-sync. Nothing is changed. Move the file away, or "
		               "name another in tlsa_sync.journal", j->path);
	if (version > SCHEMA_VERSION)
		return why_set(why, EC_UNSUPPORTED, "%s: made by a newer tlsa-sync (format %lld, this one knows %d). Nothing is changed. Run "
		               "that version", j->path,
		               (long long)version, SCHEMA_VERSION);
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(j->db, "PRAGMA quick_check(1);", -1, &st, NULL);
	rc = rc == SQLITE_OK ? sqlite3_step(st) : rc;
	bool fine = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	(void)sqlite3_finalize(st);
	if (!fine)
		return failed(j, SQLITE_CORRUPT, "checking", why);
	return version < SCHEMA_VERSION ? create_tables(j, why) : EC_OK;
}

static enum ec prepare(struct journal *j, const char *sql, sqlite3_stmt **out, struct why *why)
{
	int rc = sqlite3_prepare_v3(j->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
	return rc == SQLITE_OK ? EC_OK : failed(j, rc, "opening", why);
}

static enum ec prepare_all(struct journal *j, struct why *why)
{
	for (size_t i = 0; i < NUM_TABLES; i++) {
		char create[SQL_MAX], insert[SQL_MAX], select[SQL_MAX], clear[SQL_MAX];
		struct writer c = writer_of(create, sizeof create), n = writer_of(insert, sizeof insert),
		              s = writer_of(select, sizeof select);
		table_sql(&journal_tables[i], &c, &n, &s);
		(void)snprintf(clear, sizeof clear, "DELETE FROM \"%s\" WHERE identity_name = ?;", journal_tables[i].name);
		enum ec ec = prepare(j, insert, &j->insert[i], why);
		if (ec == EC_OK)
			ec = prepare(j, clear, &j->clear[i], why);
		if (ec == EC_OK)
			ec = prepare(j, select, &j->select[i], why);
		if (ec != EC_OK)
			return ec;
	}
	return prepare(j, "INSERT INTO event (at, count_ms, identity_name, event, words) VALUES (?, ?, ?, ?, ?);", &j->event, why);
}

/* What a command makes as root is to be the daemon's, as its directory is. SQLite gives
 * the files beside it the same owner. */
static void give_away(const struct journal *j, int fd)
{
	char directory[sizeof j->path];
	struct stat st, above;
	(void)snprintf(directory, sizeof directory, "%s", j->path);
	char *slash = strrchr(directory, '/');
	if (geteuid() != 0 || slash == NULL || fstat(fd, &st) != 0 || st.st_size > 0 || st.st_uid != 0)
		return;
	slash[slash == directory] = '\0';
	if (stat(directory, &above) == 0 && above.st_uid != 0 && fchown(fd, above.st_uid, above.st_gid) != 0)
		return; /* then it stays root's, and the daemon says what is wrong */
}

/* Made before SQLite sees it, so that nobody else can read it for a moment. */
static enum ec create_file(struct journal *j, struct why *why)
{
	if (strcmp(j->path, ":memory:") == 0)
		return EC_OK;
	int fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, errno == EACCES || errno == EROFS || errno == EPERM ? EC_PERMISSION
		                    : errno == ENOSPC ? EC_LIMIT : EC_IO, "%s: %s", j->path, strerror(errno));
	give_away(j, fd);
	(void)close(fd);
	return EC_OK;
}

enum ec journal_open(const char *path, struct journal **out, struct why *why)
{
	struct journal *j = calloc(1, sizeof *j);
	if (j == NULL)
		return EC_NO_MEMORY;
	(void)snprintf(j->path, sizeof j->path, "%s", path);
	enum ec ec = create_file(j, why);
	if (ec == EC_OK) {
		int rc = sqlite3_open_v2(path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
		if (rc != SQLITE_OK)
			ec = failed(j, rc, "opening", why);
	}
	/* The lock is taken here and kept: two controllers would undo each other. */
	if (ec == EC_OK)
		ec = run(j, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		            "PRAGMA trusted_schema = OFF; BEGIN IMMEDIATE; COMMIT;", "opening", why);
	if (ec == EC_OK)
		ec = check_schema(j, why);
	if (ec == EC_OK)
		ec = prepare_all(j, why);
	if (ec != EC_OK) {
		journal_close(j);
		return ec;
	}
	*out = j;
	return EC_OK;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < NUM_TABLES; i++) {
		(void)sqlite3_finalize(j->insert[i]);
		(void)sqlite3_finalize(j->clear[i]);
		(void)sqlite3_finalize(j->select[i]);
	}
	(void)sqlite3_finalize(j->event);
	(void)sqlite3_close(j->db);
	free(j);
}

/* ---- storing ---- */

static int bind_set(sqlite3_stmt *st, int at, const struct tlsa_set *set)
{
	char text[TLSA_SET_MAX * (TLSA_TEXT_SIZE + 32)];
	struct writer w = writer_of(text, sizeof text);
	for (size_t i = 0; i < set->num; i++) {
		char hex[2 * TLSA_DATA_MAX + 1];
		const struct tlsa *t = &set->items[i];
		size_t kept = t->len < TLSA_DATA_MAX ? t->len : TLSA_DATA_MAX;
		hex_encode(hex, slice_of(t->data, kept));
		/* whole certificates are kept by their start, length and checksum */
		writer_format(&w, "%s%u %u %u %u %llx %s", i > 0 ? ";" : "", t->usage, t->selector, t->matching, t->len,
		              (unsigned long long)t->rest, hex);
	}
	assert(!w.bad);
	return sqlite3_bind_text(st, at, text, (int)w.len, SQLITE_TRANSIENT);
}

static int bind_column(sqlite3_stmt *st, int at, const struct column *c, const unsigned char *row)
{
	const void *p = row + c->offset;
	int64_t i64;
	uint32_t u32;
	bool b;
	switch (c->type) {
	case COL_I64:
		memcpy(&i64, p, sizeof i64);
		return sqlite3_bind_int64(st, at, i64);
	case COL_U32:
		memcpy(&u32, p, sizeof u32);
		return sqlite3_bind_int64(st, at, u32);
	case COL_BOOL:
		memcpy(&b, p, sizeof b);
		return sqlite3_bind_int(st, at, b);
	case COL_TEXT:
		return sqlite3_bind_text(st, at, p, -1, SQLITE_STATIC);
	case COL_DIGEST:
		return sqlite3_bind_blob(st, at, p, (int)c->size, SQLITE_STATIC);
	case COL_SET:
		return bind_set(st, at, p);
	}
	return SQLITE_MISUSE;
}

static size_t rows_of(const struct table *t, const struct facts *f)
{
	size_t num = 1;
	if (t->num != ONE_ROW)
		memcpy(&num, (const char *)f + t->num, sizeof num);
	return num;
}

static int step_done(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	(void)sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int store_table(struct journal *j, size_t n, const struct facts *f)
{
	const struct table *t = &journal_tables[n];
	int rc = sqlite3_bind_text(j->clear[n], 1, f->identity, -1, SQLITE_STATIC);
	rc = rc == SQLITE_OK ? step_done(j->clear[n]) : rc;
	sqlite3_stmt *st = j->insert[n];
	for (size_t i = 0; rc == SQLITE_OK && i < rows_of(t, f); i++) {
		const unsigned char *row = (const unsigned char *)f + t->offset + i * t->stride;
		rc = sqlite3_bind_text(st, 1, f->identity, -1, SQLITE_STATIC);
		if (rc == SQLITE_OK)
			rc = sqlite3_bind_int64(st, 2, (sqlite3_int64)i);
		for (size_t c = 0; rc == SQLITE_OK && c < t->num_columns; c++)
			rc = bind_column(st, (int)c + 3, &t->columns[c], row);
		if (rc == SQLITE_OK)
			rc = step_done(st);
	}
	return rc;
}

static int store_event(struct journal *j, const char *identity, const char *event, const char *words, struct stamp now)
{
	sqlite3_stmt *st = j->event;
	(void)sqlite3_bind_int64(st, 1, now.wall.s);
	(void)sqlite3_bind_int64(st, 2, now.count_ms);
	(void)sqlite3_bind_text(st, 3, identity, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 4, event, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 5, words == NULL ? "" : words, -1, SQLITE_STATIC);
	return step_done(st);
}

/* Ends the transaction; when anything failed the file holds what it held. */
static enum ec finish(struct journal *j, int rc, const char *doing, struct why *why)
{
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(j->db, "COMMIT;", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return EC_OK;
	enum ec ec = failed(j, rc, doing, why);
	if (sqlite3_get_autocommit(j->db) == 0)
		(void)sqlite3_exec(j->db, "ROLLBACK;", NULL, NULL, NULL);
	return ec;
}

/* What is written to a file that is no longer there is not on the disk. */
static enum ec check_place(struct journal *j, struct why *why)
{
	int moved = 0;
	if (sqlite3_file_control(j->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0)
		return why_set(why, EC_CORRUPT, "%s: was moved, replaced or removed while in use. Nothing is changed. Put it back, or "
		               "restart tlsa-sync", j->path);
	return EC_OK;
}

enum ec journal_store(struct journal *j, const struct facts *f, const char *event, const char *words,
                      struct stamp now, struct why *why)
{
	enum ec ec = check_place(j, why);
	if (ec == EC_OK)
		ec = run(j, "BEGIN IMMEDIATE;", "storing", why);
	if (ec != EC_OK)
		return ec;
	int rc = SQLITE_OK;
	for (size_t i = 0; rc == SQLITE_OK && i < NUM_TABLES; i++)
		rc = store_table(j, i, f);
	if (rc == SQLITE_OK && event != NULL)
		rc = store_event(j, f->identity, event, words, now);
	return finish(j, rc, "storing", why);
}

enum ec journal_event(struct journal *j, const char *identity, const char *event, const char *words,
                      struct stamp now, struct why *why)
{
	enum ec ec = run(j, "BEGIN IMMEDIATE;", "storing", why);
	return ec == EC_OK ? finish(j, store_event(j, identity, event, words, now), "storing", why) : ec;
}

/* ---- loading ---- */

static bool load_item(struct slice text, struct tlsa *out)
{
	/* "3 1 1 32 0 ab12…" as bind_set wrote it */
	char buffer[TLSA_TEXT_SIZE + 64], hex[2 * TLSA_DATA_MAX + 2];
	unsigned usage, selector, matching, len;
	unsigned long long rest;
	int end = 0;
	if (text.len >= sizeof buffer)
		return false;
	memcpy(buffer, text.p, text.len);
	buffer[text.len] = '\0';
	if (sscanf(buffer, "%3u %3u %3u %5u %16llx %129[0-9a-f]%n", &usage, &selector, &matching, &len, &rest, hex, &end) != 6 ||
	    (size_t)end != text.len || usage > 255 || selector > 255 || matching > 255 || len > 65535)
		return false;
	size_t kept = len < TLSA_DATA_MAX ? len : TLSA_DATA_MAX;
	*out = (struct tlsa){ (uint8_t)usage, (uint8_t)selector, (uint8_t)matching, (uint16_t)len, rest, { 0 } };
	return hex_decode(out->data, kept, slice_str(hex));
}

static bool load_set(const char *text, struct tlsa_set *out)
{
	*out = (struct tlsa_set){ 0 };
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, ";");
		struct tlsa t;
		if (!load_item(slice_of(text, len), &t) || tlsa_set_add(out, &t) != EC_OK)
			return false;
		text += len + (text[len] == ';');
	}
	return true;
}

/* No clock, in milliseconds or seconds, and no count of ours comes near it (in milliseconds it is
 * the year 2248), and sums of such numbers, and a thousand times one, are far from overflowing:
 * what is beyond is damage, and would turn a wait into none. */
static const int64_t I64_BOUND = INT64_C(1) << 43;

static bool load_column(sqlite3_stmt *st, int at, const struct column *c, unsigned char *row)
{
	void *p = row + c->offset;
	int64_t i64 = sqlite3_column_int64(st, at);
	uint32_t u32 = (uint32_t)i64;
	bool b = i64 != 0;
	const char *text;
	switch (c->type) {
	case COL_I64:
		memcpy(p, &i64, sizeof i64);
		return i64 >= -I64_BOUND && i64 <= I64_BOUND;
	case COL_U32:
		memcpy(p, &u32, sizeof u32);
		return i64 >= 0 && i64 <= c->max;
	case COL_BOOL:
		memcpy(p, &b, sizeof b);
		return i64 == 0 || i64 == 1;
	case COL_TEXT:
		text = (const char *)sqlite3_column_text(st, at);
		if (text == NULL || strlen(text) >= c->size)
			return false;
		memset(p, 0, c->size);
		memcpy(p, text, strlen(text));
		return true;
	case COL_DIGEST:
		if (sqlite3_column_bytes(st, at) != (int)c->size)
			return false;
		memcpy(p, sqlite3_column_blob(st, at), c->size);
		return true;
	case COL_SET:
		return load_set((const char *)sqlite3_column_text(st, at), p);
	}
	return false;
}

static enum ec load_table(struct journal *j, size_t n, struct facts *f, struct why *why)
{
	const struct table *t = &journal_tables[n];
	sqlite3_stmt *st = j->select[n];
	size_t num = 0;
	int rc = sqlite3_bind_text(st, 1, f->identity, -1, SQLITE_STATIC);
	bool fine = true;
	while (rc == SQLITE_OK && fine && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		rc = SQLITE_OK;
		fine = num < t->max && sqlite3_column_int64(st, 0) == (sqlite3_int64)num;
		for (size_t c = 0; fine && c < t->num_columns; c++)
			fine = load_column(st, (int)c + 1, &t->columns[c],
			                   (unsigned char *)f + t->offset + num * t->stride);
		num += fine;
	}
	(void)sqlite3_reset(st);
	if (!fine)
		return why_set(why, EC_CORRUPT, "%s: row %zu of table %s is not a fact. Nothing is changed. " BEGIN_ANEW,
		               j->path, num, t->name);
	if (rc != SQLITE_DONE)
		return failed(j, rc, "loading", why);
	if (t->num != ONE_ROW)
		memcpy((char *)f + t->num, &num, sizeof num);
	return EC_OK;
}

enum ec journal_load(struct journal *j, struct facts *f, struct why *why)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < NUM_TABLES; i++)
		ec = load_table(j, i, f, why);
	if (ec == EC_OK && !journal_check(f))
		ec = why_set(why, EC_CORRUPT, "%s: its tables do not fit together. Nothing is changed. " BEGIN_ANEW, j->path);
	return ec;
}

/* ---- history ---- */

enum ec journal_history(struct journal *j, const char *identity, unsigned limit, json_t **out, struct why *why)
{
	sqlite3_stmt *st = NULL;
	json_t *list = json_array();
	int rc = sqlite3_prepare_v2(j->db,
		"SELECT at, identity_name, event, words FROM (SELECT * FROM event WHERE ?1 IS NULL OR identity_name = ?1 "
		"ORDER BY id DESC LIMIT ?2) ORDER BY id;", -1, &st, NULL);
	if (rc == SQLITE_OK && identity != NULL)
		rc = sqlite3_bind_text(st, 1, identity, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(st, 2, limit);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *line = json_pack("{s:I, s:s, s:s, s:s}", "at", (json_int_t)sqlite3_column_int64(st, 0), "identity",
		                         (const char *)sqlite3_column_text(st, 1), "event",
		                         (const char *)sqlite3_column_text(st, 2), "words",
		                         (const char *)sqlite3_column_text(st, 3));
		rc = line != NULL && json_array_append_new(list, line) == 0 ? SQLITE_OK : SQLITE_NOMEM;
	}
	(void)sqlite3_finalize(st);
	if (rc != SQLITE_DONE) {
		json_decref(list);
		return failed(j, rc, "reading the history", why);
	}
	*out = list;
	return EC_OK;
}

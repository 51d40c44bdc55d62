/* One table of tables drives everything: which array of struct facts goes to
 * which SQL table, and which field to which column. A fact added there is stored,
 * loaded and checked; nothing else is to be changed (but SCHEMA_VERSION). */
#include "tlsa-sync/journal_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x444e4754 /* "DNGT" */ };

enum column_type { COL_I64, COL_U32, COL_BOOL, COL_TEXT, COL_DIGEST, COL_SET };

struct column {
	const char *name;
	enum column_type type;
	size_t offset;
	size_t size;  /* COL_TEXT */
	uint32_t max; /* COL_U32: the greatest value that makes sense */
};

#define I64(type, field) { #field, COL_I64, offsetof(struct type, field), 0, 0 }
#define NAMED(type, label, field) { label, COL_I64, offsetof(struct type, field), 0, 0 }
#define STAMP(type, field) \
	NAMED(type, #field "_wall", field.wall.s), NAMED(type, #field "_count_ms", field.count_ms)
#define U32(type, field, max) { #field, COL_U32, offsetof(struct type, field), 0, max }
#define BOOL(type, field) { #field, COL_BOOL, offsetof(struct type, field), 0, 0 }
#define TEXT(type, field) { #field, COL_TEXT, offsetof(struct type, field), sizeof(((struct type *)0)->field), 0 }
#define DIGEST(type, field) { #field, COL_DIGEST, offsetof(struct type, field), 0, 0 }
#define SET(type, field) { #field, COL_SET, offsetof(struct type, field), 0, 0 }

static const struct column identity_columns[] = {
	NAMED(facts, "last_wall_ms", clock.last.wall_ms),
	NAMED(facts, "last_mono_ms", clock.last.mono.ms),
	{ "boot", COL_TEXT, offsetof(struct facts, clock.last.boot), FACT_BOOT, 0 },
	NAMED(facts, "count_ms", clock.count_ms),
	NAMED(facts, "booted_ms", clock.booted_ms),
	STAMP(facts, zone_found),
	STAMP(facts, zone_failed),
	TEXT(facts, zone_words),
	STAMP(facts, looked),
	STAMP(facts, probed),
	NAMED(facts, "rotated", rotated.s),
	STAMP(facts, settled),
	U32(facts, shown_state, 64),
	NAMED(facts, "shown_since", shown_since.s),
};
static const struct column instance_columns[] = {
	TEXT(fact_instance, name), STAMP(fact_instance, heard), STAMP(fact_instance, failed),
	TEXT(fact_instance, words), I64(fact_instance, active), I64(fact_instance, presented),
	U32(fact_instance, asked, ASK_NUM - 1), I64(fact_instance, asked_generation), STAMP(fact_instance, asked_at),
	U32(fact_instance, asked_outcome, OUTCOME_NUM - 1), TEXT(fact_instance, asked_words),
};
static const struct column key_columns[] = {
	U32(fact_key, instance, FACT_INSTANCES - 1), I64(fact_key, generation),
	U32(fact_key, algorithm, KEY_NUM_ALGORITHMS - 1), DIGEST(fact_key, spki_sha256), BOOL(fact_key, certified),
	NAMED(fact_key, "not_before", not_before.s), NAMED(fact_key, "not_after", not_after.s),
};
static const struct column server_columns[] = {
	TEXT(fact_server, name), TEXT(fact_server, address), STAMP(fact_server, answered), STAMP(fact_server, silent),
	TEXT(fact_server, words), { "answer", COL_SET, offsetof(struct fact_server, set), 0, 0 },
	U32(fact_server, same, UINT32_MAX), STAMP(fact_server, same_since), U32(fact_server, ttl_s, UINT32_MAX),
	U32(fact_server, validity, VALIDITY_NUM - 1), NAMED(fact_server, "signature_expires", signature_expires.s),
	U32(fact_server, serial, UINT32_MAX), BOOL(fact_server, alias),
};
static const struct column digest_columns[] = {
	DIGEST(fact_digest, spki_sha256), U32(fact_digest, algorithm, KEY_NUM_ALGORITHMS - 1), STAMP(fact_digest, known),
	STAMP(fact_digest, spoiled), STAMP(fact_digest, deleted),
	NAMED(fact_digest, "old_signature", old_signature.s), I64(fact_digest, old_signature_count_ms),
};
static const struct column agree_columns[] = {
	U32(fact_agree, server, FACT_SERVERS - 1), U32(fact_agree, digest, FACT_DIGESTS - 1),
	U32(fact_agree, count, UINT32_MAX), I64(fact_agree, proof_ms), I64(fact_agree, run_ms), I64(fact_agree, last_ms),
};
static const struct column ttl_columns[] = { U32(fact_ttl, ttl_s, UINT32_MAX), BOOL(fact_ttl, negative),
	                                     STAMP(fact_ttl, last) };
static const struct column update_columns[] = {
	SET(fact_update, adds), SET(fact_update, deletes), STAMP(fact_update, sent), STAMP(fact_update, done),
	U32(fact_update, outcome, OUTCOME_NUM - 1), TEXT(fact_update, words),
};
static const struct column address_columns[] = { { "address", COL_TEXT, 0, FACT_ADDRESS, 0 } };
static const struct column probe_columns[] = {
	TEXT(fact_probe, address), U32(fact_probe, algorithm, KEY_NUM_ALGORITHMS - 1), U32(fact_probe, sni, SNI_NUM - 1),
	STAMP(fact_probe, at), BOOL(fact_probe, saw), DIGEST(fact_probe, spki_sha256), TEXT(fact_probe, words),
};
static const struct column roll_columns[] = {
	STAMP(fact_roll, asked), BOOL(fact_roll, by_timer), STAMP(fact_roll, begun), STAMP(fact_roll, held),
	{ "rolled_back_wall", COL_I64, offsetof(struct fact_roll, rollback.wall.s), 0, 0 },
	{ "rolled_back_count_ms", COL_I64, offsetof(struct fact_roll, rollback.count_ms), 0, 0 },
	STAMP(fact_roll, retiring), STAMP(fact_roll, ended),
	{ "outcome", COL_U32, offsetof(struct fact_roll, end), 0, ROLL_END_NUM - 1 },
};
static const struct column move_columns[] = {
	U32(fact_move, instance, FACT_INSTANCES - 1), NAMED(fact_move, "old_generation", from),
	NAMED(fact_move, "new_generation", to), STAMP(fact_move, swap_asked),
};
static const struct column withdrawn_columns[] = { U32(fact_withdrawn, instance, FACT_INSTANCES - 1),
	                                           I64(fact_withdrawn, generation), STAMP(fact_withdrawn, at) };

enum { ONE_ROW = -1, MAX_COLUMNS = 24 };

static const struct table {
	const char *name;
	const struct column *columns;
	size_t num_columns;
	size_t offset;     /* of the array, or the one struct, in struct facts */
	size_t stride;
	size_t max;        /* rows */
	ptrdiff_t num;     /* offset of the size_t that counts them, or ONE_ROW */
} tables[] = {
#define COLUMNS(c) c, sizeof c / sizeof c[0]
#define ARRAY(f, num) offsetof(struct facts, f), sizeof(((struct facts *)0)->f[0]), \
	sizeof(((struct facts *)0)->f) / sizeof(((struct facts *)0)->f[0]), offsetof(struct facts, num)
	{ "identity", COLUMNS(identity_columns), 0, sizeof(struct facts), 1, ONE_ROW },
	{ "instance", COLUMNS(instance_columns), ARRAY(instances, num_instances) },
	{ "key", COLUMNS(key_columns), ARRAY(keys, num_keys) },
	{ "server", COLUMNS(server_columns), ARRAY(servers, num_servers) },
	{ "digest", COLUMNS(digest_columns), ARRAY(digests, num_digests) },
	{ "agree", COLUMNS(agree_columns), ARRAY(agrees, num_agrees) },
	{ "ttl", COLUMNS(ttl_columns), ARRAY(ttls, num_ttls) },
	{ "update_attempt", COLUMNS(update_columns), offsetof(struct facts, update), sizeof(struct fact_update), 1, ONE_ROW },
	{ "address", COLUMNS(address_columns), ARRAY(addresses, num_addresses) },
	{ "probe", COLUMNS(probe_columns), ARRAY(probes, num_probes) },
	{ "roll", COLUMNS(roll_columns), offsetof(struct facts, roll), sizeof(struct fact_roll), 1, ONE_ROW },
	{ "move", COLUMNS(move_columns), ARRAY(roll.moves, roll.num_moves) },
	{ "withdrawn", COLUMNS(withdrawn_columns), ARRAY(withdrawn, num_withdrawn) },
};
enum { NUM_TABLES = sizeof tables / sizeof tables[0], SQL_MAX = 2048 };

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
		return why_set(why, EC_CORRUPT, "%s: %s: %s. Nothing is changed. Move the file away: tlsa-sync then begins anew by "
		               "asking the instances and servers, and waits in full", j->path, doing, text);
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
	writer_format(create, "CREATE TABLE \"%s\" (identity_name TEXT NOT NULL, n INTEGER NOT NULL", t->name);
	writer_format(insert, "INSERT INTO \"%s\" VALUES (?, ?", t->name);
	writer_str(select, "SELECT n");
	for (size_t i = 0; i < t->num_columns; i++) {
		writer_format(create, ", \"%s\" %s NOT NULL", t->columns[i].name, type_words[t->columns[i].type]);
		writer_str(insert, ", ?");
		writer_format(select, ", \"%s\"", t->columns[i].name);
	}
	writer_str(create, ", PRIMARY KEY (identity_name, n)) STRICT;");
	writer_str(insert, ");");
	writer_format(select, " FROM \"%s\" WHERE identity_name = ? ORDER BY n;", t->name);
}

static enum ec create_tables(struct journal *j, struct why *why)
{
	enum ec ec = run(j, "BEGIN IMMEDIATE;", "making the tables", why);
	for (size_t i = 0; ec == EC_OK && i < NUM_TABLES; i++) {
		char create[SQL_MAX], insert[SQL_MAX], select[SQL_MAX];
		struct writer c = writer_of(create, sizeof create), n = writer_of(insert, sizeof insert),
		              s = writer_of(select, sizeof select);
		table_sql(&tables[i], &c, &n, &s);
		assert(!c.bad && !n.bad && !s.bad);
		ec = run(j, create, "making the tables", why);
	}
	if (ec == EC_OK)
		ec = run(j, "CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, count_ms INTEGER NOT NULL, "
		            "identity_name TEXT NOT NULL, event TEXT NOT NULL, words TEXT NOT NULL) STRICT;"
		            "CREATE INDEX event_identity ON event (identity_name, id);", "making the tables", why);
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
		return why_set(why, EC_CORRUPT, "%s: a database, but not a journal of tlsa-sync", j->path);
	if (version > SCHEMA_VERSION)
		return why_set(why, EC_UNSUPPORTED, "%s: made by a newer tlsa-sync (format %lld, this one knows %d)", j->path,
		               (long long)version, SCHEMA_VERSION);
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(j->db, "PRAGMA quick_check(1);", -1, &st, NULL);
	rc = rc == SQLITE_OK ? sqlite3_step(st) : rc;
	bool fine = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	(void)sqlite3_finalize(st);
	return fine ? EC_OK : failed(j, SQLITE_CORRUPT, "checking", why);
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
		table_sql(&tables[i], &c, &n, &s);
		(void)snprintf(clear, sizeof clear, "DELETE FROM \"%s\" WHERE identity_name = ?;", tables[i].name);
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

/* Made before SQLite sees it, so that nobody else can read it for a moment. */
static enum ec create_file(struct journal *j, struct why *why)
{
	if (strcmp(j->path, ":memory:") == 0)
		return EC_OK;
	int fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, errno == EACCES || errno == EROFS || errno == EPERM ? EC_PERMISSION
		                    : errno == ENOSPC ? EC_LIMIT : EC_IO, "%s: %s", j->path, strerror(errno));
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
		return sqlite3_bind_blob(st, at, p, 32, SQLITE_STATIC);
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
	const struct table *t = &tables[n];
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

enum ec journal_store(struct journal *j, const struct facts *f, const char *event, const char *words,
                      struct stamp now, struct why *why)
{
	enum ec ec = run(j, "BEGIN IMMEDIATE;", "storing", why);
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
		return true;
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
		if (sqlite3_column_bytes(st, at) != 32)
			return false;
		memcpy(p, sqlite3_column_blob(st, at), 32);
		return true;
	case COL_SET:
		return load_set((const char *)sqlite3_column_text(st, at), p);
	}
	return false;
}

static enum ec load_table(struct journal *j, size_t n, struct facts *f, struct why *why)
{
	const struct table *t = &tables[n];
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
		return why_set(why, EC_CORRUPT, "%s: row %zu of table %s is not a fact. Move the file away to begin anew", j->path,
		               num, t->name);
	if (rc != SQLITE_DONE)
		return failed(j, rc, "loading", why);
	if (t->num != ONE_ROW)
		memcpy((char *)f + t->num, &num, sizeof num);
	return EC_OK;
}

/* The rows that point into other tables do so within them. */
static enum ec check_indexes(const struct journal *j, const struct facts *f, struct why *why)
{
	bool fine = true;
	for (size_t i = 0; i < f->num_keys; i++)
		fine = fine && f->keys[i].instance < f->num_instances;
	for (size_t i = 0; i < f->num_agrees; i++)
		fine = fine && f->agrees[i].server < f->num_servers && f->agrees[i].digest < f->num_digests;
	for (size_t i = 0; i < f->roll.num_moves; i++)
		fine = fine && f->roll.moves[i].instance < f->num_instances;
	for (size_t i = 0; i < f->num_withdrawn; i++)
		fine = fine && f->withdrawn[i].instance < f->num_instances;
	fine = fine && f->clock.count_ms >= 0;
	return fine ? EC_OK : why_set(why, EC_CORRUPT, "%s: its tables do not fit together. Move the file away to begin anew",
	                              j->path);
}

enum ec journal_load(struct journal *j, struct facts *f, struct why *why)
{
	enum ec ec = EC_OK;
	for (size_t i = 0; ec == EC_OK && i < NUM_TABLES; i++)
		ec = load_table(j, i, f, why);
	return ec == EC_OK ? check_indexes(j, f, why) : ec;
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

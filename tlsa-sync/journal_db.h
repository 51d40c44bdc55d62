/* Owns:  the journal of tlsa-sync: facts and history in one SQLite file (WAL,
 *        synchronous=FULL). Every store is one transaction.
 * Never: decides; never repairs or deletes a damaged file: it refuses, with words.
 * Spec:  –
 * Start at: journal_open, journal_load, journal_store. The shell's order is
 *           journal, act, observe: store before acting, and again afterwards. */
#ifndef TLSA_SYNC_JOURNAL_DB_H
#define TLSA_SYNC_JOURNAL_DB_H

#include <jansson.h>

#include "base/ec.h"
#include "tlsa-sync/facts.h"

struct journal;

/* journal_open opens the file, creating it (mode 0600) and its tables when there
 * is none. `path` ":memory:" is for tests. Only one process can hold it open.
 * Returns EC_PERMISSION, EC_BUSY (another tlsa-sync has it), EC_CORRUPT (damaged, or not a journal),
 * EC_UNSUPPORTED (made by a newer version), EC_LIMIT (disk full), EC_IO; `why` names the
 * file and the cure. */
enum ec journal_open(const char *path, struct journal **out, struct why *why) MUST_CHECK;
/* journal_close accepts NULL. */
void journal_close(struct journal *j);

/* journal_store replaces everything stored of f->identity by `f` and adds
 * one line to the history unless `event` is NULL, in one transaction that is on
 * the disk when it returns EC_OK. On any error (as in journal_open; EC_CORRUPT also for a file
 * that was moved away or replaced meanwhile) the file holds what it held before. */
enum ec journal_store(struct journal *j, const struct facts *f, const char *event, const char *words,
                      struct stamp now, struct why *why) MUST_CHECK;

/* journal_load fills `f` with what is stored of f->identity; facts never stored
 * are as facts_new made them. EC_CORRUPT for a row that can't be a fact: then
 * `f` is not to be used. */
enum ec journal_load(struct journal *j, struct facts *f, struct why *why) MUST_CHECK;

/* journal_event adds a line to the history alone. */
enum ec journal_event(struct journal *j, const char *identity, const char *event, const char *words,
                      struct stamp now, struct why *why) MUST_CHECK;

/* journal_history gives the last `limit` lines of an identity (NULL: of all),
 * oldest first, as a new array of {"at":unix,"identity","event","words"}. */
enum ec journal_history(struct journal *j, const char *identity, unsigned limit, json_t **out,
                        struct why *why) MUST_CHECK;

#endif

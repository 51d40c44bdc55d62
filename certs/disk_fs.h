/* Owns:  the few ways in which the key store touches the disk, each a step that
 *        the tests can make fail or die at.
 * Never: knows what a file means.
 * Spec:  –
 * Start at: disk_replace. */
#ifndef CERTS_DISK_FS_H
#define CERTS_DISK_FS_H

#include "base/ec.h"
#include "base/slice.h"

/* struct disk_fault is the tests' seam: `before` is called ahead of every step
 * that changes the disk. It may return an errno value, which then fails the step;
 * zero lets it happen. A zeroed struct does nothing. */
struct disk_fault {
	int (*before)(void *arg, const char *step, const char *name);
	void *arg;
};

/* All names are relative to the directory `dir` (an open descriptor) and are
 * never followed through a symbolic link. Failures are EC_NO_SPACE (disk full, quota),
 * EC_NOT_FOUND, EC_PERMISSION (also a read-only disk), EC_CORRUPT (a link, or a file
 * where a directory should be), EC_IO, with the name and the system's words in `why`. */
struct disk {
	struct disk_fault fault;
};

/* disk_open_dir opens a directory for use as `dir`; *out_fd is the caller's. */
enum ec disk_open_dir(int dir, const char *name, int *out_fd, struct why *why) MUST_CHECK;

/* disk_make_dir makes a directory, mode 0700, and syncs `dir`. An existing one
 * is EC_OK. */
enum ec disk_make_dir(struct disk *d, int dir, const char *name, struct why *why) MUST_CHECK;

/* disk_write makes a new file, mode 0600, and syncs its content, not `dir`. On
 * failure nothing of it is left (except after a crash). */
enum ec disk_write(struct disk *d, int dir, const char *name, struct slice content, struct why *why) MUST_CHECK;

/* disk_replace gives `name` new content: after a crash it has the old or the
 * new. Works through ".tmp-" and the name. */
enum ec disk_replace(struct disk *d, int dir, const char *name, struct slice content, struct why *why) MUST_CHECK;

/* disk_rename renames inside `dir` and syncs it; disk_sync only syncs. */
enum ec disk_rename(struct disk *d, int dir, const char *from, const char *to, struct why *why) MUST_CHECK;
enum ec disk_sync(struct disk *d, int dir, const char *name, struct why *why) MUST_CHECK;

/* disk_remove removes a file, or a directory with the files in it (one level).
 * Not there is EC_OK. */
enum ec disk_remove(struct disk *d, int dir, const char *name, struct why *why) MUST_CHECK;

/* disk_read appends the whole of a regular file of at most `max` bytes; more is
 * EC_LIMIT. With `secret` a file that group or others may open is EC_PERMISSION. */
enum ec disk_read(int dir, const char *name, size_t max, bool secret, struct bytes *out, struct why *why) MUST_CHECK;

/* disk_each calls `each` with every name in `dir` but "." and "..", in no order;
 * it stops at the first failure. */
enum ec disk_each(int dir, enum ec (*each)(void *arg, const char *name), void *arg, struct why *why) MUST_CHECK;

#endif

/* Owns:  what this process has open, for tests of what is given back.
 * Never: –
 * Spec:  proc(5).
 * Start at: self_count. */
#ifndef TESTS_UNIT_SELF_H
#define TESTS_UNIT_SELF_H

#include <dirent.h>

#include "tests/unit/unit.h"

/* self_count counts the entries of a folder of /proc/self: "/proc/self/task" has the threads, "/proc/self/fd" the
 * descriptors (and one more, for looking). */
static inline unsigned self_count(const char *folder)
{
	unsigned n = 0;
	DIR *d = opendir(folder);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		n += e->d_name[0] != '.';
	assert_int_equal(closedir(d), 0);
	return n;
}

#endif

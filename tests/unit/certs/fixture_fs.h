/* Owns:  what the tests of the certificate files share: a directory of their own
 *        and the openssl program as an independent witness.
 * Never: uses our own code to check our own code.
 * Spec:  –
 * Start at: witness. */
#ifndef TESTS_UNIT_CERTS_FIXTURE_FS_H
#define TESTS_UNIT_CERTS_FIXTURE_FS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/slice.h"

static char fixture_dir[64];

static int fixture_set_up(void **state)
{
	(void)state;
	(void)snprintf(fixture_dir, sizeof fixture_dir, "/tmp/danegate-certs-XXXXXX");
	return mkdtemp(fixture_dir) == NULL || chdir(fixture_dir) != 0 ? 1 : 0;
}

static int fixture_tear_down(void **state)
{
	(void)state;
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf %s", fixture_dir);
	return chdir("/") != 0 || system(command) != 0 ? 1 : 0;
}

/* witness runs a shell command in the test's directory and returns what it
 * printed (static), without the last newline. The command must succeed. */
static const char *witness(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *witness(const char *format, ...)
{
	static char out[16384];
	char command[1024];
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	size_t n = fread(out, 1, sizeof out - 1, f);
	out[n] = '\0';
	if (pclose(f) != 0)
		fail_msg("%s", command);
	while (n > 0 && out[n - 1] == '\n')
		out[--n] = '\0';
	return out;
}

static inline void fixture_put(const char *name, struct slice s)
{
	(void)unlink(name);
	FILE *f = fopen(name, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.len, f), s.len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, 0600), 0);
}

static inline struct bytes fixture_get(const char *name)
{
	struct bytes b = { 0 };
	uint8_t *at = NULL;
	FILE *f = fopen(name, "r");
	assert_non_null(f);
	assert_int_equal(bytes_reserve(&b, 1 << 20, &at), EC_OK);
	bytes_commit(&b, fread(at, 1, 1 << 20, f));
	(void)fclose(f);
	return b;
}

#endif

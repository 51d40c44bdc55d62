/* Owns:  looking at what the stats socket shows: whether it is harmless, and whether metrics
 *        are OpenMetrics.
 * Never: knows what is shown.
 * Spec:  OpenMetrics 1.0.
 * Start at: text_of, check_open_metrics. */
#ifndef TESTS_SHOWN_H
#define TESTS_SHOWN_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ec.h"
#include "base/slice.h"
#include "tests/unit/unit.h"

/* text_of is what was written so far, up to bytes_fini. */
static inline char *text_of(enum ec ec, struct bytes *b)
{
	assert_int_equal(ec, EC_OK);
	assert_int_equal(bytes_append(b, slice_of("", 1)), EC_OK);
	return (char *)(uintptr_t)bytes_slice(b).p;
}

/* Nothing in it is a command for a terminal. */
static inline void assert_harmless(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
}

/* value_of finds the one sample whose name and labels are `series`. */
static inline double value_of(const char *text, const char *series)
{
	size_t len = strlen(series);
	for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, series, len) == 0 && line[len] == ' ')
			return strtod(line + len, NULL);
	fail_msg("no series %s", series);
	return 0;
}

static inline const char *name_end(const char *p)
{
	assert_true(isalpha((unsigned char)*p) || *p == '_');
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return p;
}

/* {name="value",...}; of a value's octets only \\, \" and \n are escaped. */
static inline const char *labels_end(const char *p)
{
	if (*p != '{')
		return p;
	do {
		p = name_end(p + 1);
		assert_true(p[0] == '=' && p[1] == '"');
		for (p += 2; *p != '"'; p++) {
			assert_true((unsigned char)*p >= ' ');
			if (*p == '\\')
				assert_non_null(strchr("\\\"n", *++p));
		}
		p++;
	} while (*p == ',');
	assert_true(*p == '}');
	return p + 1;
}

static inline void check_sample(const char *line, const char *family, const char *type)
{
	/* The info type's family has no _info of its own. */
	const char *suffix = strcmp(type, "counter") == 0 ? "_total" : strcmp(type, "info") == 0 ? "_info" : "";
	const char *end = name_end(line);
	assert_int_equal(end - line, strlen(family) + strlen(suffix));
	assert_memory_equal(line, family, strlen(family));
	assert_memory_equal(line + strlen(family), suffix, strlen(suffix));
	end = labels_end(end);
	assert_true(*end == ' ');
	char *stop = NULL;
	(void)strtod(end + 1, &stop);
	assert_true(stop != end + 1 && *stop == '\0');
}

/* OpenMetrics 1.0, by its own words: every family is announced once by # TYPE before
 * its samples, which stand together; counters end in _total; the last line is # EOF. */
static inline void check_open_metrics(char *text)
{
	char family[128] = "", type[32] = "", seen[16384] = "";
	bool eof = false;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		assert_false(eof);
		eof = strcmp(line, "# EOF") == 0;
		if (eof)
			continue;
		if (strncmp(line, "# TYPE ", 7) == 0) {
			char key[140];
			assert_int_equal(sscanf(line, "# TYPE %127s %31s", family, type), 2);
			(void)snprintf(key, sizeof key, " %s ", family);
			assert_null(strstr(seen, key)); /* announced once, so its samples stand together */
			strncat(seen, key, sizeof seen - strlen(seen) - 1);
		} else if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# UNIT ", 7) == 0) {
			assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
		} else {
			check_sample(line, family, type);
		}
	}
	assert_true(eof);
}

#endif

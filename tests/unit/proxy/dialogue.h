/* Owns:  tables of named dialogues, each run whole, octet by octet and at
 *        seeded random cuts, with the same outcome demanded of all.
 * Never: –
 * Spec:  –
 * Start at: struct dialogue. */
#ifndef TESTS_DIALOGUE_H
#define TESTS_DIALOGUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

/* Rows leave out what they don't look at. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wmissing-braces"

#define IN(s) { (const uint8_t *)(s), sizeof(s) - 1 }
#define HI "EHLO me.test\r\n"
#define ENVELOPE "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
/* What the client sees of HI, ENVELOPE and DATA behind the greeting. */
#define SEEN_HI "220 250 "
#define SEEN_ENVELOPE "250:2.1.0 250:2.1.5 "
/* What a healthy MTA sees of them. */
#define LINK "(EHLO edge.test|"
#define GOT_ENVELOPE "MAIL FROM:<a@b.test>|RCPT TO:<c@d.test>|"

/* struct dialogue is one case: NULL in an expectation means "not looked at". */
struct dialogue {
	const char *name;
	struct rig_setup setup;
	struct slice in;
	const char *client;  /* exactly */
	const char *backend; /* exactly */
	const char *stored;  /* exactly; NUL-free cases only */
	const char *text;    /* somewhere in the replies */
	unsigned turns;      /* played whole, answers of the backend that are waited for; 0: not looked at */
};

/* Set with DIALOGUE=name in the environment: only that case, and loud. */
static inline void dialogue_check(const struct dialogue *d, const struct rig_result *r, const char *how)
{
	bool bad = (d->client != NULL && strcmp(d->client, r->client) != 0) ||
	           (d->backend != NULL && strcmp(d->backend, r->backend) != 0) ||
	           (d->stored != NULL && (strlen(d->stored) != r->stored_len || memcmp(d->stored, r->stored, r->stored_len) != 0)) ||
	           (d->text != NULL && strstr(r->text, d->text) == NULL) || r->saw_bad_bytes;
	if (bad)
		fail_msg("%s, %s:\n client  %s\n wanted  %s\n backend %s\n wanted  %s\n stored  %s\n wanted  %s\n%s%s", d->name,
		         how, r->client, d->client != NULL ? d->client : "-", r->backend, d->backend != NULL ? d->backend : "-",
		         r->stored, d->stored != NULL ? d->stored : "-", r->text, r->saw_bad_bytes ? "BAD BYTES BEHIND\n" : "");
}

static inline void dialogue_run(const struct dialogue *d)
{
	static struct rig_result r;
	rig_run(&d->setup, d->in, RIG_WHOLE, 0, &r);
	dialogue_check(d, &r, "whole");
	if (d->turns != 0)
		assert_int_equal(r.num_turns, d->turns);
	rig_run(&d->setup, d->in, RIG_BYTES, 0, &r);
	dialogue_check(d, &r, "octet by octet");
	for (uint32_t seed = 1; seed <= 20; seed++) {
		char how[32];
		snprintf(how, sizeof how, "cut by seed %u", seed);
		rig_run(&d->setup, d->in, RIG_RANDOM, seed * 2654435761U, &r);
		dialogue_check(d, &r, how);
	}
}

static inline void dialogue_run_one(void **state)
{
	dialogue_run(*state);
}

/* Each case is a test of its own, under its own name. */
static inline int dialogue_run_all(const char *group, const struct dialogue *all, size_t num)
{
	struct CMUnitTest *tests = calloc(num, sizeof *tests);
	if (tests == NULL)
		return 1;
	for (size_t i = 0; i < num; i++) {
		/* cmocka hands the state on without changing it. */
		union {
			const struct dialogue *from;
			void *to;
		} p = { .from = &all[i] };
		tests[i] = (struct CMUnitTest){ all[i].name, dialogue_run_one, NULL, NULL, p.to };
	}
	int failed = _cmocka_run_group_tests(group, tests, num, NULL, NULL);
	free(tests);
	return failed;
}

#endif

#include "tlsa-sync/mishaps.h"

#include <stdio.h>
#include <string.h>

/* Words come from other machines, may be cut in the middle of a letter, and are
 * shown on terminals and as JSON: only ASCII is kept, and each other letter
 * becomes one '?'. */
static void clean(char *text)
{
	char *to = text;
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (c >= 0x80 && c < 0xc0)
			continue; /* the rest of a letter */
		*to++ = c < ' ' || c >= 127 ? '?' : (char)c;
	}
	*to = '\0';
}

bool mishaps_add(struct mishaps *m, struct wall now, const char *where, const char *words)
{
	struct mishap one = { .first = now, .last = now, .count = 1 };
	(void)snprintf(one.where, sizeof one.where, "%s", where);
	(void)snprintf(one.words, sizeof one.words, "%s", words);
	clean(one.where);
	clean(one.words);
	unsigned at = 0;
	while (at < m->num && (strcmp(m->items[at].where, one.where) != 0 || strcmp(m->items[at].words, one.words) != 0))
		at++;
	bool fresh = at == m->num;
	if (!fresh) {
		one.first = m->items[at].first;
		one.count = m->items[at].count + 1;
	} else if (m->num < MISHAPS_MAX) {
		m->num++;
	} else {
		at = MISHAPS_MAX - 1;
	}
	memmove(&m->items[1], &m->items[0], at * sizeof m->items[0]);
	m->items[0] = one;
	return fresh;
}

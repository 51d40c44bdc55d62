#include "base/mishaps.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct mishap *mishaps_at(const struct mishaps *m, size_t i)
{
	assert(i < m->num);
	return &m->items[(m->next + MISHAPS_MAX - m->num + i) % MISHAPS_MAX];
}

/* Text may also be cut in the middle of a UTF-8 letter. */
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

/* The latest entry about the same thing; an older one that says the same is
 * history, because something else was true in between. */
static struct mishap *latest_about(struct mishaps *m, const char *what, const char *where)
{
	for (size_t i = m->num; i-- > 0;) {
		struct mishap *x = &m->items[(m->next + MISHAPS_MAX - m->num + i) % MISHAPS_MAX];
		if (strcmp(x->what, what) == 0 && strcmp(x->where, where) == 0)
			return x;
	}
	return NULL;
}

bool mishaps_add(struct mishaps *m, struct wall now, const char *what, const char *where, const char *why)
{
	struct mishap fresh = { .first = now, .last = now, .times = 1 };
	(void)snprintf(fresh.what, sizeof fresh.what, "%s", what);
	(void)snprintf(fresh.where, sizeof fresh.where, "%s", where == NULL ? "" : where);
	(void)snprintf(fresh.why.text, sizeof fresh.why.text, "%s", why);
	clean(fresh.where);
	clean(fresh.why.text);
	m->total++;
	struct mishap *same = latest_about(m, fresh.what, fresh.where);
	if (same != NULL && strcmp(same->why.text, fresh.why.text) == 0) {
		same->last = now;
		same->times++;
		return false;
	}
	m->items[m->next] = fresh;
	m->next = (m->next + 1) % MISHAPS_MAX;
	if (m->num < MISHAPS_MAX)
		m->num++;
	return true;
}

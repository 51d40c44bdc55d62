#include "tlsa-sync/status_text.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 6, CELL = 320 };

struct row {
	char cell[COLUMNS][CELL];
};

static void cell_set(char out[CELL], const char *text)
{
	(void)snprintf(out, CELL, "%s", text[0] == '\0' ? "-" : text);
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* "2026-11-21 14:05:00Z" reads better in a table. */
static void cell_time(char out[CELL], struct wall t)
{
	char text[WALL_TEXT_SIZE];
	wall_print(text, t);
	if (strlen(text) == 20)
		text[10] = ' ';
	cell_set(out, text);
}

/* What comes next, and when: a wait is told by the time at which it ends. */
static void row_fill(struct row *r, const struct facts *f, const struct decision *d, struct stamp now)
{
	cell_set(r->cell[0], f->identity);
	cell_set(r->cell[1], rollover_states[d->state].name);
	cell_time(r->cell[2], f->shown_since);
	cell_set(r->cell[3], d->waiting_for);
	cell_set(r->cell[4], d->next);
	cell_time(r->cell[5], d->at);
	if (d->at.s > now.wall.s) {
		char left[DURATION_TEXT_SIZE];
		size_t len = strlen(r->cell[5]);
		duration_print(left, d->at.s - now.wall.s);
		(void)snprintf(r->cell[5] + len, CELL - len, " (in %s)", left);
	}
}

static enum ec add(struct bytes *out, const char *text)
{
	return bytes_append(out, slice_str(text));
}

static const char *state_colour(enum rollover_state state)
{
	return state == RO_STEADY ? "\033[32m" : state == RO_AGEING || state == RO_HOLDING ? "\033[36m" : "\033[33m";
}

static enum ec row_print(const struct row *r, const size_t width[COLUMNS], const char *colour, struct bytes *out)
{
	enum ec ec = EC_OK;
	for (size_t c = 0; ec == EC_OK && c < COLUMNS; c++) {
		char text[CELL + 32];
		bool last = c == COLUMNS - 1, tint = c == 1 && colour != NULL;
		(void)snprintf(text, sizeof text, "%s%-*s%s%s", tint ? colour : "", last ? 0 : (int)width[c], r->cell[c],
		               tint ? "\033[0m" : "", last ? "\n" : "  ");
		ec = add(out, text);
	}
	return ec;
}

static enum ec line(struct bytes *out, const char *start, const char *text, const char *end)
{
	char clean[CELL + WHY_SIZE];
	(void)snprintf(clean, sizeof clean, "%s", text);
	for (char *p = clean; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	enum ec ec = add(out, start);
	if (ec == EC_OK)
		ec = add(out, clean);
	return ec == EC_OK ? add(out, end) : ec;
}

enum ec status_text(const struct facts *const *facts, const struct decision *decisions, size_t num,
                    struct stamp now, bool colour, struct bytes *out)
{
	static const struct row head = { { "IDENTITY", "STATE", "SINCE", "WAITING FOR", "NEXT", "AT" } };
	size_t width[COLUMNS] = { 0 };
	struct row r;
	for (size_t i = 0; i <= num; i++) {
		if (i == 0)
			r = head;
		else
			row_fill(&r, facts[i - 1], &decisions[i - 1], now);
		for (size_t c = 0; c < COLUMNS; c++)
			if (strlen(r.cell[c]) > width[c])
				width[c] = strlen(r.cell[c]);
	}
	enum ec ec = row_print(&head, width, NULL, out);
	for (size_t i = 0; ec == EC_OK && i < num; i++) {
		const struct decision *d = &decisions[i];
		row_fill(&r, facts[i], d, now);
		ec = row_print(&r, width, colour ? state_colour(d->state) : NULL, out);
		if (ec == EC_OK && d->why[0] != '\0')
			ec = line(out, "  ", d->why, "\n");
		for (size_t a = 0; ec == EC_OK && a < d->num_alarms; a++)
			ec = line(out, colour ? "  \033[31m! " : "  ! ", d->alarms[a], colour ? "\033[0m\n" : "\n");
	}
	return ec;
}

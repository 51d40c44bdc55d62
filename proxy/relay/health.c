#include "proxy/relay/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A handful of rows: those that are down just now, or drained. */
static struct health_row *row_of(const struct health *h, const char *name)
{
	for (size_t i = 0; i < h->num; i++)
		if (strcasecmp(h->rows[i].name, name) == 0)
			return &h->rows[i];
	return NULL;
}

static void remove_row(struct health *h, struct health_row *row)
{
	*row = h->rows[--h->num];
}

/* oldest is the row whose failure is forgotten first; NULL if all are drained. */
static struct health_row *oldest(struct health *h)
{
	struct health_row *best = NULL;
	for (size_t i = 0; i < h->num; i++)
		if (!h->rows[i].drained && (best == NULL || h->rows[i].until_ms < best->until_ms))
			best = &h->rows[i];
	return best;
}

static enum ec add_row(struct health *h, const char *name, struct health_row **out)
{
	if (strlen(name) >= HEALTH_NAME_SIZE)
		return EC_RANGE;
	if (h->num == HEALTH_MAX) {
		struct health_row *old = oldest(h);
		if (old == NULL)
			return EC_LIMIT;
		remove_row(h, old);
	}
	if (h->rows == NULL)
		h->rows = calloc(HEALTH_MAX, sizeof *h->rows);
	if (h->rows == NULL)
		return EC_NO_MEMORY;
	struct health_row *row = &h->rows[h->num++];
	*row = (struct health_row){ 0 };
	memcpy(row->name, name, strlen(name) + 1);
	*out = row;
	return EC_OK;
}

enum health_rank health_rank(const struct health *h, const char *name, struct mono now)
{
	const struct health_row *row = row_of(h, name);
	if (row == NULL)
		return HEALTH_GOOD;
	if (row->drained)
		return HEALTH_DRAINED;
	return row->failures > 0 && now.ms < row->until_ms ? HEALTH_FAILED : HEALTH_GOOD;
}

void health_failed(struct health *h, const char *name, struct mono now)
{
	struct health_row *row = row_of(h, name);
	if (row == NULL && add_row(h, name, &row) != EC_OK)
		return;
	/* Sessions that began before the last failure was known do not count again. */
	if (row->failures > 0 && now.ms < row->until_ms)
		return;
	int64_t wait = HEALTH_FIRST_MS;
	for (uint32_t i = 0; i < row->failures && wait < HEALTH_LONGEST_MS; i++)
		wait *= 2;
	row->failures++;
	row->until_ms = now.ms + (wait < HEALTH_LONGEST_MS ? wait : HEALTH_LONGEST_MS);
}

void health_worked(struct health *h, const char *name)
{
	struct health_row *row = row_of(h, name);
	if (row == NULL)
		return;
	if (row->drained)
		row->failures = 0;
	else
		remove_row(h, row);
}

enum ec health_drain(struct health *h, const char *name, bool drained)
{
	struct health_row *row = row_of(h, name);
	if (row == NULL && !drained)
		return EC_OK;
	enum ec ec = row == NULL ? add_row(h, name, &row) : EC_OK;
	if (ec != EC_OK)
		return ec;
	row->drained = drained;
	if (!drained && row->failures == 0)
		remove_row(h, row);
	return EC_OK;
}

void health_fini(struct health *h)
{
	free(h->rows);
	*h = (struct health){ 0 };
}

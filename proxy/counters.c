#include "proxy/counters.h"

#include <assert.h>

enum { COUNTERS_MAGIC = 0x64616e65, PAGE = 4096 };

static const struct counter_row rows[COUNT_NUM] = {
#define COUNTER_ROW(name, family, labels, kind, help) [COUNT_##name] = { family, labels, COUNTER_##kind, help },
	COUNTER_LIST(COUNTER_ROW)
#undef COUNTER_ROW
#define REFUSAL_ROW(name, text) \
	[COUNT_REFUSAL + SMTP_WHY_##name] = { "refusals", "reason=\"" text "\"", COUNTER_TOTAL, \
		                              "replies that refused something, by reason" },
	SMTP_REASON_LIST(REFUSAL_ROW)
#undef REFUSAL_ROW
#define ENDED_ROW(name, text) \
	[COUNT_ENDED + SMTP_WHY_##name] = { "sessions_ended", "reason=\"" text "\"", COUNTER_TOTAL, \
		                            "client sessions ended, by reason" },
	SMTP_REASON_LIST(ENDED_ROW)
#undef ENDED_ROW
};

size_t counters_size(void)
{
	return (sizeof(struct counters) + PAGE - 1) / PAGE * PAGE;
}

enum ec counters_begin(struct counters *c)
{
	if (c->magic == 0) {
		c->num = COUNT_NUM;
		c->magic = COUNTERS_MAGIC;
	} else if (c->magic != COUNTERS_MAGIC || c->num != COUNT_NUM) {
		return EC_CORRUPT;
	}
	for (unsigned i = 0; i < COUNT_NUM; i++)
		if (rows[i].kind == COUNTER_GAUGE)
			counters_set(c, (enum counter)i, 0);
	return EC_OK;
}

/* One writer, so a read, an addition and a store suffice: no locked
 * instruction. Atomic only so that a reader never sees half a word. */
void counters_add(struct counters *c, enum counter which, int64_t by)
{
	assert(by >= 0 || rows[which].kind == COUNTER_GAUGE);
	counters_set(c, which, counters_get(c, which) + (uint64_t)by);
}

void counters_set(struct counters *c, enum counter which, uint64_t value)
{
	__atomic_store_n(&c->values[which], value, __ATOMIC_RELAXED);
}

uint64_t counters_get(const struct counters *c, enum counter which)
{
	return __atomic_load_n(&c->values[which], __ATOMIC_RELAXED);
}

const struct counter_row *counters_row(enum counter which)
{
	return &rows[which];
}

uint64_t counters_sum(const struct counters *const *pages, size_t num, enum counter which)
{
	uint64_t sum = 0;
	bool first = true;
	for (size_t i = 0; i < num; i++) {
		if (pages[i] == NULL)
			continue;
		uint64_t v = counters_get(pages[i], which);
		if (which == COUNT_EPOCH)
			sum = first || v < sum ? v : sum;
		else
			sum += v;
		first = false;
	}
	return sum;
}

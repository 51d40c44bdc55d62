#include "proxy/super/backoff.h"

int64_t backoff_next(struct backoff *b)
{
	int64_t next = b->last_ms == 0 ? b->first_ms : b->last_ms * 2;
	b->last_ms = next > b->max_ms ? b->max_ms : next;
	return b->last_ms;
}

void backoff_reset(struct backoff *b)
{
	b->last_ms = 0;
}

int64_t backoff_after_crash(struct backoff *b, int64_t lived_ms, int64_t long_ms)
{
	if (lived_ms < long_ms)
		return backoff_next(b);
	backoff_reset(b);
	return 0;
}

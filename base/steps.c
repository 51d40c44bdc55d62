#include "base/steps.h"

bool step_allowed(const struct step_row *rows, size_t num_rows, unsigned from, unsigned to)
{
	return from < num_rows && to < num_rows && (rows[from].next & STEP(to)) != 0;
}

bool step_table_ok(const struct step_row *rows, size_t num_rows)
{
	if (num_rows == 0 || num_rows > 64)
		return false;
	uint64_t known = num_rows == 64 ? UINT64_MAX : STEP(num_rows) - 1;
	for (size_t i = 0; i < num_rows; i++)
		if (rows[i].name == NULL || (rows[i].next & ~known) != 0)
			return false;
	return true;
}

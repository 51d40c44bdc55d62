#include "copy.h"

#include <stddef.h>
#include <string.h>

#define ROWS(rows, num) { offsetof(struct facts, rows), sizeof ((struct facts *)0)->rows, sizeof ((struct facts *)0)->rows[0], \
	                  offsetof(struct facts, num) }
static const struct {
	size_t at, size, row, num;
} tables[] = {
	ROWS(instances, num_instances),
	ROWS(keys, num_keys),
	ROWS(servers, num_servers),
	ROWS(digests, num_digests),
	ROWS(agrees, num_agrees),
	ROWS(ttls, num_ttls),
	ROWS(addresses, num_addresses),
	ROWS(probes, num_probes),
	ROWS(renewals, num_renewals),
};

size_t facts_stretches(const struct facts *f, struct stretch out[STRETCHES_MAX])
{
	size_t n = 0, from = 0;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		size_t num;
		memcpy(&num, (const char *)f + tables[i].num, sizeof num);
		/* rows in use join what is before them */
		out[n++] = (struct stretch){ from, tables[i].at + num * tables[i].row - from };
		from = tables[i].at + tables[i].size;
	}
	out[n++] = (struct stretch){ from, sizeof *f - from };
	return n;
}

void facts_copy(struct facts *to, const struct facts *from)
{
	struct stretch s[STRETCHES_MAX];
	size_t n = facts_stretches(from, s);
	for (size_t i = 0; i < n; i++)
		memcpy((char *)to + s[i].at, (const char *)from + s[i].at, s[i].size);
}

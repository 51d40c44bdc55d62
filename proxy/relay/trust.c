#include "proxy/relay/trust.h"

#include <assert.h>

const char *trust_name(enum trust t)
{
	static const char *const names[] = { "clear", "encrypted", "local", "required", "mta-sts", "dane" };
	_Static_assert(sizeof names / sizeof *names == TRUST_NUM, "one word each");
	assert(t < TRUST_NUM);
	return names[t];
}

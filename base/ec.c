#include "base/ec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
	bool retry;
} rows[] = {
#define EC_ROW(name, text, retry) [EC_##name] = { "EC_" #name, text, retry },
	EC_LIST(EC_ROW)
#undef EC_ROW
};
static_assert(sizeof rows / sizeof rows[0] == EC_COUNT, "one row per code");

const char *ec_name(enum ec ec)
{
	assert((unsigned)ec < EC_COUNT);
	return rows[ec].name;
}

const char *ec_text(enum ec ec)
{
	assert((unsigned)ec < EC_COUNT);
	return rows[ec].text;
}

bool ec_retry(enum ec ec)
{
	assert((unsigned)ec < EC_COUNT);
	return rows[ec].retry;
}

bool ec_parse(const char *name, enum ec *out)
{
	for (unsigned i = 0; i < EC_COUNT; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			*out = (enum ec)i;
			return true;
		}
	}
	return false;
}

enum ec why_set(struct why *why, enum ec ec, const char *format, ...)
{
	if (why != NULL) {
		va_list ap;
		va_start(ap, format);
		/* Format aside: an argument may point into the text itself. */
		char text[WHY_SIZE];
		(void)vsnprintf(text, sizeof text, format, ap);
		va_end(ap);
		memcpy(why->text, text, sizeof text);
	}
	return ec;
}

void why_prefix(struct why *why, const char *format, ...)
{
	if (why == NULL)
		return;
	char head[WHY_SIZE];
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(head, sizeof head - 3, format, ap);
	va_end(ap);
	size_t len = strlen(head);
	memcpy(head + len, ": ", 3);
	len += 2;
	size_t rest = strlen(why->text);
	if (rest > WHY_SIZE - 1 - len)
		rest = WHY_SIZE - 1 - len;
	memmove(why->text + len, why->text, rest);
	memcpy(why->text, head, len);
	why->text[len + rest] = '\0';
}

#include "proxy/smtp/line.h"

#include <string.h>

enum ec smtp_line_take(struct slice in, size_t max, struct slice *out_line, size_t *out_used)
{
	struct slice window = slice_first(in, max);
	const uint8_t *lf = window.len > 0 ? memchr(window.p, '\n', window.len) : NULL;
	*out_used = 0;
	if (lf == NULL) {
		if (window.len < max)
			return EC_AGAIN;
		/* A CR at the edge may be half of the end: smtp_line_skip must see it. */
		*out_used = window.p[max - 1] == '\r' ? max - 1 : max;
		return EC_LINE_LONG;
	}
	size_t len = (size_t)(lf - window.p);
	*out_used = len + 1;
	if (len == 0 || window.p[len - 1] != '\r')
		return EC_BARE_LF;
	*out_line = slice_first(window, len - 1);
	if (memchr(window.p, '\r', len - 1) != NULL)
		return EC_BARE_CR;
	return memchr(window.p, '\0', len - 1) != NULL ? EC_NUL : EC_OK;
}

enum ec smtp_line_skip(struct slice in, size_t *out_used)
{
	const uint8_t *p = in.p;
	size_t left = in.len;
	while (left > 0) {
		const uint8_t *cr = memchr(p, '\r', left);
		if (cr == NULL)
			break;
		left -= (size_t)(cr - p);
		p = cr;
		if (left == 1) {
			*out_used = in.len - 1;
			return EC_AGAIN;
		}
		if (p[1] == '\n') {
			*out_used = in.len - left + 2;
			return EC_OK;
		}
		p++;
		left--;
	}
	*out_used = in.len;
	return EC_AGAIN;
}

#include "base/utf8.h"

size_t utf8_next(struct slice s, uint32_t *out)
{
	uint8_t c = s.p[0];
	size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (len == 0 || s.len < len)
		return 0;
	uint32_t n = len == 1 ? c : (uint32_t)(c & (0x7f >> len));
	for (size_t i = 1; i < len; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		n = n << 6 | (s.p[i] & 0x3f);
	}
	*out = n;
	return n < least[len] || (n >= 0xd800 && n < 0xe000) || n > 0x10ffff ? 0 : len;
}

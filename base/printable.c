#include "base/printable.h"

void printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] >= 0x7f)
			text[i] = '?';
}

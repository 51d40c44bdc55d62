/* Owns:  what a name in the configuration may look like.
 * Never: looks one up.
 * Spec:  RFC 1123 2.1 (hosts); RFC 1035 2.3.4 (lengths); RFC 5321 4.1.2 (domains of mail).
 * Start at: name_fault. */
#ifndef CONFIG_NAME_H
#define CONFIG_NAME_H

#include "base/slice.h"

enum name_kind {
	NAME_HOST, /* at least two labels, the last one no number */
	NAME_MAIL, /* one label is enough, and '_' is allowed: some have it */
	NAME_DNS /* also a number, and with a dot at the end */
};

/* name_fault tells what is wrong with `text`, to be written behind it ("has an empty
 * label"), or NULL. Names are in ASCII. */
const char *name_fault(struct slice text, enum name_kind kind);

#endif

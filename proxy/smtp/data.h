/* Owns:  the octets of a message on their way from DATA or BDAT to a backend's
 *        DATA: finds the end, stuffs dots, refuses or repairs stray line ends.
 * Never: takes anything but CRLF . CRLF for the end; emits a CR or LF that is
 *        not half of a CRLF, or a line that consists of one dot.
 * Spec:  RFC 5321 2.3.8, 4.1.1.4, 4.5.2; RFC 3030 2; CVE-2023-51764 and kin.
 * Start at: smtp_data_scan. */
#ifndef PROXY_SMTP_DATA_H
#define PROXY_SMTP_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum smtp_data_fault { SMTP_DATA_FINE, SMTP_DATA_BARE_LF, SMTP_DATA_BARE_CR, SMTP_DATA_NUL, SMTP_DATA_TOO_BIG };

enum smtp_data_state {
	SMTP_DATA_LINE,   /* at the start of a line that a CRLF began */
	SMTP_DATA_STRAY,  /* at the start of a line that a repaired stray CR or LF began */
	SMTP_DATA_MID,    /* inside a line */
	SMTP_DATA_CR,     /* behind a CR, which is held back */
	SMTP_DATA_DOT,    /* behind a dot at LINE, held back */
	SMTP_DATA_DOT_CR, /* behind dot and CR at LINE, both held back */
	SMTP_DATA_END,
	SMTP_DATA_STATES
};

/* struct smtp_data is one message's scanner. Once `fault` is set nothing more
 * is emitted, and the real end is still looked for. `size` counts octets of
 * content: no stuffed dots, no final dot (RFC 1870 5). */
struct smtp_data {
	enum smtp_data_state state;
	enum smtp_data_fault fault; /* the first one */
	bool normalize;             /* stray CR or LF becomes CRLF, instead of a fault */
	bool chunked;               /* BDAT: no dots on the way in, no end in the octets */
	uint64_t size;
	uint64_t max;               /* of size; 0: none */
};

void smtp_data_init(struct smtp_data *d, bool normalize, bool chunked, uint64_t max);

/* struct smtp_data_out collects the ranges to pass on, in order. They borrow
 * from the scanned octets or are static. */
enum { SMTP_DATA_RANGES_ROOM = 4 };
struct smtp_data_out {
	struct slice *ranges;
	size_t cap; /* at least SMTP_DATA_RANGES_ROOM */
	size_t num;
};

/* smtp_data_scan takes octets from `in`, adds ranges to `out`, and returns how
 * many it took: all, unless `out` is nearly full or state END was reached. */
size_t smtp_data_scan(struct smtp_data *d, struct slice in, struct smtp_data_out *out);

/* smtp_data_last ends a chunked message: a held CR is a stray one, and a last
 * line without CRLF gets it, as DATA can't say it otherwise. */
void smtp_data_last(struct smtp_data *d, struct smtp_data_out *out);

#endif

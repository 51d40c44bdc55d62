/* Owns:  the octets of a message on their way to a backend: finds the end, stuffs
 *        dots, refuses or repairs stray line ends.
 * Never: takes anything but CRLF . CRLF for the end; emits a CR or LF that is
 *        not half of a CRLF (but BINARY), or to DATA a line of one dot.
 * Spec:  RFC 5321 2.3.8, 4.1.1.4, 4.5.2; RFC 3030 2; CVE-2023-51764 and kin.
 * Start at: smtp_data_scan. */
#ifndef PROXY_SMTP_DATA_H
#define PROXY_SMTP_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum smtp_data_fault { SMTP_DATA_FINE, SMTP_DATA_BARE_LF, SMTP_DATA_BARE_CR, SMTP_DATA_NUL, SMTP_DATA_TOO_BIG };

/* How the message comes and goes. PASSED is octet for octet, so that the sizes of
 * chunks stay true: what would need a repair is a fault there. The policy about
 * line ends is that of DATA all the same, because the next hop but one may get
 * the message by DATA (RFC 3030 2, CVE-2023-51764). BINARY has no lines at all. */
enum smtp_data_form {
	SMTP_FORM_DATA,   /* DATA to DATA */
	SMTP_FORM_CHUNKS, /* BDAT to DATA */
	SMTP_FORM_PASSED, /* BDAT to BDAT; never with `normalize` */
	SMTP_FORM_BINARY, /* BDAT to BDAT, BODY=BINARYMIME: RFC 3030 3 */
};

enum smtp_data_state {
	SMTP_DATA_LINE,   /* at the start of a line that a CRLF began */
	SMTP_DATA_STRAY,  /* at the start of a line that a repaired stray CR or LF began */
	SMTP_DATA_MID,    /* inside a line */
	SMTP_DATA_CR,     /* behind a CR, which is held back */
	SMTP_DATA_CR_OUT, /* behind a CR that ended a chunk, and is out */
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
	enum smtp_data_form form;
	uint64_t size;
	uint64_t max;               /* of size; 0: none */
};

void smtp_data_init(struct smtp_data *d, bool normalize, enum smtp_data_form form, uint64_t max);

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

/* smtp_data_pause ends a chunk that is not the last: what was held back goes out
 * if chunks are passed on. At most one range more. */
void smtp_data_pause(struct smtp_data *d, struct smtp_data_out *out);

/* smtp_data_last ends a message that came in chunks: a CR at its end is a stray
 * one, and for DATA a last line without CRLF gets it, as DATA can't say it
 * otherwise. At most one range more. */
void smtp_data_last(struct smtp_data *d, struct smtp_data_out *out);

#endif

/* Owns:  where a command line ends.
 * Never: takes anything but CRLF for an end, or keeps bytes.
 * Spec:  RFC 5321 2.3.8, 4.5.3.1.4; RFC 2920 3.2.
 * Start at: smtp_line_take. */
#ifndef PROXY_SMTP_LINE_H
#define PROXY_SMTP_LINE_H

#include <stdbool.h>

#include "base/ec.h"
#include "base/slice.h"

/* smtp_line_take looks for one line at the front of `in`. Of a line, CRLF
 * included, at most `max` octets are taken.
 *   EC_OK         `*out_line` is the line without its CRLF
 *   EC_AGAIN      not complete yet; nothing is taken
 *   EC_BARE_LF    a LF without CR before it: taken up to and with that LF
 *   EC_BARE_CR, EC_NUL   a whole line that contains one: taken with its CRLF
 *   EC_LINE_LONG  no end within `max`: those octets are taken
 * After EC_BARE_LF and EC_LINE_LONG the rest of that line is still to come:
 * smtp_line_skip takes it. `*out_used` is what was taken. */
enum ec smtp_line_take(struct slice in, size_t max, struct slice *out_line, size_t *out_used) MUST_CHECK;

/* smtp_line_skip takes octets up to and with the next CRLF; EC_AGAIN when that
 * was not reached (a CR at the end of `in` is then left for the next call). */
enum ec smtp_line_skip(struct slice in, size_t *out_used) MUST_CHECK;

#endif

/* Owns:  the log: one event per line on standard error, logfmt or JSON.
 * Never: blocks a caller for longer than one write; never prints a raw control
 *        byte, so a peer can't forge a line.
 * Spec:  –
 * Start at: log_begin. */
#ifndef BASE_LOG_FS_H
#define BASE_LOG_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* log_setup chooses format, the least level printed and the program's name,
 * which is borrowed for good. Without it: logfmt, info, "danegate". */
void log_setup(enum log_format format, enum log_level least, const char *program);

struct log_line {
	struct writer w;
	char text[2048];
	bool off;
};

/* log_begin starts an event; log_str, log_bytes and log_int add fields; log_end
 * writes the line. A line that grows too long is cut at a field's end.
 *     struct log_line l;
 *     log_begin(&l, LOG_NOTICE, "swap");
 *     log_str(&l, "identity", name);
 *     log_end(&l); */
void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, const char *value);
void log_bytes(struct log_line *l, const char *key, struct slice value);
void log_int(struct log_line *l, const char *key, int64_t value);
void log_end(struct log_line *l);

/* log_why is the common case: an event with a reason. `where` may be NULL. */
void log_why(enum log_level level, const char *event, const char *where, const char *why);

#endif

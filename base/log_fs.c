#include "base/log_fs.h"

#include <time.h>
#include <unistd.h>

#include "base/instant.h"

static struct {
	enum log_format format;
	enum log_level least;
	const char *program;
} setup = { LOG_LOGFMT, LOG_INFO, "danegate" };

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info",   [LOG_NOTICE] = "notice",
	[LOG_WARNING] = "warning", [LOG_ERROR] = "error",
};

/* Room kept for the line's end, so that a cut line is still well formed. */
enum { TAIL = 4 };

void log_setup(enum log_format format, enum log_level least, const char *program)
{
	setup.format = format;
	setup.least = least;
	setup.program = program;
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c >= 0x7f)
			return false;
	}
	return s.len > 0;
}

/* JSON's escapes are used in logfmt too: one quoting rule for both. Octets
 * above ASCII are shown as \u00XX, so the line is valid whatever a peer sent. */
static void put_quoted(struct writer *w, struct slice s)
{
	writer_str(w, "\"");
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (c == '"' || c == '\\')
			writer_format(w, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			writer_format(w, "\\u%04x", c);
		else
			writer_bytes(w, slice_of(&c, 1));
	}
	writer_str(w, "\"");
}

static void put_field(struct log_line *l, const char *key, struct slice value, bool number)
{
	if (l->off)
		return;
	struct writer before = l->w;
	bool json = setup.format == LOG_JSON;
	if (json)
		writer_str(&l->w, l->w.len > 1 ? ",\"" : "\"");
	else if (l->w.len > 0)
		writer_str(&l->w, " ");
	writer_str(&l->w, key);
	writer_str(&l->w, json ? "\":" : "=");
	if (number || (setup.format == LOG_LOGFMT && is_plain(value)))
		writer_bytes(&l->w, value);
	else
		put_quoted(&l->w, value);
	if (l->w.bad)
		l->w = before;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	l->off = level < setup.least;
	if (l->off)
		return;
	l->w = writer_of(l->text, sizeof l->text - TAIL);
	if (setup.format == LOG_JSON)
		writer_str(&l->w, "{");
	char now[WALL_TEXT_SIZE];
	wall_print(now, (struct wall){ (int64_t)time(NULL) });
	log_str(l, "time", now);
	log_str(l, "level", level_names[level]);
	log_str(l, "program", setup.program);
	log_int(l, "pid", (int64_t)getpid());
	log_str(l, "event", event);
}

void log_str(struct log_line *l, const char *key, const char *value)
{
	put_field(l, key, slice_str(value), false);
}

void log_bytes(struct log_line *l, const char *key, struct slice value)
{
	put_field(l, key, value, false);
}

void log_int(struct log_line *l, const char *key, int64_t value)
{
	char text[24];
	struct writer w = writer_of(text, sizeof text);
	if (value < 0)
		writer_str(&w, "-");
	writer_u64(&w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
	put_field(l, key, writer_slice(&w), true);
}

void log_end(struct log_line *l)
{
	if (l->off)
		return;
	l->w.cap = sizeof l->text;
	writer_str(&l->w, setup.format == LOG_JSON ? "}\n" : "\n");
	/* A log that can't be written has nowhere to say so. */
	ssize_t n = write(STDERR_FILENO, l->w.p, l->w.len);
	(void)n;
}

void log_why(enum log_level level, const char *event, const char *where, const char *why)
{
	struct log_line l;
	log_begin(&l, level, event);
	if (where != NULL)
		log_str(&l, "where", where);
	log_str(&l, "why", why);
	log_end(&l);
}

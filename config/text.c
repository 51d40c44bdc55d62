#include "config/text.h"

#include "base/utf8.h"

static bool allowed(uint32_t n)
{
	return n == '\t' || n == '\n' || n == '\r' || (n >= 0x20 && n < 0x7f) ||
	       (n >= 0xa0 && n != 0xfeff && (n & 0xfffe) != 0xfffe);
}

static enum ec check_characters(struct slice text, const char *file_name, struct config_errors *errs)
{
	struct config_mark mark = { 1, 1 };
	bool indent = true;
	while (text.len > 0) {
		uint32_t n = 0;
		size_t len = utf8_next(text, &n);
		const char *fault = len == 0 ? "is not UTF-8; save the file as UTF-8" :
		                    !allowed(n) ?
		                               "is a control character or a byte order mark; remove it" :
		                    n == '\t' && indent ? "is a tab; indent with spaces" :
		                                          NULL;
		if (fault != NULL) {
			config_errors_add(errs, EC_SYNTAX, file_name, mark, "", "byte 0x%02x %s", text.p[0], fault);
			return EC_SYNTAX;
		}
		indent = n == '\n' || n == '\r' || (indent && n == ' ');
		mark.col++;
		if (n == '\n')
			mark = (struct config_mark){ mark.line + 1, 1 };
		text = slice_from(text, len);
	}
	return EC_OK;
}

static struct config_mark end_of(struct slice text)
{
	struct config_mark mark = { 1, 1 };
	for (size_t i = 0; i < text.len; i++) {
		mark.col++;
		if (text.p[i] == '\n')
			mark = (struct config_mark){ mark.line + 1, 1 };
	}
	return mark;
}

enum ec text_check(struct slice text, const char *file_name, struct config_errors *errs)
{
	if (text.len > CONFIG_TEXT_MAX) {
		config_errors_add(errs, EC_LIMIT, file_name, (struct config_mark){ 1, 1 }, "",
		                  "the file has %zu bytes; at most %d are read", text.len, CONFIG_TEXT_MAX);
		return EC_LIMIT;
	}
	if (text.len == 0) {
		config_errors_add(errs, EC_SYNTAX, file_name, (struct config_mark){ 1, 1 }, "",
		                  "the file is empty; start from the sample danegate.yaml");
		return EC_SYNTAX;
	}
	enum ec ec = check_characters(text, file_name, errs);
	if (ec == EC_OK && text.p[text.len - 1] != '\n') {
		config_errors_add(errs, EC_SYNTAX, file_name, end_of(text), "",
		                  "the file ends in the middle of a line and may be cut off; complete it and end the "
		                  "last line");
		ec = EC_SYNTAX;
	}
	return ec;
}

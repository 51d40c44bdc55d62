#include "config/name.h"

#include <stdbool.h>

#include "base/domain.h"

struct label {
	struct slice text;
	bool letters;
};

static const char *label_fault(struct label *label, enum name_kind kind)
{
	struct slice s = label->text;
	if (s.len > DOMAIN_LABEL_MAX)
		return "has a label of more than 63 characters";
	if (kind != NAME_DNS && (s.p[0] == '-' || s.p[s.len - 1] == '-'))
		return "has a label that starts or ends with a hyphen";
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (c >= 0x80)
			return "is not ASCII; write the xn-- form";
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && !(c == '_' && kind != NAME_HOST))
			return "has a character that names don't have";
		label->letters = label->letters || letter;
	}
	return NULL;
}

const char *name_fault(struct slice text, enum name_kind kind)
{
	size_t start = 0, labels = 0;
	struct label label = { 0 };
	if (kind == NAME_DNS && text.len > 1 && text.p[text.len - 1] == '.')
		text.len--;
	if (text.len > DOMAIN_MAX)
		return "is longer than 253 characters";
	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.p[i] != '.')
			continue;
		if (i == start)
			return i == text.len && i > 0 ? "ends with a dot" : "has an empty label";
		label = (struct label){ .text = slice_of(text.p + start, i - start) };
		const char *fault = label_fault(&label, kind);
		if (fault != NULL)
			return fault;
		labels++;
		start = i + 1;
	}
	if (kind == NAME_HOST && labels < 2)
		return "has only one label";
	if (kind != NAME_DNS && !label.letters)
		return "is no name but a number or address";
	return NULL;
}

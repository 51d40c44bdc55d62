#include "config/pem.h"

#include <string.h>

bool pem_is_base64(struct slice s)
{
	size_t pad = 0;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
		             c == '/';
		if (c == '=' && i + 2 >= s.len)
			pad++;
		else if (!digit || pad > 0)
			return false;
	}
	return s.len % 4 == 0;
}

bool pem_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes `word` from the front of what is left, if it is there. */
static bool take(struct pem *p, struct slice word)
{
	if (p->rest.len < word.len || memcmp(p->rest.p, word.p, word.len) != 0)
		return false;
	p->rest = slice_from(p->rest, word.len);
	return true;
}

/* Takes all up to `word`, which stays; false when it does not come. */
static bool find(struct pem *p, struct slice word, struct slice *out_before)
{
	const uint8_t *at = p->rest.len == 0 ? NULL : memmem(p->rest.p, p->rest.len, word.p, word.len);
	if (at == NULL)
		return false;
	*out_before = slice_first(p->rest, (size_t)(at - p->rest.p));
	p->rest = slice_from(p->rest, out_before->len);
	return true;
}

static enum ec take_body(struct pem *p, struct slice body)
{
	bytes_consume(&p->body, bytes_len(&p->body));
	for (size_t i = 0; i < body.len; i++)
		if (!pem_is_blank(body.p[i]) && bytes_append(&p->body, slice_of(body.p + i, 1)) != EC_OK)
			return EC_NO_MEMORY;
	return bytes_len(&p->body) > 0 && pem_is_base64(bytes_slice(&p->body)) ? EC_OK : EC_CORRUPT;
}

/* Behind a BEGIN: base64 and blanks, and nothing else up to the END of the same name. */
static enum ec take_block(struct pem *p, struct slice end)
{
	struct slice body;
	p->num++;
	if (!find(p, SLICE_LIT("-----"), &body) || !take(p, end))
		return EC_CORRUPT;
	return take_body(p, body);
}

/* An END alone: the BEGIN before it is what was damaged. */
static bool has_end(struct slice text)
{
	static const struct slice ends[] = { SLICE_LIT("-----END CERTIFICATE-----"), SLICE_LIT("-----END X509 CERTIFICATE-----") };
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (text.len > 0 && memmem(text.p, text.len, ends[i].p, ends[i].len) != NULL)
			return true;
	return false;
}

static enum ec next_block(struct pem *p)
{
	for (;;) {
		struct slice between = p->rest;
		bool found = find(p, SLICE_LIT("-----BEGIN "), &between);
		if (has_end(between)) {
			p->num++;
			return EC_CORRUPT;
		}
		if (!found)
			return EC_MISSING;
		if (take(p, SLICE_LIT("-----BEGIN CERTIFICATE-----")))
			return take_block(p, SLICE_LIT("-----END CERTIFICATE-----"));
		if (take(p, SLICE_LIT("-----BEGIN X509 CERTIFICATE-----"))) /* an old name of it: RFC 7468 5.1 */
			return take_block(p, SLICE_LIT("-----END X509 CERTIFICATE-----"));
		(void)take(p, SLICE_LIT("-----BEGIN "));
	}
}

enum ec pem_next(struct pem *p, struct why *why)
{
	enum ec ec = next_block(p);
	if (ec == EC_CORRUPT)
		(void)why_set(why, ec, "certificate %zu is cut off or damaged; copy the file again", p->num);
	return ec;
}

void pem_fini(struct pem *p)
{
	bytes_fini(&p->body);
}

enum ec pem_check(const char *path, struct slice text, struct why *why)
{
	struct pem p = { .rest = text };
	enum ec ec = EC_OK;
	while (ec == EC_OK)
		ec = pem_next(&p, NULL);
	if (ec == EC_MISSING && p.num > 0)
		ec = EC_OK;
	else if (ec == EC_MISSING)
		ec = why_set(why, EC_SYNTAX, "%s holds no certificate in PEM (-----BEGIN CERTIFICATE-----); name the CA's file",
		             path);
	else if (ec == EC_CORRUPT)
		(void)why_set(why, ec, "certificate %zu in %s is cut off or damaged; copy the file again", p.num, path);
	else
		(void)why_set(why, ec, "out of memory");
	pem_fini(&p);
	return ec;
}

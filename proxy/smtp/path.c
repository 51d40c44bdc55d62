#include "proxy/smtp/path.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 5321 4.1.2, RFC 5322 3.2.3. */
static bool is_atext(uint8_t c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

size_t smtp_utf8_len(struct slice s)
{
	if (s.len < 2)
		return 0;
	uint8_t a = s.p[0], b = s.p[1];
	size_t len = a >= 0xc2 && a <= 0xdf ? 2 : a >= 0xe0 && a <= 0xef ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
	if (len == 0 || s.len < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF (RFC 3629 4), C1 controls. */
	if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f))
		return 0;
	if (a == 0xc2 && b < 0xa0)
		return 0;
	/* U+2028 and U+2029 are line ends to some software. */
	if (a == 0xe2 && b == 0x80 && (s.p[2] == 0xa8 || s.p[2] == 0xa9))
		return 0;
	return len;
}

static bool label_ok(struct slice label, bool utf8)
{
	if (label.len == 0 || label.len > 63 || label.p[0] == '-' || label.p[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len;) {
		uint8_t c = label.p[i];
		size_t len = 1;
		/* '_' is in no RFC's host names, but in real ones. */
		if (!is_alnum(c) && c != '-' && c != '_') {
			len = utf8 ? smtp_utf8_len(slice_from(label, i)) : 0;
			if (len == 0)
				return false;
		}
		i += len;
	}
	return true;
}

static bool literal_ok(struct slice s)
{
	char text[INET6_ADDRSTRLEN] = { 0 };
	unsigned char out[16];
	int family = AF_INET;
	if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	s = slice_of(s.p + 1, s.len - 2);
	if (slice_eq_nocase(slice_first(s, 5), SLICE_LIT("IPv6:"))) {
		s = slice_from(s, 5);
		family = AF_INET6;
	}
	if (s.len == 0 || s.len >= sizeof text || memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.p, s.len);
	return inet_pton(family, text, out) == 1;
}

bool smtp_domain_ok(struct slice s, bool utf8)
{
	if (s.len == 0 || s.len > SMTP_DOMAIN_MAX)
		return false;
	if (s.p[0] == '[')
		return literal_ok(s);
	for (size_t start = 0; start <= s.len;) {
		const uint8_t *dot = start < s.len ? memchr(s.p + start, '.', s.len - start) : NULL;
		size_t end = dot != NULL ? (size_t)(dot - s.p) : s.len;
		if (!label_ok(slice_of(s.p + start, end - start), utf8))
			return false;
		start = end + 1;
	}
	return true;
}

/* Takes one character of a local part; UTF-8 is looked at by the caller. */
static enum ec local_put(struct smtp_path *out, struct slice c)
{
	if (out->local_len + c.len > SMTP_LOCAL_MAX)
		return EC_RANGE;
	memcpy(out->local + out->local_len, c.p, c.len);
	out->local_len = (uint8_t)(out->local_len + c.len);
	return EC_OK;
}

/* Takes a UTF-8 character off `in`, if there is one and it may be there. */
static enum ec local_utf8(struct slice *in, unsigned allow, struct smtp_path *out)
{
	size_t len = smtp_utf8_len(*in);
	if (len == 0)
		return EC_SYNTAX;
	if ((allow & SMTP_PATH_UTF8) == 0)
		return EC_UNSUPPORTED;
	out->utf8 = true;
	enum ec ec = local_put(out, slice_first(*in, len));
	*in = slice_from(*in, len);
	return ec;
}

/* Quoted-string = DQUOTE *(qtext / quoted-pair) DQUOTE: RFC 5321 4.1.2. */
static enum ec parse_quoted(struct slice *in, unsigned allow, struct smtp_path *out)
{
	enum ec ec = EC_OK;
	out->quoted = true;
	*in = slice_from(*in, 1);
	while (ec == EC_OK && in->len > 0 && in->p[0] != '"') {
		uint8_t c = in->p[0];
		if (c >= 0x80) {
			ec = local_utf8(in, allow, out);
			continue;
		}
		if (c == '\\') {
			*in = slice_from(*in, 1);
			if (in->len == 0)
				return EC_SYNTAX;
			c = in->p[0];
		}
		if (c < 0x20 || c > 0x7e)
			return EC_SYNTAX;
		ec = local_put(out, slice_first(*in, 1));
		*in = slice_from(*in, 1);
	}
	if (ec != EC_OK)
		return ec;
	if (in->len == 0)
		return EC_SYNTAX; /* not closed */
	*in = slice_from(*in, 1);
	return EC_OK;
}

/* Dot-string = Atom *("." Atom). */
static enum ec parse_dot_string(struct slice *in, unsigned allow, struct smtp_path *out)
{
	bool atom = false;
	while (in->len > 0 && in->p[0] != '@' && in->p[0] != '>') {
		uint8_t c = in->p[0];
		enum ec ec;
		if (c >= 0x80) {
			ec = local_utf8(in, allow, out);
		} else {
			if (c == '.' ? !atom : !is_atext(c))
				return EC_SYNTAX;
			ec = local_put(out, slice_first(*in, 1));
			*in = slice_from(*in, 1);
		}
		if (ec != EC_OK)
			return ec;
		atom = c != '.';
	}
	return atom ? EC_OK : EC_SYNTAX;
}

static size_t domain_end(struct slice s)
{
	bool inside = false; /* the colons of [IPv6:…] do not end a route */
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (c == '>' || (!inside && (c == ',' || c == ':')))
			return i;
		inside = c == '[' || (inside && c != ']');
	}
	return s.len;
}

/* A-d-l ":" = "@" Domain *("," "@" Domain) ":". RFC 5321 appendix C: must be
 * accepted, should be ignored. */
static enum ec skip_route(struct slice *in, unsigned allow)
{
	while (in->len > 0 && in->p[0] == '@') {
		*in = slice_from(*in, 1);
		size_t end = domain_end(*in);
		if (!smtp_domain_ok(slice_first(*in, end), (allow & SMTP_PATH_UTF8) != 0))
			return EC_SYNTAX;
		*in = slice_from(*in, end);
		if (in->len == 0)
			return EC_SYNTAX;
		uint8_t c = in->p[0];
		*in = slice_from(*in, 1);
		if (c == ':')
			return EC_OK;
		if (c != ',' || in->len == 0 || in->p[0] != '@')
			return EC_SYNTAX;
	}
	return EC_OK;
}

static enum ec parse_domain(struct slice *in, unsigned allow, struct smtp_path *out)
{
	size_t end = domain_end(*in);
	struct slice domain = slice_first(*in, end);
	if (domain.len > SMTP_DOMAIN_MAX)
		return EC_RANGE;
	if (!smtp_domain_ok(domain, true))
		return EC_SYNTAX;
	for (size_t i = 0; i < domain.len; i++)
		if (domain.p[i] >= 0x80)
			out->utf8 = true;
	if (out->utf8 && (allow & SMTP_PATH_UTF8) == 0)
		return EC_UNSUPPORTED;
	memcpy(out->domain, domain.p, domain.len);
	out->domain_len = (uint8_t)domain.len;
	*in = slice_from(*in, end);
	return EC_OK;
}

static bool is_postmaster(const struct smtp_path *path)
{
	return !path->quoted && slice_eq_nocase(slice_of(path->local, path->local_len), SLICE_LIT("postmaster"));
}

/* The mailbox, up to and not including the '>'. */
static enum ec parse_mailbox(struct slice *in, unsigned allow, struct smtp_path *out)
{
	enum ec ec = skip_route(in, allow);
	if (ec != EC_OK)
		return ec;
	if (in->len == 0)
		return EC_SYNTAX;
	ec = in->p[0] == '"' ? parse_quoted(in, allow, out) : parse_dot_string(in, allow, out);
	if (ec != EC_OK)
		return ec;
	if (in->len > 0 && in->p[0] == '>')
		return (allow & SMTP_PATH_POSTMASTER) != 0 && is_postmaster(out) ? EC_OK : EC_SYNTAX;
	if (in->len == 0 || in->p[0] != '@')
		return EC_SYNTAX;
	*in = slice_from(*in, 1);
	return parse_domain(in, allow, out);
}

enum ec smtp_path_parse(struct slice *in, unsigned allow, struct smtp_path *out)
{
	struct smtp_path path = { 0 };
	struct slice rest = *in;
	if (rest.len < 2 || rest.p[0] != '<')
		return EC_SYNTAX;
	rest = slice_from(rest, 1);
	if (rest.p[0] == '>') {
		if ((allow & SMTP_PATH_NULL) == 0)
			return EC_SYNTAX;
	} else {
		enum ec ec = parse_mailbox(&rest, allow, &path);
		if (ec != EC_OK)
			return ec;
	}
	if (rest.len == 0 || rest.p[0] != '>')
		return EC_SYNTAX;
	struct writer w = writer_of((char[SMTP_PATH_TEXT_SIZE]){ 0 }, SMTP_PATH_TEXT_SIZE);
	smtp_path_print(&w, &path);
	if (w.len > SMTP_PATH_MAX)
		return EC_RANGE;
	*in = slice_from(rest, 1);
	*out = path;
	return EC_OK;
}

void smtp_path_print(struct writer *w, const struct smtp_path *path)
{
	writer_str(w, path->quoted ? "<\"" : "<");
	for (size_t i = 0; i < path->local_len; i++) {
		if (path->quoted && (path->local[i] == '"' || path->local[i] == '\\'))
			writer_str(w, "\\");
		writer_bytes(w, slice_of(&path->local[i], 1));
	}
	writer_str(w, path->quoted ? "\"" : "");
	if (path->domain_len > 0)
		writer_str(w, "@");
	writer_bytes(w, slice_of(path->domain, path->domain_len));
	writer_str(w, ">");
}

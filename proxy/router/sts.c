#include "proxy/router/sts.h"

#include <string.h>

enum { TXT_MAX = 512, KEY_MAX = 32, LABEL_MAX = 63 };

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s = slice_first(s, s.len - 1);
	return s;
}

/* cut takes what is in front of `c` off `*rest`; without one, all of it. */
static struct slice cut(struct slice *rest, uint8_t c)
{
	const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->p, c, rest->len);
	struct slice head = end == NULL ? *rest : slice_first(*rest, (size_t)(end - rest->p));
	*rest = end == NULL ? slice_from(*rest, rest->len) : slice_from(*rest, head.len + 1);
	return head;
}

/* A name as extensions have them, RFC 8461 3.1 and 3.2: a letter or digit, then up to 31 of these or "_-.". */
static bool is_key(struct slice s)
{
	if (s.len == 0 || s.len > KEY_MAX || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_alnum(s.p[i]) && memchr("_-.", s.p[i], 3) == NULL)
			return false;
	return true;
}

/* --- the TXT record ----------------------------------------------------------- */

/* A record's strings are put together without anything between, RFC 8461 3.1. What does not fit was
 * not written for us: an id has 32 octets. */
static enum ec txt_join(struct slice rdata, struct writer *w)
{
	struct reader r = reader_of(rdata);
	while (r.rest.len > 0 && !r.bad) {
		size_t len = reader_u8(&r);
		writer_bytes(w, reader_bytes(&r, len));
	}
	return r.bad || w->bad ? EC_SYNTAX : EC_OK;
}

static bool txt_is_ours(struct slice text)
{
	static const char start[] = "v=STSv1";
	size_t len = sizeof start - 1;
	if (text.len <= len || memcmp(text.p, start, len) != 0)
		return false;
	text = trim(slice_from(text, len));
	return text.len > 0 && text.p[0] == ';';
}

static enum ec txt_read(struct slice text, char out_id[STS_ID_MAX + 1], struct why *why)
{
	static const struct slice id_key = SLICE_LIT("id");
	bool found = false;
	(void)cut(&text, ';');
	while (text.len > 0) {
		struct slice value = trim(cut(&text, ';'));
		if (value.len == 0 && text.len == 0)
			break; /* the last delimiter may be there or not */
		struct slice key = cut(&value, '=');
		if (!is_key(key) || value.len == 0)
			return why_set(why, EC_SYNTAX, "the TXT record has a field that is not KEY=VALUE");
		if (!slice_eq(key, id_key) || found)
			continue;
		found = value.len <= STS_ID_MAX;
		for (size_t i = 0; i < value.len; i++)
			found = found && is_alnum(value.p[i]);
		if (!found)
			return why_set(why, EC_SYNTAX, "the id in the TXT record is not 1 to %d letters and digits", STS_ID_MAX);
		memcpy(out_id, value.p, value.len);
		out_id[value.len] = '\0';
	}
	return found ? EC_OK : why_set(why, EC_SYNTAX, "the TXT record has no id");
}

enum ec sts_txt_parse(const struct slice *rdata, size_t num, char out_id[STS_ID_MAX + 1], struct why *why)
{
	char text[TXT_MAX], ours[TXT_MAX];
	size_t found = 0, len = 0;
	out_id[0] = '\0';
	for (size_t i = 0; i < num; i++) {
		struct writer w = writer_of(text, sizeof text);
		enum ec ec = txt_join(rdata[i], &w);
		if (!txt_is_ours(writer_slice(&w)))
			continue;
		if (ec != EC_OK)
			return why_set(why, EC_SYNTAX, "the TXT record is damaged or too long");
		found++;
		len = w.len;
		memcpy(ours, text, w.len);
	}
	if (found == 0)
		return why_set(why, EC_NOT_FOUND, "no TXT record that starts with v=STSv1");
	if (found > 1)
		return why_set(why, EC_DUPLICATE, "%zu TXT records that start with v=STSv1", found);
	enum ec ec = txt_read(slice_of(ours, len), out_id, why);
	if (ec != EC_OK)
		out_id[0] = '\0';
	return ec;
}

/* --- the policy ------------------------------------------------------------------ */

static bool is_domain(struct slice s)
{
	size_t label = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if ((!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_') || ++label > LABEL_MAX) {
			return false;
		}
	}
	return label > 0;
}

static struct slice without_dot(struct slice s)
{
	return s.len > 0 && s.p[s.len - 1] == '.' ? slice_first(s, s.len - 1) : s;
}

/* ["*."] Domain; an internationalized one stands as A-labels. */
static enum ec take_mx(struct sts_policy *p, struct slice value, struct why *why)
{
	struct slice s = without_dot(value);
	bool star = s.len > 2 && s.p[0] == '*' && s.p[1] == '.';
	if (s.len >= STS_MX_SIZE || !is_domain(slice_from(s, star ? 2 : 0)))
		return why_set(why, EC_SYNTAX, "mx: \"%.*s\" is neither a host name nor *. and one", (int)(s.len > 80 ? 80 : s.len),
		               (const char *)s.p);
	if (p->num_mx == STS_MX_MAX)
		return why_set(why, EC_LIMIT, "more than %d mx", STS_MX_MAX);
	char *out = p->mx[p->num_mx++];
	for (size_t i = 0; i < s.len; i++)
		out[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
	out[s.len] = '\0';
	return EC_OK;
}

static enum ec take_mode(struct sts_policy *p, struct slice value, struct why *why)
{
	static const enum route_sts modes[] = { ROUTE_STS_NONE, ROUTE_STS_TESTING, ROUTE_STS_ENFORCE };
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (slice_eq(value, slice_str(route_sts_name(modes[i])))) {
			p->mode = modes[i];
			return EC_OK;
		}
	}
	return why_set(why, EC_SYNTAX, "mode: neither enforce nor testing nor none");
}

static enum ec take_max_age(struct sts_policy *p, struct slice value, struct why *why)
{
	uint64_t age = 0;
	if (value.len > 10 || parse_u64(value, 9999999999, &age) != EC_OK)
		return why_set(why, EC_SYNTAX, "max_age: not a number of 1 to 10 digits");
	p->max_age_s = age > STS_MAX_AGE_MAX_S ? STS_MAX_AGE_MAX_S : (uint32_t)age;
	return EC_OK;
}

static enum ec take_version(struct sts_policy *p, struct slice value, struct why *why)
{
	(void)p;
	static const struct slice ours = SLICE_LIT("STSv1");
	return slice_eq(value, ours) ? EC_OK : why_set(why, EC_UNSUPPORTED, "version: not STSv1");
}

static const struct {
	const char *key;
	bool repeats;
	enum ec (*take)(struct sts_policy *p, struct slice value, struct why *why);
} fields[] = {
	{ "version", false, take_version },
	{ "mode", false, take_mode },
	{ "max_age", false, take_max_age },
	{ "mx", true, take_mx },
};
enum { FIELDS = sizeof fields / sizeof *fields };

static enum ec take_line(struct sts_policy *p, struct slice line, bool seen[FIELDS], struct why *why)
{
	if (memchr(line.p, ':', line.len) == NULL)
		return why_set(why, EC_SYNTAX, "the policy has a line that is not KEY: VALUE");
	struct slice key = cut(&line, ':');
	if (!is_key(key))
		return why_set(why, EC_SYNTAX, "the policy has a line that is not KEY: VALUE");
	for (size_t i = 0; i < FIELDS; i++) {
		if (!slice_eq(key, slice_str(fields[i].key)))
			continue;
		if (seen[i] && !fields[i].repeats)
			return EC_OK; /* RFC 8461 3.2: the first one holds */
		seen[i] = true;
		return fields[i].take(p, trim(line), why);
	}
	return EC_OK;
}

enum ec sts_policy_parse(struct slice text, struct sts_policy *out, struct why *why)
{
	bool seen[FIELDS] = { 0 };
	enum ec ec = EC_OK;
	memset(out, 0, sizeof *out);
	if (text.len > STS_POLICY_MAX)
		return why_set(why, EC_LIMIT, "the policy is longer than %d octets", STS_POLICY_MAX);
	while (ec == EC_OK && text.len > 0) {
		struct slice line = cut(&text, '\n');
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line = slice_first(line, line.len - 1);
		line = trim(line);
		if (line.len > 0)
			ec = take_line(out, line, seen, why);
	}
	for (size_t i = 0; ec == EC_OK && i < FIELDS; i++)
		if (!seen[i] && (!fields[i].repeats || out->mode != ROUTE_STS_NONE))
			ec = why_set(why, EC_MISSING, "the policy has no %s", fields[i].key);
	if (ec != EC_OK)
		memset(out, 0, sizeof *out);
	return ec;
}

enum ec sts_policy_print(const struct sts_policy *p, struct writer *w)
{
	writer_format(w, "version: STSv1\nmode: %s\nmax_age: %u\n", route_sts_name(p->mode), p->max_age_s);
	for (unsigned i = 0; i < p->num_mx; i++)
		writer_format(w, "mx: %s\n", p->mx[i]);
	return w->bad ? EC_NO_SPACE : EC_OK;
}

bool sts_policy_lists(const struct sts_policy *p, const char *host)
{
	struct slice name = without_dot(slice_str(host));
	struct slice parent = name;
	(void)cut(&parent, '.');
	for (unsigned i = 0; i < p->num_mx; i++) {
		struct slice pattern = slice_str(p->mx[i]);
		bool star = pattern.p[0] == '*';
		if (star ? parent.len > 0 && slice_eq_nocase(slice_from(pattern, 2), parent) : slice_eq_nocase(pattern, name))
			return true;
	}
	return false;
}

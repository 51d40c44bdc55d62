#include "dns/tsig_ldns.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <string.h>

enum { TSIG_SECRET_MIN = 16 };

static const struct {
	const char *setting;
	const char *name; /* on the wire, and for ldns */
	size_t mac_len;
} algorithms[] = {
	[TSIG_HMAC_SHA256] = { "hmac-sha256", "hmac-sha256.", 32 },
	[TSIG_HMAC_SHA512] = { "hmac-sha512", "hmac-sha512.", 64 },
};

static enum ec read_algorithm(struct slice text, enum tsig_algorithm *out, struct why *why)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
		if (slice_eq_nocase(text, slice_str(algorithms[i].setting))) {
			*out = (enum tsig_algorithm)i;
			return EC_OK;
		}
	}
	if (slice_eq_nocase(text, SLICE_LIT("hmac-sha384")))
		return why_set(why, EC_UNSUPPORTED, "the DNS library computes hmac-sha384 wrongly: use hmac-sha256 or hmac-sha512");
	return why_set(why, EC_UNSUPPORTED, "TSIG algorithm \"%.*s\" is not supported: use hmac-sha256 or hmac-sha512",
		       (int)(text.len < 40 ? text.len : 40), text.len > 0 ? (const char *)text.p : "");
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s = slice_first(s, s.len - 1);
	return s;
}

static void free_wiped(ldns_rdf *f)
{
	if (f != NULL)
		wipe(ldns_rdf_data(f), ldns_rdf_size(f));
	ldns_rdf_deep_free(f);
}

static enum ec read_secret(struct slice text, struct secret *out, struct why *why)
{
	char z[TSIG_BASE64_SIZE];
	ldns_rdf *raw = NULL;
	text = trim(text);
	if (text.len >= sizeof z)
		return why_set(why, EC_RANGE, "the TSIG secret is longer than %d octets", TSIG_SECRET_MAX);
	if (text.len == 0 || text.len % 4 != 0 || memchr(text.p, 0, text.len) != NULL)
		return why_set(why, EC_SYNTAX, "the TSIG secret is not base64");
	memcpy(z, text.p, text.len);
	z[text.len] = '\0';
	enum ec ec;
	if (ldns_str2rdf_b64(&raw, z) != LDNS_STATUS_OK || raw == NULL)
		ec = why_set(why, EC_SYNTAX, "the TSIG secret is not base64");
	else if (ldns_rdf_size(raw) < TSIG_SECRET_MIN || ldns_rdf_size(raw) > TSIG_SECRET_MAX)
		ec = why_set(why, EC_RANGE, "the TSIG secret has %zu octets: %d to %d are right", ldns_rdf_size(raw),
			     TSIG_SECRET_MIN, TSIG_SECRET_MAX);
	else
		ec = secret_copy(out, slice_of(ldns_rdf_data(raw), ldns_rdf_size(raw)));
	wipe(z, sizeof z);
	free_wiped(raw);
	return ec;
}

enum ec tsig_key_init(struct tsig_key *out, struct slice name, struct slice algorithm, struct slice secret_base64,
		      struct why *why)
{
	memset(out, 0, sizeof *out);
	enum ec ec = dns_name_parse(name, &out->name, why);
	if (ec != EC_OK) {
		why_prefix(why, "the TSIG key's name");
		return ec;
	}
	ec = read_algorithm(algorithm, &out->algorithm, why);
	if (ec == EC_OK)
		ec = read_secret(secret_base64, &out->secret, why);
	return ec;
}

void tsig_key_fini(struct tsig_key *key)
{
	secret_fini(&key->secret);
	memset(key, 0, sizeof *key);
}

enum ec tsig_text_init(struct tsig_text *out, const struct tsig_key *key)
{
	memset(out, 0, sizeof *out);
	dns_name_print(out->name, &key->name);
	if (!dns_name_is_root(&key->name))
		strcat(out->name, ".");
	(void)snprintf(out->algorithm, sizeof out->algorithm, "%s", algorithms[key->algorithm].name);
	ldns_rdf *raw = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_B64, key->secret.len, key->secret.p);
	char *text = raw != NULL ? ldns_rdf2str(raw) : NULL;
	bool good = text != NULL && strlen(text) < sizeof out->base64;
	if (good)
		memcpy(out->base64, text, strlen(text) + 1);
	if (text != NULL)
		wipe(text, strlen(text));
	free(text);
	free_wiped(raw);
	return good ? EC_OK : EC_NO_MEMORY;
}

const char *tsig_algorithm_setting(enum tsig_algorithm algorithm)
{
	return algorithms[algorithm].setting;
}

size_t tsig_mac_len(enum tsig_algorithm algorithm)
{
	return algorithms[algorithm].mac_len;
}

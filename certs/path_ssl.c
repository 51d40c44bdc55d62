#include "certs/path_ssl.h"

#include <time.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/address.h"

/* Signature checks and their like. A chain that is sent in earnest needs two per certificate. */
enum { STEPS_MAX = 128 };

void path_add(struct path_pool *pool, X509 *x, const struct dane_record *anchor)
{
	size_t i = 0;
	while (i < pool->num_certificates && X509_cmp(pool->certificates[i].x, x) != 0)
		i++;
	struct path_certificate *at = &pool->certificates[i];
	if (i < pool->num_certificates)
		X509_free(x);
	else
		pool->certificates[pool->num_certificates++] = (struct path_certificate){ .x = x };
	if (i > 0 && at->anchor == NULL) /* the leaf never */
		at->anchor = anchor;
}

void path_add_key(struct path_pool *pool, EVP_PKEY *key, const struct dane_record *anchor)
{
	pool->keys[pool->num_keys++] = (struct path_key){ key, anchor };
}

void path_pool_fini(struct path_pool *pool)
{
	for (size_t i = 0; i < pool->num_certificates; i++)
		X509_free(pool->certificates[i].x);
	for (size_t i = 0; i < pool->num_keys; i++)
		EVP_PKEY_free(pool->keys[i].key);
	*pool = (struct path_pool){ 0 };
}

/* ---- names ---- */

static bool is_address(const char *name, struct sockaddr_storage *out)
{
	return address_parse(slice_str(name), 25, out, NULL) == EC_OK;
}

/* An address is no name: "*.0.2.1" does not stand for it. */
static bool one_matches(struct slice presented, const char *const *names, size_t num)
{
	struct sockaddr_storage a;
	for (size_t i = 0; i < num; i++)
		if (!is_address(names[i], &a) && dane_name_matches(presented, slice_str(names[i])))
			return true;
	return false;
}

static bool address_matches(struct slice octets, const char *const *names, size_t num)
{
	struct sockaddr_storage a, b;
	if (octets.len == 4)
		b = address_from_ip4(octets.p, 25);
	else if (octets.len == 16)
		b = address_from_ip6(octets.p, 25);
	else
		return false;
	for (size_t i = 0; i < num; i++)
		if (is_address(names[i], &a) && address_eq_ip(&a, &b))
			return true;
	return false;
}

static struct slice octets_of(const ASN1_STRING *s)
{
	return slice_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static bool cn_matches(X509 *leaf, const char *const *names, size_t num)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	bool found = false;
	int i = -1;
	while (!found && (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0) {
		uint8_t *text = NULL;
		int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
		found = len > 0 && one_matches(slice_of(text, (size_t)len), names, num);
		OPENSSL_free(text);
	}
	return found;
}

bool path_has_name(X509 *leaf, const char *const *names, size_t num, bool cn_too)
{
	int critical = 0;
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
	/* There, but damaged or given twice: that is no reason to look at the CN instead. */
	bool dns_ids = sans == NULL && critical != -1, found = false;
	for (size_t i = 0; sans != NULL && i < sk_GENERAL_NAME_num(sans) && !found; i++) {
		const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);
		dns_ids |= san->type == GEN_DNS;
		if (san->type == GEN_DNS)
			found = one_matches(octets_of(san->d.dNSName), names, num);
		else if (san->type == GEN_IPADD)
			found = address_matches(octets_of(san->d.iPAddress), names, num);
	}
	GENERAL_NAMES_free(sans);
	ERR_clear_error();
	return found || (cn_too && !dns_ids && cn_matches(leaf, names, num));
}

/* ---- one chain ---- */

struct path {
	size_t num;
	X509 *certificates[DANE_CHAIN_MAX + DANE_RECORDS_MAX];
};

/* struct check is what the callback of the library needs to know. */
struct check {
	int top;      /* depth of the last certificate of the path */
	bool bare;    /* it is not the anchor, but signed by the anchor's bare key */
	bool expired; /* or not yet valid */
	int error;    /* X509_V_OK, or what else was wrong */
};

/* is_settled: that nobody known issued the last certificate of our path is just what we
 * have settled before. And an anchor need not say that it is a CA, RFC 5280 6.1.4 (k) asks
 * that of those below it; but if it speaks of it, it must not say that it is none. */
static bool is_settled(int error, const struct check *check, X509_STORE_CTX *ctx)
{
	if (X509_STORE_CTX_get_error_depth(ctx) != check->top)
		return false;
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return true;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_INVALID_PURPOSE:
		return !check->bare && X509_get_ext_by_NID(X509_STORE_CTX_get_current_cert(ctx), NID_basic_constraints, -1) < 0;
	default:
		return false;
	}
}

/* on_error: dates are noted, for the rest of the chain must be right before "expired" may be said. */
static int on_error(int ok, X509_STORE_CTX *ctx)
{
	struct check *check = X509_STORE_CTX_get_ex_data(ctx, 0);
	int error = X509_STORE_CTX_get_error(ctx);
	if (ok == 1 || is_settled(error, check, ctx))
		return 1;
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		check->expired = true;
		return 1;
	default:
		break;
	}
	check->error = error;
	return 0;
}

/* The untrusted part of `path` is all of it: so the anchor's own constraints hold too. */
static STACK_OF(X509) *above_leaf(const struct path *path)
{
	STACK_OF(X509) *sk = sk_X509_new_null();
	for (size_t i = 1; sk != NULL && i < path->num; i++) {
		if (sk_X509_push(sk, path->certificates[i]) == 0) {
			sk_X509_free(sk);
			return NULL;
		}
	}
	return sk;
}

static bool same_chain(X509_STORE_CTX *ctx, const struct path *path)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	return chain != NULL && sk_X509_num(chain) == path->num &&
	       X509_cmp(sk_X509_value(chain, path->num - 1), path->certificates[path->num - 1]) == 0;
}

/* The library asks it only of certificates that are not self-issued; as an anchor with
 * constraints one that is says what it wants kept, too (RFC 7671 5.2.1). */
static bool path_len_kept(const struct path *path)
{
	long below = 0;
	for (size_t i = 1; i < path->num; i++) {
		X509 *x = path->certificates[i];
		long max = X509_get_pathlen(x);
		if (max >= 0 && below > max)
			return false;
		below += X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) != 0;
	}
	return true;
}

static bool is_valid(const struct path *path, bool bare, struct wall now, struct check *check)
{
	STACK_OF(X509) *above = above_leaf(path);
	X509_STORE *nobody = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = false;
	*check = (struct check){ .top = (int)path->num - 1, .bare = bare, .error = X509_V_ERR_OUT_OF_MEM };
	if (above != NULL && nobody != NULL && ctx != NULL &&
	    X509_STORE_CTX_init(ctx, nobody, path->certificates[0], above) && X509_STORE_CTX_set_ex_data(ctx, 0, check) &&
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER)) {
		/* Without the flag the dates of the last certificate count only if it is self-signed.
		 * RFC 5280 6.1 has no dates of an anchor at all; this is how others do it. */
		if (bare)
			X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now.s);
		X509_STORE_CTX_set_verify_cb(ctx, on_error);
		check->error = X509_V_OK;
		ok = X509_verify_cert(ctx) == 1 && same_chain(ctx, path);
		if (!ok && check->error == X509_V_OK)
			check->error = X509_V_ERR_UNSPECIFIED;
		if (ok && !path_len_kept(path)) {
			ok = false;
			check->error = X509_V_ERR_PATH_LENGTH_EXCEEDED;
		}
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(nobody);
	sk_X509_free(above);
	ERR_clear_error();
	return ok;
}

/* ---- the search ---- */

enum { UNKNOWN, YES, NO };
enum { POOL_MAX = DANE_CHAIN_MAX + DANE_RECORDS_MAX };

struct search {
	const struct path_pool *pool;
	const struct dane_presented *p;
	struct path path;
	bool in_path[POOL_MAX];
	uint8_t issued[POOL_MAX][POOL_MAX]; /* [issuer][subject] */
	unsigned steps;
	enum dane_result best;
	const struct dane_record *used;
	struct why *why;
};

/* Name constraints are kept by DNS-IDs, not by CNs (the library sees to a leaf without any
 * SAN only): with constraints above it a CN proves nothing. */
static bool constrained(const struct path *path)
{
	for (size_t i = 1; i < path->num; i++)
		if (X509_get_ext_by_NID(path->certificates[i], NID_name_constraints, -1) >= 0)
			return true;
	return false;
}

/* judge gives the path as it stands, ending at the anchor of `record`, its verdict. */
static void judge(struct search *s, const struct dane_record *record, bool bare)
{
	struct check check;
	enum dane_result result = DANE_OK;
	char kind[TLSA_KIND_SIZE] = "";
	dane_print_kind(kind, record);
	s->steps += (unsigned)s->path.num;
	if (!is_valid(&s->path, bare, s->p->now, &check))
		result = DANE_MISMATCH;
	else if (!path_has_name(s->path.certificates[0], s->p->names, s->p->num_names, !constrained(&s->path)))
		result = DANE_NAME;
	else if (check.expired)
		result = DANE_EXPIRED;
	if (result > s->best)
		return;
	s->best = result;
	s->used = result == DANE_OK ? record : NULL;
	if (result == DANE_OK)
		(void)why_set(s->why, EC_OK, "%s matches, %zu certificates below and with it", kind, s->path.num);
	else if (result == DANE_MISMATCH)
		(void)why_set(s->why, EC_TLS, "%s matches, but the chain to it is not valid: %s", kind,
		              X509_verify_cert_error_string(check.error));
	else if (result == DANE_NAME)
		(void)why_set(s->why, EC_TLS, "%s matches, but the certificate is not for %s", kind,
		              s->p->num_names == 0 ? "any name" : s->p->names[0]);
	else
		(void)why_set(s->why, EC_EXPIRED, "%s matches, but a certificate has expired or is not valid yet", kind);
}

static bool signed_by(X509 *x, EVP_PKEY *key)
{
	bool ok = key != NULL && X509_verify(x, key) == 1;
	ERR_clear_error();
	return ok;
}

static bool is_issuer(struct search *s, size_t issuer, size_t subject)
{
	uint8_t *known = &s->issued[issuer][subject];
	X509 *by = s->pool->certificates[issuer].x, *x = s->pool->certificates[subject].x;
	if (*known == UNKNOWN && X509_check_issued(by, x) != X509_V_OK)
		*known = NO;
	if (*known == UNKNOWN) {
		EVP_PKEY *key = X509_get_pubkey(by);
		s->steps++;
		*known = signed_by(x, key) ? YES : NO;
		EVP_PKEY_free(key);
	}
	return *known == YES;
}

static bool finished(const struct search *s)
{
	return s->best == DANE_OK || s->steps >= STEPS_MAX;
}

static void try_keys(struct search *s, X509 *last)
{
	for (size_t i = 0; i < s->pool->num_keys && !finished(s); i++) {
		s->steps++;
		if (signed_by(last, s->pool->keys[i].key))
			judge(s, s->pool->keys[i].anchor, true);
	}
}

/* extend adds certificate `at` to the path and goes on from there; no deeper than the pool is large. */
static void extend(struct search *s, size_t at)
{
	const struct path_certificate *c = &s->pool->certificates[at];
	s->steps++;
	s->in_path[at] = true;
	s->path.certificates[s->path.num++] = c->x;
	if (c->anchor != NULL)
		judge(s, c->anchor, false);
	try_keys(s, c->x);
	for (size_t i = 1; i < s->pool->num_certificates && !finished(s); i++)
		if (!s->in_path[i] && is_issuer(s, i, at))
			extend(s, i);
	s->path.num--;
	s->in_path[at] = false;
}

enum dane_result path_find(const struct path_pool *pool, const struct dane_presented *p,
                           const struct dane_record **used, struct why *why)
{
	struct search s = { .pool = pool, .p = p, .best = DANE_MISMATCH, .why = why };
	*used = NULL;
	if (pool->num_certificates > 0)
		extend(&s, 0);
	*used = s.used;
	return s.best;
}

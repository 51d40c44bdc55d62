/* Chains that are awkward on purpose. The ordinary ones, thousands of them, are in
 * dane/compare.c. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/dane_ssl.h"

enum { NOW = 1800000000, DAY = 86400, NUM_KEYS = 5, CHAIN_MAX = 40 };

static EVP_PKEY *keys[NUM_KEYS];

/* Linked with --wrap=X509_verify: counts every signature check, the library's own too. */
static unsigned checks;
int __real_X509_verify(X509 *x, EVP_PKEY *key);
int __wrap_X509_verify(X509 *x, EVP_PKEY *key);
int __wrap_X509_verify(X509 *x, EVP_PKEY *key)
{
	checks++;
	return __real_X509_verify(x, key);
}

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_KEYS; i++) {
		EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
		keys[i] = EVP_PKEY_new();
		assert_true(EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(keys[i], ec));
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

static X509_NAME *name_of(const char *cn)
{
	X509_NAME *name = X509_NAME_new();
	assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0));
	return name;
}

static void extend(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	assert_true(e != NULL && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

/* struct chain is what a server sends. */
struct chain {
	struct slice der[CHAIN_MAX];
	size_t num;
};

/* send_one adds a certificate. `san`: of a leaf, or NULL for a CA. Nobody has key
 * identifiers, so that names are all there is to go by. */
static void send_one(struct chain *c, const char *subject, int key, const char *issuer, int signer, const char *san)
{
	X509 *x = X509_new();
	X509_NAME *s = name_of(subject), *i = name_of(issuer);
	uint8_t *der = NULL;
	assert_true(X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x), (long)c->num + 1));
	assert_true(X509_set_subject_name(x, s) && X509_set_issuer_name(x, i) && X509_set_pubkey(x, keys[key]));
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), NOW - DAY));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), NOW + DAY));
	extend(x, NID_basic_constraints, san == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (san != NULL && *san != '\0')
		extend(x, NID_subject_alt_name, san);
	assert_true(X509_sign(x, keys[signer], EVP_sha256()) > 0);
	int len = i2d_X509(x, &der);
	assert_true(len > 0 && c->num < CHAIN_MAX);
	c->der[c->num++] = slice_of(der, (size_t)len);
	X509_NAME_free(s);
	X509_NAME_free(i);
	X509_free(x);
}

static void chain_fini(struct chain *c)
{
	for (size_t i = 0; i < c->num; i++)
		OPENSSL_free((void *)(uintptr_t)c->der[i].p);
}

/* pin makes a usage 0 1 record of certificate `i`. */
static struct dane_records pin(const struct chain *c, enum tlsa_usage usage, size_t i)
{
	static uint8_t digests[CHAIN_MAX][SHA256_DIGEST_LENGTH];
	struct dane_record r = { usage, TLSA_CERT, TLSA_SHA256, slice_of(digests[i], SHA256_DIGEST_LENGTH) };
	(void)SHA256(c->der[i].p, c->der[i].len, digests[i]);
	return (struct dane_records){ 1, { r } };
}

static struct dane_presented presented(const struct chain *c)
{
	static const char *const names[] = { "mx.example.org" };
	return (struct dane_presented){ c->der, c->num, names, 1, { NOW } };
}

static enum dane_result verify(const struct chain *c, const struct dane_records *records)
{
	struct dane_presented p = presented(c);
	const struct dane_record *used = records->items;
	struct why why = { 0 };
	enum dane_result result = dane_verify(records, &p, &used, &why);
	assert_true(strlen(why.text) > 0);
	assert_true(result == DANE_OK ? used == records->items : used == NULL);
	return result;
}

static void test_cross_signed(void **state)
{
	(void)state;
	/* The issuing CA is certified by two; each may be the pinned one, and stand first or second. */
	for (int order = 0; order < 2; order++) {
		struct chain c = { 0 };
		send_one(&c, "leaf", 0, "CA", 1, "DNS:mx.example.org");
		send_one(&c, "CA", 1, order == 0 ? "Root" : "Old", order == 0 ? 2 : 3, NULL);
		send_one(&c, "CA", 1, order == 0 ? "Old" : "Root", order == 0 ? 3 : 2, NULL);
		send_one(&c, "Root", 2, "Root", 2, NULL);
		send_one(&c, "Old", 3, "Old", 3, NULL);
		for (size_t i = 1; i < c.num; i++) {
			struct dane_records r = pin(&c, TLSA_DANE_TA, i);
			assert_int_equal(verify(&c, &r), DANE_OK);
		}
		chain_fini(&c);
	}
}

static void test_changed_key(void **state)
{
	(void)state;
	/* A CA has changed its key and kept its name: the first that fits by name did not sign. */
	struct chain c = { 0 };
	send_one(&c, "leaf", 0, "CA", 1, "DNS:mx.example.org");
	send_one(&c, "CA", 4, "Root", 2, NULL);
	send_one(&c, "CA", 1, "Root", 2, NULL);
	send_one(&c, "Root", 3, "Root", 3, NULL);
	send_one(&c, "Root", 2, "Root", 2, NULL);
	static const enum dane_result expected[] = { DANE_MISMATCH, DANE_MISMATCH, DANE_OK, DANE_MISMATCH, DANE_OK };
	for (size_t i = 0; i < c.num; i++) {
		struct dane_records r = pin(&c, TLSA_DANE_TA, i);
		assert_int_equal(verify(&c, &r), expected[i]);
	}
	chain_fini(&c);
}

static void test_leaf_is_no_anchor(void **state)
{
	(void)state;
	struct chain c = { 0 };
	send_one(&c, "leaf", 0, "leaf", 0, "DNS:mx.example.org");
	struct dane_records ta = pin(&c, TLSA_DANE_TA, 0), ee = pin(&c, TLSA_DANE_EE, 0);
	assert_int_equal(verify(&c, &ta), DANE_MISMATCH);
	assert_int_equal(verify(&c, &ee), DANE_OK);
	/* Nor when it is sent twice, or carried by the record. */
	struct chain twice = { { c.der[0], c.der[0] }, 2 };
	assert_int_equal(verify(&twice, &ta), DANE_MISMATCH);
	struct dane_records full = { 1, { { TLSA_DANE_TA, TLSA_CERT, TLSA_FULL, c.der[0] } } };
	assert_int_equal(verify(&c, &full), DANE_MISMATCH);
	chain_fini(&c);
}

static void test_carried(void **state)
{
	(void)state;
	/* RFC 7671 5.2.2, 5.2.3: what a record carries whole need not be sent. */
	struct chain all = { 0 };
	uint8_t *root_key = NULL, *ca_key = NULL, *other_key = NULL;
	send_one(&all, "leaf", 0, "CA", 1, "DNS:mx.example.org");
	send_one(&all, "CA", 1, "Root", 2, NULL);
	send_one(&all, "Root", 2, "Root", 2, NULL);
	struct slice root = slice_of(NULL, 0), ca = root, other = root;
	root.len = (size_t)i2d_PUBKEY(keys[2], &root_key), root.p = root_key;
	ca.len = (size_t)i2d_PUBKEY(keys[1], &ca_key), ca.p = ca_key;
	other.len = (size_t)i2d_PUBKEY(keys[3], &other_key), other.p = other_key;
	const struct {
		size_t sent;
		enum tlsa_selector selector;
		struct slice data;
		enum dane_result result;
	} cases[] = {
		{ 2, TLSA_CERT, all.der[2], DANE_OK },
		{ 2, TLSA_SPKI, root, DANE_OK },
		{ 1, TLSA_CERT, all.der[1], DANE_OK },
		{ 1, TLSA_SPKI, ca, DANE_OK },
		{ 1, TLSA_CERT, all.der[2], DANE_MISMATCH }, /* the one between is missing */
		{ 1, TLSA_SPKI, root, DANE_MISMATCH },
		{ 2, TLSA_SPKI, other, DANE_MISMATCH },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct chain c = all;
		struct dane_records r = { 1, { { TLSA_DANE_TA, cases[i].selector, TLSA_FULL, cases[i].data } } };
		c.num = cases[i].sent;
		assert_int_equal(verify(&c, &r), cases[i].result);
	}
	OPENSSL_free(root_key);
	OPENSSL_free(ca_key);
	OPENSSL_free(other_key);
	chain_fini(&all);
}

/* DANE-TA asks for all that DANE-EE does not. */
static void test_rules(void **state)
{
	(void)state;
	static const struct {
		const char *subject, *san, *between; /* the SAN of the certificate between: "" if it is no CA */
		int64_t later;
		enum dane_result result;
	} cases[] = {
		{ "leaf", "DNS:mx.example.org", NULL, 0, DANE_OK },
		{ "leaf", "DNS:*.example.org", NULL, 0, DANE_OK },
		{ "leaf", "DNS:other.example", NULL, 0, DANE_NAME },
		{ "mx.example.org", "", NULL, 0, DANE_OK },  /* RFC 7672 3.2.3: a CN if there is no DNS-ID */
		{ "mx.example.org", "IP:192.0.2.1", NULL, 0, DANE_OK },
		{ "mx.example.org", "DNS:other.example", NULL, 0, DANE_NAME },
		{ "leaf", "DNS:mx.example.org", NULL, 2 * DAY, DANE_EXPIRED },
		{ "leaf", "DNS:mx.example.org", NULL, -2 * DAY, DANE_EXPIRED },
		{ "leaf", "DNS:other.example", NULL, 2 * DAY, DANE_NAME },
		{ "leaf", "DNS:mx.example.org", "", 0, DANE_MISMATCH },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct chain c = { 0 };
		send_one(&c, cases[i].subject, 0, "CA", 1, cases[i].san);
		send_one(&c, "CA", 1, "Root", 2, cases[i].between);
		send_one(&c, "Root", 2, "Root", 2, NULL);
		struct dane_presented p = presented(&c);
		p.now.s += cases[i].later;
		struct dane_records ta = pin(&c, TLSA_DANE_TA, 2), ee = pin(&c, TLSA_DANE_EE, 0), above = pin(&c, TLSA_DANE_EE, 2);
		assert_int_equal(dane_verify(&ta, &p, NULL, NULL), cases[i].result);
		assert_int_equal(dane_verify(&ee, &p, NULL, NULL), DANE_OK);
		assert_int_equal(dane_verify(&above, &p, NULL, NULL), DANE_MISMATCH);
		chain_fini(&c);
	}
}

static void test_rubbish(void **state)
{
	(void)state;
	struct chain c = { 0 };
	send_one(&c, "leaf", 0, "CA", 1, "DNS:mx.example.org");
	send_one(&c, "CA", 1, "CA", 1, NULL);
	struct dane_records r = pin(&c, TLSA_DANE_TA, 1), none = { 0 };
	struct chain empty = { 0 }, no_leaf = { { SLICE_LIT("\x30\x00"), c.der[1] }, 2 };
	struct chain between = { { c.der[0], SLICE_LIT("rubbish"), SLICE_LIT(""), c.der[1] }, 4 };
	assert_int_equal(verify(&empty, &r), DANE_MISMATCH);
	assert_int_equal(verify(&no_leaf, &r), DANE_MISMATCH);
	assert_int_equal(verify(&between, &r), DANE_OK);
	assert_int_equal(verify(&c, &none), DANE_UNUSABLE);
	chain_fini(&c);
}

static void test_work_is_bounded(void **state)
{
	(void)state;
	/* All have one key, and each A may have issued each B, and each B each A: factorially
	 * many paths. All are pinned, and none is good, for the leaf is for another name. */
	struct chain c = { 0 };
	struct dane_records r = { 0 };
	send_one(&c, "leaf", 1, "A", 0, "DNS:other.example");
	while (c.num < CHAIN_MAX)
		send_one(&c, c.num % 2 == 0 ? "A" : "B", 0, c.num % 2 == 0 ? "B" : "A", 0, NULL);
	while (r.num < DANE_RECORDS_MAX) {
		struct dane_records one = pin(&c, TLSA_DANE_TA, r.num + 1);
		r.items[r.num++] = one.items[0];
	}
	checks = 0;
	struct dane_presented p = presented(&c);
	assert_int_not_equal(dane_verify(&r, &p, NULL, NULL), DANE_OK);
	assert_in_range(checks, 1, 300);
	chain_fini(&c);
}

static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *san, *name;
		enum dane_result result;
	} cases[] = {
		{ "IP:192.0.2.1", "192.0.2.1", DANE_OK },
		{ "IP:2001:db8::1", "2001:db8:0::1", DANE_OK },
		{ "IP:192.0.2.2", "192.0.2.1", DANE_NAME },
		{ "DNS:192.0.2.1", "192.0.2.1", DANE_NAME },
		{ "DNS:*.0.2.1", "192.0.2.1", DANE_NAME },
		{ "IP:192.0.2.1", "mx.example.org", DANE_NAME },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct chain c = { 0 };
		send_one(&c, "leaf", 0, "CA", 1, cases[i].san);
		send_one(&c, "CA", 1, "CA", 1, NULL);
		struct dane_records r = pin(&c, TLSA_DANE_TA, 1);
		struct dane_presented p = presented(&c);
		p.names = &cases[i].name;
		assert_int_equal(dane_verify(&r, &p, NULL, NULL), cases[i].result);
		chain_fini(&c);
	}
}

static void test_store(void **state)
{
	(void)state;
	static const struct {
		const char *san;
		enum dane_result result;
	} cases[] = {
		{ "DNS:mx.example.org", DANE_OK },
		{ "DNS:*.example.org", DANE_OK },
		{ "DNS:other.example", DANE_NAME },
		{ "", DANE_NAME }, /* its CN would be right: RFC 8461 4.2 wants a DNS-ID */
		{ "IP:192.0.2.1", DANE_NAME },
	};
	for (size_t i = 0; i < NUM(cases); i++) {
		struct chain c = { 0 };
		X509_STORE *store = X509_STORE_new(), *empty = X509_STORE_new();
		struct why why = { 0 };
		send_one(&c, "mx.example.org", 0, "CA", 1, cases[i].san);
		send_one(&c, "CA", 1, "Root", 2, NULL);
		send_one(&c, "Root", 2, "Root", 2, NULL);
		const uint8_t *der = c.der[2].p;
		X509 *root = d2i_X509(NULL, &der, (long)c.der[2].len);
		assert_true(X509_STORE_add_cert(store, root));
		struct dane_presented p = presented(&c);
		assert_int_equal(dane_verify_store(store, &p, &why), cases[i].result);
		assert_int_equal(dane_verify_store(empty, &p, &why), DANE_MISMATCH);
		p.num_chain = 1; /* the intermediate is missing */
		assert_int_equal(dane_verify_store(store, &p, &why), DANE_MISMATCH);
		p.num_chain = 2;
		p.now.s = NOW + 2 * DAY;
		assert_int_equal(dane_verify_store(store, &p, &why), cases[i].result == DANE_OK ? DANE_EXPIRED : DANE_NAME);
		p.num_chain = 0;
		assert_int_equal(dane_verify_store(store, &p, &why), DANE_MISMATCH);
		X509_free(root);
		X509_STORE_free(store);
		X509_STORE_free(empty);
		chain_fini(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cross_signed), cmocka_unit_test(test_changed_key),     cmocka_unit_test(test_leaf_is_no_anchor),
		cmocka_unit_test(test_carried),      cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rubbish),      cmocka_unit_test(test_work_is_bounded), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_store),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

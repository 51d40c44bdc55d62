/* What we make and load, with the openssl program as the witness. */
#include "certs/make_ssl.h"

#include "certs/load_ssl.h"
#include "tests/unit/certs/fixture_fs.h"

static const struct wall now = { 1795300000 }; /* 2026-11-21T22:26:40Z */

static void expect_hex(const char *what, const uint8_t *digest, size_t len, const char *want)
{
	char hex[129];
	hex_encode(hex, slice_of(digest, len));
	if (strcmp(hex, want) != 0)
		fail_msg("%s: %s, openssl says %s", what, hex, want);
}

#define SPKI "openssl x509 -in leaf.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -%s -r | cut -d' ' -f1"
#define CERT "openssl x509 -in leaf.pem -outform DER | openssl dgst -%s -r | cut -d' ' -f1"

static void expect_digests(const struct cert_digests *d)
{
	expect_hex("spki sha256", d->spki_sha256, 32, witness(SPKI, "sha256"));
	expect_hex("spki sha512", d->spki_sha512, 64, witness(SPKI, "sha512"));
	expect_hex("cert sha256", d->cert_sha256, 32, witness(CERT, "sha256"));
	expect_hex("cert sha512", d->cert_sha512, 64, witness(CERT, "sha512"));
}

static void one_of_each(enum key_algorithm algorithm, const char *kind)
{
	struct secret key = { 0 };
	struct bytes chain = { 0 }, csr = { 0 };
	struct loaded l = { 0 };
	struct why why = { 0 };
	assert_int_equal(make_key(algorithm, &key, &why), EC_OK);
	struct slice pem = slice_of(key.p, key.len);
	fixture_put("leaf.key", pem);
	assert_non_null(strstr(witness("openssl pkey -in leaf.key -noout -text -check"), kind));

	assert_int_equal(make_self_signed(pem, "mx1.example.org", now, 90 * 86400, &chain, &why), EC_OK);
	fixture_put("leaf.pem", bytes_slice(&chain));
	assert_string_equal(witness("openssl verify -CAfile leaf.pem -partial_chain -check_ss_sig -purpose sslserver -attime "
	                            "1795300000 leaf.pem"),
	                    "leaf.pem: OK");
	assert_string_equal(witness("openssl x509 -in leaf.pem -noout -startdate -enddate"),
	                    "notBefore=Nov 21 21:26:40 2026 GMT\nnotAfter=Feb 19 22:26:40 2027 GMT");
	assert_string_equal(witness("openssl x509 -in leaf.pem -noout -subject -issuer"),
	                    "subject=CN = mx1.example.org\nissuer=CN = mx1.example.org");
	const char *text = witness("openssl x509 -in leaf.pem -noout -ext subjectAltName,extendedKeyUsage,basicConstraints,keyUsage");
	assert_non_null(strstr(text, "DNS:mx1.example.org"));
	assert_non_null(strstr(text, "TLS Web Server Authentication"));
	assert_non_null(strstr(text, "CA:FALSE"));
	assert_non_null(strstr(text, "Digital Signature"));
	assert_null(strstr(text, "Certificate Sign"));

	assert_int_equal(load_pair(pem, bytes_slice(&chain), &l, &why), EC_OK);
	expect_digests(&l.info.chain[0]);
	assert_int_equal(l.info.algorithm, algorithm);
	assert_true(l.info.certified);
	assert_int_equal(l.info.issuer, CERT_SELF_SIGNED);
	assert_int_equal(l.info.num_chain, 1);
	assert_int_equal(l.info.not_before.s, now.s - 3600);
	assert_int_equal(l.info.not_after.s, now.s + 90 * 86400);
	assert_true(loaded_covers(&l, "MX1.example.ORG"));
	assert_false(loaded_covers(&l, "mx2.example.org"));
	assert_int_equal(loaded_check_now(&l, now, NULL), EC_OK);
	assert_int_equal(loaded_check_now(&l, (struct wall){ now.s - 3601 }, NULL), EC_EXPIRED);
	assert_int_equal(loaded_check_now(&l, (struct wall){ now.s + 90 * 86400 + 1 }, NULL), EC_EXPIRED);
	loaded_fini(&l);

	/* The key alone has the same SPKI digests. */
	assert_int_equal(load_key(pem, &l, &why), EC_OK);
	expect_hex("key", l.info.chain[0].spki_sha256, 32,
	           witness("openssl pkey -in leaf.key -pubout -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1"));
	loaded_fini(&l);

	assert_int_equal(make_csr(pem, "mx1.example.org", &csr, &why), EC_OK);
	fixture_put("leaf.csr", bytes_slice(&csr));
	assert_non_null(strstr(witness("openssl req -in leaf.csr -noout -verify -text 2>&1"), "DNS:mx1.example.org"));
	char pub[4096];
	(void)snprintf(pub, sizeof pub, "%s", witness("openssl req -in leaf.csr -noout -pubkey"));
	assert_string_equal(witness("openssl pkey -in leaf.key -pubout"), pub);
	bytes_fini(&csr);
	bytes_fini(&chain);
	secret_fini(&key);
}

static void ecdsa(void **state)
{
	(void)state;
	one_of_each(KEY_ECDSA_P256, "prime256v1");
}

static void rsa(void **state)
{
	(void)state;
	one_of_each(KEY_RSA_3072, "3072 bit");
}

static void serials_differ(void **state)
{
	(void)state;
	struct secret key = { 0 };
	char first[100];
	assert_int_equal(make_key(KEY_ECDSA_P256, &key, NULL), EC_OK);
	for (int i = 0; i < 2; i++) {
		struct bytes chain = { 0 };
		assert_int_equal(make_self_signed(slice_of(key.p, key.len), "a.b", now, 86400, &chain, NULL), EC_OK);
		fixture_put("leaf.pem", bytes_slice(&chain));
		const char *serial = witness("openssl x509 -in leaf.pem -noout -serial");
		assert_int_equal(strlen(serial), strlen("serial=") + 32);
		if (i == 0)
			(void)snprintf(first, sizeof first, "%s", serial);
		else
			assert_string_not_equal(first, serial);
		bytes_fini(&chain);
	}
	secret_fini(&key);
}

/* A name too long for a CN still has its SAN, which is then critical. */
static void long_name(void **state)
{
	(void)state;
	static const char name[] = "a-rather-long-first-label-of-a-mail-exchanger.in-some-subdomain.example.org";
	struct secret key = { 0 };
	struct bytes chain = { 0 }, csr = { 0 };
	assert_true(strlen(name) > 64);
	assert_int_equal(make_key(KEY_ECDSA_P256, &key, NULL), EC_OK);
	assert_int_equal(make_self_signed(slice_of(key.p, key.len), name, now, 86400, &chain, NULL), EC_OK);
	fixture_put("leaf.pem", bytes_slice(&chain));
	assert_string_equal(witness("openssl x509 -in leaf.pem -noout -subject"), "subject=");
	const char *san = witness("openssl x509 -in leaf.pem -noout -ext subjectAltName");
	assert_non_null(strstr(san, "critical"));
	assert_non_null(strstr(san, name));
	assert_int_equal(make_csr(slice_of(key.p, key.len), name, &csr, NULL), EC_OK);
	assert_int_equal(make_self_signed(slice_of(key.p, key.len), name, now, 0, &chain, NULL), EC_RANGE);
	bytes_fini(&csr);
	bytes_fini(&chain);
	secret_fini(&key);
}

/* A key and a chain of leaf, intermediate and root, all made by openssl. */
static void make_chain(void)
{
	(void)witness("openssl ecparam -name prime256v1 -genkey -noout -out r.key 2>&1 && "
	              "openssl req -x509 -new -key r.key -subj /CN=root -days 3650 -out r.pem 2>&1 && "
	              "openssl ecparam -name secp384r1 -genkey -noout -out i.key 2>&1 && "
	              "openssl req -new -key i.key -subj /CN=intermediate -out i.csr 2>&1 && "
	              "printf 'basicConstraints=critical,CA:TRUE' > i.ext && "
	              "openssl x509 -req -in i.csr -CA r.pem -CAkey r.key -CAcreateserial -days 3650 -extfile i.ext -out i.pem 2>&1");
	(void)witness("openssl ecparam -name prime256v1 -genkey -noout -out l.key 2>&1 && "
	              "openssl req -new -key l.key -subj /CN=leaf -out l.csr 2>&1 && "
	              "printf 'subjectAltName=DNS:mx1.example.org,DNS:*.pool.example.org,IP:192.0.2.1' > l.ext && "
	              "openssl x509 -req -in l.csr -CA i.pem -CAkey i.key -CAcreateserial -days 365 -extfile l.ext -out l.pem 2>&1 && "
	              "cat l.pem i.pem r.pem > chain.pem && cat l.pem r.pem > gap.pem && cat i.pem l.pem > order.pem");
}

static enum ec pair(const char *key, const char *chain, struct loaded *out, struct why *why)
{
	struct bytes k = fixture_get(key), c = fixture_get(chain);
	enum ec ec = load_pair(bytes_slice(&k), bytes_slice(&c), out, why);
	bytes_fini(&k);
	bytes_fini(&c);
	return ec;
}

static void chains(void **state)
{
	(void)state;
	struct loaded l = { 0 };
	struct why why = { 0 };
	make_chain();
	assert_int_equal(pair("l.key", "chain.pem", &l, &why), EC_OK);
	assert_int_equal(l.num_chain, 3);
	assert_int_equal(l.info.issuer, CERT_CA);
	static const char *const files[] = { "l.pem", "i.pem", "r.pem" };
	for (size_t i = 0; i < 3; i++) {
		(void)witness("cp %s leaf.pem", files[i]);
		expect_digests(&l.info.chain[i]);
	}
	assert_int_equal(l.num_names, 2);
	assert_true(loaded_covers(&l, "mx1.example.org"));
	assert_true(loaded_covers(&l, "a.pool.example.org"));
	assert_false(loaded_covers(&l, "pool.example.org"));
	assert_false(loaded_covers(&l, "a.b.pool.example.org"));
	assert_false(loaded_covers(&l, "192.0.2.1"));
	loaded_fini(&l);
	assert_int_equal(pair("l.key", "gap.pem", &l, &why), EC_SYNTAX);
	assert_non_null(strstr(why.text, "certificate 2 did not sign certificate 1; "));
	assert_int_equal(pair("i.key", "order.pem", &l, &why), EC_UNSUPPORTED); /* P-384 leaf */
	assert_int_equal(pair("r.key", "chain.pem", &l, &why), EC_KEY_MISMATCH);
	assert_int_equal(pair("l.key", "l.key", &l, &why), EC_SYNTAX);
	assert_int_equal(pair("l.pem", "l.pem", &l, &why), EC_SYNTAX);
	(void)witness("for i in 1 2 3 4 5 6 7 8 9; do cat r.pem; done > nine.pem; head -c 300 l.pem > cut.pem; "
	              "(cat l.pem; head -c 300 i.pem) > cut2.pem; head -c 300000 /dev/zero | tr '\\0' x > large.pem");
	assert_int_equal(pair("r.key", "nine.pem", &l, &why), EC_LIMIT);
	assert_int_equal(pair("l.key", "cut.pem", &l, &why), EC_SYNTAX);
	assert_int_equal(pair("l.key", "cut2.pem", &l, &why), EC_SYNTAX);
	assert_int_equal(pair("l.key", "large.pem", &l, &why), EC_LIMIT);
}

static void kinds_of_key(void **state)
{
	(void)state;
	static const struct {
		const char *name, *make;
		enum ec ec;
	} cases[] = {
		{ "sec1 with parameters", "openssl ecparam -name prime256v1 -genkey -out k", EC_OK },
		{ "pkcs8 p256", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k", EC_OK },
		{ "pkcs1 rsa", "openssl genrsa -traditional -out k 2048", EC_OK },
		{ "rsa 1024", "openssl genrsa -out k 1024", EC_UNSUPPORTED },
		{ "p384", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k", EC_UNSUPPORTED },
		{ "ed25519", "openssl genpkey -algorithm ED25519 -out k", EC_UNSUPPORTED },
		{ "encrypted", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:x -out k", EC_SYNTAX },
		{ "public", "openssl genrsa 2048 2>/dev/null | openssl pkey -pubout -out k", EC_SYNTAX },
		{ "empty", ": > k", EC_SYNTAX },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		(void)witness("%s 2>/dev/null", cases[i].make);
		struct bytes k = fixture_get("k");
		struct loaded l = { 0 };
		struct why why = { 0 };
		enum ec ec = load_key(bytes_slice(&k), &l, &why);
		if (ec != cases[i].ec)
			fail_msg("%s: %s: %s", cases[i].name, ec_name(ec), why.text);
		assert_true(ec == EC_OK || *why.text != '\0');
		loaded_fini(&l);
		bytes_fini(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ecdsa),     cmocka_unit_test(rsa),
		                            cmocka_unit_test(serials_differ), cmocka_unit_test(long_name),
		                            cmocka_unit_test(chains),    cmocka_unit_test(kinds_of_key) };
	return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}

#include "tests/unit/certs/dane/cases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define MUST(x)                                                          \
	do {                                                             \
		if (!(x)) {                                              \
			fprintf(stderr, "cases.c:%d: %s\n", __LINE__, #x); \
			abort();                                         \
		}                                                        \
	} while (0)

enum { DAY = 86400, NUM_KEYS = 8 };

static struct {
	uint64_t random;
	int64_t now;
	long serial;
	EVP_PKEY *keys[NUM_KEYS]; /* [1] is P-384, every third RSA, the rest P-256 */
} world;

/* ---- chance ---- */

/* xorshift64*: Marsaglia, Vigna. */
static uint64_t next_random(void)
{
	uint64_t x = world.random;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	world.random = x;
	return x * 0x2545f4914f6cdd1dU;
}

static size_t pick(size_t num)
{
	return (size_t)(next_random() >> 33) % num;
}

static bool chance(unsigned percent)
{
	return pick(100) < percent;
}

/* ---- keys ---- */

static EVP_PKEY *new_key(size_t i)
{
	EVP_PKEY *key = EVP_PKEY_new();
	if (i % 3 == 2) {
		RSA *rsa = RSA_new();
		BIGNUM *e = BN_new();
		MUST(BN_set_word(e, RSA_F4) && RSA_generate_key_ex(rsa, 2048, e, NULL) && EVP_PKEY_assign_RSA(key, rsa));
		BN_free(e);
	} else {
		EC_KEY *ec = EC_KEY_new_by_curve_name(i == 1 ? NID_secp384r1 : NID_X9_62_prime256v1);
		MUST(EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
	}
	return key;
}

void cases_begin(uint64_t seed, int64_t now)
{
	world.random = seed * 0x9e3779b97f4a7c15U + 1;
	world.now = now;
	for (size_t i = 0; i < NUM_KEYS; i++)
		world.keys[i] = new_key(i);
}

void cases_end(void)
{
	for (size_t i = 0; i < NUM_KEYS; i++)
		EVP_PKEY_free(world.keys[i]);
}

/* ---- certificates ---- */

static void append(struct bytes *b, const void *p, size_t len)
{
	MUST(bytes_append(b, slice_of(p, len)) == EC_OK);
}

static X509_NAME *name_of(const char *cn)
{
	X509_NAME *name = X509_NAME_new();
	MUST(X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC, (const uint8_t *)"Test", 4, -1, 0));
	if (cn != NULL)
		MUST(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (const uint8_t *)cn, (int)strlen(cn), -1, 0));
	return name;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	MUST(e != NULL && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

/* struct part is a certificate of a case and its key. */
struct part {
	X509 *x;
	EVP_PKEY *key;
};

static void set_dates(X509 *x)
{
	int64_t from = -30, to = 60;
	size_t luck = pick(100);
	if (luck < 6)
		to = -1;
	else if (luck < 9)
		from = 1;
	MUST(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(world.now + from * DAY)));
	MUST(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(world.now + to * DAY)));
}

static void add_names(X509 *x)
{
	static const char *const sans[] = {
		"DNS:mx.example.org", "DNS:mx.example.org", "DNS:mx.example.org", "DNS:mx.example.org,DNS:other.example",
		"DNS:other.example,DNS:MX.Example.ORG", "DNS:example.org", "DNS:*.example.org", "DNS:*.org", "DNS:*.mx.example.org",
		"DNS:m*.example.org", "DNS:*x.example.org", "DNS:other.example", "DNS:mx.example.org.", "DNS:*",
		"IP:192.0.2.1", "email:a@mx.example.org", "DNS:*.*.example.org", "DNS:.example.org", "DNS:mx.example.or",
	};
	if (chance(85))
		add_extension(x, NULL, NID_subject_alt_name, sans[pick(sizeof sans / sizeof *sans)]);
}

static const char *leaf_cn(void)
{
	static const char *const cns[] = { "mx.example.org", "mx.example.org", "other.example", "*.example.org", "Some Server", NULL };
	return cns[pick(sizeof cns / sizeof *cns)];
}

static void fill(X509 *x, EVP_PKEY *key, const char *cn)
{
	X509_NAME *subject = name_of(cn);
	MUST(X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x), ++world.serial) &&
	     X509_set_subject_name(x, subject) && X509_set_pubkey(x, key));
	X509_NAME_free(subject);
	set_dates(x);
}

static void add_ca_extensions(X509 *x)
{
	static const char *const names[] = { "permitted;DNS:example.org", "permitted;DNS:example.net", "excluded;DNS:mx.example.org" };
	size_t luck = pick(100);
	if (luck < 4)
		add_extension(x, NULL, NID_basic_constraints, "CA:FALSE");
	else if (luck < 10)
		add_extension(x, NULL, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	else if (luck < 97)
		add_extension(x, NULL, NID_basic_constraints, "critical,CA:TRUE");
	if (chance(70))
		add_extension(x, NULL, NID_key_usage, chance(95) ? "critical,keyCertSign,cRLSign" : "critical,cRLSign");
	if (chance(5))
		add_extension(x, NULL, NID_name_constraints, names[pick(3)]);
}

static void add_leaf_extensions(X509 *x)
{
	if (chance(70))
		add_extension(x, NULL, NID_basic_constraints, chance(90) ? "CA:FALSE" : "critical,CA:TRUE");
	if (chance(70))
		add_extension(x, NULL, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign");
	if (chance(70))
		add_extension(x, NULL, NID_ext_key_usage, chance(95) ? "serverAuth" : "clientAuth");
	add_names(x);
}

/* make_part makes a certificate; without an issuer it signs itself. `forged`: by a key that is not the issuer's. */
static struct part make_part(const char *cn, size_t key, const struct part *issuer, bool leaf)
{
	struct part part = { X509_new(), world.keys[key] };
	EVP_PKEY *signer = issuer == NULL ? part.key : issuer->key;
	X509 *by = issuer == NULL ? part.x : issuer->x;
	fill(part.x, part.key, cn);
	MUST(X509_set_issuer_name(part.x, X509_get_subject_name(by)));
	if (leaf)
		add_leaf_extensions(part.x);
	else
		add_ca_extensions(part.x);
	if (chance(60))
		add_extension(part.x, by, NID_subject_key_identifier, "hash");
	if (issuer != NULL && chance(60) && X509_get_ext_by_NID(by, NID_subject_key_identifier, -1) >= 0)
		add_extension(part.x, by, NID_authority_key_identifier, "keyid");
	if (chance(3))
		signer = world.keys[pick(NUM_KEYS)];
	MUST(X509_sign(part.x, signer, chance(80) ? EVP_sha256() : EVP_sha384()) > 0);
	return part;
}

/* ---- what is sent ---- */

enum { LEAF, STRANGER, OTHER_LEAF, FIRST_CA, PARTS_MAX = 8 };

/* struct pki: a leaf, a CA and a leaf that have nothing to do with it, and the CAs above
 * it, the nearest first. */
struct pki {
	struct part parts[PARTS_MAX];
	size_t num;
};

static void pki_make(struct pki *p)
{
	static const char *const cas[] = { "Intermediate A", "Intermediate B", "Root" };
	size_t levels = pick(4); /* CAs above the leaf */
	struct part chain[4];
	const struct part *above = NULL;
	for (size_t i = 0; i < levels; i++) {
		const char *cn = i == 0 ? "Root" : cas[chance(90) ? i - 1 : pick(3)];
		chain[i] = make_part(cn, 2 + pick(NUM_KEYS - 2), above, false);
		above = &chain[i];
	}
	p->parts[LEAF] = make_part(leaf_cn(), pick(3), above, true);
	/* It may have the name of one of ours: a changed key, a cross certificate, a lie. */
	p->parts[STRANGER] = make_part(chance(50) ? "Stranger" : cas[pick(3)], pick(NUM_KEYS), NULL, false);
	p->parts[OTHER_LEAF] = make_part(leaf_cn(), pick(NUM_KEYS), NULL, true);
	p->num = FIRST_CA;
	for (size_t i = levels; i > 0; i--)
		p->parts[p->num++] = chain[i - 1];
	if (levels > 1 && chance(15)) {
		/* The nearest CA's name and key, certified by the stranger too. */
		X509_NAME *name = X509_get_subject_name(p->parts[FIRST_CA].x);
		struct part cross = make_part("Cross", 0, &p->parts[STRANGER], false);
		MUST(X509_set_subject_name(cross.x, name) && X509_set_pubkey(cross.x, p->parts[FIRST_CA].key));
		MUST(X509_sign(cross.x, p->parts[STRANGER].key, EVP_sha256()) > 0);
		cross.key = p->parts[FIRST_CA].key;
		p->parts[p->num++] = cross;
	}
}

static void pki_fini(struct pki *p)
{
	for (size_t i = 0; i < p->num; i++)
		X509_free(p->parts[i].x);
}

static void put_der(struct bytes *out, X509 *x)
{
	uint8_t *der = NULL;
	int len = i2d_X509(x, &der);
	MUST(len > 0);
	append(out, der, (size_t)len);
	OPENSSL_free(der);
}

static void put_spki(struct bytes *out, X509 *x)
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	MUST(len > 0);
	append(out, der, (size_t)len);
	OPENSSL_free(der);
}

static void send_part(struct dane_case *c, const struct pki *p, size_t i)
{
	if (c->num_chain < CASE_CHAIN_MAX && i < p->num)
		put_der(&c->chain[c->num_chain++], p->parts[i].x);
}

static void send_chain(struct dane_case *c, const struct pki *p)
{
	bool reversed = chance(10), stranger_first = chance(8);
	send_part(c, p, LEAF);
	if (stranger_first)
		send_part(c, p, STRANGER);
	for (size_t k = FIRST_CA; k < p->num; k++) {
		size_t i = reversed ? p->num - 1 - (k - FIRST_CA) : k;
		bool root = i + 1 == p->num;
		if (chance(root ? 65 : 92)) /* a missing intermediate; a root is often left out */
			send_part(c, p, i);
		if (chance(4))
			send_part(c, p, i);
	}
	if (chance(10))
		send_part(c, p, STRANGER);
	if (chance(4))
		send_part(c, p, LEAF);
	if (chance(4))
		send_part(c, p, OTHER_LEAF);
}

/* ---- what is published ---- */

static size_t target(const struct pki *p, uint8_t usage)
{
	if (chance(12))
		return chance(50) ? STRANGER : OTHER_LEAF;
	if (usage == 3 || usage == 1)
		return chance(80) ? LEAF : pick(p->num);
	return p->num > FIRST_CA && chance(90) ? FIRST_CA + pick(p->num - FIRST_CA) : LEAF;
}

static void put_association(struct bytes *out, X509 *x, uint8_t selector, uint8_t matching)
{
	struct bytes data = { 0 };
	uint8_t digest[SHA512_DIGEST_LENGTH];
	if (selector == 0)
		put_der(&data, x);
	else
		put_spki(&data, x);
	struct slice s = bytes_slice(&data);
	if (matching == 2)
		append(out, SHA512(s.p, s.len, digest), SHA512_DIGEST_LENGTH);
	else if (matching == 1)
		append(out, SHA256(s.p, s.len, digest), SHA256_DIGEST_LENGTH);
	else
		append(out, s.p, s.len);
	bytes_fini(&data);
}

static void spoil(struct bytes *b)
{
	struct slice s = bytes_slice(b);
	uint8_t *octets = b->p + b->start;
	switch (pick(5)) {
	case 0: /* cut */
		b->end -= pick(s.len - 3);
		break;
	case 1: /* longer */
		append(b, "\0", 1);
		break;
	case 2: /* another digest, or a damaged certificate or key */
		octets[3 + pick(s.len - 3)] ^= (uint8_t)(1 + pick(255));
		break;
	case 3: { /* rubbish; one draw, for the length is not the same in each run */
		uint8_t step = (uint8_t)(1 + pick(255));
		for (size_t i = 3; i < s.len; i++)
			octets[i] = (uint8_t)(octets[i] * 5 + step);
		break;
	}
	default: /* parameters that nobody knows */
		octets[pick(3)] = (uint8_t)(3 + pick(253));
		break;
	}
}

static void put_record(struct bytes *out, const struct pki *p)
{
	static const uint8_t usages[] = { 3, 3, 3, 2, 2, 2, 2, 2, 0, 1 };
	uint8_t usage = usages[pick(sizeof usages)];
	uint8_t selector = (uint8_t)pick(2), matching = (uint8_t)(chance(25) ? 0 : 1 + pick(2));
	uint8_t fixed[3] = { usage, selector, matching };
	append(out, fixed, sizeof fixed);
	put_association(out, p->parts[target(p, usage)].x, selector, matching);
	if (chance(30))
		spoil(out);
}

static void publish(struct dane_case *c, const struct pki *p)
{
	size_t num = 1 + pick(chance(70) ? 3 : 6);
	while (c->num_records < num) {
		struct bytes *at = &c->records[c->num_records++];
		if (c->num_records > 1 && chance(8)) {
			struct slice again = bytes_slice(&c->records[pick(c->num_records - 1)]);
			append(at, again.p, again.len);
		} else {
			put_record(at, p);
		}
	}
}

void case_make(struct dane_case *c)
{
	struct pki p;
	*c = (struct dane_case){ .now = world.now, .names = { "mx.example.org", "example.org" }, .num_names = chance(70) ? 2 : 1 };
	pki_make(&p);
	send_chain(c, &p);
	publish(c, &p);
	c->key = p.parts[LEAF].key;
	pki_fini(&p);
}

void case_fini(struct dane_case *c)
{
	for (size_t i = 0; i < CASE_CHAIN_MAX; i++)
		bytes_fini(&c->chain[i]);
	for (size_t i = 0; i < CASE_RECORDS_MAX; i++)
		bytes_fini(&c->records[i]);
}

static void print_hex(FILE *to, const char *word, struct slice s)
{
	fprintf(to, "%s ", word);
	for (size_t i = 0; i < s.len; i++)
		fprintf(to, "%02x", s.p[i]);
	fprintf(to, "\n");
}

void case_print(FILE *to, const struct dane_case *c)
{
	fprintf(to, "now %lld\n", (long long)c->now);
	for (size_t i = 0; i < c->num_names; i++)
		fprintf(to, "name %s\n", c->names[i]);
	for (size_t i = 0; i < c->num_records; i++)
		print_hex(to, "record", bytes_slice(&c->records[i]));
	for (size_t i = 0; i < c->num_chain; i++)
		print_hex(to, "cert", bytes_slice(&c->chain[i]));
	fprintf(to, "end\n");
}

void case_slices(const struct bytes *from, size_t num, struct slice *out)
{
	for (size_t i = 0; i < num; i++)
		out[i] = bytes_slice(&from[i]);
}

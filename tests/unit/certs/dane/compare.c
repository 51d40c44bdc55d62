/* dane_compare [-n CASES] [-s SEED]: our verdict on random cases against OpenSSL's (openssl.c;
 * dane_openssl beside this program). Where they differ one of these must hold; each is
 * counted, and rare:
 *
 * one path     OpenSSL gives our verdict when one record is the only one, or some of the
 *              certificates are not sent, or the last first. It goes up one path only, and of several issuers
 *              with one name takes one that did not sign, or one beside the pinned one; and the
 *              bare key of a 2 1 0 record counts with it only where no certificate with that key
 *              is at hand. RFC 5280 6.1: any valid path will do; RFC 7671 5.2.3: the key alone
 *              is the anchor.
 * anchor       an anchor without basicConstraints: OpenSSL wants keyUsage instead, we
 *              nothing. RFC 5280 6.1.4 (k) asks that of the certificates below it.
 * not a CA     an intermediate certificate without basicConstraints, which OpenSSL lets
 *              pass if it has keyUsage. RFC 5280 6.1.4 (k): it is no CA.
 * no key id    a self-issued certificate that somebody else signed, without one of the key
 *              identifiers that tell: BoringSSL takes it for self-signed. RFC 5280 4.2.1.1 and
 *              4.2.1.2: a CA's certificate must have both.
 * constraint   a name in the CN alone, below a CA with name constraints: OpenSSL holds the CN
 *              against them, we say that it proves nothing. RFC 5280 4.2.1.10 has no such rule
 *              for CNs, so they evade constraints.
 * undecodable  a damaged Full(0) record that OpenSSL can decode and BoringSSL can't, and
 *              which is then unusable. RFC 7671 4.
 *
 * dane_compare -j [-n CASES] [-s SEED]: the cases with our verdicts as JSON, one in a line, for
 * comparing with others (tests/e2e/test_dane_client.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/dane_ssl.h"
#include "tests/unit/certs/dane/cases.h"

enum excuse { ONE_PATH, ANCHOR, NOT_A_CA, NO_KEY_ID, CONSTRAINT, UNDECODABLE, NONE, NUM_EXCUSES };

static const char *const excuses[NUM_EXCUSES] = {
	"one path", "anchor", "not a CA", "no key id", "constraint", "undecodable", "NO EXCUSE",
};

struct trial {
	struct dane_case c;
	enum dane_result ours, theirs;
	struct why why;
};

struct run {
	char openssl[512];
	uint64_t seed;
	size_t num;
	struct trial *trials;
	size_t verdicts[DANE_NUM_RESULTS], excused[NUM_EXCUSES];
};

static void judge(struct trial *t)
{
	struct slice records[CASE_RECORDS_MAX], chain[CASE_CHAIN_MAX];
	struct dane_records picked;
	struct dane_presented p = { chain, t->c.num_chain, t->c.names, t->c.num_names, { t->c.now } };
	case_slices(t->c.records, t->c.num_records, records);
	case_slices(t->c.chain, t->c.num_chain, chain);
	dane_select(records, t->c.num_records, &picked, &t->why);
	t->ours = dane_verify(&picked, &p, NULL, &t->why);
}

/* ---- OpenSSL's side: cases in a file, answers through a pipe ---- */

static enum dane_result verdict_of(const char *line)
{
	size_t len = strcspn(line, " \n");
	for (int r = 0; r < DANE_NUM_RESULTS; r++)
		if (slice_eq(slice_of(line, len), slice_str(dane_result_name((enum dane_result)r))))
			return (enum dane_result)r;
	fprintf(stderr, "not a verdict: %s", line);
	exit(2);
}

struct questions {
	char path[32];
	FILE *file;
};

static void questions_open(struct questions *q)
{
	strcpy(q->path, "/tmp/danegate-dane-XXXXXX");
	q->file = fdopen(mkstemp(q->path), "w");
}

static FILE *questions_ask(struct questions *q, const char *openssl)
{
	char command[1024];
	(void)fclose(q->file);
	(void)snprintf(command, sizeof command, "%s < %s", openssl, q->path);
	return popen(command, "r");
}

static enum dane_result next_answer(FILE *answers)
{
	char line[128];
	if (fgets(line, sizeof line, answers) == NULL) {
		fprintf(stderr, "an answer is missing\n");
		exit(2);
	}
	return verdict_of(line);
}

static void questions_end(struct questions *q, FILE *answers)
{
	(void)unlink(q->path);
	if (pclose(answers) != 0)
		exit(2);
}

static void ask_all(struct run *r)
{
	struct questions q;
	questions_open(&q);
	for (size_t i = 0; i < r->num; i++)
		case_print(q.file, &r->trials[i].c);
	FILE *answers = questions_ask(&q, r->openssl);
	for (size_t i = 0; i < r->num; i++)
		r->trials[i].theirs = next_answer(answers);
	questions_end(&q, answers);
}

/* ---- excuses ---- */

/* case_with is the case with only those certificates above the leaf that are in `set`, also
 * backwards, and with one record only, unless `record` is beyond them; it borrows. */
static struct dane_case case_with(const struct dane_case *c, unsigned set, bool backwards, size_t record)
{
	struct dane_case less = *c;
	if (record < c->num_records) {
		less.records[0] = c->records[record];
		less.num_records = 1;
	}
	less.num_chain = 1;
	for (size_t k = 1; k < c->num_chain; k++) {
		size_t i = backwards ? c->num_chain - k : k;
		if (set >> (i - 1) & 1)
			less.chain[less.num_chain++] = c->chain[i];
	}
	return less;
}

static bool agrees_with_less(const struct run *r, const struct trial *t)
{
	size_t num = (size_t)1 << (t->c.num_chain - 1), total = 2 * num * (t->c.num_records + 1);
	bool agrees = false;
	struct questions q;
	questions_open(&q);
	for (size_t i = 0; i < total; i++) {
		struct dane_case less = case_with(&t->c, (unsigned)(i / 2 % num), i % 2 == 1, i / 2 / num);
		case_print(q.file, &less);
	}
	FILE *answers = questions_ask(&q, r->openssl);
	for (size_t i = 0; i < total; i++)
		agrees |= next_answer(answers) == t->ours;
	questions_end(&q, answers);
	return agrees;
}

static X509 *decode(struct slice der)
{
	const uint8_t *p = der.p;
	return d2i_X509(NULL, &p, (long)der.len);
}

static bool lacks_constraints(X509 *x)
{
	return X509_get_ext_by_NID(x, NID_basic_constraints, -1) < 0;
}

static bool self_issued_by_another(X509 *x)
{
	EVP_PKEY *key = X509_get_pubkey(x);
	bool own = X509_verify(x, key) == 1;
	EVP_PKEY_free(key);
	bool ids = X509_get_ext_by_NID(x, NID_authority_key_identifier, -1) >= 0 &&
	           X509_get_ext_by_NID(x, NID_subject_key_identifier, -1) >= 0;
	return !own && !ids && X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

static bool constrains_names(X509 *x)
{
	return X509_get_ext_by_NID(x, NID_name_constraints, -1) >= 0;
}

static bool has_no_dns_id(X509 *x)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;
	for (size_t i = 0; sans != NULL && i < sk_GENERAL_NAME_num(sans); i++)
		found |= sk_GENERAL_NAME_value(sans, i)->type == GEN_DNS;
	GENERAL_NAMES_free(sans);
	return !found;
}

static bool decodes_to(struct slice der, bool (*is)(X509 *))
{
	X509 *x = decode(der);
	bool yes = x != NULL && is(x);
	X509_free(x);
	return yes;
}

/* Of those sent above the leaf, and of those in 2 0 0 records. */
static bool any_above(const struct dane_case *c, bool (*is)(X509 *))
{
	for (size_t i = 1; i < c->num_chain; i++)
		if (decodes_to(bytes_slice(&c->chain[i]), is))
			return true;
	for (size_t i = 0; i < c->num_records; i++) {
		struct slice s = bytes_slice(&c->records[i]);
		if (s.p[0] == TLSA_DANE_TA && s.p[1] == TLSA_CERT && s.p[2] == TLSA_FULL && decodes_to(slice_from(s, 3), is))
			return true;
	}
	return false;
}

static bool has_undecodable(const struct dane_case *c)
{
	struct slice records[CASE_RECORDS_MAX];
	struct dane_records picked;
	case_slices(c->records, c->num_records, records);
	dane_select(records, c->num_records, &picked, NULL);
	size_t before = picked.num;
	dane_decode(&picked, NULL);
	return picked.num < before;
}

static enum excuse excuse_of(const struct run *r, const struct trial *t)
{
	const struct dane_case *c = &t->c;
	bool further = t->ours < t->theirs; /* we say something better */
	if (further && agrees_with_less(r, t))
		return ONE_PATH;
	if (!further && has_undecodable(c))
		return UNDECODABLE;
	if (any_above(c, lacks_constraints))
		return further ? ANCHOR : NOT_A_CA;
	if (!further && any_above(c, self_issued_by_another))
		return NO_KEY_ID;
	if (t->ours != DANE_OK && any_above(c, constrains_names) && decodes_to(bytes_slice(&c->chain[0]), has_no_dns_id))
		return CONSTRAINT;
	return NONE;
}

/* Differences are explained, and rare all the same; three without an excuse are enough to read. */
static bool is_bad(const struct run *r, size_t without_excuse)
{
	size_t excused = 0;
	for (size_t i = 0; i < NONE; i++)
		excused += r->excused[i];
	return r->excused[NONE] >= without_excuse || excused > 5 + r->num / 50;
}

static void sort_out(struct run *r)
{
	for (size_t i = 0; i < r->num && !is_bad(r, 3); i++) {
		const struct trial *t = &r->trials[i];
		r->verdicts[t->ours]++;
		if (t->ours == t->theirs)
			continue;
		enum excuse e = excuse_of(r, t);
		r->excused[e]++;
		if (e != ONE_PATH)
			printf("case %zu of seed %llu, %s: ours %s (%s), OpenSSL's %s\n", i, (unsigned long long)r->seed, excuses[e],
			       dane_result_name(t->ours), t->why.text, dane_result_name(t->theirs));
		if (e == NONE)
			case_print(stdout, &t->c);
	}
}

static int report(const struct run *r)
{
	printf("%zu cases:", r->num);
	for (size_t i = 0; i < DANE_NUM_RESULTS; i++)
		printf(" %s %zu", dane_result_name((enum dane_result)i), r->verdicts[i]);
	printf("; differences:");
	for (size_t i = 0; i < NUM_EXCUSES; i++)
		printf("%s %s %zu", i == 0 ? "" : ",", excuses[i], r->excused[i]);
	printf("\n");
	return is_bad(r, 1);
}

/* ---- JSON ---- */

static void json_pem(FILE *to, BIO *bio)
{
	const uint8_t *p;
	size_t len;
	if (BIO_mem_contents(bio, &p, &len) != 1)
		exit(2);
	for (size_t i = 0; i < len; i++)
		fprintf(to, p[i] == '\n' ? "\\n" : "%c", p[i]);
	BIO_free(bio);
}

static void json_case(FILE *to, const struct trial *t)
{
	BIO *key = BIO_new(BIO_s_mem()), *chain = BIO_new(BIO_s_mem());
	if (PEM_write_bio_PrivateKey(key, t->c.key, NULL, NULL, 0, NULL, NULL) != 1)
		exit(2);
	for (size_t i = 0; i < t->c.num_chain; i++) {
		X509 *x = decode(bytes_slice(&t->c.chain[i]));
		if (PEM_write_bio_X509(chain, x) != 1)
			exit(2);
		X509_free(x);
	}
	fprintf(to, "{\"verdict\": \"%s\", \"why\": \"%s\", \"num_names\": %zu, \"records\": [", dane_result_name(t->ours), t->why.text,
	        t->c.num_names);
	for (size_t i = 0; i < t->c.num_records; i++) {
		struct slice s = bytes_slice(&t->c.records[i]);
		fprintf(to, "%s\"", i == 0 ? "" : ", ");
		for (size_t k = 0; k < s.len; k++)
			fprintf(to, "%02x", s.p[k]);
		fprintf(to, "\"");
	}
	fprintf(to, "], \"key\": \"");
	json_pem(to, key);
	fprintf(to, "\", \"chain\": \"");
	json_pem(to, chain);
	fprintf(to, "\"}\n");
}

static void find_openssl(struct run *r)
{
	ssize_t len = readlink("/proc/self/exe", r->openssl, sizeof r->openssl - 16);
	char *slash = len > 0 ? strrchr(r->openssl, '/') : NULL;
	if (slash != NULL)
		strcpy(slash, "/dane_openssl");
}

int main(int argc, char **argv)
{
	struct run r = { .num = 2000, .seed = 1 };
	bool json = false;
	int option, status = 0;
	while ((option = getopt(argc, argv, "n:s:j")) != -1) {
		if (option == 'n')
			r.num = (size_t)strtoul(optarg, NULL, 10);
		else if (option == 's')
			r.seed = strtoull(optarg, NULL, 10);
		else if (option == 'j')
			json = true;
		else
			return 2;
	}
	find_openssl(&r);
	r.trials = calloc(r.num, sizeof *r.trials);
	cases_begin(r.seed, time(NULL));
	for (size_t i = 0; i < r.num; i++) {
		case_make(&r.trials[i].c);
		judge(&r.trials[i]);
		if (json)
			json_case(stdout, &r.trials[i]);
	}
	if (!json) {
		ask_all(&r);
		sort_out(&r);
		status = report(&r);
	}
	for (size_t i = 0; i < r.num; i++)
		case_fini(&r.trials[i].c);
	free(r.trials);
	cases_end();
	return status;
}

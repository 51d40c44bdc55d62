/* compare OPENSSL-PROGRAM [-n CASES] [-s SEED] [-v]: our verdict on random cases against
 * OpenSSL's (openssl.c). compare -j [-n CASES] [-s SEED]: the cases with our verdicts as JSON, one in a
 * line, for comparing with others (tests/e2e/test_dane_client.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "certs/dane_ssl.h"
#include "tests/unit/certs/dane/cases.h"

struct options {
	const char *openssl;
	size_t num;
	uint64_t seed;
	bool verbose;
	bool json;
};

static enum dane_result ours(const struct dane_case *c, struct why *why)
{
	struct slice records[CASE_RECORDS_MAX], chain[CASE_CHAIN_MAX];
	struct dane_records picked;
	struct dane_presented p = { .chain = chain, .num_chain = c->num_chain, .names = c->names, .num_names = c->num_names,
		                    .now = { c->now } };
	case_slices(c->records, c->num_records, records);
	case_slices(c->chain, c->num_chain, chain);
	dane_select(records, c->num_records, &picked, why);
	return dane_verify(&picked, &p, NULL, why);
}

static enum dane_result theirs(const char *line)
{
	size_t len = strcspn(line, " \n");
	for (int r = 0; r < DANE_NUM_RESULTS; r++)
		if (slice_eq(slice_of(line, len), slice_str(dane_result_name((enum dane_result)r))))
			return (enum dane_result)r;
	fprintf(stderr, "not a verdict: %s", line);
	exit(2);
}

struct tally {
	size_t verdicts[DANE_NUM_RESULTS];
	size_t differ;
};

static void report(const struct options *o, size_t i, enum dane_result us, const char *line, const char *why)
{
	printf("case %zu of seed %llu: ours %s (%s), OpenSSL's %s", i, (unsigned long long)o->seed, dane_result_name(us), why, line);
}

/* The cases go to a file, and OpenSSL's answers come through a pipe. */
static int compare(const struct options *o)
{
	char path[] = "/tmp/danegate-cases-XXXXXX", command[512], line[128];
	FILE *file = fdopen(mkstemp(path), "w");
	enum dane_result *verdicts = calloc(o->num, sizeof *verdicts);
	struct why *why = calloc(o->num, sizeof *why);
	struct tally t = { 0 };
	for (size_t i = 0; i < o->num; i++) {
		struct dane_case c;
		case_make(&c);
		case_print(file, &c);
		verdicts[i] = ours(&c, &why[i]);
		t.verdicts[verdicts[i]]++;
		case_fini(&c);
	}
	fclose(file);
	(void)snprintf(command, sizeof command, "%s < %s", o->openssl, path);
	FILE *answers = popen(command, "r");
	size_t got = 0;
	while (got < o->num && fgets(line, sizeof line, answers) != NULL) {
		if (theirs(line) != verdicts[got]) {
			t.differ++;
			report(o, got, verdicts[got], line, why[got].text);
		}
		got++;
	}
	int status = pclose(answers);
	if (t.differ == 0)
		(void)unlink(path);
	printf("%zu cases:", got);
	for (size_t r = 0; r < DANE_NUM_RESULTS; r++)
		printf(" %s %zu", dane_result_name((enum dane_result)r), t.verdicts[r]);
	printf("; %zu differ\n", t.differ);
	free(verdicts);
	free(why);
	return got == o->num && status == 0 && t.differ == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o = { .num = 3000, .seed = 1 };
	int option;
	while ((option = getopt(argc, argv, "n:s:vj")) != -1) {
		switch (option) {
		case 'n': o.num = (size_t)strtoul(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'v': o.verbose = true; break;
		case 'j': o.json = true; break;
		default: return 2;
		}
	}
	o.openssl = argv[optind];
	cases_begin(o.seed, time(NULL));
	int status = compare(&o);
	cases_end();
	return status;
}

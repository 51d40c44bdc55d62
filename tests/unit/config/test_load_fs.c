/* What --check says about the files that settings name. */
#include "config/load_fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static void put(const char *name, const char *text, mode_t mode)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)unlink(path);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void make_dir(const char *name, mode_t mode)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)mkdir(path, mode);
	assert_int_equal(chmod(path, mode), 0);
}

/* `extra` is added to a good configuration; every %s in it is the directory. */
static enum ec load(enum config_program program, const char *extra, struct config_errors *errs)
{
	char path[128], text[4000];
	struct writer w = writer_of(text, sizeof text);
	writer_format(&w,
	              "proxy: {hostname: a.b, control_socket: %s/c.sock, stats_socket: %s/s.sock}\n"
	              "backend: {address: 127.0.0.1:2525}\n",
	              dir, dir);
	for (const char *p = extra; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's') {
			writer_str(&w, dir);
			p++;
		} else {
			writer_bytes(&w, slice_of(p, 1));
		}
	}
	assert_false(w.bad);
	put("f.yaml", text, 0600);
	(void)snprintf(path, sizeof path, "%s/f.yaml", dir);
	struct config *cfg = NULL;
	*errs = (struct config_errors){ 0 };
	enum ec ec = config_load(path, program, &cfg, errs);
	assert_true((cfg != NULL) == (ec == EC_OK));
	if (cfg != NULL)
		assert_string_equal(cfg->file_name, path);
	config_free(cfg);
	return ec;
}

#define GOOD "state_dir: %s/state\ndns: {trust_anchor: %s/anchor}\n"
#define GOOD_IDENTITY "identities: [{name: a.b}]\n"
#define GOOD_SYNC \
	"tlsa_sync:\n  journal: %s/j.db\n  control_socket: %s/tc.sock\n  stats_socket: %s/ts.sock\n" \
	"  rfc2136:\n    tsig_name: k\n    tsig_key_file: %s/tsig\n"

static const struct {
	const char *name;
	enum config_program program;
	const char *extra;
	const char *want; /* NULL: good. Start after "<dir>/f.yaml:", and a part of it */
	const char *part;
} cases[] = {
	{ "good danegate", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY, NULL, NULL },
	{ "good tlsa-sync", CONFIG_FOR_TLSA_SYNC, GOOD GOOD_SYNC, NULL, NULL },
	{ "no anchor", CONFIG_FOR_DANEGATE, "state_dir: %s/state\ndns: {trust_anchor: %s/gone}\n" GOOD_IDENTITY,
	  "4:21: dns.trust_anchor: ", "/gone cannot be read (No such file or directory); " },
	{ "anchor is a directory", CONFIG_FOR_DANEGATE, "state_dir: %s/state\ndns: {trust_anchor: %s/state}\n" GOOD_IDENTITY,
	  "4:21: dns.trust_anchor: ", "is not a regular file; " },
	{ "no hints", CONFIG_FOR_DANEGATE,
	  "state_dir: %s/state\ndns: {trust_anchor: %s/anchor, root_hints: %s/gone}\n" GOOD_IDENTITY, "4:", "dns.root_hints: " },
	{ "no state_dir", CONFIG_FOR_DANEGATE, "state_dir: %s/gone\ndns: {trust_anchor: %s/anchor}\n" GOOD_IDENTITY,
	  "3:12: state_dir: ", "make it: install -d -m 0750 " },
	{ "state_dir is a file", CONFIG_FOR_DANEGATE, "state_dir: %s/anchor\ndns: {trust_anchor: %s/anchor}\n" GOOD_IDENTITY,
	  "3:12: state_dir: ", "is not a directory; " },
	{ "state_dir open", CONFIG_FOR_DANEGATE, "state_dir: %s/open\ndns: {trust_anchor: %s/anchor}\n" GOOD_IDENTITY,
	  "3:12: state_dir: ", "writable for group or others (mode 0777); " },
	{ "no such user", CONFIG_FOR_DANEGATE, GOOD "user: nobody-has-this-name\n" GOOD_IDENTITY, "5:7: user: ",
	  "there is no user nobody-has-this-name; " },
	{ "key readable by all", CONFIG_FOR_DANEGATE,
	  GOOD "identities:\n  - name: a.b\n    issuer: files\n    files:\n      - chain: %s/anchor\n        key: %s/open.key\n",
	  "10:14: identities.files.key: ", "is open to group or others (mode 0644); chmod 0600" },
	{ "key readable by group", CONFIG_FOR_DANEGATE,
	  GOOD "identities:\n  - name: a.b\n    issuer: files\n    files:\n      - chain: %s/anchor\n        key: %s/group.key\n",
	  "10:14: identities.files.key: ", "(mode 0640); " },
	{ "no chain", CONFIG_FOR_DANEGATE,
	  GOOD "identities:\n  - name: a.b\n    issuer: files\n    files:\n      - chain: %s/gone\n        key: %s/tsig\n",
	  "9:16: identities.files.chain: ", "cannot be read" },
	{ "missing setting", CONFIG_FOR_DANEGATE, GOOD, "1:1: identities: ", "is missing, and danegate needs it; " },
	{ "no tsig key", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/gone}}\n",
	  "5:", "tlsa_sync.rfc2136.tsig_key_file: " },
	{ "tsig key readable", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/open.key}}\n",
	  "5:", "is open to group or others (mode 0644); " },
	{ "tsig key empty", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/empty}}\n",
	  "5:", "is empty; " },
	{ "tsig key not base64", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/words}}\n",
	  "5:", "is not base64; " },
	{ "tsig key short", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/short}}\n",
	  "5:", "too short or too long; " },
	{ "another publisher needs no tsig key", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: exec, exec: {command: [/bin/true]}}\n",
	  NULL, NULL },
	{ "no program", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: exec, exec: {command: [%s/gone]}}\n",
	  "5:", "/gone cannot be run (No such file or directory); install it" },
	{ "program is a directory", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: exec, exec: {command: [%s/state]}}\n",
	  "5:", "/state is not a regular file; " },
	{ "program may not be run", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: exec, exec: {command: [%s/anchor]}}\n",
	  "5:", "/anchor cannot be run (Permission denied); chmod +x it" },
	{ "no directory for zone files", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: zonefile, zonefile: {directory: %s/gone}}\n",
	  "5:", "tlsa_sync.zonefile.directory: " },
	{ "no reload program", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/j, control_socket: %s/a, stats_socket: %s/b, publisher: zonefile, zonefile: {directory: %s/state, reload: [%s/gone]}}\n",
	  "5:", "tlsa_sync.zonefile.reload: " },
	{ "CA", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/ca.pem\n", NULL, NULL },
	{ "two CAs with words between", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/two.pem\n", NULL, NULL },
	{ "no CA", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/gone\n", "11:13: connectors.tls_ca: ", "/gone cannot be read (No such" },
	{ "CA is a directory", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/state\n", "11:13: connectors.tls_ca: ", "is not a regular file; " },
	{ "CA is no PEM", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/anchor\n", "11:13: connectors.tls_ca: ",
	  "/anchor holds no certificate in PEM (-----BEGIN CERTIFICATE-----); " },
	{ "CA is a key", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/key.pem\n", "11:13: connectors.tls_ca: ", "holds no certificate in PEM" },
	{ "the second CA is cut off", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/cut.pem\n", "11:13: connectors.tls_ca: ",
	  "certificate 2 in " },
	{ "CA is damaged", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/damaged.pem\n", "11:13: connectors.tls_ca: ",
	  "certificate 1 in " },
	{ "one in the middle is damaged", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/middle.pem\n", "11:13: connectors.tls_ca: ",
	  "certificate 2 in " },
	{ "the BEGIN of one in the middle is damaged", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/begin.pem\n", "11:13: connectors.tls_ca: ",
	  "certificate 2 in " },
	{ "the END of one in the middle is damaged", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "connectors:\n  - name: a\n    domains: [a.b]\n    next_hops: [{to: mx}]\n    tls: require\n    tls_ca: %s/end.pem\n", "11:13: connectors.tls_ca: ",
	  "certificate 2 in " },
	{ "one of the old name", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {ca: %s/x509.pem}\n", NULL, NULL },
	{ "one of the old name is damaged", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {ca: %s/old.pem}\n", "6:15: mta_sts.ca: ", "certificate 2 in " },
	{ "CA is a FIFO", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {ca: %s/fifo}\n", "6:15: mta_sts.ca: ", "/fifo is not a regular file; name a file" },
	{ "a connector's CA is nothing to tlsa-sync", CONFIG_FOR_TLSA_SYNC,
	  GOOD GOOD_SYNC "connectors: [{name: a, domains: [a.b], next_hops: [{to: mx}], tls: require, tls_ca: /gone}]\n", NULL, NULL },
	{ "CA of policy hosts", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {ca: %s/ca.pem, cache_dir: %s/policies}\n", NULL, NULL },
	{ "no CA of policy hosts", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {ca: %s/gone}\n", "6:15: mta_sts.ca: ", "/gone cannot be read (No such" },
	{ "nowhere for policies", CONFIG_FOR_DANEGATE, GOOD GOOD_IDENTITY "mta_sts: {cache_dir: %s/gone/policies}\n", "6:22: mta_sts.cache_dir: ", "install -d" },
	{ "no journal directory", CONFIG_FOR_TLSA_SYNC,
	  GOOD "tlsa_sync: {journal: %s/gone/j, control_socket: %s/a, stats_socket: %s/b, rfc2136: {tsig_name: k, tsig_key_file: %s/tsig}}\n",
	  "5:22: tlsa_sync.journal: ", "install -d" },
};

static void files(void **state)
{
	(void)state;
	unsigned failed = 0;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct config_errors errs;
		char start[256];
		enum ec ec = load(cases[i].program, cases[i].extra, &errs);
		(void)snprintf(start, sizeof start, "%s/f.yaml:%s", dir, cases[i].want == NULL ? "" : cases[i].want);
		bool good = cases[i].want == NULL ?
		                    ec == EC_OK && errs.num == 0 :
		                    ec == errs.ec && errs.num == 1 &&
		                            strncmp(errs.items[0], start, strlen(start)) == 0 &&
		                            strstr(errs.items[0], cases[i].part) != NULL && strstr(errs.items[0], "; ") != NULL;
		if (!good) {
			print_error("%s: %s, %zu: %s\n", cases[i].name, ec_name(ec), errs.num, errs.items[0]);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* One run shows everything that is wrong. */
static void all_at_once(void **state)
{
	(void)state;
	struct config_errors errs;
	assert_int_not_equal(load(CONFIG_FOR_DANEGATE, "state_dir: %s/gone\ndns: {trust_anchor: %s/gone}\nuser: nobody-has-this-name\n", &errs),
	                     EC_OK);
	assert_int_equal(errs.num, 4);
}

static void the_file_itself(void **state)
{
	(void)state;
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	assert_int_equal(config_load("/nonexistent/f.yaml", CONFIG_FOR_DANEGATE, &cfg, &errs), EC_NOT_FOUND);
	assert_non_null(strstr(errs.items[0], "/nonexistent/f.yaml:1:1: "));
	errs = (struct config_errors){ 0 };
	assert_int_equal(config_load("/dev/zero", CONFIG_FOR_DANEGATE, &cfg, &errs), EC_IO);
	errs = (struct config_errors){ 0 };
	assert_int_equal(config_load(dir, CONFIG_FOR_DANEGATE, &cfg, &errs), EC_IO);
}

static void tsig_secret(void **state)
{
	(void)state;
	struct config *cfg = NULL;
	assert_int_equal(config_defaults(&cfg), EC_OK);
	free(cfg->tlsa_sync.rfc2136.tsig_key_file);
	assert_true(asprintf(&cfg->tlsa_sync.rfc2136.tsig_key_file, "%s/tsig", dir) > 0);
	struct secret s = { 0 };
	struct why why = { 0 };
	assert_int_equal(config_load_tsig(cfg, &s, &why), EC_OK);
	/* Without the blanks around it. */
	assert_string_equal((const char *)s.p, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
	secret_fini(&s);
	config_free(cfg);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/danegate-load-XXXXXX");
	alarm(50); /* whoever waits for the FIFO dies, instead of standing still */
	if (mkdtemp(dir) == NULL)
		return 1;
	make_dir("state", 0700);
	make_dir("open", 0777);
	put("anchor", ". IN DS 20326 8 2 E06D\n", 0644);
	put("tsig", " MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n", 0600);
	put("open.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0644);
	put("group.key", "x\n", 0640);
	put("empty", "\n", 0600);
	put("words", "key \"k\" { secret \"x\"; };\n", 0600);
#define PEM(body) "-----BEGIN CERTIFICATE-----\n" body "-----END CERTIFICATE-----\n"
	put("ca.pem", PEM("MIIBszCCAVmgAwIBAgIUJ2b8\n0aB+/w==\n"), 0644);
	put("two.pem", "one\n" PEM("MIIB\n") "\ntwo: ==\n" PEM("MIIC\r\nMIID\r\n"), 0644);
	put("key.pem", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", 0600);
	put("cut.pem", PEM("MIIB\n") "-----BEGIN CERTIFICATE-----\nMIIB\n", 0644);
	put("damaged.pem", PEM("MII!\n"), 0644);
	put("middle.pem", PEM("MIIB\n") PEM("MII\n") PEM("MIID\n"), 0644);
	put("begin.pem", PEM("MIIB\n") "----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n" PEM("MIID\n"), 0644);
	put("end.pem", PEM("MIIB\n") "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE----\n" PEM("MIID\n"), 0644);
	put("old.pem", PEM("MIIB\n") "-----BEGIN X509 CERTIFICATE-----\nMII\n-----END X509 CERTIFICATE-----\n", 0644);
	put("x509.pem", "-----BEGIN X509 CERTIFICATE-----\nMIIB\n-----END X509 CERTIFICATE-----\n", 0644);
	char fifo[128];
	(void)snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	if (mkfifo(fifo, 0644) != 0)
		return 1;
	put("short", "MDEyMw==\n", 0600);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(the_file_itself),
		cmocka_unit_test(tsig_secret),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

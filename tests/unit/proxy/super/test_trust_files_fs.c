/* CA certificates for workers, who open no files. */
#include "proxy/super/trust_files_fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"
#include "config/load_fs.h"
#include "tests/unit/unit.h"

#define PEM(body) "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----\n"
#define CA PEM("MIIB")

static char directory[] = "/tmp/trust-files-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[64];
	(void)snprintf(path, sizeof path, "%s%s%s", directory, *name == '\0' ? "" : "/", name);
	return path;
}

static void write_file(const char *name, const char *head, size_t len)
{
	FILE *f = fopen(path_of(name), "w");
	assert_non_null(f);
	size_t at = fwrite(head, 1, strlen(head), f);
	while (at++ < len)
		assert_int_equal(fputc('x', f), 'x');
	assert_int_equal(fclose(f), 0);
}

/* files_of is what the connectors in `connectors` need; the system's store is the file "system". */
static enum ec files_of(const char *connectors, json_t **out, struct why *why)
{
	char text[8000];
	struct config *cfg = NULL;
	struct config_errors errs = { 0 };
	int n = snprintf(text, sizeof text, "identities: [{name: mx1.example.org}]\nmta_sts: {ca: %s}\nconnectors:\n", path_of("system"));
	for (const char *c = connectors; *c != '\0'; c++) /* @ is the directory */
		n += snprintf(text + n, sizeof text - (size_t)n, "%.*s", *c == '@' ? (int)strlen(directory) : 1, *c == '@' ? directory : c);
	if (config_parse(slice_str(text), "test", &cfg, &errs) != EC_OK)
		fail_msg("%s", errs.items[0]);
	*out = NULL;
	enum ec ec = trust_files_read(cfg, out, why);
	config_free(cfg);
	return ec;
}

#define REQUIRE(name, more) \
	"  - {name: " name ", domains: [" name ".example], next_hops: [{to: \"" name ".example:25\"}], tls: require" more "}\n"

static void fails(const char *connectors, enum ec ec, const char *file)
{
	json_t *files;
	struct why why = { 0 };
	assert_int_equal(files_of(connectors, &files, &why), ec);
	assert_null(files);
	assert_non_null(strstr(why.text, path_of(file)));
}

static void only_what_is_needed(void **state)
{
	(void)state;
	json_t *files;
	struct why why = { 0 };
	assert_int_equal(files_of("  - {name: a, domains: [\"*\"], next_hops: [{to: \"unix:/x\"}]}\n", &files, &why), EC_OK);
	assert_int_equal(json_object_size(files), 0);
	json_decref(files);
	/* Two connectors with one file, and none that the system's would be for. */
	assert_int_equal(files_of(REQUIRE("a", ", tls_ca: @/ca") REQUIRE("b", ", tls_ca: @/ca"), &files, &why), EC_OK);
	assert_int_equal(json_object_size(files), 1);
	assert_string_equal(json_string_value(json_object_get(files, path_of("ca"))), CA);
	json_decref(files);
}

static void the_system_s(void **state)
{
	(void)state;
	static const char *const needing[] = {
		REQUIRE("a", ""),
		"  - {name: a, domains: [\"*\"], next_hops: [{to: mx}]}\n", /* MTA-STS, RFC 8461 4.2 */
	};
	json_t *files;
	struct why why = { 0 };
	for (size_t i = 0; i < NUM(needing); i++) {
		assert_int_equal(files_of(needing[i], &files, &why), EC_OK);
		assert_string_equal(json_string_value(json_object_get(files, path_of("system"))), "roots\n" CA);
		json_decref(files);
	}
	assert_int_equal(files_of(REQUIRE("a", ", tls_pins: [0000000000000000000000000000000000000000000000000000000000000000]"), &files, &why),
	                 EC_OK);
	assert_int_equal(json_object_size(files), 0);
	json_decref(files);
}

static void the_longest(void **state)
{
	(void)state;
	json_t *files;
	struct why why = { 0 };
	assert_int_equal(files_of(REQUIRE("a", ", tls_ca: @/longest"), &files, &why), EC_OK);
	assert_int_equal(json_string_length(json_object_get(files, path_of("longest"))), CONFIG_CA_FILE_MAX);
	json_decref(files);
	fails(REQUIRE("a", ", tls_ca: @/too-long"), EC_LIMIT, "too-long");
}

/* Each is as long as it may be, and so are 16 of them; one file of many connectors counts once. */
static void the_longest_together(void **state)
{
	(void)state;
	char connectors[5000], name[16];
	struct writer w = writer_of(connectors, sizeof connectors);
	json_t *files;
	struct why why = { 0 };
	for (int i = 0; i < 17; i++) {
		(void)snprintf(name, sizeof name, "long%d", i);
		char to[64];
		(void)snprintf(to, sizeof to, "%s", path_of(name));
		assert_int_equal(link(path_of("longest"), to), 0);
		writer_format(&w, "  - {name: a%d, domains: [a%d.example], next_hops: [{to: \"a.example:25\"}], tls: require, tls_ca: @/%s}\n", i, i, name);
		writer_format(&w, "  - {name: b%d, domains: [b%d.example], next_hops: [{to: \"b.example:25\"}], tls: require, tls_ca: @/long0}\n", i, i);
		if (i == 15) {
			assert_int_equal(files_of(connectors, &files, &why), EC_OK);
			assert_int_equal(json_object_size(files), 16);
			json_decref(files);
		}
	}
	assert_false(w.bad);
	fails(connectors, EC_LIMIT, "long16");
	for (int i = 0; i < 17; i++) {
		(void)snprintf(name, sizeof name, "long%d", i);
		(void)unlink(path_of(name));
	}
}

static void what_can_t_be_read(void **state)
{
	(void)state;
	fails(REQUIRE("a", ", tls_ca: @/ca") REQUIRE("b", ", tls_ca: @/nowhere"), EC_NOT_FOUND, "nowhere");
	fails(REQUIRE("a", ", tls_ca: @"), EC_IO, ""); /* a directory */
	fails(REQUIRE("a", ", tls_ca: @/words"), EC_SYNTAX, "words");
}

/* Nobody writes into it: whoever waited for that would wait for ever, and the supervisor with it. */
static void a_fifo(void **state)
{
	(void)state;
	alarm(20); /* then this test dies, instead of standing still */
	fails(REQUIRE("a", ", tls_ca: @/fifo"), EC_IO, "fifo is not a regular file; name a file");
	alarm(0);
}

/* Those behind it must not be missing without a word. */
static void a_damaged_one(void **state)
{
	(void)state;
	json_t *files;
	struct why why = { 0 };
	assert_int_equal(files_of(REQUIRE("a", ", tls_ca: @/damaged"), &files, &why), EC_CORRUPT);
	assert_null(files);
	assert_non_null(strstr(why.text, "certificate 2 in "));
	assert_non_null(strstr(why.text, path_of("damaged")));
}

/* Comments in Latin-1, and NULs, beside certificates that are all right. */
static void any_encoding(void **state)
{
	(void)state;
	json_t *files;
	struct why why = { 0 };
	assert_int_equal(files_of(REQUIRE("a", ", tls_ca: @/latin1"), &files, &why), EC_OK);
	json_t *text = json_object_get(files, path_of("latin1"));
	assert_string_equal(json_string_value(text), "# f?r\n" CA "????");
	json_decref(files);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file("ca", CA, 0);
	write_file("system", "roots\n" CA, 0);
	write_file("longest", CA, CONFIG_CA_FILE_MAX);
	write_file("too-long", CA, CONFIG_CA_FILE_MAX + 1);
	write_file("latin1", "# f\xfcr\n" CA, 0);
	assert_int_equal(truncate(path_of("latin1"), (off_t)(6 + strlen(CA) + 4)), 0); /* NULs */
	write_file("damaged", CA PEM("MII!") CA, 0);
	write_file("words", "no certificate", 0);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "ca", "system", "longest", "too-long", "latin1", "damaged", "words", "fifo" };
	(void)state;
	for (size_t i = 0; i < NUM(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_needed),
		cmocka_unit_test(the_system_s),
		cmocka_unit_test(the_longest),
		cmocka_unit_test(the_longest_together),
		cmocka_unit_test(what_can_t_be_read),
		cmocka_unit_test(any_encoding),
		cmocka_unit_test(a_fifo),
		cmocka_unit_test(a_damaged_one),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "certs/import_fs.h"

#include "certs/make_ssl.h"
#include "tests/unit/certs/fixture_fs.h"

static const struct wall now = { 1795300000 };

static void make_files(void)
{
	(void)witness("openssl ecparam -name prime256v1 -genkey -noout -out a.key && "
	              "openssl req -x509 -new -key a.key -subj /CN=a -days 30 -out a.pem 2>&1 && "
	              "openssl req -x509 -new -key a.key -subj /CN=a -days 60 -out a2.pem 2>&1 && "
	              "openssl ecparam -name prime256v1 -genkey -noout -out b.key && "
	              "openssl req -x509 -new -key b.key -subj /CN=b -days 30 -out b.pem 2>&1 && "
	              "openssl genrsa -out r.key 3072 2>&1 && openssl req -x509 -new -key r.key -subj /CN=a -out r.pem 2>&1 && "
	              "cp a.key open.key && chmod 600 a.key b.key r.key && chmod 644 open.key && "
	              "ln -sf a.key link.key && ln -sf a.pem link.pem");
}

static void reading(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct import_pair pairs[3];
		size_t num;
		enum ec ec;
	} cases[] = {
		{ "a pair", { { "a.pem", "a.key" } }, 1, EC_OK },
		{ "links are followed", { { "link.pem", "link.key" } }, 1, EC_OK },
		{ "two algorithms, the wrong way round", { { "r.pem", "r.key" }, { "a.pem", "a.key" } }, 2, EC_OK },
		{ "mismatched", { { "b.pem", "a.key" } }, 1, EC_KEY_MISMATCH },
		{ "two of a kind", { { "a.pem", "a.key" }, { "b.pem", "b.key" } }, 2, EC_DUPLICATE },
		{ "readable by all", { { "a.pem", "open.key" } }, 1, EC_PERMISSION },
		{ "no key", { { "a.pem", "gone.key" } }, 1, EC_NOT_FOUND },
		{ "no chain", { { "gone.pem", "a.key" } }, 1, EC_NOT_FOUND },
		{ "swapped", { { "a.key", "a.pem" } }, 1, EC_PERMISSION },
		{ "none", { { 0 } }, 0, EC_RANGE },
	};
	make_files();
	(void)chmod("a.pem", 0644);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct store_keys keys;
		struct why why = { 0 };
		enum ec ec = import_read(cases[i].pairs, cases[i].num, &keys, &why);
		if (ec != cases[i].ec)
			fail_msg("%s: %s: %s", cases[i].name, ec_name(ec), why.text);
		assert_int_equal(keys.num, ec == EC_OK ? cases[i].num : 0);
		if (ec == EC_OK && keys.num == 2)
			assert_true(keys.keys[0].algorithm < keys.keys[1].algorithm);
		assert_true(ec == EC_OK || *why.text != '\0');
		store_keys_fini(&keys);
	}
}

static void renewal_and_change(void **state)
{
	(void)state;
	const struct import_pair a = { "a.pem", "a.key" }, a2 = { "a2.pem", "a.key" }, b = { "b.pem", "b.key" };
	struct store *s = NULL;
	struct store_keys keys;
	struct store_view *view = NULL;
	uint64_t number = 0;
	make_files();
	(void)mkdir("state", 0700);
	assert_int_equal(store_open("state", &s, NULL), EC_OK);
	assert_int_equal(import_read(&a, 1, &keys, NULL), EC_OK);
	assert_int_equal(store_import(s, "a.example", &keys, now, &number, NULL), EC_OK);
	assert_int_equal(store_view_new(s, "a.example", &view, NULL), EC_OK);
	const struct generation *g = store_view_find(view, number);
	assert_non_null(g);
	assert_true(import_same_keys(&keys, g));
	assert_true(import_same_chains(&keys, g));
	store_keys_fini(&keys);
	assert_int_equal(import_read(&a2, 1, &keys, NULL), EC_OK);
	assert_true(import_same_keys(&keys, g));
	assert_false(import_same_chains(&keys, g));
	store_keys_fini(&keys);
	assert_int_equal(import_read(&b, 1, &keys, NULL), EC_OK);
	assert_false(import_same_keys(&keys, g));
	store_keys_fini(&keys);
	store_view_free(view);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reading), cmocka_unit_test(renewal_and_change) };
	return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}

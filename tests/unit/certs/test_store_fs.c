/* The key store: what it keeps, what it refuses, and that no failure and no crash
 * between any two steps leaves it half changed. */
#include "certs/store_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "certs/load_ssl.h"
#include "certs/make_ssl.h"
#include "tests/unit/certs/fixture_fs.h"

#define MX "mx1.example.org"
static const struct wall now = { 1795300000 };
enum { LIFE = 90 * 86400 };

static struct store *open_ok(void)
{
	struct store *s = NULL;
	struct why why = { 0 };
	enum ec ec = store_open("state", &s, &why);
	if (ec != EC_OK)
		fail_msg("%s: %s", ec_name(ec), why.text);
	return s;
}

static struct store *open_new(void)
{
	(void)witness("rm -rf state && mkdir -m 0700 state");
	return open_ok();
}

static uint64_t create_ok(struct store *s)
{
	uint64_t number = 0;
	struct why why = { 0 };
	enum ec ec = store_create(s, MX, 1u << KEY_ECDSA_P256, LIFE, now, &number, &why);
	if (ec != EC_OK)
		fail_msg("%s: %s", ec_name(ec), why.text);
	return number;
}

static struct store_view *view_ok(struct store *s)
{
	struct store_view *v = NULL;
	struct why why = { 0 };
	enum ec ec = store_view_new(s, MX, &v, &why);
	if (ec != EC_OK)
		fail_msg("%s: %s", ec_name(ec), why.text);
	return v;
}

static void life(void **state)
{
	(void)state;
	struct store *s = open_new();
	struct store_view *v = view_ok(s);
	assert_int_equal(v->num, 0);
	assert_int_equal(v->active, 0);
	assert_int_equal(v->last, 0);
	store_view_free(v);
	assert_int_equal(create_ok(s), 1);
	assert_int_equal(store_set_active(s, MX, 1, NULL), EC_OK);
	assert_int_equal(store_set_active(s, MX, 1, NULL), EC_OK);
	assert_int_equal(create_ok(s), 2);
	assert_int_equal(create_ok(s), 3);
	assert_int_equal(store_set_active(s, MX, 2, NULL), EC_OK);
	assert_int_equal(store_set_active(s, MX, 9, NULL), EC_NOT_FOUND);
	v = view_ok(s);
	assert_int_equal(v->num, 3);
	assert_int_equal(v->active, 2);
	assert_int_equal(v->last, 3);
	static const enum generation_role roles[] = { GENERATION_RETIRED, GENERATION_ACTIVE, GENERATION_STANDBY };
	for (size_t i = 0; i < 3; i++) {
		const struct generation *g = &v->generations[i];
		assert_int_equal(g->number, i + 1);
		assert_int_equal(g->role, roles[i]);
		assert_int_equal(g->created.s, now.s);
		assert_int_equal(g->num_keys, 1);
		assert_true(g->keys[0].certified);
		assert_int_equal(g->keys[0].not_after.s, now.s + LIFE);
	}
	/* What is on disk is what openssl reads there, too. */
	char hex[65];
	hex_encode(hex, slice_of(store_view_find(v, 2)->keys[0].chain[0].spki_sha256, 32));
	assert_string_equal(hex, witness("openssl pkey -in state/keys/" MX "/2/ecdsa-p256.key -pubout -outform DER | "
	                                 "openssl dgst -sha256 -r | cut -d' ' -f1"));
	store_view_free(v);
	assert_int_equal(store_delete(s, MX, 2, NULL), EC_INVARIANT);
	assert_int_equal(store_delete(s, MX, 1, NULL), EC_OK);
	assert_int_equal(store_delete(s, MX, 1, NULL), EC_OK);
	assert_int_equal(store_delete(s, MX, 3, NULL), EC_OK);
	assert_int_equal(store_delete(s, "no.such.name", 3, NULL), EC_OK);
	assert_string_equal(witness("ls -A state/keys/" MX), "2\nstate.json");
	/* The newest is gone, and its number with it, also after a restart. */
	store_close(s);
	s = open_ok();
	assert_int_equal(create_ok(s), 4);
	store_close(s);
	assert_string_equal(witness("find state/keys -type d ! -perm 0700; find state/keys -type f ! -perm 0600"), "");
}

static void both_algorithms(void **state)
{
	(void)state;
	struct store *s = open_new();
	struct store_keys keys;
	uint64_t number = 0;
	assert_int_equal(store_create(s, "MX1.Example.org.", 3, LIFE, now, &number, NULL), EC_OK);
	assert_int_equal(store_read(s, MX, number, &keys, NULL), EC_OK);
	assert_int_equal(keys.num, 2);
	assert_int_equal(keys.keys[0].algorithm, KEY_ECDSA_P256);
	assert_int_equal(keys.keys[1].algorithm, KEY_RSA_3072);
	store_keys_fini(&keys);
	assert_string_equal(witness("ls state/keys/" MX "/1"),
	                    "ecdsa-p256.key\necdsa-p256.pem\nmeta.json\nrsa-3072.key\nrsa-3072.pem");
	assert_int_equal(store_create(s, MX, 0, LIFE, now, &number, NULL), EC_RANGE);
	assert_int_equal(store_create(s, MX, 4, LIFE, now, &number, NULL), EC_RANGE);
	store_close(s);
}

static void names(void **state)
{
	(void)state;
	static const char *const wrong[] = { "",     ".",     "..",       "../x",  "a/b", "/etc", "a..b", ".lock", "a\\.b", "a\\047b",
		                             "a b",  "-\n",   "a\x80.b",  "*.b",   "a.b/../c" };
	struct store *s = open_new();
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint64_t number = 0;
		struct store_view *v = NULL;
		struct why why = { 0 };
		if (store_create(s, wrong[i], 1, LIFE, now, &number, &why) == EC_OK)
			fail_msg("accepted: %s", wrong[i]);
		assert_int_not_equal(store_view_new(s, wrong[i], &v, &why), EC_OK);
		assert_int_not_equal(store_delete(s, wrong[i], 1, &why), EC_OK);
	}
	assert_string_equal(witness("ls -A state state/keys"), "state:\nkeys\n\nstate/keys:\n.lock");
	store_close(s);
}

static void list_name(void *arg, const char *identity)
{
	char *text = arg;
	(void)strcat(strcat(text, identity), " ");
}

static void listing(void **state)
{
	(void)state;
	struct store *s = open_new();
	char text[200] = "";
	(void)create_ok(s);
	(void)witness("mkdir state/keys/.x state/keys/UPPER.b");
	assert_int_equal(store_each(s, list_name, text, NULL), EC_OK);
	assert_string_equal(text, MX " ");
	store_close(s);
}

static void one_process_only(void **state)
{
	(void)state;
	struct store *s = open_new(), *second = NULL;
	struct why why = { 0 };
	assert_int_equal(store_open("state", &second, &why), EC_BUSY);
	assert_non_null(strstr(why.text, "another process"));
	store_close(s);
	s = open_ok();
	store_close(s);
	assert_int_equal(store_open("nowhere", &s, &why), EC_NOT_FOUND);
	assert_non_null(strstr(why.text, "install -d"));
}

/* Each kind of damage is named with the file and a cure, and the other
 * generation goes on being usable. */
static void damage(void **state)
{
	(void)state;
	static const struct {
		const char *name, *command, *file, *cure;
	} cases[] = {
		{ "no key", "rm 2/ecdsa-p256.key", "ecdsa-p256.key", "restore it from a backup" },
		{ "no chain", "rm 2/ecdsa-p256.pem", "ecdsa-p256.pem", "restore it from a backup" },
		{ "no meta", "rm 2/meta.json", "meta.json", "remove the directory" },
		{ "cut meta", "truncate -s 20 2/meta.json", "meta.json", "restore" },
		{ "empty meta", ": > 2/meta.json", "meta.json", "restore" },
		{ "meta without keys", "echo '{\"created\":1,\"keys\":[]}' > 2/meta.json", "meta.json", "restore" },
		{ "meta of an unknown algorithm", "sed -i s/ecdsa-p256/../ 2/meta.json", "meta.json", "restore" },
		{ "cut key", "truncate -s 60 2/ecdsa-p256.key", "ecdsa-p256.key", "restore" },
		{ "empty chain", ": > 2/ecdsa-p256.pem", "ecdsa-p256", "restore" },
		{ "key of the other", "cp 1/ecdsa-p256.key 2/", "ecdsa-p256", "restore" },
		{ "both of the other", "cp 1/ecdsa-p256.* 2/", "ecdsa-p256.key", "restore" },
		{ "key is a link", "mv 2/ecdsa-p256.key x && ln -s ../x 2/ecdsa-p256.key", "ecdsa-p256.key", "restore" },
		{ "key is a directory", "rm 2/ecdsa-p256.key && mkdir 2/ecdsa-p256.key", "ecdsa-p256.key", "restore" },
		{ "key open to all", "chmod 604 2/ecdsa-p256.key", "ecdsa-p256.key", "chmod 0600" },
		{ "key open to the group", "chmod 640 2/ecdsa-p256.key", "ecdsa-p256.key", "chmod 0600" },
		{ "generation is a file", "rm -r 2 && : > 2", "2", "remove" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct store *s = open_new();
		(void)create_ok(s);
		(void)create_ok(s);
		store_close(s);
		(void)witness("cd state/keys/" MX " && { %s; }", cases[i].command);
		s = open_ok();
		struct store_view *v = view_ok(s);
		bool right = v->num == 1 && v->generations[0].number == 1 && v->num_damaged == 1 && v->damaged[0] == 2 &&
		             strstr(v->damaged_why[0].text, "state/keys/" MX "/2") != NULL &&
		             strstr(v->damaged_why[0].text, cases[i].file) != NULL &&
		             strstr(v->damaged_why[0].text, cases[i].cure) != NULL;
		if (!right)
			fail_msg("%s: %zu, damaged %zu: %s", cases[i].name, v->num, v->num_damaged, v->damaged_why[0].text);
		store_view_free(v);
		struct store_keys keys;
		enum ec ec = store_read(s, MX, 2, &keys, NULL);
		assert_true(ec == EC_CORRUPT || ec == EC_PERMISSION);
		assert_int_equal(store_set_active(s, MX, 2, NULL), ec);
		assert_int_equal(store_set_active(s, MX, 1, NULL), EC_OK);
		assert_int_equal(create_ok(s), 3);
		store_close(s);
	}
}

static void damaged_state(void **state)
{
	(void)state;
	static const char *const commands[] = { "rm state.json",
		                                ": > state.json",
		                                "truncate -s 5 state.json",
		                                "echo '{\"active\": 1}' > state.json",
		                                "echo '{\"active\": 9, \"last\": 2}' > state.json",
		                                "echo '{\"active\": 1, \"last\": 1}' > state.json",
		                                "echo '{\"active\": -1, \"last\": 2}' > state.json",
		                                "rm state.json && mkdir state.json" };
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		struct store *s = open_new();
		(void)create_ok(s);
		(void)create_ok(s);
		(void)witness("cd state/keys/" MX " && %s", commands[i]);
		struct store_view *v = NULL;
		struct why why = { 0 };
		uint64_t number = 0;
		enum ec ec = store_view_new(s, MX, &v, &why);
		if (ec != EC_CORRUPT || v == NULL)
			fail_msg("%s: %s: %s", commands[i], ec_name(ec), why.text);
		assert_non_null(strstr(why.text, "keys/" MX ": state.json: "));
		assert_non_null(strstr(why.text, "\"last\": 2"));
		/* The keys are there for a pin guard to choose from. */
		assert_int_equal(v->num, 2);
		assert_int_equal(v->active, 0);
		store_view_free(v);
		assert_int_equal(store_create(s, MX, 1, LIFE, now, &number, &why), EC_CORRUPT);
		assert_int_equal(store_set_active(s, MX, 1, &why), EC_CORRUPT);
		assert_int_equal(store_delete(s, MX, 1, &why), EC_CORRUPT);
		/* The cure works. */
		(void)witness("rm -rf state/keys/" MX "/state.json && "
		              "echo '{\"active\": 1, \"last\": 2}' > state/keys/" MX "/state.json");
		assert_int_equal(create_ok(s), 3);
		store_close(s);
	}
}

static struct bytes renewed(struct store *s, uint64_t number, struct wall when)
{
	struct store_keys keys;
	struct bytes chain = { 0 };
	assert_int_equal(store_read(s, MX, number, &keys, NULL), EC_OK);
	const struct store_key *k = &keys.keys[0];
	assert_int_equal(make_self_signed(slice_of(k->key_pem.p, k->key_pem.len), MX, when, LIFE, &chain, NULL), EC_OK);
	store_keys_fini(&keys);
	return chain;
}

static void installing(void **state)
{
	(void)state;
	struct store *s = open_new();
	struct why why = { 0 };
	struct bytes csr = { 0 };
	(void)create_ok(s);
	(void)create_ok(s);
	struct wall later = { now.s + 1000 };
	struct bytes good = renewed(s, 1, later), other = renewed(s, 2, later);
	assert_int_equal(store_install(s, MX, 1, KEY_ECDSA_P256, bytes_slice(&other), later, &why), EC_KEY_MISMATCH);
	assert_int_equal(store_install(s, MX, 1, KEY_RSA_3072, bytes_slice(&good), later, &why), EC_NOT_FOUND);
	assert_int_equal(store_install(s, MX, 7, KEY_ECDSA_P256, bytes_slice(&good), later, &why), EC_NOT_FOUND);
	assert_int_equal(store_install(s, MX, 1, KEY_ECDSA_P256, SLICE_LIT("x"), later, &why), EC_SYNTAX);
	assert_int_equal(store_install(s, MX, 1, KEY_ECDSA_P256, bytes_slice(&good), (struct wall){ now.s + 2 * LIFE }, &why),
	                 EC_EXPIRED);
	struct store_view *v = view_ok(s);
	assert_int_equal(v->generations[0].keys[0].not_after.s, now.s + LIFE);
	store_view_free(v);
	assert_int_equal(store_install(s, MX, 1, KEY_ECDSA_P256, bytes_slice(&good), later, &why), EC_OK);
	v = view_ok(s);
	assert_int_equal(v->generations[0].keys[0].not_after.s, later.s + LIFE);
	assert_int_equal(v->generations[1].keys[0].not_after.s, now.s + LIFE);
	store_view_free(v);
	/* Renewal keeps the key. */
	char before[65];
	(void)snprintf(before, sizeof before, "%s", witness("sha256sum state/keys/" MX "/2/ecdsa-p256.key | cut -d' ' -f1"));
	assert_int_equal(store_renew(s, MX, 2, KEY_ECDSA_P256, LIFE, (struct wall){ now.s + 5000 }, &why), EC_OK);
	assert_int_equal(store_renew(s, MX, 2, KEY_RSA_3072, LIFE, now, &why), EC_NOT_FOUND);
	assert_string_equal(witness("sha256sum state/keys/" MX "/2/ecdsa-p256.key | cut -d' ' -f1"), before);
	v = view_ok(s);
	assert_int_equal(v->generations[1].keys[0].not_after.s, now.s + 5000 + LIFE);
	store_view_free(v);
	assert_int_equal(store_csr(s, MX, 2, KEY_ECDSA_P256, &csr, &why), EC_OK);
	fixture_put("x.csr", bytes_slice(&csr));
	char pub[1000];
	(void)snprintf(pub, sizeof pub, "%s", witness("openssl pkey -in state/keys/" MX "/2/ecdsa-p256.key -pubout"));
	assert_string_equal(witness("openssl req -in x.csr -noout -pubkey"), pub);
	assert_int_equal(store_csr(s, MX, 2, KEY_RSA_3072, &csr, &why), EC_NOT_FOUND);
	bytes_fini(&csr);
	bytes_fini(&good);
	bytes_fini(&other);
	store_close(s);
}

/* --- failures and crashes ------------------------------------------------------ */

struct trouble {
	int at; /* the step to act at, from 0 */
	int steps;
	int error; /* 0: die instead */
};

static int on_step(void *arg, const char *step, const char *name)
{
	struct trouble *t = arg;
	(void)step;
	(void)name;
	if (t->steps++ != t->at)
		return 0;
	if (t->error == 0)
		_exit(77);
	return t->error;
}

enum change { CREATE, INSTALL, ACTIVATE, DELETE, NUM_CHANGES };

/* The start of every trial: 1 retired, 2 active, 3 standby, 4 deleted. */
static void prepare(void)
{
	struct store *s = open_new();
	for (int i = 0; i < 4; i++)
		(void)create_ok(s);
	assert_int_equal(store_set_active(s, MX, 2, NULL), EC_OK);
	assert_int_equal(store_delete(s, MX, 4, NULL), EC_OK);
	store_close(s);
	(void)witness("rm -rf start && cp -a state start");
}

static enum ec apply(struct store *s, enum change change, struct slice chain, struct why *why)
{
	uint64_t number = 0;
	switch (change) {
	case CREATE:
		return store_create(s, MX, 1u << KEY_ECDSA_P256, LIFE, now, &number, why);
	case INSTALL:
		return store_install(s, MX, 3, KEY_ECDSA_P256, chain, now, why);
	case ACTIVATE:
		return store_set_active(s, MX, 3, why);
	case DELETE:
	default:
		return store_delete(s, MX, 1, why);
	}
}

/* Is the store as it was before the change (false) or as after (true)? Anything
 * between fails the test. Numbers used up by a failed try are no difference. */
static bool is_changed(struct store *s, enum change change, int64_t new_not_after)
{
	struct store_view *v = view_ok(s);
	bool created = store_view_find(v, 5) != NULL, deleted = store_view_find(v, 1) == NULL;
	const struct generation *third = store_view_find(v, 3);
	assert_int_equal(v->num_damaged, 0);
	assert_non_null(third);
	assert_non_null(store_view_find(v, 2));
	assert_int_equal(v->num, 3u + created - deleted);
	assert_true(v->last == 4 || (change == CREATE && v->last == 5));
	bool activated = v->active == 3, installed = third->keys[0].not_after.s == new_not_after;
	assert_true(activated || v->active == 2);
	assert_true(installed || third->keys[0].not_after.s == now.s + LIFE);
	bool changed[NUM_CHANGES] = { created, installed, activated, deleted };
	for (int i = 0; i < NUM_CHANGES; i++)
		assert_true(i == (int)change || !changed[i]);
	store_view_free(v);
	return changed[change];
}

/* Whatever happened, the next number is one that was never seen. */
static void next_number_is_new(struct store *s)
{
	struct store_view *v = view_ok(s);
	uint64_t last = v->last;
	store_view_free(v);
	assert_true(create_ok(s) == last + 1 && last >= 4);
}

static struct bytes new_chain(int64_t *out_not_after)
{
	struct store *s = open_ok();
	struct bytes chain = renewed(s, 3, (struct wall){ now.s + 60 });
	*out_not_after = now.s + 60 + LIFE;
	store_close(s);
	return chain;
}

/* A disk that fails at one step: the change is refused, nothing is different, and
 * the same call succeeds once the disk is well. */
static void failing_disk(void **state)
{
	(void)state;
	static const struct {
		int error;
		enum ec ec;
	} errors[] = { { ENOSPC, EC_NO_SPACE }, { EROFS, EC_PERMISSION }, { EIO, EC_IO } };
	prepare();
	int64_t not_after = 0;
	struct bytes chain = new_chain(&not_after);
	for (int change = 0; change < NUM_CHANGES; change++) {
		int steps = 1;
		for (int at = 0; at < steps; at++) {
			size_t e = (size_t)at % 3;
			(void)witness("rm -rf state && cp -a start state");
			struct store *s = open_ok();
			struct trouble t = { at, 0, errors[e].error };
			struct why why = { 0 };
			store_set_fault(s, (struct disk_fault){ on_step, &t });
			enum ec ec = apply(s, (enum change)change, bytes_slice(&chain), &why);
			steps = t.steps > at ? at + 2 : at;
			store_set_fault(s, (struct disk_fault){ 0 });
			bool changed = is_changed(s, (enum change)change, not_after);
			/* Only what follows the decisive rename may fail after the fact. */
			if (ec == EC_OK && !changed)
				fail_msg("change %d step %d: said ok", change, at);
			if (ec != EC_OK && (ec != errors[e].ec || *why.text == '\0'))
				fail_msg("change %d step %d: %s: %s", change, at, ec_name(ec), why.text);
			if (change != CREATE) {
				assert_int_equal(apply(s, (enum change)change, bytes_slice(&chain), &why), EC_OK);
				assert_true(is_changed(s, (enum change)change, not_after));
			}
			next_number_is_new(s);
			store_close(s);
		}
		assert_true(steps > 3);
	}
	bytes_fini(&chain);
}

static int crash_at(enum change change, int at, struct slice chain)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s = NULL;
		struct trouble t = { at, 0, 0 };
		if (store_open("state", &s, NULL) != EC_OK)
			_exit(1);
		store_set_fault(s, (struct disk_fault){ on_step, &t });
		_exit(apply(s, change, chain, NULL) == EC_OK ? 0 : 2);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The process dies between any two steps. After the restart the store is as
 * before or as after, never between, and nothing is left lying about. */
static void crashes(void **state)
{
	(void)state;
	prepare();
	int64_t not_after = 0;
	struct bytes chain = new_chain(&not_after);
	for (int change = 0; change < NUM_CHANGES; change++) {
		bool seen_old = false, seen_new = false;
		int at = 0, status = 77;
		for (; status == 77; at++) {
			(void)witness("rm -rf state && cp -a start state");
			status = crash_at((enum change)change, at, bytes_slice(&chain));
			assert_true(status == 77 || status == 0);
			struct store *s = open_ok();
			bool changed = is_changed(s, (enum change)change, not_after);
			assert_string_equal(witness("find state/keys/" MX " -name '.*'"), "");
			assert_true(changed || status == 77);
			assert_true(changed || !seen_new); /* there is one moment of change */
			seen_old = seen_old || !changed;
			seen_new = seen_new || changed;
			next_number_is_new(s);
			store_close(s);
		}
		assert_true(seen_old && seen_new);
		assert_true(at > 4);
	}
	bytes_fini(&chain);
}

/* Several crashes, at growing steps, on one disk. */
static void crash_after_crash(void **state)
{
	(void)state;
	prepare();
	uint64_t greatest = 4;
	for (int at = 0; at < 25; at++) {
		int status = crash_at(CREATE, at, (struct slice){ 0 });
		assert_true(status == 77 || status == 0);
		struct store *s = open_ok();
		struct store_view *v = view_ok(s);
		assert_int_equal(v->num_damaged, 0);
		assert_true(v->last >= greatest && v->active == 2);
		greatest = v->last;
		store_view_free(v);
		store_close(s);
	}
	assert_true(greatest > 10);
}

/* What a crash can leave: of a generation, of one that was deleted, of a chain, of state.json; and the same
 * of another identity. */
static void plant_leftovers(void)
{
	(void)witness("rm -rf state && cp -a start state && cd state/keys && cp -a " MX " other.example && for i in " MX
	              " other.example; do cp -a $i/3 $i/.tmp-5 && cp -a $i/3 $i/.gone-4 && echo x > $i/.tmp-state.json && "
	              "echo x > $i/2/.tmp-ecdsa-p256.pem; done");
}

static int view_at(int at)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s = NULL;
		struct store_view *v = NULL;
		struct trouble t = { at, 0, 0 };
		if (store_open("state", &s, NULL) != EC_OK)
			_exit(1);
		store_set_fault(s, (struct disk_fault){ on_step, &t });
		_exit(store_view_new(s, MX, &v, NULL) == EC_OK ? 0 : 2);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_clear(struct store *s)
{
	struct store_view *v = view_ok(s);
	assert_string_equal(witness("find state/keys/" MX " -name '.*'"), "");
	assert_true(v->num == 3 && v->num_damaged == 0 && v->active == 2 && v->last == 4);
	store_view_free(v);
}

/* They are cleared away by whoever looks at the identity first, and of no other one: opening the
 * store looks at none, however many there are. A crash in the middle of it changes nothing. */
static void leftovers(void **state)
{
	(void)state;
	prepare();
	plant_leftovers();
	store_close(open_ok());
	assert_string_equal(witness("find state/keys/*.* -name '.*' | wc -l"), "8");
	int at = 0, status = 77;
	for (; status == 77; at++) {
		plant_leftovers();
		status = view_at(at);
		assert_true(status == 77 || status == 0);
		struct store *s = open_ok();
		assert_clear(s);
		assert_string_equal(witness("find state/keys/other.example -name '.*' | wc -l"), "4");
		store_close(s);
	}
	assert_true(at > 8); /* two directories with what is in them, two files */
}

/* What can't be cleared away is not kept in silence: it may hold a key. */
static void leftovers_that_stay(void **state)
{
	(void)state;
	prepare();
	int steps = 1;
	for (int at = 0; at < steps; at++) {
		plant_leftovers();
		struct store *s = open_ok();
		struct store_view *v = NULL;
		struct trouble t = { at, 0, at % 2 == 0 ? EROFS : EIO };
		struct why why = { 0 };
		store_set_fault(s, (struct disk_fault){ on_step, &t });
		enum ec ec = store_view_new(s, MX, &v, &why);
		store_set_fault(s, (struct disk_fault){ 0 });
		steps = t.steps > at ? at + 2 : at;
		if (t.steps <= at)
			assert_int_equal(ec, EC_OK);
		else if (ec != (at % 2 == 0 ? EC_PERMISSION : EC_IO) || v != NULL || strstr(why.text, "keys/" MX ": ") == NULL)
			fail_msg("step %d: %s: %s", at, ec_name(ec), why.text);
		store_view_free(v);
		assert_clear(s);
		store_close(s);
	}
	assert_true(steps > 8);
}

struct log {
	char text[4096];
};

static int record(void *arg, const char *step, const char *name)
{
	struct log *l = arg;
	size_t len = strlen(l->text);
	(void)snprintf(l->text + len, sizeof l->text - len, "%s %s\n", step, name);
	return 0;
}

/* A power cut loses what was not synced, which killing a process can't show: so
 * look at the order. Every write is synced before any rename, and every rename
 * is followed by a sync of its directory. */
static void sync_order(void **state)
{
	(void)state;
	prepare();
	int64_t not_after = 0;
	struct bytes chain = new_chain(&not_after);
	for (int change = 0; change < NUM_CHANGES; change++) {
		(void)witness("rm -rf state && cp -a start state");
		struct store *s = open_ok();
		struct log l = { "" };
		store_set_fault(s, (struct disk_fault){ record, &l });
		assert_int_equal(apply(s, (enum change)change, bytes_slice(&chain), NULL), EC_OK);
		store_close(s);
		char unsynced[64] = "";
		bool rename_open = false;
		unsigned renames = 0;
		for (char *line = strtok(l.text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
			if (rename_open)
				assert_string_equal(line, "sync the directory above");
			rename_open = strncmp(line, "rename ", 7) == 0;
			renames += rename_open;
			if (rename_open)
				assert_string_equal(unsynced, "");
			if (strncmp(line, "write ", 6) == 0) {
				assert_string_equal(unsynced, "");
				(void)snprintf(unsynced, sizeof unsynced, "%s", line + 6);
			}
			if (strncmp(line, "sync ", 5) == 0 && strcmp(line + 5, unsynced) == 0)
				unsynced[0] = '\0';
		}
		assert_false(rename_open);
		assert_true(renames == (change == CREATE ? 2 : 1));
	}
	bytes_fini(&chain);
}

/* A disk that is really full. Needs the right to mount, in a namespace of its own. */
static int full_disk_child(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "state", "tmpfs", 0, "size=128k,mode=0700") != 0)
		return 99;
	struct store *s = NULL;
	struct why why = { 0 };
	uint64_t number = 0;
	struct store_view *v = NULL;
	if (store_open("state", &s, &why) != EC_OK ||
	    store_create(s, MX, 1u << KEY_ECDSA_P256, LIFE, now, &number, &why) != EC_OK ||
	    store_set_active(s, MX, number, &why) != EC_OK)
		return 1;
	if (system("dd if=/dev/zero of=state/fill bs=1k count=1000 2>/dev/null; test -s state/fill") != 0)
		return 2;
	enum ec ec = store_create(s, MX, 1u << KEY_ECDSA_P256, LIFE, now, &number, &why);
	if (ec != EC_NO_SPACE || strstr(why.text, "No space left") == NULL)
		return 3;
	if (store_view_new(s, MX, &v, &why) != EC_OK || v->num != 1 || v->num_damaged != 0 || v->active != 1)
		return 4;
	store_view_free(v);
	if (system("rm state/fill; test -z \"$(find state/keys/" MX " -name '.*')\"") != 0)
		return 5;
	if (store_create(s, MX, 1u << KEY_ECDSA_P256, LIFE, now, &number, &why) != EC_OK || number < 2)
		return 6;
	store_close(s);
	return 0;
}

static void full_disk(void **state)
{
	(void)state;
	(void)witness("rm -rf state && mkdir -m 0700 state");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(full_disk_child());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 99)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life),         cmocka_unit_test(both_algorithms), cmocka_unit_test(names),
		cmocka_unit_test(listing),      cmocka_unit_test(one_process_only), cmocka_unit_test(damage),
		cmocka_unit_test(damaged_state), cmocka_unit_test(installing),     cmocka_unit_test(failing_disk),
		cmocka_unit_test(crashes),      cmocka_unit_test(crash_after_crash), cmocka_unit_test(leftovers),
		cmocka_unit_test(leftovers_that_stay), cmocka_unit_test(sync_order), cmocka_unit_test(full_disk),
	};
	return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}

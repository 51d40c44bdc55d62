/* How a change survives a crash at any moment:
 *
 *   create   state.json gets the new `last` (so the number is used up for good),
 *            .tmp-N is filled and synced, and becomes N by one rename.
 *   install  the chain goes to .tmp-X.pem in the generation, which becomes X.pem
 *            by one rename. The key is never written again.
 *   active   state.json is replaced by one rename.
 *   delete   N becomes .gone-N by one rename, then its files are removed.
 *
 * What starts with a dot is left from a crash, or from a disk that failed, and means
 * nothing; whoever looks at an identity clears it away first. Not store_open: there may
 * be very many. */
#include "certs/store_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "certs/load_ssl.h"
#include "certs/make_ssl.h"
#include "certs/store_parts_fs.h"

/* --- opening ---------------------------------------------------------------- */

static enum ec take_lock(struct store *s, struct why *why)
{
	s->lock = openat(s->keys, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return why_set(why, errno == EACCES || errno == EROFS ? EC_PERMISSION : EC_IO, "cannot open .lock: %s",
		               strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return EC_OK;
	if (errno == EWOULDBLOCK)
		return why_set(why, EC_BUSY, "another process uses this key store; stop it, or give each its own state_dir");
	return why_set(why, EC_IO, "cannot lock .lock: %s", strerror(errno));
}

enum ec store_open(const char *state_dir, struct store **out, struct why *why)
{
	*out = NULL;
	struct store *s = calloc(1, sizeof *s);
	if (s == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	s->lock = s->keys = -1;
	int top = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ec ec = EC_OK;
	if (top < 0)
		ec = why_set(why, errno == EACCES ? EC_PERMISSION : errno == ENOENT ? EC_NOT_FOUND : EC_IO,
		             "cannot open it: %s; make it: install -d -m 0700 %s", strerror(errno), state_dir);
	if (ec == EC_OK)
		ec = disk_make_dir(&s->disk, top, "keys", why);
	if (ec == EC_OK)
		ec = disk_open_dir(top, "keys", &s->keys, why);
	if (ec == EC_OK)
		ec = take_lock(s, why);
	if (ec == EC_OK && asprintf(&s->path, "%s/keys", state_dir) < 0) {
		s->path = NULL;
		ec = why_set(why, EC_NO_MEMORY, "out of memory");
	}
	store_close_fd(top);
	if (ec != EC_OK) {
		why_prefix(why, "key store in %s", state_dir);
		store_close(s);
		return ec;
	}
	*out = s;
	return EC_OK;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_close_fd(s->keys);
	store_close_fd(s->lock);
	free(s->path);
	free(s);
}

void store_set_fault(struct store *s, struct disk_fault fault)
{
	s->disk.fault = fault;
}

void store_keys_fini(struct store_keys *k)
{
	for (size_t i = 0; i < KEY_NUM_ALGORITHMS; i++) {
		secret_fini(&k->keys[i].key_pem);
		bytes_fini(&k->keys[i].chain_pem);
	}
	*k = (struct store_keys){ 0 };
}

/* --- identities --------------------------------------------------------------- */

/* Opens the identity's directory; `*out_dir` is -1 when there is none and
 * `make` is false. */
static enum ec open_identity(struct store *s, const char *identity, bool make, char name[STORE_NAME_SIZE], int *out_dir,
                             struct why *why)
{
	*out_dir = -1;
	enum ec ec = store_canonical(identity, name, why);
	if (ec == EC_OK && make)
		ec = disk_make_dir(&s->disk, s->keys, name, why);
	if (ec != EC_OK)
		return ec;
	ec = disk_open_dir(s->keys, name, out_dir, why);
	return ec == EC_NOT_FOUND && !make ? EC_OK : ec;
}

struct sweep {
	struct store *s;
	int dir;
	struct why *why;
	bool deeper;
};

static enum ec sweep_one(void *arg, const char *name)
{
	struct sweep *w = arg;
	if (name[0] == '.')
		return disk_remove(&w->s->disk, w->dir, name, w->why);
	uint64_t number = 0;
	if (!w->deeper || !store_parse_number(name, &number))
		return EC_OK;
	struct sweep inner = { .s = w->s, .why = w->why };
	enum ec ec = disk_open_dir(w->dir, name, &inner.dir, NULL);
	if (ec != EC_OK)
		return EC_OK; /* the view will say what is wrong with it */
	ec = disk_each(inner.dir, sweep_one, &inner, w->why);
	store_close_fd(inner.dir);
	return ec;
}

/* sweep clears away what was left half made of an identity and its generations:
 * everything whose name starts with a dot. */
static enum ec sweep(struct store *s, int dir, struct why *why)
{
	return disk_each(dir, sweep_one, &(struct sweep){ s, dir, why, true }, why);
}

struct viewing {
	struct store *s;
	const char *identity;
	int dir;
	struct store_view *view;
};

static enum ec view_one(void *arg, const char *name)
{
	struct viewing *v = arg;
	struct store_view *view = v->view;
	uint64_t number = 0;
	if (!store_parse_number(name, &number))
		return EC_OK;
	struct generation g;
	struct store_keys keys;
	struct why why = { 0 };
	enum ec ec = store_generation_read(v->s, v->identity, v->dir, number, &g, &keys, &why);
	store_keys_fini(&keys);
	if (ec == EC_NO_MEMORY)
		return ec;
	if (ec != EC_OK) {
		if (view->num_damaged < STORE_DAMAGED_MAX) {
			view->damaged[view->num_damaged] = number;
			view->damaged_why[view->num_damaged++] = why;
		}
		return EC_OK;
	}
	/* The disk lists in no order. When there are too many the oldest go. */
	size_t at = view->num;
	while (at > 0 && view->generations[at - 1].number > number)
		at--;
	if (view->num == STORE_GENERATIONS_MAX) {
		if (at == 0)
			return EC_OK;
		memmove(view->generations, view->generations + 1, (at - 1) * sizeof g);
		view->generations[at - 1] = g;
		return EC_OK;
	}
	memmove(view->generations + at + 1, view->generations + at, (view->num - at) * sizeof g);
	view->generations[at] = g;
	view->num++;
	return EC_OK;
}

enum ec store_view_new(struct store *s, const char *identity, struct store_view **out, struct why *why)
{
	*out = NULL;
	char name[STORE_NAME_SIZE];
	int dir = -1;
	enum ec ec = open_identity(s, identity, false, name, &dir, why);
	if (ec == EC_OK && dir >= 0) {
		ec = sweep(s, dir, why);
		if (ec != EC_OK)
			why_prefix(why, "%s/%s", s->path, name);
	}
	struct store_view *view = ec == EC_OK ? calloc(1, sizeof *view) : NULL;
	if (view == NULL) {
		store_close_fd(dir);
		return ec != EC_OK ? ec : why_set(why, EC_NO_MEMORY, "out of memory");
	}
	struct store_state state = { 0 };
	uint64_t greatest = 0;
	if (dir >= 0) {
		ec = store_state_read(dir, &state, &greatest, why);
		if (ec != EC_OK)
			why_prefix(why, "%s/%s", s->path, name);
	}
	if (dir >= 0 && (ec == EC_OK || ec == EC_CORRUPT)) {
		struct why list_why = { 0 };
		struct viewing v = { s, name, dir, view };
		enum ec listed = disk_each(dir, view_one, &v, &list_why);
		if (listed != EC_OK)
			ec = why_set(why, listed, "%s", list_why.text);
	}
	store_close_fd(dir);
	if (ec != EC_OK && ec != EC_CORRUPT) {
		store_view_free(view);
		return ec;
	}
	view->active = state.active;
	view->last = state.last;
	for (size_t i = 0; i < view->num; i++)
		view->generations[i].role = generation_role_of(view->generations[i].number, state.active);
	*out = view;
	return ec;
}

void store_view_free(struct store_view *v)
{
	free(v);
}

const struct generation *store_view_find(const struct store_view *v, uint64_t number)
{
	for (size_t i = 0; i < v->num; i++)
		if (v->generations[i].number == number)
			return &v->generations[i];
	return NULL;
}

struct listing {
	void (*each)(void *arg, const char *identity);
	void *arg;
};

static enum ec list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	char checked[STORE_NAME_SIZE];
	if (name[0] != '.' && store_canonical(name, checked, NULL) == EC_OK && strcmp(name, checked) == 0)
		l->each(l->arg, name);
	return EC_OK;
}

enum ec store_each(struct store *s, void (*each)(void *arg, const char *identity), void *arg, struct why *why)
{
	return disk_each(s->keys, list_one, &(struct listing){ each, arg }, why);
}

/* --- changes ------------------------------------------------------------------- */

static enum ec fill_temporary(struct store *s, int dir, const char *temporary, const struct store_keys *keys,
                              struct wall now, struct why *why)
{
	int fd = -1;
	enum ec ec = disk_remove(&s->disk, dir, temporary, why);
	if (ec == EC_OK)
		ec = disk_make_dir(&s->disk, dir, temporary, why);
	if (ec == EC_OK)
		ec = disk_open_dir(dir, temporary, &fd, why);
	for (size_t i = 0; ec == EC_OK && i < keys->num; i++)
		ec = store_key_write(s, fd, &keys->keys[i], why);
	if (ec == EC_OK)
		ec = store_meta_write(s, fd, keys, now, why);
	if (ec == EC_OK)
		ec = disk_sync(&s->disk, fd, temporary, why);
	store_close_fd(fd);
	return ec;
}

/* What can't be removed now is removed by the next look at the identity. */
static void sweep_quietly(struct store *s, int dir, const char *temporary)
{
	enum ec ec = disk_remove(&s->disk, dir, temporary, NULL);
	(void)ec;
}

enum ec store_import(struct store *s, const char *identity, const struct store_keys *keys, struct wall now,
                     uint64_t *out_number, struct why *why)
{
	char name[STORE_NAME_SIZE], temporary[STORE_FILE_SIZE], final[STORE_FILE_SIZE];
	struct store_state state;
	uint64_t greatest = 0;
	int dir = -1;
	enum ec ec = open_identity(s, identity, true, name, &dir, why);
	if (ec != EC_OK)
		return ec;
	ec = store_state_read(dir, &state, &greatest, why);
	if (ec != EC_OK)
		goto out;
	state.last++;
	store_number_name(temporary, ".tmp-", state.last);
	store_number_name(final, "", state.last);
	ec = store_state_write(s, dir, &state, why);
	if (ec == EC_OK)
		ec = fill_temporary(s, dir, temporary, keys, now, why);
	if (ec == EC_OK)
		ec = disk_rename(&s->disk, dir, temporary, final, why);
	if (ec == EC_OK)
		*out_number = state.last;
	else
		sweep_quietly(s, dir, temporary);
out:
	store_close_fd(dir);
	if (ec != EC_OK)
		why_prefix(why, "%s/%s", s->path, name);
	return ec;
}

enum ec store_create(struct store *s, const char *identity, unsigned algorithms, int64_t life_s, struct wall now,
                     uint64_t *out_number, struct why *why)
{
	struct store_keys keys = { 0 };
	char name[STORE_NAME_SIZE];
	if (algorithms == 0 || algorithms >> KEY_NUM_ALGORITHMS != 0)
		return why_set(why, EC_RANGE, "no algorithms to make keys for");
	enum ec ec = store_canonical(identity, name, why);
	for (unsigned i = 0; ec == EC_OK && i < KEY_NUM_ALGORITHMS; i++) {
		if ((algorithms >> i & 1) == 0)
			continue;
		struct store_key *k = &keys.keys[keys.num++];
		k->algorithm = (enum key_algorithm)i;
		ec = make_key(k->algorithm, &k->key_pem, why);
		if (ec == EC_OK)
			ec = make_self_signed(slice_of(k->key_pem.p, k->key_pem.len), name, now, life_s, &k->chain_pem, why);
	}
	if (ec == EC_OK)
		ec = store_import(s, name, &keys, now, out_number, why);
	store_keys_fini(&keys);
	return ec;
}

/* Opens the identity and reads one generation in it. `*out_dir` is the caller's
 * on EC_OK only. */
static enum ec find_generation(struct store *s, const char *identity, uint64_t number, char name[STORE_NAME_SIZE],
                               int *out_dir, struct generation *g, struct store_keys *keys, struct why *why)
{
	*keys = (struct store_keys){ 0 };
	enum ec ec = open_identity(s, identity, false, name, out_dir, why);
	if (ec != EC_OK)
		return ec;
	ec = *out_dir < 0 ? EC_NOT_FOUND : store_generation_read(s, name, *out_dir, number, g, keys, why);
	if (ec == EC_NOT_FOUND)
		ec = why_set(why, ec, "%s has no generation %" PRIu64, name, number);
	if (ec != EC_OK) {
		store_close_fd(*out_dir);
		*out_dir = -1;
	}
	return ec;
}

enum ec store_read(struct store *s, const char *identity, uint64_t number, struct store_keys *out, struct why *why)
{
	char name[STORE_NAME_SIZE];
	struct generation g;
	int dir = -1;
	enum ec ec = find_generation(s, identity, number, name, &dir, &g, out, why);
	store_close_fd(dir);
	return ec;
}

static struct store_key *key_of(struct store_keys *keys, enum key_algorithm algorithm)
{
	for (size_t i = 0; i < keys->num; i++)
		if (keys->keys[i].algorithm == algorithm)
			return &keys->keys[i];
	return NULL;
}

/* Reads a generation for one key in it: `*out`, in `keys`, which is the caller's to free
 * whatever is returned. */
static enum ec read_key(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                        char name[STORE_NAME_SIZE], struct store_keys *keys, const struct store_key **out, struct why *why)
{
	*keys = (struct store_keys){ 0 };
	enum ec ec = store_canonical(identity, name, why);
	if (ec == EC_OK)
		ec = store_read(s, name, number, keys, why);
	if (ec != EC_OK)
		return ec;
	*out = key_of(keys, algorithm);
	if (*out == NULL)
		return why_set(why, EC_NOT_FOUND, "%s generation %" PRIu64 " has no %s key", name, number,
		               key_algorithm_name(algorithm));
	return EC_OK;
}

enum ec store_csr(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                  struct bytes *out_pem, struct why *why)
{
	char name[STORE_NAME_SIZE];
	struct store_keys keys;
	const struct store_key *k = NULL;
	enum ec ec = read_key(s, identity, number, algorithm, name, &keys, &k, why);
	if (ec == EC_OK)
		ec = make_csr(slice_of(k->key_pem.p, k->key_pem.len), name, out_pem, why);
	store_keys_fini(&keys);
	return ec;
}

static enum ec install(struct store *s, int dir, uint64_t number, const struct store_key *k, struct slice chain_pem,
                       struct wall now, struct why *why)
{
	char file[STORE_FILE_SIZE], generation[STORE_FILE_SIZE];
	struct loaded l = { 0 };
	int fd = -1;
	enum ec ec = load_pair(slice_of(k->key_pem.p, k->key_pem.len), chain_pem, &l, why);
	if (ec == EC_OK)
		ec = loaded_check_now(&l, now, why);
	loaded_fini(&l);
	store_number_name(generation, "", number);
	if (ec == EC_OK)
		ec = disk_open_dir(dir, generation, &fd, why);
	store_key_name(file, k->algorithm, "pem");
	if (ec == EC_OK)
		ec = disk_replace(&s->disk, fd, file, chain_pem, why);
	store_close_fd(fd);
	return ec;
}

enum ec store_install(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                      struct slice chain_pem, struct wall now, struct why *why)
{
	char name[STORE_NAME_SIZE];
	struct generation g;
	struct store_keys keys;
	int dir = -1;
	enum ec ec = find_generation(s, identity, number, name, &dir, &g, &keys, why);
	if (ec != EC_OK)
		return ec;
	const struct store_key *k = key_of(&keys, algorithm);
	if (k == NULL)
		ec = why_set(why, EC_NOT_FOUND, "it has no %s key", key_algorithm_name(algorithm));
	else
		ec = install(s, dir, number, k, chain_pem, now, why);
	if (ec != EC_OK)
		why_prefix(why, "%s generation %" PRIu64 ", %s", name, number, key_algorithm_name(algorithm));
	store_close_fd(dir);
	store_keys_fini(&keys);
	return ec;
}

enum ec store_renew(struct store *s, const char *identity, uint64_t number, enum key_algorithm algorithm,
                    int64_t life_s, struct wall now, struct why *why)
{
	char name[STORE_NAME_SIZE];
	struct store_keys keys;
	struct bytes chain = { 0 };
	const struct store_key *k = NULL;
	enum ec ec = read_key(s, identity, number, algorithm, name, &keys, &k, why);
	if (ec == EC_OK)
		ec = make_self_signed(slice_of(k->key_pem.p, k->key_pem.len), name, now, life_s, &chain, why);
	if (ec == EC_OK)
		ec = store_install(s, name, number, algorithm, bytes_slice(&chain), now, why);
	bytes_fini(&chain);
	store_keys_fini(&keys);
	return ec;
}

enum ec store_set_active(struct store *s, const char *identity, uint64_t number, struct why *why)
{
	char name[STORE_NAME_SIZE];
	struct generation g;
	struct store_keys keys;
	struct store_state state;
	uint64_t greatest = 0;
	int dir = -1;
	enum ec ec = find_generation(s, identity, number, name, &dir, &g, &keys, why);
	store_keys_fini(&keys);
	if (ec != EC_OK)
		return ec;
	ec = store_state_read(dir, &state, &greatest, why);
	if (ec == EC_OK && state.active != number) {
		state.active = number;
		ec = store_state_write(s, dir, &state, why);
	}
	store_close_fd(dir);
	if (ec != EC_OK)
		why_prefix(why, "%s/%s", s->path, name);
	return ec;
}

enum ec store_delete(struct store *s, const char *identity, uint64_t number, struct why *why)
{
	char name[STORE_NAME_SIZE], from[STORE_FILE_SIZE], gone[STORE_FILE_SIZE];
	struct store_state state;
	uint64_t greatest = 0;
	int dir = -1;
	enum ec ec = open_identity(s, identity, false, name, &dir, why);
	if (ec != EC_OK || dir < 0)
		return ec;
	ec = store_state_read(dir, &state, &greatest, why);
	if (ec == EC_OK && state.active == number)
		ec = why_set(why, EC_INVARIANT, "generation %" PRIu64 " is the active one; swap to another first", number);
	store_number_name(from, "", number);
	store_number_name(gone, ".gone-", number);
	if (ec == EC_OK && faccessat(dir, from, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		ec = disk_remove(&s->disk, dir, gone, why);
		if (ec == EC_OK)
			ec = disk_rename(&s->disk, dir, from, gone, why);
	}
	if (ec == EC_OK)
		ec = disk_remove(&s->disk, dir, gone, why);
	store_close_fd(dir);
	if (ec != EC_OK)
		why_prefix(why, "%s/%s", s->path, name);
	return ec;
}

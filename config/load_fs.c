#include "config/load_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/pem.h"

enum { SECRET_FILE_MAX = 64 << 10, TSIG_TEXT_MIN = 24, TSIG_TEXT_MAX = 344 };

struct check {
	const struct config *cfg;
	struct config_errors *errs;
	const struct passwd *user; /* who will do the reading after the start, or NULL */
};

static enum ec ec_of_errno(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return EC_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return EC_PERMISSION;
	default:
		return EC_IO;
	}
}

/* Says what errno says of `path`, and the cure. */
static enum ec unreadable(const char *path, struct why *why)
{
	return why_set(why, ec_of_errno(errno),
	               errno == ENOENT ? "%s cannot be read (%s); make it or name another file" :
	                                 "%s cannot be read (%s); chown it to the user that runs this, or name another file",
	               path, strerror(errno));
}

/* As config_read_file; `*out_stat` describes what was read. */
static enum ec read_file(const char *path, size_t max, struct bytes *out, struct stat *out_stat, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return unreadable(path, why);
	enum ec ec = EC_OK;
	size_t total = 0;
	if (fstat(fd, out_stat) != 0 || !S_ISREG(out_stat->st_mode)) {
		ec = why_set(why, EC_IO, "%s is not a regular file; name a file", path);
		goto out;
	}
	for (;;) {
		uint8_t *at = NULL;
		ec = bytes_reserve(out, 4096, &at);
		if (ec != EC_OK)
			break;
		ssize_t n = read(fd, at, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ec = why_set(why, EC_IO, "%s cannot be read (%s); mend the file", path, strerror(errno));
		if (n <= 0)
			break;
		bytes_commit(out, (size_t)n);
		total += (size_t)n;
		if (total > max) {
			ec = why_set(why, EC_LIMIT, "%s is larger than %zu bytes; name the right file", path, max);
			break;
		}
	}
out:
	close(fd);
	return ec;
}

enum ec config_read_file(const char *path, size_t max, struct bytes *out, struct why *why)
{
	struct stat st;
	enum ec ec = read_file(path, max, out, &st, why);
	if (ec == EC_NO_MEMORY)
		(void)why_set(why, ec, "out of memory");
	return ec;
}

static void complain(struct check *c, enum ec ec, struct config_mark mark, const char *key, const struct why *why)
{
	config_errors_add(c->errs, ec, c->cfg->file_name, mark, key, "%s", why->text);
}

static enum ec secret_mode(const char *path, const struct stat *st, const struct passwd *user, struct why *why)
{
	if ((st->st_mode & 077) != 0)
		return why_set(why, EC_PERMISSION,
		               "%s is open to group or others (mode %04o); chmod 0600 it, and replace the secret if "
		               "somebody may have read it",
		               path, (unsigned)st->st_mode & 07777);
	if (user != NULL && st->st_uid != user->pw_uid)
		return why_set(why, EC_PERMISSION, "%s does not belong to user %s, who reads it; chown %s it", path,
		               user->pw_name, user->pw_name);
	return EC_OK;
}

static void check_readable(struct check *c, const char *key, struct config_mark mark, const char *path, bool secret)
{
	struct why why = { 0 };
	struct stat st;
	enum ec ec = EC_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		ec = unreadable(path, &why);
	} else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		ec = why_set(&why, EC_IO, "%s is not a regular file; name a file", path);
	} else if (secret) {
		ec = secret_mode(path, &st, c->user, &why);
	}
	if (fd >= 0)
		close(fd);
	if (ec != EC_OK)
		complain(c, ec, mark, key, &why);
}

static void check_ca(struct check *c, const char *key, struct config_mark mark, const char *path)
{
	struct why why = { 0 };
	struct stat st;
	struct bytes text = { 0 };
	if (*path == '\0')
		return;
	enum ec ec = read_file(path, CONFIG_CA_FILE_MAX, &text, &st, &why);
	if (ec == EC_OK)
		ec = pem_check(path, bytes_slice(&text), &why);
	if (ec != EC_OK && *why.text == '\0')
		(void)why_set(&why, ec, "%s cannot be read (%s)", path, ec_text(ec));
	if (ec != EC_OK)
		complain(c, ec, mark, key, &why);
	bytes_fini(&text);
}

/* A directory in which we make files; `inside` when `path` is a file in it. */
static void check_directory(struct check *c, const char *key, const char *path, bool inside)
{
	char dir[1100];
	(void)snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (inside && slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	struct why why = { 0 };
	struct stat st;
	enum ec ec = EC_OK;
	const char *owner = c->user == NULL ? "" : c->user->pw_name;
	if (stat(dir, &st) != 0)
		ec = why_set(&why, ec_of_errno(errno), "directory %s cannot be used (%s); make it: install -d -m 0750%s%s %s",
		             dir, strerror(errno), c->user == NULL ? "" : " -o ", owner, dir);
	else if (!S_ISDIR(st.st_mode))
		ec = why_set(&why, EC_IO, "%s is not a directory; name a directory", dir);
	/* A disk that is read-only for now is no mistake in the configuration: who writes there copes. */
	else if (access(dir, W_OK | X_OK) != 0 && errno != EROFS)
		ec = why_set(&why, ec_of_errno(errno), "directory %s is not writable (%s); chown or chmod it", dir,
		             strerror(errno));
	else if (!inside && (st.st_mode & 022) != 0)
		ec = why_set(&why, EC_PERMISSION, "directory %s is writable for group or others (mode %04o); chmod 0700 it",
		             dir, (unsigned)st.st_mode & 07777);
	else if (c->user != NULL && st.st_uid != c->user->pw_uid && (st.st_mode & 02) == 0)
		ec = why_set(&why, EC_PERMISSION, "directory %s does not belong to user %s; chown %s it", dir, owner, owner);
	if (ec != EC_OK)
		complain(c, ec, config_mark_of(c->cfg, key), key, &why);
}

/* A command: the program is there, a file, and may be run. */
static void check_program_at(struct check *c, const char *key, struct config_mark mark, const struct config_list *command)
{
	struct why why = { 0 };
	struct stat st;
	enum ec ec = EC_OK;
	if (command->num == 0)
		return;
	const char *path = command->items[0];
	if (stat(path, &st) != 0)
		ec = why_set(&why, ec_of_errno(errno), "%s cannot be run (%s); install it or name another program", path,
		             strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ec = why_set(&why, EC_IO, "%s is not a regular file; name a program", path);
	else if (access(path, X_OK) != 0)
		ec = why_set(&why, ec_of_errno(errno), "%s cannot be run (%s); chmod +x it", path, strerror(errno));
	if (ec != EC_OK)
		complain(c, ec, mark, key, &why);
}

static void check_program(struct check *c, const char *key, const struct config_list *command)
{
	check_program_at(c, key, config_mark_of(c->cfg, key), command);
}

static void check_user(struct check *c)
{
	if (*c->cfg->user == '\0')
		return;
	/* Static storage of the C library: nothing here asks for another user. */
	errno = 0;
	c->user = getpwnam(c->cfg->user);
	if (c->user == NULL) {
		struct why why = { 0 };
		enum ec ec = why_set(&why, EC_NOT_FOUND, "there is no user %s; make it (adduser --system) or name another",
		                     c->cfg->user);
		complain(c, ec, config_mark_of(c->cfg, "user"), "user", &why);
	}
}

static void check_danegate(struct check *c)
{
	check_directory(c, "state_dir", c->cfg->state_dir, false);
	check_directory(c, "proxy.control_socket", c->cfg->proxy.control_socket, true);
	check_directory(c, "proxy.stats_socket", c->cfg->proxy.stats_socket, true);
	for (size_t i = 0; i < c->cfg->num_identities; i++) {
		const struct config_identity *id = &c->cfg->identities[i];
		for (size_t j = 0; id->issuer == CONFIG_FILES && j < id->num_files; j++) {
			const struct config_files *f = &id->files[j];
			check_readable(c, "identities.files.chain", f->chain_mark, f->chain, false);
			check_readable(c, "identities.files.key", f->key_mark, f->key, true);
		}
	}
	for (size_t i = 0; i < c->cfg->num_connectors; i++)
		check_ca(c, "connectors.tls_ca", c->cfg->connectors[i].tls_ca_mark, c->cfg->connectors[i].tls_ca);
	check_ca(c, "mta_sts.ca", config_mark_of(c->cfg, "mta_sts.ca"), c->cfg->sts.ca);
	if (c->cfg->sts.cache_dir[0] != '\0')
		check_directory(c, "mta_sts.cache_dir", c->cfg->sts.cache_dir, true);
}

static void check_tlsa_sync(struct check *c)
{
	const struct config_tlsa_sync *t = &c->cfg->tlsa_sync;
	check_directory(c, "tlsa_sync.journal", t->journal, true);
	check_directory(c, "tlsa_sync.control_socket", t->control_socket, true);
	check_directory(c, "tlsa_sync.stats_socket", t->stats_socket, true);
	for (size_t i = 0; i < c->cfg->num_identities; i++)
		check_program_at(c, "identities.command", c->cfg->identities[i].command_mark, &c->cfg->identities[i].command);
	check_program(c, "tlsa_sync.on_event", &t->on_event);
	if (t->publisher == CONFIG_EXEC)
		check_program(c, "tlsa_sync.exec.command", &t->exec.command);
	if (t->publisher == CONFIG_ZONEFILE) {
		check_directory(c, "tlsa_sync.zonefile.directory", t->zonefile.directory, false);
		check_program(c, "tlsa_sync.zonefile.reload", &t->zonefile.reload);
	}
	if (t->publisher != CONFIG_RFC2136 || *t->rfc2136.tsig_key_file == '\0')
		return;
	static const char key[] = "tlsa_sync.rfc2136.tsig_key_file";
	struct config_mark mark = config_mark_of(c->cfg, key);
	struct secret secret = { 0 };
	struct why why = { 0 };
	enum ec ec = config_load_tsig(c->cfg, &secret, &why);
	if (ec != EC_OK)
		complain(c, ec, mark, key, &why);
	else if (c->user != NULL)
		check_readable(c, key, mark, t->rfc2136.tsig_key_file, true);
	secret_fini(&secret);
}

enum ec config_check_files(const struct config *cfg, enum config_program program, struct config_errors *errs)
{
	struct check c = { .cfg = cfg, .errs = errs };
	size_t before = errs->num;
	check_user(&c);
	check_readable(&c, "dns.trust_anchor", config_mark_of(cfg, "dns.trust_anchor"), cfg->dns.trust_anchor, false);
	if (*cfg->dns.root_hints != '\0')
		check_readable(&c, "dns.root_hints", config_mark_of(cfg, "dns.root_hints"), cfg->dns.root_hints, false);
	if (program == CONFIG_FOR_DANEGATE)
		check_danegate(&c);
	else
		check_tlsa_sync(&c);
	return errs->num == before ? EC_OK : errs->ec;
}

static enum ec load(const char *path, enum config_program program, bool look, struct config **out,
                    struct config_errors *errs)
{
	struct bytes text = { 0 };
	struct stat st;
	struct why why = { 0 };
	struct config *cfg = NULL;
	*out = NULL;
	enum ec ec = read_file(path, CONFIG_TEXT_MAX, &text, &st, &why);
	if (ec != EC_OK) {
		config_errors_add(errs, ec, path, (struct config_mark){ 0 }, "", "%s",
		                  *why.text != '\0' ? why.text : ec_text(ec));
		goto out;
	}
	ec = config_parse(bytes_slice(&text), path, &cfg, errs);
	if (ec != EC_OK)
		goto out;
	cfg->programs = 1u << program;
	/* Both, so that one run shows all there is to mend. */
	enum ec needed = config_check_for(cfg, program, errs);
	enum ec files = look ? config_check_files(cfg, program, errs) : EC_OK;
	ec = needed != EC_OK ? needed : files;
	if (ec == EC_OK) {
		*out = cfg;
		cfg = NULL;
	}
out:
	config_free(cfg);
	bytes_fini(&text);
	return ec;
}

enum ec config_load(const char *path, enum config_program program, struct config **out, struct config_errors *errs)
{
	return load(path, program, true, out, errs);
}

enum ec config_read(const char *path, enum config_program program, struct config **out, struct config_errors *errs)
{
	return load(path, program, false, out, errs);
}

enum ec config_load_tsig(const struct config *cfg, struct secret *out, struct why *why)
{
	const char *path = cfg->tlsa_sync.rfc2136.tsig_key_file;
	struct bytes text = { 0 };
	struct stat st;
	enum ec ec = read_file(path, SECRET_FILE_MAX, &text, &st, why);
	if (ec != EC_OK)
		goto out;
	ec = secret_mode(path, &st, NULL, why);
	if (ec != EC_OK)
		goto out;
	struct slice s = bytes_slice(&text);
	while (s.len > 0 && pem_is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.len > 0 && pem_is_blank(s.p[s.len - 1]))
		s.len--;
	if (s.len == 0)
		ec = why_set(why, EC_SYNTAX, "%s is empty; write the secret in base64 into it", path);
	else if (!pem_is_base64(s))
		ec = why_set(why, EC_SYNTAX,
		             "%s is not base64; write the secret alone, as in the server's \"secret:\", on one line", path);
	else if (s.len < TSIG_TEXT_MIN || s.len > TSIG_TEXT_MAX)
		ec = why_set(why, EC_RANGE, "the secret in %s is too short or too long; make one of 32 octets: "
		                            "openssl rand -base64 32",
		             path);
	else
		ec = secret_copy(out, s);
out:
	if (text.p != NULL)
		wipe(text.p, text.cap);
	bytes_fini(&text);
	return ec;
}

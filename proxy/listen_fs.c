#include "proxy/listen_fs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"

enum { BIND_TRIES = 20, BIND_PAUSE_MS = 100 };

static enum ec explain_bind(const char *address, int e, struct why *why)
{
	switch (e) {
	case EADDRINUSE:
		return why_set(why, EC_EXISTS, "%s: another process listens there; find it with `ss -ltnp`, and stop it or change proxy.listen",
		               address);
	case EACCES:
	case EPERM:
		return why_set(why, EC_PERMISSION,
		               "%s: a port below 1024 needs root or CAP_NET_BIND_SERVICE; start as root with `user:` set, or grant it",
		               address);
	case EADDRNOTAVAIL:
		return why_set(why, EC_NOT_FOUND, "%s: this machine has no such address; change proxy.listen or add it to an interface",
		               address);
	case EAFNOSUPPORT:
		return why_set(why, EC_NOT_FOUND, "%s: this machine has no such address family (IPv6 off?); take it out of proxy.listen",
		               address);
	default:
		return why_set(why, EC_IO, "%s: %s", address, strerror(e));
	}
}

/* bind_one returns a bound socket, or minus errno. */
static int bind_one(const struct sockaddr_storage *a, bool share)
{
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	/* SO_REUSEADDR only spares us TIME_WAIT. IPv6 sockets take IPv6 only, so that
	 * "0.0.0.0:25" and "[::]:25" can stand side by side. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
	    (a->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
	    bind(fd, (const struct sockaddr *)a, address_len(a)) != 0) {
		int e = errno;
		close(fd);
		return -e;
	}
	return fd;
}

/* is_free binds alone and listens for a moment: Linux lets two sockets with
 * SO_REUSEADDR be bound as long as none listens. */
static int is_free(const struct sockaddr_storage *a)
{
	for (int i = 0;; i++) {
		int fd = bind_one(a, false);
		int e = fd < 0 ? -fd : listen(fd, 1) != 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
		if (e != EADDRINUSE || i == BIND_TRIES)
			return e;
		(void)nanosleep(&(struct timespec){ .tv_nsec = BIND_PAUSE_MS * 1000000L }, NULL);
	}
}

enum ec listeners_open(const struct config_list *addresses, unsigned num_sets, struct listeners *out, struct why *why)
{
	unsigned num = (unsigned)addresses->num;
	*out = (struct listeners){ .num_addresses = num };
	out->fds = calloc((size_t)num_sets * num, sizeof *out->fds);
	if (out->fds == NULL)
		return why_set(why, EC_NO_MEMORY, "out of memory");
	enum ec ec = EC_OK;
	for (unsigned a = 0; ec == EC_OK && a < num; a++) {
		struct sockaddr_storage sa;
		ec = address_parse(slice_str(addresses->items[a]), 0, &sa, why);
		int e = ec == EC_OK ? is_free(&sa) : 0;
		if (e != 0)
			ec = explain_bind(addresses->items[a], e, why);
	}
	for (unsigned s = 0; ec == EC_OK && s < num_sets; s++) {
		for (unsigned a = 0; ec == EC_OK && a < num; a++) {
			struct sockaddr_storage sa;
			ec = address_parse(slice_str(addresses->items[a]), 0, &sa, why);
			if (ec != EC_OK)
				break;
			int fd = bind_one(&sa, true);
			if (fd < 0)
				ec = explain_bind(addresses->items[a], -fd, why);
			else
				out->fds[(size_t)s * num + a] = fd;
		}
		out->num_sets = s + 1;
	}
	if (ec != EC_OK)
		listeners_close(out);
	return ec;
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < (size_t)l->num_sets * l->num_addresses; i++)
		if (l->fds[i] > 0)
			close(l->fds[i]);
	free(l->fds);
	*l = (struct listeners){ 0 };
}

enum ec privilege_drop(const char *user, struct why *why)
{
	if (user[0] != '\0') {
		errno = 0;
		const struct passwd *pw = getpwnam(user);
		if (pw == NULL)
			return why_set(why, EC_NOT_FOUND, "user: there is no user \"%s\"; create it with `useradd --system %s`", user, user);
		if (getuid() != 0 && getuid() != pw->pw_uid)
			return why_set(why, EC_PERMISSION, "user: only root can become \"%s\"; start as root or leave `user:` out", user);
		if (getuid() == 0 && (initgroups(user, pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
		                      setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0))
			return why_set(why, EC_IO, "user: becoming \"%s\" failed: %s", user, strerror(errno));
		if (pw->pw_uid != 0 && setuid(0) == 0)
			return why_set(why, EC_IO, "user: \"%s\" could become root again", user);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return why_set(why, EC_IO, "no_new_privs: %s", strerror(errno));
	return EC_OK;
}

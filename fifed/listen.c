/* SPDX-License-Identifier: ISC */
/*
 * Listening sockets. fifed opens them and keeps them, so that a reload or the
 * restart of a daemon refuses nobody: the daemons get duplicates.
 */
#include "fifed/internal.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define BACKLOG 1024

int
listen_local(const char *path, mode_t mode)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old;
	int fd, saved;

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return -1;
	/* Of an earlier run: we hold the lock. */
	(void)unlink(path);
	old = umask(0777 & ~mode);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		saved = errno;
		umask(old);
		close(fd);
		errno = saved;
		return -1;
	}
	umask(old);
	return fd;
}

static int
listen_inet(const struct msg_listener *m)
{
	struct sockaddr_storage ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;
	socklen_t len;
	int fd, one = 1, saved;

	memset(&ss, 0, sizeof(ss));
	if (inet_pton(AF_INET, m->address, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(m->port);
		len = sizeof(*sin);
	} else if (inet_pton(AF_INET6, m->address, &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(m->port);
		len = sizeof(*sin6);
	} else {
		errno = EINVAL;
		return -1;
	}
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    (ss.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == -1) ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 || listen(fd, BACKLOG) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
find(const struct suite *s, const struct msg_listener *m)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].m.port == m->port &&
		    strcmp(s->listeners[i].m.address, m->address) == 0)
			return s->listeners[i].fd;
	return -1;
}

static int
is_ours(const struct suite *s, int fd)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].fd == fd)
			return 1;
	return 0;
}

void
listen_discard(const struct suite *s, const struct listener *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_ours(s, list[i].fd))
			close(list[i].fd);
}

/* The system may know no IPv6: then its listeners are left out, not the host. */
static int
family_is_missing(const struct msg_listener *m, int error)
{
	return strchr(m->address, ':') != NULL &&
	       (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
}

int
listen_open(const struct suite *s, const struct conf *c, struct listener *list, size_t *n,
    char *e, size_t cap)
{
	size_t count = 0, missing = 0;

	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct msg_listener *m = &c->listeners[i].m;
		int fd = find(s, m);

		if (fd == -1)
			fd = m->kind == LISTENER_LOCAL ? listen_local(m->address, 0666)
						       : listen_inet(m);
		if (fd == -1 && family_is_missing(m, errno)) {
			missing++;
			continue;
		}
		if (fd == -1) {
			snprintf(e, cap, "%s:%u: listen on %s port %u: %s", c->file,
			    c->listeners[i].line, m->address, m->port, strerror(errno));
			listen_discard(s, list, count);
			return -1;
		}
		list[count].m = *m;
		list[count++].fd = fd;
	}
	if (missing > 0 && count == 0) {
		snprintf(
		    e, cap, "%s: none of the addresses to listen on is there", c->file);
		return -1;
	}
	*n = count;
	return 0;
}

void
listen_adopt(struct suite *s, const struct listener *list, size_t n)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		size_t k = 0;

		while (k < n && list[k].fd != s->listeners[i].fd)
			k++;
		if (k < n)
			continue;
		if (s->listeners[i].m.kind == LISTENER_LOCAL)
			(void)unlink(s->listeners[i].m.address);
		close(s->listeners[i].fd);
	}
	memcpy(s->listeners, list, n * sizeof(*list));
	s->n_listeners = n;
}

/* SPDX-License-Identifier: ISC */
/*
 * Connections to sockets of other programs on this host. Who delivers has no file system;
 * fifed connects, to no path but those that fife.conf names.
 */
#include "fifed/internal.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

static int
is_named(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->n_sockets; i++)
		if (strcmp(c->sockets[i].path, path) == 0)
			return 1;
	return 0;
}

/* Without waiting: a full backlog is an error. -1 with errno. */
static int
connect_to(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e;

	if (fd == -1)
		return -1;
	strlcpy(un.sun_path, path, sizeof(un.sun_path));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

void
socket_connect(const struct suite *s, struct channel *ch, const struct msg *m)
{
	struct msg_status a = { .status = MSG_OK };
	int fd = -1;

	if (!is_named(s->conf, m->p.local_path.path)) {
		a.status = MSG_DENIED;
		strlcpy(a.text, "fife.conf does not name it as a unix-socket of delivery",
		    sizeof(a.text));
	} else if ((fd = connect_to(m->p.local_path.path)) == -1) {
		a.status = MSG_TEMP;
		strlcpy(a.text, strerror(errno), sizeof(a.text));
	}
	(void)channel_send(ch, MSG_FIFED_RDELIVER_CONNECTED, m->id, &a, fd);
}

/* SPDX-License-Identifier: ISC */
/*
 * A mark in a stream between two of our processes; see conn.h. It is a descriptor that
 * comes with an octet of its own: the kernel ends a read there, and no content can look
 * like it. The descriptor is the sender's own end of the connection, so that nothing is
 * given away; it is closed at once.
 */
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conn_int.h"

#define FDS_MAX 8 /* more than one are not ours, but are closed too */

void
conn_expect_mark(struct conn *c)
{
	c->marks = 1;
}

int
conn_send_mark(struct conn *c)
{
	char octet = 0;
	struct iovec iov = { &octet, 1 };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	if (c->state != CONN_S_PLAIN || conn_unsent(c) > 0) {
		errno = EBUSY;
		return -1;
	}
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &c->fd, sizeof(int));
	return sendmsg(c->fd, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

ssize_t
conn_mark_read(struct conn *c, void *buf, size_t cap)
{
	struct iovec iov = { buf, cap };
	union {
		char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return n;
	/* It came, but this process has no room for one more descriptor. */
	if (m.msg_flags & MSG_CTRUNC)
		c->marked = 1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
		int fds[FDS_MAX];
		size_t count;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (count > FDS_MAX)
			count = FDS_MAX;
		memcpy(fds, CMSG_DATA(h), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		c->marked = 1;
	}
	return n;
}

/*
 * Messages with a header over a local stream socket; see imsg.h.  The header
 * is in host order: both ends are on one machine.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef __OpenBSD__

#include <sys/types.h>
#include <sys/uio.h>

#include <errno.h>
#include <poll.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"

#define IMSG_FD_MARK 0x80000000U
#define IMSG_ALLOW_FDPASS 0x01

_Static_assert(sizeof(struct imsg_hdr) == 16, "header without padding");

/* The reader's callback: a buffer for the message that hdr announces. */
static struct ibuf *
read_header(struct ibuf *hdrbuf, void *arg, int *fd)
{
	struct imsgbuf *imsgbuf = arg;
	struct imsg_hdr hdr;
	struct ibuf *buf;
	uint32_t len;

	if (ibuf_get(hdrbuf, &hdr, sizeof(hdr)) == -1)
		return NULL;
	len = hdr.len & ~IMSG_FD_MARK;
	if (len < IMSG_HEADER_SIZE || len > imsgbuf->maxsize) {
		errno = ERANGE;
		return NULL;
	}
	if ((hdr.len & IMSG_FD_MARK) && *fd == -1) {
		errno = EBADMSG;
		return NULL;
	}
	buf = ibuf_open(len);
	if (buf == NULL)
		return NULL;
	if (hdr.len & IMSG_FD_MARK) {
		ibuf_fd_set(buf, *fd);
		*fd = -1;
	}
	return buf;
}

int
imsgbuf_init(struct imsgbuf *imsgbuf, int fd)
{
	memset(imsgbuf, 0, sizeof(*imsgbuf));
	imsgbuf->w = msgbuf_new_reader(IMSG_HEADER_SIZE, read_header, imsgbuf);
	if (imsgbuf->w == NULL)
		return -1;
	imsgbuf->pid = getpid();
	imsgbuf->maxsize = MAX_IMSGSIZE;
	imsgbuf->fd = fd;
	return 0;
}

void
imsgbuf_clear(struct imsgbuf *imsgbuf)
{
	msgbuf_free(imsgbuf->w);
	imsgbuf->w = NULL;
}

void
imsgbuf_allow_fdpass(struct imsgbuf *imsgbuf)
{
	imsgbuf->flags |= IMSG_ALLOW_FDPASS;
}

int
imsgbuf_set_maxsize(struct imsgbuf *imsgbuf, uint32_t max)
{
	if (max == 0 || max >= IMSG_FD_MARK - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return -1;
	}
	imsgbuf->maxsize = max + IMSG_HEADER_SIZE;
	return 0;
}

int
imsgbuf_read(struct imsgbuf *imsgbuf)
{
	if (imsgbuf->flags & IMSG_ALLOW_FDPASS)
		return msgbuf_read(imsgbuf->fd, imsgbuf->w);
	/* read(2) makes the kernel discard descriptors. */
	return ibuf_read(imsgbuf->fd, imsgbuf->w);
}

int
imsgbuf_write(struct imsgbuf *imsgbuf)
{
	/* Without permission no queued message has a descriptor. */
	return msgbuf_write(imsgbuf->fd, imsgbuf->w);
}

int
imsgbuf_flush(struct imsgbuf *imsgbuf)
{
	struct pollfd pfd;

	while (imsgbuf_queuelen(imsgbuf) > 0) {
		pfd.fd = imsgbuf->fd;
		pfd.events = POLLOUT;
		if (poll(&pfd, 1, -1) == -1 && errno != EINTR)
			return -1;
		if (imsgbuf_write(imsgbuf) == -1)
			return -1;
	}
	return 0;
}

uint32_t
imsgbuf_queuelen(struct imsgbuf *imsgbuf)
{
	return msgbuf_queuelen(imsgbuf->w);
}

int
imsgbuf_get(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	struct imsg m;
	struct ibuf *buf;

	buf = msgbuf_get(imsgbuf->w);
	if (buf == NULL)
		return 0;
	if (ibuf_get(buf, &m.hdr, sizeof(m.hdr)) == -1) {
		ibuf_free(buf);
		return -1;
	}
	m.hdr.len &= ~IMSG_FD_MARK;
	m.data = ibuf_size(buf) == 0 ? NULL : ibuf_data(buf);
	m.buf = buf;
	*imsg = m;
	return 1;
}

ssize_t
imsg_get(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	int r;

	r = imsgbuf_get(imsgbuf, imsg);
	return r == 1 ? (ssize_t)imsg->hdr.len : r;
}

void
imsg_free(struct imsg *imsg)
{
	ibuf_free(imsg->buf);
	imsg->buf = NULL;
	imsg->data = NULL;
}

int
imsg_get_ibuf(struct imsg *imsg, struct ibuf *ibuf)
{
	if (ibuf_size(imsg->buf) == 0) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get_ibuf(imsg->buf, ibuf_size(imsg->buf), ibuf);
}

int
imsg_get_data(struct imsg *imsg, void *data, size_t len)
{
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_size(imsg->buf) != len) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get(imsg->buf, data, len);
}

int
imsg_get_buf(struct imsg *imsg, void *data, size_t len)
{
	return ibuf_get(imsg->buf, data, len);
}

int
imsg_get_strbuf(struct imsg *imsg, char *str, size_t len)
{
	return ibuf_get_strbuf(imsg->buf, str, len);
}

int
imsg_get_fd(struct imsg *imsg)
{
	return ibuf_fd_get(imsg->buf);
}

uint32_t
imsg_get_id(struct imsg *imsg)
{
	return imsg->hdr.peerid;
}

size_t
imsg_get_len(struct imsg *imsg)
{
	return ibuf_size(imsg->buf);
}

pid_t
imsg_get_pid(struct imsg *imsg)
{
	return (pid_t)imsg->hdr.pid;
}

uint32_t
imsg_get_type(struct imsg *imsg)
{
	return imsg->hdr.type;
}

static int
fd_allowed(const struct imsgbuf *imsgbuf, int fd)
{
	if (fd == -1 || (imsgbuf->flags & IMSG_ALLOW_FDPASS))
		return 1;
	/* Better here than as a broken message at the peer. */
	errno = EINVAL;
	return 0;
}

/* A message in the making: room for len bytes now and max later, in all. */
static struct ibuf *
start_message(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, size_t len,
    size_t max)
{
	struct imsg_hdr hdr;
	struct ibuf *msg;

	memset(&hdr, 0, sizeof(hdr));
	hdr.type = type;
	hdr.peerid = id;
	hdr.pid = (uint32_t)(pid != 0 ? pid : imsgbuf->pid);
	msg = ibuf_dynamic(len, max);
	if (msg == NULL)
		return NULL;
	if (ibuf_add(msg, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(msg);
		return NULL;
	}
	return msg;
}

/* Write len, all ibufs of the message together, into its header. */
static void
finish_header(struct ibuf *msg, size_t len)
{
	struct imsg_hdr hdr;

	memcpy(&hdr, ibuf_seek(msg, 0, sizeof(hdr)), sizeof(hdr));
	hdr.len = (uint32_t)len;
	if (ibuf_fd_avail(msg))
		hdr.len |= IMSG_FD_MARK;
	(void)ibuf_set(msg, 0, &hdr, sizeof(hdr));
}

struct ibuf *
imsg_create(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, size_t len)
{
	if (len > imsgbuf->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return NULL;
	}
	return start_message(
	    imsgbuf, type, id, pid, len + IMSG_HEADER_SIZE, imsgbuf->maxsize);
}

int
imsg_add(struct ibuf *msg, const void *data, size_t len)
{
	if (ibuf_add(msg, data, len) == -1) {
		ibuf_free(msg);
		return -1;
	}
	return (int)len;
}

int
imsg_set_maxsize(struct ibuf *msg, size_t max)
{
	if (max > msg->max - IMSG_HEADER_SIZE || max + IMSG_HEADER_SIZE < msg->wpos) {
		errno = ERANGE;
		return -1;
	}
	msg->max = max + IMSG_HEADER_SIZE;
	return 0;
}

void
imsg_close(struct imsgbuf *imsgbuf, struct ibuf *msg)
{
	/* No way to report it: the message goes without. */
	if (ibuf_fd_avail(msg) && !(imsgbuf->flags & IMSG_ALLOW_FDPASS))
		ibuf_fd_set(msg, -1);
	finish_header(msg, ibuf_size(msg));
	ibuf_close(imsgbuf->w, msg);
}

int
imsg_compose(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, int fd,
    const void *data, size_t len)
{
	struct ibuf *msg;

	if (!fd_allowed(imsgbuf, fd))
		return -1;
	msg = imsg_create(imsgbuf, type, id, pid, len);
	if (msg == NULL || imsg_add(msg, data, len) == -1)
		return -1;
	ibuf_fd_set(msg, fd);
	imsg_close(imsgbuf, msg);
	return 1;
}

int
imsg_composev(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, int fd,
    const struct iovec *iov, int iovcnt)
{
	struct ibuf *msg;
	size_t len = 0;
	int i;

	if (!fd_allowed(imsgbuf, fd))
		return -1;
	for (i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len > imsgbuf->maxsize - len) {
			errno = ERANGE;
			return -1;
		}
		len += iov[i].iov_len;
	}
	msg = imsg_create(imsgbuf, type, id, pid, len);
	if (msg == NULL)
		return -1;
	for (i = 0; i < iovcnt; i++) {
		if (imsg_add(msg, iov[i].iov_base, iov[i].iov_len) == -1)
			return -1;
	}
	ibuf_fd_set(msg, fd);
	imsg_close(imsgbuf, msg);
	return 1;
}

int
imsg_compose_ibuf(
    struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, struct ibuf *buf)
{
	struct ibuf *msg = NULL;
	size_t len;

	if (buf == NULL)
		return imsg_compose(imsgbuf, type, id, pid, -1, NULL, 0);
	len = ibuf_size(buf);
	if (!fd_allowed(imsgbuf, ibuf_fd_avail(buf) ? buf->fd : -1))
		goto fail;
	if (len > imsgbuf->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		goto fail;
	}
	msg = start_message(imsgbuf, type, id, pid, IMSG_HEADER_SIZE, IMSG_HEADER_SIZE);
	if (msg == NULL)
		goto fail;
	/* The payload is queued as it is, behind its header. */
	ibuf_fd_set(msg, ibuf_fd_get(buf));
	finish_header(msg, IMSG_HEADER_SIZE + len);
	msg->more = 1;
	buf->more = 0;
	ibuf_close(imsgbuf->w, msg);
	ibuf_close(imsgbuf->w, buf);
	return 1;

fail:
	ibuf_free(buf);
	return -1;
}

int
imsg_forward(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	size_t len = 0;

	/* All of the payload, also what was read already. */
	if (imsg->data != NULL)
		len = imsg->hdr.len - IMSG_HEADER_SIZE;
	return imsg_compose(imsgbuf, imsg->hdr.type, imsg->hdr.peerid,
	    (pid_t)imsg->hdr.pid, -1, imsg->data, len);
}

#endif /* !__OpenBSD__ */

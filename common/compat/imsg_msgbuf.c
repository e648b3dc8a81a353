/*
 * msgbuf: a queue of ibufs on their way out, and the splitting of what comes
 * in.
 *
 * A descriptor travels with the first byte of its message: the sender begins
 * a sendmsg at each message that carries one.  So the message that a received
 * descriptor belongs to begins within the bytes of the same recvmsg; which
 * range that was is kept with the descriptor, and one in whose range no
 * message wants it is closed.  See imsg.h for the interface.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef __OpenBSD__

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"

/* Buffers in one write. Of a size that leaves the pages of a small stack alone, of which
 * each mailbox process pays for those that it touches. */
#define GATHER_MAX 64
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

#define FDS_RECV_MAX 8  /* room for descriptors in one recvmsg */
#define FDS_HELD_MAX 16 /* waiting for their message's header */

struct held_fd {
	uint64_t lo; /* stream offsets that it came with */
	uint64_t hi;
	int fd;
};

struct msgbuf {
	TAILQ_HEAD(, ibuf) out;
	TAILQ_HEAD(, ibuf) in;
	uint32_t queued;

	/* The reader; readhdr is NULL in a queue that only sends. */
	struct ibuf *(*readhdr)(struct ibuf *, void *, int *);
	void *arg;
	size_t hdrsz;
	unsigned char *rest; /* of a header that is not whole */
	size_t rlen;         /* < hdrsz between calls */
	uint64_t roff;       /* stream offset of rest[0] */
	struct ibuf *part;   /* message not yet whole */
	int error;           /* the stream is beyond repair */
	struct held_fd held[FDS_HELD_MAX];
	size_t nheld;
};

/* One for all, since between calls a reader keeps no more than a part of a header; and
 * it is wiped, since the next who looks at it may be a child of less rights. */
static unsigned char rbuf[IBUF_READ_SIZE];

static int
fail(int error)
{
	errno = error;
	return -1;
}

struct msgbuf *
msgbuf_new(void)
{
	struct msgbuf *msgbuf;

	msgbuf = calloc(1, sizeof(*msgbuf));
	if (msgbuf == NULL)
		return NULL;
	TAILQ_INIT(&msgbuf->out);
	TAILQ_INIT(&msgbuf->in);
	return msgbuf;
}

struct msgbuf *
msgbuf_new_reader(
    size_t hdrsz, struct ibuf *(*readhdr)(struct ibuf *, void *, int *), void *arg)
{
	struct msgbuf *msgbuf;

	if (hdrsz == 0 || hdrsz > IBUF_READ_SIZE / 2) {
		errno = EINVAL;
		return NULL;
	}
	msgbuf = msgbuf_new();
	if (msgbuf == NULL)
		return NULL;
	msgbuf->rest = calloc(1, hdrsz);
	if (msgbuf->rest == NULL) {
		free(msgbuf);
		return NULL;
	}
	msgbuf->hdrsz = hdrsz;
	msgbuf->readhdr = readhdr;
	msgbuf->arg = arg;
	return msgbuf;
}

void
msgbuf_free(struct msgbuf *msgbuf)
{
	if (msgbuf == NULL)
		return;
	msgbuf_clear(msgbuf);
	freezero(msgbuf->rest, msgbuf->rest == NULL ? 0 : msgbuf->hdrsz);
	free(msgbuf);
}

static void
held_close(struct msgbuf *msgbuf, uint64_t next_start)
{
	size_t i, n = 0;

	for (i = 0; i < msgbuf->nheld; i++) {
		if (msgbuf->held[i].hi <= next_start)
			close(msgbuf->held[i].fd);
		else
			msgbuf->held[n++] = msgbuf->held[i];
	}
	msgbuf->nheld = n;
}

void
msgbuf_clear(struct msgbuf *msgbuf)
{
	struct ibuf *buf;

	while ((buf = TAILQ_FIRST(&msgbuf->out)) != NULL) {
		TAILQ_REMOVE(&msgbuf->out, buf, entry);
		ibuf_free(buf);
	}
	msgbuf->queued = 0;
	while ((buf = msgbuf_get(msgbuf)) != NULL)
		ibuf_free(buf);
	ibuf_free(msgbuf->part);
	msgbuf->part = NULL;
	held_close(msgbuf, UINT64_MAX);
	msgbuf->roff += msgbuf->rlen;
	msgbuf->rlen = 0;
}

uint32_t
msgbuf_queuelen(struct msgbuf *msgbuf)
{
	return msgbuf->queued;
}

void
ibuf_close(struct msgbuf *msgbuf, struct ibuf *buf)
{
	if (buf->fd < -1)
		abort(); /* a view: an error of the program */
	TAILQ_INSERT_TAIL(&msgbuf->out, buf, entry);
	if (!buf->more)
		msgbuf->queued++;
}

struct ibuf *
msgbuf_get(struct msgbuf *msgbuf)
{
	struct ibuf *buf = TAILQ_FIRST(&msgbuf->in);

	if (buf != NULL)
		TAILQ_REMOVE(&msgbuf->in, buf, entry);
	return buf;
}

/* sending */

static void
out_sent(struct msgbuf *msgbuf, size_t n)
{
	struct ibuf *buf;

	while ((buf = TAILQ_FIRST(&msgbuf->out)) != NULL) {
		if (n < ibuf_size(buf)) {
			buf->rpos += n;
			return;
		}
		n -= ibuf_size(buf);
		TAILQ_REMOVE(&msgbuf->out, buf, entry);
		if (!buf->more)
			msgbuf->queued--;
		ibuf_free(buf);
	}
}

static int
out_gather(struct msgbuf *msgbuf, struct iovec *iov, int with_fds)
{
	struct ibuf *buf;
	size_t total = 0;
	int n = 0;

	TAILQ_FOREACH (buf, &msgbuf->out, entry) {
		if (n == GATHER_MAX || (with_fds && n > 0 && buf->fd >= 0))
			break;
		if (ibuf_size(buf) > SSIZE_MAX - total)
			break;
		total += ibuf_size(buf);
		iov[n].iov_base = ibuf_data(buf);
		iov[n].iov_len = ibuf_size(buf);
		n++;
	}
	return n;
}

static int
write_later(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

int
ibuf_write(int fd, struct msgbuf *msgbuf)
{
	struct iovec iov[GATHER_MAX];
	ssize_t n;
	int iovcnt;

	iovcnt = out_gather(msgbuf, iov, 0);
	if (iovcnt == 0)
		return 0;
	do {
		n = writev(fd, iov, iovcnt);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return write_later(errno) ? 0 : -1;
	out_sent(msgbuf, (size_t)n);
	return 0;
}

int
msgbuf_write(int fd, struct msgbuf *msgbuf)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov[GATHER_MAX];
	struct msghdr msg;
	struct cmsghdr *cmsg;
	struct ibuf *first;
	ssize_t n;
	int iovcnt;

	iovcnt = out_gather(msgbuf, iov, 1);
	if (iovcnt == 0)
		return 0;
	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = iov;
	msg.msg_iovlen = iovcnt;
	first = TAILQ_FIRST(&msgbuf->out);
	if (first->fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cmsg), &first->fd, sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return write_later(errno) ? 0 : -1;
	/* It left with the first byte, even if the rest must wait. */
	if (n > 0 && first->fd >= 0)
		ibuf_fd_set(first, -1);
	out_sent(msgbuf, (size_t)n);
	return 0;
}

/* receiving */

static struct held_fd *
held_find(struct msgbuf *msgbuf, uint64_t start)
{
	size_t i;

	for (i = 0; i < msgbuf->nheld; i++) {
		if (msgbuf->held[i].lo <= start && start < msgbuf->held[i].hi)
			return &msgbuf->held[i];
	}
	return NULL;
}

static int
in_begin(struct msgbuf *msgbuf, unsigned char *hdr, uint64_t start)
{
	struct ibuf view;
	struct held_fd *held;
	size_t after;
	int fd;

	held = held_find(msgbuf, start);
	fd = held == NULL ? -1 : held->fd;
	ibuf_from_buffer(&view, hdr, msgbuf->hdrsz);
	msgbuf->part = msgbuf->readhdr(&view, msgbuf->arg, &fd);
	if (held != NULL && fd == -1) {
		after = (size_t)(msgbuf->held + --msgbuf->nheld - held);
		memmove(held, held + 1, after * sizeof(*held));
	}
	if (msgbuf->part == NULL)
		return -1;
	if (ibuf_left(msgbuf->part) < msgbuf->hdrsz)
		return fail(EBADMSG);
	return 0;
}

/* n more bytes are in rbuf: cut them into messages. */
static int
in_cut(struct msgbuf *msgbuf, size_t n)
{
	size_t avail, pos = 0, take;
	uint64_t next;

	avail = msgbuf->rlen + n;
	for (;;) {
		if (msgbuf->part == NULL) {
			if (avail - pos < msgbuf->hdrsz)
				break;
			if (in_begin(msgbuf, rbuf + pos, msgbuf->roff + pos) == -1)
				return -1;
		}
		take = ibuf_left(msgbuf->part);
		if (take > avail - pos)
			take = avail - pos;
		if (ibuf_add(msgbuf->part, rbuf + pos, take) == -1)
			return -1;
		pos += take;
		if (ibuf_left(msgbuf->part) > 0)
			break;
		TAILQ_INSERT_TAIL(&msgbuf->in, msgbuf->part, entry);
		msgbuf->part = NULL;
	}
	msgbuf->rlen = avail - pos;
	memcpy(msgbuf->rest, rbuf + pos, msgbuf->rlen);
	msgbuf->roff += pos;

	next = msgbuf->roff;
	if (msgbuf->part != NULL)
		next += ibuf_left(msgbuf->part);
	held_close(msgbuf, next);
	return 0;
}

static int
in_split(struct msgbuf *msgbuf, size_t n)
{
	size_t used = msgbuf->rlen + n;
	int rv = in_cut(msgbuf, n), saved = errno;

	explicit_bzero(rbuf, used);
	errno = saved;
	return rv;
}

/* Keep what recvmsg brought; n is the number of bytes it came with. */
static int
in_descriptors(struct msgbuf *msgbuf, struct msghdr *msg, size_t n)
{
	struct cmsghdr *cmsg;
	struct held_fd *held;
	size_t i, nfds, seen = 0;
	uint64_t lo = msgbuf->roff + msgbuf->rlen;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nfds = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < nfds; i++, seen++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (msgbuf->nheld == FDS_HELD_MAX) {
				close(fd);
				continue;
			}
			if (MSG_CMSG_CLOEXEC == 0)
				(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
			held = &msgbuf->held[msgbuf->nheld++];
			held->fd = fd;
			held->lo = lo;
			held->hi = lo + n;
		}
	}
	/*
	 * With room to spare, what cut it short was this process's limit of
	 * open files; otherwise a peer that breaks the rule of one.
	 */
	if (msg->msg_flags & MSG_CTRUNC)
		return fail(seen < FDS_RECV_MAX ? EMFILE : EBADMSG);
	return 0;
}

/* The start of what is to be read into. */
static unsigned char *
in_room(struct msgbuf *msgbuf)
{
	memcpy(rbuf, msgbuf->rest, msgbuf->rlen);
	return rbuf + msgbuf->rlen;
}

static int
in_broken(struct msgbuf *msgbuf)
{
	msgbuf->error = errno != 0 ? errno : EBADMSG;
	held_close(msgbuf, UINT64_MAX);
	ibuf_free(msgbuf->part);
	msgbuf->part = NULL;
	return fail(msgbuf->error);
}

int
ibuf_read(int fd, struct msgbuf *msgbuf)
{
	ssize_t n;

	if (msgbuf->readhdr == NULL)
		return fail(EINVAL);
	if (msgbuf->error != 0)
		return fail(msgbuf->error);
	do {
		n = read(fd, in_room(msgbuf), IBUF_READ_SIZE - msgbuf->rlen);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
	if (n == 0)
		return 0;
	return in_split(msgbuf, (size_t)n) == -1 ? in_broken(msgbuf) : 1;
}

int
msgbuf_read(int fd, struct msgbuf *msgbuf)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int) * FDS_RECV_MAX)];
	} control;
	struct msghdr msg;
	struct iovec iov;
	ssize_t n;

	if (msgbuf->readhdr == NULL)
		return fail(EINVAL);
	if (msgbuf->error != 0)
		return fail(msgbuf->error);
	iov.iov_base = in_room(msgbuf);
	iov.iov_len = IBUF_READ_SIZE - msgbuf->rlen;
	memset(&control, 0, sizeof(control));
	do {
		memset(&msg, 0, sizeof(msg));
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = control.room;
		/*
		 * Not sizeof: padding for alignment would be room for one
		 * more than FDS_RECV_MAX where that is odd.
		 */
		msg.msg_controllen = CMSG_LEN(sizeof(int) * FDS_RECV_MAX);
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
	if (in_descriptors(msgbuf, &msg, (size_t)n) == -1)
		return in_broken(msgbuf);
	if (n == 0) {
		held_close(msgbuf, UINT64_MAX);
		return 0;
	}
	return in_split(msgbuf, (size_t)n) == -1 ? in_broken(msgbuf) : 1;
}

#endif /* !__OpenBSD__ */

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_COMPAT_IMSG_H
#define FIFE_COMPAT_IMSG_H

/*
 * The interface of OpenBSD's <imsg.h> (imsg_init(3), ibuf_add(3)): buffers,
 * and whole messages with at most one descriptor each, over a local stream
 * socket.  On OpenBSD it is the system's; elsewhere imsg.c,
 * imsg_msgbuf.c and imsg_buffer.c, written for fife.
 *
 * Unless said otherwise, functions return 0, or -1 with errno.  The errno of
 * what a peer can cause: EBADMSG (does not fit what was announced, or a
 * descriptor is missing) and ERANGE (a length that is not allowed).
 */

#include <sys/types.h>
#include <sys/queue.h>

#ifdef __OpenBSD__
#include_next <imsg.h>
#else

#include <stddef.h>
#include <stdint.h>

#define IBUF_READ_SIZE 65535
#define IMSG_HEADER_SIZE sizeof(struct imsg_hdr)
#define MAX_IMSGSIZE 16384 /* header and payload, by default */

/* Members are private: use the functions. */
struct ibuf {
	TAILQ_ENTRY(ibuf) entry;
	unsigned char *buf;
	size_t size; /* allocated */
	size_t max;  /* may grow to */
	size_t wpos;
	size_t rpos;
	int fd;
	int more; /* message goes on in the next ibuf */
};

struct msgbuf;

struct imsgbuf {
	struct msgbuf *w;
	pid_t pid;
	uint32_t maxsize;
	int fd;
	int flags;
};

struct imsg_hdr {
	uint32_t type;
	uint32_t len; /* with the header; top bit: has a descriptor */
	uint32_t peerid;
	uint32_t pid;
};

struct imsg {
	struct imsg_hdr hdr;
	void *data;
	struct ibuf *buf;
};

struct iovec;

/*
 * ibuf_open: fixed room of len.  ibuf_dynamic: len now, grows to max.  Both
 * give NULL on failure, also for len (max) 0, and are freed by ibuf_free or
 * handed over to ibuf_close or imsg_compose_ibuf.
 */
struct ibuf *ibuf_open(size_t len);
struct ibuf *ibuf_dynamic(size_t len, size_t max);
/* Zeroes the content; closes the descriptor.  NULL is fine. */
void ibuf_free(struct ibuf *buf);

/* Append.  The value is checked to fit: EINVAL; no room: ERANGE. */
int ibuf_add(struct ibuf *buf, const void *data, size_t len);
int ibuf_add_ibuf(struct ibuf *buf, const struct ibuf *from);
int ibuf_add_zero(struct ibuf *buf, size_t len);
int ibuf_add_n8(struct ibuf *buf, uint64_t value);
int ibuf_add_n16(struct ibuf *buf, uint64_t value);
int ibuf_add_n32(struct ibuf *buf, uint64_t value);
int ibuf_add_n64(struct ibuf *buf, uint64_t value);
int ibuf_add_h16(struct ibuf *buf, uint64_t value);
int ibuf_add_h32(struct ibuf *buf, uint64_t value);
int ibuf_add_h64(struct ibuf *buf, uint64_t value);
/* A field of len bytes, padded with NUL; at least one, else EOVERFLOW. */
int ibuf_add_strbuf(struct ibuf *buf, const char *str, size_t len);
/* Room for len bytes as part of buf; valid until the next append. */
void *ibuf_reserve(struct ibuf *buf, size_t len);

/* Positions are relative to what is unread; outside of it: ERANGE. */
void *ibuf_seek(struct ibuf *buf, size_t pos, size_t len);
int ibuf_set(struct ibuf *buf, size_t pos, const void *data, size_t len);
int ibuf_set_n8(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_n16(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_n32(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_n64(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_h16(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_h32(struct ibuf *buf, size_t pos, uint64_t value);
int ibuf_set_h64(struct ibuf *buf, size_t pos, uint64_t value);

void *ibuf_data(const struct ibuf *buf);  /* the unread part */
size_t ibuf_size(const struct ibuf *buf); /* bytes unread */
size_t ibuf_left(const struct ibuf *buf); /* bytes of room */
int ibuf_truncate(struct ibuf *buf, size_t len);
void ibuf_rewind(struct ibuf *buf);

/*
 * Views: buf is on the caller's stack, borrows the bytes, is read-only as to
 * length and must not be freed.
 */
void ibuf_from_buffer(struct ibuf *buf, void *data, size_t len);
void ibuf_from_ibuf(struct ibuf *buf, const struct ibuf *from);

/* Consume.  Less there than asked for: EBADMSG and nothing consumed. */
int ibuf_get(struct ibuf *buf, void *data, size_t len);
int ibuf_get_ibuf(struct ibuf *buf, size_t len, struct ibuf *view);
int ibuf_get_n8(struct ibuf *buf, uint8_t *value);
int ibuf_get_n16(struct ibuf *buf, uint16_t *value);
int ibuf_get_n32(struct ibuf *buf, uint32_t *value);
int ibuf_get_n64(struct ibuf *buf, uint64_t *value);
int ibuf_get_h16(struct ibuf *buf, uint16_t *value);
int ibuf_get_h32(struct ibuf *buf, uint32_t *value);
int ibuf_get_h64(struct ibuf *buf, uint64_t *value);
/* len bytes as a new string, which ends early at a NUL; caller frees. */
char *ibuf_get_string(struct ibuf *buf, size_t len);
/* A field of len bytes into str of len; without a NUL: EOVERFLOW. */
int ibuf_get_strbuf(struct ibuf *buf, char *str, size_t len);
int ibuf_skip(struct ibuf *buf, size_t len);

/* The buffer owns what is set, until taken by ibuf_fd_get (-1: none). */
int ibuf_fd_avail(struct ibuf *buf);
int ibuf_fd_get(struct ibuf *buf);
void ibuf_fd_set(struct ibuf *buf, int fd);

/*
 * A queue to send and, made by msgbuf_new_reader, a splitter of what comes
 * in: readhdr sees hdrsz bytes and answers with an ibuf that has room for
 * the whole message, header included, or NULL with errno; it may take *fd
 * by setting it to -1.  NULL on failure.
 */
struct msgbuf *msgbuf_new(void);
struct msgbuf *msgbuf_new_reader(
    size_t hdrsz, struct ibuf *(*readhdr)(struct ibuf *, void *, int *), void *arg);
void msgbuf_free(struct msgbuf *msgbuf);
void msgbuf_clear(struct msgbuf *msgbuf);
uint32_t msgbuf_queuelen(struct msgbuf *msgbuf);
void ibuf_close(struct msgbuf *msgbuf, struct ibuf *buf);
/*
 * One system call each (msgbuf_x with descriptors, ibuf_x without).  Write:
 * 0, also when the system takes nothing now.  Read: 1, also when nothing is
 * there; 0 at the end.
 */
int ibuf_write(int fd, struct msgbuf *msgbuf);
int msgbuf_write(int fd, struct msgbuf *msgbuf);
int ibuf_read(int fd, struct msgbuf *msgbuf);
int msgbuf_read(int fd, struct msgbuf *msgbuf);
struct ibuf *msgbuf_get(struct msgbuf *msgbuf); /* NULL: none */

/* fd stays the caller's; imsgbuf_clear frees all else and may be repeated. */
int imsgbuf_init(struct imsgbuf *imsgbuf, int fd);
void imsgbuf_clear(struct imsgbuf *imsgbuf);
void imsgbuf_allow_fdpass(struct imsgbuf *imsgbuf);
/* max: of the payload. */
int imsgbuf_set_maxsize(struct imsgbuf *imsgbuf, uint32_t max);

/*
 * 1 (also EAGAIN), 0 at the end of the stream, -1.  An error stays: what was
 * whole before it can still be had by imsgbuf_get, nothing more comes.
 */
int imsgbuf_read(struct imsgbuf *imsgbuf);
/* 0 (also EAGAIN) or -1: one sendmsg; see imsgbuf_queuelen for the rest. */
int imsgbuf_write(struct imsgbuf *imsgbuf);
/* Until nothing is queued; blocks. */
int imsgbuf_flush(struct imsgbuf *imsgbuf);
uint32_t imsgbuf_queuelen(struct imsgbuf *imsgbuf);

/* 1 (imsg_get: the length with header), 0 none, -1.  imsg_free after. */
int imsgbuf_get(struct imsgbuf *imsgbuf, struct imsg *imsg);
ssize_t imsg_get(struct imsgbuf *imsgbuf, struct imsg *imsg);
/* Closes a descriptor that was not taken. */
void imsg_free(struct imsg *imsg);

/* The payload as a view; EBADMSG when there is none. */
int imsg_get_ibuf(struct imsg *imsg, struct ibuf *ibuf);
/* The payload, of exactly len bytes. */
int imsg_get_data(struct imsg *imsg, void *data, size_t len);
/* The next len bytes of it. */
int imsg_get_buf(struct imsg *imsg, void *data, size_t len);
int imsg_get_strbuf(struct imsg *imsg, char *str, size_t len);
/* The caller's from now on; -1 when there is none or it was taken. */
int imsg_get_fd(struct imsg *imsg);
uint32_t imsg_get_id(struct imsg *imsg);
size_t imsg_get_len(struct imsg *imsg); /* of the payload */
pid_t imsg_get_pid(struct imsg *imsg);
uint32_t imsg_get_type(struct imsg *imsg);

/*
 * Queue a message; pid 0 is this process.  1, or -1 with errno: ERANGE (too
 * long), EINVAL (fd without imsgbuf_allow_fdpass), ENOMEM.  On success takes
 * fd (-1: none) and closes it once sent; on failure fd stays the caller's.
 */
int imsg_compose(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, int fd,
    const void *data, size_t len);
int imsg_composev(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, int fd,
    const struct iovec *iov, int iovcnt);
/* Takes buf and its descriptor, whatever the result; NULL buf is fine. */
int imsg_compose_ibuf(
    struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, struct ibuf *buf);
/* The same payload onward, without the descriptor; 1 or -1. */
int imsg_forward(struct imsgbuf *imsgbuf, struct imsg *imsg);

/* In steps.  imsg_add: len, or -1 and msg is freed.  imsg_close takes msg. */
struct ibuf *imsg_create(
    struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid, size_t len);
int imsg_add(struct ibuf *msg, const void *data, size_t len);
int imsg_set_maxsize(struct ibuf *msg, size_t max);
void imsg_close(struct imsgbuf *imsgbuf, struct ibuf *msg);

#endif /* !__OpenBSD__ */
#endif

/*
 * Bytes and descriptors of a hostile peer into imsgbuf_read; what comes out
 * goes through every accessor and back by imsg_forward.
 *
 * Input: one byte of options, then chunks: one byte of length (0 is 256) with
 * a byte saying how many descriptors go with it (only its low 4 bits), and
 * that many bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <fcntl.h>
#include <stdint.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"

#define FDS_MAX 15

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
send_chunk(int sock, const uint8_t *data, size_t len, size_t nfds)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	int fds[FDS_MAX];
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg;
	struct cmsghdr *cmsg;
	size_t i;

	memset(&msg, 0, sizeof(msg));
	memset(&control, 0, sizeof(control));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (nfds > 0) {
		for (i = 0; i < nfds; i++)
			fds[i] = sock;
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static void
use(struct imsgbuf *ib, struct imsg *m, unsigned int how)
{
	struct ibuf view;
	char text[16], *s;
	uint16_t len;
	uint32_t v;
	int fd;

	if (imsg_get_len(m) + IMSG_HEADER_SIZE != m->hdr.len)
		abort();
	if (how & 4)
		(void)imsg_get_data(m, &v, sizeof(v));
	if (how & 8)
		(void)imsg_get_strbuf(m, text, sizeof(text));
	if (imsg_get_ibuf(m, &view) == 0) {
		while (ibuf_get_n16(&view, &len) == 0) {
			s = ibuf_get_string(&view, len & 0xff);
			free(s);
		}
	}
	if ((how & 16) && (fd = imsg_get_fd(m)) != -1)
		close(fd);
	if (imsg_forward(ib, m) != 1)
		abort();
	imsg_free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imsgbuf ib;
	struct imsg m;
	size_t len, nfds;
	unsigned int how;
	int sv[2], before, after, r = 1;

	if (size < 1)
		return 0;
	how = *data++;
	size--;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		return 0;
	before = fcntl(sv[0], F_DUPFD, 0);
	close(before);
	if (imsgbuf_init(&ib, sv[1]) == -1)
		abort();
	if (how & 1)
		imsgbuf_allow_fdpass(&ib);
	if (how & 2)
		(void)imsgbuf_set_maxsize(&ib, 100000);
	while (r == 1 && size >= 2) {
		len = data[0] == 0 ? 256 : data[0];
		nfds = data[1] & 0x0f;
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (len == 0 || send_chunk(sv[0], data, len, nfds) == -1)
			break;
		data += len;
		size -= len;
		if (how & 32)
			continue;
		r = imsgbuf_read(&ib);
		while (imsgbuf_get(&ib, &m) == 1)
			use(&ib, &m, how);
	}
	shutdown(sv[0], SHUT_WR);
	while (r == 1) {
		r = imsgbuf_read(&ib);
		while (imsgbuf_get(&ib, &m) == 1)
			use(&ib, &m, how);
	}
	if (r == -1 && imsgbuf_read(&ib) != -1)
		abort();
	(void)imsgbuf_write(&ib);
	imsgbuf_clear(&ib);
	/* Every descriptor that came was closed. */
	after = fcntl(sv[0], F_DUPFD, 0);
	close(after);
	if (after != before)
		abort();
	close(sv[0]);
	close(sv[1]);
	return 0;
}

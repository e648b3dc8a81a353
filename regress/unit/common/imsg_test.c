/*
 * common/compat/imsg: buffers, messages over a socket however cut, and the
 * fate of every descriptor.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"

#define FD_MARK 0x80000000U

struct pair {
	int sv[2];
	struct imsgbuf a;
	struct imsgbuf b;
	int lowest; /* descriptor free before the test */
};

static int
lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->lowest = lowest_free();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->sv), 0);
	assert_int_equal(imsgbuf_init(&p->a, p->sv[0]), 0);
	assert_int_equal(imsgbuf_init(&p->b, p->sv[1]), 0);
	imsgbuf_allow_fdpass(&p->a);
	imsgbuf_allow_fdpass(&p->b);
	*state = p;
	return 0;
}

/* Each test ends with: no descriptor was lost. */
static int
teardown(void **state)
{
	struct pair *p = *state;

	imsgbuf_clear(&p->a);
	imsgbuf_clear(&p->b);
	imsgbuf_clear(&p->b);
	close(p->sv[0]);
	close(p->sv[1]);
	assert_int_equal(lowest_free(), p->lowest);
	free(p);
	return 0;
}

/* A descriptor that can be told from others, and its identity. */
static int
marked_fd(ino_t *ino)
{
	struct stat st;
	int fd = compat_memfd_create("imsg_test");

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*ino = st.st_ino;
	return fd;
}

static void
assert_fd_is(int fd, ino_t ino)
{
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, ino);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void
raw_send(int sock, const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int) * 32)];
	} control;
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg;
	struct cmsghdr *cmsg;

	memset(&msg, 0, sizeof(msg));
	memset(&control, 0, sizeof(control));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (nfds > 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(sock, &msg, 0), len);
}

static size_t
raw_message(unsigned char *out, uint32_t type, uint32_t mark, const char *text)
{
	struct imsg_hdr hdr;
	size_t len = strlen(text);

	memset(&hdr, 0, sizeof(hdr));
	hdr.type = type;
	hdr.len = (uint32_t)(sizeof(hdr) + len) | mark;
	hdr.peerid = type + 1;
	hdr.pid = type + 2;
	memcpy(out, &hdr, sizeof(hdr));
	memcpy(out + sizeof(hdr), text, len);
	return sizeof(hdr) + len;
}

static void
assert_message(struct imsgbuf *ib, uint32_t type, const char *text)
{
	struct imsg m;
	struct ibuf view;
	char *s;

	assert_int_equal(imsgbuf_get(ib, &m), 1);
	assert_int_equal(imsg_get_type(&m), type);
	assert_int_equal(imsg_get_len(&m), strlen(text));
	if (*text != '\0') {
		assert_int_equal(imsg_get_ibuf(&m, &view), 0);
		s = ibuf_get_string(&view, ibuf_size(&view));
		assert_string_equal(s, text);
		free(s);
	} else
		assert_int_equal(imsg_get_ibuf(&m, &view), -1);
	imsg_free(&m);
}

static void
test_ibuf_numbers(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 4096), view, peek;
	uint8_t n8;
	uint16_t n16, h16;
	uint32_t n32, h32;
	uint64_t n64, h64;

	(void)state;
	assert_non_null(b);
	assert_int_equal(ibuf_add_n8(b, 0xfe), 0);
	assert_int_equal(ibuf_add_n16(b, 0x0102), 0);
	assert_int_equal(ibuf_add_n32(b, 0x01020304), 0);
	assert_int_equal(ibuf_add_n64(b, 0x0102030405060708ULL), 0);
	assert_int_equal(ibuf_add_h16(b, 0xabcd), 0);
	assert_int_equal(ibuf_add_h32(b, 0xabcdef01), 0);
	assert_int_equal(ibuf_add_h64(b, 0xfedcba9876543210ULL), 0);
	assert_int_equal(ibuf_add_n8(b, 0x100), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibuf_add_n16(b, 0x10000), -1);
	assert_int_equal(ibuf_add_n32(b, 0x100000000ULL), -1);
	assert_int_equal(ibuf_add_h16(b, 0x10000), -1);
	assert_int_equal(ibuf_add_h32(b, 0x100000000ULL), -1);
	assert_int_equal(ibuf_size(b), 29);
	assert_memory_equal(ibuf_data(b), "\xfe\x01\x02\x01\x02\x03\x04", 7);

	assert_int_equal(ibuf_set_n16(b, 1, 0x0a0b), 0);
	assert_int_equal(ibuf_set_n64(b, 28, 1), -1);
	assert_int_equal(errno, ERANGE);

	ibuf_from_ibuf(&peek, b);
	assert_int_equal(ibuf_get_n8(&peek, &n8), 0);
	assert_int_equal(n8, 0xfe);
	assert_int_equal(ibuf_get_n16(&peek, &n16), 0);
	assert_int_equal(n16, 0x0a0b);
	assert_int_equal(ibuf_get_n32(&peek, &n32), 0);
	assert_int_equal(n32, 0x01020304);
	assert_int_equal(ibuf_get_n64(&peek, &n64), 0);
	assert_true(n64 == 0x0102030405060708ULL);
	assert_int_equal(ibuf_get_ibuf(&peek, 14, &view), 0);
	assert_int_equal(ibuf_size(&peek), 0);
	assert_int_equal(ibuf_get_h16(&view, &h16), 0);
	assert_int_equal(h16, 0xabcd);
	assert_int_equal(ibuf_get_h32(&view, &h32), 0);
	assert_true(h32 == 0xabcdef01);
	assert_int_equal(ibuf_get_h64(&view, &h64), 0);
	assert_true(h64 == 0xfedcba9876543210ULL);
	assert_int_equal(ibuf_get_n8(&view, &n8), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(ibuf_add_n8(&view, 1), -1);
	assert_int_equal(ibuf_size(b), 29);
	assert_int_equal(ibuf_left(&view), 0);
	ibuf_free(b);
	ibuf_free(NULL);
}

static void
test_ibuf_room(void **state)
{
	struct ibuf *b, *c;
	char text[8], *s;
	size_t i;

	(void)state;
	assert_null(ibuf_open(0));
	assert_null(ibuf_dynamic(10, 9));
	b = ibuf_open(10);
	assert_int_equal(ibuf_add(b, "12345", 5), 0);
	assert_int_equal(ibuf_left(b), 5);
	assert_int_equal(ibuf_add(b, "123456", 6), -1);
	assert_int_equal(errno, ERANGE);
	assert_null(ibuf_reserve(b, SIZE_MAX));
	assert_null(ibuf_seek(b, 6, 0));
	assert_null(ibuf_seek(b, 1, SIZE_MAX));
	assert_non_null(ibuf_seek(b, 5, 0));
	assert_int_equal(ibuf_add_zero(b, 5), 0);
	assert_int_equal(ibuf_add_zero(b, 1), -1);
	assert_int_equal(ibuf_truncate(b, 11), -1);
	assert_int_equal(ibuf_truncate(b, 3), 0);
	assert_int_equal(ibuf_truncate(b, 4), 0);
	assert_memory_equal(ibuf_data(b), "123", 4);
	assert_int_equal(ibuf_skip(b, 5), -1);
	assert_int_equal(ibuf_skip(b, 2), 0);
	assert_int_equal(ibuf_size(b), 2);
	ibuf_rewind(b);
	assert_int_equal(ibuf_size(b), 4);

	c = ibuf_dynamic(1, 100000);
	for (i = 0; i < 20000; i++)
		assert_int_equal(ibuf_add(c, "abcde", 5), 0);
	assert_int_equal(ibuf_add_n8(c, 0), -1);
	assert_int_equal(ibuf_truncate(c, 8), 0);
	assert_int_equal(ibuf_add_ibuf(c, b), 0);
	assert_int_equal(ibuf_add_strbuf(c, "seven77", 8), 0);
	assert_int_equal(ibuf_add_strbuf(c, "eight888", 8), -1);
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(ibuf_add_strbuf(c, "", 0), -1);
	assert_int_equal(ibuf_get_strbuf(c, text, 8), -1);
	assert_int_equal(errno, EOVERFLOW);
	assert_string_equal(text, "abcdeab");
	s = ibuf_get_string(c, 4);
	assert_string_equal(s, "123");
	free(s);
	assert_null(ibuf_get_string(c, 9));
	assert_int_equal(ibuf_get_strbuf(c, text, 8), 0);
	assert_string_equal(text, "seven77");
	s = ibuf_get_string(c, 0);
	assert_string_equal(s, "");
	free(s);
	ibuf_free(b);
	ibuf_free(c);
}

static void
test_round_trip(void **state)
{
	struct pair *p = *state;
	char ab[] = "ab", cde[] = "cde";
	struct iovec iov[2] = { { ab, 2 }, { cde, 3 } };
	struct ibuf *b;
	struct imsg m;
	uint32_t v = 4711, got;

	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	assert_int_equal(imsg_compose(&p->a, 1, 77, 0, -1, &v, sizeof(v)), 1);
	assert_int_equal(imsg_composev(&p->a, 2, 0, 99, -1, iov, 2), 1);
	b = ibuf_dynamic(0, 100);
	assert_int_equal(ibuf_add(b, "ibuf", 4), 0);
	assert_int_equal(imsg_compose_ibuf(&p->a, 3, 0, 0, b), 1);
	assert_int_equal(imsg_compose_ibuf(&p->a, 4, 0, 0, ibuf_dynamic(0, 100)), 1);
	assert_int_equal(imsg_compose_ibuf(&p->a, 5, 0, 0, NULL), 1);
	b = imsg_create(&p->a, 6, 0, 0, 3);
	assert_int_equal(imsg_add(b, "six", 3), 3);
	imsg_close(&p->a, b);
	assert_int_equal(imsgbuf_queuelen(&p->a), 6);
	assert_int_equal(imsgbuf_flush(&p->a), 0);
	assert_int_equal(imsgbuf_queuelen(&p->a), 0);

	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsg_get(&p->b, &m), IMSG_HEADER_SIZE + 4);
	assert_int_equal(imsg_get_type(&m), 1);
	assert_int_equal(imsg_get_id(&m), 77);
	assert_int_equal(imsg_get_pid(&m), getpid());
	assert_int_equal(imsg_get_fd(&m), -1);
	assert_int_equal(imsg_get_data(&m, &got, 3), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(imsg_get_data(&m, &got, 0), -1);
	assert_int_equal(imsg_get_data(&m, &got, sizeof(got)), 0);
	assert_int_equal(got, v);
	/* Forwarded whole, although it was read. */
	assert_int_equal(imsg_forward(&p->b, &m), 1);
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	assert_int_equal(imsg_get_pid(&m), 99);
	assert_int_equal(imsg_forward(&p->b, &m), 1);
	imsg_free(&m);
	assert_message(&p->b, 3, "ibuf");
	assert_message(&p->b, 4, "");
	assert_message(&p->b, 5, "");
	assert_message(&p->b, 6, "six");
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);

	assert_int_equal(imsgbuf_write(&p->b), 0);
	assert_int_equal(imsgbuf_read(&p->a), 1);
	assert_int_equal(imsgbuf_get(&p->a, &m), 1);
	assert_int_equal(imsg_get_data(&m, &got, sizeof(got)), 0);
	assert_int_equal(got, v);
	imsg_free(&m);
	assert_message(&p->a, 2, "abcde");

	shutdown(p->sv[0], SHUT_WR);
	assert_int_equal(imsgbuf_read(&p->b), 0);
}

/* Three messages, cut in two at each byte, and byte by byte; fd in the 2nd. */
static void
test_split(void **state)
{
	struct pair *p = *state;
	unsigned char raw[256];
	struct imsg m;
	size_t len, cut, i, second;
	ino_t ino;
	int fd;

	fd = marked_fd(&ino);
	len = raw_message(raw, 10, 0, "first");
	second = len;
	len += raw_message(raw + len, 11, FD_MARK, "second");
	len += raw_message(raw + len, 12, 0, "");

	for (cut = 0; cut <= len; cut++) {
		int byte_by_byte = cut == len;
		size_t at = 0, end;

		while (at < len) {
			end = byte_by_byte ? at + 1 : at < cut ? cut : len;
			if (at < second && end > second)
				end = second;
			raw_send(p->sv[0], raw + at, end - at, &fd, at == second);
			/* Where the halves meet in one read is its own case. */
			if (byte_by_byte || end >= cut)
				assert_int_equal(imsgbuf_read(&p->b), 1);
			at = end;
		}
		for (i = 0; i < 3; i++)
			assert_int_equal(imsgbuf_read(&p->b), 1);
		assert_message(&p->b, 10, "first");
		assert_int_equal(imsgbuf_get(&p->b, &m), 1);
		assert_int_equal(imsg_get_type(&m), 11);
		i = (size_t)imsg_get_fd(&m);
		assert_fd_is((int)i, ino);
		assert_int_equal(imsg_get_fd(&m), -1);
		close((int)i);
		imsg_free(&m);
		assert_message(&p->b, 12, "");
		assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	}
	close(fd);
}

static void
test_many_with_fds(void **state)
{
	struct pair *p = *state;
	ino_t ino[50];
	struct imsg m;
	int i, r, n = 0, fd;

	for (i = 0; i < 50; i++) {
		fd = marked_fd(&ino[i]);
		assert_int_equal(imsg_compose(&p->a, 2 * i, 0, 0, fd, "x", 1), 1);
		assert_int_equal(imsg_compose(&p->a, 2 * i + 1, 0, 0, -1, "yy", 2), 1);
	}
	assert_int_equal(imsgbuf_queuelen(&p->a), 100);
	while (imsgbuf_queuelen(&p->a) > 0)
		assert_int_equal(imsgbuf_write(&p->a), 0);
	while (n < 100) {
		assert_int_equal(imsgbuf_read(&p->b), 1);
		while ((r = imsgbuf_get(&p->b, &m)) == 1) {
			assert_int_equal(imsg_get_type(&m), n);
			fd = imsg_get_fd(&m);
			if (n % 2 == 0) {
				assert_fd_is(fd, ino[n / 2]);
				close(fd);
			} else
				assert_int_equal(fd, -1);
			imsg_free(&m);
			n++;
		}
		assert_int_equal(r, 0);
	}
}

/* More than the socket and one call take, with partial writes. */
static void
test_many_large(void **state)
{
	struct pair *p = *state;
	static unsigned char body[40000];
	struct imsg m;
	struct ibuf view;
	ino_t ino;
	uint32_t n = 0, i;
	size_t len;
	int fd;

	assert_int_equal(imsgbuf_set_maxsize(&p->a, sizeof(body)), 0);
	assert_int_equal(imsgbuf_set_maxsize(&p->b, sizeof(body)), 0);
	for (i = 0; i < 3000; i++) {
		len = i % 100 == 0 ? sizeof(body) : i % 97;
		memset(body, (int)i & 0xff, sizeof(body));
		fd = i % 500 == 0 ? marked_fd(&ino) : -1;
		assert_int_equal(imsg_compose(&p->a, i, 0, 0, fd, body, len), 1);
	}
	while (n < 3000) {
		assert_int_equal(imsgbuf_write(&p->a), 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
		while (imsgbuf_get(&p->b, &m) == 1) {
			assert_int_equal(imsg_get_type(&m), n);
			len = n % 100 == 0 ? sizeof(body) : n % 97;
			assert_int_equal(imsg_get_len(&m), len);
			memset(body, (int)n & 0xff, sizeof(body));
			if (len > 0) {
				assert_int_equal(imsg_get_ibuf(&m, &view), 0);
				assert_memory_equal(ibuf_data(&view), body, len);
			}
			assert_int_equal(ibuf_fd_avail(m.buf), n % 500 == 0);
			imsg_free(&m);
			n++;
		}
	}
	assert_int_equal(imsgbuf_queuelen(&p->a), 0);
}

static void
test_sizes(void **state)
{
	struct pair *p = *state;
	static char body[MAX_IMSGSIZE];
	struct ibuf *b;
	struct imsg m;
	size_t most = MAX_IMSGSIZE - IMSG_HEADER_SIZE;

	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, body, most + 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_null(imsg_create(&p->a, 1, 0, 0, SIZE_MAX));
	b = ibuf_open(most + 1);
	assert_int_equal(ibuf_add_zero(b, most + 1), 0);
	assert_int_equal(imsg_compose_ibuf(&p->a, 1, 0, 0, b), -1);
	assert_int_equal(errno, ERANGE);
	b = imsg_create(&p->a, 1, 0, 0, 0);
	assert_int_equal(imsg_set_maxsize(b, 10), 0);
	assert_int_equal(imsg_add(b, body, 11), -1);
	assert_int_equal(imsgbuf_set_maxsize(&p->a, UINT32_MAX), -1);
	assert_int_equal(imsgbuf_set_maxsize(&p->a, 0x7fffffff), -1);
	assert_int_equal(imsgbuf_queuelen(&p->a), 0);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, body, most), 1);
	assert_int_equal(imsgbuf_flush(&p->a), 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	assert_int_equal(imsg_get_len(&m), most);
	imsg_free(&m);
}

static void
test_bad_length(void **state)
{
	static const uint32_t bad[] = {
		0,
		1,
		15,
		MAX_IMSGSIZE + 1,
		0x7fffffff,
		FD_MARK,
		FD_MARK | 15,
		UINT32_MAX,
	};
	struct pair *p = *state;
	unsigned char raw[64];
	struct imsg_hdr hdr;
	struct imsg m;
	size_t i, len;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		len = raw_message(raw, 5, 0, "good");
		memset(&hdr, 0, sizeof(hdr));
		hdr.len = bad[i];
		memcpy(raw + len, &hdr, sizeof(hdr));
		raw_send(p->sv[0], raw, len + sizeof(hdr), NULL, 0);
		assert_int_equal(imsgbuf_read(&p->b), -1);
		assert_int_equal(errno, ERANGE);
		/* What came before counts; then it stays broken. */
		assert_message(&p->b, 5, "good");
		assert_int_equal(imsgbuf_get(&p->b, &m), 0);
		assert_int_equal(imsgbuf_read(&p->b), -1);
		assert_int_equal(errno, ERANGE);
		imsgbuf_clear(&p->b);
		assert_int_equal(imsgbuf_init(&p->b, p->sv[1]), 0);
		imsgbuf_allow_fdpass(&p->b);
	}
}

static void
test_fd_missing(void **state)
{
	struct pair *p = *state;
	unsigned char raw[64];
	size_t len;
	ino_t ino;
	int fd = marked_fd(&ino);

	/* One that came with the message before does not count. */
	len = raw_message(raw, 1, 0, "unmarked");
	raw_send(p->sv[0], raw, len, &fd, 1);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_message(&p->b, 1, "unmarked");
	len = raw_message(raw, 2, FD_MARK, "marked");
	raw_send(p->sv[0], raw, len, NULL, 0);
	assert_int_equal(imsgbuf_read(&p->b), -1);
	assert_int_equal(errno, EBADMSG);
	close(fd);
}

static void
test_fd_surplus(void **state)
{
	struct pair *p = *state;
	unsigned char raw[64];
	size_t len;
	struct imsg m;
	ino_t ino, other;
	int fds[2], got, i;

	fds[0] = marked_fd(&ino);
	fds[1] = marked_fd(&other);
	len = raw_message(raw, 1, FD_MARK, "two came");
	raw_send(p->sv[0], raw, len, fds, 2);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	got = imsg_get_fd(&m);
	assert_fd_is(got, ino);
	close(got);
	imsg_free(&m);

	/* Attached in the middle of a message: nobody's, closed at once. */
	len = raw_message(raw, 2, 0, "abcdefgh");
	raw_send(p->sv[0], raw, 18, NULL, 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	got = lowest_free();
	for (i = 18; i < (int)len - 1; i++) {
		raw_send(p->sv[0], raw + i, 1, fds, 2);
		assert_int_equal(imsgbuf_read(&p->b), 1);
		assert_int_equal(lowest_free(), got);
	}
	raw_send(p->sv[0], raw + len - 1, 1, NULL, 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_message(&p->b, 2, "abcdefgh");

	/* A few with each byte of a header: a bounded number is kept. */
	len = raw_message(raw, 3, FD_MARK, "");
	for (i = 0; i < (int)len; i++) {
		raw_send(p->sv[0], raw + i, 1, fds, 2);
		assert_int_equal(imsgbuf_read(&p->b), 1);
	}
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	assert_true(ibuf_fd_avail(m.buf));
	imsg_free(&m);
	assert_int_equal(lowest_free(), got);
	close(fds[0]);
	close(fds[1]);
}

static void
test_fd_flood(void **state)
{
	struct pair *p = *state;
	unsigned char raw[64];
	int fds[32], i;
	size_t len;
	ino_t ino;

	fds[0] = marked_fd(&ino);
	for (i = 1; i < 32; i++)
		fds[i] = fds[0];
	len = raw_message(raw, 1, FD_MARK, "flood");
	raw_send(p->sv[0], raw, len, fds, 32);
	assert_int_equal(imsgbuf_read(&p->b), -1);
	assert_int_equal(errno, EBADMSG);
	close(fds[0]);
}

static void
test_fd_unclaimed(void **state)
{
	struct pair *p = *state;
	struct imsg m;
	struct ibuf *b;
	ino_t ino;
	int i;

	/* One freed with the message, one never asked for, one not sent. */
	for (i = 0; i < 2; i++)
		assert_int_equal(
		    imsg_compose(&p->a, 1, 0, 0, marked_fd(&ino), "u", 1), 1);
	b = ibuf_dynamic(0, 10);
	ibuf_fd_set(b, marked_fd(&ino));
	assert_true(ibuf_fd_avail(b));
	assert_int_equal(imsg_compose_ibuf(&p->a, 2, 0, 0, b), 1);
	assert_int_equal(imsgbuf_flush(&p->a), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	imsg_free(&m);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, marked_fd(&ino), "u", 1), 1);
}

static void
test_fd_not_allowed(void **state)
{
	struct pair *p = *state;
	unsigned char raw[64];
	struct imsgbuf plain;
	struct ibuf *b;
	size_t len;
	ino_t ino;
	int fd = marked_fd(&ino);

	assert_int_equal(imsgbuf_init(&plain, p->sv[1]), 0);
	assert_int_equal(imsg_compose(&plain, 1, 0, 0, fd, "x", 1), -1);
	assert_int_equal(errno, EINVAL);
	b = ibuf_dynamic(0, 10);
	ibuf_fd_set(b, dup(fd));
	assert_int_equal(imsg_compose_ibuf(&plain, 1, 0, 0, b), -1);
	len = raw_message(raw, 3, 0, "plain");
	raw_send(p->sv[0], raw, len, &fd, 1);
	assert_int_equal(imsgbuf_read(&plain), 1);
	assert_message(&plain, 3, "plain");
	len = raw_message(raw, 3, FD_MARK, "plain");
	raw_send(p->sv[0], raw, len, &fd, 1);
	assert_int_equal(imsgbuf_read(&plain), -1);
	assert_int_equal(errno, EBADMSG);
	imsgbuf_clear(&plain);
	close(fd);
}

static void
test_peer_gone(void **state)
{
	struct pair *p = *state;
	unsigned char raw[64];
	struct imsg m;
	size_t len;

	/* Truncated message, then the end: nothing to get. */
	len = raw_message(raw, 1, 0, "truncated");
	raw_send(p->sv[0], raw, len - 1, NULL, 0);
	shutdown(p->sv[0], SHUT_RDWR);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_read(&p->b), 0);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	/* No SIGPIPE. */
	assert_int_equal(imsg_compose(&p->b, 1, 0, 0, -1, "x", 1), 1);
	assert_int_equal(imsgbuf_write(&p->b), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(imsgbuf_flush(&p->b), -1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ibuf_numbers),
		cmocka_unit_test(test_ibuf_room),
		T(test_round_trip),
		T(test_split),
		T(test_many_with_fds),
		T(test_many_large),
		T(test_sizes),
		T(test_bad_length),
		T(test_fd_missing),
		T(test_fd_surplus),
		T(test_fd_flood),
		T(test_fd_unclaimed),
		T(test_fd_not_allowed),
		T(test_peer_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * ibuf: a byte buffer with a write and a read position.  See imsg.h for the
 * interface.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef __OpenBSD__

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"

#define FD_NONE (-1)
#define FD_VIEW (-2) /* not allocated by us: no free, no growth */

static int
fail(int error)
{
	errno = error;
	return -1;
}

static struct ibuf *
buf_new(size_t len, size_t max)
{
	struct ibuf *buf;

	buf = calloc(1, sizeof(*buf));
	if (buf == NULL)
		return NULL;
	if (len > 0 && (buf->buf = calloc(len, 1)) == NULL) {
		free(buf);
		return NULL;
	}
	buf->size = len;
	buf->max = max;
	buf->fd = FD_NONE;
	return buf;
}

struct ibuf *
ibuf_open(size_t len)
{
	return ibuf_dynamic(len, len);
}

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	if (max == 0 || max < len) {
		errno = EINVAL;
		return NULL;
	}
	return buf_new(len, max);
}

void
ibuf_free(struct ibuf *buf)
{
	int save = errno;

	if (buf == NULL)
		return;
	if (buf->fd == FD_VIEW)
		abort(); /* an error of the program, not of a peer */
	if (buf->fd >= 0)
		close(buf->fd);
	freezero(buf->buf, buf->size);
	free(buf);
	errno = save;
}

static int
buf_grow(struct ibuf *buf, size_t need)
{
	unsigned char *p;
	size_t size;

	size = buf->size < 64 ? 64 : buf->size;
	while (size < need)
		size = size > SIZE_MAX / 2 ? SIZE_MAX : size * 2;
	if (size > buf->max)
		size = buf->max;
	/* recallocarray: no copy of old content stays behind. */
	p = recallocarray(buf->buf, buf->size, size, 1);
	if (p == NULL)
		return -1;
	buf->buf = p;
	buf->size = size;
	return 0;
}

void *
ibuf_reserve(struct ibuf *buf, size_t len)
{
	void *p;

	if (buf->fd == FD_VIEW) {
		errno = EINVAL;
		return NULL;
	}
	if (len > buf->max - buf->wpos) {
		errno = ERANGE;
		return NULL;
	}
	if (buf->wpos + len > buf->size || buf->buf == NULL) {
		if (buf_grow(buf, buf->wpos + len) == -1)
			return NULL;
	}
	p = buf->buf + buf->wpos;
	buf->wpos += len;
	return p;
}

int
ibuf_add(struct ibuf *buf, const void *data, size_t len)
{
	void *p;

	if (len == 0)
		return 0;
	p = ibuf_reserve(buf, len);
	if (p == NULL)
		return -1;
	memcpy(p, data, len);
	return 0;
}

int
ibuf_add_ibuf(struct ibuf *buf, const struct ibuf *from)
{
	return ibuf_add(buf, ibuf_data(from), ibuf_size(from));
}

int
ibuf_add_zero(struct ibuf *buf, size_t len)
{
	void *p;

	if (len == 0)
		return 0;
	p = ibuf_reserve(buf, len);
	if (p == NULL)
		return -1;
	memset(p, 0, len);
	return 0;
}

int
ibuf_add_strbuf(struct ibuf *buf, const char *str, size_t len)
{
	size_t n = strlen(str);
	char *p;

	if (n >= len)
		return fail(EOVERFLOW);
	p = ibuf_reserve(buf, len);
	if (p == NULL)
		return -1;
	memcpy(p, str, n);
	memset(p + n, 0, len - n);
	return 0;
}

static int
put_net(unsigned char *p, uint64_t value, size_t width)
{
	size_t i;

	if (width < 8 && value >> (8 * width) != 0)
		return fail(EINVAL);
	for (i = width; i-- > 0; value >>= 8)
		p[i] = value & 0xff;
	return 0;
}

static int
put_host(unsigned char *p, uint64_t value, size_t width)
{
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;

	if (width < 8 && value >> (8 * width) != 0)
		return fail(EINVAL);
	if (width == 2)
		memcpy(p, &v16, sizeof(v16));
	else if (width == 4)
		memcpy(p, &v32, sizeof(v32));
	else
		memcpy(p, &value, sizeof(value));
	return 0;
}

static int
get_net(struct ibuf *buf, uint64_t *value, size_t width)
{
	unsigned char p[8];
	size_t i;

	if (ibuf_get(buf, p, width) == -1)
		return -1;
	*value = 0;
	for (i = 0; i < width; i++)
		*value = *value << 8 | p[i];
	return 0;
}

#define ADD_AND_SET(name, put, width)                                     \
	int ibuf_add_##name(struct ibuf *buf, uint64_t value)             \
	{                                                                 \
		unsigned char p[width];                                   \
                                                                          \
		if (put(p, value, width) == -1)                           \
			return -1;                                        \
		return ibuf_add(buf, p, width);                           \
	}                                                                 \
                                                                          \
	int ibuf_set_##name(struct ibuf *buf, size_t pos, uint64_t value) \
	{                                                                 \
		unsigned char p[width];                                   \
                                                                          \
		if (put(p, value, width) == -1)                           \
			return -1;                                        \
		return ibuf_set(buf, pos, p, width);                      \
	}

ADD_AND_SET(n8, put_net, 1)
ADD_AND_SET(n16, put_net, 2)
ADD_AND_SET(n32, put_net, 4)
ADD_AND_SET(n64, put_net, 8)
ADD_AND_SET(h16, put_host, 2)
ADD_AND_SET(h32, put_host, 4)
ADD_AND_SET(h64, put_host, 8)

#define GET_NET(name, type)                                 \
	int ibuf_get_##name(struct ibuf *buf, type *value)  \
	{                                                   \
		uint64_t v;                                 \
                                                            \
		if (get_net(buf, &v, sizeof(*value)) == -1) \
			return -1;                          \
		*value = (type)v;                           \
		return 0;                                   \
	}

GET_NET(n8, uint8_t)
GET_NET(n16, uint16_t)
GET_NET(n32, uint32_t)
GET_NET(n64, uint64_t)

int
ibuf_get_h16(struct ibuf *buf, uint16_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

int
ibuf_get_h32(struct ibuf *buf, uint32_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

int
ibuf_get_h64(struct ibuf *buf, uint64_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

void *
ibuf_seek(struct ibuf *buf, size_t pos, size_t len)
{
	size_t have = ibuf_size(buf);

	if (pos > have || len > have - pos) {
		errno = ERANGE;
		return NULL;
	}
	return (unsigned char *)ibuf_data(buf) + pos;
}

int
ibuf_set(struct ibuf *buf, size_t pos, const void *data, size_t len)
{
	void *p;

	p = ibuf_seek(buf, pos, len);
	if (p == NULL)
		return -1;
	if (len > 0)
		memcpy(p, data, len);
	return 0;
}

void *
ibuf_data(const struct ibuf *buf)
{
	/* An empty view may have no bytes at all. */
	return buf->buf == NULL ? NULL : buf->buf + buf->rpos;
}

size_t
ibuf_size(const struct ibuf *buf)
{
	return buf->wpos - buf->rpos;
}

size_t
ibuf_left(const struct ibuf *buf)
{
	return buf->fd == FD_VIEW ? 0 : buf->max - buf->wpos;
}

int
ibuf_truncate(struct ibuf *buf, size_t len)
{
	if (len <= ibuf_size(buf)) {
		buf->wpos = buf->rpos + len;
		return 0;
	}
	return ibuf_add_zero(buf, len - ibuf_size(buf));
}

void
ibuf_rewind(struct ibuf *buf)
{
	buf->rpos = 0;
}

void
ibuf_from_buffer(struct ibuf *buf, void *data, size_t len)
{
	memset(buf, 0, sizeof(*buf));
	buf->buf = data;
	buf->size = buf->max = buf->wpos = len;
	buf->fd = FD_VIEW;
}

void
ibuf_from_ibuf(struct ibuf *buf, const struct ibuf *from)
{
	ibuf_from_buffer(buf, ibuf_data(from), ibuf_size(from));
}

int
ibuf_get(struct ibuf *buf, void *data, size_t len)
{
	if (ibuf_size(buf) < len)
		return fail(EBADMSG);
	if (len > 0)
		memcpy(data, ibuf_data(buf), len);
	buf->rpos += len;
	return 0;
}

int
ibuf_get_ibuf(struct ibuf *buf, size_t len, struct ibuf *view)
{
	if (ibuf_size(buf) < len)
		return fail(EBADMSG);
	ibuf_from_buffer(view, ibuf_data(buf), len);
	buf->rpos += len;
	return 0;
}

char *
ibuf_get_string(struct ibuf *buf, size_t len)
{
	char *s;

	if (ibuf_size(buf) < len) {
		errno = EBADMSG;
		return NULL;
	}
	s = len == 0 ? strdup("") : strndup(ibuf_data(buf), len);
	if (s == NULL)
		return NULL;
	buf->rpos += len;
	return s;
}

int
ibuf_get_strbuf(struct ibuf *buf, char *str, size_t len)
{
	if (len == 0)
		return fail(EINVAL);
	if (ibuf_get(buf, str, len) == -1)
		return -1;
	if (str[len - 1] != '\0') {
		str[len - 1] = '\0';
		return fail(EOVERFLOW);
	}
	return 0;
}

int
ibuf_skip(struct ibuf *buf, size_t len)
{
	if (ibuf_size(buf) < len)
		return fail(EBADMSG);
	buf->rpos += len;
	return 0;
}

int
ibuf_fd_avail(struct ibuf *buf)
{
	return buf->fd >= 0;
}

int
ibuf_fd_get(struct ibuf *buf)
{
	int fd = buf->fd;

	if (fd < 0)
		return -1;
	buf->fd = FD_NONE;
	return fd;
}

void
ibuf_fd_set(struct ibuf *buf, int fd)
{
	if (buf->fd == FD_VIEW)
		abort(); /* an error of the program */
	if (buf->fd >= 0)
		close(buf->fd);
	buf->fd = fd < 0 ? FD_NONE : fd;
}

#endif /* !__OpenBSD__ */

/* SPDX-License-Identifier: ISC */
/* Content with the line ends of the system; see feed.h. */
#include "execd/feed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void
feed_init(struct feed *f, const uint8_t *prefix, size_t prefix_len, int fd, uint64_t size)
{
	f->prefix = prefix;
	f->prefix_len = prefix_len;
	f->fd = fd;
	f->size = size;
	f->prefix_done = 0;
	f->done = 0;
	f->cr = 0;
}

/* Octets as they are stored; 0 at the end. */
static ssize_t
take(struct feed *f)
{
	size_t want;
	ssize_t n;

	if (f->prefix_done < f->prefix_len) {
		want = f->prefix_len - f->prefix_done;
		if (want > sizeof(f->in))
			want = sizeof(f->in);
		memcpy(f->in, f->prefix + f->prefix_done, want);
		f->prefix_done += want;
		return (ssize_t)want;
	}
	if (f->done == f->size)
		return 0;
	want = f->size - f->done < sizeof(f->in) ? (size_t)(f->size - f->done)
						 : sizeof(f->in);
	do
		n = pread(f->fd, f->in, want, (off_t)f->done);
	while (n == -1 && errno == EINTR);
	if (n == 0) {
		errno = EIO; /* shorter than it should be */
		return -1;
	}
	if (n > 0)
		f->done += (uint64_t)n;
	return n;
}

ptrdiff_t
feed_next(struct feed *f, char *out)
{
	ptrdiff_t len = 0;

	while (len == 0) {
		ssize_t n = take(f);

		if (n == -1)
			return -1;
		if (n == 0 && f->cr) {
			f->cr = 0;
			out[len++] = '\r';
		}
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			char c = f->in[i];

			if (f->cr && c != '\n')
				out[len++] = '\r';
			f->cr = c == '\r';
			if (!f->cr)
				out[len++] = c;
		}
	}
	return len;
}

/* SPDX-License-Identifier: ISC */
/* Reading and writing tar archives; see tar_format.h. */
#include "common/proto/tar_format.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

/* Offsets and lengths of the header's fields. */
#define NAME 0
#define NAME_LEN 100
#define MODE 100
#define UID 108
#define GID 116
#define SIZE 124
#define SIZE_LEN 12
#define MTIME 136
#define CHECKSUM 148
#define CHECKSUM_LEN 8
#define TYPE 156
#define MAGIC 257
#define PREFIX 345
#define PREFIX_LEN 155

enum {
	IN_HEADER,
	IN_CONTENT,
	IN_PAD,
	AT_END
};

static unsigned int
checksum(const uint8_t *b)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= CHECKSUM && i < CHECKSUM + CHECKSUM_LEN ? ' ' : b[i];
	return sum;
}

/* ---- writing ---- */

static void
header(uint8_t *b, const char *name, uint64_t size, int64_t mtime, char type)
{
	memset(b, 0, TAR_BLOCK);
	memcpy(b + NAME, name, strnlen(name, NAME_LEN));
	(void)snprintf((char *)b + MODE, 8, "%07o", type == '5' ? 0700u : 0600u);
	(void)snprintf((char *)b + UID, 8, "%07o", 0u);
	(void)snprintf((char *)b + GID, 8, "%07o", 0u);
	(void)snprintf((char *)b + SIZE, SIZE_LEN, "%011llo",
	    (unsigned long long)(size & 077777777777));
	(void)snprintf((char *)b + MTIME, SIZE_LEN, "%011llo",
	    (unsigned long long)(mtime < 0 ? 0 : mtime & 077777777777));
	b[TYPE] = (uint8_t)type;
	memcpy(b + MAGIC, "ustar\00000", 8);
	(void)snprintf((char *)b + CHECKSUM, CHECKSUM_LEN, "%06o", checksum(b));
	b[CHECKSUM + 7] = ' ';
}

size_t
tar_write_header(uint8_t *out, const char *name, uint64_t size, int64_t mtime, char type)
{
	size_t name_len = strlen(name), n = 0, len;

	if (name_len > TAR_NAME_MAX - 20)
		return 0;
	if (name_len > NAME_LEN) {
		/* "27 path=…\n": the length counts itself. */
		char digits[16];

		len = name_len + 7;
		for (size_t before = 0; before != len;) {
			before = len;
			len = name_len + 7 +
			      (size_t)snprintf(digits, sizeof(digits), "%zu", before);
		}
		header(out, "pax", len, mtime, 'x');
		memset(out + TAR_BLOCK, 0, len + TAR_PAD(len));
		(void)snprintf(
		    (char *)out + TAR_BLOCK, len + 1, "%zu path=%s\n", len, name);
		n = TAR_BLOCK + len + TAR_PAD(len);
	}
	header(out + n, name, size, mtime, type);
	return n + TAR_BLOCK;
}

/* ---- reading ---- */

void
tar_reader_init(struct tar_reader *r, const struct tar_sink *sink, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->sink = sink;
	r->arg = arg;
	r->state = IN_HEADER;
}

/* Octal, or with the first bit set a binary number. */
static int
number(const uint8_t *p, size_t len, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (p[0] & 0x80) {
		if (p[0] != 0x80)
			return -1; /* negative, or beyond all bounds */
		for (i = 1; i < len; i++) {
			if (v >> 55)
				return -1;
			v = v << 8 | p[i];
		}
		*out = v;
		return 0;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0');
	if (i < len && p[i] != ' ' && p[i] != '\0')
		return -1;
	*out = v;
	return 0;
}

/* Records "length key=value\n" of a pax header. */
static int
pax(struct tar_reader *r)
{
	const char *p = r->extra, *end = p + r->extra_len;

	while (p < end) {
		const char *record = p, *value;
		size_t len = 0, n;

		for (; p < end && *p >= '0' && *p <= '9'; p++)
			if ((len = len * 10 + (size_t)(*p - '0')) > sizeof(r->extra))
				return -1;
		if (p == end || *p++ != ' ' || len > (size_t)(end - record) ||
		    record + len <= p || record[len - 1] != '\n')
			return -1;
		n = (size_t)(record + len - 1 - p);
		if ((value = memchr(p, '=', n)) == NULL)
			return -1;
		value++;
		n -= (size_t)(value - p);
		if (strncmp(p, "path=", 5) == 0) {
			if (n > TAR_NAME_MAX || memchr(value, '\0', n) != NULL)
				return -1;
			memcpy(r->name, value, n);
			r->name[n] = '\0';
			r->has_name = true;
		} else if (strncmp(p, "size=", 5) == 0 || strncmp(p, "mtime=", 6) == 0) {
			uint64_t v = 0;

			for (size_t i = 0; i < n && value[i] >= '0' && value[i] <= '9';
			     i++)
				if ((v = v * 10 + (uint64_t)(value[i] - '0')) >
				    UINT64_C(1) << 55)
					return -1;
			if (*p == 's') {
				r->size = v;
				r->has_size = true;
			} else {
				r->mtime = (int64_t)v;
				r->has_mtime = true;
			}
		}
		p = record + len;
	}
	return 0;
}

static void
block_name(struct tar_reader *r)
{
	const char *prefix = (const char *)r->block + PREFIX;
	size_t n =
	    memcmp(r->block + MAGIC, "ustar\0", 6) == 0 ? strnlen(prefix, PREFIX_LEN) : 0;

	if (r->has_name)
		return;
	(void)snprintf(r->name, sizeof(r->name), "%.*s%s%.*s", (int)n, prefix,
	    n > 0 ? "/" : "", NAME_LEN, (const char *)r->block + NAME);
}

static int
take_header(struct tar_reader *r)
{
	uint64_t sum, size, mtime;
	bool zero = true;
	char type = (char)r->block[TYPE];
	int e;

	for (size_t i = 0; i < TAR_BLOCK && zero; i++)
		zero = r->block[i] == 0;
	if (zero) {
		if (r->entries == 0)
			return -1;
		r->state = AT_END;
		return 0;
	}
	if (number(r->block + CHECKSUM, CHECKSUM_LEN, &sum) == -1 ||
	    sum != checksum(r->block) || number(r->block + SIZE, SIZE_LEN, &size) == -1)
		return -1;
	if (number(r->block + MTIME, SIZE_LEN, &mtime) == -1)
		mtime = 0;
	r->entries++;
	if (type == 'L' || type == 'x') {
		if (size > sizeof(r->extra))
			return -1;
		r->extra_len = 0;
		r->kind = type;
	} else {
		/* A header of its own told of the entry that follows. */
		if (r->has_size)
			size = r->size;
		if (type == '1' || type == '2' || type == '3' || type == '4' ||
		    type == '5' || type == '6')
			size = 0;
		r->kind = type == '0' || type == '\0' || type == '7' ? '0' : 's';
		block_name(r);
		if (r->kind == '0' &&
		    (e = r->sink->begin(r->arg, r->name, size,
			 r->has_mtime ? r->mtime : (int64_t)mtime)) != 0)
			return e;
		if (type != 'g' && type != 'K')
			r->has_name = r->has_size = r->has_mtime = false;
	}
	r->left = size;
	r->pad = TAR_PAD(size);
	r->state = IN_CONTENT;
	return 0;
}

static int
end_content(struct tar_reader *r)
{
	r->state = r->pad > 0 ? IN_PAD : IN_HEADER;
	if (r->kind == '0')
		return r->sink->end(r->arg);
	if (r->kind == 'x')
		return pax(r);
	if (r->kind == 'L') {
		size_t n = strnlen(r->extra, r->extra_len);

		if (n > TAR_NAME_MAX)
			return -1;
		memcpy(r->name, r->extra, n);
		r->name[n] = '\0';
		r->has_name = true;
	}
	return 0;
}

int
tar_reader_feed(struct tar_reader *r, const uint8_t *p, size_t len)
{
	size_t n;
	int e = 0;

	while (e == 0 && r->state != AT_END) {
		if (r->state == IN_CONTENT && r->left == 0) {
			e = end_content(r);
			continue;
		}
		if (len == 0)
			break;
		if (r->state == IN_HEADER) {
			n = TAR_BLOCK - r->have < len ? TAR_BLOCK - r->have : len;
			memcpy(r->block + r->have, p, n);
			if ((r->have += n) == TAR_BLOCK) {
				r->have = 0;
				e = take_header(r);
			}
		} else if (r->state == IN_CONTENT) {
			n = r->left < len ? (size_t)r->left : len;
			if (r->kind == '0')
				e = r->sink->data(r->arg, p, n);
			else if (r->kind != 's') {
				memcpy(r->extra + r->extra_len, p, n);
				r->extra_len += n;
			}
			r->left -= n;
		} else {
			n = r->pad < len ? r->pad : len;
			if ((r->pad -= n) == 0)
				r->state = IN_HEADER;
		}
		p += n;
		len -= n;
	}
	return e;
}

int
tar_reader_finish(const struct tar_reader *r)
{
	return r->entries > 0 && (r->state == AT_END ||
				     ((r->state == IN_HEADER || r->state == IN_PAD) &&
					 r->have == 0))
		   ? 0
		   : -1;
}

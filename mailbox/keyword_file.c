/* SPDX-License-Identifier: ISC */
/* Keywords beyond the letters, beside the messages; see keyword_file.h. */
#include "mailbox/keyword_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "mailbox/index_int.h"

#define LETTERS 26
#define MAGIC "FIFEKW01"
#define RECORD_HEAD 8
#define ENTRY_HEAD 6
#define RECORD_MAX (1024 * 1024)
#define FILE_MAX (32 * 1024 * 1024)
#define WHOLE_MAX (FILE_MAX / 2) /* written anew: as much is appended before the next */
#define SMALL 65536              /* not worth writing anew */
#define RETRY_S 10

struct octets {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};

enum written {
	WRITTEN,
	FAILED, /* errno */
	TOO_LARGE
};

/* ---- the form ---- */

/* Entries of one payload. */
static int
parse_entries(const uint8_t *p, size_t len,
    int (*cb)(void *arg, uint32_t uid, const uint8_t *list, size_t n), void *arg)
{
	while (len >= ENTRY_HEAD) {
		size_t n = (size_t)get_be(p + 4, 2), size = ENTRY_HEAD + 2 * n;

		if (n > STORE_KEYWORDS_MAX || size > len)
			return -1;
		if (cb(arg, (uint32_t)get_be(p, 4), p + ENTRY_HEAD, n) == -1)
			return -1;
		p += size;
		len -= size;
	}
	return len == 0 ? 0 : -1;
}

int
keyword_file_parse(const uint8_t *p, size_t len, uint32_t uidvalidity,
    int (*cb)(void *arg, uint32_t uid, const uint8_t *list, size_t n), void *arg,
    size_t *good, uint32_t *base)
{
	size_t at = KEYWORD_FILE_HEAD;

	*good = 0;
	if (len < at || memcmp(p, MAGIC, 8) != 0 || get_be(p + 8, 4) != uidvalidity ||
	    get_be(p + 16, 4) != crc32c(0, p, 16))
		return -1;
	*base = (uint32_t)get_be(p + 12, 4);
	while (len - at >= RECORD_HEAD) {
		size_t n = (size_t)get_be(p + at, 4);

		if (n == 0 || n > len - at - RECORD_HEAD ||
		    crc32c(0, p + at + RECORD_HEAD, n) != get_be(p + at + 4, 4))
			break;
		if (parse_entries(p + at + RECORD_HEAD, n, cb, arg) == -1)
			return -1;
		at += RECORD_HEAD + n;
	}
	*good = at;
	return 0;
}

static void
put(struct octets *o, const void *data, size_t n)
{
	if (o->cap - o->len < n && !o->failed) {
		size_t cap = o->cap + o->cap / 2 + n + 4096;
		uint8_t *p = realloc(o->p, cap);

		if (p == NULL)
			o->failed = true;
		else {
			o->p = p;
			o->cap = cap;
		}
	}
	if (o->failed)
		return;
	memcpy(o->p + o->len, data, n);
	o->len += n;
}

static void
put_head(struct octets *o, uint32_t uidvalidity, uint32_t base)
{
	uint8_t head[KEYWORD_FILE_HEAD];

	memcpy(head, MAGIC, 8);
	put_be(head + 8, uidvalidity, 4);
	put_be(head + 12, base, 4);
	put_be(head + 16, crc32c(0, head, 16), 4);
	put(o, head, sizeof(head));
}

/* From where on there is a record to be ended. */
static size_t
record_begin(struct octets *o)
{
	static const uint8_t later[RECORD_HEAD];

	put(o, later, sizeof(later));
	return o->len - sizeof(later);
}

static void
record_end(struct octets *o, size_t at)
{
	size_t n;

	if (o->failed)
		return;
	if ((n = o->len - at - RECORD_HEAD) == 0) {
		o->len = at;
		return;
	}
	put_be(o->p + at, n, 4);
	put_be(o->p + at + 4, crc32c(0, o->p + at + RECORD_HEAD, n), 4);
}

/* ---- entries ---- */

/* In the form of the file; returns how many. */
static size_t
list_of(const struct folder *f, uint64_t set, uint8_t out[2 * STORE_KEYWORDS_MAX])
{
	size_t n = 0;

	for (int k = folder_keywords_next(f, set, LETTERS - 1);
	     k != -1 && n < STORE_KEYWORDS_MAX; k = folder_keywords_next(f, set, k))
		put_be(out + 2 * n++, (uint64_t)k, 2);
	return n;
}

static void
put_entry(struct octets *o, uint32_t uid, const uint8_t *list, size_t n)
{
	uint8_t head[ENTRY_HEAD];

	put_be(head, uid, 4);
	put_be(head + 4, n, 2);
	put(o, head, sizeof(head));
	put(o, list, 2 * n);
}

/* ---- the file ---- */

/* The file may say more about more messages than there are. */
struct noted {
	struct map *map;
	const uint32_t *uids;
	size_t n;
};

static int
note(void *arg, uint32_t uid, const uint8_t *list, size_t n)
{
	const struct noted *noted = arg;
	uint8_t *copy;

	if (!uids_contain(noted->uids, noted->n, uid))
		return 0;
	if (n == 0) {
		map_remove(noted->map, uid);
		return 0;
	}
	if ((copy = malloc(2 * n)) == NULL)
		return -1;
	memcpy(copy, list, 2 * n);
	return map_put(noted->map, uid, copy, 2 * n);
}

/* What it says of these; how much of it is good, 0 for nothing. -1: errno. */
static int
read_all(struct folder *f, int fd, struct noted *noted, size_t *good)
{
	struct stat st;
	uint8_t *p;
	ssize_t n;

	*good = 0;
	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	if (st.st_size < KEYWORD_FILE_HEAD || st.st_size > FILE_MAX)
		return 0;
	if ((p = malloc((size_t)st.st_size)) == NULL)
		return -1;
	if ((n = pread(fd, p, (size_t)st.st_size, 0)) == -1) {
		free(p);
		return -1;
	}
	if (keyword_file_parse(p, (size_t)n, f->uidvalidity, note, noted, good,
		&f->keyword_file_base) == -1)
		*good = 0;
	free(p);
	return 0;
}

static int
open_file(struct folder *f, int flags)
{
	return openat(
	    f->dirfd, KEYWORD_FILE, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

void
keyword_file_read(struct folder *f, const uint32_t *uids, size_t n, struct map *m)
{
	struct noted noted = { m, uids, n };
	int fd = open_file(f, O_RDONLY);
	size_t good;

	if (fd == -1)
		return;
	if (read_all(f, fd, &noted, &good) == -1)
		log_warn("%s in %s", KEYWORD_FILE, f->name);
	if (good == 0)
		map_clear(m);
	close(fd);
}

int
keyword_file_apply(struct folder *f, const struct map *m, uint32_t uid, uint64_t *set)
{
	uint16_t v[LETTERS + STORE_KEYWORDS_MAX];
	const struct map_slot *slot = m->n > 0 ? map_get(m, uid) : NULL;
	const uint8_t *list;
	size_t n = 0;

	if (slot == NULL || (list = slot->value) == NULL)
		return 0;
	for (uint16_t k = 0; k < LETTERS; k++)
		if (*set >> k & 1)
			v[n++] = k;
	for (size_t i = 0; i + 2 <= slot->len; i += 2) {
		uint16_t k = (uint16_t)get_be(list + i, 2);

		if (k >= LETTERS && k < f->n_keywords)
			v[n++] = k;
	}
	return folder_keywords_make(f, v, n, set);
}

/* The whole file from what is in memory, which knows best. */
static enum written
write_anew(struct folder *f)
{
	uint8_t list[2 * STORE_KEYWORDS_MAX];
	struct octets o = { 0 };
	enum written rv = FAILED;
	int fd = -1, saved;
	size_t at, n;

	put_head(&o, f->uidvalidity, 0);
	at = record_begin(&o);
	for (size_t i = 0; i < f->n && !o.failed && o.len <= WHOLE_MAX; i++) {
		const struct message *m = folder_at(f, i);

		if (m->keywords >> LETTERS == 0 ||
		    (n = list_of(f, m->keywords, list)) == 0)
			continue;
		if (o.len - at > RECORD_MAX) {
			record_end(&o, at);
			at = record_begin(&o);
		}
		put_entry(&o, m->uid, list, n);
	}
	record_end(&o, at);
	if (o.len > WHOLE_MAX)
		rv = TOO_LARGE;
	if (o.failed || o.len > WHOLE_MAX)
		goto out;
	n = o.len;
	o.len = 0;
	put_head(&o, f->uidvalidity, (uint32_t)n);
	o.len = n;
	/* Whatever is left there, or was put there. */
	(void)unlinkat(f->dirfd, KEYWORD_FILE ".new", 0);
	fd = openat(f->dirfd, KEYWORD_FILE ".new",
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || write(fd, o.p, o.len) != (ssize_t)o.len || fdatasync(fd) == -1 ||
	    renameat(f->dirfd, KEYWORD_FILE ".new", f->dirfd, KEYWORD_FILE) == -1)
		goto out;
	f->keyword_file_len = f->keyword_file_base = (uint32_t)o.len;
	rv = WRITTEN;
out:
	saved = errno;
	if (fd != -1) {
		close(fd);
		/* It would take the last of a full disk. */
		if (rv != WRITTEN)
			(void)unlinkat(f->dirfd, KEYWORD_FILE ".new", 0);
	}
	free(o.p);
	errno = saved;
	return rv;
}

/* Entries of what is marked; known: what the file says, or NULL. */
static void
put_marked(struct folder *f, const struct map *known, struct octets *o)
{
	uint8_t list[2 * STORE_KEYWORDS_MAX];
	size_t at = record_begin(o);

	for (size_t i = 0; i < f->n_keyword_marks && !o->failed; i++) {
		const struct message *m = folder_message_by_uid(f, f->keyword_marks[i]);
		const struct map_slot *old;
		size_t n;

		if (m == NULL)
			continue;
		n = list_of(f, m->keywords, list);
		if (known != NULL) {
			old = known->n > 0 ? map_get(known, m->uid) : NULL;
			if (old == NULL || old->value == NULL
				? n == 0
				: old->len == 2 * n &&
				      memcmp(old->value, list, old->len) == 0)
				continue;
		}
		if (o->len - at > RECORD_MAX) {
			record_end(o, at);
			at = record_begin(o);
		}
		put_entry(o, m->uid, list, n);
	}
	record_end(o, at);
}

static enum written
append(struct folder *f)
{
	struct map known = { 0 };
	struct noted noted = { &known, f->keyword_marks, f->n_keyword_marks };
	struct octets o = { 0 };
	struct stat st;
	size_t good = f->keyword_file_len;
	int fd = open_file(f, O_RDWR);
	enum written rv = FAILED;
	bool fresh = false;

	/* There is none, or a link, which is replaced. */
	if (fd == -1 && (errno == ENOENT || errno == ELOOP))
		return write_anew(f);
	if (fd == -1 || fstat(fd, &st) == -1)
		goto out;
	if (!S_ISREG(st.st_mode)) {
		rv = write_anew(f);
		goto out;
	}
	/* By another process, or by nobody yet. */
	if (good == 0 || (uint64_t)st.st_size != good) {
		fresh = true;
		if (read_all(f, fd, &noted, &good) == -1)
			goto out;
		if (good == 0) {
			rv = write_anew(f);
			goto out;
		}
		if ((uint64_t)st.st_size != good && ftruncate(fd, (off_t)good) == -1)
			goto out;
	}
	put_marked(f, fresh ? &known : NULL, &o);
	if (o.failed)
		goto out;
	if (o.len > FILE_MAX - good) {
		rv = write_anew(f);
		goto out;
	}
	if (o.len > 0 && pwrite(fd, o.p, o.len, (off_t)good) != (ssize_t)o.len) {
		/* What is left of it is no record. */
		f->keyword_file_len = 0;
		goto out;
	}
	f->keyword_file_len = (uint32_t)(good + o.len);
	rv = WRITTEN;
out:
	if (fd != -1)
		close(fd);
	map_clear(&known);
	free(o.p);
	return rv;
}

/* ---- marks ---- */

static void
forget_marks(struct folder *f)
{
	free(f->keyword_marks);
	f->keyword_marks = NULL;
	f->n_keyword_marks = f->keyword_marks_cap = 0;
}

void
keyword_file_mark(struct folder *f, uint32_t uid)
{
	/* All will be written. */
	if (f->keyword_file_missing)
		return;
	if (f->n_keyword_marks > 4096 && f->n_keyword_marks > 2 * f->n)
		f->n_keyword_marks = uids_unique(f->keyword_marks, f->n_keyword_marks);
	uids_push(&f->keyword_marks, &f->n_keyword_marks, &f->keyword_marks_cap, uid);
}

void
keyword_file_start(struct folder *f)
{
	if (f->n_keywords > LETTERS && !f->keyword_file_missing &&
	    faccessat(f->dirfd, KEYWORD_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == -1 &&
	    errno == ENOENT)
		f->keyword_file_missing = true;
}

void
keyword_file_doubt(struct folder *f)
{
	if (f->n_keywords > LETTERS)
		f->keyword_file_missing = true;
}

void
keyword_file_leave(struct folder *f)
{
	if (f->n_keyword_marks > 0)
		f->keyword_file_missing = true;
	forget_marks(f);
	f->keyword_file_len = 0;
}

void
keyword_file_flush(struct folder *f)
{
	struct timespec now;
	enum written rv;

	if ((f->n_keyword_marks == 0 && !f->keyword_file_missing) || f->gone ||
	    f->recover)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (f->keyword_file_failed != 0 && now.tv_sec - f->keyword_file_failed < RETRY_S)
		return;
	f->n_keyword_marks = uids_unique(f->keyword_marks, f->n_keyword_marks);
	if (f->keyword_file_missing ||
	    (f->keyword_file_len > SMALL &&
		f->keyword_file_len / 4 > f->keyword_file_base))
		rv = write_anew(f);
	else
		rv = append(f);
	if (rv == FAILED && f->keyword_file_failed == 0)
		log_warn("%s in %s", KEYWORD_FILE, f->name);
	if (rv == TOO_LARGE && f->keyword_file_failed == 0)
		log_warnx("%s: too many keywords for %s, the index alone has them",
		    f->name, KEYWORD_FILE);
	f->keyword_file_failed = rv == WRITTEN ? 0 : now.tv_sec;
	f->keyword_file_missing = rv != WRITTEN;
	forget_marks(f);
}

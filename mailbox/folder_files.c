/* SPDX-License-Identifier: ISC */
/*
 * The files of a folder's messages: content, and the work that is put off: names
 * that follow the flags, files of expunged messages. Cached values too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/store_int.h"

#define CACHE_VALUE_MAX 65536
#define COPY_MAX (128 * 1024) /* larger contents are mapped */

/* ---- work put off ---- */

void
folder_times_before(struct folder *f)
{
	struct stat st;

	if (fstat(f->curfd, &st) == -1 || !time_same(&st.st_mtim, &f->cur_time))
		f->needs_scan = true;
}

void
folder_times_after(struct folder *f)
{
	struct stat st;

	if (f->needs_scan || fstat(f->curfd, &st) == -1)
		return;
	f->cur_time = st.st_mtim;
	f->times_logged = false;
}

int
folder_rename_work(struct folder *f, int max)
{
	char name[MAILDIR_NAME_MAX + 1], want[MAILDIR_NAME_MAX + MAILDIR_FLAGS_SIZE],
	    *copy;
	struct log_record r;
	size_t done = 0, renamed = 0;

	if (f->n_renames == 0 || max <= 0 || f->gone)
		return max;
	folder_times_before(f);
	log_begin(&r, LOG_NAMES, f);
	for (; done < f->n_renames && max > 0; done++) {
		uint32_t uid = f->renames[done];
		const struct message *m = folder_message_by_uid(f, uid);
		struct maildir_name parsed;

		if (m == NULL || index_name(f, uid, name) == -1)
			continue;
		maildir_name_parse(name, &parsed);
		memcpy(want, name, parsed.base_len);
		maildir_flags_print(m->flags, m->keywords, want + parsed.base_len);
		if (strcmp(name, want) == 0 || strlen(want) > MAILDIR_NAME_MAX)
			continue;
		max--;
		if (renameat(f->curfd, name, f->curfd, want) == -1) {
			if (errno == ENOENT)
				f->needs_scan = true;
			continue;
		}
		log_u32(&r, uid);
		log_bytes(&r, want, strlen(want));
		if ((copy = strdup(want)) != NULL)
			(void)map_put(&f->names, uid, copy, strlen(copy));
		folder_mark(f, uid);
		renamed++;
	}
	f->n_renames -= done;
	memmove(f->renames, f->renames + done, f->n_renames * sizeof(*f->renames));
	/* If this is lost, the scan finds names that agree with the flags. */
	if (renamed > 0)
		(void)log_write(f->store, &r);
	else
		free(r.buf);
	folder_times_after(f);
	return max;
}

int
folder_unlink_work(struct folder *f, int max)
{
	bool left = false;

	if (f->unlinks.cap == 0 || max <= 0 || f->gone)
		return max;
	folder_times_before(f);
	/* Somebody may have renamed what was expunged, which would come back then. */
	if (f->needs_scan)
		(void)folder_scan(f);
	for (size_t i = 0; i < f->unlinks.cap; i++) {
		struct map_slot *slot = &f->unlinks.slots[i];

		if (slot->value == NULL)
			continue;
		if (max-- <= 0) {
			left = true;
			break;
		}
		if (unlinkat(f->curfd, slot->value, 0) == -1 && errno != ENOENT)
			log_warn("unlink %s in %s", (char *)slot->value, f->name);
		map_remove(&f->unlinks, slot->key);
	}
	if (!left)
		map_clear(&f->unlinks);
	f->dirty = true;
	folder_times_after(f);
	return max > 0 ? max : 0;
}

/* ---- content ---- */

/* Somebody gave the file other flags since we looked. */
static int
find_renamed(struct folder *f, char *name)
{
	struct maildir_name m;
	struct dirent *e;
	DIR *d;
	int fd = openat(f->dirfd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = -1;

	if (fd == -1)
		return -1;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return -1;
	}
	maildir_name_parse(name, &m);
	while (r == -1 && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, name, m.base_len) == 0 &&
		    (e->d_name[m.base_len] == ':' || e->d_name[m.base_len] == '\0') &&
		    strlen(e->d_name) <= MAILDIR_NAME_MAX) {
			(void)strlcpy(name, e->d_name, MAILDIR_NAME_MAX + 1);
			r = openat(f->curfd, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		}
	closedir(d);
	return r;
}

/* A file with bare LFs, as IMAP sees it. */
static enum store_error
map_converted(const uint8_t *in, size_t len, struct content *c)
{
	size_t n = len;
	uint8_t *out;

	for (size_t i = 0; i < len; i++)
		n += in[i] == '\n' && (i == 0 || in[i - 1] != '\r');
	out = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED)
		return store_errno("content");
	c->data = out;
	c->len = n;
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			*out++ = '\r';
		*out++ = in[i];
	}
	return STORE_OK;
}

/*
 * A file of the size that is known: one read costs less than a map, and says by itself
 * that it is no pipe or directory. false: look closer.
 */
static bool
read_whole(int fd, size_t size, struct content *c)
{
	uint8_t *buf;

	if (size == 0 || size > COPY_MAX || (buf = malloc(size + 1)) == NULL)
		return false;
	if (pread(fd, buf, size + 1, 0) != (ssize_t)size) {
		free(buf);
		return false;
	}
	c->data = c->copy = buf;
	c->len = size;
	return true;
}

enum store_error
folder_content(struct folder *f, uint32_t uid, struct content *c)
{
	char name[MAILDIR_NAME_MAX + 1];
	struct maildir_name parsed;
	const struct message *m = folder_message_by_uid(f, uid);
	enum store_error error = STORE_OK;
	struct stat st;
	void *map;
	int fd;

	c->data = (const uint8_t *)"";
	c->len = 0;
	c->copy = NULL;
	if (m == NULL)
		return STORE_NOT_FOUND;
	if (index_name(f, uid, name) == -1) {
		/* The index is damaged; the scan learns the name from the directory. */
		f->needs_scan = true;
		return STORE_IO;
	}
	fd = openat(f->curfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT) {
		f->needs_scan = true;
		if ((fd = find_renamed(f, name)) == -1)
			return STORE_GONE;
	}
	if (fd == -1)
		return store_errno(name);
	maildir_name_parse(name, &parsed);
	if (parsed.crlf_size == 0 && read_whole(fd, m->size, c))
		goto done;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > UINT32_MAX) {
		error = STORE_IO;
		goto done;
	}
	if (st.st_size == 0)
		goto done;
	map =
	    mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		error = store_errno("content");
		goto done;
	}
	if (parsed.crlf_size != 0) {
		error = map_converted(map, (size_t)st.st_size, c);
		munmap(map, (size_t)st.st_size);
	} else {
		c->data = map;
		c->len = (size_t)st.st_size;
	}
done:
	close(fd);
	return error;
}

void
content_release(struct content *c)
{
	if (c->copy != NULL)
		free(c->copy);
	else if (c->len > 0)
		munmap((void *)(uintptr_t)c->data, c->len);
	*c = (struct content){ 0 };
}

int
folder_cache_get(
    struct folder *f, uint32_t uid, int kind, const uint8_t **data, size_t *len)
{
	return index_cache(f, uid, kind, data, len);
}

void
folder_cache_put(
    struct folder *f, uint32_t uid, int kind, const uint8_t *data, size_t len)
{
	struct store *s = f->store;
	uint8_t *copy;

	if (len == 0 || len > CACHE_VALUE_MAX || kind < 0 || kind >= CACHE_KINDS ||
	    f->gone || s->cache_pending > 2 * CACHE_PENDING_MAX ||
	    folder_message_by_uid(f, uid) == NULL || (copy = malloc(len)) == NULL)
		return;
	memcpy(copy, data, len);
	if (map_put(&f->cache, (uint64_t)uid << 8 | (unsigned int)kind, copy, len) == -1)
		return;
	if (s->cache_pending == 0) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		s->cache_since = now.tv_sec;
	}
	s->cache_pending += len + 32;
	f->dirty = true;
	/* A first FETCH of a large folder would wait for the timer's turn. */
	if (s->cache_pending > CACHE_PENDING_MAX && s->checkpoint_failed.tv_sec == 0)
		(void)index_checkpoint(s);
}

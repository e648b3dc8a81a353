/* SPDX-License-Identifier: ISC */
/* APPEND and COPY: on the disk, file and directory, before they are answered. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/proto/recode.h"
#include "mailbox/store_int.h"

#define SYNC_EACH_MAX 8 /* more copies are synced with the file system */
#define BUFFER_SIZE 65536

struct append {
	struct folder *folder;
	uint64_t size;
	int16_t zone;
	uint32_t uid; /* 0: the next */
	int fd;
	bool lazy;
	char unique[128];
	char tmp[160]; /* below the folder's directory */
	enum store_error error;
};

enum store_error
append_begin(struct folder *f, uint64_t size, struct append **out)
{
	struct store *s = f->store;
	struct append *a;
	enum store_error error;

	*out = NULL;
	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	if (size > INT32_MAX)
		return STORE_LIMIT;
	if (!store_has_room(s, size, 1))
		return STORE_FULL;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return store_errno("APPEND");
	a->folder = f;
	maildir_unique(a->unique, sizeof(a->unique));
	(void)snprintf(a->tmp, sizeof(a->tmp), "tmp/" TMP_PREFIX "%s", a->unique);
	a->fd = openat(f->dirfd, a->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (a->fd == -1 && errno == ENOENT && mkdirat(f->dirfd, "tmp", 0700) == 0)
		a->fd =
		    openat(f->dirfd, a->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (a->fd == -1) {
		error = store_errno(a->tmp);
		free(a);
		return error;
	}
	f->refs++;
	*out = a;
	return STORE_OK;
}

void
append_rest(struct append *a)
{
	if (a == NULL || a->fd == -1)
		return;
	close(a->fd);
	a->fd = -1;
}

/* The file goes on being ours alone: its name is. */
static enum store_error
go_on(struct append *a)
{
	if (a->fd == -1 && (a->fd = openat(a->folder->dirfd, a->tmp,
				O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return store_errno(a->tmp);
	return STORE_OK;
}

enum store_error
append_write(struct append *a, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (a->error != STORE_OK)
		return a->error;
	if (len > INT32_MAX - a->size)
		return a->error = STORE_LIMIT;
	if ((a->error = go_on(a)) != STORE_OK)
		return a->error;
	while (len > 0) {
		ssize_t n = write(a->fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return a->error = store_errno("APPEND");
		p += n;
		len -= (size_t)n;
		a->size += (uint64_t)n;
	}
	return STORE_OK;
}

void
append_set_zone(struct append *a, int minutes)
{
	if (minutes > -24 * 60 && minutes < 24 * 60)
		a->zone = (int16_t)minutes;
}

void
append_set_lazy(struct append *a)
{
	a->lazy = true;
}

void
append_set_uid(struct append *a, uint32_t uid)
{
	a->uid = uid;
}

void
append_abort(struct append *a)
{
	if (a == NULL)
		return;
	append_rest(a);
	(void)unlinkat(a->folder->dirfd, a->tmp, 0);
	folder_close(a->folder);
	free(a);
}

/* All octets to push; 0, or -1. */
static int
each_octet(struct append *a, struct recode *r,
    int (*push)(struct recode *, const void *, size_t))
{
	char buf[BUFFER_SIZE];
	ssize_t n;

	for (off_t at = 0; (uint64_t)at < a->size; at += n) {
		while ((n = pread(a->fd, buf, sizeof(buf), at)) == -1 && errno == EINTR)
			;
		if (n == -1)
			a->error = store_errno(a->tmp);
		if (n <= 0 || push(r, buf, (size_t)n) == -1)
			return -1;
	}
	return 0;
}

static int
put_recoded(void *arg, const void *data, size_t len)
{
	return append_write(arg, data, len) == STORE_OK ? 0 : -1;
}

enum store_error
append_to_8bit(struct append *a)
{
	struct append *to = NULL, old;
	struct recode *r;
	bool needed;

	if (a->error != STORE_OK || (a->error = go_on(a)) != STORE_OK ||
	    (a->error = append_begin(a->folder, a->size, &to)) != STORE_OK)
		return a->error;
	if ((r = recode_new(RECODE_8BIT, put_recoded, to)) == NULL ||
	    each_octet(a, r, recode_scan) == -1)
		a->error = a->error != STORE_OK ? a->error : STORE_IO;
	else {
		needed = recode_scanned(r);
		if (recode_impossible(r))
			a->error = STORE_BINARY;
		else if (!needed)
			; /* most have none */
		else if (each_octet(a, r, recode_push) == -1 || recode_end(r) == -1) {
			if (a->error == STORE_OK)
				a->error = to->error != STORE_OK ? to->error : STORE_IO;
		} else {
			old = *a;
			a->fd = to->fd;
			a->size = to->size;
			memcpy(a->unique, to->unique, sizeof(a->unique));
			memcpy(a->tmp, to->tmp, sizeof(a->tmp));
			to->fd = old.fd;
			memcpy(to->tmp, old.tmp, sizeof(to->tmp));
		}
	}
	recode_free(r);
	append_abort(to);
	/* There may be many of one command. */
	append_rest(a);
	return a->error;
}

enum store_error
append_commit(
    struct append *a, uint8_t flags, uint64_t keywords, int64_t internal, uint32_t *uid)
{
	struct folder *f = a->folder;
	char name[MAILDIR_NAME_MAX + 1];
	struct maildir_name p = { 0 };
	struct message m = { 0 };
	struct learnt learnt = { 0 };
	enum store_error error = a->error;

	*uid = 0;
	if (error == STORE_OK)
		error = go_on(a);
	if (error == STORE_OK && (f->gone || f->detached))
		error = STORE_NOT_FOUND;
	if (error == STORE_OK && !store_has_room(f->store, a->size, 1))
		error = STORE_FULL;
	if (error == STORE_OK && a->uid > f->uidnext)
		error = folder_raise_uidnext(f, a->uid);
	if (error != STORE_OK || (error = folder_reserve(f, 1)) != STORE_OK) {
		append_abort(a);
		return error;
	}
	m.uid = p.uid = f->uidnext;
	m.size = (uint32_t)a->size;
	m.internal = internal == -1 ? (int64_t)time(NULL) : internal;
	m.zone = internal == -1 ? 0 : a->zone;
	m.modseq = f->modseq + 1;
	m.flags = p.flags = flags;
	m.keywords = keywords;
	m.recent = 1;
	m.saved = (uint32_t)time(NULL);
	p.keywords = (uint32_t)(keywords & ((1u << 26) - 1));
	p.size = a->size;
	p.has_uid = true;
	p.uidvalidity = f->uidvalidity;
	if (maildir_name_print(a->unique, strlen(a->unique), &p, name) == -1) {
		append_abort(a);
		return STORE_IO;
	}
	if (internal != -1) {
		struct timespec times[2] = { { internal, 0 }, { internal, 0 } };

		(void)futimens(a->fd, times);
	}
	folder_times_before(f);
	if (renameat(f->dirfd, a->tmp, f->curfd, name) == -1 ||
	    (!a->lazy && (fsync(a->fd) == -1 || fsync(f->curfd) == -1))) {
		error = store_errno(name);
		(void)unlinkat(f->curfd, name, 0);
	} else {
		learn_file(&learnt, a->fd, a->size);
		error = folder_add(f, &m, name, NULL, &learnt);
		learnt_clear(&learnt);
		if (error != STORE_OK)
			(void)unlinkat(f->curfd, name, 0);
		else
			*uid = m.uid;
	}
	folder_times_after(f);
	append_abort(a); /* tmp is not there any more */
	folder_changed(f);
	return error;
}

/* ---- copying ---- */

/* Where hard links do not work: another file system, another owner. */
static int
copy_content(int from, const char *old, int to, const char *new)
{
	char buf[BUFFER_SIZE];
	ssize_t n;
	int in = openat(from, old, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
	    out = -1, r = -1;

	if (in == -1)
		return -1;
	out = openat(to, new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out != -1) {
		while ((n = read(in, buf, sizeof(buf))) > 0)
			if (write(out, buf, (size_t)n) != n)
				break;
		r = n == 0 ? 0 : -1;
		if (r == -1)
			(void)unlinkat(to, new, 0);
		close(out);
	}
	close(in);
	return r;
}

static int
sync_copies(struct folder *to, char **names, size_t n)
{
	int r = 0;

	if (n > SYNC_EACH_MAX)
		return compat_syncfs(to->curfd);
	for (size_t i = 0; i < n && r == 0; i++) {
		int fd = names[i] == NULL
			     ? -1
			     : openat(to->curfd, names[i],
				   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd != -1) {
			r = fsync(fd);
			close(fd);
		}
	}
	return r == 0 ? fsync(to->curfd) : -1;
}

/* The bits of from's keywords as bits of to's, those of the same name. */
static uint64_t
map_keywords(struct folder *from, struct folder *to, uint64_t keywords)
{
	uint16_t v[STORE_KEYWORDS_MAX];
	uint64_t out = 0;
	size_t n = 0;

	if (from == to)
		return keywords;
	for (int i = folder_keywords_next(from, keywords, -1); i != -1;
	     i = folder_keywords_next(from, keywords, i)) {
		const char *name = folder_keyword(from, i);
		int j =
		    name == NULL ? -1 : folder_keyword_find(to, name, strlen(name), 1);

		if (j >= 0)
			v[n++] = (uint16_t)j;
	}
	(void)folder_keywords_make(to, v, n, &out);
	return out;
}

/* What a copy keeps of its flags. */
struct kept {
	uint8_t flags;
	bool keywords;
};

static enum store_error
link_one(struct folder *from, const struct message *m, struct folder *to,
    const struct kept *kept, struct message *copy, char *name)
{
	char old[MAILDIR_NAME_MAX + 1], unique[128];
	struct maildir_name p;

	if (index_name(from, m->uid, old) == -1)
		return STORE_IO;
	*copy = *m;
	copy->flags = m->flags & kept->flags;
	copy->keywords = kept->keywords ? map_keywords(from, to, m->keywords) : 0;
	copy->recent = 1;
	copy->saved = (uint32_t)time(NULL);
	maildir_name_parse(old, &p);
	if (p.size == 0)
		p.size = m->size;
	p.has_uid = true;
	p.uid = copy->uid = to->uidnext;
	p.uidvalidity = to->uidvalidity;
	p.has_delivery = false;
	p.flags = copy->flags;
	p.keywords = (uint32_t)(copy->keywords & ((1u << 26) - 1));
	maildir_unique(unique, sizeof(unique));
	if (maildir_name_print(unique, strlen(unique), &p, name) == -1)
		return STORE_IO;
	if (linkat(from->curfd, old, to->curfd, name, 0) == 0)
		return STORE_OK;
	if (errno == ENOENT) {
		from->needs_scan = true;
		return STORE_GONE;
	}
	if ((errno == EPERM || errno == EXDEV || errno == EMLINK ||
		errno == EOPNOTSUPP) &&
	    copy_content(from->curfd, old, to->curfd, name) == 0)
		return STORE_OK;
	return store_errno(name);
}

static enum store_error
copy_all(struct folder *from, const uint32_t *uids, size_t n, struct folder *to,
    const struct kept *kept, struct message *copies, char **names)
{
	char name[MAILDIR_NAME_MAX + 1];
	enum store_error error;
	uint32_t uidnext = to->uidnext;

	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message_by_uid(from, uids[i]);

		if (m == NULL)
			continue;
		error = link_one(from, m, to, kept, &copies[i], name);
		if (error == STORE_OK && (names[i] = strdup(name)) == NULL) {
			(void)unlinkat(to->curfd, name, 0);
			error = store_errno("COPY");
		}
		if (error != STORE_OK) {
			to->uidnext = uidnext;
			return error;
		}
		to->uidnext++;
	}
	to->uidnext = uidnext;
	return sync_copies(to, names, n) == -1 ? store_errno("COPY") : STORE_OK;
}

static enum store_error
copy(struct folder *from, const uint32_t *uids, size_t n, struct folder *to,
    uint32_t *new_uids, bool moving, const struct kept *kept)
{
	struct store *s = to->store;
	struct message *copies;
	enum store_error error;
	struct learnt learnt = { 0 };
	uint64_t octets = 0, modseq;
	char **names;
	size_t done = 0;

	memset(new_uids, 0, n * sizeof(*new_uids));
	if (from->gone || from->detached || to->gone || to->detached)
		return STORE_NOT_FOUND;
	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message_by_uid(from, uids[i]);

		octets += m == NULL ? 0 : m->size;
	}
	if (!moving && !store_has_room(s, octets, n))
		return STORE_FULL;
	if ((error = folder_reserve(to, n)) != STORE_OK ||
	    (moving && (error = folder_reserve(from, 0)) != STORE_OK))
		return error;
	copies = calloc(n + 1, sizeof(*copies));
	names = calloc(n + 1, sizeof(char *));
	if (copies == NULL || names == NULL) {
		error = store_errno("COPY");
		goto done;
	}
	error = moving ? batch_begin(to, n) : folder_batch_begin(to, n);
	if (error != STORE_OK)
		goto done;
	folder_times_before(to);
	error = copy_all(from, uids, n, to, kept, copies, names);
	/* Of keywords that are new there. */
	if (error == STORE_OK && to->meta_missing)
		error = folder_meta_save(to, 0);
	modseq = to->modseq + 1;
	for (; done < n && error == STORE_OK; done++) {
		if (names[done] == NULL)
			continue;
		copies[done].modseq = modseq;
		learn_copy(&learnt, from, uids[done]);
		error = folder_add(to, &copies[done], names[done], NULL, &learnt);
		learnt.len = 0;
		if (error != STORE_OK)
			break;
		new_uids[done] = copies[done].uid;
	}
	if (error == STORE_OK)
		error = moving ? batch_end_moved(to, from, uids, new_uids, n)
			       : folder_batch_end(to);
	/* All or nothing as far as can be: what is not in the log is no copy. */
	if (error != STORE_OK)
		for (size_t i = done; i < n; i++)
			if (names[i] != NULL)
				(void)unlinkat(to->curfd, names[i], 0);
	if (error != STORE_OK && done > 0) {
		size_t k = 0;

		for (size_t i = 0; i < done; i++)
			if (new_uids[i] != 0)
				new_uids[k++] = new_uids[i];
		(void)folder_expunge(to, new_uids, k, 1, NULL);
		memset(new_uids, 0, n * sizeof(*new_uids));
	}
	(void)folder_batch_end(to);
	folder_times_after(to);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
done:
	learnt_clear(&learnt);
	free(names);
	free(copies);
	folder_changed(to);
	folder_changed(from);
	return error;
}

enum store_error
folder_copy(struct folder *from, const uint32_t *uids, size_t n, struct folder *to,
    uint32_t *new_uids)
{
	return folder_copy_masked(from, uids, n, to, new_uids, UINT8_MAX, 1);
}

enum store_error
folder_copy_masked(struct folder *from, const uint32_t *uids, size_t n, struct folder *to,
    uint32_t *new_uids, uint8_t flags, int keywords)
{
	const struct kept kept = { flags, keywords != 0 };

	return copy(from, uids, n, to, new_uids, false, &kept);
}

enum store_error
folder_move(struct folder *from, const uint32_t *uids, size_t n, struct folder *to,
    uint32_t *new_uids, uint8_t flags, int keywords)
{
	const struct kept kept = { flags, keywords != 0 };

	return n == 0 ? STORE_OK : copy(from, uids, n, to, new_uids, true, &kept);
}

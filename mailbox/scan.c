/* SPDX-License-Identifier: ISC */
/*
 * What is in cur/ and new/ against what the index knows: files that other programs
 * put in or took out, flags that they changed. Every message that we know has its
 * UID in its file's name, so that no table of names is needed. A file without
 * is adopted: it gets the next UID and a name that carries it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/keyword_file.h"
#include "mailbox/store_int.h"

#define RACY_NS (20 * 1000 * 1000)
#define PASSES 3

struct found {
	char *name;
	uint32_t uid; /* 0: none that can be kept */
	bool in_new;
};

struct scan {
	struct folder *f;
	struct found *list; /* files that are no messages yet */
	size_t n, cap;
	uint8_t *seen; /* a message each */
	struct log_record flags;
	struct map keywords; /* of files that come back (keyword_file.c) */
	bool keywords_read;
	uint64_t modseq;
	bool flags_changed;
};

static int
scan_note(struct scan *s, const char *name, uint32_t uid, bool in_new)
{
	if (s->n == s->cap) {
		size_t cap = s->cap + s->cap / 2 + 64;
		struct found *p = reallocarray(s->list, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		s->list = p;
		s->cap = cap;
	}
	if ((s->list[s->n].name = strdup(name)) == NULL)
		return -1;
	s->list[s->n].uid = uid;
	s->list[s->n].in_new = in_new;
	s->n++;
	return 0;
}

static void
scan_clear(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->list[i].name);
	free(s->list);
	free(s->seen);
	free(s->flags.buf);
	map_clear(&s->keywords);
	memset(s, 0, sizeof(*s));
}

/* A message's file under a name that we did not give it. */
static void
scan_renamed(
    struct scan *s, struct message *m, const char *name, const struct maildir_name *p)
{
	const uint64_t in_name = (UINT64_C(1) << 26) - 1;
	struct folder *f = s->f;
	struct log_record r;
	uint64_t keywords;
	char *copy;

	if ((copy = strdup(name)) == NULL ||
	    map_put(&f->names, m->uid, copy, strlen(copy)) == -1)
		return;
	folder_mark(f, m->uid);
	log_begin(&r, LOG_NAMES, f);
	log_u32(&r, m->uid);
	log_bytes(&r, name, strlen(name));
	(void)log_write(f->store, &r);
	keywords = (m->keywords & ~in_name) | p->keywords;
	for (int i = f->n_keywords; i < 26; i++)
		keywords &= ~(UINT64_C(1) << i);
	if (m->flags == p->flags && m->keywords == keywords)
		return;
	/* After a crash of the machine the log is newer than the directory may be. */
	if (f->recover && !f->store->index_lost) {
		folder_queue_rename(f, m->uid);
		return;
	}
	if (!s->flags_changed) {
		/* A full disk must not hide what is there. */
		(void)folder_reserve(f, 0);
		log_begin(&s->flags, LOG_FLAGS, f);
		s->modseq = f->modseq + 1;
		log_u64(&s->flags, s->modseq);
		s->flags_changed = true;
	}
	log_u32(&s->flags, m->uid);
	log_u8(&s->flags, p->flags);
	log_u64(&s->flags, keywords);
	folder_apply_flags(f, m, p->flags, keywords, s->modseq);
}

/* After a crash of the machine: was it written to its end? A longer one was edited since.
 */
static bool
whole(struct folder *f, const char *name, const struct maildir_name *p)
{
	struct stat st;

	if (fstatat(f->curfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && p->size != 0 &&
	    (uint64_t)st.st_size < p->size) {
		char to[MAILDIR_NAME_MAX + 16];

		(void)snprintf(to, sizeof(to), "tmp/torn.%.*s", (int)p->unique_len, name);
		log_warnx("%s in %s was not written to its end; it is now %s", name,
		    f->name, to);
		if (renameat(f->curfd, name, f->dirfd, to) == -1)
			(void)unlinkat(f->curfd, name, 0);
		return false;
	}
	return true;
}

static int
scan_entry(struct scan *s, const char *name, bool in_new)
{
	char known[MAILDIR_NAME_MAX + 1], *copy;
	struct folder *f = s->f;
	struct map_slot *slot;
	struct maildir_name p;
	int exact;
	size_t i;

	if (name[0] == '.' || strlen(name) > MAILDIR_NAME_MAX)
		return 0;
	maildir_name_parse(name, &p);
	if (in_new || !p.has_uid || p.uidvalidity != f->uidvalidity)
		return scan_note(s, name, 0, in_new);
	if (f->unlinks.cap > 0 && (slot = map_get(&f->unlinks, p.uid)) != NULL) {
		/* Expunged, and renamed by somebody since: not a new message. */
		if (strcmp(slot->value, name) != 0 && (copy = strdup(name)) != NULL)
			(void)map_put(&f->unlinks, p.uid, copy, strlen(copy));
		return 0;
	}
	i = folder_find(f, p.uid, &exact);
	if (f->recover && !whole(f, name, &p))
		return 0;
	/* Ours of before a kill or crash: never beyond what was reserved. */
	if (!exact)
		return scan_note(s, name,
		    p.uid < f->uid_reserved && (f->recover || p.uid >= f->uidnext) ? p.uid
										   : 0,
		    false);
	if (index_name(f, p.uid, known) == 0) {
		if (strcmp(known, name) == 0) {
			s->seen[i] = 1;
			return 0;
		}
		/* A copy beside the original is another message. */
		if (s->seen[i] ||
		    faccessat(f->curfd, known, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return scan_note(s, name, 0, false);
	}
	s->seen[i] = 1;
	scan_renamed(s, &f->msgs[i], name, &p);
	return 0;
}

static int
scan_dir(struct scan *s, bool in_new)
{
	int fd = openat(in_new ? s->f->dirfd : s->f->curfd, in_new ? "new" : ".",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    r = 0;
	struct dirent *e;
	DIR *d;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return -1;
	}
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL)
		r = scan_entry(s, e->d_name, in_new);
	if (e == NULL && errno != 0)
		r = -1;
	closedir(d);
	return r;
}

static int
compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid == 0 ? 1 : y->uid == 0 ? -1 : x->uid < y->uid ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Size with CRLF line ends when there are bare LFs, otherwise 0, and what can be learnt
 * of it; -1 on failure. */
static int
crlf_size(int fd, size_t len, uint64_t *size, struct learnt *l)
{
	const uint8_t *p;
	uint64_t bare = 0;

	*size = 0;
	if (len == 0)
		return 0;
	p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	for (const uint8_t *q = p;
	     (q = memchr(q, '\n', len - (size_t)(q - p))) != NULL;) {
		bare += q == p || q[-1] != '\r';
		if (++q == p + len)
			break;
	}
	if (bare > 0)
		*size = len + bare;
	else
		learn_octets(l, p, len);
	munmap((void *)(uintptr_t)p, len);
	return 0;
}

/* What we named has the second of its birth in the name. */
static uint32_t
saved_of(const struct found *found)
{
	unsigned long long t = strtoull(found->name, NULL, 10);

	return found->uid != 0 && t > 0 && t < UINT32_MAX ? (uint32_t)t
							  : (uint32_t)time(NULL);
}

/* 0: adopted or passed over; otherwise the store cannot go on. */
static enum store_error
adopt(struct folder *f, const struct found *found, const struct map *keywords,
    struct learnt *learnt)
{
	char path[MAILDIR_NAME_MAX + 8], name[MAILDIR_NAME_MAX + 1], unique[128];
	struct maildir_name p;
	struct message m = { 0 };
	struct delivered d = { 0 };
	enum store_error error;
	struct stat st;
	int fd;

	(void)snprintf(
	    path, sizeof(path), "%s/%s", found->in_new ? "new" : "cur", found->name);
	fd = openat(f->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > INT32_MAX) {
		if (fd != -1)
			close(fd);
		return STORE_OK;
	}
	maildir_name_parse(found->name, &p);
	if (found->uid == 0 || p.size == 0) {
		if (crlf_size(fd, (size_t)st.st_size, &p.crlf_size, learnt) == -1) {
			close(fd);
			return STORE_OK;
		}
	}
	close(fd);
	if ((error = folder_reserve(f, 1)) != STORE_OK)
		return error;
	m.uid = found->uid != 0 ? found->uid : f->uidnext;
	m.size = (uint32_t)(p.crlf_size != 0 ? p.crlf_size : (uint64_t)st.st_size);
	m.internal = st.st_mtime;
	m.modseq = f->modseq + 1;
	m.flags = p.flags;
	m.keywords = p.keywords;
	for (int i = f->n_keywords; i < 26; i++)
		m.keywords &= ~(UINT64_C(1) << i);
	m.recent = found->in_new;
	m.saved = saved_of(found);
	if (found->uid != 0) {
		(void)keyword_file_apply(f, keywords, m.uid, &m.keywords);
		(void)strlcpy(name, found->name, sizeof(name));
	} else {
		if (p.unique_len == 0 || p.unique_len > 128) {
			maildir_unique(unique, sizeof(unique));
			p.unique_len = strlen(unique);
		} else
			(void)strlcpy(unique, found->name,
			    p.unique_len + 1 < sizeof(unique) ? p.unique_len + 1
							      : sizeof(unique));
		p.size = (uint64_t)st.st_size;
		p.has_uid = true;
		p.uid = m.uid;
		p.uidvalidity = f->uidvalidity;
		p.has_delivery = false;
		if (maildir_name_print(unique, strlen(unique), &p, name) == -1)
			return STORE_OK;
		if (renameat(f->dirfd, path, f->curfd, name) == -1)
			return STORE_OK;
	}
	/* Delivered, and killed before the log had it (the queue asks for its own again).
	 */
	if (p.has_delivery && found->uid != 0) {
		d.queue_id = p.queue_id;
		d.rcpt = p.rcpt;
		d.folder = f->id;
		d.uid = m.uid;
		d.dirty = true;
		if (delivered_find(f->store, d.queue_id, d.rcpt) != NULL)
			p.has_delivery = false;
	} else
		p.has_delivery = false;
	return folder_add(f, &m, name, p.has_delivery ? &d : NULL, learnt);
}

/* Of the files that come back, which are in order. */
static void
read_keywords(struct scan *s)
{
	uint32_t *uids = reallocarray(NULL, s->n, sizeof(*uids));
	size_t n = 0;

	s->keywords_read = true;
	if (uids == NULL)
		return;
	for (size_t i = 0; i < s->n && s->list[i].uid != 0; i++)
		uids[n++] = s->list[i].uid;
	keyword_file_read(s->f, uids, n, &s->keywords);
	free(uids);
}

static enum store_error
adopt_one(struct scan *s, const struct found *found)
{
	struct learnt learnt = { 0 };
	enum store_error error;

	if (found->uid != 0 && !s->keywords_read)
		read_keywords(s);
	error = adopt(s->f, found, &s->keywords, &learnt);
	learnt_clear(&learnt);
	return error;
}

static enum store_error
remove_vanished(struct scan *s, size_t n_before)
{
	struct folder *f = s->f;
	struct log_record r;
	uint32_t *uids;
	enum store_error error;
	size_t n = 0;

	for (size_t i = 0; i < n_before; i++)
		n += !s->seen[i];
	if (n == 0)
		return STORE_OK;
	if ((uids = reallocarray(NULL, n, sizeof(*uids))) == NULL)
		return store_errno("scan");
	n = 0;
	(void)folder_reserve(f, 0);
	log_begin(&r, LOG_EXPUNGE, f);
	log_u64(&r, f->modseq + 1);
	for (size_t i = 0; i < n_before; i++)
		if (!s->seen[i]) {
			uids[n++] = f->msgs[i].uid;
			log_u32(&r, f->msgs[i].uid);
		}
	if ((error = log_write(f->store, &r)) == STORE_OK) {
		folder_remove(f, uids, n, f->modseq + 1);
		/* There is nothing to unlink, and what comes back is welcome. */
		for (size_t i = 0; i < n; i++)
			map_remove(&f->unlinks, uids[i]);
		log_info("%s: %zu messages were removed by another program", f->name, n);
	}
	free(uids);
	return error;
}

static int
dir_times(struct folder *f, struct timespec *cur, struct timespec *new)
{
	struct stat a, b;

	if (fstat(f->curfd, &a) == -1 ||
	    fstatat(f->dirfd, "new", &b, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	*cur = a.st_mtim;
	*new = b.st_mtim;
	return 0;
}

/* Within the clock's grain a later change may leave the same time. */
static bool
is_racy(const struct timespec *t)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)(now.tv_sec - t->tv_sec) * 1000000000 + now.tv_nsec - t->tv_nsec;
	return ns < RACY_NS;
}

enum store_error
folder_scan(struct folder *f)
{
	struct timespec cur, new, cur2, new2;
	struct scan s = { 0 };
	enum store_error error = STORE_OK;
	size_t n_before = 0;

	f->needs_scan = f->racy = false;
	folder_read_all(f);
	for (int pass = 0; pass < PASSES; pass++) {
		if (s.flags_changed) {
			(void)log_write(f->store, &s.flags);
			s.flags_changed = false;
		}
		scan_clear(&s);
		s.f = f;
		n_before = f->n;
		if (dir_times(f, &cur, &new) == -1 ||
		    (s.seen = calloc(1, n_before + 1)) == NULL ||
		    scan_dir(&s, false) == -1 || scan_dir(&s, true) == -1) {
			error = store_errno(f->name);
			scan_clear(&s);
			return error;
		}
		/* A directory that changes while it is read may hide a file. */
		if (dir_times(f, &cur2, &new2) == 0 && time_same(&cur, &cur2) &&
		    time_same(&new, &new2))
			break;
	}
	if (s.flags_changed) {
		error = log_write(f->store, &s.flags);
		s.flags_changed = false;
	}
	if (error == STORE_OK)
		error = remove_vanished(&s, n_before);
	if (s.n > 0)
		qsort(s.list, s.n, sizeof(*s.list), compare_found);
	for (size_t i = 0; i < s.n && error == STORE_OK; i++)
		if (s.list[i].uid == 0 || folder_message_by_uid(f, s.list[i].uid) == NULL)
			error = adopt_one(&s, &s.list[i]);
	/* What we renamed ourselves is not news. */
	if (s.n > 0 && dir_times(f, &cur2, &new2) == 0) {
		cur = cur2;
		new = new2;
	}
	if (error == STORE_OK) {
		f->racy = is_racy(&cur) || is_racy(&new);
		f->recover = false;
	} else
		f->needs_scan = true;
	if (!time_same(&f->cur_time, &cur) || !time_same(&f->new_time, &new)) {
		f->cur_time = cur;
		f->new_time = new;
		f->times_logged = false;
	}
	scan_clear(&s);
	f->store->outside = true;
	folder_changed(f);
	f->store->outside = false;
	return error;
}

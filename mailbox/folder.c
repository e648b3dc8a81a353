/* SPDX-License-Identifier: ISC */
/* An open folder: its messages in memory, flags, expunge, watchers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/proto/encoding.h"
#include "mailbox/fts.h"
#include "mailbox/keyword_file.h"
#include "mailbox/store_int.h"

/* ---- loading ---- */

static int
open_dirs(struct folder *f)
{
	static const char *const subs[] = { "cur", "new", "tmp" };
	char dir[MAILDIR_NAME_MAX + 1];

	if (maildir_folder_dir(f->name, dir, sizeof(dir)) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	f->dirfd = openat(f->store->mailfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dirfd == -1)
		return -1;
	f->curfd = openat(f->dirfd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->curfd == -1 && errno == ENOENT) {
		for (size_t i = 0; i < 3; i++)
			if (mkdirat(f->dirfd, subs[i], 0700) == -1 && errno != EEXIST)
				return -1;
		f->curfd = openat(f->dirfd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return f->curfd == -1 ? -1 : 0;
}

/* What a killed process left half written. */
static void
clean_tmp(int dirfd)
{
	int fd = openat(dirfd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd == -1)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
			(void)unlinkat(fd, e->d_name, 0);
	closedir(d);
}

enum store_error
folder_load(struct folder *f)
{
	enum store_error error;

	if (f->loaded)
		return STORE_OK;
	if (open_dirs(f) == -1) {
		error = errno == ENOENT ? STORE_NOT_FOUND : store_errno(f->name);
		folder_unload(f);
		return error;
	}
	f->loaded = true;
	if ((error = index_load(f)) != STORE_OK) {
		folder_unload(f);
		return error;
	}
	if (f->recover && (error = folder_recover_bounds(f)) != STORE_OK) {
		folder_unload(f);
		return error;
	}
	if (f->refs == 0 && !f->store->replaying &&
	    (f->n_lazy == 0 || f->lists.n > KEYWORD_LISTS_MAX / 4 ||
		f->list_octets > KEYWORD_LISTS_OCTETS / 4))
		keyword_lists_sweep(f);
	clean_tmp(f->dirfd);
	keyword_file_start(f);
	f->times_logged = true;
	return STORE_OK;
}

enum store_error
folder_recover_bounds(struct folder *f)
{
	enum store_error error = folder_meta_load(f);

	if (error != STORE_OK)
		return error;
	if (!f->fresh) {
		if (f->uidnext < f->uid_reserved)
			f->uidnext = f->uid_reserved;
		if (f->modseq < f->modseq_reserved)
			f->modseq = f->modseq_reserved;
	}
	f->fresh = false;
	f->dirty = true;
	return STORE_OK;
}

void
folder_unload(struct folder *f)
{
	fts_close(f);
	if (f->dirfd != -1)
		close(f->dirfd);
	if (f->curfd != -1)
		close(f->curfd);
	f->dirfd = f->curfd = -1;
	free(f->msgs);
	f->msgs = NULL;
	f->n = f->cap = f->unseen = f->recents = 0;
	f->n_lazy = f->blocks_unread = 0;
	blocks_clear(&f->blocks);
	blocks_clear(&f->blocks_next);
	map_clear(&f->names);
	map_clear(&f->cache);
	free(f->dirty_blocks);
	f->dirty_blocks = NULL;
	f->dirty_blocks_len = 0;
	free(f->deleted);
	f->deleted = NULL;
	f->n_deleted = f->deleted_cap = 0;
	free(f->renames);
	f->renames = NULL;
	f->n_renames = f->renames_cap = 0;
	free(f->expunged);
	f->expunged = NULL;
	f->n_expunged = f->expunged_cap = 0;
	keyword_file_leave(f);
	f->loaded = false;
	f->racy = false;
}

void
folder_free(struct folder *f)
{
	struct folder_watch *w;

	if (f == NULL)
		return;
	folder_unload(f);
	folder_acl_free(f);
	map_clear(&f->unlinks);
	for (int i = 0; i < f->n_keywords; i++)
		free(f->keywords[i]);
	free(f->keywords);
	keyword_lists_clear(f);
	while ((w = LIST_FIRST(&f->watches)) != NULL) {
		LIST_REMOVE(w, entry);
		w->folder = NULL;
	}
	free(f);
}

enum store_error
folder_open(struct store *s, const char *name, struct folder **out)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_error error;
	struct folder *f;

	*out = NULL;
	if (maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return STORE_NOT_FOUND;
	if ((f = folder_lookup(s, canonical)) == NULL) {
		if ((error = folders_refresh(s, 0)) != STORE_OK)
			return error;
		if ((f = folder_lookup(s, canonical)) == NULL)
			return STORE_NOT_FOUND;
	}
	/* Its directory was taken away; it may be there again. */
	if (f->gone && !f->detached && f->refs == 0) {
		if (f->dirty && (error = index_checkpoint(s)) != STORE_OK)
			return error;
		folder_unload(f);
		f->gone = false;
		f->needs_scan = true;
	}
	if (!f->loaded)
		store_make_room(s);
	if ((error = folder_load(f)) != STORE_OK)
		return error;
	f->refs++;
	if ((error = folder_refresh(f)) != STORE_OK) {
		folder_close(f);
		return error;
	}
	*out = f;
	return STORE_OK;
}

void
folder_close(struct folder *f)
{
	if (f == NULL || --f->refs > 0)
		return;
	if (f->detached)
		folder_free(f);
}

const char *
folder_name(const struct folder *f)
{
	return f->name;
}

enum store_error
folder_refresh(struct folder *f)
{
	struct stat cur, new, named;

	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	/* Moved away is gone too; what is there now is opened when nobody has this one.
	 */
	if (fstatat(f->dirfd, "cur", &named, 0) == -1 || fstat(f->curfd, &cur) == -1 ||
	    cur.st_ino != named.st_ino || cur.st_dev != named.st_dev) {
		f->gone = true;
		return STORE_NOT_FOUND;
	}
	if (cur.st_nlink == 0 ||
	    fstatat(f->dirfd, "new", &new, AT_SYMLINK_NOFOLLOW) == -1) {
		if (mkdirat(f->dirfd, "new", 0700) == 0)
			return STORE_OK;
		f->gone = true;
		return STORE_NOT_FOUND;
	}
	if (!f->needs_scan && !f->recover && !f->racy &&
	    time_same(&cur.st_mtim, &f->cur_time) &&
	    time_same(&new.st_mtim, &f->new_time))
		return STORE_OK;
	return folder_scan(f);
}

/* ---- reading ---- */

uint32_t
folder_uidvalidity(const struct folder *f)
{
	return f->uidvalidity;
}

uint32_t
folder_uidnext(const struct folder *f)
{
	return f->uidnext;
}

uint64_t
folder_highestmodseq(const struct folder *f)
{
	return f->modseq;
}

const char *
folder_id(const struct folder *f)
{
	return f->mailbox_id;
}

void
folder_urls_reset(struct folder *f)
{
	f->url_resets++;
}

uint32_t
folder_url_resets(const struct folder *f)
{
	return f->url_resets;
}

size_t
folder_count(const struct folder *f)
{
	return f->n;
}

const struct message *
folder_message(const struct folder *f, size_t i)
{
	/* Reading changes nothing that can be seen. */
	return i < f->n ? folder_at((struct folder *)(uintptr_t)f, i) : NULL;
}

static uint32_t
uid_at(const struct folder *f, size_t i)
{
	return folder_at((struct folder *)(uintptr_t)f, i)->uid;
}

size_t
folder_find(const struct folder *f, uint32_t uid, int *exact)
{
	size_t lo, hi;

	/* Without gaps the UID tells the place. */
	if (f->n_lazy == 0 && f->n > 0 && uid >= f->msgs[0].uid) {
		size_t guess = uid - f->msgs[0].uid;

		if (guess < f->n && f->msgs[guess].uid == uid) {
			if (exact != NULL)
				*exact = 1;
			return guess;
		}
	}
	folder_narrow(f, uid, &lo, &hi);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (uid_at(f, mid) < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (exact != NULL)
		*exact = lo < f->n && folder_has_read(f, lo) && f->msgs[lo].uid == uid;
	return lo;
}

struct message *
folder_message_by_uid(struct folder *f, uint32_t uid)
{
	int exact;
	size_t i = folder_find(f, uid, &exact);

	return exact ? &f->msgs[i] : NULL;
}

size_t
folder_unseen(const struct folder *f)
{
	return f->unseen;
}

size_t
folder_recents(const struct folder *f)
{
	return f->recents;
}

size_t
folder_clear_recent(struct folder *f)
{
	size_t n = f->recents;

	for (size_t i = f->n;
	     f->recents > 0 && (i = folder_recent_before(f, i)) != SIZE_MAX;) {
		f->msgs[i].recent = 0;
		f->recents--;
		folder_mark(f, f->msgs[i].uid);
	}
	return n;
}

size_t
folder_take_recent(struct folder *f)
{
	struct log_record r;
	size_t n = folder_clear_recent(f);

	if (n > 0) {
		log_begin(&r, LOG_RECENT, f);
		(void)log_write(f->store, &r);
	}
	return n;
}

int
folder_expunged_since(
    struct folder *f, uint64_t modseq, void (*cb)(uint32_t uid, void *), void *arg)
{
	size_t i = f->n_expunged;

	if (modseq < f->expunged_saved.floor || index_expunged(f, modseq, cb, arg) == -1)
		return -1;
	while (i > 0 && f->expunged[i - 1].modseq > modseq)
		i--;
	for (; i < f->n_expunged; i++)
		cb(f->expunged[i].uid, arg);
	return 0;
}

/* ---- watchers ---- */

struct folder_watch *
folder_watch(struct folder *f, void (*cb)(struct folder *, void *), void *arg)
{
	struct folder_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->folder = f;
	w->cb = cb;
	w->arg = arg;
	LIST_INSERT_HEAD(&f->watches, w, entry);
	return w;
}

void
folder_unwatch(struct folder_watch *w)
{
	if (w == NULL)
		return;
	if (w->folder != NULL)
		LIST_REMOVE(w, entry);
	free(w);
}

void
folder_watch_before(struct folder_watch *w, void (*before)(struct folder *, void *))
{
	w->before = before;
}

/* Messages are about to go, or to stand elsewhere. */
static void
tell_before(struct folder *f)
{
	struct folder_watch *w;

	LIST_FOREACH (w, &f->watches, entry)
		if (w->before != NULL)
			w->before(f, w->arg);
	folder_read_all(f);
}

void
folder_changed(struct folder *f)
{
	struct folder_watch *w, *next;

	struct store_news news = { .kind = STORE_NEWS_MESSAGES,
		.changes = f->news,
		.outside = f->store->outside,
		.name = f->name };

	if (f->news == 0)
		return;
	f->news = 0;
	for (w = LIST_FIRST(&f->watches); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		w->cb(f, w->arg);
	}
	if ((news.changes & FOLDER_NEWS_GONE) == 0)
		store_tell(f->store, &news);
}

/* ---- changes in memory ---- */

void
folder_mark(struct folder *f, uint32_t uid)
{
	size_t block = uid / INDEX_BLOCK, octet = block / 8;

	f->dirty = true;
	if (octet >= f->dirty_blocks_len) {
		size_t len = octet + octet / 2 + 64;
		uint8_t *p = realloc(f->dirty_blocks, len);

		if (p == NULL) {
			/* The log has it; only the next start will be slower. */
			log_warnx("no memory to note a change of %s", f->name);
			return;
		}
		memset(p + f->dirty_blocks_len, 0, len - f->dirty_blocks_len);
		f->dirty_blocks = p;
		f->dirty_blocks_len = len;
	}
	f->dirty_blocks[octet] |= (uint8_t)(1u << block % 8);
}

int
folder_insert(struct folder *f, const struct message *m, const char *name)
{
	size_t i;
	char *copy;

	if (f->n == f->cap) {
		size_t cap = f->cap + f->cap / 2 + 64;
		struct message *p = reallocarray(f->msgs, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		f->msgs = p;
		f->cap = cap;
	}
	if ((copy = strdup(name)) == NULL ||
	    map_put(&f->names, m->uid, copy, strlen(copy)) == -1)
		return -1;
	i = f->n;
	if (f->n > 0 && folder_at(f, f->n - 1)->uid > m->uid) {
		tell_before(f);
		i = folder_find(f, m->uid, NULL);
	}
	memmove(f->msgs + i + 1, f->msgs + i, (f->n - i) * sizeof(*f->msgs));
	memset(f->msgs + i, 0, sizeof(*f->msgs));
	f->msgs[i].uid = m->uid;
	f->msgs[i].size = m->size;
	f->msgs[i].internal = m->internal;
	f->msgs[i].modseq = m->modseq;
	f->msgs[i].keywords = m->keywords;
	f->msgs[i].flags = m->flags;
	f->msgs[i].recent = m->recent;
	f->msgs[i].zone = m->zone;
	f->msgs[i].saved = m->saved;
	f->n++;
	f->octets += m->size;
	f->messages++;
	f->recents += m->recent != 0;
	f->unseen += (m->flags & FLAG_SEEN) == 0;
	if (m->uid >= f->uidnext)
		f->uidnext = m->uid + 1;
	if (m->modseq > f->modseq)
		f->modseq = m->modseq;
	folder_mark(f, m->uid);
	if (m->keywords >> 26 != 0)
		keyword_file_mark(f, m->uid);
	f->news |= FOLDER_NEWS_NEW;
	return 0;
}

void
uids_push(uint32_t **list, size_t *n, size_t *cap, uint32_t v)
{
	if (*n == *cap) {
		size_t more = *cap + *cap / 2 + 64;
		uint32_t *p = reallocarray(*list, more, sizeof(*p));

		if (p == NULL) {
			log_warnx("no memory for work put off");
			return;
		}
		*list = p;
		*cap = more;
	}
	(*list)[(*n)++] = v;
}

static void
push_expunged(struct folder *f, uint32_t uid, uint64_t modseq)
{
	if (f->n_expunged == f->expunged_cap) {
		size_t cap = f->expunged_cap + f->expunged_cap / 2 + 64;
		struct expunged *p = reallocarray(f->expunged, cap, sizeof(*p));

		if (p == NULL) {
			log_warnx("no memory for an expunged message");
			f->expunged_saved.floor = modseq;
			return;
		}
		f->expunged = p;
		f->expunged_cap = cap;
	}
	f->expunged[f->n_expunged++] = (struct expunged){ modseq, uid };
}

static void
remove_one(struct folder *f, const struct message *m, uint64_t modseq)
{
	char name[MAILDIR_NAME_MAX + 1], *copy;

	if (index_name(f, m->uid, name) == 0 && (copy = strdup(name)) != NULL)
		(void)map_put(&f->unlinks, m->uid, copy, strlen(copy));
	map_remove(&f->names, m->uid);
	if (f->cache.n > 0)
		for (unsigned int kind = 0; kind < CACHE_KINDS; kind++)
			map_remove(&f->cache, (uint64_t)m->uid << 8 | kind);
	uids_push(&f->deleted, &f->n_deleted, &f->deleted_cap, m->uid);
	push_expunged(f, m->uid, modseq);
	folder_mark(f, m->uid);
	f->octets -= m->size < f->octets ? m->size : f->octets;
	f->messages -= f->messages > 0;
	f->unseen -= (m->flags & FLAG_SEEN) == 0;
	f->recents -= m->recent != 0;
}

/* uids ascending, otherwise some are passed over. */
void
folder_remove(struct folder *f, const uint32_t *uids, size_t n, uint64_t modseq)
{
	size_t from, to;

	tell_before(f);
	from = to = n > 0 ? folder_find(f, uids[0], NULL) : f->n;
	for (size_t j = 0; from < f->n; from++) {
		while (j < n && uids[j] < f->msgs[from].uid)
			j++;
		if (j < n && uids[j] == f->msgs[from].uid)
			remove_one(f, &f->msgs[from], modseq);
		else {
			if (to != from)
				f->msgs[to] = f->msgs[from];
			to++;
		}
	}
	f->n = to;
	if (modseq > f->modseq)
		f->modseq = modseq;
	f->dirty = true;
	f->news |= FOLDER_NEWS_EXPUNGED;
}

static int
compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

size_t
uids_unique(uint32_t *v, size_t n)
{
	size_t k = n > 0;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_u32);
	for (size_t i = 1; i < n; i++)
		if (v[i] != v[k - 1])
			v[k++] = v[i];
	return k;
}

bool
uids_contain(const uint32_t *v, size_t n, uint32_t uid)
{
	return n > 0 && bsearch(&uid, v, n, sizeof(*v), compare_u32) != NULL;
}

void
folder_queue_rename(struct folder *f, uint32_t uid)
{
	/* Flags that go to and fro faster than files are renamed. */
	if (f->n_renames > 4096 && f->n_renames > 2 * f->n)
		f->n_renames = uids_unique(f->renames, f->n_renames);
	uids_push(&f->renames, &f->n_renames, &f->renames_cap, uid);
}

void
folder_apply_flags(struct folder *f, struct message *m, uint8_t flags, uint64_t keywords,
    uint64_t modseq)
{
	const uint64_t in_name = (UINT64_C(1) << 26) - 1;

	if (m->flags != flags || ((m->keywords ^ keywords) & in_name) != 0)
		folder_queue_rename(f, m->uid);
	if (((m->keywords ^ keywords) & ~in_name) != 0)
		keyword_file_mark(f, m->uid);
	f->unseen -= (m->flags & FLAG_SEEN) == 0;
	f->unseen += (flags & FLAG_SEEN) == 0;
	f->news |= FOLDER_NEWS_FLAGS;
	if ((m->flags ^ flags) & FLAG_SEEN)
		f->news |= FOLDER_NEWS_SEEN;
	m->flags = flags;
	m->keywords = keywords;
	m->modseq = modseq;
	if (modseq > f->modseq)
		f->modseq = modseq;
	folder_mark(f, m->uid);
}

enum store_error
folder_add(struct folder *f, const struct message *m, const char *name,
    const struct delivered *d, const struct learnt *l)
{
	struct log_record r;
	enum store_error error;

	log_begin(&r, LOG_ADD, f);
	log_u32(&r, m->uid);
	log_u32(&r, m->size);
	log_u64(&r, (uint64_t)m->internal);
	log_u64(&r, m->modseq);
	log_u64(&r, m->keywords);
	log_u8(&r, m->flags);
	log_u8(&r, m->recent);
	log_u32(&r, (uint32_t)(int32_t)m->zone);
	log_u32(&r, m->saved);
	log_bytes(&r, name, strlen(name));
	log_u8(&r, d != NULL);
	if (d != NULL) {
		log_u64(&r, d->queue_id);
		log_u32(&r, d->rcpt);
		log_u64(&r, d->size);
		log_u32(&r, d->crc);
	}
	if (l != NULL)
		log_raw(&r, l->buf, l->len);
	if ((error = log_write(f->store, &r)) != STORE_OK)
		return error;
	if (folder_insert(f, m, name) == -1 ||
	    (d != NULL && delivered_add(f->store, d) == -1)) {
		errno = ENOMEM;
		return store_errno("adding a message");
	}
	if (l != NULL)
		(void)folder_learn(f, m->uid, l->buf, l->len);
	return STORE_OK;
}

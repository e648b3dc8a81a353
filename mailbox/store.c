/* SPDX-License-Identifier: ISC */
/* A mailbox as a whole: opening, flushing, closing; see store.h and store_int.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/keyword_file.h"
#include "mailbox/store_int.h"

#define LOCK_WAIT_MS 5000
#define LOADED_MAX 16    /* folders kept in memory that nobody has open */
#define LOADED_LIMIT 256 /* each holds two descriptors */
#define CACHE_AGE_S 5
#define RETRY_S 10
#define RECOVER_BATCH 256 /* folders a checkpoint */
#define CLOSE_ROUNDS 1000 /* what cannot be removed must not hold the end up */

static char boot_id[COMPAT_BOOT_ID_SIZE];

const char *
store_error_text(enum store_error e)
{
	switch (e) {
	case STORE_OK:
		return "Done";
	case STORE_NOT_FOUND:
		return "No such mailbox or message";
	case STORE_DENIED:
		return "You have not the right to do that";
	case STORE_EXISTS:
		return "Mailbox exists already";
	case STORE_BAD_NAME:
		return "This mailbox name cannot be used";
	case STORE_HAS_CHILDREN:
		return "Mailbox has inferior names";
	case STORE_FULL:
		return "Quota exceeded";
	case STORE_NO_SPACE:
		return "No space left on the server";
	case STORE_LIMIT:
		return "A limit of this mailbox is reached";
	case STORE_GONE:
		return "The message is gone";
	case STORE_BINARY:
		return "NUL where no transfer encoding can hold it";
	case STORE_IO:
		return "Internal error of the mailbox";
	}
	return "Unknown error";
}

enum store_error
store_errno(const char *what)
{
	int e = errno;

	if (e == ENOSPC || e == EDQUOT || e == EFBIG) {
		log_warn("%s", what);
		return STORE_NO_SPACE;
	}
	log_warn("%s", what);
	return STORE_IO;
}

int
time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

void
store_prepare(void)
{
	if (boot_id[0] == '\0' && compat_boot_id(boot_id) == -1)
		boot_id[0] = '\0';
}

struct folder *
store_folder_by_id(struct store *s, uint32_t id)
{
	for (size_t i = 0; i < s->n_folders; i++)
		if (s->folders[i]->id == id)
			return s->folders[i];
	return NULL;
}

/* A process that is just ending may still have it. */
static enum store_error
take_lock(struct store *s)
{
	static const struct timespec pause = { 0, 20 * 1000 * 1000 };

	s->lockfd = openat(s->indexfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lockfd == -1)
		return store_errno("index/lock");
	for (int ms = 0; flock(s->lockfd, LOCK_EX | LOCK_NB) == -1; ms += 20) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK || ms >= LOCK_WAIT_MS) {
			log_warnx("the mailbox is in use by another process");
			return STORE_IO;
		}
		nanosleep(&pause, NULL);
	}
	return STORE_OK;
}

static int
open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
open_dirs(struct store *s)
{
	if ((s->mailfd == -1 && (s->mailfd = open_dir(s->dirfd, "Maildir")) == -1) ||
	    (s->indexfd == -1 && (s->indexfd = open_dir(s->dirfd, "index")) == -1))
		return -1;
	return 0;
}

static int
make_dirs(int dirfd)
{
	static const char *const names[] = { "Maildir", "Maildir/cur", "Maildir/new",
		"Maildir/tmp", "index" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mkdirat(dirfd, names[i], 0700) == -1 && errno != EEXIST)
			return -1;
	return 0;
}

/*
 * After another boot, or without an index: every folder is compared with its files
 * before anything else, and a checkpoint ends the doubt.
 */
static enum store_error
recover(struct store *s)
{
	enum store_error error;
	size_t n = 0;

	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		f->recover = true;
		error = f->loaded ? folder_recover_bounds(f) : folder_load(f);
		if (error == STORE_NOT_FOUND)
			continue;
		if (error == STORE_OK)
			error = folder_scan(f);
		if (error == STORE_NO_SPACE)
			return error;
		/* What is wrong with one folder is no reason to lock the others up. */
		if (error != STORE_OK) {
			log_warnx("%s cannot be compared with its files", f->name);
			(void)folder_recover_bounds(f);
			continue;
		}
		(void)folder_rename_work(f, INT_MAX);
		if (!s->index_lost)
			keyword_file_doubt(f);
		keyword_file_flush(f);
		/* Each holds two descriptors. */
		if (s->log_len <= LOG_CHECKPOINT && ++n < RECOVER_BATCH)
			continue;
		if ((error = index_checkpoint(s)) != STORE_OK)
			return error;
		for (size_t j = 0; j <= i; j++)
			if (s->folders[j]->loaded && s->folders[j]->n_renames == 0)
				folder_unload(s->folders[j]);
		n = 0;
	}
	s->other_boot = false;
	if ((error = index_checkpoint(s)) != STORE_OK) {
		s->other_boot = true;
		return error;
	}
	s->recovered = true;
	return STORE_OK;
}

enum store_error
store_open(int dirfd, uint64_t quota, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	enum store_error error = STORE_IO;

	*out = NULL;
	if (s == NULL)
		return STORE_IO;
	s->mailfd = s->indexfd = s->lockfd = s->logfd = -1;
	s->quota = quota;
	store_prepare();
	(void)strlcpy(s->boot, boot_id, sizeof(s->boot));
	/* What is within Maildir is made where it is missed. */
	if ((s->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    (open_dirs(s) == -1 &&
		(errno != ENOENT || make_dirs(dirfd) == -1 || open_dirs(s) == -1))) {
		error = store_errno("mailbox directory");
		goto fail;
	}
	if ((error = take_lock(s)) != STORE_OK || (error = index_open(s)) != STORE_OK ||
	    (error = log_open(s)) != STORE_OK ||
	    (error = subscriptions_load(s)) != STORE_OK ||
	    (error = folders_refresh(s, 1)) != STORE_OK)
		goto fail;
	store_acl_open(s);
	if (s->other_boot && (error = recover(s)) != STORE_OK)
		goto fail;
	s->trash = true; /* until looked */
	*out = s;
	return STORE_OK;
fail:
	store_close(s);
	return error;
}

/* One round of what was put off; returns nonzero while there is more. */
static int
work(struct store *s, int max)
{
	for (size_t i = 0; i < s->n_folders && max > 0; i++) {
		struct folder *f = s->folders[i];

		/* Left by a process before us. */
		if (!f->loaded && f->unlinks.cap > 0 && folder_load(f) != STORE_OK)
			map_clear(&f->unlinks);
		if (!f->loaded)
			continue;
		max = folder_rename_work(f, max);
		max = folder_unlink_work(f, max);
	}
	return trash_work(s, max) == 0;
}

static void
log_times(struct folder *f)
{
	struct log_record r;

	log_begin(&r, LOG_TIMES, f);
	log_u64(&r, (uint64_t)f->cur_time.tv_sec);
	log_u32(&r, (uint32_t)f->cur_time.tv_nsec);
	log_u64(&r, (uint64_t)f->new_time.tv_sec);
	log_u32(&r, (uint32_t)f->new_time.tv_nsec);
	if (log_write(f->store, &r) == STORE_OK)
		f->times_logged = true;
}

static void
unload_some(struct store *s, size_t keep)
{
	size_t loaded = 0;

	for (size_t i = 0; i < s->n_folders; i++)
		loaded += s->folders[i]->loaded && s->folders[i]->refs == 0;
	for (size_t i = 0; i < s->n_folders && loaded > keep; i++) {
		struct folder *f = s->folders[i];

		if (f->loaded && f->refs == 0 && !f->dirty && f->n_renames == 0 &&
		    f->n_keyword_marks == 0 && f->unlinks.cap == 0) {
			folder_unload(f);
			loaded--;
		}
	}
}

void
store_make_room(struct store *s)
{
	size_t loaded = 0, dirty = 0;

	for (size_t i = 0; i < s->n_folders; i++)
		if (s->folders[i]->loaded && s->folders[i]->refs == 0) {
			loaded++;
			dirty += s->folders[i]->dirty;
		}
	if (loaded < LOADED_LIMIT)
		return;
	if (dirty > LOADED_LIMIT / 2 && s->checkpoint_failed.tv_sec == 0)
		(void)index_checkpoint(s);
	unload_some(s, LOADED_MAX);
}

static void
flush(struct store *s)
{
	struct timespec now;

	for (size_t i = 0; i < s->n_folders; i++)
		if (s->folders[i]->loaded) {
			if (!s->folders[i]->times_logged)
				log_times(s->folders[i]);
			keyword_file_flush(s->folders[i]);
		}
	(void)log_sync(s);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (s->checkpoint_failed.tv_sec != 0 &&
	    now.tv_sec - s->checkpoint_failed.tv_sec < RETRY_S)
		return;
	if (s->log_len > LOG_CHECKPOINT || s->cache_pending > CACHE_PENDING_MAX ||
	    (s->cache_pending > 0 && now.tv_sec - s->cache_since >= CACHE_AGE_S)) {
		(void)index_checkpoint(s);
		unload_some(s, LOADED_MAX);
	}
}

enum store_error
store_sync(struct store *s)
{
	return log_sync(s) == -1 ? store_errno("change log") : STORE_OK;
}

void
store_flush(struct store *s)
{
	(void)work(s, FLUSH_BATCH);
	flush(s);
}

int
store_busy(const struct store *s)
{
	for (size_t i = 0; i < s->n_folders; i++)
		if (s->folders[i]->n_renames > 0 || s->folders[i]->unlinks.cap > 0)
			return 1;
	return s->trash;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->env != NULL && s->logfd != -1) {
		for (int i = 0; i < CLOSE_ROUNDS && work(s, FLUSH_BATCH); i++)
			;
		flush(s);
		if (s->log_len > LOG_LEAVE || s->cache_pending > 0)
			(void)index_checkpoint(s);
	}
	index_close(s);
	for (size_t i = 0; i < s->n_folders; i++)
		folder_free(s->folders[i]);
	free(s->folders);
	subscriptions_free(s);
	free(s->delivered);
	free(s->removed_ids);
	if (s->logfd != -1)
		close(s->logfd);
	/* Last: whoever waits for it finds all done. */
	if (s->lockfd != -1)
		close(s->lockfd);
	if (s->indexfd != -1)
		close(s->indexfd);
	if (s->mailfd != -1)
		close(s->mailfd);
	if (s->dirfd != -1)
		close(s->dirfd);
	free(s);
}

uint64_t
store_used(struct store *s)
{
	uint64_t used = 0;

	for (size_t i = 0; i < s->n_folders; i++)
		used += s->folders[i]->octets;
	return used;
}

uint64_t
store_messages(struct store *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n_folders; i++) {
		if (s->folders[i]->uncounted)
			(void)folder_load(s->folders[i]);
		n += s->folders[i]->messages;
	}
	return n;
}

bool
store_has_room(struct store *s, uint64_t octets, uint64_t messages)
{
	if (s->quota != 0 && store_used(s) + octets > s->quota)
		return false;
	return s->quota_messages == 0 ||
	       store_messages(s) + messages <= s->quota_messages;
}

uint64_t
store_quota(const struct store *s)
{
	return s->quota;
}

uint64_t
store_quota_messages(const struct store *s)
{
	return s->quota_messages;
}

void
store_set_quota(struct store *s, uint64_t octets, uint64_t messages)
{
	s->quota = octets;
	s->quota_messages = messages;
}

int
store_root(const struct store *s)
{
	return s->dirfd;
}

int
store_index_dir(const struct store *s)
{
	return s->indexfd;
}

/*
 * The spool: opening and writing. See spool.h; content.c reads, clean.c keeps
 * the space in order.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "queued/qid.h"
#include "queued/spool_private.h"
#include "queued/sys.h"

#define FORMAT "fife-spool 3\n"
/* Without some or all fields of extensions; read as they are, then written as the present
 * one. */
#define FORMAT_1 "fife-spool 1\n"
#define FORMAT_2 "fife-spool 2\n"
#define RESERVE_IDS 4096
#define RESERVE_MARGIN 1024

static void
on_ref(void *arg, uint32_t seg, uint32_t octets, int add)
{
	struct spool *sp = arg;

	if (add)
		journal_ref(sp->j, seg, octets);
	else
		journal_unref(sp->j, seg, octets);
}

static int
lock_take(struct spool *sp, int wait_s)
{
	sp->lock_fd =
	    openat(sp->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sp->lock_fd == -1)
		return -1;
	for (int i = 0; flock(sp->lock_fd, LOCK_EX | LOCK_NB) == -1; i++) {
		struct timespec ts = { 0, 50000000 };

		if (errno != EWOULDBLOCK || i >= wait_s * 20)
			return -1;
		nanosleep(&ts, NULL);
	}
	return 0;
}

static int
dir_make(int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, 0700) == -1 && errno != EEXIST)
		return -1;
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The file that says what this is; written last of a new spool. */
static int
format_read(struct spool *sp, int *fresh, int *old)
{
	char buf[128];
	ssize_t n;
	int fd;

	*fresh = *old = 0;
	fd = openat(sp->dirfd, "format", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1) {
		*fresh = errno == ENOENT;
		return *fresh ? 0 : -1;
	}
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	*old = n > 0 && (strncmp(buf, FORMAT_1, sizeof(FORMAT_1) - 1) == 0 ||
			    strncmp(buf, FORMAT_2, sizeof(FORMAT_2) - 1) == 0);
	if (n <= 0 || (!*old && strncmp(buf, FORMAT, sizeof(FORMAT) - 1) != 0) ||
	    sscanf(buf + sizeof(FORMAT) - 1, "generation %" SCNx64, &sp->generation) !=
		1) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

static int
format_write(struct spool *sp)
{
	char buf[128];
	int fd, len;

	len = snprintf(
	    buf, sizeof(buf), FORMAT "generation %016" PRIx64 "\n", sp->generation);
	fd = openat(
	    sp->dirfd, "format.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (sys_pwrite(fd, buf, (size_t)len, 0) == -1 || sys_fsync(fd) == -1) {
		close(fd);
		return -1;
	}
	close(fd);
	if (sys_rename(sp->dirfd, "format.tmp", "format") == -1)
		return -1;
	return sys_fsync(sp->dirfd);
}

static int
body_dirs_make(struct spool *sp)
{
	char name[8];

	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", (unsigned int)i);
		if (mkdirat(sp->body_fd, name, 0700) == -1 && errno != EEXIST)
			return -1;
	}
	return sys_fsync(sp->body_fd);
}

static int
on_replay(struct loc at, const struct rec_header *h, const uint8_t *body, void *arg)
{
	struct spool *sp = arg;

	index_apply(&sp->ix, at, h, body, 1);
	return sp->ix.bad ? -1 : 0;
}

/* Body files whose message never was, or is no more. */
static void
bodies_sweep(struct spool *sp)
{
	for (int i = 0; i < 256; i++) {
		char name[8];
		DIR *d;
		struct dirent *e;
		int fd;

		snprintf(name, sizeof(name), "%02x", (unsigned int)i);
		fd = openat(
		    sp->body_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd == -1)
			continue;
		d = fdopendir(fd);
		if (d == NULL) {
			close(fd);
			continue;
		}
		while ((e = readdir(d)) != NULL) {
			uint64_t id;
			struct qmsg *m;

			if (e->d_name[0] == '.' || qid_parse(e->d_name, &id) == -1)
				continue;
			m = index_find(&sp->ix, id);
			if (m == NULL || !(m->flags & QM_FILE))
				(void)sys_unlink(dirfd(d), e->d_name);
		}
		closedir(d);
	}
}

static int
recover(struct spool *sp)
{
	struct loc at = { 0, 0 };
	int rv;

	index_init(&sp->ix, on_ref, sp);
	rv = checkpoint_load(sp->ckpt, &sp->ix, &at);
	if (rv == -1)
		return -1;
	if (rv == 1 && !journal_exists(sp->j, at.seg)) {
		log_warnx("spool: the journal lacks the segment of the checkpoint, "
			  "reading all");
		rv = 0;
	}
	if (rv == 0) {
		index_clear(&sp->ix);
		/* References were counted into the segments. */
		journal_forget_refs(sp->j);
		index_init(&sp->ix, on_ref, sp);
		at = (struct loc){ 0, 0 };
		checkpoint_set_stale(sp->ckpt);
	}
	journal_set_epoch(sp->j, sp->ix.epoch);
	if (journal_replay(sp->j, at.seg, at.off, on_replay, sp) == -1)
		return -1;
	if (sp->ix.bad) {
		errno = ENOMEM;
		return -1;
	}
	sp->ckpt_at = at;
	return 0;
}

static uint32_t
segment_size_pick(struct spool *sp, uint32_t wanted)
{
	struct statvfs vfs;
	uint64_t bytes;

	if (wanted != 0)
		return wanted;
	if (fstatvfs(sp->dirfd, &vfs) == -1)
		return JOURNAL_SEGMENT;
	bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize / 16;
	if (bytes >= JOURNAL_SEGMENT)
		return JOURNAL_SEGMENT;
	return bytes < JOURNAL_SEGMENT_MIN ? JOURNAL_SEGMENT_MIN
					   : (uint32_t)bytes & ~0xfffffU;
}

struct spool *
spool_open(struct event_base *base, const struct spool_conf *conf, int wait_s, char *why,
    size_t why_cap)
{
	struct spool *sp;
	char dir[1100];
	const char *step = "no memory";
	int fresh, old, saved;

	sp = calloc(1, sizeof(*sp));
	if (sp == NULL)
		goto fail;
	sp->base = base;
	sp->dirfd = sp->journal_fd = sp->body_fd = sp->lock_fd = -1;
	for (size_t i = 0; i < KEEP_MAX; i++)
		sp->keep[i].fd = -1;
	sp->reserve = conf->disk_reserve;
	step = "the directory";
	sp->dirfd = open(conf->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sp->dirfd == -1)
		goto fail;
	step = "the lock: another queued holds it";
	if (lock_take(sp, wait_s) == -1)
		goto fail;
	step = "the file format";
	if (format_read(sp, &fresh, &old) == -1)
		goto fail;
	step = "its directories";
	sp->journal_fd = dir_make(sp->dirfd, JOURNAL_DIR);
	sp->body_fd = dir_make(sp->dirfd, "body");
	if (sp->journal_fd == -1 || sp->body_fd == -1)
		goto fail;
	if (fresh) {
		if (body_dirs_make(sp) == -1)
			goto fail;
		step = "the file format";
		arc4random_buf(&sp->generation, sizeof(sp->generation));
		if (format_write(sp) == -1)
			goto fail;
	} else if (old && format_write(sp) == -1)
		goto fail;
	step = "the journal";
	sp->j = journal_open(base, sp->journal_fd, sp->generation,
	    segment_size_pick(sp, conf->segment_size));
	if (sp->j == NULL)
		goto fail;
	step =
	    "the checkpoint (directory index; it may be removed, the journal suffices)";
	snprintf(dir, sizeof(dir), "%s/index", conf->root);
	sp->ckpt = checkpoint_open(dir, sp->generation);
	if (sp->ckpt == NULL)
		goto fail;
	step = "recovery";
	if (recover(sp) == -1)
		goto fail;
	sp->bodies = syncer_new(base);
	if (sp->bodies == NULL)
		goto fail;
	sp->next_id = sp->ix.reserved > QID_FIRST ? sp->ix.reserved : QID_FIRST;
	sp->first_id = sp->next_id;
	sp->ix.reserved = sp->next_id + RESERVE_IDS;
	step = "the journal's next segment";
	journal_set_rules(sp->j, sp->ix.rules, sp->ix.rules_len);
	if (journal_start(sp->j, sp->ix.reserved, sp->ix.hold) == -1)
		goto fail;
	sp->reserved_durable = sp->ix.reserved;
	sp->tombs_known = journal_position(sp->j).seg + 1;
	/* Of a damaged journal it may be only the record that is lost. */
	if (journal_damaged(sp->j) > 0)
		spool_set_degraded(
		    sp, "the journal is damaged; run fifectl queue verify");
	else
		bodies_sweep(sp);
	return sp;
fail:
	saved = errno;
	snprintf(why, why_cap, "spool: %s: %s", step, strerror(saved));
	spool_abandon(sp);
	return NULL;
}

void
spool_abandon(struct spool *sp)
{
	if (sp == NULL)
		return;
	syncer_free(sp->bodies);
	journal_close(sp->j);
	checkpoint_close(sp->ckpt);
	sp->ix.ref = NULL;
	index_clear(&sp->ix);
	for (size_t i = 0; i < KEEP_MAX; i++) {
		if (sp->keep[i].fd != -1)
			close(sp->keep[i].fd);
	}
	if (sp->journal_fd != -1)
		close(sp->journal_fd);
	if (sp->body_fd != -1)
		close(sp->body_fd);
	if (sp->lock_fd != -1)
		close(sp->lock_fd);
	if (sp->dirfd != -1)
		close(sp->dirfd);
	free(sp->dead);
	free(sp->tombs);
	free(sp);
}

void
spool_close(struct spool *sp)
{
	if (sp == NULL)
		return;
	if (spool_checkpoint(sp) == -1)
		log_warn("spool: no checkpoint at the end");
	spool_abandon(sp);
}

struct index *
spool_index(struct spool *sp)
{
	return &sp->ix;
}

struct journal *
spool_journal(struct spool *sp)
{
	return sp->j;
}

void
spool_set_reserve(struct spool *sp, uint64_t disk_reserve)
{
	sp->reserve = disk_reserve;
	sp->disk_checked_ms = 0;
}

uint64_t
spool_disk_free(struct spool *sp)
{
	struct statvfs vfs;

	if (fstatvfs(sp->dirfd, &vfs) == 0)
		sp->disk_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return sp->disk_free;
}

const char *
spool_low(struct spool *sp, int known)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (sp->disk_checked_ms == 0 || now - sp->disk_checked_ms > 1000) {
		sp->disk_checked_ms = now;
		spool_disk_free(sp);
		sp->low[0] = '\0';
		if (sp->disk_free < sp->reserve)
			snprintf(sp->low, sizeof(sp->low),
			    "Insufficient system storage: the spool is almost full");
	}
	if (journal_is_full(sp->j))
		return "Insufficient system storage: the journal cannot grow";
	if (sp->low[0] == '\0' || (known && sp->disk_free >= sp->reserve / 4))
		return NULL;
	return sp->low;
}

const char *
spool_degraded(struct spool *sp)
{
	if (sp->ckpt_bad)
		return "the queue's checkpoint cannot be written";
	return sp->degraded[0] != '\0' ? sp->degraded : NULL;
}

void
spool_set_degraded(struct spool *sp, const char *text)
{
	strlcpy(sp->degraded, text, sizeof(sp->degraded));
}

static int
put_global(struct spool *sp)
{
	struct rec_global g = { sp->ix.reserved, sp->ix.hold, 0, 0 };
	struct bytes_out o = { 0 };

	rec_global_encode(&g, &o);
	journal_set_global(sp->j, g.reserved, g.hold);
	if (journal_room(sp->j, REC_PAD(REC_HEADER + (uint32_t)o.len), 1) == -1)
		return -1;
	o.p = journal_body(sp->j, REC_GLOBAL, 0, 0, (uint32_t)o.len);
	if (o.p == NULL)
		return -1;
	o.cap = o.len;
	o.len = 0;
	rec_global_encode(&g, &o);
	journal_put(sp->j);
	return 0;
}

static void
on_reserved(int error, void *arg)
{
	struct spool *sp = arg;

	/* The last one that was asked for; ids in between are simply not used up yet. */
	if (error == 0)
		sp->reserved_durable = sp->ix.reserved;
}

uint64_t
spool_id(struct spool *sp)
{
	if (sp->next_id + RESERVE_MARGIN >= sp->ix.reserved) {
		sp->ix.reserved += RESERVE_IDS;
		if (put_global(sp) == -1) {
			sp->ix.reserved -= RESERVE_IDS;
			journal_set_global(sp->j, sp->ix.reserved, sp->ix.hold);
		} else
			journal_commit(sp->j, 0, on_reserved, sp);
	}
	if (sp->next_id >= sp->reserved_durable) {
		if (journal_sync(sp->j) == -1 || sp->next_id >= sp->ix.reserved)
			return 0;
		sp->reserved_durable = sp->ix.reserved;
	}
	return sp->next_id++;
}

int
spool_held(struct spool *sp)
{
	return sp->ix.hold;
}

int
spool_set_held(struct spool *sp, int hold)
{
	sp->ix.hold = hold != 0;
	if (put_global(sp) == -1)
		return -1;
	return journal_sync(sp->j);
}

const uint8_t *
spool_rules(struct spool *sp, size_t *len)
{
	*len = sp->ix.rules_len;
	return sp->ix.rules;
}

int
spool_set_rules(struct spool *sp, const uint8_t *p, size_t len)
{
	uint8_t *body;

	if (journal_room(sp->j, REC_PAD(REC_HEADER + (uint32_t)len), 1) == -1)
		return -1;
	body = journal_body(sp->j, REC_RULES, 0, 0, (uint32_t)len);
	if (body == NULL || index_set_rules(&sp->ix, p, len) == -1)
		return -1;
	memcpy(body, p, len);
	journal_put(sp->j);
	journal_set_rules(sp->j, sp->ix.rules, sp->ix.rules_len);
	return journal_sync(sp->j);
}

uint32_t
spool_message_len(const struct spool_message *sm)
{
	struct bytes_out o = { 0 };

	rec_message_encode(&sm->rec, &o);
	if (!(sm->rec.flags & QM_FILE))
		o.len += sm->rec.size;
	return REC_PAD(REC_HEADER + (uint32_t)o.len);
}

uint32_t
spool_state_len(size_t rcpts_len)
{
	return REC_PAD(REC_HEADER + 12 + (uint32_t)rcpts_len);
}

uint32_t
spool_removed_len(void)
{
	return REC_PAD(REC_HEADER + 8);
}

int
spool_room(struct spool *sp, uint32_t len, int privileged)
{
	return journal_room(sp->j, len, privileged);
}

/* What the index does not take is not written either. */
static struct qmsg *
put_and_apply(struct spool *sp, enum rec_type type, uint64_t id, const uint8_t *body,
    uint32_t body_len)
{
	struct rec_header h = {
		.len = REC_HEADER + body_len, .type = (uint8_t)type, .id = id
	};
	struct loc at = journal_position(sp->j);
	struct qmsg *m;

	m = index_apply(&sp->ix, at, &h, body, 0);
	if (m != NULL)
		journal_put(sp->j);
	return m;
}

struct qmsg *
spool_put_message(struct spool *sp, uint64_t id, const struct spool_message *sm, int more)
{
	struct rec_message rec = sm->rec;
	struct bytes_out o = { 0 };
	size_t content = rec.flags & QM_FILE ? 0 : (size_t)rec.size;
	uint32_t len;
	uint8_t *body;
	struct qmsg *m;

	rec_message_encode(&rec, &o);
	len = (uint32_t)(o.len + content);
	body = journal_body(sp->j, REC_MESSAGE, more ? REC_F_MORE : 0, id, len);
	if (body == NULL)
		return NULL;
	if (content > 0) {
		if (sm->data != NULL)
			memcpy(body + o.len, sm->data, content);
		else if (sys_pread(sm->fd, body + o.len, content, 0) == -1)
			return NULL;
	}
	if (!(rec.flags & QM_FILE))
		rec.crc = crc32c(0, body + o.len, content);
	o = (struct bytes_out){ .p = body, .cap = o.len };
	rec_message_encode(&rec, &o);
	m = put_and_apply(sp, REC_MESSAGE, id, body, len);
	if (m != NULL)
		m->flags |= QM_PENDING;
	return m;
}

struct qmsg *
spool_put_state(struct spool *sp, struct qmsg *m, uint32_t flags, uint32_t nrcpt,
    const uint8_t *rcpts, size_t rcpts_len, int more)
{
	struct rec_state st = { flags, nrcpt, { .p = rcpts, .len = rcpts_len } };
	struct bytes_out o = { 0 };
	uint8_t *body;

	rec_state_encode(&st, &o);
	body =
	    journal_body(sp->j, REC_STATE, more ? REC_F_MORE : 0, m->id, (uint32_t)o.len);
	if (body == NULL)
		return NULL;
	o = (struct bytes_out){ .p = body, .cap = o.len };
	rec_state_encode(&st, &o);
	return put_and_apply(sp, REC_STATE, m->id, body, (uint32_t)o.len);
}

static void
on_removed(int error, void *arg)
{
	struct spool *sp = arg;
	uint64_t id;
	struct qmsg *m;

	if (sp->ndead == 0)
		return;
	id = sp->dead[sp->dead_head];
	sp->dead_head = (sp->dead_head + 1) % sp->dead_cap;
	sp->ndead--;
	if (error != 0 || (m = index_find(&sp->ix, id)) == NULL)
		return;
	if (m->flags & QM_FILE)
		spool_body_unlink(sp, id);
	index_forget(&sp->ix, m);
}

static int
dead_push(struct spool *sp, uint64_t id)
{
	if (sp->ndead == sp->dead_cap) {
		size_t cap = sp->dead_cap == 0 ? 256 : sp->dead_cap * 2;
		uint64_t *n = reallocarray(NULL, cap, sizeof(*n));

		if (n == NULL)
			return -1;
		for (size_t i = 0; i < sp->ndead; i++)
			n[i] = sp->dead[(sp->dead_head + i) % sp->dead_cap];
		free(sp->dead);
		sp->dead = n;
		sp->dead_cap = cap;
		sp->dead_head = 0;
	}
	sp->dead[(sp->dead_head + sp->ndead++) % sp->dead_cap] = id;
	return 0;
}

int
spool_put_removed(struct spool *sp, struct qmsg *m, int more)
{
	struct rec_removed r = { m->at.seg };
	struct bytes_out o = { 0 };
	uint8_t *body;

	rec_removed_encode(&r, &o);
	body = journal_body(
	    sp->j, REC_REMOVED, more ? REC_F_MORE : 0, m->id, (uint32_t)o.len);
	if (body == NULL || dead_push(sp, m->id) == -1)
		return -1;
	o = (struct bytes_out){ .p = body, .cap = o.len };
	rec_removed_encode(&r, &o);
	spool_note_tomb(sp, m->at.seg);
	spool_drop_kept(sp, m->id);
	if (put_and_apply(sp, REC_REMOVED, m->id, body, (uint32_t)o.len) == NULL)
		return -1; /* cannot be: it is in the index */
	/* In the index until it is durable, so that index_oldest() keeps its promise.
	 * With more to come it waits for the whole group. */
	journal_commit(sp->j, 0, on_removed, sp);
	return 0;
}

void
spool_commit(struct spool *sp, int urgent, journal_cb cb, void *arg)
{
	journal_commit(sp->j, urgent, cb, arg);
}

struct qmsg *
spool_change(struct spool *sp, struct qmsg *m, uint32_t flags, uint32_t nrcpt,
    const uint8_t *rcpts, size_t rcpts_len)
{
	if (spool_room(sp, spool_state_len(rcpts_len), 1) == -1)
		return NULL;
	m = spool_put_state(sp, m, flags, nrcpt, rcpts, rcpts_len, 0);
	if (m != NULL)
		spool_commit(sp, 0, NULL, NULL);
	return m;
}

int
spool_remove(struct spool *sp, struct qmsg *m)
{
	if (spool_room(sp, spool_removed_len(), 1) == -1)
		return -1;
	return spool_put_removed(sp, m, 0);
}

struct qmsg *
spool_set_priority(struct spool *sp, struct qmsg *m, int priority)
{
	int8_t before = m->priority;
	uint64_t id = m->id;

	m->priority = (int8_t)priority;
	if (spool_rewrite(sp, m) == -1) {
		m->priority = before;
		return NULL;
	}
	spool_commit(sp, 0, NULL, NULL);
	return index_find(&sp->ix, id);
}

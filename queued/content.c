/*
 * Reading a message back out of the spool, and the files of large bodies.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "queued/qid.h"
#include "queued/spool_private.h"
#include "queued/sys.h"

#define BODY_NAME_SIZE 24
#define CHUNK (256 * 1024)

void
body_path(uint64_t id, char *out, size_t cap)
{
	char qid[QID_SIZE];

	qid_format(id, qid);
	snprintf(out, cap, "%02x/%s", (unsigned int)(id & 0xff), qid);
}

int
spool_body_create(struct spool *sp, uint64_t id, int *wr, int *rd)
{
	char path[BODY_NAME_SIZE];

	body_path(id, path, sizeof(path));
	*rd = -1;
	*wr = openat(
	    sp->body_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*wr == -1)
		return -1;
	*rd = openat(sp->body_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*rd == -1) {
		int saved = errno;

		close(*wr);
		*wr = -1;
		spool_body_unlink(sp, id);
		errno = saved;
		return -1;
	}
	return 0;
}

void
spool_body_unlink(struct spool *sp, uint64_t id)
{
	char path[BODY_NAME_SIZE];

	body_path(id, path, sizeof(path));
	(void)sys_unlink(sp->body_fd, path);
}

struct body_sync {
	int dir;
	journal_cb cb;
	void *arg;
};

static void
on_body_synced(int error, void *arg)
{
	struct body_sync *b = arg;

	close(b->dir);
	b->cb(error, b->arg);
	free(b);
}

int
spool_body_sync(struct spool *sp, uint64_t id, int rd, journal_cb cb, void *arg)
{
	struct body_sync *b;
	char name[8];
	int fds[2];

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -1;
	snprintf(name, sizeof(name), "%02x", (unsigned int)(id & 0xff));
	b->dir = openat(sp->body_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dir == -1) {
		free(b);
		return -1;
	}
	b->cb = cb;
	b->arg = arg;
	fds[0] = rd;
	fds[1] = b->dir;
	if (syncer_submit(sp->bodies, fds, 2, 1, on_body_synced, b) == -1) {
		close(b->dir);
		free(b);
		return -1;
	}
	return 0;
}

int
spool_checksum(int fd, uint64_t size, uint32_t *crc)
{
	uint8_t *buf;
	uint64_t off = 0;
	uint32_t c = 0;

	buf = malloc(CHUNK);
	if (buf == NULL)
		return -1;
	while (off < size) {
		size_t n = size - off < CHUNK ? (size_t)(size - off) : CHUNK;

		if (sys_pread(fd, buf, n, (off_t)off) == -1) {
			free(buf);
			return -1;
		}
		c = crc32c(c, buf, n);
		off += n;
	}
	free(buf);
	*crc = c;
	return 0;
}

void
spool_view_clear(struct spool_view *v)
{
	for (size_t i = 0; i < v->nbufs; i++)
		free(v->bufs[i]);
	free(v->bufs);
	free(v->rcpts);
	memset(v, 0, sizeof(*v));
}

/* A record that stays in memory as long as the view does. */
static const uint8_t *
view_read(struct spool *sp, struct spool_view *v, struct loc at, struct rec_header *h)
{
	uint8_t **n, *buf;

	n = reallocarray(v->bufs, v->nbufs + 1, sizeof(*n));
	if (n == NULL)
		return NULL;
	v->bufs = n;
	if (journal_read(sp->j, at, h, &buf) == -1)
		return NULL;
	v->bufs[v->nbufs++] = buf;
	return buf + REC_HEADER;
}

/* The list of recipients in a record of either kind. */
static int
rcpts_of(const uint8_t *body, const struct rec_header *h, struct bytes_in *list)
{
	struct rec_message rm;
	struct rec_state rs;

	if (h->type == REC_MESSAGE &&
	    rec_message_decode(body, h->len - REC_HEADER, &rm) == 0) {
		*list = rm.rcpts;
		return 0;
	}
	if (h->type == REC_STATE &&
	    rec_state_decode(body, h->len - REC_HEADER, &rs) == 0) {
		*list = rs.rcpts;
		return 0;
	}
	errno = EBADMSG;
	return -1;
}

static int
loc_equal(struct loc a, struct loc b)
{
	return a.seg == b.seg && a.off == b.off;
}

/* Take from one record what the recipients have there. */
static void
view_fill(struct spool_view *v, const struct qmsg *m, struct loc at, struct bytes_in list)
{
	struct rec_rcpt r;

	while (rec_rcpt_next(&list, &r) == 1) {
		const struct qrcpt *q;
		struct rec_rcpt *o;

		if (r.num >= m->nrcpt)
			continue;
		q = &m->rcpt[r.num];
		o = &v->rcpts[r.num];
		if ((r.has & REC_R_ADDRESS) && loc_equal(q->address, at)) {
			o->address = r.address;
			o->orcpt = r.orcpt;
			o->rrvs = r.rrvs;
			o->rrvs_action = r.rrvs_action;
			o->has |= r.has & (REC_R_ADDRESS | REC_R_RRVS);
		}
		if ((r.has & REC_R_RESULT) && loc_equal(q->result, at)) {
			o->enhanced = r.enhanced;
			o->mta = r.mta;
			o->text = r.text;
			o->has |= REC_R_RESULT;
		}
	}
}

static int
loc_compare(const void *a, const void *b)
{
	const struct loc *x = a, *y = b;

	if (x->seg != y->seg)
		return x->seg < y->seg ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

int
spool_view(struct spool *sp, const struct qmsg *m, struct spool_view *v)
{
	struct rec_header h;
	struct bytes_in list;
	struct loc *others = NULL, last = { 0, 0 };
	const uint8_t *body;
	size_t n = 0;
	int saved;

	memset(v, 0, sizeof(*v));
	body = view_read(sp, v, m->at, &h);
	if (body == NULL)
		goto fail;
	if (h.type != REC_MESSAGE || h.id != m->id ||
	    rec_message_decode(body, h.len - REC_HEADER, &v->rec) == -1) {
		errno = EBADMSG;
		goto fail;
	}
	v->nrcpt = m->nrcpt;
	v->rcpts = calloc(m->nrcpt > 0 ? m->nrcpt : 1, sizeof(*v->rcpts));
	others = calloc(m->nrcpt > 0 ? m->nrcpt : 1, 2 * sizeof(*others));
	if (v->rcpts == NULL || others == NULL)
		goto fail;
	v->rec.flags = m->flags & QM_ON_DISK;
	v->rec.ext.priority = m->priority;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct qrcpt *q = &m->rcpt[i];
		struct rec_rcpt *o = &v->rcpts[i];

		o->num = i;
		o->state = q->state;
		o->notify = q->notify;
		o->attempts = q->attempts;
		o->next = q->next;
		o->address = o->orcpt = o->enhanced = o->mta = o->text = "";
		if (!loc_equal(q->address, m->at))
			others[n++] = q->address;
		if (q->result.seg != 0 && !loc_equal(q->result, m->at))
			others[n++] = q->result;
	}
	view_fill(v, m, m->at, v->rec.rcpts);
	qsort(others, n, sizeof(*others), loc_compare);
	for (size_t i = 0; i < n; i++) {
		if (loc_equal(others[i], last))
			continue;
		last = others[i];
		body = view_read(sp, v, last, &h);
		if (body == NULL && errno != EBADMSG && errno != EIO)
			goto fail;
		/* The words of a reply are not worth a message. */
		if (body == NULL || rcpts_of(body, &h, &list) == -1)
			v->lost++;
		else
			view_fill(v, m, last, list);
	}
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (!(v->rcpts[i].has & REC_R_ADDRESS) &&
		    v->rcpts[i].state == RCPT_LIVE) {
			errno = EBADMSG;
			goto fail;
		}
	}
	free(others);
	return 0;
fail:
	saved = errno;
	free(others);
	spool_view_clear(v);
	errno = saved;
	return -1;
}

void
spool_drop_kept(struct spool *sp, uint64_t id)
{
	struct keep *k = &sp->keep[id % KEEP_MAX];

	if (k->fd == -1 || k->id != id)
		return;
	close(k->fd);
	k->fd = -1;
	sp->keep_octets -= k->size;
}

void
spool_keep(struct spool *sp, uint64_t id, int fd)
{
	struct keep *k = &sp->keep[id % KEEP_MAX];
	struct qmsg *m = index_find(&sp->ix, id);

	if (m == NULL || sp->keep_octets + m->size > KEEP_OCTETS_MAX) {
		close(fd);
		return;
	}
	if (k->fd != -1)
		spool_drop_kept(sp, k->id);
	k->id = id;
	k->fd = fd;
	k->size = m->size;
	sp->keep_octets += k->size;
}

/* Of the right length; its content is not looked at. */
static int
body_open(struct spool *sp, const struct qmsg *m)
{
	char path[BODY_NAME_SIZE];
	struct stat st;
	int fd;

	body_path(m->id, path, sizeof(path));
	fd = openat(sp->body_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || (uint64_t)st.st_size != m->size) {
		close(fd);
		errno = EBADMSG;
		return -1;
	}
	return fd;
}

static int
body_check(struct spool *sp, const struct qmsg *m)
{
	uint32_t crc;
	int fd = body_open(sp, m), ok;

	if (fd == -1)
		return -1;
	ok = spool_checksum(fd, m->size, &crc) == 0 && crc == m->crc;
	close(fd);
	return ok ? 0 : -1;
}

int
spool_content(struct spool *sp, const struct qmsg *m, const struct spool_view *v)
{
	struct keep *k = &sp->keep[m->id % KEEP_MAX];
	int fd, saved;

	if (m->flags & QM_FILE)
		return body_open(sp, m);
	if (k->fd != -1 && k->id == m->id)
		return fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
	if (crc32c(0, v->rec.content, (size_t)m->size) != m->crc) {
		errno = EBADMSG;
		return -1;
	}
	fd = compat_memfd_create("fife-message");
	if (fd == -1)
		return -1;
	if (file_write_all(fd, v->rec.content, (size_t)m->size) == -1 ||
	    compat_seal(fd) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

ssize_t
spool_read(struct spool *sp, const struct qmsg *m, const struct spool_view *v,
    uint8_t *buf, size_t cap)
{
	size_t len = m->size < cap ? (size_t)m->size : cap;
	int fd;

	if (!(m->flags & QM_FILE)) {
		memcpy(buf, v->rec.content, len);
		return (ssize_t)len;
	}
	fd = body_open(sp, m);
	if (fd == -1)
		return -1;
	if (sys_pread(fd, buf, len, 0) == -1) {
		close(fd);
		return -1;
	}
	close(fd);
	return (ssize_t)len;
}

int
spool_verify(struct spool *sp, const struct qmsg *m, const char **what)
{
	struct spool_view v;
	int rv = 0;

	if (spool_view(sp, m, &v) == -1) {
		*what = "its record in the journal is damaged";
		return -1;
	}
	if (m->flags & QM_FILE) {
		if (body_check(sp, m) == -1) {
			*what = "its body file is missing or altered";
			rv = -1;
		}
	} else if (crc32c(0, v.rec.content, (size_t)m->size) != m->crc) {
		*what = "its content is altered";
		rv = -1;
	}
	if (rv == 0 && v.lost > 0) {
		*what = "a reply that it got is lost, nothing else";
		rv = 1;
	}
	spool_view_clear(&v);
	return rv;
}

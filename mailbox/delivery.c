/* SPDX-License-Identifier: ISC */
/*
 * Local delivery into the store, and the memory of deliveries by which one that the
 * queue gives again is recognised. Nothing is synced here: the queue
 * keeps the message until mboxd has run syncfs(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/log.h"
#include "common/crc32c.h"
#include "mailbox/store_int.h"

#define DELIVERED_MAX 200000
#define BUFFER_SIZE (256 * 1024)

/* ---- the memory ---- */

static size_t
place(struct store *s, uint64_t queue_id, uint32_t rcpt, bool *found)
{
	size_t lo = 0, hi = s->n_delivered;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct delivered *d = &s->delivered[mid];

		if (d->queue_id == queue_id && d->rcpt == rcpt) {
			*found = true;
			return mid;
		}
		if (d->queue_id < queue_id || (d->queue_id == queue_id && d->rcpt < rcpt))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct delivered *
delivered_find(struct store *s, uint64_t queue_id, uint32_t rcpt)
{
	bool found;
	size_t i = place(s, queue_id, rcpt, &found);

	return found ? &s->delivered[i] : NULL;
}

int
delivered_add(struct store *s, const struct delivered *d)
{
	bool found;
	size_t i = place(s, d->queue_id, d->rcpt, &found);

	if (found) {
		s->delivered[i] = *d;
		return 0;
	}
	if (s->n_delivered >= DELIVERED_MAX) {
		/* The queue should have forgotten the oldest long ago. */
		memmove(s->delivered, s->delivered + 1,
		    --s->n_delivered * sizeof(*s->delivered));
		s->delivered_pruned = true;
		i -= i > 0;
	}
	if (s->n_delivered == s->delivered_cap) {
		size_t cap = s->delivered_cap + s->delivered_cap / 2 + 16;
		struct delivered *p = reallocarray(s->delivered, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		s->delivered = p;
		s->delivered_cap = cap;
	}
	memmove(s->delivered + i + 1, s->delivered + i,
	    (s->n_delivered - i) * sizeof(*s->delivered));
	s->delivered[i] = *d;
	s->n_delivered++;
	return 0;
}

void
delivered_forget(struct store *s, uint64_t queue_id, uint32_t rcpt)
{
	bool found;
	size_t i = place(s, queue_id, rcpt, &found);

	if (!found)
		return;
	s->n_delivered--;
	memmove(s->delivered + i, s->delivered + i + 1,
	    (s->n_delivered - i) * sizeof(*s->delivered));
	s->delivered_pruned = true;
}

static void
prune(struct store *s, uint64_t oldest_live)
{
	size_t n = 0;

	if (oldest_live <= s->oldest_live)
		return;
	s->oldest_live = oldest_live;
	while (n < s->n_delivered && s->delivered[n].queue_id < oldest_live)
		n++;
	if (n == 0)
		return;
	s->n_delivered -= n;
	memmove(s->delivered, s->delivered + n, s->n_delivered * sizeof(*s->delivered));
	s->delivered_pruned = true;
}

/* ---- recognising ---- */

/* Does the message end with this content? */
static bool
content_is(struct folder *f, uint32_t uid, const struct delivery *d)
{
	struct content c;
	bool same;

	if (folder_content(f, uid, &c) != STORE_OK)
		return false;
	same =
	    c.len >= d->size && crc32c(0, c.data + (c.len - d->size), d->size) == d->crc;
	content_release(&c);
	return same;
}

/*
 * 1: that very delivery was made. An entry of a process before us is believed only
 * with its file, which a crash of the machine may have torn; a message that was
 * expunged since is delivered all the same.
 */
static int
known(struct store *s, const struct delivery *d)
{
	struct delivered *e = delivered_find(s, d->queue_id, d->rcpt);
	struct folder *f;
	struct log_record r;

	if (e == NULL)
		return 0;
	if (e->size != 0 && (e->size != d->size || e->crc != d->crc))
		goto other;
	if (e->verified)
		return 1;
	f = store_folder_by_id(s, e->folder);
	if (f == NULL)
		return e->size != 0;
	if (folder_load(f) != STORE_OK)
		return e->size != 0;
	if (folder_message_by_uid(f, e->uid) == NULL) {
		/* Expunged. But was it by a scan that missed the file? Then it is not
		 * there for anybody, and once more is better than never. */
		if (e->size != 0 && !s->recovered)
			return 1;
		goto other;
	}
	if (content_is(f, e->uid, d)) {
		e->verified = true;
		return 1;
	}
	log_warnx("a delivery of before is not whole in %s: it is made anew", f->name);
	(void)folder_expunge(f, &e->uid, 1, 1, NULL);
other:
	log_begin(&r, LOG_FORGET, NULL);
	log_u64(&r, d->queue_id);
	log_u32(&r, d->rcpt);
	(void)log_write(s, &r);
	delivered_forget(s, d->queue_id, d->rcpt);
	return 0;
}

/* ---- writing ---- */

static int
write_all(int fd, struct iovec *iov, int n)
{
	while (n > 0) {
		ssize_t done = writev(fd, iov, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		for (; n > 0 && (size_t)done >= iov->iov_len; iov++, n--)
			done -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* prefix and the octets of in to out. STORE_IO also when in is shorter. */
static enum store_error
write_content(int out, const struct delivery *d, const struct delivery_form *form)
{
	const void *prefix = form->prefix;
	size_t prefix_len = form->prefix_len;
	int in = form->fd;

	static char *buf;
	uint64_t done = 0;

	if (buf == NULL && (buf = malloc(BUFFER_SIZE)) == NULL)
		return store_errno("delivery");
	do {
		struct iovec iov[2] = { { (void *)(uintptr_t)prefix,
					    done == 0 ? prefix_len : 0 },
			{ buf, 0 } };
		size_t want =
		    d->size - done < BUFFER_SIZE ? (size_t)(d->size - done) : BUFFER_SIZE;
		ssize_t n =
		    want == 0 ? 0 : pread(in, buf, want, (off_t)(form->offset + done));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return store_errno("delivery: content");
		if (n == 0 && want > 0) {
			log_warnx("delivery: the content is shorter than announced");
			return STORE_IO;
		}
		iov[1].iov_len = (size_t)n;
		if (write_all(out, iov, 2) == -1)
			return store_errno("delivery");
		done += (uint64_t)n;
	} while (done < d->size);
	return STORE_OK;
}

/* The bits of keywords in this folder. */
static uint64_t
keyword_bits(struct folder *f, const char *list)
{
	uint64_t bits = 0;

	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, " ");
		int bit = len > 0 ? folder_keyword_find(f, list, len, 1) : -1;

		if (bit >= 0)
			(void)folder_keywords_add(f, &bits, bit);
		list += len + (list[len] == ' ');
	}
	return bits;
}

static enum store_error
deliver_into(struct folder *f, const struct delivery *d, const struct delivery_form *form)
{
	char unique[128], tmp[160], name[MAILDIR_NAME_MAX + 1];
	struct delivered mark = { .queue_id = d->queue_id,
		.size = d->size,
		.rcpt = d->rcpt,
		.crc = d->crc,
		.folder = f->id,
		.dirty = true,
		.verified = true };
	struct maildir_name p = { 0 };
	struct message m = { 0 };
	struct learnt learnt = { 0 };
	enum store_error error;
	int fd;

	if ((error = folder_reserve(f, 1)) != STORE_OK)
		return error;
	maildir_unique(unique, sizeof(unique));
	(void)snprintf(tmp, sizeof(tmp), "tmp/" TMP_PREFIX "%s", unique);
	fd = openat(f->dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 && errno == ENOENT && mkdirat(f->dirfd, "tmp", 0700) == 0)
		fd = openat(f->dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return store_errno(tmp);
	error = write_content(fd, d, form);
	if (error == STORE_OK)
		learn_file(&learnt, fd, form->prefix_len + d->size);
	if (close(fd) == -1 && error == STORE_OK)
		error = store_errno(tmp);
	if (error != STORE_OK) {
		(void)unlinkat(f->dirfd, tmp, 0);
		learnt_clear(&learnt);
		return error;
	}
	m.uid = p.uid = mark.uid = f->uidnext;
	m.size = (uint32_t)(form->prefix_len + d->size);
	m.internal = (int64_t)time(NULL);
	m.modseq = f->modseq + 1;
	m.flags = p.flags = form->flags;
	m.recent = 1;
	m.saved = (uint32_t)m.internal;
	p.size = m.size;
	p.has_uid = true;
	p.uidvalidity = f->uidvalidity;
	p.has_delivery = true;
	p.queue_id = d->queue_id;
	p.rcpt = d->rcpt;
	if (maildir_name_print(unique, strlen(unique), &p, name) == -1) {
		(void)unlinkat(f->dirfd, tmp, 0);
		learnt_clear(&learnt);
		return STORE_IO;
	}
	folder_times_before(f);
	if (renameat(f->dirfd, tmp, f->curfd, name) == -1) {
		error = store_errno(name);
		(void)unlinkat(f->dirfd, tmp, 0);
	} else if ((error = folder_add(f, &m, name, &mark, &learnt)) != STORE_OK)
		(void)unlinkat(f->curfd, name, 0);
	folder_times_after(f);
	folder_changed(f);
	learnt_clear(&learnt);
	return error;
}

enum store_error
store_deliver_form(struct store *s, const char *name, const struct delivery *d,
    const struct delivery_form *form, int *again)
{
	struct folder *f;
	enum store_error error;
	uint64_t bits;

	*again = 0;
	if (form->prefix_len > INT32_MAX || d->size > INT32_MAX - form->prefix_len)
		return STORE_LIMIT;
	/* First: what a killed process has written is noticed by this. */
	error = folder_open(s, name, &f);
	if (error == STORE_NOT_FOUND) {
		error = store_create(s, name, form->special);
		if (error == STORE_OK || error == STORE_EXISTS)
			error = folder_open(s, name, &f);
	}
	if (error != STORE_OK)
		return error;
	prune(s, d->oldest_live);
	if (known(s, d))
		*again = 1;
	else if (!store_has_room(s, form->prefix_len + d->size, 1))
		error = STORE_FULL;
	else
		error = deliver_into(f, d, form);
	if (error == STORE_OK && !*again &&
	    (bits = keyword_bits(f, form->keywords)) != 0) {
		uint32_t uid = folder_uidnext(f) - 1;

		(void)folder_store(f, &uid, 1, FLAG_OP_ADD, 0, bits, 0, NULL, NULL, NULL);
	}
	folder_close(f);
	return error;
}

enum store_error
store_deliver(struct store *s, const char *name, const struct delivery *d,
    const void *prefix, size_t prefix_len, int fd, uint8_t flags, int *again)
{
	struct delivery_form form = { .prefix = prefix,
		.prefix_len = prefix_len,
		.fd = fd,
		.flags = flags,
		.special = strcmp(name, "Junk") == 0 ? FOLDER_JUNK : 0 };

	return store_deliver_form(s, name, d, &form, again);
}

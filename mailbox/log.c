/* SPDX-License-Identifier: ISC */
/*
 * The change log of a mailbox, index/log: records since the last checkpoint.
 *
 *	header	"FIFELOG1", generation (8), boot id (40), crc (4), zero (4)
 *	record	length of the payload (4), crc of generation and payload (4), payload
 *	payload	type (1), folder id (4), then by type
 *
 * Numbers are little-endian. A record is written with one write(2) before the
 * change is made in memory or answered; it is synced within a second by store_flush().
 * The first record that does not check ends the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/crc32c.h"
#include "mailbox/store_int.h"

#define MAGIC "FIFELOG1"
#define HEADER_LEN 64
#define BOOT_LEN 40
#define RECORD_MAX (64u * 1024 * 1024)

static void
put_le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get_le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* ---- writing ---- */

static uint8_t *
log_room(struct log_record *r, size_t n)
{
	uint8_t *p;

	if (r->failed)
		return NULL;
	if (r->cap - r->len < n) {
		size_t cap = r->cap * 2 + n + 256;

		if ((p = realloc(r->buf, cap)) == NULL) {
			r->failed = true;
			return NULL;
		}
		r->buf = p;
		r->cap = cap;
	}
	p = r->buf + r->len;
	r->len += n;
	return p;
}

static void
log_number(struct log_record *r, uint64_t v, size_t n)
{
	uint8_t *p = log_room(r, n);

	if (p != NULL)
		put_le(p, v, n);
}

void
log_u8(struct log_record *r, uint8_t v)
{
	log_number(r, v, 1);
}

void
log_u32(struct log_record *r, uint32_t v)
{
	log_number(r, v, 4);
}

void
log_u64(struct log_record *r, uint64_t v)
{
	log_number(r, v, 8);
}

void
log_bytes(struct log_record *r, const void *data, size_t len)
{
	uint8_t *p;

	log_number(r, len, 2);
	if ((p = log_room(r, len)) != NULL)
		memcpy(p, data, len);
}

void
log_raw(struct log_record *r, const void *data, size_t len)
{
	uint8_t *p = log_room(r, len);

	if (p != NULL && len > 0)
		memcpy(p, data, len);
}

void
log_begin(struct log_record *r, enum log_type type, const struct folder *f)
{
	memset(r, 0, sizeof(*r));
	(void)log_room(r, 8);
	log_u8(r, (uint8_t)type);
	log_u32(r, f == NULL ? 0 : f->id);
}

static uint32_t
record_crc(const struct store *s, const uint8_t *payload, size_t len)
{
	uint8_t gen[8];

	put_le(gen, s->generation, 8);
	return crc32c(crc32c(0, gen, 8), payload, len);
}

/* A batch whose end could not be logged: whoever reads the log would take out what all
 * have seen since. So nothing is logged before that. */
static enum store_error
end_batch(struct store *s)
{
	const uint32_t id = s->batch_owed;
	const struct folder *f = store_folder_by_id(s, id);
	enum store_error error;
	struct log_record r;

	s->batch_owed = 0;
	if (f == NULL)
		return STORE_OK;
	log_begin(&r, LOG_BATCH_END, f);
	if ((error = log_write(s, &r)) != STORE_OK)
		s->batch_owed = id;
	return error;
}

enum store_error
log_write(struct store *s, struct log_record *r)
{
	enum store_error error = STORE_OK;
	ssize_t n;

	if (r->failed || r->len - 8 > RECORD_MAX) {
		errno = ENOMEM;
		error = store_errno("change log");
		goto done;
	}
	/* Behind a header of another generation nothing would be found again. */
	if (s->log_stale && (error = log_reset(s)) != STORE_OK)
		goto done;
	if (s->batch_owed != 0 && (error = end_batch(s)) != STORE_OK)
		goto done;
again:
	put_le(r->buf, r->len - 8, 4);
	put_le(r->buf + 4, record_crc(s, r->buf + 8, r->len - 8), 4);
	do
		n = pwrite(s->logfd, r->buf, r->len, (off_t)s->log_len);
	while (n == -1 && errno == EINTR);
	if (n != (ssize_t)r->len) {
		if (n >= 0)
			errno = ENOSPC;
		error = store_errno("change log");
		/* On a full disk at least deleting must work: a checkpoint frees the log.
		 */
		if (error == STORE_NO_SPACE && !s->replaying &&
		    s->log_len > r->len + HEADER_LEN && index_checkpoint(s) == STORE_OK) {
			error = STORE_OK;
			goto again;
		}
		/* The next record is written over the rest of this one. */
		if (ftruncate(s->logfd, (off_t)s->log_len) == -1)
			log_warn("change log");
		goto done;
	}
	s->log_len += r->len;
	/* What is added is durable by its file: APPEND syncs it, deliveries are the
	 * queue's until mboxd has run syncfs. */
	if (r->buf[8] != LOG_ADD && r->buf[8] != LOG_TIMES)
		s->log_unsynced = true;
done:
	free(r->buf);
	r->buf = NULL;
	return error;
}

int
log_sync(struct store *s)
{
	if (!s->log_unsynced)
		return 0;
	if (fdatasync(s->logfd) == -1) {
		log_warn("change log");
		return -1;
	}
	s->log_unsynced = false;
	return 0;
}

static int
write_header(struct store *s)
{
	uint8_t head[HEADER_LEN] = { 0 };

	memcpy(head, MAGIC, 8);
	put_le(head + 8, s->generation, 8);
	/* Killed before the recovery is complete, the next opening begins it anew. */
	if (!s->other_boot)
		memcpy(head + 16, s->boot, sizeof(s->boot));
	put_le(head + 16 + BOOT_LEN, crc32c(0, head, 16 + BOOT_LEN), 4);
	return pwrite(s->logfd, head, sizeof(head), 0) == (ssize_t)sizeof(head) ? 0 : -1;
}

enum store_error
log_reset(struct store *s)
{
	/* In place, which needs no room on a full disk; records of the old generation
	 * do not check any more. */
	s->log_stale = true;
	if (write_header(s) == -1 || ftruncate(s->logfd, HEADER_LEN) == -1)
		return store_errno("change log");
	s->log_stale = false;
	s->batch_owed = 0;
	s->log_len = HEADER_LEN;
	s->log_unsynced = false;
	return STORE_OK;
}

/* ---- replay ---- */

struct reader {
	const uint8_t *p;
	size_t len;
	bool failed;
};

static uint64_t
take(struct reader *r, size_t n)
{
	uint64_t v;

	if (r->failed || r->len < n) {
		r->failed = true;
		return 0;
	}
	v = get_le(r->p, n);
	r->p += n;
	r->len -= n;
	return v;
}

/* A name into out; false: not one. */
static bool
take_text(struct reader *r, char *out, size_t cap)
{
	size_t n = (size_t)take(r, 2);

	if (r->failed || n >= cap || n > r->len || n == 0 ||
	    memchr(r->p, '\0', n) != NULL) {
		r->failed = true;
		return false;
	}
	memcpy(out, r->p, n);
	out[n] = '\0';
	r->p += n;
	r->len -= n;
	return true;
}

static bool
file_name_ok(const char *name)
{
	return name[0] != '.' && strchr(name, '/') == NULL;
}

static int
apply_add(struct store *s, struct folder *f, struct reader *r)
{
	struct message m = { 0 };
	struct delivered d = { 0 };
	char name[MAILDIR_NAME_MAX + 1];
	bool has_delivery;

	m.uid = (uint32_t)take(r, 4);
	m.size = (uint32_t)take(r, 4);
	m.internal = (int64_t)take(r, 8);
	m.modseq = take(r, 8);
	m.keywords = take(r, 8);
	m.flags = (uint8_t)take(r, 1);
	m.recent = take(r, 1) != 0;
	m.zone = (int16_t)(int32_t)take(r, 4);
	m.saved = (uint32_t)take(r, 4);
	if (!take_text(r, name, sizeof(name)) || !file_name_ok(name) || m.uid == 0 ||
	    m.uid > UINT32_MAX - RESERVE_UIDS)
		return -1;
	has_delivery = take(r, 1) != 0;
	if (has_delivery) {
		d.queue_id = take(r, 8);
		d.rcpt = (uint32_t)take(r, 4);
		d.size = take(r, 8);
		d.crc = (uint32_t)take(r, 4);
		d.folder = f->id;
		d.uid = m.uid;
		d.dirty = true;
	}
	if (r->failed)
		return -1;
	if (folder_message_by_uid(f, m.uid) != NULL)
		return 0;
	if (folder_insert(f, &m, name) == -1)
		return -1;
	if (folder_learn(f, m.uid, r->p, r->len) == -1)
		return -1;
	if (has_delivery && delivered_add(s, &d) == -1)
		return -1;
	return 0;
}

static int
apply_flags(struct folder *f, struct reader *r)
{
	uint64_t modseq = take(r, 8);

	while (r->len > 0) {
		uint32_t uid = (uint32_t)take(r, 4);
		uint8_t flags = (uint8_t)take(r, 1);
		uint64_t keywords = take(r, 8);
		struct message *m;

		if (r->failed)
			return -1;
		if ((m = folder_message_by_uid(f, uid)) != NULL)
			folder_apply_flags(f, m, flags, keywords, modseq);
	}
	return r->failed ? -1 : 0;
}

static int
apply_expunge(struct folder *f, struct reader *r)
{
	uint64_t modseq = take(r, 8);
	uint32_t *uids = NULL;
	size_t n;

	if (r->failed || r->len % 4 != 0)
		return -1;
	n = r->len / 4;
	if (n > 0 && (uids = reallocarray(NULL, n, sizeof(*uids))) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		uids[i] = (uint32_t)take(r, 4);
	folder_remove(f, uids, n, modseq);
	free(uids);
	return 0;
}

static int
apply_names(struct folder *f, struct reader *r)
{
	char name[MAILDIR_NAME_MAX + 1], *copy;

	while (r->len > 0) {
		uint32_t uid = (uint32_t)take(r, 4);

		if (!take_text(r, name, sizeof(name)) || !file_name_ok(name))
			return -1;
		if (folder_message_by_uid(f, uid) == NULL)
			continue;
		if ((copy = strdup(name)) == NULL ||
		    map_put(&f->names, uid, copy, strlen(copy)) == -1)
			return -1;
		folder_mark(f, uid);
	}
	return 0;
}

static int
apply_keyword(struct folder *f, struct reader *r)
{
	char name[STORE_KEYWORD_LEN_MAX + 1];

	if (!take_text(r, name, sizeof(name)))
		return -1;
	if (folder_keyword_find(f, name, strlen(name), 0) >= 0)
		return 0;
	if (folder_keyword_push(f, name) == -1)
		return -1;
	f->dirty = true;
	return 0;
}

static int
apply_keywords(struct folder *f, struct reader *r)
{
	uint16_t v[STORE_KEYWORDS_MAX];
	uint32_t number = (uint32_t)take(r, 4);
	size_t n = r->len / 2;

	if (r->failed || r->len % 2 != 0 || n > STORE_KEYWORDS_MAX)
		return -1;
	for (size_t i = 0; i < n; i++)
		v[i] = (uint16_t)take(r, 2);
	f->dirty = true;
	return keyword_list_put(f, number, v, n);
}

static int
apply_batch(struct folder *f, struct reader *r)
{
	uint32_t first = (uint32_t)take(r, 4), n = (uint32_t)take(r, 4);

	if (r->failed || first == 0 || n > UINT32_MAX - RESERVE_UIDS - first)
		return -1;
	f->batch_first = first;
	f->batch_n = n;
	return 0;
}

static int
apply_times(struct folder *f, struct reader *r)
{
	struct timespec cur, new;

	cur.tv_sec = (time_t)take(r, 8);
	cur.tv_nsec = (long)take(r, 4);
	new.tv_sec = (time_t)take(r, 8);
	new.tv_nsec = (long)take(r, 4);
	if (r->failed)
		return -1;
	f->cur_time = cur;
	f->new_time = new;
	f->dirty = true;
	return 0;
}

int
log_apply(struct store *s, const uint8_t *payload, size_t len)
{
	struct reader r = { payload, len, false };
	unsigned int type = (unsigned int)take(&r, 1);
	uint32_t id = (uint32_t)take(&r, 4);
	struct folder *f;

	if (r.failed)
		return -1;
	if (type == LOG_FORGET) {
		uint64_t queue_id = take(&r, 8);
		uint32_t rcpt = (uint32_t)take(&r, 4);

		if (!r.failed)
			delivered_forget(s, queue_id, rcpt);
		return r.failed ? -1 : 0;
	}
	/* Either folder may be gone without the other. */
	if (type == LOG_MOVED) {
		if ((f = store_folder_by_id(s, id)) != NULL)
			f->batch_n = 0;
		id = (uint32_t)take(&r, 4);
		type = LOG_EXPUNGE;
	}
	/* Making and removing folders is a checkpoint of its own, so that an unknown
	 * one was removed by another program. */
	if ((f = store_folder_by_id(s, id)) == NULL)
		return 0;
	if (!f->loaded && folder_load(f) != STORE_OK)
		return 0;
	switch (type) {
	case LOG_ADD:
		return apply_add(s, f, &r);
	case LOG_FLAGS:
		return apply_flags(f, &r);
	case LOG_EXPUNGE:
		return apply_expunge(f, &r);
	case LOG_NAMES:
		return apply_names(f, &r);
	case LOG_RECENT:
		(void)folder_clear_recent(f);
		return 0;
	case LOG_TIMES:
		return apply_times(f, &r);
	case LOG_KEYWORD:
		return apply_keyword(f, &r);
	case LOG_KEYWORDS:
		return apply_keywords(f, &r);
	case LOG_BATCH:
		return apply_batch(f, &r);
	case LOG_BATCH_END:
		f->batch_n = 0;
		return 0;
	default:
		return -1;
	}
}

/* Whole log in memory; NULL with *len 0 when there is none. */
static uint8_t *
log_read(struct store *s, size_t *len)
{
	struct stat st;
	uint8_t *buf;
	size_t n = 0;

	*len = 0;
	if (fstat(s->logfd, &st) == -1 || st.st_size < HEADER_LEN ||
	    st.st_size > INT32_MAX)
		return NULL;
	if ((buf = malloc((size_t)st.st_size)) == NULL)
		return NULL;
	while (n < (size_t)st.st_size) {
		ssize_t got = pread(s->logfd, buf + n, (size_t)st.st_size - n, (off_t)n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	*len = n;
	return buf;
}

static void
log_replay(struct store *s, const uint8_t *buf, size_t len)
{
	size_t pos = HEADER_LEN;

	s->replaying = true;
	while (len - pos >= 8) {
		size_t n = (size_t)get_le(buf + pos, 4);

		if (n > len - pos - 8 || n < 5 ||
		    get_le(buf + pos + 4, 4) != record_crc(s, buf + pos + 8, n))
			break;
		if (log_apply(s, buf + pos + 8, n) == -1) {
			log_warnx(
			    "change log: a record at octet %zu makes no sense", pos);
			s->other_boot = true;
			break;
		}
		pos += 8 + n;
	}
	s->replaying = false;
	if (pos < len) {
		/* A killed process, or damage: what follows may have given UIDs. */
		log_info("change log: %zu octets at the end do not check", len - pos);
		s->other_boot = true;
		if (ftruncate(s->logfd, (off_t)pos) == -1)
			log_warn("change log");
	}
	s->log_len = pos;
	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		if (f->batch_n == 0)
			continue;
		/* Its end may have been lost. */
		if (s->other_boot || !f->loaded)
			f->batch_n = 0;
		else
			folder_batch_undo(f);
	}
}

enum store_error
log_open(struct store *s)
{
	enum store_error error = STORE_OK;
	uint8_t *buf;
	size_t len;
	bool valid;

	s->logfd = openat(s->indexfd, "log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->logfd == -1)
		return store_errno("index/log");
	buf = log_read(s, &len);
	valid = buf != NULL && len >= HEADER_LEN && memcmp(buf, MAGIC, 8) == 0 &&
		get_le(buf + 16 + BOOT_LEN, 4) == crc32c(0, buf, 16 + BOOT_LEN) &&
		get_le(buf + 8, 8) == s->generation && !s->index_lost;
	if (!valid || s->boot[0] == '\0' ||
	    memcmp(buf + 16, s->boot, sizeof(s->boot)) != 0)
		s->other_boot = true;
	if (valid) {
		log_replay(s, buf, len);
		if (s->other_boot && write_header(s) == -1)
			error = store_errno("change log");
	} else
		error = log_reset(s);
	free(buf);
	return error;
}

/* SPDX-License-Identifier: ISC */
/*
 * A file of records of one size that only grows; it is written anew when half of it has
 * expired. A torn record at its end is passed over by its checksum.
 */
#include "mailbox/replies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"
#include "common/crc32c.h"

#define FILE_NAME "replies"
#define RECORD 60 /* key 32, expiry 8, queue id 8, recipient 4, spare 4, checksum 4 */

struct entry {
	uint8_t key[32];
	int64_t expires;
	uint64_t queue_id;
	uint32_t rcpt;
};

static struct {
	const struct store *of;
	struct entry *v;
	size_t n, cap;
	size_t in_file;
} memory;

static void
put(uint8_t *p, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = n; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static void
encode(const struct entry *e, uint8_t *p)
{
	memcpy(p, e->key, 32);
	put(p + 32, (uint64_t)e->expires, 8);
	put(p + 40, e->queue_id, 8);
	put(p + 48, e->rcpt, 4);
	put(p + 52, 0, 4);
	put(p + 56, crc32c(0, p, 56), 4);
}

static int
room(void)
{
	size_t cap = memory.cap == 0 ? 64 : memory.cap * 2;
	struct entry *v;

	if (memory.n < memory.cap)
		return 0;
	if ((v = reallocarray(memory.v, cap, sizeof(*v))) == NULL)
		return -1;
	memory.v = v;
	memory.cap = cap;
	return 0;
}

void
replies_forget(void)
{
	free(memory.v);
	memset(&memory, 0, sizeof(memory));
}

static void
load(struct store *s)
{
	uint8_t buf[RECORD * 64];
	ssize_t n;
	int fd;

	if (memory.of == s)
		return;
	replies_forget();
	memory.of = s;
	fd = openat(store_index_dir(s), FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1) {
		if (errno != ENOENT)
			log_warn("index/%s", FILE_NAME);
		return;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0 && memory.in_file < 4 * REPLIES_MAX)
		for (size_t i = 0; i + RECORD <= (size_t)n; i += RECORD) {
			struct entry *e;

			memory.in_file++;
			if (get(buf + i + 56, 4) != crc32c(0, buf + i, 56) ||
			    memory.n >= REPLIES_MAX || room() == -1)
				continue;
			e = &memory.v[memory.n++];
			memcpy(e->key, buf + i, 32);
			e->expires = (int64_t)get(buf + i + 32, 8);
			e->queue_id = get(buf + i + 40, 8);
			e->rcpt = (uint32_t)get(buf + i + 48, 4);
		}
	close(fd);
}

static struct entry *
find(const uint8_t key[32])
{
	for (size_t i = memory.n; i-- > 0;)
		if (memcmp(memory.v[i].key, key, 32) == 0)
			return &memory.v[i];
	return NULL;
}

bool
replies_has(struct store *s, const uint8_t key[32], int64_t now, const struct delivery *d)
{
	const struct entry *e;

	load(s);
	e = find(key);
	return e != NULL && e->expires > now &&
	       !(e->queue_id == d->queue_id && e->rcpt == d->rcpt);
}

static void
rewrite(struct store *s, int64_t now)
{
	int dir = store_index_dir(s), fd, r = 0;
	uint8_t record[RECORD];
	size_t n = 0;

	for (size_t i = 0; i < memory.n; i++)
		if (memory.v[i].expires > now)
			memory.v[n++] = memory.v[i];
	memory.n = n;
	fd =
	    openat(dir, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1) {
		log_warn("index/%s.new", FILE_NAME);
		return;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		encode(&memory.v[i], record);
		r = file_write_all(fd, record, sizeof(record));
	}
	if (r == 0)
		r = fsync(fd);
	if (close(fd) == -1 || r == -1 ||
	    renameat(dir, FILE_NAME ".new", dir, FILE_NAME) == -1)
		log_warn("index/%s.new", FILE_NAME);
	else
		memory.in_file = n;
}

void
replies_add(struct store *s, const uint8_t key[32], int64_t now, uint32_t seconds,
    const struct delivery *d)
{
	uint8_t record[RECORD];
	struct entry *e;
	int fd;

	load(s);
	if ((e = find(key)) == NULL) {
		if (memory.n >= REPLIES_MAX) {
			size_t first = 0;

			for (size_t i = 1; i < memory.n; i++)
				if (memory.v[i].expires < memory.v[first].expires)
					first = i;
			e = &memory.v[first];
		} else if (room() == 0)
			e = &memory.v[memory.n++];
		else
			return;
	}
	memcpy(e->key, key, 32);
	e->expires = now + seconds;
	e->queue_id = d->queue_id;
	e->rcpt = d->rcpt;
	if (memory.in_file >= 256 && memory.in_file >= 2 * memory.n) {
		rewrite(s, now);
		return;
	}
	if (memory.in_file >= 2 * REPLIES_MAX) {
		rewrite(s, now);
		return;
	}
	encode(e, record);
	fd = openat(store_index_dir(s), FILE_NAME,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || file_write_all(fd, record, sizeof(record)) == -1)
		log_warn("index/%s", FILE_NAME);
	else
		memory.in_file++;
	if (fd != -1)
		close(fd);
}

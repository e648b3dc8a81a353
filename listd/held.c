/* SPDX-License-Identifier: ISC */
/* Posts that wait; see held.h. */
#include "listd/held.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"

#define FACTS_MAX 4096
#define DAY 86400

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
static int dir_held = -1, dir_done = -1, dir_temp = -1;
static unsigned int n_held;
static uint8_t secret[32];

/* ---- the directories ---- */

static int
open_directory(const char *root, const char *name)
{
	char path[1100];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (mkdir(path, 0700) == -1 && errno != EEXIST) {
		log_warn("%s", path);
		return -1;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		log_warn("%s", path);
	return fd;
}

static int
read_secret(const char *root)
{
	char path[1100], temp[1100];
	int fd, rv = -1;

	snprintf(path, sizeof(path), "%s/secret", root);
	snprintf(temp, sizeof(temp), "%s/secret.new", root);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1) {
		rv = read(fd, secret, sizeof(secret)) == (ssize_t)sizeof(secret) ? 0 : -1;
		close(fd);
		if (rv == 0)
			return 0;
	}
	arc4random_buf(secret, sizeof(secret));
	if ((fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) == -1) {
		log_warn("%s", temp);
		return -1;
	}
	if (write(fd, secret, sizeof(secret)) == (ssize_t)sizeof(secret) &&
	    fsync(fd) == 0 && rename(temp, path) == 0)
		rv = 0;
	else
		log_warn("%s", path);
	close(fd);
	return rv;
}

static DIR *
walk_begin(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;

	if (d == NULL && fd != -1)
		close(fd);
	return d;
}

int
held_open(const char *root)
{
	struct dirent *e;
	DIR *d;

	n_held = 0;
	if ((dir_held = open_directory(root, "held")) == -1 ||
	    (dir_done = open_directory(root, "done")) == -1 ||
	    (dir_temp = open_directory(root, "temp")) == -1 || read_secret(root) == -1)
		return -1;
	/* What a process was writing that was killed. */
	if ((d = walk_begin(dir_temp)) != NULL) {
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				(void)unlinkat(dir_temp, e->d_name, 0);
		closedir(d);
	}
	if ((d = walk_begin(dir_held)) != NULL) {
		while ((e = readdir(d)) != NULL)
			n_held += held_id_valid(e->d_name) != 0;
		closedir(d);
	}
	return 0;
}

void
held_close(void)
{
	int *dirs[] = { &dir_held, &dir_done, &dir_temp };

	for (size_t i = 0; i < 3; i++) {
		if (*dirs[i] != -1)
			close(*dirs[i]);
		*dirs[i] = -1;
	}
}

unsigned int
held_count(void)
{
	return n_held;
}

void
held_id(uint64_t queue_id, uint32_t rcpt, char id[HELD_ID_LEN + 1])
{
	char text[64];
	uint8_t mac[32];
	unsigned int n = 0;

	snprintf(text, sizeof(text), "held %" PRIx64 " %x", queue_id, rcpt);
	if (HMAC(EVP_sha256(), secret, sizeof(secret), (const uint8_t *)text,
		strlen(text), mac, &n) == NULL)
		memset(mac, 0, sizeof(mac));
	for (int i = 0; i < HELD_ID_LEN; i++)
		id[i] = base32[mac[i] & 31];
	id[HELD_ID_LEN] = '\0';
}

int
held_id_valid(const char *s)
{
	return strlen(s) == HELD_ID_LEN && strspn(s, base32) == HELD_ID_LEN;
}

int
held_temp(void)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "t%08x%08x", arc4random(), arc4random());
	fd = openat(dir_temp, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd != -1)
		(void)unlinkat(dir_temp, name, 0);
	return fd;
}

/* ---- one file ---- */

static int
copy_all(int to, int from, uint64_t size)
{
	static char buf[65536];
	uint64_t at = 0;

	while (at < size) {
		size_t want = size - at < sizeof(buf) ? (size_t)(size - at) : sizeof(buf);
		ssize_t n = pread(from, buf, want, (off_t)at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return -1;
		}
		if (file_write_all(to, buf, (size_t)n) == -1)
			return -1;
		at += (uint64_t)n;
	}
	return 0;
}

/* The name of the file under done/ for that id, whoever took it; "": none. */
static void
find_done(const char *id, char *name, size_t cap)
{
	DIR *d = walk_begin(dir_done);
	struct dirent *e;

	name[0] = '\0';
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, id, HELD_ID_LEN) == 0 &&
		    e->d_name[HELD_ID_LEN] == '-')
			strlcpy(name, e->d_name, cap);
	closedir(d);
}

/* On one line. */
static void
plain(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = ' ';
}

struct room {
	const char *list;
	unsigned int n;
	uint64_t octets, octets_of_all;
};

static int
count_one(const struct held *h, void *arg)
{
	struct room *r = arg;
	uint64_t octets = h->prefix_len + h->size;

	r->octets_of_all += octets;
	if (strcmp(h->list, r->list) == 0) {
		r->n++;
		r->octets += octets;
	}
	return 0;
}

static int
has_room(const struct held *h)
{
	struct room r = { .list = h->list };
	uint64_t octets = h->prefix_len + h->size;

	if (n_held >= HELD_MAX || octets > HELD_LIST_OCTETS_MAX)
		return 0;
	held_walk(count_one, &r);
	return r.n < HELD_LIST_MAX && r.octets + octets <= HELD_LIST_OCTETS_MAX &&
	       r.octets_of_all + octets <= HELD_OCTETS_MAX;
}

int
held_put(const struct held *h, const char *prefix, int fd)
{
	struct held c = *h;
	char head[FACTS_MAX], name[64];
	struct stat st;
	int out, n, saved;

	find_done(h->id, name, sizeof(name));
	if (name[0] != '\0' || fstatat(dir_held, h->id, &st, 0) == 0)
		return 0;
	if (!has_room(h)) {
		errno = EDQUOT;
		return -1;
	}
	plain(c.subject);
	plain(c.why);
	plain(c.author);
	plain(c.sender);
	n = snprintf(head, sizeof(head),
	    "list %s\nauthor %s\nsender %s\nsubject %s\nwhy %s\ntime %" PRId64
	    "\nprefix %" PRIu64 "\nsize %" PRIu64 "\n\n",
	    c.list, c.author, c.sender, c.subject, c.why, c.time, c.prefix_len, c.size);
	if (n < 0 || (size_t)n >= sizeof(head)) {
		errno = EINVAL;
		return -1;
	}
	snprintf(name, sizeof(name), "h%s", h->id);
	out = openat(dir_temp, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out == -1)
		return -1;
	if (file_write_all(out, head, (size_t)n) == -1 ||
	    file_write_all(out, prefix, (size_t)c.prefix_len) == -1 ||
	    copy_all(out, fd, c.size) == -1 || fsync(out) == -1 ||
	    renameat(dir_temp, name, dir_held, h->id) == -1 || fsync(dir_held) == -1) {
		saved = errno;
		close(out);
		(void)unlinkat(dir_temp, name, 0);
		errno = saved;
		return -1;
	}
	close(out);
	n_held++;
	return 0;
}

static int
number(const char *s, uint64_t *out)
{
	const char *bad;
	long long n = strtonum(s, 0, INT64_MAX, &bad);

	*out = (uint64_t)n;
	return bad == NULL ? 0 : -1;
}

static int
read_line(struct held *h, char *line)
{
	char *value = strchr(line, ' ');
	uint64_t n;

	if (value == NULL)
		return -1;
	*value++ = '\0';
	if (strcmp(line, "list") == 0)
		strlcpy(h->list, value, sizeof(h->list));
	else if (strcmp(line, "author") == 0)
		strlcpy(h->author, value, sizeof(h->author));
	else if (strcmp(line, "sender") == 0)
		strlcpy(h->sender, value, sizeof(h->sender));
	else if (strcmp(line, "subject") == 0)
		strlcpy(h->subject, value, sizeof(h->subject));
	else if (strcmp(line, "why") == 0)
		strlcpy(h->why, value, sizeof(h->why));
	else if (number(value, &n) == -1)
		return -1;
	else if (strcmp(line, "time") == 0)
		h->time = (int64_t)n;
	else if (strcmp(line, "prefix") == 0)
		h->prefix_len = n;
	else if (strcmp(line, "size") == 0)
		h->size = n;
	else
		return -1;
	return 0;
}

static int
open_file(int dir, const char *name, struct held *h)
{
	char head[FACTS_MAX + 1], *end, *p = head, *line;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd == -1)
		return -1;
	memset(h, 0, sizeof(*h));
	strlcpy(h->id, name, sizeof(h->id));
	n = pread(fd, head, FACTS_MAX, 0);
	if (n <= 0 || fstat(fd, &st) == -1)
		goto bad;
	head[n] = '\0';
	if ((end = strstr(head, "\n\n")) == NULL)
		goto bad;
	end[1] = '\0';
	h->offset = (uint64_t)(end + 2 - head);
	while ((line = strsep(&p, "\n")) != NULL && *line != '\0')
		if (read_line(h, line) == -1)
			goto bad;
	if (h->list[0] == '\0' || h->prefix_len > 8192 ||
	    h->offset + h->prefix_len + h->size != (uint64_t)st.st_size)
		goto bad;
	return fd;
bad:
	close(fd);
	errno = EIO;
	return -1;
}

int
held_get(const char *id, struct held *h)
{
	if (!held_id_valid(id)) {
		errno = ENOENT;
		return -1;
	}
	return open_file(dir_held, id, h);
}

/* 1: it is that list's; 0: there is none; -1: errno, ENOENT: it is another one's. */
static int
is_of(const char *id, const char *list)
{
	struct held h;
	int fd = held_get(id, &h);

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	close(fd);
	if (strcmp(h.list, list) == 0)
		return 1;
	errno = ENOENT;
	return -1;
}

int
held_take(
    const char *id, const char *list, uint64_t queue_id, uint32_t rcpt, struct held *h)
{
	char name[64];

	if (!held_id_valid(id)) {
		errno = ENOENT;
		return -1;
	}
	if (is_of(id, list) == -1)
		return -1;
	snprintf(name, sizeof(name), "%s-%" PRIx64 "-%x", id, queue_id, rcpt);
	if (renameat(dir_held, id, dir_done, name) == 0) {
		n_held -= n_held > 0;
		if (fsync(dir_done) == -1 || fsync(dir_held) == -1)
			return -1;
	} else if (errno != ENOENT)
		return -1;
	return open_file(dir_done, name, h);
}

int
held_discard(const char *id, const char *list)
{
	if (!held_id_valid(id)) {
		errno = ENOENT;
		return -1;
	}
	if (list != NULL && is_of(id, list) == -1)
		return -1;
	if (unlinkat(dir_held, id, 0) == -1)
		return -1;
	n_held -= n_held > 0;
	return 0;
}

void
held_walk(int (*cb)(const struct held *, void *), void *arg)
{
	DIR *d = walk_begin(dir_held);
	struct dirent *e;
	struct held h;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		int fd;

		if (!held_id_valid(e->d_name) ||
		    (fd = open_file(dir_held, e->d_name, &h)) == -1)
			continue;
		close(fd);
		if (cb(&h, arg))
			break;
	}
	closedir(d);
}

void
held_forget(uint64_t oldest_live)
{
	DIR *d = walk_begin(dir_done);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		uint64_t id;

		if (strlen(e->d_name) > HELD_ID_LEN && e->d_name[HELD_ID_LEN] == '-' &&
		    sscanf(e->d_name + HELD_ID_LEN + 1, "%" SCNx64 "-", &id) == 1 &&
		    id < oldest_live)
			(void)unlinkat(dir_done, e->d_name, 0);
	}
	closedir(d);
}

struct expiry {
	int64_t before;
	void (*cb)(const struct held *, void *);
	void *arg;
};

static int
expire_one(const struct held *h, void *arg)
{
	const struct expiry *x = arg;

	if (h->time < x->before && held_discard(h->id, NULL) == 0)
		x->cb(h, x->arg);
	return 0;
}

void
held_expire(int64_t now, void (*cb)(const struct held *, void *), void *arg)
{
	struct expiry x = { now - (int64_t)HELD_DAYS * DAY, cb, arg };

	held_walk(expire_one, &x);
}

/*
 * Collects what sendmail(8) left in spool/drop, see drop.h. The directory is open
 * to every user of the host: nothing in it is believed but the owner of a file.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/drop.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/submit.h"
#include "queued/sys.h"

#define SCAN_S 5
#define PER_SCAN 20
#define IN_FLIGHT_MAX 20
#define STALE_S 86400
#define SIZE_MAX_DEFAULT (50U << 20)
#define OCTETS_MAX (64U << 20) /* in memory at a time, but for one message */
#define NAME_LEN_MAX 100

struct file {
	char name[NAME_LEN_MAX + QID_SIZE + 4];
	uint64_t size;
};

static struct spool *spool;
static struct event *ev;
static struct file *flying[IN_FLIGHT_MAX];
static int nflying;
static uint64_t octets;

static int
is_flying(const char *name)
{
	for (int i = 0; i < IN_FLIGHT_MAX; i++) {
		if (flying[i] != NULL && strcmp(flying[i]->name, name) == 0)
			return 1;
	}
	return 0;
}

static int
drop_open(void)
{
	return open(DROP_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void
on_submitted(int error, void *arg)
{
	struct file *f = arg;
	int dir;

	for (int i = 0; i < IN_FLIGHT_MAX; i++) {
		if (flying[i] == f)
			flying[i] = NULL;
	}
	nflying--;
	octets -= f->size;
	/* After a crash between the two the name tells that it is in the queue; durable,
	 * since it will not be there for ever. */
	if (error == 0 && (dir = drop_open()) != -1) {
		if (sys_unlink(dir, f->name) == -1 || sys_fsync(dir) == -1)
			log_warn("drop: cannot unlink %s", f->name);
		close(dir);
	}
	free(f);
}

/*
 * Of a file that was being taken when queued ended: q.QID.NAME. Returns where NAME
 * begins, or NULL when it is no such name.
 */
static const char *
taken_name(const char *name, uint64_t *id)
{
	char qid[QID_SIZE];
	const char *dot;

	if (strncmp(name, DROP_TAKEN_PREFIX, strlen(DROP_TAKEN_PREFIX)) != 0)
		return NULL;
	name += strlen(DROP_TAKEN_PREFIX);
	dot = strchr(name, '.');
	if (dot == NULL || (size_t)(dot - name) >= sizeof(qid))
		return NULL;
	memcpy(qid, name, (size_t)(dot - name));
	qid[dot - name] = '\0';
	return qid_parse(qid, id) == 0 ? dot + 1 : NULL;
}

/* A file that can never be taken is moved out of the way, once. */
static void
refuse(int dir, const char *name, const char *why)
{
	char bad[300];

	log_warnx("drop: %s is refused: %s", name, why);
	snprintf(bad, sizeof(bad), "bad.%s", name);
	if (sys_rename(dir, name, bad) == -1 && sys_unlink(dir, name) == -1)
		log_warn("drop: cannot move %s", name);
}

/* The file gets a name with the id that its message will have. 0 or -1. */
static int
name_taken(int dir, const char *name, struct file *f, uint64_t id)
{
	char qid[QID_SIZE];
	const char *plain;
	uint64_t old;

	plain = taken_name(name, &old);
	qid_format(id, qid);
	snprintf(f->name, sizeof(f->name), DROP_TAKEN_PREFIX "%s.%s", qid,
	    plain != NULL ? plain : name);
	if (sys_rename(dir, name, f->name) == -1)
		return -1;
	return sys_fsync(dir);
}

static void
take(int dir, const char *name)
{
	uint64_t max = queued.conf.message_size_max != 0 ? queued.conf.message_size_max
							 : SIZE_MAX_DEFAULT;
	struct drop_envelope *e = NULL;
	struct submit s = { 0 };
	struct file *f = NULL;
	const char *why, *at;
	char client[64], *buf = NULL;
	struct stat st;
	int fd, slot;

	if (strlen(name) > NAME_LEN_MAX + QID_SIZE) {
		log_warnx("drop: a file whose name is too long is removed");
		(void)sys_unlink(dir, name);
		return;
	}
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1) {
		if (errno != ENOENT)
			refuse(dir, name, "it cannot be read (its mode must be 0644)");
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		refuse(dir, name, "it is no plain file");
		goto out;
	}
	if ((uint64_t)st.st_size > max + DROP_ENVELOPE_MAX) {
		refuse(dir, name, "it is larger than a message may be");
		goto out;
	}
	if (nflying > 0 && octets + (uint64_t)st.st_size > OCTETS_MAX)
		goto out;
	buf = malloc((size_t)st.st_size + 1);
	e = malloc(sizeof(*e));
	f = malloc(sizeof(*f));
	if (buf == NULL || e == NULL || f == NULL)
		goto out;
	if (sys_pread(fd, buf, (size_t)st.st_size, 0) == -1) {
		refuse(dir, name, "it changed while it was read");
		goto out;
	}
	if (drop_parse(buf, (size_t)st.st_size, e, &why) == -1) {
		refuse(dir, name, why);
		goto out;
	}
	snprintf(client, sizeof(client), "uid %u", (unsigned int)st.st_uid);
	s.sender = e->sender;
	s.sender_len = e->sender_len;
	s.nrcpt = e->nrcpt;
	s.client = client;
	s.content = buf + e->content_off;
	s.judge = 1;
	s.len = (size_t)st.st_size - e->content_off;
	s.hostname = daemon_conf()->hostname;
	/* The same as smtpd's for one that comes by the socket. */
	at = strrchr(daemon_conf()->postmaster, '@');
	s.domain = at != NULL ? at + 1 : s.hostname;
	{
		struct submit_rcpt *r = reallocarray(NULL, e->nrcpt, sizeof(*r));

		if (r == NULL)
			goto out;
		for (size_t i = 0; i < e->nrcpt; i++)
			r[i] = (struct submit_rcpt){ e->rcpt[i].p, e->rcpt[i].len };
		s.rcpts = r;
		f->size = (uint64_t)st.st_size;
		s.id = spool_id(spool);
		if (s.id == 0 || name_taken(dir, name, f, s.id) == -1) {
			log_warn("drop: %s has to wait", name);
			free(r);
			goto out;
		}
		for (slot = 0; flying[slot] != NULL; slot++)
			;
		flying[slot] = f;
		nflying++;
		octets += f->size;
		if (submit_message(spool, &s, queue_now(), on_submitted, f) == -1) {
			flying[slot] = NULL;
			nflying--;
			octets -= f->size;
			/* One that can never be taken must not keep the others out. */
			if (errno == EINVAL || errno == EMSGSIZE)
				refuse(dir, f->name,
				    "its addresses or its content cannot be sent");
			else
				log_warn("drop: %s has to wait", f->name);
		} else
			f = NULL; /* its callback's now, perhaps gone already */
		free(r);
	}
out:
	if (fd != -1)
		close(fd);
	free(buf);
	free(e);
	free(f);
}

static void
scan(void)
{
	DIR *d;
	struct dirent *e;
	struct stat st;
	uint64_t id;
	int fd, n = 0;

	fd = drop_open();
	if (fd == -1)
		return; /* fifed has not made one */
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return;
	}
	while (n < PER_SCAN && nflying < IN_FLIGHT_MAX && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, DROP_PREFIX, strlen(DROP_PREFIX)) == 0) {
			if (is_flying(e->d_name))
				continue;
			take(fd, e->d_name);
			n++;
		} else if (taken_name(e->d_name, &id) != NULL) {
			/* One whose message is in the queue could not be removed. */
			if (is_flying(e->d_name) ||
			    index_find(spool_index(spool), id) != NULL)
				continue;
			n++;
			take(fd, e->d_name);
		} else if (strncmp(e->d_name, DROP_TMP_PREFIX, strlen(DROP_TMP_PREFIX)) ==
			       0 &&
			   fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   st.st_mtime + STALE_S < wall_s())
			(void)unlinkat(fd, e->d_name, 0);
	}
	closedir(d);
}

static void
on_scan(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { SCAN_S, 0 };

	(void)fd;
	(void)what;
	(void)arg;
	if (spool_low(spool, 1) == NULL)
		scan();
	event_add(ev, &tv);
}

/*
 * Files whose messages are in the queue, of which a crash left the name: removed before
 * anything is delivered. Later such a message may be gone, and its file would be taken
 * again. 0 or -1.
 */
static int
remove_taken(void)
{
	DIR *d;
	struct dirent *e;
	uint64_t id;
	int fd, n = 0, rv = 0;

	fd = drop_open();
	if (fd == -1)
		return 0; /* fifed has not made one */
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return -1;
	}
	while (rv == 0 && (e = readdir(d)) != NULL) {
		if (taken_name(e->d_name, &id) == NULL ||
		    index_find(spool_index(spool), id) == NULL)
			continue;
		n++;
		if ((rv = sys_unlink(fd, e->d_name)) == -1)
			log_warn("drop: cannot unlink %s", e->d_name);
	}
	if (n > 0 && rv == 0 && (rv = sys_fsync(fd)) == -1)
		log_warn("drop: cannot sync the directory");
	closedir(d);
	return rv;
}

int
drop_start(struct spool *sp)
{
	struct timeval tv = { 1, 0 };

	spool = sp;
	if (remove_taken() == -1)
		return -1;
	ev = event_new(daemon_base(), -1, 0, on_scan, NULL);
	return ev == NULL || event_add(ev, &tv) == -1 ? -1 : 0;
}

void
drop_stop(void)
{
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
}

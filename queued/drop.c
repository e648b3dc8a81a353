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
#include "queued/submit.h"
#include "queued/sys.h"

#define SCAN_S 5
#define PER_SCAN 20
#define IN_FLIGHT_MAX 20
#define STALE_S 86400
#define SIZE_MAX_DEFAULT (50U << 20)

struct file {
	char name[256];
};

static struct spool *spool;
static struct event *ev;
static struct file *flying[IN_FLIGHT_MAX];
static int nflying;

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
	/* A crash between the two delivers it again: rather twice than never. */
	if (error == 0 && (dir = drop_open()) != -1) {
		if (sys_unlink(dir, f->name) == -1)
			log_warn("drop: cannot unlink %s", f->name);
		close(dir);
	}
	free(f);
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

static void
take(int dir, const char *name)
{
	uint64_t max = queued.conf.message_size_max != 0 ? queued.conf.message_size_max
							 : SIZE_MAX_DEFAULT;
	struct drop_envelope *e = NULL;
	struct submit s = { 0 };
	struct file *f = NULL;
	const char *why;
	char client[64], *buf = NULL;
	struct stat st;
	int fd, slot;

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
	buf = malloc((size_t)st.st_size + 1);
	e = malloc(sizeof(*e));
	f = malloc(sizeof(*f));
	if (buf == NULL || e == NULL || f == NULL)
		goto out;
	if (sys_pread(fd, buf, (size_t)st.st_size, 0) == -1)
		goto out; /* it shrank: next time */
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
	s.len = (size_t)st.st_size - e->content_off;
	s.hostname = daemon_conf()->hostname;
	{
		struct submit_rcpt *r = reallocarray(NULL, e->nrcpt, sizeof(*r));

		if (r == NULL)
			goto out;
		for (size_t i = 0; i < e->nrcpt; i++)
			r[i] = (struct submit_rcpt) { e->rcpt[i].p, e->rcpt[i].len };
		s.rcpts = r;
		strlcpy(f->name, name, sizeof(f->name));
		for (slot = 0; flying[slot] != NULL; slot++)
			;
		flying[slot] = f;
		nflying++;
		if (submit_message(spool, &s, queue_now(), on_submitted, f) == -1) {
			flying[slot] = NULL;
			nflying--;
			log_warn("drop: %s has to wait", name);
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
		} else if (strncmp(e->d_name, DROP_TMP_PREFIX, strlen(DROP_TMP_PREFIX)) == 0 &&
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
	if (spool_low(spool) == NULL)
		scan();
	event_add(ev, &tv);
}

int
drop_start(struct spool *sp)
{
	struct timeval tv = { 1, 0 };

	spool = sp;
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

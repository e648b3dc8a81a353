/* SPDX-License-Identifier: ISC */
/*
 * Building indexes behind the files. There is one way for all: read a block of the log
 * back and append its entry. So a start after a crash, a lost index, and a file of
 * an earlier version need nothing of their own.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"
#include "logd/files.h"
#include "logd/index_file.h"
#include "logd/line.h"

#define BLOCKS_PER_TURN 4
#define OLD_FILES_MAX 4096

/* A file whose index is being built; fds are -1 while it is not open. */
struct target {
	enum log_kind kind;
	int32_t day;
	int log_fd, index_fd;
	uint64_t covered;
	int broken; /* an error: no more tries on this day */
};

struct old_file {
	enum log_kind kind;
	int32_t day;
};

/* That of each kind's current day, and one for the files of the past. */
#define PAST LOG_KIND_MAX
static struct target targets[LOG_KIND_MAX + 1];
static int targets_ready;
static uint64_t sizes[LOG_KIND_MAX];
static int32_t days[LOG_KIND_MAX];
static struct old_file *old_files;
static size_t n_old;
static struct event *turn_event;

static void
target_close(struct target *t)
{
	if (t->log_fd != -1)
		close(t->log_fd);
	if (t->index_fd != -1)
		close(t->index_fd);
	*t = (struct target){ .log_fd = -1, .index_fd = -1 };
}

/* How far the entries are whole; what is behind is cut off. */
static int
take_up(struct target *t)
{
	uint8_t head[INDEX_HEAD], buf[INDEX_ENTRY];
	struct index_entry e;
	off_t off = INDEX_HEAD;
	struct stat st;

	if (fstat(t->log_fd, &st) == -1)
		return -1;
	if (pread(t->index_fd, head, sizeof(head), 0) != sizeof(head) ||
	    index_head_check(head) == -1) {
		index_head_encode(head);
		return ftruncate(t->index_fd, 0) == -1 ||
			       write(t->index_fd, head, sizeof(head)) != sizeof(head)
			   ? -1
			   : 0;
	}
	while (pread(t->index_fd, buf, sizeof(buf), off) == sizeof(buf) &&
	       index_entry_decode(buf, t->covered, &e) == 0 &&
	       t->covered + e.len <= (uint64_t)st.st_size) {
		t->covered += e.len;
		off += INDEX_ENTRY;
	}
	return ftruncate(t->index_fd, off);
}

static int
target_open(struct target *t, enum log_kind kind, int32_t day)
{
	char name[FILES_NAME_MAX];
	int error;

	if (t->log_fd != -1 && t->day == day && t->kind == kind)
		return 0;
	target_close(t);
	files_name(name, kind, day);
	if ((t->log_fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) != -1 &&
	    (t->index_fd = index_file_open(kind, day, O_RDWR | O_CREAT | O_APPEND)) !=
		-1 &&
	    take_up(t) == 0) {
		t->kind = kind;
		t->day = day;
		return 0;
	}
	error = errno;
	target_close(t);
	errno = error;
	return -1;
}

static void
prepare(void)
{
	for (int k = 0; !targets_ready && k <= PAST; k++)
		targets[k] = (struct target){ .log_fd = -1, .index_fd = -1 };
	targets_ready = 1;
}

static int
build(struct target *t, enum log_kind kind, int32_t day, int whole)
{
	static char block[INDEX_BLOCK];
	struct index_entry e = { .len = 0 };
	uint8_t out[INDEX_ENTRY];
	const char *nl;
	ssize_t n;

	if (target_open(t, kind, day) == -1)
		return errno == ENOENT ? 0 : -1;
	n = pread(t->log_fd, block, sizeof(block), (off_t)t->covered);
	if (n == -1)
		return -1;
	if (n == 0 || (n < (ssize_t)sizeof(block) && !whole))
		return 0;
	/* Lines are shorter than a block, but a file may have been damaged. */
	nl = memrchr(block, '\n', (size_t)n);
	e.len = nl == NULL ? (uint32_t)n : (uint32_t)(nl - block) + 1;
	e.offset = t->covered;
	index_fill(e.filter, block, e.len);
	index_entry_encode(out, &e);
	n = write(t->index_fd, out, sizeof(out));
	if (n != (ssize_t)sizeof(out)) {
		if (n != -1)
			errno = ENOSPC;
		target_close(t); /* opened again, what is torn is cut off */
		return -1;
	}
	t->covered += e.len;
	return 1;
}

int
index_build(enum log_kind kind, int32_t day, int whole)
{
	prepare();
	return build(&targets[PAST], kind, day, whole);
}

static void
turn_soon(void)
{
	struct timeval tv = { 0, 0 };

	if (turn_event != NULL && !evtimer_pending(turn_event, NULL))
		evtimer_add(turn_event, &tv);
}

/* 1: there is more to do. */
static int
build_current(void)
{
	int more = 0;

	for (int k = 0; k < LOG_KIND_MAX; k++) {
		struct target *t = &targets[k];
		int r = 1;

		if (days[k] == 0 || (t->day == days[k] && t->broken))
			continue;
		for (int i = 0; i < BLOCKS_PER_TURN && r == 1; i++) {
			if (t->log_fd != -1 && t->day == days[k] &&
			    sizes[k] < t->covered + INDEX_BLOCK)
				r = 0;
			else if ((r = build(t, (enum log_kind)k, days[k], 0)) == -1) {
				log_warn("index of the %s log", files_kind((size_t)k));
				t->day = days[k];
				t->broken = 1;
			}
		}
		more |= r == 1;
	}
	return more;
}

static void
turn(evutil_socket_t fd, short what, void *arg)
{
	int r = 1;

	if (build_current()) {
		turn_soon();
		return;
	}
	if (n_old == 0)
		return;
	for (int i = 0; i < BLOCKS_PER_TURN && r == 1; i++)
		r = build(&targets[PAST], old_files[n_old - 1].kind,
		    old_files[n_old - 1].day, 1);
	if (r != 1) {
		target_close(&targets[PAST]);
		n_old--;
	}
	turn_soon();
}

/* All files of the past; they are finished one after another. */
static void
find_old(void)
{
	int32_t today = (int32_t)(wall_s() / 86400), day;
	struct old_file *o;
	enum log_kind kind;
	struct dirent *e;
	DIR *dir;

	if ((dir = opendir(".")) == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		if (files_name_parse(e->d_name, &kind, &day) == -1 || day >= today ||
		    n_old == OLD_FILES_MAX ||
		    (o = reallocarray(old_files, n_old + 1, sizeof(*o))) == NULL)
			continue;
		old_files = o;
		old_files[n_old++] = (struct old_file){ kind, day };
	}
	closedir(dir);
}

int
index_start(struct event_base *base)
{
	prepare();
	if (turn_event == NULL && (turn_event = evtimer_new(base, turn, NULL)) == NULL)
		return -1;
	find_old();
	turn_soon();
	return 0;
}

void
index_stop(void)
{
	for (int k = 0; targets_ready && k <= PAST; k++)
		target_close(&targets[k]);
	if (turn_event != NULL)
		event_free(turn_event);
	turn_event = NULL;
	free(old_files);
	old_files = NULL;
	n_old = 0;
}

void
index_grown(enum log_kind kind, int32_t day, uint64_t size)
{
	const struct target *t = &targets[kind];

	if (turn_event == NULL)
		return;
	/* The day that ended gets its last block. */
	if (days[kind] != 0 && days[kind] != day && n_old < OLD_FILES_MAX) {
		struct old_file *o = reallocarray(old_files, n_old + 1, sizeof(*o));

		if (o != NULL) {
			old_files = o;
			old_files[n_old++] = (struct old_file){ kind, days[kind] };
			turn_soon();
		}
	}
	days[kind] = day;
	sizes[kind] = size;
	if (t->log_fd == -1 || t->day != day || size >= t->covered + INDEX_BLOCK)
		turn_soon();
}

/* SPDX-License-Identifier: ISC */
/*
 * The day files: append, change of day, bounds, age. The invariant: whatever the
 * disk does, the caller never waits and memory does not grow. Errors here can
 * not be logged the usual way, as that would end here again: they are in the
 * status, and in a line as soon as lines can be written.
 */
#include "logd/files.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "logd/index.h"
#include "logd/line.h"

#define BUF_OCTETS 65536
#define FLUSH_MS 50

struct file {
	int fd;
	int32_t day;
	uint64_t size;  /* on the disk */
	uint64_t lines; /* in the buffer */
	uint64_t lost;  /* by the disk, not told yet */
	int full;       /* the day's bound is reached and told */
	size_t len;
	char buf[BUF_OCTETS];
};

static struct file files[LOG_KIND_MAX];
static struct files_stats stats;
static uint32_t keep_days = 30;
static uint64_t day_bytes_max = 1ull << 30;
static int started;
static struct event *flush_event;
static void (*on_line)(enum log_kind, const char *, size_t);

static const char *const kinds[] = { "host", "smtp", "delivery", "filter", "login",
	NULL };

const char *
files_kind(size_t i)
{
	return i < LOG_KIND_MAX ? kinds[i] : NULL;
}

void
files_name(char buf[FILES_NAME_MAX], enum log_kind kind, int32_t day)
{
	char d[11];

	day_format(d, day);
	snprintf(buf, FILES_NAME_MAX, "%s-%s.log", kinds[kind], d);
}

int
files_name_parse(const char *name, enum log_kind *kind, int32_t *day)
{
	size_t n;

	for (size_t k = 0; k < LOG_KIND_MAX; k++) {
		n = strlen(kinds[k]);
		if (strncmp(name, kinds[k], n) != 0 || name[n] != '-' ||
		    strlen(name) != n + 15 || strcmp(name + n + 11, ".log") != 0)
			continue;
		*kind = (enum log_kind)k;
		return day_parse(name + n + 1, 10, day);
	}
	return -1;
}

const struct files_stats *
files_stats(void)
{
	stats.full = 0;
	for (int k = 0; k < LOG_KIND_MAX; k++) {
		stats.full += files[k].full;
		stats.day_octets[k] = files[k].size + files[k].len;
	}
	return &stats;
}

void
files_configure(uint32_t keep, uint64_t max)
{
	keep_days = keep;
	day_bytes_max = max < BUF_OCTETS ? BUF_OCTETS : max;
	/* a higher bound opens a full day again */
	for (int k = 0; k < LOG_KIND_MAX; k++)
		files[k].full =
		    files[k].full && files[k].size + LINE_OCTETS_MAX > day_bytes_max;
}

void
files_on_line(void (*cb)(enum log_kind, const char *, size_t))
{
	on_line = cb;
}

static void
lose(struct file *f)
{
	f->lost += f->lines;
	stats.lost_disk += f->lines;
	f->lines = 0;
	f->len = 0;
}

static int
open_day(struct file *f, enum log_kind kind, int32_t day)
{
	char name[FILES_NAME_MAX];
	struct stat st;

	files_name(name, kind, day);
	f->fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->fd == -1)
		return -1;
	f->size = fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

/* Drop the part of a line that a short write left at the end. */
static void
trim(struct file *f, size_t written)
{
	const char *nl = written == 0 ? NULL : memrchr(f->buf, '\n', written);
	size_t whole = nl == NULL ? 0 : (size_t)(nl - f->buf) + 1;

	f->size += whole;
	for (size_t i = 0; i < whole; i++)
		f->lines -= f->buf[i] == '\n' && f->lines > 0;
	if (written > whole && ftruncate(f->fd, (off_t)f->size) == -1)
		f->size += written - whole;
}

static void
flush_file(enum log_kind kind)
{
	struct file *f = &files[kind];
	ssize_t n;

	if (f->len == 0 || !started)
		return;
	if (f->fd == -1 && open_day(f, kind, f->day) == -1) {
		stats.error = errno;
		lose(f);
		return;
	}
	n = write(f->fd, f->buf, f->len);
	if (n == (ssize_t)f->len) {
		f->size += f->len;
		f->len = 0;
		f->lines = 0;
		stats.error = 0;
		index_grown(kind, f->day, f->size);
		return;
	}
	stats.error = n == -1 ? errno : ENOSPC;
	trim(f, n == -1 ? 0 : (size_t)n);
	lose(f);
}

void
files_flush(void)
{
	for (int k = 0; k < LOG_KIND_MAX; k++)
		flush_file((enum log_kind)k);
}

static void
flush_cb(evutil_socket_t fd, short what, void *arg)
{
	files_flush();
}

int
files_start(struct event_base *base)
{
	struct timespec ts;

	for (int k = 0; k < LOG_KIND_MAX; k++)
		if (!started)
			files[k].fd = -1;
	started = 1;
	clock_gettime(CLOCK_REALTIME, &ts);
	files_expire((int32_t)(ts.tv_sec / 86400));
	if (base != NULL && flush_event == NULL &&
	    (flush_event = evtimer_new(base, flush_cb, NULL)) == NULL)
		return -1;
	files_flush();
	return 0;
}

void
files_close(void)
{
	files_flush();
	for (int k = 0; k < LOG_KIND_MAX; k++) {
		if (started && files[k].fd != -1)
			close(files[k].fd);
		memset(&files[k], 0, sizeof(files[k]));
		files[k].fd = -1;
	}
	memset(&stats, 0, sizeof(stats));
	if (flush_event != NULL)
		event_free(flush_event);
	flush_event = NULL;
	started = 0;
}

static void
append(enum log_kind kind, const char *line, size_t len)
{
	struct file *f = &files[kind];

	if (f->len + len + 1 > sizeof(f->buf))
		flush_file(kind);
	if (f->len + len + 1 > sizeof(f->buf)) /* before files_start() */
		lose(f);
	memcpy(f->buf + f->len, line, len);
	f->buf[f->len + len] = '\n';
	f->len += len + 1;
	f->lines++;
	stats.lines++;
	if (on_line != NULL)
		on_line(kind, line, len);
}

static void
append_note(enum log_kind kind, int64_t time_us, const char *text)
{
	char line[256], stamp[LINE_STAMP_LEN + 1];
	int n;

	line_stamp(stamp, time_us);
	n = snprintf(line, sizeof(line), "%s logd[%d] %s", stamp, (int)getpid(), text);
	append(kind, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void
turn_to_day(enum log_kind kind, int32_t day)
{
	struct file *f = &files[kind];
	int32_t before = f->day;

	if (started) {
		flush_file(kind);
		if (f->fd != -1)
			close(f->fd);
	}
	f->fd = -1;
	f->day = day;
	f->full = 0;
	f->size = 0;
	if (!started)
		return;
	/* at once: the size is needed for the bound */
	if (open_day(f, kind, day) == -1)
		stats.error = errno;
	if (day > before)
		files_expire(day);
}

void
files_line(
    enum log_kind kind, int64_t time_us, const char *name, uint32_t pid, const char *text)
{
	char line[LINE_OCTETS_MAX], note[128], stamp[LINE_STAMP_LEN + 1];
	struct file *f = &files[kind];
	int32_t day = (int32_t)(time_us / 1000000 / 86400);
	size_t len;
	int n;

	if (day != f->day)
		turn_to_day(kind, day);
	line_stamp(stamp, time_us);
	n = snprintf(
	    line, sizeof(line) / 2, "%s %s[%" PRIu32 "] ", stamp, name, pid % 1000000000);
	len = n < (int)sizeof(line) / 2 ? (size_t)n : sizeof(line) / 2 - 1;
	len += line_clean(line + len, sizeof(line) - len, text);
	if (!f->full && f->size + f->len + len + 512 > day_bytes_max) {
		snprintf(note, sizeof(note), "log-full kind=%s limit=%" PRIu64,
		    kinds[kind], day_bytes_max);
		append_note(kind, time_us, note);
		f->full = 1;
	}
	if (f->full) {
		stats.lost_bound++;
		return;
	}
	if (f->lost != 0 && stats.error == 0) {
		snprintf(note, sizeof(note), "log-lost count=%" PRIu64, f->lost);
		f->lost = 0;
		append_note(kind, time_us, note);
	}
	append(kind, line, len);
	if (flush_event != NULL && !evtimer_pending(flush_event, NULL)) {
		struct timeval tv = { 0, FLUSH_MS * 1000 };

		evtimer_add(flush_event, &tv);
	}
}

/* The day of a log file or of its index. */
static int
file_day(const char *name, int32_t *day)
{
	char log[FILES_NAME_MAX];
	enum log_kind kind;
	size_t n = strlcpy(log, name, sizeof(log));

	if (n >= 4 && n < sizeof(log) && strcmp(log + n - 4, ".idx") == 0)
		memcpy(log + n - 3, "log", 3);
	return files_name_parse(log, &kind, day);
}

void
files_expire(int32_t today)
{
	struct dirent *e;
	int32_t day;
	DIR *dir;

	if ((dir = opendir(".")) == NULL) {
		stats.error = errno;
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (file_day(e->d_name, &day) == 0 &&
		    (int64_t)day < (int64_t)today - keep_days)
			unlink(e->d_name);
	closedir(dir);
}

int
files_days(int32_t *first, int32_t *last)
{
	enum log_kind kind;
	struct dirent *e;
	int32_t day;
	DIR *dir;
	int found = -1;

	if ((dir = opendir(".")) == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL) {
		if (files_name_parse(e->d_name, &kind, &day) == -1)
			continue;
		if (found == -1 || day < *first)
			*first = day;
		if (found == -1 || day > *last)
			*last = day;
		found = 0;
	}
	closedir(dir);
	return found;
}

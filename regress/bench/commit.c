/* SPDX-License-Identifier: ISC */
/*
 * Ways to make a group of journal records durable, side by side on a real disk:
 *
 *	commit DIRECTORY [SECONDS (10) for each size of group]
 *
 * Each candidate writes groups of 1, 8 and 50 records of 4.3 KB, one write a group, and
 * waits until they are durable. They take turns group by group, so that what else the
 * disk does hits them alike. The segments are queued's: allocated whole, and filled
 * with zeros before they are used, since a first write into an allocated block changes
 * the file's metadata, which costs a sync its second write.
 */
#include <sys/stat.h>
#include <sys/uio.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORD 4320 /* of a message of 4 KB, padded */
#define SEGMENT (16 << 20)
#define SYNCS_MAX 200000

enum way {
	ZEROED,
	ALLOCATED,
	GROWING,
	O_DSYNC_FILE,
	RWF_DSYNC_FLAG,
	RANGE_THEN_SYNC,
	WAYS
};

static const char *const names[] = {
	"zero-filled segment, fdatasync (queued's)",
	"allocated segment, fdatasync",
	"growing file, fdatasync",
	"zero-filled segment, O_DSYNC",
	"zero-filled segment, RWF_DSYNC",
	"zero-filled, sync_file_range, fdatasync",
};
static const int groups[] = { 1, 8, 50 };
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static double waits[WAYS][SYNCS_MAX];
static uint8_t *buf;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int
segment_open(const char *path, enum way w)
{
	static uint8_t zeros[1 << 20];
	int fd;

	(void)unlink(path);
	fd = open(
	    path, O_RDWR | O_CREAT | O_CLOEXEC | (w == O_DSYNC_FILE ? O_DSYNC : 0), 0600);
	if (fd == -1)
		err(1, "%s", path);
	if (w != GROWING && fallocate(fd, 0, 0, SEGMENT) == -1)
		err(1, "fallocate");
	for (off_t at = 0; w != GROWING && w != ALLOCATED && at < SEGMENT;
	     at += (off_t)sizeof(zeros))
		if (pwrite(fd, zeros, sizeof(zeros), at) != (ssize_t)sizeof(zeros))
			err(1, "pwrite");
	if (fsync(fd) == -1)
		err(1, "fsync");
	return fd;
}

static void
append(int fd, enum way w, size_t len, off_t at)
{
	struct iovec io = { buf, len };
	ssize_t n = w == RWF_DSYNC_FLAG ? pwritev2(fd, &io, 1, at, RWF_DSYNC)
					: pwrite(fd, buf, len, at);

	if (n != (ssize_t)len)
		err(1, "write");
	if (w == RANGE_THEN_SYNC &&
	    sync_file_range(fd, at, (off_t)len, SYNC_FILE_RANGE_WRITE) == -1)
		err(1, "sync_file_range");
	if (w != RWF_DSYNC_FLAG && w != O_DSYNC_FILE && fdatasync(fd) == -1)
		err(1, "fdatasync");
}

/* One group by one way; its wait in ms. Overwrites what it wrote before, as a recycled
 * segment is used again, where the way allows it: a growing file is new each time. */
static double
once(const char *dir, enum way w, size_t len)
{
	static int fds[WAYS];
	static off_t places[WAYS];
	char path[4096];
	double begin;

	if (fds[w] == 0 || places[w] + (off_t)len > SEGMENT) {
		snprintf(path, sizeof(path), "%s/commit.bench.%d", dir, (int)w);
		if (fds[w] == 0 || w == GROWING || w == ALLOCATED) {
			if (fds[w] != 0)
				close(fds[w]);
			fds[w] = segment_open(path, w);
			(void)unlink(path);
		}
		places[w] = 0;
	}
	memset(buf, (int)(places[w] / RECORD), len);
	begin = now();
	append(fds[w], w, len, places[w]);
	places[w] += (off_t)len;
	return (now() - begin) * 1000;
}

int
main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 10;

	if (argc < 2 || seconds <= 0)
		errx(2, "usage: commit directory [seconds]");
	buf = malloc((size_t)groups[GROUPS - 1] * RECORD);
	if (buf == NULL)
		err(1, NULL);
	printf("%-42s %6s %10s %8s %8s\n", "", "group", "messages/s", "p50 ms", "p99 ms");
	for (size_t g = 0; g < GROUPS; g++) {
		double end = now() + seconds;
		size_t n = 0;

		for (; n < SYNCS_MAX && (n < 10 || now() < end); n++)
			for (int i = 0; i < WAYS; i++) {
				enum way w = (enum way)((i + (int)(n % WAYS)) % WAYS);

				waits[w][n] =
				    once(argv[1], w, (size_t)groups[g] * RECORD);
			}
		for (int w = 0; w < WAYS; w++) {
			double sum = 0;

			for (size_t i = 0; i < n; i++)
				sum += waits[w][i];
			qsort(waits[w], n, sizeof(waits[w][0]), by_value);
			printf("%-42s %6d %10.0f %8.2f %8.2f\n", names[w], groups[g],
			    (double)groups[g] * (double)n * 1000 / sum, waits[w][n / 2],
			    waits[w][n * 99 / 100]);
		}
	}
	return 0;
}

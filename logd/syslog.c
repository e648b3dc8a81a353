/* SPDX-License-Identifier: ISC */
/* The way to the system's log: datagrams as syslog(3) sends them (RFC 3164). */
#include "logd/syslog.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "logd/line.h"

#define FACILITY_MAIL (2 << 3)
#define DATAGRAM_MAX 2048

static int fd = -1;
static uint64_t lost;

void
syslog_open(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	tzset(); /* the zone's file is out of reach later */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return;
	strlcpy(sun.sun_path, "/dev/log", sizeof(sun.sun_path));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		fd = -1;
	}
}

int
syslog_ready(void)
{
	return fd != -1;
}

uint64_t
syslog_lost(void)
{
	return lost;
}

void
syslog_line(enum log_level level, int64_t time_us, const char *name, uint32_t pid,
    const char *text)
{
	static const int severity[] = { 3, 4, 6, 7 };
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char buf[DATAGRAM_MAX];
	time_t t = (time_t)(time_us / 1000000);
	struct tm tm;
	size_t len;
	int n;

	if (fd == -1 || localtime_r(&t, &tm) == NULL) {
		lost++;
		return;
	}
	n = snprintf(buf, sizeof(buf) / 2,
	    "<%d>%.3s %2d %02d:%02d:%02d fife-%s[%" PRIu32 "]: ",
	    FACILITY_MAIL | severity[level > LOGL_DEBUG ? LOGL_DEBUG : level],
	    months + 3 * tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, name,
	    pid);
	len = n < (int)sizeof(buf) / 2 ? (size_t)n : sizeof(buf) / 2 - 1;
	len += line_clean(buf + len, sizeof(buf) - len, text);
	if (send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		lost++;
}

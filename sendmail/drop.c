/* SPDX-License-Identifier: ISC */
/* Drop files; see drop.h. */
#include "sendmail/drop.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

/* As queued takes them at most in one file. */
#define DROP_RCPTS 1000

/* From *next on; *next is moved behind the last one written. 0 or -1. */
static int
write_file(FILE *f, const struct submit *s, const struct message *m, size_t *next)
{
	size_t n = 0;

	fprintf(f, "F %s\n", s->sender);
	for (; *next < m->nrcpts && n < DROP_RCPTS; (*next)++)
		if (s->rcpt_state[*next] == RCPT_LATER) {
			fprintf(f, "R %s\n", m->rcpts[*next]);
			n++;
		}
	fputc('\n', f);
	if (m->len > 0 && fwrite(m->text, m->len, 1, f) != 1)
		return -1;
	return fflush(f) != 0 || ferror(f) || fsync(fileno(f)) == -1 ? -1 : 0;
}

static int
drop_one(
    const struct host *h, const struct submit *s, const struct message *m, size_t *next)
{
	char tmp[1200], name[1200];
	uint64_t r[2];
	FILE *f;
	int fd, saved;

	arc4random_buf(r, sizeof(r));
	snprintf(tmp, sizeof(tmp), "%s/spool/drop/t.%016llx%016llx", h->state,
	    (unsigned long long)r[0], (unsigned long long)r[1]);
	snprintf(name, sizeof(name), "%s/spool/drop/m.%016llx%016llx", h->state,
	    (unsigned long long)r[0], (unsigned long long)r[1]);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if ((f = fdopen(fd, "w")) == NULL) {
		saved = errno;
		close(fd);
		goto fail;
	}
	/* queued has another uid. Nobody else can list the directory. */
	if (write_file(f, s, m, next) == -1 || fchmod(fd, 0644) == -1) {
		saved = errno;
		fclose(f);
		goto fail;
	}
	if (fclose(f) != 0 || rename(tmp, name) == -1) {
		saved = errno;
		goto fail;
	}
	return 0;
fail:
	(void)unlink(tmp);
	errno = saved;
	return -1;
}

static int
any_left(const struct submit *s, const struct message *m, size_t next)
{
	for (; next < m->nrcpts; next++)
		if (s->rcpt_state[next] == RCPT_LATER)
			return 1;
	return 0;
}

int
drop_message(const struct host *h, const struct submit *s, const struct message *m)
{
	size_t next = 0;

	while (any_left(s, m, next))
		if (drop_one(h, s, m, &next) == -1)
			return -1;
	return 0;
}

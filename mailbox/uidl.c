/* SPDX-License-Identifier: ISC */
/* Identifiers of POP3 that are kept; see uidl.h. */
#include "mailbox/uidl.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/store_int.h"

#define FILE_NAME "fife-uidl"

void
uidl_clear(struct uidl *u)
{
	free(u->v);
	free(u->text);
	memset(u, 0, sizeof(*u));
}

int
uidl_valid(const char *s, size_t len)
{
	if (len == 0 || len > UIDL_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (s[i] < 0x21 || s[i] > 0x7e)
			return 0;
	return 1;
}

static int
grow(void **p, size_t *cap, size_t wanted, size_t size)
{
	size_t n = *cap < 64 ? 64 : *cap * 2;
	void *q;

	if (wanted <= *cap)
		return 0;
	n = n < wanted ? wanted : n;
	if ((q = reallocarray(*p, n, size)) == NULL)
		return -1;
	*p = q;
	*cap = n;
	return 0;
}

int
uidl_add(struct uidl *u, uint32_t uid, const char *s, size_t len)
{
	if (uid == 0 || (u->n > 0 && u->v[u->n - 1].uid >= uid) ||
	    u->n >= UIDL_ENTRIES_MAX || !uidl_valid(s, len) ||
	    grow((void **)&u->v, &u->cap, u->n + 1, sizeof(*u->v)) == -1 ||
	    grow((void **)&u->text, &u->text_cap, u->text_len + len + 1, 1) == -1)
		return -1;
	u->v[u->n++] = (struct uidl_entry){ uid, (uint32_t)u->text_len };
	memcpy(u->text + u->text_len, s, len);
	u->text[u->text_len + len] = '\0';
	u->text_len += len + 1;
	return 0;
}

const char *
uidl_find(const struct uidl *u, uint32_t uid)
{
	size_t low = 0, high = u->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->v[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < u->n && u->v[low].uid == uid ? u->text + u->v[low].at : NULL;
}

/* Digits up to end. 0 or -1. */
static int
number(const char *s, const char *end, uint32_t *out)
{
	uint64_t n = 0;

	if (s == end)
		return -1;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9' ||
		    (n = n * 10 + (uint64_t)(*s - '0')) > UINT32_MAX)
			return -1;
	}
	*out = (uint32_t)n;
	return 0;
}

void
uidl_parse(const char *s, size_t len, uint32_t uidvalidity, struct uidl *u)
{
	static const char first[] = "uidvalidity ";
	const char *end = s + len, *nl, *sp;
	uint32_t n;

	if (len < sizeof(first) || memcmp(s, first, sizeof(first) - 1) != 0)
		return;
	s += sizeof(first) - 1;
	if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL ||
	    number(s, nl, &n) == -1 || n != uidvalidity)
		return;
	for (s = nl + 1; s < end && (nl = memchr(s, '\n', (size_t)(end - s))) != NULL;
	     s = nl + 1) {
		if ((sp = memchr(s, ' ', (size_t)(nl - s))) == NULL ||
		    number(s, sp, &n) == -1 ||
		    uidl_add(u, n, sp + 1, (size_t)(nl - sp - 1)) == -1)
			return;
	}
}

int
uidl_load(struct folder *f, struct uidl *u)
{
	int fd =
	    openat(f->dirfd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t got = 0;
	ssize_t n;
	char *buf;

	memset(u, 0, sizeof(*u));
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > UIDL_FILE_MAX ||
	    (buf = malloc((size_t)st.st_size + 1)) == NULL) {
		close(fd);
		return -1;
	}
	while (got < (size_t)st.st_size &&
	       (n = read(fd, buf + got, (size_t)st.st_size - got)) > 0)
		got += (size_t)n;
	close(fd);
	uidl_parse(buf, got, f->uidvalidity, u);
	free(buf);
	return 0;
}

enum store_error
uidl_save(struct folder *f, const struct uidl *u)
{
	enum store_error error = STORE_OK;
	FILE *fp = NULL;
	int fd;

	if (u->n == 0) {
		if (unlinkat(f->dirfd, FILE_NAME, 0) == -1 && errno != ENOENT)
			return store_errno(FILE_NAME);
		return STORE_OK;
	}
	fd = openat(f->dirfd, FILE_NAME ".new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || (fp = fdopen(fd, "w")) == NULL) {
		error = store_errno(FILE_NAME);
		if (fd != -1)
			close(fd);
		return error;
	}
	fprintf(fp, "uidvalidity %" PRIu32 "\n", f->uidvalidity);
	for (size_t i = 0; i < u->n; i++)
		fprintf(fp, "%" PRIu32 " %s\n", u->v[i].uid, u->text + u->v[i].at);
	if (fflush(fp) == EOF || ferror(fp) || fdatasync(fd) == -1 ||
	    renameat(f->dirfd, FILE_NAME ".new", f->dirfd, FILE_NAME) == -1 ||
	    fsync(f->dirfd) == -1)
		error = store_errno(FILE_NAME);
	fclose(fp);
	return error;
}

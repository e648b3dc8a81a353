/* SPDX-License-Identifier: ISC */
/* Annotations in their files; see annotations.h. */
#include "mailbox/annotations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/proto/encoding.h"
#include "mailbox/store_int.h"

#define FOLDER_FILE "fife-metadata"
#define SERVER_FILE "fife-metadata-server"

void
annotations_clear(struct annotations *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].name);
		free(a->v[i].value);
	}
	a->n = 0;
}

int
annotation_name(const char *s, size_t len, char out[ANNOTATION_NAME_MAX + 1])
{
	if (len < 9 || len > ANNOTATION_NAME_MAX || s[len - 1] == '/')
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || c == '*' || c == '%' ||
		    (c == '/' && s[i + 1] == '/'))
			return -1;
		out[i] = (char)ascii_lower(c);
	}
	out[len] = '\0';
	return strncmp(out, "/private/", 9) == 0 || strncmp(out, "/shared/", 8) == 0 ? 0
										     : -1;
}

enum store_error
annotations_set(struct annotations *a, const char *name, const void *value, size_t len)
{
	uint8_t *copy = NULL;
	char *n;
	size_t i = 0;

	while (i < a->n && strcmp(a->v[i].name, name) < 0)
		i++;
	if (i < a->n && strcmp(a->v[i].name, name) == 0) {
		free(a->v[i].name);
		free(a->v[i].value);
		a->n--;
		memmove(a->v + i, a->v + i + 1, (a->n - i) * sizeof(*a->v));
	}
	if (value == NULL)
		return STORE_OK;
	if (a->n == ANNOTATIONS_MAX || len > ANNOTATION_VALUE_MAX)
		return STORE_LIMIT;
	if ((copy = malloc(len + 1)) == NULL || (n = strdup(name)) == NULL) {
		free(copy);
		return STORE_IO;
	}
	if (len > 0)
		memcpy(copy, value, len);
	memmove(a->v + i + 1, a->v + i, (a->n - i) * sizeof(*a->v));
	a->v[i] = (struct annotation){ n, copy, len };
	a->n++;
	return STORE_OK;
}

int
annotations_parse(const uint8_t *p, size_t len, struct annotations *a)
{
	char raw[ANNOTATION_NAME_MAX + 1], name[ANNOTATION_NAME_MAX + 1];

	a->n = 0;
	while (len > 0) {
		const uint8_t *sp = memchr(p, ' ', len);
		size_t n, value = 0;

		if (sp == NULL || (n = (size_t)(sp - p)) > ANNOTATION_NAME_MAX)
			return -1;
		memcpy(raw, p, n);
		raw[n] = '\0';
		if (annotation_name(raw, n, name) == -1)
			return -1;
		p += n + 1;
		len -= n + 1;
		for (n = 0; n < len && n < 6 && p[n] >= '0' && p[n] <= '9'; n++)
			value = value * 10 + (size_t)(p[n] - '0');
		if (n == 0 || n == len || p[n] != '\n' || value > ANNOTATION_VALUE_MAX ||
		    len - n - 1 < value + 1 || p[n + 1 + value] != '\n')
			return -1;
		if (annotations_set(a, name, p + n + 1, value) != STORE_OK)
			return -1;
		p += n + value + 2;
		len -= n + value + 2;
	}
	return 0;
}

static int
directory(struct store *s, struct folder *f)
{
	return f == NULL ? s->mailfd : f->dirfd;
}

enum store_error
annotations_load(struct store *s, struct folder *f, struct annotations *a)
{
	enum store_error error = STORE_OK;
	uint8_t *buf = NULL;
	struct stat st;
	ssize_t n;
	int fd;

	a->n = 0;
	fd = openat(directory(s, f), f == NULL ? SERVER_FILE : FOLDER_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return errno == ENOENT ? STORE_OK : store_errno(FOLDER_FILE);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > ANNOTATIONS_BYTES ||
	    (buf = malloc((size_t)st.st_size + 1)) == NULL)
		error = store_errno(FOLDER_FILE);
	else if ((n = read(fd, buf, (size_t)st.st_size)) != st.st_size)
		error = store_errno(FOLDER_FILE);
	else if (annotations_parse(buf, (size_t)n, a) == -1)
		log_warnx("%s: %s is damaged; %zu annotations are left",
		    f == NULL ? "Maildir" : f->name, FOLDER_FILE, a->n);
	free(buf);
	close(fd);
	return error;
}

enum store_error
annotations_save(struct store *s, struct folder *f, const struct annotations *a)
{
	const char *name = f == NULL ? SERVER_FILE : FOLDER_FILE;
	enum store_error error = STORE_OK;
	char new_name[64];
	size_t total = 0;
	int dir = directory(s, f), fd;
	struct stat st;
	FILE *fp;

	for (size_t i = 0; i < a->n; i++)
		total += strlen(a->v[i].name) + a->v[i].len + 16;
	if (total > ANNOTATIONS_BYTES)
		return STORE_LIMIT;
	if (f != NULL && f->gone)
		return STORE_NOT_FOUND;
	(void)snprintf(new_name, sizeof(new_name), "%s.new", name);
	fd = openat(dir, new_name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || (fp = fdopen(fd, "w")) == NULL) {
		error = store_errno(name);
		if (fd != -1)
			close(fd);
		return error;
	}
	for (size_t i = 0; i < a->n; i++) {
		fprintf(fp, "%s %zu\n", a->v[i].name, a->v[i].len);
		(void)fwrite(a->v[i].value, 1, a->v[i].len, fp);
		putc('\n', fp);
	}
	if (fflush(fp) != 0 || ferror(fp) || fdatasync(fd) == -1 ||
	    renameat(dir, new_name, dir, name) == -1 || fsync(dir) == -1)
		error = store_errno(name);
	fclose(fp);
	/* Our own change of Maildir is no reason to read it again. */
	if (error == STORE_OK && f == NULL && fstat(dir, &st) == 0)
		s->list_time = st.st_mtim;
	return error;
}

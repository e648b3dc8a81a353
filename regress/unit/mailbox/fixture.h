/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TEST_MAILBOX_FIXTURE_H
#define FIFE_TEST_MAILBOX_FIXTURE_H

/* A mailbox in a directory of its own, for the tests of the store. */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailbox/store.h"

extern size_t index_eager_max; /* mailbox/store_int.h */

struct box {
	char dir[64];
	int fd;
};

static inline void
box_make(struct box *b)
{
	strcpy(b->dir, "/tmp/fife-store-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(b->fd, -1);
}

static inline void
box_remove(struct box *b)
{
	char cmd[128];

	close(b->fd);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", b->dir);
	assert_int_equal(system(cmd), 0);
}

static inline struct store *
box_open(struct box *b)
{
	struct store *s;

	/* In turns, as a large folder is opened and as a small one. */
	index_eager_max = index_eager_max > 0 ? 0 : 1000;
	assert_int_equal(store_open(b->fd, 0, &s), STORE_OK);
	return s;
}

static inline uint32_t
put(struct folder *f, const char *text, uint8_t flags)
{
	struct append *a;
	uint32_t uid;

	assert_int_equal(append_begin(f, strlen(text), &a), STORE_OK);
	assert_int_equal(append_write(a, text, strlen(text)), STORE_OK);
	assert_int_equal(append_commit(a, flags, 0, -1, &uid), STORE_OK);
	return uid;
}

static inline void
write_file(struct box *b, const char *path, const char *text)
{
	char full[512];
	FILE *fp;

	snprintf(full, sizeof(full), "%s/%s", b->dir, path);
	fp = fopen(full, "w");
	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static inline void
assert_content(struct folder *f, uint32_t uid, const char *text)
{
	struct content c;

	assert_int_equal(folder_content(f, uid, &c), STORE_OK);
	assert_int_equal(c.len, strlen(text));
	assert_memory_equal(c.data, text, c.len);
	content_release(&c);
}

/* The file of a message below the mailbox directory. */
static inline void
file_of(struct box *b, const char *sub, uint32_t uid, char *out, size_t cap)
{
	char full[512], token[32];
	struct dirent *e;
	DIR *d;

	snprintf(full, sizeof(full), "%s/%s", b->dir, sub);
	snprintf(token, sizeof(token), ",U=%u-", uid);
	d = opendir(full);
	assert_non_null(d);
	out[0] = '\0';
	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, token) != NULL)
			assert_true(
			    snprintf(out, cap, "%s/%s", full, e->d_name) < (int)cap);
	closedir(d);
}

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_REGRESS_DISKTRACE_H
#define FIFE_REGRESS_DISKTRACE_H

/*
 * A disk that loses its power: what the spool does through queued/sys.c is recorded, and
 * put together again as it may be on the disk after a loss of power at any place of the
 * record. For one test program; after cmocka.h.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "queued/sys.h"

#define BLOCK 512
#define FILES_MAX 2000
#define NAME_MAX_ 64

/* The disk: what is durable of it, and what is on its way. */

struct op {
	enum {
		WRITE,
		SIZE,
		RENAME,
		UNLINK,
		CREATE,
		SYNC,
		CHECKPOINT,
		EVENT
	} what;
	int file;
	size_t begin; /* SYNC: covers what is before that */
	uint8_t *buf; /* WRITE, CHECKPOINT */
	size_t len;
	off_t off;
	char from[NAME_MAX_], to[NAME_MAX_]; /* paths below the root */
	size_t line;                         /* EVENT */
};

struct file {
	ino_t ino;
	int gone, is_dir;
	char path[NAME_MAX_]; /* while it is recorded; of a directory for good */
	uint8_t *data;        /* durable */
	size_t len, cap;
};

static char root[64], copy[80];
static struct op *ops;
static size_t nops, ops_cap;
static struct file files[FILES_MAX];
static int nfiles;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread size_t sync_begin;
static uint8_t meta_seen[8192];

static struct op *
op_new(int what)
{
	if (nops == ops_cap) {
		ops_cap = ops_cap == 0 ? 1024 : ops_cap * 2;
		ops = reallocarray(ops, ops_cap, sizeof(*ops));
		assert_non_null(ops);
	}
	memset(&ops[nops], 0, sizeof(ops[nops]));
	ops[nops].what = (unsigned int)what;
	return &ops[nops++];
}

static void
path_of(int fd, char *out)
{
	char link[64], path[256];
	ssize_t n;
	size_t skip = strlen(root);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	assert_true(n >= (ssize_t)skip);
	path[n] = '\0';
	skip += path[skip] == '/';
	strlcpy(out, path + skip, NAME_MAX_);
}

static int
file_add(ino_t ino, const char *path, int is_dir)
{
	assert_true(nfiles < FILES_MAX);
	files[nfiles].ino = ino;
	files[nfiles].is_dir = is_dir;
	strlcpy(files[nfiles].path, path, NAME_MAX_);
	return nfiles++;
}

/* The file behind a descriptor; one never seen has been created since. */
static int
file_of(int fd)
{
	struct stat st;
	char path[NAME_MAX_];
	struct op *o;
	int f;

	assert_int_equal(fstat(fd, &st), 0);
	for (f = nfiles - 1; f >= 0; f--) {
		if (files[f].ino == st.st_ino && !files[f].gone)
			return f;
	}
	path_of(fd, path);
	f = file_add(st.st_ino, path, S_ISDIR(st.st_mode));
	if (!S_ISDIR(st.st_mode)) {
		o = op_new(CREATE);
		o->file = f;
		strlcpy(o->to, path, NAME_MAX_);
	}
	return f;
}

static int
file_named(const char *path)
{
	for (int f = nfiles - 1; f >= 0; f--) {
		if (!files[f].gone && strcmp(files[f].path, path) == 0)
			return f;
	}
	return -1;
}

/* lmdb writes by itself: its file counts as whole after each of its transactions. */
static void
checkpoint_look(void)
{
	char path[128];
	uint8_t meta[sizeof(meta_seen)];
	struct stat st;
	struct op *o;
	int fd;

	snprintf(path, sizeof(path), "%s/index/data.mdb", root);
	fd = open(path, O_RDONLY);
	if (fd == -1)
		return;
	if (pread(fd, meta, sizeof(meta), 0) == (ssize_t)sizeof(meta) &&
	    memcmp(meta, meta_seen, sizeof(meta)) != 0 && fstat(fd, &st) == 0) {
		memcpy(meta_seen, meta, sizeof(meta));
		o = op_new(CHECKPOINT);
		o->len = (size_t)st.st_size;
		o->buf = malloc(o->len);
		assert_int_equal(pread(fd, o->buf, o->len, 0), o->len);
	}
	close(fd);
}

static long sync_fails_at; /* countdown; 0: never */

static int
on_call(const char *name, int fd, const void *buf, size_t len, off_t off)
{
	struct op *o;
	int f, rv = 0;

	pthread_mutex_lock(&mutex);
	if (strcmp(name, "pwrite") == 0) {
		checkpoint_look();
		f = file_of(fd);
		o = op_new(WRITE);
		o->file = f;
		o->buf = malloc(len > 0 ? len : 1);
		memcpy(o->buf, buf, len);
		o->len = len;
		o->off = off;
	} else if (strcmp(name, "fsync") == 0 || strcmp(name, "fdatasync") == 0) {
		sync_begin = nops;
		if (sync_fails_at > 0 && --sync_fails_at == 0) {
			errno = EIO;
			rv = -1;
		}
	}
	pthread_mutex_unlock(&mutex);
	return rv;
}

static void
on_done(const char *name, int fd, const char *from, const char *to, off_t len)
{
	struct op *o;
	char dir[NAME_MAX_], a[NAME_MAX_ * 2] = "", b[NAME_MAX_ * 2] = "";
	int f;

	pthread_mutex_lock(&mutex);
	checkpoint_look();
	if (from != NULL) {
		path_of(fd, dir);
		snprintf(a, sizeof(a), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", from);
		snprintf(b, sizeof(b), "%s%s%s", dir, dir[0] != '\0' ? "/" : "",
		    to != NULL ? to : "");
		f = file_named(a);
		if (f != -1) {
			o = op_new(to != NULL ? RENAME : UNLINK);
			o->file = f;
			strlcpy(o->from, a, NAME_MAX_);
			strlcpy(o->to, b, NAME_MAX_);
			if (to != NULL)
				strlcpy(files[f].path, b, NAME_MAX_);
			else
				files[f].gone = 1;
		}
	} else if (strcmp(name, "allocate") == 0) {
		f = file_of(fd);
		o = op_new(SIZE);
		o->file = f;
		o->off = len;
	} else {
		f = file_of(fd);
		o = op_new(SYNC);
		o->file = f;
		o->begin = sync_begin;
	}
	pthread_mutex_unlock(&mutex);
}

/* The replay. */

static struct name {
	char path[NAME_MAX_];
	int file; /* -1: no more */
} names[FILES_MAX];
static size_t nnames;
static size_t *unsynced; /* indices of ops */
static size_t nunsynced;
static const struct op *checkpoint;

static void
name_set(struct name *t, size_t *n, const char *path, int file)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(t[i].path, path) == 0) {
			t[i].file = file;
			return;
		}
	}
	assert_true(*n < FILES_MAX);
	strlcpy(t[*n].path, path, NAME_MAX_);
	t[(*n)++].file = file;
}

static void
names_apply(struct name *t, size_t *n, const struct op *o)
{
	if (o->what == RENAME || o->what == UNLINK) {
		for (size_t i = 0; i < *n; i++) {
			if (t[i].file == o->file && strcmp(t[i].path, o->from) == 0)
				t[i].file = -1;
		}
	}
	if (o->what == RENAME || o->what == CREATE)
		name_set(t, n, o->to, o->file);
}

static void
file_grow(struct file *f, size_t len)
{
	if (len > f->cap) {
		f->cap = len;
		f->data = realloc(f->data, f->cap);
		assert_non_null(f->data);
	}
	if (len > f->len) {
		memset(f->data + f->len, 0, len - f->len);
		f->len = len;
	}
}

static void
file_write(struct file *f, const uint8_t *p, size_t len, size_t off)
{
	file_grow(f, off + len);
	if (len > 0)
		memcpy(f->data + off, p, len);
}

static int
is_data(const struct op *o)
{
	return o->what == WRITE || o->what == SIZE;
}

static void
data_apply(struct file *f, const struct op *o, int torn)
{
	size_t n;

	if (o->what == SIZE) {
		file_grow(f, (size_t)o->off);
		return;
	}
	for (size_t at = 0; at < o->len; at += n) {
		n = BLOCK - ((size_t)o->off + at) % BLOCK;
		if (n > o->len - at)
			n = o->len - at;
		if (!torn || rand() % 2)
			file_write(f, o->buf + at, n, (size_t)o->off + at);
	}
}

/* In that directory itself? */
static int
is_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return n == 0;
	return (size_t)(slash - path) == n && strncmp(path, dir, n) == 0;
}

static void
sync_apply(const struct op *s)
{
	const struct file *f = &files[s->file];
	size_t n = 0;

	for (size_t i = 0; i < nunsynced; i++) {
		const struct op *o = &ops[unsynced[i]];

		if (unsynced[i] < s->begin && !f->is_dir && is_data(o) &&
		    o->file == s->file)
			data_apply(&files[o->file], o, 0);
		else if (unsynced[i] < s->begin && f->is_dir && !is_data(o) &&
			 is_within(o->what == UNLINK ? o->from : o->to, f->path))
			names_apply(names, &nnames, o);
		else
			unsynced[n++] = unsynced[i];
	}
	nunsynced = n;
}

static void
file_put(const char *path, const uint8_t *p, size_t len)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", copy, path);
	fd = open(full, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_not_equal(fd, -1);
	/* Holes where there is nothing: most of a segment. */
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	for (size_t at = 0; at < len; at += 4096) {
		size_t n = len - at < 4096 ? len - at : 4096;
		static const uint8_t zeros[4096];

		if (memcmp(p + at, zeros, n) != 0)
			assert_int_equal(pwrite(fd, p + at, n, (off_t)at), n);
	}
	close(fd);
}

static void
sh(const char *fmt, const char *a)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), fmt, a);
	assert_int_equal(system(cmd), 0);
}

static struct file scratch[FILES_MAX];

/* A disk after power loss. mode 0: nothing unsynced is there, 1: all, 2: any writes,
 * 3: any blocks, 4: all but the oldest write. */
static void
disk_make(int mode)
{
	static struct name after[FILES_MAX];
	size_t nafter = nnames;
	int first = 1;

	memcpy(after, names, sizeof(after[0]) * nnames);
	for (int f = 0; f < nfiles; f++)
		scratch[f] = (struct file){ 0 };
	for (size_t i = 0; i < nunsynced; i++) {
		const struct op *o = &ops[unsynced[i]];
		struct file *f = &scratch[o->file];
		int skip = mode == 0 || (mode == 2 && rand() % 2) ||
			   (mode == 3 && o->what != WRITE && rand() % 2) ||
			   (mode == 4 && first);

		first = 0;
		if (skip)
			continue;
		if (!is_data(o)) {
			names_apply(after, &nafter, o);
			continue;
		}
		if (f->data == NULL)
			file_write(f, files[o->file].data, files[o->file].len, 0);
		data_apply(f, o, mode == 3);
	}
	sh("rm -rf %1$s/journal/* %1$s/index && find %1$s/body -type f -delete", copy);
	for (size_t i = 0; i < nafter; i++) {
		struct file *f;

		if (after[i].file == -1)
			continue;
		f = &scratch[after[i].file];
		if (f->data == NULL)
			f = &files[after[i].file];
		file_put(after[i].path, f->data, f->len);
	}
	for (int f = 0; f < nfiles; f++)
		free(scratch[f].data);
	/* Nothing needs the checkpoint. */
	if (checkpoint != NULL && rand() % 3 != 0) {
		sh("mkdir %s/index", copy);
		file_put("index/data.mdb", checkpoint->buf, checkpoint->len);
	}
}

/* The files as they are now are durable. */
static void
base_image(const char *sub)
{
	char path[400];
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", root, sub);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		int f, fd;

		snprintf(path, sizeof(path), "%s%s%s", sub, sub[0] != '\0' ? "/" : "",
		    e->d_name);
		fd = openat(dirfd(d), e->d_name, O_RDONLY);
		if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
			close(fd);
			continue;
		}
		f = file_add(st.st_ino, path, 0);
		file_grow(&files[f], (size_t)st.st_size);
		assert_int_equal(pread(fd, files[f].data, files[f].len, 0), st.st_size);
		name_set(names, &nnames, path, f);
		close(fd);
	}
	closedir(d);
}

#endif

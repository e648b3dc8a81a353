/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TAR_FORMAT_H
#define FIFE_TAR_FORMAT_H

/*
 * tar archives (POSIX ustar and pax, the long names and sizes of GNU tar) as a stream of
 * pieces of any size. Only names, sizes and times are of interest here; links, devices
 * and owners are passed over. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK 512
#define TAR_NAME_MAX 1023

/* The header of a file (type '0') or directory ('5'), with a pax header before it where
 * the name needs one. Returns its length, at most TAR_HEADER_MAX; 0: the name is too
 * long. */
#define TAR_HEADER_MAX (TAR_BLOCK * 5)
size_t tar_write_header(
    uint8_t *out, const char *name, uint64_t size, int64_t mtime, char type);
/* Octets of zeros after so many of content. */
#define TAR_PAD(size) ((size_t)(-(size) & (TAR_BLOCK - 1)))

/* Nonzero: enough; the reader passes it on. */
struct tar_sink {
	/* A regular file begins. */
	int (*begin)(void *, const char *name, uint64_t size, int64_t mtime);
	int (*data)(void *, const uint8_t *, size_t);
	int (*end)(void *);
};

struct tar_reader {
	const struct tar_sink *sink;
	void *arg;
	uint8_t block[TAR_BLOCK];
	size_t have;
	int state;
	uint64_t left;               /* octets of content to come */
	size_t pad;                  /* after them */
	char name[TAR_NAME_MAX + 1]; /* of the next entry, from a header of its own */
	bool has_name, has_size, has_mtime;
	uint64_t size;
	int64_t mtime;
	char extra[4096]; /* content of such a header */
	size_t extra_len;
	char kind; /* what is being read: '0', 'L', 'x' or 's' (passed over) */
	size_t entries;
};
void tar_reader_init(struct tar_reader *, const struct tar_sink *, void *arg);
/* 0; -1: not a tar archive, or a damaged one; or what the sink returned. */
int tar_reader_feed(struct tar_reader *, const uint8_t *, size_t);
/* -1: it ends within an entry. */
int tar_reader_finish(const struct tar_reader *);

#endif

/* SPDX-License-Identifier: ISC */
/* A search index whatever is in its file: what is said of a message is right, or nothing
 * is said. The first octet chooses: the payload of a record, a file behind a sound head,
 * or a sound file with octets changed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mailbox/fts_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ID "0123456789abcdef0123456789abcdef"
#define HEAD 56
#define MESSAGES 20

static char dir[] = "/tmp/fife-fuzz-XXXXXX";
static int dirfd_ = -1;
static uint8_t sound[8192];
static size_t sound_len;

static void
remove_dir(void)
{
	(void)unlinkat(dirfd_, "x", 0);
	(void)rmdir(dir);
}

static struct fts_index *
must_open(void)
{
	struct fts_index *x;

	if (fts_index_open(dirfd_, "x", ID, 7, true, &x) == -1)
		abort();
	return x;
}

/* The word is in all messages. */
static void
make_sound(void)
{
	struct fts_index *x;
	struct fts_grams g;
	uint64_t words[64];
	ssize_t n;
	int fd;

	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1)
		abort();
	atexit(remove_dir);
	x = must_open();
	fts_grams_init(&g);
	fts_grams_add(&g, "everywhere and more", 19);
	fts_grams_sign(&g, words, fts_grams_words(&g));
	for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
		(void)fts_index_add(x, uid, 100, words, fts_grams_words(&g));
		if (uid % 6 == 0)
			(void)fts_index_write(x);
	}
	fts_grams_clear(&g);
	fts_index_close(x);
	fd = openat(dirfd_, "x", O_RDONLY);
	n = read(fd, sound, sizeof(sound));
	close(fd);
	if (n < HEAD)
		abort();
	sound_len = (size_t)n;
}

static void
in_order(struct fts_index *x)
{
	for (size_t i = 1; i < fts_index_count(x); i++)
		if (fts_index_uid(x, i - 1) >= fts_index_uid(x, i))
			abort();
}

static void
write_file(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int fd = openat(dirfd_, "x", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || write(fd, a, a_len) != (ssize_t)a_len ||
	    write(fd, b, b_len) != (ssize_t)b_len)
		abort();
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[sizeof(sound)];
	struct fts_index *x;
	struct fts_query q;

	if (dirfd_ == -1) {
		log_set_stderr(0);
		make_sound();
	}
	if (size < 1)
		return 0;
	if (data[0] % 3 == 0) {
		(void)unlinkat(dirfd_, "x", 0);
		x = must_open();
		(void)fts_index_take(x, data + 1, (size - 1) / 8 * 8);
		in_order(x);
		fts_index_close(x);
		return 0;
	}
	if (data[0] % 3 == 1)
		write_file(sound, HEAD, data + 1, size - 1);
	else {
		memcpy(copy, sound, sound_len);
		for (size_t i = 1; i + 2 < size; i += 3)
			copy[(data[i] << 8 | data[i + 1]) % sound_len] ^= data[i + 2];
		write_file(copy, sound_len, NULL, 0);
	}
	x = must_open();
	in_order(x);
	fts_query_init(&q, "everywhere", 10);
	for (uint32_t uid = 1; uid <= MESSAGES; uid++)
		if (fts_index_rules_out(x, uid, 100, &q))
			abort();
	fts_index_close(x);
	return 0;
}

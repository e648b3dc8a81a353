/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SITE_H
#define FIFE_MAILBOX_SITE_H

/*
 * Sieve scripts of the site: one before the users', one after them, and those for
 * include :global (RFC 6609). fifed reads and checks the files of fife.conf
 * (site_check.c) and hands them on in one piece; mailbox processes, which see no file but
 * their own, keep that (site.c).
 *
 * The piece: for each script its kind, the length of its name, the name, the length of
 * the text in four octets, the text.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/sieve/sieve.h"

#define SITE_SCRIPTS_MAX 128
#define SITE_OCTETS_MAX (4 * 1024 * 1024) /* of the piece */

enum site_kind {
	SITE_BEFORE = 1,
	SITE_AFTER,
	SITE_GLOBAL
};

struct site_script {
	enum site_kind kind;
	char name[SIEVE_NAME_MAX + 1];
	const char *text; /* within the piece */
	size_t len;
};

/* The next script at *at (0 first): 1; 0: the end; -1: malformed. */
int site_next(const uint8_t *piece, size_t len, size_t *at, struct site_script *);

struct conf;
/*
 * The piece of what fife.conf names, free()d by the caller; NULL and 0 when it names
 * nothing. 0, or -1 with the sentence in err when a file cannot be read or is no script.
 */
int site_read(const struct conf *, uint8_t **piece, size_t *len, char *err, size_t cap);

/* In a mailbox process: the piece is in a file, or there is none (-1). 0, or -1: it
 * cannot be read (logged), nothing changes. */
int site_take(int fd, uint64_t size);
/* SITE_BEFORE or SITE_AFTER; compiled once. NULL: there is none. */
struct sieve_program *site_program(enum site_kind);
/* A copy of a global one, free()d by the caller. 0; 1: there is none; -1: no memory. */
int site_text(const char *name, char **text, size_t *len);

#endif

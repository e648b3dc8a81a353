/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SCRIPTS_H
#define FIFE_MAILBOX_SCRIPTS_H

/*
 * The user's Sieve scripts: files NAME.sieve in the directory sieve of the mailbox, and
 * the name of the active one in the file "active". A script is checked before it
 * is stored (RFC 5804, 2.6). What was answered is on the disk.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/sieve/sieve.h"
#include "mailbox/store.h"

#define SCRIPTS_MAX 64                       /* of a mailbox */
#define SCRIPTS_OCTETS_MAX (4 * 1024 * 1024) /* of all of them */

enum script_error {
	SCRIPT_OK,
	SCRIPT_NOT_FOUND,
	SCRIPT_EXISTS,
	SCRIPT_BAD_NAME,
	SCRIPT_TOO_MANY,  /* QUOTA/MAXSCRIPTS */
	SCRIPT_TOO_LARGE, /* QUOTA/MAXSIZE */
	SCRIPT_INVALID,   /* errors say why */
	SCRIPT_IS_ACTIVE,
	SCRIPT_IO
};
const char *script_error_text(enum script_error);

struct script_info {
	char name[SIEVE_NAME_MAX + 1];
	uint64_t size;
	int64_t changed;
	int active;
};

/* UTF-8 without controls, slashes and a dot in front (RFC 5804, 1.6). */
int script_name_valid(const char *);
/* In order of names; free()d by the caller. */
enum script_error scripts_list(struct store *, struct script_info **, size_t *n);
/* The text is free()d by the caller; a NUL stands behind it. */
enum script_error script_get(struct store *, const char *name, char **text, size_t *len);
/* Would it fit? (HAVESPACE) */
enum script_error script_room(struct store *, const char *name, uint64_t size);
/* errors also has the warnings when it is stored. */
enum script_error script_put(struct store *, const char *name, const char *text,
    size_t len, struct sieve_errors *errors);
enum script_error script_check(
    struct store *, const char *text, size_t len, struct sieve_errors *errors);
enum script_error script_delete(struct store *, const char *name);
enum script_error script_rename(struct store *, const char *from, const char *to);
/* "": none. */
enum script_error script_activate(struct store *, const char *name);
/* The name of the active one; "" when there is none. */
enum script_error script_active(struct store *, char name[SIEVE_NAME_MAX + 1]);

/* The program of the active script, kept until it changes. NULL: there is none
 * (SCRIPT_NOT_FOUND), or it does not compile any more: errors. */
enum script_error script_program(
    struct store *, struct sieve_program **, struct sieve_errors *errors);
/* Frees what is kept. */
void script_forget(void);

/* Errors as lines of text, ended by CRLF; cut at cap. */
void script_errors_print(const struct sieve_errors *, char *, size_t cap);

#endif

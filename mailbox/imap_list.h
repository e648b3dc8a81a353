/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_LIST_H
#define FIFE_IMAP_LIST_H

/*
 * What LIST and LSUB choose (RFC 5258, RFC 9051, 6.3.9), without parsing and printing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

struct imap;
struct imap_args;
struct evbuffer;

#define IMAP_LIST_PATTERNS_MAX 100
#define IMAP_PATTERN_MAX (STORE_NAME_MAX * 2)

enum imap_list_select {
	IMAP_LIST_SUBSCRIBED = 1,
	IMAP_LIST_SPECIAL_USE = 2,
	IMAP_LIST_RECURSIVE = 4,
	IMAP_LIST_REMOTE = 8, /* there are none */
};

struct imap_list_choice {
	unsigned int select; /* enum imap_list_select */
	char **patterns;     /* with the reference before them, UTF-8 */
	size_t n_patterns;
};

struct imap_listed {
	char name[STORE_NAME_MAX + 1];
	uint32_t flags;    /* FOLDER_* */
	bool there;        /* it exists, perhaps only as a parent */
	bool other;        /* of another user */
	bool chosen;       /* it is to be told */
	unsigned int info; /* of inferiors that do not match themselves: CHILDINFO */
};

/* Does the name match the pattern? */
bool imap_list_matches(const char *pattern, const char *name);
/* All names in order, also those of other users that were gathered (imap_share.h); those
 * to tell are chosen. *list is free()d by the caller. */
enum store_error imap_list_choose(
    struct imap *, const struct imap_list_choice *, struct imap_listed **list, size_t *n);
void imap_list_choice_clear(struct imap_list_choice *);

/* Entries whose values LIST tells too (RFC 9590); imap_cmd_metadata.c. */
struct imap_metadata_get;
/* "(" entries ")"; NULL with a->error. */
struct imap_metadata_get *imap_list_metadata_parse(struct imap_args *);
void imap_list_metadata_free(struct imap_metadata_get *);
void imap_list_metadata_tell(struct imap *, const char *name, struct imap_metadata_get *);

/* Prints " \\Trash" and the like for the bits. */
void imap_print_special_use(struct evbuffer *, uint32_t flags);

#endif

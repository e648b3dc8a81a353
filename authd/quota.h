/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_QUOTA_H
#define FIFE_AUTHD_QUOTA_H

/*
 * How full the mailboxes are, as their processes say through mboxd: so a full one is
 * known at RCPT without starting its process, and its user is warned by mail. The table
 * is as large as the directory; quota_file.c keeps it across restarts.
 */

#include <stddef.h>
#include <stdint.h>

#include "authd/directory.h"
#include "common/msg.h"

struct channel;

/* ---- the table, without I/O ---- */

struct quota_use {
	uint64_t octets;
	uint64_t messages;
	int64_t when;   /* it was so */
	uint8_t warned; /* level that the user knows of: 0, 1 or 2 */
};

/* What holds for a mailbox; 0: no limit. */
struct quota_limits {
	uint64_t octets;
	uint64_t messages;
};

#define QUOTA_LEVELS 3
#define QUOTA_SECOND 95 /* per cent, of level 2; of level 1: */
#define QUOTA_FIRST 80
#define QUOTA_SLACK 5 /* so much below it, a level is left again */

struct quota_table;
struct quota_table *quota_table_new(void); /* NULL: no memory */
void quota_table_free(struct quota_table *);
/* The entry of a mailbox, made when there is none; NULL: no memory. Whoever changes it
 * says so by quota_table_changed(). */
struct quota_use *quota_table_get(struct quota_table *, const char *mailbox);
const struct quota_use *quota_table_find(const struct quota_table *, const char *mailbox);
void quota_table_changed(struct quota_table *, struct quota_use *);
void quota_table_remove(struct quota_table *, const char *mailbox);
void quota_table_rename(struct quota_table *, const char *from, const char *to);
size_t quota_table_count(const struct quota_table *);
/* The next entry that has changed (or any) and its name, *iter being NULL at first; NULL:
 * no more. An entry that was removed comes with *use NULL. */
const char *quota_table_next(const struct quota_table *, const void **iter,
    int changed_only, const struct quota_use **use);
void quota_table_saved(struct quota_table *);

/* Per cent of the limit that is nearer; 0 without one, at most 100. */
unsigned int quota_percent(const struct quota_use *, const struct quota_limits *);
/* Which level holds now, the user being warned of warned. */
uint8_t quota_level(unsigned int percent, uint8_t warned);

enum quota_answer {
	QUOTA_ROOM,
	QUOTA_FULL, /* for now */
	QUOTA_NEVER /* not even an empty mailbox has room for that */
};
/* size: of one more message, 0: unknown. use may be NULL. */
enum quota_answer quota_answer(
    const struct quota_use *, const struct quota_limits *, uint64_t size);

/* quota_file.c: 0, or -1 (logged; the table lives on without the file). */
int quota_load(struct quota_table *, const char *path);
int quota_save(struct quota_table *);
void quota_unload(void);

/* ---- authd's table ---- */

void quota_open(const char *path);
void quota_close(void);
/* Of mboxd, about a mailbox. */
void quota_report(const struct msg_mbox_used_by *);
/* Another limit holds: perhaps the user is to be warned, or need not be any more. */
void quota_review(const struct user *);
/* The same, and the mailbox's process, if it runs, is told. */
void quota_changed(const struct user *);
/* Has that mailbox room? What is thought to be full for long is looked at again. */
enum quota_answer quota_check(const struct user *, uint64_t size);
/* 0, or -1: nothing is known about it. */
int quota_of(const struct user *, struct quota_use *, unsigned int *percent);
void quota_removed(const char *mailbox);
void quota_renamed(const char *from, const char *to);

#endif

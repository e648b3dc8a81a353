/* SPDX-License-Identifier: ISC */
#ifndef FIFE_APPPASS_H
#define FIFE_APPPASS_H

/*
 * App passwords: made here, a hundred random bits each, so that one fast salted hash is
 * enough; named, revocable, and good for one service or for all. They stand in the user's
 * record as NAME:SERVICE:CREATED:HASH separated by semicolons, and work with PLAIN and
 * LOGIN.
 */

#include <stddef.h>
#include <stdint.h>

#include "authd/directory.h"

#define APPPASS_LEN 20
#define APPPASS_NAME_MAX 32
#define APPPASS_USER_MAX 16 /* of one user */

struct apppass {
	char name[APPPASS_NAME_MAX + 1];
	int service; /* enum service, 0: all */
	int64_t created;
	char hash[80];
};

/* "smtp", "imap", "pop3"; 0 is "all". -1: unknown. */
int apppass_service(const char *word);
const char *apppass_service_word(int service);
/* The i-th: 1, or 0 behind the last. */
int apppass_get(const struct user *, size_t i, struct apppass *);
/* Makes one; out gets the password. DIR_EXISTS, DIR_FULL, DIR_BAD (name). */
enum dir_status apppass_add(struct user *, const char *name, int service, int64_t now_s,
    char out[APPPASS_LEN + 1]);
enum dir_status apppass_del(struct user *, const char *name);
/* 1: it is one of them and good for this service; *found is filled in. */
int apppass_check(
    const struct user *, int service, const char *plain, struct apppass *found);

#endif

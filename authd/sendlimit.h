/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SENDLIMIT_H
#define FIFE_SENDLIMIT_H

/*
 * How much each account has sent: messages and recipients in an hour and in a day, from
 * the first of them on. Bounded; no I/O. A restart of authd begins anew.
 */

#include <stddef.h>
#include <stdint.h>

enum send_limit {
	SEND_MESSAGES_HOUR,
	SEND_MESSAGES_DAY,
	SEND_RECIPIENTS_HOUR,
	SEND_RECIPIENTS_DAY,
	SEND_LIMITS
};

#define SEND_UNLIMITED UINT32_MAX
#define SENDLIMIT_ACCOUNTS_MAX 65536

struct sendlimit;

struct sendlimit *sendlimit_new(void); /* NULL: no memory */
void sendlimit_free(struct sendlimit *);
/* The key of `user set`: "messages-hour" and so on. */
const char *sendlimit_word(enum send_limit);
/* What holds when the account says nothing. */
uint32_t sendlimit_default(enum send_limit);
/*
 * One recipient more; new_message: the first of a message. SEND_LIMITS: counted. Else the
 * limit that is reached, nothing is counted then; *first says that it is news.
 */
enum send_limit sendlimit_take(struct sendlimit *, const char *account, int new_message,
    const uint32_t limits[SEND_LIMITS], int64_t now_s, int *first);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ACCOUNT_H
#define FIFE_ACCOUNT_H

/* What holds for an account: its own record, its group's, fife.conf's. */

#include "authd/directory.h"

/* The user's group; cleared when there is none (or none of that name any more). */
void account_group(const struct user *, struct group *);
/* source may be NULL. */
uint64_t account_limit(
    const struct user *, const struct group *, enum limit, enum limit_source *source);
/* A quota of the mailbox as mailbox processes know it: 0 is none. */
uint64_t account_quota(const struct user *, enum limit);

#endif

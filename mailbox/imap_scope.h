/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SCOPE_H
#define FIFE_IMAP_SCOPE_H

/* Sets of mailboxes by what they are or by name: "filter-mailboxes" of NOTIFY (RFC 5465,
 * 6) and of ESEARCH (RFC 7377, 2.2). */

#include <stdbool.h>
#include <stddef.h>

#include "common/imap/imap_parse.h"
#include "mailbox/store.h"

struct imap;

#define IMAP_SCOPE_NAMES_MAX 1000

enum imap_scope_kind {
	IMAP_SCOPE_SELECTED,
	IMAP_SCOPE_SELECTED_DELAYED,
	IMAP_SCOPE_INBOXES, /* scripts may file anywhere: all, as "personal" */
	IMAP_SCOPE_PERSONAL,
	IMAP_SCOPE_SUBSCRIBED,
	IMAP_SCOPE_SUBTREE,
	IMAP_SCOPE_SUBTREE_ONE,
	IMAP_SCOPE_MAILBOXES,
};

struct imap_scope {
	enum imap_scope_kind kind;
	char **names; /* as the store has them */
	size_t n;
};

/* -1 with a->error; to be cleared in any case. Names that can be none are left out. */
int imap_scope_parse(struct imap *, struct imap_args *, struct imap_scope *);
void imap_scope_clear(struct imap_scope *);
/* Those by SELECTED have no name. */
bool imap_scope_has(const struct store *, const struct imap_scope *, const char *name);

#endif

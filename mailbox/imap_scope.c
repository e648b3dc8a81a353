/* SPDX-License-Identifier: ISC */
/* Sets of mailboxes; see imap_scope.h. */
#include "mailbox/imap_scope.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/maildir.h"

static int
add_name(struct imap *s, struct imap_args *a, struct imap_scope *scope)
{
	char name[STORE_NAME_MAX + 1], canonical[STORE_NAME_MAX + 1];
	const char *no;
	char **p;

	if (imap_mailbox(s, a, name, &no) == -1)
		return -1;
	if (no != NULL ||
	    maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return 0;
	if (scope->n == IMAP_SCOPE_NAMES_MAX)
		return imap_fail(a, "Too many mailboxes");
	if ((p = reallocarray(scope->names, scope->n + 1, sizeof(*p))) == NULL)
		return imap_fail(a, "Out of memory");
	scope->names = p;
	if ((p[scope->n] = strdup(canonical)) == NULL)
		return imap_fail(a, "Out of memory");
	scope->n++;
	return 0;
}

int
imap_scope_parse(struct imap *s, struct imap_args *a, struct imap_scope *scope)
{
	static const char *const kinds[] = { "SELECTED", "SELECTED-DELAYED", "INBOXES",
		"PERSONAL", "SUBSCRIBED", "SUBTREE", "SUBTREE-ONE", "MAILBOXES" };
	struct imap_str v;
	size_t i = 0;

	memset(scope, 0, sizeof(*scope));
	if (imap_atom(a, &v) == -1)
		return -1;
	while (i < 8 && !imap_str_is(&v, kinds[i]))
		i++;
	if (i == 8)
		return imap_fail(a, "Unknown kind of mailboxes");
	scope->kind = (enum imap_scope_kind)i;
	if (scope->kind < IMAP_SCOPE_SUBTREE)
		return 0;
	if (imap_sp(a) == -1)
		return -1;
	if (!imap_try_char(a, '('))
		return add_name(s, a, scope);
	do {
		if (add_name(s, a, scope) == -1)
			return -1;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

void
imap_scope_clear(struct imap_scope *scope)
{
	for (size_t i = 0; i < scope->n; i++)
		free(scope->names[i]);
	free(scope->names);
	memset(scope, 0, sizeof(*scope));
}

/* The mailbox itself, or how far below it. -1: elsewhere. */
static int
depth_below(const char *name, const char *top)
{
	size_t len = strlen(top);
	int depth = 0;

	if (strncmp(name, top, len) != 0 || (name[len] != '\0' && name[len] != '/'))
		return -1;
	for (name += len; *name != '\0'; name++)
		depth += *name == '/';
	return depth;
}

bool
imap_scope_has(
    const struct store *store, const struct imap_scope *scope, const char *name)
{
	int max = scope->kind == IMAP_SCOPE_SUBTREE_ONE ? 1
		  : scope->kind == IMAP_SCOPE_SUBTREE   ? STORE_NAME_MAX
							: 0;

	switch (scope->kind) {
	case IMAP_SCOPE_SELECTED:
	case IMAP_SCOPE_SELECTED_DELAYED:
		return false;
	case IMAP_SCOPE_INBOXES:
	case IMAP_SCOPE_PERSONAL:
		return true;
	case IMAP_SCOPE_SUBSCRIBED:
		return store_subscribed(store, name) != 0;
	default:
		for (size_t i = 0; i < scope->n; i++) {
			int depth = depth_below(name, scope->names[i]);

			if (depth >= 0 && depth <= max)
				return true;
		}
		return false;
	}
}

/* SPDX-License-Identifier: ISC */
/* CREATE (with USE, RFC 6154), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/maildir.h"

static int
use_attribute(struct imap_args *a, uint32_t *special)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} uses[] = {
		{ "\\Junk", FOLDER_JUNK },
		{ "\\Sent", FOLDER_SENT },
		{ "\\Trash", FOLDER_TRASH },
		{ "\\Drafts", FOLDER_DRAFTS },
		{ "\\Archive", FOLDER_ARCHIVE },
	};
	struct imap_str v;

	if (imap_sp(a) == -1 || imap_char(a, '(') == -1 || imap_atom(a, &v) == -1)
		return -1;
	if (!imap_str_is(&v, "USE"))
		return imap_fail(a, "Unknown CREATE parameter");
	if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	while (!imap_try_char(a, ')')) {
		uint32_t bit = UINT32_MAX;

		if (*special != 0 && imap_sp(a) == -1)
			return -1;
		if (imap_flag(a, &v) == -1)
			return -1;
		for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
			if (imap_str_is(&v, uses[i].name))
				bit = uses[i].bit;
		/* \All, \Flagged, and more than one use: nothing that the store can keep.
		 */
		*special = *special == 0 ? bit : UINT32_MAX;
	}
	return imap_char(a, ')');
}

static void
reply(struct imap *s, enum store_error e, const char *text)
{
	if (e == STORE_OK)
		imap_ok(s, "%s", text);
	else
		imap_no_store(s, e);
}

void
imap_cmd_create(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;
	uint32_t special = 0;
	enum store_error e;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1)
		return;
	if (imap_peek(a) != -1 && use_attribute(a, &special) == -1)
		return;
	if (imap_end(a) == -1)
		return;
	if (special == UINT32_MAX)
		no = "[USEATTR] Special use not supported";
	if (no != NULL)
		imap_no(s, "%s", no);
	else if (strcasecmp(name, "INBOX") == 0)
		imap_no_store(s, STORE_EXISTS);
	else if ((e = imap_may_create(s, name)) != STORE_OK)
		imap_no_store(s, e);
	else
		reply(s, store_create(s->store, name, s->guest == NULL ? special : 0),
		    "CREATE completed");
}

void
imap_cmd_delete(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	enum store_error e;
	const char *no;
	bool selected;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 || imap_end(a) == -1)
		return;
	if (no == NULL && strcasecmp(name, "INBOX") == 0)
		no = "[CANNOT] INBOX cannot be deleted";
	if (no != NULL) {
		imap_no(s, "%s", no);
		return;
	}
	if ((e = imap_may(s, name, ACL_REMOVE)) != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	selected = s->folder != NULL && strcmp(folder_name(s->folder), name) == 0;
	e = store_delete(s->store, name);
	if (selected && folder_refresh(s->folder) == STORE_NOT_FOUND)
		imap_view_close(s);
	reply(s, e, "DELETE completed");
}

/* A folder goes with all below it, for each of which "x" is asked for. */
static enum store_error
imap_may_rename(struct imap *s, const char *name)
{
	enum store_error e = imap_may(s, name, ACL_REMOVE);
	char from[STORE_NAME_MAX + 1];
	struct folder_info *list;
	size_t n, len;

	if (s->guest == NULL)
		return STORE_OK;
	/* As the store has it: "inbox/x" has what is below "INBOX/x". */
	if (maildir_folder_canonical(name, from, sizeof(from)) == -1)
		return STORE_NOT_FOUND;
	if (strcmp(from, "INBOX") == 0)
		return STORE_DENIED;
	len = strlen(from);
	if (e != STORE_OK || (e = store_list(s->store, &list, &n)) != STORE_OK)
		return e;
	for (size_t i = 0; i < n && e == STORE_OK; i++)
		if (strncmp(list[i].name, from, len) == 0 && list[i].name[len] == '/' &&
		    (list[i].flags & FOLDER_NOSELECT) == 0 &&
		    imap_may(s, list[i].name, ACL_REMOVE) != STORE_OK)
			e = STORE_DENIED;
	free(list);
	return e;
}

void
imap_cmd_rename(struct imap *s, struct imap_args *a)
{
	char from[STORE_NAME_MAX + 1], to[STORE_NAME_MAX + 1];
	const char *no, *no_to;
	enum store_error e;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, from, &no) == -1 || imap_sp(a) == -1 ||
	    imap_mailbox(s, a, to, &no_to) == -1 || imap_end(a) == -1)
		return;
	if (no == NULL)
		no = no_to;
	if (no != NULL)
		imap_no(s, "%s", no);
	else if ((e = imap_may_rename(s, from)) != STORE_OK ||
		 (e = imap_may_create(s, to)) != STORE_OK)
		imap_no_store(s, e);
	else
		reply(s, store_rename(s->store, from, to), "RENAME completed");
}

static void
subscribe(struct imap *s, struct imap_args *a, int on, const char *text)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 || imap_end(a) == -1)
		return;
	if (no != NULL)
		imap_no(s, "%s", no);
	else
		reply(s, store_subscribe(s->store, name, on), text);
}

void
imap_cmd_subscribe(struct imap *s, struct imap_args *a)
{
	subscribe(s, a, 1, "SUBSCRIBE completed");
}

void
imap_cmd_unsubscribe(struct imap *s, struct imap_args *a)
{
	subscribe(s, a, 0, "UNSUBSCRIBE completed");
}

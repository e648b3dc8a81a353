/* SPDX-License-Identifier: ISC */
/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501, 6.3.1 ff.; RFC 3691). */
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"

static void
select_folder(struct imap *s, struct imap_args *a, bool readonly)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;
	struct folder *f;
	enum store_error e;
	size_t recent = 0, unseen = 0;

	if (imap_sp(a) == -1 || imap_mailbox(a, name, &no) == -1 || imap_end(a) == -1)
		return;
	/* Also when it fails, no mailbox is selected afterwards (RFC 3501, 6.3.1). */
	imap_view_close(s);
	if (no != NULL) {
		imap_no(s, "%s", no);
		return;
	}
	if ((e = folder_open(s->store, name, &f)) != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	folder_refresh(f);
	if (imap_view_open(s, f, readonly) == -1) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	for (size_t i = 0; i < s->n_view; i++) {
		recent += s->view[i].recent;
		if (unseen == 0 && (folder_message(f, i)->flags & FLAG_SEEN) == 0)
			unseen = i + 1;
	}
	imap_print_flag_list(s, "FLAGS ", ")");
	if (readonly)
		imap_untagged(s, "OK [PERMANENTFLAGS ()] Read-only mailbox");
	else
		imap_print_flag_list(s, "OK [PERMANENTFLAGS ", " \\*)] Flags permitted");
	imap_untagged(s, "%zu EXISTS", s->n_view);
	imap_untagged(s, "%zu RECENT", recent);
	if (unseen != 0)
		imap_untagged(s, "OK [UNSEEN %zu] First unseen message", unseen);
	imap_untagged(s, "OK [UIDVALIDITY %u] UIDs valid", folder_uidvalidity(f));
	imap_untagged(s, "OK [UIDNEXT %u] Predicted next UID", folder_uidnext(f));
	imap_ok(s,
	    readonly ? "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed");
}

void
imap_cmd_select(struct imap *s, struct imap_args *a)
{
	select_folder(s, a, false);
}

void
imap_cmd_examine(struct imap *s, struct imap_args *a)
{
	select_folder(s, a, true);
}

void
imap_cmd_close(struct imap *s, struct imap_args *a)
{
	enum store_error e = STORE_OK;

	if (imap_end(a) == -1)
		return;
	if (!s->readonly && s->n_view > 0) {
		uint32_t *uids = reallocarray(NULL, s->n_view, sizeof(*uids));
		size_t removed;

		if (uids == NULL) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			return;
		}
		for (size_t i = 0; i < s->n_view; i++)
			uids[i] = s->view[i].uid;
		e = folder_expunge(s->folder, uids, s->n_view, 0, &removed);
		free(uids);
	}
	imap_view_close(s);
	/* A mailbox that another session deleted has nothing left to expunge. */
	if (e != STORE_OK && e != STORE_NOT_FOUND)
		imap_no_store(s, e);
	else
		imap_ok(s, "CLOSE completed");
}

void
imap_cmd_unselect(struct imap *s, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	imap_view_close(s);
	imap_ok(s, "UNSELECT completed");
}

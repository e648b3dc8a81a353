/* SPDX-License-Identifier: ISC */
/* STORE (RFC 3501, 6.4.6): one change to the store, then the new flags as a FETCH. */
#include <stdlib.h>

#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"

static int
operation(struct imap_args *a, enum flag_op *op, bool *silent)
{
	struct imap_str v;

	*op = FLAG_OP_SET;
	if (imap_try_char(a, '+'))
		*op = FLAG_OP_ADD;
	else if (imap_try_char(a, '-'))
		*op = FLAG_OP_REMOVE;
	if (imap_atom(a, &v) == -1)
		return -1;
	*silent = imap_str_is(&v, "FLAGS.SILENT");
	if (!*silent && !imap_str_is(&v, "FLAGS"))
		return imap_fail(a, "FLAGS expected");
	return 0;
}

void
imap_cmd_store(struct imap *s, struct imap_args *a)
{
	struct imap_set set = { 0 };
	struct imap_items items = { .n = 0 };
	uint32_t *uids = NULL;
	const char *error, *done = s->uid ? "UID STORE completed" : "STORE completed";
	enum store_error e;
	enum flag_op op;
	uint8_t flags;
	uint64_t keywords;
	bool silent, no_room;
	size_t n, changed;

	if (imap_sp(a) == -1 || imap_set_parse(a, &set) == -1 || imap_sp(a) == -1 ||
	    operation(a, &op, &silent) == -1 || imap_sp(a) == -1 ||
	    imap_flags(a, s->folder, op != FLAG_OP_REMOVE && !s->readonly, &flags,
		&keywords, &no_room) == -1 ||
	    imap_end(a) == -1)
		goto out;
	if (imap_view_select(s, &set, &uids, &n, &error) == -1) {
		imap_bad(s, error);
		goto out;
	}
	if (s->readonly) {
		imap_no(s, "[READ-ONLY] Mailbox is read-only");
		goto out;
	}
	if (no_room) {
		imap_no(s, "[LIMIT] Too many keywords, or too long");
		goto out;
	}
	/* Others' changes first: ours are told below, or not at all when silent. */
	imap_view_sync(s, false);
	e = n == 0 ? STORE_OK
		   : folder_store(s->folder, uids, n, op, flags, keywords, 0, NULL, NULL,
			 &changed);
	if (e != STORE_OK) {
		imap_no_store(s, e);
		goto out;
	}
	s->modseq = s->walked = folder_highestmodseq(s->folder);
	s->expunge_pending = true;
	imap_view_tell_keywords(s);
	if (silent) {
		imap_ok(s, "%s", done);
		goto out;
	}
	if (s->uid)
		imap_items_add(&items, IMAP_ITEM_UID);
	imap_items_add(&items, IMAP_ITEM_FLAGS);
	imap_fetch_start(s, &items, uids, n, done);
	uids = NULL;
out:
	free(uids);
	imap_items_clear(&items);
	imap_set_clear(&set);
}

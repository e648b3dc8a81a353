/* SPDX-License-Identifier: ISC */
/* SELECT, EXAMINE (with CONDSTORE and QRESYNC, RFC 7162), CLOSE, UNSELECT (RFC 3691). */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_qresync.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_share.h"

/* " (" CONDSTORE or QRESYNC (...) ")" */
static int
parameters(struct imap *s, struct imap_args *a, bool *condstore, struct imap_qresync *q)
{
	struct imap_str v;

	*condstore = false;
	if (imap_peek(a) == -1)
		return 0;
	if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	do {
		if (imap_atom(a, &v) == -1)
			return -1;
		if (imap_str_is(&v, "CONDSTORE"))
			*condstore = true;
		else if (imap_str_is(&v, "QRESYNC")) {
			if ((s->enabled & IMAP_QRESYNC) == 0)
				return imap_fail(a, "QRESYNC is not enabled");
			if (q->asked)
				return imap_fail(a, "QRESYNC twice");
			if (imap_sp(a) == -1 || imap_qresync_parse(a, q) == -1)
				return -1;
			/* RFC 9586: the match data have message numbers. */
			if (q->seqs.n > 0 && (s->enabled & IMAP_UIDONLY))
				return imap_fail(a, IMAP_UIDREQUIRED);
		} else
			return imap_fail(a, "Unknown SELECT parameter");
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

static void
say_selected(struct imap *s, struct folder *f)
{
	bool rev2 = (s->enabled & IMAP_REV2) != 0;
	size_t unseen = rev2 ? s->n_view : folder_first_unseen(f);

	imap_print_flag_list(s, "FLAGS ", ")");
	if (s->readonly)
		imap_untagged(s, "OK [PERMANENTFLAGS ()] Read-only mailbox");
	else
		imap_print_permanent_flags(s);
	imap_untagged(s, "%zu EXISTS", s->n_view);
	if (!rev2)
		imap_untagged(s, "%zu RECENT", s->n_view_recent);
	if (unseen < s->n_view && (s->enabled & IMAP_UIDONLY) == 0)
		imap_untagged(s, "OK [UNSEEN %zu] First unseen message", unseen + 1);
	imap_untagged(s, "OK [UIDVALIDITY %u] UIDs valid", folder_uidvalidity(f));
	imap_untagged(s, "OK [UIDNEXT %u] Predicted next UID", folder_uidnext(f));
	imap_untagged(s, "OK [HIGHESTMODSEQ %llu] Highest",
	    (unsigned long long)folder_highestmodseq(f));
	imap_untagged(s, "OK [MAILBOXID (F%s)] Ok", folder_id(f));
	if (s->guest == NULL)
		imap_untagged(s, "OK [URLMECH INTERNAL] Ok");
	if (rev2)
		imap_print_selected_list(s);
}

static void
select_folder(struct imap *s, struct imap_args *a, bool readonly)
{
	char name[STORE_NAME_MAX + 1];
	struct imap_qresync q = { 0 };
	const char *no;
	struct folder *f;
	enum store_error e;
	bool condstore;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 ||
	    parameters(s, a, &condstore, &q) == -1 || imap_end(a) == -1)
		goto out;
	/* Also when it fails, no mailbox is selected afterwards (RFC 3501, 6.3.1). */
	if (s->folder != NULL) {
		imap_view_close(s);
		imap_untagged(s, "OK [CLOSED] Previous mailbox is closed");
	}
	if (imap_share_is_remote(s)) {
		imap_share_unselect(s);
		imap_untagged(s, "OK [CLOSED] Previous mailbox is closed");
	}
	if (no != NULL) {
		imap_no(s, "%s", no);
		goto out;
	}
	if ((e = imap_open(s, name, ACL_READ, &f)) != STORE_OK) {
		imap_no_store(s, e);
		goto out;
	}
	if (condstore || q.asked)
		imap_use_condstore(s);
	/* RFC 4314, 5.2 */
	if ((imap_rights(s, name) &
		(ACL_SEEN | ACL_WRITE | ACL_INSERT | ACL_DELETED | ACL_EXPUNGE)) == 0)
		readonly = true;
	if (imap_view_open(s, f, readonly) == -1) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		goto out;
	}
	say_selected(s, f);
	if (q.asked && q.uidvalidity == folder_uidvalidity(f))
		imap_qresync_tell(s, &q);
	imap_ok(s,
	    readonly ? "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed");
out:
	imap_qresync_clear(&q);
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
	unsigned long long modseq;
	size_t removed = 0;

	if (imap_end(a) == -1)
		return;
	if (!s->readonly && s->n_view > 0 && (imap_rights_here(s) & ACL_EXPUNGE)) {
		uint32_t *uids = reallocarray(NULL, s->n_view, sizeof(*uids));

		if (uids == NULL) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			return;
		}
		for (size_t i = 0; i < s->n_view; i++)
			uids[i] = imap_view_uid(s, i);
		e = folder_expunge(s->folder, uids, s->n_view, 0, &removed);
		free(uids);
	}
	modseq = folder_highestmodseq(s->folder);
	imap_view_close(s);
	/* A mailbox that another session deleted has nothing left to expunge. */
	if (e != STORE_OK && e != STORE_NOT_FOUND)
		imap_no_store(s, e);
	else if (removed > 0 && (s->enabled & IMAP_CONDSTORE))
		imap_ok(s, "[HIGHESTMODSEQ %llu] CLOSE completed", modseq);
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

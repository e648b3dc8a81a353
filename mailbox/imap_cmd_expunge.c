/* SPDX-License-Identifier: ISC */
/* EXPUNGE (RFC 3501, 6.4.3) and UID EXPUNGE (RFC 4315, 2.1). */
#include <stdlib.h>

#include "mailbox/imap.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_rights.h"

/* Others do not count for the limit (RFC 9738, 3.1). */
static void
only_deleted(const struct imap *s, uint32_t *uids, size_t *n)
{
	size_t kept = 0, at;
	int exact;

	for (size_t i = 0; i < *n; i++) {
		at = folder_find(s->folder, uids[i], &exact);
		if (exact && (folder_message(s->folder, at)->flags & FLAG_DELETED))
			uids[kept++] = uids[i];
	}
	*n = kept;
}

void
imap_cmd_expunge(struct imap *s, struct imap_args *a)
{
	struct imap_set set = { 0 };
	uint32_t *uids = NULL;
	const char *error;
	enum store_error e;
	size_t n, removed;
	bool uid = s->uid;

	if (uid) {
		if (imap_sp(a) == -1 || imap_set_parse(a, &set) == -1)
			goto out;
	} else if (s->n_view > 0) {
		/* everything that the client knows of */
		if ((set.r = calloc(1, sizeof(*set.r))) == NULL) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			goto out;
		}
		set.r->lo = 1;
		set.n = 1;
	}
	if (imap_end(a) == -1)
		goto out;
	if (s->readonly) {
		imap_no(s, "[READ-ONLY] Mailbox is read-only");
		goto out;
	}
	if ((imap_rights_here(s) & ACL_EXPUNGE) == 0) {
		imap_no(s, "[NOPERM] You have not the right to remove messages here");
		goto out;
	}
	if (imap_view_select(s, &set, &uids, &n, &error) == -1) {
		imap_bad(s, error);
		goto out;
	}
	if (uid && s->offer.message_limit != 0) {
		only_deleted(s, uids, &n);
		imap_limit_cut(s, uids, &n);
	}
	e = n == 0 ? STORE_OK : folder_expunge(s->folder, uids, n, 0, &removed);
	if (e != STORE_OK)
		imap_no_store(s, e);
	else
		imap_ok_modseq(s, uid ? "UID EXPUNGE completed" : "EXPUNGE completed",
		    n > 0 && removed > 0);
out:
	free(uids);
	imap_set_clear(&set);
}

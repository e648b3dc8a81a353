/* SPDX-License-Identifier: ISC */
/* COPY (RFC 3501, 6.4.7), MOVE (RFC 6851), both with COPYUID (RFC 4315). */
#include <event2/buffer.h>
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_rights.h"

/* Prints "COPYUID validity from to"; returns how many were copied. */
static size_t
copyuid(struct evbuffer *out, struct folder *to, const uint32_t *uids,
    const uint32_t *new_uids, size_t n, uint32_t *from)
{
	uint32_t *got = from + n;
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		if (new_uids[i] != 0) {
			from[m] = uids[i];
			got[m++] = new_uids[i];
		}
	if (m == 0)
		return 0;
	evbuffer_add_printf(out, "[COPYUID %u ", folder_uidvalidity(to));
	imap_set_print(out, from, m);
	evbuffer_add(out, " ", 1);
	imap_set_print(out, got, m);
	evbuffer_add(out, "] ", 2);
	return m;
}

static void
transfer(struct imap *s, const uint32_t *uids, size_t n, struct folder *to, bool move)
{
	/* n new UIDs, then two lists of n for the response */
	uint32_t *new_uids = calloc(n + 1, 3 * sizeof(*new_uids));
	struct evbuffer *code = evbuffer_new();
	enum store_error e;
	size_t copied = 0;
	uint8_t flags = UINT8_MAX;
	uint64_t keywords = UINT64_MAX;

	imap_rights_flags(imap_rights(s, folder_name(to)), &flags, &keywords);
	if (new_uids == NULL || code == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else if ((e = (move ? folder_move : folder_copy_masked)(s->folder, uids, n, to,
		      new_uids, flags, keywords != 0)) != STORE_OK)
		imap_no_store(s, e);
	else {
		copied = copyuid(code, to, uids, new_uids, n, new_uids + n);
		if (move && copied > 0) {
			evbuffer_add(s->out, "* OK ", 5);
			evbuffer_add_buffer(s->out, code);
			evbuffer_add(s->out, "Moved\r\n", 7);
			/* Otherwise a power loss would leave both. */
			e = store_sync(s->store);
		}
		if (e != STORE_OK)
			imap_no_store(s, e);
		else if (copied == 0 && n > 0)
			imap_no(s, "[EXPUNGEISSUED] The messages no longer exist");
		else if (move)
			imap_ok_modseq(s, "MOVE completed", copied > 0);
		else {
			evbuffer_add(code, "", 1); /* its NUL */
			imap_ok(s, "%sCOPY completed", (char *)evbuffer_pullup(code, -1));
		}
	}
	if (code != NULL)
		evbuffer_free(code);
	free(new_uids);
}

static void
run(struct imap *s, struct imap_args *a, bool move)
{
	struct imap_set set = { 0 };
	char name[STORE_NAME_MAX + 1];
	const char *no = NULL, *error;
	struct folder *to;
	enum store_error e;
	uint32_t *uids = NULL;
	size_t n;

	if (imap_sp(a) == -1 || imap_set_parse(a, &set) == -1 || imap_sp(a) == -1 ||
	    imap_mailbox(s, a, name, &no) == -1 || imap_end(a) == -1)
		goto out;
	if (imap_view_select(s, &set, &uids, &n, &error) == -1) {
		imap_bad(s, error);
		goto out;
	}
	if (move && s->readonly)
		no = "[READ-ONLY] Mailbox is read-only";
	else if (move && (~imap_rights_here(s) & (ACL_DELETED | ACL_EXPUNGE)))
		no = "[NOPERM] You have not the right to remove messages here";
	if (no != NULL) {
		imap_no(s, "%s", no);
		goto out;
	}
	if ((e = imap_open(s, name, ACL_INSERT, &to)) != STORE_OK) {
		if (e == STORE_NOT_FOUND)
			imap_no(s, "[TRYCREATE] %s", store_error_text(e));
		else
			imap_no_store(s, e);
		goto out;
	}
	if (move)
		imap_limit_cut(s, uids, &n);
	if (move || !imap_limit_refuses(s, uids, n))
		transfer(s, uids, n, to, move);
	folder_close(to);
out:
	free(uids);
	imap_set_clear(&set);
}

void
imap_cmd_copy(struct imap *s, struct imap_args *a)
{
	run(s, a, false);
}

void
imap_cmd_move(struct imap *s, struct imap_args *a)
{
	run(s, a, true);
}

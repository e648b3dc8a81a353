/* SPDX-License-Identifier: ISC */
/* STORE (RFC 9051, 6.4.6; RFC 7162, 3.1.3): one change to the store, then the new flags
 * as a FETCH. */
#include <event2/buffer.h>
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_rights.h"

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

/* "(UNCHANGEDSINCE n) " */
static int
condition(struct imap_args *a, bool *asked, uint64_t *modseq)
{
	struct imap_str v;

	*asked = imap_try_char(a, '(');
	if (!*asked)
		return 0;
	if (imap_atom(a, &v) == -1)
		return -1;
	if (!imap_str_is(&v, "UNCHANGEDSINCE"))
		return imap_fail(a, "Unknown STORE modifier");
	if (imap_sp(a) == -1 || imap_modseq(a, modseq) == -1 || imap_char(a, ')') == -1)
		return -1;
	return imap_sp(a);
}

struct change {
	enum flag_op op;
	uint8_t flags;
	uint64_t keywords;
	struct flag_mask may;
	bool silent;
	bool conditional;
	uint64_t since;
	uint32_t *failed; /* UIDs that did not meet the condition */
	size_t n_failed;
};

/* "MODIFIED set" for those that failed; they are not told otherwise. */
static struct evbuffer *
modified(struct imap *s, const struct change *c, uint32_t *uids, size_t *n)
{
	struct evbuffer *b = evbuffer_new();
	size_t out = 0, k = 0;

	if (b == NULL)
		return NULL;
	for (size_t i = 0; i < *n; i++) {
		if (k < c->n_failed && c->failed[k] == uids[i])
			k++;
		else
			uids[out++] = uids[i];
	}
	*n = out;
	for (size_t i = 0; i < c->n_failed && !s->uid; i++)
		c->failed[i] = imap_view_seq(s, c->failed[i]);
	evbuffer_add_printf(b, "[MODIFIED ");
	imap_set_print(b, c->failed, c->n_failed);
	evbuffer_add_printf(b, "] Conditional STORE failed for some");
	evbuffer_add(b, "", 1);
	return b;
}

/* A message that another session expunged still has its number here. */
static bool
any_gone(struct imap *s, const uint32_t *uids, size_t n)
{
	int exact = 1;

	for (size_t i = 0; i < n && exact; i++)
		(void)folder_find(s->folder, uids[i], &exact);
	return !exact;
}

static void
run(struct imap *s, struct change *c, uint32_t **uids, size_t n)
{
	const char *done = s->uid ? "UID STORE completed"
			   : any_gone(s, *uids, n)
			       ? "[EXPUNGEISSUED] Some of the messages no longer exist"
			       : "STORE completed";
	struct imap_items items = { .n = 0 };
	struct evbuffer *b = NULL;
	enum store_error e = STORE_OK;
	size_t changed;

	/* Others' changes first: ours are told below, or not at all when silent. */
	imap_view_sync(s, false);
	if (c->conditional && c->since == 0) {
		/* Every message has a modification sequence above zero. */
		for (; c->n_failed < n; c->n_failed++)
			c->failed[c->n_failed] = (*uids)[c->n_failed];
	} else if (n > 0)
		e = folder_store_masked(s->folder, *uids, n, c->op, c->flags, c->keywords,
		    &c->may, c->since, c->failed, &c->n_failed, &changed);
	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	s->modseq = s->walked = folder_highestmodseq(s->folder);
	s->expunge_pending = true;
	imap_view_tell_keywords(s);
	if (c->n_failed > 0) {
		if ((b = modified(s, c, *uids, &n)) == NULL) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			return;
		}
		done = (char *)evbuffer_pullup(b, -1);
	}
	if (c->silent && (s->enabled & IMAP_CONDSTORE) == 0)
		imap_ok(s, "%s", done);
	else {
		/* With CONDSTORE every such FETCH has the UID too (RFC 7162, 3.2.4). */
		if ((s->uid || (s->enabled & IMAP_CONDSTORE)) &&
		    (s->enabled & IMAP_UIDONLY) == 0)
			imap_items_add(&items, IMAP_ITEM_UID);
		if (!c->silent)
			imap_items_add(&items, IMAP_ITEM_FLAGS);
		if (s->enabled & IMAP_CONDSTORE)
			imap_items_add(&items, IMAP_ITEM_MODSEQ);
		imap_fetch_start(s, &items, *uids, n, done);
		*uids = NULL;
	}
	if (b != NULL)
		evbuffer_free(b);
}

static void
rights(struct imap *s, struct change *c)
{
	c->may = (struct flag_mask){ UINT8_MAX, UINT64_MAX };
	imap_rights_flags(imap_rights_here(s), &c->may.flags, &c->may.keywords);
}

/* RFC 4314, 4: one that may be changed is enough. Keywords that could not be made are not
 * known here, so that naming none of the rest counts as naming them. */
static bool
may_any(const struct change *c)
{
	uint8_t all =
	    FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT;

	if (c->may.keywords != 0)
		return c->flags == 0 || c->keywords != 0 ||
		       (c->flags & c->may.flags) != 0;
	if (c->op == FLAG_OP_SET)
		return (c->may.flags & all) != 0;
	return (c->flags & c->may.flags) != 0;
}

void
imap_cmd_store(struct imap *s, struct imap_args *a)
{
	struct imap_set set = { 0 };
	struct change c = { 0 };
	uint32_t *uids = NULL;
	const char *error;
	bool no_room;
	size_t n;

	rights(s, &c);
	if (imap_sp(a) == -1 || imap_set_parse(a, &set) == -1 || imap_sp(a) == -1 ||
	    condition(a, &c.conditional, &c.since) == -1 ||
	    operation(a, &c.op, &c.silent) == -1 || imap_sp(a) == -1 ||
	    imap_flags(a, s->folder,
		c.op != FLAG_OP_REMOVE && !s->readonly && c.may.keywords != 0, &c.flags,
		&c.keywords, &no_room) == -1 ||
	    imap_end(a) == -1)
		goto out;
	if (imap_view_select(s, &set, &uids, &n, &error) == -1) {
		imap_bad(s, error);
		goto out;
	}
	if (s->readonly)
		imap_no(s, "[READ-ONLY] Mailbox is read-only");
	else if (!may_any(&c))
		imap_no(s, "[NOPERM] You have not the right to change these flags");
	else if (no_room)
		imap_no(s, "[LIMIT] Too many keywords, or too long");
	else if (c.conditional &&
		 (c.failed = reallocarray(NULL, n + 1, sizeof(*c.failed))) == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else {
		if (c.conditional)
			imap_use_condstore(s);
		imap_limit_cut(s, uids, &n);
		run(s, &c, &uids, n);
	}
out:
	free(c.failed);
	free(uids);
	imap_set_clear(&set);
}

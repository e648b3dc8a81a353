/* SPDX-License-Identifier: ISC */
/* Limits on what one command works on; see imap_limit.h. */
#include "mailbox/imap_limit.h"

#include <stdio.h>
#include <string.h>

#include "mailbox/imap_search.h"

void
imap_limit_cut(struct imap *s, uint32_t *uids, size_t *n)
{
	size_t limit = s->offer.message_limit;

	if (limit == 0 || *n <= limit)
		return;
	memmove(uids, uids + *n - limit, limit * sizeof(*uids));
	*n = limit;
	s->cut_at = uids[0];
}

bool
imap_limit_refuses(struct imap *s, const uint32_t *uids, size_t n)
{
	if (s->offer.save_limit == 0 || n <= s->offer.save_limit)
		return false;
	imap_no(s, "[MESSAGELIMIT %u %u] Too many messages for one command",
	    s->offer.save_limit, uids[n - s->offer.save_limit]);
	return true;
}

void
imap_limit_no(struct imap *s, uint32_t limit)
{
	imap_no(s, "[MESSAGELIMIT %u] Too many messages for one command", limit);
}

void
imap_limit_code(const struct imap *s, char code[IMAP_LIMIT_CODE_MAX])
{
	(void)snprintf(code, IMAP_LIMIT_CODE_MAX, "[MESSAGELIMIT %u %u] ",
	    s->offer.message_limit, s->cut_at);
}

/* Depth is bounded by the parser. */
static bool
named(const struct imap_key *k, uint32_t seq, uint32_t uid)
{
	for (; k != NULL; k = k->next)
		if ((k->kind == IMAP_KEY_SEQ && !imap_set_has(&k->set, seq)) ||
		    (k->kind == IMAP_KEY_UID && !imap_set_has(&k->set, uid)) ||
		    (k->kind == IMAP_KEY_AND && !named(k->child, seq, uid)))
			return false;
	return true;
}

size_t
imap_limit_search(const struct imap_search *q, uint32_t (*uid)(void *, size_t), void *arg,
    size_t count, uint32_t limit, size_t *n)
{
	size_t first = 0;

	*n = 0;
	for (size_t i = count; i > 0; i--) {
		if (!named(q->root, (uint32_t)i, uid(arg, i - 1)))
			continue;
		if (++*n > limit)
			return first;
		first = i - 1;
	}
	return 0;
}

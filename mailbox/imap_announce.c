/* SPDX-License-Identifier: ISC */
/*
 * FETCH responses that no FETCH asked for: of new messages, with the attributes that
 * NOTIFY (RFC 5465, 5.2) or the contexts they belong to (7) name, in one response each.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_context.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_notify.h"

bool
imap_announce_add(struct imap *s, uint32_t uid, unsigned int source)
{
	struct imap_announced *v = s->announced;
	size_t i = s->n_announced;

	while (i > 0 && v[i - 1].uid > uid)
		i--;
	if (i > 0 && v[i - 1].uid == uid) {
		v[i - 1].sources |= 1u << source;
		return true;
	}
	if (s->n_announced == IMAP_NOTIFY_MESSAGES_MAX)
		return false;
	/* A power of two is full. */
	if ((s->n_announced & (s->n_announced - 1)) == 0) {
		v = reallocarray(
		    v, s->n_announced == 0 ? 1 : s->n_announced * 2, sizeof(*v));
		if (v == NULL)
			return false;
		s->announced = v;
	}
	memmove(v + i + 1, v + i, (s->n_announced - i) * sizeof(*v));
	v[i] = (struct imap_announced){ uid, 1u << source };
	s->n_announced++;
	return true;
}

void
imap_announce_forget(struct imap *s)
{
	free(s->announced);
	s->announced = NULL;
	s->n_announced = 0;
}

char *
imap_announce_parse(struct imap_args *a)
{
	struct imap_items items = { .n = 0 };
	size_t from = a->pos + 1;
	char *text;
	int rv;

	if (imap_peek(a) != '(') {
		imap_fail(a, "A list of FETCH items expected");
		return NULL;
	}
	/* Parsing unescapes in place: keep it as it came. */
	if ((text = malloc(a->len - a->pos + 1)) == NULL) {
		imap_fail(a, "Out of memory");
		return NULL;
	}
	memcpy(text, a->buf + from, a->len - from);
	rv = imap_items_parse(a, &items);
	imap_items_clear(&items);
	if (rv == -1 || memchr(text, '\0', a->pos - from) != NULL) {
		imap_fail(a, "Invalid FETCH items");
		free(text);
		return NULL;
	}
	text[a->pos - from - 1] = '\0';
	return text;
}

static const char *
attributes(const struct imap *s, unsigned int source)
{
	if (source == IMAP_ANNOUNCE_NOTIFY)
		return s->notify != NULL ? s->notify->attributes : NULL;
	return imap_context_attributes(s, source);
}

static bool
same(const struct imap_item *a, const struct imap_item *b)
{
	return a->kind == b->kind &&
	       (a->label == NULL ? b->label == NULL
				 : b->label != NULL && strcmp(a->label, b->label) == 0);
}

/* What all the sources want, once. */
static int
merge(struct imap *s, unsigned int sources, struct imap_items *items)
{
	struct evbuffer *b = evbuffer_new();
	struct imap_args a;
	size_t k = 0;
	int rv = -1;

	items->n = 0;
	if (b == NULL)
		return -1;
	for (unsigned int i = 0; i <= IMAP_CONTEXTS_MAX; i++) {
		const char *text = sources >> i & 1 ? attributes(s, i) : NULL;

		if (text != NULL)
			evbuffer_add_printf(
			    b, "%s%s", evbuffer_get_length(b) > 0 ? " " : "(", text);
	}
	if (evbuffer_get_length(b) > 0) {
		evbuffer_add(b, ")", 1);
		imap_args_init(
		    &a, (char *)evbuffer_pullup(b, -1), evbuffer_get_length(b));
		rv = imap_items_parse(&a, items);
	}
	evbuffer_free(b);
	if (rv == 0 && (s->enabled & IMAP_QRESYNC) && (s->enabled & IMAP_UIDONLY) == 0)
		rv = imap_items_add(items, IMAP_ITEM_UID);
	if (rv == -1) {
		imap_items_clear(items);
		return -1;
	}
	for (size_t i = 0; i < items->n; i++) {
		size_t j = 0;

		while (j < k && !same(&items->v[j], &items->v[i]))
			j++;
		if (j == k) {
			struct imap_item keep = items->v[k];

			items->v[k++] = items->v[i];
			items->v[i] = keep;
		}
	}
	for (size_t n = items->n; n > k; n = --items->n) {
		struct imap_items last = { .n = 1 };

		last.v[0] = items->v[n - 1];
		imap_items_clear(&last);
	}
	return 0;
}

void
imap_announce_start(struct imap *s)
{
	struct imap_items items;
	uint32_t *uids;
	unsigned int sources;
	size_t n = 0, i;

	if (s->n_announced == 0 || s->folder == NULL || s->task != NULL)
		return;
	sources = s->announced[0].sources;
	for (i = 0; i < s->n_announced && s->announced[i].sources == sources; i++)
		;
	if ((uids = reallocarray(NULL, i, sizeof(*uids))) == NULL ||
	    merge(s, sources, &items) == -1) {
		free(uids);
		imap_announce_forget(s);
		return;
	}
	for (size_t k = 0; k < i; k++)
		if (imap_view_seq(s, s->announced[k].uid) != 0)
			uids[n++] = s->announced[k].uid;
	if (i == s->n_announced)
		imap_announce_forget(s);
	else {
		struct imap_announced *rest;

		/* Its room follows the count. */
		rest = s->announced;
		s->announced = NULL;
		size_t left = s->n_announced - i;

		s->n_announced = 0;
		for (size_t k = 0; k < left; k++)
			for (unsigned int b = 0; b <= IMAP_CONTEXTS_MAX; b++)
				if (rest[i + k].sources >> b & 1)
					(void)imap_announce_add(s, rest[i + k].uid, b);
		free(rest);
	}
	imap_fetch_announce(s, &items, uids, n);
}

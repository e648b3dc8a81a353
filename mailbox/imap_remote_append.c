/* SPDX-License-Identifier: ISC */
/*
 * APPEND to another user's mailbox, and REPLACE in it. The command goes there segment by
 * segment, each up to the sign of a literal, which is always one that waits: so a message
 * that is not wanted is refused before the client sends it, if the client waits too.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap_share.h"

struct imap_remote_append {
	struct imap_link *link;
	size_t sent; /* of the command */
	enum {
		ASKING, /* the task waits for the other side's word */
		GOING,  /* the literal comes */
		REFUSED /* answer holds why; what comes is dropped */
	} state;
	struct evbuffer *answer;
};

void
imap_remote_append_drop(struct imap *s)
{
	struct imap_remote_append *p = s->share == NULL ? NULL : s->share->append;

	if (p == NULL)
		return;
	s->share->append = NULL;
	/* In the middle of a command nothing else can be said. */
	if (p->link != NULL)
		imap_share_lost(p->link);
	evbuffer_free(p->answer);
	free(p);
}

/* The end of one that the other side has answered. */
static void
over(struct imap *s)
{
	struct imap_remote_append *p = s->share->append;

	evbuffer_add_buffer(s->out, p->answer);
	p->link = NULL;
	s->bad = 0;
	imap_remote_append_drop(s);
}

bool
imap_remote_append_blocked(const struct imap *s)
{
	const struct imap_remote_append *p = s->share == NULL ? NULL : s->share->append;

	return p != NULL && p->state == GOING && p->link->state == IMAP_LINK_OPEN &&
	       evbuffer_get_length(p->link->out) >= IMAP_SHARE_HIGH_WATER;
}

void
imap_remote_append_poll(struct imap *s)
{
	struct imap_link *l = s->share->append->link;

	if (imap_remote_append_blocked(s) &&
	    imap_share_now() - l->used_ms > IMAP_SHARE_PATIENCE_MS)
		imap_share_lost(l);
}

static void
wanted(struct imap *s, struct imap_remote_append *p)
{
	if (s->lex.literal_sync)
		evbuffer_add_printf(s->out, "+ Ready for message\r\n");
	p->state = GOING;
	imap_lex_stream(&s->lex);
}

/* A literal that comes all the same is dropped, and the answer waits for its end. */
static void
refused(struct imap *s, struct imap_remote_append *p, const char *why)
{
	if (why != NULL)
		evbuffer_add_printf(p->answer, "%s NO %s\r\n", s->tag, why);
	p->state = REFUSED;
	if (s->lex.literal_sync) {
		over(s);
		imap_lex_reset(&s->lex);
	} else if (s->lex.literal_size > IMAP_SKIP_MAX) {
		over(s);
		imap_bye(s, "Literal too large to skip");
	} else
		imap_lex_stream(&s->lex);
}

/* The next segment, with "{n}" at its end, and what is said to that. */
static int
ask_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct imap_remote_append *p = s->share->append;
	struct imap_link *l = p->link;
	size_t len = s->lex.len;

	if (l->state == IMAP_LINK_ASKED &&
	    imap_share_now() - l->used_ms <= IMAP_SHARE_PATIENCE_MS)
		return imap_share_wait(s);
	if (l->state != IMAP_LINK_OPEN) {
		refused(s, p,
		    l->state == IMAP_LINK_REFUSED
			? "[NONEXISTENT] No such mailbox or message"
			: "[UNAVAILABLE] The mailbox is not available now");
		return 0;
	}
	if (p->sent < len) {
		if (p->sent == 0)
			imap_link_begin(l);
		while (len > p->sent && s->lex.buf[len - 1] != '{')
			len--;
		imap_link_write(l, s->lex.buf + p->sent, len - p->sent);
		imap_link_printf(l, "%llu}\r\n", (unsigned long long)s->lex.literal_size);
		p->sent = s->lex.len;
	}
	switch (imap_link_relay(l, s->tag, s->share->selected == l, unsent, p->answer)) {
	case IMAP_RELAY_FULL:
		return 1;
	case IMAP_RELAY_PLUS:
		wanted(s, p);
		return 0;
	case IMAP_RELAY_OK: /* before it has got anything: nonsense */
	case IMAP_RELAY_NO:
		refused(s, p, NULL);
		return 0;
	case IMAP_RELAY_LOST:
		if (s->state == IMAP_ENDED)
			return 0;
		break;
	case IMAP_RELAY_MORE:
		if (imap_share_now() - l->used_ms <= IMAP_SHARE_PATIENCE_MS)
			return imap_share_wait(s);
		break;
	}
	refused(s, p, "[UNAVAILABLE] The mailbox is not available now");
	return 0;
}

static void
task_free(struct imap_task *t)
{
	free(t);
}

static int
ask(struct imap *s)
{
	struct imap_task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -1;
	t->step = ask_step;
	t->free = task_free;
	s->share->append->state = ASKING;
	s->share->append->link->used_ms = imap_share_now();
	imap_set_task(s, t);
	return 0;
}

/* Whose mailbox does the command name? As imap_share_whose(); 2: that is not known yet,
 * or it is no such command. */
static int
whose(struct imap *s, char owner[ADDRESS_MAX + 1], bool *replace)
{
	char name[STORE_NAME_MAX + 1], *copy;
	struct imap_args a;
	struct imap_str v;
	const char *no;
	uint32_t n;
	int rv = 2;

	if ((copy = malloc(s->lex.len + 1)) == NULL)
		return 2;
	memcpy(copy, s->lex.buf, s->lex.len);
	imap_args_init(&a, copy, s->lex.len);
	*replace = false;
	if (imap_tag(&a, &v) == -1 || imap_sp(&a) == -1 || imap_atom(&a, &v) == -1 ||
	    (imap_str_is(&v, "UID") && (imap_sp(&a) == -1 || imap_atom(&a, &v) == -1)))
		goto out;
	*replace = imap_str_is(&v, "REPLACE");
	if (!*replace && !imap_str_is(&v, "APPEND"))
		goto out;
	if (imap_sp(&a) == -1 ||
	    (*replace && ((!imap_try_char(&a, '*') && imap_number(&a, &n) == -1) ||
			     imap_sp(&a) == -1)) ||
	    imap_mailbox(s, &a, name, &no) == -1)
		goto out;
	rv = no != NULL ? 0 : imap_share_whose(s, name, owner);
out:
	free(copy);
	return rv;
}

static int
begin(struct imap *s)
{
	char owner[ADDRESS_MAX + 1];
	struct imap_remote_append *p;
	const char *no = NULL;
	bool replace;
	int w = whose(s, owner, &replace);

	if (w == 2 || (w == 0 && !(replace && imap_share_is_remote(s))))
		return 0;
	if ((p = calloc(1, sizeof(*p))) == NULL || (p->answer = evbuffer_new()) == NULL) {
		free(p);
		return 0;
	}
	s->share->append = p;
	if (w == -1)
		no = "[NONEXISTENT] No such mailbox or message";
	else if (w == 0)
		no = "[CANNOT] A message is replaced in the mailbox of its owner";
	else if ((p->link = imap_link_get(s, owner)) == NULL)
		no = "[UNAVAILABLE] Out of memory";
	else if (replace && s->share->selected != p->link) {
		no = s->share->lost
			 ? "[UNAVAILABLE] The mailbox is not available now"
			 : "[CANNOT] A message is replaced in the mailbox of its owner";
		p->link = NULL;
	}
	if (no == NULL && ask(s) == -1)
		no = "[UNAVAILABLE] Out of memory";
	if (no != NULL)
		refused(s, p, no);
	return 1;
}

int
imap_remote_append_literal(struct imap *s)
{
	struct imap_share *sh = s->share;

	if (sh == NULL || sh->prefix[0] == '\0' || s->idling || s->append != NULL)
		return 0;
	if (sh->append == NULL)
		return begin(s);
	/* one message more */
	if (sh->append->state == REFUSED)
		refused(s, sh->append, NULL);
	else if (ask(s) == -1)
		refused(s, sh->append, "[UNAVAILABLE] Out of memory");
	return 1;
}

void
imap_remote_append_data(struct imap *s, const uint8_t *data, size_t len)
{
	struct imap_remote_append *p = s->share->append;

	if (p->state != GOING)
		return;
	if (p->link->state == IMAP_LINK_OPEN)
		imap_link_write(p->link, data, len);
	p->link->used_ms = imap_share_now();
}

void
imap_remote_append_finish(struct imap *s)
{
	struct imap_remote_append *p = s->share->append;
	struct imap_link *l = p->link;

	imap_lex_tag(&s->lex, s->tag, sizeof(s->tag));
	if (p->state == REFUSED) {
		over(s);
		return;
	}
	if (l->state == IMAP_LINK_OPEN) {
		imap_link_write(l, s->lex.buf + p->sent, s->lex.len - p->sent);
		imap_link_write(l, "\r\n", 2);
	}
	p->link = NULL;
	imap_remote_append_drop(s);
	imap_remote_run(s, l, IMAP_REMOTE_PLAIN, "", NULL, 0);
}

/* SPDX-License-Identifier: ISC */
/*
 * COPY and MOVE between the session's own mailbox and other users', or between two of
 * those: messages are fetched from the one and appended to the other, with date and
 * flags, in batches of which each is stored whole or not at all, and on the disk before
 * it is answered. A MOVE removes what has arrived, batch by batch.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/imap/imap_capability.h"
#include "common/proto/date.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_transfer.h"

#define CHUNK 65536
#define FLAGS_MAX 16384 /* text of one message's flags */

static void
release(struct transfer *x)
{
	for (size_t i = 0; i < x->n_batch; i++) {
		append_abort(x->batch[i].append);
		x->batch[i].append = NULL;
	}
	if (x->have_content)
		content_release(&x->content);
	x->have_content = false;
}

static void
transfer_free(struct imap_task *t)
{
	struct transfer *x = (struct transfer *)t;

	release(x);
	if (x->folder != NULL)
		folder_close(x->folder);
	if (x->line != NULL)
		evbuffer_free(x->line);
	free(x->set);
	free(x->uids);
	free(x->from_uids);
	free(x->new_uids);
	free(x);
}

static int
failed_store(struct transfer *x, enum store_error e)
{
	return transfer_failed(x, e == STORE_FULL    ? "[OVERQUOTA] Quota exceeded"
				  : e == STORE_LIMIT ? "[LIMIT] Too many, or too large"
				  : e == STORE_NOT_FOUND
				      ? "[TRYCREATE] No such mailbox or message"
				      : "[SERVERBUG] The messages could not be stored");
}

/* ---- the target ---- */

static int
begin_own(struct imap *s, struct transfer *x, const char *flags)
{
	struct transfer_one *m = &x->batch[x->i];
	char *copy = strdup(flags);
	enum store_error e;
	struct imap_args a;
	bool no_room = false;
	int r = -1;

	if (copy == NULL)
		return transfer_failed(x, "[UNAVAILABLE] Out of memory");
	imap_args_init(&a, copy, strlen(copy));
	if (imap_flags(&a, x->folder, true, &m->flags, &m->keywords, &no_room) == -1)
		(void)transfer_failed(x, transfer_broken);
	else if ((e = append_begin(x->folder, x->left, &m->append)) != STORE_OK)
		(void)failed_store(x, e);
	else {
		append_set_zone(m->append, m->zone);
		append_set_lazy(m->append);
		r = 0;
	}
	free(copy);
	return r;
}

static void
begin_remote(struct imap *s, struct transfer *x, const char *flags, const char *date)
{
	struct imap_link *l = x->to;

	if (x->i == 0) {
		struct evbuffer *b = evbuffer_new();

		imap_link_begin(l);
		x->append_tag = ++l->serial;
		if (b != NULL) {
			evbuffer_add_printf(b, "fife%u APPEND ", x->append_tag);
			imap_print_mailbox_to(s, x->name, b);
			imap_link_write(
			    l, evbuffer_pullup(b, -1), evbuffer_get_length(b));
			evbuffer_free(b);
		}
	}
	imap_link_printf(
	    l, " %s \"%s\" {%llu}\r\n", flags, date, (unsigned long long)x->left);
}

/* ---- one message from the own mailbox ---- */

/* 1: there is none any more. */
static int
open_own(struct imap *s, struct transfer *x, char *date, size_t cap)
{
	struct transfer_one *m = &x->batch[x->i];
	const struct message *msg;
	enum store_error e;
	size_t at = 0;
	int exact = 0;

	while (x->i < x->n_batch && !exact) {
		at = folder_find(s->folder, m->uid, &exact);
		if (!exact)
			transfer_skip(x, x->i + 1);
	}
	if (!exact)
		return 1;
	if ((e = folder_content(s->folder, m->uid, &x->content)) != STORE_OK)
		return transfer_failed(
		    x, "[EXPUNGEISSUED] Some messages no longer exist");
	x->have_content = true;
	x->left = x->content.len;
	msg = folder_message(s->folder, at);
	imap_print_all_flags(s, msg, x->line);
	if (date_format_imap(msg->internal, msg->zone, date, cap) == -1)
		return transfer_failed(x, "[CANNOT] A message has no date");
	return 0;
}

/* "FLAGS (...)" that was printed, without \Recent, which nobody may set. */
static void
own_flags(struct transfer *x, char *flags, size_t cap)
{
	size_t n = evbuffer_get_length(x->line), k = 0;
	const char *s = (const char *)evbuffer_pullup(x->line, -1);

	for (size_t i = 6; i < n && k + 1 < cap; i++) {
		if (n - i >= 7 && strncmp(s + i, "\\Recent", 7) == 0 &&
		    (s[i + 7] == ' ' || s[i + 7] == ')')) {
			i += 6;
			if (k > 1 && flags[k - 1] == ' ')
				k--;
			continue;
		}
		flags[k++] = s[i];
	}
	flags[k] = '\0';
}

/* ---- the steps ---- */

static int
ask_batch(struct imap *s, struct transfer *x)
{
	struct evbuffer *b;
	uint32_t uids[TRANSFER_BATCH];
	size_t n = 0;

	memset(x->batch, 0, sizeof(x->batch));
	while (n < TRANSFER_BATCH && x->at < x->n) {
		uids[n] = x->uids[x->at++];
		x->batch[n].uid = uids[n];
		n++;
	}
	x->n_batch = n;
	x->i = 0;
	if (x->from == NULL)
		return 0;
	if ((b = evbuffer_new()) == NULL)
		return transfer_failed(x, "[UNAVAILABLE] Out of memory");
	imap_set_print(b, uids, n);
	evbuffer_add(b, "", 1);
	imap_link_begin(x->from);
	x->asked =
	    imap_link_ask(x->from, "UID FETCH %s (%sFLAGS INTERNALDATE BODY.PEEK[])",
		(char *)evbuffer_pullup(b, -1), transfer_is_uidonly(s) ? "" : "UID ");
	evbuffer_free(b);
	return 0;
}

/* The rest of the batch is gone. */
static void
cut_batch(struct transfer *x)
{
	transfer_skip(x, x->n_batch);
	x->state = x->i == 0 ? TRANSFER_AT_NEXT : TRANSFER_AT_COMMIT;
	if (x->i > 0 && x->to != NULL)
		imap_link_write(x->to, "\r\n", 2);
}

/* 1: wait; 0: go on; -1: failed. */
static int
head(struct imap *s, struct transfer *x)
{
	char *flags = malloc(FLAGS_MAX), date[64];
	int r = -1;

	if (flags == NULL)
		return transfer_failed(x, "[UNAVAILABLE] Out of memory");
	if (x->from == NULL) {
		evbuffer_drain(x->line, evbuffer_get_length(x->line));
		if ((r = open_own(s, x, date, sizeof(date))) == 1) {
			cut_batch(x);
			r = 0;
			goto out;
		}
		if (r == -1)
			goto out;
		r = -1;
		own_flags(x, flags, FLAGS_MAX);
	} else
		for (;;) {
			enum transfer_line line = transfer_line(x, x->from, x->asked,
			    transfer_is_uidonly(s) ? "UIDFETCH" : "FETCH");

			if (line == TRANSFER_WAIT) {
				r = 1;
				goto out;
			}
			if (line == TRANSFER_PLUS)
				continue;
			if (line == TRANSFER_OK) {
				x->asked = 0;
				cut_batch(x);
				r = 0;
				goto out;
			}
			if (line == TRANSFER_NO) {
				(void)transfer_refused(x);
				goto out;
			}
			if (line != TRANSFER_UNTAGGED) {
				(void)transfer_failed(x, transfer_lost);
				goto out;
			}
			/* Others' changes of flags come so too. */
			if (!x->from->reply.inside) {
				evbuffer_add_buffer(s->out, x->line);
				continue;
			}
			if (transfer_read_head(
				s, x, flags, FLAGS_MAX, date, sizeof(date)) == -1) {
				(void)transfer_failed(x, transfer_broken);
				goto out;
			}
			x->left = x->from->reply.left;
			break;
		}
	if (x->left == 0 || x->left > IMAP_APPEND_MAX) {
		(void)transfer_failed(x, "[TOOBIG] A message is empty or too large");
		goto out;
	}
	if (x->to != NULL) {
		begin_remote(s, x, flags, date);
		x->state = TRANSFER_AT_SIGN;
	} else {
		if (begin_own(s, x, flags) == -1)
			goto out;
		x->state = TRANSFER_AT_BODY;
	}
	r = 0;
out:
	free(flags);
	return r;
}

static int
put(struct transfer *x, const void *p, size_t n)
{
	enum store_error e;

	if (x->to != NULL) {
		imap_link_write(x->to, p, n);
		x->to->used_ms = imap_share_now();
		return x->to->state == IMAP_LINK_LOST ? transfer_failed(x, transfer_lost)
						      : 0;
	}
	e = append_write(x->batch[x->i].append, p, n);
	return e == STORE_OK ? 0 : failed_store(x, e);
}

static int
body(struct transfer *x)
{
	while (x->left > 0) {
		size_t n = x->left < CHUNK ? (size_t)x->left : CHUNK;

		if (x->to != NULL &&
		    evbuffer_get_length(x->to->out) >= IMAP_SHARE_HIGH_WATER)
			return x->to->state == IMAP_LINK_LOST
				   ? transfer_failed(x, transfer_lost)
				   : 1;
		if (x->from == NULL) {
			if (put(x, x->content.data + x->content.len - x->left, n) == -1)
				return -1;
		} else {
			struct imap_link *l = x->from;
			unsigned char *p;

			if (imap_link_next(l) != IMAP_REPLY_DATA)
				return l->state == IMAP_LINK_LOST
					   ? transfer_failed(x, transfer_lost)
					   : 1;
			if (l->reply.len < n)
				n = l->reply.len;
			if ((p = evbuffer_pullup(l->in, (ev_ssize_t)n)) == NULL ||
			    put(x, p, n) == -1)
				return transfer_failed(x, transfer_lost);
			imap_reply_take(&l->reply, l->in, NULL, n);
			l->used_ms = imap_share_now();
		}
		x->left -= n;
	}
	x->state = TRANSFER_AT_TAIL;
	return 0;
}

/* Past the message: what a remote source says to its end. */
static int
tail(struct transfer *x)
{
	if (x->have_content)
		content_release(&x->content);
	x->have_content = false;
	while (x->from != NULL && x->from->reply.inside) {
		if (imap_link_next(x->from) == IMAP_REPLY_MORE)
			return x->from->state == IMAP_LINK_LOST
				   ? transfer_failed(x, transfer_lost)
				   : 1;
		imap_reply_take(&x->from->reply, x->from->in, NULL, SIZE_MAX);
	}
	if (++x->i < x->n_batch) {
		x->state = TRANSFER_AT_HEAD;
		return 0;
	}
	if (x->to != NULL)
		imap_link_write(x->to, "\r\n", 2);
	x->state = TRANSFER_AT_COMMIT;
	return 0;
}

int
transfer_arrived(struct transfer *x)
{
	size_t n = x->n_arrived + x->n_batch;
	uint32_t *a = reallocarray(x->from_uids, n, sizeof(*a)), *b;

	if (a != NULL)
		x->from_uids = a;
	if ((b = reallocarray(x->new_uids, n, sizeof(*b))) != NULL)
		x->new_uids = b;
	if (a == NULL || b == NULL)
		return transfer_failed(x, "[UNAVAILABLE] Out of memory");
	for (size_t i = 0; i < x->n_batch; i++) {
		a[x->n_arrived] = x->batch[i].uid;
		b[x->n_arrived++] = x->batch[i].new_uid;
	}
	return 0;
}

static int
commit_own(struct imap *s, struct transfer *x)
{
	enum store_error e = folder_batch_begin(x->folder, x->n_batch);
	uint32_t uids[TRANSFER_BATCH];
	size_t n = 0;

	for (size_t i = 0; i < x->n_batch && e == STORE_OK; i++) {
		struct transfer_one *m = &x->batch[i];
		struct append *a = m->append;

		m->append = NULL;
		e = append_commit(a, m->flags, m->keywords, m->internal, &m->new_uid);
		if (e == STORE_OK)
			uids[n++] = m->new_uid;
	}
	/* All that the batch wrote, with one sync. */
	if (e == STORE_OK && (compat_syncfs(store_root(s->store)) == -1))
		e = STORE_IO;
	if (e == STORE_OK)
		e = folder_batch_end(x->folder);
	if (e != STORE_OK) {
		if (n > 0)
			(void)folder_expunge(x->folder, uids, n, 1, NULL);
		(void)folder_batch_end(x->folder);
		return failed_store(x, e);
	}
	x->uidvalidity = folder_uidvalidity(x->folder);
	return transfer_arrived(x);
}

static void
print_copyuid(struct evbuffer *out, const struct transfer *x, size_t from)
{
	evbuffer_add_printf(out, "[COPYUID %u ", x->uidvalidity);
	imap_set_print(out, x->from_uids + from, x->n_arrived - from);
	evbuffer_add(out, " ", 1);
	imap_set_print(out, x->new_uids + from, x->n_arrived - from);
	evbuffer_add(out, "]", 1);
}

/* The batch is there: tell so, and take it away here. */
static int
remove_batch(struct imap *s, struct transfer *x)
{
	uint32_t uids[TRANSFER_BATCH];
	struct evbuffer *b;

	for (size_t i = 0; i < x->n_batch; i++)
		uids[i] = x->batch[i].uid;
	evbuffer_add(s->out, "* OK ", 5);
	print_copyuid(s->out, x, x->n_arrived - x->n_batch);
	evbuffer_add(s->out, " Moved\r\n", 8);
	if (x->from == NULL) {
		enum store_error e = folder_expunge(s->folder, uids, x->n_batch, 1, NULL);

		if (e == STORE_OK)
			e = store_sync(s->store);
		x->state = TRANSFER_AT_NEXT;
		return e == STORE_OK ? 0 : failed_store(x, e);
	}
	if ((b = evbuffer_new()) == NULL)
		return transfer_failed(x, "[UNAVAILABLE] Out of memory");
	imap_set_print(b, uids, x->n_batch);
	evbuffer_add(b, "", 1);
	(void)imap_link_ask(x->from, "UID STORE %s +FLAGS.SILENT (\\Deleted)",
	    (char *)evbuffer_pullup(b, -1));
	x->asked =
	    imap_link_ask(x->from, "UID EXPUNGE %s", (char *)evbuffer_pullup(b, -1));
	evbuffer_free(b);
	x->state = TRANSFER_AT_REMOVE;
	return 0;
}

static int
opening(struct imap *s, struct transfer *x)
{
	enum store_error e;

	if (x->to != NULL && x->to->state == IMAP_LINK_ASKED &&
	    imap_share_now() - x->to->used_ms < IMAP_SHARE_PATIENCE_MS)
		return 1;
	if (x->to != NULL && x->to->state != IMAP_LINK_OPEN)
		return transfer_failed(x, x->to->state == IMAP_LINK_REFUSED
					      ? "[TRYCREATE] No such mailbox or message"
					      : transfer_lost);
	if (x->to == NULL) {
		if ((e = folder_open(s->store, x->name, &x->folder)) != STORE_OK) {
			x->folder = NULL;
			return failed_store(x, e);
		}
	}
	if (x->from != NULL && x->move) {
		transfer_ask_rights(s, x);
		x->state = TRANSFER_AT_RIGHTS;
	} else
		x->state = TRANSFER_AT_LISTING;
	x->asked = x->state == TRANSFER_AT_RIGHTS ? x->asked : 0;
	return 0;
}

/* COPY is of all of them or of none (RFC 9738, 3.1). */
static int
limit(struct imap *s, struct transfer *x)
{
	char why[80] = "[LIMIT] Too many messages for one command";

	if (x->n == 0)
		return 0;
	if (x->move && x->cut && s->offer.message_limit != 0)
		s->cut_at = x->uids[0];
	else if (x->move && !x->cut)
		imap_limit_cut(s, x->uids, &x->n);
	else if (x->cut || (s->offer.save_limit != 0 && x->n > s->offer.save_limit)) {
		if (s->offer.save_limit != 0)
			(void)snprintf(why, sizeof(why),
			    "[MESSAGELIMIT %u] Too many messages for one command",
			    s->offer.save_limit);
		return transfer_failed(x, why);
	}
	return 0;
}

static int
listing(struct imap *s, struct transfer *x)
{
	int r;

	if (x->from == NULL) {
		x->state = TRANSFER_AT_NEXT;
		return limit(s, x);
	}
	if (x->asked == 0) {
		imap_link_begin(x->from);
		x->asked = imap_link_ask(x->from, "UID SEARCH RETURN (ALL) %s%s",
		    x->uid && strcmp(x->set, "$") != 0 ? "UID " : "", x->set);
	}
	if ((r = transfer_list(x)) != 0)
		return r;
	x->state = TRANSFER_AT_NEXT;
	return limit(s, x);
}

/* 1: wait; 0: go on; -1: over, with or without success. */
static int
advance(struct imap *s, struct transfer *x)
{
	int r;

	switch (x->state) {
	case TRANSFER_AT_OPENING:
		return opening(s, x);
	case TRANSFER_AT_RIGHTS:
		if ((r = transfer_read_rights(x)) == 0) {
			x->state = TRANSFER_AT_LISTING;
			x->asked = 0;
		}
		return r;
	case TRANSFER_AT_LISTING:
		return listing(s, x);
	case TRANSFER_AT_NEXT:
		/* Between batches nothing is open: the source's answer is read to its
		 * end first. */
		if (x->at == x->n)
			return -1;
		x->state = TRANSFER_AT_HEAD;
		return ask_batch(s, x);
	case TRANSFER_AT_HEAD:
		return head(s, x);
	case TRANSFER_AT_SIGN:
		switch (transfer_line(x, x->to, x->append_tag, NULL)) {
		case TRANSFER_WAIT:
			return 1;
		case TRANSFER_PLUS:
			x->state = TRANSFER_AT_BODY;
			return 0;
		case TRANSFER_NO:
			x->state = TRANSFER_AT_OPENING; /* nothing is under way there */
			return transfer_refused(x);
		default:
			return transfer_failed(x, transfer_lost);
		}
	case TRANSFER_AT_BODY:
		return body(x);
	case TRANSFER_AT_TAIL:
		return tail(x);
	case TRANSFER_AT_COMMIT:
		/* The source's last word of this batch. */
		if (x->from != NULL && x->asked != 0) {
			enum transfer_line line =
			    transfer_line(x, x->from, x->asked, NULL);

			if (line == TRANSFER_WAIT)
				return 1;
			if (line != TRANSFER_OK)
				return transfer_failed(x, transfer_lost);
			x->asked = 0;
		}
		r = x->to == NULL ? commit_own(s, x) : transfer_commit(x);
		if (r != 0)
			return r;
		if (x->move)
			return remove_batch(s, x);
		x->state = TRANSFER_AT_NEXT;
		return 0;
	case TRANSFER_AT_REMOVE:
		return transfer_removed(x);
	}
	return -1;
}

static void
finish(struct imap *s, struct transfer *x)
{
	const char *done = x->move ? "MOVE completed" : "COPY completed";
	struct evbuffer *b;

	release(x);
	if (x->why[0] != '\0') {
		/* A command that was begun has to be taken back. */
		if (x->to != NULL && x->state != TRANSFER_AT_OPENING &&
		    x->state != TRANSFER_AT_REMOVE && x->state != TRANSFER_AT_NEXT)
			imap_share_lost(x->to);
		imap_no(s, "%s", x->why);
		return;
	}
	if (x->n_arrived == 0 && x->gone) {
		imap_no(s, "[EXPUNGEISSUED] The messages no longer exist");
		return;
	}
	if (x->move || x->n_arrived == 0) {
		imap_ok_modseq(s, done, x->move && x->from == NULL && x->n_arrived > 0);
		return;
	}
	if ((b = evbuffer_new()) == NULL) {
		imap_ok(s, "%s", done);
		return;
	}
	print_copyuid(b, x, 0);
	evbuffer_add(b, "", 1);
	imap_ok(s, "%s %s", (char *)evbuffer_pullup(b, -1), done);
	evbuffer_free(b);
}

/* Of a source whose answers are not read to their end the client still has to hear what
 * they say of the selected mailbox. 1: wait. */
static int
drain(struct transfer *x)
{
	if (x->why[0] == '\0' || x->from == NULL || x->from->state != IMAP_LINK_OPEN)
		return 0;
	if (!x->draining) {
		x->draining = true;
		x->asked = imap_link_ask(x->from, "NOOP");
	}
	if (imap_link_drain(x->from, x->asked) != IMAP_RELAY_MORE)
		return 0;
	if (imap_share_now() - x->from->used_ms <= IMAP_SHARE_PATIENCE_MS)
		return 1;
	imap_share_lost(x->from);
	return 0;
}

/* Neither side has got on for too long. */
static bool
is_late(struct transfer *x)
{
	int64_t last = x->from == NULL ? 0 : x->from->used_ms;

	if (x->to != NULL && x->to->used_ms > last)
		last = x->to->used_ms;
	if (imap_share_now() - last <= IMAP_SHARE_PATIENCE_MS)
		return false;
	(void)transfer_failed(x, transfer_lost);
	return true;
}

static int
transfer_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct transfer *x = (struct transfer *)t;
	int r = x->draining ? -1 : 0;

	/* A turn for others after each message. */
	for (int i = 0; i < 8 && r == 0; i++)
		r = advance(s, x);
	if (r == 1 && !is_late(x))
		return imap_share_wait(s);
	if (r == 0)
		return 1;
	if (drain(x))
		return imap_share_wait(s);
	finish(s, x);
	return 0;
}

void
imap_transfer(struct imap *s, struct imap_link *from, struct imap_link *to,
    const char *set, const char *name, bool move)
{
	struct transfer *x = calloc(1, sizeof(*x));
	struct imap_set ids = { 0 };
	const char *error = NULL, *no = NULL;
	struct imap_args a;

	if (x == NULL || (x->set = strdup(set)) == NULL ||
	    (x->line = evbuffer_new()) == NULL) {
		no = "[UNAVAILABLE] Out of memory";
		goto fail;
	}
	x->task.step = transfer_step;
	x->task.free = transfer_free;
	x->from = from;
	x->to = to;
	x->move = move;
	x->uid = s->uid;
	(void)strlcpy(x->name, name, sizeof(x->name));
	if (from == NULL) {
		imap_args_init(&a, x->set, strlen(x->set));
		if (imap_set_parse(&a, &ids) == -1 || imap_end(&a) == -1)
			error = a.error;
		else if (transfer_is_uidonly(s) && !s->uid)
			error = IMAP_UIDREQUIRED;
		else
			(void)imap_view_select(s, &ids, &x->uids, &x->n, &error);
		imap_set_clear(&ids);
		if (error == NULL && move && s->readonly)
			no = "[READ-ONLY] Mailbox is read-only";
	}
	if (error == NULL && no == NULL) {
		if (to != NULL)
			to->used_ms = imap_share_now();
		if (from != NULL)
			from->used_ms = imap_share_now();
		imap_set_task(s, &x->task);
		return;
	}
fail:
	if (error != NULL)
		imap_bad(s, error);
	else
		imap_no(s, "%s", no);
	if (x != NULL)
		transfer_free(&x->task);
}

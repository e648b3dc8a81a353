/* SPDX-License-Identifier: ISC */
/* What other mailboxes answer to the commands of a COPY or MOVE; see imap_transfer.h. */
#include "mailbox/imap_transfer.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"

#define UIDS_MAX 1000000

const char transfer_lost[] = "[UNAVAILABLE] The other mailbox is not available now";
const char transfer_broken[] = "[UNAVAILABLE] The other mailbox answers nonsense";

int
transfer_failed(struct transfer *x, const char *why)
{
	if (x->why[0] == '\0')
		(void)strlcpy(x->why, why, sizeof(x->why));
	return -1;
}

/* ---- replies of a link to our own commands, line by line ---- */

enum transfer_line
transfer_line(
    struct transfer *x, struct imap_link *l, unsigned int number, const char *wanted)
{
	char tag[24];

	imap_link_tag(number, tag);
	for (;;) {
		bool mine;

		if (imap_link_next(l) == IMAP_REPLY_MORE)
			return l->state == IMAP_LINK_LOST ||
				       imap_share_now() - l->used_ms >
					   IMAP_SHARE_PATIENCE_MS
				   ? TRANSFER_FAILED
				   : TRANSFER_WAIT;
		l->used_ms = imap_share_now();
		evbuffer_drain(x->line, evbuffer_get_length(x->line));
		if (!l->reply.first) {
			/* the rest of one that was dropped */
			imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
			continue;
		}
		if (imap_reply_is(&l->reply, "")) {
			imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
			return TRANSFER_PLUS;
		}
		if (imap_reply_is(&l->reply, tag) && l->reply.last) {
			bool ok = imap_reply_ok(&l->reply, tag);

			imap_reply_take(&l->reply, l->in, x->line, SIZE_MAX);
			return ok ? TRANSFER_OK : TRANSFER_NO;
		}
		if (l->reply.len < 3 || memcmp(l->reply.s, "* ", 2) != 0)
			return TRANSFER_FAILED;
		mine = false;
		if (wanted != NULL) {
			const char *p = l->reply.s + 2, *end = l->reply.s + l->reply.len;
			size_t n = strlen(wanted);

			while (p < end && *p >= '0' && *p <= '9')
				p++;
			if (p > l->reply.s + 2)
				p += p < end && *p == ' ' ? 1 : end - p;
			mine = (size_t)(end - p) > n && memcmp(p, wanted, n) == 0 &&
			       p[n] == ' ';
		}
		if (mine) {
			imap_reply_take(&l->reply, l->in, x->line, SIZE_MAX);
			return TRANSFER_UNTAGGED;
		}
		if (imap_link_pass_news(l))
			continue;
		if (imap_reply_kind(&l->reply) == IMAP_REPLY_BYE)
			return TRANSFER_FAILED;
		imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
	}
}

/* The line in x->line without its end, for reading. NULL: it is too odd. */
static char *
line_text(struct transfer *x, size_t *len)
{
	size_t n = evbuffer_get_length(x->line);
	char *s = (char *)evbuffer_pullup(x->line, -1);

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	*len = n;
	return n > 0 ? s : NULL;
}

/* What a NO of the target says, or of the source. */
int
transfer_refused(struct transfer *x)
{
	size_t len;
	char *s = line_text(x, &len), *text, copy[256];

	if (s == NULL || (text = memchr(s, ' ', len)) == NULL)
		return transfer_failed(x, transfer_broken);
	len -= (size_t)(text - s);
	if (len < 5 || strncmp(text, " NO ", 4) != 0 ||
	    !imap_reply_code_is_harmless(text + 4, len - 4) || len - 4 >= sizeof(copy))
		return transfer_failed(x, "[CANNOT] The other mailbox refuses it");
	memcpy(copy, text + 4, len - 4);
	copy[len - 4] = '\0';
	return transfer_failed(x, copy);
}

/* ---- the source ---- */

bool
transfer_is_uidonly(const struct imap *s)
{
	return (s->enabled & IMAP_UIDONLY) != 0;
}

/* "* ESEARCH (TAG "fife7") UID ALL 5:7" */
static int
take_uids(struct transfer *x)
{
	struct imap_set set = { 0 };
	size_t len, n = 0;
	char *s = line_text(x, &len), *all;
	struct imap_args a;
	int r = -1;

	if (s == NULL || x->from->reply.inside)
		return transfer_failed(x, transfer_broken);
	if ((all = memmem(s, len, " ALL ", 5)) == NULL)
		return 0; /* none */
	imap_args_init(&a, all + 5, len - (size_t)(all + 5 - s));
	if (imap_set_parse(&a, &set) == -1 || imap_end(&a) == -1)
		goto out;
	for (size_t i = 0; i < set.n; i++) {
		if (set.r[i].lo == 0 || set.r[i].hi < set.r[i].lo ||
		    set.r[i].hi - set.r[i].lo >= UIDS_MAX - n)
			goto out;
		n += set.r[i].hi - set.r[i].lo + 1;
	}
	free(x->uids);
	x->n = 0;
	if ((x->uids = reallocarray(NULL, n + 1, sizeof(*x->uids))) == NULL)
		goto out;
	for (size_t i = 0; i < set.n; i++)
		for (uint32_t u = set.r[i].lo; x->n < n; u++) {
			x->uids[x->n++] = u;
			if (u == set.r[i].hi)
				break;
		}
	r = 0;
out:
	imap_set_clear(&set);
	return r == -1 ? transfer_failed(x, transfer_broken) : 0;
}

/* 1: wait; 0: done; -1: failed. */
int
transfer_list(struct transfer *x)
{
	static const char limited[] = " OK [MESSAGELIMIT ";

	for (;;)
		switch (transfer_line(x, x->from, x->asked, "ESEARCH")) {
		case TRANSFER_WAIT:
			return 1;
		case TRANSFER_UNTAGGED:
			if (take_uids(x) == -1)
				return -1;
			break;
		case TRANSFER_OK:
			x->cut = evbuffer_search(x->line, limited, strlen(limited), NULL)
				     .pos != -1;
			return 0;
		case TRANSFER_NO:
			return transfer_refused(x);
		case TRANSFER_PLUS:
			break;
		default:
			return transfer_failed(x, transfer_lost);
		}
}

void
transfer_skip(struct transfer *x, size_t to)
{
	if (to == x->i)
		return;
	x->gone = true;
	memmove(x->batch + x->i, x->batch + to, (x->n_batch - to) * sizeof(x->batch[0]));
	x->n_batch -= to - x->i;
}

/* Those that were expunged meanwhile are passed over, as COPY within a mailbox does. */
static int
find_uid(struct transfer *x, uint32_t uid)
{
	size_t i = x->i;

	while (i < x->n_batch && x->batch[i].uid != uid)
		i++;
	if (i == x->n_batch)
		return -1;
	transfer_skip(x, i);
	return 0;
}

/* What one message is like, from a FETCH whose last item is the literal. */
int
transfer_read_head(struct imap *s, struct transfer *x, char *flags, size_t cap,
    char *date, size_t date_cap)
{
	struct transfer_one *m = &x->batch[x->i];
	struct imap_args a;
	struct imap_str v;
	uint32_t n;
	size_t len, start;
	char *text = line_text(x, &len);
	struct date d;

	if (text == NULL || !x->from->reply.inside)
		return -1;
	imap_args_init(&a, text, len);
	if (imap_char(&a, '*') == -1 || imap_sp(&a) == -1 || imap_number(&a, &n) == -1 ||
	    imap_sp(&a) == -1 || imap_atom(&a, &v) == -1 || imap_sp(&a) == -1 ||
	    imap_char(&a, '(') == -1)
		return -1;
	if (transfer_is_uidonly(s)) {
		if (find_uid(x, n) == -1)
			return -1;
	} else if (len - a.pos < 4 || strncmp(text + a.pos, "UID ", 4) != 0)
		return -1;
	else {
		a.pos += 4;
		if (imap_number(&a, &n) == -1 || find_uid(x, n) == -1 ||
		    imap_sp(&a) == -1)
			return -1;
	}
	if (imap_atom(&a, &v) == -1 || !imap_str_is(&v, "FLAGS") || imap_sp(&a) == -1)
		return -1;
	start = a.pos;
	if (imap_char(&a, '(') == -1)
		return -1;
	while (imap_peek(&a) != ')') {
		struct imap_str f;

		if (imap_flag(&a, &f) == -1)
			return -1;
		(void)imap_try_char(&a, ' ');
	}
	(void)imap_char(&a, ')');
	if (a.pos - start >= cap)
		return -1;
	memcpy(flags, text + start, a.pos - start);
	flags[a.pos - start] = '\0';
	if (imap_sp(&a) == -1 || imap_atom(&a, &v) == -1 ||
	    !imap_str_is(&v, "INTERNALDATE") || imap_sp(&a) == -1 ||
	    imap_string(&a, &v) == -1 || imap_str_copy(&v, date, date_cap) == -1 ||
	    date_parse_imap(date, strlen(date), &d) == -1 || a.len - a.pos < 7 ||
	    strncmp(text + a.pos, " BODY[]", 7) != 0)
		return -1;
	m->internal = d.time;
	m->zone = d.zone_min;
	return 0;
}

/* Two commands: only the second one's answer counts, the first one's lines pass. */
int
transfer_removed(struct transfer *x)
{
	char tag[24];

	imap_link_tag(x->asked - 1, tag);
	for (;;)
		switch (transfer_line(x, x->from, x->asked, NULL)) {
		case TRANSFER_WAIT:
			return 1;
		case TRANSFER_PLUS:
			break;
		case TRANSFER_OK:
			x->state = TRANSFER_AT_NEXT;
			return 0;
		case TRANSFER_NO:
			return transfer_refused(x);
		default:
			/* The completion of the first one. */
			if (imap_reply_is(&x->from->reply, tag) && x->from->reply.last) {
				imap_reply_take(
				    &x->from->reply, x->from->in, NULL, SIZE_MAX);
				break;
			}
			return transfer_failed(x, transfer_lost);
		}
}

/* "* MYRIGHTS name lrste": what is moved away must be removable (RFC 6851, 4.2). */
int
transfer_read_rights(struct transfer *x)
{
	unsigned int rights;
	struct imap_args a;
	struct imap_str v;
	size_t len;
	char *text;

	for (;;)
		switch (transfer_line(x, x->from, x->asked, "MYRIGHTS")) {
		case TRANSFER_WAIT:
			return 1;
		case TRANSFER_UNTAGGED:
			if ((text = line_text(x, &len)) == NULL)
				return transfer_failed(x, transfer_broken);
			imap_args_init(&a, text, len);
			a.pos = len < 11 ? len : 11;
			if (imap_astring(&a, &v) == 0 && imap_sp(&a) == 0 &&
			    imap_astring(&a, &v) == 0 &&
			    acl_rights_told(v.s, v.len, &rights) == 0)
				x->rights =
				    (rights & ACL_DELETED) && (rights & ACL_EXPUNGE);
			break;
		case TRANSFER_OK:
			return x->rights ? 0
					 : transfer_failed(x,
					       "[NOPERM] You have not the right to "
					       "remove messages there");
		case TRANSFER_NO:
			return transfer_refused(x);
		case TRANSFER_PLUS:
			break;
		default:
			return transfer_failed(x, transfer_lost);
		}
}

void
transfer_ask_rights(struct imap *s, struct transfer *x)
{
	struct evbuffer *b = evbuffer_new();

	imap_link_begin(x->from);
	if (b == NULL)
		return;
	imap_print_mailbox_to(s, s->share->selected_name, b);
	evbuffer_add(b, "", 1);
	x->asked = imap_link_ask(x->from, "MYRIGHTS %s", (char *)evbuffer_pullup(b, -1));
	evbuffer_free(b);
}

/* "... OK [APPENDUID 38505 3955:3960] text" */
static int
take_appenduid(struct transfer *x)
{
	struct imap_args a;
	struct imap_set set = { 0 };
	size_t len, k = 0;
	char *s = line_text(x, &len), *p;
	int r = -1;

	if (s == NULL || (p = memchr(s, '[', len)) == NULL ||
	    len - (size_t)(p - s) < 12 || strncmp(p, "[APPENDUID ", 11) != 0)
		return transfer_failed(x, transfer_broken);
	imap_args_init(&a, p + 11, len - (size_t)(p + 11 - s));
	if (imap_number(&a, &x->uidvalidity) == 0 && imap_sp(&a) == 0 &&
	    imap_set_parse(&a, &set) == 0) {
		for (size_t i = 0; i < set.n && k < x->n_batch; i++) {
			uint32_t lo = set.r[i].lo, hi = set.r[i].hi;

			for (uint32_t u = lo; u >= lo && u <= hi && k < x->n_batch; u++)
				x->batch[k++].new_uid = u;
		}
		r = k == x->n_batch ? transfer_arrived(x)
				    : transfer_failed(x, transfer_broken);
	} else
		(void)transfer_failed(x, transfer_broken);
	imap_set_clear(&set);
	return r;
}

int
transfer_commit(struct transfer *x)
{
	for (;;)
		switch (transfer_line(x, x->to, x->append_tag, NULL)) {
		case TRANSFER_WAIT:
			return 1;
		case TRANSFER_PLUS:
			break;
		case TRANSFER_OK:
			return take_appenduid(x);
		case TRANSFER_NO:
			x->state = TRANSFER_AT_OPENING;
			return transfer_refused(x);
		default:
			return transfer_failed(x, transfer_lost);
		}
}

/* SPDX-License-Identifier: ISC */
/* Letters of lists; see letter.h. */
#include "listd/letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"

static const char *
own(const struct letter *l, const char *what, char buf[ADDRESS_MAX + 1])
{
	char key[ADDRESS_MAX + 1];

	strlcpy(key, l->list, sizeof(key));
	if (listpost_plain(key, what, buf, ADDRESS_MAX + 1) == -1)
		strlcpy(buf, l->list, ADDRESS_MAX + 1);
	return buf;
}

static void
head(struct text *t, const struct letter *l, const char *subject, const char *reply_to)
{
	char from[ADDRESS_MAX + 1], id[ADDRESS_MAX + 1], date[DATE_MAX];

	if (date_format(l->now, date_local_zone(l->now), date, sizeof(date)) == -1)
		date[0] = '\0';
	post_list_id(l->list, id, sizeof(id));
	text_add(t, "From: <%s>\r\nTo: <%s>\r\n", own(l, "request", from), l->to);
	text_field(t, "Subject", subject);
	text_add(t, "Date: %s\r\nMessage-ID: <%" PRIx64 ".%x.list@%s>\r\n", date,
	    l->queue_id, l->rcpt, strrchr(l->list, '@') + 1);
	if (reply_to[0] != '\0')
		text_add(t, "Reply-To: <%s>\r\n", reply_to);
	if (l->in_reply_to[0] == '<' && strchr(l->in_reply_to, '\n') == NULL)
		text_add(t, "In-Reply-To: %s\r\n", l->in_reply_to);
	text_add(t,
	    "List-Id: <%s>\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "Precedence: bulk\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n",
	    id);
}

/* A stranger's words, as lines that stand out. */
static void
quote(struct text *t, const char *s)
{
	int start = 1;

	for (; *s != '\0'; s++) {
		if (start)
			text_put(t, "    ", 4);
		start = *s == '\n';
		if (*s == '\n')
			text_put(t, "\r\n", 2);
		else if ((unsigned char)*s >= ' ' && *s != 0x7f)
			text_put(t, s, 1);
	}
	if (!start)
		text_put(t, "\r\n", 2);
}

void
letter_confirm(struct text *t, const struct letter *l, int join, const char *address,
    const char *confirm)
{
	char subject[600];

	snprintf(subject, sizeof(subject), "Confirm that you want to %s %s",
	    join ? "join" : "leave", l->list);
	head(t, l, subject, confirm);
	text_add(t,
	    "Somebody, perhaps you, asked that the address\r\n\r\n    %s\r\n\r\n%s the "
	    "mailing list\r\n\r\n    %s\r\n\r\n"
	    "If that is right, answer this message; what you write does not matter. "
	    "It\r\n"
	    "goes to\r\n\r\n    %s\r\n\r\n"
	    "If not, do nothing: nothing will happen.\r\n",
	    address, join ? "become a member of" : "be no member any more of", l->list,
	    confirm);
}

void
letter_done(struct text *t, const struct letter *l, const char *words)
{
	char subject[600];

	snprintf(subject, sizeof(subject), "Your request to %s", l->list);
	head(t, l, subject, "");
	text_add(t,
	    "The mailing list\r\n\r\n    %s\r\n\r\nanswers about\r\n\r\n    %s\r\n\r\n",
	    l->list, l->to);
	text_add(t, "%s\r\n", words);
}

void
letter_help(struct text *t, const struct letter *l, const struct listconf *c)
{
	char subject[600], a[ADDRESS_MAX + 1], b[ADDRESS_MAX + 1], o[ADDRESS_MAX + 1];

	snprintf(subject, sizeof(subject), "About %s", l->list);
	head(t, l, subject, "");
	text_add(t, "This is the mailing list\r\n\r\n    %s\r\n", l->list);
	if (c->title[0] != '\0')
		text_add(t, "    %s\r\n", c->title);
	text_add(t, "\r\n");
	if (c->join != LIST_JOIN_CLOSED)
		text_add(
		    t, "To join it, write to\r\n\r\n    %s\r\n\r\n", own(l, "join", a));
	text_add(t,
	    "To leave it, write to\r\n\r\n    %s\r\n\r\n"
	    "Its owners are reached at\r\n\r\n    %s\r\n",
	    own(l, "leave", b), own(l, "owner", o));
	if (c->archive[0] != '\0')
		text_add(
		    t, "\r\nWhat was posted is kept at\r\n\r\n    %s\r\n", c->archive);
}

static void
facts(struct text *t, const struct held *h)
{
	text_add(t, "    from     %s\r\n    subject  %s\r\n    octets   %" PRIu64 "\r\n",
	    h->author, h->subject, h->size);
}

void
letter_held(
    struct text *t, const struct letter *l, const struct held *h, const char *words)
{
	char subject[700], what[40], a[ADDRESS_MAX + 1];
	static const char *const verbs[] = { "approve", "reject", "discard" };
	static const char *const ends[] = { "posts it",
		"tells its author that it is not posted; your text is the reason",
		"removes it without a word" };

	snprintf(subject, sizeof(subject), "A post to %.200s waits: %.300s", l->list,
	    h->subject);
	head(t, l, subject, "");
	text_add(t,
	    "A post to the mailing list\r\n\r\n    %s\r\n\r\nwaits for one of its "
	    "owners, "
	    "since %s:\r\n\r\n",
	    l->list, h->why);
	facts(t, h);
	text_add(t, "\r\nA message, with whatever text, to\r\n\r\n");
	for (size_t i = 0; i < 3; i++) {
		snprintf(what, sizeof(what), "%s+%s", verbs[i], h->id);
		text_add(t, "    %s\r\n        %s\r\n", own(l, what, a), ends[i]);
	}
	text_add(t,
	    "\r\nor the postmaster runs  fifectl list approve %s\r\n\r\nAfter %d days it "
	    "is "
	    "removed. It begins:\r\n\r\n",
	    h->id, HELD_DAYS);
	quote(t, words);
}

void
letter_rejected(
    struct text *t, const struct letter *l, const struct held *h, const char *reason)
{
	char subject[700];

	snprintf(subject, sizeof(subject), "Not posted to %.200s: %.300s", l->list,
	    h->subject);
	head(t, l, subject, "");
	text_add(t, "Your message to the mailing list\r\n\r\n    %s\r\n\r\n", l->list);
	facts(t, h);
	text_add(t, "\r\nwas not posted. The owners of the list say:\r\n\r\n");
	quote(t, reason[0] != '\0' ? reason : "(no reason is given)");
}

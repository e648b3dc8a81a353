/* SPDX-License-Identifier: ISC */
/* Decisions about posts; see decide.h. */
#include "listd/decide.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

static void
set(struct verdict_of_list *v, enum decision what, const char *enhanced, const char *why)
{
	v->what = what;
	v->enhanced = enhanced;
	strlcpy(v->why, why, sizeof(v->why));
}

static int
may_post(const struct listconf *l, uint8_t standing)
{
	if (standing & (LIST_IS_OWNER | LIST_IS_POSTER | LIST_IS_UPPER))
		return 1;
	switch (l->post) {
	case LIST_POST_ANYONE:
		return 1;
	case LIST_POST_MEMBERS:
		return (standing & LIST_IS_MEMBER) != 0;
	default:
		return 0;
	}
}

/* It was meant for LIST-request. */
static int
looks_like_command(const char *subject)
{
	static const char *const words[] = { "subscribe", "unsubscribe", "join", "leave",
		"remove", "remove me", "unsubscribe me", NULL };

	for (const char *const *w = words; *w != NULL; w++)
		if (strcasecmp(subject, *w) == 0)
			return 1;
	return 0;
}

static void
others(const struct listconf *l, struct verdict_of_list *v)
{
	static const char *const whose[] = { "only its members may post to this list",
		"only its owners may post to this list", "",
		"only certain addresses may post to this list" };
	const char *why = whose[l->post];

	switch (l->others) {
	case LIST_OTHERS_REJECT:
		set(v, DECIDE_REJECT, "5.7.2", why);
		break;
	case LIST_OTHERS_DISCARD:
		set(v, DECIDE_DROP, "", why);
		break;
	default:
		set(v, DECIDE_HOLD, "", why);
	}
}

void
decide(const struct listconf *l, uint8_t standing, const struct post_facts *f,
    const char *sender, int junk, uint64_t size, struct verdict_of_list *v)
{
	char why[200];

	if (f->looped) {
		set(v, DECIDE_REJECT, "5.4.6",
		    "mail loop: this list has sent the message before");
		return;
	}
	/* RFC 3834, 2: programs do not talk to a list's members. */
	if (sender[0] == '\0' || f->auto_reply || f->report) {
		set(v, DECIDE_DROP, "", "an automatic answer");
		return;
	}
	if (!f->complete) {
		set(v, DECIDE_REJECT, "5.6.0", "its header is too large");
		return;
	}
	if (l->max_size != 0 && size > l->max_size) {
		snprintf(why, sizeof(why),
		    "this list takes messages of at most %llu octets",
		    (unsigned long long)l->max_size);
		set(v, DECIDE_REJECT, "5.2.3", why);
		return;
	}
	if (f->author[0] == '\0') {
		set(v, DECIDE_REJECT, "5.6.0", "it has no author: there is no From");
		return;
	}
	if (junk)
		set(v, DECIDE_HOLD, "", "it was marked as junk");
	else if (!may_post(l, standing) && standing & LIST_IS_UNPROVED)
		set(v, DECIDE_HOLD, "", "no login shows that its author wrote it");
	else if (!may_post(l, standing))
		others(l, v);
	else if (l->moderated &&
		 !(standing & (LIST_IS_OWNER | LIST_IS_POSTER | LIST_IS_UPPER)))
		set(v, DECIDE_HOLD, "", "every post to this list is looked at");
	else if (looks_like_command(f->subject))
		set(v, DECIDE_HOLD, "", "it looks like a command");
	else
		set(v, DECIDE_POST, "", "posted to the list");
}

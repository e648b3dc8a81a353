/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_LETTER_H
#define FIFE_LISTD_LETTER_H

/* What a list writes itself: to those who ask it something, and to its owners. Pure. */

#include "common/proto/listconf.h"
#include "listd/held.h"
#include "listd/post.h"

struct letter {
	const char *list; /* address */
	const char *to;
	uint64_t queue_id; /* of the delivery that it answers: gives the Message-ID */
	uint32_t rcpt;
	int64_t now;
	const char *in_reply_to; /* Message-ID, "": none */
};

/* Confirm that you want to join, or to leave: by an answer to `confirm`. */
void letter_confirm(struct text *, const struct letter *, int join, const char *address,
    const char *confirm);
/* What came of a wish. */
void letter_done(struct text *, const struct letter *, const char *words);
void letter_help(struct text *, const struct letter *, const struct listconf *);
/* To the owners: a post waits. words: the beginning of its text. */
void letter_held(
    struct text *, const struct letter *, const struct held *, const char *words);
/* To the author: the post is not accepted. */
void letter_rejected(
    struct text *, const struct letter *, const struct held *, const char *reason);

#endif

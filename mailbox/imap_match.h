/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_MATCH_H
#define FIFE_IMAP_MATCH_H

/* Does a message meet search keys? Content is opened only when it must be. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap_search.h"
#include "mailbox/store.h"

struct imap_match {
	struct folder *folder; /* borrowed */
	int64_t now;
	struct message m; /* a copy: reading content may find the folder changed */
	uint32_t seq;     /* 0: none */
	bool recent;
	int content_state; /* 0 not asked for, 1 there, -1 gone */
	struct content content;
	struct mime_tree *tree;
	unsigned int score, scores; /* of fuzzy keys: their sum and number */
	size_t work;                /* octets looked at, since the caller set it to 0 */
};

/* -1: there is no such message. Otherwise imap_match_end() follows. */
int imap_match_begin(struct imap_match *, uint32_t uid);
void imap_match_end(struct imap_match *);
bool imap_match_keys(struct imap_match *, const struct imap_key *);
/* How well the fuzzy keys of a message that was found met it, 1 to 100. */
uint8_t imap_match_score(const struct imap_match *);
/* NULL: the file is gone. */
const char *imap_match_content(struct imap_match *, size_t *len);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTCONF_H
#define FIFE_LISTCONF_H

/*
 * The settings of a mailing list: words KEY=VALUE as fifectl takes them, and one text
 * that keeps them. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/listpost.h"

#define LISTCONF_TEXT_MAX 3000
#define LISTCONF_TITLE_MAX 200
#define LISTCONF_TAG_MAX 60
#define LISTCONF_ARCHIVE_MAX 300

enum list_post { /* who may post without somebody looking at it */
	LIST_POST_MEMBERS,
	LIST_POST_OWNERS,
	LIST_POST_ANYONE,
	LIST_POST_LISTED /* those that were entered as posters */
};
enum list_others { /* posts of everybody else */
	LIST_OTHERS_HOLD,
	LIST_OTHERS_REJECT,
	LIST_OTHERS_DISCARD
};
enum list_join {
	LIST_JOIN_CONFIRM,
	LIST_JOIN_CLOSED
};
enum list_rewrite {
	LIST_REWRITE_AUTO, /* when a signature of the author's domain does not survive */
	LIST_REWRITE_NEVER,
	LIST_REWRITE_ALWAYS
};
enum list_reply {
	LIST_REPLY_AUTHOR,
	LIST_REPLY_LIST
};

struct listconf {
	char title[LISTCONF_TITLE_MAX + 1];
	char tag[LISTCONF_TAG_MAX + 1]; /* before the subject; "": none */
	uint8_t post;
	uint8_t others;
	uint8_t moderated; /* posts of members are held too */
	uint8_t join;
	uint8_t rewrite;
	uint8_t reply;
	uint64_t max_size; /* octets; 0: no limit of its own */
	uint32_t bounce_limit;
	uint32_t bounce_window_d; /* days */
	char archive[LISTCONF_ARCHIVE_MAX + 1];
	char uri[LISTPOST_URI_MAX + 1]; /* of one-click unsubscribing */
	int64_t created;
};

void listconf_init(struct listconf *);
/* One word. NULL, or the sentence why not. */
const char *listconf_set(struct listconf *, const char *word);
/* Words with one space between, and no space in them. 0 or -1. */
int listconf_format(const struct listconf *, char *out, size_t cap);
int listconf_parse(const char *text, struct listconf *);
/* For people: the i-th setting from 0 on; -1 at the end. */
int listconf_show(
    const struct listconf *, int i, const char **name, char *value, size_t cap);

/* A value without spaces and controls, by %XX; and back, in place. */
int listconf_escape(const char *in, char *out, size_t cap);
int listconf_unescape(char *);

#endif

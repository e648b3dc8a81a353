/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_TEXT_H
#define FIFE_POP3_TEXT_H

/* The replies' text in the languages that LANG offers (RFC 6856, 3). */

#include <stddef.h>

struct evbuffer;

enum pop3_lang {
	POP3_EN,
	POP3_ZH
};

/*
 * The language of a basic language range (RFC 4647, 2.1), "*" for the server's own. -1:
 * none. A range that asks for more than a tag says (zh-CN) gets it as well.
 */
int pop3_lang_find(const char *range, enum pop3_lang *);
const char *pop3_lang_tag(enum pop3_lang);
/* The lines of LANG without an argument. */
void pop3_lang_list(struct evbuffer *);

/* English to another; what is not known stays English. */
const char *pop3_text(enum pop3_lang, const char *english);
/* status, "+OK" or "-ERR", and the text behind its response code, if it begins with one:
 * "[AUTH] ...". */
void pop3_reply(struct evbuffer *, enum pop3_lang, const char *status, const char *text);
/* LANG with or without its argument; *lang changes when it can be had. 0 or -1. */
int pop3_lang_command(struct evbuffer *, enum pop3_lang *lang, const char *arg);

#endif

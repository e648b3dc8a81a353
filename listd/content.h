/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_CONTENT_H
#define FIFE_LISTD_CONTENT_H

/*
 * What a message to one of a list's own addresses says: a bounce, a command, or words.
 * Pure functions on its first octets.
 */

#include <stddef.h>

#define CONTENT_READ (192 * 1024) /* octets that are looked at */

enum bounce_kind {
	BOUNCE_NONE, /* no failure: a delay, a success, an automatic answer */
	BOUNCE_SOFT,
	BOUNCE_HARD
};

/* A report (RFC 3464), or what looks like one. why (cap octets) gets the status and the
 * words that go with it. */
enum bounce_kind content_bounce(const char *buf, size_t len, char *why, size_t cap);

enum command {
	COMMAND_NONE,
	COMMAND_HELP,
	COMMAND_JOIN,
	COMMAND_LEAVE,
	COMMAND_CONFIRM
};

/* Of the subject, else of the first lines of the text. arg: the word behind it. */
enum command content_command(
    const char *buf, size_t len, const char *subject, char *arg, size_t cap);

/* The first text/plain part in UTF-8, without lines that quote others; at most cap - 1
 * octets. Its length. */
size_t content_words(const char *buf, size_t len, char *out, size_t cap);

#endif

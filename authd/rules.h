/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_RULES_H
#define FIFE_AUTHD_RULES_H

#include "authd/directory.h"

#define RULES_SCRIPT_MAX 4000 /* octets, the bound of struct msg_target */

/* The user's settings as a Sieve script, which goes with each delivery: so answers are
 * made by one mechanism. Length, 0 when there is nothing to do. */
size_t rules_script(const struct user *, char out[RULES_SCRIPT_MAX + 1]);

/*
 * Texts of settings are one word: a space is \s, a line's end \n, a backslash \b.
 * Decoded for people: line ends stay \n.
 */
void rules_text(const char *encoded, char *out, size_t cap);

#endif

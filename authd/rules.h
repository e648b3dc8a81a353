/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_RULES_H
#define FIFE_AUTHD_RULES_H

/*
 * The user's settings as a Sieve script, which goes with each delivery: so forwards,
 * answers and filing are made by one mechanism. It runs before the user's own script,
 * which decides about what it leaves open.
 */

#include "authd/directory.h"

#define RULES_SCRIPT_MAX 6000 /* octets, the bound of struct msg_target */
#define RULES_FORWARDS_MAX 25
#define RULES_MAX 50
#define RULES_NEEDLE_MAX 200
#define RULES_ARGUMENT_MAX 320

/* Length, 0 when there is nothing to do, -1: it would be too long. */
int rules_script(const struct user *, char out[RULES_SCRIPT_MAX + 1]);
/* Is all that is forwarded for commands, with nothing to be done in the mailbox? */
int rules_only_commands(const struct user *);
/* Does mail to that user stay nowhere here, whatever his own script says? */
int rules_keep_nothing(const struct user *);

/*
 * Texts of settings are one word: a space is \s, a line's end \n, a backslash \b.
 * Decoded for people: line ends stay \n.
 */
void rules_text(const char *encoded, char *out, size_t cap);
/* NULL, or what is wrong with it. */
const char *rules_encode_text(char *out, size_t cap, const char *text);

/* ---- simple rules: the first that agrees is carried out ---- */

enum rule_field_kind {
	RULE_IF_FROM,
	RULE_IF_TO, /* To and Cc */
	RULE_IF_SUBJECT,
	RULE_IF_HEADER
};

enum rule_action {
	RULE_FOLDER,
	RULE_JUNK,
	RULE_FLAG,
	RULE_READ,
	RULE_DISCARD,
	RULE_FORWARD, /* and not kept */
	RULE_COPY     /* sent on, and kept */
};

struct rule {
	enum rule_field_kind field;
	char header[64];
	char needle[RULES_NEEDLE_MAX + 1];
	enum rule_action action;
	char argument[RULES_ARGUMENT_MAX + 1]; /* folder or address */
};

/*
 * FIELD contains TEXT ACTION [ARGUMENT], the words of fifectl user rule add. NULL, or
 * what was expected.
 */
const char *rule_parse(struct rule *, int argc, char **argv);
/* In plain words. */
void rule_print(const struct rule *, char *out, size_t cap);
/* The rules of a user, from the first on: *at begins as u->rules. 0 at the end. */
int rules_next(const char **at, struct rule *);
/* One more, as the last; -1: no room. */
int rules_add(struct user *, const struct rule *);
/* The n-th, from 1; -1: there is none. */
int rules_delete(struct user *, size_t n);

#endif

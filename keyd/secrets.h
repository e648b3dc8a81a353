/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYD_SECRETS_H
#define FIFE_KEYD_SECRETS_H

/*
 * Secrets for relays, by name: in a file of keyd's own directory, in memory, and
 * never in what fifectl shows. A token is read anew from token/NAME each time, where a
 * program of the site keeps it fresh.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRETS_MAX 1000
#define SECRET_NAME_MAX 63
#define SECRET_VALUE_MAX 1000

enum secret_kind {
	SECRET_PASSWORD,
	SECRET_TOKEN,      /* the value itself */
	SECRET_TOKEN_FILE, /* in token/NAME */
};

struct secret {
	char name[SECRET_NAME_MAX + 1];
	enum secret_kind kind;
	bool scram_only; /* it is never shown, just used */
	int64_t changed; /* seconds since 1970 */
	char value[SECRET_VALUE_MAX + 1];
};

/* In the daemon's root. 0; -1 (logged): what is there cannot be read. */
int secrets_open(void);
/* NULL: none of that name. Borrowed until the next change. */
const struct secret *secrets_find(const char *name);
const struct secret *secrets_at(size_t i);
size_t secrets_count(void);
/* NULL, or why not. */
const char *secrets_put(const struct secret *);
const char *secrets_del(const char *name);
/* The value, from its file if that is where it is. 0 or -1 with *why. */
int secrets_value(const struct secret *, char *buf, size_t cap, const char **why);

#endif

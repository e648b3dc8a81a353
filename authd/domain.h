/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_DOMAIN_H
#define FIFE_AUTHD_DOMAIN_H

/* What a domain of ours is set to: words "key=value" separated by a space, its value in
 * the directory. */

#include <stddef.h>

#define DOMAIN_SETTINGS_MAX 320

struct domain_settings {
	char language[16];  /* in which people there are told things; "": English */
	char alias_of[256]; /* the domain whose addresses it has as well; "": none */
};

/* What is not known is left out. */
void domain_settings_parse(const char *text, struct domain_settings *);
/* One word of fifectl domain set; nothing behind "=" takes it back. NULL, or what was
 * expected. */
const char *domain_settings_word(struct domain_settings *, const char *word);
void domain_settings_print(const struct domain_settings *, char out[DOMAIN_SETTINGS_MAX]);

#endif

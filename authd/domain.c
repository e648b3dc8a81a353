/* SPDX-License-Identifier: ISC */
/* Settings of domains; see domain.h. */
#include "authd/domain.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"

const char *
domain_settings_word(struct domain_settings *s, const char *word)
{
	if (strncmp(word, "language=", 9) == 0) {
		word += 9;
		if (*word != '\0' && strcmp(word, "en") != 0 && strcmp(word, "zh") != 0)
			return "expected language=en or language=zh";
		strlcpy(s->language, word, sizeof(s->language));
		return NULL;
	}
	if (strncmp(word, "alias-of=", 9) == 0) {
		word += 9;
		s->alias_of[0] = '\0';
		if (*word != '\0' &&
		    address_domain_ascii(word, s->alias_of, sizeof(s->alias_of)) == -1)
			return "expected alias-of= and a domain";
		return NULL;
	}
	return "expected language=en, language=zh or alias-of=DOMAIN";
}

void
domain_settings_parse(const char *text, struct domain_settings *s)
{
	char copy[DOMAIN_SETTINGS_MAX], *rest = copy, *word;

	memset(s, 0, sizeof(*s));
	strlcpy(copy, text, sizeof(copy));
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			(void)domain_settings_word(s, word);
}

void
domain_settings_print(const struct domain_settings *s, char out[DOMAIN_SETTINGS_MAX])
{
	int both = s->language[0] != '\0' && s->alias_of[0] != '\0';

	snprintf(out, DOMAIN_SETTINGS_MAX, "%s%s%s%s%s",
	    s->language[0] != '\0' ? "language=" : "", s->language, both ? " " : "",
	    s->alias_of[0] != '\0' ? "alias-of=" : "", s->alias_of);
}

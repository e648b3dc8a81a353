/* SPDX-License-Identifier: ISC */
/* SASLprep by GNU libidn; see saslprep.h. */
#include "authd/saslprep.h"

#include <string.h>
#include <stringprep.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

/* Normalization may make a text longer. */
#define ROOM 4096

static int
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			return 0;
	return 1;
}

int
saslprep(const char *in, char *out, size_t cap)
{
	char buf[ROOM];
	int ok;

	if (strlcpy(buf, in, sizeof(buf)) >= sizeof(buf) || !utf8_valid(in, strlen(in)))
		return -1;
	ok = (is_plain(buf) ||
		 stringprep(buf, sizeof(buf), 0, stringprep_saslprep) == STRINGPREP_OK) &&
	     buf[0] != '\0' && strlcpy(out, buf, cap) < cap;
	explicit_bzero(buf, sizeof(buf));
	return ok ? 0 : -1;
}

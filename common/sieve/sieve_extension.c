/* SPDX-License-Identifier: ISC */
/* The table of extensions; see sieve_extension.h. */
#include "common/sieve/sieve_extension.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum sieve_extension ext;
	int quiet; /* not announced */
} table[] = {
	{ "fileinto", EXT_FILEINTO, 0 },
	{ "reject", EXT_REJECT, 0 },
	{ "envelope", EXT_ENVELOPE, 0 },
	{ "encoded-character", EXT_ENCODED_CHARACTER, 0 },
	{ "vacation", EXT_VACATION, 0 },
	{ "subaddress", EXT_SUBADDRESS, 0 },
	{ "comparator-i;ascii-numeric", EXT_NUMERIC, 0 },
	{ "comparator-i;unicode-casemap", EXT_UNICODE, 0 },
	{ "comparator-i;octet", EXT_BASE, 1 },
	{ "comparator-i;ascii-casemap", EXT_BASE, 1 },
	{ "relational", EXT_RELATIONAL, 0 },
	{ "regex", EXT_REGEX, 0 },
	{ "imap4flags", EXT_IMAP4FLAGS, 0 },
	{ "copy", EXT_COPY, 0 },
	{ "include", EXT_INCLUDE, 0 },
	{ "variables", EXT_VARIABLES, 0 },
	{ "body", EXT_BODY, 0 },
	{ "enotify", EXT_ENOTIFY, 0 },
	{ "environment", EXT_ENVIRONMENT, 0 },
	{ "mailbox", EXT_MAILBOX, 0 },
	{ "special-use", EXT_SPECIAL_USE, 0 },
	{ "mboxmetadata", EXT_MBOXMETADATA, 0 },
	{ "servermetadata", EXT_SERVERMETADATA, 0 },
	{ "date", EXT_DATE, 0 },
	{ "index", EXT_INDEX, 0 },
	{ "ihave", EXT_IHAVE, 0 },
	{ "duplicate", EXT_DUPLICATE, 0 },
	{ "mime", EXT_MIME, 0 },
	{ "foreverypart", EXT_FOREVERYPART, 0 },
	{ "extracttext", EXT_EXTRACTTEXT, 0 },
	{ "vacation-seconds", EXT_VACATION_SECONDS, 0 },
	{ "editheader", EXT_EDITHEADER, 0 },
	{ "ereject", EXT_EREJECT, 0 },
	{ "fcc", EXT_FCC, 0 },
	{ "spamtest", EXT_SPAMTEST, 0 },
	{ "spamtestplus", EXT_SPAMTESTPLUS, 0 },
	{ "virustest", EXT_VIRUSTEST, 0 },
	{ "vnd.dovecot.environment", EXT_DOVECOT_ENVIRONMENT, 1 },
	{ "vnd.dovecot.duplicate", EXT_DUPLICATE, 1 },
};

#define N_TABLE (sizeof(table) / sizeof(table[0]))

int
sieve_extension_find(const char *name, size_t len)
{
	for (size_t i = 0; i < N_TABLE; i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
			return (int)table[i].ext;
	return -1;
}

const char *
sieve_extension_name(enum sieve_extension e)
{
	for (size_t i = 0; i < N_TABLE; i++)
		if (table[i].ext == e)
			return table[i].name;
	return "";
}

uint64_t
sieve_extension_implies(enum sieve_extension e)
{
	uint64_t set = EXT_BIT(e);

	if (e == EXT_VACATION_SECONDS) /* RFC 6131, 2 */
		set |= EXT_BIT(EXT_VACATION);
	if (e == EXT_SPAMTESTPLUS)
		set |= EXT_BIT(EXT_SPAMTEST);
	if (e == EXT_DOVECOT_ENVIRONMENT)
		set |= EXT_BIT(EXT_ENVIRONMENT);
	return set;
}

void
sieve_extensions_print(uint64_t without, char *out, size_t cap)
{
	size_t n = 0;

	if (cap > 0)
		out[0] = '\0';
	for (size_t i = 0; i < N_TABLE; i++) {
		int k;

		if (table[i].quiet || (without & EXT_BIT(table[i].ext)) != 0)
			continue;
		k = snprintf(out + n, cap - n, "%s%s", n > 0 ? " " : "", table[i].name);
		if (k < 0 || (size_t)k >= cap - n)
			return;
		n += (size_t)k;
	}
}

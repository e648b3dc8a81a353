/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_EXTENSION_H
#define FIFE_SIEVE_EXTENSION_H

/* The names that "require" knows (RFC 5228, 3.2; the IANA registry), as bits of a set. */

#include <stddef.h>
#include <stdint.h>

enum sieve_extension {
	EXT_BASE, /* needs no require: the comparators and tests of RFC 5228 */
	EXT_FILEINTO,
	EXT_REJECT,
	EXT_EREJECT,
	EXT_ENVELOPE,
	EXT_ENCODED_CHARACTER,
	EXT_COPY,
	EXT_BODY,
	EXT_ENVIRONMENT,
	EXT_VARIABLES,
	EXT_VACATION,
	EXT_VACATION_SECONDS,
	EXT_RELATIONAL,
	EXT_NUMERIC,
	EXT_UNICODE,
	EXT_IMAP4FLAGS,
	EXT_SUBADDRESS,
	EXT_SPAMTEST,
	EXT_SPAMTESTPLUS,
	EXT_VIRUSTEST,
	EXT_DATE,
	EXT_INDEX,
	EXT_EDITHEADER,
	EXT_ENOTIFY,
	EXT_IHAVE,
	EXT_MAILBOX,
	EXT_SPECIAL_USE,
	EXT_MBOXMETADATA,
	EXT_SERVERMETADATA,
	EXT_FOREVERYPART,
	EXT_MIME,
	EXT_EXTRACTTEXT,
	EXT_INCLUDE,
	EXT_DUPLICATE,
	EXT_REGEX,
	EXT_FCC,
	EXT_DOVECOT_ENVIRONMENT, /* ${env.name} */
	EXT_HOST,                /* of the host's own rules */
	EXT_COUNT
};

#define EXT_BIT(e) ((uint64_t)1 << (e))

/* -1: none of that name. Several names may mean one extension. */
int sieve_extension_find(const char *name, size_t len);
const char *sieve_extension_name(enum sieve_extension);
/* Those that come along with it, itself included. */
uint64_t sieve_extension_implies(enum sieve_extension);
/* Names for "require" that are offered, separated by a space. */
void sieve_extensions_print(uint64_t without, char *out, size_t cap);

#endif

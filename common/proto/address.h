/* SPDX-License-Identifier: ISC */
/*
 * Mailboxes and SMTP paths: RFC 5321, 4.1.2 and 4.1.3, with UTF-8 in local parts
 * and domains (RFC 6531, 3.3).
 *
 * A local part is held without its quotes and escapes, so that "fred"@x and fred@x
 * are equal, as RFC 5321, 4.1.2 wants them.  It may have 128 octets rather than the 64
 * of RFC 5321, 4.5.3.1.1, because VERP, SRS and list bounce addresses in use exceed 64
 * and the RFC asks for no limit where possible.  The printed form never exceeds
 * ADDRESS_MAX: a longer one is refused by the parsers.
 * An empty quoted local part is refused.  Nothing is allocated but within libidn2, and
 * that only for names with octets above 127.
 */
#ifndef FIFE_ADDRESS_H
#define FIFE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_LOCAL_MAX 128  /* octets after unquoting */
#define ADDRESS_DOMAIN_MAX 255 /* octets, brackets of a literal included */
#define ADDRESS_MAX 320 /* octets of the printed form: buffers are ADDRESS_MAX + 1 */

/* Both empty: the null path.  Domain empty alone: <postmaster>. */
struct address {
	char local[ADDRESS_LOCAL_MAX + 1];
	char domain[ADDRESS_DOMAIN_MAX +
		    1]; /* as written: U-labels, A-labels, or [literal] */
};

enum address_flag {
	ADDRESS_NULL = 1 << 0,       /* path_parse: accept <> (reverse-path) */
	ADDRESS_POSTMASTER = 1 << 1, /* path_parse: accept <postmaster>, any case */
	ADDRESS_NO_DOMAIN =
	    1 << 2,             /* accept any local part without a domain (sendmail) */
	ADDRESS_ASCII = 1 << 3, /* refuse UTF-8: no SMTPUTF8 was asked for */
};

/* The whole of s must be one bare mailbox, local@domain.  0, or -1 when it is not. */
int address_parse(const char *s, size_t len, struct address *out);
int address_parse_flags(
    const char *s, size_t len, unsigned int flags, struct address *out);

/*
 * "<...>" at the start of s.  A source route (@a,@b:) is skipped (RFC 5321, appendix C).
 * *used is set to the octets up to and including ">"; what follows is the caller's
 * (ESMTP parameters).  0, or -1.
 */
int path_parse(
    const char *s, size_t len, unsigned int flags, struct address *out, size_t *used);

/*
 * Print, with quotes where the local part needs them.  The null path prints as "".
 * Returns the length (<= ADDRESS_MAX), or -1 when it does not fit cap with its NUL.
 */
int address_format(const struct address *a, char *out, size_t cap);
/* The same within "<" and ">"; the null path prints as "<>". */
int path_format(const struct address *a, char *out, size_t cap);

bool address_is_null(const struct address *a);
/* No octet above 127 in the local part or the domain. */
bool address_is_ascii(const struct address *a);
/* The domain is an address literal. */
bool address_is_literal(const struct address *a);
/* Compares fold keys: ASCII case is ignored in the local part, IDNA forms are equal. */
bool address_equal(const struct address *a, const struct address *b);

/*
 * "[1.2.3.4]" or "[IPv6:::1]" to AF_INET or AF_INET6 and 4 or 16 octets in network order.
 * 0, or -1 for anything else (general literals included).
 */
int address_literal_ip(const char *domain, int *family, unsigned char ip[16]);

/*
 * The domain as A-labels in lower case, a trailing dot removed (RFC 5891, lookup).
 * Literals are copied in lower case.  Returns the length or -1: not convertible,
 * not valid, or no room (ADDRESS_DOMAIN_MAX + 1 always suffices).
 */
int address_domain_ascii(const char *domain, char *out, size_t cap);
/* A-labels back to UTF-8 for people; a copy of the input when that fails. */
int address_domain_unicode(const char *domain, char *out, size_t cap);
/* Letters, digits, hyphens (and underscore when loose is set); labels 1-63, whole <= 253.
 */
bool address_domain_valid(const char *domain, size_t len);
bool address_domain_valid_loose(const char *domain, size_t len);

/*
 * The key under which a mailbox is looked up: local part in lower case (ASCII only,
 * UTF-8 octets kept) "@" A-label domain; never quoted.  A missing domain leaves out "@".
 * Returns the length or -1.
 */
int address_fold_key(const struct address *a, char *out, size_t cap);

/*
 * fred+list@x: copies with "fred" to *base, and points *detail at "list" within a->local,
 * or at NULL when the separator is absent, first or last (base is then a whole copy).
 */
void address_split_detail(
    const struct address *a, char separator, struct address *base, const char **detail);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SRS_H
#define FIFE_SRS_H

/*
 * The sender rewriting scheme, for mail of others that leaves again: the reverse-path
 * becomes an address of this host, which is what SPF of the next host looks at, and
 * from which a bounce finds its way back.
 *
 *	local@example.org	-> SRS0=hash=tt=example.org=local@here
 *	SRS0=rest@first.test	-> SRS1=hash=first.test==rest@here
 *
 * hash is over all behind it, by a key that changes each month; tt is the day. Both
 * count for three weeks. Case does not matter on the way back. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#define SRS_DAYS 21

/* now: seconds since 1970. 0; -1: it does not fit, or is no address with a domain. */
int srs_forward(const uint8_t secret[32], int64_t now, const char *address,
    const char *here, char *out, size_t cap);
/* Where a bounce to it goes. 0; -1: none of ours, or too old. */
int srs_reverse(
    const uint8_t secret[32], int64_t now, const char *address, char *out, size_t cap);
/* It has the form of one. */
int srs_is(const char *address);

#endif

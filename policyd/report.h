/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_REPORT_H
#define FIFE_POLICYD_REPORT_H

/* A tally as the report of RFC 8460, 4.4: JSON, and packed by gzip. */

#include <stddef.h>

#include "policyd/tally.h"

#define REPORT_OCTETS_MAX (1u << 20) /* packed */

struct evbuffer;

/* "1764028800.example.com@mail.example.net": the same for every try of the same one. */
void report_id(const struct tally *, const char *hostname, char *out, size_t cap);
/* contact: an address. 0 or -1 without memory. */
int report_json(
    const struct tally *, const char *hostname, const char *contact, struct evbuffer *);
/* malloc'd, *len octets; NULL: no memory, or beyond REPORT_OCTETS_MAX. */
unsigned char *report_gzip(struct evbuffer *, size_t *len);

#endif

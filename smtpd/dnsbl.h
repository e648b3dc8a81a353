/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_DNSBL_H
#define FIFE_SMTPD_DNSBL_H

/* Lists of hosts in the DNS (RFC 5782): the name to ask for, and what was answered. */

#include <stddef.h>
#include <stdint.h>

/* 2.0.0.127.ZONE, or 32 nibbles for 16 octets (2.1, 2.4). The length, or -1. */
int dnsbl_name(const uint8_t *ip, size_t ip_len, const char *zone, char *out, size_t cap);
/*
 * Do the A records say that it is listed? answers: "127.0.0.2 127.0.0.4/30", "" for
 * all of 127/8 but 127.255.255/24, by which lists say that they were asked
 * wrongly. Others are no answers of a list: a resolver's search page has them.
 */
int dnsbl_is_listed(const char *answers, const uint8_t *records, size_t len);
/* The first TXT record, for people: one line, printable. "" without one. */
void dnsbl_text(const uint8_t *records, size_t len, char *out, size_t cap);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSRR_H
#define FIFE_DNSRR_H

/*
 * Resource records as dnsd hands them out (records of msg_dns_answer): for each
 * one type u16, ttl u32, length u16 in network order, then the data in which names are
 * text, in lower case, without the last dot; the root is ".". Octets of a label that
 * are not printable stand as \DDD, a dot or backslash within one as \. and \\ (RFC
 * 1035, 5.1).
 *	A, AAAA		4 or 16 octets
 *	PTR, CNAME, NS	name
 *	MX		preference u16, name
 *	SRV		priority, weight, port u16, name
 *	TXT		the strings of the record joined (RFC 7208, 3.3); any octets
 *	TLSA, CAA	as on the wire
 */

#include <stddef.h>
#include <stdint.h>

#define DNSRR_A 1
#define DNSRR_NS 2
#define DNSRR_CNAME 5
#define DNSRR_PTR 12
#define DNSRR_MX 15
#define DNSRR_TXT 16
#define DNSRR_AAAA 28
#define DNSRR_SRV 33
#define DNSRR_DNSKEY 48
#define DNSRR_TLSA 52
#define DNSRR_CAA 257

#define DNSRR_NAME_MAX 255 /* octets of a name as text; longer ones are left out */
#define DNSRR_BLOB_MAX 12000

struct dnsrr {
	uint16_t type;
	uint32_t ttl;
	const uint8_t *data; /* borrows from the blob */
	size_t len;
};

/* Append to buf, of which *len octets are used. 0, or -1: no room. */
int dnsrr_add(uint8_t *buf, size_t cap, size_t *len, const struct dnsrr *);
/* Walk from *off = 0. 1, 0 at the end, -1 malformed. */
int dnsrr_next(const uint8_t *buf, size_t len, size_t *off, struct dnsrr *);

/*
 * The name of a PTR, CNAME, NS, MX or SRV record; nums gets the numbers that precede it
 * (MX one, SRV three; NULL is fine). 0, or -1 when the record is of another type or
 * malformed.
 */
int dnsrr_name(const struct dnsrr *, char name[DNSRR_NAME_MAX + 1], uint16_t nums[3]);
/* As people write it ("10 mx.example.net"); truncates. */
void dnsrr_text(const struct dnsrr *, char *out, size_t cap);

/* "MX" to 15, "TYPE99" to 99; 0: no such type. */
uint16_t dnsrr_type_by_name(const char *);
/* "MX"; "TYPE99" for unknown ones (in buf). */
const char *dnsrr_type_name(uint16_t, char buf[16]);

/*
 * The name under which the PTR of an address is found: family is AF_INET or
 * AF_INET6, ip 4 or 16 octets. Returns the length, or -1.
 */
int dnsrr_reverse_name(int family, const uint8_t *ip, char *out, size_t cap);

#endif

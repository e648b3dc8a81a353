/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_WIRE_H
#define FIFE_DNSD_WIRE_H

/*
 * The wire form of a DNS answer (RFC 1035, 4.1) to values. Pure and bounded: a
 * compression pointer must point backwards, so that none loops; what lies beyond the
 * packet's end makes the packet malformed. Only the answer section is read.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/dnsrr.h"

#define WIRE_CNAMES_MAX 16
#define WIRE_RECORDS_MAX 1024

struct wire_answer {
	unsigned int rcode;
	uint32_t ttl; /* the least of the records and CNAMEs used; 0 without any */
	char canonical[DNSRR_NAME_MAX + 1]; /* the name after the last CNAME */
	uint16_t count;
	int truncated; /* not all records had room */
	size_t len;
	uint8_t records[DNSRR_BLOB_MAX]; /* dnsrr.h */
};

/*
 * Decode the answer to a question for name (used where the packet holds no question)
 * and type: CNAMEs are followed within the packet, and just the records of that type
 * at their end are taken. Records with a malformed rdata are left out. 0, or -1 when
 * the packet is malformed.
 */
int wire_decode(const uint8_t *pkt, size_t len, const char *name, uint16_t type,
    struct wire_answer *);

/*
 * A name at *off as text (dnsrr.h); *off moves behind it. Names whose text is too
 * long become "". 0, or -1: malformed.
 */
int wire_name(const uint8_t *pkt, size_t len, size_t *off, char out[DNSRR_NAME_MAX + 1]);

#endif

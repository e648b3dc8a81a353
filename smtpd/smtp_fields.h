/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_FIELDS_H
#define FIFE_SMTP_FIELDS_H

/*
 * Header fields that ask for something on the message's way: TLS-Required (RFC 8689, 3)
 * and Require-Recipient-Valid-Since (RFC 7293, 3.2). Octets of a header come in, what is
 * kept is bounded.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/address.h"

#define SMTP_FIELDS_RRVS_MAX 4096 /* octets of all such fields; RFC 7293, 7: one */

/* All zero at first. */
struct smtp_fields {
	uint8_t reading; /* the value of which field comes now; 0: of no matter */
	uint8_t tls_seen;
	uint8_t tls_len;
	uint8_t eightbit; /* some octet was above 127 (RFC 6532) */
	char tls[4];
	char *rrvs; /* values, each ends in a line end; NULL: none */
	size_t rrvs_len;
};

void smtp_fields_clear(struct smtp_fields *);
/* A field's name is complete. */
void smtp_fields_begin(struct smtp_fields *, const char *name, size_t len);
/* An octet of its value, folded lines as one; no CR and LF. */
void smtp_fields_octet(struct smtp_fields *, unsigned char);
/* Another field begins. */
void smtp_fields_end(struct smtp_fields *);

/* "TLS-Required: No", once and nothing else. */
int smtp_fields_tls_optional(const struct smtp_fields *);
/* The next valid field of RFC 7293, *off from 0: 1 with the address in its printed form
 * and the time; 0 at the end. */
int smtp_fields_rrvs(const struct smtp_fields *, size_t *off,
    char address[ADDRESS_MAX + 1], int64_t *since);

#endif

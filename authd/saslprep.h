/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SASLPREP_H
#define FIFE_SASLPREP_H

/*
 * SASLprep (RFC 4013), which SCRAM asks for (RFC 5802, 5.1) and with which the same
 * password typed on two systems has the same octets. Characters that Unicode 3.2 does not
 * know are let through as they are, also in what is stored: they are those that people
 * choose now, and clients send them.
 */

#include <stddef.h>

/* 0; -1: not UTF-8, forbidden characters, empty afterwards, or no room. in may be out. */
int saslprep(const char *in, char *out, size_t cap);

#endif

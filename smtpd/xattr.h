/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_XATTR_H
#define FIFE_SMTPD_XATTR_H

/*
 * The attributes of Postfix's XCLIENT and XFORWARD: "ADDR=192.0.2.1 NAME=[UNAVAILABLE]",
 * values in xtext. Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define XATTR_NAME 0x01
#define XATTR_ADDR 0x02
#define XATTR_PORT 0x04
#define XATTR_PROTO 0x08
#define XATTR_HELO 0x10
#define XATTR_IDENT 0x20
#define XATTR_SOURCE 0x40
#define XATTR_XCLIENT (XATTR_NAME | XATTR_ADDR | XATTR_PORT | XATTR_PROTO | XATTR_HELO)
#define XATTR_XFORWARD (XATTR_XCLIENT | XATTR_IDENT | XATTR_SOURCE)

#define XATTR_TEXT_MAX 255

struct xattr {
	unsigned int seen;            /* XATTR_x; those not known have no value */
	struct sockaddr_storage addr; /* ss_family AF_UNSPEC: none; no port in it */
	uint16_t port;                /* 0: none */
	char name[XATTR_TEXT_MAX + 1];
	char helo[XATTR_TEXT_MAX + 1];
	char proto[8]; /* "SMTP", "ESMTP" */
	char ident[XATTR_TEXT_MAX + 1];
	char source[8]; /* "LOCAL", "REMOTE" */
};

/* Adds to *x what the line says; allowed: XATTR_x. 0, or -1: malformed, an attribute that
 * is not allowed or twice there, or none at all. */
int xattr_parse(const char *, size_t len, unsigned int allowed, struct xattr *x);

#endif

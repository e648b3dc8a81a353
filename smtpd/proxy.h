/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_PROXY_H
#define FIFE_SMTPD_PROXY_H

/*
 * The header by which a proxy says whose connection it passes on: the PROXY protocol of
 * HAProxy, versions 1 (a line) and 2 (binary). Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PROXY_MAX 2048 /* of a whole header; version 1 has 107 at most */

struct proxy {
	/* ss_family AF_UNSPEC: the proxy speaks for itself, or does not know. */
	struct sockaddr_storage client;
};

/*
 * 1: complete, *used octets are the header. 0: all of it is the beginning of one. -1: it
 * is none.
 */
int proxy_parse(const uint8_t *, size_t len, struct proxy *, size_t *used);

#endif

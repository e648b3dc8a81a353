/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSHOSTS_H
#define FIFE_DNSHOSTS_H

/*
 * The hosts that take a domain's mail, best first, as dnsd hands them to deliverd
 * (hosts of msg_dns_hosts_are): for each one preference u16, secure u8, length of
 * the name u8, name, length of the canonical name u8 and that name (0: the same), number
 * of addresses u8; for each address family u8 (4 or 6) and 4 or 16 octets.
 *
 * msg_dns_hosts_are.status is DNS_OK with a count of 0 when the best host is this one:
 * mail would loop; text says so.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DNSHOSTS_MAX 20
#define DNSHOSTS_ADDRS_MAX 8

struct dnsaddr {
	int family; /* AF_INET, AF_INET6 */
	uint8_t ip[16];
};

struct dnshost {
	uint16_t preference;
	uint8_t secure; /* DNSSEC vouches for the addresses */
	char name[256];
	char canonical[256]; /* at the end of its CNAMEs; "" where there are none */
	size_t n_addrs;
	struct dnsaddr addrs[DNSHOSTS_ADDRS_MAX];
};

/* Append to buf, of which *len octets are used. 0, or -1: no room. */
int dnshosts_add(uint8_t *buf, size_t cap, size_t *len, const struct dnshost *);
/* Walk from *off = 0. 1, 0 at the end, -1 malformed. */
int dnshosts_next(const uint8_t *buf, size_t len, size_t *off, struct dnshost *);

/* The socket address; returns its length. */
socklen_t dnsaddr_sockaddr(
    const struct dnsaddr *, uint16_t port, struct sockaddr_storage *);
/* "192.0.2.1" */
const char *dnsaddr_text(const struct dnsaddr *, char *out, size_t cap);
/* An address in text, without brackets. 0 or -1. */
int dnsaddr_parse(const char *, struct dnsaddr *);
/* Of this host, of nobody, or of many: nothing that a foreign MX may name. */
int dnsaddr_is_special(const struct dnsaddr *);

#endif

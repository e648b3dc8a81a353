/* SPDX-License-Identifier: ISC */
/* Who is at the ends of a connection; see conn.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn_int.h"

/* What is no internet address is called "local". */
static void
address_text(const struct sockaddr_storage *ss, char *address, size_t cap, uint16_t *port)
{
	*port = 0;
	strlcpy(address, "local", cap);
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		inet_ntop(AF_INET, &in->sin_addr, address, (socklen_t)cap);
		*port = ntohs(in->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)ss;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, address,
			    (socklen_t)cap);
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, address, (socklen_t)cap);
		*port = ntohs(in6->sin6_port);
	}
}

void
conn_peer(const struct conn *c, char *address, size_t cap, uint16_t *port)
{
	struct conn *m = (struct conn *)c;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	/* Kept, because a peer that has gone has no name any more. */
	if (c->peer[0] == '\0' && getpeername(c->fd, (struct sockaddr *)&ss, &len) == 0)
		address_text(&ss, m->peer, sizeof(m->peer), &m->peer_port);
	strlcpy(address, c->peer, cap);
	if (port != NULL)
		*port = c->peer_port;
}

void
conn_local(const struct conn *c, char *address, size_t cap, uint16_t *port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	uint16_t p = 0;

	strlcpy(address, "", cap);
	if (getsockname(c->fd, (struct sockaddr *)&ss, &len) == 0)
		address_text(&ss, address, cap, &p);
	if (port != NULL)
		*port = p;
}

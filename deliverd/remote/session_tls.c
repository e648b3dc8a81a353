/* SPDX-License-Identifier: ISC */
/* The TLS of a connection, as tlspolicy.h has decided. */
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "deliverd/remote/remote.h"

#define TLSA_MAX 32

static int
begin_dane(struct conn *c, const struct job *j)
{
	struct conn_tlsa tlsa[TLSA_MAX];
	const char *names[3];
	size_t n = 0, n_names = 0, off = 0;
	struct dnsrr rr;

	while (n < TLSA_MAX && dnsrr_next(j->tlsa.records, j->tlsa.len, &off, &rr) == 1)
		tlsa[n++] = (struct conn_tlsa){ .usage = rr.data[0],
			.selector = rr.data[1],
			.matching = rr.data[2],
			.data = rr.data + 3,
			.len = rr.len - 3 };
	/* RFC 7672, 3.2.2: the base, the host before its aliases, the domain. */
	if (j->tlsa.host >= 0 && strcmp(j->hosts[j->tlsa.host].name, j->tlsa.base) != 0)
		names[n_names++] = j->hosts[j->tlsa.host].name;
	if (j->mx)
		names[n_names++] = j->domain;
	return conn_tls_client_dane(
	    c, remote_tls(), j->tlsa.base, names, n_names, tlsa, n);
}

int
session_tls_begin(
    struct conn *c, const struct job *j, const struct tlspolicy *p, const char *name)
{
	if (remote_tls() == NULL)
		return -1;
	if (p->mode == TLS_MODE_DANE)
		return begin_dane(c, j);
	return conn_tls_client(c, remote_tls(), name, p->mode == TLS_MODE_PKIX);
}

bool
session_tls_right(const struct conn *c, const struct job *j, const struct tlspolicy *p,
    const char **why)
{
	uint8_t key[32];

	if (p->mode != TLS_MODE_PIN)
		return true;
	*why = "its key is not the one that the route names";
	return conn_tls_peer_key(c, key) == 0 && memcmp(key, j->route.pin, 32) == 0;
}

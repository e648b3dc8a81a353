/* SPDX-License-Identifier: ISC */
/*
 * The client's name: what its PTR record says, if that name has the client's address too
 * (otherwise anybody could claim any name). Asked when it connects, never waited
 * for: without an answer there is no name.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/address.h"
#include "common/proto/dnsrr.h"
#include "smtpd/gate.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/limit.h"
#include "smtpd/session_internal.h"

#define DNS_MS 2000

static void
ask(struct session *s, const char *name, uint16_t rrtype, channel_answer_cb cb)
{
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup q = { .rrtype = rrtype };

	if (ch == NULL || strlcpy(q.name, name, sizeof(q.name)) >= sizeof(q.name))
		return;
	s->dns.channel = channel_serial(ch);
	s->dns.id = channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &q, -1, DNS_MS, cb, s);
}

/* The DNS knows, be it that there is nothing. */
static int
is_definite(const struct msg *m)
{
	return m != NULL && (m->p.dns_answer.status == DNS_OK ||
				m->p.dns_answer.status == DNS_NXDOMAIN ||
				m->p.dns_answer.status == DNS_NODATA);
}

static void
on_address(struct msg *m, void *arg)
{
	struct session *s = arg;
	const uint8_t *ip = NULL;
	size_t len = session_client_ip(s, &ip), off = 0;
	struct dnsrr rr;

	s->dns.id = 0;
	if (is_definite(m))
		s->reverse = GATE_REVERSE_UNCONFIRMED;
	if (m != NULL && m->p.dns_answer.status == DNS_OK)
		while (dnsrr_next(m->p.dns_answer.records, m->p.dns_answer.records_len,
			   &off, &rr) == 1)
			if (s->rdns != NULL && rr.len == len &&
			    memcmp(rr.data, ip, len) == 0) {
				s->client_name = s->rdns;
				s->rdns = NULL;
				s->reverse = GATE_REVERSE_CONFIRMED;
			}
	free(s->rdns);
	s->rdns = NULL;
	gatekeeper_name_known(s);
}

static void
on_name(struct msg *m, void *arg)
{
	struct session *s = arg;
	const uint8_t *ip = NULL;
	char name[DNSRR_NAME_MAX + 1];
	size_t off = 0;
	struct dnsrr rr;

	s->dns.id = 0;
	if (is_definite(m))
		s->reverse = GATE_REVERSE_NONE;
	while (m != NULL && m->p.dns_answer.status == DNS_OK &&
	       dnsrr_next(m->p.dns_answer.records, m->p.dns_answer.records_len, &off,
		   &rr) == 1) {
		if (rr.type != DNSRR_PTR || dnsrr_name(&rr, name, NULL) == -1 ||
		    !address_domain_valid_loose(name, strlen(name)))
			continue;
		s->reverse = GATE_REVERSE_UNKNOWN;
		if ((s->rdns = strdup(name)) != NULL)
			ask(s, name,
			    session_client_ip(s, &ip) == 4 ? DNSRR_A : DNSRR_AAAA,
			    on_address);
		break;
	}
	gatekeeper_name_known(s);
}

void
ask_client_name(struct session *s)
{
	char name[256];
	const uint8_t *ip = NULL;
	size_t len = session_client_ip(s, &ip);

	if (len == 0 || (smtpd_conf()->trust_loopback &&
			    limit_is_loopback((const struct sockaddr *)&s->peer)))
		return;
	if (dnsrr_reverse_name(len == 4 ? AF_INET : AF_INET6, ip, name, sizeof(name)) !=
	    -1)
		ask(s, name, DNSRR_PTR, on_name);
}

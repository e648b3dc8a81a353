/* SPDX-License-Identifier: ISC */
/*
 * Does the domain of a recipient that is to be relayed take mail at all? A null MX (RFC
 * 7505) says at once what a bounce would say later. Whatever else the name service says,
 * or when it says nothing, is left to the delivery.
 */
#include <string.h>

#include "common/daemon.h"
#include "common/proto/address.h"
#include "common/proto/dnsrr.h"
#include "smtpd/limit.h"
#include "smtpd/session_internal.h"

#define DOMAIN_MS 5000 /* a client waits for RCPT */

int
answer_is_null_mx(const struct msg_dns_answer *a)
{
	char name[DNSRR_NAME_MAX + 1];
	size_t off = 0;
	struct dnsrr rr;
	int n = 0, null = 0;

	while (dnsrr_next(a->records, a->records_len, &off, &rr) == 1) {
		if (rr.type != DNSRR_MX || dnsrr_name(&rr, name, NULL) == -1)
			continue;
		n++;
		null += name[0] == '\0' || strcmp(name, ".") == 0;
	}
	return n == 1 && null == 1;
}

static void
on_answer(struct msg *m, void *arg)
{
	struct session *s = arg;
	int null = 0;

	s->ask.id = 0;
	if (m != NULL)
		null = m->p.dns_answer.status == DNS_NULL_MX ||
		       (m->p.dns_answer.status == DNS_OK &&
			   answer_is_null_mx(&m->p.dns_answer));
	smtp_in_rcpt_answer(s->in, null ? RCLASS_NULL_MX : RCLASS_REMOTE, "");
	session_run(s);
}

int
ask_rcpt_domain(struct session *s)
{
	const char *at = strrchr(smtp_in_pending(s->in), '@');
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup q = { .rrtype = DNSRR_MX };

	/* A stranger is refused whatever it says. */
	if (!smtpd_conf()->null_mx_check ||
	    (s->login == 0 && s->kind != LISTENER_LOCAL) || ch == NULL || at == NULL ||
	    at[1] == '[' || address_domain_ascii(at + 1, q.name, sizeof(q.name)) == -1)
		return 0;
	if (smtpd_conf()->trust_loopback &&
	    (s->kind == LISTENER_LOCAL ||
		limit_is_loopback((const struct sockaddr *)&s->peer)))
		return 0;
	s->ask.channel = channel_serial(ch);
	s->ask.id = channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &q, -1, DOMAIN_MS, on_answer, s);
	return s->ask.id != 0;
}

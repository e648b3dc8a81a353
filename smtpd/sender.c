/* SPDX-License-Identifier: ISC */
/*
 * Does a sender's domain exist, and could somebody answer? For clients that have to show
 * it (sender-domain-check in fife.conf(5)): MX first, where a null MX says that nobody
 * can (RFC 7505), then the addresses (RFC 5321, 5.1).
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/address.h"
#include "common/proto/dnsrr.h"
#include "smtpd/session_internal.h"

#define SENDER_MS 30000

static void ask(struct session *, uint16_t rrtype);

static void
answer(struct session *s, enum smtp_sender what)
{
	smtp_in_sender_answer(s->in, what);
	session_run(s);
}

static void
on_answer(struct msg *m, void *arg)
{
	struct session *s = arg;
	uint16_t rrtype = s->sender_rrtype;

	s->ask.id = 0;
	switch (m == NULL ? DNS_TEMP : (enum dns_status)m->p.dns_answer.status) {
	case DNS_OK:
		answer(s, rrtype == DNSRR_MX && answer_is_null_mx(&m->p.dns_answer)
			      ? SMTP_SENDER_NULL_MX
			      : SMTP_SENDER_OK);
		break;
	case DNS_NULL_MX:
		answer(s, SMTP_SENDER_NULL_MX);
		break;
	case DNS_NXDOMAIN:
		answer(s, SMTP_SENDER_UNKNOWN);
		break;
	case DNS_NODATA:
		if (rrtype == DNSRR_AAAA)
			answer(s, SMTP_SENDER_UNKNOWN);
		else {
			ask(s, rrtype == DNSRR_MX ? DNSRR_A : DNSRR_AAAA);
			session_run(s);
		}
		break;
	default:
		answer(s, SMTP_SENDER_TEMP);
		break;
	}
}

static void
ask(struct session *s, uint16_t rrtype)
{
	const char *at = strrchr(smtp_in_sender(s->in), '@');
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup q = { .rrtype = rrtype };

	/* What is no name in the DNS has no mail host. */
	if (at == NULL || address_domain_ascii(at + 1, q.name, sizeof(q.name)) == -1) {
		smtp_in_sender_answer(s->in, SMTP_SENDER_UNKNOWN);
		return;
	}
	s->sender_rrtype = rrtype;
	if (ch != NULL) {
		s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &q, -1, SENDER_MS, on_answer, s);
	}
	if (ch == NULL || s->ask.id == 0)
		smtp_in_sender_answer(s->in, SMTP_SENDER_TEMP);
}

void
ask_sender(struct session *s)
{
	ask(s, DNSRR_MX);
}

/* SPDX-License-Identifier: ISC */
/* ETRN (RFC 1985): queued is asked to try what waits for a domain. */
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "smtpd/session_internal.h"

#define ETRN_MS 30000

static void
on_etrn(struct msg *m, void *arg)
{
	struct session *s = arg;

	s->ask.id = 0;
	smtp_in_etrn_answer(
	    s->in, m == NULL ? MSG_TEMP : (enum answer_status)m->p.status.status);
	session_run(s);
}

void
ask_etrn(struct session *s, const char *domain)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_domain q;

	memset(&q, 0, sizeof(q));
	strlcpy(q.domain, domain, sizeof(q.domain));
	log_fact(
	    LOG_SMTP, LOGL_INFO, "etrn", KS("client", s->client), KS("domain", domain));
	if (ch != NULL) {
		s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_SMTPD_QUEUED_ETRN, &q, -1, ETRN_MS, on_etrn, s);
	}
	if (ch == NULL || s->ask.id == 0)
		smtp_in_etrn_answer(s->in, MSG_TEMP);
}

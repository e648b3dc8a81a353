/* SPDX-License-Identifier: ISC */
/*
 * XCLIENT at work: a listed host speaks for another client, to which all limits and
 * checks apply from then on. The session begins anew with it.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "smtpd/gate.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/limit.h"
#include "smtpd/session_internal.h"

static int
change_address(struct session *s, const struct xattr *x)
{
	static const struct limits all = { UINT32_MAX, 0, 0 };

	if (x->addr.ss_family == AF_UNSPEC)
		return 0;
	if (s->counted)
		limit_drop((const struct sockaddr *)&s->peer);
	s->peer = x->addr;
	if (s->peer.ss_family == AF_INET)
		((struct sockaddr_in *)&s->peer)->sin_port = htons(x->port);
	else
		((struct sockaddr_in6 *)&s->peer)->sin6_port = htons(x->port);
	session_name_client(s);
	/* The bound is on connections, and this one is there. */
	s->counted = limit_take((const struct sockaddr *)&s->peer, &all) == 0;
	return gatekeeper_admit((const struct sockaddr *)&s->peer, s->kind);
}

void
xclient_take(struct session *s, const struct xattr *x)
{
	enum smtp_reply refusal = SMTP_REPLY_NONE;
	char before[sizeof(s->client)];

	strlcpy(before, s->client, sizeof(before));
	ask_sasl_abort(s);
	ask_logout(s);
	gatekeeper_free(s->gate);
	s->gate = NULL;
	if (change_address(s, x) == -1)
		refusal = SMTP_REPLY_TOO_OFTEN;
	if (x->seen & (XATTR_NAME | XATTR_ADDR)) {
		ask_forget(&s->dns);
		free(s->client_name);
		free(s->rdns);
		s->client_name = s->rdns = NULL;
		s->reverse = GATE_REVERSE_UNKNOWN;
	}
	if (x->seen & XATTR_NAME) {
		if (x->name[0] != '\0')
			s->client_name = strdup(x->name);
		s->reverse =
		    s->client_name != NULL ? GATE_REVERSE_CONFIRMED : GATE_REVERSE_NONE;
	} else if (x->seen & XATTR_ADDR)
		ask_client_name(s);
	(void)gatekeeper_start(s, 1);
	log_fact(LOG_SMTP, LOGL_DEBUG, "xclient", KS("by", before),
	    KS("client", s->client), KU("session", s->id));
	smtp_in_xclient_answer(s->in, session_checks_sender(s), refusal);
}

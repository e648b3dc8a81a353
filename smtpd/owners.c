/* SPDX-License-Identifier: ISC */
/*
 * Require-Recipient-Valid-Since in a complete message (RFC 7293, 5.2): each field that
 * names a recipient of this transaction for whom RCPT asked nothing of the kind is put
 * to authd. One that fails refuses the message.
 */
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "smtpd/txn_internal.h"

#define OWNER_MS 30000

static int ask_next(struct session *);

static int
is_recipient(const struct session *s, const char *address)
{
	int64_t since;

	for (size_t i = 0; i < smtp_in_nrcpt(s->in); i++)
		if (strcasecmp(smtp_in_rcpt(s->in, i), address) == 0)
			return smtp_in_rrvs(s->in, i, &since) == 0;
	return 0;
}

static void
on_owner(struct msg *m, void *arg)
{
	struct session *s = arg;
	uint8_t rclass = m == NULL ? RCLASS_TEMP : m->p.rcpt_class.rclass;

	s->ask.id = 0;
	if (rclass == RCLASS_OTHER_OWNER)
		txn_finish_reply(s, SMTP_REPLY_RCPT_OTHER_OWNER);
	else if (rclass == RCLASS_NO_OWNER)
		txn_finish_reply(s, SMTP_REPLY_RCPT_NO_OWNER);
	else if (rclass != RCLASS_LOCAL)
		txn_finish_reply(s, SMTP_REPLY_RCPT_TEMP);
	else if (!ask_next(s))
		txn_judge(s);
	session_run(s);
}

/* 1: it has been asked, or refused. */
static int
ask_next(struct session *s)
{
	const struct smtp_fields *f = &smtp_in_content(s->in)->fields;
	struct msg_rcpt_check q = { .rrvs_only = 1, .rrvs_action = 'R' };
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	char address[ADDRESS_MAX + 1];

	do {
		if (!smtp_fields_rrvs(f, &s->txn.fields_off, address, &q.rrvs))
			return 0;
	} while (!is_recipient(s, address));
	strlcpy(q.address, address, sizeof(q.address));
	if (ch != NULL) {
		s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_SMTPD_AUTHD_RCPT, &q, -1, OWNER_MS, on_owner, s);
	}
	if (ch == NULL || s->ask.id == 0)
		txn_finish_reply(s, SMTP_REPLY_RCPT_TEMP);
	return 1;
}

int
ask_owners(struct session *s)
{
	/* Once a message, however often its content changes its place. */
	return ask_next(s);
}

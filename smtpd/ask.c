/* SPDX-License-Identifier: ISC */
/* A session's questions to authd: recipients and logins. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/session_internal.h"

#define RCPT_MS 30000
#define SASL_MS 30000

void
ask_forget(struct ask *a)
{
	if (a->id != 0)
		channel_forget(channel_find(a->channel), a->id);
	a->id = 0;
}

static int
is_denied(uint8_t rclass)
{
	return rclass == RCLASS_DENIED || rclass == RCLASS_BLOCKED;
}

static void
on_rcpt(struct msg *m, void *arg)
{
	struct session *s = arg;

	s->ask.id = 0;
	if (m != NULL && m->p.rcpt_class.hold && !s->held) {
		s->held = 1;
		strlcpy(s->held_why, m->p.rcpt_class.text, sizeof(s->held_why));
	}
	if (m == NULL)
		smtp_in_rcpt_answer(s->in, RCLASS_TEMP, "");
	else if (m->p.rcpt_class.rclass == RCLASS_REMOTE && !m->p.rcpt_class.routed &&
		 ask_rcpt_domain(s))
		return;
	else if (is_denied(m->p.rcpt_class.rclass) ||
		 !gatekeeper_rcpt_known(s, m->p.rcpt_class.allowed)) {
		smtp_in_rcpt_filing(s->in, m->p.rcpt_class.filing);
		smtp_in_rcpt_answer(s->in, (enum rclass)m->p.rcpt_class.rclass,
		    is_denied(m->p.rcpt_class.rclass) ||
			    m->p.rcpt_class.rclass == RCLASS_LIMIT ||
			    m->p.rcpt_class.rclass == RCLASS_SIZE ||
			    m->p.rcpt_class.rclass == RCLASS_GREY
			? m->p.rcpt_class.text
			: "");
	}
	session_run(s);
}

void
ask_rcpt(struct session *s, const char *address)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_rcpt_check q = { .login = s->login,
		.size = smtp_in_size_hint(s->in),
		.rcpts = (uint32_t)smtp_in_nrcpt(s->in) };

	if (gatekeeper_rcpt(s, address))
		return;
	if (q.rcpts == 0)
		s->held = 0;
	q.greylist = (uint8_t)gatekeeper_greylists(s, address);
	q.rrvs_action = smtp_in_rrvs_pending(s->in, &q.rrvs);
	strlcpy(q.address, address, sizeof(q.address));
	strlcpy(q.sender, smtp_in_sender(s->in), sizeof(q.sender));
	strlcpy(q.client, s->client, sizeof(q.client));
	if (ch != NULL) {
		s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_SMTPD_AUTHD_RCPT, &q, -1, RCPT_MS, on_rcpt, s);
	}
	if (ch == NULL || s->ask.id == 0)
		smtp_in_rcpt_answer(s->in, RCLASS_TEMP, "");
}

static void
on_sasl(struct msg *m, void *arg)
{
	struct session *s = arg;
	const struct msg_sasl_result *r;

	s->ask.id = 0;
	if (m == NULL) {
		ask_sasl_abort(s);
		smtp_in_sasl_answer(s->in, SASL_TEMP, NULL, 0, "");
		session_run(s);
		return;
	}
	r = &m->p.sasl_result;
	if (r->status != SASL_CONTINUE)
		s->sasl = 0;
	if (r->status == SASL_OK) {
		s->login = r->login;
		s->login_channel = s->sasl_channel;
		free(s->login_address);
		if ((s->login_address = strdup(r->address)) == NULL) {
			ask_logout(s);
			smtp_in_sasl_answer(s->in, SASL_TEMP, NULL, 0, "");
			session_run(s);
			return;
		}
		smtp_in_limit_size(s->in, r->message_size_max);
		log_fact(LOG_LOGIN, LOGL_INFO, "login", KS("proto", "smtp"),
		    KS("user", r->address), KS("client", s->client),
		    KS("method", s->mechanism),
		    KS("tls", conn_is_tls(s->conn) ? conn_tls_version(s->conn) : "no"));
	} else if (r->status == SASL_DENIED || r->status == SASL_BAD) {
		smtpd_stats.login_failures++;
		log_fact(LOG_LOGIN, LOGL_WARN, "login-failed", KS("proto", "smtp"),
		    KS("user", s->tried != NULL ? s->tried : r->address),
		    KS("client", s->client), KS("method", s->mechanism),
		    KS("tls", conn_is_tls(s->conn) ? conn_tls_version(s->conn) : "no"),
		    KS("text", r->text));
	}
	smtp_in_sasl_answer(
	    s->in, (enum sasl_status)r->status, r->data, r->data_len, r->text);
	session_run(s);
}

/* Whose password is guessed: PLAIN's second part (RFC 4616, 2), LOGIN's first line. */
static void
note_tried(struct session *s, const struct smtp_action *a)
{
	const char *p = a->data, *nul;
	size_t len = a->len;

	if (a->first) {
		free(s->tried);
		s->tried = NULL;
		s->tried_known = 0;
	}
	if (s->tried_known || (a->first == 1 && len == 0))
		return;
	s->tried_known = 1;
	if (strncmp(a->name, "SCRAM-", 6) == 0 || strcasecmp(a->name, "EXTERNAL") == 0)
		return; /* authd says it */
	if (strcmp(a->name, "PLAIN") == 0) {
		if ((nul = memchr(p, '\0', len)) == NULL)
			return;
		len -= (size_t)(nul + 1 - p);
		p = nul + 1;
	}
	s->tried = strndup(p, len < ADDRESS_MAX ? len : ADDRESS_MAX);
}

void
ask_sasl(struct session *s, const struct smtp_action *a)
{
	/* A conversation stays with the authd that began it. */
	struct channel *ch =
	    a->first ? daemon_peer(ROLE_AUTHD) : channel_find(s->sasl_channel);
	uint8_t binding[512], certificate[CERTIFICATE_MAX];
	struct msg_sasl q = { .session = s->id,
		.service = SERVICE_SMTP,
		.first = (uint8_t)a->first,
		.tls = (uint8_t)conn_is_tls(s->conn),
		.data = (const uint8_t *)a->data,
		.data_len = a->len };

	note_tried(s, a);
	conn_tls_binding_wanted(s->conn, q.data, q.data_len, q.binding_type,
	    sizeof(q.binding_type), binding, sizeof(binding), &q.binding_len);
	q.binding = binding;
	strlcpy(s->mechanism, a->name, sizeof(s->mechanism));
	if (q.tls)
		strlcpy(q.tls_version, conn_tls_version(s->conn), sizeof(q.tls_version));
	if (strcasecmp(a->name, "EXTERNAL") == 0)
		q.certificate_len =
		    conn_tls_peer_certificate(s->conn, certificate, sizeof(certificate));
	q.certificate = certificate;
	strlcpy(q.mechanism, a->name, sizeof(q.mechanism));
	strlcpy(q.client, s->client, sizeof(q.client));
	if (ch != NULL) {
		s->sasl_channel = s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_FRONT_AUTHD_SASL, &q, -1, SASL_MS, on_sasl, s);
	}
	if (ch == NULL || s->ask.id == 0) {
		ask_sasl_abort(s);
		smtp_in_sasl_answer(s->in, SASL_TEMP, NULL, 0, "");
	} else
		s->sasl = 1;
}

void
ask_sasl_abort(struct session *s)
{
	struct channel *ch;
	struct msg_session_id q = { .session = s->id };

	if (s->sasl && (ch = channel_find(s->sasl_channel)) != NULL)
		channel_send(ch, MSG_FRONT_AUTHD_SASL_ABORT, 0, &q, -1);
	s->sasl = 0;
}

void
ask_logout(struct session *s)
{
	struct channel *ch;
	struct msg_login_id q = { .login = s->login };

	if (s->login != 0 && (ch = channel_find(s->login_channel)) != NULL)
		channel_send(ch, MSG_FRONT_AUTHD_LOGOUT, 0, &q, -1);
	s->login = 0;
	free(s->login_address);
	s->login_address = NULL;
}

/* SPDX-License-Identifier: ISC */
/* Logging in at a relay with keyd's help; see login.h. */
#include "deliverd/remote/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/encoding.h"

#define KEYD_TIMEOUT_MS 10000
#define DATA_MAX 4096
#define COMMAND_MAX 400 /* octets of base64 in AUTH */

struct login {
	struct session *s;
	uint64_t channel, ask;
	uint64_t exchange;
	bool begun;
	bool proved; /* the server knows the secret, or need not */
	char *later; /* what is too long for the command, until the server asks for it */
};

void
login_free(struct login *l)
{
	if (l == NULL)
		return;
	if (l->ask != 0)
		channel_forget(channel_find(l->channel), l->ask);
	if (l->later != NULL)
		freezero(l->later, strlen(l->later));
	free(l);
}

static void
failed(struct session *s, const char *why)
{
	char text[400];

	snprintf(text, sizeof(text),
	    "This host cannot log in at the relay: %.250s. Its administrator has to see "
	    "to that.",
	    why);
	smtp_out_auth_failed(s->engine, "", text);
	session_run(s);
}

static void
got_answer(struct msg *m, void *arg)
{
	struct login *l = arg;
	struct session *s = l->s;
	const struct msg_relay_answer *a;
	char text[BASE64_ENCODED_SIZE(DATA_MAX)];

	l->ask = 0;
	if (m == NULL) {
		failed(s, "the process that keeps the secrets does not answer");
		return;
	}
	a = &m->p.relay_answer;
	if (a->status != MSG_OK) {
		failed(s, a->text);
		return;
	}
	l->exchange = a->exchange;
	l->proved = a->proved != 0;
	if (base64_encode(a->data, a->data_len, text, sizeof(text)) == -1) {
		failed(s, "an answer is too long");
		return;
	}
	if (!l->begun) {
		l->begun = true;
		/* RFC 4954, 4: the command would be too long. */
		if (a->has_data && strlen(text) > COMMAND_MAX &&
		    (l->later = strdup(text)) == NULL) {
			explicit_bzero(text, sizeof(text));
			failed(s, "out of memory");
			return;
		}
		smtp_out_auth(s->engine, a->mechanism,
		    !a->has_data || l->later != NULL ? NULL
		    : a->data_len == 0               ? "="
						     : text);
	} else
		smtp_out_auth_answer(s->engine, text);
	explicit_bzero(text, sizeof(text));
	session_run(s);
}

static void
ask(struct login *l, enum msg_type type, const void *payload)
{
	struct channel *ch = daemon_peer(ROLE_KEYD);

	if (ch != NULL)
		l->ask =
		    channel_ask(ch, type, payload, -1, KEYD_TIMEOUT_MS, got_answer, l);
	if (ch == NULL || l->ask == 0)
		failed(l->s, "the process that keeps the secrets is away");
	else
		l->channel = channel_serial(ch);
}

static bool
is_verified(const struct session *s)
{
	return conn_is_tls(s->conn) && s->policy.mode >= TLS_MODE_PKIX;
}

void
login_begin(struct session *s, const char *mechanisms)
{
	static const char *const types[] = { "tls-exporter", "tls-server-end-point" };
	struct msg_relay_begin q = { .verified = is_verified(s) };
	const struct route *r = &s->job->route;
	uint8_t binding[512];

	if (mechanisms[0] == '\0') {
		failed(s, "the server offers no login");
		return;
	}
	if ((s->login = calloc(1, sizeof(*s->login))) == NULL) {
		failed(s, "out of memory");
		return;
	}
	s->login->s = s;
	strlcpy(q.secret, r->url.secret, sizeof(q.secret));
	strlcpy(q.user, r->url.user, sizeof(q.user));
	strlcpy(q.host, s->host.name, sizeof(q.host));
	q.port = r->url.port;
	strlcpy(q.offered, mechanisms, sizeof(q.offered));
	strlcpy(q.only, r->auth, sizeof(q.only));
	q.binding = binding;
	for (size_t i = 0; i < 2 && q.binding_len == 0; i++)
		if (conn_tls_binding(
			s->conn, types[i], binding, sizeof(binding), &q.binding_len) == 0)
			strlcpy(q.binding_type, types[i], sizeof(q.binding_type));
		else
			q.binding_len = 0;
	conn_deadline(s->conn, remote_conf.command_timeout_s * 1000);
	ask(s->login, MSG_RDELIVER_KEYD_LOGIN, &q);
}

void
login_challenge(struct session *s, const char *base64)
{
	struct msg_relay_next q = { .exchange = s->login->exchange };
	char *later = s->login->later;
	uint8_t data[DATA_MAX];
	int n;

	if (later != NULL) {
		s->login->later = NULL;
		smtp_out_auth_answer(s->engine, later);
		freezero(later, strlen(later));
		session_run(s);
		return;
	}
	n = base64_decode(base64, strlen(base64), data, sizeof(data));
	if (n == -1) {
		failed(s, "the server's challenge is malformed");
		return;
	}
	q.data = data;
	q.data_len = (size_t)n;
	ask(s->login, MSG_RDELIVER_KEYD_LOGIN_NEXT, &q);
}

int
login_done(struct session *s)
{
	bool proved = s->login != NULL && s->login->proved;

	login_free(s->login);
	s->login = NULL;
	if (!proved) {
		failed(s, "the server did not prove that it knows the secret");
		return -1;
	}
	log_debug("%s: logged in", s->mta);
	smtp_out_auth_done(s->engine);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * Logins at relays that are going on; see relay.h. What a secret is leaves this
 * process for a mechanism that shows it to the server, and only when deliverd says
 * that the server has been verified; a secret that is added with "scram-only" never
 * does.
 */
#include "keyd/relay.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/encoding.h"
#include "keyd/sasl_client.h"
#include "keyd/secrets.h"

#define LOGINS_MAX 256
#define LOGIN_LIFE_MS 600000

struct exchange {
	uint64_t id; /* 0: free */
	uint64_t channel;
	uint64_t since;
	struct sasl_client client;
};

static struct exchange exchanges[LOGINS_MAX];
static uint64_t last_id;

static void
end(struct exchange *x)
{
	sasl_client_clear(&x->client);
	memset(x, 0, sizeof(*x));
}

static struct exchange *
find(struct channel *ch, uint64_t id)
{
	for (size_t i = 0; i < LOGINS_MAX; i++)
		if (id != 0 && exchanges[i].id == id &&
		    exchanges[i].channel == channel_serial(ch))
			return &exchanges[i];
	return NULL;
}

/* A free place, or that of the oldest. */
static struct exchange *
place(struct channel *ch)
{
	struct exchange *x = &exchanges[0];
	uint64_t now = now_ms();

	for (size_t i = 0; i < LOGINS_MAX; i++) {
		if (exchanges[i].id != 0 && now - exchanges[i].since > LOGIN_LIFE_MS)
			end(&exchanges[i]);
		if (exchanges[i].id == 0 || (x->id != 0 && exchanges[i].since < x->since))
			x = &exchanges[i];
	}
	if (x->id != 0)
		end(x);
	x->id = ++last_id;
	x->channel = channel_serial(ch);
	x->since = now;
	return x;
}

static void
refuse(struct channel *ch, uint64_t request, const char *why)
{
	struct msg_relay_answer a = { .status = MSG_DENIED };

	strlcpy(a.text, why, sizeof(a.text));
	channel_send(ch, MSG_KEYD_RDELIVER_LOGIN_IS, request, &a, -1);
}

void
relay_begin(struct channel *ch, struct msg *m)
{
	const struct msg_relay_begin *q = &m->p.relay_begin;
	const struct secret *s = secrets_find(q->secret);
	struct msg_relay_answer a = { .status = MSG_OK };
	char out[SASL_CLIENT_OUT_MAX], nonce[40];
	const char *mechanism, *why;
	struct exchange *x;
	uint8_t random[24];
	int first;

	if (s == NULL) {
		refuse(ch, m->id, "there is no secret of that name");
		return;
	}
	mechanism = sasl_client_choose(q->offered, q->only, q->binding_len > 0,
	    q->verified && !s->scram_only, s->kind != SECRET_PASSWORD);
	if (mechanism == NULL) {
		refuse(ch, m->id,
		    "the server offers no mechanism that this secret may be used with");
		return;
	}
	x = place(ch);
	strlcpy(x->client.user, q->user, sizeof(x->client.user));
	strlcpy(x->client.host, q->host, sizeof(x->client.host));
	x->client.port = q->port;
	arc4random_buf(random, sizeof(random));
	(void)base64_encode(random, sizeof(random), nonce, sizeof(nonce));
	why = "the user's name is too long";
	if (secrets_value(s, x->client.secret, sizeof(x->client.secret), &why) == -1 ||
	    sasl_client_init(&x->client, mechanism, nonce, q->binding_type, q->binding,
		q->binding_len) == -1 ||
	    (first = sasl_client_first(&x->client, out, &a.data_len)) == -1) {
		end(x);
		refuse(ch, m->id, why);
		return;
	}
	a.exchange = x->id;
	a.has_data = first == 1;
	a.proved = x->client.proved;
	strlcpy(a.mechanism, mechanism, sizeof(a.mechanism));
	a.data = (const uint8_t *)out;
	channel_send(ch, MSG_KEYD_RDELIVER_LOGIN_IS, m->id, &a, -1);
	explicit_bzero(out, sizeof(out));
	if (x->client.kind == SASL_CLIENT_PLAIN)
		end(x);
}

void
relay_next(struct channel *ch, struct msg *m)
{
	const struct msg_relay_next *q = &m->p.relay_next;
	struct exchange *x = find(ch, q->exchange);
	struct msg_relay_answer a = { .status = MSG_OK, .has_data = 1 };
	char out[SASL_CLIENT_OUT_MAX];
	const char *why;

	if (x == NULL) {
		refuse(ch, m->id, "the login is not known any more");
		return;
	}
	if (sasl_client_next(&x->client, (const char *)q->data, q->data_len, out,
		&a.data_len, &why) == -1) {
		end(x);
		refuse(ch, m->id, why);
		return;
	}
	a.exchange = x->id;
	a.proved = x->client.proved;
	a.data = (const uint8_t *)out;
	channel_send(ch, MSG_KEYD_RDELIVER_LOGIN_IS, m->id, &a, -1);
	explicit_bzero(out, sizeof(out));
	if (x->client.kind == SASL_CLIENT_SCRAM && x->client.proved)
		end(x);
}

void
relay_lost(struct channel *ch)
{
	for (size_t i = 0; i < LOGINS_MAX; i++)
		if (exchanges[i].id != 0 && exchanges[i].channel == channel_serial(ch))
			end(&exchanges[i]);
}

/* ---- fifectl ---- */

void
relay_secret_add(struct ctl *c, int argc, char **argv)
{
	struct secret s = { .kind = SECRET_PASSWORD, .changed = wall_s() };
	const char *value = ctl_secret(c), *why;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "token") == 0)
			s.kind = SECRET_TOKEN;
		else if (strcmp(argv[i], "token-file") == 0)
			s.kind = SECRET_TOKEN_FILE;
		else if (strcmp(argv[i], "scram-only") == 0)
			s.scram_only = true;
		else {
			ctl_done(c, CTL_USAGE,
			    "%s: expected token, token-file or scram-only", argv[i]);
			return;
		}
	}
	if (s.scram_only && s.kind != SECRET_PASSWORD) {
		ctl_done(c, CTL_USAGE, "a token is always shown: not scram-only");
		return;
	}
	if (strlcpy(s.name, argv[0], sizeof(s.name)) >= sizeof(s.name)) {
		ctl_done(c, CTL_USAGE, "%s: the name is too long", argv[0]);
		return;
	}
	if (s.kind != SECRET_TOKEN_FILE) {
		if (value == NULL || value[0] == '\0') {
			ctl_done(c, CTL_USAGE, "the secret is empty");
			return;
		}
		strlcpy(s.value, value, sizeof(s.value));
	}
	why = secrets_put(&s);
	explicit_bzero(&s, sizeof(s));
	if (why != NULL)
		ctl_done(c, CTL_REFUSED, "%s: %s", argv[0], why);
	else
		ctl_done(c, CTL_OK, NULL);
}

void
relay_secret_del(struct ctl *c, int argc, char **argv)
{
	const char *why = secrets_del(argv[0]);

	if (why != NULL)
		ctl_done(c, CTL_REFUSED, "%s: %s", argv[0], why);
	else
		ctl_done(c, CTL_OK, NULL);
}

void
relay_secret_list(struct ctl *c, int argc, char **argv)
{
	static const char *const kinds[] = { "password", "token", "token-file" };
	const struct secret *s;

	for (size_t i = 0; (s = secrets_at(i)) != NULL; i++) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "secret", s->name);
		ctl_str(c, "kind", kinds[s->kind]);
		ctl_bool(c, "scram-only", s->scram_only);
		ctl_time(c, "changed", s->changed);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

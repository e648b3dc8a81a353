/* SPDX-License-Identifier: ISC */
/* What the login machines share; see login.h. */
#include "common/front/login.h"

#include <event2/buffer.h>

#include "common/sasl_names.h"

int
login_init(struct login *l, const struct login_facts *facts)
{
	l->facts = *facts;
	return (l->out = evbuffer_new()) == NULL ? -1 : 0;
}

void
login_clear(struct login *l)
{
	sasl_exchange_clear(&l->sasl);
	evbuffer_free(l->out);
}

bool
login_wants_input(const struct login *l)
{
	return l->action == LOGIN_NONE &&
	       (l->state == LOGIN_READY || l->state == LOGIN_RESPONSE);
}

enum login_action
login_action(struct login *l, struct login_sasl *sasl)
{
	enum login_action action = l->action;

	if (action == LOGIN_SASL) {
		*sasl = (struct login_sasl){ .mechanism = l->sasl.mechanism,
			.data = l->sasl.data,
			.len = l->sasl.len,
			.first = l->sasl.first };
		sasl_exchange_given(&l->sasl);
	}
	l->action = LOGIN_NONE;
	return action;
}

void
login_end(struct login *l)
{
	l->state = LOGIN_ENDED;
	l->action = LOGIN_CLOSE;
}

void
login_starttls(struct login *l)
{
	l->state = LOGIN_TLS;
	l->action = LOGIN_STARTTLS;
}

void
login_tls_begun(struct login *l)
{
	l->facts.tls = true;
	l->facts.starttls = false;
	l->facts.plain_auth = true;
	l->state = LOGIN_READY;
}

void
login_give_up(struct login *l)
{
	if (l->state == LOGIN_RESPONSE && l->sasl.begun)
		l->action = LOGIN_ABORT;
	l->state = LOGIN_READY;
	sasl_exchange_clear(&l->sasl);
}

static enum sasl_step
step(struct login *l, enum sasl_step s)
{
	switch (s) {
	case SASL_STEP_ASK:
		l->state = LOGIN_ASKING;
		l->action = LOGIN_SASL;
		break;
	case SASL_STEP_CHALLENGE:
		l->state = LOGIN_RESPONSE;
		break;
	default:
		login_give_up(l);
		break;
	}
	return s;
}

enum sasl_step
login_authenticate(struct login *l, const char *mechanism, size_t mechanism_len,
    const char *initial, size_t initial_len)
{
	const char *name =
	    sasl_name_find(mechanism, mechanism_len, l->facts.tls, l->facts.certificate);

	if (name == NULL)
		return SASL_STEP_MECHANISM;
	if (!l->facts.plain_auth)
		return SASL_STEP_PRIVACY;
	return step(l, sasl_exchange_begin(&l->sasl, name, initial, initial_len));
}

enum sasl_step
login_password(struct login *l, const char *user, size_t user_len, const char *password,
    size_t password_len)
{
	if (!l->facts.plain_auth)
		return SASL_STEP_PRIVACY;
	return step(
	    l, sasl_exchange_password(&l->sasl, user, user_len, password, password_len));
}

enum sasl_step
login_response(struct login *l, const char *line, size_t len)
{
	return step(l, sasl_exchange_response(&l->sasl, line, len));
}

void
login_answered(struct login *l, enum login_status status, const uint8_t *data, size_t len,
    char **challenge)
{
	*challenge = NULL;
	sasl_exchange_clear(&l->sasl);
	l->state = LOGIN_READY;
	if (status == LOGIN_OK)
		l->state = LOGIN_OPENING;
	else if (status == LOGIN_CONTINUE) {
		l->state = LOGIN_RESPONSE;
		if ((*challenge = sasl_exchange_challenge(data, len)) == NULL)
			login_give_up(l);
	}
}

/* SPDX-License-Identifier: ISC */
/* Exchanges and login records; see logins.h. */
#include "authd/logins.h"

#include <sys/queue.h>

#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/access.h"
#include "authd/account.h"
#include "authd/apppass.h"
#include "authd/auth.h"
#include "authd/cert_commands.h"
#include "authd/external.h"
#include "authd/guess.h"
#include "authd/login_delay.h"
#include "authd/quota_admin.h"
#include "authd/sasl.h"
#include "authd/saslprep.h"
#include "authd/records.h"
#include "authd/verified.h"
#include "authd/watch.h"
#include "authd/worker.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define EXCHANGES_MAX 8192
/* What one front may have of them: one that was taken over does not lock out the
 * users of the others. */
#define EXCHANGES_SHARE 2048
#define WORK_SHARE (WORKER_QUEUE_MAX / 3)
/* Longer than a front waits for its client. */
#define EXCHANGE_IDLE_MS 600000
/* Failed logins from one network until it is banned, and for how long. */
#define BAN_AFTER 20
#define BAN_S 3600
/* Failures that cost no time: of an address, of an account. */
#define FREE_ADDRESS 1
#define FREE_ACCOUNT 3

/* An exchange under way. It outlives its channel while a worker is at it. */
struct exchange {
	LIST_ENTRY(exchange) entry;
	uint64_t channel; /* serial; 0 once nobody waits any more */
	uint64_t session;
	uint64_t request;
	uint64_t touched; /* when the front spoke last */
	uint8_t service;
	enum {
		AT_REST,
		AT_WORKER,
		AT_MBOXD,
		AT_DELAY
	} at_work; /* who holds it */
	struct sasl sasl;
	struct user user;
	int known; /* user is filled in */
	char client[64];
	char method[32];
	char tls[32];
	char by[56]; /* as in struct login */
	uint64_t login;
	struct event *delay; /* AT_DELAY */
	char why[64];
};

static LIST_HEAD(, exchange) exchanges = LIST_HEAD_INITIALIZER(exchanges);
static size_t n_exchanges;

static struct exchange *
exchange_find(uint64_t channel, uint64_t session)
{
	struct exchange *x;

	LIST_FOREACH (x, &exchanges, entry)
		if (x->channel == channel && x->session == session)
			return x;
	return NULL;
}

static void
exchange_free(struct exchange *x)
{
	LIST_REMOVE(x, entry);
	n_exchanges--;
	if (x->delay != NULL)
		event_free(x->delay);
	sasl_clear(&x->sasl);
	freezero(x, sizeof(*x));
}

/* Is there room for one more of that channel? What it has left lying goes first. */
static int
exchange_room(uint64_t channel)
{
	uint64_t now = now_ms();
	struct exchange *x, *next;
	size_t n = 0;

	for (x = LIST_FIRST(&exchanges); x != NULL; x = next) {
		next = LIST_NEXT(x, entry);
		if (!x->at_work && now - x->touched > EXCHANGE_IDLE_MS)
			exchange_free(x);
		else
			n += x->channel == channel;
	}
	return n < EXCHANGES_SHARE && n_exchanges < EXCHANGES_MAX;
}

/* Checks of that front's sessions that wait for workers; abandoned ones too. */
static int
work_room(const struct exchange *mine)
{
	const struct exchange *x;
	size_t n = 0;

	LIST_FOREACH (x, &exchanges, entry)
		n += x->at_work == AT_WORKER && x->service == mine->service;
	return n < WORK_SHARE;
}

static void
answer(struct channel *ch, uint64_t request, enum sasl_status status, uint64_t login,
    const char *address, const char *challenge, const char *text)
{
	struct msg_sasl_result r = { .status = (uint8_t)status, .login = login };
	const struct login *l = login_find(login);

	if (l != NULL) {
		r.message_size_max = l->message_size_max;
		r.quotaset = l->quotaset;
	}

	r.data = (const uint8_t *)challenge;
	r.data_len = strlen(challenge);
	strlcpy(r.address, address, sizeof(r.address));
	strlcpy(r.text, text, sizeof(r.text));
	channel_send(ch, MSG_AUTHD_FRONT_SASL_RESULT, request, &r, -1);
}

/* The end of an exchange, one way or the other. */
static void
finish(struct exchange *x, enum sasl_status status, const char *text)
{
	struct channel *ch = x->channel == 0 ? NULL : channel_find(x->channel);
	struct login *l = NULL;

	if (x->login != 0)
		l = login_find(x->login);
	if (ch == NULL || status != SASL_OK) {
		if (l != NULL)
			login_free(l);
		l = NULL;
	} else if (l == NULL) {
		/* Ended by somebody while its mailbox was being opened. */
		status = SASL_TEMP;
		text = "the login has been ended";
	}
	if (ch != NULL)
		answer(ch, x->request, status, l != NULL ? l->id : 0,
		    l != NULL                                          ? l->address
		    : status == SASL_DENIED || status == SASL_TOO_SOON ? x->sasl.login
								       : "",
		    "", text);
	exchange_free(x);
}

/* ---- guessing ---- */

static struct guess *guesses; /* names: networks, and accounts behind an '@' at least */

static void
on_delay(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *x = arg;

	finish(x, SASL_DENIED, x->why);
}

/* The same wrong password again is known by this. */
static uint32_t
token_of(const struct exchange *x)
{
	char text[SASL_LOGIN_MAX + SASL_PASSWORD_MAX + 2];
	unsigned char mac[EVP_MAX_MD_SIZE];
	uint32_t token = 0;
	unsigned int n;
	int len;

	if (x->sasl.password[0] == '\0')
		return 0;
	len = snprintf(text, sizeof(text), "%s %s", x->sasl.login, x->sasl.password);
	if (HMAC(EVP_sha256(), auth.secret, sizeof(auth.secret), (unsigned char *)text,
		(size_t)len, mac, &n) != NULL)
		memcpy(&token, mac, sizeof(token));
	explicit_bzero(text, sizeof(text));
	return token;
}

static void
ban(const char *network, uint32_t failures)
{
	char reason[64];
	int64_t until = wall_s() + BAN_S;

	snprintf(reason, sizeof(reason), "%u failed logins", failures);
	if (access_put(auth.directory, ACCESS_BAN, network, until, reason) == DIR_OK)
		log_fact(LOG_LOGIN, LOGL_WARN, "address-banned", KS("client", network),
		    KU("failures", failures), KU("seconds", BAN_S));
	guess_forget(guesses, network);
}

/* How long the refusal of a wrong password waits: by who asks, and by whose it is. */
static uint32_t
count_failure(struct exchange *x)
{
	char network[64], subject[ACCESS_KEY_MAX], account[ADDRESS_MAX + 1];
	uint32_t token, n, delay = 0, other;

	if ((auth.trust_loopback && access_is_loopback(x->client)) ||
	    access_network(x->client, network, sizeof(network)) == -1 ||
	    access_client(auth.directory, x->client, wall_s(), subject,
		sizeof(subject)) == ACCESS_ALLOW ||
	    (guesses == NULL && (guesses = guess_new()) == NULL))
		return 0;
	token = token_of(x);
	n = guess_failed(guesses, network, token, now_ms());
	delay = guess_delay_ms(n, FREE_ADDRESS);
	if (n >= BAN_AFTER)
		ban(network, n);
	if (login_key(x->sasl.login, auth.default_domain, account, sizeof(account)) ==
	    0) {
		n = guess_failed(guesses, account, token, now_ms());
		if ((other = guess_delay_ms(n, FREE_ACCOUNT)) > delay)
			delay = other;
	}
	return delay;
}

/* The credentials are wrong: the answer comes after a while. */
static void
wrong(struct exchange *x, const char *text)
{
	uint32_t ms = count_failure(x);
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	strlcpy(x->why, text, sizeof(x->why));
	explicit_bzero(x->sasl.password, sizeof(x->sasl.password));
	if (ms == 0 ||
	    (x->delay = event_new(daemon_base(), -1, 0, on_delay, x)) == NULL ||
	    event_add(x->delay, &tv) == -1) {
		finish(x, SASL_DENIED, text);
		return;
	}
	x->at_work = AT_DELAY;
}

void
logins_forgive(const char *client)
{
	char network[64];

	if (guesses != NULL && access_network(client, network, sizeof(network)) == 0)
		guess_forget(guesses, network);
}

/* ---- LOGIN-DELAY of POP3 ---- */

static struct login_delay *delays;

static int
too_soon(const struct exchange *x)
{
	return x->service == SERVICE_POP3 && auth.pop3_delay_ms > 0 &&
	       !login_delay_over(delays, x->user.address, now_ms(), auth.pop3_delay_ms);
}

static void
remember_login(const struct exchange *x)
{
	if (x->service == SERVICE_POP3 && auth.pop3_delay_ms > 0 &&
	    (delays != NULL || (delays = login_delay_new()) != NULL))
		login_delay_mark(delays, x->user.address, now_ms(), auth.pop3_delay_ms);
}

/* May such a client try at all? */
static int
client_refused(const char *client)
{
	char subject[ACCESS_KEY_MAX];
	enum access_kind kind =
	    access_client(auth.directory, client, wall_s(), subject, sizeof(subject));

	return kind == ACCESS_DENY || kind == ACCESS_BAN;
}

static void
on_mailbox(struct msg *m, void *arg)
{
	struct exchange *x = arg;

	if (m != NULL && m->p.status.status == MSG_OK) {
		remember_login(x);
		finish(x, SASL_OK, "");
	} else
		finish(x, SASL_TEMP,
		    m == NULL ? "the mailbox cannot be opened now" : m->p.status.text);
}

static void
admit(struct exchange *x)
{
	struct channel *ch = x->channel == 0 ? NULL : channel_find(x->channel);
	struct group g;
	struct login *l;

	if (ch == NULL) {
		finish(x, SASL_TEMP, "");
		return;
	}
	account_group(&x->user, &g);
	if (logins_count_of(x->user.address) >=
	    account_limit(&x->user, &g, LIMIT_SESSIONS, NULL)) {
		log_fact(LOG_LOGIN, LOGL_WARN, "too-many-sessions",
		    KS("user", x->user.address), KS("client", x->client));
		finish(x, SASL_TEMP, "too many sessions of this account");
		return;
	}
	if (too_soon(x)) {
		finish(x, SASL_TOO_SOON, "too soon after the last login");
		return;
	}
	if ((l = login_new(x->channel, x->user.address)) == NULL) {
		finish(x, SASL_TEMP, "too many logins");
		return;
	}
	x->login = l->id;
	l->service = x->service;
	strlcpy(l->client, x->client, sizeof(l->client));
	strlcpy(l->method, x->method, sizeof(l->method));
	strlcpy(l->tls, x->tls, sizeof(l->tls));
	strlcpy(l->by, x->by, sizeof(l->by));
	l->message_size_max = account_limit(&x->user, &g, LIMIT_MESSAGE_SIZE, NULL);
	l->quotaset = quota_admin_grants(l, &x->user) != 0;
	if (guesses != NULL)
		guess_forget(guesses, x->user.address);
	if (x->service == SERVICE_SMTP) {
		char address[ADDRESS_MAX + 1], client[64];

		strlcpy(address, x->user.address, sizeof(address));
		strlcpy(client, x->client, sizeof(client));
		finish(x, SASL_OK, "");
		watch_login(address, client);
		return;
	}
	/* What is not needed any more must not wait for mboxd. */
	explicit_bzero(x->sasl.password, sizeof(x->sasl.password));
	x->at_work = AT_MBOXD;
	if (auth_open_mailbox(ch,
		x->service == SERVICE_IMAP    ? MBOX_IMAP
		: x->service == SERVICE_SIEVE ? MBOX_SIEVE
					      : MBOX_POP3,
		l->id, &x->user, x->client, on_mailbox, x) == -1)
		finish(x, SASL_TEMP, "the mailbox cannot be opened now");
}

/* The check took a while, and the account may have changed: only the password that
 * is in force now opens it. */
static int
still_so(struct exchange *x)
{
	struct user now;
	int same =
	    directory_user_get(auth.directory, x->user.address, &now) == DIR_OK &&
	    now.uid == x->user.uid && !now.disabled &&
	    strcmp(now.password.scram_sha256, x->user.password.scram_sha256) == 0 &&
	    strcmp(now.password.crypt, x->user.password.crypt) == 0;

	if (same)
		x->user = now;
	explicit_bzero(&now, sizeof(now));
	return same;
}

static void
on_checked(int result, const struct password *made, void *arg)
{
	struct exchange *x = arg;

	x->at_work = AT_REST;
	if (result == 1 && x->known && !x->user.disabled && still_so(x)) {
		verified_add(
		    x->user.address, x->sasl.password, &x->user.password, now_ms());
		admit(x);
	} else if (result == -1 && x->known && x->user.password.scram_sha256[0] == '\0' &&
		   x->user.password.crypt[0] != '\0')
		finish(x, SASL_TEMP, "the password cannot be checked now");
	else if (result == 1 && x->known && x->user.disabled)
		finish(x, SASL_DENIED, "this account is disabled");
	else
		wrong(x, "wrong user name or password");
}

/* The account that the login names. -1: the exchange is finished. */
static int
look_up(struct exchange *x)
{
	char key[ADDRESS_MAX + 1];
	enum dir_status st = DIR_NONE;

	/* RFC 4616, 2; RFC 5802, 5.1. What cannot be prepared is nobody's name. */
	(void)saslprep(x->sasl.login, x->sasl.login, sizeof(x->sasl.login));
	if (login_key(x->sasl.login, auth.default_domain, key, sizeof(key)) == 0)
		st = directory_user_get(auth.directory, key, &x->user);
	if (st != DIR_OK && st != DIR_NONE) {
		finish(x, SASL_TEMP, "the directory cannot be read now");
		return -1;
	}
	x->known = st == DIR_OK;
	return 0;
}

/* SCRAM: an unknown user, and one who has no such keys, gets a challenge like others. */
static enum sasl_action
give_keys(struct exchange *x, const char **challenge, const char **why)
{
	enum scram_hash hash = x->sasl.scram.hash;
	struct scram_keys keys;
	char key[ADDRESS_MAX + 1];
	enum sasl_action action;

	if (!x->known || password_keys(hash == SCRAM_SHA1 ? x->user.password.scram_sha1
							  : x->user.password.scram_sha256,
			     hash, &keys) == -1) {
		if (login_key(x->sasl.login, auth.default_domain, key, sizeof(key)) == -1)
			strlcpy(key, x->sasl.login, sizeof(key));
		if (scram_keys_nobody(auth.secret, key, hash, auth.iterations, &keys) ==
		    -1)
			return SASL_FAIL;
	}
	action = sasl_keys(&x->sasl, &keys, challenge, why);
	explicit_bzero(&keys, sizeof(keys));
	return action;
}

static void
proved(struct exchange *x)
{
	if (x->known && x->user.disabled)
		finish(x, SASL_DENIED, "this account is disabled");
	else if (x->known && still_so(x))
		admit(x);
	else
		wrong(x, "wrong user name or password");
}

static void
check(struct exchange *x)
{
	int has_password, room;
	struct apppass app;

	if (look_up(x) == -1)
		return;
	if (x->known && !x->user.disabled &&
	    verified_find(
		x->user.address, x->sasl.password, &x->user.password, now_ms())) {
		admit(x);
		return;
	}
	if (x->known && !x->user.disabled &&
	    apppass_check(&x->user, x->service, x->sasl.password, &app)) {
		log_fact(LOG_LOGIN, LOGL_INFO, "app-password",
		    KS("user", x->user.address), KS("name", app.name),
		    KS("client", x->client));
		snprintf(x->by, sizeof(x->by), "app %s", app.name);
		admit(x);
		return;
	}
	/* An account without a password takes as long as none. */
	has_password = x->known && (x->user.password.scram_sha256[0] != '\0' ||
				       x->user.password.crypt[0] != '\0');
	room = work_room(x);
	x->at_work = AT_WORKER;
	if (!room ||
	    worker_check(x->sasl.password, has_password ? &x->user.password : NULL,
		auth.iterations, on_checked, x) == -1)
		finish(x, SASL_TEMP, "too many logins at once");
}

/* Whose account the certificate opens: by its key, else by its authority's word. wanted:
 * "" or the only one that will do. 0 or -1. */
static int
certificate_opens(
    struct exchange *x, X509 *cert, const char *wanted, char *key, size_t cap)
{
	char fingerprint[FINGERPRINT_SIZE], value[CERT_VALUE_MAX + 1];
	char name[CERT_NAME_MAX + 1], address[ADDRESS_MAX + 1];
	int64_t created;

	if (!external_is_current(cert, wall_s()) ||
	    external_fingerprint(cert, fingerprint) == -1)
		return -1;
	if (directory_cert_get(auth.directory, fingerprint, value, sizeof(value)) ==
		DIR_OK &&
	    cert_value(value, key, cap, name, &created) == 0 &&
	    (wanted[0] == '\0' || strcmp(wanted, key) == 0)) {
		snprintf(x->by, sizeof(x->by), "certificate %s", name);
		return 0;
	}
	if (!external_is_issued(cert, auth.client_ca, wall_s()))
		return -1;
	for (int i = 0; external_address(cert, i, address, sizeof(address)); i++)
		if (login_key(address, "", key, cap) == 0 && strchr(key, '@') != NULL &&
		    (wanted[0] == '\0'
			    ? directory_user_get(auth.directory, key, &x->user) == DIR_OK
			    : strcmp(wanted, key) == 0)) {
			strlcpy(x->by, "certificate", sizeof(x->by));
			return 0;
		}
	return -1;
}

static void
check_certificate(struct exchange *x, const struct msg_sasl *s)
{
	X509 *cert = external_parse(s->certificate, s->certificate_len);
	char wanted[ADDRESS_MAX + 1] = "", key[ADDRESS_MAX + 1];
	int ok =
	    cert != NULL &&
	    (x->sasl.login[0] == '\0' || login_key(x->sasl.login, auth.default_domain,
					     wanted, sizeof(wanted)) == 0) &&
	    certificate_opens(x, cert, wanted, key, sizeof(key)) == 0;

	X509_free(cert);
	if (ok)
		strlcpy(x->sasl.login, key, sizeof(x->sasl.login));
	if (ok && look_up(x) == -1)
		return;
	if (!ok || !x->known)
		wrong(x, "the certificate opens no account");
	else if (x->user.disabled)
		finish(x, SASL_DENIED, "this account is disabled");
	else
		admit(x);
}

void
logins_sasl(struct channel *ch, struct msg *m)
{
	const struct msg_sasl *s = &m->p.sasl;
	struct exchange *x = exchange_find(channel_serial(ch), s->session);
	struct sasl_binding binding = { s->binding_type, s->binding, s->binding_len };
	const char *challenge, *why;
	enum sasl_action action;

	if (s->first) {
		if (x != NULL || !exchange_room(channel_serial(ch))) {
			answer(
			    ch, m->id, SASL_TEMP, 0, "", "", "too many logins at once");
			return;
		}
		if (sasl_mechanism(s->mechanism) == SASL_MECH_NONE) {
			answer(ch, m->id, SASL_BAD, 0, "", "", "unknown mechanism");
			return;
		}
		if (client_refused(s->client)) {
			answer(ch, m->id, SASL_DENIED, 0, "", "",
			    "logins from this address are refused, see fifectl access "
			    "list");
			return;
		}
		if ((x = calloc(1, sizeof(*x))) == NULL) {
			answer(ch, m->id, SASL_TEMP, 0, "", "", "no memory");
			return;
		}
		x->channel = channel_serial(ch);
		x->session = s->session;
		x->service = channel_role(ch) == ROLE_SMTPD    ? SERVICE_SMTP
			     : channel_role(ch) == ROLE_IMAPD  ? SERVICE_IMAP
			     : channel_role(ch) == ROLE_SIEVED ? SERVICE_SIEVE
							       : SERVICE_POP3;
		strlcpy(x->client, s->client, sizeof(x->client));
		strlcpy(x->method, s->mechanism, sizeof(x->method));
		strlcpy(x->tls, s->tls ? s->tls_version : "no", sizeof(x->tls));
		sasl_init(&x->sasl, s->mechanism, s->tls);
		LIST_INSERT_HEAD(&exchanges, x, entry);
		n_exchanges++;
	} else if (x == NULL || x->at_work) {
		answer(ch, m->id, SASL_BAD, 0, "", "", "no such exchange");
		return;
	}
	x->request = m->id;
	x->touched = now_ms();
	/* An initial response of no octets is a response: the front sets first = 1 and
	 * data_len = 0 when there is none, first = 2 when it is empty. */
	action = sasl_input(&x->sasl,
	    s->first == 1 && s->data_len == 0 ? NULL
	    : s->data_len == 0                ? (const uint8_t *)""
					      : s->data,
	    s->data_len, &binding, &challenge, &why);
	if (action == SASL_KEYS) {
		if (look_up(x) == -1)
			return;
		action = give_keys(x, &challenge, &why);
	}
	switch (action) {
	case SASL_ASK:
		answer(ch, m->id, SASL_CONTINUE, 0, "", challenge, "");
		break;
	case SASL_CHECK:
		check(x);
		break;
	case SASL_CERTIFICATE:
		check_certificate(x, s);
		break;
	case SASL_PROVED:
		proved(x);
		break;
	case SASL_WRONG:
		wrong(x, "wrong user name or password");
		break;
	case SASL_KEYS:
	case SASL_FAIL:
		finish(x, SASL_BAD, why);
		break;
	}
}

void
logins_abort(struct channel *ch, uint64_t session)
{
	struct exchange *x = exchange_find(channel_serial(ch), session);

	if (x == NULL)
		return;
	if (x->at_work)
		x->channel = 0;
	else
		exchange_free(x);
}

void
logins_channel_lost(struct channel *ch)
{
	uint64_t serial = channel_serial(ch);
	struct exchange *x, *nx;

	for (x = LIST_FIRST(&exchanges); x != NULL; x = nx) {
		nx = LIST_NEXT(x, entry);
		if (x->channel != serial)
			continue;
		if (x->at_work)
			x->channel = 0;
		else
			exchange_free(x);
	}
	logins_front_gone(serial);
}

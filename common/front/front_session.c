/* SPDX-License-Identifier: ISC */
/*
 * A client of imapd or pop3d from accept to its end; see front.h for the states. The
 * login record that authd gave names the mailbox socket that mboxd sends on a channel of
 * its own: either may come first, so sockets that nobody waits for yet are kept for a
 * while.
 */
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/front/front_int.h"
#include "common/front/relay.h"
#include "common/log.h"
#include "common/tls.h"

#define INPUT_MAX 65536
#define SASL_TIMEOUT_MS 60000
#define OPEN_TIMEOUT_MS 30000
#define CLOSE_MS 5000
#define EARLY_MAX 1024
#define EARLY_MS 30000
/* A client that does not read its replies is not read from: before the login the
 * machine would else turn few octets of a stranger into many of ours. */
#define OUTPUT_MAX 65536
#define STEP_MAX 4096
#define CERTIFICATE_MAX 4096 /* as in payload.def */

enum state {
	HANDSHAKE,
	LOGIN,
	ASKING,
	DELAY,
	OPENING,
	RELAY
};

struct session {
	LIST_ENTRY(session) entry;
	uint64_t id;
	enum state state;
	struct conn *conn;   /* the relay's later on */
	struct login *login; /* NULL before TLS and after the login */
	struct relay *relay;
	uint8_t key[LIMIT_KEY_SIZE];
	bool trusted; /* no waits */
	bool eof;     /* the client closed its sending half */
	bool again;   /* it was logged in before, and nothing was said since */
	bool paused;  /* too much output is unsent */
	bool auth_without_tls, starttls, certificates;
	char client[64];
	char tls[32];

	uint64_t ask_id, ask_channel;
	bool exchange; /* authd holds an exchange of ours, asked or not */
	char mechanism[32];
	char tried[321]; /* the name that a login was tried with */
	unsigned int failures;
	struct event *timer; /* DELAY, OPENING */
	uint64_t login_id;
	char address[321];
};

struct early {
	LIST_ENTRY(early) entry;
	uint64_t token, since;
	int fd;
	uint8_t status;
	char text[256];
};

static LIST_HEAD(, session) sessions = LIST_HEAD_INITIALIZER(sessions);
static LIST_HEAD(, early) early = LIST_HEAD_INITIALIZER(early);
static size_t n_early;
static struct event *early_timer;
static struct front_counts counts;
static uint64_t next_id = 1;

struct front_counts
front_counts(void)
{
	return counts;
}

static void
forget_question(struct session *s)
{
	struct channel *ch = channel_find(s->ask_channel);
	struct msg_session_id m = { .session = s->id };

	channel_forget(ch, s->ask_id);
	s->ask_id = 0;
	/* Between challenge and response there is no question, but an exchange. */
	if (!s->exchange)
		return;
	s->exchange = false;
	if (ch != NULL)
		channel_send(ch, MSG_FRONT_AUTHD_SASL_ABORT, 0, &m, -1);
}

static void
send_logout(struct session *s)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_login_id m = { .login = s->login_id };

	if (s->login_id != 0 && ch != NULL)
		channel_send(ch, MSG_FRONT_AUTHD_LOGOUT, 0, &m, -1);
	s->login_id = 0;
}

static void
session_free(struct session *s)
{
	LIST_REMOVE(s, entry);
	counts.connections--;
	if (s->state == RELAY)
		counts.logged_in--;
	forget_question(s);
	send_logout(s);
	limit_close(front.limit, s->key);
	if (s->timer != NULL)
		event_free(s->timer);
	if (s->login != NULL)
		front.proto->login_free(s->login);
	free(s);
}

/* After what was written. */
static void
session_close(struct session *s)
{
	if (s->login != NULL)
		conn_write_buffer(s->conn, s->login->out);
	conn_close(s->conn, CLOSE_MS);
	session_free(s);
}

static void
session_abort(struct session *s)
{
	conn_free(s->conn);
	session_free(s);
}

static int
set_timer(struct session *s, uint32_t ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	return event_add(s->timer, &tv);
}

static uint32_t
login_timeout_ms(void)
{
	return (front.conf.login_timeout_s > 0 ? front.conf.login_timeout_s : 180) * 1000;
}

static void feed(struct session *);

/* ---- the relay ---- */

static void conn_event(struct conn *, enum conn_event, void *);
static int login_begin(struct session *);

/* UNAUTHENTICATE (RFC 8437): as before the login, with TLS as it stands. */
static void
login_again(struct session *s)
{
	s->relay = NULL;
	counts.logged_in--;
	send_logout(s);
	conn_set_callback(s->conn, conn_event, s);
	conn_deadline(s->conn, login_timeout_ms());
	if (login_begin(s) == -1) {
		session_abort(s);
		return;
	}
	/* There is no second greeting. */
	evbuffer_drain(s->login->out, evbuffer_get_length(s->login->out));
	s->again = true;
	feed(s);
}

static void
relay_ended(enum relay_end end, void *arg)
{
	static const char *const why[] = { "client", "logout", "unauthenticate", "idle" };
	struct session *s = arg;

	log_fact(LOG_LOGIN, LOGL_INFO, "logout", KS("proto", front.proto->name),
	    KS("user", s->address), KS("client", s->client), KS("end", why[end]));
	if (end == RELAY_BACK)
		login_again(s);
	else
		session_free(s);
}

static void
ignore_event(struct conn *c, enum conn_event ev, void *arg)
{
}

static void
opened(struct session *s, uint8_t status, int fd, const char *text)
{
	struct conn *mailbox = NULL;
	char hello[LOGIN_HELLO_MAX];
	uint32_t idle_ms =
	    front.conf.idle_timeout_s > 0 ? front.conf.idle_timeout_s * 1000 : 1800000;

	event_del(s->timer);
	if (status == MSG_OK && fd != -1)
		mailbox = conn_new(daemon_base(), fd, INPUT_MAX, ignore_event, NULL);
	else if (fd != -1)
		close(fd);
	if (mailbox == NULL) {
		log_fact(LOG_LOGIN, LOGL_WARN, "mailbox-unavailable",
		    KS("proto", front.proto->name), KS("user", s->address),
		    KS("client", s->client), KS("text", text));
		front.proto->login_opened(
		    s->login, false, "Mailbox unavailable, try again later");
		send_logout(s);
		s->state = LOGIN;
		feed(s);
		return;
	}
	counts.logins++;
	log_fact(LOG_LOGIN, LOGL_INFO, "login", KS("proto", front.proto->name),
	    KS("user", s->address), KS("client", s->client), KS("method", s->mechanism),
	    KS("tls", s->tls));
	if (front.proto->login_hello != NULL)
		conn_write(mailbox, hello, front.proto->login_hello(s->login, hello));
	front.proto->login_opened(s->login, true, "");
	conn_write_buffer(s->conn, s->login->out);
	front.proto->login_free(s->login);
	s->login = NULL;
	s->relay =
	    relay_new(s->conn, mailbox, idle_ms, front.proto->idle, relay_ended, s);
	if (s->relay == NULL) {
		session_free(s);
		return;
	}
	s->state = RELAY;
	counts.logged_in++;
	if (front.proto->unauthenticates)
		relay_expect_back(s->relay);
	if (s->eof)
		relay_client_eof(s->relay);
}

static void
early_free(struct early *e)
{
	LIST_REMOVE(e, entry);
	n_early--;
	if (e->fd != -1)
		close(e->fd);
	free(e);
}

/* A socket that nobody asks for keeps its mailbox process from going to sleep. */
static void
early_expire(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { 5, 0 };
	uint64_t now = now_ms();
	struct early *e, *next;

	for (e = LIST_FIRST(&early); e != NULL; e = next) {
		next = LIST_NEXT(e, entry);
		if (now - e->since > EARLY_MS)
			early_free(e);
	}
	if (early_timer == NULL)
		early_timer = event_new(daemon_base(), -1, 0, early_expire, NULL);
	if (early_timer != NULL && !LIST_EMPTY(&early))
		event_add(early_timer, &again);
}

static void
early_add(struct msg *m)
{
	struct early *e;

	if (n_early >= EARLY_MAX || (e = calloc(1, sizeof(*e))) == NULL)
		return; /* the descriptor is closed with the message */
	e->token = m->p.mbox_session.token;
	e->since = now_ms();
	e->status = m->p.mbox_session.status;
	e->fd = msg_take_fd(m);
	strlcpy(e->text, m->p.mbox_session.text, sizeof(e->text));
	LIST_INSERT_HEAD(&early, e, entry);
	n_early++;
	early_expire(-1, 0, NULL);
}

void
front_session_opened(struct msg *m)
{
	struct session *s;

	LIST_FOREACH (s, &sessions, entry)
		if (s->state == OPENING && s->login_id == m->p.mbox_session.token) {
			opened(s, m->p.mbox_session.status, msg_take_fd(m),
			    m->p.mbox_session.text);
			return;
		}
	early_add(m);
}

void
front_session_login_ended(uint64_t login)
{
	struct session *s;

	LIST_FOREACH (s, &sessions, entry)
		if (s->login_id == login && s->login_id != 0)
			break;
	if (s == NULL)
		return;
	s->login_id = 0;
	log_fact(LOG_LOGIN, LOGL_INFO, "logout", KS("proto", front.proto->name),
	    KS("user", s->address), KS("client", s->client), KS("end", "ended by authd"));
	if (s->state == RELAY) {
		relay_stop(s->relay, front.proto->ended);
		session_free(s);
		return;
	}
	if (s->login != NULL)
		front.proto->login_bye(s->login, "The account has changed");
	session_close(s);
}

void
front_sessions_unavailable(void)
{
	struct session *s, *next;

	for (s = LIST_FIRST(&sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, entry);
		if (s->state == OPENING)
			opened(s, MSG_TEMP, -1, "mboxd is away");
	}
}

/* ---- the login ---- */

static void
denied(struct session *s)
{
	s->state = LOGIN;
	front.proto->login_result(s->login, LOGIN_DENIED, NULL, 0, "");
	if (++s->failures >= FRONT_LOGINS_MAX) {
		front.proto->login_bye(s->login, "Too many failed logins");
		session_close(s);
		return;
	}
	feed(s);
}

static void
verified(struct session *s, const struct msg_sasl_result *r)
{
	struct early *e;

	limit_succeeded(front.limit, s->key);
	s->login_id = r->login;
	strlcpy(s->address, r->address, sizeof(s->address));
	s->state = OPENING;
	s->login->facts.quotaset = r->quotaset != 0;
	front.proto->login_result(s->login, LOGIN_OK, NULL, 0, "");
	set_timer(s, OPEN_TIMEOUT_MS);
	LIST_FOREACH (e, &early, entry)
		if (e->token == s->login_id) {
			int fd = e->fd;

			e->fd = -1;
			opened(s, e->status, fd, e->text);
			early_free(e);
			return;
		}
}

static void
refused(struct session *s, const struct msg_sasl_result *r)
{
	uint32_t delay = s->trusted ? 0 : limit_failed(front.limit, s->key, now_ms());

	counts.failed++;
	if (s->tried[0] == '\0')
		strlcpy(s->tried, r->address, sizeof(s->tried));
	log_fact(LOG_LOGIN, LOGL_WARN, "login-failed", KS("proto", front.proto->name),
	    KS("user", s->tried), KS("client", s->client), KS("method", s->mechanism),
	    KS("tls", s->tls), KS("text", r->text));
	if (delay == 0) {
		denied(s);
		return;
	}
	s->state = DELAY;
	if (set_timer(s, delay) == -1)
		session_abort(s);
}

static void
sasl_answer(struct msg *m, void *arg)
{
	struct session *s = arg;
	const struct msg_sasl_result *r = m == NULL ? NULL : &m->p.sasl_result;

	s->ask_id = 0;
	if (m != NULL && r->status != SASL_CONTINUE)
		s->exchange = false;
	else if (m == NULL)
		forget_question(s); /* authd may be at it still */
	if (m != NULL && m->type == MSG_AUTHD_FRONT_SASL_RESULT) {
		switch (r->status) {
		case SASL_OK:
			verified(s, r);
			return;
		case SASL_CONTINUE:
			s->state = LOGIN;
			front.proto->login_result(
			    s->login, LOGIN_CONTINUE, r->data, r->data_len, "");
			feed(s);
			return;
		case SASL_DENIED:
		case SASL_BAD:
			refused(s, r);
			return;
		case SASL_TOO_SOON:
			log_fact(LOG_LOGIN, LOGL_INFO, "login-too-soon",
			    KS("proto", front.proto->name), KS("user", r->address),
			    KS("client", s->client));
			s->state = LOGIN;
			front.proto->login_result(
			    s->login, LOGIN_TOO_SOON, NULL, 0, r->text);
			feed(s);
			return;
		}
	}
	log_fact(LOG_LOGIN, LOGL_WARN, "login-unavailable",
	    KS("proto", front.proto->name), KS("client", s->client),
	    KS("text", r == NULL ? "authd is away" : r->text));
	s->state = LOGIN;
	front.proto->login_result(
	    s->login, LOGIN_TEMP, NULL, 0, "Login is not possible now, try again later");
	feed(s);
}

/* The name in a PLAIN response (RFC 4616, 2), for the log: authd may be away. */
static void
remember_tried(struct session *s, const struct login_sasl *sasl)
{
	const uint8_t *name = sasl->len == 0 ? NULL : memchr(sasl->data, '\0', sasl->len);
	size_t len;

	s->tried[0] = '\0';
	if (name == NULL)
		return;
	name++;
	len = strnlen((const char *)name, sasl->len - (size_t)(name - sasl->data));
	if (len < sizeof(s->tried)) {
		memcpy(s->tried, name, len);
		s->tried[len] = '\0';
	}
}

static void
ask_authd(struct session *s, const struct login_sasl *sasl)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	uint8_t binding[512], certificate[CERTIFICATE_MAX];
	struct msg_sasl m = { .session = s->id,
		.service = (uint8_t)front.proto->service,
		.first = sasl->first,
		.tls = s->tls[0] != '\0' && strcmp(s->tls, "no") != 0,
		.data = sasl->data,
		.data_len = sasl->len };

	strlcpy(m.mechanism, sasl->mechanism, sizeof(m.mechanism));
	strlcpy(s->mechanism, sasl->mechanism, sizeof(s->mechanism));
	strlcpy(m.client, s->client, sizeof(m.client));
	conn_tls_binding_wanted(s->conn, sasl->data, sasl->len, m.binding_type,
	    sizeof(m.binding_type), binding, sizeof(binding), &m.binding_len);
	m.binding = binding;
	strlcpy(m.tls_version, s->tls, sizeof(m.tls_version));
	if (strcmp(sasl->mechanism, "EXTERNAL") == 0)
		m.certificate_len =
		    conn_tls_peer_certificate(s->conn, certificate, sizeof(certificate));
	m.certificate = certificate;
	if (strcmp(sasl->mechanism, "PLAIN") == 0)
		remember_tried(s, sasl);
	else if (sasl->first)
		s->tried[0] = '\0';
	s->state = ASKING;
	if (ch != NULL) {
		s->ask_channel = channel_serial(ch);
		s->ask_id = channel_ask(
		    ch, MSG_FRONT_AUTHD_SASL, &m, -1, SASL_TIMEOUT_MS, sasl_answer, s);
		s->exchange = s->exchange || s->ask_id != 0;
	}
	if (s->ask_id == 0) {
		s->state = LOGIN;
		front.proto->login_result(s->login, LOGIN_TEMP, NULL, 0,
		    "Login is not possible now, try again later");
	}
}

static int
start_tls(struct session *s)
{
	struct ssl_ctx_st *ctx =
	    front.certs == NULL ? NULL : tls_certs_context(front.certs);

	if (s->certificates)
		conn_tls_ask_certificate(s->conn);
	if (ctx == NULL || conn_tls_server(s->conn, ctx) == -1)
		return -1;
	s->state = HANDSHAKE;
	return 0;
}

static bool
has_certificate(const struct session *s)
{
	uint8_t certificate[CERTIFICATE_MAX];

	return s->certificates &&
	       conn_tls_peer_certificate(s->conn, certificate, sizeof(certificate)) > 0;
}

static int
login_begin(struct session *s)
{
	struct login_facts facts = { .hostname = daemon_conf()->hostname };

	facts.tls = conn_is_tls(s->conn) != 0;
	strlcpy(s->tls, facts.tls ? conn_tls_version(s->conn) : "no", sizeof(s->tls));
	facts.starttls = !facts.tls && s->starttls && front.certs != NULL &&
			 tls_certs_context(front.certs) != NULL;
	facts.plain_auth = facts.tls || s->auth_without_tls;
	facts.certificate = has_certificate(s);
	facts.utf8_strict = front.conf.utf8_strict;
	facts.login_delay_s = front.conf.login_delay_s;
	facts.message_limit = front.conf.message_limit;
	facts.save_limit = front.conf.save_limit;
	s->login = front.proto->login_new(&facts);
	s->state = LOGIN;
	return s->login == NULL ? -1 : 0;
}

/* The end of a compressed stream may come after what it carried (RFC 8437, 4.1): a last
 * block, that no command can look like. */
static void
skip_stream_end(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);
	uint8_t c;

	while (s->again && evbuffer_copyout(in, &c, 1) == 1) {
		if (c > ' ' && c < 0x7f)
			s->again = false;
		else
			evbuffer_drain(in, 1);
	}
}

/* Octets to the machine and its actions to the world, until one of them waits. */
static void
feed(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);

	if (s->paused) {
		s->paused = false;
		conn_resume(s->conn);
	}
	while (s->state == LOGIN) {
		struct login_sasl sasl;
		struct evbuffer_iovec v;
		size_t took = 0;
		enum login_action action;

		if (conn_unsent(s->conn) > OUTPUT_MAX) {
			s->paused = true;
			conn_pause(s->conn);
			return; /* CONN_LOW_WATER goes on */
		}
		skip_stream_end(s);
		action = login_action(s->login, &sasl);
		if (action == LOGIN_NONE && evbuffer_peek(in, -1, NULL, &v, 1) > 0) {
			took = front.proto->login_input(s->login, v.iov_base,
			    v.iov_len < STEP_MAX ? v.iov_len : STEP_MAX);
			evbuffer_drain(in, took);
			action = login_action(s->login, &sasl);
		}
		conn_write_buffer(s->conn, s->login->out);
		switch (action) {
		case LOGIN_NONE:
			if (took > 0)
				break;
			if (s->eof)
				session_close(s);
			return;
		case LOGIN_STARTTLS:
			if (start_tls(s) == -1) {
				session_close(s);
				return;
			}
			break;
		case LOGIN_SASL:
			ask_authd(s, &sasl);
			break;
		case LOGIN_ABORT:
			forget_question(s);
			break;
		case LOGIN_CLOSE:
			session_close(s);
			return;
		}
	}
}

static void
timer_cb(int fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == DELAY)
		denied(s);
	else if (s->state == OPENING)
		opened(s, MSG_TEMP, -1, "mboxd did not answer");
}

static void
conn_event(struct conn *c, enum conn_event ev, void *arg)
{
	struct session *s = arg;

	switch (ev) {
	case CONN_TLS_READY:
		if (s->login == NULL) {
			if (login_begin(s) == -1) {
				session_abort(s);
				return;
			}
		} else {
			strlcpy(s->tls, conn_tls_version(c), sizeof(s->tls));
			if (has_certificate(s))
				s->login->facts.certificate = true;
			front.proto->login_tls_ready(s->login);
			s->state = LOGIN;
		}
		feed(s);
		break;
	case CONN_INPUT:
		feed(s);
		break;
	case CONN_LOW_WATER:
		if (s->paused)
			feed(s);
		break;
	case CONN_EOF:
		/* "printf ... | nc" may have said all it wants, the login included. */
		s->eof = true;
		if (s->state == LOGIN || s->state == HANDSHAKE)
			session_close(s);
		break;
	case CONN_ERROR:
		session_abort(s);
		break;
	case CONN_TIMEOUT:
		if (s->login != NULL)
			front.proto->login_bye(
			    s->login, "Autologout; too long without a login");
		session_close(s);
		break;
	default:
		break;
	}
}

static void
refuse(int fd, bool implicit_tls)
{
	struct conn *c;

	counts.refused++;
	if (implicit_tls) {
		close(fd);
		return;
	}
	if ((c = conn_new(daemon_base(), fd, 1024, ignore_event, NULL)) == NULL)
		return;
	conn_write(c, front.proto->too_many, strlen(front.proto->too_many));
	conn_close(c, CLOSE_MS);
}

void
front_session_new(int fd, const struct sockaddr *sa, const struct msg_listener *listener)
{
	struct session *s;
	bool implicit = listener->tls == LISTENER_TLS_IMPLICIT;
	uint8_t key[LIMIT_KEY_SIZE];

	limit_key(sa, key);
	if ((front.conf.connections_max > 0 &&
		counts.connections >= front.conf.connections_max) ||
	    limit_open(front.limit, key, front.conf.connections_per_address, now_ms()) ==
		-1) {
		refuse(fd, implicit);
		return;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		limit_close(front.limit, key);
		close(fd);
		return;
	}
	s->id = next_id++;
	memcpy(s->key, key, sizeof(s->key));
	s->trusted = front.conf.trust_loopback && limit_is_loopback(sa);
	s->auth_without_tls = listener->auth_without_tls;
	s->certificates = listener->client_certificates;
	s->starttls = listener->tls == LISTENER_TLS_STARTTLS;
	LIST_INSERT_HEAD(&sessions, s, entry);
	counts.connections++;
	if ((s->conn = conn_new(daemon_base(), fd, INPUT_MAX, conn_event, s)) == NULL ||
	    (s->timer = event_new(daemon_base(), -1, 0, timer_cb, s)) == NULL) {
		session_abort(s);
		return;
	}
	conn_peer(s->conn, s->client, sizeof(s->client), &(uint16_t){ 0 });
	conn_deadline(s->conn, login_timeout_ms());
	if (implicit ? start_tls(s) == -1 : login_begin(s) == -1) {
		session_abort(s);
		return;
	}
	if (!implicit)
		feed(s);
}

void
front_sessions_stop(void)
{
	struct session *s;

	while ((s = LIST_FIRST(&sessions)) != NULL) {
		if (s->state == RELAY) {
			relay_stop(s->relay, front.proto->stopping);
			session_free(s);
		} else {
			if (s->login != NULL)
				conn_write(s->conn, front.proto->stopping,
				    strlen(front.proto->stopping));
			session_close(s);
		}
	}
	while (!LIST_EMPTY(&early))
		early_free(LIST_FIRST(&early));
}

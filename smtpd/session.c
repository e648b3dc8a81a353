/* SPDX-License-Identifier: ISC */
/* Sockets and TLS to the engine and back; see session.h. */
#include "smtpd/session.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/hostlist.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/limit.h"
#include "smtpd/session_internal.h"

/* Octets of content that lie in memory at most, a session. */
#define INPUT_MAX (64 * 1024)
/* Who does not read replies gets no more of them. */
#define OUTPUT_MAX (64 * 1024)
#define CLOSE_MS 10000
#define HANDSHAKE_S 60
/* While most connections are taken, who has not logged in has this long. */
#define CROWDED_S 10
/* Octets of content a second, besides timeout-data: no sender is that slow. */
#define PACE 100

TAILQ_HEAD(session_list, session);
static struct session_list sessions = TAILQ_HEAD_INITIALIZER(sessions);
struct smtpd_stats smtpd_stats;
static void (*all_gone)(void);

static void on_conn(struct conn *, enum conn_event, void *);

/* Everything but the connection. */
static void
session_free(struct session *s)
{
	txn_abort(s);
	burl_end(s);
	ask_forget(&s->ask);
	ask_forget(&s->dns);
	gatekeeper_free(s->gate);
	ask_sasl_abort(s);
	ask_logout(s);
	if (s->counted)
		limit_drop((const struct sockaddr *)&s->peer);
	smtp_in_free(s->in);
	free(s->client_name);
	free(s->rdns);
	free(s->tried);
	TAILQ_REMOVE(&sessions, s, entry);
	smtpd_stats.sessions--;
	free(s);
	if (all_gone != NULL && TAILQ_EMPTY(&sessions))
		all_gone();
}

/* Let the client have the last reply, then close. */
static void
session_close(struct session *s)
{
	if (s->bye)
		conn_part(s->conn, CLOSE_MS);
	else
		conn_close(s->conn, CLOSE_MS);
	session_free(s);
}

static void
session_drop(struct session *s)
{
	conn_free(s->conn);
	session_free(s);
}

int
session_checks_sender(const struct session *s)
{
	return s->kind == LISTENER_SMTP && smtpd_conf()->sender_domain_check &&
	       !(smtpd_conf()->trust_loopback &&
		   limit_is_loopback((const struct sockaddr *)&s->peer));
}

size_t
session_client_ip(const struct session *s, const uint8_t **ip)
{
	const struct sockaddr_in *in = (const void *)&s->peer;
	const struct sockaddr_in6 *in6 = (const void *)&s->peer;

	if (s->peer.ss_family == AF_INET) {
		*ip = (const uint8_t *)&in->sin_addr;
		return 4;
	}
	if (s->peer.ss_family != AF_INET6)
		return 0;
	*ip = in6->sin6_addr.s6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return 16;
	*ip += 12;
	return 4;
}

/* Behind a proxy the peer of the socket is not the client. */
void
session_name_client(struct session *s)
{
	const uint8_t *ip;
	size_t len = session_client_ip(s, &ip);

	if (len != 0)
		inet_ntop(
		    len == 4 ? AF_INET : AF_INET6, ip, s->client, sizeof(s->client));
	else
		conn_peer(s->conn, s->client, sizeof(s->client), NULL);
}

static void
data_begin(struct session *s)
{
	s->data_since_ms = now_ms();
	s->data_octets = 0;
}

static uint32_t
command_ms(const struct session *s, uint32_t most_s)
{
	uint32_t t = smtpd_conf()->timeout_command_s;

	if (s->login == 0 && s->kind != LISTENER_LOCAL && most_s > CROWDED_S &&
	    limit_is_crowded(smtpd_conf()->connections_max))
		most_s = CROWDED_S;
	return 1000 * (t < most_s ? t : most_s);
}

/* Each octet is progress, but a message has to come to an end. */
static uint32_t
data_ms(struct session *s)
{
	uint64_t pause = 1000ull * smtpd_conf()->timeout_data_s, all, spent;

	/* A chunk that nobody wants has not been asked for. */
	if (s->data_since_ms == 0)
		data_begin(s);
	all = pause + s->data_octets * 1000 / PACE;
	spent = now_ms() - s->data_since_ms;
	if (spent >= all)
		return 1;
	return (uint32_t)(all - spent < pause ? all - spent : pause);
}

void
session_new(
    int fd, const struct session_listener *l, const struct sockaddr *peer, int counted)
{
	struct smtp_in_facts facts = { .kind = l->kind };
	struct session *s = calloc(1, sizeof(*s));
	static uint64_t last_id;

	if (s == NULL) {
		close(fd);
		if (counted)
			limit_drop(peer);
		return;
	}
	s->id = ++last_id;
	s->kind = l->kind;
	s->txn.fd = -1;
	s->url_fd = -1;
	s->counted = (uint8_t)counted;
	memcpy(&s->peer, peer,
	    peer->sa_family == AF_INET6  ? sizeof(struct sockaddr_in6)
	    : peer->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					 : sizeof(struct sockaddr));
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	smtpd_stats.sessions++;
	smtpd_stats.connections++;
	if (s->kind == LISTENER_LOCAL) {
		uid_t uid;

		if (compat_peer_uid(fd, &uid, NULL) == -1) {
			log_warn("peer of a local connection");
			close(fd);
			session_free(s);
			return;
		}
		s->uid = (uint32_t)uid;
	}
	s->conn = conn_new(daemon_base(), fd, INPUT_MAX, on_conn, s);
	facts.auth_without_tls = (uint8_t)l->auth_without_tls;
	s->certificates = (uint8_t)l->client_certificates;
	facts.starttls = l->tls == LISTENER_TLS_STARTTLS && s->kind != LISTENER_LOCAL &&
			 smtpd_tls() != NULL;
	facts.tls = l->tls == LISTENER_TLS_IMPLICIT;
	facts.check_sender = (uint8_t)session_checks_sender(s);
	facts.etrn = (uint8_t)hostlist_has(l->etrn_from, peer);
	facts.priority = (uint8_t)hostlist_has(l->priority_from, peer);
	facts.xclient = (uint8_t)hostlist_has(l->xclient_from, peer);
	s->in = smtp_in_new(smtpd_in_conf(), &facts);
	if (s->conn == NULL || s->in == NULL) {
		session_drop(s);
		return;
	}
	session_name_client(s);
	log_fact(LOG_SMTP, LOGL_DEBUG, "connect", KS("client", s->client),
	    KU("session", s->id));
	if (l->tls == LISTENER_TLS_IMPLICIT) {
		struct ssl_ctx_st *ctx = smtpd_tls();

		if (s->certificates)
			conn_tls_ask_certificate(s->conn);
		if (ctx == NULL || conn_tls_server(s->conn, ctx) == -1) {
			session_drop(s);
			return;
		}
		s->handshake = 1;
		s->implicit = 1;
		conn_deadline(s->conn, command_ms(s, HANDSHAKE_S));
	}
	if (!gatekeeper_start(s, s->implicit) && !s->implicit)
		smtp_in_start(s->in);
	ask_client_name(s);
	session_run(s);
}

static void
log_refused(struct session *s, const struct smtp_action *a)
{
	if (a->name[0] != '\0')
		smtpd_stats.refused_rcpts++;
	else if (a->code >= 500)
		smtpd_stats.rejected++;
	else
		smtpd_stats.deferred++;
	log_fact(LOG_SMTP, LOGL_INFO, "refused", KS("from", smtp_in_sender(s->in)),
	    KS("to", a->name[0] != '\0'          ? a->name
		     : smtp_in_nrcpt(s->in) == 1 ? smtp_in_rcpt(s->in, 0)
						 : ""),
	    KS("client", s->client), KS("helo", smtp_in_helo(s->in)),
	    KS("msgid", smtp_in_content(s->in)->message_id), KU("code", a->code),
	    KS("enhanced", a->enhanced), KS("reason", a->text));
}

static void
start_tls(struct session *s)
{
	struct ssl_ctx_st *ctx = smtpd_tls();

	if (s->certificates)
		conn_tls_ask_certificate(s->conn);
	/* 220 was said; without a context there is nothing but the end. */
	if (ctx == NULL || conn_tls_server(s->conn, ctx) == -1)
		s->closing = 1;
	s->handshake = 1;
}

/* 421: the connection ends, for a reason that the client's people may ask about. */
static void
log_ended(const struct session *s, const char *reply, size_t len)
{
	char line[200], *text;

	if (len < 10 || len >= sizeof(line) || memcmp(reply, "421 ", 4) != 0)
		return;
	memcpy(line, reply + 4, len - 4);
	line[len - 4] = '\0';
	line[strcspn(line, "\r")] = '\0';
	/* When we stop, that is none of the client's doing. */
	if ((text = strchr(line, ' ')) == NULL || strncmp(line, "4.3.2", 5) == 0)
		return;
	*text++ = '\0';
	log_fact(LOG_SMTP, LOGL_INFO, "connection-ended",
	    KS("from", smtp_in_sender(s->in)), KS("client", s->client),
	    KS("helo", smtp_in_helo(s->in)), KU("code", 421), KS("enhanced", line),
	    KS("reason", text));
}

static void
perform(struct session *s, const struct smtp_action *a)
{
	switch (a->type) {
	case SMTP_ACT_REPLY:
		if (conn_write(s->conn, a->data, a->len) == -1)
			s->closing = 1;
		s->bye = a->len > 3 && memcmp(a->data, "221", 3) == 0;
		log_ended(s, a->data, a->len);
		gatekeeper_replied(s, a->data, a->len);
		break;
	case SMTP_ACT_STARTTLS:
		start_tls(s);
		break;
	case SMTP_ACT_ETRN:
		ask_etrn(s, a->name);
		break;
	case SMTP_ACT_XCLIENT:
		xclient_take(s, a->xattr);
		break;
	case SMTP_ACT_SENDER:
		ask_sender(s);
		break;
	case SMTP_ACT_RCPT:
		ask_rcpt(s, a->name);
		break;
	case SMTP_ACT_SASL:
		ask_sasl(s, a);
		break;
	case SMTP_ACT_SASL_ABORT:
		ask_sasl_abort(s);
		break;
	case SMTP_ACT_OPEN:
		gatekeeper_message(s);
		data_begin(s);
		txn_open(s);
		break;
	case SMTP_ACT_URL:
		burl_ask(s, a->name);
		break;
	case SMTP_ACT_CONTENT:
		txn_write(s, a->data, a->len);
		break;
	case SMTP_ACT_COMMIT:
		txn_commit(s);
		break;
	case SMTP_ACT_ABORT:
		txn_abort(s);
		break;
	case SMTP_ACT_REFUSED:
		log_refused(s, a);
		if (a->name[0] != '\0')
			gatekeeper_refused(s);
		break;
	case SMTP_ACT_CLOSE:
		s->closing = 1;
		break;
	}
}

static void
perform_all(struct session *s)
{
	struct smtp_action a;

	while (smtp_in_next(s->in, &a) == 1) {
		s->progress = 1;
		perform(s, &a);
	}
}

/* The present contiguous input, or 0. */
static size_t
first_chunk(struct evbuffer *in, const char **p)
{
	size_t n = evbuffer_get_contiguous_space(in);

	*p = n == 0 ? NULL : (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
	return *p == NULL ? 0 : n;
}

static int
can_read(const struct session *s)
{
	return !s->closing && !s->handshake && !s->txn.spilling && !gatekeeper_holds(s) &&
	       !smtp_in_waiting(s->in) && conn_unsent(s->conn) <= OUTPUT_MAX;
}

static void
set_deadline(struct session *s)
{
	if (s->handshake) {
		if (s->progress)
			conn_deadline(s->conn, command_ms(s, HANDSHAKE_S));
	} else if (smtp_in_waiting(s->in) || s->txn.spilling || gatekeeper_holds(s))
		conn_deadline(s->conn, 0); /* it is our turn */
	else if (s->progress) {
		if (!smtp_in_in_data(s->in) && s->txn.id == 0 && !s->txn.whole)
			s->data_since_ms = 0;
		/* Not at every octet: a command has to be complete in time. Between two
		 * chunks a message goes on. */
		conn_deadline(s->conn, smtp_in_in_data(s->in) || s->data_since_ms != 0
					   ? data_ms(s)
					   : command_ms(s, UINT32_MAX));
	} else
		return;
	/* An answer that comes counts as progress of the client's. */
	s->progress = smtp_in_waiting(s->in) || s->txn.spilling || gatekeeper_holds(s);
}

void
session_run(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);
	const char *p;
	size_t n, used;

	/* From inside perform(): the loop below goes on by itself. */
	if (s->running)
		return;
	s->running = 1;
	gatekeeper_input(s);
	perform_all(s);
	while (can_read(s)) {
		if (s->url_fd != -1) {
			int fed = burl_feed(s);

			perform_all(s);
			if (!fed)
				break;
			continue;
		}
		if ((n = first_chunk(in, &p)) == 0)
			break;
		used = smtp_in_input(s->in, p, n);
		if (used > 0 && smtp_in_in_data(s->in)) {
			s->progress = 1;
			s->data_octets += used;
		}
		perform_all(s);
		if (s->handshake)
			break; /* the rest of the plain input is gone */
		evbuffer_drain(in, used);
		if (used == 0)
			break;
	}
	s->running = 0;
	if (s->eof && !s->closing && !smtp_in_waiting(s->in) && !s->txn.spilling &&
	    (s->handshake || evbuffer_get_length(in) == 0))
		s->closing = 1;
	if (s->closing) {
		session_close(s);
		return;
	}
	set_deadline(s);
}

static int
has_certificate(const struct session *s)
{
	uint8_t certificate[CERTIFICATE_MAX];

	return s->certificates &&
	       conn_tls_peer_certificate(s->conn, certificate, sizeof(certificate)) > 0;
}

static void
on_conn(struct conn *c, enum conn_event what, void *arg)
{
	struct session *s = arg;

	switch (what) {
	case CONN_TLS_READY:
		s->handshake = 0;
		s->progress = 1;
		if (has_certificate(s))
			smtp_in_certificate(s->in);
		if (s->implicit)
			smtp_in_start(s->in);
		else {
			ask_logout(s);
			smtp_in_tls_ready(s->in);
		}
		s->implicit = 0;
		break;
	case CONN_EOF:
		s->eof = 1;
		break;
	case CONN_TIMEOUT:
		if (s->handshake) {
			session_drop(s);
			return;
		}
		smtp_in_timeout(s->in);
		break;
	case CONN_ERROR:
		log_fact(LOG_SMTP, LOGL_DEBUG, "disconnect", KS("client", s->client),
		    KU("session", s->id), KS("reason", conn_error(c)));
		session_drop(s);
		return;
	case CONN_MARK:
	case CONN_CONNECTED:
	case CONN_INPUT:
	case CONN_LOW_WATER:
		break;
	}
	session_run(s);
}

void
session_stop_all(void (*cb)(void))
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (smtp_in_committing(s->in))
			continue;
		if (s->handshake)
			session_drop(s);
		else {
			smtp_in_shutdown(s->in);
			session_run(s);
		}
	}
	all_gone = cb;
	if (TAILQ_EMPTY(&sessions))
		cb();
}

void
session_login_ended(uint64_t channel, uint64_t login)
{
	struct session *s;

	TAILQ_FOREACH (s, &sessions, entry)
		if (s->login == login && s->login_channel == channel)
			break;
	if (s == NULL || login == 0)
		return;
	log_fact(LOG_LOGIN, LOGL_INFO, "logout", KS("proto", "smtp"),
	    KS("user", s->login_address), KS("client", s->client),
	    KS("end", "ended by authd"));
	/* Its end is near anyway, and known to the queue. */
	if (smtp_in_committing(s->in)) {
		s->login_ended = 1;
		return;
	}
	smtp_in_login_ended(s->in);
	session_run(s);
}

void
session_reply_committed(
    struct session *s, int code, const char *enhanced, const char *text)
{
	smtp_in_commit_answer(s->in, code, enhanced, text);
	if (s->login_ended) {
		perform_all(s);
		smtp_in_login_ended(s->in);
	}
	/* Stopping: this was what we waited for. */
	if (all_gone != NULL) {
		perform_all(s);
		smtp_in_shutdown(s->in);
	}
}

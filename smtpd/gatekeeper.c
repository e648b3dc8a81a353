/* SPDX-License-Identifier: ISC */
/* The gate at work; see gatekeeper.h. */
#include "smtpd/gatekeeper.h"

#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/dnsrr.h"
#include "smtpd/dnsbl.h"
#include "smtpd/gate.h"
#include "smtpd/limit.h"
#include "smtpd/rate.h"
#include "smtpd/session_internal.h"
#include "smtpd/smtp_gate.h"

#define LISTS_MAX 16
#define TEXT_MAX 300

/* The configuration; sessions hold on to the one that they began with. */
struct gate_conf {
	uint32_t users;
	struct msg_conf_gate c;
	size_t n_lists;
	struct msg_conf_dnslist lists[LISTS_MAX];
};

/* One list and one client. */
struct inquiry {
	struct session *session;
	const struct msg_conf_dnslist *list;
	struct ask ask;
	uint8_t listed;
	char *text; /* NULL: none */
};

struct gatekeeper {
	struct gate_conf *conf;
	struct event *timer;
	uint8_t holds;
	uint8_t greeting; /* what is held is the greeting */
	uint8_t stranger; /* no submission */
	uint8_t talked;
	uint8_t waits;   /* rcpt is to be answered when the DNS has answered */
	uint8_t refuses; /* rcpt, with reply, unless an access list allows the client */
	const char *rcpt;
	uint32_t errors;
	uint32_t refused;
	int32_t score;
	char *reply; /* the log's action borrows it */
	char *mark;  /* why mail is junk; NULL: it is not */
	size_t n;
	struct inquiry inquiries[];
};

struct gatekeeper_stats gatekeeper_stats;
static struct gate_conf *conf, *staged;

/* ---- configuration ---- */

static void
conf_put(struct gate_conf *c)
{
	if (c != NULL && --c->users == 0)
		free(c);
}

void
gatekeeper_conf_begin(void)
{
	conf_put(staged);
	if ((staged = calloc(1, sizeof(*staged))) == NULL)
		log_warnx("no memory for the gate: it is open");
	else
		staged->users = 1;
}

void
gatekeeper_conf(const struct msg_conf_gate *c)
{
	if (staged != NULL)
		staged->c = *c;
}

void
gatekeeper_conf_list(const struct msg_conf_dnslist *l)
{
	if (staged != NULL && staged->n_lists < LISTS_MAX)
		staged->lists[staged->n_lists++] = *l;
}

void
gatekeeper_conf_adopt(void)
{
	conf_put(conf);
	conf = staged;
	staged = NULL;
}

/* ---- rates ---- */

static int
is_exempt(const struct sockaddr *sa, enum listener_kind kind)
{
	if (kind != LISTENER_SMTP && kind != LISTENER_SUBMISSION)
		return 1;
	return smtpd_conf()->trust_loopback && limit_is_loopback(sa);
}

int
gatekeeper_admit(const struct sockaddr *sa, enum listener_kind kind)
{
	uint8_t key[RATE_KEY];

	if (conf == NULL || conf->c.connection_rate == 0 || is_exempt(sa, kind))
		return 0;
	rate_key(sa, conf->c.ipv4_prefix, key);
	if (rate_take(COUNTS_CONNECTIONS, key, conf->c.connection_rate,
		conf->c.rate_period_s * 1000ull, now_ms()) == 0)
		return 0;
	gatekeeper_stats.rates++;
	return -1;
}

void
gatekeeper_message(struct session *s)
{
	const struct msg_conf_gate *c;
	uint8_t key[RATE_KEY];

	if (s->gate == NULL || s->gate->conf->c.message_rate == 0)
		return;
	c = &s->gate->conf->c;
	rate_key((const struct sockaddr *)&s->peer, c->ipv4_prefix, key);
	(void)rate_take(
	    COUNTS_MESSAGES, key, c->message_rate, c->rate_period_s * 1000ull, now_ms());
}

static int
too_many_messages(const struct session *s)
{
	const struct msg_conf_gate *c = &s->gate->conf->c;
	uint8_t key[RATE_KEY];

	if (c->message_rate == 0)
		return 0;
	rate_key((const struct sockaddr *)&s->peer, c->ipv4_prefix, key);
	return rate_is_over(
	    COUNTS_MESSAGES, key, c->message_rate, c->rate_period_s * 1000ull, now_ms());
}

/* ---- the DNS ---- */

static void
inquire(struct inquiry *q, uint16_t rrtype, channel_answer_cb cb)
{
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup m = { .rrtype = rrtype };
	const uint8_t *ip = NULL;
	size_t len = session_client_ip(q->session, &ip);

	if (ch == NULL || len == 0 ||
	    dnsbl_name(ip, len, q->list->zone, m.name, sizeof(m.name)) == -1)
		return;
	q->ask.channel = channel_serial(ch);
	q->ask.id = channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &m, -1,
	    q->session->gate->conf->c.dnsbl_timeout_ms, cb, q);
}

static int
checks_name(const struct gatekeeper *g)
{
	return g->conf->c.no_reverse != 0 || g->conf->c.unconfirmed_reverse != 0;
}

static int
is_pending(const struct session *s)
{
	const struct gatekeeper *g = s->gate;

	for (size_t i = 0; i < g->n; i++)
		if (g->inquiries[i].ask.id != 0)
			return 1;
	return checks_name(g) && s->dns.id != 0;
}

void
gatekeeper_name_known(struct session *s)
{
	struct gatekeeper *g = s->gate;

	if (g == NULL || !g->waits || is_pending(s))
		return;
	g->waits = 0;
	ask_rcpt(s, g->rcpt);
	session_run(s);
}

static void
on_text(struct msg *m, void *arg)
{
	struct inquiry *q = arg;
	char text[TEXT_MAX];

	q->ask.id = 0;
	if (m != NULL && m->p.dns_answer.status == DNS_OK) {
		dnsbl_text(m->p.dns_answer.records, m->p.dns_answer.records_len, text,
		    sizeof(text));
		if (text[0] != '\0')
			q->text = strdup(text);
	}
	gatekeeper_name_known(q->session);
}

/* No answer is no verdict: a list that is out of order must not cost mail. */
static void
on_list(struct msg *m, void *arg)
{
	struct inquiry *q = arg;

	q->ask.id = 0;
	if (m != NULL && m->p.dns_answer.status == DNS_OK &&
	    dnsbl_is_listed(
		q->list->answers, m->p.dns_answer.records, m->p.dns_answer.records_len)) {
		q->listed = 1;
		if (!q->list->white)
			inquire(q, DNSRR_TXT, on_text);
	}
	gatekeeper_name_known(q->session);
}

/* ---- waiting ---- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct gatekeeper *g = s->gate;

	g->holds = 0;
	if (g->greeting) {
		g->greeting = 0;
		smtp_in_start(s->in);
	}
	session_run(s);
}

static int
hold(struct session *s, uint32_t seconds)
{
	struct gatekeeper *g = s->gate;
	struct timeval tv = { .tv_sec = seconds };

	if (g->timer == NULL)
		g->timer = event_new(daemon_base(), -1, 0, on_timer, s);
	if (g->timer == NULL || event_add(g->timer, &tv) == -1)
		return -1;
	g->holds = 1;
	return 0;
}

int
gatekeeper_holds(const struct session *s)
{
	return s->gate != NULL && s->gate->holds;
}

void
gatekeeper_input(struct session *s)
{
	struct gatekeeper *g = s->gate;
	char buf[SMTP_REPLY_MAX];
	size_t n;

	if (g == NULL || !g->greeting || g->talked ||
	    evbuffer_get_length(conn_input(s->conn)) == 0)
		return;
	g->talked = 1;
	gatekeeper_stats.early++;
	n = smtp_reply_put(
	    buf, 0, sizeof(buf), SMTP_REPLY_TALKED_EARLY, smtpd_in_conf()->hostname);
	(void)conn_write(s->conn, buf, n);
	log_fact(LOG_SMTP, LOGL_INFO, "refused", KS("client", s->client),
	    KU("code", smtp_reply_code(SMTP_REPLY_TALKED_EARLY)),
	    KS("enhanced", smtp_reply_enhanced(SMTP_REPLY_TALKED_EARLY)),
	    KS("reason", "it talked before the greeting"));
	s->closing = 1;
}

void
gatekeeper_replied(struct session *s, const char *reply, size_t len)
{
	struct gatekeeper *g = s->gate;
	const struct msg_conf_gate *c;
	uint8_t key[RATE_KEY];
	int offends;

	if (g == NULL || g->conf->c.tarpit_s == 0 || len == 0 ||
	    (*reply != '4' && *reply != '5') || g->holds)
		return;
	c = &g->conf->c;
	/* A new connection does not make an offender a good one. */
	rate_key((const struct sockaddr *)&s->peer, c->ipv4_prefix, key);
	offends = rate_take(COUNTS_ERRORS, key, c->tarpit_errors + 1,
		      c->rate_period_s * 1000ull, now_ms()) == -1;
	if (++g->errors > c->tarpit_errors || offends)
		(void)hold(s, c->tarpit_s);
}

/* ---- a session ---- */

static int
has_work(const struct gate_conf *c, int stranger)
{
	const struct msg_conf_gate *g = &c->c;

	if (g->message_rate != 0 || g->tarpit_s != 0 || g->refused_rcpts_max != 0)
		return 1;
	return stranger &&
	       (g->greet_wait_s != 0 || c->n_lists > 0 || g->own_name != 0 ||
		   g->wrong_literal != 0 || g->no_name != 0 || g->no_reverse != 0 ||
		   g->unconfirmed_reverse != 0 || g->greylist);
}

int
gatekeeper_start(struct session *s, int implicit_tls)
{
	int stranger = s->kind == LISTENER_SMTP;
	size_t n;
	struct gatekeeper *g;

	if (conf == NULL || s->gate != NULL ||
	    is_exempt((const struct sockaddr *)&s->peer, s->kind) ||
	    !has_work(conf, stranger))
		return 0;
	n = stranger ? conf->n_lists : 0;
	if ((g = calloc(1, sizeof(*g) + n * sizeof(g->inquiries[0]))) == NULL)
		return 0;
	s->gate = g;
	g->conf = conf;
	conf->users++;
	g->stranger = (uint8_t)stranger;
	g->n = n;
	for (size_t i = 0; i < n; i++) {
		g->inquiries[i].session = s;
		g->inquiries[i].list = &conf->lists[i];
		inquire(&g->inquiries[i], DNSRR_A, on_list);
	}
	if (stranger && !implicit_tls && conf->c.greet_wait_s != 0 &&
	    hold(s, conf->c.greet_wait_s) == 0)
		g->greeting = 1;
	return g->greeting;
}

void
gatekeeper_free(struct gatekeeper *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->n; i++) {
		ask_forget(&g->inquiries[i].ask);
		free(g->inquiries[i].text);
	}
	if (g->timer != NULL)
		event_free(g->timer);
	free(g->reply);
	free(g->mark);
	conf_put(g->conf);
	free(g);
}

/* ---- at RCPT ---- */

static void
decide(const struct session *s, struct gate_decision *d)
{
	struct gatekeeper *g = s->gate;
	struct gate_hit hits[LISTS_MAX];
	struct gate_facts f = { .hostname = smtpd_in_conf()->hostname,
		.helo = smtp_in_helo(s->in),
		.client = s->client,
		.reverse = (enum gate_reverse)s->reverse,
		.hits = hits };

	f.ip_len = session_client_ip(s, &f.ip);
	for (size_t i = 0; i < g->n; i++) {
		struct inquiry *q = &g->inquiries[i];

		if (!q->listed)
			continue;
		hits[f.n_hits].list = q->list;
		hits[f.n_hits++].text = q->text == NULL ? "" : q->text;
	}
	gate_decide(&g->conf->c, &f, d);
}

static int
refuse(
    struct session *s, const char *rcpt, int code, const char *enhanced, const char *text)
{
	free(s->gate->reply);
	if ((s->gate->reply = strdup(text)) == NULL)
		return 0;
	smtp_in_rcpt_refuse(s->in, rcpt, code, enhanced, s->gate->reply);
	return 1;
}

int
gatekeeper_rcpt(struct session *s, const char *address)
{
	struct gatekeeper *g = s->gate;
	struct gate_decision d;

	if (g == NULL)
		return 0;
	g->rcpt = address;
	g->refuses = 0;
	if (too_many_messages(s)) {
		gatekeeper_stats.rates++;
		return refuse(s, address, 450, "4.7.1",
		    "Too many messages from your network in a short time, try again "
		    "later");
	}
	if (!g->stranger || s->login != 0 || gate_is_open_for(address))
		return 0;
	if (is_pending(s)) {
		g->waits = 1;
		return 1;
	}
	decide(s, &d);
	g->score = d.score;
	free(g->mark);
	g->mark = d.verdict == GATE_JUNK ? strdup(d.why) : NULL;
	if (d.verdict == GATE_REFUSE) {
		free(g->reply);
		g->reply = strdup(d.reply);
		g->refuses = 1;
	}
	return 0;
}

int
gatekeeper_rcpt_known(struct session *s, int allowed)
{
	struct gatekeeper *g = s->gate;

	if (g == NULL)
		return 0;
	/* One recipient's list says nothing for the others. */
	if (allowed == RCPT_ALLOWED) {
		free(g->mark);
		g->mark = NULL;
	}
	if (allowed || !g->refuses)
		return 0;
	g->refuses = 0;
	gatekeeper_stats.refused++;
	smtp_in_rcpt_refuse(s->in, g->rcpt, 554, "5.7.1",
	    g->reply != NULL ? g->reply
			     : "Refused for reasons that no memory is left for");
	return 1;
}

void
gatekeeper_refused(struct session *s)
{
	struct gatekeeper *g = s->gate;

	if (g == NULL || g->conf->c.refused_rcpts_max == 0 ||
	    ++g->refused < g->conf->c.refused_rcpts_max)
		return;
	smtp_in_refused_too_many(s->in);
}

int
gatekeeper_greylists(const struct session *s, const char *address)
{
	const struct gatekeeper *g = s->gate;

	return g != NULL && g->stranger && g->conf->c.greylist && s->login == 0 &&
	       !g->refuses && g->score >= 0 && !gate_is_open_for(address);
}

void
gatekeeper_mark(struct session *s)
{
	struct gatekeeper *g = s->gate;
	char field[600], *p;
	int n;

	if (g == NULL || g->mark == NULL || s->login != 0 ||
	    s->txn.disposition == DISPOSITION_QUARANTINE)
		return;
	s->txn.disposition = DISPOSITION_JUNK;
	gatekeeper_stats.marked++;
	n = snprintf(field, sizeof(field), "X-Fife-Gate: score=%d;\r\n\t%s\r\n",
	    (int)g->score, g->mark);
	if (n < 0 || (size_t)n >= sizeof(field) ||
	    (p = realloc(s->txn.headers, s->txn.headers_len + (size_t)n)) == NULL)
		return;
	memcpy(p + s->txn.headers_len, field, (size_t)n);
	s->txn.headers = p;
	s->txn.headers_len += (size_t)n;
}

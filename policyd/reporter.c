/* SPDX-License-Identifier: ISC */
/* Reports on TLS, when and to whom; see reporter.h. */
#include "policyd/reporter.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "common/proto/dnsrr.h"
#include "common/proto/tlsrpt.h"
#include "policyd/fetch.h"
#include "policyd/report.h"
#include "policyd/rua.h"
#include "policyd/store.h"
#include "policyd/tally_file.h"

#define DAY_S 86400
#define TICK_S 30
#define DELAY_MAX_S 14400 /* RFC 8460, 4.1 */
#define DNS_TIMEOUT_MS 30000
#define QUEUED_TIMEOUT_MS 300000
#define AT_ONCE_MAX 8
#define RETRY_S 900
#define GIVE_UP_S DAY_S /* 5.5 */
#define OUT ".report"

/* A command that waits for its reports. */
struct order {
	struct ctl *ctl; /* NULL: fifectl has gone */
	unsigned int left;
};

/* One report on its way. */
struct sending {
	struct tally *tally;
	struct rua ruas[RUA_MAX];
	int n_ruas;
	unsigned int open; /* places that have not answered yet */
	unsigned int taken;
	unsigned char *packed;
	size_t packed_len;
	char id[512];
	char why[200];
};

/* Of one place. */
struct attempt {
	struct sending *sending;
	const struct rua *rua;
};

static int on;
static unsigned int n_sending;
static struct event *tick;
static uint32_t delay_s;
static uint64_t n_sent;

uint64_t
reporter_sent(void)
{
	return n_sent;
}

/* The administrator's address, which the reports name. */
static void
contact(char out[321])
{
	const struct msg_conf *c = daemon_conf();

	if (strchr(c->postmaster, '@') != NULL)
		strlcpy(out, c->postmaster, 321);
	else
		snprintf(out, 321, "postmaster@%.250s", c->hostname);
}

/* ---- counting ---- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* RFC 8460, 4.5; sorted, since name servers turn them round. */
static void
tlsa_strings(const struct msg_tls_result *m, char *out, size_t cap)
{
	static char lines[16][600];
	struct dnsrr rr;
	size_t off = 0, n = 0;

	out[0] = '\0';
	while (n < 16 && dnsrr_next(m->tlsa, m->tlsa_len, &off, &rr) == 1) {
		size_t len;

		if (rr.type != DNSRR_TLSA || rr.len < 4 || rr.len > 3 + 256)
			continue;
		len = (size_t)snprintf(lines[n], sizeof(lines[n]), "%u %u %u ",
		    rr.data[0], rr.data[1], rr.data[2]);
		for (size_t i = 3; i < rr.len; i++, len += 2)
			snprintf(
			    lines[n] + len, sizeof(lines[n]) - len, "%02X", rr.data[i]);
		n++;
	}
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++) {
		strlcat(out, i > 0 ? ";" : "", cap);
		strlcat(out, lines[i], cap);
	}
}

static void
sts_strings(const struct policy *p, char *out, size_t cap)
{
	static const char *const modes[] = { "none", "testing", "enforce" };
	const char *mx = p->mx;
	size_t n;

	n = (size_t)snprintf(out, cap, "version: STSv1;mode: %s", modes[p->mode]);
	while (*mx != '\0' && n < cap) {
		int len = (int)strcspn(mx, " ");

		n += (size_t)snprintf(out + n, cap - n, ";mx: %.*s", len, mx);
		mx += len;
		mx += strspn(mx, " ");
	}
	if (n < cap)
		snprintf(out + n, cap - n, ";max_age: %u", p->max_age_s);
}

static int
is_domain(const char *s)
{
	return s[0] != '\0' && address_domain_valid_loose(s, strlen(s));
}

static void
count(const struct tally_event *e)
{
	static int told;

	if (tally_file_count(e, wall_s()) == 0)
		return;
	if (!told)
		log_warnx("more is going on than TLS reports can be made of: %zu domains",
		    tally_total());
	told = 1;
}

void
reporter_count(const struct msg_tls_result *m)
{
	static char strings[TALLY_STRINGS_MAX + 1];
	char domain[256], policy_domain[256], sending[64], ip[64], mx[256], helo[256],
	    reason[256];
	struct tally_event e = { .policy = m->policy,
		.result = m->result,
		.domain = domain,
		.policy_domain = policy_domain,
		.strings = strings,
		.sts_mx = "",
		.sending_ip = sending,
		.mx = mx,
		.ip = ip,
		.helo = helo,
		.reason = reason,
		.count = 1 };
	const struct stored *s;

	if (!on || tlsrpt_policy_name(m->policy) == NULL ||
	    tlsrpt_result_name(m->result) == NULL ||
	    address_domain_ascii(m->domain, domain, sizeof(domain)) == -1 ||
	    address_domain_ascii(
		m->policy_domain, policy_domain, sizeof(policy_domain)) == -1 ||
	    !is_domain(domain) || !is_domain(policy_domain))
		return;
	tally_clean(m->sending_ip, sending, sizeof(sending));
	tally_clean(m->receiving_ip, ip, sizeof(ip));
	tally_clean(m->mx, mx, sizeof(mx));
	tally_clean(m->helo, helo, sizeof(helo));
	tally_clean(m->reason, reason, sizeof(reason));
	strings[0] = '\0';
	if (m->policy == TLSRPT_TLSA)
		tlsa_strings(m, strings, sizeof(strings));
	else if (m->policy == TLSRPT_STS && (s = store_find(domain, wall_s())) != NULL) {
		sts_strings(&s->policy, strings, sizeof(strings));
		e.sts_mx = s->policy.mx;
	}
	count(&e);
}

void
reporter_count_fetch(const char *domain, uint8_t result, const char *why)
{
	char reason[256];
	struct tally_event e = { .policy = TLSRPT_STS,
		.result = result,
		.domain = domain,
		.policy_domain = domain,
		.strings = "",
		.sts_mx = "",
		.sending_ip = "",
		.mx = "",
		.ip = "",
		.helo = "",
		.reason = reason,
		.count = 1 };

	if (!on || !is_domain(domain))
		return;
	tally_clean(why, reason, sizeof(reason));
	count(&e);
}

/* ---- one report ---- */

static void
order_done(struct order *o, const char *domain, const char *what, const char *why)
{
	if (o == NULL)
		return;
	if (o->ctl != NULL && domain != NULL) {
		ctl_row(o->ctl, CTL_TABLE);
		ctl_str(o->ctl, "domain", domain);
		ctl_str(o->ctl, "result", what);
		ctl_str(o->ctl, "why", why);
		ctl_row_end(o->ctl);
	}
	if (--o->left > 0)
		return;
	if (o->ctl != NULL)
		ctl_done(o->ctl, CTL_OK, NULL);
	free(o);
}

/* done: it is not tried again. what: of a command's answer. */
static void
report_over(struct sending *s, int done, const char *what)
{
	struct tally *t = s->tally;
	struct order *o = t->order;
	int64_t now = wall_s();

	t->busy = false;
	t->order = NULL;
	n_sending--;
	order_done(o, t->domain, what, s->why);
	if (!done && now - t->first_try >= GIVE_UP_S) {
		log_fact(LOG_HOST, LOGL_WARN, "tls-report-failed",
		    KS("domain", t->domain), KS("why", s->why));
		done = 1;
	}
	if (done)
		tally_file_done(t);
	else
		t->next_try = now + (RETRY_S << (t->tries < 5 ? t->tries++ : 5));
	free(s->packed);
	free(s);
}

static void
place_over(struct attempt *a, int taken, const char *why)
{
	struct sending *s = a->sending;
	const struct rua *r = a->rua;

	if (taken) {
		s->taken++;
		n_sent++;
		log_fact(LOG_HOST, LOGL_INFO, "tls-report",
		    KS("domain", s->tally->domain),
		    KS("to", r->scheme == RUA_MAILTO ? r->address : r->host),
		    KS("id", s->id));
	} else {
		strlcpy(s->why, why, sizeof(s->why));
		log_fact(LOG_HOST, LOGL_INFO, "tls-report-deferred",
		    KS("domain", s->tally->domain),
		    KS("to", r->scheme == RUA_MAILTO ? r->address : r->host),
		    KS("why", why));
	}
	free(a);
	if (--s->open > 0)
		return;
	if (s->taken > 0)
		s->why[0] = '\0';
	report_over(s, s->taken > 0, s->taken > 0 ? "sent" : "not sent");
}

static void
on_queued(struct msg *m, void *arg)
{
	place_over(arg, m != NULL && m->p.status.status == MSG_OK,
	    m == NULL                     ? "the queue does not answer"
	    : m->p.status.text[0] != '\0' ? m->p.status.text
					  : "the queue does not take it");
}

static void
on_posted(const char *text, size_t len, const char *why, int untrusted, void *arg)
{
	place_over(arg, text != NULL, why);
}

/* In a file that has no name any more: to be read by queued. */
static int
report_file(const struct sending *s)
{
	int fd, rd;

	(void)unlink(OUT);
	fd = open(OUT, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	rd = fd == -1 ? -1 : open(OUT, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	(void)unlink(OUT);
	if (rd != -1 && write(fd, s->packed, s->packed_len) != (ssize_t)s->packed_len) {
		close(rd);
		rd = -1;
	}
	if (rd == -1)
		log_warn("a TLS report cannot be written");
	if (fd != -1)
		close(fd);
	return rd;
}

static int
start_mail(const struct sending *s, const struct rua *r, struct attempt *a)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_tls_report m = {
		.start = s->tally->since, .end = s->tally->to, .size = s->packed_len
	};
	int fd;

	if (ch == NULL || (fd = report_file(s)) == -1)
		return -1;
	strlcpy(m.domain, s->tally->domain, sizeof(m.domain));
	strlcpy(m.to, r->address, sizeof(m.to));
	strlcpy(m.report_id, s->id, sizeof(m.report_id));
	return channel_ask(ch, MSG_POLICYD_QUEUED_REPORT, &m, fd, QUEUED_TIMEOUT_MS,
		   on_queued, a) == 0
		   ? -1
		   : 0;
}

static void
send_all(struct sending *s)
{
	s->open = 1; /* this function itself */
	for (int i = 0; i < s->n_ruas; i++) {
		const struct rua *r = &s->ruas[i];
		struct attempt *a = calloc(1, sizeof(*a));
		int rc = -1;

		if (a == NULL)
			continue;
		a->sending = s;
		a->rua = r;
		s->open++;
		if (r->scheme == RUA_MAILTO)
			rc = start_mail(s, r, a);
		else if (fetch_post(r->host, r->path, s->packed, s->packed_len, on_posted,
			     a) != NULL)
			rc = 0;
		if (rc == -1)
			place_over(a, 0, "it cannot be handed over now");
	}
	if (--s->open == 0)
		report_over(s, s->taken > 0, s->taken > 0 ? "sent" : "not sent");
}

static void
make_and_send(struct sending *s)
{
	struct evbuffer *json = evbuffer_new();
	const char *hostname = daemon_conf()->hostname;
	char address[321];

	contact(address);
	report_id(s->tally, hostname, s->id, 256);
	if (json != NULL && report_json(s->tally, hostname, address, json) == 0)
		s->packed = report_gzip(json, &s->packed_len);
	if (json != NULL)
		evbuffer_free(json);
	if (s->packed == NULL) {
		strlcpy(s->why, "the report cannot be made", sizeof(s->why));
		report_over(s, 0, "not sent");
	} else
		send_all(s);
}

static void
on_record(struct msg *m, void *arg)
{
	const struct msg_dns_answer *a = m != NULL ? &m->p.dns_answer : NULL;
	struct sending *s = arg;
	struct rua ruas[RUA_MAX];
	struct dnsrr rr;
	size_t off = 0;
	int n, records = 0;

	if (a == NULL || (a->status != DNS_OK && a->status != DNS_NXDOMAIN &&
			     a->status != DNS_NODATA)) {
		strlcpy(s->why, "the record cannot be looked up", sizeof(s->why));
		report_over(s, 0, "not sent");
		return;
	}
	while (a->status == DNS_OK &&
	       dnsrr_next(a->records, a->records_len, &off, &rr) == 1) {
		if (rr.type != DNSRR_TXT || (n = rua_parse(rr.data, rr.len, ruas)) == -1)
			continue;
		records++;
		s->n_ruas = n;
		memcpy(s->ruas, ruas, sizeof(ruas));
	}
	/* RFC 8460, 3: several are none. */
	if (records == 1 && s->n_ruas > 0) {
		make_and_send(s);
		return;
	}
	strlcpy(s->why,
	    records == 0  ? "the domain wants none"
	    : records > 1 ? "the domain has several records"
			  : "the record names no place that can be used",
	    sizeof(s->why));
	report_over(s, 1, "not wanted");
}

/* 0; -1: not now. */
static int
report_start(struct tally *t)
{
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct sending *s = calloc(1, sizeof(*s));
	struct msg_dns_lookup q = { .rrtype = DNSRR_TXT };
	int64_t now = wall_s(), end = ((int64_t)t->day + 1) * DAY_S - 1;

	if (s == NULL)
		return -1;
	s->tally = t;
	if (snprintf(q.name, sizeof(q.name), "_smtp._tls.%s", t->domain) >=
		(int)sizeof(q.name) ||
	    ch == NULL ||
	    channel_ask(ch, MSG_ANY_DNSD_LOOKUP, &q, -1, DNS_TIMEOUT_MS, on_record, s) ==
		0) {
		free(s);
		return -1;
	}
	if (t->to == 0)
		tally_file_close_tally(t, now < end ? now : end);
	if (t->first_try == 0)
		t->first_try = now;
	t->busy = true;
	n_sending++;
	return 0;
}

/* ---- when ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = wall_s();
	struct tally *t, *next;

	for (t = tally_first(); t != NULL && n_sending < AT_ONCE_MAX; t = next) {
		int64_t end = ((int64_t)t->day + 1) * DAY_S;

		next = tally_next(t);
		if (t->busy || now < t->next_try)
			continue;
		/* One that was closed before its day's end is wanted now. */
		if (t->to == 0 && now < end + delay_s)
			continue;
		if (!on && t->to == 0)
			tally_file_done(t);
		else if (report_start(t) == -1)
			break;
	}
	if (n_sending > 0) {
		struct timeval soon = { 1, 0 };

		evtimer_add(tick, &soon);
	} else {
		struct timeval tv = { TICK_S, 0 };

		evtimer_add(tick, &tv);
	}
}

void
reporter_open(int wanted)
{
	on = wanted;
	/* Not everybody at midnight. */
	delay_s = 1 + arc4random_uniform(DELAY_MAX_S);
	tally_file_open();
	if ((tick = evtimer_new(daemon_base(), on_tick, NULL)) != NULL)
		on_tick(-1, 0, NULL);
}

void
reporter_set(int wanted)
{
	on = wanted;
}

void
reporter_stop(void)
{
	tally_file_flush();
}

/* ---- fifectl ---- */

static const char *
state_of(const struct tally *t)
{
	return t->busy                     ? "being sent"
	       : t->first_try != 0         ? "waits for another try"
	       : t->to != 0                ? "to be sent"
	       : t->day < wall_s() / DAY_S ? "to be sent"
					   : "counting";
}

static void
show_row(struct ctl *c, const struct tally *t, const struct tally_policy *p,
    const struct tally_detail *d, uint64_t sessions)
{
	ctl_row(c, CTL_TABLE);
	ctl_time(c, "since", t->since);
	ctl_str(c, "domain", t->domain);
	ctl_str(c, "policy", tlsrpt_policy_name(p->type));
	ctl_str(c, "policy-domain", p->domain);
	ctl_u64(c, "sessions", sessions);
	ctl_str(c, "result", d != NULL ? tlsrpt_result_name(d->result) : "success");
	ctl_str(c, "mx", d != NULL ? d->mx : "");
	ctl_str(c, "ip", d != NULL ? d->ip : "");
	ctl_str(c, "reason", d != NULL ? d->reason : "");
	ctl_row_end(c);
}

void
reporter_show(struct ctl *c, int argc, char **argv)
{
	unsigned int rows = 0;

	for (struct tally *t = tally_first(); t != NULL; t = tally_next(t)) {
		if (argc > 0 && strcmp(argv[0], t->domain) != 0)
			continue;
		for (struct tally_policy *p = t->policies; p != NULL; p = p->next) {
			rows++;
			if (argc > 0) {
				if (p->success > 0)
					show_row(c, t, p, NULL, p->success);
				for (struct tally_detail *d = p->details; d != NULL;
				     d = d->next)
					show_row(c, t, p, d, d->count);
				continue;
			}
			ctl_row(c, CTL_TABLE);
			ctl_time(c, "since", t->since);
			ctl_str(c, "domain", t->domain);
			ctl_str(c, "policy", tlsrpt_policy_name(p->type));
			ctl_u64(c, "success", p->success);
			ctl_u64(c, "failure", p->failure);
			ctl_str(c, "state", state_of(t));
			ctl_row_end(c);
		}
	}
	if (argc > 0 && rows == 0)
		ctl_done(c, CTL_REFUSED, "%s: nothing is counted", argv[0]);
	else
		ctl_done(c, CTL_OK, NULL);
}

static void
on_gone(struct ctl *c, void *arg)
{
	struct order *o = arg;

	o->ctl = NULL;
}

void
reporter_send(struct ctl *c, int argc, char **argv)
{
	int now = argc > 0 && strcmp(argv[0], "--now") == 0;
	const char *domain = argc > now ? argv[now] : NULL;
	int32_t today = (int32_t)(wall_s() / DAY_S);
	struct order *o;
	struct tally *t, *next;
	unsigned int n = 0;

	if (argc > now + 1) {
		ctl_done(c, CTL_USAGE, "tlsrpt send [--now] [domain]");
		return;
	}
	if ((o = calloc(1, sizeof(*o))) == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "out of memory");
		return;
	}
	o->ctl = c;
	o->left = 1; /* this function itself */
	for (t = tally_first(); t != NULL; t = next) {
		next = tally_next(t);
		if (t->busy || (domain != NULL && strcmp(domain, t->domain) != 0) ||
		    (t->to == 0 && t->day >= today && !now))
			continue;
		if (n_sending >= AT_ONCE_MAX) {
			/* With the next tick. */
			if (t->to == 0)
				tally_file_close_tally(t, wall_s());
			t->next_try = 0;
			continue;
		}
		if (report_start(t) == -1)
			continue;
		t->order = o;
		o->left++;
		n++;
	}
	if (n == 0 && domain != NULL) {
		free(o);
		ctl_done(c, CTL_REFUSED, "%s: there is nothing to report", domain);
		return;
	}
	ctl_on_gone(c, on_gone, o);
	order_done(o, NULL, "", "");
}

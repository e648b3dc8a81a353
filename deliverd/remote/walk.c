/* SPDX-License-Identifier: ISC */
/*
 * Where a job goes: by its route, or by the hosts of the domain in the order of
 * RFC 5321, 5.1, one address after another until one takes the message or says
 * something that no other host would change. What TLS a host must offer is
 * settled for each host before it is called (tlspolicy.h).
 *
 *	resolve -> hosts (and the MTA-STS policy) -> for each host: TLSA -> policy ->
 *session all hosts failed -> the fallback of the route, if it is due -> resolve
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "common/proto/dnsrr.h"
#include "deliverd/remote/remote.h"

#define DNS_TIMEOUT_MS 60000
#define TRIES_MAX 10
#define LOOPS_BACK                                                               \
	"The mail hosts of this domain lead back to the sending host: tell the " \
	"postmaster of the domain."

static void connect_next(struct job *);
static void resolve(struct job *);

static void
give_up(struct job *j, enum job_status status, const char *enhanced, const char *text)
{
	job_result_rest(j, status, enhanced, "", "", text);
	job_end(j);
}

/* ---- the route ---- */

static int
use_route(struct job *j, const char *text)
{
	const char *why;

	if (text[0] == '\0')
		text = "mx";
	if (route_parse(text, &j->route, &why) == -1) {
		log_warnx("route %s: %s", text, why);
		return -1;
	}
	j->mx = j->route.mx;
	if (j->mx)
		j->route.url.port = remote_conf.smtp_port;
	return 0;
}

static int
use_fallback(struct job *j)
{
	char text[sizeof(j->route.fallback)];

	strlcpy(text, j->route.fallback, sizeof(text));
	log_fact(LOG_DELIVERY, LOGL_INFO, "fallback", KS("qid", j->qid), KS("host", text),
	    KS("why", j->trouble.reply[0] != '\0' ? j->trouble.reply : j->trouble.text));
	j->on_fallback = true;
	strlcpy(j->route_text, text, sizeof(j->route_text));
	j->trouble.set = false;
	j->tries = 0;
	return use_route(j, text);
}

bool
walk_fallback_on(const struct job *j, const char *reply, const char *enhanced)
{
	int code = 0;

	if (j->on_fallback || j->route.n_on == 0)
		return false;
	if (strspn(reply, "0123456789") >= 3)
		code = (reply[0] - '0') * 100 + (reply[1] - '0') * 10 + reply[2] - '0';
	return route_falls_back_on(&j->route, code, enhanced);
}

void
walk_fallback(struct job *j)
{
	job_compact(j);
	if (use_fallback(j) == -1)
		give_up(j, JOB_DEFERRED, "4.3.5", "The route's fallback is not usable.");
	else if (!session_reuse(j))
		resolve(j);
}

/* ---- one host ---- */

static enum tls_floor
floor_of(const struct job *j)
{
	if (j->route.tls != TLS_FLOOR_DEFAULT)
		return j->route.tls;
	if (j->route.url.path[0] != '\0')
		return TLS_FLOOR_NONE; /* it does not leave this host */
	if (j->route.url.scheme == ROUTE_SMTPS || j->route.url.scheme == ROUTE_SMTP_TLS)
		return TLS_FLOOR_VERIFIED;
	if (j->route.url.user[0] != '\0')
		return TLS_FLOOR_VERIFIED; /* a secret is not shown to just anybody */
	if (j->mx)
		return (enum tls_floor)remote_conf.tls;
	return TLS_FLOOR_OPPORTUNISTIC;
}

static bool
wants_tlsa(const struct job *j, const struct dnshost *h)
{
	enum tls_floor f = floor_of(j);

	if (f == TLS_FLOOR_DANE)
		return h->secure && (!j->mx || j->mx_secure);
	return j->mx && j->mx_secure && h->secure && remote_conf.dane &&
	       (f == TLS_FLOOR_OPPORTUNISTIC || f == TLS_FLOOR_REQUIRED);
}

/* No session, since DANE or MTA-STS forbid it. */
static void
report_skipped(const struct job *j, const struct dnshost *h)
{
	if (j->policy.reason == TLS_BY_MTASTS)
		tlsreport_session(j, &j->policy, NULL, h->name, NULL, "",
		    TLSRPT_VALIDATION_FAILURE, "the host is not in the policy");
	else if (j->policy.reason == TLS_BY_DANE)
		tlsreport_session(
		    j, &j->policy, NULL, h->name, NULL, "", TLSRPT_DNSSEC_INVALID, "");
	else if (j->policy.reason == TLS_BY_ROUTE && floor_of(j) == TLS_FLOOR_DANE)
		tlsreport_session(j, &j->policy, NULL, h->name, NULL, "",
		    j->tlsa.state == TLSA_UNUSABLE ? TLSRPT_TLSA_INVALID
						   : TLSRPT_DANE_REQUIRED,
		    "");
}

/* 1 when the host may be called, 0 when it must not be. */
static int
decide(struct job *j, const struct dnshost *h)
{
	struct tlspolicy_facts f = { .floor = floor_of(j),
		.by_mx = j->mx,
		.mx_secure = j->mx_secure,
		.tlsa = j->tlsa.host == (int)j->host_at ? j->tlsa.state : TLSA_NONE,
		.sts = j->mx && remote_conf.mta_sts ? j->sts : STS_NONE,
		/* RFC 8689, 4.2.1: a report of failure is not held to it. */
		.require_tls = j->require_tls && j->sender[0] != '\0',
		.tls_optional = j->tls_optional,
		.have_tls = remote_tls() != NULL };
	struct trouble t = { .set = true };

	f.sts_match = f.sts != STS_NONE && tlspolicy_sts_match(j->sts_mx, h->name);
	tlspolicy_decide(&f, &j->policy);
	if (!j->policy.skip)
		return 1;
	t.status = j->policy.status;
	strlcpy(t.enhanced, j->policy.code, sizeof(t.enhanced));
	strlcpy(t.mta, h->name, sizeof(t.mta));
	snprintf(t.text, sizeof(t.text), "%s (%s)", j->policy.text, h->name);
	log_fact(LOG_DELIVERY, LOGL_INFO, "host-failed", KS("qid", j->qid),
	    KS("host", h->name), KS("code", t.enhanced), KS("why", t.text));
	trouble_keep(j, &t);
	report_skipped(j, h);
	return 0;
}

static void ask_tlsa(struct job *, const struct dnshost *, bool canonical);

static void
take_tlsa(struct job *j, const struct msg_dns_answer *a)
{
	struct dnsrr rr;
	size_t off = 0;
	unsigned int usable = 0, any = 0;

	j->tlsa.len = 0;
	while (dnsrr_next(a->records, a->records_len, &off, &rr) == 1) {
		if (rr.type != DNSRR_TLSA || rr.len < 4)
			continue;
		any++;
		/* RFC 7672, 3.1.3: PKIX usages are of no use in SMTP. */
		if ((rr.data[0] != 2 && rr.data[0] != 3) || rr.data[1] > 1 ||
		    rr.data[2] > 2)
			continue;
		if (dnsrr_add(
			j->tlsa.records, sizeof(j->tlsa.records), &j->tlsa.len, &rr) == 0)
			usable++;
	}
	j->tlsa.state = usable > 0 ? TLSA_USABLE : any > 0 ? TLSA_UNUSABLE : TLSA_NONE;
}

static void
got_tlsa(struct msg *m, void *arg)
{
	struct job *j = arg;
	const struct dnshost *h = &j->hosts[j->host_at];
	enum dns_status status =
	    m == NULL ? DNS_TEMP : (enum dns_status)m->p.dns_answer.status;

	j->dns_ask = 0;
	switch (status) {
	case DNS_OK:
		if (m->p.dns_answer.secure)
			take_tlsa(j, &m->p.dns_answer);
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		break;
	default:
		j->tlsa.state = TLSA_FAILED;
	}
	/* RFC 7672, 2.2.3: the name before its aliases, if that one has none. */
	if (j->tlsa.state == TLSA_NONE && j->tlsa.canonical) {
		ask_tlsa(j, h, false);
		return;
	}
	connect_next(j);
}

static void
ask_tlsa(struct job *j, const struct dnshost *h, bool canonical)
{
	struct channel *ch = daemon_peer(ROLE_DNSD);
	struct msg_dns_lookup q = { .rrtype = DNSRR_TLSA };
	const char *base = canonical ? h->canonical : h->name;

	j->tlsa.host = (int)j->host_at;
	j->tlsa.canonical = canonical;
	j->tlsa.state = TLSA_NONE;
	j->tlsa.len = 0;
	strlcpy(j->tlsa.base, base, sizeof(j->tlsa.base));
	if (snprintf(q.name, sizeof(q.name), "_%u._tcp.%s", j->route.url.port, base) <
	    (int)sizeof(q.name)) {
		if (ch != NULL)
			j->dns_ask = channel_ask(
			    ch, MSG_ANY_DNSD_LOOKUP, &q, -1, DNS_TIMEOUT_MS, got_tlsa, j);
		if (ch != NULL && j->dns_ask != 0) {
			j->dns_channel = channel_serial(ch);
			return;
		}
		j->tlsa.state = TLSA_FAILED;
	}
	connect_next(j);
}

void
trouble_keep(struct job *j, const struct trouble *t)
{
	struct trouble *old = &j->trouble;

	/* A reply in words is worth more than a dead line; what may pass, more than
	 * what is for good. */
	if (old->set &&
	    (t->status != old->status ? t->status != JOB_DEFERRED
				      : t->reply[0] == '\0' && old->reply[0] != '\0'))
		return;
	*old = *t;
	old->set = true;
}

static void
hosts_over(struct job *j, bool skipped)
{
	const struct trouble *t = &j->trouble;

	if (t->set && walk_fallback_on(j, t->reply, t->enhanced)) {
		walk_fallback(j);
		return;
	}
	if (t->set) {
		job_result_rest(j, t->status, t->enhanced, t->mta, t->reply, t->text);
		job_end(j);
	} else if (skipped)
		give_up(j, JOB_FAILED, "5.4.6", LOOPS_BACK);
	else
		give_up(j, JOB_DEFERRED, "4.4.4", "There is no address to connect to.");
}

static void
connect_next(struct job *j)
{
	bool skipped = false;

	while (j->host_at < j->n_hosts && j->tries < TRIES_MAX) {
		const struct dnshost *h = &j->hosts[j->host_at];
		const struct dnsaddr *a;

		if (j->addr_at >= h->n_addrs) {
			j->host_at++;
			j->addr_at = 0;
			continue;
		}
		if (j->tlsa.host != (int)j->host_at && wants_tlsa(j, h)) {
			ask_tlsa(j, h, h->canonical[0] != '\0');
			return;
		}
		if (j->addr_at == 0 && !decide(j, h)) {
			j->host_at++;
			continue;
		}
		a = &h->addrs[j->addr_at++];
		/* A foreign MX that names this very host would have mail go round. */
		if (j->mx && remote_conf.smtp_port == 25 && dnsaddr_is_special(a)) {
			skipped = true;
			continue;
		}
		j->tries++;
		session_open(j, h, a, false, -1);
		return;
	}
	hosts_over(j, skipped);
}

void
walk_next(struct job *j, const struct trouble *t)
{
	trouble_keep(j, t);
	job_compact(j);
	connect_next(j);
}

/* ---- hosts ---- */

static void
no_hosts(struct job *j, const struct msg_dns_hosts_are *m)
{
	char text[640];

	if (!j->mx) {
		/* The administrator's route: to be put right, not to be bounced on. */
		snprintf(text, sizeof(text),
		    "The address of the route's host %s cannot be found%s%.255s.",
		    j->route.url.host, m->text[0] != '\0' ? ": " : "", m->text);
		give_up(j, JOB_DEFERRED, m->status == DNS_TEMP ? "4.4.3" : "4.4.4", text);
		return;
	}
	switch (m->status) {
	case DNS_OK:
		give_up(j, JOB_FAILED, "5.4.6", LOOPS_BACK);
		break;
	case DNS_NXDOMAIN:
		give_up(j, JOB_FAILED, "5.1.2",
		    "The domain of this address does not exist: check how it is "
		    "written.");
		break;
	case DNS_NODATA:
		give_up(j, JOB_FAILED, "5.4.4",
		    "The domain of this address has no mail host: check how it is "
		    "written.");
		break;
	case DNS_NULL_MX:
		give_up(j, JOB_FAILED, "5.1.10",
		    "This domain accepts no mail at all: use another address of the "
		    "recipient.");
		break;
	default:
		snprintf(text, sizeof(text),
		    "The domain of this address cannot be looked up now%s%.255s.",
		    m->text[0] != '\0' ? ": " : "", m->text);
		give_up(j, JOB_DEFERRED, "4.4.3", text);
	}
}

static int
set_hosts(struct job *j, const struct dnshost *hosts, size_t n)
{
	free(j->hosts);
	j->n_hosts = 0;
	if ((j->hosts = reallocarray(NULL, n, sizeof(*hosts))) == NULL)
		return -1;
	memcpy(j->hosts, hosts, n * sizeof(*hosts));
	j->n_hosts = n;
	return 0;
}

static void
got_hosts(struct msg *m, void *arg)
{
	struct job *j = arg;
	static struct dnshost hosts[DNSHOSTS_MAX];
	const struct msg_dns_hosts_are *are;
	size_t off = 0, n = 0;
	bool no_memory;

	j->dns_ask = 0;
	if (m == NULL) {
		give_up(j, JOB_DEFERRED, "4.4.3",
		    "The name service of this host does not answer.");
		return;
	}
	are = &m->p.dns_hosts_are;
	while (n < DNSHOSTS_MAX &&
	       dnshosts_next(are->hosts, are->hosts_len, &off, &hosts[n]) == 1)
		n++;
	no_memory = n > 0 && set_hosts(j, hosts, n) == -1;
	j->mx_secure = are->secure != 0;
	j->sts = are->sts_mode <= STS_ENFORCE ? (enum sts_mode)are->sts_mode : STS_NONE;
	free(j->sts_mx);
	j->sts_mx = strdup(are->sts_mx);
	if (j->sts_mx == NULL || no_memory)
		give_up(j, JOB_DEFERRED, "4.3.0", "This host is short of memory.");
	else if (are->status != DNS_OK || j->n_hosts == 0)
		no_hosts(j, are);
	else
		connect_next(j);
}

static void
ask_hosts(struct job *j, const char *name)
{
	struct msg_dns_hosts q = { .mx = j->mx, .sts = j->mx && remote_conf.mta_sts };
	struct channel *ch = daemon_peer(ROLE_DNSD);

	strlcpy(q.domain, name, sizeof(q.domain));
	if (ch != NULL)
		j->dns_ask = channel_ask(
		    ch, MSG_RDELIVER_DNSD_HOSTS, &q, -1, DNS_TIMEOUT_MS, got_hosts, j);
	if (ch == NULL || j->dns_ask == 0) {
		give_up(j, JOB_DEFERRED, "4.4.3",
		    "The name service of this host does not answer.");
		return;
	}
	j->dns_channel = channel_serial(ch);
}

static void
only_address(struct job *j, const struct dnsaddr *a)
{
	struct dnshost h = { .n_addrs = 1 };

	dnsaddr_text(a, h.name, sizeof(h.name));
	h.addrs[0] = *a;
	if (set_hosts(j, &h, 1) == -1)
		give_up(j, JOB_DEFERRED, "4.3.0", "This host is short of memory.");
	else
		connect_next(j);
}

/* ---- a socket of this host ---- */

static void
local_failed(struct job *j, enum job_status status, const char *code, const char *why)
{
	struct trouble t = { .set = true, .status = status };

	strlcpy(t.enhanced, code, sizeof(t.enhanced));
	snprintf(t.text, sizeof(t.text),
	    "The socket %.110s of the route cannot be connected to: %.255s.",
	    j->route.url.path, why);
	log_fact(LOG_DELIVERY, LOGL_INFO, "host-failed", KS("qid", j->qid),
	    KS("host", j->route.url.path), KS("code", code), KS("why", why));
	trouble_keep(j, &t);
	hosts_over(j, false);
}

static void
got_connection(struct msg *m, void *arg)
{
	struct job *j = arg;
	int fd;

	j->dns_ask = 0;
	if (m == NULL)
		local_failed(j, JOB_DEFERRED, "4.3.5", "fifed does not answer");
	else if ((fd = msg_take_fd(m)) == -1)
		local_failed(j, JOB_DEFERRED,
		    m->p.status.status == MSG_DENIED ? "4.3.5" : "4.4.1",
		    m->p.status.text);
	else if (!decide(j, &j->hosts[0])) {
		close(fd);
		hosts_over(j, false);
	} else
		session_open(j, &j->hosts[0], &j->hosts[0].addrs[0], false, fd);
}

/* fifed connects to it, if fife.conf names it. */
static void
connect_local(struct job *j)
{
	struct channel *ch = daemon_parent();
	struct msg_local_path q = { "" };
	struct dnshost h = { .n_addrs = 1 };

	strlcpy(q.path, j->route.url.path, sizeof(q.path));
	strlcpy(h.name, q.path, sizeof(h.name));
	h.addrs[0].family = AF_UNIX;
	if (set_hosts(j, &h, 1) == -1) {
		give_up(j, JOB_DEFERRED, "4.3.0", "This host is short of memory.");
		return;
	}
	/* There is no other one behind it. */
	j->host_at = 1;
	j->dns_ask = channel_ask(ch, MSG_RDELIVER_FIFED_CONNECT, &q, -1,
	    remote_conf.connect_timeout_s * 1000, got_connection, j);
	j->dns_channel = channel_serial(ch);
	if (j->dns_ask == 0)
		local_failed(j, JOB_DEFERRED, "4.3.5", "fifed does not answer");
}

static void
resolve(struct job *j)
{
	struct dnsaddr a;

	j->state = JOB_RESOLVING;
	j->n_hosts = j->host_at = j->addr_at = 0;
	j->tlsa.host = -1;
	j->mx_secure = false;
	j->sts = STS_NONE;
	if (j->route.url.path[0] != '\0')
		connect_local(j);
	else if (!j->mx) {
		if (dnsaddr_parse(j->route.url.host, &a) == 0)
			only_address(j, &a);
		else
			ask_hosts(j, j->route.url.host);
	} else if (address_literal_ip(j->domain, &a.family, a.ip) == 0)
		only_address(j, &a);
	else
		ask_hosts(j, j->domain);
}

void
walk_start(struct job *j)
{
	if (use_route(j, j->route_text) == -1 ||
	    (j->route.fallback[0] != '\0' && j->attempts >= j->route.after &&
		use_fallback(j) == -1)) {
		give_up(
		    j, JOB_DEFERRED, "4.3.5", "The route of this domain is not usable.");
		return;
	}
	if (!session_reuse(j))
		resolve(j);
}

void
walk_again(struct job *j)
{
	job_compact(j);
	resolve(j);
}

void
walk_stop(struct job *j)
{
	if (j->dns_ask != 0)
		channel_forget(channel_find(j->dns_channel), j->dns_ask);
	j->dns_ask = 0;
}

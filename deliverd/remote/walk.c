/* SPDX-License-Identifier: ISC */
/*
 * Where a job goes: by its route, or by the hosts of the domain in the order of
 * RFC 5321, 5.1, one address after another until one takes the message or says
 * something that no other host would change.
 */
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "deliverd/remote/remote.h"

#define DNS_TIMEOUT_MS 60000
#define TRIES_MAX 10

static void
give_up(struct job *j, enum job_status status, const char *enhanced, const char *text)
{
	job_result_rest(j, status, enhanced, "", "", text);
	job_end(j);
}

/* A reply in words is worth more than a dead line; what may pass, more than what
 * is for good. */
static bool
better(const struct trouble *t, const struct trouble *old)
{
	if (!old->set)
		return true;
	if (t->status != old->status)
		return t->status == JOB_DEFERRED;
	return t->reply[0] != '\0' || old->reply[0] == '\0';
}

static void
connect_next(struct job *j)
{
	const struct trouble *t = &j->trouble;
	struct trouble trouble;
	bool skipped = false;

	while (j->host_at < j->n_hosts && j->tries < TRIES_MAX) {
		const struct dnshost *h = &j->hosts[j->host_at];
		const struct dnsaddr *a;

		if (j->addr_at >= h->n_addrs) {
			j->host_at++;
			j->addr_at = 0;
			continue;
		}
		a = &h->addrs[j->addr_at++];
		/* A foreign MX that names this very host would have mail go round. */
		if (j->mx && remote_conf.smtp_port == 25 && dnsaddr_is_special(a)) {
			skipped = true;
			continue;
		}
		j->tries++;
		if (session_open(j, h, a, false, &trouble))
			return;
		if (better(&trouble, &j->trouble))
			j->trouble = trouble;
	}
	if (t->set) {
		job_result_rest(j, t->status, t->enhanced, t->mta, t->reply, t->text);
		job_end(j);
	} else if (skipped)
		give_up(j, JOB_FAILED, "5.4.6",
		    "The mail hosts of this domain lead back to the sending host: tell "
		    "the "
		    "postmaster of the domain.");
	else
		give_up(j, JOB_DEFERRED, "4.4.4", "There is no address to connect to.");
}

void
walk_next(struct job *j, const struct trouble *t)
{
	if (better(t, &j->trouble)) {
		j->trouble = *t;
		j->trouble.set = true;
	}
	job_compact(j);
	connect_next(j);
}

static void
no_hosts(struct job *j, const struct msg_dns_hosts_are *m)
{
	char text[640];

	if (!j->mx) {
		/* The administrator's route: to be put right, not to be bounced on. */
		snprintf(text, sizeof(text),
		    "The address of the route's host %s cannot be found%s%.255s.",
		    j->url.host, m->text[0] != '\0' ? ": " : "", m->text);
		give_up(j, JOB_DEFERRED, m->status == DNS_TEMP ? "4.4.3" : "4.4.4", text);
		return;
	}
	switch (m->status) {
	case DNS_OK:
		give_up(j, JOB_FAILED, "5.4.6",
		    "The mail hosts of this domain lead back to the sending host: tell "
		    "the "
		    "postmaster of the domain.");
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

static void
got_hosts(struct msg *m, void *arg)
{
	struct job *j = arg;
	size_t off = 0;

	j->dns_ask = 0;
	if (m == NULL) {
		give_up(j, JOB_DEFERRED, "4.4.3",
		    "The name service of this host does not answer.");
		return;
	}
	j->n_hosts = 0;
	j->mx_secure = m->p.dns_hosts_are.secure != 0;
	while (j->n_hosts < DNSHOSTS_MAX &&
	       dnshosts_next(m->p.dns_hosts_are.hosts, m->p.dns_hosts_are.hosts_len, &off,
		   &j->hosts[j->n_hosts]) == 1)
		j->n_hosts++;
	if (m->p.dns_hosts_are.status != DNS_OK || j->n_hosts == 0)
		no_hosts(j, &m->p.dns_hosts_are);
	else
		connect_next(j);
}

static void
ask_hosts(struct job *j, const char *name)
{
	struct msg_dns_hosts q = { .mx = j->mx };
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
	j->n_hosts = 1;
	memset(&j->hosts[0], 0, sizeof(j->hosts[0]));
	dnsaddr_text(a, j->hosts[0].name, sizeof(j->hosts[0].name));
	j->hosts[0].addrs[0] = *a;
	j->hosts[0].n_addrs = 1;
	connect_next(j);
}

static void
resolve(struct job *j)
{
	struct dnsaddr a;

	j->state = JOB_RESOLVING;
	j->n_hosts = j->host_at = j->addr_at = 0;
	j->mx_secure = false;
	if (!j->mx) {
		if (dnsaddr_parse(j->url.host, &a) == 0)
			only_address(j, &a);
		else
			ask_hosts(j, j->url.host);
	} else if (address_literal_ip(j->domain, &a.family, a.ip) == 0)
		only_address(j, &a);
	else
		ask_hosts(j, j->domain);
}

void
walk_start(struct job *j)
{
	const char *why;

	j->mx = j->route[0] == '\0';
	if (j->mx)
		j->url = (struct routeurl){ .scheme = ROUTE_SMTP,
			.port = remote_conf.smtp_port };
	else if (routeurl_parse(j->route, &j->url, &why) == -1) {
		log_warnx("route %s: %s", j->route, why);
		give_up(
		    j, JOB_DEFERRED, "4.3.5", "The route of this domain is not usable.");
		return;
	} else if (j->url.user[0] != '\0') {
		give_up(j, JOB_DEFERRED, "4.3.5",
		    "The route of this domain wants a login, which this version cannot "
		    "do.");
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

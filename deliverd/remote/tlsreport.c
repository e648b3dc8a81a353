/* SPDX-License-Identifier: ISC */
/* How TLS went, told to policyd, which makes the reports of RFC 8460; see remote.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "deliverd/remote/remote.h"

enum tlsrpt_result
tlsreport_certificate(const struct conn *c)
{
	switch (conn_tls_verify_result(c)) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLSRPT_CERTIFICATE_HOST_MISMATCH;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLSRPT_CERTIFICATE_EXPIRED;
	case X509_V_ERR_DANE_NO_MATCH:
		return TLSRPT_VALIDATION_FAILURE;
	default:
		return TLSRPT_CERTIFICATE_NOT_TRUSTED;
	}
}

static void
own_address(const struct conn *c, char *out, size_t cap)
{
	struct sockaddr_storage ss;
	const void *ip = NULL;

	if (c != NULL && conn_local_address(c, &ss) == 0) {
		if (ss.ss_family == AF_INET)
			ip = &((struct sockaddr_in *)&ss)->sin_addr;
		else if (ss.ss_family == AF_INET6)
			ip = &((struct sockaddr_in6 *)&ss)->sin6_addr;
	}
	if (ip == NULL || inet_ntop(ss.ss_family, ip, out, (socklen_t)cap) == NULL)
		out[0] = '\0';
}

/* RFC 8460, 1.1: whose policy it is. */
static void
name_policy(const struct job *j, const struct tlspolicy *p, struct msg_tls_result *m)
{
	bool here = j->tlsa.host == (int)j->host_at;

	strlcpy(m->domain, j->mx ? j->domain : j->route.url.host, sizeof(m->domain));
	strlcpy(m->policy_domain, m->domain, sizeof(m->policy_domain));
	m->policy = TLSRPT_NO_POLICY;
	if ((here && j->tlsa.state != TLSA_NONE) || p->mode == TLS_MODE_DANE) {
		m->policy = TLSRPT_TLSA;
		if (here && j->tlsa.base[0] != '\0')
			strlcpy(m->policy_domain, j->tlsa.base, sizeof(m->policy_domain));
		m->tlsa = j->tlsa.records;
		m->tlsa_len = here ? j->tlsa.len : 0;
	} else if (j->mx && remote_conf.mta_sts && j->sts != STS_NONE)
		m->policy = TLSRPT_STS;
}

void
tlsreport_session(const struct job *j, const struct tlspolicy *p, const struct conn *c,
    const char *host, const struct dnsaddr *a, const char *greeting,
    enum tlsrpt_result result, const char *reason)
{
	struct channel *ch = daemon_peer(ROLE_POLICYD);
	struct msg_tls_result m = { .result = (uint8_t)result };
	struct dnsaddr literal;

	/* Not of reports themselves (RFC 8460, 3), nor where nobody could get one. */
	if (!remote_conf.tls_reports || ch == NULL || j->tls_optional ||
	    j->route.url.scheme == ROUTE_LMTP || j->route.url.path[0] != '\0' ||
	    p->mode == TLS_MODE_PLAIN)
		return;
	name_policy(j, p, &m);
	if (m.domain[0] == '[' || dnsaddr_parse(m.domain, &literal) == 0)
		return;
	own_address(c, m.sending_ip, sizeof(m.sending_ip));
	if (a != NULL)
		dnsaddr_text(a, m.receiving_ip, sizeof(m.receiving_ip));
	strlcpy(m.mx, host, sizeof(m.mx));
	strlcpy(m.helo, greeting, sizeof(m.helo));
	strlcpy(m.reason, reason, sizeof(m.reason));
	(void)channel_send(ch, MSG_RDELIVER_POLICYD_TLS, 0, &m, -1);
}

void
tlsreport_established(const struct job *j, const struct tlspolicy *p,
    const struct conn *c, const char *host, const struct dnsaddr *a, const char *greeting)
{
	enum tlsrpt_result result = TLSRPT_SUCCESS;
	const char *reason = "";

	/* A policy in testing decides nothing, and its owner wants to know what it would
	 * have done (RFC 8461, 5). */
	if (p->mode < TLS_MODE_PKIX && j->mx && remote_conf.mta_sts &&
	    j->sts != STS_NONE && j->tlsa.state == TLSA_NONE) {
		if (!tlspolicy_sts_match(j->sts_mx, host)) {
			result = TLSRPT_VALIDATION_FAILURE;
			reason = "the host is not in the policy";
		} else if (conn_tls_verify_result(c) != X509_V_OK) {
			result = tlsreport_certificate(c);
			reason = conn_tls_trust(c);
		}
	}
	tlsreport_session(j, p, c, host, a, greeting, result, reason);
}

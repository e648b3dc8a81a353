/* SPDX-License-Identifier: ISC */
/* TLS for mail that goes out: what must be had; see tlspolicy.h. */
#include "deliverd/remote/tlspolicy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

static void
skip(struct tlspolicy *p, enum tls_reason reason, enum job_status status,
    const char *code, const char *text)
{
	p->skip = true;
	p->reason = reason;
	p->status = status;
	p->code = code;
	p->text = text;
}

static void
demand(struct tlspolicy *p, enum tls_mode mode, enum tls_reason reason)
{
	p->mode = mode;
	p->reason = reason;
}

static void
by_floor(const struct tlspolicy_facts *f, struct tlspolicy *p)
{
	static const enum tls_mode modes[] = { [TLS_FLOOR_NONE] = TLS_MODE_PLAIN,
		[TLS_FLOOR_OPPORTUNISTIC] = TLS_MODE_TRY,
		[TLS_FLOOR_REQUIRED] = TLS_MODE_MUST,
		[TLS_FLOOR_VERIFIED] = TLS_MODE_PKIX,
		[TLS_FLOOR_DANE] = TLS_MODE_DANE,
		[TLS_FLOOR_PIN] = TLS_MODE_PIN };

	p->mode = modes[f->floor];
	if (p->mode != TLS_MODE_TRY)
		p->reason = TLS_BY_ROUTE;
}

static void
by_dane(const struct tlspolicy_facts *f, struct tlspolicy *p)
{
	/* What the administrator has decided needs no DNS. */
	if (f->floor != TLS_FLOOR_OPPORTUNISTIC && f->floor != TLS_FLOOR_REQUIRED &&
	    f->floor != TLS_FLOOR_DANE)
		return;
	switch (f->tlsa) {
	case TLSA_NONE:
		if (f->floor == TLS_FLOOR_DANE)
			skip(p, TLS_BY_ROUTE, JOB_DEFERRED, "4.7.5",
			    "DANE is required for this host, which has no TLSA records "
			    "that "
			    "DNSSEC vouches for.");
		break;
	case TLSA_USABLE:
		demand(p, TLS_MODE_DANE,
		    f->floor == TLS_FLOOR_DANE ? TLS_BY_ROUTE : TLS_BY_DANE);
		break;
	case TLSA_UNUSABLE:
		if (f->floor == TLS_FLOOR_DANE)
			skip(p, TLS_BY_ROUTE, JOB_DEFERRED, "4.7.5",
			    "DANE is required for this host, none of whose TLSA records "
			    "can "
			    "be used.");
		else
			demand(p, TLS_MODE_MUST, TLS_BY_DANE);
		break;
	case TLSA_FAILED:
		skip(p, TLS_BY_DANE, JOB_DEFERRED, "4.7.5",
		    "The TLSA records of the remote host cannot be looked up safely.");
		break;
	}
}

static void
by_mtasts(const struct tlspolicy_facts *f, struct tlspolicy *p)
{
	if (!f->by_mx || f->sts != STS_ENFORCE || p->skip ||
	    (f->floor != TLS_FLOOR_OPPORTUNISTIC && f->floor != TLS_FLOOR_REQUIRED))
		return;
	if (!f->sts_match)
		skip(p, TLS_BY_MTASTS, JOB_DEFERRED, "4.7.5",
		    "The mail host is not one that the domain's MTA-STS policy names.");
	else if (p->mode < TLS_MODE_PKIX)
		demand(p, TLS_MODE_PKIX, TLS_BY_MTASTS);
}

static void
by_requiretls(const struct tlspolicy_facts *f, struct tlspolicy *p)
{
	p->requiretls = true;
	if (p->skip) {
		p->status = JOB_FAILED;
		p->code = "5.7.10";
		return;
	}
	if (p->mode < TLS_MODE_PKIX)
		demand(p, TLS_MODE_PKIX, TLS_BY_REQUIRETLS);
	/* RFC 8689, 4.2.1: nobody else may have named the host. */
	if (f->by_mx && !f->mx_secure && (f->sts == STS_NONE || !f->sts_match))
		skip(p, TLS_BY_REQUIRETLS, JOB_FAILED, "5.7.10",
		    "The sender requires TLS all the way, and neither DNSSEC nor MTA-STS "
		    "vouches for the mail hosts of this domain.");
}

void
tlspolicy_decide(const struct tlspolicy_facts *f, struct tlspolicy *p)
{
	memset(p, 0, sizeof(*p));
	by_floor(f, p);
	if (f->tls_optional && !f->require_tls && f->floor <= TLS_FLOOR_OPPORTUNISTIC)
		return;
	by_dane(f, p);
	by_mtasts(f, p);
	if (f->require_tls)
		by_requiretls(f, p);
	if (!p->skip && p->mode > TLS_MODE_TRY && !f->have_tls)
		skip(p, p->reason, JOB_DEFERRED, "4.7.5",
		    "A secure connection is required to the remote host, and this host "
		    "can make none now.");
}

void
tlspolicy_outcome(const struct tlspolicy *p, enum tls_event e, const char *detail,
    struct tls_outcome *o)
{
	static const char *const wants[] = { [TLS_BY_DEFAULT] = "",
		[TLS_BY_ROUTE] = "A secure connection is required to this host",
		[TLS_BY_DANE] = "The remote host's DANE records require a secure "
				"connection",
		[TLS_BY_MTASTS] = "The domain's MTA-STS policy requires a secure "
				  "connection",
		[TLS_BY_REQUIRETLS] = "The sender requires a secure connection" };
	static const char *const got[] = { [TLS_NOT_OFFERED] = "and it offers none",
		[TLS_REFUSED] = "and it cannot make one now",
		[TLS_HANDSHAKE] = "and it could not be made",
		[TLS_CERTIFICATE] = "and its certificate is not the right one",
		[TLS_UNAVAILABLE] = "and this host can make none now",
		[TLS_DOWNGRADE] = "" };
	const char *sep = detail[0] != '\0' ? ": " : "";

	memset(o, 0, sizeof(*o));
	if (e == TLS_DOWNGRADE && p->mode <= TLS_MODE_TRY) {
		o->step = TLS_NEXT_HOST;
		o->status = JOB_DEFERRED;
		o->code = "4.7.5";
		strlcpy(o->text,
		    "The remote host offers no secure connection any more, which it did "
		    "before.",
		    sizeof(o->text));
		return;
	}
	if (p->mode <= TLS_MODE_TRY) {
		o->step =
		    e == TLS_NOT_OFFERED || e == TLS_REFUSED ? TLS_GO_ON : TLS_AGAIN;
		return;
	}
	o->step = TLS_NEXT_HOST;
	if (p->requiretls) {
		o->status = JOB_FAILED;
		o->code = "5.7.10";
	} else if (p->reason == TLS_BY_ROUTE && e == TLS_NOT_OFFERED) {
		o->status = JOB_FAILED;
		o->code = "5.7.4";
	} else {
		o->status = JOB_DEFERRED;
		o->code = "4.7.5";
	}
	snprintf(o->text, sizeof(o->text), "%s, %s%s%.200s.", wants[p->reason],
	    got[e == TLS_DOWNGRADE ? TLS_NOT_OFFERED : e], sep, detail);
}

void
tlspolicy_sentence(const struct tlspolicy *p, const char *version, const char *cipher,
    const char *trust, char *out, size_t cap)
{
	static const char *const by[] = { [TLS_BY_DEFAULT] = "",
		[TLS_BY_ROUTE] = ", as the route requires",
		[TLS_BY_DANE] = ", as the host's DANE records require",
		[TLS_BY_MTASTS] = ", as the domain's MTA-STS policy requires",
		[TLS_BY_REQUIRETLS] = ", as the sender requires" };

	if (version[0] == '\0') {
		strlcpy(out, "in plain, without TLS", cap);
		return;
	}
	switch (p->mode) {
	case TLS_MODE_DANE:
		snprintf(out, cap, "%s %s, certificate verified by DANE%s", version,
		    cipher, by[p->reason]);
		break;
	case TLS_MODE_PKIX:
		snprintf(out, cap, "%s %s, certificate verified%s", version, cipher,
		    by[p->reason]);
		break;
	case TLS_MODE_PIN:
		snprintf(out, cap, "%s %s, with the key that the route names", version,
		    cipher);
		break;
	default:
		snprintf(out, cap, "%s %s%s, certificate %s%s", version, cipher,
		    by[p->reason], trust[0] == '\0' ? "trusted" : "not checked: ", trust);
	}
}

bool
tlspolicy_sts_match(const char *patterns, const char *host)
{
	size_t host_len = strlen(host);
	const char *dot = strchr(host, '.');

	while (*patterns != '\0') {
		size_t n = strcspn(patterns, " ");

		if (n == host_len && strncasecmp(patterns, host, n) == 0)
			return true;
		/* One label and no more. */
		if (n > 2 && patterns[0] == '*' && patterns[1] == '.' && dot != NULL &&
		    dot > host && strlen(dot) == n - 1 &&
		    strncasecmp(patterns + 1, dot, n - 1) == 0)
			return true;
		patterns += n;
		patterns += strspn(patterns, " ");
	}
	return false;
}

/* SPDX-License-Identifier: ISC */
/* What TLS a message needs; see tls_need.h. */
#include "deliverd/remote/tls_need.h"

#include <string.h>

void
tls_need_of(const struct tls_ask *a, struct tls_need *need)
{
	memset(need, 0, sizeof(*need));
	need->implicit = a->scheme == ROUTE_SMTPS;
	/* A route is the administrator's word, which no sender's field can take back. */
	need->verify = need->implicit || a->scheme == ROUTE_SMTP_TLS;
	if (need->implicit || (!need->verify && (a->failed || !a->have_tls)))
		need->tls = SMTP_OUT_TLS_NO;
	else
		need->tls = need->verify ? SMTP_OUT_TLS_REQUIRED : SMTP_OUT_TLS_OFFERED;
	if (!a->require_tls)
		return;
	/* RFC 8689, 4.2.1, step 2: who may have forged the MX has a certificate too. */
	if (a->mx && !a->mx_secure) {
		need->enhanced = "5.7.10";
		need->text = "The message may only go over a secure connection "
			     "(REQUIRETLS), and the name service does not prove who "
			     "takes the mail of this domain.";
	} else if (!a->have_tls || a->scheme == ROUTE_LMTP) {
		need->enhanced = "5.7.10";
		need->text = "The message may only go over a secure connection "
			     "(REQUIRETLS), and there is none to be had.";
	}
	need->verify = true;
	if (!need->implicit)
		need->tls = SMTP_OUT_TLS_REQUIRED;
}

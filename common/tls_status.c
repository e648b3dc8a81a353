/* SPDX-License-Identifier: ISC */
/* What `status` says of certificates. */
#include "common/tls_status.h"

#include "common/ctl.h"
#include "common/daemon.h"
#include "common/tls.h"

#define SOON_S (14 * 86400)

void
tls_certs_status(struct ctl *c, const struct tls_certs *certs, const char *degraded)
{
	int64_t expiry = certs == NULL ? 0 : tls_certs_expiry(certs);

	if (expiry != 0) {
		ctl_time(c, "certificate-expires", expiry);
		if (degraded == NULL && expiry < wall_s())
			degraded = "a certificate has expired";
		else if (degraded == NULL && expiry < wall_s() + SOON_S)
			degraded = "a certificate expires within 14 days";
	}
	if (degraded != NULL)
		ctl_str(c, "degraded", degraded);
}

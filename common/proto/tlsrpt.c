/* SPDX-License-Identifier: ISC */
/* Names of policies and results; see tlsrpt.h. */
#include "common/proto/tlsrpt.h"

#include <stddef.h>

const char *
tlsrpt_policy_name(unsigned int policy)
{
	static const char *const names[] = { [TLSRPT_TLSA] = "tlsa",
		[TLSRPT_STS] = "sts",
		[TLSRPT_NO_POLICY] = "no-policy-found" };

	return policy <= TLSRPT_NO_POLICY ? names[policy] : NULL;
}

const char *
tlsrpt_result_name(unsigned int result)
{
	static const char *const names[TLSRPT_RESULTS] = { [TLSRPT_SUCCESS] = "success",
		[TLSRPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[TLSRPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
		[TLSRPT_CERTIFICATE_EXPIRED] = "certificate-expired",
		[TLSRPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
		[TLSRPT_VALIDATION_FAILURE] = "validation-failure",
		[TLSRPT_TLSA_INVALID] = "tlsa-invalid",
		[TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
		[TLSRPT_DANE_REQUIRED] = "dane-required",
		[TLSRPT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
		[TLSRPT_STS_POLICY_INVALID] = "sts-policy-invalid",
		[TLSRPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid" };

	return result < TLSRPT_RESULTS ? names[result] : NULL;
}

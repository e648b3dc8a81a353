/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TLSRPT_H
#define FIFE_TLSRPT_H

/*
 * The words of SMTP TLS Reporting (RFC 8460): what deliverd tells policyd about a
 * session, and what a report calls it.
 */

enum tlsrpt_policy {
	TLSRPT_TLSA = 1,
	TLSRPT_STS,
	TLSRPT_NO_POLICY
};

/* 4.3, and success. */
enum tlsrpt_result {
	TLSRPT_SUCCESS,
	TLSRPT_STARTTLS_NOT_SUPPORTED,
	TLSRPT_CERTIFICATE_HOST_MISMATCH,
	TLSRPT_CERTIFICATE_EXPIRED,
	TLSRPT_CERTIFICATE_NOT_TRUSTED,
	TLSRPT_VALIDATION_FAILURE,
	TLSRPT_TLSA_INVALID,
	TLSRPT_DNSSEC_INVALID,
	TLSRPT_DANE_REQUIRED,
	TLSRPT_STS_POLICY_FETCH_ERROR,
	TLSRPT_STS_POLICY_INVALID,
	TLSRPT_STS_WEBPKI_INVALID,
	TLSRPT_RESULTS
};

/* "tlsa"; NULL for what is no policy. */
const char *tlsrpt_policy_name(unsigned int);
/* "certificate-expired"; NULL for what is no result. */
const char *tlsrpt_result_name(unsigned int);

#endif

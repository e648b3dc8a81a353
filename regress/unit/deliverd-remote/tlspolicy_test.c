/* SPDX-License-Identifier: ISC */
/* What TLS a host must offer, and what follows when it does not: as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliverd/remote/tlspolicy.h"

/* O opportunistic, R required, V verified, D dane, P pin, N none */
#define O TLS_FLOOR_OPPORTUNISTIC
#define R TLS_FLOOR_REQUIRED
#define V TLS_FLOOR_VERIFIED
#define D TLS_FLOOR_DANE
#define P TLS_FLOOR_PIN
#define N TLS_FLOOR_NONE

static const struct {
	const char *name;
	struct tlspolicy_facts f;
	const char *want; /* mode reason, or "skip CODE" */
} decisions[] = {
	{ "nothing said", { .floor = O, .by_mx = true }, "try" },
	{ "none", { .floor = N }, "plain" },
	{ "required", { .floor = R }, "must route" },
	{ "verified", { .floor = V }, "pkix route" },
	{ "pin", { .floor = P }, "pin route" },
	{ "DANE", { .floor = O, .by_mx = true, .mx_secure = true, .tlsa = TLSA_USABLE },
	    "dane dane" },
	{ "DANE over required", { .floor = R, .by_mx = true, .tlsa = TLSA_USABLE },
	    "dane dane" },
	{ "DANE, no usable record", { .floor = O, .by_mx = true, .tlsa = TLSA_UNUSABLE },
	    "must dane" },
	{ "DANE cannot be looked up", { .floor = O, .by_mx = true, .tlsa = TLSA_FAILED },
	    "skip 4.7.5" },
	{ "verified needs no DANE", { .floor = V, .by_mx = true, .tlsa = TLSA_FAILED },
	    "pkix route" },
	{ "DANE wanted and there", { .floor = D, .tlsa = TLSA_USABLE }, "dane route" },
	{ "DANE wanted and none", { .floor = D, .tlsa = TLSA_NONE }, "skip 4.7.5" },
	{ "DANE wanted, none usable", { .floor = D, .tlsa = TLSA_UNUSABLE },
	    "skip 4.7.5" },
	{ "MTA-STS", { .floor = O, .by_mx = true, .sts = STS_ENFORCE, .sts_match = true },
	    "pkix mtasts" },
	{ "MTA-STS, another host", { .floor = O, .by_mx = true, .sts = STS_ENFORCE },
	    "skip 4.7.5" },
	{ "MTA-STS in testing", { .floor = O, .by_mx = true, .sts = STS_TESTING },
	    "try" },
	{ "MTA-STS and DANE",
	    { .floor = O,
		.by_mx = true,
		.tlsa = TLSA_USABLE,
		.sts = STS_ENFORCE,
		.sts_match = true },
	    "dane dane" },
	{ "MTA-STS and useless DANE",
	    { .floor = O,
		.by_mx = true,
		.tlsa = TLSA_UNUSABLE,
		.sts = STS_ENFORCE,
		.sts_match = true },
	    "pkix mtasts" },
	{ "MTA-STS does not bind a route", { .floor = O, .sts = STS_ENFORCE }, "try" },
	{ "REQUIRETLS, hosts vouched for by DNSSEC",
	    { .floor = O, .by_mx = true, .mx_secure = true, .require_tls = true },
	    "pkix requiretls +requiretls" },
	{ "REQUIRETLS, hosts vouched for by MTA-STS",
	    { .floor = O,
		.by_mx = true,
		.sts = STS_TESTING,
		.sts_match = true,
		.require_tls = true },
	    "pkix requiretls +requiretls" },
	{ "REQUIRETLS, nobody vouches",
	    { .floor = O, .by_mx = true, .require_tls = true }, "skip 5.7.10" },
	{ "REQUIRETLS by route", { .floor = O, .require_tls = true },
	    "pkix requiretls +requiretls" },
	{ "REQUIRETLS by DANE",
	    { .floor = O,
		.by_mx = true,
		.mx_secure = true,
		.tlsa = TLSA_USABLE,
		.require_tls = true },
	    "dane dane +requiretls" },
	{ "TLS-Required: no against DANE",
	    { .floor = O, .by_mx = true, .tlsa = TLSA_USABLE, .tls_optional = true },
	    "try" },
	{ "TLS-Required: no against a broken DANE",
	    { .floor = O, .by_mx = true, .tlsa = TLSA_FAILED, .tls_optional = true },
	    "try" },
	{ "TLS-Required: no against MTA-STS",
	    { .floor = O, .by_mx = true, .sts = STS_ENFORCE, .tls_optional = true },
	    "try" },
	{ "TLS-Required: no against the administrator",
	    { .floor = V, .by_mx = true, .tls_optional = true }, "pkix route" },
};

static void
decide(void **state)
{
	static const char *const modes[] = { "plain", "try", "must", "pkix", "dane",
		"pin" };
	static const char *const reasons[] = { "", " route", " dane", " mtasts",
		" requiretls" };

	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		struct tlspolicy_facts f = decisions[i].f;
		struct tlspolicy p;
		char got[64];

		f.have_tls = true;
		tlspolicy_decide(&f, &p);
		if (p.skip)
			snprintf(got, sizeof(got), "skip %s", p.code);
		else
			snprintf(got, sizeof(got), "%s%s%s", modes[p.mode],
			    p.mode <= TLS_MODE_TRY ? "" : reasons[p.reason],
			    p.requiretls ? " +requiretls" : "");
		if (strcmp(got, decisions[i].want) != 0)
			fail_msg("%s: %s, expected %s", decisions[i].name, got,
			    decisions[i].want);
		f.have_tls = false;
		tlspolicy_decide(&f, &p);
		assert_int_equal(
		    p.skip, strncmp(got, "try", 3) != 0 && strncmp(got, "plain", 5) != 0);
	}
}

static void
outcomes(void **state)
{
	static const struct {
		enum tls_mode mode;
		enum tls_reason reason;
		bool requiretls;
		enum tls_event event;
		const char *want;
	} rows[] = {
		{ TLS_MODE_TRY, TLS_BY_DEFAULT, false, TLS_NOT_OFFERED, "on" },
		{ TLS_MODE_TRY, TLS_BY_DEFAULT, false, TLS_REFUSED, "on" },
		{ TLS_MODE_TRY, TLS_BY_DEFAULT, false, TLS_HANDSHAKE, "again" },
		{ TLS_MODE_TRY, TLS_BY_DEFAULT, false, TLS_CERTIFICATE, "again" },
		{ TLS_MODE_TRY, TLS_BY_DEFAULT, false, TLS_DOWNGRADE, "deferred 4.7.5" },
		{ TLS_MODE_MUST, TLS_BY_ROUTE, false, TLS_NOT_OFFERED, "failed 5.7.4" },
		{ TLS_MODE_MUST, TLS_BY_ROUTE, false, TLS_REFUSED, "deferred 4.7.5" },
		{ TLS_MODE_PKIX, TLS_BY_ROUTE, false, TLS_CERTIFICATE, "deferred 4.7.5" },
		{ TLS_MODE_PKIX, TLS_BY_MTASTS, false, TLS_NOT_OFFERED,
		    "deferred 4.7.5" },
		{ TLS_MODE_DANE, TLS_BY_DANE, false, TLS_CERTIFICATE, "deferred 4.7.5" },
		{ TLS_MODE_DANE, TLS_BY_DANE, true, TLS_CERTIFICATE, "failed 5.7.10" },
		{ TLS_MODE_PKIX, TLS_BY_REQUIRETLS, true, TLS_HANDSHAKE,
		    "failed 5.7.10" },
		{ TLS_MODE_PIN, TLS_BY_ROUTE, false, TLS_CERTIFICATE, "deferred 4.7.5" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tlspolicy p = { .mode = rows[i].mode,
			.reason = rows[i].reason,
			.requiretls = rows[i].requiretls };
		struct tls_outcome o;
		char got[64];

		tlspolicy_outcome(&p, rows[i].event, "certificate has expired", &o);
		if (o.step == TLS_NEXT_HOST)
			snprintf(got, sizeof(got), "%s %s",
			    o.status == JOB_FAILED ? "failed" : "deferred", o.code);
		else
			strcpy(got, o.step == TLS_GO_ON ? "on" : "again");
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu: %s, expected %s", i, got, rows[i].want);
		assert_true((o.step == TLS_NEXT_HOST) == (o.text[0] != '\0'));
	}
}

static void
sentences(void **state)
{
	struct tlspolicy p = { .mode = TLS_MODE_TRY };
	char s[300];

	tlspolicy_sentence(&p, "", "", "", s, sizeof(s));
	assert_string_equal(s, "in plain, without TLS");
	tlspolicy_sentence(&p, "TLSv1.3", "X", "self-signed", s, sizeof(s));
	assert_string_equal(s, "TLSv1.3 X, certificate not checked: self-signed");
	p = (struct tlspolicy){ .mode = TLS_MODE_DANE, .reason = TLS_BY_DANE };
	tlspolicy_sentence(&p, "TLSv1.3", "X", "", s, sizeof(s));
	assert_string_equal(s,
	    "TLSv1.3 X, certificate verified by DANE, as the host's DANE records "
	    "require");
}

static void
sts_match(void **state)
{
	static const struct {
		const char *patterns, *host;
		bool match;
	} rows[] = {
		{ "mx.x.test", "mx.x.test", true },
		{ "mx.x.test", "MX.X.Test", true },
		{ "a.test mx.x.test", "mx.x.test", true },
		{ "*.x.test", "mx.x.test", true },
		{ "*.x.test", "a.mx.x.test", false },
		{ "*.x.test", "x.test", false },
		{ "*.x.test", ".x.test", false },
		{ "*", "x.test", false },
		{ "*.test", "x.test", true },
		{ "mx.x.test", "mx.x.test.evil", false },
		{ "", "x.test", false },
		{ "x.tes", "x.test", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (tlspolicy_sts_match(rows[i].patterns, rows[i].host) != rows[i].match)
			fail_msg("%s against %s", rows[i].host, rows[i].patterns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decide),
		cmocka_unit_test(outcomes), cmocka_unit_test(sentences),
		cmocka_unit_test(sts_match) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

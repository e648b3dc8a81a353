/* SPDX-License-Identifier: ISC */
/* Which mechanisms are offered on which connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/sasl_names.h"

static void
offers(void **state)
{
	static const struct {
		bool tls, certificate;
		const char *names;
	} rows[] = {
		{ false, false, " SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN" },
		{ true, false,
		    " SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 "
		    "PLAIN "
		    "LOGIN" },
		{ true, true,
		    " EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "
		    "SCRAM-SHA-1 PLAIN LOGIN" },
		/* There is no certificate without TLS. */
		{ false, true, " SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN" },
	};
	char names[SASL_NAMES_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char copy[SASL_NAMES_MAX], *rest = copy, *name;

		sasl_names_list(
		    rows[i].tls, rows[i].certificate, " ", "", names, sizeof(names));
		assert_string_equal(names, rows[i].names);
		/* What is offered is taken, and nothing else. */
		memcpy(copy, names + 1, strlen(names));
		while ((name = strsep(&rest, " ")) != NULL)
			assert_non_null(sasl_name_find(
			    name, strlen(name), rows[i].tls, rows[i].certificate));
		assert_true(
		    (sasl_name_find("external", 8, rows[i].tls, rows[i].certificate) !=
			NULL) == (strstr(names, "EXTERNAL") != NULL));
	}
	assert_null(sasl_name_find("CRAM-MD5", 8, true, true));
	assert_false(sasl_name_server_first("EXTERNAL"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(offers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

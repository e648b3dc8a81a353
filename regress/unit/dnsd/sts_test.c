/* SPDX-License-Identifier: ISC */
/* The records of MTA-STS (RFC 8461, 3.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dnsd/sts.h"

static void
records(void **state)
{
	static const struct {
		const char *txt, *id; /* NULL: none */
	} rows[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
		{ "v=STSv1;id=1", "1" },
		{ "v = STSv1 ; id = 1 ; x=y", "1" },
		{ "v=STSv1; x=y; id=abc;", "abc" },
		{ "v=STSv1", NULL },
		{ "v=STSv1; id=", NULL },
		{ "v=STSv1; id=a b;", NULL },
		{ "v=STSv1; id=123456789012345678901234567890123;", NULL },
		{ "v=STSv1; id=1; id=2;", NULL },
		{ "id=1; v=STSv1", NULL },
		{ "v=STSv2; id=1;", NULL },
		{ "v=spf1 -all", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[33];
		int rc =
		    sts_record_id((const uint8_t *)rows[i].txt, strlen(rows[i].txt), id);

		if ((rc == 0) != (rows[i].id != NULL) ||
		    (rc == 0 && strcmp(id, rows[i].id) != 0))
			fail_msg("%s: %d %s", rows[i].txt, rc, id);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

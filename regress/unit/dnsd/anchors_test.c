/* SPDX-License-Identifier: ISC */
/* Lines of the state file of trust anchors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dnsd/anchors.h"

static void
lines(void **state)
{
	static const struct {
		const char *line;
		int key;
		unsigned int tag;
		const char *state;
		int64_t since;
	} rows[] = {
		{ ".\t172800\tIN\tDNSKEY\t257 3 8 AwEAAaz/tAm8= ;{id = 20326 (ksk), size "
		  "= "
		  "2048b} ;;state=2 [  VALID  ] ;;count=0 ;;lastchange=1502438004 "
		  ";;Fri Aug 11 07:53:24 2017",
		    1, 20326, "valid", 1502438004 },
		{ "a.\t1\tIN\tDNSKEY\t257 3 13 AAAA ;{id = 7 (ksk), size = 256b} "
		  ";;state=1 [ "
		  "ADDPEND ] ;;count=3 ;;lastchange=5 ;;x",
		    1, 7, "pending", 5 },
		{ "a. 1 IN DNSKEY 385 3 13 A ;{id = 65535 (ksk)} ;;state=4 [ REVOKED ] "
		  ";;count=0 ;;lastchange=1 ;;x",
		    1, 65535, "revoked", 1 },
		{ "a. ;{id = 7} ;;state=9 ;;lastchange=5", 0, 0, NULL, 0 },
		{ "a. ;{id = x} ;;state=1 ;;lastchange=5", 0, 0, NULL, 0 },
		{ "a. ;{id = 7} ;;state= ;;lastchange=5", 0, 0, NULL, 0 },
		{ "a. ;{id = 7} ;;state=1", 0, 0, NULL, 0 },
		{ "; autotrust trust anchor file", 0, 0, NULL, 0 },
		{ ";;id: . 1", 0, 0, NULL, 0 },
		{ "", 0, 0, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct anchor_key k;

		if (anchors_parse_line(rows[i].line, &k) != rows[i].key)
			fail_msg("row %zu", i);
		if (!rows[i].key)
			continue;
		assert_int_equal(k.tag, rows[i].tag);
		assert_string_equal(k.state, rows[i].state);
		assert_int_equal(k.since, rows[i].since);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

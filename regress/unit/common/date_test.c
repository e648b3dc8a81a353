/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/date.h"

static void
test_parse(void **state)
{
	/* time -1: refused. */
	static const struct {
		const char *in;
		int64_t time;
		int zone;
	} rows[] = {
		/* RFC 5322, appendix A. */
		{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360 },
		{ " Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120 },
		{ "Thu, 13 Feb 1969 23:32:54 -0330", -27723426, -210 },
		{ "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n  "
		  "             -0330 (Newfoundland Time)",
		    -27723480, -210 },
		{ "21 Nov 97 09:55:06 GMT", 880106106, 0 },
		{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", -1, 0 },
		{ "1 Jan 1970 00:00 +0000", 0, 0 },
		{ "1 Jan 1970 00:00", 0, 0 },
		{ "1 Jan 1970 00:00:00 EST", 18000, -300 },
		{ "1 Jan 1970 00:00:00 Z", 0, 0 },
		{ "1 Jan 1970 00:00:00 XYZ", 0, 0 },
		{ "1 Jan 1970 00:00:00 GMT+0100", -3600, 60 },
		{ "1 Jan 1970 01:00:00 +01:00", 0, 60 },
		{ "1 Jan 1970 00:00:00 0000", 0, 0 },
		{ "Mon Jan  2 15:04:05 2006", 1136214245, 0 },
		{ "Mon Jan  2 15:04:05 MST 2006", 1136239445, -420 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777, 0 },
		{ "6 November 1994 08:49:37 GMT", 784111777, 0 },
		{ "1 Jan 70 0:00:00 +0000 (a (nested\\) one))", 0, 0 },
		{ "29 Feb 2000 00:00:00 +0000", 951782400, 0 },
		{ "31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
		{ "1 Jan 1970 12:00:00 AM", 0, 0 },
		{ "1 Jan 103 00:00:00", 1041379200, 0 },
		{ "", -1, 0 },
		{ "garbage", -1, 0 },
		{ "29 Feb 1900 00:00:00 +0000", -1, 0 },
		{ "32 Jan 2000 00:00:00 +0000", -1, 0 },
		{ "0 Jan 2000 00:00:00 +0000", -1, 0 },
		{ "1 Foo 2000 00:00:00 +0000", -1, 0 },
		{ "1 Jan 2000 24:00:00 +0000", -1, 0 },
		{ "1 Jan 2000 00:60:00 +0000", -1, 0 },
		{ "1 Jan 2000", -1, 0 },
		{ "1 Jan 20000 00:00:00", -1, 0 },
		{ "1 Jan 2000 00:00:00 +99999", -1, 0 },
	};
	struct date d;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = date_parse(rows[i].in, strlen(rows[i].in), &d);

		if (rc != (rows[i].time == -1 ? -1 : 0) ||
		    (rc == 0 && d.time != rows[i].time))
			fail_msg("%s: %d %lld", rows[i].in, rc, (long long)d.time);
		if (rc == 0)
			assert_int_equal(d.zone_min, rows[i].zone);
	}
	date_parse(rows[0].in, strlen(rows[0].in), &d);
	assert_int_equal(d.year, 1997);
	assert_int_equal(d.month, 11);
	assert_int_equal(d.day, 21);
	assert_int_equal(d.hour, 9);
}

static void
test_format(void **state)
{
	char out[DATE_MAX];
	struct date d;

	(void)state;
	assert_int_equal(date_format(1136239445, -420, out, sizeof(out)), 31);
	assert_string_equal(out, "Mon, 02 Jan 2006 15:04:05 -0700");
	assert_int_equal(date_format(1136239445, -420, out, 31), -1);
	date_format(0, 0, out, sizeof(out));
	assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 +0000");
	date_format(-1, 330, out, sizeof(out));
	assert_string_equal(out, "Thu, 01 Jan 1970 05:29:59 +0530");
	assert_int_equal(date_format(INT64_MAX, 0, out, sizeof(out)), -1);
	assert_int_equal(date_format(INT64_MIN, 0, out, sizeof(out)), -1);
	assert_int_equal(date_format_imap(1136239445, -420, out, sizeof(out)), 26);
	assert_string_equal(out, "02-Jan-2006 15:04:05 -0700");
	date_format_iso(1136214245, out, sizeof(out));
	assert_string_equal(out, "2006-01-02T15:04:05Z");
	/* Every day of some centuries, there and back. */
	for (int64_t day = -200000; day < 400000; day += 13) {
		date_from_time(day * 86400 + 3661, 0, &d);
		assert_int_equal(date_to_days(d.year, d.month, d.day), day);
		assert_int_equal(d.hour * 3600 + d.minute * 60 + d.second, 3661);
	}
}

static void
test_imap(void **state)
{
	static const char *bad[] = { "", " ", "2-Jan-2006", "2-Jan-2006 15:04:05 -07000",
		"2-Foo-2006 15:04:05 -0700", " 22-Jan-2006 15:04:05 -0700",
		"30-Feb-2006 15:04:05 -0700", "02-Jan-2006 15:04:05 0700",
		"02-Jan-2006 15.04:05 -0700", "02-Jan-06 15:04:05 -0700" };
	struct date d;

	(void)state;
	assert_int_equal(date_parse_imap(" 2-Jan-2006 15:04:05 -0700", 26, &d), 0);
	assert_int_equal(d.time, 1136239445);
	assert_int_equal(date_parse_imap("02-jan-2006 15:04:05 -0700", 26, &d), 0);
	assert_int_equal(d.time, 1136239445);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(date_parse_imap(bad[i], strlen(bad[i]), &d), -1);
	assert_int_equal(date_parse_imap_day("2-Jan-2006", 10, &d), 0);
	assert_int_equal(d.time, 1136160000);
	assert_int_equal(date_parse_imap_day("12-Jan-2006", 11, &d), 0);
	assert_int_equal(date_parse_imap_day(" 2-Jan-2006", 11, &d), -1);
	assert_int_equal(date_parse_imap_day("2-Jan-2006x", 11, &d), -1);
	assert_int_equal(date_parse_iso("2006-01-02T15:04:05Z", 20, &d), 0);
	assert_int_equal(d.time, 1136214245);
	assert_int_equal(date_parse_iso("2006-01-02T15:04:05.25-07:00", 28, &d), 0);
	assert_int_equal(d.time, 1136239445);
	assert_int_equal(date_parse_iso("2006-01-02T15:04:05", 19, &d), -1);
	assert_int_equal(date_parse_iso("2006-13-02T15:04:05Z", 20, &d), -1);
	assert_int_equal(date_parse_iso("2006-01-02T15:04:05.Z", 21, &d), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_imap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Bounces, commands and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "listd/content.h"

#define REPORT                                                                     \
	"From: <>\r\nContent-Type: multipart/report; boundary=\"b\"\r\n\r\n"       \
	"--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" \
	"Reporting-MTA: dns; x.test\r\n\r\n"
#define END "\r\n--b--\r\n"

static void
test_bounces(void **state)
{
	static const struct {
		const char *message;
		enum bounce_kind kind;
		const char *why;
	} rows[] = {
		{ REPORT
		    "Final-Recipient: rfc822; a@x\r\nAction: failed\r\nStatus: 5.1.1\r\n"
		    "Diagnostic-Code: smtp; 550 no\r\n" END,
		    BOUNCE_HARD, "5.1.1 smtp; 550 no" },
		{ REPORT "Action: Failed (x)\r\nStatus: 5.0.0 (y)\r\n" END, BOUNCE_HARD,
		    "5.0.0" },
		{ REPORT "Action: failed\r\nStatus: 4.4.7\r\n" END, BOUNCE_SOFT,
		    "4.4.7" },
		{ REPORT "Action: failed\r\nStatus: 5.7.1\r\n" END, BOUNCE_SOFT,
		    "5.7.1" },
		{ REPORT "Action: failed\r\nStatus: 2.0.0\r\n" END, BOUNCE_NONE, NULL },
		{ REPORT "Action: failed\r\n" END, BOUNCE_SOFT, NULL },
		{ REPORT "Action: delayed\r\nStatus: 4.4.1\r\n" END, BOUNCE_NONE, NULL },
		{ REPORT "Action: delivered\r\nStatus: 2.0.0\r\n" END, BOUNCE_NONE,
		    NULL },
		/* The worst of several. */
		{ REPORT "Action: delayed\r\nStatus: 4.4.1\r\n\r\nAction: failed\r\n"
			 "Status: 4.2.2\r\n\r\nAction: failed\r\nStatus: 5.1.6\r\n" END,
		    BOUNCE_HARD, "5.1.6" },
		{ "Subject: Undelivered\r\n\r\nx\r\n", BOUNCE_SOFT,
		    "a message without a report: Undelivered" },
		{ "Subject: On leave\r\nAuto-Submitted: auto-replied\r\n\r\nx\r\n",
		    BOUNCE_NONE, NULL },
		{ "", BOUNCE_SOFT, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[256];

		assert_int_equal(content_bounce(rows[i].message, strlen(rows[i].message),
				     why, sizeof(why)),
		    rows[i].kind);
		if (rows[i].why != NULL)
			assert_string_equal(why, rows[i].why);
	}
}

static void
test_commands(void **state)
{
	static const struct {
		const char *subject, *body;
		enum command command;
		const char *arg;
	} rows[] = {
		{ "help", "", COMMAND_HELP, "" },
		{ "Subscribe", "", COMMAND_JOIN, "" },
		{ "Re: confirm abc", "", COMMAND_CONFIRM, "abc" },
		{ "hello", "\r\n  unsubscribe  now\r\n", COMMAND_LEAVE, "now" },
		{ "hello", "> subscribe\r\nI am here\r\n", COMMAND_NONE, "" },
		{ "hello", "-- \r\nsubscribe\r\n", COMMAND_NONE, "" },
		{ "helpless", "joined", COMMAND_NONE, "" },
		{ "", "1\n2\n3\n4\n5\n6\n7\n8\njoin\n", COMMAND_NONE, "" },
		{ "", "confirm =?x@y", COMMAND_CONFIRM, "=?x@y" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char message[500], arg[321];

		snprintf(message, sizeof(message), "Subject: %s\r\n\r\n%s",
		    rows[i].subject, rows[i].body);
		assert_int_equal(content_command(message, strlen(message),
				     rows[i].subject, arg, sizeof(arg)),
		    rows[i].command);
		assert_string_equal(arg, rows[i].arg);
	}
}

static void
test_words(void **state)
{
	static const char coded[] =
	    "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: text/html\r\n\r\n<p>no\r\n--b\r\n"
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n"
	    "one =3D two\r\n> quoted > more\r\nthree > four\r\n-- "
	    "\r\nsigned\r\n--b--\r\n";
	char out[100] = "", small[5];

	assert_int_equal(content_words(coded, strlen(coded), out, sizeof(out)), 23);
	assert_string_equal(out, "one = two\nthree > four\n");
	assert_int_equal(content_words(coded, strlen(coded), small, sizeof(small)), 4);
	assert_string_equal(small, "one ");
	assert_int_equal(content_words("\r\n\xff\xfe\r\n", 6, out, sizeof(out)), 3);
	assert_string_equal(out, "??\n");
	assert_int_equal(content_words("", 0, out, sizeof(out)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounces),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "smtpd/received.h"

#define DATE "Tue, 14 Nov 2023 22:13:20 +0000\r\n"
#define COMMON .hostname = "mx.test", .qid = "Q1", .time = 1700000000

static const struct {
	struct received r;
	const char *text;
} rows[] = {
	{ { COMMON, .kind = LISTENER_SMTP, .helo = "a.test", .client_name = "",
	      .client = "192.0.2.1", .tls = "", .rcpt = "x@y.z" },
	    "Received: from a.test ([192.0.2.1])\r\n\tby mx.test with SMTP id "
	    "Q1\r\n\tfor <x@y.z>; " DATE },
	{ { COMMON, .kind = LISTENER_SMTP, .helo = "a.test", .client_name = "b.test",
	      .client = "2001:db8::1", .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
	      .rcpt = "", .esmtp = 1 },
	    "Received: from a.test (b.test [IPv6:2001:db8::1])\r\n"
	    "\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tby mx.test with ESMTPS id "
	    "Q1; " DATE },
	{ { COMMON, .kind = LISTENER_SUBMISSION, .helo = "a", .client_name = "",
	      .client = "192.0.2.1", .tls = "x", .rcpt = "", .esmtp = 1,
	      .authenticated = 1 },
	    "Received: from a ([192.0.2.1])\r\n\t(using x)\r\n\tby mx.test with ESMTPSA "
	    "id Q1; " DATE },
	{ { COMMON, .kind = LISTENER_SUBMISSION, .helo = "a", .client_name = "b.test",
	      .client = "192.0.2.1", .tls = "x", .rcpt = "", .esmtp = 1,
	      .authenticated = 1, .hide_client = 1 },
	    "Received: by mx.test with ESMTPSA id Q1; " DATE },
	{ { COMMON, .kind = LISTENER_LMTP, .helo = "\xc3\xa4", .client_name = "",
	      .client = "local", .tls = "", .rcpt = "", .esmtp = 1, .smtputf8 = 1 },
	    "Received: from \xc3\xa4 ([local])\r\n\tby mx.test with UTF8LMTP id "
	    "Q1; " DATE },
	{ { COMMON, .kind = LISTENER_SMTP, .helo = "\xc3\xa4", .client_name = "",
	      .client = "192.0.2.1", .tls = "", .rcpt = "", .esmtp = 1 },
	    "Received: from unknown ([192.0.2.1])\r\n\tby mx.test with ESMTP id "
	    "Q1; " DATE },
	{ { COMMON, .kind = LISTENER_LOCAL, .helo = "x", .client_name = "",
	      .client = "local", .tls = "", .rcpt = "root@x.y", .uid = 12, .esmtp = 1 },
	    "Received: by mx.test (local user 12)\r\n\tid Q1\r\n\tfor "
	    "<root@x.y>; " DATE },
};

static void
test_rows(void **state)
{
	char buf[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].text);

		assert_int_equal(
		    received_format(&rows[i].r, buf, sizeof(buf), NULL), len);
		assert_string_equal(buf, rows[i].text);
		for (size_t cap = 0; cap <= len; cap++)
			assert_int_equal(received_format(&rows[i].r, buf, cap, NULL), -1);
	}
}

static void
test_missing(void **state)
{
	char buf[512];

	(void)state;
	assert_int_equal(received_add_missing(&rows[0].r, 0, 0, buf, sizeof(buf)), 0);
	assert_true(received_add_missing(&rows[0].r, 1, 1, buf, sizeof(buf)) > 0);
	assert_memory_equal(buf, "Date: " DATE "Message-ID: <Q1.",
	    sizeof("Date: " DATE "Message-ID: <Q1.") - 1);
	assert_int_equal(received_add_missing(&rows[0].r, 1, 1, buf, 60), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

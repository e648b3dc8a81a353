/*
 * What a bounce says, and that nothing from outside breaks its form. Drop files.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queued/bounce.h"
#include "queued/drop.h"

#define CONTENT "Subject: caf\303\251\r\nTo: x\r\n\r\nThe text.\r\n"

static char *
compose(struct bounce *b, size_t *len)
{
	int eight;
	char *p, *z;

	b->hostname = "mail.example.test";
	b->qid = "1000000";
	b->bounce_qid = "1000001";
	if (b->sender == NULL)
		b->sender = "alice@example.test";
	if (b->envid == NULL)
		b->envid = "";
	b->now = 1700000000;
	b->arrived = 1699990000;
	p = bounce_compose(b, len, &eight);
	assert_non_null(p);
	/* Every line ends in CRLF and none is too long; no other controls. */
	for (size_t i = 0, start = 0; i < *len; i++) {
		if (p[i] == '\n') {
			assert_true(i > 0 && p[i - 1] == '\r');
			assert_true(i - start <= 1000);
			start = i + 1;
		} else
			assert_true(
			    (unsigned char)p[i] >= 0x20 || p[i] == '\t' || p[i] == '\r');
	}
	z = realloc(p, *len + 1);
	assert_non_null(z);
	z[*len] = '\0';
	return z;
}

static void
test_failed(void **state)
{
	struct bounce_rcpt r[] = {
		{ "bob@remote.test", "rfc822;bob+2Bx@remote.test", "5.2.2",
		    "mx.remote.test", "552 5.2.2 Mailbox full", "", 0 },
		{ "eve@remote.test", "", "5.4.4", "", "", "The domain has no mail server",
		    0 },
	};
	struct bounce b = { .action = BOUNCE_FAILED,
		.rcpts = r,
		.nrcpt = 2,
		.full = 1,
		.complete = 1,
		.envid = "QQ314159",
		.content = (const uint8_t *)CONTENT,
		.content_len = strlen(CONTENT),
		.prefix = (const uint8_t *)"Received: y\r\n",
		.prefix_len = 13 };
	size_t len;
	char *p = compose(&b, &len);

	(void)state;
	assert_non_null(
	    strstr(p, "\r\n\r\nThis is the mail system at mail.example.test."));
	assert_non_null(
	    strstr(p, "mx.remote.test said:\r\n        552 5.2.2 Mailbox full"));
	assert_non_null(strstr(p, "The mailbox is full"));
	assert_non_null(strstr(p, "Original-Envelope-Id: QQ314159\r\n"));
	assert_non_null(strstr(p, "Original-Recipient: rfc822; bob+x@remote.test\r\n"));
	assert_non_null(strstr(p, "Final-Recipient: rfc822; eve@remote.test\r\n"));
	assert_non_null(strstr(p, "Status: 5.2.2\r\n"));
	assert_non_null(strstr(p, "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full\r\n"));
	assert_non_null(strstr(p, "Content-Type: message/rfc822\r\n"));
	assert_non_null(strstr(p, "Received: y\r\nSubject: caf"));
	assert_non_null(strstr(p, "The text.\r\n"));
	/* The human part is first. */
	assert_true(strstr(p, "text/plain") < strstr(p, "message/delivery-status"));
	free(p);
	/* Headers only. */
	b.full = 0;
	p = compose(&b, &len);
	assert_non_null(strstr(p, "Content-Type: text/rfc822-headers\r\n"));
	assert_non_null(strstr(p, "Subject: caf"));
	assert_null(strstr(p, "The text."));
	free(p);
}

static void
test_hostile(void **state)
{
	struct bounce_rcpt r = { "a\r\nBcc: x@y", "rfc822;a+0D+0ABcc:+20x", "5.\r\n1",
		"m\r\nX: y", "550 a\r\n.\r\n\001\377 b", "", 0 };
	char long_word[1500];
	struct bounce b = { .action = BOUNCE_FAILED,
		.rcpts = &r,
		.nrcpt = 1,
		.sender = "a\r\nBcc: z",
		.envid = "a+0D+0Ab",
		.content = (const uint8_t *)"",
		.prefix = (const uint8_t *)"" };
	size_t len;
	char *p = compose(&b, &len);

	(void)state;
	assert_null(strstr(p, "\nBcc:"));
	assert_null(strstr(p, "\nX:"));
	free(p);
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	r.reply = long_word;
	r.address = long_word;
	p = compose(&b, &len);
	free(p);
	/* The class of the status agrees with the action. */
	r.enhanced = "4.4.1";
	p = compose(&b, &len);
	assert_non_null(strstr(p, "Status: 4.4.1\r\n"));
	free(p);
	b.action = BOUNCE_DELAYED;
	r.until = 1700100000;
	p = compose(&b, &len);
	assert_non_null(strstr(p, "Action: delayed\r\nStatus: 4.4.1\r\n"));
	assert_non_null(strstr(p, "Will-Retry-Until: "));
	free(p);
}

static void
test_utf8(void **state)
{
	struct bounce_rcpt r = { "j\303\266rg@remote.test", "", "5.1.1", "", "", "no",
		0 };
	struct bounce b = { .action = BOUNCE_FAILED,
		.rcpts = &r,
		.nrcpt = 1,
		.smtputf8 = 1,
		.content = (const uint8_t *)"A: b\r\n\r\n",
		.content_len = 8,
		.full = 1,
		.complete = 1,
		.prefix = (const uint8_t *)"" };
	size_t len;
	char *p = compose(&b, &len);

	(void)state;
	assert_non_null(strstr(p, "message/global-delivery-status"));
	assert_non_null(strstr(p, "Final-Recipient: utf-8; j\303\266rg@remote.test"));
	assert_non_null(strstr(p, "Content-Type: message/global\r\n"));
	free(p);
}

/* Each of these has advice of its own. */
static void
test_advice(void **state)
{
	static const char *const codes[] = { "5.1.1", "5.3.4", "5.2.3", "5.2.2", "4.2.2",
		"4.4.1", "4.4.2", "5.7.1", "5.4.4", "5.1.2", "5.1.10", "4.4.7", "4.3.2",
		"5.4.6", "5.1.7", "5.1.8", "5.7.23", "5.7.26", "5.7.4", "4.7.5" };
	const char *fallback = bounce_advice("5.9.9", "");

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		assert_string_not_equal(bounce_advice(codes[i], ""), fallback);
	assert_non_null(strstr(
	    bounce_advice("5.7.1", "554 blocked using zen.spamhaus.org"), "block list"));
	assert_string_equal(bounce_advice("", ""), fallback);
}

static void
test_drop(void **state)
{
	static struct drop_envelope e;
	const char *why;
	static const struct {
		const char *text;
		int ok;
		size_t nrcpt;
	} rows[] = {
		{ "F a@b\nR c@d\n\nhello", 0, 1 },
		{ "F \nR c\nR d\n\n", 0, 2 },
		{ "F a@b\nR c@d\n", -1, 0 },
		{ "F a@b\n\nx", -1, 0 },
		{ "R c@d\nF a@b\n\nx", -1, 0 },
		{ "F a\nF b\nR c\n\n", -1, 0 },
		{ "F a\nR \n\n", -1, 0 },
		{ "F a\r\nR b\r\n\r\n", -1, 0 },
		{ "F a\nR <b>\n\n", -1, 0 },
		{ "X a\n\n", -1, 0 },
		{ "\nF a\nR b\n\n", -1, 0 },
		{ "", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    drop_parse(rows[i].text, strlen(rows[i].text), &e, &why), rows[i].ok);
		if (rows[i].ok == 0)
			assert_int_equal(e.nrcpt, rows[i].nrcpt);
	}
	assert_int_equal(drop_parse(rows[0].text, strlen(rows[0].text), &e, &why), 0);
	assert_string_equal(rows[0].text + e.content_off, "hello");
}

/* However many recipients there are and whatever was said, it fits. */
static void
test_many_recipients(void **state)
{
	static struct bounce_rcpt rcpts[10000];
	static char reply[1000];
	struct bounce b = { .action = BOUNCE_FAILED,
		.hostname = "mail.example.test",
		.qid = "1000000",
		.bounce_qid = "1000001",
		.sender = "a@x.test",
		.envid = "",
		.rcpts = rcpts,
		.nrcpt = 10000,
		.content = (const uint8_t *)"S: x\r\n\r\n",
		.content_len = 8,
		.complete = 1,
		.prefix = (const uint8_t *)"" };
	char *text;
	size_t len;
	int eight;

	(void)state;
	memset(reply, 'r', sizeof(reply) - 1);
	for (size_t i = 0; i < 10000; i++)
		rcpts[i] = (struct bounce_rcpt){ .address = "someone@remote.test",
			.orcpt = "",
			.enhanced = "5.1.1",
			.mta = "mx.remote.test",
			.reply = reply,
			.text = "" };
	text = bounce_compose(&b, &len, &eight);
	assert_non_null(text);
	assert_true(len < 1500 * 1024);
	assert_non_null(memmem(text, len, " more recipients.", 17));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

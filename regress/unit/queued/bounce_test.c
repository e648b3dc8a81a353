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

#include "common/proto/encoding.h"
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

static int
undo_base64(const char *in, const char *end, char *out)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = 0;
	int bits = 0, n = 0;

	for (; in < end && *in != '='; in++) {
		const char *d = strchr(digits, *in);

		if (d == NULL)
			continue;
		v = v << 6 | (uint32_t)(d - digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (char)(v >> bits & 0xff);
		}
	}
	out[n] = '\0';
	return n;
}

/* For a Chinese domain: Chinese first, then English, in seven bits; and no line is too
 * long for whoever shows it. */
static void
test_chinese(void **state)
{
	struct bounce_rcpt rcpts[] = { { .address = "x@remote.test",
	    .orcpt = "",
	    .enhanced = "5.2.2",
	    .mta = "mx.remote.test",
	    .reply = "552 5.2.2 full",
	    .text = "" } };
	struct bounce b = { .hostname = "mail.example.test",
		.qid = "1000000",
		.bounce_qid = "1000001",
		.sender = "a@x.test",
		.envid = "",
		.lang = LANG_ZH,
		.rcpts = rcpts,
		.nrcpt = 1,
		.content = (const uint8_t *)"S: x\r\n\r\n",
		.content_len = 8,
		.complete = 1,
		.prefix = (const uint8_t *)"" };
	static char human[16384];

	(void)state;
	for (int action = 0; action < BOUNCE_ACTIONS; action++) {
		char *text, *p, *end;
		size_t len, col = 0;
		int eight, n;

		b.action = (enum bounce_action)action;
		text = bounce_compose(&b, &len, &eight);
		assert_non_null(text);
		assert_int_equal(eight, 0);
		p = memmem(text, len, "Subject: =?utf-8?B?", 19);
		assert_non_null(p);
		end = strstr(p, "?=\r\n");
		assert_true(end != NULL && end - p < 76 + 9);
		undo_base64(p + 19, end, human);
		assert_string_equal(
		    human, words_get(LANG_ZH, (enum word)(WORD_SUBJECT_FAILED + action)));
		p = strstr(text, "Content-Transfer-Encoding: base64\r\n");
		assert_non_null(p);
		assert_non_null(strstr(text, "Content-Language: zh, en\r\n"));
		p = strstr(p, "\r\n\r\n") + 4;
		end = strstr(p, "\r\n--");
		n = undo_base64(p, end, human);
		assert_true(n > 200 && utf8_valid(human, (size_t)n));
		assert_non_null(strstr(human, "\r\n-----\r\n"));
		assert_true(strstr(human, "邮件系统") < strstr(human, "-----"));
		assert_true(
		    strstr(human, "This is the mail system") > strstr(human, "-----"));
		for (int i = 0; i < n; i++) {
			unsigned char c = (unsigned char)human[i];

			if (c == '\n')
				col = 0;
			else if ((c & 0xc0) != 0x80)
				col += c >= 0xe0 ? 2 : 1;
			assert_true(col <= 82);
		}
		if (action == BOUNCE_FAILED) {
			assert_non_null(strstr(human, "552 5.2.2 full"));
			assert_non_null(strstr(human, "对方的邮箱已满"));
			assert_non_null(strstr(human, "The mailbox is full"));
		}
		free(text);
	}
}

/* RFC 6533, 3: an address in UTF-8 in a report that is ASCII. */
static void
test_escaped_address(void **state)
{
	struct bounce_rcpt rcpts[] = { { .address = "f\xc3\xbc+r\\@r.test",
	    .orcpt = "",
	    .enhanced = "5.1.1",
	    .mta = "m",
	    .reply = "550 \xe4\xbd\xa0",
	    .text = "" } };
	struct bounce b = { .hostname = "h.test",
		.qid = "1",
		.bounce_qid = "2",
		.sender = "a@x.test",
		.envid = "",
		.rcpts = rcpts,
		.nrcpt = 1,
		.content = (const uint8_t *)"S: x\r\n\r\n",
		.content_len = 8,
		.prefix = (const uint8_t *)"" };
	char *text, *p;
	size_t len;
	int eight;

	(void)state;
	text = bounce_compose(&b, &len, &eight);
	assert_non_null(text);
	assert_non_null(memmem(
	    text, len, "Final-Recipient: utf-8; f\\x{FC}\\x{2B}r\\x{5C}@r.test\r\n", 53));
	p = memmem(text, len, "Diagnostic-Code: smtp; 550 ?\r\n", 30);
	assert_non_null(p);
	free(text);
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
		cmocka_unit_test(test_chinese),
		cmocka_unit_test(test_escaped_address),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Facts, decisions and headers of posts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "listd/decide.h"
#include "listd/post.h"

#define LIST "talk@example.org"
#define FROM "From: Ann <ann@example.net>\r\n"
#define BODY "\r\nHello.\r\n"

static struct listconf conf;
static struct post_facts facts;

static int
setup(void **state)
{
	listconf_init(&conf);
	return 0;
}

static void
read_it(const char *s)
{
	post_read(s, strlen(s), LIST, &conf, &facts);
}

static void
test_facts(void **state)
{
	read_it("Received: x\r\nFrom: =?utf-8?q?J=C3=B6rg?= <j@example.net>, b@x.test\r\n"
		"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\n" BODY);
	assert_string_equal(facts.author, "j@example.net");
	assert_string_equal(facts.name, "J\xc3\xb6rg");
	assert_string_equal(facts.subject, "gr\xc3\xbc\xc3\x9f"
					   "e");
	assert_string_equal(facts.message_id, "<1@x>");
	assert_true(facts.complete && facts.tagged);
	assert_false(
	    facts.looped || facts.auto_reply || facts.report || facts.signed_by_author);
	read_it("From: nobody\r\nSender: a@x.test\r\n" BODY);
	assert_string_equal(facts.author, "");
	read_it(FROM "List-Id: Talk (x) <TALK.example.org>\r\n" BODY);
	assert_true(facts.looped);
	read_it(FROM
	    "List-Id: <other.example.org>\r\nX-BeenThere: Talk@example.org\r\n" BODY);
	assert_true(facts.looped);
	read_it(
	    FROM "List-Id: <other.example.org>\r\nX-BeenThere: x@example.org\r\n" BODY);
	assert_false(facts.looped);
	read_it(FROM "Auto-Submitted: auto-replied (vacation)\r\n" BODY);
	assert_true(facts.auto_reply);
	read_it(FROM "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\n" BODY);
	assert_false(facts.auto_reply);
	read_it(FROM "Content-Type: multipart/report; boundary=x\r\n" BODY);
	assert_true(facts.report);
	read_it(FROM "DKIM-Signature: v=1; a=x; d=example.net; b=y\r\n" BODY);
	assert_true(facts.signed_by_author);
	read_it(FROM "DKIM-Signature: v=1; d=notexample.net; b=y\r\n" BODY);
	assert_false(facts.signed_by_author);
	read_it(BODY);
	assert_string_equal(facts.author, "");
	read_it("");
}

static enum decision
decided(uint8_t standing, const char *sender, int junk, uint64_t size,
    const char *message, struct verdict_of_list *v)
{
	read_it(message);
	decide(&conf, standing, &facts, sender, junk, size, v);
	return v->what;
}

static void
test_decisions(void **state)
{
	struct verdict_of_list v;
	const char *m = FROM BODY;

	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 0, 9, m, &v), DECIDE_POST);
	assert_int_equal(decided(LIST_IS_OWNER, "a@b", 0, 9, m, &v), DECIDE_POST);
	assert_int_equal(decided(LIST_IS_POSTER, "a@b", 0, 9, m, &v), DECIDE_POST);
	assert_int_equal(decided(LIST_IS_UPPER, "a@b", 0, 9, m, &v), DECIDE_POST);
	assert_int_equal(decided(0, "a@b", 0, 9, m, &v), DECIDE_HOLD);
	assert_int_equal(
	    decided(LIST_IS_MEMBER | LIST_IS_UNPROVED, "a@b", 0, 9, m, &v), DECIDE_POST);
	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 1, 9, m, &v), DECIDE_HOLD);
	assert_int_equal(decided(LIST_IS_OWNER, "", 0, 9, m, &v), DECIDE_DROP);
	assert_int_equal(
	    decided(LIST_IS_OWNER, "a@b", 0, UINT64_C(1) << 40, m, &v), DECIDE_REJECT);
	assert_string_equal(v.enhanced, "5.2.3");
	assert_int_equal(decided(LIST_IS_OWNER, "a@b", 0, 9, BODY, &v), DECIDE_REJECT);
	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 0, 9,
			     FROM "Subject: Unsubscribe\r\n" BODY, &v),
	    DECIDE_HOLD);
	assert_int_equal(decided(LIST_IS_OWNER, "a@b", 0, 9,
			     FROM "X-BeenThere: " LIST "\r\n" BODY, &v),
	    DECIDE_REJECT);
	assert_string_equal(v.enhanced, "5.4.6");
	conf.others = LIST_OTHERS_REJECT;
	assert_int_equal(decided(0, "a@b", 0, 9, m, &v), DECIDE_REJECT);
	assert_string_equal(v.enhanced, "5.7.2");
	assert_int_equal(decided(LIST_IS_UNPROVED, "a@b", 0, 9, m, &v), DECIDE_HOLD);
	conf.others = LIST_OTHERS_DISCARD;
	assert_int_equal(decided(0, "a@b", 0, 9, m, &v), DECIDE_DROP);
	conf.post = LIST_POST_ANYONE;
	assert_int_equal(decided(0, "a@b", 0, 9, m, &v), DECIDE_POST);
	conf.post = LIST_POST_LISTED;
	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 0, 9, m, &v), DECIDE_DROP);
	conf.post = LIST_POST_OWNERS;
	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 0, 9, m, &v), DECIDE_DROP);
	conf.post = LIST_POST_MEMBERS;
	conf.moderated = 1;
	assert_int_equal(decided(LIST_IS_MEMBER, "a@b", 0, 9, m, &v), DECIDE_HOLD);
	assert_int_equal(decided(LIST_IS_OWNER, "a@b", 0, 9, m, &v), DECIDE_POST);
}

/* The header of the post, free()d by the caller. */
static char *
header(const char *prefix, const char *message)
{
	struct text t = { 0 };

	read_it(message);
	post_header(&t, prefix, strlen(prefix), message, &facts, LIST, &conf);
	assert_false(t.bad);
	text_put(&t, "", 1);
	return t.p;
}

static void
test_header_kept(void **state)
{
	char *h = header("Received: by us\r\nReturn-Path: <x>\r\n",
	    "Received: a\r\n\tb\r\nDelivered-To: me\r\nList-Id: <o.x>\r\nList-Foo: x\r\n"
	    "DKIM-Signature: d=example.net\r\n" FROM "Bcc: z@x.test\r\nTo: " LIST
	    "\r\nX-BeenThere: o@x\r\nSubject: s\r\nApproved: password\r\n" BODY);

	assert_int_equal(strncmp(h,
			     "Received: by us\r\nReceived: a\r\n\tb\r\n"
			     "DKIM-Signature: d=example.net\r\n" FROM "To: " LIST
			     "\r\nX-BeenThere: o@x\r\nSubject: s\r\n"
			     "List-Id: <talk.example.org>\r\n",
			     sizeof("Received: by us\r\nReceived: a\r\n\tb\r\n"
				    "DKIM-Signature: d=example.net\r\n" FROM "To: " LIST
				    "\r\nX-BeenThere: o@x\r\nSubject: s\r\n"
				    "List-Id: <talk.example.org>\r\n") -
				 1),
	    0);
	assert_non_null(strstr(h, "List-Post: <mailto:talk@example.org>\r\n"));
	assert_non_null(strstr(h, "X-BeenThere: talk@example.org\r\n\r\n"));
	free(h);
}

static void
test_header_rewritten(void **state)
{
	char *h;

	assert_null(listconf_set(&conf, "subject-tag=[t\xc3\xb6n]"));
	assert_null(listconf_set(&conf, "title=A \"title\""));
	h = header("",
	    "DKIM-Signature: d=example.net\r\n" FROM "Subject:  hi\r\n\tyou\r\n" BODY);
	assert_null(strstr(h, "DKIM"));
	assert_non_null(
	    strstr(h, "From: \"Ann via A \\\"title\\\"\"\r\n\t<" LIST ">\r\n"));
	assert_non_null(strstr(h, "Reply-To: Ann <ann@example.net>\r\n"));
	assert_non_null(strstr(h, "X-Original-From: Ann <ann@example.net>\r\n"));
	assert_non_null(strstr(h, "?=  hi\r\n\tyou\r\n"));
	assert_non_null(
	    strstr(h, "List-Id: \"A \\\"title\\\"\"\r\n\t<talk.example.org>\r\n"));
	free(h);
	/* Of our own domain nothing has to be replaced. */
	h = header("", "From: bob@example.org\r\nReply-To: z@x.test\r\n" BODY);
	assert_non_null(strstr(h, "From: bob@example.org\r\n"));
	assert_non_null(strstr(h, "Reply-To: z@x.test\r\n"));
	assert_non_null(strstr(h, "(no subject)\r\n"));
	assert_null(strstr(h, "X-Original-From"));
	free(h);
	assert_null(listconf_set(&conf, "reply-to=list"));
	assert_null(listconf_set(&conf, "from-rewrite=never"));
	assert_null(listconf_set(&conf, "subject-tag="));
	h = header("", FROM "Reply-To: z@x.test\r\n" BODY);
	assert_non_null(strstr(h, FROM));
	assert_null(strstr(h, "z@x.test"));
	assert_non_null(strstr(h, "Reply-To: <" LIST ">\r\n"));
	free(h);
	/* The same author under always. */
	assert_null(listconf_set(&conf, "from-rewrite=always"));
	h = header("", "From: bob@example.org\r\n" BODY);
	assert_non_null(strstr(h, "<" LIST ">"));
	assert_non_null(strstr(h, "X-Original-From: bob@example.org"));
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_facts, setup),
		cmocka_unit_test_setup(test_decisions, setup),
		cmocka_unit_test_setup(test_header_kept, setup),
		cmocka_unit_test_setup(test_header_rewritten, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

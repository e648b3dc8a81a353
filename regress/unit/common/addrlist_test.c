/* SPDX-License-Identifier: ISC */
/* addrlist.c: each list is printed as name|route|local|host, G:name and E for groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/addrlist.h"

static void
print(const char *in, char *out, size_t cap)
{
	struct addrlist l;
	struct addrlist_item it;
	size_t n = 0;

	out[0] = '\0';
	addrlist_init(&l, in, strlen(in));
	while (addrlist_next(&l, &it)) {
		if (it.kind == ADDRLIST_GROUP)
			n += (size_t)snprintf(out + n, cap - n, "G:%s;", it.local);
		else if (it.kind == ADDRLIST_GROUP_END)
			n += (size_t)snprintf(out + n, cap - n, "E;");
		else
			n += (size_t)snprintf(out + n, cap - n, "%s|%s|%s|%s;",
			    it.has_name ? it.name : "-", it.has_route ? it.route : "-",
			    it.local, it.has_host ? it.host : "-");
	}
}

static void
test_lists(void **state)
{
	static const char *rows[][2] = {
		{ "john@example.com", "-|-|john|example.com;" },
		{ "<john@example.com>", "-|-|john|example.com;" },
		/* RFC 5322, appendix A. */
		{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
		    "Mary Smith|-|mary|x.test;-|-|jdoe|example.org;Who?|-|one|y.test;" },
		{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
		    "-|-|boss|nil.test;Giant; \"Big\" Box|-|sysservices|example.net;" },
		{ "\"Joe Q. Public\" <john.q.public@example.com>",
		    "Joe Q. Public|-|john.q.public|example.com;" },
		{ "Joe Q. Public <john.q.public@example.com>",
		    "Joe Q. Public|-|john.q.public|example.com;" },
		{ "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
		    "G:A Group;Ed "
		    "Jones|-|c|a.test;-|-|joe|where.test;John|-|jdoe|one.test;E;" },
		{ "Undisclosed recipients:;", "G:Undisclosed recipients;E;" },
		{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
		    "Pete|-|pete|silly.test;" },
		{ "A Group(Some people)\r\n     :Chris Jones <c@(Chris's "
		  "host.)public.example>,\r\n         joe@example.org,\r\n  John "
		  "<jdoe@one.test> (my dear friend); (the end of the group)",
		    "G:A Group;Chris "
		    "Jones|-|c|public.example;-|-|joe|example.org;John|-|jdoe|one.test;"
		    "E;" },
		{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
		    "G:Hidden recipients;E;" },
		{ "Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . "
		  "example",
		    "Mary "
		    "Smith|@node.test,@b.test|mary|example.net;-|-|jdoe|test.example;" },
		{ "jdoe . x@test", "-|-|jdoe.x|test;" },
		{ "mailbox@example.com (A comment)", "A comment|-|mailbox|example.com;" },
		{ "\"a b\"@x.y", "-|-|a b|x.y;" },
		{ "a@[1.2.3.4]", "-|-|a|[1.2.3.4];" },
		{ "=?utf-8?Q?a=2Cb?= <a@b>", "=?utf-8?Q?a=2Cb?=|-|a|b;" },
		/* Malformed. */
		{ "", "" },
		{ ",,;", "" },
		{ "root", "-|-|root|-;" },
		{ "John Smith", "-|-|John Smith|-;" },
		{ "a@b.c <a@b.c>", "a@b.c|-|a|b.c;" },
		{ "John john@x.y", "John|-|john|x.y;" },
		{ "<>", "-|-||-;" },
		{ "MAILER <>", "MAILER|-||-;" },
		{ "a@", "-|-|a|;" },
		{ "@b", "-|-||b;" },
		{ "<a@b", "-|-|a|b;" },
		{ "<a@b, c@d", "-|-|a|b;-|-|c|d;" },
		{ "<<a@b>>, c@d", "-|-|a|b;-|-|c|d;" },
		{ "\"unclosed <a@b>", "-|-|unclosed <a@b>|-;" },
		{ "x (unclosed <a@b>", "unclosed <a@b>|-|x|-;" },
		{ "a@b@c", "-|-|a|b;" },
		{ "a@b junk, c@d", "-|-|a|b;-|-|c|d;" },
		{ "g: a@b", "G:g;-|-|a|b;E;" },
		{ "g: a:b@c; d@e", "G:g;-|-|a:b|c;E;-|-|d|e;" },
		{ "a@b; c@d", "-|-|a|b;-|-|c|d;" },
		{ "\\", "-|-|\\|-;" },
		{ ">", "-|-|>|-;" },
	};
	char out[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print(rows[i][0], out, sizeof(out));
		if (strcmp(out, rows[i][1]) != 0)
			fail_msg("[%s]:\n[%s] is not\n[%s]", rows[i][0], out, rows[i][1]);
	}
}

static void
test_bounds(void **state)
{
	static char in[200000];
	struct addrlist l;
	struct addrlist_item it;
	size_t n = 0;
	char out[400];

	(void)state;
	memset(in, 'a', sizeof(in));
	addrlist_init(&l, in, sizeof(in));
	assert_int_equal(addrlist_next(&l, &it), 1);
	assert_int_equal(strlen(it.local), sizeof(it.local) - 1);
	assert_int_equal(addrlist_next(&l, &it), 0);
	for (size_t i = 0; i < sizeof(in); i += 2)
		memcpy(in + i, "a,", 2);
	addrlist_init(&l, in, sizeof(in));
	while (addrlist_next(&l, &it))
		n++;
	assert_int_equal(n, ADDRLIST_MAX);
	addrlist_init(&l, "\"a b\"@x.y", 9);
	addrlist_next(&l, &it);
	assert_int_equal(addrlist_format(&it, out, sizeof(out)), 9);
	assert_string_equal(out, "\"a b\"@x.y");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

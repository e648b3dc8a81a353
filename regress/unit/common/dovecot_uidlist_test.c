/* SPDX-License-Identifier: ISC */
/* Dovecot's uidlist in both forms, and what a user may have written there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/dovecot_uidlist.h"

static int
parse(struct dovecot_uidlist *u, const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return dovecot_uidlist_parse(u, copy, len);
}

static void
third_form(void **state)
{
	struct dovecot_uidlist u;
	const struct dovecot_entry *e;

	assert_int_equal(
	    parse(&u, "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
		      "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
		      "25017 W2481 Pold-17 :1276533073.M242911P3632.kurkku:2,F\n"
		      "25021 P0000000b4c0a S12 :with space\n"),
	    0);
	assert_int_equal(u.uidvalidity, 1275660208);
	assert_int_equal(u.uidnext, 25022);
	assert_int_equal(u.n, 3);
	e = dovecot_uidlist_find(&u, "1276528487.M364837P9451.kurkku,S=1355,W=1394:2,S");
	assert_non_null(e);
	assert_int_equal(e->uid, 25006);
	assert_null(e->uidl);
	e = dovecot_uidlist_find(&u, "1276533073.M242911P3632.kurkku");
	assert_non_null(e);
	assert_string_equal(e->uidl, "old-17");
	e = dovecot_uidlist_find(&u, "with space");
	assert_non_null(e);
	assert_int_equal(e->uid, 25021);
	assert_string_equal(e->uidl, "0000000b4c0a");
	assert_null(dovecot_uidlist_find(&u, "1276533073"));
	assert_null(dovecot_uidlist_find(&u, ""));
	assert_null(dovecot_uidlist_find(&u, "zzz"));
	dovecot_uidlist_clear(&u);
}

static void
first_form(void **state)
{
	struct dovecot_uidlist u;

	assert_int_equal(parse(&u, "1 1173189136 20221\n13810 a.b.c\n17093 d\n"), 0);
	assert_int_equal(u.uidvalidity, 1173189136);
	assert_int_equal(u.uidnext, 20221);
	assert_int_equal(u.n, 2);
	assert_int_equal(dovecot_uidlist_find(&u, "a.b.c:2,S")->uid, 13810);
	dovecot_uidlist_clear(&u);
}

static void
disorder(void **state)
{
	struct dovecot_uidlist u;

	/* Not ascending, a UID twice, a name twice, UIDNEXT too low. */
	assert_int_equal(parse(&u, "3 V5 N2\n9 :c\n3 :a\n3 :b\n7 :a\n"), 0);
	assert_int_equal(u.n, 3);
	assert_int_equal(u.uidnext, 10);
	assert_int_equal(dovecot_uidlist_find(&u, "a")->uid, 7);
	assert_null(dovecot_uidlist_find(&u, "b"));
	assert_int_equal(dovecot_uidlist_find(&u, "c")->uid, 9);
	dovecot_uidlist_clear(&u);
	/* Lines that are none. */
	assert_int_equal(
	    parse(&u, "3 V5 N20\n\nx\n0 :z\n4\n5 \n6 :\n7 x\n8 :a/b\n4294967295 :q\n"
		      "99999999999999999999 :q\n10 P\n11  :two\n12 :ok"),
	    0);
	assert_int_equal(u.n, 2);
	assert_int_equal(dovecot_uidlist_find(&u, "ok")->uid, 12);
	assert_int_equal(dovecot_uidlist_find(&u, "two")->uid, 11);
	dovecot_uidlist_clear(&u);
	/* No room would be left for messages to come. */
	assert_int_equal(parse(&u, "3 V5 N4294967295\n12 :ok\n"), 0);
	assert_int_equal(u.uidnext, 13);
	dovecot_uidlist_clear(&u);
}

static void
no_list(void **state)
{
	static const char *const none[] = { "", "\n", "2 V1 N1\n", "3\n", "3 N1\n",
		"3 V0 N1\n", "3 V99999999999 N1\n", "1 5\n", "1 5 x\n", "x", "3V1 N1\n" };
	struct dovecot_uidlist u;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(parse(&u, none[i]), -1);
		assert_null(u.v);
	}
}

static void
identifiers(void **state)
{
	char out[DOVECOT_UIDL_SIZE];

	dovecot_uidl(0x4c0a1234, 11, out);
	assert_string_equal(out, "0000000b4c0a1234");
}

static void
subscriptions(void **state)
{
	char plain[] = "Lists.a", tabs[] = "Lists\ta", bad[] = "a\x01", empty[] = "";

	assert_string_equal(dovecot_subscription(plain, 0), "Lists.a");
	assert_null(dovecot_subscription(tabs, 0));
	assert_string_equal(dovecot_subscription(tabs, 1), "Lists.a");
	assert_null(dovecot_subscription(bad, 1));
	assert_null(dovecot_subscription(empty, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(third_form),
		cmocka_unit_test(first_form),
		cmocka_unit_test(disorder),
		cmocka_unit_test(no_list),
		cmocka_unit_test(identifiers),
		cmocka_unit_test(subscriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

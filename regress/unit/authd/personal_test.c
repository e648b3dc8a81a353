/* SPDX-License-Identifier: ISC */
/* A user's own access list: entries, their bound, and which one counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/personal.h"
#include "common/compat/compat.h"

static char text[PERSONAL_TEXT_MAX + 1];

static void
entries(void **state)
{
	char subject[ACCESS_KEY_MAX], reason[PERSONAL_REASON_MAX + 1];
	char long_reason[PERSONAL_REASON_MAX + 2];
	enum access_kind kind;
	const char *p = text;

	text[0] = '\0';
	assert_int_equal(
	    personal_put(text, ACCESS_ALLOW, "friend@x.test", "from school"), DIR_OK);
	assert_int_equal(personal_put(text, ACCESS_DENY, "x.test", ""), DIR_OK);
	assert_int_equal(
	    personal_put(text, ACCESS_JUNK, "192.0.2.0/24", "lists"), DIR_OK);
	assert_string_equal(text, "allow friend@x.test from school\ndeny x.test\n"
				  "junk 192.0.2.0/24 lists\n");
	assert_int_equal(
	    personal_next(&p, &kind, subject, sizeof(subject), reason, sizeof(reason)),
	    0);
	assert_int_equal(kind, ACCESS_ALLOW);
	assert_string_equal(subject, "friend@x.test");
	assert_string_equal(reason, "from school");
	assert_int_equal(
	    personal_next(&p, &kind, subject, sizeof(subject), reason, sizeof(reason)),
	    0);
	assert_string_equal(subject, "x.test");
	assert_string_equal(reason, "");
	/* A subject is there once. */
	assert_int_equal(personal_put(text, ACCESS_ALLOW, "x.test", "after all"), DIR_OK);
	assert_string_equal(text, "allow friend@x.test from school\n"
				  "junk 192.0.2.0/24 lists\nallow x.test after all\n");
	assert_int_equal(personal_del(text, ACCESS_DENY, "x.test"), DIR_NONE);
	assert_int_equal(personal_del(text, ACCESS_ALLOW, "friend@x.test"), DIR_OK);
	assert_int_equal(personal_del(text, ACCESS_ALLOW, "friend@x.test"), DIR_NONE);
	assert_int_equal(personal_del(text, ACCESS_ALLOW, "x.test"), DIR_OK);
	assert_int_equal(personal_del(text, ACCESS_JUNK, "192.0.2.0/24"), DIR_OK);
	assert_string_equal(text, "");
	memset(long_reason, 'x', sizeof(long_reason));
	long_reason[sizeof(long_reason) - 1] = '\0';
	assert_int_equal(personal_put(text, ACCESS_DENY, "x.test", long_reason), DIR_BAD);
	assert_int_equal(personal_put(text, ACCESS_DENY, "x.test", "a\nb"), DIR_BAD);
}

static void
rows_that_are_none(void **state)
{
	char subject[ACCESS_KEY_MAX], reason[8];
	enum access_kind kind;
	const char *p =
	    "\nnonsense\nban x.test\ndeny\ndeny \ndeny a.test a long reason\nx";

	assert_int_equal(
	    personal_next(&p, &kind, subject, sizeof(subject), reason, sizeof(reason)),
	    0);
	assert_string_equal(subject, "a.test");
	assert_string_equal(reason, "a long ");
	assert_int_equal(
	    personal_next(&p, &kind, subject, sizeof(subject), reason, sizeof(reason)),
	    -1);
}

static void
bound(void **state)
{
	char subject[64];

	text[0] = '\0';
	for (int i = 0; i < PERSONAL_ENTRIES_MAX; i++) {
		snprintf(subject, sizeof(subject), "host%d.test", i);
		assert_int_equal(personal_put(text, ACCESS_DENY, subject, ""), DIR_OK);
	}
	assert_int_equal(personal_put(text, ACCESS_DENY, "more.test", ""), DIR_FULL);
	assert_int_equal(personal_put(text, ACCESS_ALLOW, "host7.test", ""), DIR_OK);
	/* Long ones are fewer. */
	text[0] = '\0';
	for (int i = 0;; i++) {
		char address[300];
		enum dir_status st;

		snprintf(address, sizeof(address), "%0200d@x.test", i);
		if ((st = personal_put(text, ACCESS_DENY, address, "why")) == DIR_FULL)
			break;
		assert_int_equal(st, DIR_OK);
		assert_true(i < PERSONAL_ENTRIES_MAX);
	}
	assert_true(strlen(text) <= PERSONAL_TEXT_MAX);
}

static void
match(void **state)
{
	static const char list[] =
	    "deny x.test\nallow friend@x.test\njunk sub.x.test\n"
	    "deny 192.0.2.0/24\nallow 192.0.2.7\ndeny 2001:db8::/32\n"
	    "allow t.test\n";
	static const struct {
		const char *client, *sender;
		enum access_kind kind;
		const char *subject;
	} rows[] = {
		{ "198.51.100.1", "eve@x.test", ACCESS_DENY, "x.test" },
		{ "198.51.100.1", "Eve@X.Test", ACCESS_DENY, "x.test" },
		{ "198.51.100.1", "friend@x.test", ACCESS_ALLOW, "friend@x.test" },
		{ "198.51.100.1", "a@sub.x.test", ACCESS_JUNK, "sub.x.test" },
		{ "198.51.100.1", "a@deep.sub.x.test", ACCESS_JUNK, "sub.x.test" },
		{ "198.51.100.1", "a@notx.test", ACCESS_NONE, "" },
		{ "198.51.100.1", "x.test@y.test", ACCESS_NONE, "" },
		{ "198.51.100.1", "", ACCESS_NONE, "" },
		/* The client first. */
		{ "192.0.2.9", "friend@x.test", ACCESS_DENY, "192.0.2.0/24" },
		{ "192.0.2.7", "eve@x.test", ACCESS_ALLOW, "192.0.2.7" },
		{ "::ffff:192.0.2.7", "", ACCESS_ALLOW, "192.0.2.7" },
		{ "2001:db8:9::1", "", ACCESS_DENY, "2001:db8::/32" },
		{ "2001:db9::1", "", ACCESS_NONE, "" },
		{ "", "a@x.test", ACCESS_DENY, "x.test" },
		{ "local", "a@t.test", ACCESS_ALLOW, "t.test" },
	};
	char subject[ACCESS_KEY_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(personal_match(list, rows[i].client, rows[i].sender,
				     subject, sizeof(subject)),
		    rows[i].kind);
		assert_string_equal(subject, rows[i].subject);
	}
}

/* A list goes with its user: to a new name, and away. */
static void
of_a_user(void **state)
{
	char dir[64] = "/tmp/fife-personal.XXXXXX", path[80], lock[90], got[100];
	struct user u = { 0 };
	struct directory *d;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	d = directory_open(path, 50050, 50059);
	assert_non_null(d);
	assert_int_equal(directory_domain_add(d, "x.test"), DIR_OK);
	strlcpy(u.address, "a@x.test", sizeof(u.address));
	assert_int_equal(directory_user_add(d, &u), DIR_OK);
	assert_false(directory_has_personal(d));
	assert_int_equal(
	    directory_personal_get(d, "a@x.test", got, sizeof(got)), DIR_NONE);
	assert_int_equal(directory_personal_put(d, "a@x.test", "deny y.test\n"), DIR_OK);
	assert_true(directory_has_personal(d));
	assert_int_equal(directory_user_rename(d, "a@x.test", "b@x.test"), DIR_OK);
	assert_int_equal(
	    directory_personal_get(d, "a@x.test", got, sizeof(got)), DIR_NONE);
	assert_int_equal(directory_personal_get(d, "b@x.test", got, sizeof(got)), DIR_OK);
	assert_string_equal(got, "deny y.test\n");
	assert_int_equal(directory_personal_put(d, "b@x.test", ""), DIR_OK);
	assert_false(directory_has_personal(d));
	assert_int_equal(directory_personal_put(d, "b@x.test", "deny y.test\n"), DIR_OK);
	assert_int_equal(directory_user_del(d, "b@x.test"), DIR_OK);
	assert_false(directory_has_personal(d));
	directory_close(d);
	unlink(path);
	unlink(lock);
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(rows_that_are_none),
		cmocka_unit_test(bound),
		cmocka_unit_test(match),
		cmocka_unit_test(of_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

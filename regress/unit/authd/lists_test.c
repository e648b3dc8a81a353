/* SPDX-License-Identifier: ISC */
/* Lists and members in the directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/lists.h"
#include "common/compat/compat.h"

#define DAY 86400
#define NOW ((int64_t)1000 * DAY)
#define LIST "talk@example.org"

static char dir[64], path[80];
static struct directory *d;

static int
setup(void **state)
{
	strlcpy(dir, "/tmp/fife-lists.XXXXXX", sizeof(dir));
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/directory", dir);
	d = directory_open(path, 1000, 2000);
	return d == NULL || directory_domain_add(d, "example.org") != DIR_OK ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	directory_close(d);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void
test_member_text(void **state)
{
	struct member m = {
		.roles = LIST_IS_MEMBER | LIST_IS_OWNER, .since = 5, .score = 3
	};
	struct member n;
	char text[MEMBER_TEXT_MAX + 1];

	strlcpy(m.why, "550 5.1.1 no\tsuch user 100%", sizeof(m.why));
	assert_int_equal(member_encode(&m, text, sizeof(text)), 0);
	assert_int_equal(member_decode(text, &n), 0);
	assert_int_equal(n.roles, m.roles);
	assert_string_equal(n.why, m.why);
	assert_int_equal(n.score, 3);
	assert_int_equal(member_decode("roles=x", &n), -1);
	assert_int_equal(member_decode("roles", &n), -1);
	assert_int_equal(member_decode("since=-1", &n), -1);
	assert_int_equal(member_decode("what=1", &n), -1);
	assert_int_equal(member_decode("", &n), 0);
}

static void
test_bounces(void **state)
{
	struct listconf l;
	struct member m = { .roles = LIST_IS_MEMBER };

	listconf_init(&l);
	l.bounce_limit = 2;
	l.bounce_window_d = 10;
	/* Several on a day are one, and the hard one of them counts. */
	assert_int_equal(member_bounce(&m, &l, 0, "4.4.7 x", NOW), 0);
	assert_int_equal(m.score, 1);
	assert_int_equal(member_bounce(&m, &l, 0, "x", NOW + 60), 0);
	assert_int_equal(m.score, 1);
	assert_int_equal(member_bounce(&m, &l, 1, "5.1.1\nx", NOW + 120), 0);
	assert_int_equal(m.score, 2);
	assert_string_equal(m.why, "5.1.1 x");
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW + 180), 0);
	assert_int_equal(m.score, 2);
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW + DAY), 1);
	assert_int_equal(m.suspended, NOW + DAY);
	/* It is said once. */
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW + 2 * DAY), 0);
	member_resume(&m);
	assert_int_equal(m.score, 0);
	assert_int_equal(m.suspended, 0);
	/* What is long ago does not count. */
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW), 0);
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW + 11 * DAY), 0);
	assert_int_equal(m.score, 2);
	assert_int_equal(member_bounce(&m, &l, 1, "x", NOW + 21 * DAY), 1);
}

static int
add(const char *member, const char *text, void *arg)
{
	strlcat(arg, member, 200);
	strlcat(arg, " ", 200);
	return 0;
}

static void
test_lists(void **state)
{
	char list[ADDRESS_MAX + 1], part[ADDRESS_MAX + 1], all[200] = "";
	struct member m;

	assert_int_equal(lists_find(d, LIST, list, part), DIR_NONE);
	assert_int_equal(directory_list_put(d, LIST, "post=members", 1), DIR_OK);
	assert_int_equal(directory_list_put(d, LIST, "post=members", 1), DIR_EXISTS);
	assert_int_equal(directory_list_put(d, "x@nowhere.test", "", 1), DIR_NONE);
	assert_int_equal(directory_alias_put(d, LIST, "a@b.test"), DIR_EXISTS);
	assert_int_equal(directory_domain_del(d, "example.org"), DIR_BUSY);
	assert_int_equal(directory_list_put(d, "a-owner@example.org", "", 1), DIR_OK);
	assert_int_equal(lists_role_add(d, LIST, "a@x.test", LIST_IS_MEMBER, 1), DIR_OK);
	assert_int_equal(
	    lists_role_add(d, LIST, "a@x.test", LIST_IS_MEMBER, 1), DIR_EXISTS);
	assert_int_equal(lists_role_add(d, LIST, "a@x.test", LIST_IS_OWNER, 1), DIR_OK);
	assert_int_equal(lists_role_add(d, LIST, "b@x.test", LIST_IS_OWNER, 1), DIR_OK);
	assert_int_equal(
	    lists_role_add(d, "a-owner@example.org", "c@x.test", LIST_IS_OWNER, 1),
	    DIR_OK);
	lists_owners(d, LIST, all, sizeof(all));
	assert_string_equal(all, "a@x.test b@x.test");
	all[0] = '\0';
	assert_int_equal(directory_members_walk(d, LIST, "a@x.test", add, all), DIR_OK);
	assert_string_equal(all, "b@x.test ");
	assert_int_equal(lists_role_del(d, LIST, "a@x.test", LIST_IS_MEMBER), DIR_OK);
	assert_int_equal(lists_role_del(d, LIST, "a@x.test", LIST_IS_MEMBER), DIR_NONE);
	assert_int_equal(lists_member_get(d, LIST, "a@x.test", &m), DIR_OK);
	assert_int_equal(m.roles, LIST_IS_OWNER);
	assert_int_equal(directory_list_del(d, LIST), DIR_OK);
	assert_int_equal(lists_member_get(d, LIST, "a@x.test", &m), DIR_NONE);
	assert_int_equal(
	    lists_member_get(d, "a-owner@example.org", "c@x.test", &m), DIR_OK);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *key, *list, *part;
	} rows[] = {
		{ LIST, LIST, "post" },
		{ "talk-request@example.org", LIST, "request" },
		{ "talk-subscribe@example.org", LIST, "join" },
		{ "talk-leave+a=b.test=abc@example.org", LIST, "leave+a=b.test=abc" },
		{ "talk-bounces+x-owner=b.test=abc@example.org", LIST,
		    "bounces+x-owner=b.test=abc" },
		{ "a-owner@example.org", "a-owner@example.org", "post" },
		{ "a-owner-owner@example.org", "a-owner@example.org", "owner" },
		{ "talk+x@example.org", NULL, NULL },
		{ "-owner@example.org", NULL, NULL },
		{ "talk-@example.org", NULL, NULL },
		{ "talk-ownership@example.org", NULL, NULL },
		{ "talk-request@other.test", NULL, NULL },
		{ "talk", NULL, NULL },
	};
	char list[ADDRESS_MAX + 1], part[ADDRESS_MAX + 1];

	assert_int_equal(directory_list_put(d, LIST, "", 1), DIR_OK);
	assert_int_equal(directory_list_put(d, "a-owner@example.org", "", 1), DIR_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum dir_status st = lists_find(d, rows[i].key, list, part);

		assert_int_equal(st, rows[i].list != NULL ? DIR_OK : DIR_NONE);
		if (rows[i].list == NULL)
			continue;
		assert_string_equal(list, rows[i].list);
		assert_string_equal(part, rows[i].part);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_member_text),
		cmocka_unit_test(test_bounces),
		cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Who shares something with whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/auth.h"
#include "authd/grants.h"

struct auth auth;
static char dir[64], path[80];

/* The rest of authd is not asked here. */
void
auth_changed(const char *domain)
{
}

int
auth_open_mailbox(struct channel *for_whom, enum mbox_purpose purpose, uint64_t token,
    const struct user *u, const char *client, channel_answer_cb cb, void *arg)
{
	return -1;
}

static void
add(const char *address, const char *group)
{
	struct user u = { .uid = 0 };

	snprintf(u.address, sizeof(u.address), "%s", address);
	snprintf(u.group, sizeof(u.group), "%s", group);
	assert_int_equal(directory_user_add(auth.directory, &u), DIR_OK);
}

static int
setup(void **state)
{
	struct group g = { .name = "staff" };

	strcpy(dir, "/tmp/fife-grants.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/directory", dir);
	auth.directory = directory_open(path, 60000, 60100);
	if (auth.directory == NULL ||
	    directory_domain_add(auth.directory, "x.test") != DIR_OK ||
	    directory_group_put(auth.directory, &g, 1) != DIR_OK)
		return -1;
	auth.resolver.directory = auth.directory;
	auth.resolver.hostname = "mx.x.test";
	auth.resolver.postmaster = "";
	add("alice@x.test", "");
	add("bob@x.test", "staff");
	add("carol@x.test", "");
	snprintf(path, sizeof(path), "%s/grants", dir);
	grants_open(path);
	return 0;
}

static int
teardown(void **state)
{
	char cmd[100];

	grants_close();
	directory_close(auth.directory);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void
put(const char *owner, const char *text)
{
	assert_int_equal(grants_put(owner, text, strlen(text)), 0);
}

/* Owners that share with the user, and by what he is known to one of them. */
static void
knows(const char *user, const char *owners)
{
	char out[1000];
	struct user u;

	assert_int_equal(directory_user_get(auth.directory, user, &u), DIR_OK);
	grants_owners(&u, out, sizeof(out));
	assert_string_equal(out, owners);
}

static void
known(const char *user, const char *owner, int any, const char *by)
{
	char out[1000];
	struct user u;

	assert_int_equal(directory_user_get(auth.directory, user, &u), DIR_OK);
	assert_int_equal(grants_identify(owner, &u, out, sizeof(out)) != 0, any);
	if (any)
		assert_string_equal(out, by);
}

static void
test_by_what_one_is_known(void **state)
{
	knows("bob@x.test", "");
	known("bob@x.test", "alice@x.test", 0, "");
	put("alice@x.test", "$staff\n-carol@x.test\n");
	knows("bob@x.test", "alice@x.test\n");
	knows("carol@x.test", "");
	known("bob@x.test", "alice@x.test", 1, "bob@x.test\n$staff\n");
	/* What is only taken away lets nobody in. */
	known("carol@x.test", "alice@x.test", 0, "");
	put("carol@x.test", "anyone\n");
	knows("bob@x.test", "alice@x.test\ncarol@x.test\n");
	knows("alice@x.test", "carol@x.test\n");
	knows("carol@x.test", "");
	/* Not one of his own. */
	put("bob@x.test", "bob@x.test\nauthenticated\n");
	knows("bob@x.test", "alice@x.test\ncarol@x.test\n");
	/* Nobody of that name, and somebody in another domain. */
	put("alice@x.test", "nobody@x.test\ncarol@elsewhere.test\n$other\n");
	knows("carol@x.test", "bob@x.test\n");
	known("carol@x.test", "alice@x.test", 0, "");
}

static void
test_aliases_and_renaming(void **state)
{
	assert_int_equal(
	    directory_alias_put(auth.directory, "c@x.test", "carol@x.test"), DIR_OK);
	assert_int_equal(
	    directory_alias_put(auth.directory, "all@x.test", "bob@x.test carol@x.test"),
	    DIR_OK);
	put("alice@x.test", "all@x.test\nc@x.test\n");
	knows("carol@x.test", "alice@x.test\n");
	knows("bob@x.test", "");
	known("carol@x.test", "alice@x.test", 1, "carol@x.test\nc@x.test\n");
	/* The old name is an alias of the new one. */
	assert_int_equal(
	    directory_user_rename(auth.directory, "bob@x.test", "rob@x.test"), DIR_OK);
	put("alice@x.test", "bob@x.test\n-c@x.test\nanyone\n");
	knows("rob@x.test", "alice@x.test\n");
	known("rob@x.test", "alice@x.test", 1, "rob@x.test\n$staff\nbob@x.test\n");
	known("carol@x.test", "alice@x.test", 1, "carol@x.test\nc@x.test\n");
	/* The owner's new name, and his end. */
	assert_int_equal(
	    directory_user_rename(auth.directory, "alice@x.test", "alicia@x.test"),
	    DIR_OK);
	grants_rename("alice@x.test", "alicia@x.test");
	knows("rob@x.test", "alicia@x.test\n");
	known("rob@x.test", "alice@x.test", 0, "");
	grants_forget("alicia@x.test");
	knows("rob@x.test", "");
}

/* A closed mailbox has nothing of others, and others nothing of it. */
static void
test_closed(void **state)
{
	struct user u;

	put("alice@x.test", "bob@x.test\n");
	put("bob@x.test", "alice@x.test\nanyone\n");
	knows("bob@x.test", "alice@x.test\n");
	knows("alice@x.test", "bob@x.test\n");
	assert_int_equal(directory_user_get(auth.directory, "bob@x.test", &u), DIR_OK);
	u.closed = 1;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	knows("bob@x.test", "");
	knows("alice@x.test", "");
	knows("carol@x.test", "");
}

static void
test_it_lasts(void **state)
{
	struct user u;

	put("alice@x.test", "bob@x.test\n");
	put("carol@x.test", "bob@x.test\n");
	put("carol@x.test", "");
	grants_close();
	knows("bob@x.test", "");
	grants_open(path);
	knows("bob@x.test", "alice@x.test\n");
	/* A disabled account does not share. */
	assert_int_equal(directory_user_get(auth.directory, "alice@x.test", &u), DIR_OK);
	u.disabled = 1;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	knows("bob@x.test", "");
}

static void
test_what_a_mailbox_process_may_say(void **state)
{
	static char large[GRANTS_TEXT_MAX + 10];

	assert_int_equal(grants_put("alice@x.test", "bob@x.test", 10), -1);
	assert_int_equal(grants_put("alice@x.test", "\n", 1), -1);
	assert_int_equal(grants_put("alice@x.test", "a\n\nb\n", 5), -1);
	assert_int_equal(grants_put("alice@x.test", "a\0b\n", 4), -1);
	assert_int_equal(grants_put("alice@x.test", "a\rb\n", 4), -1);
	memset(large, 'a', sizeof(large));
	large[GRANTS_TEXT_MAX] = '\n';
	assert_int_equal(grants_put("alice@x.test", large, GRANTS_TEXT_MAX + 1), -1);
	large[GRANTS_TEXT_MAX - 1] = '\n';
	assert_int_equal(grants_put("alice@x.test", large, GRANTS_TEXT_MAX), 0);
	knows("bob@x.test", "");
	put("alice@x.test", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_by_what_one_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_aliases_and_renaming, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_what_a_mailbox_process_may_say, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

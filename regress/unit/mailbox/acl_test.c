/* SPDX-License-Identifier: ISC */
/* Lists of rights: letters, identifiers, who may what, and their file. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/acl.h"

static void
test_letters(void **state)
{
	char text[ACL_RIGHTS_SIZE];
	unsigned int r;

	assert_int_equal(acl_rights_parse("lrswipkxtea", 11, &r), 0);
	assert_int_equal(r, ACL_ALL);
	acl_rights_print(r, true, text);
	assert_string_equal(text, "lrswipkxtecda");
	acl_rights_print(r, false, text);
	assert_string_equal(text, "lrswipkxtea");
	assert_int_equal(acl_rights_parse("cd", 2, &r), 0);
	assert_int_equal(r, ACL_CREATE | ACL_REMOVE | ACL_DELETED | ACL_EXPUNGE);
	acl_rights_print(ACL_CREATE | ACL_EXPUNGE, true, text);
	assert_string_equal(text, "kecd");
	assert_int_equal(acl_rights_told("lrec", 4, &r), 0);
	assert_int_equal(r, ACL_LOOKUP | ACL_READ | ACL_EXPUNGE);
	assert_int_equal(acl_rights_parse("", 0, &r), 0);
	assert_int_equal(r, 0);
	assert_int_equal(acl_rights_parse("lq", 2, &r), -1);
	assert_int_equal(acl_rights_parse("L", 1, &r), -1);
	assert_int_equal(acl_rights_parse("l\0", 2, &r), -1);
}

static void
identifier(const char *in, const char *want)
{
	char out[ACL_IDENTIFIER_MAX + 1];
	int r = acl_identifier(in, strlen(in), "x.test", out, sizeof(out));

	assert_int_equal(r, want == NULL ? -1 : 0);
	if (want != NULL)
		assert_string_equal(out, want);
}

static void
test_identifiers(void **state)
{
	char out[8];

	identifier("Bob", "bob@x.test");
	identifier("Bob@Y.Test", "bob@y.test");
	identifier("-Bob", "-bob@x.test");
	identifier("ANYONE", "anyone");
	identifier("-Authenticated", "-authenticated");
	identifier("$Staff", "$Staff");
	identifier("$", NULL);
	identifier("$a b", NULL);
	identifier("", NULL);
	identifier("-", NULL);
	identifier("--bob", NULL);
	identifier("bob@", NULL);
	identifier("a\nb@x.test", NULL);
	identifier("\"a\\\"b\"@x.test", NULL);
	assert_int_equal(acl_identifier("longer", 6, "x.test", out, sizeof(out)), -1);
	assert_int_equal(acl_identifier("a\0b", 3, "x.test", out, sizeof(out)), -1);
}

static void
test_rights_add_up(void **state)
{
	struct acl a = { 0 };
	char *bob[] = { (char *)(uintptr_t) "bob@x.test", (char *)(uintptr_t) "$staff" };
	char *eve[] = { (char *)(uintptr_t) "eve@x.test" };

	assert_int_equal(acl_set(&a, "bob@x.test", ACL_READ | ACL_SEEN), 0);
	assert_int_equal(acl_set(&a, "$staff", ACL_LOOKUP | ACL_WRITE), 0);
	assert_int_equal(acl_set(&a, "-bob@x.test", ACL_WRITE), 0);
	assert_int_equal(acl_rights(&a, bob, 2), ACL_READ | ACL_SEEN | ACL_LOOKUP);
	assert_int_equal(acl_rights(&a, eve, 1), 0);
	assert_int_equal(acl_set(&a, "anyone", ACL_LOOKUP), 0);
	assert_int_equal(acl_set(&a, "-authenticated", ACL_READ), 0);
	assert_int_equal(acl_rights(&a, eve, 1), ACL_LOOKUP);
	assert_int_equal(acl_rights(&a, bob, 2), ACL_SEEN | ACL_LOOKUP);
	assert_int_equal(acl_get(&a, "$staff"), ACL_LOOKUP | ACL_WRITE);
	assert_int_equal(acl_set(&a, "$staff", 0), 0);
	assert_int_equal(acl_get(&a, "$staff"), 0);
	assert_int_equal(a.n, 4);
	acl_clear(&a);
	for (int i = 0; i < ACL_ENTRIES_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "u%d@x.test", i);
		assert_int_equal(acl_set(&a, name, ACL_LOOKUP), 0);
	}
	assert_int_equal(acl_set(&a, "more@x.test", ACL_LOOKUP), -1);
	assert_int_equal(acl_set(&a, "u5@x.test", ACL_READ), 0);
	acl_clear(&a);
}

static void
test_what_a_file_says(void **state)
{
	static const char text[] =
	    "lrs bob@x.test\n\nlr\nq eve@x.test\n anyone\nl anyone\n"
	    "r a b@x.test\nr \x01\nlr last@x.test";
	struct acl a = { 0 };

	assert_int_equal(acl_parse(text, sizeof(text) - 1, &a), 0);
	assert_int_equal(a.n, 4);
	assert_int_equal(acl_get(&a, "bob@x.test"), ACL_LOOKUP | ACL_READ | ACL_SEEN);
	assert_int_equal(acl_get(&a, "a b@x.test"), ACL_READ);
	assert_int_equal(acl_get(&a, "anyone"), ACL_LOOKUP);
	assert_int_equal(acl_get(&a, "last@x.test"), ACL_LOOKUP | ACL_READ);
	acl_clear(&a);
}

static void
reopen(void)
{
	store_close(store);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
}

static unsigned int
rights_of(const char *folder, const char *who)
{
	const struct acl *a = store_acl(store, folder);

	return a == NULL ? 0 : acl_get(a, who);
}

static void
test_it_lasts(void **state)
{
	struct acl a = { 0 };
	uint64_t generation;
	char text[100];
	size_t len;
	int fd;

	assert_false(store_is_shared(store));
	assert_null(store_acl(store, "INBOX"));
	assert_int_equal(store_create(store, "f/g", 0), STORE_OK);
	assert_int_equal(acl_set(&a, "bob@x.test", ACL_LOOKUP), 0);
	assert_int_equal(store_acl_set(store, "f", &a), STORE_OK);
	assert_int_equal(store_acl_set(store, "none", &a), STORE_NOT_FOUND);
	assert_int_equal(acl_set(&a, "-eve@x.test", ACL_READ), 0);
	assert_int_equal(store_acl_set(store, "inbox", &a), STORE_OK);
	reopen();
	assert_true(store_is_shared(store));
	assert_int_equal(rights_of("f", "bob@x.test"), ACL_LOOKUP);
	assert_int_equal(rights_of("INBOX", "-eve@x.test"), ACL_READ);
	assert_int_equal(rights_of("f/g", "bob@x.test"), 0);
	/* It goes along, and to what is made below. */
	assert_int_equal(store_rename(store, "f", "h"), STORE_OK);
	assert_int_equal(store_create(store, "h/new/deep", 0), STORE_OK);
	assert_int_equal(rights_of("h/new/deep", "bob@x.test"), ACL_LOOKUP);
	assert_int_equal(rights_of("h/g", "bob@x.test"), 0);
	reopen();
	assert_int_equal(rights_of("h", "bob@x.test"), ACL_LOOKUP);
	assert_int_equal(rights_of("h/new", "bob@x.test"), ACL_LOOKUP);
	assert_int_equal(store_acl_identifiers(store, text, sizeof(text), &len), 0);
	assert_int_equal(len, 23);
	assert_memory_equal(text, "-eve@x.test\nbob@x.test\n", 23);
	assert_int_equal(store_acl_identifiers(store, text, 20, &len), -1);
	generation = store_acl_generation(store);
	assert_int_equal(store_delete(store, "h"), STORE_OK);
	assert_int_not_equal(store_acl_generation(store), generation);
	assert_int_equal(store_create(store, "h", 0), STORE_OK);
	assert_int_equal(rights_of("h", "bob@x.test"), 0);
	/* No memory of the index: the files say it all. */
	store_close(store);
	assert_int_equal(unlinkat(dirfd_, "index/data.mdb", 0), 0);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	assert_int_equal(rights_of("h/new", "bob@x.test"), ACL_LOOKUP);
	/* Put there by another program. */
	assert_int_equal(unlinkat(dirfd_, "Maildir/fife-shared", 0), 0);
	fd = openat(dirfd_, "Maildir/.h/fife-acl", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "lr eve@x.test\n", 14), 14);
	close(fd);
	reopen();
	assert_int_equal(rights_of("h", "eve@x.test"), 0);
	assert_int_equal(store_acl_rescan(store), STORE_OK);
	assert_int_equal(rights_of("h", "eve@x.test"), ACL_LOOKUP | ACL_READ);
	reopen();
	assert_int_equal(rights_of("h", "eve@x.test"), ACL_LOOKUP | ACL_READ);
	acl_clear(&a);
}

static void
give(const char *folder, const char *who, unsigned int rights)
{
	struct acl a = { 0 };

	assert_int_equal(acl_set(&a, who, rights), 0);
	assert_int_equal(store_acl_set(store, folder, &a), STORE_OK);
	acl_clear(&a);
}

static void
posted_to(const char *recipient, const char *folder)
{
	char name[STORE_NAME_MAX + 1] = "";

	assert_int_equal(store_post_folder(store, recipient, name), folder != NULL);
	assert_string_equal(name, folder != NULL ? folder : "");
}

static void
test_where_mail_may_go(void **state)
{
	char longest[ADDRESS_MAX + 400];

	assert_int_equal(store_create(store, "Shop/Bills", 0), STORE_OK);
	assert_int_equal(store_create(store, "shop", 0), STORE_OK);
	posted_to("a+Shop@x.test", NULL);
	give("Shop", "bob@x.test", ACL_POST);
	posted_to("a+Shop@x.test", NULL);
	give("Shop", "anyone", ACL_LOOKUP | ACL_POST);
	posted_to("a+Shop@x.test", "Shop");
	posted_to("a+shop@x.test", "Shop");
	give("shop", "anyone", ACL_POST);
	posted_to("a+shop@x.test", "shop");
	posted_to("a+Shop@x.test", "Shop");
	posted_to("a+Shop/Bills@x.test", NULL);
	give("Shop/Bills", "anyone", ACL_POST);
	posted_to("a+shop/bills@x.test", "Shop/Bills");
	posted_to("a+Shop/@x.test", NULL);
	posted_to("a+Sho@x.test", NULL);
	posted_to("a+@x.test", NULL);
	posted_to("a@x.test", NULL);
	posted_to("a@x+Shop", NULL);
	posted_to("", NULL);
	memset(longest, 'a', sizeof(longest));
	longest[1] = '+';
	longest[sizeof(longest) - 3] = '@';
	longest[sizeof(longest) - 1] = '\0';
	posted_to(longest, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_identifiers),
		cmocka_unit_test(test_rights_add_up),
		cmocka_unit_test(test_what_a_file_says),
		cmocka_unit_test_setup_teardown(test_it_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where_mail_may_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* LIST with options (RFC 5258, RFC 5819, RFC 6154): the examples' kinds of trees. */
#include "regress/unit/mailbox/imap_fixture.h"

static void
tree(struct imap *s, size_t step)
{
	static const char *const create[] = { "Fruit/Apple", "Fruit/Banana", "Tofu",
		"Vegetable/Broccoli", "Vegetable/Corn" };
	static const char *const subscribe[] = { "Fruit/Banana", "Fruit/Peach",
		"Vegetable", "Vegetable/Broccoli" };
	char buf[100];

	for (size_t i = 0; i < 5; i++) {
		snprintf(buf, sizeof(buf), "a CREATE %s\r\n", create[i]);
		say(s, step, buf, "a OK CREATE completed\r\n");
	}
	for (size_t i = 0; i < 4; i++) {
		snprintf(buf, sizeof(buf), "a SUBSCRIBE %s\r\n", subscribe[i]);
		say(s, step, buf, "a OK SUBSCRIBE completed\r\n");
	}
}

static void
selection(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	tree(s, step);
	say(s, step, "a LIST (SUBSCRIBED) \"\" \"*\"\r\n",
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" Fruit/Banana\r\n"
	    "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" Fruit/Peach\r\n"
	    "* LIST (\\HasChildren \\Subscribed) \"/\" Vegetable\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" Vegetable/Broccoli\r\n"
	    "a OK LIST completed\r\n");
	say(s, step, "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"\r\n",
	    "* LIST (\\HasChildren) \"/\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
	    "* LIST (\\HasChildren \\Subscribed) \"/\" Vegetable (\"CHILDINFO\" "
	    "(\"SUBSCRIBED\"))\r\na OK LIST completed\r\n");
	/* What matches by itself makes no CHILDINFO (RFC 5258, 5, example 8). */
	say(s, step, "a LIST (RECURSIVEMATCH SUBSCRIBED) \"\" (Fruit Fruit/*)\r\n",
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" Fruit/Banana\r\n"
	    "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" Fruit/Peach\r\n"
	    "a OK LIST completed\r\n");
	say(s, step,
	    "a LIST (REMOTE) \"\" T* RETURN (SUBSCRIBED)\r\nb LIST () \"\" (T* *Corn "
	    "T*)\r\n",
	    "* LIST (\\HasNoChildren) \"/\" Tofu\r\na OK LIST completed\r\n"
	    "* LIST (\\HasNoChildren) \"/\" Tofu\r\n"
	    "* LIST (\\HasNoChildren) \"/\" Vegetable/Corn\r\nb OK LIST completed\r\n");
	say(s, step, "a LIST \"\" Veg% RETURN (CHILDREN SUBSCRIBED)\r\n",
	    "* LIST (\\HasChildren \\Subscribed) \"/\" Vegetable\r\na OK LIST "
	    "completed\r\n");
	say(s, step,
	    "a LIST (RECURSIVEMATCH) \"\" *\r\nb LIST (RECURSIVEMATCH REMOTE) \"\" *\r\n"
	    "c LIST (X) \"\" *\r\nd LIST \"\" * RETURN (X)\r\ne LIST \"\" * X ()\r\n"
	    "f LIST \"\" () \r\ng LIST () \"\" \"\"\r\nh LIST \"\" \"\" RETURN ()\r\n",
	    "a BAD @\r\nb BAD @\r\nc BAD Unknown selection option\r\nd BAD Unknown "
	    "return "
	    "option\r\ne BAD RETURN expected\r\nf BAD @\r\ng OK LIST completed\r\n"
	    "h OK LIST completed\r\n");
	imap_free(s);
}

static void
gone_parents(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step, "a SUBSCRIBE a/b/c\r\nb LIST \"\" *\r\n",
	    "a OK SUBSCRIBE completed\r\n* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "b OK LIST completed\r\n");
	say(s, step,
	    "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\n"
	    "b LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% */b)\r\n",
	    "* LIST (\\NonExistent \\HasChildren) \"/\" a (\"CHILDINFO\" "
	    "(\"SUBSCRIBED\"))\r\na OK LIST completed\r\n"
	    "* LIST (\\NonExistent \\HasChildren) \"/\" a (\"CHILDINFO\" "
	    "(\"SUBSCRIBED\"))\r\n"
	    "* LIST (\\NonExistent \\HasChildren) \"/\" a/b (\"CHILDINFO\" "
	    "(\"SUBSCRIBED\"))\r\nb OK LIST completed\r\n");
	/* INBOX in any case, also above its inferiors. */
	say(s, step,
	    "a CREATE inbox/Y\r\nb LIST \"\" inbox/%\r\nc LIST Inbox/ *\r\n"
	    "d LIST \"\" iNbO%/Y\r\ne LIST \"\" inbox/y\r\nf DELETE Inbox/Y\r\n",
	    "a OK CREATE completed\r\n* LIST (\\HasNoChildren) \"/\" INBOX/Y\r\n"
	    "b OK LIST completed\r\n* LIST (\\HasNoChildren) \"/\" INBOX/Y\r\n"
	    "c OK LIST completed\r\n* LIST (\\HasNoChildren) \"/\" INBOX/Y\r\n"
	    "d OK LIST completed\r\ne OK LIST completed\r\nf OK DELETE completed\r\n");
	/* A mailbox that is deleted below one that stays. */
	say(s, step,
	    "a CREATE x/y\r\nb DELETE x\r\nc LIST \"\" x*\r\n"
	    "d LIST () \"\" x*\r\n",
	    "a OK CREATE completed\r\nb OK DELETE completed\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" x\r\n"
	    "* LIST (\\HasNoChildren) \"/\" x/y\r\nc OK LIST completed\r\n"
	    "* LIST (\\NonExistent \\HasChildren) \"/\" x\r\n"
	    "* LIST (\\HasNoChildren) \"/\" x/y\r\nd OK LIST completed\r\n");
	imap_free(s);
}

/* As Thunderbird makes them. */
static void
special_use_of_names(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step,
	    "a CREATE Trash\r\nb CREATE Drafts\r\nc CREATE x/Sent\r\nd CREATE trash\r\n"
	    "e LIST (SPECIAL-USE) \"\" *\r\n",
	    "a OK CREATE completed\r\nb OK CREATE completed\r\nc OK CREATE completed\r\n"
	    "d OK CREATE completed\r\n* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"
	    "* LIST (\\HasNoChildren \\Trash) \"/\" Trash\r\ne OK LIST completed\r\n");
	/* What another has, or what was asked for, goes before. */
	say(s, step,
	    "a CREATE \"Deleted Items\"\r\nb CREATE Post (USE (\\Sent))\r\n"
	    "c CREATE Sent\r\nd CREATE Junk (USE (\\Archive))\r\n"
	    "e LIST (SPECIAL-USE) \"\" *\r\n",
	    "a OK CREATE completed\r\nb OK CREATE completed\r\nc OK CREATE completed\r\n"
	    "d OK CREATE completed\r\n* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"
	    "* LIST (\\HasNoChildren \\Archive) \"/\" Junk\r\n"
	    "* LIST (\\HasNoChildren \\Sent) \"/\" Post\r\n"
	    "* LIST (\\HasNoChildren \\Trash) \"/\" Trash\r\ne OK LIST completed\r\n");
	say(s, step,
	    "a DELETE Trash\r\nb CREATE Trash\r\nc LIST \"\" (Trash trash) RETURN "
	    "(SPECIAL-USE)\r\n",
	    "a OK DELETE completed\r\nb OK CREATE completed\r\n"
	    "* LIST (\\HasNoChildren \\Trash) \"/\" Trash\r\n"
	    "* LIST (\\HasNoChildren) \"/\" trash\r\nc OK LIST completed\r\n");
	imap_free(s);
}

static void
special_use_and_status(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	append(s, step, "INBOX", "", M2);
	say(s, step, "a CREATE Bin (USE (\\Trash))\r\nb LIST (SPECIAL-USE) \"\" *\r\n",
	    "a OK CREATE completed\r\n* LIST (\\HasNoChildren \\Trash) \"/\" Bin\r\n"
	    "b OK LIST completed\r\n");
	say(s, step,
	    "a CREATE x/Sent (USE (\\Sent))\r\n"
	    "b LIST (SPECIAL-USE RECURSIVEMATCH) \"\" % RETURN (SPECIAL-USE)\r\n",
	    "a OK CREATE completed\r\n* LIST (\\HasNoChildren \\Trash) \"/\" Bin\r\n"
	    "* LIST (\\HasChildren) \"/\" x (\"CHILDINFO\" (\"SPECIAL-USE\"))\r\n"
	    "b OK LIST completed\r\n");
	say(s, step, "a LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN SIZE))\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* STATUS INBOX (MESSAGES 1 UNSEEN 1 SIZE 24)\r\n"
	    "* LIST (\\HasNoChildren \\Trash) \"/\" Bin\r\n"
	    "* STATUS Bin (MESSAGES 0 UNSEEN 0 SIZE 0)\r\n"
	    "* LIST (\\HasChildren) \"/\" x\r\n"
	    "* STATUS x (MESSAGES 0 UNSEEN 0 SIZE 0)\r\na OK LIST completed\r\n");
	say(s, step,
	    "a LIST \"\" % RETURN (STATUS (X))\r\nb LIST \"\" % RETURN (STATUS)\r\n",
	    "a BAD Unknown STATUS item\r\nb BAD @\r\n");
	imap_free(s);
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_steps(name);             \
	}

TEST(selection)
TEST(gone_parents)
TEST(special_use_of_names)
TEST(special_use_and_status)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_selection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_parents, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_special_use_and_status, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_special_use_of_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Searching in several mailboxes, by stored filters and fuzzily; LIST with metadata. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/imap_fuzzy.h"

static void
quiet(struct imap *s, const char *in)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, in, strlen(in), 100000, out);
	evbuffer_free(out);
}

static void
multisearch_dialogue(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	quiet(s, "a CREATE one\r\nb CREATE one/two\r\nc CREATE one/two/three\r\nd CREATE "
		 "four\r\ne SUBSCRIBE one/two\r\n");
	append(s, step, "INBOX", "", M1);
	append(s, step, "one", "", M1);
	append(s, step, "one", "", M2);
	append(s, step, "one", "(\\Seen) ", M1);
	append(s, step, "one/two", "", M2);
	append(s, step, "one/two/three", "", M1);
	append(s, step, "four", "", "Subject: else\r\n\r\n");
	say(s, step, "a ESEARCH ALL\r\n", "a BAD No mailbox selected\r\n");
	say(s, step, "a ESEARCH IN (selected) ALL\r\n", "a BAD No mailbox selected\r\n");
	say(s, step, "a ESEARCH IN (personal) SUBJECT one\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY #) UID ALL 1\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one UIDVALIDITY #) UID ALL 1,3\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one/two/three UIDVALIDITY #) UID ALL 1\r\n"
	    "a OK ESEARCH completed\r\n");
	say(s, step, "a ESEARCH IN (subtree-one one) RETURN (COUNT MIN) UNSEEN\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX one UIDVALIDITY #) UID MIN 1 COUNT 2\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one/two UIDVALIDITY #) UID MIN 1 COUNT 1\r\n"
	    "a OK ESEARCH completed\r\n");
	say(s, step, "a ESEARCH IN (subtree one/two mailboxes (four one nowhere)) *\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX four UIDVALIDITY #) UID ALL 1\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one UIDVALIDITY #) UID ALL 3\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one/two UIDVALIDITY #) UID ALL 1\r\n"
	    "* ESEARCH (TAG \"a\" MAILBOX one/two/three UIDVALIDITY #) UID ALL 1\r\n"
	    "a OK ESEARCH completed\r\n");
	say(s, step, "a ESEARCH IN (subscribed) RETURN (PARTIAL -1:-5) ALL\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX one/two UIDVALIDITY #) UID PARTIAL (-1:-5 "
	    "1)\r\na OK ESEARCH completed\r\n");
	say(s, step, "a ESEARCH IN (inboxes) SUBJECT nothing\r\n",
	    "a OK ESEARCH completed\r\n");
	say(s, step,
	    "a ESEARCH IN (personal) RETURN (UPDATE) ALL\r\n"
	    "b ESEARCH IN (selected-delayed) ALL\r\n"
	    "c ESEARCH IN (personal (x y)) ALL\r\n"
	    "d ESEARCH IN () ALL\r\ne ESEARCH IN (personal) FROBNICATE\r\n"
	    "f ESEARCH IN (personal) CHARSET x ALL\r\n",
	    "a BAD No mailbox selected\r\nb BAD Unknown kind of mailboxes\r\n"
	    "c BAD Unknown scope option\r\nd BAD @\r\ne BAD Unknown search key\r\n"
	    "f NO [BADCHARSET (US-ASCII UTF-8)] Charset not supported\r\n");
	quiet(s, "x SELECT one\r\n");
	say(s, step, "a ESEARCH RETURN (SAVE) 2:*\r\n", "a OK ESEARCH completed\r\n");
	say(s, step, "b ESEARCH $\r\n",
	    "* ESEARCH (TAG \"b\" MAILBOX one UIDVALIDITY #) UID ALL 2:3\r\n"
	    "b OK ESEARCH completed\r\n");
	say(s, step,
	    "b ESEARCH RETURN (SAVE) FILTER none\r\nc ESEARCH RETURN (ALL) $\r\n",
	    "b NO [UNDEFINED-FILTER none] @\r\nc OK ESEARCH completed\r\n");
	say(s, step, "c UID ESEARCH IN (selected mailboxes (one one/two)) UID *\r\n",
	    "* ESEARCH (TAG \"c\" MAILBOX one UIDVALIDITY #) UID ALL 3\r\n"
	    "* ESEARCH (TAG \"c\" MAILBOX one/two UIDVALIDITY #) UID ALL 1\r\n"
	    "c OK ESEARCH completed\r\n");
	say(s, step, "d ESEARCH IN (selected personal) RETURN (SAVE) ALL\r\n",
	    "d BAD SAVE is for the selected mailbox alone\r\n");
	say(s, step, "e ESEARCH IN (selected) RETURN (COUNT UPDATE) UNSEEN\r\n",
	    "* ESEARCH (TAG \"e\" MAILBOX one UIDVALIDITY #) UID COUNT 2\r\n"
	    "e OK ESEARCH completed\r\n");
	say(s, step, "f STORE 1 +FLAGS.SILENT (\\Seen)\r\ng NOOP\r\n",
	    "* ESEARCH (TAG \"e\" MAILBOX one UIDVALIDITY #) UID REMOVEFROM (0 1)\r\n"
	    "f OK STORE completed\r\ng OK NOOP completed\r\n");
	say(s, step, "h ENABLE UIDONLY\r\ni ESEARCH 1:*\r\n",
	    "* ENABLED UIDONLY\r\nh OK ENABLE completed\r\n"
	    "i BAD [UIDREQUIRED] Message numbers are not used in this session\r\n");
	imap_free(s);
}

static void
test_multisearch(void **state)
{
	with_steps(multisearch_dialogue);
}

static void
filters_dialogue(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	append(s, step, "INBOX", "", M1);
	append(s, step, "INBOX", "(\\Seen) ", M2);
	append(s, step, "INBOX", "(\\Flagged) ", M1);
	quiet(s, "x SELECT INBOX\r\n");
	say(s, step,
	    "a SETMETADATA \"\" (/private/filters/values/ones \"OR SUBJECT one "
	    "FLAGGED\" /shared/filters/values/ones \"ALL\" "
	    "/shared/filters/values/new-ones \"FILTER ones UNFLAGGED\")\r\n",
	    "a OK SETMETADATA completed\r\n");
	say(s, step,
	    "a SETMETADATA \"\" (/private/filters/values/x \"OR SMALLER\")\r\n"
	    "b SETMETADATA \"\" (/private/filters/values/x/y \"ALL\")\r\n"
	    "c SETMETADATA INBOX (/private/filters/values/x \"some text\")\r\n",
	    "a NO [CANNOT] A filter must have a name and be a search program\r\n"
	    "b NO [CANNOT] A filter must have a name and be a search program\r\n"
	    "c OK SETMETADATA completed\r\n");
	say(s, step, "a SEARCH FILTER ones\r\n",
	    "* SEARCH 1 3\r\na OK SEARCH completed\r\n");
	say(s, step, "a SEARCH NOT FILTER new-ones UNDELETED\r\n",
	    "* SEARCH 2 3\r\na OK SEARCH completed\r\n");
	say(s, step, "a SORT (REVERSE ARRIVAL) UTF-8 FILTER Ones\r\n",
	    "* SORT @\r\na OK SORT completed\r\n");
	say(s, step, "a ESEARCH IN (personal) FILTER new-ones\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY #) UID ALL 1\r\n"
	    "a OK ESEARCH completed\r\n");
	say(s, step,
	    "a SEARCH FILTER nothing\r\nb SEARCH OR FILTER none ALL\r\n"
	    "c SEARCH CHARSET KOI8-R FILTER ones\r\nd SEARCH CHARSET UTF-8 FILTER "
	    "new-ones\r\ne SEARCH FILTER a/b\r\nf ESEARCH IN (personal) FILTER no\r\n",
	    "a NO [UNDEFINED-FILTER nothing] No such filter, or not a search program\r\n"
	    "b NO [UNDEFINED-FILTER none] No such filter, or not a search program\r\n"
	    "c BAD [BADCHARSET (US-ASCII UTF-8)] Filters are in UTF-8\r\n"
	    "* SEARCH 1\r\nd OK SEARCH completed\r\n"
	    "e BAD Not a filter's name\r\n"
	    "f NO [UNDEFINED-FILTER no] No such filter, or not a search program\r\n");
	/* In a circle there is none. */
	quiet(s, "a SETMETADATA \"\" (/private/filters/values/l1 \"FILTER l2\" "
		 "/private/filters/values/l2 \"FILTER l1\")\r\n");
	say(s, step, "a SEARCH FILTER l1\r\n",
	    "a NO [UNDEFINED-FILTER l2] No such filter, or not a search program\r\n");
	say(s, step, "a SETMETADATA \"\" (/private/filters/values/ones NIL)\r\n",
	    "a OK SETMETADATA completed\r\n");
	say(s, step, "a SEARCH FILTER ones\r\n",
	    "* SEARCH 1 2 3\r\na OK SEARCH completed\r\n");
	imap_free(s);
}

static void
test_filters(void **state)
{
	with_steps(filters_dialogue);
}

static unsigned int
fuzzy(const char *query, const char *subject)
{
	struct imap_fuzzy *f = imap_fuzzy_new(query, strlen(query));
	char header[500];
	unsigned int score;

	assert_non_null(f);
	snprintf(header, sizeof(header), "Subject: %s\r\n\r\n", subject);
	score = imap_fuzzy_header(f, header, strlen(header), "Subject");
	imap_fuzzy_free(f);
	return score;
}

static void
test_fuzzy_words(void **state)
{
	char longest[300];

	assert_int_equal(fuzzy("hello", "Hello, world"), 100);
	assert_int_equal(fuzzy("world hello", "Hello, world"), 100);
	assert_int_equal(fuzzy("helo", "Hello, world"), 60);
	assert_int_equal(fuzzy("hlelo", "Hello, world"), 60);
	assert_int_equal(fuzzy("meetings", "The meeting of Monday"), 60);
	assert_int_equal(fuzzy("meet", "The meeting of Monday"), 90);
	assert_int_equal(fuzzy("ting", "The meeting of Monday"), 75);
	assert_int_equal(fuzzy("anouncment", "An announcement"), 40);
	assert_int_equal(fuzzy("cat", "Car"), 0);
	assert_int_equal(fuzzy("o", "of"), 0);
	assert_int_equal(fuzzy("of", "of"), 100);
	assert_int_equal(fuzzy("hello mars", "Hello, world"), 0);
	assert_int_equal(fuzzy("hello big world", "Hello, world"), 66);
	assert_int_equal(fuzzy("\xe4\xbc\x9a\xe8\xae\xae", /* a meeting */
			     "\xe6\x98\x8e\xe5\xa4\xa9\xe7\x9a\x84\xe4\xbc\x9a"
			     "\xe8\xae\xae"),
	    75);
	assert_int_equal(fuzzy("", "x"), 100);
	assert_int_equal(fuzzy(" !", "x"), 100);
	/* Long words are looked at in pieces. */
	memset(longest, 'x', 200);
	strcpy(longest + 200, "needle");
	assert_int_equal(fuzzy("needle", longest), 75);
	memset(longest, 'y', 299);
	longest[299] = '\0';
	assert_int_equal(fuzzy(longest, longest) > 0, 1);
}

static void
fuzzy_dialogue(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	append(s, step, "INBOX", "", "Subject: nothing\r\n\r\nHello there\r\n");
	append(s, step, "INBOX", "", "Subject: Hello\r\n\r\nx\r\n");
	append(s, step, "INBOX", "", "Subject: Hellos\r\n\r\nx\r\n");
	append(s, step, "INBOX", "", "Subject: else\r\n\r\nx\r\n");
	append(s, step, "INBOX", "(\\Seen) ", "Subject: Hallo\r\n\r\nx\r\n");
	quiet(s, "x SELECT INBOX\r\n");
	say(s, step, "a SEARCH FUZZY TEXT \"Hello\"\r\n",
	    "* SEARCH 1 2 3 5\r\na OK SEARCH completed\r\n");
	say(s, step, "a SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT \"Hello\"\r\n",
	    "* ESEARCH (TAG \"a\") ALL 1:3,5 RELEVANCY (80 100 90 60)\r\n"
	    "a OK SEARCH completed\r\n");
	say(s, step, "a SORT (RELEVANCY) UTF-8 FUZZY TEXT \"Hello\"\r\n",
	    "* SORT 2 3 1 5\r\na OK SORT completed\r\n");
	say(s, step,
	    "a SORT RETURN (RELEVANCY ALL COUNT) (REVERSE RELEVANCY) UTF-8 FUZZY "
	    "(SUBJECT \"Hello\" UNSEEN)\r\n",
	    "* ESEARCH (TAG \"a\") ALL 3,2 COUNT 2 RELEVANCY (90 100)\r\n"
	    "a OK SORT completed\r\n");
	say(s, step,
	    "a SORT RETURN (PARTIAL 1:2 RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT "
	    "helo\r\n",
	    "* ESEARCH (TAG \"a\") PARTIAL (1:2 @\r\na OK SORT completed\r\n");
	/* What is not fuzzy is exact. */
	say(s, step, "a SEARCH FUZZY SUBJECT hallo SUBJECT \"hello\"\r\n",
	    "* SEARCH 2\r\na OK SEARCH completed\r\n");
	say(s, step, "a SEARCH NOT FUZZY SUBJECT hello\r\n",
	    "* SEARCH 1 4\r\na OK SEARCH completed\r\n");
	say(s, step,
	    "a SEARCH RETURN (RELEVANCY) ALL\r\nb SORT (RELEVANCY) UTF-8 ALL\r\n"
	    "c SEARCH FUZZY\r\n",
	    "a BAD RELEVANCY needs FUZZY\r\nb BAD RELEVANCY needs FUZZY\r\nc BAD @\r\n");
	say(s, step,
	    "a ESEARCH IN (personal) RETURN (RELEVANCY COUNT) FUZZY BODY helol\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY #) UID COUNT 1 RELEVANCY "
	    "(48)\r\na OK ESEARCH completed\r\n");
	say(s, step, "a SORT RETURN (UPDATE) (RELEVANCY) UTF-8 FUZZY SUBJECT hello\r\n",
	    "* ESEARCH (TAG \"a\") ALL 2:3,5\r\n"
	    "* NO [NOUPDATE \"a\"] No updates of this one\r\na OK SORT completed\r\n");
	imap_free(s);
}

static void
test_fuzzy(void **state)
{
	with_steps(fuzzy_dialogue);
}

static void
list_metadata_dialogue(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	quiet(s, "a CREATE one/two\r\nb SETMETADATA one (/shared/comment \"mine\" "
		 "/private/x \"y\")\r\nc SUBSCRIBE gone\r\n");
	say(s, step,
	    "a LIST \"\" (%) RETURN (METADATA (/shared/comment /private/x) CHILDREN)\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* METADATA INBOX (/shared/comment NIL /private/x NIL)\r\n"
	    "* LIST (\\HasChildren) \"/\" one\r\n"
	    "* METADATA one (/shared/comment \"mine\" /private/x \"y\")\r\n"
	    "a OK LIST completed\r\n");
	say(s, step,
	    "a LIST (SUBSCRIBED) \"\" * RETURN (METADATA (\"/shared/comment\") STATUS "
	    "(MESSAGES))\r\n",
	    "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone\r\n"
	    "a OK LIST completed\r\n");
	say(s, step,
	    "a LIST \"\" one RETURN (METADATA /shared/comment)\r\nb LIST \"\" one RETURN "
	    "(METADATA ())\r\nc LIST \"\" one RETURN (METADATA (comment))\r\n"
	    "d LIST \"\" one RETURN (METADATA (/shared/a) METADATA (/shared/b))\r\n",
	    "a BAD A list of entries expected\r\nb BAD @\r\nc BAD Invalid entry "
	    "name\r\nd BAD @\r\n");
	imap_free(s);
}

static void
test_list_metadata(void **state)
{
	with_steps(list_metadata_dialogue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_multisearch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
		cmocka_unit_test(test_fuzzy_words),
		cmocka_unit_test_setup_teardown(test_fuzzy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_metadata, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Smaller extensions: QUOTA (RFC 9208), COMPRESS (RFC 4978) as a command, UTF8=ACCEPT. */
#include "regress/unit/mailbox/imap_fixture.h"

static void
quota(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	say(s, step, "a GETQUOTA \"\"\r\nb GETQUOTAROOT INBOX\r\n",
	    "a NO [NONEXISTENT] @\r\n* QUOTAROOT INBOX\r\nb OK GETQUOTAROOT "
	    "completed\r\n");
	imap_free(s);
	store_close(store);
	assert_int_equal(store_open(dirfd_, 2048, &store), STORE_OK);
	s = imap_new(store, NULL, NULL);
	append(s, step, "INBOX", "(\\Deleted) ", M2);
	say(s, step,
	    "a GETQUOTA \"\"\r\nb GETQUOTAROOT INBOX\r\nc GETQUOTAROOT none\r\nd "
	    "GETQUOTA "
	    "x\r\ne SETQUOTA \"\" (STORAGE 512)\r\nf SETQUOTA \"\" ()\r\ng SETQUOTA \"\" "
	    "(STORAGE)\r\n",
	    "* QUOTA \"\" (STORAGE 1 2)\r\na OK GETQUOTA completed\r\n"
	    "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 1 2)\r\nb OK GETQUOTAROOT "
	    "completed\r\nc NO [NONEXISTENT] @\r\nd NO [NONEXISTENT] @\r\ne NO [NOPERM] "
	    "@\r\nf NO [NOPERM] @\r\ng BAD @\r\n");
	say(s, step,
	    "a APPEND INBOX {2048}\r\nb STATUS INBOX (DELETED DELETED-STORAGE)\r\n",
	    "a NO [OVERQUOTA] @\r\n* STATUS INBOX (DELETED 1 DELETED-STORAGE 1)\r\nb OK "
	    "STATUS completed\r\n");
	/* A limit of messages beside it, and alone. */
	store_set_quota(store, 2048, 3);
	say(s, step, "a GETQUOTA \"\"\r\n",
	    "* QUOTA \"\" (STORAGE 1 2 MESSAGE 1 3)\r\na OK GETQUOTA completed\r\n");
	store_set_quota(store, 0, 1);
	say(s, step, "a GETQUOTAROOT INBOX\r\nb APPEND INBOX {3+}\r\nabc\r\n",
	    "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (MESSAGE 1 1)\r\na OK "
	    "GETQUOTAROOT completed\r\nb NO [OVERQUOTA] @\r\n");
	store_set_quota(store, 2048, 0);
	/* Each alone fits. */
	drive(s, "a APPEND INBOX {1500+}\r\n", 24, step, out);
	for (int i = 0; i < 150; i++)
		drive(s, "12345678\r\n", 10, step, out);
	drive(s, " {600+}\r\n", 9, step, out);
	for (int i = 0; i < 60; i++)
		drive(s, "12345678\r\n", 10, step, out);
	drive(s, "\r\n", 2, step, out);
	say(s, step, "b STATUS INBOX (MESSAGES)\r\n",
	    "* STATUS INBOX (MESSAGES 1)\r\nb OK STATUS completed\r\n");
	/* What is moved takes no more room than before. */
	drive(s, "a APPEND INBOX {1500+}\r\n", 24, step, out);
	for (int i = 0; i < 150; i++)
		drive(s, "12345678\r\n", 10, step, out);
	drive(s, "\r\nb SELECT INBOX\r\n", 18, step, out);
	evbuffer_free(out);
	say(s, step,
	    "a CREATE x\r\nb COPY 2 x\r\nc MOVE 2 x\r\nd STATUS x (MESSAGES)\r\n",
	    "a OK CREATE completed\r\nb NO [OVERQUOTA] @\r\n* OK [COPYUID # # 1] "
	    "Moved\r\n"
	    "* 2 EXPUNGE\r\n* # RECENT\r\nc OK MOVE completed\r\n* STATUS x (MESSAGES "
	    "1)\r\nd OK "
	    "STATUS "
	    "completed\r\n");
	imap_free(s);
}

static void
compress(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	static const char in[] = "a COMPRESS DEFLATE\r\nb NOOP\r\n";
	size_t used;

	say(s, step, "a COMPRESS LZ\r\nb COMPRESS\r\n", "a BAD @\r\nb BAD @\r\n");
	/* What follows in the same breath is left alone. */
	used = imap_input(s, (const uint8_t *)in, sizeof(in) - 1);
	assert_int_equal(used, 20);
	assert_int_equal(imap_take_compress(s), 1);
	assert_int_equal(imap_take_compress(s), 0);
	evbuffer_drain(imap_output(s), evbuffer_get_length(imap_output(s)));
	say(s, step, "a COMPRESS DEFLATE\r\n", "a NO [COMPRESSIONACTIVE] @\r\n");
	imap_free(s);
}

static void
metadata(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	for (int i = 0; i < 2; i++) {
		say(s, step,
		    "a SETMETADATA INBOX (/private/comment \"My \\\"own\" /SHARED/x/y "
		    "{3}\r\na\"b /shared/x/y/z \"\")\r\nb SETMETADATA \"\" "
		    "(/shared/Admin "
		    "mailto:x)\r\nc SETMETADATA \"\" (/shared/admin "
		    "{8+}\r\nmailto:x)\r\n",
		    "+ Ready for literal\r\na OK SETMETADATA completed\r\nb BAD NIL or a "
		    "string expected\r\nc OK SETMETADATA completed\r\n");
		say(s, step,
		    "a GETMETADATA INBOX (/private/comment /shared/x/y /shared/none)\r\n"
		    "b GETMETADATA \"\" /shared/admin\r\nc GETMETADATA (DEPTH 1) INBOX "
		    "/shared/x\r\nd GETMETADATA INBOX (DEPTH infinity MAXSIZE 2) "
		    "/shared/x\r\n",
		    "* METADATA INBOX (/private/comment \"My \\\"own\" /shared/x/y "
		    "\"a\\\"b\" /shared/none NIL)\r\na OK GETMETADATA completed\r\n"
		    "* METADATA \"\" (/shared/admin \"mailto:x\")\r\nb OK GETMETADATA "
		    "completed\r\n* METADATA INBOX (/shared/x/y \"a\\\"b\")\r\nc OK "
		    "GETMETADATA completed\r\n* METADATA INBOX (/shared/x/y/z \"\")\r\nd "
		    "OK "
		    "[METADATA LONGENTRIES 3] GETMETADATA completed\r\n");
		imap_free(s);
		store_close(store);
		assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
		s = imap_new(store, NULL, NULL);
	}
	/* Each is told once, however often it is asked for. */
	say(s, step,
	    "a GETMETADATA INBOX (/shared/x/y /shared/X/Y /shared/no /shared/no)\r\n"
	    "b GETMETADATA INBOX (DEPTH infinity) (/shared/x/y/z /shared/x)\r\n",
	    "* METADATA INBOX (/shared/x/y \"a\\\"b\" /shared/no NIL)\r\na OK @\r\n"
	    "* METADATA INBOX (/shared/x/y/z \"\" /shared/x/y \"a\\\"b\")\r\nb OK @\r\n");
	say(s, step,
	    "a SETMETADATA INBOX (/private/comment NIL)\r\nb GETMETADATA INBOX "
	    "/private/comment\r\nc CREATE q\r\nd SETMETADATA q (/private/c \"1\")\r\ne "
	    "RENAME q r\r\nf GETMETADATA r /private/c\r\n",
	    "a OK SETMETADATA completed\r\n* METADATA INBOX (/private/comment NIL)\r\n"
	    "b OK GETMETADATA completed\r\nc OK @\r\nd OK @\r\ne OK @\r\n"
	    "* METADATA r (/private/c \"1\")\r\nf OK GETMETADATA completed\r\n");
	say(s, step,
	    "a GETMETADATA none /private/c\r\nb SETMETADATA none (/private/c NIL)\r\nc "
	    "GETMETADATA INBOX /other/c\r\nd GETMETADATA INBOX /private/a*\r\ne "
	    "GETMETADATA "
	    "INBOX /private/a//b\r\nf GETMETADATA INBOX (X 1) /private/a\r\ng "
	    "SETMETADATA "
	    "INBOX (/private/c)\r\nh SETMETADATA INBOX ()\r\ni GETMETADATA INBOX "
	    "/private/\r\n",
	    "a NO [NONEXISTENT] @\r\nb NO [NONEXISTENT] @\r\nc BAD Invalid entry name\r\n"
	    "d BAD @\r\ne BAD Invalid entry name\r\nf BAD @\r\ng BAD @\r\nh BAD @\r\ni "
	    "BAD "
	    "Invalid entry name\r\n");
	imap_free(s);
}

static void
progress(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	char *got;

	/* More than one slice. */
	for (int i = 0; i < 3; i++) {
		static const char head[] = "a APPEND INBOX {2000000+}\r\n";
		static char text[2000000];

		memset(text, 'x', sizeof(text));
		drive(s, head, sizeof(head) - 1, step, out);
		drive(s, text, sizeof(text), 100000, out);
		drive(s, "\r\n", 2, step, out);
	}
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_drain(out, evbuffer_get_length(out));
	s->progress_ms = 0;
	drive(s, "c SEARCH BODY y\r\n", 17, step, out);
	evbuffer_add(out, "", 1);
	got = (char *)evbuffer_pullup(out, -1);
	assert_non_null(strstr(got, "* OK [INPROGRESS (\"c\" 2 3)] "));
	assert_non_null(strstr(got, "* SEARCH\r\nc OK SEARCH completed\r\n"));
	evbuffer_free(out);
	imap_free(s);
}

static void
utf8_accept(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step,
	    "a CREATE \"\xc3\xbc\"\r\nb ENABLE UTF8=ACCEPT\r\nc CREATE "
	    "\"\xc3\xbc/&x\"\r\nd LIST \"\" *\r\ne STATUS \"\xc3\xbc\" (MESSAGES)\r\n",
	    "a NO [CANNOT] @\r\n* ENABLED UTF8=ACCEPT\r\nb OK @\r\nc OK @\r\n"
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\HasChildren) \"/\" \"\xc3\xbc\"\r\n"
	    "* LIST (\\HasNoChildren) \"/\" \"\xc3\xbc/&x\"\r\nd OK LIST completed\r\n"
	    "* STATUS \"\xc3\xbc\" (MESSAGES 0)\r\ne OK STATUS completed\r\n");
	imap_free(s);
	s = imap_new(store, NULL, NULL);
	say(s, step, "a LIST \"\" *\r\nb DELETE &APw-/&-x\r\nc DELETE &APw-\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\HasChildren) \"/\" &APw-\r\n"
	    "* LIST (\\HasNoChildren) \"/\" &APw-/&-x\r\na OK LIST completed\r\n"
	    "b OK DELETE completed\r\nc OK DELETE completed\r\n");
	imap_free(s);
}

#define SYSTEM "\\Answered \\Flagged \\Deleted \\Seen \\Draft"

/* A keyword that another session made is in a FETCH only after FLAGS had it. */
static void
new_keywords(size_t step)
{
	static const char fetch[] = "c FETCH 1 (BODY.PEEK[] FLAGS)\r\n";
	struct imap *a = imap_new(store, NULL, NULL), *b = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	size_t big = 2 * IMAP_HIGH_WATER;
	char *msg = malloc(big + 100), *got;
	int n = snprintf(msg, 100, "x APPEND INBOX {%zu+}\r\nSubject: x\r\n\r\n", big);

	memset(msg + n, 'x', big - 14);
	memcpy(msg + n + big - 14, "\r\n", 2);
	drive(a, msg, (size_t)n + big - 12, 100000, out);
	free(msg);
	drive(a, "a SELECT INBOX\r\n", 16, step, out);
	drive(b, "a SELECT INBOX\r\nb STORE 1 FLAGS.SILENT (one)\r\n", 46, step, out);
	evbuffer_drain(out, evbuffer_get_length(out));
	/* Asked at once, before anything else could tell. */
	say(a, step, "a FETCH 1 (FLAGS)\r\n",
	    "* FLAGS (" SYSTEM " one)\r\n* 1 FETCH (FLAGS (\\Recent one))\r\n"
	    "* 1 FETCH (UID 1 FLAGS (\\Recent one))\r\na OK FETCH completed\r\n");
	/* While the message is being sent. */
	assert_int_equal(
	    imap_input(a, (const uint8_t *)fetch, strlen(fetch)), strlen(fetch));
	(void)imap_run(a, 0);
	assert_false(imap_idle(a));
	drive(b, "c STORE 1 FLAGS.SILENT (two)\r\n", 30, step, out);
	evbuffer_drain(out, evbuffer_get_length(out));
	drive(a, "", 0, step, out);
	while (!imap_idle(a)) {
		evbuffer_add_buffer(out, imap_output(a));
		(void)imap_run(a, 0);
	}
	evbuffer_add_buffer(out, imap_output(a));
	evbuffer_add(out, "", 1);
	got = (char *)evbuffer_pullup(out, -1);
	got = strstr(got, "x FLAGS ");
	assert_non_null(got);
	like(got + 1,
	    " FLAGS (\\Recent))\r\n* FLAGS (" SYSTEM " one two)\r\n"
	    "* 1 FETCH (UID 1 FLAGS (\\Recent two))\r\nc OK FETCH completed\r\n");
	evbuffer_free(out);
	imap_free(a);
	imap_free(b);
}

static int opened;

static struct store *
open_it(void *arg)
{
	opened++;
	return arg;
}

/* The store is opened by the first command that needs it. */
static void
opened_late(size_t step)
{
	static const char *const first[] = { "a SELECT \"INBOX\"\r\n",
		"a LIST \"\" {1+}\r\n*\r\n", "a NOSUCH\r\n", "a\r\n",
		"a APPEND INBOX {1+}\r\nx\r\n" };
	struct imap *s = imap_new(NULL, NULL, NULL);

	opened = 0;
	imap_set_opener(s, open_it, store);
	say(s, step, "a NOOP\r\nb ID NIL\r\nc UID NOOP\r\n",
	    "a OK NOOP completed\r\n* ID (\"name\" \"fife\")\r\nb OK ID completed\r\n"
	    "c BAD Unknown UID command\r\n");
	imap_free(s);
	opened = 0;
	s = imap_new(NULL, NULL, NULL);
	imap_set_opener(s, open_it, store);
	say(s, step, "a NOOP\r\nb LOGOUT\r\n",
	    "a OK NOOP completed\r\n* BYE Logging out\r\nb OK LOGOUT completed\r\n");
	assert_int_equal(opened, 0);
	imap_free(s);
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct evbuffer *out = evbuffer_new();

		opened = 0;
		s = imap_new(NULL, NULL, NULL);
		imap_set_opener(s, open_it, store);
		drive(s, first[i], strlen(first[i]), step, out);
		drive(s, first[i], strlen(first[i]), step, out);
		assert_int_equal(opened, 1);
		assert_false(imap_ended(s));
		evbuffer_free(out);
		imap_free(s);
	}
	/* Where it cannot be, at a command or a literal, that is the end. */
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		opened = 0;
		s = imap_new(NULL, NULL, NULL);
		imap_set_opener(s, open_it, NULL);
		say(s, step, first[i],
		    "* BYE [UNAVAILABLE] The mailbox cannot be opened now\r\n");
		assert_true(imap_ended(s));
		assert_int_equal(opened, 1);
		imap_free(s);
	}
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_steps(name);             \
	}

TEST(quota)
TEST(compress)
TEST(metadata)
TEST(progress)
TEST(utf8_accept)
TEST(new_keywords)
TEST(opened_late)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
		cmocka_unit_test_setup_teardown(test_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_utf8_accept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_keywords, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opened_late, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

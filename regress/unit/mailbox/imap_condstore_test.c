/* SPDX-License-Identifier: ISC */
/* CONDSTORE, QRESYNC (RFC 7162), IMAP4rev2 and UIDONLY: what a client is told once it has
 * enabled them. */
#include "regress/unit/mailbox/imap_fixture.h"

#define SELECTED(n, recent)                                                         \
	FLAGS PERMANENT "* " n " EXISTS\r\n* " recent " RECENT\r\n* OK [UNSEEN 1] " \
			"@\r\n" UIDS

static void
put(struct imap *s, size_t step, int n)
{
	for (int i = 0; i < n; i++)
		append(s, step, "INBOX", "", M2);
}

static void
enabling(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	put(s, step, 3);
	say(s, step, "a ENABLE X CONDSTORE Y\r\nb ENABLE CONDSTORE QRESYNC\r\n",
	    "* ENABLED CONDSTORE\r\na OK ENABLE completed\r\n* ENABLED QRESYNC\r\n"
	    "b OK ENABLE completed\r\n");
	imap_free(s);
	s = imap_new(store, NULL, NULL);
	say(s, step, "a SELECT INBOX\r\n", SELECTED("3", "3") "a OK [READ-WRITE] @\r\n");
	say(s, step, "a STORE 1 +FLAGS (\\Seen)\r\n",
	    "* 1 FETCH (FLAGS (\\Seen \\Recent))\r\na OK STORE completed\r\n");
	say(s, step, "a FETCH 1 MODSEQ\r\nb STORE 1 -FLAGS.SILENT (\\Seen)\r\n",
	    "* OK [HIGHESTMODSEQ 5] Highest\r\n* 1 FETCH (MODSEQ (5))\r\n"
	    "a OK FETCH completed\r\n* 1 FETCH (UID 1 MODSEQ (6))\r\nb OK STORE "
	    "completed\r\n");
	say(s, step, "a STATUS INBOX (HIGHESTMODSEQ MAILBOXID DELETED)\r\n",
	    "* STATUS INBOX (DELETED 0 HIGHESTMODSEQ 6 MAILBOXID (F@\r\na OK STATUS "
	    "completed\r\n");
	say(s, step, "a FETCH 1:* UID (CHANGEDSINCE 4)\r\n",
	    "* 1 FETCH (UID 1 MODSEQ (6))\r\na OK FETCH completed\r\n");
	/* what \Seen changes goes with UID and MODSEQ, once each */
	say(s, step,
	    "a FETCH 1 (BODY[TEXT]<0.1> UID)\r\nb STORE 1 -FLAGS.SILENT (\\Seen)\r\n"
	    "c FETCH 1 (MODSEQ BODY[TEXT]<0.1>)\r\nd FETCH 1 BODY[TEXT]<0.1>\r\n",
	    "* 1 FETCH (BODY[TEXT]<0> {1}\r\ns UID 1 FLAGS (\\Seen \\Recent) MODSEQ "
	    "(7))\r\n"
	    "a OK FETCH completed\r\n* 1 FETCH (UID 1 MODSEQ (8))\r\nb OK STORE "
	    "completed\r\n"
	    "* 1 FETCH (MODSEQ (9) BODY[TEXT]<0> {1}\r\ns UID 1 FLAGS (\\Seen "
	    "\\Recent))\r\n"
	    "c OK FETCH completed\r\n* 1 FETCH (BODY[TEXT]<0> {1}\r\ns)\r\n"
	    "d OK FETCH completed\r\n");
	say(s, step,
	    "a FETCH 1 UID (CHANGEDSINCE 4 VANISHED)\r\nb FETCH 1 UID (X)\r\n"
	    "c FETCH 1 UID (CHANGEDSINCE)\r\nd FETCH 1 UID (CHANGEDSINCE "
	    "9223372036854775808)\r\ne SELECT INBOX (QRESYNC (1 2))\r\n",
	    "a BAD VANISHED @\r\nb BAD Unknown FETCH modifier\r\nc BAD Space "
	    "expected\r\nd BAD Number too large\r\ne BAD QRESYNC is not enabled\r\n");
	imap_free(s);
}

static void
conditional(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *t = imap_new(store, NULL, NULL);

	put(s, step, 3);
	say(s, step, "a SELECT INBOX (CONDSTORE)\r\n",
	    SELECTED("3", "3") "a OK [READ-WRITE] @\r\n");
	say(t, step, "a SELECT INBOX\r\n", SELECTED("3", "0") "a OK [READ-WRITE] @\r\n");
	say(t, step, "a STORE 2 +FLAGS.SILENT (\\Answered)\r\n",
	    "a OK STORE completed\r\n");
	say(s, step, "a STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS (\\Deleted)\r\n",
	    "* 2 FETCH (UID 2 FLAGS (\\Answered \\Recent) MODSEQ (5))\r\n"
	    "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent) MODSEQ (6))\r\n"
	    "* 3 FETCH (UID 3 FLAGS (\\Deleted \\Recent) MODSEQ (6))\r\n"
	    "a OK [MODIFIED 2] @\r\n");
	say(s, step, "a UID STORE 2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Deleted)\r\n",
	    "a OK [MODIFIED 2] @\r\n");
	say(s, step, "a STORE 1 (UNCHANGEDSINCE 6) -FLAGS.SILENT (\\Deleted)\r\n",
	    "* 1 FETCH (UID 1 MODSEQ (7))\r\na OK STORE completed\r\n");
	/* the others are told with and without MODSEQ, as they want it */
	say(t, step, "a NOOP\r\n",
	    "* 1 FETCH (UID 1 FLAGS ())\r\n* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\na OK "
	    "NOOP completed\r\n");
	say(s, step, "a EXPUNGE\r\nb EXPUNGE\r\n",
	    "* 3 EXPUNGE\r\n* # RECENT\r\na OK [HIGHESTMODSEQ 8] EXPUNGE completed\r\nb "
	    "OK EXPUNGE "
	    "completed\r\n");
	say(s, step,
	    "a STORE 1 (UNCHANGEDSINCE) FLAGS ()\r\nb STORE 1 (X 1) FLAGS ()\r\n",
	    "a BAD Space expected\r\nb BAD Unknown STORE modifier\r\n");
	imap_free(t);
	imap_free(s);
}

static uint32_t
validity(void)
{
	struct folder *f;
	uint32_t v;

	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	v = folder_uidvalidity(f);
	folder_close(f);
	return v;
}

static void
resync(struct imap *s, size_t step, const char *parameters, const char *want)
{
	char cmd[300], all[2000];

	snprintf(cmd, sizeof(cmd), "a SELECT INBOX (QRESYNC (%u %s))\r\n", validity(),
	    parameters);
	snprintf(
	    all, sizeof(all), "%s%sa OK [READ-WRITE] @\r\n", SELECTED("4", "#"), want);
	say(s, step, cmd, all);
	say(s, step, "x UNSELECT\r\n", "x OK UNSELECT completed\r\n");
}

static void
reopen(void)
{
	store_close(store);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
}

static void
vanished(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *t = imap_new(store, NULL, NULL);

	put(s, step, 8); /* modseq 9 */
	say(s, step, "a ENABLE QRESYNC\r\n", "* ENABLED QRESYNC\r\na OK @\r\n");
	say(s, step, "a SELECT INBOX\r\n", SELECTED("8", "8") "a OK [READ-WRITE] @\r\n");
	say(t, step, "a SELECT INBOX\r\n", SELECTED("8", "0") "a OK [READ-WRITE] @\r\n");
	say(t, step, "a STORE 2,4:5 +FLAGS.SILENT (\\Deleted)\r\nb EXPUNGE\r\n",
	    "a OK STORE completed\r\n* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n"
	    "b OK EXPUNGE completed\r\n"); /* 10, 11 */
	say(s, step, "a FETCH 1 UID\r\nb NOOP\r\n",
	    "* 1 FETCH (UID 1)\r\na OK FETCH completed\r\n* VANISHED 2,4:5\r\n* # "
	    "RECENT\r\nb OK NOOP "
	    "completed\r\n");
	say(s, step, "a UID STORE 8 +FLAGS.SILENT (\\Deleted)\r\nb UID EXPUNGE 8\r\n",
	    "* 5 FETCH (UID 8 MODSEQ (12))\r\na OK UID STORE completed\r\n"
	    "* VANISHED 8\r\n* # RECENT\r\nb OK [HIGHESTMODSEQ 13] UID EXPUNGE "
	    "completed\r\n");
	say(s, step, "a UID FETCH 1:8 (FLAGS) (CHANGEDSINCE 10 VANISHED)\r\n",
	    "* VANISHED (EARLIER) 2,4:5,8\r\na OK UID FETCH completed\r\n");
	say(s, step, "a UID FETCH 3:7 (FLAGS) (CHANGEDSINCE 10 VANISHED)\r\n",
	    "* VANISHED (EARLIER) 4:5\r\na OK UID FETCH completed\r\n");
	/* The last message is gone, which "*" was. */
	say(s, step, "a UID FETCH 5:* (FLAGS) (CHANGEDSINCE 12 VANISHED)\r\n",
	    "* VANISHED (EARLIER) 8\r\na OK UID FETCH completed\r\n");
	say(s, step, "a STORE 1 +FLAGS (\\Flagged)\r\nb CLOSE\r\n",
	    "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent) MODSEQ (14))\r\na OK STORE "
	    "completed\r\nb OK CLOSE completed\r\n");
	imap_free(t);
	/* The memory of what was expunged outlives the process. */
	for (int i = 0; i < 2; i++) {
		resync(
		    s, step, "13", "* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (14))\r\n");
		resync(s, step, "11",
		    "* VANISHED (EARLIER) 8\r\n"
		    "* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (14))\r\n");
		resync(s, step, "9 1:6 (1 2)",
		    "* VANISHED (EARLIER) 2,4:5\r\n"
		    "* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (14))\r\n");
		resync(s, step, "9 2:6 (1:3 1,3,6)", "");
		resync(s, step, "14", "");
		imap_free(s);
		reopen();
		s = imap_new(store, NULL, NULL);
		say(s, step, "a ENABLE QRESYNC\r\n", "* ENABLED QRESYNC\r\na OK @\r\n");
	}
	say(s, step,
	    "a SELECT INBOX (QRESYNC (1 1 1:*))\r\nb SELECT INBOX (QRESYNC (1 0))"
	    "\r\nc SELECT INBOX (QRESYNC (1 1 (1 2) 3))\r\n",
	    "a BAD * @\r\nb BAD Zero @\r\nc BAD @\r\n");
	imap_free(s);
}

/* Without its index the store does not know how far back: everything that is not there is
 * told as gone, and sequence match data makes that shorter. */
static void
history_lost(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	put(s, step, 8);
	say(s, step,
	    "a SELECT INBOX\r\nb STORE 2,4:5,8 +FLAGS.SILENT (\\Deleted)\r\nc "
	    "CLOSE\r\n",
	    SELECTED("8", "8") "a OK [READ-WRITE] @\r\nb OK STORE completed\r\nc OK "
			       "CLOSE completed\r\n");
	imap_free(s);
	store_flush(store);
	store_close(store);
	assert_int_equal(unlinkat(dirfd_, "index/data.mdb", 0), 0);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	s = imap_new(store, NULL, NULL);
	say(s, step, "a ENABLE QRESYNC\r\n", "* ENABLED QRESYNC\r\na OK @\r\n");
	resync(s, step, "9 1:8",
	    "* VANISHED (EARLIER) 2,4:5,8\r\n"
	    "* 1 FETCH (UID 1 FLAGS () MODSEQ (#))\r\n"
	    "* 2 FETCH (UID 3 FLAGS () MODSEQ (#))\r\n"
	    "* 3 FETCH (UID 6 FLAGS () MODSEQ (#))\r\n"
	    "* 4 FETCH (UID 7 FLAGS () MODSEQ (#))\r\n");
	resync(s, step, "9 5:8 (1,2,3 1,3,6)",
	    "* VANISHED (EARLIER) 8\r\n"
	    "* 3 FETCH (UID 6 FLAGS () MODSEQ (#))\r\n"
	    "* 4 FETCH (UID 7 FLAGS () MODSEQ (#))\r\n");
	imap_free(s);
}

static void
rev2(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	put(s, step, 2);
	say(s, step,
	    "a ENABLE IMAP4rev2\r\nb CREATE \"Entw\xc3\xbcrfe\"\r\n"
	    "c LIST \"\" Entw*\r\nd CREATE \"x\xc3\"\r\n",
	    "* ENABLED IMAP4rev2\r\na OK @\r\nb OK CREATE completed\r\n"
	    "* LIST (\\HasNoChildren) \"/\" \"Entw\xc3\xbcrfe\"\r\nc OK LIST "
	    "completed\r\nd NO [CANNOT] @\r\n");
	say(s, step, "a SELECT inbox\r\n",
	    FLAGS PERMANENT "* 2 EXISTS\r\n" UIDS "* LIST () \"/\" INBOX\r\n"
			    "a OK [READ-WRITE] SELECT completed\r\n");
	say(s, step, "a FETCH 1 FLAGS\r\nb SEARCH ALL\r\nc UID SEARCH SEEN\r\n",
	    "* 1 FETCH (FLAGS ())\r\na OK FETCH completed\r\n"
	    "* ESEARCH (TAG \"b\") ALL 1:2\r\nb OK SEARCH completed\r\n"
	    "* ESEARCH (TAG \"c\") UID\r\nc OK UID SEARCH completed\r\n");
	put(s, step, 0);
	say(s, step, "a APPEND INBOX {24+}\r\n" M2 "\r\n",
	    "* 3 EXISTS\r\na OK [APPENDUID # 3] APPEND completed\r\n");
	say(s, step, "a LIST \"\" \"\"\r\nb SELECT Nope\r\n",
	    "* LIST (\\Noselect) \"/\" \"\"\r\na OK LIST completed\r\n"
	    "* OK [CLOSED] Previous mailbox is closed\r\nb NO [NONEXISTENT] @\r\n");
	imap_free(s);
}

static void
uid_only(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *t = imap_new(store, NULL, NULL);

	put(s, step, 3);
	say(s, step, "a ENABLE UIDONLY\r\nb SELECT INBOX\r\n",
	    "* ENABLED UIDONLY\r\na OK @\r\n" FLAGS PERMANENT
	    "* 3 EXISTS\r\n* 3 RECENT\r\n" UIDS "b OK [READ-WRITE] @\r\n");
	say(s, step,
	    "a FETCH 1 FLAGS\r\nb STORE 1 FLAGS ()\r\nc SEARCH ALL\r\nd COPY 1 x\r\n",
	    "a BAD [UIDREQUIRED] @\r\nb BAD [UIDREQUIRED] @\r\nc BAD [UIDREQUIRED] @\r\n"
	    "d BAD [UIDREQUIRED] @\r\n");
	say(s, step,
	    "a UID FETCH 2 FLAGS\r\nb UID STORE 2 FLAGS (\\Seen)\r\n"
	    "c UID SEARCH 1\r\nd UID SEARCH UID 1\r\n",
	    "* 2 UIDFETCH (FLAGS (\\Recent))\r\na OK UID FETCH completed\r\n"
	    "* 2 UIDFETCH (FLAGS (\\Seen \\Recent))\r\nb OK UID STORE completed\r\n"
	    "c BAD [UIDREQUIRED] @\r\n* SEARCH 1\r\nd OK UID SEARCH completed\r\n");
	say(t, step,
	    "a SELECT INBOX\r\nb STORE 1 FLAGS (\\Deleted)\r\nc EXPUNGE\r\nd "
	    "STORE 1 FLAGS (\\Draft)\r\n",
	    SELECTED("3", "0") "a OK [READ-WRITE] @\r\n* 1 FETCH (FLAGS (\\Deleted))\r\n"
			       "b OK STORE completed\r\n* 1 EXPUNGE\r\nc "
			       "OK EXPUNGE completed\r\n"
			       "* 1 FETCH (FLAGS (\\Draft))\r\nd OK STORE completed\r\n");
	say(s, step, "a NOOP\r\n",
	    "* 2 UIDFETCH (FLAGS (\\Draft \\Recent))\r\n* VANISHED 1\r\n* # RECENT\r\na "
	    "OK NOOP "
	    "completed\r\n");
	imap_free(t);
	say(s, step, "a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC (1 1 1:3 (1 1)))\r\n",
	    "* ENABLED QRESYNC\r\n* OK [HIGHESTMODSEQ @\r\na OK @\r\n"
	    "b BAD [UIDREQUIRED] @\r\n");
	imap_free(s);
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_steps(name);             \
	}

TEST(enabling)
TEST(conditional)
TEST(vanished)
TEST(history_lost)
TEST(rev2)
TEST(uid_only)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_enabling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conditional, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rev2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uid_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

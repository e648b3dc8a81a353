/* SPDX-License-Identifier: ISC */
/* MESSAGELIMIT and SAVELIMIT (RFC 9738): two messages a command, of five. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/imap_limit.h"
#include "mailbox/imap_search.h"

static struct imap *
with(uint32_t message, uint32_t save)
{
	static const char begin[] = "a CREATE x\r\nb SELECT INBOX\r\n";
	struct imap_offer offer = { .message_limit = message, .save_limit = save };
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	assert_non_null(s);
	for (int i = 0; i < 5; i++)
		append(s, 1000, "INBOX", "", M2);
	imap_set_offer(s, &offer);
	drive(s, begin, sizeof(begin) - 1, 1000, out);
	evbuffer_free(out);
	return s;
}

static void
fetch(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a FETCH 1:4 (UID)\r\n",
	    "* 4 FETCH (UID 4)\r\n* 3 FETCH (UID 3)\r\n"
	    "a OK [MESSAGELIMIT 2 3] FETCH completed\r\n");
	say(s, step, "a UID FETCH 1:2 (UID)\r\n",
	    "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\na OK UID FETCH completed\r\n");
	/* The code is of that command alone. */
	say(s, step, "a NOOP\r\nb FETCH 1:3 BINARY.PEEK[1]<0.3>\r\n",
	    "a OK NOOP completed\r\n* 3 FETCH (BINARY[1]<0> {3}\r\nsec)\r\n"
	    "* 2 FETCH (BINARY[1]<0> {3}\r\nsec)\r\nb OK [MESSAGELIMIT 2 2] FETCH "
	    "completed\r\n");
	say(s, step, "a UID FETCH 1:* (UID) (PARTIAL -1:-3)\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages for one command\r\n");
	say(s, step, "a UID FETCH 1:* (UID) (PARTIAL -1:-2)\r\n",
	    "* 4 FETCH (UID 4)\r\n* 5 FETCH (UID 5)\r\na OK UID FETCH completed\r\n");
	/* Only what is told counts. */
	say(s, step, "a STORE 5 +FLAGS.SILENT (\\Seen)\r\n", "a OK STORE completed\r\n");
	say(s, step, "a UID FETCH 1:* (UID) (CHANGEDSINCE 100000)\r\n",
	    "* OK [HIGHESTMODSEQ #] Highest\r\na OK UID FETCH completed\r\n");
	imap_free(s);
}

static void
fetch_of_expunged(void **state)
{
	struct imap *s = with(2, 0), *other = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	static const char remove[] =
	    "a SELECT INBOX\r\nb STORE 4 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n";

	drive(other, remove, sizeof(remove) - 1, 100, out);
	say(s, 100, "a FETCH 1:* (ENVELOPE)\r\n",
	    "* 5 FETCH (ENVELOPE (NIL \"two\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
	    "* NO [MESSAGELIMIT 2 4] Not all messages were processed\r\n"
	    "a OK [EXPUNGEISSUED] Some of the messages no longer exist\r\n");
	evbuffer_free(out);
	imap_free(other);
	imap_free(s);
}

static void
search(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a STORE 1:2 +FLAGS.SILENT (\\Flagged)\r\n",
	    "a OK STORE completed\r\n");
	/* Messages that are searched count, not those that are found. */
	say(s, step, "a SEARCH FLAGGED\r\n",
	    "* SEARCH\r\na OK [MESSAGELIMIT 2 4] SEARCH completed\r\n");
	say(s, step, "a UID SEARCH 1:3 FLAGGED\r\n",
	    "* SEARCH 2\r\na OK [MESSAGELIMIT 2 2] UID SEARCH completed\r\n");
	say(s, step, "a SEARCH (UID 1:2 FLAGGED)\r\n",
	    "* SEARCH 1 2\r\na OK SEARCH completed\r\n");
	say(s, step, "a SEARCH UIDAFTER 3\r\n",
	    "* SEARCH 4 5\r\na OK SEARCH completed\r\n");
	say(s, step, "a SEARCH UIDBEFORE 3\r\n",
	    "* SEARCH 1 2\r\na OK SEARCH completed\r\n");
	say(s, step,
	    "a SEARCH UIDBEFORE 1\r\nb SEARCH UIDAFTER 5\r\nc SEARCH UIDAFTER "
	    "4294967295\r\n"
	    "d SEARCH UIDAFTER 0\r\ne SEARCH UIDBEFORE 1:2\r\nf SEARCH UIDAFTER *\r\n",
	    "* SEARCH\r\na OK SEARCH completed\r\n* SEARCH\r\nb OK SEARCH completed\r\n"
	    "* SEARCH\r\nc OK SEARCH completed\r\nd BAD @\r\ne BAD @\r\nf BAD @\r\n");
	/* What is saved is cut as well. */
	say(s, step, "a SEARCH RETURN (SAVE) ALL\r\nb FETCH $ (UID)\r\n",
	    "a OK [MESSAGELIMIT 2 4] SEARCH completed\r\n* 4 FETCH (UID 4)\r\n"
	    "* 5 FETCH (UID 5)\r\nb OK FETCH completed\r\n");
	say(s, step, "a SEARCH RETURN (COUNT UPDATE) ALL\r\n",
	    "* ESEARCH (TAG \"a\") COUNT 2\r\n* NO [NOUPDATE \"a\"] No updates of this "
	    "one\r\na OK [MESSAGELIMIT 2 4] SEARCH completed\r\n");
	say(s, step, "a SORT (SIZE) UTF-8 ALL\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages for one command\r\n");
	say(s, step, "a SORT (REVERSE ARRIVAL) UTF-8 2:3\r\n",
	    "* SORT 2 3\r\na OK SORT completed\r\n");
	say(s, step, "a THREAD REFS UTF-8 ALL\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages for one command\r\n");
	imap_free(s);
}

static void
several(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a ESEARCH IN (mailboxes INBOX) ALL\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY #) UID ALL 4:5\r\n"
	    "a OK [MESSAGELIMIT 2 4] ESEARCH completed\r\n");
	say(s, step, "a ESEARCH IN (personal) ALL\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages for one command\r\n");
	say(s, step, "a ESEARCH IN (personal) UID 1:2\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY #) UID ALL 1:2\r\n"
	    "a OK ESEARCH completed\r\n");
	imap_free(s);
}

static void
store_and_move(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a STORE 1:5 FLAGS (\\Seen)\r\n",
	    "* 4 FETCH (FLAGS (\\Seen \\Recent))\r\n"
	    "* 5 FETCH (FLAGS (\\Seen \\Recent))\r\n"
	    "a OK [MESSAGELIMIT 2 4] STORE completed\r\n");
	say(s, step, "a UID STORE 1:5 (UNCHANGEDSINCE 1) FLAGS.SILENT ()\r\n",
	    "* OK [HIGHESTMODSEQ #] Highest\r\n"
	    "* NO [MESSAGELIMIT 2 4] Not all messages were processed\r\n"
	    "a OK [MODIFIED 4:5] Conditional STORE failed for some\r\n");
	say(s, step, "a COPY 1:3 x\r\nb COPY 1:2 x\r\n",
	    "a NO [MESSAGELIMIT 2 2] Too many messages for one command\r\n"
	    "b OK [COPYUID # 1:2 1:2] COPY completed\r\n");
	say(s, step, "a UID MOVE 1:4 x\r\n",
	    "* OK [COPYUID # 3:4 3:4] Moved\r\n* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* # "
	    "RECENT\r\n"
	    "* NO [MESSAGELIMIT 2 3] Not all messages were processed\r\n"
	    "a OK [HIGHESTMODSEQ #] MOVE completed\r\n");
	imap_free(s);
}

static void
expunge(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n",
	    "a OK STORE completed\r\n");
	say(s, step, "a STORE 3 +FLAGS.SILENT (\\Deleted)\r\n",
	    "a OK STORE completed\r\n");
	/* Only the deleted ones count. */
	say(s, step, "a UID EXPUNGE 1:5\r\n",
	    "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n* # RECENT\r\na OK [MESSAGELIMIT 2 2] UID "
	    "EXPUNGE "
	    "completed\r\n");
	say(s, step, "a UID EXPUNGE 1:5\r\n",
	    "* 1 EXPUNGE\r\n* # RECENT\r\na OK UID EXPUNGE completed\r\n");
	/* EXPUNGE, CLOSE and STATUS are not limited. */
	for (int i = 0; i < 3; i++)
		append(s, step, "x", "(\\Deleted) ", M2);
	say(s, step, "a STATUS x (UNSEEN)\r\n",
	    "* STATUS x (UNSEEN 3)\r\na OK STATUS completed\r\n");
	say(s, step, "a UNSELECT\r\n", "a OK UNSELECT completed\r\n");
	say(s, step, "a SELECT x\r\nb EXPUNGE\r\n",
	    FLAGS PERMANENT
	    "* 3 EXISTS\r\n* 3 RECENT\r\n"
	    "* OK [UNSEEN 1] First unseen message\r\n" UIDS
	    "a OK [READ-WRITE] SELECT completed\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 "
	    "EXPUNGE\r\n* # RECENT\r\nb OK EXPUNGE completed\r\n");
	for (int i = 0; i < 3; i++)
		append(s, step, "INBOX", "(\\Deleted) ", M2);
	imap_free(s);
}

static void
appending(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a APPEND x {1+}\r\na {1+}\r\nb\r\n",
	    "a OK [APPENDUID # 1:2] APPEND completed\r\n");
	say(s, step, "a APPEND x {1+}\r\na {1+}\r\nb {1+}\r\nc\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages in one command\r\n");
	say(s, step, "a STATUS x (MESSAGES)\r\n",
	    "* STATUS x (MESSAGES 2)\r\na OK STATUS completed\r\n");
	/* Content in pieces goes on after its descriptor rested. */
	say(s, step,
	    "a APPEND x CATENATE (TEXT {2+}\r\nab TEXT {2+}\r\ncd) CATENATE (TEXT "
	    "{1+}\r\ne TEXT {1+}\r\nf)\r\nb SELECT x\r\n"
	    "c FETCH 1:2 BODY.PEEK[]\r\nd FETCH 3:4 BODY.PEEK[]\r\n",
	    "a OK [APPENDUID # 3:4] APPEND completed\r\n"
	    "* OK [CLOSED] Previous mailbox is closed\r\n" FLAGS PERMANENT
	    "* 4 EXISTS\r\n* 4 RECENT\r\n"
	    "* OK [UNSEEN 1] First unseen message\r\n" UIDS
	    "b OK [READ-WRITE] SELECT completed\r\n"
	    "* 1 FETCH (BODY[] {1}\r\na)\r\n* 2 FETCH (BODY[] {1}\r\nb)\r\n"
	    "c OK FETCH completed\r\n* 3 FETCH (BODY[] {4}\r\nabcd)\r\n"
	    "* 4 FETCH (BODY[] {2}\r\nef)\r\nd OK FETCH completed\r\n");
	imap_free(s);
}

static void
save_limit(size_t step)
{
	struct imap *s = with(0, 2);

	say(s, step, "a COPY 1:3 x\r\nb UID COPY 1:3 x\r\n",
	    "a NO [MESSAGELIMIT 2 2] Too many messages for one command\r\n"
	    "b NO [MESSAGELIMIT 2 2] Too many messages for one command\r\n");
	say(s, step, "a APPEND x {1+}\r\na {1+}\r\nb {1+}\r\nc\r\n",
	    "a NO [MESSAGELIMIT 2] Too many messages in one command\r\n");
	say(s, step, "a FETCH 3:5 (UID)\r\n",
	    "* 3 FETCH (UID 3)\r\n* 4 FETCH (UID 4)\r\n* 5 FETCH (UID 5)\r\n"
	    "a OK FETCH completed\r\n");
	say(s, step, "a MOVE 1:3 x\r\n",
	    "* OK [COPYUID # 1:3 1:3] Moved\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 "
	    "EXPUNGE\r\n* # RECENT\r\n"
	    "a OK MOVE completed\r\n");
	imap_free(s);
}

static void
uidonly(size_t step)
{
	struct imap *s = with(2, 0);

	say(s, step, "a ENABLE UIDONLY\r\nb UID FETCH 1:* (FLAGS)\r\n",
	    "* ENABLED UIDONLY\r\na OK ENABLE completed\r\n"
	    "* 5 UIDFETCH (FLAGS (\\Recent))\r\n* 4 UIDFETCH (FLAGS (\\Recent))\r\n"
	    "b OK [MESSAGELIMIT 2 4] UID FETCH completed\r\n");
	say(s, step, "a UID MOVE 3:5 x\r\n",
	    "* OK [COPYUID # 4:5 1:2] Moved\r\n* VANISHED 4:5\r\n* # RECENT\r\n"
	    "a OK [MESSAGELIMIT 2 4] MOVE completed\r\n");
	imap_free(s);
}

#define STEPS(name)                       \
	static void name##_(void **state) \
	{                                 \
		with_steps(name);         \
	}
STEPS(fetch)
STEPS(search)
STEPS(several)
STEPS(store_and_move)
STEPS(expunge)
STEPS(appending)
STEPS(save_limit)
STEPS(uidonly)

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(fetch_), T(fetch_of_expunged), T(search_),
		T(several_), T(store_and_move_), T(expunge_), T(appending_),
		T(save_limit_), T(uidonly_) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

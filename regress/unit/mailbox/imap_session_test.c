/* SPDX-License-Identifier: ISC */
/*
 * The IMAP machine on a real store in a temporary directory: dialogues as a client
 * sees them. Each runs in one piece and byte by byte, on a mailbox of its own.
 */
#include "regress/unit/mailbox/imap_fixture.h"

static void
any_state(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step, "a NOOP\r\nb CAPABILITY\r\n",
	    "a OK NOOP completed\r\n* CAPABILITY IMAP4rev1 @\r\nb OK CAPABILITY "
	    "completed\r\n");
	say(s, step, "a FETCH 1 FLAGS\r\nb UID NOOP\r\nc XYZZY\r\n\r\nd\r\n",
	    "a BAD No mailbox selected\r\nb BAD Unknown UID command\r\n"
	    "c BAD Unknown command\r\n* BAD A command starts with a tag\r\nd BAD Missing "
	    "command\r\n");
	say(s, step, "a NAMESPACE\r\nb ENABLE X Y\r\nc ID NIL\r\n",
	    "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK NAMESPACE completed\r\n"
	    "* ENABLED\r\nb OK ENABLE completed\r\n"
	    "* ID (\"name\" \"fife\")\r\nc OK ID completed\r\n");
	say(s, step, "a NO\tOP\r\nb NOOP\nc NOOP\r\n",
	    "a BAD Unknown command\r\nb BAD Lines end in CRLF\r\nc OK NOOP "
	    "completed\r\n");
	say(s, step, "a SELECT {4294967296}\r\nb NOOP\r\n",
	    "a BAD [TOOBIG] Literal too large\r\nb OK NOOP completed\r\n");
	say(s, step, "a UNAUTHENTICATE x\r\n", "a BAD @\r\n");
	say(s, step, "a LOGOUT\r\nb NOOP\r\n",
	    "* BYE Logging out\r\na OK LOGOUT completed\r\n");
	assert_true(imap_ended(s));
	imap_free(s);
}

static void
folders(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step,
	    "a LIST \"\" \"\"\r\nb CREATE owatagusiam/\r\nc CREATE "
	    "owatagusiam/blurdybloop\r\n",
	    "* LIST (\\Noselect) \"/\" \"\"\r\na OK LIST completed\r\nb OK CREATE "
	    "completed\r\n"
	    "c OK CREATE completed\r\n");
	say(s, step, "a LIST \"\" *\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\HasChildren) \"/\" owatagusiam\r\n"
	    "* LIST (\\HasNoChildren) \"/\" owatagusiam/blurdybloop\r\na OK LIST "
	    "completed\r\n");
	say(s, step, "a LIST \"\" %\r\nb LIST owatagusiam/ %\r\nc LIST \"\" inbox\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\HasChildren) \"/\" owatagusiam\r\na OK LIST completed\r\n"
	    "* LIST (\\HasNoChildren) \"/\" owatagusiam/blurdybloop\r\nb OK LIST "
	    "completed\r\n"
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\nc OK LIST completed\r\n");
	say(s, step,
	    "a CREATE INBOX\r\nb CREATE owatagusiam\r\nc DELETE INBOX\r\nd DELETE "
	    "none\r\n",
	    "a NO [ALREADYEXISTS] @\r\nb NO [ALREADYEXISTS] @\r\nc NO [CANNOT] @\r\n"
	    "d NO [NONEXISTENT] @\r\n");
	say(s, step,
	    "a SUBSCRIBE owatagusiam/blurdybloop\r\nb LSUB \"\" *\r\nc LSUB \"\" %\r\n",
	    "a OK SUBSCRIBE completed\r\n"
	    "* LSUB (\\HasNoChildren) \"/\" owatagusiam/blurdybloop\r\nb OK LSUB "
	    "completed\r\n"
	    "* LSUB (\\Noselect \\HasChildren) \"/\" owatagusiam\r\nc OK LSUB "
	    "completed\r\n");
	say(s, step, "a UNSUBSCRIBE owatagusiam/blurdybloop\r\nb LSUB \"\" *\r\n",
	    "a OK UNSUBSCRIBE completed\r\nb OK LSUB completed\r\n");
	say(s, step, "a RENAME owatagusiam z\r\nb LIST \"\" z*\r\n",
	    "a OK RENAME completed\r\n* LIST (\\HasChildren) \"/\" z\r\n"
	    "* LIST (\\HasNoChildren) \"/\" z/blurdybloop\r\nb OK LIST completed\r\n");
	say(s, step,
	    "a CREATE Entw&APw-rfe\r\nb LIST \"\" Ent*\r\nc CREATE &\r\nd SELECT "
	    "\"a\xff\"\r\n",
	    "a OK CREATE completed\r\n* LIST (\\HasNoChildren) \"/\" Entw&APw-rfe\r\n"
	    "b OK LIST completed\r\nc NO [CANNOT] @\r\nd NO [CANNOT] @\r\n");
	say(s, step,
	    "a CREATE Gone (USE (\\Trash))\r\nb LIST \"\" Gone\r\nc CREATE x (USE "
	    "(\\All))\r\n",
	    "a OK CREATE completed\r\n* LIST (\\HasNoChildren \\Trash) \"/\" Gone\r\n"
	    "b OK LIST completed\r\nc NO [USEATTR] @\r\n");
	say(s, step, "a DELETE z/blurdybloop\r\nb DELETE z\r\nc LIST \"\" z*\r\n",
	    "a OK DELETE completed\r\nb OK DELETE completed\r\nc OK LIST completed\r\n");
	imap_free(s);
}

static void
messages(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step, "a SELECT inbox\r\n",
	    FLAGS PERMANENT "* 0 EXISTS\r\n* 0 RECENT\r\n" UIDS
			    "a OK [READ-WRITE] SELECT completed\r\n");
	say(s, step,
	    "a FETCH 1:* FLAGS\r\nb FETCH 1 FLAGS\r\nc UID FETCH 1:* FLAGS\r\nd SEARCH "
	    "ALL\r\n",
	    "a OK FETCH completed\r\nb BAD No message with that sequence number\r\n"
	    "c OK UID FETCH completed\r\n* SEARCH\r\nd OK SEARCH completed\r\n");
	say(s, step,
	    "a APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {78}\r\n" M1 "\r\n",
	    "+ Ready for message\r\n* 1 EXISTS\r\n* 1 RECENT\r\n"
	    "a OK [APPENDUID # 1] APPEND completed\r\n");
	say(s, step, "a APPEND {5}\r\nINBOX {24+}\r\n" M2 "\r\n",
	    "+ Ready for literal\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
	    "a OK [APPENDUID # 2] APPEND completed\r\n");
	say(s, step, "a FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\n",
	    "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) INTERNALDATE \"17-Jul-1996 "
	    "02:44:25 -0700\" "
	    "RFC822.SIZE 78 ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"one\" "
	    "((NIL NIL \"a\" \"b.c\")) ((NIL NIL \"a\" \"b.c\")) ((NIL NIL \"a\" "
	    "\"b.c\")) NIL NIL "
	    "NIL NIL NIL))\r\na OK FETCH completed\r\n");
	say(s, step, "a FETCH 2 (BODY BODY.PEEK[TEXT])\r\nb FETCH 2 BODY[]\r\n",
	    "* 2 FETCH (BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
	    "\"7bit\" 8 1) "
	    "BODY[TEXT] {8}\r\nsecond\r\n)\r\na OK FETCH completed\r\n"
	    "* 2 FETCH (BODY[] {24}\r\n" M2
	    " FLAGS (\\Seen \\Recent))\r\nb OK FETCH completed\r\n");
	say(s, step,
	    "a UID FETCH 2:* RFC822.HEADER\r\nb FETCH 1:2 BODY[HEADER.FIELDS "
	    "(SUBJECT)]<0.9>\r\n",
	    "* 2 FETCH (UID 2 RFC822.HEADER {16}\r\nSubject: two\r\n\r\n)\r\n"
	    "a OK UID FETCH completed\r\n"
	    "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)]<0> {9}\r\nSubject: )\r\n"
	    "* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT)]<0> {9}\r\nSubject: )\r\n"
	    "b OK FETCH completed\r\n");
	say(s, step,
	    "a STORE 1 +FLAGS (\\Deleted $Junk)\r\nb STORE 1:2 -FLAGS.SILENT "
	    "(\\Seen)\r\n",
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n"
	    "* 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent $Junk))\r\na OK STORE "
	    "completed\r\n"
	    "b OK STORE completed\r\n");
	say(s, step,
	    "a UID STORE 2 FLAGS \\Flagged\r\nb STORE 1 FLAGS \\Foo\r\nc STORE 1 X "
	    "()\r\n",
	    "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\r\na OK UID STORE completed\r\n"
	    "b BAD Unknown system flag\r\nc BAD FLAGS expected\r\n");
	say(s, step,
	    "a SEARCH FLAGGED\r\nb UID SEARCH NOT DELETED\r\nc SEARCH KEYWORD $junk\r\n"
	    "d SEARCH BODY \"hello JOE\"\r\ne SEARCH SENTON 7-Feb-1994 OR FROM a@b FROM "
	    "q\r\n"
	    "f SEARCH RETURN (MIN MAX COUNT ALL) ALL\r\ng UID SEARCH RETURN () 2\r\n"
	    "h SEARCH CHARSET X-NONE ALL\r\ni SEARCH BEFORE 18-Jul-1996\r\n"
	    "j SEARCH UNKEYWORD $Junk LARGER 23 SMALLER 25 NEW\r\n",
	    "* SEARCH 2\r\na OK SEARCH completed\r\n* SEARCH 2\r\nb OK UID SEARCH "
	    "completed\r\n"
	    "* SEARCH 1\r\nc OK SEARCH completed\r\n* SEARCH 1\r\nd OK SEARCH "
	    "completed\r\n"
	    "* SEARCH 1\r\ne OK SEARCH completed\r\n"
	    "* ESEARCH (TAG \"f\") MIN 1 MAX 2 ALL 1:2 COUNT 2\r\nf OK SEARCH "
	    "completed\r\n"
	    "* ESEARCH (TAG \"g\") UID ALL 2\r\ng OK UID SEARCH completed\r\n"
	    "h NO [BADCHARSET (US-ASCII UTF-8)] Charset not supported\r\n"
	    "* SEARCH 1\r\ni OK SEARCH completed\r\n* SEARCH 2\r\nj OK SEARCH "
	    "completed\r\n");
	say(s, step,
	    "a COPY 1:2 Other\r\nb CREATE Other\r\nc COPY 1:2 Other\r\nd STATUS Other "
	    "(MESSAGES UIDNEXT UNSEEN SIZE APPENDLIMIT)\r\n",
	    "a NO [TRYCREATE] @\r\nb OK CREATE completed\r\nc OK [COPYUID # 1:2 1:2] "
	    "COPY completed\r\n"
	    "* STATUS Other (MESSAGES 2 UIDNEXT 3 UNSEEN 2 SIZE 102 APPENDLIMIT "
	    "67108864)\r\nd OK STATUS completed\r\n");
	say(s, step, "a MOVE 2 Other\r\nb UID EXPUNGE 2\r\nc EXPUNGE\r\nd NOOP\r\n",
	    "* OK [COPYUID # 2 3] Moved\r\n* 2 EXPUNGE\r\n* # RECENT\r\na OK MOVE "
	    "completed\r\n"
	    "b OK UID EXPUNGE completed\r\n* 1 EXPUNGE\r\n* # RECENT\r\nc OK EXPUNGE "
	    "completed\r\n"
	    "d OK NOOP completed\r\n");
	say(s, step,
	    "a EXAMINE Other\r\nb STORE 1 FLAGS ()\r\nc EXPUNGE\r\nd FETCH 1 "
	    "BODY[]<0.1>\r\ne CLOSE\r\nf CHECK\r\n",
	    "* OK [CLOSED] Previous mailbox is closed\r\n"
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n"
	    "* OK [PERMANENTFLAGS ()] Read-only mailbox\r\n* 3 EXISTS\r\n* 3 RECENT\r\n"
	    "* OK [UNSEEN 1] First unseen message\r\n" UIDS
	    "a OK [READ-ONLY] EXAMINE completed\r\n"
	    "b NO [READ-ONLY] @\r\nc NO [READ-ONLY] @\r\n"
	    "* 1 FETCH (BODY[]<0> {1}\r\nS)\r\nd OK FETCH completed\r\n"
	    "e OK CLOSE completed\r\nf BAD No mailbox selected\r\n");
	say(s, step,
	    "a SELECT Other\r\nb CLOSE\r\nc STATUS Other (MESSAGES)\r\nd SELECT "
	    "Nowhere\r\n",
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n"
	    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk "
	    "\\*)] @\r\n"
	    "* 3 EXISTS\r\n* 3 RECENT\r\n* OK [UNSEEN 1] @\r\n" UIDS
	    "a OK [READ-WRITE] SELECT completed\r\nb OK CLOSE completed\r\n"
	    "* STATUS Other (MESSAGES 2)\r\nc OK STATUS completed\r\nd NO [NONEXISTENT] "
	    "@\r\n");
	imap_free(s);
}

/* A mailbox that goes away under a session that has it selected; UNSELECT keeps \Deleted.
 */
static void
vanishing(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *t = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	int fd;

	say(t, step, "a CREATE x\r\n", "a OK CREATE completed\r\n");
	append(t, step, "x", "(\\Deleted) ", M1);
	drive(s, "a SELECT x\r\n", 12, step, out);
	say(s, step, "a UNSELECT\r\nb STATUS x (MESSAGES)\r\nc EXPUNGE\r\n",
	    "a OK UNSELECT completed\r\n* STATUS x (MESSAGES 1)\r\nb OK STATUS "
	    "completed\r\n"
	    "c BAD No mailbox selected\r\n");
	drive(s, "a SELECT x\r\n", 12, step, out);
	/* One that cannot be deleted stays selected. */
	(void)unlinkat(dirfd_, "index/trash", AT_REMOVEDIR);
	fd = openat(dirfd_, "index/trash", O_WRONLY | O_CREAT, 0600);
	assert_int_not_equal(fd, -1);
	say(s, step, "a DELETE x\r\nb FETCH 1 UID\r\n",
	    "a NO [SERVERBUG] @\r\n* 1 FETCH (UID 1)\r\nb OK FETCH completed\r\n");
	close(fd);
	assert_int_equal(unlinkat(dirfd_, "index/trash", 0), 0);
	say(t, step, "a DELETE x\r\n", "a OK DELETE completed\r\n");
	evbuffer_drain(out, evbuffer_get_length(out));
	drive(s, "b FETCH 1 BODY[]\r\nc STORE 1 FLAGS (y)\r\nd NOOP\r\ne CLOSE\r\n", 56,
	    step, out);
	evbuffer_add(out, "", 1);
	assert_non_null(strstr((char *)evbuffer_pullup(out, -1), "e OK CLOSE completed"));
	evbuffer_free(out);
	imap_free(t);
	imap_free(s);
}

static void
bad_appends(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	say(s, step,
	    "a APPEND INBOX {4294967296}\r\nb APPEND Nope {5}\r\nc APPEND Nope "
	    "{5+}\r\nabcde\r\n",
	    "a NO [TOOBIG] @\r\nb NO [TRYCREATE] @\r\nc NO [TRYCREATE] @\r\n");
	say(s, step,
	    "a APPEND INBOX (\\Seen {5}\r\nb APPEND INBOX (\\Seen {5+}\r\nabcde\r\nc "
	    "APPEND INBOX\r\n"
	    "d APPEND INBOX \"yesterday\" {3}\r\ne APPEND INBOX {0}\r\n",
	    "a BAD @\r\nb BAD @\r\nc BAD @\r\nd BAD Invalid date-time\r\ne NO Empty "
	    "message\r\n");
	say(s, step,
	    "a APPEND INBOX {3+}\r\nabc {3+}\r\ndef x\r\nb APPEND INBOX {3+}\r\nabc x\r\n"
	    "c STATUS INBOX (MESSAGES)\r\n",
	    "a BAD A message literal is expected\r\nb BAD A message literal is "
	    "expected\r\n* STATUS INBOX (MESSAGES 0)\r\nc OK STATUS completed\r\n");
	say(s, step, "a APPEND INBOX {4294967296+}\r\n",
	    "a NO [TOOBIG] @\r\n* BYE @\r\n");
	assert_true(imap_ended(s));
	imap_free(s);
}

static int woken;

static void
wake(void *arg)
{
	woken++;
}

static void
two_sessions(size_t step)
{
	struct imap *s = imap_new(store, wake, NULL), *t = imap_new(store, NULL, NULL),
		    *u = imap_new(store, NULL, NULL);

	append(s, step, "INBOX", "", M1);
	append(s, step, "INBOX", "", M2);
	say(s, step, "a SELECT INBOX\r\n",
	    FLAGS PERMANENT "* 2 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 1] @\r\n" UIDS
			    "a OK [READ-WRITE] @\r\n");
	say(t, step, "a SELECT INBOX\r\n",
	    FLAGS PERMANENT "* 2 EXISTS\r\n* 0 RECENT\r\n* OK [UNSEEN 1] @\r\n" UIDS
			    "a OK [READ-WRITE] @\r\n");
	say(t, step, "a STORE 1 +FLAGS.SILENT (\\Deleted)\r\n",
	    "a OK STORE completed\r\n");
	say(s, step, "a NOOP\r\n",
	    "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\r\na OK NOOP completed\r\n");
	say(t, step, "a EXPUNGE\r\n", "* 1 EXPUNGE\r\na OK EXPUNGE completed\r\n");
	/* Sequence numbers stand while FETCH, STORE and SEARCH speak of them. */
	say(s, step,
	    "a FETCH 1:2 UID\r\na FETCH 1:2 (UID RFC822.SIZE)\r\nb STORE 2 FLAGS "
	    "(\\Seen)\r\nb STORE 1:2 FLAGS (\\Seen)\r\nb STORE 1 +FLAGS.SILENT x\r\n"
	    "c SEARCH ALL\r\nc SORT (SUBJECT) UTF-8 ALL\r\nd UID SEARCH ALL\r\n",
	    "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\na OK FETCH completed\r\n"
	    "* 2 FETCH (UID 2 RFC822.SIZE #)\r\na OK [EXPUNGEISSUED] @\r\n"
	    "* 2 FETCH (FLAGS (\\Seen \\Recent))\r\nb OK STORE completed\r\n"
	    "* 2 FETCH (FLAGS (\\Seen \\Recent))\r\nb OK [EXPUNGEISSUED] @\r\n"
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)\r\n"
	    "b OK [EXPUNGEISSUED] @\r\n"
	    "* SEARCH 2\r\nc OK [EXPUNGEISSUED] SEARCH completed\r\n"
	    "* SORT 2\r\nc OK [EXPUNGEISSUED] SORT completed\r\n"
	    "* SEARCH 2\r\n* 1 EXPUNGE\r\n* # RECENT\r\nd OK UID SEARCH completed\r\n");
	woken = 0;
	say(s, step, "a IDLE\r\n", "+ idling\r\n");
	append(u, step, "INBOX", "", M1);
	imap_free(t);
	imap_free(u);
	assert_true(woken > 0);
	imap_run(s, 0);
	say(s, step, "DONE\r\nb IDLE\r\nNOOP\r\n",
	    "* 2 EXISTS\r\n* # RECENT\r\na OK IDLE completed\r\n+ idling\r\nb BAD DONE "
	    "expected\r\n");
	imap_free(s);
}

static void
test_any_state(void **state)
{
	with_steps(any_state);
}

static void
test_folders(void **state)
{
	with_steps(folders);
}

static void
test_messages(void **state)
{
	with_steps(messages);
}

static void
test_vanishing(void **state)
{
	with_steps(vanishing);
}

static void
test_bad_appends(void **state)
{
	with_steps(bad_appends);
}

static void
test_two_sessions(void **state)
{
	with_steps(two_sessions);
}

/* A slow client: FETCH of 20 MB must never hold more than the high water and a piece. */
static void
test_back_pressure(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	size_t len = 20 * 1024 * 1024, total = 0, most = 0;
	char *msg = malloc(len), head[100];
	struct evbuffer *out = evbuffer_new();

	memset(msg, 'x', len);
	for (size_t i = 78; i < len; i += 80)
		memcpy(msg + i, "\r\n", 2);
	memcpy(msg, "A: b\r\n\r\n", 8);
	snprintf(head, sizeof(head), "a APPEND INBOX {%zu+}\r\n", len);
	drive(s, head, strlen(head), 1000, out);
	drive(s, msg, len, 100000, out);
	drive(s, "\r\n", 2, 2, out);
	drive(s, "b SELECT INBOX\r\n", 16, 16, out);
	evbuffer_drain(out, evbuffer_get_length(out));
	imap_input(s, (const uint8_t *)"c FETCH 1 BODY[]\r\n", 18);
	while (!imap_idle(s)) {
		imap_run(s, 0);
		if (evbuffer_get_length(imap_output(s)) > most)
			most = evbuffer_get_length(imap_output(s));
		total += evbuffer_get_length(imap_output(s));
		evbuffer_drain(imap_output(s), evbuffer_get_length(imap_output(s)));
		/* with everything unsent nothing is added */
		assert_int_equal(imap_run(s, IMAP_HIGH_WATER), 0);
		assert_int_equal(evbuffer_get_length(imap_output(s)), 0);
	}
	assert_true(most < IMAP_HIGH_WATER + 70000);
	assert_true(total > len && total < len + 200);
	free(msg);
	evbuffer_free(out);
	imap_free(s);
}

/* What comes after UNAUTHENTICATE is not for this session any more. */
static void
test_unauthenticate(void **state)
{
	static const char in[] = "a SELECT INBOX\r\nb UNAUTHENTICATE\r\nc NOOP\r\n";
	struct imap *s = imap_new(store, NULL, NULL);

	assert_int_equal(imap_unauthenticated(s), 0);
	/* A command at a time: others have their turn between them. */
	assert_int_equal(imap_input(s, (const uint8_t *)in, sizeof(in) - 1), 16);
	assert_int_equal(imap_ended(s), 0);
	assert_int_equal(
	    imap_input(s, (const uint8_t *)in + 16, sizeof(in) - 1 - 16), 18);
	assert_int_equal(imap_ended(s), 1);
	assert_int_equal(imap_unauthenticated(s), 1);
	imap_free(s);
}

/* What is gone through to make an answer counts, not only what is sent of it. */
static void
test_slices(void **state)
{
	static const char head[] = "Content-Transfer-Encoding: base64\r\n\r\n";
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new(), *in = evbuffer_new();
	size_t len = 3 * 1024 * 1024;
	char *msg = malloc(len);
	int slices = 0;

	memset(msg, 'A', len);
	for (size_t i = 78; i < len; i += 80)
		memcpy(msg + i, "\r\n", 2);
	memcpy(msg, head, strlen(head));
	evbuffer_add_printf(in, "a APPEND INBOX {%zu+}\r\n", len);
	evbuffer_add(in, msg, len);
	evbuffer_add_printf(in, "\r\nb SELECT INBOX\r\n");
	drive(s, (char *)evbuffer_pullup(in, -1), evbuffer_get_length(in), 100000, out);
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_add_printf(in, "c FETCH 1 (UID");
	for (int i = 0; i < 20; i++)
		evbuffer_add_printf(in, " BINARY.PEEK[1]<%d.1>", i);
	evbuffer_add_printf(in, ")\r\n");
	imap_input(s, evbuffer_pullup(in, -1), evbuffer_get_length(in));
	for (; !imap_idle(s); slices++)
		imap_run(s, 0);
	assert_true(slices >= 10);
	free(msg);
	evbuffer_free(in);
	evbuffer_free(out);
	imap_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanishing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_appends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_sessions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unauthenticate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* NOTIFY (RFC 5465): what one session is told of what others do. */
#include "regress/unit/mailbox/imap_fixture.h"

#include <sys/stat.h>

/* c selects nothing: it only appends. */
static struct imap *a, *b, *c;

static void
begin(void)
{
	a = imap_new(store, NULL, NULL);
	b = imap_new(store, NULL, NULL);
	c = imap_new(store, NULL, NULL);
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
}

static void
end(void)
{
	imap_free(a);
	imap_free(b);
	imap_free(c);
}

/* What a session says by itself. */
static void
hear(struct imap *s, const char *want)
{
	struct evbuffer *out = evbuffer_new();

	while (imap_run(s, 0))
		;
	evbuffer_add_buffer(out, imap_output(s));
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

static void
quiet(struct imap *s, const char *in)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, in, strlen(in), 100000, out);
	evbuffer_free(out);
}

static void
selected_dialogue(size_t step)
{
	begin();
	append(c, step, "INBOX", "", M1);
	quiet(b, "a SELECT INBOX\r\n");
	quiet(a, "a SELECT INBOX\r\n");
	/* Nothing is told between commands before. */
	append(c, step, "INBOX", "", M2);
	hear(a, "");
	say(a, step,
	    "b NOTIFY SET (selected (MessageNew (uid body.peek[header.fields "
	    "(\"Subject\")]) MessageExpunge FlagChange))\r\n",
	    "* 2 EXISTS\r\n* # RECENT\r\nb OK NOTIFY completed\r\n");
	append(c, step, "INBOX", "", M2);
	hear(a, "* 3 EXISTS\r\n* # RECENT\r\n"
		"* 3 FETCH (UID 3 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: "
		"two\r\n\r\n)\r\n");
	quiet(b, "c STORE 1 +FLAGS (\\Flagged)\r\n");
	hear(a, "* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\n");
	quiet(b, "c STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n");
	hear(a, "* 1 EXPUNGE\r\n");
	/* What it appends itself is not fetched. */
	say(a, step, "c APPEND INBOX {4+}\r\nX: y\r\n",
	    "* 3 EXISTS\r\n* # RECENT\r\nc OK [APPENDUID # 4] APPEND completed\r\n");
	hear(a, "");
	/* Several at once; what is wrong does not change what is on. */
	say(a, step, "d NOTIFY SET (selected (FlagChange))\r\n",
	    "d BAD FlagChange needs MessageNew and MessageExpunge\r\n");
	say(a, step, "d NOTIFY SET (selected (MessageNew))\r\n",
	    "d BAD MessageNew and MessageExpunge go together\r\n");
	say(a, step, "d NOTIFY SET (selected (MailboxName))\r\n",
	    "d BAD Not an event of the selected mailbox\r\n");
	say(a, step,
	    "d NOTIFY SET (selected (MessageNew MessageExpunge)) (selected-delayed "
	    "NONE)\r\n",
	    "d BAD The selected mailbox twice\r\n");
	say(a, step,
	    "d NOTIFY SET (selected (MessageNew MessageExpunge AnnotationChange))\r\n",
	    "d NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "
	    "SubscriptionChange MailboxMetadataChange ServerMetadataChange)] "
	    "Unsupported event\r\n");
	say(a, step, "d NOTIFY SET (personal (MessageNew (uid) MessageExpunge))\r\n",
	    "d BAD FETCH items are for the selected mailbox only\r\n");
	say(a, step, "d NOTIFY SET (subtree-one x NONE)\r\n",
	    "d BAD Unknown kind of mailboxes\r\n");
	say(a, step, "d NOTIFY SET ()\r\n", "d BAD Atom expected\r\n");
	say(a, step,
	    "d NOTIFY SET (SELECTED (MessageNew (UID) MessageNew (UID) "
	    "MessageExpunge))\r\n",
	    "d BAD FETCH items twice\r\n");
	append(c, step, "INBOX", "", M2);
	append(c, step, "INBOX", "", M2);
	hear(a, "* 5 EXISTS\r\n* # RECENT\r\n"
		"* 4 FETCH (UID 5 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: "
		"two\r\n\r\n)\r\n"
		"* 5 FETCH (UID 6 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: "
		"two\r\n\r\n)\r\n");
	/* As the examples of the RFC have it, and the fetch sets no flag. */
	say(a, step,
	    "e NOTIFY SET (selected MessageNew (uid body[text]) MessageExpunge)\r\n",
	    "e OK NOTIFY completed\r\n");
	append(c, step, "INBOX", "", M2);
	hear(a, "* 6 EXISTS\r\n* # RECENT\r\n"
		"* 6 FETCH (UID 7 BODY[TEXT] {8}\r\nsecond\r\n)\r\n");
	/* No flags were asked for, not even in a command. */
	quiet(b, "c STORE 2 +FLAGS (\\Flagged)\r\n");
	hear(a, "");
	say(a, step, "f NOOP\r\n", "f OK NOOP completed\r\n");
	/* In IDLE the same. */
	say(a, step, "g IDLE\r\n", "+ idling\r\n");
	quiet(b, "c STORE 2 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n");
	hear(a, "* 2 EXPUNGE\r\n* # RECENT\r\n");
	append(c, step, "INBOX", "", M2);
	hear(a, "* 6 EXISTS\r\n* # RECENT\r\n"
		"* 6 FETCH (UID 8 BODY[TEXT] {8}\r\nsecond\r\n)\r\n");
	say(a, step, "DONE\r\n", "g OK IDLE completed\r\n");
	end();
}

static void
test_selected(void **state)
{
	with_steps(selected_dialogue);
}

static void
delayed_dialogue(size_t step)
{
	begin();
	append(c, step, "INBOX", "", M1);
	append(c, step, "INBOX", "", M2);
	append(c, step, "INBOX", "", M2);
	quiet(b, "a SELECT INBOX\r\n");
	quiet(a, "a ENABLE QRESYNC\r\nb SELECT INBOX\r\n");
	say(a, step,
	    "b NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))\r\n",
	    "b OK NOTIFY completed\r\n");
	quiet(b, "c STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n");
	append(c, step, "INBOX", "", M2);
	quiet(b, "c STORE 1 +FLAGS (\\Seen)\r\n");
	hear(a, "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (#))\r\n"
		"* 4 EXISTS\r\n* # RECENT\r\n");
	say(a, step, "c FETCH 2 UID\r\n",
	    "* 2 FETCH (UID 2)\r\nc OK FETCH completed\r\n");
	say(a, step, "d NOOP\r\n", "* VANISHED 1\r\nd OK NOOP completed\r\n");
	/* NONE: nothing, but for the results of commands. */
	say(a, step, "e NOTIFY NONE\r\n", "e OK NOTIFY completed\r\n");
	append(c, step, "INBOX", "", M2);
	quiet(b, "c STORE 1 +FLAGS (\\Deleted)\r\n");
	hear(a, "");
	say(a, step, "f NOOP\r\n", "f OK NOOP completed\r\n");
	say(a, step, "g EXPUNGE\r\n",
	    "* VANISHED 2\r\ng OK [HIGHESTMODSEQ #] EXPUNGE completed\r\n");
	say(a, step, "h NOTIFY SET (selected (MessageNew MessageExpunge))\r\n",
	    "* 3 EXISTS\r\n* # RECENT\r\nh OK NOTIFY completed\r\n");
	end();
}

static void
test_delayed(void **state)
{
	with_steps(delayed_dialogue);
}

static void
others_dialogue(size_t step)
{
	begin();
	quiet(b, "a CREATE one\r\nb CREATE one/two\r\nc CREATE three\r\nd SUBSCRIBE "
		 "three\r\n");
	append(c, step, "one", "", M1);
	say(a, step,
	    "a NOTIFY SET STATUS (subtree one (MessageNew MessageExpunge)) (mailboxes "
	    "(INBOX none) (MessageNew MessageExpunge FlagChange))\r\n",
	    "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY # HIGHESTMODSEQ #)\r\n"
	    "* STATUS one (MESSAGES 1 UIDNEXT 2 UIDVALIDITY #)\r\n"
	    "* STATUS one/two (MESSAGES 0 UIDNEXT 1 UIDVALIDITY #)\r\n"
	    "a OK NOTIFY completed\r\n");
	append(c, step, "one/two", "", M1);
	append(c, step, "one/two", "", M1);
	append(c, step, "three", "", M1);
	hear(a, "* STATUS one/two (MESSAGES 2 UIDNEXT 3)\r\n");
	/* Its own doing is no news. */
	append(a, step, "one/two", "", M1);
	hear(a, "");
	/* Flags: seen ones count, others only with modification sequences. */
	append(c, step, "INBOX", "", M1);
	hear(a, "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)\r\n");
	quiet(b, "a SELECT INBOX\r\nc STORE 1 +FLAGS (\\Flagged)\r\n");
	hear(a, "");
	quiet(b, "c STORE 1 +FLAGS (\\Seen)\r\n");
	hear(a, "* STATUS INBOX (UIDVALIDITY # UNSEEN 0)\r\n");
	quiet(a, "b ENABLE CONDSTORE\r\n");
	quiet(b, "c STORE 1 -FLAGS (\\Flagged)\r\n");
	hear(a, "* STATUS INBOX (UIDVALIDITY # HIGHESTMODSEQ #)\r\n");
	quiet(b, "c STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n");
	hear(
	    a, "* STATUS INBOX (MESSAGES 0 UIDNEXT 2 UIDVALIDITY # HIGHESTMODSEQ #)\r\n");
	/* The selected one is not among the others, and nothing of it was asked for. */
	quiet(a, "c SELECT INBOX\r\n");
	append(c, step, "INBOX", "", M1);
	hear(a, "");
	say(a, step, "d UNSELECT\r\n", "d OK UNSELECT completed\r\n");
	append(c, step, "INBOX", "", M1);
	hear(a, "* STATUS INBOX (MESSAGES 2 UIDNEXT 4 HIGHESTMODSEQ #)\r\n");
	/* NONE by name takes away. */
	say(a, step,
	    "e NOTIFY SET (personal (MessageNew MessageExpunge)) (mailboxes INBOX "
	    "NONE)\r\n",
	    "e OK NOTIFY completed\r\n");
	append(c, step, "INBOX", "", M1);
	append(c, step, "three", "", M1);
	hear(a, "* STATUS three (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ #)\r\n");
	/* Subscribed ones are looked up anew. */
	say(a, step, "f NOTIFY SET STATUS (subscribed (MessageNew MessageExpunge))\r\n",
	    "* STATUS three (MESSAGES 2 UIDNEXT 3 UIDVALIDITY #)\r\nf OK NOTIFY "
	    "completed\r\n");
	quiet(b, "d SUBSCRIBE one\r\ne UNSUBSCRIBE three\r\n");
	append(c, step, "one", "", M1);
	append(c, step, "three", "", M1);
	hear(a, "* STATUS one (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ #)\r\n");
	end();
}

static void
test_others(void **state)
{
	with_steps(others_dialogue);
}

static void
names_dialogue(size_t step)
{
	begin();
	say(a, step,
	    "a NOTIFY SET (personal (MailboxName SubscriptionChange "
	    "MailboxMetadataChange ServerMetadataChange))\r\n",
	    "a OK NOTIFY completed\r\n");
	quiet(b, "a CREATE box/sub\r\n");
	hear(a, "* LIST (\\HasChildren) \"/\" box\r\n"
		"* LIST (\\HasNoChildren) \"/\" box/sub\r\n"
		"* LIST (\\HasChildren) \"/\" box\r\n");
	quiet(b, "a RENAME box b\303\266x\r\n"); /* not UTF-7: refused */
	hear(a, "");
	quiet(b, "a RENAME box case\r\n");
	hear(a, "* LIST (\\HasChildren) \"/\" case (\"OLDNAME\" (box))\r\n");
	quiet(b, "a SUBSCRIBE case\r\nb SUBSCRIBE nowhere\r\nc UNSUBSCRIBE case\r\n");
	hear(a, "* LIST (\\HasChildren) \"/\" case\r\n"
		"* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" nowhere\r\n"
		"* LIST (\\HasChildren) \"/\" case\r\n");
	quiet(b, "a SETMETADATA INBOX (/private/comment \"x\" /shared/comment NIL)\r\n"
		 "b SETMETADATA \"\" (/private/comment \"x\")\r\n");
	hear(a, "* METADATA INBOX /private/comment /shared/comment\r\n"
		"* METADATA \"\" /private/comment\r\n");
	quiet(b, "a DELETE case/sub\r\n");
	hear(a, "* LIST (\\NonExistent \\HasNoChildren) \"/\" case/sub\r\n"
		"* LIST (\\HasNoChildren) \"/\" case\r\n");
	quiet(b, "a RENAME INBOX old\r\n");
	hear(a, "* LIST (\\HasNoChildren) \"/\" old\r\n");
	/* Its own are no news. */
	quiet(a, "b CREATE mine\r\nc SUBSCRIBE mine\r\nd DELETE mine\r\n");
	hear(a, "");
	/* Only what the groups name. */
	say(a, step, "b NOTIFY SET (subtree old (MailboxName))\r\n",
	    "b OK NOTIFY completed\r\n");
	quiet(b, "a CREATE elsewhere\r\nb CREATE old/x\r\nc RENAME old/x away\r\n"
		 "d SETMETADATA \"\" (/private/comment \"y\")\r\n");
	hear(a, "* LIST (\\NonExistent \\HasNoChildren) \"/\" old/x\r\n"
		"* LIST (\\HasNoChildren) \"/\" old\r\n"
		"* LIST (\\HasNoChildren) \"/\" away (\"OLDNAME\" (old/x))\r\n");
	end();
}

static void
test_names(void **state)
{
	with_steps(names_dialogue);
}

static void
put_file(const char *sub, const char *name)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/Maildir/%s/%s", dir, sub, name);
	assert_non_null(f = fopen(path, "w"));
	fputs(M1, f);
	fclose(f);
}

static void
note_name(const char *name, void *arg)
{
	strcat(arg, name[0] == '\0' ? "<list>" : name);
	strcat(arg, " ");
}

/* What other programs do is found when a watch says so. */
static void
test_outside(void **state)
{
	char path[200], names[500] = "";

	begin();
	quiet(b, "a CREATE one\r\n");
	assert_int_equal(imap_watched(a), 0);
	quiet(a, "a SELECT INBOX\r\n"
		 "b NOTIFY SET (selected (MessageNew (flags) MessageExpunge)) (personal "
		 "(MessageNew MessageExpunge MailboxName))\r\n");
	assert_int_not_equal(imap_watched(a), 0);
	imap_watch_each(a, note_name, names);
	assert_string_equal(names, "INBOX <list> INBOX one ");
	put_file(".one/new", "1.x");
	put_file("new", "2.x");
	snprintf(path, sizeof(path), "%s/Maildir/.two", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	imap_poll(a, true);
	hear(a, "* 1 EXISTS\r\n* # RECENT\r\n"
		"* LIST (\\HasNoChildren) \"/\" two\r\n"
		"* STATUS one (MESSAGES 1 UIDNEXT 2)\r\n"
		"* 1 FETCH (FLAGS (\\Recent))\r\n");
	imap_poll(a, true);
	hear(a, "");
	end();
}

static void
test_overflow(void **state)
{
	char line[100];

	begin();
	quiet(a, "a SELECT INBOX\r\n"
		 "b NOTIFY SET (selected (MessageNew MessageExpunge)) (personal "
		 "(SubscriptionChange))\r\n");
	for (int i = 0; i < 1001; i++) {
		snprintf(line, sizeof(line), "a SUBSCRIBE box%d\r\n", i);
		quiet(b, line);
	}
	hear(a, "* OK [NOTIFICATIONOVERFLOW] Too much happens, NOTIFY is off now\r\n");
	append(c, 1000, "INBOX", "", M1);
	quiet(b, "a SUBSCRIBE another\r\n");
	hear(a, "");
	end();
}

/* Contexts say what is to be fetched of what comes in, and both in one response. */
static void
context_dialogue(size_t step)
{
	begin();
	append(c, step, "INBOX", "", M1);
	quiet(b, "a SELECT INBOX\r\n");
	quiet(a, "a SELECT INBOX\r\n");
	say(a, step,
	    "b UID SEARCH RETURN (COUNT UPDATE (UID RFC822.SIZE)) SUBJECT \"two\"\r\n",
	    "* ESEARCH (TAG \"b\") UID COUNT 0\r\nb OK UID SEARCH completed\r\n");
	append(c, step, "INBOX", "", M2);
	say(a, step, "c NOOP\r\n",
	    "* 2 EXISTS\r\n* # RECENT\r\n* ESEARCH (TAG \"b\") UID ADDTO (0 2)\r\n"
	    "c OK NOOP completed\r\n* 2 FETCH (UID 2 RFC822.SIZE 24)\r\n");
	say(a, step,
	    "d NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge "
	    "FlagChange))\r\n",
	    "d OK NOTIFY completed\r\n");
	append(c, step, "INBOX", "", M1);
	append(c, step, "INBOX", "", M2);
	hear(a, "* 4 EXISTS\r\n* # RECENT\r\n* ESEARCH (TAG \"b\") UID ADDTO (0 4)\r\n"
		"* 3 FETCH (UID 3 FLAGS (\\Recent))\r\n"
		"* 4 FETCH (UID 4 FLAGS (\\Recent) RFC822.SIZE 24)\r\n");
	say(a, step, "e SEARCH RETURN (UPDATE (BODY[)) ALL\r\n",
	    "e BAD Unknown section\r\n");
	end();
}

static void
test_context(void **state)
{
	with_steps(context_dialogue);
}

static void
sort_context_dialogue(size_t step)
{
	begin();
	append(c, step, "INBOX", "", "Subject: b\r\n\r\n");
	append(c, step, "INBOX", "(\\Flagged) ", "Subject: d\r\n\r\n");
	append(c, step, "INBOX", "", "Subject: a\r\n\r\n");
	quiet(b, "a SELECT INBOX\r\n");
	quiet(a, "a SELECT INBOX\r\n");
	say(a, step, "b UID SORT RETURN (ALL UPDATE) (SUBJECT) UTF-8 UNDELETED\r\n",
	    "* ESEARCH (TAG \"b\") UID ALL 3,1:2\r\nb OK UID SORT completed\r\n");
	append(c, step, "INBOX", "", "Subject: c\r\n\r\n");
	append(c, step, "INBOX", "", "Subject: e\r\n\r\n");
	append(c, step, "INBOX", "", "Subject: A\r\n\r\n");
	say(a, step, "c NOOP\r\n",
	    "* 6 EXISTS\r\n* # RECENT\r\n"
	    "* ESEARCH (TAG \"b\") UID ADDTO (3 4 5 5 2 6)\r\nc OK NOOP completed\r\n");
	/* a A b c d e: 3 6 1 4 2 5 */
	quiet(b, "a NOOP\r\nc UID STORE 6,2 +FLAGS (\\Deleted)\r\n");
	say(a, step, "c NOOP\r\n",
	    "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Deleted))\r\n"
	    "* 6 FETCH (UID 6 FLAGS (\\Deleted \\Recent))\r\n"
	    "* ESEARCH (TAG \"b\") UID REMOVEFROM (5 2 2 6)\r\nc OK NOOP completed\r\n");
	/* a b c e: 3 1 4 5 */
	quiet(b, "c UID STORE 6 -FLAGS (\\Deleted)\r\nd UID STORE 3 +FLAGS "
		 "(\\Deleted)\r\n");
	say(a, step, "c NOOP\r\n",
	    "* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\n"
	    "* 6 FETCH (UID 6 FLAGS (\\Recent))\r\n"
	    "* ESEARCH (TAG \"b\") UID REMOVEFROM (1 3)\r\n"
	    "* ESEARCH (TAG \"b\") UID ADDTO (1 6)\r\nc OK NOOP completed\r\n");
	/* A b c e: 6 1 4 5; gone before it is told of */
	quiet(b, "c UID STORE 4,5 +FLAGS (\\Deleted)\r\nd UID EXPUNGE 4,5\r\n");
	say(a, step, "c NOOP\r\n",
	    "* ESEARCH (TAG \"b\") UID REMOVEFROM (3 4 3 5)\r\n"
	    "* 4 EXPUNGE\r\n* 4 EXPUNGE\r\n* # RECENT\r\nc OK NOOP completed\r\n");
	say(a, step, "d CANCELUPDATE \"b\"\r\n", "d OK CANCELUPDATE completed\r\n");
	append(c, step, "INBOX", "", "Subject: c\r\n\r\n");
	say(a, step, "c NOOP\r\n", "* 5 EXISTS\r\n* # RECENT\r\nc OK NOOP completed\r\n");
	/* By sequence numbers, and backwards. */
	say(a, step, "b SORT RETURN (UPDATE) (REVERSE SUBJECT) UTF-8 ALL\r\n",
	    "* ESEARCH (TAG \"b\") ALL 2,5,1,3:4\r\nb OK SORT completed\r\n");
	append(c, step, "INBOX", "", "Subject: cc\r\n\r\n");
	say(a, step, "c NOOP\r\n",
	    "* 6 EXISTS\r\n* # RECENT\r\n* ESEARCH (TAG \"b\") ADDTO (2 6)\r\n"
	    "c OK NOOP completed\r\n");
	end();
}

static void
test_sort_context(void **state)
{
	with_steps(sort_context_dialogue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_selected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delayed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_context, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sort_context, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

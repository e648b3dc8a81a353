/* SPDX-License-Identifier: ISC */
/* Everything that CAPABILITY announces has an exercise here, and does what it says. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "common/imap/imap_capability.h"

static const struct {
	const char *name;
	const char *in;   /* on INBOX with two messages, selected */
	const char *want; /* somewhere in the answer */
} exercises[] = {
	{ "IMAP4rev1", "a CHECK\r\nb LSUB \"\" *\r\n", "b OK LSUB" },
	{ "IMAP4rev2", "a ENABLE IMAP4rev2\r\nb SEARCH ALL\r\n",
	    "* ENABLED IMAP4rev2\r\na OK ENABLE completed\r\n* ESEARCH (TAG \"b\") ALL "
	    "1:2" },
	{ "LITERAL+", "a STATUS {5+}\r\nINBOX (MESSAGES)\r\n",
	    "* STATUS INBOX (MESSAGES 2)" },
	{ "ID", "a ID NIL\r\n", "* ID (\"name\" \"fife\")" },
	{ "ENABLE", "a ENABLE CONDSTORE\r\n", "* ENABLED CONDSTORE" },
	{ "IDLE", "a IDLE\r\nDONE\r\n", "+ idling\r\na OK IDLE completed" },
	{ "NAMESPACE", "a NAMESPACE\r\n", "* NAMESPACE ((\"\" \"/\")) " },
	{ "UIDPLUS", "a COPY 1 x\r\nb UID EXPUNGE 1\r\n", "a OK [COPYUID " },
	{ "MOVE", "a MOVE 1 x\r\n", "] Moved\r\n* 1 EXPUNGE\r\n* 1 RECENT\r\na OK MOVE" },
	{ "ESEARCH", "a SEARCH RETURN (MIN MAX COUNT) ALL\r\n",
	    "* ESEARCH (TAG \"a\") MIN 1 MAX 2 COUNT 2" },
	{ "UNSELECT", "a UNSELECT\r\nb CHECK\r\n",
	    "a OK UNSELECT completed\r\nb BAD No mailbox selected" },
	{ "CHILDREN", "a LIST \"\" %\r\n", "* LIST (\\HasChildren) \"/\" p" },
	{ "SPECIAL-USE", "a LIST (SPECIAL-USE) \"\" *\r\n",
	    "* LIST (\\HasNoChildren \\Junk) \"/\" spam" },
	{ "CREATE-SPECIAL-USE", "a CREATE t (USE (\\Trash))\r\nb LIST \"\" t\r\n",
	    "\\Trash) \"/\" t" },
	{ "STATUS=SIZE", "a STATUS INBOX (SIZE)\r\n", "* STATUS INBOX (SIZE " },
	{ "APPENDLIMIT=67108864",
	    "a STATUS INBOX (APPENDLIMIT)\r\nb APPEND INBOX {67108865}\r\n",
	    "APPENDLIMIT 67108864)\r\na OK STATUS completed\r\nb NO [TOOBIG] " },
	{ "CONDSTORE", "a FETCH 1 (MODSEQ)\r\nb STORE 1 (UNCHANGEDSINCE 1) FLAGS ()\r\n",
	    "b OK [MODIFIED 1]" },
	{ "QRESYNC",
	    "a ENABLE QRESYNC\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\nd UID "
	    "FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)\r\n",
	    "* VANISHED (EARLIER) 1" },
	{ "LIST-EXTENDED", "a LIST (SUBSCRIBED) \"\" (*) RETURN (CHILDREN)\r\n",
	    "a OK LIST" },
	{ "LIST-STATUS", "a LIST \"\" INBOX RETURN (STATUS (MESSAGES))\r\n",
	    "* STATUS INBOX (MESSAGES 2)" },
	{ "SEARCHRES", "a SEARCH RETURN (SAVE) 2\r\nb FETCH $ UID\r\n",
	    "* 2 FETCH (UID 2)" },
	{ "WITHIN", "a SEARCH YOUNGER 1000\r\n", "* SEARCH 1 2" },
	{ "PARTIAL", "a SEARCH RETURN (PARTIAL -1:-1) ALL\r\n", "PARTIAL (-1:-1 2)" },
	{ "SORT", "a SORT (REVERSE SUBJECT) UTF-8 ALL\r\n", "* SORT 2 1" },
	{ "SORT=DISPLAY", "a SORT (DISPLAYFROM) UTF-8 ALL\r\n", "* SORT 2 1" },
	{ "ESORT", "a SORT RETURN (COUNT) (SIZE) UTF-8 ALL\r\n",
	    "* ESEARCH (TAG \"a\") COUNT 2" },
	{ "THREAD=ORDEREDSUBJECT", "a THREAD ORDEREDSUBJECT UTF-8 ALL\r\n",
	    "* THREAD (1)(2)" },
	{ "THREAD=REFERENCES", "a THREAD REFERENCES UTF-8 ALL\r\n", "* THREAD (1)(2)" },
	{ "THREAD=REFS", "a THREAD REFS UTF-8 ALL\r\n", "* THREAD (1)(2)" },
	{ "OBJECTID", "a FETCH 1 (EMAILID THREADID)\r\nb STATUS INBOX (MAILBOXID)\r\n",
	    "* STATUS INBOX (MAILBOXID (F" },
	{ "SAVEDATE", "a FETCH 1 SAVEDATE\r\n", "* 1 FETCH (SAVEDATE \"" },
	{ "PREVIEW", "a FETCH 1 PREVIEW\r\n", "* 1 FETCH (PREVIEW \"Hello Joe\")" },
	{ "UIDONLY", "a ENABLE UIDONLY\r\nb FETCH 1 UID\r\nc UID FETCH 1 FLAGS\r\n",
	    "b BAD [UIDREQUIRED] " },
	{ "MULTIAPPEND", "a APPEND x {1+}\r\na {1+}\r\nb\r\n", "1:2] APPEND completed" },
	{ "CATENATE", "a APPEND x CATENATE (URL \"/INBOX/;UID=1\" TEXT {1+}\r\na)\r\n",
	    "a OK [APPENDUID " },
	{ "REPLACE", "a REPLACE 1 INBOX {1+}\r\na\r\n", "* 1 EXPUNGE" },
	{ "BINARY", "a FETCH 1 BINARY.SIZE[1]\r\n", "BINARY.SIZE[1] 11)" },
	{ "UTF8=ACCEPT", "a ENABLE UTF8=ACCEPT\r\nb CREATE \"\303\274\"\r\n",
	    "b OK CREATE completed" },
	{ "COMPRESS=DEFLATE", "a COMPRESS DEFLATE\r\n", "a OK DEFLATE active" },
	{ "QUOTA", "a GETQUOTA \"\"\r\n", "* QUOTA \"\" (" },
	{ "QUOTA=RES-STORAGE", "a GETQUOTAROOT INBOX\r\n", "(STORAGE " },
	{ "QUOTA=RES-MESSAGE", "a GETQUOTAROOT INBOX\r\n", " MESSAGE 2 50)" },
	/* imap_quota_test.c has who answers. */
	{ "QUOTASET", "a SETQUOTA user/bob (STORAGE 1)\r\n", "a NO [UNAVAILABLE] " },
	{ "I18NLEVEL=1", "a SEARCH CHARSET UTF-8 SUBJECT \"ON\303\211\"\r\n",
	    "* SEARCH\r\n" },
	{ "METADATA",
	    "a SETMETADATA INBOX (/private/comment \"c\")\r\nb GETMETADATA INBOX "
	    "/private/comment\r\n",
	    "* METADATA INBOX (/private/comment \"c\")" },
	{ "INPROGRESS", "a SEARCH TEXT x\r\n", "a OK SEARCH completed" },
	{ "CONTEXT=SEARCH",
	    "a SEARCH RETURN (UPDATE COUNT) SEEN\r\nb STORE 2 +FLAGS.SILENT "
	    "(\\Seen)\r\n",
	    "* ESEARCH (TAG \"a\") ADDTO (0 2)" },
	{ "CONTEXT=SORT",
	    "a SORT RETURN (UPDATE COUNT) (SIZE) UTF-8 SEEN\r\nb STORE 2 +FLAGS.SILENT "
	    "(\\Seen)\r\n",
	    "* ESEARCH (TAG \"a\") ADDTO (1 2)" },
	{ "NOTIFY",
	    "a NOTIFY SET STATUS (mailboxes spam (MessageNew MessageExpunge))\r\n",
	    "* STATUS spam (MESSAGES 0 UIDNEXT 1 " },
	{ "MULTISEARCH", "a ESEARCH IN (personal) SUBJECT one\r\n",
	    "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY " },
	{ "FILTERS",
	    "a SETMETADATA \"\" (/private/filters/values/f \"SUBJECT two\")\r\nb SEARCH "
	    "FILTER f\r\n",
	    "* SEARCH 2\r\n" },
	{ "LIST-METADATA", "a LIST \"\" INBOX RETURN (METADATA (/shared/comment))\r\n",
	    "* METADATA INBOX (/shared/comment NIL)" },
	{ "SEARCH=FUZZY", "a SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT helo\r\n",
	    "RELEVANCY (" },
	{ "UNAUTHENTICATE", "a UNAUTHENTICATE\r\n", "a OK UNAUTHENTICATE completed" },
	{ "URLAUTH", "a RESETKEY INBOX INTERNAL\r\n",
	    "a OK [URLMECH INTERNAL] RESETKEY completed" },
	{ "URLAUTH=BINARY", "a URLFETCH (x BINARY BODYPARTSTRUCTURE)\r\n",
	    "* URLFETCH \"x\" NIL\r\na OK URLFETCH completed" },
	{ "MESSAGELIMIT=1", "a FETCH 1:2 UID\r\nb SEARCH UIDAFTER 1\r\n",
	    "* 2 FETCH (UID 2)\r\na OK [MESSAGELIMIT 1 2] FETCH completed\r\n* SEARCH "
	    "2\r\nb OK SEARCH" },
	{ "SAVELIMIT=1", "a FETCH 1:2 UID\r\nb COPY 1:2 x\r\n",
	    "a OK FETCH completed\r\nb NO [MESSAGELIMIT 1 2] " },
	{ "ACL", "a MYRIGHTS INBOX\r\nb GETACL INBOX\r\n", "* MYRIGHTS INBOX " },
	{ "RIGHTS=kxte", "a MYRIGHTS INBOX\r\n", "kx" },
	{ "LIST-MYRIGHTS", "a LIST \"\" INBOX RETURN (MYRIGHTS)\r\n",
	    "* MYRIGHTS INBOX " },
};

static const char *
find(const char *name, size_t len, const char **want)
{
	for (size_t i = 0; i < sizeof(exercises) / sizeof(exercises[0]); i++)
		if (strlen(exercises[i].name) == len &&
		    memcmp(exercises[i].name, name, len) == 0) {
			*want = exercises[i].want;
			return exercises[i].in;
		}
	return NULL;
}

static void
exercise(const char *name, const char *in, const char *want, size_t step,
    const struct imap_offer *offer)
{
	struct evbuffer *out = evbuffer_new(), *drop = evbuffer_new();
	struct imap *s = imap_new(store, NULL, NULL);
	static const char prepare[] =
	    "a CREATE x\r\nb CREATE spam (USE (\\Junk))\r\nc CREATE p/q\r\nd SELECT "
	    "INBOX\r\n";
	const char *got;

	store_set_quota(store, 1000000, 50);
	append(s, 1000, "INBOX", "", M1);
	append(s, 1000, "INBOX", "", M2);
	imap_set_offer(s, offer);
	drive(s, prepare, sizeof(prepare) - 1, 1000, drop);
	drive(s, in, strlen(in), step, out);
	evbuffer_add(out, "", 1);
	got = (const char *)evbuffer_pullup(out, -1);
	if (strstr(got, want) == NULL)
		fail_msg("%s: got:\n%s\nwanted in it:\n%s", name, got, want);
	evbuffer_free(out);
	evbuffer_free(drop);
	imap_free(s);
}

/* All of these words. */
static void
walk(const char *all, const struct imap_offer *offer)
{
	static const size_t steps[] = { 1, 100000 };

	for (const char *p = all; *p != '\0';) {
		size_t len = strcspn(p, " ");
		const char *want, *in = find(p, len, &want);
		char name[80];

		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		if (in == NULL)
			fail_msg("%s is announced, and nothing tries it", name);
		for (size_t i = 0; i < 2; i++) {
			exercise(name, in, want, steps[i], offer);
			assert_int_equal(teardown(NULL), 0);
			assert_int_equal(setup(NULL), 0);
		}
		p += len;
		p += *p == ' ';
	}
}

static void
test_all(void **state)
{
	walk(IMAP_CAPABILITY_LOGGED_IN, &(struct imap_offer){ .quotaset = false });
}

/* What only some installations or sessions have. */
static void
test_offers(void **state)
{
	static const struct imap_offer offers[] = { { .message_limit = 1 },
		{ .save_limit = 1 }, { .quotaset = true } };
	char more[IMAP_OFFER_MAX];

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		struct imap *s = imap_new(store, NULL, NULL);
		char want[sizeof(IMAP_CAPABILITY_LOGGED_IN) + IMAP_OFFER_MAX + 80];

		walk(imap_offer_print(&offers[i], more) + 1, &offers[i]);
		imap_set_offer(s, &offers[i]);
		snprintf(want, sizeof(want),
		    "* CAPABILITY " IMAP_CAPABILITY_LOGGED_IN
		    "%s\r\na OK CAPABILITY completed\r\n",
		    more);
		say(s, 7, "a CAPABILITY\r\n", want);
		imap_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

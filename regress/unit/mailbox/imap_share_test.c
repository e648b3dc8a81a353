/* SPDX-License-Identifier: ISC */
/*
 * Another user's mailbox in a session: with the owner's machine at the other end of the
 * link, and with one that says what it likes (imap_share.h).
 */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/imap_share.h"

#define F "\"Other Users/alice@x.test/f\""
/* URLs of another user's mailbox cannot be made. */
#define THEIR_UIDS                                                                   \
	"* OK [UIDVALIDITY #] UIDs valid\r\n* OK [UIDNEXT #] Predicted next UID\r\n" \
	"* OK [HIGHESTMODSEQ #] Highest\r\n* OK [MAILBOXID @\r\n"

static char other_dir[64];
static int other_fd = -1;
static struct store *other; /* bob's own */

static struct {
	struct imap *bob, *guest; /* guest: alice's machine */
	struct imap_link *link;
	bool hostile, refuse, asked_owners, told;
	struct evbuffer *said; /* by bob to a hostile one */
	const char *owner;
} far;

static int
share_setup(void **state)
{
	if (setup(state) == -1)
		return -1;
	strcpy(other_dir, "/tmp/fife-imap-XXXXXX");
	if (mkdtemp(other_dir) == NULL ||
	    (other_fd = open(other_dir, O_RDONLY | O_DIRECTORY)) == -1)
		return -1;
	return store_open(other_fd, 0, &other) == STORE_OK ? 0 : -1;
}

static int
share_teardown(void **state)
{
	store_close(other);
	close(other_fd);
	(void)nftw(other_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return teardown(state);
}

/* The clock of links, which the test sets on. */
static int64_t later_ms;
int64_t __real_imap_share_now(void);
int64_t __wrap_imap_share_now(void);

int64_t
__wrap_imap_share_now(void)
{
	return __real_imap_share_now() + later_ms;
}

/* ---- the provider of links ---- */

static int
ask_owners(void *arg)
{
	far.asked_owners = true;
	return 0;
}

static int
open_link(void *arg, struct imap_link *l)
{
	if (far.link != NULL)
		return -1;
	far.link = l;
	return 0;
}

static void
close_link(void *arg, struct imap_link *l)
{
	if (far.link != l)
		return;
	imap_free(far.guest);
	far.guest = NULL;
	far.link = NULL;
}

static void
flush(void *arg, struct imap_link *l)
{
}

static int
more(void *arg, struct imap_link *l)
{
	return 0;
}

static int
tell(void *arg)
{
	far.told = true;
	return 0;
}

static void
forget(void *arg)
{
}

static const struct imap_share_ops ops = { ask_owners, open_link, close_link, flush, more,
	tell, forget };

static struct imap *
session(bool hostile)
{
	struct imap *s = imap_new(other, NULL, NULL);

	memset(&far, 0, sizeof(far));
	far.bob = s;
	far.hostile = hostile;
	far.owner = "alice@x.test";
	far.said = evbuffer_new();
	imap_set_owner(s, "bob@x.test");
	assert_int_equal(imap_set_share(s, &ops, NULL, "Other Users"), 0);
	return s;
}

static void
end(struct imap *s)
{
	imap_free(s);
	assert_null(far.link);
	assert_null(far.guest);
	evbuffer_free(far.said);
}

/* One round of what would come by sockets. */
static bool
pump(size_t step)
{
	uint8_t buf[4096];
	bool any = false;
	int n;

	if (far.asked_owners) {
		const char *owners[] = { far.owner };

		far.asked_owners = false;
		imap_share_owners(far.bob, owners, 1);
		return true;
	}
	if (far.told) {
		far.told = false;
		imap_share_told(far.bob);
		return true;
	}
	if (far.link == NULL)
		return false;
	if (far.link->state == IMAP_LINK_ASKED) {
		if (far.refuse) {
			imap_share_opened(far.link, true);
			return true;
		}
		if (!far.hostile) {
			far.guest = imap_new(store, NULL, NULL);
			assert_int_equal(imap_set_guest(far.guest,
					     "Other Users/alice@x.test", "bob@x.test\n"),
			    0);
			imap_set_owner(far.guest, "alice@x.test");
		}
		imap_share_opened(far.link, false);
		return true;
	}
	if (far.hostile) {
		any = evbuffer_get_length(far.link->out) > 0;
		evbuffer_add_buffer(far.said, far.link->out);
		return any;
	}
	if (far.guest == NULL)
		return false;
	while ((n = (int)evbuffer_copyout(
		    far.link->out, buf, step < sizeof(buf) ? step : sizeof(buf))) > 0 &&
	       imap_idle(far.guest) && !imap_ended(far.guest)) {
		size_t took = imap_input(far.guest, buf, (size_t)n);

		evbuffer_drain(far.link->out, took);
		any |= took > 0;
		while (imap_run(far.guest, 0))
			;
		if (took == 0)
			break;
	}
	while (imap_run(far.guest, 0))
		;
	if (evbuffer_get_length(imap_output(far.guest)) > 0) {
		any = true;
		evbuffer_remove_buffer(imap_output(far.guest), far.link->in,
		    step < 1000 ? step : SIZE_MAX / 4);
		imap_share_ready(far.link);
	}
	return any;
}

static void
settle(struct imap *s, size_t step, struct evbuffer *out)
{
	bool more_to_do;

	do {
		more_to_do = imap_run(s, 0);
		evbuffer_add_buffer(out, imap_output(s));
		more_to_do |= pump(step);
	} while (more_to_do);
	(void)imap_run(s, 0);
	evbuffer_add_buffer(out, imap_output(s));
}

static void
tells(struct imap *s, size_t step, const char *in, const char *want)
{
	struct evbuffer *out = evbuffer_new();
	size_t len = strlen(in), at = 0;

	do {
		size_t n = step < len - at ? step : len - at, took = 0;

		if (imap_idle(s) && n > 0)
			took = imap_input(s, (const uint8_t *)in + at, n);
		at += took;
		settle(s, step, out);
		if (took == 0 && !imap_idle(s))
			break;
	} while (at < len && !imap_ended(s));
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

/* What alice does in her own session. */
static void
alice(const char *in)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	imap_set_owner(s, "alice@x.test");
	drive(s, in, strlen(in), 100000, out);
	evbuffer_add(out, "", 1);
	assert_null(strstr((char *)evbuffer_pullup(out, -1), " NO "));
	assert_null(strstr((char *)evbuffer_pullup(out, -1), " BAD "));
	evbuffer_free(out);
	imap_free(s);
}

#define SELECTED                                                                    \
	FLAGS PERMANENT "* 1 EXISTS\r\n* 1 RECENT\r\n* OK [UNSEEN 1] First unseen " \
			"message\r\n" THEIR_UIDS

static void
served(size_t step)
{
	struct imap *s = session(false);

	alice("a CREATE f\r\nb SETACL f bob lrswite\r\nc APPEND f (\\Flagged) {12+}\r\n"
	      "Subject: x\r\n\r\nd CREATE g\r\ne SETACL g bob i\r\n");
	append(s, step, "INBOX", "", M2);
	tells(s, step, "a NAMESPACE\r\nb LIST \"\" *\r\n",
	    "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL\r\na OK @\r\n"
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/alice@x.test\"\r\n"
	    "* LIST (\\HasNoChildren) \"/\" " F "\r\nb OK @\r\n");
	tells(s, step, "a SELECT " F "\r\n", SELECTED "a OK [READ-WRITE] @\r\n");
	tells(s, step, "a FETCH 1 (FLAGS BODY.PEEK[])\r\nb SEARCH SUBJECT {1}\r\nx\r\n",
	    "* 1 FETCH (FLAGS (\\Flagged \\Recent) BODY[] {12}\r\nSubject: x\r\n)\r\na "
	    "OK "
	    "@\r\n+ Ready for literal\r\n* SEARCH 1\r\nb OK @\r\n");
	/* Both ways, and between folders of the one. */
	tells(s, step, "a COPY 1 INBOX\r\nb UID MOVE 1 INBOX\r\n",
	    "a OK [COPYUID # 1 2] @\r\n* OK [COPYUID # 1 3] Moved\r\n* 1 EXPUNGE\r\n* # "
	    "RECENT\r\nb OK "
	    "@\r\n");
	tells(s, step, "a SELECT INBOX\r\nb MOVE 1:2 " F "\r\n",
	    "* OK [CLOSED] @\r\n" FLAGS PERMANENT
	    "* 3 EXISTS\r\n* 3 RECENT\r\n* OK [UNSEEN 1] @\r\n" UIDS
	    "a OK [READ-WRITE] @\r\n* OK [COPYUID # 1:2 2:3] Moved\r\n* 1 EXPUNGE\r\n* 1 "
	    "EXPUNGE\r\n* # RECENT\r\nb OK @\r\n");
	tells(s, step,
	    "a APPEND " F " {3}\r\nabc\r\nb APPEND " F " {3+}\r\nabc {4+}\r\nabcd\r\n",
	    "+ Ready for message\r\na OK [APPENDUID # 4] @\r\nb OK [APPENDUID # 5:6] "
	    "@\r\n");
	/* What is refused, with and without waiting. */
	tells(s, step,
	    "a APPEND \"Other Users/alice@x.test/h\" {3}\r\nb APPEND \"Other "
	    "Users/alice@x.test/h\" {3+}\r\nabc\r\nc SELECT \"Other "
	    "Users/alice@x.test/g\"\r\n"
	    "d RENAME " F " mine\r\ne CREATE \"Other Users/alice@x.test\"\r\n",
	    "a NO [TRYCREATE] @\r\nb NO [TRYCREATE] @\r\n* OK [CLOSED] @\r\n"
	    "c NO [NOPERM] @\r\nd NO [CANNOT] @\r\ne NO [NONEXISTENT] @\r\n");
	tells(s, step, "a EXAMINE " F "\r\nb CLOSE\r\nc FETCH 1 (UID)\r\n",
	    FLAGS
	    "* OK [PERMANENTFLAGS ()] @\r\n* 5 EXISTS\r\n* 5 RECENT\r\n* OK [UNSEEN "
	    "1] @\r\n" THEIR_UIDS "a OK [READ-ONLY] @\r\nb OK @\r\nc BAD @\r\n");
	end(s);
}

static void
told(size_t step)
{
	struct imap *s = session(false);

	alice("a CREATE f\r\nb SETACL f bob lrs\r\nc APPEND f {3+}\r\nabc\r\n");
	/* What is enabled is enabled there; what is told of another's is not of one's
	 * own. */
	tells(s, step, "a ENABLE QRESYNC IMAP4rev2\r\nb SELECT " F "\r\n",
	    "* ENABLED QRESYNC IMAP4rev2\r\na OK @\r\n" FLAGS
	    "* OK [PERMANENTFLAGS (\\Seen)] @\r\n* 1 EXISTS\r\n" THEIR_UIDS
	    "* LIST () \"/\" " F "\r\nb OK [READ-WRITE] @\r\n");
	tells(s, step, "a IDLE\r\n", "+ idling\r\n");
	alice("a SELECT f\r\nb STORE 1 +FLAGS.SILENT (\\Deleted)\r\nc APPEND f "
	      "{3+}\r\nabc\r\n");
	tells(s, step, "",
	    "* 1 FETCH (UID 1 FLAGS (\\Deleted) MODSEQ (#))\r\n* 2 EXISTS\r\n");
	alice("a SELECT f\r\nb EXPUNGE\r\n");
	tells(s, step, "DONE\r\nb NOOP\r\n", "* VANISHED 1\r\na OK @\r\nb OK @\r\n");
	tells(s, step, "a SELECT INBOX\r\nb STATUS " F " (MESSAGES)\r\n",
	    "* OK [CLOSED] @\r\n" FLAGS PERMANENT "* 0 EXISTS\r\n" UIDS
	    "* LIST () \"/\" INBOX\r\na OK [READ-WRITE] @\r\n* STATUS " F
	    " (MESSAGES 1)\r\nb OK @\r\n");
	/* Revoked while it is selected, and in IDLE. */
	tells(s, step, "a EXAMINE " F "\r\n",
	    "* OK [CLOSED] @\r\n" FLAGS
	    "* OK [PERMANENTFLAGS ()] @\r\n* 1 EXISTS\r\n" THEIR_UIDS "* LIST () \"/\" " F
	    "\r\na OK [READ-ONLY] @\r\n");
	alice("a SETACL f bob l\r\n");
	tells(s, step, "a FETCH 1 (UID)\r\nb LIST \"\" f*\r\n",
	    "a NO [NOPERM] @\r\nb OK @\r\n");
	alice("a SETACL f bob lr\r\n");
	tells(s, step, "a EXAMINE " F "\r\nb IDLE\r\n",
	    FLAGS "* OK [PERMANENTFLAGS ()] @\r\n* 1 EXISTS\r\n" THEIR_UIDS
		  "* LIST () \"/\" " F "\r\na OK [READ-ONLY] @\r\n+ idling\r\n");
	alice("a DELETEACL f bob\r\n");
	tells(s, step, "", "* BYE [UNAVAILABLE] @\r\n");
	end(s);
}

/* NOTIFY reaches the other side, and ESEARCH what is selected there. */
static void
notify(size_t step)
{
	struct imap *s = session(false);

	alice("a CREATE f\r\nb SETACL f bob lris\r\nc APPEND f {3+}\r\nabc\r\n");
	tells(s, step,
	    "a NOTIFY SET (selected (MessageNew (uid) MessageExpunge FlagChange)) "
	    "(personal (MessageNew MessageExpunge))\r\n",
	    "a OK @\r\n");
	tells(s, step, "b EXAMINE " F "\r\n",
	    FLAGS "* OK [PERMANENTFLAGS ()] @\r\n* 1 EXISTS\r\n* 1 RECENT\r\n* OK "
		  "[UNSEEN 1] @\r\n" THEIR_UIDS "b OK [READ-ONLY] @\r\n");
	alice("a APPEND f {3+}\r\nabc\r\n");
	tells(s, step, "", "* 2 EXISTS\r\n* # RECENT\r\n* 2 FETCH (UID 2)\r\n");
	alice("a SELECT f\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n");
	tells(s, step, "", "* 1 EXPUNGE\r\n* # RECENT\r\n");
	tells(s, step, "c ESEARCH RETURN (COUNT) ALL\r\nd ESEARCH IN (selected) ALL\r\n",
	    "* ESEARCH (TAG \"c\" MAILBOX " F " UIDVALIDITY #) UID COUNT 1\r\nc OK @\r\n"
	    "* ESEARCH (TAG \"d\" MAILBOX " F " UIDVALIDITY #) UID ALL 2\r\nd OK @\r\n");
	tells(s, step, "e ESEARCH IN (personal) ALL\r\n", "e OK @\r\n");
	/* The owner's filters are not a guest's. */
	alice("a SETMETADATA \"\" (/private/filters/values/mine \"ALL\")\r\n");
	tells(s, step,
	    "e SEARCH FILTER mine\r\nf ESEARCH FILTER mine\r\ng SORT (SIZE) "
	    "UTF-8 FILTER mine\r\n",
	    "e NO [UNDEFINED-FILTER mine] @\r\nf NO [UNDEFINED-FILTER mine] @\r\n"
	    "g NO [UNDEFINED-FILTER mine] @\r\n");
	/* Another one while it is selected. */
	alice("a APPEND f {3+}\r\nabc\r\n");
	tells(s, step, "", "* 2 EXISTS\r\n* # RECENT\r\n* 2 FETCH (UID 3)\r\n");
	tells(s, step, "f NOTIFY NONE\r\n", "f OK @\r\n");
	alice("a APPEND f {3+}\r\nabc\r\n");
	tells(s, step, "g NOOP\r\n", "g OK @\r\n");
	tells(s, step, "h NOTIFY SET (selected (MessageNew MessageExpunge))\r\n",
	    "* 3 EXISTS\r\n* # RECENT\r\nh OK @\r\n");
	end(s);
}

static void
lost(size_t step)
{
	struct imap *s = session(false);

	alice("a CREATE f\r\nb SETACL f bob lri\r\nc APPEND f {3+}\r\nabc\r\n");
	tells(s, step, "a EXAMINE " F "\r\n",
	    FLAGS
	    "* OK [PERMANENTFLAGS ()] @\r\n* 1 EXISTS\r\n* 1 RECENT\r\n* OK [UNSEEN "
	    "1] @\r\n" THEIR_UIDS "a OK [READ-ONLY] @\r\n");
	imap_share_lost(far.link);
	tells(s, step,
	    "a NOOP\r\nb FETCH 1 (UID)\r\nc STATUS INBOX (MESSAGES)\r\nd CLOSE\r\n",
	    "a NO [UNAVAILABLE] @\r\nb NO [UNAVAILABLE] @\r\n* STATUS INBOX (MESSAGES "
	    "0)\r\n"
	    "c OK @\r\nd OK @\r\n");
	tells(s, step, "a STATUS " F " (MESSAGES)\r\n",
	    "* STATUS " F " (MESSAGES 1)\r\na OK @\r\n");
	/* In the middle of a message. */
	tells(s, step, "a APPEND " F " {6+}\r\nabc", "");
	imap_share_lost(far.link);
	tells(s, step, "def\r\nb NOOP\r\n", "a NO [UNAVAILABLE] @\r\nb OK @\r\n");
	tells(s, step, "a APPEND " F " {3+}\r\nabc\r\n", "a OK [APPENDUID # 2] @\r\n");
	/* Nothing is granted at all. */
	imap_share_lost(far.link);
	far.refuse = true;
	tells(s, step, "a STATUS " F " (MESSAGES)\r\nb APPEND " F " {3+}\r\nabc\r\n",
	    "a NO [NONEXISTENT] @\r\nb NO [NONEXISTENT] @\r\n");
	end(s);
}

/* A process that was taken over: it answers each line of bob's by script. */
static void
answers(struct imap *s, const char *command, const char *reply, const char *want)
{
	struct evbuffer *out = evbuffer_new();

	assert_int_equal(
	    imap_input(s, (const uint8_t *)command, strlen(command)), strlen(command));
	settle(s, 100000, out);
	if (far.link != NULL) {
		evbuffer_add(far.link->in, reply, strlen(reply));
		imap_share_ready(far.link);
	}
	settle(s, 100000, out);
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

static void
hostile(size_t step)
{
	struct imap *s = session(true);

	/* Of the whole server, of capabilities, of another place to go: nothing is told.
	 */
	answers(s, "a SELECT " F "\r\n",
	    "* CAPABILITY IMAP4rev1\r\n* LIST () \"/\" INBOX\r\n* STATUS INBOX (MESSAGES "
	    "5)\r\n"
	    "* OK [ALERT] Call this number\r\n* OK [REFERRAL imap://evil.test/] x\r\n"
	    "* NAMESPACE NIL NIL NIL\r\n* ENABLED CONDSTORE\r\n* ID NIL\r\n+ go on\r\n"
	    "* METADATA {5}\r\nINBOX (/private/comment {3}\r\nabc)\r\n"
	    "* LIST () \"/\" \"Other Users/alice@x.testing/f\"\r\n* 3 EXISTS\r\n"
	    "* LIST () \"/\" " F "\r\na OK [CAPABILITY IMAP4rev1] fine\r\n",
	    "* 3 EXISTS\r\n* LIST () \"/\" " F "\r\na OK completed\r\n");
	answers(s, "b NOOP\r\n",
	    "* 1 FETCH (BODY[] {24}\r\nb OK x\r\n* BYE\r\nb OK y\r\n)\r\nb OK [UNSEEN 1] "
	    "z {3}\r\n",
	    "* 1 FETCH (BODY[] {24}\r\nb OK x\r\n* BYE\r\nb OK y\r\n)\r\nb OK [UNSEEN 1] "
	    "z "
	    "{3}\r\n");
	/* Copies whose form is not as asked. */
	answers(s, "c COPY 1 INBOX\r\n",
	    "* ESEARCH (TAG \"fife1\") UID ALL 1:4294967295\r\nfife1 OK x\r\nfife2 OK "
	    "x\r\n",
	    "c NO [UNAVAILABLE] @\r\n");
	answers(s, "d COPY 1 INBOX\r\n",
	    "* ESEARCH (TAG \"fife3\") UID ALL 7\r\nfife3 OK x\r\n* 1 "
	    "FETCH "
	    "(UID 8 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] "
	    "{1}\r\nx)\r\nfife4 OK x\r\nfife5 OK x\r\n",
	    "d NO [UNAVAILABLE] @\r\n");
	answers(s, "e COPY 1 INBOX\r\n",
	    "* ESEARCH (TAG \"fife6\") UID ALL 7\r\nfife6 OK x\r\n* 1 "
	    "FETCH "
	    "(UID 7 FLAGS (\\Bad) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] "
	    "{1}\r\nx)\r\nfife8 OK x\r\n",
	    "e NO [UNAVAILABLE] @\r\n");
	/* One's own mailbox is selected: nothing is told of it. */
	answers(s, "f SELECT INBOX\r\n", "",
	    "* OK [CLOSED] @\r\n" FLAGS PERMANENT "* 0 EXISTS\r\n* 0 RECENT\r\n" UIDS
	    "f OK @\r\n");
	answers(s, "g STATUS " F " (MESSAGES)\r\n",
	    "fife9 OK x\r\n* 99 EXISTS\r\n* 1 EXPUNGE\r\n* # RECENT\r\n* "
	    "OK [UIDVALIDITY "
	    "9] x\r\n* FLAGS "
	    "()\r\n* 1 FETCH (BODY[] {5}\r\n* BYE)\r\ng OK x\r\n",
	    "g OK x\r\n");
	/* Names that are not its own. */
	answers(s, "h LIST \"\" *\r\n",
	    "* LIST () \"/\" INBOX\r\n* LIST () \"/\" \"Other Users/bob@x.test/x\"\r\n* "
	    "LIST () "
	    "\".\" " F
	    "\r\n* LIST () \"/\" \"Other Users/alice@x.test\"\r\n* LIST () \"/\" " F
	    "\r\n* MYRIGHTS INBOX lr\r\nfife10 OK x\r\n",
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/alice@x.test\"\r\n"
	    "* LIST (\\HasNoChildren) \"/\" " F "\r\nh OK @\r\n");
	/* It says good-bye. */
	answers(s, "i STATUS " F " (MESSAGES)\r\n", "* BYE go away\r\ni OK x\r\n",
	    "i NO [UNAVAILABLE] @\r\n");
	answers(s, "j STATUS " F " (MESSAGES)\r\n", "hello\r\nj OK x\r\n",
	    "j NO [UNAVAILABLE] @\r\n");
	answers(s, "k NOOP\r\n", "", "k OK @\r\n");
	end(s);
}

/* What commands of our own bring of the selected mailbox is the client's too. */
static void
kept(size_t step)
{
	struct imap *s = session(false);

	alice("a CREATE f\r\nb SETACL f bob lrs\r\n");
	for (int i = 0; i < 6; i++)
		alice("c APPEND f {3+}\r\nabc\r\n");
	tells(s, step, "a EXAMINE " F "\r\n",
	    FLAGS "* OK [PERMANENTFLAGS ()] @\r\n* 6 EXISTS\r\n* 6 RECENT\r\n* OK "
		  "[UNSEEN 1] @\r\n" THEIR_UIDS "a OK [READ-ONLY] @\r\n");
	alice("a SELECT f\r\nb STORE 1 FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\n"
	      "d STORE 1 FLAGS.SILENT (\\Seen)\r\n");
	tells(s, step, "a LIST \"\" *\r\nb FETCH 1 (UID)\r\n",
	    "* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\r\n* 1 EXPUNGE\r\n* 5 RECENT\r\n"
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/alice@x.test\"\r\n"
	    "* LIST (\\HasNoChildren) \"/\" " F "\r\na OK @\r\n"
	    "* 1 FETCH (UID 2)\r\nb OK @\r\n");
	/* What is enabled there on the way moves no message numbers. */
	alice("a SELECT f\r\nb STORE 1 FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\n"
	      "d STORE 1 FLAGS.SILENT (\\Seen)\r\n");
	tells(s, step, "a FETCH 2 (MODSEQ)\r\nb NOOP\r\n",
	    "* OK [HIGHESTMODSEQ #] @\r\n"
	    "* 2 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (#))\r\n"
	    "* 2 FETCH (MODSEQ (#))\r\n"
	    "a OK @\r\n* 1 EXPUNGE\r\n* 4 RECENT\r\nb OK @\r\n");
	/* A copy that fails, and one of which a message is gone. */
	alice("a SELECT f\r\nb STORE 1 FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\n");
	tells(s, step, "a COPY 2 nowhere\r\nb FETCH 1 (UID)\r\n",
	    "* 1 EXPUNGE\r\n* 3 RECENT\r\na NO [TRYCREATE] @\r\n* 1 FETCH (UID 4)\r\n"
	    "b OK @\r\n");
	alice("a SELECT f\r\nb STORE 2 FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\n");
	tells(s, step, "a COPY 1:3 INBOX\r\nb FETCH 1:2 (UID)\r\n",
	    "* 2 EXPUNGE\r\n* 2 RECENT\r\na OK [COPYUID # 4,6 1:2] @\r\n"
	    "* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 6)\r\nb OK @\r\n");
	end(s);
}

/* Messages that go while they are copied are passed over. */
static void
copy_of_gone(size_t step)
{
	struct imap *s = session(true);

	answers(s, "a SELECT " F "\r\n", "* 3 EXISTS\r\na OK x\r\n",
	    "* 3 EXISTS\r\na OK x\r\n");
	answers(s, "b COPY 1:3 INBOX\r\n",
	    "* ESEARCH (TAG \"fife1\") UID ALL 7:9\r\nfife1 OK x\r\n* 2 FETCH (UID 8 "
	    "FLAGS "
	    "() INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {1}\r\nx)\r\n"
	    "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\nfife2 OK x\r\n",
	    "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\nb OK [COPYUID # 8 1] @\r\n");
	answers(s, "c COPY 1 INBOX\r\n",
	    "* ESEARCH (TAG \"fife3\") UID ALL 8\r\nfife3 OK x\r\n* 1 EXPUNGE\r\n"
	    "fife4 OK x\r\n",
	    "* 1 EXPUNGE\r\nc NO [EXPUNGEISSUED] @\r\n");
	end(s);
}

/* Of what a process asks that was taken over itself, a guest's machine does nothing. */
static void
guest(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	alice("a CREATE f\r\nb CREATE g\r\nc SETACL f bob lrswite\r\nd APPEND f "
	      "{3+}\r\nabc\r\n"
	      "e APPEND g {6+}\r\nsecret\r\n");
	assert_int_equal(
	    imap_set_guest(s, "Other Users/alice@x.test", "bob@x.test\n"), 0);
	imap_set_owner(s, "alice@x.test");
	say(s, step,
	    "a SELECT g\r\nb SELECT \"Other Users/alice@x.test/g\"\r\nc SELECT \"Other "
	    "Users/alice@x.test/\"\r\nd SUBSCRIBE f\r\ne LSUB \"\" *\r\nf COMPRESS "
	    "DEFLATE\r\ng NOTIFY NONE\r\nh NAMESPACE\r\ni SETQUOTA \"\" ()\r\n"
	    "j ESEARCH IN (personal) ALL\r\nk GETMETADATA \"\" /private/comment\r\n"
	    "l GETQUOTA \"\"\r\nm UNAUTHENTICATE\r\n",
	    "a NO [NONEXISTENT] @\r\nb NO [NONEXISTENT] @\r\nc NO [NONEXISTENT] @\r\nd "
	    "NO "
	    "[NOPERM] @\r\ne NO [NOPERM] @\r\nf NO [NOPERM] @\r\ng OK @\r\nh NO "
	    "[NOPERM] @\r\ni NO [NOPERM] @\r\nj BAD @\r\nk NO [NOPERM] @\r\nl NO "
	    "[NONEXISTENT] @\r\nm NO [NOPERM] @\r\n");
	say(s, step,
	    "a LIST \"\" *\r\nb LIST (SUBSCRIBED) \"\" * RETURN (STATUS (MESSAGES))\r\n"
	    "c APPEND " F " CATENATE (URL \"/g/;UID=1\")\r\nd APPEND " F
	    " CATENATE (URL \"/Other%20Users/alice@x.test/g/;UID=1\")\r\ne SELECT " F
	    "\r\n"
	    "f COPY 1 g\r\ng COPY 1 \"Other Users/alice@x.test/g\"\r\nh MOVE 1 \"Other "
	    "Users/alice@x.test/g\"\r\n",
	    "* LIST (\\HasNoChildren) \"/\" " F
	    "\r\na OK @\r\n* LIST (\\HasNoChildren) \"/\" " F
	    "\r\nb OK @\r\nc NO [BADURL @\r\nd NO [BADURL @\r\n" SELECTED
	    "e OK [READ-WRITE] @\r\nf NO [NONEXISTENT] @\r\ng NO [TRYCREATE] @\r\nh NO "
	    "[TRYCREATE] @\r\n");
	/* What is below goes along only with the right to it, however it is written. */
	alice("a CREATE INBOX/h\r\nb CREATE INBOX/h/secret\r\nc SETACL INBOX/h bob lx\r\n"
	      "d SETACL f bob lrk\r\n");
	say(s, step,
	    "a RENAME \"Other Users/alice@x.test/INBOX/h\" \"Other "
	    "Users/alice@x.test/f/h\"\r\n"
	    "b RENAME \"Other Users/alice@x.test/inbox/h\" \"Other "
	    "Users/alice@x.test/f/h\"\r\n"
	    "c RENAME \"Other Users/alice@x.test/inbox\" \"Other "
	    "Users/alice@x.test/f/h\"\r\n",
	    "a NO [NOPERM] @\r\nb NO [NOPERM] @\r\nc NO [@\r\n");
	alice("a SETACL INBOX/h/secret bob x\r\n");
	say(s, step,
	    "a RENAME \"Other Users/alice@x.test/inbox/h\" \"Other "
	    "Users/alice@x.test/f/h\"\r\n",
	    "a OK @\r\n");
	imap_free(s);
}

/* What the link has for bob, and what he gets. */
static void
comes(struct imap *s, size_t step, const char *reply, const char *want)
{
	struct evbuffer *out = evbuffer_new();

	if (reply[0] != '\0') {
		evbuffer_add(far.link->in, reply, strlen(reply));
		imap_share_ready(far.link);
	}
	settle(s, step, out);
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

/* Nothing is said in the middle of a response that comes unasked. */
static void
in_part(size_t step)
{
	static const char command[] = "d STATUS INBOX (MESSAGES)\r\n",
			  part[] = "* 2 FETCH (BODY[] {6}\r\nabc";
	struct imap *s = session(true), *own = imap_new(other, NULL, NULL);

	tells(s, step,
	    "a NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge)) "
	    "(personal (MailboxName))\r\n",
	    "a OK @\r\n");
	answers(s, "b EXAMINE " F "\r\n", "fife1 OK x\r\n* 1 EXISTS\r\nb OK x\r\n",
	    "* 1 EXISTS\r\nb OK x\r\n");
	comes(s, step, part, part);
	say(own, step, "c CREATE new\r\n", "c OK @\r\n");
	comes(s, step, "", "");
	assert_false(imap_idle(s));
	assert_int_equal(imap_input(s, (const uint8_t *)command, strlen(command)), 0);
	comes(s, step, "def", "def");
	assert_false(imap_idle(s));
	comes(s, step, ")\r\n", ")\r\n* LIST (\\HasNoChildren) \"/\" new\r\n");
	tells(s, step, command, "* STATUS INBOX (MESSAGES 0)\r\nd OK @\r\n");
	/* One whose end does not come, */
	comes(s, step, part, part);
	far.link->used_ms -= IMAP_SHARE_PATIENCE_MS - 60000;
	imap_poll(s, false);
	assert_false(imap_ended(s));
	far.link->used_ms -= 60000 + 1;
	imap_poll(s, false);
	assert_true(imap_ended(s));
	comes(s, step, "", "");
	end(s);
	imap_free(own);
	/* and one whose sender is lost. */
	s = session(true);
	tells(s, step, "a NOTIFY SET (selected (MessageNew MessageExpunge))\r\n",
	    "a OK @\r\n");
	answers(s, "b EXAMINE " F "\r\n", "fife1 OK x\r\n* 1 EXISTS\r\nb OK x\r\n",
	    "* 1 EXISTS\r\nb OK x\r\n");
	comes(s, step, part, part);
	imap_share_lost(far.link);
	assert_true(imap_ended(s));
	end(s);
	/* In place of what is said to a literal, which then nobody wants. */
	s = session(true);
	answers(s, "b EXAMINE " F "\r\n", "* 1 EXISTS\r\nb OK x\r\n",
	    "* 1 EXISTS\r\nb OK x\r\n");
	tells(s, step, "c APPEND " F " {3+}\r\n", "");
	comes(s, step, part, part);
	far.link->used_ms -= IMAP_SHARE_PATIENCE_MS + 1;
	imap_poll(s, false);
	comes(s, step, "", "");
	imap_poll(s, false);
	assert_true(imap_ended(s));
	end(s);
}

/* LIST does not wait for a process that says nothing, and what comes late is nobody's. */
static void
silent(size_t step)
{
	struct imap *s = session(true);
	struct evbuffer *out = evbuffer_new();

	later_ms = 0;
	tells(s, step, "a LIST \"\" *\r\n", "");
	later_ms = IMAP_SHARE_LIST_MS - 5000;
	settle(s, step, out);
	assert_int_equal(evbuffer_get_length(out), 0);
	later_ms = IMAP_SHARE_LIST_MS;
	settle(s, step, out);
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1),
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/alice@x.test\"\r\n"
	    "a OK @\r\n");
	assert_non_null(far.link);
	assert_int_not_equal(far.link->skip, 0);
	evbuffer_free(out);
	end(s);
	later_ms = 0;
}

static void
with_stores(void (*dialogue)(size_t step))
{
	static const size_t steps[] = { 1, 7, 100000 };

	for (size_t i = 0; i < 3; i++) {
		if (i > 0) {
			assert_int_equal(share_teardown(NULL), 0);
			assert_int_equal(share_setup(NULL), 0);
		}
		dialogue(steps[i]);
	}
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_stores(name);            \
	}

TEST(served)
TEST(told)
TEST(lost)
TEST(notify)
TEST(hostile)
TEST(in_part)
TEST(guest)
TEST(silent)
TEST(kept)
TEST(copy_of_gone)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_served, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_told, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_lost, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_notify, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(
		    test_hostile, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(
		    test_in_part, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_guest, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_silent, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(test_kept, share_setup, share_teardown),
		cmocka_unit_test_setup_teardown(
		    test_copy_of_gone, share_setup, share_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

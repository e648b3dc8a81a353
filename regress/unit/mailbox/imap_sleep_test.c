/* SPDX-License-Identifier: ISC */
/* Sessions as octets and back (imap_sleep.h): what goes on is what was put away. */
#include "mailbox/imap_sleep.h"
#include "regress/unit/mailbox/imap_fixture.h"

/* What it says does not matter. */
static void
quiet(struct imap *s, const char *in, size_t step)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, in, strlen(in), step, out);
	evbuffer_free(out);
}

/* Puts the session away and goes on with another one. */
static struct imap *
sleep_and_wake(struct imap *s)
{
	struct evbuffer *b = evbuffer_new();
	struct imap *t = imap_new(store, NULL, NULL);

	assert_int_equal(imap_sleep(s, b), 0);
	imap_free(s);
	assert_int_equal(imap_wake(t, evbuffer_pullup(b, -1), evbuffer_get_length(b)), 0);
	evbuffer_free(b);
	return t;
}

static void
goes_on(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *other;

	for (int i = 0; i < 6; i++)
		append(s, step, "INBOX", "", M2);
	say(s, step, "e ENABLE CONDSTORE\r\n", "* ENABLED CONDSTORE\r\ne OK @\r\n");
	s = sleep_and_wake(s);
	say(s, step, "a SELECT INBOX\r\n",
	    FLAGS PERMANENT "* 6 EXISTS\r\n* 6 RECENT\r\n* OK [UNSEEN @\r\n" UIDS
			    "a OK [READ-WRITE] SELECT completed\r\n");
	say(s, step, "b SEARCH RETURN (SAVE) 2:4\r\n", "b OK @\r\n");
	s = sleep_and_wake(s);
	other = imap_new(store, NULL, NULL);
	say(other, step, "x SELECT INBOX\r\n",
	    FLAGS PERMANENT "* 6 EXISTS\r\n* 0 RECENT\r\n* OK [UNSEEN @\r\n" UIDS
			    "x OK [READ-WRITE] SELECT completed\r\n");
	quiet(other, "y STORE 3 +FLAGS.SILENT (\\Deleted)\r\nz EXPUNGE\r\n", step);
	quiet(other, "y STORE 1 +FLAGS.SILENT (\\Flagged)\r\n", step);
	imap_free(other);
	/* By number: nothing is said of the expunge yet, and numbers stay. */
	say(s, step, "c FETCH 4 (UID)\r\n",
	    "* 4 FETCH (UID 4)\r\n* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent) MODSEQ "
	    "(#))\r\nc OK FETCH completed\r\n");
	s = sleep_and_wake(s);
	say(s, step, "d NOOP\r\n",
	    "* 3 EXPUNGE\r\n* # RECENT\r\nd OK NOOP completed\r\n");
	say(s, step, "f FETCH $ (UID)\r\n",
	    "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 4)\r\nf OK FETCH completed\r\n");
	say(s, step, "g IDLE\r\n", "+ idling\r\n");
	s = sleep_and_wake(s);
	other = imap_new(store, NULL, NULL);
	append(other, step, "INBOX", "", M1);
	imap_free(other);
	say(s, step, "DONE\r\n", "* 6 EXISTS\r\n* 6 RECENT\r\ng OK IDLE completed\r\n");
	imap_free(s);
}

static void
test_goes_on(void **state)
{
	with_steps(goes_on);
}

/* More keywords than an octet counts: none is told anew. */
static void
test_many_keywords(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	char line[80];

	append(s, 1000, "INBOX", "", M1);
	quiet(s, "a SELECT INBOX\r\n", 1000);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(
		    line, sizeof(line), "b STORE 1 +FLAGS.SILENT (word%d)\r\n", i);
		quiet(s, line, 1000);
	}
	quiet(s, "c NOOP\r\n", 1000);
	say(s, 1000, "d NOOP\r\n", "d OK NOOP completed\r\n");
	s = sleep_and_wake(s);
	say(s, 1000, "e STORE 1 +FLAGS.SILENT (word1)\r\n", "e OK STORE completed\r\n");
	say(s, 1000, "f NOOP\r\n", "f OK NOOP completed\r\n");
	imap_free(s);
}

static int
cannot(struct imap *s)
{
	struct evbuffer *b = evbuffer_new();
	int r = imap_sleep(s, b);

	evbuffer_free(b);
	return r == -1;
}

static void
test_stays_awake(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	append(s, 1000, "INBOX", "", M1);
	quiet(s, "a SELECT INBOX\r\n", 1000);
	assert_false(cannot(s));
	/* half a command */
	quiet(s, "b NO", 1000);
	assert_true(cannot(s));
	quiet(s, "OP\r\n", 1000);
	assert_false(cannot(s));
	quiet(s, "c NOTIFY SET (selected (MessageNew MessageExpunge))\r\n", 1000);
	assert_true(cannot(s));
	imap_free(s);
	s = imap_new(store, NULL, NULL);
	quiet(s, "a SELECT INBOX\r\nb SEARCH RETURN (UPDATE) ALL\r\n", 1000);
	assert_true(cannot(s));
	quiet(s, "c COMPRESS DEFLATE\r\n", 1000);
	assert_true(cannot(s));
	imap_free(s);
}

static int
wakes(const uint8_t *p, size_t len)
{
	struct imap *t = imap_new(store, NULL, NULL);
	int r = imap_wake(t, p, len);

	imap_free(t);
	return r == 0;
}

static void
test_damaged(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *b = evbuffer_new();
	uint8_t *p;
	size_t len;

	append(s, 1000, "INBOX", "", M1);
	quiet(s, "a CREATE x\r\nb COPY 1 x\r\nc SELECT INBOX\r\nd COPY 1 x\r\n", 1000);
	quiet(s, "e SELECT x\r\n", 1000);
	assert_int_equal(imap_sleep(s, b), 0);
	len = evbuffer_get_length(b);
	p = evbuffer_pullup(b, -1);
	assert_true(wakes(p, len));
	/* Cut or longer, it is nothing; changed, it is at least no fault. */
	for (size_t i = 0; i < len; i++)
		assert_false(wakes(p, i));
	for (size_t i = 0; i < len; i++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			p[i] ^= (uint8_t)(1u << bit);
			(void)wakes(p, len);
			p[i] ^= (uint8_t)(1u << bit);
		}
	assert_true(wakes(p, len));
	/* Another folder of that name. */
	quiet(s, "f CLOSE\r\ng DELETE x\r\nh CREATE x\r\n", 1000);
	assert_false(wakes(p, len));
	evbuffer_add(b, "", 1);
	assert_false(wakes(evbuffer_pullup(b, -1), len + 1));
	imap_free(s);
	evbuffer_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_keywords, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stays_awake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* SORT and THREAD (RFC 5256, RFC 5957), extended results (RFC 4731, RFC 5182, RFC 9394),
 * and search keys of extensions; base subjects as rows. */
#include "mailbox/imap_sortkey.h"
#include "mailbox/imap_thread.h"
#include "regress/unit/mailbox/imap_fixture.h"

static const struct {
	const char *in, *out;
	bool reply;
} subjects[] = {
	{ "", "", false },
	{ "hello", "hello", false },
	{ "  hello \t", "hello", false },
	{ "Re: hello", "hello", true },
	{ "RE : hello", "hello", true },
	{ "re[list]: hello", "hello", true },
	{ "Fwd: Fw: re: hello", "hello", true },
	{ "[list] hello", "hello", false },
	{ "[list] Re: [other] hello", "hello", true },
	{ "[list]", "[list]", false },
	{ "[a] [b]", "[b]", false },
	{ "hello (fwd)", "hello", true },
	{ "hello (FWD) (fwd) ", "hello", true },
	{ "[Fwd: hello]", "hello", true },
	{ "[fwd: Re: hello (fwd)]", "hello", true },
	{ "Re: [Fwd: [x] hello]", "hello", true },
	{ "Reply: hello", "Reply: hello", false },
	{ "re hello", "re hello", false },
	{ "Re:", "", true },
	{ "[x[y] z", "[x[y] z", false },
	{ "(fwd)", "", true },
	{ "[fwd:]", "", true },
};

static void
test_base_subject(void **state)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		char buf[100];
		bool reply;
		size_t n = imap_base_subject(
		    subjects[i].in, strlen(subjects[i].in), buf, &reply);

		buf[n] = '\0';
		if (strcmp(buf, subjects[i].out) != 0 || reply != subjects[i].reply)
			fail_msg("%s: got %s, %d", subjects[i].in, buf, reply);
	}
}

static void
put(struct imap *s, size_t step, const char *text)
{
	append(s, step, "INBOX", "", text);
}

static void
selected(struct imap *s, size_t step)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, "a SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
}

static void
ask(struct imap *s, size_t step, const char *command, const char *want)
{
	char in[300], out[500];
	const char *name = strncmp(command, "UID ", 4) == 0 ? command + 4 : command;

	snprintf(in, sizeof(in), "a %s\r\n", command);
	snprintf(out, sizeof(out), "* %s\r\na OK %s%.*s completed\r\n", want,
	    name == command ? "" : "UID ", (int)strcspn(name, " "), name);
	say(s, step, in, out);
}

static void
sorting(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	put(s, step,
	    "Subject: b\r\nFrom: Zoe <anna@x>\r\nTo: c@x\r\nDate: Mon, 7 Feb 1994 "
	    "21:52:25 -0800\r\n\r\n1");
	put(s, step,
	    "Subject: Re: A\r\nFrom: \"adam\" <zeta@x>\r\nTo: b@x\r\nDate: Tue, 8 "
	    "Feb 1994 05:00:00 +0000\r\n\r\n22222");
	put(s, step,
	    "Subject: =?utf-8?q?[x]_=C3=84?=\r\nFrom: mid@x\r\nCc: a@x\r\nDate: "
	    "none\r\n\r\n333");
	put(s, step, "\r\n4");
	selected(s, step);
	ask(s, step, "SORT (SUBJECT) UTF-8 ALL", "SORT 4 2 3 1");
	ask(s, step, "SORT (REVERSE SUBJECT) US-ASCII ALL", "SORT 1 3 2 4");
	ask(s, step, "SORT (FROM) UTF-8 ALL", "SORT 4 1 3 2");
	ask(s, step, "SORT (DISPLAYFROM) UTF-8 ALL", "SORT 4 2 3 1");
	ask(s, step, "SORT (DISPLAYTO) UTF-8 ALL", "SORT 3 4 2 1");
	ask(s, step, "SORT (TO) UTF-8 ALL", "SORT 3 4 2 1");
	ask(s, step, "SORT (CC) UTF-8 ALL", "SORT 1 2 4 3");
	ask(s, step, "SORT (DATE) UTF-8 1:2", "SORT 2 1");
	ask(s, step, "SORT (REVERSE SIZE ARRIVAL) UTF-8 1:2", "SORT 2 1");
	ask(s, step, "UID SORT (ARRIVAL) UTF-8 NOT 2", "SORT 1 3 4");
	ask(s, step, "SORT (CC) UTF-8 NOT ALL", "SORT");
	ask(s, step, "SORT RETURN (MIN MAX COUNT ALL) (SUBJECT) UTF-8 ALL",
	    "ESEARCH (TAG \"a\") MIN 4 MAX 1 ALL 4,2:3,1 COUNT 4");
	ask(s, step, "UID SORT RETURN (PARTIAL 2:3) (SUBJECT) UTF-8 ALL",
	    "ESEARCH (TAG \"a\") UID PARTIAL (2:3 2:3)");
	ask(s, step, "SORT (SUBJECT) UTF-8 RETURN (PARTIAL -1:-2) ALL",
	    "ESEARCH (TAG \"a\") PARTIAL (-1:-2 3,1)");
	say(s, step,
	    "a SORT () UTF-8 ALL\r\nb SORT (REVERSE) UTF-8 ALL\r\nc SORT (SUBJECT) X-NO "
	    "ALL\r\nd SORT (SUBJECT) ALL\r\ne SORT (REVERSE REVERSE SIZE) UTF-8 ALL\r\n",
	    "a BAD @\r\nb BAD REVERSE without a criterion\r\nc NO [BADCHARSET (US-ASCII "
	    "UTF-8)] @\r\nd BAD Missing argument\r\ne BAD Unknown sort criterion\r\n");
	imap_free(s);
}

static void
results(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	for (int i = 0; i < 6; i++)
		put(s, step, M2);
	selected(s, step);
	say(s, step, "a STORE 2 +FLAGS.SILENT (\\Deleted)\r\nb EXPUNGE\r\n",
	    "a OK STORE completed\r\n* 2 EXPUNGE\r\n* # RECENT\r\nb OK EXPUNGE "
	    "completed\r\n");
	ask(s, step, "UID SEARCH RETURN (PARTIAL 4:2) ALL",
	    "ESEARCH (TAG \"a\") UID PARTIAL (2:4 3:5)");
	ask(s, step, "SEARCH RETURN (PARTIAL 10:20 COUNT) ALL",
	    "ESEARCH (TAG \"a\") COUNT 5 PARTIAL (10:20 NIL)");
	say(s, step,
	    "a SEARCH RETURN (PARTIAL 1) ALL\r\nb SEARCH RETURN (PARTIAL 1:*) ALL\r\n"
	    "c SEARCH RETURN (PARTIAL -1:2) ALL\r\nd SEARCH RETURN (ALL PARTIAL 1:2) "
	    "ALL\r\n"
	    "e SEARCH RETURN (PARTIAL 0:2) ALL\r\nf SEARCH RETURN (X) ALL\r\n",
	    "a BAD @\r\nb BAD @\r\nc BAD @\r\nd BAD @\r\ne BAD @\r\nf BAD @\r\n");
	say(s, step, "a FETCH $ UID\r\nb SEARCH RETURN (SAVE) 2:4\r\nc FETCH $ UID\r\n",
	    "a OK FETCH completed\r\nb OK SEARCH completed\r\n"
	    "* 2 FETCH (UID 3)\r\n* 3 FETCH (UID 4)\r\n* 4 FETCH (UID 5)\r\n"
	    "c OK FETCH completed\r\n");
	ask(s, step, "UID SEARCH NOT $", "SEARCH 1 6");
	ask(s, step, "SEARCH RETURN (SAVE MIN MAX) $", "ESEARCH (TAG \"a\") MIN 2 MAX 4");
	ask(s, step, "SEARCH UID $", "SEARCH 2 4");
	/* Each is a copy of it. */
	ask(s, step, "SEARCH $ $ $ $ $ $ $ UID $", "SEARCH 2 4");
	say(s, step, "a SEARCH $ $ $ $ $ $ $ UID $ NOT $\r\n", "a BAD @\r\n");
	/* what is expunged leaves it */
	say(s, step, "a STORE $ +FLAGS.SILENT (\\Deleted)\r\nb UID EXPUNGE 3\r\n",
	    "a OK STORE completed\r\n* 2 EXPUNGE\r\n* # RECENT\r\nb OK UID EXPUNGE "
	    "completed\r\n");
	ask(s, step, "UID SEARCH $", "SEARCH 5");
	say(s, step, "a SEARCH RETURN (SAVE) CHARSET X-NO ALL\r\nb UID FETCH $ UID\r\n",
	    "a NO [BADCHARSET (US-ASCII UTF-8)] @\r\nb OK UID FETCH completed\r\n");
	say(s, step,
	    "a UID FETCH 1:* (UID) (PARTIAL -1:-2)\r\nb FETCH 1:* UID (PARTIAL 1:2)"
	    "\r\n",
	    "* 3 FETCH (UID 5)\r\n* 4 FETCH (UID 6)\r\na OK UID FETCH completed\r\n"
	    "b BAD PARTIAL is for UID FETCH\r\n");
	imap_free(s);
}

static void
keys(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	append(s, step, "INBOX", "\"17-Jul-1996 02:44:25 -0700\" ", M1);
	put(s, step, M2);
	put(s, step, M2);
	selected(s, step);
	ask(s, step, "SEARCH OLDER 86400", "SEARCH 1");
	ask(s, step, "SEARCH YOUNGER 86400", "SEARCH 2 3");
	ask(s, step, "SEARCH SAVEDBEFORE 1-Jan-2000", "SEARCH");
	ask(s, step, "SEARCH SAVEDSINCE 1-Jan-2000 SAVEDATESUPPORTED", "SEARCH 1 2 3");
	say(s, step, "a SEARCH MODSEQ 3\r\n",
	    "* OK [HIGHESTMODSEQ 4] Highest\r\n* SEARCH 2 3 (MODSEQ 4)\r\na OK SEARCH "
	    "completed\r\n");
	ask(s, step, "SEARCH RETURN (MIN) MODSEQ \"/flags/\\\\Seen\" all 3",
	    "ESEARCH (TAG \"a\") MIN 2 MODSEQ 3");
	ask(s, step, "SEARCH RETURN (MIN COUNT) MODSEQ 3",
	    "ESEARCH (TAG \"a\") MIN 2 COUNT 2 MODSEQ 4");
	ask(s, step, "SEARCH MODSEQ 99", "SEARCH");
	/* The same content is the same email, also in the index. */
	for (int i = 0; i < 2; i++) {
		ask(s, step, "SEARCH EMAILID M6aae10a3b6d5c6ecc0d4e10c0ad8e5e5",
		    "SEARCH");
		say(s, step, "a FETCH 2:3 EMAILID\r\n",
		    "* 2 FETCH (EMAILID (M@\r\n* 3 FETCH (EMAILID (M@\r\na OK FETCH "
		    "completed\r\n");
	}
	say(s, step,
	    "a FETCH 1 (SAVEDATE PREVIEW THREADID)\r\nb FETCH 1 PREVIEW (LAZY)\r\n",
	    "* 1 FETCH (SAVEDATE \"@\r\na OK FETCH completed\r\n"
	    "* 1 FETCH (PREVIEW \"Hello Joe\")\r\nb OK FETCH completed\r\n");
	say(s, step, "a FETCH 2 PREVIEW (LAZY)\r\n",
	    "* 2 FETCH (PREVIEW NIL)\r\na OK FETCH completed\r\n");
	imap_free(s);
}

/* ---- threads, without a store ---- */

struct mail {
	const char *id, *references, *subject;
	int day;
};

static const struct {
	enum imap_thread_algorithm algorithm;
	struct mail mail[10];
	const char *out;
} thread_rows[] = {
	{ IMAP_THREAD_REFERENCES, { { "a@b", "", "", 1 } }, "(1)" },
	/* truncated references, in an order that makes the first parent wrong */
	{ IMAP_THREAD_REFERENCES,
	    { { "a@b", "", "", 1 }, { "b@b", "<c@b> <a@b>", "", 1 },
		{ "c@b", "<b@b>", "", 1 } },
	    "(3 1 2)" },
	{ IMAP_THREAD_REFERENCES,
	    { { "b@b", "<c@b> <a@b>", "", 1 }, { "c@b", "<b@b>", "", 1 } }, "(2 1)" },
	/* a parent that is not there keeps its children together at the top */
	{ IMAP_THREAD_REFERENCES,
	    { { "x1", "<gone>", "", 2 }, { "x2", "<gone>", "", 1 } }, "((2)(1))" },
	{ IMAP_THREAD_REFERENCES, { { "x1", "<gone>", "", 2 } }, "(1)" },
	/* branches and chains */
	{ IMAP_THREAD_REFERENCES,
	    { { "3", "", "", 1 }, { "6", "<3>", "", 2 }, { "4", "<3> <6>", "", 3 },
		{ "23", "<3> <6> <4>", "", 4 }, { "44", "<3> <6>", "", 5 },
		{ "7", "<6> <44>", "", 6 }, { "96", "<7>", "", 7 } },
	    "(1 2 (3 4)(5 6 7))" },
	/* subjects join: replies below the original, equals below a dummy */
	{ IMAP_THREAD_REFERENCES,
	    { { "1", "", "hi", 1 }, { "2", "", "Re: hi", 2 }, { "3", "", "re: HI", 3 } },
	    "(1 (2)(3))" },
	{ IMAP_THREAD_REFERENCES, { { "1", "", "hi", 1 }, { "2", "", "hi", 2 } },
	    "((1)(2))" },
	{ IMAP_THREAD_REFERENCES,
	    { { "1", "<g>", "hi", 1 }, { "2", "<g>", "hi", 2 },
		{ "3", "", "Re: hi", 0 } },
	    "((3)(1)(2))" },
	{ IMAP_THREAD_REFERENCES,
	    { { "1", "<g>", "hi", 1 }, { "2", "<g>", "hi", 2 },
		{ "3", "<h>", "Re: hi", 3 }, { "4", "<h>", "x", 4 } },
	    "((1)(2)(3)(4))" },
	{ IMAP_THREAD_REFERENCES, { { "1", "", "Re: hi", 1 }, { "2", "", "hi", 2 } },
	    "(2 1)" },
	/* loops, a double id, one that refers to itself */
	{ IMAP_THREAD_REFERENCES, { { "1", "<2>", "", 1 }, { "2", "<1>", "", 2 } },
	    "(2 1)" },
	{ IMAP_THREAD_REFERENCES,
	    { { "1", "<1>", "", 1 }, { "1", "", "", 2 }, { "3", "<1>", "", 3 } },
	    "(1 3)(2)" },
	/* by references alone; the thread with the newest message comes last */
	{ IMAP_THREAD_REFS,
	    { { "1", "", "hi", 1 }, { "2", "", "hi", 2 }, { "3", "<1>", "hi", 3 } },
	    "(2)(1 3)" },
	{ IMAP_THREAD_ORDEREDSUBJECT,
	    { { "1", "", "b", 4 }, { "2", "", "a", 2 }, { "3", "", "Re: b", 5 },
		{ "4", "", "[x] A", 1 }, { "5", "", "b", 6 } },
	    "(4 2)(1 (3)(5))" },
	{ IMAP_THREAD_ORDEREDSUBJECT,
	    { { "1", "", "", 2 }, { "2", "", "", 1 }, { "3", "", "z", 0 } }, "(3)(2 1)" },
};

static void
test_threads(void **state)
{
	for (size_t i = 0; i < sizeof(thread_rows) / sizeof(thread_rows[0]); i++) {
		struct imap_thread_message m[10];
		struct imap_sortkey k[10];
		uint8_t *raw[10];
		struct evbuffer *b = evbuffer_new();
		char *got;
		size_t n = 0;

		for (; n < 10 && thread_rows[i].mail[n].id != NULL; n++) {
			const struct mail *x = &thread_rows[i].mail[n];
			char header[300];
			size_t len;

			snprintf(header, sizeof(header),
			    "Message-ID: <%s>\r\nReferences: %s\r\nSubject: %s\r\nDate: "
			    "%d Feb 2000 00:00:00 +0000\r\n\r\n",
			    x->id, x->references, x->subject, x->day + 1);
			imap_sortkey_make(header, strlen(header), b);
			len = evbuffer_get_length(b);
			raw[n] = malloc(len);
			evbuffer_remove(b, raw[n], len);
			assert_int_equal(imap_sortkey_read(raw[n], len, &k[n]), 0);
			for (size_t cut = 0; cut < len; cut++) {
				struct imap_sortkey none;

				assert_int_equal(
				    imap_sortkey_read(raw[n], cut, &none), -1);
			}
			m[n] = (struct imap_thread_message){ (uint32_t)n + 1, k[n].date,
				k[n].date, &k[n] };
		}
		assert_int_equal(imap_thread_print(thread_rows[i].algorithm, m, n, b), 0);
		evbuffer_add(b, "", 1);
		got = (char *)evbuffer_pullup(b, -1);
		if (strcmp(got, thread_rows[i].out) != 0)
			fail_msg("row %zu: %s, wanted %s", i, got, thread_rows[i].out);
		evbuffer_free(b);
		for (size_t x = 0; x < n; x++)
			free(raw[x]);
	}
}

/* A chain as long as a mailbox, each with many references; and as many of one subject. */
static void
test_long_threads(void **state)
{
	enum {
		N = 30000
	};
	struct imap_thread_message *m = calloc(N, sizeof(*m));
	struct imap_sortkey *k = calloc(N, sizeof(*k));
	char(*ids)[16] = calloc(N, sizeof(*ids));
	struct evbuffer *b = evbuffer_new();

	for (size_t i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu@x", i);
		k[i].text[IMAP_SORT_MESSAGEID] =
		    (struct imap_text){ ids[i], strlen(ids[i]) };
		for (size_t r = i < 20 ? 0 : i - 20; r < i; r++)
			k[i].references[k[i].n_references++] =
			    k[r].text[IMAP_SORT_MESSAGEID];
		m[i] =
		    (struct imap_thread_message){ (uint32_t)i + 1, (int64_t)i, 0, &k[i] };
	}
	assert_int_equal(imap_thread_print(IMAP_THREAD_REFERENCES, m, N, b), 0);
	assert_memory_equal(evbuffer_pullup(b, 10), "(1 2 3 4 5", 10);
	evbuffer_drain(b, evbuffer_get_length(b));
	for (size_t i = 0; i < N; i++) {
		k[i].n_references = 0;
		k[i].reply = i > 0;
		k[i].text[IMAP_SORT_SUBJECT] = (struct imap_text){ "S", 1 };
	}
	assert_int_equal(imap_thread_print(IMAP_THREAD_REFERENCES, m, N, b), 0);
	assert_memory_equal(evbuffer_pullup(b, 10), "(1 (2)(3)(", 10);
	evbuffer_free(b);
	free(ids);
	free(k);
	free(m);
}

static void
contexts(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL), *t = imap_new(store, NULL, NULL);
	char cmd[200], want[200];

	for (int i = 0; i < 5; i++)
		put(s, step, M2);
	selected(s, step);
	say(s, step, "c1 SEARCH RETURN (UPDATE) SEEN\r\n",
	    "* ESEARCH (TAG \"c1\")\r\nc1 OK SEARCH completed\r\n");
	say(s, step, "a STORE 1:2,5 +FLAGS.SILENT (\\Seen)\r\n",
	    "* ESEARCH (TAG \"c1\") ADDTO (0 1:2,5)\r\na OK STORE completed\r\n");
	say(s, step, "c2 UID SEARCH RETURN (UPDATE COUNT) 2:5 SEEN\r\n",
	    "* ESEARCH (TAG \"c2\") UID COUNT 2\r\nc2 OK UID SEARCH completed\r\n");
	selected(t, step);
	say(t, step,
	    "a STORE 2 -FLAGS.SILENT (\\Seen)\r\nb STORE 4:5 +FLAGS.SILENT "
	    "(\\Deleted)\r\nc EXPUNGE\r\nd APPEND INBOX (\\Seen) {24+}\r\n" M2 "\r\n",
	    "a OK STORE completed\r\nb OK STORE completed\r\n* 4 EXPUNGE\r\n* 4 "
	    "EXPUNGE\r\nc OK EXPUNGE completed\r\n* 4 EXISTS\r\n* # "
	    "RECENT\r\nd OK "
	    "[APPENDUID # 6] APPEND completed\r\n");
	/* without EXPUNGE the numbers stay, and so does the result */
	say(s, step, "a FETCH 1 UID\r\n",
	    "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2 FLAGS (\\Recent))\r\n"
	    "* ESEARCH (TAG \"c2\") UID REMOVEFROM (0 2)\r\n"
	    "* ESEARCH (TAG \"c1\") REMOVEFROM (0 2)\r\n* 6 EXISTS\r\n* # RECENT\r\n"
	    "* ESEARCH (TAG \"c1\") ADDTO (0 6)\r\na OK FETCH completed\r\n");
	say(s, step, "a NOOP\r\n",
	    "* ESEARCH (TAG \"c2\") UID REMOVEFROM (0 5)\r\n"
	    "* ESEARCH (TAG \"c1\") REMOVEFROM (0 5)\r\n* 4 EXPUNGE\r\n* 4 EXPUNGE\r\n* "
	    "# RECENT\r\n"
	    "a OK NOOP completed\r\n");
	say(s, step,
	    "a CANCELUPDATE \"c1\" \"c2\" \"x\"\r\nb STORE 3 +FLAGS.SILENT "
	    "(\\Seen)\r\nc CANCELUPDATE\r\n",
	    "a OK CANCELUPDATE completed\r\nb OK STORE completed\r\nc BAD @\r\n");
	for (int i = 0; i < 11; i++) {
		snprintf(
		    cmd, sizeof(cmd), "d%d SEARCH RETURN (UPDATE MIN) DELETED\r\n", i);
		snprintf(want, sizeof(want),
		    "* ESEARCH (TAG \"d%d\")\r\n%sd%d OK SEARCH completed\r\n", i,
		    i == 10 ? "* NO [NOUPDATE \"d10\"] No updates of this one\r\n" : "",
		    i);
		say(s, step, cmd, want);
	}
	say(s, step, "a UNSELECT\r\n", "a OK UNSELECT completed\r\n");
	imap_free(t);
	imap_free(s);
}

static void
threading(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);

	put(s, step, "Message-ID: <a@b>\r\n\r\nx");
	put(s, step,
	    "Message-ID: <b@b>\r\nIn-Reply-To: your \"mail\" <\"a\"@b>\r\n\r\nx");
	put(s, step, "Subject: alone\r\n\r\nx");
	selected(s, step);
	ask(s, step, "THREAD REFERENCES UTF-8 ALL", "THREAD (1 2)(3)");
	ask(s, step, "UID THREAD REFS US-ASCII NOT 3", "THREAD (1 2)");
	ask(s, step, "THREAD ORDEREDSUBJECT UTF-8 2:3", "THREAD (2)(3)");
	ask(s, step, "THREAD REFERENCES UTF-8 NOT ALL", "THREAD");
	say(s, step, "a THREAD X UTF-8 ALL\r\n", "a BAD Unknown threading algorithm\r\n");
	imap_free(s);
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_steps(name);             \
	}

TEST(sorting)
TEST(results)
TEST(keys)
TEST(contexts)
TEST(threading)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_subject),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_long_threads),
		cmocka_unit_test_setup_teardown(test_sorting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contexts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threading, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

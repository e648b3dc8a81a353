/* SPDX-License-Identifier: ISC */
/* Several messages in one APPEND (RFC 3502), CATENATE (RFC 4469), REPLACE (RFC 8508),
 * NULs and UTF-8 (RFC 3516, RFC 6855), BINARY items; the URLs as rows. */
#include <sys/resource.h>

#include "mailbox/imap_url.h"
#include "regress/unit/mailbox/imap_fixture.h"

static const struct {
	const char *in;
	bool ok;
	const char *mailbox;
	uint32_t uidvalidity, uid;
	const char *section;
	uint32_t offset, count;
} urls[] = {
	{ "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", true, "Drafts",
	    385759045, 20, "HEADER", 0, 0 },
	{ "/a%20b/c;uidvalidity=1/;uid=2", true, "a b/c", 1, 2, "", 0, 0 },
	{ "/x/;UID=3/;SECTION=1.2.MIME/;PARTIAL=10.20", true, "x", 0, 3, "1.2.MIME", 10,
	    20 },
	{ "/x/;UID=3/;PARTIAL=7", true, "x", 0, 3, "", 7, 0 },
	{ ";UID=9/;SECTION=TEXT", true, "", 0, 9, "TEXT", 0, 0 },
	{ "/Entw%C3%BCrfe/;UID=1/;SECTION=HEADER.FIELDS%20(A%20B)", true,
	    "Entw\xc3\xbcrfe", 0, 1, "HEADER.FIELDS (A B)", 0, 0 },
	{ "/x", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/x/;UID=0", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/x/;UID=4294967296", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/x;UIDVALIDITY=0/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/%00/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/%C3/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/%4/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/x/;UID=1/;PARTIAL=1.0", false, NULL, 0, 0, NULL, 0, 0 },
	{ "/x/;UID=1/;URLAUTH=anonymous", false, NULL, 0, 0, NULL, 0, 0 },
	{ "imap://h/x/;UID=1", false, NULL, 0, 0, NULL, 0, 0 },
	{ "", false, NULL, 0, 0, NULL, 0, 0 },
};

static void
test_urls(void **state)
{
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct imap_url u;
		int r = imap_url_parse(urls[i].in, strlen(urls[i].in), &u);

		if ((r == 0) != urls[i].ok)
			fail_msg("%s", urls[i].in);
		if (r == -1)
			continue;
		assert_string_equal(u.mailbox, urls[i].mailbox);
		assert_int_equal(u.uidvalidity, urls[i].uidvalidity);
		assert_int_equal(u.uid, urls[i].uid);
		assert_string_equal(u.section, urls[i].section);
		assert_int_equal(u.offset, urls[i].offset);
		assert_int_equal(u.count, urls[i].count);
	}
}

static void
several(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	say(s, step,
	    "a APPEND INBOX (\\Seen) {8}\r\na: b\r\n\r\n \"17-Jul-1996 02:44:25 -0700\" "
	    "{8+}\r\nc: d\r\n\r\n (x \\Flagged) {9}\r\ne: f\r\n\r\ng\r\n",
	    "+ Ready for message\r\n+ Ready for message\r\na OK [APPENDUID # 1:3] APPEND "
	    "completed\r\n");
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
	say(s, step, "a FETCH 1:* (FLAGS RFC822.SIZE)\r\nb FETCH 2 INTERNALDATE\r\n",
	    "* 1 FETCH (FLAGS (\\Seen \\Recent) RFC822.SIZE 8)\r\n"
	    "* 2 FETCH (FLAGS (\\Recent) RFC822.SIZE 8)\r\n"
	    "* 3 FETCH (FLAGS (\\Flagged \\Recent x) RFC822.SIZE 9)\r\na OK FETCH "
	    "completed\r\n* 2 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\n"
	    "b OK FETCH completed\r\n");
	/* all or nothing */
	say(s, step,
	    "a APPEND INBOX {3+}\r\nabc {4294967296}\r\nb APPEND INBOX {3+}\r\nabc "
	    "{0+}\r\n"
	    "\r\nc APPEND INBOX {3+}\r\nabc (\\Bad) {3+}\r\ndef\r\nd APPEND Nope "
	    "{3+}\r\nabc "
	    "{3+}\r\ndef\r\ne APPEND INBOX {3+}\r\nabc \"x\" {3+}\r\ndef\r\nf NOOP\r\n",
	    "a NO [TOOBIG] @\r\nb NO Empty message\r\nc BAD Unknown system flag\r\nd NO "
	    "[TRYCREATE] @\r\ne BAD Invalid date-time\r\nf OK NOOP completed\r\n");
	imap_free(s);
}

static void
catenate(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	append(s, step, "INBOX", "", M1);
	append(s, step, "INBOX", "", M2);
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
	say(s, step,
	    "a APPEND INBOX (\\Seen) CATENATE (URL \"/INBOX/;UID=2/;section=HEADER\" "
	    "TEXT "
	    "{6+}\r\nfirst  URL {15+}\r\n/INBOX/;UID=1/; TEXT {2+}\r\n\r\n)\r\n",
	    "a NO [BADURL \"/INBOX/;UID=1/;\"] @\r\n");
	say(s, step,
	    "a APPEND INBOX (\\Seen) CATENATE (URL \"/INBOX/;UID=2/;section=HEADER\" "
	    "TEXT "
	    "{6+}\r\nfirst  URL {29+}\r\n;UID=1/;SECTION=TEXT/;PARTIAL TEXT {2}\r\n",
	    "a NO [BADURL @\r\n");
	say(s, step,
	    "a APPEND INBOX (\\Seen) CATENATE (URL \"/INBOX/;UID=2/;section=HEADER\" "
	    "TEXT "
	    "{6+}\r\nfirst  URL {33+}\r\n;UID=1/;SECTION=TEXT/;PARTIAL=0.5 TEXT "
	    "{2}\r\n\r\n)\r\n",
	    "+ Ready for message\r\n* 3 EXISTS\r\n* 3 RECENT\r\na OK [APPENDUID # 3] "
	    "APPEND "
	    "completed\r\n");
	say(s, step, "a FETCH 3 BODY.PEEK[]\r\n",
	    "* 3 FETCH (BODY[] {29}\r\nSubject: two\r\n\r\nfirst Hello\r\n)\r\na OK "
	    "FETCH "
	    "completed\r\n");
	/* only of others, with one more behind it */
	say(s, step,
	    "a APPEND INBOX CATENATE (URL /INBOX/;UID=1)\r\nb APPEND INBOX CATENATE (URL "
	    "/INBOX/;UID=2) (\\Draft) {3+}\r\nabc CATENATE (TEXT {1+}\r\nx)\r\n",
	    "* 4 EXISTS\r\n* 4 RECENT\r\na OK [APPENDUID # 4] APPEND completed\r\n"
	    "* 7 EXISTS\r\n* 7 RECENT\r\nb OK [APPENDUID # 5:7] APPEND completed\r\n");
	say(s, step,
	    "a APPEND INBOX CATENATE (URL /Nope/;UID=1)\r\nb APPEND INBOX CATENATE (URL "
	    "/INBOX;UIDVALIDITY=1/;UID=1 TEXT {3}\r\nc APPEND INBOX CATENATE (URL "
	    "/INBOX/;UID=1/;SECTION=9 TEXT {3+}\r\nabc)\r\nd APPEND INBOX CATENATE ()\r\n"
	    "e APPEND INBOX CATENATE (TEXT {3+}\r\nabc\r\nf APPEND INBOX CATENATE (FOO "
	    "x)\r\ng APPEND INBOX (\\Seen)\r\nh APPEND INBOX\r\n",
	    "a NO [BADURL \"/Nope/;UID=1\"] @\r\nb NO [BADURL @\r\nc NO [BADURL @\r\nd "
	    "BAD "
	    "@\r\ne BAD @\r\nf BAD TEXT or URL expected\r\ng BAD @\r\nh BAD @\r\n");
	say(s, step, "a STATUS INBOX (MESSAGES)\r\n",
	    "* STATUS INBOX (MESSAGES 7)\r\na OK STATUS completed\r\n");
	imap_free(s);
}

static void
replace(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	append(s, step, "INBOX", "", M1);
	append(s, step, "INBOX", "", M2);
	say(s, step, "a REPLACE 1 INBOX {3+}\r\nabc\r\nb CREATE x\r\n",
	    "a BAD No mailbox selected\r\nb OK CREATE completed\r\n");
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
	say(s, step, "a REPLACE 1 INBOX (\\Draft) {24}\r\n" M2 "\r\n",
	    "+ Ready for message\r\n* OK [APPENDUID # 3] Replacement is stored\r\n"
	    "* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 RECENT\r\na OK REPLACE completed\r\n");
	say(s, step, "a UID REPLACE 2 x {24+}\r\n" M2 "\r\nb FETCH 1:* (UID FLAGS)\r\n",
	    "* OK [APPENDUID # 1] Replacement is stored\r\n* 1 EXPUNGE\r\n* # "
	    "RECENT\r\na OK REPLACE "
	    "completed\r\n* 1 FETCH (UID 3 FLAGS (\\Draft \\Recent))\r\nb OK FETCH "
	    "completed\r\n");
	say(s, step,
	    "a REPLACE 2 x {3}\r\nb UID REPLACE 2 x {3}\r\nc REPLACE 1 Nope {3}\r\nd "
	    "REPLACE "
	    "1 x {3+}\r\nabc {3+}\r\ndef\r\ne REPLACE 1 x\r\nf REPLACE a x "
	    "{3+}\r\nabc\r\n",
	    "a BAD No message with that sequence number\r\nb NO [NONEXISTENT] @\r\nc NO "
	    "[TRYCREATE] @\r\nd BAD REPLACE takes one message\r\ne BAD @\r\nf BAD Number "
	    "expected\r\n");
	say(s, step, "a EXAMINE x\r\nb REPLACE 1 x {3}\r\nc FETCH 1 UID\r\n",
	    "* OK [CLOSED] @\r\n" FLAGS "* OK [PERMANENTFLAGS ()] @\r\n* 1 EXISTS\r\n"
	    "* 1 RECENT\r\n* OK [UNSEEN 1] @\r\n" UIDS "a OK [READ-ONLY] @\r\nb NO "
	    "[READ-ONLY] @\r\n* 1 FETCH (UID 1)\r\nc OK FETCH completed\r\n");
	/* seq-number is what RFC 9051 says: "*" too. */
	out = evbuffer_new();
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
	say(s, step, "a REPLACE * INBOX {24}\r\n" M2 "\r\n",
	    "+ Ready for message\r\n* OK [APPENDUID # 4] Replacement is stored\r\n"
	    "* 1 EXPUNGE\r\n* 1 EXISTS\r\n* 1 RECENT\r\na OK REPLACE completed\r\n");
	imap_free(s);
}

static void
octets(struct imap *s, size_t step, const char *in, size_t len, const char *want,
    size_t want_len)
{
	struct evbuffer *out = evbuffer_new();

	drive(s, in, len, step, out);
	if (evbuffer_get_length(out) != want_len)
		fail_msg("got %.*s", (int)evbuffer_get_length(out),
		    (char *)evbuffer_pullup(out, -1));
	assert_memory_equal(evbuffer_pullup(out, -1), want, want_len);
	evbuffer_free(out);
}

#define OCTETS(in, want) octets(s, step, in, sizeof(in) - 1, want, sizeof(want) - 1)

static void
binary(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	static const char nul[] = "a APPEND INBOX ~{11+}\r\na: b\r\n\r\nx\0y\r\n",
			  utf8[] = "b APPEND INBOX (\\Seen) UTF8 (~{15+}\r\nSubject: "
				   "\xc3\xbc\r\n\r\n)\r\n";

	drive(s, nul, sizeof(nul) - 1, step, out);
	drive(s, utf8, sizeof(utf8) - 1, step, out);
	append(s, step, "INBOX", "",
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: "
	    "base64\r\n\r\naGVsbG8Ad29ybGQ=\r\n");
	append(s, step, "INBOX", "",
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n");
	append(s, step, "INBOX", "", "Content-Transfer-Encoding: x-own\r\n\r\nabc\r\n");
	drive(s, "b SELECT INBOX\r\n", 16, step, out);
	evbuffer_free(out);
	/* No other literal can have a NUL: it is kept as base64. */
	OCTETS("a FETCH 1 (BINARY.PEEK[1] BODY.PEEK[1])\r\n",
	    "* 1 FETCH (BINARY[1] ~{3}\r\nx\0y BODY[1] {6}\r\neAB5\r\n)\r\n"
	    "a OK FETCH completed\r\n");
	say(s, step,
	    "a FETCH 1 (BODY.PEEK[HEADER.FIELDS (Content-Transfer-Encoding)] BODY)\r\n",
	    "* 1 FETCH (BODY[HEADER.FIELDS (Content-Transfer-Encoding)] {37}\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n BODY (\"text\" \"plain\" "
	    "(\"charset\" "
	    "\"unknown-8bit\") NIL NIL \"base64\" 6 1))\r\na OK FETCH completed\r\n");
	OCTETS("a FETCH 3 (BINARY.SIZE[1] BINARY[1])\r\n",
	    "* 3 FETCH (BINARY.SIZE[1] 11 BINARY[1] ~{11}\r\nhello\0world FLAGS (\\Seen "
	    "\\Recent))\r\na OK FETCH completed\r\n");
	OCTETS("a FETCH 3 (BINARY.PEEK[1]<6.3> BINARY.PEEK[1]<8>)\r\n",
	    "* 3 FETCH (BINARY[1]<6> {3}\r\nwor BINARY[1]<8> {3}\r\nrld)\r\na OK FETCH "
	    "completed\r\n");
	say(s, step, "a FETCH 4 (BINARY.PEEK[1] BINARY.SIZE[] BODY.PEEK[1])\r\n",
	    "* 4 FETCH (BINARY[1] {6}\r\na=bc\r\n BINARY.SIZE[] # BODY[1] {11}\r\na=3Db="
	    "\r\nc\r\n)\r\na OK FETCH completed\r\n");
	say(s, step, "a FETCH 5 BINARY.PEEK[1]\r\nb FETCH 5 BODY.PEEK[1]\r\n",
	    "* 5 FETCH (BINARY[1] NIL)\r\na NO [UNKNOWN-CTE] @\r\n"
	    "* 5 FETCH (BODY[1] {5}\r\nabc\r\n)\r\nb OK FETCH completed\r\n");
	say(s, step, "a FETCH 2 BODY.PEEK[]\r\nb APPEND INBOX UTF8 (~{3+}\r\nabc\r\n",
	    "* 2 FETCH (BODY[] {15}\r\nSubject: \xc3\xbc\r\n\r\n)\r\na OK FETCH "
	    "completed\r\nb BAD @\r\n");
	imap_free(s);
}

/* What no transfer encoding can hold is refused, and so is all that comes with it; texts
 * of CATENATE are one message; a plain literal's octets are left alone. */
static void
binary_parts(size_t step)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	static const char
	    two[] = "a APPEND INBOX ~{11+}\r\na: b\r\n\r\nx\0y ~{11+}\r\na: "
		    "\0\r\n\r\nxyz\r\n",
	    early[] = "f APPEND INBOX ~{11+}\r\na: \0\r\n\r\nxyz {3}\r\n",
	    texts[] = "b APPEND INBOX CATENATE (TEXT ~{8+}\r\na: b\r\n\r\n TEXT "
		      "~{3+}\r\n\0\0\0)\r\n",
	    plain[] = "c APPEND INBOX {11+}\r\na: b\r\n\r\nx\0y\r\n",
	    part[] = "d APPEND INBOX ~{136+}\r\n"
		     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
		     "text\r\n--b\r\nContent-Type: image/x\r\n"
		     "Content-Transfer-Encoding: binary\r\n\r\n\0\r\377\n\r\n"
		     "--b--\r\n\r\n";

	drive(s, two, sizeof(two) - 1, step, out);
	/* What comes after one that is refused is not wanted. */
	octets(s, step, early, sizeof(early) - 1,
	    "f NO [UNKNOWN-CTE] NUL where no transfer encoding can hold it\r\n", 63);
	drive(s, texts, sizeof(texts) - 1, step, out);
	drive(s, plain, sizeof(plain) - 1, step, out);
	drive(s, part, sizeof(part) - 1, step, out);
	drive(s, "e SELECT INBOX\r\n", 16, step, out);
	evbuffer_add(out, "", 1);
	assert_non_null(strstr((char *)evbuffer_pullup(out, -1), "a NO [UNKNOWN-CTE] "));
	assert_non_null(strstr((char *)evbuffer_pullup(out, -1), "* 3 EXISTS"));
	evbuffer_free(out);
	OCTETS("a FETCH 1 (BINARY.PEEK[1] BODY.PEEK[1])\r\n",
	    "* 1 FETCH (BINARY[1] ~{3}\r\n\0\0\0 BODY[1] {6}\r\nAAAA\r\n)\r\n"
	    "a OK FETCH completed\r\n");
	OCTETS("a FETCH 2 BODY.PEEK[TEXT]\r\n",
	    "* 2 FETCH (BODY[TEXT] {3}\r\nx\0y)\r\na OK FETCH completed\r\n");
	OCTETS("a FETCH 3 (BINARY.PEEK[2] BODY.PEEK[2] BODY.PEEK[1])\r\n",
	    "* 3 FETCH (BINARY[2] ~{4}\r\n\0\r\377\n BODY[2] {8}\r\nAA3/Cg== BODY[1] "
	    "{4}\r\ntext)\r\na OK FETCH completed\r\n");
	imap_free(s);
}

/* Thousands of octets each from large messages would hold up everybody. */
static void
test_many_urls(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *in = evbuffer_new(), *out = evbuffer_new();
	size_t len = 1024 * 1024;
	char *msg = calloc(1, len);

	memset(msg, 'x', len);
	for (int n = 1000; n <= 1100; n += 100) {
		evbuffer_add_printf(in, "a APPEND INBOX {%zu+}\r\n", len);
		evbuffer_add(in, msg, len);
		evbuffer_add_printf(in, "\r\nb APPEND INBOX CATENATE (");
		for (int i = 0; i < n; i++)
			evbuffer_add_printf(
			    in, "%sURL \"/INBOX/;UID=1/;PARTIAL=0.1\"", i > 0 ? " " : "");
		evbuffer_add_printf(in, ")\r\n");
		drive(s, (char *)evbuffer_pullup(in, -1), evbuffer_get_length(in), 100000,
		    out);
		evbuffer_drain(in, evbuffer_get_length(in));
		evbuffer_add(out, "", 1);
		assert_non_null(strstr((char *)evbuffer_pullup(out, -1),
		    n == 1000 ? "\r\nb OK [APPENDUID " : "\r\nb NO [LIMIT] "));
		evbuffer_drain(out, evbuffer_get_length(out));
	}
	free(msg);
	evbuffer_free(in);
	evbuffer_free(out);
	imap_free(s);
}

/* Each is open only as long as something is written to it. */
static void
test_many_binary(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *in = evbuffer_new(), *out = evbuffer_new();
	struct rlimit was, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 64;
	evbuffer_add_printf(in, "a APPEND INBOX");
	for (int i = 0; i < 150; i++) {
		evbuffer_add_printf(in, " ~{11+}\r\na: b\r\n\r\nx");
		evbuffer_add(in, i % 2 == 0 ? "\0y" : "xy", 2);
	}
	evbuffer_add_printf(in, "\r\n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	drive(s, (char *)evbuffer_pullup(in, -1), evbuffer_get_length(in), 100000, out);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1),
	    "a OK [APPENDUID # 1:150] APPEND completed\r\n");
	evbuffer_free(in);
	evbuffer_free(out);
	imap_free(s);
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		with_steps(name);             \
	}

TEST(several)
TEST(catenate)
TEST(replace)
TEST(binary)
TEST(binary_parts)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test_setup_teardown(test_several, setup, teardown),
		cmocka_unit_test_setup_teardown(test_catenate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_binary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_binary_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_urls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_binary, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

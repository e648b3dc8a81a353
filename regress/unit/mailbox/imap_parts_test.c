/* SPDX-License-Identifier: ISC */
/* The parts of FETCH and SEARCH that need no store: sets, items, sections, envelopes,
 * structures, text search. Many rows are examples of RFC 3501. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_search.h"

static void
is(struct evbuffer *b, const char *expected)
{
	evbuffer_add(b, "", 1);
	assert_string_equal((char *)evbuffer_pullup(b, -1), expected);
	evbuffer_drain(b, evbuffer_get_length(b));
}

/* ---- sets ---- */

static const struct {
	const char *in;
	uint32_t max;
	const char *out; /* NULL: refused */
} sets[] = {
	{ "1", 9, "1-1" },
	{ "2,4:7,9,12:*", 15, "2-2 4-7 9-9 12-15" },
	{ "*:4,5:7", 10, "4-10" },
	{ "*", 7, "7-7" },
	{ "7:3", 9, "3-7" },
	{ "1,1,1:2,2", 9, "1-2" },
	{ "9,1", 9, "1-1 9-9" },
	{ "4294967295", 9, "4294967295-4294967295" },
	{ "0", 9, NULL },
	{ "", 9, NULL },
	{ "1:", 9, NULL },
	{ ",1", 9, NULL },
	{ "1,", 9, NULL },
	{ "4294967296", 9, NULL },
	{ "-1", 9, NULL },
};

static void
test_sets(void **state)
{
	struct evbuffer *b = evbuffer_new();
	static const uint32_t numbers[] = { 1, 2, 3, 7, 9, 10 };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		char buf[100];
		struct imap_args a;
		struct imap_set s;

		strcpy(buf, sets[i].in);
		imap_args_init(&a, buf, strlen(buf));
		if (imap_set_parse(&a, &s) == -1 || imap_end(&a) == -1) {
			assert_null(sets[i].out);
			assert_non_null(a.error);
		} else {
			assert_non_null(sets[i].out);
			imap_set_resolve(&s, sets[i].max);
			for (size_t k = 0; k < s.n; k++) {
				evbuffer_add_printf(
				    b, "%s%u-%u", k ? " " : "", s.r[k].lo, s.r[k].hi);
				assert_true(imap_set_has(&s, s.r[k].lo));
				assert_true(imap_set_has(&s, s.r[k].hi));
				if (s.r[k].lo > 1)
					assert_false(imap_set_has(&s, s.r[k].lo - 1));
			}
			is(b, sets[i].out);
		}
		imap_set_clear(&s);
	}
	imap_set_print(b, numbers, 6);
	is(b, "1:3,7,9:10");
	evbuffer_free(b);
}

/* ---- items ---- */

static const struct {
	const char *in;
	const char *out; /* kinds and labels; NULL: refused */
} items[] = {
	{ "ALL", "0 2 3 4" },
	{ "fast", "0 2 3" },
	{ "FULL", "0 2 3 4 5" },
	{ "(FLAGS UID)", "0 1" },
	{ "BODYSTRUCTURE", "6" },
	{ "(BODY BODY[])", "5 7BODY[]" },
	{ "BODY.PEEK[]<0.100>", "7!BODY[]<0>" },
	{ "BODY[1.2.3]", "7BODY[1.2.3]" },
	{ "BODY[header]", "7BODY[HEADER]" },
	{ "BODY[4.2.2.1.HEADER]", "7BODY[4.2.2.1.HEADER]" },
	{ "BODY[4.1.MIME]", "7BODY[4.1.MIME]" },
	{ "BODY.PEEK[HEADER.FIELDS (date FROM)]", "7!BODY[HEADER.FIELDS (date FROM)]" },
	{ "BODY[2.HEADER.FIELDS.NOT (\"X y\")]", "7BODY[2.HEADER.FIELDS.NOT (\"X y\")]" },
	{ "(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
	    "7RFC822 7!RFC822.HEADER 7RFC822.TEXT 3" },
	{ "", NULL },
	{ "()", NULL },
	{ "(FLAGS", NULL },
	{ "(FLAGS  UID)", NULL },
	{ "(ALL)", NULL },
	{ "XYZ", NULL },
	{ "BODY[", NULL },
	{ "BODY[MIME]", NULL },
	{ "BODY[0]", NULL },
	{ "BODY[1.]", NULL },
	{ "BODY[1", NULL },
	{ "BODY[1.FOO]", NULL },
	{ "BODY[TEXT]<1>", NULL },
	{ "BODY[TEXT]<1.0>", NULL },
	{ "BODY[HEADER.FIELDS]", NULL },
	{ "BODY[HEADER.FIELDS ()]", NULL },
	{ "BODY[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1."
	  "1.1.1.1.1.1"
	  ".1.1.1.1.1.1.1.1.1.1.1.1.1.1]",
	    NULL },
};

static void
test_items(void **state)
{
	struct evbuffer *b = evbuffer_new();

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		char buf[200];
		struct imap_args a;
		struct imap_items it;

		strcpy(buf, items[i].in);
		imap_args_init(&a, buf, strlen(buf));
		if (imap_items_parse(&a, &it) == -1 || imap_end(&a) == -1) {
			assert_non_null(a.error);
			if (items[i].out != NULL)
				fail_msg("%s: %s", items[i].in, a.error);
		} else {
			for (size_t k = 0; k < it.n; k++)
				evbuffer_add_printf(b, "%s%d%s%s", k ? " " : "",
				    it.v[k].kind,
				    it.v[k].section != NULL && it.v[k].section->peek ? "!"
										     : "",
				    it.v[k].label == NULL ? "" : it.v[k].label);
			if (items[i].out == NULL)
				fail_msg("%s was taken", items[i].in);
			is(b, items[i].out);
		}
		imap_items_clear(&it);
	}
	evbuffer_free(b);
}

/* ---- a message ---- */

static const char message[] =
    "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
    "From: Terry Gray <gray@cac.washington.edu>\r\n"
    "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from\r\n\tthe IMAP4rev1 WG\r\n"
    "To: imap@cac.washington.edu, \"Q \\\"x\\\"\" <q@x>\r\n"
    "cc: minutes@CNRI.Reston.VA.US\r\n"
    "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b1\r\n"
    "\r\n"
    "preamble\r\n"
    "--b1\r\n"
    "Content-Type: TEXT/PLAIN; CHARSET=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "\r\n"
    "Hello W=F6rld,\r\nsoft=\r\nbreak\r\n"
    "--b1\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: inner\r\n"
    "From: g: a@b, c@d;\r\n"
    "\r\n"
    "inner text\r\n"
    "--b1\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "Content-Disposition: attachment; filename=x.txt\r\n"
    "Content-ID: <id@x>\r\n"
    "\r\n"
    "w4RQRkVM\r\n"
    "--b1--\r\n"
    "epilogue\r\n";

static const struct {
	const char *item;
	const char *out; /* NULL: NIL */
} sections[] = {
	{ "BODY[]<0.5>", "Date:" },
	{ "BODY[]<100000.5>", "" },
	{ "BODY[HEADER.FIELDS (cc)]", "cc: minutes@CNRI.Reston.VA.US\r\n\r\n" },
	{ "BODY[HEADER.FIELDS (subject)]",
	    "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from\r\n\tthe IMAP4rev1 WG\r\n\r\n" },
	{ "BODY[HEADER.FIELDS (nothing)]", "\r\n" },
	{ "BODY[HEADER.FIELDS.NOT (date from subject to message-id mime-version "
	  "content-type)]",
	    "cc: minutes@CNRI.Reston.VA.US\r\n\r\n" },
	{ "BODY[TEXT]<0.8>", "preamble" },
	{ "BODY[1]", "Hello W=F6rld,\r\nsoft=\r\nbreak" },
	{ "BODY[1]<6.5>", "W=F6r" },
	{ "BODY[1.MIME]", "Content-Type: TEXT/PLAIN; CHARSET=iso-8859-1\r\n"
			  "Content-Transfer-Encoding: quoted-printable\r\n\r\n" },
	{ "BODY[2]", "Subject: inner\r\nFrom: g: a@b, c@d;\r\n\r\ninner text" },
	{ "BODY[2.HEADER]", "Subject: inner\r\nFrom: g: a@b, c@d;\r\n\r\n" },
	{ "BODY[2.TEXT]", "inner text" },
	{ "BODY[2.1]", "inner text" },
	{ "BODY[2.HEADER.FIELDS (SUBJECT)]", "Subject: inner\r\n\r\n" },
	{ "BODY[3]", "w4RQRkVM" },
	{ "BODY[4]", NULL },
	{ "BODY[1.HEADER]", NULL },
	{ "BODY[2.2]", NULL },
};

static void
test_sections(void **state)
{
	struct mime_tree *tree = mime_parse(message, sizeof(message) - 1, NULL);

	assert_non_null(tree);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		char buf[200];
		struct imap_args a;
		struct imap_items it;
		struct imap_octets o;

		strcpy(buf, sections[i].item);
		imap_args_init(&a, buf, strlen(buf));
		assert_int_equal(imap_items_parse(&a, &it), 0);
		assert_int_equal(imap_section_get(it.v[0].section, message,
				     sizeof(message) - 1, tree, &o),
		    0);
		if (sections[i].out == NULL)
			assert_true(o.nil);
		else {
			char *s = strndup(o.data, o.len);

			assert_false(o.nil);
			assert_string_equal(s, sections[i].out);
			free(s);
		}
		free(o.owned);
		imap_items_clear(&it);
	}
	mime_free(tree);
}

#define GRAY "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "

static void
test_envelope(void **state)
{
	struct evbuffer *b = evbuffer_new();

	imap_print_envelope(b, message, sizeof(message) - 1);
	is(b, "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
	      "\"=?utf-8?Q?Gr=C3=BC=C3=9Fe?= from\tthe IMAP4rev1 WG\" " GRAY GRAY GRAY
	      "((NIL NIL \"imap\" \"cac.washington.edu\")(\"Q \\\"x\\\"\" NIL \"q\" "
	      "\"x\")) "
	      "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")) NIL NIL "
	      "\"<B27397-0100000@cac.washington.edu>\")");
	imap_print_envelope(b, "", 0);
	is(b, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	imap_print_envelope(b, "To: undisclosed:;\r\nSubject:\r\n\r\n", 32);
	is(b, "(NIL \"\" NIL NIL NIL ((NIL NIL \"undisclosed\" NIL)(NIL NIL NIL NIL)) "
	      "NIL NIL "
	      "NIL NIL)");
	evbuffer_free(b);
}

static void
test_structure(void **state)
{
	struct mime_tree *tree = mime_parse(message, sizeof(message) - 1, NULL);
	struct evbuffer *b = evbuffer_new();
	static const char plain[] = "Subject: x\r\n\r\nline\r\nline\r\n";

	imap_print_structure(b, message, sizeof(message) - 1, tree, false);
	is(b,
	    "((\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL "
	    "\"quoted-printable\" 28 2)"
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 48 "
	    "(NIL \"inner\" ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" "
	    "\"d\")"
	    "(NIL NIL NIL NIL)) ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" "
	    "\"d\")"
	    "(NIL NIL NIL NIL)) ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" "
	    "\"d\")"
	    "(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL) "
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0) 3)"
	    "(\"text\" \"plain\" (\"charset\" \"utf-8\") \"<id@x>\" NIL \"base64\" 8 0) "
	    "\"mixed\")");
	imap_print_structure(b, message, sizeof(message) - 1, tree, true);
	evbuffer_add(b, "", 1);
	assert_non_null(strstr((char *)evbuffer_pullup(b, -1),
	    "NIL (\"attachment\" (\"filename\" \"x.txt\")) NIL NIL) \"mixed\" "
	    "(\"boundary\" \"b1\") NIL NIL NIL)"));
	evbuffer_drain(b, evbuffer_get_length(b));
	mime_free(tree);
	tree = mime_parse(plain, sizeof(plain) - 1, NULL);
	imap_print_structure(b, plain, sizeof(plain) - 1, tree, true);
	is(b, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 2 NIL "
	      "NIL NIL "
	      "NIL)");
	mime_free(tree);
	evbuffer_free(b);
}

/* ---- search ---- */

static bool
find(const struct mime_tree *tree, bool headers, const char *text)
{
	char folded[200];
	bool space = false;
	size_t n = imap_fold(text, strlen(text), folded, &space);

	return imap_text_find(message, sizeof(message) - 1, tree, headers, folded, n);
}

static void
test_addresses(void **state)
{
	static const char header[] =
	    "From: <us-er (comment)@ (other) domain.org>\r\n"
	    "To: \"a\"@x, group: b@y (Bee);\r\nX: <q (c)@z>\r\n\r\n";
	static const struct {
		const char *field, *text;
		bool found;
	} rows[] = {
		{ "From", "us-er@domain.org", true },
		{ "From", "comment", true },
		{ "From", "r@dom", true },
		{ "To", "a@x", true },
		{ "To", "bee", true },
		{ "To", "b@y", true },
		{ "To", "a@y", false },
		{ "X", "q@z", false }, /* no field of addresses */
		{ "Cc", "a@x", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (imap_header_find(header, sizeof(header) - 1, rows[i].field,
			rows[i].text, strlen(rows[i].text)) != rows[i].found)
			fail_msg("%s %s", rows[i].field, rows[i].text);
}

static void
test_text(void **state)
{
	struct mime_tree *tree = mime_parse(message, sizeof(message) - 1, NULL);

	assert_true(find(tree, false, "HELLO W\xc3\x96RLD"));
	assert_true(find(tree, false, "w\xc3\xb6rld, softbreak"));
	assert_true(find(tree, false, "\xc3\xa4pfel"));
	assert_true(find(tree, false, "inner text"));
	assert_true(find(tree, false, "subject: inner"));
	assert_true(find(tree, false, ""));
	/* taken apart, and in title case (RFC 5051) */
	assert_true(find(tree, false, "A\xcc\x88PFEL"));
	assert_false(find(tree, false, "terry"));
	assert_true(find(tree, true, "terry"));
	assert_true(find(tree, true,
	    "gr\xc3\x9c\xc3\x9f"
	    "e FROM the"));
	assert_false(find(tree, true, "w4RQ"));
	assert_true(imap_header_find(message, sizeof(message) - 1, "cc", "cnri", 4));
	assert_false(imap_header_find(message, sizeof(message) - 1, "to", "cnri", 4));
	assert_true(imap_header_find(message, sizeof(message) - 1, "CC", "", 0));
	assert_false(imap_header_find(message, sizeof(message) - 1, "bcc", "", 0));
	mime_free(tree);
}

static const struct {
	const char *in;
	bool ok;
} searches[] = {
	{ " ALL", true },
	{ " FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", true },
	{ " OR (NOT SEEN FLAGGED) OR SEEN 1:3", true },
	{ " CHARSET UTF-8 TEXT {6}\r\nabcdef", true },
	{ " CHARSET utf-8 SUBJECT x", true },
	{ " RETURN (MIN COUNT) UID 1:*", true },
	{ " RETURN () NEW", true },
	{ " RETURN (MIN) CHARSET UTF-8 OLD", true },
	{ " HEADER Message-ID \"\" LARGER 5 SMALLER 10 KEYWORD $Junk UNKEYWORD x", true },
	{ " SENTON \"1-Feb-1994\" BEFORE 1-Feb-1994 ON 01-Feb-1994", true },
	{ "", false },
	{ " ", false },
	{ " FROM", false },
	{ " NOT", false },
	{ " OR SEEN", false },
	{ " ()", false },
	{ " (SEEN", false },
	{ " SEEN )", false },
	{ " XYZ", false },
	{ " SINCE yesterday", false },
	{ " SINCE 31-Feb-1994", false },
	{ " LARGER x", false },
	{ " RETURN (FOO) ALL", false },
	{ " CHARSET UTF-8", false },
};

static void
test_search_syntax(void **state)
{
	static char deep[10000];
	struct imap_args a;
	struct imap_search s;

	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
		char buf[200];

		strcpy(buf, searches[i].in);
		imap_args_init(&a, buf, strlen(buf));
		if ((imap_search_parse(&a, &s) == 0) != searches[i].ok)
			fail_msg("%s: %s", searches[i].in,
			    a.error == NULL ? "taken" : a.error);
		assert_true((a.error == NULL) == searches[i].ok);
		imap_search_clear(&s);
	}
	for (int nots = 0; nots < 2; nots++) {
		deep[0] = '\0';
		for (int i = 0; i < 1000; i++)
			strcat(deep, nots ? " NOT" : i == 0 ? " (" : "(");
		strcat(deep, " SEEN");
		imap_args_init(&a, deep, strlen(deep));
		assert_int_equal(imap_search_parse(&a, &s), -1);
		assert_string_equal(a.error, "Search keys nested too deeply");
		imap_search_clear(&s);
	}
	deep[0] = '\0';
	for (int i = 0; i < 1100; i++)
		strcat(deep, " SEEN");
	imap_args_init(&a, deep, strlen(deep));
	assert_int_equal(imap_search_parse(&a, &s), -1);
	assert_string_equal(a.error, "Too many search keys");
	imap_search_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_search_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
